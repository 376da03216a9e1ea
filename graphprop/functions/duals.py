"""Numbers with a tangent, x + t e with e^2 = 0: how fast what a function computes moves if what it is given does.

The derivative of an activation or a loss that states no second one is run on them. Python's operators, functions of the
module math and those of numpy that are listed here carry the tangent on; where it would be lost, the run ends in an
error, for a result without it would be wrong. What is decided by comparisons is decided by x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import BuiltinFunctionType, CellType, FunctionType, SimpleNamespace
from typing import Any

import numpy

np: Any = numpy  # its functions take these numbers, of which its types do not know


class NoTangentError(Exception):
    """A function of which the tangent is not known here."""


def _exp_of_square(x: Any) -> Any:
    return 1.1283791670955126 * np.exp(-x * x)  # 2 / sqrt(pi)


# Of functions of one number: the derivative, of x and f(x)
ONE: dict[str, Callable[[Any, Any], Any]] = {
    "negative": lambda x, y: -1.0,
    "positive": lambda x, y: 1.0,
    "absolute": lambda x, y: np.sign(x),
    "fabs": lambda x, y: np.sign(x),
    "square": lambda x, y: 2.0 * x,
    "reciprocal": lambda x, y: -y * y,
    "sqrt": lambda x, y: 0.5 / y,
    "cbrt": lambda x, y: y / (3.0 * x),
    "exp": lambda x, y: y,
    "exp2": lambda x, y: 0.6931471805599453 * y,
    "expm1": lambda x, y: y + 1.0 if np.ndim(x) else math.exp(x),
    "log": lambda x, y: 1.0 / x,
    "log2": lambda x, y: 1.4426950408889634 / x,
    "log10": lambda x, y: 0.4342944819032518 / x,
    "log1p": lambda x, y: 1.0 / (1.0 + x),
    "sin": lambda x, y: np.cos(x),
    "cos": lambda x, y: -np.sin(x),
    "tan": lambda x, y: 1.0 + y * y,
    "arcsin": lambda x, y: 1.0 / np.sqrt((1.0 - x) * (1.0 + x)),
    "arccos": lambda x, y: -1.0 / np.sqrt((1.0 - x) * (1.0 + x)),
    "arctan": lambda x, y: 1.0 / (1.0 + x * x),
    "sinh": lambda x, y: np.cosh(x),
    "cosh": lambda x, y: np.sinh(x),
    "tanh": lambda x, y: 1.0 / np.cosh(x) ** 2,
    "arcsinh": lambda x, y: 1.0 / np.hypot(x, 1.0),
    "arccosh": lambda x, y: 1.0 / np.sqrt((x - 1.0) * (x + 1.0)),
    "arctanh": lambda x, y: 1.0 / ((1.0 - x) * (1.0 + x)),
    "erf": lambda x, y: _exp_of_square(x),
    "erfc": lambda x, y: -_exp_of_square(x),
    **dict.fromkeys(("sign", "floor", "ceil", "trunc", "rint"), lambda x, y: 0.0),
}
# Of two numbers: the derivatives by both, of x, y and f(x, y)
TWO: dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "add": lambda x, y, z: (1.0, 1.0),
    "subtract": lambda x, y, z: (1.0, -1.0),
    "multiply": lambda x, y, z: (y, x),
    "divide": lambda x, y, z: (1.0 / y, -z / y),
    "power": lambda x, y, z: (y * x ** (y - 1.0), _by_exponent(x, z)),
    "maximum": lambda x, y, z: (_one_if(x >= y), _one_if(x < y)),
    "minimum": lambda x, y, z: (_one_if(x <= y), _one_if(x > y)),
    "hypot": lambda x, y, z: (x / z, y / z),
    "arctan2": lambda x, y, z: (y / (x * x + y * y), -x / (x * x + y * y)),
    "logaddexp": lambda x, y, z: (np.exp(x - z), np.exp(y - z)),
    "copysign": lambda x, y, z: (np.sign(x) * np.copysign(1.0, y), 0.0),
}
OF_MATH = {"fabs": "fabs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "pow": "power"}
OF_MATH |= {"acosh": "arccosh", "atanh": "arctanh", "atan2": "arctan2"}
QUESTIONS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
QUESTIONS |= {"isfinite", "isinf", "isnan", "signbit"}
STEPS = {"floor", "ceil", "trunc"}  # of math: whole numbers


def _one_if(condition: Any) -> Any:
    return np.where(condition, 1.0, 0.0)[()]


def _by_exponent(x: Any, z: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(np.asarray(x) > 0, z * np.log(x), 0.0)[()]


def value_of(x: Any) -> Any:
    return x.x if isinstance(x, Dual) else x


def tangent_of(x: Any) -> Any:
    """The tangent, 0 of a plain number."""
    return x.t if isinstance(x, Dual) else np.zeros(np.shape(x)) if np.ndim(x) else 0.0


def _of_one(name: str, y: Any, x: Dual) -> Dual:
    return Dual(y, ONE[name](x.x, y) * x.t)


def _of_two(name: str, z: Any, x: Any, y: Any) -> Dual:
    parts = TWO[name](value_of(x), value_of(y), z)
    # a factor that has no tangent may be infinite
    terms = [part * each.t for part, each in zip(parts, (x, y), strict=True) if isinstance(each, Dual)]
    return Dual(z, np.broadcast_to(sum(terms[1:], terms[0]), np.shape(z))[()] if np.ndim(z) else sum(terms))


class Dual:
    """x + t e, of two numbers or two arrays of one shape."""

    __slots__ = "t", "x"
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, x: Any, t: Any) -> None:
        self.x, self.t = x, t

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, **settings: Any) -> Any:
        name, plain = ufunc.__name__, [value_of(x) for x in given]
        if method == "__call__" and not settings:
            if name in QUESTIONS:
                return ufunc(*plain)
            if len(given) == 1 and name in ONE:
                return _of_one(name, ufunc(*plain), self)
            if len(given) == 2 and name in TWO:
                return _of_two(name, ufunc(*plain), *given)
        raise NoTangentError(f"np.{name}" + (f".{method}" if method != "__call__" else ""))

    def __array_function__(self, function: Any, types: Any, given: Any, settings: Any) -> Any:
        if function not in _OF_NUMPY:
            raise NoTangentError(f"np.{function.__name__}")
        return _OF_NUMPY[function](*given, **settings)

    def __add__(self, y: Any) -> Any:
        return np.add(self, y)

    def __radd__(self, y: Any) -> Any:
        return np.add(y, self)

    def __sub__(self, y: Any) -> Any:
        return np.subtract(self, y)

    def __rsub__(self, y: Any) -> Any:
        return np.subtract(y, self)

    def __mul__(self, y: Any) -> Any:
        return np.multiply(self, y)

    def __rmul__(self, y: Any) -> Any:
        return np.multiply(y, self)

    def __truediv__(self, y: Any) -> Any:
        return np.divide(self, y)

    def __rtruediv__(self, y: Any) -> Any:
        return np.divide(y, self)

    def __pow__(self, y: Any) -> Any:
        return np.power(self, y)

    def __rpow__(self, y: Any) -> Any:
        return np.power(y, self)

    def __neg__(self) -> Any:
        return Dual(-self.x, -self.t)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return np.absolute(self)

    def __lt__(self, y: Any) -> Any:
        return self.x < value_of(y)

    def __le__(self, y: Any) -> Any:
        return self.x <= value_of(y)

    def __gt__(self, y: Any) -> Any:
        return self.x > value_of(y)

    def __ge__(self, y: Any) -> Any:
        return self.x >= value_of(y)

    def __eq__(self, y: object) -> Any:
        return self.x == value_of(y)

    def __ne__(self, y: object) -> Any:
        return self.x != value_of(y)

    def __bool__(self) -> bool:
        return bool(self.x)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> Dual:
        return Dual(self.x[index], self.t[index])

    @property
    def shape(self) -> Any:
        return np.shape(self.x)

    @property
    def ndim(self) -> int:
        return int(np.ndim(self.x))

    @property
    def size(self) -> int:
        return int(np.size(self.x))

    def sum(self, *given: Any, **settings: Any) -> Dual:
        return Dual(self.x.sum(*given, **settings), self.t.sum(*given, **settings))

    def mean(self, *given: Any, **settings: Any) -> Dual:
        return Dual(self.x.mean(*given, **settings), self.t.mean(*given, **settings))

    def cumsum(self, *given: Any, **settings: Any) -> Dual:
        return Dual(self.x.cumsum(*given, **settings), self.t.cumsum(*given, **settings))

    def reshape(self, *given: Any, **settings: Any) -> Dual:
        return Dual(self.x.reshape(*given, **settings), self.t.reshape(*given, **settings))

    def copy(self) -> Dual:
        return Dual(np.copy(self.x), np.copy(self.t))

    def max(self, axis: Any = None, keepdims: bool = False) -> Dual:
        return self._picked(np.argmax, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Dual:
        return self._picked(np.argmin, axis, keepdims)

    def _picked(self, which: Any, axis: Any, keepdims: bool) -> Dual:
        if axis is None:
            if keepdims:
                raise NoTangentError("keepdims without an axis")
            place = np.unravel_index(which(self.x), self.x.shape)
            return self[place]
        index = which(self.x, axis=axis, keepdims=True)
        picked = [np.take_along_axis(part, index, axis) for part in (self.x, self.t)]
        return Dual(*(part if keepdims else np.squeeze(part, axis) for part in picked))

    def argmax(self, *given: Any, **settings: Any) -> Any:
        return self.x.argmax(*given, **settings)

    def argmin(self, *given: Any, **settings: Any) -> Any:
        return self.x.argmin(*given, **settings)

    def argsort(self, *given: Any, **settings: Any) -> Any:
        return self.x.argsort(*given, **settings)

    def clip(self, low: Any = None, high: Any = None) -> Any:
        above = self if low is None else np.maximum(self, low)
        return above if high is None else np.minimum(above, high)

    def dot(self, y: Any) -> Any:
        return np.dot(self, y)


def _where(condition: Any, *cases: Any) -> Any:
    if len(cases) != 2:
        raise NoTangentError("np.where of a condition alone")
    kept = value_of(condition)
    return Dual(np.where(kept, *map(value_of, cases)), np.where(kept, *map(tangent_of, cases)))


def _dot(x: Any, y: Any) -> Dual:
    value = np.dot(value_of(x), value_of(y))
    return Dual(value, np.dot(tangent_of(x), value_of(y)) + np.dot(value_of(x), tangent_of(y)))


def _joined(function: Any) -> Callable[..., Dual]:
    def join(parts: Any, **settings: Any) -> Dual:
        return Dual(
            function([value_of(x) for x in parts], **settings), function([tangent_of(x) for x in parts], **settings)
        )

    return join


def _method(name: str) -> Callable[..., Any]:
    return lambda x, *given, **settings: getattr(x, name)(*given, **settings)


def _of_values(function: Any) -> Callable[..., Any]:
    return lambda x, *given, **settings: function(value_of(x), *given, **settings)


_OF_NUMPY: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.dot: _dot,
    np.sort: lambda x, axis=-1: Dual(
        *(np.take_along_axis(part, np.argsort(x.x, axis), axis) for part in (x.x, x.t))  # ties count as they stand
    ),
    **{function: _joined(function) for function in (np.concatenate, np.stack, np.hstack, np.vstack)},
    np.max: _method("max"),
    np.min: _method("min"),
    **{
        getattr(np, name): _method(name)
        for name in ("sum", "mean", "cumsum", "reshape", "copy", "argmax", "argmin", "argsort", "clip")
    },
    **{
        function: _of_values(function)
        for function in (np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.shape, np.ndim, np.size)
    },
}


# ------------------------------------------------------------------ functions of math


def _function_of_math(function: Any) -> Any:
    """A function of the module math that takes these numbers, too."""
    name = OF_MATH.get(function.__name__, function.__name__)

    def call(*given: Any) -> Any:
        if not any(isinstance(x, Dual) for x in given):
            return function(*given)
        result = function(*map(value_of, given))
        if isinstance(result, bool) or name in STEPS:
            return result
        if len(given) == 1 and name in ONE:
            return _of_one(name, result, given[0])
        if len(given) == 2 and name in TWO:
            return _of_two(name, result, *given)
        raise NoTangentError(f"math.{function.__name__}")

    return call


def _as_float(x: Any = 0.0) -> Any:
    return x if isinstance(x, Dual) else float(x)


def for_duals(function: Any) -> Any:
    """A copy of a function that calls such functions of math as take these numbers, and so do those that it calls."""
    return _copied(function, {})


def _copied(entry: Any, made: dict[int, Any]) -> Any:
    if id(entry) not in made:
        made[id(entry)] = entry  # of one that calls itself
        made[id(entry)] = _copy(entry, made)
    return made[id(entry)]


def _copy(entry: Any, made: dict[int, Any]) -> Any:
    if entry is math:
        changed = {name: _function_of_math(each) for name, each in vars(math).items() if callable(each)}
        return SimpleNamespace(**vars(math) | changed)
    if isinstance(entry, BuiltinFunctionType) and entry.__module__ == "math":
        return _function_of_math(entry)
    if not isinstance(entry, FunctionType) or entry.__module__.partition(".")[0] == "numpy":
        return entry
    names = {*entry.__code__.co_names}
    space = entry.__globals__ | {n: _copied(x, made) for n, x in entry.__globals__.items() if n in names}
    if "float" not in entry.__globals__:
        space["float"] = _as_float
    cells = tuple(CellType(_copied(cell.cell_contents, made)) for cell in entry.__closure__ or ())
    copy = FunctionType(entry.__code__, space, entry.__name__, entry.__defaults__, cells or None)
    copy.__kwdefaults__ = entry.__kwdefaults__
    return copy
