"""Formulas as small trees, whose leaves are numbers and named quantities: evaluated, and written in three languages.

A formula is written with the symbols of its quantities, or with their numbers. What a quantity means is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphprop.notation.escaping import latex_text, markup

SPARE = 12  # digits beyond those that are shown

# ------------------------------------------------------------------ symbols


@dataclass(frozen=True)
class Symbol:
    """A letter with what stands behind it: w(0, h1, y) has it in round brackets, delta[y][0] in square ones.

    Texts are labels of names, integers are components; a pair is a name with its component, as in w(h[2], y).
    """

    letter: str
    square: tuple[Any, ...] = ()
    round: tuple[Any, ...] = ()
    sample: int | None = None


@dataclass(frozen=True)
class Derivative:
    """The derivative of one thing with respect to another."""

    of: Symbol
    by: Symbol
    sample: int | None = None


@dataclass(frozen=True)
class Slope:
    """f'(a), by the name of the function."""

    function: str
    at: Symbol


# ------------------------------------------------------------------ formulas


@dataclass(frozen=True)
class Constant:
    """A number of the formula itself, written in full."""

    value: float


@dataclass(frozen=True)
class Quantity:
    """A number with a name. The name may be an expression that is computed in another way than it is written.

    `key` says what it is to whoever can derive it; it has none if it was given.
    """

    symbol: Symbol | Derivative | Slope | Expression
    value: Any  # a float, or a number of mpmath
    key: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Sum:
    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Product:
    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Minus:
    of: Expression


@dataclass(frozen=True)
class Quotient:
    top: Expression
    bottom: Expression


@dataclass(frozen=True)
class Square:
    of: Expression


@dataclass(frozen=True)
class Call:
    """A function that `FUNCTIONS` knows, of its arguments."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Cases:
    """One expression if another is positive, else a third."""

    positive: Expression
    then: Expression
    otherwise: Expression


Expression: TypeAlias = Constant | Quantity | Sum | Product | Minus | Quotient | Square | Call | Cases
ONE = Constant(1.0)


def total(terms: Sequence[Expression]) -> Expression:
    """The sum; 0 if there is no term."""
    if not terms:
        return Constant(0.0)
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def product(*factors: Expression) -> Expression:
    """The product, without factors that are the constant 1."""
    flat: list[Expression] = []
    for factor in factors:
        if factor != ONE:
            flat += factor.factors if isinstance(factor, Product) else (factor,)
    if not flat:
        return ONE
    return flat[0] if len(flat) == 1 else Product(tuple(flat))


def parts(e: Expression) -> tuple[Expression, ...]:
    """What an expression is made of."""
    match e:
        case Sum(terms):
            return terms
        case Product(factors):
            return factors
        case Quotient(top, bottom):
            return top, bottom
        case Minus(of) | Square(of):
            return (of,)
        case Call(_, arguments):
            return arguments
        case Cases(positive, then, otherwise):
            return positive, then, otherwise
    return ()


def quantities(e: Expression) -> Iterator[Quantity]:
    """The quantities, from left to right."""
    if isinstance(e, Quantity):
        yield e
    for part in parts(e):
        yield from quantities(part)


# ------------------------------------------------------------------ numbers


# They are floats, or numbers of mpmath, which know the context that they were made in.


def context(*numbers: Any) -> Any:
    """The context of mpmath's numbers; None for floats."""
    return next((x.context for x in numbers if hasattr(x, "context")), None)


def precisely(number: Any, digits: int) -> AbstractContextManager[Any]:
    """Where to compute with as many digits as a number is shown with, and some more."""
    m = context(number)
    return nullcontext() if m is None else m.workdps(digits + SPARE)


def fsum(terms: Iterable[Any]) -> Any:
    """The sum, rounded once if it is one of floats."""
    terms = list(terms)
    return math.fsum(terms) if context(*terms) is None else sum(terms)


def sigmoid(a: Any) -> Any:
    e = exp(-abs(a))
    return 1.0 / (1.0 + e) if a >= 0 else e / (1.0 + e)


def exp(a: Any) -> Any:
    return (context(a) or math).exp(a)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: lambda a, name=name: getattr(context(a) or math, name)(a) for name in ("exp", "log", "tanh", "sin", "cos")
    },
    "abs": abs,
    "max": max,
    "min": min,
    "sign": lambda a: float((a > 0) - (a < 0)),
    "sigmoid": sigmoid,
    "Phi": lambda a: 0.5 * (context(a) or math).erfc(-a / (context(a) or math).sqrt(2.0)),  # the normal distribution
    "phi": lambda a: exp(-0.5 * a * a) / (context(a) or math).sqrt(2.0 * (context(a) or math).pi),  # and its density
}


def evaluate(e: Expression, digits: int | None = None) -> tuple[Any, Any]:
    """The value, and how large what it is summed from is; with every quantity rounded to so many digits, if given.

    >>> x = Quantity(Symbol("a"), 0.25)
    >>> evaluate(Sum((x, Constant(-1.0)))), evaluate(x, digits=1)
    ((-0.75, 1.25), (0.2, 0.2))
    """
    if isinstance(e, Constant):
        return e.value, abs(e.value)
    if isinstance(e, Quantity):
        value = e.value if digits is None else rounded(e.value, digits)
        return value, abs(value)
    try:
        if isinstance(e, Cases):
            return evaluate(e.then if evaluate(e.positive, digits)[0] > 0 else e.otherwise, digits)
        pairs = [evaluate(part, digits) for part in parts(e)]
        return _combined(e, [x for x, _ in pairs]), abs(_combined(_absolute(e), [size for _, size in pairs]))
    except (OverflowError, ZeroDivisionError, ValueError):
        return math.nan, math.nan


def rounded(value: Any, digits: int) -> Any:
    m = context(value)
    return float(f"{value:.{digits}g}") if m is None else m.mpf(decimal(value, digits))


def _absolute(e: Expression) -> Expression:
    """What combines the sizes of the parts of an expression: a difference has that of a sum."""
    return Sum(()) if isinstance(e, Minus) else e


def _combined(e: Expression, x: list[Any]) -> Any:
    match e:
        case Sum():
            return fsum(x)
        case Product():
            return math.prod(x)
        case Minus():
            return -x[0]
        case Quotient():
            return x[0] / x[1]
        case Square():
            return x[0] * x[0]
        case Call(function):
            return FUNCTIONS[function](*x)
    raise TypeError(e)


def enough_digits(e: Expression, result: Any, digits: int) -> int:
    """The fewest digits, at least these, with which the written numbers give the written result.

    Computing with them hits the result to one unit of the last of its digits; 17 digits are every digit of a float.
    """
    m = context(result)
    most = 17 if m is None else digits + SPARE
    with precisely(result, most):
        unit: Any = 0.0
        if result != 0 and math.isfinite(result):
            place = math.floor((m or math).log10(abs(result))) - digits + 1
            unit = 10.0 ** max(place, -323) if m is None else m.mpf(10) ** place
        for enough in range(digits, most):
            if abs(evaluate(e, enough)[0] - result) <= unit:
                return enough
    return most


# ------------------------------------------------------------------ writing


def decimal(value: Any, digits: int) -> str:
    m = context(value)
    if m is None:
        return f"{value + 0.0:.{digits}g}"
    mantissa, e, exponent = str(m.nstr(value, digits)).partition("e")
    return mantissa.removesuffix(".0") + e + exponent


class Text:
    """Plain text. Lines may break at spaces; a space that may not is `HARD`."""

    HARD = "\x1f"
    times, plus, minus, equals = " * ", " + ", " - ", "="

    def name(self, text: str) -> str:
        return text.replace(" ", self.HARD)

    def letter(self, letter: str) -> str:
        return letter

    def number(self, text: str) -> str:
        return text

    def brackets(self, inner: str) -> str:
        return f"({inner})"

    def comma(self) -> str:
        return f",{self.HARD}"

    def sample(self, sample: int) -> str:
        return f"{{{sample}}}"

    def ratio(self, of: str, by: str) -> str:
        return f"d{of}/d{by}"

    def square(self, base: str) -> str:
        return f"{base}^2"

    def quotient(self, top: str, bottom: str) -> str:
        return f"{top} / {bottom}"

    def slope(self, function: str) -> str:
        return f"{self.name(function)}'"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        return f"{function}({self.comma().join(arguments)})"

    def cases(self, positive: str, then: str, otherwise: str) -> str:
        return f"{then} if {positive} > 0 else {otherwise}"


HTML_LETTERS = {"delta": "δ", "gamma": "γ", "theta": "θ"}
LATEX_LETTERS = {"delta": r"\delta", "gamma": r"\gamma", "theta": r"\theta"}
LATEX_CALLS = {"sigmoid": r"\sigma", "Phi": r"\Phi", "phi": r"\varphi", "sign": r"\mathrm{sign}"}


class Html(Text):
    HARD = "\u00a0"
    times, plus, minus = " · ", " + ", " \u2212 "

    def name(self, text: str) -> str:
        return markup(text).replace(" ", self.HARD)

    def letter(self, letter: str) -> str:
        return HTML_LETTERS.get(letter, f"<i>{markup(letter)}</i>" if len(letter) == 1 else markup(letter))

    def number(self, text: str) -> str:
        digits, _, exponent = text.replace("-", "\u2212").partition("e")
        if not exponent:
            return digits.replace("inf", "∞")
        sign = "\u2212" if exponent[0] == "\u2212" else ""
        power = exponent.strip("+\u2212").lstrip("0")
        return f"{digits}·10<sup>{sign}{power}</sup>"

    def sample(self, sample: int) -> str:
        return f"<sup>({sample})</sup>"

    def ratio(self, of: str, by: str) -> str:
        return f"∂{of}/∂{by}"

    def square(self, base: str) -> str:
        return f"{base}<sup>2</sup>"

    def cases(self, positive: str, then: str, otherwise: str) -> str:
        return f"{then} if {positive} &gt; 0 else {otherwise}"


class Latex(Text):
    HARD = r"\ "
    times, plus, minus, equals = r" \cdot ", " + ", " - ", "&="

    def name(self, text: str) -> str:
        return rf"\mathrm{{{latex_text(text)}}}"

    def letter(self, letter: str) -> str:
        return LATEX_LETTERS.get(letter, letter if len(letter) == 1 else self.name(letter))

    def number(self, text: str) -> str:
        digits, _, exponent = text.partition("e")
        if not exponent:
            return digits.replace("inf", r"\infty")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}"

    def brackets(self, inner: str) -> str:
        return rf"\left({inner}\right)"

    def comma(self) -> str:
        return ", "

    def sample(self, sample: int) -> str:
        return f"^{{({sample})}}"

    def ratio(self, of: str, by: str) -> str:
        return rf"\frac{{\partial {of}}}{{\partial {by}}}"

    def square(self, base: str) -> str:
        return f"{{{base}}}^2"

    def quotient(self, top: str, bottom: str) -> str:
        return rf"\frac{{{top}}}{{{bottom}}}"

    def slope(self, function: str) -> str:
        return f"{self.name(function)}'"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        inner = self.comma().join(arguments)
        if function == "abs":
            return rf"\left|{inner}\right|"
        return LATEX_CALLS.get(function, f"\\{function}") + self.brackets(inner)

    def cases(self, positive: str, then: str, otherwise: str) -> str:
        return rf"\begin{{cases}} {then} & {positive} > 0 \\ {otherwise} & \text{{else}} \end{{cases}}"


def write_symbol(symbol: Symbol | Derivative | Slope | Expression, style: Text) -> str:
    """A symbol in a language."""

    def argument(part: Any) -> str:
        if isinstance(part, tuple):
            return f"{argument(part[0])}[{style.comma().join(map(str, part[1:]))}]"
        return style.name(part) if isinstance(part, str) else str(part)

    if isinstance(symbol, Symbol):
        sample = "" if symbol.sample is None else style.sample(symbol.sample)
        inner = f"({style.comma().join(map(argument, symbol.round))})" if symbol.round else ""
        return f"{style.letter(symbol.letter)}{sample}{inner}{''.join(f'[{argument(x)}]' for x in symbol.square)}"
    if isinstance(symbol, Derivative):
        sample = "" if symbol.sample is None else style.sample(symbol.sample)
        return style.ratio(write_symbol(symbol.of, style) + sample, write_symbol(symbol.by, style))
    if isinstance(symbol, Slope):
        return f"{style.slope(symbol.function)}({write_symbol(symbol.at, style)})"
    return write(symbol, style)


def write(e: Expression, style: Text, digits: int | None = None, leading: bool = True) -> str:
    """An expression in a language: with symbols, or with the numbers of its quantities in so many digits.

    A negative number stands in brackets unless it is `leading`: the first thing in the formula or in a bracket.
    """
    match e:
        case Constant(value):
            return _signed(style.number(repr(value).removesuffix(".0")), style, leading)
        case Quantity(symbol, value):
            if digits is None:
                return write_symbol(symbol, style)
            return _signed(style.number(decimal(value, digits)), style, leading)
        case Sum(terms):
            text = _operand(terms[0], style, digits, (Sum, Cases), leading)
            for term in terms[1:]:
                sign, term = (style.minus, term.of) if isinstance(term, Minus) else (style.plus, term)
                text += sign + _operand(term, style, digits, (Sum, Cases, Minus))
            return text
        case Product(factors):
            inside = (Sum, Cases, Minus, *(() if isinstance(style, Latex) else (Quotient,)))
            rest = [_operand(factor, style, digits, inside) for factor in factors[1:]]
            return style.times.join([_operand(factors[0], style, digits, inside, leading), *rest])
        case Minus(of):
            return style.minus.strip() + _operand(of, style, digits, (Sum, Cases, Minus))
        case Quotient(top, bottom) if isinstance(style, Latex):
            return style.quotient(write(top, style, digits), write(bottom, style, digits))
        case Quotient(top, bottom):
            above = _operand(top, style, digits, (Sum, Cases, Quotient, Minus), leading)
            return style.quotient(above, _operand(bottom, style, digits, (Sum, Product, Quotient, Cases, Minus)))
        case Square(of):
            base = _operand(of, style, digits, (Sum, Product, Quotient, Cases, Minus, Square))
            return style.square(style.brackets(base) if "10^" in base or "10<sup>" in base else base)
        case Call(function, arguments):
            return style.call(function, [write(x, style, digits) for x in arguments])
        case Cases(positive, then, otherwise):
            return style.cases(*(write(x, style, digits) for x in (positive, then, otherwise)))
    raise TypeError(e)


def _signed(text: str, style: Text, leading: bool) -> str:
    return style.brackets(text) if not leading and text[:1] in "-\u2212" else text


def _operand(e: Expression, style: Text, digits: int | None, bracketed: tuple[type, ...], leading: bool = False) -> str:
    """A part of an expression, in brackets if it is of such a kind."""
    looks = e
    if isinstance(e, Quantity) and digits is None and not isinstance(e.symbol, Symbol | Derivative | Slope):
        looks = e.symbol
    if isinstance(looks, bracketed):
        return style.brackets(write(e, style, digits))
    return write(e, style, digits, leading)
