"""Value and gradient of softmax cross-entropy of a layered network, in matrices, by hand and by other libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphprop as gp
from tests.benchmarks.graphs import Array
from tests.benchmarks.jax_peers import compiled, in_double_precision
from tests.benchmarks.measuring import once
from tests.benchmarks.peers import on_one_thread
from tests.benchmarks.tasks import Prepared


@dataclass(frozen=True, eq=False)
class LayeredTask:
    """A network declared neuron by neuron with tanh below an identity layer, and labels for a batch."""

    net: gp.Network
    sizes: tuple[int, ...]
    theta: Array
    inputs: Array
    labels: Array

    @classmethod
    def draw(cls, net: gp.Network, sizes: tuple[int, ...], samples: int, dtype: str) -> LayeredTask:
        random = np.random.default_rng(samples)
        inputs = random.random((samples, sizes[0])).astype(dtype)
        return cls(net, sizes, net.theta.astype(dtype), inputs, random.integers(0, sizes[-1], samples))

    def split(self, theta: Array) -> list[tuple[Array, Array]]:
        """A flat vector aligned with theta as the matrix and the biases of each layer, as copies.

        A neuron's weights stand before its bias, one neuron behind the other.
        """
        parts, first = [], 0
        for fan_in, size in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            rows = theta[first : first + size * (fan_in + 1)].reshape(size, fan_in + 1)
            parts.append((rows[:, :-1].copy(), rows[:, -1].copy()))
            first += rows.size
        return parts

    def join(self, parts: Any) -> Array:
        """The inverse of `split`."""
        return np.concatenate([np.column_stack([np.asarray(w), np.asarray(b)]).ravel() for w, b in parts])


def by_graphprop(task: LayeredTask) -> Prepared:
    program, theta, x, y = gp.compile(task.net), task.theta, task.inputs, task.labels
    return Prepared(lambda: program.value_and_grad(theta, x, y, loss="softmax_cross_entropy"))


def by_numpy(task: LayeredTask) -> Prepared:
    """By hand: BLAS for the products, everything else in place, all arrays of the gradient made once."""
    layers, x, labels, samples = task.split(task.theta), task.inputs, task.labels, len(task.inputs)
    gradient = [(np.empty_like(w), np.empty_like(b)) for w, b in layers]
    each = np.arange(samples)

    def run() -> tuple[float, list[tuple[Array, Array]]]:
        outputs = [x]
        for w, b in layers[:-1]:
            h = outputs[-1] @ w.T
            h += b
            outputs.append(np.tanh(h, out=h))
        w, b = layers[-1]
        z = outputs[-1] @ w.T
        z += b
        z -= z.max(axis=1, keepdims=True)
        chosen = z[each, labels]
        delta = np.exp(z, out=z)
        total = delta.sum(axis=1, keepdims=True)
        value = float((np.log(total[:, 0]) - chosen).mean())
        delta /= total
        delta[each, labels] -= 1
        delta /= samples
        for i in range(len(layers) - 1, -1, -1):
            np.matmul(delta.T, outputs[i], out=gradient[i][0])
            delta.sum(axis=0, out=gradient[i][1])
            if i:
                delta = delta @ layers[i][0]
                h = outputs[i]
                h *= h
                np.subtract(1, h, out=h)
                delta *= h
        return value, gradient

    return Prepared(run, read=lambda result: (result[0], task.join(result[1])))


def by_torch(task: LayeredTask) -> Prepared:
    import torch
    from torch.nn.functional import cross_entropy, linear

    layers = [
        (torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True)) for w, b in task.split(task.theta)
    ]
    parameters = [parameter for layer in layers for parameter in layer]
    x, labels = torch.tensor(task.inputs), torch.tensor(task.labels)

    def run() -> tuple[Any, Any]:
        h = x
        for w, b in layers[:-1]:
            h = torch.tanh(linear(h, w, b))
        value = cross_entropy(linear(h, *layers[-1]), labels)
        return value.detach(), torch.autograd.grad(value, parameters)

    def read(result: tuple[Any, Any]) -> tuple[Any, Array]:
        return result[0], task.join(zip(result[1][::2], result[1][1::2], strict=True))

    return Prepared(run, f"{torch.get_num_threads()} threads", read)


def by_jax(task: LayeredTask) -> Prepared:
    jax = in_double_precision()
    jnp = jax.numpy
    layers = [(jnp.asarray(w), jnp.asarray(b)) for w, b in task.split(task.theta)]
    prepared = compiled(jax, loss_of_jax(jax), layers, jnp.asarray(task.inputs), jnp.asarray(task.labels))
    return Prepared(prepared.run, prepared.note, lambda result: (result[0], task.join(result[1])))


def loss_of_jax(jax: Any) -> Callable[[Any, Any, Any], Any]:
    jnp = jax.numpy

    def loss(layers: Any, x: Any, labels: Any) -> Any:
        h = x
        for w, b in layers[:-1]:
            h = jnp.tanh(h @ w.T + b)
        w, b = layers[-1]
        log_p = jax.nn.log_softmax(h @ w.T + b)
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    return loss


# ------------------------------------------------------------------ epochs: a batch after the other, without a step


def epoch_by_graphprop(task: LayeredTask, steps: int) -> Prepared:
    program, theta = gp.compile(task.net), task.theta
    batches = list(zip(np.split(task.inputs, steps), np.split(task.labels, steps), strict=True))

    def run() -> list[tuple[float, Array]]:
        return [program.value_and_grad(theta, x, y, loss="softmax_cross_entropy") for x, y in batches]

    def read(results: list[tuple[float, Array]]) -> tuple[float, Array]:
        return sum(value for value, _ in results), np.sum([gradient for _, gradient in results], axis=0, dtype=float)

    return Prepared(run, read=read)


def epoch_by_jax(task: LayeredTask, steps: int) -> Prepared:
    """All in one compiled scan, which adds up the gradients."""
    jax = in_double_precision()
    jnp, gradient_of = jax.numpy, jax.value_and_grad(loss_of_jax(jax))
    layers = [(jnp.asarray(w), jnp.asarray(b)) for w, b in task.split(task.theta)]
    x = jnp.asarray(task.inputs).reshape(steps, -1, task.sizes[0])
    labels = jnp.asarray(task.labels).reshape(steps, -1)

    def scan(layers: Any, x: Any, labels: Any) -> Any:
        def step(total: Any, batch: Any) -> Any:
            value, gradient = gradient_of(layers, *batch)
            return jax.tree.map(jnp.add, total, gradient), value

        return jax.lax.scan(step, jax.tree.map(jnp.zeros_like, layers), (x, labels))

    seconds, call = once(lambda: jax.jit(scan).lower(layers, x, labels).compile())

    def read(result: Any) -> tuple[float, Array]:
        return float(result[1].sum()), task.join(result[0])

    return Prepared(lambda: jax.block_until_ready(call(layers, x, labels)), f"compiled in {seconds:.1f} s", read)


EPOCH_PEERS: dict[str, Callable[[LayeredTask, int], Prepared]] = {
    "graphprop, a call each": epoch_by_graphprop,
    "JAX, one scan": epoch_by_jax,
}
LAYERED_PEERS: dict[str, Callable[[LayeredTask], Prepared]] = {
    "graphprop": by_graphprop,
    "NumPy matrices": by_numpy,
    "PyTorch": by_torch,
    "PyTorch, one thread": on_one_thread(by_torch),
    "JAX": by_jax,
}
