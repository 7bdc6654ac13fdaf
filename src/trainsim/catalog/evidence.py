"""Priors built from rows: what others' runs and the market say, blind to the thing judged."""

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
from ..core.units import SECONDS_PER_HOUR
from ..model.counting import flops_per_token
from ..model.transformer import Model
from ..run.run import Run
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.distributions.interval import ci90
from .hardware import chip
from .models import is_of, model_of
from .rows import Row, lineage, rows

GENERATIONS = {
    "h100-sxm": "hopper", "h800-sxm": "hopper", "h200-sxm": "hopper", "gh200": "hopper",
    "a100-40gb-sxm": "ampere", "a100-80gb-sxm": "ampere", "a800-80gb-sxm": "ampere",
    "b200-sxm": "blackwell", "b300-sxm": "blackwell", "gb200": "blackwell", "gb300": "blackwell",
}  # fmt: skip
"""Chips whose compute is of one silicon generation: an export variant cuts links, not arithmetic."""


@dataclass(frozen=True)
class Evidence:
    """A belief with the rows it was built from, and those that were set aside, each with the reason.

    Args:
        belief: the default reading.
        narrow, wide: the narrowest and the widest reading of the same rows that can be defended.
        used: address → figure.
        set_aside: address → why.
        how: how the belief follows from the rows, in words.
        caveat: what weakens it; empty where nothing does.

    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> found = Evidence(ci90(1.5, 3.0), ci90(1.8, 2.4), ci90(1.0, 5.0), {"rents/a": 2.1}, {"rents/b": "public later"}, "one quote")
    >>> found.belief.p95, found.set_aside
    (3.0, {'rents/b': 'public later'})
    """

    belief: Belief
    narrow: Belief
    wide: Belief
    used: Mapping[str, float]
    set_aside: Mapping[str, str]
    how: str
    caveat: str = ""


def why_hidden(row: Row, run: Run | None, as_of: dt.date | None, own: Collection[str] | None = None) -> str:
    """Why a judge of ``run`` as of a day must not see a row; empty if nothing speaks against it.

    Args:
        row: in question; run: what is judged, None for nothing. as_of: the last day whose rows may be used.
        own: addresses of the run's own rows, where they were already looked up.
    """
    if as_of is not None and row.date > as_of:
        return f"dated {row.date}, after {as_of}"
    if run is None:
        return ""
    own = own_rows(run) if own is None else own
    seen = {*lineage(row.address), *row.get("saw", ())}
    return "from the run itself" if seen & set(own) or any(set(lineage(s)) & set(own) for s in row.get("saw", ())) else ""


def own_rows(run: Run) -> frozenset[str]:
    """Addresses of the rows that are the run, whatever it is called."""
    return frozenset(r.address for r in rows("runs").values() if _is(r, run))


def _is(row: Row, run: Run) -> bool:
    """Whether a row is the run judged: its architecture, whatever it is called, on the same kind and number of chips."""
    there = row.get("chip") == run.cluster.chip.name and row.get("gpus") in (None, run.cluster.gpus)
    return there and (row.get("model") == run.model.name or is_of(row, run.model))


_RATES = ("tokens_per_s_per_gpu", "step_seconds", "gpu_hours", "phases", "mfu_reported")
"""Fields a utilisation can follow from; a row without any needs no model built."""


def utilisation(row: Row) -> float | None:
    """Model-FLOPs utilisation of a published run against the dense 16-bit peak, exact causal pairs, whatever it was published in.

    Returns:
        the fraction, or None where the row gives no model, no rate and no convertible utilisation.
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


@dataclass(frozen=True)
class _Cell:
    """Rows of one organisation and class, averaged: repeated layouts of one lab are one witness."""

    org: str
    factors: tuple[str, ...]
    logit: float
    addresses: tuple[str, ...]


def mfu_evidence(run: Run, as_of: dt.date | None = None, timing: str = "busy") -> Evidence:
    """What others reached on chips of the same family: a prior on utilisation of the dense BF16 peak, causal FLOPs.

    Each lab's rows of one class (generation, sparsity, precision, timing, training or benchmark) are one observation of
    ``logit mfu``. Class effects are normal around a common mean, ``y = μ + Σ effects + ε``, with half-normal(0.5) hyperpriors on both
    scales integrated out on a grid; the prediction is for one run of this run's own class. Its spread holds the spread of the class
    means, and the spread among runs of one lab and class. The narrow reading drops the pooling (own sparsity and generation only,
    spread borrowed from all rows); the wide one ignores classes.

    Args:
        run: what is judged; its own disclosures are hidden.
        as_of: hide rows that became public after this day.
        timing: "busy", or "wall" for utilisation over hours that hold downtime.

    Returns:
        the prior [1], with the rows used and those set aside.

    Raises:
        CatalogError: fewer than three observations are left.

    Source: Gelman et al., Bayesian Data Analysis (3rd ed.), section 5.4, the hierarchical normal model.

    >>> from trainsim.catalog.runs import run
    >>> found = mfu_evidence(run("deepseek-v3"))
    >>> 0.2 < found.belief.p50 < 0.4, len(found.used) >= 3
    (True, True)
    """
    generation = GENERATIONS.get(run.cluster.chip.name, run.cluster.chip.name)
    used: dict[str, float] = {}
    aside: dict[str, str] = {}
    groups: dict[tuple[str, ...], list[tuple[str, float]]] = {}
    mine = own_rows(run)
    for row in rows("runs").values():
        why, value, factors = _witness(row, run, as_of, mine)
        if why:
            aside[row.address] = why
            continue
        used[row.address] = value
        groups.setdefault((str(row.get("org")), *factors), []).append((row.address, value))
    cells = [_Cell(k[0], k[1:], float(np.mean(special.logit([v for _, v in g]))), tuple(a for a, _ in g)) for k, g in groups.items()]
    if len(cells) < 3:
        raise CatalogError(
            "catalog.runs",
            len(cells),
            f"lab{'' if len(cells) == 1 else 's'} with usable runs public on {as_of}: too few to build a belief on",
            "give efficiency its own belief, or a later as_of",
            "too-few-data",
        )
    own = _factors(generation, run.model, _precision(run), timing, "training")
    spread = _within([[float(special.logit(v)) for _, v in g] for g in groups.values()])
    how = f"{len({c.org for c in cells})} labs; this run's class is {generation}, {own[2]}"
    return Evidence(_pooled(tuple(cells), own, spread), _own_kind(cells, own), _any_kind(cells), used, aside, how)


def _witness(row: Row, run: Run, as_of: dt.date | None, own: Collection[str]) -> tuple[str, float, tuple[str, ...]]:
    """Why a row can't testify (or nothing), its utilisation, its class."""
    why = why_hidden(row, run, as_of, own)
    return (why, 0.0, ()) if why else _testimony(row.id)


@lru_cache(maxsize=1024)
def _testimony(name: str) -> tuple[str, float, tuple[str, ...]]:
    """What a row of a run says to any judge: why it can't testify (or nothing), its utilisation, its class."""
    row = rows("runs")[name]
    if row.get("kind") == "rl":
        return "reinforcement learning, not pre-training", 0.0, ()
    if row.get("quality") != "ok":
        return f"suspect: {row.get('why', 'see the row')}", 0.0, ()
    if row.get("chip") not in GENERATIONS:
        return "another family of chips", 0.0, ()
    try:
        value, model = utilisation(row), model_of(row)
    except TrainsimError as error:
        return f"can't be counted: {error.rule}", 0.0, ()
    if value is None or model is None or not 0 < value < 1:
        return "no utilisation of the BF16 peak follows from it", 0.0, ()
    timing = "busy" if row.get("hours_are", "busy") == "busy" or row.get("tokens_per_s_per_gpu") or row.get("step_seconds") else "wall"
    precision = "fp8" if str(row.get("precision", "")).startswith("fp8") else "bf16"
    kind = "training" if row.get("kind") == "training" else "benchmark"
    return "", value, _factors(GENERATIONS[row["chip"]], model, precision, timing, kind)


def _factors(generation: str, model: Model, precision: str, timing: str, kind: str) -> tuple[str, ...]:
    """The class of an observation. Precision counts within a sparsity: what FP8 gains on dense products says nothing of grouped ones."""
    sparsity = "moe" if model.is_moe else "dense"
    return generation, sparsity, f"{sparsity} {precision}", timing, kind


def _precision(run: Run) -> str:
    plans = [run.plan, *(phase.plan for phase in run.phases)]
    return "fp8" if any(p is not None and p.recipe.products == "fp8" for p in plans) else "bf16"


_GRID = np.linspace(0.02, 2.0, 60)
_HYPER = 0.5
"""Scale of the half-normal hyperpriors, in logits: a class or a lab shifts utilisation by a factor below about 2.7 (judgement)."""
TAILS = np.array([0.05, 0.5, 0.95])


def _within(groups: list[list[float]]) -> float:
    """Variance of one run around the mean of its lab's runs of one class, less what those means hold of it already [logit²].

    A cell is a mean of n runs: its spread holds 1/n of the variance between runs; a prediction is of one run.
    """
    squares = sum(float(np.sum((np.array(g) - np.mean(g)) ** 2)) for g in groups)
    freedom = sum(len(g) - 1 for g in groups)
    log = -freedom * np.log(_GRID) - squares / (2 * _GRID**2) - _GRID**2 / (2 * _HYPER**2)
    weights = np.exp(log - log.max())
    return float(weights @ _GRID**2 / weights.sum()) * (1.0 - float(np.mean([1.0 / len(g) for g in groups])))


@lru_cache(maxsize=256)
def _pooled(cells: tuple[_Cell, ...], own: tuple[str, ...], within: float) -> Belief:
    """The predictive distribution of the hierarchical normal model, as three quantiles."""
    names = sorted({(i, f) for c in cells for i, f in enumerate(c.factors)} | set(enumerate(own)))
    design = np.array([[float(c.factors[i] == f) for i, f in names] for c in cells])
    mine = np.array([float(own[i] == f) for i, f in names])
    y = np.array([c.logit for c in cells])
    square, own_square = _GRID**2, float(mine @ mine)
    means, variances, logs = [], [], []
    for tau2 in square:
        # a flat prior on the common mean (variance 100); one eigendecomposition serves every sigma
        values, vectors = np.linalg.eigh(100.0 + tau2 * design @ design.T)
        cross, data = vectors.T @ (100.0 + tau2 * design @ mine), vectors.T @ y
        spread = values[:, None] + square[None, :]
        means.append((cross * data) @ (1.0 / spread))
        variances.append(100.0 + tau2 * own_square + square - cross**2 @ (1.0 / spread))
        logs.append(-0.5 * (np.log(spread).sum(axis=0) + data**2 @ (1.0 / spread)) - (tau2 + square) / (2 * _HYPER**2))
    log = np.ravel(logs)
    weights = np.exp(log - log.max())
    return _three(np.ravel(means), np.sqrt(np.ravel(variances) + within), weights / weights.sum())


def _own_kind(cells: list[_Cell], own: tuple[str, ...]) -> Belief:
    """Only runs of the same generation and sparsity; their spread is that of all rows around their class means."""
    similar = [c for c in cells if c.factors[:2] == own[:2]] or [c for c in cells if c.factors[0] == own[0]] or cells
    by_class: dict[tuple[str, ...], list[float]] = {}
    for c in cells:
        by_class.setdefault(c.factors[:2], []).append(c.logit)
    freedom = max(1, len(cells) - len(by_class))
    spread = np.sqrt(sum(float(np.sum((np.array(v) - np.mean(v)) ** 2)) for v in by_class.values()) / freedom)
    return _student(float(np.mean([c.logit for c in similar])), float(spread * np.sqrt(1 + 1 / len(similar))), freedom)


def _any_kind(cells: list[_Cell]) -> Belief:
    """Every run of every class alike."""
    y = np.array([c.logit for c in cells])
    return _student(float(y.mean()), float(y.std(ddof=1) * np.sqrt(1 + 1 / len(y))), len(y) - 1)


def _student(centre: float, scale: float, freedom: int) -> Belief:
    """A Student-t prediction in logits, by its quantiles."""
    low, mid, high = special.expit(centre + scale * special.stdtrit(freedom, TAILS))
    return ci90(float(low), float(mid), float(high))


def _three(means: NDArray[np.float64], sds: NDArray[np.float64], weights: NDArray[np.float64]) -> Belief:
    """A mixture of normals in logits, by its quantiles."""
    heavy = weights > 1e-7  # the rest of the grid moves no quantile
    means, sds, weights = means[heavy], sds[heavy], weights[heavy] / weights[heavy].sum()
    grid = np.linspace(-8.0, 5.0, 1301)

    def cdf(at: int) -> float:
        return float(weights @ special.ndtr((grid[at] - means) / sds))

    found = []
    for tail in TAILS:  # the cell of the grid where the cdf passes it, by bisection: few points of the grid are needed
        above = bisect_left(range(1, grid.size - 1), tail, key=cdf) + 1
        found.append(np.interp(tail, [cdf(above - 1), cdf(above)], grid[above - 1 : above + 1]))
    return ci90(*map(float, special.expit(found)))


STRENGTHS = ("strong", "medium", "weak")
"""How well a prior row is founded, best first."""
ASSUMED_GOODPUT = (0.70, 0.90, 0.98)
"""P5, P50 and P95 of a goodput before any was public: an assumption of the library, written in November 2026, not evidence."""


def goodput_evidence(run: Run, as_of: dt.date | None = None) -> Evidence:
    """What share of the clock a run of that size steps: of the strongest prior rows public the nearest in size, else an assumption.

    Args:
        run: whose own rows are hidden.
        as_of: rows that became public later are hidden.

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
    """Prior rows for a quantity that a judge may see, best match in size first."""
    own = None if run is None else own_rows(run)
    fitting = [r for r in rows("priors").values() if r.get("quantity") == quantity and not why_hidden(r, run, as_of, own)]
    gpus = run.cluster.gpus if run is not None else 1
    yield from sorted(fitting, key=lambda r: abs(np.log(r.get("gpus", gpus) / gpus)))


def interval(row: Row) -> Belief:
    """A prior row's belief."""
    return ci90(row["p5"], row["p50"], row["p95"])
