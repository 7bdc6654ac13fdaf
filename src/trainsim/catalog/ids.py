"""Ids of the catalogue's rows, by kind."""

from __future__ import annotations

from .rows import rows


def models() -> tuple[str, ...]:
    """Ids of the catalogue's models, for ``catalog.model(…)``.

    Returns:
        the ids, in the order of the file.

    >>> "deepseek-v3" in models()
    True
    """
    return tuple(rows("models"))


def clusters() -> tuple[str, ...]:
    """Ids of the catalogue's clusters, for ``catalog.cluster(…)``.

    Returns:
        the ids, in the order of the file.

    >>> "hgx-h100" in clusters()
    True
    """
    return tuple(rows("clusters"))


def chips() -> tuple[str, ...]:
    """Ids of the catalogue's chips, for ``catalog.chip(…)``.

    Returns:
        the ids, in the order of the file.

    >>> "h100-sxm" in chips()
    True
    """
    return tuple(rows("chips"))


def stacks() -> tuple[str, ...]:
    """Ids of the catalogue's stacks, for ``catalog.stack(…)`` and ``ts.Modelled(stack=…)``.

    Returns:
        the ids, in the order of the file.

    >>> "mcore-hopper" in stacks()
    True
    """
    return tuple(rows("stacks"))


def runs() -> tuple[str, ...]:
    """Ids of the catalogue's runs, for ``catalog.run(…)``.

    Returns:
        the ids, in the order of the file.

    >>> "deepseek-v3" in runs()
    True
    """
    return tuple(rows("runs"))
