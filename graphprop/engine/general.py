"""What is asked of a schedule: predictions, gradients, and traces, forward and backward.

How a batch is cut depends on its shape alone, and gradients are added up in order, so results have the same bits on any
number of threads. Where something has been refused in the loops, all runs again with Python, as the activation's Python
function says then what it is, or that it is nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from graphprop.engine.fast import answer as answer  # for programs
from graphprop.engine.fast import descend as descend
from graphprop.engine.fast import descend_objective
from graphprop.engine.fast import each_loss as each_loss
from graphprop.engine.fast import pull as pull
from graphprop.engine.loops import sparse
from graphprop.engine.lowering import towards
from graphprop.engine.machine_form import calls_python as calls_python  # for programs
from graphprop.engine.machine_form import renewed
from graphprop.engine.schedule import Schedule
from graphprop.engine.sweeping import RefusedError, State, Sweep, put
from graphprop.functions.arithmetic import Floats
from graphprop.given.arrays import all_finite, keeps_warnings, with_warnings_kept
from graphprop.given.memory import check_large
from graphprop.graph.layout import Array
from graphprop.passes.finiteness import (
    check_gradients,
    derivative_lost,
)
from graphprop.passes.heads import outputs_of
from graphprop.passes.objective import Objective

FLOATS = Floats()
ALL = slice(None)
_NOTHING = np.zeros((0, 0))
Result = TypeVar("Result")


def with_python_if_need_be(run: Callable[[bool], Result], schedule: Schedule, dtype: np.dtype[Any]) -> Result:
    """run(whether Python is asked), asked only where there is something to be called, or to be found out."""

    def run_twice_if_need_be() -> Result:
        if not calls_python(schedule, dtype):
            try:
                return run(False)
            except RefusedError:
                pass
        return run(True)

    return with_warnings_kept(run_twice_if_need_be)


# ------------------------------------------------------------------ what is asked of a schedule


def predict(schedule: Schedule, theta: Array, inputs: Array) -> Array:
    """The outputs of the goals, a row for each sample."""
    if (found := answer(schedule, theta, inputs)) is not None:
        return found
    return _predict(schedule, theta, inputs, schedule.goal_columns)


def read(schedule: Schedule, theta: Array, inputs: Array, objective: Objective) -> Array:
    """The columns that an objective reads, a row for each sample."""
    if np.array_equal(objective.columns, outputs_of(schedule.layout)[1]):
        return predict(schedule, theta, inputs)
    schedule = renewed(towards(schedule, objective.reads))
    return _predict(schedule, theta, inputs, schedule.column_numbers[objective.columns])


@keeps_warnings
def value(schedule: Schedule, theta: Array, inputs: Array, objective: Objective) -> float:
    """The value of a loss."""
    own = renewed(towards(schedule, objective.reads))
    if (found := descend_objective(own, theta, inputs, objective, learns=False)) is not None:
        return found[0]
    outputs = read(schedule, theta, inputs, objective).astype(float)  # as the loops compare them
    with np.errstate(all="ignore"):
        terms, _ = objective.evaluate(outputs, FLOATS)
    total: float = objective.total(terms, FLOATS)
    return total


@keeps_warnings
def losses(schedule: Schedule, theta: Array, inputs: Array, objective: Objective) -> Array:
    """The loss of each sample."""
    own = renewed(towards(schedule, objective.reads))
    terms: list[Array] = []
    if descend_objective(own, theta, inputs, objective, False, terms) is not None:
        each: Array = terms[0].sum(axis=1)
        return each
    outputs = read(schedule, theta, inputs, objective).astype(float)
    with np.errstate(all="ignore"):
        return objective.of_samples(outputs)


def _predict(schedule: Schedule, theta: Array, inputs: Array, columns: Array) -> Array:
    def run(asks: bool) -> Array:
        return _predict_with(schedule, theta, inputs, columns, asks)

    return with_python_if_need_be(run, schedule, theta.dtype)


def _predict_with(schedule: Schedule, theta: Array, inputs: Array, columns: Array, asks: bool) -> Array:
    sweep = Sweep.over(schedule, theta, inputs, asks)
    result = np.empty((len(inputs), len(columns)), dtype=theta.dtype)

    def run(part: int, memory: Array) -> None:
        state = sweep.forward(part, sparse.VALUE, memory)
        result[sweep.cut.parts[part]] = outputs = sweep.read(state.o, columns, part)
        if are_lost(schedule, outputs, columns):
            sweep.check_outputs(state, part)

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

    return with_python_if_need_be(run, schedule, theta.dtype)


def _differentiate(
    schedule: Schedule, theta: Array, inputs: Array, objective: Objective, to_inputs: bool, asks: bool
) -> tuple[float, Array, Array]:
    sweep = Sweep.over(schedule, theta, inputs, asks, len(theta))
    columns, losses = schedule.column_numbers[objective.columns], {own.loss for own in objective.losses}
    by_inputs = np.zeros(sweep.inputs.shape, theta.dtype) if to_inputs else _NOTHING
    terms: list[list[float]] = [[]] * len(sweep.cut.parts)

    def seeded(part: int, memory: Array) -> State:
        state = sweep.forward(part, sparse.LEARN, memory)
        outputs = sweep.read(state.o, columns, part)
        if are_lost(schedule, outputs, columns):
            sweep.check_outputs(state, part)
        terms[part], seed = objective.evaluate(outputs, FLOATS, sweep.cut.parts[part])
        sweep.seed(state.g, columns, seed)
        return state

    def run(part: int, memory: Array) -> None:
        state = seeded(part, memory)
        sweep.backward(part, state, gradients[part % sweep.cut.lanes], part < sweep.cut.lanes, to_inputs=to_inputs)
        if to_inputs:
            own = sweep.read(state.g, slice(schedule.input_width), part)
            put(by_inputs[sweep.cut.parts[part]], schedule.input_columns, own, schedule.repeats_inputs)

    with sweep.gradients(len(theta), schedule.shared_positions) as gradients:
        sweep.each_part(run, losses)
        gradient = added(gradients)
    value = objective.total([x for part in terms for x in part], FLOATS)
    if not (all_finite(gradient) and all_finite(by_inputs)):
        sweep.each_part(lambda part, memory: _check_part(sweep, part, seeded(part, memory)), losses)
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
    a_grad[:, schedule.rows] = sweep.read(state.a, ALL, number)
    put(o_grad, schedule.columns, sweep.read(state.g, ALL, number), schedule.repeats_inputs)
    check_gradients(layout, None, a_grad, o_grad, np.empty(0), sweep.python.sample(number, 0, 0))


def added(gradients: list[Array]) -> Array:
    total, *others = gradients
    for other in others:
        total += other
    return total


def trace(schedule: Schedule, theta: Array, inputs: Array) -> tuple[Array, Array]:
    """Every a and o, numbered as in the layout, a row for each sample."""
    layout = schedule.layout
    schedule = renewed(towards(schedule, None))
    sizes = int(layout.a_start[-1]), int(layout.o_start[-1])
    check_large(8 * len(inputs) * sum(sizes), f"a trace of {len(inputs)} samples")
    return with_python_if_need_be(lambda asks: _trace(schedule, theta, inputs, asks), schedule, theta.dtype)


def _trace(schedule: Schedule, theta: Array, inputs: Array, asks: bool) -> tuple[Array, Array]:
    layout = schedule.layout
    a_flat, o_flat = (np.zeros((len(inputs), int(starts[-1]))) for starts in (layout.a_start, layout.o_start))
    sweep = Sweep.over(schedule, theta, inputs, asks)

    def run(part: int, memory: Array) -> None:
        state = sweep.forward(part, sparse.VALUE, memory)
        sweep.check_outputs(state, part)
        samples = sweep.cut.parts[part]
        a_flat[samples, schedule.rows] = sweep.read(state.a, ALL, part)
        o_flat[samples, schedule.columns] = sweep.read(state.o, ALL, part)

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

    return *with_python_if_need_be(run, schedule, theta.dtype), schedule.count


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
        a_grad[samples, schedule.rows] = sweep.read(state.a, ALL, part)
        put(o_grad[samples], schedule.columns, sweep.read(state.g, ALL, part), schedule.repeats_inputs)

    uses = len(layout.row) + len(layout.bias_row)
    with sweep.gradients(uses) as gradients:
        sweep.each_part(run)
        gradient = added(gradients)
    weights, biases = np.split(gradient, [len(layout.row)])
    return objective.total(terms, FLOATS), a_grad, o_grad, weights, biases


# ------------------------------------------------------------------ what went wrong


def _refuse(derivatives: Array, label: Callable[[int], str]) -> None:
    for place in np.argwhere(~np.isfinite(derivatives))[:1]:
        raise derivative_lost(label(int(place[-1])), derivatives[tuple(place)])


def are_lost(schedule: Schedule, outputs: Array, columns: Array) -> bool:
    """Whether any output of some columns is not finite; log-probabilities are looked at elsewhere."""
    return not all_finite(outputs) and not all_finite(outputs[:, ~np.isin(columns, schedule.log_columns)])
