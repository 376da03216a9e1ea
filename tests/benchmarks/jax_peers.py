"""Peers that JAX compiles: step by step, as a scan, and as the networks of connex."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from tests.benchmarks.graphs import Array, Graph
from tests.benchmarks.measuring import CannotRunError
from tests.benchmarks.tasks import Prepared, Task

MANY_LEVELS = 500  # what XLA takes minutes to compile, one step after the other
MOST_PADDING = 20  # as many times the edges are not worth a scan


def in_double_precision() -> Any:
    """The module, with float64 where arrays are float64."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def functions_of(jax: Any) -> dict[str, Callable[[Any], Any]]:
    """The activations, as JAX has them."""
    return {
        "sigmoid": jax.nn.sigmoid,
        "tanh": jax.numpy.tanh,
        "relu": jax.nn.relu,
        "identity": lambda a: a,
        "sin": jax.numpy.sin,
        "gaussian": lambda a: jax.numpy.exp(-a * a),
    }


def compiled(jax: Any, loss: Callable[..., Any], *arguments: Any) -> Prepared:
    """value_and_grad by the first argument, compiled ahead of time."""
    start = perf_counter()
    call = jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile()
    seconds = perf_counter() - start
    return Prepared(lambda: jax.block_until_ready(call(*arguments)), f"compiled in {seconds:.1f} s")


def by_jax(task: Task) -> Prepared:
    """A step for each level in one compiled function: gather, segment_sum."""
    jax, levels = in_double_precision(), len(task.graph.levels.steps)
    if levels > MANY_LEVELS and not task.slow:
        raise CannotRunError(f"skipped: {levels} levels take minutes to compile; --slow")
    arguments = [jax.numpy.asarray(array) for array in (task.theta, task.inputs.T, task.target.T)]
    return compiled(jax, loss_by_levels(jax, task.graph, len(task.inputs)), *arguments)


def loss_by_levels(jax: Any, graph: Graph, samples: int) -> Callable[[Any, Any, Any], Any]:
    """The loss of theta, of inputs and of targets with a column for each sample."""
    jnp, steps, functions = jax.numpy, graph.levels.steps, functions_of(jax)
    weight_at, bias_at = graph.levels.joined
    weight_ends = np.cumsum([len(step.row) for step in steps])[:-1]
    bias_ends = np.cumsum([step.size for step in steps])[:-1]

    def loss(theta: Any, x: Any, target: Any) -> Any:
        weights, biases = jnp.split(theta[weight_at], weight_ends), jnp.split(theta[bias_at], bias_ends)
        o = x
        for step, w, b in zip(steps, weights, biases, strict=True):
            terms = w[:, None] * o[step.source]
            a = jax.ops.segment_sum(terms, step.row, step.size, indices_are_sorted=True) + b[:, None]
            o = jnp.concatenate((o, *(functions[name](a[first:last]) for name, first, last in step.spans)))
        return 0.5 * jnp.sum((o[graph.levels.sinks] - target) ** 2) / samples

    return loss


def by_jax_scan(task: Task) -> Prepared:
    """`lax.scan` over the levels, all padded to the size of the largest, so that one step is compiled."""
    jax = in_double_precision()
    jnp, graph, steps, samples = jax.numpy, task.graph, task.graph.levels.steps, len(task.inputs)
    height = max(step.size for step in steps)
    width = max(step.parents.shape[1] for step in steps)
    padding = len(steps) * height * width / graph.edges
    if padding > MOST_PADDING and not task.slow:
        raise CannotRunError(f"skipped: padded levels hold {padding:.0f} times the edges; --slow")
    functions = functions_of(jax)
    parents = np.zeros((len(steps), height, width), dtype=np.int32)
    weight_at = np.full(parents.shape, graph.parameters)  # behind the end, where a 0 is put
    bias_at = np.full(parents.shape[:2], graph.parameters)
    kind = np.zeros(bias_at.shape, dtype=np.int32)
    for i, step in enumerate(steps):
        parents[i, : step.size, : step.parents.shape[1]] = step.parents
        weight_at[i, : step.size, : step.parents.shape[1]] = step.parents_at
        bias_at[i, : step.size] = step.bias_at
        for name, first, last in step.spans:
            kind[i, first:last] = graph.kinds.index(name)
    firsts = np.array([step.first for step in steps])

    def activate(a: Any, kinds: Any) -> Any:
        o = functions[graph.kinds[0]](a)
        for number, name in enumerate(graph.kinds[1:], 1):
            o = jnp.where((kinds == number)[:, None], functions[name](a), o)
        return o

    def loss(theta: Any, x: Any, target: Any) -> Any:
        padded = jnp.append(theta, 0.0)

        def level(o: Any, step: Any) -> tuple[Any, None]:
            first, u, w, b, kinds = step
            a = jnp.einsum("nk,nkb->nb", w, o[u]) + b[:, None]
            return jax.lax.dynamic_update_slice(o, activate(a, kinds), (first, 0)), None

        start = jnp.zeros((graph.nodes + height, samples)).at[: graph.inputs].set(x)
        o, _ = jax.lax.scan(level, start, (firsts, parents, padded[weight_at], padded[bias_at], kind))
        return 0.5 * jnp.sum((o[graph.levels.sinks] - target) ** 2) / samples

    arguments = [jnp.asarray(array) for array in (task.theta, task.inputs.T, task.target.T)]
    return compiled(jax, loss, *arguments)


def by_connex(task: Task) -> Prepared:
    """Its own network, with our weights written into its matrices; vmap over the samples."""
    graph = task.graph
    if len(graph.kinds) > 1:
        raise CannotRunError("one activation for all nodes")
    jax = in_double_precision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import connex
        import equinox
        import networkx

        edges = networkx.DiGraph()
        edges.add_nodes_from(range(graph.nodes))
        edges.add_edges_from(zip(graph.source.tolist(), graph.target.tolist(), strict=True))
        activation = functions_of(jax)[graph.kinds[0]]
        inputs, outputs = list(range(graph.inputs)), graph.sinks.tolist()
        net = connex.NeuralNetwork(edges, inputs, outputs, activation, activation)
    # entry (i, k) of a matrix is the weight from the node that is k behind the least that the batch reads; -1 the bias
    place = {}
    for number, batch in enumerate(net._topo_batches):
        place |= {int(v): (number, i, int(net._min_index[number])) for i, v in enumerate(batch)}
    number_of = net._neuron_to_id
    entries = []
    for u, v in zip(graph.source.tolist(), graph.target.tolist(), strict=True):
        matrix, i, least = place[number_of[v]]
        entries.append((matrix, i, number_of[u] - least))
    for v in range(graph.inputs, graph.nodes):
        matrix, i, _ = place[number_of[v]]
        entries.append((matrix, i, -1))
    positions = np.concatenate((graph.weight_at, graph.bias_at)).tolist()
    matrices = [np.zeros(matrix.shape) for matrix in net._weights_and_biases]
    for position, (matrix, i, k) in zip(positions, entries, strict=True):
        matrices[matrix][i, k] = task.theta[position]

    def loss(weights: Any, x: Any, target: Any) -> Any:
        changed = equinox.tree_at(lambda each: each._weights_and_biases, net, weights)
        return 0.5 * jax.numpy.sum((jax.vmap(changed)(x) - target) ** 2) / len(x)

    arguments = [jax.numpy.asarray(array) for array in (task.inputs, task.target)]
    prepared = compiled(jax, loss, [jax.numpy.asarray(matrix) for matrix in matrices], *arguments)

    def read(result: Any) -> tuple[Any, Array]:
        value, found = result
        gradient = np.empty(graph.parameters)
        found = [np.asarray(matrix) for matrix in found]
        for position, (matrix, i, k) in zip(positions, entries, strict=True):
            gradient[position] = found[matrix][i, k]
        return value, gradient

    return Prepared(prepared.run, prepared.note, read)
