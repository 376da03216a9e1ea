"""What rounding is relative to: for each number of both passes the sum of the absolute values of its terms.

A sum that cancels is off by some units in the last place of its largest terms, not of itself, and what reads it carries
that on. With C[x] for the sum of the absolute terms of x, t the targets and L[v] the derivative of o[v] by a[v],

    C[a] = |b| + sum of |w| C[o]                   C[o] = |o| + |L| C[a], for an input |x|
    C[obar] = C[direct] + sum of |w| C[delta]      C[delta] = (|L| + |dL|)^T C[obar]
    C[direct] = |direct|, for a loss and share (|t| + C[z])
    C[dJ/dw] = sum of C[delta] C[o]                C[dJ/db] = sum of C[delta]

over all uses and samples, where |dL| is how far L moves if a moves by C[a]. They come from a trace and the activations'
derivatives, node by node, and share no code with the recursion, the engine or the matrix form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import graphprop as gp
from graphprop.functions.arithmetic import Floats

Array = np.ndarray[Any, Any]
ROUNDINGS = 8  # so many units in the last place of the sum of its absolute terms may a number lose
NEAR = 1e-5  # how far, as a part of C[a], slopes are looked at for how they move
SIGNS = np.random.default_rng(0).choice((-1.0, 1.0), size=(2, 1000))  # of the components that move at the same time


@dataclass(frozen=True)
class ForwardTerms:
    """C[a] and C[o], a row for each sample, and |L| + |dL| of every node that is no input: (samples, m, n)."""

    a: Array
    o: Array
    slopes: dict[int, Array]


@dataclass(frozen=True)
class Terms:
    """C of the value, of the derivatives by a and by o for each sample, by each use of a weight or bias, by theta."""

    value: float
    by_a: Array
    by_o: Array
    weight_uses: Array
    bias_uses: Array
    theta: Array


def roundings(dtype: Any) -> float:
    """How far numbers of this precision may be apart, relative to the sum of their absolute terms."""
    return ROUNDINGS * float(np.finfo(dtype).eps)


@lru_cache(maxsize=4)
def forward_terms(trace: gp.Trace) -> ForwardTerms:
    layout, w = trace.layout, _sizes(trace.theta)
    on_a, on_o, slopes = np.zeros(trace.a_flat.shape), _sizes(trace.o_flat), {}
    np.add.at(on_a.T, layout.bias_row, w[layout.bias_position, None])
    for v, uses in _uses(layout):
        np.add.at(on_a.T, layout.row[uses], w[layout.position[uses], None] * on_o.T[layout.column[uses]])
        a, moves = trace.a_flat[:, layout.a_slice(v)], on_a[:, layout.a_slice(v)]
        L = np.abs(_jacobians(layout.nodes[v], a))
        on_o[:, layout.o_slice(v)] += np.einsum("bki,bi->bk", L, moves)
        slopes[v] = L + _moved(layout.nodes[v], a, moves)
    return ForwardTerms(on_a, on_o, slopes)


@lru_cache(maxsize=4)
def absolute_terms(g: gp.Gradients) -> Terms:
    """The sums for all that is in a gradient, given that of the recursion."""
    assert g.trace is not None
    layout, columns, ahead, w = g.layout, g.objective.columns, forward_terms(g.trace), _sizes(g.trace.theta)
    by_a, by_o = np.zeros(ahead.a.shape), np.zeros(ahead.o.shape)
    by_o[:, columns], value = _direct_terms(g.objective, g.trace.o_flat[:, columns], ahead.o[:, columns])
    for v, uses in reversed(list(_uses(layout))):
        by_a[:, layout.a_slice(v)] = np.einsum("bki,bk->bi", ahead.slopes[v], by_o[:, layout.o_slice(v)])
        np.add.at(by_o.T, layout.column[uses], w[layout.position[uses], None] * by_a.T[layout.row[uses]])
    weights = (by_a[:, layout.row] * ahead.o[:, layout.column]).sum(axis=0)
    biases = by_a[:, layout.bias_row].sum(axis=0)
    theta = np.zeros(layout.size)
    np.add.at(theta, layout.position, weights)
    np.add.at(theta, layout.bias_position, biases)
    return Terms(value, by_a, by_o, weights, biases, theta)


def _sizes(x: Any) -> Array:
    """Absolute values; masks are -inf, and so are masked log-probabilities: they are no terms."""
    return np.where(np.isfinite(x), np.abs(x), 0.0)


def _uses(layout: Any) -> Iterator[tuple[int, Array]]:
    """The nodes that are no inputs, parents before children, and the uses of weights that lead into each."""
    into = np.argsort(layout.row, kind="stable")
    first = np.searchsorted(layout.row[into], layout.a_start)
    return ((v, into[first[v] : first[v + 1]]) for v in layout.order.tolist() if layout.nodes[v].activation is not None)


def _jacobians(node: Any, a: Array) -> Array:
    """L of a node, for each sample."""
    if node.kind_of_function == "elementwise":
        return node.activation.vjp(a, np.ones(a.shape))[:, :, None] * np.eye(a.shape[1])
    return np.stack([np.atleast_2d(node.activation.jacobian(row)) for row in a])


def _moved(node: Any, a: Array, moves: Array) -> Array:
    """|dL|, from differences: each component by itself where it is alone, else in some directions."""
    alone, (low, high) = node.kind_of_function == "elementwise", node.activation.domain
    result = np.zeros((len(a), node.m, node.n))
    for signs in SIGNS[:1] if alone else SIGNS:
        step = NEAR * signs[: node.n] * moves
        there, back = (np.clip(x, low, high) if alone else x for x in (a + step, a - step))
        result = np.maximum(result, np.abs(_jacobians(node, there) - _jacobians(node, back)) / (2 * NEAR))
    return result


def _direct_terms(goal: Any, z: Array, on_z: Array) -> tuple[Array, float]:
    """C of the direct derivatives and of the value, which reads the outputs z."""
    with np.errstate(all="ignore"):
        values, direct = goal.evaluate(z, Floats())
    size = np.abs(direct)
    if goal.loss is not None:
        counts = np.ones(len(z)) if goal.sample_weight is None else goal.sample_weight
        size = size + (counts / counts.sum())[:, None] * (np.abs(np.hstack(goal.targets)) + on_z)
    return size, float(np.abs(values).sum() + (size * on_z).sum())
