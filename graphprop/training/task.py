"""What a fit is asked, read once, and all that changes while it runs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.calling import Told
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arrays import Array, numbers_as_given
from graphprop.graph.layout import Layout
from graphprop.network import Network
from graphprop.passes.heads import Losses, losses_of
from graphprop.program import Program
from graphprop.training.adjusting import Adjustment
from graphprop.training.metrics import Metric
from graphprop.training.optim import LBFGS, plateau
from graphprop.training.rules import Memory, Optimizer
from graphprop.training.samples import Batch, Samples, Stream, is_stream


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What is asked: a fit that was read, without anything that changes while it runs."""

    program: Program
    entry: Losses
    samples: Samples | Stream
    apart: Samples | None
    size: int
    epochs: int
    seed: int
    patience: int | None
    optimizer: Optimizer | LBFGS
    adjustment: Adjustment
    metrics: Mapping[str, tuple[Metric, bool]]
    callback: Callable[[Mapping[str, float], Array], Any] | None

    @property
    def columns(self) -> list[str]:
        """Those of the history."""
        validation = [] if self.apart is None else ["validation_loss"]
        return ["epoch", "loss", "rate", *validation, *self.metrics]

    def batches(self, epoch: int, first: int) -> Iterator[Batch]:
        """Those of an epoch, in an order that depends on the seed and its number alone."""
        if isinstance(self.samples, Stream):
            return self.samples.batches(first)
        if (sample := first * self.size) >= len(self.samples):
            return iter(())
        return self.samples.batches(self.size, self.order(epoch), sample)

    def order(self, epoch: int) -> Array | None:
        """The order of the samples in an epoch; None for that in which they are given, where one batch has them all."""
        count = len(self.samples) if isinstance(self.samples, Samples) else 0
        return np.random.default_rng((self.seed, epoch)).permutation(count) if self.size < count else None


@dataclass(kw_only=True)
class State:
    """All that changes while a fit runs."""

    theta: Array
    memory: Memory
    good: Array  # the last theta whose loss is known to be finite
    epoch: int = 0  # how many came to their end
    batch: int = 0  # how many of the present one did
    step: int = 0
    total: float = 0.0  # of the losses in the present epoch, each times what its batch counts for
    counted: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)
    best_theta: Array | None = None
    best_epoch: int = 0
    best_loss: float = math.inf
    waited: int = 0  # epochs since the best one
    reduced: int = 0  # how often a rate that waits for a plateau was


def read_model(model: Any, theta: Any) -> tuple[Program, Array, Array]:
    """The program, where it starts, and which parameters may move."""
    if isinstance(model, Network):
        if theta is not None:
            raise GraphpropError("theta= belongs to a program; a network has its own: net.theta = ...")
        return model.program, model.theta.copy(), model.trainable.copy()
    if not isinstance(model, Program):
        raise GraphpropError(f"a network or a program is fitted, not {type(model).__name__}")
    if theta is None:
        raise GraphpropError("a program holds no parameters: theta= says where it starts")
    given = numbers_as_given(theta, "theta")
    start = given.astype(np.float32 if given.dtype == np.float32 else float)
    if start.shape != (model.layout.size,):
        raise GraphpropError(f"theta has shape {start.shape}; the program has {model.layout.size} parameters")
    return model, start, np.ones(len(start), dtype=bool)


def read_loss(layout: Layout, given: Losses) -> Losses:
    """A loss of all heads, or a mapping from heads to their own, which stays as it is now."""
    if not isinstance(given, Mapping):
        return find_loss(given)
    losses_of(layout, given)
    return dict(given)


def read_samples(
    X: Any, Y: Any, weight: Any, validation: Any, epochs: int, seed: int
) -> tuple[Samples | Stream, Samples | None]:
    """What is trained on, and what is kept apart."""
    samples: Samples | Stream
    if is_stream(X, Y):
        if weight is not None:
            raise GraphpropError("sample_weight= belongs to arrays; batches bring their own: (X, Y, sample_weight)")
        samples = Stream(X)
        if samples.is_read_once and epochs > 1:
            raise GraphpropError(
                f"X can be gone through once, and there are {epochs} epochs; give a list, or a function that makes it"
            )
    else:
        if Y is None:
            raise GraphpropError("Y is missing; X alone is an iterable of batches (X, Y)")
        samples = Samples.of(X, Y, weight)
    if validation is None:
        return samples, None
    if isinstance(validation, int | float) and not isinstance(validation, bool):
        if not 0 < validation < 1:
            raise GraphpropError(f"validation is (X, Y), or a fraction between 0 and 1, not {validation!r}")
        if isinstance(samples, Stream):
            raise GraphpropError("validation: a fraction can be kept apart of arrays; give (X, Y) beside batches")
        return samples.split(float(validation), seed)
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise GraphpropError("validation is (X, Y), (X, Y, sample_weight), or a fraction between 0 and 1")
    inputs, target, own = (*validation, None)[:3]
    return samples, Samples.of(inputs, target, own, "validation: ")


def rate_now(task: Task, state: State) -> float:
    return rate_of(task.optimizer, state.step, state.reduced)


def rates(task: Task, state: State, count: int) -> list[float]:
    """Those of the steps that come next, all of them in the present epoch."""
    if not callable(task.optimizer.rate):
        return [float(task.optimizer.rate)] * count
    return [rate_of(task.optimizer, step, state.reduced) for step in range(state.step, state.step + count)]


def rate_of(optimizer: Optimizer | LBFGS, step: int, reduced: int) -> float:
    """The rate of a step, counted from 0, where a rate that waits for a plateau was reduced so often."""
    own = optimizer.rate
    if not callable(own):
        return float(own)
    with Told(lambda error: GraphpropError(f"the rate of step {step}: {type(error).__name__}: {error}")):
        found = own(step, reduced) if isinstance(own, plateau) else own(step)
    if not (isinstance(found, int | float | np.floating | np.integer) and 0 <= found <= sys.float_info.max):
        raise NumberError(f"the rate of step {step} is {found!r}; it has to be a number of at least 0")
    return float(found)
