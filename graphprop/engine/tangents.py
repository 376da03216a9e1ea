"""How fast the outputs of a batch, and the gradient of a loss, move if theta and the inputs do.

A batch that fits one tile goes through one compiled loop. Any other one has run the ordinary way before, which says
what is wrong with it; then its samples go a tile at a time through the loops of nodes, and Python helps where they
refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.engine.comparing import Comparison, HeadCodes, head_codes
from graphprop.engine.general import differentiate, predict
from graphprop.engine.loops import sparse, tangents
from graphprop.engine.loops.compiled_functions import Native
from graphprop.engine.loops.seconds import bending, pushing, second_address
from graphprop.engine.lowering import towards
from graphprop.engine.machine_form import renewed, table_of
from graphprop.engine.schedule import Block, Schedule
from graphprop.engine.threads import with_one_blas_thread
from graphprop.engine.tile import Tile, one_tile
from graphprop.engine.tiles import PART_BYTES, TILE_BYTES
from graphprop.errors import NumberError
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats
from graphprop.given.arrays import all_finite, with_warnings_kept
from graphprop.graph.layout import Array
from graphprop.passes.objective import Objective

FLOATS = Floats()


def jvp(schedule: Schedule, theta: Array, moves: Array, inputs: Array, input_moves: Array) -> tuple[Array, Array]:
    """The outputs, and their tangents for those of theta and the inputs."""
    schedule = renewed(schedule)
    shape = len(inputs), len(schedule.goal_columns)
    outputs, found = np.empty(shape, theta.dtype), np.empty(shape, theta.dtype)
    if (tile := one_tile(schedule, len(inputs), theta.dtype)) is not None:
        arguments = schedule.goal_columns, theta, moves, inputs, input_moves
        if _in_one_tile(schedule, tile, tangents.jvp, theta, arguments, (outputs, found)):
            return outputs, found
    outputs = predict(schedule, theta, inputs)

    def push(states: States) -> None:
        states.push(bent=False)
        found[states.part] = states.o_moves[0, schedule.goal_columns].T

    _in_tiles(schedule, theta, moves, inputs, input_moves, push)
    if not all_finite(found):
        raise NumberError("the tangents of the outputs are too large: one of them is not finite")
    return outputs, found


def hvp(schedule: Schedule, theta: Array, moves: Array, inputs: Array, objective: Objective) -> Array:
    """The tangent of the gradient of a loss by theta, if theta moves so."""
    schedule = renewed(towards(schedule, objective.reads))
    gradient, entry = np.zeros(len(theta), theta.dtype), objective.loss
    columns = schedule.column_numbers[objective.columns]
    tile = one_tile(schedule, len(inputs), theta.dtype)
    codes, second = None, 0
    if entry is not None and objective.head_weight is None:
        codes, second = schedule.kept(("second", objective.losses), _codes, objective)
    if tile is not None and codes is not None:
        targets, share = objective.for_kernels()
        heads = schedule.inputs, objective.starts, columns, codes.losses, codes.limits, second
        arguments = *heads, theta, moves, inputs, targets, share
        if _in_one_tile(schedule, tile, tangents.hvp, theta, arguments, (gradient,)):
            return gradient
        gradient[:] = 0
    differentiate(schedule, theta, inputs, objective)

    def push_and_pull(states: States) -> None:
        states.push(bent=True)
        outputs, o_moves = states.o[0, columns].T.astype(float), states.o_moves[0, columns].T.astype(float)
        _, seeds = objective.evaluate(outputs, FLOATS, states.part)
        for array, rows in ((states.g, seeds), (states.g_moves, objective.bend(outputs, o_moves, states.part))):
            array[:] = 0
            array[0, columns] = rows.T
        states.pull(gradient)

    _in_tiles(schedule, theta, moves, inputs, np.zeros_like(inputs), push_and_pull)
    if not all_finite(gradient):
        raise NumberError("the Hessian times the vector is too large: one of its numbers is not finite")
    return gradient


def _codes(schedule: Schedule, objective: Objective) -> tuple[HeadCodes | None, int]:
    """The losses of all heads, which are the same, and their second derivative; 0 where there is none."""
    assert objective.loss is not None
    assert objective.starts is not None
    if not (second := second_address(objective.loss)):
        return None, 0
    return head_codes(schedule, Comparison(objective.losses, objective.starts, objective.columns)), second


# ------------------------------------------------------------------ in one tile


@dataclass(frozen=True, eq=False, slots=True)
class Seconds:
    """Machine code of the nodes for their tangents, as addresses of records."""

    bends: Array
    pushes: Array
    held: list[Native]


def _seconds(schedule: Schedule, dtype: np.dtype[Any]) -> Seconds:
    used = np.unique(schedule.kind[schedule.inputs :]).tolist()
    held: list[Native] = []

    def addresses(make: Callable[[Activation, np.dtype[Any]], Native]) -> Array:
        of_kind, of_node = np.zeros(len(schedule.kinds), np.uint64), np.zeros(len(schedule.nodes), np.uint64)
        for i in used:
            held.append(make(schedule.kinds[i], dtype))
            of_kind[i] = held[-1].address
        of_node[schedule.inputs :] = of_kind[schedule.kind[schedule.inputs :]]
        return of_node

    return Seconds(addresses(bending), addresses(pushing), held)


def _seconds_of(schedule: Schedule, dtype: np.dtype[Any]) -> Seconds:
    return schedule.kept(("seconds", dtype), _seconds, dtype)


def _in_one_tile(
    schedule: Schedule,
    tile: Tile,
    loop: Callable[..., bool],
    theta: Array,
    arguments: tuple[Any, ...],
    results: tuple[Array, ...],
) -> bool:
    """Whether a compiled loop gave its results."""
    seconds, memory = _seconds_of(schedule, theta.dtype), np.empty(2 * tile.numbers, theta.dtype)
    given = *tile.products, seconds.bends, seconds.pushes, *arguments, memory, *results
    return with_one_blas_thread(lambda: loop(*given)) if tile.multiplies else loop(*given)


# ------------------------------------------------------------------ a tile at a time


def _in_tiles(
    schedule: Schedule,
    theta: Array,
    moves: Array,
    inputs: Array,
    input_moves: Array,
    run: Callable[[States], None],
) -> None:
    """run(the states of some samples), of all samples in order."""
    bytes_of_sample = max(1, 2 * theta.itemsize * schedule.size)
    width = max(1, min(len(inputs), (PART_BYTES if schedule.is_dense else TILE_BYTES) // bytes_of_sample))
    weights = {block: (block.of(theta), block.of(moves)) for block in schedule.blocks}

    def run_all() -> None:
        with np.errstate(all="ignore"):
            for first in range(0, len(inputs), width):
                part = slice(first, min(len(inputs), first + width))
                run(States.of(schedule, theta, moves, weights, part, inputs[part], input_moves[part]))

    with_warnings_kept(lambda: with_one_blas_thread(run_all))


@dataclass(eq=False, slots=True, kw_only=True)
class States:
    """The numbers of one tile, each (1, rows or columns, width), and their tangents."""

    schedule: Schedule
    theta: Array
    moves: Array  # the tangents of theta
    weights: dict[Block, tuple[Array, Array]]
    part: slice  # of the samples
    a: Array
    o: Array
    g: Array
    a_moves: Array
    o_moves: Array
    g_moves: Array

    @classmethod
    def of(
        cls,
        schedule: Schedule,
        theta: Array,
        moves: Array,
        weights: dict[Block, tuple[Array, Array]],
        part: slice,
        inputs: Array,
        input_moves: Array,
    ) -> States:
        width, rows, columns = len(inputs), len(schedule.rows), len(schedule.columns)
        a, da = (np.empty((1, rows, width), theta.dtype) for _ in range(2))
        o, g, do, dg = (np.empty((1, columns, width), theta.dtype) for _ in range(4))
        for array, given in ((o, inputs), (do, input_moves)):
            array[0, : schedule.input_width] = given[:, schedule.input_columns].T
        arrays: dict[str, Any] = {"a": a, "o": o, "g": g, "a_moves": da, "o_moves": do, "g_moves": dg}
        return cls(schedule=schedule, theta=theta, moves=moves, weights=weights, part=part, **arrays)

    def push(self, bent: bool) -> None:
        """See `push_nodes` of the loops."""
        schedule = self.schedule
        table, seconds = table_of(schedule, self.theta.dtype), _seconds_of(schedule, self.theta.dtype)
        at_once = max(1, sparse.IN_CACHE // self.o.shape[2])
        state = self.theta, self.moves, self.a, self.o, self.g, self.a_moves, self.o_moves
        for run in schedule.runs:
            for i, block in enumerate(run.blocks):
                w, move = self.weights[block]
                o, do = self.o[0, block.columns], self.o_moves[0, block.columns]
                for to, added in ((self.a, w @ o), (self.a_moves, w @ do + move @ o)):
                    to[0, block.rows] = added if i == 0 else to[0, block.rows] + added
            begin, added_before = run.first, bool(run.blocks)
            codes = table.places, seconds.bends, seconds.pushes
            while (node := tangents.push_nodes(*codes, *state, bent, begin, run.last, added_before)) >= 0:
                begin = min(int(schedule.stop[node]), run.last, node + at_once)  # that far the sums are there
                for each in range(node, begin):
                    self._push_in_python(each, bent)

    def pull(self, gradient: Array) -> None:
        """See `pull_nodes` of the loops."""
        for run in reversed(self.schedule.runs):
            self._pull_some(gradient, run.first, run.last)
            for block in run.blocks:
                w, move = self.weights[block]
                delta, move_of_delta = self.a[0, block.rows], self.a_moves[0, block.rows]
                block.add_product(gradient, move_of_delta, self.o[0, block.columns], False, False)
                block.add_product(gradient, delta, self.o_moves[0, block.columns], False, False)
                self.g[0, block.columns] += w.T @ delta
                self.g_moves[0, block.columns] += w.T @ move_of_delta + move.T @ delta
        self._pull_some(gradient, 0, self.schedule.inputs)

    def _pull_some(self, gradient: Array, first: int, last: int) -> None:
        table, seconds = table_of(self.schedule, self.theta.dtype), _seconds_of(self.schedule, self.theta.dtype)
        state = self.theta, self.moves, self.a, self.o, self.g, self.a_moves, self.o_moves, self.g_moves
        end, resumed = last, False
        codes = table.places, seconds.bends
        while (node := tangents.pull_nodes(*codes, *state, gradient, resumed, first, end)) >= 0:
            self._pull_in_python(node)
            end, resumed = node + 1, True

    def _of_node(self, node: int) -> tuple[Activation, slice, slice]:
        schedule = self.schedule
        rows = slice(int(schedule.row_first[node]), int(schedule.row_first[node + 1]))
        columns = slice(int(schedule.column_first[node]), int(schedule.column_first[node + 1]))
        return schedule.kinds[schedule.kind[node]], rows, columns

    def _push_in_python(self, node: int, bent: bool) -> None:
        f, rows, columns = self._of_node(node)
        every_a, every_o = self.a[0, rows].T, self.o[0, columns].T
        every_move, o_moves = self.a_moves[0, rows].T, self.o_moves[0, columns].T
        for k, (a, t) in enumerate(zip(every_a.tolist(), every_move.tolist(), strict=True)):
            every_o[k] = o = f.outputs(a)
            o_moves[k] = f.push(a, o, t)
            if f.kind == "elementwise":
                ones = [1.0] * len(a)
                every_a[k] = f.pull(a, o, ones)
                if bent:
                    every_move[k] = f.bend(a, o, ones, t)

    def _pull_in_python(self, node: int) -> None:
        f, rows, columns = self._of_node(node)
        every_a, every_move = self.a[0, rows].T, self.a_moves[0, rows].T
        given = every_a, every_move, self.o[0, columns].T, self.g[0, columns].T, self.g_moves[0, columns].T
        for k, (a, t, o, g, g_move) in enumerate(zip(*(array.tolist() for array in given), strict=True)):
            every_a[k] = f.pull(a, o, g)
            every_move[k] = np.add(f.pull(a, o, g_move), f.bend(a, o, g, t))
