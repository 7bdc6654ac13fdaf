"""``config.json`` → Model, one small mapping per family."""

from .reader import from_hf as from_hf
