"""What an activation of the tables has besides those of users."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from graphprop.functions.activation import Activation
from graphprop.functions.printed import Printed
from graphprop.given.arrays import Array


class Entry(Activation):
    """An activation of the tables; its functions may meet infinities, of which numpy has nothing to say.

    A vector one has `push_function(a, o, t)` besides, the Jacobian times t, for which users' are pulled component by
    component. `also` are other names that people know it by. Whether the derivative belongs to the value is a matter of
    tests, not of every start.
    """

    __slots__ = ("also", "printed", "push_function")
    also: tuple[str, ...]
    push_function: Callable[..., Any] | None

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        derivative: Callable[..., Any],
        *,
        printed: Printed,
        push_function: Callable[..., Any] | None = None,
        also: Iterable[str] = (),
        **fields: Any,
    ) -> None:
        object.__setattr__(self, "also", tuple(also))
        object.__setattr__(self, "printed", printed)
        object.__setattr__(self, "push_function", push_function)
        super().__init__(name, value, derivative, check=False, **fields)

    def outputs(self, a: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            return super().outputs(a)

    def slopes(self, a: list[float], o: list[float]) -> Array:
        """L, all pulls at once, of one node that is not elementwise. Functions of the tables change no argument."""
        f, fixed, x = self.derivative_function, tuple(self.parameters.values()), np.array(a)
        with np.errstate(all="ignore"):
            if self.kind == "reducing":
                return np.array([f(x, o[0], 1.0, *fixed)])
            y = np.array(o)
            return np.array([f(x, y, unit, *fixed) for unit in np.eye(len(o))])

    def pull(self, a: list[float], o: list[float], g: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            return super().pull(a, o, g)

    def push(self, a: list[float], o: list[float], t: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            if self.push_function is None:
                return super().push(a, o, t)
            numbers: list[float] = self.push_function(np.array(a), np.array(o), np.array(t)).tolist()
            return numbers

    def bend(self, a: list[float], o: list[float], g: list[float], t: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            return super().bend(a, o, g, t)
