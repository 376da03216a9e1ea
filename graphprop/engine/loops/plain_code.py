"""Whether a function is made of arithmetic, comparisons and functions of real numbers alone, and what it reads.

Such a function gives the same for the same numbers, changes nothing, and may be run with anything in their place. What
it captures may change at any time.
"""

from __future__ import annotations

import builtins
import dis
import math
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from types import BuiltinFunctionType, CellType, CodeType, FunctionType
from typing import Any

import numpy as np

ARITHMETIC = {"+", "-", "*", "/", "//", "%", "**", "+=", "-=", "*=", "/=", "//=", "%=", "**="}
STEPS: tuple[str, ...] = ("LOAD_", "STORE_FAST", "UNARY_", "COMPARE_OP", "POP_", "RETURN_", "JUMP_", "PRECALL", "CALL")
STEPS += ("COPY", "SWAP", "RESUME", "NOP", "CACHE", "PUSH_NULL", "EXTENDED_ARG", "TO_BOOL", "NOT_TAKEN", "MAKE_CELL")
STEPS += ("KW_NAMES", "GET_ITER", "FOR_ITER", "END_FOR")
BUILTINS = {name: getattr(builtins, name) for name in ("abs", "min", "max", "float", "range")}
NOWHERE = "", 0  # of what has no lines
CHOOSING = np.where, np.clip  # what numpy has besides functions of real numbers
WHOLE = {
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


# what a function of arrays, a number for each component, may call besides, and an axis of its shape
OF_ARRAYS = frozenset(("sum", "mean", "where", "shape"))


def is_plain(function: Any, callers: tuple[Any, ...] = (), names: frozenset[str] = frozenset()) -> bool:
    """Whether nothing in it can do anything but compute with numbers; not one that calls itself.

    `names` are those that numpy or a number may be asked for besides functions of real numbers.
    """
    return strange_line(function, callers, names) is None


def strange_line(
    function: Any, callers: tuple[Any, ...] = (), names: frozenset[str] = frozenset()
) -> tuple[str, int] | None:
    """The file and line of the first thing in it that is more than computing with numbers; None if there is none."""
    if isinstance(function, BuiltinFunctionType | np.ufunc):
        return None if function in BUILTINS.values() or _is_of_reals(function) else NOWHERE
    if function is range or any(function is each for each in CHOOSING):
        return None
    if not isinstance(function, FunctionType) or function in callers:
        return NOWHERE
    captured = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    line = function.__code__.co_firstlineno
    for step in dis.get_instructions(function):
        line = (step.positions and step.positions.lineno) or line
        name = step.argval
        if step.opname == "BINARY_OP":
            good = step.argrepr in ARITHMETIC or (step.argrepr == "[]" and "shape" in names)
        elif "CONST" in step.opname:
            good = isinstance(step.argval, int | float)
        elif _is_global(step):
            of_python = BUILTINS.get(name) if vars(builtins).get(name) is BUILTINS.get(name) else None
            entry = function.__globals__.get(name, of_python)
            good = _is_plain_entry(entry, (*callers, function), names)
        elif step.opname in ("LOAD_DEREF", "LOAD_CLOSURE"):
            good = name in captured and _is_plain_entry(_content(captured[name]), (*callers, function), names)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            of_reals = any(_is_of_reals(getattr(module, name, None)) for module in (math, np))
            good = name in names or (name not in WHOLE and of_reals)
        elif step.opname == "BINARY_SUBSCR":
            good = "shape" in names
        else:
            good = step.opname.startswith(STEPS)
        if not good:
            return function.__code__.co_filename, line
    defaults = *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()
    fixed = all(isinstance(entry, int | float) for entry in defaults)
    return None if fixed else (function.__code__.co_filename, function.__code__.co_firstlineno)


def _is_plain_entry(entry: Any, callers: tuple[Any, ...], names: frozenset[str]) -> bool:
    if entry is math or entry is np or entry is float or isinstance(entry, int | float):
        return True
    return is_plain(entry, callers, names)


def _is_of_reals(entry: Any) -> bool:
    """Whether it is a function of numpy or of the module math, for real numbers, or a constant of these."""
    if isinstance(entry, np.ufunc | float) or any(entry is each for each in CHOOSING):
        return True
    return isinstance(entry, BuiltinFunctionType) and entry.__module__ == "math" and entry.__name__ not in WHOLE


MISSING = object()


@dataclass(frozen=True)
class Reads:
    """What plain functions consist of and read, as it was found."""

    entries: tuple[tuple[dict[str, Any], str, Any], ...]  # of modules and of keywords' defaults
    cells: tuple[tuple[CellType, Any], ...]
    functions: tuple[tuple[FunctionType, CodeType, Any, Any], ...]  # with their code and defaults

    def are_current(self) -> bool:
        """Whether all is still what it was."""
        for space, name, entry in self.entries:
            if space.get(name, MISSING) is not entry:
                return False
        for cell, entry in self.cells:
            if _content(cell) is not entry:
                return False
        for function, code, defaults, keywords in self.functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if function.__kwdefaults__ is not keywords:
                return False
        return True

    def state(self) -> Hashable:
        """Equal for those that compute the same."""
        defaults = [entry for _, _, given, _ in self.functions for entry in given or ()]
        captured = *(entry for _, _, entry in self.entries), *(entry for _, entry in self.cells), *defaults
        return tuple(map(_exactly, captured)), tuple(code for _, code, _, _ in self.functions)


def reads_of(functions: Iterable[Any], names: frozenset[str] = frozenset()) -> Reads | None:
    """What these functions read, and those that they call; None if they are not all plain: see `is_plain`."""
    found = list(functions)
    if not all(is_plain(function, names=names) for function in found):
        return None
    entries: list[tuple[dict[str, Any], str, Any]] = []
    cells: list[tuple[CellType, Any]] = []
    made: dict[FunctionType, tuple[CodeType, Any, Any]] = {}
    while found:
        function = found.pop()
        if not isinstance(function, FunctionType) or function in made:
            continue
        keywords = function.__kwdefaults__ or {}
        made[function] = function.__code__, function.__defaults__, function.__kwdefaults__
        own = [(cell, _content(cell)) for cell in function.__closure__ or ()]
        read: list[tuple[dict[str, Any], str]] = [(keywords, name) for name in keywords]
        for step in dis.get_instructions(function):
            if _is_global(step):
                read += [(function.__globals__, step.argval), (vars(builtins), step.argval)]
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                read += [(vars(math), step.argval), (vars(np), step.argval)]
        those = [(space, name, space.get(name, MISSING)) for space, name in read]
        found += [*(entry for *_, entry in those), *(entry for _, entry in own)]
        entries, cells = entries + those, cells + own
    return Reads(tuple(entries), tuple(cells), tuple((function, *parts) for function, parts in made.items()))


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return MISSING


def _exactly(entry: Any) -> Hashable:
    """Of numbers what tells apart those that are equal: 0.0 and -0.0, 1 and 1.0."""
    if isinstance(entry, float):
        return type(entry), entry.hex()
    return (type(entry), entry) if isinstance(entry, int) else id(entry)


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
