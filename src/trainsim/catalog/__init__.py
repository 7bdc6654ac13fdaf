"""The catalogue: chips, clusters, models, runs, prices, priors and claims as rows with source, date and grade."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from ..core.lazy import make_lazy as _make_lazy

if _TYPE_CHECKING:
    from .claims import claim as claim
    from .claims import claims as claims
    from .developments import Programme as Programme
    from .developments import programme as programme
    from .evidence import Evidence as Evidence
    from .evidence import mfu_evidence as mfu_evidence
    from .fleets import fleet as fleet
    from .fleets import fleet_beliefs as fleet_beliefs
    from .hardware import chip as chip
    from .hardware import cluster as cluster
    from .ids import chips as chips
    from .ids import clusters as clusters
    from .ids import models as models
    from .ids import runs as runs
    from .ids import stacks as stacks
    from .matching import row_of as row_of
    from .models import model as model
    from .rent_trend import rent_trend as rent_trend
    from .rents import rent_evidence as rent_evidence
    from .rows import Row as Row
    from .rows import find as find
    from .rows import rows as rows
    from .run_beliefs import beliefs as beliefs
    from .run_beliefs import owner_beliefs as owner_beliefs
    from .runs import Filled as Filled
    from .runs import complete as complete
    from .runs import filled_in as filled_in
    from .runs import published as published
    from .runs import run as run
    from .software_stacks import stack as stack
    from .software_stacks import stack_beliefs as stack_beliefs
    from .software_stacks import stack_for as stack_for
    from .stack_files import stack_text as stack_text

_make_lazy(
    __name__,
    {
        "claims": ("claim", "claims"),
        "developments": ("Programme", "programme"),
        "evidence": ("Evidence", "mfu_evidence"),
        "fleets": ("fleet", "fleet_beliefs"),
        "hardware": ("chip", "cluster"),
        "ids": ("chips", "clusters", "models", "runs", "stacks"),
        "models": ("model",),
        "software_stacks": ("stack", "stack_beliefs", "stack_for"),
        "matching": ("row_of",),
        "rent_trend": ("rent_trend",),
        "rents": ("rent_evidence",),
        "rows": ("Row", "find", "rows"),
        "run_beliefs": ("beliefs", "owner_beliefs"),
        "runs": ("Filled", "complete", "filled_in", "published", "run"),
        "stack_files": ("stack_text",),
    },
)
