"""The namespace m in which formulas of activations and losses become expressions, and the derivatives of these.

A formula that picks one of its numbers, as the largest or by cases of many components, picks it by their values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from graphprop.notation.expressions import (
    ONE,
    ZERO,
    Call,
    Cases,
    Comparison,
    Constant,
    Expression,
    Minus,
    Power,
    Product,
    Quantity,
    Quotient,
    Square,
    Sum,
    Symbol,
    evaluate,
    lifted,
    parts,
)
from graphprop.notation.precision import context, fsum

LONGEST, DEEPEST = 3000, 100  # parts of a formula that is still printed, and how deep they stand


def expression(x: Any) -> Expression:
    """What a formula gave, as an expression; a TypeError if it is none."""
    made = lifted(x)
    if made is None:
        raise TypeError(f"a formula over expressions gives an expression or a number, not {type(x).__name__}")
    return made


def is_too_long(e: Expression) -> bool:
    """Whether nobody would read it. A part that stands in many places counts in each."""
    sizes: dict[int, tuple[int, int]] = {}
    waiting = [e]
    while waiting:
        inner = parts(waiting[-1])
        if missing := [part for part in inner if id(part) not in sizes]:
            waiting += missing
            continue
        size = 1 + sum(sizes[id(part)][0] for part in inner)
        depth = 1 + max((sizes[id(part)][1] for part in inner), default=0)
        if size > LONGEST or depth > DEEPEST:
            return True
        sizes[id(waiting.pop())] = size, depth
    return False


class Symbolic:
    """The namespace m of expressions.

    >>> m, a = Symbolic(), Quantity(Symbol("a"), 0.5)
    >>> m.exp(-a * a)
    Call(function='exp', arguments=(Minus(of=Square(of=Quantity(symbol=Symbol(letter='a', square=(), round=(), \
sample=None), value=0.5, key=None))),))

    Parameters
    ----------
    numbers : optional
        The context of mpmath's numbers, if the quantities have such.
    cases : bool
        Whether both cases of a `where` are written. Of many components these would be as many as there are orders.
    """

    def __init__(self, numbers: Any = None, cases: bool = True) -> None:
        self.pi = Quantity(Symbol("pi"), math.pi if numbers is None else +numbers.pi)
        self._cases = cases

    def number(self, x: Any) -> Expression:
        return expression(x)

    def known(self, shown: Any, number: Any) -> Expression:
        """One number that is shown as an expression, but was computed in another way."""
        return Quantity(expression(shown), evaluate(number)[0] if isinstance(number, Expression) else number)

    def fsum(self, terms: Iterable[Any]) -> Any:
        return fsum(terms)

    def exp(self, x: Any) -> Expression:
        return self._call("exp", x)

    def log(self, x: Any) -> Expression:
        return self._call("log", x)

    def sqrt(self, x: Any) -> Expression:
        return self._call("sqrt", x)

    def sin(self, x: Any) -> Expression:
        return self._call("sin", x)

    def cos(self, x: Any) -> Expression:
        return self._call("cos", x)

    def tanh(self, x: Any) -> Expression:
        return self._call("tanh", x)

    def erf(self, x: Any) -> Expression:
        return self._call("erf", x)

    def erfc(self, x: Any) -> Expression:
        return self._call("erfc", x)

    def sigmoid(self, x: Any) -> Expression:
        return self._call("sigmoid", x)

    def sign(self, x: Any) -> Expression:
        return self._call("sign", x)

    def Phi(self, x: Any) -> Expression:  # noqa: N802  as books write it
        """The normal distribution."""
        return self._call("Phi", x)

    def phi(self, x: Any) -> Expression:
        """The density of the normal distribution."""
        return self._call("phi", x)

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        if not self._cases or not isinstance(condition, Comparison):
            return then if condition else otherwise
        if condition.strict:
            return Cases(condition.difference, expression(then), expression(otherwise))
        return Cases(-condition.difference, expression(otherwise), expression(then))

    def max(self, xs: Sequence[Any]) -> Expression:
        return expression(xs[0]) if len(xs) == 1 else Call("max", tuple(map(expression, xs)))

    def min(self, xs: Sequence[Any]) -> Expression:
        return expression(xs[0]) if len(xs) == 1 else Call("min", tuple(map(expression, xs)))

    def sorted(self, xs: Sequence[Any]) -> list[Any]:
        return sorted(xs, key=lambda x: evaluate(expression(x))[0])

    def _call(self, function: str, x: Any) -> Expression:
        return Call(function, (expression(x),))


# ------------------------------------------------------------------ derivatives


def derivative(e: Expression, by: Quantity) -> Expression:
    """The derivative of an expression with respect to one of its quantities.

    >>> from graphprop.notation.writing import Text, write
    >>> m, a = Symbolic(), Quantity(Symbol("a"), 0.5)
    >>> write(derivative(a / (1 + m.exp(-a)), a), Text())
    '(1 + exp(-a) + a * exp(-a)) / (1 + exp(-a))^2'
    """
    m = Symbolic(context(by.value))
    known: dict[int, Expression] = {}

    def slope(part: Expression) -> Expression:
        if id(part) not in known:
            known[id(part)] = _slope(part, by, m, slope)
        return known[id(part)]

    return slope(e)


def _slope(e: Expression, by: Quantity, m: Symbolic, slope: Any) -> Expression:
    """The derivative of one part, with `slope` for those of its own parts."""
    if isinstance(e, Quantity | Constant):
        return ONE if e == by else ZERO
    inner = [slope(part) for part in parts(e)]
    if all(part == ZERO for part in inner):
        return ZERO
    match e:
        case Sum():
            return expression(sum(inner))
        case Minus():
            return expression(-inner[0])
        case Product(factors):
            rest = [[x for k, x in enumerate(factors) if k != j] for j in range(len(factors))]
            return expression(sum(_product([x, *rest[j]]) for j, x in enumerate(inner) if x != ZERO))
        case Quotient(top, bottom):
            if inner[1] == ZERO:
                return expression(inner[0] / bottom)
            above = _scaled(bottom, inner[0]) - _scaled(top, inner[1])
            return expression(above / Square(bottom))
        case Square(of):
            return expression(_product([Constant(2.0), of, inner[0]]))
        case Power(of, exponent):
            if inner[1] == ZERO:
                return expression(_product([exponent, of ** (_less_one(exponent)), inner[0]]))
            by_exponent = _scaled(e * m.log(of), inner[1])
            return expression(by_exponent + _scaled(exponent * of ** _less_one(exponent), inner[0]))
        case Cases(positive, _, _):
            return Cases(positive, inner[1], inner[2]) if inner[1] != inner[2] else expression(inner[1])
        case Call("max" | "min" as function, arguments):
            values = [evaluate(x)[0] for x in arguments]
            return expression(inner[values.index(max(values) if function == "max" else min(values))])
        case Call(function, (x,)):
            return expression(_scaled(_of_function(function, e, x, m), inner[0]))
    raise TypeError(e)


def _less_one(exponent: Expression) -> Expression:
    return Constant(exponent.value - 1) if isinstance(exponent, Constant) else exponent - 1


def _scaled(x: Any, factor: Expression) -> Any:
    if factor == Constant(-1.0):
        return -x
    return ZERO if factor == ZERO else x * factor


def _product(factors: Iterable[Expression]) -> Any:
    made: Any = ONE
    for factor in factors:
        made = made * factor
    return made


def _of_function(function: str, e: Expression, x: Expression, m: Symbolic) -> Any:
    """The derivative of a function at x, where its value is e."""
    match function:
        case "exp":
            return e
        case "log":
            return 1 / x
        case "sqrt":
            return 1 / (2 * e)
        case "sin":
            return m.cos(x)
        case "cos":
            return -m.sin(x)
        case "tanh":
            return 1 - Square(e)
        case "erf":
            return 2 * m.exp(-Square(x)) / m.sqrt(m.pi)
        case "erfc":
            return -2 * m.exp(-Square(x)) / m.sqrt(m.pi)
        case "abs":
            return m.sign(x)
        case "sign":
            return ZERO
        case "sigmoid":
            return e * m.sigmoid(-x)
        case "Phi":
            return m.phi(x)
        case "phi":
            return -x * e
    raise TypeError(f"{function} has no derivative")
