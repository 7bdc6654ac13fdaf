"""The picture of a verdict: no label overlaps or is cut off, densities are smooth, and the title states the finding."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.report.density import density
from trainsim.report.draw import Drawing, draw

pytest.importorskip("matplotlib")
SIX = "deepseek-v3-6m"
OTHERS = ("gpt-4o-100m", "investment-500m", "fleet-944m", "fleet-1.6b")


def longer(factor: float) -> ts.Run:
    run = ts.catalog.run("deepseek-v3")
    paths = [f"phases.{p.name}.efficiency.gpu_hours" for p in run.phases]
    return run.replace({path: float(run.get(path)) * factor for path in paths})


def of_llama(quantity: str, value: float, unit: str) -> Any:
    said = ts.Claim(
        quantity, value, unit=unit, scope="final-run rent", told_as="the cost of the model", source="its maker", date="2024-07-31"
    )
    return ts.audit(said, ts.catalog.run("llama3.1-405b"))


@cache
def verdict(name: str) -> Any:
    match name:
        case "as told" | "beside others" | "the whole article":
            return ts.audit(ts.catalog.claim(SIX))
        case "three times the hours":
            return ts.audit(ts.catalog.claim(SIX), longer(3.0))
        case "a tenth of the hours":
            return ts.audit(ts.catalog.claim(SIX), longer(0.1))
        case "no tokens":
            return ts.audit(ts.catalog.claim("r1-5m-against-100m"))
        case "another run":
            return of_llama("cost", 84e6, "USD")
        case "hours alone":
            return of_llama("busy_gpu_hours", 29.3e6, "GPU-h")
        case "a long scope":
            return ts.audit(
                ts.catalog.claim(SIX).replace({"told_as": "the compute, the salaries, the data, the failed runs and the experiments " * 3})
            )
        case _:
            return ts.audit(ts.catalog.claim(SIX).replace({"value": 5.6, "unit": "BUSD"}))


NAMES = [
    "as told", "beside others", "the whole article", "three times the hours", "a tenth of the hours", "no tokens", "another run",
    "hours alone", "a long scope", "a claim of $5.6B",
]  # fmt: skip


def drawn(name: str) -> Drawing:
    names = {"beside others": OTHERS, "the whole article": tuple(n for n in ts.catalog.claims() if n != SIX)}.get(name, ())
    return draw(verdict(name), beside=[told(n) for n in names])


@cache
def told(name: str) -> Any:
    return ts.audit(ts.catalog.claim(name))


def texts(figure: Any) -> dict[str, Any]:
    """Every text of the picture with its position [pixel]."""
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    found = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    return {f"{i} {t.get_text()}": t.get_window_extent(renderer) for i, t in enumerate(found)}


@pytest.mark.parametrize("name", NAMES)
def test_no_label_is_on_another_or_past_the_edge(name: str) -> None:
    figure = drawn(name).figure
    figure.canvas.draw()
    boxes = texts(figure)
    assert len(boxes) >= 10
    whole = figure.bbox
    outside = [t for t, b in boxes.items() if b.x0 < 0 or b.y0 < 0 or b.x1 > whole.x1 or b.y1 > whole.y1]
    inner = {t: b.padded(-0.5, -0.12 * b.height) for t, b in boxes.items()}  # a line is higher than its letters
    on_another = [(a, b) for (a, x), (b, y) in combinations(inner.items(), 2) if x.overlaps(y)]
    assert outside == []
    assert on_another == []


def words_of(name: str) -> str:
    return " ".join(label.partition(" ")[2] for label in texts(drawn(name).figure))


def test_the_picture_of_the_article_lists_every_claim_with_its_verdict() -> None:
    whole = words_of("the whole article")
    for name, claim in ts.catalog.claims().items():
        assert claim.statement in whole, name
        assert told(name).number.replace("CANNOT BE JUDGED", "can't be judged") in whole, name
    assert "3  What became of all 15 claims?" in whole


def test_a_density_has_no_kink_and_integrates_to_one() -> None:
    found = verdict("as told").blind
    hours, expected = density(lambda levels: [found.quantile(q) for q in levels])
    steps = np.diff(np.log(hours))
    assert np.sum((expected[1:] + expected[:-1]) / 2 * steps) == pytest.approx(0.994, abs=0.005)  # Φ(2.6) − Φ(−3)
    slope = np.diff(expected) / steps
    assert np.count_nonzero(np.diff(np.sign(slope))) == 1, "one hump"
    bend = np.abs(np.diff(slope))
    assert bend.max() < 0.05 * np.ptp(slope), "the slope never jumps"


def test_a_density_with_a_hard_edge_integrates_to_one() -> None:
    x, y = density(lambda levels: [1.0 + level for level in levels], logarithmic=False)
    assert y == pytest.approx(np.ones(len(y)))
    assert (x[0], x[-1]) == pytest.approx((1.003, 1.997), abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_title_is_the_sentence_one_may_print(name: str) -> None:
    words = words_of(name)
    assert verdict(name).quote in words
    assert "verdict." not in words, "no code in a public picture"


def test_a_picture_names_the_parts_that_depend_on_judgement() -> None:
    assert "depend on judgement" in words_of("as told")


def test_a_claim_about_no_run_has_no_picture_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ts.TrainsimError, match="is not a run"):
        ts.draw(ts.audit(ts.catalog.claim("fleet-944m")), tmp_path / "x.png")
