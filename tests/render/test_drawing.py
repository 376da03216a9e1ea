"""What a picture shows: the right numbers, as much as there is room for, and a dash for what was not computed."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.render.drawn.lettering import digits, name_line, plain
from graphprop.render.legends import letter
from tests import golden
from tests.pictures import column, edge_of, last_word, number, shape_of, shows
from tests.render.drawing_cases import (
    drawn,
    two_layers,
)

# ------------------------------------------------------------------ the numbers


@pytest.mark.parametrize(
    "objective", [{"loss": "half_squared", "target": [0.5]}, {"seed": {"y": 2.0}}, {"node": "y"}], ids=str
)
def test_pictures_and_explanations_have_one_symbol_for_what_is_differentiated(objective: dict[str, Any]) -> None:
    net = two_layers()
    trace = net.forward([1.0, -2.0])
    g = net.backward(trace, **objective)
    drawing = gp.draw(net, trace, g)
    (written,) = re.findall(r"(?m)^d(\S+)/dw\(x1, h1\) =", str(gp.explain(net, trace, g, ("weight", "x1", "h1"))))
    assert written == ("o[y]" if "node" in objective else "J")
    assert f"∂{written}/∂w" in edge_of(drawing, "x1", "h1").tooltip
    assert f"{written} = " in drawing.parts.subtitle


@pytest.mark.parametrize(("name", "k"), golden.CASES)
def test_every_number_is_the_golden_one(name: str, k: int) -> None:
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    trace = net.forward(golden.inputs(graph))
    drawing = gp.draw(net, trace, net.backward(trace, **golden.objective(expected)))
    for v, numbers in graph["expect"]["o"].items():
        shape = shape_of(drawing, v)
        title = {"softmax": "softmax", "log-softmax": "log softmax"}.get(shape.kind, "o[")
        found = [shape.value] if shape.value else column(shape, title)
        assert all(map(shows, found, numbers)), v
    for v, numbers in expected["dJ_da"].items():
        shape = shape_of(drawing, v)
        found = [last_word(shape.pill)] if shape.table is None else column(shape, "δ")
        assert all(map(shows, found, numbers)), v
    for v, numbers in expected["dJ_do"].items():
        shape = shape_of(drawing, v)
        if shape.form in ("input", "reducing"):
            assert shows(last_word(shape.pill), numbers[0]), v
    for edge, exact in zip(graph["edges"], expected["dJ_dw"], strict=True):
        entries = edge_of(drawing, edge["src"], edge["dst"]).entries
        n, m = (net.layout.nodes[net.layout.find(edge["dst"])].n, net.output_size(edge["src"]))
        index = ",".join([str(edge["dst_comp"])] * (n > 1) + [str(edge["src_comp"])] * (m > 1))
        entry = entries[0] if len(entries) == 1 else next(e for e in entries if e.index == f"[{index}]")
        if plain(entry.weight).startswith("W"):
            continue
        assert shows(last_word(entry.weight), edge["w"]), edge
        assert shows(last_word(entry.derivative), exact), edge
    if "loss" in golden.objective(expected):
        assert shows(drawing.parts.shapes[-1].value, expected["value"])


def test_biases_are_shown_with_their_derivatives() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "square", {"x": 1.0}, bias=0.5)
    net.add_node("y", "softmax_dot", {"h": [1.0, 2.0]}, bias=[0.25, None])
    trace = net.forward([[1.0], [2.0]])
    drawing = gp.draw(net, trace, net.backward(trace, seed={"h": [1.0, 10.0]}))
    assert plain(shape_of(drawing, "h").lines[0]) == "b 0.5  ∂ 53"  # 2 * 1.5 + 10 * 2 * 2.5
    assert column(shape_of(drawing, "y"), "b[i]") == ["0.25", ""]
    assert column(shape_of(drawing, "y"), "∂J/∂b") == ["0", "–"]


def test_the_column_of_a_softmax_dot_node_is_its_softmax() -> None:
    drawing = drawn(two_layers(), [1.0, -2.0], node="y")
    a = two_layers().forward([1.0, -2.0]).a["y"]
    p = np.exp(a) / np.exp(a).sum()
    assert all(map(shows, column(shape_of(drawing, "y"), "softmax"), p.tolist()))


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(0.0999499999)
@example(999.5)
@example(9.995e-5)
@example(1e-323)
def test_a_number_is_written_in_three_significant_digits(x: float) -> None:
    text = digits(x)
    assert "-" not in text
    if x == 0:
        assert text == "0"
        return
    exact, shown = Fraction(x), Fraction(text.replace("−", "-"))
    power = math.floor(math.log10(abs(x)))
    assert abs(exact - shown) <= Fraction(10) ** (power - 2) * Fraction(50001, 100000)
    assert (shown > 0) == (x > 0)
    assert len(text) <= 10


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.085, "0.085"),
        (0.0850001, "0.0850"),
        (-123456.0, "−1.23e5"),
        (1e-7, "1e−7"),
        (np.float64(2.5), "2.5"),
    ],
)
def test_how_numbers_are_written(x: float, text: str) -> None:
    assert digits(x) == text


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("h1", ["h", "1"]),
        ("x_12", ["x", "12"]),
        ("bias", ["bias"]),
        ("7", ["7"]),
        (7, ["7"]),
        (("s", 0, 12), ["s", "0,12"]),
        (("h1", 2), ["h", "1,2"]),
        ("a1b", ["a1b"]),
    ],
)
def test_trailing_digits_are_a_subscript(name: Any, runs: list[str]) -> None:
    assert [run.text for run in name_line(name)] == runs


# ------------------------------------------------------------------ what was not computed


def test_the_structure_alone_has_neither_values_nor_derivatives() -> None:
    drawing = gp.draw(two_layers())
    assert all(shape.value == "" and shape.pill == () for shape in drawing.parts.shapes)
    assert last_word(edge_of(drawing, "x1", "h1").entries[0].weight) == "0.5"
    assert edge_of(drawing, "x1", "h1").entries[0].derivative == ()
    assert "γ" not in drawing.svg
    assert len({edge.width for edge in drawing.parts.edges}) == 1


def test_a_trace_adds_values_only() -> None:
    net = two_layers()
    drawing = gp.draw(net, net.forward([1.0, -2.0]))
    assert shows(shape_of(drawing, "h1").value, math.tanh(0.5 + 0.6 + 0.1))
    assert shape_of(drawing, "h1").pill == ()


def test_what_was_not_computed_is_a_dash_and_never_0() -> None:
    net = two_layers()
    trace = net.forward([1.0, -2.0])
    some = gp.recursion.backpropagate(net, trace, "y", form="parents", of=["h1"])
    drawing = gp.draw(net, trace, some)
    assert number(last_word(shape_of(drawing, "h1").pill)) != 0
    assert last_word(shape_of(drawing, "h2").pill) == "–"
    assert last_word(shape_of(drawing, "x1").pill) == "–"
    edge = edge_of(drawing, "x1", "h2")
    assert last_word(edge.entries[0].derivative) == "–"
    assert (edge.width, edge.dashed) == (0.9, False)


def test_gradients_without_a_trace_leave_the_values_as_dashes() -> None:
    net = two_layers()
    drawing = gp.draw(net, gradients=net.backward(net.forward([1.0, -2.0]), "y"))
    assert shape_of(drawing, "h1").value == "–"
    assert set(column(shape_of(drawing, "y"), "a[")) == {"–"}


def test_a_derivative_that_is_zero_is_0() -> None:
    net = two_layers()
    net.add_node("dead", "tanh", {"x1": 1.0})
    drawing = drawn(net, [1.0, -2.0], node="y")
    assert plain(shape_of(drawing, "dead").pill) == "γ 0"


# ------------------------------------------------------------------ the encoding


def test_edges_show_the_sign_and_the_root_of_the_size() -> None:
    net = gp.Network()
    for x in ("p", "q", "r"):
        net.add_input(x)
    net.add_node("y", "identity", {"p": 1.0, "q": 1.0, "r": -7.0})
    drawing = drawn(net, [4.0, -1.0, 0.0], node="y")
    p, q, r = (edge_of(drawing, x, "y") for x in ("p", "q", "r"))
    assert p.width - r.width == pytest.approx(2 * (q.width - r.width))
    assert (p.dashed, q.dashed, r.dashed) == (False, True, False)
    assert len({p.colour, q.colour, r.colour}) == 3
    by_weights = gp.draw(net, show="weights")
    assert edge_of(by_weights, "r", "y").dashed
    assert edge_of(by_weights, "r", "y").width == max(edge.width for edge in by_weights.parts.edges)


def channels(colour: str) -> list[int]:
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


def luminance(colour: str) -> float:
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_fills_diverge_symmetrically_from_white_and_differ_in_grey() -> None:
    net = gp.Network()
    net.add_input("x")
    for name, w in (("least", -2.0), ("low", -0.5), ("zero", 0.0), ("high", 0.5)):
        net.add_node(name, "identity", {"x": w})
    drawing = gp.draw(net, net.forward([1.0]))
    fill = {shape.name: shape.fill for shape in drawing.parts.shapes}
    assert fill["zero"] == "#ffffff"
    assert channels(fill["low"])[2] > channels(fill["low"])[0]
    assert channels(fill["high"])[0] > channels(fill["high"])[2]
    assert luminance(fill["least"]) < luminance(fill["low"]) < luminance(fill["high"])
    numbers = [number(text) for text, _ in drawing.parts.legend.fills]
    assert numbers == [-x for x in reversed(numbers)]
    assert max(numbers) == 2.0


def test_text_can_be_read_on_every_fill() -> None:
    from graphprop.render.drawn import colours, lettering

    for x in (-1.0, -0.3, 0.0, 0.3, 1.0):
        assert contrast(colours.fill(x, 1.0), lettering.STYLES["kind"].colour) > 4.5
    for ink in (lettering.BLUE, lettering.BROWN, lettering.GREY):
        assert contrast("#ffffff", ink) > 4.5


def test_tied_weights_share_a_letter_and_the_legend_has_the_sum() -> None:
    net = gp.Network()
    net.add_input("p")
    net.add_input("q")
    f = net.parameter("f", 2.0)
    net.add_node("s", "identity", {"p": f, "q": f})
    net.add_node("t", "identity", {"s": 3.0})
    drawing = drawn(net, [3.0, 4.0], node="t")
    letters = [edge_of(drawing, u, v).entries[0].letter for u, v in (("p", "s"), ("q", "s"), ("s", "t"))]
    assert letters == ["A", "A", ""]
    (tie,) = drawing.parts.legend.ties
    assert plain(tie.text) == "f = 2,  ∂o[t]/∂A = 21  (sum over its 2 uses)"
    assert [letter(k) for k in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_tied_biases_have_letters_too() -> None:
    net = gp.Network()
    net.add_input("x")
    b = net.parameter("b", [0.5, 0.25])
    net.add_node("h", "tanh", {"x": 1.0}, bias=b[0])
    net.add_node("k", "tanh", {"h": 1.0}, bias=b[0])
    net.add_node("y", "softmax_dot", {"k": [1.0, 2.0]}, bias=[b[0], b[1]])
    drawing = drawn(net, [3.0], node="y")
    assert [plain(shape_of(drawing, v).lines[0]).split()[0] for v in ("h", "k")] == ["A", "A"]
    assert column(shape_of(drawing, "y"), "b[i]") == ["A 0.5", "0.25"]
    (tie,) = drawing.parts.legend.ties
    assert plain(tie.text).startswith("b[0] = 0.5,")
    assert plain(tie.text).endswith("(sum over its 3 uses)")


def test_the_loss_is_a_node_that_reads_the_heads() -> None:
    net = gp.mlp([2, 2], seed=0)
    drawing = drawn(net, [1.0, 2.0], loss="half_squared", target=[0.5, 0.25])
    loss = drawing.parts.shapes[-1]
    assert (loss.form, loss.kind, plain(loss.lines[0])) == ("loss", "half-squared", "t (0.5, 0.25)")
    assert [edge.source for edge in drawing.parts.edges if edge.target == loss.id] == ["n2", "n3"]
    assert "loss" not in {shape.form for shape in drawn(net, [1.0, 2.0], node=("y", 1)).parts.shapes}


def test_of_a_batch_one_sample_is_drawn() -> None:
    net = two_layers()
    trace = net.forward([[1.0, -2.0], [0.5, 3.0]])
    g = net.backward(trace, "y")
    drawing = gp.draw(net, trace, g, sample=1)
    assert shows(shape_of(drawing, "h1").value, math.tanh(0.25 - 0.9 + 0.1))
    assert shows(last_word(shape_of(drawing, "h1").pill), g.gamma["h1"][1])
    assert shows(last_word(edge_of(drawing, "x1", "h1").entries[0].derivative), g.weight["x1", "h1"])
    assert drawing.parts.subtitle.endswith("sample [1] of 2; derivatives by weights and biases are over all")
    with pytest.raises(gp.GraphpropError, match=r"sample=2 is out of range; there are the samples 0 to 1"):
        gp.draw(net, trace, g, sample=2)


def test_other_numbers_than_floats_are_drawn() -> None:
    import mpmath
    import sympy

    net = two_layers()
    trace = gp.recursion.forward(net, [1.0, -2.0], numbers=mpmath.mp)
    drawing = gp.draw(net, trace, net.backward(trace, "y"))
    assert shows(shape_of(drawing, "h1").value, math.tanh(1.2))
    symbols = sympy.symbols(f"t:{net.layout.size}")
    formulas = gp.recursion.forward(net, [1.0, -2.0], theta=symbols, numbers=sympy)
    assert "tanh" in gp.draw(net, formulas).svg
