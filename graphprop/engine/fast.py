"""The shortest way through the engine, for what it can do, and what is remembered of it for batches of one size.

It takes arrays as the compiled loops read them, and activations and losses that are machine code. All that is
otherwise, or goes wrong, is left to `general.py`, which finds out why.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphprop.engine.fast_dense import DenseDescent
from graphprop.engine.fast_sparse import Descent, Loops
from graphprop.engine.loops import sparse
from graphprop.engine.lowering import towards
from graphprop.engine.machine_form import calls_python, renewed
from graphprop.engine.schedule import Schedule
from graphprop.errors import GraphpropError
from graphprop.functions.loss import Loss
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arrays import all_finite
from graphprop.graph.layout import Array
from graphprop.passes.heads import outputs_of, reading_of
from graphprop.passes.objective import HeadLoss, Objective
from graphprop.passes.targets import read_labels

DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)
NAMED = str, Loss
UNKNOWN = object()


# ------------------------------------------------------------------ what is asked of a schedule


def descend(schedule: Schedule, theta: Any, inputs: Any, target: Any, loss: Any) -> tuple[float, Array] | None:
    """`value_and_grad` of arrays that are as the loops take them; None if anything is not."""
    if not (type(theta) is type(inputs) is type(target) is np.ndarray and isinstance(loss, NAMED)):
        return None
    if schedule.has_own:
        renewed(schedule)
    key = loss, theta.shape, inputs.shape, target.shape, theta.dtype, inputs.dtype, target.dtype
    plan = schedule.plans.get(key, UNKNOWN)
    if plan is UNKNOWN:
        if target.dtype.kind in "iu":
            rows = read_labels(schedule.layout, loss, target)
            return None if rows is None else descend(schedule, theta, inputs, rows, loss)
        if target.dtype == SINGLE:
            return descend(schedule, theta, inputs, target.astype(DOUBLE), loss)
        plan = schedule.kept(key, _for_arrays, *key)
    if plan is None or not (theta.flags.carray and inputs.flags.carray and target.flags.carray):
        return None
    if plan.checks_theta and not all_finite(theta[schedule.unused_positions]):
        return None
    result: tuple[float, Array] | None = plan.run(theta, inputs, target, plan.even)
    return result


def descend_objective(
    schedule: Schedule, theta: Array, inputs: Array, objective: Objective
) -> tuple[float, Array] | None:
    """The same for a loss, its targets and sample weights that were read."""
    entry, starts, samples = objective.loss, objective.starts, len(inputs)
    if entry is None or starts is None or objective.head_weight is not None:
        return None
    plan = _short_way(schedule, entry, objective.losses, starts, objective.columns, samples, theta.dtype)
    return None if plan is None else plan.run(theta, inputs, *objective.for_kernels())


def answer(schedule: Schedule, theta: Array, inputs: Array) -> Array | None:
    """The outputs, a row for each sample; None if anything is not as it should be."""
    key = len(inputs), theta.dtype
    loops = schedule.kept(key, _for_answers, *key)
    if loops is None:
        return None
    loops.check_memory()
    tables, pieces, width, lanes = loops.places, loops.pieces, loops.width, loops.lanes
    goal_start, goal_column = loops.goal_start, loops.goal_column
    result = np.empty((loops.samples, len(goal_column)), loops.dtype)

    def sweep(lane: int, memory: Array, first: int, last: int) -> bool:
        # fmt: off
        fine: bool = sparse.answer(
            tables, pieces, theta, inputs, goal_start, goal_column, result, memory, width, lane, lanes, first, last,
        )
        # fmt: on
        return fine

    return result if loops.run(sweep) and all_finite(result) else None


# ------------------------------------------------------------------ plans


def _for_arrays(
    schedule: Schedule,
    named: str | Loss,
    theta: tuple[int, ...],
    inputs: tuple[int, ...],
    target: tuple[int, ...],
    dtype: np.dtype[Any],
    *others: np.dtype[Any],
) -> Descent | DenseDescent | None:
    layout = schedule.layout
    try:
        entry = find_loss(named)
        reading = reading_of(layout, entry)
    except GraphpropError:
        return None
    shapes = (layout.size,), (*inputs[:1], len(layout.input_columns)), (*inputs[:1], len(reading.columns))
    if (theta, inputs, target) != shapes or others != (dtype, DOUBLE):
        return None
    if towards(schedule, reading.reads) is not schedule:
        return None
    return _short_way(schedule, entry, reading.losses, reading.starts, reading.columns, inputs[0], dtype)


def _short_way(
    schedule: Schedule,
    loss: Loss,
    losses: tuple[HeadLoss, ...],
    starts: Array,
    columns: Array,
    samples: int,
    dtype: np.dtype[Any],
) -> Descent | DenseDescent | None:
    """The one answer to whether a loss of these heads can go the short way, however it was asked; None if not."""
    key = losses, samples, dtype
    return schedule.kept(key, _for_objective, loss, starts, columns, samples, dtype)


def _for_objective(
    schedule: Schedule, loss: Loss, starts: Array, columns: Array, samples: int, dtype: np.dtype[Any]
) -> Descent | DenseDescent | None:
    if not _is_suitable(schedule, samples, dtype):
        return None
    heads = starts, columns, samples, dtype
    return DenseDescent.of(schedule, loss, *heads) if schedule.is_dense else Descent.of(schedule, loss, *heads)


def _for_answers(schedule: Schedule, samples: int, dtype: np.dtype[Any]) -> Loops | None:
    if schedule.is_dense or not _is_suitable(schedule, samples, dtype):
        return None
    layout = schedule.layout
    lengths = [sum(layout.nodes[layout.find(name)].m for name in head) for head in layout.heads]
    return Loops.over(schedule, np.cumsum([0, *lengths]), outputs_of(layout)[1], samples, dtype)


def _is_suitable(schedule: Schedule, samples: int, dtype: np.dtype[Any]) -> bool:
    """Whether the loops alone can run it; masks are checked in between, activations in Python on a thread aside."""
    plain = dtype in (np.float32, np.float64) and dtype.isnative and samples > 0
    return plain and not (len(schedule.maskable_rows) or calls_python(schedule, dtype))
