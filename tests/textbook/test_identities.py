"""Identities that hold for every input and every graph, as properties.

Where terms cancel, two numbers may differ by a part of the sum of the absolute terms, and of nothing else. Of a
gradient that sum comes from the network's matrices: with L the block diagonal of local Jacobians and W the weights,

    D = (I - |L| |W|)^-1 |L|

adds up the absolute values of all paths. It shares no code with the recursion.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from tests.random_graphs import UNIT, numbers
from tests.textbook.identity_cases import (
    TOLERANCE,
    assert_close,
    log_softmax,
    logsumexp,
    sigmoid,
    silu,
    softmax,
    softmax_dot,
    tanh,
)

DYADIC = st.integers(-640, 640).map(lambda k: k / 64)

SCALARS = st.floats(-30, 30).map(lambda x: round(x, 12))  # products of several do not underflow

VECTORS = st.lists(SCALARS, min_size=1, max_size=6).map(np.array)

PAIRS = st.integers(1, 6).flatmap(lambda n: st.tuples(*[st.lists(SCALARS, min_size=n, max_size=n).map(np.array)] * 2))

TARGETS = st.integers(1, 6).flatmap(
    lambda n: st.tuples(st.lists(SCALARS, min_size=n, max_size=n).map(np.array), numbers(n, UNIT))
)


# ------------------------------------------------------------------ softmax and log-softmax (1-11)


@given(st.lists(DYADIC, min_size=1, max_size=6).map(np.array), DYADIC)
def test_softmax_and_log_softmax_do_not_change_under_a_common_shift(a: np.ndarray, c: float) -> None:
    for f in (softmax, log_softmax):  # a + c is exact here, so that the bits agree
        assert (f.value(a + c) == f.value(a)).all()
        assert (f.jacobian(a + c) == f.jacobian(a)).all()


@given(VECTORS)
def test_rows_of_both_jacobians_sum_to_zero(a: np.ndarray) -> None:
    for f in (softmax, log_softmax):
        J = f.jacobian(a)
        assert_close(J.sum(1), np.zeros(len(a)), np.abs(J).sum(1))


@given(VECTORS)
def test_outputs_keep_their_sum_to_first_order(a: np.ndarray) -> None:
    J = softmax.jacobian(a)
    assert_close(J.sum(0), np.zeros(len(a)), np.abs(J).sum(0))
    p, J = softmax.value(a), log_softmax.jacobian(a)
    assert_close(p @ J, np.zeros(len(a)), p @ np.abs(J))


@given(VECTORS)
def test_softmax_jacobian_is_diag_p_times_that_of_log_softmax(a: np.ndarray) -> None:
    p, J = softmax.value(a), softmax.jacobian(a)
    terms = np.diag(p) + np.outer(p, p)
    assert_close(J, p[:, None] * log_softmax.jacobian(a), terms)
    assert_close(J, np.diag(p) - np.outer(p, p), terms)
    assert_close(J, J.T, terms)
    assert_close(np.trace(J), 1 - p @ p, 1 + p @ p)


@given(PAIRS)
def test_softmax_jacobian_is_a_variance(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, v = pair
    p, J = softmax.value(a), softmax.jacobian(a)
    assert_close(v @ J @ v, p @ (v - p @ v) ** 2, p @ (np.abs(v) + p @ np.abs(v)) ** 2)
    assert v @ J @ v >= -TOLERANCE * np.abs(v) @ np.abs(J) @ np.abs(v)
    narrow = a / 10  # no p underflows next to another one, and the rank is what it is in exact arithmetic
    assert np.linalg.matrix_rank(softmax.jacobian(narrow)) == len(a) - 1


@given(PAIRS)
def test_vjps_have_their_closed_forms_and_sum_to_zero(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, v = pair
    p, size = softmax.value(a), np.abs(v)
    for f, closed, terms in (
        (softmax, p * (v - v @ p), p * (size + size @ p)),
        (log_softmax, v - p * v.sum(), size + p * size.sum()),
    ):
        assert_close(f.vjp(a, v), closed, terms)
        assert_close(f.vjp(a, v).sum(), 0.0, terms.sum())


@given(PAIRS, st.data())
def test_vjp_and_jvp_are_adjoint(pair: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    a, v = pair
    u = np.array(data.draw(numbers(len(a), SCALARS)))
    for f in (softmax, log_softmax):
        J = f.jacobian(a)
        assert_close(f.vjp(a, v) @ u, v @ (J @ u), np.abs(v) @ (np.abs(J) + np.diag(f.value(a) ** 2)) @ np.abs(u))


@given(VECTORS)
def test_log_softmax_is_idempotent_and_normalises(a: np.ndarray) -> None:
    z, size = log_softmax.value(a), 1 + np.abs(a).max() + np.abs(a)
    assert_close(log_softmax.value(z), z, size)
    assert_close(logsumexp.value(z), 0.0, size.max())
    assert_close(softmax.value(z), softmax.value(a), softmax.value(a) * size)
    assert_close(np.exp(z), softmax.value(a), softmax.value(a) * size)


@given(SCALARS)
def test_softmax_of_two_is_logistic(x: float) -> None:
    assert_close(softmax.value([x, 0.0]), [sigmoid.value(x), sigmoid.value(-x)], softmax.value([x, 0.0]))


@given(VECTORS)
def test_softmax_keeps_order(a: np.ndarray) -> None:
    ranked = np.sort(a)
    assert (np.diff(softmax.value(ranked)) >= 0).all()
    assert (np.diff(log_softmax.value(ranked)) >= 0).all()


@given(VECTORS, st.randoms(use_true_random=False))
def test_permuting_inputs_permutes_outputs_and_leaves_reductions(a: np.ndarray, random: Any) -> None:
    order = random.sample(range(len(a)), len(a))
    for f in (softmax, log_softmax):
        assert_close(f.value(a[order]), f.value(a)[order], np.abs(f.value(a)[order]))
    for f in (softmax_dot, logsumexp):
        assert_close(f.value(a[order]), f.value(a), np.abs(a).max() + np.log(len(a)))
        assert_close(f.jacobian(a[order]), f.jacobian(a)[order], delta_terms(a)[order])


@given(TARGETS)
def test_cross_entropy_gradient_sums_to_zero_for_every_total(pair: tuple[np.ndarray, list[float]]) -> None:
    a, t = pair[0], np.array(pair[1])
    gradient, terms = gp.loss("softmax_cross_entropy").evaluate(a, t)[1], softmax.value(a) * t.sum() + t
    assert_close(gradient.sum(), 0.0, terms.sum())
    assert_close(gradient, softmax.value(a) * t.sum() - t, terms)


@given(PAIRS)
def test_cross_entropy_is_at_least_the_entropy_of_the_target(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, t = pair[0], softmax.value(pair[1])
    entropy, cross_entropy = -t @ np.log(t), gp.loss("softmax_cross_entropy")
    assert cross_entropy.evaluate(a, t)[0] >= entropy - TOLERANCE * (1 + t @ np.abs(np.log(t)))
    assert_close(cross_entropy.evaluate(pair[1], t)[0], entropy, t @ (1 + np.abs(pair[1]) + np.abs(np.log(t))))


@given(TARGETS)
def test_cross_entropy_through_softmax_is_nll_through_log_softmax(pair: tuple[np.ndarray, list[float]]) -> None:
    a, t = pair[0], np.array(pair[1])
    p, terms = softmax.value(a), softmax.value(a) * t.sum() + t
    for gradient in (
        softmax.vjp(a, gp.loss("cross_entropy").evaluate(p, t)[1]),
        log_softmax.vjp(a, gp.loss("nll").evaluate(log_softmax.value(a), t)[1]),
        gp.loss("softmax_cross_entropy").evaluate(a, t)[1],
    ):
        assert_close(gradient, p * t.sum() - t, terms)


# ------------------------------------------------------------------ softmax-dot (12-17)


def delta_terms(a: np.ndarray) -> np.ndarray:
    """p (1 + d + K): the absolute terms of the derivative of softmax-dot."""
    p, d = softmax.value(a), a.max() - a
    return p * (1 + d + p @ d)


@given(st.lists(DYADIC, min_size=1, max_size=6).map(np.array), DYADIC)
def test_softmax_dot_moves_with_a_common_shift_and_its_delta_does_not(a: np.ndarray, c: float) -> None:
    assert_close(softmax_dot.value(a + c), softmax_dot.value(a) + c, np.abs(a).max() + abs(c))
    delta = softmax_dot.jacobian(a)
    assert (softmax_dot.jacobian(a + c) == delta).all()  # so its derivative along 1, the Hessian times 1, is 0
    assert_close(delta.sum(), 1.0, delta_terms(a).sum())


@given(st.lists(DYADIC, min_size=1, max_size=6).map(np.array))
def test_softmax_dot_is_the_slope_of_logsumexp_in_the_temperature(a: np.ndarray) -> None:
    with mpmath.workdps(50):
        slope = mpmath.diff(lambda tau: mpmath.log(sum(mpmath.exp(tau * mpmath.mpf(x)) for x in a)), 1)
    assert_close(softmax_dot.value(a), float(slope), np.abs(a).max())
    assert_close(softmax_dot.value(a), a @ logsumexp.jacobian(a), np.abs(a).max())


@given(VECTORS)
def test_softmax_dot_is_logsumexp_less_the_entropy(a: np.ndarray) -> None:
    p, log_p = softmax.value(a), log_softmax.value(a)
    assert_close(softmax_dot.value(a), logsumexp.value(a) + p @ log_p, np.abs(a).max() + p @ np.abs(log_p))


@given(VECTORS)
def test_derivative_of_softmax_dot_under_scaling_is_its_value_plus_the_variance(a: np.ndarray) -> None:
    p, s = softmax.value(a), softmax_dot.value(a)
    assert_close(a @ softmax_dot.jacobian(a), s + p @ (a - p @ a) ** 2, np.abs(a) @ delta_terms(a) + np.abs(a).max())


@given(VECTORS)
def test_softmax_dot_lies_between_its_bounds(a: np.ndarray) -> None:
    n, s, top = len(a), softmax_dot.value(a), a.max()
    slack = TOLERANCE * (1 + np.abs(a).max())
    rivals = float(mpmath.lambertw((n - 1) / mpmath.e).real)
    assert a.mean() - slack <= s <= top + slack
    assert top - rivals - slack <= s
    assert logsumexp.value(a) - np.log(n) - slack <= s <= logsumexp.value(a) + slack


@given(SCALARS, st.integers(1, 6))
def test_softmax_dot_of_equal_entries_is_their_mean(x: float, n: int) -> None:
    assert softmax_dot.value([x]) == x
    assert softmax_dot.jacobian([x]) == [1.0]
    assert softmax_dot.value([x] * n) == x
    assert_close(softmax_dot.jacobian([x] * n), [1 / n] * n, 1 / n)


@given(VECTORS, st.integers(1, 4))
def test_repeating_all_entries_leaves_softmax_dot_and_divides_its_delta(a: np.ndarray, r: int) -> None:
    assert_close(softmax_dot.value(np.tile(a, r)), softmax_dot.value(a), np.abs(a).max())
    repeated = np.tile(softmax_dot.jacobian(a) / r, r)
    assert_close(softmax_dot.jacobian(np.tile(a, r)), repeated, np.tile(delta_terms(a), r))


@given(SCALARS, SCALARS)
def test_softmax_dot_of_two_is_silu_of_their_difference(x: float, y: float) -> None:
    delta = softmax_dot.jacobian([x, y])
    assert_close(softmax_dot.value([x, y]), y + silu.value(x - y), abs(x) + abs(y))
    assert_close(delta[0], silu.jacobian(x - y), delta_terms(np.array([x, y]))[0])
    assert -0.0998393 < delta[0] < 1.0998393


def test_softmax_dot_is_not_monotone() -> None:
    assert softmax_dot.jacobian([0.0, 2.4])[0] < -0.099
    assert softmax_dot.jacobian([0.0, 2.4])[1] > 1.099


# ------------------------------------------------------------------ scalar activations (18)


@given(SCALARS)
def test_tanh_and_sigmoid_are_the_same_curve(x: float) -> None:
    assert_close(tanh.value(x), 2 * sigmoid.value(2 * x) - 1, 2 * sigmoid.value(2 * x) + 1)
    assert_close(tanh.jacobian(x), 4 * sigmoid.jacobian(2 * x), tanh.jacobian(x))
    assert tanh.value(-x) == -tanh.value(x)


@given(SCALARS)
def test_sigmoid_is_symmetric(x: float) -> None:
    s, mirrored, slope = sigmoid.value(x), sigmoid.value(-x), sigmoid.jacobian(x)
    assert_close(mirrored, 1 - s, 1 + s)
    assert_close(slope, s * mirrored, s * mirrored)
    assert slope == sigmoid.jacobian(-x)
    assert slope <= 0.25 * (1 + TOLERANCE)
    assert_close(np.log(s) - np.log(mirrored), x, abs(np.log(s)) + abs(np.log(mirrored)))
