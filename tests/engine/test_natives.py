"""Activations as machine code: the values and derivatives of the Python functions, whatever a user's function does."""

from __future__ import annotations

import decimal
import functools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
from numba import njit

import graphprop as gp
from graphprop.engine.loops import compiled_functions, elementary
from tests.against_recursion import assert_same_descent

TINY = [5e-324, 1e-310, 2.3e-308, 1e-300, 1e-150, 1e-20, 1e-9]
MIDDLE = [1e-5, 0.01, 0.3, 0.4999, 0.7, 1.0, 1.3, 2.0, 3.7, 5.9, 8.0, 12.0, 19.0, 26.0, 37.0, 38.5]
LARGE = [64.0, 64.5, 100.0, 300.0, 700.0, 709.7, 745.0, 746.5, 1e4, 1e10, 1e150, 1.3e154, 1e300, 1.7e308]
GRID = [0.0, -0.0] + [sign * x for x in TINY + MIDDLE + LARGE for sign in (1, -1)]


def alone(f: Any, size: int | None = None) -> gp.Network:
    """A network whose one node gives f of its inputs."""
    net = gp.Network()
    net.add_input("x", size=size)
    net.add_node("y", f, {"x": 1.0 if size is None else np.eye(size)}, size=size)
    return net


def allowed(f: gp.Activation, row: list[float]) -> bool:
    try:
        value, slope = f.value(row), f.vjp(row, 1.0 if f.kind == "reducing" else np.ones(len(row)))
    except gp.NumberError:
        return False
    return bool(np.isfinite(value).all() and np.isfinite(slope).all())


def slopes_of(f: gp.Activation, row: list[float]) -> list[float]:
    jacobian = f.jacobian(row if f.kind != "elementwise" else row[0])
    return [float(z) for z in np.ravel(jacobian)]


def agree(found: Any, expected: Any, tolerance: float = 1e-13) -> bool:
    """Relative, and near the threshold of underflow some hundred units of the smallest number."""
    x, y = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    return bool((np.abs(x - y) <= np.maximum(tolerance * np.abs(y), 400 * 5e-324)).all())


@pytest.mark.parametrize("name", list(gp.ACTIVATIONS))
@pytest.mark.parametrize("together", [1, 5, 1000], ids=["one by one", "a few", "all together"])
def test_machine_code_gives_what_the_python_function_gives(name: str, together: int) -> None:
    f = gp.ACTIVATIONS[name]
    assert compiled_functions.is_compiled(f)
    if f.kind == "elementwise":
        rows, size = [[x] for x in GRID if allowed(f, [x])], None
    else:
        rng = np.random.default_rng(0)
        near = [[x, y, z] for x in GRID[:30] for y, z in ((0.5, -2.0), (x, 1.0))]
        wide = (rng.normal(size=(60, 3)) * 10.0 ** rng.integers(-8, 3, (60, 3))).tolist()
        rows, size = [row for row in near + wide if allowed(f, row)], 3
    assert len(rows) > 20
    net = alone(f, size)
    program = gp.compile(net)
    for first in range(0, len(rows), together):
        batch = np.array(rows[first : first + together])
        found = program.predict(net.theta, batch)
        for row, value in zip(batch, found, strict=True):
            tolerance = 1e-13 if f.kind == "elementwise" else 1e-12  # the sums may be in another order
            assert agree(value, np.atleast_1d(f.value(row[0] if size is None else row)), tolerance), row
        # the derivative by the weight is that by a times a, and is refused if it overflows
        tame = [
            all(abs(z * max(abs(x), 1.0)) < 1e300 for x in row for z in slopes_of(f, row)) for row in batch.tolist()
        ]
        batch = batch[np.array(tame) & (np.abs(found) < 1e300).all(axis=1)]
        if not len(batch):
            continue
        g = np.tile([0.3, -1.0, 2.0], (len(batch), 1)) if f.kind == "vector" else np.ones((len(batch), 1))
        _, slopes = program.vjp(net.theta, batch, g)
        for row, slope, seed in zip(batch, slopes, g, strict=True):
            a = row[0] if size is None else row
            expected = np.atleast_1d(f.vjp(a, seed if f.kind == "vector" else seed[0]))
            scale = 1.0 if f.kind == "elementwise" else np.abs(expected).max(initial=0) * 1e-12 + 1e-12
            apart = np.abs(slope - expected)
            fine = agree(slope, expected, tolerance) or (f.kind != "elementwise" and (apart <= scale).all())
            assert fine, (row, slope, expected)


@pytest.mark.parametrize("name", [name for name, f in gp.ACTIVATIONS.items() if f.parameters])
def test_parameters_of_an_activation_reach_the_machine_code(name: str) -> None:
    for number in (0.5, -1.25):
        f = gp.activation(name, dict.fromkeys(gp.ACTIVATIONS[name].parameters, number))
        assert compiled_functions.is_compiled(f)
        net = alone(f)
        for a in (-1.5, -0.1, 0.4, 3.0):
            assert agree(gp.compile(net).predict(net.theta, [a]), f.value(a))
            assert agree(gp.compile(net).vjp(net.theta, [a], [1.0])[1], f.vjp(a, 1.0))


def units_apart(found: float, exact: Any) -> float:
    """The distance from the exact number in units of its last place."""
    nearest = float(exact)
    if math.isinf(nearest) or nearest == 0:
        return 0.0 if found == nearest else math.inf
    return float(abs(mpmath.mpf(found) - exact) / mpmath.mpf(math.ulp(nearest)))


ARGUMENTS = sorted(
    {x for x in GRID if abs(x) < 1e5}
    | {k * math.log(2) / 2 * (1 + d) for k in range(-60, 61) for d in (0, 1e-16, -1e-16, 1e-9)}
    | set(np.random.default_rng(1).uniform(-745, 709, 400).tolist())
    | set(np.random.default_rng(2).normal(size=400).tolist())
    | {709.78, 709.782712893384, -708.3964185322641, -708.4, -745.13, -740.0, -745.2}
)


@functools.cache
def fast(name: str) -> Any:
    """A function that the loops alone call, for Python."""
    function = getattr(elementary, name)
    return njit(lambda x: function(x))


@pytest.mark.parametrize(("name", "most"), [("exp", 2.0), ("expm1", 3.0), ("tanh", 3.0)])
def test_the_exponentials_are_right_to_units_in_the_last_place(name: str, most: float) -> None:
    function, exact = fast(name), getattr(mpmath, name)
    with mpmath.workdps(60):
        worst = max(
            (units_apart(float(function(x)), exact(mpmath.mpf(x))), x)
            for x in ARGUMENTS
            if abs(exact(mpmath.mpf(x))) < mpmath.mpf(1.7976931348623157e308)
        )
    assert worst[0] <= most, worst


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        *[("exp", x, math.inf) for x in (math.inf, 1e308, 710.0, 709.8)],
        *[("exp", x, 0.0) for x in (-math.inf, -1e308, -746.0)],
        *[("exp", x, 1.0) for x in (0.0, -0.0, 5e-324, -5e-324, 1e-17)],
        *[("expm1", x, math.inf) for x in (math.inf, 1e308, 710.0)],
        *[("expm1", x, -1.0) for x in (-math.inf, -1e308, -50.0)],
        *[("expm1", x, x) for x in (0.0, 5e-324, -5e-324, 1e-300, -1e-20)],
        *[("tanh", x, 1.0) for x in (math.inf, 1e308, 20.0)],
        *[("tanh", x, -1.0) for x in (-math.inf, -1e308, -20.0)],
        *[("tanh", x, x) for x in (0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-20)],
    ],
)
def test_the_exponentials_at_their_ends(name: str, x: float, expected: float) -> None:
    found = float(fast(name)(x))
    assert found == expected
    if name == "tanh":
        assert math.copysign(1.0, found) == math.copysign(1.0, expected)


QUARTERS = sorted(
    {k * math.pi / 2 * (1 + d) for k in (*range(-40, 41), 1001, -65537, 636619) for d in (0, 1e-16, -1e-16, 1e-9)}
    | {k * math.pi / 4 * (1 + d) for k in range(-41, 41, 2) for d in (0, 1e-15, -1e-15)}
    | set(np.random.default_rng(1).uniform(-elementary.FAR, elementary.FAR, 300).tolist())
    | set(np.random.default_rng(2).normal(size=400).tolist())
    | {0.0, 5e-324, -1e-300, 1e-20, elementary.FAR, -elementary.FAR}
)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_are_right_to_units_in_the_last_place(name: str) -> None:
    function, exact = fast(name), getattr(mpmath, name)
    with mpmath.workdps(60):
        worst = max((units_apart(float(function(x)), exact(mpmath.mpf(x))), x) for x in QUARTERS)
    assert worst[0] <= 2.0, worst
    assert math.copysign(1.0, fast("sin")(-0.0)) == -1.0


@pytest.mark.parametrize("far", [1.1e6, -1e9, 1e22, 1e300])
def test_a_sine_far_away_is_that_of_the_library(far: float) -> None:
    """Whatever else stands in the batch; also where sin is inside of a user's function."""
    own = gp.Activation("twice", lambda a: 2.0 * math.sin(a), lambda a, o: 2.0 * math.cos(a))
    for f, factor in ((gp.activation("sin"), 1.0), (own, 2.0)):
        net = gp.Network()
        net.add_input("x")
        net.add_node("y", f, {"x": 1.0})
        rows = np.array([[0.5], [far], [-2.0]])
        program = gp.compile(net)
        assert compiled_functions.is_compiled(f)
        assert agree(program.predict(net.theta, rows).ravel(), [factor * math.sin(x) for x in rows.ravel()])
        _, slopes = program.vjp(net.theta, rows, np.ones((3, 1)))
        assert agree(slopes.ravel(), [factor * math.cos(x) for x in rows.ravel()])


@pytest.mark.parametrize("name", ["exp", "expm1", "tanh", "sin", "cos"])
def test_the_functions_of_nan_are_nan(name: str) -> None:
    assert math.isnan(fast(name)(math.nan))


# ------------------------------------------------------------------ a user's functions

SCALE = 3.0
TABLE = (1.0, 2.0, 3.0)
NUMBERS = np.array(TABLE)


def times(a: float) -> float:
    return SCALE * math.tanh(a)


def times_slope(a: float) -> float:
    return SCALE * (1 - math.tanh(a) ** 2)


def closed_over(factor: float) -> gp.Activation:
    return gp.Activation("scaled", lambda a: factor * a * a, lambda a, o: 2 * factor * a)


def with_default(a: float, factor: float = 0.25) -> float:
    return factor * math.exp(a)


def keyword(a: float, *, factor: float = 0.25) -> float:
    return factor * a


def falling(a: float) -> float:
    """A function that calls itself."""
    return a if a < 1 else 0.5 * falling(a - 1)


def falling_slope(a: float, o: float) -> float:
    return 1.0 if a < 1 else 0.5 * falling_slope(a - 1, o)


def even(a: float) -> float:
    return 1.0 * a if a < 1 else odd(a - 1)


def odd(a: float) -> float:
    return -1.0 * a if a < 1 else even(a - 1)


def even_slope(a: float, o: float) -> float:
    return 1.0 if math.floor(a) % 2 == 0 or a < 1 else -1.0


class Doubled:
    def __call__(self, a: float) -> float:
        return 2.0 * a

    def value(self, a: float) -> float:
        return 2.0 * a


def through_decimals(a: float) -> float:
    return float(2 * decimal.Decimal(a))


USERS = {
    "lambda": gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a**2),
    "closure": closed_over(0.5),
    "another closure": closed_over(-2.0),
    "helper": gp.Activation("helped", lambda a: times(a) + 1, lambda a, o: times_slope(a)),
    "parameters": gp.Activation(
        "line", lambda a, m, c: m * a + c, lambda a, o, m, c: m, parameters={"m": 0.5, "c": -1.0}
    ),
    "default": gp.Activation("default", with_default, lambda a, o: o),
    "keyword": gp.Activation("keyword", keyword, lambda a, o: 0.25),
    "not compiled": gp.Activation("decimal", through_decimals, lambda a, o: 2.0),
    "numpy": gp.Activation("arctan", np.arctan, lambda a, o: 1 / (1 + a * a)),
    "math": gp.Activation("erf", math.erf, lambda a, o: 2 / math.sqrt(math.pi) * math.exp(-a * a)),
    "partial": gp.Activation("partial", functools.partial(lambda k, a: k * a, 3.0), lambda a, o: 3.0),
    "object": gp.Activation("object", Doubled(), lambda a, o: 2.0),
    "method": gp.Activation("method", Doubled().value, lambda a, o: 2.0),
    "integers": gp.Activation("steps", lambda a: 2 if a > 0 else -1, lambda a, o: 0, kinks=(0.0,)),
    "table": gp.Activation("table", lambda a: a * TABLE[1], lambda a, o: TABLE[1]),
    "calls itself": gp.Activation("falling", falling, falling_slope, check=False),
    "call each other": gp.Activation("even", even, even_slope, check=False),
}


@pytest.mark.parametrize("what", list(USERS))
def test_a_users_scalar_function(what: str) -> None:
    f = USERS[what]
    net = alone(f)
    rows = np.array([-2.5, -1.0, 0.3, 0.9, 1.7, 2.6])[:, None]
    assert agree(gp.compile(net).predict(net.theta, rows)[:, 0], f.value(rows[:, 0]))
    assert agree(gp.compile(net).vjp(net.theta, rows, np.ones((6, 1)))[1][:, 0], f.vjp(rows[:, 0], np.ones(6)))
    found = gp.compile(net).predict(net.theta.astype(np.float32), rows)[:, 0]
    assert agree(found, f.value(rows[:, 0].astype(np.float32)), 2e-7)


@pytest.mark.parametrize("what", ["lambda", "closure", "helper", "parameters", "default"])
def test_an_ordinary_scalar_function_is_compiled(what: str) -> None:
    assert compiled_functions.is_compiled(USERS[what])


def rising(a: float) -> float:
    if a > 4:
        raise ValueError("more than four")
    return a


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (rising, "more than four"),
        (lambda a: rising(a), "more than four"),
        (lambda a: TABLE[int(abs(a))], "out of range"),
        (lambda a: NUMBERS[int(abs(a))], "out of bounds"),
        (lambda a: [0.5, 1.5][int(abs(a))], "out of range"),
        (lambda a: a if a < 5 else None, "None"),
        (lambda a: float(6 // (5 - int(a))), "zero"),
        (lambda a: 1.0 / (5 - a), "zero"),
        (lambda a: math.sqrt(4.5 - a), "domain"),
        (lambda a: math.log(5.0 - a), "domain|positive"),
        (lambda a: math.exp(200.0 * a), "range"),
        (lambda a: (4.0 - a) ** 0.5, "complex"),
    ],
    ids=["raise", "helper", "tuple", "array", "list", "None", "int / 0", "1 / 0", "sqrt", "log", "exp", "power"],
)
@pytest.mark.parametrize("samples", [1, 20])
def test_what_a_users_function_raises_is_told_with_the_node(value: Any, message: str, samples: int) -> None:
    """The engine refuses what Python refuses, also where another node reads the result."""
    f = gp.Activation("mine", value, lambda a, o: 1.0, check=False)
    net = alone(f)
    net.add_node("end", "sigmoid", {"y": 0.5})
    rows = np.zeros((samples, 1))
    program = gp.compile(net)
    program.predict(net.theta, rows)
    rows[-1] = 5.0
    for run in (
        lambda: gp.recursion.forward(net, rows),
        lambda: net.forward(rows),
        lambda: program.predict(net.theta, rows),
        lambda: program.value_and_grad(net.theta, rows, np.zeros((samples, 1)), loss="half_squared"),
        lambda: program.vjp(net.theta, rows, np.ones((samples, 1))),
    ):
        with pytest.raises(gp.NumberError, match=rf"node 'y'(, sample 19)?: mine\(5\.0\): .*({message})"):
            run()
    assert np.isfinite(program.predict(net.theta, rows * 0)).all()


def no_slope(a: Any, o: Any, g: Any = 1.0) -> Any:
    raise ValueError("no derivative here")


def short_slope(a: Any, o: Any, g: Any = 1.0) -> Any:
    return g[:1]


@pytest.mark.parametrize(
    ("kind", "value", "derivative", "message"),
    [
        ("elementwise", lambda a: a, no_slope, "no derivative here"),
        ("elementwise", lambda a: a, lambda a, o: TABLE[int(a) + 7], "out of range"),
        ("reducing", lambda a: a.sum(), no_slope, "no derivative here"),
        ("vector", lambda a: 2 * a, no_slope, "no derivative here"),
        ("vector", lambda a: 2 * a, short_slope, "derivative"),
    ],
)
def test_what_a_users_derivative_raises_is_told_with_the_node(
    kind: Any, value: Any, derivative: Any, message: str
) -> None:
    f = gp.Activation("mine", value, derivative, kind=kind, check=False)
    net = alone(f, 3)
    program, rows = gp.compile(net), np.ones((4, 3))
    outputs = program.predict(net.theta, rows)
    for run in (
        lambda: gp.recursion.backpropagate(net, net.forward(rows), loss="half_squared", target=0 * outputs),
        lambda: net.backward(net.forward(rows), loss="half_squared", target=0 * outputs),
        lambda: program.value_and_grad(net.theta, rows, 0 * outputs, loss="half_squared"),
        lambda: program.vjp(net.theta, rows, np.ones(outputs.shape)),
    ):
        with pytest.raises(gp.GraphpropError, match=f"node 'y'.*{message}"):
            run()


def test_a_vector_function_that_gives_too_few_numbers_is_refused() -> None:
    net = alone(gp.Activation("one", lambda a: a[:1], lambda a, o, g: g, kind="vector", check=False), 3)
    for run in (lambda: net.forward([1.0, 2.0, 3.0]), lambda: gp.compile(net).predict(net.theta, [1.0, 2.0, 3.0])):
        with pytest.raises(gp.GraphpropError, match="node 'y': one gave 1 outputs in place of 3"):
            run()


def test_the_machine_code_is_right_for_integers_beyond_64_bits_or_python_runs_it() -> None:
    for value in (lambda a: float(int(a) ** 3), lambda a: math.floor(a) * 1.0):
        f = gp.Activation("whole", value, lambda a, o: 0.0, check=False)
        net = alone(f)
        for a in (1e8, 1e30):
            try:
                found = gp.compile(net).predict(net.theta, [a])[0]
            except gp.GraphpropError:
                continue
            assert agree(found, f.value(a))


def test_a_users_array_functions_run_as_they_are() -> None:
    norm = gp.Activation("norm", lambda a: np.sqrt((a * a).sum()), lambda a, o, g: g * a / o, kind="reducing")
    turned = gp.Activation("turned", lambda a: a[::-1] * 2, lambda a, o, g: 2 * g[::-1], kind="vector")
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("t", turned, {"x": np.arange(9.0).reshape(3, 3) / 9}, size=3)
    net.add_node("y", norm, {"t": np.eye(3), "x": np.eye(3)}, size=3)
    rows = np.random.default_rng(3).normal(size=(40, 3))
    trace = gp.recursion.forward(net, rows)
    expected = gp.recursion.backpropagate(net, trace, loss="half_squared", target=np.ones((40, 1)))
    assert net.backward(trace, loss="half_squared", target=np.ones((40, 1))).allclose(expected, rtol=1e-13)
    for dtype in (np.float64, np.float32):
        theta = net.theta.astype(dtype)
        found = gp.compile(net).value_and_grad(theta, rows, np.ones((40, 1)), loss="half_squared")
        assert_same_descent(found, expected)


def test_a_users_loss() -> None:
    cosh = gp.Loss("log cosh", lambda z, t: np.log(np.cosh(z - t)).sum(-1), lambda z, t: np.tanh(z - t))
    net = gp.mlp([2, 4, 3], seed=4)
    rows, target = np.random.default_rng(5).normal(size=(2, 50, 3))
    goal: dict[str, Any] = {"loss": cosh, "target": target, "sample_weight": np.arange(50)}
    expected = gp.recursion.backpropagate(net, gp.recursion.forward(net, rows[:, :2]), **goal)
    assert_same_descent(gp.compile(net).value_and_grad(net.theta, rows[:, :2], **goal), expected)


def test_an_overflow_is_told_with_the_node_where_it_arises() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("mid", "exp", {"x": 1.0})
    net.add_node("end", "tanh", {"mid": 1.0})
    for run in (
        lambda: net.forward([800.0]),
        lambda: gp.compile(net).predict(net.theta, [800.0]),
        lambda: gp.compile(net).value_and_grad(net.theta, [[0.0], [800.0]], [[0.0], [0.0]], loss="half_squared"),
        lambda: gp.compile(net).predict(net.theta.astype(np.float32), [100.0]),
    ):
        with pytest.raises(gp.NumberError, match="node 'mid'"):
            run()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("samples", [1, 300])
def test_an_output_that_overflows_is_not_predicted(samples: int, dtype: Any) -> None:
    """No other node reads the square of the last sample, which would refuse it."""
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "square", {"x": 1.0})
    rows = np.ones((samples, 1), dtype)
    rows[-1] = np.sqrt(np.finfo(dtype).max) * 2
    with pytest.raises(gp.NumberError, match="node 'y'"):
        net.program.predict(net.theta.astype(dtype), rows)
