"""Beliefs about a run's numbers, built from the catalogue without the run's own rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..core.citations import ASSUMED
from ..core.errors import SpecError
from ..core.provenance import BY_USER
from ..core.registry import kind_of
from ..cost.rental import Rental
from ..run.run import Run
from ..training.efficiency import MFU
from ..training.reliability import Goodput
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.interval import ci90
from .evidence import Evidence, goodput_evidence, interval, mfu_evidence, prior_rows
from .rents import rent_evidence
from .rows import Row, day_of

if TYPE_CHECKING:
    from ..cost.ownership import Ownership

OWNER_PRIORS = {
    "price.usd_per_gpu": "price.server_capex",
    "price.life_years": "price.life_years",
    "price.operating_share": "price.opex_share",
    "price.utilization": "price.utilization",
}
"""Path of an ownership price → quantity of the prior rows for it."""


def owner_beliefs(run: Run, as_of: dt.date | None = None) -> tuple[Ownership, Beliefs] | None:
    """Cost of owning the run's machines, with beliefs about it.

    Args:
        run: the run whose chips are owned.
        as_of: use only rows public by this day.

    Returns:
        the ownership at median values, and beliefs by path of a run with that price; None if no row gives the price of such a machine.

    >>> from trainsim.catalog.runs import run
    >>> owner, about_owner = owner_beliefs(run("deepseek-v3"))
    >>> owner.life_years, "price.life_years" in about_owner.paths
    (4.0, True)
    """
    from ..cost.ownership import Ownership

    found: dict[str, Row] = {}
    for path, quantity in OWNER_PRIORS.items():
        fitting = [r for r in prior_rows(quantity, run, as_of) if r.get("chip") in (None, run.cluster.chip.name)]
        if not fitting:
            return None
        found[path] = fitting[0]
    middle = {path.removeprefix("price."): float(row["p50"]) for path, row in found.items()}
    made = Ownership(
        usd_per_gpu=middle["usd_per_gpu"],
        life_years=middle["life_years"],
        operating_share=middle["operating_share"],
        utilization=middle["utilization"],
    )
    price = made.with_sources({path.removeprefix("price."): row.cited for path, row in found.items()})
    return price, Beliefs({path: interval(row) for path, row in found.items()}, sources={path: row.cited for path, row in found.items()})


SPREAD = "efficiency.stack.expert_spread"
"""Quantity of the prior on how unevenly a learned router uses its experts."""
RENT = "price.usd_per_gpu_hour"
"""Path of a run's rent."""


def beliefs(run: Run, as_of: dt.date | str | None = None, *, replace: Collection[str] = ()) -> Beliefs:
    """Beliefs about a run's numbers, built from the catalogue without the run's own rows.

    Rows, priors and calibrations that became public after ``as_of`` are excluded, and so are those derived from the run. The prior on
    utilisation comes from other runs, the prior on rent from dated quotes, the prior on goodput from a prior row, and those on a software
    stack from the calibration. Assumed inputs of engines that generate responses get the beliefs of the row that they come from. A path
    that the run does not have gets no belief. A price given by the user gets no belief unless
    ``replace`` names it.

    Args:
        run: the run to predict.
        as_of: the last day whose rows may be used, ``"2024-12-25"``; None for all.
        replace: paths whose user-given value is replaced by a belief of the catalogue: ``("price.usd_per_gpu_hour",)``.

    Returns:
        beliefs by path of the run.

    Raises:
        CatalogError: too few rows remain for a prior.
        SpecError: ``replace`` names a path that can't be replaced.

    >>> from trainsim.catalog.runs import run
    >>> mine = run("deepseek-v3").replace({RENT: 2.5})
    >>> RENT in beliefs(mine).paths, RENT in beliefs(mine, replace=[RENT]).paths
    (False, True)
    """
    if unknown := set(replace) - {RENT}:
        raise SpecError(
            "replace",
            sorted(unknown),
            "can't be replaced by a belief of the catalogue",
            f"give [{RENT!r}], or leave replace out",
            "conflict",
        )
    day = day_of(as_of, "as_of") if isinstance(as_of, str) else as_of
    believed: dict[str, Evidence] = {}
    if isinstance(run.efficiency, MFU):
        believed["efficiency.mfu"] = mfu_evidence(run, day)
    laws = [("efficiency.stack", run.efficiency), *((f"phases.{p.name}.efficiency.stack", p.efficiency) for p in run.phases)]
    modelled: Mapping[Any, Any] = Beliefs()
    for path, efficiency in laws:
        if kind_of(type(efficiency)) == "Modelled":
            modelled = Beliefs(modelled) | _stack_beliefs(run, efficiency, path, day)
    if isinstance(run.reliability, Goodput):
        believed["reliability.goodput"] = goodput_evidence(run, day)
    if isinstance(run.price, Rental) and (RENT in replace or run.sources()[RENT] != BY_USER):
        believed[RENT] = rent_evidence(run, day)
    held = {path: evidence.belief for path, evidence in believed.items()}
    return Beliefs(held, sources={path: evidence.how for path, evidence in believed.items()}) | modelled | _engine_beliefs(run)


def _engine_beliefs(run: Run) -> Beliefs:
    """Beliefs about assumed inputs of engines and learners. The import is here because only runs that learn from rollouts have them."""
    if not any(kind_of(type(phase.efficiency)) == "Rollouts" for phase in run.phases):
        return Beliefs()
    from .rl_recipes import engine_rows

    sources = run.sources()
    found = {path: rows for path, rows in engine_rows(run).items() if sources.get(path, "").startswith(ASSUMED)}
    return Beliefs(
        {path: ci90(*levels) for path, (_, levels) in found.items()}, sources={path: row.cited for path, (row, _) in found.items()}
    )


def _stack_beliefs(run: Run, efficiency: Any, path: str, day: dt.date | None) -> Beliefs:
    """Beliefs about the numbers of a software stack. The import is here because it loads the step model, which few runs need."""
    from .software_stacks import stack_beliefs

    known = stack_beliefs(efficiency.stack.name, path, routed=run.model.is_moe, as_of=day)
    if run.plan is None or run.plan.routing != "learned":
        return known
    spread = next(prior_rows(SPREAD, run, day))
    where = f"{path}.expert_spread"
    return Beliefs({where: interval(spread)}, sources={where: spread.cited}) | known
