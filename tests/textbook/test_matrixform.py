"""The matrix form against the golden numbers, the recursion, and formulas written out; its layers; its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.textbook import matrixform
from tests import golden
from tests.architecture import LATE, read, room_of
from tests.cases import few_each
from tests.random_graphs import SMOOTH, components, graphs, objectives
from tests.textbook.identity_cases import (
    assert_close,
    backpropagate,
    every_component,
    matrices,
    resolvent,
    sensitivities,
    vector,
)
from tests.textbook.matrixform_cases import (
    assert_same_numbers,
)
from tests.textbook.test_golden import agrees

# ------------------------------------------------------------------ golden numbers


@pytest.mark.parametrize(("name", "k"), golden.CASES)
def test_golden_graph(name: str, k: int) -> None:
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    trace = matrixform.forward(net, golden.inputs(graph))
    g = matrixform.backpropagate(net, trace, **golden.objective(expected))
    assert agrees(g.value, expected["value"])
    for values, numbers_of in ((trace.a, graph["expect"]["a"]), (trace.o, graph["expect"]["o"])):
        for v, found in numbers_of.items():
            assert all(map(agrees, np.atleast_1d(values[v]), found)), v
    for edge, number in zip(graph["edges"], expected["dJ_dw"], strict=True):
        block = np.reshape(g.weight[edge["src"], edge["dst"]], (np.size(trace.a[edge["dst"]]), -1))
        assert agrees(block[edge["dst_comp"], edge["src_comp"]], number), edge
    for v, found in expected["dJ_da"].items():
        assert all(map(agrees, np.atleast_1d(g.delta[v] if v in g.delta else g.gamma[v]), found)), v
    for v, found in expected["dJ_do"].items():
        assert all(map(agrees, np.atleast_1d(g.o[v]), found)), v
    for parameter, number in expected.get("dJ_dtheta", {}).items():
        assert agrees(g.parameter[parameter], number), parameter


LAYERED = [
    "single_sigmoid", "chain_sigmoid", "diamond", "softmaxdot_output", "softmaxdot_to_sigmoid", "sigmoid_to_softmaxdot",
    "softmax_dot_n1", "conv_tied", "two_layer_2_3_4", "two_layer_square_2", "saturated_sigmoid", "saturated_softmaxdot",
]  # fmt: skip


@pytest.mark.parametrize(("name", "k"), [case for case in golden.CASES if case[0] in LAYERED])
def test_golden_graph_by_its_matrices(name: str, k: int) -> None:
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    trace = matrixform.forward(net, golden.inputs(graph))
    g = matrixform.gradients(net, trace, **golden.objective(expected))
    before, seen = [(x, 0) for x in net.inputs], 0
    for layer in matrixform.layers(net):
        rows = [(v, i) for v in layer.nodes for i in range(components(net, v)[0])]
        for edge, number in zip(graph["edges"], expected["dJ_dw"], strict=True):
            if edge["dst"] in layer.nodes:
                row, column = (
                    rows.index((edge["dst"], edge["dst_comp"])),
                    before.index((edge["src"], edge["src_comp"])),
                )
                assert agrees(g[f"W{layer.number}"][row, column], number), edge
                assert layer.W[row, column] == float(edge["w"])
                seen += 1
        for (v, i), number in zip(rows, g.get(f"b{layer.number}", []), strict=False):
            assert agrees(number, expected["dJ_da"][v][i])
        before = [(v, k) for v in layer.nodes for k in range(components(net, v)[1])]
    assert seen == len(graph["edges"])


@pytest.mark.parametrize("name", [name for name in golden.GRAPHS if name != "multi_edge"])
def test_golden_graphs_with_layers_are_recognised(name: str) -> None:
    net = golden.build(golden.GRAPHS[name])
    if name not in LAYERED:
        with pytest.raises(gp.GraphpropError, match="the network has no layers"):
            matrixform.layers(net)
        return
    assert sum(len(layer.nodes) for layer in matrixform.layers(net)) == len(net.nodes) - len(net.inputs)


# ------------------------------------------------------------------ any graph, against the recursion


def in_order(net: gp.Network, inputs: dict[Any, Any]) -> np.ndarray:
    return np.concatenate([vector(inputs[x]) for x in net.inputs])


@given(graphs(), st.data())
def test_any_graph_gives_the_numbers_of_the_recursion(drawn: Any, data: st.DataObject) -> None:
    net, inputs = drawn
    assert_same_numbers(net, in_order(net, inputs), data.draw(objectives(net)))


@pytest.mark.parametrize("loss", SMOOTH)
@few_each()
@given(data=st.data())
def test_any_graph_gives_the_losses_of_the_recursion(loss: str, data: st.DataObject) -> None:
    net, inputs = data.draw(graphs(kinds=("softmax", "log_softmax", "product", "tanh")))
    assert_same_numbers(net, in_order(net, inputs), data.draw(objectives(net, losses=(loss,))))


@pytest.mark.parametrize("kind", gp.ACTIVATIONS)
@few_each()
@given(data=st.data())
def test_every_activation(kind: str, data: st.DataObject) -> None:
    net, inputs = data.draw(graphs(kinds=(kind, "softmax", "softmax_dot", "exp")))
    assert_same_numbers(net, in_order(net, inputs), data.draw(objectives(net)))


@given(graphs(), st.data())
def test_batches_with_sample_weights(drawn: Any, data: st.DataObject) -> None:
    net, inputs = drawn
    x = in_order(net, inputs)
    objective = {
        key: {v: [part] * 3 for v, part in entry.items()} if isinstance(entry, dict) else entry
        for key, entry in data.draw(objectives(net)).items()
    }
    rows = np.array([x, x / 2, 1 - x])
    assert_same_numbers(net, rows, objective)
    if "loss" in objective:
        assert_same_numbers(net, rows, objective, [1.0, 0.0, 2.5])


@given(graphs())
def test_the_block_matrices_and_the_resolvent(drawn: Any) -> None:
    net, inputs = drawn
    trace = gp.recursion.forward(net, inputs)
    W, L, D = matrixform.adjacency(net), matrixform.jacobians(net, trace), matrixform.resolvent(net, trace)
    assert W.rows == L.columns == D.columns
    assert W.columns == L.rows == D.rows
    assert not np.triu(L.matrix @ W.matrix).any()
    expected_L, expected_W = matrices(net, trace)
    a, o = ([label for v in net.nodes for label in labels(net, v, symbol)] for symbol in "ao")
    rows, columns = [D.rows.index(label) for label in o], [D.columns.index(label) for label in a]
    assert np.array_equal(L.matrix[np.ix_(rows, columns)], expected_L)
    assert np.array_equal(W.matrix[np.ix_(columns, rows)], expected_W)
    scale = resolvent(np.abs(expected_L), np.abs(expected_W))
    assert_close(D.matrix[np.ix_(rows, columns)], resolvent(expected_L, expected_W), scale)
    for row, objective in enumerate(every_component(net)):
        assert_close(D.matrix[rows[row], columns], sensitivities(net, backpropagate(net, trace, objective)), scale[row])
    assert D[o[-1], a[0]] == D.matrix[rows[-1], columns[0]]


def labels(net: gp.Network, v: Any, symbol: str) -> list[str]:
    n = components(net, v)["ao".index(symbol)]
    return [f"{symbol}[{v}]"] if n == 1 else [f"{symbol}[{v}][{i}]" for i in range(n)]


# ------------------------------------------------------------------ an oracle of its own


def test_the_matrix_form_shares_no_code_with_the_recursion_and_the_engine_but_what_all_of_them_read() -> None:
    """At any depth of the imports, it reads the data, and neither of the others; nor do these read it."""
    sources = read(Path(gp.__file__).parent)

    def at_any_depth(name: str) -> set[str]:
        found, todo = {name}, [name]
        while todo:
            source = sources[todo.pop()]
            new = {imported for imported in source.top | source.late if (source.name, imported) not in LATE} - found
            found |= new
            todo += new
        return found

    own = {"textbook/matrixform", "textbook/labelled_matrix"}
    others = at_any_depth("textbook/recursion") | at_any_depth("engine/general")
    shared = at_any_depth("textbook/matrixform") - own
    assert {room_of(name).split("/")[0] for name in shared} == {
        *("atomic", "errors", "notation", "given", "functions", "graph", "passes")
    }
    assert not own & others
    assert shared & others == shared - {"graph/levels"}
