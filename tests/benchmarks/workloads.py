"""What is computed: the workloads, each as the cases and single numbers it consists of."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp
from tests.benchmarks import large, training
from tests.benchmarks.doors import doors
from tests.benchmarks.graphs import Graph, chain, random_graph, side_by_side
from tests.benchmarks.jax_peers import by_jax
from tests.benchmarks.layered import EPOCH_PEERS, LAYERED_PEERS, LayeredTask
from tests.benchmarks.measuring import in_a_process, once
from tests.benchmarks.peers import GRAPH_PEERS, SMALL_ONLY, forward_by_graphprop, forward_by_neat
from tests.benchmarks.populations import population
from tests.benchmarks.start import start
from tests.benchmarks.tasks import Case, Fact, Prepared, Task, Workload
from tests.benchmarks.yardstick import SWEEP_PEERS, SweepTask

MIXED = ("sigmoid", "tanh", "relu", "identity", "sin", "gaussian")
STEPS = 100  # of an epoch
DISTINCT = 20  # of 1000 graphs, those that JAX compiles; it is called for each as often as makes 1000


def _task(graph: Graph, program: gp.Program, samples: int, slow: bool) -> Task:
    random = np.random.default_rng(samples)
    inputs = random.standard_normal((samples, graph.inputs))
    target = random.standard_normal((samples, len(graph.sinks)))
    return Task(graph, program, graph.draw_theta(seed=1), inputs, target, slow)


def _compiled(graph: Graph) -> gp.Program:
    return gp.Program.from_edges(graph.inputs, graph.source, graph.target, graph.activations, bias=True)


def _peers(task: Task, small: bool) -> dict[str, Callable[[], Any]]:
    return {name: partial(peer, task) for name, peer in GRAPH_PEERS.items() if small or name not in SMALL_ONLY}


def _forward_case(title: str, graphs: list[Graph], task: Task) -> Case:
    return Case(
        f"{title}, forward only",
        {"graphprop": partial(forward_by_graphprop, task), "neat-python": partial(forward_by_neat, graphs, task)},
    )


def _random_graph(graph: Graph, batches: tuple[int, ...], small: bool, slow: bool) -> Iterator[Case | Fact]:
    program = _compiled(graph)
    for samples in batches:
        task = _task(graph, program, samples, slow)
        yield Case(f"batch {samples}", _peers(task, small))
        if small and samples == 1:
            yield _forward_case("batch 1", [graph], task)


def tiny(slow: bool) -> Iterator[Case | Fact]:
    return _random_graph(random_graph(4, 20, 64), (1,), True, slow)


def mixed(slow: bool) -> Iterator[Case | Fact]:
    return _random_graph(random_graph(10, 120, 300, MIXED), (1, 64, 1024), True, slow)


def wide(slow: bool) -> Iterator[Case | Fact]:
    return _random_graph(random_graph(100, 10_100, 100_000), (1, 32, 256), False, slow)


def deep(slow: bool) -> Iterator[Case | Fact]:
    graph = chain(2000)
    compiling = sorted(once(lambda: _compiled(graph))[0] for _ in range(5))
    yield Fact("graphprop compiles it", compiling[2], "s")
    yield from _random_graph(graph, (1,), False, slow)


def deepest(slow: bool) -> Iterator[Case | Fact]:
    found = in_a_process(large.measure_chain, 1_000_000)
    for quartile in ("low", "median", "high"):
        yield Fact(f"forward and backward, per node, {quartile}", found[quartile] / found["nodes"] * 1e9, "ns")
    yield from _large_facts(found)


def largest(slow: bool) -> Iterator[Case | Fact]:
    inputs, nodes, edges = 1000, 1_000_000, 10_000_000
    for order, shuffled in (("edges node by node", False), ("edges in random order", True)):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "edges.npz")
            in_a_process(large.draw_edges, path, inputs, nodes, edges, shuffled)
            found = in_a_process(large.measure_edges, path, inputs)
        for fact in _large_facts(found):
            yield Fact(f"{order}: {fact.title}", fact.number, fact.unit)


def _large_facts(found: Mapping[str, float]) -> Iterator[Fact]:
    yield Fact("from_edges", found["compiling"], "s")
    yield Fact("first value and gradient", found["first"], "s")
    yield Fact("forward and backward, median", found["median"], "s")
    yield Fact("forward and backward, quartiles' distance", found["high"] - found["low"], "s")
    yield Fact("arrays given", found["arrays"] / 2**20, "MiB")
    yield Fact("peak memory before", found["memory before"] / 2**20, "MiB")
    yield Fact("peak memory compiled", found["memory compiled"] / 2**20, "MiB")
    yield Fact("peak memory at the end", found["memory run"] / 2**20, "MiB")


def layered(slow: bool) -> Iterator[Case | Fact]:
    sizes = (784, 256, 128, 10)
    declaring, net = once(lambda: gp.mlp(sizes, "tanh", "identity", seed=0, by="neuron"))
    yield Fact("graphprop declares it, neuron by neuron", declaring, "s")
    yield Fact("graphprop compiles it", once(lambda: gp.compile(net))[0], "s")
    for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-6)):
        for samples in (1, 64, 512):
            task = LayeredTask.draw(net, sizes, samples, dtype)
            peers = {name: partial(peer, task) for name, peer in LAYERED_PEERS.items()}
            yield Case(f"{dtype}, batch {samples}", peers, tolerance)


def epoch(slow: bool) -> Iterator[Case | Fact]:
    sizes = (64, 32, 10)
    net = gp.mlp(sizes, "tanh", "identity", seed=0, by="neuron")
    for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-6)):
        task = LayeredTask.draw(net, sizes, STEPS * 32, dtype)
        peers = {name: partial(peer, task, STEPS) for name, peer in EPOCH_PEERS.items()}
        yield Case(f"{dtype}, {STEPS} steps of 32 samples with labels", peers, tolerance)


def threads(slow: bool) -> Iterator[Case | Fact]:
    graph = random_graph(100, 10_100, 100_000)
    program = _compiled(graph)
    for samples in (1, 32):
        task = _task(graph, program, samples, slow)
        counts = {"one thread": 1, "two threads": 2}
        yield Case(f"batch {samples}", {name: partial(_on_threads, task, count) for name, count in counts.items()})


def _on_threads(task: Task, count: int) -> Prepared:
    call = GRAPH_PEERS["graphprop"](task).run

    def run() -> Any:
        with gp.threads(count):
            return call()

    return Prepared(run)


def loops(slow: bool) -> Iterator[Case | Fact]:
    graph = random_graph(100, 10_100, 100_000)
    program = _compiled(graph)
    for samples in (16, 1):
        inputs = np.random.default_rng(samples).standard_normal((samples, graph.inputs))
        task = SweepTask(program, graph.draw_theta(seed=1), inputs, np.ones((samples, len(graph.sinks))))
        peers = {name: partial(peer, task) for name, peer in SWEEP_PEERS.items()}
        yield Case(f"batch {samples}", peers, one_thread=True)


def evolved(slow: bool) -> Iterator[Case | Fact]:
    graphs = [random_graph(5, 30, 60, MIXED, seed=seed) for seed in range(1000)]
    thetas = [graph.draw_theta(seed=seed) for seed, graph in enumerate(graphs)]
    nets = {}
    for number, (graph, theta) in enumerate(zip(graphs, thetas, strict=True)):
        nets[number] = _compiled(graph).to_network()
        nets[number].theta = theta
    seconds, union = once(lambda: gp.union(nets))
    yield Fact("graphprop unites them", seconds, "s")
    seconds, program = once(lambda: gp.compile(union))
    yield Fact("graphprop compiles the union", seconds, "s")
    whole, samples = side_by_side(graphs), 64
    random = np.random.default_rng(0)
    x = np.tile(random.standard_normal((samples, 5)), len(graphs))
    target = random.standard_normal((samples, len(whole.sinks)))
    task = Task(whole, program, union.theta, x, target, slow)
    yield Case("as one graph, batch 64", _peers(task, small=False))
    parts = []
    first = sink = 0
    for number, graph in enumerate(graphs[:DISTINCT]):
        mine = slice(sink, sink := sink + len(graph.sinks))
        parts.append(Task(graph, _compiled(graph), thetas[number], x[:, first : first + 5], target[:, mine]))
        first += 5
    repeats = len(graphs) // DISTINCT
    yield Case(
        f"1000 calls, batch 64: {DISTINCT} distinct graphs x {repeats}",
        {
            "graphprop": partial(_one_by_one, parts, GRAPH_PEERS["graphprop"], repeats),
            "JAX per level": partial(_one_by_one, parts, by_jax, repeats),
        },
    )
    few = Task(whole, program, union.theta, x[:1], target[:1])
    yield _forward_case("as one graph, batch 1", graphs, few)


def _one_by_one(tasks: list[Task], peer: Callable[[Task], Prepared], repeats: int) -> Prepared:
    """A call for each graph, `repeats` times in turn; values are added up, gradients stand one behind the other."""
    seconds, prepared = once(lambda: [peer(task) for task in tasks])
    calls = [each.run for each in prepared]

    def run() -> list[Any]:
        for _ in range(repeats):
            results = [call() for call in calls]
        return results

    def read(results: list[Any]) -> tuple[float, Any]:
        read_all = [each.read(result) for each, result in zip(prepared, results, strict=True)]
        return sum(float(value) for value, _ in read_all), np.concatenate([np.asarray(part) for _, part in read_all])

    return Prepared(run, f"{len(tasks)} prepared in {seconds:.1f} s", read)


WORKLOADS: dict[str, Workload] = {
    "tiny": Workload("20 nodes, 64 edges, tanh", tiny),
    "mixed": Workload("120 nodes, 300 edges, six activations", mixed),
    "wide": Workload("10 100 nodes, 100 000 edges, tanh", wide),
    "deep": Workload("a chain of 2000 nodes with skips", deep),
    "deepest": Workload("a chain of 1 000 000 nodes with skips, batch 1", deepest),
    "largest": Workload("1 000 000 nodes, 10 000 000 edges from arrays, batch 1", largest),
    "layered": Workload("784-256-128-10 declared neuron by neuron, softmax cross-entropy", layered),
    "doors": Workload("every call against the plain one: 120 nodes, and 64-32-10, batch 32", doors),
    "epoch": Workload("64-32-10 declared neuron by neuron, an epoch against one compiled scan", epoch),
    "threads": Workload("10 100 nodes, 100 000 edges, tanh: on two threads", threads),
    "start": Workload("from nothing to a gradient, in new processes", start),
    "loops": Workload("10 100 nodes, 100 000 edges: the loops alone, one thread, against C", loops),
    "fit": Workload("gp.fit of 120 nodes, 300 edges, six activations, Adam", training.irregular),
    "digits": Workload("gp.fit of 64-32-10, Adam", training.digits),
    "pixels": Workload("gp.fit of 784-256-128-10, Adam", training.pixels),
    "pathways": Workload("gp.fit of 5000-800-100-1, each node with 20 parents, Adam", training.pathways),
    "population": Workload("1000 graphs of 30 nodes, each trained by itself: 50 steps of Adam", population),
    "evolved": Workload("1000 graphs of 30 nodes and 60 edges", evolved),
}
