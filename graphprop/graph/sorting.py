"""Numbered nodes in an order with parents before children, or a cycle if there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from graphprop.errors import CycleError
from graphprop.given.arrays import Array

MOST_SHOWN = 12  # nodes of a cycle


def sorted_nodes(source: Array, target: Array, count: int) -> tuple[list[int], list[int]]:
    """All of so many nodes, parents before children, and an empty list; or else some of them, and the nodes of a cycle.

    The nodes stand as they are numbered, if that is such an order.

    >>> import numpy as np
    >>> sorted_nodes(np.array([2, 0]), np.array([0, 1]), 3)
    ([2, 0, 1], [])
    >>> sorted_nodes(np.array([2, 0, 1]), np.array([0, 1, 2]), 3)[1]
    [0, 1, 2]
    """
    if (source < target).all():
        return list(range(count)), []
    children, start = _grouped(source, target, count)
    waiting = np.bincount(target, minlength=count).tolist()
    found = [v for v in range(count) if not waiting[v]]
    for u in found:  # which grows
        for v in children[start[u] : start[u + 1]]:
            waiting[v] -= 1
            if not waiting[v]:
                found.append(v)
    return found, [] if len(found) == count else _cycle(waiting, source, target)


def _grouped(by: Array, others: Array, count: int) -> tuple[list[int], list[int]]:
    """The other ends of the edges of each node, ascending, and where those of each begin."""
    sorted_pairs = np.sort(by * count + others)
    start = np.concatenate(([0], np.cumsum(np.bincount(by, minlength=count))))
    return (sorted_pairs % count).tolist(), start.tolist()


def _cycle(waiting: list[int], source: Array, target: Array) -> list[int]:
    """Each node that waits has a parent that waits: going back from one, by the first of them, ends in a cycle."""
    waits = np.array(waiting) > 0
    inner = waits[source] & waits[target]
    nodes, first = np.unique(target[inner], return_index=True)
    parent = dict(zip(nodes.tolist(), source[inner][first].tolist(), strict=True))
    trail: dict[int, int] = {}
    v = int(nodes[0])
    while v not in trail:
        trail[v] = len(trail)
        v = parent[v]
    return [v, *reversed([*trail][trail[v] + 1 :])]


def refuse_cycle(cycle: Sequence[int], names: Sequence[Any], where: str, say: Callable[[Any], str]) -> NoReturn:
    """The error that names the nodes of a cycle, each of which reads the one before it; `say` writes a name."""
    closed = (*(names[v] for v in cycle), names[cycle[0]])
    shown = [*map(say, closed)]
    if len(closed) > MOST_SHOWN:
        shown = [*map(say, closed[: MOST_SHOWN - 2]), "...", say(closed[0])]
    raise CycleError(f"{where}there is a cycle, {' -> '.join(shown)}; the graph has to be acyclic", closed)
