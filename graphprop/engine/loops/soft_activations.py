"""The softmax family as the loops call it: the equations of `functions/softmax.py`, an entry at a time.

They give the same bits. Numpy's functions of whole arrays would take seconds to compile.
"""

import numpy as np
from numba import njit

from graphprop.engine.loops.caching import INNER
from graphprop.engine.loops.soft_losses import softmax_again, sum_of_others, total
from graphprop.functions.softmax import FAR


@njit(error_model="numpy", **INNER)
def shifted(a):
    """The largest entry's index, e, and the sum r of all others of e."""
    k, n = 0, len(a)
    for i in range(n):
        k = i if a[i] > a[k] else k
    e, before, after = np.empty(n), 0.0, 0.0
    for i in range(n):
        rest = total(a[k], -max(a[i], -FAR))[1]
        x = np.exp(-(a[k] - a[i]))
        e[i] = x - x * rest
        before += e[i] if i < k else 0.0
        after += e[i] if i > k else 0.0
    return k, e, before + after


@njit(error_model="numpy", **INNER)
def mean_distance(a, k, p):
    mean = 0.0
    for i in range(len(a)):
        mean += p[i] * min(a[k] - a[i], FAR)
    return mean


@njit(error_model="numpy", **INNER)
def probabilities(a):
    """With the largest entry's index."""
    k, e, r = shifted(a)
    for i in range(len(a)):
        e[i] /= 1.0 + r
    return k, e


@njit(error_model="numpy", **INNER)
def softmax(a):
    return probabilities(a)[1]


@njit(error_model="numpy", **INNER)
def softmax_pull(a, o, g):
    k, n = 0, len(a)
    for i in range(n):
        k = i if a[i] > a[k] else k
    mean, delta = 0.0, np.empty(n)
    for i in range(n):
        delta[i] = g[i] - g[k]
        mean += o[i] * delta[i] if o[i] > 0.0 else 0.0
    for i in range(n):
        delta[i] = o[i] * (delta[i] - mean)
    return delta


@njit(error_model="numpy", **INNER)
def log_softmax(a):
    k, e, r = shifted(a)
    for i in range(len(a)):
        e[i] = -(a[k] - a[i]) - np.log1p(r)
    return e


@njit(error_model="numpy", **INNER)
def log_softmax_pull(a, o, g):
    k, e, r = shifted(a)
    n, before, after = len(a), 0.0, 0.0
    for i in range(n):
        before += g[i] if i < k else 0.0
        after += g[i] if i > k else 0.0
    others = before + after
    result, z, t = np.empty((1, n)), np.empty((1, n)), np.empty((1, n))
    for i in range(n):
        result[0, i] = g[i] - e[i] / (1.0 + r) * (g[k] + others)
        z[0, i], t[0, i] = max(a[i], -FAR), -g[i]
    result[0, k] = (g[k] * r - others) / (1.0 + r)
    return softmax_again(result, z, t, sum_of_others(t))[0]


@njit(error_model="numpy", **INNER)
def logsumexp(a):
    k, _, r = shifted(a)
    return a[k] + np.log1p(r)


@njit(error_model="numpy", **INNER)
def logsumexp_pull(a, o, g):
    _, p = probabilities(a)
    for i in range(len(a)):
        p[i] *= g
    return p


@njit(error_model="numpy", **INNER)
def softmax_dot(a):
    k, p = probabilities(a)
    return a[k] - mean_distance(a, k, p)


@njit(error_model="numpy", **INNER)
def softmax_dot_pull(a, o, g):
    k, p = probabilities(a)
    mean = mean_distance(a, k, p)
    for i in range(len(a)):
        p[i] = g * (p[i] * ((1.0 - min(a[k] - a[i], FAR)) + mean))
    return p
