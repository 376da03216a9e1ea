"""Each head may have a loss of its own, with a weight: the objective is the sum of them, at every door."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import graphprop as gp

ROWS = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])
WEIGHTS = [1.0, 0.25, 2.0]
LOSSES: dict[Any, Any] = {
    "z": "softmax_cross_entropy",
    "y": ("half_squared", 0.75),
    "v": ("binary_cross_entropy", -2.0),
}
BY_NAME = {"z": [0, 2, 1], "y": [1.0, -2.0, 0.5], "v": [0.0, 1.0, 0.25]}
BY_POSITION = np.array([[1, 0, 0, 1.0, 0.0], [0, 0, 1, -2.0, 1.0], [0, 1, 0, 0.5, 0.25]])
DOORS: dict[str, Callable[..., Any]] = {
    "Network.backward": lambda net, rows, **k: net.backward(net.forward(rows), **k),
    "Program.backward": lambda net, rows, **k: gp.compile(net).backward(net.forward(rows), **k),
    "recursion over parents": lambda net, rows, **k: gp.recursion.backpropagate(
        net, net.forward(rows), form="parents", **k
    ),
    "recursion over paths": lambda net, rows, **k: gp.recursion.backpropagate(
        net, net.forward(rows), form="paths", **k
    ),
    "matrixform": lambda net, rows, **k: gp.matrixform.backpropagate(net, net.forward(rows), **k),
}


def network(declared: bool = False) -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", "tanh", {"x": [0.5, -0.25]}, bias=0.1)
    net.add_node("z", "identity", {"h": [1.0, -1.0, 0.5]}, bias=[0.1, 0.2, 0.3], size=3)
    net.add_node("y", "identity", {"h": 2.0})
    net.add_node("v", "identity", {"h": -0.5, "x": [1.0, 0.0]})
    if declared:
        net.set_outputs("z", ["y", "v"])
    return net


def sum_of_single_ones(net: gp.Network, trace: gp.Trace, **more: Any) -> tuple[float, Any]:
    """What the losses are one by one, each over its own node, added up with their weights."""
    value, theta = 0.0, np.zeros(len(net.theta))
    for name, told in LOSSES.items():
        kind, weight = told if isinstance(told, tuple) else (told, 1.0)
        g = gp.recursion.backpropagate(net, trace, loss=kind, target={name: BY_NAME[name]}, **more)
        value, theta = value + weight * g.value, theta + weight * g.theta
    return value, theta


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
@pytest.mark.parametrize("target", [BY_NAME, BY_POSITION], ids=["by name", "by position"])
@pytest.mark.parametrize("door", DOORS)
def test_the_objective_is_the_weighted_sum_of_its_losses(door: str, target: Any, weights: Any) -> None:
    net = network()
    value, theta = sum_of_single_ones(net, net.forward(ROWS), sample_weight=weights)
    g = DOORS[door](net, ROWS, loss=LOSSES, target=target, sample_weight=weights)
    assert g.value == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(g.theta, theta, rtol=1e-13, atol=1e-15)
    shuffled = dict(sorted(LOSSES.items(), key=lambda item: str(item[0])))
    assert DOORS[door](net, ROWS, loss=shuffled, target=target, sample_weight=weights).value == pytest.approx(value)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
@pytest.mark.parametrize("target", [BY_NAME, BY_POSITION], ids=["by name", "by position"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_value_and_grad_takes_it_too(dtype: Any, target: Any, weights: Any) -> None:
    net = network()
    value, theta = sum_of_single_ones(net, net.forward(ROWS), sample_weight=weights)
    found, gradient = net.program.value_and_grad(
        net.theta.astype(dtype), ROWS, target, loss=LOSSES, sample_weight=weights
    )
    precision = 1e-13 if dtype is np.float64 else 1e-5
    assert found == pytest.approx(value, rel=precision)
    np.testing.assert_allclose(gradient, theta, rtol=precision, atol=precision)


def test_in_exact_numbers_it_is_the_same_sum() -> None:
    net = network()
    trace = gp.recursion.forward(net, ROWS, numbers=mpmath.mp)
    value, theta = sum_of_single_ones(net, trace)
    g = gp.recursion.backpropagate(net, trace, loss=LOSSES, target=BY_NAME)
    assert abs(g.value - value) < 1e-14
    assert max(abs(g.theta - theta)) < 1e-14
    in_floats = net.backward(net.forward(ROWS), loss=LOSSES, target=BY_NAME)
    assert in_floats.value == pytest.approx(float(g.value), rel=1e-14)


def test_every_way_of_a_check_agrees_with_and_without_a_target() -> None:
    net = network()
    for given in ({"target": BY_NAME}, {}):
        report = gp.check(net, ROWS, loss=LOSSES, **given)
        assert report.ok
        assert not [row for row in report.rows if row.verdict in ("fails", "undecided")]
        assert "softmax_cross_entropy of z + 0.75 half_squared of y + -2 binary_cross_entropy of v" in str(report)


def test_a_forgotten_weight_of_a_head_is_wrong_for_compare() -> None:
    net = network()
    trace = net.forward(ROWS)
    right = net.backward(trace, loss=LOSSES, target=BY_NAME)
    plain = {name: told[0] if isinstance(told, tuple) else told for name, told in LOSSES.items()}
    wrong = net.backward(trace, loss=plain, target=BY_NAME)
    assert gp.compare(right, {"theta": right.theta}).ok
    assert not gp.compare(right, {"theta": wrong.theta}).ok


def test_the_weight_stands_in_what_is_explained_and_the_losses_in_what_is_drawn() -> None:
    net = network()
    trace = net.forward(ROWS[0])
    g = net.backward(trace, loss=LOSSES, target={name: rows[0] for name, rows in BY_NAME.items()})
    assert "dJ/do[y] = 0.75 * (o[y] - t[y])" in gp.explain(net, trace, g, ("gamma", "y"), depth=2).text(200)
    assert "+ 0.75 * 0.5 * (o[y] - t[y])^2 + (-2) * " in gp.explain(net, trace, g, ("value",)).text(400)
    svg = gp.draw(net, trace, g).svg
    assert "softmax-cross-entropy + half-squared + binary-cross-entropy" in svg
    assert "0.75 half_squared of y" in svg


def test_a_head_of_several_nodes_is_named_by_the_tuple_of_them_in_any_order() -> None:
    net = network(declared=True)
    target = {"z": [0, 2, 1], "y": [1.0, -2.0, 0.5], "v": [0.0, 1.0, 0.25]}
    trace = net.forward(ROWS)
    expected = net.backward(trace, loss="half_squared", target={"y": target["y"], "v": target["v"]}).value
    expected += net.backward(trace, loss="softmax_cross_entropy", target={"z": target["z"]}).value
    for key in (("y", "v"), ("v", "y")):
        for given in (target, BY_POSITION):
            g = net.backward(trace, loss={"z": "softmax_cross_entropy", key: "half_squared"}, target=given)
            assert g.value == pytest.approx(expected, rel=1e-14)


def test_nodes_that_are_no_output_may_have_a_loss_by_name() -> None:
    for net in (network(), network(declared=True)):
        trace = net.forward(ROWS)
        g = net.backward(
            trace,
            loss={"z": "softmax_cross_entropy", "h": "half_squared"},
            target={"z": [0, 2, 1], "h": [0.0, 0.5, 1.0]},
        )
        inner = net.backward(trace, loss="half_squared", target={"h": [0.0, 0.5, 1.0]}).value
        assert g.value == pytest.approx(
            inner + net.backward(trace, loss="softmax_cross_entropy", target={"z": [0, 2, 1]}).value
        )


def test_names_that_are_tuples_or_numbers_are_found() -> None:
    program = gp.Program.from_edges(1, [0, 0], [1, 2], "identity")
    theta, x = np.array([2.0, 3.0]), np.array([[1.0], [2.0]])
    value, gradient = program.value_and_grad(
        theta, x, {0: [1.0, 2.0], 1: [0.0, 0.0]}, loss={0: "half_squared", 1: ("half_squared", 2.0)}
    )
    assert value == pytest.approx(2.0 * (0.5 * 4 + 0.5 * 16) / 2)
    np.testing.assert_allclose(gradient, [2.0 * (2 * 1 + 4 * 2) / 2, 0.0])
    net = network()
    both = gp.union({"a": net, "b": net})
    both.set_outputs(("a", "y"), [("b", "y"), ("b", "v")])
    losses = {("a", "y"): "half_squared", (("b", "y"), ("b", "v")): "half_squared"}
    zeros = {name: np.zeros(3) for name in (("a", "y"), ("b", "y"), ("b", "v"))}
    g = both.backward(both.forward(np.hstack([ROWS, ROWS])), loss=losses, target=zeros)
    o = net.forward(ROWS).o
    assert g.value == pytest.approx(np.mean(o["y"] ** 2 + o["v"] ** 2 / 2))


def test_a_loss_of_ones_own_may_be_one_of_them() -> None:
    absolute = gp.Loss("absolute", lambda z, t: abs(z - t).sum(-1), lambda z, t: np.sign(z - t))
    net = network()
    losses: dict[str, Any] = {"y": (absolute, 0.5), "v": "half_squared"}
    g = net.backward(net.forward(ROWS), loss=losses, target={"y": [9.0] * 3, "v": [0.0] * 3})
    o = net.forward(ROWS).o
    assert g.value == pytest.approx(np.mean(0.5 * abs(o["y"] - 9) + o["v"] ** 2 / 2))
    assert gp.check(net, ROWS, loss=losses).ok


def test_what_names_no_head_is_refused_with_what_is_allowed() -> None:
    net, declared = network(), network(declared=True)
    refused: list[tuple[gp.Network, Any, Any, str]] = [
        (net, {}, BY_NAME, "a mapping that names no head"),
        (net, {"q": "nll"}, BY_NAME, "unknown node 'q'"),
        (net, {"z": "softmax_cross_entropy"}, BY_NAME, "target= names 'y', for which there is no loss; loss= is for z"),
        (net, {"z": "softmax_cross_entropy"}, BY_POSITION, "is for all outputs in order, (z, y, v): give each of them"),
        (net, {**LOSSES, "h": "half_squared"}, BY_NAME, "head h has no target for 'h'"),
        (net, {**LOSSES, "h": "half_squared"}, BY_POSITION, "is for all outputs in order"),
        (net, {**LOSSES, ("y", "v"): "half_squared"}, BY_NAME, "names node 'y' twice"),
        (net, {("z", "z"): "nll"}, BY_NAME, "tuples of different nodes, not from ('z', 'z')"),
        (net, {(): "nll"}, BY_NAME, "tuples of different nodes, not from ()"),
        (net, {**LOSSES, "y": "half_sqared"}, BY_NAME, "head y: unknown loss 'half_sqared'; did you mean"),
        (net, {**LOSSES, "y": ("half_squared", 1, 2)}, BY_NAME, "head y: a loss is a name or a gp.Loss"),
        (net, {**LOSSES, "y": ("half_squared", np.nan)}, BY_NAME, "head y: the weight of its loss is nan"),
        (net, {**LOSSES, "y": ("half_squared", [1.0])}, BY_NAME, "head y: the weight of its loss is one number"),
        (net, ("half_squared", 0.5), BY_NAME, "a loss is a name or a gp.Loss"),
        (net, {**LOSSES, "y": "softmax_cross_entropy"}, BY_NAME, "head y is one number; several classes are needed"),
        (declared, LOSSES, BY_NAME, "(y, v) are one head, which has one loss: loss={('y', 'v'): ...}"),
        (declared, {"z": "softmax_cross_entropy", ("y", "h"): "half_squared"}, BY_NAME, "(y, v) are one head"),
    ]  # fmt: skip
    for given, losses, target, words in refused:
        for door in ("Network.backward", "recursion over paths", "matrixform"):
            with pytest.raises(gp.GraphpropError, match=re.escape(words)):
                DOORS[door](given, ROWS, loss=losses, target=target)
        with pytest.raises(gp.GraphpropError, match=re.escape(words)):
            given.program.value_and_grad(given.theta, ROWS, target, loss=losses)
