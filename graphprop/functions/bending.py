"""The second derivative of an activation or a loss that states none: its first one, run on numbers with tangents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.functions.calling import Told
from graphprop.given.arrays import Array, real_array


class Bent(Protocol):
    """What has a first derivative, and names."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def derivative_function(self) -> Callable[..., Any]: ...
    @property
    def parameters(self) -> Mapping[str, float]: ...

    def pull(self, a: list[float], o: list[float], g: list[float], /) -> list[float]: ...
    def push(self, a: list[float], o: list[float], t: list[float], /) -> list[float]: ...


def bent(f: Bent, a: list[float], o: list[float], g: list[float], t: list[float]) -> list[float]:
    """How fast the pull g L of an activation moves if a moves by t, and o with it."""
    from graphprop.functions.duals import Dual, for_duals

    fixed, move, where = tuple(f.parameters.values()), f.push(a, o, t), f"activation {f.name!r}"
    function = for_duals(f.derivative_function)
    if f.kind == "elementwise":
        pairs = zip(map(Dual, a, t), map(Dual, o, move), strict=True)
        moves = [float(_tangent(where, function, (*pair, *fixed))) for pair in pairs]
        return [gi * x for gi, x in zip(g, moves, strict=True)]
    own = Dual(np.array(a), np.array(t))
    if f.kind == "reducing":
        result = _tangent(where, function, (own, Dual(o[0], move[0]), g[0], *fixed))
    else:
        result = _tangent(where, function, (own, Dual(np.array(o), np.array(move)), np.array(g), *fixed))
    numbers_of: list[float] = np.broadcast_to(real_array(result, where), (len(a),)).tolist()
    return numbers_of


def bent_loss(name: str, gradient: Callable[..., Any], z: Array, t: Array, d: Array) -> Array:
    """How fast the gradient of a loss moves if z moves by d."""
    from graphprop.functions.duals import Dual, for_duals

    where = f"loss {name!r}"
    return np.broadcast_to(real_array(_tangent(where, for_duals(gradient), (Dual(z, d), t)), where), z.shape)


def _tangent(where: str, function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    from graphprop.functions.duals import tangent_of

    def words(error: Exception) -> GraphpropError:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return GraphpropError(
            f"{where}: its second derivative is needed and was not stated, and its first one cannot be run with "
            f"tangents ({reason}); state it with second="
        )

    with Told(words), np.errstate(all="ignore"):
        return tangent_of(function(*given))
