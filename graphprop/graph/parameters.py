"""The one vector theta that holds every trainable number, and the named slices of it.

It reads what a user gives as weights (numbers, Parameters, None for an absent entry, nested) and hands out
positions. Which edge or bias a position serves is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphprop.atomic.steps import Steps, changed, take
from graphprop.errors import GraphpropError, NumberError
from graphprop.given.arrays import all_finite, real_array

Array = NDArray[Any]
ABSENT, NEW = -1, -2
_ONE = ((), (1,), (1, 1))
_FLOATS = {float, np.float64}
_FLOATS_OR_NONE = {*_FLOATS, type(None)}


class Parameter:
    """A named slice of `net.theta`, to be used wherever a weight or a bias may stand; every use shares it.

    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> f = net.parameter("f", [2.0, 4.0])
    >>> f[1].value, f.positions.tolist()
    (4.0, [0, 1])
    """

    __slots__ = ("_vector", "name", "positions")

    def __init__(self, vector: ParameterVector, name: Any, positions: Array) -> None:
        self._vector = vector
        self.name = name
        self.positions = positions
        positions.flags.writeable = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.positions.shape

    @property
    def value(self) -> Any:
        """The present number or array."""
        value = self._vector.values[self.positions]
        if value.ndim == 0:
            return float(value)
        value.flags.writeable = False
        return value

    def __getitem__(self, index: Any) -> Parameter:
        if not self.shape:
            raise GraphpropError(f"parameter {self.name!r} is one number; it has no entry {index!r}")
        try:
            return Parameter(self._vector, self.name, np.array(self.positions[index]))
        except Exception:  # numpy has many words for it
            raise GraphpropError(f"parameter {self.name!r} of shape {self.shape} has no entry {index!r}") from None

    __iter__ = None  # an entry is asked for by its index

    def belongs_to(self, vector: ParameterVector) -> bool:
        return self._vector is vector

    def is_number_of(self, vector: ParameterVector) -> bool:
        return self.belongs_to(vector) and self.positions.size == 1

    def __repr__(self) -> str:
        shape = f" of shape {self.shape}" if self.shape else ""
        return f"<parameter {self.name!r}{shape}>"


Weight: TypeAlias = "float | Parameter | NDArray[Any] | Sequence[Weight | None]"  # None where there is no entry


@dataclass(slots=True)
class Plan:
    """Weights that were read and found good, before theta grows.

    `positions` holds ABSENT, NEW or the position of a shared number; it is None if all are new.
    """

    values: Array
    positions: Array | None = None

    @property
    def present(self) -> Array:
        return np.ones(self.values.shape, dtype=bool) if self.positions is None else self.positions != ABSENT

    @property
    def is_empty(self) -> bool:
        return self.positions is not None and bool((self.positions == ABSENT).all())


def joined(plans: Sequence[Plan]) -> Plan:
    """The entries of all plans, one behind the other."""
    positions = None
    if any(plan.positions is not None for plan in plans):
        parts = [np.full(plan.values.shape, NEW) if plan.positions is None else plan.positions for plan in plans]
        positions = np.concatenate(parts, axis=None)
    return Plan(np.concatenate([plan.values for plan in plans], axis=None), positions)


class ParameterVector:
    """The flat vector, growing at its end; positions never move."""

    def __init__(self) -> None:
        self._buffer: Array = np.empty(16)
        self._trainable: Array = np.empty(16, dtype=bool)
        self._count = 0
        self._handed_out = False
        self.names: dict[Any, Array] = {}

    @classmethod
    def of(
        cls, values: Array, trainable: Array | bool = True, names: Mapping[Any, Array] = MappingProxyType({})
    ) -> Self:
        """A vector of these numbers, which are copied."""
        vector = cls()
        take(vector.extend(values, trainable)[1])
        vector.names.update(names)
        return vector

    def __len__(self) -> int:
        return self._count

    def copy(self) -> ParameterVector:
        other = ParameterVector()
        other.__setstate__(self.__getstate__())
        return other

    def __getstate__(self) -> dict[str, Any]:
        names = dict(self.names)  # first: what another thread adds meanwhile has no name yet
        own = dict(vars(self))
        count = own["_count"]
        return {"values": own["_buffer"][:count].copy(), "trainable": own["_trainable"][:count].copy(), "names": names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._buffer, self._trainable, self.names = state["values"], state["trainable"], state["names"]
        self._count, self._handed_out = len(self._buffer), False

    @property
    def values(self) -> Array:
        """The numbers, for the library's own use."""
        return self._buffer[: self._count]

    def views(self) -> tuple[Array, Array]:
        """Writable views of the numbers and of the mask of trainable ones; the next growth detaches them."""
        self._handed_out = True
        return self._buffer[: self._count], self._trainable[: self._count]

    def extend(self, values: Array, trainable: Array | bool = True) -> tuple[Array, Steps]:
        """The positions of new numbers behind the others, shaped like them, and the steps by which they are there."""
        start, count = self._count, self._count + values.size
        buffer, flags = self._buffer, self._trainable
        if count > len(buffer) or self._handed_out:
            capacity = len(buffer) if count <= len(buffer) else max(count, 2 * len(buffer))
            buffer, flags = _resized(buffer, start, capacity), _resized(flags, start, capacity)
        flags[start:count] = trainable
        steps = [changed(self, _buffer=buffer, _trainable=flags, _count=count, _handed_out=False)]
        if values.size == 1:
            buffer[start] = values.item()
            return np.array(start, ndmin=values.ndim), steps
        buffer[start:count] = values.reshape(-1)
        return np.arange(start, count).reshape(values.shape), steps

    def mark(self) -> tuple[int, int]:
        """What `shrink` goes back to: how many numbers and how many names there are."""
        return self._count, len(self.names)

    def shrink(self, mark: tuple[int, int]) -> Steps:
        """Forget the numbers and names that came after a mark; nothing may point to them any more."""
        return [changed(self, _count=mark[0], names=dict(list(self.names.items())[: mark[1]]))]

    def plan(self, given: Any, shape: tuple[int, ...], where: str, masks: bool = False) -> Plan:
        """Read weights or biases for entries of that shape, or say what is wrong; nothing is changed.

        `shape` is the full one; axes of length one may be left out in what is given.
        """
        if type(given) in _FLOATS and shape in _ONE and math.isfinite(given):  # by far the most common
            return Plan(np.array(given, ndmin=len(shape)))
        values, positions = self._read(given, where, depth=0)
        wanted, found = (tuple(n for n in axes if n != 1) for axes in (shape, positions.shape))
        if found != wanted:
            needed = f"{where} has shape {positions.shape}; it should have {wanted or '() (one number)'}"
            raise GraphpropError(needed + _about_size(shape, wanted, found))
        values, positions = values.reshape(shape), positions.reshape(shape)
        fresh = positions == NEW
        values = np.where(positions >= 0, self.values[np.maximum(positions, 0)], values) if len(self) else values
        good = np.isfinite(values) | (positions == ABSENT)
        if masks:
            good |= values == -np.inf
        if not good.all():
            bad = np.argwhere(~good)[0]
            number = values[tuple(bad)]
            entry = f" at {tuple(bad.tolist())}" if values.size > 1 else ""
            absent = "; an entry that is not there is given as None" if np.isnan(number) else ""
            raise NumberError(f"{where} is {number}{entry}; a finite number is needed{absent}")
        return Plan(values, None if fresh.all() else positions)

    def plan_numbers(self, given: Sequence[Any]) -> Plan | None:
        """Read weights of one number each, all at once; None if any of them has to be looked at by itself."""
        kinds = set(map(type, given))
        if kinds <= _FLOATS:
            plan = Plan(np.array(given, dtype=float))
        elif kinds <= {*_FLOATS, Parameter} and all(type(w) in _FLOATS or w.is_number_of(self) for w in given):
            positions = np.array([w.positions.item() if type(w) is Parameter else NEW for w in given])
            numbers = np.array([0.0 if type(w) is Parameter else w for w in given])
            plan = Plan(np.where(positions >= 0, self.values[np.maximum(positions, 0)], numbers), positions)
        else:
            return None
        return plan if all_finite(plan.values) else None

    def commit(self, plan: Plan, trainable: bool = True) -> tuple[Array, Steps]:
        """The final positions of a plan, and the steps by which theta grows by its new numbers."""
        if plan.positions is None:
            return self.extend(plan.values, trainable)
        fresh = plan.positions == NEW
        positions = plan.positions.copy()
        positions[fresh], steps = self.extend(plan.values[fresh], trainable)
        return positions, steps

    def _read(self, given: Any, where: str, depth: int) -> tuple[Array, Array]:
        if isinstance(given, Parameter):
            if not given.belongs_to(self):
                raise GraphpropError(f"{where}: {given!r} belongs to another network")
            return np.zeros(given.shape), given.positions
        if given is None:
            return np.array(0.0), np.array(ABSENT)
        if isinstance(given, np.ndarray) and given.dtype == object:
            given = given.tolist()
        if isinstance(given, list | tuple) and depth < 2 and set(map(type, given)) <= _FLOATS_OR_NONE:
            absent = np.array([x is None for x in given], dtype=bool)
            return np.where(absent, 0.0, np.array(given, dtype=float)), np.where(absent, ABSENT, NEW)
        if isinstance(given, list | tuple) and any(_is_special(x) for x in given):
            if depth == 2:
                raise GraphpropError(f"{where}: weights have at most two axes")
            parts = [self._read(x, where, depth + 1) for x in given]
            if len({positions.shape for _, positions in parts}) > 1:
                raise GraphpropError(f"{where}: the rows have different lengths")
            return np.stack([v for v, _ in parts]), np.stack([p for _, p in parts])
        values = real_array(given, where)
        return values, np.full(values.shape, NEW)

    def overwrite(self, positions: Array, given: Any, where: str, masks: bool = False) -> None:
        """Give entries that exist new numbers; nan or None stands for the absent ones."""
        present = positions != ABSENT
        try:
            given = _nan_as_none(given)
        except RecursionError:
            raise GraphpropError(f"{where}: the list is nested too deeply") from None
        plan = self.plan(given, positions.shape, where, masks)
        if plan.positions is not None and (plan.positions >= 0).any():
            raise GraphpropError(f"{where}: numbers are needed; a Parameter joins where the edge is made")
        if (plan.present != present).any():
            raise GraphpropError(f"{where}: every entry that exists needs a number, and the others nan or None")
        places, numbers = positions[present], plan.values[present]
        _, first, use = np.unique(places, return_index=True, return_inverse=True)
        if (numbers[first][use] != numbers).any():
            raise GraphpropError(f"{where}: entries that share a parameter were given different numbers")
        self.values[places] = numbers


def total(theta: Array, positions: Array) -> float:
    """The sum of the numbers at some positions, those that are there; with one number, that one to the last bit."""
    if positions.size == 1 and (position := positions.item()) != ABSENT:
        return float(theta[position])
    numbers = theta[positions[positions != ABSENT]].tolist()
    try:
        return math.fsum(numbers)
    except OverflowError:
        return float(sum(numbers))


def _about_size(shape: tuple[int, ...], wanted: tuple[int, ...], found: tuple[int, ...]) -> str:
    """A hint for numbers with more axes than their place has, which a node or an input made with size= may have."""
    if len(found) <= len(wanted):
        return ""
    if shape[0] == 1 and found[1:] == wanted and (wanted or len(shape) == 1):
        return f"; with size={found[0]} the node has {found[0]} components"
    return "; a node or an input of several components is made with size="


def _is_special(x: Any) -> bool:
    return x is None or isinstance(x, Parameter | list | tuple) or (isinstance(x, np.ndarray) and x.dtype == object)


def _resized(array: Array, count: int, capacity: int) -> Array:
    result = np.empty(capacity, dtype=array.dtype)
    result[:count] = array[:count]
    return result


def _nan_as_none(given: Any) -> Any:
    """The numbers with None in place of nan, as an absent entry is given."""
    if isinstance(given, list | tuple):
        return [_nan_as_none(x) for x in given]
    if isinstance(given, np.ndarray) and given.dtype.kind == "f":
        return np.where(np.isnan(given), None, given)  # type: ignore[call-overload]
    return None if isinstance(given, float) and given != given else given
