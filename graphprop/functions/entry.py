"""What an activation of the tables has besides those of users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphprop.functions.activation import Activation
from graphprop.functions.printed import Printed


class Entry(Activation):
    """An activation of the tables; its functions may meet infinities, of which numpy has nothing to say.

    Whether the derivative belongs to the value is a matter of tests, not of every start.
    """

    __slots__ = ("printed",)

    def __init__(
        self, name: str, value: Callable[..., Any], derivative: Callable[..., Any], *, printed: Printed, **fields: Any
    ) -> None:
        object.__setattr__(self, "printed", printed)
        super().__init__(name, value, derivative, check=False, **fields)

    def outputs(self, a: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            return super().outputs(a)

    def pull(self, a: list[float], o: list[float], g: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            return super().pull(a, o, g)
