"""The same value and gradient by other means, each as someone who knows the means would write it.

A peer takes a task and prepares a call without arguments, which gives value and gradient. Whatever depends on the
structure alone is prepared; what depends on theta is in the call. Libraries are imported when their peer is prepared.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.benchmarks.graphs import Array, Graph
from tests.benchmarks.jax_peers import by_connex, by_jax, by_jax_scan
from tests.benchmarks.measuring import CannotRunError
from tests.benchmarks.tasks import Prepared, Task


def by_graphprop(task: Task) -> Prepared:
    program, theta, x, y = task.program, task.theta, task.inputs, task.target
    return Prepared(lambda: program.value_and_grad(theta, x, y, loss="half_squared"))


# ------------------------------------------------------------------ NumPy and SciPy


def _sigmoid(a: Array) -> tuple[Array, Array]:
    o = 1 / (1 + np.exp(-a))
    return o, o * (1 - o)


def _tanh(a: Array) -> tuple[Array, Array]:
    o = np.tanh(a)
    return o, 1 - o * o


def _gaussian(a: Array) -> tuple[Array, Array]:
    o = np.exp(-a * a)
    return o, -2 * a * o


OUTPUT_AND_SLOPE: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": lambda a: (np.maximum(a, 0), (a > 0).astype(a.dtype)),
    "identity": lambda a: (a, np.ones_like(a)),
    "sin": lambda a: (np.sin(a), np.cos(a)),
    "gaussian": _gaussian,
}


def by_scipy(task: Task) -> Prepared:
    """One sparse matrix for each level, times the outputs it reads; backward its transpose, which shares its data."""
    from scipy.sparse import csc_array, csr_array

    graph, theta, x, target = task.graph, task.theta, task.inputs, task.target
    samples, sinks = len(x), graph.levels.sinks
    compiled = []
    for step in graph.levels.steps:
        columns, column = np.unique(step.source, return_inverse=True)
        starts = np.searchsorted(step.row, np.arange(step.size + 1))
        matrix = csr_array((np.zeros(len(column)), column, starts), shape=(step.size, len(columns)))
        transposed = csc_array(
            (matrix.data, matrix.indices, matrix.indptr), shape=(len(columns), step.size), copy=False
        )
        compiled.append((step, columns, column, matrix, transposed))

    def run() -> tuple[float, Array]:
        o, slope = np.empty((graph.nodes, samples)), np.empty((graph.nodes, samples))
        o[: graph.inputs] = x.T
        for step, columns, _, matrix, _ in compiled:
            np.take(theta, step.weight_at, out=matrix.data)
            a = matrix @ o[columns]
            a += theta[step.bias_at, None]
            for name, first, last in step.spans:
                rows = slice(step.first + first, step.first + last)
                o[rows], slope[rows] = OUTPUT_AND_SLOPE[name](a[first:last])
        g, gradient = np.zeros((graph.nodes, samples)), np.empty(graph.parameters)
        error = o[sinks] - target.T
        g[sinks] = error / samples
        for step, columns, column, _, transposed in reversed(compiled):
            delta = g[step.first : step.last] * slope[step.first : step.last]
            inputs = o[columns]
            gradient[step.bias_at] = delta.sum(1)
            gradient[step.weight_at] = np.einsum("eb,eb->e", delta[step.row], inputs[column])
            g[columns] += transposed @ delta
        return 0.5 * float(np.vdot(error, error)) / samples, gradient

    return Prepared(run)


# ------------------------------------------------------------------ PyTorch


def on_one_thread(peer: Callable[[Any], Prepared]) -> Callable[[Any], Prepared]:
    """PyTorch held to one thread: where steps are short, several can wait for each other longer than they work."""

    def prepare(task: Any) -> Prepared:
        prepared = peer(task)
        import torch

        several = torch.get_num_threads()

        def run() -> Any:
            torch.set_num_threads(1)
            result = prepared.run()
            torch.set_num_threads(several)
            return result

        return Prepared(run, "1 thread", prepared.read)

    return prepare


def by_torch(task: Task) -> Prepared:
    """index_select and index_add for each level, differentiated by autograd; theta is gathered once."""
    import torch

    theta = torch.tensor(task.theta, requires_grad=True)
    x, target = torch.tensor(task.inputs.T.copy()), torch.tensor(task.target.T.copy())
    loss = loss_by_levels(torch, task.graph, len(task.inputs))

    def run() -> tuple[Any, Any]:
        value = loss(theta, x, target)
        return value.detach(), torch.autograd.grad(value, theta)[0]

    return Prepared(run, f"{torch.get_num_threads()} threads")


def loss_by_levels(torch: Any, graph: Graph, samples: int) -> Callable[[Any, Any, Any], Any]:
    """The loss of theta, of inputs and of targets with a column for each sample."""
    steps = graph.levels.steps
    functions: dict[str, Callable[[Any], Any]] = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "identity": lambda a: a,
        "sin": torch.sin,
        "gaussian": lambda a: torch.exp(-a * a),
    }
    weight_at, bias_at = (torch.tensor(positions) for positions in graph.levels.joined)
    weight_counts, bias_counts = [len(step.row) for step in steps], [step.size for step in steps]
    places = [(torch.tensor(step.source), torch.tensor(step.row), step.spans) for step in steps]
    sinks = torch.tensor(graph.levels.sinks)

    def loss(theta: Any, x: Any, target: Any) -> Any:
        weights, biases = theta[weight_at].split(weight_counts), theta[bias_at].split(bias_counts)
        o = x
        for (source, row, spans), w, b in zip(places, weights, biases, strict=True):
            terms = w[:, None] * o.index_select(0, source)
            a = b[:, None].expand(-1, samples).index_add(0, row, terms)
            o = torch.cat((o, *(functions[name](a[first:last]) for name, first, last in spans)))
        return 0.5 * (o.index_select(0, sinks) - target).square().sum() / samples

    return loss


# ------------------------------------------------------------------ small graphs


def by_autograd(task: Task) -> Prepared:
    """NumPy level by level, recorded: a gather of all parents, padded, and einsum."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    graph, steps, samples = task.graph, task.graph.levels.steps, len(task.inputs)
    functions: dict[str, Callable[[Any], Any]] = {
        "sigmoid": lambda a: 1 / (1 + anp.exp(-a)),
        "tanh": anp.tanh,
        "relu": lambda a: anp.maximum(a, 0.0),
        "identity": lambda a: a,
        "sin": anp.sin,
        "gaussian": lambda a: anp.exp(-a * a),
    }

    def loss(theta: Any) -> Any:
        padded = anp.append(theta, 0.0)
        o = task.inputs.T
        for step in steps:
            a = anp.einsum("nk,nkb->nb", padded[step.parents_at], o[step.parents]) + padded[step.bias_at][:, None]
            parts = [functions[name](a[first:last]) for name, first, last in step.spans]
            o = anp.concatenate([o, *parts])
        return 0.5 * anp.sum((o[graph.levels.sinks] - task.target.T) ** 2) / samples

    differentiate = value_and_grad(loss)
    return Prepared(lambda: differentiate(task.theta))


FLOAT_FUNCTIONS: dict[str, Callable[[float], tuple[float, Callable[[float], float]]]] = {
    "sigmoid": lambda a: (1 / (1 + math.exp(-a)), lambda o: o * (1 - o)),
    "tanh": lambda a: (math.tanh(a), lambda o: 1 - o * o),
    "relu": lambda a: (max(a, 0.0), lambda o: float(o > 0)),
    "identity": lambda a: (a, lambda o: 1.0),
    "sin": lambda a: (math.sin(a), lambda o: math.cos(a)),
    "gaussian": lambda a: (math.exp(-a * a), lambda o: -2 * a * o),
}


def by_micrograd(task: Task) -> Prepared:
    """One Value for every number, with the activations it lacks added as it writes its own."""
    if len(task.inputs) > 1:
        raise CannotRunError("one sample only")
    from micrograd.engine import Value

    graph = task.graph
    into: list[list[tuple[int, int]]] = [[] for _ in range(graph.nodes)]
    for u, v, position in zip(graph.source.tolist(), graph.target.tolist(), graph.weight_at.tolist(), strict=True):
        into[v].append((u, position))
    nodes = list(zip(into[graph.inputs :], graph.bias_at.tolist(), graph.activations, strict=True))
    x, target, sinks = task.inputs[0].tolist(), task.target[0].tolist(), graph.sinks.tolist()
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10 * graph.edges))

    def apply(name: str, a: Any) -> Any:
        number, slope = FLOAT_FUNCTIONS[name](a.data)
        out = Value(number, (a,), name)

        def backward() -> None:
            a.grad += slope(out.data) * out.grad

        out._backward = backward
        return out

    def run() -> tuple[float, list[float]]:
        theta = [Value(number) for number in task.theta.tolist()]
        o = [Value(number) for number in x]
        for parents, bias, name in nodes:
            o.append(apply(name, sum((theta[position] * o[u] for u, position in parents), theta[bias])))
        value = sum((o[v] - t) ** 2 for v, t in zip(sinks, target, strict=True)) * 0.5
        value.backward()
        return value.data, [parameter.grad for parameter in theta]

    return Prepared(run)


GRAPH_PEERS: dict[str, Callable[[Task], Prepared]] = {
    "graphprop": by_graphprop,
    "SciPy sparse per level": by_scipy,
    "PyTorch per level": by_torch,
    "PyTorch, one thread": on_one_thread(by_torch),
    "JAX per level": by_jax,
    "JAX scan over levels": by_jax_scan,
    "connex": by_connex,
    "autograd": by_autograd,
    "micrograd": by_micrograd,
}
SMALL_ONLY = ("connex", "autograd", "micrograd")


# ------------------------------------------------------------------ forward only


def forward_by_graphprop(task: Task) -> Prepared:
    return Prepared(lambda: task.program.predict(task.theta, task.inputs))


def forward_by_neat(graphs: Sequence[Graph], task: Task) -> Prepared:
    """`activate` of the network of each graph, sample by sample, with plain activations."""
    from neat.nn import FeedForwardNetwork

    nets, first = [], 0
    for graph in graphs:
        theta = task.theta[first : first + graph.parameters]
        links: list[list[tuple[int, float]]] = [[] for _ in range(graph.nodes)]
        for u, v, w in zip(graph.source.tolist(), graph.target.tolist(), theta[graph.weight_at].tolist(), strict=True):
            links[v].append((u, w))
        evaluations = [
            (graph.inputs + i, _value_of(name), sum, bias, 1.0, links[graph.inputs + i])
            for i, (name, bias) in enumerate(zip(graph.activations, theta[graph.bias_at].tolist(), strict=True))
        ]
        nets.append(FeedForwardNetwork(list(range(graph.inputs)), graph.sinks.tolist(), evaluations))
        first += graph.parameters
    widths = np.cumsum([graph.inputs for graph in graphs])[:-1]
    samples = [[part.tolist() for part in np.split(row, widths)] for row in task.inputs]

    def run() -> list[list[float]]:
        return [[z for net, x in zip(nets, row, strict=True) for z in net.activate(x)] for row in samples]

    return Prepared(run)


def _value_of(name: str) -> Callable[[float], float]:
    return {
        "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
        "tanh": math.tanh,
        "relu": lambda a: max(a, 0.0),
        "identity": lambda a: a,
        "sin": math.sin,
        "gaussian": lambda a: math.exp(-a * a),
    }[name]
