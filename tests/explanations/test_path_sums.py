"""The sum over paths: against every path listed, and against the gradients."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from tests import golden
from tests.random_graphs import components, graphs

Step = tuple[Any, int]


def block(net: gp.Network, u: Any, v: Any) -> np.ndarray:
    n, m = components(net, v)[0], components(net, u)[1]
    return np.reshape(net.weight(u, v), (n, m))


def jacobian(net: gp.Network, trace: gp.Trace, v: Any) -> np.ndarray:
    f = net.activation(v)
    a = np.atleast_1d(trace.a[v])
    if f.kind == "elementwise":
        return np.diag([f.vjp(x, 1.0) for x in a])
    return np.atleast_2d(f.jacobian(a))


def listed(net: gp.Network, trace: gp.Trace, u: Any, i: int, v: Any, k: int) -> list[float]:
    """What every path brings, from component i of u to output k of v, by walking all of them."""
    inputs = set(net.inputs)

    def after_a(node: Any, i: int, so_far: float) -> Iterator[float]:
        L = jacobian(net, trace, node)
        outputs = [i] if net.activation(node).kind == "elementwise" else range(len(L))
        for k in outputs:
            yield from after_o(node, k, so_far * L[k, i])

    def after_o(node: Any, j: int, so_far: float) -> Iterator[float]:
        if node == v:
            if j == k:
                yield so_far
            return
        for child in net.children(node):
            W = block(net, node, child)
            for row in range(len(W)):
                if not math.isnan(W[row, j]):
                    yield from after_a(child, row, so_far * W[row, j])

    return list(after_o(u, i, 1.0) if u in inputs else after_a(u, i, 1.0))


def derivative(net: gp.Network, trace: gp.Trace, u: Any, i: int, v: Any, k: int) -> float:
    """The same derivative, from the recursion over all paths."""
    g = gp.recursion.backpropagate(net, trace, v, component=k, form="paths")
    of = g.input if u in net.inputs else g.delta if u in g.delta else g.gamma
    return float(np.atleast_1d(of[u])[i])


def check(net: gp.Network, trace: gp.Trace, u: Any, i: int, v: Any, k: int, top: int) -> None:
    every = sorted(listed(net, trace, u, i, v, k), key=abs, reverse=True)
    found = gp.paths(net, trace, u, v, top, of=i, to=k)
    size = math.fsum(map(abs, every))
    assert found.count == len(every)
    assert found.total == pytest.approx(derivative(net, trace, u, i, v, k), rel=1e-12, abs=1e-12 * size)
    assert found.absolute == pytest.approx(size, rel=1e-12)
    assert [abs(path.contribution) for path in found.top] == pytest.approx(list(map(abs, every[:top])), rel=1e-12)
    for path in found.top:
        assert math.prod(factor.value for factor in path.factors) == pytest.approx(path.contribution, rel=1e-12)
        assert path.nodes[0] == u
        assert path.nodes[-1] == v
        assert all(edge in net.edges for edge in zip(path.nodes, path.nodes[1:], strict=False))
    shown = [path.contribution for path in found.top]
    assert math.fsum([*shown, found.rest]) == pytest.approx(found.total, rel=1e-12, abs=1e-12 * size)
    assert len({path.factors and tuple(f.symbol for f in path.factors) for path in found.top}) == len(found.top)


@given(graphs(max_nodes=6), st.data())
def test_the_largest_of_all_paths_are_found(drawn: tuple[gp.Network, Any], data: st.DataObject) -> None:
    net, inputs = drawn
    trace = net.forward(inputs)
    u, v = data.draw(st.sampled_from(net.nodes)), data.draw(st.sampled_from(net.nodes))
    i = data.draw(st.integers(0, components(net, u)[0] - 1))
    k = data.draw(st.integers(0, components(net, v)[1] - 1))
    check(net, trace, u, i, v, k, data.draw(st.integers(0, 12)))


@pytest.mark.parametrize("name", sorted({name for name, _ in golden.CASES} - {"ladder12"}))
def test_golden_graphs(name: str) -> None:
    graph = golden.GRAPHS[name]
    net = golden.build(graph)
    trace = net.forward(golden.inputs(graph))
    for u in net.nodes[:4]:
        for v in net.nodes[-2:]:
            check(net, trace, u, components(net, u)[0] - 1, v, components(net, v)[1] - 1, 3)


def test_the_ladder_of_4096_paths() -> None:
    graph = golden.GRAPHS["ladder12"]
    net, expected = golden.build(graph), graph["expect"]["objectives"][0]
    found = gp.paths(net, net.forward(golden.inputs(graph)), net.inputs[0], expected["objective"]["node"], top=4096)
    assert found.count == 4096
    assert found.rest == 0
    contributions = [path.contribution for path in found.top]
    assert [abs(x) for x in contributions] == sorted((abs(x) for x in contributions), reverse=True)
    assert math.fsum(contributions) == pytest.approx(float(expected["dJ_do"][net.inputs[0]][0]), rel=1e-12)


def ladder(steps: int, weights: Iterator[float]) -> gp.Network:
    net = gp.Network()
    net.add_input(0)
    for j in range(0, 3 * steps, 3):
        net.add_node(j + 1, "tanh", {j: next(weights)})
        net.add_node(j + 2, "sin", {j: next(weights)})
        net.add_node(j + 3, "identity", {j + 1: next(weights), j + 2: next(weights)})
    return net


def test_a_ladder_of_two_to_the_sixty_paths() -> None:
    net = ladder(60, iter(np.random.default_rng(0).normal(0, 0.8, 240).tolist()))
    trace = net.forward([0.3])
    found = gp.paths(net, trace, 0, 180, top=100)  # to list them all would take for ever
    assert found.count == 2**60
    assert found.total == pytest.approx(net.backward(trace, 180).input[0], rel=1e-9)
    best = 1.0
    for j in range(0, 180, 3):  # the largest product takes the larger way round every diamond
        ways = [
            abs(net.weight(j, j + m) * net.activation(j + m).vjp(trace.a[j + m], 1.0) * net.weight(j + m, j + 3))
            for m in (1, 2)
        ]
        best *= max(ways)
    assert abs(found.top[0].contribution) == pytest.approx(best, rel=1e-12)


def test_ties_and_zeros_are_no_trouble_and_come_in_a_fixed_order() -> None:
    net = ladder(60, iter([0.5] * 240))
    trace = net.forward([0.0])
    one, other = (gp.paths(net, trace, 0, 180, top=20) for _ in range(2))
    assert [path.nodes for path in one.top] == [path.nodes for path in other.top]
    assert len({path.nodes for path in one.top}) == 20
    dead = gp.Network()
    dead.add_input("x")
    dead.add_node("h", "relu", {"x": -1.0})
    dead.add_node("y", "identity", {"h": 1.0, "x": 2.0})
    found = gp.paths(dead, dead.forward([1.0]), "x", "y")
    assert [path.contribution for path in found.top] == [2.0, 0.0]
    assert found.count == 2


def test_what_overflows_on_the_way_does_not_matter() -> None:
    net = gp.Network()
    net.add_input("x")
    last = "x"
    for j, w in enumerate([1e200, 1e-150, 1e-250, 1e160, 1e41]):
        net.add_node(j, "identity", {last: w})
        last = j
    found = gp.paths(net, net.forward([1e-150]), "x", 4)
    assert found.top[0].contribution == pytest.approx(10.0, rel=1e-12)
    tiny = ladder(400, iter([0.05] * 1600))
    small = gp.paths(tiny, tiny.forward([0.0]), 0, 1200, top=2)  # every path is about 1e-1040
    assert small.count == 2**400
    assert small.total == 0


def test_long_paths_and_huge_counts() -> None:
    net = ladder(1500, iter([0.7, 0.7, 0.7, 0.8] * 1500))
    found = gp.paths(net, net.forward([0.1]), 0, 4500, top=2)
    assert found.count == 2**1500
    assert max(map(len, found.text().splitlines())) < 2000
    assert "2^" in repr(found)
    json.dumps(replace(found, count=2**20000).to_dict())


def small() -> tuple[gp.Network, gp.Trace]:
    net = gp.Network()
    net.add_input("x<b>", size=2)
    net.add_node("p", "softmax", {"x<b>": [[1.0, 2.0], [0.5, None]]})
    net.add_node("y", "identity", {"p": [3.0, -1.0], "x<b>": [0.25, 0.0]})
    net.add_node("alone", "tanh", {"x<b>": [1.0, 1.0]})
    return net, net.forward([[0.5, 0.25], [1.0, 1.0]])


def test_text_html_and_dict() -> None:
    net, trace = small()
    found = gp.paths(net, trace, "x<b>", "y", top=1, of=0, sample=1)
    assert found.count == 5
    assert "do[y]/do[x<b>][0], all 5 paths" in str(found)
    assert "w(0, x<b>[0], p)" in str(gp.paths(net, trace, "x<b>", "y", of=0, sample=1))
    assert "<b>" not in found._repr_html_()
    assert json.loads(json.dumps(found.to_dict()))["count"] == 5
    assert str(gp.paths(net, trace, "alone", "y", sample=0)) == "do[y]/da[alone] = 0: no path leads there"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "z"}, "unknown node 'z'"),
        ({"sample": None}, "has 2 samples"),
        ({"sample": 2}, "0 to 1"),
        ({"of": None}, "2 components; say which one with of="),
        ({"of": 2}, "components 0 to 1"),
        ({"to": 1}, "components 0 to 0"),
        ({"target": "p"}, "with to="),
        ({"top": -1}, "0 or more"),
        ({"top": True}, "0 or more"),
    ],
)
def test_mistakes_are_told(arguments: dict[str, Any], message: str) -> None:
    net, trace = small()
    given = {"source": "x<b>", "target": "y", "of": 0, "sample": 0} | arguments
    with pytest.raises(gp.GraphpropError, match=message):
        gp.paths(net, trace, **given)
