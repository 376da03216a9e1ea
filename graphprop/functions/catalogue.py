"""The table of activations: each function once, in the form that is right to the last digit, and its textbook formula.

To add one, add an entry to the table; it is then tested, documented and usable everywhere. The forms
for floats avoid every subtraction of nearly equal numbers; docs/derivation.md says why they look as they do.
Of the reducing and vector kinds the derivative is the vector-Jacobian product in closed form.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, unknown
from graphprop.functions.activation import Activation
from graphprop.functions.losses import sum_of_others
from graphprop.functions.soft_targets import softmax_again
from graphprop.functions.twofold import total
from graphprop.given.arrays import Array, one_number

EVERYWHERE = (-math.inf, math.inf)
FAR = 1e300  # where exp(-d) is 0
POSITIVE = (5e-324, np.finfo(float).max)
HALF_ROOT, HALF_ROOT_REST = 0.7071067811865476, -4.833646656726457e-17  # the rest of sqrt(1/2) is its rounding error

# ------------------------------------------------------------------ elementwise: value(a), derivative(a, o)


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


# ------------------------------------------------------------------ the softmax family, from one preparation


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


# ------------------------------------------------------------------ other reducing kinds: value(a), pull(a, o, g)


# Products have mantissas and exponents apart, so that nothing overflows on the way.


def _times(mantissa: float, exponent: int, factor: float) -> tuple[float, int]:
    part, shift = math.frexp(factor)
    mantissa, carry = math.frexp(mantissa * part)
    return mantissa, exponent + shift + carry


def _joined(mantissa: float, exponent: int) -> Any:
    return np.ldexp(mantissa, max(min(exponent, 2000), -2000))


def _product(a: Array) -> Any:
    mantissa, exponent = 1.0, 0
    for i in range(len(a)):
        mantissa, exponent = _times(mantissa, exponent, a[i])
    return _joined(mantissa, exponent)


def _product_pull(a: Array, o: float, g: float) -> Array:
    # the factors before each one times those behind it: without a quotient, which a factor of 0 has not
    n = len(a)
    mantissas, exponents, result = np.ones(n), np.zeros(n, np.int64), np.zeros(n)
    for i in range(n - 1):
        mantissas[i + 1], exponents[i + 1] = _times(mantissas[i], exponents[i], a[i])
    mantissa, exponent = 1.0, 0
    for i in range(n - 1, -1, -1):
        result[i] = g * _joined(mantissas[i] * mantissa, exponents[i] + exponent)
        mantissa, exponent = _times(mantissa, exponent, a[i])
    return result


def _unit(n: int, i: Any, g: float) -> Array:
    result = np.zeros(n)
    result[i] = g
    return result


def _max_pull(a: Array, o: float, g: float) -> Array:
    return _unit(len(a), np.argmax(a), g)


def _min_pull(a: Array, o: float, g: float) -> Array:
    return _unit(len(a), np.argmin(a), g)


def _maxabs(a: Array) -> Any:
    return a[np.argmax(np.abs(a))]


def _maxabs_pull(a: Array, o: float, g: float) -> Array:
    return _unit(len(a), np.argmax(np.abs(a)), g)


def _mean(a: Array) -> Any:
    total = a.sum()
    return total / len(a) if np.isfinite(total) else (a / len(a)).sum()


def _mean_pull(a: Array, o: float, g: float) -> Array:
    return np.full(len(a), g / len(a))


def _median(a: Array) -> Any:
    ranked, n = np.sort(a), len(a)
    return 0.5 * ranked[(n - 1) // 2] + 0.5 * ranked[n // 2]


def _median_pull(a: Array, o: float, g: float) -> Array:
    ranked, n = np.argsort(a, kind="stable"), len(a)
    return _unit(n, ranked[(n - 1) // 2], 0.5 * g) + _unit(n, ranked[n // 2], 0.5 * g)


# ------------------------------------------------------------------ textbook formulas over a namespace m


def _softmax_formula(m: Any, a: list[Any]) -> list[Any]:
    total = sum(m.exp(x) for x in a)
    return [m.exp(x) / total for x in a]


def _log_softmax_formula(m: Any, a: list[Any]) -> list[Any]:
    return [x - _logsumexp_formula(m, a) for x in a]


def _logsumexp_formula(m: Any, a: list[Any]) -> Any:
    return m.log(sum(m.exp(x) for x in a))


def _softmax_dot_formula(m: Any, a: list[Any]) -> Any:
    return sum(p * x for p, x in zip(_softmax_formula(m, a), a, strict=True))


def _product_formula(m: Any, a: list[Any]) -> Any:
    return functools.reduce(lambda x, y: x * y, a)


def _maxabs_formula(m: Any, a: list[Any]) -> Any:
    return functools.reduce(lambda x, y: m.where(abs(y) > abs(x), y, x), a)


def _median_formula(m: Any, a: list[Any]) -> Any:
    ranked, n = m.sorted(a), len(a)
    return (ranked[(n - 1) // 2] + ranked[n // 2]) / 2


# ------------------------------------------------------------------ the table


class Entry(Activation):
    """An activation of the table; its functions may meet infinities, of which numpy has nothing to say."""

    __slots__ = ()

    def outputs(self, a: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            return super().outputs(a)

    def pull(self, a: list[float], o: list[float], g: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            return super().pull(a, o, g)


_TABLE = (
    Entry(
        "identity",
        lambda a: a,
        lambda a, o: 1.0,
        formula=lambda m, a: a,
        text="a",
        latex="a",
        check=False,
    ),
    Entry(
        "sigmoid",
        _sigmoid,
        _sigmoid_slope,
        formula=lambda m, a: 1 / (1 + m.exp(-a)),
        text="1 / (1 + exp(-a))",
        latex=r"\frac{1}{1 + e^{-a}}",
        domain=EVERYWHERE,
        gives="probabilities",
        check=False,
    ),
    Entry(
        "tanh",
        math.tanh,
        _tanh_slope,
        formula=lambda m, a: m.tanh(a),
        text="tanh(a)",
        latex=r"\tanh a",
        domain=EVERYWHERE,
        check=False,
    ),
    Entry(
        "relu",
        lambda a: a if a > 0 else 0.0,
        lambda a, o: 1.0 if a > 0 else 0.0,
        formula=lambda m, a: m.where(a > 0, a, 0 * a),
        text="max(a, 0)",
        latex=r"\max(a, 0)",
        kinks=(0.0,),
        check=False,
    ),
    Entry(
        "leaky_relu",
        lambda a, slope: a if a > 0 else slope * a,
        lambda a, o, slope: 1.0 if a > 0 else slope,
        formula=lambda m, a, slope: m.where(a > 0, a, slope * a),
        text="a if a > 0 else slope * a",
        latex=r"\begin{cases} a & a > 0 \\ s a & a \le 0 \end{cases}",
        parameters={"slope": 0.01},
        kinks=(0.0,),
        check=False,
    ),
    Entry(
        "elu",
        _elu,
        _elu_slope,
        formula=lambda m, a, alpha: m.where(a > 0, a, alpha * (m.exp(a) - 1)),
        text="a if a > 0 else alpha * (exp(a) - 1)",
        latex=r"\begin{cases} a & a > 0 \\ \alpha (e^a - 1) & a \le 0 \end{cases}",
        parameters={"alpha": 1.0},
        kinks=(0.0,),
        check=False,
    ),
    Entry(
        "softplus",
        _softplus,
        lambda a, o: _sigmoid(a),
        formula=lambda m, a: m.log(1 + m.exp(a)),
        text="log(1 + exp(a))",
        latex=r"\log(1 + e^a)",
        check=False,
    ),
    Entry(
        "silu",
        lambda a: a * _sigmoid(a),
        _silu_slope,
        formula=lambda m, a: a / (1 + m.exp(-a)),
        text="a * sigmoid(a)",
        latex=r"\frac{a}{1 + e^{-a}}",
        check=False,
    ),
    Entry(
        "gelu",
        _gelu,
        _gelu_slope,
        formula=lambda m, a: a * m.erfc(-a / m.sqrt(2)) / 2,
        text="a * erfc(-a / sqrt(2)) / 2",
        latex=r"\frac{a}{2}\,\mathrm{erfc}\left(\frac{-a}{\sqrt 2}\right)",
        check=False,
    ),
    Entry(
        "sin",
        math.sin,
        lambda a, o: math.cos(a),
        formula=lambda m, a: m.sin(a),
        text="sin(a)",
        latex=r"\sin a",
        check=False,
    ),
    Entry(
        "gaussian",
        _gaussian,
        _gaussian_slope,
        formula=lambda m, a: m.exp(-a * a),
        text="exp(-a^2)",
        latex=r"e^{-a^2}",
        check=False,
    ),
    Entry(
        "abs",
        abs,
        _sign,
        formula=lambda m, a: m.where(a > 0, a, -a),
        text="|a|",
        latex="|a|",
        kinks=(0.0,),
        check=False,
    ),
    Entry(
        "square",
        lambda a: a * a,
        lambda a, o: 2.0 * a,
        formula=lambda m, a: a * a,
        text="a^2",
        latex="a^2",
        check=False,
    ),
    Entry(
        "exp",
        math.exp,
        lambda a, o: o,
        formula=lambda m, a: m.exp(a),
        text="exp(a)",
        latex="e^a",
        check=False,
    ),
    Entry(
        "log",
        math.log,
        lambda a, o: 1.0 / a,
        formula=lambda m, a: m.log(a),
        text="log(a)",
        latex=r"\log a",
        domain=POSITIVE,
        check=False,
    ),
    Entry(
        "softmax_dot",
        _softmax_dot,
        _softmax_dot_pull,
        kind="reducing",
        formula=_softmax_dot_formula,
        text="sum_j softmax(a)[j] * a[j]",
        latex=r"\sum_j \frac{e^{a_j}}{\sum_k e^{a_k}}\, a_j",
        masks=True,
        check=False,
    ),
    Entry(
        "product",
        _product,
        _product_pull,
        kind="reducing",
        formula=_product_formula,
        text="product of a[j] over j",
        latex=r"\prod_j a_j",
        check=False,
    ),
    Entry(
        "max",
        np.max,
        _max_pull,
        kind="reducing",
        formula=lambda m, a: m.max(a),
        text="max_j a[j]",
        latex=r"\max_j a_j",
        kinks=(0.0,),
        check=False,
    ),
    Entry(
        "min",
        np.min,
        _min_pull,
        kind="reducing",
        formula=lambda m, a: m.min(a),
        text="min_j a[j]",
        latex=r"\min_j a_j",
        kinks=(0.0,),
        check=False,
    ),
    Entry(
        "maxabs",
        _maxabs,
        _maxabs_pull,
        kind="reducing",
        formula=_maxabs_formula,
        text="the a[j] of largest |a[j]|",
        latex=r"a_{j^*},\ j^* = \arg\max_j |a_j|",
        kinks=(0.0,),
        check=False,
    ),
    Entry(
        "mean",
        _mean,
        _mean_pull,
        kind="reducing",
        formula=lambda m, a: sum(a) / len(a),
        text="sum_j a[j] / n",
        latex=r"\frac{1}{n} \sum_j a_j",
        check=False,
    ),
    Entry(
        "median",
        _median,
        _median_pull,
        kind="reducing",
        formula=_median_formula,
        text="the middle of the sorted a[j]",
        latex=r"\mathrm{median}_j\, a_j",
        kinks=(0.0,),
        check=False,
    ),
    Entry(
        "logsumexp",
        _logsumexp,
        _logsumexp_pull,
        kind="reducing",
        formula=_logsumexp_formula,
        text="log(sum_j exp(a[j]))",
        latex=r"\log \sum_j e^{a_j}",
        masks=True,
        check=False,
    ),
    Entry(
        "softmax",
        _softmax,
        _softmax_pull,
        kind="vector",
        formula=_softmax_formula,
        text="exp(a[i]) / sum_j exp(a[j])",
        latex=r"\frac{e^{a_i}}{\sum_j e^{a_j}}",
        masks=True,
        gives="probabilities",
        check=False,
    ),
    Entry(
        "log_softmax",
        _log_softmax,
        _log_softmax_pull,
        kind="vector",
        formula=_log_softmax_formula,
        text="a[i] - log(sum_j exp(a[j]))",
        latex=r"a_i - \log \sum_j e^{a_j}",
        masks=True,
        gives="log-probabilities",
        check=False,
    ),
)

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({entry.name: entry for entry in _TABLE})


def is_of_the_table(f: Activation) -> bool:
    """Whether its functions are those of the table, perhaps with other parameters, and not a user's own."""
    own = ACTIVATIONS.get(f.name)
    return own is not None and (own.value_function, own.derivative_function) == (
        f.value_function,
        f.derivative_function,
    )


def activation(name: str, parameters: Mapping[str, float] = MappingProxyType({}), **changes: float) -> Activation:
    """The activation of that name, with its parameters changed where they are given.

    >>> activation("leaky_relu", slope=0.2).value(-1.0)
    -0.2
    >>> activation("sigmod")
    Traceback (most recent call last):
    graphprop.errors.UnknownNameError: unknown activation 'sigmod'; did you mean 'sigmoid'?
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    entry = ACTIVATIONS[name]
    if not isinstance(parameters, Mapping):
        raise GraphpropError(f"activation {name!r}: parameters are a mapping from names to numbers, not {parameters!r}")
    changed = {**parameters, **changes}
    for key in changed:
        if key not in entry.parameters:
            raise unknown("parameter", key, entry.parameters, f"activation {name!r}: ")
    numbers = {key: one_number(number, f"activation {name!r}: parameter {key}") for key, number in changed.items()}
    if all(entry.parameters.get(key) == number for key, number in numbers.items()):
        return entry
    fields: dict[str, Any] = {field: getattr(entry, field) for field in ("kind", "formula", "text", "latex")}
    fields |= {field: getattr(entry, field) for field in ("domain", "kinks", "masks", "gives")}
    functions: tuple[Callable[..., Any], ...] = (entry.value_function, entry.derivative_function)
    return Entry(name, *functions, parameters={**entry.parameters, **changed}, **fields)


def resolve(given: str | Activation) -> Activation:
    """The activation that a name or an object stands for."""
    if isinstance(given, Activation):
        return given
    if not isinstance(given, str):
        raise GraphpropError(f"an activation is a name or a gp.Activation, not {given!r}")
    return activation(given)
