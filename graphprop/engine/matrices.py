"""Sparse matrices of weights as arrays of edges. They are known by what they have: scipy is never imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphprop.engine.edge_arguments import read_numbers
from graphprop.engine.edge_arrays import lay_out_edges
from graphprop.errors import GraphpropError
from graphprop.graph.layout import Array, Layout

FORMATS = ("csr", "csc", "coo")


def lay_out_matrices(matrices: Any, activation: Any, bias: Any, outputs: Any, n_inputs: Any, names: Any) -> Layout:
    """The layout of `Program.from_matrices`."""
    inputs, nodes, source, target, each = _edges_of(matrices, n_inputs, activation)
    if outputs is None and n_inputs is None:  # a hidden node that nobody reads is no output
        outputs = range(nodes - int(matrices[-1].shape[0]), nodes)
    return lay_out_edges(inputs, source, target, each, bias, outputs, names=names, nodes=nodes)


def _edges_of(matrices: Any, n_inputs: Any, activation: Any) -> tuple[Any, int, Array, Array, Any]:
    """The numbers of inputs and nodes, sources, targets and activations."""
    if not isinstance(matrices, list | tuple):
        if n_inputs is None:
            raise GraphpropError("n_inputs is needed with one matrix of all nodes; a single layer is a list of it")
        rows, columns, shape = _entries(matrices, "the matrix")
        if shape[0] != shape[1]:
            raise GraphpropError(f"the matrix of all nodes has the shape {shape}; it has to be square")
        return n_inputs, shape[0], columns, rows, activation
    if n_inputs is not None:
        raise GraphpropError("n_inputs goes with one matrix of all nodes; a list of layers begins with its inputs")
    if not matrices:
        raise GraphpropError("matrices is empty; one for each layer is needed")
    read = [_entries(matrix, f"matrices[{i}]") for i, matrix in enumerate(matrices)]
    sources, targets, first = [], [], 0
    for i, (rows, columns, shape) in enumerate(read):
        if i and shape[1] != read[i - 1][2][0]:
            before = read[i - 1][2][0]
            raise GraphpropError(f"matrices[{i}] has {shape[1]} columns; the layer before it has {before} nodes")
        sources.append(first + columns)
        first += shape[1]
        targets.append(first + rows)
    sizes = [shape[0] for _, _, shape in read]
    if isinstance(activation, Sequence) and not isinstance(activation, str) and len(activation) == len(sizes):
        activation = [f for f, size in zip(activation, sizes, strict=True) for _ in range(size)]
    return read[0][2][1], first + sizes[-1], np.concatenate(sources), np.concatenate(targets), activation


def _entries(matrix: Any, where: str) -> tuple[Array, Array, tuple[int, int]]:
    """Row and column of each stored entry, in the order of its data."""
    form = getattr(matrix, "format", None)
    if form not in FORMATS or len(getattr(matrix, "shape", ())) != 2:
        told = f"a sparse matrix of scipy in the format csr, csc or coo is needed, not {_said(matrix, form)}"
        raise GraphpropError(f"{where}: {told}")
    shape = int(matrix.shape[0]), int(matrix.shape[1])
    if form == "coo":
        return read_numbers(matrix.row, f"{where}.row"), read_numbers(matrix.col, f"{where}.col"), shape
    along = read_numbers(matrix.indices, f"{where}.indices")
    counts = np.diff(read_numbers(matrix.indptr, f"{where}.indptr"))
    if (counts < 0).any() or counts.sum() != len(along):
        raise GraphpropError(f"{where}: its indptr does not fit its {len(along)} indices")
    across = np.repeat(np.arange(len(counts)), counts)
    return (across, along, shape) if form == "csr" else (along, across, shape)


def _said(matrix: Any, form: Any) -> str:
    if isinstance(form, str):
        return f"{form}; its method tocsr makes one"
    return f"{type(matrix).__name__}; scipy.sparse.csr_array makes one of an array"
