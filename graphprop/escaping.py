"""Names are a user's data: how they are written into text, HTML and LaTeX, each in one function.

`label` comes first and makes a name safe to show; the other two make any text safe for their language.
"""

from __future__ import annotations

import html
import unicodedata
from typing import Any

LONGEST = 40  # characters of a name that are shown
HIDDEN = ("C", "Zl", "Zp")  # categories that do not show, or turn the direction of the text around

LATEX = {
    "\\": r"\backslash{}",
    "^": r"\hat{\ }",
    "~": r"\sim{}",
    " ": r"\ ",
    "-": r"\text{-}",
    "<": "<{}",
    ">": ">{}",
    "'": r"\text{'}",
    "`": r"\text{`}",
    '"': r"\text{''}",
    **{c: "\\" + c for c in "_%#$&{}"},
}
ACCENTS = {
    "\u0300": "grave",
    "\u0301": "acute",
    "\u0302": "hat",
    "\u0303": "tilde",
    "\u0304": "bar",
    "\u0306": "breve",
    "\u0307": "dot",
    "\u0308": "ddot",
    "\u030a": "mathring",
    "\u030c": "check",
}


def label(name: Any) -> str:
    """A name in one line: a long one shortened, and characters that do not show written as their codes.

    >>> label("h1"), label(("h", 0)), label("two\\nlines")
    ('h1', '(h, 0)', 'two\\\\nlines')
    """
    text = f"({', '.join(map(label, name))})" if isinstance(name, tuple) else str(name)
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 12]}...{text[-9:]}"
    return "".join(_visible(c) for c in text) or "''"


def html_text(text: Any) -> str:
    """A text as HTML shows it, also inside an attribute.

    >>> html_text("<b>&")
    '&lt;b&gt;&amp;'
    """
    return html.escape("".join(_visible(c) for c in str(text)))


def latex_text(text: Any) -> str:
    r"""A text for LaTeX's math mode, to be put into ``\mathrm{}``; plain pdflatex and MathJax can read it.

    >>> print(latex_text("h_1 α"))
    h\_1\ \alpha{}
    """
    return "".join(_latex(c) for c in str(text))


def _visible(c: str) -> str:
    if not unicodedata.category(c).startswith(HIDDEN):
        return c
    return repr(c)[1:-1] if c < "\x7f" else f"\\u{ord(c):04x}"


def _latex(c: str) -> str:
    if c in LATEX:
        return LATEX[c]
    if " " < c < "\x7f":
        return c
    words = unicodedata.name(c, "").split()
    if words[:1] == ["GREEK"] and words[2:3] == ["LETTER"] and len(words) == 4:
        letter = words[3].lower().replace("lamda", "lambda").replace("omicron", "mathit{o}")
        if words[1] == "SMALL" and letter != "final":
            return f"\\{letter}{{}}"
        if letter in ("gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega"):
            return f"\\{letter.capitalize()}{{}}"
    plain = unicodedata.normalize("NFD", c)
    if len(plain) == 2 and plain[0].isascii() and plain[0].isalpha() and plain[1] in ACCENTS:
        return f"\\{ACCENTS[plain[1]]}{{{plain[0]}}}"
    return f"U{{+}}{ord(c):04X}"
