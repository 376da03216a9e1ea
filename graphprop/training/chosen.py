"""The optimiser that a user chose: by name, as an object of ours or of his own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from graphprop.errors import GraphpropError, unknown
from graphprop.given.arrays import Array
from graphprop.training.optim import SGD, Adagrad, Adam, AdamW, Lion, RMSprop, Rprop
from graphprop.training.rules import Built, Optimizer, Rate, check_rate

OPTIMIZERS: Mapping[str, Callable[[], Built]] = MappingProxyType(
    {kind.name: kind for kind in (SGD, RMSprop, Adagrad, Adam, AdamW, Lion, Rprop)}
)


def read_optimizer(given: Any, rate: Rate | None = None) -> Optimizer:
    """An optimiser by its name or as an object, with another rate if one is given."""
    if isinstance(given, str):
        if given not in OPTIMIZERS:
            raise unknown("optimizer", given, OPTIMIZERS)
        given = OPTIMIZERS[given]()
    if isinstance(given, type) or not isinstance(given, Optimizer):
        told = "a name, one of gp.optim, or an object with name, rate, start and update"
        raise GraphpropError(f"an optimizer is {told}, not {given!r}")
    if rate is None:
        return given
    check_rate(rate, "rate")
    return replace(given, rate=rate) if isinstance(given, Built) else _WithRate(given, rate)


@dataclass(frozen=True)
class _WithRate:
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
