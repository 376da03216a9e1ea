"""A network from a document, which is never trusted: every entry is checked before a network is made of them.

`docs/file_format.md` has the format; `writing.py` writes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from graphprop.errors import CycleError, GraphpropError, LimitError, NumberError, UnknownNameError, unknown
from graphprop.files.activations import own_activations, read_activation
from graphprop.files.document import (
    MOST_AXES,
    MOST_COMPONENTS,
    brief,
    check_lone,
    check_names,
    check_positions,
    read_fields,
    read_list,
    read_name,
    read_nested,
    read_number,
    read_size,
    read_text,
    wrong,
)
from graphprop.files.writing import FORMAT, VERSION
from graphprop.functions.activation import Activation
from graphprop.given.arrays import cut_into_matrices
from graphprop.graph.graph import G, assemble
from graphprop.graph.layout import Array, Name, Node
from graphprop.graph.parameters import ABSENT, ParameterVector
from graphprop.graph.sorting import refuse_cycle, sorted_nodes

_NEEDED = ("format", "version", "directed", "multigraph", "nodes", "edges", "theta")
Into: TypeAlias = dict[Name, dict[Name, Array]]
_EDGE = {"source", "target", "theta"}
_OPTIONAL = ("graph", "order", "frozen", "parameters", "outputs", "links")


def read_network(document: Any, activations: Iterable[Activation], kind: type[G]) -> G:
    """The network of a document, or an error that says what is wrong with it, and where."""
    own = own_activations(activations)
    fields = _read_top(document)
    title = read_text(read_fields(fields.get("graph", {}), "graph", (), ("name",)).get("name", ""), "graph.name")
    theta = _read_theta(fields["theta"])
    nodes = _read_nodes(fields["nodes"], own, len(theta))
    key = "links" if "links" in fields else "edges"
    into, source, target = _read_edges(fields["edges"], nodes, len(theta), key)
    check_lone(nodes, into)
    order = _read_order(fields.get("order"), nodes, source, target)
    frozen = _read_frozen(fields.get("frozen", []), len(theta))
    trainable = np.ones(len(theta), dtype=bool)
    trainable[frozen] = False
    vector = ParameterVector.of(theta, trainable, read_parameters(fields.get("parameters", []), len(theta)))
    net = assemble(kind, nodes, into, order, vector, title)
    if "outputs" in fields:
        net.set_outputs(*_read_outputs(fields["outputs"]))
    if not np.isfinite(theta).all() and (bad := net.layout.improper(theta)) is not None:
        raise NumberError(
            f"theta[{bad}]: {net.layout.label_position(bad)} is -inf; only biases of the softmax family can be masks"
        )
    return net


def _read_top(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise wrong("the document", "an object", document)
    if document.get("format") != FORMAT:
        found = f"it is {brief(document['format'])}" if "format" in document else "there is none"
        raise GraphpropError(f"format: {FORMAT!r} is needed, {found}; net.save writes such files")
    version = document.get("version")
    if type(version) is not int or version != VERSION:
        newer = "; a newer graphprop wrote it" if type(version) is int and version > VERSION else ""
        raise GraphpropError(f"version: this graphprop reads version {VERSION}, not {brief(version)}{newer}")
    if "links" in document:
        if "edges" in document:
            raise GraphpropError("there are both edges and links; they mean the same, give one of them")
        document = {**document, "edges": document["links"]}
    fields = read_fields(document, "the document", _NEEDED, _OPTIONAL)
    for key, wanted in (("directed", True), ("multigraph", False)):
        if fields[key] is not wanted:
            raise GraphpropError(f"{key}: has to be {json.dumps(wanted)}, not {brief(fields[key])}")
    return fields


def _read_theta(given: Any) -> Array:
    entries = read_list(given, "theta")
    if set(map(type, entries)) == {float} and np.isfinite(theta := np.array(entries)).all():
        return theta
    mask = ', or "-inf" for a mask'
    numbers = (-math.inf if x == "-inf" else read_number(x, f"theta[{i}]", mask) for i, x in enumerate(entries))
    return np.fromiter(numbers, dtype=float, count=len(entries))


def _read_nodes(given: Any, own: Mapping[str, list[Activation]], size: int) -> dict[Name, Node]:
    nodes: dict[Name, Node] = {}
    known: dict[Any, Activation] = {}
    components = 0
    entries = [
        read_fields(entry, f"nodes[{i}]", ("id", "kind"), ("size", "bias", "parameters", "own"))
        for i, entry in enumerate(read_list(given, "nodes"))
    ]
    names = [read_name(entry["id"], f"nodes[{i}].id") for i, entry in enumerate(entries)]
    check_names(names, "nodes")
    for i, (entry, name) in enumerate(zip(entries, names, strict=True)):
        place = f"nodes[{i}]"
        if name in nodes:
            raise GraphpropError(f"{place}.id: there is a node {brief(name)} before, nodes[{list(nodes).index(name)}]")
        length = read_size(entry["size"], f"{place}.size") if "size" in entry else None
        components += length or 1
        if components > MOST_COMPONENTS:
            raise LimitError(f"{place}.size: the nodes have more than {MOST_COMPONENTS:,} components together")
        if entry["kind"] == "input" and "own" not in entry:
            for key in ("bias", "parameters"):
                if key in entry:
                    raise GraphpropError(f"{place}: an input has no {key}")
            nodes[name] = Node(None, 0, length or 1, length is not None)
            continue
        f = read_activation(entry, place, own, known)
        if f.kind != "elementwise" and length is None:
            raise GraphpropError(f"{place}: kind {f.name!r} needs a size, the number of its components")
        n = length or 1
        bias = _positions(entry["bias"], (n,), size, f"{place}.bias") if "bias" in entry else None
        if bias is not None and not (bias >= 0).any():
            raise GraphpropError(f"{place}.bias: it has no entry; leave it out")
        nodes[name] = Node(f, n, 1 if f.kind == "reducing" else n, length is not None, bias)
    return nodes


def _read_edges(given: Any, nodes: Mapping[Name, Node], size: int, key: str) -> tuple[Into, Array, Array]:
    """The positions of the weights of all edges by target and source, and the numbers of their sources and targets."""
    entries = read_list(given, key)
    names = list(nodes)
    number = {name: i for i, name in enumerate(names)}
    for i, entry in enumerate(entries):
        if type(entry) is not dict or entry.keys() != _EDGE:
            read_fields(entry, f"{key}[{i}]", ("source", "target", "theta"), ())
    source, target = (_read_ends([entry[end] for entry in entries], number, end, key) for end in ("source", "target"))
    components = np.array([(node.n, node.m) for node in nodes.values()], dtype=np.intp).reshape(-1, 2)
    _check_edges(source, target, components[:, 0], names, key)
    thetas = [entry["theta"] for entry in entries]
    shapes = np.stack((components[target, 0], components[source, 1]), axis=1)
    if set(map(type, thetas)) == {int} and (shapes == 1).all() and min(thetas) >= 0 and max(thetas) < size:
        blocks = cut_into_matrices(np.array(thetas, dtype=np.intp), 1, range(len(thetas)))
    else:
        places = zip(thetas, shapes.tolist(), strict=True)
        blocks = [_positions(x, (n, m), size, f"{key}[{i}].theta") for i, (x, (n, m)) in enumerate(places)]
    into: Into = {name: {} for name in names}
    for u, v, positions in zip(source.tolist(), target.tolist(), blocks, strict=True):
        into[names[v]][names[u]] = positions
    return into, source, target


def _read_ends(given: list[Any], number: Mapping[Name, int], end: str, key: str) -> Array:
    if set(map(type, given)) <= {str, int}:
        try:
            return np.array([number[name] for name in given], dtype=np.intp)
        except KeyError:  # which one is found out below
            pass
    names = [_known(name, number, f"{key}[{i}].{end}") for i, name in enumerate(given)]
    return np.array([number[name] for name in names], dtype=np.intp)


def _check_edges(source: Array, target: Array, n: Array, names: list[Name], key: str) -> None:
    """Refuse the first edge that is a loop, leads into an input, or was there before."""
    pairs = target * len(names) + source
    first = np.unique(pairs, return_index=True)[1]
    again = np.ones(len(pairs), dtype=bool)
    again[first] = False
    for e in np.flatnonzero(again | (source == target) | (n[target] == 0))[:1].tolist():
        place, u, v = f"{key}[{e}]", names[source[e]], names[target[e]]
        if u == v:
            raise CycleError(f"{place}: the edge {brief(u)} -> {brief(v)} is a self-loop", (u, v))
        if n[target[e]] == 0:
            raise GraphpropError(f"{place}.target: {brief(v)} is an input; nothing flows into an input")
        raise GraphpropError(f"{place}: the edge {brief(u)} -> {brief(v)} is there twice")


def _positions(given: Any, shape: tuple[int, ...], size: int, place: str) -> Array:
    """Positions in theta, ABSENT for null; axes of length one are left out."""
    if type(given) is int and 0 <= given < size and (shape == (1, 1) or shape == (1,)):
        return np.array(given, ndmin=len(shape))
    axes = [n for n in shape if n != 1]
    entries = read_nested(given, axes, place)
    if not all(x is None or (type(x) is int and 0 <= x < size) for x in entries):
        check_positions(entries, axes, size, place, " or null")
    return np.array([ABSENT if x is None else x for x in entries], dtype=np.intp).reshape(shape)


def _read_order(given: Any, nodes: Mapping[Name, Node], source: Array, target: Array) -> list[Name]:
    """All nodes with parents before children: as the document says, or else as they can be brought into an order."""
    names = list(nodes)
    if given is not None:
        listed = read_list(given, "order")
        for i, x in enumerate(listed):
            if type(x) is not int or not 0 <= x < len(names):
                raise wrong(f"order[{i}]", f"the number of a node, 0 to {len(names) - 1}", x)
        if len(listed) != len(names) or len(set(listed)) != len(names):
            raise GraphpropError(f"order: it has to name each of the {len(names)} nodes once")
        place = np.empty(len(names), dtype=np.intp)
        place[listed] = np.arange(len(names))
        source, target = place[source], place[target]
        names = [names[x] for x in listed]
    found, cycle = sorted_nodes(source, target, len(names))
    if cycle:
        refuse_cycle(cycle, names, "edges: ", brief)
    if given is not None and (source > target).any():
        e = int(np.argmax(source > target))
        u, v = brief(names[source[e]]), brief(names[target[e]])
        raise GraphpropError(f"order: {u} has to stand before {v}, which reads it")
    return [names[v] for v in found]


def _read_frozen(given: Any, size: int) -> list[int]:
    positions = read_list(given, "frozen")
    if not all(type(x) is int and 0 <= x < size for x in positions):
        check_positions(positions, [len(positions)], size, "frozen")
    if len(set(positions)) < len(positions):
        raise GraphpropError("frozen: a position is there twice")
    return positions


def read_parameters(given: Any, size: int) -> dict[Name, Array]:
    parameters: dict[Name, Array] = {}
    fields = [
        read_fields(entry, f"parameters[{i}]", ("name", "theta"), ())
        for i, entry in enumerate(read_list(given, "parameters"))
    ]
    names = [read_name(entry["name"], f"parameters[{i}].name") for i, entry in enumerate(fields)]
    check_names(names, "parameters")
    for i, (entry, name) in enumerate(zip(fields, names, strict=True)):
        place = f"parameters[{i}]"
        if name in parameters:
            raise GraphpropError(f"{place}.name: there is a parameter {brief(name)} before")
        shape: tuple[int, ...] = ()
        first = entry["theta"]
        while isinstance(first, list) and first and len(shape) < MOST_AXES:
            shape += (len(first),)
            first = first[0]
        entries = read_nested(entry["theta"], shape, f"{place}.theta")
        if not all(type(x) is int and 0 <= x < size for x in entries):
            check_positions(entries, shape, size, f"{place}.theta")
        parameters[name] = np.array(entries, dtype=np.intp).reshape(shape)
    used = [p for positions in parameters.values() for p in positions.ravel().tolist()]
    if len(set(used)) < len(used):
        raise GraphpropError("parameters: a position of theta is there twice")
    return parameters


def _read_outputs(given: Any) -> list[list[Name]]:
    heads = read_list(given, "outputs")
    if not heads:
        raise GraphpropError("outputs: an empty list declares none; leave it out")
    return [
        [read_name(name, f"outputs[{i}][{k}]") for k, name in enumerate(read_list(head, f"outputs[{i}]"))]
        for i, head in enumerate(heads)
    ]


def _known(given: Any, nodes: Mapping[Name, Any], place: str) -> Name:
    name = given if type(given) is str else read_name(given, place)
    if name not in nodes:
        if len(str(name)) > 100:
            raise UnknownNameError(f"{place}: unknown node {brief(name)}")
        raise unknown("node", name, nodes, f"{place}: ")
    return name
