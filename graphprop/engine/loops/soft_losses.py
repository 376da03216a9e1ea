"""The loops of `soft_targets`, and of the cross-entropy of softmax, as the compiled losses run them.

The equations are the same, with loops in place of numpy's functions of whole arrays, which take seconds to compile.
Samples lie side by side, so that the inner loops are vectors.
"""

import math
from types import FunctionType

import numpy as np
from numba import njit

from graphprop.engine.loops.caching import INNER
from graphprop.engine.loops.elementary import exp as fast_exp
from graphprop.engine.loops.elementary import power_of_two
from graphprop.functions import soft_targets, twofold
from graphprop.functions.soft_targets import FAR_APART, HUGE, NEAR


def _compiled(function, **used):
    """The function compiled, with these in place of what it uses."""
    return njit(error_model="numpy")(FunctionType(function.__code__, {"__name__": __name__} | used, function.__name__))


total, product = _compiled(twofold.total), _compiled(twofold.product)
plus = _compiled(twofold.plus, total=total)
times = _compiled(twofold.times, product=product, total=total)
constants = {"LOG_2": twofold.LOG_2, "SMALL": twofold.SMALL, "COEFFICIENTS": twofold.COEFFICIENTS}
exp = _compiled(twofold.exp, product=product, total=total, plus=plus, times=times, **constants)
softmax_difference = _compiled(soft_targets.softmax_difference, plus=plus, times=times, np=np)
logistic_difference = _compiled(soft_targets.logistic_difference, plus=plus, times=times, total=total)


@njit(**INNER)
def where(condition, then, otherwise):
    """That of numpy, of numbers."""
    return then if condition else otherwise


@njit(error_model="numpy", **INNER)
def exponential(high, low):
    """e^(high + low) for -690 < high <= 0."""
    k = math.floor(high * 1.4426950408889634 + 0.5)
    e, scale = exp((high, low), float(k)), power_of_two(int(k))
    return e[0] * scale, e[1] * scale


@njit(error_model="numpy", **INNER)
def softmax_again(gradient, z, t, others):
    """As `soft_targets.softmax_again`, for arrays whose samples lie side by side."""
    samples, n = z.shape
    near, any_near = np.zeros(samples, np.bool_), False
    for i in range(n):
        for k in range(samples):
            terms = min(t[k, i], others[k, i])
            near[k] |= (abs(gradient[k, i]) < NEAR * terms) & (t[k, i] + others[k, i] < HUGE)
    for k in range(samples):
        any_near |= near[k]
    if not any_near:
        return gradient
    e_high, e_low = np.empty(n), np.empty(n)
    for k in range(samples):
        if near[k]:
            largest = z[k, 0]
            for i in range(1, n):
                largest = max(largest, z[k, i])
            for i in range(n):
                d = total(largest, -z[k, i])
                e_high[i], e_low[i] = exponential(-d[0], -d[1]) if d[0] < FAR_APART else (0.0, 0.0)
            again = softmax_difference(e_high, e_low, t[k])
            for i in range(n):
                is_near = abs(gradient[k, i]) < NEAR * min(t[k, i], others[k, i])
                if is_near and e_high[i] > 0.0:
                    gradient[k, i] = again[i]
    return gradient


@njit(error_model="numpy", **INNER)
def logistic_again(gradient, z, t):
    """As `soft_targets.logistic_again`."""
    near = False
    for j in range(z.size):
        near |= abs(gradient[j]) < NEAR * min(t[j], 1.0 - t[j])
    if near:
        for j in range(z.size):
            if abs(gradient[j]) < NEAR * min(t[j], 1.0 - t[j]) and abs(z[j]) < FAR_APART:
                e, one = exponential(-abs(z[j]), 0.0), (1.0, 0.0)
                gradient[j] = logistic_difference(one, e, t[j]) if z[j] >= 0.0 else logistic_difference(e, one, t[j])
    return gradient


@njit(**INNER)
def surprise(z, t):
    """As that of `losses`; the logarithm is asked for where it counts."""
    return -t * math.log(z) if t > 0.0 else 0.0


# ------------------------------------------------------------------ the cross-entropy of softmax


@njit(error_model="numpy", **INNER)
def sum_of_others(t):
    others = np.zeros(t.shape)
    for k in range(t.shape[0]):
        before = after = 0.0
        for i in range(t.shape[1]):
            others[k, i] += before
            before += t[k, i]
            others[k, -1 - i] += after
            after += t[k, -1 - i]
    return others


@njit(error_model="numpy", **INNER)
def shifted(z):
    """The halves of the distances, e, and the sum r of all other e of each sample; see `losses.shifted`."""
    samples, n = z.shape
    largest, half, e = np.empty(samples), np.empty((n, samples)), np.empty((n, samples))
    for k in range(samples):
        largest[k] = z[k, 0]
    for i in range(1, n):
        for k in range(samples):
            largest[k] = max(largest[k], z[k, i])
    r, others = np.zeros(samples), np.full(samples, -1.0)
    for i in range(n):
        for k in range(samples):
            half[i, k], rest = total(0.5 * largest[k], -0.5 * z[k, i])
            e[i, k] = fast_exp(-2.0 * half[i, k])
            e[i, k] -= e[i, k] * (2.0 * rest) if e[i, k] > 0.0 else 0.0
            r[k] += e[i, k] if half[i, k] != 0.0 else 0.0
            others[k] += 1.0 if half[i, k] == 0.0 else 0.0
    for k in range(samples):
        r[k] += others[k]  # as large as the largest
    return half, e, r


@njit(error_model="numpy", **INNER)
def shifted_rows(z):
    """The same, with a row for each sample."""
    half, e, r = shifted(z)
    return half.T, e.T, r.reshape(len(r), 1)


@njit(error_model="numpy", **INNER)
def sum_of(z):
    total = np.zeros((z.shape[0], 1))
    for k in range(z.shape[0]):
        for i in range(z.shape[1]):
            total[k, 0] += z[k, i]
    return total


@njit(error_model="numpy", **INNER)
def softmax_cross_entropy(z, t):
    samples, n = z.shape
    half, _, r = shifted(z)
    value = np.zeros(samples)
    for k in range(samples):
        r[k] = math.log1p(r[k])
    for i in range(n):
        for k in range(samples):
            value[k] += 2.0 * (t[k, i] * half[i, k]) + t[k, i] * r[k] if t[k, i] > 0.0 else 0.0
    return value


@njit(error_model="numpy", **INNER)
def softmax_cross_entropy_gradient(z, t):
    samples, n = z.shape
    _, e, r = shifted(z)
    whole, others = np.zeros(samples), sum_of_others(t)
    for i in range(n):
        for k in range(samples):
            whole[k] += t[k, i]
    for i in range(n):
        for k in range(samples):
            p = e[i, k] / (1.0 + r[k])
            near_one = others[k, i] - whole[k] * (r[k] / (1.0 + r[k]))
            e[i, k] = near_one if p > 0.5 else p * whole[k] - t[k, i]
    return softmax_again(e.T, z, t, others)
