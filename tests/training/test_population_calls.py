"""A population is a list or a mapping of networks, reads its samples as they do, and says what does not fit."""

from __future__ import annotations

import signal
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.training.population_cases import X, Y, evolved, members, trained_alone

LOSS: dict[str, Any] = {"loss": "half_squared"}
COLUMNS = {name: X[:, i] for i, name in enumerate("xyz")}


# ------------------------------------------------------------------ a list or a mapping


def test_members_are_had_by_number_or_by_key() -> None:
    one, two = evolved(0), evolved(1)
    listed, named = gp.Population([one, two]), gp.Population({"a": one, ("b", 2): two})
    assert listed[0] is one
    assert listed[-1] is listed[np.int64(1)] is two
    assert named["a"] is one
    assert named["b", 2] is two
    assert list(listed) == list(named) == [one, two]
    assert len(listed) == len(named) == 2
    assert listed.keys() == (0, 1)
    assert named.keys() == ("a", ("b", 2))
    assert dict(named) == {"a": one, ("b", 2): two}
    assert named._ipython_key_completions_() == ["a", ("b", 2)]
    with pytest.raises(gp.UnknownNameError, match="unknown member 'c'"):
        named["c"]
    for key in (2, -3, "a", True, None, [0], slice(1)):
        with pytest.raises(gp.GraphpropError, match="numbered from 0 to 1"):
            listed[key]


def test_it_is_told_in_a_line() -> None:
    assert repr(gp.Population([gp.mlp([2, 1], seed=0)])) == "<Population: 1 network, 2 inputs, 3 parameters>"


def test_a_generator_of_networks_is_a_list() -> None:
    assert gp.Population(evolved(seed) for seed in range(3)).keys() == (0, 1, 2)


def test_one_network_may_be_there_twice() -> None:
    net = evolved(0)
    expected = trained_alone(net, X, Y, 3, **LOSS)
    gp.Population([net, net]).fit(COLUMNS, Y, steps=3, **LOSS)
    np.testing.assert_array_equal(net.theta, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.add_node("new", "tanh", {"x": 0.5}),
        lambda net: net.add_edge("z", "p", 2.0),
        lambda net: net.remove_edge("m", "p"),
        lambda net: net.set_outputs("p", "q"),
        lambda net: net.theta.__setitem__(slice(None), 0.25),
        lambda net: net.trainable.__setitem__(slice(None), False),
    ],
)
def test_a_change_of_a_member_counts_from_the_next_call_on(change: Callable[[gp.Network], Any]) -> None:
    nets = members("evolved", 3)
    population = gp.Population(nets)
    population.losses(COLUMNS, Y, **LOSS)
    change(nets[1])
    expected = [trained_alone(net, X, Y, 3, **LOSS) for net in nets]
    population.fit(COLUMNS, Y, steps=3, **LOSS)
    for net, theta in zip(nets, expected, strict=True):
        np.testing.assert_array_equal(net.theta, theta)


def test_an_own_activation_that_reads_another_number_counts_from_the_next_call_on() -> None:
    k = 2.0

    def value(a: float) -> float:
        return k * a

    def derivative(a: float, o: float) -> float:
        return k

    net = gp.Network()
    net.add_input("x")
    net.add_node("y", gp.Activation("scaled", value, derivative), {"x": 1.0})
    population = gp.Population([net])
    assert population.predict([[3.0]])[0] == 6.0
    k = 5.0
    assert population.predict([[3.0]])[0] == 15.0


# ------------------------------------------------------------------ what samples come in


def test_one_sample_gives_one_row() -> None:
    nets = members("mixed", 4)
    population = gp.Population(nets)
    sample = {name: float(column[0]) for name, column in COLUMNS.items()}
    for outputs, net in zip(population.predict(sample), nets, strict=True):
        trace = net.forward(sample)
        np.testing.assert_allclose(outputs, [trace.o[name] for name in net.outputs], rtol=1e-14)
    losses = population.losses(sample, Y[0], **LOSS)
    expected = [net.program.value(net.theta, sample, Y[0], **LOSS) for net in nets]
    np.testing.assert_allclose(losses, expected, rtol=1e-14)


def test_a_data_frame_is_read_by_its_columns() -> None:
    pandas = pytest.importorskip("pandas")
    nets = members("evolved", 3)
    frame, target = pandas.DataFrame(COLUMNS), pandas.DataFrame({"q": Y[:, 1], "p": Y[:, 0]})
    given, expected = gp.Population(nets).losses(frame, target, **LOSS), gp.Population(nets).losses(COLUMNS, Y, **LOSS)
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("kind", [np.float32, ">f8", "list", "transposed", "read-only"])
def test_arrays_of_any_kind_are_read(kind: Any) -> None:
    population = gp.Population(members("evolved", 3)[::-1])
    order = ["xyz".index(name) for name in population.inputs]
    rows = X[:, order].astype(np.float32).astype(float)
    expected = population.losses(rows, Y, **LOSS)
    given: Any = rows.astype(kind) if kind in (np.float32, ">f8") else rows
    if kind == "list":
        given = rows.tolist()
    elif kind == "transposed":
        given = np.asfortranarray(rows)
    elif kind == "read-only":
        given = rows.copy()
        given.flags.writeable = False
    np.testing.assert_array_equal(population.losses(given, Y, **LOSS), expected)


def test_inputs_are_shared_by_name_in_the_order_in_which_they_come() -> None:
    nets = []
    for names in (("b", "a"), ("c",), ("a", "c", "b")):
        net = gp.Network()
        for name in names:
            net.add_input(name, size=2 if name == "c" else None)
        net.add_node("o", "identity", {name: [1.0, 10.0] if name == "c" else 1.0 for name in names})
        nets.append(net)
    population = gp.Population(nets)
    assert population.inputs == ("b", "a", "c")
    found = population.predict([[1.0, 2.0, 3.0, 4.0]])
    assert [float(outputs[0, 0]) for outputs in found] == [3.0, 43.0, 46.0]


def test_inputs_are_not_copied_for_each_member() -> None:
    nets = [gp.mlp([300, 2, 1], "tanh", "identity", seed=seed) for seed in range(60)]
    rows, target = np.random.default_rng(0).standard_normal((1500, 300)), np.zeros((1500, 1))
    population = gp.Population(nets)
    population.fit(rows[:10], target[:10], steps=1, **LOSS)
    tracemalloc.start()
    try:
        population.fit(rows, target, steps=2, **LOSS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * rows.nbytes


# ------------------------------------------------------------------ optimisers of one's own, and interrupts


@dataclass(frozen=True)
class Normed:
    """Steps of one length, which the gradient of all members together would make shorter."""

    rate: float = 0.1
    name: str = "normed"

    def start(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.zeros(1),)

    def update(self, step: int, rate: float, theta: np.ndarray, gradient: np.ndarray, count: np.ndarray) -> Any:
        return theta - rate * gradient / (np.linalg.norm(gradient) + 1e-12), count + 1


def test_an_optimizer_of_ones_own_sees_one_member_at_a_time() -> None:
    nets = members("mixed", 4)
    expected = [trained_alone(net, X, Y, 4, optimizer=Normed(), **LOSS) for net in nets]
    gp.Population(nets).fit(COLUMNS, Y, steps=4, optimizer=Normed(), **LOSS)
    for net, theta in zip(nets, expected, strict=True):
        np.testing.assert_array_equal(net.theta, theta)


def test_an_interrupt_ends_the_training_after_the_step_with_everything_usable() -> None:
    class Interrupting(Normed):
        def update(self, step: int, *given: Any) -> Any:
            if step == 3 and not self.heard:
                self.heard.append(step)
                signal.raise_signal(signal.SIGINT)
            return super().update(step, *given)

        heard: list[int] = []  # noqa: RUF012

    nets = members("evolved", 3)
    expected = [trained_alone(net, X, Y, 3, optimizer=Normed(), **LOSS) for net in nets]
    fit = gp.Population(nets).fit(COLUMNS, Y, steps=50, optimizer=Interrupting(), **LOSS)
    assert fit.stopped == ["interrupted"] * 3
    assert [len(losses) for losses in fit.history] == [3, 3, 3]
    for net, theta in zip(nets, expected, strict=True):
        np.testing.assert_array_equal(net.theta, theta)


# ------------------------------------------------------------------ what does not fit


def two() -> gp.Population:
    return gp.Population({"a": evolved(0), "b": evolved(1)})


def broken(change: Callable[[gp.Network], Any]) -> gp.Network:
    net = evolved(2)
    change(net)
    return net


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: gp.Population([]), "at least one network"),
        (lambda: gp.Population({}), "at least one network"),
        (lambda: gp.Population(evolved(0)), "a list or a mapping of networks, not Network"),
        (lambda: gp.Population("ab"), "member 0 is no network but str"),
        (lambda: gp.Population(3), "not int"),
        (lambda: gp.Population([evolved(0), 3]), "member 1 is no network but int"),
        (lambda: gp.Population({"a": evolved(0).program}), "member 'a' is no network but Program"),
        (lambda: gp.Population([evolved(0), gp.Network()]), "member 1: the network has no nodes"),
        (
            lambda: gp.Population([broken(lambda net: net.add_node("lone", "tanh"))]),
            "member 0: node 'lone' has no parents",
        ),
        (lambda: gp.Population([evolved(0), wide_input()]), "member 1: its input 'x' has 2 components, another's 1"),
        (lambda: two().losses(X[:, :2], Y, **LOSS), "the array of inputs has shape"),
        (lambda: two().losses({"x": X[:, 0]}, Y, **LOSS), "input 'y' is missing|input 'z' is missing"),
        (lambda: two().losses(COLUMNS | {"w": X[:, 0]}, Y, **LOSS), "unknown input 'w'"),
        (lambda: two().losses(X, Y[:, :1], **LOSS), "member 'a': loss half_squared: target has shape"),
        (lambda: two().losses(X, Y[:5], **LOSS), "member 'a': .* target"),
        (lambda: two().losses(X, {"p": Y[:, 0]}, **LOSS), "member 'a': .* has no target for 'q'"),
        (lambda: two().losses(X, {"nowhere": Y[:, 0]}, **LOSS), "member 'a': unknown node 'nowhere'"),
        (lambda: two().losses(X, None, **LOSS), "member 'a': .*target= is missing"),
        (lambda: two().losses(X, Y, loss=None), "loss"),
        (lambda: two().losses(X, Y, loss="halved"), "unknown loss 'halved'"),
        (lambda: two().losses(X, abs(Y), loss="cross_entropy"), "member 'a': .* is no distribution"),
        (lambda: two().losses(X, Y, sample_weight=[1.0], **LOSS), "member 'a': sample_weight has shape"),
        (lambda: two().losses(X * np.nan, Y, **LOSS), "inputs have to be finite"),
        (lambda: two().fit(X, Y, steps=0, **LOSS), "steps is a whole number of at least 1"),
        (lambda: two().fit(X, Y, patience=0, **LOSS), "patience is a whole number of at least 1"),
        (lambda: two().fit(X, Y, optimizer="adm", **LOSS), "unknown optimizer 'adm'"),
        (lambda: two().fit(X, Y, optimizer="lbfgs", **LOSS), "one network at a time: gp.fit"),
        (lambda: two().fit(X, Y, clip=0.0, **LOSS), "clip is a number, more than 0"),
        (lambda: two().fit(X, Y, decay=-1.0, **LOSS), "decay is a number"),
        (lambda: two().fit(X, Y, rate="fast", **LOSS), "rate is a number"),
        (lambda: two().fit(X, Y, executor=3, **LOSS), "3 has no submit"),
        (lambda: two().fit(X, Y, executor=Failing(), **LOSS), "executor: RuntimeError: closed"),
    ],
)
def test_what_does_not_fit_is_said(call: Callable[[], Any], told: str) -> None:
    with pytest.raises(gp.GraphpropError, match=told):
        call()


def wide_input() -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("p", "identity", {"x": [1.0, 2.0]})
    return net


class Failing:
    def submit(self, *given: Any) -> Any:
        raise RuntimeError("closed")


def test_targets_of_another_width_are_told_with_the_member_that_they_do_not_fit() -> None:
    nets = {"two": evolved(0), "one": gp.Network()}
    for name in "xyz":
        nets["one"].add_input(name)
    nets["one"].add_node("only", "tanh", {"x": 0.5})
    population = gp.Population(nets)
    assert [outputs.shape for outputs in population.predict(COLUMNS).values()] == [(37, 2), (37, 1)]
    with pytest.raises(gp.GraphpropError, match=r"member 'one': .*outputs were declared"):
        population.losses(COLUMNS, Y, **LOSS)


def test_what_is_refused_leaves_every_theta_as_it_was() -> None:
    nets = members("evolved", 3)
    before = [net.theta.copy() for net in nets]

    class Wrong(Normed):
        def update(self, step: int, rate: float, theta: np.ndarray, *more: Any) -> Any:
            return (theta[:-1], *more[1:]) if step == 3 else super().update(step, rate, theta, *more)

    with pytest.raises(gp.GraphpropError, match="update gives a new theta of shape"):
        gp.Population(nets).fit(COLUMNS, Y, steps=5, optimizer=Wrong(), **LOSS)
    for net, theta in zip(nets, before, strict=True):
        np.testing.assert_array_equal(net.theta, theta)


def test_what_came_of_a_fit_is_a_short_table() -> None:
    population = two()
    fit = population.fit(COLUMNS, Y, steps=4, **LOSS)
    assert repr(fit) == "<fit of 2 networks by adam: 4 steps>"
    head, names, *rows = str(fit).splitlines()
    assert head == "fit of 2 networks by adam: 4 steps"
    assert names.split() == ["rank", "member", "loss", "steps", "stopped"]
    assert sorted(row.split()[1] for row in rows) == ["'a'", "'b'"]
    assert set(fit.losses) == set(fit.history) == {"a", "b"}
    assert fit.losses == population.losses(COLUMNS, Y, **LOSS)
