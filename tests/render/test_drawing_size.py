"""How much of a network a picture shows."""

from __future__ import annotations

import numpy as np
import pytest

import graphprop as gp
from graphprop.render.drawn.lettering import plain
from tests.pictures import edge_of, ladder, shape_of
from tests.render.drawing_cases import (
    drawn,
    two_layers,
)


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
