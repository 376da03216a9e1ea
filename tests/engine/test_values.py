"""`Program.value` and `Program.losses` are what `value_and_grad` says, by a forward pass alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import graphprop as gp

ROWS = np.random.default_rng(3).normal(size=(70, 4))
LABELS = np.arange(70) % 3
DENSE = gp.mlp([4, 8, 3], "tanh", "identity", seed=1, by="layer")
SPARSE = gp.mlp([4, 8, 3], "tanh", "identity", seed=1)


def masked() -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=4)
    net.add_node("z", "log_softmax", {"x": np.ones((4, 4)) * np.arange(4.0)}, [0.0, -np.inf, 0.5, 1.0], size=4)
    return net


def two_heads() -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=4)
    net.add_node("h", "tanh", {"x": [0.5, -0.25, 0.1, 1.0]}, bias=0.1)
    net.add_node("z", "identity", {"h": [1.0, -1.0, 0.5]}, bias=[0.1, 0.2, 0.3], size=3)
    net.add_node("y", "identity", {"h": 2.0})
    return net


def mine() -> gp.Loss:
    return gp.Loss("mine", lambda z, t: ((z - t) ** 4).sum(-1), lambda z, t: 4 * (z - t) ** 3)


BY_HEAD = {"z": "softmax_cross_entropy", "y": ("mse", 0.5)}
GAPS = np.where(np.arange(210).reshape(70, 3) % 4 == 0, np.nan, 0.25)
CASES: dict[str, tuple[gp.Network, Any, Any]] = {
    "dense, labels": (DENSE, LABELS, "softmax_cross_entropy"),
    "sparse, labels": (SPARSE, LABELS, "softmax_cross_entropy"),
    "dense, numbers": (DENSE, np.zeros((70, 3)), "half_squared"),
    "sparse, numbers": (SPARSE, np.zeros((70, 3)), "mae"),
    "missing": (SPARSE, GAPS, "huber"),
    "one's own": (SPARSE, np.zeros((70, 3)), mine()),
    "masked": (masked(), np.eye(4)[np.array([0, 2])[np.arange(70) % 2]], "nll"),
    "two heads": (two_heads(), {"z": LABELS, "y": np.ones(70)}, BY_HEAD),
    "a hidden node": (two_heads(), {"h": np.ones(70), "y": np.ones(70)}, {"h": "mse", "y": "mae"}),
    "one node of several": (two_heads(), {"y": np.ones(70)}, "half_squared"),
}


def first(target: Any) -> Any:
    return {name: rows[0] for name, rows in target.items()} if isinstance(target, dict) else target[0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weights", [None, np.linspace(0.0, 1.0, 70)], ids=["even", "weighted"])
@pytest.mark.parametrize("case", CASES)
def test_value_is_that_of_value_and_grad(case: str, weights: Any, dtype: Any) -> None:
    net, target, loss = CASES[case]
    theta = net.theta.astype(dtype)
    expected, _ = net.program.value_and_grad(theta, ROWS, target, loss=loss, sample_weight=weights)
    value = net.program.value(theta, ROWS, target, loss=loss, sample_weight=weights)
    assert type(value) is float
    assert value == pytest.approx(expected, rel=1e-14 if dtype is np.float64 else 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_the_samples_one_by_one_and_value_is_their_mean(case: str) -> None:
    net, target, loss = CASES[case]
    found = net.program.losses(net.theta, ROWS, target, loss=loss)
    assert found.shape == (70,)
    assert found.dtype == float
    assert found.mean() == pytest.approx(net.program.value(net.theta, ROWS, target, loss=loss), rel=1e-13)
    for i in range(0, 70, 23):
        alone = net.backward(net.forward(ROWS[i : i + 1]), loss=loss, target=part(target, i)).value
        assert found[i] == pytest.approx(alone, rel=1e-13)
    one = net.program.losses(net.theta, ROWS[0], first(target), loss=loss)
    assert type(one) is float
    assert one == pytest.approx(found[0], rel=1e-13)
    assert net.program.value(net.theta, ROWS[0], first(target), loss=loss) == pytest.approx(one, rel=1e-13)


def part(target: Any, i: int) -> Any:
    return {name: rows[i : i + 1] for name, rows in target.items()} if isinstance(target, dict) else target[i : i + 1]


@pytest.mark.parametrize("case", CASES)
def test_they_have_the_same_bits_on_any_number_of_threads(case: str) -> None:
    net, target, loss = CASES[case]
    rows = np.tile(ROWS, (40, 1))
    many = {k: np.tile(v, 40) for k, v in target.items()} if isinstance(target, dict) else np.concatenate([target] * 40)
    threads, found = gp.get_threads(), []
    try:
        for n in (1, 2, 3):
            gp.set_threads(n)
            found.append(net.program.losses(net.theta, rows, many, loss=loss))
    finally:
        gp.set_threads(threads)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_an_objective_that_was_read_stands_for_the_target() -> None:
    net, target, loss = CASES["two heads"]
    weights = np.linspace(0.0, 1.0, 70)
    g = net.backward(net.forward(ROWS), loss=loss, target=target, sample_weight=weights)
    assert net.program.value(net.theta, ROWS, g.objective) == pytest.approx(g.value, rel=1e-14)
    np.testing.assert_array_equal(
        net.program.losses(net.theta, ROWS, g.objective), net.program.losses(net.theta, ROWS, target, loss=loss)
    )


def _distance(z: Any, t: Any) -> Any:
    return np.abs(z - t).sum(axis=-1, keepdims=True)[..., 0]  # what runs in Python


OWN = gp.Loss("distance", _distance, lambda z, t: np.sign(z - t))


@pytest.mark.parametrize("loss", ["mae", OWN], ids=["mae", "own"])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_losses_may_be_as_large_as_numbers_are(samples: int, loss: Any) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 1.0})
    rows = np.zeros((samples, 1))
    rows[-1] = 1.7e308
    found = net.program.losses(net.theta, rows, np.zeros((samples, 1)), loss=loss)
    assert found.tolist() == rows[:, 0].tolist()


@pytest.mark.parametrize("call", ["value", "losses"])
def test_what_cannot_be_used_is_refused_as_by_value_and_grad(call: str) -> None:
    net = SPARSE
    ask = getattr(net.program, call)
    huge = np.zeros((70, 3))
    huge[7] = 1e200
    refused: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((net.theta, ROWS, LABELS), {}),
        ((net.theta, ROWS, LABELS), {"loss": "softmax"}),
        ((net.theta, ROWS, LABELS[:5]), {"loss": "softmax_cross_entropy"}),
        ((net.theta, ROWS, LABELS + 1), {"loss": "softmax_cross_entropy"}),
        ((net.theta[1:], ROWS, LABELS), {"loss": "softmax_cross_entropy"}),
        ((net.theta * np.nan, ROWS, LABELS), {"loss": "softmax_cross_entropy"}),
        ((net.theta, ROWS[:, 1:], LABELS), {"loss": "softmax_cross_entropy"}),
        ((net.theta, ROWS * np.inf, LABELS), {"loss": "softmax_cross_entropy"}),
        ((net.theta, ROWS, huge), {"loss": "half_squared"}),
        ((net.theta, ROWS, np.zeros((70, 3))), {"loss": "cross_entropy"}),
    ]
    for arguments, more in refused:
        with pytest.raises(gp.GraphpropError) as expected:
            net.program.value_and_grad(*arguments, **more)
        with pytest.raises(type(expected.value), match=re.escape(str(expected.value))):
            ask(*arguments, **more)
