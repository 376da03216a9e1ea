"""Jacobians of nodes of a trace: what is asked for, and each row read off the derivatives of one component.

How these derivatives are computed is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, UnknownNameError, unknown
from graphprop.graph.layout import Array, Layout, Name
from graphprop.passes.parts import bias_part, edge_part
from graphprop.passes.results import Gradients, Trace

KINDS = {"o": 2, "input": 2, "weight": 3, "bias": 2, "parameter": 2}  # the lengths of their tuples
Read = Callable[[Gradients], Array]  # of the derivatives of one component: (samples, ...)


def jacobian(trace: Trace, of: Any, wrt: Any, backward: Callable[[Mapping[Any, Any]], Gradients]) -> Array:
    """The derivatives of all components of some nodes; `backward` gives those of a seed."""
    layout, read = trace.layout, _reader(trace, wrt)
    rows = [read(backward(seed)) for name in _names(layout, of) for seed in _units(trace, name)]
    result = np.stack(rows, axis=1)
    return result if trace.batched else result[0]


def _names(layout: Layout, of: Any) -> list[Name]:
    """The nodes that are differentiated."""
    if of is None:
        names = [name for head in layout.heads for name in head]
        if not names:
            raise GraphpropError("the network has no outputs")
        return names
    if isinstance(of, list):
        if not of:
            raise GraphpropError("of= is a node, a list of nodes that is not empty, or None for the outputs")
        return [layout.names[layout.find(name, "of=: ")] for name in of]
    return [layout.names[layout.find(of, "of=: ")]]


def _units(trace: Trace, name: Name) -> list[dict[Name, Array]]:
    """A seed for each component, the same in every sample."""
    shape = np.shape(trace.o[name])
    m = trace.layout.nodes[trace.layout.find(name)].m
    units = np.zeros((m, trace.samples, m))
    units[np.arange(m), :, np.arange(m)] = 1.0
    return [{name: unit.reshape(shape)} for unit in units]


def _reader(trace: Trace, wrt: Any) -> Read:
    layout, samples = trace.layout, trace.samples
    kind, key = _asked(layout, wrt)
    if kind in ("o", "input"):
        v = layout.find(key)
        if kind == "input" and not layout.nodes[v].is_input:
            raise UnknownNameError(f"wrt=: {key!r} is no input")
        span, shape = layout.o_slice(v), np.shape(trace.o[key])[trace.batched :]
        return lambda g: g.o_flat[:, span].reshape(samples, *shape)
    if kind == "weight":
        shapes: dict[str, Any] = {}
        index = edge_part(layout, key).index
        row, column = layout.row[index], layout.column[index]

        def weight(g: Gradients) -> Array:
            shapes.setdefault("own", np.shape(g.weight[key]))
            entries = np.where(index >= 0, _product(g.a_flat[:, row], trace.o_flat[:, column]), np.nan)
            return entries.reshape(samples, *shapes["own"])

        return weight
    if kind == "bias":
        if layout.nodes[layout.find(key)].bias is None:
            raise UnknownNameError(f"wrt=: node {key!r} has no bias")
        places = bias_part(layout, key).index
        rows = layout.bias_row[places]
        return lambda g: np.where(places >= 0, g.a_flat[:, rows], np.nan).reshape(samples, *np.shape(g.bias[key]))
    positions = np.arange(layout.size) if kind == "theta" else layout.parameters[key]

    def by_position(g: Gradients) -> Array:
        total = np.zeros((layout.size, samples), dtype=g.a_flat.dtype)
        np.add.at(total, layout.position, _product(g.a_flat[:, layout.row], trace.o_flat[:, layout.column]).T)
        np.add.at(total, layout.bias_position, g.a_flat[:, layout.bias_row].T)
        rows: Array = np.moveaxis(total[positions], -1, 0)
        return rows

    return by_position


def _product(delta: Array, o: Array) -> Array:
    """delta times o; 0 where delta is, even if o is -inf."""
    with np.errstate(invalid="ignore"):
        return np.where(delta == 0, 0 * delta, delta * o)


def _asked(layout: Layout, wrt: Any) -> tuple[str, Any]:
    """The kind of what it is differentiated by, and its name."""
    try:
        is_node = wrt in layout.number
    except TypeError:
        is_node = False
    if is_node:
        return "o", wrt
    if isinstance(wrt, str) and wrt == "theta":
        return "theta", None
    if isinstance(wrt, tuple) and wrt and isinstance(wrt[0], str) and KINDS.get(wrt[0]) == len(wrt):
        kind, key = wrt[0], wrt[1:] if len(wrt) == 3 else wrt[1]
        if kind == "weight":
            layout.find_edge(*key)
        elif kind == "parameter" and (not _is_name(key) or key not in layout.parameters):
            raise unknown("parameter", key, layout.parameters, "wrt=: ")
        elif kind != "parameter":
            layout.find(key, "wrt=: ")
        return kind, key
    allowed = "a node, 'theta', ('o', v), ('input', x), ('weight', u, v), ('bias', v) or ('parameter', name)"
    if isinstance(wrt, str):
        raise unknown("node", wrt, layout.names, f"wrt= is {allowed}: ")
    raise GraphpropError(f"wrt= is {allowed}, not {wrt!r}")


def _is_name(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
