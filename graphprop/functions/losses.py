"""The table of losses: each right to the last digit, with its textbook formula, and as books print it.

Nothing is clamped: the gradient always belongs to the value, and where one of them is infinite it is refused, by
`Loss.evaluate` as by a run of a network.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from graphprop.errors import GraphpropError, unknown
from graphprop.functions import twofold
from graphprop.functions.loss import Loss
from graphprop.functions.printed import PrintedLoss
from graphprop.functions.soft_targets import logistic_again, softmax_again
from graphprop.given.arrays import Array

# The four operations along the last axis, for which the compiled losses have loops of their own.


def largest_of(z: Array) -> Any:
    return z.max(axis=-1, keepdims=True)


def sum_of(z: Array) -> Any:
    return z.sum(axis=-1, keepdims=True)


def sum_of_others(t: Array) -> Array:
    """For each entry the sum of all but it, without subtracting."""
    others = np.zeros(t.shape)
    np.cumsum(t[..., :-1], axis=-1, out=others[..., 1:])
    others[..., :-1] += np.cumsum(t[..., :0:-1], axis=-1)[..., ::-1]
    return others


def shifted(z: Array) -> tuple[Array, Array, Any]:
    """d / 2, e, r with d the distances from the largest entry, e = exp(-d), and r its sum over all others.

    Along the last axis. Two finite numbers may be too far apart for d. What the rounding of d takes, d times that of 1,
    is more than all other roundings of e: e makes up for it.
    """
    half, rest = twofold.total(0.5 * largest_of(z), -0.5 * z)
    e, largest = np.exp(-2.0 * half), half == 0
    e = np.where(e > 0, e - e * (2.0 * rest), e)
    return half, e, sum_of(np.where(largest, 0.0, e)) + (sum_of(largest) - 1)


def _half_square(z: Any, t: Any) -> Any:
    d = z - t
    return 0.5 * d * d


def _half_square_slope(z: Any, t: Any) -> Any:
    return z - t


def _cross_entropy(z: Array, t: Array) -> Any:
    return np.where(t > 0, -t * np.log(z), 0.0).sum(-1)


def _cross_entropy_gradient(z: Array, t: Array) -> Array:
    return np.where(t > 0, -t / z, 0.0)


def _nll(z: Array, t: Array) -> Any:
    return np.where(t > 0, -t * z, 0.0).sum(-1)


def _softmax_cross_entropy(z: Array, t: Array) -> Any:
    half, _, r = shifted(z)
    log = np.log1p(r)  # by itself: the compiled form would work it out for each component
    return np.where(t > 0, 2.0 * (t * half) + t * log, 0.0).sum(-1)


def _softmax_cross_entropy_gradient(z: Array, t: Array) -> Array:
    # p T - t; for p > 1/2, which only the largest entry can have, as (T - t) - T (1 - p)
    _, e, r = shifted(z)
    total, others = sum_of(t), sum_of_others(t)
    p = e / (1.0 + r)
    gradient = np.where(p > 0.5, others - total * (r / (1.0 + r)), p * total - t)
    return softmax_again(gradient, z, t, others)


def _softplus(z: Array) -> Array:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def _binary_cross_entropy(z: Any, t: Any) -> Any:
    return (1.0 - t) * _softplus(z) + t * _softplus(-z)


def _binary_cross_entropy_slope(z: Any, t: Any) -> Any:
    return (1.0 - t) * _sigmoid(z) - t * _sigmoid(-z)


# ------------------------------------------------------------------ second(z, t, d)


def _softmax_cross_entropy_second(z: Array, t: Array, d: Array) -> Any:
    # T p (d - mean of d under p), with d counted from where z is largest
    half, e, r = shifted(z)
    p, largest = e / (1.0 + r), half == 0
    d = d - sum_of(np.where(largest, d, 0.0)) / sum_of(np.where(largest, 1.0, 0.0))
    return sum_of(t) * p * (d - sum_of(p * d))


def _binary_cross_entropy_second(z: Array, t: Array, d: Array) -> Any:
    e = np.exp(-np.abs(z))
    return d * (e / ((1.0 + e) * (1.0 + e)))


def _dot(x: Any, y: Any) -> Any:
    return sum(p * q for p, q in zip(x, y, strict=True) if p != 0)


# As books have them: a term whose target is 0 counts for nothing.


def _softmax_cross_entropy_printed(m: Any, z: Any, t: Any) -> Any:
    normaliser = m.log(sum(m.exp(x) for x in z))
    return sum(y * (normaliser - x) for x, y in zip(z, t, strict=True) if y != 0)


def _softmax_cross_entropy_slope_printed(m: Any, z: Any, t: Any, p: Any, k: int) -> Any:
    there = {j: y for j, y in enumerate(t) if y.value}
    whole = sum(there.values())
    if p(k).value > 0.5:
        falls = whole * m.known(1 - p(k), sum(p(j) for j in range(len(z)) if j != k))
        return sum(y for j, y in there.items() if j != k) - falls
    return p(k) * whole - t[k] if k in there else p(k) * whole


def _binary_cross_entropy_printed(m: Any, z: Any, t: Any) -> Any:
    terms: list[Any] = []
    for x, y in zip(z, t, strict=True):
        terms += [y * m.log(1 + m.exp(-x))] if y.value != 0 else []
        terms += [(1 - y) * m.log(1 + m.exp(x))] if y.value != 1 else []
    return sum(terms)


def _binary_cross_entropy_slope_printed(m: Any, z: Any, t: Any, p: Any, k: int) -> Any:
    up, down, y = m.sigmoid(z[k]), m.sigmoid(-z[k]), t[k]
    if y.value == 0:
        return up
    return -down if y.value == 1 else (1 - y) * up - y * down


class Term(NamedTuple):
    """What a loss sums over the components, its slope, and the slope again where it nearly vanishes.

    The compiled loops call value and slope for one number.
    """

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], Any]
    again: Callable[[Array, Array, Array], Array] | None = None

    def total(self, z: Array, t: Array) -> Any:
        return self.value(z, t).sum(-1)

    def gradient(self, z: Array, t: Array) -> Array:
        slope: Array = self.slope(z, t)
        return slope if self.again is None else self.again(slope, z, t)


class LossEntry(Loss):
    """A loss of the table. If it is a sum of terms of one component, they are its value and its gradient."""

    term: Term | None
    printed: PrintedLoss  # type: ignore[misc]

    def __init__(
        self,
        name: str,
        value: Callable[[Array, Array], Any],
        gradient: Callable[[Array, Array], Any],
        *,
        printed: PrintedLoss,
        term: Term | None = None,
        **fields: Any,
    ) -> None:
        object.__setattr__(self, "term", term)
        object.__setattr__(self, "printed", printed)
        super().__init__(name, value, gradient, check=False, **fields)


def _sum_of_terms(name: str, term: Term, **fields: Any) -> LossEntry:
    return LossEntry(name, term.total, term.gradient, term=term, **fields)


_TABLE: tuple[LossEntry, ...] = (
    _sum_of_terms(
        "half_squared",
        Term(_half_square, _half_square_slope),
        second=lambda z, t, d: 1.0 * d,
        formula=lambda m, z, t: sum((x - y) ** 2 for x, y in zip(z, t, strict=True)) / 2,
        text="1/2 sum_k (z[k] - t[k])^2",
        latex=r"\frac{1}{2} \sum_k (z_k - t_k)^2",
        printed=PrintedLoss(
            lambda m, z, t: 0.5 * sum((x - y) ** 2 for x, y in zip(z, t, strict=True)),
            lambda m, z, t, p, k: z[k] - t[k],
        ),
    ),
    LossEntry(
        "cross_entropy",
        _cross_entropy,
        _cross_entropy_gradient,
        reads="probabilities",
        targets="distribution",
        second=lambda z, t, d: np.where(t > 0, d * (t / z / z), 0.0),
        formula=lambda m, z, t: -sum(q * m.log(p) for p, q in zip(z, t, strict=True) if q != 0),
        text="-sum_k t[k] log(z[k])",
        latex=r"-\sum_k t_k \log z_k",
        printed=PrintedLoss(slope=lambda m, z, t, p, k: -(t[k] / z[k]) if t[k].value else 0.0),
    ),
    LossEntry(
        "nll",
        _nll,
        lambda z, t: np.where(t > 0, -t, 0.0),
        reads="log-probabilities",
        targets="distribution",
        second=lambda z, t, d: 0.0 * d,
        formula=lambda m, z, t: -_dot(t, z),
        text="-sum_k t[k] z[k]",
        latex=r"-\sum_k t_k z_k",
        printed=PrintedLoss(slope=lambda m, z, t, p, k: -t[k] if t[k].value else 0.0),
    ),
    LossEntry(
        "softmax_cross_entropy",
        _softmax_cross_entropy,
        _softmax_cross_entropy_gradient,
        reads="logits",
        targets="distribution",
        second=_softmax_cross_entropy_second,
        formula=lambda m, z, t: sum(t) * m.log(sum(m.exp(x) for x in z)) - _dot(t, z),
        text="-sum_k t[k] log(softmax(z)[k])",
        latex=r"-\sum_k t_k \log \frac{e^{z_k}}{\sum_j e^{z_j}}",
        printed=PrintedLoss(
            _softmax_cross_entropy_printed,
            _softmax_cross_entropy_slope_printed,
        ),
    ),
    _sum_of_terms(
        "binary_cross_entropy",
        Term(_binary_cross_entropy, _binary_cross_entropy_slope, logistic_again),
        reads="logits",
        targets="unit",
        second=_binary_cross_entropy_second,
        formula=lambda m, z, t: sum(m.log(1 + m.exp(x)) - y * x for x, y in zip(z, t, strict=True)),
        text="-sum_k (t[k] log(sigmoid(z[k])) + (1 - t[k]) log(sigmoid(-z[k])))",
        latex=r"-\sum_k \left(t_k \log \sigma(z_k) + (1 - t_k) \log \sigma(-z_k)\right)",
        printed=PrintedLoss(
            _binary_cross_entropy_printed,
            _binary_cross_entropy_slope_printed,
        ),
    ),
)

ENTRIES = {entry.name: entry for entry in _TABLE}
LOSSES: Mapping[str, Loss] = MappingProxyType(ENTRIES)


def loss(given: str | Loss) -> Loss:
    """The loss of that name; a Loss is returned as it is.

    >>> loss("nll")
    <loss nll: -sum_k t[k] z[k]>
    """
    return find_loss(given)


def find_loss(given: Any, where: str = "") -> Loss:
    """The same; an error begins with `where`."""
    if isinstance(given, Loss):
        return given
    if not isinstance(given, str):
        raise GraphpropError(f"{where}a loss is a name or a gp.Loss, not {given!r}")
    if given not in LOSSES:
        raise unknown("loss", given, LOSSES, where)
    return LOSSES[given]


def of_logits(like: Loss) -> str:
    """The loss of the table that compares logits with targets of this kind; empty if there is none.

    >>> of_logits(loss("nll"))
    'softmax_cross_entropy'
    """
    return next((x.name for x in LOSSES.values() if x.reads == "logits" and x.targets == like.targets), "")


def _by_name(entry: LossEntry) -> tuple[Any, ...]:
    return loss, (entry.name,)


copyreg.pickle(LossEntry, _by_name)
