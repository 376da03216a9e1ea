"""Activations of one's own for the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import graphprop as gp

DOORS: dict[str, Callable[[gp.Network, Any], Any]] = {
    "forward": lambda net, rows: net.forward(rows),
    "predict": lambda net, rows: net.program.predict(net.theta, rows),
    "predict float32": lambda net, rows: net.program.predict(net.theta.astype(np.float32), rows),
}

BACKWARD_DOORS: dict[str, Callable[[gp.Network, Any], Any]] = {
    "backward": lambda net, rows: net.backward(net.forward(rows), loss="half_squared", target=0 * _heads(net, rows)),
    "value_and_grad": lambda net, rows: net.program.value_and_grad(
        net.theta, rows, 0 * _heads(net, rows), loss="half_squared"
    ),
    "vjp": lambda net, rows: net.program.vjp(net.theta, rows, 1 + 0 * _heads(net, rows)),
    "of a recursion's trace": lambda net, rows: net.backward(
        gp.recursion.forward(net, rows), loss="half_squared", target=0 * _heads(net, rows)
    ),
}

KINDS: dict[str, Callable[..., Any]] = {
    "elementwise": lambda a: 2.0 * a,
    "reducing": lambda a: 2.0 * float(a.sum()),
    "vector": lambda a: 2.0 * a,
}


def alone(f: gp.Activation, size: int | None = None) -> gp.Network:
    """A network whose one node gives f of its inputs."""
    net = gp.Network()
    net.add_input("x", size=size)
    net.add_node("y", f, {"x": 1.0 if size is None else np.eye(size)}, size=size)
    return net


def _heads(net: gp.Network, rows: Any) -> Any:
    return net.program.predict(net.theta, rows)


def own(value: Any, derivative: Any = lambda a, o: 1.0, **settings: Any) -> gp.Activation:
    return gp.Activation("mine", value, derivative, check=False, **settings)


def outcome(run: Callable[[], Any]) -> Any:
    """What a call gives, as numbers; None if it is refused."""
    try:
        return run()
    except gp.GraphpropError:
        return None
