"""Priors on utilisation and goodput, built from the rows of other runs."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..core.errors import CatalogError, TrainsimError
from ..core.tables import mentioning
from ..core.units import SECONDS_PER_HOUR
from ..model.counting import flops_per_token
from ..run.run import Run
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.distributions.interval import ci90
from .counted import Counted, of_table
from .hardware import chip
from .models import model_of, same_architecture, size_of
from .rows import Row, lineage, rows

GENERATIONS = {
    "h100-sxm": "hopper", "h800-sxm": "hopper", "h200-sxm": "hopper", "gh200": "hopper",
    "a100-40gb-sxm": "ampere", "a100-80gb-sxm": "ampere", "a800-80gb-sxm": "ampere",
    "b200-sxm": "blackwell", "b300-sxm": "blackwell", "gb200": "blackwell", "gb300": "blackwell",
}  # fmt: skip
"""Chip → generation of its compute silicon. Export variants have slower links but the same silicon."""


@dataclass(frozen=True)
class Evidence:
    """A belief with the rows it was built from, and the excluded rows, each with its reason.

    Args:
        belief: the default belief.
        narrow, wide: the narrowest and the widest defensible belief from the same rows.
        used: address → figure.
        excluded: address → reason; ``set_excluded`` is its former name.
        how: how the belief follows from the rows, in words.
        caveat: a weakness of the belief; empty if there is none.

    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> found = Evidence(ci90(1.5, 3.0), ci90(1.8, 2.4), ci90(1.0, 5.0), {"rents/a": 2.1}, {"rents/b": "public later"}, "one quote")
    >>> found.belief.p95, found.excluded
    (3.0, {'rents/b': 'public later'})
    """

    belief: Belief
    narrow: Belief
    wide: Belief
    used: Mapping[str, float]
    excluded: Mapping[str, str]
    how: str
    caveat: str = ""

    @property
    def set_excluded(self) -> Mapping[str, str]:
        """Former name of ``excluded``."""
        return self.excluded


def why_hidden(row: Row, run: Run | None, as_of: dt.date | None, own: Collection[str] | None = None) -> str:
    """Reason that a prediction of ``run`` as of a day must not use a row; empty if it may.

    Args:
        row: the row in question.
        run: the run to predict; None for none.
        as_of: the last day whose rows may be used.
        own: addresses of the run's own rows; None to find them.
    """
    if as_of is not None and row.date > as_of:
        return f"dated {row.date}, after {as_of}"
    if run is None:
        return ""
    own = own_rows(run) if own is None else own
    seen = {*lineage(row.address), *row.get("saw", ())}
    return "from the run itself" if seen & set(own) or any(set(lineage(s)) & set(own) for s in row.get("saw", ())) else ""


def own_rows(run: Run) -> frozenset[str]:
    """Addresses of the rows that describe the run, under whatever name."""
    on_this_chip = mentioning(rows("runs"), f'"{run.cluster.chip.name}"')  # most rows need not be parsed
    return frozenset(r.address for r in on_this_chip if _is_this_run(r, run))


def _is_this_run(row: Row, run: Run) -> bool:
    """Whether a row describes the run: the same architecture on the same kind and number of chips, under whatever name."""
    there = row.get("chip") == run.cluster.chip.name and row.get("gpus") in (None, run.cluster.gpus)
    return there and (row.get("model") == run.model.name or same_architecture(row, run.model))


_RATES = ("tokens_per_s_per_gpu", "step_seconds", "gpu_hours", "phases", "mfu_reported")
"""Fields from which a utilisation can be computed; for a row without any of them no model is built."""


def utilisation(row: Row) -> float | None:
    """Model-FLOPs utilisation of a published run: causal FLOPs over the dense 16-bit peak, converted from the published figures.

    Returns:
        the fraction [1]; None if the row gives no model, or no figure that can be converted.
    """
    seq_len = row.get("seq_len")
    model = model_of(row) if seq_len is not None and any(row.get(rate) for rate in _RATES) else None
    if model is None or seq_len is None:
        return None
    flop = float(flops_per_token(model, float(seq_len)).total)
    part = chip(row["chip"])
    if getattr(part.peak, part.half) is None:
        return None
    peak = part.peak_of(part.half)
    if row.get("tokens_per_s_per_gpu"):
        return float(row["tokens_per_s_per_gpu"] * flop / peak)
    if row.get("step_seconds") and row.get("gpus") and (batch := row.get("batch_tokens") or row.get("batch", 0) * seq_len):
        return float(batch * flop / (row["step_seconds"] * row["gpus"] * peak))
    phase = next((p for p in row.get("phases", ()) if p.get("tokens") and p.get("gpu_hours")), row.fields)
    if phase.get("tokens") and phase.get("gpu_hours"):
        return float(phase["tokens"] * flop / (phase["gpu_hours"] * SECONDS_PER_HOUR * peak))
    if row.get("mfu_reported") and row.get("mfu_flops") in ("half", "full", "megatron") and row.get("mfu_peak", "bf16").startswith("bf16"):
        return float(row["mfu_reported"] * flop / float(flops_per_token(model, float(seq_len), row["mfu_flops"]).total))
    return None


def count(row: Row) -> Counted | None:
    """The sizes and the utilisation of a published run, from its built model; None if the row gives no model.

    >>> from trainsim.catalog.rows import find
    >>> count(find("runs", "deepseek-v3")).sizes
    (7168, 61, 256)
    """
    model = model_of(row)
    return None if model is None else Counted(size_of(model), utilisation(row))


@dataclass(frozen=True)
class _LabMean:
    """Mean utilisation of one lab's rows of one class, which count as one observation."""

    org: str
    factors: tuple[str, ...]
    logit: float
    addresses: tuple[str, ...]


def mfu_evidence(run: Run, as_of: dt.date | None = None, timing: str = "busy") -> Evidence:
    """Prior on the model-FLOPs utilisation of a run (causal FLOPs over the dense BF16 peak), from other labs' runs on similar chips.

    The rows of one lab and class (generation, sparsity, precision, timing, training or benchmark) are one observation y of ``logit mfu``.
    The model is ``y = μ + Σ class effects + ε`` with normal effects and errors. The standard deviations of effects and errors have
    half-normal(0.5) hyperpriors and are integrated out on a grid. The result is the predictive distribution of one run in this run's class;
    its variance includes that between runs of one lab and class. The narrow variant uses only rows of the same sparsity and generation,
    with the standard deviation of all rows around their class means. The wide variant ignores classes.

    Args:
        run: the run to predict; its own disclosures are excluded.
        as_of: exclude rows that became public after this day.
        timing: "busy", or "wall" for utilisation over hours that include downtime.

    Returns:
        the prior [1], with the rows used and those excluded.

    Raises:
        CatalogError: fewer than three observations remain.

    Source: Gelman et al., Bayesian Data Analysis (3rd ed.), section 5.4, the hierarchical normal model.

    >>> from trainsim.catalog.runs import run
    >>> found = mfu_evidence(run("deepseek-v3"))
    >>> 0.2 < found.belief.p50 < 0.4, len(found.used) >= 3
    (True, True)
    """
    generation = GENERATIONS.get(run.cluster.chip.name, run.cluster.chip.name)
    used: dict[str, float] = {}
    excluded: dict[str, str] = {}
    groups: dict[tuple[str, ...], list[tuple[str, float]]] = {}
    mine = own_rows(run)
    for row in rows("runs").values():
        why, value, factors = _observation(row, run, as_of, mine)
        if why:
            excluded[row.address] = why
            continue
        used[row.address] = value
        groups.setdefault((str(row.get("org")), *factors), []).append((row.address, value))
    cells = [_LabMean(k[0], k[1:], float(np.mean(special.logit([v for _, v in g]))), tuple(a for a, _ in g)) for k, g in groups.items()]
    if len(cells) < 3:
        raise CatalogError(
            "catalog.runs",
            len(cells),
            f"lab{'' if len(cells) == 1 else 's'} with usable runs public on {as_of}, where a prior needs 3",
            "put a belief on efficiency.mfu, or give a later as_of",
            "too-few-data",
        )
    own = _factors(generation, "moe" if run.model.is_moe else "dense", _precision(run), timing, "training")
    spread = _between_run_variance([[float(special.logit(v)) for _, v in g] for g in groups.values()])
    how = f"{len({c.org for c in cells})} labs; this run's class is {generation}, {own[2]}"
    return Evidence(
        _hierarchical(tuple(cells), own, spread), _same_generation_only(cells, own), _all_runs_pooled(cells), used, excluded, how
    )


def _observation(row: Row, run: Run, as_of: dt.date | None, own: Collection[str]) -> tuple[str, float, tuple[str, ...]]:
    """Reason to exclude a row for a prediction of ``run`` (empty for none), its utilisation, and its class."""
    why = why_hidden(row, run, as_of, own)
    return (why, 0.0, ()) if why else _row_observation(row.id)


@lru_cache(maxsize=1024)
def _row_observation(name: str) -> tuple[str, float, tuple[str, ...]]:
    """Reason to exclude a row for any prediction (empty for none), its utilisation, and its class."""
    row = rows("runs")[name]
    if row.get("kind") == "rl":
        return "reinforcement learning, not pre-training", 0.0, ()
    if row.get("quality") != "ok":
        return f"suspect: {row.get('why', 'see the row')}", 0.0, ()
    if row.get("chip") not in GENERATIONS:
        return "chip generation outside the model", 0.0, ()
    try:
        found = of_table(row) or count(row)
    except TrainsimError as error:
        return f"FLOPs can't be counted: {error.rule}", 0.0, ()
    value = None if found is None else found.utilisation
    if value is None or found is None or not 0 < value < 1:
        return "no utilisation of the BF16 peak can be computed", 0.0, ()
    timing = "busy" if row.get("hours_are", "busy") == "busy" or row.get("tokens_per_s_per_gpu") or row.get("step_seconds") else "wall"
    precision = "fp8" if str(row.get("precision", "")).startswith("fp8") else "bf16"
    kind = "training" if row.get("kind") == "training" else "benchmark"
    return "", value, _factors(GENERATIONS[row["chip"]], found.sparsity, precision, timing, kind)


def _factors(generation: str, sparsity: str, precision: str, timing: str, kind: str) -> tuple[str, ...]:
    """The classes of an observation; FP8 has separate effects for dense and for sparse models."""
    return generation, sparsity, f"{sparsity} {precision}", timing, kind


def _precision(run: Run) -> str:
    plans = [run.plan, *(phase.plan for phase in run.phases)]
    return "fp8" if any(p is not None and p.recipe.products == "fp8" for p in plans) else "bf16"


_GRID = np.linspace(0.02, 2.0, 60)
_HYPER = 0.5
"""Scale of the half-normal hyperpriors [logit]: a class or a lab seldom changes utilisation by a factor above about 2.7 (judgement)."""
TAILS = np.array([0.05, 0.5, 0.95])


def _between_run_variance(groups: list[list[float]]) -> float:
    """Variance between runs of one lab and class [logit²], times 1 − 1/n, since a mean of n runs already contains 1/n of that variance."""
    squares = sum(float(np.sum((np.array(g) - np.mean(g)) ** 2)) for g in groups)
    freedom = sum(len(g) - 1 for g in groups)
    log = -freedom * np.log(_GRID) - squares / (2 * _GRID**2) - _GRID**2 / (2 * _HYPER**2)
    weights = np.exp(log - log.max())
    return float(weights @ _GRID**2 / weights.sum()) * (1.0 - float(np.mean([1.0 / len(g) for g in groups])))


@lru_cache(maxsize=256)
def _hierarchical(cells: tuple[_LabMean, ...], own: tuple[str, ...], within: float) -> Belief:
    """Predictive distribution of the hierarchical normal model, as three quantiles."""
    names = sorted({(i, f) for c in cells for i, f in enumerate(c.factors)} | set(enumerate(own)))
    design = np.array([[float(c.factors[i] == f) for i, f in names] for c in cells])
    mine = np.array([float(own[i] == f) for i, f in names])
    y = np.array([c.logit for c in cells])
    square, own_square = _GRID**2, float(mine @ mine)
    means, variances, logs = [], [], []
    for tau2 in square:
        # a nearly flat prior on the common mean (variance 100); one eigendecomposition serves every sigma
        values, vectors = np.linalg.eigh(100.0 + tau2 * design @ design.T)
        cross, data = vectors.T @ (100.0 + tau2 * design @ mine), vectors.T @ y
        spread = values[:, None] + square[None, :]
        means.append((cross * data) @ (1.0 / spread))
        variances.append(100.0 + tau2 * own_square + square - cross**2 @ (1.0 / spread))
        logs.append(-0.5 * (np.log(spread).sum(axis=0) + data**2 @ (1.0 / spread)) - (tau2 + square) / (2 * _HYPER**2))
    log = np.ravel(logs)
    weights = np.exp(log - log.max())
    return _mixture_quantiles(np.ravel(means), np.sqrt(np.ravel(variances) + within), weights / weights.sum())


def _same_generation_only(cells: list[_LabMean], own: tuple[str, ...]) -> Belief:
    """Mean of the runs of the same generation and sparsity, with the standard deviation of all rows around their class means."""
    similar = [c for c in cells if c.factors[:2] == own[:2]] or [c for c in cells if c.factors[0] == own[0]] or cells
    by_class: dict[tuple[str, ...], list[float]] = {}
    for c in cells:
        by_class.setdefault(c.factors[:2], []).append(c.logit)
    freedom = max(1, len(cells) - len(by_class))
    spread = np.sqrt(sum(float(np.sum((np.array(v) - np.mean(v)) ** 2)) for v in by_class.values()) / freedom)
    return _student(float(np.mean([c.logit for c in similar])), float(spread * np.sqrt(1 + 1 / len(similar))), freedom)


def _all_runs_pooled(cells: list[_LabMean]) -> Belief:
    """Mean and standard deviation of all runs, ignoring classes."""
    y = np.array([c.logit for c in cells])
    return _student(float(y.mean()), float(y.std(ddof=1) * np.sqrt(1 + 1 / len(y))), len(y) - 1)


def _student(centre: float, scale: float, freedom: int) -> Belief:
    """Student-t distribution in logits, as three quantiles."""
    low, mid, high = special.expit(centre + scale * special.stdtrit(freedom, TAILS))
    return ci90(float(low), float(mid), float(high))


def _mixture_quantiles(means: NDArray[np.float64], sds: NDArray[np.float64], weights: NDArray[np.float64]) -> Belief:
    """Mixture of normals in logits, as three quantiles."""
    heavy = weights > 1e-7  # smaller weights would not change the quantiles
    means, sds, weights = means[heavy], sds[heavy], weights[heavy] / weights[heavy].sum()
    grid = np.linspace(-8.0, 5.0, 1301)

    def cdf(at: int) -> float:
        return float(weights @ special.ndtr((grid[at] - means) / sds))

    found = []
    for tail in TAILS:  # bisection for the grid cell in which the cdf crosses the tail needs few cdf values
        above = bisect_left(range(1, grid.size - 1), tail, key=cdf) + 1
        found.append(np.interp(tail, [cdf(above - 1), cdf(above)], grid[above - 1 : above + 1]))
    return ci90(*map(float, special.expit(found)))


STRENGTHS = ("strong", "medium", "weak")
"""Strength of evidence of a prior row, best first."""
ASSUMED_GOODPUT = (0.70, 0.90, 0.98)
"""P5, P50 and P95 of goodput if none was public on the day: an assumption of the library from November 2026, not evidence."""


def goodput_evidence(run: Run, as_of: dt.date | None = None) -> Evidence:
    """Prior on goodput: the strongest public prior row (of several, the nearest in number of GPUs), else an assumption.

    Args:
        run: the run to predict; its own rows are excluded.
        as_of: rows that became public later are excluded.

    >>> from trainsim.catalog.runs import run
    >>> goodput_evidence(run("bloom-176b"), dt.date(2022, 7, 11)).caveat
    'no goodput was public on 2022-07-11: assumed'
    """
    public = list(prior_rows("reliability.goodput", run, as_of))
    if public:
        row = min(public, key=lambda r: STRENGTHS.index(r["strength"]))
        belief = interval(row)
        return Evidence(belief, belief, belief, {row.address: float(row["p50"])}, {}, row.cited)
    belief, why = ci90(*ASSUMED_GOODPUT), f"no goodput was public on {as_of}: assumed"
    return Evidence(belief, belief, belief, {}, {}, why, why)


def prior_rows(quantity: str, run: Run | None, as_of: dt.date | None) -> Iterator[Row]:
    """Prior rows for a quantity that may be used for a run, the nearest in number of GPUs first."""
    own = None if run is None else own_rows(run)
    fitting = [r for r in mentioning(rows("priors"), quantity) if r.get("quantity") == quantity and not why_hidden(r, run, as_of, own)]
    gpus = run.cluster.gpus if run is not None else 1
    yield from sorted(fitting, key=lambda r: abs(np.log(r.get("gpus", gpus) / gpus)))


def interval(row: Row) -> Belief:
    """Belief of a prior row."""
    return ci90(row["p5"], row["p50"], row["p95"])
