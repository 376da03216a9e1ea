"""Compiled loops over the edges of a graph given as arrays: sorting by node, levels, ancestors, and cycles.

Nodes are numbered from 0. `start[v] : start[v + 1]` are the edges into node v, and `source` where they come from.
"""

import numpy as np

from graphprop.caching import compiled


@compiled()
def sort_by(keys, count):
    """start and permutation: keys[permutation] ascends, equals stay in order; key k is at start[k] : start[k + 1]."""
    start = np.zeros(count + 1, dtype=np.uint32)
    for key in keys:
        start[key + 1] += 1
    for k in range(count):
        start[k + 1] += start[k]
    place = start[:-1].copy()
    permutation = np.empty(len(keys), dtype=np.uint32)
    for e in range(len(keys)):
        key = keys[e]
        permutation[place[key]] = e
        place[key] += 1
    return start, permutation


@compiled()
def find_levels(order, start, source):
    """Of each node the length of the longest path into it; `order` has parents before children."""
    level = np.zeros(len(order), dtype=np.uint32)
    for v in order:
        for e in range(start[v], start[v + 1]):
            level[v] = max(level[v], level[source[e]] + 1)
    return level


@compiled()
def mark_ancestors(order, start, source, marked):
    """Mark all nodes that lead to a marked one."""
    for i in range(len(order) - 1, -1, -1):
        v = order[i]
        if marked[v]:
            for e in range(start[v], start[v + 1]):
                marked[source[e]] = True


@compiled()
def find_cuts(order, start, source, marked, lowest, highest, heads):
    """Of each head but the first, whether no marked node leads both to a head before it, and to it or one after it.

    `lowest` and `highest` are the first and last head of each goal; of all marked nodes they become those that
    the node leads to.
    """
    crossing = np.zeros(heads + 1, dtype=np.int64)
    for i in range(len(order) - 1, -1, -1):
        v = order[i]
        if marked[v]:
            crossing[lowest[v] + 1] += 1
            crossing[highest[v] + 1] -= 1
            for e in range(start[v], start[v + 1]):
                u = source[e]
                lowest[u] = min(lowest[u], lowest[v])
                highest[u] = max(highest[u], highest[v])
    return np.cumsum(crossing[1:heads]) == 0


@compiled()
def sort_topologically(start, source, child_start, child):
    """The nodes with parents before children, or a cycle in their place if there is one.

    Nodes that are numbered so already stay as they are; else those without parents come first, then their children.
    """
    count = len(start) - 1
    ordered = True
    for v in range(count):
        for e in range(start[v], start[v + 1]):
            ordered &= source[e] < v
    if ordered:
        return np.arange(count), False
    waiting = np.empty(count, dtype=np.int64)
    order = np.empty(count, dtype=np.int64)
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
        return order, False
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
    return order[seen[v] : length][::-1].copy(), True


@compiled()
def sign_rows(start, column):
    """A number for each row that two rows share if they have the same columns, in any order."""
    rows = len(start) - 1
    sign = np.zeros(rows, dtype=np.uint64)
    for r in range(rows):
        for e in range(start[r], start[r + 1]):
            x = np.uint64(column[e]) + np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            sign[r] += x ^ (x >> np.uint64(31))
    return sign
