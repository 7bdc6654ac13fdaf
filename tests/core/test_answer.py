"""The forms of every answer: one line, text, HTML, JSON, table, bibliography."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import importlib
import io
import json
import math
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.calibration.records import MeasuredStep
from trainsim.catalog.rent_trend import rent_trend
from trainsim.catalog.rl_recipes import predicted_hours
from trainsim.core.answer import COLUMNS, Answer, AnswerRow, Summary, plain, text_of, unfolded, written
from trainsim.core.answer_html import MOST, html_of
from trainsim.core.citations import bibtex, grade_of
from trainsim.core.errors import SpecError
from trainsim.core.folding import WIDTH
from trainsim.cost.rent_model import RentQuote
from trainsim.gpu_memory.fit import fit_from_ledger
from trainsim.report.draw import drawable
from trainsim.run.compare import compare
from trainsim.run.roofline import roofline
from trainsim.testing import refused
from trainsim.validation.rent_backtest import RentBacktest, RentError
from trainsim.validation.rl_hindcast import ReinforcementBacktest
from trainsim.validation.step_backtest import StepBacktest, StepForecast

SRC = Path(ts.__file__).parent


@functools.cache
def modelled() -> ts.Run:
    return ts.Run(
        name="8B on 64",
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        plan=ts.Plan(zero=3),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )


@functools.cache
def published() -> ts.Run:
    return ts.catalog.run("deepseek-v3")


DOUBT = ts.Beliefs({"price.usd_per_gpu_hour": ts.uniform(1, 3), "reliability.goodput": ts.uniform(0.9, 1.0)})


def reinforcement() -> Any:
    recipe = ts.Reinforcement(
        steps=10, prompts=64, samples=8, prefill_mfu=0.4, learning_mfu=0.25, sync_seconds=20,
        responses=ts.Responses(prompt=150, start=600, end=1200, spread=0.8, maximum=8192),
        engine=ts.Engine(gpus=2, bandwidth_share=0.6, compute_share=0.4, step_overhead_seconds=0.005, max_batch=256),
    )  # fmt: skip
    return ts.estimate_reinforcement(ts.catalog.model("llama3-8b"), ts.catalog.cluster("hgx-h100", gpus=8), recipe)


def fleet() -> Any:
    owner = ts.Ownership(usd_per_gpu=30000, life_years=4, operating_share=0.1, utilization=1)
    return ts.estimate_fleet(ts.Fleet(holdings=[ts.Holding(name="H800", gpus=10_000, ownership=owner)]))


def release() -> Any:
    from trainsim.model.release import Release, ReleasedPart

    return Release((ReleasedPart("main", 10, 12),), 3)


def step_backtest() -> StepBacktest:
    step = MeasuredStep("0", "mine", "mine", "mine", 1.0, "same")
    return StepBacktest((StepForecast(step, 1.1, 0.9, 1.1, 1.3),), (), (replace(step, not_modelled="no cluster"),))


def rent_backtest() -> RentBacktest:
    quotes = [
        RentQuote(
            day=dt.date(2025, month, 1), chip="x", silicon="x", peak=1e15, tier="specialist", term="on-demand", region="us", vendor="v",
            usd_per_gpu_hour=2.0,
        )
        for month in range(1, 13)
    ]  # fmt: skip
    errors = tuple(RentError("here", quote, quote.day, 0.1, 0.2, 0.3, i % 2 == 0, i % 3 == 0) for i, quote in enumerate(quotes))
    return RentBacktest({90: errors})


SAMPLES: dict[str, Callable[[], Any]] = {
    "MemoryOverStep": lambda: ts.memory_over_step(modelled()),
    "Estimate": lambda: ts.estimate(published()),
    "Ledger": lambda: ts.estimate(published()).cost,
    "Simulation": lambda: ts.simulate(published(), DOUBT, n=1024),
    "Sensitivity": lambda: ts.sensitivity(published(), DOUBT, n=256),
    "Comparison": lambda: compare(published(), published().replace({"price.usd_per_gpu_hour": 4.0})),
    "Difference": lambda: ts.compare(published(), published().replace({"price.usd_per_gpu_hour": 4.0}), DOUBT, n=1024),
    "Disagreement": lambda: ts.compare_beliefs(published(), {"mine": DOUBT, "yours": DOUBT}, n=1024),
    "MustBeTrue": lambda: ts.what_must_be_true(ts.catalog.claim("deepseek-v3-6m"), published(), DOUBT),
    "Tornado": lambda: ts.tornado(published(), DOUBT),
    "DisclosureValues": lambda: ts.disclosure(published(), DOUBT),
    "Region": lambda: ts.region(published(), DOUBT, above=6e6, n=2048),
    "Solution": lambda: ts.solve_for(modelled(), "phases.pretrain.tokens", {"cost": 1e6}),
    "PlanSearch": lambda: ts.search_plans(modelled(), space={"schedule": "1f1b", "tp": (1, 2), "pp": 1, "cp": 1}),
    "Diagnosis": lambda: ts.diagnose(modelled(), step_time=3.0),
    "Calibrated": lambda: ts.calibrate([2.1, 2.2], modelled()),
    "Verdict": lambda: ts.audit(ts.catalog.claim("deepseek-v3-6m")),
    "Backtest": lambda: ts.hindcasts(["llama3.1-405b", "deepseek-v3"]),
    "StepBacktest": step_backtest,
    "ReinforcementBacktest": lambda: ReinforcementBacktest((predicted_hours("recipe-r1", n=256),)),
    "RentBacktest": rent_backtest,
    "ReinforcementEstimate": reinforcement,
    "DevelopmentEstimate": lambda: ts.estimate_development(ts.Development(lines=[ts.Line(name="v3", run=published())])),
    "FleetEstimate": fleet,
    "Fit": lambda: fit_from_ledger(ts.memory(modelled()), 20e9),
    "Explanation": lambda: ts.explain(ts.estimate(published()), "cost"),
    "Release": release,
    "Roofline": lambda: roofline(modelled()),
    "RentTrend": lambda: rent_trend(published()),
    "Beliefs": lambda: DOUBT,
    "RankMemory": lambda: ts.memory(modelled()),
    "Posterior": lambda: ts.condition(published(), DOUBT, {"gpu_hours": ts.measured(2.9e6, rel=0.01)}, n=1024),
}
"""Class → a sample answer; the test fails for a class without one."""


OWN_DICTS = {"Ledger", "RankMemory", "Beliefs", "Posterior"}
"""Answers whose ``to_dict`` is that of their files or lines."""


def answer_classes() -> dict[str, type]:
    """Every class of the library that is an answer."""
    for _, name, _ in pkgutil.walk_packages([str(SRC)], "trainsim."):
        if not name.startswith(("trainsim.cli", "trainsim.__main__")):
            importlib.import_module(name)

    def deeper(cls: type) -> Iterator[type]:
        child: type
        for child in cls.__subclasses__():
            yield child
            yield from deeper(child)

    return {cls.__name__: cls for cls in deeper(Answer) if cls.__module__.startswith("trainsim.")}


@functools.cache
def sample(name: str) -> Any:
    return SAMPLES[name]()


def test_every_answer_has_a_sample() -> None:
    assert set(answer_classes()) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_is_one_of_its_class(name: str) -> None:
    assert type(sample(name)) is answer_classes()[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_repr_is_one_short_line_that_names_the_class(name: str) -> None:
    line = repr(sample(name))
    assert len(line) < 200
    assert "\n" not in line
    assert line.startswith(f"{name}(")
    assert line.endswith(")")


@pytest.mark.parametrize("name", SAMPLES)
def test_text_is_readable(name: str) -> None:
    text = str(sample(name))
    assert 0 < len(text) < 8000
    assert "nan" not in text.casefold().split()
    assert " object at 0x" not in text
    assert text != repr(sample(name))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.split() == unfolded(sample(name)).split(), "folded, and nothing lost"


@pytest.mark.parametrize("name", SAMPLES)
def test_figures_are_named_once_and_json_can_hold_them(name: str) -> None:
    made = sample(name).summary()
    names = [row.name for row in made.rows]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    assert all(row.text for row in made.rows)
    back = json.loads(sample(name).to_json())
    assert back == sample(name).to_dict() or name in OWN_DICTS
    assert json.loads(sample(name).to_json(indent=2)) == back


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - OWN_DICTS))
def test_a_dict_equals_the_summary(name: str) -> None:
    made, found = sample(name).summary(), sample(name).to_dict()
    assert found["kind"] == name
    assert [row["name"] for row in found["rows"]] == [row.name for row in made.rows]
    assert set(found["sources"]) == set(made.sources)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_answer_is_drawn_or_raises_an_error(name: str) -> None:
    """``.plot()`` equals ``ts.draw``: both draw an answer, or both raise an error."""
    pytest.importorskip("matplotlib")
    answer = sample(name)
    if {cls.__name__ for cls in type(answer).__mro__} & set(drawable()):
        assert answer.plot(None).title
        return
    with pytest.raises(ts.TrainsimError) as caught:
        answer.plot()
    assert caught.value.rule_id == "unsupported"


class Tags(HTMLParser):
    """Raises an error for a tag that is closed in the wrong order or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  (the parser gives it)
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", SAMPLES)
def test_html_is_well_formed_small_and_has_both_colour_schemes(name: str) -> None:
    html = sample(name)._repr_html_()
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert tags.seen <= {"div", "style", "table", "caption", "tbody", "tr", "th", "td", "details", "summary", "ul", "li", "p"}
    assert "prefers-color-scheme:dark" in html
    assert len(html) < 60_000


def test_html_escapes_what_it_prints() -> None:
    bad = "<script>alert('x')</script>&"
    html = html_of(bad, {"": [(bad, bad, bad)], bad: [(bad, bad, bad)]}, [bad], {bad: bad})
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 11


def test_html_of_many_lines_gives_the_number_left_out() -> None:
    html = html_of("", {"": [("a", "b", "c")] * (MOST + 7)}, (), {})
    assert html.count("<tr>") == MOST
    assert "7 more" in html


@pytest.mark.parametrize("name", SAMPLES)
def test_csv_has_one_line_per_figure_and_equals_json(name: str, tmp_path: Path) -> None:
    text = sample(name).to_csv(tmp_path / "figures.csv")
    assert (tmp_path / "figures.csv").read_text(encoding="utf-8") == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == [row.name for row in sample(name).summary().rows]
    assert set(rows[0]) == set(COLUMNS)


def test_a_csv_that_cannot_be_written_is_one_error() -> None:
    with refused(SpecError, "unwritable"):
        sample("Estimate").to_csv("/nonexistent/figures.csv")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_frame_has_one_row_per_figure(name: str) -> None:
    pytest.importorskip("pandas")
    frame = sample(name).to_frame()
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == len(sample(name).summary().rows)


def test_without_pandas_one_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ts.TrainsimError) as caught:
        sample("Estimate").to_frame()
    assert (caught.value.path, caught.value.rule_id) == ("pandas", "not-installed")


@pytest.mark.parametrize("name", SAMPLES)
def test_citations_are_bibtex_with_the_library_first(name: str) -> None:
    text = sample(name).cite()
    entries = re.findall(r"^@(\w+)\{([^,\s]+),$", text, flags=re.MULTILINE)
    assert entries[0] == ("software", "trainsim")
    assert len(set(entries)) == len(entries) == text.count("@") - text.count("\\@")
    assert text.count("{") == text.count("}")


def test_an_estimate_cites_the_report_its_figures_are_from() -> None:
    assert "eprint        = {2412.19437}" in sample("Estimate").cite()


def test_a_source_outside_the_catalogue_is_cited_by_its_number_or_its_text() -> None:
    own = published().with_sources({"phases.pretrain.tokens": "A_b & c (doi:10.1145/3581784.3607102), table 3"})
    text = ts.estimate(own).cite()
    assert "doi   = {10.1145/3581784.3607102}" in text
    assert r"A\_b \& c" in text


def test_given_and_assumed_inputs_are_not_cited() -> None:
    assert bibtex(["given by the user", "assumed: 4M tokens a step", ""]).count("@") == 1
    assert [grade_of(source) for source in ("given by the user", "assumed: x", "median of x", "x (2024-12-26, market) [a/b]", "")] == [
        "given", "assumed", "assumed", "market", "",
    ]  # fmt: skip


def test_plain_values_are_those_that_json_can_hold() -> None:
    held = {"a": np.float64(2), "b": np.array([[1, 2]]), "c": math.inf, "d": (np.bool_(True), None), "e": Path("x"), "f": np.array(3.0)}
    assert plain(held) == {"a": 2.0, "b": [[1, 2]], "c": None, "d": [True, None], "e": "x", "f": 3.0}
    json.dumps(plain(held), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5.9e6, "USD", "$5.90M"), (-5.9e6, "USD", "-$5.90M"), (2.0, "USD/GPU-h", "$2.00/GPU-h"), (70.8e9, "B", "70.8 GB"),
        (0.0, "B", "0.0 B"),
        (float("nan"), "s", "unknown"), (None, "", "unknown"), (np.array([1.0, 2.0]), "day", "1.50 days"),
        (True, "", "yes"), ("fits", "", "fits"),
        (100.0, "%", "100 %"), (4.7e-15, "%", "below 0.1 %"), (0.0, "%", "0 %"), (-3.804, "%", "-3.8 %"),
    ],
)  # fmt: skip
def test_values_are_written_with_their_unit(value: object, unit: str, text: str) -> None:
    assert written(value, unit) == text


def test_the_text_of_a_summary_lists_main_figures_alone() -> None:
    made = Summary("title", (AnswerRow("a", "a", 1.0, grade="given"), AnswerRow("b", "b", 2.0, group="more")), ("note",))
    assert text_of(made).splitlines() == ["title", "  a  1.00  given", "- note"]


def test_pandas_is_not_imported_by_an_answer() -> None:
    ask = "est = ts.estimate(ts.catalog.run('deepseek-v3')); str(est), est.to_json()"
    code = f"import sys, trainsim as ts; {ask}; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "False"
