"""The numbers of a page and the formulas that make them, as data: each once, with what it stands on by its place.

The texts are HTML: the symbols of `expressions`, with names escaped. Where they are shown is not known here.
"""

from __future__ import annotations

import math
from typing import Any

from graphprop.explanations.book import Book
from graphprop.explanations.explaining import check_result
from graphprop.explanations.quantities import Key
from graphprop.notation.expressions import (
    Call,
    Cases,
    Expression,
    Minus,
    Product,
    Quantity,
    Quotient,
    Square,
    Sum,
    Symbol,
    enough_digits,
    evaluate,
    quantities,
)
from graphprop.notation.precision import decimal
from graphprop.notation.writing import Html, write, write_symbol
from graphprop.render.drawn.lettering import DASH

DIGITS = 6
TERMS = 12  # of a sum that are written; the smaller ones are put together
LONGEST = 60  # numbers in a formula
NUMBERS, CHARACTERS = 8000, 2_500_000  # in one page
TOO_LONG = "a formula of {} numbers; gp.explain writes it"
LEFT_OUT = "its formula was left out of this page; gp.explain writes it"


class PageHtml(Html):
    """HTML with names that may run from right to left, and a dash for what was not computed."""

    def name(self, text: str) -> str:
        name = super().name(text)
        return name if text.isascii() else f"<bdi>{name}</bdi>"

    def number(self, text: str) -> str:
        return DASH if text == "nan" else super().number(text)


class Formulas:
    """Numbers by their places, in the order in which they were asked for."""

    def __init__(self, book: Book) -> None:
        self.book, self.style = book, PageHtml()
        self.entries: list[dict[str, Any]] = []
        self.left_out = 0  # numbers without a place, or without the formula that they have
        self._places: dict[Any, int] = {}
        self._keys: list[Key | None] = []
        self._derived = 0
        self._characters = 0

    def places(self, keys: list[Key]) -> list[int]:
        """Where these numbers stand; without those for which there is no more room."""
        given = (self.book.w(key[1]) if key[0] == "w" else self.book.quantity(key) for key in keys)
        found = [self._place(quantity) for quantity in given]
        self.left_out += found.count(None)
        return [place for place in found if place is not None]

    def number(self, value: float, digits: int = DIGITS) -> str:
        return self.style.number(decimal(value, digits))

    def derive_all(self) -> None:
        """Give every number its formula, as long as there is room; what the formulas stand on gets a place too."""
        while self._derived < len(self.entries):
            key, entry = self._keys[self._derived], self.entries[self._derived]
            self._derived += 1
            if key is None:
                continue
            if self._characters > CHARACTERS:
                entry["note"] = LEFT_OUT
                self.left_out += 1
                continue
            self._derive(key, entry)

    def _place(self, quantity: Quantity) -> int | None:
        symbol = write_symbol(quantity.symbol, self.style)
        known = quantity.key if quantity.key is not None else (symbol, repr(quantity.value))
        if known not in self._places:
            if len(self.entries) >= NUMBERS:
                return None
            self._places[known] = len(self.entries)
            self._keys.append(quantity.key)
            entry = {"symbol": symbol, "value": self.number(quantity.value)}
            if math.isfinite(quantity.value):
                entry["exact"] = repr(float(quantity.value))
            self.entries.append(entry)
        return self._places[known]

    def _derive(self, key: Key, entry: dict[str, Any]) -> None:
        formula, note = self.book.derive(key)
        if note:
            entry["note"] = note
        if formula is None:
            return
        quantity = self.book.quantity(key)
        check_result(formula, quantity, self.book)
        short = shortened(formula)
        terms = list(dict.fromkeys(quantities(short)))
        if len(terms) > LONGEST:
            entry["note"] = TOO_LONG.format(sum(1 for _ in quantities(formula)))
            return
        digits = enough_digits(short, quantity.value, DIGITS) if math.isfinite(quantity.value) else DIGITS
        entry["formula"] = write(short, self.style)
        entry["numbers"] = write(short, self.style, digits)
        entry["terms"] = [place for place in map(self._place, terms) if place is not None]
        self._characters += len(entry["formula"]) + len(entry["numbers"])


def shortened(e: Expression) -> Expression:
    """The expression with its long sums cut: their largest terms, and one number for the rest."""
    match e:
        case Sum(terms) if len(terms) > TERMS:
            sizes = [abs(evaluate(term)[0]) for term in terms]
            sizes = [0.0 if math.isnan(size) else size for size in sizes]
            kept = set(sorted(range(len(terms)), key=lambda i: -sizes[i])[: TERMS - 1])
            rest = [evaluate(term)[0] for i, term in enumerate(terms) if i not in kept]
            more = Quantity(Symbol(f"({len(rest)} more terms)"), math.fsum(rest))
            return Sum((*(shortened(term) for i, term in enumerate(terms) if i in kept), more))
        case Sum(terms):
            return Sum(tuple(map(shortened, terms)))
        case Product(factors):
            return Product(tuple(map(shortened, factors)))
        case Quotient(top, bottom):
            return Quotient(shortened(top), shortened(bottom))
        case Minus(of):
            return Minus(shortened(of))
        case Square(of):
            return Square(shortened(of))
        case Call(function, arguments):
            return Call(function, tuple(map(shortened, arguments)))
        case Cases(positive, then, otherwise):
            return Cases(shortened(positive), shortened(then), shortened(otherwise))
    return e
