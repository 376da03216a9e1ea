"""What a network is trained on: arrays, columns by name, files in memory, or batches that an iterable gives.

Nothing is copied as a whole: the rows of a batch are, when it is their turn. What the numbers mean is not known here.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.given.arrays import Array, read_array, real_array
from graphprop.given.frames import along_samples, by_name, is_series

Columns: TypeAlias = "Array | Mapping[Any, Array]"
ENOUGH = 2**26  # bytes of a file in memory after which what was read of it is let go
AROUND = 2**16  # bytes that the system has in memory at least, of what stands around a row that is read by itself


class Batch(NamedTuple):
    """Some samples, as `value_and_grad` takes them."""

    inputs: Any
    target: Any
    weight: Array | None

    def __len__(self) -> int:
        first = next(iter(self.inputs.values())) if isinstance(self.inputs, Mapping) else self.inputs
        return len(first)


@dataclass(frozen=True, eq=False)
class Samples:
    """Arrays whose first axis is the sample, or such arrays by name; with `chosen`, only some of their rows."""

    inputs: Columns
    target: Columns
    weight: Array | None = None
    chosen: Array | None = None

    @classmethod
    def of(cls, inputs: Any, target: Any, weight: Any = None, where: str = "") -> Samples:
        """What a user gave, looked at as far as needs no pass over the numbers."""
        parts = {"X": _columns(inputs, f"{where}X"), "Y": _columns(target, f"{where}Y")}
        if weight is not None:
            parts["sample_weight"] = real_array(along_samples(weight), f"{where}sample_weight")
        counts = {what: _count(part, f"{where}{what}") for what, part in parts.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{what} has {count}" for what, count in counts.items())
            raise GraphpropError(f"{where}the numbers of samples differ: {told}")
        if not counts["X"]:
            raise GraphpropError(f"{where}X is empty; at least one sample is needed")
        return cls(parts["X"], parts["Y"], parts.get("sample_weight"))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return _count(self.inputs, "X") if self.chosen is None else len(self.chosen)

    @property
    def parts(self) -> tuple[Columns, Columns]:
        return self.inputs, self.target

    def bytes_in_memory(self) -> int:
        """How large the arrays are."""
        return sum(array.nbytes for part in self.parts for array in _arrays(part))

    def numbers(self, rows: Any) -> Any:
        """Which rows of the arrays some rows of the samples are."""
        return rows if self.chosen is None else self.chosen[rows]

    def take(self, rows: Any) -> Batch:
        """The samples of some rows, a slice or an array of numbers, in that order."""
        rows = self.numbers(rows)
        return Batch(rows_of(self.inputs, rows), rows_of(self.target, rows), rows_of(self.weight, rows))

    def batches(self, size: int, order: Array | None = None, first: int = 0) -> Iterator[Batch]:
        """All samples, in an order if one is given, so many at a time, from sample number `first` on."""
        return map(self.take, self.spans(size, order, first))

    def spans(self, size: int, order: Array | None, first: int) -> Iterator[Any]:
        """The rows of each of these batches, a slice or an array of numbers."""
        least = 0 if order is None and self.chosen is None else AROUND
        read, per_sample = 0, _bytes_in_files(self.inputs, least) + _bytes_in_files(self.target, least)
        for start in range(first, len(self), size):
            part = slice(start, min(start + size, len(self)))
            yield part if order is None else order[part]
            read += per_sample * (part.stop - start)
            if read >= ENOUGH:
                read = 0
                self.let_go()

    def let_go(self) -> None:
        """Give back the memory of files that were read; the system would keep it as long as there is enough."""
        for array in (*_arrays(self.inputs), *_arrays(self.target)):
            file = _file_of(array)
            if file is not None and hasattr(mmap, "MADV_DONTNEED"):
                file.madvise(mmap.MADV_DONTNEED)

    def split(self, part: float, seed: int) -> tuple[Samples, Samples]:
        """What stays, and a part of the samples that is kept apart, drawn by a seed."""
        if len(self) < 2:
            raise GraphpropError("validation: there is one sample, and at least one has to be left for training")
        apart = min(len(self) - 1, max(1, round(part * len(self))))
        order = np.random.default_rng(seed).permutation(len(self))
        return replace(self, chosen=np.sort(order[apart:])), replace(self, chosen=np.sort(order[:apart]))


@dataclass(frozen=True, eq=False)
class Stream:
    """Batches that an iterable gives, or that a function makes an iterable of, anew for each epoch."""

    source: Any

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from number `first` on."""
        source = self.source() if callable(self.source) else self.source
        for number, given in enumerate(source):
            if number >= first:
                yield _batch(given, number)

    @property
    def is_read_once(self) -> bool:
        return not callable(self.source) and iter(self.source) is self.source


def is_stream(inputs: Any, target: Any) -> bool:
    """Whether it has to be batches: there is no target, and it is no array."""
    return target is None and (callable(inputs) or hasattr(type(inputs), "__iter__"))


def _batch(given: Any, number: int) -> Batch:
    where = f"batch {number}: "
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise GraphpropError(f"{where}(X, Y) or (X, Y, sample_weight) is needed, not {type(given).__name__}")
    inputs, target, weight = (*given, None)[:3]
    whole = Samples.of(inputs, target, weight, where)
    return Batch(whole.inputs, whole.target, whole.weight)


# ------------------------------------------------------------------ arrays, and arrays by name


def _columns(given: Any, where: str) -> Columns:
    named = None if is_series(given) else by_name(given)
    if named is None:
        return read_array(along_samples(given), where)
    if not named:
        raise GraphpropError(f"{where} has no columns")
    return {name: read_array(along_samples(column), f"{where}[{name!r}]") for name, column in named.items()}


def _count(given: Columns, where: str) -> int:
    """How many samples there are."""
    if isinstance(given, Mapping):
        counts = {name: _count(column, f"{where}[{name!r}]") for name, column in given.items()}
        if len(set(counts.values())) > 1:
            (one, few), (other, many) = sorted(counts.items(), key=lambda pair: pair[1])[:: len(counts) - 1]
            raise GraphpropError(f"{where}: the numbers of samples differ: {one!r} has {few}, {other!r} has {many}")
        return next(iter(counts.values()))
    if not given.ndim:
        raise GraphpropError(f"{where}: an array whose first axis is the sample is needed, not one number")
    return len(given)


def rows_of(given: Any, rows: Any) -> Any:
    """Some rows of an array, or of each by name."""
    if isinstance(given, Mapping):
        return {name: rows_of(column, rows) for name, column in given.items()}
    if given is None or isinstance(rows, slice):
        return None if given is None else given[rows]
    return given.take(rows, axis=0)  # many times as fast as given[rows], where rows are short


def bytes_of_one(given: Columns) -> int:
    """How much memory a sample takes."""
    return sum(array[:1].nbytes for array in _arrays(given))


# ------------------------------------------------------------------ files in memory


def _arrays(given: Columns) -> list[Array]:
    return list(given.values()) if isinstance(given, Mapping) else [given]


def _file_of(array: Array) -> mmap.mmap | None:
    """The file that an array stands in, if it can only be read: what was written to memory would be lost with it."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return None
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def _bytes_in_files(given: Columns, least: int) -> int:
    """How much is read of files for a sample, at least so much of each."""
    return sum(max(least, array[:1].nbytes) for array in _arrays(given) if _file_of(array) is not None)
