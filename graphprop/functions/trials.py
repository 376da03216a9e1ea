"""Whether an activation's derivative, and its formula, belong to its value: tried at some points when it is made.

What else an activation is, is not known here: that it has what is tried, the protocol says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.functions.calling import Told
from graphprop.functions.mathematics import Functions

_POINTS = (-2.2, 1.1, -0.7, 0.15, -0.2, 0.6, -1.3, 1.9)  # in no order, which a function might depend on


class Tried(Protocol):
    """What has a value, a derivative, and perhaps a formula."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def formula(self) -> Callable[..., Any] | None: ...
    @property
    def parameters(self) -> Mapping[str, float]: ...
    @property
    def domain(self) -> tuple[float, float]: ...
    @property
    def kinks(self) -> tuple[float, ...]: ...

    def outputs(self, a: list[float], /) -> list[float]: ...
    def pull(self, a: list[float], o: list[float], g: list[float], /) -> list[float]: ...
    @property
    def second_function(self) -> Callable[..., Any] | None: ...
    def bend(self, a: list[float], o: list[float], g: list[float], t: list[float], /) -> list[float]: ...


def check_derivative(f: Tried) -> None:
    """Compare the derivative with differences of the value at some points off the kinks; refuse a mismatch."""
    for a, g in _trials(f):

        def words(error: Exception, a: list[float] = a) -> GraphpropError:
            own = isinstance(error, GraphpropError)
            what = f"{error}" if own else f"at a = {a} it raised {type(error).__name__}: {error}"
            return GraphpropError(f"activation {f.name!r}: {what}")

        with Told(words):
            _check_derivative(f, a, g)


def _check_derivative(f: Tried, a: list[float], g: list[float]) -> None:
    o = f.outputs(a)
    _check_outputs(f, a, o)
    stated = f.pull(a, o, g)
    if len(stated) != len(a):
        raise GraphpropError(f"the derivative has {len(stated)} components, a has {len(a)}")
    for i, number in enumerate(stated):
        measured, error = _difference(f, a, g, i)
        if not abs(number - measured) <= 1e-6 * max(abs(measured), *map(abs, stated)) + 10 * error:
            point = f"a = {a[0]:.6g}" if len(a) == 1 else f"a = {[round(x, 6) for x in a]}, component {i}"
            raise GraphpropError(
                f"the derivative does not match the value: at {point} it gives {number:.6g}, "
                f"differences of the value give {measured:.6g}"
            )


def check_second(f: Tried) -> None:
    """Compare the second derivative, if one is stated, with differences of the first at the same points."""
    if f.second_function is None:
        return
    for a, g in _trials(f):
        t, step = [0.9, -1.1, 0.3, 1.3][: len(a)], 1e-4 * min(1.0, *(abs(x - edge) for x in a for edge in f.domain))

        def words(error: Exception, a: list[float] = a) -> GraphpropError:
            return GraphpropError(f"activation {f.name!r}: its second derivative at a = {a} raised {error!r}")

        with Told(words):
            stated = f.bend(a, f.outputs(a), g, t)
            sides = [[x + side * step * y for x, y in zip(a, t, strict=True)] for side in (1.0, -1.0)]
            above, below = (f.pull(side, f.outputs(side), g) for side in sides)
        measured = [(x - y) / (2 * step) for x, y in zip(above, below, strict=True)]
        if not np.allclose(stated, measured, rtol=1e-5, atol=1e-5 * max(1.0, *map(abs, above))):
            raise GraphpropError(
                f"activation {f.name!r}: the second derivative does not match the derivative: at a = {a} it gives "
                f"{stated}, differences of the derivative give {measured}"
            )


def check_formula(f: Tried) -> None:
    """Compare the textbook formula, if there is one, with the value at the same points."""
    if f.formula is None:
        return
    for a, _ in _trials(f):

        def words(error: Exception, a: list[float] = a) -> GraphpropError:
            return GraphpropError(f"activation {f.name!r}: its formula at a = {a} raised {error!r}")

        with Told(words):
            result = f.formula(MATH, a[0] if f.kind == "elementwise" else a, *f.parameters.values())
            stated = list(result) if f.kind == "vector" else [float(result)]
        if not np.allclose(stated, f.outputs(a), rtol=1e-9, atol=1e-12):
            raise GraphpropError(
                f"activation {f.name!r}: the formula does not match the value: at a = {a} it gives {stated}, "
                f"the value is {f.outputs(a)}"
            )


MATH = Functions(
    **{name: getattr(math, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "erf", "erfc", "pi")},
    where=lambda condition, then, otherwise: then if condition else otherwise,
    max=max,
    min=min,
    sorted=sorted,
)


def _check_outputs(f: Tried, a: list[float], o: list[float]) -> None:
    expected = 1 if f.kind == "reducing" else len(a)
    if len(o) != expected:
        raise GraphpropError(f"the value of {len(a)} components has {len(o)}, a {f.kind} one has {expected}")
    if not all(map(math.isfinite, o)):
        raise GraphpropError(f"the value at a = {a} is {o}, which is not finite")


def _trials(f: Tried) -> Iterator[tuple[list[float], list[float]]]:
    """Pre-activations inside the domain and off the kinks, with a cotangent for each."""
    low, high = max(f.domain[0], -1e300), min(f.domain[1], 1e300)
    if high - low < 5:  # a narrow domain: spread the points over it
        points = [low + (high - low) * (x + 2.5) / 5 for x in _POINTS]
    elif low > -2.5:
        points = [low + x + 2.5 for x in _POINTS]
    elif high < 2.5:
        points = [high + x - 2.5 for x in _POINTS]
    else:
        points = list(_POINTS)
    points = [x for x in points if all(abs(x - kink) > 0.01 for kink in f.kinks)]
    if f.kind == "elementwise":
        yield from (([x], [1.0]) for x in points)
    else:
        for n in (1, 2, 3, 4):
            a = points[1 : 1 + n]
            yield a, [0.7] if f.kind == "reducing" else [0.7, -0.4, 1.1, 0.2][: len(a)]


def _difference(f: Tried, a: list[float], g: list[float], i: int) -> tuple[float, float]:
    """Central differences of g . f(a) in a[i], extrapolated to step 0, and an estimate of the error."""

    def at(x: float) -> float:
        return math.fsum(gk * ok for gk, ok in zip(g, f.outputs([*a[:i], x, *a[i + 1 :]]), strict=True))

    def slope(h: float) -> float:
        above, below = a[i] + h, a[i] - h  # as they are after rounding
        return (at(above) - at(below)) / (above - below)

    step = 1e-3 * min(1.0, *(abs(a[i] - edge) for edge in f.domain))
    coarse, fine = slope(step), slope(step / 2)
    best = fine + (fine - coarse) / 3
    return best, abs(best - fine) + 1e-14 * abs(at(a[i])) / step
