"""What a user gives to build a network with: names, sizes, components, shapes; read and checked one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from graphprop.errors import GraphpropError, check_choice, check_flag
from graphprop.graph.layout import Array, Name, Node
from graphprop.graph.parameters import Parameter

LARGEST_SIZE = 2**31  # components of a node, so that those of all can be counted


def checked_name(name: Name) -> Name:
    """The name with the integers and texts of numpy as Python's own."""
    if isinstance(name, str):
        return str(name)
    if isinstance(name, int | np.integer) and not isinstance(name, bool):
        return int(name)
    if isinstance(name, tuple) and name:
        try:
            return tuple(map(checked_name, name))
        except RecursionError:
            raise GraphpropError("a name is nested too deeply") from None
    raise GraphpropError(f"a name is a text, an integer or a tuple of these, not {name!r}")


def checked_size(size: Any, where: str) -> int:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= LARGEST_SIZE:
        allowed = f"of at least 1 and at most {LARGEST_SIZE:,}"
        raise GraphpropError(f"{where}: size is a whole number {allowed}, not {size!r}")
    return int(size)


def chosen(argument: str, index: int | None, length: int, where: str, what: str, node: Name) -> Sequence[int]:
    """All components of a node, or the one that an argument names."""
    if index is None:
        return range(length)
    if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < length:
        raise GraphpropError(f"{where}: {argument}={index!r} is out of range; {what} {node!r} are 0 to {length - 1}")
    return [int(index)]


def shape_of(weight: Any) -> tuple[int, ...]:
    if isinstance(weight, Parameter | np.ndarray):
        return weight.shape
    if isinstance(weight, list | tuple):
        return (len(weight), *(shape_of(weight[0]) if weight else ()))
    return ()


def inferred_components(
    where: str, parents: Mapping[Any, Any], outputs: Mapping[Any, int], bias: Any
) -> tuple[int, Mapping[Any, Any]]:
    """The components of a reducing or vector node made without size, and its weights shaped accordingly.

    `outputs` are the numbers of outputs of the parents.
    """
    shapes = {u: shape_of(w) for u, w in parents.items()}
    if shapes and all(shape == () for shape in shapes.values()):
        n = len(parents)
        return n, {u: [*[None] * i, w, *[None] * (n - 1 - i)] for i, (u, w) in enumerate(parents.items())}
    if not shapes:
        if shape_of(bias):
            return checked_size(shape_of(bias)[0], where), parents
        raise GraphpropError(f"{where}: without parents its number of components is unknown; give size=")
    # a weight of one axis, of a parent with several outputs, is a single row
    rows = {u: s[0] if len(s) == 2 or (len(s) == 1 and outputs[u] == 1) else 1 for u, s in shapes.items()}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{u!r} {count}" for u, count in rows.items())
        raise GraphpropError(f"{where}: the weights disagree on its number of components: {told}; or give size=")
    return checked_size(next(iter(rows.values())), where), parents


def checked_flag(flag: Any, where: str) -> None:
    check_flag(flag, f"{where}: trainable")


def generator(seed: Any) -> np.random.Generator:
    """The random generator of a seed, which has to be given: the same numbers come out every time."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise GraphpropError(f"a seed is a whole number of at least 0, not {seed!r}")
    return np.random.default_rng(int(seed))


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
