"""Which nodes and edges of a network a picture shows, and how much of each is written: by size, and as asked for.

Up to 60 nodes everything; up to 300, or beyond 240 edges, the edges' labels become tooltips; up to 1000 there are
shapes only; of more nodes a summary by level. `focus`, `top`, `path` and `group` choose otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.functions.calling import Told
from graphprop.given.arguments import is_whole
from graphprop.graph.layout import Array, Layout, Name
from graphprop.render.drawn.lettering import name_text
from graphprop.render.picture import Detail

ALL, NO_LABELS, SHAPES = 60, 300, 1000
LABELLED_EDGES, EDGES = 240, 3000
GROUPS, LEVELS = 60, 8


@dataclass(frozen=True)
class Selection:
    """Node numbers with parents before children, edge numbers, what is lit, and the groups if it is a summary."""

    detail: Detail
    nodes: list[int]
    edges: list[int]
    lit_nodes: set[int] | None = None
    lit_edges: set[int] | None = None
    groups: list[tuple[str, list[int]]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def select(
    layout: Layout,
    sizes: Array,
    *,
    focus: Name | None = None,
    depth: int | None = None,
    top: int | None = None,
    path: Sequence[Name] | None = None,
    group: Mapping[Any, Any] | Callable[[Any], Any] | None = None,
) -> Selection:
    """What to show; `sizes` are those of the edges, by which the largest ones are found."""
    count, edge_count = len(layout.names), len(layout.edge_source)
    nodes: set[int] = set(range(count))
    edges = np.arange(edge_count)
    lit_nodes, lit_edges = read_path(layout, path) if path is not None else (None, None)
    if focus is not None:
        nodes = around(layout, layout.find(focus), _whole(2 if depth is None else depth, "depth", 0))
        edges = _between(layout, nodes, edges)
    elif depth is not None:
        raise GraphpropError("depth= belongs to focus=, the node around which to look")
    if top is not None:
        edges = _largest(edges, sizes, _whole(top, "top", 1))
        nodes = (_ends(layout, edges) or nodes) | (lit_nodes or set())  # without an edge all nodes stay
        edges = np.union1d(edges, np.array(sorted(lit_edges or ()), dtype=edges.dtype))
    notes = []
    if lit_nodes is not None and group is None and len(nodes) > SHAPES:
        nodes = lit_nodes
        edges = _between(layout, nodes, edges)
    summary = group is not None or len(nodes) > SHAPES
    if not summary and len(edges) > EDGES:
        edges = np.union1d(_largest(edges, sizes, EDGES), np.array(sorted(lit_edges or ()), dtype=edges.dtype))
    order = [v for v in layout.order.tolist() if v in nodes]
    chosen = edges.tolist()
    if summary:
        groups = user_groups(layout, order, group) if group is not None else by_level(layout, order)
        notes.append(f"showing {len(groups)} groups of {_nodes(len(order), count)}")
        return Selection("groups", order, chosen, groups=groups, notes=tuple(notes))
    if len(order) < count or len(chosen) < edge_count:
        notes.append(f"showing {_nodes(len(order), count)}, {len(chosen)} of {edge_count} edges")
    detail: Detail = "shapes"
    if len(order) <= NO_LABELS:
        detail = "full" if len(order) <= ALL and len(chosen) <= LABELLED_EDGES else "nodes"
    return Selection(detail, order, chosen, lit_nodes, lit_edges, notes=tuple(notes))


def _nodes(k: int, n: int) -> str:
    return f"{n} nodes" if k == n else f"{k} of {n} nodes"


def _whole(given: Any, what: str, least: int) -> int:
    if not is_whole(given, least):
        raise GraphpropError(f"{what}= is a whole number of at least {least}, not {given!r}")
    return int(given)


def _largest(edges: Array, sizes: Array, most: int) -> Array:
    """The edges of largest size, in their own order; those whose size is not known come last."""
    known = np.nan_to_num(sizes[edges], nan=-1.0)
    result: Array = np.sort(edges[np.argsort(-known, kind="stable")[:most]])
    return result


def _between(layout: Layout, nodes: set[int], edges: Array) -> Array:
    inside = np.zeros(len(layout.names), dtype=bool)
    inside[list(nodes)] = True
    result: Array = edges[inside[layout.edge_source[edges]] & inside[layout.edge_target[edges]]]
    return result


def _ends(layout: Layout, edges: Array) -> set[int]:
    return set(layout.edge_source[edges].tolist()) | set(layout.edge_target[edges].tolist())


def read_path(layout: Layout, path: Sequence[Name]) -> tuple[set[int], set[int]]:
    """The nodes and the edges of a path, which is given as the names along it."""
    if isinstance(path, str) or not isinstance(path, Sequence) or not path:
        raise GraphpropError(f"path= is a list of node names, each a parent of the next, not {path!r}")
    nodes = {layout.find(name) for name in path}
    return nodes, {layout.find_edge(u, v) for u, v in pairwise(path)}


def around(layout: Layout, v: int, depth: int) -> set[int]:
    """The node with its ancestors and its descendants, so many steps far."""
    found = {v}
    for onward in (layout.parents, layout.children):
        ring, seen = {v}, {v}
        for _ in range(depth):
            ring = {w for u in ring for w in onward[u]} - seen
            if not ring:
                break
            seen |= ring
        found |= seen
    return found


def by_level(layout: Layout, nodes: list[int]) -> list[tuple[str, list[int]]]:
    """The nodes of each level, or of several neighbouring ones if there are many."""
    level = layout.level[nodes]
    deepest = int(level.max(initial=0))
    step = -(-(deepest + 1) // LEVELS)
    groups: dict[int, list[int]] = {}
    for v, bin_ in zip(nodes, (level // step).tolist(), strict=True):
        groups.setdefault(bin_, []).append(v)

    def title(k: int) -> str:
        first, last = k * step, min((k + 1) * step - 1, deepest)
        return f"level {first}" if first == last else f"levels {first} to {last}"

    return [(title(k), groups[k]) for k in sorted(groups)]


def user_groups(
    layout: Layout, nodes: list[int], group: Mapping[Any, Any] | Callable[[Any], Any]
) -> list[tuple[str, list[int]]]:
    """The nodes by the group that a function or mapping gives for their names; small groups of many become one."""
    if not callable(group) and not isinstance(group, Mapping):
        raise GraphpropError(f"group= is a function of a node's name, or a mapping from names to groups, not {group!r}")
    of = group if callable(group) else _read_mapping(layout, group)
    groups: dict[Any, list[int]] = {}
    for v in nodes:
        name = layout.names[v]

        def words(error: Exception, name: Name = name) -> GraphpropError:
            return GraphpropError(f"group= failed for node {name!r}: {type(error).__name__}: {error}")

        with Told(words):
            groups.setdefault(of(name), []).append(v)
    if len(groups) > GROUPS:
        large = set(sorted(groups, key=lambda key: -len(groups[key]))[: GROUPS - 1])
        rest = [v for key, members in groups.items() if key not in large for v in members]
        kept = [(name_text(key), members) for key, members in groups.items() if key in large]
        return [*kept, (f"{len(groups) - len(large)} other groups", rest)]
    return [(name_text(key), members) for key, members in groups.items()]


def _read_mapping(layout: Layout, group: Mapping[Any, Any]) -> Callable[[Any], Any]:
    for name in group:
        layout.find(name)
    return lambda name: group.get(name, "others")
