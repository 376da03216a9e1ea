"""A matrix whose rows and columns have names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.errors import UnknownNameError, unknown
from graphprop.graph.layout import Array

SHOWN = 20  # rows and columns, at most


@dataclass(frozen=True, eq=False, repr=False)
class LabelledMatrix:
    """A matrix with the names of its rows and columns; `M["o[y]", "a[h]"]` is an entry, `M.matrix` the array.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "tanh", {"x": 2.0})
    >>> W = gp.matrixform.adjacency(net)
    >>> W.rows, W.columns, W["a[y]", "o[x]"]
    (('a[x]', 'a[y]'), ('o[x]', 'o[y]'), 2.0)
    """

    matrix: Array
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    @cached_property
    def _places(self) -> tuple[dict[str, int], dict[str, int]]:
        return {label: i for i, label in enumerate(self.rows)}, {label: k for k, label in enumerate(self.columns)}

    def __getitem__(self, entry: Any) -> float:
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise UnknownNameError(f"an entry is a pair of labels, M[row, column], not {entry!r}")
        for what, label, known in zip(("row", "column"), entry, self._places, strict=True):
            if label not in known:
                raise unknown(what, label, known)
        return float(self.matrix[self._places[0][entry[0]], self._places[1][entry[1]]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.matrix, dtype=dtype)

    def __repr__(self) -> str:
        if len(self.rows) > SHOWN or len(self.columns) > SHOWN:
            return f"<matrix of {len(self.rows)} rows, {self.rows[0]} ..., and {len(self.columns)} columns>"
        lines = [["", *self.columns]]
        lines += [[name, *(f"{x + 0.0:.4g}" for x in row)] for name, row in zip(self.rows, self.matrix, strict=True)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *(x.rjust(w) for x, w in zip(line[1:], widths[1:], strict=True))])
            for line in lines
        )
