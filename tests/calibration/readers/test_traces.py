"""Profiler traces: busy and idle time add up, kernels get roles, and a trace of a run recovers its stack's numbers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.calibration.readers.kernel_roles import role_of
from trainsim.calibration.readers.traces import Kernel, Shape, Trace, read_trace
from trainsim.calibration.trace_update import layer_seconds, traced_stack
from trainsim.cluster.profile import fit_stack
from trainsim.core.errors import SpecError


def kineto(kernels: Sequence[dict[str, Any]], host: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """A Chrome trace in the format of PyTorch's profiler, from kernels (name, stream, start and duration [us]) and events of the host."""
    events = [
        {"ph": "X", "cat": "kernel", "name": k["name"], "pid": 0, "tid": k["stream"], "ts": k["ts"], "dur": k["dur"],
         "args": {"stream": k["stream"], "correlation": i}}
        for i, k in enumerate(kernels)
    ]  # fmt: skip
    return {"deviceProperties": [{"name": "NVIDIA H100 80GB HBM3"}], "traceEvents": [*events, *host]}


def on_host(category: str, name: str, start: float, seconds: float, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 2, "ts": start, "dur": seconds, "args": arguments or {}}


spans = st.lists(
    st.tuples(st.integers(0, 3), st.floats(0.0, 1e3), st.floats(0.01, 50.0), st.sampled_from(["ncclDevKernel", "nvjet_hsh", "my_kernel"])),
    min_size=1, max_size=30,
)  # fmt: skip


@given(spans)
def test_busy_plus_idle_is_the_span_on_each_stream(found: list[tuple[int, float, float, str]]) -> None:
    kernels = [Kernel(name, str(stream), start, seconds, role_of(name)) for stream, start, seconds, name in found]
    trace = Trace(tuple(sorted(kernels, key=lambda k: k.start)))
    for stream in trace.streams:
        assert stream.busy + stream.idle == pytest.approx(trace.span, rel=1e-9)
        assert stream.busy >= max(k.seconds for k in kernels if k.stream == stream.stream) * (1 - 1e-9)


@given(spans)
def test_kernels_that_run_at_once_share_the_time(found: list[tuple[int, float, float, str]]) -> None:
    kernels = [Kernel(name, str(stream), start, seconds, role_of(name)) for stream, start, seconds, name in found]
    trace = Trace(tuple(sorted(kernels, key=lambda k: k.start)))
    shared = sum(trace.shared.values())
    alone = sum(k.seconds for k in kernels if k.role != "exchange")
    assert shared <= min(alone, trace.span) * (1 + 1e-9)
    assert sum(trace.by_role.values()) == pytest.approx(sum(k.seconds for k in kernels))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("void cutlass::device_kernel<flash::FlashAttnBwdPreprocess<...>>", "attention"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64", "product"),
        ("nvjet_hsh_128x256_64x4_2x1_v_bz_TNT", "product"),
        ("void deep_ep::internode::dispatch<false, 8, true, 8>(int4*)", "exchange"),
        ("ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL", "exchange"),
        ("void at::native::elementwise_kernel<128, 4, gpu_kernel_impl_nocast<direct_copy_kernel>>", "copy"),
        ("per_token_cast_to_fp8", "cast"),
        ("void at::native::(anonymous namespace)::multi_tensor_apply_kernel<TensorListMetadata<4>, AdamFunctor<float>>", "optimizer"),
        ("triton_poi_fused__to_copy_mul_silu_3", "copy"),
        ("triton_red_fused_mean_rsqrt_1", "elementwise"),
        ("void at::native::sbtopk::gatherTopK<float, unsigned int, 2, false>", "permute"),
        ("void vllm::scaled_fp8_quant_kernel_strided<c10::BFloat16, c10::Float8_e4m3fn>", "cast"),
        ("bmm_Bfloat16_MxE2m1MxE4m3_Fp32_t128x16x256u2_s3_TN_dynBatch_sm100f", "product"),
        ("sage_fwd", "attention"),
        ("sage_quant_kernel", "cast"),
        ("a_kernel_nobody_knows", None),
    ],
)
def test_names_of_kernels(name: str, role: str | None) -> None:
    assert role_of(name) == role


def test_a_kernel_is_of_the_pass_that_launched_it(tmp_path: Path) -> None:
    host = [
        on_host("cpu_op", "autograd::engine::evaluate_function: MmBackward0", 0.0, 10.0),
        on_host("cpu_op", "aten::mm", 1.0, 5.0, {"Input Dims": [[8, 16], [16, 32]], "Input type": ["c10::BFloat16"] * 2}),
        on_host("cuda_runtime", "cudaLaunchKernel", 2.0, 1.0, {"correlation": 0}),
        on_host("cuda_runtime", "cudaLaunchKernel", 12.0, 1.0, {"correlation": 1}),
    ]
    kernels = [{"name": "nvjet", "stream": 7, "ts": 20.0, "dur": 5.0}, {"name": "nvjet", "stream": 7, "ts": 30.0, "dur": 5.0}]
    file = tmp_path / "t.trace.json"
    file.write_text(json.dumps(kineto(kernels, host)))
    inside, outside = read_trace(file).kernels
    assert (inside.direction, outside.direction) == ("backward", "forward")
    assert inside.shape is not None
    assert (inside.shape.rows, inside.shape.cols, inside.shape.depth, inside.shape.number_format) == (8, 32, 16, "bf16")


def test_the_table_of_nsight(tmp_path: Path) -> None:
    file = tmp_path / "kernels.csv"
    rows = [
        "Start (ns),Duration (ns),CorrId,Strm,Device,Name",
        "1000,500,1,7,H100,flash_fwd_kernel",
        "2000,250,2,13,H100,ncclDevKernel_AllGather",
    ]
    file.write_text("\n".join(rows) + "\n")
    trace = read_trace(file)
    assert [k.role for k in trace.kernels] == ["attention", "exchange"]
    assert trace.span == pytest.approx(1250e-9)


@pytest.mark.parametrize("text", ["", "[1, 2", '{"a": 1}', '{"traceEvents": []}', '{"traceEvents": 3}'])
def test_files_that_are_not_traces_are_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "no.json"
    file.write_text(text)
    with pytest.raises(SpecError) as found:
        read_trace(file)
    assert found.value.path in {"trace", "no.json"}


def profiled() -> ts.Run:
    """A dense model on one node, whose trace is made from its modelled times."""
    return ts.Run(
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 8),
        plan=ts.Plan(zero=3),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=8)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
    )


NAMES = {
    ("product", "forward"): "gemm_fprop", ("product", "backward"): "gemm_dgrad", ("product", "weights"): "gemm_wgrad",
    ("attention", "forward"): "flash_fwd", ("attention", "backward"): "flash_bwd", ("elementwise", None): "rms_norm",
}  # fmt: skip


def trace_of(seconds: dict[Any, float], layers: int) -> Trace:
    """A trace of layers one after another, with one kernel per role and pass."""
    kernels, now = [], 0.0
    for _ in range(layers):
        for (role, direction), name in NAMES.items():
            kernels.append(Kernel(name, "7", now, seconds[role, direction], role, direction))  # type: ignore[arg-type]
            now += seconds[role, direction]
    return Trace(tuple(kernels), "NVIDIA H100")


def test_a_trace_gives_the_stack_that_made_it() -> None:
    run = profiled()
    base = run.efficiency.stack  # type: ignore[union-attr]
    truth = base.replace({"bf16": 0.6, "weight_gradient": 0.8, "attention_forward": 0.5, "attention_backward": 0.45, "elementwise": 2.0})
    found = traced_stack(trace_of(layer_seconds(run, truth), 3), run)
    assert found.layers == 3
    for field in ("bf16", "weight_gradient", "attention_forward", "attention_backward", "elementwise"):
        assert getattr(found.stack, field) == pytest.approx(getattr(truth, field), rel=5e-3), field
        assert found.stack.tag(field) == "measured"


def test_calibrate_takes_a_trace_of_a_run() -> None:
    run = profiled()
    slow = run.efficiency.stack.replace({"bf16": 0.5})  # type: ignore[union-attr]
    found = ts.calibrate(trace_of(layer_seconds(run, slow), 2), run)
    assert found.after[1] == pytest.approx(0.0, abs=0.01)
    drawn = ts.simulate(run, found.beliefs, lambda some: {"step": ts.step_time(some).total}, n=512)
    assert float(drawn.quantile("step", 0.5)) > 1.1 * float(np.asarray(ts.step_time(run).total))


def test_a_trace_without_attention_has_no_layers() -> None:
    with pytest.raises(SpecError) as found:
        traced_stack(Trace((Kernel("gemm", "7", 0.0, 1.0, "product"),)), profiled())
    assert found.value.path in {"trace", "no.json"}


def test_the_products_of_a_trace_are_a_profile(tmp_path: Path) -> None:
    """Products recorded by the profiler give the share of the peak that they were made with."""
    chip, host, kernels = ts.catalog.chip("h100-sxm"), [], []
    for i, (rows, cols, depth) in enumerate([(8192, 8192, 4096), (8192, 4096, 1024), (4096, 16384, 8192), (16384, 4096, 512)]):
        seconds = 2.0 * rows * cols * depth / (0.6 * depth / (depth + 300.0) * float(np.asarray(chip.peak_of("bf16"))))
        sizes = {"Input Dims": [[rows, depth], [depth, cols]], "Input type": ["c10::BFloat16"] * 2}
        host.append(on_host("cpu_op", "aten::mm", 10.0 * i, 5.0, sizes))
        host.append(on_host("cuda_runtime", "cudaLaunchKernel", 10.0 * i + 1, 1.0, {"correlation": i}))
        kernels.append({"name": "nvjet", "stream": 7, "ts": 1e4 * i, "dur": 1e6 * seconds})
    file = tmp_path / "t.json.gz"
    file.write_bytes(gzip.compress(json.dumps(kineto(kernels, host)).encode()))
    fitted = fit_stack(read_trace(file).profile(chip), ts.catalog.stack("mcore-hopper")).stack
    assert float(fitted.bf16) == pytest.approx(0.6, rel=0.03)


def test_short_copies_say_nothing_of_memory() -> None:
    product = Kernel("nvjet", "7", 0.0, 1e-3, "product", shape=Shape(8192.0, 8192.0, 4096.0, 1.0, "bf16"))
    short, long = (Kernel("Memcpy DtoD", "7", 2e-3, seconds, None, moved=moved) for moved, seconds in ((4.0, 2e-6), (1e9, 8e-4)))
    profile = Trace((product, short, long), "NVIDIA H100").profile(ts.catalog.chip("h100-sxm"))
    assert profile.moved.tolist() == [2e9]
    assert profile.copied.tolist() == [8e-4]
