"""audit: compare a claim with disclosed figures, with predictions, and with the scope that its words name."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from ..catalog.currencies import usd_per
from ..catalog.rows import PUBLISHED, day_of, rows
from ..catalog.runs import filled_in
from ..claims.claim import Claim
from ..claims.scope import Basis, Scope, contents_text, expand_contents
from ..claims.scope_parser import ScopeReading
from ..core.errors import ClaimError, check_type
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from .comparison import Check, Faithfulness, Stated
from .judgement import Number, Reading, judge_number, judge_words
from .measure import Clock, Contents, Measure, Unknown
from .quotes import misquote_of, quote_of
from .rent import rent_check
from .run_measures import RunAmount, RunCost
from .scope_words import narrower, scope_of, words_of
from .screen import screen
from .sentences import headline_of
from .source_terms import changed_terms
from .subjects import Asked, measure_of, model_of, with_known_names
from .verdict import Subject, Verdict

BEFORE = dt.timedelta(days=1)


def audit(
    claim: Claim,
    subject: Subject | None = None,
    beliefs: Beliefs | None = None,
    *,
    versus: Run | None = None,
    as_of: str | None = None,
    seed: int = 1,
) -> Verdict:
    """Compare a claim with disclosed figures, with predictions, and with the scope that its words name.

    The number is compared with a sourced disclosure for the same scope. If there is none, it is compared with a prediction from other labs'
    runs and dated rents. The words are compared with the figure at the scope that they name. If nothing is disclosed or predicted, the
    claim cannot be judged, and the verdict quotes the nearest source.

    Args:
        claim: the claim.
        subject: the run, development, fleet or model that the claim is about; the catalogue's if None.
        beliefs: beliefs about hours, rent, goodput and other costs, which take precedence over the catalogue's.
        versus: the other run of a comparison; the catalogue's if None.
        as_of: use disclosures public by this day; today if None. Predictions use rows public by the day before the claim.
        seed: seed of the simulations.

    Returns:
        the verdict: ``number``, ``words``, ``readings``, ``quote``, ``misquote`` and their evidence.

    Raises:
        ClaimError: the scope is not understood, the unit has the wrong dimension, the quantity is not computed by the library, or the
            subject has no such quantity or is unknown.

    >>> import trainsim as ts
    >>> verdict = audit(ts.catalog.claim("deepseek-v3-6m"))
    >>> verdict.number, verdict.words
    ('CONFIRMED', 'MISLEADING')
    """
    check_type(claim, Claim, "claim", "a ts.Claim: ts.catalog.claim('deepseek-v3-6m')")
    claim = with_known_names(claim)
    clock = clock_of(claim, as_of)
    rate = _rate(claim, clock)
    claim = in_dollars(claim, clock)
    _check(claim, subject, versus)
    asked = Asked(claim, subject, clock, Beliefs({}) if beliefs is None else beliefs, seed)
    measure = measure_of(asked, versus)
    if not claim.quantified:
        return _written(_without_figure(asked, measure))
    contents, basis, of_scope = scope_of(claim)
    claimed_scope = words_of(claim, of_scope)
    if claimed_scope is not None and contents is None and (narrow := narrower(claimed_scope, measure)) is not None:
        contents, basis, of_scope = narrow, claimed_scope.basis, claimed_scope
    stated = Stated(*claim.ends(), claim.bound)
    open_ended = claim.bound or claim.low is not None  # a bound that only a part of the run keeps is no bound on the run
    held = measure.default_contents if contents is None and open_ended else contents
    asked_for = None if held is None else measure.relevant(held)
    number = judge_number(measure, stated, asked_for, basis, clock)
    scope = judged_scope(measure, contents, basis, of_scope)
    words, readings = _words(measure, stated, scope, claimed_scope, claim, clock, number)
    retold = changed_terms(claim)
    words = "MISLEADING" if retold is not None and words != "NOT UNDERSTOOD" else words
    checks = (*number.checks, *_further_checks(measure, clock), *([retold] if retold is not None else []), *_ratio_check(asked, versus))
    ratios = measure.at_each_rung(clock.known)
    found = Verdict(
        claim, _subject(asked, measure), number.word, words, _with_source(claim, number, checks), readings, scope, claimed_scope, clock,
        number, measure, getattr(measure, "view", None), ratios, (*rate, *_assumed(measure, contents)),
    )  # fmt: skip
    return _written(found)


def _written(found: Verdict) -> Verdict:
    """Add the headline and the sentences to a verdict."""
    made = replace(found, writer=screen)
    return replace(made, headline=headline_of(made), quote=quote_of(made), misquote=misquote_of(made))


def clock_of(claim: Claim, as_of: str | None) -> Clock:
    """The two days of an audit; a claim without a date gets the day its subject was published."""
    known = PUBLISHED if as_of is None else min(day_of(as_of, "as_of"), PUBLISHED)
    if claim.date:
        made = day_of(claim.date, "claim.date")
    else:
        made = max((rows("runs")[name].date for name in (claim.subject, claim.versus) if name in rows("runs")), default=PUBLISHED + BEFORE)
    return Clock(known, min(known, made - BEFORE))


def in_dollars(claim: Claim, clock: Clock) -> Claim:
    """Convert a claim in another currency to dollars, at the rate of its day."""
    return claim.in_dollars(usd_per(claim.currency, clock.blind + BEFORE)) if claim.currency else claim


def _rate(claim: Claim, clock: Clock) -> tuple[str, ...]:
    """Exchange rate of a claim in another currency, in words."""
    if not claim.currency:
        return ()
    day = clock.blind + BEFORE
    return (f"{1.0 / usd_per(claim.currency, day):.4g} {claim.currency} a dollar, the mean of the year of {day}",)


def _check(claim: Claim, subject: object, versus: object) -> None:
    if claim.quantified:
        claim.ends()  # raises an error if the unit is wrong
    if subject is None and not claim.subject:
        remedy = "audit(claim, subject=run), or Claim(…, subject='deepseek-v3')"
        raise ClaimError("subject", None, "is not given, neither here nor in the claim", remedy, "missing")
    if claim.is_ratio and not claim.versus and versus is None:
        remedy = "Claim(…, versus='llama3.1-405b'), or audit(…, versus=run)"
        raise ClaimError("versus", "", "is needed for a ratio", remedy, "missing")
    if not claim.is_ratio and claim.versus_value is not None and claim.in_base() == 0:
        raise ClaimError("value", claim.value, "is 0, so no ratio can be formed", "give both figures", "out-of-bounds")


def judged_scope(measure: Measure, contents: Contents | None, basis: Basis | None, of_scope: ScopeReading | None) -> Scope:
    """Scope of the number: as stated, else the final run on the basis of the run's own price; a fleet has its own scope."""
    if contents is None:
        contents = measure.default_contents
        if isinstance(measure, RunAmount) and measure.view.given.price is not None:
            basis = basis or measure.view.basis  # type: ignore[assignment]
    kind = of_scope.kind if of_scope is not None and of_scope.kind is not None else measure.kind
    return Scope(contents=expand_contents(contents), basis=basis or "market rent", kind=kind)


def _words(
    measure: Measure, stated: Stated, scope: Scope, claimed_scope: ScopeReading | None, claim: Claim, clock: Clock, number: Number
) -> tuple[Faithfulness, tuple[Reading, ...]]:
    """Judge a claim's words. A claim without words is judged at the scope of its number."""
    if claimed_scope is None or (not claim.told_as and not claimed_scope.understood):
        claimed_scope = ScopeReading("", (frozenset(scope.contents),))
    return judge_words(measure, stated, scope, claimed_scope, frozenset(claim.meant), clock, number)


def _further_checks(measure: Measure, clock: Clock) -> list[Check]:
    """Checks that do not affect the verdict: the percentile of the reported rent among quotes, and analysts' tables."""
    if isinstance(measure, RunCost):
        found = rent_check(measure.view, clock.blind)
        impossible_hours = [Check("reported", "IMPOSSIBLE", measure.view.impossible_hours)] if measure.view.impossible_hours else []
        return [*impossible_hours, *([] if found is None else [found])]
    return [Check("table", "CANNOT BE JUDGED", text) for text in measure.tables(clock.known)]


def _ratio_check(asked: Asked, versus: Run | None) -> list[Check]:
    """Check the ratio of a claim that gives both figures."""
    claim = asked.claim
    if claim.versus_value is None or claim.is_ratio:
        return []
    value = claim.versus_in_base() / claim.in_base()
    ratio = claim.replace({"value": value, "low": None, "high": None, "unit": "times", "versus_value": None})
    measure = measure_of(replace(asked, claim=ratio), versus)
    contents, basis, _ = scope_of(ratio)
    number = judge_number(measure, Stated(value, value), contents, basis, asked.clock)
    return [Check("ratio", number.word, f"×{value:.3g}: {number.checks[0].finding}", number.checks[0].percentile)]


def _with_source(claim: Claim, number: Number, checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """Add the nearest source's statement if the number cannot be judged."""
    if number.word != "CANNOT BE JUDGED" or claim.primary is None:
        return checks
    return (*checks, Check("source", "CANNOT BE JUDGED", f"primary source: {claim.primary.statement}"))


def _assumed(measure: Measure, contents: Contents | None) -> tuple[str, ...]:
    """Inputs that the library filled in, in words."""
    found = []
    if contents is None and isinstance(measure, RunAmount):
        found.append(f"scope: {contents_text(measure.default_contents)}, as the claim states none")
    if isinstance(measure, RunAmount) and not measure.view.reports_hours:
        run = measure.view.run
        found += [f"{path} = {float(run.get(path)):.3g}" for path in sorted(filled_in(run) & run.numbers().keys())]
    if isinstance(measure, RunCost) and measure.view.rate is None:
        found.append("rent: the market's, as none was reported")
    return tuple(found)


def _subject(asked: Asked, measure: Measure) -> Subject | None:
    view = getattr(measure, "view", None)
    return view.run if view is not None else asked.subject


# a claim without a figure --------------------------------------------------------------------------------------------


def _without_figure(asked: Asked, measure: Measure) -> Verdict:
    """Verdict of a claim without a figure: its words compared with the scope, or the statement of its source."""
    claim = asked.claim
    claimed_scope, (_, _, is_) = words_of(claim, None), scope_of(claim)
    checks: list[Check] = []
    words: Faithfulness = "CANNOT BE JUDGED"
    if claimed_scope is not None and is_ is not None and claimed_scope.understood and is_.understood:
        words, check = _compare_scopes(claimed_scope, is_)
        checks.append(check)
    model = model_of(asked)
    if model is not None and "latent" in claim.statement.lower():
        from .architecture_measure import cache_in_words

        checks += [Check("architecture", "CANNOT BE JUDGED", kept)] if (kept := cache_in_words(model)) else []
    said = f"; primary source: {claim.primary.statement}" if claim.primary is not None else ""
    checks.append(Check("judgement", "CANNOT BE JUDGED", f"it quantifies nothing{said}"))
    unknown = measure if isinstance(measure, Unknown) else None
    return Verdict(claim, asked.subject, "CANNOT BE JUDGED", words, tuple(checks), (), None, claimed_scope, asked.clock, None, unknown)


def _compare_scopes(claimed_scope: ScopeReading, is_: ScopeReading) -> tuple[Faithfulness, Check]:
    """Compare the contents that a claim's words name with the contents of the figure."""
    said, held = claimed_scope.readings[0], is_.readings[0]
    extra, lacking = held - said, said - held
    right_out = sorted(claimed_scope.excluded - held)
    parts = []
    if extra:
        parts.append(f"{contents_text(extra)} {'are' if len(extra) > 1 else 'is'} included too")
    if lacking:
        parts.append(f"{contents_text(lacking)} {'are' if len(lacking) > 1 else 'is'} not included")
    if not parts:
        return "FAIR", Check("scope", "CONFIRMED", f"right: the figure includes {contents_text(held)}")
    half = bool(said & held or right_out)
    out = f"; {contents_text(frozenset(right_out))} {'are' if len(right_out) > 1 else 'is'} excluded, as stated" if right_out else ""
    return "MISLEADING", Check("scope", "CANNOT BE JUDGED", f"{'half right' if half else 'wrong'}: {'; '.join(parts)}{out}")
