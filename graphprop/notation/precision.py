"""Numbers that formulas are evaluated with: floats, or those of mpmath, which know the context they were made in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

SPARE = 12  # digits beyond those that are shown


def context(*numbers: Any) -> Any:
    """The context of mpmath's numbers; None for floats."""
    return next((x.context for x in numbers if hasattr(x, "context")), None)


def precisely(number: Any, digits: int) -> AbstractContextManager[Any]:
    """Where to compute with as many digits as a number is shown with, and some more."""
    m = context(number)
    return nullcontext() if m is None else m.workdps(digits + SPARE)


def fsum(terms: Iterable[Any]) -> Any:
    """The sum, rounded once if it is one of floats."""
    terms = list(terms)
    return math.fsum(terms) if context(*terms) is None else sum(terms)


def sigmoid(a: Any) -> Any:
    e = exp(-abs(a))
    return 1.0 / (1.0 + e) if a >= 0 else e / (1.0 + e)


def exp(a: Any) -> Any:
    return (context(a) or math).exp(a)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: lambda a, name=name: getattr(context(a) or math, name)(a)
        for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "erf", "erfc")
    },
    "abs": abs,
    "max": max,
    "min": min,
    "sign": lambda a: float((a > 0) - (a < 0)),
    "sigmoid": sigmoid,
    "Phi": lambda a: 0.5 * (context(a) or math).erfc(-a / (context(a) or math).sqrt(2.0)),  # the normal distribution
    "phi": lambda a: exp(-0.5 * a * a) / (context(a) or math).sqrt(2.0 * (context(a) or math).pi),  # and its density
}


def rounded(value: Any, digits: int) -> Any:
    m = context(value)
    return float(f"{value:.{digits}g}") if m is None else m.mpf(decimal(value, digits))


def decimal(value: Any, digits: int) -> str:
    m = context(value)
    if m is None:
        return f"{value + 0.0:.{digits}g}"
    mantissa, e, exponent = str(m.nstr(value, digits)).partition("e")
    return mantissa.removesuffix(".0") + e + exponent
