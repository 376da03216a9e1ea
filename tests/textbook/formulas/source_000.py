"""Source 000: softmax, log-softmax, cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.textbook.formulas.definitions import (
    Forms,
    I,
    c,
    cross_entropy,
    derivative,
    entry,
    exp,
    jacobian,
    log,
    log_softmax,
    loss_gradient,
    n,
    nll,
    numbers,
    off_diagonal,
    ones,
    p,
    softmax,
    t,
    tanh,
    v,
    value,
    vjp,
    x,
)


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
