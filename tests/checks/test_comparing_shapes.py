"""`compare`: shapes, names and bad input, and what was not compared."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import sympy

import graphprop as gp
from tests.checks.comparing_cases import (
    Array,
    ByHand,
    plain,
    skipping,
)

# ------------------------------------------------------------------ shapes, names, bad input


def test_a_shape_that_does_not_fit_is_told_and_the_rest_is_compared() -> None:
    found = gp.compare(plain.g, {"W1": np.zeros((2, 3)), "b1": plain.gradients()["b1"], "W2": np.zeros(9)})
    assert found["W1"].reason == "its shape is 2 x 3, the gradient's is 3 x 3"
    assert found["W2"].reason == "its shape is 9, the gradient's is 3 x 3"
    assert found["b1"].status == "right"
    with pytest.raises(gp.WrongGradientError, match="not right in W1, W2"):
        found.raise_if_failed()


def test_a_layer_that_there_is_not_is_told_and_the_rest_is_compared() -> None:
    found = gp.compare(plain.g, {"W1": plain.gradients()["W1"], "W3": np.zeros((3, 3)), "b3": [1.0]})
    assert found["W1"].status == "right"
    assert not found
    for name in ("W3", "b3"):
        assert (found[name].status, found[name].reason) == ("wrong", "the network has 2 layers")
    assert str(found).splitlines()[1:] == [
        "both of them: the network has 2 layers", "W1: right (9 entries)", "W3: wrong", "b3: wrong",
    ]  # fmt: skip
    assert found.to_dict()["verdicts"][1]["reason"] == "the network has 2 layers"
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 2.0})
    found = gp.compare(net.backward(net.forward([3.0]), "y"), {"b1": 1.0, "W1": 3.0})
    assert str(found["b1"]) == "b1: wrong; layer 1 has no bias"
    assert found["W1"].status == "right"


@pytest.mark.parametrize(
    ("case", "mine", "message"),
    [
        (plain, {}, "nothing to compare"),
        (plain, 3.0, r"has shape \(\); a vector has one entry per parameter, \(24,\)"),
        (plain, np.zeros((3, 3)), "matrices are given by name"),
        (plain, "W1", "numbers are needed"),
        (plain, {"w1": 1.0}, "unknown part of the gradient 'w1'"),
        (plain, {"gradient": 1.0}, "known: W1, b1, W2, b2, theta, value, h, y"),
        (plain, {"w2": 1.0}, "did you mean 'W2'"),
        (skipping, {"gradient": 1.0}, "known: theta, value, h, y"),
        (plain, {"W1": 1.0, "W2x": 1.0}, "unknown part of the gradient 'W2x'"),
        (plain, {"W0": 1.0}, "unknown part of the gradient 'W0'"),
        (plain, {"V": 1.0}, "unknown part of the gradient 'V'"),
        (plain, {"x": 1.0}, "'x' is a node, but a derivative by an input is given as"),
        (plain, {("x", "y"): 1.0}, "unknown part of the gradient"),
        (plain, {"weight": {("x", "y"): 1.0}}, "unknown edge"),
        (plain, {"weight": {"W1": 1.0}}, "an edge is a pair of node names"),
        (plain, {"bias": {"x": 1.0}}, "node 'x' has no bias"),
        (plain, {"parameter": {"f": 1.0}}, "unknown parameter 'f'"),
        (plain, {"gamma": {"h": 1.0}}, r"the sensitivity of node 'h' is delta\['h'\]"),
        (plain, {"delta": {"x": 1.0}}, "is an input, which has no pre-activation"),
        (plain, {"input": {"h": 1.0}}, "'h' is no input"),
        (plain, {"momentum": {"h": 1.0}}, "'momentum' holds a mapping"),
        (plain, {"W1": [[1, 2], [3]]}, "W1: numbers of one regular shape are needed"),
        (plain, {"W1": "no"}, "W1: numbers are needed"),
        (skipping, {"W1": np.zeros((3, 3))}, "edge 'x' -> 'y' skips one, .* name the edges"),
    ],
)
def test_what_cannot_be_compared_is_refused(case: ByHand, mine: Any, message: str) -> None:
    with pytest.raises(gp.GraphpropError, match=message):
        gp.compare(case.g, mine)


@pytest.mark.parametrize("mine", [{"delta": {}}, {"parameter": {}}, {"weight": {}, "bias": {}}], ids=str)
def test_what_holds_no_number_is_refused_as_nothing_is(mine: Any) -> None:
    g = behind_identities(1.0)
    for empty in (mine, dict.fromkeys(mine, g.delta)):
        with pytest.raises(gp.GraphpropError, match="nothing to compare"):
            gp.compare(g, empty)
    assert gp.compare(g, mine | {"gamma": g.gamma}), "what is empty besides changes nothing"


def test_a_vector_of_no_parameters_is_not_right() -> None:
    net = gp.Network()
    net.add_input("x")
    g = net.backward(net.forward([1.0]), "x")
    with pytest.raises(gp.GraphpropError, match="nothing to compare"):
        gp.compare(g, g.theta)
    assert gp.compare(g, g), "the value and the derivative by x"


def test_what_is_right_has_to_be_gradients_of_the_same_network_and_in_numbers() -> None:
    with pytest.raises(gp.GraphpropError, match="the first of the two is what is taken to be right"):
        gp.compare({"W1": 1.0}, plain.g)  # type: ignore[arg-type]
    with pytest.raises(gp.GraphpropError, match="different structures"):
        gp.compare(plain.g, skipping.g)
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "square", {"x": 1.0})
    trace = gp.recursion.forward(net, [2.0], theta=[sympy.Symbol("w")], numbers=sympy)
    symbols = gp.recursion.backpropagate(net, trace, "y")
    with pytest.raises(gp.GraphpropError, match="symbols are not compared"):
        gp.compare(symbols, [1.0])
    with pytest.raises(gp.GraphpropError, match="symbols are not compared"):
        gp.compare(net.backward(net.forward([2.0]), "y"), symbols)
    with pytest.raises(gp.GraphpropError, match="do not know the trace"):
        gp.compare(dataclasses.replace(plain.g, trace=None), plain.gradients())


def test_a_name_of_two_things_is_refused_until_it_is_said_which() -> None:
    net = gp.Network()
    net.add_input("x")
    f = net.parameter("y", 2.0)
    net.add_node("y", "identity", {"x": f}, bias=0.5)
    g = net.backward(net.forward([3.0]), "y")
    with pytest.raises(gp.GraphpropError, match="'y' is the name of two things"):
        gp.compare(g, {"y": 1.0})
    assert gp.compare(g, {"bias": {"y": 1.0}, "parameter": {"y": 3.0}})


def test_entries_without_an_edge_are_not_compared() -> None:
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h1", "identity", {"x1": 1.0})
    net.add_node("h2", "identity", {"x1": 1.0, "x2": 1.0})
    g = net.backward(net.forward([2.0, 3.0]), seed={"h1": 1.0, "h2": 1.0})
    found = gp.compare(g, {"W1": [[2.0, 99.0], [2.0, 3.0]]})
    assert found, str(found)
    assert found["W1"].entries == 3


# ------------------------------------------------------------------ what was not compared


def some_of_the_gradient() -> gp.Gradients:
    trace = plain.net.forward(plain.X)
    return gp.recursion.backpropagate(plain.net, trace, loss="half_squared", target=plain.T, of=["y"])


@pytest.mark.parametrize("mine", [np.ones((3, 3)), np.full((3, 3), np.nan), plain.gradients()["W1"]], ids=str)
def test_what_was_not_asked_for_is_undecided_whatever_is_given(mine: Array) -> None:
    found = gp.compare(some_of_the_gradient(), {"W1": mine})
    assert not found
    assert (found["W1"].status, found["W1"].entries) == ("undecided", 0)
    assert found["W1"].reason.startswith("9 of 9 entries were not asked for")
    found.raise_if_failed()


@pytest.mark.parametrize("door", ["theta", "W1", "edge", "delta", "gradients", "the same gradients"])
def test_a_gradient_of_some_nodes_is_never_all_right(door: str) -> None:
    some, g = some_of_the_gradient(), plain.g
    mine = {
        "theta": g.theta, "W1": {"W1": g.weight["x", "h"]}, "edge": {("x", "h"): g.weight["x", "h"]},
        "delta": {"delta": {"h": g.delta["h"]}}, "gradients": g, "the same gradients": some,
    }[door]  # fmt: skip
    found = gp.compare(some, mine)
    assert not found
    assert "right" not in str(found).splitlines()[0].replace("not right", "")
    assert {v.status for v in found.verdicts} <= {"right", "undecided"}


def test_gradients_that_lack_something_are_undecided_there_and_wrong_where_they_are_wrong() -> None:
    found = gp.compare(plain.g, some_of_the_gradient())
    assert {v.name: (v.status, v.entries) for v in found.verdicts} == {
        "value": ("right", 1), "W1": ("undecided", 0), "b1": ("undecided", 0), "W2": ("right", 9), "b2": ("right", 3),
        "delta": ("undecided", 9), "o": ("undecided", 18),
    }  # fmt: skip
    assert found["W1"].reason == "9 of 9 entries were not given"
    wrong = dataclasses.replace(some_of_the_gradient(), weight_uses=-some_of_the_gradient().weight_uses)
    assert gp.compare(plain.g, wrong)["W2"].reason == "the sign is flipped"


def test_parts_that_were_left_out_are_named() -> None:
    mine = plain.gradients()
    found = gp.compare(plain.g, {"W1": mine["W1"]})
    assert found, "what was given is right"
    assert found.not_given == ("b1", "W2", "b2")
    assert str(found).splitlines()[0] == (
        "gradient of half_squared of y: right in what was given; not given: b1, W2, b2"
    )
    assert found.to_dict()["not_given"] == ["b1", "W2", "b2"]
    assert "not given: b1, W2, b2" in found._repr_html_()
    assert "not given: b1, W2, b2" in repr(found)
    wrong = gp.compare(plain.g, {"W1": -mine["W1"], "b1": mine["b1"]})
    assert str(wrong).splitlines()[0].endswith("not right in W1; not given: W2, b2")
    for whole in (mine, {"theta": plain.g.theta}, plain.g.theta, plain.g):
        assert gp.compare(plain.g, whole).not_given == ()
        assert "all right" in str(gp.compare(plain.g, whole))
    assert gp.compare(plain.g, {"value": plain.g.value}).not_given == ("W1", "b1", "W2", "b2")
    assert gp.compare(skipping.g, {("x", "h"): skipping.g.weight["x", "h"], "y": skipping.g.bias["y"]}).not_given == (
        "w(h, y)", "w(x, y)", "b[h]",
    )  # fmt: skip


def test_a_tied_weight_is_given_by_its_sum_or_by_each_of_its_uses() -> None:
    net = gp.Network()
    net.add_input("x")
    f = net.parameter("f", 0.8)
    net.add_node("p", "tanh", {"x": f})
    net.add_node("y", "identity", {"p": f, "x": 0.3})
    g = net.backward(net.forward([0.4]), "y")
    uses = {edge: g.weight[edge] for edge in net.edges}
    assert gp.compare(g, {"f": g.parameter["f"]}).not_given == ("w(x, y)",)
    assert gp.compare(g, {("x", "p"): uses["x", "p"], ("x", "y"): uses["x", "y"]}).not_given == ("f",)
    assert gp.compare(g, uses).not_given == ()


@pytest.mark.parametrize("exponent", range(-308, -290, 2))
def test_a_tiny_entry_that_is_off_by_a_thousandth_is_never_right(exponent: int) -> None:
    for kind, size in (("sigmoid", 0.3), ("tanh", 2.0), ("softplus", -1.0)):
        net = gp.Network()
        net.add_input("x")
        net.add_node("h", kind, {"x": size})
        net.add_node("y", "identity", {"h": 10.0**exponent})
        g = net.backward(net.forward([1.0]), "y")
        assert gp.compare(g, {("x", "h"): float(g.weight["x", "h"])})
        off = float(g.weight["x", "h"]) * 1.001
        for mine in ({("x", "h"): off}, {"gamma": {"h": 1.001 * g.gamma["h"]}}, g.theta * [1.001, 1]):
            assert gp.compare(g, mine).verdicts[0].status != "right"


def behind_identities(seed: float, x: float = 1.0) -> gp.Gradients:
    """x -> h -> y with weights 1: all gradients are the seed, or the seed times x."""
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "identity", {"x": 1.0})
    net.add_node("y", "identity", {"h": 1.0})
    return net.backward(net.forward([x]), seed={"y": seed})


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("seed", [5e-324, 1e-320, 1e-310, 1e-305, 1e-44, 1e-37])
def test_what_underflows_is_right_only_where_it_is_equal(seed: float, kind: type) -> None:
    g = behind_identities(seed)
    for factor in (0.0, -1.0, 2.0, 1.001, 1 + 1e-9, 1.0):
        mine = np.array(factor * seed, kind)
        apart = abs(float(mine) - seed) / seed
        for name in ({("x", "h"): mine}, {"gamma": {"h": mine}}):
            verdict = gp.compare(g, name).verdicts[0]
            if float(mine) == seed:
                assert verdict.status == "right"
            elif apart > 4 * np.finfo(kind).eps:
                assert verdict.status != "right", (factor, str(verdict))
            if verdict.status == "undecided":
                assert "underflow" in verdict.reason
                assert "o (1 - o)" not in verdict.reason


@pytest.mark.parametrize("seed", [1e-320, 1e-315, 1e-310, 1e-305])
def test_a_small_difference_of_tiny_numbers_is_undecided_at_all_sizes(seed: float) -> None:
    assert gp.compare(behind_identities(seed), {("x", "h"): 1.001 * seed}).verdicts[0].status == "undecided"
    if seed > 1e-312:  # 1e-9 is less than the distance of two numbers below
        found = gp.compare(behind_identities(seed), {("x", "h"): (1 + 1e-9) * seed})
        assert found.verdicts[0].status == "undecided"


def test_a_tiny_number_in_the_place_of_0_is_not_right() -> None:
    found = gp.compare(behind_identities(0.0), {("x", "h"): 1e-320}).verdicts[0]
    assert (found.status, "underflow" in found.reason) == ("undecided", True)
    assert gp.compare(behind_identities(0.0), {("x", "h"): 0.0})


def test_the_last_bit_of_a_product_that_underflows_is_not_called_wrong() -> None:
    g = behind_identities(1e-160, x=1e-160)
    assert gp.compare(g, {("x", "h"): g.weight["x", "h"]})
    assert gp.compare(g, {("x", "h"): g.weight["x", "h"] + 5e-324}).verdicts[0].status == "undecided"
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 1.0})
    g = net.backward(net.forward([1e-160]), loss="half_squared", target=[0.0])
    assert gp.compare(g, {"value": g.value + 5e-324}).verdicts[0].status == "undecided"


def test_where_the_bound_overflows_nothing_is_told() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "square", {"x": 1e150})
    net.add_node("y", "identity", {"h": 1e-300})
    g = net.backward(net.forward([1.0]), loss="half_squared", target=[0.5])
    assert gp.compare(g, g.theta)
    found = gp.compare(g, 1.5 * g.theta)
    assert not found
