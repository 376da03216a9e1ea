"""Source 002: sigmoid, and softmax with cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.textbook.formulas.definitions import (
    Forms,
    I,
    c,
    derivative,
    entry,
    exp,
    jacobian,
    log,
    loss_gradient,
    loss_value,
    mp,
    n,
    off_diagonal,
    ones,
    sigmoid,
    softmax,
    softmax_cross_entropy_derivative,
    t_any,
    tanh,
    value,
    vjp,
    x,
    y,
)

s = sigmoid(x)

g = softmax(x)  # of theta = x, with the target y


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
