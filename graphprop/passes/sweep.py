"""One pass over a network on arrays, by levels, with a choice of what happens at each node.

Which gradient, or which bound of an error, is computed in this way is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.functions.arithmetic import Floats
from graphprop.functions.calling import attempt
from graphprop.graph.layout import Array, Layout
from graphprop.notation.foreign import as_floats
from graphprop.passes.objective import Objective
from graphprop.passes.results import Trace

Step = Callable[[Any, Array], Array]


@dataclass(frozen=True, eq=False)
class Level:
    """Some nodes; the weight uses that lead into them, once in the order of their rows, once of their columns."""

    nodes: list[int]
    by_row: Array
    by_column: Array
    rows: Array  # where each row begins in by_row, and each column in by_column
    columns: Array


def levels_of(layout: Layout) -> list[Level]:
    """All levels but that of the inputs, lowest first."""
    level = layout.level
    use_level = level[layout.node_of_row[layout.row]]
    found = []
    for k in range(1, int(level.max(initial=0)) + 1):
        uses = np.flatnonzero(use_level == k)
        by_row = uses[np.argsort(layout.row[uses], kind="stable")]
        by_column = uses[np.argsort(layout.column[uses], kind="stable")]
        starts = (_starts(layout.row[by_row]), _starts(layout.column[by_column]))
        found.append(Level(np.flatnonzero(level == k).tolist(), by_row, by_column, *starts))
    return found


def _starts(ordered: Array) -> Array:
    return np.flatnonzero(np.diff(ordered, prepend=-1))


@dataclass(frozen=True, eq=False)
class Run:
    """A forward pass in floats, and the objective that is differentiated."""

    layout: Layout
    goal: Objective
    a: Array  # (samples, all pre-activations)
    o: Array
    theta: Array
    levels: list[Level]

    @classmethod
    def of(cls, trace: Trace, goal: Objective) -> Run:
        """The run of a trace, whose numbers may be of another kind, such as those of mpmath."""
        theta, a, o = map(as_floats, (trace.theta, trace.a_flat, trace.o_flat))
        if trace.numbers is not None:
            goal = goal.in_floats()
        return cls(trace.layout, goal, a, o, theta, levels_of(trace.layout))

    @property
    def w(self) -> Array:
        """The weight of each use."""
        return self.theta[self.layout.position]

    def direct(self, o: Array | None = None) -> Array:
        """The derivative of the objective with respect to each output, itself alone."""
        o = self.o if o is None else o
        result = np.zeros(o.shape)
        with np.errstate(all="ignore"):
            result[:, self.goal.columns] = self.goal.evaluate(o[:, self.goal.columns], Floats())[1]
        return result

    @cached_property
    def slopes(self) -> Array:
        """f'(a) of every pre-activation of an elementwise node; 0 of the others."""
        return self.slopes_at(self.a)

    def slopes_at(self, a: Array) -> Array:
        """The same, at other pre-activations; nan where they are not allowed."""
        result = np.zeros(a.shape)
        for v, node in enumerate(self.layout.nodes):
            if node.kind_of_function == "elementwise":
                span = self.layout.a_slice(v)
                result[:, span] = pulled(node.activation, a[:, span], np.ones((len(a), node.n)))
        return result

    def pull(self, v: int, g: Array) -> Array:
        """g L[v], for each sample."""
        node, span = self.layout.nodes[v], self.layout.a_slice(v)
        if node.kind_of_function == "elementwise":
            return g * self.slopes[:, span]
        return pulled(node.activation, self.a[:, span], g)

    def jacobians(self, v: int) -> Array:
        """L[v] for each sample, (samples, m, n)."""
        node = self.layout.nodes[v]
        units = np.eye(node.m)
        rows = [self.pull(v, np.tile(unit, (len(self.a), 1))) for unit in units]
        return np.stack(rows, axis=1)

    def forward(self, base: Array, step: Step, terms: Step, settle: Step | None = None) -> tuple[Array, Array]:
        """For each component base + the sum of `terms(uses, carried)`, and for each output `step(v, those of v)`.

        What `settle(v, those of v)` gives takes the place of the components of v.
        """
        on_a, on_o = base.copy(), np.zeros(self.o.shape)
        for level in self.levels:
            if len(level.by_row):
                carried = terms(level.by_row, on_o[:, self.layout.column[level.by_row]])
                on_a[:, self.layout.row[level.by_row[level.rows]]] += np.add.reduceat(carried, level.rows, axis=1)
            for v in level.nodes:
                rows = self.layout.a_slice(v)
                if settle is not None:
                    on_a[:, rows] = settle(v, on_a[:, rows])
                on_o[:, self.layout.o_slice(v)] = step(v, on_a[:, rows])
        return on_a, on_o

    def backward(self, base: Array, step: Step, terms: Step) -> tuple[Array, Array]:
        """For each output base + the sum of `terms(uses, carried)`, and for each component `step(v, those of v)`."""
        on_a, on_o = np.zeros(self.a.shape), base.copy()
        for level in reversed(self.levels):
            for v in level.nodes:
                on_a[:, self.layout.a_slice(v)] = step(v, on_o[:, self.layout.o_slice(v)])
            if len(level.by_column):
                carried = terms(level.by_column, on_a[:, self.layout.row[level.by_column]])
                columns = self.layout.column[level.by_column[level.columns]]
                on_o[:, columns] += np.add.reduceat(carried, level.columns, axis=1)
        return on_a, on_o


def pulled(f: Any, a: Array, g: Array) -> Array:
    """g L at each row of a, by the activation's own derivative; nan where it has none."""
    none = [np.nan] * a.shape[1]

    def pull(row: list[float], gi: list[float]) -> list[float]:
        found: list[float] = f.pull(row, f.outputs(row), gi)
        return found

    if f.kind == "elementwise" and (found := attempt(pull, a.ravel().tolist(), g.ravel().tolist())) is not None:
        return np.array(found, dtype=float).reshape(a.shape)
    rows = [attempt(pull, row, gi) or none for row, gi in zip(a.tolist(), g.tolist(), strict=True)]
    return np.array(rows, dtype=float).reshape(a.shape)
