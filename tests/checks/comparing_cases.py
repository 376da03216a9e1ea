"""Networks and gradients for the tests of `compare`."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphprop as gp

Array = np.ndarray[Any, Any]

SAMPLES = 3


class ByHand:
    """Two layers x -> h -> y, tanh and identity, and W3 over the edge x -> y; the mean of half squares of a batch."""

    def __init__(self, skip: bool, by: str = "layer") -> None:
        random = np.random.default_rng(3)
        self.X, self.T = random.normal(size=(SAMPLES, 3)), random.normal(size=(SAMPLES, 3))
        self.W1, self.W2, self.W3 = (random.normal(size=(3, 3)) for _ in range(3))
        self.b1, self.b2 = random.normal(size=3), random.normal(size=3)
        net = gp.Network()
        if by == "layer":
            net.add_input("x", size=3)
            net.add_node("h", "tanh", {"x": self.W1}, self.b1, size=3)
            net.add_node("y", "identity", {"h": self.W2} | ({"x": self.W3} if skip else {}), self.b2, size=3)
        else:
            for j in range(3):
                net.add_input(f"x{j}")
            for i in range(3):
                net.add_node(f"h{i}", "tanh", {f"x{j}": self.W1[i, j] for j in range(3)}, self.b1[i])
            for i in range(3):
                net.add_node(f"y{i}", "identity", {f"h{j}": self.W2[i, j] for j in range(3)}, self.b2[i])
        self.net, self.skip = net, skip
        self.h = np.tanh(self.X @ self.W1.T + self.b1)
        y = self.h @ self.W2.T + self.b2 + (self.X @ self.W3.T if skip else 0)
        self.r = (y - self.T) / SAMPLES
        self.g = net.backward(net.forward(self.X), loss="half_squared", target=self.T)

    def gradients(
        self, r: Array | None = None, slope: Array | None = None, W2: Array | None = None
    ) -> dict[Any, Array]:
        r = self.r if r is None else r
        slope = 1 - self.h**2 if slope is None else slope
        d = (r @ (self.W2 if W2 is None else W2)) * slope
        found = {"W1": d.T @ self.X, "b1": d.sum(0), "W2": r.T @ self.h, "b2": r.sum(0)}
        if not self.skip:
            return found
        edges = {("x", "h"): found["W1"], ("h", "y"): found["W2"], ("x", "y"): r.T @ self.X}
        return edges | {"h": found["b1"], "y": found["b2"]}


plain, skipping, by_neuron = ByHand(skip=False), ByHand(skip=True), ByHand(skip=False, by="neuron")


def reason(case: ByHand, **mine: Any) -> str:
    found = gp.compare(case.g, mine)
    assert not found
    (verdict,) = found.verdicts
    assert verdict.status == "wrong"
    assert verdict.reason in str(found)
    return verdict.reason
