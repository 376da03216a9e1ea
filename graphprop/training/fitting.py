"""`gp.fit`: a network or a program trained on samples, with one call.

What a step does is in `adjusting.py`, what an update or a rate is in `optim.py`, and what a batch is in `samples.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, check_flag
from graphprop.given.arguments import generator, is_whole
from graphprop.given.arrays import Array, keeps_warnings
from graphprop.network import Network
from graphprop.passes.heads import Losses
from graphprop.program import Program
from graphprop.training.adjusting import adjustment
from graphprop.training.by_scipy import minimize_by_lbfgs
from graphprop.training.checkpoints import Checkpoint
from graphprop.training.chosen import read_optimizer
from graphprop.training.fitted import Fit
from graphprop.training.interrupts import Interrupts
from graphprop.training.metrics import read_metrics
from graphprop.training.optim import LBFGS
from graphprop.training.progress import Shown, shown
from graphprop.training.samples import Batch, Samples, Stream
from graphprop.training.task import State, Task, rate_now, read_loss, read_model, read_samples
from graphprop.training.walking import walk
from graphprop.training.watching import end_epoch

MOST_LOOKED_AT = 2**28  # bytes of samples that are run at once to say which of them is wrong


@keeps_warnings
def fit(
    model: Network | Program,
    X: Any,
    Y: Any = None,
    *,
    loss: Losses,
    theta: Any = None,
    optimizer: Any = "adam",
    epochs: int = 30,
    batch_size: int | None = None,
    seed: int = 0,
    validation: Any = None,
    patience: int | None = None,
    restore: bool = True,
    rate: Any = None,
    clip: float | None = None,
    decay: float = 0.0,
    scale: Mapping[Any, float] | None = None,
    sample_weight: Any = None,
    metrics: Any = (),
    checkpoint: str | os.PathLike[str] | None = None,
    callback: Callable[[Mapping[str, float], Array], Any] | None = None,
    progress: bool | None = None,
) -> Fit:
    """Train a network, whose theta is changed, or a program, which gives a theta back.

    Parameters
    ----------
    model : Network or Program
    X, Y : arrays (samples, ...), mappings or data frames with columns by name
        As `Program.value_and_grad` takes them; files in memory (`np.memmap`) are read a batch at a time. Or X alone: an
        iterable of batches (X, Y) or (X, Y, sample_weight), or a function that makes one for each epoch.
    loss : str or Loss, or a mapping from heads to such, or to pairs of one and its weight
    theta : array
        Where a program starts; in float32 all is computed so. A network has its own.
    optimizer : str or object
        A name (sgd, rmsprop, adagrad, adam, adamw, lion, rprop, lbfgs), one of `gp.optim`, a transformation of optax,
        or one of your own: an object with `name`, `rate`, `start(theta)`, which gives a tuple of arrays, and
        `update(step, rate, theta, gradient, *arrays)`, which gives the next theta and arrays.
    epochs : int
        How often all samples are gone through.
    batch_size : int
        Samples for a step: 32, or all for an optimizer that needs them all.
    seed : int
        Of the order of the samples, and of what is kept apart for a validation.
    validation : (X, Y), (X, Y, sample_weight), or a fraction
        Samples that are not trained on: their loss is computed after every epoch, and the parameters of the epoch where
        it is smallest are those that come out, unless `restore` is False. A fraction is kept apart of what is given.
    patience : int
        How many epochs may pass without a better loss (of the validation, else of the training) before it ends.
    rate : number, a changing rate of `gp.optim`, or a function of the step
        In place of the optimizer's own. Steps are counted from 0.
    clip : number
        A gradient that is longer is made that long.
    decay : number
        Before each step the rate times this times themselves is taken off the weights; not off biases.
    scale : mapping from names to factors
        How far parameters, edges (u, v), or nodes (the weights into them and their biases) go with each step, compared
        with the others; 0 holds them.
    sample_weight : array
    metrics : names (accuracy, mse, mae, r2) or functions of outputs and targets
        Computed after every epoch, of the validation, or of the training samples if there is none.
    checkpoint : path
        A file that is written after every epoch, though not more often than once a second, within long ones, and at the
        end or an interrupt. The same call goes on from it, and ends in the same bits as one that was never interrupted.
    callback : function of the epoch's row and theta
        Called after every epoch; if it gives True, the fit ends.
    progress : bool
        Whether to show a bar; by default it is one in a terminal or a notebook, else a line now and then.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.mlp([2, 3, 1], "tanh", "identity", seed=0)
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fit = gp.fit(net, X, Y, loss="binary_cross_entropy", optimizer="rprop", epochs=100, metrics="accuracy")
    >>> float(fit.history["accuracy"][-1])
    1.0
    """
    program, start, trainable = read_model(model, theta)
    entry = read_loss(program.layout, loss)
    for what, number in (("epochs", epochs), ("patience", patience), ("batch_size", batch_size)):
        if not (is_whole(number, 1) or (number is None and what != "epochs")):
            raise GraphpropError(f"{what} is a whole number of at least 1, not {number!r}")
    check_flag(restore, "restore")
    generator(seed)
    chosen = read_optimizer(optimizer, rate)
    samples, apart = read_samples(X, Y, sample_weight, validation, epochs, int(seed))
    whole = bool(getattr(chosen, "full_batch", False))
    if whole and (isinstance(samples, Stream) or (batch_size is not None and batch_size < len(samples))):
        raise GraphpropError(f"optimizer {chosen.name!r} needs all samples in one batch; leave batch_size out")
    size = len(samples) if whole and isinstance(samples, Samples) else int(batch_size or 32)
    task = Task(
        program=program,
        entry=entry,
        samples=samples,
        apart=apart,
        size=size,
        epochs=int(epochs),
        seed=int(seed),
        patience=patience,
        optimizer=chosen,
        adjustment=adjustment(
            program.layout,
            start,
            trainable,
            chosen,
            clip=clip,
            decay=decay,
            scale=scale,
            unread=program.schedule.unused_positions,
        ),
        metrics=read_metrics(metrics, program.layout, entry),
        callback=callback,
    )
    memory = () if isinstance(chosen, LBFGS) else tuple(chosen.start(start))
    state = State(theta=start, memory=memory, good=start)
    kept = Checkpoint(checkpoint, task, state)
    try:
        stopped = kept.stopped or _run(task, state, progress, kept)
    finally:
        if isinstance(model, Network):
            model.theta = state.good
    best = state.best_theta if restore and apart is not None and state.best_theta is not None else state.theta
    if isinstance(model, Network):
        model.theta = best
    history = {name: np.array([row[name] for row in state.rows]) for name in task.columns}
    for column in (best, *history.values()):
        column.flags.writeable = False
    return Fit(best, history, stopped, state.best_epoch, chosen.name, state.step)


# ------------------------------------------------------------------ the loop


def _run(task: Task, state: State, progress: bool | None, kept: Checkpoint) -> str:
    """Go on until there is a reason to stop, and say which."""
    steps = None if isinstance(task.samples, Stream) else -(-len(task.samples) // task.size)
    show = shown(progress, task.epochs, steps, state.step)
    try:
        with Interrupts() as asked:
            if isinstance(task.optimizer, LBFGS):
                return _by_lbfgs(task, state, task.optimizer, show, asked)
            while state.epoch < task.epochs:
                _steps(task, state, show, asked, kept)
                if asked():
                    return kept.end("interrupted")
                if stopped := end_epoch(task, state, show):
                    return kept.end(stopped)
                kept.epoch()
            return kept.end("epochs")
    finally:
        show.close()


def _steps(task: Task, state: State, show: Shown, asked: Callable[[], bool], kept: Checkpoint) -> None:
    """The steps of an epoch that are left, until somebody asks to stop: many at once, or one by one."""
    for count in walk(task, state):
        show.step(state.epoch + 1, state.total / state.counted, count)
        kept.step()
        if asked():
            return
    for batch in task.batches(state.epoch, state.batch):
        value, gradient = _of_batch(task, state, state.theta, batch)
        counts = len(batch) if batch.weight is None else float(batch.weight.sum())
        state.total, state.counted = state.total + value * counts, state.counted + counts
        rate = rate_now(task, state)
        new, memory = task.adjustment.step(state.step + 1, rate, state.theta, gradient, state.memory)
        state.good = state.theta
        state.theta, state.memory = new, memory
        state.step, state.batch = state.step + 1, state.batch + 1
        show.step(state.epoch + 1, state.total / state.counted)
        kept.step()
        if asked():
            return
    if not state.batch:
        raise GraphpropError(f"epoch {state.epoch + 1}: X gave no batch")


def _by_lbfgs(task: Task, state: State, optimizer: LBFGS, show: Shown, asked: Callable[[], bool]) -> str:
    """The same by scipy, a step of which is an epoch."""
    assert isinstance(task.samples, Samples)
    [batch] = task.samples.batches(len(task.samples))
    why: list[str] = []

    def value_and_grad(theta: Array) -> tuple[float, Array]:
        return _of_batch(task, state, theta.astype(state.theta.dtype), batch)

    def each(loss: float, theta: Array) -> bool:
        state.theta = state.good = theta.astype(state.theta.dtype)
        state.total, state.counted, state.step, state.batch = loss, 1.0, state.step + 1, 1
        show.step(state.epoch + 1, loss)
        stopped = end_epoch(task, state, show)
        why.append("interrupted" if asked() else stopped)
        return bool(why[-1])

    free = np.setdiff1d(np.arange(len(state.theta)), task.adjustment.frozen)
    is_at_rest = minimize_by_lbfgs(
        value_and_grad, state.theta, free, remembered=optimizer.remembered, epochs=task.epochs, each=each
    )
    return next(filter(None, why), "converged" if is_at_rest and state.epoch < task.epochs else "epochs")


def _of_batch(task: Task, state: State, theta: Array, batch: Batch) -> tuple[float, Array]:
    try:
        return task.program.value_and_grad(
            theta, batch.inputs, batch.target, loss=task.entry, sample_weight=batch.weight
        )
    except GraphpropError as error:
        told = _of_all(task, theta) or error
        told.args = (f"epoch {state.epoch + 1}, batch {state.batch + 1}: {told}", *told.args[1:])
        raise told from None


def _of_all(task: Task, theta: Array) -> GraphpropError | None:
    """What is wrong, with samples counted as the user counts them: as all of them say it, unless they are too many."""
    samples = task.samples
    if isinstance(samples, Samples) and task.size < len(samples) and samples.bytes_in_memory() <= MOST_LOOKED_AT:
        try:
            task.program.value(theta, samples.inputs, samples.target, loss=task.entry, sample_weight=samples.weight)
        except GraphpropError as error:
            return error
    return None
