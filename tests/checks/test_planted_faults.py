"""`check` finds and names faults that are planted in the ways themselves."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import general
from graphprop.engine.schedule import Schedule
from graphprop.program import Program
from tests.checks.check_cases import (
    X,
    row,
    small,
)

Arrays = dict[str, np.ndarray]


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
