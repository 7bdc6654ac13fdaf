"""The tensor entries of a released checkpoint, predicted from a model and compared part by part with the files."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, overload

from ..core.answer import Answer, AnswerRow, Summary
from ..core.errors import SpecError, check_type
from ..core.ledger import Ledger
from ..core.reading import decode, parse_json, read_text
from ..core.values import Rules
from .counting import A_MODEL, count_params
from .feedforward import MixtureOfExperts
from .layers import Block
from .ops import Entry, MatMul
from .transformer import Model

MAX_HEADER = 2**27
"""Largest size of a safetensors header [B]; the headers of the largest releases are a tenth of it."""
_LONG = Rules(long=True)
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|layer|block)\.(\d+)\.")
_INNER_NORM = re.compile(r"(attn|attention|mixer|self_att|indexer)[\w.]*\.[\w]*(norm|layernorm|ln)[\w]*\.?(weight|bias)?$")
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("quantisation scales", r"(weight_scale|scale_inv|_scale|scales|zero_point|qzeros|g_idx|_scale_2|input_scale|amax)$"),
    ("router scores", r"(e_score_correction_bias|expert_bias|score_bias)$"),
    ("towers", r"(vision|visual|image|audio|vit|mm_projector|multi_modal|projector|merger|patch_embed)"),
    ("prediction modules", r"(^|\.)(mtp|mtp_layers|nextn)\b"),
    ("embedding", r"(embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|embeddings|wpe|embed_positions)\."),
    ("head", r"(^|\.)(lm_head|output|embed_out|score|classifier)\.(weight|bias)$"),
    ("shared experts", r"shared_expert|shared_mlp"),
    ("experts", r"experts?\.|block_sparse_moe\.(input|output)_linear"),
    ("router", r"(mlp|moe|ffn|feed_forward|block_sparse_moe|mixer)\.(gate|router)\b"),
)
"""Pattern of a tensor's name → part; the first matching pattern counts."""


@dataclass(frozen=True)
class ReleasedPart:
    """Entries of one part: released, and predicted by the model."""

    name: str
    released: int
    ours: int

    @property
    def difference(self) -> int:
        """Released entries minus the model's."""
        return self.released - self.ours


@dataclass(frozen=True, repr=False)
class Release(Answer):
    """Released entries compared with a model's, part by part.

    Args:
        parts: the parts.
        tensors: number of tensors in the files.
    """

    parts: tuple[ReleasedPart, ...]
    tensors: int

    @property
    def released(self) -> int:
        """Entries in the files."""
        return sum(part.released for part in self.parts)

    @property
    def ours(self) -> int:
        """Entries that the model predicts."""
        return sum(part.ours for part in self.parts)

    def part(self, name: str) -> ReleasedPart:
        """The part of a name.

        Raises:
            SpecError: no such part.
        """
        found = next((part for part in self.parts if part.name == name), None)
        if found is None:
            known = ", ".join(part.name for part in self.parts)
            raise SpecError("part", name, "is not a part of this release", f"parts: {known}", "unknown-name")
        return found

    def summary(self) -> Summary:
        """Released and predicted entries, and the difference by part."""
        rows = [AnswerRow("released", "released", self.released, "entries"), AnswerRow("ours", "model", self.ours, "entries")]
        rows += [AnswerRow(f"parts.{p.name}", p.name, p.difference, "entries", group="Released less model, by part") for p in self.parts]
        return Summary(f"{self.tensors:,} released tensors beside the model's", tuple(rows))

    def _text(self) -> str:
        rows = [(part.name, part.released, part.ours, part.difference) for part in self.parts]
        rows.append(("total", self.released, self.ours, self.released - self.ours))
        lines = [f"{name:<20}{released:>20,}{ours:>20,}{off:>+20,}" for name, released, ours, off in rows]
        return "\n".join([f"{'entries':<20}{'released':>20}{'model':>20}{'difference':>20}", *lines])


@overload
def explain_release(model: Model) -> Ledger: ...
@overload
def explain_release(model: Model, path: str | Path) -> Release: ...
def explain_release(model: Model, path: str | Path | None = None) -> Ledger | Release:
    """Every tensor entry of a released checkpoint: parameters, copies of parameters, and entries that are not parameters.

    Args:
        model: the model.
        path: safetensors files to compare with: a ``.safetensors`` file, a folder of them, an index beside its files, or the header of
            a file as JSON. Only headers are read.

    Returns:
        without a path, a ledger [entry]: the main model, the prediction modules' own weights, their copies of embedding and head, the
        router's balancing scores, and the scales of a block-quantised release. With a path, the entries of each part as released and as
        the model has them.

    Raises:
        SpecError: not a model, or a file without a header.

    Source: DeepSeek-V3 README_WEIGHTS: ``weight_scale_inv`` per 128×128 block, ``e_score_correction_bias`` per expert.

    >>> import trainsim as ts
    >>> explain_release(ts.catalog.model("deepseek-v3")).part("no parameters.router scores").total
    15104.0
    """
    check_type(model, Model, "model", A_MODEL)
    return _predicted(model) if path is None else _compared(model, Path(path))


def _predicted(model: Model) -> Ledger:
    main, unique, released = (float(count_params(model, how).total) for how in ("none", "unique", "released"))
    parts = {
        "parameters": {"model": main, "prediction modules": unique - main, "their copies of embedding and head": released - unique},
        "no parameters": {"router scores": float(_all_scores(model)), "quantisation scales": _scales(model)},
    }
    return Ledger("entry", parts)


def _all_scores(model: Model) -> int:
    scores = sum(kind.count * _scores(kind.block) for kind in model.stack)
    return scores + (model.mtp.depth * _scores(model.mtp.block) if model.mtp is not None else 0)


def _scores(block: Block) -> int:
    ffn = block.ffn
    return ffn.experts if isinstance(ffn, MixtureOfExperts) and ffn.router_bias == "score" else 0


def _scales(model: Model) -> float:
    """One scale per block of every quantised product: the layers' linear ops, not router, embedding, head or projections."""
    if model.quantization_block is None:
        return 0.0
    side = model.quantization_block
    ops = ((e.count, e.op) for e in model.table.entries if isinstance(e.op, MatMul) and e.op.role == "linear" and _in_block(e))
    return float(sum(n * op.experts * -(-op.inner // side) * -(-op.cols // side) for n, op in ops))


def _in_block(entry: Entry) -> bool:
    return entry.path[0] not in {"embedding", "head", "towers"} and entry.path[:2] != ("mtp", "projection")


# files -------------------------------------------------------------------------------------------------------------


def _compared(model: Model, path: Path) -> Release:
    released: dict[str, int] = {}
    tensors = 0
    for name, entries in _tensors(path):
        tensors += 1
        part = _part_of(name, model.layers)
        released[part] = released.get(part, 0) + entries
    ours = _ours(model, released)
    names = sorted({*released, *(part for part, entries in ours.items() if entries)})
    return Release(tuple(ReleasedPart(name, released.get(name, 0), ours.get(name, 0)) for name in names), tensors)


def _tensors(path: Path) -> Iterator[tuple[str, int]]:
    """Names of tensors, each with its number of entries."""
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if not files:
            raise SpecError(
                "path", str(path), "contains no .safetensors files", "give a folder of them, one of them, or a header", "not-found"
            )
        for file in files:
            yield from _sized(_header(file), file.name)
        return
    if path.suffix == ".safetensors":
        yield from _sized(_header(path), path.name)
        return
    data = parse_json(read_text(path, what="header", max_bytes=MAX_HEADER), path.name, rules=_LONG)
    if not isinstance(data, Mapping):
        raise SpecError("path", path.name, "has no safetensors header", "give a safetensors file, its header, or its index", "wrong-type")
    shards = data.get("weight_map")
    if not isinstance(shards, Mapping):
        yield from _sized(data, path.name)
        return
    for shard in sorted({str(name) for name in shards.values()}):
        if Path(shard).name != shard:
            raise SpecError("weight_map", shard, "is not the name of a file beside the index", "restore the index", "invalid")
        yield from _sized(_header(path.parent / shard), shard)


def _header(path: Path) -> Mapping[str, Any]:
    """The header of a safetensors file: eight bytes of length, then JSON."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            text = file.read(length) if 0 < length <= MAX_HEADER else b""
    except OSError as error:
        raise SpecError(
            "path", str(path), f"can't be read ({error.strerror})", "check the path and its permissions", "unreadable"
        ) from None
    if not text or len(text) < length:
        raise SpecError("path", path.name, "has an incomplete safetensors header", "restore the file; it may be cut short", "syntax")
    data = parse_json(decode(text, path.name), path.name, rules=_LONG)
    if not isinstance(data, Mapping):
        raise SpecError("path", path.name, "has a header that is not a JSON object", "restore the file", "wrong-type")
    return data


def _sized(header: Mapping[str, Any], where: str) -> Iterator[tuple[str, int]]:
    for name, row in header.items():
        if name == "__metadata__":
            continue
        shape = row.get("shape") if isinstance(row, Mapping) else None
        if not isinstance(shape, (list, tuple)) or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape):
            raise SpecError(f"{where}.{name}", row, "has no shape", "give a safetensors file, its header, or its index", "wrong-type")
        yield name, prod(shape)


# parts -------------------------------------------------------------------------------------------------------------


def _part_of(name: str, layers: int) -> str:
    """The part that a tensor belongs to, by its name and its layer; layers after the model's last are prediction modules."""
    layer = _LAYER.search(name)
    tower = re.search(_PATTERNS[2][1], name) is not None
    for part, pattern in _PATTERNS[:2]:
        if re.search(pattern, name):
            return part
    if layer and int(layer.group(1)) >= layers and not tower:
        return "prediction modules"
    found = next((part for part, pattern in _PATTERNS[2:] if re.search(pattern, name)), None)
    if found is not None:
        return found
    if _INNER_NORM.search(name) and not re.search(r"(input|post|pre)_\w*(norm|layernorm)", name):
        return "attention"
    if re.search(r"norm|layernorm|ln_\w|\.ln", name):
        return "norms"
    if re.search(r"attn|attention|mixer|mamba|self_att|\.conv\.", name):
        return "attention"
    return "feed-forward" if re.search(r"mlp|ffn|feed_forward|fc\d|\.w[123]\.", name) else "others"


_SECTIONS = {
    "norms": "norms",
    "ffn": "feed-forward",
    "router": "router",
    "experts": "experts",
    "shared": "shared experts",
}


def _ours(model: Model, released: Mapping[str, int]) -> dict[str, int]:
    """The model's entries by the same parts; scores and scales are compared only if the files have any."""
    table = model.table
    found: dict[str, int] = {}
    for i, entry in enumerate(table.entries):
        stored = table.count[i] * (table.matrices[i] * (not table.tied[i] or entry.mtp) + table.vectors[i])
        part = _place(entry)
        found[part] = found.get(part, 0) + round(float(stored))
    for optional in ("prediction modules", "towers", "head"):
        if optional not in released and optional != "head":
            found.pop(optional, None)
    if "router scores" in released:
        found["router scores"] = _all_scores(model)
    if "quantisation scales" in released:
        found["quantisation scales"] = round(_scales(model))
    return found


def _place(entry: Entry) -> str:
    match entry.path:
        case ("embedding", *_):
            return "embedding"
        case ("head", "norm", *_):
            return "norms"
        case ("head", *_):
            return "head"
        case ("mtp", *_):
            return "prediction modules"
        case ("towers", *_):
            return "towers"
        case (_, section, *_):
            return _SECTIONS.get(section, "attention")
    return "others"
