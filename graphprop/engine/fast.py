"""The shortest way through the engine, for what it can do, and what is remembered of it for batches of one size.

It takes arrays, and activations and losses that are machine code. What is otherwise, or goes wrong, is left to
`general.py`, which finds out why.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphprop.engine.fast_dense import DenseAnswers, DenseDescent
from graphprop.engine.fast_sparse import Answers, Descent
from graphprop.engine.lowering import towards
from graphprop.engine.machine_form import calls_python, renewed
from graphprop.engine.schedule import Schedule
from graphprop.engine.taking import ARRAYS, DOUBLE, SINGLE, Kind, Shape, Way, columns_fit, rows_of, share_of, targets_of
from graphprop.engine.tile import PullBack
from graphprop.errors import GraphpropError
from graphprop.functions.loss import Loss
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arrays import all_finite
from graphprop.graph.layout import Array
from graphprop.passes.heads import outputs_of, reading_of
from graphprop.passes.objective import HeadLoss, Objective

NAMED = str, Loss
UNKNOWN = object()
OUTPUTS, PULL = "outputs", "pull"  # of all heads, and back from them


# ------------------------------------------------------------------ what is asked of a schedule


def descend(
    schedule: Schedule, theta: Any, inputs: Any, target: Any, loss: Any, weight: Any = None
) -> tuple[float, Array] | None:
    """`value_and_grad` of what is given; None if that is no array, or not one that fits."""
    if not (type(theta) is type(inputs) is type(target) is np.ndarray):
        if not (type(theta) in ARRAYS and type(inputs) in ARRAYS and type(target) in ARRAYS):
            return None
        theta, inputs, target = (array.view(np.ndarray) for array in (theta, inputs, target))
    if not isinstance(loss, NAMED):
        return None
    if schedule.has_own:
        renewed(schedule)
    key = loss, theta.shape, inputs.shape, target.shape, theta.dtype, inputs.dtype, target.dtype
    way = schedule.plans.get(key, UNKNOWN)
    if way is UNKNOWN:
        way = schedule.kept(key, _way_down, *key)
    if way is None:
        return None
    plan, share, reads = way.plan, way.plan.even, way.plan.code.reads
    if reads is not None and not reads.are_current():
        schedule.plans.clear()
        return descend(schedule, theta, inputs, target, loss, weight)
    if not (way.plain and theta.flags.carray and inputs.flags.carray and target.flags.carray):
        theta, inputs, target = way.theta(theta), way.inputs(inputs), way.target(target)
        if target is None:
            return None
    if weight is not None and (share := share_of(weight, len(inputs))) is None:
        return None
    if plan.checks_theta and not all_finite(theta[schedule.unused_positions]):
        return None
    result: tuple[float, Array] | None = plan.run(theta, inputs, target, share)
    return result


def descend_objective(
    schedule: Schedule, theta: Array, inputs: Array, objective: Objective
) -> tuple[float, Array] | None:
    """The same for a loss, its targets and sample weights that were read."""
    entry, starts, samples = objective.loss, objective.starts, len(inputs)
    if entry is None or starts is None or objective.head_weight is not None or objective.has_gaps:
        return None
    goal = Comparison(entry, objective.losses, starts, objective.columns)
    plan = _short_way(schedule, goal, samples, theta.dtype)
    return None if plan is None else plan.run(theta, inputs, *objective.for_kernels())


def answer(schedule: Schedule, theta: Any, inputs: Any) -> Array | None:
    """The outputs of what is given, a row for each sample if it is a batch; None if it is no array that fits."""
    if not (type(theta) is type(inputs) is np.ndarray):
        if not (type(theta) in ARRAYS and type(inputs) in ARRAYS):
            return None
        theta, inputs = theta.view(np.ndarray), inputs.view(np.ndarray)
    if schedule.has_own:
        renewed(schedule)
    key = theta.shape, inputs.shape, theta.dtype, inputs.dtype
    way = schedule.plans.get(key, UNKNOWN)
    if way is UNKNOWN:
        way = schedule.kept(key, _way_out, *key)
    if way is None:
        return None
    plan, single = way.plan, inputs.ndim == 1
    if not (way.plain and theta.flags.carray and inputs.flags.carray):
        theta, inputs = way.theta(theta), way.inputs(inputs)
    if plan.checks_theta and not all_finite(theta[schedule.unused_positions]):
        return None
    result: Array | None = plan.run(theta, inputs)
    return result if result is None or not single else result[0]


def pull(schedule: Schedule, theta: Any, inputs: Any, seeds: Any) -> tuple[Array, Array] | None:
    """`vjp` of what is given: the derivatives by theta and by the inputs; None if it is no array that fits."""
    if not (type(theta) in ARRAYS and type(inputs) in ARRAYS and type(seeds) in ARRAYS):
        return None
    theta, inputs, seeds = (array.view(np.ndarray) for array in (theta, inputs, seeds))
    if schedule.has_own:
        renewed(schedule)
    key = PULL, theta.shape, inputs.shape, seeds.shape, theta.dtype, inputs.dtype, seeds.dtype
    way = schedule.plans.get(key, UNKNOWN)
    if way is UNKNOWN:
        way = schedule.kept(key, _way_back, *key[1:])
    if way is None:
        return None
    plan, single = way.plan, inputs.ndim == 1
    if not (way.plain and theta.flags.carray and inputs.flags.carray and seeds.flags.carray):
        theta, inputs, seeds = way.theta(theta), way.inputs(inputs), way.target(seeds)
    if plan.checks_theta and not all_finite(theta[schedule.unused_positions]):
        return None
    found: tuple[Array, Array] | None = plan.run(theta, inputs, seeds)
    return (found[0], found[1][0]) if single and found is not None else found


# ------------------------------------------------------------------ how arrays of some shapes and kinds go


def _way_out(schedule: Schedule, theta: Shape, inputs: Shape, dtype: Kind, of_inputs: Kind) -> Way | None:
    """How predictions are made of arrays of these shapes and kinds."""
    if (rows := rows_of(schedule, theta, inputs, of_inputs)) is None:
        return None
    plan = _short_way(schedule, OUTPUTS, rows[0], dtype)
    return plan and Way(plan=plan, plain=rows == inputs and of_inputs == dtype, dtype=dtype, rows=rows)


def _way_down(
    schedule: Schedule,
    named: str | Loss,
    theta: Shape,
    inputs: Shape,
    target: Shape,
    dtype: Kind,
    of_inputs: Kind,
    of_target: Kind,
) -> Way | None:
    """How a loss goes down, of arrays of these shapes and kinds."""
    try:
        entry = find_loss(named)
        reading = reading_of(schedule.layout, entry)
    except GraphpropError:
        return None
    rows = rows_of(schedule, theta, inputs, of_inputs)
    found = targets_of(entry, reading.starts, inputs[:-1], target, of_target)
    if rows is None or found is None or towards(schedule, reading.reads) is not schedule:
        return None
    goal = Comparison(entry, reading.losses, reading.starts, reading.columns)
    plan, (targets, classes) = _short_way(schedule, goal, rows[0], dtype), found
    plain = (rows, of_inputs, targets, of_target) == (inputs, dtype, target, DOUBLE) and classes is None
    return plan and Way(plan=plan, plain=plain, dtype=dtype, rows=rows, targets=targets, classes=classes)


def _way_back(
    schedule: Schedule,
    theta: Shape,
    inputs: Shape,
    seeds: Shape,
    dtype: Kind,
    of_inputs: Kind,
    of_seeds: Kind,
) -> Way | None:
    """How seeds are pulled back, of arrays of these shapes and kinds."""
    rows, width = rows_of(schedule, theta, inputs, of_inputs), len(schedule.goal_columns)
    if rows is None or not columns_fit(width, inputs[:-1], seeds, of_seeds):
        return None
    plan, targets = _short_way(schedule, PULL, rows[0], dtype), (rows[0], width)
    plain = (rows, of_inputs, targets, of_seeds) == (inputs, dtype, seeds, DOUBLE)
    return plan and Way(plan=plan, plain=plain, dtype=dtype, rows=rows, targets=targets)


# ------------------------------------------------------------------ whether there is a short way


class Comparison(NamedTuple):
    """A loss, the heads that it reads, and their columns, one behind the other."""

    loss: Loss
    losses: tuple[HeadLoss, ...]
    starts: Array
    columns: Array


def _short_way(schedule: Schedule, goal: Any, samples: int, dtype: Kind) -> Any:
    """The one answer to whether a batch can go the short way, however it was asked: a plan, or None."""
    key = goal.losses if isinstance(goal, Comparison) else goal
    plan = schedule.kept((key, samples, dtype), _plan, goal, samples, dtype)
    reads = plan.code.reads if isinstance(goal, Comparison) and plan is not None else None
    if reads is not None and not reads.are_current():
        schedule.plans.clear()
        return _short_way(schedule, goal, samples, dtype)
    return plan


def _plan(schedule: Schedule, goal: Any, samples: int, dtype: Kind) -> Any:
    """None if the loops alone cannot run it, as activations in Python are called on one thread."""
    if dtype not in (DOUBLE, SINGLE) or not samples or calls_python(schedule, dtype):
        return None
    if isinstance(goal, Comparison):
        loss, _, starts, columns = goal
        kind = DenseDescent if schedule.is_dense else Descent
        return kind.of(schedule, loss, starts, columns, samples, dtype)
    if goal is PULL:
        return PullBack.of(schedule, samples, dtype)
    layout = schedule.layout
    _, columns = outputs_of(layout)
    if schedule.is_dense:
        return DenseAnswers.of(schedule, columns, samples, dtype)
    lengths = [sum(layout.nodes[layout.find(name)].m for name in head) for head in layout.heads]
    return Answers.of(schedule, np.cumsum([0, *lengths]), columns, samples, dtype)
