"""What a loss of the table has besides those of users; and losses that are sums or means of terms, one a component."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from graphprop.functions.loss import Loss
from graphprop.functions.printed import PrintedLoss
from graphprop.given.arrays import Array


class LossEntry(Loss):
    """A loss of the table. If it is made of terms of one component, they are its value and its gradient.

    `also` are other names that people know it by.
    """

    term: Term | None
    also: tuple[str, ...]
    printed: PrintedLoss  # type: ignore[misc]

    def __init__(
        self,
        name: str,
        value: Callable[[Array, Array], Any],
        gradient: Callable[[Array, Array], Any],
        *,
        printed: PrintedLoss,
        also: Iterable[str] = (),
        term: Term | None = None,
        **fields: Any,
    ) -> None:
        object.__setattr__(self, "term", term)
        object.__setattr__(self, "also", tuple(also))
        object.__setattr__(self, "printed", printed)
        super().__init__(name, value, gradient, check=False, **fields)


class Term(NamedTuple):
    """What a loss adds for a component, its slope, and the slope again where it nearly vanishes; a sum, or a mean.

    The compiled loops call value and slope for one number. A missing target, which is nan, adds nothing; means are over
    all components, those without a target too.
    """

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], Any]
    again: Callable[[Array, Array, Array], Array] | None = None
    mean: bool = False

    def total(self, z: Array, t: Array) -> Any:
        total = _there(self.value(z, t), t).sum(-1)
        return total / z.shape[-1] if self.mean else total

    def gradient(self, z: Array, t: Array) -> Array:
        slope: Array = self.slope(z, t)
        if self.again is not None:
            slope = self.again(slope, z, t)
        return _there(slope, t) / z.shape[-1] if self.mean else _there(slope, t)


def _there(terms: Array, t: Array) -> Array:
    missing = np.isnan(t)
    return np.where(missing, 0.0, terms) if missing.any() else terms


def of_terms(name: str, term: Term, **fields: Any) -> LossEntry:
    """A loss made of terms, which takes missing targets."""
    return LossEntry(name, term.total, term.gradient, term=term, missing=True, **fields)
