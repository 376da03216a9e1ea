"""How numbers and names are written in a picture, and how much room that takes.

The fonts are those that an SVG asks for. Which of them is there is not known, so a character is as wide as in the
widest: DejaVu Sans, and a few in Helvetica, whose widths Arial and Liberation Sans share.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from graphprop.graph.layout import Name
from graphprop.notation.escaping import ELLIPSIS, visible
from graphprop.notation.foreign import as_float

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"  # for what was not computed

FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
INK, GREY, BLUE, BROWN = "#111111", "#5a5a5a", "#34499a", "#a34d00"


@dataclass(frozen=True)
class Style:
    size: float
    bold: bool = False
    italic: bool = False
    colour: str = INK
    drop: float = 0.0  # below the line, of a subscript


STYLES = {
    "name": Style(15, italic=True),
    "sub": Style(11, drop=4),
    "kind": Style(10.5, colour="#222222"),
    "value": Style(15, bold=True),
    "number": Style(12),
    "small": Style(11),
    "small bold": Style(11, bold=True),
    "small italic": Style(11, italic=True),
    "small sub": Style(8.5, drop=3),
    "boxed": Style(10, bold=True),  # a letter in a box
    "small grey": Style(10, colour=GREY),
    "title": Style(20, bold=True),
    "subtitle": Style(12, colour=GREY),
}


@dataclass(frozen=True)
class Run:
    """A piece of text in one style; a colour of its own shows a sign.

    A number of one of the passes is `known` from it on: "forward" or "backward".
    """

    text: str
    style: str
    colour: str = ""
    known: str = ""

    @property
    def ink(self) -> str:
        return self.colour or STYLES[self.style].colour


Line = tuple[Run, ...]


def plain(line: Line) -> str:
    return "".join(run.text for run in line)


# ------------------------------------------------------------------ numbers


def digits(x: Any) -> str:
    """A number in three significant digits; zeros at the end say that it has more of them. A dash for nan.

    >>> [digits(x) for x in (1.0, -0.5, 0.0849999, -0.0, 1234567.0, 1e-9, float("nan"))]
    ['1', '−0.5', '0.0850', '0', '1.23e6', '1e−9', '–']
    """
    value = as_float(x)
    if value is None:
        return visible(str(x), 14)
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    short = f"{value:.3g}"
    exact = abs(float(short) - value) <= 1e-12 * abs(value)
    text = short if exact else f"{value:#.3g}".removesuffix(".")
    mantissa, e, exponent = text.partition("e")
    if e:
        text = f"{mantissa.removesuffix('.')}e{int(exponent)}"
    return text.replace("-", MINUS)


def sign(x: Any) -> int:
    """1, -1, or 0 for zero and for what was not computed."""
    value = as_float(x)
    return 0 if value is None or math.isnan(value) else (value > 0) - (value < 0)


def sign_colour(x: Any) -> str:
    return {1: BROWN, -1: BLUE, 0: ""}[sign(x)]


# ------------------------------------------------------------------ names

INDEXED = re.compile(r"(.*[^\W\d_])_?([0-9]+)", re.DOTALL)


def name_text(name: Name, most: int = 80) -> str:
    """A name in plain text, on one line, spelt as everywhere; what cannot be drawn is replaced.

    >>> name_text(("s", 0, 1)), name_text("h1"), name_text("")
    ('(s, 0, 1)', 'h1', '""')
    """
    if isinstance(name, tuple):
        return visible(f"({', '.join(name_text(part, most) for part in name)})", most)
    text = visible(str(name), most)
    return text if text.strip() else f'"{text}"'


def name_line(name: Name, most: int = 22, small: bool = False) -> Line:
    """A name as the textbook sets it: its trailing digits, or the indices of a tuple, as a subscript.

    >>> [plain(name_line(name)) for name in ("h1", "x_12", ("s", 0, 1), 7)]
    ['h1', 'x12', 's0,1', '7']
    """
    indices: list[str] = []
    base = name
    if isinstance(name, tuple) and len(name) > 1 and all(isinstance(x, int) for x in name[1:]):
        base, indices = name[0], [str(x) for x in name[1:]]
    found = INDEXED.fullmatch(base) if isinstance(base, str) else None
    if found:
        base, indices = found[1], [found[2], *indices]
    above = Run(name_text(base, most), "small italic" if small else "name")
    if not indices:
        return (above,)
    return above, Run(visible(",".join(indices), 12), "small sub" if small else "sub")


# ------------------------------------------------------------------ widths

WIDTHS = """
318 401 460 838 636 950 780 275 390 390 500 838 318 361 318 337 636 636 636 636 636 636 636 636 636 636 337 337
838 838 838 556 1015 684 686 722 770 667 611 778 752 295 500 667 557 863 748 787 667 787 722 667 611 732 684 989
685 667 685 390 337 390 838 556 500 613 635 550 635 615 352 635 634 278 278 579 278 974 634 612 635 635 411 521
392 634 592 818 592 592 525 636 337 636 838
"""  # of the printable ASCII characters, in thousandths of the size
BOLD_WIDTHS = """
348 456 521 838 696 1002 872 306 457 457 523 838 380 415 380 365 696 696 696 696 696 696 696 696 696 696 400 400
838 838 838 611 1000 774 762 734 830 683 683 821 837 372 556 775 637 995 837 850 733 850 770 720 682 812 774 1103
771 724 725 457 365 457 838 556 500 675 716 593 716 678 435 716 712 343 343 665 343 1042 712 687 716 716 493 595
478 712 652 924 645 652 582 712 365 712 838
"""
SIGNS = {MINUS: 838, DASH: 556, ELLIPSIS: 1000, "γ": 690, "δ": 690, "∂": 550, "√": 670, "∝": 720, "·": 380, "∞": 840}
OTHER, OTHER_BOLD, FULL = 800, 900, 1000


def _table(widths: str) -> dict[str, int]:
    return {chr(32 + k): int(w) for k, w in enumerate(widths.split())} | SIGNS


REGULAR, BOLD = _table(WIDTHS), _table(BOLD_WIDTHS)


def width(text: str, style: str) -> float:
    """The room that a text takes in points, in the widest of the fonts."""
    look = STYLES[style]
    known, other = (BOLD, OTHER_BOLD) if look.bold else (REGULAR, OTHER)
    return sum(known[c] if c in known else _other_width(c, other) for c in text) / 1000 * look.size


def _other_width(c: str, other: int) -> int:
    if unicodedata.combining(c) or unicodedata.category(c) == "Cf":
        return 0
    return FULL if unicodedata.east_asian_width(c) in "WF" else other


def line_width(line: Line) -> float:
    return sum(width(run.text, run.style) for run in line)
