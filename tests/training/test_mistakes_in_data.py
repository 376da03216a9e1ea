"""What is wrong with samples, and what is missing in them, as a fit tells and counts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.training.metrics import METRICS

X = np.random.default_rng(0).uniform(-1, 1, (100, 3))
Y = np.stack([X[:, 0] * X[:, 1], X[:, 2]], axis=1)


def net(outputs: int = 2) -> gp.Network:
    return gp.mlp([3, 4, outputs], "tanh", "identity", seed=0)


@pytest.mark.parametrize("batch_size", [7, 32, 100, 200])
def test_a_bad_entry_is_named_by_its_row_in_what_was_given(batch_size: int) -> None:
    inputs = X.copy()
    inputs[73, 2] = np.nan
    with pytest.raises(gp.GraphpropError, match=r"epoch 1, batch \d+: the array of inputs is nan at \(73, 2\)"):
        gp.fit(net(), inputs, Y, loss="mse", batch_size=batch_size)


def test_what_has_a_wrong_shape_is_said_of_all_samples() -> None:
    with pytest.raises(gp.GraphpropError, match=r"the array of inputs has shape \(100, 2\)"):
        gp.fit(net(), X[:, :2], Y, loss="mse", batch_size=10)


def test_labels_as_floats_are_refused_with_what_to_do() -> None:
    labels = np.arange(100) % 3
    with pytest.raises(gp.GraphpropError, match=r"these are float64: astype\(int\)"):
        gp.fit(net(3), X, labels.astype(float), loss="softmax_cross_entropy")
    gp.fit(net(3), X, labels, loss="softmax_cross_entropy", epochs=1)


@pytest.mark.parametrize("name", ["mse", "mae", "r2"])
def test_metrics_leave_missing_targets_out(name: str) -> None:
    """For one component: as if the samples were not there."""
    outputs, target = X[:, :1], Y[:, :1].copy()
    there = np.random.default_rng(1).random(100) < 0.6
    target[~there] = np.nan
    expected = METRICS[name](outputs[there], Y[there, :1])
    assert METRICS[name](outputs, target) == pytest.approx(expected, rel=1e-14)
    both = METRICS[name](np.hstack([outputs, outputs]), np.hstack([target, np.full_like(target, np.nan)]))
    assert both == pytest.approx(expected, rel=1e-14), "a component of which nothing is known says nothing"


def test_accuracy_leaves_missing_targets_out() -> None:
    target = np.array([1.0, np.nan, 0.0, np.nan, 1.0])
    perfect = {"x": np.array([1.0, -1.0, -1.0, 1.0, 1.0])}
    alone = gp.Network()
    alone.add_input("x")
    alone.add_node("y", "identity", {"x": 1.0}, trainable=False)
    given: dict[str, Any] = {"loss": "binary_cross_entropy", "epochs": 1, "metrics": "accuracy"}
    assert gp.fit(alone, perfect, target, **given).history["accuracy"].tolist() == [1.0]
    assert gp.fit(alone, perfect, 1 - target, **given).history["accuracy"].tolist() == [0.0]


def test_the_best_of_a_population_is_the_best_with_the_parameters_that_it_has_now() -> None:
    population = gp.Population([gp.mlp([3, 4, 2], "tanh", "identity", seed=seed) for seed in range(6)])
    fit = population.fit(X, Y, loss="mse", steps=7, rate=0.1)
    np.testing.assert_array_equal(fit.losses, population.losses(X, Y, loss="mse"))
    assert all(loss != history[-1] for loss, history in zip(fit.losses, fit.history, strict=True))
