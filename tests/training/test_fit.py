"""`gp.fit` takes the steps that a loop written by hand takes, to the last bit, whatever its samples come in."""

from __future__ import annotations

import signal
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((70, 3))
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
LABELS = RANDOM.integers(0, 2, 70)
FITTED: dict[str, Any] = {"loss": "half_squared", "epochs": 3, "batch_size": 16, "seed": 5, "progress": False}


def network() -> gp.Network:
    """Irregular: a skip edge, a tied weight, a reducing node, and a frozen edge."""
    net = gp.Network("irregular")
    for name in ("x", "y", "z"):
        net.add_input(name)
    tied = net.parameter("tied", 0.4)
    net.add_node("h", "tanh", {"x": 0.5, "y": tied}, bias=0.1)
    net.add_node("k", "softplus", {"z": tied, "h": -0.3}, bias=-0.2)
    net.add_node("m", "softmax_dot", {"h": [0.3, 0.1], "k": [-0.2, 0.6]})
    net.add_node("p", "identity", {"m": 0.7, "x": 0.2}, bias=0.0)
    net.add_node("q", "identity", {"k": 0.5}, bias=0.3)
    net.add_edge("y", "q", 0.25, trainable=False)
    return net


def by_hand(net: gp.Network, decay: float = 0.0) -> np.ndarray:
    """Three epochs of Adam, written out."""
    program, theta = gp.compile(net), net.theta.copy()
    m, s, step = np.zeros_like(theta), np.zeros_like(theta), 0
    weights = np.isin(np.arange(len(theta)), program.layout.position) & net.trainable
    for epoch in range(3):
        order = np.random.default_rng((5, epoch)).permutation(len(X))
        for first in range(0, len(X), 16):
            rows = order[first : first + 16]
            _, g = program.value_and_grad(theta, X[rows], Y[rows], loss="half_squared")
            g = np.where(net.trainable, g, 0.0)
            step += 1
            m, s = 0.9 * m + (1 - 0.9) * g, 0.999 * s + (1 - 0.999) * (g * g)
            mean, square = m * (1 / (1 - 0.9**step)), s * (1 / (1 - 0.999**step))
            theta = np.where(weights, theta - 1e-3 * decay * theta, theta)
            theta = np.where(net.trainable, theta - 1e-3 * mean / (np.sqrt(square) + 1e-8), theta)
    return theta


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_it_is_the_loop_written_out_to_the_last_bit(decay: float) -> None:
    net = network()
    expected = by_hand(net, decay)
    fit = gp.fit(net, X, Y, decay=decay, **FITTED)
    assert fit.theta.tobytes() == expected.tobytes()
    assert net.theta.tobytes() == expected.tobytes()
    assert (fit.steps, fit.epochs, fit.stopped) == (15, 3, "epochs")


# ------------------------------------------------------------------ what samples come in


def frame() -> tuple[Any, Any]:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"z": X[:, 2], "x": X[:, 0], "y": X[:, 1]}), pandas.DataFrame({"q": Y[:, 1], "p": Y[:, 0]})


def batches() -> Iterator[Any]:
    """Those that the seed gives."""
    for epoch in range(3):
        order = np.random.default_rng((5, epoch)).permutation(len(X))
        for first in range(0, len(X), 16):
            rows = order[first : first + 16]
            yield X[rows], Y[rows]


def each_epoch() -> Callable[[], list[Any]]:
    every = list(batches())
    calls: list[int] = []

    def make() -> list[Any]:
        calls.append(0)
        return every[5 * (len(calls) - 1) : 5 * len(calls)]

    return make


FORMS: dict[str, Callable[[Path], tuple[Any, ...]]] = {
    "lists": lambda _: (X.tolist(), Y.tolist()),
    "by name": lambda _: ({"y": X[:, 1], "z": X[:, 2], "x": X[:, 0]}, {"q": Y[:, 1], "p": Y[:, 0]}),
    "frames": lambda _: frame(),
    "read-only": lambda _: (read_only(X), read_only(Y)),
    "not contiguous": lambda _: (np.asfortranarray(X), np.repeat(Y, 2, axis=1)[:, ::2]),
    "a file in memory": lambda folder: (in_a_file(folder / "X", X), in_a_file(folder / "Y", Y)),
    "batches of a function": lambda _: (each_epoch(),),
}


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def in_a_file(path: Path, array: np.ndarray) -> np.ndarray:
    array.tofile(path)
    return np.memmap(path, dtype=array.dtype, mode="r", shape=array.shape)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_samples_give_the_same_bits_in_whatever_they_come(form: str, tmp_path: Path) -> None:
    net = network()
    expected = by_hand(net)
    fit = gp.fit(net, *FORMS[form](tmp_path), **FITTED)
    assert fit.theta.tobytes() == expected.tobytes()


def test_samples_are_never_copied_as_a_whole() -> None:
    net = gp.mlp([20, 1], "tanh", seed=0)
    inputs, target = np.zeros((50_000, 20)), np.zeros(50_000)
    gp.fit(net, inputs[:64], target[:64], loss="half_squared", epochs=1, progress=False)  # what is made once
    tracemalloc.start()
    gp.fit(net, inputs, target, loss="half_squared", epochs=1, batch_size=1000, progress=False)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < inputs.nbytes / 4


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_program_gives_a_theta_in_its_precision_and_keeps_the_one_it_got(dtype: Any) -> None:
    net = network()
    start = net.theta.astype(dtype)
    kept = start.copy()
    fit = gp.fit(gp.compile(net), X, Y, theta=start, **FITTED)
    assert fit.theta.dtype == dtype
    assert start.tobytes() == kept.tobytes()
    assert fit.history["loss"][-1] < fit.history["loss"][0]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_bits_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    before = gp.get_threads()
    gp.set_threads(threads)
    try:
        assert gp.fit(network(), X, Y, **FITTED).theta.tobytes() == by_hand(network()).tobytes()
    finally:
        gp.set_threads(before)


def test_weights_of_samples_count_as_samples_that_come_more_than_once() -> None:
    heads = {"loss": "half_squared", "epochs": 4, "batch_size": 70, "optimizer": "sgd", "progress": False}
    weight = np.ones(70)
    weight[:10] = 2
    once, twice = network(), network()
    gp.fit(once, X, Y, sample_weight=weight, **heads)
    gp.fit(twice, np.vstack([X, X[:10]]), np.vstack([Y, Y[:10]]), **(heads | {"batch_size": 80}))
    np.testing.assert_allclose(once.theta, twice.theta, rtol=1e-12)


# ------------------------------------------------------------------ what moves, and how far


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "adam", "adamw", "lion", "rprop"])
def test_what_is_frozen_never_moves_whatever_the_optimiser_and_the_decay(optimizer: str) -> None:
    net = network()
    before = net.theta.copy()
    own = FITTED | {"optimizer": optimizer, "batch_size": None}
    gp.fit(net, X, Y, decay=0.5, scale={"h": 0, ("m", "p"): 0.0, "tied": 0}, **own)
    held = ~net.trainable
    held[[0, 1, 2]] = True  # tied comes first, then the weight and the bias of h
    assert net.weight("m", "p") == 0.7
    assert (net.theta[held] == before[held]).all()
    assert (net.theta != before).sum() == len(before) - held.sum() - 1


def test_scale_is_how_far_a_parameter_goes_of_the_way_it_would() -> None:
    free, slow = network(), network()
    start = free.theta.copy()
    one = FITTED | {"epochs": 1, "batch_size": 70, "optimizer": "sgd"}
    gp.fit(free, X, Y, **one)
    gp.fit(slow, X, Y, scale={("h", "k"): 0.25}, **one)
    ratio = (slow.theta - start)[free.trainable] / (free.theta - start)[free.trainable]
    assert sorted(ratio.round(9).tolist()) == [0.25] + [1.0] * (len(ratio) - 1)


def test_decay_takes_off_weights_and_leaves_biases() -> None:
    net = network()
    nothing = gp.optim.SGD(1e-300)  # no step of its own
    biases = {v: net.bias(v) for v in ("h", "k", "p", "q")}
    weight = net.weight("x", "h")
    gp.fit(net, X, Y, optimizer=nothing, decay=1e299, **(FITTED | {"epochs": 1, "batch_size": 70}))
    assert {v: net.bias(v) for v in biases} == pytest.approx(biases, abs=1e-290)
    assert net.weight("x", "h") == pytest.approx(0.9 * weight)


def test_clip_makes_a_long_gradient_short_and_leaves_a_short_one() -> None:
    one = FITTED | {"epochs": 1, "batch_size": 70, "optimizer": gp.optim.SGD(1.0)}
    start = network().theta
    steps = {}
    for clip in (None, 1e-3, 1e3):
        net = network()
        gp.fit(net, X, 1e3 * Y if clip == 1e-3 else Y, clip=clip, **one)
        steps[clip] = net.theta - start
    assert np.linalg.norm(steps[1e-3]) == pytest.approx(1e-3)
    assert steps[1e3].tobytes() == steps[None].tobytes()


def test_a_rate_is_a_number_or_a_function_of_the_step_counted_from_0() -> None:
    asked: list[int] = []

    def rate(step: int) -> float:
        asked.append(step)
        return 0.0

    net = network()
    before = net.theta.copy()
    fit = gp.fit(net, X, Y, rate=rate, **FITTED)
    assert sorted(set(asked)) == list(range(16))  # the last for the row of the last epoch
    assert net.theta.tobytes() == before.tobytes()
    assert not fit.history["rate"].any()


def test_plateau_reduces_the_rate_when_nothing_gets_better() -> None:
    net = network()
    changing = gp.optim.plateau(1e-300, factor=0.5, patience=2)
    fit = gp.fit(net, X, Y, rate=changing, **(FITTED | {"epochs": 6, "optimizer": "sgd", "batch_size": 70}))
    assert fit.history["rate"].tolist() == [1e-300 * f for f in (1, 1, 1, 0.5, 0.5, 0.25)]


# ------------------------------------------------------------------ looking, and stopping


def test_the_best_of_a_validation_comes_out_and_patience_ends_it() -> None:
    net = network()
    seen: list[np.ndarray] = []
    fit = gp.fit(
        net,
        X[:20],
        Y[:20],
        validation=(X[20:], Y[20:]),
        patience=3,
        rate=0.5,
        callback=lambda row, theta: seen.append(theta.copy()),
        **(FITTED | {"epochs": 200}),
    )
    losses = fit.history["validation_loss"]
    assert fit.stopped == "patience"
    assert fit.best_epoch == int(np.argmin(losses)) + 1 == fit.epochs - 3
    assert fit.theta.tobytes() == seen[fit.best_epoch - 1].tobytes() == net.theta.tobytes()
    value, _ = gp.compile(net).value_and_grad(net.theta, X[20:], Y[20:], loss="half_squared")
    assert value == pytest.approx(losses.min(), rel=1e-12)


def test_without_restore_the_last_parameters_come_out() -> None:
    last: list[np.ndarray] = []
    net = network()
    own = FITTED | {"epochs": 20, "rate": 0.5}
    fit = gp.fit(net, X, Y, validation=0.3, restore=False, callback=lambda row, theta: last.append(theta.copy()), **own)
    assert net.theta.tobytes() == last[-1].tobytes()
    assert fit.best_epoch < fit.epochs


def test_a_fraction_is_kept_apart_and_not_trained_on() -> None:
    net = network()
    whole, spoilt = gp.fit(net, X, Y, validation=0.2, restore=False, **FITTED), network()
    apart = np.sort(np.random.default_rng(5).permutation(70)[:14])
    wrong = Y.copy()
    wrong[apart] = 9.0
    other = gp.fit(spoilt, X, wrong, validation=0.2, restore=False, **FITTED)
    assert other.theta.tobytes() == whole.theta.tobytes()
    assert (other.history["validation_loss"] != whole.history["validation_loss"]).all()


def test_metrics_are_computed_by_name_and_by_functions_of_a_users_own() -> None:
    net = gp.mlp([3, 4, 2], "tanh", seed=0)

    def hits(outputs: np.ndarray, target: np.ndarray) -> float:
        assert target.dtype.kind == "i"
        return float(np.sum(outputs.argmax(1) == target))

    own = FITTED | {"loss": "softmax_cross_entropy"}
    fit = gp.fit(net, X, LABELS, metrics=["accuracy", hits], **own)
    right = np.mean(gp.compile(net).predict(net.theta, X).argmax(1) == LABELS)
    assert fit.history["accuracy"][-1] == right == fit.history["hits"][-1] / 70


def test_metrics_of_values_are_those_of_the_textbook() -> None:
    net = network()
    fit = gp.fit(net, X, Y, metrics=["mse", "mae", "r2"], **FITTED)
    error = gp.compile(net).predict(net.theta, X) - Y
    assert fit.history["mse"][-1] == pytest.approx((error**2).mean())
    assert fit.history["mae"][-1] == pytest.approx(np.abs(error).mean())
    r2 = 1 - (error**2).sum(0) / ((Y - Y.mean(0)) ** 2).sum(0)
    assert fit.history["r2"][-1] == pytest.approx(r2.mean())


def test_a_callback_that_gives_true_ends_it() -> None:
    fit = gp.fit(network(), X, Y, callback=lambda row, theta: row["epoch"] == 2, **FITTED)
    assert (fit.stopped, fit.epochs) == ("callback", 2)


@pytest.mark.parametrize("at", [0, 3, 7, 14])
def test_ctrl_c_ends_after_the_present_batch_with_everything_usable(at: int) -> None:
    given = list(batches())[:15]

    def interrupted() -> Iterator[Any]:
        for number, batch in enumerate(given):
            if number == at:
                signal.raise_signal(signal.SIGINT)
            yield batch

    net, other = network(), network()
    before = signal.getsignal(signal.SIGINT)
    fit = gp.fit(net, interrupted(), **(FITTED | {"epochs": 1}))
    assert (fit.stopped, fit.steps) == ("interrupted", at + 1)
    assert signal.getsignal(signal.SIGINT) is before
    gp.fit(other, given[: at + 1], **(FITTED | {"epochs": 1}))
    assert fit.theta.tobytes() == net.theta.tobytes() == other.theta.tobytes()
    str(fit)


def test_ctrl_c_twice_raises_and_the_network_is_usable() -> None:
    def interrupted() -> Iterator[Any]:
        yield X, Y
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        yield X, Y

    net = network()
    with pytest.raises(KeyboardInterrupt):
        gp.fit(net, interrupted(), **(FITTED | {"epochs": 1}))
    assert np.isfinite(net.theta).all()


def test_a_loss_that_is_no_longer_finite_is_told_with_its_place_and_theta_is_the_last_good_one() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("e", "exp", {"x": 1.0})
    given = [([[1.0]], [[1e3]]), ([[1.0]], [[1e3]]), ([[1.0]], [[0.0]])]
    start = net.theta.copy()
    with pytest.raises(gp.NumberError) as refused:
        gp.fit(net, given, loss="half_squared", epochs=1, optimizer=gp.optim.SGD(1.0), progress=False)
    assert str(refused.value).startswith("epoch 1, batch 2: ")
    assert "'e'" in str(refused.value) or "e of exp" in str(refused.value)
    assert net.theta.tobytes() == start.tobytes()


# ------------------------------------------------------------------ optimisers of others


def test_lbfgs_is_that_of_scipy_to_the_last_bit_and_leaves_what_is_frozen() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    net = network()
    program, start = gp.compile(net), net.theta.copy()

    def ask(x: np.ndarray) -> Any:
        theta = start.copy()
        theta[net.trainable] = x
        value, gradient = program.value_and_grad(theta, X, Y, loss="half_squared")
        return value, gradient[net.trainable]

    expected = optimize.minimize(ask, start[net.trainable], jac=True, method="L-BFGS-B", options={"maxiter": 20})
    fit = gp.fit(net, X, Y, optimizer="lbfgs", **(FITTED | {"epochs": 20, "batch_size": None}))
    assert fit.theta[net.trainable].tobytes() == expected.x.tobytes()
    assert (fit.theta[~net.trainable] == start[~net.trainable]).all()
    assert (fit.epochs, fit.stopped) == (20, "epochs")
    assert fit.history["loss"][-1] == expected.fun


def test_lbfgs_ends_where_nothing_is_to_be_gained_and_where_it_is_asked_to() -> None:
    pytest.importorskip("scipy")
    line = gp.Network()
    line.add_input("x")
    line.add_node("y", "identity", {"x": 1.0}, bias=0.0)
    own = {"loss": "half_squared", "optimizer": "lbfgs", "progress": False}
    fit = gp.fit(line, X[:, :1], 3 * X[:, 0] - 1, epochs=100, **own)
    assert fit.stopped == "converged"
    np.testing.assert_allclose(line.theta, [3, -1], rtol=1e-4)
    fit = gp.fit(network(), X, Y, callback=lambda row, theta: row["epoch"] == 3, epochs=100, **own)
    assert (fit.stopped, fit.epochs) == ("callback", 3)


def test_an_optimizer_of_a_users_own_is_an_object_with_four_members() -> None:
    class Signs:
        name, rate = "signs", 0.1

        def start(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
            return ()

        def update(self, step: int, rate: float, theta: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
            return (theta - rate / step * np.sign(gradient),)

    net = network()
    before = net.theta.copy()
    fit = gp.fit(net, X, Y, optimizer=Signs(), **(FITTED | {"batch_size": 70, "epochs": 2}))
    assert fit.optimizer == "signs"
    moved = np.abs(net.theta - before)[net.trainable].round(9)
    assert set(moved.tolist()) <= {0.05, 0.15}


def test_a_transformation_of_optax_is_taken() -> None:
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")
    with jax.enable_x64(True):
        ours, theirs = network(), network()
        gp.fit(ours, X, Y, **FITTED)
        fit = gp.fit(theirs, X, Y, optimizer=optax.adam(1e-3), **FITTED)
    assert fit.optimizer == "optax"
    np.testing.assert_allclose(theirs.theta, ours.theta, rtol=1e-10)


# ------------------------------------------------------------------ what it shows


def test_it_prints_as_a_table_of_a_few_lines_and_shows_a_curve() -> None:
    fit = gp.fit(network(), X, Y, validation=0.2, **(FITTED | {"epochs": 50}))
    lines = str(fit).splitlines()
    assert 7 <= len(lines) <= 9
    assert lines[0].startswith("fit by adam: 50 epochs, 200 steps (all of them); the best loss is that of epoch")
    assert repr(fit) == f"<{lines[0]}>"
    assert lines[1].split() == ["epoch", "loss", "rate", "validation_loss"]
    assert {len(line) for line in lines[1:]} == {len(lines[1])}
    assert fit._repr_html_().count("<polyline") == 2


def test_a_plot_has_a_line_for_each_loss_and_one_at_the_best_epoch() -> None:
    pytest.importorskip("matplotlib")
    fit = gp.fit(network(), X, Y, validation=0.2, **FITTED)
    [axes] = fit.plot().axes
    losses, validation, best = axes.get_lines()
    assert losses.get_ydata().tolist() == fit.history["loss"].tolist()
    assert validation.get_ydata().tolist() == fit.history["validation_loss"].tolist()
    assert best.get_xdata()[0] == fit.best_epoch


def test_the_history_is_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    fit = gp.fit(network(), X, Y, **FITTED)
    table = pandas.DataFrame(fit.history)
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["loss"].iloc[-1] == fit.history["loss"][-1]


def test_nothing_is_written_without_progress_and_a_bar_if_it_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    gp.fit(network(), X, Y, **FITTED)
    assert capfd.readouterr() == ("", "")
    gp.fit(network(), X, Y, **(FITTED | {"progress": True, "epochs": 1}))
    assert capfd.readouterr().out == ""


# ------------------------------------------------------------------ what is refused

ALL = FITTED | {"batch_size": None}
TWICE: Any = iter([(X, Y)])
REFUSED: list[tuple[Callable[[gp.Network], Any], str]] = [
    (lambda net: gp.fit(3, X, Y, loss="half_squared"), "a network or a program is fitted, not int"),  # type: ignore[arg-type]
    (lambda net: gp.fit(net, X, Y, loss="half_squard"), "did you mean 'half_squared'?"),
    (lambda net: gp.fit(net, X, Y[:3], **FITTED), "the numbers of samples differ: X has 70, Y has 3"),
    (lambda net: gp.fit(net, X[:0], Y[:0], **FITTED), "X is empty; at least one sample is needed"),
    (lambda net: gp.fit(net, X, **FITTED), "batch 0: (X, Y) or (X, Y, sample_weight) is needed, not ndarray"),
    (lambda net: gp.fit(net, TWICE, **FITTED), "X can be gone through once, and there are 3 epochs"),
    (lambda net: gp.fit(net, [], **FITTED), "epoch 1: X gave no batch"),
    (lambda net: gp.fit(net, X, Y, **(FITTED | {"epochs": 0})), "epochs is a whole number of at least 1, not 0"),
    (lambda net: gp.fit(net, X, Y, **(FITTED | {"epochs": None})), "epochs is a whole number of at least 1, not None"),
    (lambda net: gp.fit(net, X, Y, theta=net.theta, **FITTED), "theta= belongs to a program"),
    (lambda net: gp.fit(gp.compile(net), X, Y, **FITTED), "theta= says where it starts"),
    (lambda net: gp.fit(gp.compile(net), X, Y, theta=[1.0], **FITTED), "theta has shape (1,); the program has"),
    (lambda net: gp.fit(net, X, Y, optimizer="rprop", **FITTED), "optimizer 'rprop' needs all samples in one batch"),
    (lambda net: gp.fit(net, X, Y, optimizer="lbfgs", decay=0.1, **ALL), "'lbfgs' chooses its own steps: there is no"),
    (lambda net: gp.fit(net, X, Y, optimizer="lbfgs", rate=0.1, **ALL), "'lbfgs' finds the length of its steps"),
    (lambda net: gp.fit(net, X, Y, validation=1.5, **FITTED), "a fraction between 0 and 1, not 1.5"),
    (lambda net: gp.fit(net, X, Y, metrics="acuracy", **FITTED), "did you mean 'accuracy'?"),
    (lambda net: gp.fit(net, X, Y, metrics="accuracy", **FITTED), "needs a loss that reads classes; half_squared"),
    (lambda net: gp.fit(net, X, Y, scale={"hh": 0}, **FITTED), "scale: unknown parameter, node or edge (u, v) 'hh'"),
    (lambda net: gp.fit(net, X, Y, scale={"h": -1}, **FITTED), "scale['h'] is a number, at least 0 and finite, not -1"),
    (lambda net: gp.fit(net, X, Y, clip=0, **FITTED), "clip is a number, more than 0 and finite, not 0"),
    (lambda net: gp.fit(net, X, Y, rate=lambda step: -1.0, **FITTED), "the rate of step 0 is -1.0"),
    (lambda net: gp.fit(net, X, Y, **(FITTED | {"seed": -1})), "a seed is a whole number of at least 0, not -1"),
]


@pytest.mark.parametrize(("call", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_cannot_be_is_refused_and_the_network_stays_as_it_is(call: Callable[[gp.Network], Any], told: str) -> None:
    net = network()
    before = net.theta.copy()
    with pytest.raises(gp.GraphpropError) as refused:
        call(net)
    assert told in str(refused.value)
    assert net.theta.tobytes() == before.tobytes()
