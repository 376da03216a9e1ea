"""A symbol in place of a number, which writes down what is done to it.

Asked whether it is less than another one it says yes, and the function is run again for no. What a function computes
with symbols is a list of steps, operations on floats alone; which functions are run is the matter of `tracing.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FAST = ("exp", "expm1", "tanh", "sin", "cos")  # called by their bare names; the loops have others of these
ONE_REAL = {"acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cosh", "degrees", "erf", "erfc", "exp2", "fabs"}
ONE_REAL |= {"gamma", "lgamma", "log", "log10", "log1p", "log2", "radians", "sinh", "sqrt", "tan", *FAST}
TWO_REALS = {"atan2", "copysign", "fmod", "hypot", "pow"}
ROUNDING = {"floor", "ceil", "trunc"}  # to whole numbers
QUESTIONS = {"isfinite", "isinf", "isnan"}
MOST_PATHS, MOST_DECISIONS, MOST_STEPS = 64, 40, 500
FEW = 16  # exponents up to here are multiplied out
MOST_BITS = 100_000  # of a whole number; a way that is never taken may have `10**10**10` in it
MOST_TURNS = 100  # of a loop over numbers that are known
MOST_QUESTIONS = 10_000
INEXACT = "not abs({}) < 9007199254740992.0"  # no float has all whole numbers from 2^53 on
STRANGE, FAR_OUT = "not abs({}) <= LARGEST", "not 1e-300 <= abs({}) <= 1e300"


class UntraceableError(Exception):
    """What a function does with a symbol cannot be written as operations on floats."""


class TooLongError(ArithmeticError):
    """A way that has more decisions than are compiled: Python goes it."""


@dataclass
class Recorder:
    """The steps of one run of a function; `decisions` are those of the way that it takes."""

    fast: bool
    numbers: dict[str, float] = field(default_factory=dict)  # arguments of what is compiled, by their digits
    decisions: list[bool] = field(default_factory=list)
    steps: list[tuple[str, ...]] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    answers: dict[str, bool] = field(default_factory=dict)
    questions: int = 0

    def begin(self, decisions: list[bool]) -> None:
        self.decisions = decisions
        self.steps, self.known, self.answers, self.questions = [], {}, {}, 0

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
        self.questions += 1
        if self.questions > MOST_QUESTIONS:  # a loop that does not end
            raise UntraceableError
        if condition in self.answers:
            return self.answers[condition]
        number = len(self.answers)
        if number == MOST_DECISIONS:
            raise TooLongError
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
        if not (is_number(left) and is_number(right)):
            raise UntraceableError
        of_numpy = is_of_numpy(left) or is_of_numpy(right)
        x = self.recorder.text(left)
        if sign == "**":
            return self.recorder.step(*_power(self.recorder, x, right, of_numpy))
        y = self.recorder.text(right)
        unusual = [STRANGE] if of_numpy else [f"{y} == 0.0"] if sign in "/ // %" and isinstance(right, Symbol) else []
        if sign in "/ // %" and not isinstance(right, Symbol) and right == 0:
            raise ZeroDivisionError
        return self.recorder.step(f"{x} {sign} {y}", of_numpy, *unusual)

    def _question(self, sign: str, other: Any) -> Any:
        if not is_number(other) or (isinstance(other, int) and int(float(other)) != other):
            raise UntraceableError
        answer = self.recorder.decide(f"{self.text} {sign} {self.recorder.text(other)}")
        return np.bool_(answer) if self.of_numpy or is_of_numpy(other) else Whole(answer)

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

    def mean(self, axis: int) -> Total:
        return self.sum(axis) / self.shape[-1]

    @property
    def shape(self) -> Shape:
        return Shape(self.recorder)

    def __bool__(self) -> bool:
        return self.recorder.decide(f"{self.text} != 0.0")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *given: Any, **settings: Any) -> Any:
        if method != "__call__" or settings or not all(map(is_number, given)):
            raise UntraceableError
        inputs = "d" * ufunc.nin
        if f"{inputs}->d" in ufunc.types:
            return self.recorder.call(ufunc.__name__, given, True, "np.")
        if f"{inputs}->?" in ufunc.types:
            return np.bool_(self.recorder.decide(f"np.{ufunc.__name__}({', '.join(map(self.recorder.text, given))})"))
        raise UntraceableError


COUNT = "x2"  # of the components, which a function of one of them is given behind it and its target


@dataclass
class Shape:
    """Of an array of which a number stands for each component; only how many these are is known of it."""

    recorder: Recorder

    def __getitem__(self, axis: int) -> WholeSymbol:
        if axis != -1:
            raise UntraceableError
        return WholeSymbol(self.recorder, COUNT, False)


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


class WholeSymbol(Symbol):
    """A whole number of Python, as a float that holds it; where none does, Python is asked."""

    __slots__ = ()

    def _operation(self, sign: str, left: Any, right: Any) -> Symbol:
        if sign == "**":
            return self._power(left, right)
        if sign not in ("+", "-", "*", "//", "%") or not all(isinstance(x, WholeSymbol | Whole) for x in (left, right)):
            return super()._operation(sign, left, right)
        x, y = map(self.recorder.text, (left, right))
        if sign in "// %" and not isinstance(right, Symbol) and right == 0:
            raise ZeroDivisionError
        unusual = [INEXACT, f"{y} == 0.0"] if sign in "// %" and isinstance(right, Symbol) else [INEXACT]
        return whole_of(self.recorder, f"{x} {sign} {y}", *unusual)

    def _power(self, x: Any, exponent: Any) -> Symbol:
        if (isinstance(x, Symbol) and not isinstance(x, WholeSymbol)) or not isinstance(exponent, Whole):
            raise UntraceableError
        text, *_ = _power(self.recorder, self.recorder.text(x), exponent, False)
        return super()._operation("**", x, exponent) if exponent < 0 else whole_of(self.recorder, text, INEXACT)

    def __neg__(self) -> Any:
        return whole_of(self.recorder, f"-{self.text}")

    def __abs__(self) -> Any:
        return whole_of(self.recorder, f"abs({self.text})")


def whole_of(recorder: Recorder, text: str, *unusual: str) -> WholeSymbol:
    """Whole numbers have one 0."""
    return WholeSymbol(recorder, recorder.step(f"({text}) + 0.0", False, *unusual).text, False)


def is_number(x: Any) -> bool:
    return isinstance(x, Symbol | int | float | np.bool_ | np.int64)


def is_of_numpy(x: Any) -> bool:
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
