"""A number that a run reports is finite, or the run is refused, at every door; -inf is a masked log-probability."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize(
    ("name", "z", "t", "what"),
    [
        ("half_squared", [1e160], [0.0], "value"),
        ("half_squared", [[1.0], [1e160]], [[0.0], [0.0]], r"value\[1\]"),
        ("cross_entropy", [1.0, 0.0], [0.0, 1.0], "value"),
        ("cross_entropy", [1.0, 5e-324], [0.0, 1.0], r"gradient\[1\]"),
        ("nll", [0.0, -INF], [0.0, 1.0], "value"),
    ],
)
def test_a_loss_as_a_function_refuses_what_is_infinite(name: str, z: Any, t: Any, what: str) -> None:
    with pytest.raises(gp.NumberError, match=f"loss {name}: the {what} is -?inf; it has to be finite"):
        gp.loss(name).evaluate(z, t)


def test_a_masked_log_probability_that_counts_for_nothing_is_a_loss_of_0() -> None:
    assert gp.loss("nll").evaluate([0.0, -INF], [1.0, 0.0])[0] == 0.0


@pytest.mark.parametrize("door", ["value_and_grad", "backward", "matrixform", *FORMS, "check"])
def test_a_sample_that_overflows_is_refused_even_if_it_counts_for_nothing(door: str) -> None:
    net, X = neuron(1.0), np.array([[1.0], [1e200]])
    goal = {"loss": "half_squared", "target": np.zeros((2, 1)), "sample_weight": [1.0, 0.0]}
    doors: dict[str, Callable[[], Any]] = {
        "value_and_grad": lambda: net.program.value_and_grad(net.theta, X, **goal),
        "backward": lambda: net.backward(net.forward(X), **goal),
        "matrixform": lambda: matrixform.backpropagate(net, net.forward(X), **goal),
        "check": lambda: gp.check(net, X, **goal),
    } | {form: lambda form=form: recursion.backpropagate(net, net.forward(X), form=form, **goal) for form in FORMS}
    with pytest.raises(gp.NumberError, match="is inf: it overflows in sample 1"):
        doors[door]()


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


def squared() -> gp.Network:
    """An output that may overflow, and none that reads it."""
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("y", "square", {"x": [1.0, 0.0]})
    net.add_node("z", "square", {"x": [0.0, 1.0]})
    return net


@pytest.mark.parametrize("count", [1, 3, 300])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("seed", [0.0, 1e-300, 1.0])
def test_an_output_that_overflows_is_refused_however_little_it_counts(count: int, kind: Any, seed: float) -> None:
    net, inputs = squared(), np.ones((count, 2))
    inputs[-1] = [1e200, 1.0] if kind is np.float64 else [1e30, 1.0]
    program, theta, ones = net.program, net.theta.astype(kind), np.ones((count, 1))
    bounded = gp.Loss(
        "bounded", lambda z, t: np.arctan(z - t).sum(-1), lambda z, t: 1 / (1 + (z - t) ** 2), check=False
    )
    doors: dict[str, Callable[[], Any]] = {
        "predict": lambda: program.predict(theta, inputs),
        "vjp": lambda: program.vjp(theta, inputs, seed * np.ones((count, 2))),
        "vjp by name": lambda: program.vjp(theta, inputs, {"y": seed * ones, "z": ones}),
        "own loss": lambda: program.value_and_grad(theta, inputs, {"y": ones, "z": ones}, loss=bounded),
        "logistic": lambda: program.value_and_grad(theta, inputs, {"y": ones}, loss="binary_cross_entropy"),
        "one sample": lambda: program.vjp(theta, inputs[-1], {"y": seed, "z": 1.0}),
    }
    if kind is np.float64:
        doors |= {
            "forward": lambda: net.forward(inputs),
            "recursion": lambda: recursion.forward(net, inputs),
            "matrixform": lambda: matrixform.forward(net, inputs),
            "check": lambda: gp.check(net, inputs, seed={"y": seed * ones}),
        }
    for door, run in doors.items():
        where = f", sample {count - 1}" if count > 1 and door != "one sample" else ""
        with pytest.raises(gp.NumberError, match=f"node 'y'{where}: (the output of square is inf|its numbers are out)"):
            run()


def test_a_seed_that_makes_the_value_overflow_is_refused_by_vjp_too() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 0.0}, bias=1e200)
    for run in (
        lambda: net.program.vjp(net.theta, [1.0], [1e200]),
        lambda: net.backward(net.forward([1.0]), seed={"y": 1e200}),
    ):
        with pytest.raises(gp.NumberError, match=r"the objective, seed \* o, is inf: it overflows"):
            run()


def steep(kind: str) -> gp.Network:
    """A derivative that is no number for the sample whose a is 3, and a node above and below it."""
    lost = lambda a: np.where(np.isclose(np.asarray(a), 3.0), np.nan, 1.0)  # noqa: E731
    own = {
        "elementwise": gp.Activation("own", lambda a: a, lambda a, o: float(lost(a)), check=False),
        "vector": gp.Activation("own", lambda a: a, lambda a, o, g: g * lost(a), kind="vector", check=False),
        "reducing": gp.Activation("own", lambda a: a.sum(), lambda a, o, g: g * lost(a), kind="reducing", check=False),
    }[kind]
    net = gp.Network()
    net.add_input("x")
    net.add_node("below", "identity", {"x": 1.0})
    net.add_node("y", own, {"below": [1.0]}, size=1)
    net.add_node("above", "identity", {"y": 1.0})
    return net


@pytest.mark.parametrize("kind", ["elementwise", "vector", "reducing"])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_a_derivative_that_is_no_number_is_told_with_the_node_the_activation_and_the_sample(
    kind: str, count: int
) -> None:
    net, inputs = steep(kind), np.ones((count, 1))
    inputs[-1] = 3.0
    goal = {"loss": "half_squared", "target": np.zeros((count, 1))}
    doors: dict[str, Callable[[], Any]] = {
        "backward": lambda: net.backward(net.forward(inputs), **goal),
        "matrixform": lambda: matrixform.backpropagate(net, net.forward(inputs), **goal),
        "value_and_grad": lambda: net.program.value_and_grad(net.theta, inputs, **goal),
        "single": lambda: net.program.value_and_grad(net.theta.astype(np.float32), inputs, **goal),
        "vjp": lambda: net.program.vjp(net.theta, inputs, np.ones((count, 1))),
    } | {form: lambda form=form: recursion.backpropagate(net, net.forward(inputs), form=form, **goal) for form in FORMS}
    where = f", sample {count - 1}" if count > 1 else ""
    told = rf"node 'y'{where}: through own, the derivative with respect to a\[y\] is nan; it has to be finite"
    for door, run in doors.items():
        with pytest.raises(gp.NumberError) as caught:
            run()
        assert re.fullmatch(told, str(caught.value)), (door, str(caught.value))


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
    with pytest.raises(gp.NumberError, match=r"node 'p'.*: its numbers are out of the range of float32"):
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
