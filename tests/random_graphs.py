"""Random networks for property tests: every kind of node in any position, small graphs first.

Weights are hundredths divided by the fan-in, and what grows fast reads small outputs, so that nothing overflows in
depth. What feeds a log is positive: outputs, weights and biases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import graphprop as gp

Draw = Callable[[st.SearchStrategy[Any]], Any]
Inputs = dict[Any, Any]

NUMBERS = st.integers(-200, 200).map(lambda k: k / 100)
UNIT = st.integers(0, 100).map(lambda k: k / 100)
SIZES = st.sampled_from([None, 1, 2, 3])
POSITIVE = ("sigmoid", "softplus", "exp", "softmax")
# on a kink the last digit of an output decides
SMOOTH = tuple(name for name, entry in gp.LOSSES.items() if not entry.kinks)
NORMALISED = {"probabilities": "softmax", "log-probabilities": "log_softmax"}
GROWING = ("exp", "square", "product")
RANKED = ("max", "min", "maxabs", "median")  # they have a kink where two components tie


def numbers(count: int, each: st.SearchStrategy[Any] = NUMBERS) -> st.SearchStrategy[list[Any]]:
    return st.lists(each, min_size=count, max_size=count)


def components(net: gp.Network, v: Any) -> tuple[int, int]:
    """The lengths n of a[v] and m of o[v]; of an input, n is m."""
    node = net.layout.nodes[net.layout.find(v)]
    return node.n or node.m, node.m


def kind(net: gp.Network, v: Any) -> str:
    return str(net.graph.nodes[v]["kind"])


@st.composite
def graphs(
    draw: Draw, kinds: tuple[str, ...] = tuple(gp.ACTIVATIONS), max_nodes: int = 7, biases: bool = True
) -> tuple[gp.Network, Inputs]:
    """A network with nodes of these kinds, and inputs for one sample of it."""
    net, inputs = gp.Network(), {}
    for i in range(draw(st.integers(1, 2))):
        size = draw(SIZES)
        net.add_input(f"x{i}", size)
        inputs[f"x{i}"] = draw(NUMBERS if size is None else numbers(size))
    tied = [net.parameter(f"t{j}", draw(UNIT)) for j in range(draw(st.integers(0, 2)))]
    for j in range(draw(st.integers(1, max_nodes))):
        f, sources = draw(st.sampled_from(kinds)), list(net.nodes)
        if f in GROWING:
            sources = [u for u, o in net.forward(inputs).o.items() if np.abs(o).max() <= 2]
        _add_node(draw, net, f"v{j}", f, sources, tied, biases)
    _add_entries(draw, net)
    if draw(st.booleans()):
        _declare_heads(draw, net)
    assume(all(np.abs(a).max() < 50 for a in net.forward(inputs).a.values()))
    return net, inputs


def _add_node(
    draw: Draw, net: gp.Network, v: str, f: str, sources: list[Any], tied: list[gp.Parameter], biases: bool
) -> None:
    if f == "log":
        positive = [u for u in sources if kind(net, u) in POSITIVE]
        f, sources = ("log", positive) if positive else ("softplus", sources)
    size = draw(SIZES if gp.ACTIVATIONS[f].kind == "elementwise" else st.integers(1, 3))
    parents = draw(st.lists(st.sampled_from(sources), min_size=1, max_size=3, unique=True))
    n, widths = size or 1, {u: components(net, u)[1] for u in parents}
    if f == "log":
        entry, bias = UNIT.map(lambda w: w + 0.01), draw(numbers(n, UNIT.map(lambda b: b + 0.5)))
    else:
        entry = st.one_of(NUMBERS, st.none(), *([st.sampled_from(tied)] if tied else []))
        bias = draw(st.one_of(st.none(), numbers(n, entry))) if biases else None
    fan_in = sum(widths.values())
    weights = {u: _block(draw(numbers(n * m, entry)), m, fan_in) for u, m in widths.items()}
    net.add_node(v, f, weights, None if bias is None or set(bias) == {None} else bias, size=size)


def _block(entries: list[Any], m: int, fan_in: int) -> list[list[Any]]:
    """The weights of an edge with rows of length m; an edge has at least one entry."""
    first, *rest = (w / fan_in if isinstance(w, float) else w for w in entries)
    entries = [0.5 if first is None and set(rest) <= {None} else first, *rest]
    return [entries[i : i + m] for i in range(0, len(entries), m)]


def _add_entries(draw: Draw, net: gp.Network) -> None:
    """Add entries that edges lack, one at a time: to edges that exist, or as skip edges."""
    nodes = [v for v in net.nodes if kind(net, v) not in ("input", "log", *GROWING)]
    for v in draw(st.lists(st.sampled_from(nodes), max_size=3)) if nodes else []:
        u = draw(st.sampled_from(net.nodes[: net.nodes.index(v)]))
        n, m = components(net, v)[0], components(net, u)[1]
        i, k = draw(st.integers(0, n - 1)), draw(st.integers(0, m - 1))
        if u not in net.parents(v) or np.isnan(np.reshape(net.weight(u, v), (n, m))[i, k]):
            net.add_edge(u, v, draw(NUMBERS) / 2, to=i, of=k)


def _declare_heads(draw: Draw, net: gp.Network) -> None:
    """Vector nodes are heads of their own, scalars one head together."""
    chosen = draw(st.lists(st.sampled_from(net.nodes), min_size=1, max_size=3, unique=True))
    scalars = [v for v in chosen if not is_array(net, v)]
    net.set_outputs(*(v for v in chosen if v not in scalars), *([scalars] if scalars else []))


def is_array(net: gp.Network, v: Any) -> bool:
    """Whether o[v] is an array: that of a vector input, a vector node, or a layer."""
    node = net.layout.nodes[net.layout.find(v)]
    return node.vector and (node.activation is None or node.activation.kind != "reducing")


def _readable(net: gp.Network, entry: gp.Loss) -> list[Any]:
    """The nodes that a loss can read: whole heads of values or logits, or distributions anywhere."""
    if entry.reads in NORMALISED:
        return [v for v in net.nodes if kind(net, v) == NORMALISED[entry.reads]]
    heads = net.layout.heads
    if entry.reads == "logits":
        heads = [head for head in heads if not any(kind(net, v) in ("sigmoid", "softmax") for v in head)]
    if entry.targets == "distribution":
        heads = [head for head in heads if sum(components(net, v)[1] for v in head) > 1]
    return [v for head in heads for v in head]


@st.composite
def objectives(draw: Draw, net: gp.Network, losses: tuple[str, ...] = SMOOTH) -> dict[str, Any]:
    """The arguments that name an objective: a node's component, a seed, or a loss with its target."""
    read = {name: _readable(net, gp.LOSSES[name]) for name in losses}
    what = draw(st.sampled_from(["node", "seed", *(name for name in read if read[name])]))
    if what == "node":
        v = draw(st.sampled_from(net.nodes))
        return {"node": v, "component": draw(st.integers(0, components(net, v)[1] - 1))}
    if what == "seed":
        nodes = draw(st.lists(st.sampled_from(net.nodes), min_size=1, unique=True))
        return {"seed": {v: draw(numbers(components(net, v)[1])) for v in nodes}}
    return {"loss": what, "target": {v: draw(numbers(components(net, v)[1], UNIT)) for v in read[what]}}


def is_smooth(net: gp.Network, trace: gp.Trace, margin: float = 1e-4) -> bool:
    """Whether no node stands near a kink or a tie, so that differences make sense."""

    def off(v: Any, a: np.ndarray) -> bool:
        if kind(net, v) in RANKED:
            ranked = np.sort(np.abs(a) if kind(net, v) == "maxabs" else a)
            return bool((np.diff(ranked) > margin).all())
        return all((np.abs(a - kink) > margin).all() for kink in gp.ACTIVATIONS[kind(net, v)].kinks)

    return all(off(v, np.atleast_1d(a)) for v, a in trace.a.items())
