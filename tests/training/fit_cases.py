"""Fits of all kinds, each a function of what is to be otherwise; ended at some place, and compared to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import graphprop as gp
from graphprop.training import fitting

RANDOM = np.random.default_rng(8)
X = RANDOM.standard_normal((50, 3))
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
WEIGHT = RANDOM.uniform(0.5, 2.0, 50)
OWN: dict[str, Any] = {"loss": "half_squared", "epochs": 3, "batch_size": 16, "seed": 5, "progress": False}
ROWS = [slice(first, first + 16) for first in range(0, 50, 16)]


def network() -> gp.Network:
    """A skip edge, a tied weight, a reducing node, a frozen edge, and a mask."""
    net = gp.Network("irregular")
    for name in ("x", "y", "z"):
        net.add_input(name)
    tied = net.parameter("tied", 0.4)
    net.add_node("h", "tanh", {"x": 0.5, "y": tied}, bias=0.1)
    net.add_node("k", "softplus", {"z": tied, "h": -0.3}, bias=-0.2)
    net.add_node("m", "softmax_dot", {"h": [0.3, 0.1, 0.2], "k": [-0.2, 0.6, 0.0]}, bias=[0.0, 0.1, -np.inf])
    net.add_node("p", "identity", {"m": 0.7, "x": 0.2}, bias=0.0)
    net.add_node("q", "identity", {"k": 0.5}, bias=0.3)
    net.add_edge("y", "q", 0.25, trainable=False)
    return net


@dataclass(frozen=True)
class Counting:
    """A user's own: what it remembers is of other shapes and kinds than theta."""

    push: float = 0.9
    name: str = "counting"
    rate: float = 0.01

    def start(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        return np.zeros((2, len(theta))), np.array(0), np.zeros(len(theta), dtype=bool)

    def update(self, step: int, rate: float, theta: np.ndarray, gradient: np.ndarray, *memory: Any) -> Any:
        moved, count, sign = memory
        moved = np.stack([self.push * moved[0] + gradient, moved[1] + gradient**2])
        return theta - rate * moved[0] / (1 + count) - 1e-3 * sign, moved, np.asarray(count + 1), gradient > 0


def fit(**own: Any) -> gp.Fit:
    return gp.fit(network(), X, Y, **(OWN | own))


def of_batches(source: Any, **own: Any) -> gp.Fit:
    return gp.fit(network(), source, **(OWN | own))


def of_program(dtype: Any, **own: Any) -> gp.Fit:
    net = network()
    return gp.fit(gp.compile(net), X, Y, theta=net.theta.astype(dtype), **(OWN | own))


def of_heads(**own: Any) -> gp.Fit:
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("z", "identity", {"x": np.full((2, 3), 0.1)}, np.zeros(2), size=2)
    net.add_node("s", "tanh", {"x": [0.1, 0.2, 0.3]})
    net.set_outputs("z", "s")
    return gp.fit(net, X, {"s": Y[:, 0], "z": Y}, **(OWN | own))


def of_layers(**own: Any) -> gp.Fit:
    net = gp.mlp([3, 4, 2], "tanh", seed=0, by="layer")
    labels = (Y > 0).argmax(axis=1)
    return gp.fit(net, X, labels, **(OWN | {"loss": "softmax_cross_entropy", "metrics": "accuracy"} | own))


def hits(outputs: np.ndarray, target: np.ndarray) -> float:
    return float(np.sum(np.abs(outputs - target) < 0.5))


NAMED = {"z": X[:, 2], "x": X[:, 0], "y": X[:, 1]}
BATCHES = [(X[rows], Y[rows], WEIGHT[rows]) for rows in ROWS]
WORSE = {"validation": (X[:9], -Y[:9], WEIGHT[:9])}  # the better the fit, the worse the validation
CASES: dict[str, Callable[..., gp.Fit]] = {
    **{name: lambda name=name, **own: fit(optimizer=name, **own) for name in ("sgd", "rmsprop", "adagrad", "lion")},
    "nesterov": lambda **own: fit(optimizer=gp.optim.SGD(momentum=0.9, nesterov=True), **own),
    "adam": lambda **own: fit(**own),
    "adamw, clip and scale": lambda **own: fit(optimizer="adamw", clip=0.3, scale={"h": 0.5, "tied": 0}, **own),
    "rprop": lambda **own: fit(**({"optimizer": "rprop", "batch_size": None, "epochs": 8} | own)),
    "decay": lambda **own: fit(decay=0.1, **own),
    "cosine": lambda **own: fit(rate=gp.optim.cosine(0.1, steps=9, warmup=3), **own),
    "step": lambda **own: fit(rate=gp.optim.step(0.1, every=3), **own),
    "exponential": lambda **own: fit(rate=gp.optim.exponential(0.1, every=3), **own),
    "a function of the step": lambda **own: fit(rate=lambda step: 0.1 / (1 + step), **own),
    "plateau": lambda **own: fit(
        **({"rate": gp.optim.plateau(0.1, factor=0.5, patience=1), "epochs": 8} | WORSE | own)
    ),
    "patience": lambda **own: fit(**({"rate": 0.3, "patience": 3, "epochs": 30, "metrics": "r2"} | WORSE | own)),
    "a fraction": lambda **own: fit(validation=0.3, metrics=["mse", hits], **own),
    "sample weights": lambda **own: fit(sample_weight=WEIGHT, **own),
    "a callback": lambda **own: fit(callback=lambda row, theta: row["epoch"] == 2, **own),
    "a program": lambda **own: of_program(np.float64, **own),
    "float32": lambda **own: of_program(np.float32, validation=0.2, **own),
    "a list of batches": lambda **own: of_batches(BATCHES, **own),
    "a function that makes batches": lambda **own: of_batches(lambda: iter(BATCHES), **own),
    "columns by name": lambda **own: gp.fit(network(), NAMED, {"q": Y[:, 1], "p": Y[:, 0]}, **(OWN | own)),
    "heads": of_heads,
    "layers": of_layers,
    "an optimiser of one's own": lambda **own: fit(optimizer=Counting(), **own),
    "one's own with a rate": lambda **own: fit(optimizer=Counting(0.8), rate=0.1, **own),
}


class Stops:
    """In place of Ctrl-C: it was pressed when it is asked for that for the n-th time."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> Any:
        return self

    def __enter__(self) -> Callable[[], bool]:
        return self.asked

    def __exit__(self, *error: object) -> None:
        pass

    def asked(self) -> bool:
        self.left -= 1
        return self.left < 0


def interrupted(run: Callable[..., gp.Fit], at: int, path: Path) -> gp.Fit:
    """Ended after a batch; steps that would be made at once, and could be ended behind the last, are made singly."""
    with patch.object(fitting, "Interrupts", Stops(at)), patch("graphprop.engine.walking.MOST_STEPS", 1):
        return run(checkpoint=path)


def assert_same(one: gp.Fit, other: gp.Fit) -> None:
    assert one.theta.dtype == other.theta.dtype
    assert one.theta.tobytes() == other.theta.tobytes()
    assert list(one.history) == list(other.history)
    for mine, theirs in zip(one.history.values(), other.history.values(), strict=True):
        assert (mine.dtype, mine.tobytes()) == (theirs.dtype, theirs.tobytes())
    for name in ("stopped", "best_epoch", "optimizer", "steps", "epochs"):
        assert getattr(one, name) == getattr(other, name)
