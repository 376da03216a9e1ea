"""Whether there is a short way for what is asked, and which: the one place that decides, however it was asked.

It takes activations and losses that are machine code. What is found out is remembered of batches of one size, and of
arrays of some shapes and kinds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from graphprop.engine.comparing import Comparison
from graphprop.engine.fast_dense import DenseAnswers, DenseDescent
from graphprop.engine.fast_sparse import Answers, Descent
from graphprop.engine.lowering import towards
from graphprop.engine.machine_form import calls_python
from graphprop.engine.schedule import Schedule
from graphprop.engine.taking import (
    DOUBLE,
    SINGLE,
    ByName,
    Kind,
    Shape,
    Targets,
    Way,
    columns_fit,
    rows_of,
    targets_by_name,
    targets_of,
)
from graphprop.engine.tile import PullBack
from graphprop.errors import GraphpropError
from graphprop.functions.loss import Loss
from graphprop.functions.losses import loss as find_loss
from graphprop.graph.layout import Array
from graphprop.passes.heads import outputs_of, read_losses, reading_of

OUTPUTS, PULL = "outputs", "pull"  # of all heads, and back from them


def short_way(schedule: Schedule, goal: Any, samples: int, dtype: Kind) -> Any:
    """The one answer to whether a batch can go the short way, however it was asked: a plan, or None."""
    compares = isinstance(goal, Comparison)
    key = goal.key if compares else goal
    plan = schedule.kept((key, samples, dtype), _plan, goal, samples, dtype)
    if compares and plan is not None and not plan.codes.are_current():
        schedule.plans.clear()
        return short_way(schedule, goal, samples, dtype)
    return plan


def _plan(schedule: Schedule, goal: Any, samples: int, dtype: Kind) -> Any:
    """None if the loops alone cannot run it, as activations in Python are called on one thread."""
    if dtype not in (DOUBLE, SINGLE) or not samples or calls_python(schedule, dtype):
        return None
    if isinstance(goal, Comparison):
        kind = DenseDescent if schedule.is_dense else Descent
        return kind.of(schedule, goal, samples, dtype)
    if goal is PULL:
        return PullBack.of(schedule, samples, dtype)
    layout = schedule.layout
    _, columns = outputs_of(layout)
    if schedule.is_dense:
        return DenseAnswers.of(schedule, columns, samples, dtype)
    lengths = [sum(layout.nodes[layout.find(name)].m for name in head) for head in layout.heads]
    return Answers.of(schedule, np.cumsum([0, *lengths]), columns, samples, dtype)


# ------------------------------------------------------------------ how arrays of some shapes and kinds go


def way_out(schedule: Schedule, theta: Shape, inputs: Shape, dtype: Kind, of_inputs: Kind) -> Way | None:
    """How predictions are made of arrays of these shapes and kinds."""
    if (rows := rows_of(schedule, theta, inputs, of_inputs)) is None:
        return None
    plan = short_way(schedule, OUTPUTS, rows[0], dtype)
    plain = rows == inputs and of_inputs == dtype
    return plan and Way(schedule=schedule, plan=plan, plain=plain, dtype=dtype, rows=rows)


def way_down(
    schedule: Schedule,
    named: Any,
    learns: bool,
    theta: Shape,
    inputs: Shape,
    target: Any,
    dtype: Kind,
    of_inputs: Kind,
    of_target: Any,
) -> Way | None:
    """How losses go down, of arrays of these shapes and kinds."""
    layout, by_name = schedule.layout, isinstance(target, ByName)
    weights: Array | None = None
    try:
        if by_name or isinstance(named, tuple):
            told = dict(named[0]) if isinstance(named, tuple) else named
            reading, weights = read_losses(layout, told, dict.fromkeys(target.names) if by_name else None)
        else:
            reading = reading_of(layout, find_loss(named))
    except GraphpropError:
        return None
    rows, lead = rows_of(schedule, theta, inputs, of_inputs), inputs[:-1]
    if by_name:
        targets = targets_by_name(layout, reading, lead, target, of_target)
    else:
        targets = targets_of(reading, lead, target, of_target)
    own = towards(schedule, reading.reads)
    if rows is None or targets is None or (own is not schedule and own.has_own):
        return None
    goal = Comparison(reading.losses, reading.starts, reading.columns, weights is not None, learns=learns)
    if (plan := short_way(own, goal, rows[0], dtype)) is None:
        return None
    shapes = (rows, of_inputs, targets.shape, of_target) == (inputs, dtype, target, DOUBLE)
    way = Way(
        schedule=own,
        plan=plan,
        plain=shapes and not by_name and targets.classes is None,
        dtype=dtype,
        rows=rows,
        targets=targets,
        weights=weights,
        reads=bool(plan.codes.reads),
        if_missing=goal.with_gaps() if any(entry.missing for entry in reading.kinds) else None,
    )
    return replace(way, share=way.weighted(plan.even))


def way_with_gaps(way: Way) -> Way | None:
    """The same where some targets are missing."""
    plan = short_way(way.schedule, way.if_missing, way.rows[0], way.dtype)
    return plan and replace(way, plan=plan, if_missing=None)


def way_back(
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
    plan, targets = short_way(schedule, PULL, rows[0], dtype), Targets((rows[0], width))
    plain = (rows, of_inputs, targets.shape, of_seeds) == (inputs, dtype, seeds, DOUBLE)
    return plan and Way(schedule=schedule, plan=plan, plain=plain, dtype=dtype, rows=rows, targets=targets)


def name_of(loss: Any) -> Any:
    """What tells losses apart that are given: themselves, or a mapping from heads in order; None of anything else."""
    if isinstance(loss, str | Loss):
        return loss
    if type(loss) is not dict:
        return None
    kinds = []  # of weights, as 1 is a weight and True is none
    for told in loss.values():
        if not (isinstance(told, str | Loss) or type(told) is tuple):
            return None
        kinds.append(type(told[-1]) if type(told) is tuple and told else None)
    name = tuple(loss.items()), tuple(kinds)
    try:
        hash(name)
    except TypeError:
        return None
    return name
