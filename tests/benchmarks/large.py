"""What is measured in processes of their own, where time and memory of everything else do not count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp
from tests.benchmarks.graphs import chain, random_graph
from tests.benchmarks.measuring import once, peak_memory

REPEATS = 5


def draw_edges(path: str, inputs: int, nodes: int, edges: int, shuffled: bool) -> None:
    """Write a random graph to a file, so that the memory it takes to draw it is not that of compiling it."""
    graph = random_graph(inputs, nodes, edges)
    order = np.random.default_rng(1).permutation(edges) if shuffled else np.arange(edges)
    np.savez(Path(path), source=graph.source[order], target=graph.target[order])


def _compile_and_run(inputs: int, source: Any, target: Any) -> dict[str, float]:
    small = gp.Program.from_edges(1, [0], [1], "tanh", bias=True)  # what is compiled or imported once is not counted
    small.value_and_grad([1.0, 0.0], [[1.0]], [[0.0]], loss="half_squared")
    before = peak_memory()
    compiling, program = once(lambda: gp.Program.from_edges(inputs, source, target, "tanh", bias=True))
    compiled = peak_memory()
    nodes, edges = program.layout.o_start[-1], len(source)
    random = np.random.default_rng(2)
    theta = random.standard_normal(program.layout.size) * np.sqrt((nodes - inputs) / edges)
    x = random.standard_normal((1, inputs))
    y = np.zeros((1, len(program.schedule.goals)))
    seconds = [once(lambda: program.value_and_grad(theta, x, y, loss="half_squared"))[0] for _ in range(REPEATS + 1)]
    low, median, high = np.percentile(seconds[1:], (25, 50, 75)).tolist()
    return {
        "nodes": float(nodes),
        "edges": float(edges),
        "compiling": compiling,
        "first": seconds[0],
        "median": median,
        "low": low,
        "high": high,
        "memory before": float(before),
        "memory compiled": float(compiled),
        "memory run": float(peak_memory()),
        "arrays": float(source.nbytes + target.nbytes),
    }


def measure_chain(length: int) -> dict[str, float]:
    graph = chain(length)
    return _compile_and_run(graph.inputs, graph.source, graph.target)


def measure_edges(path: str, inputs: int) -> dict[str, float]:
    with np.load(Path(path)) as arrays:
        source, target = arrays["source"], arrays["target"]
    return _compile_and_run(inputs, source, target)
