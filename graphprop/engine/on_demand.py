"""What of the engine needs numba: imported when it is first asked for, since that takes a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import numpy as np

from graphprop.atomic.forking import load
from graphprop.engine.schedule import Schedule
from graphprop.graph.layout import Array, Layout
from graphprop.passes.heads import Losses
from graphprop.passes.objective import Objective


class Engine(Protocol):
    """What runs a schedule. theta and inputs are arrays as `Program` reads them."""

    def descend(
        self,
        schedule: Schedule,
        theta: Any,
        inputs: Any,
        target: Any,
        loss: Any,
        sample_weight: Any,
        learns: bool = True,
        /,
    ) -> tuple[float, Array] | None:
        """The value of a loss and its gradient by theta of what is given; None for what has to be read before.

        If it does not learn, the gradient is left out.
        """

    def each_loss(self, schedule: Schedule, theta: Any, inputs: Any, target: Any, loss: Any, /) -> Array | None:
        """The loss of each sample of what is given; None for what has to be read before."""

    def answer(self, schedule: Schedule, theta: Any, inputs: Any, /) -> Array | None:
        """The outputs of what is given; None for what has to be read before."""

    def pull(self, schedule: Schedule, theta: Any, inputs: Any, seeds: Any, /) -> tuple[Array, Array] | None:
        """The gradients by theta and by the inputs of seeds times outputs; None for what has to be read before."""

    def predict(self, schedule: Schedule, theta: Array, inputs: Array, /) -> Array:
        """The outputs of the goals, a row for each sample."""

    def value(self, schedule: Schedule, theta: Array, inputs: Array, objective: Objective, /) -> float:
        """The value of a loss."""

    def losses(self, schedule: Schedule, theta: Array, inputs: Array, objective: Objective, /) -> Array:
        """The loss of each sample."""

    def differentiate(
        self, schedule: Schedule, theta: Array, inputs: Array, objective: Objective, to_inputs: bool = False, /
    ) -> tuple[float, Array, Array]:
        """The value of an objective, and its derivatives by theta and, if they are wanted, by the inputs."""

    def trace(self, schedule: Schedule, theta: Array, inputs: Array, /) -> tuple[Array, Array]:
        """Every a and o, numbered as in the layout, a row for each sample."""

    def backtrace(
        self, schedule: Schedule, theta: Array, a_flat: Array, o_flat: Array, objective: Objective, /
    ) -> tuple[float, Array, Array, Array, Array, int]:
        """The value, the derivatives by every a, o, and use of a weight and a bias; how many nodes that took."""

    def calls_python(self, schedule: Schedule, dtype: np.dtype[Any], /) -> bool:
        """Whether an activation could not be compiled."""


class Linearized(Protocol):
    """A batch that has run forward."""

    @property
    def outputs(self) -> Array: ...

    def pull(self, seeds: Array, /) -> tuple[Array, Array] | None:
        """The derivatives by theta and by the inputs, from those by all outputs; None where more has to be done."""

    def pull_objective(self, objective: Objective, /) -> tuple[Array, Array]:
        """The same of an objective."""


class Tangents(Protocol):
    """What runs a schedule with tangents."""

    def jvp(
        self, schedule: Schedule, theta: Array, moves: Array, inputs: Array, input_moves: Array, /
    ) -> tuple[Array, Array]:
        """The outputs, and their tangents for those of theta and the inputs."""

    def hvp(self, schedule: Schedule, theta: Array, moves: Array, inputs: Array, objective: Objective, /) -> Array:
        """The tangent of the gradient of a loss by theta."""


class WalkPlan(Protocol):
    """How steps are made of batches of some size."""

    @property
    def most(self) -> int:
        """How many at once."""

    @property
    def gathers(self) -> tuple[bool, bool]:
        """Whether they gather rows of the inputs and of the targets."""


class Walk(Protocol):
    """Steps of training as machine code; what is done in each is known when it is made."""

    def step(self, numbers: tuple[float, ...], theta: Array, gradient: Array, memory: Array, /) -> tuple[Array, Array]:
        """The next theta, and what is remembered then."""

    def steps(
        self,
        plan: Any,
        numbers: list[tuple[float, ...]],
        theta: Array,
        memory: Array,
        inputs: Any,
        target: Any,
        rows: Array,
        weight: Array | None,
        /,
    ) -> tuple[list[float], Array, Array, Array] | None:
        """The losses of some steps, theta before the last and after it, and what is remembered; None if it cannot."""


class Walking(Protocol):
    """What makes steps of training."""

    @property
    def walk(self) -> Callable[..., Walk]:
        """How they are made by a rule."""

    def plan(
        self, schedule: Schedule, loss: Losses, inputs: Any, target: Any, samples: int, dtype: np.dtype[Any], /
    ) -> WalkPlan | None:
        """How they are made of so many samples; None if it is one by one."""

    def length(self, gradient: Array, /) -> float:
        """The Euclidean length, as a step has it that clips."""


@cache
def engine() -> Engine:
    return load(_import_engine)


def _import_engine() -> Engine:
    from graphprop.engine import general

    return general


@cache
def linearize() -> Callable[[Schedule, Array, Array], Linearized]:
    return load(_import_linearize)


def _import_linearize() -> Callable[[Schedule, Array, Array], Linearized]:
    from graphprop.engine import linearizing

    return linearizing.linearize


@cache
def lower_layout() -> Callable[[Layout], Schedule]:
    return load(_import_lowering)


def _import_lowering() -> Callable[[Layout], Schedule]:
    from graphprop.engine import lowering

    return lowering.lower_layout


@cache
def lay_out_edges() -> Callable[..., Layout]:
    return load(_import_edge_arrays)


def _import_edge_arrays() -> Callable[..., Layout]:
    from graphprop.engine import edge_arrays

    return edge_arrays.lay_out_edges


@cache
def lay_out_matrices() -> Callable[..., Layout]:
    return load(_import_matrices)


def _import_matrices() -> Callable[..., Layout]:
    from graphprop.engine import matrices

    return matrices.lay_out_matrices


@cache
def walking() -> Walking:
    return load(_import_walking)


def _import_walking() -> Walking:
    from graphprop.engine import walking

    return walking


@cache
def tangents() -> Tangents:
    return load(_import_tangents)


def _import_tangents() -> Tangents:
    from graphprop.engine import tangents

    return tangents


@cache
def members() -> Any:
    """What sweeps many small graphs: the module `members`."""
    return load(_import_members)


def _import_members() -> Any:
    from graphprop.engine import members

    return members
