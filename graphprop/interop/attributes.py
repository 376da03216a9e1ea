"""The attributes of a network's nodes and edges as numbers and texts, which every format of graphs can hold.

Only what is not as it would be if nothing were said is said: positions in theta, frozen numbers, orders.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphprop.explanations.known import Known
from graphprop.graph.layout import Array, Layout
from graphprop.graph.parameters import total
from graphprop.interop.kinds import written_all
from graphprop.interop.uses import positions_are_said, steps_of
from graphprop.notation.short import number


def _plain(x: Any) -> Any:
    """A number as GraphML can hold it; a text of what is none, such as a symbol."""
    try:
        return float(x)
    except (TypeError, ValueError):
        return str(x)


def _parents_reordered(layout: Layout) -> bool:
    """Whether the parents of some node do not stand in the order in which they were created."""
    same = layout.edge_target[1:] == layout.edge_target[:-1]
    return bool((same & (layout.edge_source[1:] < layout.edge_source[:-1])).any())


def written_extras(name: str, layout: Layout, theta: Array, flags: Array) -> dict[str, str]:
    found = {"name": name} if name else {}
    unused = np.flatnonzero(layout.count_of_uses == 0).tolist()
    if unused:
        found["unused"] = json.dumps([[p, _plain(theta[p]), bool(flags[p])] for p in unused])
    if layout.parameters:
        found["parameters"] = json.dumps([[v, positions.tolist()] for v, positions in layout.parameters.items()])
    return found


def written_nodes(known: Known, sample: int, flags: Array) -> Iterator[dict[str, Any]]:
    layout, given = known.layout, known.given
    texts = written_all(node.activation for node in layout.nodes)
    apart = positions_are_said(layout)
    steps = steps_of(layout)
    places = {v: (i, h) for i, (h, v) in enumerate((h, v) for h, head in enumerate(layout.heads) for v in head)}
    for v, (name, node) in enumerate(zip(layout.names, layout.nodes, strict=True)):
        text, own = texts[node.activation]
        found: dict[str, Any] = {"activation": text}
        if not isinstance(name, str):
            found["json_name"] = json.dumps(name)
        if own:
            found["own"] = True
        if node.vector:
            found["size"] = node.m if node.is_input else node.n
        if steps is not None:
            found["step"] = steps[v]
        if layout.outputs_declared and name in places:
            found["output"], found["head"] = places[name]
        a, o, uses = layout.a_slice(v), layout.o_slice(v), layout.bias_slice(v)
        rows = (layout.bias_row[uses] - a.start).tolist()
        for use, i in enumerate(rows, start=uses.start):
            key, position = f"[{i}]" if node.vector else "", int(layout.bias_position[use])
            found[f"bias{key}"] = _plain(known.theta[position])
            found |= _about(position, key, apart, flags)
            if "bias" in given:
                found |= _derivative(f"grad_bias{key}", given["bias"][use])
        for what, kind, span, several in (
            ("a", "a", a, node.vector),
            ("o", "o", o, node.listed),
            ("delta" if node.vector else "gamma", "delta", a, node.vector),
            ("grad_o", "obar", o, node.listed),
        ):
            if kind in given:
                for i, x in enumerate(given[kind][sample][span].tolist()):
                    found |= _derivative(f"{what}[{i}]" if several else what, x)
        yield found


def _about(position: int, key: str, apart: bool, flags: Array) -> dict[str, Any]:
    """What is said of a number of theta, where it is not as it would be if nothing were said."""
    found: dict[str, Any] = {f"theta{key}": position} if apart else {}
    return found if flags[position] else found | {f"trainable{key}": False}


def _derivative(key: str, x: Any) -> dict[str, Any]:
    """An attribute, if it was asked for."""
    plain = _plain(number(x))
    return {} if isinstance(plain, float) and math.isnan(plain) else {key: plain}


def written_edges(known: Known, flags: Array) -> Iterator[dict[str, Any]]:
    layout, slopes = known.layout, known.given.get("weight")
    apart, reordered = positions_are_said(layout), _parents_reordered(layout)
    to, of = layout.uses_by_name["to"].tolist(), layout.uses_by_name["of"].tolist()
    ends = layout.edge_start.tolist()
    places = layout.position.tolist()
    n, m = np.diff(layout.a_start).tolist(), np.diff(layout.o_start).tolist()
    pairs = zip(layout.edge_source.tolist(), layout.edge_target.tolist(), strict=True)
    for e, (u, v) in enumerate(pairs):
        uses = range(ends[e], ends[e + 1])
        alone = n[v] == m[u] == 1
        positions = layout.position[ends[e] : ends[e + 1]]
        found: dict[str, Any] = {"weight": _sum(known.theta[positions])}
        if slopes is not None:
            found |= _derivative("grad", _sum(slopes[ends[e] : ends[e + 1]]))
        for use in uses:
            key = "" if alone else f"[{to[use]}]" if m[u] == 1 else f"[{to[use]},{of[use]}]"
            if not alone:
                found[f"weight{key}"] = _plain(known.theta[places[use]])
                if slopes is not None:
                    found |= _derivative(f"grad{key}", slopes[use])
            found |= _about(places[use], key, apart, flags)
        if not uses:
            found["theta"] = -1
        if reordered:
            found["edge"] = e
        yield found


def _sum(numbers: Array) -> Any:
    if numbers.dtype == object:
        return _plain(numbers.sum())
    return total(numbers, np.arange(len(numbers)))
