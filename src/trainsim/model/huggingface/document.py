"""The keys of a config from a path, a dict or a config object, with one clear error for anything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ...core.reading import parse_json, parse_toml, read_text
from ...core.values import Rules, plain
from .foreign import refuse_by_start
from .torchtitan import called_with

_YAML_BYTES = 2**18
"""Largest size of a YAML file that describes a model [B]; the parser is slow."""
_JSON_BYTES = 2**22
"""Largest size of a config.json [B]; configs with a list of quantised modules have a hundredth of this size."""
_START = 2**16
"""Bytes that are read from the start of a longer file to recognise its kind [B]."""
_KEYS = 2_000
"""Largest number of keys of a config; the longest of the transformers classes have two hundred."""
_RULES = Rules(infinite=True, controls=True)
"""Rules for values of a config. Infinite numbers are accepted, since some keys that no mapping reads (time limits, special tokens) have
such values."""


def document(config: Any) -> tuple[dict[str, Any], str]:
    """The keys of a config, and its name in errors.

    Args:
        config: a path of a file or of the folder that holds ``config.json``, a dict, or any object with ``to_dict()``.

    Raises:
        ConfigError: not a config, a file that can't be read, or JSON that is cut short, contradicts itself, is nested too deep or is
            too long.
    """
    if isinstance(config, (str, Path)):
        path = _path(config)
        _refuse_binary(path)
        if path.suffix.lower() in (".yaml", ".yml"):
            return _yaml(path), path.name
        text = read_text(path, ConfigError, what=path.name[:80], max_bytes=_JSON_BYTES)
        data, name = _PARSERS.get(path.suffix.lower(), _json)(text, path.name), path.name
    else:
        data, name = plain(_keys(config), "config", ConfigError, _RULES), "config"
    if not isinstance(data, Mapping):
        raise ConfigError(name, type(data).__name__, "does not contain a JSON object", "give a config.json", "wrong-type")
    if len(data) > _KEYS:
        raise ConfigError(name, len(data), f"is the number of keys, above {_KEYS:,}", "give a model's config.json", "out-of-bounds")
    return dict(data), name


_TENSORS = "is a file of tensors"
_BINARY = (
    (b"GGUF", "is a GGUF file of weights", "give the config.json of the model it was made from"),
    (b"PK\x03\x04", "is a PyTorch checkpoint, or another archive", "give the config.json that lies beside it"),
    (b"\x80\x02", "is a PyTorch checkpoint of the old format", "give the config.json that lies beside it"),
    (b"\x89HDF", "is an HDF5 file of weights", "give the config.json that lies beside it"),
    (b"\x1f\x8b", "is compressed", "unpack it first"),
    (b"version https://git-lfs", "is a pointer to a file that Git LFS did not fetch", "run git lfs pull"),
    (b"<", "is a page of HTML or XML", "download the file itself"),
)


def _refuse_binary(path: Path) -> None:
    """Refuse files of weights, and long files of other kinds, by their kind; ``read_text`` refuses other files that can't be read."""
    if path.suffix == ".safetensors":
        raise ConfigError(path.name, None, _TENSORS, "give config.json; ts.explain_release(model, path) reads it", "unsupported")
    try:
        if not path.is_file():  # reading a pipe could wait for ever
            return
        with path.open("rb") as file:
            start = file.read(_START)
    except (OSError, ValueError):
        return
    if start[8:10] == b'{"':
        raise ConfigError(path.name, None, _TENSORS, "give config.json; ts.explain_release(model, path) reads it", "unsupported")
    for mark, what, remedy in _BINARY:
        if start.startswith(mark):
            raise ConfigError(path.name, None, what, remedy, "unsupported")
    if len(start) == _START:
        refuse_by_start(start.decode(errors="replace"), path.name)


def _json(text: str, name: str) -> Any:
    return parse_json(text, name, ConfigError, _RULES)


def _toml(text: str, name: str) -> Any:
    return parse_toml(text, name, ConfigError)


_PARSERS: dict[str, Callable[[str, str], Any]] = {".toml": _toml, ".py": called_with}
"""Ending of a file → its parser; JSON for all others."""


def _yaml(path: Path) -> dict[str, Any]:
    """The keys of a YAML file, read without its tags."""
    try:
        import yaml
    except ImportError:
        raise ConfigError(path.name, None, "needs PyYAML", "pip install pyyaml", "not-installed") from None
    text = read_text(path, ConfigError, what=path.name[:80], max_bytes=_YAML_BYTES)
    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both are safe loaders)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        first = " ".join(str(error).split())[:200]
        raise ConfigError(path.name, None, f"invalid YAML ({first})", "restore the file; it may be cut short", "syntax") from None
    if not isinstance(data, Mapping):
        raise ConfigError(path.name, type(data).__name__, "is not a YAML mapping", "give a model's YAML", "wrong-type")
    return dict(plain(data, path.name, ConfigError, _RULES))


def _path(given: str | Path) -> Path:
    try:
        return Path(given) / "config.json" if Path(given).is_dir() else Path(given)
    except (OSError, ValueError):  # not a valid file name: read_text raises the error
        return Path(given)


def _keys(config: Any) -> Any:
    if isinstance(config, type):
        raise ConfigError("config", config.__name__, "is a class", "give an instance of it, with its sizes", "wrong-type")
    if hasattr(config, "to_dict"):
        return config.to_dict()
    if not isinstance(config, Mapping):
        rule = "is neither a path, nor a dict, nor an object with to_dict()"
        raise ConfigError("config", config, rule, "give one of these", "wrong-type")
    return config
