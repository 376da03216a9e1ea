"""The table of losses: each right to the last digit, with its textbook formula, and as books print it.

Nothing is clamped: the gradient always belongs to the value, and where one of them is infinite it is refused, by
`Loss.evaluate` as by a run of a network.
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy import where  # of one number: by itself, so that the loops can put their own in its place

from graphprop.errors import GraphpropError, unknown
from graphprop.functions import twofold
from graphprop.functions.by_component import BY_COMPONENT
from graphprop.functions.loss import Loss
from graphprop.functions.loss_entry import LossEntry, Term
from graphprop.functions.printed import PrintedLoss
from graphprop.functions.soft_targets import softmax_again
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


# ------------------------------------------------------------------ of one component: value and slope


def surprise(z: Any, t: Any) -> Any:
    return where(t > 0, -t * np.log(z), 0.0)


def _surprise_slope(z: Any, t: Any) -> Any:
    return where(t > 0, -t / z, 0.0)


def _likelihood(z: Any, t: Any) -> Any:
    return where(t > 0, -t * z, 0.0)


def _likelihood_slope(z: Any, t: Any) -> Any:
    return where(t > 0, -t, 0.0)


# ------------------------------------------------------------------ of all of them


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


# ------------------------------------------------------------------ second(z, t, d)


def _softmax_cross_entropy_second(z: Array, t: Array, d: Array) -> Any:
    # T p (d - mean of d under p), with d counted from where z is largest
    half, e, r = shifted(z)
    p, largest = e / (1.0 + r), half == 0
    d = d - sum_of(np.where(largest, d, 0.0)) / sum_of(np.where(largest, 1.0, 0.0))
    return sum_of(t) * p * (d - sum_of(p * d))


# ------------------------------------------------------------------ as books have them


def _dot(x: Any, y: Any) -> Any:
    return sum(p * q for p, q in zip(x, y, strict=True) if p != 0)


# A term whose target is 0 counts for nothing.


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


_TABLE: tuple[LossEntry, ...] = (
    *BY_COMPONENT,
    LossEntry(
        "cross_entropy",
        lambda z, t: surprise(z, t).sum(-1),
        _surprise_slope,
        term=Term(surprise, _surprise_slope),
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
        lambda z, t: _likelihood(z, t).sum(-1),
        _likelihood_slope,
        term=Term(_likelihood, _likelihood_slope),
        reads="log-probabilities",
        targets="distribution",
        second=lambda z, t, d: 0.0 * d,
        formula=lambda m, z, t: -_dot(t, z),
        text="-sum_k t[k] z[k]",
        latex=r"-\sum_k t_k z_k",
        printed=PrintedLoss(slope=lambda m, z, t, p, k: -t[k] if t[k].value else 0.0),
        also=("negative log likelihood", "log likelihood"),
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
        also=(
            "cross entropy",
            "ce",
            "softmax",
            "cross entropy with logits",
            "softmax cross entropy with logits",
            "categorical crossentropy",
            "sparse categorical crossentropy",
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
        raise unknown("loss", given, LOSSES, where, {name: entry.also for name, entry in ENTRIES.items()})
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
