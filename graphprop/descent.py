"""Programs without dense blocks: a whole batch by one call of a compiled loop for each lane.

This is the shortest way through the engine, for what it can do: arrays as the loops take them, activations and a loss
that are machine code. All that is otherwise, or goes wrong, is left to `engine.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from graphprop import kernels
from graphprop.arrays import all_finite
from graphprop.cutting import WORTH_CHECKING, stretch_length, tile_lanes, tile_width
from graphprop.errors import GraphpropError
from graphprop.layout import Array
from graphprop.losses import Loss
from graphprop.losses import loss as find_loss
from graphprop.memory import SMALL, Borrowed, check_memory
from graphprop.natives import loss_address
from graphprop.objective import Objective, outputs_of, read_labels, reading_of
from graphprop.products import DenseDescent
from graphprop.program import Program
from graphprop.tables import Table
from graphprop.threads import get_threads, run_all

PLANS = 100  # how many sizes of batches are remembered
DOUBLE = np.dtype(np.float64)
NAMED = str, Loss
UNKNOWN = object()
Plan = TypeVar("Plan")


@dataclass(frozen=True, eq=False, slots=True)
class Loops:
    """How a batch of some size goes through the compiled loops: the pieces of its program, tiles and lanes.

    The outputs of head h are the columns goal_column[goal_start[h] : goal_start[h + 1]] of its piece.
    """

    tables: tuple[Table, ...]
    places: Array  # where the arrays of the tables are
    pieces: Array
    goal_start: Array
    goal_column: Array
    samples: int
    width: int
    lanes: int
    stretch: int
    numbers: int  # of the state of a tile
    dtype: np.dtype[Any]
    alone: bool  # whether it is so little that one lane does it at once, in memory that costs nothing

    @classmethod
    def over(
        cls, program: Program, starts: Array, columns: Array, samples: int, dtype: np.dtype[Any], gradient: int = 0
    ) -> Loops:
        """For heads that have these columns of the layout, and partial gradients of that many numbers."""
        column = program.column_numbers[columns]
        if len(program.pieces) > 2 and np.array_equal(columns, outputs_of(program.layout)[1]):
            pieces, tables = program.pieces, _kept(program, ("pieces", dtype), piece_tables, dtype)
            column = columns_in_pieces(program, column, starts)
        else:
            pieces, tables = program.pieces[[0, -1]], (program.table(dtype),)
            pieces[-1, kernels.HEADS] = len(starts) - 1
        size = max(1, *(table.size for table in tables))
        work = samples * (program.weights + len(program.rows))
        width = tile_width(samples, dtype.itemsize * size, work)
        lanes = tile_lanes(-(-samples // width), work, dtype.itemsize * gradient)
        stretch = stretch_length(samples, work, width * lanes)
        places = np.stack([table.places for table in tables])
        alone = lanes == 1 and stretch >= samples and dtype.itemsize * width * size < 2 * SMALL
        heads = starts, column
        return cls(tables, places, pieces, *heads, samples, width, lanes, stretch, width * size, dtype, alone)

    def check_memory(self, gradient: int = 0) -> None:
        needed = self.dtype.itemsize * (self.lanes * gradient + min(self.lanes, get_threads()) * self.numbers)
        if needed > WORTH_CHECKING:
            check_memory(needed, f"a run over {self.samples} samples")

    def run(self, sweep: Callable[[int, Array, int, int], bool]) -> bool:
        """sweep(lane, memory, first, last) in all lanes, side by side, over stretches of samples, while it is True."""

        def lane(number: int) -> bool:
            with Borrowed(self.numbers, self.dtype) as memory:
                for first in range(0, self.samples, self.stretch):
                    if not sweep(number, memory, first, min(self.samples, first + self.stretch)):
                        return False
            return True

        return lane(0) if self.lanes == 1 else all(run_all(self.lanes, lane))


@dataclass(frozen=True, eq=False, slots=True)
class Descent:
    """A loss of the outputs and its gradient by theta, for batches of one size."""

    loops: Loops
    loss: int  # the address of its machine code
    low: float  # what a target may be
    high: float
    count: int  # of parameters
    even: Array  # what every sample counts for
    checks_theta: bool  # whether it has parameters that nothing reads

    @classmethod
    def of(
        cls, program: Program, loss: Loss, starts: Array, columns: Array, samples: int, dtype: np.dtype[Any]
    ) -> Descent | None:
        """None if something of it is no machine code."""
        address = loss_address(loss)
        if not address:
            return None
        low, high = kernels.LIMITS[loss.targets]
        count = program.layout.size
        loops = Loops.over(program, starts, columns, samples, dtype, count)
        return cls(loops, address, low, high, count, np.array([1 / samples]), len(program.unused_positions) > 0)

    def run(self, theta: Array, inputs: Array, target: Array, share: Array) -> tuple[float, Array] | None:
        """The value and the gradient; None if any number is not what it may be."""
        loops = self.loops
        gradient = np.empty(self.count, loops.dtype)
        terms = np.empty((loops.samples, len(loops.goal_start) - 1))
        fixed = loops.places, loops.pieces, loops.goal_start, loops.goal_column, self.loss, self.low, self.high
        given = theta, inputs, target, share, terms
        if loops.alone:
            memory = np.empty(loops.numbers, loops.dtype)
            value, fine = kernels.learn(*fixed, *given, gradient, memory, loops.width, 0, 1, 0, loops.samples)
            return (value, gradient) if fine else None
        loops.check_memory(self.count)
        with Borrowed((loops.lanes - 1) * self.count, loops.dtype) as block:
            others = block.reshape(loops.lanes - 1, self.count)

            def sweep(lane: int, memory: Array, first: int, last: int) -> bool:
                own = others[lane - 1] if lane else gradient
                fine: bool
                _, fine = kernels.learn(*fixed, *given, own, memory, loops.width, lane, loops.lanes, first, last)
                return fine

            if not loops.run(sweep):
                return None
            value, fine = kernels.finish(terms, gradient, others)
        return (value, gradient) if fine else None


# ------------------------------------------------------------------ what is asked of a program


def descend(program: Program, theta: Any, inputs: Any, target: Any, loss: Any) -> tuple[float, Array] | None:
    """`value_and_grad` of arrays that are as the loops take them; None if anything is not."""
    if not (type(theta) is type(inputs) is type(target) is np.ndarray and isinstance(loss, NAMED)):
        return None
    key = loss, theta.shape, inputs.shape, target.shape, theta.dtype, inputs.dtype, target.dtype
    plan = program.plans.get(key, UNKNOWN)
    if plan is UNKNOWN:
        if target.dtype.kind in "iu":
            rows = read_labels(program.layout, loss, target)
            return None if rows is None else descend(program, theta, inputs, rows, loss)
        plan = _kept(program, key, _for_arrays, *key)
    if plan is None or not (theta.flags.carray and inputs.flags.carray and target.flags.carray):
        return None
    if plan.checks_theta and not all_finite(theta[program.unused_positions]):
        return None
    result: tuple[float, Array] | None = plan.run(theta, inputs, target, plan.even)
    return result


def descend_objective(
    program: Program, theta: Array, inputs: Array, objective: Objective
) -> tuple[float, Array] | None:
    """The same for a loss, its targets and sample weights that were read."""
    entry, starts, samples = objective.loss, objective.starts, len(inputs)
    if entry is None or starts is None:
        return None
    key = entry, objective.heads, samples, theta.dtype
    plan = _kept(program, key, _for_objective, entry, starts, objective.columns, samples, theta.dtype)
    return None if plan is None else plan.run(theta, inputs, *objective.for_kernels())


def answer(program: Program, theta: Array, inputs: Array) -> Array | None:
    """The outputs, a row for each sample; None if anything is not as it should be."""
    key = len(inputs), theta.dtype
    loops = _kept(program, key, _for_answers, *key)
    if loops is None:
        return None
    loops.check_memory()
    result = np.empty((loops.samples, len(loops.goal_column)), loops.dtype)

    def sweep(lane: int, memory: Array, first: int, last: int) -> bool:
        goals = loops.goal_start, loops.goal_column, result
        within = memory, loops.width, lane, loops.lanes, first, last
        fine: bool = kernels.answer(loops.places, loops.pieces, theta, inputs, *goals, *within)
        return fine

    return result if loops.run(sweep) and all_finite(result) else None


# ------------------------------------------------------------------ pieces


def piece_tables(program: Program, dtype: np.dtype[Any]) -> tuple[Table, ...]:
    """A table for each piece, whose nodes are numbered by themselves."""
    whole, bounds = program.table(dtype), program.pieces[:, : kernels.HEADS].tolist()
    return tuple(
        whole.piece(slice(inputs, last_input), slice(node, last_node))
        for (inputs, node), (last_input, last_node) in pairwise(bounds)
    )


def columns_in_pieces(program: Program, columns: Array, starts: Array) -> Array:
    """The numbers that columns have in their pieces; head h has columns[starts[h] : starts[h + 1]]."""
    inputs, nodes, heads = program.pieces.T
    input_first, first = (program.column_first[x].astype(np.intp) for x in (inputs, nodes))
    piece = np.searchsorted(starts[heads], np.arange(len(columns)), side="right") - 1
    number = columns - (first[:-1] - np.diff(input_first))[piece]
    found: Array = np.where(columns < program.input_width, columns - input_first[piece], number)
    return found


# ------------------------------------------------------------------ plans


def _kept(program: Program, key: tuple[Any, ...], make: Callable[..., Plan], *arguments: Any) -> Plan:
    """make(program, *arguments), made once for a key."""
    plans = program.plans
    plan: Plan = plans.get(key, plans)
    if plan is plans:  # not there; None is a plan too
        if len(plans) > PLANS:
            plans.clear()
        plan = plans[key] = make(program, *arguments)
    return plan


def _for_arrays(
    program: Program,
    named: str | Loss,
    theta: tuple[int, ...],
    inputs: tuple[int, ...],
    target: tuple[int, ...],
    dtype: np.dtype[Any],
    *others: np.dtype[Any],
) -> Descent | DenseDescent | None:
    layout = program.layout
    try:
        entry = find_loss(named)
        reading = reading_of(layout, entry)
    except GraphpropError:
        return None
    shapes = (layout.size,), (*inputs[:1], len(layout.input_columns)), (*inputs[:1], len(reading.columns))
    if (theta, inputs, target) != shapes or others != (dtype, DOUBLE) or program.towards(reading.reads) is not program:
        return None
    return _for_objective(program, entry, reading.starts, reading.columns, inputs[0], dtype)


def _for_objective(
    program: Program, loss: Loss, starts: Array, columns: Array, samples: int, dtype: np.dtype[Any]
) -> Descent | DenseDescent | None:
    if not _is_suitable(program, samples, dtype):
        return None
    heads = starts, columns, samples, dtype
    return DenseDescent.of(program, loss, *heads) if program.is_dense else Descent.of(program, loss, *heads)


def _for_answers(program: Program, samples: int, dtype: np.dtype[Any]) -> Loops | None:
    if program.is_dense or not _is_suitable(program, samples, dtype):
        return None
    layout = program.layout
    lengths = [sum(layout.nodes[layout.find(name)].m for name in head) for head in layout.heads]
    return Loops.over(program, np.cumsum([0, *lengths]), outputs_of(layout)[1], samples, dtype)


def _is_suitable(program: Program, samples: int, dtype: np.dtype[Any]) -> bool:
    """Whether the loops alone can run it; masks are checked in between, activations in Python on a thread aside."""
    plain = dtype in (np.float32, np.float64) and dtype.isnative and samples > 0
    return plain and not (len(program.maskable_rows) or program.calls_python(dtype))
