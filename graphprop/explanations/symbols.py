"""How the quantities of a layout are written. What they are, and how large, is not known here."""

from __future__ import annotations

from graphprop.graph.layout import Layout, Node
from graphprop.notation.escaping import label
from graphprop.notation.expressions import Derivative, Symbol


class Symbols:
    """`labelled` puts the sample into the symbols."""

    def __init__(self, layout: Layout, labelled: bool) -> None:
        self.layout, self.labelled = layout, labelled
        self.output: int | None = None  # the column that is differentiated, if it is one output

    def node(self, v: int) -> Node:
        node: Node = self.layout.nodes[v]
        return node

    def marked(self, s: int | None) -> int | None:
        return s if self.labelled else None

    def symbol(self, letter: str, v: int, component: int, length: int, s: int | None) -> Symbol:
        index = (component,) if length > 1 else ()
        return Symbol(letter, (label(self.layout.names[v]), *index), sample=self.marked(s))

    def a_symbol(self, letter: str, s: int, row: int) -> Symbol:
        v, i = self.layout.at_row(row)
        return self.symbol(letter, v, i, self.node(v).n, s)

    def o_symbol(self, letter: str, s: int | None, column: int) -> Symbol:
        v, k = self.layout.at_column(column)
        return self.symbol(letter, v, k, self.node(v).m, s)

    def goal_symbol(self) -> Symbol:
        """What is differentiated: the output of a node, or J."""
        if self.output is not None and not self.labelled:
            return self.o_symbol("o", None, self.output)
        return Symbol("J")

    def by_goal(self, by: Symbol) -> Derivative:
        return Derivative(self.goal_symbol(), by)

    def weight_symbol(self, use: int) -> Symbol:
        v, i = self.layout.at_row(int(self.layout.row[use]))
        u, k = self.layout.at_column(int(self.layout.column[use]))
        source = label(self.layout.names[u])
        to = (i,) if self.node(v).n > 1 else ()
        of = (source, k) if self.node(u).m > 1 else source
        return Symbol("w", round=(*to, of, label(self.layout.names[v])))

    def bias_symbol(self, use: int) -> Symbol:
        v, i = self.layout.at_row(int(self.layout.bias_row[use]))
        return self.symbol("b", v, i, self.node(v).n, None)
