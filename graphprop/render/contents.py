"""From a network's numbers to the parts of a picture: what is written in each shape and beside each edge."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from graphprop.functions.arithmetic import Floats
from graphprop.functions.printed import Printed
from graphprop.functions.softmax import SOFTMAX
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.layout import Array, Node
from graphprop.notation.foreign import as_float, floats
from graphprop.render.drawn.colours import fill, stroke, stroke_width
from graphprop.render.drawn.lettering import (
    DASH,
    GREY,
    Line,
    Run,
    digits,
    line_width,
    name_line,
    name_text,
    sign_colour,
)
from graphprop.render.legends import legend, letter, tied
from graphprop.render.numbers import Numbers
from graphprop.render.picture import Cell, Edge, Entry, Legend, Parts, Shape, Table
from graphprop.render.selection import Selection

ROWS = {"full": 12, "nodes": 6}  # of a table, by the detail
ENTRIES = 6  # of an edge's label
TIP_ENTRIES = 12


@keeps_warnings
def describe(numbers: Numbers, selection: Selection, title: str) -> Parts:
    """The parts of a picture that shows single nodes."""
    layout = numbers.layout
    content = _Content(numbers, selection)
    shapes = [content.shape(v) for v in selection.nodes]
    edges = [content.edge(e) for e in selection.edges]
    if numbers.has_loss and (reads := [v for v in numbers.objective.reads if v in content.shown]):
        shapes.append(loss_shape(numbers, selection.lit_nodes is not None))
        lit = None if selection.lit_nodes is None else False
        tooltip = "the loss reads the output of {}"
        edges += [
            Edge(f"e{len(layout.edge_source) + k}", f"n{v}", "J", tooltip.format(name_text(layout.names[v])), lit=lit)
            for k, v in enumerate(reads)
        ]
    return Parts(
        title, numbers.subtitle(), selection.detail, tuple(shapes), tuple(edges), content.legend(), selection.notes
    )


class _Content:
    """What all shapes and edges of one picture share: the scales, and the letters of tied weights."""

    def __init__(self, numbers: Numbers, selection: Selection) -> None:
        self.numbers, self.selection, self.layout = numbers, selection, numbers.layout
        self.shown = set(selection.nodes)
        self.scale = self._fill_scale()
        sizes = numbers.sizes[selection.edges]
        self.thickest = float(np.nanmax(sizes, initial=0.0)) if np.isfinite(sizes).any() else 0.0
        self.full = selection.detail == "full"
        self.normed = False  # whether a norm stands for the derivatives on an edge
        self.letters = self._tied_letters() if self.full else {}
        self.read = set(numbers.objective.reads)

    def _fill_scale(self) -> float:
        """The largest value that stands for a fill."""
        numbers = self.numbers
        if numbers.o is None or numbers.a is None:
            return 0.0
        spans = [self.layout.o_slice(v) for v in self.selection.nodes]
        values = [floats(numbers.o[span]) for span in spans]
        if self.selection.detail != "shapes":
            reducing = [v for v in self.selection.nodes if self._form(self.layout.nodes[v]) == "reducing"]
            values += [floats(numbers.a[self.layout.a_slice(v)]) for v in reducing]
        joined = np.abs(np.concatenate(values)) if values else np.zeros(0)
        return float(joined[np.isfinite(joined)].max(initial=0.0))

    def _tied_letters(self) -> dict[int, str]:
        """Of each position of theta that several shown weights or biases use, its letter, in order of appearance."""
        layout = self.layout
        uses = layout.count_of_uses
        letters: dict[int, str] = {}
        for e in self.selection.edges:
            for position in layout.position[layout.edge_slice(e)].tolist():
                if uses[position] > 1 and position not in letters:
                    letters[position] = letter(len(letters))
        for v in self.selection.nodes:
            bias = layout.nodes[v].bias
            for position in [] if bias is None else bias[bias >= 0].tolist():
                if uses[position] > 1 and position not in letters:
                    letters[position] = letter(len(letters))
        return letters

    # -------------------------------------------------------------- nodes

    def _form(self, node: Node) -> Any:
        if node.is_input:
            return "input"
        if node.kind_of_function == "reducing":
            return "reducing"
        return "vector" if node.vector else "scalar"

    def shape(self, v: int) -> Shape:
        node, name, numbers = self.layout.nodes[v], self.layout.names[v], self.numbers
        form = self._form(node)
        kind = node.kind.replace("_", "-")
        tabular = form in ("reducing", "vector") or node.m > 1 or (node.is_input and node.vector)
        o = self._of(numbers.o, self.layout.o_slice(v))
        lit = None if self.selection.lit_nodes is None else v in self.selection.lit_nodes
        shape = Shape(
            f"n{v}",
            name,
            "vector" if node.is_input and tabular and self.selection.detail == "shapes" else form,
            kind,
            name_text(name),
            self._node_tip(v),
            fill=fill(o[0], self.scale) if o is not None and node.m == 1 else "#ffffff",
            read=v in self.read and not numbers.has_loss,
            lit=lit,
        )
        if self.selection.detail == "shapes":
            return shape
        values: dict[str, Any] = {"heading": name_line(name)}
        if tabular:
            values["table"] = self._table(v)
            values["fill"] = shape.fill if form == "reducing" else "#f4f4f4"
        if not tabular or form == "reducing":
            if o is not None:
                values["value"] = digits(o[0])
            elif numbers.gradients is not None:
                values["value"] = DASH
            if form == "reducing" or node.is_input:
                values["pill"] = self._pill("∂", self._of(numbers.do, self.layout.o_slice(v)))
            else:
                values["pill"] = self._pill("γ", self._of(numbers.da, self.layout.a_slice(v)))
        if not tabular:
            values["lines"] = self._bias_line(v)
        return Shape(**{**vars(shape), **values})

    @staticmethod
    def _of(array: Array | None, span: slice) -> list[Any] | None:
        return None if array is None else array[span].tolist()

    @staticmethod
    def _pill(symbol: str, slopes: list[Any] | None) -> Line:
        if slopes is None:
            return ()
        return Run(f"{symbol} ", "number", GREY), Run(digits(slopes[0]), "number", sign_colour(slopes[0]), "backward")

    def _biases(self, v: int) -> tuple[list[Any], list[Any] | None] | None:
        """The biases of a node and their derivatives; nan where there is none."""
        layout, known = self.layout, self.numbers.bias_slopes
        if layout.nodes[v].bias is None:
            return None
        values = layout.scatter_bias(v, self.numbers.parameters[layout.bias_position])
        slopes = None if known is None else layout.scatter_bias(v, known).tolist()
        return values.tolist(), slopes

    def _bias_letters(self, v: int) -> list[str]:
        """Of each component the letter of its bias, if that is tied."""
        bias = self.layout.nodes[v].bias
        return [] if bias is None else [self.letters.get(position, "") for position in bias.tolist()]

    def _bias_line(self, v: int) -> tuple[Line, ...]:
        known = self._biases(v)
        if known is None:
            return ()
        values, slopes = known
        boxed = self._bias_letters(v)[0]
        line: Line = (Run(boxed, "boxed"), Run("  ", "small")) if boxed else ()
        line += (Run("b ", "small", GREY), Run(digits(values[0]), "small"))
        if slopes is not None:
            line += (Run("  ∂ ", "small", GREY), Run(digits(slopes[0]), "small", sign_colour(slopes[0]), "backward"))
        return (line,)

    def _table(self, v: int) -> Table:
        """A row per component: i, its bias, a[v][i], what comes out of it, delta[v][i]."""
        layout, numbers, node = self.layout, self.numbers, self.layout.nodes[v]
        most = ROWS[self.selection.detail]
        n = node.m if node.is_input else node.n
        count = n if n <= most else most - 1
        symbol = name_text(layout.names[v], 5) if len(name_text(layout.names[v])) <= 5 else ""
        entry = f"[{symbol}][i]" if symbol else "[i]"
        columns: list[tuple[str, list[Cell]]] = [("i", [_cell(f"[{i}]", "small grey") for i in range(count)])]
        biases = None if node.is_input else self._biases(v)
        if biases is not None:
            boxed = self._bias_letters(v)
            cells = [
                _cell("" if _is_nan(b) else f"{boxed[i]} {digits(b)}".strip(), "number")
                for i, b in enumerate(biases[0][:count])
            ]
            columns.append(("b[i]", cells))
            if biases[1] is not None and numbers.samples > 1:
                columns.append((f"∂{numbers.goal}/∂b[i]", [_slope_cell(g) for g in biases[1][:count]]))
        a, o = self._of(numbers.a, layout.a_slice(v)), self._of(numbers.o, layout.o_slice(v))
        da, do = self._of(numbers.da, layout.a_slice(v)), self._of(numbers.do, layout.o_slice(v))
        if a is None and numbers.gradients is not None and not node.is_input:
            a = [math.nan] * n
        if o is None and numbers.gradients is not None:
            o = [math.nan] * node.m
        reducing = node.kind_of_function == "reducing"
        if a is not None and not node.is_input:
            cells = [_value_cell(x, fill(x, self.scale) if reducing else "") for x in a[:count]]
            columns.append((f"a{entry}", cells))
        printed = Printed() if node.activation is None else node.activation.printed
        if printed.shares and a is not None:
            columns.append((printed.shares, [_value_cell(p) for p in shares(a)[:count]]))
        if (node.m > 1 or (node.vector and not reducing)) and o is not None:
            columns.append((printed.title or f"o{entry}", [_value_cell(x, fill(x, self.scale)) for x in o[:count]]))
        if node.is_input and do is not None:
            columns.append((f"∂{entry}", [_slope_cell(g) for g in do[:count]]))
        elif da is not None:
            columns.append((f"δ{entry}", [_slope_cell(g) for g in da[:count]]))
        titles = tuple((Run(title, "small grey"),) for title, _ in columns)
        return Table(titles, tuple(zip(*(cells for _, cells in columns), strict=True)), n - count)

    def _node_tip(self, v: int) -> str:
        layout, numbers, node = self.layout, self.numbers, self.layout.nodes[v]
        lines = [f"{name_text(layout.names[v])}: {node.kind.replace('_', '-')}"]
        if node.activation is not None:
            lines[0] += f", {node.activation.text}"
        sensitivity = "δ" if node.vector else "γ"
        known = [("a", self._of(numbers.a, layout.a_slice(v))), ("o", self._of(numbers.o, layout.o_slice(v)))]
        known += [(sensitivity, self._of(numbers.da, layout.a_slice(v)))]
        known += [(f"∂{numbers.goal}/∂o", self._of(numbers.do, layout.o_slice(v)))]
        if not node.is_input and (biases := self._biases(v)) is not None:
            known += [("b", biases[0]), (f"∂{numbers.goal}/∂b", biases[1])]
        lines += [f"{what} = {_listed(values)}" for what, values in known if values]
        hidden = sum(u not in self.shown for u in layout.parents[v])
        if hidden:
            lines.append(f"{hidden} of {len(layout.parents[v])} parents are not shown")
        return "\n".join(lines)

    # -------------------------------------------------------------- edges

    def edge(self, e: int) -> Edge:
        layout, numbers = self.layout, self.numbers
        u, v = int(layout.edge_source[e]), int(layout.edge_target[e])
        uses = layout.edge_slice(e)
        drawn = None if numbers.strokes is None else numbers.strokes[uses]
        colour, dashed = stroke(common_sign(drawn) if drawn is not None else 0)
        width = 1.2 if drawn is None else stroke_width(float(numbers.sizes[e]), self.thickest)
        rows = layout.row[uses] - layout.a_start[v]
        columns = layout.column[uses] - layout.o_start[u]
        return Edge(
            f"e{e}",
            f"n{u}",
            f"n{v}",
            self._edge_tip(e, rows, columns),
            self._entries(e, rows, columns) if self.full else (),
            self._only_row(u, columns, layout.nodes[u].m),
            self._only_row(v, rows, layout.nodes[v].n),
            width,
            colour,
            dashed,
            None if self.selection.lit_edges is None else e in self.selection.lit_edges,
        )

    def _only_row(self, v: int, components: Array, count: int) -> int | None:
        """The row of a node's table that an edge joins, if it joins but one of several."""
        if self.selection.detail == "shapes" or count == 1 or len(set(components.tolist())) > 1:
            return None
        if self._form(self.layout.nodes[v]) == "reducing" and count == 1:
            return None
        most = ROWS[self.selection.detail]
        i = int(components[0])
        return i if i < (count if count <= most else most - 1) else None

    def _entries(self, e: int, rows: Array, columns: Array) -> tuple[Entry, ...]:
        layout, numbers = self.layout, self.numbers
        uses = layout.edge_slice(e)
        n, m = layout.edge_shape(e)
        slopes = None if numbers.slopes is None else numbers.slopes[uses]
        if len(rows) > ENTRIES:
            norm: Line = ()
            if slopes is not None:
                self.normed = True
                norm = (
                    Run("|∂| ", "small", GREY),
                    Run(digits(float(np.linalg.norm(floats(slopes)))), "small", known="backward"),
                )
            return (Entry("", "", (Run("W ", "small italic", GREY), Run(f"{n} × {m}", "small bold")), norm),)
        entries = []
        weights, positions = numbers.weights[uses].tolist(), layout.position[uses].tolist()
        for j, (i, k) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
            index = ",".join([str(i)] * (n > 1) + [str(k)] * (m > 1))
            derivative: Line = ()
            if slopes is not None:
                slope = Run(digits(slopes[j]), "small", sign_colour(slopes[j]), "backward")
                derivative = Run("∂ ", "small", GREY), slope
            several = len(rows) > 1
            weight = (() if several else (Run("w ", "small italic", GREY),)) + (Run(digits(weights[j]), "small bold"),)
            boxed = self.letters.get(positions[j], "")
            entries.append(Entry(boxed, f"[{index}]" if several else "", weight, derivative))
        return tuple(entries)

    def _edge_tip(self, e: int, rows: Array, columns: Array) -> str:
        layout, numbers = self.layout, self.numbers
        first = int(layout.edge_start[e])
        count = len(rows)
        u, v = layout.names[int(layout.edge_source[e])], layout.names[int(layout.edge_target[e])]
        lines = [f"{name_text(u)} → {name_text(v)}"]
        for use in range(first, first + min(count, TIP_ENTRIES)):
            weight = layout.label_use(use)
            text = f"{weight} = {digits(numbers.weights[use])}"
            if numbers.slopes is not None:
                text += f", ∂{numbers.goal}/∂{weight} = {digits(numbers.slopes[use])}"
            tie = self.letters.get(int(layout.position[use]))
            lines.append(f"{text}, tied: {tie}" if tie else text)
        if count > TIP_ENTRIES:
            lines.append(f"and {count - TIP_ENTRIES} more")
        return "\n".join(line if len(line) < 300 else line[:299] + "…" for line in lines)

    # -------------------------------------------------------------- the legend

    def legend(self) -> Legend:
        written = {"full": "", "nodes": "edges", "shapes": "nodes and edges"}[self.selection.detail]
        ties = tied(self.numbers, self.letters)
        known = legend(self.numbers, self.scale, self.thickest, *ties, nodes=written != "nodes and edges")
        if self.normed:
            norm = f"|∂| = norm of all ∂{self.numbers.goal}/∂w of W"
            known = replace(known, symbols=(*known.symbols, norm))
        return replace(known, closing=f"{known.closing} · numbers of {written}: tooltips") if written else known


def common_sign(entries: Array) -> int:
    """The sign that all entries but zeros share; 0 if there is none, or if one was not computed."""
    if np.isnan(entries).any():
        return 0
    signs = set(np.sign(entries[entries != 0]).astype(int).tolist())
    return signs.pop() if len(signs) == 1 else 0


def shares(a: Iterable[Any]) -> list[float]:
    """The softmax of components; nan if one is not known."""
    values = [math.nan if x is None else x for x in map(as_float, a)]
    if any(map(math.isnan, values)) or not math.isfinite(max(values)):
        return [math.nan] * len(values)
    return Floats().outputs(SOFTMAX, values)


def _is_nan(x: Any) -> bool:
    value = as_float(x)
    return value is not None and math.isnan(value)


def _cell(text: str, style: str) -> Cell:
    return Cell(Run(text, style))


def _value_cell(x: Any, fill: str = "") -> Cell:
    return Cell(Run(digits(x), "number", known="forward"), fill)


def _slope_cell(x: Any) -> Cell:
    return Cell(Run(digits(x), "number", sign_colour(x), "backward"))


def _listed(values: list[Any], most: int = 8) -> str:
    if len(values) == 1:
        return digits(values[0])
    more = f", … {len(values) - most} more" if len(values) > most else ""
    return f"({', '.join(map(digits, values[:most]))}{more})"


def loss_shape(numbers: Numbers, dim: bool) -> Shape:
    """The loss with its value, and what it compares with."""
    objective, kind = numbers.objective, numbers.losses
    targets = numbers.targets
    lines: list[Line] = [(Run("t ", "small italic", GREY), Run(_listed(targets, 4), "small"))]
    if numbers.samples > 1:
        lines.append((Run(f"mean of {numbers.samples} samples", "small grey"),))
    if line_width(lines[0]) > 130:
        lines[0] = (Run(f"{len(targets)} targets", "small grey"),)
    formulas = dict.fromkeys(own.loss.text for own in objective.losses)
    told = ", ".join(formulas) if len(formulas) == 1 and objective.head_weight is None else str(objective)
    tip = f"J: {kind}, {told}\nJ = {digits(numbers.value)}\nt = {_listed(targets)}"
    heading = (Run("J", "name"),)
    value = digits(numbers.value)
    lit = False if dim else None
    return Shape("J", None, "loss", kind, "J", tip, heading, value, lines=tuple(lines), fill="#f2f2f2", lit=lit)


def rms(values: Array) -> float:
    """A size that stands for many numbers; nan if one of them was not computed."""
    known = floats(values)
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0
