"""Values of one forward pass and derivatives of another are never put into one picture, formula or verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import graphprop as gp
from graphprop.cli.commands import main

MIXED = "of another forward pass"


def network() -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": 0.5}, bias=0.25)
    net.add_node("y", "identity", {"h": 2.0})
    return net


def backward(net: gp.Network, trace: gp.Trace) -> gp.Gradients:
    return net.backward(trace, seed={"y": np.ones(trace.samples) if trace.batched else 1.0})


def explanations() -> list[Any]:
    whats = [("a", "h"), ("o", "h"), ("gamma", "h"), ("obar", "h"), ("input", "x")]
    whats += [("weight", "x", "h"), ("bias", "h"), ("value",)]
    return [pytest.param(lambda net, t, g, w=w: gp.explain(net, t, g, w), id=f"explain-{w[0]}") for w in whats]


DOORS = [
    pytest.param(lambda net, t, g: gp.draw(net, t, g), id="draw"),
    pytest.param(lambda net, t, g: gp.draw(net, t, g).html, id="page"),
    pytest.param(lambda net, t, g: gp.draw(net, t, g, show="weights"), id="draw-weights"),
    *explanations(),
    pytest.param(lambda net, t, g: gp.compare(backward(net, t), g), id="compare"),
]
Door = Callable[[gp.Network, gp.Trace, gp.Gradients], Any]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("other", ["inputs", "theta", "one sample of two", "a larger batch"])
def test_a_trace_and_the_gradients_of_another_pass_are_refused(door: Door, other: str) -> None:
    net = network()
    trace = net.forward([1.0])
    if other == "theta":
        net.theta[1] += 1e-15
        second = net.forward([1.0])
    else:
        given = {"inputs": [1.0 + 1e-15], "one sample of two": [[1.0], [2.0]], "a larger batch": [[1.0]] * 3}[other]
        second = net.forward(given)
    with pytest.raises(gp.GraphpropError, match=f"{MIXED}|structure or batch|structures or batches|do not belong"):
        door(net, trace, backward(net, second))


def test_what_is_different_is_told() -> None:
    net = network()
    trace = net.forward([1.0])
    net.set_weight("x", "h", 0.75)
    told = "theta[0], w(x, h), is 0.5 in the trace and 0.75 in the gradients"
    with pytest.raises(gp.GraphpropError, match=re.escape(told)):
        gp.draw(net, trace, backward(net, net.forward([1.0])))
    told = "o[x] is 0.5 in the trace and 1.0 in the gradients"
    with pytest.raises(gp.GraphpropError, match=re.escape(told)):
        gp.draw(net, net.forward([0.5]), backward(net, net.forward([1.0])))
    told = "o[x] of sample 1 is 2.0 in the trace and 3.0 in the gradients"
    with pytest.raises(gp.GraphpropError, match=re.escape(told)):
        gp.draw(net, net.forward([[1.0], [2.0]]), backward(net, net.forward([[1.0], [3.0]])))


@pytest.mark.parametrize("door", DOORS)
def test_a_pass_that_was_run_again_is_the_same_pass(door: Door) -> None:
    net = network()
    trace = net.forward([0.1])
    for again in (
        net.forward({"x": 0.1}),
        net.copy().forward([0.1]),
        gp.recursion.forward(net, [0.1]),
        gp.matrixform.forward(net, [0.1]),
        gp.recursion.forward(net, [0.1], numbers=mpmath.mp),
    ):
        door(net, trace, backward(net, again))


@pytest.mark.parametrize("door", DOORS)
def test_gradients_computed_from_a_trace_with_other_numbers_belong_to_it(door: Door) -> None:
    net = network()
    trace = net.forward([0.1])
    door(net, trace, gp.recursion.backpropagate(net, trace, "y", numbers=mpmath.mp))


def test_symbols_of_one_pass_belong_together_and_those_of_another_do_not() -> None:
    net = network()
    x, w, b, v, u = sympy.symbols("x w b v u")
    trace = gp.recursion.forward(net, [x], [w, b, v], numbers=sympy)
    other = gp.recursion.forward(net, [x], [w, b, u], numbers=sympy)
    gp.draw(net, trace, net.backward(trace, "y"))
    for second in (other, net.forward([1.0])):
        with pytest.raises(gp.GraphpropError, match=MIXED):
            gp.draw(net, trace, net.backward(second, "y"))


def test_gradients_alone_are_drawn_with_the_weights_that_they_were_computed_with() -> None:
    net = network()
    trace = net.forward([1.0])
    g = net.backward(trace, "y")
    before = gp.draw(net, None, g, show="weights").svg
    net.theta[:] = [7.0, 8.0, 9.0]
    assert gp.draw(net, None, g, show="weights").svg == before


# ------------------------------------------------------------------ a forward value needs no gradients


@pytest.mark.parametrize("what", [("a", "h"), ("o", "h"), ("o", "x"), ("o", "y")])
@pytest.mark.parametrize("samples", [1, 2])
def test_a_value_of_the_forward_pass_is_explained_without_gradients(what: tuple[str, str], samples: int) -> None:
    net = network()
    trace = net.forward([[1.0], [2.0]][:samples])
    alone = gp.explain(net, trace, None, what, sample=0)
    assert str(alone) == str(gp.explain(net, trace, backward(net, trace), what, sample=0))
    value = (trace.a if what[0] == "a" else trace.o)[what[1]][0]
    assert f"= {value:.6g}" in str(alone).splitlines()[-1] or f"= {value:.6g}" in str(alone)


@pytest.mark.parametrize("what", [("gamma", "h"), ("obar", "h"), ("weight", "x", "h"), ("bias", "h"), ("value",)])
def test_a_derivative_is_not_explained_without_gradients(what: tuple[str, ...]) -> None:
    net = network()
    told = "the objective" if what == ("value",) else repr(what[0])
    with pytest.raises(gp.GraphpropError, match=f"{told}.*gradients of net.backward are needed"):
        gp.explain(net, net.forward([1.0]), None, what)


def test_the_command_explains_a_value_whose_derivatives_do_not_exist(tmp_path: Path, capsys: Any) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "identity", {"x": 2.0})
    net.add_node("y", "identity", {"h": 1e300})
    net.add_node("z", "identity", {"y": 1e300})
    net.save(tmp_path / "net.json")
    typed = [str(tmp_path / "net.json"), "--inputs", "x=0"]
    assert main(["explain", typed[0], "weight", "x", "h", *typed[1:]]) == 2
    assert "derivative" in capsys.readouterr().err
    assert main(["explain", typed[0], "a", "h", *typed[1:]]) == 0
    assert "a[h] = w(x, h) * o[x]" in capsys.readouterr().out
