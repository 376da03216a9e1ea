"""Where a wrong gradient begins: the first equation that its own numbers break, or the function that breaks them all.

Every gradient holds the equations of backpropagation between its own entries:

    obar[u] = direct[u] + sum over children c of u of delta[c] W(u, c),    delta[v] = obar[v] L[v],
    d J / d w = sum over samples of delta o

An entry that is wrong only because another one is keeps to them; where they break, the fault is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from graphprop.checks.central_differences import LEVELS, slopes
from graphprop.checks.copies import objective_terms, values_of
from graphprop.checks.jacobians import Slopes, jacobians, pulled
from graphprop.checks.rounding import FUNCTION, TINY, Inside, Numbers, U
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats
from graphprop.graph.layout import Array
from graphprop.notation.escaping import label
from graphprop.passes.addresses import Addresses, of_gradients
from graphprop.passes.objective import Objective
from graphprop.passes.results import Gradients, Trace

MOST = 3  # findings of one kind that are told
LOOKED_AT = 4_000_000  # numbers, in all components whose slopes are measured one after the other


class Equations:
    """What each entry of a gradient should be, by its neighbours in the same gradient, and how far it is off.

    Each equation is held to its own rounding, which does not grow with depth. `excess` is above 1 where it is broken;
    next to a wrong entry the equations of right ones break too.
    """

    def __init__(
        self,
        g: Gradients,
        trace: Trace,
        objective: Objective,
        addresses: Addresses,
        inside: Inside,
        at: Mapping[int, Slopes],
    ) -> None:
        self.addresses, self.gradients, layout = addresses, g, trace.layout
        theta, o = np.where(np.isinf(trace.theta), 0.0, trace.theta), np.nan_to_num(trace.o_flat, neginf=0.0)
        direct = np.zeros(o.shape)
        with np.errstate(all="ignore"):
            direct[:, objective.columns] = objective.evaluate(trace.o_flat[:, objective.columns], Floats())[1]
        self.terms = g.a_flat[:, layout.row] * theta[layout.position]
        obar, size = direct.copy(), np.abs(direct)
        for own, sizes, added in zip(obar, size, self.terms, strict=True):
            np.add.at(own, layout.column, added)
            np.add.at(sizes, layout.column, np.abs(added))
        delta, allowed_delta = _through_nodes(g, trace, at, inside)
        products, biases = g.a_flat[:, layout.row] * o[:, layout.column], g.a_flat[:, layout.bias_row]
        total = layout.sum_of_uses(g.weight_uses, g.bias_uses)
        sizes = layout.sum_of_uses(np.abs(g.weight_uses), np.abs(g.bias_uses))
        k = (trace.samples + 3) * U
        self.expected = addresses.pack(
            delta=delta, obar=obar, weight=products.sum(axis=0), bias=biases.sum(axis=0), theta=total
        )
        self.allowed = TINY + addresses.pack(
            delta=allowed_delta,
            obar=(layout.fan_out + 3) * U * size + _loss_rounding(objective, direct, inside),
            weight=k * np.abs(products).sum(axis=0),
            bias=k * np.abs(biases).sum(axis=0),
            theta=(layout.count_of_uses + 3) * U * sizes,
        )
        self.given = addresses.pack(**of_gradients(g))
        with np.errstate(invalid="ignore"):
            excess = np.abs(self.given - self.expected) / self.allowed
        self.excess = np.where(np.isfinite(self.expected), np.nan_to_num(excess, posinf=np.inf), 0.0)

    def broken(self, wrong: Array) -> list[str]:
        """The broken ones in sentences: those of entries that are known to be wrong, if there are some."""
        broken = np.flatnonzero(self.excess > 1)
        broken = broken[wrong[broken]] if wrong[broken].any() else broken
        found = []
        for kind in _NEIGHBOURS:
            span = self.addresses.span(kind)
            here = broken[(broken >= span.start) & (broken < span.stop)]
            worst = here[np.argsort(-self.excess[here], kind="stable")]
            found += [self._sentence(kind, entry) for entry in worst[:MOST].tolist()]
            if len(here) > MOST:
                found.append(f"and {len(here) - MOST} more of this kind")
        return found

    def _sentence(self, kind: str, entry: int) -> str:
        stated, right, cause = self.given[entry], self.expected[entry], ""
        _, place = self.addresses.at(entry)
        if kind == "obar":
            cause = self._edge(*self.addresses.in_sample(kind, place), stated - right)
        elif kind == "theta":
            cause = self._use(place, stated - right)
        label = self.addresses.label(kind, place)
        shown, other = told_apart(stated, right)
        return f"{label} is {shown}, but {_NEIGHBOURS[kind]} give {other}{cause or ratio_of(stated, right)}"

    def _edge(self, sample: int, column: int, residual: float) -> str:
        """The weight or edge whose term is what is missing, or is there twice, or with the wrong sign."""
        layout, terms = self.addresses.layout, self.terms[sample]
        uses = np.array(layout.uses_of_column(column), dtype=np.intp)
        edges = layout.edge_of_use[uses]
        once = np.unique(edges)
        together = np.array([terms[uses[edges == e]].sum() for e in once.tolist()])
        for factor, what in ((-1, "missing"), (-2, "of the wrong sign"), (1, "counted twice")):
            if len(near := _near(factor * terms[uses], residual)):
                return f": the term of {layout.label_use(int(uses[near[0]]))} is {what}"
            if len(near := _near(factor * together, residual)):
                e = int(once[near[0]])
                u, v = (layout.names[int(ends[e])] for ends in (layout.edge_source, layout.edge_target))
                return f": the edge {u!r} -> {v!r} is {what}"
        return ""

    def _use(self, position: int, residual: float) -> str:
        """The use of a tied parameter that was left out."""
        layout, g = self.addresses.layout, self.gradients
        uses, biases = layout.uses_of_position(position)
        if len(near := _near(-g.weight_uses[uses], residual)):
            return f": its use in {layout.label_use(uses[near[0]])} is missing"
        if len(near := _near(-g.bias_uses[biases], residual)):
            return f": its use in {layout.label_row(int(layout.bias_row[biases[near[0]]]), 'b')} is missing"
        return ""


_NEIGHBOURS = {
    "obar": "the objective and its children",
    "delta": "obar and the slope of its node",
    "weight": "delta and o",
    "bias": "the deltas",
    "theta": "its uses",
}


def _near(numbers: Array, residual: float) -> Array:
    return np.flatnonzero(np.abs(numbers - residual) <= 1e-9 * abs(residual))


def ratio_of(stated: float, right: float) -> str:
    """Which multiple of what it should be a number is; that it is nearly 1 times as large says nothing."""
    if right == 0 or stated == 0 or not math.isfinite(stated) or f"{stated / right:.9g}" == "1":
        return ""
    return " (the sign)" if abs(stated / right + 1) < 1e-9 else f" ({stated / right:.9g} times)"


def told_apart(stated: float, right: float) -> tuple[str, str]:
    """Two numbers that differ, in as many digits as show it."""
    digits = 12 if f"{stated:.12g}" != f"{right:.12g}" else 17
    return f"{stated:.{digits}g}", f"{right:.{digits}g}"


def _through_nodes(g: Gradients, trace: Trace, nodes: Mapping[int, Slopes], inside: Inside) -> tuple[Array, Array]:
    """obar L of every node, and how far rounding may be off in it."""
    layout, numbers = trace.layout, Numbers.of_the_ways(inside)
    delta, allowed = np.zeros((2, *trace.a_flat.shape))
    for v, at in nodes.items():
        rows, own = layout.a_slice(v), g.o_flat[:, layout.o_slice(v)]
        rounded = at.rounded + inside.nodes.get(v, (0.0, 0.0))[1]
        delta[:, rows] = pulled(own, at.signed)
        allowed[:, rows] = pulled(np.abs(own), numbers.digits(layout.nodes[v]) * U * at.sizes + rounded) + TINY
    return delta, allowed


def _loss_rounding(objective: Objective, direct: Array, inside: Inside) -> Array:
    rounding = np.zeros(direct.shape)
    if objective.losses:
        rounding += FUNCTION * np.abs(direct)
        rounding[:, objective.columns] += inside.direct
        rounding[:, objective.columns] += FUNCTION * objective.target_sizes.sum(axis=1, keepdims=True)
    return rounding


def constant_ratio(numbers: Array, reference: Array) -> str:
    """Whether all entries are the same multiple of the reference."""
    told = np.isfinite(numbers) & np.isfinite(reference) & (np.abs(reference) > 1e-9 * np.nanmax(np.abs(reference)))
    if told.sum() < 2:
        return ""
    ratio = numbers[told] / reference[told]
    if f"{ratio[0]:.9g}" != "1" and np.abs(ratio - ratio[0]).max() <= 1e-9 * abs(ratio[0]):
        return "all entries have the wrong sign" if ratio[0] == -1 else f"all entries are {ratio[0]:.9g} times as large"
    return ""


# ------------------------------------------------------------------ functions


def wrong_derivatives(trace: Trace) -> Iterator[str]:
    """Nodes at which an activation's derivative is not that of its values, in sentences; one for each activation."""
    layout = trace.layout
    seen: set[Activation] = set()
    for v in layout.order.tolist():
        f = layout.nodes[v].activation
        if f is None or f in seen:
            continue
        rows = layout.a_slice(v)
        a = trace.a_flat[:, rows]
        L = jacobians(f, a, trace.o_flat[:, layout.o_slice(v)])
        elementwise = _local(f, a, slice(None)) if f.kind == "elementwise" else None
        for i in range(a.shape[1]) if elementwise else drawn(a.shape[1], a.size):
            if elementwise:
                measured, error, stated = elementwise[0][:, i], elementwise[1][:, i], L[:, i]
            else:
                (measured, error), stated = _local(f, a, i), L[:, :, i]
            with np.errstate(invalid="ignore"):
                wrong = np.abs(stated - measured) > error + 1e-9 * np.abs(measured)
            if wrong.any():
                place = tuple(int(x) for x in np.argwhere(wrong)[0])
                seen.add(f)
                yield (
                    f"{layout.label_row(layout.row_of(v, i))} = {a[place[0], i]:.6g}: the derivative of "
                    f"{label(f.name)} gives {stated[place]:.9g} there, differences of its values {measured[place]:.9g}"
                )
                break


def drawn(count: int, size_of_one: int) -> list[int]:
    """All of so many components, or as many as can be looked at, evenly spread."""
    most = max(8, LOOKED_AT // max(size_of_one, 1))
    return list(range(count)) if count <= most else np.linspace(0, count - 1, most).astype(int).tolist()


def _local(f: Activation, a: Array, i: int | slice) -> tuple[Array, Array]:
    """Differences of all outputs of a node in its component i, or in each its own, per sample, with their errors."""
    step = 2.0**-8 * np.maximum(1.0, np.abs(a[:, i].astype(float)).min(axis=0))
    shift = np.zeros(a.shape)
    shift[:, i] = step
    with np.errstate(invalid="ignore"):  # a mask stays one
        sides = np.stack([a, *(a + side * level * shift for level in LEVELS for side in (1, -1))])
    with np.errstate(all="ignore"):
        o = values_of(f, sides)
    found = slopes(
        o[0], list(o[1::2]), list(o[2::2]), np.array(step), 8 * U * np.maximum(np.abs(o[0]), np.abs(a).max())
    )
    return found.derivative, found.error


def wrong_loss(trace: Trace, objective: Objective) -> str:
    """Whether the gradient of the loss is not that of its values."""
    if not objective.losses:
        return ""
    z = trace.o_flat[:, objective.columns]
    with np.errstate(all="ignore"):
        stated = objective.evaluate(z, Floats())[1]
    for k in drawn(z.shape[1], z.size):
        step = 2.0**-8 * max(1e-3, float(np.abs(z[:, k]).min()))
        shift = step * (np.arange(z.shape[1]) == k)
        sides = np.stack([z, *(z + side * level * shift for level in LEVELS for side in (1, -1))])
        terms = objective_terms(objective, sides)
        found = slopes(terms[0], list(terms[1::2]), list(terms[2::2]), np.array(step), 16 * U * np.abs(terms[0]))
        wrong = np.abs(stated[:, k] - found.derivative) > found.error + 1e-9 * np.abs(found.derivative)
        if wrong.any():
            s = int(np.argmax(wrong))
            where = trace.layout.label_column(int(objective.columns[k]))
            own = next(own for own, place, *_ in objective.each_head() if k < place.stop)
            return (
                f"the gradient of the loss {label(own.loss.name)} by {where} is {stated[s, k]:.9g}, "
                f"differences of its values give {found.derivative[s]:.9g}"
            )
    return ""
