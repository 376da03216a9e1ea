"""Networks for the tests of pictures."""

from __future__ import annotations

from typing import Any

import graphprop as gp


def two_layers() -> gp.Network:
    net = gp.Network("two layers")
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h1", "tanh", {"x1": 0.5, "x2": -0.3}, bias=0.1)
    net.add_node("h2", "tanh", {"x1": 0.8, "x2": 0.2})
    net.add_node("y", "softmax_dot", {"h1": [0.2, -0.7], "h2": [1.1, 0.4]})
    return net


def drawn(net: gp.Network, inputs: Any, **objective: Any) -> gp.Drawing:
    trace = net.forward(inputs)
    return gp.draw(net, trace, net.backward(trace, **objective))
