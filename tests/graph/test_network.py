"""Building and changing a network: theta and its positions, ties, partial edges; and that bad input changes nothing."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphprop as gp
from tests.graph.network_cases import (
    example,
    fingerprint,
)


def test_theta_is_in_order_of_creation() -> None:
    net = example()
    assert net.theta.tolist() == [0.5, -0.3, 0.1, 0.8, 0.2, 0.2, -0.7, 1.1, 0.4, 0.0, 0.3]
    assert net.weight("h1", "y").tolist() == [0.2, -0.7]
    assert net.weight("x1", "h1") == 0.5
    assert net.bias("h1") == 0.1
    assert math.isnan(net.bias("h2"))


def test_what_can_be_asked() -> None:
    net = example()
    assert net.nodes == ("x1", "x2", "h1", "h2", "y")
    assert net.inputs == ("x1", "x2")
    assert net.outputs == ("y",)
    assert net.parents("y") == ("h1", "h2", "x1")
    assert net.children("x1") == ("h1", "h2", "y")
    assert len(net) == 5
    assert "y" in net
    assert "z" not in net
    assert [] not in net
    assert ("x1", "y") in net.edges
    assert repr(net) == "<Network 'example': 2 inputs, 3 nodes, 7 edges, 11 parameters>"


def test_the_graph_is_a_frozen_view_for_networkx() -> None:
    net = example()
    assert isinstance(net.graph, nx.DiGraph)
    assert nx.dag_longest_path_length(net.graph, weight=None) == 2
    assert net.graph.nodes["h1"]["kind"] == "sigmoid"
    with pytest.raises(nx.NetworkXError, match="Frozen"):
        net.graph.remove_node("y")


def test_the_graph_follows_later_changes() -> None:
    net = example()
    view = net.graph
    net.add_input("x3")
    net.add_node("z", "tanh", {"x3": 1.0, "y": 2.0})
    net.add_edge("x2", "z", 1.0)
    net.remove_edge("x1", "h2")
    net.remove_node("h1")
    assert set(view) == set(net.nodes)
    assert view.nodes["z"]["kind"] == "tanh"
    assert set(view.edges) == set(net.edges) == set(net.graph.edges)


def test_the_graph_has_parents_and_children_in_the_order_in_which_the_edges_were_made() -> None:
    asked_first, asked_last = gp.Network(), gp.Network()
    for net in (asked_first, asked_last):
        net.add_node("c", "tanh")
        net.add_node("b", "tanh", {"c": 1.0})
        net.add_input("a")
        if net is asked_first:
            assert len(net.graph) == 3
        net.add_node("d", "tanh", {"b": 1.0, "a": 2.0})
        net.add_edge("a", "b", 1.0)
        net.add_edge("a", "c", 1.0)
        for graph in (net.graph, net.copy().graph):
            assert list(graph.succ["a"]) == list(net.children("a")) == ["d", "b", "c"]
            assert list(graph.pred["b"]) == list(net.parents("b")) == ["c", "a"]
            assert list(graph) == list(net.nodes)


def test_the_graph_has_the_weights_as_they_are_now() -> None:
    net = example()
    view = net.graph
    assert view.edges["x1", "h1"]["weight"] == 0.5
    assert view["h1"]["y"]["weight"] == view.pred["y"]["h1"]["weight"] == 0.2 - 0.7
    assert nx.dag_longest_path(view) == ["x1", "h2", "y"]
    net.theta *= -1.0
    net.set_weight("x2", "h2", 4.0)
    assert view.edges["x1", "h1"]["weight"] == -0.5
    assert nx.dag_longest_path_length(view) == 4.0
    net.add_node("z", "max", {"y": [7.0, None]})
    assert view.edges["y", "z"]["weight"] == 7.0
    net.add_edge("y", "z", 0.5, to=1)  # one more entry of an edge that is there
    net.add_edge("x2", "z", 3.0, to=0)
    assert view.edges["y", "z"]["weight"] == 7.5
    assert nx.to_numpy_array(view, ["x2", "y", "z"]).tolist() == [[0, 0, 3.0], [0, 0, 7.5], [0, 0, 0]]
    assert view.edges["y", "z"] == {"weight": 7.5}
    assert repr(view.edges["y", "z"]) == "{'weight': 7.5}"


@pytest.mark.parametrize(
    "copied",
    [
        nx.DiGraph,
        lambda graph: graph.copy(),
        copy.deepcopy,
        lambda graph: pickle.loads(pickle.dumps(graph)),
        lambda graph: nx.node_link_graph(json.loads(json.dumps(nx.node_link_data(graph)))),
        lambda graph: graph.reverse().reverse(),
    ],
    ids=["DiGraph", "copy", "deepcopy", "pickle", "node-link", "reverse"],
)
def test_a_copy_of_the_graph_is_of_its_own_with_the_weights_of_then(copied: Any) -> None:
    net = example()
    other = copied(net.graph)
    assert nx.utils.edges_equal(other.edges(data=True), net.graph.edges(data=True), directed=True)
    net.theta *= 2.0
    assert other.edges["x1", "h1"] == {"weight": 0.5}
    other.edges["x1", "h1"]["weight"] = 3.0
    other.edges["x1", "h1"]["colour"] = "red"
    assert net.weight("x1", "h1") == 1.0


@pytest.mark.parametrize("change", [lambda e: e.update(weight=1.0), lambda e: e.__setitem__("weight", 1.0)])
def test_who_writes_a_weight_into_the_graph_is_told_where_to(change: Any) -> None:
    net = example()
    with pytest.raises(gp.GraphpropError, match=r"net.set_weight changes a weight"):
        change(net.graph.edges["x1", "h1"])
    with pytest.raises(gp.GraphpropError, match=r"net.set_weight changes a weight"):
        nx.set_edge_attributes(net.graph, 1.0, "weight")
    assert net.weight("x1", "h1") == 0.5


def test_weights_too_large_for_a_sum_are_an_infinity_in_the_graph() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "softmax", {"x": [1e308, 1e308]})
    assert net.graph.edges["x", "p"]["weight"] == np.inf


def test_an_edge_without_an_entry_weighs_nothing_in_the_graph() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": [5.0, None]}, bias=[None, 2.0], size=2)
    view = net.expand().graph
    assert [view.edges["x", ("h", i)]["weight"] for i in range(2)] == [5.0, 0.0]


def test_a_node_removed_is_no_child_any_more() -> None:
    net = example()
    net.remove_node("h1")
    assert net.children("x1") == ("h2", "y")
    net.remove_edge("x1", "h2")
    assert net.children("x1") == ("y",)
    net.remove_node("y")
    assert net.outputs == ("h2",)


def test_weights_given_together_or_one_by_one_are_the_same() -> None:
    weights: list[Any] = [0.5, np.float64(-1.5), 2, np.float32(0.25), [3.0], np.array(4.0), np.array([[5.0]])]
    together, single = gp.Network(), gp.Network()
    for count in (2, 7):  # floats alone, and all that is a number
        for net in (together, single):
            f = net.parameter(("f", count), 7.0)
            W = net.parameter(("W", count), [8.0, 9.0], trainable=False)
            given = [W[1], *weights[:count], f, f, W[0]]
            names = [(count, i) for i in range(len(given))]
            for name in names:
                net.add_input(name)
            if net is together:
                net.add_node(count, "tanh", dict(zip(names, given, strict=True)), 0.125)
                continue
            net.add_node(count, "tanh")
            for name, weight in zip(names, given, strict=True):
                net.add_edge(name, count, weight)
            net.set_bias(count, 0.125)
    assert fingerprint(together) == fingerprint(single)
    np.testing.assert_array_equal(together.layout.position, single.layout.position)
    with pytest.raises(
        gp.GraphpropError, match=r"the weight of edge \(7, 1\) -> 'z': real numbers are needed, not True"
    ):
        together.add_node("z", "tanh", {(7, 0): 1.0, (7, 1): True})
    with pytest.raises(gp.GraphpropError, match="belongs to another network"):
        together.add_node("z", "tanh", {(7, 0): 1.0, (7, 1): single.parameters["f", 2]})
    with pytest.raises(gp.GraphpropError, match=r"\(7, 1\) -> 'z' has shape \(2,\)"):
        together.add_node("z", "tanh", {(7, 0): 1.0, (7, 1): together.parameters["W", 2]})


def test_theta_is_a_view_that_trains() -> None:
    net = example()
    net.theta -= np.ones(11)
    assert net.weight("x1", "h1") == -0.5
    net.theta[0] = 7.0
    assert net.weight("x1", "h1") == 7.0
    net.theta = np.arange(11)
    assert net.weight("x1", "y").tolist() == [9.0, 10.0]


def test_growth_detaches_older_views() -> None:
    net = example()
    old = net.theta
    net.add_node("z", "tanh", {"y": 1.0})
    old[:] = 0.0
    assert net.weight("x1", "h1") == 0.5
    assert len(net.theta) == 12


def test_tied_weights_share_one_number() -> None:
    net = gp.Network()
    for name in "pqr":
        net.add_input(name)
    f = net.parameter("f", 2.0)
    net.add_node("s", "identity", {"p": f, "q": f}, bias=f)
    net.add_node("t", "softmax", {"r": [f, 1.0], "s": [None, f]})
    assert net.theta.tolist() == [2.0, 1.0]
    net.set_weight("p", "s", 3.0)
    assert f.value == 3.0
    assert net.weight("r", "t").tolist() == [3.0, 1.0]
    assert net.bias("s") == 3.0
    g = net.backward(net.forward([1.0, 2.0, 3.0]), "s")
    assert g.parameter["f"] == 4.0
    assert g.weight["p", "s"] == 1.0


def test_a_parameter_may_be_an_array() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    W = net.parameter("W", [[1.0, 2.0], [3.0, 4.0]])
    net.add_node("h", "identity", {"x": W}, size=2)
    net.add_node("k", "identity", {"h": W[0]})
    net.add_node("l", "identity", {"h": [W[1, 0], 5.0]})
    trace = net.forward([1.0, 1.0])
    assert trace.o["h"].tolist() == [3.0, 7.0]
    assert trace.o["k"] == 17.0
    assert trace.o["l"] == 44.0
    assert W.value.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert net.parameters["W"].shape == (2, 2)
    assert net.backward(trace, "k").parameter["W"].shape == (2, 2)


def test_frozen_numbers_are_reported_and_masked() -> None:
    net = gp.Network()
    net.add_input("x")
    c = net.parameter("c", 2.0, trainable=False)
    net.add_node("h", "identity", {"x": c}, bias=1.0)
    net.add_node("y", "identity", {"h": 3.0}, trainable=False)
    net.add_edge("x", "y", 5.0, trainable=False)
    assert net.trainable.tolist() == [False, True, False, False]
    g = net.backward(net.forward([1.0]), "y")
    assert g.theta.tolist() == [3.0, 3.0, 3.0, 1.0]
    net.trainable[:] = True
    assert net.trainable.all()


def test_an_edge_may_join_only_some_components() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("v", "softmax", size=3, bias=[0.0, 0.0, 0.0])
    net.add_edge("x", "v", 0.5, to=1, of=0)
    net.add_edge("x", "v", [1.0, 2.0], to=2)
    net.add_edge("x", "v", [3.0, None, None], of=1)
    expected = [[math.nan, 3.0], [0.5, math.nan], [1.0, 2.0]]
    np.testing.assert_array_equal(net.weight("x", "v"), expected)
    net.set_weight("x", "v", 2 * net.weight("x", "v"))
    np.testing.assert_array_equal(net.weight("x", "v"), 2 * np.array(expected))
    g = net.backward(net.forward([1.0, 1.0]), "v", component=0)
    assert np.isnan(g.weight["x", "v"]).tolist() == np.isnan(expected).tolist()


def test_components_of_reducing_and_vector_nodes() -> None:
    net = gp.Network()
    net.add_input("a")
    net.add_input("b")
    net.add_node("m", "max", {"a": 1.0, "b": 1.0})
    net.add_node("p", "softmax", {"a": 1.0, "b": 1.0})
    net.add_node("q", "softmax_dot", {"p": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]})
    net.add_node("one", "tanh", {"a": 1.0}, size=1)
    trace = net.forward([2.0, 3.0])
    assert trace.o["m"] == 3.0
    assert trace.a["m"].tolist() == [2.0, 3.0]
    assert trace.a["p"].tolist() == [2.0, 3.0]
    assert trace.a["q"].shape == (3,)
    assert trace.o["one"].shape == (1,)
    assert net.backward(trace, "one").delta["one"].shape == (1,)


def test_removal_leaves_positions_in_place() -> None:
    net = example()
    net.remove_edge("x1", "y")
    net.remove_node("h1")
    assert len(net.theta) == 11
    assert net.weight("h2", "y").tolist() == [1.1, 0.4]
    g = net.backward(net.forward([1.0, 2.0]), "y")
    assert g.theta[[0, 1, 2, 5, 6, 9, 10]].tolist() == [0.0] * 7
    net.add_edge("x1", "y", [1.0, 2.0])
    assert len(net.theta) == 13


def test_set_bias_makes_one_where_there_is_none() -> None:
    net = example()
    net.set_bias("h1", 5.0)
    net.set_bias("h2", 6.0)
    assert net.theta[2] == 5.0
    assert net.theta[-1] == 6.0
    assert net.bias("h2") == 6.0


def test_masks_in_biases() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "softmax", {"x": [1.0, 2.0, 3.0]}, bias=[0.0, -math.inf, 0.0])
    trace = net.forward([1.0])
    assert trace.o["p"][1] == 0.0
    g = net.backward(trace, "p", component=0)
    assert g.weight["x", "p"][1] == 0.0
    net.theta -= 0.1 * g.theta
    assert net.bias("p")[1] == -math.inf
    net.set_bias("p", [-math.inf, 0.0, 0.0])
    assert net.forward([1.0]).o["p"][0] == 0.0
    with pytest.raises(gp.NumberError, match=r"the bias of node 'h' is -inf"):
        net.add_node("h", "tanh", {"x": 1.0}, bias=-math.inf)
    net.set_bias("p", [-math.inf] * 3)
    with pytest.raises(gp.NumberError, match="node 'p': every component is -inf"):
        net.forward([1.0])


def test_randomize_scales_by_fan_in_and_keeps_masks_and_frozen() -> None:
    net = gp.Network()
    net.add_input("x", size=400)
    net.add_node("h", "tanh", {"x": np.zeros((500, 400))}, bias=np.ones(500), size=500)
    net.add_node("p", "softmax", {"h": np.zeros((2, 500))}, bias=[-math.inf, 1.0])
    net.add_edge("x", "p", np.ones((2, 400)), trainable=False)
    net.randomize(seed=3)
    assert net.weight("x", "h").std() == pytest.approx(1 / 20, rel=0.01)
    assert net.weight("h", "p").std() == pytest.approx(1 / 30, rel=0.1)
    assert not net.bias("h").any()
    assert net.bias("p").tolist() == [-math.inf, 0.0]
    assert (net.weight("x", "p") == 1.0).all()
    first = net.theta.copy()
    net.randomize(seed=3)
    np.testing.assert_array_equal(net.theta, first)
    net.randomize(seed=4)
    assert (net.theta != first).any()


@pytest.mark.parametrize(
    "clone", [gp.Network.copy, copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_copies_are_equal_and_independent(clone: Any) -> None:
    net = example()
    net.parameter("f", [1.0, 2.0])
    net.set_outputs("y", ["h1", "h2"])
    other = clone(net)
    assert fingerprint(other) == fingerprint(net)
    assert other.same_structure(net)
    assert other != net
    other.theta[0] = 9.0
    other.add_node("z", "tanh", {"y": 1.0})
    assert net.weight("x1", "h1") == 0.5
    assert "z" not in net
    assert not other.same_structure(net)
    with pytest.raises(gp.GraphpropError, match="belongs to another network"):
        other.add_node("w", "tanh", {"y": net.parameters["f"][0]})


def test_same_structure_looks_at_everything_but_numbers() -> None:
    net = example()
    net.theta[:] = 1.0
    assert net.same_structure(example())
    for change in (
        lambda n: n.set_bias("h2", 0.0),
        lambda n: n.remove_edge("x1", "y"),
        lambda n: n.set_outputs("h1"),
        lambda n: n.parameter("f", 1.0),
        lambda n: n.add_input("x3"),
    ):
        other = example()
        change(other)
        assert not net.same_structure(other)
        assert not other.same_structure(net)


def test_names_may_be_texts_integers_and_tuples() -> None:
    net = gp.Network()
    net.add_input(0)
    net.add_node(("h", 1), "tanh", {0: 1.0})
    net.add_node((("h", 1), "y"), "tanh", {("h", 1): 1.0})
    assert net.backward(net.forward([0.0]), (("h", 1), "y")).gamma["h", 1] == 1.0
    net.add_input(np.int64(7))
    net.add_node(("k", np.int8(2)), "tanh", {np.int64(7): 1.0})
    assert [type(part) for part in net.nodes[-1]] == [str, int]
    assert type(net.nodes[-2]) is int
    for name in (1.5, None, True, (), ("a", None), ("a", (True,)), b"x", ["a"]):
        with pytest.raises(gp.GraphpropError, match="a name is a text, an integer or a tuple of these"):
            net.add_input(name)
