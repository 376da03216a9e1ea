"""What `compare` says of gradients that are right, and of gradients with one known mistake in them.

The right ones come from formulas written here in matrices, the recursion, or 30 digits of mpmath.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from tests.checks.comparing_cases import (
    SAMPLES,
    Array,
    ByHand,
    by_neuron,
    plain,
    skipping,
)
from tests.random_graphs import graphs, objectives

# ------------------------------------------------------------------ what is right


@pytest.mark.parametrize("case", [plain, skipping, by_neuron], ids=["layers", "skip edge", "neurons"])
def test_the_books_matrices_are_right(case: ByHand) -> None:
    found = gp.compare(case.g, case.gradients())
    assert found, str(found)
    assert found.ok
    assert all(verdict.status == "right" and not verdict.worst for verdict in found.verdicts)
    found.raise_if_failed()
    assert str(found).startswith("gradient of half_squared of ")
    assert "all right" in str(found)


def test_everything_that_gradients_name_can_be_given() -> None:
    g, r = skipping.g, skipping.r
    delta_h = (r @ skipping.W2) * (1 - skipping.h**2)
    given = {
        "value": ((r * SAMPLES) ** 2).sum() / 2 / SAMPLES,
        "theta": g.theta,
        "weight": {("x", "y"): r.T @ skipping.X},
        "bias": {"y": r.sum(0)},
        "delta": {"y": r, "h": delta_h},
        "o": {"h": r @ skipping.W2},
        "input": {"x": delta_h @ skipping.W1 + r @ skipping.W3},
    }
    found = gp.compare(g, given)
    assert found, str(found)
    assert [verdict.name for verdict in found.verdicts] == [
        "value", "theta", "w(x, y)", "b[y]", "delta[y]", "delta[h]", "o[h]", "input[x]",
    ]  # fmt: skip


def test_gradients_of_scalars_are_numbers() -> None:
    net = gp.Network()
    net.add_input("x")
    f = net.parameter("f", 3.0)
    net.add_node("y", "square", {"x": f}, bias=1.0)
    g = net.backward(net.forward([2.0]), "y")
    assert gp.compare(g, {"f": 28.0, "y": 14.0, ("x", "y"): 28.0, "gamma": {"y": 14.0}, "parameter": {"f": 28}})
    assert gp.compare(g, [28.0, 14.0])
    assert not gp.compare(g, {"f": 28.1})


def test_axes_of_length_one_may_be_left_out_as_the_network_does_but_not_added() -> None:
    g, mine = plain.g, plain.gradients()
    column = gp.compare(g, {"b1": mine["b1"][:, None]})["b1"]
    assert (column.status, column.entries) == ("wrong", 3)
    assert column.reason == (
        "its shape is 3 x 1, the gradient's is 3: drop the axis of length 1, or what is subtracted from 3 numbers "
        "makes 3 x 3"
    )
    assert gp.compare(g, {"b1": mine["b1"][None, :]})["b1"].reason.endswith("drop the axis of length 1")
    assert gp.compare(g, {"W1": mine["W1"].tolist()})
    net = gp.mlp([2, 3, 1], "tanh", seed=1, by="layer")
    g = net.backward(net.forward([0.5, -1.0]), "y", component=0)
    W2 = g.weight["h1", "y"]
    assert W2.shape == net.weight("h1", "y").shape == (3,)
    assert gp.compare(g, {"W2": W2})
    assert gp.compare(g, {"W2": W2[None, :]})
    assert gp.compare(g, {("h1", "y"): W2[None, :]})
    assert gp.compare(g, {"W2": W2[:, None]})["W2"].reason.startswith("it is the transpose")
    assert gp.compare(g, {"W2": W2[None, None, :]})["W2"].status == "wrong"
    for one in (1.0, [1.0], [[1.0]]):
        assert gp.compare(g, {"b2": one})
    batch = net.backward(net.forward([[0.5, -1.0], [1.0, 2.0]]), "y", component=0)
    assert gp.compare(batch, {"delta": {"y": batch.delta["y"]}})
    neuron = gp.mlp([2, 1], "tanh", seed=1)
    g = neuron.backward(neuron.forward([[0.5, -1.0], [1.0, 2.0]]), ("y", 0))
    gamma = g.gamma["y", 0]
    assert gp.compare(g, {"gamma": {("y", 0): gamma}})
    assert gp.compare(g, {"gamma": {("y", 0): gamma[:, None]}}).verdicts[0].status == "wrong"


def test_a_gradient_agrees_with_itself_and_with_the_recursion_and_the_other_declaration() -> None:
    trace = plain.net.forward(plain.X)
    other = gp.recursion.backpropagate(plain.net, trace, loss="half_squared", target=plain.T, form="parents")
    found = gp.compare(plain.g, other)
    assert found, str(found)
    assert {"value", "W1", "b1", "W2", "b2", "delta", "o"} == {verdict.name for verdict in found.verdicts}
    assert gp.compare(by_neuron.g, {"W1": plain.g.weight["x", "h"], "W2": plain.g.weight["h", "y"]})


def is_smooth(net: gp.Network, g: gp.Gradients, objective: Any) -> bool:
    """Whether changes of theta in its last bits leave the gradient as it is, nearly."""
    assert g.trace is not None
    rows = g.trace.o_flat[:, net.layout.input_columns]
    signs = np.where(np.arange(net.layout.size) % 2 == 0, 2.0**-48, -(2.0**-48))
    for sign in (signs, -signs):
        near = gp.recursion.forward(net, rows if g.batched else rows[0], g.trace.theta * (1 + sign))
        moved = np.abs(gp.recursion.backpropagate(net, near, **objective).theta - g.theta)
        if moved.max() > 1e-10 * np.abs(g.theta).max():
            return False
    return True


@given(st.data())
def test_no_false_alarm_and_no_planted_error_missed_in_random_networks(data: st.DataObject) -> None:
    net, inputs = data.draw(graphs())
    objective = data.draw(objectives(net))
    try:
        g = net.backward(net.forward(inputs), **objective)
        exact = gp.recursion.backpropagate(net, gp.recursion.forward(net, inputs), **objective)
    except gp.NumberError:
        return
    found = gp.compare(exact, g)
    assert found, str(found)
    i = int(np.argmax(np.abs(g.theta))) if len(g.theta) else 0
    if len(g.theta) and abs(g.theta[i]) > 1e-12 and is_smooth(net, g, objective):
        # less can be all rounding, as in heads of one class, and at a tie rounding decides
        theta = g.theta.copy()
        theta[i] *= 1 + 1e-9
        (verdict,) = gp.compare(g, theta).verdicts
        assert (verdict.status, verdict.differing) == ("wrong", 1)
        assert verdict.worst[0].entry == net.layout.label_position(i)


@given(graphs(kinds=("sigmoid", "tanh", "softmax", "softmax_dot", "log_softmax", "square"), max_nodes=5))
def test_floats_are_right_within_the_bounds_by_30_digits(example: tuple[gp.Network, dict[Any, Any]]) -> None:
    net, inputs = example
    v = net.nodes[-1]
    with mpmath.workdps(30):
        trace = gp.recursion.forward(net, inputs, numbers=mpmath.mp)
        exact = gp.recursion.backpropagate(net, trace, v, component=0)
        found = gp.compare(exact, net.backward(net.forward(inputs), v, component=0))
    assert found, str(found)


FORMS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), lambda a, o: o * (1 - o)),
    "tanh": (np.tanh, lambda a, o: 1 - o**2),
    "softplus": (lambda a: np.log(1 + np.exp(a)), lambda a, o: 1 - np.exp(-o)),
    "elu": (lambda a: np.where(a > 0, a, np.exp(a) - 1), lambda a, o: np.where(a > 0, 1, o + 1)),
    "gaussian": (lambda a: np.exp(-a * a), lambda a, o: -2 * a * o),
}


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("f", FORMS)
def test_the_textbooks_form_is_not_called_wrong_where_it_loses_digits(f: str, kind: type) -> None:
    random, statuses = np.random.default_rng(0), set()
    value, slope = FORMS[f]
    for seed in range(20):
        net = gp.mlp([3, 4, 2], f, "softmax_dot", seed=seed, by="layer")
        net.theta *= 10 ** (seed % 3 - 1)
        X, T = random.normal(size=(2, 3)), random.normal(size=(2, 1))
        W1, W2 = (net.weight(*edge).astype(kind) for edge in net.edges)
        x, t = X.astype(kind), T.astype(kind)
        with np.errstate(all="ignore"):
            a1 = x @ W1.T
            h = value(a1)
            a = h @ W2.T
            p = np.exp(a - a.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            y = (p * a).sum(1, keepdims=True)
            d2 = (y - t) / 2 * p * (1 + a - y)
            d1 = d2 @ W2 * slope(a1, h)
        g = net.backward(net.forward(X), loss="half_squared", target=T)
        found = gp.compare(g, {"W1": (d1.T @ x).astype(kind), "W2": (d2.T @ h).astype(kind)})
        statuses |= {verdict.status for verdict in found.verdicts}
        assert "wrong" not in statuses, str(found)
    assert "right" in statuses


@pytest.mark.parametrize("f", ["relu", "abs", "leaky_relu"])
def test_what_rounding_lifts_over_a_kink_is_not_called_wrong(f: str) -> None:
    """0.09 - 0.1 * 0.9 is a little below 0 in double precision, and a little above it in single precision."""
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", f, {"x": [[-0.1, 0.09]]}, size=1)
    net.add_node("y", "identity", {"h": 2.0})
    g = net.backward(net.forward([0.9, 1.0]), "y")
    h = np.float32(-0.1) * np.float32(0.9) + np.float32(0.09)
    assert g.trace is not None
    assert g.trace.a_flat[0, 0] < 0 < h
    by_hand = {"weight": {("h", "y"): [h], ("x", "h"): np.float32([[2 * 0.9, 2 * 1.0]])}}
    for verdict in gp.compare(g, by_hand).verdicts:
        assert verdict.status != "wrong", str(verdict)
    assert not gp.compare(g, {"weight": {("h", "y"): np.float32([1e-5])}})


def test_a_number_that_rounding_hides_is_undecided_not_right() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "sigmoid", {"x": 40.0})
    g = net.backward(net.forward([1.0]), "y")
    found = gp.compare(g, {("x", "y"): 0.0})  # o (1 - o) with o = 1
    assert not found
    assert found.verdicts[0].status == "undecided"
    assert "o (1 - o)" in found.verdicts[0].reason
    found.raise_if_failed()
    assert gp.compare(g, {("x", "y"): float(mpmath.exp(-40) / (1 + mpmath.exp(-40)) ** 2)})


# ------------------------------------------------------------------ how it shows itself


def test_a_comparison_shows_itself_as_text_table_and_plain_data() -> None:
    found = gp.compare(plain.g, plain.gradients() | {"W1": -plain.gradients()["W1"]})
    assert repr(found) == "<Comparison: gradient of half_squared of y: not right in W1>"
    assert str(found).splitlines()[0] == "gradient of half_squared of y: not right in W1"
    assert "<p>gradient of half_squared of y: not right in W1</p><table>" in found._repr_html_()
    assert "<td>the sign is flipped</td>" in found._repr_html_()
    plainly = found.to_dict()
    assert json.loads(json.dumps(plainly)) == plainly
    assert plainly["ok"] is False
    assert plainly["verdicts"][0]["worst"][0]["entry"].startswith("w(")
    with pytest.raises(gp.GraphpropError, match="was not compared; there are W1, b1, W2, b2"):
        found["W9"]


def test_what_is_wrong_with_all_parts_alike_is_said_once_with_one_entry_of_each() -> None:
    mine = plain.gradients()
    lines = str(gp.compare(plain.g, {name: -x for name, x in mine.items()})).splitlines()
    assert lines[:2] == [
        "gradient of half_squared of y: not right in W1, b1, W2, b2", "all of them: the sign is flipped",
    ]  # fmt: skip
    i, j = np.unravel_index(int(np.abs(mine["W1"]).argmax()), (3, 3))
    worst = mine["W1"][i, j]
    assert lines[2] == f"W1: wrong; w({i}, x[{j}], h): {-worst:.9g}, should be {worst:.9g}"
    assert [line.split("; ")[0] for line in lines[3:]] == ["b1: wrong", "W2: wrong", "b2: wrong"]
    lines = str(gp.compare(plain.g, mine | {"W1": 2 * mine["W1"], "b1": 2 * mine["b1"]})).splitlines()
    assert lines[1] == "both of them: it is twice what it should be: a factor 1/2 is missing"
    assert lines[4] == "W2: right (9 entries)"
    different = gp.compare(plain.g, {"W1": 2 * mine["W1"], "b1": -mine["b1"]})
    unknown = gp.compare(plain.g, {"W1": mine["W1"] + 1, "b1": mine["b1"] + np.arange(3.0)})
    for found in (different, unknown):
        assert str(found).count("should be ") >= 5
        assert "of them" not in str(found)
