"""What is saved is what is loaded, and what a program of somebody else reads."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import mpmath
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.files.reading import read_network
from graphprop.files.writing import write_network
from tests.files.file_cases import (
    again,
    assert_same,
    bits,
)
from tests.golden import GRAPHS, build
from tests.golden import inputs as golden_inputs
from tests.network_files import CUBE, OWN, SCALED, put, rich, small
from tests.random_graphs import graphs

# ------------------------------------------------------------------ what is saved is what is loaded


def test_everything_comes_back(tmp_path: Path) -> None:
    net = rich()
    assert_same(net, again(net, tmp_path))
    assert os.listdir(tmp_path) == ["net.json"]


@pytest.mark.parametrize("name", sorted(GRAPHS.keys() - {"multi_edge"}))
def test_golden_graphs_come_back(name: str, tmp_path: Path) -> None:
    net = build(GRAPHS[name])
    assert_same(net, again(net, tmp_path))


@given(graphs())
def test_random_networks_come_back_and_give_the_same_bits(drawn: tuple[gp.Network, Any]) -> None:
    net, inputs = drawn
    other = read_network(json.loads(write_network(net)), (), gp.Network)
    assert_same(net, other)
    one, two = (gp.recursion.forward(x, inputs) for x in (net, other))
    assert bits(one.o_flat) == bits(two.o_flat)
    seed = {v: np.ones(net.output_size(v)) for v in net.outputs}
    g, h = (gp.recursion.backpropagate(n, t, seed=seed) for n, t in ((net, one), (other, two)))
    assert bits(g.theta) == bits(h.theta)


def test_the_engine_gives_the_same_bits_whatever_the_order_of_building(tmp_path: Path) -> None:
    net, random = gp.Network(), np.random.default_rng(1)
    for i in range(4):
        net.add_input(i)
    for v in random.permutation(range(4, 60)).tolist():
        net.add_node(v, "tanh")
    for _ in range(400):
        u, v = sorted(random.choice(60, size=2, replace=False).tolist())
        if v >= 4 and u not in net.parents(v):
            net.add_edge(u, v, random.normal())
    for v in range(4, 60):
        if not net.parents(v):
            net.add_edge(0, v, 1.0)
    other = again(net, tmp_path)
    assert_same(net, other)
    X = random.normal(size=(7, 4))
    g, h = (n.backward(n.forward(X), seed={v: np.ones(7) for v in net.outputs}) for n in (net, other))
    assert bits(g.theta) == bits(h.theta)
    assert bits(g.a_flat) == bits(h.a_flat)


@pytest.mark.parametrize(
    "net",
    [
        gp.Network(),
        gp.mlp([3, 4, 2], "relu", "softmax", seed=1),
        gp.mlp([3, 4, 2], "relu", by="layer", seed=1).expand(),
        gp.union({"a": gp.mlp([1, 2, 1], seed=1), ("b", 2): build(GRAPHS["tied_depth"])}),
        gp.Program.from_edges(2, [0, 1, 2], [2, 2, 3], "tanh", bias=True).to_network(),
    ],
    ids=repr,
)
def test_built_networks_come_back(net: gp.Network, tmp_path: Path) -> None:
    assert_same(net, again(net, tmp_path))


def test_entries_that_no_edge_has_come_back_from_an_expanded_network(tmp_path: Path) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": [1.0, None]}, bias=[None, 2.0], size=2)
    net.add_node("y", "identity", {"h": [1.0, 2.0]})
    assert_same(net.expand(), again(net.expand(), tmp_path))


def test_a_loaded_network_can_be_changed(tmp_path: Path) -> None:
    net = again(rich(), tmp_path)
    net.add_node("new", "tanh", {"late": net.parameters["f"][0, 0], "y": 2.0})
    with pytest.raises(gp.CycleError):
        net.add_edge("new", "h", [1.0, 1.0])
    net.theta *= 0.5
    net.remove_edge("late", "h")
    assert_same(net, again(net, tmp_path))


@given(
    st.floats(allow_nan=False, allow_infinity=False), st.recursive(st.text() | st.integers(), lambda x: st.tuples(x, x))
)
def test_every_number_and_name_comes_back(number: float, name: Any) -> None:
    net = gp.Network()
    net.add_input(name)
    net.add_node((name, "y"), "identity", {name: number})
    try:
        text = write_network(net)
    except gp.GraphpropError as error:
        assert "lone surrogate" in str(error)  # noqa: PT017
        repr(name).encode("ascii", "backslashreplace")
        return
    assert_same(net, read_network(json.loads(text.encode()), (), gp.Network))


# ------------------------------------------------------------------ the page, read by a program of its own


def evaluate(document: dict[str, Any], inputs: dict[str, float]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Pre-activations and outputs of a document, from what docs/file_format.md says alone."""
    f = {
        "identity": lambda a: a,
        "sigmoid": lambda a: [1 / (1 + mpmath.exp(-a[0]))],
        "tanh": lambda a: [mpmath.tanh(a[0])],
        "softmax": lambda a: [mpmath.exp(x) / sum(map(mpmath.exp, a)) for x in a],
        "log_softmax": lambda a: [x - mpmath.log(sum(map(mpmath.exp, a))) for x in a],
        "softmax_dot": lambda a: [sum(x * mpmath.exp(x) for x in a) / sum(map(mpmath.exp, a))],
    }
    theta, nodes, a, o = document["theta"], document["nodes"], {}, {}
    for number in document.get("order", range(len(nodes))):
        node = nodes[number]
        v = node["id"]
        if node["kind"] == "input":
            o[v] = [mpmath.mpf(inputs[v])]
            continue
        n = node.get("size", 1)
        bias = np.reshape(np.array(node.get("bias", [None] * n), dtype=object), n)
        a[v] = [mpmath.mpf(0 if p is None else theta[p]) for p in bias]
        for edge in document["edges"]:
            if edge["target"] == v:
                u = edge["source"]
                for (i, k), p in np.ndenumerate(np.reshape(np.array(edge["theta"], dtype=object), (n, len(o[u])))):
                    a[v][i] += 0 if p is None else mpmath.mpf(theta[p]) * o[u][k]
        o[v] = f[node["kind"]](a[v])
    return a, o


@pytest.mark.parametrize("name", sorted(GRAPHS.keys() - {"multi_edge"}))
def test_a_file_means_what_its_page_says(name: str, tmp_path: Path) -> None:
    build(GRAPHS[name]).save(tmp_path / "net.json")
    document = json.loads((tmp_path / "net.json").read_text(encoding="utf-8"))
    with mpmath.workdps(30):
        for found, what in zip(evaluate(document, golden_inputs(GRAPHS[name])), "ao", strict=True):
            for v, expected in GRAPHS[name]["expect"][what].items():
                for x, y in zip(found[v], expected, strict=True):
                    assert mpmath.almosteq(x, mpmath.mpf(y), 1e-25, 1e-25), (what, v)


def test_a_document_written_by_hand_is_read(tmp_path: Path) -> None:
    net = gp.load(put(tmp_path, small()))
    trace = net.forward([3.0, 4.0])
    assert trace.o["h"] == (1 - 2 * 3) ** 2
    assert trace.a["y", 1].tolist() == [0.5 * 25 + 3 * 4, 0.5 * 25 + 4 * 3 + 5 * 4, 1 * 3 - 2 * 4]
    assert net.trainable.all()
    assert net.outputs == (("y", 1),)


def test_links_are_read_like_edges_and_any_order_of_the_nodes(tmp_path: Path) -> None:
    expected = gp.load(put(tmp_path, small()))
    document = small()
    document["links"] = document.pop("edges")
    assert_same(expected, gp.load(put(tmp_path, document)))
    document["nodes"].reverse()
    net = gp.load(put(tmp_path, document))
    assert net.nodes == (("y", 1), "h", "x")
    assert net.forward([3.0, 4.0]).o["y", 1] == expected.forward([3.0, 4.0]).o["y", 1]
    assert_same(expected, gp.load(put(tmp_path, b"\xef\xbb\xbf" + json.dumps(small()).encode())))  # as Windows writes


def test_networkx_reads_a_file(tmp_path: Path) -> None:
    net = gp.mlp([2, 3, 1], seed=0)
    net.save(tmp_path / "net.json")
    graph = nx.node_link_graph(json.loads((tmp_path / "net.json").read_text()), edges="edges")
    assert set(graph.edges) == set(net.edges)
    assert {v: data["kind"] for v, data in graph.nodes(data=True)} == {v: net.graph.nodes[v]["kind"] for v in net.nodes}
    theta = net.theta
    assert all(theta[data["theta"]] == net.weight(u, v) for u, v, data in graph.edges(data=True))


# ------------------------------------------------------------------ activations of one's own


def test_own_activations_are_given_back_by_name_and_parameters(tmp_path: Path) -> None:
    net = gp.Network()
    net.add_input("x")
    for f in OWN:
        net.add_node(repr(f), f, {"x": 2.0})
    net.save(tmp_path / "net.json")
    assert [gp.load(tmp_path / "net.json", OWN).activation(repr(f)) for f in OWN] == OWN
    for functions, message in (
        ([], "nodes[1]: the activation 'cube' is not of this library; give it back with gp.load(path, activations="),
        ([CUBE], "nodes[2]: the activation 'scaled' is not of this library"),
        ([CUBE, SCALED[1]], "'scaled' has the parameters {'s': 0.1}; the one given has {'s': 0.3}"),
        (CUBE, "activations is a list"),
        (["cube"], "'cube' is none"),
        ([*OWN, gp.Activation("cube", lambda a: a, lambda a, o: 1.0)], "two of the name 'cube'"),
    ):
        with pytest.raises(gp.GraphpropError, match=re.escape(message)):
            gp.load(tmp_path / "net.json", functions)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tanh", "input", "leaky_relu"])
def test_an_own_activation_is_never_mistaken_for_one_of_the_library(name: str, tmp_path: Path) -> None:
    mine = gp.Activation(name, lambda a: 2.0 * a, lambda a, o: 2.0)
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", mine, {"x": 1.0})
    net.save(tmp_path / "net.json")
    with pytest.raises(gp.GraphpropError, match="is not of this library"):
        gp.load(tmp_path / "net.json")
    assert gp.load(tmp_path / "net.json", [mine]).activation("y") is mine


def test_two_own_activations_that_a_file_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    net = gp.Network()
    net.add_input("x")
    for v in "pq":
        net.add_node(v, gp.Activation("f", lambda a: 2.0 * a, lambda a, o: 2.0), {"x": 1.0})
    with pytest.raises(gp.GraphpropError, match="node 'q': two activations of your own are called 'f'"):
        net.save(tmp_path / "net.json")
    assert not os.listdir(tmp_path)
