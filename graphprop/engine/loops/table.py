"""What the compiled loops read of a schedule and of a batch: tables of addresses, of all nodes or a part of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from graphprop.engine.loops.places import UNREAD, Record
from graphprop.given.arrays import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Table(Record):
    """The arrays of a schedule that the loops read, and the addresses of two loops for its kind of numbers."""

    forward: int
    backward: int
    function: Array  # of uint64
    row_first: Array
    column_first: Array
    start: Array
    column: Array
    position: Array
    bias: Array  # of int64, with -1 where there is none
    pulled: Array  # of bool
    preset: Array  # of bool
    child_start: Array
    child_row: Array
    child_position: Array
    child_use: Array
    use: Array
    bias_use: Array  # of int64
    input_column: Array
    stop: Array
    mask_row: Array  # the rows that -inf may stand in where it is their bias
    mask_column: Array  # of int64, and the columns that are -inf then, with -1 where there is none
    logarithm: Array  # of bool, of each column, whether it may be -inf
    regular: Array = field(init=False)  # of bool, of each row that has weights: see `_regular_rows`
    held: Any = field(metadata=UNREAD)  # what is at the addresses of `function`

    def __post_init__(self) -> None:
        others: dict[str, Any] = {"function": np.uint64}
        others |= dict.fromkeys(("bias", "bias_use", "mask_column"), np.int64)
        others |= dict.fromkeys(("pulled", "preset", "logarithm"), np.bool_)
        for name, array in list(vars(self).items()):
            if not isinstance(array, np.ndarray):
                continue
            object.__setattr__(self, name, np.ascontiguousarray(array, dtype=others.get(name, np.uint32)))
        object.__setattr__(self, "regular", _regular_rows(self.start, self.position, self.use))

    @property
    def size(self) -> int:
        """How many numbers a sample takes: a, o, and the derivatives by o."""
        return int(self.row_first[-1]) + 2 * int(self.column_first[-1])

    @property
    def is_fresh(self) -> bool:
        """Whether all rows are regular that have weights."""
        return bool((self.regular | (self.start[1:] == self.start[:-1])).all())

    def adding_to(self, positions: Array) -> Table:
        """The same with derivatives numbered as in `positions`, which have all that are used."""

        def among(used: Array) -> Array:
            return np.where(used < 0, -1, np.searchsorted(positions, used))

        return replace(self, child_use=among(self.child_use), use=among(self.use), bias_use=among(self.bias_use))

    def piece(self, inputs: slice, nodes: slice) -> Table:
        """The same for a part of the nodes that reads nothing of the others, numbered by itself."""
        own_inputs = _span(self.column_first, inputs)
        own, rows = _span(self.column_first, nodes), _span(self.row_first, nodes)
        entries = _span(self.start, rows)
        before, after = own_inputs.start, own.start - (own_inputs.stop - own_inputs.start)
        column = self.column[entries]
        renumbered = np.uint32(nodes.start - (inputs.stop - inputs.start))
        children = [_span(self.child_start, span) for span in (own_inputs, own)]
        masks = slice(*np.searchsorted(self.mask_row, (rows.start, rows.stop)).tolist())
        mask_column = self.mask_column[masks]

        def both(array: Array, first: slice, second: slice) -> Array:
            return np.concatenate((array[first], array[second]))

        def starts(array: Array, first: slice, second: slice) -> Array:
            lengths = [np.diff(array[part.start : part.stop + 1]) for part in (first, second)]
            return np.concatenate(([0], np.cumsum(np.concatenate(lengths))))

        return Table(
            forward=self.forward,
            backward=self.backward,
            function=both(self.function, inputs, nodes),
            row_first=starts(self.row_first, inputs, nodes),
            column_first=starts(self.column_first, inputs, nodes),
            start=self.start[rows.start : rows.stop + 1] - self.start[rows.start],
            column=np.where(column < len(self.input_column), column - np.uint32(before), column - np.uint32(after)),
            position=self.position[entries],
            bias=self.bias[rows],
            pulled=both(self.pulled, inputs, nodes),
            preset=both(self.preset, own_inputs, own),
            child_start=starts(self.child_start, own_inputs, own),
            child_row=both(self.child_row, *children) - np.uint32(rows.start),
            child_position=both(self.child_position, *children),
            child_use=both(self.child_use, *children),
            use=self.use[entries],
            bias_use=self.bias_use[rows],
            input_column=self.input_column[own_inputs],
            mask_row=self.mask_row[masks] - np.uint32(rows.start),
            mask_column=np.where(mask_column < 0, -1, mask_column - after),
            logarithm=both(self.logarithm, own_inputs, own),
            stop=np.minimum(both(self.stop, inputs, nodes), nodes.stop) - renumbered,
            held=self.held,
        )


class Before(NamedTuple):
    """How many inputs, nodes and heads come before a piece of a schedule; the columns of `Schedule.pieces`."""

    inputs: Any
    nodes: Any
    heads: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch(Record):
    """What `sparse.learn` reads for batches of some size: a schedule in pieces, heads, and how samples are cut."""

    tables: Array  # the places of the table of each piece
    pieces: Array
    head_start: Array
    head_column: Array
    losses: Array  # these and what follows: see `sparse.compare`
    limits: Array
    weighted: bool
    task: int  # to LEARN, or the VALUE alone
    fresh: bool  # see `sparse.backward`
    width: int  # the samples of a tile
    numbers: int  # that these take


def _regular_rows(start: Array, *numbers: Array) -> Array:
    """Of each row, whether it has entries, and numbers that count on by one from each entry to the next."""
    regular = start[1:] > start[:-1]
    for each in (array[: int(start[-1])] for array in numbers):
        breaks = np.flatnonzero(each[1:] != each[:-1] + np.uint32(1)) + 1
        row = np.searchsorted(start, breaks, side="right") - 1
        regular[row[breaks != start[row]]] = False
    return regular


def _span(starts: Array, part: slice) -> slice:
    """Where the entries of a part of the rows are."""
    return slice(int(starts[part.start]), int(starts[part.stop]))
