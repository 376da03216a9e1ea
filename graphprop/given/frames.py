"""Data frames and series with labels, of pandas, polars and others: they are read by their names, or refused.

No such library is imported: they are known by their attributes. The rows of a frame are samples, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError

PLAIN = {np.ndarray, list, tuple, float, int, bool, str, type(None)}
NUMBERS = {float, int, bool, np.float64, np.int64}
ROWS = {list, tuple}
AXES = 3  # of lists in which names are looked for


def by_name(given: Any) -> Mapping[Any, Any] | None:
    """What was given by name: a mapping, the columns of a data frame, the labels of a series; None of all else."""
    if type(given) in PLAIN:
        return None
    if isinstance(given, Mapping):
        return given
    if is_frame(given):
        names = _distinct(getattr(given, _names_of_columns(given)), "column")
        try:
            return {name: np.asarray(given[name]) for name in names}
        except Exception as error:
            raise GraphpropError(f"the columns of this {type(given).__name__} cannot be read: {error}") from None
    if is_series(given):
        return dict(zip(_distinct(given.keys(), "label"), given.to_numpy().tolist(), strict=True))
    return given if hasattr(type(given), "keys") and hasattr(type(given), "__getitem__") else None


def hint(given: Any) -> str:
    """What to do about names that are not known."""
    return "; to_numpy() gives numbers by their position" if hasattr(given, "to_numpy") or is_frame(given) else ""


def is_frame(given: Any) -> bool:
    return type(given) not in PLAIN and bool(_names_of_columns(given))


def is_series(given: Any) -> bool:
    """Whether it is one column with a label for each entry."""
    kind = type(given)
    return hasattr(kind, "keys") and hasattr(kind, "to_numpy") and not is_frame(given)


def along_samples(given: Any) -> Any:
    """The numbers of a series in order, as its labels are those of samples; anything else as it is."""
    return given.to_numpy() if type(given) not in PLAIN and is_series(given) else given


def refuse_names(given: Any, where: str, depth: int = AXES) -> None:
    """Refuse what has names where numbers go by position, also in lists; integers count the entries of a series."""
    if type(given) in ROWS:
        if depth and not set(map(type, given)) <= NUMBERS:
            for entry in given:
                refuse_names(entry, where, depth - 1)
        return
    if type(given) in PLAIN:
        return
    labels = given.keys() if is_series(given) else ()
    if is_frame(given) or any(isinstance(label, str | tuple) for label in labels):
        names = "columns" if is_frame(given) else "entries"
        raise GraphpropError(
            f"{where}: a {type(given).__name__} has names, which are not read here; "
            f"to_numpy() gives its {names} by their position"
        )


def _names_of_columns(given: Any) -> str:
    """The attribute that has the names of the columns; empty if this is no data frame."""
    kind = type(given)
    return next((name for name in ("column_names", "columns") if hasattr(kind, name)), "")


def _distinct(names: Iterable[Any], what: str) -> list[Any]:
    found = list(names)
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise GraphpropError(f"the {what} {twice!r} is there twice; a name has to stand for one {what}")
    return found
