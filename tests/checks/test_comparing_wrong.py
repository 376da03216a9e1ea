"""`compare` finds what is wrong, and its name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import graphprop as gp
from tests.checks.comparing_cases import (
    SAMPLES,
    Array,
    by_neuron,
    plain,
    reason,
    skipping,
)


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
