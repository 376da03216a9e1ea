"""`gp.check`: all ways of computing one gradient side by side, and which of them is wrong, where.

No way is taken to be right. They stand on different ground: some carry the derivatives of the activations, some take
values or textbook formulas alone. The reference is the way with which the most kinds of ground agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from graphprop.checks.bounds import TELLS, bounds, check_slopes
from graphprop.checks.by_direction import by_directions
from graphprop.checks.by_library import by_library
from graphprop.checks.culprits import constant_ratio, wrong_derivatives, wrong_loss
from graphprop.checks.own_functions import rounding_inside
from graphprop.checks.report import Report, Row
from graphprop.checks.ways import (
    Question,
    Way,
    by_complex_step,
    by_differences,
    by_engine,
    by_matrices,
    by_program,
    by_recursion,
    places,
)
from graphprop.errors import GraphpropError, check_choice
from graphprop.functions.arithmetic import Floats
from graphprop.given.arguments import generator
from graphprop.given.arrays import keeps_warnings
from graphprop.given.frames import by_name
from graphprop.graph.layout import Array, Layout, Name
from graphprop.network import Network
from graphprop.passes.addresses import Addresses, of_gradients, of_trace
from graphprop.passes.goals import Seeds, Target, read_objective
from graphprop.passes.heads import Losses, losses_of
from graphprop.passes.inputs import Inputs
from graphprop.passes.objective import HeadLoss, Objective
from graphprop.passes.results import Trace
from graphprop.textbook import recursion

VANISHED = 2.0**-960  # below it, digits are lost to underflow
SHOWN = 4  # worst entries
DEEP = 200  # nodes, above which the worst case of rounding is far from what happens
INDEPENDENT = ("values", "formulas", "automatic")


@keeps_warnings
@np.errstate(all="ignore")  # whatever the caller wants to hear of numpy
def check(
    net: Network,
    inputs: Inputs | None = None,
    node: Name | Objective | None = None,
    *,
    component: int | None = None,
    loss: Losses | None = None,
    target: Target | None = None,
    sample_weight: ArrayLike | None = None,
    seed: int | Seeds = 0,
    against: str | None = None,
) -> Report:
    """Compute a gradient in every way there is, and compare them entry by entry.

    The ways are the recursion in its three forms, the engine, the matrix form, complex step and central differences.
    Two numbers agree if rounding can explain their difference: the bounds follow from the network's own numbers.

    Parameters
    ----------
    net : Network
    inputs : mapping or array, optional
        As for `Network.forward`; two random samples if not given.
    node, component, loss, target, sample_weight
        The objective, as for `Network.backward`; a loss without target gets a random one. With no objective at all
        it is the sum of all outputs, each times a random number.
    seed : int or mapping
        An integer is what random numbers are drawn with; a mapping is the objective's, as for `Network.backward`.
    against : "jax" or "torch", optional
        Compute it with this library too.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.mlp([2, 3, 1], "tanh", "identity", seed=0)
    >>> report = gp.check(net)
    >>> report.ok
    True
    >>> bool(gp.check(net, [1.0, -2.0], loss="half_squared", target=[0.5]))
    True
    """
    if not isinstance(net, Network):
        raise GraphpropError(f"a network is checked, not {type(net).__name__}; gp.gradcheck takes a function")
    if against is not None:
        check_choice(against, ("jax", "torch"), "against")
    seeds = seed if by_name(seed) is not None else None
    rng = generator(seed if seeds is None else 0)
    layout = net.layout
    trace = _random_trace(net, rng) if inputs is None else recursion.forward(net, inputs)
    check_slopes(trace)
    arguments: dict[str, Any] = {"node": node, "component": component, "loss": loss, "target": target}
    arguments |= {"sample_weight": sample_weight, "seed": seeds}
    if loss is not None and target is None:
        arguments["target"] = _random_target(layout, losses_of(layout, loss), trace, rng)
    elif node is None and loss is None and seeds is None:
        arguments["seed"] = _random_seeds(layout, trace, rng)
    objective = read_objective(layout, trace.samples, trace.batched, **arguments)
    _check_value(objective, trace)
    addresses = Addresses(layout, trace.samples, trace.batched)
    response = _response(net, trace, objective, addresses, rng) if len(layout.names) > DEEP else None
    inside = rounding_inside(trace, objective)
    bound = bounds(addresses, trace, objective, inside, response=response)
    q = Question(net, trace, objective, addresses, inside, bound, response, rng)
    where, whole = places(q)
    forms = [by_recursion(q, *form) for form in (("children", "b"), ("parents", "a"), ("paths", "c"))]
    ways = [*forms, by_engine(q), by_program(q), by_matrices(q), by_complex_step(q, where), by_differences(q, where)]
    if against is not None:
        ways.append(by_library(q, against))
    if not whole:
        ways += [by_directions(q, way.gradients) for way in forms[:1] if way.gradients is not None]
    return _report(q, ways)


def _check_value(objective: Objective, trace: Trace) -> None:
    """Refuse an objective that is not finite here, which no way could differentiate."""
    with np.errstate(all="ignore"):
        terms, _ = objective.evaluate(trace.o_flat[:, objective.columns], Floats())
    objective.total(terms, Floats())


# ------------------------------------------------------------------ what was not given


def _random_trace(net: Network, rng: np.random.Generator) -> Trace:
    """Two random samples that the network accepts: a logarithm refuses some."""
    layout = net.layout
    layout.check_runnable()
    for trial in range(32):
        rows = rng.standard_normal((2, len(layout.input_columns)))
        try:
            return recursion.forward(net, rows if trial < 16 else np.abs(rows))
        except GraphpropError as error:
            refused = error
    raise GraphpropError(f"no random inputs were accepted, give some; {refused}")


def _random_seeds(layout: Layout, trace: Trace, rng: np.random.Generator) -> dict[Any, Array]:
    names = [name for head in layout.heads for name in head]
    if not names:
        raise GraphpropError("the network has no outputs to be differentiated")
    lead = (trace.samples,) if trace.batched else ()
    return {name: rng.standard_normal((*lead, layout.nodes[layout.find(name)].m)) for name in names}


def _random_target(
    layout: Layout, losses: Iterable[HeadLoss], trace: Trace, rng: np.random.Generator
) -> dict[Any, Array]:
    """By name, as the loss reads it; a distribution is one over a whole head."""
    lead = (trace.samples,) if trace.batched else ()
    target: dict[Any, Array] = {}
    for entry, head in losses:
        widths = [layout.nodes[layout.find(name)].m for name in head]
        drawn = (
            rng.uniform(size=(*lead, sum(widths)))
            if entry.targets != "any"
            else rng.standard_normal((*lead, sum(widths)))
        )
        if entry.targets == "sign":
            drawn = np.where(drawn < 0.5, -1.0, 1.0)
        if entry.targets == "distribution":
            drawn /= drawn.sum(axis=-1, keepdims=True)
        parts = np.split(drawn, np.cumsum(widths)[:-1], axis=-1)
        target |= dict(zip(head, parts, strict=True))
    return target


def _response(
    net: Network, trace: Trace, objective: Objective, addresses: Addresses, rng: np.random.Generator
) -> Array:
    """How far every entry moves when all data is changed in its 44th bit, some hundred times what rounding does."""

    def entries_of(trace: Trace) -> Array:
        g = recursion.backpropagate(net, trace, objective)
        return addresses.pack(**of_gradients(g), **of_trace(trace))

    base, most = entries_of(trace), np.zeros(addresses.size)
    inputs = trace.o_flat[:, trace.layout.input_columns]
    for _ in range(3):
        rows = inputs * (1 + 2.0**-44 * rng.standard_normal(inputs.shape))
        theta = trace.theta * (1 + 2.0**-44 * rng.standard_normal(len(trace.theta)))
        moved = recursion.forward(net, rows if trace.batched else rows[0], theta)
        most = np.fmax(most, np.abs(entries_of(moved) - base))
    with np.errstate(all="ignore"):
        typical = np.nanmedian(np.where(base != 0, most / np.abs(base), np.nan))
    floor: Array = np.fmax(most, 0.1 * np.nan_to_num(typical) * np.abs(base)) + VANISHED
    return floor


# ------------------------------------------------------------------ who is right


def _report(q: Question, ways: list[Way]) -> Report:
    ran = [way for way in ways if way.ran]
    for way in ran:
        unknown = np.isinf(way.errors) & np.isnan(way.numbers)
        if unknown.any():
            way.numbers = np.where(unknown, 0.0, way.numbers)
    sound = [way for way in ran if way.equations is None or not (way.equations.excess > 1).any()]
    reference = _reference(sound or ran)
    rows, failing, worst = [], [], np.zeros(q.addresses.size)
    covered, told = np.zeros(q.addresses.size, bool), np.zeros(q.addresses.size, bool)
    for way in ways:
        if not way.ran:
            rows.append(Row(way.name, way.verdict, way.reason, way.entry, way.absolute, way.relative, 0, way.seconds))
            continue
        compared = ~np.isnan(way.numbers) & ~np.isnan(reference.numbers)
        excess = _excess(way, reference)
        silent = _silent(q, way, reference) & compared
        if way.kind in INDEPENDENT:
            covered |= compared
            told |= compared & ~silent
        worst = np.fmax(worst, excess)
        row = _row(q, way, reference, excess, int(silent.sum()), int(compared.sum()))
        if row.verdict == "fails":
            failing.append(way)
        rows.append(row)
    undecided = np.flatnonzero(covered & ~told)
    findings = _findings(q, failing, reference)
    if (worst > 1).any():
        worst[worst <= 1] = 0
    else:
        worst[1 : q.addresses.span("o").stop] = 0
    shown = np.argsort(-worst, kind="stable")[:SHOWN].tolist()
    side_by_side = {
        q.addresses.label_entry(i): {way.name: float(way.numbers[i]) for way in ran if not np.isnan(way.numbers[i])}
        for i in shown
        if worst[i] > 0
    }
    value = float(reference.numbers[0]) if not np.isnan(reference.numbers[0]) else float(ran[0].numbers[0])
    samples = f"{q.trace.samples} sample{'' if q.trace.samples == 1 else 's'}"
    title = f"check of {q.objective} = {value:.6g}, {samples}, in {q.net!r}"
    told_why = tuple(f"{q.addresses.label_entry(i)} ({_why(q, i)})" for i in undecided.tolist())
    return Report(title, tuple(rows), reference.name, tuple(findings), side_by_side, told_why)


def _reference(ways: list[Way]) -> Way:
    """The way that the most kinds of ground agree with, with what it lacks filled in by those that agree with it.

    Of equal ones it is one that carries derivatives, as these are the most precise; but if they stand alone, one that
    stands on values, which define the derivative.
    """

    def agreeing(way: Way) -> list[Way]:
        return [other for other in ways if not (_excess(way, other) > 1).any()]

    def support(way: Way) -> tuple[int, bool, int, int]:
        agree = agreeing(way)
        grounds, known = len({other.kind for other in agree}), int((~np.isnan(way.numbers)).sum())
        return grounds, (way.kind == "derivatives") == (grounds > 1), known, len(agree)

    best = max([way for way in ways if way.complete] or ways, key=support)
    numbers, errors = best.numbers.copy(), best.errors.copy()
    for other in sorted(agreeing(best), key=support, reverse=True):
        lacking = np.isnan(numbers)
        numbers[lacking], errors[lacking] = other.numbers[lacking], other.errors[lacking]
    return replace(best, numbers=numbers, errors=errors)


def _excess(way: Way, other: Way) -> Array:
    """The differences of two ways, in units of what rounding and the estimated errors explain; above 1 is too much."""
    with np.errstate(all="ignore"):
        difference, allowed = _difference(way, other), way.errors + other.errors
        excess = np.where(difference == 0, 0.0, np.where(np.isinf(allowed), 0.0, difference / allowed))
    return np.where(np.isnan(way.numbers) | np.isnan(other.numbers), 0.0, np.nan_to_num(excess, nan=np.inf))


def _difference(way: Way, other: Way) -> Array:
    with np.errstate(invalid="ignore"):  # of infinities, which are equal
        return np.where(way.numbers == other.numbers, 0.0, np.abs(way.numbers - other.numbers))


def _silent(q: Question, way: Way, reference: Way) -> Array:
    """Where a way that stands on values says nothing about a derivative."""
    silent = np.zeros(q.addresses.size, bool)
    if way.kind not in INDEPENDENT:
        return silent
    b, first = q.bounds, q.addresses.span("o").stop
    both_zero = (b.scale == 0) & (way.numbers == 0) & (reference.numbers == 0)
    with np.errstate(invalid="ignore"):
        coarse = (way.errors > TELLS * b.scale) & ~both_zero
    silent[first:] = (coarse | (b.lost & (b.scale < VANISHED)))[first:]
    return silent


def _why(q: Question, i: int) -> str:
    if q.bounds.scale[i] < VANISHED:
        return "saturated or faded, below the smallest number"
    return "at a kink or a tie" if q.bounds.own[i] > TELLS * q.bounds.scale[i] else "too small for differences"


def _row(q: Question, way: Way, reference: Way, excess: Array, silent: int, compared: int) -> Row:
    row = Row(way.name, "ok", way.reason, entries=compared, seconds=way.seconds)
    if way.name == reference.name:
        own = int((~np.isnan(way.numbers)).sum())
        return replace(row, reason="; ".join(filter(None, ("the reference", way.reason))), entries=own)
    if way.equations is not None and not (excess > 1).any():
        excess = np.fmax(excess, way.equations.excess)
    difference = np.nan_to_num(_difference(way, reference), nan=0.0)
    difference[1 : q.addresses.span("o").stop] *= (excess > 1).any()
    size = np.fmax(np.abs(way.numbers), np.abs(reference.numbers))
    worth = np.fmax(excess, 0) if (excess > 1).any() else difference / np.fmax(np.fmax(size, q.bounds.scale), 1e-300)
    i = int(np.argmax(worth))
    if difference[i] > 0:
        relative = float(difference[i] / size[i])
        row = replace(row, entry=q.addresses.label_entry(i), absolute=float(difference[i]), relative=relative)
    else:
        row = replace(row, absolute=0.0, relative=0.0)
    wrong = int((excess > 1).sum())
    if wrong:
        return replace(row, verdict="fails", reason=f"{wrong} of {compared} entries")
    if silent:
        told = "; ".join(filter(None, (f"{silent} of {compared} entries", way.reason)))
        return replace(row, verdict="undecided", reason=told)
    return row


def _findings(q: Question, failing: list[Way], reference: Way) -> list[str]:
    """What is wrong with the ways that fail, and where it begins."""
    found = []
    shared = [way for way in failing if way.kind == "derivatives"]
    if (shared and reference.kind != "derivatives") or any(way.kind in INDEPENDENT for way in failing):
        causes = [*wrong_derivatives(q.trace), *filter(None, [wrong_loss(q.trace, q.objective)])]
        found += [f"every way that carries derivatives: {cause}" for cause in causes]
        if causes and shared:
            failing = [way for way in failing if way.kind != "derivatives"]
    for way in failing:
        excess = _excess(way, reference)
        worst = q.addresses.label_entry(int(np.argmax(excess)))
        start = _first_wrong_value(q, way, excess)
        broken = [] if way.equations is None or start else way.equations.broken(excess > 1)
        backward = way.numbers.copy()
        backward[: q.addresses.span("o").stop] = np.nan
        ratio = constant_ratio(backward, reference.numbers)
        causes = [start] if start else [*filter(None, [ratio]), *broken]
        found += [f"{way.name}: {cause}" for cause in causes or [f"disagrees with all others, most in {worst}"]]
    return found


def _first_wrong_value(q: Question, way: Way, excess: Array) -> str:
    """The first node, parents before children, whose value is wrong in the forward pass."""
    layout = q.trace.layout
    wrong = {kind: np.reshape(excess[q.addresses.span(kind)] > 1, (q.trace.samples, -1)) for kind in ("a", "o")}
    if not wrong["a"].any() and not wrong["o"].any():
        return ""
    for v in layout.order.tolist():
        for kind, span in (("a", layout.a_slice(v)), ("o", layout.o_slice(v))):
            if wrong[kind][:, span].any():
                s, i = (int(x) for x in np.argwhere(wrong[kind][:, span])[0])
                place = int(q.addresses.places(kind)[s, span.start + i])
                right = of_trace(q.trace)[kind].ravel()[place]
                return (
                    f"the forward pass: {q.addresses.label(kind, place)} of a {layout.nodes[v].kind} node is "
                    f"{way.numbers[q.addresses.span(kind)][place]:.12g}, the others give {right:.12g}"
                )
    return ""
