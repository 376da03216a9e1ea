"""Numbers by name, as results give them. What the numbers mean is not known here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from graphprop.errors import UnknownNameError
from graphprop.graph.layout import Array
from graphprop.notation.short import number, short


class Values(Mapping[Any, Any]):
    """Numbers by name: of a node a float or an array of its components; with a batch the sample is the first axis."""

    def __init__(
        self, names: Callable[[], Iterable[Any]], read: Callable[[Any], Any], absent: Callable[[Any], str]
    ) -> None:
        self._names = names  # listed when asked for: one entry of a large network costs one entry
        self._read = read
        self._absent = absent

    def __getitem__(self, name: Any) -> Any:
        try:
            hash(name)
        except TypeError:
            raise UnknownNameError(f"a name is a text, an integer or a tuple of these, not {name!r}") from None
        try:
            return self._read(name)
        except UnknownNameError as error:
            raise UnknownNameError(self._absent(name) or str(error)) from None

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __iter__(self) -> Iterator[Any]:
        return iter(self._names())

    def __len__(self) -> int:
        return sum(1 for _ in self._names())

    def __contains__(self, name: object) -> bool:
        try:
            self[name]
        except UnknownNameError:
            return False
        return True

    def _ipython_key_completions_(self) -> list[Any]:
        return list(self._names())

    def __repr__(self) -> str:
        names = list(self)
        first = ", ".join(f"{name!r}: {short(self[name])}" for name in names[:8])
        more = f", ... {len(names) - 8} more" if len(names) > 8 else ""
        return f"{{{first}{more}}}"


def shown(rows: Array, listed: bool, batched: bool) -> Any:
    view = rows if listed else rows[:, 0]
    if batched:
        return view.copy()
    return view[0].copy() if listed else number(view[0])


def squeezed(matrix: Array) -> Any:
    result = np.squeeze(matrix)
    result.flags.writeable = False
    return number(result[()]) if result.ndim == 0 else result
