"""An objective is read once: one that was read stands for its arguments wherever they are."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import graphprop as gp

ROWS = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])
OBJECTIVES: dict[str, dict[str, Any]] = {
    "a node": {"node": "p", "component": 1},
    "a seed": {"seed": {"p": [[1.0, 2.0, 0.0], [0.5, -1.0, 3.0], [0.0, 0.0, 1.0]], "h": [1.0, 0.0, 2.0]}},
    "labels": {"loss": "softmax_cross_entropy", "target": {"z": [0, 2, 1]}},
    "numbers, weighted": {"loss": "half_squared", "target": {"p": np.eye(3)}, "sample_weight": [1.0, 0.0, 0.5]},
}
DOORS: dict[str, Callable[..., gp.Gradients]] = {
    "Network.backward": lambda net, trace, *a, **k: net.backward(trace, *a, **k),
    "Program.backward": lambda net, trace, *a, **k: gp.compile(net).backward(trace, *a, **k),
    "recursion": gp.recursion.backpropagate,
    "recursion over parents": lambda *a, **k: gp.recursion.backpropagate(*a, form="parents", **k),
    "matrixform": gp.matrixform.backpropagate,
}


def network() -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", "tanh", {"x": [0.5, -0.25]}, bias=0.1)
    net.add_node("z", "identity", {"h": [1.0, -1.0, 0.5]}, bias=[0.1, 0.2, 0.3], size=3)
    net.add_node("p", "softmax", {"z": np.eye(3)}, size=3)
    return net


def numbers(g: gp.Gradients) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(x) for x in (g.value, g.theta, g.a_flat, g.o_flat, g.weight_uses)]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_objective_that_was_read_gives_the_same_numbers_to_the_last_bit(door: str, objective: str) -> None:
    net = network()
    trace = net.forward(ROWS)
    asked = DOORS[door](net, trace, **OBJECTIVES[objective])
    for again in (asked.objective, pickle.loads(pickle.dumps(asked)).objective):
        for one, other in zip(numbers(asked), numbers(DOORS[door](net, trace, again)), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_check_takes_it(objective: str) -> None:
    net = network()
    read = net.backward(net.forward(ROWS), **OBJECTIVES[objective]).objective
    report = gp.check(net, ROWS, read)
    assert report.ok
    assert str(read) in str(report)


@pytest.mark.parametrize("objective", ["labels", "numbers, weighted"])
def test_value_and_grad_takes_that_of_a_loss_in_place_of_the_target(objective: str) -> None:
    net = network()
    program, given = gp.compile(net), OBJECTIVES[objective]
    read = net.backward(net.forward(ROWS), **given).objective
    weights = {"sample_weight": given.get("sample_weight")}
    expected = program.value_and_grad(net.theta, ROWS, given["target"], loss=given["loss"], **weights)
    value, gradient = program.value_and_grad(net.theta, ROWS, read)
    assert value == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


def test_vjp_takes_that_of_seeds() -> None:
    net, seeds = network(), OBJECTIVES["a seed"]["seed"]
    read = net.backward(net.forward(ROWS), seed=seeds).objective
    for one, other in zip(net.program.vjp(net.theta, ROWS, read), net.program.vjp(net.theta, ROWS, seeds), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_objective_goes_from_exact_numbers_to_floats_and_back() -> None:
    net = network()
    trace, exact = net.forward(ROWS), gp.recursion.forward(net, ROWS, numbers=mpmath.mp)
    goal: dict[str, Any] = {"loss": "half_squared", "target": {"p": np.eye(3)}}
    in_floats, in_mpmath = net.backward(trace, **goal), gp.recursion.backpropagate(net, exact, **goal)
    assert gp.recursion.backpropagate(net, exact, in_floats.objective).value == in_mpmath.value
    assert net.backward(trace, in_mpmath.objective).value == in_floats.value


def test_an_objective_of_symbols_is_none_of_floats() -> None:
    net, t = network(), sympy.Symbol("t", real=True)
    exact = gp.recursion.forward(net, ROWS[0], numbers=sympy)
    g = gp.recursion.backpropagate(net, exact, loss="half_squared", target={"p": [t, 0, 1]})
    with pytest.raises(gp.GraphpropError, match="symbols"):
        net.backward(net.forward(ROWS[0]), g.objective)


def test_what_does_not_fit_is_refused() -> None:
    net = network()
    trace = net.forward(ROWS)
    by_loss = net.backward(trace, **OBJECTIVES["labels"]).objective
    by_seed = net.backward(trace, **OBJECTIVES["a seed"]).objective
    program = gp.compile(net)
    other = network()
    other.add_node("more", "tanh", {"x": [1.0, 1.0]})
    loss: dict[str, Any] = {"loss": "half_squared"}
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: net.backward(net.forward(ROWS[:2]), by_loss), "are of 3 samples and 2 samples; they must agree"),
        (lambda: net.backward(net.forward(ROWS[0]), by_loss), "are of 3 samples and 1 sample; they must agree"),
        (lambda: other.backward(other.forward(ROWS), by_loss), "is of another structure"),
        (lambda: net.backward(trace, by_loss, component=0), "component= belongs to a node"),
        (lambda: net.backward(trace, by_loss, **loss, target=ROWS), "not a node and loss="),
        (lambda: program.value_and_grad(net.theta, ROWS, by_loss, **loss), "it is given alone"),
        (lambda: program.value_and_grad(net.theta, ROWS, by_loss, sample_weight=[1.0, 1.0, 1.0]), "it is given alone"),
        (lambda: program.value_and_grad(net.theta, ROWS[:1], by_loss), "they must agree"),
        (lambda: program.value_and_grad(net.theta, ROWS, ROWS), "loss= is missing"),
        (lambda: program.value_and_grad(net.theta, ROWS, by_seed), "seed * o, has no loss"),
        (lambda: program.vjp(net.theta, ROWS, by_loss), "has no seeds"),
    ]
    for call, words in refused:
        with pytest.raises(gp.GraphpropError, match=re.escape(words)):
            call()
