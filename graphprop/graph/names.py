"""What a name of a node, a parameter or a network may be."""

from __future__ import annotations

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.graph.layout import Name


def checked_name(name: Name) -> Name:
    """The name with the integers and texts of numpy as Python's own."""
    if isinstance(name, str):
        return str(name)
    if isinstance(name, int | np.integer) and not isinstance(name, bool):
        return int(name)
    if isinstance(name, tuple) and name:
        try:
            return tuple(map(checked_name, name))
        except RecursionError:
            raise GraphpropError("a name is nested too deeply") from None
    raise GraphpropError(f"a name is a text, an integer or a tuple of these, not {name!r}")
