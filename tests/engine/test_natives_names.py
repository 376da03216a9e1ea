"""What a user's functions are called, and what they call things, changes nothing of what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.cases import one_of

POINTS = np.array([-2.6, -0.9, 0.0, 0.4, 1.7])

# Each text defines `value` and `slope`. The names are those of functions of math and numpy, of Python, and of ours.
NAMED_LIKE_WHAT_IT_CALLS = """
import math
def NAME(a):
    return math.NAME(0.5 * a)
value, slope = NAME, lambda a, o: 0.5
"""
DERIVATIVE_NAMED_SO = """
import math
def NAME(a, o):
    return math.NAME(0.25 * a)
value, slope = lambda a: 2.0 * a, NAME
"""
BOTH_OF_ONE_NAME = """
import math
def make():
    def NAME(a):
        return math.NAME(0.5 * a)
    return NAME
value = make()
def NAME(a, o):
    return value(a) + math.NAME(0.25 * a)
slope = NAME
"""
HELPER_NAMED_SO = """
import math
def NAME(a):
    return 3.0 * math.NAME(0.5 * a)
def value(a):
    return NAME(a) + math.NAME(a)
def slope(a, o):
    return NAME(a) * math.NAME(a)
"""
CAPTURED_UNDER_THE_NAME = """
import math
def make(NAME):
    def value(a):
        return NAME * math.sin(a)
    return value, lambda a, o: NAME * math.cos(a)
value, slope = make(0.75)
"""
CAPTURED_ITSELF = """
import math
def make():
    def NAME(a):
        return math.NAME(0.5 * a)
    def value(a):
        return 2.0 * NAME(a)
    return value, lambda a, o: NAME(a) + math.NAME(a)
value, slope = make()
"""
GLOBAL_NUMBER_OF_THE_NAME = """
import math
NAME = 0.5
def value(a):
    return NAME * math.sin(a) + math.cos(NAME)
def slope(a, o):
    return NAME * math.cos(a)
"""
UNUSED_GLOBAL_OF_THE_NAME = """
import math
NAME = [object()]
def value(a):
    return math.NAME(0.5 * a)
slope = lambda a, o: math.NAME(0.25 * a)
"""
OF_NUMPY = """
import numpy as np
def NAME(a):
    return np.NAME(0.5 * a)
value, slope = NAME, lambda a, o: NAME(a) + np.NAME(a)
"""
ARGUMENT_OF_THE_NAME = """
def value(NAME):
    return 0.5 * NAME * NAME
slope = lambda NAME, o: NAME + 0.0 * o
"""
LOCAL_OF_THE_NAME = """
import math
def value(a):
    NAME = math.sin(a)
    return NAME * NAME
def slope(a, o):
    NAME = 2.0 * math.sin(a)
    return NAME * math.cos(a)
"""
IMPORTED_BY_NAME = """
from math import NAME
def value(a):
    return NAME(0.5 * a)
def slope(a, o):
    return 0.5 + NAME(0.25 * a)
"""
NAMED_EVERYWHERE = """
import math
def make():
    NAME = 0.75
    def inner(p, q=0.0):
        return NAME * math.cos(p)
    return inner
def NAME(p):
    return math.sin(p) + make_slope(p)
def named_argument(NAME):
    return 0.5 * NAME + outer(NAME)
make_slope, outer = make(), NAME
value, slope = named_argument, make_slope
"""
OF_MATH = ("exp", "tanh", "sin")
OURS = ("value", "derivative", "run", "fixed", "low", "x", "y", "a", "o", "k", "n", "task", "np", "carray", "float64")
OURS += ("near", "refused", "elementary", "sigmoid", "expm1")


def functions(text: str, name: str) -> tuple[Callable[..., float], Callable[..., float]]:
    space: dict[str, Any] = {}
    exec(text.replace("NAME", name), space)
    return space["value"], space["slope"]


def assert_engine_gives_what_python_gives(value: Callable[..., float], slope: Callable[..., float]) -> None:
    f = gp.Activation("mine", value, slope, check=False)
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", f, {"x": 1.0})
    rows = POINTS[:, None]
    values = [value(a) for a in POINTS.tolist()]
    slopes = [slope(a, o) for a, o in zip(POINTS.tolist(), values, strict=True)]
    np.testing.assert_allclose(net.program.predict(net.theta, rows)[:, 0], values, rtol=1e-14)
    np.testing.assert_allclose(net.program.vjp(net.theta, rows, np.ones(rows.shape))[1][:, 0], slopes, rtol=1e-14)
    assert not net.program.calls_python(np.dtype(np.float64))


@pytest.mark.parametrize("name", one_of(3, OF_MATH))
@pytest.mark.parametrize(
    "text",
    [
        NAMED_LIKE_WHAT_IT_CALLS,
        DERIVATIVE_NAMED_SO,
        BOTH_OF_ONE_NAME,
        HELPER_NAMED_SO,
        CAPTURED_UNDER_THE_NAME,
        CAPTURED_ITSELF,
        GLOBAL_NUMBER_OF_THE_NAME,
        UNUSED_GLOBAL_OF_THE_NAME,
        OF_NUMPY,
        ARGUMENT_OF_THE_NAME,
        LOCAL_OF_THE_NAME,
        IMPORTED_BY_NAME,
    ],
    ids=[
        "named like what it calls",
        "derivative",
        "both",
        "helper",
        "captured number",
        "captured function",
        "global number",
        "unused global",
        "numpy",
        "argument",
        "local",
        "imported by name",
    ],
)
def test_a_name_of_a_function_of_math_may_be_used_for_anything(text: str, name: str) -> None:
    assert_engine_gives_what_python_gives(*functions(text, name))


@pytest.mark.parametrize("name", OURS)
def test_names_of_ours_may_be_used_for_anything(name: str) -> None:
    assert_engine_gives_what_python_gives(*functions(NAMED_EVERYWHERE, name))


def test_activations_and_functions_of_one_name_in_one_network_are_kept_apart() -> None:
    net = gp.Network()
    net.add_input("x")
    expected = []
    for factor in (0.5, 2.0, -1.5):
        value, _ = functions(f"import math\ndef tanh(a):\n    return math.tanh({factor} * a)\nvalue = slope = tanh", "")
        net.add_node(f"y{factor}", gp.Activation("tanh", value, lambda a, o: 1.0, check=False), {"x": 1.0})
        expected.append(math.tanh(factor * 0.3))
    net.add_node("y", "tanh", {"x": 1.0})
    found = net.program.predict(net.theta, [0.3])
    np.testing.assert_allclose(found, [*expected, math.tanh(0.3)], rtol=1e-14)


def test_a_loss_may_be_named_like_a_function_of_numpy_that_it_calls() -> None:
    def cosh(z: Any, t: Any) -> Any:
        return np.log(np.cosh(z - t)).sum(-1)

    def tanh(z: Any, t: Any) -> Any:
        return np.tanh(z - t)

    net = gp.mlp([1, 2], "identity", "identity", seed=1)
    rows, target = np.array([[0.5], [-1.0]]), np.array([[0.25, 1.0], [0.0, -1.0]])
    for name in ("cosh", "half_squared", "exp"):
        goal: dict[str, Any] = {"loss": gp.Loss(name, cosh, tanh), "target": target}
        expected = gp.recursion.backpropagate(net, gp.recursion.forward(net, rows), **goal)
        value, gradient = net.program.value_and_grad(net.theta, rows, **goal)
        np.testing.assert_allclose(value, expected.value, rtol=1e-14)
        np.testing.assert_allclose(gradient, expected.theta, rtol=1e-13)
