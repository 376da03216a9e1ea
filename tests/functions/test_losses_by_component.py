"""mse, mae, huber and hinge are what other libraries call so; all losses by component take missing targets."""

from __future__ import annotations

import re
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import graphprop as gp

rng = np.random.default_rng(0)
Z = np.float64(np.float32(rng.normal(size=(40, 3)) * 10.0 ** rng.integers(-3, 3, size=(40, 3))))
T = {
    "any": np.float64(np.float32(np.where(rng.random((40, 3)) < 0.1, Z, Z + rng.normal(size=(40, 3))))),
    "sign": np.where(rng.random((40, 3)) < 0.5, -1.0, 1.0),
    "unit": rng.random((40, 3)),
}
BY_COMPONENT = [name for name, entry in gp.LOSSES.items() if entry.missing]
MEANS = ["mse", "mae", "huber", "hinge"]


def as_pytorch(name: str, z: Any, t: Any) -> Any:
    """MSELoss, L1Loss, HuberLoss and SmoothL1Loss with reduction="mean", by the formulas of its documentation."""
    d = z - t
    each = {
        "mse": d**2,
        "mae": abs(d),
        "huber": np.where(abs(d) <= 1.0, 0.5 * d**2, 1.0 * (abs(d) - 0.5 * 1.0)),
        "hinge": np.maximum(0.0, 1.0 - t * z),
    }
    return each[name].mean()


def as_keras(name: str, z: Any, t: Any) -> Any:
    """Means over the last axis, then over the samples."""
    error = t - z
    each = {
        "mse": np.square(error).mean(-1),
        "mae": np.abs(error).mean(-1),
        "huber": np.where(np.abs(error) <= 1, np.square(error) / 2, np.abs(error) - 0.5).mean(-1),
        "hinge": np.maximum(1 - t * z, 0).mean(-1),
    }
    return each[name].mean()


def as_scikit_learn(name: str, z: Any, t: Any) -> Any:
    """mean_squared_error, mean_absolute_error, and hinge_loss of two classes: for one output."""
    if name == "hinge":
        margin = t * z
        return np.clip(1 - margin, 0, None).mean()
    return np.average((t - z) ** 2 if name == "mse" else np.abs(z - t))


def identity(size: int) -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=size)
    net.add_node("y", "identity", {"x": np.eye(size)}, np.zeros(size), size=size)
    return net


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("definition", [as_pytorch, as_keras])
def test_a_run_gives_what_others_call_so(name: str, definition: Any) -> None:
    net, t = identity(3), T[gp.LOSSES[name].targets]
    value, _ = net.program.value_and_grad(net.theta, Z, t, loss=name)
    assert value == pytest.approx(definition(name, Z, t), rel=1e-13)
    assert net.backward(net.forward(Z), loss=name, target=t).value == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("name", ["mse", "mae", "hinge"])
def test_for_one_output_it_is_what_scikit_learn_calls_so(name: str) -> None:
    net, t = identity(1), T[gp.LOSSES[name].targets][:, :1]
    value, _ = net.program.value_and_grad(net.theta, Z[:, :1], t, loss=name)
    assert value == pytest.approx(as_scikit_learn(name, Z[:, :1], t), rel=1e-13)


def test_mse_is_two_nths_of_half_squared() -> None:
    mse, half = (gp.loss(name).evaluate(Z, T["any"]) for name in ("mse", "half_squared"))
    for x, y in zip(mse, half, strict=True):
        np.testing.assert_allclose(x, y * 2 / 3, rtol=1e-14)


def test_several_heads_are_each_a_mean_and_add() -> None:
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("v", "identity", {"x": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]}, size=2)
    net.add_node("y", "identity", {"x": [0.0, 0.0, 1.0]})
    t = T["any"]
    value, _ = net.program.value_and_grad(net.theta, Z, t, loss="mae")
    apart = abs(Z - t)
    assert value == pytest.approx(apart[:, :2].mean() + apart[:, 2].mean(), rel=1e-14)


SLOPES = [
    ("mae", 0.5, 0.5, 0.0),
    ("mae", -5e-324, 0.0, -1.0),
    ("huber", 1.0, 0.0, 1.0),
    ("huber", -1.0 - 2**-52, 0.0, -1.0),
    ("huber", 1e-310, 0.0, 1e-310),
    ("huber", 1e300, -1e300, 1.0),
    ("hinge", 1.0, 1.0, 0.0),
    ("hinge", 1.0 - 2**-53, 1.0, -1.0),
    ("hinge", -1.0, -1.0, 0.0),
    ("hinge", 1e308, -1.0, 1.0),
    ("mse", 1e300, 0.0, None),
]


@pytest.mark.parametrize(("name", "z", "t", "slope"), SLOPES)
def test_slopes_at_kinks_and_at_the_ends_of_the_numbers(name: str, z: float, t: float, slope: float | None) -> None:
    net = identity(1)
    goal: dict[str, Any] = {"loss": name, "target": [t]}

    def exactly(numbers: Any) -> Any:
        with mpmath.workdps(700):
            trace = gp.recursion.forward(net, [z], numbers=numbers)
            return float(gp.recursion.backpropagate(net, trace, **goal).input["x"][0])

    doors: dict[str, Any] = {
        "engine": lambda: net.backward(net.forward([z]), **goal).input["x"][0],
        "recursion": lambda: gp.recursion.backpropagate(net, net.forward([z]), **goal).input["x"][0],
        "matrixform": lambda: gp.matrixform.backpropagate(net, net.forward([z]), **goal).input["x"][0],
        "program": lambda: net.program.value_and_grad(net.theta, [[z]], [[t]], loss=name)[1][1],
        "exact": lambda: exactly(mpmath.mp),
        "symbols": lambda: exactly(sympy),
    }
    for door, ask in doors.items():
        if slope is None and door not in ("exact", "symbols"):
            with pytest.raises(gp.NumberError, match=r"overflows|inf"):
                ask()
        elif slope is not None:
            assert ask() == pytest.approx(slope, rel=1e-12, abs=0), door


@pytest.mark.parametrize("name", ["mae", "huber", "hinge"])
def test_at_a_kink_a_check_is_not_wrong(name: str) -> None:
    net, z = identity(3), [1.0, -1.0, 2.0]
    assert gp.check(net, z, loss=name, target=[1.0, -1.0, 1.0] if name == "hinge" else [1.0, 0.0, 1.0]).ok


@pytest.mark.parametrize("name", MEANS)
def test_they_are_checked_compared_explained_and_drawn(name: str) -> None:
    net = gp.mlp([2, 3, 2], "tanh", "identity", seed=1)
    rows, t = np.array([[0.5, -1.0], [2.0, 0.25]]), [[1.0, -1.0], [-1.0, 1.0]]
    for given in ({"target": t}, {}):
        report = gp.check(net, rows, loss=name, **given)
        assert report.ok
        assert not [row for row in report.rows if row.verdict in ("fails", "undecided")]
    trace = net.forward(rows)
    g = net.backward(trace, loss=name, target=t)
    assert not gp.compare(g, {"theta": 2 * g.theta}).ok
    out = net.outputs[0]
    text = gp.explain(net, trace, g, ("value",), depth=1).text(600)
    assert "by the" not in text
    assert "/ 2" in text
    assert "by the loss" not in gp.explain(net, trace, g, ("obar", out), depth=2, sample=0).text(300)
    assert name in gp.draw(net, trace, g).svg


# ------------------------------------------------------------------ missing targets


GAPS = rng.random((40, 3)) < 0.3
GAPS[0] = True  # a sample without any target
DOORS: dict[str, Any] = {
    "Network.backward": lambda net, **k: net.backward(net.forward(Z), **k),
    "recursion": lambda net, **k: gp.recursion.backpropagate(net, net.forward(Z), **k),
    "matrixform": lambda net, **k: gp.matrixform.backpropagate(net, net.forward(Z), **k),
    "exact": lambda net, **k: gp.recursion.backpropagate(net, gp.recursion.forward(net, Z, numbers=mpmath.mp), **k),
}


def with_gaps(name: str) -> Any:
    return np.where(GAPS, np.nan, T[gp.LOSSES[name].targets])


def left_out(name: str, n: int = 3) -> tuple[float, Any]:
    """The mean of all terms that have a target, one by one, divided by as many as if there were no gaps."""
    entry, t = gp.LOSSES[name], T[gp.LOSSES[name].targets]
    value, gradient = 0.0, np.zeros_like(Z)
    divided = n if name in MEANS else 1
    for place in zip(*np.nonzero(~GAPS), strict=True):
        term, slope = entry.evaluate(Z[place].reshape(1), t[place].reshape(1))
        value, gradient[place] = value + term / divided / len(Z), slope[0] / divided / len(Z)
    return value, gradient


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", BY_COMPONENT)
def test_a_missing_target_adds_nothing_and_means_stay_over_all(name: str, door: str) -> None:
    net = identity(3)
    value, gradient = left_out(name)
    g = DOORS[door](net, loss=name, target=with_gaps(name))
    assert float(g.value) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(g.o["y"].astype(float), gradient, rtol=1e-12, atol=1e-14)
    assert (g.o["y"][GAPS] == 0).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", BY_COMPONENT)
def test_so_it_is_for_value_and_grad(name: str, dtype: Any) -> None:
    net = identity(3)
    value, gradient = left_out(name)
    precision = 1e-12 if dtype is np.float64 else 1e-5
    for target in (with_gaps(name), {"y": with_gaps(name)}, with_gaps(name).tolist()):
        found, theta = net.program.value_and_grad(net.theta.astype(dtype), Z, target, loss=name)
        assert found == pytest.approx(value, rel=precision)
        np.testing.assert_allclose(
            theta[net.layout.bias_position], gradient.sum(axis=0), rtol=precision, atol=precision
        )


@pytest.mark.parametrize("name", BY_COMPONENT)
def test_a_check_goes_through_with_gaps_and_an_explanation_says_nothing_of_them(name: str) -> None:
    net = identity(3)
    rows, t = Z[:3], with_gaps(name)[:3]
    assert np.isnan(t).any()
    assert gp.check(net, rows, loss=name, target=t).ok
    trace = net.forward([1.0, -2.0, 0.5])
    g = net.backward(trace, loss=name, target=[1.0, np.nan, 1.0])
    told = gp.explain(net, trace, g, ("value",), depth=1).text(400)
    assert "y][1]" not in told.split("J = ", 2)[2].split("\n")[0]
    assert gp.explain(net, trace, g, ("obar", "y", 1), depth=1).text(200).count("= 0")
    assert gp.compare(g, {"theta": g.theta}).ok
    assert gp.draw(net, trace, g).svg


def test_only_where_a_loss_says_so() -> None:
    net, mine = identity(3), gp.Loss("mine", lambda z, t: abs(z - t).sum(-1), lambda z, t: np.sign(z - t))
    for name in ("softmax_cross_entropy", mine):
        for target in ([[np.nan, 1.0, 0.0]], {"y": [[np.nan, 1.0, 0.0]]}):
            with pytest.raises(gp.NumberError, match="nan"):
                net.backward(net.forward(Z[:1]), loss=name, target=target)
    with pytest.raises(gp.NumberError, match="inf"):
        net.backward(net.forward(Z[:1]), loss="mse", target=[[np.inf, 1.0, 0.0]])
    with pytest.raises(gp.NumberError, match="nan"):
        net.backward(net.forward(Z[:1]), loss="mse", target=[[1.0, 1.0, 0.0]], sample_weight=[np.nan])


def test_a_loss_of_ones_own_says_so_and_is_held_to_it() -> None:
    def value(z: Any, t: Any) -> Any:
        return np.nansum(abs(z - t), -1)

    mine = gp.Loss(
        "mine",
        value,
        lambda z, t: np.nan_to_num(np.sign(z - t)),
        formula=lambda m, z, t: sum(abs(x - y) for x, y in zip(z, t, strict=True) if y is not None),
        kinks=[0.0],
        missing=True,
    )
    net = identity(3)
    expected, gradient = left_out("mae", n=1)
    for door in DOORS:
        g = DOORS[door](net, loss=mine, target=with_gaps("mae"))
        assert float(g.value) == pytest.approx(expected)
        np.testing.assert_allclose(g.o["y"].astype(float), gradient, rtol=1e-12, atol=1e-14)
    assert gp.check(net, Z[:3], loss=mine, target=with_gaps("mae")[:3]).ok
    with pytest.raises(gp.GraphpropError, match="nan"):
        gp.Loss("mine", lambda z, t: abs(z - t).sum(-1), lambda z, t: np.sign(z - t), missing=True)
    with pytest.raises(gp.GraphpropError, match="missing is True or False"):
        gp.Loss("mine", value, lambda z, t: np.sign(z - t), missing=1)
    with pytest.raises(gp.GraphpropError, match="kinks are finite numbers"):
        gp.Loss("mine", value, lambda z, t: np.sign(z - t), kinks=[np.inf])


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *((x, "'mse'") for x in ("MSE", "mean_squared_error", "MSELoss", "mse_loss", "l2", "Mean Squared Error")),
        *((x, "'mae'") for x in ("l1", "L1Loss", "mean-absolute-error")),
        *((x, "'huber'") for x in ("HuberLoss", "smooth_l1")),
        *((x, "'binary_cross_entropy'") for x in ("bce", "BCEWithLogitsLoss", "binary-crossentropy", "log_loss")),
        *((x, "'cross_entropy' or 'softmax_cross_entropy'") for x in ("cross-entropy", "CrossEntropyLoss")),
        *((x, "'softmax_cross_entropy'") for x in ("categorical_crossentropy", "sparse_categorical_crossentropy")),
        *((x, "'nll'") for x in ("NLLLoss", "negative_log_likelihood")),
    ],
)
def test_names_that_people_type_lead_to_the_one_that_is_meant(typed: str, meant: str) -> None:
    with pytest.raises(gp.UnknownNameError, match=re.escape(f"unknown loss {typed!r}; did you mean {meant}?")):
        gp.loss(typed)
    net = identity(3)
    with pytest.raises(gp.UnknownNameError, match=re.escape(f"did you mean {meant}?")):
        net.program.value_and_grad(net.theta, Z, T["any"], loss=typed)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("linear", "identity"), ("logistic", "sigmoid"), ("swish", "silu"), ("LeakyReLU", "leaky_relu"), ("avg", "mean"),
     ("ReLU", "relu"), ("log-softmax", "log_softmax"), ("maximum", "max"), ("expit", "sigmoid")],
)  # fmt: skip
def test_so_do_those_of_activations(typed: str, meant: str) -> None:
    told = re.escape(f"unknown activation {typed!r}; did you mean {meant!r}?")
    with pytest.raises(gp.UnknownNameError, match=told):
        gp.activation(typed)
    with pytest.raises(gp.UnknownNameError, match=told):
        identity(1).add_node("z", typed, {"y": 1.0})


def test_no_other_name_stands_for_two_things() -> None:
    """Each is the name of one, but for cross-entropy, which libraries mean in two ways."""
    for find, table in ((gp.loss, gp.LOSSES), (gp.activation, gp.ACTIVATIONS)):
        for name, entry in table.items():
            for other in entry.also:
                if other in table:
                    assert find(other).name == other
                    continue
                with pytest.raises(gp.UnknownNameError) as raised:
                    find(other)
                meant = str(raised.value).split("did you mean ")[1]
                assert repr(name) in meant
                assert " or " not in meant or other == "cross entropy"
