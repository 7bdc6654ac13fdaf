"""Format a verdict as text of 80 columns: headline, answers, evidence."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

from ..catalog.rows import find, source_title
from ..core.units import SECONDS_PER_HOUR, human
from ..model.counting import flops_per_token
from ..run.estimate import PhaseEstimate
from ..uncertainty.sampling.simulation import Figure
from .comparison import Check, ordinal
from .drivers import named, shares_of, without_hours
from .judgement import Reading
from .run_view import RunView
from .scope_ladder import Rung
from .sentences import claimed_in_words, figure_in_words, money, scope_in_words, title_of
from .verdict import Verdict

WIDTH, GRADE_AT = 80, 63
INDENT = " " * 12
LETTERS = "ABCDEFGH"
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9}
TIMED = ("cost", "gpu_hours", "busy_gpu_hours", "wall_days", "mfu")
"""Quantities that depend on the hours of a run."""
MOST = 3
"""Largest number of measured runs of the same model that are printed."""


def screen(verdict: Verdict) -> str:
    """The text of a verdict: one screen for a run, a few lines for any other claim."""
    notes = _Notes()
    blocks = [_head(verdict, notes)]
    if verdict.view is not None and verdict.claim.quantified:
        asked = [_hours(verdict, notes), _ladder(verdict), _decides(verdict)]
        blocks += [[f"{i}  {block[0]}", *block[1:]] for i, block in enumerate(filter(None, asked), 1)]
    elif verdict.rungs:
        blocks.append(_ladder(verdict))
    blocks[-1] += _evidence(verdict)
    blocks.append(_foot(verdict, notes))
    return "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks if block)


class _Notes:
    """Sources in the order they are first cited."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def __call__(self, title: str) -> str:
        if title not in self.titles:
            self.titles.append(title)
        return f"[{self.titles.index(title) + 1}]"


def _head(v: Verdict, notes: _Notes) -> list[str]:
    """The claim, the headline, and both words of the verdict with their scopes."""
    said = f', "{v.claim.told_as}"' if v.claim.told_as else ""
    cite = f" {notes(_source(v.claim.source))}" if v.claim.source else ""
    lines = [*_wrapped("", f"{title_of(v)}: {_quoted(v)}{said}{cite}"), *_wrapped("", v.headline)]
    if v.claim.original:
        lines += _wrapped("         ", f"original: {v.claim.original}")
    lines += _wrapped("NUMBER   ", f"{v.number}, {_number(v)}") + _wrapped("WORDS    ", f"{v.words}, {_words(v)}")
    return lines


def _quoted(v: Verdict) -> str:
    return f'"{claimed_in_words(v)}"' if v.claim.quantified else "a claim without a figure"


def _number(v: Verdict) -> str:
    """Scope of the number, and the figure that decided."""
    if v.found is None:
        return "it quantifies nothing"
    at = "" if "scope" in "".join(v.assumed) else f"as {scope_in_words(v)}"
    at = at or f"as {scope_in_words(v)} (assumed)"
    check = v.found.checks[0]
    predicted = v.found.predicted
    if predicted is None:
        return f"{at}: {check.finding}{_dated(check.newest)}"
    low, high = (figure_in_words(end, v.claim.base_unit, 2) for end in predicted.prediction.ninety)
    middle, width = figure_in_words(predicted.prediction.median, v.claim.base_unit, 2), human(predicted.prediction.width, 2)
    why = "; depends on judgement" if predicted.judged else "; too wide to tell" if v.number == "CANNOT BE JUDGED" else ""
    why = f"; {', '.join(predicted.missing)} not priced" if predicted.missing else why
    return f"{at}: predicted {middle} (90 %: {low}–{high}, P95/P5 {width}){why}{_dated(check.newest)}"


def _dated(newest: str) -> str:
    return f" [{newest}]" if newest else ""


def _words(v: Verdict) -> str:
    """Scope of the words, and the figure there; all possible meanings where there are several."""
    if v.words == "NOT UNDERSTOOD" and v.claimed_scope is not None:
        return f"not placed: {', '.join(v.claimed_scope.unread) or 'nothing is named'}"
    if not v.readings:
        return "nothing to compare them with"
    shown = []
    for r in sorted(v.readings, key=lambda r: r is not v.chosen):
        truth = "" if math.isnan(r.low) else f": {_span(v, r)}{_dated(r.newest.isoformat() if r.newest is not None else '')}"
        shown.append(f"as {r.name}{truth}" if r is v.chosen else f"{r.words} as {r.name}")
    return "; ".join(shown)


def _span(v: Verdict, r: Reading) -> str:
    """The figure at one meaning of the words, or the ends of its interval to two digits."""
    unit = v.claim.base_unit
    if r.low == r.high:
        return f"{'at least ' if r.at_least else ''}{figure_in_words(r.low, unit, 4)}"
    low, high = (figure_in_words(end, unit, 2) for end in (r.low, r.high))
    return f"at least {low}" if r.at_least else f"{low} to {high}"


# 1 -----------------------------------------------------------------------------------------------------------------


def _hours(v: Verdict, notes: _Notes) -> list[str]:
    """Work, implied utilisation, reported hours, measured runs, and the prediction from other labs' runs."""
    view = v.view
    if view is None or v.claim.is_ratio or v.claim.quantity not in TIMED:
        return []
    found = v.blind
    if found is None:
        return []
    phase = _main_phase(view)
    busy = float(phase.busy_gpu_seconds) / SECONDS_PER_HOUR
    tokens = float(phase.phase.tokens or 0.0)
    per_token = float(flops_per_token(view.run.model, phase.phase.seq_len or 1.0).total)
    low, mid, high = (human(found.quantile(q)) for q in (0.05, 0.5, 0.95))
    work = f"   {phase.phase.name:<9}{_giga(per_token)} GFLOP/token × {human(tokens)} tokens = {human(per_token * tokens)} FLOP"
    body = _graded(work, "A counted")
    if not view.reports_hours:
        body += _graded(f"   physics  {mid} hours (90 %: {low}–{high}) from other labs' runs", "B assumed")
        return [f"How many hours could it take?  ({view.run.phase_label(phase.phase.name)}; without downtime)", *body]
    at = found.percentile(busy)
    few, reported = ("few" if at < 50 else "many"), float(phase.given_gpu_seconds) / SECONDS_PER_HOUR
    alone = "" if len(view.run.phases) == 1 else f" in 1 of {len(view.run.phases)} phases"
    down = "" if phase.time == "busy" else f", downtime included: {human(busy, 4)} without"
    given = view.sourced("efficiency")
    body += _graded(f"   implied  {_implied(view, phase)}", "A arithmetic")
    body += _graded(f"   reported {human(reported, 4)} hours{alone}{down}", "A disclosed" if given else "C given")
    body += _others(v.others, busy, notes)
    ends = sorted([at, *(found.percentile(busy, b) for b in (found.evidence.narrow, found.evidence.wide))])
    span = "–".join(dict.fromkeys(ordinal(end).removesuffix(" pct.") for end in (ends[0], ends[-1])))
    body += _graded(f"   physics  {mid} hours (90 %: {low}–{high}), without this run", f"B {span} pct.")
    return [f"Could the run take so {few} hours? {_answer(at)}", *body]


def _main_phase(view: RunView) -> PhaseEstimate:
    return max((p for p in view.stated.phases.values() if p.flops is not None), key=lambda p: float(p.phase.tokens or 0.0))


def _implied(view: RunView, phase: PhaseEstimate) -> str:
    """The share of the chip's peaks that reported hours imply."""
    peak, flop = view.run.cluster.chip.peak, float(phase.flops.total) if phase.flops is not None else float("nan")
    formats = dict.fromkeys((view.run.cluster.chip.half, view.run.plan.recipe.products if view.run.plan is not None else "bf16"))
    shares = {d: flop / (float(phase.busy_gpu_seconds) * float(p)) for d in formats if (p := getattr(peak, d, None)) is not None}
    return ", ".join(f"{share:.1%} of the {d.upper()} peak" for d, share in shares.items())


def _giga(flops: float) -> str:
    """FLOPs in GFLOP, with four digits, or with every digit before the point if there are more."""
    return f"{flops / 1e9:,.4g}" if flops < 1e12 else f"{flops / 1e9:,.0f}"


def _others(others: Mapping[str, float], busy: float, notes: _Notes) -> list[str]:
    """Measured runs of the same model, one line each, or their range if there are many."""
    lines: list[str] = []
    strangers: dict[str, float] = {}
    for name, hours in others.items():
        if find("runs", name).derived_from:
            lines += _other("own log", name, hours, busy, notes)
        else:
            strangers[name] = hours
    if len(strangers) <= MOST:
        return lines + [line for name, hours in strangers.items() for line in _other("", name, hours, busy, notes)]
    low, high = min(strangers.values()), max(strangers.values())
    cited = "".join(dict.fromkeys(notes(source_title(find("runs", i).source[0])) for i in strangers))
    spread = f"{human(low, 4)} ({low / busy - 1:+.0%}) to {human(high, 4)} ({high / busy - 1:+.0%})"
    return lines + _graded(f"   others   {len(strangers)} measured: {spread} {cited}", "A measured")


def _other(own: str, name: str, hours: float, busy: float, notes: _Notes) -> list[str]:
    row = find("runs", name)
    who = own or str(row.get("org"))
    where = f"{row.get('gpus'):,} {_chips(row.get('chip'))}"
    text = f"   {'log' if own else 'others':<9}{who}, {where}: {human(hours, 4)} ({hours / busy - 1:+.0%})"
    return _graded(f"{text} {notes(source_title(row.source[0]))}", "A disclosed" if own else "A measured")


def _chips(name: str) -> str:
    return name.partition("-")[0].upper()


def _answer(at: float) -> str:
    side = "efficient" if at < 50 else "slow"
    if 5 <= at <= 95:
        return f"Yes: {'efficient' if at < 25 else 'ordinary' if at < 75 else 'slow'} among other labs' runs."
    if 0.5 <= at <= 99.5:
        return f"Barely: very {side}."
    return f"Hard to believe: too {side}."


# 2 -----------------------------------------------------------------------------------------------------------------


def _ladder(v: Verdict) -> list[str]:
    """Cost of each scope, rented and owned, and the probability that it is less than the claim."""
    if not v.rungs:
        return []
    value, size = v.claim.in_base(), max(float(r.rent[1]) for r in v.rungs)
    unit = next((u for u in ("B", "M", "K") if size >= _UNITS[u]), "K")
    lines = [
        "What does it come to, and what does it leave out?",
        f"   ${unit}, each line adds to the last     5%   [50%]    95%    own       under {money(value, 2)}",
    ]
    lines += [_rung(letter, r, _UNITS[unit]) for letter, r in zip(LETTERS, v.rungs, strict=False)]
    if v.priced is not None:
        lines += _wrapped("   rent     ", _rent(v))
    if any("feed" in r.label for r in v.rungs):
        lines.append("   C and the screens of the runs that feed it are one programme: don't add them.")
    left = list(v.claim.leaves_out) if "people" not in v.rungs[-1].contents else []
    return lines + (_wrapped("   left out ", "; ".join(left)) if left else [])


def _rung(letter: str, r: Rung, size: float) -> str:
    low, mid, high = (_digits(float(q) / size) for q in r.rent)
    own = f"[{_digits(float(r.owner) / size)}]" if r.owner is not None else ""
    odds = float(r.odds)
    shown = f"{odds:.0%}" if 0.01 <= odds <= 0.99 else "<1%" if odds < 0.01 else ">99%"
    return f"   {letter}  {r.label:<25}{low:>8}{f'[{mid}]':>8}{high:>7} {r.grade}{own:>7} {r.grade_owned or ' '}{shown:>10}"


def _rent(v: Verdict) -> str:
    """The rent used in the ladder, and the percentile of the reported rent among quotes."""
    check = next((c for c in v.checks if c.name == "rent"), None)
    held = v.evidence.get("rent")
    behind = held.how if held is not None else "the stated price"
    if check is None or check.percentile is None or v.view is None or v.view.rate is None:
        return f"assumed: {behind}"
    caveat = f"; {held.caveat}" if held is not None and held.caveat else ""
    return f"${v.view.rate:.2f} reported: {ordinal(check.percentile)} of {check.finding.partition(' vs ')[2].partition(',')[0]}{caveat}"


# 3 -----------------------------------------------------------------------------------------------------------------


def _decides(v: Verdict) -> list[str]:
    """Input values at which the claim would hold without reported hours, and the shares of inputs in the variance of the last rung."""
    if v.claim.is_ratio:
        return [
            f"   at {label.removeprefix('+ ')}: ×{human(float(m))} (90 %: {human(float(a))}–{human(float(b))})"
            for label, (a, m, b) in v.ratios.items()
        ]
    if not v.rungs:
        return []
    lines = ["What decides it?"]
    found = without_hours(v)
    if found is not None:
        low, mid, high = (money(float(q), 2) for q in found.dollars)
        needs = " or ".join(_need(name, *need) for name, need in found.needs.items())
        text = f"Ignoring the reported hours: {mid} (90 %: {low}–{high}); {money(v.claim.in_base())} needs {needs}."
        lines += _wrapped("   ", f"{text} Variance: {_shares(found.shares, 2)}.")
    shares = shares_of(v)
    return lines + (
        _wrapped("   ", f"Variance of {LETTERS[len(v.rungs) - 1]}, interactions included: {_shares(shares, 3)}.") if shares else []
    )


def _need(name: str, value: float, below: float) -> str:
    """The value of one input at which the claim holds with all others at their medians, and its probability."""
    low = below < 0.5
    likely = below if low else 1.0 - below
    shown = f"${value:.2f}" if name == "rent" else f"{value:.0%}"
    return f"{name} {'≤' if low else '≥'} {shown} ({f'{likely:.0%}' if likely >= 0.01 else '<1%'} likely)"


def _shares(shares: Mapping[str, Figure], most: int) -> str:
    """The inputs with the largest shares of variance, those of a percent or more."""
    ranked = sorted(((path, float(share)) for path, share in shares.items()), key=lambda item: -item[1])[:most]
    return ", ".join(f"{named(path)} {share:.0%}" for path, share in ranked if share >= 0.01)


# evidence ----------------------------------------------------------------------------------------------------------


def _evidence(v: Verdict) -> list[str]:
    """Checks that no line above shows, inputs filled in, and the sentences that may be printed."""
    above = ("hours", "rent") if v.rungs else ()
    shown = [c for c in v.checks if c.name not in above and (v.found is None or c is not v.found.checks[0])]
    lines = [line for check in shown for line in _wrapped("   ", _check(check), indent=" " * 6)]
    if v.assumed:
        lines += _wrapped("assumed  ", "; ".join(v.assumed))
    lines += _wrapped("PRINT    ", v.quote) + _wrapped("NOT      ", v.misquote)
    primary = v.claim.primary
    if primary is not None and not v.rungs and not any(primary.statement in c.finding for c in v.checks):
        lines += _wrapped("SOURCE   ", primary.statement)
    return lines


def _check(check: Check) -> str:
    at = f" ({ordinal(check.percentile)})" if check.percentile is not None else ""
    return f"{check.name}: {check.word}. {check.finding}{at}"


def _foot(v: Verdict, notes: _Notes) -> list[str]:
    lines = ["A counted or disclosed   B from market data or other labs' runs   C judgement"] if v.rungs else []
    lines += _wrapped("", "  ".join(f"[{i}] {t}" for i, t in enumerate(notes.titles, 1)))
    dates = _dates(v)
    evidence = v.evidence if v.rungs else {}
    used = ", ".join(f"{len(e.used)} {name}" for name, e in evidence.items() if e.used)
    return lines + _wrapped("", f"{dates}{f'; {used} rows' if used else ''}")


def _dates(v: Verdict) -> str:
    """The days by which the data were public: the day of knowledge, and the day before the claim for what is predicted."""
    if v.clock is None:
        return ""
    if v.clock.known == v.clock.blind:
        return f"data public by {v.clock.known}"
    predictions = "NUMBER, 1, 3" if v.rungs else "predictions"
    return f"data public by {v.clock.known}; {predictions}: by {v.clock.blind}"


def _graded(text: str, grade: str) -> list[str]:
    """A line with its grade in the last column, wrapped if it is too long."""
    first, *more = _wrapped("", text, GRADE_AT - 1, INDENT) or [""]
    return [f"{first:<{GRADE_AT}}{grade}", *more]


def _wrapped(head: str, text: str, width: int = WIDTH, indent: str | None = None) -> list[str]:
    """Text after a head, wrapped at the width of the head or at an indent."""
    below = " " * len(head) if indent is None else indent
    return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=below, break_on_hyphens=False)


def _source(cited: str) -> str:
    return cited.partition(";")[0].partition(" (")[0]


def _digits(value: float) -> str:
    """A number in few digits: none after the point from ten, one below ten, two below one."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
