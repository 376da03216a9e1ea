"""Exponential, hyperbolic tangent, sine and cosine that the compiler can turn into vector instructions.

They stand in for those of the module `math` in compiled activations and losses, and differ from the exact value by
less than 3 units in the last place.
"""

import math

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from graphprop.engine.loops.caching import INNER


@intrinsic
def power_of_two(typing_context, k):
    """2^k for -1022 <= k <= 1023, by its bits."""

    def generate(context, builder, signature, arguments):
        exponent = builder.add(arguments[0], ir.Constant(ir.IntType(64), 1023))
        return builder.bitcast(builder.shl(exponent, ir.Constant(ir.IntType(64), 52)), ir.DoubleType())

    return types.float64(types.int64), generate


@njit(fastmath={"contract"}, forceinline=True, **INNER)
def _reduced(x):
    """k and expm1(r) with x = k log 2 + r, |r| <= log(2) / 2; log 2 in two parts, the first times k exact."""
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10
    # the Taylor series to r^13 / 13!, whose rest is below 2^-57
    p = 1.6059043836821613e-10
    p = p * r + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 0.0001984126984126984
    p = p * r + 0.001388888888888889
    p = p * r + 0.008333333333333333
    p = p * r + 0.041666666666666664
    p = p * r + 0.16666666666666666
    p = p * r + 0.5
    return k, r + r * r * p


@njit(fastmath={"contract"}, forceinline=True, **INNER)
def exp(x):
    """e^x within 2 units in the last place; 0 and inf beyond the range, nan for nan."""
    k, p = _reduced(min(max(x, -746.0), 710.0))
    half = int(k) >> 1  # 2^k in two factors: k itself may be out of the range of exponents
    y = (1.0 + p) * power_of_two(half) * power_of_two(int(k) - half)
    return y if x == x else x


@njit(fastmath={"contract"}, forceinline=True, **INNER)
def expm1(x):
    """e^x - 1, also for small x."""
    k, p = _reduced(min(max(x, -746.0), 710.0))
    half = int(k) >> 1
    lead, rest = power_of_two(half), power_of_two(int(k) - half)
    y = p * lead * rest + (lead * rest - 1.0) if k < 64 else (1.0 + p) * lead * rest  # 2^1024 is no number
    return y if x == x else x


@njit(fastmath={"contract"}, forceinline=True, **INNER)
def tanh(x):
    e = expm1(-2.0 * abs(x))
    return math.copysign(e / (2.0 + e), x)


FAR = 1e6  # sin and cos are right up to here; k stays below 2^20


@njit(fastmath={"contract"}, forceinline=True, **INNER)
def _turned(x):
    """The whole k next to x / (pi / 2), and sine and cosine of the rest r = x - k pi / 2."""
    near = min(max(x, -FAR), FAR)
    k = math.floor(near * 0.6366197723675814 + 0.5)
    # pi / 2 in three parts, the first two of 33 bits, so that k times each is exact
    r = ((near - k * 1.5707963267341256) - k * 6.077100506303966e-11) - k * 2.0222662487959506e-21
    t = r * r
    # the Taylor series to r^17 / 17! and r^18 / 18!
    s = 2.8114572543455206e-15
    s = s * t - 7.647163731819816e-13
    s = s * t + 1.6059043836821613e-10
    s = s * t - 2.505210838544172e-08
    s = s * t + 2.7557319223985893e-06
    s = s * t - 0.0001984126984126984
    s = s * t + 0.008333333333333333
    s = s * t - 0.16666666666666666
    c = -1.5619206968586225e-16
    c = c * t + 4.779477332387385e-14
    c = c * t - 1.1470745597729725e-11
    c = c * t + 2.08767569878681e-09
    c = c * t - 2.755731922398589e-07
    c = c * t + 2.48015873015873e-05
    c = c * t - 0.001388888888888889
    c = c * t + 0.041666666666666664
    c = c * t - 0.5
    return int(k), r + r * t * s if r != 0.0 else r, 1.0 + t * c  # the sine of -0 is -0


@njit(fastmath={"contract"}, forceinline=True, **INNER)
def sin(x):
    """sin x where |x| <= FAR, within 2 units in the last place; nan for nan."""
    k, s, c = _turned(x)
    y = c if k & 1 else s
    y = -y if k & 2 else y
    return y if x == x else x


@njit(fastmath={"contract"}, forceinline=True, **INNER)
def cos(x):
    k, s, c = _turned(x)
    y = s if k & 1 else c
    y = -y if (k + 1) & 2 else y
    return y if x == x else x
