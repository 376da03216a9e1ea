"""Where a wrong gradient begins: the first equation that its own numbers break, or the function that breaks them all.

Every gradient holds the equations of backpropagation between its own entries:

    obar[u] = direct[u] + sum over children c of u of delta[c] W(u, c),    delta[v] = obar[v] L[v],
    d J / d w = sum over samples of delta o

An entry that is wrong only because another one is keeps to them; where they break, the fault is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from graphprop.arithmetic import Floats
from graphprop.conditioning import U, jacobians
from graphprop.differences import LEVELS, slopes
from graphprop.differentiable import Activation
from graphprop.entries import Entries
from graphprop.layout import Array, Layout
from graphprop.objective import Objective
from graphprop.perturbed import objective_terms, values_of
from graphprop.results import Gradients, Trace

MOST = 3  # findings of one kind that are told


def broken_equations(g: Gradients, trace: Trace, objective: Objective, entries: Entries, allowed: Array) -> list[str]:
    """What is wrong in a gradient's own numbers, in sentences; `allowed` are the error bounds of the entries."""
    layout = trace.layout
    theta, o = np.where(np.isinf(trace.theta), 0.0, trace.theta), np.nan_to_num(trace.o_flat, neginf=0.0)
    direct = np.zeros(o.shape)
    with np.errstate(all="ignore"):
        direct[:, objective.columns] = objective.evaluate(trace.o_flat[:, objective.columns], Floats())[1]
    terms = g.a_flat[:, layout.row] * theta[layout.position]
    obar = direct.copy()
    for own, added in zip(obar, terms, strict=True):
        np.add.at(own, layout.column, added)
    delta = np.zeros(trace.a_flat.shape)
    for v, node in enumerate(layout.nodes):
        if node.activation is not None:
            rows, out = layout.a_slice(v), layout.o_slice(v)
            L = jacobians(node.activation, trace.a_flat[:, rows], trace.o_flat[:, out])
            own = g.o_flat[:, out]
            delta[:, rows] = own * L if L.ndim == 2 else np.einsum("sk,skn->sn", own, L)
    weight = (g.a_flat[:, layout.row] * o[:, layout.column]).sum(axis=0)
    bias = g.a_flat[:, layout.bias_row].sum(axis=0)
    total = np.zeros(layout.size)
    np.add.at(total, layout.position, g.weight_uses)
    np.add.at(total, layout.bias_position, g.bias_uses)
    expected = entries.pack(delta=delta, obar=obar, weight=weight, bias=bias, theta=total)
    given = entries.pack(**entries.of_gradients(g))
    given[0] = np.nan
    residual = given - expected
    scale = np.maximum(np.abs(given), np.abs(expected))
    with np.errstate(invalid="ignore"):
        broken = np.flatnonzero(
            (np.abs(residual) > 2 * allowed + 64 * U * scale) | (np.isfinite(expected) & ~np.isfinite(given))
        )
    broken = broken[~np.isnan(expected[broken])]
    found = []
    for kind in ("obar", "delta", "weight", "bias", "theta"):
        span = entries.place(kind)
        here = broken[(broken >= span.start) & (broken < span.stop)]
        worst = here[np.argsort(-np.abs(np.nan_to_num(residual[here], nan=np.inf)), kind="stable")]
        for entry in worst[:MOST].tolist():
            cause = ""
            if kind == "obar":
                sample, column = divmod(entry - span.start, o.shape[1])
                cause = _edge(layout, column, terms[sample], residual[entry])
            elif kind == "theta":
                cause = _use(entries, entry - span.start, g, residual[entry])
            equation = _EQUATIONS[kind]
            label, stated, right = entries.label(entry), given[entry], expected[entry]
            found.append(f"{label} is {stated:.12g}, but {equation} give {right:.12g}{cause or _ratio(stated, right)}")
        if len(here) > MOST:
            found.append(f"and {len(here) - MOST} more of this kind")
    return found


_EQUATIONS = {
    "obar": "its children",
    "delta": "obar and the slope of its node",
    "weight": "delta and o",
    "bias": "the deltas",
    "theta": "its uses",
}


def _ratio(stated: float, right: float) -> str:
    """Whether a number is a simple multiple of what it should be."""
    if right == 0 or not math.isfinite(stated):
        return ""
    if stated == -right:
        return " (the sign)"
    return f" ({stated / right:.9g} times)"


def _edge(layout: Layout, column: int, terms: Array, residual: float) -> str:
    """The weight whose term is what is missing, or is there twice, or with the wrong sign."""
    uses = np.flatnonzero(layout.column == column)
    for factor, what in ((-1, "is missing"), (-2, "has the wrong sign"), (1, "is counted twice")):
        near = np.abs(factor * terms[uses] - residual) <= 1e-9 * abs(residual)
        if near.any():
            return f": the term of {layout.label_use(int(uses[np.argmax(near)]))} {what}"
    return ""


def _use(entries: Entries, i: int, g: Gradients, residual: float) -> str:
    layout, position = entries.layout, entries.shared[i]
    for use in np.flatnonzero(layout.position == position).tolist():
        if abs(g.weight_uses[use] + residual) <= 1e-9 * abs(residual):
            return f": its use in {layout.label_use(use)} is missing"
    for use in np.flatnonzero(layout.bias_position == position).tolist():
        if abs(g.bias_uses[use] + residual) <= 1e-9 * abs(residual):
            return f": its use in {layout.label_row(int(layout.bias_row[use]), 'b')} is missing"
    return ""


def constant_ratio(numbers: Array, reference: Array) -> str:
    """Whether all entries are the same multiple of the reference."""
    told = np.isfinite(numbers) & np.isfinite(reference) & (np.abs(reference) > 1e-9 * np.nanmax(np.abs(reference)))
    if told.sum() < 2:
        return ""
    ratio = numbers[told] / reference[told]
    if abs(ratio[0] - 1) > 1e-9 and np.abs(ratio - ratio[0]).max() <= 1e-9 * abs(ratio[0]):
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
        for i in range(a.shape[1]):
            measured, error = _local(f, a, i)
            if f.kind == "elementwise":
                measured, error, stated = measured[:, i], error[:, i], L[:, i]
            else:
                stated = L[:, :, i]
            with np.errstate(invalid="ignore"):
                wrong = np.abs(stated - measured) > error + 1e-9 * np.abs(measured)
            if wrong.any():
                place = tuple(int(x) for x in np.argwhere(wrong)[0])
                seen.add(f)
                yield (
                    f"{layout.label_row(int(layout.a_start[v]) + i)} = {a[place[0], i]:.6g}: the derivative of "
                    f"{f.name} gives {stated[place]:.9g} there, differences of its values {measured[place]:.9g}"
                )
                break


def _local(f: Activation, a: Array, i: int) -> tuple[Array, Array]:
    """Differences of all outputs of a node in its component i, per sample, with their errors."""
    step = 2.0**-8 * np.maximum(1.0, np.abs(a[:, i].astype(float)).min())
    shift = np.zeros(a.shape)
    shift[:, i] = step
    sides = np.stack([a, *(a + side * level * shift for level in LEVELS for side in (1, -1))])
    with np.errstate(all="ignore"):
        o = values_of(f, sides)
    found = slopes(
        o[0], list(o[1::2]), list(o[2::2]), np.array(step), 8 * U * np.maximum(np.abs(o[0]), np.abs(a).max())
    )
    return found.derivative, found.error


def wrong_loss(trace: Trace, objective: Objective) -> str:
    """Whether the gradient of the loss is not that of its values."""
    if objective.loss is None:
        return ""
    z = trace.o_flat[:, objective.columns]
    with np.errstate(all="ignore"):
        stated = objective.evaluate(z, Floats())[1]
    for k in range(z.shape[1]):
        step = 2.0**-8 * max(1e-3, float(np.abs(z[:, k]).min()))
        shift = step * (np.arange(z.shape[1]) == k)
        sides = np.stack([z, *(z + side * level * shift for level in LEVELS for side in (1, -1))])
        terms = objective_terms(objective, sides)
        found = slopes(terms[0], list(terms[1::2]), list(terms[2::2]), np.array(step), 16 * U * np.abs(terms[0]))
        wrong = np.abs(stated[:, k] - found.derivative) > found.error + 1e-9 * np.abs(found.derivative)
        if wrong.any():
            s = int(np.argmax(wrong))
            where = trace.layout.label_column(int(objective.columns[k]))
            return (
                f"the gradient of the loss {objective.loss.name} by {where} is {stated[s, k]:.9g}, "
                f"differences of its values give {found.derivative[s]:.9g}"
            )
    return ""
