"""What books have of a function besides its formula: how they print it, what cancels there, the usual mistakes.

Functions of `m` are written over the namespace of expressions, as formulas are. An entry of the tables has what its
formula does not tell; of a user's own function nothing is stated, and all that is needed comes from its formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Mistake = tuple[str, Callable[..., Any]]


@dataclass(frozen=True)
class Printed:
    """Of an activation.

    `value` is (m, a, *parameters) if it is elementwise, and (m, a, p, k) for output k of the other kinds, with p(j)
    the softmax of a; `slope` is (m, a, o, *parameters) or (m, a, o, p, k, i), the derivative of output k by component
    i, alone or with words on it. In place of what is None stand the formula, and its derivative.

    Attributes
    ----------
    cancels
        Of arrays (a, o, |g|, *parameters) of all samples: the sum of the absolute terms of g L as books print it.
    beside
        What a printed value has for terms besides itself, as the 1 in log(1 + e).
    mistakes
        Words, and what then stands in the place of f'(a), of (a, o), or of g L, of (a, o, g).
    title, shares
        What a picture writes above the outputs, and above p, if it has a column for it.
    """

    value: Callable[..., Any] | None = None
    slope: Callable[..., Any] | None = None
    cancels: Callable[..., Any] | None = None
    beside: float = 0.0
    mistakes: tuple[Mistake, ...] = ()
    title: str = ""
    shares: str = ""


@dataclass(frozen=True)
class PrintedLoss:
    """Of a loss: `value` (m, z, t), and `slope` (m, z, t, p, k) by z[k], with p(j) the softmax of z."""

    value: Callable[..., Any] | None = None
    slope: Callable[..., Any] | None = None
