"""The shortest way through the engine, for what it can do, and what is remembered of it for batches of one size.

It takes arrays, and activations and losses that are machine code. What is otherwise, or goes wrong, is left to
`general.py`, which finds out why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from graphprop.engine.fast_dense import DenseAnswers, DenseDescent
from graphprop.engine.fast_sparse import Answers, Descent
from graphprop.engine.loops import given as loops
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

DOUBLE, SINGLE, LABEL = np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.int64)
NAMED = str, Loss
ARRAYS = np.ndarray, np.memmap
UNKNOWN = object()
Shape: TypeAlias = tuple[int, ...]
Kind: TypeAlias = np.dtype[Any]


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
    plan, share = way.plan, way.plan.even
    if not (way.plain and theta.flags.carray and inputs.flags.carray and target.flags.carray):
        theta, inputs, target = way.theta(theta), way.inputs(inputs), way.target(target)
        if target is None:
            return None
    if weight is not None and (share := _share(weight, len(inputs))) is None:
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
    if entry is None or starts is None or objective.head_weight is not None:
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


# ------------------------------------------------------------------ how arrays of some shapes and kinds are taken


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Way:
    """A plan, and how the arrays that are given become those that it takes."""

    plan: Any
    plain: bool  # whether they are those, where they lie in memory as the loops read them
    dtype: Kind
    rows: Shape  # of the inputs
    targets: Shape = ()
    classes: Array | None = None  # where each head begins and the last ends, if the targets are labels of classes

    def theta(self, given: Array) -> Array:
        return _laid_out(given, self.dtype)

    def inputs(self, given: Array) -> Array:
        array = given.reshape(self.rows)
        if self.dtype == DOUBLE or array.dtype == SINGLE:
            return _laid_out(array, self.dtype)
        numbers = _laid_out(array, DOUBLE)
        result = np.empty(self.rows, SINGLE)
        loops.rounded(numbers.reshape(-1), result.reshape(-1))  # numpy would warn of what is out of range
        return result

    def target(self, given: Array) -> Array | None:
        """None if a label is none."""
        array = given.reshape(self.targets)
        if self.classes is None:
            return _laid_out(array, DOUBLE)
        rows = np.zeros((len(array), int(self.classes[-1])))
        return rows if loops.classes(_laid_out(array, LABEL), self.classes, rows) else None


def _laid_out(array: Array, dtype: Kind) -> Array:
    return array if array.dtype == dtype and array.flags.carray else array.astype(dtype, "C")


def _share(given: Any, samples: int) -> Array | None:
    """What each sample counts for, together 1; None if this is no array of weights."""
    if type(given) not in ARRAYS or given.shape != (samples,) or not _holds_numbers(given.dtype):
        return None
    weights, result = _laid_out(given.view(np.ndarray), DOUBLE), np.empty(samples)
    return result if loops.shares(weights, result) else None


def _holds_numbers(dtype: Kind) -> bool:
    """Whether a double takes them without a warning."""
    return dtype.kind in "fiu" and dtype.itemsize <= DOUBLE.itemsize


def _way_out(schedule: Schedule, theta: Shape, inputs: Shape, dtype: Kind, of_inputs: Kind) -> Way | None:
    """How predictions are made of arrays of these shapes and kinds."""
    if (rows := _rows(schedule, theta, inputs, of_inputs)) is None:
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
    rows = _rows(schedule, theta, inputs, of_inputs)
    found = _targets(entry, reading.starts, inputs[:-1], target, of_target)
    if rows is None or found is None or towards(schedule, reading.reads) is not schedule:
        return None
    goal = Comparison(entry, reading.losses, reading.starts, reading.columns)
    plan, (targets, classes) = _short_way(schedule, goal, rows[0], dtype), found
    plain = (rows, of_inputs, targets, of_target) == (inputs, dtype, target, DOUBLE) and classes is None
    return plan and Way(plan=plan, plain=plain, dtype=dtype, rows=rows, targets=targets, classes=classes)


def _rows(schedule: Schedule, theta: Shape, inputs: Shape, dtype: Kind) -> tuple[int, int] | None:
    """The shape of inputs as rows, if they and theta fit."""
    width = len(schedule.layout.input_columns)
    if theta != (schedule.layout.size,) or inputs[-1:] != (width,) or len(inputs) > 2 or not _holds_numbers(dtype):
        return None
    return (1 if len(inputs) == 1 else inputs[0]), width


def _targets(entry: Loss, starts: Array, lead: Shape, target: Shape, dtype: Kind) -> tuple[Shape, Array | None] | None:
    """The rows of targets of some shape, and where heads begin if they are labels of classes; None if they are none.

    `lead` is the number of samples of a batch, and empty for one sample.
    """
    heads, width, samples = len(starts) - 1, int(starts[-1]), lead[0] if lead else 1
    labelled = (*lead, heads) if heads > 1 else lead
    if entry.targets == "distribution" and dtype.kind in "iu" and target == labelled and heads < max(2, width):
        return (samples, heads), starts
    fits = target == (*lead, width) or (width == 1 and target == lead)
    return ((samples, width), None) if fits and (_holds_numbers(dtype) or dtype.kind == "b") else None


# ------------------------------------------------------------------ whether there is a short way


class Comparison(NamedTuple):
    """A loss, the heads that it reads, and their columns, one behind the other."""

    loss: Loss
    losses: tuple[HeadLoss, ...]
    starts: Array
    columns: Array


OUTPUTS = "outputs"  # of all heads


def _short_way(schedule: Schedule, goal: Any, samples: int, dtype: Kind) -> Any:
    """The one answer to whether a batch can go the short way, however it was asked: a plan, or None."""
    key = goal.losses if isinstance(goal, Comparison) else goal
    return schedule.kept((key, samples, dtype), _plan, goal, samples, dtype)


def _plan(schedule: Schedule, goal: Any, samples: int, dtype: Kind) -> Any:
    """None if the loops alone cannot run it, as activations in Python are called on one thread."""
    if dtype not in (DOUBLE, SINGLE) or not samples or calls_python(schedule, dtype):
        return None
    if isinstance(goal, Comparison):
        loss, _, starts, columns = goal
        kind = DenseDescent if schedule.is_dense else Descent
        return kind.of(schedule, loss, starts, columns, samples, dtype)
    layout = schedule.layout
    _, columns = outputs_of(layout)
    if schedule.is_dense:
        return DenseAnswers.of(schedule, columns, samples, dtype)
    lengths = [sum(layout.nodes[layout.find(name)].m for name in head) for head in layout.heads]
    return Answers.of(schedule, np.cumsum([0, *lengths]), columns, samples, dtype)
