"""Parse the words around a figure into a scope: match the longest known phrases, then apply include, exclude and only."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from .scope import FINAL_RUN, MODEL, Basis, Kind

Contents = frozenset[str]
Rank = Literal["part", "whole", "generic", "owner", "neutral"]
"""Precedence of a phrase within its word group, highest first: parts, wholes, generic words, owners. Neutral phrases name no content."""
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
"""Operators before their parts: words that include, exclude or single out the parts after them."""
TRAILING_OPERATORS: Mapping[str, Operator] = {
    "not included": "exclude", "excluded": "exclude", "left out": "exclude", "not counted": "exclude", "ignored": "exclude",
    "omitted": "exclude", "aside": "exclude", "come on top": "exclude", "not covered": "exclude", "extra": "exclude",
    "come extra": "exclude", "included": "include", "counted": "include",
    "only": "only", "alone": "only", "and nothing else": "only", "itself": "only", "exclusively": "only",
}  # fmt: skip
"""Operators after their parts: words that include, exclude or single out the parts before them."""
_TOKEN = re.compile(r"[^\W_]+(?:[.'][^\W_]+|,\d{3}(?!\d))*|[,:;()/&+-]", re.UNICODE)


@dataclass(frozen=True)
class Phrase:
    """A phrase of the catalogue.

    Args:
        readings: contents that it may mean, the likeliest first; empty for a phrase that only gives basis or kind.
        rank: its precedence within a word group.
        part: contents that the phrase removes if it is excluded; by default those of ``readings``.
        basis, kind: the basis and kind that it implies.
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
    """The scopes that words may mean.

    Args:
        words: the words, as published.
        readings: contents that they may mean, the likeliest first; empty if the words were not understood.
        basis, kind: the basis and kind that they imply; None if they imply none.
        unread: words that were not understood.
        excluded: contents that they explicitly exclude.

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
        """Whether every word was understood and some content is named."""
        return not self.unread and bool(self.readings)

    @property
    def widest(self) -> Contents:
        """The reading with the most contents."""
        return max(self.readings, key=len)

    @property
    def narrowest(self) -> Contents:
        """The reading with the fewest contents."""
        return min(self.readings, key=len)


@dataclass
class _Group:
    """Neighbouring phrases without a conjunction between them."""

    operator: Operator
    phrases: list[tuple[str, Phrase]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
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


def tokenize(words: str) -> list[str]:
    """Split text into words and marks: hyphenated words are split, possessives dropped, contracted negations expanded.

    >>> tokenize("Doesn't include pre-training's bill")
    ['Does', 'not', 'include', 'pre', 'training', 'bill']
    """
    plain = words.replace("’", "'").replace("–", "-").replace("—", ";").replace("&", " and ").replace("…", " ")
    plain = re.sub(r"n't\b", " not", plain)
    plain = re.sub(r"'s\b|s'(?=\s|$)", lambda m: "s" if m.group().startswith("s") else "", plain)
    plain = re.sub(r"(?<=\w)-(?=\w)", " ", plain)
    return [word for word in _TOKEN.findall(plain) if word != "-"]


def parse_scope(
    words: str,
    phrases: Mapping[tuple[str, ...], Phrase],
    names: Callable[[], Collection[str]] = frozenset,
    labs: Callable[[], Collection[str]] = frozenset,
) -> ScopeReading:
    """Parse words into the scopes they may mean.

    The longest known phrase is matched at every position. Neighbouring phrases form a group, whose most specific phrase counts;
    conjunctions and commas separate groups. Operators include, exclude or single out a group. An exclusion drops the readings that
    contain the excluded contents, or removes those contents if every reading contains them.

    Args:
        words: the words around a figure.
        phrases: stems of a phrase → its meaning.
        names: returns the stems of names of models, runs and labs; called only for a word that is in no phrase.
        labs: returns the stems of names of labs; called only if no phrase names any contents.

    Returns:
        the readings; a word that is neither a phrase, a function word nor a name makes the text not understood.

    >>> table = {("salary",): Phrase((frozenset({"people"}),)), ("compute",): Phrase((frozenset({"pretraining"}),), "generic")}
    >>> sorted(parse_scope("compute and salaries", table).readings[0])
    ['people', 'pretraining']
    """
    groups, matched, unread = _split_into_groups(tokenize(words), phrases, names)
    readings, excluded, conflicts = _combine_groups(groups)
    if not readings and not excluded and (named := [name for group in groups for name in group.names]):
        of_lab = (frozenset({"company"}),) if all(stem(name) in labs() for name in named) else ()
        readings = (frozenset(MODEL), *of_lab)  # a name without a phrase means the whole model, a lab's name perhaps the whole lab
    unread += [] if unread else conflicts
    bases = {p.basis for p in matched if p.basis is not None}
    kinds = {p.kind for p in matched if p.kind is not None and p.rank == "neutral"} or {p.kind for p in matched if p.kind is not None}
    owned = tuple(r for r in readings if r & OWNED)
    kinds -= {"stock"} if readings and not owned else set()
    readings = owned if kinds == {"stock"} and owned else readings  # "the GPUs it bought" does not mean hours of a run
    if len(bases) > 1 or len(kinds) > 1:
        unread.append(words)
    if unread:
        readings = ()
    return ScopeReading(words, readings, bases.pop() if bases else None, kinds.pop() if kinds else None, tuple(unread), excluded)


@dataclass(frozen=True)
class _Item:
    """A run of words: a phrase, a name, an operator before or after its parts, a mark, or an unknown word."""

    kind: Literal["phrase", "name", "operator", "after", "mark", "unread"]
    words: str
    phrase: Phrase = field(default_factory=Phrase)


def _split_into_groups(
    tokens: Sequence[str], phrases: Mapping[tuple[str, ...], Phrase], names: Callable[[], Collection[str]]
) -> tuple[list[_Group], list[Phrase], list[str]]:
    """Word groups with their operators, the matched phrases, and the unknown words."""
    groups: list[_Group] = [_Group("include")]
    matched: list[Phrase] = []
    unread: list[str] = []
    for item in _items(tokens, phrases, names):
        match item.kind:
            case "phrase":
                matched.append(item.phrase)
                if item.phrase.readings:
                    groups[-1].phrases.append((item.words, item.phrase))
            case "name":
                groups[-1].names.append(item.words)
            case "after":
                _apply_trailing_operator(groups, item.words)
                groups.append(_Group("include"))
            case "mark" | "operator":
                groups += _new_groups(groups[-1], item)
            case "unread":
                unread.append(item.words)
    return [g for g in groups if g.phrases or g.names], matched, unread


def _new_groups(last: _Group, item: _Item) -> list[_Group]:
    """The group that starts after a mark or an operator; before "all but" a group with all contents is added."""
    if item.kind == "mark":
        starts_list, ends_clause = item.words in (":", "(") and last.operator != "exclude", item.words == ";"
        return [_Group("include" if ends_clause else last.operator, listed=starts_list or last.listed, clause=last.clause + ends_clause)]
    joined = item.words in ("and", "or")
    negated = last.explicit and last.operator == "exclude" and not last.phrases and OPERATORS[item.words] == "include"  # "without counting"
    operator = last.operator if joined or negated else OPERATORS[item.words]
    whole = [_Group("include", [(item.words, EVERYTHING)], clause=last.clause)] if item.words in ("all but", "all except") else []
    return [*whole, _Group(operator, listed=last.listed, clause=last.clause, explicit=not joined)]


def _apply_trailing_operator(groups: list[_Group], words: str) -> None:
    """Apply an operator that follows its parts: an exclusion to every part of the clause except its first; another operator to the last
    part.
    """
    operator = TRAILING_OPERATORS[words]
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
        found, size = _longest_match(stems, at, phrases, longest)
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


def _longest_match(stems: Sequence[str], at: int, phrases: Mapping[tuple[str, ...], Phrase], longest: int) -> tuple[_Item | None, int]:
    """The longest phrase or operator at a position and its number of words; (None, 1) if there is none."""
    for size in range(min(max(longest, 3), len(stems) - at), 0, -1):
        key = tuple(stems[at : at + size])
        joined = " ".join(key)
        if key in phrases:
            return _Item("phrase", joined, phrases[key]), size
        following = stems[at + size] if at + size < len(stems) else ""
        if joined in _TRAILING_STEMS and at > 0 and following != ":" and (not following[:1].isalnum() or joined not in _OPERATOR_STEMS):
            return _Item("after", _TRAILING_STEMS[joined]), size
        if joined in _OPERATOR_STEMS:
            return _Item("operator", _OPERATOR_STEMS[joined]), size
        if joined == "but":
            everything = bool({"everything", "all", "anything"} & set(stems[max(0, at - 2) : at]))
            return _Item("operator", "except" if everything else "plus"), size
    return None, 1


def _combine_groups(groups: Sequence[_Group]) -> tuple[tuple[Contents, ...], Contents, list[str]]:
    """Include, exclude or single out every group: the readings, the excluded contents, and the words of contradictory groups."""
    named_alone = len(groups) > 1 and not groups[0].phrases and groups[1].explicit and groups[1].operator != "only"
    readings: list[Contents] = [frozenset(MODEL)] if named_alone else [frozenset()]
    conflicts: list[str] = []
    listed: Contents = frozenset()
    excluded: Contents = frozenset()
    everything = singled = False
    for group in groups:
        named, conflict = _group_readings(group)
        conflicts += conflict
        if group.operator == "exclude":
            taken, held = frozenset[str]().union(*named), frozenset[str]().union(*readings)
            taken -= held if held < taken else frozenset()  # "the run, not the whole project" excludes the rest of the project
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
    return tuple(dict.fromkeys(r for r in readings if r)), excluded, conflicts


def _group_readings(group: _Group) -> tuple[list[Contents], list[str]]:
    """Readings of a group's most specific phrases, and its words if two of those phrases contradict each other."""
    for rank in RANKS:
        found = [(words, p) for words, p in group.phrases if p.rank == rank and p.readings]
        if not found:
            continue
        if group.operator == "exclude":
            return [p.part or frozenset().union(*p.readings) for _, p in found], []
        common = [r for r in found[0][1].readings if all(r in p.readings for _, p in found)]
        common = _narrowed(common, [p for _, p in group.phrases if p.rank == "generic" and p.readings])
        return (common, []) if common else ([], [" ".join(words for words, _ in found)])
    return [], []


def _narrowed(readings: list[Contents], generic: Sequence[Phrase]) -> list[Contents]:
    """Ambiguous readings without those that a narrower generic phrase beside them rules out: "computing power to train" is the run's."""
    for phrase in generic:
        kept = [r for r in readings if r in phrase.readings]
        if kept and max(map(len, phrase.readings)) < max(map(len, readings)):
            readings = kept
    return readings


def _stem_all(words: str) -> str:
    return " ".join(stem(w) for w in words.split())


_OPERATOR_STEMS = {_stem_all(w): w for w in OPERATORS}
_TRAILING_STEMS = {_stem_all(w): w for w in TRAILING_OPERATORS}
