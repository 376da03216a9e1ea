"""Many small graphs, each trained by itself: fifty steps of Adam on the same samples, all of them in every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import graphprop as gp
from tests.benchmarks.graphs import Array, Graph, random_graph
from tests.benchmarks.jax_peers import functions_of, in_double_precision
from tests.benchmarks.measuring import once
from tests.benchmarks.tasks import Case, Fact, Prepared

MEMBERS, SAMPLES, STEPS, RATE = 1000, 64, 50, 1e-3
DISTINCT = 5  # of the graphs, those that JAX compiles by themselves; it is called for each as often as makes all
MIXED = ("sigmoid", "tanh", "relu", "identity", "sin", "gaussian")


@dataclass(frozen=True, eq=False)
class PopulationTask:
    """Graphs of 30 nodes, five of them inputs, whose last node is the only output."""

    graphs: list[Graph]
    thetas: list[Array]
    inputs: Array
    target: Array


def draw() -> PopulationTask:
    graphs = [_with_an_output(random_graph(5, 29, 58, MIXED, seed=seed)) for seed in range(MEMBERS)]
    random = np.random.default_rng(0)
    inputs = random.standard_normal((SAMPLES, 5))
    thetas = [graph.draw_theta(seed) for seed, graph in enumerate(graphs)]
    return PopulationTask(graphs, thetas, inputs, np.sin(inputs[:, :1]))


def _with_an_output(graph: Graph) -> Graph:
    """The same with a node that reads all that nothing reads."""
    source = np.concatenate((graph.source, graph.sinks))
    target = np.concatenate((graph.target, np.full(len(graph.sinks), graph.nodes)))
    count, kind = len(source), np.append(graph.kind, MIXED.index("identity"))
    return Graph(graph.inputs, source, target, MIXED, kind, np.arange(count), count + np.arange(len(kind)))


def networks(task: PopulationTask) -> list[gp.Network]:
    nets = []
    for graph, theta in zip(task.graphs, task.thetas, strict=True):
        program = gp.Program.from_edges(graph.inputs, graph.source, graph.target, graph.activations, bias=True)
        nets.append(program.to_network())
        nets[-1].theta = theta
    return nets


def population(slow: bool) -> Iterator[Case | Fact]:
    task = draw()
    nets = networks(task)
    gp.Population(nets[:1])
    seconds, crowd = once(lambda: gp.Population(nets))
    yield Fact("graphprop compiles the population", seconds, "s")
    yield Case(
        f"{STEPS} steps of Adam, batch {SAMPLES}",
        {
            "graphprop": partial(by_population, task, crowd),
            "graphprop, a fit each": partial(by_fits, task, nets),
            "JAX, a program each": partial(by_jax_programs, task),
            "JAX vmap, a scan of nodes": partial(by_jax_vmap, task, _node_by_node),
            "JAX vmap, dense rows": partial(by_jax_vmap, task, _row_by_row),
        },
    )


# ------------------------------------------------------------------ graphprop

# What is compared is the loss of the first few members before their last step, added up, and their theta.


def by_population(task: PopulationTask, crowd: gp.Population) -> Prepared:
    def run() -> tuple[float, Array]:
        for net, theta in zip(crowd, task.thetas, strict=True):
            net.theta[:] = theta
        fit = crowd.fit(task.inputs, task.target, loss="half_squared", steps=STEPS, rate=RATE)
        return sum(fit.losses[:DISTINCT]), np.concatenate([crowd[i].theta for i in range(DISTINCT)])

    return Prepared(run)


def by_fits(task: PopulationTask, nets: list[gp.Network]) -> Prepared:
    asked: dict[str, Any] = {"loss": "half_squared", "rate": RATE, "epochs": STEPS, "batch_size": SAMPLES}

    def run() -> tuple[float, Array]:
        fits = []
        for i in range(MEMBERS):
            net = nets[i % DISTINCT]
            net.theta[:] = task.thetas[i % DISTINCT]
            fits.append(gp.fit(net, task.inputs, task.target, progress=False, **asked))
        return sum(fit.history["loss"][-1] for fit in fits[:DISTINCT]), np.concatenate(
            [fit.theta for fit in fits[:DISTINCT]]
        )

    return Prepared(run, f"{DISTINCT} distinct graphs")


# ------------------------------------------------------------------ JAX


def _adam(jax: Any, loss: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """From parameters to trained ones and the losses, in one scan; `loss` gives what goes down, and what is kept."""
    jnp, tree = jax.numpy, jax.tree
    gradient_of = jax.grad(loss, has_aux=True)

    def train(theta: Any) -> Any:
        def step(state: Any, number: Any) -> Any:
            theta, m, s = state
            g, values = gradient_of(theta)
            m = tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            s = tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, s, g)
            c, d = 1 / (1 - 0.9**number), 1 / (1 - 0.999**number)
            theta = tree.map(lambda t, m, s: t - RATE * m * c / (jnp.sqrt(s * d) + 1e-8), theta, m, s)
            return (theta, m, s), values

        zeros = tree.map(jnp.zeros_like, theta)
        (theta, _, _), values = jax.lax.scan(step, (theta, zeros, zeros), jnp.arange(1.0, STEPS + 1))
        return theta, values

    return train


def by_jax_programs(task: PopulationTask) -> Prepared:
    """For each graph its own compiled training: a step for each node, as a user would write it."""
    jax = in_double_precision()
    jnp = jax.numpy
    functions = functions_of(jax)
    x, target = jnp.asarray(task.inputs.T), jnp.asarray(task.target[:, 0])

    def program(graph: Graph, theta: Array) -> Any:
        into = [np.flatnonzero(graph.target == v) for v in range(graph.nodes)]

        def loss(theta: Any) -> Any:
            o = list(x)
            for v in range(graph.inputs, graph.nodes):
                a = theta[int(graph.bias_at[v - graph.inputs])]
                for e in into[v].tolist():
                    a = a + theta[int(graph.weight_at[e])] * o[int(graph.source[e])]
                o.append(functions[graph.activations[v - graph.inputs]](a))
            value = 0.5 * jnp.mean((o[-1] - target) ** 2)
            return value, value

        return jax.jit(_adam(jax, loss)).lower(jnp.asarray(theta)).compile()

    pairs = list(zip(task.graphs[:DISTINCT], task.thetas, strict=False))
    seconds, calls = once(lambda: [program(graph, theta) for graph, theta in pairs])
    thetas = [jnp.asarray(theta) for theta in task.thetas[:DISTINCT]]

    def run() -> Any:
        for _ in range(MEMBERS // DISTINCT):
            found = [call(theta) for call, theta in zip(calls, thetas, strict=True)]
        return jax.block_until_ready(found)

    def read(found: Any) -> tuple[float, Array]:
        return sum(float(values[-1]) for _, values in found), np.concatenate([np.asarray(theta) for theta, _ in found])

    return Prepared(run, f"{DISTINCT} distinct graphs, compiled in {seconds:.0f} s", read)


@dataclass(frozen=True, eq=False)
class Padded:
    """All graphs with as many nodes and parents of each node as the largest has; theta with a 0 behind its end."""

    parents: Array  # (graphs, nodes that are no inputs, parents)
    weight_at: Array
    bias_at: Array
    kind: Array

    @classmethod
    def of(cls, graphs: list[Graph], size: int) -> Padded:
        widest = max(int(np.bincount(graph.target).max()) for graph in graphs)
        nodes, inputs = graphs[0].nodes, graphs[0].inputs
        shape = len(graphs), nodes - inputs, widest
        parents, weight_at = np.zeros(shape, np.int32), np.full(shape, size)
        for i, graph in enumerate(graphs):
            order = np.argsort(graph.target, kind="stable")
            row = graph.target[order] - inputs
            slot = np.arange(len(row)) - np.searchsorted(row, row)
            parents[i, row, slot], weight_at[i, row, slot] = graph.source[order], graph.weight_at[order]
        kind = np.array([graph.kind for graph in graphs])
        return cls(parents, weight_at, np.array([graph.bias_at for graph in graphs]), kind)


def _activate(jax: Any, a: Any, kind: Any) -> Any:
    functions = functions_of(jax)
    o = functions[MIXED[0]](a)
    for number, name in enumerate(MIXED[1:], 1):
        o = jax.numpy.where(kind == number, functions[name](a), o)
    return o


def _node_by_node(jax: Any, padded: Padded, x: Any) -> Callable[..., Any]:
    """A scan over the nodes, each of which gathers what it reads."""
    jnp, inputs = jax.numpy, len(x)

    def output(theta: Any, parents: Any, weight_at: Any, bias_at: Any, kind: Any) -> Any:
        whole = jnp.append(theta, 0.0)

        def node(o: Any, given: Any) -> tuple[Any, None]:
            v, u, w, b, k = given
            a = w @ o[u] + b
            return jax.lax.dynamic_update_index_in_dim(o, _activate(jax, a, k), v, 0), None

        count = len(kind)
        start = jnp.zeros((inputs + count, x.shape[1])).at[:inputs].set(x)
        numbers = jnp.arange(inputs, inputs + count)
        o, _ = jax.lax.scan(node, start, (numbers, parents, whole[weight_at], whole[bias_at], kind))
        return o[-1]

    return output


def _row_by_row(jax: Any, padded: Padded, x: Any) -> Callable[..., Any]:
    """The nodes one after the other, each a row of a dense matrix of weights times all outputs before it."""
    jnp, inputs = jax.numpy, len(x)

    def output(theta: Any, parents: Any, weight_at: Any, bias_at: Any, kind: Any) -> Any:
        whole, count = jnp.append(theta, 0.0), len(kind)
        rows = jnp.arange(count)[:, None]
        matrix = jnp.zeros((count, inputs + count)).at[rows, parents].add(whole[weight_at])
        bias, o = whole[bias_at], x
        for v in range(count):
            a = matrix[v, : inputs + v] @ o + bias[v]
            o = jnp.concatenate((o, _activate(jax, a, kind[v])[None]))
        return o[-1]

    return output


def by_jax_vmap(task: PopulationTask, shape: Callable[..., Any]) -> Prepared:
    """One compiled training of all graphs, padded to the same size."""
    jax = in_double_precision()
    jnp = jax.numpy
    size = max(graph.parameters for graph in task.graphs)
    padded = Padded.of(task.graphs, size)
    arrays = [jnp.asarray(array) for array in (padded.parents, padded.weight_at, padded.bias_at, padded.kind)]
    output = jax.vmap(shape(jax, padded, jnp.asarray(task.inputs.T)))
    target = jnp.asarray(task.target[:, 0])

    def loss(theta: Any) -> Any:
        values = 0.5 * jnp.mean((output(theta, *arrays) - target) ** 2, axis=1)
        return values.sum(), values

    theta = np.zeros((MEMBERS, size))
    for row, own in zip(theta, task.thetas, strict=True):
        row[: len(own)] = own
    start = jnp.asarray(theta)
    seconds, call = once(lambda: jax.jit(_adam(jax, loss)).lower(start).compile())

    def read(found: Any) -> tuple[float, Array]:
        thetas = [np.asarray(row)[: len(own)] for row, own in zip(found[0][:DISTINCT], task.thetas, strict=False)]
        return float(found[1][-1, :DISTINCT].sum()), np.concatenate(thetas)

    return Prepared(lambda: jax.block_until_ready(call(start)), f"compiled in {seconds:.0f} s", read)
