"""Whether an activation's machine code gives what its Python functions give: held against them at some points."""

from __future__ import annotations

import ctypes
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphprop.engine.loops import sparse
from graphprop.functions.activation import Activation
from graphprop.functions.calling import attempt
from graphprop.given.arrays import Array

TINY = [5e-324, 1e-310, 2.3e-308, 1e-300, 1e-160, 1e-30, 1e-9, 1e-3]
MIDDLE = [0.1, 0.3, 0.5, 0.7, 0.99, 1.0, 1.01, 1.5, 2.0, 3.0, 4.0, 5.0, 7.7, 10.0, 20.5, 31.0, 37.0, 64.0, 100.0, 300.3]
LARGE = [
    709.0,
    710.0,
    746.0,
    1e3,
    1001.0,
    1500.0,
    1e5,
    1e6,
    1.1e6,
    1e9,
    1e16,
    1e38,
    1e77,
    1.3e154,
    1e155,
    1e300,
    1.7e308,
]
RELATIVE, ABSOLUTE = 1e-13, 2e-15  # how far the elementary functions' last digits may move a result
Pair = tuple[float, float]
Function = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * 8)


def first_difference(f: Activation, record: Array, dtype: np.dtype[Any]) -> str:
    """Where the machine code of an elementwise activation does not give what Python gives, in words; else empty.

    It may refuse what it likes, as Python is asked then; but it has to refuse what Python refuses.
    """
    with np.errstate(all="ignore"):
        points = np.unique(np.array(list(_points(f))).astype(dtype))
        accepted = [a for a in points[np.isfinite(points)].reshape(-1, 1) if _by_code(record, a)]
        pairs = [(a, pair) for a in accepted for pair in _by_code(record, a)]
        together = np.array(accepted, dtype).ravel()
        pairs += zip(accepted, _by_code(record, together), strict=False)  # what runs on vectors
        for (x,), found in pairs:
            expected = _in_python(f, float(x))
            if expected is None or not all(_agree(*both, dtype) for both in zip(found, expected, strict=True)):
                stated = f"gives {expected[0]!r} and {expected[1]!r}" if expected else "refuses it"
                return f"at a = {float(x)!r} its machine code gives {found[0]!r} and {found[1]!r}, Python {stated}"
    return ""


def _points(f: Activation) -> Iterator[float]:
    """Zero, all sizes of numbers, and both sides of kinks and of the ends of the domain."""
    yield from (0.0, -0.0)
    yield from (sign * x for x in TINY + MIDDLE + LARGE for sign in (1.0, -1.0))
    for edge in (*f.domain, *f.kinks, 1.0, -1.0):
        yield from (edge, math.nextafter(edge, -math.inf), math.nextafter(edge, math.inf))
        yield from (edge * (1 + 1e-6), edge * (1 - 1e-6))
    numbers = random.Random(0)
    yield from (numbers.uniform(-4.0, 4.0) for _ in range(40))
    yield from (numbers.uniform(-800.0, 800.0) for _ in range(20))
    low, high = (min(max(edge, -10.0), 10.0) for edge in f.domain)
    yield from (low + (high - low) * numbers.random() for _ in range(20))


def _in_python(f: Activation, x: float) -> Pair | None:
    """Value and derivative; None if it is refused."""
    if f.refusal([x]):
        return None
    o = attempt(f.outputs, [x])
    slope = None if o is None else attempt(f.pull, [x], o, [1.0])
    return None if o is None or slope is None else (o[0], slope[0])


def _by_code(record: Array, a: Array) -> list[Pair]:
    """Values and derivatives as the machine code of a record computes them; none if it refuses."""
    slopes, o = a.copy(), np.empty_like(a)
    places = slopes.ctypes.data, o.ctypes.data, 0
    code = Function(int(record.view(np.uint64)[0]))
    refused = code(record.ctypes.data, int(sparse.LEARN), *places, 1, 1, len(a))
    return [] if refused else [*zip(o.tolist(), slopes.tolist(), strict=True)]


def _agree(found: float, expected: float, dtype: np.dtype[Any]) -> bool:
    if not (math.isfinite(found) and math.isfinite(expected)):
        rounded = float(dtype.type(expected))
        return found == rounded or (found != found and rounded != rounded)
    relative = max(RELATIVE, 2 * float(np.finfo(dtype).eps))
    tiny = float(np.finfo(dtype).smallest_subnormal)
    return abs(found - expected) <= relative * abs(expected) + ABSOLUTE + tiny
