"""Own activations give the same numbers in Python and in the loops."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.cases import one_of
from tests.functions.own_cases import (
    BACKWARD_DOORS,
    alone,
    outcome,
    own,
)


def assert_same(value: Callable[[float], Any], points: Any, derivative: Any = lambda a, o: 1.0) -> None:
    """The loops give what the recursion gives at each point, and refuse what it refuses; alone and in a batch."""
    net = alone(own(value, derivative))
    fine = []
    for a in points:
        expected = outcome(lambda a=a: float(gp.recursion.forward(net, [a]).o["y"]))
        found = outcome(lambda a=a: float(net.program.predict(net.theta, [a])[0]))
        assert (found is None) == (expected is None), (a, found, expected)
        if expected is not None:
            fine.append((a, expected))
            assert found == pytest.approx(expected, rel=1e-13, abs=0), a
    if fine:
        rows, values = np.array(fine).T
        np.testing.assert_allclose(net.program.predict(net.theta, rows[:, None])[:, 0], values, rtol=1e-13)
    if len(fine) < len(points):
        rows = np.array(points)[:, None]
        with pytest.raises(gp.NumberError, match="node 'y'"):
            net.program.predict(net.theta, rows)


TURNING: list[Callable[[float], float]] = [
    lambda a: math.sin(a * a),
    lambda a: math.sin(30 * a),
    lambda a: math.sin(math.exp(a)),
    lambda a: math.cos(a * a),
    lambda a: math.cos(math.exp(a) + a),
    lambda a: math.sin(math.cos(1e7 * a)),
    lambda a: math.sin(math.sin(a) * 1e9),
    lambda a: float(np.sin(a * a)) + math.cos(a**3),
    lambda a: math.sin(a) if a < 1000 else math.sin(1000 * a),
]


@pytest.mark.parametrize("number", one_of(3, range(len(TURNING))))
def test_a_sine_is_right_wherever_its_argument_is(number: int) -> None:
    points = [-1500.0, -1001.0, -20.3, -0.5, 0.0, 0.7, 20.0, 699.0, 1001.0, 1500.0, 33334.0, 999999.0]
    assert_same(TURNING[number], points)


def whole(k: Any, n: Any) -> list[Callable[[float], float]]:
    return [
        lambda a: a * 10**k,
        lambda a: a * 2**n,
        lambda a: a + n * n,
        lambda a: a * k**n,
        lambda a: a + n**5 - n**5,
        lambda a: a - ~(a > 0),
        lambda a: a * (a > 0) + (a < 1) / (1 + (a > 0)),
        lambda a: (a > 0) ** k * a,
        lambda a: max(3, a) ** n * 1e-30,
        lambda a: a ** (n - 40) + abs(k) ** a,
        lambda a: (a > 0) * n**3 - (a > 0) * n**3 + a,
    ]


def large(n: Any) -> list[Callable[[float], float]]:
    return [
        lambda a: a + n * n,
        lambda a: a if n > 9007199254740993.0 else a * n,
        lambda a: (a > n) + (a == n) + (a >= n) + a * n - n * a,
        lambda a: a * (n - 9007199254740992) + (n + n) / n,
        lambda a: a / n + n // 3 - n % 7 - n / (1 + a * a),
    ]


SMALL = ((-2, 64), (3, 40), (-1, 0), (2.0, 64.0))

WHOLE = [f for k, n in SMALL for f in whole(k, n)]

WHOLE += [f for n in (2**40, 9007199254740993, 10**400) for f in large(n)]


@pytest.mark.parametrize("number", one_of(3, range(len(WHOLE))))
def test_whole_numbers_are_those_of_python(number: int) -> None:
    assert_same(WHOLE[number], [-2.5, -1.0, 0.0, 0.5, 1.0, 3.0, 7.25])


REFUSING: list[Callable[[float], float]] = [
    lambda a: a**-1,
    lambda a: a**-2.0,
    lambda a: a**0.5,
    lambda a: a**3.0,
    lambda a: 0**a,
    lambda a: max(0.0, math.log(a)),
    lambda a: min(1.0, math.log(a + 1)),
    lambda a: 1 / (1 + 1 / a),
    lambda a: 1 / (1 + math.exp(-a)),
    lambda a: 1 / (1 + float(np.exp(min(-a, 700.0)))),
    lambda a: 1.0 if math.sqrt(a) > 2 else 0.5,
    lambda a: 0.0 * math.acos(a) + a,
    lambda a: 1.0 if 1 / a > 0 else -1.0,
    lambda a: a if a < 0 or 1 / (a - 1) > 0 else 0.5,
    lambda a: math.atan(math.exp(a)) + math.pow(a, -1),
    lambda a: math.fmod(1.0, a) * 0.0,
    lambda a: math.log1p(a) if a < 0 else math.lgamma(a),
    lambda a: a / (a > 0),
    lambda a: abs(math.cosh(a)) * 0.0 + 1,
]


@pytest.mark.parametrize("number", one_of(2, range(len(REFUSING))))
def test_what_python_refuses_is_refused_though_it_would_vanish(number: int) -> None:
    points = [-1000.0, -709.0, -2.0, -1.0, -0.5, -1e-310, -0.0, 0.0, 1e-310, 0.5, 1.0, 2.0, 5.0, 709.0, 1000.0, 1e160]
    assert_same(REFUSING[number], points)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_numpy_gives_with_a_warning_is_given() -> None:
    assert_same(lambda a: 1 / (1 + np.exp(-a)), [-1000.0, -1.0, 0.0, 1000.0])
    assert_same(lambda a: np.arctan(np.log(a)), [-1.0, 0.0, 0.5, 1e300])
    assert_same(lambda a: 1 / (np.float64(1) * a) if a else 0.0, [0.0, 1.0])  # type: ignore[arg-type]
    with np.errstate(all="raise"):
        net = alone(own(lambda a: 1 / (1 + np.exp(-a))))
        for run in (lambda: net.program.predict(net.theta, [-1000.0]), lambda: net.forward([-1000.0])):
            with pytest.raises(gp.NumberError, match="overflow"):
                run()


def test_the_refusal_of_a_derivative_names_it() -> None:
    net = alone(own(lambda a: a, lambda a, o: 1 / (1 + 1 / a)))
    rows = np.array([[1.0], [0.0]])
    for door in BACKWARD_DOORS.values():
        with pytest.raises(
            gp.NumberError, match=r"node 'y', sample 1: the derivative of mine raised ZeroDivisionError"
        ):
            door(net, rows)


class Line:
    def __init__(self, k: float) -> None:
        self.k = k

    def __call__(self, a: float) -> float:
        return self.k * a

    @staticmethod
    def twice(a: float) -> float:
        return 2 * a


def nested(a: float) -> float:
    def inner(b: float) -> float:
        return a * b

    return inner(2.0)


def trying(a: float) -> float:
    try:
        return math.log(a)
    except ValueError:
        return -1.0


def halving(a: float) -> float:
    return a if a < 1 else 0.5 * halving(a - 1)


def gone(a: float) -> float:
    b = c = 2 * a
    del b
    return c


PAIR, TENTH = np.array([1.0, 2.0]), np.float32(0.1)

ANY: dict[str, Callable[..., Any]] = {
    "a function as default": lambda a, g=math.tanh: g(a),
    "an own function as default": lambda a, g=lambda b: 2 * b: g(a),
    "a type as default": lambda a, g=float: g(a),
    "a module as default": lambda a, m=math: m.tanh(a),
    "an array as default": lambda a, w=PAIR: a * w[1],
    "None as default": lambda a, b=None: a if b is None else b,
    "a text as default": lambda a, s="2.5": a * float(s),
    "a tuple as default": lambda a, t=(1.0, 2.0): a * t[1],
    "a complex number as default": lambda a, c=1j: (a * c).imag,
    "float32 as default": lambda a, c=TENTH: a * c,
    "nan as default": lambda a, c=math.nan: a if a < 1e9 else c,
    "a partial": functools.partial(lambda k, a: k * a, 3.0),
    "a partial by name": functools.partial(lambda a, k: k * a, k=3.0),
    "a bound method": Line(2.0).__call__,
    "an object": Line(2.0),
    "a static method": Line.twice,
    "a remembered function": functools.lru_cache(lambda a: a * a),
    "nested": nested,
    "trying": trying,
    "calling itself": halving,
    "a deleted name": gone,
    "a generator": lambda a: sum(a * k for k in range(3)),
    "a list": lambda a: sum([a * k for k in range(3)]),
    "a walrus": lambda a: (b := 2 * a) + b,
    "a formatted text": lambda a: float(f"{a:.3f}"),
    "is": lambda a: 1.0 if a is None else a,
    "in": lambda a: 1.0 if a in (0.5, 3.0) else 0.25,
    "divmod": lambda a: divmod(a, 2)[1],
    "round": round,
    "int": lambda a: int(a) + 0.5,
    "pow": lambda a: pow(a, 2),
    "max with a key": lambda a: max(a, 1.0, key=lambda b: -b),
    "max of a list": lambda a: max([a, 1.0]),
    "max with nan": lambda a: max(a, math.nan),
    "dist": lambda a: math.dist((a,), (1.0,)),
    "hypot of three": lambda a: math.hypot(a, 1.0, 2.0),
    "no such function": lambda a: math.no_such_function(a),  # type: ignore[attr-defined]
    "its parts": lambda a: a.real + a.conjugate(),
    "where": lambda a: np.where(a > 0, a, 0.1 * a),
    "clip": lambda a: np.clip(a, -1, 1),
    "an array": lambda a: np.array(a) * 2,
    "a complex number": lambda a: abs(complex(a, 1.0)),
    "None": lambda a: None,
    "a text": lambda a: "1.5",
    "chained": lambda a: 1.0 if -1 < a <= 2 < 3 else a,
    "floor and rest": lambda a: 7.0 // a + a % -3 + 7 % a,
}


@pytest.mark.parametrize("what", list(ANY))
def test_whatever_a_function_is_the_loops_say_what_python_says(what: str) -> None:
    assert_same(ANY[what], [0.5, -2.5, 3.0])
