"""The parts of a picture as plain data: shapes with what is written in them, edges with their labels, a legend.

Where anything stands is not known here, nor in what language it will be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphprop.graph.layout import Name
from graphprop.render.drawn.lettering import Line, Run

Form = Literal["input", "scalar", "reducing", "vector", "loss", "group"]
Detail = Literal["full", "nodes", "shapes", "groups"]  # how much is written; see `selection`


@dataclass(frozen=True)
class Cell:
    """One entry of a table: its text, and what stands for its value."""

    run: Run
    fill: str = ""


@dataclass(frozen=True)
class Table:
    """The components of a node, a row each; `hidden` more are not shown."""

    columns: tuple[Line, ...]
    rows: tuple[tuple[Cell, ...], ...]
    hidden: int = 0


@dataclass(frozen=True)
class Shape:
    """A node, the loss, or a group of nodes."""

    id: str  # made up: names stand in labels only
    name: Name | None  # of the loss and of a group there is none
    form: Form
    kind: str
    text: str  # the name, in plain text
    tooltip: str
    heading: Line = ()
    value: str = ""
    pill: Line = ()
    lines: tuple[Line, ...] = ()
    table: Table | None = None
    fill: str = "#ffffff"
    read: bool = False  # whether the objective reads it
    lit: bool | None = None  # None where no path is lit


@dataclass(frozen=True)
class Entry:
    """One row of an edge's label: a tied weight's letter, which entry it is, the weight and its derivative."""

    letter: str
    index: str
    weight: Line
    derivative: Line


@dataclass(frozen=True)
class Edge:
    """An edge; it ends at a row of the target's table, or starts at one of the source's, if that is all it joins."""

    id: str
    source: str
    target: str
    tooltip: str
    entries: tuple[Entry, ...] = ()
    from_row: int | None = None
    to_row: int | None = None
    width: float = 1.2
    colour: str = "#555555"
    dashed: bool = False
    lit: bool | None = None


@dataclass(frozen=True)
class Tie:
    """A tied weight in the legend."""

    letter: str
    text: Line


@dataclass(frozen=True)
class Legend:
    """What the encoding means: a scale of fills with their numbers, the kinds of edges, the tied weights."""

    fills: tuple[tuple[str, str], ...] = ()  # (number, colour), from the least to the largest
    fill_text: str = ""
    symbols: tuple[str, ...] = ()
    strokes: tuple[tuple[str, str, bool], ...] = ()  # (text, colour, dashed)
    stroke_text: str = ""
    width_text: str = ""
    ties: tuple[Tie, ...] = ()
    ties_text: str = ""
    closing: str = "3 significant digits · – not computed"


@dataclass(frozen=True)
class Parts:
    """A whole picture, before it has a layout. Shapes stand with parents before children."""

    title: str
    subtitle: str
    detail: Detail
    shapes: tuple[Shape, ...]
    edges: tuple[Edge, ...]
    legend: Legend
    notes: tuple[str, ...] = field(default=())
