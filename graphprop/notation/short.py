"""Numbers and tables in a few characters, for reprs and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from graphprop.notation.escaping import markup, plain
from graphprop.notation.foreign import text_of


def number(x: Any) -> Any:
    return float(x) if isinstance(x, float | np.floating) else x


def short(value: Any) -> str:
    """A number or array in a few characters; a dash for what was not asked for."""
    if isinstance(value, np.ndarray):
        entries = [short(x) for x in value.ravel()[:4]]
        return f"[{', '.join(entries)}{', ...' if value.size > 4 else ''}]"
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{value:.4g}"
    return text_of(value, 40)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], count: int, most: int = 100, what: str = "nodes") -> str:
    """An HTML table of at most so many rows, with everything in it escaped."""

    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{markup(plain(str(cell)))}</{tag}>" for cell in cells) + "</tr>"

    shown = [line(cells, "td") for cells, _ in zip(rows, range(most), strict=False)]
    more = f"<p>{most} of {count} {what}</p>" if count > most else ""
    return f"<table>{line(heads, 'th')}{''.join(shown)}</table>{more}"
