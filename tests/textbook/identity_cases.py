"""Strategies, comparisons, and a network as matrices, for the identities."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import graphprop as gp
from tests.random_graphs import components, is_array, kind

TOLERANCE = 1e-12

softmax, log_softmax, softmax_dot = map(gp.activation, ("softmax", "log_softmax", "softmax_dot"))

logsumexp, sigmoid, tanh, silu = map(gp.activation, ("logsumexp", "sigmoid", "tanh", "silu"))


def assert_close(x: Any, y: Any, scale: Any) -> None:
    """|x - y| <= 1e-12 scale, where scale is the sum of the absolute terms; where it is 0, x is exactly y."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    assert x.shape == y.shape
    worst = np.max(np.abs(x - y) - TOLERANCE * np.asarray(scale), initial=0.0)
    assert worst <= 0, f"{x}\nand\n{y}\ndiffer by {np.abs(x - y)}; the terms add up to {scale}"


def vector(x: Any) -> np.ndarray:
    return np.atleast_1d(np.asarray(x, dtype=float))


def matrices(net: gp.Network, trace: gp.Trace) -> tuple[np.ndarray, np.ndarray]:
    """L and W over all components of all nodes; an input has a = o and L = 1."""
    sizes = {v: components(net, v) for v in net.nodes}
    rows = slices({v: n for v, (n, _) in sizes.items()})
    columns = slices({v: m for v, (_, m) in sizes.items()})
    L = np.zeros((sum(m for _, m in sizes.values()), sum(n for n, _ in sizes.values())))
    W = np.zeros(L.T.shape)
    for v in net.nodes:
        f = None if v in net.inputs else gp.activation(kind(net, v))
        L[columns[v], rows[v]] = np.eye(sizes[v][0]) if f is None else f.jacobian(vector(trace.a[v]))
    for u, v in net.edges:
        W[rows[v], columns[u]] = np.nan_to_num(np.reshape(net.weight(u, v), (sizes[v][0], sizes[u][1])))
    return L, W


def slices(lengths: dict[Any, int]) -> dict[Any, slice]:
    ends = list(itertools.accumulate(lengths.values()))
    return {v: slice(end - n, end) for (v, n), end in zip(lengths.items(), ends, strict=True)}


def resolvent(L: np.ndarray, W: np.ndarray) -> np.ndarray:
    """(I - L W)^-1 L as the sum over the lengths of paths, which ends: the graph is acyclic."""
    D, step = L, L
    while step.any():
        step = L @ W @ step
        D = D + step
    return D


def seed_of(net: gp.Network, trace: gp.Trace, objective: dict[str, Any]) -> np.ndarray:
    """The direct derivative of an objective with respect to all outputs, one behind the other."""
    columns = slices({v: components(net, v)[1] for v in net.nodes})
    seed = np.zeros(sum(components(net, v)[1] for v in net.nodes))
    if "node" in objective:
        seed[columns[objective["node"]]][objective["component"]] = 1.0
    for v, given_seed in objective.get("seed", {}).items():
        seed[columns[v]] = given_seed
    target = objective.get("target", {})
    for head in heads(net, target):
        z, t = (np.concatenate([vector(values[v]) for v in head]) for values in (trace.o, target))
        gradient = gp.loss(objective["loss"]).evaluate(z, t)[1]
        for v, part in zip(
            head, np.split(gradient, np.cumsum([components(net, v)[1] for v in head])[:-1]), strict=True
        ):
            seed[columns[v]] = part
    return seed


def heads(net: gp.Network, names: Iterable[Any]) -> list[list[Any]]:
    """What each term of a loss reads: a vector node, or all scalar nodes together."""
    scalars = [v for v in names if not is_array(net, v)]
    return [[v] for v in names if is_array(net, v)] + ([scalars] if scalars else [])


def sensitivities(net: gp.Network, g: gp.Gradients) -> np.ndarray:
    """delta or gamma of every node, and the derivative of every input, one behind the other."""
    return np.concatenate([vector(sensitivity(g, v)) for v in net.nodes])


def sensitivity(g: gp.Gradients, v: Any) -> Any:
    return next(found[v] for found in (g.input, g.delta, g.gamma) if v in found)


def absolute_terms(net: gp.Network, trace: gp.Trace, objective: dict[str, Any]) -> np.ndarray:
    """The sum of the absolute values of all paths, for every sensitivity."""
    L, W = map(np.abs, matrices(net, trace))
    return np.abs(seed_of(net, trace, objective)) @ resolvent(L, W)


def per_theta(net: gp.Network, delta: np.ndarray, o: np.ndarray) -> np.ndarray:
    """What sensitivities mean for theta: of every number the sum of delta o over its uses."""
    layout, result = net.layout, np.zeros(len(net.theta))
    inner = np.concatenate([np.full(components(net, v)[0], v not in net.inputs) for v in net.nodes])
    np.add.at(result, layout.position, delta[inner][layout.row] * o[layout.column])
    np.add.at(result, layout.bias_position, delta[inner][layout.bias_row])
    return result


def outputs(net: gp.Network, trace: gp.Trace) -> np.ndarray:
    return np.concatenate([vector(trace.o[v]) for v in net.nodes])


def every_component(net: gp.Network) -> Iterable[dict[str, Any]]:
    return ({"node": v, "component": k} for v in net.nodes for k in range(components(net, v)[1]))


def backpropagate(net: gp.Network, trace: gp.Trace, objective: dict[str, Any], **options: Any) -> gp.Gradients:
    return gp.recursion.backpropagate(net, trace, **objective, **options)


def rebuilt(
    net: gp.Network, order: list[Any], shuffle: Callable[[list[Any]], None], rename: Callable[[Any], Any], tied: bool
) -> gp.Network:
    """The same network made in another order under other names, entry by entry; if not `tied`, without its ties."""
    other, layout = gp.Network(), net.layout
    theta: list[Any] = [other.parameter(("theta", j), x) for j, x in enumerate(net.theta)] if tied else list(net.theta)
    numbers = {layout.names[i]: node for i, node in enumerate(layout.nodes)}
    for v in order:
        node = numbers[v]
        if node.is_input:
            other.add_input(rename(v), node.m if node.vector else None)
        else:
            bias = None if node.bias is None else [None if j < 0 else theta[j] for j in node.bias]
            other.add_node(rename(v), kind(net, v), bias=bias, size=node.n if node.vector else None)
    uses = list(zip(layout.row.tolist(), layout.column.tolist(), layout.position.tolist(), strict=True))
    shuffle(uses)
    for row, column, position in uses:
        v = int(np.searchsorted(layout.a_start, row, side="right")) - 1
        u = int(np.searchsorted(layout.o_start, column, side="right")) - 1
        i, k = row - int(layout.a_start[v]), column - int(layout.o_start[u])
        other.add_edge(rename(layout.names[u]), rename(layout.names[v]), theta[position], to=i, of=k)
    return other
