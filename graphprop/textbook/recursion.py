"""Backpropagation as the textbook derives it, in three forms of the same gradient. To be read; the oracle.

A node v has pre-activations a[v] and outputs o[v] = f(a[v]); L[v] is the Jacobian of f at a[v], and W(u, v) the
weights of the edge u -> v. With D(t)[v] = d o[t] / d a[v], every node between free to respond,

    (a)  D(t)[v] = [t = v] L[v]  +  L[t] * sum over parents p of t of W(p, t) D(p)[v]
    (b)  delta[v] = obar[v] L[v],   obar[u] = direct[u]  +  sum over children c of u of delta[c] W(u, c)
    (c)  D(t)[v] = sum over all paths v -> ... -> t of L[t] W ... W L[v]

and delta[v] is the sum over the nodes t that the objective reads of direct[t] D(t)[v], with direct = d J / d o.
(a) groups the paths by their last step, (b) by their first. An input counts as a node with o = a and L = 1.
No form calls itself: a graph may be deeper than Python's stack, so a loop or a list stands for the calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, check_choice
from graphprop.functions.arithmetic import arithmetic
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.graph import Graph, checked_graph, numbers_of
from graphprop.graph.layout import Layout, Name
from graphprop.graph.wiring import frozen
from graphprop.passes.finiteness import check_a, check_gradients, check_o, outputs_of_node
from graphprop.passes.goals import Seeds, Target, read_objective
from graphprop.passes.heads import Losses
from graphprop.passes.inputs import Inputs, read_inputs, read_theta
from graphprop.passes.objective import Objective
from graphprop.passes.results import Gradients, Trace, check_trace
from graphprop.textbook.equations import (
    Equations,
    Sample,
    Vector,
    check_calls,
    cut,
    read_sample,
    write_equations,
)

Deltas = dict[int, Vector]  # by node, then by component


# ------------------------------------------------------------------ the three forms


def over_parents(s: Sample, direct: list[Vector], sources: list[int], region: list[int]) -> tuple[Deltas, int]:
    """Form (a), as if each parent were the output. D is the memo; one column i of D(t)[v] at a time."""
    total, rows = s.equations.numbers.total, s.equations.rows
    L = {t: s.jacobian(t) for t in region}
    delta: Deltas = {}
    for v in sources:
        delta[v] = []
        for i in range(len(s.a[v])):
            D: Deltas = {}
            for t in region:
                if t == v:
                    D[t] = [row[i] for row in L[t]]
                else:
                    inner = [total([w * D[p][k] for p, k, w in row if p in D]) for row in rows[t]]
                    D[t] = [total([l * x for l, x in zip(row, inner, strict=False)]) for row in L[t]]
            delta[v].append(total([g * d for t in D for g, d in zip(direct[t], D[t], strict=True)]))
    return delta, len(sources) * len(region)


def over_children(s: Sample, direct: list[Vector], region: list[int]) -> tuple[Deltas, int]:
    """Form (b): once over the nodes, children first; each adds its part to its parents."""
    total, rows = s.equations.numbers.total, s.equations.rows
    delta: Deltas = {v: [total([]) for _ in a] for v, a in enumerate(s.a)}
    o_bar = [[[number] for number in row] for row in direct]  # the terms of each; added to, never overwritten
    for v in reversed(region):
        delta[v] = s.pull(v, [total(terms) for terms in o_bar[v]])
        for d, row in zip(delta[v], rows[v], strict=False):
            for u, k, w in row:
                o_bar[u][k].append(d * w)
    return delta, len(region)


def over_paths(s: Sample, direct: list[Vector], reads: Iterable[int], region: list[int]) -> tuple[Deltas, int]:
    """Form (c): walk every path backwards from the objective, and add up what each one brings."""
    total, rows, calls = s.equations.numbers.total, s.equations.rows, 0
    found: dict[int, list[Vector]] = {v: [[] for _ in s.a[v]] for v in range(len(s.a))}
    allowed = set(region)
    walks = [(t, direct[t]) for t in reads if t in allowed]
    while walks:
        v, g = walks.pop()
        calls += 1
        d = s.pull(v, g)
        for terms, x in zip(found[v], d, strict=True):
            terms.append(x)
        carried: dict[int, list[Vector]] = {}
        for x, row in zip(d, rows[v], strict=False):
            for u, k, w in row:
                carried.setdefault(u, [[] for _ in s.o[u]])[k].append(x * w)
        walks += [(u, [total(terms) for terms in carried[u]]) for u in carried if u in allowed]
    return {v: [total(terms) for terms in found[v]] for v in found}, calls


# ------------------------------------------------------------------ forward


@keeps_warnings
def forward(net: Graph, inputs: Inputs, theta: Any = None, numbers: Any = None) -> Trace:
    """The forward pass, node by node.

    Parameters
    ----------
    net : Network
    inputs : mapping or array
        As for `Network.forward`.
    theta : sequence, optional
        Used in place of `net.theta`; may hold numbers of another kind.
    numbers : optional
        `mpmath.mp` or `sympy`: compute with its numbers, by the textbook formulas.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "sigmoid", {"x": 2.0})
    >>> gp.recursion.forward(net, {"x": 0.0}).o["y"]
    0.5
    """
    layout, kind = checked_graph(net).layout, arithmetic(numbers)
    layout.check_runnable()
    values = read_theta(layout, numbers_of(net, layout), theta, kind)
    rows, batched = read_inputs(layout, inputs, kind)
    a_flat = np.full((len(rows), int(layout.a_start[-1])), kind.number(0), dtype=kind.dtype)
    o_flat = np.full((len(rows), int(layout.o_start[-1])), kind.number(0), dtype=kind.dtype)
    equations = write_equations(layout, values, kind)
    for sample, given in enumerate(rows.tolist()):
        a, o = _values(equations, [kind.number(x) for x in given], sample if len(rows) > 1 else None)
        a_flat[sample] = [x for part in a for x in part]
        o_flat[sample] = [x for part in o for x in part]
    return Trace(layout, frozen(values), frozen(a_flat), frozen(o_flat), batched, numbers)


def _values(equations: Equations, given: Vector, sample: int | None) -> tuple[list[Vector], list[Vector]]:
    """a[v][i] = b + sum of w o[u][k], and o[v] = f(a[v])."""
    layout, numbers = equations.layout, equations.numbers
    a: list[Vector] = [[] for _ in layout.nodes]
    o: list[Vector] = [[] for _ in layout.nodes]
    remaining = iter(given)
    for v, node in enumerate(layout.nodes):
        if node.is_input:
            o[v] = [next(remaining) for _ in range(node.m)]
    for v in equations.order:
        f = layout.nodes[v].activation
        if f is None:
            continue
        parts = zip(equations.bias[v], equations.rows[v], strict=True)
        a[v] = [numbers.total([*b, *(w * o[u][k] for u, k, w in row)]) for b, row in parts]
        if numbers.dtype is float:
            check_a(layout, v, a[v], equations.bias[v], sample)
        o[v] = outputs_of_node(layout, v, f, numbers, a[v], sample)
        if numbers.dtype is float:
            check_o(layout, v, a[v], o[v], sample)
    return a, o


# ------------------------------------------------------------------ backward


@keeps_warnings
def backpropagate(
    net: Graph,
    trace: Trace,
    node: Name | Objective | None = None,
    *,
    form: str = "children",
    of: Iterable[Name] | None = None,
    limit: int = 1_000_000,
    numbers: Any = None,
    component: int | None = None,
    loss: Losses | None = None,
    target: Target | None = None,
    sample_weight: ArrayLike | None = None,
    seed: Seeds | None = None,
) -> Gradients:
    """The gradient of an objective, by one of the three forms.

    Parameters
    ----------
    net, trace
        The network and its forward pass.
    node, component, loss, target, sample_weight, seed
        The objective, as for `Network.backward`.
    form : "parents", "children" or "paths"
        Equation (a), memoised; equation (b); or (c), the sum over all paths, without memo.
    of : names, optional
        The nodes, inputs too, whose derivatives are wanted; the others are nan. For the costly forms (a) and (c).
    limit : int
        Forms (a) and (c) count their calls first, and refuse to make more than this.
    numbers : optional
        `mpmath.mp` or `sympy`: a trace of floats is computed again with its numbers.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("h", "square", {"x": 2.0})
    >>> net.add_node("y", "identity", {"h": 1.0, "x": -1.0})
    >>> trace = net.forward({"x": 3.0})
    >>> g = gp.recursion.backpropagate(net, trace, "y", form="paths")
    >>> g.gamma["h"], g.input["x"], g.calls
    (12.0, 23.0, 4)
    """
    check_trace(trace, checked_graph(net).layout)
    if not is_whole(limit):
        raise GraphpropError(f"limit is a whole number, not {limit!r}")
    check_choice(form, ("parents", "children", "paths"), "form")
    if numbers is not None and trace.numbers not in (None, numbers):
        raise GraphpropError("the trace was computed with other numbers; leave numbers= out, or run forward with them")
    if numbers is not None and trace.numbers is None:
        trace = _again(net, trace, numbers)
    layout, kind = trace.layout, arithmetic(trace.numbers)
    goal = read_objective(
        layout,
        trace.samples,
        trace.batched,
        node,
        component=component,
        loss=loss,
        target=target,
        sample_weight=sample_weight,
        seed=seed,
        exact=trace.numbers is not None,
    )
    sources = list(range(len(layout.names))) if of is None else _sources(layout, of)
    if form != "children":
        check_calls(layout, sources, goal.reads, form, limit)
    with np.errstate(all="ignore"):
        terms, seed_rows = goal.evaluate(trace.o_flat[:, goal.columns], kind)
    value = goal.total(terms, kind)
    equations, region = write_equations(layout, trace.theta, kind), layout.between(sources, goal.reads)
    uses = (len(layout.row),), (len(layout.bias_row),)
    shapes = (trace.a_flat.shape, trace.o_flat.shape, *uses)
    a_grad, o_grad, weights, biases = (np.full(shape, kind.number(0), dtype=kind.dtype) for shape in shapes)
    calls = 0
    direct_flat = np.full(trace.o_flat.shape, kind.number(0), dtype=kind.dtype)
    direct_flat[:, goal.columns] = seed_rows
    for k in range(trace.samples):
        s = read_sample(equations, trace.a_flat[k], trace.o_flat[k], k if trace.samples > 1 else None)
        direct = cut(direct_flat[k].tolist(), layout.o_start)
        if form == "parents":
            delta, calls = over_parents(s, direct, sources, region)
        elif form == "children":
            delta, calls = over_children(s, direct, region)
        else:
            delta, calls = over_paths(s, direct, goal.reads, region)
        o_grad[k] = _by_output(s, direct, {v: delta[v] for v in sources})
        for v in sources:
            if layout.nodes[v].is_input:
                o_grad[k, layout.o_slice(v)] = delta[v]
        a_grad[k] = _by_row(layout, {v: delta[v] for v in sources})
        with np.errstate(all="ignore"):
            weights += a_grad[k, layout.row] * trace.o_flat[k, layout.column]
        biases += a_grad[k, layout.bias_row]
    if kind.dtype is float:
        check_gradients(layout, sources, a_grad, o_grad, weights)
    arrays = (frozen(a_grad), frozen(o_grad), frozen(weights), frozen(biases))
    return Gradients(layout, goal, value, *arrays, batched=trace.batched, calls=calls, trace=trace)


def _sources(layout: Layout, of: Iterable[Name]) -> list[int]:
    if isinstance(of, str) or not isinstance(of, Iterable) or not getattr(of, "ndim", 1):
        raise GraphpropError(f"of= is a list of node names, not {of!r}")
    return [layout.find(v) for v in of]


def _by_row(layout: Layout, delta: Deltas) -> Vector:
    """delta of every pre-activation, one behind the other; nan where it was not asked for."""
    return [x for v, node in enumerate(layout.nodes) for x in delta.get(v, [np.nan] * node.n)[: node.n]]


def _by_output(s: Sample, direct: list[Vector], delta: Deltas) -> Vector:
    """obar[u] = direct[u] + the sum over the children c of u of delta[c] W(u, c), one behind the other."""
    terms = [[[number] for number in row] for row in direct]
    for v, rows in enumerate(s.equations.rows):
        for i, row in enumerate(rows):
            d = delta[v][i] if v in delta else np.nan
            for u, k, w in row:
                terms[u][k].append(d * w)
    return [s.equations.numbers.total(parts) for row in terms for parts in row]


def _again(net: Graph, trace: Trace, numbers: Any) -> Trace:
    """The same forward pass with numbers of another kind."""
    spans = [trace.layout.o_slice(trace.layout.find(name)) for name in trace.layout.inputs]
    given = np.hstack([trace.o_flat[:, span] for span in spans]) if spans else trace.o_flat[:, :0]
    return forward(net, given if trace.batched else given[0], trace.theta, numbers)
