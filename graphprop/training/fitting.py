"""`gp.fit`: a network or a program trained on samples, with one call.

What a step does is in `adjusting.py`, what an update or a rate is in `optim.py`, and what a batch is in `samples.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, NumberError, check_flag
from graphprop.functions.loss import Loss
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arguments import generator, is_whole
from graphprop.given.arrays import Array, numbers_as_given
from graphprop.network import Network
from graphprop.passes.goals import read_loss
from graphprop.program import Program
from graphprop.training.adjusting import Adjustment, adjustment
from graphprop.training.by_scipy import minimize_by_lbfgs
from graphprop.training.chosen import read_optimizer
from graphprop.training.fitted import Fit
from graphprop.training.interrupts import Interrupts
from graphprop.training.metrics import Metric, measured, read_metrics
from graphprop.training.optim import LBFGS, plateau
from graphprop.training.progress import Shown, shown
from graphprop.training.rules import Optimizer
from graphprop.training.samples import Batch, Samples, Stream, is_stream

AT_ONCE = 4096  # samples of which a validation reads the outputs together


def fit(
    model: Network | Program,
    X: Any,
    Y: Any = None,
    *,
    loss: str | Loss,
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
    loss : str or Loss
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
    program, start, trainable = _model(model, theta)
    entry = find_loss(loss)
    for what, number, least in (("epochs", epochs, 1), ("patience", patience, 1), ("batch_size", batch_size, 1)):
        if number is not None and not is_whole(number, least):
            raise GraphpropError(f"{what} is a whole number of at least {least}, not {number!r}")
    check_flag(restore, "restore")
    generator(seed)
    chosen = read_optimizer(optimizer, rate)
    samples, apart = _samples(X, Y, sample_weight, validation, epochs, int(seed))
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
        adjustment=adjustment(program.layout, start, trainable, chosen, clip=clip, decay=decay, scale=scale),
        metrics=read_metrics(metrics, entry),
        callback=callback,
    )
    memory = () if isinstance(chosen, LBFGS) else tuple(chosen.start(start))
    state = State(theta=start, memory=memory, good=start)
    try:
        stopped = _run(task, state, progress)
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What is asked: a fit that was read, without anything that changes while it runs."""

    program: Program
    entry: Loss
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
        if self.size >= len(self.samples):
            return self.samples.batches(self.size, None, first)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.samples))
        return self.samples.batches(self.size, order, first)


@dataclass(kw_only=True)
class State:
    """All that changes while a fit runs."""

    theta: Array
    memory: tuple[Array, ...]
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


def _model(model: Any, theta: Any) -> tuple[Program, Array, Array]:
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


def _samples(
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


# ------------------------------------------------------------------ the loop


def _run(task: Task, state: State, progress: bool | None) -> str:
    """Go on until there is a reason to stop, and say which."""
    steps = None if isinstance(task.samples, Stream) else -(-len(task.samples) // task.size)
    show = shown(progress, task.epochs, steps, state.step)
    try:
        with Interrupts() as asked:
            if isinstance(task.optimizer, LBFGS):
                return _by_lbfgs(task, state, task.optimizer, show, asked)
            while state.epoch < task.epochs:
                _steps(task, state, show, asked)
                if asked():
                    return "interrupted"
                if stopped := _end_epoch(task, state, show):
                    return stopped
        return "epochs"
    finally:
        show.close()


def _steps(task: Task, state: State, show: Shown, asked: Callable[[], bool]) -> None:
    """The steps of an epoch that are left, until somebody asks to stop."""
    for batch in task.batches(state.epoch, state.batch):
        value, gradient = _of_batch(task, state, state.theta, batch)
        counts = len(batch) if batch.weight is None else float(batch.weight.sum())
        state.total, state.counted = state.total + value * counts, state.counted + counts
        rate = _rate(task, state)
        new, memory = task.adjustment.step(state.step + 1, rate, state.theta, gradient, state.memory)
        state.good = state.theta
        state.theta, state.memory = new, memory
        state.step, state.batch = state.step + 1, state.batch + 1
        show.step(state.epoch + 1, state.total / state.counted)
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
        stopped = _end_epoch(task, state, show)
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
        error.args = (f"epoch {state.epoch + 1}, batch {state.batch + 1}: {error}", *error.args[1:])
        raise


def _rate(task: Task, state: State) -> float:
    own = task.optimizer.rate
    if not callable(own):
        return float(own)
    found = own(state.step, state.reduced) if isinstance(own, plateau) else own(state.step)
    if not (isinstance(found, int | float | np.floating | np.integer) and 0 <= found < math.inf):
        raise NumberError(f"the rate of step {state.step} is {found!r}; it has to be a number of at least 0")
    return float(found)


def _end_epoch(task: Task, state: State, show: Shown) -> str:
    """The row of an epoch, the best until now, and why to stop; empty if there is no reason."""
    row = {"epoch": state.epoch + 1, "loss": state.total / state.counted, "rate": _rate(task, state)}
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
        value, _ = task.program.value_and_grad(
            theta, batch.inputs, batch.target, loss=task.entry, sample_weight=batch.weight
        )
        counts = len(batch) if batch.weight is None else float(batch.weight.sum())
        total, counted = total + value * counts, counted + counts
    return total / counted


def _metrics_of(task: Task, theta: Array, samples: Samples) -> dict[str, float]:
    outputs, read, given = [], [], []
    for batch in samples.batches(AT_ONCE):
        outputs.append(task.program.predict(theta, batch.inputs))
        objective = read_loss(task.program.layout, len(batch), True, task.entry, batch.target, None)
        read.append(np.hstack(objective.targets))
        given.append(batch.target)
    told, target = np.concatenate(outputs), np.concatenate(read)
    own = np.concatenate(given) if isinstance(given[0], np.ndarray) else target
    return {
        name: measured(name, metric, told, own if is_own else target) for name, (metric, is_own) in task.metrics.items()
    }
