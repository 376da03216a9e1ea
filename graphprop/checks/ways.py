"""The ways of computing a gradient that `gp.check` holds against each other, each run and timed on its own.

Every way gives all entries it knows with a bound of its error. Which of them is right is not asked here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.checks.bounds import MOST_SLOPES, Bounds, bounds
from graphprop.checks.central_differences import LEVELS, Slopes, slopes
from graphprop.checks.copies import Changes, Copies, formula_of, losses_crossed, objective_terms
from graphprop.checks.culprits import Equations
from graphprop.checks.jacobians import jacobians
from graphprop.checks.rounding import Inside, U
from graphprop.errors import GraphpropError, LimitError, NoCompilerError
from graphprop.functions.arithmetic import Floats
from graphprop.functions.calling import PASSING
from graphprop.graph.layout import Array, Layout
from graphprop.network import Network
from graphprop.notation.escaping import label, plain
from graphprop.passes.addresses import Addresses, of_gradients, of_trace
from graphprop.passes.objective import Objective
from graphprop.passes.results import Gradients, Trace
from graphprop.textbook import matrixform, recursion

STEPS = (2.0**-7, 2.0**-11, 2.0**-3, 2.0**-16, 2.0**-21, 2.0**-26, 2.0**-31, 2.0**-36)
# in units of what moves a pre-activation by 1; the last ones are mostly noise, but show what swings
IMAGINARY = 2.0**-300  # its square, by which a derivative is off, is far below every digit
FADED = 2.0**-520  # slopes below it, times the imaginary step, may be near that square or the smallest numbers
WORK = 2_000_000  # how many values of activations the differences may take; above it some entries are drawn
CALLS = 20_000  # of the form over paths
RECURSION_WORK = 2_000_000  # products in the form over parents
MOST_WORK = 10_000_000  # of these, for the nodes that are drawn where all would be too many
SLOPE = 8  # products take as long as an entry of a Jacobian
PATHS_WORK = 20_000_000  # products in the form over paths, in which a call for a wide node makes many


@dataclass
class Way:
    """One way: its numbers, and bounds of their errors; or the reason why it gives none."""

    name: str
    kind: str  # what it stands on: "derivatives" of activations, "values", "formulas", or "automatic" differentiation
    numbers: Array = field(default_factory=lambda: np.empty(0))
    errors: Array = field(default_factory=lambda: np.empty(0))
    seconds: float | None = None
    verdict: str = ""  # set where it gives no numbers
    reason: str = ""
    entry: str = ""  # with a verdict
    absolute: float | None = None
    relative: float | None = None
    gradients: Gradients | None = None
    equations: Equations | None = None
    complete: bool = True  # whether it gives all that ways of its kind give

    @property
    def ran(self) -> bool:
        return not self.verdict


@dataclass
class Question:
    """What is asked of every way."""

    net: Network
    trace: Trace
    objective: Objective
    addresses: Addresses
    inside: Inside
    bounds: Bounds
    response: Array | None  # see bounds
    rng: np.random.Generator

    @cached_property
    def formula_errors(self) -> Array:
        """Bounds for a way that takes the textbook formulas, which round earlier than the stable forms."""
        layout = self.trace.layout
        a, o = Copies(layout, self.trace.theta, self.trace.o_flat[:, layout.input_columns]).run(
            Changes(np.zeros(1)), complex_numbers=True
        )
        known = np.where(np.isinf(self.trace.o_flat), 0.0, self.trace.o_flat)
        shift = *(_early_rounding(x[0].real, y) for x, y in ((a, self.trace.a_flat), (o, known))), _formula_slopes(self)
        given = self.addresses, self.trace, self.objective, self.inside, shift, self.response
        errors = bounds(*given, slopes=self.bounds.slopes).own
        forward = slice(0, self.addresses.span("o").stop)
        told = self.addresses.pack(value=abs(self.value), a=np.abs(self.trace.a_flat), o=np.abs(known))
        errors[forward] = self.bounds.own[forward] + 1e-12 * (1 + told[forward])
        return errors

    @property
    def precision(self) -> float:
        """The relative error of differences at which no better step is looked for."""
        return 1e-8 if self.response is None else 1e-5

    @cached_property
    def value(self) -> float:
        terms = objective_terms(self.objective, self.trace.o_flat[None][:, :, self.objective.columns])[0]
        return float(Floats().total(terms.tolist()))


def timed(name: str, kind: str, run: Callable[[Way], None]) -> Way:
    """A way, run; what it raises is its verdict."""
    way, start = Way(name, kind), time.perf_counter()
    try:
        run(way)
    except LimitError as error:
        way.verdict, way.reason = "not applicable", str(error).split(";")[0]
    except (NotApplicableError, NoCompilerError) as error:
        way.verdict, way.reason = "not applicable", str(error)
    except PASSING:
        raise
    except Exception as error:  # an engine that was changed may raise anything
        way.verdict, way.reason = "fails", f"{type(error).__name__}: {plain(str(error))}"
    way.seconds = time.perf_counter() - start
    return way


def timed_again(name: str, kind: str, run: Callable[[Way], None]) -> Way:
    """A way with the time of a second run: the first one of a process may have to compile the kernels."""
    way = timed(name, kind, run)
    way.seconds = timed(name, kind, run).seconds
    return way


class NotApplicableError(Exception):
    """A way that this network has not."""


# ------------------------------------------------------------------ ways that carry derivatives


def by_recursion(q: Question, form: str, letter: str) -> Way:
    def run(way: Way) -> None:
        layout = q.trace.layout
        given: dict[str, Any] = {"form": form, "limit": CALLS}
        if form == "paths":
            given["limit"] = max(1, min(CALLS, PATHS_WORK // (q.trace.samples * _widest(layout))))
        if form == "parents":
            each, once = _parents_work(q)
            asked = max(1, len(layout.names) * RECURSION_WORK // int(each.sum()))
            given["limit"] = 10**18
            drawn = np.arange(len(layout.names))
            if asked < len(drawn):
                drawn = q.rng.choice(len(drawn), min(asked, 8), replace=False)
                way.complete = False
                given["of"] = [layout.names[v] for v in sorted(drawn.tolist())]
                way.reason = f"of {len(drawn)} nodes of {len(layout.names)}"
            if (work := int(each[drawn].sum()) + once) > MOST_WORK:
                raise NotApplicableError(f"it would take about {work:.1e} products {way.reason}".rstrip())
        g = recursion.backpropagate(q.net, q.trace, q.objective, **given)
        trace = of_trace(q.trace) if form == "children" else {}
        _take(way, q, g, q.bounds.shared, **trace)
        if form == "children":
            way.equations = Equations(g, q.trace, q.objective, q.addresses, q.inside, q.bounds.slopes)

    return timed(f"recursion ({letter}), {form}", "derivatives", run)


def _parents_work(q: Question) -> tuple[Array, int]:
    """Products of the form over parents: for each node in all others, and once for the Jacobians of all nodes."""
    nodes = q.trace.layout.nodes
    slopes = np.array([node.n * node.m if node.activation is not None and node.n > 1 else 0 for node in nodes])
    components = np.array([node.n if node.activation is not None else node.m for node in nodes], dtype=float)
    each = components * np.maximum(len(q.trace.layout.row) + slopes.sum() - slopes, 1)
    return q.trace.samples * each, SLOPE * q.trace.samples * int(slopes.sum())


def _widest(layout: Layout) -> int:
    """The most products that one node takes in a call: its components and the weights into it."""
    into = np.bincount(layout.node_of_row[layout.row], minlength=len(layout.names))
    return int((into + np.diff(layout.a_start)).max(initial=1))


def by_engine(q: Question) -> Way:
    def run(way: Way) -> None:
        own = q.net.forward(_inputs(q))
        g = q.net.backward(q.trace, q.objective)
        _take(way, q, g, q.bounds.shared, **of_trace(own))
        way.equations = Equations(g, q.trace, q.objective, q.addresses, q.inside, q.bounds.slopes)

    return timed_again("engine, backward", "derivatives", run)


def by_program(q: Question) -> Way:
    """The engine's calls for training, which compute the forward pass on the way."""
    name = "value_and_grad" if q.objective.losses else "vjp"

    def run(way: Way) -> None:
        addresses, program = q.addresses, q.net.program
        if q.objective.losses:
            value, theta = program.value_and_grad(q.trace.theta, _inputs(q), q.objective)
            told = addresses.of_theta(np.nan_to_num(theta, nan=np.inf)) | {"value": value}
        else:
            theta, by_inputs = program.vjp(q.trace.theta, _inputs(q), q.objective)
            obar = np.full(q.trace.o_flat.shape, np.nan)
            obar[:, q.trace.layout.input_columns] = np.reshape(by_inputs, (q.trace.samples, -1))
            told = addresses.of_theta(np.nan_to_num(theta, nan=np.inf)) | {"obar": obar}
        way.numbers, way.errors, way.complete = addresses.pack(**told), q.bounds.own, False

    return timed_again(f"engine, {name}", "derivatives", run)


def by_matrices(q: Question) -> Way:
    def run(way: Way) -> None:
        _take(way, q, matrixform.backpropagate(q.net, q.trace, q.objective), q.bounds.shared)

    return timed("matrix form", "derivatives", run)


def _take(way: Way, q: Question, g: Gradients, errors: Array, **more: Any) -> None:
    way.numbers, way.errors, way.gradients = q.addresses.pack(**of_gradients(g), **more), errors, g


def _inputs(q: Question) -> Array:
    rows: Array = q.trace.o_flat[:, q.trace.layout.input_columns]
    return rows if q.trace.batched else rows[0]


# ------------------------------------------------------------------ ways that take values alone


@dataclass
class Places:
    """What is changed, one at a time: pre-activations, outputs, uses of weights, and shared entries of theta."""

    rows: Array
    columns: Array
    uses: Array
    shared: Array  # numbers among addresses.shared
    units: Array  # of each in this order, the step that moves a pre-activation by about 1

    def __len__(self) -> int:
        return len(self.units)

    def part(self, which: Array) -> Places:
        """Some of them, by number in order."""
        cuts = np.cumsum([0, len(self.rows), len(self.columns), len(self.uses), len(self.shared)])
        arrays = (self.rows, self.columns, self.uses, self.shared)
        own = [x[which[(which >= i) & (which < j)] - i] for x, i, j in zip(arrays, cuts[:-1], cuts[1:], strict=True)]
        rows, columns, uses, shared = own
        return Places(rows, columns, uses, shared, self.units[which])


def places(q: Question) -> tuple[Places, bool]:
    """Everything, or what is drawn of it where that would be too much; and whether it is everything."""
    layout, o, theta = q.trace.layout, np.nan_to_num(q.trace.o_flat, neginf=0.0), q.trace.theta
    largest = np.abs(o).max(axis=0)
    of_use = 1 / np.where(largest == 0, 1, largest)[layout.column]
    heaviest = np.zeros(int(layout.o_start[-1]))
    np.maximum.at(heaviest, layout.column, np.abs(theta[layout.position]))
    of_column = 1 / np.where(heaviest == 0, 1, heaviest)
    of_position = np.ones(layout.size)
    np.minimum.at(of_position, layout.position, of_use)
    counts = int(layout.a_start[-1]), int(layout.o_start[-1]), len(layout.position), len(q.addresses.shared)
    unit = np.concatenate((np.ones(counts[0]), of_column, of_use, of_position[q.addresses.shared]))
    rows, columns, uses, shared = (np.arange(n) for n in counts)
    every = Places(rows, columns, uses, shared, unit)
    most = max(8, WORK // (2 * len(LEVELS) * q.trace.samples * _cost_of_a_pass(q)))
    if len(every) <= most:
        return every, True
    return every.part(np.sort(q.rng.choice(len(every), most, replace=False))), False


def _cost_of_a_pass(q: Question) -> int:
    nodes = [node for node in q.trace.layout.nodes if node.activation is not None]
    functions = sum(node.n if node.kind_of_function == "elementwise" else 30 + node.n for node in nodes)
    return functions + len(q.trace.layout.row) // 64


def changes(q: Question, where: Places, steps: Array) -> Changes:
    """A copy without change, then one for each place."""
    layout, addresses = q.trace.layout, q.addresses
    of = np.arange(1, len(where) + 1)
    cuts = np.cumsum([len(where.rows), len(where.columns), len(where.uses)])
    row_of, column_of, use_of, shared_of = np.split(of, cuts)
    number = np.full(layout.size, -1)
    number[addresses.shared[where.shared]] = shared_of
    of_use, of_bias = number[layout.position], number[layout.bias_position]
    tied, tied_bias = np.flatnonzero(of_use >= 0), np.flatnonzero(of_bias >= 0)
    return Changes(
        np.concatenate((np.zeros(1, steps.dtype), steps)),
        use_of=np.concatenate((use_of, of_use[tied])),
        use=np.concatenate((where.uses, tied)),
        row_of=np.concatenate((row_of, of_bias[tied_bias])),
        row=np.concatenate((where.rows, layout.bias_row[tied_bias])),
        column_of=column_of,
        column=where.columns,
    )


def pack_places(q: Question, where: Places, found: Array) -> dict[str, Array]:
    """Numbers per place and sample as entries by kind; the derivative by a bias is the one by its pre-activation."""
    layout, samples = q.trace.layout, q.trace.samples
    rows, columns, uses, shared = np.split(found, np.cumsum([len(where.rows), len(where.columns), len(where.uses)]))
    delta = np.full((samples, int(layout.a_start[-1])), np.nan)
    obar = np.full((samples, int(layout.o_start[-1])), np.nan)
    weight, theta = np.full(len(layout.position), np.nan), np.full(layout.size, np.nan)
    delta[:, where.rows], obar[:, where.columns] = rows.T, columns.T
    weight[where.uses], theta[q.addresses.shared[where.shared]] = uses.sum(axis=1), shared.sum(axis=1)
    return {
        "delta": delta,
        "obar": obar,
        "weight": weight,
        "bias": delta[:, layout.bias_row].sum(axis=0),
        "theta": theta,
    }


def by_differences(q: Question, where: Places) -> Way:
    def run(way: Way) -> None:
        copies = Copies(q.trace.layout, q.trace.theta, q.trace.o_flat[:, q.trace.layout.input_columns])
        a, o = copies.run(Changes(np.zeros(1)))
        found = _trial(q, copies, where, STEPS[0])
        for step in STEPS[1:]:
            poor = np.flatnonzero((found.error > q.precision * np.abs(found.derivative)).any(axis=1))
            if len(poor):
                found.take_better(poor, _trial(q, copies, where.part(poor), step))
        told = pack_places(q, where, found.derivative)
        errors = pack_places(q, where, found.error)
        told |= {"a": a[0], "o": o[0], "value": np.array(_value(q, o[0]))}
        errors |= {kind: q.bounds.own[q.addresses.span(kind)] for kind in ("a", "o", "value")}
        way.numbers, way.errors = q.addresses.pack(**told), q.addresses.pack(**errors)
        steps = found.step[np.isfinite(found.error)]
        if steps.size:
            way.reason = f"steps {steps.min():.1e} to {steps.max():.1e}"

    return timed("central differences", "values", run)


def _value(q: Question, o: Array) -> float:
    return float(Floats().total(objective_terms(q.objective, o[None][:, :, q.objective.columns])[0].tolist()))


def _trial(q: Question, copies: Copies, where: Places, step: float) -> Slopes:
    """Central differences of the objective at all places, per sample, with this step."""
    parts = []
    for part in _chunks(len(where), 2 * len(LEVELS) * q.trace.o_flat.size):
        own = where.part(part)
        steps = step * own.units
        signed = [side * level * steps for level in LEVELS for side in (1, -1)]
        change = _joined([changes(q, own, s) for s in signed], len(own))
        a, o = copies.run(change)
        z = o[:, :, q.objective.columns]
        each = (copies.crossed(a) | losses_crossed(q.objective, z))[1:]
        crossed = each.reshape(2 * len(LEVELS), len(own), -1).any(axis=0)
        terms = objective_terms(q.objective, z)
        sides = np.split(terms[1:], 2 * len(LEVELS))
        parts.append(slopes(terms[:1], sides[::2], sides[1::2], steps[:, None], q.bounds.value, crossed))
    if not parts:
        return Slopes(*(np.empty((0, q.trace.samples)) for _ in range(4)))
    return Slopes(*map(np.concatenate, zip(*(vars(x).values() for x in parts), strict=True)))


def _joined(each: list[Changes], count: int) -> Changes:
    """Several groups of copies as one, with a single copy without change."""

    def shifted(name: str) -> Array:
        return np.concatenate([getattr(x, name) + i * count for i, x in enumerate(each)])

    def all_of(name: str) -> Array:
        return np.concatenate([getattr(x, name) for x in each])

    steps = np.concatenate([each[0].steps[:1], *(x.steps[1:] for x in each)])
    names = ("use", "row", "column")
    return Changes(steps, **{f"{x}_of": shifted(f"{x}_of") for x in names}, **{x: all_of(x) for x in names})


def _chunks(count: int, size_of_one: int) -> Iterable[Array]:
    most = max(1, 4_000_000 // max(size_of_one, 1))
    return (np.arange(first, min(first + most, count)) for first in range(0, count, most))


def by_complex_step(q: Question, where: Places) -> Way:
    def run(way: Way) -> None:
        layout, objective = q.trace.layout, q.objective
        without = sorted({n.kind for n in layout.nodes if n.activation is not None and n.activation.formula is None})
        if without:
            raise NotApplicableError(f"{', '.join(map(label, without))} has no formula")
        try:
            copies = Copies(layout, q.trace.theta, q.trace.o_flat[:, layout.input_columns])
            found = []
            for part in _chunks(len(where), 2 * q.trace.o_flat.size):
                own = where.part(part)
                a, o = copies.run(changes(q, own, 1j * IMAGINARY * own.units), complex_numbers=True)
                terms = objective_terms(objective, o[:, :, objective.columns])
                found.append(terms[1:].imag / (IMAGINARY * own.units[:, None]))
            a, o = copies.run(Changes(np.zeros(1)), complex_numbers=True)
            base = {"a": a[0].real, "o": o[0].real}
            base["value"] = objective_terms(objective, o[:, :, objective.columns])[0].real.sum()
            way.errors = q.formula_errors.copy()
            way.errors[q.addresses.span("o").stop :] += FADED
        except GraphpropError as error:
            raise NotApplicableError(str(error)) from None
        told = pack_places(q, where, np.concatenate(found))
        way.numbers = q.addresses.pack(**told, **base)

    return timed("complex step", "formulas", run)


def _early_rounding(found: Array, right: Array) -> Array:
    """How far values of formulas are off; more than rounding can do is a fault, and not allowed for."""
    off = np.abs(found - right)
    return np.where(off <= 1e-9 * (1 + np.abs(right)), off, 0.0)


def _formula_slopes(q: Question) -> Array:
    """By how much slopes of the formulas are off for early rounding; more than that is a fault, and not allowed for."""
    layout = q.trace.layout
    off = np.zeros(q.trace.a_flat.shape)
    for v, node in enumerate(layout.nodes):
        if (f := node.activation) is None:
            continue
        rows = layout.a_slice(v)
        a = q.trace.a_flat[:, rows]
        L = jacobians(f, a, q.trace.o_flat[:, layout.o_slice(v)])
        if f.kind == "elementwise":
            own = formula_of(f, (a + 1j * IMAGINARY)[None])[0].imag / IMAGINARY
            change = 4 * np.abs(own - L)
        else:
            if len(a) * node.n**2 > MOST_SLOPES:
                raise GraphpropError(f"the formula of {label(f.name)} would be taken {len(a) * node.n**2:,} times")
            sides = np.array([a + 1j * IMAGINARY * (np.arange(node.n) == i) for i in range(node.n)])
            own = formula_of(f, sides).imag / IMAGINARY  # (n, samples, m)
            change = np.maximum(4 * np.abs(np.moveaxis(own, 0, -1) - L).max(axis=1), 8 * U)
        largest = 1 + np.abs(L).max(initial=0.0) + np.abs(a).max(initial=0.0)
        off[:, rows] = np.where(change <= 2**13 * U * largest, change, 0.0)
    return off
