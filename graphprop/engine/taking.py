"""How arrays that are given become those that the loops read, and which are such as can.

Their shapes and kinds say it, so it is found out once for these; what it takes is done with every call.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from graphprop.engine.loops import given as loops
from graphprop.engine.schedule import Schedule
from graphprop.functions.loss import Loss
from graphprop.graph.layout import Array, Layout, Name
from graphprop.passes.heads import Reading

DOUBLE, SINGLE, LABEL = np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.int64)
ARRAYS = np.ndarray, np.memmap
Shape: TypeAlias = tuple[int, ...]
Kind: TypeAlias = np.dtype[Any]


class ByName(NamedTuple):
    """Of targets by name the names, and the shape of each, or of them all as one array."""

    names: tuple[Name, ...]
    shapes: tuple[Any, ...]


class Part(NamedTuple):
    """An array of those by name, and its columns; where these begin and end if it has labels of classes."""

    number: int
    columns: slice
    classes: Array | None


class Targets(NamedTuple):
    """How targets become rows."""

    shape: Shape  # of the rows
    classes: Array | None = None  # where each head begins and the last ends, if the array has labels of classes
    order: Any = None  # of the arrays by name, which are one array
    parts: tuple[Part, ...] = ()  # of arrays by name

    def rows(self, given: Any) -> Array | None:
        """None if a label is none."""
        if self.parts:
            return self._joined(given)
        if self.order is not None:
            return _laid_out(given[self.order].T, DOUBLE)
        array = given.reshape(self.shape if self.classes is None else (self.shape[0], len(self.classes) - 1))
        if self.classes is None:
            return _laid_out(array, DOUBLE)
        rows = np.zeros(self.shape)
        return rows if loops.classes(_laid_out(array, LABEL), self.classes, rows) else None

    def _joined(self, given: list[Array]) -> Array | None:
        rows = np.zeros(self.shape)
        for number, columns, classes in self.parts:
            array = given[number].reshape(len(rows), -1)
            if classes is None:
                rows[:, columns] = array
            elif not loops.classes(_laid_out(array, LABEL), classes, rows):
                return None
        return rows


UNCHANGED = Targets(())


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Way:
    """A plan, and how the arrays that are given become those that it takes."""

    schedule: Schedule  # of the plan
    plan: Any
    plain: bool  # whether they are those, where they lie in memory as the loops read them
    dtype: Kind
    rows: Shape  # of the inputs
    targets: Targets = UNCHANGED
    weights: Array | None = None  # what each head counts for
    share: Any = None  # what every sample counts for, and behind it the weights
    if_missing: Any = None  # what is compared where some targets are missing, if they may be
    reads: bool = False  # whether it runs what was compiled of a user's functions, which may change

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

    def weighted(self, share: Array) -> Array:
        """What samples count for, with the weights of heads behind it."""
        return share if self.weights is None else np.concatenate((share, self.weights))


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


# ------------------------------------------------------------------ targets


def described(given: Any) -> tuple[Any, Any, Any] | None:
    """Targets as arrays, and their shape and kind; None if they are given otherwise."""
    if type(given) in ARRAYS:
        return given.view(np.ndarray), given.shape, given.dtype
    if type(given) is not dict or not given:
        return None
    arrays = list(given.values())
    if not {*map(type, arrays)} <= {*ARRAYS}:
        return None
    names, shapes, kinds = tuple(given), [array.shape for array in arrays], [array.dtype for array in arrays]
    if len(shapes[0]) == 1 and len({*shapes}) == len({*kinds}) == 1:
        together = np.array(arrays)
        return together, ByName(names, together.shape), together.dtype
    return arrays, ByName(names, tuple(shapes)), tuple(kinds)


def targets_of(reading: Reading, lead: Shape, target: Shape, dtype: Kind) -> Targets | None:
    """How an array of targets of some shape becomes rows; None if it does not.

    `lead` is the number of samples of a batch, and empty for one sample.
    """
    heads, width, samples = len(reading.starts) - 1, int(reading.starts[-1]), lead[0] if lead else 1
    labelled = (*lead, heads) if heads > 1 else lead
    if _have_classes(reading.kinds) and dtype.kind in "iu" and target == labelled and heads < max(2, width):
        return Targets((samples, width), reading.starts)
    return Targets((samples, width)) if columns_fit(width, lead, target, dtype) else None


def targets_by_name(layout: Layout, reading: Reading, lead: Shape, target: ByName, kinds: Any) -> Targets | None:
    """The same of targets by name."""
    shape = (lead[0] if lead else 1), int(reading.starts[-1])
    together, parts, first = isinstance(kinds, np.dtype), list[Part](), 0
    for own in reading.losses:
        for name in own.head:
            number = target.names.index(name)
            last = first + layout.nodes[layout.find(name)].m
            kind, given = (kinds, target.shapes[1:]) if together else (kinds[number], target.shapes[number])
            has_labels = len(own.head) == 1 and _have_classes({own.loss}) and kind.kind in "iu" and given == lead
            if not (has_labels or columns_fit(last - first, lead, given, kind)):
                return None
            parts.append(Part(number, slice(first, last), np.array([first, last]) if has_labels else None))
            first = last
    if together and not lead:  # numbers of one sample do not stand side by side
        return None
    if not together or any(part.classes is not None for part in parts):
        return Targets(shape, parts=tuple(parts))
    order = [part.number for part in parts]
    return Targets(shape, order=slice(None) if order == sorted(order) else np.array(order))


def _have_classes(kinds: Collection[Loss]) -> bool:
    return all(entry.targets == "distribution" for entry in kinds)


def columns_fit(width: int, lead: Shape, given: Shape, dtype: Kind) -> bool:
    """Whether these are numbers for so many columns of each sample."""
    fits = given == (*lead, width) or (width == 1 and given == lead)
    return fits and (_holds_numbers(dtype) or dtype.kind == "b")
