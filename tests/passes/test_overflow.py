"""A number that a run reports is finite, or the run is refused, at every door; -inf is a masked log-probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.textbook import matrixform, recursion

FORMS = ("children", "parents", "paths")
INF = np.inf


def neuron(weight: float) -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": weight})
    return net


def head(activation: str, bias: Any = None) -> gp.Network:
    """Two numbers, as they come in, in one vector node."""
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("p", activation, {"x": np.eye(2)}, bias, size=2)
    return net


def differentiating(net: gp.Network, inputs: Any, **goal: Any) -> dict[str, Callable[[], Any]]:
    """Every door that differentiates an objective on one sample."""
    doors: dict[str, Callable[[], Any]] = {
        "backward": lambda: net.backward(net.forward(inputs), **goal),
        "matrixform": lambda: matrixform.backpropagate(net, matrixform.forward(net, inputs), **goal),
        "check": lambda: gp.check(net, inputs, **goal),
    }
    for form in FORMS:
        doors[form] = lambda form=form: recursion.backpropagate(net, recursion.forward(net, inputs), form=form, **goal)
    if "loss" in goal:
        batch, target = np.array([inputs]), np.array([goal["target"]])
        doors["value_and_grad"] = lambda: net.program.value_and_grad(net.theta, batch, target, loss=goal["loss"])
        doors["one sample"] = lambda: net.program.value_and_grad(net.theta, inputs, goal["target"], loss=goal["loss"])
        doors["weighted"] = lambda: net.program.value_and_grad(
            net.theta, batch, target, loss=goal["loss"], sample_weight=[2.0]
        )
        doors["many samples"] = lambda: net.program.value_and_grad(
            net.theta, np.repeat(batch, 300, axis=0), np.repeat(target, 300, axis=0), loss=goal["loss"]
        )
    return doors


OVERFLOWS = {
    "half_squared": (neuron(1e160), [1.0], {"loss": "half_squared", "target": [0.0]}),
    "half_squared of a target": (neuron(1.0), [1.0], {"loss": "half_squared", "target": [-1e160]}),
    "softmax_cross_entropy": (
        head("identity"), [1.5e308, -1.5e308], {"loss": "softmax_cross_entropy", "target": [0.0, 1.0]}
    ),
    "a seed": (neuron(1.0), [1e200], {"seed": {"y": 1e200}}),
}  # fmt: skip
DOORS = [(case, door) for case, (net, x, goal) in OVERFLOWS.items() for door in differentiating(net, x, **goal)]


@pytest.mark.parametrize(("case", "door"), DOORS)
def test_an_objective_that_overflows_is_refused_at_every_door(case: str, door: str) -> None:
    net, inputs, goal = OVERFLOWS[case]
    with pytest.raises(gp.NumberError, match=r"the objective, .* is inf: it overflows"):
        differentiating(net, inputs, **goal)[door]()


def test_the_sample_whose_loss_overflows_is_named() -> None:
    net, target = neuron(1.0), np.zeros((400, 1))
    target[317] = 1e200
    weights = np.ones(400)
    for door in (
        lambda: net.program.value_and_grad(net.theta, np.ones((400, 1)), target, loss="half_squared"),
        lambda: net.program.value_and_grad(
            net.theta, np.ones((400, 1)), target, loss="half_squared", sample_weight=weights
        ),
        lambda: net.backward(net.forward(np.ones((400, 1))), loss="half_squared", target=target),
    ):
        with pytest.raises(gp.NumberError, match="it overflows in sample 317"):
            door()


def test_the_sum_over_samples_may_overflow_where_none_of_them_does() -> None:
    net = neuron(1.0)
    with pytest.raises(gp.NumberError, match=r"the objective, o.y., is inf: it overflows$"):
        net.backward(net.forward([[1.5e308], [1.5e308]]), "y")


def test_a_loss_as_a_function_says_that_it_is_infinite() -> None:
    assert gp.loss("half_squared").evaluate([1e160], [0.0])[0] == INF


# ------------------------------------------------------------------ outputs


def running(net: gp.Network, inputs: Any) -> dict[str, Callable[[], Any]]:
    """Every door that runs a network on one sample."""
    seeds, ones = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])
    return {
        "forward": lambda: net.forward(inputs),
        "program.forward": lambda: net.program.forward(net.theta, [inputs]),
        "recursion": lambda: recursion.forward(net, inputs),
        "matrixform": lambda: matrixform.forward(net, inputs),
        "predict": lambda: net.program.predict(net.theta, np.array([inputs])),
        "predict of many": lambda: net.program.predict(net.theta, np.array([inputs] * 300)),
        "vjp": lambda: net.program.vjp(net.theta, [inputs], seeds),
        "value_and_grad": lambda: net.program.value_and_grad(net.theta, np.array([inputs]), ones, loss="nll"),
        "check": lambda: gp.check(net, inputs),
        "activation": lambda: gp.activation("log_softmax").value(inputs),
    }


SPREAD = [1.5e308, -1.5e308]


@pytest.mark.parametrize("door", running(head("log_softmax"), SPREAD))
def test_a_log_probability_that_overflows_is_refused_at_every_door(door: str) -> None:
    with pytest.raises(gp.NumberError, match=r"-inf"):
        running(head("log_softmax"), SPREAD)[door]()


@pytest.mark.parametrize("door", ["predict", "predict of many", "vjp", "value_and_grad"])
def test_so_it_is_in_single_precision(door: str) -> None:
    net = head("log_softmax")
    doors = {
        "predict": lambda: net.program.predict(theta, np.array([inputs])),
        "predict of many": lambda: net.program.predict(theta, np.array([inputs] * 300)),
        "vjp": lambda: net.program.vjp(theta, [inputs], np.array([[1.0, 0.0]])),
        "value_and_grad": lambda: net.program.value_and_grad(
            theta, np.array([inputs]), np.array([[1.0, 0.0]]), loss="nll"
        ),
    }
    theta, inputs = net.theta.astype(np.float32), [2e38, -2e38]
    with pytest.raises(gp.NumberError, match="node 'p': its numbers are out of the range of float32"):
        doors[door]()


def test_of_two_log_probabilities_only_the_masked_one_may_be_infinite() -> None:
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("p", "log_softmax", {"x": np.eye(3)}, [0.0, -INF, 0.0], size=3)
    for run in (net.forward, lambda x: recursion.forward(net, x), lambda x: matrixform.forward(net, x)):
        assert run([1.0, 2.0, 3.0]).o["p"][1] == -INF
        with pytest.raises(gp.NumberError, match=r"-inf"):
            run([1.5e308, 0.0, -1.5e308])


# ------------------------------------------------------------------ masks


def masked() -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "log_softmax", {"x": [1.0, 2.0, 3.0]}, bias=[0.0, -INF, 0.0])
    return net


def objectives(component: int) -> dict[str, Callable[[gp.Network], Any]]:
    """A component of p as the objective, at every door."""
    unit = np.eye(3)[component]
    doors: dict[str, Callable[[gp.Network], Any]] = {
        "backward": lambda net: net.backward(net.forward([0.5]), "p", component=component).theta,
        "seed": lambda net: net.backward(net.forward([0.5]), seed={"p": unit}).theta,
        "program.backward": lambda net: net.program.backward(net.forward([0.5]), "p", component=component).theta,
        "matrixform": lambda net: matrixform.backpropagate(net, net.forward([0.5]), "p", component=component).theta,
        "vjp": lambda net: net.program.vjp(net.theta, [0.5], unit)[0],
        "vjp of a batch": lambda net: net.program.vjp(net.theta, [[0.5]], {"p": [unit]})[0],
        "vjp in float32": lambda net: net.program.vjp(net.theta.astype(np.float32), [0.5], unit)[0],
        "check": lambda net: gp.check(net, [0.5], "p", component=component).ok,
    }
    for form in FORMS:
        doors[form] = lambda net, form=form: (
            recursion.backpropagate(net, net.forward([0.5]), "p", component=component, form=form).theta
        )
    return doors


@pytest.mark.parametrize("door", objectives(0))
def test_a_masked_log_probability_is_no_objective_and_another_is(door: str) -> None:
    with pytest.raises(gp.NumberError, match="reads a masked component, which is -inf"):
        objectives(1)[door](masked())
    found = objectives(0)[door](masked())
    assert found is True or np.isfinite(found).all()
