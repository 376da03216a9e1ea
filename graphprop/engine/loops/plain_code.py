"""Whether a function is made of arithmetic, comparisons and functions of real numbers alone.

Such a function gives the same for the same numbers, changes nothing, and may be run with anything in their place.
"""

from __future__ import annotations

import builtins
import dis
import math
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any

import numpy as np

ARITHMETIC = {"+", "-", "*", "/", "//", "%", "**", "+=", "-=", "*=", "/=", "//=", "%=", "**="}
STEPS: tuple[str, ...] = ("LOAD_", "STORE_FAST", "UNARY_", "COMPARE_OP", "POP_", "RETURN_", "JUMP_", "PRECALL", "CALL")
STEPS += ("COPY", "SWAP", "RESUME", "NOP", "CACHE", "PUSH_NULL", "EXTENDED_ARG", "TO_BOOL", "NOT_TAKEN", "MAKE_CELL")
STEPS += ("KW_NAMES",)
BUILTINS = {name: getattr(builtins, name) for name in ("abs", "min", "max", "float")}
WHOLE = {
    "floor",
    "ceil",
    "trunc",
    "gcd",
    "lcm",
    "comb",
    "perm",
    "factorial",
    "isqrt",
    "fsum",
    "prod",
    "sumprod",
    "dist",
}


def is_plain(function: Any, callers: tuple[Any, ...] = ()) -> bool:
    """Whether nothing in it can do anything but compute with numbers; not one that calls itself."""
    if isinstance(function, BuiltinFunctionType | np.ufunc):
        return function in BUILTINS.values() or _is_of_reals(function)
    if not isinstance(function, FunctionType) or function in callers:
        return False
    captured = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for step in dis.get_instructions(function):
        name = step.argval
        if step.opname == "BINARY_OP":
            good = step.argrepr in ARITHMETIC
        elif "CONST" in step.opname:
            good = isinstance(step.argval, int | float)
        elif _is_global(step):
            entry = function.__globals__.get(name, BUILTINS.get(name))
            good = _is_plain_entry(entry, (*callers, function))
        elif step.opname in ("LOAD_DEREF", "LOAD_CLOSURE"):
            good = name in captured and _is_plain_entry(captured[name].cell_contents, (*callers, function))
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            good = name not in WHOLE and any(_is_of_reals(getattr(module, name, None)) for module in (math, np))
        else:
            good = step.opname.startswith(STEPS) and "BACKWARD" not in step.opname
        if not good:
            return False
    defaults = *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()
    return all(isinstance(entry, int | float) for entry in defaults)


def _is_plain_entry(entry: Any, callers: tuple[Any, ...]) -> bool:
    return entry is math or entry is np or entry is float or isinstance(entry, int | float) or is_plain(entry, callers)


def _is_of_reals(entry: Any) -> bool:
    """Whether it is a function of numpy or of the module math, for real numbers, or a constant of these."""
    if isinstance(entry, np.ufunc | float):
        return True
    return isinstance(entry, BuiltinFunctionType) and entry.__module__ == "math" and entry.__name__ not in WHOLE


def globals_of(function: FunctionType) -> dict[str, Any]:
    """What it reads of its module, by name; `math.tanh` reads `math`, not what is called `tanh` there."""
    steps = (step for code in codes(function.__code__) for step in dis.get_instructions(code))
    read = {step.argval for step in steps if _is_global(step)}
    return {name: function.__globals__[name] for name in sorted(read) if name in function.__globals__}


def _is_global(step: dis.Instruction) -> bool:
    return step.opname in ("LOAD_GLOBAL", "LOAD_NAME")


def codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions inside of it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)
