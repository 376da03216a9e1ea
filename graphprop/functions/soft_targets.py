"""The gradients p T - t of cross-entropies where both terms nearly agree, as they do once a network fits soft targets.

Their difference is then lost in the rounding of p, and no other form avoids it: so they are computed again with twice
the digits. What is far apart is left as it was. `soft_losses.py` has loops of its own around the same equations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphprop.functions.twofold import exp, plus, times, total

Array = NDArray[Any]

NEAR = 2.0**-10  # a difference below this part of its terms has lost ten of its 53 binary digits
FAR_APART = 690.0  # e^-690 times the digits of a second float is still a normal number
HUGE = 1e290  # of this size a float cannot be split


def softmax_again(gradient: Array, z: Array, t: Array, others: Array) -> Array:
    """`gradient` = softmax(z) T - t along the last axis; `others` has for each entry the sum of the other targets."""
    near = np.abs(gradient) < NEAR * np.minimum(t, others)
    near &= t + others < HUGE
    rows = near.any(axis=-1)
    if not rows.any():
        return gradient
    near, logits, targets, result = near[rows], z[rows].T, t[rows].T, gradient.copy()
    d, d_low = total(logits.max(axis=0), -logits)
    close = d < FAR_APART
    d, d_low = np.where(close, d, 0.0), np.where(close, d_low, 0.0)
    k = np.floor(-d * 1.4426950408889634 + 0.5)
    high, low = exp((-d, -d_low), k)
    scale = np.where(close, np.ldexp(1.0, k.astype(np.int32)), 0.0)
    again = softmax_difference(high * scale, low * scale, targets)
    result[rows] = np.where(near & close.T, again.T, gradient[rows])
    return result


def softmax_difference(e_high: Array, e_low: Array, t: Array) -> Array:
    """g[k] = T e[k] / E - t[k] = (T' e[k] - E' t[k]) / E, with the sums T' and E' over all entries but k.

    The components are the first axis.
    """
    n, g = len(t), np.empty(t.shape)
    e_before, e_rest, t_before, t_rest = np.empty(t.shape), np.empty(t.shape), np.empty(t.shape), np.empty(t.shape)
    nothing = 0.0 * t[0]
    e_sum, t_sum = (nothing, nothing), (nothing, nothing)
    for k in range(n):
        e_before[k], e_rest[k] = e_sum
        t_before[k], t_rest[k] = t_sum
        e_sum, t_sum = plus(e_sum, (e_high[k], e_low[k])), plus(t_sum, (t[k], nothing))
    whole = e_sum[0]
    e_sum, t_sum = (nothing, nothing), (nothing, nothing)
    for k in range(n - 1, -1, -1):
        e_others = plus(e_sum, (e_before[k], e_rest[k]))
        t_others = plus(t_sum, (t_before[k], t_rest[k]))
        difference = plus(times(t_others, (e_high[k], e_low[k])), times(e_others, (-t[k], nothing)))
        g[k] = difference[0] / whole
        e_sum, t_sum = plus(e_sum, (e_high[k], e_low[k])), plus(t_sum, (t[k], nothing))
    return g


def logistic_again(gradient: Array, z: Array, t: Array) -> Array:
    """`gradient` = sigmoid(z) - t, entry by entry."""
    near = np.abs(gradient) < NEAR * np.minimum(t, 1.0 - t)
    near &= np.abs(z) < FAR_APART
    if not near.any():
        return gradient
    result, logits = gradient.copy(), z[near]
    k = np.floor(-np.abs(logits) * 1.4426950408889634 + 0.5)
    high, low = exp((-np.abs(logits), 0.0 * logits), k)
    scale, right = np.ldexp(1.0, k.astype(np.int32)), logits >= 0
    high, low = high * scale, low * scale
    up = np.where(right, 1.0, high), np.where(right, 0.0, low)
    down = np.where(right, high, 1.0), np.where(right, low, 0.0)
    result[near] = logistic_difference(up, down, t[near])
    return result


def logistic_difference(up: Any, down: Any, t: Any) -> Any:
    """(up (1 - t) - down t) / (up + down)"""
    difference = plus(times(up, total(1.0, -t)), times(down, (-t, 0.0 * t)))
    return difference[0] / (up[0] + down[0])
