"""The layout of a graph given as arrays of edges: checked and sorted without a step per edge in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.engine.edge_arguments import (
    MOST,
    read_activations,
    read_bias,
    read_count,
    read_heads,
    read_names,
    read_numbers,
)
from graphprop.engine.loops.edges import sort_by, sort_topologically
from graphprop.errors import CycleError, GraphpropError
from graphprop.given.memory import check_memory
from graphprop.graph.layout import AlikeNodes, Array, Heads, Layout, Name


@dataclass(frozen=True, eq=False)
class _Edges:
    """The edges as given: edge e leads from sources[e] into the component components[e] of targets[e]."""

    inputs: int
    names: Sequence[Name]
    named: bool
    sources: Array
    targets: Array

    def say(self, e: int) -> str:
        return f"edge {e}, {self.say_node(self.sources[e])} -> {self.say_node(self.targets[e])}"

    def say_node(self, v: Any) -> str:
        return repr(self.names[int(v)]) if self.named else str(int(v))


def lay_out_edges(
    n_inputs: Any,
    source: Any,
    target: Any,
    activation: Any,
    bias: Any,
    outputs: Any,
    component: Any = None,
    position: Any = None,
    names: Any = None,
    nodes: int = 0,
) -> Layout:
    """The layout of `Program.from_edges`, or an error that says what is wrong with the arrays.

    There are at least so many `nodes`, also if no edge leads to the last ones.
    """
    inputs = read_count(n_inputs, "n_inputs")
    edges = _read_edges(inputs, source, target, names, nodes)
    nodes, count = len(edges.names), len(edges.sources)
    check_memory(120 * (nodes + count), f"a graph of {nodes:,} nodes and {count:,} edges")
    _check_ends(edges)
    functions, which = read_activations(activation, nodes - inputs)
    which = np.concatenate((np.zeros(inputs, dtype=np.uint32), which))
    vector = np.array([f.kind == "reducing" for f in functions], dtype=bool)[which] & (np.arange(nodes) >= inputs)
    n, components = _count_components(edges, vector, component)
    into_start, order_of_edges = _sort_edges(edges, components)
    s, t = edges.sources[order_of_edges], edges.targets[order_of_edges]
    c = None if components is None else components[order_of_edges]
    again = _find_twice(edges, order_of_edges, s, t, c)
    a_start = np.concatenate(([0], np.cumsum(n)))
    row = a_start[t] if c is None else a_start[t] + c
    if c is not None:
        _check_components(edges, row, a_start)
    child_start, by_source = sort_by(s, nodes)
    order, is_cycle = sort_topologically(into_start, s, child_start, t[by_source])
    if is_cycle:
        _refuse_cycle(edges, order.tolist())
    positions = _read_positions(position, count)
    size = 1 + int(positions.max(initial=-1))
    biases = read_bias(bias, int(a_start[-1]), size, not vector.any())
    size = size if biases is None else max(size, 1 + int(biases.max()))
    check_memory(32 * size, f"a theta of {size:,} numbers")
    bias_row = np.empty(0, dtype=np.intp) if biases is None else np.flatnonzero(biases >= 0)
    first_use = np.flatnonzero(~again)
    return Layout(
        names=edges.names,
        nodes=AlikeNodes(functions, which, n, np.ones(nodes, dtype=np.intp), vector, biases),
        order=order,
        a_start=a_start,
        o_start=np.arange(nodes + 1),
        edge_source=s[first_use].astype(np.intp),
        edge_target=t[first_use].astype(np.intp),
        edge_start=np.append(first_use, count),
        row=row,
        column=s.astype(np.intp),
        position=positions[order_of_edges],
        bias_row=bias_row,
        bias_position=bias_row if biases is None else biases[bias_row],
        size=size,
        parameters={},
        heads=_sinks(edges, child_start) if outputs is None else read_heads(outputs, edges.names, inputs),
        outputs_declared=outputs is not None,
    )


def _read_edges(inputs: int, source: Any, target: Any, names: Any, nodes: int) -> _Edges:
    sources, targets = read_numbers(source, "source"), read_numbers(target, "target")
    if len(sources) != len(targets):
        raise GraphpropError(f"source has {len(sources)} entries, target {len(targets)}; an edge is one of each")
    largest = max(inputs - 1, nodes - 1, int(sources.max(initial=-1)), int(targets.max(initial=-1)))
    if names is None:
        every: Sequence[Name] = range(largest + 1)
        if len(every) > MOST or len(every) - inputs > len(targets):
            _refuse_gaps(inputs, targets, len(every))
    else:
        every = read_names(names)
        if largest >= len(every):
            where = "n_inputs" if largest < inputs else "an edge"
            raise GraphpropError(f"names has {len(every)} entries; {where} needs one for node {largest}")
    return _Edges(inputs, every, names is not None, sources.astype(np.uint32), targets.astype(np.uint32))


def _check_ends(edges: _Edges) -> None:
    """Refuse an edge into an input, and a loop."""
    sources, targets = edges.sources, edges.targets
    if len(targets) and targets.min() < edges.inputs:
        told = f"inputs are 0 to {edges.inputs - 1}"
        raise GraphpropError(f"{edges.say(int(np.argmin(targets)))}, leads into an input; {told}")
    if (sources == targets).any():
        e = int(np.argmax(sources == targets))
        raise CycleError(f"{edges.say(e)}, is a loop", (edges.names[int(sources[e])],) * 2)


def _count_components(edges: _Edges, vector: Array, given: Any) -> tuple[Array, Array | None]:
    """How many pre-activations each node has, and into which of them each edge leads; None if all have one."""
    targets, n = edges.targets, np.ones(len(vector), dtype=np.intp)
    n[: edges.inputs] = 0
    into = np.bincount(targets, minlength=len(vector))
    unfed = np.flatnonzero(into[edges.inputs :] == 0)
    if len(unfed):
        _refuse_unfed(edges.say_node(edges.inputs + int(unfed[0])), edges.inputs)
    if given is None and not vector.any():
        return n, None
    if given is None:  # one for each edge, in their order
        start, by_target = sort_by(targets, len(vector))
        rank = np.empty(len(targets), dtype=np.intp)
        rank[by_target] = np.arange(len(targets)) - start[targets[by_target]]
        components = np.where(vector[targets], rank, 0)
        n[vector] = into[vector]
        return n, components
    components = read_numbers(given, "component", "component")
    if len(components) != len(targets):
        raise GraphpropError(f"component has {len(components)} entries; one for each edge makes {len(targets)}")
    wrong = ~vector[targets] & (components > 0)
    if wrong.any():
        e = int(np.argmax(wrong))
        raise GraphpropError(
            f"component[{e}] is {components[e]}; {edges.say(e)}, leads into a scalar node, which has 0"
        )
    np.maximum.at(n, targets, components + 1)
    sparse = np.flatnonzero(n > into)
    if len(sparse):  # before anything of that size is made
        v = int(sparse[0])
        told = f"{into[v]} edges lead into it; each component needs one"
        raise GraphpropError(f"node {edges.say_node(v)} has the components 0 to {n[v] - 1}, and {told}")
    return n, components


def _sort_edges(edges: _Edges, components: Array | None) -> tuple[Array, Array]:
    """Where the edges into each node begin, and the edges in that order; each node's by source, then by component."""
    nodes, order = len(edges.names), np.arange(len(edges.sources))
    if components is not None and components.any():
        order = np.argsort(components, kind="stable")
    _, by_source = sort_by(edges.sources[order], nodes)
    start, by_target = sort_by(edges.targets[order[by_source]], nodes)
    return start, order[by_source[by_target]]


def _find_twice(edges: _Edges, order: Array, s: Array, t: Array, c: Array | None) -> Array:
    """Of each sorted edge whether it has the ends of that before it, and leads into another component."""
    again = np.zeros(len(s), dtype=bool)
    again[1:] = (s[1:] == s[:-1]) & (t[1:] == t[:-1])
    same = again if c is None else again & (np.diff(c, prepend=-1) == 0)
    if same.any():
        i = int(np.argmax(same))
        both = f"{edges.say_node(s[i])} -> {edges.say_node(t[i])}"
        raise GraphpropError(f"edge {both} is there twice, as number {order[i - 1]} and {order[i]}")
    return again


def _check_components(edges: _Edges, row: Array, a_start: Array) -> None:
    fed = np.zeros(int(a_start[-1]), dtype=bool)
    fed[row] = True
    if not fed.all():
        r = int(np.argmin(fed))
        v = int(np.searchsorted(a_start, r, side="right")) - 1
        raise GraphpropError(f"node {edges.say_node(v)} has no edge into its component {r - a_start[v]}")


def _read_positions(given: Any, count: int) -> Array:
    if given is None:
        return np.arange(count)
    positions = read_numbers(given, "position", "position")
    if len(positions) != count:
        raise GraphpropError(f"position has {len(positions)} entries; one for each edge makes {count}")
    return positions


def _sinks(edges: _Edges, child_start: Array) -> Heads:
    sinks = edges.inputs + np.flatnonzero(np.diff(child_start)[edges.inputs :] == 0)
    return (tuple(edges.names[v] for v in sinks.tolist()),) if len(sinks) else ()


def _refuse_gaps(inputs: int, targets: Array, nodes: int) -> None:
    """There are more nodes than edges into them: say which node has none, before arrays of that size are made."""
    fed = np.unique(targets[targets >= inputs])
    gaps = np.flatnonzero(fed != inputs + np.arange(len(fed)))
    _refuse_unfed(f"{inputs + (int(gaps[0]) if len(gaps) else len(fed))} of {nodes}", inputs)


def _refuse_unfed(node: str, inputs: int) -> None:
    raise GraphpropError(
        f"node {node} has no edge into it and is no input; the inputs are the {inputs} nodes from 0 on"
    )


def _refuse_cycle(edges: _Edges, cycle: list[int]) -> None:
    said = [edges.say_node(v) for v in (cycle if len(cycle) <= 9 else [*cycle[:8], cycle[-1]])]
    shown = said if len(cycle) <= 9 else [*said[:8], "...", said[-1]]
    names = [edges.names[v] for v in cycle]
    raise CycleError(f"the edges close the cycle {' -> '.join([*shown, said[0]])}", (*names, names[0]))
