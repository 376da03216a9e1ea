"""A topological order that is kept while edges come and go, and that finds the cycle an edge would close.

It knows names and an order, nothing of networks. The nodes stand in a linked list, and each has a label
that grows along the list, so that comparing two places is comparing two integers. An edge that agrees
with the order costs nothing. One that does not starts two searches, forward from its child and backward
from its parent, step by step in turn; the one that ends first has found the smaller set to be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from graphprop.atomic.steps import Steps

Node = Any
Neighbours = Callable[[Node], Iterable[Node]]

# 256 insertions at one place fit between two labels before all are numbered anew; integers have no limit.
_SPACING = 2**256
_END = object()  # the list is a ring, closed by this


class TopologicalOrder:
    """Nodes in a list, parents before children. Its changes are steps, to be taken together with others.

    >>> from graphprop.atomic.steps import take
    >>> order = TopologicalOrder("abc")
    >>> path, steps = order.admit("c", "a", {"a": [], "b": [], "c": []}.get, {"a": [], "b": [], "c": []}.get)
    >>> take(steps)
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

    def append(self, v: Node) -> Steps:
        """Put a node that has no children yet at the end."""
        last = self._previous[_END]
        label = 0 if last is _END else self._label[last] + _SPACING
        return [
            (self._label.__setitem__, v, label),
            (self._next.update, {last: v, v: _END}),
            (self._previous.update, {v: last, _END: v}),
        ]

    def remove(self, nodes: Sequence[Node]) -> Steps:
        """Take nodes out."""
        draft = _Draft(self._next, self._previous)
        for v in nodes:
            draft.unlink(v)
        gone = [(table.pop, v) for v in nodes for table in (self._label, self._next, self._previous)]
        return [*draft.steps(), *gone]

    def admit(self, u: Node, v: Node, children: Neighbours, parents: Neighbours) -> tuple[list[Node] | None, Steps]:
        """Make room for the edge u -> v: None if there is an order with u before v, else the path from v to u."""
        label = self._label
        if label[u] < label[v]:
            return None, []
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
                        return None, self._move(forward, after=u)
                    return None, self._move(backward, after=self._previous[v])
                if found in other:
                    return _trail(found, forward)[::-1] + _trail(found, backward)[1:], []

    def _move(self, nodes: Iterable[Node], after: Node) -> Steps:
        """Put some nodes, in the order they have among themselves, right behind another one."""
        moved = sorted(nodes, key=self._label.__getitem__)
        draft = _Draft(self._next, self._previous)
        for w in moved:
            draft.unlink(w)
        place = after
        for w in moved:
            draft.link(place, w)
            place = w
        following = draft.next(place)
        if after is _END:
            start = self._label[following] - _SPACING * (len(moved) + 1)
            gap = _SPACING
        elif following is _END:
            start, gap = self._label[after], _SPACING
        else:
            start = self._label[after]
            gap = (self._label[following] - start) // (len(moved) + 1)
        if gap == 0:
            labels = {w: i * _SPACING for i, w in enumerate(draft)}
        else:
            labels = {w: start + i * gap for i, w in enumerate(moved, start=1)}
        return [*draft.steps(), (self._label.update, labels)]


class _Draft:
    """What changes in a linked list, beside the list."""

    def __init__(self, following: dict[Node, Node], previous: dict[Node, Node]) -> None:
        self._old = following, previous
        self._next: dict[Node, Node] = {}
        self._previous: dict[Node, Node] = {}

    def next(self, v: Node) -> Node:
        return self._next[v] if v in self._next else self._old[0][v]

    def __iter__(self) -> Iterator[Node]:
        v = self.next(_END)
        while v is not _END:
            yield v
            v = self.next(v)

    def link(self, before: Node, v: Node) -> None:
        behind = self.next(before)
        self._next[before] = self._previous[behind] = v
        self._previous[v], self._next[v] = before, behind

    def unlink(self, v: Node) -> None:
        before = self._previous[v] if v in self._previous else self._old[1][v]
        behind = self.next(v)
        self._next[before], self._previous[behind] = behind, before

    def steps(self) -> Steps:
        return [(old.update, new) for old, new in zip(self._old, (self._next, self._previous), strict=True)]


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
