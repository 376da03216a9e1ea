"""Activations in Python: what the loops refuse, one node of one tile, or elementwise ones side by side.

The arrays are those of a part of a batch, (tiles, rows or columns, width), as the loops read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from graphprop.engine.schedule import Schedule
from graphprop.engine.tiles import Cut
from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats
from graphprop.functions.calling import Told
from graphprop.given.arrays import all_finite
from graphprop.graph.layout import Array
from graphprop.passes.finiteness import (
    check_a,
    check_o,
    derivative_error,
    node_in,
    outputs_of_node,
    pull_of_node,
    value_error,
)

FLOATS = Floats()


@dataclass(eq=False, slots=True)
class InPython:
    """The activations of a batch, called a sample at a time; nodes are told by their numbers in the schedule."""

    schedule: Schedule
    theta: Array
    cut: Cut
    warned: Any = field(default_factory=np.geterr)  # what the caller wants to hear of numpy

    def _nodes(self, first: int, last: int, number: int, tile: int) -> tuple[slice, slice, int]:
        """Their rows and columns, and how many samples a tile has; others pad it."""
        schedule, part = self.schedule, self.cut.parts[number]
        rows = slice(int(schedule.row_first[first]), int(schedule.row_first[last]))
        columns = slice(int(schedule.column_first[first]), int(schedule.column_first[last]))
        width = self.cut.shape(part)[1]
        return rows, columns, min(width, part.stop - part.start - tile * width)

    def node_of(self, column: int) -> int:
        return int(np.searchsorted(self.schedule.column_first, column, side="right")) - 1

    def sample(self, number: int, tile: int, k: int) -> int | None:
        """The number of a sample of a tile, for errors; None if it is the only one."""
        part = self.cut.parts[number]
        return part.start + tile * self.cut.shape(part)[1] + k if self.cut.parts[-1].stop > 1 else None

    def values(self, first: int, last: int, number: int, tile: int, every_a: Array, every_o: Array) -> None:
        """Their o, of their a; an error where they cannot be computed."""
        rows, columns, samples = self._nodes(first, last, number, tile)
        f, a, o = self.schedule.kinds[self.schedule.kind[first]], every_a[tile, rows], every_o[tile, columns]
        numbers = (
            self._each(first, last, number, tile, f.value_function, a[:, :samples]) if self._are_plain(f, a) else None
        )
        if numbers is not None and all_finite(numbers):
            o[:, :samples] = numbers
        else:  # the node that is to blame is told
            for node in range(first, last):
                own, those, _ = self._nodes(node, node + 1, number, tile)
                outputs = self.outputs(node, every_a[tile, own, :samples].T, number, tile)
                every_o[tile, those, :samples] = np.array(outputs).T
        if not f.masks and not all_finite(o[:, :samples]):
            bad = int(np.argwhere(~np.isfinite(o[:, :samples]))[0][0]) + columns.start
            self.refuse_range(every_o[tile : tile + 1], number, bad, tile)
        o[:, samples:] = o[:, samples - 1 : samples]

    def slopes(
        self, first: int, last: int, number: int, tile: int, before: Array, every_a: Array, every_o: Array
    ) -> None:
        """Their derivatives where their a stand, which are those `before`, if they are elementwise."""
        rows, columns, samples = self._nodes(first, last, number, tile)
        if self.schedule.pulled[first]:
            return
        f, slopes = self.schedule.kinds[self.schedule.kind[first]], every_a[tile, rows]
        numbers = before[tile, rows, :samples], every_o[tile, columns, :samples]
        slopes[:, :samples] = self._each(first, last, number, tile, f.derivative_function, *numbers)
        slopes[:, samples:] = slopes[:, samples - 1 : samples]

    def _are_plain(self, f: Activation, a: Array) -> bool:
        low, high = f.domain
        return f.kind == "elementwise" and all_finite(a) and bool(((low <= a) & (a <= high)).all())

    def _each(
        self, first: int, last: int, number: int, tile: int, function: Callable[..., Any], *given: Array
    ) -> Array:
        """An elementwise function of each number of some nodes, or of each a and o; an error if it raises one."""
        schedule, layout = self.schedule, self.schedule.layout
        f, done = schedule.kinds[schedule.kind[first]], list[float]()
        fixed = tuple(f.parameters.values())

        def words(error: Exception) -> GraphpropError:
            row, k = divmod(len(done), given[0].shape[1])
            row += int(schedule.row_first[first])
            node = int(np.searchsorted(schedule.row_first, row, side="right")) - 1
            sample = self.sample(number, tile, k)
            v, own = int(schedule.nodes[node]), schedule.row_first[node : node + 2] - schedule.row_first[first]
            if len(given) > 1:
                return derivative_error(layout, v, f, error, sample)
            return value_error(layout, v, f, given[0][int(own[0]) : int(own[1]), k].tolist(), error, sample)

        with Told(words), np.errstate(**self.warned):
            for numbers in zip(*(array.ravel().tolist() for array in given), strict=True):
                done.append(float(function(*numbers, *fixed)))
        return np.array(done).reshape(given[0].shape)

    def pull(self, node: int, number: int, tile: int, every_a: Array, every_o: Array, every_g: Array) -> None:
        """The delta of a node where its a stand."""
        rows, columns, samples = self._nodes(node, node + 1, number, tile)
        delta, o, g = every_a[tile, rows], every_o[tile, columns, :samples], every_g[tile, columns, :samples]
        delta[:, :samples] = self._pulls(node, number, tile, delta[:, :samples], o, g)
        delta[:, samples:] = 0

    def _pulls(self, node: int, number: int, tile: int, a: Array, o: Array, g: Array) -> Array:
        layout, v = self.schedule.layout, int(self.schedule.nodes[node])
        f, given = self.schedule.kinds[self.schedule.kind[node]], [array.T.tolist() for array in (a, o, g)]
        with np.errstate(**self.warned):
            pulls = [
                pull_of_node(layout, v, f, FLOATS, x, y, z, self.sample(number, tile, k))
                for k, (x, y, z) in enumerate(zip(*given, strict=True))
            ]
        return np.array(pulls).T

    def outputs(self, node: int, samples: Array, number: int, tile: int) -> list[list[float]]:
        """The outputs of one node for each row of pre-activations; an error where they cannot be computed."""
        schedule, layout = self.schedule, self.schedule.layout
        v, f = int(schedule.nodes[node]), schedule.kinds[schedule.kind[node]]
        m = int(schedule.column_first[node + 1] - schedule.column_first[node])
        low, high = f.domain
        rows = slice(int(schedule.row_first[node]), int(schedule.row_first[node + 1]))
        bias = [[float(self.theta[b])] if b >= 0 else [] for b in schedule.bias_position[rows].tolist()]
        suspect = not (all_finite(samples) and (low <= samples).all() and (samples <= high).all())
        outputs = []
        with np.errstate(**self.warned):
            for k, a in enumerate(samples.tolist()):
                sample = self.sample(number, tile, k)
                if suspect:
                    check_a(layout, v, a, bias, sample)
                o = outputs_of_node(layout, v, f, FLOATS, a, sample)
                if len(o) != m or not all(map(math.isfinite, o)):
                    check_o(layout, v, a, o, sample)
                outputs.append(o)
        return outputs

    def refuse_range(self, o: Array, number: int, column: int, tile: int = 0) -> NoReturn:
        """Say that an output is out of range, in the first sample in which it is; `o` begins with this tile."""
        first, k = (int(x) for x in np.argwhere(~np.isfinite(o[:, column]))[0])
        where = node_in(
            self.schedule.layout, int(self.schedule.nodes[self.node_of(column)]), self.sample(number, tile + first, k)
        )
        raise NumberError(f"{where}: its numbers are out of the range of {self.theta.dtype}")
