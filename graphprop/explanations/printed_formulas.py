"""The formulas of activations and losses as expressions: value and derivative at one node, in one sample.

Those of the tables state how books print them, so that the printed numbers give the value: where o (1 - o) would
cancel, "1 - o" stands there as one number that is computed without subtracting. Of all others the formula is printed,
and what it is differentiated to; without a formula there is nothing to print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from graphprop.functions.activation import Activation
from graphprop.functions.loss import Loss
from graphprop.notation.expressions import ONE, ZERO, Expression, Quantity, Square, Symbol, parts
from graphprop.notation.precision import context
from graphprop.notation.symbolic import Symbolic, derivative, expression, is_too_long

Quantities = Sequence[Quantity]
Shares = Callable[[int], Quantity]


def value_formula(f: Activation, a: Quantities, k: int, p: Shares) -> Expression | None:
    """o[k] of a node from its a, with p for their softmax; None if the formula is not known."""
    stated = f.printed.value
    if stated is None:
        return _by_formula(f, a, k)
    m = _namespace(f, a)
    if f.kind == "elementwise":
        return expression(stated(m, a[k], *f.parameters.values()))
    return expression(stated(m, a, p, k))


def slope_formula(
    f: Activation, a: Quantities, o: Quantities, p: Shares, k: int, i: int
) -> tuple[Expression | None, str]:
    """The derivative of o[k] with respect to a[i], and words on it; None if the formula is not known."""
    stated, m = f.printed.slope, _namespace(f, a)
    if f.kind != "elementwise" and a[i].value == -math.inf:
        return ZERO, f"component {i} is masked"
    if stated is None:
        formula = _by_formula(f, a, k)
        return (None if formula is None else _readable(derivative(formula, a[i]))), ""
    if f.kind == "elementwise":
        return expression(stated(m, a[i], o[i], *f.parameters.values())), ""
    made = stated(m, a, o, p, k, i)
    made, words = made if isinstance(made, tuple) else (made, "")
    return expression(made), words


def _namespace(f: Activation, a: Quantities) -> Symbolic:
    return Symbolic(context(*(x.value for x in a)), cases=f.kind == "elementwise")


def _by_formula(f: Activation, a: Quantities, k: int) -> Expression | None:
    """Its textbook form; a masked component counts as absent."""
    formula, m = f.formula, _namespace(f, a)
    if formula is None:
        return None
    fixed = list(map(expression, f.parameters.values()))
    if f.kind == "elementwise":
        return _made(lambda: formula(m, a[k], *fixed))
    present = [j for j, x in enumerate(a) if x.value > -math.inf or not f.masks]
    there = [a[j] for j in present]
    if f.kind == "reducing":
        return _made(lambda: formula(m, there, *fixed))
    return _made(lambda: formula(m, there, *fixed)[present.index(k)]) if k in present else None


def _made(formula: Callable[[], Any]) -> Expression | None:
    """What a formula gives over expressions; None if that is not what it can be written over."""
    try:
        return _readable(expression(formula()))
    except Exception:  # a user's function may raise anything
        return None


def _readable(e: Expression) -> Expression | None:
    return None if is_too_long(e) else e


# ------------------------------------------------------------------ losses: of one head in one sample


def loss_formula(loss: Loss, z: Quantities, t: Quantities) -> Expression | None:
    """The loss of one sample in one head; None if the formula is not known."""
    stated = loss.printed.value or loss.formula
    m = Symbolic(context(*(x.value for x in z)))
    return None if stated is None else _made(lambda: stated(m, z, _that_count(loss, t)))


def _that_count(loss: Loss, t: Quantities) -> list[Any]:
    """The targets, None where one is missing; in a distribution 0 is that number, so that its term is left out."""
    there = [None if loss.missing and y.value != y.value else y for y in t]
    return [0.0 if loss.targets == "distribution" and y is not None and y.value == 0 else y for y in there]


def loss_slope(loss: Loss, z: Quantities, t: Quantities, p: Shares, k: int) -> Expression | None:
    """The derivative of the loss with respect to z[k]; p is the softmax of z."""
    stated = loss.printed.slope
    if loss.missing and t[k].value != t[k].value:
        return ZERO
    if stated is not None:
        return expression(stated(Symbolic(context(*(x.value for x in z))), z, t, p, k))
    formula = loss_formula(loss, z, t)
    return None if formula is None else _readable(derivative(formula, z[k]))


# ------------------------------------------------------------------ what shows in a formula


@lru_cache(1024)
def is_identity(f: Activation) -> bool:
    """Whether an activation gives what it is given: its derivative is the number 1."""
    if f.kind != "elementwise":
        return False
    a, o = (Quantity(Symbol(letter), 0.5) for letter in "ao")
    return slope_formula(f, [a], [o], lambda j: o, 0, 0)[0] == ONE


@lru_cache(1024)
def squares(f: Activation) -> bool:
    """Whether something is squared in its formula, whose derivative has a 2."""
    a = [Quantity(Symbol("a", (i,)), 0.5 - 0.25 * i) for i in range(2)]
    formula = value_formula(f, a, 0, lambda j: Quantity(Symbol("p", (j,)), 0.5))
    return formula is not None and _has_square(formula)


def loss_squares(loss: Loss) -> bool:
    """The same of a loss."""
    z, t = ([Quantity(Symbol(letter, (i,)), 0.5) for i in range(2)] for letter in "zt")
    formula = loss_formula(loss, z, t)
    return formula is not None and _has_square(formula)


def _has_square(e: Expression) -> bool:
    return isinstance(e, Square) or any(map(_has_square, parts(e)))
