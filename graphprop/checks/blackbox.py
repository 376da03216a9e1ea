"""A user's function that gives a value and a gradient, as a function of one flat vector, and how exact its numbers are.

What the gradient is held against is not known here.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphprop.checks.roughness import POINTS, jitter
from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.calling import Told
from graphprop.given.arrays import float_kind, numbers_as_given, real_array
from graphprop.graph.layout import Array
from graphprop.notation.escaping import label

SPACINGS = (2.0**-13, 2.0**-20, 2.0**-28, 2.0**-36)  # of the points at which noise is looked for
ROUNDINGS = 8  # in an entry of a gradient, as in `rounding`


class Theta:
    """Parameters as one flat vector, and back; and what each entry is called."""

    def __init__(self, given: Any) -> None:
        self.names = list(given) if isinstance(given, Mapping) else None
        if self.names == []:
            raise GraphpropError("theta is a mapping without a name; there is nothing to check")
        parts = [given[name] for name in self.names] if self.names is not None else [given]
        places = self.names if self.names is not None else ["theta"]
        self.parts = [real_array(x, label(name)) for x, name in zip(parts, places, strict=True)]
        self.labels = [label(name) for name in places]
        self.start = np.cumsum([0, *(x.size for x in self.parts)])
        self.flat = np.concatenate([x.ravel() for x in self.parts]) if self.parts else np.empty(0)
        if not np.isfinite(self.flat).all():
            raise NumberError(f"{self.label(int(np.argmin(np.isfinite(self.flat))))} is not finite")

    @property
    def size(self) -> int:
        return len(self.flat)

    def shaped(self, flat: Array) -> Any:
        pieces = np.split(flat.copy(), self.start[1:-1])
        arrays = [x.reshape(part.shape) for x, part in zip(pieces, self.parts, strict=True)]
        return dict(zip(self.names, arrays, strict=True)) if self.names is not None else arrays[0]

    def flattened(self, gradient: Any) -> Array:
        """A gradient as a flat vector, or an error that says what its shape should be."""
        pieces = self._pieces(gradient)
        return np.concatenate([x.ravel().astype(float) for x in pieces]) if pieces else np.empty(0)

    def rounding(self, gradient: Any) -> Array:
        """How far some roundings move each entry of a gradient, in the kind of numbers that its array has."""
        found = [np.empty(0)]
        for x in self._pieces(gradient):
            limits = np.finfo(float_kind(x))
            found.append(ROUNDINGS * (limits.eps / 2 * np.abs(x.ravel().astype(float)) + limits.smallest_subnormal))
        return np.concatenate(found)

    def _pieces(self, gradient: Any) -> list[Array]:
        """The arrays of a gradient, each of the kind in which it came."""
        if self.names is None:
            given = [gradient]
        else:
            if not isinstance(gradient, Mapping):
                raise GraphpropError(
                    f"the gradient is a {type(gradient).__name__}; theta is a mapping, so it is one too"
                )
            missing = [name for name in self.names if name not in gradient]
            if missing:
                raise GraphpropError(f"the gradient lacks {missing[0]!r}")
            given = [gradient[name] for name in self.names]
        arrays = []
        for x, part, name in zip(given, self.parts, self.labels, strict=True):
            array = numbers_as_given(x, f"the gradient by {name}")
            if array.shape != part.shape:
                hint = ", of which it is the transpose" if array.shape == part.shape[::-1] else ""
                raise GraphpropError(f"the gradient by {name} has shape {array.shape}; {name} has {part.shape}{hint}")
            arrays.append(array)
        return arrays

    def label(self, i: int) -> str:
        k = int(np.searchsorted(self.start, i, side="right")) - 1
        index = np.unravel_index(i - int(self.start[k]), self.parts[k].shape) if self.parts[k].ndim else ()
        return self.labels[k] + (f"[{', '.join(str(int(j)) for j in index)}]" if index else "")

    def mirrored(self, i: int) -> int | None:
        """Where entry [k, j] of a square matrix stands, for its entry [j, k] off the diagonal."""
        part = int(np.searchsorted(self.start, i, side="right")) - 1
        shape, first = self.parts[part].shape, int(self.start[part])
        if len(shape) != 2 or shape[0] != shape[1]:
            return None
        j, k = divmod(i - first, shape[0])
        return first + k * shape[0] + j if j != k else None


def _raised(error: Exception) -> GraphpropError:
    return GraphpropError(f"the function raised {type(error).__name__}: {error}")


class Function:
    """The user's function of a flat vector, with what it may do wrong told in words.

    Its value may be computed in float32 and handed out as float64; so it seems while every value is one of float32.
    """

    def __init__(self, function: Callable[[Any], Any], theta: Theta) -> None:
        self.function, self.theta, self.seconds = function, theta, 0.0
        self.kind, self.seems_single = np.float16, True
        self.warned = np.geterr()  # what the caller wants to hear of numpy

    def _call(self, flat: Array) -> tuple[float, Any, Any]:
        """Value, gradient, and the theta that was given, which may have been changed."""
        given = self.theta.shaped(flat)
        with Told(_raised), np.errstate(**self.warned):
            result = self.function(given)
        if not isinstance(result, tuple) or len(result) != 2:
            raise GraphpropError(f"the function has to return (value, gradient), not {_short(result)}")
        value = numbers_as_given(result[0], "the value")
        if value.size != 1:
            raise GraphpropError(f"the value has shape {value.shape}; it has to be one number")
        self.kind = np.promote_types(self.kind, float_kind(value)).type
        number = float(value.ravel()[0])
        self.seems_single &= float(np.float32(number)) == number
        return number, result[1], given

    def last_digit(self, value: float) -> float:
        """What rounding to the value's kind of numbers may move it by."""
        limits = np.finfo(np.float32 if self.seems_single and self.kind is np.float64 else self.kind)
        return max(float(limits.eps) / 2 * abs(value), float(limits.smallest_subnormal))

    def value_and_gradient(self) -> tuple[float, Array, Array]:
        """Both at theta, and how far rounding may move the gradient; twice, so that a change is noticed."""
        flat = self.theta.flat
        value, gradient, given = self._call(flat)
        numbers, rounding = self.theta.flattened(gradient), self.theta.rounding(gradient)
        changed = self.theta.flattened(given)
        if not np.array_equal(changed, flat):
            raise GraphpropError("the function changes theta in place; let it work on a copy")
        if not math.isfinite(value):
            raise NumberError(f"the value at theta is {value}")
        start = time.perf_counter()
        again, gradient, _ = self._call(flat)
        self.seconds = time.perf_counter() - start
        repeated = self.theta.flattened(gradient)
        if again != value or not np.array_equal(numbers, repeated, equal_nan=True):
            where = "the value" if again != value else self.theta.label(int(np.argmax(numbers != repeated)))
            raise GraphpropError(
                f"the function is not the same twice: {where} changed between two calls with the same theta; "
                "fix its random numbers, or keep it from changing its state"
            )
        return value, numbers, rounding

    def value(self, flat: Array) -> float:
        """The value; nan where the function cannot be computed."""
        try:
            return self._call(flat)[0]
        except GraphpropError:
            return math.nan

    def noise(self, direction: Array) -> tuple[float, Array]:
        """How far rounding moves the value, and each entry of the gradient, as seen along a direction.

        Sixth differences of close points show it, where a smooth function has none. A kink or a swing between the
        points adds to them, so the least counts of what is seen at several distances. The value's noise is also the
        first change that is seen when ever larger steps are taken, where it moves by less than its last digit.
        """
        seen = [self._jitter(spacing * direction) for spacing in SPACINGS]
        least = 4 * np.fmin.reduce([x for x in seen if x is not None] or [np.zeros(1 + self.theta.size)])
        last_digit = 0.0
        for k in range(44, 1, -6):
            points = (self.theta.flat + i * 2.0**-k * direction for i in range(4))
            change = np.abs(np.diff([self.value(point) for point in points]))
            if (change > 0).any():
                last_digit = float(change[change > 0].min()) if k < 44 else 0.0  # smaller steps move it, too
                break
        floor = self.last_digit(self.value(self.theta.flat))
        least = np.nan_to_num(least, nan=0.0, posinf=0.0)
        return max(float(least[0]), last_digit, floor), least[1:]

    def _jitter(self, step: Array) -> Array | None:
        """By how much the value and the gradient are off a smooth course; None where the value does not move at all.

        The side that shows less counts, as there may be a kink on the other, or between.
        """
        found, moved = [], False
        for side in (step, -step):
            rows = [self._row(self.theta.flat + k * side) for k in range(2)]
            moved |= bool(rows[0][0] != rows[1][0])
            further = (self._row(self.theta.flat + k * side) for k in range(2, POINTS))
            found.append(jitter(itertools.chain(rows, further)))
        return np.fmin(*found) if moved else None

    def _row(self, flat: Array) -> Array:
        """The value and all entries of the gradient; nan where the function cannot be computed."""
        try:
            value, gradient, _ = self._call(flat)
            return np.concatenate(([value], self.theta.flattened(gradient)))
        except GraphpropError:
            return np.full(1 + self.theta.size, math.nan)


def _short(given: object) -> str:
    text = type(given).__name__ if isinstance(given, np.ndarray) else repr(given)
    return text if len(text) <= 60 else text[:57] + "..."
