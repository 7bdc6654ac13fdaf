"""The fit recovers the constants that its rows were made from, and depends on no other rows."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import trainsim as ts
from trainsim.calibration import cross_validation as h
from trainsim.calibration import fit as c
from trainsim.calibration.diagnosis import OUTSIDE, Diagnosis, stack_numbers
from trainsim.calibration.readers.measured_steps import read_steps
from trainsim.calibration.records import MeasuredStep
from trainsim.calibration.update import run_log_seconds
from trainsim.catalog.rows import rows as catalogue_rows
from trainsim.catalog.rows import sources
from trainsim.catalog.shipped_calibration import calibration
from trainsim.catalog.software_stacks import fields_at, fitted_fields, stack_at
from trainsim.core.answer import unfolded
from trainsim.run.explain import judged
from trainsim.testing import refused
from trainsim.testing.tables import HEADER, table_of

SHAPES = [
    (8, 64, m, h, 16, n, 1024, tp, 8 // tp // pp, pp)
    for m in (1, 4)
    for h in (1024, 4096)
    for n in (8, 24)
    for tp, pp in ((1, 1), (2, 2), (8, 1))
]


def table(folder: Path, milliseconds: list[float]) -> Path:
    return table_of(folder / "mine.csv", [(*shape, ms) for shape, ms in zip(SHAPES, milliseconds, strict=True)])


@pytest.fixture
def steps(tmp_path: Path) -> list[MeasuredStep]:
    return read_steps(table(tmp_path, [1000.0] * len(SHAPES)))


def made_from(steps: list[MeasuredStep], **known: float) -> list[MeasuredStep]:
    """The same rows, with the times modelled at these values of some constants."""
    values = {name: np.array([known.get(name, float(row["prior"]))]) for name, row in catalogue_rows("constants").items()}
    return [replace(s, seconds=float(np.exp(t[0]))) for s, t in zip(steps, c.modelled_log_seconds(steps, values), strict=True)]


def test_a_fit_finds_the_constants_its_rows_were_made_from(steps: list[MeasuredStep]) -> None:
    truth = {"gemm-ampere": 0.6, "launch-eager": 4e-5}
    task = c.fit_problem(made_from(steps, **truth))
    found = task.values(c.fit(task, starts=2, iterations=15).best[None, :])
    for name, value in truth.items():
        assert found[name][0] == pytest.approx(value, rel=0.1), name


def test_held_out_rows_are_not_used(steps: list[MeasuredStep]) -> None:
    rows = made_from(steps)
    seen, unseen = rows[::2], rows[1::2]
    once = h.predict_held_out(seen, unseen)
    changed = h.predict_held_out(seen, [replace(s, seconds=s.seconds * 3) for s in unseen])
    assert np.allclose(changed.residuals, once.residuals - np.log(3.0), rtol=0, atol=1e-9)
    assert np.allclose(changed.parameter_sd, once.parameter_sd)


def test_the_calibrated_sigma_covers_90_percent() -> None:
    rng = np.random.default_rng(3)
    doubt = rng.uniform(0.01, 0.05, 4000)
    apart = h.HeldOutPredictions((), rng.standard_normal(4000) * np.hypot(doubt, 0.1), doubt, np.zeros(4000, dtype=np.bool_))
    assert h.calibrated_sigma(apart, np.ones(4000)) == pytest.approx(0.1, rel=0.08)


def test_the_sigma_from_few_configurations_covers_the_next_one() -> None:
    """Of many sets of twelve configurations, the thirteenth lies inside in 90 %; a plain quantile contains fewer."""
    rng, z = np.random.default_rng(5), 1.6448536269514722
    inside = {None: 0, 12: 0}
    for _ in range(1500):
        off = rng.standard_t(4, 13)
        known = h.HeldOutPredictions((), off[:12], np.zeros(12), np.zeros(12, dtype=np.bool_))
        for members in inside:
            inside[members] += bool(abs(off[12]) <= z * h.calibrated_sigma(known, np.ones(12), members=members))
    assert inside[12] / 1500 == pytest.approx(12 / 13, abs=0.02)
    assert inside[None] < 0.88 * 1500


def test_the_shipped_calibration_lists_fitted_and_held_out_sources() -> None:
    shipped = calibration()
    assert "DeepSeek" in shipped.left_out
    assert not [s for s in shipped.sources if s.startswith("DeepSeek")]
    assert set(shipped.names) == set(catalogue_rows("constants")), "the shipped calibration has other constants: make calibrate"
    assert shipped.draws.shape == (400, len(catalogue_rows("constants")))
    assert np.all(np.isfinite(shipped.draws))
    assert set(shipped.tags.values()) <= {"fitted", "prior-only", "on-bound"}


@pytest.mark.parametrize("name", sorted(catalogue_rows("stacks")))
def test_every_draw_of_every_stack_is_a_stack(name: str) -> None:
    shipped = calibration()
    fields = fields_at(name, dict(zip(shipped.names, shipped.draws.T, strict=True)))
    assert set(fields) == set(fitted_fields(name))
    for i in (0, 200, 399):
        stack_at(name, dict(zip(shipped.names, shipped.draws[i].tolist(), strict=True)))


def run(stack: str = "mcore-hopper") -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        plan=ts.Plan(zero=3),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
        efficiency=ts.Modelled(stack=ts.catalog.stack(stack)),
        reliability=ts.Goodput(1.0),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )


def widths(beliefs: ts.Beliefs, made: ts.Run) -> tuple[float, float, float]:
    sim = ts.simulate(made, beliefs, n=1 << 12, function=lambda r: {"step": ts.step_time(r).total})
    low, mid, high = sim.quantile("step", (0.05, 0.5, 0.95))
    return float(low), float(mid), float(high)


def test_measured_steps_narrow_and_shift_beliefs() -> None:
    made = run()
    usual = float(np.asarray(ts.step_time(made).total))
    low, _, high = widths(ts.catalog.stack_beliefs("mcore-hopper", routed=False), made)
    found = ts.calibrate([1.25 * usual], made)
    after_low, after_mid, after_high = widths(found.beliefs, made)
    assert after_high / after_low < high / low
    assert usual < after_mid < 1.25 * usual * 1.02


def test_steps_that_agree_with_the_prediction_change_nothing() -> None:
    made = run()
    usual = float(np.exp(np.median(run_log_seconds(made))))
    assert abs(ts.calibrate([usual], made).after[1]) < 0.02


def test_a_log_is_read_as_its_steps(tmp_path: Path) -> None:
    made = run()
    log = tmp_path / "train.log"
    log.write_text(
        "\n".join(f"iteration {i}/ 90 | elapsed time per iteration (ms): {ms} |" for i, ms in enumerate([90000.0, 20000.0, 7400.0, 7500.0]))
    )
    assert ts.calibrate(log, made).before == ts.calibrate([7.4, 7.5], made).before


@pytest.mark.parametrize(
    ("rows", "given", "refusal"),
    [
        ([7.4], None, ("missing", "run")),
        ([], "run", ("wrong-type", "rows")),
        ([-1.0], "run", ("out-of-bounds", "rows.0")),
        ("nowhere.log", "run", ("not-found", "log")),
        ("nowhere.csv", None, ("not-found", "table of measured steps")),
    ],
)
def test_rows_that_cannot_be_calibrated_have_a_reason(rows: object, given: str | None, refusal: tuple[str, str]) -> None:
    with refused(ts.TrainsimError, *refusal):
        ts.calibrate(rows, run() if given else None)  # type: ignore[arg-type]


def test_a_log_without_steps_names_the_lines_that_are_understood(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("hello\n")
    with refused(ts.TrainsimError, "too-few-data", "log"):
        ts.calibrate(tmp_path / "x.log", run())


def test_before_the_calibration_was_made_a_stack_has_its_priors() -> None:
    made = run()
    before = calibration().date - dt.timedelta(days=1)
    wide = widths(ts.catalog.stack_beliefs("mcore-hopper", routed=False, as_of=before), made)
    narrow = widths(ts.catalog.stack_beliefs("mcore-hopper", routed=False), made)
    assert wide[2] / wide[0] > narrow[2] / narrow[0]


def test_the_factor_of_a_source_before_the_calibration_is_a_row() -> None:
    row = ts.catalog.rows("priors")["source-factor"]
    before = ts.catalog.stack_beliefs("mcore-hopper", as_of=calibration().date - dt.timedelta(days=1))
    law = before["efficiency.stack.factor"].for_field(run().unit_of("efficiency.stack.factor"), "efficiency.stack.factor")
    assert [float(law.ppf(q)) for q in (0.05, 0.5, 0.95)] == pytest.approx([row["p5"], row["p50"], row["p95"]], rel=0.005)


@pytest.mark.parametrize("name", sorted(catalogue_rows("stacks")))
def test_every_number_of_a_stack_names_where_it_came_from(name: str) -> None:
    """A fitted constant names the calibration, an unfitted one its prior, a figure of the row its own source; other numbers name none."""
    made = ts.catalog.stack(name)
    said, base = made.sources(), catalogue_rows("stacks")[catalogue_rows("stacks")[name].get("like") or name]
    own = base.get("sources", {})
    for field in made.numbers():
        constant = fitted_fields(name).get(field, "").partition(" * ")[0]
        if made.tag(field) == "fitted":
            assert said[field].startswith("Fitted to"), field
            assert said[field].endswith(f"[calibration/{constant}]"), field
        elif constant:
            assert said[field] == catalogue_rows("constants")[constant].cited, field
        elif field in own:
            assert said[field].startswith(sources()[own[field]]["title"]), field
        elif field in base.fields:
            assert said[field] == base.cited, field
        elif field not in {"factor", "rated_power", "power_exponent"}:
            assert judged(said[field]), field
    assert set(own) <= set(base.fields)


# diagnosis ---------------------------------------------------------------------------------------------------------------


def test_the_modelled_step_is_at_the_median_and_twice_it_is_not() -> None:
    made = run()
    usual = float(np.exp(np.median(run_log_seconds(made))))
    as_usual, slow = ts.diagnose(made, step_time=usual), ts.diagnose(made, step_time=2 * usual)
    assert 35 < as_usual.percentile < 65
    assert slow.percentile > 99
    assert slow.explanations[0].path != ""
    assert sum(e.probability for e in slow.explanations) == pytest.approx(1.0)
    assert slow.tell_apart in ts.step_time(made).parts


def test_the_value_of_a_cause_reproduces_the_measured_step() -> None:
    """At the value that a cause gives, the modelled step is close to the measured one."""
    made = run()
    usual = float(np.asarray(ts.step_time(made).total))
    found = stack_numbers(ts.diagnose(made, step_time=1.15 * usual).explanations)[0]
    assert float(np.asarray(ts.step_time(made.replace({found.path: found.value})).total)) == pytest.approx(1.15 * usual, rel=0.06)


@pytest.mark.parametrize("times", [3.4, 0.3, 10.0])
def test_a_step_far_from_every_number_is_none_of_these(times: float) -> None:
    made = run()
    found = ts.diagnose(made, step_time=times * float(np.asarray(ts.step_time(made).total)))
    first = found.explanations[0]
    assert first.path == OUTSIDE
    assert first.value == pytest.approx(times)
    assert first.probability > 0.95
    assert [name for name, _ in found.outside] == (["network", "stragglers", "data"] if times > 1 else ["tokens", "work"])
    assert all(words in unfolded(found) for _, words in found.outside)


@pytest.mark.parametrize(("percentile", "words"), [
    (97.2, "slower than 97 % of what is expected"), (2.0, "faster than 98 % of what is expected"),
    (64.0, "normal, slower than 64 % of what is expected"), (100.0, "slower than more than 99.9 % of what is expected"),
    (99.4, "slower than 99.4 % of what is expected"), (0.0, "faster than more than 99.9 % of what is expected"),
])  # fmt: skip
def test_the_percentile_is_said_in_words(percentile: float, words: str) -> None:
    assert Diagnosis((1.0, 2.0, 3.0), 2.0, percentile, (), "").standing == words


def test_a_normal_step_names_no_suspect_and_a_slow_one_says_what_to_measure_next() -> None:
    made = run()
    usual = float(np.exp(np.median(run_log_seconds(made))))
    as_usual, slow = ts.diagnose(made, step_time=f"{1e3 * usual!r} ms"), ts.diagnose(made, step_time=1.4 * usual)
    assert as_usual.suspect == ""
    assert slow.suspect in str(slow)
    assert slow.advice in unfolded(slow)
    assert len(slow.advice) > 0


def test_memory_is_compared_with_the_fullest_rank() -> None:
    made = run()
    peak = max(
        float(np.asarray(made_rank.total)) for made_rank in ts.estimate(made).memory.parts.values() if isinstance(made_rank, ts.Ledger)
    )
    found = ts.diagnose(made, memory=peak + 1e9)
    assert found.memory is not None
    assert found.memory[0] == pytest.approx(1e9, rel=1e-6)


def test_nothing_measured_is_an_error() -> None:
    with refused(ts.TrainsimError, "missing", "step_time"):
        ts.diagnose(run())


# backtest ----------------------------------------------------------------------------------------------------------------


def test_a_backtest_forecasts_unfitted_rows_and_skips_the_rest(tmp_path: Path) -> None:
    file = table(tmp_path, [900.0 + i for i in range(len(SHAPES))])
    found = ts.backtest(file)
    assert not isinstance(found, type(ts.backtest()))
    forecasts = found.forecasts  # type: ignore[union-attr]
    assert len(forecasts) == len(SHAPES)
    assert all(f.low < f.mid < f.high for f in forecasts)
    assert "inside" in str(found)


def test_a_fitted_row_is_skipped_under_any_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_steps(table(tmp_path, [900.0 + i for i in range(len(SHAPES))]))
    known = replace(calibration(), rows=frozenset(s.fingerprint for s in first[1:]))
    monkeypatch.setattr("trainsim.validation.step_backtest.calibration", lambda: known)
    copy = tmp_path / "another name.csv"
    copy.write_text((tmp_path / "mine.csv").read_text())
    found = ts.backtest(copy)
    assert len(found.seen) == len(SHAPES) - 1  # type: ignore[union-attr]
    assert [f.step.id for f in found.forecasts] == ["vTrain:0"]  # type: ignore[union-attr]
    assert f"refused: {len(SHAPES) - 1} rows" in str(found)


def test_rows_that_cannot_be_modelled_have_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    file.write_text(json.dumps({"runs": [{"id": 1, "name": "Somebody: a run", "gpu": "H100-SXM", "n_gpus": 8}]}))
    found = ts.backtest(file)
    assert [bool(s.not_modelled) for s in found.not_run] == [True]  # type: ignore[union-attr]
    assert "not run" in str(found)


@pytest.mark.parametrize(
    ("row", "begin"),
    [
        ("mine,8,64,4,4096,32,24,2048,4,2,1,6200", ""),
        ("mine,8,64,4,4096,32,24,2048,4,2,1,6200,one cell too many", ""),
        ("mine,8,64,4,4096,32,24,2048,4,1,1,6200", "gpus=8: "),
        ("mine,6,64,4,4096,32,24,2048,3,2,1,6200", "tensor parallelism=3: "),
        ("mine,32,64,4,4096,32,24,2048,1,1,32,6200", "pipeline parallelism=32: "),
        ("mine,8,64,4,4096,32,24,2048,4,2,1", "iteration time (ms)=None: "),
        ("mine,8,64,4,4096,32,24,2048,4,2,1,-1", "iteration time (ms)='-1': "),
        ("mine,8,sixty,4,4096,32,24,2048,4,2,1,6200", "global batch='sixty': "),
    ],
)
def test_a_row_of_a_csv_file_is_modelled_or_has_a_reason(tmp_path: Path, row: str, begin: str) -> None:
    file = tmp_path / "steps.csv"
    file.write_text(f"name,{HEADER}\n{row}\n", encoding="utf-8")
    (step,) = read_steps(file)
    assert step.not_modelled.startswith(begin)
    assert bool(step.not_modelled) == bool(begin)
    assert (step.model is None) == bool(begin)
