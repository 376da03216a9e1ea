"""Every quantity of a trace and its gradients: its symbol, its number, and the formula that makes it from others.

A quantity goes by a key: what it is, the sample (None: the sum over all), and its place in the layout. Row and
column are places in the flat vectors of pre-activations and outputs. The recursions are those of `recursion.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.explanations.printed_formulas import (
    is_identity,
    loss_formula,
    loss_slope,
    slope_formula,
    value_formula,
)
from graphprop.explanations.symbols import Symbols
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.functions.softmax import SOFTMAX
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.layout import Array
from graphprop.notation.escaping import label
from graphprop.notation.expressions import (
    ONE,
    Constant,
    Derivative,
    Expression,
    Product,
    Quantity,
    Quotient,
    Slope,
    Symbol,
    contradicts,
    fsum,
    product,
    total,
)
from graphprop.notation.foreign import as_floats
from graphprop.passes.objective import Objective
from graphprop.passes.results import Gradients, Trace

Key = tuple[Any, ...]
Derived = tuple[Expression | None, str]  # a formula, and words on it


def without_numbers(trace: Trace) -> Gradients:
    """Gradients of nothing for a trace, in which every number is nan."""
    layout = trace.layout
    goal = Objective("nothing", layout, trace.samples, (), np.zeros(0, np.intp), seed=np.zeros((trace.samples, 0)))
    nothing = np.full(trace.a_flat.shape, math.nan), np.full(trace.o_flat.shape, math.nan)
    uses = np.full(len(layout.position), math.nan), np.full(len(layout.bias_position), math.nan)
    return Gradients(layout, goal, math.nan, *nothing, *uses, trace.batched, 0)


class Book(Symbols):
    """The numbers of one trace and its gradients. `labelled` puts the sample into the symbols.

    With `gaps` a number that was not computed is nan, and does not raise. Numbers are floats, whatever they were
    computed with, unless an arithmetic is given with whose numbers it was.
    """

    def __init__(
        self,
        trace: Trace,
        gradients: Gradients,
        form: str,
        labelled: bool,
        gaps: bool = False,
        numbers: Floats | Formulas | None = None,
    ) -> None:
        super().__init__(trace.layout, labelled)
        self.goal = gradients.objective
        self.form, self.samples, self.gaps = form, trace.samples, gaps
        self.numbers = numbers or Floats()
        read: Callable[[Any], Any] = as_floats if numbers is None else np.asarray
        self.a, self.o, self.theta = map(read, (trace.a_flat, trace.o_flat, trace.theta))
        self.a_grad, self.o_grad = read(gradients.a_flat), read(gradients.o_flat)
        self.weight_grad, self.bias_grad = read(gradients.weight_uses), read(gradients.bias_uses)
        self.theta_grad, self.value = read(gradients.theta), self._number(read(gradients.value)[()])
        self.read = {int(column): j for j, column in enumerate(self.goal.columns)}
        self.terms, self.seed = self._evaluate()
        self.is_output = not self.goal.losses and len(self.read) == 1 and bool((self.seed == 1).all())
        self.output = next(iter(self.read)) if self.is_output else None
        self._slopes: dict[Key, list[float]] = {}
        self._softmax: dict[Key, list[float]] = {}
        self._reached: dict[Key, dict[int, float]] = {}

    @staticmethod
    def _number(x: Any) -> Any:
        """A number of an array by itself."""
        return float(x) if isinstance(x, float | np.floating | int) else x

    @keeps_warnings
    def _evaluate(self) -> tuple[list[float], Array]:
        z = self.o[:, self.goal.columns]
        try:
            with np.errstate(all="ignore"):
                return self.goal.evaluate(z, self.numbers)
        except GraphpropError:
            if not self.gaps:
                raise
            return [math.nan] * (len(z) * max(len(self.goal.losses), 1)), np.full(z.shape, np.nan)

    @cached_property
    def leading(self) -> set[int]:
        """The nodes on which the objective depends."""
        return set(self.layout.between(range(len(self.layout.names)), self.goal.reads))

    # ------------------------------------------------------------------ symbols and numbers

    def quantity(self, key: Key) -> Quantity:
        """The quantity of a key."""
        made: Quantity = getattr(self, f"_{key[0]}")(*key[1:])
        return Quantity(made.symbol, made.value, key)

    def derive(self, key: Key) -> Derived:
        """How the quantity of a key is made of others; without a formula if it was given."""
        derived: Derived = getattr(self, f"_derive_{key[0]}")(*key[1:])
        return derived

    def w(self, use: int) -> Quantity:
        return Quantity(self.weight_symbol(use), self._number(self.theta[self.layout.position[use]]))

    def _a(self, s: int, row: int) -> Quantity:
        return Quantity(self._a_symbol("a", s, row), self._number(self.a[s, row]))

    def _o(self, s: int, column: int) -> Quantity:
        return Quantity(self._o_symbol("o", s, column), self._number(self.o[s, column]))

    def _p(self, s: int, v: int, i: int) -> Quantity:
        if (s, v) not in self._softmax:
            self._softmax[s, v] = self._softmax_of(self.a[s, self.layout.a_slice(v)])
        return Quantity(self._symbol("p", v, i, self.node(v).n, s), self._softmax[s, v][i])

    def _softmax_of(self, a: Array) -> list[Any]:
        return self.numbers.outputs(SOFTMAX, a.tolist())

    def _q(self, s: int, head: int, k: int) -> Quantity:
        """A component of the softmax of a head's logits."""
        columns = self._head_columns(head)
        if (s, "head", head) not in self._softmax:
            self._softmax[s, "head", head] = self._softmax_of(self.o[s, columns])
        return Quantity(self._o_symbol("p", s, columns[k]), self._softmax[s, "head", head][k])

    def _slope(self, s: int, v: int, k: int, i: int) -> Quantity:
        f = self.node(v).activation
        assert f is not None
        a = self._a_symbol("a", s, self.layout.row_of(v, i))
        if f.kind == "elementwise":
            value = self._pulled(s, v, None)[i]
            return Quantity(Slope(label(f.name), a), value)
        value = self._pulled(s, v, k)[i]
        return Quantity(Derivative(self._o_symbol("o", s, self.layout.column_of(v, k)), a), value)

    def _pulled(self, s: int, v: int, k: int | None) -> list[float]:
        """The unit vector of output k times the Jacobian of v; for k = None all ones."""
        if (s, v, k) not in self._slopes:
            f, a = self.node(v).activation, self.a[s, self.layout.a_slice(v)].tolist()
            o = self.o[s, self.layout.o_slice(v)].tolist()
            assert f is not None
            known = not (self.gaps and any(map(math.isnan, a)))
            g = [float(k is None or j == k) for j in range(len(o))]
            self._slopes[s, v, k] = self.numbers.pull(f, a, o, g) if known else [math.nan] * len(a)
        return self._slopes[s, v, k]

    def _delta(self, s: int, row: int) -> Quantity:
        letter = "delta" if self.node(self.layout.at_row(row)[0]).vector else "gamma"
        return self._asked(Quantity(self._a_symbol(letter, s, row), self._number(self.a_grad[s, row])))

    def _obar(self, s: int, column: int) -> Quantity:
        symbol = self.by_goal(self._o_symbol("o", s, column))
        return self._asked(Quantity(symbol, self._number(self.o_grad[s, column])))

    def _direct(self, s: int, column: int) -> Quantity:
        value = self._number(self.seed[s, self.read[column]])
        return Quantity(self._o_symbol("direct", s, column), value)

    def _weight(self, s: int | None, use: int) -> Quantity:
        row, column = self.layout.row[use], self.layout.column[use]
        value = self.weight_grad[use] if s is None else self.a_grad[s, row] * self.o[s, column]
        return self._asked(Quantity(self.by_goal(self.weight_symbol(use)), self._number(value)))

    def _bias(self, s: int | None, use: int) -> Quantity:
        value = self.bias_grad[use] if s is None else self.a_grad[s, self.layout.bias_row[use]]
        return self._asked(Quantity(self.by_goal(self.bias_symbol(use)), self._number(value)))

    def b(self, use: int) -> Quantity:
        return Quantity(self.bias_symbol(use), self._number(self.theta[self.layout.bias_position[use]]))

    def _parameter(self, s: int | None, name: Any, index: tuple[int, ...]) -> Quantity:
        position = self.layout.parameters[name][index]
        symbol = Symbol("theta", (label(name), *index))
        if s is None:
            value = self._number(self.theta_grad[position])
        else:
            uses = [self.quantity(key).value for key in self._uses(s, position)]
            value = fsum(uses)
        return self._asked(Quantity(self.by_goal(symbol), value))

    def _goal(self) -> Quantity:
        return Quantity(self.goal_symbol(), self.value)

    def _total(self, s: int, source: Key, column: int) -> Quantity:
        (t, k), v = self.layout.at_column(column), self._source_node(source)
        name = label(self.layout.names[t])
        of = (name, k) if self.node(t).m > 1 else name
        if source[0] == "o" and not self.node(v).is_input:
            by = Derivative(self._o_symbol("o", s, column), self._o_symbol("o", s, source[1]))
            return Quantity(by, self._reach(s, source)[column])
        i, length = (
            (self.layout.at_row(source[1])[1], self.node(v).n)
            if source[0] == "a"
            else (
                self.layout.at_column(source[1])[1],
                self.node(v).m,
            )
        )
        index = (i,) if length > 1 else ()
        symbol = Symbol("D", (label(self.layout.names[v]), *index), (of,), self._marked(s))
        return Quantity(symbol, self._reach(s, source)[column])

    def _asked(self, made: Quantity) -> Quantity:
        if math.isnan(made.value) and not self.gaps:
            raise GraphpropError(
                "the gradients lack a number that the explanation needs; compute them without of=, for all nodes"
            )
        return made

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
        if formula is None or contradicts(formula, self.o[s, column]):
            return None, "by the activation's own function"
        return formula, ""

    def _derive_p(self, s: int, v: int, i: int) -> Derived:
        return value_formula(SOFTMAX, self._all_a(s, v), i, self._shares("p", s, v)), ""

    def _derive_q(self, s: int, head: int, k: int) -> Derived:
        z = [self.quantity(("o", s, c)) for c in self._head_columns(head)]
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
        if formula is None or contradicts(formula, self._slope(s, v, k, i).value):
            return None, "by the activation's own derivative"
        return formula, words

    # ------------------------------------------------------------------ the objective

    def _head_columns(self, head: int) -> list[int]:
        assert self.goal.starts is not None
        columns: list[int] = self.goal.columns[slice(*self.goal.starts[head : head + 2])].tolist()
        return columns

    def _targets(self, s: int, head: int) -> list[Quantity]:
        columns = self._head_columns(head)
        values = as_floats(self.goal.targets[head])[s].tolist()
        return [Quantity(self._o_symbol("t", s, c), t) for c, t in zip(columns, values, strict=True)]

    def _counted(self, s: int, head: int, e: Expression) -> Expression:
        """What a sample adds to the objective, from its loss in a head: a share of it if there are several."""
        if self.goal.head_weight is not None and (own := float(self.goal.head_weight[head])) != 1:
            e = product(Constant(own), e)
        weight = self.goal.sample_weight
        if weight is None:
            return e if self.samples == 1 else Product((Quotient(ONE, Constant(float(self.samples))), e))
        part = Quantity(Symbol("share", sample=self._marked(s)), float(weight[s] / math.fsum(weight.tolist())))
        return Product((part, e))

    def _derive_goal(self) -> Derived:
        columns = self.goal.columns.tolist()
        if not self.goal.losses:
            if self.is_output and not self.labelled:
                return self._derive_o(0, columns[0])
            rows = [(s, j, c) for s in range(self.samples) for j, c in enumerate(columns)]
            return total(
                [product(Constant(self._number(self.seed[s, j])), self.quantity(("o", s, c))) for s, j, c in rows]
            ), ""
        heads, terms = range(len(self.goal.losses)), list[Expression]()
        for s in range(self.samples):
            for head in heads:
                z = [self.quantity(("o", s, c)) for c in self._head_columns(head)]
                formula = loss_formula(self.goal.losses[head].loss, z, self._targets(s, head))
                counted, known = formula and self._counted(s, head, formula), self.terms[s * len(heads) + head]
                if counted is None or contradicts(counted, known):
                    counted = Quantity(self._o_symbol("loss", s, self._head_columns(head)[0]), self._number(known))
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
        columns = self._head_columns(head)
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

    def _source_node(self, source: Key) -> int:
        return (self.layout.at_row if source[0] == "a" else self.layout.at_column)(source[1])[0]

    def _reach(self, s: int, source: Key) -> dict[int, float]:
        """D(t)[v] of one source, for every output t that depends on it, by the column of t."""
        if (s, source) in self._reached:
            return self._reached[s, source]
        v, numbers = self._source_node(source), self.numbers
        D: dict[int, float] = {}
        for t in self.layout.between([v], self.goal.reads):
            node = self.node(t)
            if t == v and source[0] == "o":
                D[source[1]] = 1.0
                continue
            inner: dict[int, float] = {}
            for i in range(node.n):
                row = self.layout.row_of(t, i)
                if t == v:
                    if row == source[1]:
                        inner[i] = 1.0
                    continue
                pairs = [(use, int(self.layout.column[use])) for use in self.layout.uses_into(row)]
                terms = [self.w(use).value * D[c] for use, c in pairs if c in D]
                if terms:
                    inner[i] = numbers.total(terms)
            for k in range(node.m):
                if node.kind_of_function == "elementwise":
                    terms = [self._pulled(s, t, None)[k] * inner[k]] if k in inner else []
                else:
                    terms = [self._pulled(s, t, k)[i] * x for i, x in inner.items()]
                if terms:
                    D[self.layout.column_of(t, k)] = numbers.total(terms)
        self._reached[s, source] = D
        return D

    def _carried(self, s: int, source: Key, column: int) -> Expression:
        """D(t)[v] as it stands in a formula: where t is v itself, its local derivative."""
        t, k = self.layout.at_column(column)
        if t != self._source_node(source):
            return self.quantity(("total", s, source, column))
        return ONE if source[0] == "o" else self._local(s, t, k, self.layout.at_row(source[1])[1])

    def _derive_total(self, s: int, source: Key, column: int) -> Derived:
        t, k = self.layout.at_column(column)
        node, D = self.node(t), self._reach(s, source)
        if t == self._source_node(source):
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
        D = self._reach(s, source)
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

    def _uses(self, s: int | None, position: int) -> list[Key]:
        weights, biases = self.layout.uses_of_position(position)
        return [*(("weight", s, use) for use in weights), *(("bias", s, use) for use in biases)]

    def _derive_parameter(self, s: int | None, name: Any, index: tuple[int, ...]) -> Derived:
        keys = self._uses(s, self.layout.parameters[name][index])
        if not keys:
            return Constant(0.0), "it is not used"
        if s is None and self.samples > 1:
            return total([self.quantity(key) for key in keys]), "one term for each use"
        formulas = [self.derive(key)[0] for key in keys]
        return total([e for e in formulas if e is not None]), "one term for each use" if len(keys) > 1 else ""
