"""L-BFGS, as scipy has it: a descent on all samples that chooses its own steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, NumberError
from graphprop.given.arrays import Array

WORSE = 1e6  # how much worse a trial counts that overflows, in units of the loss


def minimize_by_lbfgs(
    value_and_grad: Callable[[Array], tuple[float, Array]],
    start: Array,
    free: Array,
    *,
    remembered: int,
    epochs: int,
    each: Callable[[float, Array], bool],
) -> bool:
    """Go down by what is free of theta, and call `each(loss, theta)` after every step, until it says True.

    Gives whether nothing more was to be gained.
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise GraphpropError("optimizer 'lbfgs' needs scipy: pip install scipy") from None
    known: list[float] = []  # losses; the first has to be finite

    def whole(x: Array) -> Array:
        theta = start.copy()
        theta[free] = x
        return theta

    def ask(x: Array) -> tuple[float, Array]:
        try:
            value, gradient = value_and_grad(whole(x))
        except NumberError:
            if not known:
                raise
            return known[-1] + WORSE * (1 + abs(known[-1])), np.zeros(len(x))
        known.append(value)
        return value, gradient[free].astype(float)

    def after(intermediate_result: Any) -> None:
        if each(float(intermediate_result.fun), whole(intermediate_result.x)):
            raise StopIteration

    options = {"maxiter": epochs, "maxcor": remembered}
    found = minimize(ask, start[free].astype(float), jac=True, method="L-BFGS-B", callback=after, options=options)
    return bool(found.success)
