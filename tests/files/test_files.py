"""Networks in files: the same network comes back, and nothing but a GraphpropError comes of a bad file."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import os
import re
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import mpmath
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop import errors
from graphprop.files import reading, saving
from graphprop.files.document import MOST_LONE_COMPONENTS, MOST_OF_ONE_HASH, TooLong, Twice
from graphprop.files.reading import read_network
from graphprop.files.writing import write_network
from tests.attack import files as attack
from tests.attack.hostile_texts import HOSTILE, ONE_HASH, document
from tests.golden import GRAPHS, build
from tests.golden import inputs as golden_inputs
from tests.network_files import CUBE, OWN, SCALED, put, rich, small
from tests.project import ROOT
from tests.random_graphs import graphs


def bits(values: Any) -> list[int]:
    return np.asarray(values, dtype=float).view(np.uint64).ravel().tolist()


def assert_same(one: gp.Network, other: gp.Network) -> None:
    assert other.same_structure(one)
    assert one.same_structure(other)
    assert bits(other.theta) == bits(one.theta)
    assert other.trainable.tolist() == one.trainable.tolist()
    assert other.name == one.name
    assert list(map(repr, other.nodes)) == list(map(repr, one.nodes))
    assert [other.parents(v) for v in one.nodes] == [one.parents(v) for v in one.nodes]
    assert other.outputs == one.outputs
    assert other.layout.outputs_declared == one.layout.outputs_declared
    assert other.layout.order.tolist() == one.layout.order.tolist()
    assert [repr(other.activation(v)) for v in one.nodes] == [repr(one.activation(v)) for v in one.nodes]
    named = {name: p.positions.tolist() for name, p in one.parameters.items()}
    assert {name: p.positions.tolist() for name, p in other.parameters.items()} == named
    assert set(other.graph.edges) == set(one.graph.edges)
    assert dict(other.graph.nodes(data=True)) == dict(one.graph.nodes(data=True))


def again(net: gp.Network, folder: Path) -> gp.Network:
    net.save(folder / "net.json")
    return gp.load(folder / "net.json", activations=OWN)


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


# ------------------------------------------------------------------ bad documents


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The small document with one entry changed, or added, or (by ...) removed."""
    document = small()
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    elif isinstance(place, list) and path[-1] == len(place):
        place.append(value)
    else:
        place[path[-1]] = value
    return document


EDGE = {"source": "x", "target": "h", "theta": [1, 1]}
NODE = {"id": "z", "kind": "tanh"}
BAD: list[tuple[Any, str]] = [
    ([], "the document: an object is needed, not []"),
    (changed(("format",), ...), "format: 'graphprop network' is needed, there is none"),
    (changed(("format",), "torch"), "format: 'graphprop network' is needed, it is 'torch'"),
    (changed(("version",), 2), "version: this graphprop reads version 1, not 2; a newer graphprop wrote it"),
    (changed(("version",), True), "version: this graphprop reads version 1, not True"),
    (changed(("version",), 1.0), "version: this graphprop reads version 1, not 1.0"),
    (changed(("directed",), False), "directed: has to be true, not False"),
    (changed(("directed",), 1), "directed: has to be true, not 1"),
    (changed(("multigraph",), True), "multigraph: has to be false, not True"),
    (changed(("nodes",), ...), "the document: the key 'nodes' is missing"),
    (changed(("links",), []), "both edges and links"),
    (changed(("thetas",), []), "the document: unknown key 'thetas'; did you mean 'theta'?"),
    (changed(("graph",), []), "graph: an object is needed, not []"),
    (changed(("graph",), {"name": 3}), "graph.name: a text is needed, not 3"),
    (changed(("graph",), {"title": ""}), "graph: unknown key 'title'"),
    (changed(("nodes",), {}), "nodes: a list is needed, not {}"),
    (changed(("nodes", 1), "h"), "nodes[1]: an object is needed, not 'h'"),
    (changed(("nodes", 1, "id"), ...), "nodes[1]: the key 'id' is missing"),
    (changed(("nodes", 1, "id"), "x"), "nodes[1].id: there is a node 'x' before, nodes[0]"),
    (changed(("nodes", 1, "id"), 1.0), "nodes[1].id: a text, a whole number of at most 1000 digits or a list"),
    (changed(("nodes", 1, "id"), True), "nodes[1].id: a text"),
    (changed(("nodes", 1, "id"), None), "nodes[1].id: a text"),
    (changed(("nodes", 1, "id"), []), "nodes[1].id: a text"),
    (changed(("nodes", 1, "id"), ["a", {}]), "nodes[1].id: a text"),
    (changed(("nodes", 1, "id"), "\ud800"), "nodes[1].id: '\\ud800' holds half a character"),
    (changed(("nodes", 1, "kind"), "squere"), "nodes[1]: unknown activation 'squere'; did you mean 'square'?"),
    (changed(("nodes", 1, "kind"), ["square"]), "nodes[1].kind: 'input' or the name of an activation is needed"),
    (changed(("nodes", 1, "kind"), "os.system"), "nodes[1]: unknown activation 'os.system'"),
    (changed(("nodes", 1, "own"), 1), "nodes[1].own: true or false is needed, not 1"),
    (changed(("nodes", 1, "own"), True), "nodes[1]: the activation 'square' is not of this library"),
    (changed(("nodes", 1, "parameters"), {"slope": 1.0}), "nodes[1]: activation 'square': unknown parameter 'slope'"),
    (changed(("nodes", 1, "parameters"), []), "nodes[1].parameters: an object is needed"),
    (changed(("nodes", 1, "parameters"), {"s": "1"}), "nodes[1].parameters.s: a finite number is needed, not '1'"),
    (changed(("nodes", 1, "slope"), 0.2), "nodes[1]: unknown key 'slope'"),
    (changed(("nodes", 0, "bias"), 0), "nodes[0]: an input has no bias"),
    (changed(("nodes", 0, "parameters"), {}), "nodes[0]: an input has no parameters"),
    (changed(("nodes", 1, "size"), 2), "nodes[1].bias: a list of 2 is needed, not 0"),
    (changed(("nodes", 0, "size"), 0), "nodes[0].size: a whole number of at least 1 is needed, not 0"),
    (changed(("nodes", 0, "size"), True), "nodes[0].size: a whole number of at least 1"),
    (changed(("nodes", 0, "size"), 10**30), "nodes[0].size: at most 134,217,728 is allowed"),
    (changed(("nodes", 0, "size"), 2**27), "nodes[1].size: the nodes have more than 134,217,728 components"),
    (changed(("nodes", 2, "size"), ...), "nodes[2]: kind 'max' needs a size"),
    (
        changed(("nodes", 1, "bias"), 6),
        "nodes[1].bias: a position in theta (it has 6 numbers) or null is needed, not 6",
    ),
    (changed(("nodes", 1, "bias"), -1), "nodes[1].bias: a position in theta"),
    (changed(("nodes", 1, "bias"), False), "nodes[1].bias: a position in theta"),
    (changed(("nodes", 1, "bias"), 0.0), "nodes[1].bias: a position in theta"),
    (changed(("nodes", 1, "bias"), None), "nodes[1].bias: it has no entry; leave it out"),
    (changed(("nodes", 2, "bias"), [0, 1]), "nodes[2].bias: a list of 3 is needed, not of 2"),
    (changed(("nodes", 2, "bias"), [0, 1, "a"]), "nodes[2].bias[2]: a position in theta"),
    (changed(("edges",), None), "edges: a list is needed, not None"),
    (changed(("edges", 0), None), "edges[0]: an object is needed, not None"),
    (changed(("edges", 0, "source"), "X"), "edges[0].source: unknown node 'X'; did you mean 'x'?"),
    (changed(("edges", 0, "source"), "x" * 1000), "edges[0].source: unknown node 'xxxx"),
    (changed(("edges", 0, "target"), {}), "edges[0].target: a text"),
    (changed(("edges", 0, "target"), "x"), "edges[0]: the edge 'x' -> 'x' is a self-loop"),
    (changed(("edges", 1, "target"), "x"), "edges[1].target: 'x' is an input; nothing flows into an input"),
    (changed(("edges", 0, "weight"), 0.5), "edges[0]: unknown key 'weight'"),
    (changed(("edges", 0, "theta"), 1), "edges[0].theta: a list of 2 is needed, not 1"),
    (changed(("edges", 0, "theta"), [1, 2, 3]), "edges[0].theta: a list of 2 is needed, not of 3"),
    (changed(("edges", 2, "theta", 1), [4]), "edges[2].theta[1]: a list of 2 is needed, not of 1"),
    (changed(("edges", 2, "theta", 1, 1), 17), "edges[2].theta[1][1]: a position in theta (it has 6 numbers)"),
    (changed(("edges", 3), EDGE), "edges[3]: the edge 'x' -> 'h' is there twice"),
    (changed(("edges", 3), {"source": ["y", 1], "target": "h", "theta": 0}), "edges: there is a cycle, "),
    (changed(("theta",), "0.5"), "theta: a list is needed, not '0.5'"),
    (changed(("theta", 2), None), 'theta[2]: a finite number, or "-inf" for a mask is needed, not None'),
    (changed(("theta", 2), True), "theta[2]: a finite number"),
    (changed(("theta", 2), float("nan")), "theta[2]: a finite number"),
    (changed(("theta", 2), float("-inf")), "theta[2]: a finite number"),
    (changed(("theta", 2), 10**400), "theta[2]: a finite number"),
    (changed(("theta", 2), "inf"), "theta[2]: a finite number"),
    (
        changed(("theta", 2), "-inf"),
        "theta[2]: w(0, h, (y, 1)) is -inf; only biases of the softmax family can be masks",
    ),
    (changed(("theta", 0), "-inf"), "is -inf; only biases"),
    (changed(("theta",), []), "nodes[1].bias: a position in theta (it has 0 numbers)"),
    (changed(("order",), 3), "order: a list is needed, not 3"),
    (changed(("order",), [0, 1]), "order: it has to name each of the 3 nodes once"),
    (changed(("order",), [0, 1, 1]), "order: it has to name each of the 3 nodes once"),
    (changed(("order",), [0, 1, 3]), "order[2]: the number of a node, 0 to 2 is needed, not 3"),
    (changed(("order",), [0, 1, 2.0]), "order[2]: the number of a node"),
    (changed(("order",), [1, 0, 2]), "order: 'x' has to stand before 'h', which reads it"),
    (changed(("frozen",), [6]), "frozen[0]: a position in theta"),
    (changed(("frozen",), [True]), "frozen[0]: a position in theta"),
    (changed(("frozen",), [1, 1]), "frozen: a position is there twice"),
    (changed(("parameters",), {"f": 0}), "parameters: a list is needed"),
    (changed(("parameters",), [{"name": "f"}]), "parameters[0]: the key 'theta' is missing"),
    (changed(("parameters",), [{"name": "f", "theta": []}]), "parameters[0].theta: a position in theta"),
    (changed(("parameters",), [{"name": "f", "theta": None}]), "parameters[0].theta: a position in theta"),
    (
        changed(("parameters",), [{"name": "f", "theta": [[0, 1], [2]]}]),
        "parameters[0].theta[1]: a list of 2 is needed",
    ),
    (changed(("parameters",), [{"name": "f", "theta": [0, 0]}]), "parameters: a position of theta is there twice"),
    (changed(("parameters",), [{"name": "f", "theta": i} for i in (0, 1)]), "parameters[1].name: there is a parameter"),
    (changed(("outputs",), []), "outputs: an empty list declares none; leave it out"),
    (changed(("outputs",), ["h"]), "outputs[0]: a list is needed, not 'h'"),
    (changed(("outputs",), [["q"]]), "outputs: unknown node 'q'"),
    (changed(("outputs",), [["h"], ["h"]]), "outputs: 'h' is named twice"),
    (changed(("outputs",), [[]]), "outputs: an empty list is no head"),
    (changed(("outputs",), [["x", "h"]]), "outputs: 'x' is a vector node, which is a head of its own"),
]


@pytest.mark.parametrize(("document", "message"), BAD, ids=[message[:50] for _, message in BAD])
def test_a_bad_document_is_refused_with_the_file_and_the_place(document: Any, message: str, tmp_path: Path) -> None:
    file = put(tmp_path, document)
    with pytest.raises(gp.GraphpropError, match=re.escape(message)) as caught:
        gp.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert len(str(caught.value)) < 400 + len(str(file))


def nested(depth: int) -> Any:
    name: Any = "a"
    for _ in range(depth):
        name = [name]
    return name


TEXT = json.dumps(small())
BAD_TEXTS: list[tuple[bytes, str]] = [
    (b"", "the file is empty"),
    (b" \n", "the file is empty"),
    (b"{\n  'a'", "line 2, column 3: not JSON: "),
    (TEXT[:-5].encode(), "line 1, column "),
    (TEXT.encode() + b"{}", "not JSON: Extra data"),
    (TEXT.encode("utf-16"), "byte 0 is 0xff; the file is no text in UTF-8"),
    (TEXT.replace('"h"', '"\xe4"').encode("latin-1"), "is 0xe4; the file is no text in UTF-8"),
    (b"\x80\x04\x95", "byte 0 is 0x80; the file is no text in UTF-8"),
    (b"[" * 1_000_000, "nest more than 100 deep"),
    (b'{"a":' * 1_000_000, "nest more than 100 deep"),
    (b'["]]]]\\"]]]",' * 1_000_000, "nest more than 100 deep"),
    (b"7" * 5000, "the document: an object is needed, not a number of 5000 digits"),
    (TEXT.replace("-2.0", "9" * 5000).encode(), "theta[1]: a finite number"),
    (TEXT.replace("-2.0", "1e999").encode(), "theta[1]: a finite number"),
    (TEXT.replace("-2.0", "NaN").encode(), "theta[1]: a finite number"),
    (TEXT.replace("-2.0", "-Infinity").encode(), "theta[1]: a finite number"),
    (TEXT.replace('"square"', '"square", "kind": "tanh"').encode(), "nodes[1]: the key 'kind' is there twice"),
    (
        TEXT.replace('"version": 1', '"version": 1, "theta": []').encode(),
        "the document: the key 'theta' is there twice",
    ),
    (TEXT.replace('"h"', json.dumps(nested(33))).encode(), "nodes[1].id: the lists of a name nest 32 deep at most"),
    (TEXT.replace('"h"', json.dumps(nested(98))).encode(), "nest more than 100 deep"),
    (TEXT.replace('"h"', "1" * 1001).encode(), "nodes[1].id: a text, a whole number of at most 1000 digits"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS, ids=[message for _, message in BAD_TEXTS])
def test_a_bad_text_is_refused_with_the_file_and_the_place(text: bytes, message: str, tmp_path: Path) -> None:
    file = put(tmp_path, text)
    with pytest.raises(gp.GraphpropError, match=re.escape(message)) as caught:
        gp.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert len(str(caught.value)) < 400 + len(str(file))


def test_a_text_that_nests_deeply_does_no_harm_whatever_the_recursion_limit(tmp_path: Path) -> None:
    file = put(tmp_path, b"[" * 10_000_000)
    code = f"import sys, graphprop as gp; sys.setrecursionlimit(10**9); gp.load({str(file)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "nest more than 100 deep" in done.stderr


def test_brackets_in_texts_are_not_counted(tmp_path: Path) -> None:
    net = gp.Network()
    net.add_input('"[{' * 1000 + "\\")
    assert_same(net, again(net, tmp_path))


def test_names_at_their_limits_come_back_and_beyond_them_are_not_saved(tmp_path: Path) -> None:
    def chain(depth: int) -> Any:
        name: Any = "a"
        for _ in range(depth):
            name = (name,)
        return name

    for name in (chain(32), 10**1000 - 1, -(10**999), "x" * 100_000, ""):
        net = gp.Network()
        net.add_input(name)
        assert_same(net, again(net, tmp_path))
    for name, message in ((chain(33), "32 deep"), (("a", 10**1000), "1000 digits"), ("\udfff", "lone surrogate")):
        net = gp.Network()
        net.add_input(name)
        with pytest.raises(gp.GraphpropError, match=message):
            net.save(tmp_path / "other.json")
    assert os.listdir(tmp_path) == ["net.json"]


def test_a_cycle_is_named_and_a_long_one_cut_short(tmp_path: Path) -> None:
    document = small()
    document["nodes"] = [{"id": i, "kind": "tanh"} for i in range(50)]
    document["edges"] = [{"source": i, "target": (i + 1) % 50, "theta": 0} for i in range(50)]
    with pytest.raises(gp.CycleError, match=r"there is a cycle, (\d+ -> ){10}\.\.\. -> \d+; ") as caught:
        gp.load(put(tmp_path, document))
    cycle = caught.value.cycle
    assert len(cycle) == 51
    assert all(v == (u + 1) % 50 for u, v in itertools.pairwise(cycle))


# ------------------------------------------------------------------ mutated documents

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 30)
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["x", "h", "y", "-inf", "input", "softmax", "cube", 10**400, Twice("a"), TooLong(9)]),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["id", "kind", "theta", "a"]), each),
    max_leaves=6,
)
RICH = write_network(rich()).encode()
DOCUMENTS = [small(), json.loads(RICH), json.loads(write_network(gp.mlp([2, 2, 2], seed=0)))]


def places(document: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else [])
    )
    return [here, *(place for key, part in inside for place in places(part, (*here, key)))]


@st.composite
def mutated(draw: Any) -> Any:
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(document)[1:] or [("version",)]))
        parent = document
        for key in path:
            parent = parent[key]
        how = draw(st.sampled_from(["junk", "junk", "remove", "copy", "move", "add"]))
        other: Any = document
        for key in draw(st.sampled_from(places(document))):
            other = other[key]
        with contextlib.suppress(KeyError, IndexError):
            if how == "remove":
                del parent[last]
            elif how == "add" and isinstance(parent, dict):
                parent[draw(st.sampled_from(["bias", "own", "size", "order", "frozen", "outputs", "a"]))] = draw(JUNK)
            elif how == "copy" and isinstance(parent, list):
                parent.append(copy.deepcopy(parent[last]))
            elif how == "move":
                parent[last] = copy.deepcopy(other)
            else:
                parent[last] = draw(JUNK)
    return document


@given(mutated())
def test_nothing_but_our_error_comes_of_a_mutated_document_or_a_sound_network(document: Any) -> None:
    try:
        net = read_network(document, OWN, gp.Network)
    except gp.GraphpropError:
        return
    assert_same(net, read_network(json.loads(write_network(net)), OWN, gp.Network))
    copied = net.copy()
    copied.add_input("a name that is not there")
    repr(net.program) if all(net.parents(v) for v in set(net.nodes) - set(net.inputs)) and len(net) else None


@given(st.data())
def test_nothing_but_our_error_comes_of_mutated_bytes(data: st.DataObject) -> None:
    text = bytearray(RICH)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 1, 1, 2, 10, len(text)]))
        inserted = st.binary(max_size=3) | st.sampled_from([b'"', b"[", b"}", b"-", b"9"])
        text[start : start + length] = data.draw(inserted)
    with contextlib.suppress(gp.GraphpropError):
        read_network(saving.parse_json(bytes(text), "net.json"), OWN, gp.Network)


def test_files_changed_at_random_give_a_network_or_an_error_of_ours() -> None:
    counts: Counter[str] = Counter()
    attack.run(0, range(100), counts)
    assert sum(counts.values()) == 100
    assert counts["documents with changed entries: networks"] > 2


def test_the_attack_finds_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    right = reading.read_name

    def raises(given: Any, place: str, depth: int = 0) -> Any:
        return {}["oops"] if given == "late" else right(given, place, depth)

    def hangs(given: Any, place: str, depth: int = 0) -> Any:
        while given == "late":
            pass
        return right(given, place, depth)

    monkeypatch.setattr(attack, "SECONDS", 0.5)
    for planted, told in ((raises, "KeyError: 'oops'"), (hangs, "TooSlow: more than 1 s of processor time")):
        monkeypatch.setattr(reading, "read_name", planted)
        with pytest.raises(attack.Found, match=f"^case.*{told}; the file is ") as caught:
            attack.run(0, range(400), Counter())
        kept = Path(str(caught.value).rsplit(" ", 1)[1])
        assert b"late" in kept.read_bytes()
        kept.unlink()
    monkeypatch.setattr(reading, "read_name", right)
    monkeypatch.setattr(attack, "peak_megabytes", iter(range(0, 10**9, 500)).__next__)
    with pytest.raises(attack.Found, match="it took 500 MB of memory") as caught:
        attack.run(0, range(1), Counter())
    Path(str(caught.value).rsplit(" ", 1)[1]).unlink()


# ------------------------------------------------------------------ files that ask for much


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_read_takes_a_time_and_memory_that_are_linear_in_the_text(name: str, tmp_path: Path) -> None:
    """What was quadratic would take minutes here: it is ended, and fails, after many times what is needed."""
    attack.load(HOSTILE[name](1_000_000).encode(), tmp_path / "net.json", name)


@pytest.mark.parametrize(
    "name", ["lists in lists", "objects in objects", "empty lists", "empty objects", "small objects", "deep names"]
)
def test_lists_and_objects_that_no_network_needs_are_refused_before_they_are_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's parser would take up to fifty times the file for them."""
    made: list[Any] = []
    right = json.loads
    monkeypatch.setattr(json, "loads", lambda *text, **how: made.append(text) or right(*text, **how))
    with pytest.raises(gp.LimitError, match=r"objects in [0-9,]+ bytes are more than a network needs"):
        gp.load(put(tmp_path, HOSTILE[name](13_000_000).encode()))
    assert not made


def test_a_network_whose_names_are_very_many_lists_is_refused_when_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "SPARE", 1000)
    net = gp.Network()
    name: Any = 0
    for _ in range(31):
        name = (name,)
    for i in range(50):
        net.add_input((i, name))
    with pytest.raises(gp.LimitError, match="more than a network needs"):
        net.save(tmp_path / "net.json")
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_is_compared_with_few_names_and_the_nearest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right, compared = errors.difflib.get_close_matches, []

    def counted(word: str, possibilities: Any, **how: Any) -> Any:
        compared.append(list(possibilities))
        return right(word, compared[-1], **how)

    monkeypatch.setattr(errors.difflib, "get_close_matches", counted)
    names = [f"{'a' * 90}{i:06}" for i in range(20_000)]
    with pytest.raises(gp.UnknownNameError, match=r"did you mean '(a+)012345'\?"):
        raise errors.unknown("node", names[12_345] + "a", names)
    assert len(compared[0]) <= 100
    message = str(errors.unknown("node", "b" * 10**6, ["c" * 10**6]))
    assert len(message) < 1000
    assert message.startswith("unknown node 'bbb")


def test_names_of_one_hash_are_refused_when_they_are_read_and_when_they_are_saved(tmp_path: Path) -> None:
    few, many = ([str(i * ONE_HASH + 5) for i in range(n)] for n in (64, 65))
    net = gp.load(put(tmp_path, document(",".join(f'{{"id": {x}, "kind": "input"}}' for x in few), "").encode()))
    assert len(again(net, tmp_path)) == 64
    net.add_input(int(many[-1]))
    with pytest.raises(gp.LimitError, match="nodes: more than 64 names are the same or have the same hash"):
        net.save(tmp_path / "net.json")
    net = gp.Network()
    for x in many:
        net.parameter(int(x), 1.0)
    with pytest.raises(gp.LimitError, match="parameters: more than 64 names"):
        net.save(tmp_path / "net.json")


@pytest.mark.parametrize("kind", ["input", "softmax"])
def test_a_small_file_cannot_ask_for_gigabytes(kind: str, tmp_path: Path) -> None:
    most = MOST_LONE_COMPONENTS
    lone = ",".join(f'{{"id": {i}, "kind": "{kind}", "size": {most // 2}}}' for i in range(2))
    assert len(gp.load(put(tmp_path, document(lone, "").encode()))) == 2
    for nodes in (lone + f', {{"id": "x", "kind": "{kind}"' + ', "size": 1}', lone.replace(str(most // 2), str(2**26))):
        with pytest.raises(gp.LimitError, match=f"without edges have more than {most:,} components"):
            gp.load(put(tmp_path, document(nodes, "").encode()))
    net = gp.Network()
    net.add_input("x", size=most + 1)
    with pytest.raises(gp.LimitError, match="node 'x': vector nodes without edges"):
        net.save(tmp_path / "net.json")


def test_the_limit_of_bytes_is_no_allocation(tmp_path: Path) -> None:
    file = put(tmp_path, small())
    for most in (2**40, 2**63, 10**30):
        tracemalloc.start()
        net = gp.load(file, max_bytes=most)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(net) == 3
        assert peak < 10_000_000


# ------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.json", "none.json: there is no such file"),
        ("no/such/folder/net.json", "there is no such file"),
        ("folder", "folder: is a folder; a file is needed"),
        ("a" * 5000, "cannot be read: File name too long"),
        ("", "a path is a text that is not empty"),
        ("a\0b", "a path is a text that is not empty, without the character 0"),
        (3, "a path is a text or a path object, not 3"),
        (None, "a path is a text or a path object, not None"),
        (b"net.json", "a path is a text"),
    ],
    ids=lambda x: str(x)[:30],
)
def test_what_cannot_be_read_is_told(path: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(gp.GraphpropError, match=re.escape(message)):
        gp.load(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/such/folder/net.json", "no/such/folder/net.json: cannot be written: there is no folder"),
        ("folder", "folder: is a folder; only a file can be replaced"),
        ("new/", "new/: is the name of a folder"),
        ("loop", "cannot be written: Too many levels of symbolic links"),
        ("", "a path is a text that is not empty"),
        (3, "a path is a text or a path object, not 3"),
        ("a\x00b", "without the character 0"),
        ("half\ud800", "a path is a text that the system can write, not 'half\\ud800'"),
    ],
    ids=ascii,
)
def test_what_cannot_be_written_is_told(
    path: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(gp.GraphpropError, match=re.escape(message)):
        gp.mlp([1, 1], seed=0).save(path)
    assert sorted(os.listdir(tmp_path)) == ["folder", "loop"]


@pytest.mark.parametrize("path", ["a\x00b.svg", "half\ud800.svg", 3, b"net.svg", np.array(["a.svg"]), None])
def test_every_call_that_takes_a_path_says_what_a_path_is(path: Any) -> None:
    net = gp.mlp([1, 1], seed=0)
    for call in (net.save, gp.load, gp.draw(net, layout="columns").save):
        with pytest.raises(gp.GraphpropError, match="a path is a text"):
            call(path)


def test_however_much_is_allowed_memory_is_taken_for_what_is_there(tmp_path: Path) -> None:
    gp.mlp([1, 1], seed=0).save(file := tmp_path / "net.json")
    for allowed in (2**40, 2**63 - 1, 2**63, 10**100):
        tracemalloc.start()
        gp.load(file, max_bytes=allowed)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 10_000_000


def test_a_pipe_is_neither_waited_for_nor_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for call in (gp.load, gp.mlp([1, 1], seed=0).save):
        with pytest.raises(gp.GraphpropError, match="is no regular file"):
            call(tmp_path / "pipe")
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_file_that_is_too_large_is_refused_with_the_limit(tmp_path: Path) -> None:
    file = put(tmp_path, small())
    size = file.stat().st_size
    with pytest.raises(gp.LimitError, match=f"has more than {size - 1} bytes; max_bytes=... allows more"):
        gp.load(file, max_bytes=size - 1)
    assert len(gp.load(file, max_bytes=size)) == 3
    with open(file, "wb") as stream:
        stream.truncate(2**28 + 1)
    with pytest.raises(gp.LimitError, match="has more than 268,435,456 bytes"):
        gp.load(file)
    for wrong in (0, 2.5, True):
        with pytest.raises(gp.GraphpropError, match="max_bytes is a whole number"):
            gp.load(file, max_bytes=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("fails", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
def test_if_writing_fails_the_old_file_is_there_and_nothing_else(
    fails: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(tmp_path, small())
    file.chmod(0o600)
    before = file.read_bytes()

    def fail(*arguments: Any) -> None:
        raise error

    expected = gp.GraphpropError if isinstance(error, OSError) else KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(os, fails, fail)
        with pytest.raises(expected):
            gp.mlp([1, 1], seed=0).save(file)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.json"]


def test_numbers_that_no_run_takes_are_not_saved(tmp_path: Path) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": 1.0}, bias=2.0)
    file = tmp_path / "net.json"
    net.save(file)
    before = file.read_bytes()
    net.theta[1] = np.nan
    with pytest.raises(
        gp.NumberError, match=re.escape(f"{file}: theta[1], b[h], is nan; it must be finite to be saved")
    ):
        net.save(file)
    net.theta[1], net.name = 1.0, 3  # type: ignore[assignment]
    with pytest.raises(gp.GraphpropError, match="the name of a network is a text"):
        net.save(file)
    assert file.read_bytes() == before


def test_the_permissions_are_those_of_any_new_file_or_of_the_one_before(tmp_path: Path) -> None:
    net, file = gp.mlp([1, 1], seed=0), tmp_path / "net.json"
    before = os.umask(0o027)
    try:
        net.save(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        file.chmod(0o604)
        net.save(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o604
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any file")
def test_a_file_that_is_read_only_is_not_replaced(tmp_path: Path) -> None:
    file = put(tmp_path, small())
    file.chmod(0o400)
    with pytest.raises(gp.GraphpropError, match="read-only"):
        gp.mlp([1, 1], seed=0).save(file)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "folder" / "net.json")
    net = gp.mlp([1, 1], seed=0)
    net.save(link)
    assert link.is_symlink()
    assert_same(net, gp.load(tmp_path / "folder" / "net.json"))


def test_who_reads_while_it_is_written_finds_a_whole_network(tmp_path: Path) -> None:
    nets = [gp.mlp([20, n, 1], seed=0) for n in (5, 60)]
    file = tmp_path / "net.json"
    nets[0].save(file)
    done = threading.Event()

    def write() -> None:
        for i in range(20):
            nets[i % 2].save(file)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert len(gp.load(file)) in (26, 81)
    writer.join()
    assert os.listdir(tmp_path) == ["net.json"]


def test_a_hundred_thousand_edges_come_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    target = np.repeat(np.arange(1000, 11_000), 10)
    source = (target - 1 - 99 * np.tile(np.arange(10), 10_000) - random.integers(0, 9, len(target))) % target
    net = gp.Program.from_edges(1000, source, target, "tanh", bias=True).to_network()
    net.theta = random.normal(size=len(net.theta))
    net.save(tmp_path / "net.json")
    other = gp.load(tmp_path / "net.json")
    assert other.same_structure(net)
    assert bits(other.theta) == bits(net.theta)


def test_the_page_states_the_limits() -> None:
    page = (ROOT / "docs" / "file_format.md").read_text(encoding="utf-8")
    for number in (f"{saving.DEEPEST} deep", f"{saving.MOST_BYTES:,}", f"{2**27:,}", str(saving.MOST_DIGITS)):
        assert number in page
    assert f"| components of all vector nodes without edges together | {MOST_LONE_COMPONENTS:,} |" in page
    assert f"| nodes, or parameters, whose names have the same hash in Python | {MOST_OF_ONE_HASH} |" in page
