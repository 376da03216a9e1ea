"""A network as all uses of its numbers, in arrays side by side, which is what doors read and write.

A use is an entry of an edge, which leads from a component of one node's output to a component of another node, or
a bias. What was written where, and how it is told in an error, is the matter of each door.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphprop.functions.activation import Activation
from graphprop.graph.layout import Array, Layout, Name
from graphprop.graph.sorting import sorted_nodes

UNSAID = -1  # a component or a position that nobody gave
NOTHING = -2  # the position of what is no number: there is an edge, without an entry


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of theta. Uses that give one `position` share one number; theta has them in the order of the positions.

    Behind these stand the numbers whose position is unsaid: by node, those of the edges into it, then its biases.
    """

    value: Array
    position: Array
    trainable: Array


def no_numbers() -> Numbers:
    return Numbers(np.empty(0), np.empty(0, dtype=np.intp), np.empty(0, dtype=bool))


@dataclass(frozen=True, eq=False)
class Edges(Numbers):
    """Entries of edges. Nodes are numbered; `place` orders the edges into one node."""

    source: Array
    target: Array
    to: Array
    of: Array
    place: Array
    where: Callable[[int], str] = field(kw_only=True)  # with what an error on an entry begins


@dataclass(frozen=True, eq=False)
class Biases(Numbers):
    """Biases of numbered nodes."""

    node: Array
    component: Array


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes in order of creation: an input has no activation, and a node that is no vector no size.

    `steps` says in which order a pass goes through them; where it is missing or impossible, some order is found.
    """

    names: Sequence[Name]
    activations: Sequence[Activation | None]
    sizes: Sequence[int | None]
    steps: Sequence[int] | None = None


@dataclass(frozen=True, eq=False)
class Extras:
    """What else a network has: numbers that nothing uses, named parameters by position, and declared outputs."""

    name: str = ""
    unused: Numbers = field(default_factory=no_numbers)
    parameters: Mapping[Name, Array] = field(default_factory=dict)
    heads: Sequence[Sequence[Name]] = ()


def say(nodes: Nodes, edges: Edges, e: int) -> str:
    """An edge, as an error begins with it."""
    u, v = nodes.names[edges.source[e]], nodes.names[edges.target[e]]
    return f"{edges.where(e)}edge {u!r} -> {v!r}"


def steps_of(layout: Layout) -> list[int] | None:
    """The `steps` that have to be said of a network, as another order would be found."""
    order = layout.order.tolist()
    if sorted_nodes(layout.edge_source, layout.edge_target, len(order))[0] == order:
        return None
    steps = np.empty(len(order), dtype=np.intp)
    steps[order] = np.arange(len(order))
    return steps.tolist()


def positions_are_said(layout: Layout) -> bool:
    """Whether positions have to be said of a network, as those of uses that do not say theirs are others."""
    node = np.concatenate((layout.node_of_row[layout.row], layout.node_of_row[layout.bias_row]))
    positions = np.concatenate((layout.position, layout.bias_position))[np.argsort(node, kind="stable")]
    return layout.size != len(positions) or bool((positions != np.arange(len(positions))).any())
