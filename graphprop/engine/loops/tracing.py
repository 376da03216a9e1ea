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

FAST = ("exp", "expm1", "tanh", "sin", "cos")  # called by their bare names; the loops have others of these
ONE_REAL = {"acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cosh", "degrees", "erf", "erfc", "exp2", "fabs"}
ONE_REAL |= {"gamma", "lgamma", "log", "log10", "log1p", "log2", "radians", "sinh", "sqrt", "tan", *FAST}
TWO_REALS = {"atan2", "copysign", "fmod", "hypot", "pow"}
QUESTIONS = {"isfinite", "isinf", "isnan"}
MOST_PATHS, MOST_DECISIONS, MOST_STEPS = 64, 40, 500
FEW = 16  # exponents up to here are multiplied out
MOST_BITS = 100_000  # of a whole number; a way that is never taken may have `10**10**10` in it
STRANGE, FAR_OUT = "not abs({}) <= LARGEST", "not 1e-300 <= abs({}) <= 1e300"


class UntraceableError(Exception):
    """What a function does with a symbol cannot be written as operations on floats."""


@dataclass
class Recorder:
    """The steps of one run of a function; `decisions` are those of the way that it takes."""

    fast: bool
    numbers: dict[str, float] = field(default_factory=dict)  # arguments of what is compiled, by their digits
    decisions: list[bool] = field(default_factory=list)
    steps: list[tuple[str, ...]] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    answers: dict[str, bool] = field(default_factory=dict)

    def begin(self, decisions: list[bool]) -> None:
        self.decisions = decisions
        self.steps, self.known, self.answers = [], {}, {}

    def text(self, x: Any) -> str:
        """A number in the source; an integer that no float can hold raises what it raises in Python."""
        if isinstance(x, Symbol):
            return x.text
        digits = float(x).hex()
        self.numbers.setdefault(digits, float(x))
        return f"p{[*self.numbers].index(digits)}"

    def step(self, text: str, of_numpy: bool, *unusual: str) -> Symbol:
        """A number that is computed, and the conditions under which Python has to be asked."""
        if len(self.steps) > MOST_STEPS:
            raise UntraceableError
        if text not in self.known:
            name = self.known[text] = f"t{len(self.known)}"
            self.steps.append((f"{name} = {text}", *(f"odd |= {condition.format(name)}" for condition in unusual)))
        return Symbol(self, self.known[text], of_numpy)

    def decide(self, condition: str) -> bool:
        """Which way it goes; the way that is taken for the first time is that of yes."""
        if condition in self.answers:
            return self.answers[condition]
        number = len(self.answers)
        if number == MOST_DECISIONS:
            raise UntraceableError
        if number == len(self.decisions):
            self.decisions.append(True)
        self.steps.append(("if", condition))
        self.answers[condition] = self.decisions[number]
        return self.decisions[number]

    def call(self, name: str, given: Sequence[Any], of_numpy: bool, prefix: str = "math.") -> Symbol:
        texts = [self.text(x) for x in given]
        far = [f"far |= not abs({texts[0]}) <= FAR"] if self.fast and name in ("sin", "cos") else []
        if far:
            self.steps.append(tuple(far))
        called = name if name in FAST else prefix + name
        return self.step(f"{called}({', '.join(texts)})", of_numpy, STRANGE)


class Symbol:
    """A float of Python, or of numpy, that is known when the compiled function runs."""

    __slots__ = ("of_numpy", "recorder", "text")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, recorder: Recorder, text: str, of_numpy: bool) -> None:
        self.recorder, self.text, self.of_numpy = recorder, text, of_numpy

    def _operation(self, sign: str, left: Any, right: Any) -> Symbol:
        if not (_is_number(left) and _is_number(right)):
            raise UntraceableError
        of_numpy = _of_numpy(left) or _of_numpy(right)
        x = self.recorder.text(left)
        if sign == "**":
            return self.recorder.step(*_power(self.recorder, x, right, of_numpy))
        y = self.recorder.text(right)
        unusual = [STRANGE] if of_numpy else [f"{y} == 0.0"] if sign in "/ // %" and isinstance(right, Symbol) else []
        if sign in "/ // %" and not isinstance(right, Symbol) and right == 0:
            raise ZeroDivisionError
        return self.recorder.step(f"{x} {sign} {y}", of_numpy, *unusual)

    def _question(self, sign: str, other: Any) -> Any:
        if not _is_number(other) or (isinstance(other, int) and int(float(other)) != other):
            raise UntraceableError
        answer = self.recorder.decide(f"{self.text} {sign} {self.recorder.text(other)}")
        return np.bool_(answer) if self.of_numpy or _of_numpy(other) else Whole(answer)

    def __add__(self, x: Any) -> Any:
        return self._operation("+", self, x)

    def __radd__(self, x: Any) -> Any:
        return self._operation("+", x, self)

    def __sub__(self, x: Any) -> Any:
        return self._operation("-", self, x)

    def __rsub__(self, x: Any) -> Any:
        return self._operation("-", x, self)

    def __mul__(self, x: Any) -> Any:
        return self._operation("*", self, x)

    def __rmul__(self, x: Any) -> Any:
        return self._operation("*", x, self)

    def __truediv__(self, x: Any) -> Any:
        return self._operation("/", self, x)

    def __rtruediv__(self, x: Any) -> Any:
        return self._operation("/", x, self)

    def __floordiv__(self, x: Any) -> Any:
        return self._operation("//", self, x)

    def __rfloordiv__(self, x: Any) -> Any:
        return self._operation("//", x, self)

    def __mod__(self, x: Any) -> Any:
        return self._operation("%", self, x)

    def __rmod__(self, x: Any) -> Any:
        return self._operation("%", x, self)

    def __pow__(self, x: Any) -> Any:
        return self._operation("**", self, x)

    def __rpow__(self, x: Any) -> Any:
        return self._operation("**", x, self)

    def __neg__(self) -> Any:
        return self.recorder.step(f"-{self.text}", self.of_numpy)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self.recorder.step(f"abs({self.text})", self.of_numpy)

    def __lt__(self, x: Any) -> Any:
        return self._question("<", x)

    def __le__(self, x: Any) -> Any:
        return self._question("<=", x)

    def __gt__(self, x: Any) -> Any:
        return self._question(">", x)

    def __ge__(self, x: Any) -> Any:
        return self._question(">=", x)

    def __eq__(self, x: object) -> Any:
        return self._question("==", x)

    def __ne__(self, x: object) -> Any:
        return self._question("!=", x)

    def sum(self, axis: int) -> Total:
        """Over the components, of a number that stands for each of them."""
        if axis != -1:
            raise UntraceableError
        return Total(self)

    def __bool__(self) -> bool:
        return self.recorder.decide(f"{self.text} != 0.0")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *given: Any, **settings: Any) -> Any:
        if method != "__call__" or settings or not all(map(_is_number, given)):
            raise UntraceableError
        inputs = "d" * ufunc.nin
        if f"{inputs}->d" in ufunc.types:
            return self.recorder.call(ufunc.__name__, given, True, "np.")
        if f"{inputs}->?" in ufunc.types:
            return np.bool_(self.recorder.decide(f"np.{ufunc.__name__}({', '.join(map(self.recorder.text, given))})"))
        raise UntraceableError


@dataclass
class Total:
    """The sum of a term over all components; it may still be multiplied."""

    term: Any

    def __mul__(self, x: Any) -> Total:
        return Total(self.term * x)

    __rmul__ = __mul__

    def __truediv__(self, x: Any) -> Total:
        return Total(self.term / x)

    def __neg__(self) -> Total:
        return Total(-self.term)


def _is_number(x: Any) -> bool:
    return isinstance(x, Symbol | int | float | np.bool_)


def _of_numpy(x: Any) -> bool:
    return x.of_numpy if isinstance(x, Symbol) else isinstance(x, np.generic)


def _power(recorder: Recorder, x: str, exponent: Any, of_numpy: bool) -> tuple[str, bool, str]:
    """A power as a step; multiplied out, the quotient can underflow too early."""
    known = isinstance(exponent, int | float) and 2 <= abs(exponent) <= FEW and exponent == int(exponent)
    if not known:
        return f"math.pow({x}, {recorder.text(exponent)})", of_numpy, STRANGE
    n = int(exponent)
    if not recorder.fast:
        return f"math.pow({x}, {n}.0)", of_numpy, STRANGE
    return (f"{x} ** {n}", of_numpy, STRANGE) if n > 0 else (f"1.0 / {x} ** {-n}", of_numpy, FAR_OUT)


class Whole(int):
    """A whole number as Python has it, but that it does not grow without bound."""


def _bounded(name: str) -> Callable[..., Any]:
    operation = getattr(int, name)

    def method(self: Whole, *others: Any) -> Any:
        if others and isinstance(others[0], int):
            bits, more = int(self).bit_length(), int(others[0]).bit_length()
            x, n = (others[0], self) if name == "__rpow__" else (self, others[0])
            needed = int(x).bit_length() * abs(int(n)) if "pow" in name else bits + more
            if needed > MOST_BITS and abs(int(x)) > 1:
                raise UntraceableError
        result = operation(self, *others)
        return Whole(result) if isinstance(result, int) else result

    return method


SIGNS = ("add", "sub", "mul", "floordiv", "mod", "pow")
for _name in (*SIGNS, *(f"r{sign}" for sign in SIGNS), *("neg", "pos", "abs", "invert", "lt", "le", "gt", "ge")):
    setattr(Whole, f"__{_name}__", _bounded(f"__{_name}__"))


# ------------------------------------------------------------------ what the functions call


def _math_function(recorder: Recorder, function: Any) -> Callable[..., Any]:
    name = function.__name__

    def call(*given: Any) -> Any:
        if not any(isinstance(x, Symbol) for x in given):
            return function(*given)
        if not all(map(_is_number, given)):
            raise UntraceableError
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
        alike = all(isinstance(x, Symbol | float) and not _of_numpy(x) for x in given)
        if len(given) == 2 and symbols and alike:
            first, second = map(recorder.text, given)
            return recorder.step(f"{second} if {second} {sign} {first} else {first}", False)
        return function(*given)

    return call


def _as_float(x: Any = 0.0) -> Any:
    return Symbol(x.recorder, x.text, False) if isinstance(x, Symbol) else float(x)


def _where(condition: Any, then: Any, otherwise: Any) -> Any:
    """One of two, which were both worked out before."""
    chosen = then if condition else otherwise
    return chosen if isinstance(chosen, Symbol) else float(chosen)


def _sum(x: Any, axis: int) -> Total:
    if not isinstance(x, Symbol):
        raise UntraceableError
    return x.sum(axis)


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
            return SimpleNamespace(**vars(np) | {"where": _where, "sum": _sum})
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

    None if the value is no sum of terms, or one of them has to run in Python.
    """
    recorder = Recorder(fast=True)
    copies = _Copies(recorder)

    def term(z: Symbol, t: Symbol) -> Any:
        total = copies.of(value)(z, t)
        if not isinstance(total, Total):
            raise UntraceableError
        return total.term

    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            bodies = {
                "value": _paths(recorder, term, 2, (), of_numpy=True),
                "derivative": _paths(recorder, copies.of(gradient), 2, (), of_numpy=True),
            }
    except Exception:  # a symbol where it cannot stand
        return None
    return _traced(recorder, bodies, dict.fromkeys(bodies, 2))


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
