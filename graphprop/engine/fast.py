"""The shortest way through the engine, for what it can do: see `ways.py`.

What is otherwise, or goes wrong, is left to `general.py`, which finds out why.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphprop.engine.comparing import Comparison
from graphprop.engine.fast_sparse import NO_TERMS
from graphprop.engine.machine_form import renewed
from graphprop.engine.schedule import Schedule
from graphprop.engine.taking import ARRAYS, described, share_of
from graphprop.engine.ways import PULL, name_of, short_way, way_back, way_down, way_out, way_with_gaps
from graphprop.functions.loss import Loss
from graphprop.given.arrays import all_finite
from graphprop.graph.layout import Array
from graphprop.passes.objective import Objective

NAMED = str, Loss
UNKNOWN = object()
ALIKE = np.ones(1)


def descend(
    schedule: Schedule,
    theta: Any,
    inputs: Any,
    target: Any,
    loss: Any,
    weight: Any = None,
    learns: bool = True,
    terms: list[Array] | None = None,
) -> tuple[float, Array] | None:
    """`value_and_grad` of what is given; None if that is no array, or not one that fits.

    If it does not learn, the gradient is left out. To a list of `terms` the losses are added of each sample in each
    head, or in heads that are compared as one.
    """
    given = target
    if type(theta) is type(inputs) is type(target) is np.ndarray:
        shape, kind = target.shape, target.dtype
    elif type(theta) in ARRAYS and type(inputs) in ARRAYS and (found := described(target)) is not None:
        (target, shape, kind), theta, inputs = found, theta.view(np.ndarray), inputs.view(np.ndarray)
    else:
        return None
    named = loss if isinstance(loss, NAMED) else name_of(loss)
    if named is None:
        return None
    if schedule.has_own:
        renewed(schedule)
    key = named, learns, theta.shape, inputs.shape, shape, theta.dtype, inputs.dtype, kind
    way = schedule.plans.get(key, UNKNOWN)
    if way is UNKNOWN:
        way = schedule.kept(key, way_down, *key)
    if way is None:
        return None
    plan, share = way.plan, way.share
    if way.reads and not plan.codes.are_current():
        schedule.plans.clear()
        way.schedule.plans.clear()
        return descend(schedule, theta, inputs, given, loss, weight, learns, terms)
    if not (way.plain and theta.flags.carray and inputs.flags.carray and target.flags.carray):
        theta, inputs, target = way.theta(theta), way.inputs(inputs), way.targets.rows(target)
        if target is None:
            return None
    if weight is not None:
        if (share := share_of(weight, len(inputs))) is None:
            return None
        share = way.weighted(share)
    if plan.checks_theta and not all_finite(theta[way.schedule.unused_positions]):
        return None
    each = NO_TERMS
    if terms is not None:
        each, share = np.empty((len(inputs), plan.heads)), way.weighted(ALIKE)
        terms.append(each)
    result: tuple[float, Array] | None = plan.run(theta, inputs, target, share, each)
    if result is None and way.if_missing is not None and np.isnan(target).any():
        other = way_with_gaps(way)
        if other is not None:
            schedule.plans[key] = other
            result = other.plan.run(theta, inputs, target, share, each)
    return result


def each_loss(schedule: Schedule, theta: Any, inputs: Any, target: Any, loss: Any) -> Array | None:
    """The losses of each sample, added up; None as of `descend`."""
    terms: list[Array] = []
    found = descend(schedule, theta, inputs, target, loss, None, False, terms)
    return None if found is None else terms[0].sum(axis=1)


def descend_objective(
    schedule: Schedule,
    theta: Array,
    inputs: Array,
    objective: Objective,
    learns: bool = True,
    terms: list[Array] | None = None,
) -> tuple[float, Array] | None:
    """The same as `descend` for losses, their targets and sample weights that were read."""
    weights = objective.head_weight
    if objective.starts is None:
        return None
    goal = Comparison(objective.losses, objective.starts, objective.columns, weights is not None, learns=learns)
    plan = short_way(schedule, goal, len(inputs), theta.dtype)
    if plan is None:
        return None
    (targets, share), each = objective.for_kernels(), NO_TERMS
    if terms is not None:
        each, share = np.empty((len(inputs), plan.heads)), ALIKE
        terms.append(each)
    share = share if weights is None else np.concatenate((share, weights))
    result: tuple[float, Array] | None = plan.run(theta, inputs, targets, share, each)
    if result is None and objective.has_gaps:
        plan = short_way(schedule, goal.with_gaps(), len(inputs), theta.dtype)
        result = plan and plan.run(theta, inputs, targets, share, each)
    return result


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
        way = schedule.kept(key, way_out, *key)
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
        way = schedule.kept(key, way_back, *key[1:])
    if way is None:
        return None
    plan, single = way.plan, inputs.ndim == 1
    if not (way.plain and theta.flags.carray and inputs.flags.carray and seeds.flags.carray):
        theta, inputs, seeds = way.theta(theta), way.inputs(inputs), way.targets.rows(seeds)
    if plan.checks_theta and not all_finite(theta[schedule.unused_positions]):
        return None
    found: tuple[Array, Array] | None = plan.run(theta, inputs, seeds)
    return (found[0], found[1][0]) if single and found is not None else found
