"""How well a float64 computation can know each entry of a trace and its gradient: its error, its scale, its kinks.

Every sum of k terms may be off by (k + 3) u times the sum of the absolute terms, every function by some units in the
last place; from there errors grow by the absolute weights and slopes, with margins, since what is bounded is right and
must not be accused. Functions of a user, in which terms may cancel, bring what was measured of them. The same pass with
absolute values gives the scale of each entry: the sum of the absolute values of all terms that it is the sum of.

This is for the library's own ways, which `check` holds against each other. So there is one bound for those that share a
forward pass and one for those that ran their own; values have bounds as well; what other formulas lose is measured, and
given as a shift; in deep networks a measured response takes the place of the worst case; and it is said where a kink
or an underflow leaves nothing to compare. `rounding` has bounds some times tighter, for gradients made elsewhere in
numbers of any kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.checks.copies import Unit, objective_terms, units
from graphprop.errors import PASSING, GraphpropError
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats
from graphprop.graph.layout import Array
from graphprop.passes.entries import Entries
from graphprop.passes.objective import Objective
from graphprop.passes.results import Trace

U = 2.0**-53
FUNCTION = 32 * U  # of a function: compiled ones are right to 7e-16, and a slope takes some operations on top
TINY = 2.0**-1060  # some of the smallest numbers: what underflow may lose
TELLS = 1e-3  # an error that may be more than this part of the terms of an entry says nothing about it
NEARBY = 2.0**-10  # how far around a point slopes are looked at for the scale


@dataclass(frozen=True)
class Bounds:
    """Per entry: what rounding may do where the forward pass is shared, and where each has its own."""

    shared: Array
    own: Array
    scale: Array
    lost: Array  # whether what is below the smallest number is a term of it
    value: Array  # of each sample's term of the objective


@dataclass
class _Slopes:
    """Of one node, for all samples: its Jacobians (samples, m, n), and how they change."""

    L: Array
    moved: Array  # absolute change of the Jacobian when a moves by its error
    rounded: Array  # by its last digits
    nearby: Array  # the largest slopes around


def bounds(
    entries: Entries,
    trace: Trace,
    objective: Objective,
    inside: Inside,
    shift: tuple[Array, ...] | None = None,
    response: Array | None = None,
) -> Bounds:
    """The bounds at a trace.

    `shift` are differences of a, o and L of another way that are known and allowed for. In a deep network the worst
    case grows without limit where real errors cancel: `response`, how far all entries moved when the data was changed
    by more than rounding does, then takes its place, but not where a node stands so near a kink that it may cross it.
    """
    layout, theta = trace.layout, np.where(np.isinf(trace.theta), 0.0, np.abs(trace.theta))
    nodes = list(units(layout))
    a, o = trace.a_flat, np.nan_to_num(np.abs(trace.o_flat), posinf=0.0)
    E_a, E_o = np.zeros(a.shape), np.zeros(o.shape)
    E_o[:, layout.input_columns] = 0.0
    if response is not None:
        moved_a, moved_o = (response[entries.place(k)].reshape(x.shape) for k, x in (("a", a), ("o", o)))
    slopes: list[_Slopes] = []
    with np.errstate(all="ignore"):
        for unit in nodes:
            rows, out = layout.a_slice(unit.v), layout.o_slice(unit.v)
            W, b = matrix_of(unit, theta[layout.position[unit.uses]], rows), np.zeros(rows.stop - rows.start)
            b[unit.bias_i] = theta[unit.bias_position]
            terms = o[:, unit.columns] @ W.T + b
            E_a[:, rows] = E_o[:, unit.columns] @ W.T + (len(unit.columns) + 3) * U * terms + TINY
            if response is not None:
                E_a[:, rows] = np.minimum(E_a[:, rows], moved_a[:, rows] + (len(unit.columns) + 3) * U * terms)
            if shift is not None:
                E_a[:, rows] += shift[0][:, rows]
            rough = inside.nodes.get(unit.v, (0.0, 0.0))
            slope = _slopes(unit.f, a[:, rows], trace.o_flat[:, out], E_a[:, rows], rough)
            slopes.append(slope)
            E_o[:, out] = _applied(np.abs(slope.L) + slope.moved, E_a[:, rows]) + FUNCTION * o[:, out] + TINY
            E_o[:, out] += rough[0]
            if response is not None:
                E_o[:, out] = np.minimum(E_o[:, out], moved_o[:, out] + FUNCTION * o[:, out])
            if shift is not None:
                E_o[:, out] += shift[1][:, out]
    direct, E_direct = _direct(objective, trace.o_flat, E_o)
    E_direct[:, objective.columns] += inside.direct
    value = (direct * E_o).sum(axis=1) + FUNCTION * (direct * o).sum(axis=1) + FUNCTION * abs(_values(objective, trace))
    value += inside.terms
    results = []
    for own in (False, True):
        jumps = shift[2] if shift is not None and own else None
        results.append(
            _backwards(entries, trace, nodes, slopes, (theta, direct, E_direct, E_o if own else None), jumps)
        )
    (shared, scale, lost, _), (owned, _, _, kinked) = results
    if response is not None:
        owned, shared = np.where(kinked, owned, np.fmin(owned, response)), np.fmin(shared, response)
    spans = {"value": value.sum(), "a": E_a, "o": E_o}
    for kind, errors in spans.items():
        shared[entries.place(kind)] = owned[entries.place(kind)] = np.ravel(errors)
    scale[entries.place("value")] = abs(_values(objective, trace)).sum()
    scale[entries.place("a")], scale[entries.place("o")] = np.ravel(np.abs(a)), np.ravel(o)
    return Bounds(shared, owned, scale, lost, value)


def _backwards(
    entries: Entries,
    trace: Trace,
    nodes: list[Unit],
    slopes: list[_Slopes],
    given: tuple[Any, ...],
    jumps: Array | None,
) -> tuple[Array, Array, Array, Array]:
    """Error bounds, scales, what is lost and what is near a kink, from the objective to the inputs."""
    theta, direct, E_direct, E_o = given
    layout, o = trace.layout, np.nan_to_num(np.abs(trace.o_flat), posinf=0.0)
    own = E_o is not None
    E_obar, B, near_B = E_direct + FUNCTION * direct + TINY, direct.copy(), direct.copy()
    E_delta, D, near_D = (np.zeros(trace.a_flat.shape) for _ in range(3))
    lost_o, lost_a = np.zeros(trace.o_flat.shape, bool), np.zeros(trace.a_flat.shape, bool)
    kinked_o, kinked_a = lost_o.copy(), lost_a.copy()
    reached = (direct > 0).any(axis=0)
    for unit, slope in zip(reversed(nodes), reversed(slopes), strict=True):
        rows, out = layout.a_slice(unit.v), layout.o_slice(unit.v)
        if not reached[out].any():
            continue
        reached[unit.columns] = True
        L = np.abs(slope.L)
        change = slope.rounded + (slope.moved if own else 0)
        D[:, rows] = pulled(B[:, out], L)
        near_D[:, rows] = pulled(near_B[:, out], slope.nearby)
        E = pulled(E_obar[:, out], L + change) + pulled(B[:, out], change) + FUNCTION * D[:, rows] + TINY
        if jumps is not None:
            E += B[:, out].sum(axis=1, keepdims=True) * jumps[:, rows]
        E_delta[:, rows] = E
        smooth = not unit.f.kinks and not np.isinf(trace.a_flat[:, rows]).any()
        if smooth and (unit.f.kind == "elementwise" or rows.stop - rows.start > 1):
            flat = slope.nearby if slope.nearby.ndim == 2 else slope.nearby.max(axis=1)
            lost_a[:, rows] = (flat < 2.0**-1000) & (near_B[:, out] > 0).any(axis=1, keepdims=True)
        lost_a[:, rows] |= lost_o[:, out].any(axis=1, keepdims=True)
        if unit.f.kinks:
            moved = slope.moved if slope.moved.ndim == 2 else slope.moved.max(axis=1)
            kinked_a[:, rows] = moved > 1e-3 * (1 if slope.nearby.size == 0 else slope.nearby.max())
        kinked_a[:, rows] |= kinked_o[:, out].any(axis=1, keepdims=True)
        W = matrix_of(unit, theta[layout.position[unit.uses]], rows)
        terms = D[:, rows] @ W
        children = len(W) + 3
        E_obar[:, unit.columns] += E_delta[:, rows] @ W + children * U * terms + U * B[:, unit.columns] + TINY
        B[:, unit.columns] += terms
        near_B[:, unit.columns] += near_D[:, rows] @ W
        lost_o[:, unit.columns] |= (lost_a[:, rows].astype(float) @ (W > 0)) > 0
        kinked_o[:, unit.columns] |= (kinked_a[:, rows].astype(float) @ (W > 0)) > 0
    terms = near_D[:, layout.row] * o[:, layout.column]
    error_terms = E_delta[:, layout.row] * o[:, layout.column]
    if own:
        error_terms = error_terms + (D + E_delta)[:, layout.row] * E_o[:, layout.column]
    k = (trace.samples + 2) * U
    weight = error_terms.sum(axis=0) + k * (D[:, layout.row] * o[:, layout.column]).sum(axis=0) + TINY
    bias = E_delta[:, layout.bias_row].sum(axis=0) + k * D[:, layout.bias_row].sum(axis=0) + TINY
    scale_weight, scale_bias = terms.sum(axis=0), near_D[:, layout.bias_row].sum(axis=0)

    def packed(delta: Array, obar: Array, weight: Array, bias: Array, extra: float = 0.0) -> Array:
        total = np.zeros(layout.size)
        np.add.at(total, layout.position, weight)
        np.add.at(total, layout.bias_position, bias)
        return entries.pack(delta=delta, obar=obar, weight=weight, bias=bias, theta=total * (1 + extra))

    errors = packed(E_delta, E_obar, weight, bias, 1.0)
    scale = packed(near_D, near_B, scale_weight, scale_bias)
    lost, kinked = (
        packed(on_a, on_o, on_a[:, layout.row].sum(axis=0), on_a[:, layout.bias_row].sum(axis=0)) > 0
        for on_a, on_o in ((lost_a.astype(float), lost_o), (kinked_a.astype(float), kinked_o))
    )
    return errors, scale, lost, kinked


def matrix_of(unit: Unit, weights: Array, rows: slice) -> Array:
    """The absolute weights into a node, (rows, columns that it reads)."""
    W = np.zeros((rows.stop - rows.start, len(unit.columns)))
    W[unit.i, unit.k] = weights
    return W


def _applied(L: Array, x: Array) -> Array:
    """L x for every sample; the Jacobian of an elementwise function is kept as its diagonal."""
    result: Array = L * x if L.ndim == 2 else np.einsum("skn,sn->sk", L, x)
    return result


def pulled(g: Array, L: Array) -> Array:
    """g L for every sample."""
    result: Array = g * L if L.ndim == 2 else np.einsum("sk,skn->sn", g, L)
    return result


# ------------------------------------------------------------------ how slopes change around a point


def _slopes(f: Activation, a: Array, o: Array, E: Array, inside: tuple[Any, Any]) -> _Slopes:
    L = jacobians(f, a, o)
    finite = np.where(np.isfinite(a), np.abs(a), 0.0)
    near = _most(f, a, NEARBY * np.maximum(1.0, finite), L, lambda there: np.abs(there))
    moved = _most(f, a, E, L, lambda there: np.abs(there - L))
    margin = 1.0 if f.kind == "elementwise" else 3.0
    return _Slopes(L, margin * moved, rounded_slopes(f, a, L) + inside[1], np.maximum(np.abs(L), near))


def rounded_slopes(f: Activation, a: Array, L: Array) -> Array:
    """By how much the last digits of a change L; what has kinks has no digits to round."""
    finite = np.where(np.isfinite(a), np.abs(a), 0.0)
    margin = 1.0 if f.kind == "elementwise" else 3.0  # for the directions that were not tried
    changed = np.zeros(L.shape) if f.kinks else _most(f, a, 4 * U * finite, L, lambda there: np.abs(there - L))
    return margin * changed


def _most(f: Activation, a: Array, step: Array, L: Array, measure: Any) -> Array:
    """The largest measure of the Jacobians at points that are off by the step, with several signs."""
    n, most = a.shape[1], np.zeros(L.shape)
    pattern = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    signs = [np.ones(n)] if f.kind == "elementwise" or n == 1 else [pattern, np.where(np.arange(n) < n // 2, 1.0, -1.0)]
    for sign in signs:
        for side in (1.0, -1.0):
            low, high = f.domain
            there = np.where(np.isfinite(a), np.clip(a + side * sign * step, low, high), a)
            most = np.fmax(most, measure(jacobians(f, there)))
    return most


def jacobians(f: Activation, a: Array, o: Array | None = None) -> Array:
    """L of every sample, (samples, m, n), or its diagonal (samples, n) if elementwise; nan where it is not defined."""
    if f.kind == "elementwise":
        flat = a.ravel().tolist()
        found = _attempt(f, flat, None if o is None else o.ravel().tolist(), [1.0] * len(flat))
        if found is None:
            singles = [_attempt(f, [x], None, [1.0]) for x in flat]
            found = [np.nan if x is None else x[0] for x in singles]
        return np.array(found).reshape(a.shape)
    m = 1 if f.kind == "reducing" else a.shape[1]
    result = np.full((len(a), m, a.shape[1]), np.nan)
    for s, row in enumerate(a.tolist()):
        for k in range(m):
            unit = [float(j == k) for j in range(m)]
            pulled = _attempt(f, row, None if o is None else o[s].tolist(), unit)
            if pulled is not None:
                result[s, k] = pulled
    return result


def _attempt(f: Activation, a: list[float], o: list[float] | None, g: list[float]) -> list[float] | None:
    try:
        return f.pull(a, f.outputs(a) if o is None else o, g)
    except PASSING:
        raise
    except Exception:  # outside of its domain; a user's function may raise anything
        return None


# ------------------------------------------------------------------ the objective


def _values(objective: Objective, trace: Trace) -> Array:
    terms: Array = objective_terms(objective, trace.o_flat[None][:, :, objective.columns])[0]
    return terms


def _direct(objective: Objective, o: Array, E_o: Array) -> tuple[Array, Array]:
    """The absolute direct derivatives, and how far they may be off where o is off by its error."""
    z, E = o[:, objective.columns], E_o[:, objective.columns]
    direct, errors = np.zeros(o.shape), np.zeros(o.shape)
    seeds = objective.evaluate(z, Floats())[1]
    direct[:, objective.columns] = np.abs(seeds)
    if objective.loss is None:
        return direct, errors
    targets, share = objective.for_kernels()
    rounding = FUNCTION * (np.abs(seeds) + np.abs(targets).sum(axis=1, keepdims=True) * np.max(share))
    rng = np.random.default_rng(0)
    for _ in range(4):
        there = z + E * rng.choice([-1.0, 1.0], z.shape)
        try:
            change = np.abs(objective.evaluate(there, Floats())[1] - seeds)
        except GraphpropError:  # at the edge of its domain
            continue
        rounding = np.fmax(rounding, 3 * change)
    errors[:, objective.columns] = rounding
    return direct, errors


@dataclass(frozen=True)
class Inside:
    """How far rounding moves the outputs and the Jacobians of nodes, by number, and the objective."""

    nodes: dict[int, tuple[Array, Array]]
    terms: Array  # of each sample
    direct: Array  # of the derivatives by what the objective reads
