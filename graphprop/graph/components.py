"""The components of a node that was made without a size: as its weights and its bias have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.given.arguments import checked_size
from graphprop.graph.parameters import Parameter


def shape_of(weight: Any) -> tuple[int, ...]:
    if isinstance(weight, Parameter | np.ndarray):
        return weight.shape
    if isinstance(weight, list | tuple):
        return (len(weight), *(shape_of(weight[0]) if weight else ()))
    return ()


def inferred_components(
    where: str, parents: Mapping[Any, Any], outputs: Mapping[Any, int], bias: Any
) -> tuple[int, Mapping[Any, Any]]:
    """The components of a reducing or vector node made without size, and its weights shaped accordingly.

    `outputs` are the numbers of outputs of the parents.
    """
    shapes = {u: shape_of(w) for u, w in parents.items()}
    if shapes and all(shape == () for shape in shapes.values()):
        n = len(parents)
        return n, {u: [*[None] * i, w, *[None] * (n - 1 - i)] for i, (u, w) in enumerate(parents.items())}
    if not shapes:
        if shape_of(bias):
            return checked_size(shape_of(bias)[0], where), parents
        raise GraphpropError(f"{where}: without parents its number of components is unknown; give size=")
    # a weight of one axis, of a parent with several outputs, is a single row
    rows = {u: s[0] if len(s) == 2 or (len(s) == 1 and outputs[u] == 1) else 1 for u, s in shapes.items()}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{u!r} {count}" for u, count in rows.items())
        raise GraphpropError(f"{where}: the weights disagree on its number of components: {told}; or give size=")
    return checked_size(next(iter(rows.values())), where), parents
