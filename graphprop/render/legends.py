"""What the encoding of a picture means, in words: the scale, the signs, the widths, and the tied weights."""

from __future__ import annotations

import string

from graphprop.render.drawn.colours import fill, stroke
from graphprop.render.drawn.lettering import GREY, Line, Run, digits, name_text, sign_colour
from graphprop.render.numbers import Numbers
from graphprop.render.picture import Legend, Tie

TIES = 12  # that are listed


def letter(k: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    text = ""
    k += 1
    while k:
        k, rest = divmod(k - 1, 26)
        text = string.ascii_uppercase[rest] + text
    return text


def tied(numbers: Numbers, letters: dict[int, str]) -> tuple[tuple[Tie, ...], str]:
    """What the legend says of the tied weights, given the letter of each position of theta."""
    if not letters:
        return (), ""
    layout = numbers.layout
    named = {int(p) for positions in layout.parameters.values() for p in positions.ravel()}
    ties = []
    for position, boxed in list(letters.items())[:TIES]:
        line: Line = ()
        if position in named:
            line = (Run(f"{name_text(layout.label_position(position), 20)} ", "small italic"),)
        line += (Run("= ", "small", GREY), Run(digits(numbers.parameters[position]), "small bold"))
        if numbers.parameter_slopes is not None:
            slope = numbers.parameter_slopes[position]
            line += (Run(f",  ∂{numbers.goal}/∂{boxed} = ", "small", GREY),)
            line += (Run(digits(slope), "small", sign_colour(slope), "backward"),)
            line += (Run(f"  (sum over its {layout.count_of_uses[position]} uses)", "small", GREY),)
        else:
            line += (Run(f"  ({layout.count_of_uses[position]} uses)", "small", GREY),)
        ties.append(Tie(boxed, line))
    hidden = len(letters) - len(ties)
    return tuple(ties), f"and {hidden} more tied weights" if hidden else ""


def legend(
    numbers: Numbers, scale: float, thickest: float, ties: tuple[Tie, ...] = (), ties_text: str = "", nodes: bool = True
) -> Legend:
    """What the encoding of this picture means."""
    fills: tuple[tuple[str, str], ...] = ()
    if scale > 0:
        steps = [s * scale for s in (-1, -0.5, -0.1, 0, 0.1, 0.5, 1)]
        fills = tuple((digits(float(f"{x:.3g}")), fill(x, scale)) for x in steps)
    goal = numbers.goal
    symbols = []
    if goal and nodes:
        symbols = [f"γ = ∂{goal}/∂a (scalar)", f"δ = ∂{goal}/∂a[i] (vector)", f"∂ = ∂{goal}/∂ input, output, bias or w"]
    strokes: tuple[tuple[str, str, bool], ...] = ()
    stroke_text = width_text = ""
    if numbers.strokes is not None:
        what = "w" if numbers.by_weights else f"∂{goal}/∂w"
        strokes = tuple((text, *stroke(s)) for text, s in (("> 0", 1), ("< 0", -1), ("0, mixed or not computed", 0)))
        stroke_text = f"edge colour, dash: sign of {what}"
        width_text = f"edge width ∝ √|{what}|, thickest: {digits(thickest)}"
    return Legend(
        fills,
        "node fill, bold: output" if nodes else "node fill: output",
        tuple(symbols),
        strokes,
        stroke_text,
        width_text,
        ties,
        ties_text,
    )
