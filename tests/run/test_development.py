from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.cluster.hardware import Chip, Cluster, Peak
from trainsim.core.batch import Batch
from trainsim.core.errors import PathError, SpecError
from trainsim.cost.rental import Rental
from trainsim.model.attention.grouped_query import GroupedQueryAttention
from trainsim.model.feedforward import GatedMLP
from trainsim.model.layers import Block, Layers
from trainsim.model.transformer import Model
from trainsim.run.development import Data, Development, Line, People, estimate_development
from trainsim.run.estimate import estimate
from trainsim.testing import refused
from trainsim.training.efficiency import BusyHours
from trainsim.training.phases import Phase
from trainsim.training.reliability import Goodput

MODEL = Model(
    hidden=64,
    vocab=256,
    stack=(
        Layers(
            name="dense",
            count=2,
            block=Block(attention=GroupedQueryAttention(heads=4, kv_heads=2, head_dim=16), ffn=GatedMLP(width=128)),
        ),
    ),
)
CLUSTER = Cluster(chip=Chip(name="H800", peak=Peak(bf16=989e12), memory=80e9, memory_bandwidth=3.35e12), gpus=2048)


def run(hours: float, price: Rental | None = None, goodput: float = 1.0) -> ts.Run:
    phase = Phase("all", efficiency=BusyHours(gpu_hours=hours))
    return ts.Run(model=MODEL, cluster=CLUSTER, phases=[phase], reliability=Goodput(goodput), price=price)


PEOPLE = People(headcount=170, usd_per_year=220e3, overhead=1.3, share=0.75, years=0.9)
DATA = Data(acquisition_usd=5e6, generation_usd=1e6, annotation_usd=2e6)


def v3_and_r1(**changes: Any) -> Development:
    """V3's post-training distils an R1 and R1 starts from V3; hours as disclosed by their maker."""
    fields: dict[str, Any] = {
        "name": "DeepSeek-V3 and R1",
        "lines": [
            Line(name="v3", run=run(2.788e6)),
            Line(name="r1-zero", run=run(101e3)),
            Line(name="r1-data", run=run(5e3)),
            Line(name="r1", run=run(41e3)),
        ],
        "price": Rental(usd_per_gpu_hour=2.0),
    }
    return Development(**fields | changes)


def cost(development: Development) -> float:
    return float(estimate_development(development).cost.total)


def test_v3_and_r1_are_one_development() -> None:
    est = estimate_development(v3_and_r1())
    assert float(est.cost.part("compute.final.v3").total) == pytest.approx(5.576e6)
    assert sum(float(est.cost.part(f"compute.final.{n}").total) for n in ("r1-zero", "r1-data", "r1")) == pytest.approx(294e3)
    assert float(est.cost.total) == pytest.approx(5.87e6)
    assert float(est.hours.total) == pytest.approx(2.935e6)


def test_every_part_of_a_development_by_hand() -> None:
    full = v3_and_r1(failed=0.02, experiments=3.2, data=DATA, people=PEOPLE, evaluation_usd=0.3e6, storage_usd=0.2e6)
    ledger = estimate_development(full).cost
    final = 2.935e6 * 2
    assert float(ledger.part("compute.failed").total) == pytest.approx(0.02 * final)
    assert float(ledger.part("compute.experiments").total) == pytest.approx(2.2 * final)
    assert float(ledger.part("people.pay").total) == pytest.approx(170 * 220e3 * 0.75 * 0.9)
    assert float(ledger.part("people.overhead").total) == pytest.approx(0.3 * 170 * 220e3 * 0.75 * 0.9)
    people = 170 * 220e3 * 1.3 * 0.75 * 0.9
    assert float(ledger.total) == pytest.approx(3.22 * final + 8e6 + people + 0.5e6)


def test_leaves_add_up_to_the_total_and_lead_to_a_part_of_a_run() -> None:
    ledger = estimate_development(v3_and_r1(data=DATA, people=PEOPLE)).cost
    assert sum(float(v) for _, v in ledger.lines()) == pytest.approx(float(ledger.total), rel=1e-12)
    assert float(ledger.part("compute.final.v3.all.whole").total) == pytest.approx(5.576e6)


def test_runs_may_be_repeated_and_given_up() -> None:
    lines = [
        Line(name="final", run=run(1e6)),
        Line(name="crashed", run=run(1e6), contents="failed", completed=0.3, times=2),
        Line(name="ablations", run=run(1e3), contents="experiment", times=50),
    ]
    est = estimate_development(v3_and_r1(lines=lines))
    assert float(est.cost.part("compute.failed").total) == pytest.approx(0.6e6 * 2)
    assert float(est.cost.part("compute.experiments").total) == pytest.approx(50e3 * 2)
    assert float(est.hours.part("crashed").total) == pytest.approx(0.6e6)


def test_a_line_keeps_its_own_price() -> None:
    own = Line(name="own", run=run(1e6, Rental(usd_per_gpu_hour=3.0)))
    assert cost(v3_and_r1(lines=[own])) == pytest.approx(3e6)


def test_a_development_of_one_run_costs_that_run() -> None:
    alone = run(1e6, Rental(usd_per_gpu_hour=2.5), goodput=0.9)
    assert cost(Development(lines=[Line(name="run", run=alone)])) == pytest.approx(float(estimate(alone).cost.total), rel=1e-12)


def test_parts_left_out_are_absent_not_zero() -> None:
    ledger = estimate_development(v3_and_r1()).cost
    assert "people" not in ledger
    assert "data" not in ledger


def test_arrays_equal_scalars_and_pay_is_one_draw() -> None:
    base = v3_and_r1(failed=0.1, experiments=2.0, people=PEOPLE)
    draws = {
        "people.usd_per_year": np.array([110e3, 500e3]),
        "price.usd_per_gpu_hour": np.array([1.4, 3.4]),
        "experiments": np.array([1.5, 8.0]),
        "failed": np.array([0.0, 0.2]),
        "lines.v3.run.reliability.goodput": np.array([0.9, 0.99]),
    }
    drawn = np.asarray(estimate_development(Batch(base, draws).spec).cost.total)
    one_by_one = [cost(base.replace({p: float(v[i]) for p, v in draws.items()})) for i in range(2)]
    np.testing.assert_allclose(drawn, one_by_one, rtol=1e-12)


@settings(deadline=None)
@given(
    path=st.sampled_from(
        ["failed", "experiments", "people.headcount", "people.usd_per_year", "people.overhead", "people.years", "data.annotation_usd",
         "evaluation_usd", "storage_usd", "price.usd_per_gpu_hour", "lines.r1.times"]
    ),
    factor=st.floats(1.0, 3.0),
)  # fmt: skip
def test_more_of_anything_never_costs_less(path: str, factor: float) -> None:
    base = v3_and_r1(failed=0.1, experiments=2.0, people=PEOPLE, data=DATA, evaluation_usd=1e5, storage_usd=1e5)
    assert cost(base.replace({path: base.get(path) * factor})) >= cost(base) * (1 - 1e-12)


DOLLARS = (
    "price.usd_per_gpu_hour", "people.usd_per_year", "data.acquisition_usd", "data.generation_usd", "data.annotation_usd",
    "evaluation_usd", "storage_usd",
)  # fmt: skip


@settings(deadline=None)
@given(rent=st.floats(0.5, 5), pay=st.floats(1e4, 1e6), experiments=st.floats(1, 8), failed=st.floats(0, 0.3), factor=st.floats(0.1, 10))
def test_scaling_every_price_scales_every_dollar(rent: float, pay: float, experiments: float, failed: float, factor: float) -> None:
    base = v3_and_r1(failed=failed, experiments=experiments, people=PEOPLE, data=DATA, evaluation_usd=1e5, storage_usd=1e5)
    base = base.replace({"price.usd_per_gpu_hour": rent, "people.usd_per_year": pay})
    scaled = base.replace({path: base.get(path) * factor for path in DOLLARS})
    one, other = (dict(estimate_development(d).cost.lines()) for d in (base, scaled))
    assert one.keys() == other.keys()
    for path, dollars in one.items():
        assert float(other[path]) == pytest.approx(factor * float(dollars), rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"lines": []}, ("too-few-data", "lines")),
        ({"lines": [Line(name="a", run=run(1e6)), Line(name="a", run=run(1e6))]}, ("duplicate", "lines")),
        ({"price": None}, ("missing", "lines.v3.run.price")),
        ({"experiments": 0.5}, ("out-of-bounds", "experiments")),
        (
            {"experiments": 2.0, "lines": [Line(name="a", run=run(1e6)), Line(name="x", run=run(1), contents="experiment")]},
            ("duplicate", "experiments"),
        ),
        (
            {"failed": 0.1, "lines": [Line(name="a", run=run(1e6)), Line(name="x", run=run(1), contents="failed")]},
            ("duplicate", "failed"),
        ),
    ],
)
def test_bad_input(changes: dict[str, Any], complaint: tuple[str, str]) -> None:
    with refused(SpecError, *complaint):
        v3_and_r1(**changes)


def test_a_final_run_is_whole() -> None:
    with refused(SpecError, "out-of-bounds", "completed"):
        Line(name="a", run=run(1e6), completed=0.5)


def test_a_wrong_path_says_what_was_meant() -> None:
    with refused(PathError, "unknown-field", "people.head_count"):
        v3_and_r1(people=PEOPLE).replace({"people.head_count": 3.0})


def test_a_development_survives_a_file(tmp_path: Path) -> None:
    full = v3_and_r1(failed=0.02, experiments=3.2, data=DATA, people=PEOPLE)
    full.save(tmp_path / "development.toml")
    assert Development.load(tmp_path / "development.toml") == full
