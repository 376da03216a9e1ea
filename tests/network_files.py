"""Files of networks that tests and attacks begin with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp

CUBE = gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a**2)
SCALED = [
    gp.Activation("scaled", lambda a, s: s * a, lambda a, o, s: s, parameters={"s": s}, check=False) for s in (0.1, 0.3)
]
OWN = [CUBE, *SCALED]


def rich() -> gp.Network:
    """Every feature of the format at once."""
    net = gp.Network('a "name" \\ ü \U0001f600 \x00 </script>')
    net.add_input("x", size=3)
    net.add_input(7)
    net.add_input(("t", (-1, ("é", ("",)))))
    f = net.parameter("f", [[1.0, 2.0], [3.0, 0.1]])
    frozen = net.parameter(("f", 1), 5e-324, trainable=False)
    slope = gp.activation("leaky_relu", slope=0.3)
    net.add_node("h", slope, {"x": [[1, None, 0.1], [None, 2, f[0, 1]]], 7: [f[1, 1], None]}, [None, frozen], size=2)
    net.add_node("s", "softmax", {"h": [[1, 2], [3, 4], [5, 1 / 3]]}, bias=[0.0, -np.inf, -0.0])
    net.add_node("y", "softmax_dot", {"s": [[1, 2, 3], [4, 5, 6.0]], ("t", (-1, ("é", ("",)))): [0.25, 0.1]})
    net.add_node("one", "tanh", {7: 1.7976931348623157e308}, size=1, trainable=False)
    net.add_node("late", gp.activation("elu", alpha=2.5), {7: 10**300}, bias=2.0)
    net.add_edge("late", "h", 0.5, to=1)
    net.add_node("cube", CUBE, {"late": 1.0, "one": 2.0})
    net.add_node(10**30, SCALED[0], {"cube": f[0, 1]})
    net.add_node("10", SCALED[1], {"cube": 1e-7})
    net.add_node("gone", "sin", {"x": [1.0, 2.0, 3.0]})
    net.remove_node("gone")
    net.trainable[2] = False
    net.set_outputs("s", ["y", "late"])
    return net


def small() -> dict[str, Any]:
    """x -> h -> y with a bias, and a skip edge, as a person would write it."""
    return {
        "format": "graphprop network",
        "version": 1,
        "directed": True,
        "multigraph": False,
        "nodes": [
            {"id": "x", "kind": "input", "size": 2},
            {"id": "h", "kind": "square", "bias": 0},
            {"id": ["y", 1], "kind": "max", "size": 3},
        ],
        "edges": [
            {"source": "x", "target": "h", "theta": [1, None]},
            {"source": "h", "target": ["y", 1], "theta": [2, 2, None]},
            {"source": "x", "target": ["y", 1], "theta": [[None, 3], [4, 5], [0, 1]]},
        ],
        "theta": [1, -2.0, 0.5, 3.0, 4.0, 5.0],
    }


def put(folder: Path, content: Any) -> Path:
    file = folder / "net.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file
