"""The layout of a program as a file, and back. A file is never trusted: every entry of every array is checked.

`docs/file_format.md` has the format. There is no step for each node or edge in Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, LimitError
from graphprop.files.activations import own_activations, read_activation, written_kind
from graphprop.files.document import MOST_COMPONENTS, brief, check_names, read_fields, read_list, read_name, wrong
from graphprop.files.packing import pack, unpack
from graphprop.files.reading import read_parameters
from graphprop.files.writing import written_name
from graphprop.functions.activation import Activation
from graphprop.graph.layout import AlikeNodes, Array, Heads, Layout, Name

VERSION = 1
SPARE, SPARE_EACH = 2**20, 64  # components, or numbers of theta: at all, and for each weight and bias in the file
_BIASES = ("bias_row", "bias_position")
_ARRAYS = ("kind", "size", "order", "source", "target", "uses", "row", "column", "position", *_BIASES)
_HEADS = ("head_length", "head_node")


# ------------------------------------------------------------------ writing


def write_layout(layout: Layout) -> bytes:
    """The file of a layout."""
    kinds, which = layout.kinds
    n, m = np.diff(layout.a_start), np.diff(layout.o_start)
    nodes = layout.nodes
    vector = nodes.vector if isinstance(nodes, AlikeNodes) else np.array([node.vector for node in nodes], dtype=bool)
    _check_sizes(n, m, layout.size, len(layout.row) + len(layout.bias_row))
    own: dict[Any, Activation] = {}
    header: dict[str, Any] = {
        "version": VERSION,
        "theta": layout.size,
        "activations": [json.loads(f"{{{written_kind(f, own, 'the program')}}}") for f in kinds],
    }
    if layout.names != range(len(n)):
        header["names"] = _written_names(layout.names)
    if layout.parameters:
        check_names(list(layout.parameters), "parameters")
        header["parameters"] = [
            {"name": json.loads(written_name(name, "parameter")), "theta": positions.tolist()}
            for name, positions in layout.parameters.items()
        ]
    uses = np.diff(layout.edge_start)
    edge = layout.edge_of_use
    arrays = {
        "kind": np.where(n > 0, which + np.uint32(1), np.uint32(0)),
        "size": np.where(vector, np.maximum(n, m), 0),
        "order": layout.order,
        "source": layout.edge_source,
        "target": layout.edge_target,
        "uses": uses,
        "row": layout.row - layout.a_start[layout.edge_target[edge]],
        "column": layout.column - layout.o_start[layout.edge_source[edge]],
        "position": layout.position,
        "bias_row": layout.bias_row,
        "bias_position": layout.bias_position,
    }
    if layout.outputs_declared:
        arrays["head_length"] = np.array([len(head) for head in layout.heads], dtype=np.intp)
        arrays["head_node"] = np.array([layout.number[v] for head in layout.heads for v in head], dtype=np.intp)
    return pack(header, arrays)


def _written_names(names: Sequence[Name]) -> list[Name]:
    check_names(list(names), "names")
    texts = [name for name in names if type(name) is str]
    try:
        "".join(texts).encode()
        doubtful = [name for name in names if type(name) is not str]
    except UnicodeEncodeError:
        doubtful = [*names]
    for name in doubtful:
        written_name(name, "node")
    return [*names]


def _check_sizes(n: Array, m: Array, size: int, uses: int) -> None:
    """Refuse what would take very much memory for what stands in the file."""
    components = int(np.maximum(n, m).sum(dtype=float))
    most = SPARE + SPARE_EACH * uses + len(n)
    if components > min(most, MOST_COMPONENTS):
        told = f"with {uses:,} weights and biases at most {min(most, MOST_COMPONENTS):,}"
        raise LimitError(f"the nodes have {components:,} components together; {told} are allowed")
    if size > most:
        raise LimitError(f"theta has {size:,} numbers; with {uses:,} weights and biases at most {most:,} are allowed")


# ------------------------------------------------------------------ reading


def read_layout(data: bytes, activations: Iterable[Activation]) -> Layout:
    """The layout in a file, or an error that says what is wrong with it."""
    own = own_activations(activations)
    header, arrays = unpack(data)
    version = header.get("version")
    if type(version) is not int or version != VERSION:
        newer = "; a newer graphprop wrote it" if type(version) is int and version > VERSION else ""
        raise GraphpropError(f"version: this graphprop reads version {VERSION}, not {brief(version)}{newer}")
    read_fields(header, "the header", ("version", "theta", "activations"), ("names", "parameters"))
    _check_arrays(arrays)
    size = header["theta"]
    if type(size) is not int or size < 0:
        raise wrong("theta", "a whole number of at least 0", size)
    kinds = _read_kinds(header["activations"], own)
    nodes = _read_nodes(kinds, arrays, size)
    count = len(nodes)
    a_start, o_start = (np.concatenate(([0], np.cumsum(x))) for x in (nodes.n, nodes.m))
    names = _read_names(header["names"], count) if "names" in header else range(count)
    _check_order(arrays, count)
    edge = _check_edges(arrays, nodes)
    row, column = _read_entries(arrays, edge, nodes, a_start, o_start)
    _check_range(arrays, "position", size, "theta has {} numbers")
    _check_range(arrays, "bias_position", size, "theta has {} numbers")
    _check_range(arrays, "bias_row", int(a_start[-1]), "there are {} pre-activations")
    _check(np.diff(arrays["bias_row"]) > 0, "bias_row", "it has to ascend", 1)
    biases = np.full(int(a_start[-1]), -1)
    biases[arrays["bias_row"]] = arrays["bias_position"]
    made = AlikeNodes(kinds, nodes.which, nodes.n, nodes.m, nodes.vector, biases if len(arrays["bias_row"]) else None)
    is_sink = nodes.n > 0
    is_sink[arrays["source"]] = False
    declared = "head_length" in arrays
    heads = _read_heads(names, made, arrays) if declared else _default_heads(names, made, np.flatnonzero(is_sink))
    return Layout(
        names=names,
        nodes=made,
        order=arrays["order"],
        a_start=a_start,
        o_start=o_start,
        edge_source=arrays["source"],
        edge_target=arrays["target"],
        edge_start=np.concatenate(([0], np.cumsum(arrays["uses"]))),
        row=row,
        column=column,
        position=arrays["position"],
        bias_row=arrays["bias_row"],
        bias_position=arrays["bias_position"],
        size=size,
        parameters=read_parameters(header.get("parameters", []), size),
        heads=heads,
        outputs_declared=declared,
    )


def _check_arrays(arrays: dict[str, Array]) -> None:
    for name in (*_ARRAYS, *(_HEADS if set(arrays) & set(_HEADS) else ())):
        if name not in arrays:
            raise GraphpropError(f"arrays: {name!r} is missing")
    for name in arrays:
        if name not in _ARRAYS and name not in _HEADS:
            raise GraphpropError(f"arrays: {brief(name)} is none of {', '.join([*_ARRAYS, *_HEADS])}")
    alike = ("kind", "size", "order"), ("source", "target", "uses"), ("row", "column", "position"), _BIASES
    for first, *others in alike:
        for name in others:
            if len(arrays[name]) != len(arrays[first]):
                told = f"{name!r} has {len(arrays[name])} entries, {first!r} {len(arrays[first])}"
                raise GraphpropError(f"arrays: {told}; they belong together")


def _check(good: Array, name: str, allowed: str, shift: int = 0) -> None:
    """Refuse an array whose entry is not good: the first such place, moved by `shift`, is said."""
    if not good.all():
        raise GraphpropError(f"{name}[{int(np.argmin(good)) + shift}]: {allowed}")


def _check_range(arrays: dict[str, Array], name: str, end: int, told: str) -> None:
    array = arrays[name]
    if int(array.max(initial=-1)) >= end:
        i = int(np.argmax(array >= end))
        raise GraphpropError(f"{name}[{i}] is {array[i]}; {told.format(end)}")


def _read_kinds(given: Any, own: dict[str, list[Activation]]) -> list[Activation]:
    kinds: list[Activation] = []
    known: dict[Any, Activation] = {}
    for i, entry in enumerate(read_list(given, "activations")):
        place = f"activations[{i}]"
        kinds.append(read_activation(read_fields(entry, place, ("kind",), ("parameters", "own")), place, own, known))
    if len(set(kinds)) < len(kinds):
        raise GraphpropError("activations: one is there twice")
    return kinds


def _read_nodes(kinds: list[Activation], arrays: dict[str, Array], theta: int) -> AlikeNodes:
    _check_range(arrays, "kind", len(kinds) + 1, "0 is an input, and there are {} kinds with it")
    kind, size = arrays["kind"], arrays["size"]
    by_kind = np.array(["", *(f.kind for f in kinds)])
    scalar = (by_kind == "elementwise") | (by_kind == "")
    _check(scalar[kind] | (size > 0), "size", "it is 0, which is for scalar nodes and inputs; this one has components")
    is_input, n = kind == 0, np.maximum(size, 1)
    m = np.where((by_kind == "reducing")[kind], 1, n)
    which = np.where(is_input, 0, kind - 1).astype(np.uint32)
    _check_sizes(n, m, theta, len(arrays["row"]) + len(arrays["bias_row"]))
    return AlikeNodes(kinds, which, np.where(is_input, 0, n), m, size > 0, None)


def _read_names(given: Any, count: int) -> tuple[Name, ...]:
    entries = read_list(given, "names")
    if len(entries) != count:
        raise GraphpropError(f"names: there are {count} nodes, and {len(entries)} names")
    names = [read_name(name, f"names[{i}]") for i, name in enumerate(entries)]
    check_names(names, "names")
    if len(set(names)) < count:
        seen: set[Name] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise GraphpropError(f"names: {brief(twice)} is there twice")
    return tuple(names)


def _check_order(arrays: dict[str, Array], count: int) -> None:
    _check_range(arrays, "order", count, "there are {} nodes")
    _check(np.bincount(arrays["order"], minlength=count) == 1, "order", "it has to name each node once")


def _check_edges(arrays: dict[str, Array], nodes: AlikeNodes) -> Array:
    """Refuse edges that are none; else of each use of a weight the number of its edge."""
    source, target, count = arrays["source"], arrays["target"], len(nodes)
    for name in ("source", "target"):
        _check_range(arrays, name, count, "there are {} nodes")
    _check(np.diff(target) >= 0, "target", "the edges have to be in the order of their targets", 1)
    _check(nodes.n[target] > 0, "target", "it is an input; nothing flows into an input")
    place = np.empty(count, dtype=np.intp)
    place[arrays["order"]] = np.arange(count)
    _check(place[source] < place[target], "source", "it has to come before its target in the order")
    pairs = target * count + source
    if not (np.diff(pairs) > 0).all():  # those of a node are not in the order of their sources
        pairs = np.sort(pairs)
        if (same := np.diff(pairs) == 0).any():
            v, u = divmod(int(pairs[np.argmax(same)]), count)
            raise GraphpropError(f"source, target: the edge {u} -> {v} is there twice")
    fed = nodes.n == 0
    fed[target] = True
    _check(fed, "kind", "this node has no edge into it and is no input")
    uses = arrays["uses"]
    _check(uses > 0, "uses", "an edge has at least one weight")
    if (len(uses) and uses.max() > len(arrays["row"])) or uses.sum() != len(arrays["row"]):
        raise GraphpropError(f"uses: the edges do not have {len(arrays['row'])} weights together, as there are rows")
    return np.repeat(np.arange(len(uses)), uses)


def _read_entries(
    arrays: dict[str, Array], edge: Array, nodes: AlikeNodes, a_start: Array, o_start: Array
) -> tuple[Array, Array]:
    """The pre-activation and the output of each use of a weight."""
    row, column = arrays["row"], arrays["column"]
    source, target = arrays["source"][edge], arrays["target"][edge]
    _check(row < nodes.n[target], "row", "the target has fewer components")
    _check(column < nodes.m[source], "column", "the output of the source has fewer components")
    further = (np.diff(row) > 0) | ((np.diff(row) == 0) & (np.diff(column) > 0)) | (np.diff(edge) > 0)
    _check(further, "row, column", "the entries of an edge have to go on row by row", 1)
    return a_start[target] + row, o_start[source] + column


def _listed(nodes: AlikeNodes) -> Array:
    """Of each node, whether its output is a head of its own."""
    reduces = np.array([False, *(f.kind == "reducing" for f in nodes.activations)])
    found: Array = nodes.vector & ~reduces[np.where(nodes.n > 0, nodes.which + 1, 0)]
    return found


def _default_heads(names: Sequence[Name], nodes: AlikeNodes, sinks: Array) -> Heads:
    """As `default_heads`, by arrays."""
    listed = _listed(nodes)[sinks]
    scalars = sinks[~listed].tolist()
    heads = {v: [v] for v in sinks[listed].tolist()} | ({scalars[0]: scalars} if scalars else {})
    return tuple(tuple(names[v] for v in heads[first]) for first in sorted(heads))


def _read_heads(names: Sequence[Name], nodes: AlikeNodes, arrays: dict[str, Array]) -> Heads:
    _check_range(arrays, "head_node", len(names), "there are {} nodes")
    length, node = arrays["head_length"], arrays["head_node"]
    _check(length > 0, "head_length", "a head has at least one node")
    if int(length.max(initial=0)) > len(node) or length.sum() != len(node) or not len(length):
        raise GraphpropError(
            f"head_length: the heads do not have {len(node)} nodes together, as there are in head_node"
        )
    if (np.bincount(node, minlength=len(names)) > 1).any():
        raise GraphpropError("head_node: a node is there twice")
    alone = np.repeat(length == 1, length)
    _check(alone | ~_listed(nodes)[node], "head_node", "it is a vector node, which is a head of its own")
    found = iter(node.tolist())
    return tuple(tuple(names[next(found)] for _ in range(count)) for count in length.tolist())
