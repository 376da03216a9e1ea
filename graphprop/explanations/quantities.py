"""Every quantity of what is known of a network: its symbol, and its number.

A quantity goes by a key: its kind, the sample (None: the sum over all), and its place in the layout. Row and column are
places in the flat vectors of pre-activations and outputs. Of what others it is made is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.explanations.known import Known
from graphprop.explanations.symbols import Symbols
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.functions.softmax import SOFTMAX
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.layout import Array
from graphprop.notation.escaping import label
from graphprop.notation.expressions import Derivative, Quantity, Slope, Symbol
from graphprop.notation.foreign import as_floats
from graphprop.notation.precision import fsum

Kind = Literal[
    "a", "o", "p", "q", "slope", "delta", "obar", "direct", "weight", "bias", "parameter", "goal", "total"
]  # fmt: skip
Key = tuple[Any, ...]  # a kind, and what the function of that kind in `QUANTITIES` takes


class Quantities(Symbols):
    """The numbers of what is known. `labelled` puts the sample into the symbols.

    With `gaps` a number that was not computed is nan, and does not raise. Numbers are floats, whatever they were
    computed with, unless an arithmetic is given with whose numbers it was.
    """

    def __init__(
        self, known: Known, labelled: bool, gaps: bool = False, numbers: Floats | Formulas | None = None
    ) -> None:
        super().__init__(known.layout, labelled)
        self.goal, self.samples, self.gaps = known.objective, known.samples, gaps
        self.numbers = numbers or Floats()
        read: Callable[[Any], Any] = as_floats if numbers is None else np.asarray
        self.parameters = read(known.theta)
        self.of: dict[str, Any] = {kind: read(array) for kind, array in known.filled().items()}
        self.read = {int(column): j for j, column in enumerate(self.goal.columns)}
        self.terms, self.seed = self._evaluate()
        self.is_output = not self.goal.losses and len(self.read) == 1 and bool((self.seed == 1).all())
        self.output = next(iter(self.read)) if self.is_output else None
        self._slopes: dict[Key, list[float]] = {}
        self._softmax: dict[Key, list[float]] = {}
        self._reached: dict[Key, dict[int, float]] = {}

    def quantity(self, key: Key) -> Quantity:
        """The quantity of a key."""
        made = QUANTITIES[key[0]](self, *key[1:])
        return Quantity(made.symbol, made.value, key)

    @staticmethod
    def number(x: Any) -> Any:
        """A number of an array by itself."""
        return float(x) if isinstance(x, float | np.floating | int) else x

    # ------------------------------------------------------------------ forward

    def w(self, use: int) -> Quantity:
        return Quantity(self.weight_symbol(use), self.number(self.parameters[self.layout.position[use]]))

    def b(self, use: int) -> Quantity:
        return Quantity(self.bias_symbol(use), self.number(self.parameters[self.layout.bias_position[use]]))

    def _a(self, s: int, row: int) -> Quantity:
        return Quantity(self.a_symbol("a", s, row), self.number(self.of["a"][s, row]))

    def _o(self, s: int, column: int) -> Quantity:
        return Quantity(self.o_symbol("o", s, column), self.number(self.of["o"][s, column]))

    def _p(self, s: int, v: int, i: int) -> Quantity:
        if (s, v) not in self._softmax:
            self._softmax[s, v] = self._softmax_of(self.of["a"][s, self.layout.a_slice(v)])
        return Quantity(self.symbol("p", v, i, self.node(v).n, s), self._softmax[s, v][i])

    def _q(self, s: int, head: int, k: int) -> Quantity:
        """A component of the softmax of a head's logits."""
        columns = self.head_columns(head)
        if (s, "head", head) not in self._softmax:
            self._softmax[s, "head", head] = self._softmax_of(self.of["o"][s, columns])
        return Quantity(self.o_symbol("p", s, columns[k]), self._softmax[s, "head", head][k])

    def _softmax_of(self, a: Array) -> list[Any]:
        return self.numbers.outputs(SOFTMAX, a.tolist())

    def _slope(self, s: int, v: int, k: int, i: int) -> Quantity:
        f = self.node(v).activation
        assert f is not None
        a = self.a_symbol("a", s, self.layout.row_of(v, i))
        if f.kind == "elementwise":
            value = self.pulled(s, v, None)[i]
            return Quantity(Slope(label(f.name), a), value)
        value = self.pulled(s, v, k)[i]
        return Quantity(Derivative(self.o_symbol("o", s, self.layout.column_of(v, k)), a), value)

    def pulled(self, s: int, v: int, k: int | None) -> list[float]:
        """The unit vector of output k times the Jacobian of v; for k = None all ones."""
        if (s, v, k) not in self._slopes:
            f, a = self.node(v).activation, self.of["a"][s, self.layout.a_slice(v)].tolist()
            o = self.of["o"][s, self.layout.o_slice(v)].tolist()
            assert f is not None
            known = not (self.gaps and any(map(math.isnan, a)))
            g = [float(k is None or j == k) for j in range(len(o))]
            self._slopes[s, v, k] = self.numbers.pull(f, a, o, g) if known else [math.nan] * len(a)
        return self._slopes[s, v, k]

    # ------------------------------------------------------------------ the objective

    @keeps_warnings
    def _evaluate(self) -> tuple[list[float], Array]:
        z = self.of["o"][:, self.goal.columns]
        try:
            with np.errstate(all="ignore"):
                return self.goal.evaluate(z, self.numbers)
        except GraphpropError:
            if not self.gaps:
                raise
            return [math.nan] * (len(z) * max(len(self.goal.losses), 1)), np.full(z.shape, np.nan)

    def head_columns(self, head: int) -> list[int]:
        assert self.goal.starts is not None
        columns: list[int] = self.goal.columns[slice(*self.goal.starts[head : head + 2])].tolist()
        return columns

    def _goal(self) -> Quantity:
        return Quantity(self.goal_symbol(), self.number(self.of["value"][()]))

    def _direct(self, s: int, column: int) -> Quantity:
        value = self.number(self.seed[s, self.read[column]])
        return Quantity(self.o_symbol("direct", s, column), value)

    # ------------------------------------------------------------------ backward

    def _delta(self, s: int, row: int) -> Quantity:
        letter = "delta" if self.node(self.layout.at_row(row)[0]).vector else "gamma"
        return self._asked(Quantity(self.a_symbol(letter, s, row), self.number(self.of["delta"][s, row])))

    def _obar(self, s: int, column: int) -> Quantity:
        symbol = self.by_goal(self.o_symbol("o", s, column))
        return self._asked(Quantity(symbol, self.number(self.of["obar"][s, column])))

    def _weight(self, s: int | None, use: int) -> Quantity:
        row, column = self.layout.row[use], self.layout.column[use]
        value = self.of["weight"][use] if s is None else self.of["delta"][s, row] * self.of["o"][s, column]
        return self._asked(Quantity(self.by_goal(self.weight_symbol(use)), self.number(value)))

    def _bias(self, s: int | None, use: int) -> Quantity:
        value = self.of["bias"][use] if s is None else self.of["delta"][s, self.layout.bias_row[use]]
        return self._asked(Quantity(self.by_goal(self.bias_symbol(use)), self.number(value)))

    def _parameter(self, s: int | None, name: Any, index: tuple[int, ...]) -> Quantity:
        position = self.layout.parameters[name][index]
        symbol = Symbol("theta", (label(name), *index))
        if s is None:
            value = self.number(self.of["theta"][position])
        else:
            uses = [self.quantity(key).value for key in self.uses(s, position)]
            value = fsum(uses)
        return self._asked(Quantity(self.by_goal(symbol), value))

    def uses(self, s: int | None, position: int) -> list[Key]:
        weights, biases = self.layout.uses_of_position(position)
        return [*(("weight", s, use) for use in weights), *(("bias", s, use) for use in biases)]

    def _asked(self, made: Quantity) -> Quantity:
        if math.isnan(made.value) and not self.gaps:
            raise GraphpropError(
                "the gradients lack a number that the explanation needs; compute them without of=, for all nodes"
            )
        return made

    # ------------------------------------------------------------------ backward, over parents

    def _total(self, s: int, source: Key, column: int) -> Quantity:
        """One number of D(t)[v], which is of a path from `source`, the key of an a or o without its sample."""
        (t, k), (v, i) = self.layout.at_column(column), self.source(source)
        value, of_inputs = self.reach(s, source)[column], self.node(v).is_input
        if source[0] == "o" and not of_inputs:
            by = Derivative(self.o_symbol("o", s, column), self.o_symbol("o", s, source[1]))
            return Quantity(by, value)
        index = (i,) if (self.node(v).n if source[0] == "a" else self.node(v).m) > 1 else ()
        of: Any = label(self.layout.names[t])
        of = (of, k) if self.node(t).m > 1 else of
        return Quantity(Symbol("D", (label(self.layout.names[v]), *index), (of,), self.marked(s)), value)

    def source(self, source: Key) -> tuple[int, int]:
        """The node and the component of a source."""
        return (self.layout.at_row if source[0] == "a" else self.layout.at_column)(source[1])

    def reach(self, s: int, source: Key) -> dict[int, float]:
        """D(t)[v] of one source, for every output t that depends on it, by the column of t."""
        if (s, source) in self._reached:
            return self._reached[s, source]
        v, numbers = self.source(source)[0], self.numbers
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
                    terms = [self.pulled(s, t, None)[k] * inner[k]] if k in inner else []
                else:
                    terms = [self.pulled(s, t, k)[i] * x for i, x in inner.items()]
                if terms:
                    D[self.layout.column_of(t, k)] = numbers.total(terms)
        self._reached[s, source] = D
        return D


QUANTITIES: dict[Kind, Callable[..., Quantity]] = {
    "a": Quantities._a,
    "o": Quantities._o,
    "p": Quantities._p,
    "q": Quantities._q,
    "slope": Quantities._slope,
    "delta": Quantities._delta,
    "obar": Quantities._obar,
    "direct": Quantities._direct,
    "weight": Quantities._weight,
    "bias": Quantities._bias,
    "parameter": Quantities._parameter,
    "goal": Quantities._goal,
    "total": Quantities._total,
}
