"""`gp.check`: healthy networks pass, and every planted fault is found and named with its entry."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphprop as gp
from graphprop.checks import ways
from graphprop.engine import general
from graphprop.engine.schedule import Schedule
from graphprop.program import Program
from graphprop.testing import assert_gradients_match
from tests.random_graphs import graphs, objectives

X = {"x1": 1.0, "x2": -2.0}
Arrays = dict[str, np.ndarray]


def small() -> gp.Network:
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    f = net.parameter("f", 0.7)
    net.add_node("h1", "sigmoid", {"x1": 0.5, "x2": -0.3}, bias=0.1)
    net.add_node("h2", "tanh", {"x1": 0.8, "x2": f})
    net.add_node("y", "softmax_dot", {"h1": [0.2, -0.7], "h2": [f, 0.4]})
    net.add_edge("x1", "y", [0.1, 0.3])
    return net


def large(kinds: tuple[Any, ...], nodes: int, fan_in: int) -> gp.Network:
    """The parents of each node are not far away."""
    rng, net, inputs = np.random.default_rng(0), gp.Network(), 100
    for i in range(inputs):
        net.add_input(i)
    for j in range(inputs, inputs + nodes):
        near = np.arange(max(0, j - 400), j) if j > inputs + fan_in else np.arange(inputs)
        parents = rng.choice(near, fan_in, replace=False).tolist()
        weights = (rng.standard_normal(fan_in) / np.sqrt(fan_in)).tolist()
        net.add_node(j, kinds[j % len(kinds)], dict(zip(parents, weights, strict=True)), bias=0.1)
    return net


def row(report: gp.Report, way: str) -> Any:
    return next(row for row in report.rows if row.way.startswith(way))


def plant(monkeypatch: pytest.MonkeyPatch, change: Callable[[gp.Gradients, Arrays], Any]) -> None:
    """Let the engine's backward pass give gradients that were changed."""
    right = Program.backward

    def backward(self: Program, trace: gp.Trace, *args: Any, **objective: Any) -> gp.Gradients:
        g = right(self, trace, *args, **objective)
        arrays = {name: getattr(g, name).copy() for name in ("a_flat", "o_flat", "weight_uses", "bias_uses")}
        theta = change(g, arrays)
        wrong = dataclasses.replace(g, **arrays)
        if theta is not None:
            object.__setattr__(wrong, "theta", theta)
        return wrong

    monkeypatch.setattr(Program, "backward", backward)


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


# ------------------------------------------------------------------ users' functions in which terms cancel

OWN: dict[str, tuple[Callable[[float], float], Callable[[float, float], float]]] = {
    "tanh, 1 - o o": (math.tanh, lambda a, o: 1 - o * o),
    "tanh of exp": (lambda a: 1 - 2 / (math.exp(2 * a) + 1), lambda a, o: 1 - o**2),
    "sigmoid, o (1 - o)": (lambda a: 1 / (1 + math.exp(-a)), lambda a, o: o * (1 - o)),
    "softplus, 1 - exp(-o)": (lambda a: math.log(1 + math.exp(a)), lambda a, o: 1 - math.exp(-o)),
    "exp - 1": (lambda a: math.exp(a) - 1, lambda a, o: o + 1),
    "log cosh": (lambda a: math.log((math.exp(a) + math.exp(-a)) / 2), lambda a, o: math.tanh(a)),
}


def in_a_row(f: gp.Activation, first: float, bias: float) -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", f, {"x": first}, bias=bias)
    net.add_node("k", f, {"h": 1.7}, bias=0.3)
    net.add_node("y", "identity", {"k": 1.3, "h": 0.4})
    return net


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("check", [gp.check, assert_gradients_match])
def test_the_textbooks_own_derivatives_are_right_where_they_cancel(name: str, check: Any) -> None:
    own = gp.Activation(name, *OWN[name])
    for first in (1e-9, 1e-6, 1e-3, 0.1, 1.0, 3.0, 8.0, 17.0):
        for bias in (-0.4, 0.0, 0.9):
            try:
                report = check(in_a_row(own, first, bias), [1.0], "y")
            except gp.NumberError:  # exp overflows
                continue
            assert report.verdict != "fails", str(report)
            assert first > 1 or report.ok, str(report)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("off", [1e-6, 1e-3, 1.0])
def test_a_users_derivative_that_is_off_is_found_though_it_cancels(name: str, off: float) -> None:
    value, slope = OWN[name]
    wrong = gp.Activation(name, value, lambda a, o: (1 + off) * slope(a, o), check=False)
    for first in (0.1, 1.0):
        report = gp.check(in_a_row(wrong, first, 0.2), [1.0], "y")
        assert report.verdict == "fails", str(report)
        assert any(f"the derivative of {name} gives" in x for x in report.findings)


def test_users_vectors_and_losses_that_cancel_are_right() -> None:
    def softmax(a: Any) -> Any:
        e = np.exp(a)
        return e / e.sum()

    own = gp.Activation("own softmax", softmax, lambda a, o, g: o * g - o * (o * g).sum(), kind="vector")
    spread = gp.Activation("spread", lambda a: (a * a).mean() - a.mean() ** 2,
                           lambda a, o, g: g * (2 * a / len(a) - 2 * a.mean() / len(a)), kind="reducing")  # fmt: skip
    loss = gp.Loss(
        "own cross-entropy",
        lambda z, t: (np.log(1 + np.exp(z)) - z * t).sum(-1),
        lambda z, t: 1 - 1 / (1 + np.exp(z)) - t,
    )
    for offset in (0.0, 3.0, 30.0, 300.0):
        net = gp.Network()
        net.add_input("x", size=2)
        net.add_node("p", own, {"x": [[0.5, -1.0], [2.0, 0.1], [0.3, 0.3]]}, bias=[0.0, offset / 10, 0.0])
        net.add_node("s", spread, {"p": np.eye(3).tolist()}, bias=[offset, offset, offset + 0.1])
        net.add_node("z", "identity", {"s": 2.0}, bias=offset / 10)
        for objective in ({"node": "s"}, {"loss": loss, "target": [1.0]}):
            report = gp.check(net, [0.4, -0.7], **objective)
            assert report.verdict != "fails", str(report)


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


# ------------------------------------------------------------------ planted faults


def test_a_gradient_times_2_001(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(g: gp.Gradients, arrays: Arrays) -> None:
        for array in arrays.values():
            array *= 2.001

    plant(monkeypatch, change)
    report = gp.check(small(), X, "y")
    assert report.verdict == "fails"
    assert [r.way for r in report.rows if r.verdict == "fails"] == ["engine, backward"]
    assert any("2.001 times" in finding for finding in report.findings)
    with pytest.raises(gp.GraphpropError, match=r"2\.001 times"):
        report.raise_if_failed()


def test_a_swapped_pair_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(g: gp.Gradients, arrays: Arrays) -> None:
        arrays["weight_uses"][[0, 3]] = arrays["weight_uses"][[3, 0]]

    plant(monkeypatch, change)
    report = gp.check(small(), X, "y")
    assert {"w(x1, h1)", "w(x2, h2)"} <= set(report.worst)
    assert any("w(x1, h1) is" in finding for finding in report.findings)
    assert any("w(x2, h2) is" in finding for finding in report.findings)


def test_a_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(g: gp.Gradients, arrays: Arrays) -> None:
        arrays["a_flat"][:, 0] *= -1

    plant(monkeypatch, change)
    report = gp.check(small(), X, "y")
    assert row(report, "engine, backward").entry == "gamma[h1]"
    assert len(report.findings) == 1
    assert "gamma[h1]" in report.findings[0]
    assert "the sign" in report.findings[0]


def test_a_lost_skip_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(g: gp.Gradients, arrays: Arrays) -> None:
        layout = g.layout
        for use in range(len(layout.row)):
            if layout.label_use(use) in ("w(0, x1, y)", "w(1, x1, y)"):
                weight = (0.1, 0.3)[int(layout.label_use(use)[2])]
                arrays["o_flat"][:, layout.column[use]] -= g.a_flat[:, layout.row[use]] * weight
                arrays["weight_uses"][use] = 0

    plant(monkeypatch, change)
    report = gp.check(small(), X, "y")
    assert any("input[x1]" in x and "the edge 'x1' -> 'y' is missing" in x for x in report.findings), str(report)


def test_a_lost_use_of_a_tied_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(g: gp.Gradients, arrays: Arrays) -> np.ndarray:
        theta = g.theta.copy()
        theta[0] = g.weight["x2", "h2"]
        return theta

    plant(monkeypatch, change)
    report = gp.check(small(), X, "y")
    assert row(report, "engine, backward").entry == "f"
    assert any("its use in w(0, h2, y) is missing" in finding for finding in report.findings)


@pytest.mark.parametrize("formula", [None, lambda m, a: a**3])
def test_a_wrong_derivative_of_a_users_activation(formula: Any) -> None:
    cube = gp.Activation("cube", lambda a: a**3, lambda a, o: 2 * a**2, formula=formula, check=False)
    net = small()
    net.add_node("c", cube, {"y": 1.0, "h1": 0.5})
    net.add_node("z", "sigmoid", {"c": 1.0})
    report = gp.check(net, X, "z")
    assert report.verdict == "fails"
    assert row(report, "central differences").verdict == "ok", "the values are right"
    assert row(report, "recursion (b)").verdict == "fails", "though four ways agree"
    assert any("a[c]" in x and "the derivative of cube" in x for x in report.findings), str(report)


def test_a_wrong_formula_is_the_formulas_fault() -> None:
    cube = gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a**2, formula=lambda m, a: a * a, check=False)
    net = small()
    net.add_node("c", cube, {"y": 1.0})
    report = gp.check(net, X, "c")
    assert [r.way for r in report.rows if r.verdict == "fails"] == ["complex step"]
    assert any("o[c]" in finding for finding in report.findings)


def test_a_wrong_gradient_of_a_users_loss() -> None:
    wrong = gp.Loss("absolute", lambda z, t: abs(z - t).sum(-1), lambda z, t: 2 * np.sign(z - t), check=False)
    report = gp.check(small(), X, loss=wrong, target=[0.3])
    assert any("the gradient of the loss absolute by o[y]" in finding for finding in report.findings), str(report)


def test_a_wrong_kernel_of_the_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    right = general.backtrace

    def backtrace(*args: Any) -> Any:
        value, a_grad, o_grad, weights, *rest = right(*args)
        return value, a_grad, o_grad, weights + 1e-9 * (np.arange(len(weights)) == 5), *rest

    monkeypatch.setattr(general, "backtrace", backtrace)
    report = gp.check(small(), X, "y")
    assert row(report, "engine, backward").entry == small().layout.label_use(5)


def test_a_wrong_kernel_of_the_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    right = general.trace

    def trace(schedule: Schedule, theta: Any, inputs: Any) -> Any:
        a, o = right(schedule, theta, inputs)
        o = o.copy()
        o[:, schedule.layout.o_slice(schedule.layout.find("h1"))] *= 1 + 1e-12
        return a, o

    monkeypatch.setattr(general, "trace", trace)
    report = gp.check(small(), X, "y")
    assert row(report, "engine, backward").entry == "o[h1]"
    assert any("the forward pass: o[h1] of a sigmoid node" in finding for finding in report.findings)


def test_a_wrong_kernel_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    right = general.differentiate

    def differentiate(*args: Any) -> Any:
        value, gradient, by_inputs = right(*args)
        gradient = gradient.copy()
        gradient[2] *= -1
        return value, gradient, by_inputs

    monkeypatch.setattr(general, "differentiate", differentiate)
    report = gp.check(small(), X, loss="half_squared", target=[0.3])
    assert row(report, "engine, value_and_grad").entry == small().layout.label_position(2)
    assert row(report, "engine, backward").verdict == "ok"


def test_an_engine_that_raises_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def backtrace(*args: Any) -> Any:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(general, "backtrace", backtrace)
    report = gp.check(small(), X, "y")
    assert report.verdict == "fails"
    assert "ZeroDivisionError: oops" in str(report)


@pytest.mark.parametrize(
    ("use", "nodes", "fan_in"), [(5_432, 1000, 10), pytest.param(54_321, 2500, 40, marks=pytest.mark.thorough)]
)
def test_one_of_very_many_entries_wrong_by_a_millionth(
    use: int, nodes: int, fan_in: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = large(("tanh", "sigmoid", "relu", "sin"), nodes, fan_in)
    label = net.layout.label_use(use)

    def change(g: gp.Gradients, arrays: Arrays) -> None:
        arrays["weight_uses"][use] *= 1 + 1e-6

    plant(monkeypatch, change)
    report = gp.check(net)
    assert row(report, "engine, backward").entry == label
    assert len(report.findings) == 1
    assert report.findings[0].startswith(f"engine, backward: {label} is")
    assert {r.way for r in report.rows if r.verdict == "fails"} == {"engine, backward"}


def test_a_wrong_derivative_in_a_large_network_is_found_by_directions() -> None:
    bent = gp.Activation("bent", np.arctan, lambda a, o: 1 / (1 + 1.001 * a * a), check=False)
    net = large(("tanh",) * 97 + (bent,), 1500, 10)
    report = gp.check(net)
    assert row(report, "directions").verdict == "fails"
    assert any("the derivative of bent" in finding for finding in report.findings), str(report)


# ------------------------------------------------------------------ the report


def test_a_report_is_data_and_text_and_html() -> None:
    report = gp.check(small(), X, "y")
    data = json.loads(json.dumps(report.to_dict()))
    assert data["ok"] is True
    assert {"way", "verdict", "entry", "absolute", "relative", "seconds"} <= set(data["rows"][0])
    text = str(report)
    assert "central differences" in text
    assert "worst entries" in text
    assert report._repr_html_().count("<tr>") > len(report.rows)
    assert repr(report).startswith("<Report: check of o[y] = ")


def test_names_are_escaped_in_html() -> None:
    net = gp.Network("<b>")
    net.add_input("<i>")
    net.add_node("y", "tanh", {"<i>": 1.0})
    assert "<i>" not in gp.check(net)._repr_html_()


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
