"""Networks for the tests of the recursion."""

from __future__ import annotations

import graphprop as gp

FORMS = ("parents", "children", "paths")


def ladder(diamonds: int) -> gp.Network:
    """A chain of diamonds: 2^k paths from j0 to the end."""
    net = gp.Network()
    net.add_input("j0")
    for i in range(diamonds):
        net.add_node(f"l{i}", "identity", {f"j{i}": 0.5})
        net.add_node(f"r{i}", "sigmoid", {f"j{i}": 0.75})
        net.add_node(f"j{i + 1}", "tanh", {f"l{i}": 1.25, f"r{i}": -0.5})
    return net


def two_heads() -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("z", "softmax", {"x": [1.0, -1.0, 0.5]})
    net.add_node("b", "tanh", {"x": 0.5})
    net.add_node("c", "tanh", {"x": -0.25})
    net.set_outputs("z", ["b", "c"])
    return net
