"""Second derivatives of activations and losses, and Jacobians times vectors, as machine code called by address.

The arguments are those of an activation: (record, task, a, o, g, n, m, width), but that `task` is the address of the
tangent t of a. A user's refuse, and Python is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphprop.engine.loops.compiled_functions import Native, of_activation, of_loss
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import ACTIVATIONS
from graphprop.functions.entry import Entry
from graphprop.functions.loss import Loss
from graphprop.functions.loss_entry import LossEntry

REFUSES = "    return uint64(1)\n"
# o, the derivative in the place of a, the second one to g
ELEMENTWISE = """    a, o, g = carray(a, n * width), carray(o, n * width), carray(g, n * width)
    refused = False
    for k in range(a.size):
        x = float64(a[k])
        refused |= not (low <= x <= high)
        y = value(x, *fixed)
        o[k] = y
        a[k] = derivative(x, y, *fixed)
        g[k] = second(x, y, *fixed)
    return uint64(refused)
"""
# how fast the pull of g moves, in the place of t
ARRAYS = """    a, o, g = carray(a, (n, width)), carray(o, (m, width)), carray(g, (m, width))
    t = carray(pointer(task), n * width, a.dtype).reshape(n, width)
    for k in range(width):
        x, move = a[:, k].astype(np.float64), t[:, k].astype(np.float64)
        bent = second(x, {o}, {g}, move, *fixed)
        for i in range(n):
            t[i, k] = bent[i]
    return uint64(0)
"""
REDUCING = ARRAYS.format(o="float64(o[0, k])", g="float64(g[0, k])")
VECTOR = ARRAYS.format(o="o[:, k].astype(np.float64)", g="g[:, k].astype(np.float64)")
SOURCES = {"elementwise": ELEMENTWISE, "reducing": REDUCING, "vector": VECTOR}
# how fast o moves, to g
PUSH = """    a, o, g = carray(a, (n, width)), carray(o, (m, width)), carray(g, (m, width))
    t = carray(pointer(task), n * width, a.dtype).reshape(n, width)
    for k in range(width):
        x, y = a[:, k].astype(np.float64), o[:, k].astype(np.float64)
        pushed = push(x, y, t[:, k].astype(np.float64), *fixed)
        for i in range(m):
            g[i, k] = pushed[i]
    return uint64(0)
"""
LOSS = """
def run(z, t, g, values, samples, n):
    z, t, d = carray(z, (n, samples)).T, carray(t, (n, samples)).T, carray(g, (n, samples)).T
    bent = second(z, t, d)
    for i in range(n):
        for k in range(samples):
            d[k, i] = bent[k, i]
"""
NOBODY = ACTIVATIONS["identity"]  # whose record those have that refuse


def bending(f: Activation, dtype: np.dtype[Any]) -> Native:
    """What the tangent of a backward sweep calls; elementwise ones are called in the forward sweep already."""
    if not isinstance(f, Entry) or f.second_function is None:
        return _refusing(dtype)
    functions = {"value": f.value_function, "derivative": f.derivative_function, "second": f.second_function}
    return of_activation(f, dtype, SOURCES[f.kind], "second", functions)


def pushing(f: Activation, dtype: np.dtype[Any]) -> Native:
    """What the tangent of a forward sweep calls for a vector activation; for others the pull of 1 tells all."""
    if not isinstance(f, Entry) or f.push_function is None:
        return _refusing(dtype)
    return of_activation(f, dtype, PUSH, "push", {"push": f.push_function})


def _refusing(dtype: np.dtype[Any]) -> Native:
    assert isinstance(NOBODY, Entry)
    return of_activation(NOBODY, dtype, REFUSES, "refuses", {})


def second_address(entry: Loss) -> int:
    """Where the second derivative of a loss of the table is; 0 where there is no machine code of the first one."""
    if not isinstance(entry, LossEntry) or entry.second is None or entry.reads not in ("values", "logits"):
        return 0
    return of_loss(entry, LOSS, "second", {"second": entry.second})
