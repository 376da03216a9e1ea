"""Fits of several heads, each with its own loss: the same as the loop written out, at every door."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.training.fit_cases import assert_same, interrupted

RANDOM = np.random.default_rng(4)
X = RANDOM.standard_normal((48, 3))
LABELS = RANDOM.integers(0, 3, 48)
HOT = np.eye(3)[LABELS]
Y = np.sin(X[:, 0])
SIDES = (X[:, 1:] > 0).astype(float)
LOSS: dict[Any, Any] = {"y": ("mse", 0.5), "z": "softmax_cross_entropy", ("s", "t"): "binary_cross_entropy"}
TARGET = {"t": SIDES[:, 1], "s": SIDES[:, 0], "z": LABELS, "y": Y}
COLUMNS = np.column_stack([HOT, SIDES, Y])
OWN: dict[str, Any] = {"epochs": 3, "batch_size": 20, "seed": 7, "rate": 0.05, "progress": False}


def network() -> gp.Network:
    """Heads of classes, of two logits and of a number, over a tied weight and a frozen node."""
    net = gp.Network()
    for name in "abc":
        net.add_input(name)
    tied = net.parameter("tied", 0.3)
    net.add_node("h", "tanh", {"a": tied, "b": -0.2}, bias=0.1)
    net.add_node("k", "sin", {"c": tied, "a": 0.4, "h": 0.3}, trainable=False)
    net.add_node("z", "identity", {"h": [0.1, 0.2, 0.3], "k": [0.0, -0.1, 0.1]}, [0.0, 0.0, 0.0], size=3)
    net.add_node("s", "identity", {"h": 0.1, "k": 0.2})
    net.add_node("t", "identity", {"h": -0.1, "c": 0.2}, bias=0.0)
    net.add_node("y", "identity", {"k": 0.5, "h": tied})
    net.set_outputs("z", ["s", "t"], "y")
    return net


def by_hand(net: gp.Network, theta: np.ndarray, free: np.ndarray, target: Any = TARGET, loss: Any = LOSS) -> np.ndarray:
    """Three epochs of gradient descent, written out."""
    for epoch in range(3):
        order = np.random.default_rng((7, epoch)).permutation(48)
        for first in range(0, 48, 20):
            rows = order[first : first + 20]
            named = {name: column[rows] for name, column in target.items()}
            _, g = net.program.value_and_grad(theta, X[rows], named, loss=loss)
            theta = np.where(free, theta - 0.05 * np.where(free, g, 0), theta)
    return theta


TARGETS: dict[str, Callable[[], Any]] = {
    "by name": lambda: TARGET,
    "in another order": lambda: dict(sorted(TARGET.items())),
    "columns": lambda: COLUMNS,
    "classes as numbers": lambda: TARGET | {"z": HOT},
    "a frame of series": lambda: {name: series(column) for name, column in TARGET.items()},
}


def series(column: np.ndarray) -> Any:
    return pytest.importorskip("pandas").Series(column)


@pytest.mark.parametrize("form", TARGETS)
def test_a_loss_for_each_head_takes_the_steps_of_the_loop_written_out(form: str) -> None:
    net, other = network(), network()
    fit = gp.fit(net, X, TARGETS[form](), loss=LOSS, optimizer="sgd", **OWN)
    assert fit.theta.tobytes() == net.theta.tobytes() == by_hand(other, other.theta, other.trainable).tobytes()


@pytest.mark.parametrize("loss", [LOSS, {"y": "mse"}, {"k": "half_squared", "z": ("softmax_cross_entropy", 2.0)}])
def test_in_float32_it_is_the_same_and_what_is_tied_or_frozen_stays_so(loss: Any) -> None:
    net = network()
    target = {name: TARGET.get(name, Y) for key in loss for name in (key if type(key) is tuple else [key])}
    start, free = net.theta.astype(np.float32), np.ones(len(net.theta), dtype=bool)
    free[[0, 3, 4]] = False  # the weights into k, of which the first is tied: it stays wherever it is used
    fit = gp.fit(net.program, X, target, theta=start, loss=loss, optimizer="sgd", scale={"k": 0}, **OWN)
    expected = by_hand(net, start, free, target, loss)
    assert fit.theta.dtype == expected.dtype == np.float32
    assert fit.theta.tobytes() == expected.tobytes()
    assert (fit.theta != start).sum() >= 3


def test_validation_is_the_loss_of_all_heads_and_metrics_are_of_what_they_read() -> None:
    net = network()
    apart = slice(0, 10)
    rest = {name: column[10:] for name, column in TARGET.items()}
    held_out = {name: column[apart] for name, column in TARGET.items()}
    fit = gp.fit(
        net, X[10:], rest, loss=LOSS, validation=(X[apart], held_out), restore=False, metrics=["accuracy", "mae"], **OWN
    )
    value, _ = net.program.value_and_grad(net.theta, X[apart], held_out, loss=LOSS)
    assert fit.history["validation_loss"][-1] == value
    outputs = net.program.predict(net.theta, X[apart])  # in the order of the outputs
    right = [*(outputs[:, :3].argmax(1) == LABELS[apart]), *((outputs[:, 3:5] > 0) == (SIDES[apart] > 0.5)).ravel()]
    assert fit.history["accuracy"][-1] == np.mean(right)
    assert fit.history["mae"][-1] == pytest.approx(np.abs(outputs - COLUMNS[apart]).mean())


def test_metrics_of_a_target_that_names_some_heads_are_of_these() -> None:
    net = network()

    def far(outputs: np.ndarray, target: np.ndarray) -> float:
        assert outputs.shape == target.shape == (48, 1)
        return float(np.abs(outputs - target).max())

    fit = gp.fit(net, X, {"y": Y}, loss="half_squared", metrics=["mse", far], **OWN)
    error = net.program.predict(net.theta, X)[:, 5] - Y
    assert fit.history["mse"][-1] == pytest.approx((error**2).mean())
    assert fit.history["far"][-1] == pytest.approx(np.abs(error).max())


def test_classes_of_two_heads_of_one_loss_are_counted_each() -> None:
    net = gp.Network()
    net.add_input("x", size=3)
    for name in ("u", "v"):
        net.add_node(name, "identity", {"x": RANDOM.normal(size=(3, 3))}, size=3)
    target = np.column_stack([LABELS, LABELS[::-1]])
    fit = gp.fit(net, X, target, loss="softmax_cross_entropy", metrics="accuracy", **OWN)
    outputs = net.program.predict(net.theta, X).reshape(48, 2, 3)
    assert fit.history["accuracy"][-1] == np.mean(outputs.argmax(2) == target)


def test_a_mapping_that_is_changed_meanwhile_changes_nothing() -> None:
    net, other, loss = network(), network(), dict(LOSS)
    gp.fit(net, X, TARGET, loss=loss, callback=lambda row, theta: loss.clear(), **OWN)
    gp.fit(other, X, TARGET, loss=LOSS, **OWN)
    assert net.theta.tobytes() == other.theta.tobytes()


def test_lbfgs_and_batches_take_losses_by_head_too() -> None:
    pytest.importorskip("scipy")
    net = network()
    fit = gp.fit(net, X, TARGET, loss=LOSS, optimizer="lbfgs", epochs=20, progress=False)
    assert fit.history["loss"][-1] < fit.history["loss"][0]
    batches = [(X[rows], {name: c[rows] for name, c in TARGET.items()}) for rows in (slice(0, 20), slice(20, 48))]
    fit = gp.fit(network(), batches, loss=LOSS, **OWN)
    assert fit.steps == 6


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_checkpoint_of_losses_by_head_goes_on_and_knows_them(dtype: Any, tmp_path: Path) -> None:
    net, path = network(), tmp_path / "run.ckpt"

    def run(loss: Any = LOSS, **own: Any) -> gp.Fit:
        theta = net.theta.astype(dtype)
        return gp.fit(net.program, X, TARGET, theta=theta, loss=loss, validation=0.2, metrics="accuracy", **(OWN | own))

    for at in (1, 3):
        interrupted(run, at, path)
    assert_same(run(checkpoint=path), run())
    with pytest.raises(gp.GraphpropError) as refused:
        run(LOSS | {"y": ("mse", 0.25)}, checkpoint=path)
    told = ", softmax_cross_entropy of 'z', binary_cross_entropy of ('s', 't')"
    assert f"of loss 0.5 mse of 'y'{told}, this call has 0.25 mse of 'y'{told}." in str(refused.value)


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    ({"yy": "mse"}, {}, "unknown node 'yy'"),
    ({"y": "msee"}, {}, "did you mean 'mse'?"),
    ({}, {}, "loss= is a mapping that names no head"),
    ({"y": ("mse", np.inf)}, {}, "the weight of its loss is inf; it has to be finite"),
    ({"s": "mse"}, {}, "of the declared outputs"),
    ({"y": "mse"}, {"metrics": "accuracy"}, "metric 'accuracy' needs a loss that reads classes; mse does not"),
    (LOSS | {"k": "mse"}, {"metrics": "mse", "target": TARGET | {"k": Y}}, "reads other nodes, too"),
    (LOSS, {"target": {"y": Y}}, "has no target for 'z'"),
]


@pytest.mark.parametrize(("loss", "own", "told"), REFUSED, ids=[told for *_, told in REFUSED])
def test_losses_that_do_not_fit_are_refused(loss: Any, own: dict[str, Any], told: str) -> None:
    with pytest.raises(gp.GraphpropError) as refused:
        gp.fit(network(), X, own.pop("target", TARGET), loss=loss, **(OWN | own))
    assert told in str(refused.value)
