"""Programs without dense blocks: a whole batch by one call of a compiled loop for each lane."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from graphprop.engine.borrowed import SMALL, Borrowed
from graphprop.engine.comparing import Comparison, HeadCodes, head_codes
from graphprop.engine.loops import sparse
from graphprop.engine.loops.table import Batch, Before, Table
from graphprop.engine.machine_form import table_of
from graphprop.engine.schedule import Schedule
from graphprop.engine.thread_count import get_threads
from graphprop.engine.threads import run_all
from graphprop.engine.tiles import WORTH_CHECKING, stretch_length, tile_lanes, tile_width
from graphprop.given.memory import check_memory
from graphprop.graph.layout import Array
from graphprop.passes.heads import outputs_of

NO_TERMS = np.zeros((0, 0))
NO_LOSSES, NO_LIMITS = np.zeros(0, np.uint64), np.zeros(0)
NO_MEMORY = {np.dtype(kind): np.zeros(0, kind) for kind in (np.float64, np.float32)}
JOINED = 64  # numbers of heads for which the loss is called once


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Loops:
    """How a batch of some size goes through the compiled loops: the pieces of its schedule, tiles and lanes.

    The outputs of head h are the columns goal_column[goal_start[h] : goal_start[h + 1]] of its piece.
    """

    tables: tuple[Table, ...]  # here to hold the arrays
    places: Array  # that the loops find by these addresses
    pieces: Array
    goal_start: Array
    goal_column: Array
    samples: int
    width: int
    lanes: int
    stretch: int
    numbers: int  # of the state of a tile
    dtype: np.dtype[Any]
    at_once: bool  # whether one lane does it without looking for interrupts
    small: bool  # whether it does so in memory that costs nothing

    @classmethod
    def over(
        cls, schedule: Schedule, starts: Array, columns: Array, samples: int, dtype: np.dtype[Any], gradient: int = 0
    ) -> Loops:
        """For heads that have these columns of the layout, and partial gradients of that many numbers."""
        column = schedule.column_numbers[columns]
        if len(schedule.pieces) > 2 and np.array_equal(columns, outputs_of(schedule.layout)[1]):
            pieces, tables = schedule.pieces, schedule.kept(("pieces", dtype), piece_tables, dtype)
            column = columns_in_pieces(schedule, column, starts)
        else:
            pieces, tables = schedule.pieces[[0, -1]], (table_of(schedule, dtype),)
            pieces[-1, sparse.BEFORE.heads] = len(starts) - 1
        size = max(1, *(table.size for table in tables))
        work = samples * (schedule.weights + len(schedule.rows))
        width = tile_width(samples, dtype.itemsize * size, work)
        lanes = tile_lanes(-(-samples // width), work, dtype.itemsize * gradient)
        stretch = stretch_length(samples, work, width * lanes)
        places = np.stack([table.places for table in tables])
        at_once = lanes == 1 and stretch >= samples
        small = at_once and dtype.itemsize * width * size < SMALL
        pieces, starts, column = (np.ascontiguousarray(array, np.int64) for array in (pieces, starts, column))
        return cls(
            tables=tables,
            places=places,
            pieces=pieces,
            goal_start=starts,
            goal_column=column,
            samples=samples,
            width=width,
            lanes=lanes,
            stretch=stretch,
            numbers=width * size,
            dtype=dtype,
            at_once=at_once,
            small=small,
        )

    def with_joined_heads(self) -> Loops:
        """The same for a loss that is a sum over all numbers: heads that follow each other become one, if short."""
        starts, before = self.goal_start, self.pieces[:, sparse.BEFORE.heads]
        piece = np.searchsorted(before, np.arange(len(starts) - 1), side="right") - 1
        group = (starts[:-1] - starts[before[piece]]) // JOINED
        first = (np.diff(piece, prepend=-1) != 0) | (np.diff(group, prepend=0) != 0)
        pieces = self.pieces.copy()
        pieces[:, sparse.BEFORE.heads] = np.concatenate(([0], np.cumsum(first)))[before]
        return replace(self, pieces=pieces, goal_start=np.append(starts[:-1][first], starts[-1]))

    def batch(self, codes: HeadCodes | None = None, fresh: bool = False) -> Batch:
        """What the loops read of it, with the losses if they are to compare."""
        return Batch(
            tables=self.places,
            pieces=self.pieces,
            head_start=self.goal_start,
            head_column=self.goal_column,
            losses=NO_LOSSES if codes is None else codes.losses,
            limits=NO_LIMITS if codes is None else codes.limits,
            weighted=codes is not None and codes.weighted,
            task=int(sparse.VALUE) if codes is None else codes.task,
            fresh=fresh,
            width=self.width,
            numbers=self.numbers,
        )

    def check_memory(self, gradient: int = 0) -> None:
        needed = self.dtype.itemsize * (self.lanes * gradient + min(self.lanes, get_threads()) * self.numbers)
        if needed > WORTH_CHECKING:
            check_memory(needed, f"a run over {self.samples} samples")

    def run(self, sweep: Callable[[int, Array, int, int], bool]) -> bool:
        """sweep(lane, memory, first, last) in all lanes, side by side, over stretches of samples, while it is True."""

        def steps(lane: int) -> Iterator[bool]:
            with Borrowed(self.numbers, self.dtype) as memory:
                for first in range(0, self.samples, self.stretch):
                    yield sweep(lane, memory, first, min(self.samples, first + self.stretch))

        return run_all(self.lanes, steps)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Answers:
    """The outputs, for batches of one size."""

    loops: Loops
    batch: Batch  # all that stays the same; here to be held
    places: Array  # where the loops find it
    checks_theta: bool  # whether there are parameters that nothing reads

    @classmethod
    def of(cls, schedule: Schedule, starts: Array, columns: Array, samples: int, dtype: np.dtype[Any]) -> Answers:
        loops = Loops.over(schedule, starts, columns, samples, dtype)
        batch = loops.batch()
        return cls(loops=loops, batch=batch, places=batch.places, checks_theta=len(schedule.unused_positions) > 0)

    def run(self, theta: Array, inputs: Array) -> Array | None:
        """A row for each sample; None if any number is not what it may be."""
        loops, batch = self.loops, self.places
        result = np.empty((loops.samples, len(loops.goal_column)), loops.dtype)
        lanes = loops.lanes
        if loops.small:
            memory, lane, first, last = NO_MEMORY[loops.dtype], 0, 0, loops.samples
            fine = sparse.answer(batch, theta, inputs, result, memory, lane, lanes, first, last)
            return result if fine else None
        loops.check_memory()

        def sweep(lane: int, memory: Array, first: int, last: int) -> bool:
            fine: bool = sparse.answer(batch, theta, inputs, result, memory, lane, lanes, first, last)
            return fine

        return result if loops.run(sweep) else None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Descent:
    """A loss of the outputs and its gradient by theta, for batches of one size; or its value alone."""

    loops: Loops
    batch: Batch  # all that stays the same; here to be held
    places: Array  # where the loops find it
    codes: HeadCodes
    heads: int  # columns of `terms`
    count: int  # of the numbers of the gradient
    even: Array  # what every sample counts for
    checks_theta: bool  # whether it has parameters that nothing reads

    @classmethod
    def of(cls, schedule: Schedule, goal: Comparison, samples: int, dtype: np.dtype[Any]) -> Descent | None:
        """None if something of it is no machine code."""
        if (codes := head_codes(schedule, goal)) is None:
            return None
        loops = Loops.over(schedule, goal.starts, goal.columns, samples, dtype, schedule.layout.size)
        if codes.join:
            loops = loops.with_joined_heads()
        fresh = samples == 1 and all(table.is_fresh for table in loops.tables) and _is_untied(schedule)
        batch = loops.batch(codes, fresh)
        unused = len(schedule.unused_positions) > 0
        return cls(
            loops=loops,
            batch=batch,
            places=batch.places,
            codes=codes,
            heads=len(loops.goal_start) - 1,
            count=schedule.layout.size if goal.learns else 0,
            even=np.array([1 / samples]),
            checks_theta=unused,
        )

    def run(self, theta: Array, inputs: Array, target: Array, share: Array, terms: Array) -> tuple[float, Array] | None:
        """The value and the gradient; None if any number is not what it may be.

        If `terms` has numbers, (samples, heads), what each of them adds is written there.
        """
        loops, batch = self.loops, self.places
        gradient = np.empty(self.count, loops.dtype)
        if loops.small:  # by position, as keywords would take a tenth of the time
            memory, lane, lanes, first, last = NO_MEMORY[loops.dtype], 0, 1, 0, loops.samples
            value, fine = sparse.learn(
                batch, theta, inputs, target, share, terms, gradient, memory, lane, lanes, first, last
            )
            return (value, gradient) if fine else None

        def learn(lane: int, memory: Array, first: int, last: int, gradient: Array) -> tuple[float, bool]:
            found: tuple[float, bool] = sparse.learn(
                batch=batch,
                theta=theta,
                inputs=inputs,
                target=target,
                share=share,
                terms=terms,
                gradient=gradient,
                memory=memory,
                lane=lane,
                lanes=loops.lanes,
                first=first,
                last=last,
            )
            return found

        loops.check_memory(self.count)
        if loops.at_once:
            with Borrowed(loops.numbers, loops.dtype) as memory:
                value, fine = learn(0, memory, 0, loops.samples, gradient)
            return (value, gradient) if fine else None
        terms = terms if len(terms) else np.empty((loops.samples, self.heads))
        with Borrowed((loops.lanes - 1) * self.count, loops.dtype) as block:
            others = block.reshape(loops.lanes - 1, self.count)

            def sweep(lane: int, memory: Array, first: int, last: int) -> bool:
                return learn(lane, memory, first, last, others[lane - 1] if lane else gradient)[1]

            if not loops.run(sweep):
                return None
            value, fine = sparse.finish(terms=terms, gradient=gradient, others=others)
        return (value, gradient) if fine else None


def _is_untied(schedule: Schedule) -> bool:
    """Whether each parameter is used just once."""
    used = np.concatenate((schedule.position, schedule.bias_position[schedule.bias_position >= 0]))
    return len(used) == schedule.layout.size and bool((np.bincount(used, minlength=len(used)) == 1).all())


# ------------------------------------------------------------------ pieces


def piece_tables(schedule: Schedule, dtype: np.dtype[Any]) -> tuple[Table, ...]:
    """A table for each piece, whose nodes are numbered by themselves."""
    whole, bounds = table_of(schedule, dtype), [Before(*row) for row in schedule.pieces.tolist()]
    return tuple(
        whole.piece(slice(here.inputs, there.inputs), slice(here.nodes, there.nodes))
        for here, there in pairwise(bounds)
    )


def columns_in_pieces(schedule: Schedule, columns: Array, starts: Array) -> Array:
    """The numbers that columns have in their pieces; head h has columns[starts[h] : starts[h + 1]]."""
    before = Before(*schedule.pieces.T)
    input_first, first = (schedule.column_first[x].astype(np.intp) for x in (before.inputs, before.nodes))
    piece = np.searchsorted(starts[before.heads], np.arange(len(columns)), side="right") - 1
    number = columns - (first[:-1] - np.diff(input_first))[piece]
    found: Array = np.where(columns < schedule.input_width, columns - input_first[piece], number)
    return found
