"""Derivatives from values alone: central differences at three steps, extrapolated to step 0, with their error.

What is differentiated, and along what, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.graph.layout import Array

WITNESS = 2.0**-12
LEVELS = (1.0, 0.5, 0.25, WITNESS)  # of a step
Values = Callable[[Array, Array], Array]


@dataclass
class Slopes:
    """Derivatives, an estimate of the error of each, the step that was best, and the second derivatives, roughly."""

    derivative: Array
    error: Array
    step: Array
    curvature: Array

    def take_better(self, which: Array, other: Slopes) -> None:
        """Of the entries `which`, take those of another trial whose error is smaller.

        Where the two contradict each other, the function swings faster than the larger step: the smaller one counts.
        """
        better, smaller = ~(other.error >= self.error[which]), other.step < self.step[which]
        with np.errstate(invalid="ignore"):
            contrary = np.abs(other.derivative - self.derivative[which]) > other.error + self.error[which]
        taken = np.where(contrary, smaller, better)
        for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True):
            mine[which] = np.where(taken, theirs, mine[which])


def slopes(
    at_zero: Array, above: list[Array], below: list[Array], step: Array, noise: Any, crossed: Any = False
) -> Slopes:
    """From the values at the steps LEVELS * step to both sides; `noise` is how far each value may be off.
    Where a kink was `crossed` on the way, the numbers say nothing.

    Central differences are D(h) = J' + c h^2 + ..., so two steps cancel the square and three the fourth power. The last
    change of the table is the error. A kink next to the point does not show there: it makes the second differences
    s(h) = J(h) - 2 J(0) + J(-h) linear in h, where a smooth function has squares, so A in s = A h + B h^2 + ... is
    taken along.

    What swings faster than the steps may look flat to all three, so a much smaller step is the witness: where its
    derivative is another one, by more than its own rounding, the numbers say nothing either.
    """
    with np.errstate(all="ignore"):
        *D, witness = [(x - y) / (2 * level * step) for x, y, level in zip(above, below, LEVELS, strict=True)]
        once = [(4 * D[1] - D[0]) / 3, (4 * D[2] - D[1]) / 3]
        best = (16 * once[1] - once[0]) / 15
        curved = [x - 2 * at_zero + y for x, y in zip(above, below, strict=True)]
        linear = [(4 * curved[1] - curved[0]) / step, (4 * curved[2] - curved[1]) / (0.5 * step)]
        kink = np.abs((8 * linear[1] - linear[0]) / 7)
        rounding = noise / (LEVELS[2] * step)
        error = 2 * np.maximum(np.abs(best - once[1]), np.abs(best - once[0])) + 3 * rounding + kink
        bent = 4 * WITNESS**2 * np.abs(D[0] - best)  # c h^2 of the witness itself
        contradicted = np.abs(witness - best) > error + 3 * noise / (WITNESS * step) + bent
        error = np.where(np.isfinite(error) & ~contradicted & ~np.asarray(crossed), error, np.inf)
        curvature = np.abs(curved[0]) / (step * step)
    parts = np.where(np.isfinite(best), best, np.nan), error, np.broadcast_to(step, error.shape), curvature
    return Slopes(*(np.array(part, dtype=float) for part in parts))
