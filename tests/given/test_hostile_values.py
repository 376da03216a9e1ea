"""Hostile values in the arguments of public functions: some seconds of the attack, and what it found, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.attack import hostile_values


def test_every_public_function_is_attacked() -> None:
    called = {one.name.split(" ")[0] for one in hostile_values.CALLS}
    listed = called | hostile_values.WITHOUT_ARGUMENTS | hostile_values.INTERNAL
    assert set(hostile_values.public_functions()) <= listed


@pytest.mark.parametrize("one", hostile_values.CALLS, ids=lambda one: one.name)
def test_what_is_attacked_works_with_its_own_arguments(one: hostile_values.Call) -> None:
    assert hostile_values.repeat(one.name, {})


@pytest.mark.parametrize("one", hostile_values.CALLS, ids=lambda one: one.name)
def test_values_that_broke_something_end_in_a_result_or_an_error_of_the_library(one: hostile_values.Call) -> None:
    for argument in one.arguments:
        for value in ("None", "{}", "[[1, 2], [3]]", "np.zeros(3)"):
            hostile_values.repeat(one.name, {argument: value})


def test_the_attack_counts_what_it_did() -> None:
    assert all(count > 0 for count in hostile_values.attack(seconds=2.0, seed=1).values())


def test_the_attack_finds_a_raw_error_and_says_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def unguarded(net: Any, v: Any) -> Any:
        return net.children(v)[int(v)]

    monkeypatch.setattr(gp.Network, "parents", unguarded)
    with pytest.raises(hostile_values.Found, match=r"ValueError.*\n\n.*\nrepeat\('Network.parents', {"):
        hostile_values.repeat("Network.parents", {"v": '"h"'})


def test_the_attack_finds_a_call_that_was_refused_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    legal = gp.Network.set_outputs

    def half(net: gp.Network, *heads: Any) -> None:
        legal(net, "h")
        legal(net, *heads)

    monkeypatch.setattr(gp.Network, "set_outputs", half)
    with pytest.raises(hostile_values.Found, match="the network is not as it was"):
        hostile_values.repeat("Network.set_outputs", {"head": '"no node"'})


NET = gp.mlp([1, 2, 1])
FOUND: dict[str, tuple[Callable[[], Any], str]] = {
    "weight_matrix(None)": (
        lambda: NET.weight_matrix(None, ["y"]),
        "an array or list of node names is needed, not None",
    ),
    "weight_matrix of one number": (lambda: NET.weight_matrix(np.array(1.0), ["y"]), "list of node names is needed"),
    "dense(nodes=3.0)": (lambda: gp.dense(NET, 3.0, 2), "an array or list of node names is needed, not 3.0"),
    "dense(net=None)": (lambda: gp.dense(None, ["x"], 2), "a network is needed, a gp.Network, not NoneType"),
    "softmax_regression": (lambda: gp.softmax_regression(2.5, 3), "features: size is a whole number"),
    "gradcheck(theta={})": (lambda: gp.gradcheck(lambda w: (0.0, w), {}), "theta is a mapping without a name"),
    "kinks": (lambda: gp.Activation("f", abs, abs, kinks=[[1], [2, 3]]), "'f': kinks: numbers of one regular shape"),
    "kind": (lambda: gp.Activation("f", abs, abs, kind=np.zeros(3)), "kind is 'elementwise', 'reducing' or 'vector'"),
    "reads": (lambda: gp.Loss("f", abs, abs, reads=[]), "reads is 'values', 'probabilities', .* or 'logits', not"),
    "parameters": (lambda: gp.activation("elu", parameters=3), "parameters are a mapping from names to numbers, not 3"),
    "rtol": (lambda: NET.backward(t := NET.forward([1.0]), ("y", 0)).allclose(NET.backward(t, ("y", 0)), "x"), "rtol"),
    "a large layer": (lambda: gp.mlp([10**9, 10**9]), "needs .* bytes"),
    "a long time": (lambda: gp.unroll(NET, {}, 10**12), "a network of 1000000000000 steps needs"),
}


@pytest.mark.parametrize("what", FOUND)
def test_an_error_says_what_is_allowed(what: str) -> None:
    function, told = FOUND[what]
    with pytest.raises(gp.GraphpropError, match=told):
        function()
