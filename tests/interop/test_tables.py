"""Networks from tables and back: the same network declared node by node, and pandas' own reading, are the oracles."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mpmath
import networkx as nx
import numpy as np
import pytest
from hypothesis import given

import graphprop as gp
from graphprop.graph.columns import Columns
from graphprop.interop.tables import edge_frame, node_frame
from tests.attack.hostile_values import HOSTILE, hostile
from tests.files.file_cases import assert_same, bits
from tests.interop.interop_cases import NETWORKS, masked
from tests.network_files import CUBE, OWN
from tests.random_graphs import graphs

Make = Callable[[dict[str, Any]], Any]


def as_lists(columns: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: list(column) for name, column in columns.items()}


def made_by(library: str) -> Make:
    if library == "lists":
        return as_lists
    if library == "arrays":
        return dict
    module = pytest.importorskip(library, reason=f"{library} is not installed; tables of other kinds are tested")
    if library == "pyarrow":
        return lambda columns: module.table(as_lists(columns))
    return lambda columns: module.DataFrame(as_lists(columns))


@pytest.fixture(params=["lists", "arrays", "pandas", "polars", "pyarrow"])
def table(request: pytest.FixtureRequest) -> Make:
    return made_by(request.param)


# ------------------------------------------------------------------ from tables

EDGES = {
    "source": ["x1", "x2", "h", "x1", "m"],
    "target": ["h", "h", "m", "m", "y"],
    "weight": [0.5, -0.25, 2.0, 3.0, -1.0],
}
NODES = {
    "name": ["x1", "x2", "h", "m", "y"],
    "activation": [None, None, "sigmoid", "max", "leaky_relu(slope=0.3)"],
    "bias": [math.nan, math.nan, 0.1, math.nan, math.nan],
}


def by_hand() -> gp.Network:
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h", "sigmoid", {"x1": 0.5, "x2": -0.25}, bias=0.1)
    net.add_node("m", "max", {"h": 2.0, "x1": 3.0})
    net.add_node("y", gp.activation("leaky_relu", slope=0.3), {"m": -1.0})
    return net


def test_tables_are_the_network_declared_node_by_node(table: Make) -> None:
    assert_same(by_hand(), gp.from_frame(table(EDGES), table(NODES)))


def test_columns_may_be_called_otherwise(table: Make) -> None:
    renamed = dict(zip(("u", "v", "w"), EDGES.values(), strict=True))
    assert_same(by_hand(), gp.from_frame(table(renamed), table(NODES), source="u", target="v", weight="w"))


def test_edges_alone_name_the_nodes_in_their_order(table: Make) -> None:
    net = gp.from_frame(table(EDGES), activation="tanh")
    assert net.nodes == ("x1", "h", "x2", "m", "y")
    assert net.inputs == ("x1", "x2")
    assert [net.weight(u, v) for u, v in zip(EDGES["source"], EDGES["target"], strict=True)] == EDGES["weight"]


@pytest.mark.parametrize("names", [(7, 10**17, 3), (2**70, -1, 0), ("1", 1, ("a", (1, "b"))), (("x", 0), "é", " ")])
def test_names_stay_names(names: tuple[Any, ...]) -> None:
    a, b, c = names
    net = gp.from_frame({"source": [a, a, b], "target": [b, c, c], "weight": [1.0, 2.0, 3.0]}, activation="tanh")
    assert net.nodes == (a, b, c)
    assert list(map(type, net.nodes)) == list(map(type, names))
    assert net.weight(b, c) == 3.0
    assert_same(net, gp.from_frame(net.edge_frame(), net.node_frame()))


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.uint16, object, "U"])
def test_names_in_arrays_of_any_kind_are_pythons_own(kind: Any) -> None:
    ends = np.array([3, 1]).astype(kind), np.array([1, 2]).astype(kind)
    net = gp.from_frame({"source": ends[0], "target": ends[1], "weight": [1.0, 2.0]}, activation="tanh")
    assert net.nodes == (("3", "1", "2") if kind == "U" else (3, 1, 2))
    assert {type(v) for v in net.nodes} == {str if kind == "U" else int}


def test_a_large_table_is_the_program_of_its_edges() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(5, 300, 3000)
    pairs = np.unique(target * 300 + (target * rng.random(3000)).astype(int))
    target, source = pairs // 300, pairs % 300
    lonely = np.setdiff1d(np.arange(5, 300), target)
    source, target = np.append(source, lonely - 1), np.append(target, lonely)
    weights = rng.normal(size=len(source))
    shuffled = rng.permutation(len(source))
    names = rng.permutation(10_000)[:300]
    edges = {"source": names[source][shuffled], "target": names[target][shuffled], "weight": weights[shuffled]}
    nodes = {"name": names, "activation": np.where(np.arange(300) < 5, "input", "tanh")}
    X = rng.normal(size=(4, 5))
    program = gp.Program.from_edges(5, source, target, "tanh")
    expected = program.predict(weights, X)
    found = gp.from_frame(edges, nodes)
    assert found.inputs == tuple(names[:5].tolist())
    np.testing.assert_allclose(found.program.predict(found.theta, X), expected, rtol=1e-12)
    reordered = rng.permutation(300)  # so that the order of a pass has to be found
    other = gp.from_frame(edges, {name: column[reordered] for name, column in nodes.items()})
    by_name = {name: X[:, i] for i, name in enumerate(names[:5].tolist())}
    assert {v: bits(o) for v, o in found.forward(by_name).o.items()}.keys() == set(other.nodes)
    for v in found.outputs:
        np.testing.assert_allclose(other.forward(by_name).o[v], found.forward(by_name).o[v], rtol=1e-12)


# ------------------------------------------------------------------ there and back


def without_unused(name: str) -> gp.Network:
    """The network itself, or one that has only numbers that are used; tables have no others."""
    net = NETWORKS[name]()
    if (net.layout.count_of_uses > 0).all():
        return net
    return gp.from_frame(net.edge_frame(), net.node_frame(), activations=OWN)


@pytest.mark.parametrize("library", ["arrays", "pandas"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back_to_the_last_bit(name: str, library: str) -> None:
    net = without_unused(name)
    make = made_by(library)
    other = gp.from_frame(make(net.edge_frame()), make(net.node_frame()), activations=OWN)
    other.name = net.name
    assert_same(net, other)


def test_a_number_that_nothing_uses_is_left_out_and_all_others_stay() -> None:
    net = NETWORKS["rich"]()
    other = gp.from_frame(net.edge_frame(), net.node_frame(), activations=OWN)
    assert other.nodes == net.nodes
    assert [np.asarray(other.weight(*e)).tobytes() for e in net.edges] == [
        np.asarray(net.weight(*e)).tobytes() for e in net.edges
    ]
    assert len(other.theta) == int((net.layout.count_of_uses > 0).sum()) < len(net.theta)
    assert other.weight("cube", 10**30) == 2.0  # tied to an entry of h
    other.set_weight("cube", 10**30, 7.0)
    assert other.weight("x", "h")[1, 2] == 7.0


@given(graphs())
def test_random_networks_come_back_and_give_the_same_bits(drawn: tuple[gp.Network, Any]) -> None:
    net, inputs = drawn
    net = gp.from_frame(net.edge_frame(), net.node_frame())
    other = gp.from_frame(net.edge_frame(), net.node_frame())
    assert_same(net, other)
    assert bits(net.forward(inputs).o_flat) == bits(other.forward(inputs).o_flat)


def test_a_file_of_pandas_holds_a_network(tmp_path: Any) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed, whose files are read")
    net = gp.from_frame(EDGES, NODES)
    net.set_outputs("m", "y")
    texts = [pandas.DataFrame(f).to_csv(index=False) for f in (net.edge_frame(), net.node_frame())]
    edges, nodes = (pandas.read_csv(io.StringIO(text)) for text in texts)
    assert_same(net, gp.from_frame(edges, nodes))


# ------------------------------------------------------------------ to tables


def test_every_number_of_a_pass_stands_in_its_row() -> None:
    net = masked()
    trace = net.forward([[0.5], [-1.0]])
    g = net.backward(trace, "m")
    edges, nodes = edge_frame(net, g), node_frame(net, trace, g, sample=1)
    for u, v, i, k, w, slope in zip(
        *(edges[c] for c in ("source", "target", "to", "of", "weight", "grad")), strict=True
    ):
        shape = {"p": (3, 1), "m": (2, 3)}[v]
        assert w == np.reshape(net.weight(u, v), shape)[i, k]
        assert slope == np.reshape(g.weight[u, v], shape)[i, k]
    assert len(edges["weight"]) == 3 + 3
    values = {"a": trace.a, "o": trace.o, "gamma": g.gamma, "delta": g.delta, "grad_o": g.o}
    for name, i, row in zip(nodes["name"], nodes["component"], range(99), strict=False):
        for what, held in values.items():
            numbers = np.atleast_1d(held[name][1]) if name in held else []
            expected = numbers[i] if i < len(numbers) else math.nan
            np.testing.assert_equal(nodes[what][row], expected, err_msg=f"{what} of {name}")
        bias = np.atleast_1d(net.bias(name))[i] if name != "x" else math.nan
        np.testing.assert_equal(nodes["bias"][row], bias)
        slope = np.atleast_1d(g.bias[name])[i] if name in g.bias else math.nan
        np.testing.assert_equal(nodes["grad_bias"][row], slope)
    assert list(nodes["name"]) == ["x", "p", "p", "p", "m", "m"]


def test_of_a_batch_somebody_has_to_say_which_sample() -> None:
    net = masked()
    trace = net.forward([[0.5], [-1.0]])
    with pytest.raises(gp.GraphpropError, match="there are 2 samples; sample=0 says"):
        net.node_frame(trace)
    with pytest.raises(gp.GraphpropError, match="sample=2 is out of range"):
        net.node_frame(trace, sample=2)
    with pytest.raises(gp.GraphpropError, match="another structure"):
        net.edge_frame(gp.mlp([1, 1]).backward(gp.mlp([1, 1]).forward([1.0]), ("y", 0)))


def test_numbers_of_other_kinds_are_floats() -> None:
    net = gp.mlp([1, 1], "tanh")
    trace = gp.recursion.forward(net, [0.5], numbers=mpmath)
    nodes = net.node_frame(trace, gp.recursion.backpropagate(net, trace, ("y", 0)))
    assert np.asarray(nodes["o"]).dtype == float
    assert nodes["o"][1] == pytest.approx(net.forward([0.5]).o["y", 0], rel=1e-15)


def test_a_table_is_a_data_frame_where_pandas_was_imported_and_columns_else() -> None:
    code = """
import sys
import graphprop as gp
net = gp.mlp([2, 2, 1])
print(type(net.edge_frame()).__name__, type(net.node_frame()).__name__, "pandas" in sys.modules)
import pandas
print(type(net.edge_frame()).__name__, type(net.node_frame()).__name__)
print(pandas.DataFrame(dict(net.weights()))["value"].tolist() == net.edge_frame()["weight"].tolist())
"""
    pytest.importorskip("pandas", reason="pandas is not installed, whose frames are made")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["Columns Columns False", "DataFrame DataFrame", "True"], done.stderr


def test_networkx_reads_the_edges_that_pandas_has() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed, whose frames networkx reads")
    net = gp.mlp([2, 3, 1], seed=1)
    G = nx.from_pandas_edgelist(pandas.DataFrame(dict(net.edge_frame())), edge_attr=True, create_using=nx.DiGraph)
    assert nx.dag_longest_path(G) == nx.dag_longest_path(net.graph)


def test_columns_cannot_be_changed_and_are_no_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    net = masked()
    edges = net.edge_frame()
    assert type(edges) is Columns
    before = net.theta.copy()
    for column in (*edges.values(), *net.node_frame().values()):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = column[1]
    net.theta *= 2.0
    assert edges.weight[0] == before[0]


# ------------------------------------------------------------------ what is refused


def without(columns: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: column for key, column in columns.items() if key != name}


def edge(u: Any, v: Any, w: Any = 1.0) -> dict[str, Any]:
    return {key: [*column, x] for (key, column), x in zip(EDGES.items(), (u, v, w), strict=True)}


REFUSED: list[tuple[Any, Any, str]] = [
    (edge("x1", "y", math.nan), NODES, "edges, row 5: edge 'x1' -> 'y': the weight is nan; a finite number is needed"),
    (edge("x1", "y", None), NODES, "edges, row 5: edge 'x1' -> 'y': the weight is nan"),
    (edge("x1", "y", -math.inf), NODES, "the weight is -inf"),
    (edge("x1", "y", "0.5"), NODES, "edges, column 'weight': real numbers are needed"),
    (edge("x1", "yy"), NODES, "edges, row 5, target: unknown node 'yy'; did you mean 'y'?"),
    (edge(1, "y"), NODES | {"name": ["1", "x2", "h", "m", "y"]}, "edges, row 0, source: unknown node 'x1'"),
    ({"source": [1], "target": ["2"], "weight": [1.0]}, {"name": ["1", "2"]}, "unknown node 1; did you mean '1'?"),
    ({"source": ["1"], "target": [2], "weight": [1.0]}, {"name": [1, 2]}, "unknown node '1'; did you mean 1?"),
    (edge("h", "h"), NODES, "edges, row 5: edge 'h' -> 'h' is a self-loop"),
    (edge("y", "h"), NODES, "there is a cycle, 'h' -> 'm' -> 'y' -> 'h'"),
    (edge("x1", "h"), NODES, r"edges, row 5: edge 'x1' -> 'h'.* is there twice; it is edges, row 0, too"),
    (edge("h", "x2"), NODES | {"activation": ["input", "input", *NODES["activation"][2:]]}, "nothing flows into"),
    (edge(1.5, "y"), NODES, "edges, row 5, source: a name is a text, an integer or a tuple of these, not 1.5"),
    (edge(None, "y"), NODES, "edges, row 5, source: a name is a text, an integer or a tuple of these, not None"),
    (without(EDGES, "weight"), NODES, "edges: there is no column 'weight'; the columns are 'source', 'target'"),
    (without(EDGES, "source"), NODES, "edges: there is no column 'source'; the columns are 'target', 'weight'"),
    (EDGES | {"weight": [1.0]}, NODES, "edges: the column 'weight' has 1 entries, and others have 5"),
    (EDGES, without(NODES, "name"), "nodes: there is no column 'name'; the columns are 'activation', 'bias'"),
    (EDGES, without(NODES, "activation"), "nodes: 'h' has no activation, and edges lead into it; the column"),
    (EDGES, None, "node 'h' has no activation, and edges lead into it; nodes=... is a table"),
    (EDGES, NODES | {"activation": ["input"] * 2 + ["sigmod"] * 3}, "nodes: 'h': unknown activation 'sigmod'; did you"),
    (EDGES, NODES | {"name": ["x1", "x2", "h", "m", "x1"]}, "nodes, row 4: node 'x1' is there twice; it is in row 0"),
    (EDGES, NODES | {"bias": [1.0, None, 0.1, None, None]}, "node 'x1' is an input, which has no bias"),
    (EDGES, NODES | {"bias": [None, None, -math.inf, None, None]}, "is -inf; only biases of the softmax family"),
    (EDGES, NODES | {"bias": [None, None, 0.1, 0.2, None]}, "'m': a bias has to say of which of its components it is"),
    (EDGES, NODES | {"size": [None, None, 2, None, None]}, "to= has to say which; the components of 'h' are 0 to 1"),
    (EDGES, NODES | {"size": [None, None, 1.5, None, None]}, "nodes: 'h': size is a whole number"),
    (EDGES | {"to": [0, 0, 0, 7, 0]}, NODES | {"size": [None, None, None, 3, None]}, "to=7 is out of range; the comp"),
    (EDGES | {"to": [0, 0, -1, 0, 0]}, NODES, "edges, row 2, to: a whole number of at least 0 is needed, not -1"),
    (
        EDGES | {"position": [0, 1, 0, 3, 4]},
        NODES,
        r"row 2: edge 'h' -> 'm': position 0 is shared, and is given as 0.5 a",
    ),
    (EDGES | {"trainable": [1, 0, 1, 1, 1]}, NODES, "edges, row 0, trainable: True or False is needed, not 1"),
    (EDGES | {"parameter": ["f"] * 5}, NODES, "edges, row 0, parameter: 'f' needs a position"),
    ([("x", "y")], None, "edges is a data frame or a mapping of columns, not list"),
    (EDGES, ["x1"], "nodes is a data frame or a mapping of columns, not list"),
    (EDGES | {"weight": np.zeros((5, 2))}, NODES, r"edges, column 'weight' has one axis, not the shape \(5, 2\)"),
    (EDGES | {"weight": "w"}, NODES, "edges, column 'weight' is an array or a list, not str"),
]


@pytest.mark.parametrize(("edges", "nodes", "message"), REFUSED)
def test_what_is_wrong_is_said_with_the_row(edges: Any, nodes: Any, message: str) -> None:
    with pytest.raises(gp.GraphpropError, match=message):
        gp.from_frame(edges, nodes)


def test_own_activations_are_given_back() -> None:
    nodes = {"name": ["x", "y"], "activation": [None, "cube"]}
    edges = {"source": ["x"], "target": ["y"], "weight": [2.0]}
    assert gp.from_frame(edges, nodes, activations=OWN).activation("y") == CUBE
    assert gp.from_frame(edges, nodes | {"activation": [None, CUBE]}).activation("y") == CUBE
    with pytest.raises(gp.UnknownNameError, match="unknown activation 'cube'"):
        gp.from_frame(edges, nodes)
    frames = gp.from_frame(edges, activation=CUBE)
    with pytest.raises(gp.UnknownNameError, match=r"'cube' is not of this library; give it back with activations=\["):
        gp.from_frame(frames.edge_frame(), frames.node_frame())


def million(names: str) -> dict[str, Any]:
    """A layered table of a million edges, a thousand nodes in a layer."""
    layer = np.arange(1000)
    source = np.concatenate([1000 * t + layer for t in range(1000)])
    target = np.concatenate([1000 * (t + 1) + np.roll(layer, t) for t in range(1000)])
    if names == "texts":
        texts = np.array([f"gene {i}" for i in range(1_001_000)], dtype=object)
        source, target = texts[source], texts[target]
    return {"source": source, "target": target, "weight": np.full(10**6, 0.5)}


@pytest.mark.parametrize("names", ["integers", "texts"])
def test_one_wrong_edge_of_a_million_is_named(names: str) -> None:
    edges = million(names)
    again = {key: np.append(column, column[123_456]) for key, column in edges.items()}
    u, v = edges["source"][123_456], edges["target"][123_456]
    u, v = (u, v) if names == "texts" else (int(u), int(v))
    with pytest.raises(gp.GraphpropError) as caught:
        gp.from_frame(again, activation="tanh")
    assert str(caught.value) == f"edges, row 1000000: edge {u!r} -> {v!r} is there twice; it is edges, row 123456, too"
    up, down = edges["target"][654_321], edges["source"][654_321]
    closed = {key: np.append(edges[key], [x]) for key, x in (("source", up), ("target", down), ("weight", 1.0))}
    with pytest.raises(gp.CycleError, match="there is a cycle, ") as cycle:
        gp.from_frame(closed, activation="tanh")
    down, up = (down, up) if names == "texts" else (int(down), int(up))
    assert set(cycle.value.cycle) == {down, up}


@pytest.mark.parametrize("column", ["source", "target", "weight", "to", "of", "position", "trainable", "parameter"])
def test_whatever_a_column_of_edges_holds_is_read_or_refused_in_words(column: str) -> None:
    for text in HOSTILE:
        for wrong in (hostile(text), [hostile(text)] * 5):
            _read_or_refused(EDGES | {column: wrong}, NODES, text)


@pytest.mark.parametrize(
    "column", ["name", "component", "activation", "bias", "size", "position", "own", "output", "head", "step", "entry"]
)
def test_whatever_a_column_of_nodes_holds_is_read_or_refused_in_words(column: str) -> None:
    more = {"output": [None] * 4 + [0]} if column == "head" else {}
    more |= {"parameter": ["f"] * 5, "position": list(range(5))} if column == "entry" else {}
    for text in HOSTILE:
        for wrong in (hostile(text), [hostile(text)] * 5):
            _read_or_refused(EDGES, NODES | more | {column: wrong}, text)


def _read_or_refused(edges: Any, nodes: Any, text: str) -> None:
    try:
        gp.from_frame(edges, nodes)
    except gp.GraphpropError:
        return
    except Exception as error:
        raise AssertionError(f"{text}: {type(error).__name__}: {error}") from error
