"""A verdict as one screen of text, 80 columns by 40 lines: nothing on it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..catalog.rows import find, rows, source_title
from ..cost.pricing import Rental
from ..errors import ClaimError
from ..model.counting import flops_per_token
from ..uncertainty.simulation import half_width
from ..units import SECONDS_PER_HOUR, human
from .decides import named
from .words import main_phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..journey import Estimate
    from ..run import Run
    from ..uncertainty import Figure
    from ..uncertainty.reverse import Alone
    from .claim import Claim
    from .ladder import Rung
    from .verdict import Check, Verdict

WIDTH, GRADE_AT = 80, 63


def screen(verdict: Verdict) -> str:
    """The text of a verdict: one screen for a run, a few lines for any other claim."""
    if verdict.subject is None or verdict.estimate is None:
        return "\n".join(line[:WIDTH].rstrip() for line in brief(verdict))
    notes = _Notes()
    blocks = [_head(verdict, notes)]
    if verdict.blind is not None:
        blocks.append(_hours(verdict, notes))
    if verdict.rungs:
        blocks.append(_ladder(verdict))
    blocks += [_decides(verdict), _foot(verdict, notes)]
    return "\n\n".join("\n".join(line[:WIDTH].rstrip() for line in block) for block in blocks)


def brief(verdict: Verdict) -> list[str]:
    """A verdict in a few lines: what was said, the words for it, what it was held against, what the primary source says."""
    claim = verdict.claim
    value = f"{human(claim.in_base())} {claim.judged_in}: " if claim.value is not None else ""
    lines = _wrapped("CLAIM    ", value + (claim.statement or claim.quantity))
    words = f"; words {verdict.words}" if claim.told_as and claim.told_as != claim.scope else ""
    scope = f' as "{claim.scope}"' if claim.scope else ""
    lines += _wrapped("VERDICT  ", f"number {verdict.number}{scope}{words}")
    for check in verdict.checks:
        at = f" ({ordinal(check.percentile)})" if check.percentile is not None else ""
        lines += _wrapped("         ", f"{check.name}: {check.finding}{at}")
    if claim.primary is not None and not any(claim.primary.statement in c.finding for c in verdict.checks):
        lines += _wrapped("PRIMARY  ", claim.primary.statement)
    return lines


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

    >>> ordinal(16), ordinal(0.04), ordinal(91.4)
    ('16th pct.', '<1st pct.', '91st pct.')
    """
    if percentile < 1:
        return "<1st pct."
    if percentile > 99:
        return ">99th pct."
    whole = round(percentile)
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(whole % 10 if whole % 100 not in (11, 12, 13) else 0, "th")
    return f"{whole}{suffix} pct."


def title_of(run: Run) -> str:
    """What to call a run: its model's published name, or the name it was given."""
    known = rows("models")
    if run.model.name in known:
        return str(known[run.model.name].get("name", run.name)).rpartition(" ")[0] or run.name
    return run.name


def _chips(name: str) -> str:
    return name.partition("-")[0].upper()


def _graded(text: str, grade: str) -> str:
    return f"{text:<{GRADE_AT}.{GRADE_AT}}{grade}"


def _head(v: Verdict, notes: _Notes) -> list[str]:
    from .. import __version__

    run, est, claim = stated_run(v)
    told = f'"{money(claim.in_base()) if claim.judged_in == "USD" else human(claim.in_base()) + " " + claim.judged_in}"'
    left = f"Is {title_of(run)}'s {told} plausible?"
    version = f"trainsim {__version__}"
    price = float(est.price.total)
    told_in = run.sources()
    cite = notes(_source(next((told_in[p] for p in told_in if p.startswith("phases.")), "given by the user")))
    hours = f"{human(float(est.told_gpu_hours), 4)} {_chips(run.cluster.chip.name)}-hours × ${price:.2f}"
    lines = [f"{left}{version:>{WIDTH - len(left)}}", "=" * WIDTH]
    lines.append(f"CLAIM    {hours} = {money(float(est.told_gpu_hours) * price, 4)} {cite}")
    lines.append(f"VERDICT  number: {v.number:<17} as: {claim.scope or 'stated'}")
    if claim.told_as and claim.told_as != claim.scope:
        lines.append(f'         words:  {v.words:<17} as: "{claim.told_as}"')
    return lines


def _hours(v: Verdict, notes: _Notes) -> list[str]:
    run, est, _ = stated_run(v)
    name = main_phase(run)
    phase = est.phases[name]
    told = float(phase.busy_gpu_seconds) / SECONDS_PER_HOUR
    tokens = float(phase.phase.tokens or 0.0)
    per_token = float(flops_per_token(run.model, phase.phase.seq_len or 1.0).total)
    check, physics = v.check("hours"), v.check("physics")
    few = "few" if (check.percentile or 0.0) < 50 else "many"
    lines = [
        f"1  Could the run take so {few} hours?      ({name}; downtime not counted)",
        _graded(
            f"   work     {human(per_token / 1e9, 4)} GFLOP/token × {human(tokens)} tokens = {human(per_token * tokens)} FLOP", "A counted"
        ),
        _graded(f"   implied  {physics.finding.partition('imply ')[2]}", "A arithmetic"),
        _graded(f"   stated   {human(told, 4)} hours", "A disclosed"),
    ]
    lines += [_other(row_id, hours / told - 1, hours, notes) for row_id, hours in v.others.items()]
    if v.blind is not None:
        low, mid, high = (human(float(q)) for q in v.blind.quantile("hours", (0.05, 0.5, 0.95)))
        lines.append(_graded(f"   physics  {low} [{mid}] {high} hours, this run unseen", f"B {ordinal(check.percentile or 0.0)}"))
        lines.append(_graded("            the same, by the narrowest and widest reading", f"B {_span(check)}"))
    lines.append(f"   => {_answer(physics.word, check)}")
    return lines


def _other(row_id: str, more: float, hours: float, notes: _Notes) -> str:
    row = find("runs", row_id)
    who = "own log" if row.derived_from else str(row.get("org"))
    head = f"   {'log' if row.derived_from else 'others':<9}{who}, {row.get('gpus'):,} {_chips(row.get('chip'))}"
    text = f"{head}: {human(hours, 4)} ({more:+.0%})"
    return _graded(f"{text} {notes(source_title(row.source[0]))}", "A disclosed" if row.derived_from else "A measured")


def _span(check: Check) -> str:
    ends = sorted(x for x in (check.narrow, check.wide) if x is not None)
    return f"{ordinal(ends[0]).removesuffix(' pct.')}–{ordinal(ends[-1])}" if ends else ""


def _answer(possible: str, check: Check) -> str:
    if possible == "IMPOSSIBLE":
        return "No. The chips can't do that much work in so few hours."
    at = check.percentile or 0.0
    side = "efficient" if at < 50 else "slow"
    return {
        "HOLDS": f"Yes. {'Efficient' if at < 25 else 'Ordinary' if at < 75 else 'Slow'}, within what others' runs suggest.",
        "STRAINED": f"Barely. More {side} than nearly all runs seen elsewhere.",
        "FAILS": f"Not credible. More {side} than any run seen elsewhere suggests.",
    }[check.word]


def _ladder(v: Verdict) -> list[str]:
    value = v.claim.in_base()
    lines = [
        f"{'2  What does it come to, and what does it leave out?':<37}",
        f"   $M, each line adds to the last     5%   [50%]    95%    own    under {money(value)}",
    ]
    lines += [_rung(letter, r) for letter, r in zip("ABCDEFGH", v.rungs, strict=False)]
    rent, stated = v.check("rent"), stated_run(v)[0].price
    if isinstance(stated, Rental) and rent.percentile is not None:
        at = ordinal(rent.percentile).removesuffix(" pct.")
        lines += _wrapped("   rent     ", f"${float(stated.usd_per_gpu_hour):.2f} stated: the {at} percentile of {v.evidence['rent'].how}")
    priced = set(v.rungs[-1].contents)
    if v.claim.leaves_out and "people" not in priced:
        lines += _wrapped("   left out ", "; ".join(v.claim.leaves_out))
    return lines


def _rung(letter: str, r: Rung) -> str:
    low, mid, high = (_millions(float(q)) for q in r.rent)
    own = f"[{_millions(float(r.owner))}]" if r.owner is not None else ""
    odds = float(r.odds)
    shown = f"{odds:.0%}" if 0.01 <= odds <= 0.99 else "<1%" if odds < 0.01 else ">99%"
    return f"   {letter}  {r.label:<25}{low:>8}{f'[{mid}]':>8}{high:>7}{own:>8}  {r.grade}{shown:>8}"


def _decides(v: Verdict) -> list[str]:
    lines = [f"{3 if v.rungs else 2}  What decides it?"]
    found = v.decides
    if found is not None:
        low, mid, high = (_millions(float(q)) for q in found.undisclosed)
        value = money(v.claim.in_base())
        needs = " or ".join(_need(alone) for alone in found.must.alone if alone.value is not None)
        alone = f"{value} needs {needs}" if needs else f"no single input makes it {value}"
        lines += _wrapped("   ", f"No hours disclosed, the run is ${low}M [{mid}] {high}, and {alone}. {_shares(found.run_shares, 2)}.")
        letter = "ABCDEFGH"[len(v.rungs) - 1]
        lines += _wrapped("   ", f"{letter}: {_shares(found.top_shares, 3)} of the doubt.")
    words = [
        f"{c.name} {c.word}" + (f" ({ordinal(c.percentile).removesuffix(' pct.')})" if c.percentile is not None else "") for c in v.checks
    ]
    return lines + _wrapped("   checks: ", ", ".join(words))


def _need(alone: Alone) -> str:
    """One input's value that alone does it, and how likely that is."""
    at = (alone.percentile or 0.0) / 100.0
    low = at < 0.5
    likely = at if low else 1.0 - at
    shown = f"${alone.value:.2f}" if named(alone.path) == "rent" else f"{alone.value:.0%}"
    chance = f"{likely:.0%}" if likely >= 0.01 else "<1%"
    return f"{named(alone.path)} {'≤' if low else '≥'} {shown} ({chance} likely)"


def _shares(shares: Mapping[str, Figure], most: int) -> str:
    ranked = sorted(shares.items(), key=lambda item: -float(item[1]))[:most]
    return ", ".join(f"{named(path)} {float(share):.0%}" for path, share in ranked)


def _foot(v: Verdict, notes: _Notes) -> list[str]:
    rest = [f"{len(e.used)} of {len(e.used) + len(e.set_aside)} rows for {name}" for name, e in v.evidence.items()]
    lines = ["A counted or disclosed   B priced or inferred from rows   C judgement"]
    lines += _wrapped("", "  ".join(f"[{i}] {t}" for i, t in enumerate(notes.titles, 1)))
    sim = v.dollars or v.blind
    seed = f"quantiles ±{_accuracy(v):.1%} · seed {sim.seed} · " if sim is not None else ""
    return lines + _wrapped("", f"{seed}{', '.join(rest)}, in verdict.evidence")


def _accuracy(v: Verdict) -> float:
    """The widest half-width of a 95 % interval among the quantiles shown, relative."""
    shown = [q for r in v.rungs for q in r.rent]
    if v.blind is not None:
        shown += v.blind.quantile("hours", (0.05, 0.5, 0.95))
    return max((half_width(q.standard_error, q.replicates) / abs(float(q)) for q in shown), default=0.0)


def _wrapped(head: str, text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))


def stated_run(v: Verdict) -> tuple[Run, Estimate, Claim]:
    """The run, its estimate as stated, and the claim; only a verdict on a run has a screen of its own."""
    if v.subject is None or v.estimate is None:
        raise ClaimError("subject", v.subject, "is no run", "print the verdict: it says what can be said")
    return v.subject, v.estimate, v.claim


def _source(cited: str) -> str:
    return cited.partition(";")[0].partition(" (")[0]


def _millions(value: float) -> str:
    size = value / 1e6
    return f"{size:.0f}" if size >= 10 else f"{size:.1f}"


def money(value: float, digits: int = 3) -> str:
    """Dollars as people say them.

    >>> money(6e6), money(5.576e6, 4), money(1.6e9)
    ('$6M', '$5.576M', '$1.6B')
    """
    shown = human(value, digits)
    number, suffix = (shown[:-1], shown[-1]) if shown[-1].isalpha() else (shown, "")
    return f"${number.rstrip('0').rstrip('.') if '.' in number else number}{suffix}"
