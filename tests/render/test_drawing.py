"""What a picture shows: the right numbers, as much as there is room for, and a dash for what was not computed."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.files import saving
from graphprop.render.drawn.lettering import digits, name_line, plain
from graphprop.render.legends import letter
from graphprop.render.placing import by_graphviz
from tests import golden
from tests.pictures import ENGINES, column, edge_of, hostile_net, ladder, last_word, number, shape_of, shows
from tests.project import ROOT


def two_layers() -> gp.Network:
    net = gp.Network("two layers")
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h1", "tanh", {"x1": 0.5, "x2": -0.3}, bias=0.1)
    net.add_node("h2", "tanh", {"x1": 0.8, "x2": 0.2})
    net.add_node("y", "softmax_dot", {"h1": [0.2, -0.7], "h2": [1.1, 0.4]})
    return net


def drawn(net: gp.Network, inputs: Any, **objective: Any) -> gp.Drawing:
    trace = net.forward(inputs)
    return gp.draw(net, trace, net.backward(trace, **objective))


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


# ------------------------------------------------------------------ how much is shown


@pytest.mark.parametrize(
    ("count", "detail"),
    [(60, "full"), (61, "nodes"), (300, "nodes"), (301, "shapes"), (1000, "shapes"), (1001, "groups")],
)
def test_the_detail_goes_by_size(count: int, detail: str) -> None:
    drawing = gp.draw(ladder(count))
    assert drawing.parts.detail == detail
    assert any(edge.entries for edge in drawing.parts.edges) == (detail in ("full", "groups"))
    assert any(shape.heading for shape in drawing.parts.shapes) == (detail != "shapes")
    assert all(edge.tooltip for edge in drawing.parts.edges)
    assert bool(drawing.parts.notes) == (detail == "groups")


def test_a_summary_counts_every_node_and_edge() -> None:
    net = ladder(2000)
    drawing = drawn(net, np.ones(3), node="v1999")
    counted = sum(int(shape.kind.split()[0]) for shape in drawing.parts.shapes)
    inside = sum(
        int(plain(line).split()[0]) for s in drawing.parts.shapes for line in s.lines if "inside" in plain(line)
    )
    between = sum(int(edge.entries[0].weight[0].text.split()[0]) for edge in drawing.parts.edges)
    assert counted == 2000
    assert inside + between == len(net.edges) or "bundles" in drawing.parts.notes[1]
    assert drawing.parts.notes[0] == f"showing {len(drawing.parts.shapes)} groups of 2000 nodes"


def test_groups_are_those_of_a_function_or_a_mapping() -> None:
    net = two_layers()
    drawing = gp.draw(net, group=lambda name: "layer" if name.startswith("h") else "rest")
    assert [(shape.text, shape.kind) for shape in drawing.parts.shapes] == [("rest", "3 nodes"), ("layer", "2 nodes")]
    assert [edge.entries[0].weight[0].text for edge in drawing.parts.edges] == ["4 edges", "2 edges"]
    assert [s.text for s in gp.draw(net, group={"h1": 1, "h2": 1}).parts.shapes] == ["others", "1"]
    many = gp.draw(ladder(200), group=lambda name: name)
    assert len(many.parts.shapes) == 60
    assert many.parts.shapes[-1].text == "141 other groups"
    with pytest.raises(gp.GraphpropError, match=r"group= failed for node 'x1': KeyError"):
        gp.draw(net, group=lambda name: {}[name])


def test_focus_shows_ancestors_and_descendants() -> None:
    net = ladder(2000)
    drawing = gp.draw(net, focus="v1000", depth=1)
    names = {shape.name for shape in drawing.parts.shapes}
    assert names == {"v500", "v997", "v999", "v1000", "v1001", "v1003"}
    assert drawing.parts.notes == (f"showing 6 of 2000 nodes, {len(drawing.parts.edges)} of {len(net.edges)} edges",)
    assert {shape.name for shape in gp.draw(net, focus="v1000", depth=0).parts.shapes} == {"v1000"}
    with pytest.raises(gp.GraphpropError, match=r"depth= belongs to focus="):
        gp.draw(net, depth=1)
    with pytest.raises(gp.UnknownNameError, match=r"unknown node 'v5000'"):
        gp.draw(net, focus="v5000")


def test_top_shows_the_largest_gradients() -> None:
    net = two_layers()
    trace = net.forward([1.0, -2.0])
    g = net.backward(trace, "y")
    drawing = gp.draw(net, trace, g, top=2)
    sizes = {edge: float(np.linalg.norm(g.weight[edge])) for edge in net.edges}
    largest = sorted(sizes, key=sizes.__getitem__)[-2:]
    shown = {shape.id: shape.name for shape in drawing.parts.shapes}
    assert {(shown[edge.source], shown[edge.target]) for edge in drawing.parts.edges} == set(largest)


def test_a_path_is_lit() -> None:
    net = two_layers()
    drawing = gp.draw(net, path=["x1", "h2", "y"])
    assert {shape.name for shape in drawing.parts.shapes if shape.lit} == {"x1", "h2", "y"}
    assert [edge.lit for edge in drawing.parts.edges].count(True) == 2
    with pytest.raises(gp.UnknownNameError, match=r"unknown edge"):
        gp.draw(net, path=["x1", "y"])
    with pytest.raises(gp.GraphpropError, match=r"path= is a list of node names"):
        gp.draw(net, path="x1")
    large = gp.draw(ladder(3000), path=["v2999", "v2999"][:1])
    assert [shape.name for shape in large.parts.shapes] == ["v2999"]


def test_long_vectors_are_cut() -> None:
    net = gp.Network()
    net.add_input("x", size=500)
    net.add_node("p", "softmax", {"x": np.ones((300, 500)) / 500})
    drawing = drawn(net, np.ones(500), node="p", component=0)
    table = shape_of(drawing, "p").table
    assert table is not None
    assert (len(table.rows), table.hidden) == (11, 289)
    assert plain(edge_of(drawing, "x", "p").entries[0].weight) == "W 300 × 500"
    assert len(drawing.svg) < 60_000


# ------------------------------------------------------------------ how it is handed out


def test_a_notebook_gets_svg_and_text() -> None:
    bundle = gp.draw(two_layers())._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    assert bundle["text/html"] == f"<div>{bundle['image/svg+xml']}</div>"
    assert bundle["image/svg+xml"].split(">", 1)[0].endswith(' style="max-width: 100%; height: auto"')
    assert bundle["text/plain"] == "<Drawing of 'two layers': 5 nodes, 6 edges>"


def test_a_repr_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no\x00 way")

    monkeypatch.setattr(by_graphviz, "place", fail)
    bundle = gp.draw(hostile_net())._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain"}
    assert bundle["text/plain"].endswith("which could not be drawn: no\ufffd way")


def test_saving_goes_by_suffix(tmp_path: Path) -> None:
    drawing = gp.draw(two_layers())
    assert drawing.save(tmp_path / "net.svg").read_text() == drawing.svg
    assert drawing.save(str(tmp_path / "net.DOT")).read_text() == drawing.source
    with pytest.raises(gp.GraphpropError, match=r"cannot save as 'net.jpg': the suffix is one of .svg, .png, .pdf"):
        drawing.save(tmp_path / "net.jpg")
    with pytest.raises(gp.GraphpropError, match=r"net.svg: cannot be written: there is no folder .*nowhere'"):
        drawing.save(tmp_path / "nowhere" / "net.svg")


@pytest.mark.parametrize("fails", ["replace", "fsync", "open"])
@pytest.mark.parametrize("suffix", ["svg", "dot", "html", "png", "pdf"])
def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    suffix: str, fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = gp.draw(two_layers(), layout="columns")
    monkeypatch.setattr(by_graphviz, "render", lambda source, form, timeout: b"a picture")
    old = tmp_path / f"net.{suffix}"
    old.write_text("the old picture")

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(saving if fails == "open" else os, fails, full, raising=False)
        with pytest.raises(gp.GraphpropError, match=rf"net\.{suffix}: cannot be written: No space left on device"):
            drawing.save(old)
    assert old.read_text() == "the old picture"
    assert os.listdir(tmp_path) == [old.name]
    drawing.save(old)
    assert old.read_bytes() != b"the old picture"
    assert os.listdir(tmp_path) == [old.name]


@pytest.mark.parametrize("given", [np.array([1, 2]), np.array(["gradients", "weights"]), 3, "other", ["weights"]])
@pytest.mark.parametrize("argument", ["show", "layout"])
def test_a_choice_is_one_of_its_words(argument: str, given: Any) -> None:
    with pytest.raises(gp.GraphpropError, match=f"{argument} is "):
        gp.draw(two_layers(), **{argument: given})


@pytest.mark.parametrize("timeout", [math.inf, 1e300, sys.float_info.max, 10**400])
@pytest.mark.parametrize("engine", ENGINES)
def test_however_long_graphviz_may_take_it_is_drawn(timeout: float, engine: str) -> None:
    assert gp.draw(two_layers(), layout=engine, timeout=timeout).placement.engine == engine


def test_a_network_without_a_name_has_no_title() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "tanh", {"x": 0.5})
    drawing = gp.draw(net, layout="columns")
    assert repr(drawing) == "<Drawing: 2 nodes, 1 edge>"
    assert "<title " in drawing.svg
    assert ">network<" not in drawing.svg.replace(f'<title id="{drawing.prefix}-title">network</title>', "")
    assert "network" not in drawing.source
    assert "<h1>" not in drawing.html
    assert ">my net<" in gp.draw(net, title="my net", layout="columns").svg


def test_png_and_pdf_without_graphviz_say_in_one_line_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_graphviz, "graphviz_engines", list)
    for suffix in ("png", "pdf"):
        with pytest.raises(gp.GraphpropError, match=r"pip install 'pygraphviz>=2', or install the dot program") as told:
            gp.draw(two_layers()).save(tmp_path / f"net.{suffix}")
        assert "\n" not in str(told.value)


def test_the_same_network_gives_the_same_bytes() -> None:
    code = (
        "import hashlib, graphprop as gp; from tests.pictures import hostile_net, ladder\n"
        "for net in (hostile_net(), ladder(50), ladder(1500)):\n"
        "    trace = net.forward([1.0] * len(net.inputs))\n"
        "    d = gp.draw(net, trace, net.backward(trace, net.outputs[-1]), layout='columns')\n"
        "    print(hashlib.sha256((d.source + d.svg).encode()).hexdigest())\n"
    )
    printed = set()
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)
    assert len(printed) == 1


def test_a_drawing_is_plain_data() -> None:
    import json

    net = two_layers()
    drawing = drawn(net, [1.0, -2.0], loss="half_squared", target=[0.25])
    data = json.loads(json.dumps(drawing.to_dict(), allow_nan=False))
    assert [node["name"] for node in data["nodes"]] == ["x1", "x2", "h1", "h2", "y", "J"]
    assert len(data["edges"]) == len(net.edges) + 1


# ------------------------------------------------------------------ what is refused


def test_what_does_not_belong_together_is_refused() -> None:
    net, other = two_layers(), ladder(5)
    trace = net.forward([1.0, 2.0])
    with pytest.raises(gp.GraphpropError, match=r"the trace is of another structure"):
        gp.draw(other, trace)
    with pytest.raises(gp.GraphpropError, match=r"the gradients are of another structure"):
        gp.draw(other, gradients=net.backward(trace, "y"))
    with pytest.raises(gp.GraphpropError, match=r"they do not belong together"):
        gp.draw(net, net.forward([[1.0, 2.0], [3.0, 4.0]]), net.backward(trace, "y"))
    with pytest.raises(gp.GraphpropError, match=r"gradients of net.backward are needed, not Trace"):
        gp.draw(net, trace, trace)  # type: ignore[arg-type]
    with pytest.raises(gp.GraphpropError, match=r"a network is needed, a gp.Network, not int"):
        gp.draw(3)  # type: ignore[arg-type]
    with pytest.raises(gp.GraphpropError, match=r"no nodes to draw"):
        gp.draw(gp.Network())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"show": "values"}, r"show is 'gradients' or 'weights', not 'values'"),
        ({"top": 0}, r"top= is a whole number of at least 1, not 0"),
        ({"focus": "y", "depth": -1}, r"depth= is a whole number of at least 0"),
        ({"layout": "neato"}, r"layout is 'dot', 'pygraphviz' or 'columns', not 'neato'"),
        ({"timeout": 0}, r"timeout is a number of seconds above 0"),
        ({"title": 3}, r"the title is a text"),
        ({"group": 3}, r"group= is a function"),
        ({"path": []}, r"path= is a list of node names"),
    ],
)
def test_options_that_are_wrong_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(gp.GraphpropError, match=message):
        gp.draw(two_layers(), **options)


# ------------------------------------------------------------------ time


def test_a_summary_of_100_000_nodes_is_drawn() -> None:
    v = np.arange(20, 100_000)
    source = np.concatenate([v - 1, v - 7, v // 2 - 5])
    net = gp.Program.from_edges(20, source, np.tile(v, 3), "tanh").to_network()
    net.theta[:] = 0.1
    trace = net.forward(np.ones(20))
    g = net.backward(trace, 99_999)
    drawing = gp.draw(net, trace, g)
    assert drawing.svg
    assert drawing.parts.notes[0].endswith("groups of 100000 nodes")
