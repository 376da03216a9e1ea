"""What the tests of `check` have in common."""

from __future__ import annotations

from typing import Any

import graphprop as gp

X = {"x1": 1.0, "x2": -2.0}


def small() -> gp.Network:
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    f = net.parameter("f", 0.7)
    net.add_node("h1", "sigmoid", {"x1": 0.5, "x2": -0.3}, bias=0.1)
    net.add_node("h2", "tanh", {"x1": 0.8, "x2": f})
    net.add_node("y", "softmax_dot", {"h1": [0.2, -0.7], "h2": [f, 0.4]})
    net.add_edge("x1", "y", [0.1, 0.3])
    return net


def row(report: gp.Report, way: str) -> Any:
    return next(row for row in report.rows if row.way.startswith(way))
