"""Programs from arrays that reduce, tie, mask and name: those of the same graphs declared node by node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from tests.absolute_terms import absolute_terms, forward_terms, roundings
from tests.against_recursion import assert_close
from tests.engine.array_cases import REDUCING, Given, array_graphs, declared

from_edges = gp.Program.from_edges


@given(array_graphs(), st.integers(0, 2**32 - 1))
def test_every_call_gives_the_bits_of_the_network_declared_node_by_node(made: Given, seed: int) -> None:
    rng = np.random.default_rng(seed)
    program = from_edges(**made)
    net = declared(made, program.layout.size)
    theta = rng.normal(size=program.layout.size) / 2
    net.theta = theta
    rows, own = rng.normal(size=(3, made["n_inputs"])), gp.compile(net)
    target = rng.normal(size=(3, len(net.outputs)))
    assert (program.predict(theta, rows) == own.predict(theta, rows)).all()
    value, gradient = program.value_and_grad(theta, rows, target, loss="half_squared")
    expected, by_theta = own.value_and_grad(theta, rows, target, loss="half_squared")
    assert value == expected
    assert (gradient == by_theta).all()
    for found, wanted in zip(program.vjp(theta, rows, target), own.vjp(theta, rows, target), strict=True):
        assert (found == wanted).all()
    trace, same = program.forward(theta, rows), net.forward(rows)
    g = program.backward(trace, loss="half_squared", target=target)
    other = net.backward(same, loss="half_squared", target=target)
    for v in net.nodes:
        assert np.array_equal(trace.o[v], same.o[v])
        assert np.array_equal(g.o[v], other.o[v])
    for edge in net.edges:
        assert np.array_equal(g.weight[edge], other.weight[edge], equal_nan=True)
    assert (g.theta == other.theta).all()
    again = program.to_network()
    assert [*again.edges] == [*net.edges]
    assert again.outputs == net.outputs
    again.theta = theta
    assert (again.forward(rows).o_flat == trace.o_flat).all()


@given(array_graphs(), st.integers(0, 2**32 - 1))
def test_its_numbers_are_those_of_the_recursion(made: Given, seed: int) -> None:
    rng = np.random.default_rng(seed)
    program = from_edges(**made)
    net = declared(made, program.layout.size)
    net.theta = rng.normal(size=program.layout.size) / 2
    rows = rng.normal(size=(2, made["n_inputs"]))
    trace = gp.recursion.forward(net, rows)
    seeds = rng.normal(size=(2, len(net.outputs)))
    expected = gp.recursion.backpropagate(net, trace, seed={v: seeds[:, i] for i, v in enumerate(net.outputs)})
    forward, terms, exact = forward_terms(trace), absolute_terms(expected), roundings(float)
    columns = [net.layout.o_slice(net.layout.find(v)).start for v in net.outputs]
    assert_close(program.predict(net.theta, rows), trace.o_flat[:, columns], exact, forward.o[:, columns])
    gradient, _ = program.vjp(net.theta, rows, seeds)
    assert_close(gradient, expected.theta, exact, terms.theta)


@pytest.mark.parametrize("name", REDUCING)
def test_each_edge_is_a_component_of_a_reducing_node_in_their_order(name: str) -> None:
    net = gp.Network()
    for v in range(3):
        net.add_input(v)
    net.add_node(3, name, {2: 1.0, 0: 1.0, 1: 1.0})
    program = from_edges(3, [2, 0, 1], [3, 3, 3], name)
    for row in ([1.0, 3.0, 2.0], [0.5, 0.5, 0.5]):  # where all are equal, the derivative tells them apart
        for found, wanted in zip(
            program.vjp(np.ones(3), row, [1.0]), gp.compile(net).vjp(np.ones(3), row, [1.0]), strict=True
        ):
            assert (found == wanted).all()


def test_edges_into_one_component_are_added_up_before_it_is_reduced() -> None:
    program = from_edges(3, [0, 1, 2, 0], [3, 3, 3, 3], "max", component=[0, 0, 1, 1])
    assert program.predict([1.0, 1.0, 1.0, 10.0], [1.0, 2.0, 3.0]) == [max(1.0 + 2.0, 3.0 + 10.0)]


def test_a_bias_of_minus_infinity_takes_a_component_out_of_the_softmax_family() -> None:
    program = from_edges(2, [0, 1, 0, 1], [2, 2, 3, 3], "logsumexp", bias=[True, True, False, False])
    theta = np.array([1.0, 1.0, 1.0, 1.0, 0.0, -np.inf])
    assert program.predict(theta, [1.0, 5.0]).tolist() == [1.0, np.logaddexp(1.0, 5.0)]
    gradient, _ = program.vjp(theta, [1.0, 5.0], [1.0, 0.0])
    assert gradient.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    plain = from_edges(2, [0, 1], [2, 2], "max", bias=True)
    with pytest.raises(gp.NumberError, match=r"theta\[3\], b\[2\]\[1\], is -inf"):
        plain.predict([1.0, 1.0, 0.0, -np.inf], [1.0, 5.0])


def test_tied_weights_have_one_derivative_the_sum_over_their_uses() -> None:
    program = from_edges(1, [0, 1, 2], [1, 2, 3], "identity", position=[0, 0, 0], bias=[1, -1, 1])
    w, b = 3.0, 0.5
    assert program.predict([w, b], [2.0]) == [w * (w * (w * 2.0 + b)) + b]
    gradient, _ = program.vjp([w, b], [2.0], [1.0])
    assert gradient.tolist() == [3 * w**2 * 2.0 + 2 * w * b, w**2 + 1]


def test_a_position_that_nothing_uses_has_the_derivative_0() -> None:
    program = from_edges(1, [0], [1], "identity", position=[2])
    value, gradient = program.value_and_grad([7.0, 8.0, 2.0], [[1.0]], [[1.0]], loss="half_squared")
    assert (value, gradient.tolist()) == (0.5, [0.0, 0.0, 1.0])


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda x: np.array(x, dtype=object)])
def test_results_and_errors_speak_of_the_names(kind: Callable[[Any], Any]) -> None:
    program = from_edges(2, [0, 1, 2], [2, 2, 3], "identity", names=kind(["age", "size", "h", "out"]))
    trace = program.forward([1.0, 10.0, 100.0], {"age": 1.0, "size": 2.0})
    assert (trace.o["h"], trace.o["out"]) == (21.0, 2100.0)
    g = program.backward(trace, "out")
    assert g.weight["size", "h"] == 200.0
    assert program.to_network().outputs == ("out",)
    assert program.vjp([1.0, 10.0, 100.0], [1.0, 2.0], {"out": 1.0})[1].tolist() == [100.0, 1000.0]
    with pytest.raises(gp.UnknownNameError, match="unknown input 'agee'"):
        program.predict([1.0, 10.0, 100.0], {"agee": 1.0, "size": 2.0})
    with pytest.raises(gp.NumberError, match=r"theta\[2\], w\(h, out\), is inf"):
        program.predict([1.0, 10.0, np.inf], [1.0, 2.0])


def test_heads_are_lists_of_nodes_or_the_rows_of_an_array() -> None:
    edges = [0, 0, 0, 0], [1, 2, 3, 4]
    for outputs in ([[3, 1], [4]], [np.array([3, 1]), (4,)]):
        assert from_edges(1, *edges, "identity", outputs=outputs).layout.heads == ((3, 1), (4,))
    program = from_edges(1, *edges, "identity", outputs=np.array([[3, 1], [4, 2]]))
    assert program.layout.heads == ((3, 1), (4, 2))
    assert program.predict([1.0, 2.0, 3.0, 4.0], [1.0]).tolist() == [3.0, 1.0, 4.0, 2.0]


def named(**more: Any) -> Any:
    return lambda: from_edges(1, *more.pop("edges", ([0, 1], [1, 2])), names=more.pop("names", ["x", "h", "y"]), **more)


WRONG: dict[str, tuple[Callable[[], Any], type[gp.GraphpropError], str]] = {
    "names few": (named(names=["x", "h"]), gp.GraphpropError, "names has 2 entries; an edge needs one for node 2"),
    "names twice": (named(names=["x", "h", "x"]), gp.GraphpropError, r"names\[2\] is 'x', as names\[0\] is"),
    "names more": (
        named(names=["x", "h", "y", "z"]),
        gp.GraphpropError,
        "node 'z' has no edge into it and is no input",
    ),
    "names float": (named(names=["x", 0.5, "y"]), gp.GraphpropError, r"names\[1\]: a name is a text, .*, not 0.5"),
    "names text": (named(names="xhy"), gp.GraphpropError, "names is an array with a name for each node, not str"),
    "names number": (named(names=3), gp.GraphpropError, "names is an array with a name for each node, not int"),
    "names square": (named(names=np.array([["x"]])), gp.GraphpropError, "names is an array with one axis"),
    "names masked": (named(names=np.ma.array(["x", "h", "y"])), gp.GraphpropError, "not MaskedArray"),
    "cycle": (named(edges=([0, 2, 1], [1, 1, 2])), gp.CycleError, "cycle ('h' -> 'y' -> 'h'|'y' -> 'h' -> 'y')"),
    "loop": (named(edges=([0, 1, 2], [1, 2, 2])), gp.CycleError, "edge 2, 'y' -> 'y', is a loop"),
    "twice": (
        named(edges=([0, 1, 0], [1, 2, 1])),
        gp.GraphpropError,
        "edge 'x' -> 'h' is there twice, as number 0 and",
    ),
    "into an input": (named(edges=([1, 0], [0, 1])), gp.GraphpropError, "edge 0, 'h' -> 'x', leads into an input"),
    "component twice": (
        lambda: from_edges(2, [0, 1, 0], [2, 2, 2], "max", component=[1, 0, 1]),
        gp.GraphpropError,
        "edge 0 -> 2 is there twice, as number 0 and 2",
    ),
    "component of a scalar": (
        lambda: from_edges(1, [0], [1], "tanh", component=[1]),
        gp.GraphpropError,
        r"component\[0\] is 1; edge 0, 0 -> 1, leads into a scalar node, which has 0",
    ),
    "component without edge": (
        lambda: from_edges(3, [0, 1, 2], [3, 3, 3], "max", component=[0, 2, 2]),
        gp.GraphpropError,
        "node 3 has no edge into its component 1",
    ),
    "component huge": (
        lambda: from_edges(2, [0, 1], [2, 2], "max", component=[0, 2**30]),
        gp.GraphpropError,
        "node 2 has the components 0 to 1073741824, and 2 edges lead into it",
    ),
    "component negative": (
        lambda: from_edges(2, [0, 1], [2, 2], "max", component=[0, -1]),
        gp.GraphpropError,
        r"component\[1\] is -1; components are 0 to",
    ),
    "component few": (
        lambda: from_edges(2, [0, 1], [2, 2], "max", component=[0]),
        gp.GraphpropError,
        "component has 1 entries; one for each edge makes 2",
    ),
    "position few": (
        lambda: from_edges(2, [0, 1], [2, 2], position=[0]),
        gp.GraphpropError,
        "position has 1 entries; one for each edge makes 2",
    ),
    "position negative": (
        lambda: from_edges(2, [0, 1], [2, 2], position=[0, -1]),
        gp.GraphpropError,
        r"position\[1\] is -1; positions are 0 to",
    ),
    "position huge": (
        lambda: from_edges(2, [0, 1], [2, 2], position=[0, 2**31 - 2]),
        gp.LimitError,
        "a theta of 2,147,483,647 numbers needs",
    ),
    "position float": (
        lambda: from_edges(2, [0, 1], [2, 2], position=[0.0, 1.0]),
        gp.GraphpropError,
        "position is an array of positions with one axis",
    ),
    "bias few": (
        lambda: from_edges(2, [0, 1], [2, 2], "max", bias=[True]),
        gp.GraphpropError,
        "bias has 1 entries; one for each component of each node that is no input makes 2",
    ),
    "bias negative": (
        lambda: from_edges(2, [0, 1], [2, 2], bias=[-2]),
        gp.GraphpropError,
        r"bias\[0\] is -2; positions are -1 to",
    ),
    "bias floats": (
        lambda: from_edges(2, [0, 1], [2, 2], bias=[0.5]),
        gp.GraphpropError,
        "bias is an array of positions with one axis",
    ),
    "bias None": (lambda: from_edges(1, [0], [1], bias=None), gp.GraphpropError, "bias is True or False, or an array"),
    "outputs head empty": (
        lambda: from_edges(1, [0], [1], outputs=[[1], []]),
        gp.GraphpropError,
        "outputs has a head that is empty",
    ),
    "outputs in two heads": (
        lambda: from_edges(1, [0, 0], [1, 2], outputs=[[1], [2, 1]]),
        gp.GraphpropError,
        "outputs names a node twice",
    ),
    "outputs of floats": (
        lambda: from_edges(1, [0], [1], outputs=[[1.0]]),
        gp.GraphpropError,
        r"outputs\[0\] is an array of node numbers",
    ),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_arrays_that_fit_no_graph_are_refused_with_what_where_and_what_is_allowed(what: str) -> None:
    run, kind, message = WRONG[what]
    with pytest.raises(kind, match=message):
        run()
