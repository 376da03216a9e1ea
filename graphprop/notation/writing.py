"""Formulas and symbols written in three languages: text, HTML and LaTeX.

A formula is written with the symbols of its quantities, or with their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphprop.notation.escaping import latex_text, markup
from graphprop.notation.expressions import (
    Call,
    Cases,
    Constant,
    Derivative,
    Expression,
    Minus,
    Power,
    Product,
    Quantity,
    Quotient,
    Slope,
    Square,
    Sum,
    Symbol,
)
from graphprop.notation.precision import decimal


class Text:
    """Plain text. Lines may break at spaces; a space that may not is `HARD`."""

    HARD = "\x1f"
    times, plus, minus, equals = " * ", " + ", " - ", "="
    in_exponents: tuple[type, ...] = (Sum, Product, Quotient, Cases, Minus, Square, Power)  # what is bracketed there

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
        return self.power(base, "2")

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{exponent}"

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
LATEX_CALLS |= {name: rf"\mathrm{{{name}}}" for name in ("erf", "erfc")}


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

    def power(self, base: str, exponent: str) -> str:
        return f"{base}<sup>{exponent}</sup>"

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

    def power(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def quotient(self, top: str, bottom: str) -> str:
        return rf"\frac{{{top}}}{{{bottom}}}"

    def slope(self, function: str) -> str:
        return f"{self.name(function)}'"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        inner = self.comma().join(arguments)
        if function == "abs":
            return rf"\left|{inner}\right|"
        if function == "sqrt":
            return rf"\sqrt{{{inner}}}"
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
        case Power(of, exponent):
            base = _operand(of, style, digits, (Sum, Product, Quotient, Cases, Minus, Square, Power))
            base = style.brackets(base) if "10^" in base or "10<sup>" in base else base
            return style.power(base, _operand(exponent, style, digits, style.in_exponents))
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
