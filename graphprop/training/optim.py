"""Optimisers, and rates that change: how a step is made of a gradient.

An optimiser is a small frozen object: a name, its numbers, `start(theta)`, which gives what it remembers as arrays, and
`update(step, rate, theta, gradient, *memory)`, which gives the next theta and the next memory and changes nothing.
Steps are counted from 1. One of your own is any object that has these.

Those here have a rule: a function of theta, the gradient, the memory and the numbers of a step, entry by entry, which
gives the next theta and memory. It is written once, for arrays of numpy and for the machine code that goes along them.
What a step is taken for, and when to stop, is not known here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy import maximum, minimum, sign, sqrt, where

from graphprop.errors import GraphpropError, check_flag
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import Array
from graphprop.training.rules import Built, Changing, Rate, Rule

# ------------------------------------------------------------------ rates that change


@dataclass(frozen=True)
class cosine(Changing):
    """From `rate` to `end` along half a cosine, over `steps` with the warm-up among them; then it stays at `end`.

    >>> import graphprop as gp
    >>> rate = gp.optim.cosine(0.1, steps=100, warmup=10)
    >>> rate(0), rate(9), rate(55), rate(100)
    (0.01, 0.1, 0.05, 0.0)
    """

    steps: int
    warmup: int = 0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup >= self.steps:
            raise GraphpropError(f"gp.optim.cosine: the warm-up of {self.warmup} takes all of the {self.steps} steps")

    def after(self, step: int) -> float:
        part = min(1.0, step / (self.steps - self.warmup))
        return self.end + (self.rate - self.end) * (1 - math.sin(math.pi * (part - 0.5))) / 2


@dataclass(frozen=True)
class step(Changing):
    """Times `factor` after every so many steps.

    >>> import graphprop as gp
    >>> rate = gp.optim.step(0.1, every=10, factor=0.5)
    >>> rate(9), rate(10), rate(25)
    (0.1, 0.05, 0.025)
    """

    every: int
    factor: float = 0.1
    warmup: int = 0

    def after(self, step: int) -> float:
        return float(self.rate * self.factor ** (step // self.every))


@dataclass(frozen=True)
class exponential(Changing):
    """Times `factor` over so many steps, a little with each.

    >>> import graphprop as gp
    >>> rate = gp.optim.exponential(0.1, every=10, factor=0.25)
    >>> rate(0), rate(5), rate(10)
    (0.1, 0.05, 0.025)
    """

    every: int
    factor: float = 0.1
    warmup: int = 0

    def after(self, step: int) -> float:
        return float(self.rate * self.factor ** (step / self.every))


@dataclass(frozen=True)
class plateau(Changing):
    """Times `factor` whenever `patience` epochs did not bring a better loss, of the validation if there is one.

    It is a function of the step and of how often that was so: `rate(step, times)`.

    >>> import graphprop as gp
    >>> rate = gp.optim.plateau(0.1, factor=0.5, patience=3)
    >>> rate(20), rate(20, times=2)
    (0.1, 0.025)
    """

    factor: float = 0.1
    patience: int = 10
    warmup: int = 0
    least: float = 0.0

    def __call__(self, step: int, times: int = 0) -> float:
        """The rate of a step, after so many reductions."""
        return max(self.least, super().__call__(step) * self.factor**times)

    def after(self, step: int) -> float:
        return self.rate


# ------------------------------------------------------------------ optimisers


@dataclass(frozen=True)
class SGD(Built):
    """theta - rate g; with a momentum, v = momentum v + g in place of g; nesterov: g + momentum v."""

    rate: Rate = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self.nesterov, "optimizer 'sgd': nesterov")
        if self.nesterov and not self.momentum:
            raise GraphpropError("optimizer 'sgd': nesterov needs a momentum, 0.9 for example")

    def start(self, theta: Array) -> tuple[Array, ...]:
        return (np.zeros_like(theta),) if self.momentum else ()

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        return (rate, self.momentum) if self.momentum else (rate,)

    @property
    def rule(self) -> Rule:
        return _nesterov if self.nesterov else _with_momentum if self.momentum else _sgd


def _sgd(theta: Any, g: Any, rate: Any) -> tuple[Any, ...]:
    return (theta - rate * g,)


def _with_momentum(theta: Any, g: Any, v: Any, rate: Any, momentum: Any) -> tuple[Any, ...]:
    v = momentum * v + g
    return theta - rate * v, v


def _nesterov(theta: Any, g: Any, v: Any, rate: Any, momentum: Any) -> tuple[Any, ...]:
    v = momentum * v + g
    return theta - rate * (g + momentum * v), v


@dataclass(frozen=True)
class RMSprop(Built):
    """theta - rate g / (sqrt(s) + epsilon), where s = smoothing s + (1 - smoothing) g^2."""

    rate: Rate = 0.01
    smoothing: float = 0.99
    epsilon: float = 1e-8
    name: ClassVar[str] = "rmsprop"
    memory: ClassVar[int] = 1

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        return rate, self.smoothing, 1 - self.smoothing, self.epsilon

    @staticmethod
    def rule(theta: Any, g: Any, s: Any, rate: Any, old: Any, new: Any, epsilon: Any) -> tuple[Any, ...]:
        s = old * s + new * (g * g)
        return theta - rate * g / (sqrt(s) + epsilon), s


@dataclass(frozen=True)
class Adagrad(Built):
    """theta - rate g / (sqrt(s) + epsilon), where s = s + g^2."""

    rate: Rate = 0.01
    epsilon: float = 1e-10
    name: ClassVar[str] = "adagrad"
    memory: ClassVar[int] = 1

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        return rate, self.epsilon

    @staticmethod
    def rule(theta: Any, g: Any, s: Any, rate: Any, epsilon: Any) -> tuple[Any, ...]:
        s = s + g * g
        return theta - rate * g / (sqrt(s) + epsilon), s


@dataclass(frozen=True)
class Adam(Built):
    """theta - rate m' / (sqrt(s') + epsilon), where m and s are moving means of g and g^2.

    m = beta1 m + (1 - beta1) g and m' = m / (1 - beta1^step), which makes up for the start at 0; s likewise.
    """

    rate: Rate = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    name: ClassVar[str] = "adam"
    memory: ClassVar[int] = 2

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        old_m, old_s = self.beta1, self.beta2
        return rate, old_m, 1 - old_m, 1 / (1 - old_m**step), old_s, 1 - old_s, 1 / (1 - old_s**step), self.epsilon

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, s: Any,
        rate: Any, old_m: Any, new_m: Any, of_m: Any, old_s: Any, new_s: Any, of_s: Any, epsilon: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        m = old_m * m + new_m * g
        s = old_s * s + new_s * (g * g)
        return theta - rate * (m * of_m) / (sqrt(s * of_s) + epsilon), m, s


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, after weights have been made smaller by rate times `decay` times themselves; not biases."""

    decay: float = 0.01
    name: ClassVar[str] = "adamw"


@dataclass(frozen=True)
class Lion(Built):
    """theta - rate sign(beta1 m + (1 - beta1) g), where m = beta2 m + (1 - beta2) g afterwards."""

    rate: Rate = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    name: ClassVar[str] = "lion"
    memory: ClassVar[int] = 1

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        return rate, self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2

    @staticmethod
    def rule(
        theta: Any, g: Any, m: Any, rate: Any, old: Any, new: Any, old_after: Any, new_after: Any
    ) -> tuple[Any, ...]:
        return theta - rate * sign(old * m + new * g), old_after * m + new_after * g


@dataclass(frozen=True)
class Rprop(Built):
    """Each parameter has a step size of its own, and only the sign of its derivative counts.

    The size, at first `rate`, grows times `up` while the sign stays, and shrinks times `down` where it changed; there
    the parameter waits for one step. Signs mean something for the loss of all samples only.
    """

    rate: Rate = 0.01
    up: float = 1.2
    down: float = 0.5
    least: float = 1e-6
    most: float = 50.0
    name: ClassVar[str] = "rprop"
    full_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if callable(self.rate):
            raise GraphpropError("optimizer 'rprop': rate is one number, the first size of all steps; it changes alone")

    def start(self, theta: Array) -> tuple[Array, ...]:
        return np.full_like(theta, self.rate), np.zeros_like(theta)

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        return self.up, self.most, self.down, self.least

    @staticmethod
    def rule(theta: Any, g: Any, size: Any, before: Any, up: Any, most: Any, down: Any, least: Any) -> tuple[Any, ...]:
        same = g * sign(before)
        size = where(same > 0, minimum(size * up, most), size)
        size = where(same < 0, maximum(size * down, least), size)
        g = where(same < 0, 0 * g, g)
        return theta - sign(g) * size, size, g


@dataclass(frozen=True)
class LBFGS(Built):
    """A descent on all samples that learns the curvature from its last `remembered` steps, by scipy; no rate.

    An epoch is a step of it. Parameters can be frozen; there is no clip, decay or scale, and no checkpoint.
    """

    rate: Rate = 1.0
    remembered: int = 10
    name: ClassVar[str] = "lbfgs"
    full_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not is_whole(self.remembered, 1):
            raise GraphpropError(
                f"optimizer 'lbfgs': remembered is a whole number of at least 1, not {self.remembered!r}"
            )
        if self.rate != 1.0:
            raise GraphpropError("optimizer 'lbfgs' finds the length of its steps by itself; it takes no rate")
