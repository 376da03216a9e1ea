"""A batch that is run forward once, and then pulled back from any derivatives by its outputs, as often as one likes.

What the forward pass leaves is kept, and each pull works on a copy, so that pulls on several threads do not meet. A
batch that fits one tile goes through two compiled loops, any other one through `Sweep`, part by part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from graphprop.engine.general import added, are_lost, differentiate, with_python_if_need_be
from graphprop.engine.loops import linear, sparse
from graphprop.engine.machine_form import renewed
from graphprop.engine.schedule import Schedule
from graphprop.engine.sweeping import State, Sweep, put
from graphprop.engine.threads import with_one_blas_thread
from graphprop.engine.tile import Tile, one_tile
from graphprop.engine.tiles import WORTH_CHECKING
from graphprop.functions.arithmetic import Floats
from graphprop.given.arrays import all_finite, with_warnings_kept
from graphprop.given.memory import check_memory
from graphprop.graph.layout import Array
from graphprop.passes.objective import Objective

FLOATS = Floats()


class Linearized(Protocol):
    """A batch that has run forward."""

    @property
    def outputs(self) -> Array: ...

    def pull(self, seeds: Array) -> tuple[Array, Array] | None:
        """The derivatives by theta and by the inputs, from those by all outputs; None where one is no number."""

    def pull_objective(self, objective: Objective) -> tuple[Array, Array]:
        """The same of an objective, which may read any node; an error where one is no number."""


def linearize(schedule: Schedule, theta: Array, inputs: Array) -> Linearized:
    """A batch that has run forward. theta and inputs are kept: nobody may change them."""
    schedule = renewed(schedule)
    tile = one_tile(schedule, len(inputs), theta.dtype)
    if tile is not None and (found := InOneTile.of(schedule, tile, theta, inputs)) is not None:
        return found
    return with_python_if_need_be(lambda asks: InParts.of(schedule, theta, inputs, asks), schedule, theta.dtype)


@dataclass(eq=False, slots=True)
class InOneTile:
    """A batch that is not cut: two calls of compiled loops."""

    schedule: Schedule
    tile: Tile
    theta: Array
    inputs: Array
    kept: Array
    outputs: Array

    @classmethod
    def of(cls, schedule: Schedule, tile: Tile, theta: Array, inputs: Array) -> InOneTile | None:
        """None if any number is not what it may be."""
        kept, outputs = np.empty(tile.numbers, theta.dtype), np.empty((len(inputs), tile.goals), theta.dtype)

        def push() -> bool:
            fine: bool = linear.push(*tile.forward, theta, inputs, kept, outputs)
            return fine

        fine = with_one_blas_thread(push) if tile.multiplies else push()
        return cls(schedule, tile, theta, inputs, kept, outputs) if fine else None

    def pull(self, seeds: Array) -> tuple[Array, Array] | None:
        tile, theta, inputs = self.tile, self.theta, self.inputs
        gradient, by_inputs = np.zeros(len(theta), theta.dtype), np.zeros(inputs.shape, theta.dtype)
        memory = np.empty(tile.numbers, theta.dtype)

        def pull() -> bool:
            fine: bool = linear.pull(*tile.backward, theta, inputs, self.kept, seeds, memory, gradient, by_inputs)
            return fine

        fine = with_one_blas_thread(pull) if tile.multiplies else pull()
        return (gradient, by_inputs) if fine else None

    def pull_objective(self, objective: Objective) -> tuple[Array, Array]:
        return differentiate(self.schedule, self.theta, self.inputs, objective, True)[1:]


@dataclass(eq=False, slots=True)
class InParts:
    """A batch in parts, each with its own state."""

    sweep: Sweep
    kept: list[State]
    outputs: Array

    @classmethod
    def of(cls, schedule: Schedule, theta: Array, inputs: Array, asks: bool) -> InParts:
        sweep = Sweep.over(schedule, theta, inputs, asks, len(theta))
        columns, parts = schedule.goal_columns, sweep.cut.parts
        size = sweep.cut.state_size(schedule)
        if (needed := theta.itemsize * size * len(parts)) > WORTH_CHECKING:
            check_memory(needed, f"a forward pass of {len(inputs)} samples that is kept")
        outputs = np.empty((len(inputs), len(columns)), theta.dtype)
        kept: list[State] = [None] * len(parts)  # type: ignore[list-item]

        def push(part: int, memory: Array) -> None:
            kept[part] = state = sweep.forward(part, sparse.LEARN, np.empty(size, theta.dtype))
            outputs[parts[part]] = own = sweep.read(state.o, columns, part)
            if are_lost(schedule, own, columns):
                sweep.check_outputs(state, part)

        sweep.each_part(push)
        return cls(sweep, kept, outputs)

    def pull(self, seeds: Array) -> tuple[Array, Array] | None:
        return None

    def pull_objective(self, objective: Objective) -> tuple[Array, Array]:
        sweep = self.sweep
        if set(objective.reads) <= set(sweep.schedule.goals.tolist()):
            gradient, by_inputs = with_warnings_kept(lambda: self._pull(objective))
            if all_finite(gradient) and all_finite(by_inputs):
                return gradient, by_inputs
        # of nodes that are no outputs; or to say what went wrong
        return differentiate(sweep.schedule, sweep.theta, sweep.inputs, objective, True)[1:]

    def _pull(self, objective: Objective) -> tuple[Array, Array]:
        sweep = self.sweep
        schedule, theta, parts = sweep.schedule, sweep.theta, sweep.cut.parts
        columns = schedule.column_numbers[objective.columns]
        by_inputs = np.zeros(sweep.inputs.shape, theta.dtype)

        def pull(part: int, memory: Array) -> None:
            state = sweep.copied(self.kept[part], part, memory)
            _, seed = objective.evaluate(sweep.read(state.o, columns, part), FLOATS, parts[part])
            sweep.seed(state.g, columns, seed)
            sweep.backward(part, state, gradients[part % sweep.cut.lanes], part < sweep.cut.lanes, to_inputs=True)
            own = sweep.read(state.g, np.arange(schedule.input_width), part)
            put(by_inputs[parts[part]], schedule.input_columns, own, schedule.repeats_inputs)

        with sweep.gradients(len(theta), schedule.shared_positions) as gradients:
            sweep.each_part(pull)
            return added(gradients), by_inputs
