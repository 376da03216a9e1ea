"""How the members of a population are trained: one step for all of them at a time, and each stops by itself."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
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
from graphprop.training.rules import Memory, Optimizer
from graphprop.training.task import rate_of

AT_ONCE = 64  # members that an optimiser is called for: their numbers stay in a core's own cache


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
        if not isinstance(loss, Mapping):
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
    losses: Array  # with this theta
    history: Array
    stopped: list[str]
    failed: Failed

    def columns(self) -> Iterator[tuple[Array, int]]:
        """Of each member the losses by step, and how many there are."""
        counts = np.isfinite(self.history).sum(axis=0)
        return zip(self.history.T, counts.tolist(), strict=True)


@keeps_warnings
def raise_members(crowd: Crowd, course: Course, rows: Array, batched: bool, Y: Any, weight: Any) -> Outcome:
    """Train all members; Ctrl-C ends it after the present step."""
    question = crowd.ask(rows, batched, Y, course.loss, weight)
    theta = crowd.theta()
    good, state = theta, _State(crowd, course, theta)
    history: list[Array] = []
    failed = Failed()
    with Interrupts() as asked:
        for step in range(course.steps):
            # what is wrong from the start is a mistake; what goes wrong later is the matter of one member
            values, gradient, new = question.value_and_grad(theta, state.going, GraphpropError if step else NumberError)
            for i, why in new.items():
                theta[crowd.span(i)] = good[crowd.span(i)]
                failed[i] = why
            state.stop(new, "failed")
            history.append(values)
            if not state.going.any():
                break
            good, theta = theta, state.next(step, theta, gradient)
            state.look_at(values)
            if asked():
                state.stop(np.flatnonzero(state.going), "interrupted")
            if not state.going.any():
                break
    lost = np.flatnonzero(np.isfinite(theta) != np.isfinite(good))
    for i in np.unique(np.searchsorted(crowd.side.first_position, lost, side="right") - 1).tolist():
        theta[crowd.span(i)] = good[crowd.span(i)]
        failed[i] = f"member {crowd.keys[i]!r}: theta overflows in step {len(history)}"
    losses, _ = question.losses(theta, GraphpropError)
    return Outcome(theta, losses, np.array(history), state.stopped, failed)


class _State:
    """What changes from step to step besides theta: who is going, and what the optimiser remembers."""

    def __init__(self, crowd: Crowd, course: Course, theta: Array) -> None:
        self.crowd, self.course, count = crowd, course, len(crowd)
        self.going = np.ones(count, dtype=bool)
        self.stopped = ["steps"] * count
        self._best, self._waited, self._reduced = np.full(count, np.inf), np.zeros(count, int), np.zeros(count, int)
        layout, trainable, optimizer = crowd.side.layout, crowd.trainable(), course.optimizer
        whole = adjustment(layout, theta, trainable, optimizer, clip=course.clip, decay=course.decay, scale=None)
        self._together = _is_by_number(optimizer)
        at_once = AT_ONCE if self._together else 1
        parts = [range(first, min(first + at_once, count)) for first in range(0, count, at_once)]
        self._parts = [_Part.of(whole, crowd, part, self._together) for part in parts]
        self._memories: list[Memory] = [tuple(optimizer.start(theta[part.span])) for part in self._parts]

    def stop(self, members: Iterable[int], why: str) -> None:
        for i in members:
            self.going[i], self.stopped[i] = False, why

    @keeps_warnings
    def next(self, step: int, theta: Array, gradient: Array) -> Array:
        """The next theta of those that are going; that of the others stays."""
        new, optimizer = theta.copy(), self.course.optimizer
        if self._together:
            rates = [rate_of(optimizer, step, 0)] * len(self._parts)
        else:
            rates = [rate_of(optimizer, step, reduced) for reduced in self._reduced.tolist()]
        with np.errstate(all="ignore"):  # what overflows is found when it is run
            for i, rate in enumerate(rates):
                self._step(i, step + 1, rate, theta, gradient, new)
        return new

    def _step(self, i: int, number: int, rate: float, theta: Array, gradient: Array, new: Array) -> None:
        """Step those members of a part that are going."""
        part = self._parts[i]
        going = self.going[part.members.start : part.members.stop]
        if not going.any():
            return
        own = part.clipped(gradient[part.span], self.course.clip) if self._together else gradient[part.span]
        found, self._memories[i] = part.adjustment.step(number, rate, theta[part.span], own, self._memories[i])
        if going.all():
            new[part.span] = found
            return
        for k in np.flatnonzero(going).tolist():
            new[self.crowd.span(part.members[k])] = found[part.spans[k]]

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


@dataclass(frozen=True, eq=False)
class _Part:
    """Members that are stepped with one call of the optimiser."""

    members: range
    span: slice  # of their parameters
    spans: list[slice]  # of each of them, from there on
    adjustment: Adjustment

    @classmethod
    def of(cls, whole: Adjustment, crowd: Crowd, members: range, together: bool) -> _Part:
        """A part of an adjustment of all. Where several are stepped together, each is clipped before."""
        spans = [crowd.span(i) for i in members]
        span = slice(spans[0].start, spans[-1].stop)

        def own(positions: Array) -> Array:
            first, last = np.searchsorted(positions, (span.start, span.stop)).tolist()
            found: Array = positions[first:last] - span.start
            return found

        clip = None if together else whole.clip
        adjusted = replace(whole, clip=clip, decaying=own(whole.decaying), frozen=own(whole.frozen))
        return cls(members, span, [slice(each.start - span.start, each.stop - span.start) for each in spans], adjusted)

    def clipped(self, gradient: Array, most: float | None) -> Array:
        """The gradient of each member clipped by itself."""
        if most is None:
            return gradient
        gradient = gradient.copy()
        gradient[self.adjustment.frozen] = 0
        for span in self.spans:
            gradient[span] = clipped(gradient[span], float(most))
        return gradient


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
        np.concatenate([outcome.losses for outcome in outcomes]),
        _side_by_side([outcome.history for outcome in outcomes]),
        [why for outcome in outcomes for why in outcome.stopped],
        {first + i: why for first, outcome in zip(bounds, outcomes, strict=False) for i, why in outcome.failed.items()},
    )


def _side_by_side(histories: list[Array]) -> Array:
    """Those of some members after those of others, who may all have stopped before."""
    steps = max(map(len, histories))
    return np.hstack([np.pad(each, ((0, steps - len(each)), (0, 0)), constant_values=np.nan) for each in histories])


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
