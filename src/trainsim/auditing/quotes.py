"""Write a faithful sentence about a claim, and a misleading one."""

from __future__ import annotations

import math
import re

from ..claims.claim import Claim
from .disclosure import Disclosure
from .judgement import Reading
from .sentences import (
    NOUNS,
    TOO_LOW,
    claimed_in_words,
    figure_in_words,
    maker_of,
    noun_of,
    possessive,
    reading_noun,
    scope_of_subject,
    span_in_words,
    times_in_words,
    title_if_known,
    title_of,
)
from .verdict import Verdict

SENTENCES = {
    "gpu_hours": "{at} took {figure}", "busy_gpu_hours": "{at} took {figure} of stepping", "wall_days": "{at} lasted {figure}",
    "mfu": "{at} used {figure} of its accelerators' peak", "flops": "{at} took {figure}", "tokens": "{of} was trained on {figure}",
    "gpus": "{at} ran on {figure}", "energy": "{at} used {figure} of electricity", "params": "{of} has {figure}",
    "active_params": "a token uses {figure} of {of}",
    "layers": "{of} has {figure}", "experts": "{of} has {figure}", "mtp_depth": "in training, {of} predicts {figure} beyond the next",
    "tokens_per_position": "in training, {of} predicts {figure}", "kv_bytes_per_token": "{of} keeps {figure} in its cache",
    "fleet.gpus": "{of} has {figure}", "fleet.capex": "{of} bought its machines for {figure}",
    "fleet.operating": "running the machines of {of} costs {figure}",
    "fleet.operating_per_year": "running the machines of {of} costs {figure}",
    "investment": "{of} invested {figure} in its machines", "pay": "mean pay at {of} is {figure}",
}  # fmt: skip
"""Quantity → sentence that states a figure; the cost of a run has a separate sentence."""
RATIOS = {
    "cost": "{theirs} cost {figure} what {mine} did",
    "gpu_hours": "{theirs} took {figure} the GPU-hours of {mine}",
    "busy_gpu_hours": "{theirs} took {figure} the GPU-hours of {mine}",
    "wall_days": "{theirs} lasted {figure} as long as {mine}",
}
"""Quantity → sentence that compares two subjects."""
CARELESS = {
    "cost": "{figure} is what {of} cost", "gpu_hours": "{of} took {figure}, everything included", "gpus": "{of} took {figure} in all",
    "experts": "{of} has {figure} in all its layers", "mfu": "{of} used {figure} of its accelerators all the time",
}  # fmt: skip
"""Quantity → careless wording of a true figure."""


def quote_of(verdict: Verdict) -> str:
    """A faithful sentence that says what the figure covers and what it does not."""
    claim = verdict.claim
    if not claim.quantified:
        return f"It was said: “{claim.statement}” {_source_says(verdict)}"
    fact = None if verdict.found is None else verdict.found.fact
    says = {
        "CONFIRMED": _agreed,
        "NOT REFUTED": _not_refuted,
        "STRAINED": _strained,
        "REFUTED": _refuted,
        "IMPOSSIBLE": _impossible,
        "CANNOT BE JUDGED": _not_judged,
    }[verdict.number](verdict, fact)
    said = f"{_begun(says, verdict)}{_is_not(verdict)}."
    if verdict.number == "CANNOT BE JUDGED" and claim.primary is not None:
        return f"{said} {_source_says(verdict)}"
    return said


def misquote_of(verdict: Verdict) -> str:
    """A misleading sentence: the claim in its published words, or in careless ones."""
    claim = verdict.claim
    if not claim.quantified:
        return f"“{claim.statement}”"
    doubtful = verdict.words in ("MISLEADING", "NOT UNDERSTOOD") or verdict.number in ("REFUTED", "IMPOSSIBLE", "STRAINED")
    figure = claimed_in_words(verdict)
    if claim.told_as and doubtful:
        said = claim.told_as if _holds_figure(claim) else _told(figure, claim)
    elif verdict.number in ("CONFIRMED", "NOT REFUTED") and claim.quantity in CARELESS and not claim.is_ratio:
        said = CARELESS[claim.quantity].format(figure=figure, of=title_of(verdict))
    else:
        said = states(verdict) if verdict.number != "CONFIRMED" else f"it has been verified that {states(verdict)}"
    return f"“{_begun(said, verdict)}.”"


def _told(figure: str, claim: Claim) -> str:
    """The figure with its published words: "$6M is the cost of V3", but "training Llama 3.1 405B: 39.3M GPU-hours"."""
    clause = claim.told_as.lower().startswith("what ")
    noun = clause or (_NOUN.match(claim.told_as) and not _UNFINISHED.search(claim.told_as))
    return f"{figure} {_is(figure, claim.base_unit)} {claim.told_as}" if noun else f"{claim.told_as}: {figure}"


_NOUN = re.compile(r"(?:the|an?|its|their|our|all|total)\b|\w+'s ", re.IGNORECASE)
_UNFINISHED = re.compile(r"\b(?:took|takes|was|were|costs?|needs?|needed|used|spent|for|on|in|at|by|with)$", re.IGNORECASE)


def _holds_figure(claim: Claim) -> bool:
    """Whether the published words of a claim contain its figure: "BLOOM cost 5M dollars"."""
    known = [v for v in (claim.value, claim.low, claim.high) if v is not None]
    found = [float(number.replace(",", "")) * FACTORS[word.lower()] for number, word in _NUMBERS.findall(claim.told_as)]
    scales = (1.0, 1e3, 1e6, 1e9)  # for a claim in MUSD the words say "6 million"
    return any(math.isclose(number, value * scale, rel_tol=0.01) for number in found for value in known for scale in scales)


FACTORS = {"": 1.0, "k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "billion": 1e9, "t": 1e12, "trillion": 1e12}
"""Words of size behind a number → factor."""
_NUMBERS = re.compile(r"(?<![\w.,-])[$€£¥]?(\d[\d,]*\.?\d*)\s?(k|m|b|t|thousand|million|billion|trillion|)(?![\w-])", re.IGNORECASE)


def _begun(said: str, verdict: Verdict) -> str:
    """Capitalise a sentence, except for names in lower case: gpt-oss, dots.llm1."""
    names = (title_of(verdict), verdict.claim.versus)
    return said if any(name and said.startswith(name) for name in names) else f"{said[0].upper()}{said[1:]}"


def states(verdict: Verdict, about: str = "") -> str:
    """The claim as a sentence at the scope of its number: "DeepSeek-V3's final run took 2.788M GPU-hours"."""
    quantity, figure = verdict.claim.quantity, about + claimed_in_words(verdict)
    at, of = scope_of_subject(verdict), title_of(verdict)
    if verdict.claim.is_ratio:
        other = scope_of_subject(verdict, title_if_known(verdict.claim.versus))
        sides = {"theirs": other, "mine": at} if "{at}" in NOUNS.get(quantity, "{at}") else {"theirs": of, "mine": of}
        if quantity not in RATIOS:
            return f"{figure} is {noun_of(verdict)}"
        return RATIOS[quantity].format(figure=figure, **sides)
    if quantity in SENTENCES:
        return SENTENCES[quantity].format(at=at, of=of, figure=figure)
    if verdict.claim.bound or verdict.claim.low is not None:
        return f"{noun_of(verdict)} is {figure}"
    return f"{figure.removeprefix(about)} is {about}{noun_of(verdict)}"


# by number ---------------------------------------------------------------------------------------------------------


def _agreed(verdict: Verdict, fact: Disclosure | None) -> str:
    """A confirmed figure, with the disclosed figure if the two print differently."""
    claim, whose = verdict.claim, _whose(verdict)
    said = states(verdict)
    if fact is None or fact.bound or claim.bound or claim.low is not None:
        return f"{said}, by {whose}" if claim.is_ratio or (fact is not None and fact.sourced) else said
    own = figure_in_words(fact.nearest_to(verdict.stated.value), claim.base_unit, 4)
    if own == claimed_in_words(verdict, 4):
        named = f" ({fact.label})" if fact.label and "{of}" in NOUNS.get(claim.quantity, "") else ""
        return f"{said}{named}, by {whose}"
    return f"{states(verdict, 'about ')} ({own} by {whose})"


def _not_refuted(verdict: Verdict, fact: Disclosure | None) -> str:
    said = states(verdict)
    if fact is not None and not fact.sourced:
        return f"{said}, by the inputs given"
    if fact is not None:
        return f"{_disclosed(verdict, fact)}, which does not rule out that {said}"
    return f"it is plausible that {said}{_predicted(verdict)}"


def _strained(verdict: Verdict, fact: Disclosure | None) -> str:
    if fact is None or any("hard to believe" in check.finding for check in verdict.checks):
        return f"it is hard to believe that {states(verdict)}{_predicted(verdict)}"
    return f"it is not quite right that {states(verdict)}{_instead(verdict, fact)}"


def _refuted(verdict: Verdict, fact: Disclosure | None) -> str:
    return f"it is wrong that {states(verdict)}{_instead(verdict, fact) or _predicted(verdict)}"


def _impossible(verdict: Verdict, fact: Disclosure | None) -> str:
    del fact
    return f"it is impossible that {states(verdict)}: {verdict.checks[0].finding.removeprefix('claimed ')}"


def _not_judged(verdict: Verdict, fact: Disclosure | None) -> str:
    predicted = None if verdict.found is None else verdict.found.predicted
    if predicted is None or predicted.judged or predicted.missing or fact is not None:
        return f"nobody has published enough to judge whether {states(verdict)}"
    span = span_in_words(*predicted.prediction.ninety, verdict.claim.base_unit)
    figure = claimed_in_words(verdict)
    return f"what is public allows anything from {span} for {noun_of(verdict)}, so that {figure} is neither confirmed nor refuted"


def _instead(verdict: Verdict, fact: Disclosure | None) -> str:
    """The disclosed figure, and the related figure that the claim fits."""
    if fact is None:
        return ""
    unit = verdict.claim.base_unit
    points = () if verdict.found is None else verdict.found.points_to
    fits = f", and the claim fits {points[0].label} ({figure_in_words(points[0].value, unit, 4)})" if points else ""
    return f": {_disclosed(verdict, fact)}{fits}"


def _disclosed(verdict: Verdict, fact: Disclosure) -> str:
    """A disclosed figure with its source: "Meta's own figures give 30.84M GPU-hours"."""
    bound = {"": "", "at least": "more than ", "at most": "less than "}[fact.bound]
    figure = figure_in_words(fact.nearest_to(verdict.stated.value), verdict.claim.base_unit, 4)
    return f"{_whose(verdict, fact)} give {bound}{figure}"


def _predicted(verdict: Verdict) -> str:
    """The predicted interval that the claim was compared with."""
    predicted = None if verdict.found is None else verdict.found.predicted
    if predicted is None:
        return ""
    return f": what is public makes {span_in_words(*predicted.prediction.ninety, verdict.claim.base_unit)} likely"


# the misread figure ------------------------------------------------------------------------------------------------


def _is_not(verdict: Verdict) -> str:
    """What the figure is mistaken for, and the ratio of that quantity to the figure."""
    chosen = verdict.chosen
    if verdict.words != "MISLEADING" or chosen is None:
        return ""
    if changed_terms := next((c.finding for c in verdict.checks if "not faithful" in c.finding), ""):
        return f"; the claim is {changed_terms}"
    same = chosen.contents == verdict.contents
    if same and verdict.number in ("STRAINED", "REFUTED"):
        return ""
    far = _as_much(chosen, verdict.stated.value)
    if not far or "{at}" not in NOUNS.get(verdict.claim.quantity, "{at}"):
        return ", and it is not what its words say"
    named = reading_noun(verdict, chosen).replace("the cost of the model", "what the model cost")
    if verdict.number in ("CONFIRMED", "NOT REFUTED") and verdict.claim.quantity == "cost" and not verdict.claim.is_ratio:
        return f", not {named}: that was {far}"
    ends = (chosen.low, chosen.low if chosen.at_least else chosen.high)
    truth = f"{'at least ' if chosen.at_least else ''}{span_in_words(*ends, verdict.claim.base_unit)}"
    return f"; {named} {_was(named)} {_likely(chosen)}{truth}"


def _was(noun: str) -> str:
    return "were" if noun.startswith(("the GPU", "the days", "the FLOPs", "the training tokens")) else "was"


def _as_much(reading: Reading, value: float) -> str:
    """Ratio of the figure at a meaning of the words to the claimed one, in words."""
    far = times_in_words(reading, value)
    if far in ("", TOO_LOW):
        return ""
    likely = _likely(reading)
    if far.endswith("low"):
        return f"{likely}{far.removesuffix(' too low')} as much"
    return f"{likely}{far.removesuffix(' too high')} less"


def _likely(reading: Reading) -> str:
    return "" if reading.low == reading.high or math.isnan(reading.low) else "probably "


def _whose(verdict: Verdict, fact: Disclosure | None = None) -> str:
    """Source of the figures that a claim agrees with or contradicts: "DeepSeek's own figures"."""
    if fact is not None and not fact.sourced:
        return "the inputs given"
    if verdict.claim.is_ratio:
        return "the makers' own figures"
    return f"{possessive(maker_of(verdict))} own figures"


def _is(figure: str, unit: str) -> str:
    return "is" if unit.startswith(("USD", "1", "times")) or figure.startswith("1 ") else "are"


def _source_says(verdict: Verdict) -> str:
    primary = verdict.claim.primary
    return f"The nearest source says: {primary.statement}" if primary is not None else "Nothing that was published confirms or refutes it."
