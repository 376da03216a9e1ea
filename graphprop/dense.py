"""Programs with dense blocks: a loss and its gradient, the matrix products shared out among the threads.

There are two steps. In the first the samples are cut into lanes, which each go forward and backward; in the second the
derivatives by the weights are products over all samples, which are cut by the rows of the blocks. So no lane has a
gradient of its own for the weights of blocks, and nothing depends on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from graphprop import kernels
from graphprop.cutting import LANES, PART_BYTES, WORTH_CHECKING
from graphprop.layout import Array
from graphprop.losses import Loss
from graphprop.memory import Borrowed, check_memory
from graphprop.natives import loss_address
from graphprop.program import Block, Program
from graphprop.tables import Table
from graphprop.threads import one_blas_thread, run_all

WORTH_SHARING = 2_000_000  # multiplications; less is done by one thread
ROWS_AT_ONCE = 64  # of a block; fewer at a time take BLAS longer
Task = tuple[tuple[Block, slice], ...]  # products that follow each other


@dataclass(frozen=True, eq=False, slots=True)
class DenseDescent:
    """A loss of the outputs and its gradient by theta, for batches of one size."""

    program: Program
    table: Table
    loss: int  # the address of its machine code
    limits: tuple[float, float]  # of targets
    head_start: Array
    head_column: Array
    samples: int
    chunks: tuple[slice, ...]  # of samples that are in memory at the same time
    lanes: int
    tasks: tuple[Task, ...]  # the products of the second step
    dtype: np.dtype[Any]
    even: Array  # what every sample counts for

    @classmethod
    def of(
        cls, program: Program, loss: Loss, starts: Array, columns: Array, samples: int, dtype: np.dtype[Any]
    ) -> DenseDescent | None:
        """None if something of it is no machine code."""
        address = loss_address(loss)
        if not address:
            return None
        length = max(1, min(samples, PART_BYTES // (dtype.itemsize * program.size)))
        chunks = tuple(slice(first, min(samples, first + length)) for first in range(0, samples, length))
        lanes = 1
        if length >= 32 and length * program.weights > WORTH_SHARING:
            lanes = max(2, min(LANES, length // 128))
        heads = starts, program.column_numbers[columns]
        tasks = tuple(_share_out(program, length))
        even = np.array([1 / samples])
        limits = kernels.LIMITS[loss.targets]
        return cls(program, program.table(dtype), address, limits, *heads, samples, chunks, lanes, tasks, dtype, even)

    def run(self, theta: Array, inputs: Array, target: Array, share: Array) -> tuple[float, Array] | None:
        """The value and the gradient; None if any number is not what it may be."""
        program, count = self.program, len(theta)
        if not (kernels.within(inputs, -kernels.LARGEST, kernels.LARGEST) and kernels.within(target, *self.limits)):
            return None
        longest = self.chunks[0].stop
        if (needed := self.dtype.itemsize * (self.lanes * count + longest * program.size)) > WORTH_CHECKING:
            check_memory(needed, f"a run over {self.samples} samples")
        gradient = np.empty(count, self.dtype)
        terms = np.empty((self.samples, len(self.head_start) - 1))
        extra, state = (self.lanes - 1) * count, longest * program.size
        with Borrowed(extra, self.dtype) as block, Borrowed(state, self.dtype) as memory, one_blas_thread():
            gradients = [gradient, *block.reshape(self.lanes - 1, count)]
            shared = slice(None) if program.shared_positions is None else program.shared_positions
            for each in gradients:
                each[shared] = 0
            weights = {block: block.of(theta) for block in program.blocks}
            for chunk in self.chunks:
                step = Chunk(self, theta, weights, inputs, target, share, terms, memory, chunk)
                if not all(run_all(self.lanes, partial(step.differentiate, gradients))):
                    return None
                run_all(len(self.tasks), partial(step.multiply, gradient))
            for each in gradients[1:]:
                gradient[shared] += each[shared]
        value, fine = kernels.finish(terms, gradient, np.empty((0, count), self.dtype))
        return (value, gradient) if fine else None


def _share_out(program: Program, samples: int) -> Iterator[Task]:
    """The products for the gradient, those of other blocks that have the same parameters one after the other."""
    for block in program.blocks:
        if block.alone:
            rows = block.rows.stop - block.rows.start
            work = samples * block.positions.size
            count = max(1, min(LANES, rows // ROWS_AT_ONCE, 2 * work // WORTH_SHARING))
            for first, last in pairwise(rows * i // count for i in range(count + 1)):
                yield ((block, slice(first, last)),)
    if others := tuple((block, slice(None)) for block in program.blocks if not block.alone):
        yield others


class Chunk:
    """Samples that are in memory at the same time: each row of a, o and g holds one number of all of them."""

    def __init__(
        self,
        plan: DenseDescent,
        theta: Array,
        weights: dict[Block, Array],
        inputs: Array,
        target: Array,
        share: Array,
        terms: Array,
        memory: Array,
        chunk: slice,
    ) -> None:
        self.plan, self.program, self.theta, self.weights = plan, plan.program, theta, weights
        self.inputs, self.target, self.share, self.terms = inputs, target, share, terms
        self.first, self.count = chunk.start, chunk.stop - chunk.start
        rows, columns = len(self.program.rows), len(self.program.columns)
        ends = [self.count * size for size in (0, rows, rows + columns, rows + 2 * columns)]
        self.a, self.o, self.g = (memory[i:j].reshape(1, -1, self.count) for i, j in pairwise(ends))

    def differentiate(self, gradients: list[Array], lane: int) -> bool:
        """The first step for one lane; whether all went well."""
        begin, end = (self.count * i // self.plan.lanes for i in (lane, lane + 1))
        with np.errstate(all="ignore"), one_blas_thread():
            return self._forward(begin, end) and self._backward(begin, end, gradients[lane])

    def _forward(self, begin: int, end: int) -> bool:
        plan, program, a, o, width = self.plan, self.program, self.a, self.o, end - begin
        places, part = plan.table.places, slice(begin, end)
        if not program.inputs_are_dense:
            kernels.read_inputs(places, self.inputs, self.first + begin, o, begin, width)
        for run in program.runs:
            for i, block in enumerate(run.blocks):
                sums, source = a[0, block.rows, part], self._source(block, part)
                if i == 0:
                    np.matmul(self.weights[block], source, out=sums)
                else:
                    sums += self.weights[block] @ source
            nodes = run.first, run.last, bool(run.blocks)
            if kernels.forward(places, self.theta, a, o, begin, width, kernels.LEARN, *nodes) >= 0:
                return False
        self.g[0, program.input_width if program.inputs_are_dense else 0 :, part] = 0
        heads = plan.head_start, plan.head_column, 0, len(plan.head_start) - 1
        given = self.target, self.share, self.first + begin
        kernels.compare(plan.loss, *heads, *given, o, self.g, begin, width, self.terms)
        return True

    def _backward(self, begin: int, end: int, gradient: Array) -> bool:
        program, part = self.program, slice(begin, end)
        arrays = self.plan.table.places, self.theta, self.a, self.o, self.g, gradient, begin, end - begin
        for run in reversed(program.runs):
            if kernels.backward(*arrays, run.first, run.last) >= 0:
                return False
            for block in run.blocks:
                if block.columns.stop > program.input_width:
                    self.g[0, block.columns, part] += self.weights[block].T @ self.a[0, block.rows, part]
        if not program.inputs_are_dense:
            kernels.backward(*arrays, 0, program.inputs)
        return True

    def multiply(self, gradient: Array, number: int) -> None:
        """A task of the second step."""
        with np.errstate(all="ignore"), one_blas_thread():
            for block, rows in self.plan.tasks[number]:
                delta = self.a[0, block.rows][rows]
                source = self._source(block, slice(0, self.count))
                block.add_product(gradient, delta, source, False, self.first == 0, rows)

    def _source(self, block: Block, part: slice) -> Array:
        """What a block multiplies; inputs as they were given, where nothing else reads them."""
        program = self.program
        if program.inputs_are_dense and block.columns.start < program.input_width:
            own = self.inputs[self.first + part.start : self.first + part.stop]
            return (own if program.reads_all_inputs else own[:, program.input_columns])[:, block.columns].T
        columns: Array = self.o[0, block.columns, part]
        return columns
