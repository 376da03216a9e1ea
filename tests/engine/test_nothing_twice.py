"""What depends on the structure alone is worked out once: later calls take as many steps on graphs of any size."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp

SORTS = ("argsort", "lexsort", "sort", "unique", "searchsorted", "isin")
Call = Callable[[], Any]


def chain(length: int) -> gp.Network:
    """Vectors of all kinds of activations, each of which reads the one before and the inputs; the last is read."""
    kinds = ("tanh", "softmax", "relu", "softmax_dot", "identity")
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_input("y")
    last = "y"
    for v in range(length):
        kind = kinds[v % len(kinds)]
        size = 1 if kind in ("tanh", "relu", "identity") else 3
        width = net.output_size(last)
        weights = np.full((size, width), 0.3) + np.eye(size, width)
        net.add_node(v, kind, {last: np.squeeze(weights), "x": np.full((size, 3), 0.1).squeeze()}, bias=[0.1] * size)
        last = v
    net.add_node("end", "identity", {last: np.full(net.output_size(last), 0.5).squeeze(), "y": 1.0})
    return net


def wide(length: int) -> gp.Network:
    """As many inputs and nodes side by side, of which one is read."""
    net = gp.Network()
    for v in range(length):
        net.add_input(f"x{v}")
    for v in range(length):
        net.add_node(v, "tanh", {f"x{v}": 0.5})
    net.set_outputs(0)
    return net


def from_edges(length: int) -> gp.Program:
    return gp.Program.from_edges(1, range(length), range(1, length + 1), "tanh", bias=True)


def calls_of_network(net: gp.Network) -> dict[str, Call]:
    columns = sum(net.output_size(name) for name in net.inputs)
    x, end = np.full(columns, 0.5), net.outputs[-1]
    trace = net.forward(x)
    g = net.backward(trace, end)
    edge = net.edges[0]
    return calls_of_program(net.program, net.theta) | {
        "net.forward": lambda: net.forward(x),
        "net.backward, node": lambda: net.backward(trace, end),
        "net.backward, loss": lambda: net.backward(trace, loss="half_squared", target=[0.5]),
        "net.backward, target by name": lambda: net.backward(trace, loss="half_squared", target={end: 0.5}),
        "net.backward, seed": lambda: net.backward(trace, seed={end: 2.0}),
        "numbers by name": lambda: (trace.o[end], g.o[end], g.weight[edge], net.weight(*edge), net.inputs, net.outputs),
        "columns": lambda: (net.weights(), g.weights(), net.named(net.theta).weights(), net.biases(), g.biases()),
    }


def calls_of_program(program: gp.Program, theta: Any) -> dict[str, Call]:
    columns, outputs = len(program.layout.input_columns), len(program.schedule.goals)
    x, y = np.full((1, columns), 0.5), np.full((1, outputs), 0.5)
    rows, targets = x.tolist(), y.tolist()
    trace = program.forward(theta, x)
    more: dict[str, Any] = {"loss": "half_squared"}
    return {
        "predict": lambda: program.predict(theta, x),
        "value_and_grad": lambda: program.value_and_grad(theta, x, y, **more),
        "value_and_grad, weights": lambda: program.value_and_grad(theta, x, y, **more, sample_weight=[1.0]),
        "value_and_grad, float32": lambda: program.value_and_grad(theta.astype(np.float32), x, y, **more),
        "value_and_grad, lists": lambda: program.value_and_grad(theta, np.array(rows), targets, **more),
        "vjp": lambda: program.vjp(theta, x, y),
        "linearize and pull": lambda: program.linearize(theta, x)[1](y),
        "program.forward": lambda: program.forward(theta, x),
        "program.backward": lambda: program.backward(trace, **more, target=y),
    }


def calls_of_edges(program: gp.Program) -> dict[str, Call]:
    return calls_of_program(program, np.full(program.layout.size, 0.1))


GRAPHS: dict[str, tuple[Callable[[int], Any], Callable[[Any], dict[str, Call]]]] = {
    "chain": (chain, calls_of_network),
    "wide": (wide, calls_of_network),
    "from edges": (from_edges, calls_of_edges),
}
DOORS = [(graph, door) for graph, (build, calls) in GRAPHS.items() for door in calls(build(5))]


def steps_of(call: Call) -> int:
    """The lines of Python that a call runs, each turn of a loop anew."""
    lines = 0

    def count(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    gc.disable()  # what is kept for others that are gone would be let go in between
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return lines


@pytest.mark.parametrize(("graph", "door"), DOORS)
def test_a_later_call_takes_as_many_steps_of_python_on_a_graph_of_any_size(graph: str, door: str) -> None:
    build, calls = GRAPHS[graph]
    steps = []
    for length in (20, 60):
        call = calls(build(length))[door]
        call()
        steps.append(steps_of(call))
    assert steps[0] == steps[1]


@pytest.mark.parametrize(("graph", "door"), DOORS)
def test_a_later_call_sorts_nothing(graph: str, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, calls = GRAPHS[graph]
    call = calls(build(20))[door]
    call()
    for name in SORTS:
        monkeypatch.setattr(np, name, lambda *given, name=name, **more: pytest.fail(f"np.{name} is called again"))
    call()
