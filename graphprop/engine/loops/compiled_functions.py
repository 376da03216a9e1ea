"""Activations and losses as machine code that the loops call by address.

The functions of the tables are compiled as they stand, with the `math.exp` of Python replaced by one that
the compiler can vectorise; a user's as they were traced. What was compiled is kept on disk, keyed by what it was
compiled from: numba keeps only functions that have a source file, so a file is written for each. An activation's
parameters, and the numbers that a user's functions capture, are arguments of the machine code.
For what cannot be compiled, and a user's functions of whole arrays, it refuses, and the engine calls Python.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import functools
import inspect
import linecache
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import BuiltinFunctionType, CellType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import carray, float32, float64, njit, types, uint64  # type: ignore[attr-defined]
from numba.core.errors import NumbaError

from graphprop.engine.loops import addresses, elementary, ranges, soft_activations, soft_losses, sparse
from graphprop.engine.loops.agreement import first_difference
from graphprop.engine.loops.caching import COMPILING, INNER, PLAIN, UNWRAPPED, compiled_callback
from graphprop.engine.loops.plain_code import NOWHERE, Reads, globals_of, reads_of, strange_line
from graphprop.engine.loops.tracing import Traced, trace
from graphprop.errors import GraphpropError, SlowWarning
from graphprop.functions import by_component, elementwise, losses, reducing, soft_targets, softmax, twofold
from graphprop.functions.activation import Activation
from graphprop.functions.entry import Entry
from graphprop.functions.loss import Loss
from graphprop.functions.loss_entry import LossEntry
from graphprop.given.arrays import Array

DOUBLE = np.dtype(np.float64)
ITEM = {DOUBLE: float64, np.dtype(np.float32): float32}

# The sources compute in float64 whatever the state holds. They give 1 if a number is refused: nan, an infinity
# (but a mask), out of the domain, or one for which Python has to be asked. `numbers` are the record: the address of the
# code, the domain, and the numbers that the functions are given behind their arguments.

HEAD = """
def run(record, task, a, o, g, n, m, width):
    numbers = carray(record, {count})
    low, high, fixed = numbers[1], numbers[2], ({fixed})
"""
ELEMENTWISE = """    a, o = carray(a, n * width), carray(o, n * width)
    refused = False
    if task == VALUE:
        for k in range(a.size):
            x = float64(a[k])
            refused |= not (low <= x <= high)
            o[k] = value(x, *fixed)
    else:
        for k in range(a.size):
            x = float64(a[k])
            refused |= not (low <= x <= high)
            y = value(x, *fixed)
            o[k] = y
            a[k] = derivative(x, y, *fixed)
    return uint64(refused)
"""
# a user's: the functions say whether Python has to be asked
TRACED = """    a, o = carray(a, n * width), carray(o, n * width)
    refused = False
    if task == VALUE:
        for k in range(a.size):
            x = float64(a[k])
            y, odd, _ = value(x, *fixed)
            refused |= odd or not (low <= x <= high)
            o[k] = y
    else:
        for k in range(a.size):
            x = float64(a[k])
            y, odd, _ = value(x, *fixed)
            slope, also_odd, _ = derivative(x, y, *fixed)
            refused |= odd or also_odd or not (low <= x <= high)
            o[k] = y
            a[k] = slope
    return uint64(refused)
"""
# the first lines where there is a sin or cos: what has an argument beyond FAR goes to those of the machine's library
NEAR = """    near = True
    for k in range(n * width):
        near &= abs(carray(a, n * width)[k]) <= FAR
"""
NEAR_TRACED = """    near = True
    for k in range(n * width):
        x = float64(carray(a, n * width)[k])
        y, _, far = value(x, *fixed)
        near &= not far
        if task != VALUE:
            _, _, far = derivative(x, y, *fixed)
            near &= not far
"""
ELSEWHERE = """    if not near:
        return run_exactly(record, task, a, o, g, n, m, width)
"""
IN_PYTHON = """
def run(record, task, a, o, g, n, m, width):
    return uint64(1)
"""

ARRAYS = """    a, o = carray(a, (n, width)), carray(o, (m, width))
    refused = False
    for k in range(width):
        x = np.empty(n)
        present = False
        for i in range(n):
            x[i] = a[i, k]
            masked = masks and x[i] == -np.inf
            refused |= not (low <= x[i] <= high or masked)
            present |= not masked
        refused |= not present
        if refused:
            break
        if task == PULL:
            h = carray(g, (m, width))
            delta = derivative(x, {o}, {h}, *fixed)
            for i in range(n):
                a[i, k] = delta[i]
        else:
            y = value(x, *fixed)
            for i in range(m):
                o[i, k] = {y}
    return uint64(refused)
"""
REDUCING = ARRAYS.format(o="float64(o[0, k])", h="float64(h[0, k])", y="y")
VECTOR = ARRAYS.format(o="o[:, k].astype(np.float64)", h="h[:, k].astype(np.float64)", y="y[i]")
SOURCES = {"elementwise": ELEMENTWISE, "reducing": REDUCING, "vector": VECTOR}
POINTERS = {dtype: types.CPointer(item) for dtype, item in ITEM.items()}

LOSS = """
def run(z, t, g, values, samples, n):
    z, t, g = carray(z, (n, samples)).T, carray(t, (n, samples)).T, carray(g, (n, samples))
    slopes, terms, values = derivative(z, t), value(z, t), carray(values, samples)
    for k in range(samples):
        values[k] = terms[k]
    for i in range(n):
        for k in range(samples):
            g[i, k] = slopes[k, i]
"""

LOSS_OF_TERMS = """
def run(z, t, g, values, samples, n):
    z, t, g = carray(z, n * samples), carray(t, n * samples), carray(g, n * samples)
    values = carray(values, samples)
    for k in range(samples):
        values[k] = 0.0
    for i in range(n):
        for k in range(samples):
            j = i * samples + k
            g[j] = derivative(z[j], t[j]){there}
            values[k] += value(z[j], t[j]){there}
"""
THERE = " if t[j] == t[j] else 0.0"  # a missing target adds nothing
AGAIN = "    again(g, z, t)\n"
MEAN = "    g /= n\n    values /= n\n"
# what is no distribution, or has no slope, is nan: a value that is refused; at the edge it is asked about otherwise
DISTRIBUTION = """    for j in range(z.size):
        z[j] = {probability}
    for k in range(samples):
        total = 0.0
        for i in range(n):
            j = i * samples + k
            total += z[j] if z[j] >= 0.0 and abs(g[j]) <= LARGEST else np.nan
        if not abs(total - 1.0) <= 9e-7:
            values[k] = np.nan
"""
PROBABILITIES = {"probabilities": "z[j]", "log-probabilities": "exp(z[j])"}


_CROSS_ENTROPY = losses.ENTRIES["softmax_cross_entropy"]
_BY_LOOPS: dict[Any, Any] = {  # functions of whole arrays, which take seconds to compile, and what gives the same
    softmax.SOFTMAX_DOT.value_function: soft_activations.softmax_dot,
    softmax.SOFTMAX_DOT.derivative_function: soft_activations.softmax_dot_pull,
    softmax.LOGSUMEXP.value_function: soft_activations.logsumexp,
    softmax.LOGSUMEXP.derivative_function: soft_activations.logsumexp_pull,
    softmax.SOFTMAX.value_function: soft_activations.softmax,
    softmax.SOFTMAX.derivative_function: soft_activations.softmax_pull,
    softmax.LOG_SOFTMAX.value_function: soft_activations.log_softmax,
    softmax.LOG_SOFTMAX.derivative_function: soft_activations.log_softmax_pull,
    _CROSS_ENTROPY.value: soft_losses.softmax_cross_entropy,
    _CROSS_ENTROPY.gradient: soft_losses.softmax_cross_entropy_gradient,
    losses.surprise: soft_losses.surprise,
    soft_targets.logistic_again: soft_losses.logistic_again,
    losses.shifted: soft_losses.shifted_rows,
    losses.sum_of: soft_losses.sum_of,
}
_FAST: dict[Any, Any] = {math.exp: elementary.exp, math.expm1: elementary.expm1, math.tanh: elementary.tanh}
_FAST_NEAR = _FAST | {math.sin: elementary.sin, math.cos: elementary.cos}

_NAMES = {"__name__": __name__, "np": np, "carray": carray, "float64": float64, "uint64": uint64}
_NAMES |= {
    "pointer": addresses.pointer,
    "VALUE": sparse.VALUE,
    "PULL": sparse.PULL,
    "FAR": elementary.FAR,
    "LARGEST": ranges.LARGEST,
}
_code: dict[Any, Any] = {}  # what was compiled: by the names of entries of the tables, or by source
COMPILED = "arithmetic, comparisons, conditions, loops over a range, abs, min, max, float, np.where, np.clip, and "
COMPILED += "functions of math and numpy of real numbers"
ATTEMPTS = 10  # to compile what another thread changes
MOST_ACTIVATIONS = 4096  # that are remembered; a program holds its own


@dataclass(frozen=True, eq=False)
class Native:
    """An activation as the loops call it."""

    record: Array  # the address of its machine code, its domain, its numbers
    code: Any  # here to be held
    compiled: bool  # else it runs in Python
    reads: Reads | None = None  # what a user's functions read, if they are such as may be compiled

    @property
    def address(self) -> int:
        return int(self.record.ctypes.data)

    @classmethod
    def of(cls, f: Activation, code: Any, numbers: tuple[float, ...], compiled: bool = True) -> Native:
        low, high = max(f.domain[0], -ranges.LARGEST), min(f.domain[1], ranges.LARGEST)
        record = np.array([0.0, low, high, *numbers])
        record.view(np.uint64)[0] = code.address
        return cls(record, code, compiled)


def native(f: Activation, dtype: np.dtype[Any]) -> Native:
    """An activation for state of this dtype; compiled on the first call, and when what its functions read is new."""
    for _ in range(ATTEMPTS):
        own = f.kind == "elementwise" and not isinstance(f, Entry)
        reads = reads_of((f.value_function, f.derivative_function)) if own else None
        found = _native(f, dtype, _State(reads))
        if reads is None or reads.are_current():
            return replace(found, reads=reads)
        _native.cache_clear()  # it changed meanwhile
    raise GraphpropError(f"another thread goes on changing what activation {f.name!r} reads")


class _State:
    """What functions read, as a part of a key."""

    def __init__(self, reads: Reads | None) -> None:
        self.reads = reads  # here to be held
        self.state = None if reads is None else reads.state()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _State) and self.state == other.state

    def __hash__(self) -> int:
        return hash(self.state)


@functools.lru_cache(MOST_ACTIVATIONS)
def _native(f: Activation, dtype: np.dtype[Any], state: _State) -> Native:
    with COMPILING:
        if isinstance(f, Entry):
            return Native.of(f, _kept((f.name, dtype), _compile, f, dtype), tuple(f.parameters.values()))
        found = None if state.reads is None else _traced(f, dtype)
        if found is None:
            announce(f)
        return found or _in_python(f)


def _in_python(f: Activation) -> Native:
    return Native.of(f, _kept("in Python", _compile_refusal), (), False)


@functools.lru_cache(MOST_ACTIVATIONS)
def announce(f: Activation) -> None:
    """Say once that an activation runs in Python, why, and what would not."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("graphprop."):
        level, frame = level + 1, frame.f_back
    told = f"activation {f.name!r} runs in Python, a sample at a time: {_why_not(f)}"
    warnings.warn(told, SlowWarning, stacklevel=level)


def _why_not(f: Activation) -> str:
    """Why an activation is not compiled."""
    if f.kind != "elementwise":
        return f"own ones that are {f.kind} are not compiled, elementwise ones are"
    pair = f.value_function, f.derivative_function
    places = [place for x in pair if (place := strange_line(x)) is not None]
    places += [(x.__code__.co_filename, x.__code__.co_firstlineno) for x in pair if isinstance(x, FunctionType)]
    file, line = places[0] if places else NOWHERE
    text = linecache.getline(file, line).strip()
    where = f"line {line} of {file}{f', `{text}`,' if text else ''}" if line else "what is no function of Python"
    return f"{where} is not compiled; {COMPILED} are"


def is_compiled(f: Activation, dtype: np.dtype[Any] = DOUBLE) -> bool:
    """Whether the activation runs as machine code, not in Python."""
    return native(f, dtype).compiled


def loss_address(entry: Loss, missing: bool = False) -> int:
    """Where the machine code of a loss of the table is, or that for targets some of which are missing.

    0 for a user's own, and for those that take no missing targets.
    """
    if not isinstance(entry, LossEntry) or (missing and not (entry.missing and entry.term)):
        return 0
    with COMPILING:
        return int(_kept((entry.name, missing), _compile_loss, entry, missing).address)


def _kept(key: Any, make: Callable[..., Any], *arguments: Any) -> Any:
    if key not in _code:
        _code[key] = make(*arguments)
    return _code[key]


def _compile_loss(entry: LossEntry, missing: bool) -> Any:
    pointer = types.CPointer(float64)
    signature = types.void(pointer, pointer, pointer, pointer, uint64, uint64)
    source, again = LOSS, None
    parts: tuple[Any, Any] = entry.value, entry.gradient
    if entry.term is not None:
        term, again = entry.term, entry.term.again
        parts = term.value, term.slope
        source = LOSS_OF_TERMS.format(there=THERE if missing else "")
        source += (AGAIN if again is not None else "") + (MEAN if term.mean else "")
    if entry.reads in PROBABILITIES:
        source += DISTRIBUTION.format(probability=PROBABILITIES[entry.reads])
    space = _NAMES | _compilable_pair(parts, _FAST) | {"again": _BY_LOOPS.get(again), "exp": elementary.exp}
    return _callback(source, entry.name, signature, space)


def _signature(dtype: np.dtype[Any]) -> Any:
    pointer = POINTERS[dtype]
    return uint64(POINTERS[DOUBLE], uint64, pointer, pointer, pointer, uint64, uint64, uint64)


def _head(count: int) -> str:
    """The first lines of `run`, for that many numbers."""
    return HEAD.format(count=3 + count, fixed="".join(f"numbers[{3 + i}], " for i in range(count)))


def _compile_refusal() -> Any:
    return _callback(IN_PYTHON, "in_python", _signature(DOUBLE), dict(_NAMES))


def _compile(f: Activation, dtype: np.dtype[Any]) -> Any:
    """An activation of the table."""
    functions = f.value_function, f.derivative_function
    space, head, fast = _NAMES | {"masks": f.masks}, _head(len(f.parameters)), _FAST
    if f.value_function is math.sin:
        space["run_exactly"] = _inner(head + ELEMENTWISE, space | _compilable_pair(functions, _FAST))
        head, fast = head + NEAR + ELSEWHERE, _FAST_NEAR
    space |= _compilable_pair(functions, fast)
    settings = PLAIN if f.kind == "elementwise" else {}
    return _callback(head + SOURCES[f.kind], f.name, _signature(dtype), space, repr(f.masks), **settings)


def of_activation(f: Entry, dtype: np.dtype[Any], body: str, what: str, functions: dict[str, Any]) -> Native:
    """Other machine code of an activation of the table: the lines of `run`, with functions of it by name."""
    head, settings = _head(len(f.parameters)), what + repr(f.masks)

    def make() -> Any:
        space, lines, fast = _NAMES | {"masks": f.masks}, head + body, _FAST
        if f.value_function is math.sin:
            exactly = {key: _compilable(function, _FAST) for key, function in functions.items()}
            space["run_exactly"] = _inner(lines, space | exactly)
            lines, fast = head + NEAR + ELSEWHERE + body, _FAST_NEAR
        space |= {key: _compilable(function, fast) for key, function in functions.items()}
        return _callback(lines, f"{f.name}-{what}", _signature(dtype), space, settings)

    with COMPILING:
        return Native.of(f, _kept((f.name, what, dtype), make), tuple(f.parameters.values()))


def of_loss(entry: LossEntry, source: str, what: str, functions: dict[str, Any]) -> int:
    """Where other machine code of a loss of the table is: `run`, with functions of it by name."""
    pointer = types.CPointer(float64)
    signature = types.void(pointer, pointer, pointer, pointer, uint64, uint64)

    def make() -> Any:
        space = _NAMES | {key: _compilable(function, _FAST) for key, function in functions.items()}
        return _callback(source, f"{entry.name}-{what}", signature, space)

    with COMPILING:
        return int(_kept((entry.name, what), make).address)


# ------------------------------------------------------------------ a user's


def _traced(f: Activation, dtype: np.dtype[Any]) -> Native | None:
    """A user's activation as machine code that gives what Python gives; None if there is none."""
    difference = ""
    for fast in (True, False):
        if (traced := _trace(f, fast)) is None:
            return None
        try:
            code = _kept((traced.source, fast, dtype), _compile_traced, f, traced, fast, dtype)
        except NumbaError:  # something in it that is not compiled
            return None
        found = Native.of(f, code, traced.numbers)
        if not (difference := first_difference(f, found.record, dtype)):
            return found
    warnings.warn(f"activation {f.name!r} runs in Python: {difference}", RuntimeWarning, stacklevel=2)
    return _in_python(f)


def _trace(f: Activation, fast: bool) -> Traced | None:
    functions = {"value": (f.value_function, 1), "derivative": (f.derivative_function, 2)}
    return trace(functions, tuple(f.parameters.values()), fast)


def _compile_traced(f: Activation, traced: Traced, fast: bool, dtype: np.dtype[Any]) -> Any:
    head, settings = _head(len(traced.numbers)), traced.source + str(fast)
    space = _NAMES | _functions_of(traced, fast)
    exactly = _trace(f, fast=False) if fast and traced.turns else None
    if exactly is not None and exactly.numbers == traced.numbers:  # it reads those of the same record
        space["run_exactly"] = _inner(head + TRACED, _NAMES | _functions_of(exactly, fast=False))
        head, settings = head + NEAR_TRACED + ELSEWHERE, settings + exactly.source
    return _callback(head + TRACED, "own", _signature(dtype), space, settings, **PLAIN)


def _functions_of(traced: Traced, fast: bool) -> dict[str, Any]:
    """Its functions, ready for numba, with the loops' own in place of some of `math` if they are to be fast."""
    of_math = {function.__name__: own if fast else function for function, own in _FAST_NEAR.items()}
    space = _NAMES | {"math": math} | of_math
    exec(compile(traced.source, "<traced>", "exec"), space)
    return {name: njit(error_model="numpy", forceinline=True, **INNER)(space[name]) for name in ("value", "derivative")}


# ------------------------------------------------------------------ compiling


def _inner(source: str, space: dict[str, Any]) -> Any:
    """`run` of a source, to be called by another one."""
    space = dict(space)
    exec(compile(source, "<run>", "exec"), space)
    return njit(error_model="numpy", **INNER)(space["run"])


def _callback(source: str, name: str, signature: Any, space: dict[str, Any], settings: str = "", **options: Any) -> Any:
    """`run` of a source, compiled to be called by address, and kept on disk where that is possible."""
    exec(compile(source, f"<{name}>", "exec"), space)
    return compiled_callback(signature, space["run"], name, "\0".join([settings, source, *_texts()]), **options)


def _compilable_pair(functions: tuple[Any, Any], fast: dict[Any, Any]) -> dict[str, Any]:
    value, derivative = (_compilable(function, fast) for function in functions)
    return {"value": value, "derivative": derivative}


def _compilable(function: Any, fast: dict[Any, Any]) -> Any:
    """The function and all those it calls, ready for numba, with the loops' own in place of some of `math`."""
    if isinstance(function, BuiltinFunctionType):
        return fast.get(function, function)
    if not isinstance(function, FunctionType):
        return function
    if function in _BY_LOOPS:
        return _BY_LOOPS[function]
    return _kept((function, *fast), _copied, function, fast)


def _copied(function: FunctionType, fast: dict[Any, Any]) -> Any:
    space = {"__name__": __name__} | {name: _replaced(entry, fast) for name, entry in globals_of(function).items()}
    cells = tuple(CellType(_replaced(cell.cell_contents, fast)) for cell in function.__closure__ or ())
    copy = FunctionType(function.__code__, space, function.__name__, function.__defaults__, cells or None)
    copy.__module__ = function.__module__
    return njit(error_model="numpy", forceinline=True, **UNWRAPPED)(copy)


def _replaced(entry: Any, fast: dict[Any, Any]) -> Any:
    if entry is math:
        module = ModuleType("math")
        vars(module).update(vars(math) | {function.__name__: own for function, own in fast.items()})
        return module
    if entry is np.where:
        return soft_losses.where
    return _compilable(entry, fast) if isinstance(entry, FunctionType | BuiltinFunctionType) else entry


# ------------------------------------------------------------------ on disk


@functools.cache
def _texts() -> list[str]:
    """Those of the modules that machine code comes from."""
    return [Path(str(module.__file__)).read_text() for module in (sys.modules[__name__], *_SOURCES)]


_SOURCES: tuple[ModuleType, ...] = elementwise, reducing, softmax, losses, by_component, soft_targets, twofold
_SOURCES += elementary, ranges, soft_activations, soft_losses, sparse  # and what stands in their place
