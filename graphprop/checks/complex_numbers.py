"""Complex numbers with a tiny imaginary part, which carries a derivative, and the namespace m of formulas over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from graphprop.functions.mathematics import Functions


class ComplexNumbers(np.ndarray):
    """An array of them. Order and absolute value are those of the real part, so that |a| stays analytic."""

    def __abs__(self) -> Any:
        return np.where(self.real < 0, -self, self).view(ComplexNumbers)

    def __lt__(self, other: Any) -> Any:
        return np.asarray(self).real < np.real(other)

    def __le__(self, other: Any) -> Any:
        return np.asarray(self).real <= np.real(other)

    def __gt__(self, other: Any) -> Any:
        return np.asarray(self).real > np.real(other)

    def __ge__(self, other: Any) -> Any:
        return np.asarray(self).real >= np.real(other)


def _where(condition: Any, then: Any, otherwise: Any) -> Any:
    return np.where(condition, then, otherwise).view(ComplexNumbers)


def _to_first_order(f: Callable[[float], float], scale: float) -> Callable[[Any], Any]:
    """erf or erfc, whose derivative is scale * exp(-x^2); the square of the imaginary part is below every digit."""

    def function(x: Any) -> Any:
        real, imaginary = np.asarray(x).real, np.asarray(x).imag
        values = np.array([f(t) for t in real.ravel().tolist()]).reshape(real.shape)
        return (values + 1j * (scale * np.exp(-real * real) * imaginary)).view(ComplexNumbers)

    return function


COMPLEX = Functions(
    exp=np.exp,
    log=np.log,
    sqrt=np.sqrt,
    sin=np.sin,
    cos=np.cos,
    tanh=np.tanh,
    erf=_to_first_order(math.erf, 2 / math.sqrt(math.pi)),
    erfc=_to_first_order(math.erfc, -2 / math.sqrt(math.pi)),
    pi=math.pi,
    where=_where,
    max=lambda xs: reduce(lambda x, y: _where(y > x, y, x), xs),
    min=lambda xs: reduce(lambda x, y: _where(y < x, y, x), xs),
    sorted=lambda xs: list(np.sort(np.stack(xs), axis=0).view(ComplexNumbers)),
)
