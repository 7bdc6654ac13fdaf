"""The broadcast law for every function of numbers: an array of draws gives the results of its draws one by one."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.batch import Batch
from ..core.ledger import Ledger
from ..core.spec import Spec
from ..core.units import Num, Unit

Array = NDArray[np.float64]
DRAWS = 65_536
POSITIONS = 512
Range = tuple[float, float]


@dataclass(frozen=True)
class Function:
    """A function or method that takes numbers.

    Args:
        label: ``cluster.collectives.ring_all_gather``, ``cost.rental.Rental.rate``.
        call: the function, unbound.
        owner: the class of the first argument of a method; None for a plain function.
        hints: parameter → annotation, without the owner's; defaults: parameter → default.
        by_name: keyword-only parameters.
    """

    label: str
    call: Callable[..., Any]
    owner: type | None
    hints: Mapping[str, Any]
    defaults: Mapping[str, Any]
    by_name: frozenset[str]

    @property
    def carries_unit(self) -> bool:
        """Whether a parameter is a number with a unit, a draw or an array of draws; a function with such a parameter can't be exempted."""
        return any(_has_unit(hint) or _is_a_number(hint) for hint in self.hints.values())


class UnsampledError(LookupError):
    """An argument has no sample; add one to the samples."""


# functions to check ---------------------------------------------------------------------------------------------------


def modules(package: types.ModuleType, *, leave_out: Sequence[str] = ()) -> Iterator[types.ModuleType]:
    """Every module of a package, imported."""
    for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not any(name.startswith(f"{package.__name__}.{room}") for room in leave_out):
            yield importlib.import_module(name)


def numeric_functions(package: types.ModuleType, *, leave_out: Sequence[str] = ()) -> dict[str, Function]:
    """Every public function with a numeric parameter, and every public method of a class whose fields are numbers.

    A parameter is numeric if its annotation holds ``Num``, ``ArrayLike`` or a :class:`Unit`, or is a spec that holds numbers.
    Methods of specs count if they give a number or a ledger; inherited ones are listed for each final class.
    """
    found: dict[str, Function] = {}
    for module in modules(package, leave_out=leave_out):
        short = module.__name__.removeprefix(f"{package.__name__}.")
        for name, thing in list(vars(module).items()):
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(thing):
                made = _function(f"{short}.{name}", thing, None)
                if any(is_numeric(h) or _holds_numbers(h) for h in made.hints.values()):
                    found[made.label] = made
            elif inspect.isclass(thing) and not inspect.isabstract(thing):
                found |= {m.label: m for m in _methods(f"{short}.{name}", thing, package.__name__)}
    return found


def _methods(label: str, cls: type, package: str) -> Iterator[Function]:
    own_numbers = issubclass(cls, Spec) and _holds_numbers(cls)
    for name in dir(cls):
        holder = next((c for c in cls.__mro__ if name in vars(c)), object)
        if name.startswith("_") or not holder.__module__.startswith(package) or holder is Spec:
            continue
        member = vars(holder)[name]
        call = member.fget if isinstance(member, property) else getattr(member, "func", member)
        if not inspect.isfunction(call) or isinstance(member, (classmethod, staticmethod)):
            continue
        made = _function(f"{label}.{name}", call, cls)
        answer = _hints(call).get("return")
        answers = is_numeric(answer) or answer is Ledger or Ledger in typing.get_args(answer)
        if any(is_numeric(h) for h in made.hints.values()) or (own_numbers and answers):
            yield made


def _function(label: str, call: Callable[..., Any], owner: type | None) -> Function:
    parameters = list(inspect.signature(call).parameters.values())[1 if owner else 0 :]
    known = _hints(call)
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    hints = {p.name: known.get(p.name, Any) for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    by_name = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    return Function(label, call, owner, hints, defaults, by_name)


def _hints(call: Callable[..., Any]) -> dict[str, Any]:
    """Resolved annotations. Names that a module imports under TYPE_CHECKING only are looked up among all specs."""
    specs = {cls.__name__: cls for cls in _all_specs(Spec) if cls.__name__ not in call.__globals__}
    try:
        return typing.get_type_hints(call, localns=specs, include_extras=True)
    except NameError:
        return dict.fromkeys(getattr(call, "__annotations__", {}), Any)


def _all_specs(cls: type) -> Iterator[type]:
    child: type
    for child in cls.__subclasses__():
        yield child
        yield from _all_specs(child)


def is_numeric(hint: Any) -> bool:
    """Whether an annotation is a number that may be an array."""
    if hint in (Num, ArrayLike) or _has_unit(hint):
        return True
    if typing.get_origin(hint) in (Union, types.UnionType, typing.Annotated):
        return any(is_numeric(a) for a in typing.get_args(hint)) or _is_num_or_none(hint)
    return False


def _is_num_or_none(hint: Any) -> bool:
    return set(typing.get_args(Num)) <= set(typing.get_args(hint))


def _is_a_number(hint: Any) -> bool:
    """Whether an annotation is exactly ``Num`` or ``Num | None``."""
    return typing.get_origin(hint) in (Union, types.UnionType) and {*typing.get_args(hint)} - {type(None)} == {*typing.get_args(Num)}


def _has_unit(hint: Any) -> bool:
    marks = getattr(hint, "__metadata__", ())
    return any(isinstance(m, Unit) for m in marks) or any(_has_unit(a) for a in typing.get_args(hint))


@functools.lru_cache(maxsize=4096)
def _holds_numbers(hint: Any, depth: int = 0) -> bool:
    """Whether an annotation is a spec that has numbers, directly or in nested specs."""
    if inspect.isclass(hint) and issubclass(hint, Spec):
        fields = list(hint.model_fields.values())
        members = list(_all_specs(hint)) if inspect.isabstract(hint) else []
        return (
            any(any(isinstance(m, Unit) for m in f.metadata) or _has_unit(f.annotation) for f in fields)
            or (depth < 6 and any(_holds_numbers(a, depth + 1) for f in fields for a in (f.annotation, *typing.get_args(f.annotation))))
            or any(_holds_numbers(c, depth + 1) for c in members)
        )
    if typing.get_origin(hint) in (Union, types.UnionType):
        return any(_holds_numbers(a, depth + 1) for a in typing.get_args(hint))
    return False


# calls ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """Arguments to call functions with.

    Args:
        of: name of a class → an instance, or a function that returns one.
        ranges: name of a parameter → (low, high) of its draws; ``"function.parameter"`` takes precedence over ``"parameter"``.
        words: name of a non-numeric parameter → its value; keys as in ``ranges``.
        still: paths of numbers in specs that are not varied, for every function or for one: ``"training.memory.memory:phases.x.batch"``.
        fixed: families whose numbers are not drawn, such as the parameters of a distribution.
        spread: relative range in which the numbers of a spec are varied around the sample [1].
    """

    of: Mapping[str, Any]
    ranges: Mapping[str, Range]
    words: Mapping[str, Any]
    still: frozenset[str] = frozenset()
    fixed: tuple[type, ...] = ()
    spread: float = 0.2

    def lookup(self, table: Mapping[str, Any], function: str, name: str) -> Any:
        """The entry for a parameter of this function, else of any function."""
        short = function.rpartition(".")[2]
        return next((table[key] for key in (f"{function}.{name}", f"{short}.{name}", name) if key in table), None)

    def instance(self, hint: Any) -> Any:
        """A sample of a class: the given one, else one built from its fields."""
        name = getattr(hint, "__name__", str(hint))
        if name in self.of:
            made = self.of[name]
            return made() if inspect.isfunction(made) else made
        if inspect.isclass(hint) and inspect.isabstract(hint):
            finals = [c for c in _all_specs(hint) if not inspect.isabstract(c)] or [
                c for c in hint.__subclasses__() if not inspect.isabstract(c)
            ]
            if finals:
                return self.instance(finals[0])
        if inspect.isclass(hint) and (issubclass(hint, Spec) or dataclasses.is_dataclass(hint)):
            return self._built(hint)
        raise UnsampledError(f"no sample of {name}: add one")

    def _built(self, cls: Any) -> Any:
        if issubclass(cls, Spec):
            given = {n: self.argument(n, f.annotation, f.metadata) for n, f in cls.model_fields.items() if f.is_required()}
        else:
            hints = typing.get_type_hints(cls, include_extras=True)
            fields = [f for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING]
            given = {f.name: self.argument(f.name, hints[f.name], ()) for f in fields}
        return cls(**given)

    def argument(self, name: str, hint: Any, marks: Sequence[Any] = ()) -> Any:
        """A value for a field or parameter: the middle of its bounds, its first literal, or a sample of its class."""
        if getattr(hint, "__name__", "") in self.of:
            return self.instance(hint)
        unit = next((m for m in (*marks, *getattr(hint, "__metadata__", ())) if isinstance(m, Unit)), None)
        if unit is not None:
            low, high = unit.low, unit.high
            inner = (low + high) / 2 if np.isfinite(low + high) else low + 1.0 if np.isfinite(low) else high - 1.0
            return inner if np.isfinite(inner) else 1.0
        if is_numeric(hint) or hint is float:
            low, high = self.ranges.get(name, (0.5, 1.5))
            return (low + high) / 2
        if hint is int or int in typing.get_args(hint):
            return 2
        if typing.get_origin(hint) is Literal:
            return typing.get_args(hint)[0]
        return name if hint is str else self.instance(hint)


def draws_for(
    function: Function, samples: Samples, seed: int, n: int = DRAWS
) -> tuple[Callable[[Mapping[str, Any]], Any], dict[str, Array]]:
    """The function as a function of its numbers only, with other arguments fixed; and draws of those numbers.

    Numbers of specs among the arguments are addressed by path: ``cluster.chip.peak.bf16``.
    """
    fixed: dict[str, Any] = {}
    rng = np.random.default_rng(seed)
    draws: dict[str, Array] = {}
    hints = dict(function.hints) | ({"self": function.owner} if function.owner else {})
    for name, hint in hints.items():
        if is_numeric(hint):
            low, high = samples.lookup(samples.ranges, function.label, name) or (0.2, 0.9)
            draws[name] = _between(rng, low, high, n)
            continue
        word = samples.lookup(samples.words, function.label, name)
        if word is not None or name in samples.words:
            fixed[name] = word
        elif name != "self" and name in function.defaults and not _holds_numbers(hint):
            fixed[name] = function.defaults[name]
        else:
            fixed[name] = samples.argument(name, _plain(hint))
        if isinstance(fixed[name], Spec) and not isinstance(fixed[name], samples.fixed):
            draws |= {
                f"{name}.{p}": _around(rng, float(v), unit, samples, n)
                for p, (v, unit) in fixed[name].numbers().items()
                if p not in samples.still
            }

    def call(numbers: Mapping[str, Any]) -> Any:
        arguments = {}
        for name, value in fixed.items():
            own = {p.removeprefix(f"{name}."): v for p, v in numbers.items() if p.startswith(f"{name}.")}
            drawn = any(np.ndim(v) for v in own.values())
            arguments[name] = Batch(value, own).spec if drawn else value.replace(own) if own else value
        arguments |= {name: value for name, value in numbers.items() if name in hints}
        in_order = ["self", *function.hints] if function.owner else list(function.hints)
        positional = [arguments.pop(name) for name in in_order if name not in function.by_name]
        return function.call(*positional, **arguments)

    return call, draws


def _plain(hint: Any) -> Any:
    """The class in an annotation, without ``None`` and ``Annotated``."""
    if typing.get_origin(hint) is typing.Annotated:
        return _plain(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (Union, types.UnionType):
        return _plain(next(a for a in typing.get_args(hint) if a is not type(None)))
    return hint


def _between(rng: np.random.Generator, low: float, high: float, n: int) -> Array:
    if low > 0 and high / low > 10:
        return np.exp(rng.uniform(np.log(low), np.log(high), n))
    return rng.uniform(low, high, n)


def _around(rng: np.random.Generator, value: float, unit: Unit, samples: Samples, n: int) -> Array:
    """Draws near a value, inside its bounds."""
    step = samples.spread * (abs(value) or 1.0)
    low = max(value - step, (value + unit.low) / 2 if np.isfinite(unit.low) else -np.inf)
    high = min(value + step, (value + unit.high) / 2 if np.isfinite(unit.high) else np.inf)
    return rng.uniform(low, high, n)


# comparison ---------------------------------------------------------------------------------------


def flat(answer: Any, prefix: str = "") -> dict[str, Any]:
    """Every number in an answer, by name; the answer may nest ledgers, mappings, sequences, specs and dataclasses."""
    if isinstance(answer, (bool, str)) or answer is None or callable(answer):
        return {}
    if isinstance(answer, (int, float, np.number, np.ndarray)):
        return {prefix: answer}
    if isinstance(answer, Ledger):
        return {f"{prefix}.{path}": value for path, value in answer.lines()} | {f"{prefix}.total": answer.total}
    if isinstance(answer, Spec):
        return {f"{prefix}.{path}": value for path, (value, _) in answer.numbers().items()}
    if isinstance(answer, Mapping):
        return {k: v for name, part in answer.items() for k, v in flat(part, f"{prefix}.{name}").items()}
    if isinstance(answer, (tuple, list)):
        return {k: v for i, part in enumerate(answer) for k, v in flat(part, f"{prefix}.{i}").items()}
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return {k: v for f in dataclasses.fields(answer) for k, v in flat(getattr(answer, f.name), f"{prefix}.{f.name}").items()}
    return {}


def check_broadcast(
    function: Function, samples: Samples, *, seed: int = 0, n: int = DRAWS, positions: int = POSITIONS, rtol: float = 1e-12
) -> int:
    """Check that a function of arrays of draws gives the results of its draws one by one.

    Returns:
        the number of compared values.

    Raises:
        AssertionError: the results differ, or their shape is not that of the draws.
        UnsampledError: an argument has no sample.
    """
    call, draws = draws_for(function, samples, seed, n)
    assert draws, f"{function.label} has no numeric parameter"
    together = flat(call(draws))
    assert together, f"{function.label} returns no number"
    places = np.random.default_rng(seed + 1).choice(n, positions, replace=False)
    alone: dict[str, list[Any]] = {name: [] for name in together}
    for place in places:
        single = flat(call({name: float(values[place]) for name, values in draws.items()}))
        assert single.keys() == together.keys(), f"{function.label} gives other numbers for an array"
        for name, value in single.items():
            alone[name].append(np.asarray(value, dtype=np.float64))
    for name, values in alone.items():
        whole, each = np.asarray(together[name]), np.stack(values)
        if n in whole.shape:
            whole = np.moveaxis(whole, whole.shape.index(n), 0)[places]
        # a result without an axis of draws is a constant, equal for all draws
        drawn = whole if whole.shape[:1] == (positions,) else np.broadcast_to(whole, each.shape)
        np.testing.assert_allclose(each.reshape(positions, -1), drawn.reshape(positions, -1), rtol, err_msg=f"{function.label}{name}")
    return positions * len(together)
