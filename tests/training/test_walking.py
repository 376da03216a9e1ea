"""Steps that machine code makes many of at once are, to the last bit, those that are made one by one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import graphprop as gp
from graphprop.training import fitting, walking

RANDOM = np.random.default_rng(8)
X = RANDOM.standard_normal((101, 3))
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
LABELS = RANDOM.integers(0, 2, 101)
WEIGHT = RANDOM.random(101)
ALL_OF_IT: dict[str, Any] = {"clip": 0.3, "decay": 0.2, "scale": {"h": 0.0, ("k", "m"): 0.25, "q": 3.0}}
OPTIMIZERS = {
    "sgd": gp.optim.SGD(0.1),
    "momentum": gp.optim.SGD(0.1, 0.9),
    "nesterov": gp.optim.SGD(0.1, 0.9, nesterov=True),
    "rmsprop": gp.optim.RMSprop(),
    "adagrad": gp.optim.Adagrad(),
    "adam": gp.optim.Adam(0.01),
    "adamw": gp.optim.AdamW(0.01),
    "lion": gp.optim.Lion(0.01),
}
RATES = {
    "number": 0.02,
    "cosine": gp.optim.cosine(0.1, steps=20, warmup=3),
    "step": gp.optim.step(0.1, every=4),
    "exponential": gp.optim.exponential(0.1, every=5),
    "plateau": gp.optim.plateau(0.1, patience=1),
    "function": lambda step: 0.1 / (1 + step),
}


def network() -> gp.Network:
    """Irregular: a tied weight, a reducing node, a frozen edge, a node that nothing reads."""
    net = gp.Network("irregular")
    for name in ("x", "y", "z"):
        net.add_input(name)
    tied = net.parameter("tied", 0.4)
    net.add_node("h", "tanh", {"x": 0.5, "y": tied}, bias=0.1)
    net.add_node("k", "softplus", {"z": tied, "h": -0.3}, bias=-0.2)
    net.add_node("m", "softmax_dot", {"h": [0.3, 0.1], "k": [-0.2, 0.6]})
    net.add_node("dead", "tanh", {"k": 1.0}, bias=0.5)
    net.add_node("p", "identity", {"m": 0.7, "x": 0.2}, bias=0.0)
    net.add_node("q", "identity", {"k": 0.5}, bias=0.3)
    net.add_edge("y", "q", 0.25, trainable=False)
    net.set_outputs(["p", "q"])
    return net


def layers() -> gp.Network:
    """With a dense block."""
    return gp.mlp([3, 40, 2], "tanh", "identity", seed=0)


def one_by_one(task: Any, state: Any) -> Iterator[int]:
    return iter(())


def both_ways(make: Callable[[], gp.Fit], walks: bool = True) -> None:
    """The fit made many steps at once, if it can be, and one by one."""
    made: list[int] = []

    def seen(task: Any, state: Any) -> Iterator[int]:
        for count in walking.walk(task, state):
            made.append(count)
            yield count

    with patch.object(fitting, "walk", seen):
        at_once = make()
    with patch.object(fitting, "walk", one_by_one):
        stepwise = make()
    assert sum(made) == (at_once.steps if walks else 0)
    assert at_once.theta.tobytes() == stepwise.theta.tobytes()
    assert at_once.theta.dtype == stepwise.theta.dtype
    assert (at_once.steps, at_once.stopped) == (stepwise.steps, stepwise.stopped)
    for name, column in at_once.history.items():
        assert column.tobytes() == stepwise.history[name].tobytes(), name


def fitted(net: gp.Network, *samples: Any, dtype: Any = float, **own: Any) -> gp.Fit:
    given = {"loss": "half_squared", "epochs": 3, "batch_size": 8, "seed": 5, "progress": False, "optimizer": "adam"}
    if dtype is float or dtype is np.float64:
        return gp.fit(net, *(samples or (X, Y)), **(given | own))
    return gp.fit(gp.compile(net), *(samples or (X, Y)), theta=net.theta.astype(dtype), **(given | own))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_with_clip_decay_and_scale(name: str, dtype: Any) -> None:
    own = ALL_OF_IT if dtype == np.float64 else {"clip": 0.3, "decay": 0.2}
    both_ways(lambda: fitted(network(), optimizer=OPTIMIZERS[name], dtype=dtype, **own))
    both_ways(lambda: fitted(network(), optimizer=OPTIMIZERS[name], dtype=dtype))


@pytest.mark.parametrize("name", RATES)
def test_every_rate(name: str) -> None:
    both_ways(lambda: fitted(network(), rate=RATES[name]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("make", [network, layers])
@pytest.mark.parametrize("size", [1, 2, 8, 50, 100])
def test_every_size_of_batches_with_an_odd_one_behind(make: Callable[[], gp.Network], size: int, dtype: Any) -> None:
    both_ways(lambda: fitted(make(), batch_size=size, dtype=dtype))


def frame() -> tuple[Any, Any]:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"z": X[:, 2], "x": X[:, 0], "y": X[:, 1]}), pandas.DataFrame({"q": Y[:, 1], "p": Y[:, 0]})


def in_a_file(path: Path, array: np.ndarray) -> np.ndarray:
    array.tofile(path)
    return np.memmap(path, dtype=array.dtype, mode="r", shape=array.shape)


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS: dict[str, Callable[[Path], tuple[Any, ...]]] = {
    "lists": lambda _: (X.tolist(), Y.tolist()),
    "by name": lambda _: ({"y": X[:, 1], "z": X[:, 2], "x": X[:, 0]}, {"q": Y[:, 1], "p": Y[:, 0]}),
    "frames": lambda _: frame(),
    "read-only": lambda _: (read_only(X), read_only(Y)),
    "not contiguous": lambda _: (np.asfortranarray(X), np.repeat(Y, 2, axis=1)[:, ::2]),
    "single precision": lambda _: (X.astype(np.float32), Y.astype(np.float32)),
    "whole numbers": lambda _: ((9 * X).astype(int), (9 * Y).astype(np.int8)),
    "a file in memory": lambda folder: (in_a_file(folder / "X", X), in_a_file(folder / "Y", Y)),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", FORMS)
def test_whatever_samples_come_in(form: str, dtype: Any, tmp_path: Path) -> None:
    samples = FORMS[form](tmp_path)
    both_ways(lambda: fitted(network(), *samples, dtype=dtype))
    both_ways(lambda: fitted(network(), *samples, dtype=dtype, validation=0.2, sample_weight=WEIGHT))


@pytest.mark.parametrize("make", [network, layers])
def test_labels_and_weights_of_samples(make: Callable[[], gp.Network]) -> None:
    own = {"loss": "softmax_cross_entropy", "metrics": "accuracy"}
    both_ways(lambda: fitted(make(), X, LABELS, **own))
    both_ways(lambda: fitted(make(), X, LABELS, sample_weight=WEIGHT, **own))


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads(threads: int) -> None:
    with gp.threads(threads):
        both_ways(lambda: fitted(layers()))


def test_however_few_steps_there_are_at_once() -> None:
    expected = fitted(network())
    for most in (1, 2, 5):
        with patch("graphprop.engine.walking.MOST_STEPS", most):
            both_ways(lambda: fitted(network()))
            assert fitted(network()).theta.tobytes() == expected.theta.tobytes()


def test_activations_and_losses_of_ones_own() -> None:
    bent = gp.Activation("bent", lambda a: a / (1 + a * a), lambda a, o: (1 - a * a) / (1 + a * a) ** 2)
    quartic = gp.Loss("quartic", lambda z, t: ((z - t) ** 4).sum(-1), lambda z, t: 4 * (z - t) ** 3)

    def net() -> gp.Network:
        made = network()
        made.add_node("r", bent, {"x": 0.3, "h": -0.4}, bias=0.1)
        made.set_outputs(["p", "r"])
        return made

    both_ways(lambda: fitted(net(), loss=quartic))


# ------------------------------------------------------------------ what goes one by one


class Own(gp.optim.SGD):
    """Another update than that of its class."""

    def update(self, step: int, rate: float, theta: Any, gradient: Any, *memory: Any) -> tuple[Any, ...]:
        return (theta - 0.01 * np.sign(gradient),)


def test_what_machine_code_does_not_know_goes_one_by_one() -> None:
    in_python = gp.Loss("odd", lambda z, t: np.sort((z - t) ** 2).sum(-1), lambda z, t: 2 * (z - t))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both_ways(lambda: fitted(network(), loss=in_python), walks=False)
    both_ways(lambda: fitted(network(), optimizer=Own()), walks=False)
    both_ways(lambda: fitted(network(), optimizer="rprop", batch_size=None), walks=False)
    both_ways(lambda: fitted(network(), [(X[:20], Y[:20]), (X[20:], Y[20:])]), walks=False)


def test_targets_that_are_missing_are_left_to_be_made_one_by_one() -> None:
    target = Y.copy()
    target[60, 1] = np.nan
    for loss in ("mse", "half_squared"):
        with patch.object(fitting, "walk", one_by_one):
            expected = fitted(network(), X, target, loss=loss)
        assert fitted(network(), X, target, loss=loss).theta.tobytes() == expected.theta.tobytes()


# ------------------------------------------------------------------ what goes wrong


def refused(make: Callable[[], Any]) -> str:
    with pytest.raises(gp.GraphpropError) as error:
        make()
    return str(error.value)


@pytest.mark.parametrize("row", [0, 17, 60, 100])
def test_a_number_that_is_no_number_is_told_in_its_batch_and_theta_is_the_last_good_one(row: int) -> None:
    for wrong in (np.nan, np.inf):
        inputs = X.copy()
        inputs[row, 1] = wrong
        told, thetas = [], []
        for way in (walking.walk, one_by_one):
            net = network()
            with patch.object(fitting, "walk", way):
                told.append(refused(partial(fitted, net, inputs, Y)))
            thetas.append(net.theta.tobytes())
        order = np.random.default_rng((5, 0)).permutation(101)
        assert told[0].startswith(f"epoch 1, batch {int(np.flatnonzero(order == row)[0]) // 8 + 1}: ")
        assert told[0] == told[1]
        assert thetas[0] == thetas[1]


def test_a_loss_that_overflows_is_told_with_its_place_as_one_by_one() -> None:
    def grown() -> gp.Network:
        net = gp.Network()
        net.add_input("x")
        net.add_node("e", "exp", {"x": -0.1})
        return net

    inputs = 0.1 + np.abs(X[:, :1])
    told, thetas = [], []
    for way in (walking.walk, one_by_one):
        net = grown()
        with patch.object(fitting, "walk", way):
            told.append(refused(partial(fitted, net, inputs, inputs, rate=lambda t: 1e-9 if t < 3 else 1e3)))
        thetas.append(net.theta.tobytes())
    assert told[0] == told[1]
    assert told[0].startswith("epoch 1, batch 5: ")
    assert thetas[0] == thetas[1] != grown().theta.tobytes()


def test_a_rate_that_fails_is_told_in_its_step_and_what_was_learned_is_kept() -> None:
    def rate(step: int) -> float:
        if step == 7:
            raise ValueError("no more")
        return 0.1

    thetas = []
    for way in (walking.walk, one_by_one):
        net = network()
        with patch.object(fitting, "walk", way):
            assert refused(partial(fitted, net, rate=rate)) == "the rate of step 7: ValueError: no more"
        thetas.append(net.theta.tobytes())
    assert thetas[0] == thetas[1] != network().theta.tobytes()


def test_what_decay_makes_infinite_where_no_run_reads_it_is_told() -> None:
    told = []
    own = {"optimizer": gp.optim.SGD(1e-300), "decay": 1e305, "scale": dict.fromkeys("hkmpq", 0.0), "epochs": 300}
    for way in (walking.walk, one_by_one):
        net = network()
        with patch.object(fitting, "walk", way):
            told.append(refused(partial(fitted, net, **own)))
    assert told[0] == told[1]
    assert "w('k', 'dead')" in told[0] or "dead" in told[0]
