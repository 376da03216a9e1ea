"""Numbers as a user gives them, read as arrays of floats; anything else is told what it was."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphprop.errors import GraphpropError

Array = NDArray[Any]


def real_array(given: Any, where: str) -> Array:
    """A new float64 array of what was given, or an error that says what it was."""
    if isinstance(given, str | bytes | dict | set):
        raise GraphpropError(f"{where}: numbers are needed, not {_short(given)}")
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise GraphpropError(f"{where}: some entries of the masked array are masked; numbers are needed for all")
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RecursionError):
        raise GraphpropError(f"{where}: numbers of one regular shape are needed, not {_short(given)}") from None
    if array.dtype.kind == "O" and not any(isinstance(x, str | bytes | bool | None) for x in array.ravel()):
        try:
            return array.astype(float)  # decimals, fractions, integers beyond 64 bits
        except (TypeError, ValueError, OverflowError):
            pass
    if array.dtype.kind not in "fiu":
        raise GraphpropError(f"{where}: real numbers are needed, not {_short(given)}")
    return array.astype(float)


def all_finite(array: Array) -> bool:
    """Whether no entry is nan or an infinity; faster than `all` for small arrays."""
    return bool(np.count_nonzero(np.isfinite(array)) == array.size)


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "..."
