"""The geometry of one shape or label: how large it is, and where in it each piece of text stands.

Lengths are points, y points down, and everything is relative to the centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from graphprop.render.drawn.lettering import STYLES, Line, Run, line_width, width
from graphprop.render.picture import Edge, Entry, Shape, Table

HEADER, COLUMNS, ROW = 27.0, 17.0, 19.0  # heights in a table
POINT = 20.0  # of the loss
HEIGHTS = {"name": 19.0, "value": 19.0, "pill": 18.0, "small pill": 17.0, "small": 14.0}
SMALL = {"input": (15.0, 15.0), "scalar": (16.0, 16.0), "reducing": (19.0, 19.0), "vector": (16.0, 26.0)}


@dataclass(frozen=True)
class Text:
    """A line of text by the x of its anchor and the y of its base line."""

    x: float
    y: float
    line: Line
    anchor: str = "middle"


@dataclass(frozen=True)
class Box:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    fill: str = "none"
    stroke: str = "none"
    round: float = 0.0


@dataclass(frozen=True)
class Figure:
    """The outline's width and height, and what is inside; `rows` has the middle of each row of a table."""

    width: float
    height: float
    outline: str  # "box", "rounded", "ellipse", "diamond", "plate" or "stack"
    marks: tuple[Box | Text, ...] = ()
    rows: tuple[float, ...] = ()


def figure(shape: Shape, small: bool) -> Figure:
    if shape.form == "loss":
        return _stacked(shape, "plate")
    if shape.form == "group":
        return _stacked(shape, "stack")
    if small:
        outline = {"input": "rounded", "scalar": "ellipse", "reducing": "diamond", "vector": "box"}[shape.form]
        return Figure(*SMALL[shape.form], outline)
    if shape.table is not None:
        return _tabular(shape, shape.table)
    return _stacked(shape, {"input": "rounded", "scalar": "ellipse"}.get(shape.form, "box"))


def base(middle: float, style: str) -> float:
    """The base line of text whose middle is given."""
    return middle + 0.35 * STYLES[style].size


def lines_of(shape: Shape) -> list[tuple[str, Line]]:
    """What is written in a shape without a table: the role of each line, and the line."""
    kind = (Run(shape.kind, "kind"),) if shape.kind else ()
    beside = line_width(shape.heading) + line_width(kind) <= 84
    lines = [("name", (*shape.heading, Run(" ", "kind"), *kind) if beside and kind else shape.heading)]
    if kind and not beside:
        lines.append(("small", kind))
    if shape.value:
        lines.append(("value", (Run(shape.value, "value", known="forward"),)))
    if shape.pill:
        lines.append(("pill", shape.pill))
    return lines + [("small pill" if shape.form == "scalar" else "small", line) for line in shape.lines]


def _stacked(shape: Shape, outline: str) -> Figure:
    lines = lines_of(shape)
    heights = [HEIGHTS[role] for role, _ in lines]
    widths = [line_width(line) + (12 if role.endswith("pill") else 0) for role, line in lines]
    total = sum(heights)
    tops = [-total / 2 + sum(heights[:i]) for i in range(len(heights))]
    marks: list[Box | Text] = []
    for (role, line), top, height, wide in zip(lines, tops, heights, widths, strict=True):
        middle = top + height / 2
        if role.endswith("pill"):
            marks.append(Box(-wide / 2, middle - height / 2 + 1, wide, height - 2, fill="#ffffff", round=6))
        style = {"pill": "number", "small pill": "small"}.get(role, role)
        if line[0].style == "boxed":
            left, room = 5 - wide / 2, width(line[0].text, "boxed") + 5
            marks.append(Box(left, middle - 6, room, 12, fill="#ffffff", stroke="#222222", round=3))
            marks.append(Text(left + room / 2, base(middle, "boxed"), line[:1]))
            marks.append(Text(left + room + 4, base(middle, style), line[2:], "start"))
            continue
        marks.append(Text(0, base(middle, style), line))
    if outline == "ellipse":
        corners = [(w / 2, max(abs(t + 2), abs(t + h - 2))) for t, h, w in zip(tops, heights, widths, strict=True)]
        rx, ry = _ellipse(corners)
        return Figure(2 * rx, 2 * ry, outline, tuple(marks))
    w, h = max([*widths, 34.0]) + 18, total + 12
    if outline == "plate":
        w += POINT
        marks = [_moved(mark, -POINT / 2) for mark in marks]
    return Figure(w, h, outline, tuple(marks))


def _ellipse(corners: list[tuple[float, float]]) -> tuple[float, float]:
    """The half axes of a circle around all corners, or of an ellipse if the circle would be large."""
    radius = max([math.hypot(x, y) for x, y in corners] + [19.0]) + 3
    if radius <= 56:
        return radius, radius
    ry = 1.35 * max(y for _, y in corners)
    rx = max(x / math.sqrt(1 - (y / ry) ** 2) for x, y in corners) + 4
    return max(rx, ry), ry


def _moved(mark: Box | Text, dx: float) -> Box | Text:
    if isinstance(mark, Box):
        return Box(mark.x + dx, mark.y, mark.width, mark.height, mark.fill, mark.stroke, mark.round)
    return Text(mark.x + dx, mark.y, mark.line, mark.anchor)


def table_widths(shape: Shape, table: Table) -> list[float]:
    """The widths of the columns, wide enough for the header above them too."""
    cells = zip(table.columns, *[[(cell.run,) for cell in row] for row in table.rows], strict=True)
    widths = [max(map(line_width, column)) + 14 for column in cells]
    spare = header_width(shape) - sum(widths)
    if spare > 0:
        widths = [w + spare / len(widths) for w in widths]
    return widths


def header_width(shape: Shape) -> float:
    parts = [line_width(shape.heading) + 6 + width(shape.kind, "kind")]
    if shape.value:
        parts.append(width(shape.value, "value") + 16)
    if shape.pill:
        parts.append(line_width(shape.pill) + 22)
    return sum(parts) + 18


def _tabular(shape: Shape, table: Table) -> Figure:
    widths = table_widths(shape, table)
    more: Line = (Run(f"{table.hidden} more", "small grey"),)
    extra = [more, *shape.lines] if table.hidden else list(shape.lines)
    wide = max([sum(widths), *(line_width(line) + 14 for line in extra)])
    widths[-1] += wide - sum(widths)
    high = HEADER + COLUMNS + ROW * len(table.rows) + 15 * len(extra) + 3
    left, top = -wide / 2, -high / 2
    middle = top + HEADER / 2
    marks: list[Box | Text] = [Box(left, top, wide, HEADER, fill=shape.fill, stroke="#222222")]
    kind = (*shape.heading, Run(" ", "name"), Run(shape.kind, "kind"))
    marks.append(Text(left + 8, base(middle, "name"), kind, "start"))
    right = left + wide - 6
    if shape.pill:
        room = line_width(shape.pill) + 12
        marks.append(Box(right - room, middle - 9, room, 18, fill="#ffffff", round=6))
        marks.append(Text(right - room / 2, base(middle, "number"), shape.pill))
        right -= room + 8
    if shape.value:
        marks.append(Text(right, base(middle, "value"), (Run(shape.value, "value", known="forward"),), "end"))
    starts = [left + sum(widths[:j]) for j in range(len(widths))]
    y = top + HEADER + COLUMNS / 2
    for x, w, title in zip(starts, widths, table.columns, strict=True):
        marks.append(Text(x + w / 2, base(y, "small grey"), title))
    rows = []
    for i, cells in enumerate(table.rows):
        y = top + HEADER + COLUMNS + ROW * (i + 0.5)
        rows.append(y)
        for x, w, cell in zip(starts, widths, cells, strict=True):
            if cell.fill:
                marks.append(Box(x + 1, y - ROW / 2, w - 2, ROW, fill=cell.fill))
            marks.append(Text(x + w / 2, base(y, cell.run.style), (cell.run,)))
    for j, line in enumerate(extra):
        y = top + HEADER + COLUMNS + ROW * len(table.rows) + 15 * (j + 0.5)
        marks.append(Text(0, base(y, "small"), line))
    return Figure(wide, high, "box", tuple(marks), tuple(rows))


# ------------------------------------------------------------------ labels of edges

LABEL_ROW = 14.0
LETTER = 15.0


def label(edge: Edge) -> Figure:
    """One weight stands above its derivative; several are a table with a row each."""
    if not edge.entries:
        return Figure(0, 0, "box")
    boxed = any(entry.letter for entry in edge.entries)
    if len(edge.entries) == 1:
        return _one_entry(edge.entries[0], boxed)
    columns: list[list[Line]] = [
        [(Run(e.index, "small grey"),) for e in edge.entries],
        [e.weight for e in edge.entries],
        [e.derivative for e in edge.entries],
    ]
    widths = [max(map(line_width, column)) + (6 if any(map(line_width, column)) else 0) for column in columns]
    lettered = _letters_width(edge.entries)
    wide, high = lettered + sum(widths), LABEL_ROW * len(edge.entries)
    marks: list[Box | Text] = []
    for i, entry in enumerate(edge.entries):
        y = -high / 2 + LABEL_ROW * (i + 0.5)
        if entry.letter:
            marks += letter_box(entry.letter, -wide / 2, y)
        x = -wide / 2 + lettered
        for w, column in zip(widths, columns, strict=True):
            marks.append(Text(x + 3, base(y, "small"), column[i], "start"))
            x += w
    return Figure(wide, high, "box", tuple(marks))


def _one_entry(entry: Entry, boxed: bool) -> Figure:
    lines = [line for line in (entry.weight, entry.derivative) if line]
    lettered = _letters_width((entry,)) if boxed else 0.0
    wide = max(map(line_width, lines), default=0.0) + lettered + 6
    high = LABEL_ROW * max(len(lines), 1)
    marks: list[Box | Text] = []
    if boxed:
        marks += letter_box(entry.letter, -wide / 2, -high / 2 + LABEL_ROW / 2)
    for i, line in enumerate(lines):
        y = -high / 2 + LABEL_ROW * (i + 0.5)
        marks.append(Text(-wide / 2 + 3 + lettered, base(y, "small"), line, "start"))
    return Figure(wide, high, "box", tuple(marks))


def _letters_width(entries: tuple[Entry, ...]) -> float:
    longest = max(width(entry.letter, "small bold") for entry in entries)
    return max(longest + 6, LETTER) if longest else 0.0


def letter_box(text: str, x: float, y: float) -> tuple[Box, Text]:
    """The letter of a tied weight in its box, from its left end and its middle."""
    room = max(width(text, "small bold") + 5, 13.0)
    box = Box(x, y - 6.5, room, 13, fill="#ffffff", stroke="#222222", round=4)
    return box, Text(x + room / 2, base(y, "small bold"), (Run(text, "small bold"),))
