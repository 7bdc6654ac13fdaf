"""A user-defined efficiency gives its convention and its peak as a field, a class attribute or a property."""

from __future__ import annotations

from typing import ClassVar

import pytest

import trainsim as ts
from trainsim.core.units import Num
from trainsim.training.efficiency import Efficiency, Work


class Plain(Efficiency):
    def gpu_seconds(self, work: Work) -> Num:
        del work
        return 1.0


class WithField(Plain):
    flops: str = "full"
    peak: str = "fp8"


class WithClassAttribute(Plain):
    flops: ClassVar[str] = "full"
    peak: ClassVar[str] = "fp8"


class WithProperty(Plain):
    @property
    def flops(self) -> str:
        return "full"

    @property
    def peak(self) -> str:
        return "fp8"


@pytest.mark.parametrize("kind", [WithField, WithClassAttribute, WithProperty])
def test_an_efficiencys_convention_comes_from_its_field_class_or_default(kind: type[Efficiency]) -> None:
    chip = ts.catalog.chip("h100-sxm")
    cluster = ts.catalog.cluster("hgx-h100", 8)
    assert kind().counting == ("full", "none")
    assert kind().peak_flops(cluster) == chip.peak_of("fp8")
    assert Plain().counting == ("causal", "none")
    assert Plain().peak_flops(cluster) == chip.peak_of("bf16")


def test_a_chip_without_bf16_has_its_fp16_peak() -> None:
    v100 = ts.catalog.cluster("dgx-1-v100", gpus=8)
    assert v100.chip.half == "fp16"
    model = ts.catalog.model("gpt3-175b")
    hours = ts.BusyHours(gpu_hours=3.11e6)
    run = ts.Run(model=model, cluster=v100, phases=[ts.Phase("pretrain", tokens=3e11, seq_len=2048)], efficiency=hours)
    estimate = ts.estimate(run.replace({"reliability": ts.Goodput(0.95), "price": ts.Rental(usd_per_gpu_hour=1.5)}))
    flop = 3e11 * float(ts.flops_per_token(model, seq_len=2048).total)
    assert float(estimate.mfu) == pytest.approx(flop / (3.11e6 * 3600 * 125e12))
