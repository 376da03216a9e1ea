"""A derivative as a sum over paths, form (c) of the recursion: how many paths, and those that bring the most.

A path runs through components: a[v][i] -> o[v][k] with the local derivative, o[u][k] -> a[v][i] with the weight. The
paths are not listed. From the target backwards, every place gets the number of its paths, their sum, and its best way
on; a path is then the best one but for a few turns, and the least costly turns are taken first.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphprop.errors import GraphpropError, NumberError
from graphprop.explanations.printed_formulas import is_identity
from graphprop.functions.arithmetic import Floats
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.graph import Graph, checked_graph
from graphprop.graph.layout import Layout, Name
from graphprop.notation.escaping import label, markup
from graphprop.notation.foreign import as_floats
from graphprop.passes.results import Trace, check_trace
from graphprop.textbook.equations import Sample, read_sample, write_equations

Cost = tuple[int, float]  # how many factors are 0, and minus the sum of the log2 of the others
MOST = 12  # nodes or factors of a path that are shown
Place = int  # a column of o, or the number of columns plus a row of a


@dataclass(frozen=True)
class Factor:
    """One step of a path: a weight, or a local derivative."""

    symbol: str
    value: float


@dataclass(frozen=True, repr=False)
class Path:
    """One path: the nodes on it, its factors in order, and their product; the slope 1 of an identity is left out."""

    nodes: tuple[Name, ...]
    factors: tuple[Factor, ...]
    contribution: float

    @property
    def formula(self) -> str:
        """The product of the factors; of a long one the first and the last."""
        symbols = [factor.symbol for factor in self.factors]
        if len(symbols) > MOST:
            symbols = [*symbols[: MOST // 2], f"... {len(symbols) - MOST} more ...", *symbols[-MOST // 2 :]]
        return " * ".join(symbols) or "1"

    def __repr__(self) -> str:
        return f"<Path {arrows(self.nodes)}: {self.contribution:.6g}>"


@dataclass(frozen=True, eq=False, repr=False)
class PathSum:
    """The derivative `total` of one number with respect to another, as a sum over paths.

    Attributes
    ----------
    symbol : str
        The derivative, as the textbook writes it.
    count : int
        The number of paths, exactly.
    total : float
        The sum over all of them: the derivative.
    absolute : float
        The sum of their absolute values; where it is much larger than the total, paths cancel.
    top : tuple of Path
        The largest contributions, by absolute value.
    rest : float
        What all other paths bring together.
    """

    symbol: str
    count: int
    total: float
    absolute: float
    top: tuple[Path, ...]
    rest: float

    @property
    def rest_count(self) -> int:
        return self.count - len(self.top)

    def text(self) -> str:
        """One line for each path, then the rest, then the sum."""
        amounts = [f"{path.contribution:.6g}" for path in self.top]
        notes = [f"{arrows(path.nodes)}   {path.formula}" for path in self.top]
        if self.rest_count:
            amounts, notes = [*amounts, f"{self.rest:.6g}"], [*notes, f"the other {many(self.rest_count)}"]
        amounts, notes = [*amounts, f"{self.total:.6g}"], [*notes, f"{self.symbol}, all {many(self.count)}"]
        if not self.count:
            return f"{self.symbol} = 0: no path leads there"
        if self.count == 1:
            notes[-1] = self.symbol
        width = max(map(len, amounts))
        lines = [f"{amount:>{width}}   {note}" for amount, note in zip(amounts, notes, strict=True)]
        return "\n".join([*lines[:-1], "-" * width, lines[-1]])

    def html(self) -> str:
        """A table that needs nothing around it."""
        rows = [(f"{path.contribution:.6g}", arrows(path.nodes), path.formula) for path in self.top]
        if self.rest_count:
            rows.append((f"{self.rest:.6g}", f"the other {many(self.rest_count)}", ""))
        rows.append((f"{self.total:.6g}", self.symbol, many(self.count)))
        cells = ("".join(f"<td>{markup(cell)}</td>" for cell in row) for row in rows)
        head = "<tr><th>contribution</th><th>path</th><th>product</th></tr>"
        return f"<table>{head}{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data; a count of more than 4000 digits, which JSON cannot hold, as hexadecimal text."""
        paths = [
            {
                "nodes": list(path.nodes),
                "factors": [{"symbol": factor.symbol, "value": factor.value} for factor in path.factors],
                "contribution": path.contribution,
            }
            for path in self.top
        ]
        count = self.count if self.count.bit_length() < 13_000 else hex(self.count)
        sums = {"total": self.total, "absolute": self.absolute, "rest": self.rest}
        return {"symbol": self.symbol, "count": count, **sums, "paths": paths}

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<PathSum {self.symbol} = {self.total:.6g}: {many(self.count)}>"

    def _repr_html_(self) -> str:
        return self.html()


def arrows(nodes: Sequence[Name]) -> str:
    names = list(map(label, nodes))
    if len(names) > MOST:
        names = [*names[: MOST // 2], f"... {len(names) - MOST} more ...", *names[-MOST // 2 :]]
    return " -> ".join(names)


def many(count: int) -> str:
    if count == 1:
        return "path"
    return f"{count} paths" if count < 10**30 else f"2^{count.bit_length() - 1} or more paths"


@keeps_warnings
def paths(
    net: Graph,
    trace: Trace,
    source: Name,
    target: Name,
    top: int = 10,
    *,
    of: int | None = None,
    to: int | None = None,
    sample: int | None = None,
) -> PathSum:
    """The derivative of an output with respect to a node, as a sum over the paths between them.

    It is d o[target] / d a[source], which `Gradients` calls gamma or delta of the source; of an input it is
    d o[target] / d o[source].

    Parameters
    ----------
    net, trace
        The network and its forward pass.
    source, target : names
    top : int
        How many of the largest contributions are wanted.
    of, to : int, optional
        The components, of a[source] (of an input: o[source]) and of o[target], where there are several.
    sample : int, optional
        Of a batch, the sample that is looked at.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("h", "square", {"x": 2.0})
    >>> net.add_node("y", "identity", {"h": 1.0, "x": -1.0})
    >>> print(gp.paths(net, net.forward([3.0]), "x", "y"))
    24   x -> h -> y   w(x, h) * square'(a[h]) * w(h, y)
    -1   x -> y   w(x, y)
    --
    23   do[y]/do[x], all 2 paths
    """
    check_trace(trace, checked_graph(net).layout)
    return sum_paths(trace, source, target, top, of=of, to=to, sample=sample)


def sum_paths(
    trace: Trace,
    source: Name,
    target: Name,
    top: int,
    *,
    of: int | None = None,
    to: int | None = None,
    sample: int | None = None,
) -> PathSum:
    """`paths`, of a trace whose network is not at hand."""
    if not is_whole(top, 0):
        raise GraphpropError(f"top is a whole number, 0 or more, not {top!r}")
    s = _read_sample(trace, sample)
    layout = trace.layout
    u, v = layout.find(source), layout.find(target)
    length = layout.nodes[u].m if layout.nodes[u].is_input else layout.nodes[u].n
    i, k = _component(of, length, "of", source), _component(to, layout.nodes[v].m, "to", target)
    web = _Web(trace, s, u, v)
    first = web.first(u, i)
    ways = _Ways(web, layout.column_of(v, k))
    symbol = web.between_symbol(first, ways.last)
    if first not in ways.count:
        return PathSum(symbol, 0, 0.0, 0.0, (), 0.0)
    total, absolute = ways.total[first], ways.absolute[first]
    if not math.isfinite(total):
        raise NumberError(f"{symbol} is {total}; it has to be finite")
    shown = tuple(web.path(first, route) for route in ways.largest(first, int(top)))
    shown = tuple(sorted(shown, key=lambda path: -abs(path.contribution)))
    count = ways.count[first]
    rest = Floats().total([total, *(-path.contribution for path in shown)]) if count > len(shown) else 0.0
    return PathSum(symbol, count, total, absolute, shown, rest)


def _read_sample(trace: Trace, sample: Any) -> int:
    if sample is None:
        if trace.samples != 1:
            raise GraphpropError(f"the trace has {trace.samples} samples; say which one with sample=")
        return 0
    if not is_whole(sample, 0, trace.samples - 1):
        raise GraphpropError(f"sample={sample!r} is out of range; the trace has 0 to {trace.samples - 1}")
    return int(sample)


def _component(given: Any, length: int, name: str, node: Name) -> int:
    if given is None:
        if length != 1:
            raise GraphpropError(f"node {node!r} has {length} components; say which one with {name}=")
        return 0
    if not is_whole(given, 0, length - 1):
        raise GraphpropError(f"{name}={given!r} is out of range; node {node!r} has the components 0 to {length - 1}")
    return int(given)


class _Web:
    """The places between two nodes, what leads from each to the next ones, and how it is called."""

    def __init__(self, trace: Trace, s: int, u: int, v: int) -> None:
        self.layout: Layout = trace.layout
        self.width = int(self.layout.o_start[-1])
        floats = [as_floats(x) for x in (trace.theta, trace.a_flat[s], trace.o_flat[s])]
        self.sample: Sample = read_sample(write_equations(self.layout, floats[0], Floats()), floats[1], floats[2])
        self.source, self.region = u, self.layout.between([u], [v])
        self.inside = set(self.region)
        self.onward: dict[Place, list[tuple[Place, float]]] = {}
        self.order: list[Place] = []  # from the source to the target
        self.node_at: dict[Place, int] = {}
        for node in self.region:
            self._add(node)
        for end in (u, v):  # they have names even if nothing lies between
            self.node_at |= dict.fromkeys(self._places(end), end)

    def first(self, u: int, i: int) -> Place:
        if self.layout.nodes[u].is_input:
            return self.layout.column_of(u, i)
        return self.width + self.layout.row_of(u, i)

    def _places(self, v: int) -> list[Place]:
        a, o = self.layout.a_slice(v), self.layout.o_slice(v)
        return [*range(self.width + a.start, self.width + a.stop), *range(o.start, o.stop)]

    def _add(self, v: int) -> None:
        """The ways into the components of v, and through it."""
        node, rows = self.layout.nodes[v], self.sample.equations.rows[v]
        a, o = self.width + self.layout.row_of(v), self.layout.column_of(v)
        for i, row in enumerate([] if v == self.source else rows):
            for u, k, w in row:
                if u in self.inside:
                    self.onward.setdefault(self.layout.column_of(u, k), []).append((a + i, w))
        places = self._places(v)
        self.order += places
        self.node_at |= dict.fromkeys(places, v)
        if node.kind_of_function == "elementwise":
            for i, slope in enumerate(self.sample.pull(v, [1.0] * node.m)):
                self.onward[a + i] = [(o + i, slope)]
        elif not node.is_input:
            L = self.sample.jacobian(v)
            for i in range(node.n):
                self.onward[a + i] = [(o + k, L[k][i]) for k in range(node.m)]

    def path(self, first: Place, route: list[tuple[Place, Place, float]]) -> Path:
        nodes = [self.node_at[place] for place in (first, *(to for _, to, _ in route))]
        names = [self.layout.names[v] for j, v in enumerate(nodes) if j == 0 or v != nodes[j - 1]]
        steps = [step for step in route if not self._is_identity(step[0])]
        factors = tuple(Factor(self._symbol(here, to), float(value)) for here, to, value in steps)
        return Path(tuple(names), factors, _scaled_product([value for _, _, value in route]))

    def _label(self, place: Place, letter: bool = True) -> str:
        """a[v][i] or o[v][k]; without the letter v[k]."""
        v, is_row = self.node_at[place], place >= self.width
        node, name = self.layout.nodes[v], label(self.layout.names[v])
        at = place - (self.width + self.layout.row_of(v) if is_row else self.layout.column_of(v))
        component = f"[{at}]" if (node.n if is_row else node.m) > 1 else ""
        return f"{'a' if is_row else 'o'}[{name}]{component}" if letter else f"{name}{component}"

    def _symbol(self, here: Place, to: Place) -> str:
        v = self.node_at[to]
        if here >= self.width:
            f = self.layout.nodes[v].activation
            if f is not None and f.kind == "elementwise":
                return f"{label(f.name)}'({self._label(here)})"
            return self.between_symbol(here, to)
        i = f"{to - self.width - self.layout.row_of(v)}, " if self.layout.nodes[v].n > 1 else ""
        return f"w({i}{self._label(here, letter=False)}, {label(self.layout.names[v])})"

    def _is_identity(self, place: Place) -> bool:
        f = self.layout.nodes[self.node_at[place]].activation
        return place >= self.width and f is not None and is_identity(f)

    def between_symbol(self, here: Place, to: Place) -> str:
        return f"d{self._label(to)}/d{self._label(here)}"


class _Ways:
    """Of every place: the number of its paths to the last one, their sum, and the cost of the best."""

    def __init__(self, web: _Web, last: Place) -> None:
        self.web, self.last = web, last
        self.count: dict[Place, int] = {last: 1}
        self.total, self.absolute = {last: 1.0}, {last: 1.0}
        self.cost: dict[Place, Cost] = {last: (0, 0.0)}
        self.best: dict[Place, int] = {}
        numbers = Floats()
        for place in reversed(web.order):
            ways = [(to, value) for to, value in web.onward.get(place, ()) if to in self.count]
            web.onward[place] = ways
            if place == last or not ways:
                continue
            self.count[place] = sum(self.count[to] for to, _ in ways)
            self.total[place] = numbers.total([value * self.total[to] for to, value in ways])
            self.absolute[place] = numbers.total([abs(value) * self.absolute[to] for to, value in ways])
            costs = [self._through(to, value) for to, value in ways]
            self.best[place] = min(range(len(ways)), key=costs.__getitem__)
            self.cost[place] = costs[self.best[place]]

    def _through(self, to: Place, value: float) -> Cost:
        zeros, cost = self.cost[to]
        return (zeros + 1, cost) if value == 0 else (zeros, cost - math.log2(abs(value)))

    def largest(self, first: Place, top: int) -> list[list[tuple[Place, Place, float]]]:
        """The paths of least cost. Each but the best leaves an earlier one at some place, and is best from there on."""
        found: list[list[tuple[Place, Place, float]]] = []
        waiting: list[tuple[Cost, int, list[tuple[Place, Place, float]], int, Place, int]] = []
        made = 0
        begun: list[tuple[Place, Place, float]] = []
        above, place = (0, 0.0), first  # what a path costs more than the best one; where it goes its own way
        while len(found) < top:
            route = list(begun)
            while place != self.last:
                ways, best = self.web.onward[place], self.best[place]
                for turn, (to, value) in enumerate(ways):
                    if turn != best:
                        zeros, cost = self._through(to, value)
                        more = above[0] + zeros - self.cost[place][0], above[1] + cost - self.cost[place][1]
                        made += 1
                        heapq.heappush(waiting, (more, made, route, len(route), place, turn))
                route.append((place, *ways[best]))
                place = ways[best][0]
            found.append(route)
            if not waiting:
                break
            above, _, before, length, place, turn = heapq.heappop(waiting)
            begun = [*before[:length], (place, *self.web.onward[place][turn])]
            place = begun[-1][1]
        return found


def _scaled_product(factors: Sequence[float]) -> float:
    """The product, with mantissas and exponents apart, so that nothing overflows or vanishes on the way."""
    mantissa, exponent = 1.0, 0
    for x in factors:
        part, shift = math.frexp(x)
        mantissa, carry = math.frexp(mantissa * part)
        exponent += shift + carry
    try:
        return math.ldexp(mantissa, max(exponent, -3000))
    except OverflowError:
        raise NumberError(f"the contribution of a path overflows: it is about 2^{exponent}") from None
