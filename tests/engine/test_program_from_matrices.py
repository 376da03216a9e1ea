"""Programs from sparse matrices of weights: what scipy's products give, in every format."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

import graphprop as gp
from tests.absolute_terms import roundings
from tests.against_recursion import assert_close
from tests.architecture import read
from tests.project import ROOT

from_matrices = gp.Program.from_matrices
FORMATS = ["csr", "csc", "coo"]


def sparse(rng: np.random.Generator, shape: tuple[int, int], form: str) -> Any:
    """A random matrix without an empty row, as nodes that read nothing are refused."""
    dense = np.where(rng.random(shape) < 0.4, rng.normal(size=shape), 0.0)
    dense[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] = rng.normal(size=shape[0])
    return sp.csr_array(dense).asformat(form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_layers_are_products_and_their_data_is_theta(form: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    layers = [sparse(rng, shape, form) for shape in ((6, 4), (5, 6), (3, 5))]
    if kind == "matrix":
        layers = [getattr(sp, f"{form}_matrix")(layer) for layer in layers]
    program = from_matrices(layers, ["tanh", "sin", "identity"], bias=True)
    biases = rng.normal(size=14)
    theta, x = np.concatenate([*(layer.data for layer in layers), biases]), rng.normal(size=(7, 4))
    b = np.split(biases, [6, 11])
    expected = np.tanh(x @ layers[0].T.toarray() + b[0])
    expected = np.sin(expected @ layers[1].T.toarray() + b[1]) @ layers[2].T.toarray() + b[2]
    assert_close(program.predict(theta, x), expected, roundings(float), 10.0)
    value, gradient = program.value_and_grad(theta, x, expected, loss="half_squared")
    assert value < 1e-25
    assert gradient.shape == theta.shape


@pytest.mark.parametrize("form", FORMATS)
def test_one_matrix_of_all_nodes_is_the_transpose_of_the_adjacency_of_networkx(form: str) -> None:
    rng = np.random.default_rng(1)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(12))
    for v in range(3, 12):
        graph.add_weighted_edges_from((int(u), v, rng.normal()) for u in rng.choice(v, size=min(3, v), replace=False))
    matrix = nx.to_scipy_sparse_array(graph, format="csr").T.asformat(form)
    program = from_matrices(matrix, "tanh", n_inputs=3, outputs=range(3, 12))
    x = rng.normal(size=3)
    o = np.append(x, np.zeros(9))
    for v in range(3, 12):
        o[v] = np.tanh(sum(w["weight"] * o[u] for u, _, w in graph.in_edges(v, data=True)))
    assert_close(program.predict(matrix.data, x), o[3:], roundings(float), 3.0)


def test_a_stored_0_is_an_edge() -> None:
    matrix = sp.coo_array(([0.0, 2.0], ([0, 0], [0, 1])), shape=(1, 2))
    program = from_matrices([matrix], "identity", names=["x", "y", "z"])
    assert program.vjp(matrix.data, {"x": 3.0, "y": 5.0}, [1.0])[0].tolist() == [3.0, 5.0]


def test_the_outputs_are_the_last_layer_also_where_nobody_reads_a_node_before_it() -> None:
    one, two = sp.csr_array([[1.0], [2.0]]), sp.csr_array([[1.0, 0.0]])
    assert from_matrices([one, two], "identity").layout.heads == ((3,),)
    assert from_matrices([one, two], "identity", outputs=[[2], [3]]).layout.heads == ((2,), (3,))


def test_one_layer_is_reduced_and_each_node_can_have_its_activation() -> None:
    matrix = sp.csr_array([[1.0, 2.0], [3.0, 4.0]])
    program = from_matrices([matrix], ["max", "identity"])
    assert program.predict(matrix.data, [1.0, 1.0]).tolist() == [2.0, 7.0]


def layers(*shapes: tuple[int, int]) -> list[Any]:
    return [sp.csr_array(np.ones(shape)) for shape in shapes]


ODD = SimpleNamespace(format="csr", shape=(1, 2), indices=np.array([0, 1]), indptr=np.array([0, 3]))
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "dense": (
        lambda: from_matrices([np.ones((2, 2))]),
        r"matrices\[0\]: a sparse matrix .*not ndarray; scipy.sparse.csr",
    ),
    "lil": (lambda: from_matrices([sp.lil_array((2, 2))]), r"matrices\[0\]: .* not lil; its method tocsr makes one"),
    "none": (lambda: from_matrices([]), "matrices is empty"),
    "no matrix": (lambda: from_matrices([3]), r"matrices\[0\]: a sparse matrix .* not int"),
    "widths": (
        lambda: from_matrices(layers((3, 2), (1, 4))),
        r"matrices\[1\] has 4 columns; the layer before it has 3",
    ),
    "no n_inputs": (lambda: from_matrices(layers((2, 2))[0]), "n_inputs is needed with one matrix of all nodes"),
    "n_inputs": (lambda: from_matrices(layers((2, 2)), n_inputs=2), "n_inputs goes with one matrix of all nodes"),
    "not square": (
        lambda: from_matrices(layers((2, 3))[0], n_inputs=2),
        r"has the shape \(2, 3\); it has to be square",
    ),
    "transposed": (
        lambda: from_matrices(sp.csr_array(([1.0], ([0], [1])), shape=(2, 2)), n_inputs=1),
        "edge 0, 1 -> 0, leads into an input",
    ),
    "twice": (
        lambda: from_matrices([sp.coo_array(([1.0, 2.0], ([0, 0], [0, 0])), shape=(1, 1))]),
        "edge 0 -> 1 is there twice, as number 0 and 1",
    ),
    "an empty row": (lambda: from_matrices([sp.csr_array((2, 2))]), "node 2 of 4 has no edge into it"),
    "indptr": (lambda: from_matrices([ODD]), r"matrices\[0\]: its indptr does not fit its 2 indices"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_what_is_no_graph_is_refused(what: str) -> None:
    run, message = WRONG[what]
    with pytest.raises(gp.GraphpropError, match=message):
        run()


def test_matrices_are_known_by_what_they_have_and_neither_programs_nor_the_engine_import_scipy() -> None:
    matrix = SimpleNamespace(format="csr", shape=(1, 2), indices=np.array([0, 1]), indptr=np.array([0, 2]))
    assert from_matrices([matrix], "identity").predict([2.0, 3.0], [1.0, 10.0]) == [32.0]
    sources = [x for x in read(ROOT / "graphprop").values() if x.name == "program" or x.name.startswith("engine/")]
    assert len(sources) > 10
    assert not [source.name for source in sources if "scipy" in source.foreign]
