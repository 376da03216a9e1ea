"""The weights between some nodes as one dense matrix, whose rows and columns go by arrays of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

from graphprop.errors import GraphpropError, check_choice
from graphprop.graph.layout import Array, Name, Node


def name_array(names: Any) -> Array:
    """Node names as an array of objects; lists nest, tuples are names."""
    if isinstance(names, np.ndarray) and names.ndim:
        return names if names.dtype == object else _filled(names.tolist(), names.shape)
    shape: tuple[int, ...] = ()
    level = names
    while isinstance(level, list) and len(shape) < 4:
        shape += (len(level),)
        level = level[0] if level else None
    if not shape:
        raise GraphpropError(f"an array or list of node names is needed, not {names!r}")
    return _filled(names, shape)


def _filled(nested: Any, shape: tuple[int, ...]) -> Array:
    flat = nested
    for length in shape[1:]:
        if any(not isinstance(row, list) or len(row) != length for row in flat):
            raise GraphpropError("the rows of an array of node names have different lengths")
        flat = [name for row in flat for name in row]
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(shape)


def block_matrix(
    rows: Any,
    columns: Any,
    order: Literal["C", "F"],
    node: Callable[[Name], Node],
    blocks_into: Callable[[Name], Iterable[tuple[Name, Array]]],
    dtype: Any = float,
) -> Array:
    """The blocks of the edges from the nodes `columns` into `rows` as one matrix, 0 where there is none."""
    check_choice(order, ("C", "F"), "order")
    into, of = (
        name_array(list(names) if isinstance(names, tuple) else names).ravel(order) for names in (rows, columns)
    )
    if not len(into) or not len(of):
        raise GraphpropError("a weight matrix needs at least one row and one column")
    row_ends, column_ends = np.cumsum([node(v).n for v in into]), np.cumsum([node(u).m for u in of])
    start = {u: end - node(u).m for u, end in zip(of, column_ends, strict=True)}
    matrix = np.zeros((row_ends[-1], column_ends[-1]), dtype=dtype)
    for v, end in zip(into, row_ends, strict=True):
        n = node(v).n
        if not n:
            raise GraphpropError(f"row {v!r} is an input; nothing flows into an input")
        for u, block in blocks_into(v):
            if u in start:
                matrix[end - n : end, start[u] : start[u] + block.shape[1]] = block
    return matrix
