"""Ids of the catalogue's rows, by kind."""

from __future__ import annotations

from .rows import rows


def models() -> tuple[str, ...]:
    """Ids for ``catalog.model(…)``.

    >>> "deepseek-v3" in models()
    True
    """
    return tuple(rows("models"))


def clusters() -> tuple[str, ...]:
    """Ids for ``catalog.cluster(…)``.

    >>> "hgx-h100" in clusters()
    True
    """
    return tuple(rows("clusters"))


def chips() -> tuple[str, ...]:
    """Ids for ``catalog.chip(…)``.

    >>> "h100-sxm" in chips()
    True
    """
    return tuple(rows("chips"))


def stacks() -> tuple[str, ...]:
    """Ids for ``catalog.stack(…)`` and ``ts.Modelled(stack=…)``.

    >>> "mcore-hopper" in stacks()
    True
    """
    return tuple(rows("stacks"))


def runs() -> tuple[str, ...]:
    """Ids for ``catalog.run(…)``.

    >>> "deepseek-v3" in runs()
    True
    """
    return tuple(rows("runs"))
