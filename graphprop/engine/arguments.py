"""theta and inputs as the loops take them: arrays of float64 or float32, as they lie in memory there, all finite."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from graphprop.engine.schedule import Schedule
from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.arithmetic import Floats
from graphprop.given.arrays import all_finite, real_array, with_warnings_kept
from graphprop.graph.layout import Array, Layout
from graphprop.passes.inputs import read_inputs

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def run(
    schedule: Schedule,
    function: Callable[Concatenate[Schedule, Array, Arguments], Result],
    theta: Array,
    *arguments: Arguments.args,
    **more: Arguments.kwargs,
) -> Result:
    """A function of the engine; where it meets what is no number, that may be in theta, which is then said."""
    try:
        return function(schedule, theta, *arguments, **more)
    except NumberError:
        check_theta(schedule.layout, theta)
        raise


def read_theta(schedule: Schedule, given: Any) -> Array:
    """theta as an array of float64 or float32 of the one kind that the loops are compiled for."""
    layout, theta = schedule.layout, given if type(given) is np.ndarray else real_array(given, "theta")
    if theta.dtype != np.float64 and theta.dtype != np.float32:
        theta = real_array(theta, "theta")
    if theta.shape != (layout.size,):
        raise GraphpropError(f"theta has shape {theta.shape}; the program has {layout.size} parameters")
    if not (theta.flags.carray and theta.dtype.isnative):
        theta = np.array(theta, dtype=theta.dtype.newbyteorder("="))
    if len(schedule.unused_positions) and not all_finite(theta[schedule.unused_positions]):
        check_theta(layout, theta)
    return theta


def read_rows(schedule: Schedule, given: Any, dtype: Any) -> tuple[Array, bool]:
    """One row for each sample, and whether it was a batch."""
    layout = schedule.layout
    if type(given) is np.ndarray and given.ndim == 2 and given.dtype in (np.float64, dtype):
        fits = given.shape[1] == len(layout.input_columns) and len(given) > 0
        if fits and all_finite(given):
            return _cast(given, dtype), True
    rows, batched = read_inputs(layout, given, Floats())
    return _cast(rows, dtype), batched


def _cast(rows: Array, dtype: Any) -> Array:
    if rows.dtype == dtype and rows.flags.carray:
        return rows

    def cast() -> Array:
        with np.errstate(all="ignore"):
            return rows.astype(dtype, order="C")

    result = with_warnings_kept(cast)
    if not all_finite(result):
        raise NumberError(f"the array of inputs has a number that is out of the range of {dtype}")
    return result


def read_moves(given: Any, theta: Array, what: str) -> Array:
    """Tangents of theta, in its kind of numbers."""
    moves = real_array(given, what)
    if moves.shape != theta.shape:
        raise GraphpropError(f"{what} has shape {moves.shape}; the program has {len(theta)} parameters")
    if not all_finite(moves):
        bad = int(np.argmin(np.isfinite(moves)))
        raise NumberError(f"{what} is {moves[bad]} at {bad}; it has to be finite")
    return moves if moves.dtype == theta.dtype else _cast(moves, theta.dtype)


def check_theta(layout: Layout, theta: Array) -> None:
    """Refuse a theta that is not finite. What is used need not be checked before: it makes every run fail."""
    if (bad := layout.improper(theta)) is not None:
        label = layout.label_position(bad)
        raise NumberError(f"theta[{bad}], {label}, is {theta[bad]}; it has to be finite")


def read_dtype(given: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] | None = None
    with suppress(Exception):  # numpy has many words for what is none
        dtype = np.dtype(given)
    if dtype is None or not dtype.isnative or dtype not in (np.float64, np.float32):
        raise GraphpropError(f"a program computes in float64 or float32, not in {given!r}")
    return dtype
