"""Populations of all kinds, and what each member should be after it was trained by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import graphprop as gp

RANDOM = np.random.default_rng(7)
X = RANDOM.standard_normal((37, 3))
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
LABELS = RANDOM.integers(0, 2, 37)
INPUTS = "x", "y", "z"
CURVED = "tanh", "sigmoid", "sin", "gaussian", "softplus", "identity"


def evolved(seed: int, hidden: int = 7, out: str = "identity") -> gp.Network:
    """A random graph with skip edges, ties, frozen numbers, dead ends and a reducing node; two outputs, one head."""
    random = np.random.default_rng(seed)
    net = gp.Network(f"evolved {seed}")
    for name in random.permutation(INPUTS).tolist():
        net.add_input(name)
    tied, known = net.parameter("tied", 0.3), list(INPUTS)
    for k in range(hidden):
        parents = random.choice(known, size=int(random.integers(1, 4)), replace=False).tolist()
        weights: dict[Any, Any] = {u: tied if random.random() < 0.2 else float(random.normal() / 2) for u in parents}
        net.add_node(f"h{k}", CURVED[int(random.integers(len(CURVED)))], weights, bias=float(random.normal() / 4))
        known.append(f"h{k}")
    net.add_node("m", "softmax_dot", {u: [0.3, -0.2] for u in random.choice(known, 3, replace=False).tolist()})
    net.add_node("p", out, {"m": 0.7, known[-1]: 0.2}, bias=0.0)
    net.add_node("q", out, {known[-2]: 0.5, "x": 0.1})
    net.add_edge("y", "q", 0.25, trainable=False)
    net.set_outputs(["p", "q"])
    return net


def wide(seed: int) -> gp.Network:
    """Its program multiplies matrices."""
    random, net, known = np.random.default_rng(seed), gp.Network(), list(INPUTS)
    for name in INPUTS:
        net.add_input(name)
    for layer, size in (("h", 40), ("k", 40), ("out", 2)):
        rows = [(f"{layer}{i}", dict(zip(known, random.normal(size=len(known)) / 9, strict=True))) for i in range(size)]
        for name, weights in rows:
            net.add_node(name, "identity" if layer == "out" else "tanh", weights, bias=0.1)
        known = [name for name, _ in rows]
    assert net.program.schedule.is_dense
    return net


def two_heads(seed: int) -> gp.Network:
    net = evolved(seed)
    net.set_outputs("p", "q")
    return net


def of_classes(seed: int, out: str = "softmax") -> gp.Network:
    net = gp.Network()
    for name in INPUTS:
        net.add_input(name)
    for k in range(2 + seed):
        net.add_node(f"h{k}", "relu" if k % 2 else "tanh", {"x": 0.3 * k - 0.2, "z": 0.4}, bias=0.1)
    net.add_node("p", out, {f"h{k}": [0.2 * k, -0.1 * k + 0.05] for k in range(2 + seed)}, bias=[0.0, 0.1])
    return net


def masked(seed: int) -> gp.Network:
    """A component of its softmax is -inf whatever happens."""
    net = gp.Network()
    for name in INPUTS:
        net.add_input(name)
    net.add_node("s", "softmax", {"x": [0.1 * seed, 0.2, 0.3], "y": [0.5, 0.1, 0.2]}, bias=[0.0, -np.inf, 0.1])
    net.add_node("p", "identity", {"s": [1.0, 2.0, 0.5]})
    net.add_node("q", "tanh", {"s": [0.2, 1.0, 0.1], "z": 0.3})
    return net


def slope(a: float) -> float:
    return 1.0 / (1.0 + a * a)


BENT = gp.Activation("bent", lambda a: np.arctan(a), lambda a, o: slope(a))
IN_PYTHON = gp.Activation(
    "listed", lambda a: sum(sorted([a, 0.5 * a])[:1]), lambda a, o: 1.0 if a < 0.5 * a else 0.5, check=False
)


def own(activation: gp.Activation) -> Callable[[int], gp.Network]:
    def make(seed: int) -> gp.Network:
        net = evolved(seed, hidden=4)
        net.add_node("own", activation, {"x": 0.5, "h0": 0.3 + 0.1 * seed}, bias=0.2)
        net.add_edge("own", "p", 0.4)
        return net

    return make


def mixed(seed: int) -> gp.Network:
    return (evolved, wide, masked, evolved)[seed % 4](seed)


KINDS: dict[str, Callable[[int], gp.Network]] = {
    "evolved": evolved,
    "wide": wide,
    "masked": masked,
    "compiled own activation": own(BENT),
    "own activation in Python": own(IN_PYTHON),
    "mixed": mixed,
    "two heads": two_heads,
}


def members(kind: str, count: int = 5) -> list[gp.Network]:
    return [KINDS[kind](seed) for seed in range(count)]


def trained_alone(net: gp.Network, inputs: Any, target: Any, steps: int, **asked: Any) -> np.ndarray:
    """What `gp.fit` makes of a copy."""
    columns = inputs[:, [INPUTS.index(name) for name in net.inputs]]
    copy = net.copy()
    gp.fit(copy, columns, target, epochs=steps, batch_size=len(inputs), progress=False, **asked)
    return copy.theta.copy()
