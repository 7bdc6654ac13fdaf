"""Read the words of a claim as a scope: longest phrases first, with include, exclude, only and all but."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from .scope import FINAL_RUN, MODEL, Basis, Kind

Contents = frozenset[str]
Rank = Literal["part", "whole", "generic", "owner", "neutral"]
"""How a phrase counts beside others of its word group: parts before wholes, wholes before generic words, these before who owns them;
neutral phrases name no content."""
RANKS: tuple[Rank, ...] = ("part", "whole", "generic", "owner")
Operator = Literal["include", "exclude", "only"]
OPERATORS: Mapping[str, Operator] = {
    "include": "include", "including": "include", "included": "include", "incl": "include", "with": "include", "and": "include",
    "plus": "include", "or": "include", "as well as": "include", "in addition to": "include", "together with": "include",
    "along with": "include", "inclusive of": "include", "counting": "include", "on top of": "include", "not only": "include",
    "not just": "include", "but also": "include", "covering": "include", "covers": "include", "comprising": "include",
    "exclude": "exclude", "excluding": "exclude", "excluded": "exclude", "excl": "exclude", "without": "exclude", "except": "exclude",
    "except for": "exclude", "not": "exclude", "not including": "exclude", "not include": "exclude", "not counting": "exclude",
    "not count": "exclude", "not cover": "exclude", "not covering": "exclude", "no": "exclude", "minus": "exclude",
    "net of": "exclude", "leaving out": "exclude", "leave out": "exclude", "omitting": "exclude", "omit": "exclude",
    "ignoring": "exclude", "ignore": "exclude", "rather than": "exclude", "instead of": "exclude", "apart from": "exclude",
    "aside from": "exclude", "other than": "exclude", "but not": "exclude", "and not": "exclude", "nor": "exclude",
    "exclusive of": "exclude", "sans": "exclude", "neither": "exclude", "before": "exclude", "but no": "exclude",
    "but excluding": "exclude", "but without": "exclude", "all but": "exclude", "all except": "exclude", "not included": "exclude",
    "but including": "include", "but with": "include", "none of": "exclude",
    "only": "only", "just": "only", "solely": "only", "merely": "only", "nothing but": "only", "purely": "only",
    "exclusively": "only", "nothing more than": "only", "no more than": "only", "strictly": "only",
}  # fmt: skip
"""Words that say what becomes of the parts after them."""
AFTER: Mapping[str, Operator] = {
    "not included": "exclude", "excluded": "exclude", "left out": "exclude", "not counted": "exclude", "ignored": "exclude",
    "omitted": "exclude", "aside": "exclude", "come on top": "exclude", "not covered": "exclude", "extra": "exclude",
    "come extra": "exclude", "included": "include", "counted": "include",
    "only": "only", "alone": "only", "and nothing else": "only", "itself": "only", "exclusively": "only",
}  # fmt: skip
"""Words that say what becomes of the parts before them."""
_TOKEN = re.compile(r"[^\W_]+(?:[.'][^\W_]+)*|[,:;()/&+-]", re.UNICODE)


@dataclass(frozen=True)
class Phrase:
    """A phrase of the catalogue.

    Args:
        readings: contents it may mean, the likeliest first; empty for a phrase that only tells basis or kind.
        rank: how it counts beside others of its word group.
        part: contents where it is one part of a list or is excluded; ``readings`` where empty.
        basis, kind: what it tells of them.
    """

    readings: tuple[Contents, ...] = ()
    rank: Rank = "part"
    part: Contents = frozenset()
    basis: Basis | None = None
    kind: Kind | None = None


EVERYTHING = Phrase((frozenset(MODEL),), "whole")
OWNED: Contents = frozenset({"fleet", "company", "infrastructure"})
"""Contents that can be a stock."""


@dataclass(frozen=True)
class ScopeReading:
    """What words say about a scope.

    Args:
        words: as told.
        readings: contents they may mean, the likeliest first; empty where nothing was understood.
        basis, kind: what they say of them; None where they say nothing.
        unread: words that could not be placed.
        excluded: contents they leave out in so many words.

    >>> ScopeReading("flurble", unread=("flurble",)).understood
    False
    """

    words: str
    readings: tuple[Contents, ...] = ()
    basis: Basis | None = None
    kind: Kind | None = None
    unread: tuple[str, ...] = ()
    excluded: Contents = frozenset()

    @property
    def understood(self) -> bool:
        """Whether every word was placed and some content is named."""
        return not self.unread and bool(self.readings)

    @property
    def widest(self) -> Contents:
        """The reading with most contents."""
        return max(self.readings, key=len)

    @property
    def narrowest(self) -> Contents:
        """The reading with fewest contents."""
        return min(self.readings, key=len)


@dataclass
class _Group:
    """Neighbouring phrases with no conjunction between them."""

    operator: Operator
    phrases: list[tuple[str, Phrase]] = field(default_factory=list)
    names: int = 0
    listed: bool = False
    clause: int = 0
    explicit: bool = False


def stem(word: str) -> str:
    """A word without its plural ending.

    >>> stem("salaries"), stem("GPUs"), stem("loss")
    ('salary', 'gpu', 'loss')
    """
    word = word.lower()
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def tokens_of(words: str) -> list[str]:
    """Words and marks; hyphens part words, possessives are dropped, contracted negations are spelt out.

    >>> tokens_of("Doesn't include pre-training's bill")
    ['Does', 'not', 'include', 'pre', 'training', 'bill']
    """
    plain = words.replace("’", "'").replace("–", "-").replace("—", ";").replace("&", " and ").replace("…", " ")
    plain = re.sub(r"n't\b", " not", plain)
    plain = re.sub(r"'s\b|s'(?=\s|$)", lambda m: "s" if m.group().startswith("s") else "", plain)
    plain = re.sub(r"(?<=\w)-(?=\w)", " ", plain)
    return [word for word in _TOKEN.findall(plain) if word != "-"]


def read(words: str, phrases: Mapping[tuple[str, ...], Phrase], names: Callable[[], Collection[str]] = frozenset) -> ScopeReading:
    """The scopes that words may mean, by longest match against phrases.

    Neighbouring phrases form a group and the most specific of them counts; conjunctions and commas part groups. Groups are
    included, excluded or singled out as operators say. An exclusion keeps the readings that lack the excluded parts; where all
    hold them, it takes them out.

    Args:
        words: as told.
        phrases: stems of a phrase → what it means.
        names: gives stems of the names of models, runs and labs; asked only for a word that is no phrase.

    Returns:
        the reading; nothing is guessed about a word that is no phrase, no function word and no name.

    >>> table = {("salary",): Phrase((frozenset({"people"}),)), ("compute",): Phrase((frozenset({"pretraining"}),), "generic")}
    >>> sorted(read("compute and salaries", table).readings[0])
    ['people', 'pretraining']
    """
    groups, told, unread = _grouped(tokens_of(words), phrases, names)
    readings, excluded, conflicts = _fold(groups)
    unread += [] if unread else conflicts
    bases = {p.basis for p in told if p.basis is not None}
    kinds = {p.kind for p in told if p.kind is not None and p.rank == "neutral"} or {p.kind for p in told if p.kind is not None}
    kinds -= {"stock"} if readings and not any(r & OWNED for r in readings) else set()
    if len(bases) > 1 or len(kinds) > 1:
        unread.append(words)
    if unread:
        readings = ()
    return ScopeReading(words, readings, bases.pop() if bases else None, kinds.pop() if kinds else None, tuple(unread), excluded)


@dataclass(frozen=True)
class _Item:
    """A stretch of words: a phrase, a name, an operator before or after its parts, a mark, or a word that could not be placed."""

    kind: Literal["phrase", "name", "operator", "after", "mark", "unread"]
    words: str
    phrase: Phrase = field(default_factory=Phrase)


def _grouped(
    tokens: Sequence[str], phrases: Mapping[tuple[str, ...], Phrase], names: Callable[[], Collection[str]]
) -> tuple[list[_Group], list[Phrase], list[str]]:
    """Word groups with their operators, the phrases that were found, and words that were not."""
    groups: list[_Group] = [_Group("include")]
    told: list[Phrase] = []
    unread: list[str] = []
    for item in _items(tokens, phrases, names):
        match item.kind:
            case "phrase":
                told.append(item.phrase)
                if item.phrase.readings:
                    groups[-1].phrases.append((item.words, item.phrase))
            case "name":
                groups[-1].names += 1
            case "after":
                _set_back(groups, item.words)
                groups.append(_Group("include"))
            case "mark" | "operator":
                groups += _next(groups[-1], item)
            case "unread":
                unread.append(item.words)
    return [g for g in groups if g.phrases or g.names], told, unread


def _next(last: _Group, item: _Item) -> list[_Group]:
    """The group that a mark or an operator begins; "all but" brings everything before it."""
    if item.kind == "mark":
        begins, parted = item.words in (":", "(") and last.operator != "exclude", item.words == ";"
        return [_Group("include" if parted else last.operator, listed=begins or last.listed, clause=last.clause + parted)]
    joined = item.words in ("and", "or")
    operator = last.operator if joined else OPERATORS[item.words]
    whole = [_Group("include", [(item.words, EVERYTHING)], clause=last.clause)] if item.words in ("all but", "all except") else []
    return [*whole, _Group(operator, listed=last.listed, clause=last.clause, explicit=not joined)]


def _set_back(groups: list[_Group], words: str) -> None:
    """An operator that follows its parts: an exclusion holds for all parts of the clause after its head, any other for the last."""
    operator = AFTER[words]
    named = [g for g in groups if g.phrases]
    clause = [g for g in named if g.clause == named[-1].clause] if named else []
    head = clause[:1] == named[:1] and len(clause) > 1
    for group in clause[head:] if operator == "exclude" else clause[-1:]:
        group.operator = operator


def _items(tokens: Sequence[str], phrases: Mapping[tuple[str, ...], Phrase], names: Callable[[], Collection[str]]) -> Iterator[_Item]:
    stems = [stem(t) for t in tokens]
    longest = max((len(key) for key in phrases), default=1)
    titled = sum(t[:1].isupper() for t in tokens) > len(tokens) / 2
    at = 0
    while at < len(tokens):
        found, size = _longest(stems, at, phrases, longest)
        token, word = tokens[at], stems[at]
        if found is not None:
            yield found
        elif not word[0].isalnum():
            yield _Item("operator", "plus") if word == "+" else _Item("mark", word)
        elif any(c.isdigit() for c in word) or (token[0].isupper() and at > 0 and not titled) or word in names():
            yield _Item("name", token)
        else:
            yield _Item("unread", token.lower())
        at += size


def _longest(stems: Sequence[str], at: int, phrases: Mapping[tuple[str, ...], Phrase], longest: int) -> tuple[_Item | None, int]:
    """The longest phrase or operator that begins here, as an item with its length; one word where there is none."""
    for size in range(min(max(longest, 3), len(stems) - at), 0, -1):
        key = tuple(stems[at : at + size])
        joined = " ".join(key)
        if key in phrases:
            return _Item("phrase", joined, phrases[key]), size
        following = stems[at + size] if at + size < len(stems) else ""
        if joined in _AFTER and at > 0 and following != ":" and (not following[:1].isalnum() or joined not in _OPERATORS):
            return _Item("after", _AFTER[joined]), size
        if joined in _OPERATORS:
            return _Item("operator", _OPERATORS[joined]), size
        if joined == "but":
            everything = bool({"everything", "all", "anything"} & set(stems[max(0, at - 2) : at]))
            return _Item("operator", "except" if everything else "plus"), size
    return None, 1


def _fold(groups: Sequence[_Group]) -> tuple[tuple[Contents, ...], Contents, list[str]]:
    """Readings after every group was included, excluded or singled out; what was excluded; words of groups that contradict themselves."""
    named_alone = len(groups) > 1 and not groups[0].phrases and groups[1].explicit and groups[1].operator != "only"
    readings: list[Contents] = [frozenset(MODEL)] if named_alone else [frozenset()]
    conflicts: list[str] = []
    listed: Contents = frozenset()
    excluded: Contents = frozenset()
    everything = singled = False
    for group in groups:
        named, conflict = _of_group(group)
        conflicts += conflict
        if group.operator == "exclude":
            taken = frozenset().union(*named)
            readings = [r for r in readings if not r & taken] or [r - taken for r in readings]
            excluded |= taken
        elif not named:
            continue
        elif group.operator == "only":
            narrowest = min(named, key=len)
            readings = [r | narrowest for r in readings] if singled else [narrowest]
            singled = True
            continue
        elif group.listed and readings != [frozenset()]:
            listed |= frozenset().union(*named[:1])
        else:
            everything = everything or named == [frozenset(MODEL)]
            readings = [a | b for a, b in product(readings, named)]
    if listed:
        readings = [listed | frozenset(FINAL_RUN), *([r | listed for r in readings] if everything else [])]
    if readings == [frozenset()] and not excluded and any(g.names for g in groups):
        readings = [frozenset(MODEL)]  # a name alone stands for its model
    return tuple(dict.fromkeys(r for r in readings if r)), excluded, conflicts


def _of_group(group: _Group) -> tuple[list[Contents], list[str]]:
    """What a group may mean: the readings of its most specific phrases; two parts that differ contradict each other."""
    for rank in RANKS:
        found = [(words, p) for words, p in group.phrases if p.rank == rank and p.readings]
        if not found:
            continue
        if group.operator == "exclude":
            return [p.part or frozenset().union(*p.readings) for _, p in found], []
        common = [r for r in found[0][1].readings if all(r in p.readings for _, p in found)]
        return (common, []) if common else ([], [" ".join(words for words, _ in found)])
    return [], []


def _stemmed(words: str) -> str:
    return " ".join(stem(w) for w in words.split())


_OPERATORS = {_stemmed(w): w for w in OPERATORS}
_AFTER = {_stemmed(w): w for w in AFTER}
