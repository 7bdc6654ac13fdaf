"""A verdict as one screen of text, 80 columns by 40 lines: nothing on it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..catalog.rows import find, source_title
from ..cost.pricing import Rental
from ..model.counting import flops_per_token
from ..units import SECONDS_PER_HOUR, human

if TYPE_CHECKING:
    from .verdict import Check, Rung, Verdict

WIDTH = 80


def screen(verdict: Verdict) -> str:
    """The text of a verdict."""
    notes = _Notes()
    blocks = [_head(verdict, notes), _hours(verdict, notes)]
    if verdict.rungs:
        blocks.append(_ladder(verdict))
    blocks.append(_decides(verdict))
    blocks.append(_foot(verdict, notes))
    return "\n\n".join("\n".join(line[:WIDTH].rstrip() for line in block) for block in blocks)


class _Notes:
    """Sources in the order they are first cited."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def __call__(self, title: str) -> str:
        if title not in self.titles:
            self.titles.append(title)
        return f"[{self.titles.index(title) + 1}]"


def ordinal(percentile: float) -> str:
    """A percentile in words.

    >>> ordinal(0.16), ordinal(0.0004), ordinal(0.914)
    ('16th pct.', '<1st pct.', '91st pct.')
    """
    if percentile < 0.01:
        return "<1st pct."
    if percentile > 0.99:
        return ">99th pct."
    whole = round(percentile * 100)
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(whole % 10 if whole % 100 not in (11, 12, 13) else 0, "th")
    return f"{whole}{suffix} pct."


def _head(v: Verdict, notes: _Notes) -> list[str]:
    from .. import __version__

    run, claim = v.subject, v.claim
    told = f'"{_money(claim.in_base()) if claim.judged_in == "USD" else human(claim.in_base()) + " " + claim.judged_in}"'
    left = f"Is {run.name}'s {told} plausible?"
    version = f"trainsim {__version__}"
    lines = [f"{left}{version:>{WIDTH - len(left)}}", "=" * WIDTH]
    est = v.estimate
    cite = notes(_source(run.sources().get(f"phases.{_main(v)}.tokens", "the user")))
    price = float(est.price.total)
    lines.append(f"CLAIM    {human(float(est.busy_gpu_hours), 4)} {run.cluster.chip.name}-hours × ${price:.2f} = {_money(float(est.busy_gpu_hours) * price, 4)} {cite}")
    lines.append(f"VERDICT  number: {v.number:<17} as: {claim.scope or 'stated'}")
    if claim.told_as and claim.told_as != claim.scope:
        lines.append(f'         words:  {v.words:<17} as: "{claim.told_as}"')
    return lines


def _hours(v: Verdict, notes: _Notes) -> list[str]:
    name = _main(v)
    phase, run = v.estimate.phases[name], v.subject
    told = float(phase.busy_gpu_seconds) / SECONDS_PER_HOUR
    tokens = float(phase.phase.tokens or 0.0)
    per_token = float(flops_per_token(run.model, phase.phase.seq_len or 1.0).total)
    check, physics = v.check("hours"), v.check("physics")
    shares = physics.finding.partition("imply ")[2]
    lines = [
        f"1  Could the run take so {'few' if (check.percentile or 0) < 0.5 else 'many'} hours?      ({name}; downtime not counted)",
        f"   work     {human(per_token)} FLOP/token × {human(tokens)} tokens = {human(per_token * tokens)} FLOP      A counted",
        f"   implied  {shares:<53}A arithmetic",
        f"   stated   {human(told, 4)} hours                                              A disclosed",
    ]
    for row_id, hours in v.others.items():
        row = find("runs", row_id)
        cite = notes(source_title(row.source[0]))
        who = "own log" if row.get("org") == find("runs", run.name).get("org") and row.derived_from else f"{row.get('org')}"
        chips = f"{human(float(row.get('gpus') or 0), 4)} {row.get('chip')}"
        lines.append(f"   others   {who}, {chips}: {human(hours, 4)} ({hours / told - 1:+.0%}) {cite}".ljust(65) + "A measured")
    quantiles = v.blind.quantile("hours", (0.05, 0.5, 0.95)) if v.blind is not None else ()
    low, mid, high = (human(float(q)) for q in quantiles)
    lines.append(f"   physics  {low} [{mid}] {high} hours, this run unseen".ljust(65) + f"B {ordinal(check.percentile or 0.0)}")
    lines.append(f"            {_span(check)} under the narrowest and widest reading of the evidence")
    lines.append(f"   => {_answer(physics.word, check)}")
    return lines


def _span(check: Check) -> str:
    ends = sorted(x for x in (check.narrow, check.wide) if x is not None)
    return f"{ordinal(ends[0])} to {ordinal(ends[-1])}" if ends else ""


def _answer(possible: str, check: Check) -> str:
    if possible == "IMPOSSIBLE":
        return "No. The chips can't do that much work in so few hours."
    at = check.percentile or 0.0
    side = "efficient" if at < 0.5 else "slow"
    return {
        "HOLDS": f"Yes. {'Efficient' if at < 0.25 else 'Ordinary' if at < 0.75 else 'Slow'}, within what others' runs suggest.",
        "STRAINED": f"Barely. More {side} than nearly all runs seen elsewhere.",
        "FAILS": f"Not credible. More {side} than any run seen elsewhere suggests.",
    }[check.word]


def _ladder(v: Verdict) -> list[str]:
    value = v.claim.in_base()
    lines = [
        "2  What does it come to, and what does it leave out?",
        f"   $M, each line adds to the one above     5%   [50%]    95%   own   under {_money(value)}",
    ]
    lines += [_rung(letter, r) for letter, r in zip("ABCDEFGH", v.rungs, strict=False)]
    rent = v.check("rent")
    stated = v.subject.price
    if isinstance(stated, Rental) and rent.percentile is not None:
        quotes = v.evidence["rent"]
        lines.append(f"   rent  ${float(stated.usd_per_gpu_hour):.2f} stated is the {ordinal(rent.percentile).removesuffix(' pct.')} percentile of {quotes.how}"[:WIDTH])
    if v.claim.leaves_out:
        lines += _wrapped("   left out: ", "; ".join(v.claim.leaves_out))
    return lines


def _rung(letter: str, r: Rung) -> str:
    low, mid, high = (_millions(float(q)) for q in r.rent)
    own = _millions(float(r.owner)) if r.owner is not None else ""
    odds = float(r.odds)
    shown = f"{odds:.0%}" if 0.01 <= odds <= 0.99 else "<1%" if odds < 0.01 else ">99%"
    return f"   {letter}  {r.label:<32}{low:>7} {f'[{mid}]':>8} {high:>6}{own:>6}{shown:>8}   {r.grade}"


def _decides(v: Verdict) -> list[str]:
    used, aside = ({k: len(getattr(e, field)) for k, e in v.evidence.items()} for field in ("used", "set_aside"))
    lines = [f"{3 if v.rungs else 2}  On what does it rest?"]
    for name, evidence in v.evidence.items():
        lines += _wrapped(f"   {name:<6}", f"{evidence.how}; {used[name]} rows used, {aside[name]} set aside")
    for check in v.checks:
        at = f", {ordinal(check.percentile)}" if check.percentile is not None else ""
        lines.append(f"   {check.name:<11}{check.word}{at}")
    return lines


def _foot(v: Verdict, notes: _Notes) -> list[str]:
    lines = ["A counted or disclosed   B priced or inferred from rows   C judgement"]
    lines += _wrapped("", "  ".join(f"[{i}] {t}" for i, t in enumerate(notes.titles, 1)))
    sim = v.dollars or v.blind
    if sim is not None:
        lines.append(f"every quantile ±0.1 % · seed {sim.seed} · rows set aside: verdict.evidence")
    return lines


def _wrapped(head: str, text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))


def _main(v: Verdict) -> str:
    from .verdict import main_phase

    return main_phase(v.subject)


def _source(cited: str) -> str:
    return cited.partition(";")[0].partition(" (")[0]


def _millions(value: float) -> str:
    size = value / 1e6
    return f"{size:.0f}" if size >= 10 else f"{size:.1f}"


def _money(value: float, digits: int = 3) -> str:
    """Dollars as people say them.

    >>> _money(6e6), _money(5.576e6, 4), _money(1.6e9)
    ('$6M', '$5.576M', '$1.6B')
    """
    shown = human(value, digits)
    number, suffix = (shown[:-1], shown[-1]) if shown[-1].isalpha() else (shown, "")
    return f"${number.rstrip('0').rstrip('.') if '.' in number else number}{suffix}"
