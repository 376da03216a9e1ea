"""The formula that makes each quantity from others. The recursions are those of `recursion.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.explanations.known import Known
from graphprop.explanations.printed_formulas import (
    is_identity,
    loss_formula,
    loss_slope,
    slope_formula,
    value_formula,
)
from graphprop.explanations.quantities import Key, Kind, Quantities
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.functions.softmax import SOFTMAX
from graphprop.notation.expressions import (
    ONE,
    Constant,
    Expression,
    Product,
    Quantity,
    Quotient,
    Symbol,
    contradicts,
    product,
    total,
)
from graphprop.notation.foreign import as_floats

Derived = tuple[Expression | None, str]  # a formula, and words on it


class Book(Quantities):
    """How quantities are made; derivatives as the recursion says, over children or over parents."""

    def __init__(
        self,
        known: Known,
        form: str,  # "children" or "parents"
        labelled: bool,
        gaps: bool = False,
        numbers: Floats | Formulas | None = None,
    ) -> None:
        super().__init__(known, labelled, gaps, numbers)
        self.form = form

    def derive(self, key: Key) -> Derived:
        """How the quantity of a key is made of others; without a formula if it was given."""
        return DERIVATIONS[key[0]](self, *key[1:])

    @cached_property
    def leading(self) -> set[int]:
        """The nodes on which the objective depends."""
        return set(self.layout.between(range(len(self.layout.names)), self.goal.reads))

    # ------------------------------------------------------------------ forward

    def _derive_a(self, s: int, row: int) -> Derived:
        terms: list[Expression] = []
        if (use := self.layout.bias_into(row)) is not None:
            terms.append(self.b(use))
        for use in self.layout.uses_into(row):
            terms.append(Product((self.w(use), self.quantity(("o", s, int(self.layout.column[use]))))))
        return total(terms), "" if terms else "nothing flows in"

    def _derive_o(self, s: int, column: int) -> Derived:
        v, k = self.layout.at_column(column)
        f = self.node(v).activation
        if f is None:
            return None, ""
        formula = value_formula(f, self._all_a(s, v), k, self._shares("p", s, v))
        if formula is None or contradicts(formula, self.of["o"][s, column]):
            return None, "by the activation's own function"
        return formula, ""

    def _derive_p(self, s: int, v: int, i: int) -> Derived:
        return value_formula(SOFTMAX, self._all_a(s, v), i, self._shares("p", s, v)), ""

    def _derive_q(self, s: int, head: int, k: int) -> Derived:
        z = [self.quantity(("o", s, c)) for c in self.head_columns(head)]
        return value_formula(SOFTMAX, z, k, self._shares("q", s, head)), ""

    def _all_a(self, s: int, v: int) -> list[Quantity]:
        return [self.quantity(("a", s, self.layout.row_of(v, i))) for i in range(self.node(v).n)]

    def _shares(self, letter: str, s: int, place: int) -> Callable[[int], Quantity]:
        """The softmax of a[v] ("p"), or of the logits of a head ("q"), where a formula asks for it."""
        return lambda i: self.quantity((letter, s, place, i))

    def _derive_slope(self, s: int, v: int, k: int, i: int) -> Derived:
        f = self.node(v).activation
        assert f is not None
        o = [self.quantity(("o", s, self.layout.column_of(v, j))) for j in range(self.node(v).m)]
        formula, words = slope_formula(f, self._all_a(s, v), o, self._shares("p", s, v), k, i)
        if formula is None or contradicts(formula, self.quantity(("slope", s, v, k, i)).value):
            return None, "by the activation's own derivative"
        return formula, words

    # ------------------------------------------------------------------ the objective

    def _targets(self, s: int, head: int) -> list[Quantity]:
        columns = self.head_columns(head)
        values = as_floats(self.goal.targets[head])[s].tolist()
        return [Quantity(self.o_symbol("t", s, c), t) for c, t in zip(columns, values, strict=True)]

    def _counted(self, s: int, head: int, e: Expression) -> Expression:
        """What a sample adds to the objective, from its loss in a head: a share of it if there are several."""
        if self.goal.head_weight is not None and (own := float(self.goal.head_weight[head])) != 1:
            e = product(Constant(own), e)
        weight = self.goal.sample_weight
        if weight is None:
            return e if self.samples == 1 else Product((Quotient(ONE, Constant(float(self.samples))), e))
        part = Quantity(Symbol("share", sample=self.marked(s)), float(weight[s] / math.fsum(weight.tolist())))
        return Product((part, e))

    def _derive_goal(self) -> Derived:
        columns = self.goal.columns.tolist()
        if not self.goal.losses:
            if self.is_output and not self.labelled:
                return self._derive_o(0, columns[0])
            rows = [(s, j, c) for s in range(self.samples) for j, c in enumerate(columns)]
            return total(
                [product(Constant(self.number(self.seed[s, j])), self.quantity(("o", s, c))) for s, j, c in rows]
            ), ""
        heads, terms = range(len(self.goal.losses)), list[Expression]()
        for s in range(self.samples):
            for head in heads:
                z = [self.quantity(("o", s, c)) for c in self.head_columns(head)]
                formula = loss_formula(self.goal.losses[head].loss, z, self._targets(s, head))
                counted, known = formula and self._counted(s, head, formula), self.terms[s * len(heads) + head]
                if counted is None or contradicts(counted, known):
                    counted = Quantity(self.o_symbol("loss", s, self.head_columns(head)[0]), self.number(known))
                terms.append(counted)
        return total(terms), ""

    def _derive_direct(self, s: int, column: int) -> Derived:
        if self.is_output:
            return ONE, ""
        if not self.goal.losses:
            return None, "the seed"
        j = self.read[column]
        assert self.goal.starts is not None
        head = int(np.searchsorted(self.goal.starts, j, side="right")) - 1
        columns = self.head_columns(head)
        z = [self.quantity(("o", s, c)) for c in columns]
        p = self._shares("q", s, head)
        formula = loss_slope(self.goal.losses[head].loss, z, self._targets(s, head), p, columns.index(column))
        counted = formula and self._counted(s, head, formula)
        if counted is None or contradicts(counted, self.seed[s, j]):
            return None, "by the loss's own gradient"
        return counted, ""

    # ------------------------------------------------------------------ backward, over children

    def _derive_delta(self, s: int, row: int) -> Derived:
        v, i = self.layout.at_row(row)
        node = self.node(v)
        if self.form == "parents":
            return self._over_parents(s, ("a", row))
        outputs = [i] if node.kind_of_function == "elementwise" else range(node.m)
        terms: list[Expression] = []
        for k in outputs:
            column = self.layout.column_of(v, k)
            arriving = self._arriving(s, column)
            if arriving:
                alone = node.kind_of_function == "vector" and (len(arriving) > 1 or column in self.read)
                obar = self.quantity(("obar", s, column)) if alone and arriving != [ONE] else total(arriving)
                terms.append(product(obar, self._local(s, v, k, i)))
        return total(terms), "" if terms else self._no_path()

    def is_passed_on(self, column: int) -> bool:
        """Whether the objective depends on this output by way of other nodes."""
        rows = self.layout.row[self.layout.uses_of_column(column)]
        return not self.leading.isdisjoint(self.layout.node_of_row[rows].tolist())

    def _arriving(self, s: int, column: int) -> list[Expression]:
        """The terms of obar: what the objective reads directly, and what comes from the children."""
        terms: list[Expression] = []
        for use in self.layout.uses_of_column(column):
            row = int(self.layout.row[use])
            if self.layout.at_row(row)[0] in self.leading:
                terms.append(product(self.quantity(("delta", s, row)), self.w(use)))
        if column in self.read:
            if self.is_output:
                return [ONE, *terms]
            return [self.quantity(("direct" if terms else "obar", s, column)), *terms]
        return terms

    def _derive_obar(self, s: int, column: int) -> Derived:
        if self.form == "parents":
            return self._over_parents(s, ("o", column))
        terms = self._arriving(s, column)
        if len(terms) == 1 and column in self.read:
            return self._derive_direct(s, column)
        return total(terms), "" if terms else self._no_path()

    def _local(self, s: int, v: int, k: int, i: int) -> Expression:
        """L[v][k, i]; the constant 1 for an identity."""
        f = self.node(v).activation
        if f is not None and is_identity(f):
            return ONE
        return self.quantity(("slope", s, v, k, i))

    def _no_path(self) -> str:
        return "no path leads from here to what is differentiated"

    # ------------------------------------------------------------------ backward, over parents

    def _carried(self, s: int, source: Key, column: int) -> Expression:
        """D(t)[v] as it stands in a formula: where t is v itself, its local derivative."""
        t, k = self.layout.at_column(column)
        if t != self.source(source)[0]:
            return self.quantity(("total", s, source, column))
        return ONE if source[0] == "o" else self._local(s, t, k, self.source(source)[1])

    def _derive_total(self, s: int, source: Key, column: int) -> Derived:
        t, k = self.layout.at_column(column)
        node, D = self.node(t), self.reach(s, source)
        if t == self.source(source)[0]:
            return self._carried(s, source, column), ""
        terms: list[Expression] = []
        for i in [k] if node.kind_of_function == "elementwise" else range(node.n):
            inner: list[Expression] = []
            for use in self.layout.uses_into(self.layout.row_of(t, i)):
                c = int(self.layout.column[use])
                if c in D:
                    inner.append(product(self.w(use), self._carried(s, source, c)))
            if inner:
                terms.append(product(self._local(s, t, k, i), total(inner)))
        return total(terms), ""

    def _over_parents(self, s: int, source: Key) -> Derived:
        D = self.reach(s, source)
        columns = [c for c in self.read if c in D]
        if not columns:
            return Constant(0.0), self._no_path()
        if self.is_output:
            return self._derive_total(s, source, columns[0])
        if source[0] == "o" and columns == [source[1]]:
            return self._derive_direct(s, source[1])
        return total([product(self.quantity(("direct", s, c)), self._carried(s, source, c)) for c in columns]), ""

    # ------------------------------------------------------------------ parameters

    def _every(self, s: int | None) -> range:
        return range(self.samples) if s is None else range(s, s + 1)

    def _derive_weight(self, s: int | None, use: int) -> Derived:
        row, column = int(self.layout.row[use]), int(self.layout.column[use])
        pairs = [(self.quantity(("delta", k, row)), self.quantity(("o", k, column))) for k in self._every(s)]
        return total([Product(pair) for pair in pairs]), ""

    def _derive_bias(self, s: int | None, use: int) -> Derived:
        row = int(self.layout.bias_row[use])
        return total([self.quantity(("delta", k, row)) for k in self._every(s)]), ""

    def _derive_parameter(self, s: int | None, name: Any, index: tuple[int, ...]) -> Derived:
        keys = self.uses(s, self.layout.parameters[name][index])
        if not keys:
            return Constant(0.0), "it is not used"
        if s is None and self.samples > 1:
            return total([self.quantity(key) for key in keys]), "one term for each use"
        formulas = [self.derive(key)[0] for key in keys]
        return total([e for e in formulas if e is not None]), "one term for each use" if len(keys) > 1 else ""


DERIVATIONS: dict[Kind, Callable[..., Derived]] = {
    "a": Book._derive_a,
    "o": Book._derive_o,
    "p": Book._derive_p,
    "q": Book._derive_q,
    "slope": Book._derive_slope,
    "delta": Book._derive_delta,
    "obar": Book._derive_obar,
    "direct": Book._derive_direct,
    "weight": Book._derive_weight,
    "bias": Book._derive_bias,
    "parameter": Book._derive_parameter,
    "goal": Book._derive_goal,
    "total": Book._derive_total,
}
