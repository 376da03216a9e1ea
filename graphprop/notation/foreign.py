"""Numbers of other libraries, for those who read them: as floats where they are numbers, else as text.

A formula of sympy is a tree whose parts occur many times over. Its own `float`, `str` and the like walk every
occurrence, which takes minutes on a small network; here each part is looked at once, or only the first ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.given.arrays import Array

DIGITS = 30  # with which the parts of an exact number are evaluated
LONGEST = 60  # parts of a formula that is written
LONG = "a long formula"


class Formula:
    """A formula in a few characters, in the place of a number."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


def is_formula(x: Any) -> bool:
    """Whether it is an expression of sympy, be it a number or not."""
    return hasattr(type(x), "free_symbols") and hasattr(x, "args") and hasattr(x, "func")


def text_of(x: Any, most: int) -> str:
    """The number or formula as text, cut if it is too long.

    >>> text_of("abcdefgh", 6)
    'abc...'
    """
    text = LONG if is_formula(x) and _is_long(x) else str(x)
    return text if len(text) <= most else text[: most - 3] + "..."


def _is_long(x: Any) -> bool:
    waiting, seen = [x], 0
    while waiting and seen <= LONGEST:
        waiting += waiting.pop().args
        seen += 1
    return seen > LONGEST


def as_float(x: Any, known: dict[Any, Any] | None = None) -> float | None:
    """The number as a float; None for a formula with symbols, or what is no number.

    >>> from sympy import Rational, Symbol, exp
    >>> as_float(0.5), as_float(exp(Rational(1, 2)) - 1), as_float(Symbol("w") + 1)
    (0.5, 0.6487212707001282, None)
    """
    try:
        return float(_evaluated(x, {} if known is None else known) if is_formula(x) else x)
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        return None


def _evaluated(x: Any, known: dict[Any, Any]) -> Any:
    """An expression with every part put into digits, from the leaves up; `known` keeps what was seen."""
    waiting = [x]
    while waiting:
        part = waiting[-1]
        if part in known:
            waiting.pop()
        elif getattr(part, "is_Symbol", False):
            raise TypeError("a symbol is no number")
        elif missing := [inner for inner in part.args if inner not in known]:
            waiting += missing
        else:
            known[part] = _in_digits(part, [known[inner] for inner in part.args])
    return known[x]


def _in_digits(part: Any, inner: list[Any]) -> Any:
    if not inner:
        return part
    made = part.func(*inner)
    return made.evalf(DIGITS) if getattr(made, "is_number", False) and made.args else made


def as_floats(array: Any) -> Array:
    """The numbers of a result as floats, whatever they were computed with; symbols are refused."""
    array = np.asarray(array)
    if array.dtype != object:
        return np.asarray(array, dtype=float)
    found = _each(array, {}, lambda x: None)
    if any(x is None for x in found.ravel().tolist()):
        raise GraphpropError("symbols are not shown as numbers; run the network on floats, or on mpmath's")
    return np.array(found, dtype=float)


def floats(array: Array) -> Array:
    """The numbers as floats; nan in the place of formulas."""
    return array if array.dtype != object else _each(array, {}, lambda x: np.nan).astype(float)


def readable(array: Array, known: dict[Any, Any]) -> Array:
    """The numbers as floats; short texts in the place of formulas. `known` keeps the parts that were evaluated."""
    return array if array.dtype != object else _each(array, known, lambda x: Formula(text_of(x, 40)))


def _each(array: Array, known: dict[Any, Any], otherwise: Callable[[Any], Any]) -> Array:
    result = np.empty(array.size, dtype=object)
    for i, x in enumerate(array.ravel().tolist()):
        value = as_float(x, known)
        result[i] = otherwise(x) if value is None else value
    return result.reshape(array.shape)
