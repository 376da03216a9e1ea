"""The columns of a table that somebody gives, read one by one, with the row in every error."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import is_masked_array, real_array
from graphprop.given.frames import by_name, is_frame
from graphprop.graph.layout import Array, Name
from graphprop.graph.names import checked_name
from graphprop.interop.uses import UNSAID

MOST_WHOLE = 2**53  # that a column of floats, as those with a gap are, has exactly


class Table:
    """A data frame, or a mapping of columns of one length; `what` is how errors call it."""

    def __init__(self, given: Any, what: str) -> None:
        columns = by_name(given) if is_frame(given) else given if isinstance(given, Mapping) else None
        if columns is None:
            raise GraphpropError(f"{what} is a data frame or a mapping of columns, not {type(given).__name__}")
        self.what = what
        self._columns = columns
        self._listed: dict[str, list[Any] | Array] = {}
        self._length = -1

    def __len__(self) -> int:
        return self._length

    def has(self, name: str) -> bool:
        return self._known(name)

    def _known(self, name: Any) -> bool:
        try:
            return name in self._columns
        except TypeError:
            return False

    def column(self, name: str) -> list[Any] | Array:
        """A column with one axis; all have as many entries as the first that was asked for."""
        if self._known(name) and name in self._listed:
            return self._listed[name]
        if not self._known(name):
            known = ", ".join(map(repr, self._columns)) or "there are none"
            raise GraphpropError(f"{self.what}: there is no column {name!r}; the columns are {known}")
        found = _with_one_axis(self._columns[name], f"{self.what}, column {name!r}")
        if self._length < 0:
            self._length = len(found)
        if len(found) != self._length:
            told = f"others have {self._length}"
            raise GraphpropError(f"{self.what}: the column {name!r} has {len(found)} entries, and {told}")
        self._listed[name] = found
        return found

    def names(self, name: str) -> list[Name] | Array:
        """A column of names: texts, integers, or tuples of these; an array if all are integers of such a column."""
        column = self.column(name)
        if isinstance(column, np.ndarray) and column.dtype.kind == "i":
            return column
        entries = column.tolist() if isinstance(column, np.ndarray) else column
        if set(map(type, entries)) <= {str, int}:
            return entries
        return [self._name(entry, name, i) for i, entry in enumerate(entries)]

    def _name(self, given: Any, name: str, i: int) -> Name:
        try:
            return checked_name(given)
        except GraphpropError as error:
            raise GraphpropError(f"{self.what}, row {i}, {name}: {error}") from None

    def numbers(self, name: str) -> Array:
        """A column of numbers; nan where one is missing."""
        column, where = self.column(name), f"{self.what}, column {name!r}"
        if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
            return column.astype(float)
        found = real_array([np.nan if is_missing(x) else x for x in column], where)
        if found.ndim != 1:
            raise GraphpropError(f"{where} has one number in each row, not {column[0]!r}")
        return found

    def whole(self, name: str, least: int = 0) -> Array:
        """A column of whole numbers, such as floats that are; -1 where one is missing, or all."""
        if not self.has(name):
            return np.full(len(self), UNSAID)
        column = self.column(name)
        if isinstance(column, np.ndarray) and column.dtype.kind == "i" and (column >= least).all():
            return column.astype(np.intp)
        numbers = self.numbers(name)
        bad = ~np.isnan(numbers) & ~((np.floor(numbers) == numbers) & (numbers >= least) & (numbers < MOST_WHOLE))
        if bad.any():
            i = int(np.argmax(bad))
            told = f"a whole number of at least {least} is needed, not {numbers[i]:g}"
            raise GraphpropError(f"{self.what}, row {i}, {name}: {told}")
        return np.where(np.isnan(numbers), UNSAID, numbers).astype(np.intp)

    def flags(self, name: str) -> Array:
        """A column of True and False; True where one is missing, or all."""
        if not self.has(name):
            return np.ones(len(self), dtype=bool)
        column = self.column(name)
        if isinstance(column, np.ndarray) and column.dtype == bool:
            return column
        for i, x in enumerate(column):
            if not isinstance(x, bool | np.bool_) and not is_missing(x):
                raise GraphpropError(f"{self.what}, row {i}, {name}: True or False is needed, not {x!r}")
        return np.array([is_missing(x) or bool(x) for x in column], dtype=bool)

    def missing(self, name: str) -> Array:
        """Where a column has no entry."""
        if not self.has(name):
            return np.ones(len(self), dtype=bool)
        column = self.column(name)
        if isinstance(column, np.ndarray) and column.dtype.kind in "iub":
            return np.zeros(len(column), dtype=bool)
        return np.array([is_missing(x) for x in column], dtype=bool)


def is_missing(x: Any) -> bool:
    """None, nan, and what pandas has for them."""
    return x is None or type(x).__name__ in ("NAType", "NaTType") or (isinstance(x, float | np.floating) and x != x)


def _with_one_axis(given: Any, where: str) -> list[Any] | Array:
    if isinstance(given, list | tuple):
        return list(given)
    if isinstance(given, str | bytes | Mapping | set) or is_frame(given):
        raise GraphpropError(f"{where} is an array or a list, not {type(given).__name__}")
    if is_masked_array(given) and np.ma.is_masked(given):
        raise GraphpropError(f"{where}: some entries of the masked array are masked")
    try:
        found = np.asarray(given)
    except Exception:  # of another library, it may raise anything
        raise GraphpropError(f"{where} cannot be read: it is of {type(given).__name__}") from None
    if found.ndim != 1:
        raise GraphpropError(f"{where} has one axis, not the shape {found.shape}")
    return found


def said_once(table: Table, name: str, node: Array, names: Sequence[Name]) -> list[Any]:
    """What a column says of each node; None of those of which it says nothing. Rows of a node may not contradict."""
    found: list[Any] = [None] * len(names)
    if not table.has(name):
        return found
    column = table.column(name)
    entries = column.tolist() if isinstance(column, np.ndarray) else column
    for i, (v, entry) in enumerate(zip(node.tolist(), entries, strict=True)):
        if is_missing(entry):
            continue
        if isinstance(entry, float) and entry.is_integer():
            entry = int(entry)  # a column with a gap is of floats
        if found[v] is not None and not (found[v] is entry or (_plain(entry) and found[v] == entry)):
            raise GraphpropError(f"{table.what}, row {i}: {name} of {names[v]!r} is {entry!r}, and {found[v]!r} before")
        found[v] = entry
    return found


def whole_once(table: Table, name: str, node: Array, names: Sequence[Name]) -> list[int | None]:
    """The same where a whole number from 0 on is said of a node, or whether it is so."""
    found = said_once(table, name, node, names)
    for v, x in enumerate(found):
        if x is not None and not isinstance(x, bool) and not is_whole(x, 0, MOST_WHOLE):
            told = "a whole number of at least 0 is needed"
            raise GraphpropError(f"{table.what}: {name} of {names[v]!r}: {told}, not {x!r}")
    return [None if x is False else x for x in found]


def _plain(x: Any) -> bool:
    return isinstance(x, str | int | float | bool)


def numbered(one: list[Name] | Array, other: list[Name] | Array) -> tuple[list[Name], Array, Array]:
    """The names of two columns in the order in which their rows have them, and each column as their numbers."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        rows = np.stack((one, other), axis=1).ravel()
        values, first, found = np.unique(rows, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), dtype=np.intp)
        rank[order] = np.arange(len(order))
        return values[order].tolist(), rank[found[::2]], rank[found[1::2]]
    entries: list[Any] = [None] * (2 * len(one))
    entries[::2], entries[1::2] = listed(one), listed(other)
    number: defaultdict[Name, int] = defaultdict(itertools.count().__next__)
    found = np.fromiter(map(number.__getitem__, entries), dtype=np.intp, count=len(entries))
    return list(number), found[::2].copy(), found[1::2].copy()


def find(own: list[Name] | Array, names: list[Name] | Array) -> Array:
    """The numbers of a column of names among all names; -1 of one that is not there."""
    if isinstance(own, np.ndarray) and isinstance(names, np.ndarray) and len(names):
        order = np.argsort(names)
        place = order[np.minimum(np.searchsorted(names[order], own), len(names) - 1)]
        return np.where(names[place] == own, place, -1)
    number = {name: i for i, name in enumerate(listed(names))}
    entries = listed(own)
    try:
        return np.fromiter(map(number.__getitem__, entries), dtype=np.intp, count=len(entries))
    except KeyError:
        return np.array([number.get(name, -1) for name in entries], dtype=np.intp)


def listed(names: list[Name] | Array) -> list[Name]:
    return names.tolist() if isinstance(names, np.ndarray) else names


# ------------------------------------------------------------------ named parameters


def entry_of(index: tuple[int, ...]) -> str | None:
    """Which entry of a parameter, as a text; None of one that is a single number.

    >>> entry_of((1, 0)), entry_of(())
    ('1,0', None)
    """
    return ",".join(map(str, index)) or None


def parameters_of(tables: Iterable[Table], positions: Iterable[Array]) -> dict[Name, Array]:
    """The named parameters, from the columns `parameter` and `entry`: of each the positions, in its shape."""
    entries: dict[Name, dict[tuple[int, ...], int]] = {}
    for table, own in zip(tables, positions, strict=True):
        if not table.has("parameter"):
            continue
        names = table.column("parameter")
        which = table.column("entry") if table.has("entry") else [None] * len(names)
        for i, (given, entry, position) in enumerate(zip(names, which, own.tolist(), strict=True)):
            if is_missing(given):
                continue
            where = f"{table.what}, row {i}, parameter"
            try:
                name = checked_name(given)
                index = () if is_missing(entry) else tuple(int(k) for k in str(entry).split(","))
            except GraphpropError as error:
                raise GraphpropError(f"{where}: {error}") from None
            except ValueError:
                raise GraphpropError(f"{where}: entry is a text such as '1,0', not {entry!r}") from None
            if position < 0:
                raise GraphpropError(f"{where}: {name!r} needs a position, which all rows of that number share")
            if entries.setdefault(name, {}).setdefault(index, position) != position:
                raise GraphpropError(f"{where}: {name!r} has two positions for entry {entry!r}")
    return {name: _shaped(name, known) for name, known in entries.items()}


def _shaped(name: Name, known: Mapping[tuple[int, ...], int]) -> Array:
    axes = {len(index) for index in known}
    shape = tuple(1 + max(axis) for axis in zip(*known, strict=True)) if len(axes) == 1 else ()
    if len(axes) > 1 or len(known) != math.prod(shape) or any(k < 0 for index in known for k in index):
        raise GraphpropError(f"parameter {name!r}: its entries do not fill an array; they are {sorted(known)[:4]}")
    found = np.empty(shape, dtype=np.intp)
    for index, position in known.items():
        found[index] = position
    return found
