"""A topological order that is kept while edges come and go, and that finds the cycle an edge would close.

It knows names and an order, nothing of networks. The nodes stand in a linked list, and each has a label
that grows along the list, so that comparing two places is comparing two integers. An edge that agrees
with the order costs nothing. One that does not starts two searches, forward from its child and backward
from its parent, step by step in turn; the one that ends first has found the smaller set to be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Node = Any
Neighbours = Callable[[Node], Iterable[Node]]

# 256 insertions at one place fit between two labels before all are numbered anew; integers have no limit.
_SPACING = 2**256
_END = object()  # the list is a ring, closed by this


class TopologicalOrder:
    """Nodes in a list, parents before children.

    >>> order = TopologicalOrder()
    >>> for v in "abc":
    ...     order.append(v)
    >>> order.admit("c", "a", {"a": [], "b": [], "c": []}.get, {"a": [], "b": [], "c": []}.get)
    >>> list(order)
    ['b', 'c', 'a']
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        nodes = [*nodes]
        self._label: dict[Node, int] = {v: i * _SPACING for i, v in enumerate(nodes)}
        self._next: dict[Node, Node] = dict(zip([_END, *nodes], [*nodes, _END], strict=True))
        self._previous: dict[Node, Node] = dict(zip([*nodes, _END], [_END, *nodes], strict=True))

    def __iter__(self) -> Iterator[Node]:
        v = self._next[_END]
        while v is not _END:
            yield v
            v = self._next[v]

    def __reduce__(self) -> tuple[type[TopologicalOrder], tuple[list[Node]]]:
        return TopologicalOrder, (list(self),)

    def append(self, v: Node) -> None:
        """Put a node that has no children yet at the end."""
        last = self._previous[_END]
        self._label[v] = 0 if last is _END else self._label[last] + _SPACING
        self._link(last, v)

    def remove(self, v: Node) -> None:
        self._unlink(v)
        del self._label[v]

    def admit(self, u: Node, v: Node, children: Neighbours, parents: Neighbours) -> list[Node] | None:
        """Make room for the edge u -> v: None if there is an order with u before v, else the path from v to u."""
        label = self._label
        if label[u] < label[v]:
            return None
        low, high = label[v], label[u]
        forward: dict[Node, Node] = {v: _END}  # node -> the one it was reached from
        backward: dict[Node, Node] = {u: _END}
        ahead = _search(v, children, forward, lambda w: label[w] <= high)
        behind = _search(u, parents, backward, lambda w: label[w] >= low)
        while True:
            for search, other in ((ahead, backward), (behind, forward)):
                found = next(search, _END)
                if found is _END:  # this side is complete, and did not meet the other
                    if search is ahead:
                        self._move(forward, after=u)
                    else:
                        self._move(backward, after=self._previous[v])
                    return None
                if found in other:
                    return _trail(found, forward)[::-1] + _trail(found, backward)[1:]

    def _move(self, nodes: Iterable[Node], after: Node) -> None:
        """Put some nodes, in the order they have among themselves, right behind another one."""
        moved = sorted(nodes, key=self._label.__getitem__)
        for w in moved:
            self._unlink(w)
        place = after
        for w in moved:
            self._link(place, w)
            place = w
        following = self._next[place]
        if after is _END:
            start = self._label[following] - _SPACING * (len(moved) + 1)
            gap = _SPACING
        elif following is _END:
            start, gap = self._label[after], _SPACING
        else:
            start = self._label[after]
            gap = (self._label[following] - start) // (len(moved) + 1)
        if gap == 0:
            self._label = {w: i * _SPACING for i, w in enumerate(self)}
            return
        for i, w in enumerate(moved, start=1):
            self._label[w] = start + i * gap

    def _link(self, before: Node, v: Node) -> None:
        behind = self._next[before]
        self._next[before] = self._previous[behind] = v
        self._previous[v], self._next[v] = before, behind

    def _unlink(self, v: Node) -> None:
        before, behind = self._previous.pop(v), self._next.pop(v)
        self._next[before], self._previous[behind] = behind, before


def _search(
    start: Node, neighbours: Neighbours, reached_from: dict[Node, Node], within: Callable[[Node], bool]
) -> Iterator[Node]:
    """Yield once per edge looked at: its far end (again, where it was known); depth first, without recursion."""
    stack = [start]
    while stack:
        w = stack.pop()
        for x in neighbours(w):
            if x not in reached_from and within(x):
                reached_from[x] = w
                stack.append(x)
            yield x


def _trail(v: Node, reached_from: dict[Node, Node]) -> list[Node]:
    """The nodes from v back to where the search began."""
    trail = []
    while v is not _END:
        trail.append(v)
        v = reached_from[v]
    return trail
