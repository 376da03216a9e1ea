"""Second derivatives of activations and losses, against those that mpmath finds of the textbook formulas."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

import graphprop as gp
from graphprop.functions.arithmetic import Mpmath

POINTS = [-700.0, -40.0, -20.0, -3.0, -1.1, -0.3, -1e-7, 1e-7, 0.2, 0.9, 2.3, 5.0, 18.0, 37.0, 300.0]
VECTORS = [
    [0.3],
    [0.5, -0.2],
    [1.0, 2.0, -0.5],
    [30.0, -10.0, 0.0, 29.0],
    [1e6 + 1, 1e6, 1e6 + 2],
    [500.0, -400.0, 1.0],
]
ELEMENTWISE = [name for name, f in gp.ACTIVATIONS.items() if f.kind == "elementwise"]
OTHERS = [name for name, f in gp.ACTIVATIONS.items() if f.kind != "elementwise"]
M = Mpmath(mpmath.mp)


def formula(f: gp.Activation) -> Any:
    assert f.formula is not None
    return lambda a: f.formula(M, a, *map(mpmath.mpf, f.parameters.values()))  # type: ignore[misc]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_of_elementwise_activations(name: str) -> None:
    f = gp.ACTIVATIONS[name]
    for a in POINTS:
        if f.refusal([a]) or (name == "exp" and a > 200):
            continue
        o = f.outputs([a])
        with mpmath.workdps(90 + int(abs(a))):
            expected = float(mpmath.diff(formula(f), mpmath.mpf(a), 2, h=mpmath.mpf(10) ** -25))
            first = float(abs(mpmath.diff(formula(f), mpmath.mpf(a), 1, h=mpmath.mpf(10) ** -25)))
        (found,) = f.bend([a], o, [1.0], [1.0])
        roots = name in ("silu", "gelu", "gaussian", "sin")  # sums that may cancel
        assert abs(found - expected) <= 1e-14 * (abs(expected) + roots * first) + 1e-290, (a, found, expected)


@pytest.mark.parametrize("name", OTHERS)
def test_of_reducing_and_vector_activations(name: str) -> None:
    f = gp.ACTIVATIONS[name]
    for a in VECTORS:
        rng = np.random.default_rng(len(a))
        n, m = len(a), 1 if f.kind == "reducing" else len(a)
        g, t = rng.normal(size=m).tolist(), rng.normal(size=n).tolist()
        with mpmath.workdps(1000 if max(map(abs, a)) > 100 else 60):

            def outputs(s: Any, a: Any = a, t: Any = t) -> list[Any]:
                o = formula(f)([mpmath.mpf(x) + s * y for x, y in zip(a, t, strict=True)])
                return [o] if f.kind == "reducing" else list(o)

            def along(i: int, s: Any, a: Any = a, t: Any = t, g: Any = g) -> Any:
                def moved(r: Any) -> Any:
                    x = [
                        mpmath.mpf(x) + s * y + (r if j == i else 0) for j, (x, y) in enumerate(zip(a, t, strict=True))
                    ]
                    o = formula(f)(x)
                    return sum(gk * ok for gk, ok in zip(g, [o] if f.kind == "reducing" else o, strict=True))

                return mpmath.diff(moved, 0, h=mpmath.mpf(10) ** -20)

            h = mpmath.mpf(10) ** -20
            bent = [float((along(i, h) - along(i, -h)) / (2 * h)) for i in range(n)]
            pushed = [float((x - y) / (2 * h)) for x, y in zip(outputs(h), outputs(-h), strict=True)]
        o = f.outputs(a)
        size = max(map(abs, bent))
        np.testing.assert_allclose(f.bend(a, o, g, t), bent, rtol=1e-13, atol=1e-13 * size + 1e-30)
        np.testing.assert_allclose(f.push(a, o, t), pushed, rtol=1e-13, atol=1e-14 * max(map(abs, pushed)) + 1e-30)


@pytest.mark.parametrize("name", gp.LOSSES)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_of_losses(name: str, scale: float) -> None:
    entry, rng = gp.LOSSES[name], np.random.default_rng(0)
    z, t, d = scale * rng.normal(size=4), rng.dirichlet(np.ones(4)), rng.normal(size=4)
    if "probabilities" in entry.reads:
        z = rng.dirichlet(np.ones(4)) if entry.reads == "probabilities" else np.log(rng.dirichlet(np.ones(4)))
    with mpmath.workdps(80):

        def slope(i: int, s: Any) -> Any:
            def moved(r: Any) -> Any:
                x = [
                    mpmath.mpf(x) + s * mpmath.mpf(y) + (r if j == i else 0)
                    for j, (x, y) in enumerate(zip(z, d, strict=True))
                ]
                return entry.formula(M, x, list(map(mpmath.mpf, t)))  # type: ignore[misc]

            return mpmath.diff(moved, 0, h=mpmath.mpf(10) ** -20)

        h = mpmath.mpf(10) ** -20
        expected = [float((slope(i, h) - slope(i, -h)) / (2 * h)) for i in range(4)]
    np.testing.assert_allclose(entry.bend(z, t, d), expected, rtol=1e-13, atol=1e-300)


def test_at_a_kink_the_second_derivative_is_that_of_the_side_the_first_one_takes() -> None:
    assert [gp.ACTIVATIONS[name].bend([0.0], [0.0], [1.0], [1.0]) for name in ("relu", "abs", "leaky_relu")] == [
        [0.0]
    ] * 3
    assert gp.activation("elu", alpha=0.5).bend([0.0], [0.0], [1.0], [1.0]) == [0.5]


@pytest.mark.parametrize("name", gp.ACTIVATIONS)
def test_what_is_not_stated_is_found_by_running_the_derivative_with_tangents(name: str) -> None:
    f = gp.ACTIVATIONS[name]
    own = gp.Activation(
        name,
        f.value_function,
        f.derivative_function,
        kind=f.kind,
        parameters=f.parameters,
        domain=f.domain,
        check=False,
    )
    for a in [[0.7], [-0.4], [2.1]] if f.kind == "elementwise" else VECTORS[1:3]:
        if f.refusal(a):
            continue
        o = f.outputs(a)
        g, t = [0.7, -1.2, 0.4][: len(o)], [0.3, 1.1, -0.8][: len(a)]
        if name in ("product", "log_softmax"):  # frexp, and twofold numbers
            with pytest.raises(gp.GraphpropError, match="its second derivative is needed"):
                own.bend(a, o, g, t)
            continue
        np.testing.assert_allclose(own.bend(a, o, g, t), f.bend(a, o, g, t), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", gp.LOSSES)
def test_a_loss_that_states_none_is_run_with_tangents(name: str) -> None:
    entry = gp.LOSSES[name]
    gradients = {
        "half_squared": lambda z, t: z - t,
        "cross_entropy": lambda z, t: np.where(t > 0, -t / z, 0.0),
        "nll": lambda z, t: np.where(t > 0, -t, 0.0),
        "softmax_cross_entropy": lambda z, t: (
            np.exp(z) / np.exp(z).sum(-1, keepdims=True) * t.sum(-1, keepdims=True) - t
        ),
        "binary_cross_entropy": lambda z, t: 1 / (1 + np.exp(-z)) - t,
        "mse": lambda z, t: 2 * (z - t) / 3,
        "mae": lambda z, t: np.sign(z - t) / 3,
        "huber": lambda z, t: np.maximum(-1.0, np.minimum(z - t, 1.0)) / 3,
        "hinge": lambda z, t: np.where(t * z < 1, -t / 3, 0.0),
    }
    own = gp.Loss("own", entry.value, gradients[name], check=False)
    rng = np.random.default_rng(0)
    z, t, d = rng.dirichlet(np.ones(3), 5), rng.dirichlet(np.ones(3), 5), rng.normal(size=(5, 3))
    np.testing.assert_allclose(own.bend(z, t, d), entry.bend(z, t, d), rtol=1e-12)


def test_a_wrong_one_is_refused_when_it_is_made() -> None:
    with pytest.raises(gp.GraphpropError, match="the second derivative does not match the derivative"):
        gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a**2, second=lambda a, o: 6.1 * a)
    gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a**2, second=lambda a, o: 6 * a)
    with pytest.raises(gp.GraphpropError, match="the second derivative does not match the gradient"):
        gp.Loss("own", lambda z, t: ((z - t) ** 2).sum(-1), lambda z, t: 2 * (z - t), second=lambda z, t, d: d)
    gp.Loss("own", lambda z, t: ((z - t) ** 2).sum(-1), lambda z, t: 2 * (z - t), second=lambda z, t, d: 2 * d)


def test_functions_of_math_are_known_where_they_stand() -> None:
    def inner(a: float) -> float:
        return math.exp(-a) * math.erf(a) + math.atan2(a, 2.0) + max(a, 0.0) + math.pow(a, 3) + float(a)

    own = gp.Activation("own", lambda a: a, lambda a, o: inner(a) + o, check=False)
    slope = mpmath.diff(lambda a: mpmath.exp(-a) * mpmath.erf(a) + mpmath.atan2(a, 2) + a + a**3 + a, mpmath.mpf(0.7))
    value = inner(0.7) + 0.7  # what o moves by
    assert own.bend([0.7], [0.7], [1.0], [1.0])[0] == pytest.approx(float(slope) + value, rel=1e-14)


def test_what_has_no_tangent_is_said() -> None:
    own = gp.Activation("own", lambda a: math.lgamma(a), lambda a, o: math.lgamma(a), check=False)
    with pytest.raises(gp.GraphpropError, match=r"activation 'own': .* \(NoTangentError: math.lgamma\); state it with"):
        own.bend([0.7], [0.7], [1.0], [1.0])
