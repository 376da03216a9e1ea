"""What a page plays and tells, as data for JSON: the steps of both passes, the numbers of each node and edge, paths.

Nothing is computed here but the order; the numbers are those of the trace and the gradients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.explanations.book import Book
from graphprop.explanations.explaining import objective_text
from graphprop.explanations.path_sums import PathSum, arrows, many, sum_paths
from graphprop.explanations.quantities import Key
from graphprop.graph.layout import Layout
from graphprop.notation.escaping import label
from graphprop.notation.expressions import Symbol
from graphprop.passes.results import Trace
from graphprop.render.drawn.lettering import name_text
from graphprop.render.numbers import Numbers
from graphprop.render.page.page_formulas import Formulas
from graphprop.render.picture import Parts

ROWS = 12  # numbers of one kind in a step, or in what is told of a node or an edge
SOURCES, TARGETS, TOP, TOP_OF_MANY = 3, 2, 5, 3  # components of a node, outputs, and paths between them
FACTORS, LIT = 12, 40  # of a path whose product is written, nodes of one that can be lit
WORK = 150_000  # edges that are walked for paths

Row = tuple[str, list[Key], int]  # a heading, numbers, how many more there are


class Playback:
    """The data of one page; `parts` says which nodes and edges it shows."""

    def __init__(self, parts: Parts, numbers: Numbers) -> None:
        self.parts, self.numbers, self.layout = parts, numbers, numbers.layout
        self.s = numbers.sample
        self.nodes = [int(shape.id[1:]) for shape in parts.shapes if shape.form != "loss"]
        self.edges = [int(e.id[1:]) for e in parts.edges if e.target != "J"]
        self.shows_loss = any(shape.form == "loss" for shape in parts.shapes)
        self.book = Book(numbers, "children", labelled=numbers.samples > 1, gaps=True)
        self.formulas = Formulas(self.book)
        self.headings: dict[str, int] = {}
        self.hidden_components = False
        self.shared = self._shared()
        self.edges_into: dict[int, list[int]] = {}
        for e in sorted(self.edges):
            self.edges_into.setdefault(int(self.layout.edge_target[e]), []).append(e)

    def _shared(self) -> dict[int, Key]:
        """The parameters that several weights or biases use, by their places in theta."""
        layout = self.layout
        uses = layout.count_of_uses
        return {
            int(positions[index]): ("parameter", None, name, index)
            for name, positions in layout.parameters.items()
            for index in np.ndindex(positions.shape)
            if uses[positions[index]] > 1
        }

    def data(self) -> dict[str, Any]:
        steps = [*self._forward(), *self._backward()]
        of = {f"n{v}": self._rows(self._about_node(v)) for v in self.nodes}
        if self.shows_loss:
            of["J"] = self._rows(self._about_loss())
        of |= {f"e{e}": self._rows(self._about_edge(e)) for e in self.edges}
        self.formulas.derive_all()
        paths, paths_left_out = self._paths()
        told = {"steps": steps, "of": of, "numbers": self.formulas.entries, "paths": paths}
        about = {"objective": self._objective(), "headings": list(self.headings), "notes": self._notes(paths_left_out)}
        return nothing_told() | told | about

    def _objective(self) -> str:
        if self.numbers.gradients is None:
            return ""
        summed = self.numbers.samples > 1
        return objective_text(self.book, None if summed else self.s, summed)

    def _notes(self, paths_left_out: int) -> list[str]:
        notes = []
        if self.hidden_components:
            notes.append(f"Of long vectors the first {ROWS} numbers are told.")
        if self.formulas.left_out:
            notes.append(
                f"The formulas of {self.formulas.left_out} numbers or more were left out to keep this page small; "
                "gp.explain writes them."
            )
        if paths_left_out:
            notes.append(f"The largest paths from {paths_left_out} places were left out; gp.paths finds them.")
        return notes

    # ------------------------------------------------------------------ rows of numbers

    def _rows(self, rows: Iterable[Row]) -> list[tuple[int, list[int], int]]:
        """Of each row the place of its heading, the places of its numbers, how many more there are; none is empty."""
        made = []
        for heading, keys, more in rows:
            if keys:
                place = self.headings.setdefault(heading, len(self.headings))
                made.append((place, self.formulas.places(keys), more))
                self.hidden_components |= more > 0
        return made

    def _span(self, heading: str, kind: str, span: slice) -> Row:
        shown = range(span.start, min(span.stop, span.start + ROWS))
        return heading, [(kind, self.s, place) for place in shown], span.stop - span.start - len(shown)

    def _a(self, v: int) -> Row:
        return self._span("pre-activation", "a", self.layout.a_slice(v))

    def _o(self, v: int) -> Row:
        return self._span("given" if self.layout.nodes[v].is_input else "output", "o", self.layout.o_slice(v))

    def _delta(self, v: int) -> Row:
        return self._span("derivative by the pre-activation", "delta", self.layout.a_slice(v))

    def _obar(self, v: int) -> Row:
        return self._span("derivative by the output, over all paths", "obar", self.layout.o_slice(v))

    def _summed(self, heading: str, kind: str, uses: list[int]) -> Row:
        if self.numbers.samples > 1:
            heading += ", over all samples"
        return heading, [(kind, None, use) for use in uses[:ROWS]], max(len(uses) - ROWS, 0)

    def _biases(self, v: int) -> Row:
        return self._summed("derivative by the bias", "bias", _listed(self.layout.bias_slice(v)))

    def _weights_into(self, v: int) -> Row:
        uses = [use for e in self.edges_into.get(v, ()) for use in _listed(self.layout.edge_slice(e))]
        return self._summed("derivative by the weights into it", "weight", uses)

    def _goal_row(self) -> Row:
        return "the objective", [("goal",)], 0

    # ------------------------------------------------------------------ the steps

    def _step(self, way: str, title: str, shapes: list[str], rows: Iterable[Row]) -> dict[str, Any]:
        return {"pass": way, "title": title, "shapes": shapes, "rows": self._rows(rows)}

    def _name(self, v: int) -> str:
        return name_text(self.layout.names[v])

    def _forward(self) -> list[dict[str, Any]]:
        if self.numbers.trace is None:
            return []
        inputs = [v for v in self.nodes if self.layout.nodes[v].is_input]
        steps = []
        if inputs:
            keys = [key for v in inputs for key in self._o(v)[1]]
            row = ("given", keys[:ROWS], max(sum(self.layout.nodes[v].m for v in inputs) - ROWS, 0))
            steps.append(self._step("forward", "the inputs", [f"n{v}" for v in inputs], [row]))
        for v in self._inner():
            steps.append(self._step("forward", self._name(v), [f"n{v}"], [self._a(v), self._o(v)]))
        if self.shows_loss:
            steps.append(self._step("forward", "the loss J", ["J"], [self._goal_row()]))
        return steps

    def _inner(self) -> list[int]:
        return [v for v in self.nodes if not self.layout.nodes[v].is_input]

    def _backward(self) -> list[dict[str, Any]]:
        if self.numbers.trace is None or self.numbers.gradients is None:
            return []
        steps = []
        if self.shows_loss:
            steps.append(self._step("backward", "where J is read", ["J"], [self._read_row()]))
        for v in reversed(self._inner()):
            alone = self.layout.nodes[v].kind_of_function != "elementwise"
            obar = [self._obar(v)] if alone and not (self.shows_loss and v in self.book.goal.reads) else []
            rows = [*obar, self._delta(v), self._weights_into(v), self._biases(v)]
            steps.append(self._step("backward", self._name(v), [f"n{v}"], rows))
        for v in reversed(self.nodes):
            if self.layout.nodes[v].is_input:
                steps.append(self._step("backward", self._name(v), [f"n{v}"], [self._obar(v)]))
        if self.shared:
            row = self._sums(list(self.shared.values()))
            steps.append(self._step("backward", "tied weights: the sum over their uses", [], [row]))
        return steps

    def _read_row(self) -> Row:
        columns = self.book.goal.columns.tolist()
        keys: list[Key] = [("obar", self.s, column) for column in columns[:ROWS]]
        return "derivative by the outputs it reads", keys, max(len(columns) - ROWS, 0)

    def _sums(self, keys: list[Key]) -> Row:
        return "derivative by the shared number", keys[:ROWS], max(len(keys) - ROWS, 0)

    # ------------------------------------------------------------------ what is told of a node or an edge

    def _about_node(self, v: int) -> list[Row]:
        if self.layout.nodes[v].is_input:
            return [self._o(v), *([self._obar(v)] if self.numbers.gradients else [])]
        rows = [self._a(v), self._o(v)]
        if self.numbers.gradients is not None:
            rows += [self._delta(v), self._obar(v), self._biases(v)]
        return rows

    def _about_loss(self) -> list[Row]:
        return [self._goal_row(), self._read_row()]

    def _about_edge(self, e: int) -> list[Row]:
        uses = _listed(self.layout.edge_slice(e))
        rows: list[Row] = [("weight", [("w", use) for use in uses[:ROWS]], max(len(uses) - ROWS, 0))]
        if self.numbers.gradients is not None:
            rows.append(self._summed("derivative by the weight", "weight", uses))
            shared = dict.fromkeys(p for p in self.layout.position[uses].tolist() if p in self.shared)
            rows.append(self._sums([self.shared[p] for p in shared]))
        return rows

    # ------------------------------------------------------------------ paths

    def _paths(self) -> tuple[dict[str, list[dict[str, Any]]], int]:
        """From each node to what is differentiated, or to the outputs; and how many were left out."""
        trace = self.numbers.trace
        if trace is None:
            return {}, 0
        columns = self.book.goal.columns.tolist() if self.numbers.gradients else _output_columns(self.layout)
        targets = [self.layout.at_column(column) for column in columns]
        found: dict[str, list[dict[str, Any]]] = {}
        work = left_out = 0
        for v in self.nodes:
            node = self.layout.nodes[v]
            length = node.m if node.is_input else node.n
            for t, k in targets[:TARGETS]:
                for i in range(min(length, SOURCES)) if t != v else ():
                    if work > WORK:
                        left_out += 1
                        continue
                    work += len(self.layout.edge_source)
                    if (made := self._sum(trace, v, i, t, k)) is not None:
                        found.setdefault(f"n{v}", []).append(made)
        return found, left_out

    def _sum(self, trace: Trace, v: int, i: int, t: int, k: int) -> dict[str, Any] | None:
        names = self.layout.names
        try:
            top = TOP if self.parts.detail == "full" else TOP_OF_MANY
            found = sum_paths(trace, names[v], names[t], top, of=i, to=k, sample=self.s)
        except GraphpropError:  # it overflows
            return None
        return self._told(found, t, k) if found.count else None

    def _told(self, found: PathSum, t: int, k: int) -> dict[str, Any]:
        """A sum over paths to an output; if the page is about J, over those to J, which reads that output."""
        number, symbol, last, factor = self.formulas.number, _curled(found.symbol), "", 1.0
        if self.numbers.gradients is not None and self.book.goal_symbol() == Symbol("J"):
            to = f"o[{label(self.layout.names[t])}]" + (f"[{k}]" if self.layout.nodes[t].m > 1 else "")
            symbol = f"∂J/∂{symbol.removeprefix(f'∂{to}/∂')}"
            if len(self.book.goal.columns) > 1:
                symbol += f" through {to}"
            column = self.layout.column_of(t, k)
            factor = float(self.book.seed[self.s, self.book.read[column]])
            if not self.book.is_output:
                last = f"direct{to[1:]}" if self.book.is_passed_on(column) else f"∂J/∂{to}"
        rows = []
        for path in found.top:
            row: dict[str, Any] = {
                "amount": number(factor * path.contribution),
                "names": arrows(path.nodes).replace(" -> ", " → "),
            }
            factors = [(_curled(step.symbol), step.value) for step in path.factors] + [(last, factor)] * bool(last)
            if 0 < len(factors) <= FACTORS:
                values = [number(value, 4) for _, value in factors]
                row["formula"] = " · ".join(step for step, _ in factors)
                row["numbers"] = " · ".join(f"({x})" if j and x[0] == "\u2212" else x for j, x in enumerate(values))
            if len(path.nodes) <= LIT:
                row["edges"] = [self.layout.edge_number[pair] for pair in pairwise(path.nodes)]
            rows.append(row)
        told = {"symbol": symbol, "total": number(factor * found.total), "paths": rows, "count": many(found.count)}
        if found.rest_count:
            told |= {"rest": number(factor * found.rest), "rest_count": many(found.rest_count)}
        return told


def _curled(symbol: str) -> str:
    """do[y]/da[h] with the sign for partial derivatives."""
    return re.sub(r"^d(?=o\[)|(?<=\]/)d(?=[ao]\[)", "∂", symbol)


def nothing_told() -> dict[str, Any]:
    """The data of a page that neither plays nor explains."""
    return {"objective": "", "steps": [], "of": {}, "numbers": [], "headings": [], "paths": {}, "notes": []}


def _listed(span: slice) -> list[int]:
    return list(range(span.start, span.stop))


def _output_columns(layout: Layout) -> list[int]:
    columns: list[int] = layout.columns_of(layout.find(name) for head in layout.heads for name in head).tolist()
    return columns
