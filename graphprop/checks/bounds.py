"""What decides the tolerance of a check: how far rounding alone may move each number of both passes.

Each operation rounds, relative to its result, and carries on the errors of what it reads. With E[x] the bound of x, u
the unit of rounding, f the roundings in a function, every sum over its own terms, and |dL| how far L moves where a
moves by E[a],

    E[a] = sum of |w| E[o]  +  u (number of terms + 1) (sum of |w o|, and |b|)
    E[o] = (|L| + |dL|) E[a]  +  f u |o|
    E[direct] = how far direct moves where each o moves by E[o]  +  f u (|direct| + |target|)
    E[obar] = sum of |w| E[delta]  +  u (number of terms + 1) (sum of |w delta|, and |direct|)  +  E[direct]
    E[delta] = |L|^T E[obar]  +  |dL|^T (|obar| + E[obar])  +  f u |delta|
    E[dJ/dw] = sum of E[delta] |o|  +  (|delta| + E[delta]) E[o]  +  u (number of terms + 1) |delta o|

and a little where numbers underflow. No other margin is added, so that small mistakes show. `compare` and `check` take
the same pass. What differs between them is in truth different:

- how numbers round (`Numbers`): in any precision and as books print formulas, for what was made elsewhere; in float64,
  and in functions of a user as much as was measured, for the library's ways, of which the worst case is taken;
- in which order sums are taken (`Flow`): what was made elsewhere went back node by node, so obar and delta count as
  what they are; the forms of the recursion over paths and over parents add up products of whole paths, so for the ways
  they count as the sums of the absolute values of all paths;
- whether the forward pass was shared: then a and o are the same numbers, so E[o] is 0 and L moves by last digits alone;
- what is known besides (`Known`): what other formulas lose, and in deep networks a measured response.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from graphprop.checks.jacobians import Slopes, applied, jacobians, pulled
from graphprop.checks.rounding import TINY, Inside, Numbers
from graphprop.checks.scales import Scales, finite, packed
from graphprop.errors import LimitError
from graphprop.functions.arithmetic import Floats
from graphprop.functions.calling import attempt
from graphprop.graph.layout import Array
from graphprop.passes.addresses import Addresses
from graphprop.passes.objective import Objective
from graphprop.passes.results import Trace
from graphprop.passes.sweep import Run
from graphprop.passes.sweep import pulled as pulled_by

MOST_SLOPES = 2**23  # of all vector nodes in all samples; each is a call's part, and stands in several arrays
TELLS = 1e-3  # an error that may be more than this part of the terms of an entry says nothing about it


@dataclass(frozen=True, eq=False)
class Errors:
    """The bounds of the value and of each sample's term of it, and of a gradient by each kind of number."""

    total: float
    value: Array
    delta: Array
    obar: Array
    weights: Array
    biases: Array


@dataclass(frozen=True, eq=False)
class Bounds:
    """Per entry: what rounding may do where the forward pass is shared, and where each has its own."""

    shared: Array
    own: Array
    scale: Array
    lost: Array  # whether what is below the smallest number is a term of it
    value: Array  # of each sample's term of the objective
    slopes: dict[int, Slopes]  # of all nodes that are no inputs, by number


def errors_made_elsewhere(run: Run, numbers: Numbers) -> Errors:
    """The bounds for a gradient whose formulas and forward pass are its own."""
    with np.errstate(all="ignore"):
        ahead = _forward(run, numbers, Known())
        w = run.w
        delta, obar = run.backward(run.direct(), run.pull, lambda uses, x: w[uses] * x)
        return _backward(run, numbers, ahead, Flow(obar, delta, by_paths=False))


def bounds(
    addresses: Addresses,
    trace: Trace,
    objective: Objective,
    inside: Inside,
    shift: tuple[Array, ...] | None = None,
    response: Array | None = None,
    slopes: Mapping[int, Slopes] | None = None,
) -> Bounds:
    """The bounds for the library's own ways at a trace; its slopes are known if bounds were found there before.

    `shift` are differences of a, o and L of another way that are known and allowed for. In a deep network the worst
    case grows without limit where real errors cancel: `response`, how far all entries moved when the data was changed
    by more than rounding does, then takes its place, but not where a node stands so near a kink that it may cross it.
    """
    run, numbers, known = Run.of(trace, objective), Numbers.of_the_ways(inside), Known(least=TINY)
    if shift is not None:
        known = replace(known, shift_a=shift[0], shift_o=shift[1], jumps=shift[2])
    if response is not None:
        moved = (response[addresses.span(k)].reshape(x.shape) for k, x in (("a", run.a), ("o", run.o)))
        known = replace(known, response=tuple(moved))
    with np.errstate(all="ignore"):
        ahead = _forward(run, numbers, known, slopes or {})
        scales = Scales(run, ahead.slopes)
        flow = Flow(scales.obar, scales.delta, by_paths=True)
        found = _backward(run, numbers, ahead, flow, known.jumps)
        shared_errors = _backward(run, numbers, ahead, flow, own=False)
        own, shared = (_by_entry(addresses, errors) for errors in (found, shared_errors))
        if response is not None:
            own = np.where(scales.kinked(addresses), own, np.fmin(own, response))
            shared = np.fmin(shared, response)
        scale, lost = scales.packed(addresses), scales.faded(addresses)
    for kind, errors in (("value", found.total), ("a", ahead.a), ("o", ahead.o)):
        shared[addresses.span(kind)] = own[addresses.span(kind)] = np.ravel(errors)
    return Bounds(shared, own, scale, lost, found.value, ahead.slopes)


def _by_entry(addresses: Addresses, errors: Errors) -> Array:
    """Sums over uses round, too."""
    return packed(addresses, errors.delta, errors.obar, errors.weights, errors.biases, sum_of_uses=2)


def check_slopes(trace: Trace) -> None:
    """Refuse what would not end: a vector node has as many slopes in a sample as pairs of components."""
    nodes = [node for node in trace.layout.nodes if node.kind_of_function == "vector"]
    slopes = trace.samples * sum(node.n**2 for node in nodes)
    if slopes > MOST_SLOPES:
        samples = "1 sample" if trace.samples == 1 else f"{trace.samples} samples"
        raise LimitError(
            f"the bounds of a check take all slopes of the vector nodes, and these have {slopes:,} in {samples}, the "
            f"widest node {max(node.n for node in nodes)}^2 in each; at most {MOST_SLOPES:,} are looked at: give "
            "fewer samples, or check a smaller network of the kind"
        )


# ------------------------------------------------------------------ forward


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of errors besides: shifts are added; a response takes the place of what was carried on."""

    least: float = 0.0  # of every a: differences say nothing where one stands just at a kink
    shift_a: Array | None = None
    shift_o: Array | None = None
    jumps: Array | None = None  # of L, by component
    response: tuple[Array, ...] | None = None  # of a and o


@dataclass(frozen=True, eq=False)
class Ahead:
    """E[a] and E[o], and the Jacobians of all nodes that are no inputs, by number."""

    a: Array
    o: Array
    slopes: dict[int, Slopes]


def _forward(run: Run, numbers: Numbers, known: Known, at: Mapping[int, Slopes] = MappingProxyType({})) -> Ahead:
    """Inputs are exact."""
    layout, w, a, o = run.layout, np.abs(finite(run.w)), finite(run.a), finite(run.o)
    sums = np.zeros(a.shape)
    np.add.at(sums.T, layout.row, (w * np.abs(o[:, layout.column])).T)
    np.add.at(sums.T, layout.bias_row, np.abs(finite(run.theta[layout.bias_position]))[:, None])
    rounded = numbers.unit * (layout.fan_in + 1) * sums + numbers.tiny * (sums > 0) + known.least
    slopes: dict[int, Slopes] = {}

    def settle(v: int, errors: Array) -> Array:
        rows = layout.a_slice(v)
        if known.response is not None:
            errors = np.minimum(errors, known.response[0][:, rows] + rounded[:, rows])
        return errors if known.shift_a is None else errors + known.shift_a[:, rows]

    def step(v: int, errors: Array) -> Array:
        node, rows, columns = layout.nodes[v], layout.a_slice(v), layout.o_slice(v)
        assert node.activation is not None
        f, given = node.activation, (run.a[:, rows], run.o[:, columns])
        slopes[v] = slope = at[v].with_errors(errors) if v in at else Slopes(f, given[0], errors, jacobians(f, *given))
        largest = np.abs(a[:, rows]).max(axis=1, keepdims=True)
        here = numbers.function(node, numbers.output_terms(node, a[:, rows], o[:, columns]), largest)
        passed = applied(slope.sizes + slope.moved, errors)
        if known.response is not None:
            passed = np.minimum(passed, known.response[1][:, columns])
        result = passed + here + numbers.inside.nodes.get(v, (0.0, 0.0))[0]
        return result if known.shift_o is None else result + known.shift_o[:, columns]

    on_a, on_o = run.forward(rounded, step, lambda uses, errors: w[uses] * errors, settle)
    return Ahead(on_a, on_o, slopes)


# ------------------------------------------------------------------ backward


@dataclass(frozen=True, eq=False)
class Flow:
    """How large the numbers are that flow back: themselves, or, `by_paths`, the absolute values of all their paths."""

    obar: Array
    delta: Array
    by_paths: bool


def _backward(
    run: Run, numbers: Numbers, ahead: Ahead, flow: Flow, jumps: Array | None = None, own: bool = True
) -> Errors:
    """The bounds of the gradient; where a forward pass is not its `own`, given that."""
    layout, w, a, o = run.layout, np.abs(finite(run.w)), finite(run.a), finite(run.o)
    u, tiny, size = numbers.unit, numbers.tiny, np.abs(flow.delta)
    direct, value, total = _objective(run, numbers, ahead.o if own else np.zeros(o.shape))
    additions = u * np.maximum(layout.fan_out - numbers.roundings, 0)  # to direct; as many are in E[direct] already

    def step(v: int, errors: Array) -> Array:
        node, rows, columns = layout.nodes[v], layout.a_slice(v), layout.o_slice(v)
        if node.activation is None:
            return errors[:, :0]
        slope, obar = ahead.slopes[v], flow.obar[:, columns]
        change = (slope.moved if own else slope.rounded) + numbers.inside.nodes.get(v, (0.0, 0.0))[1]
        largest = np.abs(obar) + errors  # not 0 where obar is, so that errors of errors count there
        if flow.by_paths or node.kind_of_function == "elementwise":
            passed = pulled(errors, slope.sizes) + pulled(largest, change)
        else:
            passed = pulled(errors, slope.sizes + change) + _moved(run, v, obar, flow.delta[:, rows], slope.errors)
        if jumps is not None:
            passed += largest.sum(axis=1, keepdims=True) * jumps[:, rows]
        terms = numbers.slope_terms(node, a[:, rows], o[:, columns], flow.delta[:, rows], largest)
        return passed + numbers.function(node, terms, largest.max(axis=1, keepdims=True))

    def terms(uses: Array, errors: Array) -> Array:
        rounded = u * (layout.fan_out[layout.column[uses]] + 1) * size[:, layout.row[uses]]
        carried: Array = w[uses] * (errors + rounded) + tiny
        return carried

    e_delta, e_obar = run.backward(direct + additions * np.abs(finite(run.direct())), step, terms)
    rounds = u * (len(o) + 1)
    delta, carried, on_row = size[:, layout.row], np.abs(o[:, layout.column]), e_delta[:, layout.row]
    each = on_row * carried + delta * rounds * carried + tiny
    if own:
        each += (delta + on_row) * ahead.o[:, layout.column]
    biases = (e_delta + rounds * size)[:, layout.bias_row].sum(axis=0)
    return Errors(total, value, e_delta, e_obar, each.sum(axis=0), biases)


def _moved(run: Run, v: int, obar: Array, delta: Array, on_a: Array) -> Array:
    """How far obar L[v] moves where the components of a[v] move, one after the other, by their errors."""
    f, a = run.layout.nodes[v].activation, run.a[:, run.layout.a_slice(v)]
    result = np.zeros(delta.shape)
    for i in range(a.shape[1]):
        there = a.copy()
        there[:, i] += on_a[:, i]
        step = np.abs(pulled_by(f, there, obar) - delta)
        result += np.where(np.isfinite(step), step, 0.0)
    return result


# ------------------------------------------------------------------ the objective


def _objective(run: Run, numbers: Numbers, on_o: Array) -> tuple[Array, Array, float]:
    """E[direct], and the bounds of each sample's term of the value, and of their sum."""
    goal = run.goal
    z, errors = run.o[:, goal.columns], on_o[:, goal.columns]
    terms, direct = goal.evaluate(z, Floats())
    compared = np.zeros(z.shape)
    if goal.losses:
        compared = goal.target_sizes
    result, z = np.zeros(on_o.shape), finite(z)
    moved = _moved_direct(goal, run.o[:, goal.columns], errors, direct)
    rounded = numbers.roundings * (numbers.unit * (np.abs(direct) + compared) + numbers.tiny * bool(goal.losses))
    result[:, goal.columns] = moved + rounded + numbers.inside.direct
    sizes = np.abs(np.reshape(np.array(terms, dtype=float), (len(z), -1))).sum(axis=1)
    if goal.losses:
        sizes = sizes + (np.abs(z) * np.abs(direct)).sum(axis=1)
    if numbers.printed:
        sizes = sizes + (compared * (np.abs(z) + 1)).sum(axis=1)
    value = (np.abs(direct) * errors).sum(axis=1) + numbers.unit * numbers.roundings * sizes
    value = value + numbers.tiny + numbers.inside.terms
    additions = numbers.unit * max(len(terms) - numbers.roundings, 0)
    return result, value, float(value.sum() + additions * sizes.sum())


def _moved_direct(goal: Objective, z: Array, errors: Array, direct: Array) -> Array:
    """How far the direct derivatives move where what is read moves, one after the other, by its errors.

    Heads are compared each by itself, so those of one place in all heads are moved at once.
    """
    result = np.zeros(z.shape)
    if not goal.losses or not errors.any():
        return result
    assert goal.starts is not None
    first, last = goal.starts[:-1], goal.starts[1:]
    for k in range(int((last - first).max())):
        columns = (first + k)[first + k < last]
        most = np.zeros(z.shape)
        for sign in (1.0, -1.0):
            there = z.copy()
            there[:, columns] += sign * errors[:, columns]
            if (found := attempt(goal.evaluate, there, Floats())) is not None:  # inside of what the loss reads
                step = np.abs(found[1] - direct)
                most = np.maximum(most, np.where(np.isfinite(step), step, 0.0))
        result += most
    return result
