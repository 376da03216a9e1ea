"""Text of a user put into other languages: one function for each place where it may stand.

Names are data, whatever is in them: each function gives text that the language shows as it is, and never obeys.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
JOINERS = "\u200c\u200d"  # they shape words of some languages, and hide nothing


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
