"""Networks with everything that a door has to keep, for the tests of doors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import graphprop as gp
from tests.golden import GRAPHS, build
from tests.network_files import rich
from tests.passes.test_columns import example


def writable_rich() -> gp.Network:
    """All features at once, with a title that XML can hold."""
    net = rich()
    net.name = 'a "name" \\ ü \U0001f600 </script>'
    return net


def masked() -> gp.Network:
    net = gp.Network("masks")
    net.add_input("x")
    net.add_node("p", "softmax", {"x": [1.0, 2.0, 3.0]}, bias=[0.5, -np.inf, None])
    net.add_node("m", "max", {"p": [[1.0, 0.5, None], [None, None, -0.0]]})
    net.trainable[[0, 4]] = False
    return net


def built_in_any_order() -> gp.Network:
    """Parents that were created later, edges that moved the order, and one that is gone."""
    net = gp.Network()
    for v in "cab":
        net.add_node(v, "tanh", bias=0.25)
    net.add_input("x")
    net.add_edge("x", "b", 1.0)
    net.add_edge("b", "a", 2.0)
    net.add_edge("x", "a", 3.0)
    net.add_edge("a", "c", 4.0)
    net.add_edge("b", "c", 5.0)
    net.add_edge("x", "c", 6.0)
    net.remove_edge("b", "c")
    net.add_edge("b", "c", 7.0)
    return net


def with_layers() -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": [1.0, None]}, bias=[None, 2.0], size=2)
    net.add_node("y", "identity", {"h": [1.0, 2.0]})
    return net


def unfinished() -> gp.Network:
    net = gp.Network()
    net.add_input("alone", size=2)
    net.add_node("waits", "softmax", size=3)
    net.parameter("idle", [[1.0], [2.0]], trainable=False)
    return net


NETWORKS: dict[str, Callable[[], gp.Network]] = {
    "rich": writable_rich,
    "masks": masked,
    "any order": built_in_any_order,
    "columns": example,
    "empty": gp.Network,
    "layers": with_layers,
    "expanded": lambda: with_layers().expand(),
    "unfinished": unfinished,
    "mlp": lambda: gp.mlp([3, 4, 2], "relu", "softmax", seed=1),
    "by layer": lambda: gp.mlp([3, 4, 2], "relu", by="layer", seed=1),
    "union": lambda: gp.union({"a": gp.mlp([1, 2, 1], seed=1), ("b", 2): build(GRAPHS["tied_depth"])}),
    "numbers": lambda: gp.Program.from_edges(2, [0, 1, 2], [2, 2, 3], "tanh", bias=True).to_network(),
    **{f"golden {name}": lambda name=name: build(GRAPHS[name]) for name in sorted(GRAPHS.keys() - {"multi_edge"})},
}
