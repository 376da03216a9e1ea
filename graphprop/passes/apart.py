"""How far apart numbers are that should be the same. Of what they are the numbers is not known here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.graph.layout import Array
from graphprop.notation.foreign import as_floats


@dataclass(frozen=True)
class Difference:
    """Where two results differ most: the entry, both numbers, and how far apart they are."""

    entry: str
    first: Any
    second: Any
    absolute: float
    relative: float

    def __str__(self) -> str:
        return f"{self.entry}: {self.first!r} and {self.second!r}, relative difference {self.relative:.2e}"


def _compared(x: Any) -> Array:
    try:
        return as_floats(x)
    except GraphpropError:
        raise GraphpropError("symbols are not compared in numbers; put numbers in their place first") from None


def excess(x: Array, y: Array) -> Array:
    """How far apart the entries of two arrays are: relative to their size, and a little to the largest of all."""
    x, y = _compared(x), _compared(y)
    absolute = apart(x, y)[0]
    size = np.nan_to_num(np.maximum(np.abs(x), np.abs(y)))
    with np.errstate(all="ignore"):
        relative = np.where(absolute > 0, absolute / (size + 1e-3 * size.max(initial=0.0)), 0.0)
    result: Array = np.where(np.isnan(absolute), np.inf, relative)
    return result


def apart(x: Any, y: Any) -> tuple[Any, Any]:
    """Absolute difference, and relative to the larger of both; nan against a number is infinitely far."""
    x, y = _compared(x), _compared(y)
    with np.errstate(all="ignore"):
        absolute = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
        relative = np.where(absolute > 0, absolute / np.maximum(np.abs(x), np.abs(y)), 0.0)
        relative = np.where(np.isnan(absolute), np.inf, relative)
    return (float(absolute), float(relative)) if absolute.ndim == 0 else (absolute, relative)
