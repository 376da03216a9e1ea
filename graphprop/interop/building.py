"""A network built from all uses of its numbers at once: every check, without a step per use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphprop.errors import CycleError, GraphpropError, NumberError
from graphprop.given.arrays import cut_into_matrices
from graphprop.given.memory import check_large
from graphprop.graph.graph import G, assemble
from graphprop.graph.layout import Array, Name, Node
from graphprop.graph.parameters import ABSENT, ParameterVector
from graphprop.graph.sorting import refuse_cycle, sorted_nodes
from graphprop.interop.uses import NOTHING, UNSAID, Biases, Edges, Extras, Nodes, say

INPUT, ELEMENTWISE, REDUCING, VECTOR = range(4)
KINDS = {"elementwise": ELEMENTWISE, "reducing": REDUCING, "vector": VECTOR}
Into = dict[Name, dict[Name, Array]]


def build(kind: type[G], nodes: Nodes, edges: Edges, biases: Biases, extras: Extras) -> G:
    """The network that has these uses, or an error that says which of them is wrong."""
    names = nodes.names
    _check_ends(nodes, edges)
    _check_numbers(nodes, edges, biases)
    edges, n, m, vector = _with_components(nodes, edges, biases)
    order = _sorted_uses(nodes, edges, bool((n > 1).any() or (m > 1).any()))
    found = _steps(nodes, edges)
    biases = _with_bias_components(nodes, biases, n)
    by_node = np.lexsort((biases.component, biases.node))
    _check_biases(nodes, biases, by_node, n)
    positions, vector_of_theta, label_of = _positions(nodes, edges, order, biases, by_node, extras)
    count = len(order)
    own = _bias_arrays(biases, by_node, positions[count:], n)
    made = _nodes(nodes, own, n, m, vector)
    into, children = _tables(names, edges, order, positions[:count], n, m)
    parameters = {p: _named_positions(p, labels, label_of) for p, labels in extras.parameters.items()}
    vector_of_theta.names.update(parameters)
    net = assemble(kind, made, into, (names[v] for v in found), vector_of_theta, extras.name, children)
    if extras.heads:
        net.set_outputs(*map(list, extras.heads))
    _check_masks(net)
    return net


# ------------------------------------------------------------------ checks


def _check_ends(nodes: Nodes, edges: Edges) -> None:
    loops = edges.source == edges.target
    if loops.any():
        e = int(np.argmax(loops))
        v = nodes.names[edges.source[e]]
        raise CycleError(f"{say(nodes, edges, e)} is a self-loop; the graph has to be acyclic", (v, v))
    is_input = np.array([f is None for f in nodes.activations], dtype=bool)
    if is_input[edges.target].any():
        e = int(np.argmax(is_input[edges.target]))
        told = f"{nodes.names[edges.target[e]]!r} is an input; nothing flows into an input"
        raise GraphpropError(f"{say(nodes, edges, e)}: {told}")


def _check_numbers(nodes: Nodes, edges: Edges, biases: Biases) -> None:
    bad = ~np.isfinite(edges.value) & (edges.position != NOTHING)
    if bad.any():
        e = int(np.argmax(bad))
        raise NumberError(f"{say(nodes, edges, e)}: the weight is {edges.value[e]}; a finite number is needed")
    bad = ~(np.isfinite(biases.value) | (biases.value == -np.inf))
    if bad.any():
        b = int(np.argmax(bad))
        name = nodes.names[biases.node[b]]
        raise NumberError(f"the bias of node {name!r} is {biases.value[b]}; a finite number is needed")


def _check_biases(nodes: Nodes, biases: Biases, by_node: Array, n: Array) -> None:
    node, component = biases.node[by_node], biases.component[by_node]
    keys = node * (int(component.max(initial=0)) + 1) + component
    for bad, told in (
        (n[node] == 0, "is an input, which has no bias"),
        (component >= n[node], "has no component {} that could have a bias"),
        (np.diff(keys, prepend=-1) == 0, "has two biases of component {}"),
    ):
        if bad.any():
            b = int(np.argmax(bad))
            raise GraphpropError(f"node {nodes.names[node[b]]!r} {told.format(component[b])}")


def _check_masks(net: Any) -> None:
    theta = net.theta
    if not np.isfinite(theta).all() and (bad := net.layout.improper(theta)) is not None:
        told = "only biases of the softmax family can be masks"
        raise NumberError(f"{net.layout.label_position(bad)} is {theta[bad]}; {told}")


# ------------------------------------------------------------------ components


def _with_components(nodes: Nodes, edges: Edges, biases: Biases) -> tuple[Edges, Array, Array, Array]:
    """The edges with every component said; of each node the lengths of a and o, and whether it is a vector node."""
    count = len(nodes.names)
    kinds = np.array([INPUT if f is None else KINDS[f.kind] for f in nodes.activations], dtype=np.int8)
    sizes = np.array([size or 0 for size in nodes.sizes], dtype=np.intp)
    given = np.maximum(sizes, 1)
    open_ended = (kinds >= REDUCING) & (sizes == 0)
    to = edges.to
    if open_ended.any():
        to = _one_each(nodes, edges, open_ended)
        largest = np.zeros(count, dtype=np.intp)
        np.maximum.at(largest, edges.target, to + 1)
        np.maximum.at(largest, biases.node, biases.component + 1)
        given = np.where(open_ended, largest, given)
        if (given == 0).any():
            name = nodes.names[int(np.argmin(given))]
            raise GraphpropError(f"node {name!r}: without edges its number of components is unknown; give its size")
    n = np.where(kinds == INPUT, 0, given)
    m = np.where(kinds == REDUCING, 1, given)
    check_large(16 * int(n.sum() + m.sum()), f"a network of {int(n.sum()):,} components")
    to = _said(nodes, edges, "to", to, n[edges.target], "components of", edges.target)
    of = _said(nodes, edges, "of", edges.of, m[edges.source], "components of the output of", edges.source)
    known = {name: getattr(edges, name) for name in ("value", "position", "trainable", "source", "target", "place")}
    return Edges(**known, to=to, of=of, where=edges.where), n, m, (sizes > 0) | (kinds >= REDUCING)


def _with_bias_components(nodes: Nodes, biases: Biases, n: Array) -> Biases:
    bad = (biases.component == UNSAID) & (n[biases.node] > 1)
    if bad.any():
        v = int(biases.node[np.argmax(bad)])
        told = f"a bias has to say of which of its components it is, 0 to {n[v] - 1}"
        raise GraphpropError(f"node {nodes.names[v]!r}: {told}")
    component = np.maximum(biases.component, 0)
    return Biases(biases.value, biases.position, biases.trainable, biases.node, component)


def _one_each(nodes: Nodes, edges: Edges, open_ended: Array) -> Array:
    """Into a node of no size, each entry is a component of its own, in order, if none of them says into which."""
    to = edges.to.copy()
    unsaid = np.flatnonzero(open_ended[edges.target] & (to == UNSAID))
    if not len(unsaid):
        return to
    said = np.unique(edges.target[to != UNSAID])
    mixed = np.isin(edges.target[unsaid], said)
    if mixed.any():
        e = int(unsaid[np.argmax(mixed)])
        raise GraphpropError(f"{say(nodes, edges, e)} does not say to which component it leads, and others do")
    sorted_ = unsaid[np.lexsort((edges.place[unsaid], edges.target[unsaid]))]
    target = edges.target[sorted_]
    first = np.concatenate(([0], 1 + np.flatnonzero(np.diff(target))))
    start = np.repeat(first, np.diff(np.append(first, len(target))))
    to[sorted_] = np.arange(len(target)) - start
    return to


def _said(nodes: Nodes, edges: Edges, what: str, given: Array, length: Array, word: str, ends: Array) -> Array:
    """The components of one end of each edge: 0 where there is one, and else as they are said."""
    bad = ((given == UNSAID) & (length > 1)) | (given >= length)
    if bad.any():
        e = int(np.argmax(bad))
        of = f"{word} {nodes.names[ends[e]]!r} are 0 to {length[e] - 1}"
        told = f"{what}={given[e]} is out of range; the" if given[e] != UNSAID else f"{what}= has to say which; the"
        raise GraphpropError(f"{say(nodes, edges, e)}: {told} {of}")
    return np.maximum(given, 0)


# ------------------------------------------------------------------ order and positions


def _sorted_uses(nodes: Nodes, edges: Edges, matrices: bool) -> Array:
    """The entries by target, edge by edge as these are ordered, row by row; an entry that is there twice is refused."""
    pair = edges.target * len(nodes.names) + edges.source
    ascending = np.sort(pair)
    if not matrices:
        if (ascending[1:] == ascending[:-1]).any():
            _refuse_twice(nodes, edges, np.argsort(pair, kind="stable"), pair[:, None])
        return np.lexsort((edges.place, edges.target))
    pairs, first, edge = np.unique(pair, return_index=True, return_inverse=True)
    place = np.full(len(pairs), np.iinfo(np.intp).max)
    np.minimum.at(place, edge, edges.place)
    rank = np.empty(len(pairs), dtype=np.intp)
    rank[np.lexsort((first, place, pairs // max(len(nodes.names), 1)))] = np.arange(len(pairs))
    order = np.lexsort((edges.of, edges.to, rank[edge]))
    _refuse_twice(nodes, edges, order, np.stack((pair, edges.to, edges.of), axis=1))
    return order


def _refuse_twice(nodes: Nodes, edges: Edges, order: Array, keys: Array) -> None:
    same = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    if same.any():
        i = int(np.argmax(same))
        e, before = int(max(order[i], order[i + 1])), int(min(order[i], order[i + 1]))
        entry = f", to={edges.to[e]}, of={edges.of[e]}," if keys.shape[1] > 1 else ""
        first = f"; it is {edges.where(before)[:-2]}, too" if edges.where(before) else ""
        raise GraphpropError(f"{say(nodes, edges, e)}{entry} is there twice{first}")


def _steps(nodes: Nodes, edges: Edges) -> list[int]:
    """The nodes with parents before children."""
    if nodes.steps is not None:
        wanted = np.argsort(nodes.steps, kind="stable")
        place = np.empty(len(wanted), dtype=np.intp)
        place[wanted] = np.arange(len(wanted))
        if (place[edges.source] < place[edges.target]).all():
            return [int(v) for v in wanted]
    found, cycle = sorted_nodes(edges.source, edges.target, len(nodes.names))
    if cycle:
        refuse_cycle(cycle, nodes.names, "", repr)
    return found


def _positions(
    nodes: Nodes, edges: Edges, order: Array, biases: Biases, by_node: Array, extras: Extras
) -> tuple[Array, ParameterVector, dict[int, int]]:
    """Where in theta each use is, edges first, and theta; where the positions that were said are in it."""
    parts = (edges, order), (biases, by_node), (extras.unused, np.arange(len(extras.unused.value)))
    value, label, free = (
        np.concatenate([getattr(uses, name)[chosen] for uses, chosen in parts])
        for name in ("value", "position", "trainable")
    )
    said = label >= 0
    labels, first, shared = np.unique(label[said], return_index=True, return_inverse=True)
    _check_shared(nodes, edges, order, label, value, free, labels, np.flatnonzero(said), first, shared)
    position = np.full(len(label), ABSENT)
    position[said] = shared
    rest = np.flatnonzero(label == UNSAID)
    node = np.concatenate((edges.target[order], biases.node[by_node], np.zeros(len(extras.unused.value), np.intp)))
    rest = rest[np.argsort(node[rest], kind="stable")]  # of one node the edges stand before the biases
    position[rest] = len(labels) + np.arange(len(rest))
    size = len(labels) + len(rest)
    theta, trainable = np.empty(size), np.empty(size, dtype=bool)
    for array, numbers in ((theta, value), (trainable, free)):
        array[position[rest]] = numbers[rest]
        array[: len(labels)] = numbers[said][first]
    label_of = dict(zip(labels.tolist(), range(len(labels)), strict=True)) if extras.parameters else {}
    return position, ParameterVector.of(theta, trainable), label_of


def _check_shared(
    nodes: Nodes, edges: Edges, order: Array, label: Array, value: Array, free: Array,
    labels: Array, said: Array, first: Array, shared: Array,
) -> None:  # fmt: skip
    """Refuse uses that share a number and do not say the same of it."""
    for numbers, what in ((value, "numbers"), (free, "trainable, and not,")):
        own = numbers[said]
        differs = own != own[first][shared]
        if differs.any():
            i = int(np.argmax(differs))
            one, other = own[first][shared][i], own[i]
            use = int(said[i])
            where = say(nodes, edges, int(order[use])) if use < len(order) else "a bias or an unused number"
            told = f"{one} and {other}" if what == "numbers" else what
            raise GraphpropError(f"{where}: position {label[use]} is shared, and is given as {told}")


def _named_positions(name: Name, labels: Array, label_of: Mapping[int, int]) -> Array:
    flat = [label_of.get(label, UNSAID) for label in labels.ravel().tolist()]
    if UNSAID in flat:
        missing = labels.ravel()[flat.index(UNSAID)]
        raise GraphpropError(f"parameter {name!r} is said to be at position {missing}, where there is no number")
    return np.array(flat, dtype=np.intp).reshape(labels.shape)


# ------------------------------------------------------------------ the tables of a graph


def _bias_arrays(biases: Biases, by_node: Array, positions: Array, n: Array) -> dict[int, Array]:
    """The positions of the biases of each node that has some."""
    node, component = biases.node[by_node], biases.component[by_node]
    own, first = np.unique(node, return_index=True)
    lengths = n[own]
    start = np.cumsum(lengths) - lengths
    flat = np.full(int(lengths.sum()), ABSENT)
    flat[np.repeat(start, np.diff(np.append(first, len(node)))) + component] = positions[: len(node)]
    blocks = cut_into_matrices(flat, 1, lengths) if len(own) else []
    return {v: block[0] for v, block in zip(own.tolist(), blocks, strict=True)}


def _nodes(nodes: Nodes, biases: Mapping[int, Array], n: Array, m: Array, vector: Array) -> dict[Name, Node]:
    """The nodes; those without a bias that are alike are one object."""
    alike: dict[tuple[int, int, int, bool], Node] = {}
    made: dict[Name, Node] = {}
    columns = n.tolist(), m.tolist(), vector.tolist()
    for v, (name, f, i, k, is_vector) in enumerate(zip(nodes.names, nodes.activations, *columns, strict=True)):
        if v in biases:
            made[name] = Node(f, i, k, is_vector, biases[v])
            continue
        key = (id(f), i, k, is_vector)
        if key not in alike:
            alike[key] = Node(f, i, k, is_vector)
        made[name] = alike[key]
    return made


def _tables(
    names: Sequence[Name], edges: Edges, order: Array, positions: Array, n: Array, m: Array
) -> tuple[Into, dict[Name, dict[Name, None]]]:
    """Of each node the positions of its weights by parent, and its children."""
    source, target = edges.source[order], edges.target[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
    first = np.flatnonzero(begins)
    u, v = source[first], target[first]
    rows, columns = n[v], m[u]
    if len(first) == len(order) and (rows == 1).all() and (columns == 1).all():
        blocks = cut_into_matrices(positions, 1, range(len(order)))
    else:
        start = np.cumsum(rows * columns) - rows * columns
        check_large(8 * int((rows * columns).sum()), f"the weights of {len(first):,} edges")
        flat = np.full(int((rows * columns).sum()), ABSENT)
        edge = np.cumsum(begins) - 1
        flat[start[edge] + edges.to[order] * columns[edge] + edges.of[order]] = positions
        blocks = cut_into_matrices(flat, rows, columns)
    array = np.fromiter(names, dtype=object, count=len(names))
    parents = array[u].tolist()
    into = {name: dict(zip(parents[i:k], blocks[i:k], strict=True)) for name, i, k in _spans(names, v)}
    by_source = np.argsort(u, kind="stable")  # of one node they stay in the order of the children
    read = array[v[by_source]].tolist()
    children = {name: dict.fromkeys(read[i:k]) for name, i, k in _spans(names, u)}
    return into, children


def _spans(names: Sequence[Name], ends: Array) -> Iterator[tuple[Name, int, int]]:
    """Of each node where its edges begin and end, if they are sorted by it."""
    last = np.cumsum(np.bincount(ends, minlength=len(names))).tolist()
    return zip(names, [0, *last], last, strict=False)
