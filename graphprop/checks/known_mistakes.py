"""What a gradient would be with one of the usual mistakes in it: a lost derivative, path, or use of a tied weight.

Each fault comes with the words for it. Whether somebody made it is not known here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from graphprop.explanations.printed_formulas import is_identity, loss_squares, squares
from graphprop.functions.activation import Activation
from graphprop.graph.layout import Array, Layout, Node
from graphprop.notation.escaping import label
from graphprop.passes.parts import Part, edge_part, layer_parts
from graphprop.passes.sweep import Run, pulled

Pull = Callable[[int, Array], Array]
TRIED = 20  # weights that may have been forgotten
MOST = 100_000_000  # numbers that are computed before the search ends, some seconds
KEPT = 10_000_000  # numbers that are kept for the next search


Fault = tuple[str, Callable[[], tuple[Array, Array]]]  # a mistake in words, and the (delta, obar) that it leads to


class Suspects:
    """The mistakes that may have been made in one backward pass, those of the whole network first."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._found: dict[str, dict[str, Array]] = {}
        self._size = len(run.o) * (len(run.layout.row) + 20 * len(run.layout.names)) + 1
        self._left, self._room = MOST, KEPT

    def of(self, wrong: Iterable[int]) -> Iterator[tuple[str, dict[str, Array]]]:
        """Those that can make the gradients at all of these nodes wrong, with the gradients that they lead to.

        A mistake at a single node is carried to its ancestors and to nothing else.
        """
        reached = [self.run.layout.descendants([v]) for v in wrong]
        single = set.intersection(*reached) if reached else set(range(len(self.run.layout.names)))
        for text, make in _faults(self.run, single):
            if text not in self._found:
                self._left -= self._size
                if self._left < 0:
                    return
            yield text, self._numbers(text, make)

    @property
    def squares(self) -> bool:
        """Whether something is squared, whose derivative has a 2 that may be forgotten."""
        losses = {own.loss for own in self.run.goal.losses}
        return any(map(squares, _activations(self.run.layout.nodes))) or any(map(loss_squares, losses))

    def without_a_weight(self, size: float) -> Iterator[tuple[str, dict[str, Array]]]:
        """Matrices of weights of this size, and such weights one at a time, forgotten where derivatives flow back."""
        run, w = self.run, self.run.w
        near = np.abs(w - size) <= 2.0**-20 * abs(size)
        matrices = (part for part in _matrices(run.layout) if near[_uses_in(part)].all())
        for text, make in itertools.chain(
            _of_matrices(run, itertools.islice(matrices, TRIED)), _of_weights(run, np.flatnonzero(near)[:TRIED])
        ):
            yield text, self._numbers(text, make)

    def _numbers(self, text: str, make: Callable[[], tuple[Array, Array]]) -> dict[str, Array]:
        if text in self._found:
            return self._found[text]
        with np.errstate(all="ignore"):
            numbers = numbers_of(self.run, *make())
        self._room -= sum(array.size for array in numbers.values())
        if self._room > 0:
            self._found[text] = numbers
        return numbers


def _activations(nodes: Iterable[Node]) -> set[Activation]:
    return {node.activation for node in nodes if node.activation is not None}


def numbers_of(run: Run, delta: Array, obar: Array) -> dict[str, Array]:
    """All derivatives that follow from those with respect to a and o, by kind."""
    layout = run.layout
    weights = (delta[:, layout.row] * run.o[:, layout.column]).sum(axis=0)
    biases = delta[:, layout.bias_row].sum(axis=0)
    theta = layout.sum_of_uses(weights, biases)
    return {"delta": delta, "obar": obar, "weight": weights, "bias": biases, "theta": theta}


def _faults(run: Run, single: set[int]) -> Iterator[Fault]:
    yield from _of_the_objective(run)
    for group, words in _groups(run.layout, single):
        yield from _of_derivatives(run, group, words)
    yield from _of_paths(run, single)
    yield from _of_matrices(run, _matrices(run.layout))
    source = run.layout.node_of_column[run.layout.column]
    yield from _of_weights(run, np.flatnonzero(np.isin(source, list(single)) & (run.w != 1)))


def _swept(run: Run, direct: Array, pull: Pull, w: Array) -> tuple[Array, Array]:
    return run.backward(direct, pull, lambda uses, carried: w[uses] * carried)


def _of_the_objective(run: Run) -> Iterator[Fault]:
    goal, direct = run.goal, run.direct()
    if goal.losses:
        counts = np.ones(len(run.o)) if goal.sample_weight is None else goal.sample_weight
        plain = np.zeros(direct.shape)
        plain[:, goal.columns] = (counts / counts.sum())[:, None] * goal.column_weight
        names = ", ".join(dict.fromkeys(label(own.loss.name) for own in goal.losses))
        text = f"the derivative of the loss ({names}) by the output is missing: 1 stands in its place"
        yield text, partial(_swept, run, plain, run.pull, run.w)
    if len(run.o) > 1:
        for sample, word in ((0, "first"), (len(run.o) - 1, "last")):
            only = np.zeros(direct.shape)
            only[sample] = direct[sample]
            for factor, also in ((1.0, ""), (float(len(run.o)), ", and 1/B is missing")):
                text = f"only the {word} sample is counted{also}"
                yield text, partial(_swept, run, factor * only, run.pull, run.w)


# ------------------------------------------------------------------ derivatives of activations


def _groups(layout: Layout, single: set[int]) -> Iterator[tuple[list[int], str]]:
    """Sets of nodes in which the same mistake may have been made: of one kind, of one level, single ones."""
    level = layout.level
    inner = [v for v, node in enumerate(layout.nodes) if node.activation and not is_identity(node.activation)]
    by_kind: dict[str, list[int]] = {}
    by_level: dict[tuple[str, int], list[int]] = {}
    for v in inner:
        kind = layout.nodes[v].kind
        by_kind.setdefault(kind, []).append(v)
        by_level.setdefault((kind, int(level[v])), []).append(v)
    seen = set()
    for group, words in (
        *((nodes, f"all {kind} nodes") for kind, nodes in by_kind.items()),
        *((nodes, f"the {kind} nodes of layer {k}") for (kind, k), nodes in by_level.items()),
        *(([v], "") for v in inner if v in single),
    ):
        if tuple(group) not in seen:
            seen.add(tuple(group))
            yield group, words if len(group) > 1 else repr(layout.names[group[0]])


def _of_derivatives(run: Run, group: list[int], words: str) -> Iterator[Fault]:
    layout = run.layout
    f = layout.nodes[group[0]].activation
    assert f is not None
    for text, pull in _wrong_pulls(run, group):
        shown = text.format(f=label(f.name), at=words)

        yield shown, partial(_with_pull, run, pull, set(group))


def _with_pull(run: Run, pull: Pull, group: set[int]) -> tuple[Array, Array]:
    return _swept(run, run.direct(), lambda v, g: pull(v, g) if v in group else run.pull(v, g), run.w)


def _wrong_pulls(run: Run, group: list[int]) -> Iterator[tuple[str, Pull]]:
    """What stands in the place of g L, by the kind of function."""
    layout = run.layout
    node = layout.nodes[group[0]]
    assert node.activation is not None
    mistakes = node.activation.printed.mistakes

    def a_of(v: int) -> Array:
        return run.a[:, layout.a_slice(v)]

    def o_of(v: int) -> Array:
        return run.o[:, layout.o_slice(v)]

    if node.kind_of_function == "elementwise":
        factor = ""
        if len(group) == 1 and len(run.a) == 1 and node.n == 1:
            factor = f" (here f'(a) = {float(run.slopes[0, layout.a_slice(group[0])][0]):.6g})"
        yield "the derivative of {f} at {at} is missing" + factor, lambda v, g: g
        yield (
            "the derivative of {f} at {at} is taken at o instead of a",
            lambda v, g: pulled(layout.nodes[v].activation, o_of(v), g),
        )
        yield "the output of {f} stands in the place of its derivative at {at}", lambda v, g: g * o_of(v)
        for text, slope in mistakes:
            yield text, partial(lambda slope, v, g: g * slope(a_of(v), o_of(v)), slope)
        return
    if node.kind_of_function == "vector":
        yield "the Jacobian of {f} at {at} is missing", lambda v, g: g
        yield (
            "only the diagonal of the Jacobian of {f} at {at} is used",
            lambda v, g: g * np.einsum("bii->bi", run.jacobians(v)),
        )
        yield (
            "the Jacobian of {f} at {at} is used transposed",
            lambda v, g: np.einsum("bk,bik->bi", g, run.jacobians(v)),
        )
    for text, wrong in mistakes:
        yield text, partial(lambda wrong, v, g: wrong(a_of(v), o_of(v), g), wrong)
    if node.kind_of_function == "reducing":
        yield "the derivative of {f} at {at} is missing", lambda v, g: np.repeat(g, a_of(v).shape[1], axis=1)


# ------------------------------------------------------------------ paths


def _of_paths(run: Run, single: set[int]) -> Iterator[Fault]:
    """Paths through one edge not counted, or no others of a node; edges that skip a level first."""
    layout, direct = run.layout, run.direct()
    level = layout.level
    out = {u: layout.edges_from[u] for u in layout.edge_source.tolist()}
    skips = (level[layout.edge_target] - level[layout.edge_source]) > 1
    if 1 < skips.sum() < len(skips):
        text = f"the paths through all {int(skips.sum())} edges that skip a level are not counted"
        yield text, partial(_without, run, direct, np.flatnonzero(skips).tolist())
    read = set(run.goal.reads)
    forks = [(e, u) for u, edges in out.items() if u in single and (len(edges) > 1 or u in read) for e in edges]
    forks.sort(key=lambda fork: not skips[fork[0]])
    for e, _ in forks:
        text = f"the paths through {_edge(layout, e)} are not counted"
        yield text, partial(_without, run, direct, [e])
    for e, u in forks:
        others = [x for x in out[u] if x != e]
        if len(others) > 1:
            text = f"of the paths from {layout.names[u]!r} only those through {_edge(layout, e)} are counted"
            yield text, partial(_without, run, direct, others)


def _edge(layout: Layout, e: int) -> str:
    return f"{layout.names[layout.edge_source[e]]!r} -> {layout.names[layout.edge_target[e]]!r}"


def _without(run: Run, direct: Array, edges: Iterable[int]) -> tuple[Array, Array]:
    w = run.w.copy()
    for e in edges:
        w[run.layout.edge_slice(int(e))] = 0.0
    return _swept(run, direct, run.pull, w)


# ------------------------------------------------------------------ weights


def _of_weights(run: Run, uses: Array) -> Iterator[Fault]:
    """A weight that is forgotten where the derivative flows back through its edge."""
    w = run.w
    for use in uses.tolist():
        text = f"the weight {run.layout.label_use(use)} = {w[use]:.6g} is forgotten"
        yield text, partial(_with_weights, run, use, 1.0)


def _of_matrices(run: Run, matrices: Iterable[Part]) -> Iterator[Fault]:
    """A matrix that is forgotten there: its entries, so that sums are left, or all of it, where it is square."""
    for part in matrices:
        uses, square = _uses_in(part), len(set(part.index.shape)) == 1
        yield f"the weights {part.name} are forgotten", partial(_with_weights, run, uses, 1.0)
        if square:
            yield (
                f"the matrix {part.name} is forgotten",
                partial(_with_weights, run, uses, np.eye(len(part.index))[part.index >= 0]),
            )


def _matrices(layout: Layout) -> Iterator[Part]:
    """The matrices of edges and of layers, each once; those of one weight are none."""
    sizes = np.diff(layout.edge_start)
    for e in np.flatnonzero(sizes > 1).tolist():
        yield edge_part(layout, (layout.names[layout.edge_source[e]], layout.names[layout.edge_target[e]]))
    for part in layer_parts(layout):
        if part.kind == "weight" and len(np.unique(layout.edge_of_use[_uses_in(part)])) > 1:
            yield part


def _uses_in(part: Part) -> Array:
    uses: Array = part.index[part.index >= 0]
    return uses


def _with_weights(run: Run, uses: int | Array, instead: float | Array) -> tuple[Array, Array]:
    w = run.w.copy()
    w[uses] = instead
    return _swept(run, run.direct(), run.pull, w)


# ------------------------------------------------------------------ uses of tied weights


def uses_of(layout: Layout, position: int) -> list[tuple[str, str, int]]:
    """The uses of a number of theta: how each is called, of which kind it is, and its index there."""
    weights, biases = layout.uses_of_position(position)
    named = [(layout.label_use(i), "weight", i) for i in weights]
    return named + [(layout.label_row(int(layout.bias_row[i]), "b"), "bias", i) for i in biases]
