"""What the recursion refuses, and how it says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import graphprop as gp
from graphprop.functions.arithmetic import arithmetic
from tests.textbook.recursion_cases import (
    FORMS,
    ladder,
    two_heads,
)

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("nothing", {}, "an objective is a node, or loss= with target=, or seed=; one of them, and none of them was given"),
    ("two", {"node": "b", "loss": "nll", "target": 1}, "not a node and loss="),
    ("no node", {"node": "q"}, "unknown node 'q'"),
    ("vector", {"node": "z"}, "node 'z' has 3 outputs; say which one with component="),
    ("component", {"node": "z", "component": 3}, r"component=3 is out of range; it has 0 to 2"),
    ("component of scalar", {"node": "b", "component": 1}, "component=1 is out of range; it has 0 to 0"),
    ("component alone", {"loss": "half_squared", "target": 1, "component": 0}, "component= belongs to a node"),
    ("target alone", {"node": "b", "target": 1.0}, "target= belongs to loss="),
    ("weight alone", {"node": "b", "sample_weight": 1.0}, "sample_weight= belongs to loss="),
    ("loss name", {"loss": "half_square", "target": 1}, "unknown loss 'half_square'; did you mean 'half_squared'"),
    ("no target", {"loss": "half_squared"}, "loss half_squared: target= is missing"),
    ("target shape", {"loss": "half_squared", "target": [1.0]}, r"target has shape \(1,\); it should have \(5,\)"),
    ("target infinite", {"loss": "half_squared", "target": [math.inf] * 5}, "not finite: inf"),
    ("target node", {"loss": "half_squared", "target": {"q": 1.0}}, "unknown node 'q'"),
    ("half a head", {"loss": "half_squared", "target": {"b": 1.0}}, r"head \(b, c\) has no target for 'c'"),
    ("label", {"loss": "cross_entropy", "target": {"z": 3}}, "class label 3 is out of range; the classes are 0 to 2"),
    ("negative label", {"loss": "cross_entropy", "target": {"z": -1}}, "class label -1 is out of range"),
    (
        "negative",
        {"loss": "cross_entropy", "target": {"z": [-1.0, 1, 1]}},
        r"component \(0, 0\) of the target is negative",
    ),
    ("no distribution", {"loss": "cross_entropy", "target": [1, 0, 0, 0.5, 0.5]}, r"but \(b, c\) is no distribution"),
    ("logits", {"loss": "softmax_cross_entropy", "target": {"z": 1}}, r"node 'z' \(softmax\) gives probabilities"),
    ("one class", {"loss": "softmax_cross_entropy", "target": {"x": 1.0}}, "head x is one number; several classes are"),
    (
        "nll of softmax",
        {"loss": "nll", "target": {"z": 1}},
        "reads log-probabilities, but z is no distribution .exp of",
    ),
    ("not in [0, 1]", {"loss": "binary_cross_entropy", "target": {"b": 0.5, "c": 2}}, r"not in \[0, 1\]"),
    (
        "weights",
        {"loss": "half_squared", "target": [0.0] * 5, "sample_weight": [1, 2]},
        r"has shape \(2,\); it should have \(\) or \(1,\)",
    ),
    (
        "weight sign",
        {"loss": "half_squared", "target": [0.0] * 5, "sample_weight": [-1]},
        "is -1.0; it has to be",
    ),
    ("seed type", {"seed": [1.0]}, "seed= is a mapping"),
    ("seed node", {"seed": {"q": 1.0}}, "unknown node 'q'"),
    ("seed shape", {"seed": {"z": [1.0]}}, r"seed of node 'z' has shape \(1,\); it should have \(3,\)"),
    ("seed nan", {"seed": {"b": math.inf}}, "seed of node 'b' has an entry that is not finite"),
    ("no names", {"loss": "half_squared", "target": {}}, "target= names no node"),
    ("float labels", {"loss": "cross_entropy", "target": 1.0}, "class labels are whole numbers"),
    ("weight zero", {"loss": "half_squared", "target": [0.0] * 5, "sample_weight": [0]}, "is 0 everywhere"),
    ("of type", {"node": "b", "of": "b"}, "of= is a list of node names, not 'b'"),
    ("limit", {"node": "b", "limit": math.nan}, "limit is a whole number, not nan"),
    ("form", {"node": "b", "form": "backwards"}, "form is 'parents', 'children' or 'paths', not 'backwards'"),
    ("of", {"node": "b", "of": ["q"]}, "unknown node 'q'"),
]


@pytest.mark.parametrize(("arguments", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_objectives(arguments: dict[str, Any], message: str) -> None:
    net = two_heads()
    with pytest.raises(gp.GraphpropError, match=message):
        gp.recursion.backpropagate(net, net.forward([0.3]), **arguments)


BAD_INPUTS: list[tuple[Any, str]] = [
    ({"x1": 1.0}, "input 'x2' is missing, and 1 more"),
    ({"x1": 1.0, "x2": 2.0, "v": [1.0, 2.0], "q": 1.0}, "unknown input 'q'; the inputs are 'x1', 'x2', 'v'"),
    (
        {"x1": 1.0, "x2": 2.0, "v": [1.0, 2.0, 3.0]},
        r"input 'v' has shape \(3,\); it should have \(2,\), or \(batch, 2\)",
    ),
    ({"x1": [1.0, 2.0], "x2": 2.0, "v": [1.0, 2.0]}, "different numbers of samples: 'x1' 2, 'x2' one number"),
    ({"x1": [[1.0]], "x2": 2.0, "v": [1.0, 2.0]}, r"input 'x1' has shape \(1, 1\); it should have \(\), or \(batch,\)"),
    ({"x1": math.nan, "x2": 2.0, "v": [1.0, 2.0]}, "input 'x1' is nan; inputs have to be finite"),
    ({"x1": "a", "x2": 2.0, "v": [1.0, 2.0]}, "input 'x1': numbers are needed, not 'a'"),
    ([1.0, 2.0], r"the array of inputs has shape \(2,\); it should have \(4,\), or \(batch, 4\)"),
    ([[1.0, 2.0, 3.0, math.inf]], r"is inf at \(0, 3\)"),
    (np.zeros((0, 4)), "the batch is empty"),
    ({"x1": [], "x2": [], "v": np.zeros((0, 2))}, "the batch is empty"),
    (np.zeros((2, 2, 4)), "it should have"),
    ([[1.0, 2.0, 3.0, 4.0], [1.0]], "regular shape"),
    (None, "real numbers are needed, not None"),
    ("abc", "numbers are needed, not 'abc'"),
]


@pytest.mark.parametrize(("given", "message"), BAD_INPUTS, ids=[message[:30] for _, message in BAD_INPUTS])
def test_bad_inputs(given: Any, message: str) -> None:
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    net.add_input("v", size=2)
    net.add_node("y", "tanh", {"x1": 1.0, "x2": 1.0, "v": [1.0, 1.0]})
    with pytest.raises(gp.GraphpropError, match=message):
        net.forward(given)


def test_inputs_by_name_and_by_column_are_the_same() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_input("v", size=2)
    net.add_node("y", "tanh", {"x": 1.0, "v": [2.0, 3.0]})
    assert net.forward({"v": [2.0, 3.0], "x": 1}).o["y"] == net.forward([1, 2, 3]).o["y"]
    batch = net.forward({"v": [[2.0, 3.0], [0.0, 0.0]], "x": [1, 0]})
    assert batch.o["y"].tolist() == net.forward([[1, 2, 3], [0, 0, 0]]).o["y"].tolist()
    assert batch.o["v"].shape == (2, 2)


@pytest.mark.parametrize(
    ("activation", "x", "message"),
    [
        ("log", -1.0, r"node 'y': a is -1\.0; log needs a number > 0"),
        ("exp", 1000.0, r"node 'y': exp\(1000\.0\): math range error"),
        ("square", 1e200, "node 'y': the output of square is inf; it has to be finite"),
        ("tanh", 1.5e308, r"node 'y': a\[y\] is inf; the sum of its terms is not finite"),
    ],
)
def test_what_cannot_be_computed_names_the_node(activation: str, x: float, message: str) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_input("z")
    net.add_node("y", activation, {"x": 1.0, "z": 1.0})
    with pytest.raises(gp.NumberError, match=message):
        net.forward([x, x if activation == "tanh" else 0.0])


@pytest.mark.parametrize("door", ["forward", "recursion", "matrixform", "predict"])
@pytest.mark.parametrize("samples", [1, 2, 5])
def test_of_several_samples_the_one_that_cannot_be_computed_is_named(door: str, samples: int) -> None:
    net, inputs = lone("identity", 1e160), np.ones((samples, 1))
    inputs[-1] = 1e160
    doors: dict[str, Callable[[], Any]] = {
        "forward": lambda: net.forward(inputs),
        "recursion": lambda: gp.recursion.forward(net, inputs),
        "matrixform": lambda: gp.matrixform.forward(net, inputs),
        "predict": lambda: net.program.predict(net.theta, inputs),
    }
    where = f", sample {samples - 1}" if samples > 1 else ""
    with pytest.raises(gp.NumberError, match=rf"^node 'y'{where}: a\[y\] is inf"):
        doors[door]()


def test_an_overflow_on_the_way_of_a_sum_does_no_harm() -> None:
    net = gp.Network()
    for name in "abc":
        net.add_input(name)
    net.add_node("y", "identity", {"a": 1.0, "b": 1.0, "c": 1.0})
    assert net.forward([1e308, 1e308, -1e308]).o["y"] == 1e308


def test_the_component_of_a_vector_node_is_named() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "softmax", {"x": [1.0, 1e308, 2.0]})
    with pytest.raises(gp.NumberError, match=r"node 'p': a\[p\]\[1\] is inf"):
        net.forward([1e10])


def test_a_masked_log_softmax_may_be_a_loss_but_feeds_nobody() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("z", "log_softmax", {"x": [1.0, 2.0, 3.0]}, bias=[0.0, -math.inf, 0.0])
    g = net.backward(net.forward([0.5]), loss="nll", target=[0.5, 0.0, 0.5])
    assert np.isfinite(g.theta).all()
    net.add_node("y", "tanh", {"z": [1.0, 1.0, 1.0]})
    with pytest.raises(gp.NumberError, match=r"node 'y': a\[y\] is -inf"):
        net.forward([0.5])


def test_a_network_of_inputs_alone() -> None:
    net = gp.Network()
    net.add_input("x")
    trace = net.forward([3.0])
    for form in FORMS:
        assert gp.recursion.backpropagate(net, trace, "x", form=form).input["x"] == 1.0


def test_large_sample_weights_are_as_good_as_small_ones() -> None:
    net = two_heads()
    trace = net.forward([[0.3], [0.7]])
    objective: dict[str, Any] = {"loss": "half_squared", "target": np.ones((2, 5))}
    plain = net.backward(trace, **objective)
    for weight in (1e308, 1e-320, 3.0):
        weighted = net.backward(trace, **objective, sample_weight=[weight, weight])
        np.testing.assert_allclose(weighted.theta, plain.theta, rtol=1e-15)


def lone(activation: Any, weight: float) -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", activation, {"x": weight})
    return net


def far_out(a: float, o: float) -> float:
    return math.nan if abs(a) > 50 else 1.0


@pytest.mark.parametrize(
    ("net", "x", "objective", "message"),
    [
        (lone("exp", 1.0), 709.0, {"node": "y"}, r"the derivative with respect to w\(x, y\) is inf"),
        (lone("square", 1e200), 1e-50, {"node": "y"}, r"the derivative with respect to o\[x\] is inf"),
        (lone("log", 1.0), 5e-324, {"node": "y"}, r"the derivative .*: float division by zero|a\[y\] is inf"),
        (lone("identity", 1.0), 1e10, {"seed": {"y": 1e308}}, "the objective, seed . o, is inf: it overflows"),
        (lone(gp.Activation("f", lambda a: a, far_out), 1.0), 100.0, {"node": "y"}, r"respect to a\[y\] is nan"),
        (
            lone("identity", 1.0),
            1.0,
            {"loss": gp.Loss("l", lambda z, t: 0 * t.sum(-1) / 0, lambda z, t: z, check=False), "target": 1.0},
            "loss l: head y gives nan",
        ),
    ],
)
def test_what_is_not_finite_is_told_with_its_name(net: gp.Network, x: float, objective: Any, message: str) -> None:
    with pytest.raises(gp.NumberError, match=message):
        net.backward(net.forward([x]), **objective)


def test_other_numbers_have_to_be_finite_too() -> None:
    with pytest.raises(gp.NumberError, match="finite numbers are needed"):
        gp.recursion.forward(lone("tanh", 1.0), [mpmath.nan], numbers=mpmath.mp)


@pytest.mark.parametrize("form", FORMS)
def test_what_does_not_reach_the_objective_is_not_even_differentiated(form: str) -> None:
    root = gp.Activation("root", math.sqrt, lambda a, o: 0.5 / o, domain=(0.0, 1e300), check=False)
    net = gp.Network()
    net.add_input("x")
    net.add_node("dead", "product", {"x": [1e200, 1e200, 1e-300]})
    net.add_node("deaf", root, {"x": 0.0})
    net.add_node("y", "tanh", {"x": 1.0})
    g = gp.recursion.backpropagate(net, net.forward([1.0]), "y", form=form)
    assert g.gamma["y"] == pytest.approx(1 - math.tanh(1.0) ** 2, rel=1e-14)
    assert g.delta["dead"].tolist() == [0.0, 0.0, 0.0]
    assert g.gamma["deaf"] == 0.0


@pytest.mark.parametrize("form", FORMS)
def test_an_input_may_be_asked_for_alone(form: str) -> None:
    net = ladder(2)
    trace = net.forward([0.3])
    full = net.backward(trace, "j2")
    some = gp.recursion.backpropagate(net, trace, "j2", form=form, of=["j0"])
    assert some.input["j0"] == pytest.approx(full.input["j0"], rel=1e-14)
    assert math.isnan(some.gamma["l1"])


@pytest.mark.parametrize("numbers", [mpmath.mp, sympy])
@pytest.mark.parametrize(
    ("name", "a"),
    [
        *(("abs", [0.0]), ("relu", [0.0]), ("leaky_relu", [0.0]), ("elu", [0.0])),
        *(("max", [1.0, 1.0]), ("min", [2.0, 1.0, 1.0]), ("maxabs", [1.0, -1.0]), ("median", [1.0, 1.0, 1.0])),
    ],
)
def test_kinks_and_ties_have_one_convention_in_all_numbers(name: str, a: list[float], numbers: Any) -> None:
    f, exact = gp.activation(name), arithmetic(numbers)
    found = exact.pull(f, [exact.number(x) for x in a], [exact.number(f.outputs(a)[0])], [exact.number(1)])
    assert [float(slope) for slope in found] == f.vjp(a, 1.0 if f.kind == "reducing" else [1.0]).tolist()


def test_targets_and_seeds_keep_their_digits_and_their_symbols() -> None:
    net = lone("identity", 1.0)
    with mpmath.workdps(30):
        third = mpmath.mpf(1) / 3
        trace = gp.recursion.forward(net, [third], numbers=mpmath.mp)
        assert gp.recursion.backpropagate(net, trace, loss="half_squared", target=[third]).gamma["y"] == 0
        assert gp.recursion.backpropagate(net, trace, seed={"y": third}).gamma["y"] == third
    x, t = sympy.symbols("x t", real=True)
    symbolic = gp.recursion.forward(net, [x], numbers=sympy)
    assert gp.recursion.backpropagate(net, symbolic, loss="half_squared", target=[t]).gamma["y"] == x - t
    assert gp.recursion.backpropagate(net, symbolic, seed={"y": t}).gamma["y"] == t
    with pytest.raises(gp.GraphpropError, match="computed with other numbers"):
        gp.recursion.backpropagate(net, symbolic, "y", numbers=mpmath.mp)


def test_a_class_of_probability_zero_that_is_not_required_counts_nothing_in_all_numbers() -> None:
    net = gp.Network()
    net.add_input("z", size=2)
    net.add_node("p", "identity", {"z": np.eye(2)}, size=2)
    trace = net.forward([1.0, 0.0])
    for numbers in (None, mpmath.mp):
        g = gp.recursion.backpropagate(net, trace, loss="cross_entropy", target=[1.0, 0.0], numbers=numbers)
        assert g.value == 0
        assert g.delta["p"].tolist() == [-1.0, 0.0]
