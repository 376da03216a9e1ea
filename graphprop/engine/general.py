"""Runs a schedule: the batch cut into parts, each swept forward and backward, their gradients added up in order.

How a batch is cut depends on its shape alone, so results have the same bits on any number of threads. A part
is some tiles of samples that are in memory at the same time; the parts of one lane follow each other and add to
one gradient.

Where an activation runs in Python, the parts follow each other on the thread of the caller: the loops stop at its nodes
and go on behind them. So they do when something has been refused, as the activation's Python function says then
what it is, or that it is nothing.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn, TypeVar

import numpy as np

from graphprop.engine.borrowed import Borrowed
from graphprop.engine.fast import answer, descend_objective
from graphprop.engine.fast import descend as descend  # for programs
from graphprop.engine.loops import sparse
from graphprop.engine.loops.table import Table
from graphprop.engine.lowering import towards
from graphprop.engine.machine_form import calls_python as calls_python  # for programs
from graphprop.engine.machine_form import renewed, table_of
from graphprop.engine.schedule import Block, Schedule
from graphprop.engine.threads import get_threads, run_all, with_one_blas_thread, with_one_blas_thread_here
from graphprop.engine.tiles import WORTH_CHECKING, Cut, cut_batch
from graphprop.errors import PASSING, GraphpropError, NumberError
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats
from graphprop.functions.losses import LOSSES, Loss
from graphprop.given.arrays import all_finite, with_warnings_kept
from graphprop.given.memory import check_memory
from graphprop.graph.layout import Array
from graphprop.passes.finiteness import (
    check_a,
    check_gradients,
    check_o,
    derivative_error,
    derivative_lost,
    node_in,
    outputs_of_node,
    pull_of_node,
    value_error,
)
from graphprop.passes.objective import Objective

FLOATS = Floats()
_NOTHING = np.zeros((0, 0))
Result = TypeVar("Result")


class _RefusedError(Exception):
    """Something cannot be computed in the loops alone."""


def _with_python_if_need_be(run: Callable[[bool], Result], schedule: Schedule, dtype: np.dtype[Any]) -> Result:
    """run(whether Python is asked), asked only where there is something to be called, or to be found out."""

    def run_twice_if_need_be() -> Result:
        if not calls_python(schedule, dtype):
            try:
                return run(False)
            except _RefusedError:
                pass
        return run(True)

    return with_warnings_kept(run_twice_if_need_be)


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
    asks: bool  # whether Python is asked about what is refused, on the thread of the caller; else it is `_RefusedError`
    warned: Any = field(default_factory=np.geterr)  # what the caller wants to hear of numpy

    @classmethod
    def over(cls, schedule: Schedule, theta: Array, inputs: Array, asks: bool, gradient: int = 0) -> Sweep:
        """A sweep over a batch, with partial gradients of that many numbers."""
        cut = cut_batch(schedule, len(inputs), theta.itemsize, gradient)
        numbers = cut.lanes * gradient + min(cut.lanes, get_threads()) * cut.state_size(schedule)
        if (needed := theta.itemsize * numbers) > WORTH_CHECKING:
            check_memory(needed, f"a run over {len(inputs)} samples")
        weights = {block: block.of(theta) for block in schedule.blocks} if schedule.is_dense else {}
        return cls(schedule, theta, inputs, cut, table_of(schedule, theta.dtype), weights, asks)

    def forward(self, number: int, task: int, memory: Array) -> State:
        """Run one part forward; an error where it cannot be computed."""
        state = self.run_forward(number, sparse.VALUE if self.asks else task, memory)
        if len(self.schedule.maskable_rows):
            self._check_masks(state, number)
        if self.asks:
            _check_outputs(self, state, number)
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
            if sparse.forward(table.places, self.theta, state.a, o, task, first, last, added) >= 0:
                raise _RefusedError
            return
        for tile in range(len(o)):
            here, begin = slice(tile, tile + 1), first
            arrays = table.places, self.theta, state.a[here], o[here]
            while (refused := sparse.forward(*arrays, task, begin, last, added)) >= 0:
                at_once = max(1, sparse.IN_CACHE // o.shape[2])
                begin = min(int(self.schedule.stop[refused]), last, refused + at_once)  # that far the sums are there
                if a is not None:
                    self._slopes_in_python(refused, begin, number, tile, state, a)
                    continue
                try:
                    self._values_in_python(refused, begin, number, tile, state)
                except GraphpropError:  # what it read may be to blame
                    _check_outputs(self, State(state.a[here], o[here], state.g[here]), number, refused, tile)
                    raise

    def start(self, number: int, memory: Array) -> State:
        """The state of one part, with the inputs filled in."""
        schedule, part = self.schedule, self.cut.parts[number]
        state = self._carve(number, memory)
        if not schedule.inputs_are_dense:
            sparse.read_inputs(self.table.places, self.inputs[part], 0, state.o)
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

    def _learn(self, number: int, state: State) -> None:
        """Put the derivatives of elementwise nodes where their a stand."""
        table, schedule = self.table, self.schedule
        alone = replace(table, start=np.zeros_like(table.start), bias=np.full_like(table.bias, -1))
        nodes = schedule.inputs, len(schedule.nodes), True
        self._run_nodes(alone, number, sparse.LEARN, state, nodes, state.a.copy())

    def _check_masks(self, state: State, number: int) -> None:
        """Refuse -inf in a node that takes it as a mask where it is not its bias, and in outputs of others."""
        schedule, rows = self.schedule, self.schedule.maskable_rows
        bias = schedule.bias_position[rows]
        masked = (bias >= 0) & (self.theta[bias] == -np.inf)
        if masked.any() or state.a[:, rows].min() == -np.inf:
            stray = (np.isneginf(state.a[:, rows]) != masked[:, None]).any(axis=(0, 2))
            if stray.any():
                node = np.searchsorted(schedule.row_first, rows[np.argmax(stray)], side="right") - 1
                explain_node(self, state.a, number, int(node))
        columns = schedule.log_columns
        if len(columns) and state.o[:, columns].min() == -np.inf:
            lost = (np.isneginf(state.o[:, columns]) & ~masked[schedule.has_log_column, None]).any(axis=(0, 2))
            if lost.any():
                column = int(columns[np.argmax(lost)])
                explain_node(self, state.a, number, self.node_of(column))
                _refuse_range(self, state.o, number, column)

    def clear(self, g: Array) -> None:
        """Set to 0 what the backward sweep does not: see `kernels.backward`."""
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
            arrays = table.places, self.theta, state.a[here], state.o[here], state.g[here], gradient, False
            end, resumed = last, False
            while (refused := sparse.backward(*arrays, resumed, first, end)) >= 0:
                if not self.asks:
                    raise _RefusedError
                self._pull_in_python(refused, number, tile, state)
                end, resumed = refused + 1, True

    # what the loops do not do: one node of one tile, or elementwise ones side by side, a sample at a time

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
        return part.start + tile * self.cut.shape(part)[1] + k if len(self.inputs) > 1 else None

    def _values_in_python(self, first: int, last: int, number: int, tile: int, state: State) -> None:
        rows, columns, samples = self._nodes(first, last, number, tile)
        f, a, o = self.schedule.kinds[self.schedule.kind[first]], state.a[tile, rows], state.o[tile, columns]
        numbers = (
            self._each(first, last, number, tile, f.value_function, a[:, :samples]) if self._are_plain(f, a) else None
        )
        if numbers is not None and all_finite(numbers):
            o[:, :samples] = numbers
        else:  # the node that is to blame is told
            for node in range(first, last):
                own, those, _ = self._nodes(node, node + 1, number, tile)
                outputs = self.values(node, state.a[tile, own, :samples].T, number, tile)
                state.o[tile, those, :samples] = np.array(outputs).T
        if not f.masks and not all_finite(o[:, :samples]):
            bad = int(np.argwhere(~np.isfinite(o[:, :samples]))[0][0]) + columns.start
            _refuse_range(self, state.o[tile : tile + 1], number, bad, tile)
        o[:, samples:] = o[:, samples - 1 : samples]

    def _slopes_in_python(self, first: int, last: int, number: int, tile: int, state: State, before: Array) -> None:
        rows, columns, samples = self._nodes(first, last, number, tile)
        if self.schedule.pulled[first]:
            return
        f, slopes = self.schedule.kinds[self.schedule.kind[first]], state.a[tile, rows]
        numbers = before[tile, rows, :samples], state.o[tile, columns, :samples]
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
        try:
            with np.errstate(**self.warned):
                for numbers in zip(*(array.ravel().tolist() for array in given), strict=True):
                    done.append(float(function(*numbers, *fixed)))
        except PASSING:
            raise
        except Exception as error:  # a user's function may raise anything
            row, k = divmod(len(done), given[0].shape[1])
            row += int(schedule.row_first[first])
            node = int(np.searchsorted(schedule.row_first, row, side="right")) - 1
            sample = self.sample(number, tile, k)
            v, own = int(schedule.nodes[node]), schedule.row_first[node : node + 2] - schedule.row_first[first]
            if len(given) > 1:
                raise derivative_error(layout, v, f, error, sample) from error
            raise value_error(layout, v, f, given[0][int(own[0]) : int(own[1]), k].tolist(), error, sample) from error
        return np.array(done).reshape(given[0].shape)

    def _pull_in_python(self, node: int, number: int, tile: int, state: State) -> None:
        rows, columns, samples = self._nodes(node, node + 1, number, tile)
        delta, o, g = state.a[tile, rows], state.o[tile, columns, :samples], state.g[tile, columns, :samples]
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

    def values(self, node: int, samples: Array, number: int, tile: int) -> list[list[float]]:
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
        part = self.cut.parts[number]
        samples = tiles.shape[0] * tiles.shape[2]
        rows: Array = tiles[:, columns].transpose(0, 2, 1).reshape(samples, len(columns))[: part.stop - part.start]
        return rows

    def each_part(self, run: Callable[[int, Array], None], loss: Loss | None = None) -> None:
        """run(part, memory for it) of all parts, lanes side by side, if nothing in it is called that is a user's."""
        on_one_thread = self.asks or (loss is not None and LOSSES.get(loss.name) is not loss)
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


def _write(tiles: Array, columns: Any, rows: Array) -> None:
    """Write one row for each sample into columns of tiles."""
    width = tiles.shape[2]
    if len(rows) == width:
        tiles[0, columns] = rows.T
        return
    for tile in range(tiles.shape[0]):
        given = rows[tile * width : (tile + 1) * width]
        tiles[tile, columns, : len(given)] = given.T


# ------------------------------------------------------------------ what is asked of a schedule


def predict(schedule: Schedule, theta: Array, inputs: Array) -> Array:
    """The outputs of the goals, a row for each sample."""
    if (found := answer(renewed(schedule), theta, inputs)) is not None:
        return found
    return _with_python_if_need_be(lambda asks: _predict(schedule, theta, inputs, asks), schedule, theta.dtype)


def _predict(schedule: Schedule, theta: Array, inputs: Array, asks: bool) -> Array:
    sweep = Sweep.over(schedule, theta, inputs, asks)
    columns = schedule.goal_columns
    result = np.empty((len(inputs), len(columns)), dtype=theta.dtype)

    def run(part: int, memory: Array) -> None:
        state = sweep.forward(part, sparse.VALUE, memory)
        result[sweep.cut.parts[part]] = outputs = sweep.read(state.o, columns, part)
        if _are_lost(schedule, outputs, columns):
            _check_outputs(sweep, state, part)

    sweep.each_part(run)
    return result


def differentiate(
    schedule: Schedule, theta: Array, inputs: Array, objective: Objective, to_inputs: bool = False
) -> tuple[float, Array, Array]:
    """The value of a loss (of seeds, 0), and its derivatives by theta and, if they are wanted, by the inputs."""
    schedule = renewed(towards(schedule, objective.reads))
    if not to_inputs and (found := descend_objective(schedule, theta, inputs, objective)) is not None:
        return *found, _NOTHING

    def run(asks: bool) -> tuple[float, Array, Array]:
        return _differentiate(schedule, theta, inputs, objective, to_inputs, asks)

    return _with_python_if_need_be(run, schedule, theta.dtype)


def _differentiate(
    schedule: Schedule, theta: Array, inputs: Array, objective: Objective, to_inputs: bool, asks: bool
) -> tuple[float, Array, Array]:
    sweep = Sweep.over(schedule, theta, inputs, asks, len(theta))
    columns = schedule.column_numbers[objective.columns]
    by_inputs = np.zeros(sweep.inputs.shape, theta.dtype) if to_inputs else _NOTHING
    terms: list[list[float]] = [[]] * len(sweep.cut.parts)

    def seeded(part: int, memory: Array) -> State:
        state = sweep.forward(part, sparse.LEARN, memory)
        outputs = sweep.read(state.o, columns, part)
        if _are_lost(schedule, outputs, columns):
            _check_outputs(sweep, state, part)
        terms[part], seed = objective.evaluate(outputs, FLOATS, sweep.cut.parts[part])
        sweep.seed(state.g, columns, seed)
        return state

    def run(part: int, memory: Array) -> None:
        state = seeded(part, memory)
        sweep.backward(part, state, gradients[part % sweep.cut.lanes], part < sweep.cut.lanes, to_inputs=to_inputs)
        if to_inputs:
            own = sweep.read(state.g, np.arange(schedule.input_width), part)
            by_inputs[sweep.cut.parts[part], schedule.input_columns] = own

    with sweep.gradients(len(theta), schedule.shared_positions) as gradients:
        sweep.each_part(run, objective.loss)
        gradient = _added(gradients)
    value = objective.total([x for part in terms for x in part], FLOATS)
    if not (all_finite(gradient) and all_finite(by_inputs)):
        sweep.each_part(lambda part, memory: _check_part(sweep, part, seeded(part, memory)), objective.loss)
        _refuse(gradient, schedule.layout.label_position)
        _refuse(by_inputs, schedule.label_input)
    return value, gradient, by_inputs


def _check_part(sweep: Sweep, number: int, state: State) -> None:
    """Complete the derivatives of one part, and refuse the first that is not finite."""
    schedule, layout, part = sweep.schedule, sweep.schedule.layout, sweep.cut.parts[number]
    sweep.backward(number, state, np.zeros_like(sweep.theta), to_inputs=True)
    a_grad, o_grad = (
        np.zeros((part.stop - part.start, int(starts[-1]))) for starts in (layout.a_start, layout.o_start)
    )
    a_grad[:, schedule.rows] = sweep.read(state.a, np.arange(len(schedule.rows)), number)
    o_grad[:, schedule.columns] = sweep.read(state.g, np.arange(len(schedule.columns)), number)
    nodes = list(range(len(layout.names)))
    check_gradients(layout, nodes, a_grad, o_grad, np.empty(0), sweep.sample(number, 0, 0))


def _added(gradients: list[Array]) -> Array:
    total, *others = gradients
    for other in others:
        total += other
    return total


def trace(schedule: Schedule, theta: Array, inputs: Array) -> tuple[Array, Array]:
    """Every a and o, numbered as in the layout, a row for each sample."""
    layout = schedule.layout
    schedule = renewed(towards(schedule, range(len(layout.names))))
    sizes = int(layout.a_start[-1]), int(layout.o_start[-1])
    check_memory(8 * len(inputs) * sum(sizes), f"a trace of {len(inputs)} samples")
    return _with_python_if_need_be(lambda asks: _trace(schedule, theta, inputs, asks), schedule, theta.dtype)


def _trace(schedule: Schedule, theta: Array, inputs: Array, asks: bool) -> tuple[Array, Array]:
    layout = schedule.layout
    a_flat, o_flat = (np.zeros((len(inputs), int(starts[-1]))) for starts in (layout.a_start, layout.o_start))
    sweep = Sweep.over(schedule, theta, inputs, asks)

    def run(part: int, memory: Array) -> None:
        state = sweep.forward(part, sparse.VALUE, memory)
        _check_outputs(sweep, state, part)
        samples = sweep.cut.parts[part]
        a_flat[samples, schedule.rows] = sweep.read(state.a, np.arange(len(schedule.rows)), part)
        o_flat[samples, schedule.columns] = sweep.read(state.o, np.arange(len(schedule.columns)), part)

    sweep.each_part(run)
    return a_flat, o_flat


def backtrace(
    schedule: Schedule, theta: Array, a_flat: Array, o_flat: Array, objective: Objective
) -> tuple[float, Array, Array, Array, Array, int]:
    """The value of an objective, and its derivatives by every a and o of a trace, and every use of a parameter.

    Last comes how many nodes had to run for them.
    """
    schedule = renewed(towards(schedule, objective.reads))

    def run(asks: bool) -> tuple[float, Array, Array, Array, Array]:
        return _backtrace(schedule, theta, a_flat, o_flat, objective, asks)

    return *_with_python_if_need_be(run, schedule, theta.dtype), len(schedule.nodes)


def _backtrace(
    schedule: Schedule, theta: Array, a_flat: Array, o_flat: Array, objective: Objective, asks: bool
) -> tuple[float, Array, Array, Array, Array]:
    layout = schedule.layout
    sweep = Sweep.over(schedule, theta, o_flat[:, layout.input_columns], asks, len(layout.row))
    a_grad, o_grad = np.zeros(a_flat.shape), np.zeros(o_flat.shape)
    columns = schedule.column_numbers[objective.columns]
    with np.errstate(all="ignore"):
        terms, seeds = objective.evaluate(o_flat[:, objective.columns], FLOATS)

    def run(part: int, memory: Array) -> None:
        samples = sweep.cut.parts[part]
        values = a_flat[samples][:, schedule.rows], o_flat[samples][:, schedule.columns]
        state = sweep.replay(*values, part, memory)
        sweep.seed(state.g, columns, seeds[samples])
        sweep.backward(part, state, gradients[part % sweep.cut.lanes], by_use=True, to_inputs=True)
        a_grad[samples, schedule.rows] = sweep.read(state.a, np.arange(len(schedule.rows)), part)
        o_grad[samples, schedule.columns] = sweep.read(state.g, np.arange(len(schedule.columns)), part)

    uses = len(layout.row) + len(layout.bias_row)
    with sweep.gradients(uses) as gradients:
        sweep.each_part(run)
        gradient = _added(gradients)
    weights, biases = np.split(gradient, [len(layout.row)])
    return objective.total(terms, FLOATS), a_grad, o_grad, weights, biases


# ------------------------------------------------------------------ what went wrong


def _refuse(derivatives: Array, label: Callable[[int], str]) -> None:
    for place in np.argwhere(~np.isfinite(derivatives))[:1]:
        raise derivative_lost(label(int(place[-1])), derivatives[tuple(place)])


def _are_lost(schedule: Schedule, outputs: Array, columns: Array) -> bool:
    """Whether any output of some columns is not finite; log-probabilities are looked at elsewhere."""
    return not all_finite(outputs) and not all_finite(outputs[:, ~np.isin(columns, schedule.log_columns)])


def _check_outputs(sweep: Sweep, state: State, number: int, before: int | None = None, tile: int = 0) -> None:
    """Refuse the first output that is not finite, of nodes before one; a masked log-probability may be -inf."""
    schedule = sweep.schedule
    last = len(schedule.columns) if before is None else int(schedule.column_first[before])
    for column in np.flatnonzero(~np.isfinite(state.o[:, :last]).all(axis=(0, 2))).tolist():
        node = sweep.node_of(column)
        if node >= schedule.inputs:
            masks = schedule.kinds[schedule.kind[node]].masks
            if not sweep.asks and not masks:
                raise _RefusedError
            explain_node(sweep, state.a, number, node, tile)
            if not masks:
                _refuse_range(sweep, state.o, number, column, tile)


def _refuse_range(sweep: Sweep, o: Array, number: int, column: int, tile: int = 0) -> NoReturn:
    """Say that an output is out of range, in the first sample in which it is; `o` begins with this tile."""
    first, k = (int(x) for x in np.argwhere(~np.isfinite(o[:, column]))[0])
    where = node_in(
        sweep.schedule.layout, int(sweep.schedule.nodes[sweep.node_of(column)]), sweep.sample(number, tile + first, k)
    )
    raise NumberError(f"{where}: its numbers are out of the range of {sweep.theta.dtype}")


def explain_node(sweep: Sweep, a: Array, number: int, node: int, tile: int = 0) -> None:
    """Raise the error of the first sample of a part in which this node cannot be computed, if there is one."""
    rows = np.arange(sweep.schedule.row_first[node], sweep.schedule.row_first[node + 1])
    sweep.values(node, sweep.read(a, rows, number), number, tile)
