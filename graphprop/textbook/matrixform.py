"""Backpropagation in matrices: layers in closed form, any other graph by its resolvent. The second oracle.

Sort the nodes by level: inputs are level 0, every other node stands one above its highest parent. Then the weights W
form a strictly lower block triangular matrix, and so do L W and W L, with L the block diagonal of local Jacobians.
With `direct` = d J / d o as a row,

    obar = direct (I - L W)^-1,     delta = obar L = direct D,     D = (I - L W)^-1 L.

obar (I - L W) = direct is solved by back substitution, a level at a time and the highest first:

    delta[l] = obar[l] L[l],        obar[below l] += delta[l] W[l],        grad W[l] = delta[l]^T o[below l].

Where each level reads the one below it and no other, levels are layers, and these are the formulas of the books.
A row of every array is a sample, so that products of matrices sum over the batch.
Neither the recursion nor the engine is used here, nor a step of their passes. Shared with them are the tables of
activations and losses (so a wrong derivative is wrong in all three alike), the layout, and what reads the arguments and
holds the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, NumberError, check_choice
from graphprop.functions.arithmetic import Floats
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.graph import Graph, checked_graph, numbers_of
from graphprop.graph.layout import Array, Layout, Name
from graphprop.graph.levels import (
    LIMIT,
    Layer,
    Level,
    build_layers,
    build_levels,
    check_bytes,
    has_bias,
    layers,
)
from graphprop.graph.wiring import frozen
from graphprop.passes.finiteness import check_a, check_gradients, check_o, outputs_of_node, pull_of_node
from graphprop.passes.goals import Seeds, Target, read_objective
from graphprop.passes.heads import Losses
from graphprop.passes.inputs import Inputs, read_inputs, read_theta
from graphprop.passes.objective import Objective, check_masks, compare_head
from graphprop.passes.results import Gradients, Trace, check_trace
from graphprop.textbook.labelled_matrix import LabelledMatrix

__all__ = [
    "LabelledMatrix",
    "Layer",
    "adjacency",
    "backpropagate",
    "forward",
    "gradients",
    "jacobians",
    "layers",
    "resolvent",
]

FLOATS = Floats()

# ------------------------------------------------------------------ forward


@keeps_warnings
def forward(net: Graph, inputs: Inputs, *, limit: int = LIMIT) -> Trace:
    """The forward pass, a level at a time: a = W o + b, o = f(a), for all samples together.

    Parameters
    ----------
    net : Network
        With layers or without.
    inputs : mapping or array
        As for `Network.forward`.
    limit : int
        The size that the matrices may have, in bytes.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x", size=2)
    >>> net.add_node("y", "square", {"x": [[1.0, 2.0], [0.0, -1.0]]}, size=2)
    >>> gp.matrixform.forward(net, [[1.0, 1.0], [3.0, 0.0]]).o["y"]
    array([[9., 1.],
           [9., 0.]])
    """
    layout = checked_graph(net).layout
    layout.check_runnable()
    theta = read_theta(layout, numbers_of(net, layout), None, Floats())
    rows, batched = read_inputs(layout, inputs, Floats())
    a, o = np.zeros((len(rows), int(layout.a_start[-1]))), np.zeros((len(rows), int(layout.o_start[-1])))
    o[:, layout.input_columns] = rows
    with np.errstate(all="ignore"):
        for level in build_levels(layout, theta, limit):
            a[:, level.rows] = o[:, level.reads] @ level.W.T + level.b
            for v in level.nodes:
                o[:, layout.o_slice(v)] = _outputs(layout, v, a[:, layout.a_slice(v)], theta)
    return Trace(layout, frozen(theta), frozen(a), frozen(o), batched)


def _outputs(layout: Layout, v: int, a: Array, theta: Array) -> Array:
    """f of each row."""
    f = layout.nodes[v].activation
    assert f is not None
    biases = [[b] for b in np.nan_to_num(layout.scatter_bias(v, theta[layout.bias_position]), neginf=-np.inf).tolist()]
    outputs = []
    for k, row in enumerate(a.tolist()):
        sample = k if len(a) > 1 else None
        check_a(layout, v, row, biases, sample)
        o = outputs_of_node(layout, v, f, FLOATS, row, sample)
        check_o(layout, v, row, o, sample)
        outputs.append(o)
    return np.array(outputs)


# ------------------------------------------------------------------ backward


@keeps_warnings
def backpropagate(
    net: Graph,
    trace: Trace,
    node: Name | Objective | None = None,
    *,
    component: int | None = None,
    loss: Losses | None = None,
    target: Target | None = None,
    sample_weight: ArrayLike | None = None,
    seed: Seeds | None = None,
    limit: int = LIMIT,
) -> Gradients:
    """The gradient of an objective in matrices, for every network.

    Parameters
    ----------
    net, trace
        The network and its forward pass.
    node, component, loss, target, sample_weight, seed
        The objective, as for `Network.backward`.
    limit : int
        The size that the matrices may have, in bytes.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("h", "square", {"x": 2.0})
    >>> net.add_node("y", "identity", {"h": 1.0, "x": -1.0})
    >>> g = gp.matrixform.backpropagate(net, net.forward({"x": 3.0}), "y")
    >>> g.gamma["h"], g.input["x"]
    (12.0, 23.0)
    """
    check_trace(trace, checked_graph(net).layout)
    if trace.numbers is not None:
        raise GraphpropError("the matrix form computes with floats; gp.recursion goes on in the numbers of the trace")
    layout = trace.layout
    objective: dict[str, Any] = {"component": component, "loss": loss, "target": target}
    objective |= {"sample_weight": sample_weight, "seed": seed}
    goal = read_objective(layout, trace.samples, trace.batched, node, **objective)
    levels = build_levels(layout, trace.theta, limit)
    weights, biases = np.zeros(len(layout.row)), np.zeros(len(layout.bias_row))
    with np.errstate(all="ignore"):
        value, direct = _differentiate(goal, trace.o_flat)
        delta, o_bar = substitute(layout, levels, trace.a_flat, trace.o_flat, direct, layout.ancestors(goal.reads))
        for level in levels:
            gradient = delta[:, level.rows].T @ trace.o_flat[:, level.reads]
            weights[level.uses] = gradient[level.entry_row, level.entry_column]
        biases = delta.sum(axis=0)[layout.bias_row]
    check_gradients(layout, None, delta, o_bar, weights)
    arrays = (frozen(delta), frozen(o_bar), frozen(weights), frozen(biases))
    return Gradients(layout, goal, value, *arrays, batched=trace.batched, calls=len(levels), trace=trace)


def substitute(
    layout: Layout, levels: list[Level], a: Array, o: Array, direct: Array, needed: set[int]
) -> tuple[Array, Array]:
    """Solve obar (I - L W) = direct by back substitution, the highest level first; (delta, obar), delta = obar L."""
    o_bar, delta = direct.copy(), np.zeros((len(direct), a.shape[1]))
    for level in reversed(levels):
        for v in level.nodes:
            if v in needed:
                rows, columns = layout.a_slice(v), layout.o_slice(v)
                delta[:, rows] = _times_jacobian(layout, v, o_bar[:, columns], a[:, rows], o[:, columns])
        o_bar[:, level.reads] += delta[:, level.rows] @ level.W
    return delta, o_bar


def _times_jacobian(layout: Layout, v: int, o_bar: Array, a: Array, o: Array) -> Array:
    """obar[v] L[v] for each row; a and o have as many rows, or one for all."""
    f = layout.nodes[v].activation
    assert f is not None
    rows = zip(*(np.broadcast_to(x, (len(o_bar), x.shape[1])).tolist() for x in (a, o, o_bar)), strict=True)
    several = len(a) > 1
    pulls = [
        pull_of_node(layout, v, f, FLOATS, own_a, own_o, g, k if several else None)
        for k, (own_a, own_o, g) in enumerate(rows)
    ]
    return np.array(pulls)


def _differentiate(goal: Objective, o: Array) -> tuple[float, Array]:
    """The objective, and its direct derivative by o."""
    direct = np.zeros(o.shape)
    if goal.seed is not None:
        z = o[:, goal.columns]
        check_masks(str(goal), z, goal.seed)
        direct[:, goal.columns] = goal.seed
        return _total(goal, np.where(goal.seed != 0, goal.seed * z, 0.0).sum(axis=1)), direct
    counts = np.ones(len(o)) if goal.sample_weight is None else goal.sample_weight
    share = counts / counts.sum()
    terms = np.zeros(len(o))
    for own, place, targets, weight in goal.each_head():
        columns = goal.columns[place]
        values, slopes = compare_head(own, o[:, columns], targets)
        terms += np.where(np.isfinite(values), weight * share * values, values)
        direct[:, columns] = (weight * share)[:, None] * slopes
    return _total(goal, terms), direct


def _total(goal: Objective, terms: Array) -> float:
    """The sum over the samples, which has to be finite as each term has to be."""
    value = float(terms.sum())
    if not np.isfinite(value):
        infinite = np.flatnonzero(~np.isfinite(terms))
        sample = f" in sample {infinite[0]}" if len(infinite) and len(terms) > 1 else ""
        raise NumberError(f"the objective, {goal}, is {value}: it overflows{sample}")
    return value


def gradients(
    net: Graph,
    trace: Trace,
    node: Name | Objective | None = None,
    *,
    component: int | None = None,
    loss: Losses | None = None,
    target: Target | None = None,
    sample_weight: ArrayLike | None = None,
    seed: Seeds | None = None,
    layout: Literal["gradient", "numerator"] = "gradient",
    limit: int = LIMIT,
) -> dict[str, Array]:
    """The gradients of a layered network by its matrices: "W1", "b1", "W2", ... as `layers` counts them.

    Parameters
    ----------
    net, trace, node, component, loss, target, sample_weight, seed, limit
        As for `backpropagate`.
    layout : "gradient" or "numerator"
        A gradient has the shape of its matrix. In numerator layout, in which some books print it, it is transposed; to
        be subtracted from the matrix it has to be transposed back. The bias is a vector in both.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.mlp([2, 3, 1], "tanh", seed=1)
    >>> trace = gp.matrixform.forward(net, [0.5, -1.0])
    >>> g = gp.matrixform.gradients(net, trace, loss="half_squared", target=[0.25])
    >>> {name: gradient.shape for name, gradient in g.items()}
    {'W1': (3, 2), 'b1': (3,), 'W2': (1, 3), 'b2': (1,)}
    >>> h = gp.matrixform.gradients(net, trace, loss="half_squared", target=[0.25], layout="numerator")
    >>> h["W1"].shape, bool((h["W1"].T == g["W1"]).all())
    ((2, 3), True)
    """
    check_choice(layout, ("gradient", "numerator"), "layout")
    check_trace(trace, checked_graph(net).layout)
    pairs = build_layers(trace.layout, trace.theta, limit)
    objective: dict[str, Any] = {"component": component, "loss": loss, "target": target}
    objective |= {"sample_weight": sample_weight, "seed": seed}
    g = backpropagate(net, trace, node, **objective, limit=limit)
    result = {}
    biases = np.zeros(g.a_flat.shape[1])
    biases[g.layout.bias_row] = g.bias_uses
    for k, (level, before) in enumerate(pairs, 1):
        matrix = level.spread(g.weight_uses[level.uses], before)
        result[f"W{k}"] = matrix.T if layout == "numerator" else matrix
        if has_bias(g.layout, level):
            result[f"b{k}"] = biases[level.rows]
    return result


# ------------------------------------------------------------------ the whole network as block matrices


def adjacency(net: Graph, *, limit: int = LIMIT) -> LabelledMatrix:
    """The weights of a network as one matrix W, a row for each pre-activation and a column for each output.

    The nodes stand by level, so that W is strictly lower block triangular: nothing leads back. An input counts as a
    node with a = o; its rows are 0.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("h", "tanh", {"x": 2.0})
    >>> net.add_node("y", "softmax_dot", {"h": [0.5, -1.0], "x": [3.0, 0.0]})
    >>> gp.matrixform.adjacency(net)
             o[x]  o[h]  o[y]
    a[x]        0     0     0
    a[h]        2     0     0
    a[y][0]     3   0.5     0
    a[y][1]     0    -1     0
    """
    layout = checked_graph(net).layout
    layout.check_runnable()
    a, o = _stacked(layout, "a"), _stacked(layout, "o")
    check_bytes(len(a.labels) * len(o.labels), limit)
    W = np.zeros((len(a.labels), len(o.labels)))
    W[a.place[layout.row], o.place[layout.column]] = numbers_of(net, layout)[layout.position]
    return LabelledMatrix(frozen(W), a.labels, o.labels)


@keeps_warnings
def jacobians(net: Graph, trace: Trace, *, limit: int = LIMIT) -> LabelledMatrix:
    """The slopes of all nodes in one sample, as one block diagonal matrix L: d o[v] / d a[v], and 1 for an input.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "square", {"x": 2.0})
    >>> gp.matrixform.jacobians(net, net.forward([3.0]))
          a[x]  a[y]
    o[x]     1     0
    o[y]     0    12
    """
    layout = _one_sample(net, trace)
    a, o = _stacked(layout, "a"), _stacked(layout, "o")
    check_bytes(len(a.labels) * len(o.labels), limit)
    L = np.zeros((len(o.labels), len(a.labels)))
    for v, node in enumerate(layout.nodes):
        unit = np.eye(node.m)
        own = trace.a_flat[:, layout.a_slice(v)], trace.o_flat[:, layout.o_slice(v)]
        block = unit if node.is_input else _times_jacobian(layout, v, unit, *own)
        L[o.of_node[v], a.of_node[v]] = block
    return LabelledMatrix(frozen(L), o.labels, a.labels)


@keeps_warnings
def resolvent(net: Graph, trace: Trace, *, limit: int = LIMIT) -> LabelledMatrix:
    """All total derivatives in one sample, D = (I - L W)^-1 L: d o[t] / d a[v] for every pair of nodes.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("h", "square", {"x": 2.0})
    >>> net.add_node("y", "identity", {"h": 1.0, "x": -1.0})
    >>> D = gp.matrixform.resolvent(net, net.forward([3.0]))
    >>> D
          a[x]  a[h]  a[y]
    o[x]     1     0     0
    o[h]    24    12     0
    o[y]    23    12     1
    >>> D["o[y]", "a[h]"]
    12.0
    """
    layout = _one_sample(net, trace)
    a, o = _stacked(layout, "a"), _stacked(layout, "o")
    check_bytes(2 * len(o.labels) * (len(a.labels) + len(o.labels)), limit)
    levels, every = build_levels(layout, trace.theta, limit), set(range(len(layout.names)))
    with np.errstate(all="ignore"):
        delta, o_bar = substitute(layout, levels, trace.a_flat, trace.o_flat, np.eye(len(o.labels)), every)
    D = np.zeros((len(o.labels), len(a.labels)))
    for v, node in enumerate(layout.nodes):
        D[o.place, a.of_node[v]] = o_bar[:, layout.o_slice(v)] if node.is_input else delta[:, layout.a_slice(v)]
    if not np.isfinite(D).all():
        t, v = np.argwhere(~np.isfinite(D))[0]
        raise NumberError(f"d {o.labels[t]} / d {a.labels[v]} is {D[t, v]}; it has to be finite")
    return LabelledMatrix(frozen(D), o.labels, a.labels)


@dataclass(frozen=True, eq=False)
class _Stack:
    """The pre-activations or outputs of all nodes, by level: their labels, and where those of the layout stand."""

    labels: tuple[str, ...]
    place: Array
    of_node: list[slice]


def _stacked(layout: Layout, symbol: Literal["a", "o"]) -> _Stack:
    labels: list[str] = []
    of_node = [slice(0)] * len(layout.nodes)
    place = np.zeros(int((layout.a_start if symbol == "a" else layout.o_start)[-1]), dtype=np.intp)
    for v in np.argsort(layout.level, kind="stable").tolist():
        first = len(labels)
        if symbol == "a" and not layout.nodes[v].is_input:
            own = layout.a_slice(v)
            labels += map(layout.label_row, range(own.start, own.stop))
        else:
            own = layout.o_slice(v)
            labels += [layout.label_column(column, symbol) for column in range(own.start, own.stop)]
        of_node[v] = slice(first, len(labels))
        if symbol == "o" or not layout.nodes[v].is_input:
            place[own] = np.arange(first, len(labels))
    return _Stack(tuple(labels), place, of_node)


def _one_sample(net: Graph, trace: Trace) -> Layout:
    check_trace(trace, checked_graph(net).layout)
    if trace.numbers is not None or trace.samples != 1:
        found = "other numbers" if trace.numbers is not None else f"{trace.samples} samples"
        raise GraphpropError(f"this matrix is of one sample, in floats; the trace has {found}")
    return trace.layout
