"""A member of a population gets what it gets by itself, to the last bit, whoever else is there and whoever computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.training.population_cases import KINDS, LABELS, X, Y, evolved, members, of_classes, trained_alone

LOSS: dict[str, Any] = {"loss": "half_squared"}


def population(nets: list[gp.Network]) -> gp.Population:
    """With the columns of its inputs in the order of X, whatever order its members have."""
    first = gp.Network()
    for name in ("x", "y", "z"):
        first.add_input(name)
    first.add_node("p", "identity", {"x": 0.1})
    first.add_node("q", "identity", {"x": 0.1})
    return gp.Population([first, *nets])


def thetas(nets: list[gp.Network]) -> list[np.ndarray]:
    return [net.theta.copy() for net in nets]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


# ------------------------------------------------------------------ as by itself


@pytest.mark.parametrize("kind", KINDS)
def test_each_member_is_trained_as_gp_fit_trains_it_to_the_last_bit(kind: str) -> None:
    nets = members(kind)
    expected = [trained_alone(net, X, Y, 6, **LOSS) for net in nets]
    fit = population(nets).fit(X, Y, steps=6, **LOSS)
    assert same(expected, thetas(nets))
    assert fit.stopped == ["steps"] * 6


@pytest.mark.parametrize(
    "asked",
    [
        {"optimizer": "sgd", "rate": 0.1},
        {"optimizer": gp.optim.SGD(0.05, momentum=0.9, nesterov=True)},
        {"optimizer": "rmsprop"},
        {"optimizer": "adagrad"},
        {"optimizer": "adamw", "rate": 0.01},
        {"optimizer": "lion"},
        {"optimizer": "rprop"},
        {"rate": gp.optim.cosine(0.1, steps=8, warmup=2)},
        {"rate": gp.optim.plateau(1.0, patience=1, factor=0.5), "optimizer": "sgd"},
        {"rate": lambda step: 0.1 / (1 + step)},
        {"clip": 0.05},
        {"decay": 0.1, "rate": 0.05},
        {"patience": 1, "optimizer": "sgd", "rate": 2.0},
        {"sample_weight": np.linspace(0.0, 2.0, len(X))},
    ],
    ids=", ".join,
)
def test_whatever_is_asked_holds_for_each_member_by_itself(asked: dict[str, Any]) -> None:
    nets = members("mixed")
    expected = [trained_alone(net, X, Y, 8, **LOSS, **asked) for net in nets]
    population(nets).fit(X, Y, steps=8, **LOSS, **asked)
    assert same(expected, thetas(nets))


@pytest.mark.parametrize("samples", [1, 2, 7, 64, 200, 5000])
def test_any_number_of_samples_is_cut_as_for_the_member_alone(samples: int) -> None:
    random = np.random.default_rng(samples)
    inputs, target = random.standard_normal((samples, 3)), random.standard_normal((samples, 2))
    nets = [evolved(seed, hidden=3 + 40 * (seed % 2)) for seed in range(4)]
    expected = [trained_alone(net, inputs, target, 3, **LOSS) for net in nets]
    population(nets).fit(inputs, target, steps=3, **LOSS)
    assert same(expected, thetas(nets))


@pytest.mark.parametrize("loss", ["half_squared", "mse", "mae", "huber"])
@pytest.mark.parametrize("kind", ["evolved", "two heads", "mixed"])
def test_losses_are_those_that_the_programs_of_the_members_give(kind: str, loss: str) -> None:
    nets = members(kind)
    crowd = population(nets)
    found = crowd.losses(X, Y, loss=loss)
    for key, net in enumerate(crowd):
        alone = net.program.value(net.theta, {name: X[:, "xyz".index(name)] for name in net.inputs}, Y, loss=loss)
        assert found[key] == pytest.approx(alone, rel=1e-14)


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
def test_class_labels_are_read_for_members_that_give_probabilities(loss: str) -> None:
    nets = [of_classes(seed, "softmax" if loss == "cross_entropy" else "log_softmax") for seed in range(4)]
    expected = [net.program.value(net.theta, X, LABELS, loss=loss) for net in nets]
    np.testing.assert_allclose(gp.Population(nets).losses(X, LABELS, loss=loss), expected, rtol=1e-14)
    alone = [trained_alone(net, X, LABELS, 4, loss=loss) for net in nets]
    gp.Population(nets).fit(X, LABELS, loss=loss, steps=4)
    assert same(alone, thetas(nets))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 37])
def test_outputs_are_those_that_the_programs_of_the_members_give(kind: str, samples: int) -> None:
    nets = members(kind)
    found = population(nets).predict(X[:samples])
    for outputs, net in zip(found[1:], nets, strict=True):
        columns = np.ascontiguousarray(X[:samples, ["xyz".index(name) for name in net.inputs]])
        np.testing.assert_array_equal(outputs, net.program.predict(net.theta, columns))


def test_a_loss_for_each_head_and_targets_by_name_are_those_of_each_member() -> None:
    nets = members("two heads")
    loss = {"p": "mse", "q": ("mae", 0.5)}
    target = {"q": Y[:, 1], "p": Y[:, 0]}
    inputs = {name: X[:, i] for i, name in enumerate("xyz")}
    expected = [net.program.value(net.theta, inputs, target, loss=loss) for net in nets]
    np.testing.assert_allclose(gp.Population(nets).losses(inputs, target, loss=loss), expected, rtol=1e-14)
    expected = [net.program.value(net.theta, inputs, {"q": Y[:, 1]}, loss="mse") for net in nets]
    np.testing.assert_allclose(gp.Population(nets).losses(inputs, {"q": Y[:, 1]}, loss="mse"), expected, rtol=1e-14)


def test_members_are_trained_by_a_loss_for_each_head() -> None:
    nets, steps = members("two heads"), 5
    loss, target = {"p": "mse", "q": ("mae", 0.5)}, {"q": Y[:, 1], "p": Y[:, 0]}
    inputs = {name: X[:, i] for i, name in enumerate("xyz")}
    expected = []
    for net in nets:
        theta = net.theta.copy()
        for _ in range(steps):
            theta = theta - 0.1 * net.program.value_and_grad(theta, inputs, target, loss=loss)[1] * net.trainable
        expected.append(theta)
    gp.Population(nets).fit(inputs, target, loss=loss, steps=steps, optimizer="sgd", rate=0.1)
    assert same(expected, thetas(nets))


def test_missing_targets_count_for_nothing() -> None:
    nets, target = members("evolved"), Y.copy()
    target[::3, 0] = np.nan
    expected = [trained_alone(net, X, target, 3, loss="mse") for net in nets]
    population(nets).fit(X, target, loss="mse", steps=3)
    assert same(expected, thetas(nets))


# ------------------------------------------------------------------ whoever else is there


def test_a_member_gets_the_same_bits_in_any_company_and_order() -> None:
    nets = [evolved(seed, hidden=2 + seed % 9) for seed in range(40)]
    start = thetas(nets)
    population(nets).fit(X, Y, steps=5, **LOSS)
    expected = thetas(nets)
    for chosen in (list(range(40))[::-1], [3], [31, 2, 17, 8]):
        for net, theta in zip(nets, start, strict=True):
            net.theta = theta
        population([nets[i] for i in chosen]).fit(X, Y, steps=5, **LOSS)
        assert same([expected[i] for i in chosen], [nets[i].theta for i in chosen])


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_bits_do_not_depend_on_the_number_of_threads(count: int) -> None:
    nets, again = (members("mixed", 40) for _ in range(2))
    population(nets).fit(X, Y, steps=3, **LOSS)
    with gp.threads(count):
        population(again).fit(X, Y, steps=3, **LOSS)
    assert same(thetas(nets), thetas(again))


class AtOnce:
    """No more of an executor than the one method that it has to have."""

    def submit(self, work: Callable[..., Any], *given: Any) -> Future[Any]:
        found: Future[Any] = Future()
        found.set_result(work(*given))
        return found


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor, AtOnce])
def test_the_bits_do_not_depend_on_an_executor(kind: Any) -> None:
    nets, again = ([evolved(seed, hidden=3 + seed) for seed in range(7)] for _ in range(2))
    fit = population(nets).fit(X, Y, steps=3, clip=0.1, **LOSS)
    if kind is AtOnce:
        other = population(again).fit(X, Y, steps=3, clip=0.1, executor=AtOnce(), **LOSS)
    else:
        with kind(2) as executor:
            other = population(again).fit(X, Y, steps=3, clip=0.1, executor=executor, **LOSS)
    assert same(thetas(nets), thetas(again))
    assert same(fit.history, other.history)
    assert fit.losses == other.losses


def test_workers_may_have_done_with_their_members_at_different_steps() -> None:
    nets, again = (members("evolved", 4) for _ in range(2))
    asked: dict[str, Any] = {"steps": 30, "optimizer": "sgd", "rate": 1.5, "patience": 1} | LOSS
    fit = gp.Population(nets).fit(dict(zip("xyz", X.T, strict=True)), Y, **asked)
    with ThreadPoolExecutor(4) as executor:
        other = gp.Population(again).fit(dict(zip("xyz", X.T, strict=True)), Y, executor=executor, **asked)
    assert len(set(map(len, fit.history))) > 1
    assert same(fit.history, other.history)
    assert fit.stopped == other.stopped


def test_an_executor_tells_which_member_overflowed() -> None:
    nets = [evolved(0), overflowing(), evolved(1), evolved(2)]
    with ThreadPoolExecutor(3) as executor, pytest.warns(RuntimeWarning, match="member 2"):
        fit = population(nets).fit(X, Y, steps=30, optimizer="sgd", rate=0.05, executor=executor, **LOSS)
    assert list(fit.errors) == [2]
    assert [why == "failed" for why in fit.stopped] == [False, False, True, False, False]


# ------------------------------------------------------------------ overflow


def overflowing(weight: float = 3.0) -> gp.Network:
    """Its loss falls off a cliff after a few steps."""
    net = gp.Network()
    for name in ("x", "y", "z"):
        net.add_input(name)
    net.add_node("e", "exp", {"x": weight, "y": 1.0})
    net.add_node("p", "exp", {"e": 1.0})
    net.add_node("q", "identity", {"z": 1.0})
    return net


def test_a_member_that_overflows_stops_with_its_last_good_theta_and_the_others_go_on() -> None:
    nets = [*members("evolved", 20), overflowing(0.2), *members("evolved", 3)]
    expected = [trained_alone(net, X, Y, 12, optimizer="sgd", rate=0.2, **LOSS) for net in nets if len(net) != 6]
    by_itself = nets[20].copy()
    with pytest.raises(gp.NumberError):
        gp.fit(by_itself, X, Y, batch_size=len(X), epochs=12, optimizer="sgd", rate=0.2, progress=False, **LOSS)
    with pytest.warns(RuntimeWarning, match=r"fit: 1 of 25 members failed: member 21: .*'e'|'p'"):
        fit = population(nets).fit(X, Y, steps=12, optimizer="sgd", rate=0.2, **LOSS)
    assert same(expected, [net.theta for net in nets if len(net) != 6])
    np.testing.assert_array_equal(nets[20].theta, by_itself.theta)
    assert list(fit.errors) == [21]
    assert fit.stopped[21] == "failed"
    assert 0 < len(fit.history[21]) < 12
    assert np.isfinite(fit.losses).all()
    assert "1 failed" in repr(fit)
    assert "member 21" in str(fit)


def test_a_member_that_cannot_start_stays_as_it_is() -> None:
    nets = [evolved(0), overflowing(1e6), evolved(1)]
    start, expected = nets[1].theta.copy(), trained_alone(nets[2], X, Y, 4, **LOSS)
    with pytest.warns(RuntimeWarning, match="member 'bad'"):
        fit = gp.Population(dict(zip(("one", "bad", "two"), nets, strict=True))).fit(
            {name: X[:, i] for i, name in enumerate("xyz")}, Y, steps=4, **LOSS
        )
    np.testing.assert_array_equal(nets[1].theta, start)
    np.testing.assert_array_equal(nets[2].theta, expected)
    assert fit.stopped == {"one": "steps", "bad": "failed", "two": "steps"}
    assert np.isnan(fit.losses["bad"])
    assert "bad" in fit.errors


def test_a_population_that_overflows_altogether_stops() -> None:
    with pytest.warns(RuntimeWarning, match="4 of 4"):
        fit = gp.Population([overflowing(1e6) for _ in range(4)]).fit(X, Y, steps=4, **LOSS)
    assert fit.stopped == ["failed"] * 4
    assert "rank" in str(fit)


def test_a_theta_that_overflows_in_the_last_step_is_not_written() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 1.0})
    start = net.theta.copy()
    with pytest.warns(RuntimeWarning, match="theta overflows"):
        gp.Population([net]).fit([[1e200]], [[-1e200]], steps=1, optimizer="sgd", rate=1e300, loss="mae")
    np.testing.assert_array_equal(net.theta, start)


def test_losses_are_infinite_and_outputs_nan_where_numbers_overflow() -> None:
    nets = {"good": evolved(0), "bad": overflowing(1e6)}
    inputs = {name: X[:, i] for i, name in enumerate("xyz")}
    with pytest.warns(RuntimeWarning, match=r"losses: 1 of 2 members failed: member 'bad': .*'e'"):
        losses = gp.Population(nets).losses(inputs, Y, **LOSS)
    assert losses["bad"] == np.inf
    assert losses["good"] == nets["good"].program.value(nets["good"].theta, inputs, Y, **LOSS)
    with pytest.warns(RuntimeWarning, match="predict: 1 of 2"):
        outputs = gp.Population(nets).predict(inputs)
    assert np.isnan(outputs["bad"]).all()
    assert outputs["bad"].shape == (37, 2)
    assert np.isfinite(outputs["good"]).all()


def test_a_loss_is_finite_though_its_gradient_is_not() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "identity", {"x": 0.0})
    net.add_node("y", "identity", {"h": 1e200})
    with pytest.raises(gp.NumberError):
        net.program.value_and_grad(net.theta, [[1e200]], [[1.0]], loss="half_squared")
    assert gp.Population([net]).losses([[1e200]], [[1.0]], loss="half_squared") == [0.5]


def test_a_member_whose_outputs_become_no_distribution_stops_alone() -> None:
    """The others go on; had it been none from the start, that would have been a mistake for all."""
    net = gp.Network()
    for name in ("x", "y", "z"):
        net.add_input(name)
    net.add_node("s", "softmax", {"x": [0.1, 0.2]})
    net.add_node("p", "identity", {"s": [[1.0, 0.0], [0.0, 1.0]]}, size=2)
    nets = [of_classes(0), net, of_classes(1)]
    expected = [trained_alone(nets[i], X, LABELS, 4, loss="cross_entropy") for i in (0, 2)]
    with pytest.warns(RuntimeWarning, match="member 1: .* is no distribution"):
        fit = gp.Population(nets).fit(X, LABELS, loss="cross_entropy", steps=4)
    assert fit.stopped == ["steps", "failed", "steps"]
    assert same(expected, [nets[0].theta, nets[2].theta])
    net.theta[-4:] = 2.0
    with pytest.raises(gp.GraphpropError, match=r"member 1: .* is no distribution"):
        gp.Population(nets).fit(X, LABELS, loss="cross_entropy", steps=4)
