"""Numbers for another number of outputs are refused by a message that names the outputs, at every door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp

X = np.ones((5, 2))
TOLD = r"no outputs were declared, so they are the nodes that nothing reads: side, y; set_outputs"


def network() -> gp.Network:
    """Two sinks, of which one was not meant to be one."""
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h", "tanh", {"x1": 0.5, "x2": -0.5})
    net.add_node("side", "tanh", {"x1": 0.5})
    net.add_node("y", "identity", {"h": 1.0})
    return net


LOSS = {"loss": "half_squared"}
WRONG = {"too few": np.zeros((5, 1)), "too many": np.zeros((5, 3)), "one axis": np.zeros(5), "a list": [[0.0]] * 5}
DOORS: dict[str, Callable[[gp.Network, Any], object]] = {
    "net.backward": lambda net, y: net.backward(net.forward(X), **LOSS, target=y),
    "program.backward": lambda net, y: net.program.backward(net.forward(X), **LOSS, target=y),
    "recursion": lambda net, y: gp.recursion.backpropagate(net, net.forward(X), **LOSS, target=y),
    "matrixform": lambda net, y: gp.matrixform.backpropagate(net, net.forward(X), **LOSS, target=y),
    "check": lambda net, y: gp.check(net, X, **LOSS, target=y),
    "value_and_grad": lambda net, y: net.program.value_and_grad(net.theta, X, y, **LOSS),
    "weighted": lambda net, y: net.program.value_and_grad(net.theta, X, y, **LOSS, sample_weight=np.ones(5)),
    "float32": lambda net, y: net.program.value_and_grad(net.theta.astype(np.float32), X, np.float32(y), **LOSS),
    "a loss by head": lambda net, y: net.program.value_and_grad(net.theta, X, y, loss={net.outputs: "half_squared"}),
    "vjp": lambda net, y: net.program.vjp(net.theta, X, y),
    "pull": lambda net, y: net.program.linearize(net.theta, X)[1](y),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("door", DOORS)
def test_the_sinks_are_named_where_nobody_declared_outputs(door: str, wrong: str) -> None:
    with pytest.raises(gp.GraphpropError, match=r"has shape .* it should have \(5, 2\).*" + TOLD):
        DOORS[door](network(), WRONG[wrong])


@pytest.mark.parametrize("door", DOORS)
def test_outputs_that_were_declared_are_named(door: str) -> None:
    net = network()
    net.set_outputs(["y", "side"])
    with pytest.raises(gp.GraphpropError, match=r"it should have \(5, 2\); the outputs are y, side$"):
        DOORS[door](net, np.zeros((5, 3)))


@pytest.mark.parametrize("door", DOORS)
def test_another_number_of_samples_says_nothing_of_outputs(door: str) -> None:
    with pytest.raises(gp.GraphpropError, match=r"it should have \(5, 2\)$"):
        DOORS[door](network(), np.zeros((4, 2)))


def test_a_single_sample_has_the_same_message() -> None:
    net = network()
    with pytest.raises(gp.GraphpropError, match=r"it should have \(2,\); " + TOLD):
        net.backward(net.forward(X[0]), **LOSS, target=[0.0, 1.0, 2.0])


def test_outputs_of_several_numbers_are_told_with_them_and_many_are_cut_short() -> None:
    net = network()
    net.add_node("z", "softmax", {"y": [1.0, 2.0, 3.0]})
    with pytest.raises(gp.GraphpropError, match=r"nothing reads: side, z \(3 numbers\); set_outputs"):
        net.program.vjp(net.theta, X, np.zeros((5, 2)))
    program = gp.Program.from_edges(2, [0] * 30, range(2, 32), "tanh")
    with pytest.raises(gp.GraphpropError, match=r"nothing reads: 2, 3, 4, 5, 6, 7, 8, 9, ... 22 more; .*outputs= of"):
        program.value_and_grad(np.zeros(30), X, np.zeros((5, 31)), **LOSS)


def test_names_stay_on_one_line() -> None:
    net = network()
    net.add_node("a\n" * 100, "tanh", {"x1": 1.0})
    with pytest.raises(gp.GraphpropError) as raised:
        net.program.vjp(net.theta, X, np.zeros((5, 2)))
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 400
