"""Networks from graphs of networkx, and back; the attributes are numbers and texts, as GraphML can hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.explanations.known import check_sample, read_known
from graphprop.functions.activation import Activation
from graphprop.given.arguments import checked_size, is_whole
from graphprop.given.arrays import one_number
from graphprop.graph.layout import Array, Name
from graphprop.graph.names import checked_name
from graphprop.interop.attributes import written_edges, written_extras, written_nodes
from graphprop.interop.building import build
from graphprop.interop.kinds import Kinds
from graphprop.interop.uses import (
    NOTHING,
    UNSAID,
    Biases,
    Edges,
    Extras,
    Nodes,
    Numbers,
    no_numbers,
)
from graphprop.network import Network

_PLACE = re.compile(r"\[(\d{1,9})(?:,(\d{1,9}))?\]")
Attributes = Mapping[str, Any]
Rows = Sequence[tuple[Any, Attributes]]


# ------------------------------------------------------------------ to a network


def from_networkx(
    G: Any, activation: str | Activation | None = None, activations: Iterable[Activation] = ()
) -> Network:
    """A network from a directed graph of networkx, whose nodes and edges say by their attributes what they are.

    Parameters
    ----------
    G : networkx.DiGraph
        Of an edge, `weight` is its number. Of a node, `activation` is the name of its activation, `bias` its bias
        (none if it has none) and `size` the number of components of a vector node. Nodes that no edge leads into
        are inputs, if they do not say otherwise. `net.to_networkx` writes more attributes, and all are read.
    activation : str or Activation, optional
        That of the nodes that have no such attribute and into which edges lead.
    activations : list of Activation
        Those of your own that the graph names.

    Examples
    --------
    >>> import graphprop as gp
    >>> import networkx as nx
    >>> G = nx.DiGraph()
    >>> G.add_node("h", activation="tanh", bias=0.5)
    >>> G.add_edge("x", "h", weight=2.0)
    >>> G.add_edge("h", "y", weight=-1.0)
    >>> net = gp.from_networkx(G, activation="identity")
    >>> net
    <Network: 1 input, 2 nodes, 2 edges, 3 parameters>
    >>> net.inputs, net.activation("y").name, net.bias("h")
    (('x',), 'identity', 0.5)
    """
    _check_graph(G)
    node_default, edge_default = (_default(G, key) for key in ("node_default", "edge_default"))
    names = {v: _name(v, data) for v, data in G.nodes(data=True)}
    if len(set(names.values())) < len(names):
        raise GraphpropError("two nodes of the graph have the same name")
    rows = [(v, {**node_default, **data}) for v, data in G.nodes(data=True)]
    kinds, sizes = _kinds(rows, names, G, Kinds(activation, activations))
    steps = [data["step"] for _, data in rows if is_whole(data.get("step"), 0, 2**62)]
    nodes = Nodes(list(names.values()), kinds, sizes, steps if len(steps) == len(rows) else None)
    number_of = {v: i for i, v in enumerate(names)}
    edges = _read_edges(G, number_of, names, edge_default)
    biases = _read_biases(rows, names)
    return build(Network, nodes, edges, biases, _read_extras(G, rows, names))


def _check_graph(G: Any) -> None:
    import networkx as nx

    if not isinstance(G, nx.Graph):
        raise GraphpropError(f"from_networkx takes a networkx.DiGraph, not {type(G).__name__}")
    if G.is_multigraph():
        told = "nx.DiGraph(G) keeps the last of parallel edges"
        raise GraphpropError(f"the graph is a {type(G).__name__}; a network has one edge between two nodes: {told}")
    if not G.is_directed():
        told = "nx.DiGraph has directed edges"
        raise GraphpropError(f"the graph is undirected; an edge of a network leads from a parent to a child: {told}")


def _default(G: Any, key: str) -> Attributes:
    """What nodes or edges have that do not say otherwise, as a file of GraphML may state it."""
    found = G.graph.get(key, {})
    if not isinstance(found, Mapping):
        raise GraphpropError(f"the graph's attribute {key!r} is a mapping from attributes to values, not {found!r}")
    return found


def _name(v: Any, data: Attributes) -> Name:
    """The name of a node; GraphML makes a text of it, and `json_name` keeps what it was."""
    if isinstance(v, str) and isinstance(data.get("json_name"), str):
        found = _tuples(_json(data["json_name"], f"node {v!r}: json_name"))
        try:
            return checked_name(found)
        except GraphpropError as error:
            raise GraphpropError(f"node {v!r}: json_name: {error}") from None
    return checked_name(v)


def _tuples(given: Any) -> Any:
    return tuple(map(_tuples, given)) if isinstance(given, list) else given


def _json(text: Any, where: str) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise GraphpropError(f"{where} is a text of JSON, not {text!r}") from None


def _kinds(
    rows: Rows, names: Mapping[Any, Name], G: Any, kinds: Kinds
) -> tuple[list[Activation | None], list[int | None]]:
    """Of each node its activation, and its size if it is a vector."""
    functions: list[Activation | None] = []
    sizes: list[int | None] = []
    for v, data in rows:
        where = f"node {names[v]!r}"
        given = data.get("activation")
        if given is not None:
            f = kinds.read(given, where, data.get("own", False) is True)
        elif not G.pred[v]:
            f = None
        elif kinds.default is not None:
            f = kinds.default
        else:
            told = "say it in G.nodes[...]['activation'], or with activation='tanh' for all that have none"
            raise GraphpropError(f"{where} has no activation, and edges lead into it; {told}")
        functions.append(f)
        sizes.append(None if data.get("size") is None else checked_size(_whole(data["size"]), where))
    return functions, sizes


def _whole(given: Any) -> Any:
    """A whole number that a file has as a float, too."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


def _read_edges(G: Any, number_of: Mapping[Any, int], names: Mapping[Any, Name], default: Attributes) -> Edges:
    found: list[tuple[Any, ...]] = []
    place = 0
    for v in number_of:
        for u, data in G.pred[v].items():
            data = {**default, **data} if default else data
            where = f"edge {names[u]!r} -> {names[v]!r}"
            rank = data.get("edge", place)
            if not is_whole(rank, 0, 2**62):
                raise GraphpropError(f"{where}: edge is its number among all edges, from 0 on, not {rank!r}")
            entries = list(_entries(data, "weight", where))
            if not entries:
                told = f"its attributes are {', '.join(map(repr, data))}" if data else "it has no attributes"
                raise GraphpropError(f"{where} has no attribute 'weight'; {told}")
            for (to, of), key, value in entries:
                ends = number_of[u], number_of[v], to, of, int(rank)
                found.append((*_number(data, key, "weight", value, where), *ends))
            if entries[0][1]:
                _check_sum(data, [value for _, _, value in entries], where)
            place += 1
    return Edges(*_columns(found, 8), where=lambda e: "")


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[Array]:
    """The columns of rows as arrays: whole numbers, numbers, and True or False."""
    kinds = {int: np.intp, float: float, bool: bool}
    columns = list(zip(*rows, strict=True)) or [()] * count
    return [np.array(column, dtype=kinds[type(column[0])] if column else np.intp) for column in columns]


def _check_sum(data: Attributes, values: list[Any], where: str) -> None:
    """Refuse a `weight` beside several numbers that is not their sum: somebody changed it."""
    given = data.get("weight")
    if not isinstance(given, int | float) or not all(isinstance(x, int | float) for x in values):
        return
    given, *values = (one_number(x, f"{where}: weight") for x in (given, *values))
    if abs(given - sum(values)) > 1e-6 * sum(map(abs, values)):
        told = "change those, and take weight away"
        raise GraphpropError(
            f"{where}: weight is {given}, and the sum of its numbers weight[...] is {sum(values)}; {told}"
        )


def _entries(data: Attributes, what: str, where: str) -> Iterator[tuple[tuple[int, int], str, Any]]:
    """The numbers of an edge or a node by their components: ``weight[i,k]``; else ``weight``, the only one."""
    numbered = [key for key in data if isinstance(key, str) and key.startswith(f"{what}[")]
    for key in numbered:
        match = _PLACE.fullmatch(key[len(what) :])
        if match is None:
            raise GraphpropError(f"{where}: the attribute {key!r} is no {what}[i] or {what}[i,k]")
        yield (int(match[1]), int(match[2]) if match[2] is not None else UNSAID), key[len(what) :], data[key]
    if not numbered and data.get(what) is not None:
        yield (UNSAID, UNSAID), "", data[what]


def _number(data: Attributes, key: str, what: str, value: Any, where: str) -> tuple[float, int, bool]:
    """A number, its position and whether it is trainable, as the attributes of this key say."""
    if isinstance(value, bool | str):
        raise GraphpropError(f"{where}: {what}{key} is a number, not {value!r}")
    position, trainable = data.get(f"theta{key}", UNSAID), data.get(f"trainable{key}", True)
    stated = f"theta{key}" in data
    if stated and is_whole(position) and position == -1:
        return 0.0, NOTHING, True
    if stated and not is_whole(position, 0, 2**62):
        raise GraphpropError(f"{where}: theta{key} is a position in theta, from 0 on, not {position!r}")
    if not isinstance(trainable, bool | np.bool_):
        raise GraphpropError(f"{where}: trainable{key} is True or False, not {trainable!r}")
    return one_number(value, f"{where}: {what}{key}"), int(position), bool(trainable)


def _read_biases(rows: Rows, names: Mapping[Any, Name]) -> Biases:
    found: list[tuple[Any, ...]] = []
    for number, (v, data) in enumerate(rows):
        where = f"node {names[v]!r}"
        for (component, _), key, value in _entries(data, "bias", where):
            found.append((*_number(data, key, "bias", value, where), number, component))
    return Biases(*_columns(found, 5))


def _read_extras(G: Any, rows: Rows, names: Mapping[Any, Name]) -> Extras:
    title = G.graph.get("name", "")
    if not isinstance(title, str):
        raise GraphpropError(f"the name of a graph is a text, not {title!r}")
    unused, parameters = no_numbers(), {}
    if "unused" in G.graph:
        where = "the graph's attribute 'unused'"
        entries = _json(G.graph["unused"], where)
        try:
            position, value, trainable = zip(*entries, strict=True)
            unused = Numbers(np.array(value, float), np.array(position, np.intp), np.array(trainable, bool))
        except (TypeError, ValueError, OverflowError):
            raise GraphpropError(f"{where} is a list of positions, numbers, and whether they are trainable") from None
    if "parameters" in G.graph:
        where = "the graph's attribute 'parameters'"
        try:
            for name, positions in _json(G.graph["parameters"], where):
                parameters[checked_name(_tuples(name))] = np.array(positions, dtype=np.intp)
        except GraphpropError:
            raise
        except (TypeError, ValueError, OverflowError):
            raise GraphpropError(f"{where} is a list of names, and where in theta they are") from None
    return Extras(title, unused, parameters, _read_heads(rows, names))


def _read_heads(rows: Rows, names: Mapping[Any, Name]) -> list[list[Name]]:
    """The declared outputs: `output` orders them, and those of one `head` are one."""
    outputs: list[tuple[int, Any, Name]] = []
    for v, data in rows:
        given = data.get("output")
        if given is None or given is False:
            continue
        if given is not True and not is_whole(given, 0):
            told = "its place among the outputs, a whole number of at least 0"
            raise GraphpropError(f"node {names[v]!r}: output is {told}, not {given!r}")
        head = data.get("head")
        if head is not None and not is_whole(head, 0):
            told = "the number of the head it belongs to, from 0 on"
            raise GraphpropError(f"node {names[v]!r}: head is {told}, not {head!r}")
        outputs.append((int(given), head, names[v]))
    heads: dict[Any, list[Name]] = {}
    for _, head, name in sorted(outputs, key=lambda row: row[0]):
        heads.setdefault(("alone", name) if head is None else head, []).append(name)
    return list(heads.values())


# ------------------------------------------------------------------ to a graph


def to_networkx(net: Network, trace: Any = None, gradients: Any = None, sample: int | None = None) -> Any:
    """The graph of a network with all that is known of it, as `Network.to_networkx` says."""
    import networkx as nx

    known = read_known(net, trace, gradients)
    check_sample(sample, known)
    if sample is None and known.samples > 1:
        raise GraphpropError(f"there are {known.samples} samples; sample=0 says of which the numbers of nodes are")
    layout = known.layout
    flags = net.trainable[: layout.size].copy()
    G: Any = nx.DiGraph()
    G.graph.update(written_extras(net.name, layout, known.theta, flags))
    G.add_nodes_from(zip(layout.names, written_nodes(known, sample or 0, flags), strict=True))
    pairs = zip(layout.edge_source.tolist(), layout.edge_target.tolist(), written_edges(known, flags), strict=True)
    G.add_edges_from((layout.names[u], layout.names[v], data) for u, v, data in pairs)
    return G
