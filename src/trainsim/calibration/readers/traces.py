"""Read profiler traces (Kineto's Chrome traces, Nsight Systems' kernel tables) as kernels by role and pass."""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...cluster.hardware import Chip
from ...cluster.profile import KernelProfile, ProductTimings
from ...core import reading
from ...core.errors import SpecError, TrainsimError
from ...core.values import Rules
from .kernel_roles import Direction, Role, direction_of, role_of

Work = tuple[Role | None, Direction | None]
"""Role and pass of a kernel."""
GPU = {"kernel", "gpu_memcpy", "gpu_memset"}
LAUNCHES = {"cuda_runtime", "cuda_driver", "hip_runtime"}
AROUND = {"cpu_op", "user_annotation"}
MICROSECOND, NANOSECOND = 1e-6, 1e-9
FORMATS = {"c10::BFloat16": "bf16", "c10::Half": "fp16", "c10::Float8_e4m3fn": "fp8", "c10::Float8_e5m2": "fp8"}
"""Element type, as named by Kineto → number format of a chip's peaks."""
PRODUCTS = {"aten::mm": 0, "aten::addmm": 1, "aten::bmm": 0, "aten::_scaled_mm": 0}
"""Op that is one matrix product → index of its left operand; the right operand follows it."""


@dataclass(frozen=True)
class Shape:
    """A matrix product: ``groups`` of ``rows × depth`` by ``depth × cols``, in one number format."""

    rows: float
    cols: float
    depth: float
    groups: float
    number_format: str


@dataclass(frozen=True)
class Kernel:
    """One kernel, copy or fill on a GPU.

    Args:
        name, stream: name and stream recorded by the profiler.
        start, seconds: start and duration [s].
        role: role in a layer; None if the name is unknown.
        direction: the pass that the kernel belongs to; None if unknown.
        shape: shape of a matrix product, where the profiler recorded its operands.
        moved: size of a copy [B]; 0 if not recorded.
    """

    name: str
    stream: str
    start: float
    seconds: float
    role: Role | None
    direction: Direction | None = None
    shape: Shape | None = None
    moved: float = 0.0


@dataclass(frozen=True)
class StreamTime:
    """One stream over the span of the trace: ``busy`` plus ``idle`` is the span [s]."""

    stream: str
    kernels: int
    busy: float
    idle: float


@dataclass(frozen=True)
class Trace:
    """The kernels of one GPU, in order of their start.

    Args:
        kernels: kernels of all streams.
        chip: name of the GPU recorded by the profiler; empty if not recorded.

    >>> trace = Trace((Kernel("nvjet", "7", 0.0, 2.0, "product"), Kernel("ncclKernel", "9", 1.0, 3.0, "exchange")))
    >>> trace.span, [(s.busy, s.idle) for s in trace.streams], trace.attributed
    (4.0, [(2.0, 2.0), (3.0, 1.0)], 1.0)
    """

    kernels: tuple[Kernel, ...]
    chip: str = ""

    @property
    def start(self) -> float:
        """Start of the first kernel [s]."""
        return min(k.start for k in self.kernels)

    @property
    def span(self) -> float:
        """Time from the first start to the last end [s]."""
        return max(k.start + k.seconds for k in self.kernels) - self.start

    @cached_property
    def streams(self) -> tuple[StreamTime, ...]:
        """Busy and idle time of each stream [s]. Kernels that overlap on a stream count once; idle time is the sum of the gaps."""
        names = dict.fromkeys(k.stream for k in self.kernels)
        return tuple(self._stream(name, [k for k in self.kernels if k.stream == name]) for name in names)

    def _stream(self, name: str, kernels: Sequence[Kernel]) -> StreamTime:
        busy, idle, reached = 0.0, 0.0, self.start
        for kernel in kernels:
            end = kernel.start + kernel.seconds
            idle += max(kernel.start - reached, 0.0)
            busy += max(end - max(kernel.start, reached), 0.0)
            reached = max(reached, end)
        return StreamTime(name, len(kernels), busy, idle + self.start + self.span - reached)

    @property
    def attributed(self) -> float:
        """Share of kernel time with a known role [1]."""
        total = sum(k.seconds for k in self.kernels)
        return sum(k.seconds for k in self.kernels if k.role is not None) / total if total else 1.0

    @property
    def by_role(self) -> Mapping[Work, float]:
        """Kernel time by role and pass [s], the longest first; concurrent kernels count in full."""
        found: dict[Work, float] = {}
        for k in self.kernels:
            found[k.role, k.direction] = found.get((k.role, k.direction), 0.0) + k.seconds
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def seconds(self, role: Role, direction: Direction | None = None) -> float:
        """Kernel time of a role [s], in one pass or in all."""
        return sum(k.seconds for k in self.kernels if k.role == role and direction in {None, k.direction})

    @cached_property
    def shared(self) -> Mapping[Work, float]:
        """Time of compute kernels by role and pass [s], without exchanges; concurrent kernels share the time."""
        compute = [k for k in self.kernels if k.role != "exchange"]
        edges = sorted({t for k in compute for t in (k.start, k.start + k.seconds)})
        running: dict[int, list[Kernel]] = {}
        for k in compute:
            first, last = (bisect_left(edges, t) for t in (k.start, k.start + k.seconds))
            for at in range(first, last):
                running.setdefault(at, []).append(k)
        found: dict[Work, float] = {}
        for at, kernels in running.items():
            for k in kernels:
                found[k.role, k.direction] = found.get((k.role, k.direction), 0.0) + (edges[at + 1] - edges[at]) / len(kernels)
        return found

    @cached_property
    def overlap(self) -> float:
        """Share of compute time during which an exchange also runs [1]."""
        exchanges = [(k.start, k.start + k.seconds) for k in self.kernels if k.role == "exchange"]
        both = _merged([(k.start, k.start + k.seconds) for k in self.kernels if k.role != "exchange"])
        beside = sum(max(0.0, min(e, end) - max(s, start)) for s, e in _merged(exchanges) for start, end in both)
        total = sum(end - start for start, end in both)
        return beside / total if total else 0.0

    @property
    def unattributed(self) -> Mapping[str, float]:
        """Kernels of unknown role: name → time [s], the longest first."""
        found: dict[str, float] = {}
        for k in self.kernels:
            if k.role is None:
                found[k.name] = found.get(k.name, 0.0) + k.seconds
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def profile(self, chip: Chip) -> KernelProfile:
        """Profile of a chip from the matrix products and large copies whose sizes the trace records.

        Args:
            chip: data sheet of the GPU; formats without a peak are left out.

        Raises:
            SpecError: the trace records no such sizes (Kineto: ``record_shapes=True``).
        """
        products = [k for k in self.kernels if k.shape is not None and getattr(chip.peak, k.shape.number_format, None) is not None]
        copies = [k for k in self.kernels if k.moved >= LARGE_COPY and "DtoD" in k.name and k.seconds > 0]
        if not products:
            raise SpecError("trace", self.chip, "records no sizes of matrix products", "record it with record_shapes=True", "conflict")
        formats = dict.fromkeys(k.shape.number_format for k in products if k.shape is not None)
        return KernelProfile(
            chip=chip,
            products=tuple(
                _products(name, [k for k in products if k.shape is not None and k.shape.number_format == name]) for name in formats
            ),
            attention=None,
            moved=np.array([2.0 * k.moved for k in copies]),
            copied=np.array([k.seconds for k in copies]),
            launch=None,
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        chip = self.chip or "an unnamed GPU"
        yield f"{len(self.kernels):,} kernels on {chip}, {1e3 * self.span:.4g} ms, {100 * self.attributed:.1f} % attributed"
        for s in self.streams:
            yield f"  stream {s.stream:<12}{s.kernels:>7} kernels  busy {1e3 * s.busy:>10.3f} ms  idle {1e3 * s.idle:>10.3f} ms"
        for (role, direction), seconds in self.by_role.items():
            yield f"  {role or 'not attributed':<16}{direction or '':<10}{1e3 * seconds:>10.3f} ms"
        yield from (
            f"  not attributed: {name[:100]} {1e3 * seconds:.3f} ms" for name, seconds in list(self.unattributed.items())[:MOST_NAMES]
        )


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Union of time spans as disjoint spans, in order."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


LARGE_COPY = 16 * 2**20
"""Smallest copy that measures memory bandwidth [B]; shorter ones are dominated by launch time."""
MOST_NAMES = 20
"""Number of unknown kernels that a summary prints."""


def _products(number_format: str, kernels: Sequence[Kernel]) -> ProductTimings:
    shapes = [k.shape for k in kernels if k.shape is not None]
    rows, cols, depth, groups = (np.array([getattr(s, name) for s in shapes]) for name in ("rows", "cols", "depth", "groups"))
    return ProductTimings(number_format, rows, cols, depth, groups, np.array([k.seconds for k in kernels]))


# reading ----------------------------------------------------------------------------------------------------------------


def read_trace(path: str | Path) -> Trace:
    """Read the kernels of a profiler trace, by role and pass.

    Args:
        path: a Chrome trace of PyTorch's profiler (``.json`` or ``.json.gz``), or the table of kernels that
            ``nsys stats --report cuda_gpu_trace --format csv`` prints (``.csv``).

    Returns:
        the trace; :attr:`Trace.unattributed` lists kernels of unknown role.

    Raises:
        SpecError: no such file, a file with another structure, or one without kernels.

    >>> import json, tempfile
    >>> file = Path(tempfile.mkdtemp()) / "step.json"
    >>> kernel = {"ph": "X", "cat": "kernel", "name": "ncclDevKernel_AllReduce", "ts": 0, "dur": 5, "pid": 0, "tid": 7, "args": {}}
    >>> _ = file.write_text(json.dumps({"traceEvents": [kernel]}))
    >>> [(found.role, round(found.seconds, 9)) for found in read_trace(file).kernels]
    [('exchange', 5e-06)]
    """
    text, name = reading.read_text(path, what="trace", max_bytes=reading.MAX_LOG_BYTES), Path(path).name
    try:
        trace = _from_nsight(text) if name.endswith(".csv") else _from_kineto(reading.parse_json(text, name, rules=Rules(long=True)))
    except TrainsimError:
        raise
    except (csv.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpecError("trace", str(path), f"is not a profiler trace ({error})", "export it again from the profiler", "syntax") from None
    if not trace.kernels:
        raise SpecError("trace", str(path), "has no GPU kernels", "profile with GPU activities", "empty")
    return trace


def _from_kineto(data: Any) -> Trace:
    """A trace of PyTorch's profiler: kernels, joined by correlation id to the ops that launched them."""
    events = [e for e in (data["traceEvents"] if isinstance(data, dict) else data) if e.get("ph") == "X"]
    around = _around(events)
    kernels = []
    for e in events:
        if str(e.get("cat", "")).lower() not in GPU:
            continue
        arguments = e.get("args", {})
        ops = around.get(arguments.get("correlation"), ())
        role = role_of(e["name"])
        kernels.append(
            Kernel(
                name=e["name"],
                stream=str(arguments.get("stream", e.get("tid"))),
                start=float(e["ts"]) * MICROSECOND,
                seconds=float(e["dur"]) * MICROSECOND,
                role=role,
                direction=direction_of(e["name"], [op["name"] for op in ops]),
                shape=_shape(ops) if role == "product" else None,
                moved=float(arguments.get("bytes", 0.0)),
            )
        )
    if any(k.direction == "backward" for k in kernels):  # all other ops of a training step belong to its forward pass
        kernels = [replace(k, direction="forward") if k.direction is None and k.role not in NO_PASS else k for k in kernels]
    devices = data.get("deviceProperties", []) if isinstance(data, dict) else []
    return Trace(tuple(sorted(kernels, key=lambda k: k.start)), devices[0].get("name", "") if devices else "")


def _around(events: Sequence[Mapping[str, Any]]) -> dict[Any, tuple[Mapping[str, Any], ...]]:
    """Correlation id of each launch → ops and annotations open on the launching host thread, innermost first."""
    host = [e for e in events if str(e.get("cat", "")).lower() in LAUNCHES | AROUND]
    found: dict[Any, tuple[Mapping[str, Any], ...]] = {}
    for thread in {(e.get("pid"), e.get("tid")) for e in host}:
        open_: list[Mapping[str, Any]] = []
        mine = [e for e in host if (e.get("pid"), e.get("tid")) == thread]
        for e in sorted(mine, key=lambda e: (e["ts"], -e.get("dur", 0))):
            while open_ and open_[-1]["ts"] + open_[-1].get("dur", 0) < e["ts"]:
                open_.pop()
            if str(e["cat"]).lower() in AROUND:
                open_.append(e)
            elif (correlation := e.get("args", {}).get("correlation")) is not None:
                found[correlation] = tuple(reversed(open_))
    return found


def _shape(ops: Iterable[Mapping[str, Any]]) -> Shape | None:
    """Shape of the matrix product of the innermost op with recorded operands; None if there is none."""
    for op in ops:
        if op["name"] not in PRODUCTS:
            continue
        arguments, at = op.get("args", {}), PRODUCTS[op["name"]]
        sizes = arguments.get("Input Dims") or arguments.get("Input dims")
        kinds = arguments.get("Input type") or [""] * (at + 1)
        if not sizes or len(sizes) < at + 2 or not sizes[at] or kinds[at] not in FORMATS:
            return None
        left, right = sizes[at], sizes[at + 1]
        groups = float(left[0]) if len(left) > MATRIX else 1.0
        return Shape(float(left[-2]), float(right[-1]), float(left[-1]), groups, FORMATS[kinds[at]])
    return None


NO_PASS = {"optimizer", "exchange", "copy", None}
"""Roles that belong to no pass unless a name indicates one."""
MATRIX = 2
"""Number of dimensions of a matrix; a batch of matrices has one more."""


def _from_nsight(text: str) -> Trace:
    """A table of kernels of Nsight Systems: start and duration in nanoseconds, stream and name."""
    kernels = []
    chip = ""
    for row in csv.DictReader(text.splitlines()):
        chip = row.get("Device") or chip
        name = row["Name"]
        kernels.append(
            Kernel(
                name=name,
                stream=str(row.get("Strm", "")),
                start=float(row["Start (ns)"]) * NANOSECOND,
                seconds=float(row["Duration (ns)"]) * NANOSECOND,
                role=role_of(name),
                direction=direction_of(name, ()),
            )
        )
    return Trace(tuple(sorted(kernels, key=lambda k: k.start)), chip)
