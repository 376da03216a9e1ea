"""A derivation as a tree, and its three forms: lines of text, LaTeX, HTML.

Which derivation explains which number is not known here.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphprop.errors import GraphpropError
from graphprop.given.arguments import is_whole
from graphprop.notation.escaping import latex_text, markup
from graphprop.notation.expressions import Expression, Minus, Quantity, Sum, enough_digits
from graphprop.notation.precision import decimal
from graphprop.notation.writing import Html, Latex, Text, write, write_symbol

NARROWEST, INDENT, DEEPEST = 40, 2, 8
TEXT, HTML, LATEX = Text(), Html(), Latex()


@dataclass(frozen=True, eq=False, repr=False)
class Step:
    """One quantity: its symbol, its formula with symbols and with numbers, its result, and the terms it stands on.

    A quantity that was given (a weight, an input, a target), or that is not derived any further, has no formula and
    no terms.
    """

    quantity: Quantity
    expression: Expression | None
    terms: tuple[Step, ...] = ()
    note: str = ""
    digits: int = 6

    @property
    def symbol(self) -> str:
        return _plain(write_symbol(self.quantity.symbol, TEXT))

    @property
    def formula(self) -> str:
        return "" if self.expression is None else _plain(write(self.expression, TEXT))

    @property
    def numbers(self) -> str:
        """The formula with the numbers put in, in so many digits that computing with them gives the result."""
        return "" if self.expression is None else _plain(write(self.expression, TEXT, self.enough))

    @property
    def result(self) -> Any:
        return self.quantity.value

    @property
    def enough(self) -> int:
        """How many digits the numbers of the formula need."""
        assert self.expression is not None
        return enough_digits(self.expression, self.result, self.digits)

    def __repr__(self) -> str:
        return f"<{self.symbol} = {decimal(self.result, self.digits)}>"

    def lines(self, style: Text) -> list[str]:
        """The formula, with numbers, and the result; what would stand there twice, once."""
        assert self.expression is not None
        result = style.number(decimal(self.result, self.digits))
        written = [write(self.expression, style), write(self.expression, style, self.enough), result]
        return [line for i, line in enumerate(written) if line not in written[i + 1 :]]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why a number is what it is. Printed it is text; a notebook shows it as a table, or in LaTeX.

    Attributes
    ----------
    root : Step
        The number itself, with the tree of what it stands on.
    title : str
        What is differentiated, and which sample is looked at.
    """

    root: Step
    title: str = ""

    @property
    def result(self) -> Any:
        return self.root.result

    @property
    def steps(self) -> tuple[Step, ...]:
        """The numbers that are derived, each once, a number before those it stands on."""
        return tuple(step for _, step in self._walk())

    def _walk(self) -> Iterator[tuple[int, Step]]:
        waiting = [(0, self.root)]
        while waiting:
            depth, step = waiting.pop()
            if step.expression is not None or depth == 0:
                yield depth, step
            waiting += [(depth + 1, term) for term in reversed(step.terms)]

    def text(self, width: int | None = None) -> str:
        """Lines of at most `width` characters, that of the terminal if it is not given, broken at spaces."""
        if width is not None and not is_whole(width, 1):
            raise GraphpropError(f"width is a whole number of characters, not {width!r}")
        width = max(width or shutil.get_terminal_size().columns, NARROWEST)
        blocks = [textwrap.fill(self.title, width)] if self.title else []
        return "\n\n".join([*blocks, *(_text(depth, step, width) for depth, step in self._walk())])

    def latex(self) -> str:
        """One display formula, which needs the package amsmath."""
        lines = [rf"& \mathrm{{{latex_text(self.title)}}}"] if self.title else []
        lines += [_latex(step) for _, step in self._walk()]
        return "$$\\begin{aligned}\n" + " \\\\[1ex]\n".join(lines) + "\n\\end{aligned}$$"

    def html(self) -> str:
        """A table that needs nothing around it."""
        title = f"<caption>{markup(self.title)}</caption>" if self.title else ""
        return f"<table>{title}{''.join(_html(depth, step) for depth, step in self._walk())}</table>"

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Explanation of {self.root.symbol} = {decimal(self.result, self.root.digits)}>"

    def _repr_latex_(self) -> str:
        return self.latex()

    def _repr_html_(self) -> str:
        return self.html()


def _plain(text: str) -> str:
    return text.replace(Text.HARD, " ")


def _text(depth: int, step: Step, width: int) -> str:
    margin = " " * (INDENT * min(depth, DEEPEST))
    symbol = write_symbol(step.quantity.symbol, TEXT)
    lines = [decimal(step.result, step.digits)] if step.expression is None else step.lines(TEXT)
    head, behind = margin + symbol, ""
    if len(head) + 3 > width // 2:  # a line of its own
        behind, head = head + "\n", margin + "   "
    rows = []
    for i, line in enumerate(lines):
        start = (head if i == 0 else " " * len(head)) + " = "
        filled = textwrap.wrap(
            line,
            width,
            initial_indent=start,
            subsequent_indent=" " * len(start),
            break_long_words=False,
            break_on_hyphens=False,
        )
        rows.append("\n".join(filled))
    if step.note:
        rows.append(textwrap.fill(f"({step.note})", width, initial_indent=" " * (len(head) + 3)))
    return _plain(behind + "\n".join(rows))


def _latex(step: Step) -> str:
    symbol = write_symbol(step.quantity.symbol, LATEX)
    if step.expression is None:
        return f"{symbol} &= {LATEX.number(decimal(step.result, step.digits))}"
    lines = [_broken(line, step) for line in (None, step.enough)]
    lines.append(LATEX.number(decimal(step.result, step.digits)))
    lines = [line for i, line in enumerate(lines) if line not in lines[i + 1 :]]
    note = rf" \quad \mathrm{{({latex_text(step.note)})}}" if step.note else ""
    return f"{symbol} &= " + " \\\\\n &= ".join(lines) + note


def _broken(digits: int | None, step: Step, most: int = 4) -> str:
    """A formula in LaTeX, with a new line after every few terms of a long sum."""
    e = step.expression
    assert e is not None
    if not isinstance(e, Sum) or len(e.terms) <= most:
        return write(e, LATEX, digits)
    text = ""
    for start in range(0, len(e.terms), most):
        part = e.terms[start : start + most]
        sign = "+"
        if start and isinstance(part[0], Minus):
            sign, part = "-", (part[0].of, *part[1:])
        written = write(Sum(part), LATEX, digits, leading=not start)
        text += written if not start else rf" \\{chr(10)} &\quad {{}}{sign} {written}"
    return text


def _html(depth: int, step: Step) -> str:
    symbol = write_symbol(step.quantity.symbol, HTML)
    lines = [HTML.number(decimal(step.result, step.digits))] if step.expression is None else step.lines(HTML)
    note = f" <small>({markup(step.note)})</small>" if step.note else ""
    cells = "<br>".join(f"= {line}" for line in lines) + note
    indent = f"{min(depth, DEEPEST)}em"
    style = f"text-align: left; vertical-align: top; padding-left: calc({indent} + 0.5em)"
    return f'<tr><td style="{style}">{symbol}</td><td style="text-align: left">{cells}</td></tr>'
