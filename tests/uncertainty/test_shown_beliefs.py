"""Beliefs as a table, and where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

import trainsim as ts
from trainsim.catalog.software_stacks import stack_beliefs


def test_beliefs_print_as_a_table_of_path_quantiles_and_source() -> None:
    doubt = ts.Beliefs(
        {"price.usd_per_gpu_hour": ts.ci90(1.4, 2.0, 3.4), "reliability.goodput": ts.uniform(0.9, 1.0), "efficiency.mfu": "0.3..0.5"},
        sources={"price.usd_per_gpu_hour": "a quote"},
    )
    lines = [line.split("  ") for line in str(doubt).splitlines()]
    cells = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines}
    assert cells["path"] == ["P5", "P50", "P95", "source"]
    assert cells["price.usd_per_gpu_hour"] == ["1.400", "2.000", "3.400", "a quote"]
    assert cells["reliability.goodput"] == ["0.9050", "0.9500", "0.9950", "given"]
    assert cells["efficiency.mfu"] == ["0.3000", "0.3..0.5", "0.5000", "given"]


def test_the_beliefs_of_a_stack_print_on_one_screen() -> None:
    doubt = stack_beliefs("mcore-hopper")
    assert len(str(doubt)) < 5000
    assert len(repr(doubt)) < 200
    assert set(doubt.sources) == set(doubt.paths)


def test_beliefs_of_the_catalogue_have_sources() -> None:
    run = ts.catalog.run("deepseek-v3").replace({"efficiency": ts.MFU(0.39)})
    doubt = ts.catalog.beliefs(run)
    assert set(doubt.sources) == set(doubt.paths)
    mine = doubt | ts.Beliefs({"price.usd_per_gpu_hour": ts.ci90(1, 3)})
    assert set(mine.paths) - set(mine.sources) == {"price.usd_per_gpu_hour"}
    assert set(mine.without("efficiency.mfu").sources) == {"reliability.goodput"}


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_sources_are_saved_and_read(tmp_path: Path, ending: str) -> None:
    doubt = ts.Beliefs({"price": ts.ci90(1, 3), "mfu": ts.ci90(0.3, 0.5)}, sources={"price": "a quote"})
    doubt.save(tmp_path / f"doubt.{ending}")
    read = ts.Beliefs.load(tmp_path / f"doubt.{ending}")
    assert (read, read.sources) == (doubt, {"price": "a quote"})
