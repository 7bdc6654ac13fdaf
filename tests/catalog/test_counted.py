"""The table of precomputed sizes and utilisations equals a new count; run as a program, this file regenerates it."""

from __future__ import annotations

from pathlib import Path

import trainsim
from trainsim.catalog.counted import Counted, of_table, read, written
from trainsim.catalog.evidence import count
from trainsim.catalog.models import model_of, same_architecture
from trainsim.catalog.rows import read_rows, rows
from trainsim.core.errors import TrainsimError

TABLE = Path(trainsim.__file__).parent / "catalog" / "data" / "counted.csv"


def counted_now() -> dict[str, Counted]:
    """Every run of the catalogue whose model can be built."""
    found = {}
    for name, row in rows("runs").items():
        try:
            one = count(row)
        except TrainsimError:
            continue
        if one is not None:
            found[name] = one
    return found


def test_the_table_equals_a_new_count() -> None:
    assert read(TABLE.read_text(encoding="utf-8")) == counted_now(), "run python tests/catalog/test_counted.py"


def test_sparsity_is_that_of_the_model() -> None:
    for name in read(TABLE.read_text(encoding="utf-8")):
        row = rows("runs")[name]
        found, model = of_table(row), model_of(row)
        assert found is not None
        assert model is not None
        assert (found.sparsity == "moe") == model.is_moe, name


def test_a_users_row_of_the_same_name_is_counted_anew() -> None:
    text = TABLE.parent.joinpath("runs.toml").read_text(encoding="utf-8")
    mine = read_rows("runs", text)["llama2-13b"]
    assert of_table(mine) is None
    assert of_table(rows("runs")["llama2-13b"]) is not None


def test_sizes_rule_out_no_row_of_the_same_model() -> None:
    kept = list(read(TABLE.read_text(encoding="utf-8")))
    made = {name: model for name in kept if (model := model_of(rows("runs")[name])) is not None}
    plain = {name: model.replace({"name": ""}) for name, model in made.items()}
    for name in ("deepseek-v3", "llama2-7b"):
        assert [n for n in kept if same_architecture(rows("runs")[n], made[name])] == [n for n in kept if plain[n] == plain[name]]


if __name__ == "__main__":
    TABLE.write_text(written(counted_now()), encoding="utf-8")
