"""A user's losses as machine code: a sum over the components, or a mean, of a function of plain arithmetic.

They are traced like activations, for one component, and held against the Python functions. The numbers that they
capture stand in the code; where they change it is compiled again, some times. All other losses run in Python.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numba import carray, float64, njit, types, uint64  # type: ignore[attr-defined]
from numba.core.errors import NumbaError

from graphprop.engine.loops import elementary
from graphprop.engine.loops.caching import COMPILING, compiled_callback
from graphprop.engine.loops.compiled_functions import loss_address
from graphprop.engine.loops.plain_code import OF_ARRAYS, Reads, reads_of
from graphprop.engine.loops.symbols import FAST
from graphprop.engine.loops.tracing import Traced, trace_loss
from graphprop.functions.calling import attempt
from graphprop.functions.loss import Loss
from graphprop.given.arrays import Array

SOURCE = """
def run(z, t, g, values, samples, n):
    z, t, g = carray(z, n * samples), carray(t, n * samples), carray(g, n * samples)
    values = carray(values, samples)
    for k in range(samples):
        values[k] = 0.0
    count = float(n)
    for i in range(n):
        for k in range(samples):
            j = i * samples + k
            x, odd, far = value(z[j], t[j], count{numbers})
            slope, also_odd, also_far = derivative(z[j], t[j], count{numbers})
            g[j] = slope
            values[k] += np.nan if odd or far or also_odd or also_far else x
"""
POINTER = ctypes.POINTER(ctypes.c_double)
ADDRESS = types.CPointer(float64)
SIGNATURE = types.void(ADDRESS, ADDRESS, ADDRESS, ADDRESS, uint64, uint64)
MOST_VERSIONS = 4  # of a loss whose numbers change: compiling takes as long as thousands of calls
MOST_LOSSES = 256
RELATIVE, ABSOLUTE = 1e-12, 1e-14  # how far a sum in another order may be, of numbers as they are tried here


@dataclass(frozen=True, eq=False)
class LossCode:
    """A loss as the loops call it. What it does not want to decide is nan, and Python is asked."""

    address: int
    missing: int = 0  # the same for targets some of which are missing; 0 where it takes none
    code: Any = None  # here to be held
    reads: Reads | None = None  # what a user's functions read


def loss_code(entry: Loss, missing: bool = False) -> LossCode | None:
    """A loss for targets some of which may be missing, if they are; None for one that runs in Python."""
    if address := loss_address(entry):
        return LossCode(address, loss_address(entry, True) if missing else 0)
    if type(entry) is not Loss or entry.reads not in ("values", "logits"):
        return None
    reads = reads_of((entry.value, entry.gradient), OF_ARRAYS)
    if reads is None:
        return None
    with COMPILING:
        code = _code(entry, reads.state())
    if code is None or not reads.are_current():
        return None
    return LossCode(code.address, code.address if missing and entry.missing else 0, code, reads)


_versions: WeakKeyDictionary[Loss, set[str]] = WeakKeyDictionary()


@functools.lru_cache(MOST_LOSSES)
def _code(entry: Loss, state: Hashable) -> Any:
    traced = trace_loss(entry.value, entry.gradient)
    if traced is None or not all(map(math.isfinite, traced.numbers)):
        return None
    source = SOURCE.format(numbers="".join(f", {x!r}" for x in traced.numbers))
    versions = _versions.setdefault(entry, set())
    versions.add(traced.source + source)
    if len(versions) > MOST_VERSIONS:
        return None
    try:
        code = _compile(traced, source)
    except NumbaError:  # something in it that is not compiled
        return None
    return code if _agrees(entry, code) else None


def _compile(traced: Traced, source: str) -> Any:
    space: dict[str, Any] = {"__name__": __name__, "np": np, "math": math, "carray": carray, "FAR": elementary.FAR}
    space |= {"LARGEST": float(np.finfo(np.float64).max)} | {name: getattr(elementary, name) for name in FAST}
    exec(compile(traced.source, "<traced>", "exec"), space)
    space |= {name: njit(error_model="numpy", forceinline=True)(space[name]) for name in ("value", "derivative")}
    exec(compile(source, "<loss>", "exec"), space)
    texts = (Path(str(path)).read_text() for path in (__file__, elementary.__file__))
    return compiled_callback(SIGNATURE, space["run"], "loss", "\0".join((traced.source, source, *texts)))


def _agrees(entry: Loss, code: Any) -> bool:
    """Whether the machine code gives what Python gives, where it gives anything."""
    for z, t in _tries(entry):
        with np.errstate(all="ignore"):
            found = attempt(entry.apply, z, t)
        if found is None:
            return False
        value, gradient = found
        values, slopes = np.empty(len(z)), np.empty(z.T.shape)
        arrays = np.ascontiguousarray(z.T), np.ascontiguousarray(t.T), slopes, values
        code.ctypes(*(array.ctypes.data_as(POINTER) for array in arrays), *z.shape)
        known = ~np.isnan(values)
        pairs = (values[known], value[known]), (slopes.T[known], gradient[known])
        if not known.any() or not all(np.allclose(*pair, rtol=RELATIVE, atol=ABSOLUTE) for pair in pairs):
            return False
    return True


def _tries(entry: Loss) -> Iterator[tuple[Array, Array]]:
    """Outputs and targets of some samples: near and far, alike, and at kinks."""
    random = np.random.default_rng(0)
    for size in (1.0, 0.01, 30.0):
        z = random.normal(size=(40, 3)) * size
        t = {"any": z + random.normal(size=z.shape), "unit": random.random(z.shape)}.get(entry.targets, abs(z))
        t[:3], z[3:6], z[6:9] = np.round(t[:3]), np.round(z[3:6]), 0.0
        if entry.missing:
            t[18:24, 1] = np.nan
        if entry.targets == "any":
            t[9:12] = z[9:12]
            t[12:18] = z[12:18] + np.resize([1.0, -1.0, 0.5], (6, 3))
        yield z, t
