"""A network as a document: JSON in networkx's node-link form. `docs/file_format.md` has the format."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, LimitError, NumberError
from graphprop.files.activations import written, written_kind
from graphprop.files.document import (
    DEEPEST_NAME,
    MOST_AXES,
    MOST_COMPONENTS,
    MOST_DIGITS,
    brief,
    check_lone,
    check_names,
)
from graphprop.functions.activation import Activation
from graphprop.graph.graph import Graph, contents
from graphprop.graph.layout import Array, Name, Node
from graphprop.graph.parameters import ABSENT

FORMAT, VERSION = "graphprop network", 1
_ENCODE = json.JSONEncoder().encode


def write_network(net: Graph) -> str:
    """The document of a network, with a line for each node and each edge."""
    if not isinstance(net.name, str):
        raise GraphpropError(f"the name of a network is a text, not {brief(net.name)}")
    nodes, into, order, vector, heads = contents(net)
    theta, trainable = vector.views()
    if not np.isfinite(theta).all() and (bad := net.layout.improper(theta)) is not None:
        label = net.layout.label_position(bad)
        raise NumberError(f"theta[{bad}], {label}, is {theta[bad]}; it must be finite to be saved")
    if sum(max(node.n, node.m) for node in nodes.values()) > MOST_COMPONENTS:
        raise LimitError(
            f"the nodes have more than {MOST_COMPONENTS:,} components together, the most that a file holds"
        )
    check_lone(nodes, into)
    check_names(list(nodes), "nodes")
    check_names(list(vector.names), "parameters")
    names = {name: written_name(name, "node") for name in nodes}
    number = {name: i for i, name in enumerate(nodes)}
    fields = {
        "format": json.dumps(FORMAT),
        "version": json.dumps(VERSION),
        "directed": "true",
        "multigraph": "false",
        "graph": written({"name": net.name}, "the name of the network"),
        "nodes": _lines(_written_nodes(nodes, names)),
        "edges": _lines(
            f'{{"source": {names[u]}, "target": {names[v]}, "theta": {_written_positions(positions)}}}'
            for v, parents in into.items()
            for u, positions in parents.items()
        ),
        "theta": _lines(_rows(["-inf" if x == -math.inf else x for x in theta.tolist()])),
    }
    numbers = [number[name] for name in order]
    if numbers != list(range(len(numbers))):
        fields["order"] = _lines(_rows(numbers))
    if not trainable.all():
        fields["frozen"] = _lines(_rows(np.flatnonzero(~trainable).tolist()))
    if vector.names:
        fields["parameters"] = _lines(_written_parameters(vector.names))
    if heads is not None:
        fields["outputs"] = _lines(f"[{', '.join(names[v] for v in head)}]" for head in heads)
    return "{\n" + ",\n".join(f'  "{key}": {text}' for key, text in fields.items()) + "\n}\n"


def _written_nodes(nodes: Mapping[Name, Node], names: Mapping[Name, str]) -> Iterator[str]:
    kinds: dict[Activation, str] = {}
    own: dict[Any, Activation] = {}  # by what they are found by in a file
    for name, node in nodes.items():
        f = node.activation
        if f is None:
            kind = '"kind": "input"'
        elif f in kinds:
            kind = kinds[f]
        else:
            kind = kinds[f] = written_kind(f, own, f"node {brief(name)}")
        size = f', "size": {node.m if f is None else node.n}' if node.vector else ""
        bias = "" if node.bias is None else f', "bias": {_written_positions(node.bias)}'
        yield f'{{"id": {names[name]}, {kind}{size}{bias}}}'


def _written_parameters(parameters: Mapping[Name, Array]) -> Iterator[str]:
    for name, positions in parameters.items():
        if positions.ndim > MOST_AXES:
            raise LimitError(f"the parameter {brief(name)} has {positions.ndim} axes; a file holds up to {MOST_AXES}")
        yield f'{{"name": {written_name(name, "parameter")}, "theta": {json.dumps(positions.tolist())}}}'


def written_name(name: Name, what: str) -> str:
    if type(name) is str and name.isascii():
        return _ENCODE(name)
    if type(name) is int and abs(name) < 2**63:
        return str(name)
    depth, parts = 0, [name]
    while True:
        if any(isinstance(part, int) and abs(part) >= 10**MOST_DIGITS for part in parts):
            raise GraphpropError(f"a {what} cannot be saved: in its name is a number of more than {MOST_DIGITS} digits")
        parts = [x for part in parts if isinstance(part, tuple) for x in part]
        if not parts:
            break
        depth += 1
    if depth > DEEPEST_NAME:
        raise GraphpropError(f"a {what} cannot be saved: the tuples of its name nest more than {DEEPEST_NAME} deep")
    return written(name, f"the {what} {brief(name)}")


def _written_positions(positions: Array) -> str:
    if positions.size == 1:
        position = positions.item()
        return "null" if position < 0 else str(position)
    text = _ENCODE(positions.squeeze().tolist())
    return text.replace(str(ABSENT), "null") if (positions < 0).any() else text


def _rows(entries: list[Any], length: int = 10) -> Iterator[str]:
    return (_ENCODE(entries[i : i + length])[1:-1] for i in range(0, len(entries), length))


def _lines(entries: Iterable[str]) -> str:
    text = ",\n    ".join(entries)
    return f"[\n    {text}\n  ]" if text else "[]"
