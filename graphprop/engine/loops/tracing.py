"""What a user's scalar functions compute, found by running them with symbols in place of numbers.

A symbol writes down what is done to it. Asked whether it is less than another one it says yes, and the function is run
again for no. Whatever does not depend on a symbol Python itself computes, whole numbers too. The result is a function
in source text, of operations on floats alone, which says of each result whether Python could have refused, warned, or
left the real numbers on the way: there Python has to be asked. All numbers but small exponents are arguments of it, so
that functions which differ in their numbers have one text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import BuiltinFunctionType, CellType, FunctionType, SimpleNamespace
from typing import Any

import numpy as np

from graphprop.engine.loops.plain_code import BUILTINS, globals_of
from graphprop.engine.loops.symbols import (
    INEXACT,
    MOST_PATHS,
    MOST_TURNS,
    ONE_REAL,
    QUESTIONS,
    ROUNDING,
    STRANGE,
    TWO_REALS,
    Recorder,
    Symbol,
    Total,
    UntraceableError,
    Whole,
    WholeSymbol,
    is_number,
    is_of_numpy,
    whole_of,
)

# ------------------------------------------------------------------ what the functions call


def _math_function(recorder: Recorder, function: Any) -> Callable[..., Any]:
    name = function.__name__

    def call(*given: Any) -> Any:
        if not any(isinstance(x, Symbol) for x in given):
            return function(*given)
        if not all(map(is_number, given)):
            raise UntraceableError
        if name in ROUNDING and len(given) == 1:
            (x,) = given
            return x if isinstance(x, WholeSymbol) else whole_of(recorder, f"np.{name}({x.text})", INEXACT)
        if name in QUESTIONS and len(given) == 1:
            return recorder.decide(f"math.{name}({recorder.text(given[0])})")
        if name in {1: ONE_REAL, 2: TWO_REALS}.get(len(given), ()):
            return recorder.call(name, given, False)
        raise UntraceableError

    return call


def _extreme(recorder: Recorder, function: Any, sign: str) -> Callable[..., Any]:
    """max or min; of two floats without a decision."""

    def call(*given: Any) -> Any:
        symbols = [x for x in given if isinstance(x, Symbol)]
        alike = all(isinstance(x, Symbol | float) and not is_of_numpy(x) for x in given)
        if len(given) == 2 and symbols and alike:
            first, second = map(recorder.text, given)
            return recorder.step(f"{second} if {second} {sign} {first} else {first}", False)
        return function(*given)

    return call


def _range(*given: Any) -> range:
    found = range(*given)
    if len(found) > MOST_TURNS:
        raise UntraceableError
    return found


def _where(condition: Any, x: Any, y: Any) -> Any:
    """What numpy chooses, as its number: a float, if one of both is."""
    if not all(map(is_number, (condition, x, y))):
        raise UntraceableError
    chosen = x if condition else y
    if isinstance(chosen, Symbol):
        return Symbol(chosen.recorder, chosen.text, True)
    of_float = [np.float64(0) if isinstance(each, Symbol) else each for each in (x, y)]
    return np.asarray(chosen, dtype=np.result_type(*map(np.asarray, of_float)))[()]


def _clip(recorder: Recorder) -> Callable[..., Any]:
    def call(x: Any, a_min: Any = None, a_max: Any = None, **named: Any) -> Any:
        low, high = named.get("min", a_min), named.get("max", a_max)
        if not named.keys() <= {"min", "max"}:
            raise UntraceableError
        if not any(isinstance(each, Symbol) for each in (x, low, high)):
            return np.clip(x, low, high)
        if not all(map(is_number, (x, low, high))):
            raise UntraceableError
        a, least, most = map(recorder.text, (x, low, high))
        raised = recorder.step(f"{least} if {a} < {least} or {least} != {least} else {a}", True).text
        return recorder.step(f"{most} if {raised} > {most} or {most} != {most} else {raised}", True, STRANGE)

    return call


def _as_float(x: Any = 0.0) -> Any:
    return Symbol(x.recorder, x.text, False) if isinstance(x, Symbol) else float(x)


def _sum(x: Any, axis: int) -> Total:
    if not isinstance(x, Symbol):
        raise UntraceableError
    return x.sum(axis)


def _mean(x: Any, axis: int) -> Total:
    if not isinstance(x, Symbol):
        raise UntraceableError
    return x.mean(axis)


@dataclass
class _Copies:
    """Copies of functions that compute with symbols: what they refer to is replaced."""

    recorder: Recorder
    made: dict[int, Any] = field(default_factory=dict)

    def of(self, entry: Any) -> Any:
        key = id(entry)
        if key not in self.made:
            self.made[key] = self._copy(entry)
        return self.made[key]

    def _copy(self, entry: Any) -> Any:
        recorder = self.recorder
        if entry is math:
            functions = {name: self.of(each) for name, each in vars(math).items() if callable(each)}
            return SimpleNamespace(**vars(math) | functions)
        if entry is np:
            others = {"where": _where, "clip": _clip(recorder), "sum": _sum, "mean": _mean}
            return SimpleNamespace(**vars(np) | others)
        if entry is np.where:
            return _where
        if entry is np.clip:
            return _clip(recorder)
        if entry is range:
            return _range
        if entry in (max, min):
            return _extreme(recorder, entry, ">" if entry is max else "<")
        if entry is float:
            return _as_float
        if isinstance(entry, BuiltinFunctionType) and entry.__module__ == "math":
            return _math_function(recorder, entry)
        if isinstance(entry, int):
            return Whole(entry)
        if isinstance(entry, FunctionType):
            return self._function(entry)
        return entry

    def _function(self, function: FunctionType) -> FunctionType:
        space = {"__builtins__": {name: self.of(entry) for name, entry in BUILTINS.items()}}
        space |= {name: self.of(entry) for name, entry in globals_of(function).items()}
        cells = tuple(CellType(self.of(cell.cell_contents)) for cell in function.__closure__ or ())
        defaults = tuple(map(self.of, function.__defaults__ or ()))
        constants = (Whole(entry) if isinstance(entry, int) else entry for entry in function.__code__.co_consts)
        code = function.__code__.replace(co_consts=tuple(constants))
        copy = FunctionType(code, space, function.__name__, defaults, cells)
        copy.__kwdefaults__ = {name: self.of(entry) for name, entry in (function.__kwdefaults__ or {}).items()}
        return copy


# ------------------------------------------------------------------ the result


@dataclass(frozen=True)
class Traced:
    """Functions in source text, each `name(a, ..., p0, p1, ...)`, and the numbers that are the last arguments.

    They give (the number, whether Python has to be asked, whether a sine is called far from 0).
    """

    source: str
    numbers: tuple[float, ...]
    turns: bool  # whether there is a sine, or a cosine


def trace(functions: dict[str, tuple[Any, int]], parameters: Sequence[float], fast: bool) -> Traced | None:
    """These plain functions, of so many numbers and then the parameters; None if one of them has to run in Python.

    With `fast` powers are multiplied out, and sines are right up to FAR; else all is done as Python does it.
    """
    recorder = Recorder(fast)
    copies = _Copies(recorder)
    try:
        copied = {name: (copies.of(function), count) for name, (function, count) in functions.items()}
        with np.errstate(over="raise", divide="raise", invalid="raise"):  # numpy would warn, and Python is asked
            bodies = {name: _paths(recorder, function, count, parameters) for name, (function, count) in copied.items()}
    except Exception:  # a symbol where it cannot stand; what the function itself raises is a way that it takes
        return None
    return _traced(recorder, bodies, {name: count for name, (_, count) in functions.items()})


def _traced(recorder: Recorder, bodies: dict[str, list[str]], counts: dict[str, int]) -> Traced:
    """Functions of so many numbers, of their lines."""
    arguments = "".join(f", p{i}" for i in range(len(recorder.numbers)))
    texts = [
        f"def {name}({', '.join(f'x{i}' for i in range(counts[name]))}{arguments}):\n"
        + "    odd = far = False\n"
        + "\n".join(lines)
        for name, lines in bodies.items()
    ]
    return Traced("\n\n".join(texts) + "\n", tuple(recorder.numbers.values()), "far |=" in "".join(texts))


def trace_loss(value: Any, gradient: Any) -> Traced | None:
    """Plain functions of arrays z and t, the components last, as functions of one of these: a term and its slope.

    They are given the number of components, too. None if the value is no sum, or mean, of terms, or one of them has to
    run in Python.
    """
    recorder = Recorder(fast=True)
    copies = _Copies(recorder)

    def term(z: Symbol, t: Symbol, count: Symbol) -> Any:
        total = copies.of(value)(z, t)
        if not isinstance(total, Total):
            raise UntraceableError
        return total.term

    def slope(z: Symbol, t: Symbol, count: Symbol) -> Any:
        return copies.of(gradient)(z, t)

    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            bodies = {
                "value": _paths(recorder, term, 3, (), of_numpy=True),
                "derivative": _paths(recorder, slope, 3, (), of_numpy=True),
            }
    except Exception:  # a symbol where it cannot stand
        return None
    return _traced(recorder, bodies, dict.fromkeys(bodies, 3))


def _paths(
    recorder: Recorder, function: Callable[..., Any], count: int, fixed: Sequence[float], of_numpy: bool = False
) -> list[str]:
    """The lines of a function's body, all ways that it can take."""
    lines: list[str] = []
    decisions: list[bool] = []
    shared = 0  # steps that stand there already, of the way before
    for _ in range(MOST_PATHS):
        recorder.begin(decisions)
        given = [Symbol(recorder, f"x{i}", of_numpy) for i in range(count)]
        end = _end(recorder, function, [*given, *fixed])
        lines += _lines(recorder, shared, end)
        while decisions and not decisions[-1]:
            decisions.pop()
        if not decisions:
            return lines
        decisions[-1] = False
        questions = [i for i, step in enumerate(recorder.steps) if step[0] == "if"]
        shared = questions[len(decisions) - 1] + 1
        lines.append("    " * len(decisions) + "else:")
    raise UntraceableError


def _end(recorder: Recorder, function: Callable[..., Any], given: list[Any]) -> str:
    """What one way ends in; where Python raises an error, it has to be asked."""
    try:
        return f"return {recorder.text(function(*given))}, odd, far"
    except (ArithmeticError, ValueError):
        return "return 0.0, True, far"


def _lines(recorder: Recorder, shared: int, end: str) -> list[str]:
    depth = 1 + sum(step[0] == "if" for step in recorder.steps[:shared])
    lines = []
    for step in recorder.steps[shared:]:
        if step[0] == "if":
            lines.append("    " * depth + f"if {step[1]}:")
            depth += 1
        else:
            lines += ["    " * depth + line for line in step]
    return [*lines, "    " * depth + end]
