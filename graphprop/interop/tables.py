"""Networks from tables of edges and nodes, and back: data frames of any library, or mappings of columns.

No library of frames is needed. They are known by their attributes, and pandas is used where a program has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, unknown
from graphprop.explanations.known import Known, check_sample, read_known
from graphprop.functions.activation import Activation
from graphprop.given.arguments import checked_size
from graphprop.graph.columns import Columns
from graphprop.graph.layout import Array, Layout, Name
from graphprop.interop.building import build
from graphprop.interop.columns import Table, entry_of, find, listed, numbered, parameters_of, said_once, whole_once
from graphprop.interop.kinds import Kinds, written_all
from graphprop.interop.uses import NOTHING, UNSAID, Biases, Edges, Extras, Nodes, steps_of
from graphprop.network import Network

# ------------------------------------------------------------------ to a network


def from_frame(
    edges: Any,
    nodes: Any = None,
    source: str = "source",
    target: str = "target",
    weight: str = "weight",
    *,
    activation: str | Activation | None = None,
    activations: Iterable[Activation] = (),
) -> Network:
    """A network from a table of its edges, and one of its nodes.

    A table is a data frame, of pandas, polars or pyarrow, or a mapping from names to columns. What
    `Network.edge_frame` and `Network.node_frame` give is read as it is.

    Parameters
    ----------
    edges : table
        A row for each edge, with the names of its nodes, texts, integers or tuples, and its weight. Between nodes of
        several components there is a row for each entry, and the columns `to` and `of` say from which component of the
        source's output to which component of the target it leads. Rows of equal `position` share one number, and
        `trainable` is False for those that are frozen.
    nodes : table, optional
        All nodes, inputs too, in order: `name`, and `activation`, `bias` and `size` where there are such. Without it
        the nodes are those of the edges, as they come.
    source, target, weight : str
        What these columns of `edges` are called.
    activation : str or Activation, optional
        That of the nodes that have none and into which edges lead. Others without one are inputs.
    activations : list of Activation
        Those of your own that the table names.

    Examples
    --------
    >>> import graphprop as gp
    >>> edges = {"source": ["x", "x", "h"], "target": ["h", "y", "y"], "weight": [0.5, -1.0, 2.0]}
    >>> nodes = {"name": ["x", "h", "y"], "activation": [None, "tanh", "identity"], "bias": [None, 0.1, None]}
    >>> net = gp.from_frame(edges, nodes)
    >>> net
    <Network: 1 input, 2 nodes, 3 edges, 4 parameters>
    >>> gp.from_frame(edges, activation="tanh").inputs
    ('x',)
    """
    table = Table(edges, "edges")
    ends = table.names(source), table.names(target)
    if nodes is None:
        names, u, v = numbered(*ends)
    else:
        list_of_nodes = Table(nodes, "nodes")
        rows = list_of_nodes.names("name")
        names = _listed_once(list_of_nodes, listed(rows))
        every = rows if len(names) == len(rows) else names
        u, v = (_found(own, every, names, column) for own, column in zip(ends, (source, target), strict=True))
    fed = np.bincount(v, minlength=len(names)) > 0
    kinds = Kinds(activation, activations)
    used = _read_edges(table, weight, u, v)
    if nodes is None:
        built = Nodes(names, _unlisted(names, fed, kinds), [None] * len(names))
        biases = Biases(*(np.empty(0, dtype=kind) for kind in (float, np.intp, bool, np.intp, np.intp)))
        return build(Network, built, used, biases, Extras(parameters=parameters_of([table], [used.position])))
    node = find(rows, every)
    built = _read_nodes(list_of_nodes, node, names, fed, kinds)
    biases, positions = _read_biases(list_of_nodes, node)
    parameters = parameters_of([table, list_of_nodes], [used.position, positions])
    extras = Extras(parameters=parameters, heads=_read_heads(list_of_nodes, node, names))
    return build(Network, built, used, biases, extras)


def _listed_once(table: Table, rows: list[Name]) -> list[Name]:
    """The nodes in the order in which they are listed."""
    names = list(dict.fromkeys(rows))
    if len(names) < len(rows) and not table.has("component"):
        seen: dict[Name, int] = {}
        i = next(i for i, name in enumerate(rows) if seen.setdefault(name, i) != i)
        told = f"it is in row {seen[rows[i]]}, too; a row for each component has a column 'component'"
        raise GraphpropError(f"nodes, row {i}: node {rows[i]!r} is there twice; {told}")
    return names


def _found(own: list[Name] | Array, every: list[Name] | Array, names: list[Name], column: str) -> Array:
    """The numbers of the nodes that a column of the edges names."""
    found = find(own, every)
    if (found < 0).any():
        i = int(np.argmax(found < 0))
        raise unknown("node", listed(own)[i], names, f"edges, row {i}, {column}: ")
    return found


def _read_edges(table: Table, weight: str, source: Array, target: Array) -> Edges:
    value, count = table.numbers(weight), len(source)
    position = table.whole("position", least=-1)
    none = position == -1 if table.has("position") else np.zeros(count, dtype=bool)
    position = np.where(none & np.isnan(value) & ~table.missing("position"), NOTHING, position)
    return Edges(
        value,
        position,
        table.flags("trainable"),
        source=source,
        target=target,
        to=table.whole("to"),
        of=table.whole("of"),
        place=np.arange(count),
        where=lambda e: f"edges, row {e}: ",
    )


def _unlisted(names: list[Name], fed: Array, kinds: Kinds) -> list[Activation | None]:
    if fed.any() and kinds.default is None:
        told = "nodes=... is a table of names and activations, activation='tanh' one for all"
        raise GraphpropError(f"node {names[int(np.argmax(fed))]!r} has no activation, and edges lead into it; {told}")
    return [kinds.default if is_fed else None for is_fed in fed.tolist()]


def _read_nodes(table: Table, node: Array, names: list[Name], fed: Array, kinds: Kinds) -> Nodes:
    texts = said_once(table, "activation", node, names)
    own = said_once(table, "own", node, names)
    sizes = said_once(table, "size", node, names)
    steps = [step for step in whole_once(table, "step", node, names) if step is not None]
    known: dict[Any, Activation | None] = {}
    functions: list[Activation | None] = []
    for v, (text, is_own) in enumerate(zip(texts, own, strict=True)):
        if text is None:
            if fed[v] and kinds.default is None:
                told = "the column 'activation' says it, or activation='tanh' for all that have none"
                raise GraphpropError(f"nodes: {names[v]!r} has no activation, and edges lead into it; {told}")
            functions.append(kinds.default if fed[v] else None)
            continue
        key = (text, is_own is True) if isinstance(text, str) else id(text)
        if key not in known:
            known[key] = kinds.read(text, f"nodes: {names[v]!r}", is_own is True)
        functions.append(known[key])
    lengths = [None if x is None else checked_size(x, f"nodes: {name!r}") for name, x in zip(names, sizes, strict=True)]
    return Nodes(names, functions, lengths, steps if len(steps) == len(names) else None)


def _read_biases(table: Table, node: Array) -> tuple[Biases, Array]:
    """The biases, and the positions of all rows."""
    if not table.has("bias"):
        empty = np.empty(0, dtype=np.intp)
        return Biases(np.empty(0), empty, np.empty(0, dtype=bool), empty, empty), np.full(len(node), UNSAID)
    value, position, component = table.numbers("bias"), table.whole("position"), table.whole("component")
    there = ~np.isnan(value)
    return Biases(*(x[there] for x in (value, position, table.flags("trainable"), node, component))), position


def _read_heads(table: Table, node: Array, names: list[Name]) -> list[list[Name]]:
    """The declared outputs: `output` orders them, and those of one `head` are one."""
    outputs = whole_once(table, "output", node, names)
    heads = whole_once(table, "head", node, names)
    found: dict[Any, list[Name]] = {}
    for _, v in sorted((int(place), v) for v, place in enumerate(outputs) if place is not None):
        found.setdefault(("alone", v) if heads[v] is None else heads[v], []).append(names[v])
    return list(found.values())


# ------------------------------------------------------------------ to tables


def edge_frame(net: Network, gradients: Any = None) -> Any:
    """The edges of a network as a table, as `Network.edge_frame` says."""
    known = read_known(net, None, gradients)
    layout = known.layout
    flags = net.trainable[: layout.size].copy()
    columns = {
        "source": layout.uses_by_name["parent"],
        "target": layout.uses_by_name["child"],
        "to": layout.uses_by_name["to"],
        "of": layout.uses_by_name["of"],
        "weight": _floats(known.theta[layout.position]),
        "position": layout.position,
        "trainable": flags[layout.position],
    }
    columns |= _parameter_columns(layout, layout.position)
    if gradients is not None:
        columns["grad"] = _floats(known.given["weight"])
    return _as_frame(_with_empty_edges(layout, columns))


def _with_empty_edges(layout: Layout, columns: dict[str, Array]) -> dict[str, Array]:
    """The columns with a row for each edge that has no entry, such as one of an expanded network may have."""
    empty = np.flatnonzero(np.diff(layout.edge_start) == 0)
    if not len(empty):
        return columns
    names = layout.name_array
    rows: dict[str, Any] = {"position": -1, "trainable": False, "parameter": None, "entry": None, "to": 0, "of": 0}
    rows |= {"source": names[layout.edge_source[empty]], "target": names[layout.edge_target[empty]]}
    places = layout.edge_start[empty]
    return {key: np.insert(column, places, rows.get(key, np.nan)) for key, column in columns.items()}


def node_frame(net: Network, trace: Any = None, gradients: Any = None, sample: int | None = None) -> Any:
    """The nodes of a network as a table, as `Network.node_frame` says."""
    known = read_known(net, trace, gradients)
    check_sample(sample, known)
    if sample is None and known.samples > 1:
        raise GraphpropError(f"there are {known.samples} samples; sample=0 says of which the numbers of nodes are")
    layout = known.layout
    flags = net.trainable[: layout.size].copy()
    n, m = np.diff(layout.a_start), np.diff(layout.o_start)
    lengths = np.maximum(n, m)
    start = np.cumsum(lengths) - lengths
    node = np.repeat(np.arange(len(lengths)), lengths)
    of_row = np.repeat(start, n) + np.arange(int(n.sum())) - np.repeat(np.cumsum(n) - n, n)
    of_column = np.repeat(start, m) + np.arange(int(m.sum())) - np.repeat(np.cumsum(m) - m, m)
    texts = written_all(x.activation for x in layout.nodes)
    of_nodes = [texts[x.activation] for x in layout.nodes]
    vector = np.array([x.vector for x in layout.nodes], dtype=bool)

    def spread(rows: Array, values: Array, length: int = len(node)) -> Array:
        """A column that has values in some rows."""
        column = np.full(length, np.nan, dtype=object if values.dtype == object else float)
        column[rows] = values
        return column

    has_bias = of_row[layout.bias_row]
    trainable = np.zeros(len(node), dtype=bool)
    trainable[has_bias] = flags[layout.bias_position]
    position = spread(has_bias, layout.bias_position)
    columns: dict[str, Array] = {
        "name": layout.name_array[node],
        "component": np.arange(len(node)) - start[node],
        "activation": np.array([text for text, _ in of_nodes] or [], dtype=object)[node],
        "size": np.where(vector, lengths, np.nan)[node],
        "bias": spread(has_bias, _floats(known.theta[layout.bias_position])),
        "position": position,
        "trainable": trainable,
    }
    columns |= _parameter_columns(layout, np.where(np.isnan(position), UNSAID, position).astype(np.intp))
    if any(own for _, own in of_nodes):
        columns["own"] = np.array([own for _, own in of_nodes], dtype=bool)[node]
    columns |= {key: column[node] for key, column in _orders(layout).items()}
    columns |= _passes(known, sample or 0, spread, of_row, of_column, has_bias, vector[layout.node_of_row])
    return _as_frame(columns)


def _passes(
    known: Known, sample: int, spread: Any, of_row: Array, of_column: Array, has_bias: Array, vector: Array
) -> dict[str, Array]:
    """The columns of a trace and of gradients."""
    given, columns = known.given, {}
    for name, kind, rows in (("a", "a", of_row), ("o", "o", of_column)):
        if kind in given:
            columns[name] = spread(rows, _floats(given[kind][sample]))
    if "delta" in given:
        slopes = _floats(given["delta"][sample])
        columns["gamma"] = spread(of_row[~vector], slopes[~vector])
        columns["delta"] = spread(of_row[vector], slopes[vector])
        columns["grad_o"] = spread(of_column, _floats(given["obar"][sample]))
        columns["grad_bias"] = spread(has_bias, _floats(given["bias"]))
    return columns


def _orders(layout: Layout) -> dict[str, Array]:
    """Of each node its place among the declared outputs, and in a pass if that has to be said."""
    found: dict[str, Array] = {}
    if layout.outputs_declared:
        found = {key: np.full(len(layout.names), np.nan) for key in ("output", "head")}
        heads = [(layout.number[v], h) for h, head in enumerate(layout.heads) for v in head]
        for place, (v, h) in enumerate(heads):
            found["output"][v], found["head"][v] = place, h
    steps = steps_of(layout)
    return found if steps is None else found | {"step": np.array(steps)}


def _parameter_columns(layout: Layout, positions: Array) -> dict[str, Array]:
    """Of each position the named parameter that it is of, and which entry; of those all of whose entries are used."""
    if not layout.parameters:
        return {}
    known: dict[int, tuple[Name | None, str | None]] = {}
    for name, own in layout.parameters.items():
        if layout.count_of_uses[own].all():
            known |= {int(own[index]): (name, entry_of(index)) for index in np.ndindex(own.shape)}
    rows = [known.get(position, (None, None)) for position in positions.tolist()]
    columns = (np.empty(len(rows), dtype=object) for _ in range(2))
    parameter, entry = columns
    for i, row in enumerate(rows):
        parameter[i], entry[i] = row
    return {"parameter": parameter, "entry": entry}


def _floats(numbers: Array) -> Array:
    """Numbers of another kind as floats, if they are some."""
    if numbers.dtype != object:
        return numbers
    try:
        return numbers.astype(float)
    except (TypeError, ValueError):
        return numbers


def _as_frame(columns: dict[str, Array]) -> Any:
    """A data frame of pandas in a program that has imported it, else a mapping of columns."""
    pandas = sys.modules.get("pandas")
    table = Columns(**columns)
    return table if pandas is None or not hasattr(pandas, "DataFrame") else pandas.DataFrame(table)
