"""One step of training: a gradient clipped, weights that decay, the optimiser's update, and what stays as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.engine import on_demand
from graphprop.engine.on_demand import Walk
from graphprop.errors import GraphpropError, UnknownNameError, unknown
from graphprop.given.arrays import Array
from graphprop.graph.layout import Layout
from graphprop.training.chosen import OPTIMIZERS
from graphprop.training.optim import LBFGS
from graphprop.training.rules import Built, Memory, Optimizer, check_number

NONE = np.zeros(0, np.intp)


@dataclass(frozen=True, eq=False)
class Adjustment:
    """What is done to theta with a gradient, which may be used up. theta is not changed, new arrays are made."""

    optimizer: Optimizer | LBFGS
    clip: float | None
    decay: float
    decaying: Array  # positions of weights, of which rate times decay times themselves is taken off
    frozen: Array  # positions that stay as they are
    scaled: Array  # positions of which only a part of the way is gone, or more than that
    factors: Array
    dtype: np.dtype[Any]  # of theta
    unread: Array  # positions that no run reads

    @cached_property
    def walk(self) -> Walk | None:
        """The same as machine code, for an optimiser of our own."""
        own = self.optimizer
        if type(own) not in OPTIMIZERS.values() or not isinstance(own, Built) or isinstance(own, LBFGS):
            return None
        return on_demand.walking().walk(
            own.rule,
            len(own.start(np.zeros(0, self.dtype))),
            len(own.numbers(1, 0.0)),
            self.dtype,
            clip=math.inf if self.clip is None else self.clip,
            factors=self.factors,
            frozen=self.frozen,
            decaying=self.decaying,
            scaled=self.scaled,
            unread=self.unread,
        )

    def step(self, number: int, rate: float, theta: Array, gradient: Array, memory: Memory) -> tuple[Array, Memory]:
        """The next theta and what the optimiser remembers then; steps are counted from 1."""
        if self.walk is None:
            return self._by_python(number, rate, theta, gradient, memory)
        [numbers] = self.numbers(number, [rate])
        return self.walk.step(numbers, theta, gradient, as_rows(memory, theta))

    def numbers(self, first: int, rates: list[float]) -> list[tuple[float, ...]]:
        """What the machine code takes for steps from the first on, which have these rates."""
        assert isinstance(self.optimizer, Built)
        own, decay = self.optimizer.numbers, self.decay
        return [(rate * decay, *own(step, rate)) for step, rate in enumerate(rates, first)]

    def _by_python(
        self, number: int, rate: float, theta: Array, gradient: Array, memory: Memory
    ) -> tuple[Array, Memory]:
        if len(self.frozen):
            gradient = gradient.copy()
            gradient[self.frozen] = 0
        if self.clip is not None:
            gradient = clipped(gradient, self.clip)
        start = theta
        if self.decay:
            start = theta.copy()
            start[self.decaying] -= rate * self.decay * theta[self.decaying]
        assert not isinstance(self.optimizer, LBFGS)
        new, *remembered = self.optimizer.update(number, rate, start, gradient, *memory)
        if new is theta or not isinstance(new, np.ndarray) or new.shape != theta.shape:
            told = f"not {new.shape}" if isinstance(new, np.ndarray) else f"not {type(new).__name__}"
            raise GraphpropError(
                f"optimizer {self.optimizer.name!r}: update gives a new theta of shape {theta.shape}, {told}"
            )
        if new.dtype != theta.dtype:
            new = new.astype(theta.dtype)
        if len(self.scaled):
            before = theta[self.scaled]
            new[self.scaled] = before + self.factors * (new[self.scaled] - before)
        new[self.frozen] = theta[self.frozen]
        return new, tuple(remembered)


def as_rows(memory: Memory, theta: Array) -> Array:
    """What an optimiser of our own remembers, each of its arrays a row."""
    if isinstance(memory, np.ndarray):
        return memory
    return np.array(memory, theta.dtype).reshape(len(memory), len(theta))


def clipped(gradient: Array, most: float) -> Array:
    """The gradient, made shorter if it is longer than that."""
    length = on_demand.walking().length(gradient)
    return gradient * (most / length) if most < length < math.inf else gradient


def adjustment(
    layout: Layout,
    theta: Array,
    trainable: Array,
    optimizer: Optimizer | LBFGS,
    *,
    clip: Any,
    decay: Any,
    scale: Mapping[Any, float] | None,
    unread: Array = NONE,
) -> Adjustment:
    """What a user asked for, with positions in place of names."""
    if clip is not None:
        check_number(clip, "clip", above=True)
    check_number(decay, "decay")
    if isinstance(optimizer, LBFGS) and (clip is not None or decay or any(x != 0 for x in _factors(scale).values())):
        raise GraphpropError("optimizer 'lbfgs' chooses its own steps: there is no clip, no decay, and no scale but 0")
    factors = np.ones(layout.size)
    for name, factor in _factors(scale).items():
        check_number(factor, f"scale[{name!r}]")
        factors[positions_of(layout, name)] = factor
    frozen = ~trainable | (factors == 0) | np.isneginf(theta)  # a mask has no derivative
    weights = np.zeros(layout.size, dtype=bool)
    weights[layout.position] = True
    weights[layout.bias_position] = False
    scaled = np.flatnonzero((factors != 1) & ~frozen)
    return Adjustment(
        optimizer=optimizer,
        clip=None if clip is None else float(clip),
        decay=float(decay or getattr(optimizer, "decay", 0.0)),
        decaying=np.flatnonzero(weights & ~frozen),
        frozen=np.flatnonzero(frozen),
        scaled=scaled,
        factors=factors[scaled],
        dtype=theta.dtype,
        unread=unread,
    )


def _factors(scale: Any) -> Mapping[Any, float]:
    if scale is None:
        return {}
    if not isinstance(scale, Mapping):
        raise GraphpropError(f"scale is a mapping from names to factors, not {scale!r}")
    return scale


def positions_of(layout: Layout, name: Any) -> Array:
    """Where in theta a parameter stands, the weights of an edge (u, v), or the weights into a node and its biases."""
    found = []
    if _is_key(layout.parameters, name):
        found.append(layout.parameters[name].ravel())
    if _is_key(layout.number, name):
        v = layout.number[name]
        uses = layout.position[layout.node_slice(v)], layout.bias_position[layout.bias_slice(v)]
        found.append(np.concatenate(uses))
    if isinstance(name, tuple) and len(name) == 2 and _is_key(layout.edge_number, name):
        found.append(layout.position[layout.edge_slice(layout.edge_number[name])])
    if len(found) > 1:
        raise UnknownNameError(f"scale: {name!r} is the name of more than one: a parameter, a node or an edge (u, v)")
    if not found:
        known = [*layout.parameters, *layout.names]
        raise unknown("parameter, node or edge (u, v)", name, known, "scale: ")
    return found[0].astype(np.intp)


def _is_key(table: Mapping[Any, Any], name: Any) -> bool:
    try:
        return name in table
    except TypeError:
        return False
