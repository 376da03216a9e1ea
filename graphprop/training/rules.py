"""What an optimiser is, and a rate that changes: the members they have, and what is asked of their numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import Array

Memory: TypeAlias = tuple[Array, ...] | Array  # what is remembered: arrays, or the rows of one, which is used up
Rule: TypeAlias = Callable[..., tuple[Any, ...]]  # of theta, the gradient, the memory, and the numbers of a step
Rate: TypeAlias = "float | Callable[[int], float]"  # one number, or one for each step, counted from 0


@runtime_checkable
class Optimizer(Protocol):
    """What makes steps of gradients; one of your own has these members."""

    @property
    def name(self) -> str:
        """How it is called where it is told of."""

    @property
    def rate(self) -> Rate:
        """The rate that is taken if no other is given."""

    def start(self, theta: Array) -> tuple[Array, ...]:
        """What is remembered before the first step, as arrays."""

    def update(self, step: int, rate: float, theta: Array, gradient: Array, *memory: Array) -> tuple[Array, ...]:
        """The next theta, and what is remembered then; the arrays that are given stay as they are."""


@dataclass(frozen=True)
class Changing:
    """A rate that changes with the steps, after a rise over the first `warmup` of them."""

    rate: float

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        warmup = getattr(self, "warmup", 0)
        return self.rate * (step + 1) / warmup if step < warmup else self.after(step - warmup)

    def after(self, step: int) -> float:
        """The rate of a step, counted from the end of the rise."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        where = f"gp.optim.{type(self).__name__}"
        for field in fields(self):
            number = getattr(self, field.name)
            if field.name in _COUNTS:
                least = 0 if field.name == "warmup" else 1
                if not is_whole(number, least):
                    raise GraphpropError(f"{where}: {field.name} is a whole number of at least {least}, not {number!r}")
            else:
                check_number(number, f"{where}: {field.name}", above=field.name in ("rate", "factor"))


_COUNTS = "steps", "every", "warmup", "patience"


@dataclass(frozen=True)
class Built:
    """What the optimisers here share: their numbers are checked when they are made.

    `decay` is what `fit` takes off the weights where it is not told otherwise.
    """

    name: ClassVar[str]
    memory: ClassVar[int] = 0  # arrays of the length of theta that are remembered, 0 at the start
    full_batch: ClassVar[bool] = False  # whether it needs the gradient of all samples

    rate: Rate
    rule: ClassVar[Any]  # see `Rule`

    def __post_init__(self) -> None:
        where = f"optimizer {self.name!r}"
        check_rate(self.rate, f"{where}: rate")
        for field in fields(self)[1:]:
            number = getattr(self, field.name)
            if field.name.startswith("beta") or field.name in ("momentum", "smoothing"):
                check_number(number, f"{where}: {field.name}", below=1.0)
            elif field.name != "nesterov":
                check_number(number, f"{where}: {field.name}")

    def start(self, theta: Array) -> tuple[Array, ...]:
        """What is remembered before the first step, as arrays."""
        return tuple(np.zeros_like(theta) for _ in range(self.memory))

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        """Those that the rule takes in a step."""
        raise NotImplementedError

    def update(self, step: int, rate: float, theta: Array, gradient: Array, *memory: Array) -> tuple[Array, ...]:
        """The next theta, and what is remembered then."""
        return self.rule(theta, gradient, *memory, *self.numbers(step, rate))  # type: ignore[no-any-return]


def check_rate(given: Any, what: str) -> None:
    if not callable(given):
        check_number(given, what, above=True)


def check_number(given: Any, what: str, *, above: bool = False, below: float = math.inf) -> None:
    """Refuse what is no number of at least 0 (with `above`, more than 0) and less than a bound."""
    number = math.nan
    if isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool):
        with suppress(OverflowError):
            number = float(given)
    if not ((number > 0 if above else number >= 0) and number < below):
        least = "more than 0" if above else "at least 0"
        most = "finite" if below == math.inf else f"less than {below:g}"
        raise GraphpropError(f"{what} is a number, {least} and {most}, not {given!r}")
