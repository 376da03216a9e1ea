"""The optimiser that a user chose: by name, as an object of ours or of his own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, unknown
from graphprop.given.arrays import Array
from graphprop.training.optim import LBFGS, SGD, Adagrad, Adam, AdamW, Lion, RMSprop, Rprop
from graphprop.training.rules import Built, Optimizer, Rate, check_rate

OPTIMIZERS: Mapping[str, Callable[[], Built]] = MappingProxyType(
    {kind.name: kind for kind in (SGD, RMSprop, Adagrad, Adam, AdamW, Lion, Rprop, LBFGS)}
)


def read_optimizer(given: Any, rate: Rate | None = None) -> Optimizer | LBFGS:
    """An optimiser by its name or as an object, with another rate if one is given."""
    if isinstance(given, str):
        if given.lower() not in OPTIMIZERS:
            raise unknown("optimizer", given, OPTIMIZERS)
        given = OPTIMIZERS[given.lower()]()
    elif _is_of_optax(given):
        given = OfOptax(given)
        if rate is not None:
            raise GraphpropError("rate: a transformation of optax brings its own")
    if isinstance(given, type) or not isinstance(given, Optimizer | LBFGS):
        told = "a name, one of gp.optim, a transformation of optax, or an object with name, rate, start and update"
        raise GraphpropError(f"an optimizer is {told}, not {given!r}")
    if rate is None:
        return given
    check_rate(rate, "rate")
    return replace(given, rate=rate) if isinstance(given, Built) else WithRate(given, rate)


@dataclass(frozen=True)
class WithRate:
    """An optimiser of a user's with another rate."""

    own: Optimizer
    rate: Rate

    @property
    def name(self) -> str:
        return self.own.name

    def start(self, theta: Array) -> tuple[Array, ...]:
        return self.own.start(theta)

    def update(self, step: int, rate: float, theta: Array, gradient: Array, *memory: Array) -> tuple[Array, ...]:
        return self.own.update(step, rate, theta, gradient, *memory)


# ------------------------------------------------------------------ optax


def _is_of_optax(given: Any) -> bool:
    """Whether it is a gradient transformation, which is a pair of functions."""
    return isinstance(given, tuple) and callable(getattr(given, "init", None)) and callable(getattr(given, "update", 0))


@dataclass(frozen=True)
class OfOptax:
    """A gradient transformation of optax. It computes in float32 unless JAX is told otherwise."""

    transformation: Any
    name: str = "optax"
    rate: float = 1.0  # which it has in it

    def start(self, theta: Array) -> tuple[Array, ...]:
        from jax import tree

        return tuple(np.asarray(leaf) for leaf in tree.leaves(self.transformation.init(theta)))

    def update(self, step: int, rate: float, theta: Array, gradient: Array, *memory: Array) -> tuple[Array, ...]:
        from jax import tree

        state = tree.unflatten(tree.structure(self.transformation.init(theta)), memory)
        change, state = self.transformation.update(gradient, state, theta)
        return theta + np.asarray(change), *(np.asarray(leaf) for leaf in tree.leaves(state))
