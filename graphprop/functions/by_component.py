"""Losses that compare each component by itself, in forms that are right to the last digit.

`half_squared` and `binary_cross_entropy` are sums over the components of a head; `mse`, `mae`, `huber` and `hinge` are
means, as in Keras, and in PyTorch for a single head. All of them take missing targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import where  # of one number: by itself, so that the loops can put their own in its place

from graphprop.functions.loss_entry import Term, of_terms
from graphprop.functions.printed import PrintedLoss
from graphprop.functions.soft_targets import logistic_again
from graphprop.given.arrays import Array

# ------------------------------------------------------------------ one component: value and slope


def _half_square(z: Any, t: Any) -> Any:
    d = z - t
    return 0.5 * d * d


def _half_square_slope(z: Any, t: Any) -> Any:
    return z - t


def _square(z: Any, t: Any) -> Any:
    d = z - t
    return d * d


def _square_slope(z: Any, t: Any) -> Any:
    return 2.0 * (z - t)


def _distance(z: Any, t: Any) -> Any:
    return np.abs(z - t)


def _distance_slope(z: Any, t: Any) -> Any:
    return np.sign(z - t)


def _huber(z: Any, t: Any) -> Any:
    # d^2 / 2 up to 1, and d - 1/2 beyond
    d = np.abs(z - t)
    near = np.minimum(d, 1.0)
    return near * (d - 0.5 * near)


def _huber_slope(z: Any, t: Any) -> Any:
    return np.maximum(-1.0, np.minimum(z - t, 1.0))


def _hinge(z: Any, t: Any) -> Any:
    # nan for a target that is no sign: where the loops meet one, it is refused
    return np.maximum(1.0 - t * z, 0.0) * where(np.abs(t) == 1.0, 1.0, np.nan)


def _hinge_slope(z: Any, t: Any) -> Any:
    return 0.0 - t * where(t * z < 1.0, 1.0, 0.0)


def _softplus(z: Array) -> Array:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return where(z >= 0, 1.0, e) / (1.0 + e)


def _binary_cross_entropy(z: Any, t: Any) -> Any:
    return (1.0 - t) * _softplus(z) + t * _softplus(-z)


def _binary_cross_entropy_slope(z: Any, t: Any) -> Any:
    return (1.0 - t) * _sigmoid(z) - t * _sigmoid(-z)


def _binary_cross_entropy_second(z: Array, t: Array, d: Array) -> Any:
    e = np.exp(-np.abs(z))
    return np.where(t == t, d * (e / ((1.0 + e) * (1.0 + e))), 0.0)


# ------------------------------------------------------------------ as books have them


def _there(z: Any, t: Any) -> Iterator[tuple[Any, Any]]:
    """The components that have a target."""
    return ((x, y) for x, y in zip(z, t, strict=True) if y is not None)


def _mean(term: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """The formula of a mean of terms of (m, x, y)."""

    def formula(m: Any, z: Any, t: Any) -> Any:
        total = sum(term(m, x, y) for x, y in _there(z, t))
        return total / len(z) if len(z) > 1 else total

    return formula


def _mean_slope(slope: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any, Any, int], Any]:
    def formula(m: Any, z: Any, t: Any, p: Any, k: int) -> Any:
        found = slope(m, z[k], t[k])
        return found / len(z) if len(z) > 1 else found

    return formula


def _printed_mean(value: Callable[[Any, Any, Any], Any], slope: Callable[[Any, Any, Any], Any]) -> dict[str, Any]:
    """The formula of a mean, and how it and its slope are printed."""
    return {"formula": _mean(value), "printed": PrintedLoss(slope=_mean_slope(slope))}


def _huber_formula(m: Any, x: Any, y: Any) -> Any:
    return m.where(abs(x - y) > 1, (2 * abs(x - y) - 1) / 2, (x - y) ** 2 / 2)


def _binary_cross_entropy_printed(m: Any, z: Any, t: Any) -> Any:
    terms: list[Any] = []
    for x, y in _there(z, t):
        terms += [y * m.log(1 + m.exp(-x))] if y.value != 0 else []
        terms += [(1 - y) * m.log(1 + m.exp(x))] if y.value != 1 else []
    return sum(terms)


def _binary_cross_entropy_slope_printed(m: Any, z: Any, t: Any, p: Any, k: int) -> Any:
    up, down, y = m.sigmoid(z[k]), m.sigmoid(-z[k]), t[k]
    if y.value == 0:
        return up
    return -down if y.value == 1 else (1 - y) * up - y * down


BY_COMPONENT = (
    of_terms(
        "half_squared",
        Term(_half_square, _half_square_slope),
        second=lambda z, t, d: np.where(t == t, d, 0.0),
        formula=lambda m, z, t: sum((x - y) ** 2 for x, y in _there(z, t)) / 2,
        text="1/2 sum_k (z[k] - t[k])^2",
        latex=r"\frac{1}{2} \sum_k (z_k - t_k)^2",
        printed=PrintedLoss(
            lambda m, z, t: 0.5 * sum((x - y) ** 2 for x, y in _there(z, t)),
            lambda m, z, t, p, k: z[k] - t[k],
        ),
        also=("half squared error", "sse", "sum of squares"),
    ),
    of_terms(
        "mse",
        Term(_square, _square_slope, mean=True),
        text="1/n sum_k (z[k] - t[k])^2",
        latex=r"\frac{1}{n} \sum_k (z_k - t_k)^2",
        also=("mean squared error", "squared error", "l2", "quadratic"),
        **_printed_mean(lambda m, x, y: (x - y) ** 2, lambda m, x, y: 2 * (x - y)),
    ),
    of_terms(
        "mae",
        Term(_distance, _distance_slope, mean=True),
        text="1/n sum_k |z[k] - t[k]|",
        latex=r"\frac{1}{n} \sum_k |z_k - t_k|",
        kinks=(0.0,),
        also=("mean absolute error", "absolute error", "l1", "absolute"),
        **_printed_mean(lambda m, x, y: abs(x - y), lambda m, x, y: m.sign(x - y)),
    ),
    of_terms(
        "huber",
        Term(_huber, _huber_slope, mean=True),
        text="1/n sum_k h(z[k] - t[k]), h(d) = d^2 / 2 if |d| <= 1 else |d| - 1/2",
        latex=r"\frac{1}{n} \sum_k h(z_k - t_k),\; h(d) = d^2 / 2 \text{ if } |d| \le 1 \text{ else } |d| - 1/2",
        also=("smooth l1", "smooth mae"),
        **_printed_mean(_huber_formula, lambda m, x, y: m.where(abs(x - y) > 1, m.sign(x - y), x - y)),
    ),
    of_terms(
        "hinge",
        Term(_hinge, _hinge_slope, mean=True),
        targets="sign",
        text="1/n sum_k max(0, 1 - t[k] z[k])",
        latex=r"\frac{1}{n} \sum_k \max(0, 1 - t_k z_k)",
        kinks=(0.0,),  # as t is 1 or -1, t z = 1 where z = t
        also=("svm", "max margin", "margin"),
        formula=_mean(lambda m, x, y: m.where(1 - y * x > 0, 1 - y * x, 0 * x)),
        printed=PrintedLoss(
            _mean(lambda m, x, y: m.where(1 - y * x > 0, 1 - y * x, 0.0)),
            _mean_slope(lambda m, x, y: m.where(1 - y * x > 0, -y, 0.0)),
        ),
    ),
    of_terms(
        "binary_cross_entropy",
        Term(_binary_cross_entropy, _binary_cross_entropy_slope, logistic_again),
        reads="logits",
        targets="unit",
        second=_binary_cross_entropy_second,
        formula=lambda m, z, t: sum(m.log(1 + m.exp(x)) - y * x for x, y in _there(z, t)),
        text="-sum_k (t[k] log(sigmoid(z[k])) + (1 - t[k]) log(sigmoid(-z[k])))",
        latex=r"-\sum_k \left(t_k \log \sigma(z_k) + (1 - t_k) \log \sigma(-z_k)\right)",
        printed=PrintedLoss(
            _binary_cross_entropy_printed,
            _binary_cross_entropy_slope_printed,
        ),
        also=("bce", "bce with logits", "binary crossentropy", "sigmoid cross entropy", "log loss", "logistic"),
    ),
)
