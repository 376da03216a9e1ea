"""A batch cut into parts, each swept forward and backward by the compiled loops.

A part is some tiles of samples that are in memory at the same time; the parts of one lane follow each other and add to
one gradient. Where an activation runs in Python, all parts follow each other on the thread of the caller: the loops
stop at its nodes and go on behind them.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from graphprop.engine.borrowed import Borrowed
from graphprop.engine.in_python import InPython
from graphprop.engine.loops import sparse
from graphprop.engine.loops.table import Table
from graphprop.engine.machine_form import table_alone, table_of
from graphprop.engine.schedule import Block, Schedule
from graphprop.engine.thread_count import get_threads
from graphprop.engine.threads import run_all, with_one_blas_thread, with_one_blas_thread_here
from graphprop.engine.tiles import WORTH_CHECKING, Cut, cut_batch
from graphprop.errors import GraphpropError
from graphprop.functions.loss import Loss
from graphprop.functions.losses import LOSSES
from graphprop.given.memory import check_memory
from graphprop.graph.layout import Array


class RefusedError(Exception):
    """Something cannot be computed in the loops alone."""


@dataclass(eq=False, slots=True)
class State:
    """The numbers of one part, each (tiles, rows or columns, width); g has the derivatives by o."""

    a: Array
    o: Array
    g: Array


@dataclass(eq=False, slots=True)
class Sweep:
    """A schedule with the numbers put in: theta, and one row of inputs for each sample."""

    schedule: Schedule
    theta: Array
    inputs: Array
    cut: Cut
    table: Table
    weights: dict[Block, Array]
    asks: bool  # whether Python is asked about what is refused, on the thread of the caller; else it is `RefusedError`
    python: InPython

    @classmethod
    def over(cls, schedule: Schedule, theta: Array, inputs: Array, asks: bool, gradient: int = 0) -> Sweep:
        """A sweep over a batch, with partial gradients of that many numbers."""
        cut = cut_batch(schedule, len(inputs), theta.itemsize, gradient)
        numbers = cut.lanes * gradient + min(cut.lanes, get_threads()) * cut.state_size(schedule)
        if (needed := theta.itemsize * numbers) > WORTH_CHECKING:
            check_memory(needed, f"a run over {len(inputs)} samples")
        weights = {block: block.of(theta) for block in schedule.blocks} if schedule.is_dense else {}
        python = InPython(schedule, theta, cut)
        return cls(schedule, theta, inputs, cut, table_of(schedule, theta.dtype), weights, asks, python)

    def forward(self, number: int, task: int, memory: Array) -> State:
        """Run one part forward; an error where it cannot be computed."""
        state = self.run_forward(number, sparse.VALUE if self.asks else task, memory)
        if len(self.schedule.maskable_rows):
            self._check_masks(state, number)
        if self.asks:
            self.check_outputs(state, number)
            if task == sparse.LEARN:
                self._learn(number, state)
        return state

    def run_forward(self, number: int, task: int, memory: Array) -> State:
        """The same without a look at the results."""
        schedule, part = self.schedule, self.cut.parts[number]
        state = self.start(number, memory)
        a, o = state.a, state.o
        for run in schedule.runs:
            for i, block in enumerate(run.blocks):
                source = self._source(block, o, part)
                if i == 0:
                    np.matmul(self.weights[block], source, out=a[0, block.rows])
                else:
                    a[0, block.rows] += self.weights[block] @ source
            self._run_nodes(self.table, number, task, state, (run.first, run.last, bool(run.blocks)))
        return state

    def _run_nodes(
        self, table: Table, number: int, task: int, state: State, nodes: tuple[int, int, bool], a: Array | None = None
    ) -> None:
        """Some nodes of one part forward, those that the loops refuse in Python. To learn, `a` has what they are of."""
        first, last, added = nodes
        o = state.o if task == sparse.VALUE or a is None else state.g
        if not self.asks:
            if self._forward(table, state.a, o, task=task, first=first, last=last, added=added) >= 0:
                raise RefusedError
            return
        for tile in range(len(o)):
            here, begin = slice(tile, tile + 1), first
            own = table, state.a[here], o[here]
            while (refused := self._forward(*own, task=task, first=begin, last=last, added=added)) >= 0:
                at_once = max(1, sparse.IN_CACHE // o.shape[2])
                begin = min(int(self.schedule.stop[refused]), last, refused + at_once)  # that far the sums are there
                if a is not None:
                    self.python.slopes(refused, begin, number, tile, a, state.a, state.o)
                    continue
                try:
                    self.python.values(refused, begin, number, tile, state.a, state.o)
                except GraphpropError:  # what it read may be to blame
                    self.check_outputs(State(state.a[here], o[here], state.g[here]), number, refused, tile)
                    raise

    def _forward(self, table: Table, a: Array, o: Array, task: int, first: int, last: int, added: bool) -> int:
        refused: int = sparse.forward(
            table=table.places, theta=self.theta, a=a, o=o, task=task, first=first, last=last, added=added
        )
        return refused

    def _backward(self, table: Table, state: State, gradient: Array, resumed: bool, first: int, last: int) -> int:
        refused: int = sparse.backward(
            table=table.places,
            theta=self.theta,
            a=state.a,
            o=state.o,
            g=state.g,
            gradient=gradient,
            fresh=False,
            resumed=resumed,
            first=first,
            last=last,
        )
        return refused

    def start(self, number: int, memory: Array) -> State:
        """The state of one part, with the inputs filled in."""
        schedule, part = self.schedule, self.cut.parts[number]
        state = self._carve(number, memory)
        if not schedule.inputs_are_dense:
            sparse.read_inputs(table=self.table.places, inputs=self.inputs[part], sample=0, o=state.o)
        return state

    def _carve(self, number: int, memory: Array) -> State:
        tiles, width = self.cut.shape(self.cut.parts[number])
        rows, columns = len(self.schedule.rows), len(self.schedule.columns)
        ends = np.cumsum([0, *(tiles * count * width for count in (rows, columns, columns))]).tolist()
        a, o, g = (memory[first:last].reshape(tiles, -1, width) for first, last in itertools.pairwise(ends))
        return State(a, o, g)

    def replay(self, a_rows: Array, o_rows: Array, number: int, memory: Array) -> State:
        """The state of one part from its a and o, as if the forward sweep had just left it."""
        state = self._carve(number, memory)
        tiles, _, width = state.a.shape
        every = slice(None)
        for array, rows in ((state.a, a_rows), (state.o, o_rows)):
            _write(array, every, rows)
            if (padded := tiles * width - len(rows)) > 0:
                array[-1, :, -padded:] = rows[-1:].T
        self._learn(number, state)
        return state

    def copied(self, kept: State, number: int, memory: Array) -> State:
        """A state with the numbers of one that has run forward."""
        state = self._carve(number, memory)
        state.a[:], state.o[:] = kept.a, kept.o
        return state

    def _learn(self, number: int, state: State) -> None:
        """Put the derivatives of elementwise nodes where their a stand."""
        schedule = self.schedule
        nodes = schedule.inputs, len(schedule.nodes), True
        self._run_nodes(table_alone(schedule, self.theta.dtype), number, sparse.LEARN, state, nodes, state.a.copy())

    def _check_masks(self, state: State, number: int) -> None:
        """Refuse -inf in a node that takes it as a mask where it is not its bias, and in outputs of others."""
        schedule, rows = self.schedule, self.schedule.maskable_rows
        bias = schedule.maskable_bias
        masked = (bias >= 0) & (self.theta[bias] == -np.inf)
        if masked.any() or state.a[:, rows].min() == -np.inf:
            stray = (np.isneginf(state.a[:, rows]) != masked[:, None]).any(axis=(0, 2))
            if stray.any():
                node = np.searchsorted(schedule.row_first, rows[np.argmax(stray)], side="right") - 1
                self._explain(state.a, number, int(node))
        columns = schedule.log_columns
        if len(columns) and state.o[:, columns].min() == -np.inf:
            lost = (np.isneginf(state.o[:, columns]) & ~masked[schedule.has_log_column, None]).any(axis=(0, 2))
            if lost.any():
                column = int(columns[np.argmax(lost)])
                self._explain(state.a, number, self.python.node_of(column))
                self.python.refuse_range(state.o, number, column)

    def check_outputs(self, state: State, number: int, before: int | None = None, tile: int = 0) -> None:
        """Refuse the first output that is not finite, of nodes before one; a masked log-probability may be -inf."""
        schedule = self.schedule
        last = len(schedule.columns) if before is None else int(schedule.column_first[before])
        for column in np.flatnonzero(~np.isfinite(state.o[:, :last]).all(axis=(0, 2))).tolist():
            node = self.python.node_of(column)
            if node >= schedule.inputs:
                masks = schedule.kinds[schedule.kind[node]].masks
                if not self.asks and not masks:
                    raise RefusedError
                self._explain(state.a, number, node, tile)
                if not masks:
                    self.python.refuse_range(state.o, number, column, tile)

    def _explain(self, a: Array, number: int, node: int, tile: int = 0) -> None:
        """Raise the error of the first sample of a part in which this node cannot be computed, if there is one."""
        rows = np.arange(self.schedule.row_first[node], self.schedule.row_first[node + 1])
        self.python.outputs(node, self.read(a, rows, number), number, tile)

    def clear(self, g: Array) -> None:
        """Set to 0 what the backward sweep does not: see `sparse.backward`."""
        g[:, self.schedule.preset_columns if g.shape[2] > 1 else slice(None)] = 0

    def seed(self, g: Array, columns: Array, seed: Array) -> None:
        """Set the direct derivatives with respect to `columns`, one row for each sample."""
        self.clear(g)
        _write(g, columns, seed)

    def backward(
        self,
        number: int,
        state: State,
        gradient: Array,
        first: bool = False,
        by_use: bool = False,
        to_inputs: bool = False,
    ) -> None:
        """Complete g, the derivatives by o of one part; those by a take the place of a.

        Those by the parameters are added to `gradient`, which is aligned with theta or, `by_use`, with the uses of
        weights and then those of biases. `first` says that it has no numbers yet where it alone writes.
        """
        schedule, a, o, g = self.schedule, state.a, state.o, state.g
        table = table_of(schedule, self.theta.dtype, by_use)
        if not schedule.is_dense:
            self._run_back(table, number, state, gradient, 0, len(schedule.nodes))
        else:
            for run in reversed(schedule.runs):
                self._run_back(table, number, state, gradient, run.first, run.last)
                for block in run.blocks:
                    delta, source = a[0, block.rows], self._source(block, o, self.cut.parts[number])
                    block.add_product(gradient, delta, source, by_use, first)
                    if to_inputs or block.columns.stop > schedule.input_width:
                        g[0, block.columns] += self.weights[block].T @ delta
            if to_inputs or not schedule.inputs_are_dense:
                self._run_back(table, number, state, gradient, 0, schedule.inputs)

    def _run_back(self, table: Table, number: int, state: State, gradient: Array, first: int, last: int) -> None:
        """Some nodes of one part backward, those whose derivative the loops refuse in Python."""
        tiles = [slice(tile, tile + 1) for tile in range(len(state.a))] if self.asks else [slice(None)]
        for tile, here in enumerate(tiles):
            own, end, resumed = State(state.a[here], state.o[here], state.g[here]), last, False
            while (refused := self._backward(table, own, gradient, resumed=resumed, first=first, last=end)) >= 0:
                if not self.asks:
                    raise RefusedError
                self.python.pull(refused, number, tile, state.a, state.o, state.g)
                end, resumed = refused + 1, True

    def _inputs(self, part: slice) -> Array:
        rows = self.inputs[part]
        return rows if self.schedule.reads_all_inputs else rows[:, self.schedule.input_columns]

    def _source(self, block: Block, o: Array, part: slice) -> Array:
        """What a block multiplies; inputs as they were given, where nothing else reads them."""
        if self.schedule.inputs_are_dense and block.columns.start < self.schedule.input_width:
            return self._inputs(part)[:, block.columns].T
        columns: Array = o[0, block.columns]
        return columns

    def read(self, tiles: Array, columns: Any, number: int) -> Array:
        """Some columns of one part, with a row for each of its samples."""
        if tiles.shape[0] == tiles.shape[2] == 1:
            one: Array = tiles[0, columns].T
            return one
        part, picked = self.cut.parts[number], tiles[:, columns]
        samples = tiles.shape[0] * tiles.shape[2]
        rows: Array = picked.transpose(0, 2, 1).reshape(samples, picked.shape[1])[: part.stop - part.start]
        return rows

    def each_part(self, run: Callable[[int, Array], None], losses: Iterable[Loss] = ()) -> None:
        """run(part, memory for it) of all parts, lanes side by side, if nothing in it is called that is a user's."""
        on_one_thread = self.asks or any(LOSSES.get(loss.name) is not loss for loss in losses)
        size = self.cut.state_size(self.schedule)

        def steps(lane: int) -> Iterator[bool]:
            with np.errstate(all="ignore"), Borrowed(size, self.theta.dtype) as memory:
                for part in range(lane, len(self.cut.parts), self.cut.lanes):
                    here(partial(run, part, memory))
                    yield True

        def all_lanes() -> None:
            if on_one_thread:
                for _ in itertools.chain.from_iterable(map(steps, range(self.cut.lanes))):
                    pass
            else:
                run_all(self.cut.lanes, steps)

        multiplies = self.schedule.is_dense
        here, everywhere = (with_one_blas_thread_here, with_one_blas_thread) if multiplies else (operator.call,) * 2
        everywhere(all_lanes)

    @contextmanager
    def gradients(self, count: int, start: Any = slice(None)) -> Iterator[list[Array]]:
        """For each lane that many numbers, which are 0 at `start`. The first is new, and may be given back."""
        others = self.cut.lanes - 1
        with Borrowed(others * count, self.theta.dtype) as memory:
            gradients = [np.empty(count, self.theta.dtype), *memory.reshape(others, count)]
            for gradient in gradients:
                gradient[start] = 0
            yield gradients


def put(rows: Array, columns: Array, numbers: Array, added: bool) -> None:
    """Write columns of a derivative that is 0 yet, or where a column may be there several times, add them."""
    if added:
        np.add.at(rows.T, columns, numbers.T)
    else:
        rows[:, columns] = numbers


def _write(tiles: Array, columns: Any, rows: Array) -> None:
    """Write one row for each sample into columns of tiles."""
    width = tiles.shape[2]
    if len(rows) == width:
        tiles[0, columns] = rows.T
        return
    for tile in range(tiles.shape[0]):
        given = rows[tile * width : (tile + 1) * width]
        tiles[tile, columns, : len(given)] = given.T
