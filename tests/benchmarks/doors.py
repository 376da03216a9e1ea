"""Every way to ask for a value and a gradient against the plain call: arrays as the loops take them, a loss by name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp
from tests.benchmarks.graphs import Array, random_graph
from tests.benchmarks.measuring import CannotRunError
from tests.benchmarks.tasks import Case, Prepared

SAMPLES = 32
KINDS = ("tanh", "relu", "identity", "sin", "gaussian")  # none gives probabilities, which are no logits
OWN = gp.Loss("own", lambda z, t: 0.5 * ((z - t) ** 2).sum(-1), lambda z, t: z - t)


@dataclass(frozen=True, eq=False)
class Batch:
    """A network of one head, and numbers that float32 has, too."""

    net: gp.Network
    theta: Array
    x: Array
    y: Array

    @classmethod
    def draw(cls, net: gp.Network) -> Batch:
        random = np.random.default_rng(0)
        widths = len(net.layout.input_columns), len(net.outputs)
        x, y = (random.standard_normal((SAMPLES, width)).astype(np.float32).astype(float) for width in widths)
        return cls(net, net.theta.copy(), x, y)

    @property
    def program(self) -> gp.Program:
        return self.net.program

    def call(self, **given: Any) -> Callable[[], Any]:
        """value_and_grad with some arguments in place of the plain ones."""
        arguments = {"theta": self.theta, "inputs": self.x, "target": self.y, "loss": "half_squared"} | given
        return partial(self.program.value_and_grad, **arguments)

    def seeds(self) -> Array:
        return (self.program.predict(self.theta, self.x) - self.y) / SAMPLES

    def value(self) -> float:
        found: float = self.call()()[0]
        return found


def doors(slow: bool) -> Iterator[Case]:
    graph = random_graph(10, 120, 300, KINDS)
    irregular = gp.Program.from_edges(graph.inputs, graph.source, graph.target, graph.activations, True).to_network()
    irregular.theta = graph.draw_theta(seed=1)
    layered = gp.mlp((64, 32, 10), "tanh", "identity", seed=0, by="neuron")
    for title, net in (("120 nodes", irregular), ("64-32-10", layered)):
        batch = Batch.draw(net)
        with tempfile.TemporaryDirectory() as folder:
            peers: dict[str, Callable[[], Prepared]] = {
                "plain": partial(Prepared, batch.call()),
                **{name: partial(prepare, batch) for name, prepare in SAME_NUMBERS.items()},
                "memmap": partial(_of_files, batch, Path(folder)),
            }
            yield Case(f"{title}, half_squared", peers)
        yield Case(f"{title}, float32", {"plain": peers["plain"], "float32": partial(_in_float32, batch)}, 1e-4)
        yield _labels(title, batch)
        yield _gaps(title, batch)
        yield from _probabilities(title, net)
        yield from _masks(title, net)


# ------------------------------------------------------------------ the same numbers, given otherwise


def _read_only(batch: Batch) -> Prepared:
    arrays = {"theta": batch.theta.copy(), "inputs": batch.x.copy(), "target": batch.y.copy()}
    for array in arrays.values():
        array.flags.writeable = False
    return Prepared(batch.call(**arrays))


def _not_contiguous(batch: Batch) -> Prepared:
    return Prepared(batch.call(inputs=np.asfortranarray(batch.x), target=np.asfortranarray(batch.y)))


def _mixed(batch: Batch) -> Prepared:
    return Prepared(batch.call(inputs=batch.x.astype(np.float32), target=batch.y.astype(np.float32)))


def _in_float32(batch: Batch) -> Prepared:
    arrays = {"theta": batch.theta, "inputs": batch.x, "target": batch.y}
    return Prepared(batch.call(**{name: array.astype(np.float32) for name, array in arrays.items()}))


def _of_files(batch: Batch, folder: Path) -> Prepared:
    for name, array in (("x", batch.x), ("y", batch.y)):
        np.save(folder / name, array)
    x, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "xy")
    return Prepared(batch.call(inputs=x, target=y))


def _weighted(batch: Batch) -> Prepared:
    return Prepared(batch.call(sample_weight=np.ones(SAMPLES)))


def _by_heads(batch: Batch) -> Prepared:
    net, (first, *others) = batch.net.copy(), batch.net.outputs
    net.set_outputs([first], others)
    return Prepared(Batch(net, batch.theta, batch.x, batch.y).call())


def _by_weighted_losses(batch: Batch) -> Prepared:
    """A mean of n numbers, n / 2 times, is what half_squared is."""
    net, (first, *others) = batch.net.copy(), batch.net.outputs
    net.set_outputs([first], others)
    loss = {head: ("mse", len(head) / 2) for head in net.layout.heads}
    return Prepared(Batch(net, batch.theta, batch.x, batch.y).call(loss=loss))


def _by_name(batch: Batch) -> Prepared:
    return Prepared(batch.call(target=dict(zip(batch.net.outputs, batch.y.T.copy(), strict=True))))


def _value(batch: Batch) -> Prepared:
    gradient = batch.call()()[1]
    call = partial(batch.program.value, batch.theta, batch.x, batch.y, loss="half_squared")
    return Prepared(call, "without a gradient", lambda value: (value, gradient))


def _losses(batch: Batch) -> Prepared:
    gradient = batch.call()()[1]
    call = partial(batch.program.losses, batch.theta, batch.x, batch.y, loss="half_squared")
    return Prepared(call, "of each sample", lambda losses: (float(losses.mean()), gradient))


def _by_own_loss(batch: Batch) -> Prepared:
    return Prepared(batch.call(loss=OWN))


def _by_vjp(batch: Batch) -> Prepared:
    value, call = batch.value(), partial(batch.program.vjp, batch.theta, batch.x, batch.seeds())
    return Prepared(call, "its seeds are given", lambda result: (value, result[0]))


def _by_linearize(batch: Batch) -> Prepared:
    value, seeds = batch.value(), batch.seeds()

    def run() -> tuple[Array, Array]:
        _, pull = batch.program.linearize(batch.theta, batch.x)
        return pull(seeds)

    return Prepared(run, "its seeds are given", lambda result: (value, result[0]))


def _predict(batch: Batch) -> Prepared:
    gradient = batch.call()()[1]

    def read(outputs: Array) -> tuple[float, Array]:
        return float(0.5 * ((outputs - batch.y) ** 2).sum() / SAMPLES), gradient

    return Prepared(partial(batch.program.predict, batch.theta, batch.x), "without a gradient", read)


def _hvp(batch: Batch) -> Prepared:
    hvp = getattr(batch.program, "hvp", None)
    if hvp is None:
        raise CannotRunError("skipped: there is no Program.hvp")
    plain, vector = batch.call()(), np.random.default_rng(1).standard_normal(len(batch.theta))
    call = partial(hvp, batch.theta, batch.x, batch.y, vector, loss="half_squared")
    step = 1e-6

    def read(product: Array) -> tuple[float, Array]:
        """The plain result, if differences of gradients agree."""
        there, back = (batch.call(theta=batch.theta + move * vector)()[1] for move in (step, -step))
        if np.abs(product - (there - back) / (2 * step)).max() > 1e-4 * np.abs(product).max():
            return float("nan"), product
        return plain

    return Prepared(call, "the Hessian times a vector", read)


SAME_NUMBERS: dict[str, Callable[[Batch], Prepared]] = {
    "read-only": _read_only,
    "non-contiguous": _not_contiguous,
    "float32 data": _mixed,
    "sample_weight": _weighted,
    "two heads": _by_heads,
    "a loss for each head": _by_weighted_losses,
    "targets by name": _by_name,
    "own loss": _by_own_loss,
    "vjp": _by_vjp,
    "linearize and pull": _by_linearize,
    "hvp": _hvp,
    "predict": _predict,
    "value": _value,
    "losses": _losses,
}


# ------------------------------------------------------------------ labels, gaps and masks


def _labels(title: str, batch: Batch) -> Case:
    labels = np.random.default_rng(2).integers(0, batch.y.shape[1], SAMPLES)
    rows = np.eye(batch.y.shape[1])[labels]
    targets = {"one-hot rows": rows, "labels": labels, "labels of int32": labels.astype(np.int32)}
    calls = {name: batch.call(target=target, loss="softmax_cross_entropy") for name, target in targets.items()}
    peers = {name: partial(Prepared, call) for name, call in calls.items()}
    return Case(f"{title}, softmax_cross_entropy", peers)


def _gaps(title: str, batch: Batch) -> Case:
    there = np.random.default_rng(4).random(batch.y.shape) < 0.7
    targets = {"all targets": batch.y, "some missing": np.where(there, batch.y, np.nan)}
    peers = {name: partial(Prepared, batch.call(target=target)) for name, target in targets.items()}
    return Case(f"{title}, missing targets", peers, np.inf)


def _probabilities(title: str, net: gp.Network) -> Iterator[Case]:
    """Losses of a softmax of all outputs against half_squared of the same without a mask."""
    for kind, loss in (("softmax", "cross_entropy"), ("log_softmax", "nll")):
        plain = _topped(net, kind, 0.0)
        for what, last in (("", 0.0), (", a mask", -np.inf)):
            batch = _of_topped(net, kind, last)
            labels = np.random.default_rng(5).integers(0, batch.y.shape[1] - 1, SAMPLES)
            goals: dict[str, dict[str, Any]] = {
                "rows": {"loss": loss, "target": np.eye(batch.y.shape[1])[labels]},
                "labels": {"loss": loss, "target": labels},
                "labels, sample_weight": {"loss": loss, "target": labels, "sample_weight": np.ones(SAMPLES)},
            }
            peers = {name: partial(Prepared, batch.call(**goal)) for name, goal in goals.items()}
            yield Case(f"{title}, {loss}{what}", {"half_squared": plain} | peers, np.inf)


def _masks(title: str, net: gp.Network) -> Iterator[Case]:
    """A softmax of all outputs, the last of which is masked, or so small that it comes out as 0."""
    plain, small, masked = (_topped(net, *top) for top in (("identity", 0.0), ("softmax", -1e4), ("softmax", -np.inf)))
    yield Case(f"{title} and a softmax", {"no mask": small, "a mask": masked})
    yield Case(f"{title} and a layer", {"identity": plain, "softmax": small, "softmax, a mask": masked}, np.inf)


def _topped(net: gp.Network, kind: str, last: float) -> Callable[[], Prepared]:
    return partial(Prepared, _of_topped(net, kind, last).call())


def _of_topped(net: gp.Network, kind: str, last: float) -> Batch:
    """The same network with a vector node of all its outputs."""
    net, outputs = net.copy(), net.outputs
    weights = dict(zip(outputs, np.eye(len(outputs)), strict=True))
    net.add_node("z", kind, weights, [*np.zeros(len(outputs) - 1), last], size=len(outputs))
    random = np.random.default_rng(3)
    x, y = (random.random((SAMPLES, columns)) for columns in (len(net.layout.input_columns), len(outputs)))
    return Batch(net, net.theta.copy(), x, y)
