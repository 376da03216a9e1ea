"""The elementwise activations: one number to one number.

The forms for floats avoid every subtraction of nearly equal numbers; docs/derivation.md says why they look as they do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphprop.functions.entry import Entry
from graphprop.functions.printed import Mistake, Printed
from graphprop.given.arrays import Array

EVERYWHERE = (-math.inf, math.inf)
POSITIVE = (5e-324, np.finfo(float).max)
HALF_ROOT, HALF_ROOT_REST = 0.7071067811865476, -4.833646656726457e-17  # the rest of sqrt(1/2) is its rounding error

# ------------------------------------------------------------------ value(a), derivative(a, o)


def _sigmoid(a: float) -> float:
    e = math.exp(-abs(a))
    return 1.0 / (1.0 + e) if a >= 0 else e / (1.0 + e)


def _sigmoid_slope(a: float, o: float) -> float:
    e = math.exp(-abs(a))  # o (1 - o) would lose every digit where o rounds to 1
    return e / ((1.0 + e) * (1.0 + e))


def _tanh_slope(a: float, o: float) -> float:
    e = math.exp(-2.0 * abs(a))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def _softplus(a: float) -> float:
    return max(a, 0.0) + math.log1p(math.exp(-abs(a)))


def _silu_slope(a: float, o: float) -> float:
    return _sigmoid(a) * (1.0 + a * _sigmoid(-a))


def _exp_minus_square(a: float, scale: float) -> float:
    """exp(-scale a^2), without the rounding of a^2: its leading part is exact, the rest is small."""
    a = min(max(a, -64.0), 64.0)  # beyond, the result is 0
    lead = math.floor(a * 1024.0) / 1024.0
    return math.exp(-scale * lead * lead) * math.exp(-scale * (a - lead) * (a + lead))


def _gaussian(a: float) -> float:
    return _exp_minus_square(a, 1.0)


def _gaussian_slope(a: float, o: float) -> float:
    return -2.0 * a * o


def _normal_below(a: float) -> float:
    """The standard normal distribution's probability of less than a."""
    a = min(max(a, -64.0), 64.0)  # beyond, the result is 0 or 1
    x = -a * HALF_ROOT
    # far out erfc magnifies the rounding of x by x^2: take it along to first order
    lead = math.floor(a * 2.0**20) * 2.0**-20
    root_lead = math.floor(HALF_ROOT * 2.0**26) * 2.0**-26
    rest = -a * (HALF_ROOT - root_lead) - (a - lead) * root_lead
    error = ((-lead * root_lead - x) + rest) - a * HALF_ROOT_REST
    return 0.5 * math.erfc(x) - error * _exp_minus_square(a, 0.5) / math.sqrt(math.pi)


def _gelu(a: float) -> float:
    return a * _normal_below(a)


def _gelu_slope(a: float, o: float) -> float:
    return _normal_below(a) + a * _exp_minus_square(a, 0.5) / math.sqrt(2.0 * math.pi)


def _elu(a: float, alpha: float) -> float:
    return a if a > 0 else alpha * math.expm1(a)


def _elu_slope(a: float, o: float, alpha: float) -> float:
    return 1.0 if a > 0 else alpha * math.exp(a)


def _sign(a: float, o: float) -> float:
    return 1.0 if a > 0 else -1.0 if a < 0 else 0.0


# ------------------------------------------------------------------ second(a, o)


def _sigmoid_second(a: float, o: float) -> float:
    e = math.exp(-abs(a))
    size = -math.expm1(-abs(a)) * e / ((1.0 + e) * (1.0 + e) * (1.0 + e))
    return -size if a > 0 else size


def _silu_second(a: float, o: float) -> float:
    return _sigmoid_slope(a, o) * (2.0 - a * math.tanh(0.5 * a))


def _gelu_second(a: float, o: float) -> float:
    return (2.0 - a * a) * _exp_minus_square(a, 0.5) / math.sqrt(2.0 * math.pi)


def _gaussian_second(a: float, o: float) -> float:
    a = min(max(a, -64.0), 64.0)  # beyond, o is 0
    return (4.0 * a * a - 2.0) * o


# ------------------------------------------------------------------ as books have them


def _like_a_gate(a: Array, o: Array, g: Array) -> Any:
    """s + a s (1 - s)"""
    return g * (1 + 2 * np.abs(a))


SIGMOID_MISTAKES: tuple[Mistake, ...] = (
    ("the derivative of {f} at {at} is a (1 - a), of a instead of o: it is o (1 - o)", lambda a, o: a * (1 - a)),
    ("the derivative of {f} at {at} lacks its factor o: 1 - o instead of o (1 - o)", lambda a, o: 1 - o),
    ("the derivative of {f} at {at} is that of tanh: 1 - o^2 instead of o (1 - o)", lambda a, o: 1 - o * o),
)
TANH_MISTAKES: tuple[Mistake, ...] = (
    ("the derivative of {f} at {at} is 1 - a^2, of a instead of o: it is 1 - o^2", lambda a, o: 1 - a * a),
    ("the derivative of {f} at {at} lacks the square: 1 - o instead of 1 - o^2", lambda a, o: 1 - o),
    ("the derivative of {f} at {at} is that of sigmoid: o (1 - o) instead of 1 - o^2", lambda a, o: o * (1 - o)),
)

# ------------------------------------------------------------------ the entries

ELEMENTWISE = (
    Entry(
        "identity",
        lambda a: a,
        lambda a, o: 1.0,
        second=lambda a, o: 0.0,
        formula=lambda m, a: a,
        text="a",
        latex="a",
        printed=Printed(slope=lambda m, a, o: 1.0),
        also=("linear", "none", "id"),
    ),
    Entry(
        "sigmoid",
        _sigmoid,
        _sigmoid_slope,
        second=_sigmoid_second,
        formula=lambda m, a: 1 / (1 + m.exp(-a)),
        text="1 / (1 + exp(-a))",
        latex=r"\frac{1}{1 + e^{-a}}",
        domain=EVERYWHERE,
        gives="probabilities",
        printed=Printed(
            slope=lambda m, a, o: o * m.known(1 - o, m.sigmoid(-a)),
            cancels=lambda a, o, g: g * (o + o * o),  # o - o^2
            mistakes=SIGMOID_MISTAKES,
        ),
        also=("logistic", "expit"),
    ),
    Entry(
        "tanh",
        math.tanh,
        _tanh_slope,
        second=lambda a, o: -2.0 * o * _tanh_slope(a, o),
        formula=lambda m, a: m.tanh(a),
        text="tanh(a)",
        latex=r"\tanh a",
        domain=EVERYWHERE,
        printed=Printed(
            slope=lambda m, a, o: m.known(1 - o, 2 * m.sigmoid(-2 * a)) * m.known(1 + o, 2 * m.sigmoid(2 * a)),
            cancels=lambda a, o, g: g * (1 + o * o),  # 1 - o^2
            mistakes=TANH_MISTAKES,
        ),
        also=("hyperbolic tangent",),
    ),
    Entry(
        "relu",
        lambda a: a if a > 0 else 0.0,
        lambda a, o: 1.0 if a > 0 else 0.0,
        second=lambda a, o: 0.0,
        formula=lambda m, a: m.where(a > 0, a, 0 * a),
        text="max(a, 0)",
        latex=r"\max(a, 0)",
        kinks=(0.0,),
        printed=Printed(
            lambda m, a: m.max([a, 0.0]),
            lambda m, a, o: m.where(a > 0, 1.0, 0.0),
        ),
        also=("rectifier", "rectified linear", "ramp"),
    ),
    Entry(
        "leaky_relu",
        lambda a, slope: a if a > 0 else slope * a,
        lambda a, o, slope: 1.0 if a > 0 else slope,
        second=lambda a, o, slope: 0.0,
        formula=lambda m, a, slope: m.where(a > 0, a, slope * a),
        text="a if a > 0 else slope * a",
        latex=r"\begin{cases} a & a > 0 \\ s a & a \le 0 \end{cases}",
        parameters={"slope": 0.01},
        kinks=(0.0,),
        printed=Printed(slope=lambda m, a, o, slope: m.where(a > 0, 1.0, slope)),
        also=("lrelu",),
    ),
    Entry(
        "elu",
        _elu,
        _elu_slope,
        second=lambda a, o, alpha: 0.0 if a > 0 else alpha * math.exp(a),
        formula=lambda m, a, alpha: m.where(a > 0, a, alpha * (m.exp(a) - 1)),
        text="a if a > 0 else alpha * (exp(a) - 1)",
        latex=r"\begin{cases} a & a > 0 \\ \alpha (e^a - 1) & a \le 0 \end{cases}",
        parameters={"alpha": 1.0},
        kinks=(0.0,),
        printed=Printed(
            lambda m, a, alpha: m.where(a > 0, a, alpha * (m.exp(a) + -1.0)),
            lambda m, a, o, alpha: m.where(a > 0, 1.0, alpha * m.exp(a)),
            cancels=lambda a, o, g, alpha: g * (np.abs(o) + alpha),  # o + alpha
            beside=1.0,  # e - 1
        ),
    ),
    Entry(
        "softplus",
        _softplus,
        lambda a, o: _sigmoid(a),
        second=lambda a, o: _sigmoid_slope(a, o),
        formula=lambda m, a: m.log(1 + m.exp(a)),
        text="log(1 + exp(a))",
        latex=r"\log(1 + e^a)",
        printed=Printed(
            slope=lambda m, a, o: m.sigmoid(a),
            cancels=lambda a, o, g: 2 * g,  # 1 - exp(-o)
            beside=1.0,  # log(1 + e)
        ),
        also=("smooth relu",),
    ),
    Entry(
        "silu",
        lambda a: a * _sigmoid(a),
        _silu_slope,
        second=_silu_second,
        formula=lambda m, a: a / (1 + m.exp(-a)),
        text="a * sigmoid(a)",
        latex=r"\frac{a}{1 + e^{-a}}",
        printed=Printed(
            lambda m, a: a * m.sigmoid(a),
            lambda m, a, o: m.sigmoid(a) * (1 + a * m.sigmoid(-a)),
            cancels=_like_a_gate,
        ),
        also=("swish",),
    ),
    Entry(
        "gelu",
        _gelu,
        _gelu_slope,
        second=_gelu_second,
        formula=lambda m, a: a * m.erfc(-a / m.sqrt(2)) / 2,
        text="a * erfc(-a / sqrt(2)) / 2",
        latex=r"\frac{a}{2}\,\mathrm{erfc}\left(\frac{-a}{\sqrt 2}\right)",
        printed=Printed(
            lambda m, a: a * m.Phi(a),
            lambda m, a, o: m.Phi(a) + a * m.phi(a),
            cancels=_like_a_gate,
        ),
    ),
    Entry(
        "sin",
        math.sin,
        lambda a, o: math.cos(a),
        second=lambda a, o: -o,
        formula=lambda m, a: m.sin(a),
        text="sin(a)",
        latex=r"\sin a",
        printed=Printed(slope=lambda m, a, o: m.cos(a)),
        also=("sine",),
    ),
    Entry(
        "gaussian",
        _gaussian,
        _gaussian_slope,
        second=_gaussian_second,
        formula=lambda m, a: m.exp(-a * a),
        text="exp(-a^2)",
        latex=r"e^{-a^2}",
        printed=Printed(slope=lambda m, a, o: -2.0 * a * o),
        also=("rbf", "bell"),
    ),
    Entry(
        "abs",
        abs,
        _sign,
        second=lambda a, o: 0.0,
        formula=lambda m, a: m.where(a > 0, a, -a),
        text="|a|",
        latex="|a|",
        kinks=(0.0,),
        printed=Printed(lambda m, a: abs(a), lambda m, a, o: m.sign(a)),
        also=("absolute value", "modulus"),
    ),
    Entry(
        "square",
        lambda a: a * a,
        lambda a, o: 2.0 * a,
        second=lambda a, o: 2.0,
        formula=lambda m, a: a * a,
        text="a^2",
        latex="a^2",
        printed=Printed(slope=lambda m, a, o: 2.0 * a),
        also=("squared", "quadratic"),
    ),
    Entry(
        "exp",
        math.exp,
        lambda a, o: o,
        second=lambda a, o: o,
        formula=lambda m, a: m.exp(a),
        text="exp(a)",
        latex="e^a",
        printed=Printed(slope=lambda m, a, o: o),
        also=("exponential",),
    ),
    Entry(
        "log",
        math.log,
        lambda a, o: 1.0 / a,
        second=lambda a, o: -(1.0 / a) * (1.0 / a),
        formula=lambda m, a: m.log(a),
        text="log(a)",
        latex=r"\log a",
        domain=POSITIVE,
        printed=Printed(slope=lambda m, a, o: 1 / a),
        also=("ln", "logarithm"),
    ),
)
