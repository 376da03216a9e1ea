"""The loops of `soft_targets` as the compiled losses run them: the same equations, a sample at a time."""

import math
from types import FunctionType

import numpy as np
from numba import njit

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


@njit(error_model="numpy")
def exponential(high, low):
    """e^(high + low) for -690 < high <= 0."""
    k = math.floor(high * 1.4426950408889634 + 0.5)
    e, scale = exp((high, low), float(k)), power_of_two(int(k))
    return e[0] * scale, e[1] * scale


@njit(error_model="numpy")
def softmax_again(gradient, z, t, others):
    """As `soft_targets.softmax_again`, for arrays whose samples lie side by side."""
    samples, n = z.shape
    near = np.zeros(samples, np.bool_)
    for i in range(n):
        for k in range(samples):
            terms = min(t[k, i], others[k, i])
            near[k] |= (abs(gradient[k, i]) < NEAR * terms) & (t[k, i] + others[k, i] < HUGE)
    if not near.any():
        return gradient
    e_high, e_low = np.empty(n), np.empty(n)
    for k in range(samples):
        if near[k]:
            largest = z[k].max()
            for i in range(n):
                d = total(largest, -z[k, i])
                e_high[i], e_low[i] = exponential(-d[0], -d[1]) if d[0] < FAR_APART else (0.0, 0.0)
            again = softmax_difference(e_high, e_low, t[k])
            for i in range(n):
                is_near = abs(gradient[k, i]) < NEAR * min(t[k, i], others[k, i])
                if is_near and e_high[i] > 0.0:
                    gradient[k, i] = again[i]
    return gradient


@njit(error_model="numpy")
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
