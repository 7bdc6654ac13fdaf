"""The closest layout of a run whose model is too large for its accelerators, and the changes with which it fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..gpu_memory.fit import fit_word, spread_for
from ..run.run import Run
from ..training.fine_tuning import LoRA
from ..uncertainty.sampling.sweep import Progress
from .default_layout import with_layout, with_stack
from .memory_filter import filter_layouts
from .problem import SearchProblem, search_problem
from .search import NoLayoutFitsError

DOUBLINGS = 6
"""Number of times that the accelerators are doubled."""
ADAPTERS = {"lora:16": LoRA(rank=16), "qlora:16": LoRA(rank=16, base="nf4")}
"""Adapters tried instead of training all parameters, in the form of ``--finetune``."""


@dataclass(frozen=True)
class Way:
    """One change that makes a run fit.

    Args:
        change: the change in words, ``"128 GPUs"``.
        option: the command-line option for the change.
        memory: modelled peak of the layout that needs least [B].
        run: the changed run, without a plan.
    """

    change: str
    option: str
    memory: float
    run: Run

    def __str__(self) -> str:
        return f"{self.change}: from {self.memory / 1e9:.1f} GB a GPU ({self.option})"


def with_closest_layout(run: Run, progress: Progress | None = None) -> Run:
    """The run with its fastest layout that fits, or, if none fits, with the one that needs least memory.

    Args:
        run: a run with a batch.
        progress: as for :func:`~.default_layout.with_layout`.

    Raises:
        CatalogError: no stack is calibrated for these chips.
        EstimateError: no layout is possible.

    >>> import trainsim as ts
    >>> large = ts.quick("70B", chip="a100", gpus=8, tokens=1e9)
    >>> ts.fits(with_closest_layout(large)).word
    'does not fit'
    """
    try:
        return with_layout(run, progress=progress)
    except NoLayoutFitsError as error:
        return with_stack(run).replace({"plan": error.plan})


def ways_to_fit(run: Run) -> tuple[Way, ...]:
    """Changes that make a run fit its accelerators: adapters instead of all parameters, or more accelerators.

    Args:
        run: a run with a batch, whose first phase fits in no layout.

    Returns:
        one way for each kind of change that suffices; empty if none does.

    >>> import trainsim as ts
    >>> [way.option for way in ways_to_fit(ts.quick("70B", chip="a100", gpus=8, tokens=1e9))]
    ['--finetune lora:16', '--finetune qlora:16', '--gpus 32']
    """
    return tuple(_ways(with_stack(run).replace({"plan": None})))


def _ways(run: Run) -> Iterator[Way]:
    phase = run.phases[0]
    if phase.trains is None:
        for words, adapters in ADAPTERS.items():
            tuned = run.replace({f"phases.{phase.name}.trains": adapters})
            if (least := _least_that_fits(search_problem(tuned, phase.name), run.cluster.gpus)) is not None:
                yield Way(f"fine-tuning with {words.partition(':')[0]} adapters", f"--finetune {words}", least, tuned)
    setting = search_problem(run, phase.name)
    for doubled in (run.cluster.gpus * 2**k for k in range(1, DOUBLINGS + 1)):
        if (least := _least_that_fits(setting, doubled)) is not None:
            yield Way(f"{doubled:,} GPUs", f"--gpus {doubled}", least, run.replace({"cluster.gpus": doubled}))
            return


def _least_that_fits(setting: SearchProblem, gpus: int) -> float | None:
    """Smallest modelled peak of all layouts [B], if it surely fits; else None."""
    found = filter_layouts(setting, (gpus,), None, {})
    least = float(found.layouts.memory.min(initial=float("inf")))
    fits = fit_word(least, float(setting.cluster.chip.memory), spread_for(setting.model)) == "fits"
    return least if fits else None
