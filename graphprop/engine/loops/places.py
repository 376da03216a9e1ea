"""Records of arrays and numbers that a compiled loop takes as one argument, and where in it each of them is.

Both follow from the fields of one class, so that what is exchanged there is exchanged for both.
"""

from __future__ import annotations

from collections import namedtuple
from dataclasses import Field, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.given.arrays import Array

UNREAD = {"read": False}  # of a field that loops do not read


@dataclass(frozen=True, eq=False)
class Record:
    """Arrays and numbers by name. Who hands `places` to a loop has to hold the record as long."""

    @cached_property
    def places(self) -> Array:
        """Of each field a row: the address and length of an array, or a number itself."""
        rows = (_row(getattr(self, entry.name)) for entry in read_of(type(self)))
        return np.array([*rows], dtype=np.uint64)


def read_of(kind: type[Record]) -> list[Field[Any]]:
    """The fields that loops read."""
    return [entry for entry in fields(kind) if entry.metadata != UNREAD]


def _row(entry: Any) -> tuple[int, int]:
    return (entry.ctypes.data, entry.size) if isinstance(entry, np.ndarray) else (int(entry), 0)


def numbered(count: int) -> tuple[Any, ...]:
    """0, 1, and so on, as numbers of numpy: with those of Python numba compiles a function again for each."""
    return tuple(map(np.int64, range(count)))


def places_in(kind: type[Record], name: str) -> Any:
    """The number of the row of each field, by the name of the field; loops read such a tuple as constants."""
    names = [entry.name for entry in read_of(kind)]
    return namedtuple(name, names)(*numbered(len(names)))
