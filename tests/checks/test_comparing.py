"""What `compare` says of gradients that are right, and of gradients with one known mistake in them.

The right ones come from formulas written here in matrices, the recursion, or 30 digits of mpmath.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from tests.random_graphs import graphs, objectives

Array = np.ndarray[Any, Any]
SAMPLES = 3


class ByHand:
    """Two layers x -> h -> y, tanh and identity, and W3 over the edge x -> y; the mean of half squares of a batch."""

    def __init__(self, skip: bool, by: str = "layer") -> None:
        random = np.random.default_rng(3)
        self.X, self.T = random.normal(size=(SAMPLES, 3)), random.normal(size=(SAMPLES, 3))
        self.W1, self.W2, self.W3 = (random.normal(size=(3, 3)) for _ in range(3))
        self.b1, self.b2 = random.normal(size=3), random.normal(size=3)
        net = gp.Network()
        if by == "layer":
            net.add_input("x", size=3)
            net.add_node("h", "tanh", {"x": self.W1}, self.b1, size=3)
            net.add_node("y", "identity", {"h": self.W2} | ({"x": self.W3} if skip else {}), self.b2, size=3)
        else:
            for j in range(3):
                net.add_input(f"x{j}")
            for i in range(3):
                net.add_node(f"h{i}", "tanh", {f"x{j}": self.W1[i, j] for j in range(3)}, self.b1[i])
            for i in range(3):
                net.add_node(f"y{i}", "identity", {f"h{j}": self.W2[i, j] for j in range(3)}, self.b2[i])
        self.net, self.skip = net, skip
        self.h = np.tanh(self.X @ self.W1.T + self.b1)
        y = self.h @ self.W2.T + self.b2 + (self.X @ self.W3.T if skip else 0)
        self.r = (y - self.T) / SAMPLES
        self.g = net.backward(net.forward(self.X), loss="half_squared", target=self.T)

    def gradients(
        self, r: Array | None = None, slope: Array | None = None, W2: Array | None = None
    ) -> dict[Any, Array]:
        r = self.r if r is None else r
        slope = 1 - self.h**2 if slope is None else slope
        d = (r @ (self.W2 if W2 is None else W2)) * slope
        found = {"W1": d.T @ self.X, "b1": d.sum(0), "W2": r.T @ self.h, "b2": r.sum(0)}
        if not self.skip:
            return found
        edges = {("x", "h"): found["W1"], ("h", "y"): found["W2"], ("x", "y"): r.T @ self.X}
        return edges | {"h": found["b1"], "y": found["b2"]}


plain, skipping, by_neuron = ByHand(skip=False), ByHand(skip=True), ByHand(skip=False, by="neuron")


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


# ------------------------------------------------------------------ what is wrong, and its name


def reason(case: ByHand, **mine: Any) -> str:
    found = gp.compare(case.g, mine)
    assert not found
    (verdict,) = found.verdicts
    assert verdict.status == "wrong"
    assert verdict.reason in str(found)
    return verdict.reason


def test_a_transpose_is_named_also_where_the_matrix_is_square() -> None:
    net = gp.mlp([2, 3, 1], "tanh", seed=1, by="layer")
    g = net.backward(net.forward([1.0, -2.0]), "y", component=0)
    matrices = {"W1": g.weight["x", "h1"], "W2": g.weight["h1", "y"][None, :]}
    assert gp.compare(g, matrices)
    found = gp.compare(g, {name: matrix.T for name, matrix in matrices.items()})
    for verdict, shape in zip(found.verdicts, ("2 x 3", "3 x 1"), strict=True):
        assert verdict.reason.startswith("it is the transpose (numerator layout)")
        assert f"yours is {shape}" in verdict.reason
        assert not verdict.worst
    assert "besides" in gp.compare(g, {"W1": matrices["W1"].T + [[0, 0, 1e-6]] * 2})["W1"].reason
    assert "the sign is flipped" in gp.compare(g, {"W1": -matrices["W1"].T})["W1"].reason
    assert reason(plain, W1=plain.gradients()["W1"].T) == "it is transposed (numerator layout)"
    assert (
        reason(plain, W1=-plain.gradients()["W1"].T) == "it is transposed (numerator layout), and the sign is flipped"
    )


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (-1, "the sign is flipped"),
        (2, "a factor 1/2 is missing"),
        (0.5, "a factor 2 is missing"),
        (-2, "the sign is flipped"),
        (SAMPLES, "1/B is missing, for B = 3 samples"),
        (1 / SAMPLES, "a factor 1/B too many"),
        (2.001, "it is 2.001 times what it should be"),
        (1 + 1e-12, "it is 1.000000000001"),
        (0, "0 everywhere"),
    ],
)
def test_a_factor_is_named(factor: float, words: str) -> None:
    for name in ("W1", "b1", "W2"):
        assert words in reason(plain, **{name: factor * plain.gradients()[name]})
    assert words in gp.compare(plain.g, factor * plain.g.theta).verdicts[0].reason


def test_a_factor_of_some_entries_is_named() -> None:
    W1 = plain.gradients()["W1"].copy()
    W1[0, 1] *= -1
    assert reason(plain, W1=W1) == "1 of 9 entries is wrong: the sign is flipped"
    W1 = plain.gradients()["W1"].copy()
    W1[[0, 2], [1, 1]] *= 2
    assert reason(plain, W1=W1).startswith("2 of 9 entries are wrong: each is twice what it should be")


def in_a_row(*weights: float, loss: bool = False, samples: int = 1) -> gp.Gradients:
    """x -> h -> k -> y with these weights, tanh, sigmoid and identity."""
    net = gp.Network()
    net.add_input("x")
    for u, v, f, w in zip("xhk", "hky", ("tanh", "sigmoid", "identity"), weights, strict=True):
        net.add_node(v, f, {u: w}, bias=0.1)
    trace = net.forward([[0.4 + 0.3 * s] for s in range(samples)])
    if loss:
        return net.backward(trace, loss="half_squared", target=[[0.2]] * samples)
    return net.backward(trace, "y")


def test_a_forgotten_weight_is_not_taken_for_a_factor_of_a_square() -> None:
    g = in_a_row(0.7, 0.3, 2.0)
    before = {("x", "h"): g.weight["x", "h"], "h": g.bias["h"], ("h", "k"): g.weight["h", "k"], "k": g.bias["k"]}
    found = gp.compare(g, {name: x / 2 for name, x in before.items()} | {("k", "y"): g.weight["k", "y"]})
    assert {v.reason for v in found.verdicts} == {
        "", "it is half of what it should be: the weight w(k, y) = 2 is forgotten",
    }  # fmt: skip
    g = in_a_row(0.7, 0.3, 2.0, loss=True)
    assert gp.compare(g, {"h": g.bias["h"] / 2}).verdicts[0].reason == (
        "it is half of what it should be: a factor 2 is missing, or a 1/2 too many, "
        "or the weight w(k, y) = 2 is forgotten"
    )
    assert gp.compare(g, {"y": g.bias["y"] / 2}).verdicts[0].reason == (
        "it is half of what it should be: a factor 2 is missing, or a 1/2 too many"
    ), "the weight does not stand between y and the loss"


@pytest.mark.parametrize("weight", [2.0, 0.5, -1.0, 3.0, 1 / 3, -2.0, 2.7, -0.4, 0.25])
@pytest.mark.parametrize("samples", [1, 3])
def test_a_forgotten_weight_is_named_whatever_it_is_and_no_other_cause_is_claimed(weight: float, samples: int) -> None:
    g = in_a_row(0.7, weight, 1.9, samples=samples)
    for mine in (
        {"W1": g.weight["x", "h"] / weight},
        {"b1": g.bias["h"] / weight},
        g.theta / [weight, weight, 1, 1, 1, 1],
    ):
        reason = gp.compare(g, mine).verdicts[0].reason
        assert f"the weight w(h, k) = {weight:.6g} is forgotten" in reason, reason
        assert "square" not in reason
        assert "a factor 2" not in reason
        assert "a factor 1/2" not in reason


def two_layers(by: str, W1: Array, W2: Array) -> gp.Network:
    """x -> h -> y, tanh and identity, without biases, by layers or neuron by neuron."""
    net, (m, n), k = gp.Network(), W1.shape, len(W2)
    if by == "layer":
        net.add_input("x", size=n)
        net.add_node("h", "tanh", {"x": W1}, size=m)
        net.add_node("y", "identity", {"h": W2}, size=k)
        return net
    for j in range(n):
        net.add_input(f"x{j}")
    for i in range(m):
        net.add_node(f"h{i}", "tanh", {f"x{j}": W1[i, j] for j in range(n)})
    for i in range(k):
        net.add_node(f"y{i}", "identity", {f"h{j}": W2[i, j] for j in range(m)})
    return net


@pytest.mark.parametrize("by", ["layer", "neuron"])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("weight", [2.0, 0.5, 3.0, -1.0, 0.3, None])
def test_a_matrix_that_is_forgotten_is_named_whatever_its_weights_are(
    weight: float | None, outputs: int, by: str
) -> None:
    random = np.random.default_rng(5)
    W1, W2, x = random.normal(size=(3, 2)), random.normal(size=(outputs, 3)), np.array([0.5, -1.0])
    W2 = W2 if weight is None else np.full(W2.shape, weight)
    net, h = two_layers(by, W1, W2), np.tanh(W1 @ x)
    r = W2 @ h - 0.25
    g = net.backward(net.forward(x), loss="half_squared", target=np.full(outputs, 0.25))
    assert gp.compare(g, {"W1": np.outer((W2.T @ r) * (1 - h**2), x), "W2": np.outer(r, h)})
    forgotten = gp.compare(g, {"W1": np.outer(r.sum() * (1 - h**2), x)})["W1"].reason
    assert f"the weights {'w(h, y)' if by == 'layer' else 'W2'} are forgotten" in forgotten
    if weight in (2.0, 0.5):
        assert ", or the weights" in forgotten, "the loss has a square, too"


@pytest.mark.parametrize("by", ["layer", "neuron"])
def test_a_square_matrix_may_be_forgotten_as_a_whole(by: str) -> None:
    case = plain if by == "layer" else by_neuron
    found = gp.compare(case.g, {"W1": ((case.r * (1 - case.h**2)).T @ case.X)})
    assert found["W1"].reason == f"the matrix {'w(h, y)' if by == 'layer' else 'W2'} is forgotten"


@pytest.mark.parametrize("factor", [2.0, 0.5, -2.0])
def test_a_factor_of_2_has_no_cause_where_nothing_is_squared(factor: float) -> None:
    g = in_a_row(0.7, 0.3, 1.9)
    for mine in (factor * g.theta, {"b1": factor * g.bias["h"]}):
        reason = gp.compare(g, mine).verdicts[0].reason
        assert reason.removesuffix(", and the sign is flipped") in (
            "it is twice what it should be", "it is half of what it should be",
        )  # fmt: skip


def test_one_number_is_no_pattern() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 2.0})
    g = net.backward(net.forward([3.0]), "y")
    assert gp.compare(g, {("x", "y"): 3.7}).verdicts[0].reason == ""
    assert gp.compare(g, {("x", "y"): -3.0}).verdicts[0].reason == "the sign is flipped"


def test_the_worst_entry_comes_first_by_the_textbooks_name() -> None:
    W2 = plain.gradients()["W2"].copy()
    W2[1, 2] += 1e-5
    W2[0, 0] += 1e-7
    verdict = gp.compare(plain.g, {"W2": W2})["W2"]
    assert (verdict.differing, verdict.entries, verdict.reason) == (2, 9, "")
    assert [worst.entry for worst in verdict.worst] == ["w(1, h[2], y)", "w(0, h[0], y)"]
    assert verdict.worst[0].absolute == pytest.approx(1e-5)
    assert verdict.worst[0].second == W2[1, 2]


def test_swapped_entries_rows_and_columns_are_named() -> None:
    W1 = plain.gradients()["W1"]
    swapped = W1.copy()
    swapped[0, 1], swapped[2, 0] = W1[2, 0], W1[0, 1]
    assert reason(plain, W1=swapped) == "w(0, x[1], h) and w(2, x[0], h) are swapped"
    assert reason(plain, W1=W1[[0, 2, 1]]) == "rows 1 and 2 are swapped"
    assert reason(plain, W1=W1[:, [2, 1, 0]]) == "columns 0 and 2 are swapped"
    assert reason(plain, W1=W1[[1, 2, 0]]) == "the rows are in another order: [1, 2, 0]"


def test_a_missing_derivative_is_named() -> None:
    assert "derivative of tanh at 'h' is missing" in reason(plain, W1=plain.gradients(slope=np.ones(1))["W1"])
    assert "taken at o instead of a" in reason(plain, W1=plain.gradients(slope=1 - np.tanh(plain.h) ** 2)["W1"])
    assert "the output of tanh stands in the place" in reason(plain, b1=plain.gradients(slope=plain.h)["b1"])
    mixed = plain.gradients(slope=np.ones(1))["W1"].T
    assert (
        reason(plain, W1=mixed) == "it is transposed (numerator layout), and the derivative of tanh at 'h' is missing"
    )


def test_wrong_forms_of_the_derivative_of_tanh_are_named() -> None:
    a, h = plain.X @ plain.W1.T + plain.b1, plain.h
    for slope, words in (
        (1 - a**2, "is 1 - a^2, of a instead of o: it is 1 - o^2"),
        (1 - h, "lacks the square: 1 - o instead of 1 - o^2"),
        (h * (1 - h), "is that of sigmoid"),
    ):
        for name in ("W1", "b1"):
            text = reason(plain, **{name: plain.gradients(slope=slope)[name]})
            assert text.startswith(f"the derivative of tanh at 'h' {words}")


def test_wrong_forms_of_the_derivative_of_the_sigmoid_are_named() -> None:
    net = gp.mlp([3, 4, 2], "sigmoid", seed=1, by="layer")
    X, T = plain.X, plain.T[:, :2]
    W1, W2 = (net.weight(*edge) for edge in net.edges)
    a = X @ W1.T + net.bias("h1")
    h = 1 / (1 + np.exp(-a))
    d = (h @ W2.T + net.bias("y") - T) / SAMPLES @ W2
    g = net.backward(net.forward(X), loss="half_squared", target=T)
    assert gp.compare(g, {"W1": (d * h * (1 - h)).T @ X})
    for slope, words in (
        (a * (1 - a), "is a (1 - a), of a instead of o: it is o (1 - o)"),
        (1 - h, "lacks its factor o"),
        (1 - h**2, "is that of tanh"),
    ):
        for mine in ({"W1": (d * slope).T @ X}, {"b1": (d * slope).sum(0)}):
            (verdict,) = gp.compare(g, mine).verdicts
            assert verdict.reason.startswith(f"the derivative of sigmoid at 'h1' {words}")


def test_a_gradient_that_is_not_summed_over_the_samples_is_named() -> None:
    W2, X = np.ones((2, 4)), np.arange(15.0).reshape(5, 3) / 10
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("h", "tanh", {"x": np.full((4, 3), 0.3)}, np.arange(4) / 5, size=4)
    net.add_node("y", "identity", {"h": W2}, [0.1, -0.2], size=2)
    g = net.backward(net.forward(X), loss="half_squared", target=np.zeros((5, 2)))
    h = np.tanh(X @ np.full((3, 4), 0.3) + np.arange(4) / 5)
    r = h @ W2.T + [0.1, -0.2]
    shape = "its shape is 5 x 2, the gradient's is 2: "
    for mine, words in (
        (r / 5, shape + "a row per sample: sum over the samples, and it is right"),
        (r, shape + "a row per sample: take the mean over the samples, and it is right"),
        (-r / 5, shape + "a row per sample: sum over the samples; but the sum is wrong, too: the sign is flipped"),
        (
            r.T / 5,
            "its shape is 2 x 5, the gradient's is 2: a column per sample: sum over the samples, and it is right",
        ),
        (np.ones((4, 2)), "its shape is 4 x 2, the gradient's is 2"),
    ):
        assert gp.compare(g, {"b2": mine})["b2"].reason == words
    each = r[:, :, None] * h[:, None, :] / 5
    assert "a matrix per sample: sum over the samples" in gp.compare(g, {"W2": each})["W2"].reason
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 2.0}, 1.0)
    g = net.backward(net.forward([[1.0], [2.0], [4.0]]), loss="half_squared", target=[[0.0], [1.0], [2.0]])
    assert "a number per sample: take the mean" in gp.compare(g, {"b1": [3.0, 4.0, 7.0]})["b1"].reason
    assert gp.compare(g, {"b1": np.zeros((0, 1))})["b1"].reason == "its shape is 0 x 1, the gradient's is 1"
    text = reason(plain, b2=plain.r + np.diag([0, 0, 0.1]))
    assert text.endswith("but the sum is wrong, too")


def test_a_missing_derivative_of_one_neuron_is_named_with_its_value() -> None:
    net = gp.mlp([2, 3, 1], "sigmoid", seed=4)
    g = net.backward(net.forward([0.7, -0.2]), ("y", 0))
    slope = 1 / (1 + np.exp(-(net.weight_matrix([("h1", 1)], net.inputs) @ [0.7, -0.2])[0]))
    slope *= 1 - slope
    W1 = g.weight_matrix([("h1", i) for i in range(3)], net.inputs).copy()
    W1[1] /= slope
    verdict = gp.compare(g, {"W1": W1})["W1"]
    assert verdict.reason == f"the derivative of sigmoid at ('h1', 1) is missing (here f'(a) = {slope:.6g})"
    assert verdict.worst[0].entry == "w((x, 0), (h1, 1))"


def test_derivatives_missing_in_all_nodes_of_a_layer_or_kind_are_named() -> None:
    assert "derivative of tanh at all tanh nodes is missing" in reason(
        by_neuron, W1=by_neuron.gradients(slope=np.ones(1))["W1"]
    )


def test_a_missing_jacobian_of_softmax_and_a_missing_term_of_softmax_dot_are_named() -> None:
    net = gp.mlp([2, 3], output="softmax", seed=1, by="layer")
    x, t = np.array([0.5, -1.5]), np.array([0.2, 0.3, 0.5])
    g = net.backward(net.forward(x), loss="half_squared", target=t)
    p = np.exp(net.weight("x", "y") @ x)
    p /= p.sum()
    J = np.diag(p) - np.outer(p, p)
    assert gp.compare(g, {"W1": np.outer((p - t) @ J, x)})
    assert "Jacobian of softmax at 'y' is missing" in gp.compare(g, {"W1": np.outer(p - t, x)})["W1"].reason
    diagonal = np.outer((p - t) * p * (1 - p), x)
    assert "only the diagonal of the Jacobian of softmax at 'y'" in gp.compare(g, {"W1": diagonal})["W1"].reason
    net = gp.mlp([2, 3], output="softmax_dot", seed=1, by="layer")
    g = net.backward(net.forward(x), "y")
    a = net.weight("x", "y") @ x
    p = np.exp(a) / np.exp(a).sum()
    assert gp.compare(g, {"W1": np.outer(p * (1 + a - p @ a), x)})
    assert "lacks a term: p stands in the place of p (1 + a - o)" in gp.compare(g, {"W1": np.outer(p, x)})["W1"].reason


def test_a_missing_path_is_named() -> None:
    g, h = skipping.g, skipping.h
    d = (skipping.r @ skipping.W2) * (1 - h**2)
    inputs = {"x": d @ skipping.W1}  # not over x -> y
    (verdict,) = gp.compare(g, {"input": inputs}).verdicts
    assert verdict.reason == "the paths through 'x' -> 'y' are not counted"
    inputs = {"x": skipping.r @ skipping.W3}
    (verdict,) = gp.compare(g, {"input": inputs}).verdicts
    assert verdict.reason == "the paths through 'x' -> 'h' are not counted"
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": 0.7})
    net.add_node("k", "sigmoid", {"h": 1.3})
    net.add_node("y", "identity", {"k": 2.0, "h": -0.4})
    g = net.backward(net.forward([0.9]), "y")
    o = {"h": np.tanh(0.63)}
    k = 1 / (1 + np.exp(-1.3 * o["h"]))
    over_k = 2.0 * k * (1 - k) * 1.3 * (1 - o["h"] ** 2) * 0.9
    (verdict,) = gp.compare(g, {("x", "h"): over_k}).verdicts
    assert verdict.reason == "the paths through 'h' -> 'y' are not counted"


def test_a_missing_derivative_of_the_loss_and_single_samples_are_named() -> None:
    ones = np.full(plain.r.shape, 1 / SAMPLES)
    assert "derivative of the loss (half_squared) by the output is missing" in reason(
        plain, W1=plain.gradients(r=ones)["W1"]
    )
    last = plain.r * [[0], [0], [1]]
    assert "only the last sample is counted" in reason(plain, W1=plain.gradients(r=last)["W1"])
    assert "only the last sample is counted, and 1/B is missing" in reason(plain, W2=3 * plain.gradients(r=last)["W2"])


def test_a_lost_use_of_a_tied_weight_is_named() -> None:
    net = gp.Network()
    net.add_input("x")
    f = net.parameter("f", 0.8)
    net.add_node("p", "tanh", {"x": f})
    net.add_node("q", "tanh", {"p": f, "x": 0.3})
    net.add_node("y", "identity", {"q": f, "p": 1.5})
    g = net.backward(net.forward([0.4]), "y")
    p = np.tanh(0.32)
    q = np.tanh(0.8 * p + 0.12)
    at_q = 0.8 * (1 - q * q)
    uses = [(at_q * 0.8 + 1.5) * (1 - p * p) * 0.4, at_q * p, q]
    assert gp.compare(g, {"f": sum(uses)})
    for lost, label in enumerate(("w(x, p)", "w(p, q)", "w(q, y)")):
        (verdict,) = gp.compare(g, {"f": sum(uses) - uses[lost]}).verdicts
        assert verdict.reason == f"f: its use {label} is not counted"
    assert "of its 3 uses only w(q, y) is counted" in gp.compare(g, {"f": q}).verdicts[0].reason
    theta = g.theta.copy()
    theta[0] /= 3
    assert "the mean of its 3 uses" in gp.compare(g, theta).verdicts[0].reason


def test_what_no_pattern_fits_is_told_by_rows_or_columns() -> None:
    net = gp.mlp([3, 3], output="tanh", seed=1, by="layer")
    g = net.backward(net.forward([0.3, -0.6, 0.9]), seed={"y": [1.0, 2.0, -1.0]})
    W1 = g.weight["x", "y"]
    words = gp.compare(g, {"W1": W1 * [[1.5], [1.0], [0.25]]})["W1"].reason
    assert words.startswith("each row has a factor of its own, 1.5 in row 0, 0.25 in row 2")
    words = gp.compare(g, {"W1": W1 * [1.0, -3.0, 0.2]})["W1"].reason
    assert words.startswith("each column has a factor of its own, -3 in column 1")
    assert reason(plain, W1=np.full((3, 3), np.nan)) == "9 of 9 entries are not finite"


def test_gradients_with_a_fault_are_told_from_those_without() -> None:
    uses = skipping.g.weight_uses.copy()
    uses[4] *= 2.001
    found = gp.compare(skipping.g, dataclasses.replace(skipping.g, weight_uses=uses))
    assert [verdict.name for verdict in found.verdicts if verdict.status != "right"] == ["weights"]
    assert found["weights"].worst[0].entry == skipping.net.layout.label_use(4)


@pytest.mark.parametrize(
    ("width", "wrong", "entries"), [(30, 1543, 1953), pytest.param(300, 54_321, 100_233, marks=pytest.mark.thorough)]
)
def test_one_small_error_among_very_many_entries_is_found(width: int, wrong: int, entries: int) -> None:
    net = gp.mlp([width, width, 33], "tanh", "softmax", seed=0, by="layer")
    trace = net.forward(np.random.default_rng(0).normal(size=(2, width)))
    g = net.backward(trace, loss="cross_entropy", target=np.array([3, 4]))
    theta = g.theta.copy()
    theta[wrong] *= 1 + 1e-6
    assert gp.compare(g, g.theta)
    (verdict,) = gp.compare(g, theta).verdicts
    assert (verdict.entries, verdict.differing) == (entries, 1)
    assert verdict.worst[0].entry == net.layout.label_position(wrong)


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
