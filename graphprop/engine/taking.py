"""How arrays that are given become those that the loops read, and which are such as can.

Their shapes and kinds say it, so it is found out once for these; what it takes is done with every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from graphprop.engine.loops import given as loops
from graphprop.engine.schedule import Schedule
from graphprop.functions.loss import Loss
from graphprop.graph.layout import Array

DOUBLE, SINGLE, LABEL = np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.int64)
ARRAYS = np.ndarray, np.memmap
Shape: TypeAlias = tuple[int, ...]
Kind: TypeAlias = np.dtype[Any]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Way:
    """A plan, and how the arrays that are given become those that it takes."""

    plan: Any
    plain: bool  # whether they are those, where they lie in memory as the loops read them
    dtype: Kind
    rows: Shape  # of the inputs
    targets: Shape = ()
    classes: Array | None = None  # where each head begins and the last ends, if the targets are labels of classes

    def theta(self, given: Array) -> Array:
        return _laid_out(given, self.dtype)

    def inputs(self, given: Array) -> Array:
        array = given.reshape(self.rows)
        if self.dtype == DOUBLE or array.dtype == SINGLE:
            return _laid_out(array, self.dtype)
        numbers = _laid_out(array, DOUBLE)
        result = np.empty(self.rows, SINGLE)
        loops.rounded(numbers.reshape(-1), result.reshape(-1))  # numpy would warn of what is out of range
        return result

    def target(self, given: Array) -> Array | None:
        """None if a label is none."""
        array = given.reshape(self.targets)
        if self.classes is None:
            return _laid_out(array, DOUBLE)
        rows = np.zeros((len(array), int(self.classes[-1])))
        return rows if loops.classes(_laid_out(array, LABEL), self.classes, rows) else None


def _laid_out(array: Array, dtype: Kind) -> Array:
    return array if array.dtype == dtype and array.flags.carray else array.astype(dtype, "C")


def share_of(given: Any, samples: int) -> Array | None:
    """What each sample counts for, together 1; None if this is no array of weights."""
    if type(given) not in ARRAYS or given.shape != (samples,) or not _holds_numbers(given.dtype):
        return None
    weights, result = _laid_out(given.view(np.ndarray), DOUBLE), np.empty(samples)
    return result if loops.shares(weights, result) else None


def _holds_numbers(dtype: Kind) -> bool:
    """Whether a double takes them without a warning."""
    return dtype.kind in "fiu" and dtype.itemsize <= DOUBLE.itemsize


def rows_of(schedule: Schedule, theta: Shape, inputs: Shape, dtype: Kind) -> tuple[int, int] | None:
    """The shape of inputs as rows, if they and theta fit."""
    width = len(schedule.layout.input_columns)
    if theta != (schedule.layout.size,) or inputs[-1:] != (width,) or len(inputs) > 2 or not _holds_numbers(dtype):
        return None
    return (1 if len(inputs) == 1 else inputs[0]), width


def targets_of(
    entry: Loss, starts: Array, lead: Shape, target: Shape, dtype: Kind
) -> tuple[Shape, Array | None] | None:
    """The rows of targets of some shape, and where heads begin if they are labels of classes; None if they are none.

    `lead` is the number of samples of a batch, and empty for one sample.
    """
    heads, width, samples = len(starts) - 1, int(starts[-1]), lead[0] if lead else 1
    labelled = (*lead, heads) if heads > 1 else lead
    if entry.targets == "distribution" and dtype.kind in "iu" and target == labelled and heads < max(2, width):
        return (samples, heads), starts
    return ((samples, width), None) if columns_fit(width, lead, target, dtype) else None


def columns_fit(width: int, lead: Shape, given: Shape, dtype: Kind) -> bool:
    """Whether these are numbers for so many columns of each sample."""
    fits = given == (*lead, width) or (width == 1 and given == lead)
    return fits and (_holds_numbers(dtype) or dtype.kind == "b")
