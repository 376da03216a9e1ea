"""A picture with its positions as SVG: the same look whatever engine gave the positions.

Ids begin with a prefix made of the content, so that several pictures live in one page. Nothing outside is referred to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from graphprop.notation.escaping import markup
from graphprop.render.drawn.colours import NEUTRAL
from graphprop.render.drawn.figures import Box, Figure, Text, base, letter_box
from graphprop.render.drawn.lettering import FONTS, STYLES, Line, Run, line_width, width
from graphprop.render.picture import Edge, Legend, Parts, Shape
from graphprop.render.placing.placement import Curve, Placement, Point

PAD = 18.0
OUTLINE = "#222222"
LIT = "#f2c200"
DIM = 0.28
FITTING = ' style="max-width: 100%; height: auto"'  # narrower than the picture, a notebook shows it smaller, not cut


def write_svg(
    parts: Parts,
    figures: dict[str, Figure],
    labels: dict[str, Figure],
    placement: Placement,
    notes: tuple[str, ...],
    prefix: str,
) -> str:
    left, top, right, bottom = _extent(figures, labels, placement)
    body: list[str] = []
    head, head_height, head_width = _head(parts, notes)
    foot, foot_height, foot_width = _legend(parts.legend)
    inner = max(right - left, head_width, foot_width, 120.0)
    wide = inner + 2 * PAD
    high = PAD + head_height + (bottom - top) + foot_height + PAD
    title = markup(parts.title or "network")  # what a reader of the page hears
    summary = markup("; ".join(text for text in (parts.subtitle, *parts.notes) if text))
    body.append(
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{prefix}" class="graphprop" role="img" '
        f'aria-labelledby="{prefix}-title {prefix}-desc" width="{_n(wide)}" height="{_n(high)}" '
        f'viewBox="0 0 {_n(wide)} {_n(high)}" font-family="{markup(FONTS)}"{FITTING}>'
    )
    body.append(f'<title id="{prefix}-title">{title}</title><desc id="{prefix}-desc">{summary}</desc>')
    body.append(f'<rect class="paper" width="{_n(wide)}" height="{_n(high)}" fill="#ffffff"/>')
    body.append(f'<g transform="translate({_n(wide / 2)} {_n(PAD)})">{head}</g>')
    x, y = PAD + (inner - (right - left)) / 2 - left, PAD + head_height - top
    body.append(f'<g class="picture" transform="translate({_n(x)} {_n(y)})">')
    body += [_edge(edge, *placement.curves[edge.id], prefix) for edge in parts.edges]
    body += [
        _label(edge, labels[edge.id], placement.labels[edge.id], prefix)
        for edge in parts.edges
        if edge.id in placement.labels
    ]
    body += [_node(shape, figures[shape.id], placement.nodes[shape.id], prefix) for shape in parts.shapes]
    body.append("</g>")
    body.append(f'<g class="legend" transform="translate({_n(PAD + (inner - foot_width) / 2)} {_n(high - PAD)})">')
    body.append(f'<g transform="translate(0 {_n(-foot_height)})">{foot}</g></g></svg>')
    return "\n".join(body) + "\n"


def _n(x: float) -> str:
    """A coordinate in one decimal, short."""
    text = f"{x:.1f}"
    return "0" if text in ("0.0", "-0.0") else text.removesuffix(".0")


def _extent(
    figures: dict[str, Figure], labels: dict[str, Figure], placement: Placement
) -> tuple[float, float, float, float]:
    xs, ys = [], []
    for sizes, middles in ((figures, placement.nodes), (labels, placement.labels)):
        for id_, (x, y) in middles.items():
            figure = sizes[id_]
            xs += [x - figure.width / 2 - 3, x + figure.width / 2 + 3]
            ys += [y - figure.height / 2 - 3, y + figure.height / 2 + 3]
    for curve, tip in placement.curves.values():
        xs += [x for x, _ in (*curve, tip)]
        ys += [y for _, y in (*curve, tip)]
    return min(xs), min(ys), max(xs), max(ys)


# ------------------------------------------------------------------ text


def _spans(line: Line) -> str:
    """The runs of a line; what follows a subscript goes back up to the line."""
    spans, drop = [], 0.0
    for run in line:
        style = STYLES[run.style]
        attributes = f'font-size="{_n(style.size)}"'
        if run.known:
            attributes += f' class="{run.known}"'
        if style.bold:
            attributes += ' font-weight="bold"'
        if style.italic:
            attributes += ' font-style="italic"'
        if style.drop != drop:
            attributes += f' dy="{_n(style.drop - drop)}"'
            drop = style.drop
        spans.append(f'<tspan {attributes} fill="{run.ink}">{markup(run.text)}</tspan>')
    return "".join(spans)


def _text(text: Text) -> str:
    anchor = f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
    return f'<text x="{_n(text.x)}" y="{_n(text.y)}"{anchor} xml:space="preserve">{_spans(text.line)}</text>'


def _box(box: Box) -> str:
    rounded = f' rx="{_n(box.round)}"' if box.round else ""
    stroke = f' stroke="{box.stroke}"' if box.stroke != "none" else ""
    return (
        f'<rect x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}"{rounded} '
        f'fill="{box.fill}"{stroke}/>'
    )


def _marks(marks: Iterable[Box | Text]) -> str:
    return "".join(_box(mark) if isinstance(mark, Box) else _text(mark) for mark in marks)


# ------------------------------------------------------------------ nodes and edges


def _node(shape: Shape, figure: Figure, middle: Point, prefix: str) -> str:
    dim = f' opacity="{DIM}"' if shape.lit is False else ""
    stroke = f'stroke="{OUTLINE}" stroke-width="{2.6 if shape.read else 1.3}"'
    halo = _outline(figure, f'fill="none" stroke="{LIT}" stroke-width="8"') if shape.lit else ""
    fill = "#ffffff" if figure.outline == "box" and figure.rows else shape.fill
    inside = _marks(figure.marks)
    around = _outline(figure, f'fill="none" {stroke}') if figure.rows else ""
    ground = _outline(figure, f'fill="{fill}" {"" if figure.rows else stroke}')
    return (
        f'<g id="{prefix}-{shape.id}" class="node {shape.form}" transform="translate({_n(middle[0])} {_n(middle[1])})"'
        f"{dim}><title>{markup(shape.tooltip)}</title>{halo}{ground}{inside}{around}</g>"
    )


def _outline(figure: Figure, paint: str) -> str:
    w, h = figure.width / 2, figure.height / 2
    paint = paint.strip()
    if figure.outline == "ellipse":
        return f'<ellipse rx="{_n(w)}" ry="{_n(h)}" {paint}/>'
    if figure.outline == "diamond":
        return _polygon([(-w, 0), (0, -h), (w, 0), (0, h)], paint)
    if figure.outline == "plate":
        point = min(20.0, w)
        return _polygon([(-w, -h), (w - point, -h), (w, 0), (w - point, h), (-w, h)], paint)
    rounded = {"rounded": min(12.0, h / 2), "stack": 4.0}.get(figure.outline, 0.0)
    behind = ""
    if figure.outline == "stack":
        behind = _box_outline(-w + 4, -h - 4, 2 * w, 2 * h, rounded, f'fill="#ffffff" stroke="{OUTLINE}"')
    return behind + _box_outline(-w, -h, 2 * w, 2 * h, rounded, paint)


def _box_outline(x: float, y: float, w: float, h: float, rounded: float, paint: str) -> str:
    corners = f' rx="{_n(rounded)}"' if rounded else ""
    return f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}"{corners} {paint}/>'


def _polygon(points: Iterable[Point], paint: str) -> str:
    return f'<polygon points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in points)}" {paint}/>'


def _edge(edge: Edge, curve: Curve, tip: Point, prefix: str) -> str:
    dim = f' opacity="{DIM}"' if edge.lit is False else ""
    (x, y), *rest = curve
    path = f"M{_n(x)},{_n(y)}C" + " ".join(f"{_n(x)},{_n(y)}" for x, y in rest)
    dash = f' stroke-dasharray="{_n(3 + 1.5 * edge.width)} {_n(2 + edge.width)}"' if edge.dashed else ""
    halo = f'<path d="{path}" fill="none" stroke="{LIT}" stroke-width="{_n(edge.width + 7)}"/>' if edge.lit else ""
    return (
        f'<g id="{prefix}-{edge.id}" class="edge"{dim}><title>{markup(edge.tooltip)}</title>{halo}'
        f'<path d="{path}" fill="none" stroke="{edge.colour}" stroke-width="{_n(edge.width)}"{dash}/>'
        f"{_arrow(rest[-1] if rest else (x, y), tip, edge)}</g>"
    )


def _arrow(start: Point, tip: Point, edge: Edge) -> str:
    dx, dy = tip[0] - start[0], tip[1] - start[1]
    length = math.hypot(dx, dy)
    if length < 0.01:
        return ""
    half = 3.0 + 0.5 * edge.width
    nx, ny = -dy / length * half, dx / length * half
    return _polygon([(start[0] + nx, start[1] + ny), tip, (start[0] - nx, start[1] - ny)], f'fill="{edge.colour}"')


def _label(edge: Edge, figure: Figure, middle: Point, prefix: str) -> str:
    w, h = figure.width, figure.height
    dim = f' opacity="{DIM}"' if edge.lit is False else ""
    ground = f'<rect x="{_n(-w / 2)}" y="{_n(-h / 2)}" width="{_n(w)}" height="{_n(h)}" rx="3" fill="#ffffff" '
    return (
        f'<g id="{prefix}-{edge.id}-label" class="label" transform="translate({_n(middle[0])} {_n(middle[1])})"{dim}>'
        f'{ground}fill-opacity="0.85"/>{_marks(figure.marks)}</g>'
    )


# ------------------------------------------------------------------ title and legend


def _head(parts: Parts, notes: tuple[str, ...]) -> tuple[str, float, float]:
    """Title, subtitle and notes, centred; with the height and the width they take."""
    lines = [(parts.title, "title", 26.0)] if parts.title else []
    lines += [(text, "subtitle", 17.0) for text in (parts.subtitle, *parts.notes, *notes) if text]
    written, y = [], 0.0
    for text, style, height in lines:
        written.append(_text(Text(0, base(y + height / 2, style), (Run(text, style),))))
        y += height
    return "".join(written), y + 12, max((width(text, style) for text, style, _ in lines), default=0.0)


def _legend(legend: Legend) -> tuple[str, float, float]:
    """The legend, line by line from its upper left corner."""
    rows: list[tuple[str, float]] = []
    if legend.fills:
        rows.append(_fills(legend))
    if legend.symbols:
        rows.append(_words(" · ".join(legend.symbols)))
    if legend.strokes:
        rows.append(_strokes(legend))
    elif legend.width_text:
        rows.append(_words(legend.width_text))
    if legend.ties:
        rows.append(_words("boxed letter: tied weights"))
        for tie in legend.ties:
            box, letter = letter_box(tie.letter, 0, -3)
            line = Text(box.width + 7, 0.85, tie.text, "start")
            rows.append((_marks((box, letter, line)), line.x + line_width(tie.text)))
    if legend.ties_text:
        rows.append(_words(legend.ties_text))
    if not rows:
        return "", 0.0, 0.0
    rows.append(_words(legend.closing))
    pieces = [f'<g transform="translate(0 {_n(30 + 19 * k)})">{piece}</g>' for k, (piece, _) in enumerate(rows)]
    return "".join(pieces), 19.0 * len(rows) + 18, max(w for _, w in rows)


def _words(text: str) -> tuple[str, float]:
    line = (Run(text, "small grey"),)
    return _text(Text(0, 0, line, "start")), line_width(line)


def _fills(legend: Legend) -> tuple[str, float]:
    text, x = _words(legend.fill_text)
    pieces, x = [text], x + 8
    for number, colour in legend.fills:
        room = max(width(number, "small") + 8, 34.0)
        pieces.append(_marks([Box(x, -11.5, room, 16, colour, "#bbbbbb")]))
        pieces.append(_text(Text(x + room / 2, 0.35, (Run(number, "small"),))))
        x += room
    return "".join(pieces), x


def _strokes(legend: Legend) -> tuple[str, float]:
    text, x = _words(legend.stroke_text)
    pieces, x = [text], x + 8
    for words, colour, dashed in legend.strokes:
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        wide = 1.2 if colour == NEUTRAL else 2.5
        pieces.append(f'<path d="M{_n(x)},-3.5h30" stroke="{colour}" stroke-width="{wide}"{dash}/>')
        line = (Run(words, "small", "" if colour == NEUTRAL else colour),)
        pieces.append(_text(Text(x + 35, 0, line, "start")))
        x += 35 + line_width(line) + 14
    more, room = _words(legend.width_text)
    pieces.append(f'<g transform="translate({_n(x)} 0)">{more}</g>')
    return "".join(pieces), x + room
