"""The formulas of five homework solutions on softmax, backpropagation and convolution, one by one.

The texts are called "source 000" to "source 004" here; the ids S0.1 to S4.32 are ours. Each entry states the formula
as it is printed, the correct one, and the truth, which no chain rule made: numerical differentiation with 40 digits
of the function's definition, another expression for the same value, or whole numbers. An erratum's printed form must
fail; where the library computes the quantity, it must give the correct one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import mpmath
import numpy as np
import pytest

import graphprop as gp
from tests.project import ROOT

Array = Any  # of mpmath numbers, or of integers
Verdict = Literal["correct", "caveat", "erratum"]
mp = mpmath.mp.clone()
mp.dps = 40


@dataclass(frozen=True)
class Forms:
    """One statement: the printed form and the correct one, if it is another, and what the library gives."""

    printed: Any
    truth: Any
    correct: Any = None
    library: Any = None


@dataclass(frozen=True)
class Formula:
    """Of an erratum every printed form fails, of a caveat some do: those outside of what was silently assumed."""

    id: str
    verdict: Verdict
    claim: str
    forms: Callable[[], Iterable[Forms]]


FORMULAS: dict[str, Formula] = {}
LAST_IDS = {"S0": 25, "S1": 11, "S2": 21, "S3": 14, "S4": 32}
LEFT_OUT = {
    "S2.12": "renames an index, i = j",
    "S2.17": "an erratum, but a slip of the pen: it says 'i = 0' for 't_ij = 0', which gives no t_ij to compute with",
    "S4.6": "defines delta; S4.5 and S4.7 compare it with numbers",
}

Check = Callable[[], Iterable[Forms]]


def entry(id: str, verdict: Verdict, claim: str) -> Callable[[Check], Check]:  # noqa: A002
    """Put the forms that the decorated function yields into the table."""

    def register(forms: Check) -> Check:
        assert id not in FORMULAS, f"{id} is there twice"
        FORMULAS[id] = Formula(id, verdict, claim, forms)
        return forms

    return register


# ------------------------------------------------------------------ comparison


def distance(a: Any, b: Any) -> Any:
    """The largest difference relative to the largest entry of b; infinite if the shapes differ."""
    a, b = np.array(a, dtype=object), np.array(b, dtype=object)
    if a.shape != b.shape:
        return mp.inf
    return max(abs(x - y) for x, y in zip(a.flat, b.flat, strict=True)) / (max(abs(y) for y in b.flat) or 1)


def holds(a: Any, b: Any) -> bool:
    return bool(distance(a, b) <= 1e-25)


def fails(a: Any, b: Any) -> bool:
    return bool(distance(a, b) >= 1e-3)


# ------------------------------------------------------------------ definitions, and their derivatives by differences

exp = np.vectorize(mp.exp, otypes=[object])
log = np.vectorize(mp.log, otypes=[object])


def numbers(x: Any) -> Array:
    """Exact in binary64, so that the library gets the same ones."""
    return np.vectorize(mp.mpf, otypes=[object])(x)


def softmax(x: Array) -> Array:
    return exp(x) / exp(x).sum()


def log_softmax(x: Array) -> Array:
    return log(softmax(x))


def softmax_dot(x: Array) -> Any:
    return softmax(x) @ x


def sigmoid(x: Array) -> Array:
    return 1 / (1 + exp(-x))


def tanh(x: Array) -> Array:
    return (exp(x) - exp(-x)) / (exp(x) + exp(-x))


def cross_entropy(z: Array, t: Array) -> Any:
    return -(t @ log(z))


def nll(z: Array, t: Array) -> Any:
    return -(t @ z)


def along(f: Callable[[Array], Any], x: Array, direction: Array) -> Any:
    """The derivative of a number f(x) along a direction."""
    return mp.diff(lambda h: np.array(f(x + direction * h), dtype=object)[()], 0)


def derivative(f: Callable[[Array], Any], x: Array) -> Array:
    """The derivative of f(x), a number or an array; its shape is that of f(x), then that of x."""
    shape = np.shape(f(x))

    def partial(k: tuple[int, ...], j: tuple[int, ...]) -> Any:
        unit = np.zeros(x.shape, dtype=int)
        unit[j] = 1
        return along(lambda y: np.array(f(y), dtype=object)[k], x, unit)

    entries = [partial(k, j) for k in np.ndindex(shape) for j in np.ndindex(x.shape)]
    return np.array(entries, dtype=object).reshape(shape + x.shape)


def off_diagonal(matrix: Array) -> Array:
    return matrix[~np.eye(len(matrix), dtype=bool)]


def float_array(x: Any) -> Any:
    return np.array(x, dtype=float)


def value(activation: str, x: Any) -> Any:
    return gp.activation(activation).value(float_array(x))


def vjp(activation: str, x: Any, cotangent: Any) -> Any:
    return gp.activation(activation).vjp(float_array(x), float_array(cotangent))


def jacobian(activation: str, x: Any) -> Any:
    return gp.activation(activation).jacobian(float_array(x))


def loss_value(loss: str, z: Any, t: Any) -> Any:
    return gp.loss(loss).evaluate(float_array(z), float_array(t))[0]


def loss_gradient(loss: str, z: Any, t: Any) -> Any:
    return gp.loss(loss).evaluate(float_array(z), float_array(t))[1]


n = 4
x = numbers([0.5, -1.25, 2.0, 0.75])
v = numbers([1.5, -0.5, 0.25, -2.0])
t = numbers([0.125, 0.5, 0.25, 0.125])  # sums to 1
t_any = numbers([0.5, 1.5, 0.25, 0.75])  # sums to 3
c = mp.mpf(1.5)
ones = numbers(np.ones(n))
p = softmax(x)
I = np.eye(n, dtype=int)

# ------------------------------------------------------------------ source 000: softmax, log-softmax, cross-entropy


@entry("S0.1", "caveat", "the number of zeros in the Jacobian of softmax is 0; it is 1 for n = 1")
def every_softmax_derivative_is_non_zero() -> Iterator[Forms]:
    for m in (1, 2, 3, 4):
        yield Forms(
            printed=0,
            correct=int(m == 1),
            truth=int((derivative(softmax, x[:m]) == 0).sum()),
            library=(jacobian("softmax", x[:m]) == 0).sum(),
        )


@entry("S0.2", "correct", "d softmax_i = softmax_i d log softmax_i")
def derivative_by_way_of_the_logarithm() -> Iterator[Forms]:
    yield Forms(printed=p[:, None] * derivative(log_softmax, x), truth=derivative(softmax, x))


@entry("S0.3", "correct", "log softmax_i = x_i - log sum_j exp x_j")
def log_softmax_as_a_difference() -> Iterator[Forms]:
    yield Forms(printed=x - log(exp(x).sum()), truth=log(softmax(x)), library=value("log_softmax", x))


@entry("S0.4", "correct", "d x_i / d x_z = [i = z]")
def derivative_of_a_component() -> Iterator[Forms]:
    yield Forms(printed=I, truth=derivative(lambda y: y, x))


@entry(
    "S0.5",
    "caveat",
    "d log softmax_i / d x_j = [i = j] - exp x_j / sum_j exp x_j; right if the sum binds its own j, not if j is fixed",
)
def log_softmax_derivative_with_j_bound_twice() -> Iterator[Forms]:
    truth, library = derivative(log_softmax, x), jacobian("log_softmax", x)
    bound = [[I[i, j] - exp(x[j]) / sum(exp(x[k]) for k in range(n)) for j in range(n)] for i in range(n)]
    fixed = [[I[i, j] - exp(x[j]) / sum(exp(x[j]) for _ in range(n)) for j in range(n)] for i in range(n)]
    yield Forms(printed=bound, truth=truth, library=library)
    yield Forms(printed=fixed, correct=bound, truth=truth, library=library)


@entry("S0.6", "correct", "d softmax_i / d x_j = softmax_i ([i = j] - softmax_j)")
def softmax_derivative() -> Iterator[Forms]:
    yield Forms(p[:, None] * (I - p[None, :]), truth=derivative(softmax, x), library=jacobian("softmax", x))


@entry("S0.7", "correct", "the whole matrix, Diag(p) - p p^T")
def softmax_jacobian() -> Iterator[Forms]:
    yield Forms(np.diag(p) - np.outer(p, p), truth=derivative(softmax, x), library=jacobian("softmax", x))


@entry("S0.8", "correct", "diagonal softmax_i (1 - softmax_i), the others -softmax_i softmax_j, symmetric")
def softmax_jacobian_entries() -> Iterator[Forms]:
    D = derivative(softmax, x)
    yield Forms(np.diag(D), truth=p * (1 - p))
    yield Forms(off_diagonal(D), truth=off_diagonal(-np.outer(p, p)))
    yield Forms(D, truth=D.T)


@entry("S0.9", "correct", "component j of v D softmax is sum_i v_i p_i ([i = j] - p_j)")
def softmax_vjp_as_a_sum() -> Iterator[Forms]:
    yield Forms(
        printed=[sum(v[i] * p[i] * (I[i, j] - p[j]) for i in range(n)) for j in range(n)],
        truth=v @ derivative(softmax, x),
        library=vjp("softmax", x, v),
    )


@entry("S0.10", "erratum", "the last component of v D softmax, written out; printed with +v_1 p_1")
def softmax_vjp_last_row() -> Iterator[Forms]:
    yield Forms(
        printed=p[3] * (v[0] * p[0] - v[1] * p[1] - v[2] * p[2] + v[3] * (1 - p[3])),
        correct=p[3] * (-v[0] * p[0] - v[1] * p[1] - v[2] * p[2] + v[3] * (1 - p[3])),
        truth=(v @ derivative(softmax, x))[3],
        library=vjp("softmax", x, v)[3],
    )


@entry("S0.11", "correct", "v D softmax = p_j (v_j - v p^T)")
def softmax_vjp() -> Iterator[Forms]:
    yield Forms(p * (v - v @ p), truth=v @ derivative(softmax, x), library=vjp("softmax", x, v))


@entry("S0.12", "erratum", "d l / d z_j; printed as -t_i / z_i, which for a fixed i is the same for all j")
def cross_entropy_gradient_with_the_wrong_index() -> Iterator[Forms]:
    for i in range(n):
        yield Forms(
            printed=[-t[i] / p[i] for j in range(n)],
            correct=[-t[j] / p[j] for j in range(n)],
            truth=derivative(lambda z: cross_entropy(z, t), p),
            library=loss_gradient("cross_entropy", p, t),
        )


@entry("S0.13", "correct", "D l = (-t_1 / z_1, ..., -t_n / z_n), a 1 x n matrix")
def cross_entropy_derivative_is_a_row() -> Iterator[Forms]:
    yield Forms(
        printed=[[-t[i] / p[i] for i in range(n)]],
        truth=derivative(lambda z: np.array([cross_entropy(z, t)]), p),
        library=[loss_gradient("cross_entropy", p, t)],
    )


@entry("S0.14", "erratum", "z_i is 0 where v_i = v p^T; but z = softmax(x) is 0 only by underflow")
def when_a_probability_is_zero() -> Iterator[Forms]:
    for logits, cotangent in (([0.0, 0.0, 0.0], [1.0, 0.0, 2.0]), ([0.0, -745.2, -1.0], [1.0, 2.0, 3.0])):
        a, w = numbers(logits), numbers(cotangent)
        z = softmax(a)
        yield Forms(
            printed=[bool(abs(w_i - w @ z) < 1e-30) for w_i in w],
            correct=[bool(max(a) - a_i + log(exp(a - max(a)).sum()) > 745.1333) for a_i in a],
            truth=[float(z_i) == 0.0 for z_i in z],
            library=value("softmax", logits) == 0.0,
        )


@entry("S0.15", "correct", "tanh' = 1 - tanh^2, the square being the product")
def tanh_derivative() -> Iterator[Forms]:
    yield Forms(1 - tanh(x) * tanh(x), truth=np.diag(derivative(tanh, x)), library=vjp("tanh", x, ones))


@entry("S0.16", "erratum", "softmax(x) = softmax(x + c 1), with 1 called a unit vector; it is the vector of ones")
def softmax_is_shift_invariant_along_a_unit_vector() -> Iterator[Forms]:
    yield Forms(
        printed=softmax(x + c * I[0]),
        correct=softmax(x + c * ones),
        truth=softmax(x),
        library=value("softmax", x + c * ones),
    )


@entry("S0.17", "correct", "log softmax as a difference, and its derivative")
def two_recalled_facts() -> Iterator[Forms]:
    yield Forms(x - log(exp(x).sum()), truth=log(softmax(x)))
    yield Forms(I - softmax(x)[None, :], truth=derivative(log_softmax, x))


@entry("S0.18", "correct", "the whole matrix, I - 1 p^T")
def log_softmax_jacobian() -> Iterator[Forms]:
    yield Forms(I - np.outer(ones, p), truth=derivative(log_softmax, x), library=jacobian("log_softmax", x))


@entry("S0.19", "correct", "d log softmax_i / d x_i = 1 - softmax_i")
def log_softmax_jacobian_diagonal() -> Iterator[Forms]:
    yield Forms(1 - p, truth=np.diag(derivative(log_softmax, x)), library=np.diag(jacobian("log_softmax", x)))


@entry("S0.20", "erratum", "-softmax_j is called d softmax_i / d x_j, i != j; it is d log softmax_i / d x_j")
def off_diagonal_with_the_logarithm_lost() -> Iterator[Forms]:
    yield Forms(
        printed=off_diagonal(derivative(softmax, x)),
        correct=off_diagonal(derivative(log_softmax, x)),
        truth=off_diagonal(-np.outer(ones, p)),
        library=off_diagonal(jacobian("log_softmax", x)),
    )


@entry("S0.21", "erratum", "v_j - softmax_j sum_k v_k is called v D softmax; it is v D log softmax")
def log_softmax_vjp_under_the_name_of_softmax() -> Iterator[Forms]:
    yield Forms(
        printed=v @ derivative(softmax, x),
        correct=v @ derivative(log_softmax, x),
        truth=v - p * v.sum(),
        library=vjp("log_softmax", x, v),
    )


@entry(
    "S0.22", "erratum", "the last two components of v D log softmax, written out; printed with the 1 in the wrong terms"
)
def log_softmax_vjp_last_rows() -> Iterator[Forms]:
    before_last, last = (v @ derivative(log_softmax, x))[2:]
    yield Forms(
        printed=-v[0] * p[2] - v[1] * p[2] - v[2] * p[2] + v[3] * (1 - p[2]),
        correct=-v[0] * p[2] - v[1] * p[2] + v[2] * (1 - p[2]) - v[3] * p[2],
        truth=before_last,
        library=vjp("log_softmax", x, v)[2],
    )
    yield Forms(
        printed=-v[0] * p[3] - v[1] * p[3] - v[2] * p[3] - v[3] * p[3],
        correct=-v[0] * p[3] - v[1] * p[3] - v[2] * p[3] + v[3] * (1 - p[3]),
        truth=last,
        library=vjp("log_softmax", x, v)[3],
    )


@entry("S0.23", "correct", "v D log softmax = v_j - p_j sum_k v_k")
def log_softmax_vjp() -> Iterator[Forms]:
    yield Forms(v - p * v.sum(), truth=v @ derivative(log_softmax, x), library=vjp("log_softmax", x, v))


@entry("S0.24", "erratum", "d l / d z_j of l = -sum t_i z_i; printed as -t_i")
def nll_gradient_with_the_wrong_index() -> Iterator[Forms]:
    for i in range(n):
        yield Forms(
            printed=[-t[i] for j in range(n)],
            correct=[-t[j] for j in range(n)],
            truth=derivative(lambda z: nll(z, t), log(p)),
            library=loss_gradient("nll", log(p), t),
        )


@entry("S0.25", "correct", "D l = -t, a 1 x n matrix")
def nll_derivative_is_a_row() -> Iterator[Forms]:
    truth = derivative(lambda z: np.array([nll(z, t)]), log(p))
    yield Forms(printed=[-t], truth=truth, library=[loss_gradient("nll", log(p), t)])


# ------------------------------------------------------------------ source 001: the same gradients


@entry("S1.1", "correct", "-sum t_i ln z_i is -ln of the product of z_i^t_i, and its derivative is a row")
def cross_entropy_value() -> Iterator[Forms]:
    yield Forms(-(t @ log(p)), truth=-mp.log(np.prod(p**t)), library=loss_value("cross_entropy", p, t))
    yield Forms((1, n), truth=derivative(lambda z: np.array([cross_entropy(z, t)]), p).shape)


@entry("S1.2", "correct", "d l / d z_i = -t_i / z_i")
def cross_entropy_gradient() -> Iterator[Forms]:
    truth = derivative(lambda z: cross_entropy(z, t), p)
    yield Forms(-t / p, truth=truth, library=loss_gradient("cross_entropy", p, t))


@entry(
    "S1.3",
    "caveat",
    "-t_i / z_i is finite unless z_i is 0; but it overflows for tiny z_i too, and where t_i = 0 it is 0",
)
def where_the_quotient_is_finite() -> Iterator[Forms]:
    largest = sys.float_info.max
    target = np.array([1.0, 0.0])
    for z in ([0.25, 0.75], [0.0, 1.0], [5e-309, 1.0], [1.0, 0.0]):
        with np.errstate(all="ignore"):
            quotient = np.where(target > 0, -target / z, 0.0)
        yield Forms(
            printed=[z_i != 0 for z_i in z],
            correct=[bool(t_i == 0 or z_i > t_i / largest) for z_i, t_i in zip(z, target, strict=True)],
            truth=np.isfinite(quotient),
            library=np.isfinite(loss_gradient("cross_entropy", z, target)),
        )


@entry("S1.4", "correct", "tanh' = 1 - tanh^2")
def tanh_derivative_again() -> Iterator[Forms]:
    yield Forms(1 - tanh(x) ** 2, truth=np.diag(derivative(tanh, x)), library=np.diag(jacobian("tanh", x)))


@entry("S1.5", "correct", "softmax(x + c) = softmax(x) for a number c")
def softmax_is_shift_invariant() -> Iterator[Forms]:
    yield Forms(softmax(x + c), truth=softmax(x), library=value("softmax", x + c))


@entry("S1.6", "correct", "log softmax as a difference, and (log f)' = f' / f")
def derivative_of_a_logarithm() -> Iterator[Forms]:
    yield Forms(x - log(exp(x).sum()), truth=log(softmax(x)), library=value("log_softmax", x))
    yield Forms(derivative(softmax, x)[0] / softmax(x)[0], truth=derivative(log_softmax, x)[0])


@entry("S1.7", "correct", "d log softmax_i / d x_i = 1 - softmax_i")
def log_softmax_derivative_diagonal() -> Iterator[Forms]:
    yield Forms(1 - p, truth=[derivative(lambda y, i=i: log_softmax(y)[i], x)[i] for i in range(n)])


@entry("S1.8", "correct", "d log softmax_i / d x_j = -softmax_j, j != i")
def log_softmax_derivative_off_diagonal() -> Iterator[Forms]:
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    yield Forms([-p[j] for _, j in pairs], truth=[derivative(log_softmax, x)[pair] for pair in pairs])


@entry("S1.9", "correct", "row 1 is (1 - p_1, -p_2, ..., -p_n), column 1 is (1 - p_1, -p_1, ..., -p_1)")
def log_softmax_jacobian_first_row_and_column() -> Iterator[Forms]:
    D, library = derivative(log_softmax, x), jacobian("log_softmax", x)
    yield Forms([1 - p[0], -p[1], -p[2], -p[3]], truth=D[0], library=library[0])
    yield Forms([1 - p[0], -p[0], -p[0], -p[0]], truth=D[:, 0], library=library[:, 0])


@entry("S1.10", "correct", "z_i = v_i - softmax_i sum_j v_j")
def log_softmax_vjp_again() -> Iterator[Forms]:
    printed = [v[i] - p[i] * sum(v[j] for j in range(n)) for i in range(n)]
    yield Forms(printed, truth=v @ derivative(log_softmax, x), library=vjp("log_softmax", x, v))


@entry(
    "S1.11", "correct", "cross-entropy of softmax is NLL of log-softmax, and the derivative of the latter is the row -t"
)
def two_losses() -> Iterator[Forms]:
    yield Forms(-(t @ (x - log(exp(x).sum()))), truth=cross_entropy(p, t), library=loss_value("nll", log(p), t))
    yield Forms([-t], truth=derivative(lambda z: np.array([nll(z, t)]), log(p)))


# ------------------------------------------------------------------ source 002: sigmoid, and softmax with cross-entropy

s = sigmoid(x)
g = softmax(x)  # of theta = x, with the target y
y = t


def softmax_cross_entropy_derivative(target: Array) -> Array:
    return derivative(lambda theta: cross_entropy(softmax(theta), target), x)


@entry("S2.1", "correct", "softmax(x + c) = softmax(x)")
def softmax_is_shift_invariant_again() -> Iterator[Forms]:
    yield Forms(softmax(x + c), truth=softmax(x), library=value("softmax", x + c))


@entry("S2.2", "correct", "the step to it: numerator and denominator times e^c")
def softmax_times_one() -> Iterator[Forms]:
    yield Forms(mp.exp(c) * exp(x) / (mp.exp(c) * exp(x).sum()), truth=softmax(x + c))


@entry("S2.3", "caveat", "with c = -max x no exp overflows; it still underflows, and +inf or all -inf give nan")
def shift_by_the_maximum() -> Iterator[Forms]:

    def shifted(a: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.exp(np.array(a) - np.max(a))

    large, spread, masked = [1000.0, 999.0], [1000.0, 0.0], [-np.inf, 0.0]
    yield Forms(True, truth=bool(np.isfinite(shifted(large)).all()), library=np.isfinite(value("softmax", large)).all())
    yield Forms(True, correct=False, truth=bool((shifted(spread) > 0).all()))
    yield Forms([0.0, 1.0], truth=shifted(masked).tolist(), library=value("softmax", masked))
    for infinite in ([np.inf, 0.0], [np.inf, np.inf], [-np.inf, -np.inf]):
        yield Forms(True, correct=False, truth=bool(np.isfinite(shifted(infinite)).all()))


@entry("S2.4", "correct", "sigma = z^-1 with z = 1 + e^r and r = -x")
def sigmoid_as_a_composition() -> Iterator[Forms]:
    yield Forms((1 + exp(-x)) ** -1, truth=(1 + tanh(x / 2)) / 2, library=value("sigmoid", x))


@entry("S2.5", "correct", "d sigma / d x = d sigma / d z * d z / d r * d r / d x")
def sigmoid_chain_rule() -> Iterator[Forms]:
    r = -x
    z = 1 + exp(r)
    factors = derivative(lambda z: z**-1, z) @ derivative(lambda r: 1 + exp(r), r) @ derivative(lambda x: -x, x)
    yield Forms(factors, truth=derivative(sigmoid, x))


@entry("S2.6", "correct", "sigma' = e^-x sigma^2")
def sigmoid_derivative() -> Iterator[Forms]:
    yield Forms(exp(-x) * s**2, truth=np.diag(derivative(sigmoid, x)), library=vjp("sigmoid", x, ones))


@entry("S2.7", "correct", "(1 - sigma) / sigma = e^-x")
def sigmoid_odds() -> Iterator[Forms]:
    yield Forms((1 - s) / s, truth=exp(-x))


@entry(
    "S2.8", "erratum", "sigma' on the way from e^-x sigma sigma to (1 - sigma) sigma; printed with a factor sigma lost"
)
def sigmoid_derivative_middle_term() -> Iterator[Forms]:
    yield Forms(
        printed=(1 - s) / s * s,
        correct=(1 - s) / s * s * s,
        truth=np.diag(derivative(sigmoid, x)),
        library=np.diag(jacobian("sigmoid", x)),
    )


@entry("S2.9", "erratum", "y-hat = [softmax(theta_1), softmax(theta_2), ...]; softmax of one number is 1")
def softmax_of_one_component_each() -> Iterator[Forms]:
    yield Forms(
        printed=[softmax(x[i : i + 1])[0] for i in range(n)],
        correct=[softmax(x)[i] for i in range(n)],
        truth=[1 / exp(x - x[i]).sum() for i in range(n)],
        library=value("softmax", x),
    )


@entry("S2.10", "correct", "J = -sum y_i log g_i; a one-hot y picks one term")
def one_hot_cross_entropy() -> Iterator[Forms]:
    for k in range(n):
        yield Forms(-sum(I[k] * log(g)), truth=-mp.log(g[k]), library=loss_value("cross_entropy", g, I[k]))


@entry("S2.11", "correct", "nabla J = -sum y_i 1 / g_i nabla g_i")
def cross_entropy_by_the_chain_rule() -> Iterator[Forms]:
    printed = -sum(y[i] / g[i] * derivative(lambda theta, i=i: softmax(theta)[i], x) for i in range(n))
    yield Forms(printed, truth=softmax_cross_entropy_derivative(y))


@entry("S2.13", "correct", "d g_i / d theta_i = (e^theta_i S - e^theta_i e^theta_i) / S^2, S the sum")
def quotient_rule_on_the_diagonal() -> Iterator[Forms]:
    e, S = exp(x), exp(x).sum()
    yield Forms((e * S - e * e) / S**2, truth=np.diag(derivative(softmax, x)))


@entry("S2.14", "erratum", "(d S / d theta_j) e^theta_i at i = j; printed as e^theta_j")
def factor_dropped_in_the_quotient_rule() -> Iterator[Forms]:
    yield Forms(
        printed=exp(x),
        correct=exp(2 * x),
        truth=derivative(lambda theta: exp(theta).sum(), x) * exp(x),
    )


@entry("S2.15", "correct", "d g_i / d theta_i = g_i (1 - g_i)")
def softmax_derivative_diagonal() -> Iterator[Forms]:
    yield Forms(g * (1 - g), truth=np.diag(derivative(softmax, x)), library=np.diag(jacobian("softmax", x)))


@entry("S2.16", "correct", "d g_i / d theta_j = -g_i g_j, j != i")
def softmax_derivative_off_diagonal() -> Iterator[Forms]:
    printed = [-g[i] * g[j] for i in range(n) for j in range(n) if i != j]
    truth, library = derivative(softmax, x), jacobian("softmax", x)
    yield Forms(printed, truth=off_diagonal(truth), library=off_diagonal(library))


@entry("S2.18", "erratum", "d g_i / d theta_j; printed as g_i (t_ij - g_i)")
def softmax_derivative_with_the_wrong_index() -> Iterator[Forms]:
    yield Forms(
        printed=[[g[i] * (I[i, j] - g[i]) for j in range(n)] for i in range(n)],
        correct=[[g[i] * (I[i, j] - g[j]) for j in range(n)] for i in range(n)],
        truth=derivative(softmax, x),
        library=jacobian("softmax", x),
    )


@entry(
    "S2.19",
    "caveat",
    "eq. 16 is checked with g_i (1 - g_i) and -g_i g_j, which are right; eq. 16 itself gives -g_i g_i for the latter",
)
def check_of_the_index() -> Iterator[Forms]:
    D = derivative(softmax, x)
    minus_gg = off_diagonal(-np.outer(g, g))
    yield Forms(g * (1 - g), truth=np.diag(D))
    yield Forms(minus_gg, truth=off_diagonal(D))
    yield Forms(off_diagonal(-np.outer(g * g, ones)), correct=minus_gg, truth=off_diagonal(D))


@entry("S2.20", "erratum", "component j of nabla J; printed as -sum_i y_i 1 / g_i g_i (t_ij - g_i)")
def gradient_with_the_wrong_index() -> Iterator[Forms]:
    yield Forms(
        printed=[-sum(y[i] / g[i] * g[i] * (I[i, j] - g[i]) for i in range(n)) for j in range(n)],
        correct=[-sum(y[i] / g[i] * g[i] * (I[i, j] - g[j]) for i in range(n)) for j in range(n)],
        truth=softmax_cross_entropy_derivative(y),
        library=loss_gradient("softmax_cross_entropy", x, y),
    )


@entry(
    "S2.21",
    "erratum",
    "nabla J; printed as -y - g = g - y, where the first is wrong, and the second if y does not sum to 1; 'let t = y'",
)
def gradient_with_the_wrong_sign() -> Iterator[Forms]:
    yield Forms(
        printed=-y - g,
        correct=g - y,
        truth=softmax_cross_entropy_derivative(y),
        library=loss_gradient("softmax_cross_entropy", x, y),
    )
    yield Forms(
        printed=g - t_any,
        correct=g * t_any.sum() - t_any,
        truth=softmax_cross_entropy_derivative(t_any),
        library=loss_gradient("softmax_cross_entropy", x, t_any),
    )
    yield Forms(  # sum_i y_i t_ij, where t_ij is [i = j]
        printed=[sum(y[i] * y[i] for i in range(n)) for _ in range(n)],
        correct=y,
        truth=[sum(y[i] for i in range(n) if i == j) for j in range(n)],
    )


# ------------------------------------------------------------------ source 003: the same functions, and convolution

one_hot = I[2]


@entry("S3.1", "correct", "tanh lies in (-1, 1)")
def tanh_range() -> Iterator[Forms]:
    far = numbers([-20.0, -1.0, 0.0, 3.0, 20.0])
    yield Forms(True, truth=all(-1 < o < 1 for o in tanh(far)))


@entry("S3.2", "correct", "tanh' = 1 - tanh^2")
def tanh_derivative_once_more() -> Iterator[Forms]:
    yield Forms(1 - tanh(v) ** 2, truth=np.diag(derivative(tanh, v)), library=vjp("tanh", v, ones))


@entry("S3.3", "correct", "tanh x = 2 sigma(2x) - 1")
def tanh_from_sigmoid() -> Iterator[Forms]:
    yield Forms(2 * sigmoid(2 * x) - 1, truth=tanh(x), library=value("tanh", x))


@entry("S3.4", "caveat", "softmax lies in (0, 1)^d and sums to 1; for d = 1 it is 1, which is outside")
def softmax_range() -> Iterator[Forms]:
    for d in (1, 2, 4):
        o = softmax(x[:d])
        inside = all(0 < o_i < 1 for o_i in o)
        yield Forms(True, correct=d >= 2, truth=inside, library=bool((value("softmax", x[:d]) < 1).all()))
        yield Forms(1, truth=o.sum(), library=value("softmax", x[:d]).sum())


@entry("S3.5", "correct", "H(p, y) = -sum y_j log p_j")
def cross_entropy_of_a_softmax() -> Iterator[Forms]:
    truth = -mp.log(np.prod(p**y))
    yield Forms(-sum(y * log(p)), truth=truth, library=loss_value("softmax_cross_entropy", x, y))


@entry("S3.6", "correct", "d p_j / d x_i = p_j (delta_ij - p_i): p_j (1 - p_j), and -p_j p_i")
def softmax_derivative_by_cases() -> Iterator[Forms]:
    D = derivative(softmax, x)
    formula = [[p[j] * (I[i, j] - p[i]) for i in range(n)] for j in range(n)]
    cases = [[p[j] * (1 - p[j]) if i == j else -p[j] * p[i] for i in range(n)] for j in range(n)]
    yield Forms(formula, truth=D, library=jacobian("softmax", x))
    yield Forms(cases, truth=D, library=jacobian("softmax", x))


@entry("S3.7", "correct", "d H / d x = p - y, y summing to 1")
def softmax_cross_entropy_gradient() -> Iterator[Forms]:
    truth = softmax_cross_entropy_derivative(y)
    yield Forms(p - y, truth=truth, library=loss_gradient("softmax_cross_entropy", x, y))


@entry(
    "S3.8",
    "erratum",
    "d H / d x_i = -sum_j y_j delta_ij + y_j p_i, where the sum is over both terms, or j is left in one",
)
def bracket_lost_in_a_sum() -> Iterator[Forms]:
    correct = [-sum(y[j] * I[i, j] for j in range(n)) + sum(y[j] * p[i] for j in range(n)) for i in range(n)]
    over_both = [-sum(y[j] * I[i, j] + y[j] * p[i] for j in range(n)) for i in range(n)]
    truth, library = softmax_cross_entropy_derivative(y), loss_gradient("softmax_cross_entropy", x, y)
    yield Forms(over_both, truth, correct, library)
    for j_left in range(n):
        over_one = [-sum(y[j] * I[i, j] for j in range(n)) + y[j_left] * p[i] for i in range(n)]
        yield Forms(over_one, truth, correct, library)


@entry("S3.9", "correct", "p - y holds for a one-hot y because sum y = 1; any other such y will do")
def only_the_sum_of_the_target_matters() -> Iterator[Forms]:
    for target in (one_hot, y):
        truth, library = softmax_cross_entropy_derivative(target), loss_gradient("softmax_cross_entropy", x, target)
        yield Forms(p - target, truth=truth, library=library)


@entry("S3.10", "correct", "exp(w_j x + b_j) / Z is softmax(W x + b); a common w_0, b_0 added to all changes nothing")
def log_linear_model() -> Iterator[Forms]:
    features, w, b = numbers([1.0, -0.5]), numbers([[0.5, 1.0], [-1.5, 0.25], [0.75, -2.0]]), numbers([0.25, 0.0, -1.0])
    scores = [sum(w[j] * features) + b[j] for j in range(3)]
    truth = [1 / sum(mp.exp(other - score) for other in scores) for score in scores]
    for w_0, b_0 in ((numbers([0.0, 0.0]), 0), (numbers([2.0, -1.0]), 3)):
        net = gp.softmax_regression(2, 3)
        net.set_weight("x", "y", float_array(w + w_0))
        net.set_bias("y", float_array(b + b_0))
        Z = sum(mp.exp((w[j] + w_0) @ features + b[j] + b_0) for j in range(3))
        printed = [mp.exp((w[j] + w_0) @ features + b[j] + b_0) / Z for j in range(3)]
        yield Forms(printed, truth=truth, library=net.forward({"x": float_array(features)}).o["y"])


kernel = np.array([2, 4, -1])
image = np.array([[4, -2, 1], [3, 8, 5]])
padded = np.vstack([np.zeros((1, 3), dtype=int), image, np.zeros((1, 3), dtype=int)])
printed_numbers = [[13, -16, -1], [20, 28, 22]]


def correlate(tensor: Array) -> Array:
    """The tensor s[r, c] = sum_k f_k x[r + k, c], of an input that is padded already."""
    rows, columns = tensor.shape[0] - 2, tensor.shape[1]
    return np.array(
        [[sum(kernel[k] * tensor[r + k, c] for k in range(3)) for c in range(columns)] for r in range(rows)]
    )


def units(shape: tuple[int, int]) -> list[Array]:
    """The unit tensors, row by row."""
    return [unit.reshape(shape) for unit in np.eye(shape[0] * shape[1], dtype=int)]


def convolution_network(rows: int, taps: Any, padding: tuple[int, int]) -> tuple[gp.Network, Any, Any]:
    """A network of rows x 3 inputs and a convolution with 3 x 1 taps; it, and the names of inputs and outputs."""
    net = gp.Network()
    names = np.empty((rows, 3), dtype=object)
    for r, column in np.ndindex(rows, 3):
        names[r, column] = ("x", r, column)
        net.add_input(("x", r, column))
    return net, names, gp.conv2d(net, names, [[float(f)] for f in taps], padding=padding)


def convolved(tensor: Array, taps: Any, padding: tuple[int, int]) -> Any:
    net, names, outputs = convolution_network(len(tensor), taps, padding)
    trace = net.forward({names[place]: float(tensor[place]) for place in np.ndindex(tensor.shape)})
    return np.array([trace.o[name] for name in outputs.flat]).reshape(outputs.shape)


@entry("S3.11", "caveat", "the convolution with padding (1, 0); printed are the numbers of the cross-correlation")
def correlation_called_convolution() -> Iterator[Forms]:
    yield Forms(printed_numbers, truth=correlate(padded), library=convolved(image, kernel, padding=(1, 0)))
    yield Forms(
        printed=printed_numbers,
        correct=[[22, 8, 14], [8, 34, 19]],
        truth=np.transpose([np.convolve(kernel, column)[1:3] for column in image.T]),
        library=convolved(image, kernel[::-1], padding=(1, 0)),
    )


@entry("S3.12", "correct", "the 6 x 12 matrix for row-wise vectors, and its product with x")
def row_wise_matrix() -> Iterator[Forms]:
    W = [
        [2, 0, 0, 4, 0, 0, -1, 0, 0, 0, 0, 0],
        [0, 2, 0, 0, 4, 0, 0, -1, 0, 0, 0, 0],
        [0, 0, 2, 0, 0, 4, 0, 0, -1, 0, 0, 0],
        [0, 0, 0, 2, 0, 0, 4, 0, 0, -1, 0, 0],
        [0, 0, 0, 0, 2, 0, 0, 4, 0, 0, -1, 0],
        [0, 0, 0, 0, 0, 2, 0, 0, 4, 0, 0, -1],
    ]
    net, inputs, outputs = convolution_network(4, kernel, padding=(0, 0))
    truth = np.transpose([correlate(unit).ravel() for unit in units((4, 3))])
    yield Forms(W, truth=truth, library=net.weight_matrix(rows=outputs, columns=inputs, order="C"))
    yield Forms(printed_numbers, truth=correlate(padded), library=convolved(padded, kernel, padding=(0, 0)))
    yield Forms(W @ padded.ravel(), truth=np.ravel(printed_numbers), library=convolved(image, kernel, (1, 0)).ravel())


@entry(
    "S3.13",
    "caveat",
    "the 6 x 12 matrix for column-wise x; its rows are right for a row-wise s, and permuted for a column-wise one",
)
def column_wise_matrix() -> Iterator[Forms]:
    W = np.array(
        [
            [2, 4, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 2, 4, -1, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 2, 4, -1, 0],
            [0, 2, 4, -1, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 2, 4, -1, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, -1],
        ]
    )
    net, inputs, outputs = convolution_network(4, kernel, padding=(0, 0))
    column_wise_units = [unit.T for unit in units((3, 4))]
    yield Forms(
        printed=W,
        truth=np.transpose([correlate(unit).ravel() for unit in column_wise_units]),
        library=net.weight_matrix(rows=outputs, columns=inputs.T, order="C"),
    )
    yield Forms(
        printed=W,
        correct=W[[0, 3, 1, 4, 2, 5]],
        truth=np.transpose([correlate(unit).T.ravel() for unit in column_wise_units]),
        library=net.weight_matrix(rows=outputs, columns=inputs, order="F"),
    )
    yield Forms(W @ padded.T.ravel(), truth=np.ravel(printed_numbers))


@entry(
    "S3.14",
    "caveat",
    "rows, columns and non-zeros of the matrix: 6, 12, 18 for the padded x, but 6, 6, 12 without padding",
)
def sizes_of_the_convolution() -> Iterator[Forms]:

    def summary(W: Any) -> list[int]:
        return [*np.shape(W), np.count_nonzero(W)]

    with_padding, without = units((4, 3)), [np.pad(unit, ((1, 1), (0, 0))) for unit in units((2, 3))]
    for tensors, rows, padding, correct in ((with_padding, 4, (0, 0), [6, 12, 18]), (without, 2, (1, 0), [6, 6, 12])):
        net, inputs, outputs = convolution_network(rows, kernel, padding)
        yield Forms(
            printed=[6, 12, 18],
            correct=correct,
            truth=summary(np.transpose([correlate(tensor).ravel() for tensor in tensors])),
            library=summary(net.weight_matrix(rows=outputs, columns=inputs)),
        )


# ------------------------------------------------------------------ source 004: recursion on a graph

Graph = dict[str, Any]  # node name -> its value, or (activation, {parent: weight vector}); parents before children
FUNCTIONS = {"sigmoid": lambda a: sigmoid(a[0]), "softmax_dot": softmax_dot}
LOCAL = {
    "sigmoid": lambda a: sigmoid(a) * (1 - sigmoid(a)),
    "softmax_dot": lambda a: softmax(a) * (1 + a - softmax_dot(a)),
}


def node(activation: str, **parents: list[float]) -> tuple[str, dict[str, Array]]:
    length = 1 if activation == "sigmoid" else None
    return activation, {u: numbers(w[:length]) for u, w in parents.items()}


def direct_graph(hidden: str, output: str) -> Graph:
    """The node v reaches the output y by one edge only."""
    return {
        "x1": mp.mpf(0.75),
        "x2": mp.mpf(-1.5),
        "v": node(hidden, x1=[0.5, -1.0, 2.0], x2=[-0.25, 0.75, 0.5]),
        "r": node("sigmoid", x1=[-0.5]),
        "y": node(output, v=[1.25, -0.5, 0.25], r=[-0.75, 2.0, 0.5]),
    }


def deep_graph(output: str) -> Graph:
    """The nodes v (softmax-dot) and h (sigmoid) reach the output y through m and q, and m reaches it through q too."""
    return {
        "x1": mp.mpf(0.75),
        "x2": mp.mpf(-1.5),
        "v": node("softmax_dot", x1=[0.5, -1.0, 2.0], x2=[-0.25, 0.75, 0.5]),
        "h": node("sigmoid", x1=[-0.5], x2=[1.0]),
        "m": node("sigmoid", v=[1.5], h=[-2.0]),
        "q": node("softmax_dot", v=[0.5, -1.0], h=[1.25, 0.75], m=[2.0, -1.5]),
        "y": node(output, m=[1.0, -0.5, 0.25], q=[-0.75, 2.0, 0.5]),
    }


def skip_graph(output: str) -> Graph:
    """The same, and v and h are parents of y besides."""
    graph = deep_graph(output)
    edges = node(output, v=[-1.25, 0.5, 1.0], h=[0.5, 1.5, -0.25])[1]
    return graph | {"y": (output, graph["y"][1] | edges)}


def run(graph: Graph, to_a: dict[str, Array] | None = None, to_o: dict[str, Any] | None = None) -> tuple[Graph, Graph]:
    """All a and o; something may be added to the a or the o of a node."""
    a: Graph = {}
    o: Graph = {}
    for name, given in graph.items():
        if isinstance(given, tuple):
            a[name] = sum(w * o[u] for u, w in given[1].items()) + (to_a or {}).get(name, 0)
            o[name] = FUNCTIONS[given[0]](a[name])
        else:
            o[name] = given
        o[name] += (to_o or {}).get(name, 0)
    return a, o


def parents(graph: Graph, name: str) -> dict[str, Array]:
    return graph[name][1] if isinstance(graph[name], tuple) else {}


def total(graph: Graph, target: str, name: str) -> Array:
    """The derivative of o[target] by a[name], all else free to respond: by differences."""
    return derivative(lambda da: run(graph, to_a={name: da})[1][target], 0 * run(graph)[0][name])


def total_in_output(graph: Graph, target: str, name: str) -> Any:
    """The derivative of o[target] by o[name], all else free to respond: by differences."""
    return mp.diff(lambda do: run(graph, to_o={name: do})[1][target], 0)


def in_weight(graph: Graph, u: str, name: str) -> Array:
    """The derivative of o[y] by w(u, name): by differences."""
    activation, weights = graph[name]
    return derivative(lambda w: run(graph | {name: (activation, weights | {u: w})})[1]["y"], weights[u])


def local(graph: Graph, name: str) -> Array:
    """The derivative of o[name] by a[name], in closed form."""
    return LOCAL[graph[name][0]](run(graph)[0][name])


def by_targets(graph: Graph, target: str, name: str) -> Array:
    """The correct recursion: each parent of the target takes the target's place, down to the node itself."""
    if target == name:
        return local(graph, name)
    zero = 0 * run(graph)[0][name]
    inner = {u: by_targets(graph, u, name) for u in parents(graph, target)}
    return sum(((local(graph, target) @ w) * inner[u] for u, w in parents(graph, target).items()), zero)


def library_gradients(graph: Graph, form: str = "children") -> Any:
    net = gp.Network()
    for name, given in graph.items():
        if isinstance(given, tuple):
            weights = {u: float(w[0]) if len(w) == 1 else float_array(w) for u, w in given[1].items()}
            net.add_node(name, given[0], weights)
        else:
            net.add_input(name)
    inputs = {name: float(given) for name, given in graph.items() if not isinstance(given, tuple)}
    return gp.recursion.backpropagate(net, net.forward(inputs), "y", form=form)


def library_sensitivity(graph: Graph, name: str) -> Any:
    """Delta or gamma as a vector, by the recursion over parents."""
    gradients = library_gradients(graph, form="parents")
    return gradients.delta[name] if graph[name][0] == "softmax_dot" else np.array([gradients.gamma[name]])


@entry("S4.1", "correct", "sigma(x) = 1 / (1 + e^-x), which is also (1 + tanh(x / 2)) / 2")
def sigmoid_value() -> Iterator[Forms]:
    yield Forms(1 / (1 + exp(-v)), truth=(1 + tanh(v / 2)) / 2, library=value("sigmoid", v))


@entry("S4.2", "correct", "softmax(z)_i = e^z_i / sum_k e^z_k, which is also 1 / sum_k e^(z_k - z_i)")
def softmax_value() -> Iterator[Forms]:
    truth = [1 / exp(v - v[i]).sum() for i in range(n)]
    yield Forms(exp(v) / exp(v).sum(), truth=truth, library=value("softmax", v))


@entry("S4.3", "correct", "softmax(z) . z, which is also the derivative of log sum_j exp(tau z_j) at tau = 1")
def softmax_dot_value() -> Iterator[Forms]:
    truth = mp.diff(lambda tau: mp.log(sum(mp.exp(tau * z) for z in x)), 1)
    yield Forms(softmax(x) @ x, truth=truth, library=value("softmax_dot", x))


@entry(
    "S4.4",
    "erratum",
    "a[v][k] = sum_{i=1..n} w(k, u_i, v) o[u_i], k = 1..n; there may be fewer or more parents than components",
)
def one_letter_for_two_sizes() -> Iterator[Forms]:
    for w, o, size, truth in (
        ([[1, 2], [3, 4], [5, 6]], [1, 10], 2, [21, 43, 65]),  # n = 2, the parents
        ([[1, 2, 3], [4, 5, 6]], [1, 10, 100], 2, [321, 654]),  # n = 2, the components
    ):
        names = [f"u{i}" for i in range(len(o))]
        net = gp.Network()
        for name in names:
            net.add_input(name)
        net.add_node(
            "v", "softmax_dot", {u: float_array(column) for u, column in zip(names, np.transpose(w), strict=True)}
        )
        yield Forms(
            printed=[sum(w[k][i] * o[i] for i in range(size)) for k in range(size)],
            correct=[sum(w[k][i] * o[i] for i in range(len(names))) for k in range(len(w))],
            truth=truth,
            library=net.forward(float_array(o)).a["v"],
        )


@entry("S4.5", "correct", "d y / d w(i, u, v) = sum_j d y / d a[v][j] d a[v][j] / d w(i, u, v) = d y / d a[v][i] o[u]")
def weight_derivative_by_the_chain_rule() -> Iterator[Forms]:
    graph = skip_graph("softmax_dot")
    activation, weights = graph["v"]
    a_in_w = derivative(lambda w: run(graph | {"v": (activation, weights | {"x1": w})})[0]["v"], weights["x1"])
    truth, library = in_weight(graph, "x1", "v"), library_gradients(graph).weight["x1", "v"]
    yield Forms(total(graph, "y", "v") @ a_in_w, truth=truth, library=library)
    yield Forms(total(graph, "y", "v") * run(graph)[1]["x1"], truth=truth, library=library)


@entry("S4.7", "correct", "d y / d w(i, u, v) = delta[v][i] o[u]")
def weight_derivative_by_delta() -> Iterator[Forms]:
    for output in ("sigmoid", "softmax_dot"):
        graph = skip_graph(output)
        for u in ("x1", "x2"):
            yield Forms(
                printed=by_targets(graph, "y", "v") * run(graph)[1][u],
                truth=in_weight(graph, u, "v"),
                library=library_gradients(graph).weight[u, "v"],
            )


@entry("S4.8", "erratum", "gamma[v] = d o_out / a[v]; as it stands it is a quotient")
def gamma_with_a_d_missing() -> Iterator[Forms]:
    graph = skip_graph("sigmoid")
    a, o = run(graph)
    yield Forms(
        printed=o["y"] / a["h"],
        correct=by_targets(graph, "y", "h"),
        truth=total(graph, "y", "h"),
        library=library_sensitivity(graph, "h"),
    )


@entry("S4.9", "correct", "d y / d w(u, v) = gamma[v] o[u]")
def weight_derivative_by_gamma() -> Iterator[Forms]:
    for output in ("sigmoid", "softmax_dot"):
        graph = skip_graph(output)
        for u in ("x1", "x2"):
            yield Forms(
                printed=by_targets(graph, "y", "h") * run(graph)[1][u],
                truth=in_weight(graph, u, "h"),
                library=[library_gradients(graph).weight[u, "h"]],
            )


@entry("S4.10", "erratum", "delta[v][i] = o[v] / d a[v][i] at the output; as it stands it is a quotient")
def delta_of_the_output_with_a_d_missing() -> Iterator[Forms]:
    graph = skip_graph("softmax_dot")
    a, o = run(graph)
    yield Forms(
        printed=o["y"] / a["y"],
        correct=softmax(a["y"]) * (1 + a["y"] - o["y"]),
        truth=total(graph, "y", "y"),
        library=library_sensitivity(graph, "y"),
    )


@entry("S4.11", "correct", "d s / d a_i = sum_j (p_j delta_ij + a_j p_i (delta_ij - p_j))")
def softmax_dot_derivative_as_a_sum() -> Iterator[Forms]:
    yield Forms(
        printed=[sum(p[j] * I[i, j] + x[j] * p[i] * (I[i, j] - p[j]) for j in range(n)) for i in range(n)],
        truth=derivative(softmax_dot, x),
        library=jacobian("softmax_dot", x),
    )


@entry(
    "S4.12", "correct", "d s / d a_i = p_i + a_i p_i (1 - p_i) - sum_{j != i} a_j p_i p_j, that is p_i (1 + a_i - s)"
)
def softmax_dot_derivative() -> Iterator[Forms]:
    truth, library = derivative(softmax_dot, x), jacobian("softmax_dot", x)
    others = [sum(x[j] * p[i] * p[j] for j in range(n) if j != i) for i in range(n)]
    yield Forms(p + x * p * (1 - p) - others, truth=truth, library=library)
    yield Forms(p * (1 + x - p @ x), truth=truth, library=vjp("softmax_dot", x, 1.0))


@entry(
    "S4.13",
    "caveat",
    "gamma = o[v] / d a[v] = sigma (1 - sigma) at the output; the value is right, the quotient is not",
)
def gamma_of_the_output() -> Iterator[Forms]:
    graph = skip_graph("sigmoid")
    a, o = run(graph)
    truth, library = total(graph, "y", "y"), library_sensitivity(graph, "y")
    correct = sigmoid(a["y"]) * (1 - sigmoid(a["y"]))
    yield Forms(correct, truth=truth, library=library)
    yield Forms(o["y"] / a["y"], truth=truth, correct=correct, library=library)


@entry(
    "S4.14",
    "erratum",
    "d y / d a[v][i] = sigma_s . w + a_out J sigma_s w: the same for all i, and the direct edge only",
)
def softmax_dot_parent_of_a_softmax_dot_output() -> Iterator[Forms]:
    for graph in (direct_graph("softmax_dot", "softmax_dot"), skip_graph("softmax_dot")):
        a, o = run(graph)
        w, p_out = graph["y"][1]["v"], softmax(a["y"])
        J = np.diag(p_out) - np.outer(p_out, p_out)
        direct = p_out @ w + a["y"] @ J @ w
        factor = softmax(a["v"]) * (1 + a["v"] - o["v"])
        others = [u for u in parents(graph, "y") if u != "v"]
        indirect = sum((local(graph, "y") @ parents(graph, "y")[u]) * by_targets(graph, u, "v") for u in others)
        yield Forms(
            printed=[direct for _ in a["v"]],
            correct=direct * factor + indirect,
            truth=total(graph, "y", "v"),
            library=library_sensitivity(graph, "v"),
        )


@entry(
    "S4.15", "erratum", "d y / d a[v] = sigma'(a_out) w: without sigma'(a[v]), the direct edge only, and no mixed pairs"
)
def sigmoid_parent_of_a_sigmoid_output() -> Iterator[Forms]:
    direct, skip = direct_graph("sigmoid", "sigmoid"), skip_graph("sigmoid")
    for graph, hidden in ((direct, "v"), (skip, "h")):
        o = run(graph)[1]
        slope_out, slope, w = o["y"] * (1 - o["y"]), o[hidden] * (1 - o[hidden]), graph["y"][1][hidden]
        others = [u for u in parents(graph, "y") if u != hidden]
        indirect = sum(slope_out * parents(graph, "y")[u] * by_targets(graph, u, hidden) for u in others)
        yield Forms(
            printed=slope_out * w,
            correct=slope_out * w * slope + indirect,
            truth=total(graph, "y", hidden),
            library=library_sensitivity(graph, hidden),
        )
    for kinds in (("softmax_dot", "sigmoid"), ("sigmoid", "softmax_dot")):
        graph = direct_graph(*kinds)
        factor = local(graph, "y") @ graph["y"][1]["v"]
        yield Forms(
            printed=[factor for _ in run(graph)[0]["v"]],  # what is printed for this output, v being of the other kind
            correct=factor * local(graph, "v"),
            truth=total(graph, "y", "v"),
            library=library_sensitivity(graph, "v"),
        )


@entry(
    "S4.16",
    "erratum",
    "d y / d a[v] as a sum over the parents of v, if v is no parent of y; it is over the parents of y, for any v",
)
def sum_over_the_wrong_parents() -> Iterator[Forms]:
    for graph in (deep_graph("softmax_dot"), deep_graph("sigmoid"), skip_graph("sigmoid")):  # v a parent in the last
        y_parents = parents(graph, "y")
        for name in ("v", "h"):
            yield Forms(
                printed=sum(total_in_output(graph, "y", u) * total(graph, u, name) for u in parents(graph, name)),
                correct=sum(local(graph, "y") @ w * by_targets(graph, u, name) for u, w in y_parents.items()),
                truth=total(graph, "y", name),
                library=library_sensitivity(graph, name),
            )


@entry(
    "S4.17",
    "erratum",
    "delta[v] = sum of (sigma_s . w + a_out J sigma_s w) delta^(u)[v]: over parents of y, the factor being local",
)
def delta_with_a_softmax_dot_output() -> Iterator[Forms]:
    graph = deep_graph("softmax_dot")
    a = run(graph)[0]["y"]
    p_out = softmax(a)
    J = np.diag(p_out) - np.outer(p_out, p_out)
    w = dict.fromkeys(graph, 0 * a) | parents(graph, "y")
    correct = sum((p_out @ w[u] + a @ J @ w[u]) * by_targets(graph, u, "v") for u in parents(graph, "y"))
    truth, library = total(graph, "y", "v"), library_sensitivity(graph, "v")
    over_parents_of_v = sum((p_out @ w[u] + a @ J @ w[u]) * total(graph, u, "v") for u in parents(graph, "v"))
    factor_not_local = sum(total_in_output(graph, "y", u) * total(graph, u, "v") for u in parents(graph, "y"))
    yield Forms(over_parents_of_v, truth, correct, library)
    yield Forms(factor_not_local, truth, correct, library)


@entry("S4.18", "erratum", "delta[v] = sum of sigma'(a_out) w(u, y) delta^(u)[v]: over parents of y")
def delta_with_a_sigmoid_output() -> Iterator[Forms]:
    graph = deep_graph("sigmoid")
    out = sigmoid(run(graph)[0]["y"])
    w = dict.fromkeys(graph, 0 * out) | parents(graph, "y")
    yield Forms(
        printed=sum(out * (1 - out) * w[u] * total(graph, u, "v") for u in parents(graph, "v")),
        correct=sum(out * (1 - out) * w[u] * by_targets(graph, u, "v") for u in parents(graph, "y")),
        truth=total(graph, "y", "v"),
        library=library_sensitivity(graph, "v"),
    )


@entry("S4.19", "erratum", "gamma[h] = sum of sigma'(a_out) w(u, y) gamma^(u)[h]: over parents of y")
def gamma_with_a_sigmoid_output() -> Iterator[Forms]:
    graph = deep_graph("sigmoid")
    out = sigmoid(run(graph)[0]["y"])
    w = dict.fromkeys(graph, 0 * out) | parents(graph, "y")
    yield Forms(
        printed=sum(out * (1 - out) * w[u] * total(graph, u, "h") for u in parents(graph, "h")),
        correct=sum(out * (1 - out) * w[u] * by_targets(graph, u, "h") for u in parents(graph, "y")),
        truth=total(graph, "y", "h"),
        library=library_sensitivity(graph, "h"),
    )


@entry("S4.20", "erratum", "gamma[h] = sum of (sigma_s . w + a_out J sigma_s w) gamma^(u)[h]: over parents of y")
def gamma_with_a_softmax_dot_output() -> Iterator[Forms]:
    graph = deep_graph("softmax_dot")
    a = run(graph)[0]["y"]
    p_out = softmax(a)
    J = np.diag(p_out) - np.outer(p_out, p_out)
    w = dict.fromkeys(graph, 0 * a) | parents(graph, "y")
    yield Forms(
        printed=sum((p_out @ w[u] + a @ J @ w[u]) * total(graph, u, "h") for u in parents(graph, "h")),
        correct=sum((p_out @ w[u] + a @ J @ w[u]) * by_targets(graph, u, "h") for u in parents(graph, "y")),
        truth=total(graph, "y", "h"),
        library=library_sensitivity(graph, "h"),
    )


@entry(
    "S4.21",
    "erratum",
    "delta^(u)[v] by the same rule with u as output: at u = v the rule gives 0 instead of d o[v] / d a[v]",
)
def recursion_without_its_ends() -> Iterator[Forms]:
    graph = skip_graph("softmax_dot")
    for name in ("v", "h", "q"):
        before = list(graph)[: list(graph).index(name)]
        name_as_output = {u: graph[u] for u in before} | {"y": graph[name]}
        yield Forms(
            printed=sum((local(graph, name) @ w) * total(graph, u, name) for u, w in parents(graph, name).items()),
            correct=local(graph, name),
            truth=total(graph, name, name),
            library=library_sensitivity(name_as_output, "y"),
        )


# ------------------------------------------------------------------ source 004: the net of two layers, with matrices


@dataclass(frozen=True)
class TwoLayers:
    """The net o = sigma(W1 x), a = W2 o, y-hat = softmax(a) . a, and the loss (y-hat - y)^2 / 2."""

    x: Array
    W1: Array
    W2: Array
    y = mp.mpf(0.25)

    @property
    def o(self) -> Array:
        return sigmoid(self.W1 @ self.x)

    @property
    def a(self) -> Array:
        return self.W2 @ self.o

    @property
    def p(self) -> Array:
        return softmax(self.a)

    @property
    def jacobian(self) -> Array:
        return np.diag(self.p) - np.outer(self.p, self.p)

    @property
    def residual(self) -> Any:
        return softmax_dot(self.a) - self.y

    def output(self, W1: Array = None, W2: Array = None, o: Array = None) -> Any:
        """The number y-hat, from W1 and W2, or from o."""
        hidden = o if o is not None else sigmoid((self.W1 if W1 is None else W1) @ self.x)
        return softmax_dot((self.W2 if W2 is None else W2) @ hidden)

    def loss(self, **changed: Array) -> Any:
        return (self.output(**changed) - self.y) ** 2 / 2

    def library(self) -> tuple[gp.Trace, gp.Gradients]:
        net = gp.Network()
        net.add_input("x", size=len(self.x))
        net.add_node("u", "sigmoid", {"x": float_array(self.W1)}, size=len(self.W1))
        net.add_node("v", "softmax_dot", {"u": float_array(self.W2)}, size=len(self.W2))
        trace = net.forward({"x": float_array(self.x)})
        return trace, net.backward(trace, loss="half_squared", target={"v": float(self.y)})


def matrix(rows: int, columns: int, step: int) -> Array:
    """Fixed, irregular, exact in binary64, between -2 and 2."""
    return numbers([[((step * (columns * i + j) + 3) % 17 - 8) / 4 for j in range(columns)] for i in range(rows)])


oblong = TwoLayers(x=numbers([0.5, -1.25]), W1=matrix(3, 2, 5), W2=matrix(4, 3, 7))
square = TwoLayers(x=numbers([0.5, -1.25, 0.75]), W1=matrix(3, 3, 5), W2=matrix(3, 3, 7))


@entry("S4.22", "erratum", "a[u][i] = W1 x: each component would be the whole vector")
def index_on_one_side_only() -> Iterator[Forms]:
    W1, x = oblong.W1, oblong.x
    yield Forms(
        printed=[W1 @ x for i in range(3)],
        correct=[(W1 @ x)[i] for i in range(3)],
        truth=[W1[i, 0] * x[0] + W1[i, 1] * x[1] for i in range(3)],
        library=oblong.library()[0].a["u"],
    )


@entry("S4.23", "correct", "nabla l = (y-hat - y) nabla y-hat")
def gradient_of_the_half_square() -> Iterator[Forms]:
    net, gradients = oblong, oblong.library()[1].weight
    printed = net.residual * derivative(lambda W2: net.output(W2=W2), net.W2)
    yield Forms(printed, truth=derivative(lambda W2: net.loss(W2=W2), net.W2), library=gradients["u", "v"])
    printed = net.residual * derivative(lambda W1: net.output(W1=W1), net.W1)
    yield Forms(printed, truth=derivative(lambda W1: net.loss(W1=W1), net.W1), library=gradients["x", "u"])


@entry("S4.24", "correct", "d y-hat = sigma_s^T dW2 o + (W2 o)^T J dW2 o = Tr((o sigma_s^T + o a^T J) dW2)")
def differential_in_the_second_matrix() -> Iterator[Forms]:
    net, dW2 = oblong, matrix(4, 3, 11)
    o, a, p, J = net.o, net.a, net.p, net.jacobian
    truth = along(lambda W2: net.output(W2=W2), net.W2, dW2)
    yield Forms(p @ dW2 @ o + (net.W2 @ o) @ J @ dW2 @ o, truth=truth)
    yield Forms(np.trace((np.outer(o, p) + np.outer(o, a @ J)) @ dW2), truth=truth)


@entry(
    "S4.25", "erratum", "nabla_W2 l, printed as its transpose: the wrong shape, and wrong where the matrix is square"
)
def gradient_in_the_second_matrix_transposed() -> Iterator[Forms]:
    for net in (oblong, square):
        o, a, p, J, r = net.o, net.a, net.p, net.jacobian, net.residual
        truth, library = derivative(lambda W2, net=net: net.loss(W2=W2), net.W2), net.library()[1].weight["u", "v"]
        printed = r * (np.outer(o, p) + np.outer(o, a @ J))
        yield Forms(printed, truth, correct=r * np.outer(p + J @ a, o), library=library)
        yield Forms(printed, truth, correct=r * np.outer(p * (1 + a - p @ a), o), library=library)


@entry("S4.26", "erratum", "J = I sigma_s - sigma_s sigma_s^T; I sigma_s is a vector, Diag(sigma_s) is meant")
def identity_matrix_times_softmax() -> Iterator[Forms]:
    a, p = oblong.a, oblong.p
    correct, truth, library = np.diag(p) - np.outer(p, p), derivative(softmax, a), jacobian("softmax", a)
    yield Forms((I @ p)[:, None] - np.outer(p, p), truth, correct, library)  # as a column in each column
    yield Forms((I @ p)[None, :] - np.outer(p, p), truth, correct, library)  # as a row in each row


@entry(
    "S4.27",
    "erratum",
    "d y-hat / d W2 in numerator layout, printed as o sigma_s^T + o a^T sigma_s - o a^T sigma_s sigma_s^T",
)
def expanded_gradient_in_the_second_matrix() -> Iterator[Forms]:
    net = oblong
    o, a, p = net.o, net.a, net.p
    yield Forms(
        printed=np.outer(o, p) + (o * (a @ p))[:, None] - np.outer(o, a @ p * p),
        correct=np.outer(o, p) + np.outer(o, a * p) - np.outer(o, a @ p * p),
        truth=derivative(lambda W2: net.output(W2=W2), net.W2).T,
        library=net.library()[1].weight["u", "v"].T / float(net.residual),
    )


@entry("S4.28", "correct", "d y-hat = sigma_s^T W2 do + a^T J W2 do")
def differential_in_the_hidden_layer() -> Iterator[Forms]:
    net, do = oblong, numbers([0.5, -1.0, 0.75])
    printed = net.p @ net.W2 @ do + net.a @ net.jacobian @ net.W2 @ do
    yield Forms(printed, truth=along(lambda o: net.output(o=o), net.o, do))


@entry(
    "S4.29", "correct", "d sigma(W1 x) = sigma' . dW1 x = Diag(sigma (1 - sigma)) dW1 x, in both orders of the products"
)
def differential_of_the_hidden_layer() -> Iterator[Forms]:
    net, dW1 = oblong, matrix(3, 2, 11)
    slope = net.o * (1 - net.o)
    truth = [along(lambda W1, i=i: sigmoid(W1 @ net.x)[i], net.W1, dW1) for i in range(3)]
    yield Forms(slope * (dW1 @ net.x), truth=truth)
    yield Forms((slope[:, None] * dW1) @ net.x, truth=truth)
    yield Forms(np.diag(slope) @ dW1 @ net.x, truth=truth)


@entry("S4.30", "correct", "d y-hat = Tr(x (sigma_s^T + a^T J) W2 Diag(sigma (1 - sigma)) dW1)")
def differential_in_the_first_matrix() -> Iterator[Forms]:
    net, dW1 = oblong, matrix(3, 2, 11)
    row = (net.p + net.a @ net.jacobian) @ net.W2 @ np.diag(net.o * (1 - net.o))
    truth = along(lambda W1: net.output(W1=W1), net.W1, dW1)
    yield Forms(np.trace(np.outer(net.x, row) @ dW1), truth=truth)


@entry(
    "S4.31", "erratum", "nabla_W1 l, printed as its transpose: the wrong shape, and wrong where the matrix is square"
)
def gradient_in_the_first_matrix_transposed() -> Iterator[Forms]:
    for net in (oblong, square):
        slope = np.diag(net.o * (1 - net.o))
        yield Forms(
            printed=net.residual * np.outer(net.x, (net.p + net.a @ net.jacobian) @ net.W2 @ slope),
            correct=net.residual * np.outer(slope @ net.W2.T @ (net.p + net.jacobian @ net.a), net.x),
            truth=derivative(lambda W1, net=net: net.loss(W1=W1), net.W1),
            library=net.library()[1].weight["x", "u"],
        )


@entry(
    "S4.32", "correct", "Diag(sigma (1 - sigma)) has the product entry by entry in it; it is the Jacobian of the layer"
)
def product_inside_the_diagonal() -> Iterator[Forms]:
    a = oblong.W1 @ oblong.x
    o = sigmoid(a)
    yield Forms(np.diag(o * (1 - o)), truth=derivative(sigmoid, a), library=np.diag(vjp("sigmoid", a, np.ones(3))))


# ------------------------------------------------------------------ the tests


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=lambda formula: formula.id)
def test_formula(formula: Formula) -> None:
    as_printed = []
    for forms in formula.forms():
        correct = forms.printed if forms.correct is None else forms.correct
        assert holds(correct, forms.truth)
        as_printed.append(holds(forms.printed, forms.truth))
        assert as_printed[-1] or fails(forms.printed, forms.truth), "a difference too small to tell"
        if forms.library is not None:
            np.testing.assert_allclose(float_array(forms.library), float_array(correct), rtol=1e-12, atol=1e-15)
    assert as_printed
    if formula.verdict == "caveat":
        assert set(as_printed) == {True, False}
    else:
        assert set(as_printed) == {formula.verdict == "correct"}


def test_every_formula_is_here_or_left_out_for_a_reason() -> None:
    expected = [f"{source}.{i}" for source, last in LAST_IDS.items() for i in range(1, last + 1)]
    assert [id for id in expected if id not in LEFT_OUT] == list(FORMULAS)
    assert set(LEFT_OUT) < set(expected)


def test_every_erratum_is_on_the_page_of_errata() -> None:
    page = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"test_formulas\.py::test_formula\[(S\d\.\d+)\]", page))
    assert shown == {formula.id for formula in FORMULAS.values() if formula.verdict != "correct"}
    verdicts = dict(re.findall(r"^\*\*(S\d\.\d+), (erratum|caveat): ", page, re.MULTILINE))
    assert verdicts.pop("S2.17") == "erratum"
    assert verdicts == {id: FORMULAS[id].verdict for id in shown}


@pytest.mark.parametrize("wrong", [[1.0, 2.01], [1.0], [[1.0, 2.0]], [2.0, 1.0], [1.0, -2.0]])
def test_a_wrong_form_is_told_from_a_right_one(wrong: list[Any]) -> None:
    right = [1.0, 2.0]
    assert holds(right, right)
    assert not holds(wrong, right)
    assert fails(wrong, right)
