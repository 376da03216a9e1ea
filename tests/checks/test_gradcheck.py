"""`gp.gradcheck`: right gradients pass, wrong ones are named by entry, bad functions are told what is wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.testing import assert_gradient_is_right
from tests.cases import one_of

X = np.array([1.0, 2.0, -0.5])
RNG = np.random.default_rng(0)


def cubes(x: Any) -> Any:
    return (x**3).sum(), 3 * x**2


def network(w: dict[str, Any]) -> Any:
    """A hidden layer by hand: half the square of W2 tanh(W1 x + b) - 0.3."""
    x = np.array([1.0, -2.0])
    h = np.tanh(w["W1"] @ x + w["b"])
    r = w["W2"] @ h - 0.3
    d = w["W2"] * r * (1 - h * h)
    return 0.5 * r * r, {"W1": np.outer(d, x), "b": d, "W2": r * h}


WEIGHTS = {"W1": RNG.standard_normal((3, 2)), "b": RNG.standard_normal(3), "W2": RNG.standard_normal(3)}


@functools.cache
def wide() -> tuple[Any, np.ndarray]:
    """Value and gradient of a network of 100 450 parameters."""
    net = gp.mlp([200, 400, 50], "tanh", "identity", seed=0)
    rng = np.random.default_rng(1)
    inputs, target, program = rng.standard_normal((4, 200)), rng.standard_normal((4, 50)), net.program
    return lambda theta: program.value_and_grad(theta, inputs, target, loss="half_squared"), net.theta


# ------------------------------------------------------------------ right gradients


def test_right_gradients_pass() -> None:
    for report in (gp.gradcheck(cubes, X), gp.gradcheck(network, WEIGHTS), gp.gradcheck(cubes, 2.0)):
        assert report.ok, str(report)
        report.raise_if_failed()


def test_any_shape_is_taken() -> None:
    report = gp.gradcheck(cubes, np.arange(6.0).reshape(2, 3) + 1)
    assert report
    assert gp.gradcheck(lambda x: (0.0, x), np.empty(0))


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6), st.integers(0, 5))
def test_no_false_alarm(numbers: list[float], kind: int) -> None:
    functions = (
        lambda x: (np.sin(5 * x).sum(), 5 * np.cos(5 * x)),
        lambda x: (np.maximum(x, 0).sum(), (x > 0) * 1.0),
        lambda x: (np.exp(x).prod(), np.exp(x).prod() * np.ones_like(x)),
        lambda x: (np.abs(x).max(), np.sign(x) * (np.arange(len(x)) == np.argmax(np.abs(x)))),
        lambda x: (np.tanh(20 * x).sum() * 1e6, 20e6 * (1 - np.tanh(20 * x) ** 2)),
        lambda x: (float(np.float32(x.sum())), np.ones_like(x)),
    )
    report = gp.gradcheck(functions[kind], np.array(numbers))
    assert report.verdict != "fails", str(report)


def test_a_wide_network_is_checked_in_blocks() -> None:
    function, theta = wide()
    report = gp.gradcheck(function, theta)
    assert report.ok, str(report)
    assert "blocks" in str(report)


# ------------------------------------------------------------------ numbers of other kinds

Sines = Callable[[Any, type], Any]


def of_all(x: Any, kind: type) -> Any:
    """All of it in these numbers, the value too."""
    x = x.astype(kind)
    return np.sin(x).sum(dtype=kind), np.cos(x)


def of_the_gradient(x: Any, kind: type) -> Any:
    return np.sin(x).sum(), np.cos(x).astype(kind)


def of_what_is_inside(x: Any, kind: type) -> Any:
    """Computed in these numbers, and handed out as float64: no array shows it."""
    y = x.astype(kind)
    return float(np.sin(y).sum(dtype=kind)), np.cos(y).astype(float)


def of_the_value(x: Any, kind: type) -> Any:
    return np.sin(x).sum().astype(kind), np.cos(x)


def with_a_long_sum(x: Any, kind: type) -> Any:
    """A matrix that cancels in the backward pass: its rounding is that of its terms, not of the result."""
    M, y = (np.arange(3 * 400).reshape(400, 3) % 7 - 3).astype(kind) / 10, x.astype(kind)
    r = np.tanh(M @ y)
    return float((r.astype(float) ** 2).sum() / 2), M.T @ (r * (1 - r * r))


AT = np.array([0.3, -0.7, 1.1])


@pytest.mark.parametrize("function", [of_all, of_the_gradient, of_what_is_inside, of_the_value, with_a_long_sum])
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.longdouble])
@pytest.mark.parametrize(
    "at", one_of(2, [AT, AT.astype(np.float32), AT.astype(np.float16), AT.tolist()]), ids=["64", "32", "16", "list"]
)
def test_a_right_gradient_is_held_to_the_precision_of_its_numbers(function: Sines, kind: type, at: Any) -> None:
    single = gp.gradcheck(lambda x: function(x, kind), at)
    by_name = gp.gradcheck(
        lambda w: (function(w["a"], kind)[0] + w["b"] ** 2, {"a": function(w["a"], kind)[1], "b": 2 * w["b"]}),
        {"a": at, "b": 0.5},
    )
    for report in (single, by_name, assert_gradient_is_right(lambda x: function(x, kind), at)):
        assert report.verdict != "fails", str(report)
        assert kind is np.float16 or report.ok, str(report)


def test_a_gradient_of_float32_is_right_and_so_says_the_fixture(gradcheck: Any) -> None:
    assert gp.gradcheck(lambda w: (np.sin(w).sum(), np.cos(w).astype(np.float32)), [0.3, -0.7, 1.1])
    assert gradcheck(lambda w: (np.sin(w).sum(), np.cos(w).astype(np.float16)), [0.3, -0.7, 1.1]).ok


@pytest.mark.parametrize("function", [of_all, of_the_gradient, of_what_is_inside, of_the_value, with_a_long_sum])
@pytest.mark.parametrize(("kind", "off"), [(np.float32, 1e-3), (np.float16, 0.3)])
def test_an_error_above_the_precision_of_the_numbers_is_found(function: Sines, kind: type, off: float) -> None:
    report = gp.gradcheck(lambda x: (function(x, kind)[0], function(x, kind)[1] * np.array([1, 1 + off, 1], kind)), AT)
    assert report.verdict == ("fails" if kind is np.float32 else report.verdict)
    assert not report.ok
    if report.verdict == "fails":
        assert list(report.worst) == ["theta[1]"]


def test_what_is_nearly_1_times_as_large_is_not_called_that() -> None:
    report = gp.gradcheck(lambda x: (cubes(x)[0], cubes(x)[1] * (1 + 3e-10)), X)
    assert report.verdict == "fails"
    assert "1 times" not in str(report)
    stated, right = report.findings[0].removeprefix("theta[0] is ").split(", differences of the value give ")
    assert stated != right


# ------------------------------------------------------------------ functions that swing


@pytest.mark.parametrize("place", one_of(2, (1e-3, 1.0, 1e3, 1e4, 1e5, 1e6, 1e8)))
@pytest.mark.parametrize("frequency", [1.0, 30.0, 1e3, 1e5])
@pytest.mark.parametrize("stated", ["right", "twice", "0"])
def test_what_swings_fast_is_not_judged_by_leaps_over_it(place: float, frequency: float, stated: str) -> None:
    factor = {"right": 1.0, "twice": 2.0, "0": 0.0}[stated]
    for seed in range(2):
        x = place * np.random.default_rng(seed).uniform(-1, 1, 4)
        report = gp.gradcheck(lambda x: (np.sin(frequency * x).sum(), factor * frequency * np.cos(frequency * x)), x)
        assert report.verdict in (("ok", "undecided") if stated == "right" else ("fails", "undecided")), str(report)
        if place * frequency <= 1e5:
            assert report.verdict == ("ok" if stated == "right" else "fails"), str(report)


def test_what_swings_faster_than_all_steps_is_undecided() -> None:
    for frequency in (1e12, 1e14):
        for stated in (1.0, 0.0, 2.0):
            report = gp.gradcheck(
                lambda x: (np.sin(x * frequency).sum(), stated * frequency * np.cos(x * frequency)),  # noqa: B023
                [0.3, 0.7],
            )
            assert report.verdict == "undecided", str(report)


# ------------------------------------------------------------------ planted faults


@pytest.mark.parametrize("stated", [1e6, 1.0, -1e-6, 1e300])
@pytest.mark.parametrize("value", [3.0, 0.0, 1e5, np.float32(0.1), np.pi])
def test_a_gradient_where_the_value_does_not_depend_on_the_parameter_is_wrong(stated: float, value: float) -> None:
    alone = gp.gradcheck(lambda x: (value, np.full_like(x, stated)), X)
    among = gp.gradcheck(lambda x: (value + np.sin(x[0]), np.array([np.cos(x[0]), 0.0, stated])), X)
    by_name = gp.gradcheck(lambda w: (value + w["a"], {"a": 1.0, "b": stated}), {"a": 0.5, "b": 2.0})
    told = abs(stated) * 0.1 > 1e4 * float(np.finfo(np.float32).eps) * abs(float(value))
    for report, entry in ((alone, "theta[0]"), (among, "theta[2]"), (by_name, "b")):
        assert not report.ok, str(report)
        if told:
            assert report.verdict == "fails", str(report)
            assert entry in report.worst
            assert report.worst[entry]["central differences"] == 0


def test_the_fixture_fails_where_the_value_does_not_depend_on_the_parameter(gradcheck: Any) -> None:
    with pytest.raises(AssertionError, match=r"theta\[1\] is 1000000, differences of the value give 0"):
        gradcheck(lambda x: (x[0] ** 2, np.array([2 * x[0], 1e6])), [0.7, 0.3])

    def dead(x: Any) -> Any:
        """The derivative of relu, without the mask."""
        return np.maximum(x, 0).sum() + x[0] ** 2, np.array([1 + 2 * x[0], 1.0])

    with pytest.raises(AssertionError, match=r"theta\[1\] is 1, differences of the value give 0"):
        gradcheck(dead, [1.5, -3.0])


def test_an_entry_is_named() -> None:
    report = gp.gradcheck(lambda x: (cubes(x)[0], cubes(x)[1] * [1, 1 + 1e-7, 1]), X)
    assert report.verdict == "fails"
    assert report.rows[0].entry == "theta[1]"
    assert list(report.worst) == ["theta[1]"]
    with pytest.raises(gp.GraphpropError, match=r"theta\[1\] is"):
        report.raise_if_failed()


def test_entries_of_a_mapping_and_of_matrices_are_named() -> None:
    def swapped(w: Any) -> Any:
        value, g = network(w)
        g["W1"][0], g["W1"][2] = g["W1"][2].copy(), g["W1"][0].copy()
        return value, g

    report = gp.gradcheck(swapped, WEIGHTS)
    assert set(report.worst) == {"W1[0, 0]", "W1[0, 1]", "W1[2, 0]", "W1[2, 1]"}


@pytest.mark.parametrize(("factor", "told"), [(2.001, "2.001 times as large"), (-1.0, "the wrong sign")])
def test_a_common_factor_is_recognised(factor: float, told: str) -> None:
    report = gp.gradcheck(lambda x: (cubes(x)[0], factor * cubes(x)[1]), X)
    assert told in report.findings[0]
    assert len(report.worst) == 3


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_transposed_gradient_of_a_square_matrix_is_recognised(n: int) -> None:
    x, v = np.arange(1.0, n + 1), np.linspace(-1, 2, n)
    square = RNG.standard_normal((n, n))

    def turned(w: Any) -> Any:
        g = np.outer(v * np.cos(w["W"] @ x), x)
        return v @ np.sin(w["W"] @ x) + (w["b"] ** 2).sum(), {"W": g.T, "b": 2 * w["b"]}

    report = gp.gradcheck(turned, {"W": square, "b": np.array([0.3, 0.7])})
    assert report.findings[0] == "the gradient by W is transposed (numerator layout)"
    assert report.findings[1].startswith("W[0, 1] is ")
    assert report.findings[1].endswith(" (that of the transposed entry)")
    assert (report.findings[-1] == "there may be more") == (n > 2)


def test_a_transpose_is_told_from_a_swap_and_beside_other_faults() -> None:
    right = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    swapped = right.copy()
    swapped[0, 1], swapped[1, 0] = 4.0, 2.0
    report = gp.gradcheck(lambda w: ((w * right).sum(), swapped), np.ones((3, 3)))
    assert report.findings == (
        "theta[0, 1] is 4, differences of the value give 2 (that of the transposed entry)",
        "theta[1, 0] is 2, differences of the value give 4 (that of the transposed entry)",
    )
    two = right[:2, :2]
    report = gp.gradcheck(
        lambda w: ((w["W"] * two).sum() + w["b"], {"W": two.T, "b": 3.0}), {"W": np.ones((2, 2)), "b": 1.0}
    )
    assert report.findings[0] == "the gradient by W is transposed (numerator layout)"
    assert report.findings[-1] == "b is 3, differences of the value give 1 (3 times)"


def test_a_gradient_of_the_transposed_shape_is_told() -> None:
    with pytest.raises(gp.GraphpropError, match=r"theta has \(2, 3\), of which it is the transpose"):
        gp.gradcheck(lambda x: (x.sum(), np.ones((3, 2))), np.ones((2, 3)))


@pytest.mark.parametrize("entry", one_of(3, (60_000, 17, 100_440)))
def test_one_of_100_000_entries_wrong_by_a_millionth(entry: int) -> None:
    function, theta = wide()

    def wrong(theta: Any) -> Any:
        value, gradient = function(theta)
        gradient[entry] *= 1 + 1e-6
        return value, gradient

    report = gp.gradcheck(wrong, theta)
    assert report.rows[0].entry == f"theta[{entry}]"
    assert list(report.worst) == [f"theta[{entry}]"]


def test_nan_is_a_failure() -> None:
    report = gp.gradcheck(lambda x: (x.sum(), np.array([1.0, np.nan, 1.0])), X)
    assert report.verdict == "fails"
    assert report.findings == ("theta[1] is nan",)


# ------------------------------------------------------------------ what cannot be told


def test_a_kink_and_a_vanished_slope_are_undecided() -> None:
    relu = gp.gradcheck(lambda x: (np.maximum(x, 0).sum(), (x > 0) * 1.0), np.array([1.0, 0.0, -2.0]))
    assert relu.verdict == "undecided"
    assert relu.undecided == ("theta[1] (at a kink)",)
    flat = gp.gradcheck(lambda x: (np.tanh(50 * x).sum(), 50 / np.cosh(50 * x) ** 2), np.array([1.0, 0.01]))
    assert flat.undecided == ("theta[0] (too small for differences)",)
    large = gp.gradcheck(lambda x: (np.maximum(x, 1).sum() * 1e6, (x > 1) * 1e6), np.array([[1.0, 3.0]]))
    assert large.undecided == ("theta[0, 0] (at a kink)",)
    step = gp.gradcheck(lambda x: ((x > 0).sum() + x.sum(), np.ones_like(x)), np.array([0.0, 1.0]))
    assert "theta[0] (at a jump of the value)" in step.undecided
    root = gp.gradcheck(lambda x: (x**1.5, 1.5 * x**0.5), 0.0)
    assert root.undecided == ("theta (the value is not finite next to it)",)


def test_a_stationary_point_and_a_constant_are_decided() -> None:
    assert gp.gradcheck(lambda x: ((x**2).sum(), 2 * x), np.zeros(2))
    assert gp.gradcheck(lambda x: (1.0, 0 * x), X)


# ------------------------------------------------------------------ bad functions


def raising(x: Any) -> Any:
    raise KeyError("w")


def drifting() -> Any:
    count = iter(range(10**9))
    return lambda x: (float(next(count)), x)


def in_place(x: Any) -> Any:
    x *= 2
    return x.sum(), np.ones_like(x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (3, "a function is checked, not int"),
        (raising, "the function raised KeyError: 'w'"),
        (lambda x: x.sum(), "has to return"),
        (lambda x: (x, x), "it has to be one number"),
        (lambda x: (x.sum(), x[:2]), r"has shape \(2,\); theta has \(3,\)"),
        (lambda x: (x.sum(), "no"), "numbers are needed"),
        (lambda x: (np.nan, x), "the value at theta is nan"),
        (drifting(), "not the same twice"),
        (in_place, "changes theta in place"),
    ],
)
def test_bad_functions_are_told(function: Any, message: str) -> None:
    with pytest.raises(gp.GraphpropError, match=message):
        gp.gradcheck(function, X)


def test_bad_theta_is_told() -> None:
    with pytest.raises(gp.GraphpropError, match="lacks 'b'"):
        gp.gradcheck(lambda w: (1.0, {"a": 1.0}), {"a": 1.0, "b": 2.0})
    with pytest.raises(gp.GraphpropError, match="so it is one too"):
        gp.gradcheck(lambda w: (1.0, 1.0), {"a": 1.0})
    with pytest.raises(gp.NumberError, match=r"theta\[1\] is not finite"):
        gp.gradcheck(cubes, np.array([1.0, np.inf]))


@pytest.mark.parametrize("scale", [1e4, 1e11, 1e13, 1e14, 1e15, 1e17])
def test_what_swings_where_theta_is_large_is_never_called_wrong(scale: float) -> None:
    rng = np.random.default_rng(1)
    for speed in (1.0, 50.0, 1000.0):
        for _ in range(4):
            theta = scale * rng.standard_normal(2)
            report = gp.gradcheck(lambda t: (np.sin(speed * t).sum(), speed * np.cos(speed * t)), theta)  # noqa: B023
            assert report.rows[0].verdict != "fails", theta


@pytest.mark.parametrize("value", [1e308, -1e308, 1e39])
def test_a_value_beyond_float32_is_a_value_like_others(value: float) -> None:
    assert gp.gradcheck(lambda theta: (value, np.zeros(3)), [1.0, 2.0, 3.0]).ok


def test_products_that_overflow_warn_of_nothing_and_the_functions_own_warnings_are_heard() -> None:
    report = gp.gradcheck(lambda w: (1.0, np.full(1, 1e308)), np.full(1, 1e308))
    assert not report.ok

    def warns(w: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.exp(1000.0 * w).sum() * 0), np.zeros(1)

    with np.errstate(over="raise"), pytest.raises(gp.GraphpropError, match="FloatingPointError: overflow"):
        gp.gradcheck(warns, np.ones(1))
