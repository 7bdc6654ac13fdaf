"""Words of a verdict: figures, subject, headline."""

from __future__ import annotations

from ..catalog.rows import rows
from ..claims.scope import FINAL_RUN, contents_text
from ..core.units import human
from .comparison import distance
from .disclosure import Disclosure
from .judgement import Reading
from .measure import Unknown
from .relatives import title
from .verdict import Verdict

NOUNS = {
    "cost": "the cost of {at}",
    "gpu_hours": "the GPU-hours of {at}", "busy_gpu_hours": "the GPU-hours of {at}", "wall_days": "the days of {at}",
    "mfu": "the utilisation of {at}", "flops": "the FLOPs of {at}", "tokens": "the training tokens of {at}", "gpus": "the GPUs of {at}",
    "energy": "the electricity of {at}",
    "params": "the parameters of {of}", "active_params": "the active parameters of {of}",
    "layers": "the layers of {of}", "experts": "the experts of {of}", "mtp_depth": "the prediction depth of {of}",
    "tokens_per_position": "what {of} predicts at a position", "kv_bytes_per_token": "the cache of a token of {of}",
    "fleet.gpus": "the GPUs of {of}", "fleet.capex": "the purchase of the machines of {of}",
    "fleet.operating": "the operation of the machines of {of}", "fleet.operating_per_year": "a year's operation of the machines of {of}",
    "investment": "what was invested in the machines of {of}", "pay": "mean pay at {of}",
}  # fmt: skip
"""Quantity → noun phrase, with the placeholders ``{at}`` for the scope or ``{of}`` for the subject."""
UNIT_WORDS = {
    "GPU-h": "GPU-hours", "GPU": "GPUs", "token": "tokens", "expert": "experts", "layer": "layers", "parameter": "parameters",
    "day": "days", "token/position": "tokens a position",
}  # fmt: skip

MEGAWATT_HOURS_FROM = 1e4
"""Energy from which megawatt-hours are printed [kWh]."""


def money(value: float, digits: int = 3) -> str:
    """Dollars in short form.

    >>> money(6e6), money(5.576e6, 4), money(-1.6e9)
    ('$6M', '$5.576M', '−$1.6B')
    """
    return f"{'−' * (value < 0)}${trimmed(abs(value), digits)}"


def trimmed(value: float, digits: int = 3) -> str:
    """A number without trailing zeros.

    >>> trimmed(2.7880e6, 4), trimmed(100)
    ('2.788M', '100')
    """
    shown = human(value, digits)
    if "e" in shown:
        mantissa, _, power = shown.partition("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{power}"
    number, suffix = (shown[:-1], shown[-1]) if shown[-1:].isalpha() else (shown, "")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + suffix


def figure_in_words(value: float, unit: str, digits: int = 3) -> str:
    """A figure with its unit in short form.

    >>> figure_in_words(2048, "GPU"), figure_in_words(0.39, "1"), figure_in_words(6e6, "USD"), figure_in_words(433_196, "kWh")
    ('2,048 GPUs', '39%', '$6M', '433.2 MWh')
    """
    if unit.startswith("USD"):
        return money(value, digits) + (" a year" if unit.endswith("year") else "")
    if unit == "1":
        return f"{100 * value:.{digits}g}%"
    if unit == "times":
        return f"{trimmed(value, digits)} times"
    if unit == "kWh" and value >= MEGAWATT_HOURS_FROM:
        return f"{trimmed(value / 1e6, 4)} GWh" if value >= 1e6 else f"{trimmed(value / 1e3, 4)} MWh"
    count = f"{value:,.0f}" if value == round(value) and value < 1e6 else trimmed(value, 4)
    return f"{count} {UNIT_WORDS.get(unit, unit)}".rstrip()


def span_in_words(low: float, high: float, unit: str) -> str:
    """The ends of an interval to two digits, or one figure where they print equal.

    >>> span_in_words(2.1e6, 22e6, "USD"), span_in_words(6.2, 50, "times")
    ('$2.1M to $22M', '6.2 to 50 times')
    """
    ends = list(dict.fromkeys(figure_in_words(end, unit, 2) for end in (low, high)))
    tail = f" {UNIT_WORDS.get(unit, unit)}" if not unit.startswith("USD") and unit != "1" else ""
    return " to ".join([*(end.removesuffix(tail) for end in ends[:-1]), ends[-1]])


def claimed_in_words(verdict: Verdict, digits: int = 3) -> str:
    """The claimed figure in words; the claim's statement where it has none."""
    claim = verdict.claim
    if not claim.quantified:
        return claim.statement or claim.quantity
    shown = [figure_in_words(value, claim.base_unit, digits) for value in dict.fromkeys(claim.ends())]
    return f"{f'{claim.bound} ' if claim.bound else ''}{' to '.join(shown)}"


def title_of(verdict: Verdict) -> str:
    """Name of the subject: the published name of a run, or the given name."""
    view = verdict.view
    name = verdict.claim.subject
    if view is not None:
        return title(view.row.id) if view.row is not None else view.given.label
    known = rows("models").get(name) or rows("runs").get(name)
    if known is not None and verdict.clock is not None and known.earliest <= verdict.clock.known:
        return title(name)
    named = next((str(row["title"]) for row in rows("disclosures").values() if row["subject"] == name and row.get("title")), "")
    return named or _organisation(name) or name or str(getattr(verdict.subject, "name", "")) or "its subject"


def title_if_known(name: str) -> str:
    """Title of a run or model, or its name if the catalogue has neither."""
    return title(name) if name in rows("runs") or name in rows("models") else name or "the other"


def maker_of(verdict: Verdict) -> str:
    """Maker of the claim's subject."""
    view, name = verdict.view, verdict.claim.subject
    if view is not None:
        return str(view.row.get("org", "its maker")) if view.row is not None else "its maker"
    made = next((row for row in rows("runs").values() if name and name in (row.id, row.get("model"))), None)
    return _organisation(name) or ("its maker" if made is None else str(made.get("org", "its maker")))


def _organisation(name: str) -> str:
    """Spelling of an organisation's name, from a name in any case; empty if no run of the catalogue is by it."""
    return next((org for row in rows("runs").values() if (org := str(row.get("org", ""))) and org.casefold() == name.casefold()), "")


LEAST_TIMES, TOO_LOW = 1.05, "too low"
"""If only a lower bound of a ratio is known and it is below ``LEAST_TIMES``, the words ``TOO_LOW`` are printed instead of the bound."""


def times_in_words(reading: Reading, value: float) -> str:
    """Ratio of a stated figure to the figure at one meaning of the words, in words.

    >>> times_in_words(Reading(frozenset(), "the whole model", "MISLEADING", 37e6, 146e6, ""), 6e6)
    '6.2 to 24 times too low'
    """
    if not reading.low > 0 or value <= 0:
        return ""
    low, high = reading.times(value)
    if reading.at_least and 1.0 <= low < LEAST_TIMES:
        return TOO_LOW
    if low >= 1.0:
        return f"at least {_times(low)} times too low" if reading.at_least else f"{_range(low, high)} too low"
    return f"{_range(1 / high, 1 / low)} too high" if high <= 1.0 else ""


def _range(low: float, high: float) -> str:
    shown = dict.fromkeys((_times(low), _times(high)))
    return f"{' to '.join(shown)} times"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else trimmed(ratio, 2)


def scope_in_words(verdict: Verdict) -> str:
    """Contents of the number, in words."""
    return contents_text(verdict.contents)


def possessive(name: str) -> str:
    """A name with its possessive ending.

    >>> possessive("DeepSeek"), possessive("Apertus")
    ("DeepSeek's", "Apertus'")
    """
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def scope_of_subject(verdict: Verdict, name: str = "") -> str:
    """Scope of the number with its subject: "DeepSeek-V3's final run"."""
    name, at = name or title_of(verdict), scope_in_words(verdict)
    if at == "the whole model":
        return f"{name} as a whole"
    if at == "the whole company":
        return f"all of {name}"
    if at.endswith(" of the model"):
        return f"{at.removesuffix('the model')}{name}"
    return f"{possessive(name)} {at.removeprefix('the ')}" if at.startswith("the ") and "," not in at else f"{at} of {name}"


def noun_of(verdict: Verdict) -> str:
    """Noun phrase for the quantity at its scope: "the rent of the GPUs for DeepSeek-V3's final run"."""
    quantity, name, at = verdict.claim.quantity, title_of(verdict), scope_in_words(verdict)
    of = scope_of_subject(verdict)
    rented = verdict.scope is not None and verdict.scope.basis == "market rent" and verdict.contents <= frozenset(FINAL_RUN)
    if verdict.claim.is_ratio:
        other, what = title_if_known(verdict.claim.versus), NOUNS.get(quantity, "").partition(" of {")[0]
        return f"{what if what and '{' not in what else 'the figure'} of {other} over that of {name} ({at})"
    if quantity == "cost" and verdict.view is None and isinstance(verdict.measure, Unknown):
        return f"what {of} cost" if verdict.claim.scope else f"what training {name} cost"
    template = "the rent of the GPUs for {at}" if quantity == "cost" and rented else NOUNS.get(quantity, "{at}")
    return template.format(at=of, of=name)


def headline_of(verdict: Verdict) -> str:
    """The verdict in one sentence."""
    return f"{_of_number(verdict)}{_of_words(verdict)}."


def _at(verdict: Verdict) -> str:
    """The scope as text; empty for an architecture, a fleet or pay, which have none."""
    return f" {{}} {scope_in_words(verdict)}" if "{at}" in NOUNS.get(verdict.claim.quantity, "{at}") else ""


def _of_number(verdict: Verdict) -> str:
    if not verdict.claim.quantified:
        return "No figure to judge"
    fact = None if verdict.found is None else verdict.found.fact
    kind, at = _kind_of(fact), _at(verdict)
    return {
        "CONFIRMED": f"Agrees with {kind.format(_whose(verdict))}{at.format('for')}",
        "NOT REFUTED": f"Agrees with {kind.format(_whose(verdict))}{at.format('for')}"
        if fact is not None
        else f"Plausible{at.format('as')}",
        "STRAINED": f"{_strained(verdict)}{at.format('as')}{_far(verdict, fact)}",
        "REFUTED": f"Wrong{at.format('as')}{_far(verdict, fact)}",
        "IMPOSSIBLE": "Impossible: it breaks a bound of nature or of counting",
        "CANNOT BE JUDGED": f"The number cannot be judged{at.format('as')}",
    }[verdict.number]


def _strained(verdict: Verdict) -> str:
    """Headline of a strained figure: it deviates from the disclosed figure, or is implausible."""
    fact = None if verdict.found is None else verdict.found.fact
    doubted = fact is None or any("hard to believe" in check.finding for check in verdict.checks)
    return "Hard to believe" if doubted else "Not quite right"


def _kind_of(fact: Disclosure | None) -> str:
    """Kind of a disclosure, with a placeholder for its owner."""
    if fact is None or not fact.sourced:
        return "the inputs given"
    return "the bound that was disclosed" if fact.bound else "{} own figure"


def _whose(verdict: Verdict) -> str:
    if verdict.claim.is_ratio:
        return "the makers'"
    return possessive(maker_of(verdict))


def _far(verdict: Verdict, fact: Disclosure | None) -> str:
    """Deviation of a figure from the disclosed one, or from the predicted interval."""
    stated = verdict.stated.value
    if fact is None or verdict.claim.bound or not fact.value > 0 or stated <= 0:
        return ""
    figure = fact.nearest_to(stated)
    ratio = max(stated / figure, figure / stated)
    off = f"{trimmed(100 * (ratio - 1), 2)} %" if distance(stated, figure) < 0.7 else f"{_times(ratio)} times"
    return f": {off} too {'high' if stated > figure else 'low'}"


def _of_words(verdict: Verdict) -> str:
    chosen, claim = verdict.chosen, verdict.claim
    if verdict.words == "NOT UNDERSTOOD":
        return "; its words are not understood"
    if verdict.words != "MISLEADING":
        return ""
    if any("not faithful" in check.finding for check in verdict.checks):
        return "; its words are not faithful to their source"
    if chosen is None or not claim.quantified:
        return "; its words are misleading"
    far = times_in_words(chosen, verdict.stated.value)
    if not far:
        return "; its words present a stock as a flow, or a flow as a stock"
    same = chosen.contents == verdict.contents
    return "" if same and verdict.number in ("REFUTED", "STRAINED") else f"; as {reading_noun(verdict, chosen)} it is {far}"


def reading_noun(verdict: Verdict, reading: Reading) -> str:
    """Noun phrase for the quantity at one meaning of the words: "the cost of the model"."""
    at = "the model" if reading.name == "the whole model" else reading.name
    return NOUNS.get(verdict.claim.quantity, "that of {at}").format(at=at, of=at)
