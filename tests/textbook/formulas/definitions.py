"""How a formula is stated, and what the formulas are made of: definitions, and derivatives by differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import mpmath
import numpy as np

import graphprop as gp

Array = Any  # of mpmath numbers, or of integers

Verdict = Literal["correct", "caveat", "erratum"]

mp = mpmath.mp.clone()

mp.dps = 40


@dataclass(frozen=True)
class Forms:
    """One statement: the printed form and the correct one, if it is another, and what the library gives."""

    printed: Any
    truth: Any
    correct: Any = None
    library: Any = None


@dataclass(frozen=True)
class Formula:
    """Of an erratum every printed form fails, of a caveat some do: those outside of what was silently assumed."""

    id: str
    verdict: Verdict
    claim: str
    forms: Callable[[], Iterable[Forms]]


FORMULAS: dict[str, Formula] = {}

Check = Callable[[], Iterable[Forms]]


def entry(id: str, verdict: Verdict, claim: str) -> Callable[[Check], Check]:  # noqa: A002
    """Put the forms that the decorated function yields into the table."""

    def register(forms: Check) -> Check:
        assert id not in FORMULAS, f"{id} is there twice"
        FORMULAS[id] = Formula(id, verdict, claim, forms)
        return forms

    return register


exp = np.vectorize(mp.exp, otypes=[object])

log = np.vectorize(mp.log, otypes=[object])


def numbers(x: Any) -> Array:
    """Exact in binary64, so that the library gets the same ones."""
    return np.vectorize(mp.mpf, otypes=[object])(x)


def softmax(x: Array) -> Array:
    return exp(x) / exp(x).sum()


def log_softmax(x: Array) -> Array:
    return log(softmax(x))


def softmax_dot(x: Array) -> Any:
    return softmax(x) @ x


def sigmoid(x: Array) -> Array:
    return 1 / (1 + exp(-x))


def tanh(x: Array) -> Array:
    return (exp(x) - exp(-x)) / (exp(x) + exp(-x))


def cross_entropy(z: Array, t: Array) -> Any:
    return -(t @ log(z))


def nll(z: Array, t: Array) -> Any:
    return -(t @ z)


def along(f: Callable[[Array], Any], x: Array, direction: Array) -> Any:
    """The derivative of a number f(x) along a direction."""
    return mp.diff(lambda h: np.array(f(x + direction * h), dtype=object)[()], 0)


def derivative(f: Callable[[Array], Any], x: Array) -> Array:
    """The derivative of f(x), a number or an array; its shape is that of f(x), then that of x."""
    shape = np.shape(f(x))

    def partial(k: tuple[int, ...], j: tuple[int, ...]) -> Any:
        unit = np.zeros(x.shape, dtype=int)
        unit[j] = 1
        return along(lambda y: np.array(f(y), dtype=object)[k], x, unit)

    entries = [partial(k, j) for k in np.ndindex(shape) for j in np.ndindex(x.shape)]
    return np.array(entries, dtype=object).reshape(shape + x.shape)


def off_diagonal(matrix: Array) -> Array:
    return matrix[~np.eye(len(matrix), dtype=bool)]


def float_array(x: Any) -> Any:
    return np.array(x, dtype=float)


def value(activation: str, x: Any) -> Any:
    return gp.activation(activation).value(float_array(x))


def vjp(activation: str, x: Any, cotangent: Any) -> Any:
    return gp.activation(activation).vjp(float_array(x), float_array(cotangent))


def jacobian(activation: str, x: Any) -> Any:
    return gp.activation(activation).jacobian(float_array(x))


def loss_value(loss: str, z: Any, t: Any) -> Any:
    return gp.loss(loss).evaluate(float_array(z), float_array(t))[0]


def loss_gradient(loss: str, z: Any, t: Any) -> Any:
    return gp.loss(loss).evaluate(float_array(z), float_array(t))[1]


n = 4

x = numbers([0.5, -1.25, 2.0, 0.75])

v = numbers([1.5, -0.5, 0.25, -2.0])

t = numbers([0.125, 0.5, 0.25, 0.125])  # sums to 1

t_any = numbers([0.5, 1.5, 0.25, 0.75])  # sums to 3

c = mp.mpf(1.5)

ones = numbers(np.ones(n))

p = softmax(x)

I = np.eye(n, dtype=int)

y = t


def softmax_cross_entropy_derivative(target: Array) -> Array:
    return derivative(lambda theta: cross_entropy(softmax(theta), target), x)


def matrix(rows: int, columns: int, step: int) -> Array:
    """Fixed, irregular, exact in binary64, between -2 and 2."""
    return numbers([[((step * (columns * i + j) + 3) % 17 - 8) / 4 for j in range(columns)] for i in range(rows)])
