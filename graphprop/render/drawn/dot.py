"""A picture as DOT text, which Graphviz draws well by itself: ids are made up, names stand in labels only.

The same picture gives the same bytes. Where anything will stand is Graphviz's business.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphprop.notation.escaping import dot_html, dot_tooltip
from graphprop.render.drawn.figures import Figure, header_width, lines_of, table_widths
from graphprop.render.drawn.lettering import STYLES, Line, Run
from graphprop.render.picture import Edge, Entry, Legend, Parts, Shape, Table

SHAPES = {"ellipse": "ellipse", "diamond": "diamond", "plate": "cds"}
PLAIN = 'BORDER="0" CELLBORDER="0" CELLSPACING="0"'
OUTLINE, FAINT, LIT = "#222222", "#c9c9c9", "#c79a00"


def write_dot(parts: Parts, figures: dict[str, Figure], spacing: str) -> str:
    sparse = parts.detail == "shapes"
    notes = [(Run(text, "subtitle"),) for text in (parts.subtitle, *parts.notes) if text]
    above = [(Run(parts.title, "title"),), *notes] if parts.title else notes
    title = _table(_row([line]) for line in above or [(Run("", "subtitle"),)])
    lines = [
        "digraph {",
        f"  rankdir=LR; {spacing};",
        '  node [fontname="Arial", fixedsize=true, style=filled, color="#222222"];',
        '  edge [fontname="Arial", arrowsize=0.8];',
        f'  fontname="Arial"; labelloc=t; label=<{title}>;',
        "  subgraph cluster_all { peripheries=0; labelloc=b; margin=16;",
        f"  label=<{_legend(parts.legend)}>;",
    ]
    lines += [_node(shape, figures[shape.id], sparse) for shape in parts.shapes]
    lines.append("  }")
    ported = {shape.id for shape in parts.shapes if shape.table is not None}
    lines += [_edge(edge, ported) for edge in parts.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _attributes(given: Iterable[tuple[str, str]]) -> str:
    return "[" + ", ".join(f"{key}={value}" for key, value in given) + "]"


# ------------------------------------------------------------------ text


def _runs(line: Line) -> str:
    return "".join(map(_run, line))


def _run(run: Run) -> str:
    style = STYLES[run.style]
    text = dot_html(run.text)
    if not text:
        return ""
    if run.style == "boxed":
        text = f"[{text}]"
    if style.drop:
        text = f"<SUB>{text}</SUB>"
    if style.bold:
        text = f"<B>{text}</B>"
    if style.italic:
        text = f"<I>{text}</I>"
    return f'<FONT POINT-SIZE="{style.size:g}" COLOR="{run.ink}">{text}</FONT>'


def _row(cells: Iterable[Line], attributes: str = "") -> str:
    return f"<TR>{''.join(_cell(line, attributes) for line in cells)}</TR>"


def _cell(line: Line, attributes: str = "") -> str:
    return f"<TD{' ' if attributes else ''}{attributes}>{_runs(line) or ' '}</TD>"


def _table(rows: Iterable[str], attributes: str = PLAIN + ' CELLPADDING="1"') -> str:
    return f"<TABLE {attributes}>{''.join(rows)}</TABLE>"


def _pill(line: Line) -> str:
    attributes = 'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2" STYLE="ROUNDED" BGCOLOR="#ffffff"'
    return f"<TD>{_table([_row([(Run(' ', 'small'), *line, Run(' ', 'small'))])], attributes)}</TD>"


# ------------------------------------------------------------------ nodes


def _node(shape: Shape, figure: Figure, sparse: bool) -> str:
    attributes = [("shape", SHAPES.get(figure.outline, "box"))]
    if shape.table is not None:
        attributes = [("shape", "plain"), ("fixedsize", "false"), ("style", '""')]
        attributes.append(("label", f"<{_component_table(shape, shape.table)}>"))
    else:
        attributes.append(("width", f"{figure.width / 72:.3f}"))
        attributes.append(("height", f"{figure.height / 72:.3f}"))
        attributes.append(("fillcolor", f'"{shape.fill}"'))
        written = not sparse or shape.form == "loss"
        attributes.append(("label", f"<{_stack(shape)}>" if written else '""'))
        if figure.outline == "rounded":
            attributes.append(("style", '"filled,rounded"'))
        if figure.outline == "stack":
            attributes.append(("peripheries", "2"))
        attributes.append(("penwidth", "2.6" if shape.read or shape.lit else "1.3"))
        if shape.lit is False:
            attributes.append(("color", f'"{FAINT}"'))
        if shape.lit:
            attributes.append(("color", f'"{LIT}"'))
    attributes.append(("tooltip", dot_tooltip(shape.tooltip)))
    return f"    {shape.id} {_attributes(attributes)};"


def _stack(shape: Shape) -> str:
    """The lines of a shape without a table, one beneath the other."""
    rows = [f"<TR>{_pill(line) if role.endswith('pill') else _cell(line)}</TR>" for role, line in lines_of(shape)]
    return _table(rows, PLAIN + ' CELLPADDING="0"')


def _component_table(shape: Shape, table: Table) -> str:
    """A header, and a row per component with a port."""
    count = len(table.columns)
    border = "3" if shape.lit or shape.read else "1"
    colour = FAINT if shape.lit is False else LIT if shape.lit else OUTLINE
    head = [_cell((*shape.heading, Run(" ", "kind"), Run(shape.kind, "kind")))]
    if shape.value:
        head.append(_cell((Run(shape.value, "value"),)))
    if shape.pill:
        head.append(_pill(shape.pill))
    wide = max(header_width(shape), sum(table_widths(shape, table)))
    header = _table([f"<TR>{''.join(head)}</TR>"], PLAIN + ' CELLPADDING="3"')
    rows = [f'<TR><TD COLSPAN="{count}" BGCOLOR="{shape.fill}" WIDTH="{wide:.0f}">{header}</TD></TR>']
    rows.append(_row(table.columns))
    for i, cells in enumerate(table.rows):
        line = []
        for j, cell in enumerate(cells):
            ground = f'BGCOLOR="{cell.fill}"' if cell.fill else ""
            port = {0: f'PORT="r{i}"', count - 1: f'PORT="s{i}"'}.get(j, "")
            line.append(_cell((cell.run,), " ".join(filter(None, (port, ground)))))
        rows.append(f"<TR>{''.join(line)}</TR>")
    if table.hidden:
        rows.append(_row([(Run(f"{table.hidden} more", "small grey"),)], f'COLSPAN="{count}"'))
    rows += [_row([line], f'COLSPAN="{count}"') for line in shape.lines]
    look = f'BORDER="{border}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" COLOR="{colour}" BGCOLOR="#ffffff"'
    return _table(rows, look)


# ------------------------------------------------------------------ edges


def _edge(edge: Edge, ported: set[str]) -> str:
    width, colour = edge.width, edge.colour
    if edge.lit is False:
        colour = FAINT
    attributes = [("color", f'"{colour}"'), ("penwidth", f"{width:g}")]
    if edge.lit:
        attributes[0] = ("color", f'"{LIT}:{colour}:{LIT}"')
    if edge.dashed:
        attributes.append(("style", "dashed"))
    if edge.entries:
        attributes.append(("label", f"<{_label(edge.entries)}>"))
    attributes.append(("tooltip", dot_tooltip(edge.tooltip)))
    tail = edge.source + (f":s{edge.from_row}:e" if edge.from_row is not None and edge.source in ported else "")
    head = edge.target + (f":r{edge.to_row}:w" if edge.to_row is not None and edge.target in ported else "")
    return f"  {tail} -> {head} {_attributes(attributes)};"


def _label(entries: tuple[Entry, ...]) -> str:
    """One weight stands above its derivative; several have a row each."""
    if len(entries) == 1:
        (entry,) = entries
        lines = [f"<TR>{_letter(entry.letter)}{_cell(entry.weight, _LEFT)}</TR>"]
        if entry.derivative:
            lines.append(f"<TR>{'<TD></TD>' if entry.letter else ''}{_cell(entry.derivative, _LEFT)}</TR>")
        return _table(lines)
    boxed = any(entry.letter for entry in entries)
    return _table(
        "<TR>"
        + (_letter(entry.letter, boxed))
        + _cell((Run(entry.index, "small grey"),))
        + _cell((*entry.weight, Run("  ", "small")), _LEFT)
        + (_cell(entry.derivative, _LEFT) if entry.derivative else "")
        + "</TR>"
        for entry in entries
    )


_LEFT = 'ALIGN="LEFT"'


def _letter(text: str, boxed: bool = False) -> str:
    if not text:
        return "<TD></TD>" if boxed else ""
    look = 'BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1" STYLE="ROUNDED" COLOR="#222222" BGCOLOR="#ffffff"'
    return f"<TD>{_table([_row([(Run(text, 'small bold'),)])], look)}</TD>"


# ------------------------------------------------------------------ the legend


def _legend(legend: Legend) -> str:
    rows: list[str] = []
    if legend.fills:
        cells = [_cell((Run(legend.fill_text + "  ", "small grey"),))]
        cells += [_cell((Run(number, "small"),), f'BGCOLOR="{colour}"') for number, colour in legend.fills]
        scale = _table([f"<TR>{''.join(cells)}</TR>"], PLAIN + ' CELLPADDING="4"')
        rows.append(f"<TR><TD>{scale}</TD></TR>")
    if legend.symbols:
        rows.append(_row([(Run(" · ".join(legend.symbols), "small grey"),)]))
    if legend.stroke_text:
        line: Line = (Run(legend.stroke_text + "   ", "small grey"),)
        for text, colour, dashed in legend.strokes:
            line += (Run("- - - " if dashed else "—— ", "small bold", colour), Run(f"{text}   ", "small", colour))
        rows.append(_row([line]))
    if legend.width_text:
        rows.append(_row([(Run(legend.width_text, "small grey"),)]))
    for tie in legend.ties:
        explained = _table([f"<TR>{_letter(tie.letter)}{_cell(tie.text)}</TR>"])
        rows.append(f"<TR><TD>{explained}</TD></TR>")
    if legend.ties_text:
        rows.append(_row([(Run(legend.ties_text, "small grey"),)]))
    if not rows:
        return " "
    rows.append(_row([(Run(legend.closing, "small grey"),)]))
    return _table(rows, PLAIN + ' CELLPADDING="2"')
