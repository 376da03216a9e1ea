"""A network in a few lines: counts, kinds, levels, parameters, heads, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.graph.layout import Layout, Name
from graphprop.network import Network
from graphprop.notation.escaping import label


def summarize(net: Network) -> str:
    layout = net.layout
    counts = Counter(node.kind for node in layout.nodes if not node.is_input)
    declared = "" if layout.outputs_declared else " (the sinks; none are declared)"
    heads = "; ".join(_listed(head) for head in layout.heads[:8]) + ("; ..." if len(layout.heads) > 8 else "")
    lines = [
        ("inputs", f"{_count(net.inputs)}{_listed(net.inputs)}"),
        ("outputs", f"{_count(net.outputs)}{heads}{declared}"),
        ("nodes", ", ".join(f"{count:,} {label(kind)}" for kind, count in counts.most_common()) or "none"),
        ("levels", f"{int(layout.level.max(initial=-1)) + 1:,} (an input is on the first)"),
        ("edges", f"{len(layout.edge_source):,}, with {len(layout.position):,} weights"),
        ("parameters", _parameters(net)),
        ("named", f"{_count(net.parameters)}{_listed(net.parameters)}"),
        ("memory", f"{8 * layout.size:,} bytes of theta, and per sample at most {_bytes(layout):,} bytes"),
    ]
    try:
        layout.check_runnable()
    except GraphpropError as error:
        lines.append(("not ready", str(error)))
    return "\n".join([label(repr(net), most=200), *(f"{what:<12}{told}" for what, told in lines)])


def _parameters(net: Network) -> str:
    layout, theta = net.layout, net.theta
    uses = layout.count_of_uses
    weights, biases = len(np.unique(layout.position)), len(np.unique(layout.bias_position))
    parts = [
        (weights, "in weights"),
        (biases, "in biases"),
        (int((uses > 1).sum()), "used more than once"),
        (int((uses == 0).sum()), "not used"),
        (int((~net.trainable).sum()), "frozen"),
        (int((theta == -np.inf).sum()), "-inf (masks)"),
    ]
    return f"{layout.size:,}: " + (", ".join(f"{count:,} {what}" for count, what in parts if count) or "none")


def _bytes(layout: Layout) -> int:
    """Of a forward and a backward pass in float64: each a, each o, and the derivative by each o."""
    return 8 * int(layout.a_start[-1] + 2 * layout.o_start[-1])


def _count(names: Any) -> str:
    return f"{len(names):,}: " if len(names) else "none"


def _listed(names: Iterable[Name], most: int = 8) -> str:
    listed = [label(name) for name in names]
    more = f", ... {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
