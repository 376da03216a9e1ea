"""The forms of the recursion: their calls and limits, other numbers, and every objective with its errors."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import graphprop as gp
from tests import golden
from tests.textbook.recursion_cases import (
    FORMS,
    ladder,
    two_heads,
)


def test_calls_without_memo_double_with_every_diamond() -> None:
    for diamonds in (1, 2, 5, 12):
        net = ladder(diamonds)
        trace = net.forward({"j0": 0.3})
        calls = {
            form: gp.recursion.backpropagate(net, trace, f"j{diamonds}", form=form, of=["j0"]).calls for form in FORMS
        }
        assert calls == {"parents": 3 * diamonds + 1, "children": 3 * diamonds + 1, "paths": 4 * 2**diamonds - 3}


def test_too_many_calls_are_counted_and_refused() -> None:
    net = ladder(60)
    trace = net.forward({"j0": 0.3})
    with pytest.raises(
        gp.LimitError, match=r"form 'paths' would take about 2\^61 calls, more than the limit of 1000000"
    ):
        gp.recursion.backpropagate(net, trace, "j60", form="paths")
    with pytest.raises(gp.LimitError, match="form 'parents' would take 32761 calls, more than the limit of 30000"):
        gp.recursion.backpropagate(net, trace, "j60", form="parents", limit=30_000)
    a, b = (gp.recursion.backpropagate(net, trace, "j60", form=form) for form in ("parents", "children"))
    assert a.allclose(b, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_only_what_was_asked_for_is_given(form: str) -> None:
    net = ladder(2)
    trace = net.forward({"j0": 0.3})
    full = gp.recursion.backpropagate(net, trace, "j2")
    some = gp.recursion.backpropagate(net, trace, "j2", form=form, of=["l1", "j2"])
    assert some.gamma["l1"] == pytest.approx(full.gamma["l1"], rel=1e-15)
    assert math.isnan(some.gamma["r1"])
    assert math.isnan(some.weight["j1", "r1"])
    assert some.weight["j1", "l1"] == pytest.approx(full.weight["j1", "l1"], rel=1e-15)
    assert "-" in repr(some.gamma)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["random10", "softmax_group_interior", "tied_depth", "two_layer_2_3_4"])
def test_fifty_digits(name: str, form: str) -> None:
    """The digits that the golden numbers have, and the same number in every form to fifty."""
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][0]
    trace = net.forward(golden.inputs(graph))
    with mpmath.workdps(60):
        g = gp.recursion.backpropagate(net, trace, form=form, numbers=mpmath.mp, **golden.objective(expected))
        for edge, number in zip(graph["edges"], expected["dJ_dw"], strict=True):
            block = np.asarray(g.weight[edge["src"], edge["dst"]])
            n, m = np.size(trace.a[edge["dst"]]), np.size(trace.o[edge["src"]])
            found = block.reshape(n, m)[edge["dst_comp"], edge["src_comp"]]
            assert abs(found - mpmath.mpf(number)) <= mpmath.mpf("1e-29") * max(abs(found), mpmath.mpf("1e-20"))
        other = gp.recursion.backpropagate(net, trace, numbers=mpmath.mp, **golden.objective(expected))
        for x, y in zip(g.theta, other.theta, strict=True):
            assert abs(x - y) <= mpmath.mpf("1e-50") * max(abs(y), mpmath.mpf("1e-10"))


@pytest.mark.parametrize("form", FORMS)
def test_symbols_give_the_gradient_as_an_expression(form: str) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "sigmoid", {"x": 1.0}, bias=0.0)
    net.add_node("y", "tanh", {"h": 1.0, "x": 1.0})
    w, b, v, s, x = symbols = sympy.symbols("w b v s x")
    trace = gp.recursion.forward(net, {"x": x}, theta=symbols[:4], numbers=sympy)
    g = gp.recursion.backpropagate(net, trace, "y", form=form)
    formula = sympy.tanh(v / (1 + sympy.exp(-(w * x + b))) + s * x)
    for symbol, found in zip(symbols[:4], g.theta, strict=True):
        assert sympy.simplify(found - sympy.diff(formula, symbol)) == 0
    assert sympy.simplify(g.input["x"] - sympy.diff(formula, x)) == 0
    assert sympy.simplify(g.value - formula) == 0


def test_symbols_go_through_vector_nodes_and_losses() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("z", "log_softmax", {"x": [1.0, 2.0]})
    net.add_node("m", "max", {"z": [[1.0, 0.0], [0.0, 1.0]]})
    net.set_outputs("z")
    a, b, x = sympy.symbols("a b x", real=True)
    theta = [a, b, 1, 0, 0, 1]
    trace = gp.recursion.forward(net, [x], theta=theta, numbers=sympy)
    g = gp.recursion.backpropagate(net, trace, loss="nll", target=[0.25, 0.75])
    value = sympy.log(sympy.exp(a * x) + sympy.exp(b * x)) - a * x / 4 - 3 * b * x / 4
    assert sympy.simplify(g.value - value) == 0
    assert sympy.simplify(g.weight["x", "z"][0] - sympy.diff(value, a)) == 0


def test_other_numbers_in_a_batch_and_with_a_users_activation() -> None:
    net = gp.mlp([2, 3, 2], "gelu", "softmax", seed=2)
    trace = net.forward([[0.1, 0.2], [0.3, -0.4]])
    objective: dict[str, Any] = {"loss": "cross_entropy", "target": [0, 1], "sample_weight": [1.0, 3.0]}
    g = net.backward(trace, **objective)
    with mpmath.workdps(50):
        exact = gp.recursion.backpropagate(net, trace, numbers=mpmath.mp, **objective)
    np.testing.assert_allclose(g.theta, exact.theta.astype(float), rtol=1e-13)
    plain = gp.Network()
    plain.add_input("x")
    plain.add_node("y", gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a * a), {"x": 1.0})
    with pytest.raises(gp.GraphpropError, match="activation 'cube' has no formula"):
        gp.recursion.forward(plain, [1.0], numbers=mpmath.mp)
    with pytest.raises(gp.GraphpropError, match=r"numbers is None \(floats\), mpmath.mp or sympy"):
        gp.recursion.forward(net, [1.0, 2.0], numbers=math)


def test_at_a_kink_other_numbers_keep_to_the_convention() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "relu", {"x": 1.0})
    trace = net.forward([0.0])
    assert net.backward(trace, "y").gamma["y"] == 0.0
    assert gp.recursion.backpropagate(net, trace, "y", numbers=mpmath.mp).gamma["y"] == 0


def test_other_parameters_than_those_of_the_network() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 1.0}, bias=0.0)
    trace = gp.recursion.forward(net, [2.0], theta=[3.0, 4.0])
    assert trace.o["y"] == 10.0
    assert net.weight("x", "y") == 1.0
    with pytest.raises(gp.GraphpropError, match=r"theta has shape \(1,\), the network has 2 parameters"):
        gp.recursion.forward(net, [2.0], theta=[3.0])
    with pytest.raises(gp.NumberError, match=r"theta\[1\], b\[y\], is nan"):
        gp.recursion.forward(net, [2.0], theta=[3.0, math.nan])


def test_a_loss_sums_over_heads_and_takes_the_mean_over_samples() -> None:
    net, X = two_heads(), [[0.3], [0.7], [-1.0]]
    T = np.random.default_rng(0).random((3, 5))
    trace = net.forward(X)
    g = net.backward(trace, loss="half_squared", target=T)
    o = np.column_stack([trace.o["z"], trace.o["b"], trace.o["c"]])
    assert g.value == pytest.approx(0.5 * ((o - T) ** 2).sum() / 3, rel=1e-15)
    np.testing.assert_allclose(g.o["z"], (o - T)[:, :3] / 3, rtol=1e-14)
    by_name = net.backward(trace, loss="half_squared", target={"z": T[:, :3], "b": T[:, 3], "c": T[:, [4]]})
    np.testing.assert_array_equal(by_name.theta, g.theta)


def test_sample_weight_counts_a_sample_as_often() -> None:
    net = two_heads()
    twice = net.backward(net.forward([[0.3], [0.7], [0.7]]), loss="half_squared", target=np.ones((3, 5)))
    weighted = net.backward(
        net.forward([[0.3], [0.7]]), loss="half_squared", target=np.ones((2, 5)), sample_weight=[1, 2]
    )
    np.testing.assert_allclose(weighted.theta, twice.theta, rtol=1e-14)
    assert weighted.value == pytest.approx(twice.value, rel=1e-15)


def test_class_labels_stand_for_one_hot_rows() -> None:
    net = gp.softmax_regression(2, 3)
    net.randomize(1)
    X, labels = [[0.1, 0.2], [1.0, -1.0]], [2, 0]
    trace = net.forward(X)
    one_hot = net.backward(trace, loss="cross_entropy", target=np.eye(3)[labels])
    for target in (labels, np.array(labels, dtype=np.int8), {"y": labels}):
        np.testing.assert_array_equal(net.backward(trace, loss="cross_entropy", target=target).theta, one_hot.theta)
    single = net.backward(net.forward(X[0]), loss="cross_entropy", target=2)
    row = net.backward(net.forward(X[0]), loss="cross_entropy", target=[0, 0, 1])
    np.testing.assert_array_equal(single.theta, row.theta)
    two = gp.Network()
    two.add_input("x")
    two.add_node("p", "log_softmax", {"x": [1.0, 2.0]})
    two.add_node("q", "log_softmax", {"x": [1.0, 2.0, 3.0]})
    labelled = two.backward(two.forward([[0.5], [0.6]]), loss="nll", target=[[1, 2], [0, 1]])
    rows = two.backward(two.forward([[0.5], [0.6]]), loss="nll", target=[[0, 1, 0, 0, 1], [1.0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(labelled.theta, rows.theta)


def test_a_target_by_name_reads_just_these_nodes() -> None:
    net = two_heads()
    net.set_outputs()
    trace = net.forward([0.3])
    g = net.backward(trace, loss="half_squared", target={"c": 1.0})
    assert g.value == 0.5 * (trace.o["c"] - 1.0) ** 2
    assert g.gamma["b"] == 0.0
    assert not g.delta["z"].any()


def test_seeds_and_components() -> None:
    net = two_heads()
    trace = net.forward([[0.3], [0.7]])
    seeded = net.backward(trace, seed={"z": [[0.0, 2.0, 0.0]] * 2, "b": [3.0, 3.0]})
    parts = [net.backward(trace, "z", component=1), net.backward(trace, "b")]
    np.testing.assert_allclose(seeded.theta, 2 * parts[0].theta + 3 * parts[1].theta, rtol=1e-15)
    assert seeded.value == pytest.approx(2 * parts[0].value + 3 * parts[1].value, rel=1e-15)
    assert parts[1].value == trace.o["b"].sum()
    assert net.backward(trace, "b", component=0).value == parts[1].value


def test_a_probability_that_underflows_is_told_and_the_fused_form_goes_on() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("l", "identity", {"x": np.eye(2)}, size=2)
    net.add_node("p", "softmax", {"l": np.eye(2)})
    trace = net.forward([1000.0, 0.0])
    with pytest.raises(gp.NumberError, match=r"loss cross_entropy: head p gives inf.* softmax_cross_entropy on plain"):
        net.backward(trace, loss="cross_entropy", target={"p": 1})
    g = net.backward(trace, loss="softmax_cross_entropy", target={"l": 1})
    assert g.value == 1000.0
    assert g.delta["l"].tolist() == [1.0, -1.0]


def test_cross_entropy_agrees_with_the_fused_form() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("l", "identity", {"x": [[1.0, 2.0], [0.5, -1.0], [0.0, 0.3]]}, size=3)
    net.add_node("z", "softmax", {"l": np.eye(3)})
    net.add_node("y", "log_softmax", {"l": np.eye(3)})
    trace = net.forward([0.3, -0.4])
    t = [0.5, 0.25, 0.75]
    pairs = [("cross_entropy", "z"), ("nll", "y"), ("softmax_cross_entropy", "l")]
    grads = [net.backward(trace, loss=loss, target={node: t}) for loss, node in pairs]
    for g in grads[1:]:
        assert g.value == pytest.approx(grads[0].value, rel=1e-15)
        np.testing.assert_allclose(g.weight["x", "l"], grads[0].weight["x", "l"], rtol=1e-14)
