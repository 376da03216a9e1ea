"""Numbers as a user gives them, read as arrays of floats; anything else is told what it was."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from graphprop.errors import GraphpropError, LimitError
from graphprop.given.frames import refuse_names

Arguments = ParamSpec("Arguments")
Array = NDArray[Any]
Result = TypeVar("Result")


def real_array(given: Any, where: str) -> Array:
    """A new float64 array of what was given, or an error that says what it was."""
    return numbers_as_given(given, where).astype(float)


def numbers_as_given(given: Any, where: str) -> Array:
    """The same in the kind of numbers that it has, such as float32, and perhaps not a new one."""
    if isinstance(given, str | bytes | dict | set):
        raise GraphpropError(f"{where}: numbers are needed, not {_short(given)}")
    refuse_names(given, where)
    if is_masked_array(given) and np.ma.is_masked(given):
        raise GraphpropError(f"{where}: some entries of the masked array are masked; numbers are needed for all")
    array = read_array(given, where)
    if array.dtype.kind == "O" and not any(isinstance(x, str | bytes | bool | None) for x in array.ravel()):
        try:
            return array.astype(float)  # decimals, fractions, integers beyond 64 bits
        except (TypeError, ValueError, OverflowError):
            pass
    if array.dtype.kind not in "fiu":
        raise GraphpropError(f"{where}: real numbers are needed, not {_short(given)}")
    return array


def read_array(given: Any, where: str) -> Array:
    """What numpy makes of it, and of a tensor of torch that is being differentiated or on a GPU."""
    try:
        return np.asarray(given)
    except Exception:  # an array of another library may raise anything
        pass
    try:
        return np.asarray(_off_the_tape(given))
    except MemoryError:  # of a sequence that says it is longer than anything, too
        raise LimitError(f"{where}: its numbers do not fit into memory") from None
    except RecursionError:
        raise GraphpropError(f"{where}: its lists are nested too deeply") from None
    except Exception as error:
        if hasattr(given, "dtype"):
            what = f"this {type(given).__name__} of {given.dtype}"
            raise GraphpropError(f"{where}: numpy cannot read the numbers of {what}: {error}") from None
        raise GraphpropError(f"{where}: numbers of one regular shape are needed, not {_short(given)}") from None


def _off_the_tape(given: Any) -> Any:
    """The numbers of a tensor without what would differentiate it, also in a list; anything else as it is."""
    if isinstance(given, list | tuple):
        return [_off_the_tape(x) for x in given]
    return np.asarray(given.detach().cpu()) if callable(getattr(given, "detach", None)) else given


def float_kind(array: Array) -> Any:
    """The kind of floats that numbers were computed in, as far as their array shows it."""
    return array.dtype.type if array.dtype in (np.float32, np.float16) else np.float64


def one_number(given: Any, where: str) -> float:
    array = real_array(given, where)
    if array.ndim:
        raise GraphpropError(f"{where} is one number, not {given!r}")
    return float(array)


def object_array(given: Any, where: str) -> Array:
    """A new array of what was given as it is, numbers of any kind."""
    refuse_names(given, where)
    try:
        return np.array(given, dtype=object)
    except Exception:
        return read_array(given, where).astype(object)


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


def keeps_warnings(call: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function after which numpy warns of what it did before, also where an interrupt cut `np.errstate` short."""

    @functools.wraps(call)
    def keeping(*given: Arguments.args, **options: Arguments.kwargs) -> Result:
        return with_warnings_kept(lambda: call(*given, **options))

    return keeping


def with_warnings_kept(run: Callable[[], Result]) -> Result:
    """run(), with numpy's warnings as by `keeps_warnings`.

    No context manager: written in Python as that is, it could be cut short as well.
    """
    before = np.geterr()
    try:
        return run()
    except BaseException:
        try:
            np.seterr(**before)
        except BaseException:  # another interrupt
            np.seterr(**before)
            raise
        raise
