"""The textbook's formulas of activations and losses as expressions: value and derivative at one node, one sample.

Each is written so that its printed numbers give its value: where o (1 - o) would cancel, "1 - o" stands there as one
number that is computed without subtracting. An activation or loss of a user has no formula here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import ACTIVATIONS
from graphprop.functions.losses import LOSSES, Loss
from graphprop.notation.expressions import (
    ONE,
    Call,
    Cases,
    Constant,
    Expression,
    Minus,
    Product,
    Quantity,
    Quotient,
    Square,
    Sum,
    fsum,
    product,
    sigmoid,
    total,
)

Pair = tuple[Callable[..., Expression], Callable[..., Expression]]
Quantities = Sequence[Quantity]
ZERO, TWO = Constant(0.0), Constant(2.0)


def is_own(f: Activation) -> bool:
    """Whether the activation is one of the table, with whatever parameters, and not a user's of the same name."""
    return f.name in ACTIVATIONS and f.value_function is ACTIVATIONS[f.name].value_function


# ------------------------------------------------------------------ elementwise: value(a), slope(a, o)


def one_minus(o: Quantity, value: float) -> Quantity:
    """1 - o as one number, which was computed without the subtraction."""
    return Quantity(Sum((ONE, Minus(o))), value)


def _tanh_slope(a: Quantity, o: Quantity) -> Expression:
    upper = Quantity(Sum((ONE, o)), 2.0 * sigmoid(2.0 * a.value))
    return Product((one_minus(o, 2.0 * sigmoid(-2.0 * a.value)), upper))


def _negative_square(a: Expression) -> Expression:
    return Call("exp", (Minus(Square(a)),))


ELEMENTWISE: Mapping[str, Pair] = {
    "identity": (lambda a: a, lambda a, o: ONE),
    "sigmoid": (
        lambda a: Quotient(ONE, Sum((ONE, Call("exp", (Minus(a),))))),
        lambda a, o: Product((o, one_minus(o, sigmoid(-a.value)))),
    ),
    "tanh": (lambda a: Call("tanh", (a,)), _tanh_slope),
    "relu": (lambda a: Call("max", (a, ZERO)), lambda a, o: Cases(a, ONE, ZERO)),
    "leaky_relu": (lambda a, slope: Cases(a, a, product(slope, a)), lambda a, o, slope: Cases(a, ONE, slope)),
    "elu": (
        lambda a, alpha: Cases(a, a, product(alpha, Sum((Call("exp", (a,)), Constant(-1.0))))),
        lambda a, o, alpha: Cases(a, ONE, product(alpha, Call("exp", (a,)))),
    ),
    "softplus": (
        lambda a: Call("log", (Sum((ONE, Call("exp", (a,)))),)),
        lambda a, o: Call("sigmoid", (a,)),
    ),
    "silu": (
        lambda a: Product((a, Call("sigmoid", (a,)))),
        lambda a, o: Product((Call("sigmoid", (a,)), Sum((ONE, Product((a, Call("sigmoid", (Minus(a),)))))))),
    ),
    "gelu": (
        lambda a: Product((a, Call("Phi", (a,)))),
        lambda a, o: Sum((Call("Phi", (a,)), Product((a, Call("phi", (a,)))))),
    ),
    "sin": (lambda a: Call("sin", (a,)), lambda a, o: Call("cos", (a,))),
    "gaussian": (_negative_square, lambda a, o: Product((Constant(-2.0), a, o))),
    "abs": (lambda a: Call("abs", (a,)), lambda a, o: Call("sign", (a,))),
    "square": (lambda a: Square(a), lambda a, o: Product((TWO, a))),
    "exp": (lambda a: Call("exp", (a,)), lambda a, o: o),
    "log": (lambda a: Call("log", (a,)), lambda a, o: Quotient(ONE, a)),
}


# ------------------------------------------------------------------ the other kinds: of all components


def _present(a: Quantities) -> list[int]:
    """The components that no bias of -inf masks."""
    return [i for i, x in enumerate(a) if x.value > -math.inf]


def _sum_of_exp(a: Quantities) -> Expression:
    return total([Call("exp", (a[j],)) for j in _present(a)])


def share(a: Quantities, i: int) -> Expression:
    return Quotient(Call("exp", (a[i],)), _sum_of_exp(a)) if i in _present(a) else ZERO


def _softmax_dot_slope(a: Quantities, o: Quantities, p: Quantities, i: int) -> Expression:
    """p (1 + a - o); as 1 - (m - a) + (m - o), with m the largest a, if a large offset would drown the 1."""
    largest = max(a, key=lambda x: x.value)
    below = largest.value - a[i].value
    mean = fsum(q.value * (largest.value - x.value) for q, x in zip(p, a, strict=True) if q.value > 0)
    stable = (1.0 - below) + mean
    if abs((1.0 + a[i].value) - o[0].value - stable) <= 1e-9 * (1.0 + below + mean):
        return Product((p[i], Quantity(Sum((ONE, a[i], Minus(o[0]))), stable)))
    from_top = [Minus(Quantity(Sum((largest, Minus(a[i]))), below))] if below else []
    return Product((p[i], Sum((ONE, *from_top, Quantity(Sum((largest, Minus(o[0]))), mean)))))


def _median_slope(a: Quantities, i: int) -> Expression:
    weight = ACTIVATIONS["median"].pull([float(x.value) for x in a], [0.0], [1.0])[i]
    return Constant(weight)


def value_formula(f: Activation, a: Quantities, k: int, p: Quantities) -> Expression | None:
    """o[k] of a node from its a, with p for their softmax; None if the formula is not known."""
    if not is_own(f):
        return None
    if f.kind == "elementwise":
        return ELEMENTWISE[f.name][0](a[k], *map(Constant, f.parameters.values()))
    present = _present(a)
    match f.name:
        case "softmax":
            return share(a, k)
        case "log_softmax":
            return Sum((a[k], Minus(Call("log", (_sum_of_exp(a),)))))
        case "logsumexp":
            return Call("log", (_sum_of_exp(a),))
        case "softmax_dot":
            return total([Product((p[j], a[j])) for j in present])
        case "product":
            return product(*a)
        case "max" | "min":
            return Call(f.name, tuple(a)) if len(a) > 1 else a[0]
        case "mean":
            return Quotient(total(a), Constant(float(len(a))))
        case "maxabs":
            return a[max(present, key=lambda j: (abs(a[j].value), -j))]
        case "median":
            ranked = sorted(present, key=lambda j: (a[j].value, j))
            low, high = a[ranked[(len(a) - 1) // 2]], a[ranked[len(a) // 2]]
            return low if len(a) % 2 else Quotient(Sum((low, high)), TWO)
    return None


def slope_formula(
    f: Activation, a: Quantities, o: Quantities, p: Quantities, k: int, i: int
) -> tuple[Expression | None, str]:
    """The derivative of o[k] with respect to a[i], and words on it; None if the formula is not known."""
    if not is_own(f):
        return None, ""
    if f.kind == "elementwise":
        return ELEMENTWISE[f.name][1](a[i], o[i], *map(Constant, f.parameters.values())), ""
    if a[i].value == -math.inf:
        return ZERO, f"component {i} is masked"
    others = [x.value for j, x in enumerate(p) if j != i]
    match f.name:
        case "softmax" if k == i:
            return Product((o[i], one_minus(o[i], fsum(others)))), ""
        case "softmax":
            return Minus(Product((o[k], o[i]))), ""
        case "log_softmax" if k == i:
            return one_minus(p[i], fsum(others)), ""
        case "log_softmax":
            return Minus(p[i]), ""
        case "logsumexp":
            return p[i], ""
        case "softmax_dot":
            return _softmax_dot_slope(a, o, p, i), ""
        case "product":
            return product(*(x for j, x in enumerate(a) if j != i)), "the product of the other components"
        case "mean":
            return Quotient(ONE, Constant(float(len(a)))), ""
        case "median":
            middle = _median_slope(a, i)
            return middle, "" if len(a) == 1 else "it is in the middle" if middle != ZERO else "it is not in the middle"
    picked = f.pull([float(x.value) for x in a], [float(x.value) for x in o], [1.0])[i]
    words = {"max": "the largest", "min": "the smallest", "maxabs": "the one of largest absolute value"}[f.name]
    return Constant(picked), f"component {i} is {'' if picked else 'not '}{words}"


# ------------------------------------------------------------------ losses: of one head in one sample


def is_known(loss: Loss) -> bool:
    return LOSSES.get(loss.name) is loss


def loss_formula(loss: Loss, z: Quantities, t: Quantities) -> Expression | None:
    """The loss of one sample in one head; a term whose target is 0 counts for nothing."""
    if not is_known(loss):
        return None
    pairs = list(zip(z, t, strict=True))
    hot = [(x, y) for x, y in pairs if y.value != 0]
    match loss.name:
        case "half_squared":
            return Product((Constant(0.5), total([Square(Sum((x, Minus(y)))) for x, y in pairs])))
        case "cross_entropy":
            return Minus(total([Product((y, Call("log", (x,)))) for x, y in hot]))
        case "nll":
            return Minus(total([Product((y, x)) for x, y in hot]))
        case "softmax_cross_entropy":
            normaliser = Call("log", (_sum_of_exp(z),))
            return total([Product((y, Sum((normaliser, Minus(x))))) for x, y in hot])
    terms: list[Expression] = []
    for x, y in pairs:
        if y.value != 0:
            terms.append(Product((y, Call("log", (Sum((ONE, Call("exp", (Minus(x),)))),)))))
        if y.value != 1:
            terms.append(Product((Sum((ONE, Minus(y))), Call("log", (Sum((ONE, Call("exp", (x,)))),)))))
    return total(terms)


def loss_slope(loss: Loss, z: Quantities, t: Quantities, p: Quantities, k: int) -> Expression | None:
    """The derivative of the loss with respect to z[k]; p is the softmax of z."""
    if not is_known(loss):
        return None
    match loss.name:
        case "half_squared":
            return Sum((z[k], Minus(t[k])))
        case "cross_entropy":
            return Minus(Quotient(t[k], z[k])) if t[k].value else ZERO
        case "nll":
            return Minus(t[k]) if t[k].value else ZERO
        case "softmax_cross_entropy":
            others = [y for j, y in enumerate(t) if j != k and y.value]
            if p[k].value > 0.5:
                rest = one_minus(p[k], fsum(x.value for j, x in enumerate(p) if j != k))
                falls: Expression = Product((total(_targets(t)), rest))
                return Sum((total(others), Minus(falls))) if others else Minus(falls)
            rises = product(p[k], total(_targets(t)))
            return Sum((rises, Minus(t[k]))) if t[k].value else rises
    up, down = (Call("sigmoid", (x,)) for x in (z[k], Minus(z[k])))
    terms: list[Any] = []
    if t[k].value != 1:
        terms.append(product(ONE if t[k].value == 0 else Sum((ONE, Minus(t[k]))), up))
    if t[k].value != 0:
        terms.append(Minus(product(ONE if t[k].value == 1 else t[k], down)))
    return total(terms)


def _targets(t: Quantities) -> list[Quantity]:
    return [y for y in t if y.value]
