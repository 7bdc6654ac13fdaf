"""The entry point: turns a config, its path, or a config object into a Model."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError, TrainsimError, recast
from ...core.reading import parse_toml, read_text
from ...core.values import ReadOnlyDict
from ..transformer import Model
from .activation import activated
from .classes import config_class
from .config import Config
from .decoders import with_encoder
from .document import document
from .foreign import SIZES, as_config
from .heads import direction, topped
from .nearest import nearest
from .shape import FamilyShape, check_rows, family_of, family_rows
from .unfit import UNFIT
from .vision import towers_of
from .wrappers import enter

Mapper = Callable[[Config], Model]


@dataclass(frozen=True)
class FamilyReader:
    """How the configs of one model type become models.

    Args:
        read: the mapping.
        names, defaults: the family's own names of keys, and its defaults for keys that a file leaves out.
        defaults_of: the type whose recorded class gives the other defaults; None for the same type.
    """

    read: Mapper
    names: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    defaults_of: str | None = None


_BY_HAND = "build a ts.Model by hand (examples/04_a_layer_of_your_own.py)"
FAMILIES: dict[str, Mapper] = {}
"""``model_type`` → mapping; a family that needs code instead of a row registers itself with ``@family``."""


def family(*model_types: str) -> Callable[[Mapper], Mapper]:
    """Register a mapping for some model types."""

    def register(mapper: Mapper) -> Mapper:
        FAMILIES.update(dict.fromkeys(model_types, mapper))
        return mapper

    return register


class _Families(Mapping[str, FamilyReader]):
    """Families by model type, loaded on first use. Rows are loaded first; the files of this folder are imported only for a type without a
    row.
    """

    def __getitem__(self, kind: str) -> FamilyReader:
        return _family_reader(kind)

    def __contains__(self, kind: object) -> bool:
        return kind in family_rows() or kind in _mappers()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*family_rows(), *_mappers()}))

    def __len__(self) -> int:
        return len(family_rows()) + len(_mappers())


@lru_cache(maxsize=1024)
def _family_reader(kind: str) -> FamilyReader:
    rows = family_rows()
    return _of_row(family_of(kind, rows)) if kind in rows else FamilyReader(_mappers()[kind])


@lru_cache(maxsize=1)
def _mappers() -> Mapping[str, Mapper]:
    """The families that the files of this folder register when they are imported."""
    package = importlib.import_module(__package__ or "")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return ReadOnlyDict(FAMILIES)


_ALL = _Families()


def families() -> Mapping[str, FamilyReader]:
    """Every mapped family: those of the rows in ``families/``, and those that the files of this folder register."""
    return _ALL


def _of_row(shape: FamilyShape) -> FamilyReader:
    return FamilyReader(shape.read, shape.keys, shape.defaults, shape.defaults_of)


def from_hf(
    config: str | Path | Mapping[str, Any] | Any,
    *,
    ignore: Sequence[str] = (),
    as_family: str | None = None,
    families_file: str | Path | None = None,
) -> Model:
    """A Model from a Hugging Face ``config.json``; nothing is downloaded.

    Args:
        config: path of a file (or of the folder that holds ``config.json``), a dict, or any object with ``to_dict()``. The ``params.json``
            of Meta and Mistral, DeepSeek's own inference config, the YAML of a model of Megatron-LM and NeMo, and torchtitan's flavours
            and model arguments (TOML, JSON, or the Python call) are read as well.
        ignore: keys to ignore although no mapping knows them.
        as_family: the family to read the config as, in place of its ``model_type``; the model's notes say so.
        families_file: a TOML file with families of the user's own, one table per ``model_type``.

    Returns:
        the model; ``model.notes`` lists the class defaults that were used.

    Raises:
        ConfigError: unreadable file, unknown ``model_type``, a missing size, a contradiction, or a key that may change the
            shape and is not mapped.

    >>> tiny = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2,
    ...         "num_attention_heads": 4, "vocab_size": 100}
    >>> from_hf(tiny).layers
    2
    """
    given, name = document(config)
    outer, known = as_config(given, name), _known(families_file)
    asked = _examined(outer, name, known, as_family)
    kind = as_family or asked.data.get("model_type")
    reader = _reader(kind, asked, known)
    try:
        model = with_encoder(topped(activated(reader.read(asked), asked), asked), asked)
    except ConfigError:
        raise
    except TrainsimError as error:
        raise recast(error, ConfigError, f"{asked.path}: {error.path}") from None
    asked.close(ignore)
    if model.mtp is not None:
        asked.note(f"{model.mtp.depth} multi-token-prediction modules: left out of totals unless mtp='unique' or 'released'")
    block = _quantisation(asked.data) or _quantisation(outer)
    towers, seen = towers_of(outer, name, model.hidden)
    notes = tuple(dict.fromkeys((*asked.notes, *seen)))
    return model.model_copy(update={"notes": notes, "quantization_block": block, "towers": (*model.towers, *towers)})


def _known(path: str | Path | None) -> Mapping[str, FamilyReader]:
    """The families of this library and those of a user's file."""
    if path is None:
        return families()
    rows = parse_toml(read_text(path, ConfigError, what="families"), Path(path).name, ConfigError)
    check_rows(rows, Path(path).name)
    return {**families(), **{kind: _of_row(family_of(kind, {**family_rows(), **rows})) for kind in rows}}


def _examined(outer: Mapping[str, Any], path: str, known: Mapping[str, FamilyReader], as_family: str | None) -> Config:
    """The config of the text model: the whole file, or a group of keys if the file wraps a text model."""
    if isinstance(unfit := outer.get("model_type"), str) and unfit in UNFIT and unfit not in known:
        raise _does_not_fit(f"{path}.model_type", unfit)
    data, where, note = enter(outer, path)
    kind = data.get("model_type")
    family_reader = known.get(as_family or (kind if isinstance(kind, str) else ""), FamilyReader(_unread))
    known_class = config_class(as_family or family_reader.defaults_of or kind, family_reader.defaults)
    asked = Config(data, where, known_class, nested="." in where.removeprefix(path), names=family_reader.names)
    if note:
        asked.note(note)
    if as_family is not None and as_family != kind:
        asked.note(f"read as {as_family} instead of {kind}, as requested")
    asked.causal = direction(asked)
    return asked


def _unread(c: Config) -> Model:
    raise ConfigError(c.path, c.data.get("model_type"), "is not a supported model_type", "give one that is supported", "unsupported")


def _reader(kind: Any, asked: Config, known: Mapping[str, FamilyReader]) -> FamilyReader:
    if isinstance(kind, str) and kind in known:
        return known[kind]
    where = f"{asked.path}.model_type"
    if isinstance(kind, str) and kind in UNFIT:
        raise _does_not_fit(where, kind)
    if kind is None and not SIZES & asked.data.keys():
        raise ConfigError(where, kind, "is missing, and so are all sizes of a model", "give the config.json of a model", "unknown-name")
    raise ConfigError(
        where,
        kind,
        "is missing" if kind is None else "is not a supported model_type",
        f"{nearest(asked.data, str(kind or ''), known)}; or {_BY_HAND}",
        "unknown-name",
    )


def _does_not_fit(where: str, kind: str) -> ConfigError:
    return ConfigError(
        where, kind, f"is not supported: {UNFIT[kind]}", f"{_BY_HAND}, or add a family (docs/adding-a-family.md)", "unsupported"
    )


def _quantisation(data: Mapping[str, Any]) -> int | None:
    """Side of the blocks of a quantised release; quantisation adds scales and changes no shape."""
    given = data.get("quantization_config")
    sides = given.get("weight_block_size") if isinstance(given, Mapping) else None
    return int(sides[0]) if isinstance(sides, Sequence) and len(sides) > 0 and isinstance(sides[0], int) else None
