"""Epochs of training: `gp.fit`, its own bare calls, and other libraries, each in its best form.

All take the same steps of Adam, from the same start and over the samples in the same order, so that what comes out can
be compared: the mean loss and the parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import graphprop as gp
from tests.benchmarks import jax_peers, peers
from tests.benchmarks.graphs import Array, Graph, random_graph
from tests.benchmarks.layered import LayeredTask, loss_of_jax
from tests.benchmarks.measuring import once
from tests.benchmarks.tasks import Case, Fact, Prepared

MIXED = ("sigmoid", "tanh", "relu", "identity", "sin", "gaussian")
RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8


@dataclass(frozen=True, eq=False)
class FitTask:
    """What is trained from which theta, on which samples, in batches of which size, and how many epochs."""

    program: gp.Program
    theta: Array
    inputs: Array
    target: Array
    loss: str
    size: int
    epochs: int

    @property
    def orders(self) -> list[Array]:
        """Of each epoch, the rows of each batch, as `gp.fit` with the seed 0 has them."""
        count = len(self.inputs)
        return [np.random.default_rng((0, e)).permutation(count).reshape(-1, self.size) for e in range(self.epochs)]


def by_graphprop(task: FitTask) -> Prepared:
    def run() -> gp.Fit:
        return gp.fit(
            task.program,
            task.inputs,
            task.target,
            theta=task.theta,
            loss=task.loss,
            epochs=task.epochs,
            batch_size=task.size,
            progress=False,
        )

    return Prepared(run, read=lambda fit: (fit.history["loss"][-1], fit.theta))


def by_bare_calls(task: FitTask) -> Prepared:
    """`value_and_grad` of batches that lie there already, and no step."""
    program, theta = task.program, task.theta
    batches = [(task.inputs[rows], task.target[rows]) for order in task.orders for rows in order]

    def run() -> None:
        for x, y in batches:
            program.value_and_grad(theta, x, y, loss=task.loss)

    return Prepared(run, read=None)


# ------------------------------------------------------------------ what the others have to know


@dataclass(frozen=True, eq=False)
class Model:
    """Parameters as another library has them, the loss of a batch by these, and how they are theta."""

    parameters: list[Array]
    loss: Callable[[Any], Callable[[Any, Any, Any], Any]]  # of the library: loss(parameters, inputs, target)
    join: Callable[[list[Array]], Array]


def by_jax(task: FitTask, model: Model) -> Prepared:
    """An epoch is one scan, compiled; the samples are on the device, and each batch is gathered of them there."""
    jax = jax_peers.in_double_precision()
    jnp, gradient_of = jax.numpy, jax.value_and_grad(model.loss(jax))
    x, y = jnp.asarray(task.inputs), jnp.asarray(task.target)
    start = [jnp.asarray(array) for array in model.parameters]
    zeros = jax.tree.map(jnp.zeros_like, start)
    orders = [jnp.asarray(order) for order in task.orders]

    def epoch(state: Any, order: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            theta, m, s, count = state
            value, g = gradient_of(theta, x[rows], y[rows])
            count += 1
            m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
            s = jax.tree.map(lambda s, g: BETA2 * s + (1 - BETA2) * g * g, s, g)
            of_m, of_s = 1 / (1 - BETA1**count), 1 / (1 - BETA2**count)

            def moved(t: Any, m: Any, s: Any) -> Any:
                return (t - RATE * (m * of_m) / (jnp.sqrt(s * of_s) + EPSILON)).astype(t.dtype)

            return (jax.tree.map(moved, theta, m, s), m, s, count), value

        return jax.lax.scan(step, state, order)

    state = (start, zeros, zeros, jnp.zeros((), start[0].dtype))
    seconds, call = once(lambda: jax.jit(epoch).lower(state, orders[0]).compile())

    def run() -> Any:
        now = state
        for order in orders:
            now, values = call(now, order)
        return jax.block_until_ready((values, now[0]))

    def read(found: Any) -> tuple[float, Array]:
        return float(found[0].mean()), model.join([np.asarray(array) for array in found[1]])

    return Prepared(run, f"compiled in {seconds:.1f} s", read)


def by_torch(task: FitTask, model: Model) -> Prepared:
    """The loop that everybody writes, without a DataLoader, which would take more."""
    import torch

    loss = model.loss(torch)
    x, y = torch.tensor(task.inputs), torch.tensor(task.target)
    orders = [torch.tensor(order) for order in task.orders]

    def run() -> tuple[float, list[Any]]:
        parameters = [torch.tensor(array, requires_grad=True) for array in model.parameters]
        optimizer = torch.optim.Adam(parameters, RATE, betas=(BETA1, BETA2), eps=EPSILON)
        for order in orders:
            total = 0.0
            for rows in order:
                optimizer.zero_grad()
                value = loss(parameters, x[rows], y[rows])
                value.backward()
                optimizer.step()
                total += value.item()
        return total / len(order), parameters

    def read(found: Any) -> tuple[float, Array]:
        return found[0], model.join([parameter.detach().numpy() for parameter in found[1]])

    return Prepared(run, f"{torch.get_num_threads()} threads", read)


def by_sklearn(task: FitTask, sizes: tuple[int, ...]) -> Prepared:
    """Its own classifier, from a start of its own."""
    from sklearn.neural_network import MLPClassifier

    own = {"alpha": 0.0, "batch_size": task.size, "max_iter": task.epochs, "n_iter_no_change": task.epochs, "tol": 0.0}

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that more epochs were better
            return MLPClassifier(sizes[1:-1], activation="tanh", random_state=0, **own).fit(task.inputs, task.target)

    return Prepared(run, "another start", read=None)


def _cases(title: str, task: FitTask, model: Model, tolerance: float, more: dict[str, Any]) -> Case:
    rows: dict[str, Callable[[], Prepared]] = {
        "gp.fit": partial(by_graphprop, task),
        "value_and_grad, no step": partial(by_bare_calls, task),
        "JAX, a scan an epoch": partial(by_jax, task, model),
        "PyTorch": partial(by_torch, task, model),
        "PyTorch, one thread": partial(peers.on_one_thread(partial(by_torch, model=model)), task),
    }
    return Case(f"{title}, {task.epochs} epochs", rows | more, tolerance)


# ------------------------------------------------------------------ the workloads


def irregular(slow: bool) -> Iterator[Case | Fact]:
    graph = random_graph(10, 120, 300, MIXED)
    program = gp.Program.from_edges(graph.inputs, graph.source, graph.target, graph.activations, bias=True)
    random = np.random.default_rng(0)
    x, y = random.standard_normal((4096, graph.inputs)), random.standard_normal((4096, len(graph.sinks)))
    theta = graph.draw_theta(seed=1)
    task = FitTask(program, theta, x, y, "half_squared", 32, 3)
    yield _cases("4096 samples, batch 32", task, _of_graph(graph, theta, 32), 1e-6, {})


def _of_graph(graph: Graph, theta: Array, samples: int) -> Model:
    def loss(library: Any) -> Any:
        of = (peers if library.__name__ == "torch" else jax_peers).loss_by_levels(library, graph, samples)
        return lambda parameters, x, y: of(parameters[0], x.T, y.T)

    return Model([theta], loss, lambda parameters: parameters[0])


def digits(slow: bool) -> Iterator[Case | Fact]:
    yield from _layered((64, 32, 10), "float64", 1792, 32, 3, 1e-6)


def pixels(slow: bool) -> Iterator[Case | Fact]:
    yield from _layered((784, 256, 128, 10), "float32", 6400, 64, 1, 1e-2)


def _layered(
    sizes: tuple[int, ...], dtype: str, samples: int, size: int, epochs: int, tolerance: float
) -> Iterator[Case | Fact]:
    net = gp.mlp(sizes, "tanh", "identity", seed=0, by="neuron")
    drawn = LayeredTask.draw(net, sizes, samples, dtype)
    task = FitTask(gp.compile(net), drawn.theta, drawn.inputs, drawn.labels, "softmax_cross_entropy", size, epochs)
    flat = [array for pair in drawn.split(drawn.theta) for array in pair]

    def loss(library: Any) -> Any:
        if library.__name__ == "jax":
            of = loss_of_jax(library)
            return lambda parameters, x, y: of(list(zip(parameters[::2], parameters[1::2], strict=True)), x, y)
        functional = library.nn.functional

        def of_torch(parameters: Any, x: Any, y: Any) -> Any:
            *layers, (w, b) = zip(parameters[::2], parameters[1::2], strict=True)
            for own, bias in layers:
                x = library.tanh(functional.linear(x, own, bias))
            return functional.cross_entropy(functional.linear(x, w, b), y)

        return of_torch

    model = Model(flat, loss, lambda parameters: drawn.join(zip(parameters[::2], parameters[1::2], strict=True)))
    more = {"scikit-learn": partial(by_sklearn, task, sizes)}
    yield _cases(f"{dtype}, {samples} samples, batch {size}", task, model, tolerance, more)


# ------------------------------------------------------------------ layers that a mask makes sparse


@dataclass(frozen=True, eq=False)
class Masked:
    """A layer: which node reads which before it. theta has the weights node by node, and the biases of all behind."""

    rows: Array
    columns: Array
    shape: tuple[int, int]

    @classmethod
    def draw(cls, before: int, nodes: int, reads: int, seed: int) -> Masked:
        random = np.random.default_rng(seed)
        columns = np.concatenate([np.sort(random.choice(before, reads, replace=False)) for _ in range(nodes)])
        return cls(np.repeat(np.arange(nodes), reads), columns, (nodes, before))

    def dense(self, weights: Array) -> Array:
        matrix = np.zeros(self.shape, weights.dtype)
        matrix[self.rows, self.columns] = weights
        return matrix


def pathways(slow: bool) -> Iterator[Case | Fact]:
    sizes, samples, size = (5000, 800, 100, 1), 1280, 128
    layers = [Masked.draw(u, v, min(u, 20 if v > 1 else u), v) for u, v in pairwise(sizes)]
    firsts = np.cumsum((0, *sizes))
    source = np.concatenate([layer.columns + first for layer, first in zip(layers, firsts, strict=False)])
    into = np.concatenate([layer.rows + first for layer, first in zip(layers, firsts[1:], strict=False)])
    kinds = ["tanh"] * (sum(sizes[1:]) - 1) + ["identity"]
    program = gp.Program.from_edges(sizes[0], source, into, kinds, bias=True, outputs=[sum(sizes) - 1])
    random = np.random.default_rng(0)
    weights = [random.standard_normal(len(layer.rows)) / np.sqrt(20) for layer in layers]
    theta = np.concatenate([*weights, np.zeros(sum(sizes[1:]))]).astype(np.float32)
    x = random.standard_normal((samples, sizes[0])).astype(np.float32)
    y = (random.random((samples, 1)) < 0.5).astype(np.float32)
    task = FitTask(program, theta, x, y, "binary_cross_entropy", size, 1)
    ends = np.cumsum([len(layer.rows) for layer in layers])
    split, biases = np.split(theta[: ends[-1]], ends[:-1]), np.split(theta[ends[-1] :], np.cumsum(sizes[1:-1]))
    masks = [layer.dense(np.ones(len(layer.rows), np.float32)) for layer in layers]
    dense = Model(
        [*(layer.dense(w) for layer, w in zip(layers, split, strict=True)), *biases],
        lambda library: _masked_dense(library, masks),
        lambda found: np.concatenate(
            [*(w[layer.rows, layer.columns] for w, layer in zip(found[:3], layers, strict=True)), *found[3:]]
        ),
    )
    sparse = Model([*split, *biases], lambda library: _sparse(library, layers), np.concatenate)
    rows: dict[str, Callable[[], Prepared]] = {
        "gp.fit": partial(by_graphprop, task),
        "value_and_grad, no step": partial(by_bare_calls, task),
        "PyTorch, masked dense": partial(by_torch, task, dense),
        "torch.sparse": partial(by_torch, task, sparse),
        "JAX, masked dense": partial(by_jax, task, dense),
    }
    yield Case(f"float32, {samples} samples, batch {size}", rows, 1e-2)


def _masked_dense(library: Any, masks: list[Array]) -> Callable[[Any, Any, Any], Any]:
    if library.__name__ == "torch":
        own, tanh, loss = [library.tensor(mask) for mask in masks], library.tanh, _logistic_of_torch(library)
    else:
        own, tanh, loss = [library.numpy.asarray(m) for m in masks], library.numpy.tanh, _logistic_of_jax(library)

    def of(parameters: Any, x: Any, y: Any) -> Any:
        weights, biases = parameters[: len(own)], parameters[len(own) :]
        for i, (w, b, mask) in enumerate(zip(weights, biases, own, strict=True)):
            a = x @ (w * mask).T + b
            x = a if i == len(own) - 1 else tanh(a)
        return loss(x, y)

    return of


def _sparse(torch: Any, layers: list[Masked]) -> Callable[[Any, Any, Any], Any]:
    places = [torch.tensor(np.stack((layer.rows, layer.columns))) for layer in layers]
    loss = _logistic_of_torch(torch)

    def of(parameters: Any, x: Any, y: Any) -> Any:
        weights, biases, h = parameters[: len(layers)], parameters[len(layers) :], x.T
        for i, (w, b, place, layer) in enumerate(zip(weights, biases, places, layers, strict=True)):
            matrix = torch.sparse_coo_tensor(place, w, layer.shape, is_coalesced=True, check_invariants=False)
            a = torch.sparse.mm(matrix, h) + b[:, None]
            h = a if i == len(layers) - 1 else torch.tanh(a)
        return loss(h.T, y)

    return of


def _logistic_of_torch(torch: Any) -> Any:
    return torch.nn.functional.binary_cross_entropy_with_logits


def _logistic_of_jax(jax: Any) -> Any:
    return lambda z, y: (jax.numpy.logaddexp(0.0, z) - y * z).mean()
