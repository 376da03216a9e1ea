"""Steps of training as machine code: one with a gradient, or many in a row, each with a batch of its own.

A step takes theta and what an optimiser remembers, one row for each of its arrays, and gives new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from graphprop.engine.arguments import read_rows
from graphprop.engine.borrowed import Borrowed
from graphprop.engine.comparing import Comparison
from graphprop.engine.fast_dense import DenseDescent
from graphprop.engine.fast_sparse import Descent
from graphprop.engine.loops import steps as loops
from graphprop.engine.lowering import towards
from graphprop.engine.machine_form import renewed
from graphprop.engine.schedule import Schedule
from graphprop.engine.taking import share_of
from graphprop.engine.threads import with_one_blas_thread
from graphprop.engine.ways import short_way
from graphprop.functions.loss import Loss
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arrays import all_finite, keeps_warnings
from graphprop.graph.layout import Array
from graphprop.passes.goals import read_loss
from graphprop.passes.heads import Losses, reading_of

MOST_STEPS = 2000  # of a walk
WORK, DENSE_WORK = 10_000_000, 160_000_000  # multiplications, about a hundredth of a second
IN_ORDER = np.zeros(0, np.int64)


class Plan(NamedTuple):
    """How steps are made of batches of some size: how many take about a hundredth of a second, and what they read."""

    most: int
    gathers: tuple[bool, bool]  # whether they gather the rows of inputs and targets, which are given whole then
    way: Descent | DenseDescent
    schedule: Schedule
    loss: Loss
    samples: int


class Walked(NamedTuple):
    """How far a walk went: the loss of each step, theta before the last and after it, and what is remembered."""

    losses: list[float]
    before: Array
    theta: Array
    memory: Array


def plan(
    schedule: Schedule, asked: Losses, inputs: Any, target: Any, samples: int, dtype: np.dtype[Any]
) -> Plan | None:
    """How steps are made of so many samples of some inputs and targets; None if they have to be made one by one."""
    if isinstance(asked, Mapping):
        return None
    loss = find_loss(asked)
    reading = reading_of(schedule.layout, loss)
    way = _way(schedule, reading.reads, Comparison(reading.losses, reading.starts, reading.columns), samples, dtype)
    if way is None:
        return None
    work = samples * (schedule.weights + len(schedule.rows)) + 10 * schedule.layout.size
    gathers = (
        _is_plain(inputs, len(schedule.layout.input_columns), dtype),
        _is_plain(target, int(reading.starts[-1]), np.dtype(float)),
    )
    most = (DENSE_WORK if isinstance(way, DenseDescent) else WORK) // work
    return Plan(max(1, min(MOST_STEPS, most)), gathers, way, schedule, loss, samples)


def _way(
    schedule: Schedule, reads: tuple[int, ...], goal: Comparison, samples: int, dtype: np.dtype[Any]
) -> Descent | DenseDescent | None:
    """The short way of a batch, if one thread goes it in one go."""
    way = short_way(renewed(towards(schedule, reads)), goal, samples, dtype)
    is_at_once = way.lanes == len(way.chunks) == 1 if isinstance(way, DenseDescent) else way and way.loops.at_once
    return way if is_at_once else None


def _is_plain(given: Any, width: int, dtype: np.dtype[Any]) -> bool:
    """Whether these are rows as the loops read them."""
    return type(given) is np.ndarray and given.dtype == dtype and given.flags.carray and given.shape[1:] == (width,)


@dataclass(frozen=True, eq=False)
class Walk:
    """How steps are made: what is done with a gradient, by a rule that is machine code."""

    settings: loops.Settings
    dtype: np.dtype[Any]
    code: Any  # here to be held

    def step(self, numbers: tuple[float, ...], theta: Array, gradient: Array, memory: Array) -> tuple[Array, Array]:
        """One, with a gradient and a memory that are used up."""
        new = np.empty_like(theta)
        loops.adjust(self.settings.places, self._read(numbers), theta, gradient, memory, new)
        return new, memory

    def steps(
        self,
        plan: Plan,
        numbers: list[tuple[float, ...]],
        theta: Array,
        memory: Array,
        inputs: Any,
        target: Any,
        rows: Array,
        weight: Array | None,
    ) -> Walked | None:
        """One for each row of numbers, with the samples `rows`; fewer where something is not finite. Memory is used up.

        None if they have to be made one by one. Errors of what is given may be those of later steps.
        """
        x, y, way, layout = inputs, target, plan.way, plan.schedule.layout
        if not all_finite(theta[plan.schedule.unused_positions]):
            return None
        if not plan.gathers[0]:
            x, _ = read_rows(plan.schedule, x, theta.dtype)
        if not plan.gathers[1]:
            objective = read_loss(layout, len(numbers) * plan.samples, True, plan.loss, y, None)
            assert objective.starts is not None
            goal = Comparison(objective.losses, objective.starts, objective.columns)
            own = _way(plan.schedule, objective.reads, goal, plan.samples, theta.dtype)
            if own is None or objective.has_gaps:
                return None
            way, (y, _) = own, objective.for_kernels()
        share = way.even.reshape(1, 1) if weight is None else _shares(weight, plan.samples)
        if share is None:
            return None
        both, losses = np.empty((2, len(theta)), theta.dtype), np.empty(len(numbers))
        both[0] = theta
        x_rows, y_rows = (rows if is_gathered else IN_ORDER for is_gathered in plan.gathers)
        given = self.settings.places, self._read(numbers), x, x_rows, y, y_rows, share
        found = memory, both, losses
        done = _walk_dense(way, given, found) if isinstance(way, DenseDescent) else _walk_sparse(way, given, found)
        return Walked(losses[:done].tolist(), both[(done - 1) % 2], both[done % 2], memory)

    def _read(self, numbers: Any) -> Array:
        if self.dtype == float:
            return np.array(numbers)
        return _rounded(numbers, self.dtype)


def walk(
    rule: Callable[..., Any],
    memory: int,
    numbers: int,
    dtype: np.dtype[Any],
    *,
    clip: float,
    factors: Array,
    **positions: Array,
) -> Walk:
    """Steps by a rule that remembers so many arrays and takes so many numbers; the others are as in `Settings`."""
    code = loops.rule_code(rule, memory, numbers, dtype)
    places = {name: np.array(array, np.int64) for name, array in positions.items()}
    settings = loops.Settings(rule=code.address, clip=np.array([clip]), factors=np.array(factors, float), **places)
    return Walk(settings, dtype, code)


@keeps_warnings
def _rounded(numbers: Any, dtype: np.dtype[Any]) -> Array:
    """These in this precision, where some may be infinite."""
    with np.errstate(over="ignore"):
        return np.array(numbers, dtype)


def length(gradient: Array) -> float:
    """The Euclidean length, as a step has it that clips."""
    found: float = loops.length(np.ascontiguousarray(gradient))
    return found


def _walk_sparse(plan: Descent, given: tuple[Array, ...], found: tuple[Array, ...]) -> int:
    own = plan.loops
    terms, gradient = np.empty((own.samples, len(own.goal_start) - 1)), np.empty(plan.count, own.dtype)
    with Borrowed(own.numbers, own.dtype) as state:
        done: int = loops.descend(plan.places, *given, terms, gradient, state, *found)
    return done


def _walk_dense(plan: DenseDescent, given: tuple[Array, ...], found: tuple[Array, ...]) -> int:
    codes = plan.codes
    program = (
        *(plan.gemm, plan.gemv, plan.table.places, plan.runs, plan.blocks, plan.tasks, plan.schedule.inputs),
        *(plan.direct, codes.losses, codes.limits, codes.weighted, plan.goal_start, plan.goal_column, codes.task),
    )
    terms = np.empty((plan.samples, plan.heads))
    gradient = np.empty(plan.schedule.layout.size, plan.dtype)
    with Borrowed(plan.samples * plan.schedule.size, plan.dtype) as state:

        def walk() -> int:
            done: int = loops.descend_dense(
                program, plan.chunks[0], plan.shared, *given, terms, gradient, state, *found
            )
            return done

        return with_one_blas_thread(walk)


def _shares(weight: Array, size: int) -> Array | None:
    found = [share_of(part, size) for part in weight.reshape(-1, size)]
    return None if any(share is None for share in found) else np.array(found)
