"""A schedule as the compiled loops read it, for numbers of one kind: its table, and its activations as machine code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from graphprop.atomic.forking import BUILDING
from graphprop.engine.loops import sparse
from graphprop.engine.loops.compiled_functions import Native, native
from graphprop.engine.loops.table import Table
from graphprop.engine.schedule import Schedule
from graphprop.graph.layout import Array


def calls_python(schedule: Schedule, dtype: np.dtype[Any]) -> bool:
    """Whether an activation could not be compiled."""
    return not all(own.compiled for own in natives_of(schedule, dtype).values())


def natives_of(schedule: Schedule, dtype: np.dtype[Any]) -> dict[int, Native]:
    """The activations that it uses, by the number of their kind, as the loops call them."""
    found: dict[int, Native] | None = schedule.natives.get(dtype)
    if found is not None:
        return found
    with BUILDING:
        if dtype not in schedule.natives:
            used = np.unique(schedule.kind[schedule.inputs :]).tolist()
            schedule.natives[dtype] = {i: native(schedule.kinds[i], dtype) for i in used}
        made: dict[int, Native] = schedule.natives[dtype]
        return made


def renewed(schedule: Schedule) -> Schedule:
    """The schedule, without what was made of a user's functions that read other numbers by now, or other functions."""
    if not schedule.has_own:
        return schedule
    made = [own.reads for natives in list(schedule.natives.values()) for own in natives.values()]
    if not all(reads is None or reads.are_current() for reads in made):
        with BUILDING:
            for kept in (schedule.natives, schedule.tables, schedule.plans):
                kept.clear()
    return schedule


def table_of(schedule: Schedule, dtype: np.dtype[Any], by_use: bool = False) -> Table:
    """The arrays that the loops read; `by_use` has derivatives by each use of a parameter in place of its sum."""
    found: Table | None = schedule.tables.get((dtype, by_use))
    if found is not None:
        return found
    with BUILDING:
        found = schedule.tables.get((dtype, by_use))
        if found is None:
            natives = natives_of(schedule, dtype)
            found = schedule.tables[dtype, by_use] = Table(
                forward=sparse.FORWARD.address(dtype),
                backward=sparse.BACKWARD.address(dtype),
                function=_functions(schedule, natives),
                row_first=schedule.row_first,
                column_first=schedule.column_first,
                start=schedule.start,
                column=schedule.column,
                position=schedule.position,
                bias=schedule.bias_position,
                pulled=schedule.pulled,
                preset=schedule.preset,
                child_start=schedule.child_start,
                child_row=schedule.child_row,
                child_position=schedule.child_position,
                child_use=schedule.child_use if by_use else schedule.child_position,
                use=schedule.use if by_use else schedule.position,
                bias_use=schedule.bias_use if by_use else schedule.bias_position,
                input_column=schedule.input_columns,
                stop=schedule.stop,
                mask_row=schedule.maskable_rows,
                mask_column=schedule.mask_columns,
                logarithm=np.isin(np.arange(len(schedule.columns)), schedule.log_columns),
                held=natives,
            )
        return found


def table_alone(schedule: Schedule, dtype: np.dtype[Any]) -> Table:
    """The same with nodes that read nothing, where the sums of their terms are there."""
    found: Table | None = schedule.tables.get((dtype, "alone"))
    if found is None:
        whole = table_of(schedule, dtype)
        made = replace(whole, start=np.zeros_like(whole.start), bias=np.full_like(whole.bias, -1))
        found = schedule.tables.setdefault((dtype, "alone"), made)
    return found


def _functions(schedule: Schedule, natives: dict[int, Native]) -> Array:
    """The addresses of the records of the nodes' activations."""
    addresses = np.zeros(len(schedule.kinds), dtype=np.uint64)
    for i, own in natives.items():
        addresses[i] = own.address
    functions = np.zeros(len(schedule.nodes), dtype=np.uint64)
    functions[schedule.inputs :] = addresses[schedule.kind[schedule.inputs :]]
    return functions
