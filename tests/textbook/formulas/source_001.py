"""Source 001: the same gradients."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

import graphprop as gp
from tests.textbook.formulas.definitions import (
    Forms,
    c,
    cross_entropy,
    derivative,
    entry,
    exp,
    jacobian,
    log,
    log_softmax,
    loss_gradient,
    loss_value,
    mp,
    n,
    nll,
    p,
    softmax,
    t,
    tanh,
    v,
    value,
    vjp,
    x,
)


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
            by_library = gp.loss("cross_entropy").apply(np.array(z), target)[1]  # `evaluate` refuses infinities
        yield Forms(
            printed=[z_i != 0 for z_i in z],
            correct=[bool(t_i == 0 or z_i > t_i / largest) for z_i, t_i in zip(z, target, strict=True)],
            truth=np.isfinite(quotient),
            library=np.isfinite(by_library),
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
