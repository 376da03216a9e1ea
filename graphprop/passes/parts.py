"""The parts of a gradient by the names that people give them: W1, an edge, a parameter, theta.

A part is a matrix of places as `addresses.py` numbers them. What numbers stand there is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, UnknownNameError, unknown
from graphprop.graph.layout import Array, Layout, Name
from graphprop.graph.levels import check_layered
from graphprop.notation.escaping import label
from graphprop.passes.addresses import Addresses

NAMED = ("weight", "bias", "parameter", "delta", "gamma", "o", "input")
IN_WORDS = {"weight": "weights", "bias": "biases", "theta": "theta"}  # kinds that two things of one name may be of


class NoLayerError(UnknownNameError):
    """A W or b that is well named, but of a layer that the network has not, or that has no bias."""


@dataclass(frozen=True, eq=False)
class Part:
    """`index` says at which place of its kind each entry stands, -1 where there is none."""

    name: str
    kind: str  # weight, bias, theta, delta, obar or value
    index: Array


def part_of(addresses: Addresses, key: Any) -> Part:
    """What a name stands for: an edge, a node's bias, a parameter, else "theta", "value", "W1", "b1", ..."""
    layout, found = addresses.layout, []
    if _is_edge(layout, key):
        found.append(edge_part(layout, key))
    if _is_in(key, layout.number):
        found += [bias_part(layout, key)] if layout.nodes[layout.number[key]].bias is not None else []
    if _is_in(key, layout.parameters):
        found.append(parameter_part(layout, key))
    if len(found) > 1:
        names = " and ".join(f"{IN_WORDS[part.kind]} {part.name}" for part in found)
        raise GraphpropError(
            f"{key!r} is the name of two things, {names}; say which one with "
            f"{{'weight': ...}}, {{'bias': ...}} or {{'parameter': ...}} around it"
        )
    if found:
        return found[0]
    if key in ("theta", "value"):
        return whole(addresses, key)
    if isinstance(key, str) and (named := re.fullmatch(r"([Wb])([1-9]\d*)", key)):
        return layer_part(layout, *named.groups())
    if _is_in(key, layout.number):
        v = layout.nodes[layout.number[key]]
        hint = f"a derivative by an input is given as {{'input': {{{key!r}: ...}}}}" if v.is_input else "it has no bias"
        raise UnknownNameError(f"{key!r} is a node, but {hint}")
    layers = [part.name for part in layer_parts(layout)]
    known = [*layout.parameters, *(v for v in layout.names if layout.nodes[layout.number[v]].bias is not None)]
    edges = list(layout.edge_number)
    raise unknown("part of the gradient", key, [*layers, "theta", "value", *known, *edges][:10_001])


def whole(addresses: Addresses, kind: str, name: str = "") -> Part:
    """All of a kind."""
    return Part(name or kind, kind, addresses.places(kind))


def named_part(addresses: Addresses, what: str, key: Any) -> Part:
    """What `Gradients` has under this name: its weight, bias, parameter, delta, gamma, o or input of key."""
    layout = addresses.layout
    if what == "weight":
        if not isinstance(key, tuple) or len(key) != 2:
            raise UnknownNameError(f"weight: an edge is a pair of node names, not {key!r}")
        return edge_part(layout, key)
    if what == "bias":
        if layout.nodes[layout.find(key)].bias is None:
            raise UnknownNameError(f"node {key!r} has no bias")
        return bias_part(layout, key)
    if what == "parameter":
        if not _is_in(key, layout.parameters):
            raise unknown("parameter", key, layout.parameters)
        return parameter_part(layout, key)
    v = layout.find(key)
    node = layout.nodes[v]
    by_a = what in ("delta", "gamma")
    if by_a and node.is_input:
        raise UnknownNameError(f"{key!r} is an input, which has no pre-activation; its derivative is input[{key!r}]")
    if by_a and node.vector != (what == "delta"):
        raise UnknownNameError(f"the sensitivity of node {key!r} is {'delta' if node.vector else 'gamma'}[{key!r}]")
    if what == "input" and not node.is_input:
        raise UnknownNameError(f"{key!r} is no input")
    kind, span = ("delta", layout.a_slice(v)) if by_a else ("obar", layout.o_slice(v))
    index = addresses.places(kind)[:, span]
    if not (node.vector if by_a else node.listed):
        index = index[:, 0]
    return Part(f"{what}[{label(key, most=0)}]", kind, index if addresses.batched else index[0])


def edge_part(layout: Layout, edge: tuple[Any, Any]) -> Part:
    e = layout.find_edge(*edge)
    return Part(_edge_name(*edge), "weight", layout.scatter_edge(e, np.arange(len(layout.row)), -1))


def bias_part(layout: Layout, name: Any) -> Part:
    v = layout.find(name)
    return Part(_bias_name(name), "bias", layout.scatter_bias(v, np.arange(len(layout.bias_row)), -1))


def parameter_part(layout: Layout, name: Any) -> Part:
    return Part(label(name, most=0), "theta", layout.parameters[name])


def _is_in(key: Any, names: Mapping[Any, Any]) -> bool:
    try:
        return key in names
    except TypeError:
        return False


def _is_edge(layout: Layout, key: Any) -> bool:
    return isinstance(key, tuple) and len(key) == 2 and _is_in(key, layout.edge_number)


# ------------------------------------------------------------------ layers


def layer_part(layout: Layout, letter: str, number: str) -> Part:
    """W or b of a layer, counted from 1."""
    check_layered(layout, "name the edges, ('u', 'v'), or give a vector like theta")
    level = layout.level
    k, name, count = int(number), letter + number, int(level.max())
    if k > count:
        raise NoLayerError(f"the network has {count} layer{'' if count == 1 else 's'}")
    rows = layout.rows_of(np.flatnonzero(level == k))
    place = np.full(int(layout.a_start[-1]), -1)
    place[rows] = np.arange(len(rows))
    if letter == "b":
        index = np.full(len(rows), -1)
        uses = np.flatnonzero(place[layout.bias_row] >= 0)
        if not len(uses):
            raise NoLayerError(f"layer {k} has no bias")
        index[place[layout.bias_row[uses]]] = uses
        return Part(name, "bias", index)
    columns = layout.columns_of(np.flatnonzero(level == k - 1))
    index = np.full((len(rows), len(columns)), -1)
    uses = np.flatnonzero(place[layout.row] >= 0)
    index[place[layout.row[uses]], np.searchsorted(columns, layout.column[uses])] = uses
    return Part(name, "weight", index)


def layer_parts(layout: Layout) -> list[Part]:
    """W and b of every layer; none if the network has no layers."""
    try:
        check_layered(layout, "")
    except GraphpropError:
        return []
    found = []
    for k in range(1, int(layout.level.max(initial=0)) + 1):
        found.append(layer_part(layout, "W", str(k)))
        try:
            found.append(layer_part(layout, "b", str(k)))
        except NoLayerError:
            continue
    return found


def all_parts(addresses: Addresses) -> Iterator[Part]:
    """Everything that a gradient holds: by layers if there are some, else all weights and all biases."""
    layout = addresses.layout
    yield whole(addresses, "value")
    layers = layer_parts(layout)
    yield from layers
    if not layers:
        yield whole(addresses, "weight", "weights")
        if len(layout.bias_row):
            yield whole(addresses, "bias", "biases")
    if (layout.count_of_uses > 1).any():
        yield whole(addresses, "theta")
    yield whole(addresses, "delta")
    yield whole(addresses, "obar", "o")


def left_out(layout: Layout, given: Iterable[Part]) -> tuple[str, ...]:
    """The names of what the derivatives by theta lack: layers, if there are some, else parameters, edges and nodes."""
    lacks = {"weight": np.ones(len(layout.row), bool), "bias": np.ones(len(layout.bias_row), bool)}
    theta = np.ones(layout.size, bool)
    for part in given:
        if part.kind in lacks or part.kind == "theta":
            (theta if part.kind == "theta" else lacks[part.kind])[part.index[part.index >= 0]] = False
    lacks["weight"] &= theta[layout.position]
    lacks["bias"] &= theta[layout.bias_position]
    if not lacks["weight"].any() and not lacks["bias"].any():
        return ()
    if layers := layer_parts(layout):
        return tuple(part.name for part in layers if lacks[part.kind][part.index[part.index >= 0]].any())
    uses = np.append(layout.position[lacks["weight"]], layout.bias_position[lacks["bias"]])
    names = [label(name, most=0) for name, positions in layout.parameters.items() if np.isin(positions, uses).any()]
    named = np.zeros(layout.size, bool)
    for positions in layout.parameters.values():
        named[positions] = True
    edges = np.unique(layout.edge_of_use[lacks["weight"] & ~named[layout.position]])
    ends = [(layout.names[layout.edge_source[e]], layout.names[layout.edge_target[e]]) for e in edges.tolist()]
    rows = layout.bias_row[lacks["bias"] & ~named[layout.bias_position]]
    nodes = np.unique(layout.node_of_row[rows])
    return (*names, *(_edge_name(u, v) for u, v in ends), *(_bias_name(layout.names[v]) for v in nodes.tolist()))


def _edge_name(u: Name, v: Name) -> str:
    return f"w({label(u, most=0)}, {label(v, most=0)})"


def _bias_name(v: Name) -> str:
    return f"b[{label(v, most=0)}]"
