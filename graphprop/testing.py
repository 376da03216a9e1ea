"""For tests: assertions that show the whole report, and random networks for hypothesis.

pytest and hypothesis are not needed to import this; hypothesis is needed to draw with it. The fixture `gradcheck` is in
`pytest_graphprop`, which pytest loads by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphprop.checks.checking import check
from graphprop.checks.gradchecking import gradcheck
from graphprop.checks.report import Report
from graphprop.errors import GraphpropError, WrongGradientError
from graphprop.functions.activation import FINITE, Activation
from graphprop.functions.catalogue import ACTIVATIONS, resolve
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.layout import Name
from graphprop.graph.parameters import Parameter
from graphprop.network import Network

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

LARGEST_INPUT = 2.0
DIGIT = 10  # the base of a number that says which parents
SHOWN = 12  # nodes of a network that an error shows


# ------------------------------------------------------------------ assertions


def assert_gradients_match(net: Network, inputs: Any = None, node: Name | None = None, **arguments: Any) -> Report:
    """Fail, with the whole report, unless every way of computing this network's gradients gives the same.

    Takes what `gp.check` takes, and returns its report. What no way can decide, such as the derivative at a kink, is
    no failure; ``assert report.ok`` is stricter.

    Examples
    --------
    >>> import graphprop as gp
    >>> from graphprop.testing import assert_gradients_match
    >>> report = assert_gradients_match(gp.mlp([2, 3, 1], "tanh"), [0.5, -1.0])
    >>> report.ok
    True
    """
    __tracebackhide__ = True
    report = check(net, inputs, node, **arguments)
    if report.verdict == "fails":
        raise WrongGradientError(f"{report}\n\n{_as_code(net)}")
    return report


def assert_gradient_is_right(subject: Any, *arguments: Any, **options: Any) -> Report:
    """What the fixture `gradcheck` gives: `assert_gradients_match` of a network, else the same with `gp.gradcheck`.

    Examples
    --------
    >>> import numpy as np
    >>> from graphprop.testing import assert_gradient_is_right
    >>> report = assert_gradient_is_right(lambda theta: (np.sum(theta**2), 2 * theta), [1.0, 2.0])
    >>> report.ok
    True
    """
    __tracebackhide__ = True
    if isinstance(subject, Network):
        return assert_gradients_match(subject, *arguments, **options)
    report = gradcheck(subject, *arguments, **options)
    if report.verdict == "fails":
        raise WrongGradientError(str(report))
    return report


def _as_code(net: Network) -> str:
    """The calls that build a small network, to be pasted."""
    if len(net) > SHOWN:
        return repr(net)
    layout, theta = net.layout, net.theta
    names = {
        int(p): f"{name}" + (str(list(i)) if i else "")
        for name, positions in layout.parameters.items()
        for i, p in np.ndenumerate(positions)
    }

    def numbers(positions: Any) -> str:
        if np.ndim(positions) and np.shape(positions)[0] == 1:
            return numbers(positions[0])
        if np.ndim(positions):
            return f"[{', '.join(map(numbers, positions))}]"
        place = int(positions)
        return "None" if place < 0 else names.get(place, repr(float(theta[place])))

    lines = ["net = gp.Network()"]
    for name, positions in layout.parameters.items():
        lines.append(f"{name} = net.parameter({name!r}, {theta[positions].tolist()})")
    for v, (name, node) in enumerate(zip(layout.names, layout.nodes, strict=True)):
        if node.is_input:
            lines.append(f"net.add_input({name!r}{f', size={node.m}' if node.vector else ''})")
            continue
        edges = {layout.names[u]: layout.find_edge(layout.names[u], name) for u in layout.parents[v]}
        weights = []
        for u, e in edges.items():
            places = layout.scatter_edge(e, layout.position.astype(float), absent=-1.0)
            column = places[:, 0] if places.shape[1] == 1 else places
            weights.append(f"{u!r}: {numbers(column)}")
        bias = "" if node.bias is None else f", bias={numbers(node.bias)}"
        size = f", size={node.n}" if node.vector else ""
        kind = repr(node.kind) if node.kind in ACTIVATIONS else node.kind
        lines.append(f"net.add_node({name!r}, {kind}, {{{', '.join(weights)}}}{bias}{size})")
    return "\n".join(lines)


# ------------------------------------------------------------------ random networks


def graphs(
    *,
    activations: Iterable[str | Activation] | None = None,
    max_nodes: int = 6,
    max_size: int = 3,
    max_depth: int | None = None,
    ties: bool = True,
    biases: bool = True,
    layered: bool = False,
) -> SearchStrategy[Network]:
    """Random networks, as a strategy of hypothesis; a failing example shrinks to the smallest network that fails.

    Weights are such that inputs of `samples(net)` overflow nowhere and stay inside of the activations' domains.

    Parameters
    ----------
    activations : names or Activations, optional
        What nodes may be; all kinds there are if not given.
    max_nodes : int
        Of nodes that are no inputs; of a layered network, of layers.
    max_size : int
        Of the components of a node, or the nodes of a layer.
    max_depth : int, optional
        The longest path from an input, in edges.
    ties : bool
        Whether weights may share a parameter.
    biases : bool
        Whether nodes may have biases; an activation with a limited domain may need one all the same.
    layered : bool
        Only fully connected layers, declared neuron by neuron or layer by layer.

    Examples
    --------
    >>> from hypothesis import find
    >>> from graphprop.testing import graphs
    >>> find(graphs(max_nodes=2), lambda net: net.activation(net.nodes[-1]).name == "softmax")
    <Network: 1 input, 1 node, 1 edge, 1 parameter>
    """
    st = _strategies()
    kinds = [resolve(f) for f in (ACTIVATIONS if activations is None else activations)]
    if not kinds:
        raise GraphpropError("graphs: there is no activation to choose from")
    for what, limit in (("max_nodes", max_nodes), ("max_size", max_size), ("max_depth", max_depth)):
        if limit is not None and not is_whole(limit, 1):
            raise GraphpropError(f"graphs: {what} is a whole number of at least 1, not {limit!r}")
    networks: SearchStrategy[Network]
    if layered:
        widths = list(range(1, max_size + 1))
        plans = _plans(kinds, widths, biases, min(max_nodes, max_depth or max_nodes))
        networks = st.composite(_layered)(st.booleans(), st.sampled_from(widths), plans)
    else:
        sizes = [None, *range(1, max_size + 1)]
        inputs = st.lists(st.sampled_from(sizes), min_size=1, max_size=2)
        shared = st.lists(st.integers(-100, 100), max_size=2 if ties else 0)
        networks = st.composite(_any_graph)(inputs, shared, _plans(kinds, sizes, biases, max_nodes), max_depth)
    return networks


def samples(net: Network, batch: int | None = None) -> SearchStrategy[dict[Name, Any]]:
    """Random inputs of a network between -2 and 2, as a strategy; one sample, or with `batch` so many.

    Examples
    --------
    >>> import graphprop as gp
    >>> from hypothesis import find
    >>> from graphprop.testing import samples
    >>> find(samples(gp.mlp([2, 1])), lambda inputs: inputs["x", 1] > 0.5)
    {('x', 0): 0.0, ('x', 1): 0.51}
    """
    st = _strategies()
    if batch is not None and not is_whole(batch, 1):
        raise GraphpropError(f"samples: batch is a whole number of at least 1, not {batch!r}")
    number = st.integers(-200, 200).map(lambda k: k / 100 * LARGEST_INPUT / 2)

    def values(name: Name) -> Any:
        node = net.layout.nodes[net.layout.find(name)]
        one = st.lists(number, min_size=node.m, max_size=node.m) if node.vector else number
        return one if batch is None else st.lists(one, min_size=batch, max_size=batch)

    inputs: SearchStrategy[dict[Name, Any]] = st.fixed_dictionaries({name: values(name) for name in net.inputs})
    return inputs


def _strategies() -> Any:
    try:
        from hypothesis import strategies
    except ImportError:
        raise GraphpropError("random networks are drawn with hypothesis: pip install hypothesis") from None
    return strategies


def _plans(kinds: list[Activation], sizes: Sequence[int | None], biases: bool, most: int) -> Any:
    """What nodes or layers are to be: activation, bias and size, a number that says which parents, entries of weights.

    Each stands by itself and is few choices, so that a failing example is easily tried without it.
    Entries are in hundredths; those that are left out have fixed values.
    """
    st = _strategies()
    shape = st.sampled_from(list(itertools.product([False, True] if biases else [False], sizes)))
    entry = st.integers(-100, 100) | st.sampled_from(["tied", "absent"])
    which = st.integers(0, DIGIT**3 - 1)
    return st.lists(st.tuples(st.sampled_from(kinds), shape, which, st.lists(entry)), min_size=1, max_size=most)


def _parents(sources: list[Name], which: int) -> list[Name]:
    """One to three of the sources, by the digits of a number; a small one is the first source alone."""
    first, *others = which % DIGIT, which // DIGIT % DIGIT, which // DIGIT**2
    chosen = [first % len(sources), *(k - 1 for k in others if 0 < k <= len(sources))]
    return [sources[k] for k in dict.fromkeys(chosen)]


class _Growing:
    """A network while it is drawn; `largest` bounds |o| of every node, for inputs between -2 and 2."""

    def __init__(self) -> None:
        self.net = Network()
        self.largest: dict[Name, float] = {}
        self.depth: dict[Name, int] = {}
        self.tied: list[Parameter] = []

    def add_input(self, name: Name, size: int | None) -> None:
        self.net.add_input(name, size)
        self.largest[name], self.depth[name] = LARGEST_INPUT, 0

    def add_node(
        self, name: Name, f: Activation, parents: list[Name], size: int | None, biased: bool, entries: Iterator[Any]
    ) -> None:
        """A node whose a stay near the middle of the domain: the weights share what |a| may be."""
        n, widths = size or 1, {u: self.net.output_size(u) for u in parents}
        middle, radius = _inside(f.domain)
        limited = radius < np.inf
        each, spread = min(2.0, radius) / sum(m * max(1.0, self.largest[u]) for u, m in widths.items()), 0.0
        weights: dict[Name, Any] = {}
        for u, m in widths.items():
            rows: list[list[Any]] = [[next(entries) for _ in range(m)] for _ in range(n)]
            for i, k in np.ndindex(n, m):
                what = rows[i][k]
                if what == "absent" and (i, k) != (0, 0):
                    rows[i][k] = None
                elif what == "tied" and self.tied and not limited and self.largest[u] <= LARGEST_INPUT:
                    rows[i][k] = self.tied[(i + k) % len(self.tied)]
                    spread += self.largest[u]
                else:
                    rows[i][k] = _part(what, each)
            weights[u] = rows
        bias = [middle if limited else _part(next(entries), 1.0) for _ in range(n)]
        self.net.add_node(name, f, weights, bias if biased or (limited and middle) else None, size=size)
        self.largest[name] = _largest_output(f, n, middle, min(2.0, radius) + (0.0 if limited else 1.0) + spread)
        self.depth[name] = 1 + max(self.depth[u] for u in parents)


def _part(hundredths: Any, of: float) -> float:
    return round((hundredths if isinstance(hundredths, int) else 100) / 100 * of, 4)


def _filled(entries: list[Any]) -> Iterator[Any]:
    """The entries, and then others, no two of the first hundred the same."""
    return itertools.chain(entries, (50 - 37 * j % 101 for j in itertools.count()))


def _any_graph(draw: Callable[[Any], Any], inputs: Any, shared: Any, plans: Any, max_depth: int | None) -> Network:
    growing = _Growing()
    for i, size in enumerate(draw(inputs)):
        growing.add_input(f"x{i}", size)
    growing.tied = [growing.net.parameter(f"t{i}", k / 100) for i, k in enumerate(draw(shared))]
    for i, (f, (biased, size), which, entries) in enumerate(draw(plans)):
        sources = [u for u in growing.net.nodes if max_depth is None or growing.depth[u] < max_depth]
        components = size if f.kind == "elementwise" else size or 1
        growing.add_node(f"v{i}", f, _parents(sources, which), components, biased, _filled(entries))
    return growing.net


def _layered(draw: Callable[[Any], Any], by_layer: Any, width: Any, plans: Any) -> Network:
    growing, whole, n = _Growing(), draw(by_layer), draw(width)
    names: list[Name] = ["x"] if whole else [("x", k) for k in range(n)]
    for name in names:
        growing.add_input(name, n if whole else None)
    for i, (f, (biased, n), _, entries) in enumerate(draw(plans), start=1):
        one = whole or f.kind != "elementwise"
        layer: list[Name] = [f"h{i}"] if one else [(f"h{i}", k) for k in range(n)]
        numbers = _filled([100 if isinstance(entry, str) else entry for entry in entries])
        for name in layer:
            growing.add_node(name, f, names, n if one else None, biased, numbers)
        names = layer
    return growing.net


def _inside(domain: tuple[float, float]) -> tuple[float, float]:
    """The middle of a domain, or a point near its end, and how far around it one may go."""
    low, high = domain
    if low <= FINITE[0] and high >= FINITE[1]:
        return 0.0, np.inf
    if high >= FINITE[1]:
        return low + 1.0, 0.75
    if low <= FINITE[0]:
        return high - 1.0, 0.75
    return (low + high) / 2, 0.4 * (high - low)


@keeps_warnings
def _largest_output(f: Activation, n: int, middle: float, radius: float) -> float:
    """About the largest |o| where every |a - middle| is at most the radius."""
    patterns = np.array([np.ones(n), -np.ones(n), np.where(np.arange(n) % 2 == 0, 1.0, -1.0)])
    points = [middle + radius * part * row for row in patterns for part in np.linspace(0.0, 1.0, 9)]
    with np.errstate(all="ignore"):
        return float(max(abs(x) for a in points for x in f.outputs(a.tolist())))
