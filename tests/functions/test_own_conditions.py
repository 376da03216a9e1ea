"""Own activations with choices, roundings and loops are compiled, and give what Python gives, to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine.loops.compiled_functions import is_compiled
from tests.cases import one_of


def averaged(a: float) -> float:
    x = a
    for _ in range(3):
        x = 0.5 * (x + a / (1.0 + x * x))
    return x


def stepped(a: float) -> float:
    total = 0.0
    for i in range(5):
        if a < i:
            break
        if i % 2:
            continue
        total += a * i
    return total


def halved(a: float) -> float:
    n = 0
    while a > 1.0:
        a /= 2.0
        n += 1
    return a + n


def in_steps(a: float) -> float:
    if a < -1.0:
        return -1.0
    elif a < 0.0 or a > 10.0:
        return a * 0.5
    return a if 0.0 <= a < 2.0 and a != 1.0 else 2.0


FUNCTIONS: dict[str, Callable[[float], Any]] = {
    "where": lambda a: np.where(a > 0, a, 0.1 * a),
    "where of whole numbers": lambda a: a * np.where(a > 0, 1, np.where(a < 0, -1, 0)),
    "clip": lambda a: np.clip(a, -1, 1),
    "clip by name": lambda a: np.clip(a, a_min=-1.0, a_max=0.0) * 2.0,
    "clip at zero": lambda a: np.clip(a, 0.0, 6.0) / 6.0,
    "%": lambda a: a % 3,
    "% of a negative": lambda a: a % -2.5,
    "floor": lambda a: a - math.floor(a),
    "floor as a whole number": lambda a: a * (math.floor(a) // -2) + math.floor(a) % 3,
    "floor to a power": lambda a: 1 / (1 + math.floor(a) ** 4),
    "triangle": lambda a: abs(a - 2 * math.floor(a / 2 + 0.5)),
    "parity": lambda a: a if math.floor(a) % 2 == 0 else -a,
    "ceil": lambda a: math.ceil(a) * 2 - 1,
    "trunc": lambda a: math.trunc(a) / 3,
    "floor of numpy": lambda a: np.floor(a) + 0.5 * a,
    "for": averaged,
    "break and continue": stepped,
    "while": halved,
    "if, elif, and, or, chains": in_steps,
}
NUMBERS = [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 6.0, 7.25, 1e-300, 1e5, 2.0**52, 2.0**53, 2.0**60 + 2.0**10, 1e70]


def net_of(f: gp.Activation) -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", f, {"x": 1.0})
    return net


@pytest.mark.parametrize("name", one_of(2, FUNCTIONS))
def test_what_is_compiled_gives_what_python_gives(name: str) -> None:
    value = FUNCTIONS[name]
    f = gp.Activation("mine", value, lambda a, o: value(a) + o, check=False)
    assert is_compiled(f)
    net = net_of(f)
    for a in [sign * x for x in NUMBERS for sign in (1.0, -1.0)]:
        expected = float(value(a + 0.0))  # a sum, which is no -0
        trace = net.forward({"x": a})
        found = np.array([trace.o["y"], net.backward(trace, "y").gamma["y"]])
        assert found.tobytes() == np.array([expected, expected + expected]).tobytes(), a


def test_a_loop_that_goes_on_for_long_is_asked_of_python() -> None:
    f = gp.Activation("mine", halved, lambda a, o: 1.0, check=False)
    assert is_compiled(f)
    assert net_of(f).forward({"x": 2.0**200}).o["y"] == 201.0


def for_ever(a: float) -> float:
    n = 0
    while n < 10:
        n += 1 if a < math.inf else 0
    return a + n


def too_often(a: float) -> float:
    for _ in range(10**6):
        a = a * 1.0
    return a


@pytest.mark.parametrize("value", [for_ever, too_often])
def test_a_loop_that_would_not_end_in_time_is_no_reason_to_wait(value: Callable[[float], float]) -> None:
    """That no number goes a way that has no end is not known of a number that is not known."""
    assert not is_compiled(gp.Activation("mine", value, lambda a, o: 1.0, check=False))
