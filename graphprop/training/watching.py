"""The end of an epoch: its row, the best until now, and whether that is a reason to stop."""

from __future__ import annotations

from functools import partial

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.given.arrays import Array
from graphprop.passes.goals import read_loss
from graphprop.passes.heads import outputs_of
from graphprop.passes.objective import Objective
from graphprop.training.metrics import accuracy, measured
from graphprop.training.optim import plateau
from graphprop.training.progress import Shown
from graphprop.training.samples import Samples, Stream
from graphprop.training.task import State, Task, rate_now

AT_ONCE = 4096  # samples of which outputs are computed together


def end_epoch(task: Task, state: State, show: Shown) -> str:
    """The row of an epoch, the best until now, and why to stop; empty if there is no reason."""
    row = {"epoch": state.epoch + 1, "loss": state.total / state.counted, "rate": rate_now(task, state)}
    row |= _looked_at(task, state)
    state.rows.append(row)
    state.epoch, state.batch, state.total, state.counted = state.epoch + 1, 0, 0.0, 0.0
    watched = row["validation_loss" if task.apart is not None else "loss"]
    if watched < state.best_loss:
        state.best_theta, state.best_epoch, state.best_loss, state.waited = state.theta, state.epoch, watched, 0
    else:
        state.waited += 1
        own = task.optimizer.rate
        if isinstance(own, plateau) and state.waited % own.patience == 0:
            state.reduced += 1
    show.epoch(row)
    if task.callback is not None:
        theta = state.theta.view()
        theta.flags.writeable = False
        if task.callback(dict(row), theta) is True:
            return "callback"
    return "patience" if task.patience is not None and state.waited >= task.patience else ""


def _looked_at(task: Task, state: State) -> dict[str, float]:
    """The loss of the samples that are kept apart, and the metrics."""
    found: dict[str, float] = {}
    if task.apart is not None:
        found["validation_loss"] = _loss_of(task, state.theta, task.apart)
    if task.metrics:
        seen = task.apart if task.apart is not None else task.samples
        if isinstance(seen, Stream):
            raise GraphpropError("metrics: batches of an iterable are gone when the epoch ends; give a validation")
        found |= _metrics_of(task, state.theta, seen)
    return found


def _loss_of(task: Task, theta: Array, samples: Samples) -> float:
    total = counted = 0.0
    for batch in samples.batches(AT_ONCE):
        value = task.program.value(theta, batch.inputs, batch.target, loss=task.entry, sample_weight=batch.weight)
        counts = len(batch) if batch.weight is None else float(batch.weight.sum())
        total, counted = total + value * counts, counted + counts
    return total / counted


def _metrics_of(task: Task, theta: Array, samples: Samples) -> dict[str, float]:
    outputs, read, given = [], [], []
    for batch in samples.batches(AT_ONCE):
        objective = read_loss(task.program.layout, len(batch), True, task.entry, batch.target, None)
        outputs.append(_read_by(objective, task.program.predict(theta, batch.inputs)))
        read.append(np.hstack(objective.targets))
        given.append(batch.target)
    told, target = np.concatenate(outputs), np.concatenate(read)
    own = np.concatenate(given) if isinstance(given[0], np.ndarray) else target
    heads = [(one.loss.targets, span) for one, span, *_ in objective.each_head()]
    found = {}
    for name, (metric, is_own) in task.metrics.items():
        function = partial(metric, heads=heads) if metric is accuracy else metric
        found[name] = measured(name, function, told, own if is_own else target)
    return found


def _read_by(objective: Objective, outputs: Array) -> Array:
    """What the losses read of all outputs, in their order."""
    columns = outputs_of(objective.layout)[1]
    if np.array_equal(columns, objective.columns):
        return outputs
    place = {column: i for i, column in enumerate(columns.tolist())}
    try:
        return outputs[:, [place[column] for column in objective.columns.tolist()]]
    except KeyError:
        raise GraphpropError(f"metrics are of the outputs; {objective} reads other nodes, too") from None
