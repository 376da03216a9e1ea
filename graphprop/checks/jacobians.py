"""The Jacobians of nodes at a trace, by the activations' own derivatives, and how they change around it.

What is multiplied with them, and to what end, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from graphprop.checks.rounding import U
from graphprop.functions.activation import Activation
from graphprop.functions.calling import attempt
from graphprop.functions.entry import Entry
from graphprop.graph.layout import Array

NEARBY = 2.0**-10  # how far around a point slopes are looked at for the scale


@dataclass(frozen=True, eq=False)
class Slopes:
    """Of one node, for all samples: its Jacobians at a, (samples, m, n), their absolute values, and how these change.

    Those of an elementwise function are kept as their diagonal, (samples, n).
    """

    f: Activation
    a: Array
    errors: Array  # of a
    signed: Array

    def with_errors(self, errors: Array) -> Slopes:
        """The same at other errors of a; what does not depend on them is not found again."""
        other = Slopes(self.f, self.a, errors, self.signed)
        vars(other).update(
            {name: array for name, array in vars(self).items() if name in ("sizes", "rounded", "nearby")}
        )
        return other

    @cached_property
    def sizes(self) -> Array:
        result: Array = np.abs(self.signed)
        return result

    @cached_property
    def moved(self) -> Array:
        """By how much L changes when a moves by its error."""
        return _margin(self.f) * _most(self.f, self.a, self.errors, self.signed, self._change)

    def _change(self, there: Array) -> Array:
        change: Array = np.abs(there - self.signed)
        return change

    @cached_property
    def rounded(self) -> Array:
        """By how much it changes with the last digits of a."""
        return rounded_slopes(self.f, self.a, self.signed)

    @cached_property
    def nearby(self) -> Array:
        """The largest ones around."""
        near = _most(self.f, self.a, NEARBY * np.maximum(1.0, _finite(self.a)), self.signed, np.abs)
        largest: Array = np.maximum(self.sizes, near)
        return largest


def applied(L: Array, x: Array) -> Array:
    """L x for every sample; the Jacobian of an elementwise function is kept as its diagonal."""
    result: Array = L * x if L.ndim == 2 else np.einsum("skn,sn->sk", L, x)
    return result


def pulled(g: Array, L: Array) -> Array:
    """g L for every sample."""
    result: Array = g * L if L.ndim == 2 else np.einsum("sk,skn->sn", g, L)
    return result


def _finite(a: Array) -> Array:
    return np.where(np.isfinite(a), np.abs(a), 0.0)


def _margin(f: Activation) -> float:
    return 1.0 if f.kind == "elementwise" else 3.0  # for the directions that were not tried


def rounded_slopes(f: Activation, a: Array, L: Array) -> Array:
    """By how much the last digits of a change L; what has kinks has no digits to round."""
    if f.kinks:
        return np.zeros(L.shape)
    return _margin(f) * _most(f, a, 4 * U * _finite(a), L, lambda there: np.abs(there - L))


def _most(f: Activation, a: Array, step: Array, L: Array, measure: Callable[[Array], Array]) -> Array:
    """The largest measure of the Jacobians at points that are off by the step, with several signs."""
    n, most, (low, high), finite = a.shape[1], np.zeros(L.shape), f.domain, np.isfinite(a)
    if f.kind == "elementwise":  # both sides at once
        there = np.where(finite, np.clip([a + step, a - step], low, high), a)
        found = jacobians(f, there.reshape(-1, n)).reshape(2, *L.shape)
        both: Array = np.fmax.reduce(measure(found), axis=0, initial=0.0)
        return both
    pattern = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    for sign in [np.ones(n)] if n == 1 else [pattern, np.where(np.arange(n) < n // 2, 1.0, -1.0)]:
        for side in (1.0, -1.0):
            there = np.where(finite, np.clip(a + side * sign * step, low, high), a)
            most = np.fmax(most, measure(jacobians(f, there)))
    return most


def jacobians(f: Activation, a: Array, o: Array | None = None) -> Array:
    """L of every sample, (samples, m, n), or its diagonal (samples, n) if elementwise; nan where it is not defined."""
    if f.kind == "elementwise":
        flat = a.ravel().tolist()
        found = _pull(f, flat, attempt(f.outputs, flat) if o is None else o.ravel().tolist(), [1.0] * len(flat))
        if found is None:
            singles = [_pull(f, [x], attempt(f.outputs, [x]), [1.0]) for x in flat]
            found = [np.nan if x is None else x[0] for x in singles]
        return np.array(found).reshape(a.shape)
    m = 1 if f.kind == "reducing" else a.shape[1]
    result = np.full((len(a), m, a.shape[1]), np.nan)
    for s, row in enumerate(a.tolist()):
        own = attempt(f.outputs, row) if o is None else o[s].tolist()
        if own is None:
            continue
        if isinstance(f, Entry):
            result[s] = f.slopes(row, own)
            continue
        for k in range(m):
            unit = [0.0] * m
            unit[k] = 1.0
            pulled = _pull(f, row, own, unit)
            if pulled is not None:
                result[s, k] = pulled
    return result


def _pull(f: Activation, a: list[float], o: list[float] | None, g: list[float]) -> list[float] | None:
    return None if o is None else attempt(f.pull, a, o, g)
