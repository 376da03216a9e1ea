"""Forward passes of many copies of a network at once, each with a few numbers changed: for differences.

It knows the values of the activations only, never a derivative: in floats their stable forms, in complex numbers their
textbook formulas. With the recursion and the engine it shares these values, those of the losses, and the layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.checks.complex_numbers import COMPLEX, ComplexNumbers
from graphprop.errors import GraphpropError
from graphprop.functions.activation import Activation
from graphprop.functions.calling import Told, attempt
from graphprop.functions.loss import Loss, with_gaps
from graphprop.graph.layout import Array, Layout
from graphprop.passes.objective import Objective


def _none() -> Array:
    return np.empty(0, dtype=np.intp)


@dataclass
class Changes:
    """What the copies differ in: copy `of` gets `steps[of]` added at each place that is listed for it.

    A use of a weight, a pre-activation or an output may be changed; or all of theta along a direction: then copy c
    runs with theta + steps[c] * directions[direction_of[c]].
    """

    steps: Array
    use_of: Array = field(default_factory=_none)
    use: Array = field(default_factory=_none)
    row_of: Array = field(default_factory=_none)
    row: Array = field(default_factory=_none)
    column_of: Array = field(default_factory=_none)
    column: Array = field(default_factory=_none)
    directions: Array | None = None
    direction_of: Array = field(default_factory=_none)

    def __len__(self) -> int:
        return len(self.steps)


@dataclass
class Unit:
    """One node as arrays: its uses in the layout, and which row and column of its weight matrix each of them is."""

    v: int
    f: Activation
    uses: slice
    i: Array
    k: Array
    columns: Array  # of o, those that it reads
    bias_i: Array
    bias_position: Array


class Copies:
    """The forward rule of a network for copies with changes."""

    def __init__(self, layout: Layout, theta: Array, inputs: Array) -> None:
        self.layout, self.theta, self.inputs = layout, theta, inputs
        self.samples = len(inputs)
        self.units = list(units(layout))
        self.masked = bool(np.isinf(theta).any())

    def run(self, changes: Changes, complex_numbers: bool = False) -> tuple[Array, Array]:
        """All pre-activations and outputs, (copies, samples, ...). Copy 0 is expected to be without change."""
        layout, count = self.layout, len(changes)
        kind: Any = complex if complex_numbers else float
        a = np.zeros((count, self.samples, int(layout.a_start[-1])), kind)
        o = np.zeros((count, self.samples, int(layout.o_start[-1])), kind)
        o[:, :, layout.input_columns] = self.inputs
        own = _Sorted(changes, layout)
        for v, node in enumerate(layout.nodes):
            if node.is_input:
                own.add_columns(o, layout.o_slice(v))
        with np.errstate(all="ignore"):
            for unit in self.units:
                rows = layout.a_slice(unit.v)
                a[:, :, rows] = self._sums(unit, o, changes)
                own.add_uses(a, o, unit.uses)
                own.add_rows(a, rows)
                out = layout.o_slice(unit.v)
                function = formula_of if complex_numbers else values_of
                o[:, :, out] = function(unit.f, a[:, :, rows])
                own.add_columns(o, out)
        return a, o

    def crossed(self, a: Array) -> Array:
        """Whether a copy stands on another side of a kink, or has its components in another order, than copy 0."""
        rows, kinks, ranked = self._kinked
        side = a[:, :, rows] > kinks
        found: Array = (side != side[0]).any(axis=2)
        for span in ranked:
            own = a[:, :, span]
            for numbers in (own, np.abs(own)):
                order = np.argsort(numbers, axis=2, kind="stable")
                tied = np.diff(np.sort(numbers[:1], axis=2), axis=2) == 0
                found |= (order != order[0]).any(axis=2) | (tied.any(axis=2) & (own != own[0]).any(axis=2))
        return found

    @cached_property
    def _kinked(self) -> tuple[Array, Array, list[slice]]:
        """The pre-activations of elementwise functions that have kinks, these, and the nodes that have ties."""
        pairs: list[tuple[int, float]] = []
        ranked = []
        for unit in self.units:
            span = self.layout.a_slice(unit.v)
            if unit.f.kinks and unit.f.kind == "elementwise":
                pairs += [(row, kink) for row in range(span.start, span.stop) for kink in unit.f.kinks]
            elif unit.f.kinks:
                ranked.append(span)
        return np.array([r for r, _ in pairs], dtype=np.intp), np.array([k for _, k in pairs]), ranked

    def _sums(self, unit: Unit, o: Array, changes: Changes) -> Array:
        """a[v] of every copy, with theta as it is or along the directions."""
        n = int(self.layout.a_start[unit.v + 1] - self.layout.a_start[unit.v])
        position, columns = self.layout.position[unit.uses], unit.columns
        together = int(columns[-1]) - int(columns[0]) + 1 == len(columns)
        read = o[:, :, int(columns[0]) : int(columns[-1]) + 1] if together else o[:, :, columns]
        if self.masked:
            read = np.where(np.isinf(read), 0, read)  # the log of a masked component, which no weight reads
        matrix = np.zeros((n, len(unit.columns)))
        matrix[unit.i, unit.k] = self.theta[position]
        a = read @ matrix.T
        a[:, :, unit.bias_i] += self.theta[unit.bias_position]
        if changes.directions is not None:
            for d, direction in enumerate(changes.directions):
                copies = np.flatnonzero(changes.direction_of == d)
                steps = changes.steps[copies][:, None, None]
                matrix[unit.i, unit.k] = direction[position]
                a[copies] += steps * (read[copies] @ matrix.T)
                a[np.ix_(copies, np.arange(self.samples), unit.bias_i)] += steps * direction[unit.bias_position]
        return a


class _Sorted:
    """The changes by place, so that those of one node are found together."""

    def __init__(self, changes: Changes, layout: Layout) -> None:
        self.steps = changes.steps
        self.row_of_use, self.column_of_use = layout.row, layout.column
        self.use, self.use_of = _by_place(changes.use, changes.use_of)
        self.row, self.row_of = _by_place(changes.row, changes.row_of)
        self.column, self.column_of = _by_place(changes.column, changes.column_of)

    def add_uses(self, a: Array, o: Array, span: slice) -> None:
        use, of = _within(self.use, self.use_of, span)
        if len(use):
            added = self.steps[of][:, None] * o[of, :, self.column_of_use[use]]
            np.add.at(a, (of[:, None], np.arange(a.shape[1]), self.row_of_use[use][:, None]), added)

    def add_rows(self, a: Array, span: slice) -> None:
        _add(a, *_within(self.row, self.row_of, span), self.steps)

    def add_columns(self, o: Array, span: slice) -> None:
        _add(o, *_within(self.column, self.column_of, span), self.steps)


def _add(array: Array, place: Array, of: Array, steps: Array) -> None:
    if len(place):
        np.add.at(array, (of[:, None], np.arange(array.shape[1]), place[:, None]), steps[of][:, None])


def _by_place(place: Array, of: Array) -> tuple[Array, Array]:
    order = np.argsort(place, kind="stable")
    return place[order], of[order]


def _within(place: Array, of: Array, span: slice) -> tuple[Array, Array]:
    if not len(place):
        return place, of
    first, last = np.searchsorted(place, (span.start, span.stop))
    return place[first:last], of[first:last]


def units(layout: Layout) -> Iterator[Unit]:
    """The nodes that are no inputs, parents first; the uses of the weights into one node stand together."""
    for v in layout.order.tolist():
        f = layout.nodes[v].activation
        if f is None:
            continue
        uses, biases = layout.node_slice(v), layout.bias_slice(v)
        columns, k = np.unique(layout.column[uses], return_inverse=True)
        i = layout.row[uses] - layout.a_start[v]
        bias_i = layout.bias_row[biases] - layout.a_start[v]
        yield Unit(v, f, uses, i, k, columns, bias_i, layout.bias_position[biases])


# ------------------------------------------------------------------ activations


def values_of(f: Activation, a: Array) -> Array:
    """The outputs of a node in every copy; nan where a function cannot be computed. Equal ones are computed once."""
    if f.kind == "elementwise":
        return _elementwise(f, a)
    rows = a.reshape(len(a), -1)  # of one copy: all samples
    same = (rows == rows[0]).all(axis=1)
    same[0] = False
    told = a[~same].reshape(-1, a.shape[2])
    m = 1 if f.kind == "reducing" else a.shape[2]
    found = [x for row in told.tolist() for x in _outputs(f, row, m)]
    numbers = np.array(found).reshape(int((~same).sum()), a.shape[1], -1)
    o = np.empty((*a.shape[:2], numbers.shape[2]))
    o[~same] = numbers
    o[same] = numbers[0]
    return o


def _elementwise(f: Activation, a: Array) -> Array:
    """Only the components that differ from copy 0 are computed: of a wide node, copies change few."""
    other = a != a[0]
    other[0] = True
    flat = a[other].tolist()
    found = attempt(f.outputs, flat)
    if found is None:  # of one of them
        found = [x for entry in flat for x in _outputs(f, [entry], 1)]
    o = np.empty(a.shape)
    o[other] = found
    return np.where(other, o, o[0])


def _outputs(f: Activation, a: list[float], m: int) -> list[float]:
    o = attempt(f.outputs, a)
    return o if o is not None and len(o) == m else [math.nan] * m


def _not_for_complex_numbers(name: str) -> Callable[[Exception], GraphpropError]:
    return lambda error: GraphpropError(f"the formula of {name} is not for complex numbers: {error}")


def formula_of(f: Activation, a: Array) -> Array:
    """The outputs by the textbook formula, over complex numbers."""
    if f.formula is None:
        raise GraphpropError(f"activation {f.name!r} has no formula")
    if not np.isfinite(a).all():
        raise GraphpropError(f"a component of {f.name} is not finite")
    numbers = np.ascontiguousarray(a).view(ComplexNumbers)
    fixed = tuple(f.parameters.values())
    with Told(_not_for_complex_numbers(f.name)):
        if f.kind == "elementwise":
            found = [f.formula(COMPLEX, numbers, *fixed)]
        else:
            result = f.formula(COMPLEX, [numbers[..., i] for i in range(a.shape[-1])], *fixed)
            found = [result] if f.kind == "reducing" else list(result)
    if f.kind == "elementwise":
        o = np.broadcast_to(found[0], a.shape)
    else:
        o = np.stack([np.broadcast_to(x, a.shape[:-1]) for x in found], axis=-1)
    o = np.asarray(o, dtype=complex)
    if not np.isfinite(o).all():
        raise GraphpropError(f"the formula of {f.name} overflows")
    return o


# ------------------------------------------------------------------ the objective


def objective_terms(objective: Objective, z: Array) -> Array:
    """What every sample adds to the objective, in every copy; z are the columns that are read."""
    if not objective.losses:
        assert objective.seed is not None
        terms: Array = np.where(objective.seed != 0, objective.seed * z, 0).sum(axis=-1)
        return terms
    total = np.zeros(z.shape[:2], z.dtype)
    with np.errstate(all="ignore"):
        for own, place, targets, weight in objective.each_head():
            total += weight * _loss_terms(own.loss, z[..., place], targets)
    total *= objective.for_kernels()[1]
    return total


def losses_crossed(objective: Objective, z: Array) -> Array:
    """Whether a copy stands on another side of a kink of a loss than copy 0, for each sample."""
    found = np.zeros(z.shape[:2], bool)
    for own, place, targets, _ in objective.each_head():
        for kink in own.loss.kinks:
            side = z[..., place] - targets > kink
            found |= (side != side[0]).any(axis=2)
    return found


def _loss_terms(entry: Loss, z: Array, t: Array) -> Array:
    if z.dtype == float:
        return np.asarray(entry.value(z, np.broadcast_to(t, z.shape)), dtype=float)
    if entry.formula is None:
        raise GraphpropError(f"loss {entry.name!r} has no formula")
    columns = np.ascontiguousarray(np.moveaxis(z, -1, 0)).view(ComplexNumbers)  # (components, copies, samples)
    rows = [with_gaps(entry, row) for row in t.tolist()]
    with Told(_not_for_complex_numbers(f"loss {entry.name}")):
        terms = [entry.formula(COMPLEX, list(columns[:, :, s]), row) for s, row in enumerate(rows)]
    found = np.stack([np.broadcast_to(np.asarray(x), z.shape[:1]) for x in terms], axis=1)
    if not np.isfinite(found).all():
        raise GraphpropError(f"the formula of loss {entry.name} overflows")
    return found
