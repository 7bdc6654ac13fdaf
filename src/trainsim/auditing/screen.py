"""A verdict as one screen of text, 80 columns by 40 lines: nothing on it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..catalog.published import row_of
from ..catalog.rows import find, rows, source_title
from ..claims.scope import scope_of
from ..core.errors import ClaimError
from ..core.spec import BY_USER
from ..core.units import SECONDS_PER_HOUR, human
from ..cost.pricing import Rental
from ..model.counting import flops_per_token
from ..run.run import Run
from ..uncertainty.sampling.simulation import half_width
from .drivers import named
from .hours import states_hours
from .words import main_phase, ordinal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..claims.claim import Claim
    from ..run.estimate import Estimate
    from ..uncertainty.analysis.inverse import Alone
    from ..uncertainty.sampling.simulation import Figure
    from .audit import Check, Verdict
    from .scope_ladder import Rung

WIDTH, GRADE_AT = 80, 63
INDENT = " " * 12


def screen(verdict: Verdict) -> str:
    """The text of a verdict: one screen for a run, a few lines for any other claim."""
    if verdict.estimate is None:
        return "\n".join(brief(verdict))
    notes = _Notes()
    head = _head(verdict, notes)
    asked = [_hours(verdict, notes), _ladder(verdict), _decides(verdict)]
    blocks = [[f"{i}  {block[0]}", *block[1:]] for i, block in enumerate(filter(None, asked), 1)]
    return "\n\n".join("\n".join(line.rstrip() for line in block) for block in [head, *blocks, _foot(verdict, notes)])


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
    if verdict.rungs:
        lines += _ladder(verdict)[1:]
    for label, figures in verdict.ratios.items():
        low, mid, high = (human(float(q)) for q in figures)
        lines += _wrapped("         ", f"both sides at {label.removeprefix('+ ')}: ×{low} [×{mid}] ×{high}")
    return lines


class _Notes:
    """Sources in the order they are first cited."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def __call__(self, title: str) -> str:
        if title not in self.titles:
            self.titles.append(title)
        return f"[{self.titles.index(title) + 1}]"


def title_of(run: Run) -> str:
    """What to call a run: the title of its row, its model's published name as short as it is told apart by, or the name it was given."""
    known, published = rows("models"), row_of(run)
    if published is not None and published.get("title"):
        return str(published["title"])
    if run.model.name not in known or (published is not None and run.name != run.model.name):
        return run.name
    full = str(known[run.model.name].get("name", run.name))
    short = full.rpartition(" ")[0]
    alike = [row for row in known.values() if str(row.get("name")).startswith(f"{short} ")]
    return short if short and len(alike) == 1 else full


def _chips(name: str) -> str:
    return name.partition("-")[0].upper()


def _graded(text: str, grade: str) -> list[str]:
    """A line with its grade in the last column; one that is too long goes on below."""
    first, *more = _wrapped("", text, GRADE_AT - 1, INDENT) or [""]
    return [f"{first:<{GRADE_AT}}{grade}", *more]


def _head(v: Verdict, notes: _Notes) -> list[str]:
    from ..core.version import __version__

    run, est, claim = stated_run(v)
    told = told_in_words(claim)
    left, version = f'Is {title_of(run)}\'s "{told}" plausible?', f"trainsim {__version__}"
    lines = [f"{left}{version:>{WIDTH - len(left)}}" if len(left) + len(version) < WIDTH else left[:WIDTH], "=" * WIDTH]
    stated, price = float(est.told_gpu_hours), float(est.price.total)
    told_in = run.sources()
    source = _source(next((told_in[p] for p in told_in if p.startswith("phases.")), BY_USER))
    cite = notes(source if states_hours(run) else "no hours were told: medians of the catalogue's rows, or modelled")
    hours = f"{human(stated, 4)} {_chips(run.cluster.chip.name)}-hours"
    bill = f" × ${price:.2f} = {money(stated * price, 4)}" if claim.judged_in == "USD" else ""
    said = f'   told as "{told}" {notes(_source(claim.source))}' if claim.source else ""
    lines += _wrapped("CLAIM    ", f"{hours}{bill} {cite}{said}", indent=" " * 9)
    lines += _wrapped(f"VERDICT  number: {v.number:<17} as: ", scope_in_words(claim))
    if claim.told_as and claim.told_as != claim.scope:
        lines += _wrapped(f"         words:  {v.words:<17} as: ", f'"{claim.told_as}"')
    return lines


def told_in_words(claim: Claim) -> str:
    """The claimed figure as people say it."""
    return money(claim.in_base()) if claim.judged_in == "USD" else f"{human(claim.in_base())} {claim.judged_in}"


def scope_in_words(claim: Claim) -> str:
    """The scope a number was judged at."""
    if claim.judged_in != "USD":
        return "the hours of the run"
    return claim.scope if scope_of(claim.scope) is not None else "the last run, at rent or the owner's cost; the claim names no scope"


def _hours(v: Verdict, notes: _Notes) -> list[str]:
    run, est, _ = stated_run(v)
    if all(phase.tokens is None for phase in run.phases) or not {"hours", "physics"} <= {c.name for c in v.checks}:
        return []
    name = main_phase(run)
    phase = est.phases[name]
    busy, told = float(phase.busy_gpu_seconds) / SECONDS_PER_HOUR, float(phase.told_gpu_seconds) / SECONDS_PER_HOUR
    tokens = float(phase.phase.tokens or 0.0)
    per_token = float(flops_per_token(run.model, phase.phase.seq_len or 1.0).total)
    check, physics = v.check("hours"), v.check("physics")
    few = "few" if (check.percentile or 0.0) < 50 else "many"
    down = "" if phase.time == "busy" else f", downtime inside: {human(busy, 4)} without"
    return [
        f"Could the run take so {few} hours?      ({name}; downtime not counted)",
        *_graded(f"   work     {_giga(per_token)} GFLOP/token × {human(tokens)} tokens = {human(per_token * tokens)} FLOP", "A counted"),
        *_graded(f"   implied  {physics.finding.partition('imply ')[2]}", "A arithmetic"),
        *_graded(f"   stated   {human(told, 4)} hours{down}", "C given" if _given(run, name) else "A disclosed"),
        *_others(v.others, busy, notes),
        *_expected(v, check),
        f"   => {_answer(physics.word, check)}",
    ]


def _given(run: Run, phase: str) -> bool:
    """Whether the user told how long a phase takes, rather than its maker."""
    told = {path: source for path, source in run.sources().items() if path.startswith((f"phases.{phase}.efficiency", "efficiency"))}
    return any(source == BY_USER for source in told.values())


def _giga(flops: float) -> str:
    """FLOPs in GFLOP, four digits or all before the point."""
    return f"{flops / 1e9:,.4g}" if flops < 1e12 else f"{flops / 1e9:,.0f}"


def _expected(v: Verdict, check: Check) -> list[str]:
    """What others' runs suggest, by the default, the narrowest and the widest reading."""
    if v.blind is None:
        return _graded(f"   physics  {check.finding}", "B none")
    low, mid, high = (human(float(q)) for q in v.blind.quantile("hours", (0.05, 0.5, 0.95)))
    return [
        *_graded(f"   physics  {low} [{mid}] {high} hours, this run unseen", f"B {ordinal(check.percentile or 0.0)}"),
        *_graded("            the same, by the narrowest and widest reading", f"B {_span(check)}"),
    ]


MOST = 3
"""Measured runs of the same model that get a line each."""


def _others(others: Mapping[str, float], busy: float, notes: _Notes) -> list[str]:
    """Measured runs of the same model: a line each, or their range where there are many."""
    lines: list[str] = []
    strangers: dict[str, float] = {}
    for name, hours in others.items():
        if find("runs", name).derived_from:
            lines += _other("log", name, hours, busy, notes)
        else:
            strangers[name] = hours
    if len(strangers) <= MOST:
        return lines + [line for name, hours in strangers.items() for line in _other("others", name, hours, busy, notes)]
    low, high = min(strangers.values()), max(strangers.values())
    cited = "".join(dict.fromkeys(notes(source_title(find("runs", i).source[0])) for i in strangers))
    spread = f"{human(low, 4)} ({low / busy - 1:+.0%}) to {human(high, 4)} ({high / busy - 1:+.0%})"
    return lines + _graded(f"   others   {len(strangers)} measured: {spread} {cited}", "A measured")


def _other(head: str, name: str, hours: float, busy: float, notes: _Notes) -> list[str]:
    row = find("runs", name)
    who, grade = ("own log", "A disclosed") if head == "log" else (str(row.get("org")), "A measured")
    text = f"   {head:<9}{who}, {row.get('gpus'):,} {_chips(row.get('chip'))}: {human(hours, 4)} ({hours / busy - 1:+.0%})"
    return _graded(f"{text} {notes(source_title(row.source[0]))}", grade)


def _span(check: Check) -> str:
    ends = sorted(x for x in (check.narrow, check.wide) if x is not None)
    words = [word.removesuffix(" pct.") for word in dict.fromkeys(ordinal(end) for end in (*ends[:1], *ends[-1:]))]
    return f"{'–'.join(words)} pct." if ends else ""


def _answer(possible: str, check: Check) -> str:
    if possible == "IMPOSSIBLE":
        return "No. The chips can't do that much work in so few hours."
    at = check.percentile or 0.0
    side = "efficient" if at < 50 else "slow"
    return {
        "HOLDS": f"Yes. {'Efficient' if at < 25 else 'Ordinary' if at < 75 else 'Slow'}, within what others' runs suggest.",
        "STRAINED": f"Barely. More {side} than nearly all runs seen elsewhere.",
        "CANNOT BE JUDGED": "Nobody can say: too few runs were public.",
        "FAILS": f"Not credible. More {side} than any run seen elsewhere suggests.",
    }[check.word]


def _ladder(v: Verdict) -> list[str]:
    if not v.rungs:
        return []
    value, size = v.claim.in_base(), max(float(r.rent[1]) for r in v.rungs)
    unit = next((u for u in ("B", "M", "K") if size >= _UNITS[u]), "K")
    lines = [
        "What does it come to, and what does it leave out?",
        f"   ${unit}, each line adds to the last     5%   [50%]    95%    own    under {money(value)}",
    ]
    lines += [_rung(letter, r, _UNITS[unit]) for letter, r in zip(LETTERS, v.rungs, strict=False)]
    rent, stated = next((c for c in v.checks if c.name == "rent"), None), v.subject.price if isinstance(v.subject, Run) else None
    if isinstance(stated, Rental) and rent is not None and rent.percentile is not None:
        at = ordinal(rent.percentile).removesuffix(" pct.")
        lines += _wrapped("   rent     ", f"${float(stated.usd_per_gpu_hour):.2f} stated: the {at} percentile of {v.evidence['rent'].how}")
    priced = set(v.rungs[-1].contents)
    if v.claim.leaves_out and "people" not in priced:
        lines += _wrapped("   left out ", "; ".join(v.claim.leaves_out))
    return lines


LETTERS = "ABCDEFGH"
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9}


def _rung(letter: str, r: Rung, size: float) -> str:
    low, mid, high = (_digits(float(q) / size) for q in r.rent)
    own = f"[{_digits(float(r.owner) / size)}]" if r.owner is not None else ""
    odds = float(r.odds)
    shown = f"{odds:.0%}" if 0.01 <= odds <= 0.99 else "<1%" if odds < 0.01 else ">99%"
    return f"   {letter}  {r.label:<25}{low:>8}{f'[{mid}]':>8}{high:>7}{own:>8}  {r.grade}{shown:>8}"


def _decides(v: Verdict) -> list[str]:
    lines = ["What decides it?"]
    found = v.decides
    if found is not None and found.run is not None:
        low, mid, high = (float(q) for q in found.run.dollars)
        unit = next((u for u in ("B", "M", "K") if mid >= _UNITS[u]), "K")
        dollars = f"${_digits(low / _UNITS[unit])}{unit} [{_digits(mid / _UNITS[unit])}] {_digits(high / _UNITS[unit])}"
        value = money(v.claim.in_base())
        needs = " or ".join(_need(alone) for alone in found.run.must.alone if alone.value is not None)
        alone = f"{value} needs {needs}" if needs else f"no single input makes it {value}"
        lines += _wrapped("   ", f"No hours disclosed, the run is {dollars}, and {alone}. Doubt: {_shares(found.run.shares, 2)}.")
    if found is not None:
        lines += _wrapped("   ", f"{LETTERS[len(v.rungs) - 1]}: {_shares(found.shares, 3)} of the doubt.")
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
    """The inputs that most of the doubt comes from, those of a percent or more."""
    ranked = sorted(((path, float(share)) for path, share in shares.items()), key=lambda item: -item[1])[:most]
    return ", ".join(f"{named(path)} {share:.0%}" for path, share in ranked if share >= 0.01)


def _foot(v: Verdict, notes: _Notes) -> list[str]:
    rest = ", ".join(f"{name} {len(e.used)} of {len(e.used) + len(e.set_aside)}" for name, e in v.evidence.items() if e.used)
    lines = ["A counted or disclosed   B priced or inferred from rows   C judgement"]
    lines += _wrapped("", "  ".join(f"[{i}] {t}" for i, t in enumerate(notes.titles, 1)))
    sim = v.dollars or v.blind
    said = [f"quantiles ±{100 * _accuracy(v):.1g}% · seed {sim.seed}"] if sim is not None else []
    said += [f"rows: {rest}: verdict.evidence"] if rest else []
    return lines + _wrapped("", " · ".join(said))


def _accuracy(v: Verdict) -> float:
    """The farthest a 95 % interval reaches from one of the quantiles shown, relative."""
    shown = [q for r in v.rungs for q in r.rent]
    if v.blind is not None:
        shown += v.blind.quantile("hours", (0.05, 0.5, 0.95))
    return max((half_width(q.standard_error, q.replicates) * (1 + abs(q.skew)) / abs(float(q)) for q in shown), default=0.0)


def _wrapped(head: str, text: str, width: int = WIDTH, indent: str | None = None) -> list[str]:
    """Text after a head, going on below where the head ends or at an indent."""
    import textwrap

    below = " " * len(head) if indent is None else indent
    return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=below, break_on_hyphens=False)


def stated_run(v: Verdict) -> tuple[Run, Estimate, Claim]:
    """The run, its estimate as stated, and the claim; only a verdict on a run has a screen of its own."""
    if not isinstance(v.subject, Run) or v.estimate is None:
        raise ClaimError("subject", v.subject, "is no run", "print the verdict: it says what can be said", "wrong-type")
    return v.subject, v.estimate, v.claim


def _source(cited: str) -> str:
    return cited.partition(";")[0].partition(" (")[0]


def _digits(value: float) -> str:
    """A few digits: one after the point below ten, two below one."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def money(value: float, digits: int = 3) -> str:
    """Dollars as people say them.

    >>> money(6e6), money(5.576e6, 4), money(1.6e9)
    ('$6M', '$5.576M', '$1.6B')
    """
    shown = human(value, digits)
    number, suffix = (shown[:-1], shown[-1]) if shown[-1].isalpha() else (shown, "")
    return f"${number.rstrip('0').rstrip('.') if '.' in number else number}{suffix}"
