"""The softmax family: softmax and its logarithm, and the two that reduce with its probabilities, from one preparation.

A component of -inf is masked, and counts as absent. The derivative is the vector-Jacobian product in closed form.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphprop.functions.entry import Entry
from graphprop.functions.losses import sum_of_others
from graphprop.functions.mathematics import Mathematics
from graphprop.functions.printed import Printed
from graphprop.functions.soft_targets import softmax_again
from graphprop.functions.twofold import total
from graphprop.given.arrays import Array

FAR = 1e300  # where exp(-d) is 0

# ------------------------------------------------------------------ value(a), pull(a, o, g)


def _shifted(a: Array) -> tuple[Any, Array, Array, Any]:
    """k, d, e, r: the largest entry's index, d = a[k] - a, e = exp(-d), and the sum r of all e but e[k] = 1.

    What the rounding of d takes, d times that of 1, is more than all other roundings of e: e makes up for it.
    """
    k = np.argmax(a)
    d = a[k] - a
    _, rest = total(a[k], -np.maximum(a, -FAR))
    e = np.exp(-d)
    e = e - e * rest
    return k, d, e, e[:k].sum() + e[k + 1 :].sum()


def _mean_distance(d: Array, p: Array) -> Any:
    """K, the mean of d under p; an entry of probability 0 contributes 0 even if d is infinite there."""
    return (p * np.minimum(d, FAR)).sum()


def _softmax(a: Array) -> Any:
    _, _, e, r = _shifted(a)
    return e / (1.0 + r)


def _softmax_pull(a: Array, o: Array, g: Array) -> Any:
    # o (g - g.o), with g counted from its value at the largest entry k, where g - g.o would cancel
    k = np.argmax(a)
    g = g - g[k]
    mean = np.where(o > 0, o * g, 0.0).sum()
    return o * (g - mean)


def _log_softmax(a: Array) -> Any:
    _, d, _, r = _shifted(a)
    return -d - np.log1p(r)


def _log_softmax_pull(a: Array, o: Array, g: Array) -> Any:
    # g[i] - p[i] sum(g); at the largest entry k this is g[k] (1 - p[k]) - p[k] (sum of the others)
    k, _, e, r = _shifted(a)
    p = e / (1.0 + r)
    others = g[:k].sum() + g[k + 1 :].sum()
    result = g - p * (g[k] + others)
    result[k] = (g[k] * r - others) / (1.0 + r)
    # where g is that of nll, this nearly vanishes at soft targets, as the gradient of the fused loss does
    row = 1, len(a)
    t = (-g).reshape(row)
    return softmax_again(result.reshape(row), np.maximum(a, -FAR).reshape(row), t, sum_of_others(t))[0]


def _logsumexp(a: Array) -> Any:
    k, _, _, r = _shifted(a)
    return a[k] + np.log1p(r)


def _logsumexp_pull(a: Array, o: float, g: float) -> Any:
    return g * _softmax(a)


def _softmax_dot(a: Array) -> Any:
    k, d, e, r = _shifted(a)
    return a[k] - _mean_distance(d, e / (1.0 + r))


def _softmax_dot_pull(a: Array, o: float, g: float) -> Array:
    # p (1 + a - o) with a - o = K - d: nothing is lost where all of a share a large offset
    _, d, e, r = _shifted(a)
    p = e / (1.0 + r)
    delta: Array = g * (p * ((1.0 - np.minimum(d, FAR)) + _mean_distance(d, p)))
    return delta


# ------------------------------------------------------------------ push(a, o, t) and second(a, o, g, t)


def _moved(p: Array, k: Any, t: Array) -> tuple[Array, Any]:
    """t counted from its entry k, of the largest p, and the mean of that under p: p moves by p (t - mean)."""
    t = t - t[k]
    return t, np.where(p > 0, p * t, 0.0).sum()


def _softmax_second(a: Array, o: Array, g: Array, t: Array) -> Any:
    k = np.argmax(a)
    g, mean = _moved(o, k, g)
    t, mean_t = _moved(o, k, t)
    move = o * (t - mean_t)
    return move * (g - mean) - o * np.where(o > 0, move * g, 0.0).sum()


def _log_softmax_push(a: Array, o: Array, t: Array) -> Any:
    p = _softmax(a)
    t, mean = _moved(p, np.argmax(a), t)
    return np.where(np.isinf(a), 0.0, t - mean)


def _log_softmax_second(a: Array, o: Array, g: Array, t: Array) -> Any:
    return -g.sum() * _softmax_pull(a, _softmax(a), t)


def _logsumexp_second(a: Array, o: float, g: float, t: Array) -> Any:
    return g * _softmax_pull(a, _softmax(a), t)


def _softmax_dot_second(a: Array, o: float, g: float, t: Array) -> Any:
    # o moves by the sum of the slopes times t; if all of t is one number, by that number
    k, d, e, r = _shifted(a)
    p = e / (1.0 + r)
    slope = (1.0 - np.minimum(d, FAR)) + _mean_distance(d, p)
    t, mean = _moved(p, k, t)
    moved = np.where(p > 0, p * slope * t, 0.0).sum()
    return g * (p * (t - mean) * slope + p * (t - moved))


# ------------------------------------------------------------------ formulas


def _softmax_formula(m: Mathematics, a: list[Any]) -> list[Any]:
    total = sum(m.exp(x) for x in a)
    return [m.exp(x) / total for x in a]


def _log_softmax_formula(m: Mathematics, a: list[Any]) -> list[Any]:
    return [x - _logsumexp_formula(m, a) for x in a]


def _logsumexp_formula(m: Mathematics, a: list[Any]) -> Any:
    return m.log(sum(m.exp(x) for x in a))


def _softmax_dot_formula(m: Mathematics, a: list[Any]) -> Any:
    return sum(p * x for p, x in zip(_softmax_formula(m, a), a, strict=True))


# ------------------------------------------------------------------ as books have them


def _present(a: Any) -> list[int]:
    """The components that are not masked."""
    return [j for j, x in enumerate(a) if x.value > -math.inf]


def _sum_of_exp(m: Any, a: Any) -> Any:
    return sum(m.exp(a[j]) for j in _present(a))


def _share(m: Any, a: Any, p: Any, k: int) -> Any:
    return m.exp(a[k]) / _sum_of_exp(m, a) if k in _present(a) else 0.0


def _others(a: Any, p: Any, i: int) -> Any:
    """1 - p[i], without the subtraction."""
    return sum(p(j) for j in range(len(a)) if j != i)


def _softmax_printed(m: Any, a: Any, o: Any, p: Any, k: int, i: int) -> Any:
    return o[i] * m.known(1 - o[i], _others(a, p, i)) if k == i else -(o[k] * o[i])


def _softmax_dot_printed(m: Any, a: Any, o: Any, p: Any, k: int, i: int) -> Any:
    """p (1 + a - o); as 1 - (M - a) + (M - o), with M the largest a, if a large offset would drown the 1."""
    largest = max(a, key=lambda x: x.value)
    below = largest.value - a[i].value
    mean = m.fsum(p(j).value * (largest.value - a[j].value) for j in _present(a) if p(j).value > 0)
    stable = (1.0 - below) + mean
    if abs((1.0 + a[i].value) - o[0].value - stable) <= 1e-9 * (1.0 + below + mean):
        return p(i) * m.known(1 + a[i] - o[0], stable)
    from_top = 1 - m.known(largest - a[i], below) if below else 1
    return p(i) * (from_top + m.known(largest - o[0], mean))


def _shares(a: Array) -> Array:
    """The softmax of every sample."""
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _softmax_cancels(a: Array, o: Array, g: Array) -> Any:
    """p (g - g . p)"""
    p = _shares(a)
    return p * (g + (g * p).sum(axis=1, keepdims=True))


# ------------------------------------------------------------------ the entries

SOFTMAX_DOT = Entry(
    "softmax_dot",
    _softmax_dot,
    _softmax_dot_pull,
    kind="reducing",
    second=_softmax_dot_second,
    formula=_softmax_dot_formula,
    text="sum_j softmax(a)[j] * a[j]",
    latex=r"\sum_j \frac{e^{a_j}}{\sum_k e^{a_k}}\, a_j",
    masks=True,
    printed=Printed(
        lambda m, a, p, k: sum(p(j) * a[j] for j in _present(a)),
        _softmax_dot_printed,
        cancels=lambda a, o, g: g * _shares(a) * (1 + np.abs(a) + np.abs(o)),  # p (1 + a - o)
        mistakes=(
            (
                "the derivative of {f} at {at} lacks a term: p stands in the place of p (1 + a - o)",
                lambda a, o, g: g * _shares(a),
            ),
        ),
        shares="softmax",
    ),
)

LOGSUMEXP = Entry(
    "logsumexp",
    _logsumexp,
    _logsumexp_pull,
    kind="reducing",
    second=_logsumexp_second,
    formula=_logsumexp_formula,
    text="log(sum_j exp(a[j]))",
    latex=r"\log \sum_j e^{a_j}",
    masks=True,
    printed=Printed(lambda m, a, p, k: m.log(_sum_of_exp(m, a)), lambda m, a, o, p, k, i: p(i)),
)

SOFTMAX = Entry(
    "softmax",
    _softmax,
    _softmax_pull,
    kind="vector",
    second=_softmax_second,
    push_function=_softmax_pull,
    formula=_softmax_formula,
    text="exp(a[i]) / sum_j exp(a[j])",
    latex=r"\frac{e^{a_i}}{\sum_j e^{a_j}}",
    masks=True,
    gives="probabilities",
    printed=Printed(
        _share,
        _softmax_printed,
        cancels=_softmax_cancels,
        title="softmax",
    ),
)

LOG_SOFTMAX = Entry(
    "log_softmax",
    _log_softmax,
    _log_softmax_pull,
    kind="vector",
    second=_log_softmax_second,
    push_function=_log_softmax_push,
    formula=_log_softmax_formula,
    text="a[i] - log(sum_j exp(a[j]))",
    latex=r"a_i - \log \sum_j e^{a_j}",
    masks=True,
    gives="log-probabilities",
    printed=Printed(
        lambda m, a, p, k: a[k] - m.log(_sum_of_exp(m, a)),
        lambda m, a, o, p, k, i: m.known(1 - p(i), _others(a, p, i)) if k == i else -p(i),
        cancels=lambda a, o, g: g + _shares(a) * g.sum(axis=1, keepdims=True),  # g - p (sum of g)
        title="log softmax",
    ),
)
