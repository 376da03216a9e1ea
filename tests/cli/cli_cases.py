"""What the tests of the command line have in common."""

from __future__ import annotations

import os
from typing import Any

import graphprop as gp

WITH_FILE = [["info"], ["draw"], ["check"], ["explain"], ["paths"]]

ARGUMENTS: dict[str, list[str]] = {"explain": ["weight", "h1", "y", "0"], "paths": ["x1", "y"]}


def small() -> gp.Network:
    net = gp.Network("small")
    net.add_input("x1")
    net.add_input("x2")
    f = net.parameter("f", 0.5)
    net.add_node("h1", "sigmoid", {"x1": f, "x2": -0.25}, bias=0.125)
    net.add_node("y", "softmax_dot", {"h1": [0.25, -0.5], "x2": [f, 1.0]})
    return net


class Stub:
    """Stands for a public function and for what it gives; remembers what it was called with."""

    def __init__(self, text: str = "told", ok: bool = True) -> None:
        self.text, self.ok = text, ok
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.saved: list[str] = []

    def __call__(self, *arguments: Any, **options: Any) -> Stub:
        self.calls.append((arguments, options))
        return self

    def save(self, path: Any) -> None:
        self.saved.append(os.path.basename(path))

    def __str__(self) -> str:
        return self.text
