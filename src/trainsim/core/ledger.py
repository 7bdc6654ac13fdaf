"""Ledger: named parts that add up, in one unit; the answer at every stop of the journey."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from itertools import combinations
from typing import Any

import numpy as np

from .errors import LedgerError, PathError, did_you_mean
from .units import Num, half_last_digit, human

Part = Num
"""A leaf of a ledger."""


class Ledger:
    """Named parts that add up to a total.

    ``total = scale · Σ parts``. Multiplying touches only the scale; lines are multiplied out when they are read.

    Args:
        unit: unit of every line, ``"FLOP/token"``.
        parts: name → number or sub-ledger, in order; numbers may be arrays of draws, shape ``(n,)``.
        scale: factor over all parts, number or array ``(n,)``.
        kind: of dollars: ``run``, a run's own flow, or ``stock``, bought once; empty where the kind doesn't matter. Kinds don't add:
            a rent already pays for the machines.

    Raises:
        LedgerError: a sub-ledger in another unit or of another kind, or a name that holds a dot.

    >>> bill = Ledger("USD", {"rent": {"pretrain": 5.0, "extend": 1.0}, "power": 2.0}) * 2
    >>> bill.total, bill.part("rent.pretrain").total, bill.part("pretrain").total
    (16.0, 10.0, 10.0)
    """

    __slots__ = ("__dict__", "kind", "parts", "scale", "unit")

    kind: str
    unit: str
    parts: Mapping[str, Ledger | Num]
    scale: Num

    def __init__(self, unit: str, parts: Mapping[str, Any], scale: Num = 1.0, kind: str = "") -> None:
        kept: dict[str, Ledger | Num] = {}
        for name, part in parts.items():
            if "." in name:
                raise LedgerError(name, part, "a part's name may not hold a dot", "nest ledgers for levels", "invalid")
            grown = Ledger(unit, part) if isinstance(part, Mapping) else part
            if isinstance(grown, Ledger) and grown.unit != unit:
                raise LedgerError(name, grown.unit, f"is a part of a ledger in {unit}", "convert it first: .scaled(factor, unit)")
            if isinstance(grown, Ledger):
                kind = _alike(name, kind, grown.kind)
            kept[name] = grown
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "parts", kept)
        object.__setattr__(self, "scale", scale)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Ledger never changes: {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to other processes as what it was made of."""
        return Ledger._trusted, (self.unit, self.parts, self.scale, self.kind)

    @classmethod
    def _trusted(cls, unit: str, parts: Mapping[str, Ledger | Num], scale: Num = 1.0, kind: str = "") -> Ledger:
        """A ledger from parts already known to be right: the hot path."""
        self = object.__new__(cls)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "scale", scale)
        return self

    # reading ---------------------------------------------------------------------------------------------------

    @cached_property
    def total(self) -> Num:
        """Sum of all lines, in the ledger's unit."""
        return self.scale * sum(p.total if isinstance(p, Ledger) else p for p in self.parts.values())

    def part(self, path: str) -> Ledger:
        """The sub-ledger at a dotted path; a level left out is summed over.

        Raises:
            PathError: no line of that name, with the nearest ones.

        >>> flop = Ledger("FLOP", {"forward": {"moe": {"up": 1.0}}, "backward": {"moe": {"up": 2.0}}})
        >>> flop.part("moe.up").total
        3.0
        """
        found = self._find(path.split(".")) if path else self
        if found is None:
            raise PathError(path, path, f"is no part of this ledger [{self.unit}]", did_you_mean(path, self._all_paths()))
        return found

    def _find(self, names: list[str]) -> Ledger | None:
        if not names:
            return self
        here = self.parts.get(names[0])
        if isinstance(here, Ledger):
            found = here._find(names[1:])
            return None if found is None else (found * self.scale).of_kind(self.kind)
        if here is not None:
            return None if len(names) > 1 else Ledger._trusted(self.unit, {names[0]: here}, self.scale, self.kind)
        deeper = [found for p in self.parts.values() if isinstance(p, Ledger) and (found := p._find(names)) is not None]
        if not deeper:
            return None
        merged = deeper[0]
        for other in deeper[1:]:
            merged = merged + other
        return (merged * self.scale).of_kind(self.kind)

    def lines(self) -> Iterator[tuple[str, Num]]:
        """Every leaf as ``(dotted path, value)``, multiplied out."""
        yield from self._lines("", 1.0)

    def _lines(self, prefix: str, factor: Num) -> Iterator[tuple[str, Num]]:
        scale = self.scale * factor
        for name, part in self.parts.items():
            if isinstance(part, Ledger):
                yield from part._lines(f"{prefix}{name}.", scale)
            else:
                yield f"{prefix}{name}", part * scale

    def _all_paths(self) -> list[str]:
        paths: list[str] = []
        for name, part in self.parts.items():
            paths.append(name)
            if isinstance(part, Ledger):
                paths += [f"{name}.{deeper}" for deeper in part._all_paths()]
        return paths

    def __contains__(self, path: str) -> bool:
        return self._find(path.split(".")) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    # arithmetic ------------------------------------------------------------------------------------------------

    def __mul__(self, factor: Num) -> Ledger:
        return Ledger._trusted(self.unit, self.parts, self.scale * factor, self.kind)

    __rmul__ = __mul__
    __array_ufunc__ = None  # so that array * ledger reaches __rmul__

    def __truediv__(self, divisor: Num) -> Ledger:
        return Ledger._trusted(self.unit, self.parts, self.scale / divisor, self.kind)

    def __neg__(self) -> Ledger:
        return self * -1.0

    def __add__(self, other: Ledger) -> Ledger:
        """Merge two trees; lines of the same path add."""
        if not isinstance(other, Ledger):
            return NotImplemented
        if other.unit != self.unit:
            raise LedgerError("", other.unit, f"can't be added to {self.unit}", "convert one of them: .scaled(factor, unit)")
        kind = _alike("", self.kind, other.kind)
        if self.scale is other.scale or (np.ndim(self.scale) == np.ndim(other.scale) == 0 and self.scale == other.scale):
            return Ledger._trusted(self.unit, _merge(self, self.parts, other.parts), self.scale, kind)
        return Ledger._trusted(self.unit, _merge(self, self._out(), other._out()), 1.0, kind)

    def __sub__(self, other: Ledger) -> Ledger:
        return self + -other

    diff = __sub__

    def _out(self) -> dict[str, Ledger | Num]:
        """The parts with the scale multiplied in, one level."""
        return {name: part * self.scale for name, part in self.parts.items()}

    def scaled(self, factor: Num, unit: str) -> Ledger:
        """The same lines times a factor, in another unit: FLOP × s/FLOP → s.

        >>> Ledger("FLOP", {"up": 4.0}).scaled(0.5, "s").total
        2.0
        """
        made = Ledger._trusted(unit, Unread(partial(_renamed, self.parts, unit)), self.scale * factor)
        made.__dict__["total"] = self.total * factor
        return made

    def of_kind(self, kind: str) -> Ledger:
        """The same lines as dollars of a kind; an empty one leaves them as they are.

        Args:
            kind: ``run`` or ``stock``, as for :class:`Ledger`.

        >>> rent, machines = Ledger("USD", {"rent": 6e6}).of_kind("run"), Ledger("USD", {"H800": 3e8}).of_kind("stock")
        >>> rent + machines
        Traceback (most recent call last):
            ...
        trainsim.core.errors.LedgerError: kind='stock': can't be added to 'run': ...
        """
        if kind in ("", self.kind):
            return self
        made = Ledger._trusted(self.unit, self.parts, self.scale, kind)
        made.__dict__.update(self.__dict__)  # a total that is known
        return made

    def share(self) -> Ledger:
        """Each line as a fraction of the total."""
        return self.scaled(1.0 / np.asarray(self.total) if np.ndim(self.total) else 1.0 / self.total, "1")

    def nest(self, name: str) -> Ledger:
        """The ledger as the one part of a new level."""
        return Ledger._trusted(self.unit, {name: self}, 1.0, self.kind)

    def map(self, function: Callable[[Num], Num]) -> Ledger:
        """Every line put through a function: ``.map(np.mean)``. The result adds up only if the function is linear."""
        parts = {n: (p * self.scale).map(function) if isinstance(p, Ledger) else function(p * self.scale) for n, p in self.parts.items()}
        return Ledger._trusted(self.unit, parts, 1.0, self.kind)

    def subsets(self, total: float, *, rounding: float | None = None) -> list[tuple[str, ...]]:
        """Every subset of the top level's parts whose sum rounds to a quoted total; several mean that the total has several readings.

        Args:
            total: the quoted figure, in the ledger's unit.
            rounding: half the last digit quoted: ``0.05e9`` for "1.3B"; read off the figure where None.

        >>> Ledger("USD", {"a": 1.0, "b": 2.0, "c": 3.2}).subsets(3.0, rounding=0.1)
        [('a', 'b')]
        >>> Ledger("USD", {"a": 1.0, "b": 2.0, "c": 3.2}).subsets(3.0)
        [('c',), ('a', 'b')]
        """
        rounding = half_last_digit(total) if rounding is None else rounding
        values = {n: float(np.asarray((p * self.scale).total if isinstance(p, Ledger) else p * self.scale)) for n, p in self.parts.items()}
        sizes = range(1, len(values) + 1)
        return [names for k in sizes for names in combinations(values, k) if abs(sum(values[n] for n in names) - total) <= rounding]

    def to_dict(self) -> dict[str, Any]:
        """Nested plain dict of multiplied-out lines."""
        return {n: p.to_dict() if isinstance(p, Ledger) else p for n, p in self._out().items()}

    # showing ---------------------------------------------------------------------------------------------------

    def table(self, depth: int = 3) -> str:
        """Lines down to a depth, with totals and shares; draws are shown by their mean."""
        rows = [("total", self.total), *self._rows(depth, "  ")]
        whole = float(np.mean(self.total))
        width = max(len(label) for label, _ in rows)
        shown = []
        for label, value in rows:
            mean = float(np.mean(value))
            share = f"{mean / whole:7.1%}" if whole else ""
            shown.append(f"{label:<{width}}  {human(mean):>9} {self.unit}{share:>9}".rstrip())
        return "\n".join(shown)

    def _rows(self, depth: int, indent: str) -> list[tuple[str, Num]]:
        rows: list[tuple[str, Num]] = []
        for name, part in self._out().items():
            rows.append((indent + name, part.total if isinstance(part, Ledger) else part))
            if isinstance(part, Ledger) and depth > 1:
                rows += part._rows(depth - 1, indent + "  ")
        return rows

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"Ledger({human(float(np.mean(self.total)))} {self.unit}: {', '.join(self.parts)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger) or other.unit != self.unit:
            return NotImplemented if not isinstance(other, Ledger) else False
        mine, theirs = dict(self.lines()), dict(other.lines())
        return mine.keys() == theirs.keys() and all(np.array_equal(v, theirs[k], equal_nan=True) for k, v in mine.items())

    __hash__ = None  # type: ignore[assignment]


def _alike(name: str, kind: str, other: str) -> str:
    """The one kind that two ledgers have; dollars of two kinds are no sum."""
    if kind and other and kind != other:
        rule = f"can't be added to {kind!r}: rent already pays for the machines, a purchase for all hours of their life"
        raise LedgerError(f"{name}.kind" if name else "kind", other, rule, "count one of them, or price the run with ts.Ownership(…)")
    return kind or other


def _merge(owner: Ledger, left: Mapping[str, Ledger | Num], right: Mapping[str, Ledger | Num]) -> dict[str, Ledger | Num]:
    merged = dict(left)
    for name, part in right.items():
        if name not in merged:
            merged[name] = part
            continue
        mine = merged[name]
        if isinstance(mine, Ledger) is not isinstance(part, Ledger):
            raise LedgerError(
                name, owner.unit, "is a line in one ledger and a group of lines in the other", "give one of them another name"
            )
        merged[name] = mine + part  # type: ignore[operator]
    return merged


def _renamed(parts: Mapping[str, Ledger | Num], unit: str) -> dict[str, Ledger | Num]:
    return {name: part.scaled(1.0, unit) if isinstance(part, Ledger) else part for name, part in parts.items()}


class Unread(Mapping[str, "Ledger | Num"]):
    """Parts that are worked out when one is first read: most callers want the total only.

    Args:
        work: gives the parts; a plain function or a ``functools.partial`` of one, so that the ledger can travel between processes.
    """

    def __init__(self, work: Callable[[], Mapping[str, Ledger | Num]]) -> None:
        self._work = work

    @cached_property
    def _parts(self) -> Mapping[str, Ledger | Num]:
        return self._work()

    def __getitem__(self, name: str) -> Ledger | Num:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _lazy_ledger(unit: str, total: Num, work: Callable[[], Mapping[str, Ledger | Num]]) -> Ledger:
    """A ledger whose total is known before its parts are worked out.

    >>> _lazy_ledger("s", 3.0, lambda: {"compute": 2.0, "bubble": 1.0}).part("bubble").total
    1.0
    """
    ledger = Ledger._trusted(unit, Unread(work))
    ledger.__dict__["total"] = total
    return ledger


def tree(unit: str, lines: Mapping[tuple[str, ...], Num]) -> Ledger:
    """A ledger from flat lines keyed by their path.

    >>> tree("B", {("moe", "up"): 1.0, ("moe", "down"): 2.0}).part("moe").total
    3.0
    """
    root: dict[str, Any] = {}
    for path, value in lines.items():
        level = root
        for name in path[:-1]:
            level = level.setdefault(name, {})
        level[path[-1]] = value
    return _grow(unit, root)


def _grow(unit: str, level: Mapping[str, Any]) -> Ledger:
    return Ledger._trusted(unit, {n: _grow(unit, p) if isinstance(p, dict) else p for n, p in level.items()})
