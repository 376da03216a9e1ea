"""Formulas as small trees, whose leaves are numbers and named quantities: put together by operators, and evaluated.

What a quantity means, and how a formula is written, is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.notation.precision import FUNCTIONS, SPARE, context, fsum, precisely, rounded

# ------------------------------------------------------------------ symbols


@dataclass(frozen=True)
class Symbol:
    """A letter with what stands behind it: w(0, h1, y) has it in round brackets, delta[y][0] in square ones.

    Texts are labels of names, integers are components; a pair is a name with its component, as in w(h[2], y).
    """

    letter: str
    square: tuple[Any, ...] = ()
    round: tuple[Any, ...] = ()
    sample: int | None = None


@dataclass(frozen=True)
class Derivative:
    """The derivative of one thing with respect to another."""

    of: Symbol
    by: Symbol
    sample: int | None = None


@dataclass(frozen=True)
class Slope:
    """f'(a), by the name of the function."""

    function: str
    at: Symbol


# ------------------------------------------------------------------ formulas


class Expression:
    """What all formulas are. Operators, with numbers too, make larger ones.

    >>> x = Quantity(Symbol("x"), 3.0)
    >>> 2 * x - 1 == Sum((Product((Constant(2.0), x)), Minus(Constant(1.0))))
    True
    """

    __slots__ = ()
    __array_ufunc__ = None  # so that numpy's numbers leave the operators to it

    def __add__(self, other: Any) -> Any:
        return _with_other(_sum, self, other)

    def __radd__(self, other: Any) -> Any:
        return _with_other(lambda x, y: _sum(y, x), self, other)

    def __sub__(self, other: Any) -> Any:
        return _with_other(difference, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _with_other(lambda x, y: difference(y, x), self, other)

    def __mul__(self, other: Any) -> Any:
        return _with_other(_times, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _with_other(lambda x, y: _times(y, x), self, other)

    def __truediv__(self, other: Any) -> Any:
        return _with_other(_over, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _with_other(lambda x, y: _over(y, x), self, other)

    def __pow__(self, other: Any) -> Any:
        return _with_other(power, self, other)

    def __rpow__(self, other: Any) -> Any:
        return _with_other(lambda x, y: power(y, x), self, other)

    def __neg__(self) -> Expression:
        return negative(self)

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return Call("abs", (self,))

    def __gt__(self, other: Any) -> Any:
        return _with_other(lambda x, y: Comparison(difference(x, y), strict=True), self, other)

    def __lt__(self, other: Any) -> Any:
        return _with_other(lambda x, y: Comparison(difference(y, x), strict=True), self, other)

    def __ge__(self, other: Any) -> Any:
        return _with_other(lambda x, y: Comparison(difference(x, y), strict=False), self, other)

    def __le__(self, other: Any) -> Any:
        return _with_other(lambda x, y: Comparison(difference(y, x), strict=False), self, other)


@dataclass(frozen=True)
class Constant(Expression):
    """A number of the formula itself, written in full."""

    value: float


@dataclass(frozen=True)
class Quantity(Expression):
    """A number with a name. The name may be an expression that is computed in another way than it is written.

    `key` says what it is to whoever can derive it; it has none if it was given.
    """

    symbol: Symbol | Derivative | Slope | Expression
    value: Any  # a float, or a number of mpmath
    key: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Sum(Expression):
    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Product(Expression):
    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Minus(Expression):
    of: Expression


@dataclass(frozen=True)
class Quotient(Expression):
    top: Expression
    bottom: Expression


@dataclass(frozen=True)
class Square(Expression):
    of: Expression


@dataclass(frozen=True)
class Power(Expression):
    of: Expression
    exponent: Expression


@dataclass(frozen=True)
class Call(Expression):
    """A function that `FUNCTIONS` knows, of its arguments."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Cases(Expression):
    """One expression if another is positive, else a third."""

    positive: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Comparison:
    """Whether an expression is positive; if it is not strict, positive or 0. Its truth is that of its numbers."""

    difference: Expression
    strict: bool

    def __bool__(self) -> bool:
        value = evaluate(self.difference)[0]
        return bool(value > 0 if self.strict else value >= 0)


ONE, ZERO = Constant(1.0), Constant(0.0)


def total(terms: Sequence[Expression]) -> Expression:
    """The sum; 0 if there is no term."""
    if not terms:
        return Constant(0.0)
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def product(*factors: Expression) -> Expression:
    """The product, without factors that are the constant 1."""
    flat: list[Expression] = []
    for factor in factors:
        if factor != ONE:
            flat += factor.factors if isinstance(factor, Product) else (factor,)
    if not flat:
        return ONE
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def lifted(x: Any) -> Expression | None:
    """The expression, or the number as one; None for anything else."""
    if isinstance(x, Expression):
        return x
    return Constant(float(x)) if isinstance(x, int | float | np.integer | np.floating) else None


def _with_other(operation: Callable[[Any, Any], Any], x: Expression, other: Any) -> Any:
    y = lifted(other)
    return NotImplemented if y is None else operation(x, y)


def _sum(x: Expression, y: Expression) -> Expression:
    terms = [term for e in (x, y) for term in (e.terms if isinstance(e, Sum) else (e,)) if term != ZERO]
    return total(terms)


def negative(x: Expression) -> Expression:
    if isinstance(x, Constant):
        return Constant(0.0 - x.value)
    return x.of if isinstance(x, Minus) else Minus(x)


def difference(x: Expression, y: Expression) -> Expression:
    return _sum(x, Minus(y) if isinstance(y, Constant) and y.value > 0 else negative(y))


def _times(x: Expression, y: Expression) -> Expression:
    """The product, with the signs of the factors before it."""
    if isinstance(x, Minus) or isinstance(y, Minus):
        sign = isinstance(x, Minus) != isinstance(y, Minus)
        made = _times(*(e.of if isinstance(e, Minus) else e for e in (x, y)))
        return negative(made) if sign else made
    return Square(x) if x == y and x != ONE else product(x, y)


def _over(x: Expression, y: Expression) -> Expression:
    if isinstance(x, Minus):
        return negative(_over(x.of, y))
    return Quotient(x, y)


def power(x: Expression, y: Expression) -> Expression:
    if y == ONE:
        return x
    return Square(x) if y == Constant(2.0) else Power(x, y)


def parts(e: Expression) -> tuple[Expression, ...]:
    """What an expression is made of."""
    match e:
        case Sum(terms):
            return terms
        case Product(factors):
            return factors
        case Quotient(top, bottom):
            return top, bottom
        case Minus(of) | Square(of):
            return (of,)
        case Power(of, exponent):
            return of, exponent
        case Call(_, arguments):
            return arguments
        case Cases(positive, then, otherwise):
            return positive, then, otherwise
    return ()


def quantities(e: Expression) -> Iterator[Quantity]:
    """The quantities, from left to right."""
    if isinstance(e, Quantity):
        yield e
    for part in parts(e):
        yield from quantities(part)


# ------------------------------------------------------------------ numbers


def evaluate(e: Expression, digits: int | None = None) -> tuple[Any, Any]:
    """The value, and how large what it is summed from is; with every quantity rounded to so many digits, if given.

    >>> x = Quantity(Symbol("a"), 0.25)
    >>> evaluate(Sum((x, Constant(-1.0)))), evaluate(x, digits=1)
    ((-0.75, 1.25), (0.2, 0.2))
    """
    if isinstance(e, Constant):
        return e.value, abs(e.value)
    if isinstance(e, Quantity):
        value = e.value if digits is None else rounded(e.value, digits)
        return value, abs(value)
    try:
        if isinstance(e, Cases):
            return evaluate(e.then if evaluate(e.positive, digits)[0] > 0 else e.otherwise, digits)
        pairs = [evaluate(part, digits) for part in parts(e)]
        return _combined(e, [x for x, _ in pairs]), abs(_combined(_absolute(e), [size for _, size in pairs]))
    except (OverflowError, ZeroDivisionError, ValueError):
        return math.nan, math.nan


def _real(x: Any) -> Any:
    if isinstance(x, complex):
        raise ValueError("a root of a negative number")
    return x


def _absolute(e: Expression) -> Expression:
    """What combines the sizes of the parts of an expression: a difference has that of a sum."""
    return Sum(()) if isinstance(e, Minus) else e


def _combined(e: Expression, x: list[Any]) -> Any:
    match e:
        case Sum():
            return fsum(x)
        case Product():
            return math.prod(x)
        case Minus():
            return -x[0]
        case Quotient():
            return x[0] / x[1]
        case Square():
            return x[0] * x[0]
        case Power():
            return _real(x[0] ** x[1])
        case Call(function):
            return FUNCTIONS[function](*x)
    raise TypeError(e)


def contradicts(e: Expression, number: Any) -> bool:
    """Whether a formula gives another number than this; numbers that overflow on the way prove nothing."""
    value, size = evaluate(e)
    return bool(abs(value - number) > 1e-3 * size) and math.isfinite(value)


def enough_digits(e: Expression, result: Any, digits: int) -> int:
    """The fewest digits, at least these, with which the written numbers give the written result.

    Computing with them hits the result to one unit of the last of its digits; 17 digits are every digit of a float.
    """
    m = context(result)
    most = 17 if m is None else digits + SPARE
    with precisely(result, most):
        unit: Any = 0.0
        if result != 0 and math.isfinite(result):
            place = math.floor((m or math).log10(abs(result))) - digits + 1
            unit = 10.0 ** max(place, -323) if m is None else m.mpf(10) ** place
        for enough in range(digits, most):
            if abs(evaluate(e, enough)[0] - result) <= unit:
                return enough
    return most
