"""Numbers of other libraries at every door: numbers are shown as numbers, and no formula is walked piece by piece."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

import mpmath
import pytest
import sympy

import graphprop as gp
from graphprop.notation.foreign import LONG, as_float

EXACT = sympy.exp(sympy.Rational(1, 2)) - sympy.sqrt(2) * sympy.pi


def net() -> gp.Network:
    """Layers of two nodes: as a tree, a formula of its output has more than 2**20 parts."""
    net = gp.Network()
    net.add_input("x")
    parents: dict[Any, float] = {"x": 0.5}
    for k in range(10):
        net.add_node(("p", k), "tanh", parents)
        net.add_node(("q", k), "square", parents)
        parents = {("p", k): 0.5, ("q", k): -0.25}
    net.add_node("y", "identity", parents)
    return net


def run(numbers: Any) -> tuple[gp.Network, gp.Trace, gp.Gradients]:
    drawn = net()
    theta = sympy.symbols(f"t:{drawn.layout.size}") if numbers is sympy else None
    trace = gp.recursion.forward(drawn, [0.5], theta=theta, numbers=numbers)
    return drawn, trace, gp.recursion.backpropagate(drawn, trace, "y")


DOORS: dict[str, Callable[[gp.Network, gp.Trace, gp.Gradients], Any]] = {
    "repr of a trace": lambda net, trace, g: repr(trace),
    "table of a trace": lambda net, trace, g: trace._repr_html_(),
    "repr of a table": lambda net, trace, g: repr(trace.o),
    "repr of gradients": lambda net, trace, g: repr(g),
    "table of gradients": lambda net, trace, g: g._repr_html_(),
    "svg": lambda net, trace, g: gp.draw(net, trace, g).svg,
    "dot": lambda net, trace, g: gp.draw(net, trace, g).source,
    "page": lambda net, trace, g: gp.draw(net, trace, g).html,
    "page without gradients": lambda net, trace, g: gp.draw(net, trace).html,
    "plain data": lambda net, trace, g: gp.draw(net, trace, g, show="weights").to_dict(),
    "some edges": lambda net, trace, g: gp.draw(net, trace, g, top=3).svg,
    "a summary": lambda net, trace, g: gp.draw(net, trace, g, group=lambda name: name[0]).svg,
    "explain": lambda net, trace, g: gp.explain(net, trace, g, ("gamma", ("p", 0))),
    "paths": lambda net, trace, g: gp.paths(net, trace, "x", "y"),
    "compare": lambda net, trace, g: gp.compare(g, {("x", ("p", 0)): 0.5}),
    "compare with itself": lambda net, trace, g: gp.compare(g, g),
    "difference": lambda net, trace, g: g.difference(g),
    "allclose": lambda net, trace, g: g.allclose(g),
    "matrix form": lambda net, trace, g: gp.matrixform.backpropagate(net, trace, "y"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("numbers", [mpmath.mp, sympy], ids=["mpmath", "sympy"])
def test_every_door_takes_a_trace_of_other_numbers_or_says_why_not(
    numbers: Any, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = run(numbers)
    for walks in ("__float__", "__str__"):  # each walks every part of a tree as often as it occurs: it would not end
        original = getattr(sympy.Add, walks)

        def only_if_short(x: Any, original: Any = original) -> Any:
            parts = sum(1 for _ in islice(sympy.preorder_traversal(x), 100))
            return original(x) if parts < 100 else pytest.fail(f"{door} walks a formula")

        monkeypatch.setattr(sympy.Add, walks, only_if_short)
    try:
        shown = str(DOORS[door](*given))
    except gp.GraphpropError as error:
        shown = str(error) if re.search("symbols|floats", str(error)) else ""
    assert shown, door


def test_a_formula_is_written_if_it_is_short_and_a_number_put_into_digits() -> None:
    drawn = gp.Network()
    drawn.add_input("x")
    drawn.add_node("h", "tanh", {"x": 0.5})
    drawn.add_node("y", "softmax", {"h": [1.0, 2.0, 3.0, 4.0]})
    w = sympy.symbols("w:5")
    symbols = gp.recursion.forward(drawn, [2], theta=w, numbers=sympy)
    svg = gp.draw(drawn, symbols).svg
    assert "tanh(2*w0)" in svg
    assert LONG in gp.draw(*run(sympy)).svg
    exact = gp.recursion.forward(drawn, [2], numbers=sympy)
    floats = drawn.forward([2.0])
    assert gp.draw(drawn, exact).to_dict()["nodes"] == gp.draw(drawn, floats).to_dict()["nodes"]


@pytest.mark.parametrize(
    "exact",
    [
        EXACT,
        sympy.Piecewise((EXACT, EXACT > 0), (-EXACT, True)),
        sympy.Max(EXACT, sympy.Rational(1, 3), sympy.tanh(EXACT)),
        sympy.erf(EXACT) ** 3,
        sympy.Integer(10) ** 30,
        sympy.Float("0.1", 40),
    ],
)
def test_an_exact_number_is_the_float_next_to_it(exact: Any) -> None:
    assert as_float(exact) == float(exact)


def test_what_has_symbols_or_is_no_real_number_is_no_float() -> None:
    x = sympy.Symbol("x")
    for formula in (x, sympy.sin(x) + 1, sympy.zoo, sympy.I + 1, sympy.Function("f")(2), "w", None):
        assert as_float(formula) is None


def test_the_page_of_formulas_says_why_nothing_is_played() -> None:
    html = gp.draw(*run(sympy)).html
    assert "Some of the numbers are formulas" in html
    assert '"steps":[]' in html
