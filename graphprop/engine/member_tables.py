"""What the loops read of graphs side by side, as a table for each: made for all of them at once.

Each has the numbers of its graph from 0 on. The arrays of all stand one behind the other, and a table says where those
of its graph begin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphprop.engine.loops.places import read_of
from graphprop.engine.loops.table import Table
from graphprop.engine.machine_form import table_of
from graphprop.engine.schedule import Schedule
from graphprop.graph.layout import Array

DOUBLE = np.dtype(float)


@dataclass(frozen=True, eq=False, kw_only=True)
class MemberTables:
    """Of each graph where its arrays are.

    Attributes
    ----------
    places : array (graphs, arrays, 2)
        As `Table.places` of each.
    rows, columns, uses : array
        How many each of them has.
    column_number : array
        Of each column of the schedule its number in its graph.
    """

    places: Array
    rows: Array
    columns: Array
    uses: Array
    column_number: Array
    whole: Table  # here to be held, and the arrays too
    arrays: dict[str, Array]


def tables_of_members(schedule: Schedule, of_node: Array, before: Array, input_column: Array) -> MemberTables:
    """For a schedule whose nodes belong to graphs in order, those of the layout to the graphs `of_node`.

    The parameters of graph i are numbered from position before[i] on, and the columns of the layout's inputs as
    `input_column` says.
    """
    table, count, kept = table_of(schedule, DOUBLE), len(before), schedule.inputs
    member = of_node[schedule.nodes]
    of_row, of_column = np.repeat(member, np.diff(table.row_first)), np.repeat(member, np.diff(table.column_first))
    of_use, of_mask = np.repeat(of_row, np.diff(table.start)), of_row[table.mask_row]
    nodes, columns = np.argsort(member, kind="stable"), np.argsort(of_column, kind="stable")  # the inputs of each first
    row_bounds, column_bounds = _bounds(of_row, count), _bounds(of_column[columns], count)
    number = np.empty(len(columns), dtype=np.intp)
    number[columns] = np.arange(len(columns))
    number -= column_bounds[of_column]
    child = _entries(table.child_start, columns)
    of_child = of_row[table.child_row[child]]
    others = kept + _bounds(member[kept:], count)  # where those begin that are no inputs
    own_inputs = np.bincount(member[:kept], minlength=count)
    stop = np.minimum(table.stop, others[1:][member]) - others[member] + own_inputs[member]

    def counted(positions: Array, of: Array) -> Array:
        return np.where(positions < 0, -1, positions.astype(np.intp) - before[of])

    node_bounds, use_bounds, child_bounds = (_bounds(of, count) for of in (member[nodes], of_use, of_child))
    input_bounds, mask_bounds = _bounds(of_column[: schedule.input_width], count), _bounds(of_mask, count)
    mask_column = table.mask_column
    parts = {
        "function": (table.function[nodes], node_bounds),
        "row_first": _starts(np.diff(table.row_first)[nodes], node_bounds),
        "column_first": _starts(np.diff(table.column_first)[nodes], node_bounds),
        "start": _starts(np.diff(table.start), row_bounds),
        "column": (number[table.column], use_bounds),
        "position": (counted(table.position, of_use), use_bounds),
        "bias": (counted(table.bias, of_row), row_bounds),
        "pulled": (table.pulled[nodes], node_bounds),
        "preset": (table.preset[columns], column_bounds),
        "child_start": _starts(np.diff(table.child_start)[columns], column_bounds),
        "child_row": (table.child_row[child] - row_bounds[of_child], child_bounds),
        "child_position": (counted(table.child_position[child], of_child), child_bounds),
        "child_use": (counted(table.child_use[child], of_child), child_bounds),
        "use": (counted(table.use, of_use), use_bounds),
        "bias_use": (counted(table.bias_use, of_row), row_bounds),
        "input_column": (input_column[schedule.input_columns], input_bounds),
        "stop": (stop[nodes], node_bounds),
        "mask_row": (table.mask_row - row_bounds[of_mask], mask_bounds),
        "mask_column": (np.where(mask_column < 0, -1, number[mask_column]), mask_bounds),
        "logarithm": (table.logarithm[columns], column_bounds),
        "regular": (table.regular, row_bounds),
    }
    arrays = {name: np.ascontiguousarray(array, getattr(table, name).dtype) for name, (array, _) in parts.items()}
    return MemberTables(
        places=_places(table, arrays, {name: bounds for name, (_, bounds) in parts.items()}, count),
        rows=np.diff(row_bounds),
        columns=np.diff(column_bounds),
        uses=np.diff(use_bounds),
        column_number=number,
        whole=table,
        arrays=arrays,
    )


def _bounds(of: Array, count: int) -> Array:
    """Where the entries of each graph begin, and where the last end; `of` ascends."""
    return np.searchsorted(of, np.arange(count + 1))


def _starts(lengths: Array, bounds: Array) -> tuple[Array, Array]:
    """Of each graph 0 and the sums of its lengths, and where these numbers begin."""
    sums = np.concatenate(([0], np.cumsum(lengths, dtype=np.intp)))
    counts = np.diff(bounds) + 1
    own = np.repeat(np.arange(len(counts)), counts)
    return sums[np.arange(len(own)) - own] - sums[bounds[:-1]][own], np.concatenate(([0], np.cumsum(counts)))


def _entries(start: Array, chosen: Array) -> Array:
    """The entries start[i] : start[i + 1] of all i that are chosen, one behind the other."""
    counts = np.diff(start)[chosen].astype(np.intp)
    first = start[chosen].astype(np.intp)
    found: Array = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    return found


def _places(table: Table, arrays: dict[str, Array], bounds: dict[str, Array], count: int) -> Array:
    """Where the arrays of each graph are, and how long; a number for all of them is a number of each."""
    fields = read_of(Table)
    places = np.zeros((count, len(fields), 2), dtype=np.uint64)
    for i, name in enumerate(field.name for field in fields):
        if name not in arrays:
            places[:, i] = table.places[i]
            continue
        array, first = arrays[name], bounds[name]
        places[:, i, 0] = array.ctypes.data + first[:-1] * array.itemsize
        places[:, i, 1] = np.diff(first)
    return places
