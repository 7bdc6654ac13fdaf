"""Claims about any subject: no catalogue row is needed; ten times the figure changes the verdict, another unit does not."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import trainsim as ts
from trainsim.auditing.comparison import SEVERITY
from trainsim.auditing.measure import FLEET
from trainsim.auditing.subjects import REFUSED
from trainsim.claims.claim import _BASES, _PREFIXES, DIMENSIONS
from trainsim.claims.typed_figure import typed_figure

Subject = Any


@cache
def model() -> ts.Model:
    return ts.from_hf(
        {
            "model_type": "mixtral", "hidden_size": 2048, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
            "num_key_value_heads": 4, "vocab_size": 64000, "tie_word_embeddings": False, "num_local_experts": 16,
            "num_experts_per_tok": 2, "sliding_window": None,
        }
    )  # fmt: skip


@cache
def run(**changes: Any) -> ts.Run:
    given: dict[str, Any] = {
        "name": "ours",
        "model": model(),
        "cluster": ts.catalog.cluster("hgx-h100", gpus=256),
        "phases": (ts.Phase("pretrain", tokens=1e12, seq_len=4096),),
        "efficiency": ts.MFU(0.3),
        "reliability": ts.Goodput(0.95),
        "price": ts.Rental(usd_per_gpu_hour=2.6, date="2025-03-31"),
    }
    return ts.Run(**given | changes)


@cache
def bare() -> ts.Run:
    return run(efficiency=None, reliability=None, price=None)


@cache
def rollouts() -> ts.Run:
    recipe = ts.Reinforcement(
        steps=200,
        prompts=128,
        samples=8,
        prefill_mfu=0.4,
        learning_mfu=0.25,
        sync_seconds=20,
        responses=ts.Responses(prompt=150, start=600, end=1500, spread=0.8, maximum=8192),
        engine=ts.Engine(gpus=1, bandwidth_share=0.55, compute_share=0.3, step_overhead_seconds=0.008, max_batch=256),
    )
    made = run(phases=(ts.Phase("rl", efficiency=ts.Rollouts(recipe=recipe)),), cluster=ts.catalog.cluster("hgx-h100", gpus=8))
    return made.replace({"model": ts.catalog.model("llama3-8b")})


@cache
def fleet() -> ts.Fleet:
    owner = ts.Ownership(usd_per_gpu=35e3, life_years=4, operating_share=0.14, utilization=0.8)
    return ts.Fleet(holdings=[ts.Holding(name="H100", gpus=12_000, ownership=owner), ts.Holding(name="A100", gpus=5_000, ownership=owner)])


@cache
def development() -> ts.Development:
    return ts.Development(lines=[ts.Line(name="main", run=run())], experiments=3.0, data=ts.Data(acquisition_usd=4e5), storage_usd=1e5)


FLEET_BELIEFS = ts.Beliefs({"holdings.H100.gpus": ts.ci90(8e3, 16e3)})
CASES: dict[str, tuple[ts.Claim, Callable[[], Subject], dict[str, Any]]] = {
    "dollars": (ts.Claim("cost", 26.2e3, unit="USD"), run, {}),
    "dollars of a model": (ts.Claim("cost", 30e3, unit="USD", scope="all runs at rent"), run, {}),
    "dollars at the owner's cost": (ts.Claim("cost", 17e3, unit="USD", scope="final run at owner's cost"), run, {}),
    "dollars where nothing was told": (ts.Claim("cost", 26e3, unit="USD"), bare, {}),
    "dollars of reinforcement learning": (ts.Claim("cost", 300, unit="USD"), rollouts, {}),
    "dollars of a development": (ts.Claim("cost", 600e3, unit="USD"), development, {}),
    "hours": (ts.Claim("gpu_hours", 10.6e3, unit="GPU-h"), run, {}),
    "hours of a development": (ts.Claim("gpu_hours", 10.6e3, unit="GPU-h"), development, {}),
    "hours where none were told": (ts.Claim("gpu_hours", 11e3, unit="GPU-h"), bare, {}),
    "hours of reinforcement learning": (ts.Claim("gpu_hours", 120, unit="GPU-h"), rollouts, {}),
    "days": (ts.Claim("wall_days", 1.7, unit="day"), run, {}),
    "a utilisation": (ts.Claim("mfu", 30, unit="%"), run, {}),
    "a utilisation where none was told": (ts.Claim("mfu", 0.33), bare, {}),
    "FLOPs": (ts.Claim("flops", 1.1e22, unit="FLOP"), run, {}),
    "energy": (ts.Claim("energy", 13, unit="MWh"), run, {}),
    "tokens": (ts.Claim("tokens", 1, unit="Ttoken"), run, {}),
    "GPUs": (ts.Claim("gpus", 256, unit="GPU"), run, {}),
    "parameters": (ts.Claim("params", 10.5, unit="Bparameter"), model, {}),
    "active parameters": (ts.Claim("active_params", 1.7, unit="Bparameter"), model, {}),
    "layers": (ts.Claim("layers", 24, unit="layer"), model, {}),
    "experts": (ts.Claim("experts", 16, unit="expert"), model, {}),
    "bytes of cache": (ts.Claim("kv_bytes_per_token", 49_152, unit="B/token"), model, {}),
    "a lab's machines": (ts.Claim("fleet.gpus", 17, unit="kGPU"), fleet, {}),
    "their price": (ts.Claim("fleet.capex", 595, unit="MUSD"), fleet, {}),
    "their running": (ts.Claim("fleet.operating", 333, unit="MUSD"), fleet, {}),
    "a year of it": (ts.Claim("fleet.operating_per_year", 83, unit="MUSD/year"), fleet, {}),
    "their price as believed": (ts.Claim("fleet.capex", 595, unit="MUSD"), fleet, {"beliefs": FLEET_BELIEFS}),
    "a comparison": (ts.Claim("cost", 3000, unit="times"), run, {"versus": ts.catalog.run("llama3.1-405b")}),
    "a comparison of hours": (ts.Claim("gpu_hours", 2900, unit="times"), run, {"versus": ts.catalog.run("llama3.1-405b")}),
    "a comparison of sizes": (ts.Claim("params", 39, unit="times"), run, {"versus": ts.catalog.run("llama3.1-405b")}),
}


@cache
def judged(name: str, factor: float = 1.0, unit: str | None = None) -> ts.Verdict:
    claim, subject, more = CASES[name]
    value = float(claim.value or 0.0) * factor
    return ts.audit(claim.replace({"value": value, "unit": claim.unit if unit is None else unit}), subject(), **more)


@pytest.mark.parametrize("name", CASES)
def test_a_correct_figure_is_not_refuted_and_ten_times_it_is(name: str) -> None:
    """Figures that only the user gives never confirm a claim; predictions of reinforcement learning depend on judgement about engines."""
    verdict, wrong = judged(name), judged(name, 10.0)
    open_ = "reinforcement" in name
    assert verdict.number in (("CANNOT BE JUDGED",) if open_ else ("NOT REFUTED", "STRAINED")), verdict.checks
    assert wrong.number in (("CANNOT BE JUDGED",) if open_ else ("REFUTED", "IMPOSSIBLE")), wrong.checks
    for each in (verdict, wrong):
        lines = str(each).splitlines()
        assert max(map(len, lines)) <= 80
        assert each.number in str(each)


@pytest.mark.parametrize("name", CASES)
def test_the_same_figure_in_another_unit_gets_the_same_verdict(name: str) -> None:
    claim = CASES[name][0]
    told = claim.replace({"value": 1.0}).in_base()
    others = [
        (prefix + base, size * to_base)
        for base, (dimension, to_base) in _BASES.items()
        for prefix, size in _PREFIXES.items()
        if dimension == claim.base_unit and base and prefix in ("", "k", "million ")
    ]
    verdict = judged(name)
    for unit, size in others[1:2]:
        other = judged(name, told / size, unit)
        assert (other.number, other.words, other.scopes) == (verdict.number, verdict.words, verdict.scopes), unit


def test_every_quantity_has_a_measure_and_a_case() -> None:
    # as for gpu_hours; below; a purchase cost given as a lower bound; the pay of a lab's people
    left = {"busy_gpu_hours", "mtp_depth", "tokens_per_position", "investment", "pay", *REFUSED}
    assert {c.quantity for c, _, _ in CASES.values()} == set(DIMENSIONS) - left


def test_prediction_modules_may_be_none() -> None:
    v3 = ts.catalog.model("deepseek-v3")
    said = ts.Claim("mtp_depth", 1, unit="token", subject="deepseek-v3")
    assert ts.audit(said).number == "CONFIRMED"
    assert ts.audit(said, v3).number == "NOT REFUTED", "given by the user"
    assert ts.audit(said.replace({"value": 3})).number == "REFUTED"
    assert ts.audit(ts.Claim("mtp_depth", 0, unit="token"), model()).number == "NOT REFUTED"
    assert ts.audit(ts.Claim("kv_bytes_per_token", 70, unit="kB/token", subject="deepseek-v3")).number == "CONFIRMED"


@pytest.mark.parametrize(
    ("megawatt_hours", "number"),
    [(433, "CONFIRMED"), (800, "NOT REFUTED"), (8000, "REFUTED"), (150, "REFUTED"), (0, "IMPOSSIBLE")],
)
def test_energy_is_that_of_the_accelerators_or_of_the_meter(megawatt_hours: float, number: str) -> None:
    """BLOOM: 1,082,990 A100-hours at 400 W are 433 MWh (Luccioni et al. 2022, table 3); servers, network and cooling add to that."""
    claim = ts.Claim("energy", megawatt_hours, unit="MWh", subject="bloom-176b", told_as="the energy used to train it", date="2026-01-01")
    assert ts.audit(claim).number == number


@pytest.mark.parametrize(
    ("quantity", "subject", "scope", "told", "words"),
    [
        ("fleet.capex", "deepseek", "purchase of the GPUs", "the cost of training V3", "MISLEADING"),
        ("fleet.operating", "deepseek", "operating the fleet", "the cost of training V3", "MISLEADING"),
        ("cost", "anthropic", "the whole company", "what the company spent in a year", "CANNOT BE JUDGED"),
        ("cost", "gpt-4o", "the final run", "what the hardware is worth", "MISLEADING"),
    ],
)
def test_a_figure_of_a_labs_machines_is_not_the_cost_of_a_model(quantity: str, subject: str, scope: str, told: str, words: str) -> None:
    claim = ts.Claim(quantity, 1.3, unit="BUSD", subject=subject, scope=scope, told_as=told, date="2026-05-01")
    assert ts.audit(claim).words == words


@pytest.mark.parametrize("quantity", REFUSED)
def test_carbon_is_refused_by_name(quantity: str) -> None:
    with pytest.raises(ts.TrainsimError) as caught:
        ts.audit(ts.Claim(quantity, 1.0, unit=DIMENSIONS[quantity], subject="deepseek-v3"))
    assert caught.value.value == quantity


@pytest.mark.parametrize("figure", ["8,930 tCO2eq", "11,390 tonnes CO2", "11390 tons of CO2eq", "5 kgCO2e"])
def test_a_mass_of_carbon_is_read_as_carbon(figure: str) -> None:
    assert typed_figure(figure)["quantity"] == "carbon"


@pytest.mark.parametrize("name", CASES)
def test_a_quantity_that_the_subject_does_not_have_is_refused(name: str) -> None:
    claim, _, more = CASES[name]
    if more:
        return
    wrong = fleet() if claim.quantity not in FLEET else run()
    with pytest.raises(ts.TrainsimError) as caught:
        ts.audit(claim, wrong)
    assert (caught.value.path, caught.value.rule_id) == ("subject", "wrong-type")
    with pytest.raises(ts.TrainsimError) as text:
        ts.audit(claim, "ours")  # type: ignore[arg-type]
    assert (text.value.path, text.value.rule_id) == ("subject", "wrong-type")


def test_more_hours_than_the_chips_can_work_are_impossible() -> None:
    assert ts.audit(ts.Claim("wall_days", 0.2, unit="day"), run()).number == "IMPOSSIBLE"
    assert ts.audit(ts.Claim("mfu", 1.2), run()).number == "IMPOSSIBLE"


def test_bounds_can_be_wrong_on_one_side_only() -> None:
    for bound, low, high in (("at least", "NOT REFUTED", "REFUTED"), ("at most", "REFUTED", "NOT REFUTED")):
        for quantity, unit, middle in (("fleet.capex", "USD", 595e6), ("cost", "USD", 26.2e3), ("tokens", "token", 1e12)):
            subject = fleet() if quantity.startswith("fleet") else run()
            words = [
                ts.audit(ts.Claim(quantity, middle * f, unit=unit, bound=bound), subject).number  # type: ignore[arg-type]
                for f in (0.05, 20.0)
            ]
            assert words == [low, high], (bound, quantity)


def test_a_scope_wider_than_what_is_priced_is_bounded_from_below() -> None:
    low = ts.audit(ts.Claim("cost", 1e3, unit="USD", scope="model at rent", date="2026-11-26"), run())
    assert low.words == "MISLEADING"
    likely = ts.audit(ts.Claim("cost", 5e6, unit="USD", scope="model at rent", date="2026-11-26"), run())
    assert (likely.number, likely.words) == ("CANNOT BE JUDGED", "CANNOT BE JUDGED")
    assert likely.found is not None
    assert likely.found.predicted is not None
    assert {"data", "people"} <= set(likely.found.predicted.missing)
    assert ts.audit(ts.Claim("cost", 5e6, unit="USD", scope="fleet purchase"), run()).number == "CANNOT BE JUDGED"


def test_the_owners_cost_is_another_figure_than_rent() -> None:
    scopes = ("final run at cloud list prices", "final run at owner's cost")
    listed, own = (ts.audit(ts.Claim("cost", 22e3, unit="USD", scope=s, date="2026-11-26"), run()).check("prediction") for s in scopes)
    assert listed.percentile != own.percentile


def test_unreported_inputs_do_not_refute_a_claim() -> None:
    """Medians that the catalogue filled in are not statements of the run's maker."""
    names = {c.name for c in ts.audit(ts.Claim("cost", 26e3, unit="USD"), bare()).checks}
    assert names == {"prediction"}
    unpriced = ts.audit(ts.Claim("cost", 90e6, unit="USD", subject="llama3.1-405b", date="2025-06-30"))
    assert unpriced.check("prediction").percentile is not None
    assert any("rent" in text for text in unpriced.assumed)
    sure, unsure = (ts.audit(ts.Claim("cost", 26e3, unit="USD"), r).rungs[0].rent for r in (run(), bare()))
    assert float(unsure[2]) / float(unsure[0]) > 1.3 * float(sure[2]) / float(sure[0])


def test_chips_without_quotes_are_judged_at_the_stated_price() -> None:
    chip = ts.Chip(name="home-made", peak=ts.Peak(bf16=5e14), memory=80e9, memory_bandwidth=2e12)
    own = run(cluster=ts.Cluster(chip=chip, gpus=64))
    cost = float(ts.estimate(own).given_gpu_hours) * 2.6
    assert ts.audit(ts.Claim("cost", round(cost, -3), unit="USD"), own).number == "NOT REFUTED"
    mine = ts.Beliefs({"price.usd_per_gpu_hour": ts.ci90(20, 30)})
    assert ts.audit(ts.Claim("cost", cost, unit="USD"), own, mine).check("rent").word == "REFUTED"


def test_a_scenario_is_never_stronger_than_cannot_be_judged() -> None:
    for name in ("qwen2.5-72b-guess", "gpt3-175b", "mt-nlg-530b"):
        assert ts.catalog.rows("runs")[name].grade == "estimate"
        verdict = ts.audit(ts.Claim("cost", 5e6, unit="USD", subject=name))
        assert verdict.number == verdict.words == "CANNOT BE JUDGED"
    guess = run().replace({"evidence": "scenario"})
    assert ts.audit(ts.Claim("cost", 26.2e3, unit="USD"), guess).number == "CANNOT BE JUDGED"


def test_the_grade_of_the_field_decides() -> None:
    """GPT-3's tokens are from its paper, its hours from an outsider's estimate."""
    said = ts.Claim("tokens", 300, unit="Gtoken", subject="gpt3-175b")
    assert ts.audit(said).number == "CONFIRMED"
    assert ts.audit(ts.Claim("flops", 3.14e23, unit="FLOP", subject="gpt3-175b")).number == "CONFIRMED"
    assert ts.audit(ts.Claim("gpu_hours", 3.552, unit="MGPU-h", subject="gpt3-175b")).number == "CANNOT BE JUDGED"


def test_every_published_run_can_be_audited() -> None:
    """No row makes the audit fail; a claim that can't be judged has a reason."""
    for name, row in ts.catalog.rows("runs").items():
        if row["kind"] != "benchmark":
            verdict = ts.audit(ts.Claim("gpu_hours", 1e5, unit="GPU-h", subject=name))
            assert verdict.number in SEVERITY
            assert verdict.checks[0].finding


def test_a_comparison_puts_both_sides_at_one_scope() -> None:
    said = ts.Claim("cost", 15, unit="times", subject="deepseek-v3", versus="llama3.1-405b")
    verdict = ts.audit(said)
    assert verdict.number == "NOT REFUTED"
    assert verdict.scopes == tuple(verdict.ratios)
    back = ts.audit(said.replace({"subject": "llama3.1-405b", "versus": "deepseek-v3", "value": 1 / 15}))
    low, mid, high = (float(q) for q in verdict.ratios["the final run"])
    other = [float(q) for q in back.ratios["the final run"]]
    assert other == pytest.approx([1 / high, 1 / mid, 1 / low], rel=1e-9), "ratios invert"
    assert (back.number, back.words) == (verdict.number, verdict.words)
    nobody = ts.audit(said.replace({"versus": "gpt-4", "value": 18}))
    assert nobody.number == nobody.words == "CANNOT BE JUDGED"
    with pytest.raises(ts.TrainsimError, match="is needed for a ratio"):
        ts.audit(said.replace({"versus": ""}))


def test_one_market_cancels_in_a_comparison_at_one_rent() -> None:
    """Chips and months are equal, so rent is one draw and the ratio of costs is exactly the ratio of hours."""
    twice = run(phases=(ts.Phase("pretrain", tokens=2e12, seq_len=4096),), name="twice")
    verdict = ts.audit(ts.Claim("cost", 2, unit="times"), run(), versus=twice)
    assert [float(q) for q in verdict.ratios["the final run"]] == pytest.approx([2.0] * 3, rel=1e-9)
    assert verdict.number == "NOT REFUTED"


def test_a_line_of_a_run_is_compared_with_that_line() -> None:
    line = float(ts.estimate(ts.catalog.run("deepseek-v3")).cost.part("extend-32k").total)
    said = ts.Claim("cost.extend-32k", line, unit="USD", subject="deepseek-v3")
    assert ts.audit(said).number == "CONFIRMED"
    assert ts.audit(said.replace({"value": 2 * line})).number == "REFUTED"


def test_another_days_rents_change_the_verdict() -> None:
    unpriced = run(price=None)
    said = ts.Claim("cost", 26e3, unit="USD", date="2026-05-31")
    later = ts.audit(said, unpriced).percentile
    before = ts.audit(said.replace({"date": "2024-02-28"}), unpriced).percentile
    assert later is not None
    assert before is not None
    assert later > before + 10


@pytest.mark.parametrize("date", ["March 2025", "2025-13-01", "20250"])
def test_a_date_is_an_iso_day(date: str) -> None:
    with pytest.raises(ts.TrainsimError, match="ISO day"):
        ts.audit(ts.Claim("cost", 1.0, unit="USD", date=date), run())
    with pytest.raises(ts.TrainsimError, match="ISO day"):
        ts.audit(ts.Claim("cost", 1.0, unit="USD"), run(), as_of=date)


@pytest.mark.parametrize("name", CASES)
def test_a_claim_of_zero_is_never_confirmed(name: str) -> None:
    claim, subject, more = CASES[name]
    assert SEVERITY.index(ts.audit(claim.replace({"value": 0.0}), subject(), **more).number) > SEVERITY.index("NOT REFUTED")


def test_a_misspelt_subject_gets_a_suggestion() -> None:
    verdict = ts.audit(ts.Claim("cost", 5e6, unit="USD", subject="deepseek-v33"))
    assert "did you mean 'deepseek-v3'" in verdict.checks[0].finding


def test_a_run_is_not_taken_as_published_because_of_its_name() -> None:
    """A run with V3's name and another architecture gets no sibling runs, no prior on V3's people, and no measured runs of V3."""
    theirs, mine = ts.catalog.run("deepseek-v3"), run(name="deepseek-v3")
    said = ts.Claim("cost", 26.2e3, unit="USD")
    assert [r.label for r in ts.audit(said, mine).rungs] == [r.label for r in ts.audit(said, run()).rungs]
    assert ts.audit(said, mine).others == {}
    assert "DeepSeek" not in str(ts.audit(said, mine)).splitlines()[0]
    assert ts.catalog.row_of(mine) is None
    for changed in ({"phases.pretrain.tokens": 1e12}, {"model": model()}, {"name": "ours"}):
        assert ts.catalog.row_of(theirs.replace({**changed, "plan": None})) is None
    for what_if in ({"price.usd_per_gpu_hour": 20.0}, {"reliability.goodput": 0.5}, {"phases.pretrain.efficiency.gpu_hours": 1e6}):
        found = ts.catalog.row_of(theirs.replace(what_if))
        assert found is not None
        assert found.id == "deepseek-v3"


def test_a_run_under_another_name_is_still_excluded_from_its_prediction() -> None:
    """V3 under a user's name: its maker's disclosures are still excluded from the prediction."""
    v3 = ts.catalog.run("deepseek-v3")
    renamed = v3.replace({"name": "x", "model": v3.model.replace({"name": "x"})})
    assert ts.catalog.mfu_evidence(renamed).used == ts.catalog.mfu_evidence(v3).used
    assert "runs/deepseek-v3" not in ts.catalog.mfu_evidence(renamed).used


@pytest.mark.parametrize("name", ["dollars", "dollars of a development", "a comparison", "their price as believed", "experts"])
def test_a_verdict_can_be_pickled(name: str) -> None:
    verdict = judged(name)
    there = pickle.loads(pickle.dumps(verdict))  # noqa: S301  (our own)
    assert str(there) == str(verdict)
    assert (there.number, there.words, there.scopes, there.checks) == (verdict.number, verdict.words, verdict.scopes, verdict.checks)


@pytest.mark.parametrize("quantity", ["tokens", "flops", "gpus", "wall_days", "cost"])
def test_every_quantity_of_a_sparse_row_gets_a_verdict(quantity: str) -> None:
    """A measured rate has no tokens, an old run no public rent, a model card no accelerators; each verdict names what is unknown."""
    for name in ("nemo-25.09-deepseek-v3", "llama1-7b", "gpt-oss-120b", "ling-1t"):
        for as_of in (None, "2024-06-30"):
            verdict = ts.audit(ts.Claim(quantity, 1e6, unit=DIMENSIONS[quantity], subject=name), as_of=as_of)
            assert verdict.number in SEVERITY
            assert max(map(len, str(verdict).splitlines())) <= 80
