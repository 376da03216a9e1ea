"""How far rounding inside of a function that somebody wrote moves its numbers: by what they are off a smooth course.

Sixth differences of values at equal distances show it, as a smooth function has none where the points are close. What
the function is, and what is done with the bound, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from graphprop.graph.layout import Array

ORDER = 6
VARIANCE = 924  # of a sixth difference of numbers that vary by 1 each, the sum of the squares of its coefficients
POINTS = 16
SPACINGS = (2.0**-13, 2.0**-20)  # of the points, relative
NEAR = 2.0**-10  # points around 0 stand as far from each other as around this


def jitter(rows: Iterable[Array]) -> Array:
    """By how much each number is off a smooth course, on average, in rows of numbers at equal distances."""
    last: list[Array] = []  # the latest difference of each order, from 0 on
    total, count = np.zeros(1), 0
    for row in rows:
        difference = row
        with np.errstate(all="ignore"):
            for order, before in enumerate(last):
                last[order], difference = difference, difference - before
            if len(last) < ORDER:
                last.append(difference)
            else:
                total, count = total + difference * difference, count + 1
    found: Array = np.sqrt(total / count / VARIANCE)
    return found


def roughness(
    evaluate: Callable[[Array], tuple[Array, Array]], a: Array, domain: tuple[float, float]
) -> tuple[Array, Array]:
    """The jitter of values and of slopes, both functions of a; all three have a row for each sample.

    A kink, or a steep slope, between the points adds to it, so the least counts of what is seen on both sides and at
    several distances; where nothing moves at all, the distance is too small to show anything.
    """
    size = np.where(np.isfinite(a), np.abs(a), 0.0)
    least = [np.full(x.shape, np.nan) for x in evaluate(a)]
    pattern = np.where(np.arange(a.shape[-1]) % 2 == 0, 1.0, -1.0)
    for step in (*(spacing * size for spacing in SPACINGS), SPACINGS[0] * np.maximum(size, NEAR)):
        for side in (pattern, -pattern):
            points = (np.clip(a + k * side * step, *domain) for k in range(POINTS))
            rows = [evaluate(np.where(np.isfinite(a), point, a)) for point in points]
            pair = [np.stack(numbers) for numbers in zip(*rows, strict=True)]
            for i, moved in enumerate(_moved(*pair)):
                least[i] = np.fmin(least[i], np.where(moved, jitter(pair[i]), np.nan))
    first, second = (np.nan_to_num(x, nan=0.0, posinf=0.0) for x in least)
    return first, second


def _moved(values: Array, slopes: Array) -> tuple[Array, Array]:
    """Which values change from point to point; and which slopes may show something, as they or the values change."""
    own, other = ((x != x[0]).any(axis=0) for x in (values, slopes))
    if own.shape == other.shape:
        return own, own | other
    sample = own.reshape(len(own), -1).any(axis=1) | other.reshape(len(other), -1).any(axis=1)
    return own, np.broadcast_to(sample.reshape(-1, *[1] * (other.ndim - 1)), other.shape)
