"""Text of a user put into other languages: one function for each place where it may stand.

Names are data, whatever is in them: each function gives text that the language shows as it is, and never obeys.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

LONGEST = 40  # characters of a name in a formula
HIDDEN = ("C", "Zl", "Zp")  # categories that do not show, or turn the direction of the text around
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
JOINERS = "\u200c\u200d"  # they shape words of some languages, and hide nothing

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


def visible(text: str, most: int = 0) -> str:
    """The text on one line, without what cannot be seen or would turn its neighbours round; cut if it is too long.

    Control characters, marks of direction and halves of pairs become a replacement character, white space a space.

    >>> visible("a\\tb\\u202ec\\x00")
    'a b\ufffdc\ufffd'
    >>> visible("abcdefgh", most=4)
    'abc…'
    """
    if most and len(text) > most:
        text = text[: most - 1] + ELLIPSIS
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible_character, text))


def _visible_character(c: str) -> str:
    if c.isspace():
        return " "
    if c in JOINERS or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn"):
        return c
    return REPLACEMENT


def isolated(text: str) -> str:
    """The text, between isolating marks where it runs from right to left, so that what is beside it stays in place."""
    if text.isascii() or not any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in text):
        return text
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"


def dot_string(text: str) -> str:
    r"""A quoted string of DOT, as for plain labels; ``\N``, ``\G`` and ``&amp;`` in it are just text.

    >>> print(dot_string('say "\\N" & <b>'))
    "say \"\\N\" &amp; <b>"
    """
    escaped = _isolated_lines(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n") + '"'


def dot_tooltip(text: str) -> str:
    r"""A quoted string of DOT for a tooltip, in which Graphviz replaces escapes twice: backslashes get a look-alike.

    >>> print(dot_tooltip(r"a\N"))
    "a⧵N"
    """
    return dot_string(text.replace("\\", "\N{REVERSE SOLIDUS OPERATOR}"))


def dot_html(text: str) -> str:
    r"""Text in an HTML-like label of DOT, where ``\N`` would be the node's id even after entities are read.

    >>> print(dot_html(r"\N <b> & 'x'"))
    \\N &lt;b&gt; &amp; &#39;x&#39;
    """
    return markup(text).replace("\\", "\\\\")


def markup(text: str) -> str:
    """Text in SVG or HTML, between tags or as the value of a quoted attribute.

    >>> print(markup('<script>"&"'))
    &lt;script&gt;&quot;&amp;&quot;
    """
    text = _isolated_lines(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")


def script_json(data: Any) -> str:
    r"""Data as JSON that may stand in a script block: it cannot end the block, nor open a comment or an entity.

    >>> print(script_json({"name": "</script>"}))
    {"name":"\u003c/script\u003e"}
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _isolated_lines(text: str) -> str:
    return "\n".join(isolated(visible(line)) for line in text.split("\n"))


def label(name: Any, most: int = LONGEST) -> str:
    r"""A name as a person reads it, in one line: what does not show, or would be obeyed by a terminal, as its code.

    This is how every text of the library writes a name that it does not put in quotes. A long one is shortened, unless
    `most` is 0.

    >>> label("h1"), label(("h", 0)), label("two\nlines"), label("\x1b[31m")
    ('h1', '(h, 0)', 'two\\nlines', '\\x1b[31m')
    """
    text = f"({', '.join(label(part, most) for part in name)})" if isinstance(name, tuple) else str(name)
    if most and len(text) > most:
        text = f"{text[: most - 12]}...{text[-9:]}"
    return plain(text) or "''"


def plain(text: str, lines: bool = False) -> str:
    """The text with codes for characters that do not show or are obeyed; with `lines`, those may end."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if lines and c == "\n" else _coded(c) for c in text)


def latex_text(text: Any) -> str:
    r"""A text for LaTeX's math mode, to be put into ``\mathrm{}``; plain pdflatex and MathJax can read it.

    >>> print(latex_text("h_1 α"))
    h\_1\ \alpha{}
    """
    return "".join(_latex(c) for c in str(text))


def _coded(c: str) -> str:
    return c.encode("unicode_escape").decode() if unicodedata.category(c).startswith(HIDDEN) else c


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
