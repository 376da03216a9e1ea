"""A layout of our own, for machines without Graphviz: nodes in columns by level, edges as curves between them.

Labels, and the places where edges pass a column, are boxes in the columns like the nodes, so that nothing overlaps. The
order within a column comes from barycentres; heights are least squares under the distances (pool adjacent violators).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from graphprop.render.placing.placement import Link, Node, Placement, Point, anchor

NODE_GAP, PASS_GAP, COLUMN_GAP = 22.0, 7.0, 36.0
WIDE_GAP = 44.0  # between columns that have no labels between them
MOST_PASSES = 20_000
ARROW = 9.0


@dataclass
class Item:
    """A box in a column: a node, a label with the edge under it, or a place where an edge passes."""

    width: float
    height: float
    y: float = 0.0
    line: float = 0.0  # where the edge runs, below the middle
    node: bool = True
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)


def place_in_columns(nodes: Sequence[Node], links: Sequence[Link]) -> Placement:
    """Positions for everything; nodes stand with parents before children, links against that order run backwards."""
    number = {node.id: i for i, node in enumerate(nodes)}
    ends = [(number[link.source], number[link.target]) for link in links]
    level = levels_of(len(nodes), ends)
    labelled = any(link.height for link in links)
    step = 2 if labelled else 1
    items = [Item(node.width, node.height) for node in nodes]
    columns: list[list[int]] = [[] for _ in range(step * max(level, default=0) + 1)]
    for i, l in enumerate(level):
        columns[step * l].append(i)
    passes = sum(step * abs(level[v] - level[u]) - 1 for u, v in ends)
    routes = []
    for link, (u, v) in zip(links, ends, strict=True):
        route = _route(items, columns, link, min(u, v), max(u, v), step, level, passes <= MOST_PASSES)
        routes.append(route)
    _order(items, columns)
    _heights(items, columns)
    widths = [max((items[i].width for i in column), default=0.0) for column in columns]
    gap = COLUMN_GAP if labelled else WIDE_GAP + min(10.0 * len(links) / len(nodes), 140.0)
    centres, x = [], 0.0
    for w in widths:
        centres.append(x + w / 2)
        x += w + gap
    column_of = {i: c for c, column in enumerate(columns) for i in column}
    placed = {node.id: (centres[column_of[i]], items[i].y) for i, node in enumerate(nodes)}
    offsets = _spread(nodes, links, routes, items)
    curves, labels = {}, {}
    for k, (link, (source, _)) in enumerate(zip(links, ends, strict=True)):
        if link.height and len(routes[k]) > 2:
            j = next(i for i in routes[k] if items[i].line)
            labels[link.id] = (centres[column_of[j]], items[j].y - 1)
        points: list[Point] = []
        first, *between, last = routes[k]
        points.append(anchor(nodes[first], placed[nodes[first].id], offsets[k, first], 1, 0.0))
        for j in between:
            c = column_of[j]
            y = items[j].y + items[j].line
            points += [(centres[c] - widths[c] / 2, y), (centres[c] + widths[c] / 2, y)]
        points.append(anchor(nodes[last], placed[nodes[last].id], offsets[k, last], -1, ARROW))
        tip = anchor(nodes[last], placed[nodes[last].id], offsets[k, last], -1, 0.0)
        if first != source:  # drawn against the order of the columns
            points[0] = anchor(nodes[first], placed[nodes[first].id], offsets[k, first], 1, ARROW)
            tip = anchor(nodes[first], placed[nodes[first].id], offsets[k, first], 1, 0.0)
            points[-1] = anchor(nodes[last], placed[nodes[last].id], offsets[k, last], -1, 0.0)
            points.reverse()
        curves[link.id] = (_curve(points), tip)
    return Placement("columns", placed, curves, labels)


def levels_of(count: int, ends: list[tuple[int, int]]) -> list[int]:
    """The longest path to each node; what nothing leads to stands just before what it leads to."""
    level, parents = [0] * count, [False] * count
    children: list[list[int]] = [[] for _ in range(count)]
    for u, v in ends:
        children[min(u, v)].append(max(u, v))
        parents[max(u, v)] = True
    for u in range(count):
        for v in children[u]:
            level[v] = max(level[v], level[u] + 1)
    for u in range(count):
        if not parents[u] and children[u]:
            level[u] = min(level[v] for v in children[u]) - 1
    return level


def _route(
    items: list[Item], columns: list[list[int]], link: Link, u: int, v: int, step: int, level: list[int], bend: bool
) -> list[int]:
    """The items that an edge goes through, with a new one in every column between its ends."""
    route = [u]
    first, last = step * level[u], step * level[v]
    label = first + 1 if last - first <= 2 else 2 * ((first + last) // 4) + 1
    for c in range(first + 1, last):
        if c == label and link.height:
            items.append(Item(link.width, link.height + 8, line=link.height / 2 + 3, node=False))
        elif bend:
            items.append(Item(0.0, 2.0, node=False))
        else:
            continue
        columns[c].append(len(items) - 1)
        route.append(len(items) - 1)
    route.append(v)
    for i, j in pairwise(route):
        items[i].right.append(j)
        items[j].left.append(i)
    return route


def _order(items: list[Item], columns: list[list[int]]) -> None:
    """Sort each column by the mean place of its neighbours, to and fro; the order with fewest crossings stays."""
    rank = {i: k for column in columns for k, i in enumerate(column)}
    best, fewest = [list(column) for column in columns], _crossings(items, columns, rank)
    for sweep in range(16 if len(items) <= 4000 else 4):
        forth = sweep % 2 == 0
        for column in columns if forth else columns[::-1]:
            near = {i: items[i].left if forth else items[i].right for i in column}
            mean = {i: sum(rank[j] for j in near[i]) / len(near[i]) if near[i] else rank[i] for i in column}
            column.sort(key=mean.__getitem__)
            rank.update((i, k) for k, i in enumerate(column))
        crossings = _crossings(items, columns, rank)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    columns[:] = best


def _crossings(items: list[Item], columns: list[list[int]], rank: dict[int, int]) -> int:
    """How often edges cross: the inversions among their right ends, column by column."""
    count = 0
    for column in columns:
        seen: list[int] = []
        for i in column:
            ends = sorted(rank[j] for j in items[i].right)
            count += sum(len(seen) - bisect_right(seen, y) for y in ends)
            for y in ends:
                insort(seen, y)
    return count


def _heights(items: list[Item], columns: list[list[int]]) -> None:
    """Bring neighbours to one height as far as the distances in each column allow."""
    for column in columns:
        stack(items, column, dict.fromkeys(column, 0.0))
    for sweep in range(24 if len(items) <= 4000 else 6):
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            wanted = {}
            for i in column:
                near = [*items[i].left, *items[i].right]
                pulls = [(1.0 if items[i].node or items[j].node else 4.0, items[j].y + items[j].line) for j in near]
                total = sum(w for w, _ in pulls)
                wanted[i] = sum(w * y for w, y in pulls) / total - items[i].line if pulls else items[i].y
            stack(items, column, wanted)


def stack(items: list[Item], column: list[int], wanted: dict[int, float]) -> None:
    """Give a column the heights nearest to the wanted ones, in least squares, that keep order and distances."""
    offset, at = 0.0, []
    for k, i in enumerate(column):
        if k:
            before = items[column[k - 1]]
            gap = NODE_GAP if items[i].node and before.node else PASS_GAP
            offset += (before.height + items[i].height) / 2 + gap
        at.append(offset)
    blocks: list[tuple[float, int]] = []  # (mean, count), increasing
    for i, start in zip(column, at, strict=True):
        mean, count = wanted[i] - start, 1
        while blocks and blocks[-1][0] > mean:
            other, size = blocks.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        blocks.append((mean, count))
    levels = [mean for mean, count in blocks for _ in range(count)]
    for i, start, mean in zip(column, at, levels, strict=True):
        items[i].y = mean + start


def _spread(
    nodes: Sequence[Node], links: Sequence[Link], routes: list[list[int]], items: list[Item]
) -> dict[tuple[int, int], float]:
    """How far below the middle of a node each edge begins or ends: at its row, else side by side in their order."""
    sides: dict[tuple[int, int], list[int]] = {}
    for k, route in enumerate(routes):
        sides.setdefault((route[0], 1), []).append(k)
        sides.setdefault((route[-1], -1), []).append(k)
    offsets = {}
    for (i, side), edges in sides.items():
        beside = {k: items[routes[k][side if side == 1 else -2]] for k in edges}
        edges.sort(key=lambda k: beside[k].y + beside[k].line)
        room = min(0.62 * nodes[i].height, 16.0 * (len(edges) - 1))
        for place, k in enumerate(edges):
            row = links[k].from_row if links[k].source == nodes[i].id else links[k].to_row
            known = row is not None and row < len(nodes[i].rows)
            even = room * (place / (len(edges) - 1) - 0.5) if len(edges) > 1 else 0.0
            offsets[k, i] = nodes[i].rows[row] if known and row is not None else even
    return offsets


def _curve(points: list[Point]) -> tuple[Point, ...]:
    """Cubic curves through the points, level at each of them."""
    result = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        result += [(middle, y0), (middle, y1), (x1, y1)]
    return tuple(result)
