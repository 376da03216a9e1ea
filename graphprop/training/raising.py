"""How the members of a population are trained: one step for all of them at a time, and each stops by itself."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphprop.engine.thread_count import threads
from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import Array, keeps_warnings
from graphprop.network import Network
from graphprop.training.adjusting import Adjustment, adjustment, clipped
from graphprop.training.chosen import OPTIMIZERS, read_optimizer
from graphprop.training.crowd import Crowd, Failed
from graphprop.training.interrupts import Interrupts
from graphprop.training.optim import LBFGS, plateau
from graphprop.training.rules import Optimizer
from graphprop.training.task import rate_of


@dataclass(frozen=True, eq=False)
class Course:
    """What is asked of a training, besides the samples."""

    loss: Any
    optimizer: Optimizer
    steps: int
    clip: float | None
    decay: float
    patience: int | None

    @classmethod
    def of(cls, loss: Any, optimizer: Any, steps: Any, rate: Any, clip: Any, decay: Any, patience: Any) -> Course:
        """What a user asked for, or an error that says what is wrong with it."""
        find_loss(loss)
        for what, number in (("steps", steps), ("patience", patience)):
            if not (is_whole(number, 1) or (number is None and what == "patience")):
                raise GraphpropError(f"{what} is a whole number of at least 1, not {number!r}")
        chosen = read_optimizer(optimizer, rate)
        if isinstance(chosen, LBFGS):
            raise GraphpropError("optimizer 'lbfgs' trains one network at a time: gp.fit")
        return cls(loss, chosen, int(steps), clip, decay, None if patience is None else int(patience))


@dataclass(eq=False)
class Outcome:
    """What came of a training; `history` has a row for each step, and nan where a member did not take part."""

    theta: Array
    history: Array
    stopped: list[str]
    failed: Failed

    def columns(self) -> Iterator[tuple[Array, int]]:
        """Of each member the losses by step, and how many there are."""
        counts = np.isfinite(self.history).sum(axis=0)
        return zip(self.history.T, counts.tolist(), strict=True)


def raise_members(crowd: Crowd, course: Course, rows: Array, batched: bool, Y: Any, weight: Any) -> Outcome:
    """Train all members; Ctrl-C ends it after the present step."""
    question = crowd.ask(rows, batched, Y, course.loss, weight)
    theta = crowd.theta()
    good, state = theta, _State(crowd, course, theta)
    history, failed = np.full((course.steps, len(crowd)), np.nan), Failed()
    with Interrupts() as asked:
        for step in range(course.steps):
            # what is wrong from the start is a mistake; what goes wrong later is the matter of one member
            values, gradient, new = question.value_and_grad(theta, state.going, GraphpropError if step else NumberError)
            for i, why in new.items():
                theta[crowd.span(i)] = good[crowd.span(i)]
                failed[i] = why
            state.stop(new, "failed")
            history[step] = values
            if not state.going.any():
                break
            good, theta = theta, state.next(step, theta, gradient)
            state.look_at(values)
            if asked():
                state.stop(np.flatnonzero(state.going), "interrupted")
            if not state.going.any():
                break
    for i in range(len(crowd)):
        own = theta[crowd.span(i)]
        if not np.array_equal(np.isfinite(own), np.isfinite(good[crowd.span(i)])):
            theta[crowd.span(i)] = good[crowd.span(i)]
            failed[i] = f"member {crowd.keys[i]!r}: theta overflows in step {len(history)}"
    return Outcome(theta, history, state.stopped, failed)


class _State:
    """What changes from step to step besides theta: who is going, and what the optimiser remembers."""

    def __init__(self, crowd: Crowd, course: Course, theta: Array) -> None:
        self.crowd, self.course, count = crowd, course, len(crowd)
        self.going = np.ones(count, dtype=bool)
        self.stopped = ["steps"] * count
        self._best, self._waited, self._reduced = np.full(count, np.inf), np.zeros(count, int), np.zeros(count, int)
        layout, trainable, optimizer = crowd.side.layout, crowd.trainable(), course.optimizer
        self._adjustment = adjustment(
            layout, theta, trainable, optimizer, clip=course.clip, decay=course.decay, scale=None
        )
        self._parts: list[Adjustment] = []
        self._memories: list[tuple[Array, ...]] = []
        self._memory: tuple[Array, ...] = ()
        if _is_by_number(course.optimizer):
            self._memory = course.optimizer.start(theta)
        else:
            spans = [crowd.span(i) for i in range(count)]
            self._parts = [_part(self._adjustment, span) for span in spans]
            self._memories = [tuple(course.optimizer.start(theta[span])) for span in spans]

    def stop(self, members: Iterable[int], why: str) -> None:
        for i in members:
            self.going[i], self.stopped[i] = False, why

    @keeps_warnings
    def next(self, step: int, theta: Array, gradient: Array) -> Array:
        """The next theta of those that are going; that of the others stays."""
        with np.errstate(all="ignore"):  # what overflows is found when it is run
            return self._each(step, theta, gradient) if self._parts else self._all(step, theta, gradient)

    def _all(self, step: int, theta: Array, gradient: Array) -> Array:
        """For an optimiser that goes number by number, as those here do: all members as if they were one."""
        rate = rate_of(self.course.optimizer, step, 0)
        if self.course.clip is not None:
            gradient = self._clipped(gradient, float(self.course.clip))
        whole = replace(self._adjustment, clip=None)
        new, self._memory = whole.step(step + 1, rate, theta, gradient, self._memory)
        if self.going.all():
            return new
        return np.where(np.repeat(self.going, np.diff(self.crowd.side.first_position)), new, theta)

    def _clipped(self, gradient: Array, most: float) -> Array:
        """Each member's gradient clipped by itself."""
        gradient = gradient.copy()
        gradient[self._adjustment.frozen] = 0
        for i in np.flatnonzero(self.going).tolist():
            span = self.crowd.span(i)
            gradient[span] = clipped(gradient[span], most)
        return gradient

    def _each(self, step: int, theta: Array, gradient: Array) -> Array:
        """For another optimiser, or a rate of each member's own: one member after the other."""
        new = theta.copy()
        for i in np.flatnonzero(self.going).tolist():
            span = self.crowd.span(i)
            rate = rate_of(self.course.optimizer, step, int(self._reduced[i]))
            given = step + 1, rate, theta[span], gradient[span], self._memories[i]
            new[span], self._memories[i] = self._parts[i].step(*given)
        return new

    def look_at(self, values: Array) -> None:
        """See whose losses got better, and who has waited too long for that."""
        better = values < self._best
        self._best = np.where(better, values, self._best)
        self._waited = np.where(better, 0, self._waited + 1)
        own = self.course.optimizer.rate
        if isinstance(own, plateau):
            self._reduced += ~better & (self._waited % own.patience == 0)
        if self.course.patience is not None:
            self.stop(np.flatnonzero(self.going & (self._waited >= self.course.patience)).tolist(), "patience")


def _is_by_number(optimizer: Optimizer) -> bool:
    """Whether it moves each number by itself, with the same rate for all members."""
    ours: Any = type(optimizer)
    return ours in OPTIMIZERS.values() and not isinstance(optimizer.rate, plateau)


def _part(whole: Adjustment, span: slice) -> Adjustment:
    """What is done to one member."""

    def own(positions: Array) -> Array:
        first, last = np.searchsorted(positions, (span.start, span.stop)).tolist()
        found: Array = positions[first:last] - span.start
        return found

    return replace(whole, decaying=own(whole.decaying), frozen=own(whole.frozen))


# ------------------------------------------------------------------ by workers


def raise_by_executor(
    crowd: Crowd, course: Course, rows: Array, batched: bool, Y: Any, weight: Any, executor: Any
) -> Outcome:
    """The same by workers, to each a part of the members. An interrupt is raised, and theta stays as it was."""
    if not callable(getattr(executor, "submit", None)):
        raise GraphpropError(f"executor has the interface of concurrent.futures.Executor; {executor!r} has no submit")
    workers: Any = getattr(executor, "_max_workers", None)
    count = min(len(crowd), int(workers) if is_whole(workers, 1) else os.cpu_count() or 1)
    bounds = np.linspace(0, len(crowd), count + 1).round().astype(int).tolist()
    futures, outcomes = [], []
    try:
        for first, last in itertools.pairwise(bounds):
            nets = dict(zip(crowd.keys[first:last], crowd.nets[first:last], strict=True))
            futures.append(executor.submit(raise_part, nets, crowd.columns(), course, rows, batched, Y, weight))
        outcomes = [future.result() for future in futures]
    except GraphpropError:
        raise
    except Exception as error:
        raise GraphpropError(f"executor: {type(error).__name__}: {error}") from error
    finally:
        for future in futures:
            future.cancel()
    return Outcome(
        np.concatenate([outcome.theta for outcome in outcomes]),
        np.hstack([outcome.history for outcome in outcomes]),
        [why for outcome in outcomes for why in outcome.stopped],
        {first + i: why for first, outcome in zip(bounds, outcomes, strict=False) for i, why in outcome.failed.items()},
    )


def raise_part(
    nets: dict[Any, Network],
    columns: dict[Any, slice],
    course: Course,
    rows: Array,
    batched: bool,
    Y: Any,
    weight: Any,
) -> Outcome:
    """Train a part of a population, whose inputs have these columns of the rows, on one thread."""
    with threads(1):
        crowd = Crowd(nets)
        read = np.concatenate([np.arange(rows.shape[1])[columns[name]] for name in crowd.side.inputs])
        return raise_members(crowd, course, np.ascontiguousarray(rows[:, read]), batched, Y, weight)
