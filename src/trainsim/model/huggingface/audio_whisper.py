"""Whisper's encoder as an audio tower: Qwen2-Audio, Qwen2.5-Omni, Voxtral, Audio Flamingo 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..feedforward import PlainMLP
from ..layers import Block, Layers
from ..towers import Projection, Tower
from .config import Config
from .vision import heard_by
from .vision_parts import heads_of, sees_all

NAME = "audio"
_FRAMES = 2.0
"""Frames of the spectrogram per token of Whisper's encoder."""
_SHARED: tuple[Literal["q", "v", "o"], ...] = ("q", "v", "o")


def audio_stem(channels: int, hidden: int) -> tuple[Projection, Projection]:
    """Two convolutions over three frames each; the second halves the number of frames (Whisper, arXiv:2212.04356)."""
    frames = Projection(name="frames", inner=3 * channels, cols=hidden, bias="bias", rows=_FRAMES)
    return frames, Projection(name="halve", inner=3 * hidden, cols=hidden, bias="bias")


def _whisper(c: Config, hidden: int, connector: Sequence[Projection], *, learned: bool = True, **rest: Any) -> Tower:
    """Whisper's encoder with the keys of its config, or with common ones.

    Args:
        c: the ``audio_config``.
        hidden: width of the encoder's stream.
        connector: products over the encoder's outputs; ``rows`` is below 1 if frames are pooled or joined first.
        learned: whether the class stores the positions.
        rest: further fields of :class:`Tower`, and ``chunk`` for attention inside chunks.
    """
    heads = heads_of(c, hidden, 20, "encoder_attention_heads", "num_attention_heads")
    attention = sees_all(heads, hidden, biases=_SHARED, chunk=rest.pop("chunk", None))
    width = c.optional("encoder_ffn_dim", "intermediate_size", default=5120)
    block = Block(attention=attention, ffn=PlainMLP(width=width, bias="both"), norm="layer")
    positions = c.optional("max_source_positions", default=1500)
    return Tower(
        name=NAME,
        hidden=hidden,
        stem=audio_stem(c.optional("num_mel_bins", default=128), hidden),
        positions=positions if learned else 0,
        stack=(Layers(name="block", count=c.optional("encoder_layers", "num_hidden_layers", default=32), block=block),),
        norm="layer",
        connector=connector,
        **rest,
    )


def _width(c: Config) -> int:
    return c.optional("d_model", "hidden_size", default=1280)


@heard_by("qwen2_audio")
def qwen2_audio(outer: Config, c: Config, width: int) -> Tower:
    """Qwen2-Audio (arXiv:2407.10759): frames pooled in twos, one product."""
    del outer
    hidden = _width(c)
    return _whisper(c, hidden, (Projection(name="out", inner=hidden, cols=width, bias="bias", rows=0.5),))


@heard_by("qwen2_5_omni_thinker")
def qwen2_5_omni(outer: Config, c: Config, width: int) -> Tower:
    """Qwen2.5-Omni (arXiv:2503.20215): attention inside chunks, sinusoids that aren't stored, a start and an end of audio."""
    del outer
    hidden = _width(c)
    out = c.optional("output_dim", default=width, why="width of the text model")
    chunk = c.optional("n_window", default=100)
    connector = (Projection(name="out", inner=hidden, cols=out, bias="bias", rows=0.5),)
    return _whisper(c, hidden, connector, learned=False, chunk=chunk, scales=2 * out)


@heard_by("voxtral")
def voxtral(outer: Config, c: Config, width: int) -> Tower:
    """Voxtral (arXiv:2507.13264): frames joined to the inner width, two products."""
    del outer
    hidden = _width(c)
    joined = c.optional("intermediate_size", default=5120)
    c.divides("hidden_size", hidden, "intermediate_size", joined)
    rows = hidden / joined
    connector = (Projection(name="join", inner=joined, cols=width, rows=rows), Projection(name="out", inner=width, cols=width, rows=rows))
    return _whisper(c, hidden, connector)


@heard_by("audioflamingo3", "musicflamingo")
def audioflamingo3(outer: Config, c: Config, width: int) -> Tower:
    """Audio Flamingo 3 (arXiv:2507.08128): frames pooled in twos, two products."""
    bias: Literal["bias", "none"] = "bias" if outer.flag("projector_bias", default=True) else "none"
    hidden = _width(c)
    products = (
        Projection(name="join", inner=hidden, cols=width, bias=bias, rows=0.5),
        Projection(name="out", inner=width, cols=width, bias=bias, rows=0.5),
    )
    return _whisper(c, hidden, products)
