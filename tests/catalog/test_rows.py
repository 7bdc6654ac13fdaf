"""The shipped rows: each builds its object, and filled-in inputs are listed."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

import trainsim
import trainsim as ts
from trainsim.catalog import rows
from trainsim.catalog.evidence import GENERATIONS
from trainsim.catalog.hardware import check_chips
from trainsim.catalog.rows import EVIDENCE, GRADES, PUBLISHED, lineage, make_row, read_rows, read_table, sources
from trainsim.core.errors import CatalogError
from trainsim.core.tables import Tables
from trainsim.testing import refused

DATA = Path(trainsim.__file__).parent / "catalog" / "data"


@pytest.mark.parametrize("file", ["chips", "clusters", "models", "runs", "prices", "rents", "kernels", "priors", "claims"])
def test_every_row_has_a_valid_grade_date_and_source(file: str) -> None:
    for name, row in rows(file).items():
        assert row.address == f"{file}/{name}"
        assert row.grade in GRADES
        assert row.evidence in EVIDENCE
        assert dt.date(2017, 1, 1) < row.date <= PUBLISHED
        assert all(s in sources() for s in row.source)
        for origin in row.derived_from:
            there, _, which = origin.partition("/")
            assert which in rows(there), f"{row.address} is derived from {origin}, which is no row"


def test_a_row_after_the_catalogues_date_is_rejected() -> None:
    fields = {"source": ["epoch-prices"], "grade": "market", "evidence": "found"}
    assert make_row("prices", "x", {**fields, "date": PUBLISHED.isoformat()}).date == PUBLISHED
    with pytest.raises(CatalogError) as error:
        make_row("prices", "x", {**fields, "date": (PUBLISHED + dt.timedelta(days=1)).isoformat()})
    assert error.value.path == "prices/x.date"


WRITTEN = dt.date(2026, 11, 23)
"""Day of the first judgement in the catalogue."""


@pytest.mark.parametrize(
    "file",
    ["chips", "clusters", "models", "runs", "prices", "rents", "priors", "programmes", "reliability", "fleets", "constants", "stacks"],
)
def test_judgements_are_dated_and_recalled_rows_are_not_disclosures(file: str) -> None:
    for row in rows(file).values():
        if row.grade == "judgement":
            assert row.date >= WRITTEN, f"{row.address}: a judgement dated before anybody wrote it"
        if set(row.source) == {"own-judgement"}:
            assert row.grade == "judgement", f"{row.address}: no source but this project under {row.grade}"


def test_no_source_is_dated_after_the_catalogue() -> None:
    assert all(str(entry.get("date", "")) <= PUBLISHED.isoformat() for entry in sources().values())


def test_a_csv_row_equals_the_same_toml_row() -> None:
    lines = [
        "# a comment",
        "id,usd,name,source,date,grade,evidence,derived_from",
        "a,2.5,A 100,x y,2024-01-29,market,found,runs/b",
        "b,,,x,2024-01-29,market,found,",
    ]
    table = read_table("rents", "\n".join(lines))
    assert table["a"].fields == {"usd": 2.5, "name": "A 100"}
    assert (table["a"].source, table["a"].derived_from) == (("x", "y"), ("runs/b",))
    assert table["b"].fields == {}
    with pytest.raises(CatalogError) as error:
        read_table("rents", "\n".join([*lines, lines[-1]]))
    assert error.value.path == "rents/b"


def test_no_row_is_derived_from_itself() -> None:
    for file in ("runs", "prices", "rents", "priors"):
        for row in rows(file).values():
            assert all(row.address not in set(lineage(origin)) for origin in row.derived_from)


def test_the_chips_hold_dense_peaks_of_the_part_they_name() -> None:
    check_chips(rows("chips"))
    for name in rows("chips"):
        chip = ts.catalog.chip(name)
        assert chip.name == name
        peak = chip.peak
        if peak.bf16 and peak.fp8 and name in GENERATIONS:  # other chips may have no faster units for eight bits
            assert float(peak.fp8) == pytest.approx(2 * float(peak.bf16), rel=0.02)
        assert all("chips/" in source for source in chip.sources().values())


def test_the_published_peaks() -> None:
    assert ts.catalog.chip("h800-sxm").peak.bf16 == 989.4e12
    assert ts.catalog.chip("h100-sxm").peak.fp8 == pytest.approx(1978.9e12, rel=1e-3)
    assert ts.catalog.chip("a100-80gb-sxm").peak.bf16 == 312e12
    assert ts.catalog.chip("h800-sxm").memory_bandwidth == 3.35e12


@pytest.mark.parametrize("name", sorted(rows("clusters")))
def test_every_cluster_is_built(name: str) -> None:
    cluster = ts.catalog.cluster(name, gpus=64)
    assert cluster.gpus == 64
    assert cluster.domain >= 1
    assert cluster.chip.name in rows("chips")


@pytest.mark.parametrize("name", sorted(rows("models")))
def test_every_model_is_built_and_counted(name: str) -> None:
    model = ts.catalog.model(name)
    assert ts.count_active_params(model).total <= ts.count_params(model).total
    assert float(ts.flops_per_token(model, 2048).total) > 0


def test_the_run_of_v3_as_disclosed() -> None:
    run = ts.catalog.run("deepseek-v3")
    assert [p.name for p in run.phases] == ["pretrain", "extend-32k", "extend-128k", "post-train"]
    assert run.get("phases.pretrain.tokens") == 14.8e12
    assert run.cluster.gpus == 2048
    assert run.plan is not None
    assert (run.plan.pp, run.plan.ep, run.plan.tp) == (16, 64, 1)
    assert run.phases[-1].tokens is None


def bare() -> ts.Run:
    run = ts.catalog.run("deepseek-v3")
    phases = [run.phases[0].replace({"efficiency": None})]
    return ts.Run(model=run.model, cluster=run.cluster, phases=phases)


def test_complete_lists_what_it_filled_in_and_where_from() -> None:
    run, filled = ts.catalog.complete(bare())
    assert [f.path for f in filled] == ["efficiency.mfu", "reliability.goodput", "price.usd_per_gpu_hour"]
    for item in filled:
        assert run.get(item.path) == item.value
        assert run.sources()[item.path] == item.source
        assert item.source.startswith("median of")
        assert item.path in str(item)
    assert ts.catalog.complete(run) == (run, [])
    assert float(ts.estimate(run).cost.total) > 0


@pytest.mark.parametrize("given", ["efficiency", "reliability", "price"])
def test_complete_leaves_what_is_given(given: str) -> None:
    told = {"efficiency": ts.MFU(0.123), "reliability": ts.Goodput(0.77), "price": ts.Rental(usd_per_gpu_hour=7.7)}
    start = bare().replace({given: told[given]})
    run, filled = ts.catalog.complete(start)
    assert run.get(given) == told[given]
    assert not any(f.path.startswith(given) for f in filled)
    assert len(filled) == 2


def test_complete_as_of_a_day_uses_what_was_known() -> None:
    early, late = (ts.catalog.complete(bare(), as_of=day)[0] for day in ("2024-12-25", "2026-01-01"))
    assert early.get("price.usd_per_gpu_hour") != late.get("price.usd_per_gpu_hour")


def test_rows_without_a_reference_are_rejected() -> None:
    whole = '[x]\nsource = ["v3-report"]\ndate = "2024-12-26"\ngrade = "vendor"\nevidence = "found"\npeak = 1.0\n'
    assert read_rows("chips", whole)["x"]["peak"] == 1.0
    for line in whole.splitlines()[1:5]:
        with refused(ts.TrainsimError, "missing"):
            _ = read_rows("chips", whole.replace(line + "\n", ""))["x"]
    with refused(ts.TrainsimError, "unknown-name", "chips/x.peek"):
        _ = read_rows("chips", whole)["x"]["peek"]


FILES = [*sorted(DATA.glob("*.toml")), Path(__file__).parents[2] / "seeds" / "claims.toml"]


@pytest.mark.parametrize("path", [path for path in FILES if path.is_file()], ids=lambda path: path.name)
def test_tables_parsed_one_by_one_equal_the_whole_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert dict(Tables(text, lambda _, fields: fields)) == tomllib.loads(text)


def test_nothing_of_the_catalogue_can_be_changed() -> None:
    known = ts.catalog.rows("models")
    for change in (lambda: known.clear(), lambda: known.pop("deepseek-v3"), lambda: known.__setitem__("x", 1)):  # type: ignore[attr-defined, index]
        with pytest.raises((AttributeError, TypeError)):
            change()  # type: ignore[no-untyped-call]
    assert "deepseek-v3" in ts.catalog.rows("models")
    for file in ("models", "runs", "chips", "prices", "rents"):
        for row in ts.catalog.rows(file).values():
            assert_frozen(row.fields)


def assert_frozen(value: object) -> None:
    """No mapping accepts a new item, and no value is a list or a set."""
    if isinstance(value, Mapping):
        with pytest.raises(TypeError):
            value["x"] = 1  # type: ignore[index]
        for inner in value.values():
            assert_frozen(inner)
    elif isinstance(value, tuple):
        for inner in value:
            assert_frozen(inner)
    else:
        assert not isinstance(value, (list, dict, set, bytearray))


def test_every_source_has_an_address_or_is_marked_recalled_or_judgement() -> None:
    for name, source in sources().items():
        resolves = any(
            mark in str(source.get("address", "")) for mark in ("https://", "http://", "arXiv:", "doi:", "github:", "huggingface ")
        )
        in_words = source["evidence"] == "recalled" and any(word in source["title"] for word in ("memory", "Judgement"))
        assert resolves or in_words, f"{name}: {source}"


SOURCED = ("chips", "clusters", "hosts", "models", "runs", "prices", "rents", "priors", "programmes", "developments", "fleets",
           "disclosures", "currencies", "claims", "constants", "stacks", "phrases", "reliability")  # fmt: skip


@pytest.mark.parametrize("file", SOURCED)
def test_every_row_has_a_source_that_can_be_looked_up(file: str) -> None:
    """A figure with only recalled or judged sources has the grade judgement, or is derived from other rows."""
    without_address = {name for name, source in sources().items() if "address" not in source}
    for row in rows(file).values():
        if set(row.source) <= without_address:
            assert row.evidence == "derived" or row.grade == "judgement", row.address
