"""`gp.check`: healthy networks pass, and every planted fault is found and named with its entry."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphprop as gp
from graphprop.checks import ways
from graphprop.program import Program
from tests.checks.check_cases import (
    X,
    row,
    small,
)
from tests.random_graphs import graphs, objectives

# ------------------------------------------------------------------ healthy networks


def test_the_engines_time_is_that_of_a_call_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still but while the engine runs."""
    right, calls, now = Program.backward, [], [0.0]

    def slow_at_first(self: Program, *args: Any, **objective: Any) -> gp.Gradients:
        calls.append(1)
        now[0] += 0.5 if len(calls) == 1 else 0.125
        return right(self, *args, **objective)

    monkeypatch.setattr(ways, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(Program, "backward", slow_at_first)
    report = gp.check(small(), X, "y")
    assert report.ok, str(report)
    assert len(calls) == 2
    assert row(report, "engine, backward").seconds == 0.125


def test_every_way_of_a_small_network_agrees() -> None:
    report = gp.check(small(), X, "y")
    assert report.ok, str(report)
    assert bool(report)
    assert report.verdict == "ok"
    report.raise_if_failed()
    ways = [r.way for r in report.rows if r.verdict == "ok"]
    assert len(ways) >= 7
    assert row(report, "central differences").relative < 1e-8
    assert row(report, "complex step").relative < 1e-13


def test_nothing_but_the_network_is_needed() -> None:
    assert gp.check(small())
    assert gp.check(gp.mlp([3, 4, 2], "relu", "softmax", seed=1), seed=3)


@pytest.mark.parametrize("name", gp.LOSSES)
def test_every_loss_has_a_random_target(name: str) -> None:
    last = {"cross_entropy": "softmax", "nll": "log_softmax"}.get(name, "identity")
    net = gp.mlp([2, 3, 3], "tanh", last if last == "softmax" else "identity", seed=0)
    if last == "log_softmax":
        net = gp.Network()
        net.add_input("x", size=2)
        net.add_node("z", "log_softmax", {"x": [[0.5, 1.0], [0.2, -1.0], [0.0, 0.3]]})
    report = gp.check(net, loss=name, seed=2)
    assert report, str(report)


def assert_no_false_alarm(data: st.DataObject) -> None:
    net, inputs = data.draw(graphs())
    objective = data.draw(objectives(net))
    try:
        net.backward(net.forward(inputs), **objective)
    except gp.GraphpropError:
        return
    report = gp.check(net, inputs, **objective)
    assert report.verdict != "fails", str(report)


@given(st.data())
def test_no_false_alarm_on_random_networks(data: st.DataObject) -> None:
    assert_no_false_alarm(data)


@pytest.mark.thorough
@settings(max_examples=10_000)
@given(st.data())
def test_no_false_alarm_on_ten_thousand_random_networks(data: st.DataObject) -> None:
    assert_no_false_alarm(data)


def test_a_slope_of_rounding_alone_times_a_goal_of_rounding_alone_is_no_mistake() -> None:
    """log_softmax of one component is 0; its formula over complex numbers gives last digits, and a slope of such."""
    for w in np.linspace(0.005, 0.1, 20):
        net = gp.Network()
        net.add_input("x")
        net.add_node("h", "sigmoid", {"x": 0.5})
        net.add_node("z", "log_softmax", {"x": [[0.5]], "h": [[float(w)]]}, size=1)
        report = gp.check(net, {"x": 0.0}, loss="half_squared", target=[0.0])
        assert report.ok, str(report)


def test_a_batch_with_weights_of_samples() -> None:
    net = gp.mlp([2, 3, 2], "tanh", "identity", seed=0)
    inputs, target = [[1.0, 2.0], [0.5, -1.0], [0.0, 0.3]], [[0.0, 1.0], [1.0, 1.0], [0.5, 0.5]]
    assert gp.check(net, inputs, loss="half_squared", target=target, sample_weight=[1.0, 0.0, 2.0])


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_another_library_agrees(library: str) -> None:
    pytest.importorskip(library)
    report = gp.check(small(), X, loss="half_squared", target=[0.3], against=library)
    assert report.ok, str(report)
    assert row(report, library).relative < 1e-13


# ------------------------------------------------------------------ what cannot be told


@pytest.mark.parametrize("steep", [1.0, 1e2, 1e4, 1e6, 1e8, 1e10])
def test_a_network_that_swings_faster_than_the_steps_is_not_called_wrong(steep: float) -> None:
    for seed in range(6):
        rng, net = np.random.default_rng(seed), gp.Network()
        net.add_input("x")
        net.add_node("h", "tanh", {"x": float(rng.normal())}, bias=float(rng.normal()))
        net.add_node("s", "sin", {"h": steep * float(rng.normal())}, bias=0.1)
        net.add_node("y", "square", {"s": 1.0, "h": 0.2})
        report = gp.check(net, [float(rng.normal())], "y")
        assert report.verdict != "fails", str(report)


def test_a_kink_is_undecided_and_not_passed() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "relu", {"x": 1.0})
    net.add_node("y", "tanh", {"h": 2.0})
    report = gp.check(net, {"x": 0.0}, "y")
    assert report.verdict == "undecided"
    assert not report
    assert any("gamma[h]" in entry and "kink" in entry for entry in report.undecided)
    report.raise_if_failed()
    assert gp.check(net, {"x": -3.0}, "y"), "a dead relu is decided"
    assert gp.check(net, {"x": 1e-3}, "y"), "near a kink a smaller step decides"


def test_a_tie_is_undecided() -> None:
    net = gp.Network()
    net.add_input("p")
    net.add_input("q")
    net.add_node("m", "max", {"p": 1.0, "q": 1.0})
    assert gp.check(net, [1.0, 1.0], "m").verdict == "undecided"
    assert gp.check(net, [1.0, 2.0], "m").ok


def test_what_underflows_is_undecided() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "sigmoid", {"x": 1.0})
    report = gp.check(net, {"x": -800.0}, "y")
    assert report.verdict == "undecided"
    assert "smallest number" in str(report)
    assert gp.check(net, {"x": 40.0}, "y"), "the complex step still tells"
    assert row(gp.check(net, {"x": 40.0}, "y"), "central differences").verdict == "undecided"


@pytest.mark.parametrize("kind", ["silu", "gelu", "elu", "tanh"])
def test_a_loss_of_0_where_the_activation_bends(kind: str) -> None:
    """What an imaginary step leaves there is the square of the step, not a gradient."""
    net = gp.Network()
    net.add_input("x")
    net.add_node("v", kind, {"x": 1.0})
    assert gp.check(net, {"x": 0.0}, loss="half_squared", target=[0.0]).verdict != "fails"


def test_a_stationary_point_is_decided() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "square", {"x": 1.0})
    assert gp.check(net, {"x": 0.0}, "y")


# ------------------------------------------------------------------ bad input


def test_what_is_wrong_is_said() -> None:
    net = small()
    with pytest.raises(gp.GraphpropError, match="a network is checked, not int"):
        gp.check(3)  # type: ignore[arg-type]
    with pytest.raises(gp.GraphpropError, match="against is 'jax' or 'torch', not 'tf'"):
        gp.check(net, X, "y", against="tf")
    with pytest.raises(gp.UnknownNameError, match="unknown node 'z'"):
        gp.check(net, X, "z")
    with pytest.raises(gp.GraphpropError, match="the network has no nodes"):
        gp.check(gp.Network())
    with pytest.raises(gp.GraphpropError, match="'x2' is missing"):
        gp.check(net, {"x1": 1.0}, "y")
