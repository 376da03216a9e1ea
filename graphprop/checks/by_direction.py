"""Differences along random directions of theta, for networks with too many entries for differences of each.

A direction changes all parameters at once, so one number checks them all; where it is wrong, halving the parameters
that it changes leads to the guilty one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphprop.checks.bounds import TELLS
from graphprop.checks.central_differences import LEVELS, Slopes, slopes
from graphprop.checks.copies import Changes, Copies, losses_crossed, objective_terms
from graphprop.checks.culprits import wrong_derivatives
from graphprop.checks.ways import STEPS, Question, Way, timed
from graphprop.graph.layout import Array
from graphprop.passes.results import Gradients

DIRECTIONS = 2
Measure = Callable[[Array], Slopes]  # of directions, one per row


def by_directions(q: Question, g: Gradients) -> Way:
    """The derivative along some directions against the gradient; if it is wrong, the parameter that makes it so."""

    def run(way: Way) -> None:
        layout, bounds, span = q.trace.layout, q.bounds.own, q.addresses.span
        errors = layout.sum_of_uses(bounds[span("weight")], bounds[span("bias")])
        copies = Copies(layout, q.trace.theta, q.trace.o_flat[:, layout.input_columns])
        drawn = _units(q) * q.rng.choice([-1.0, 1.0], (DIRECTIONS, layout.size))

        def measure(directions: Array) -> Slopes:
            return _measured(q, copies, directions)

        found = measure(drawn)
        predicted, allowed = drawn @ g.theta, found.error + np.abs(drawn) @ errors
        with np.errstate(invalid="ignore"):
            excess = np.nan_to_num(np.where(np.isinf(allowed), 0.0, np.abs(found.derivative - predicted) / allowed))
        i = int(np.argmax(excess))
        way.absolute = float(np.abs(found.derivative - predicted)[i])
        way.relative = way.absolute / max(abs(float(predicted[i])), 1e-300)
        way.verdict, way.reason = "ok", f"{DIRECTIONS} directions"
        terms = np.sqrt((drawn * g.theta) ** 2 @ np.ones(layout.size))
        if not (excess > 1).any():
            if (allowed > TELLS * terms).all() and terms.any():
                way.verdict, way.absolute, way.relative = "undecided", None, None
            return
        way.verdict = "fails"
        if any(wrong_derivatives(q.trace)):
            return  # told in the findings; it makes all entries before it wrong
        position = bisect(measure, drawn[i], g.theta, errors)
        way.entry = layout.label_position(position)

    return timed("directions", "values", run)


def bisect(measure: Measure, direction: Array, gradient: Array, errors: Array) -> int:
    """The entry that makes the derivative along a direction wrong: in the half where it is most so, again and again."""
    members = np.flatnonzero(direction)
    while len(members) > 1:
        halves = np.array_split(members, 2)
        parts = np.zeros((2, len(direction)))
        for part, half in zip(parts, halves, strict=True):
            part[half] = direction[half]
        found = measure(parts)
        allowed = found.error + np.abs(parts) @ errors
        excess = np.abs(found.derivative - parts @ gradient) / allowed
        members = halves[int(np.argmax(np.nan_to_num(excess)))]
    return int(members[0])


def _units(q: Question) -> Array:
    """How far each parameter is moved, so that a pre-activation moves by about 1 in all."""
    layout = q.trace.layout
    largest = np.abs(np.nan_to_num(q.trace.o_flat, neginf=0.0)).max(axis=0)
    terms = layout.fan_in + np.bincount(layout.bias_row, minlength=len(layout.fan_in))
    size = np.where(largest == 0, 1.0, largest)
    unit = np.full(layout.size, np.inf)
    np.minimum.at(unit, layout.position, 1 / (size[layout.column] * np.sqrt(terms[layout.row])))
    np.minimum.at(unit, layout.bias_position, 1 / np.sqrt(terms[layout.bias_row]))
    return np.where(np.isfinite(unit), unit, 0.0)


def _measured(q: Question, copies: Copies, directions: Array) -> Slopes:
    found = _trial(q, copies, directions, STEPS[0])
    for step in STEPS[1:]:
        poor = np.flatnonzero(found.error > q.precision * np.abs(found.derivative))
        if len(poor):
            found.take_better(poor, _trial(q, copies, directions[poor], step))
    return found


def _trial(q: Question, copies: Copies, directions: Array, step: float) -> Slopes:
    """Central differences of the whole objective along directions."""
    count = len(directions)
    signed = np.array([side * level * step for level in LEVELS for side in (1.0, -1.0)])
    steps = np.concatenate(([0.0], np.repeat(signed, count)))
    of = np.concatenate(([-1], np.tile(np.arange(count), len(signed))))
    a, o = copies.run(Changes(steps, directions=directions, direction_of=of))
    z = o[:, :, q.objective.columns]
    terms = objective_terms(q.objective, z)
    change = (terms[1:] - terms[0]).sum(axis=1).reshape(len(signed), count)  # the differences of each sample, then all
    crossed = (
        (copies.crossed(a) | losses_crossed(q.objective, z))[1:].any(axis=1).reshape(len(signed), count).any(axis=0)
    )
    return slopes(np.zeros(count), list(change[::2]), list(change[1::2]), np.array(step), q.bounds.value.sum(), crossed)
