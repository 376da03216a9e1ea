"""Numbers of a whole network by name: arrays side by side, as the columns of a table."""

from __future__ import annotations

from typing import Any, NoReturn

from graphprop.errors import GraphpropError
from graphprop.graph.layout import Array, Layout
from graphprop.notation.escaping import label
from graphprop.notation.short import short, table

MOST_ROWS = 10  # that a repr shows


class Columns(dict[str, Array]):
    """Arrays of one length by their names, which are attributes too. They cannot be changed.

    It is a dict of columns, so that a data frame can be made of it.

    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("h", "tanh", {"x": 0.5}, bias=0.1)
    >>> net.add_node("y", "identity", {"x": -1.0, "h": 2.0})
    >>> weights = net.weights()
    >>> weights
    parent  child  to  of  position  value
    x       h      0   0   0         0.5
    x       y      0   0   2         -1
    h       y      0   0   3         2
    >>> weights.child[weights.value < 0]
    array(['y'], dtype=object)
    """

    def __init__(self, **columns: Array) -> None:
        super().__init__(columns)
        for column in self.values():
            column.flags.writeable = False

    def __getattr__(self, name: str) -> Array:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no column {name!r}; the columns are {', '.join(self)}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise GraphpropError("these columns are a copy that cannot be changed; dict(columns) can")

    __setattr__ = __delattr__ = __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (dict(self),)

    def _length(self) -> int:
        return len(next(iter(self.values())))

    def _rows(self, most: int) -> list[list[str]]:
        written = {name: short if name == "value" or self[name].dtype.kind == "f" else label for name in self}
        texts = [[written[name](x) for x in self[name][:most].tolist()] for name in self]
        return list(map(list, zip(*texts, strict=True)))

    def __repr__(self) -> str:
        lines = [list(self), *self._rows(MOST_ROWS)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        more = self._length() - MOST_ROWS
        return "\n".join(shown + ([f"... {more} more"] if more > 0 else []))

    def _repr_html_(self) -> str:
        return table(list(self), self._rows(100), self._length(), what="rows")


def _made(columns: dict[str, Array]) -> Columns:
    return Columns(**columns)


def columns_of_weights(layout: Layout, values: Array) -> Columns:
    """The weight uses of a layout by name, with a number for each."""
    return Columns(**layout.uses_by_name, position=layout.position, value=values)


def columns_of_biases(layout: Layout, values: Array) -> Columns:
    """The bias uses of a layout by name, with a number for each."""
    return Columns(**layout.biases_by_name, position=layout.bias_position, value=values)
