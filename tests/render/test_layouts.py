"""Layouts: our own columns, and what happens where Graphviz is missing, slow or broken."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.render.placing import by_graphviz
from graphprop.render.placing.by_columns import NODE_GAP, Item, place_in_columns, stack
from graphprop.render.placing.placement import Curve, Link, Node, Point
from tests.benchmarks.promises import irregular
from tests.cases import one_of
from tests.pictures import ENGINES, ladder
from tests.render.drawing_cases import (
    two_layers,
)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[Link]]:
    count = draw(st.integers(1, 14))
    outlines = st.sampled_from(["box", "ellipse", "diamond", "plate"])
    size = st.floats(10.0, 120.0)
    nodes = [Node(f"n{k}", draw(size), draw(size), draw(outlines)) for k in range(count)]
    pairs = [(u, v) for u in range(count) for v in range(count) if u != v]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=25, unique=True)) if pairs else []
    labelled = draw(st.booleans())
    links = [Link(f"e{k}", f"n{u}", f"n{v}", 40.0 * labelled, 28.0 * labelled) for k, (u, v) in enumerate(chosen)]
    return nodes, links


def boxes(nodes: list[Node], links: list[Link]) -> dict[str, tuple[float, float, float, float]]:
    placement = place_in_columns(nodes, links)
    found = {}
    for thing, middles in [(node, placement.nodes) for node in nodes] + [(link, placement.labels) for link in links]:
        if thing.id in middles:
            x, y = middles[thing.id]
            found[thing.id] = (x - thing.width / 2, y - thing.height / 2, x + thing.width / 2, y + thing.height / 2)
    return found


@given(graphs())
def test_columns_place_everything_and_nothing_on_anything_else(graph: tuple[list[Node], list[Link]]) -> None:
    nodes, links = graph
    found = boxes(nodes, links)
    assert {node.id for node in nodes} <= set(found)
    assert {link.id for link in links if link.height} <= set(found)
    for (one, a), (other, b) in combinations(found.items(), 2):
        apart = max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])
        assert apart > -1e-6, (one, other)


@given(graphs())
def test_edges_run_from_node_to_node_also_against_the_order(graph: tuple[list[Node], list[Link]]) -> None:
    nodes, links = graph
    placement = place_in_columns(nodes, links)
    size = {node.id: (node.width, node.height) for node in nodes}
    number = {node.id: k for k, node in enumerate(nodes)}
    for link in links:
        curve, tip = placement.curves[link.id]
        for (x, y), name in ((curve[0], link.source), (tip, link.target)):
            cx, cy = placement.nodes[name]
            assert abs(x - cx) <= size[name][0] / 2 + 1e-6
            assert abs(y - cy) <= size[name][1] / 2 + 1e-6
        forth = number[link.source] < number[link.target]
        assert (placement.nodes[link.source][0] < placement.nodes[link.target][0]) == forth


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(1, 80)), min_size=1, max_size=12))
def test_heights_in_a_column_are_least_squares(items: list[tuple[float, float]]) -> None:
    from sklearn.isotonic import IsotonicRegression  # a second of imports, for this test alone

    column = list(range(len(items)))
    boxes = [Item(10.0, height) for _, height in items]
    wanted = {i: y for i, (y, _) in enumerate(items)}
    stack(boxes, column, wanted)
    starts = np.cumsum([0.0, *((a.height + b.height) / 2 + NODE_GAP for a, b in pairwise(boxes))])
    best = IsotonicRegression().fit_transform(column, np.array([y for y, _ in items]) - starts) + starts
    np.testing.assert_allclose([box.y for box in boxes], best, atol=1e-6)


def test_parents_stand_left_of_their_children() -> None:
    net = ladder(200)
    drawing = gp.draw(net, layout="columns")
    x = {shape.name: drawing.placement.nodes[shape.id][0] for shape in drawing.parts.shapes}
    assert all(x[u] < x[v] for u, v in net.edges)


def test_a_planar_net_is_drawn_without_crossings() -> None:
    """A tree, shuffled: the order in the columns is found again."""
    tree = nx.balanced_tree(2, 5)
    order = list(nx.topological_sort(nx.bfs_tree(tree, 0)))
    random = np.random.default_rng(0)
    levels: dict[int, list[int]] = {}
    for v, depth in nx.single_source_shortest_path_length(tree, 0).items():
        levels.setdefault(depth, []).append(v)
    order = [v for depth in sorted(levels) for v in random.permutation(levels[depth]).tolist()]
    nodes = [Node(f"n{v}", 20.0, 20.0, "ellipse") for v in order]
    links = [Link(f"e{u}-{v}", f"n{u}", f"n{v}", 0.0, 0.0) for u, v in nx.bfs_edges(tree, 0)]
    y = {name: point[1] for name, point in place_in_columns(nodes, links).nodes.items()}
    for depth in range(1, 5):
        ends = sorted((y[f"n{u}"], y[f"n{v}"]) for u, v in nx.bfs_edges(tree, 0) if u in levels[depth])
        assert [b for _, b in ends] == sorted(b for _, b in ends)


# ------------------------------------------------------------------ Graphviz, and its troubles


def trouble(error: Exception) -> Any:
    def run(*_: Any) -> bytes:
        raise error

    return run


def test_a_layout_that_takes_too_long_is_stopped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_graphviz, "graphviz_engines", lambda: ["dot", "pygraphviz"])
    monkeypatch.setattr(by_graphviz, "run_graphviz", trouble(subprocess.TimeoutExpired("dot", 2.5)))
    drawing = gp.draw(ladder(20), timeout=2.5)
    assert drawing.placement.engine == "columns"
    assert drawing.notes == ("Graphviz took longer than 2.5 s, so this is the simple layout",)
    assert drawing.notes[0] in drawing.svg


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_the_process_really_ends_at_the_timeout(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    drawing = gp.draw(ladder(900), layout=engine, timeout=0.02)
    monkeypatch.setattr(subprocess, "Popen", Recorded)
    assert drawing.placement.engine == "columns"
    assert started
    assert all(process.poll() is not None for process in started)


def test_a_graphviz_that_fails_is_replaced_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_graphviz, "graphviz_engines", lambda: ["dot", "pygraphviz"])
    monkeypatch.setattr(by_graphviz, "run_graphviz", trouble(OSError("dot: broken")))
    drawing = gp.draw(ladder(20))
    assert drawing.placement.engine == "columns"
    assert drawing.notes[-1] == "pygraphviz failed, so this is the next best layout"


def test_graphviz_that_answers_nonsense_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_graphviz, "graphviz_engines", lambda: ["dot"])
    monkeypatch.setattr(by_graphviz, "run_graphviz", lambda *_: b'{"objects": []}')
    assert gp.draw(ladder(20)).placement.engine == "columns"


def test_an_engine_that_was_asked_for_and_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(gp.GraphpropError, match=r"layout='dot': .*pip install 'pygraphviz>=2'"):
        gp.draw(ladder(5), layout="dot").placement  # noqa: B018


def test_without_graphviz_our_own_layout_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_graphviz, "graphviz_engines", list)
    drawing = gp.draw(ladder(20))
    assert drawing.placement.engine == "columns"
    assert drawing.notes == ()


def samples(curve: Curve, steps: int = 24) -> Iterator[Point]:
    """Points on a cubic spline, by de Casteljau's construction."""
    for k in range(0, len(curve) - 1, 3):
        for t in np.linspace(0.0, 1.0, steps):
            points = np.array(curve[k : k + 4])
            while len(points) > 1:
                points = (1 - t) * points[:-1] + t * points[1:]
            yield float(points[0, 0]), float(points[0, 1])


def fan(count: int) -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    for k in range(count):
        net.add_node(f"a{k}", "tanh", {"x": 0.1 * k})
    net.add_node("y", "max", {f"a{k}": [0.1, 0.2, 0.3] for k in range(count)})
    return net


LABELLED = [
    pytest.param(lambda: gp.mlp([2, 4, 1], "tanh", seed=0), id="2-4-1"),
    pytest.param(lambda: gp.mlp([3, 3, 3, 2], "tanh", seed=0), id="3-3-3-2"),
    pytest.param(lambda: fan(12), id="fan"),
    pytest.param(lambda: irregular(14), id="irregular"),
    pytest.param(lambda: irregular(24), id="irregular, larger", marks=pytest.mark.thorough),
    pytest.param(lambda: ladder(12), id="ladder"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", LABELLED)
def test_each_label_stands_on_its_own_edge_and_no_other_edge_runs_through_it(make: Any, engine: str) -> None:
    drawing = gp.draw(make(), layout=engine)
    for edge in drawing.parts.edges:
        x, y = drawing.placement.labels[edge.id]
        w, h = drawing.labels[edge.id].width / 2, drawing.labels[edge.id].height / 2
        for other in drawing.parts.edges:
            below = [v - y for u, v in samples(drawing.placement.curves[other.id][0]) if abs(u - x) < w]
            if other is edge:
                assert below
                assert all(h <= d <= h + 6 for d in below), edge
            else:
                assert not any(-h < d < h for d in below), (edge, other)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", [*LABELLED[:3], pytest.param(two_layers, id="skip")])
def test_the_declared_order_is_kept_where_it_crosses_nothing_more(make: Any, engine: str) -> None:
    net = make()
    drawing = gp.draw(net, layout=engine)
    middles = {shape.name: drawing.placement.nodes[shape.id] for shape in drawing.parts.shapes}
    level = dict.fromkeys(net.inputs, 0)
    for u, v in sorted(net.edges, key=lambda edge: list(middles).index(edge[1])):
        level[v] = max(level.get(v, 0), level[u] + 1)
    for one, other in combinations(middles, 2):
        if level[one] == level[other]:
            assert middles[one][1] < middles[other][1]


def test_an_order_with_fewer_crossings_is_preferred_to_the_declared_one() -> None:
    nodes = [Node(name, 30.0, 30.0, "ellipse") for name in ("a", "b", "c", "d")]
    crossed = [Link("e0", "a", "d", 30.0, 12.0), Link("e1", "b", "c", 30.0, 12.0)]
    straight = [Link("e0", "a", "c", 30.0, 12.0), Link("e1", "b", "d", 30.0, 12.0)]
    assert by_graphviz.declared_order(nodes, crossed) == []
    assert by_graphviz.declared_order(nodes, straight) == [["a", "b"], ["c", "d"]]


def test_graphviz_gets_sizes_and_no_names() -> None:
    drawing = gp.draw(ladder(30))
    nodes = [Node(s, f.width, f.height, f.outline, f.rows) for s, f in drawing.figures.items()]
    source = by_graphviz.skeleton(nodes, drawing.links, True)
    assert "tanh" not in source
    assert '"v' not in source


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", one_of(2, (60, 1000)))
def test_irregular_networks_are_drawn_by_each_engine(count: int, engine: str) -> None:
    drawing = gp.draw(irregular(count), layout=engine, timeout=300)
    assert drawing.svg
    assert drawing.notes == ()


def test_what_graphviz_would_never_finish_is_not_given_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_graphviz, "graphviz_engines", lambda: ["dot"])
    monkeypatch.setattr(by_graphviz, "run_graphviz", trouble(AssertionError("it was started")))
    drawing = gp.draw(ladder(1000))
    assert drawing.notes == ("the edges pass too many levels for Graphviz, so this is the simple layout",)
