"""Colours and widths that stand for numbers: diverging from white, blue below 0 and orange above, symmetric about it.

The blue is the darker one, so that the two can be told apart in grey; no colour is the only sign of anything.
"""

from __future__ import annotations

import math
from typing import Any

from graphprop.notation.foreign import as_float
from graphprop.render.drawn.lettering import BLUE, BROWN, sign

LOWEST, HIGHEST = (0x5B, 0x8F, 0xD0), (0xF6, 0xAE, 0x60)
NEUTRAL = "#555555"
THINNEST, THICKEST = 0.9, 4.5


def fill(x: Any, scale: float) -> str:
    """The colour of a value between -scale and scale; white for 0 and for what is not known."""
    value = as_float(x)
    if value is None or math.isnan(value) or not scale > 0:
        return "#ffffff"
    t = math.sqrt(min(abs(value) / scale, 1.0))
    end = LOWEST if value < 0 else HIGHEST
    return "#" + "".join(f"{round(255 + t * (c - 255)):02x}" for c in end)


def stroke_width(x: float, largest: float) -> float:
    """Along with the square root of a size; the thinnest for 0 and for what is not known."""
    if not (math.isfinite(x) and largest > 0):
        return THINNEST
    return round(THINNEST + (THICKEST - THINNEST) * math.sqrt(min(abs(x) / largest, 1.0)), 2)


def stroke(x: Any) -> tuple[str, bool]:
    """The colour of an edge, and whether it is dashed."""
    return {1: (BROWN, False), -1: (BLUE, True), 0: (NEUTRAL, False)}[sign(x)]
