"""Ledger: named parts in one unit that add up to a total, such as the lines of a cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from itertools import combinations
from typing import Any

import numpy as np

from .answer import Answer, AnswerRow, Summary, written
from .errors import LedgerError, PathError, did_you_mean
from .units import Num, half_last_digit, human


class Ledger(Answer):
    """Named parts that add up to a total.

    ``total = scale · Σ parts``. A multiplication changes only the scale; lines are multiplied when they are read.

    Args:
        unit: unit of every line, ``"FLOP/token"``.
        parts: name → number or sub-ledger, in order; numbers may be arrays of draws, shape ``(n,)``.
        scale: factor over all parts, number or array ``(n,)``.
        kind: kind of dollars: ``run`` (spent during a run), ``stock`` (bought once), or empty (either). ``run`` and ``stock`` can't be
            added, since rent already pays for the machines.

    Raises:
        LedgerError: a sub-ledger has another unit or kind, or a name contains a dot.

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
        checked: dict[str, Ledger | Num] = {}
        for name, part in parts.items():
            if "." in name:
                raise LedgerError(name, part, "a part's name may not contain a dot", "nest ledgers for levels", "invalid")
            nested = Ledger(unit, part) if isinstance(part, Mapping) else part
            if isinstance(nested, Ledger) and nested.unit != unit:
                raise LedgerError(name, nested.unit, f"is a part of a ledger in {unit}", "convert it first: .scaled(factor, unit)")
            if isinstance(nested, Ledger):
                kind = _common_kind(name, kind, nested.kind)
            checked[name] = nested
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "parts", checked)
        object.__setattr__(self, "scale", scale)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Ledger is immutable: can't set {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the fields without the cached total."""
        return Ledger._trusted, (self.unit, self.parts, self.scale, self.kind)

    @classmethod
    def _trusted(cls, unit: str, parts: Mapping[str, Ledger | Num], scale: Num = 1.0, kind: str = "") -> Ledger:
        """A ledger without validation of its parts, for speed."""
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
        """The sub-ledger at a dotted path. The path may skip levels, which are then summed over.

        Raises:
            PathError: the ledger has no such part.

        >>> flop = Ledger("FLOP", {"forward": {"moe": {"up": 1.0}}, "backward": {"moe": {"up": 2.0}}})
        >>> flop.part("moe.up").total
        3.0
        """
        found = self._find(path.split(".")) if path else self
        if found is None:
            raise PathError(path, path, f"is not a part of this ledger [{self.unit}]", did_you_mean(path, self._all_paths()))
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
        """Every leaf as ``(dotted path, value)``, scale included."""
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
    __array_ufunc__ = None  # makes array * ledger call __rmul__

    def __truediv__(self, divisor: Num) -> Ledger:
        return Ledger._trusted(self.unit, self.parts, self.scale / divisor, self.kind)

    def __neg__(self) -> Ledger:
        return self * -1.0

    def __add__(self, other: Ledger) -> Ledger:
        """Merge two ledgers; lines with the same path are added."""
        if not isinstance(other, Ledger):
            return NotImplemented
        if other.unit != self.unit:
            raise LedgerError("", other.unit, f"can't be added to {self.unit}", "convert one of them: .scaled(factor, unit)")
        kind = _common_kind("", self.kind, other.kind)
        if self.scale is other.scale or (np.ndim(self.scale) == np.ndim(other.scale) == 0 and self.scale == other.scale):
            return Ledger._trusted(self.unit, _merge(self, self.parts, other.parts), self.scale, kind)
        return Ledger._trusted(self.unit, _merge(self, self.expanded_parts(), other.expanded_parts()), 1.0, kind)

    def __sub__(self, other: Ledger) -> Ledger:
        return self + -other

    diff = __sub__

    def expanded_parts(self) -> dict[str, Ledger | Num]:
        """Top-level parts, each multiplied by the scale."""
        return {name: part * self.scale for name, part in self.parts.items()}

    def scaled(self, factor: Num, unit: str) -> Ledger:
        """Every line times a factor, in another unit: FLOP × s/FLOP → s.

        >>> Ledger("FLOP", {"up": 4.0}).scaled(0.5, "s").total
        2.0
        """
        made = Ledger._trusted(unit, LazyParts(partial(_with_unit, self.parts, unit)), self.scale * factor)
        made.__dict__["total"] = self.total * factor
        return made

    def of_kind(self, kind: str) -> Ledger:
        """The ledger marked with a kind of dollars; an empty kind changes nothing.

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
        made.__dict__.update(self.__dict__)  # the cached total is still valid
        return made

    def share(self) -> Ledger:
        """Each line as a fraction of the total."""
        return self.scaled(1.0 / np.asarray(self.total) if np.ndim(self.total) else 1.0 / self.total, "1")

    def nest(self, name: str) -> Ledger:
        """A new ledger whose only part is this one."""
        return Ledger._trusted(self.unit, {name: self}, 1.0, self.kind)

    def map(self, function: Callable[[Num], Num]) -> Ledger:
        """Apply a function to every line: ``.map(np.mean)``. The result adds up only if the function is linear."""
        parts = {n: (p * self.scale).map(function) if isinstance(p, Ledger) else function(p * self.scale) for n, p in self.parts.items()}
        return Ledger._trusted(self.unit, parts, 1.0, self.kind)

    def subsets(self, total: float, *, rounding: float | None = None) -> list[tuple[str, ...]]:
        """Every subset of the top-level parts whose sum rounds to a quoted total.

        Several subsets mean that the quoted total is ambiguous.

        Args:
            total: the quoted figure, in the ledger's unit.
            rounding: half the last quoted digit: ``0.05e9`` for "1.3B"; by default derived from ``total``.

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
        """Nested plain dict of the lines, scale included."""
        return {n: p.to_dict() if isinstance(p, Ledger) else p for n, p in self.expanded_parts().items()}

    # printing --------------------------------------------------------------------------------------------------

    def table(self, depth: int = 3) -> str:
        """Text table of the lines down to a depth, with totals and shares; draws are shown by their mean."""
        rows = [("total", self.total), *self._rows(depth, "  ")]
        whole = float(np.mean(self.total))
        width = max(len(label) for label, _ in rows)
        shown = []
        for label, value in rows:
            mean = float(np.mean(value))
            share = f"{mean / whole:7.1%}" if whole else ""
            figure = f"{written(mean, 'B'):>9}" if self.unit == "B" else f"{human(mean):>9} {self.unit}"
            shown.append(f"{label:<{width}}  {figure}{share:>9}".rstrip())
        return "\n".join(shown)

    def _rows(self, depth: int, indent: str) -> list[tuple[str, Num]]:
        rows: list[tuple[str, Num]] = []
        for name, part in self.expanded_parts().items():
            rows.append((indent + name, part.total if isinstance(part, Ledger) else part))
            if isinstance(part, Ledger) and depth > 1:
                rows += part._rows(depth - 1, indent + "  ")
        return rows

    def summary(self) -> Summary:
        """The total, the parts of the first level, and every line."""
        total = AnswerRow("total", "total", self.total, self.unit)
        parts = [AnswerRow(name, name, p.total if isinstance(p, Ledger) else p, self.unit) for name, p in self.expanded_parts().items()]
        lines = [
            AnswerRow(f"lines.{path}", path, value, self.unit, group="Every line") for path, value in self.lines() if path not in self.parts
        ]
        return Summary("", (total, *parts, *lines))

    def _text(self) -> str:
        return self.table()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger) or other.unit != self.unit:
            return NotImplemented if not isinstance(other, Ledger) else False
        mine, theirs = dict(self.lines()), dict(other.lines())
        return mine.keys() == theirs.keys() and all(np.array_equal(v, theirs[k], equal_nan=True) for k, v in mine.items())

    __hash__ = None  # type: ignore[assignment]


def _common_kind(name: str, kind: str, other: str) -> str:
    """The kind of the sum of two ledgers; different kinds can't be added."""
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


def _with_unit(parts: Mapping[str, Ledger | Num], unit: str) -> dict[str, Ledger | Num]:
    return {name: part.scaled(1.0, unit) if isinstance(part, Ledger) else part for name, part in parts.items()}


class LazyParts(Mapping[str, "Ledger | Num"]):
    """Parts that are computed when one of them is first read, since most callers need only the total.

    Args:
        make: computes the parts; a module-level function or a ``functools.partial`` of one, so that it can be pickled.
    """

    def __init__(self, make: Callable[[], Mapping[str, Ledger | Num]]) -> None:
        self._work = make

    @cached_property
    def _parts(self) -> Mapping[str, Ledger | Num]:
        return self._work()

    def __getitem__(self, name: str) -> Ledger | Num:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def lazy_ledger(unit: str, total: Num, make: Callable[[], Mapping[str, Ledger | Num]]) -> Ledger:
    """A ledger with a known total whose parts are computed on first use.

    >>> lazy_ledger("s", 3.0, lambda: {"compute": 2.0, "bubble": 1.0}).part("bubble").total
    1.0
    """
    ledger = Ledger._trusted(unit, LazyParts(make))
    ledger.__dict__["total"] = total
    return ledger


def ledger_from_lines(unit: str, lines: Mapping[tuple[str, ...], Num]) -> Ledger:
    """A ledger from lines keyed by their path.

    >>> ledger_from_lines("B", {("moe", "up"): 1.0, ("moe", "down"): 2.0}).part("moe").total
    3.0
    """
    root: dict[str, Any] = {}
    for path, value in lines.items():
        level = root
        for name in path[:-1]:
            level = level.setdefault(name, {})
        level[path[-1]] = value
    return _from_nested(unit, root)


def _from_nested(unit: str, level: Mapping[str, Any]) -> Ledger:
    return Ledger._trusted(unit, {n: _from_nested(unit, p) if isinstance(p, dict) else p for n, p in level.items()})
