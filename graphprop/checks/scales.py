"""How large the terms of each entry are, over all paths, and where a kink or an underflow leaves nothing to compare.

The pass back with absolute values gives the sum of the absolute values of all terms that an entry is the sum of. What
errors are held to it is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.checks.jacobians import Slopes, pulled
from graphprop.functions.arithmetic import Floats
from graphprop.graph.layout import Array
from graphprop.passes.addresses import Addresses
from graphprop.passes.sweep import Run

FADED = 2.0**-1000  # slopes below it may have lost digits
CROSSED = 1e-3  # a slope that rounding may move by more than this part of those around stands at a kink


class Scales:
    """The sums over all paths of a run, given the Jacobians of its nodes.

    `delta` and `obar` are of the point itself; what an entry is compared with takes the largest slopes around it.
    """

    def __init__(self, run: Run, slopes: dict[int, Slopes]) -> None:
        self.run, self.slopes = run, slopes
        self.w = np.abs(finite(run.w))
        self.direct = np.abs(finite(run.direct()))
        self.delta, self.obar = self._sums(lambda slope: slope.sizes)
        self._near_delta, self._near_obar = self._sums(lambda slope: slope.nearby)

    def packed(self, addresses: Addresses) -> Array:
        """The sum of the absolute terms of each entry."""
        layout, o, delta = self.run.layout, np.abs(finite(self.run.o)), self._near_delta
        weights = (delta[:, layout.row] * o[:, layout.column]).sum(axis=0)
        scale: Array = self._pack(addresses, delta, self._near_obar, weights)
        terms, _ = self.run.goal.evaluate(self.run.o[:, self.run.goal.columns], Floats())
        by_sample = np.reshape(np.array(terms, dtype=float), (len(o), -1)).sum(axis=1)
        scale[addresses.span("value")] = np.abs(by_sample).sum()
        scale[addresses.span("a")], scale[addresses.span("o")] = np.ravel(np.abs(self.run.a)), np.ravel(o)
        return scale

    def faded(self, addresses: Addresses) -> Array:
        """Whether a term of an entry may be below the smallest number."""
        layout = self.run.layout

        def starts(v: int) -> Any:
            f, nearby = self.slopes[v].f, self.slopes[v].nearby
            smooth = not f.kinks and not np.isinf(self.slopes[v].a).any()
            if not smooth or (f.kind != "elementwise" and layout.nodes[v].n == 1):
                return False
            flat = nearby if nearby.ndim == 2 else nearby.max(axis=1)
            return (flat < FADED) & (self._near_obar[:, layout.o_slice(v)].max(axis=1, keepdims=True) > 0)

        return self._reached(addresses, starts)

    def kinked(self, addresses: Addresses) -> Array:
        """Whether it goes through a node that rounding may move across a kink."""

        def starts(v: int) -> Any:
            f, moved, nearby = self.slopes[v].f, self.slopes[v].moved, self.slopes[v].nearby
            if not f.kinks:
                return False
            largest = moved if moved.ndim == 2 else moved.max(axis=1)
            kinked: Array = largest > CROSSED * (1 if nearby.size == 0 else nearby.max())
            return kinked

        return self._reached(addresses, starts)

    def _sums(self, matrix: Callable[[Slopes], Array]) -> tuple[Array, Array]:
        """Of delta and obar, with these matrices in the place of the Jacobians."""

        def step(v: int, obar: Array) -> Array:
            return pulled(obar, matrix(self.slopes[v])) if v in self.slopes else obar[:, :0]

        return self.run.backward(self.direct, step, lambda uses, delta: self.w[uses] * delta)

    def _reached(self, addresses: Addresses, starts: Callable[[int], Any]) -> Array:
        """Which entries have a path through a place that this is true of, among those that the objective depends on."""
        layout, joined = self.run.layout, self.w > 0

        def step(v: int, obar: Array) -> Array:
            if v not in self.slopes or not self._depends[layout.o_slice(v)].any():
                return np.zeros((len(obar), layout.nodes[v].n if v in self.slopes else 0))
            marked: Array = starts(v) | (obar > 0).any(axis=1, keepdims=True)
            return np.broadcast_to(marked, (len(obar), layout.nodes[v].n)).astype(float)

        nothing = np.zeros(self.run.o.shape)
        delta, obar = self.run.backward(nothing, step, lambda uses, delta: joined[uses] * delta)
        return self._pack(addresses, delta, obar, delta[:, layout.row].sum(axis=0)) > 0

    @cached_property
    def _depends(self) -> Array:
        """The outputs that the objective reads, or that lead to one that it reads, by whatever weights."""
        layout = self.run.layout

        def step(v: int, read: Array) -> Array:
            return np.tile(read.max(axis=1, keepdims=True), layout.nodes[v].n if v in self.slopes else 0)

        reads = np.broadcast_to((self.direct > 0).any(axis=0), self.run.o.shape).astype(float)
        _, found = self.run.backward(reads, step, lambda uses, read: read)
        return np.asarray(found.max(axis=0) > 0)

    def _pack(self, addresses: Addresses, delta: Array, obar: Array, weights: Array) -> Array:
        biases = delta[:, self.run.layout.bias_row].sum(axis=0)
        return packed(addresses, delta, obar, weights, biases)


def packed(
    addresses: Addresses, delta: Array, obar: Array, weights: Array, biases: Array, sum_of_uses: float = 1
) -> Array:
    """All entries; those of theta are sums over uses."""
    theta = addresses.layout.sum_of_uses(weights, biases)
    return addresses.pack(delta=delta, obar=obar, weight=weights, bias=biases, theta=sum_of_uses * theta)


def finite(x: Array) -> Array:
    """Masks are infinite, and so are masked log-probabilities: they are no terms."""
    return np.where(np.isfinite(x), x, 0.0)
