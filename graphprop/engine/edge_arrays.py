"""The layout of a graph given as arrays of edges: read, checked and sorted without a step per edge in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphprop.engine.loops.edges import sort_by, sort_topologically
from graphprop.errors import CycleError, GraphpropError
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import resolve
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import is_masked_array
from graphprop.given.memory import check_memory
from graphprop.graph.layout import AlikeNodes, Array, Layout

MOST = 2**31 - 1  # nodes or edges


def lay_out_edges(n_inputs: Any, source: Any, target: Any, activation: Any, bias: Any, outputs: Any) -> Layout:
    """The layout of `Program.from_edges`, or an error that says what is wrong with the arrays."""
    inputs = _whole_number(n_inputs, "n_inputs")
    sources, targets = _node_numbers(source, "source"), _node_numbers(target, "target")
    if len(sources) != len(targets):
        raise GraphpropError(f"source has {len(sources)} entries, target {len(targets)}; an edge is one of each")
    if not isinstance(bias, bool | np.bool_):
        raise GraphpropError(f"bias is True or False, not {bias!r}")
    nodes = 1 + max(inputs - 1, _largest(sources), _largest(targets))
    if nodes > MOST or nodes - inputs > len(targets):
        _refuse_gaps(inputs, targets, nodes)
    check_memory(120 * (nodes + len(sources)), f"a graph of {nodes:,} nodes and {len(sources):,} edges")
    into_start, by_target = _sorted_edges(inputs, sources, targets, nodes)
    edge_source, edge_target = sources[by_target].astype(np.intp), targets[by_target].astype(np.intp)
    child_start, by_source = sort_by(edge_source.astype(np.uint32), nodes)
    order, is_cycle = sort_topologically(
        into_start, edge_source.astype(np.uint32), child_start, edge_target.astype(np.uint32)[by_source]
    )
    if is_cycle:
        _refuse_cycle(order.tolist())
    functions, which = _activations(activation, nodes - inputs)
    count = nodes - inputs if bias else 0
    heads, declared = _heads(outputs, nodes, inputs, child_start)
    return Layout(
        names=range(nodes),
        nodes=AlikeNodes(
            functions,
            np.concatenate((np.zeros(inputs, dtype=np.uint32), which)),
            inputs,
            len(sources) if bias else None,
        ),
        order=order,
        a_start=np.maximum(np.arange(nodes + 1) - inputs, 0),
        o_start=np.arange(nodes + 1),
        edge_source=edge_source,
        edge_target=edge_target,
        edge_start=np.arange(len(sources) + 1),
        row=edge_target - inputs,
        column=edge_source,
        position=by_target.astype(np.intp),
        bias_row=np.arange(count),
        bias_position=len(sources) + np.arange(count),
        size=len(sources) + count,
        parameters={},
        heads=heads,
        outputs_declared=declared,
    )


def _sorted_edges(inputs: int, sources: Array, targets: Array, nodes: int) -> tuple[Array, Array]:
    """Where the edges into each node begin, and the edges in that order; each node's by source."""
    if len(targets) and targets.min() < inputs:
        e = int(np.argmin(targets))
        raise GraphpropError(
            f"edge {e}, {sources[e]} -> {targets[e]}, leads into an input; inputs are 0 to {inputs - 1}"
        )
    if (sources == targets).any():
        e = int(np.argmax(sources == targets))
        raise CycleError(f"edge {e}, {sources[e]} -> {targets[e]}, is a loop", (int(sources[e]),) * 2)
    _, by_source = sort_by(sources, nodes)
    start, by_target = sort_by(targets[by_source], nodes)
    order = by_source[by_target]
    s, t = sources[order], targets[order]
    twice = (s[1:] == s[:-1]) & (t[1:] == t[:-1])
    if twice.any():
        i = int(np.argmax(twice))
        raise GraphpropError(f"edge {s[i]} -> {t[i]} is there twice, as number {order[i]} and {order[i + 1]}")
    unfed = np.flatnonzero(np.diff(start)[inputs:] == 0)
    if len(unfed):
        _refuse_unfed(inputs + int(unfed[0]), inputs)
    return start, order


def _refuse_gaps(inputs: int, targets: Array, nodes: int) -> None:
    """There are more nodes than edges into them: say which node has none, before arrays of that size are made."""
    fed = np.unique(targets[targets >= inputs])
    gaps = np.flatnonzero(fed != inputs + np.arange(len(fed)))
    _refuse_unfed(inputs + (int(gaps[0]) if len(gaps) else len(fed)), inputs, nodes)


def _refuse_unfed(node: int, inputs: int, nodes: int = 0) -> None:
    of = f" of {nodes}" if nodes else ""
    raise GraphpropError(
        f"node {node}{of} has no edge into it and is no input; the inputs are the {inputs} nodes from 0 on"
    )


def _refuse_cycle(cycle: list[int]) -> None:
    shown = [*map(str, cycle[:8]), "...", str(cycle[-1])] if len(cycle) > 9 else [*map(str, cycle)]
    raise CycleError(f"the edges close the cycle {' -> '.join([*shown, str(cycle[0])])}", (*cycle, cycle[0]))


def _whole_number(given: Any, where: str) -> int:
    if not is_whole(given, 0, MOST):
        raise GraphpropError(f"{where} is a whole number from 0 to {MOST}, not {given!r}")
    return int(given)


def _node_numbers(given: Any, where: str) -> Array:
    if is_masked_array(given):
        raise GraphpropError(f"{where} is a masked array; node numbers are needed for all edges")
    try:
        array = np.asarray(given)
    except Exception:  # an array of another library may raise anything
        raise GraphpropError(f"{where} is an array of node numbers") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise GraphpropError(
            f"{where} is an array of node numbers with one axis, not of shape {array.shape} and type {array.dtype}"
        )
    if array.size and not (int(array.min()) >= 0 and int(array.max()) < MOST):
        wrong = (array < 0) | (array >= MOST)
        raise GraphpropError(f"{where}[{int(np.argmax(wrong))}] is {array[wrong][0]}; node numbers are 0 to {MOST - 1}")
    if len(array) > MOST:
        raise GraphpropError(f"{where} has {len(array)} entries; at most {MOST} edges are possible")
    return array.astype(np.uint32)


def _largest(numbers: Array) -> int:
    return int(numbers.max()) if len(numbers) else -1


def _activations(given: Any, count: int) -> tuple[list[Activation | None], Array]:
    """The activations, each once, and for each node which of them it has."""
    if isinstance(given, str | Activation):
        functions = [resolve(given)]
        which: Array = np.zeros(count, dtype=np.uint32)
    else:
        if isinstance(given, np.ndarray) and given.ndim != 1:
            raise GraphpropError(f"activation is one for all, or an array with one axis, not of shape {given.shape}")
        if not isinstance(given, Sequence | np.ndarray) or len(given) != count:
            what = f"{len(given)} of them" if isinstance(given, Sequence | np.ndarray) else repr(given)
            raise GraphpropError(f"activation is one for all, or one for each of the {count} nodes; not {what}")
        if isinstance(given, np.ndarray) and given.dtype.kind == "U":
            names, which = np.unique(given, return_inverse=True)
            functions = [resolve(str(name)) for name in names]
        else:
            numbers: dict[Any, int] = {}
            which = np.array([numbers.setdefault(f, len(numbers)) for f in map(resolve, given)])
            functions = list(numbers)
    for f in functions:
        if f.kind != "elementwise":
            raise GraphpropError(f"activation {f.name!r} is of vectors ({f.kind}); nodes given as arrays are scalar")
    return [*functions], which.astype(np.uint32)


def _heads(outputs: Any, nodes: int, inputs: int, child_start: Array) -> tuple[tuple[tuple[int, ...], ...], bool]:
    if outputs is None:
        sinks = inputs + np.flatnonzero(np.diff(child_start)[inputs:] == 0)
        return ((tuple(sinks.tolist()),) if len(sinks) else ()), False
    numbers = _node_numbers(outputs, "outputs").tolist()
    for v in numbers:
        if not inputs <= v < nodes:
            raise GraphpropError(
                f"outputs: {v} is {'an input' if v < inputs else 'no node'}; nodes are {inputs} to {nodes - 1}"
            )
    if len(set(numbers)) < len(numbers) or not numbers:
        raise GraphpropError("outputs names a node twice" if numbers else "outputs is empty")
    return (tuple(numbers),), True
