"""Whether a run fits: the word, the missing memory, and the nearest layouts that fit."""

from __future__ import annotations

import pytest

import trainsim as ts
from trainsim.core.errors import EstimateError
from trainsim.run.memory import fits, memory
from trainsim.testing import refused


def run(plan: ts.Plan | None, gpus: int = 512) -> ts.Run:
    phase = ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=1024)
    return ts.Run(model=ts.catalog.model("glm-4.5"), cluster=ts.catalog.cluster("hgx-h100", gpus), phases=[phase], plan=plan)


@pytest.mark.parametrize(
    ("plan", "word"),
    [(ts.Plan(pp=8, ep=8), "does not fit"), (ts.Plan(tp=8, pp=4, ep=8, zero=1, recompute="full"), "tight")],
    ids=str,
)
def test_the_nearest_layouts_fit_and_no_nearer_ones_do(plan: ts.Plan, word: str) -> None:
    found = fits(run(plan))
    assert found.word == word
    assert len(found.nearest) == 3
    own, changed = dict(plan), [sum(value != dict(plan)[name] for name, value in near) for near in found.nearest]
    assert changed == sorted(changed)
    for near in found.nearest:
        assert fits(run(near)).word == "fits"
        different = [name for name, value in near if value != own[name]]
        assert all(name in str(found) for name in different)
        one_less = [near.replace({name: own[name]}) for name in different] if len(different) > 1 else [plan]
        assert "fits" not in {fits(run(less)).word for less in one_less} or len(different) > changed[0]


def test_a_run_that_fits_has_no_nearest_layouts() -> None:
    found = fits(run(ts.Plan(pp=8, ep=16, tp=2, zero=3, recompute="full")))
    assert (found.word, found.cuts, found.nearest) == ("fits", (), ())


def test_neither_efficiency_nor_goodput_nor_price_is_asked_for() -> None:
    assert float(memory(run(ts.Plan(pp=8, ep=8))).part("rank-0").total) > 80e9


def test_everything_that_is_missing_is_named_at_once() -> None:
    bare = run(None).replace({"phases.pretrain.batch": None})
    with refused(EstimateError, "missing", "plan") as raised:
        fits(bare)
    assert "phases.pretrain.batch" in raised.error.remedy
    with refused(EstimateError, "unknown-name", "phase"):
        memory(run(ts.Plan()), "pretrian")
