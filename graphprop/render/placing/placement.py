"""What a layout is: sizes of nodes and labels in, positions of everything out.

Lengths are points, x to the right and y down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

Point = tuple[float, float]
Curve = tuple[Point, ...]  # control points of cubic curves: 1 + 3k of them


@dataclass(frozen=True)
class Node:
    """A node by its size; `rows` has where the rows of its table are, from the middle down."""

    id: str
    width: float
    height: float
    outline: str
    rows: tuple[float, ...] = ()


@dataclass(frozen=True)
class Link:
    """An edge by its ends and the size of its label, which is 0 by 0 if there is none."""

    id: str
    source: str
    target: str
    width: float
    height: float
    from_row: int | None = None
    to_row: int | None = None


@dataclass(frozen=True)
class Placement:
    """Where the middle of each node and label is, and for each edge its curve and the tip of its arrow."""

    engine: str
    nodes: Mapping[str, Point]
    curves: Mapping[str, tuple[Curve, Point]]
    labels: Mapping[str, Point]


def anchor(node: Node, middle: Point, down: float, side: int, away: float) -> Point:
    """The point beside a node at a height, on its right (1) or left (-1) side, so far away from its outline."""
    half = node.width / 2
    share = min(abs(down) / (node.height / 2), 1.0) if node.height else 0.0
    if node.outline == "ellipse":
        half *= math.sqrt(1 - share**2)
    elif node.outline == "diamond":
        half *= 1 - share
    return middle[0] + side * (half + away), middle[1] + down
