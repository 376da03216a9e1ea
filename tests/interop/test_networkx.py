"""Networks from graphs of networkx and back, with networkx's own algorithms and formats as the oracle."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import mpmath
import networkx as nx
import numpy as np
import pytest
from hypothesis import given

import graphprop as gp
from tests.attack.hostile_values import HOSTILE, hostile
from tests.files.file_cases import assert_same, bits
from tests.interop.interop_cases import NETWORKS, masked
from tests.network_files import CUBE, OWN, SCALED
from tests.random_graphs import graphs

# ------------------------------------------------------------------ there and back


def through_graphml(G: Any, folder: Path) -> Any:
    nx.write_graphml(G, folder / "net.graphml")
    return nx.read_graphml(folder / "net.graphml")


WAYS = {
    "in memory": lambda G, folder: G,
    "copied": lambda G, folder: G.copy(),
    "GraphML": through_graphml,
    "node-link": lambda G, folder: nx.node_link_graph(nx.node_link_data(G)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back_to_the_last_bit(name: str, way: str, tmp_path: Path) -> None:
    net = NETWORKS[name]()
    G = WAYS[way](net.to_networkx(), tmp_path)
    assert_same(net, gp.from_networkx(G, activations=OWN))


@given(graphs())
def test_random_networks_come_back_and_give_the_same_bits(drawn: tuple[gp.Network, Any]) -> None:
    net, inputs = drawn
    other = gp.from_networkx(net.to_networkx())
    assert_same(net, other)
    assert bits(net.forward(inputs).o_flat) == bits(other.forward(inputs).o_flat)


def test_what_came_back_can_be_changed_and_run() -> None:
    net = gp.from_networkx(masked().to_networkx())
    net.add_node("z", "tanh", {"m": 1.0, "x": 2.0})
    net.set_weight("x", "p", [1.0, 1.0, 1.0])
    net.add_edge("x", "m", 0.5, to=1)
    with pytest.raises(gp.CycleError):
        net.add_edge("z", "m", [1.0, 1.0])
    assert math.isfinite(net.forward([1.0]).o["z"])


# ------------------------------------------------------------------ a graph that somebody made


def drawn_by_hand() -> Any:
    G = nx.DiGraph(name="by hand")
    G.add_node("x1")
    G.add_node("x2", size=2)
    G.add_node("h", activation="sigmoid", bias=0.1)
    G.add_node("m", activation="max")
    G.add_node(("y", 0), activation=gp.activation("leaky_relu", slope=0.3))
    G.add_edge("x1", "h", weight=0.5)
    G.add_edge("x2", "h", **{"weight[0,1]": -0.25})
    G.add_edge("h", "m", weight=2)
    G.add_edge("x1", "m", weight=np.float64(3.0))
    G.add_edge("m", ("y", 0), weight=np.int64(-1))
    return G


def test_a_graph_is_the_network_declared_node_by_node() -> None:
    net = gp.Network("by hand")
    net.add_input("x1")
    net.add_input("x2", size=2)
    net.add_node("h", "sigmoid", {"x1": 0.5, "x2": [None, -0.25]}, bias=0.1)
    net.add_node("m", "max", {"h": 2.0, "x1": 3.0})
    net.add_node(("y", 0), gp.activation("leaky_relu", slope=0.3), {"m": -1.0})
    assert_same(net, gp.from_networkx(drawn_by_hand()))


def test_nodes_without_an_activation_take_that_of_all() -> None:
    G = nx.gn_graph(30, seed=1).reverse()
    nx.set_edge_attributes(G, 0.5, "weight")
    net = gp.from_networkx(G, activation="tanh")
    assert {net.activation(v).name for v in G if G.in_degree(v)} == {"tanh"}  # type: ignore[union-attr]
    assert net.inputs == tuple(v for v in G if not G.in_degree(v))
    assert set(net.outputs) == {v for v in G if G.in_degree(v) and not G.out_degree(v)}
    assert net.layout.level.tolist() == [nx.shortest_path_length(G, 0, v) for v in net.nodes]
    with pytest.raises(gp.GraphpropError, match=r"node 1 has no activation, and edges lead into it; say it in"):
        gp.from_networkx(G)


def test_defaults_that_graphml_states_count() -> None:
    G = nx.DiGraph(node_default={"activation": "tanh"}, edge_default={"weight": 0.5})
    G.add_node("x", activation="input")
    G.add_edge("x", "y")
    net = gp.from_networkx(G)
    assert net.weight("x", "y") == 0.5
    assert net.activation("y") == gp.activation("tanh")


def test_own_activations_are_given_as_objects_or_back_by_name() -> None:
    G = nx.DiGraph()
    G.add_edge("x", "a", weight=1.0)
    G.add_edge("a", "b", weight=1.0)
    nx.set_node_attributes(G, {"a": CUBE, "b": "scaled(s=0.3)"}, "activation")
    net = gp.from_networkx(G, activations=OWN)
    assert (net.activation("a"), net.activation("b")) == (CUBE, SCALED[1])
    H = net.to_networkx()
    assert H.nodes["a"] == {"activation": "cube", "own": True}
    with pytest.raises(gp.UnknownNameError, match=r"'cube' is not of this library; give it back with activations="):
        gp.from_networkx(H)
    with pytest.raises(gp.UnknownNameError, match="given were 'scaled'"):
        gp.from_networkx(H, activations=SCALED)


def test_what_others_attach_to_nodes_and_edges_is_left_alone() -> None:
    G = drawn_by_hand()
    nx.set_node_attributes(G, (0.1, 0.2), "pos")
    nx.set_edge_attributes(G, "red", "colour")
    assert_same(gp.from_networkx(drawn_by_hand()), gp.from_networkx(G))


def test_a_part_of_a_network_is_one_with_its_own_numbers() -> None:
    net = gp.mlp([2, 3, 1], "tanh", seed=0)
    G = net.to_networkx()
    part = gp.from_networkx(G.subgraph([("x", 0), ("h1", 1), ("y", 0)]))
    assert part.weight(("x", 0), ("h1", 1)) == net.weight(("x", 0), ("h1", 1))
    assert len(part.theta) == 4


# ------------------------------------------------------------------ what is written


def two_samples() -> tuple[gp.Network, gp.Trace, gp.Gradients]:
    net = masked()
    trace = net.forward([[0.5], [-1.0]])
    return net, trace, net.backward(trace, "m")


@pytest.mark.parametrize("sample", [0, 1])
def test_every_number_of_a_pass_stands_at_its_node_or_edge(sample: int) -> None:
    net, trace, g = two_samples()
    G = net.to_networkx(trace, g, sample=sample)
    for v in net.nodes:
        data = G.nodes[v]
        for what, values in {"a": trace.a, "o": trace.o, "delta": g.delta, "gamma": g.gamma, "grad_o": g.o}.items():
            expected = np.atleast_1d(values[v][sample]) if v in values else []
            found = [data[key] for key in data if key == what or key.startswith(f"{what}[")]
            assert found == list(expected), (v, what)
        bias = [float(x) for x in np.atleast_1d(g.bias[v]) if not np.isnan(x)] if v in g.bias else []
        assert [data[key] for key in data if key.startswith("grad_bias")] == bias
    assert G.edges["x", "p"] | {"weight": 6.0} == G.edges["x", "p"]
    for i in range(3):
        assert G.edges["x", "p"][f"weight[{i}]"] == net.weight("x", "p")[i]
        assert G.edges["x", "p"][f"grad[{i}]"] == g.weight["x", "p"][i]
    assert G.edges["x", "p"]["grad"] == math.fsum(g.weight["x", "p"])
    assert {"weight[0,0]", "weight[0,1]", "weight[1,2]"} < set(G.edges["p", "m"])
    assert "weight[0,2]" not in G.edges["p", "m"]


def test_of_a_batch_somebody_has_to_say_which_sample() -> None:
    net, trace, g = two_samples()
    with pytest.raises(gp.GraphpropError, match="there are 2 samples; sample=0 says"):
        net.to_networkx(trace, g)
    with pytest.raises(gp.GraphpropError, match="sample=2 is out of range"):
        net.to_networkx(trace, sample=2)


def test_the_weights_are_those_of_the_pass() -> None:
    net, trace, g = two_samples()
    before = net.theta.copy()
    net.theta *= 2.0
    for known in ((trace, None), (None, g), (trace, g)):
        assert net.to_networkx(*known, sample=0).edges["x", "p"]["weight[0]"] == before[0]
    assert net.to_networkx().edges["x", "p"]["weight[0]"] == 2 * before[0]


def test_what_belongs_to_another_network_is_refused() -> None:
    net, trace, g = two_samples()
    other = gp.mlp([1, 1])
    with pytest.raises(gp.GraphpropError, match="the trace is of another structure"):
        other.to_networkx(trace)
    with pytest.raises(gp.GraphpropError, match="the gradients are of another structure"):
        other.to_networkx(None, g)
    with pytest.raises(gp.GraphpropError, match="the trace has 1 samples and the gradients 2"):
        net.to_networkx(net.forward([0.1]), g)


def test_numbers_of_other_kinds_are_floats() -> None:
    net = gp.mlp([1, 1], "tanh")
    trace = gp.recursion.forward(net, [0.5], numbers=mpmath)
    g = gp.recursion.backpropagate(net, trace, ("y", 0))
    G = net.to_networkx(trace, g)
    assert all(type(x) in (float, str, int) for _, data in G.nodes(data=True) for x in data.values())
    assert G.nodes["y", 0]["o"] == pytest.approx(net.forward([0.5]).o["y", 0], rel=1e-15)
    assert G.edges[("x", 0), ("y", 0)]["grad"] == 0.5


def longest_by_trying_all(G: Any, weight: str) -> float:
    paths = [p for s in G for t in G for p in nx.all_simple_paths(G, s, t)]
    return max(sum(G.edges[e][weight] for e in nx.utils.pairwise(path)) for path in paths)


def test_algorithms_of_networkx_run_on_weights_and_derivatives(tmp_path: Path) -> None:
    net = gp.mlp([2, 3, 2, 1], "tanh", seed=3)
    trace = net.forward([0.5, -1.0])
    G = net.to_networkx(trace, net.backward(trace, ("y", 0)))
    for H in (G, net.graph):
        path = nx.dag_longest_path(H, weight="weight")
        length = sum(net.weight(u, v) for u, v in nx.utils.pairwise(path))
        assert length == pytest.approx(longest_by_trying_all(G, "weight"))
    nx.dag_longest_path(G, weight="grad")
    layer = [("x", 0), ("x", 1)], [("h1", 0), ("h1", 1), ("h1", 2)]
    block = nx.to_numpy_array(G, [*layer[0], *layer[1]])[:2, 2:]
    np.testing.assert_array_equal(block.T, net.weight_matrix(layer[1], layer[0]))
    for write in (nx.write_graphml, nx.write_gexf, nx.write_gml):
        write(nx.relabel_nodes(G, str) if write is nx.write_gml else G, tmp_path / "net")


def test_graphml_holds_everything_in_plain_types(tmp_path: Path) -> None:
    for name in ("rich", "masks", "by layer"):
        G = NETWORKS[name]().to_networkx()
        values = [*G.graph.values(), *(x for _, d in G.nodes(data=True) for x in d.values())]
        values += [x for *_, d in G.edges(data=True) for x in d.values()]
        assert {type(x) for x in values} <= {int, float, str, bool}
        kinds: dict[str, set[type]] = {}
        for _, d in G.nodes(data=True):
            for key, x in d.items():
                kinds.setdefault(key, set()).add(type(x))
        assert all(len(found) == 1 for found in kinds.values())  # other readers want one type for a key


# ------------------------------------------------------------------ what is refused

Change = Any
REFUSED: list[tuple[Change, str]] = [
    (lambda G: nx.MultiDiGraph(G), "one edge between two nodes"),
    (lambda G: nx.Graph(G), "the graph is undirected"),
    (lambda G: "G", "takes a networkx.DiGraph, not str"),
    (lambda G: G.add_edge("h", "h", weight=1.0), "edge 'h' -> 'h' is a self-loop"),
    (lambda G: G.add_edge("m", "h", weight=1.0), r"there is a cycle, 'h' -> 'm' -> 'h'|'m' -> 'h' -> 'm'"),
    (lambda G: G.add_edge("x1", ("y", 0), weight=math.nan), r"edge 'x1' -> \('y', 0\): the weight is nan"),
    (lambda G: G.add_edge("x1", ("y", 0), weight=math.inf), "the weight is inf; a finite number is needed"),
    (lambda G: G.add_edge("x1", ("y", 0), weights=1.0), "has no attribute 'weight'; its attributes are 'weights'"),
    (lambda G: G.add_edge("x1", ("y", 0)), "has no attribute 'weight'; it has no attributes"),
    (lambda G: G.add_edge("x1", ("y", 0), weight="0.5"), "weight is a number, not '0.5'"),
    (lambda G: G.add_edge("x1", ("y", 0), weight=[0.5, 1.0]), r"weight is one number, not \[0.5, 1.0\]"),
    (lambda G: G.edges["x2", "h"].update(weight=10**400), "edge 'x2' -> 'h': weight"),
    (lambda G: G.add_edge("x1", ("y", 0), **{"weight[a]": 1.0}), r"the attribute 'weight\[a\]' is no weight\[i\]"),
    (lambda G: G.add_edge("x1", ("y", 0), **{"weight[1]": 1.0}), r"to=1 is out of range; the components of \('y', 0\)"),
    (
        lambda G: G.add_edge("x2", ("y", 0), weight=1.0),
        "of= has to say which; the components of the output of",
    ),
    (
        lambda G: G.add_edge("x2", ("y", 0), **{"weight[0,2]": 1.0}),
        "of=2 is out of range; the components of",
    ),
    (lambda G: G.edges["x1", "h"].update({"weight[0]": 7.0}), "weight is 0.5, and the sum of its numbers"),
    (lambda G: G.edges["x1", "h"].update(theta=-2), "theta is a position in theta, from 0 on, not -2"),
    (lambda G: G.edges["x1", "h"].update(trainable="no"), "trainable is True or False, not 'no'"),
    (lambda G: G.edges["x1", "h"].update(edge="first"), "edge is its number among all edges, from 0 on, not 'first'"),
    (
        lambda G: [G.edges["x1", v].update(theta=3) for v in ("h", "m")],
        r"position 3 is shared, and is given as (0.5 and 3.0|3.0 and 0.5)",
    ),
    (
        lambda G: G.nodes["h"].update(activation="sigmod"),
        "node 'h': unknown activation 'sigmod'; did you mean",
    ),
    (lambda G: G.nodes["h"].update(activation="input"), "edge 'x1' -> 'h': 'h' is an input; nothing flows into"),
    (lambda G: G.nodes["h"].update(activation=3), "an activation is a name or a gp.Activation, not 3"),
    (lambda G: G.nodes["h"].update(activation="elu(1)"), "an activation with numbers is written as"),
    (lambda G: G.nodes["h"].update(bias=math.nan), "the bias of node 'h' is nan"),
    (lambda G: G.nodes["h"].update(bias=-math.inf), r"b\[h\] is -inf; only biases of the softmax family can be masks"),
    (lambda G: G.nodes["x1"].update(bias=1.0), "node 'x1' is an input, which has no bias"),
    (lambda G: G.nodes["h"].update({"bias[1]": 1.0}), "node 'h' has no component 1"),
    (lambda G: G.nodes["h"].update(size="big"), "size is a whole number"),
    (lambda G: G.nodes["h"].update(size=10**9), "out of range|needs .* bytes|has to say"),
    (lambda G: G.nodes["h"].update(output="last"), "output is its place among the outputs"),
    (lambda G: G.add_node(1.5), "a name is a text, an integer or a tuple of these, not 1.5"),
    (lambda G: G.add_node("z", json_name="["), r"json_name is a text of JSON, not '\['"),
    (lambda G: G.add_node("z", json_name="1.5"), "json_name: a name is"),
    (lambda G: G.add_node("z", json_name='"h"'), "two nodes of the graph have the same name"),
    (lambda G: G.add_node("z", activation="softmax"), "node 'z': without edges its number of components is unknown"),
    (lambda G: G.graph.update(unused="[1]"), "the graph's attribute 'unused' is a list"),
    (lambda G: G.graph.update(parameters='[["f", [7]]]'), "'f' is said to be at position 7, where there is no number"),
    (lambda G: G.graph.update(name=3), "the name of a graph is a text"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_wrong_is_said_with_the_node_or_the_edge(change: Change, message: str) -> None:
    G = drawn_by_hand()
    changed = change(G)
    with pytest.raises(gp.GraphpropError, match=message):
        gp.from_networkx(changed if isinstance(changed, str | nx.Graph) else G)


def test_a_long_cycle_is_named_and_cut_short() -> None:
    G = nx.cycle_graph(50, create_using=nx.DiGraph)
    nx.set_edge_attributes(G, 1.0, "weight")
    with pytest.raises(gp.CycleError, match=r"there is a cycle, (\d+ -> ){10}\.\.\. -> \d+; ") as caught:
        gp.from_networkx(G, activation="tanh")
    assert nx.is_simple_path(G, caught.value.cycle[:-1])
    assert G.has_edge(*caught.value.cycle[-2:])


def test_the_door_called_networkx_does_not_hide_the_library() -> None:
    from graphprop.interop import networkx as door

    assert door.__name__ == "graphprop.interop.networkx"
    assert nx.__name__ == "networkx"
    assert isinstance(gp.mlp([1, 1]).to_networkx(), nx.DiGraph)
    code = "import sys; import graphprop; print(sorted({'networkx', 'pandas', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


PLACES = {
    **{f"node {key}": ("h", key) for key in ("activation", "bias", "bias[0]", "size", "theta", "trainable", "own")},
    **{f"node's {key}": ("h", key) for key in ("output", "head", "step", "json_name")},
    **{f"edge {key}": (("x1", "h"), key) for key in ("weight", "weight[0]", "theta", "trainable", "edge", "theta[0]")},
    **{f"graph {key}": (None, key) for key in ("name", "unused", "parameters", "node_default", "edge_default")},
}


@pytest.mark.parametrize("place", PLACES)
def test_whatever_an_attribute_holds_is_read_or_refused_in_words(place: str) -> None:
    where, key = PLACES[place]
    for text in HOSTILE:
        G = drawn_by_hand()
        if key == "head":
            G.nodes["h"]["output"] = 0
        data = G.graph if where is None else G.edges[where] if isinstance(where, tuple) else G.nodes[where]
        data[key] = hostile(text)
        try:
            gp.from_networkx(G)
        except gp.GraphpropError:
            continue
        except Exception as error:
            raise AssertionError(f"{place} = {text}: {type(error).__name__}: {error}") from error
