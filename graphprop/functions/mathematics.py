"""What formulas of activations and losses are written over: the namespace m of a kind of numbers.

A formula calls these functions and computes with + - * / **, abs and comparisons. Which kinds there are is not known
here: floats, numbers of mpmath and sympy, arrays of other libraries, and the expressions that are printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Mathematics(Protocol):
    """The namespace m."""

    @property
    def pi(self) -> Any: ...

    def exp(self, x: Any, /) -> Any: ...
    def log(self, x: Any, /) -> Any: ...
    def sqrt(self, x: Any, /) -> Any: ...
    def sin(self, x: Any, /) -> Any: ...
    def cos(self, x: Any, /) -> Any: ...
    def tanh(self, x: Any, /) -> Any: ...
    def erf(self, x: Any, /) -> Any: ...
    def erfc(self, x: Any, /) -> Any: ...

    def where(self, condition: Any, then: Any, otherwise: Any, /) -> Any: ...
    def max(self, xs: Any, /) -> Any: ...
    def min(self, xs: Any, /) -> Any: ...
    def sorted(self, xs: Any, /) -> Any: ...


Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Functions:
    """A namespace m made of functions that there are."""

    exp: Function
    log: Function
    sqrt: Function
    sin: Function
    cos: Function
    tanh: Function
    erf: Function
    erfc: Function
    pi: Any
    where: Callable[[Any, Any, Any], Any]
    max: Function
    min: Function
    sorted: Function
