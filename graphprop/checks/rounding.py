"""How far rounding alone may move a gradient that was made elsewhere: bounds of its error, to first order.

It ran its own forward pass, in numbers of a chosen kind (float16, float32, float64), in formulas that are either stable
or those of books; how these cancel is foreseen, not measured. The bounds are for the value and the gradients.
`conditioning` bounds the errors of the library's own ways, in float64.

Each operation rounds by at most u, half a unit in the last place, relative to its result, and carries on the errors of
what it reads. With E[x] the bound of x, and every sum over its own terms,

    E[a] = sum of |w| E[o]  +  u (number of terms) (sum of |w o|, and |b|)
    E[o] = |L| E[a]  +  u |o|
    E[delta] = |L|^T E[obar]  +  how far obar L moves where a moves by E[a]  +  u |delta|
    E[obar] = sum of |w| E[delta]  +  u (number of terms) (sum of |w delta|)  +  E[direct]

and a little where numbers underflow. So where terms cancel, the bound follows the sum of their absolute values, and
where a slope is steep, the slope. No margin is added, so that small mistakes show. What a comparison does with these
bounds is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.errors import PASSING
from graphprop.functions.arithmetic import Floats
from graphprop.graph.layout import Array, Node
from graphprop.passes.sweep import Run, pulled

ROUNDINGS = 8  # in one activation or one derivative, and in a formula that is written in another order


@dataclass(frozen=True, eq=False)
class Bounds:
    """Of the value, and of the gradients by each kind of number, shaped like those of `Gradients`."""

    value: float
    delta: Array
    o: Array
    weights: Array
    biases: Array


def bounds(run: Run, kind: Any, textbook: bool, underflow: bool) -> Bounds:
    """The bounds for numbers of a kind, such as `np.float64`.

    With `textbook`, activations and their derivatives are taken to be computed as books print them: o (1 - o) for
    the sigmoid, for example, which loses digits where o is near 1, and with exponentials that overflow. Without
    `underflow`, numbers are taken to keep all their digits however small they are.
    """
    layout, limits = run.layout, np.finfo(kind)
    u, tiny = float(limits.eps) / 2, float(limits.tiny) if underflow else 0.0
    finite_a = np.where(np.isfinite(run.a), run.a, 0.0)
    o, w = np.where(np.isfinite(run.o), run.o, 0.0), run.w
    with np.errstate(all="ignore"):
        on_a, on_o = _forward(run, finite_a, o, u, tiny, textbook)
        direct, value = _objective(run, on_o, u, textbook)
        true_delta, true_o = run.backward(run.direct(), run.pull, lambda uses, x: w[uses] * x)
        slopes = run.slopes
        moved = _moved_slopes(run, on_a)
        fan_out = np.bincount(layout.column, minlength=run.o.shape[1])[layout.column] + 2

        def step(v: int, errors: Array) -> Array:
            node, rows, columns = layout.nodes[v], layout.a_slice(v), layout.o_slice(v)
            if node.activation is None:
                return errors[:, :0]
            obar, delta = true_o[:, columns], true_delta[:, rows]
            largest = np.abs(obar) + errors  # not 0 where obar is, so that errors of errors count there
            if node.kind_of_function == "elementwise":
                passed = np.abs(slopes[:, rows]) * errors + largest * moved[:, rows]
            else:
                L = run.jacobians(v)
                passed = np.einsum("bk,bki->bi", errors, np.abs(L)) + _moved(run, v, obar, delta, on_a[:, rows])
            size = np.abs(delta)
            if textbook:
                size = np.maximum(size, _printed_terms(node, finite_a[:, rows], o[:, columns], largest))
            result: Array = passed + ROUNDINGS * (u * size + tiny * (largest.max(axis=1, keepdims=True) + 1))
            return result

        def terms(uses: Array, errors: Array) -> Array:
            carried: Array = np.abs(w[uses]) * (errors + u * fan_out[uses] * np.abs(true_delta[:, layout.row[uses]]))
            return carried + tiny

        e_delta, e_o = run.backward(direct, step, terms)
        rounds = u * (len(o) + 2)
        delta, carried = true_delta[:, layout.row], np.abs(o[:, layout.column])
        each = e_delta[:, layout.row] * carried + np.abs(delta) * (on_o[:, layout.column] + rounds * carried) + tiny
        e_biases = (e_delta + rounds * np.abs(true_delta))[:, layout.bias_row].sum(axis=0)
    return Bounds(value + tiny * len(o), e_delta, e_o, each.sum(axis=0), e_biases)


def _forward(run: Run, a: Array, o: Array, u: float, tiny: float, textbook: bool) -> tuple[Array, Array]:
    """E[a] and E[o]; inputs are exact."""
    layout, w, slopes = run.layout, np.abs(run.w), np.abs(run.slopes)
    fan_in = np.bincount(layout.row, minlength=a.shape[1]) + 2
    biases = np.zeros(a.shape[1])
    b = np.abs(run.theta[layout.bias_position])
    np.add.at(biases, layout.bias_row, np.where(np.isfinite(b), b, 0.0))

    def step(v: int, errors: Array) -> Array:
        node, rows, columns = layout.nodes[v], layout.a_slice(v), layout.o_slice(v)
        if node.activation is None:
            return np.zeros((len(a), node.m))
        if node.kind_of_function == "elementwise":
            passed = slopes[:, rows] * errors
        else:
            passed = np.einsum("bki,bi->bk", np.abs(run.jacobians(v)), errors)
        size, largest = np.abs(o[:, columns]), np.abs(a[:, rows]).max(axis=1, keepdims=True)
        if textbook and node.kind_of_function != "elementwise":  # sums of p a, or a - log of a sum
            size = size + largest
        if textbook:
            size = size + node.activation.printed.beside
        result: Array = passed + ROUNDINGS * (u * size + tiny * (largest + 1))
        return result

    def terms(uses: Array, errors: Array) -> Array:
        carried: Array = w[uses] * (errors + u * fan_in[layout.row[uses]] * np.abs(o[:, layout.column[uses]]))
        return carried

    return run.forward(np.tile(u * fan_in * biases, (len(a), 1)), step, terms)


def _objective(run: Run, on_o: Array, u: float, textbook: bool) -> tuple[Array, float]:
    """E[direct], and the bound of the value."""
    goal = run.goal
    z, errors = run.o[:, goal.columns], on_o[:, goal.columns]
    terms, direct = goal.evaluate(z, Floats())
    moved = np.zeros(z.shape)
    for k in range(z.shape[1]) if goal.loss is not None else ():
        for sign in (1.0, -1.0):
            there = z.copy()
            there[:, k] += sign * errors[:, k]
            try:
                step = np.abs(goal.evaluate(there, Floats())[1] - direct)
            except PASSING:
                raise
            except Exception:  # outside of what the loss reads
                continue
            moved = np.maximum(moved, np.where(np.isfinite(step), step, 0.0))
    counts = np.ones(len(z)) if goal.sample_weight is None else goal.sample_weight
    share = (counts / counts.sum())[:, None]
    compared = share * np.abs(np.hstack(goal.targets)) if goal.targets else np.zeros(z.shape)
    result = np.zeros(on_o.shape)
    result[:, goal.columns] = moved + ROUNDINGS * u * (np.abs(direct) + compared)
    z = np.where(np.isfinite(z), z, 0.0)
    sizes = float(np.abs(terms).sum()) + float((np.abs(z) * np.abs(direct)).sum())
    if textbook:
        sizes += float((compared * (np.abs(z) + 1)).sum())
    return result, float((np.abs(direct) * errors).sum()) + u * (len(terms) + ROUNDINGS) * sizes


def _moved_slopes(run: Run, on_a: Array) -> Array:
    """How far f'(a) moves where a moves by its error, for elementwise nodes."""
    moved = np.zeros(run.a.shape)
    for sign in (1.0, -1.0):
        there = np.abs(run.slopes_at(run.a + sign * on_a) - run.slopes)
        moved = np.fmax(moved, np.where(np.isfinite(there), there, 0.0))
    return moved


def _moved(run: Run, v: int, obar: Array, delta: Array, on_a: Array) -> Array:
    """How far obar L[v] moves where the components of a[v] move, one after the other, by their errors."""
    f, a = run.layout.nodes[v].activation, run.a[:, run.layout.a_slice(v)]
    result = np.zeros(delta.shape)
    for i in range(a.shape[1]):
        there = a.copy()
        there[:, i] += on_a[:, i]
        step = np.abs(pulled(f, there, obar) - delta)
        result += np.where(np.isfinite(step), step, 0.0)
    return result


def _printed_terms(node: Node, a: Array, o: Array, g: Array) -> Array:
    """The sum of the absolute terms in a derivative as books print it, times |g|; 0 for those that do not cancel."""
    assert node.activation is not None
    f = node.activation
    if f.printed.cancels is None:
        return np.zeros(a.shape)
    return np.asarray(f.printed.cancels(a, o, g, *f.parameters.values()))
