"""Runs and models from a few inputs: filled-in values are marked and plausible."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.catalog.generic_models import generic_model
from trainsim.core.errors import EstimateError, SpecError
from trainsim.planning.quick_reinforcement import quick_reinforcement
from trainsim.planning.quick_run import usual_batch
from trainsim.training.rollouts import Rollouts

LATER = "phases.reinforce.efficiency.recipe"


@given(st.floats(1.0, 2000.0))
def test_a_generic_model_has_its_size_and_degrees_divide_it(billions: float) -> None:
    model = generic_model(f"{billions:.3f}B")
    assert model is not None
    assert float(ts.count_params(model).total) == pytest.approx(billions * 1e9, rel=0.03)
    attention = model.stack[0].block.attention
    assert isinstance(attention, ts.GroupedQueryAttention)
    assert attention.heads % 8 == 0
    assert model.layers % 4 == 0


def test_a_rent_below_every_quote_is_pointed_out() -> None:
    with pytest.warns(ts.TrainsimWarning, match="below the cheapest quote"):
        ts.quick("7B", chip="h100", gpus=8, tokens="1T", price="0.25/h")


def test_a_usual_rent_is_not(recwarn: pytest.WarningsRecorder) -> None:
    ts.quick("7B", chip="h100", gpus=8, tokens="1T", price="2.5/h")
    assert not recwarn.list


@given(st.integers(1, 4096), st.sampled_from([512, 2048, 4096, 8192, 32768]))
def test_an_assumed_batch_splits_evenly_over_copies(gpus: int, seq_len: int) -> None:
    batch = usual_batch(seq_len, gpus)
    odd = gpus // (gpus & -gpus)
    assert batch % odd == 0
    assert batch == odd or batch * seq_len == pytest.approx(4e6, rel=0.42)  # a factor of √2 at most


def test_the_best_layout_of_an_assumed_batch_uses_data_parallelism() -> None:
    best = ts.with_layout(ts.quick("8B", chip="h100", gpus=64, tokens="1T"), "2026-10").plan
    assert best is not None
    assert best.tp * best.pp * best.cp < 64


def recipe_of(run: ts.Run) -> ts.Reinforcement:
    efficiency = run.phases[0].efficiency
    assert isinstance(efficiency, Rollouts)
    return efficiency.recipe


def test_assumed_inputs_of_a_grpo_run_are_marked_and_get_beliefs() -> None:
    run = quick_reinforcement("7B", chip="h100", gpus=32, steps=100, end="2K", samples=16)
    sources = run.sources()
    assert sources[f"{LATER}.samples"] == "given by the user"
    assert sources[f"{LATER}.prompts"].startswith("assumed")
    believed = ts.catalog.beliefs(run)
    assert {f"{LATER}.engine.bandwidth_share", f"{LATER}.learning_mfu"} <= set(believed.paths)
    assert all(sources[path].startswith("assumed") for path in believed.paths)
    assert sources[f"{LATER}.steps_per_rollout"].startswith("assumed")
    given_share = run.replace({f"{LATER}.learning_mfu": 0.3})
    assert f"{LATER}.learning_mfu" not in ts.catalog.beliefs(given_share).paths
    assert float(ts.estimate(run).cost.total) > 0


def test_the_engine_is_the_fastest_and_a_slow_one_gets_a_hint() -> None:
    asked: dict[str, Any] = {"chip": "h100", "gpus": 32, "steps": 100, "end": 8000}
    best = recipe_of(quick_reinforcement("70B", **asked)).engine.gpus
    cluster = ts.catalog.cluster("hgx-h100", gpus=32)
    run = quick_reinforcement("70B", **asked)

    def seconds(size: int) -> float:
        recipe = recipe_of(run).replace({"engine.gpus": size})
        return float(ts.estimate_reinforcement(run.model, cluster, recipe).seconds.total)

    assert seconds(best) == min(map(seconds, (2, 4, 8)))
    with pytest.warns(ts.TrainsimWarning, match=f"as long as engine_gpus={best}"):
        assert recipe_of(quick_reinforcement("70B", **asked, engine_gpus=2)).engine.gpus == 2


def test_a_model_that_no_engine_holds_is_refused() -> None:
    with pytest.raises(EstimateError):
        quick_reinforcement("deepseek-v3", chip="h100", gpus=4, steps=100, end=2000)


@pytest.mark.parametrize(
    "odd", [{"gpus": "8"}, {"gpus": True}, {"gpus": 8.5}, {"gpus": -1}, {"chip": None}, {"chip": " "}, {"finetune": 3}], ids=str
)
def test_an_odd_input_is_one_clear_error(odd: dict[str, object]) -> None:
    with pytest.raises(SpecError) as error:
        ts.quick("7B", **{"chip": "h100", "gpus": 8, "tokens": "1T", **odd})  # type: ignore[arg-type]
    assert error.value.path in {*odd, "trains"}
