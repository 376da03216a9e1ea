"""Compiled loops over the edges of a graph given as arrays: sorting by node, levels, ancestors, and cycles.

Nodes are numbered from 0. `start[v] : start[v + 1]` are the edges into node v, and `source` where they come from.

A loop fills arrays that are made in Python. To hand out one of its own, numba runs a line of Python where it looks for
no error: an interrupt there becomes a SystemError.
"""

from typing import Any

import numpy as np

from graphprop.engine.loops.caching import PLAIN, compiled
from graphprop.given.arrays import Array, keeps_warnings

FEW = 500  # edges; before Python has run over so few, machine code is not read from the disk


@keeps_warnings
def _run(loop: Any, edges: int, *arguments: Array) -> Any:
    """A loop compiled, or as it stands here where that is not worth it."""
    if edges > FEW or loop.overloads:
        return loop(*arguments)
    with np.errstate(over="ignore"):  # sums may go round
        return loop.py_func(*arguments)


def sort_by(keys: Array, count: int) -> tuple[Array, Array]:
    """start and permutation: keys[permutation] ascends, equals stay in order; key k is at start[k] : start[k + 1]."""
    start, permutation = np.zeros(count + 1, dtype=np.uint32), np.empty(len(keys), dtype=np.uint32)
    _run(_sort_by, len(keys), keys, start, permutation)
    return start, permutation


@compiled(**PLAIN)
def _sort_by(keys, start, permutation):
    for key in keys:
        start[key + 1] += 1
    for k in range(len(start) - 1):
        start[k + 1] += start[k]
    place = start[:-1].copy()
    for e in range(len(keys)):
        key = keys[e]
        permutation[place[key]] = e
        place[key] += 1


def find_levels(order: Array, start: Array, source: Array) -> Array:
    """Of each node the length of the longest path into it; `order` has parents before children."""
    level = np.zeros(len(order), dtype=np.uint32)
    _run(_find_levels, len(source), order, start, source, level)
    return level


@compiled(**PLAIN)
def _find_levels(order, start, source, level):
    for v in order:
        for e in range(start[v], start[v + 1]):
            level[v] = max(level[v], level[source[e]] + 1)


def mark_ancestors(order: Array, start: Array, source: Array, marked: Array) -> None:
    """Mark all nodes that lead to a marked one."""
    _run(_mark_ancestors, len(source), order, start, source, marked)


@compiled(**PLAIN)
def _mark_ancestors(order, start, source, marked):
    for i in range(len(order) - 1, -1, -1):
        v = order[i]
        if marked[v]:
            for e in range(start[v], start[v + 1]):
                marked[source[e]] = True


def find_cuts(
    order: Array, start: Array, source: Array, marked: Array, shared: Array, lowest: Array, highest: Array, heads: int
) -> Array:
    """Of each head but the first, whether no marked node leads both to a head before it, and to it or one after it.

    Those that are `shared` may. `lowest` and `highest` are the first and last head of each goal; of all marked nodes
    they become those that the node leads to.
    """
    crossing = np.zeros(heads + 1, dtype=np.int64)
    _run(_count_crossings, len(source), order, start, source, marked, shared, lowest, highest, crossing)
    return np.cumsum(crossing[1:heads]) == 0


@compiled(**PLAIN)
def _count_crossings(order, start, source, marked, shared, lowest, highest, crossing):
    for i in range(len(order) - 1, -1, -1):
        v = order[i]
        if marked[v]:
            if not shared[v]:
                crossing[lowest[v] + 1] += 1
                crossing[highest[v] + 1] -= 1
            for e in range(start[v], start[v + 1]):
                u = source[e]
                lowest[u] = min(lowest[u], lowest[v])
                highest[u] = max(highest[u], highest[v])


def sort_topologically(start: Array, source: Array, child_start: Array, child: Array) -> tuple[Array, bool]:
    """The nodes with parents before children, or a cycle in their place if there is one; and whether there is.

    Nodes that are numbered so already stay as they are; else those without parents come first, then their children.
    """
    order = np.arange(len(start) - 1)
    first, last = _run(_sort_topologically, len(source), start, source, child_start, child, order)
    return (order, False) if first < 0 else (order[first:last][::-1].copy(), True)


@compiled(**PLAIN)
def _sort_topologically(start, source, child_start, child, order):
    """Fill `order`; where in it a cycle stands backwards, which is at -1 if there is none."""
    count = len(order)
    ordered = True
    for v in range(count):
        for e in range(start[v], start[v + 1]):
            ordered &= source[e] < v
    if ordered:
        return -1, -1
    waiting = np.empty(count, dtype=np.int64)
    first = last = 0
    for v in range(count):
        waiting[v] = start[v + 1] - start[v]
        if waiting[v] == 0:
            order[last] = v
            last += 1
    while first < last:
        u = order[first]
        first += 1
        for e in range(child_start[u], child_start[u + 1]):
            v = child[e]
            waiting[v] -= 1
            if waiting[v] == 0:
                order[last] = v
                last += 1
    if last == count:
        return -1, -1
    v = 0
    while waiting[v] == 0:
        v += 1
    seen = np.full(count, -1)
    length = 0
    while seen[v] < 0:  # backwards along parents that wait too, until one comes again
        seen[v] = length
        order[length] = v
        length += 1
        for e in range(start[v], start[v + 1]):
            if waiting[source[e]] > 0:
                v = source[e]
                break
    return seen[v], length


def sign_rows(start: Array, column: Array) -> Array:
    """A number for each row that two rows share if they have the same columns, in any order."""
    sign = np.zeros(len(start) - 1, dtype=np.uint64)
    _run(_sign_rows, len(column), start, column, sign)
    return sign


@compiled(**PLAIN)
def _sign_rows(start, column, sign):
    for r in range(len(sign)):
        for e in range(start[r], start[r + 1]):
            x = np.uint64(column[e]) + np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            sign[r] += x ^ (x >> np.uint64(31))
