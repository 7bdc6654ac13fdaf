"""Find the works of the catalogue that a citation names."""

from __future__ import annotations

from ..core.citations import Reference
from .rows import sources


def references(text: str) -> tuple[Reference, ...]:
    """The works of the catalogue whose title occurs in a text.

    Args:
        text: the source of a figure, ``"DeepSeek-V3 Technical Report (2024-12-26, disclosed) [runs/deepseek-v3]"``.

    >>> [work.address for work in references("DeepSeek-V3 Technical Report (2024-12-26, disclosed)")]
    ['arXiv:2412.19437']
    """
    found = {key: fields for key, fields in sources().items() if fields.get("title") and fields["title"] in text}
    return tuple(
        Reference(key, fields["title"], fields.get("address", ""), str(fields.get("date", ""))[:4]) for key, fields in found.items()
    )
