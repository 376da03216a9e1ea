"""Numbers of twice the digits: unevaluated sums of two floats, the second below half a unit of the first.

For the few places where nearly equal numbers are subtracted and no other form of the formula avoids it. A number is a
pair (high, low) of floats or of arrays alike; the compiled loops call the same functions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

Twofold = tuple[Any, Any]


def _reciprocal_of_factorial(n: int) -> Twofold:
    exact = Fraction(1)
    for k in range(2, n + 1):
        exact /= k
    return float(exact), float(exact - Fraction(float(exact)))


COEFFICIENTS = tuple(_reciprocal_of_factorial(n) for n in range(6, 0, -1))
SMALL = tuple(_reciprocal_of_factorial(n)[0] for n in range(12, 6, -1))  # of terms so small that a float will do
# the first of so few digits that its product with a whole number is exact
LOG_2 = 6.93147180369123816490e-01, 1.90821492927058770002e-10, 1.1612227229362533e-26


def total(a: Any, b: Any) -> Twofold:
    """a + b of two floats, exactly."""
    s = a + b
    v = s - a
    return s, (a - (s - v)) + (b - v)


def product(a: Any, b: Any) -> Twofold:
    """a * b of two floats, exactly; each is split into halves of 26 digits."""
    p, c, d = a * b, 134217729.0 * a, 134217729.0 * b
    a_high, b_high = c - (c - a), d - (d - b)
    a_low, b_low = a - a_high, b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def plus(x: Twofold, y: Twofold) -> Twofold:
    s, e = total(x[0], y[0])
    return total(s, e + (x[1] + y[1]))


def times(x: Twofold, y: Twofold) -> Twofold:
    p, e = product(x[0], y[0])
    return total(p, e + (x[0] * y[1] + x[1] * y[0]))


def exp(x: Twofold, k: Any) -> Twofold:
    """e^x / 2^k, where k is the whole number next to x / log 2, as a float."""
    first, second = product(k, LOG_2[1])
    r = plus(plus(total(x[0], -(k * LOG_2[0])), (x[1], -(k * LOG_2[2]))), (-first, -second))
    # e^y - 1 with y = r / 64 by its series; then six times (1 + p)^2 - 1 = 2 p + p^2
    y, p = (r[0] * 0.015625, r[1] * 0.015625), (0.0 * x[0], 0.0 * x[0])
    for coefficient in SMALL:
        p = p[0] * y[0] + coefficient, p[1]
    for term in COEFFICIENTS:
        p = plus(term, times(p, y))
    p = times(p, y)
    for _ in range(6):
        p = plus((2.0 * p[0], 2.0 * p[1]), times(p, p))
    return plus((1.0, 0.0), p)
