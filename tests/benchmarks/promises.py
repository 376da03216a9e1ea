"""What is promised to take no longer than so many seconds, on a machine with nothing else to do:

    python -m tests.benchmarks.promises

A test that measures time fails where others use the machine, so these are measured by hand.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp
from graphprop.render.placing.by_graphviz import graphviz_engines
from tests.benchmarks.measuring import once

Prepared = tuple[str, float, Callable[[], Any]]


def irregular(count: int) -> gp.Network:
    """Each node reads three of the others before it, near or far."""
    random = np.random.default_rng(count)
    net = gp.Network()
    for v in range(10):
        net.add_input(v)
    for v in range(10, count):
        net.add_node(v, "tanh", {int(u): 0.5 for u in random.choice(v, size=3, replace=False)})
    return net


def wide(nodes: int, reads: int) -> gp.Network:
    """So many nodes that read so many before them, by arrays of edges."""
    target = np.repeat(np.arange(1000, 1000 + nodes), reads)
    source = target - 1 - target // reads * np.tile(np.arange(reads), nodes)
    net = gp.Program.from_edges(1000, source, target, "tanh", bias=True).to_network()
    net.theta = np.random.default_rng(0).normal(size=len(net.theta)) / 10
    return net


def promises(folder: str) -> list[Prepared]:
    small, large, path = gp.mlp([3, 4, 3], "tanh", "identity", seed=0), wide(10_000, 10), Path(folder) / "net.json"
    large.save(path)
    huge = wide(99_000, 3)
    trace = huge.forward(np.ones(1000))
    g = huge.backward(trace, huge.outputs[0])
    checked = wide(2500, 40)
    gp.check(small)
    drawn = [
        (f"draw {count} nodes by {engine}", limit, partial(drawing, irregular(count), engine))
        for count, limit in ((60, 1.0), (1000, 10.0))
        for engine in ["columns", *graphviz_engines()]
    ]
    return [
        *drawn,
        ("build 100 000 edges one by one", 2.0, edge_by_edge),
        ("draw a summary of 100 000 nodes", 5.0, lambda: gp.draw(huge, trace, g).svg),
        ("load 100 000 edges", 5.0, lambda: gp.load(path)),
        ("check a small network", 1.0, lambda: gp.check(small)),
        ("check 100 000 edges", 30.0, lambda: gp.check(checked)),
    ]


def edge_by_edge() -> gp.Network:
    net = gp.Network()
    for v in range(448):
        net.add_node(v, "tanh")
    for v in range(448):
        for u in range(v):
            net.add_edge(u, v, 0.5)
    return net


def drawing(net: gp.Network, engine: str) -> str:
    return gp.draw(net, layout=engine).svg


def main() -> int:
    late = 0
    with tempfile.TemporaryDirectory() as folder:
        for what, limit, call in promises(folder):
            seconds, _ = once(call)
            late += seconds > limit
            print(f"{seconds:7.2f} s of {limit:4.0f} s: {what}{'; too long' if seconds > limit else ''}", flush=True)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
