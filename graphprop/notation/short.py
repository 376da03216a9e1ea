"""Numbers by name, as results give them, and how numbers are written in a few characters.

What the numbers mean is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphprop.errors import UnknownNameError
from graphprop.graph.layout import Array
from graphprop.notation.escaping import markup, plain
from graphprop.notation.foreign import text_of


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


def number(x: Any) -> Any:
    return float(x) if isinstance(x, float | np.floating) else x


def short(value: Any) -> str:
    """A number or array in a few characters; a dash for what was not asked for."""
    if isinstance(value, np.ndarray):
        entries = [short(x) for x in value.ravel()[:4]]
        return f"[{', '.join(entries)}{', ...' if value.size > 4 else ''}]"
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{value:.4g}"
    return text_of(value, 40)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], count: int, most: int = 100) -> str:
    """An HTML table of at most so many rows, with everything in it escaped."""

    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{markup(plain(str(cell)))}</{tag}>" for cell in cells) + "</tr>"

    shown = [line(cells, "td") for cells, _ in zip(rows, range(most), strict=False)]
    more = f"<p>{most} of {count} nodes</p>" if count > most else ""
    return f"<table>{line(heads, 'th')}{''.join(shown)}</table>{more}"
