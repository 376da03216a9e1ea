"""Random activations, made of all that may stand in one that is compiled: the engine against the recursion.

At each point both give the same numbers, or both refuse. What the last digits of an exponential may do to a function
is measured by what those of its argument do.
"""

from __future__ import annotations

import itertools
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import graphprop as gp
from tests.attack import Found

OF_MATH = ("exp", "expm1", "tanh", "sin", "cos", "log", "log1p", "log2", "sqrt", "atan", "asin", "acosh", "sinh", "erf")
OF_MATH += ("erfc", "gamma", "lgamma", "fabs", "degrees", "tan", "cosh", "exp2", "cbrt")
OF_MATH_TWO = ("pow", "atan2", "copysign", "fmod", "hypot")
OF_NUMPY = ("exp", "log", "sqrt", "tanh", "sin", "arctan", "abs", "sign", "square", "reciprocal", "log1p", "floor")
OF_NUMPY_TWO = ("maximum", "minimum", "power", "arctan2", "copysign", "hypot", "multiply", "divide")
SIGNS = ("+", "-", "*", "*", "/", "/", "//", "%")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
NUMBERS = (
    "0",
    "1",
    "2",
    "-1",
    "3",
    "0.5",
    "1.0",
    "-0.0",
    "30",
    "1e-3",
    "1000.0",
    "2**64",
    "10**25",
    "-2.5",
    "1e300",
    "True",
)
EXPONENTS = ("2", "3", "-1", "-2", "0.5", "2.0", "-1.5", "0", "17", "1/3", "65")
CAPTURED = ("2.5", "-0.75", "3", "-2", "64", "2**40", "np.float64(1.5)", "0.0", "0", "1e-200")
POINTS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, 30.0, -37.0, 709.5, -745.5, 1e3, -1001.0, 1e6, 1e9, -1e16, 1e160]
POINTS += [-1e300, 5e-324, -1e-310, 1e-160, 1e-9, -1e-9, 0.1, 1e77]
EPS = 4 * float(np.finfo(float).eps)


class Writer:
    """Texts of random expressions in some names of numbers."""

    def __init__(self, choose: random.Random, names: tuple[str, ...], helper: bool) -> None:
        self.choose, self.names, self.helper = choose, names, helper

    def number(self, depth: int) -> str:
        one = self.choose
        if depth <= 0 or one.random() < 0.1:
            return one.choice(self.names) if one.random() < 0.75 else f"({one.choice(NUMBERS)})"
        x, y = (lambda: self.number(depth - 1)), (lambda: self.number(depth - 1 - one.randrange(2)))
        ways: list[Callable[[], str]] = [
            *[lambda: f"({x()} {one.choice(SIGNS)} {y()})"] * 6,
            lambda: f"({x()} ** ({one.choice(EXPONENTS)}))",
            lambda: f"(abs({x()}) ** float({y()}))",
            lambda: f"({one.choice(NUMBERS)} ** float({y()}))",
            lambda: f"(-{x()})",
            lambda: f"abs({x()})",
            lambda: f"float({x()})",
            lambda: f"{one.choice(('max', 'min'))}({x()}, {y()})",
            lambda: f"max({x()}, {y()}, 0)",
            *[lambda: f"math.{one.choice(OF_MATH)}({x()})"] * 4,
            lambda: f"math.{one.choice(OF_MATH_TWO)}({x()}, {y()})",
            lambda: f"np.{one.choice(OF_NUMPY)}({x()})",
            lambda: f"np.{one.choice(OF_NUMPY_TWO)}({x()}, {y()})",
            *[lambda: f"({x()} if {self.condition(depth - 1)} else {y()})"] * 2,
            lambda: f"({self.condition(depth - 1)}) * {y()}",
            lambda: f"({x()} {one.choice(('and', 'or'))} {y()})",
            lambda: f"(math.pi * {x()} - math.inf * ({self.condition(0)} and not {self.condition(0)}))",
        ]
        if self.helper:
            ways += [lambda: f"helper({x()})", lambda: f"helper({x()}, {y()})"]
        return one.choice(ways)()

    def condition(self, depth: int) -> str:
        one = self.choose
        x, y = self.number(depth), self.number(0)
        text = f"{x} {one.choice(COMPARISONS)} {y}"
        return one.choice(
            (text, text, f"not ({text})", f"({text} and {y} < 2)", f"-3 < {x} < {y}", f"math.isfinite({x})")
        )


TEXT = """
import math
import numpy as np

K, J = {K}, {J}

def helper(u, v={default}):
    return {helper}

def make(C):
    def value(a):
        t = {first}
        if {condition}:
            t = {changed}
        return {value}

    def slope(a, o):
        return {slope}

    return value, slope

value, slope = make({C})
"""


def write(choose: random.Random) -> str:
    """The text of a module with the functions `value` and `slope`."""
    inner, outer = Writer(choose, ("u", "v", "K"), False), Writer(choose, ("a", "a", "a", "C", "K", "J"), True)
    after, behind = Writer(choose, ("t", "t", "a", "C"), True), Writer(choose, ("a", "a", "o", "o", "C"), True)
    return TEXT.format(
        **{name: choose.choice(CAPTURED) for name in ("K", "J", "C", "default")},
        helper=inner.number(2),
        first=outer.number(choose.randrange(1, 4)),
        condition=after.condition(1),
        changed=after.number(1),
        value=after.number(choose.randrange(1, 3)),
        slope=behind.number(choose.randrange(1, 4)),
    )


def outcome(run: Callable[[], Any]) -> Any:
    """The numbers that a call gives; None if it refuses."""
    try:
        return run()
    except gp.GraphpropError:
        return None


def by_recursion(net: gp.Network, a: float) -> tuple[float, float] | None:
    def run() -> tuple[float, float]:
        trace = gp.recursion.forward(net, [a])
        return float(trace.o["y"]), float(gp.recursion.backpropagate(net, trace, "y").input["x"])

    return outcome(run)


def by_engine(net: gp.Network, rows: Any) -> Any:
    """Outputs and derivatives, a row for each sample."""

    def run() -> Any:
        outputs, slopes = net.program.predict(net.theta, rows), net.program.vjp(net.theta, rows, np.ones(rows.shape))[1]
        return np.hstack([outputs, slopes])

    return outcome(run)


def is_right(net: gp.Network, a: float, found: Any, expected: tuple[float, float] | None) -> bool:
    """Whether the recursion gives it at this point, or could if its last digits were others."""
    if (found is None and expected is None) or (found is not None and expected is not None and _alike(found, expected)):
        return True
    near = [expected, *(by_recursion(net, b) for b in (a * (1 + EPS), a * (1 - EPS), a + EPS, a - EPS))]
    if found is None or expected is None:
        return any((found is None) == (other is None) for other in near)
    others = [other for other in near if other is not None]
    return _alike(found, expected, [8 * max(abs(other[k] - expected[k]) for other in others) for k in range(2)])


def _alike(found: Any, expected: tuple[float, float], apart: Any = (0.0, 0.0)) -> bool:
    rows = zip(found, expected, apart, strict=True)
    return all(abs(x - e) <= 1e-12 * abs(e) + 1e-14 + more for x, e, more in rows)


def hold(text: str, points: list[float], counts: Counter[str]) -> None:
    """Raise an AssertionError where engine and recursion differ in the activation that a text defines."""
    space: dict[str, Any] = {}
    exec(text, space)
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", gp.Activation("mine", space["value"], space["slope"], check=False), {"x": 1.0})
    counts["expressions"] += 1
    counts["in Python"] += net.program.calls_python(np.dtype(float))
    accepted = []
    for a in points:
        expected, rows = by_recursion(net, a), by_engine(net, np.array([[a]]))
        found = None if rows is None else rows[0]
        counts["points"] += 1
        counts["refused"] += expected is None
        assert is_right(net, a, found, expected), f"at a = {a!r} {found} for {expected}, of\n{text}"
        if found is not None and expected is not None:
            accepted.append((a, expected))
    if accepted:
        rows = by_engine(net, np.array([[a] for a, _ in accepted]))
        assert rows is not None, f"one by one, but not together, of\n{text}"
        for (a, expected), row in zip(accepted, rows, strict=True):
            assert is_right(net, a, row, expected), f"at a = {a!r} among others {row} for {expected}, of\n{text}"


def hold_random(seed: int, number: int, counts: Counter[str]) -> None:
    """Hold one random activation against the recursion; the error has the text that reproduces it."""
    choose = random.Random(f"{seed} {number}")
    text = write(choose)
    points = POINTS + [choose.uniform(-4, 4) for _ in range(6)] + [choose.uniform(-900, 900) for _ in range(4)]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # ~ of a bool
        try:
            hold(text, points, counts)
        except AssertionError:
            raise
        except Exception as error:
            raise Found(f"{error!r}, of\n{text}") from error


def attack(seconds: float, seed: int) -> dict[str, int]:
    """Hold random activations against the recursion for that long; what was counted. It raises what reproduces it."""
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    for number in itertools.count():
        hold_random(seed, number, counts)
        if time.monotonic() > end:
            break
    return dict(counts)
