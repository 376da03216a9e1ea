"""Programs with dense blocks: a loss and its gradient, the matrix products shared out among the threads.

There are two steps. In the first the samples are cut into lanes, which each go forward and backward; in the second the
derivatives by the weights are products over all samples, which are cut by the rows of the blocks. So no lane has a
gradient of its own for the weights of blocks, and nothing depends on the number of threads. Each lane has a tile of its
own: threads that write side by side into the same rows wait for each other's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from graphprop import kernels
from graphprop.blas import blas_addresses
from graphprop.cutting import LANES, PART_BYTES, WORTH_CHECKING
from graphprop.layout import Array
from graphprop.losses import Loss
from graphprop.memory import Borrowed, check_memory
from graphprop.natives import loss_address
from graphprop.program import Program
from graphprop.tables import Table
from graphprop.threads import one_blas_thread, run_all

WORTH_SHARING = 2_000_000  # multiplications; less is done by one thread
FEWEST_ROWS = 64  # of a block in one product; BLAS takes longer for fewer at a time
MOST_TASKS = 4  # of a block; it takes longer for more, too


class Task(NamedTuple):
    """A product of the second step: the derivatives by the weights of these rows of a block."""

    block: int
    row: int
    last_row: int


@dataclass(frozen=True, eq=False, slots=True)
class DenseDescent:
    """A loss of the outputs and its gradient by theta, for batches of one size."""

    program: Program
    table: Table  # with the derivatives numbered as in `shared`
    shared: Array  # the positions of theta that are not those of a block
    gemm: int  # the addresses of products and of the loss
    gemv: int
    loss: int
    limits: tuple[float, float]  # of targets
    goal_start: Array
    goal_column: Array
    runs: Array
    blocks: Array
    direct: bool  # whether blocks alone read the inputs, and all of them
    samples: int
    chunks: tuple[tuple[int, int], ...]  # samples that are in memory at the same time
    lanes: int
    tasks: tuple[Task, ...]
    dtype: np.dtype[Any]
    even: Array  # what every sample counts for
    checks_theta: bool  # whether it has parameters that nothing reads

    @classmethod
    def of(
        cls, program: Program, loss: Loss, starts: Array, columns: Array, samples: int, dtype: np.dtype[Any]
    ) -> DenseDescent | None:
        """None if something of it is no machine code, or a block no matrix as BLAS takes it."""
        address, products = loss_address(loss), blas_addresses(dtype)
        if not address or products is None or not all(block.strided and block.alone for block in program.blocks):
            return None
        length = max(1, min(samples, PART_BYTES // (dtype.itemsize * program.size)))
        chunks = tuple((first, min(samples, first + length)) for first in range(0, samples, length))
        lanes = 1
        if length >= 32 and length * program.weights > WORTH_SHARING:
            lanes = max(2, min(LANES, length // 256))
        shared = np.arange(program.layout.size)[program.shared_positions]
        return cls(
            program,
            program.table(dtype).adding_to(shared),
            shared,
            *products,
            address,
            kernels.LIMITS[loss.targets],
            starts,
            program.column_numbers[columns],
            *_as_arrays(program),
            program.inputs_are_dense and program.reads_all_inputs,
            samples,
            chunks,
            lanes,
            tuple(_share_out(program, length)),
            dtype,
            np.array([1 / samples]),
            len(program.unused_positions) > 0,
        )

    def run(self, theta: Array, inputs: Array, target: Array, share: Array) -> tuple[float, Array] | None:
        """The value and the gradient; None if any number is not what it may be."""
        longest = self.chunks[0][1]
        size = self.lanes * -(-longest // self.lanes) * self.program.size
        if (needed := self.dtype.itemsize * size) > WORTH_CHECKING:
            check_memory(needed, f"a run over {self.samples} samples")
        gradient, sums = np.empty(len(theta), self.dtype), np.zeros((self.lanes, len(self.shared)), self.dtype)
        terms = np.empty((self.samples, len(self.goal_start) - 1))
        with Borrowed(size, self.dtype) as memory, one_blas_thread():
            given = theta, inputs, target, share, terms, sums
            for first, last in self.chunks:
                arrays = self._carve(memory, last - first)
                within = arrays, first, last
                if not self._each(self.lanes, partial(self._differentiate, *given, *within)):
                    return None
                if not self._each(len(self.tasks), partial(self._multiply, inputs, gradient, *within)):
                    return None
        value, fine = kernels.finish(terms, sums[0], sums[1:])
        gradient[self.shared] = sums[0]
        return (value, gradient) if fine else None

    def _each(self, parts: int, run: Callable[[int], bool]) -> bool:
        """run(0) to run(parts - 1), side by side if there is more than one lane; whether all went well."""
        if self.lanes == 1:
            return all(map(run, range(parts)))

        def steps(part: int) -> Iterator[bool]:
            with one_blas_thread():
                yield run(part)

        return run_all(parts, steps)

    def _carve(self, memory: Array, length: int) -> tuple[Array, ...]:
        """a, o and g of so many samples, in a tile for each lane."""
        rows, columns, width = len(self.program.rows), len(self.program.columns), -(-length // self.lanes)
        ends = [self.lanes * width * size for size in (0, rows, rows + columns, rows + 2 * columns)]
        return tuple(memory[i:j].reshape(self.lanes, -1, width) for i, j in pairwise(ends))

    def _differentiate(
        self,
        theta: Array,
        inputs: Array,
        target: Array,
        share: Array,
        terms: Array,
        sums: Array,
        arrays: tuple[Array, ...],
        first: int,
        last: int,
        lane: int,
    ) -> bool:
        """The first step for one lane of the samples `first` to `last`."""
        width = arrays[0].shape[2]
        begin = first + lane * width
        if begin >= last:
            return True
        tile = [array[lane : lane + 1] for array in arrays]
        fixed = self.gemm, self.gemv, self.table.places, self.runs, self.blocks, self.program.inputs, self.direct
        heads = self.goal_start, self.goal_column, self.loss, *self.limits
        given = theta, inputs, target, share, terms, sums[lane]
        return bool(kernels.learn_dense(*fixed, *heads, *given, *tile, begin, min(width, last - begin)))

    def _multiply(
        self, inputs: Array, gradient: Array, arrays: tuple[Array, ...], first: int, last: int, number: int
    ) -> bool:
        """A product of the second step."""
        task, (a, o, _) = self.tasks[number], arrays
        block = self.blocks[task.block]
        direct = self.direct and bool(block[kernels.COL] < self.program.input_width)
        given = direct, inputs, first, last, a, o, gradient, first > 0
        return bool(kernels.multiply_backward(self.gemm, block, task.row, task.last_row, *given))


def _as_arrays(program: Program) -> tuple[Array, Array]:
    """The runs of a program and their blocks, as the compiled loops read them."""
    ends = np.cumsum([0, *(len(run.blocks) for run in program.runs)])
    spans = zip(program.runs, pairwise(ends), strict=True)
    runs = [(run.first, run.last, block, last_block) for run, (block, last_block) in spans]
    blocks = [
        (b.rows.start, b.rows.stop - b.rows.start, b.columns.start, b.columns.stop - b.columns.start, *b.steps)
        for b in program.blocks
    ]
    return np.array(runs), np.array(blocks)


def _share_out(program: Program, samples: int) -> Iterator[Task]:
    """The products for the gradient, by rows if they are much work."""
    for number, block in enumerate(program.blocks):
        rows, columns = block.positions.shape
        count = max(1, min(MOST_TASKS, rows // FEWEST_ROWS, 2 * samples * rows * columns // WORTH_SHARING))
        for first, last in pairwise(rows * i // count for i in range(count + 1)):
            yield Task(number, first, last)
