"""SVG: whole, self-contained, and nothing in it lies on something else."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import graphprop as gp
from graphprop.cli.commands import two_layer_net
from graphprop.render.drawn.figures import Figure, Text
from graphprop.render.drawn.lettering import line_width
from tests.pictures import ENGINES, hostile_net, ladder

SVG = "{http://www.w3.org/2000/svg}"


def convolution() -> gp.Network:
    net = gp.Network("convolution")
    x = [["x1", "x2", "x3"], ["x4", "x5", "x6"]]
    for row in x:
        for name in row:
            net.add_input(name)
    gp.conv2d(net, x, [[2.0], [4.0], [-1.0]], padding=(1, 0))
    return net


def heads() -> gp.Network:
    net = gp.Network("heads")
    net.add_input("x", size=3)
    net.add_node("h", "tanh", {"x": np.arange(6.0).reshape(2, 3) / 5}, size=2, bias=[0.1, -0.1])
    net.add_node("p", "softmax", {"h": [[1.0, 2.0], [0.0, -1.0], [0.5, 0.5]]})
    net.add_node("m", "max", {"h": [[1.0, 2.0], [0.0, -1.0], [0.5, 0.5]], "p": np.eye(3)})
    return net


def partial() -> gp.Network:
    """Edges that begin and end at single components."""
    net = gp.Network("partial edges")
    net.add_input("x", size=3)
    net.add_node("y", "softmax_dot", size=2)
    net.add_edge("x", "y", 0.5, to=1, of=0)
    net.add_node("z", "tanh", {"y": -2.0})
    net.add_edge("x", "z", 0.25, of=2)
    net.add_node("a_node_with_a_very_long_name_indeed_42", "leaky_relu", {"z": 1e-7, "y": -123456.789}, bias=1e5)
    return net


def unrolled() -> gp.Network:
    """Weights and biases that are tied through time."""
    cell = gp.Network("cell")
    cell.add_input("x")
    cell.add_input("h")
    cell.add_node("g", "tanh", {"x": 0.5, "h": 1.25}, bias=0.1)
    return gp.unroll(cell, {"g": "h"}, steps=4)


NETS: list[Any] = [
    two_layer_net,
    convolution,
    heads,
    partial,
    unrolled,
    hostile_net,
    lambda: ladder(40),
    lambda: ladder(1500),
]


def drawn(net: gp.Network, **options: Any) -> gp.Drawing:
    trace = net.forward(np.linspace(-1.0, 1.0, len(net.layout.input_columns)))
    g = net.backward(trace, loss="half_squared", target=np.zeros(sum(map(net.output_size, net.outputs))))
    return gp.draw(net, trace, g, **options)


def corners(figure: Figure, middle: tuple[float, float]) -> tuple[float, float, float, float]:
    x, y = middle
    return x - figure.width / 2, y - figure.height / 2, x + figure.width / 2, y + figure.height / 2


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """How deep two boxes lie in each other."""
    return min(min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", NETS)
def test_no_node_or_label_lies_on_another(make: Any, engine: str) -> None:
    drawing = drawn(make(), layout=engine)
    placement = drawing.placement
    boxes = {id_: corners(drawing.figures[id_], middle) for id_, middle in placement.nodes.items()}
    boxes |= {f"{id_} label": corners(drawing.labels[id_], middle) for id_, middle in placement.labels.items()}
    assert len(placement.labels) == len(drawing.labels)
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert overlap(a, b) < 1.5, (one, other)


@pytest.mark.parametrize("make", NETS)
def test_all_text_is_inside_its_shape(make: Any) -> None:
    drawing = drawn(make())
    for figure in [*drawing.figures.values(), *drawing.labels.values()]:
        rx, ry = figure.width / 2, figure.height / 2
        for mark in figure.marks:
            if not isinstance(mark, Text) or not mark.line:
                continue
            wide = line_width(mark.line)
            left = mark.x - {"start": 0.0, "middle": wide / 2, "end": wide}[mark.anchor]
            for x in (left, left + wide):
                if figure.outline == "ellipse":
                    assert (x / rx) ** 2 + ((mark.y - 4) / ry) ** 2 <= 1.02, mark
                else:
                    assert -rx - 0.5 <= x <= rx + 0.5, mark
            assert -ry <= mark.y - 4 <= ry, mark


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", NETS)
def test_edges_begin_and_end_at_their_nodes(make: Any, engine: str) -> None:
    drawing = drawn(make(), layout=engine)
    for edge in drawing.parts.edges:
        curve, tip = drawing.placement.curves[edge.id]
        assert len(curve) % 3 == 1
        for point, node in ((curve[0], edge.source), (tip, edge.target)):
            left, top, right, bottom = corners(drawing.figures[node], drawing.placement.nodes[node])
            assert left - 3 <= point[0] <= right + 3, edge
            assert top - 3 <= point[1] <= bottom + 3, edge


@pytest.mark.parametrize("engine", ENGINES)
def test_an_edge_of_one_component_joins_its_row(engine: str) -> None:
    drawing = drawn(partial(), layout=engine)
    number = {shape.name: shape.id for shape in drawing.parts.shapes}
    for u, v, row_of, row_to in (("x", "y", 0, 1), ("x", "z", 2, None)):
        edge = next(e for e in drawing.parts.edges if (e.source, e.target) == (number[u], number[v]))
        assert (edge.from_row, edge.to_row) == (row_of, row_to)
        curve, tip = drawing.placement.curves[edge.id]
        for point, node, row in ((curve[0], edge.source, row_of), (tip, edge.target, row_to)):
            if row is not None:
                y = drawing.placement.nodes[node][1] + drawing.figures[node].rows[row]
                assert abs(point[1] - y) < 4.0


@pytest.mark.parametrize("make", NETS)
def test_it_is_well_formed_and_refers_to_nothing_outside(make: Any) -> None:
    svg = drawn(make(), layout="columns").svg
    tree = ElementTree.fromstring(svg)
    svg = svg.replace(' style="max-width: 100%; height: auto"', "", 1)
    assert not re.search(r"(?<![\w-])(href|src|url|style|on[a-z]+)\s*=|url\(|@import|javascript:(?!alert)", svg)
    assert svg.count("http") == 1
    _, _, width, height = map(float, tree.get("viewBox", "").split())
    assert (float(tree.get("width", "0")), float(tree.get("height", "0"))) == (width, height)


def test_everything_drawn_lies_on_the_paper() -> None:
    drawing = drawn(two_layer_net(), layout="columns")
    tree = ElementTree.fromstring(drawing.svg)
    width, height = float(tree.get("width", "0")), float(tree.get("height", "0"))
    (picture,) = (g for g in tree.iter(f"{SVG}g") if g.get("class") == "picture")
    dx, dy = map(float, re.findall(r"-?[\d.]+", picture.get("transform", "")))
    for id_, middle in drawing.placement.nodes.items():
        left, top, right, bottom = corners(drawing.figures[id_], middle)
        assert left + dx >= 0
        assert right + dx <= width
        assert top + dy >= 0
        assert bottom + dy <= height


def test_ids_are_unique_in_a_picture_and_between_pictures() -> None:
    one, other = drawn(two_layer_net()).svg, drawn(convolution()).svg
    found = [re.findall(r' id="([^"]*)"', svg) for svg in (one, other)]
    assert all(len(ids) == len(set(ids)) for ids in found)
    assert not set(found[0]) & set(found[1])


def test_every_node_and_edge_can_be_found_and_says_what_it_is() -> None:
    net = two_layer_net()
    drawing = drawn(net)
    tree = ElementTree.fromstring(drawing.svg)
    titles = {g.get("id"): g.findtext(f"{SVG}title") for g in tree.iter(f"{SVG}g") if g.get("id")}
    for shape in drawing.parts.shapes:
        assert titles[f"{drawing.prefix}-{shape.id}"] == shape.tooltip
    tip = titles[f"{drawing.prefix}-e0"]
    assert tip is not None
    assert tip.startswith("x1 → h1\nw(x1, h1) = 0.5, ∂J/∂w(x1, h1) = ")


def test_the_legend_says_what_is_encoded() -> None:
    svg = drawn(convolution()).svg
    text = " ".join("".join(ElementTree.fromstring(svg).itertext()).split())
    for words in (
        "node fill, bold: output",
        "edge colour, dash: sign of ∂J/∂w",
        "edge width ∝ √|∂J/∂w|",
        "tied weights",
    ):
        assert words in text
    assert "3 significant digits" in text


def test_a_norm_on_an_edge_is_in_the_legend_and_only_then() -> None:
    layers = gp.mlp([3, 4, 2], seed=0, by="layer")
    for net, normed in ((layers, True), (two_layer_net(), False), (layers.expand(), False)):
        svg = drawn(net).svg
        assert ("|∂| = norm of all ∂J/∂w of W" in svg) == normed == (">|∂| <" in svg)


def test_every_weight_is_called_by_one_name_in_tooltips() -> None:
    drawing = drawn(two_layer_net())
    for edge in drawing.parts.edges:
        for line in edge.tooltip.split("\n")[1:]:
            assert re.match(r"(w\(.*\)) = .*, ∂J/∂\1 = ", line)
