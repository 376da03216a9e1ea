"""`check` of users' functions in which terms cancel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.testing import assert_gradients_match
from tests.cases import one_of

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


@pytest.mark.parametrize("name", one_of(2, OWN))
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


@pytest.mark.parametrize("name", one_of(2, OWN))
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
