"""Programs with dense blocks: a loss and its gradient, the matrix products shared out among the threads.

How the work is cut, into lanes of samples and then into products for the gradient, depends on the shapes alone, so
nothing depends on the number of threads. No lane has a gradient of its own for the weights of blocks. Each lane has a
tile of its own: threads that write side by side into the same rows wait for each other's memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from graphprop.engine.blas import blas_addresses
from graphprop.engine.borrowed import Borrowed
from graphprop.engine.comparing import Comparison, HeadCodes, head_codes
from graphprop.engine.loops import dense, sparse
from graphprop.engine.loops.table import Table
from graphprop.engine.machine_form import table_of
from graphprop.engine.schedule import Schedule
from graphprop.engine.thread_count import get_threads
from graphprop.engine.threads import run_all, with_one_blas_thread, with_one_blas_thread_here
from graphprop.engine.tiles import LANES, PART_BYTES, WORTH_CHECKING, Cut, cut_batch
from graphprop.engine.work_sharing import BELL, share_out
from graphprop.given.memory import check_memory
from graphprop.graph.layout import Array

WORTH_SHARING = 2_000_000  # multiplications; less is done by one thread
LANE_SAMPLES = 256  # in a lane; fewer if there would be one lane
FEW_SAMPLES = 256  # what a block reads of less stays in a core's own cache, so that it can be cut
FEWEST_ROWS = 32, 64  # into products of so many rows with few samples, and with more
MOST_TASKS = 8, 4  # and into so many products; BLAS takes longer for more


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class DenseDescent:
    """A loss of the outputs and its gradient by theta, for batches of one size; or its value alone."""

    schedule: Schedule
    table: Table  # with the derivatives numbered as in `shared`
    shared: Array  # the positions of theta that are not those of a block
    gemm: int  # the addresses of products
    gemv: int
    codes: HeadCodes
    heads: int  # columns of `terms`
    goal_start: Array
    goal_column: Array
    runs: Array
    blocks: Array
    direct: bool  # whether blocks alone read the inputs, and all of them
    samples: int
    chunks: tuple[Array, ...]  # of samples that are in memory at the same time, where the lanes begin and end
    lanes: int
    tasks: Array  # products of the second step: the number of a block, and its rows
    dtype: np.dtype[Any]
    even: Array  # what every sample counts for
    checks_theta: bool  # whether it has parameters that nothing reads

    @classmethod
    def of(cls, schedule: Schedule, goal: Comparison, samples: int, dtype: np.dtype[Any]) -> DenseDescent | None:
        """None if something of it is no machine code, or a block no matrix as BLAS takes it."""
        codes, products = head_codes(schedule, goal), blas_addresses(dtype)
        if codes is None or products is None or not all(block.strided and block.alone for block in schedule.blocks):
            return None
        length = max(1, min(samples, PART_BYTES // (dtype.itemsize * schedule.size)))
        lanes = 1
        if length >= 32 and length * schedule.weights > WORTH_SHARING:
            lanes = max(2, min(LANES, length // LANE_SAMPLES))
        chunks = tuple(_lanes(first, min(samples, first + length), lanes) for first in range(0, samples, length))
        shared = np.arange(schedule.layout.size)[schedule.shared_positions]
        gemm, gemv = products
        runs, blocks = runs_and_blocks(schedule)
        return cls(
            schedule=schedule,
            table=table_of(schedule, dtype).adding_to(shared),
            shared=shared,
            gemm=gemm,
            gemv=gemv,
            codes=codes,
            heads=len(goal.starts) - 1,
            goal_start=goal.starts,
            goal_column=schedule.column_numbers[goal.columns],
            runs=runs,
            blocks=blocks,
            direct=schedule.inputs_are_dense and schedule.reads_all_inputs,
            samples=samples,
            chunks=chunks,
            lanes=lanes,
            tasks=np.array(list(_tasks(schedule, length)) if goal.learns else np.zeros((0, 3), int)),
            dtype=dtype,
            even=np.array([1 / samples]),
            checks_theta=len(schedule.unused_positions) > 0,
        )

    def run(self, theta: Array, inputs: Array, target: Array, share: Array, terms: Array) -> tuple[float, Array] | None:
        """As that of `Descent`."""
        size = max(int(lanes[-1] - lanes[0]) for lanes in self.chunks) * self.schedule.size
        if (needed := self.dtype.itemsize * size) > WORTH_CHECKING:
            check_memory(needed, f"a run over {self.samples} samples")
        learns = self.codes.task == sparse.LEARN
        gradient = np.empty(len(theta) if learns else 0, self.dtype)
        sums = np.zeros((self.lanes, len(self.shared) if learns else 0), self.dtype)
        terms = terms if len(terms) else np.empty((self.samples, self.heads))
        # by position, as keywords would take a twentieth of the time
        gemm, gemv, table, bell = self.gemm, self.gemv, self.table.places, BELL
        runs, blocks, tasks, own_inputs, direct = self.runs, self.blocks, self.tasks, self.schedule.inputs, self.direct
        losses, limits, weighted, task = self.codes.losses, self.codes.limits, self.codes.weighted, self.codes.task
        head_start, head_column = self.goal_start, self.goal_column
        with Borrowed(size, self.dtype) as memory:
            for lanes in self.chunks:
                counters = np.zeros(dense.COUNTERS, np.int64)

                def run(lanes: Array = lanes, counters: Array = counters) -> bool | None:
                    # fmt: off
                    state: int = dense.learn_dense(
                        gemm, gemv, table, runs, blocks, tasks, own_inputs, direct, losses, limits, weighted,
                        head_start, head_column, task, theta, inputs, target, share, terms, sums, gradient, memory,
                        lanes, counters, bell,
                    )
                    # fmt: on
                    return None if state == dense.WAITING else state == dense.DONE

                if not (share_out(self.lanes, run) if self.lanes > 1 else with_one_blas_thread(run)):
                    return None
        value, fine = sparse.finish(terms=terms, gradient=sums[0], others=sums[1:])
        if learns:
            gradient[self.shared] = sums[0]
        return (value, gradient) if fine else None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class DenseAnswers:
    """The outputs, for batches of one size."""

    schedule: Schedule
    table: Table
    gemm: int
    gemv: int
    goal_column: Array
    runs: Array
    blocks: Array
    direct: bool
    cut: Cut
    samples: int
    dtype: np.dtype[Any]
    checks_theta: bool

    @classmethod
    def of(cls, schedule: Schedule, columns: Array, samples: int, dtype: np.dtype[Any]) -> DenseAnswers | None:
        """None if a block is no matrix as BLAS takes it, or one of several whose products are added up."""
        products = blas_addresses(dtype)
        alone = all(len(run.blocks) < 2 for run in schedule.runs)  # else numpy and BLAS round at other places
        if products is None or not alone or not all(block.strided for block in schedule.blocks):
            return None
        gemm, gemv = products
        runs, blocks = runs_and_blocks(schedule)
        return cls(
            schedule=schedule,
            table=table_of(schedule, dtype),
            gemm=gemm,
            gemv=gemv,
            goal_column=schedule.column_numbers[columns],
            runs=runs,
            blocks=blocks,
            direct=schedule.inputs_are_dense and schedule.reads_all_inputs,
            cut=cut_batch(schedule, samples, dtype.itemsize),
            samples=samples,
            dtype=dtype,
            checks_theta=len(schedule.unused_positions) > 0,
        )

    def run(self, theta: Array, inputs: Array) -> Array | None:
        """A row for each sample; None if any number is not what it may be."""
        cut, schedule = self.cut, self.schedule
        size, lanes = cut.state_size(schedule), cut.lanes
        if (needed := self.dtype.itemsize * size * min(lanes, get_threads())) > WORTH_CHECKING:
            check_memory(needed, f"a run over {self.samples} samples")
        result = np.empty((self.samples, len(self.goal_column)), self.dtype)
        gemm, gemv, table, goal_column = self.gemm, self.gemv, self.table.places, self.goal_column
        runs, blocks, own_inputs, direct = self.runs, self.blocks, schedule.inputs, self.direct

        def steps(lane: int) -> Iterator[bool]:
            with Borrowed(size, self.dtype) as memory:
                for part in cut.parts[lane::lanes]:

                    def answer(first: int = part.start, last: int = part.stop) -> bool:
                        # fmt: off
                        fine: bool = dense.answer_dense(
                            gemm, gemv, table, runs, blocks, own_inputs, direct, goal_column, theta, inputs, result,
                            memory, first, last,
                        )
                        # fmt: on
                        return fine

                    yield with_one_blas_thread_here(answer)

        return result if with_one_blas_thread(lambda: run_all(lanes, steps)) else None


def _lanes(first: int, last: int, lanes: int) -> Array:
    """Where the lanes of some samples begin, and the last one ends; none is empty."""
    return np.unique(np.linspace(first, last, lanes + 1).astype(np.int64))


def runs_and_blocks(schedule: Schedule) -> tuple[Array, Array]:
    """The runs of a schedule and their blocks, as the compiled loops read them."""
    ends = np.cumsum([0, *(len(run.blocks) for run in schedule.runs)])
    spans = zip(schedule.runs, pairwise(ends), strict=True)
    runs = [
        dense.RunNumbers(first=run.first, last=run.last, block=block, last_block=last_block)
        for run, (block, last_block) in spans
    ]
    blocks = [
        dense.BlockNumbers(
            row=block.rows.start,
            rows=block.rows.stop - block.rows.start,
            column=block.columns.start,
            columns=block.columns.stop - block.columns.start,
            first=first,
            down=down,
            right=right,
        )
        for block, (first, down, right) in ((block, block.steps) for block in schedule.blocks)
    ]
    run_numbers = np.array(runs, dtype=np.int64).reshape(-1, len(dense.OF_RUN))
    return run_numbers, np.array(blocks, dtype=np.int64).reshape(-1, len(dense.OF_BLOCK))


def _tasks(schedule: Schedule, samples: int) -> Iterator[dense.Task]:
    """The products for the gradient, by rows if they are much work."""
    many = samples >= FEW_SAMPLES
    for number, block in enumerate(schedule.blocks):
        rows, columns = block.positions.shape
        worth = 2 * samples * rows * columns // WORTH_SHARING
        count = max(1, min(MOST_TASKS[many], rows // FEWEST_ROWS[many], worth))
        for first, last in pairwise(rows * i // count for i in range(count + 1)):
            yield dense.Task(block=number, row=first, last_row=last)
