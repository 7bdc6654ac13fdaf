"""The callback in a real ``Trainer``, on a model small enough for a CPU: predicted, measured, calibrated."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts

WHY = "torch, transformers and accelerate are not installed: pip install 'trainsim[dev-peers]'"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch", reason=WHY)
    transformers = pytest.importorskip("transformers", reason=WHY)
    pytest.importorskip("accelerate", reason=WHY)

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

SEQ_LEN, BATCH, STEPS = 64, 4, 12
SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 256}


def trained(run: ts.Run, folder: Path, **options: Any) -> Any:
    """The callback after a short training."""
    transformers.set_seed(1)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))
    tokens = torch.randint(0, 256, (STEPS * BATCH, SEQ_LEN))
    rows = [{"input_ids": row, "labels": row} for row in tokens]
    callback = ts.trainer_callback(run, **options)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=STEPS, per_device_train_batch_size=BATCH, use_cpu=True, report_to=[], logging_steps=4,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[callback])
    trainer.train()
    return callback


def test_a_training_is_predicted_measured_and_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run claims one H100 but runs on the CPU, so the prediction is far off until the run's own steps calibrate it."""
    config = transformers.LlamaConfig(**SIZES)
    run = ts.quick(config.to_dict(), chip="h100", gpus=1, tokens=STEPS * BATCH * SEQ_LEN, seq_len=SEQ_LEN, batch=BATCH, price=2.5)
    run = ts.laid_out(run, "2026-10")
    lines: list[str] = []
    path = tmp_path / "steps.csv"
    watch = trained(run, tmp_path, csv=path, log=lines.append, every=5).watch
    assert len(watch.seconds) == STEPS
    assert [line.partition(":")[0] for line in lines] == ["step 5", "step 10", f"step {STEPS}"]
    assert "step_seconds" in capsys.readouterr().out  # the trainer prints it with the loss
    found = ts.calibrate(path, run)
    again = ts.watch_steps(run, beliefs=found.beliefs, log=None)
    measured = sorted(watch.seconds)[STEPS // 2]

    def miss(one: Any) -> float:
        return float(max(measured / one.predicted[1], one.predicted[1] / measured))

    assert miss(again) < miss(watch) ** 0.5, (miss(watch), miss(again))
    assert watch.projection().hours[1] * 3600 == pytest.approx(measured * STEPS, rel=0.7)
