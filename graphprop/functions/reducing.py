"""The reducing activations, n numbers to one, but for those of the softmax family.

Their derivative is the vector-Jacobian product in closed form.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphprop.functions.entry import Entry
from graphprop.functions.mathematics import Mathematics
from graphprop.functions.printed import Printed
from graphprop.given.arrays import Array

# ------------------------------------------------------------------ value(a), pull(a, o, g)


# Products have mantissas and exponents apart, so that nothing overflows on the way.


def _times(mantissa: float, exponent: int, factor: float) -> tuple[float, int]:
    part, shift = math.frexp(factor)
    mantissa, carry = math.frexp(mantissa * part)
    return mantissa, exponent + shift + carry


def _joined(mantissa: float, exponent: int) -> Any:
    return np.ldexp(mantissa, max(min(exponent, 2000), -2000))


def _product(a: Array) -> Any:
    mantissa, exponent = 1.0, 0
    for i in range(len(a)):
        mantissa, exponent = _times(mantissa, exponent, a[i])
    return _joined(mantissa, exponent)


def _product_pull(a: Array, o: float, g: float) -> Array:
    # the factors before each one times those behind it: without a quotient, which a factor of 0 has not
    n = len(a)
    mantissas, exponents, result = np.ones(n), np.zeros(n, np.int64), np.zeros(n)
    for i in range(n - 1):
        mantissas[i + 1], exponents[i + 1] = _times(mantissas[i], exponents[i], a[i])
    mantissa, exponent = 1.0, 0
    for i in range(n - 1, -1, -1):
        result[i] = g * _joined(mantissas[i] * mantissa, exponents[i] + exponent)
        mantissa, exponent = _times(mantissa, exponent, a[i])
    return result


def _plus(mantissa: float, exponent: int, other: float, other_exponent: int) -> tuple[float, int]:
    if mantissa == 0.0 or (other != 0.0 and other_exponent > exponent):
        mantissa, exponent, other, other_exponent = other, other_exponent, mantissa, exponent
    mantissa, carry = math.frexp(mantissa + _joined(other, other_exponent - exponent))
    return mantissa, exponent + carry


def _product_second(a: Array, o: float, g: float, t: Array) -> Array:
    # the products before and behind each factor as above, each with its own tangent
    n = len(a)
    mantissas, exponents = np.ones(n), np.zeros(n, np.int64)
    moves, move_exponents, result = np.zeros(n), np.zeros(n, np.int64), np.zeros(n)
    for i in range(n - 1):
        mantissas[i + 1], exponents[i + 1] = _times(mantissas[i], exponents[i], a[i])
        first, first_exponent = _times(moves[i], move_exponents[i], a[i])
        second, second_exponent = _times(mantissas[i], exponents[i], t[i])
        moves[i + 1], move_exponents[i + 1] = _plus(first, first_exponent, second, second_exponent)
    mantissa, exponent, move, move_exponent = 1.0, 0, 0.0, 0
    for i in range(n - 1, -1, -1):
        first, first_exponent = moves[i] * mantissa, move_exponents[i] + exponent
        total, scale = _plus(first, first_exponent, mantissas[i] * move, exponents[i] + move_exponent)
        result[i] = g * _joined(total, scale)
        first, first_exponent = _times(move, move_exponent, a[i])
        second, second_exponent = _times(mantissa, exponent, t[i])
        move, move_exponent = _plus(first, first_exponent, second, second_exponent)
        mantissa, exponent = _times(mantissa, exponent, a[i])
    return result


def _straight(a: Array, o: float, g: float, t: Array) -> Array:
    return np.zeros(len(a))


def _unit(n: int, i: Any, g: float) -> Array:
    result = np.zeros(n)
    result[i] = g
    return result


def _max_pull(a: Array, o: float, g: float) -> Array:
    return _unit(len(a), np.argmax(a), g)


def _min_pull(a: Array, o: float, g: float) -> Array:
    return _unit(len(a), np.argmin(a), g)


def _maxabs(a: Array) -> Any:
    return a[np.argmax(np.abs(a))]


def _maxabs_pull(a: Array, o: float, g: float) -> Array:
    return _unit(len(a), np.argmax(np.abs(a)), g)


def _mean(a: Array) -> Any:
    total = a.sum()
    return total / len(a) if np.isfinite(total) else (a / len(a)).sum()


def _mean_pull(a: Array, o: float, g: float) -> Array:
    return np.full(len(a), g / len(a))


def _median(a: Array) -> Any:
    ranked, n = np.sort(a), len(a)
    return 0.5 * ranked[(n - 1) // 2] + 0.5 * ranked[n // 2]


def _median_pull(a: Array, o: float, g: float) -> Array:
    ranked, n = np.argsort(a, kind="stable"), len(a)
    return _unit(n, ranked[(n - 1) // 2], 0.5 * g) + _unit(n, ranked[n // 2], 0.5 * g)


# ------------------------------------------------------------------ formulas, as books have them


def _product_formula(m: Mathematics, a: list[Any]) -> Any:
    return functools.reduce(lambda x, y: x * y, a)


def _maxabs_formula(m: Mathematics, a: list[Any]) -> Any:
    return functools.reduce(lambda x, y: m.where(abs(y) > abs(x), y, x), a)


def _median_formula(m: Mathematics, a: list[Any]) -> Any:
    ranked, n = m.sorted(a), len(a)
    return ranked[n // 2] if n % 2 else (ranked[n // 2 - 1] + ranked[n // 2]) / 2


def _product_printed(m: Any, a: Any, o: Any, p: Any, k: int, i: int) -> tuple[Any, str]:
    others = functools.reduce(lambda x, y: x * y, (x for j, x in enumerate(a) if j != i), 1.0)
    return others, "the product of the other components"


def _floats(a: Any) -> Array:
    return np.array([float(x.value) for x in a])


def _picking(pull: Callable[..., Array], words: str) -> Callable[..., tuple[float, str]]:
    """The derivative of what picks one component."""

    def slope(m: Any, a: Any, o: Any, p: Any, k: int, i: int) -> tuple[float, str]:
        picked = float(pull(_floats(a), 0.0, 1.0)[i])
        return picked, f"component {i} is {'' if picked else 'not '}{words}"

    return slope


def _median_printed(m: Any, a: Any, o: Any, p: Any, k: int, i: int) -> tuple[float, str]:
    weight = float(_median_pull(_floats(a), 0.0, 1.0)[i])
    return weight, "" if len(a) == 1 else "it is in the middle" if weight else "it is not in the middle"


# ------------------------------------------------------------------ the entries

REDUCING = (
    Entry(
        "product",
        _product,
        _product_pull,
        kind="reducing",
        second=_product_second,
        formula=_product_formula,
        text="product of a[j] over j",
        latex=r"\prod_j a_j",
        printed=Printed(slope=_product_printed),
        also=("prod", "multiply", "pi"),
    ),
    Entry(
        "max",
        np.max,
        _max_pull,
        kind="reducing",
        second=_straight,
        formula=lambda m, a: m.max(a),
        text="max_j a[j]",
        latex=r"\max_j a_j",
        kinks=(0.0,),
        printed=Printed(slope=_picking(_max_pull, "the largest")),
        also=("maximum",),
    ),
    Entry(
        "min",
        np.min,
        _min_pull,
        kind="reducing",
        second=_straight,
        formula=lambda m, a: m.min(a),
        text="min_j a[j]",
        latex=r"\min_j a_j",
        kinks=(0.0,),
        printed=Printed(slope=_picking(_min_pull, "the smallest")),
        also=("minimum",),
    ),
    Entry(
        "maxabs",
        _maxabs,
        _maxabs_pull,
        kind="reducing",
        second=_straight,
        formula=_maxabs_formula,
        text="the a[j] of largest |a[j]|",
        latex=r"a_{j^*},\ j^* = \arg\max_j |a_j|",
        kinks=(0.0,),
        printed=Printed(slope=_picking(_maxabs_pull, "the one of largest absolute value")),
    ),
    Entry(
        "mean",
        _mean,
        _mean_pull,
        kind="reducing",
        second=_straight,
        formula=lambda m, a: sum(a) / len(a),
        text="sum_j a[j] / n",
        latex=r"\frac{1}{n} \sum_j a_j",
        printed=Printed(slope=lambda m, a, o, p, k, i: m.number(1) / len(a)),
        also=("average", "avg"),
    ),
    Entry(
        "median",
        _median,
        _median_pull,
        kind="reducing",
        second=_straight,
        formula=_median_formula,
        text="the middle of the sorted a[j]",
        latex=r"\mathrm{median}_j\, a_j",
        kinks=(0.0,),
        printed=Printed(slope=_median_printed),
    ),
)
