"""Numbers as a user gives them, read as arrays of floats; anything else is told what it was."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphprop.errors import GraphpropError
from graphprop.frames import refuse_names

Array = NDArray[Any]


def real_array(given: Any, where: str) -> Array:
    """A new float64 array of what was given, or an error that says what it was."""
    if isinstance(given, str | bytes | dict | set):
        raise GraphpropError(f"{where}: numbers are needed, not {_short(given)}")
    refuse_names(given, where)
    if is_masked_array(given) and np.ma.is_masked(given):
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


def object_array(given: Any, where: str) -> Array:
    """A new array of what was given as it is, numbers of any kind."""
    refuse_names(given, where)
    return np.array(given, dtype=object)


def is_masked_array(given: Any) -> bool:
    """Whether it is one of numpy.ma, which numpy loads when it is first needed, and that takes a while."""
    return "numpy.ma" in sys.modules and isinstance(given, np.ma.MaskedArray)


def all_finite(array: Array) -> bool:
    """Whether no entry is nan or an infinity; faster than `all` for small arrays."""
    return bool(np.count_nonzero(np.isfinite(array)) == array.size)


def cut_into_matrices(entries: Array, rows: int | Array, columns: Sequence[int] | Array) -> list[Array]:
    """Views of an array with one axis: matrices of so many rows and columns, one behind the other."""
    if len(entries) == len(columns):  # each is one number
        return list(entries.reshape(-1, 1, 1))
    rows, columns = np.broadcast_arrays(rows, columns)
    sizes = rows * columns
    ends = np.cumsum(sizes)
    places = zip((ends - sizes).tolist(), ends.tolist(), rows.tolist(), columns.tolist(), strict=True)
    return [entries[first:last].reshape(n, m) for first, last, n, m in places]


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "..."
