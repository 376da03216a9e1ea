"""Where a number comes from: its derivation in the textbook's notation, grown as a tree from the formulas of a book.

How a tree is shown stands in `derivation.py`, which formula makes which number in `book.py`.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np

from graphprop.errors import GraphpropError, check_choice, unknown
from graphprop.explanations.book import Book
from graphprop.explanations.derivation import Explanation, Step
from graphprop.explanations.known import Known
from graphprop.explanations.quantities import Key
from graphprop.functions.arithmetic import Mpmath, arithmetic
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.graph import Graph, checked_graph
from graphprop.graph.layout import Layout
from graphprop.notation.expressions import Expression, Quantity, contradicts, evaluate, quantities
from graphprop.notation.precision import decimal, precisely
from graphprop.passes.results import Gradients, Trace, check_trace
from graphprop.passes.same_pass import check_gradients_of

WHAT = ("a", "o", "delta", "gamma", "obar", "input", "weight", "bias", "parameter", "value")
FORWARD = ("a", "o")
SUMMED = ("weight", "bias", "parameter", "value")  # over the samples of a batch


@keeps_warnings
def explain(
    net: Graph,
    trace: Trace,
    gradients: Gradients | None,
    what: tuple[Any, ...],
    *,
    depth: int | None = 2,
    form: Literal["children", "parents"] = "children",
    sample: int | None = None,
    digits: int = 6,
) -> Explanation:
    """A number as its derivation: the formula, the formula with numbers put in, the result; then its terms likewise.

    Parameters
    ----------
    net, trace, gradients
        The network, its forward pass, and what `Network.backward` gave for it; None will do for a value of the
        forward pass.
    what : tuple
        ``("a", v)`` and ``("o", v)``, the values of a node; ``("gamma", v)`` and ``("delta", v, i)``, the derivative
        with respect to a[v]; ``("obar", v)``, that with respect to o[v], and ``("input", x)``, the same of an input;
        ``("weight", u, v, i)``, ``("bias", v, i)``; ``("parameter", name)``, one term for each use;
        ``("value",)``, the objective. Components come last, as in the array that holds the number.
    depth : int or None
        How many levels are derived; None derives everything. Each number is derived once.
    form : "children" or "parents"
        The recursion that derivatives follow: delta of the children, or D(t)[v] of the parents of t.
    sample : int, optional
        Of a batch, the sample that is looked at. Derivatives with respect to parameters are summed over
        all samples if it is not given; if it is, only what this sample adds is explained.
    digits : int
        Significant digits of the results, up to the 17 of floats or those that mpmath's numbers carry; exact numbers
        of sympy are shown as floats. A formula shows more of its numbers where its result needs them.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("h", "tanh", {"x": 0.5})
    >>> net.add_node("y", "identity", {"h": 2.0})
    >>> trace = net.forward([1.0])
    >>> print(gp.explain(net, trace, net.backward(trace, "y"), ("weight", "x", "h")))
    do[y]/dw(x, h) = gamma[h] * o[x]
                   = 1.5729 * 1
                   = 1.5729
    <BLANKLINE>
      gamma[h] = gamma[y] * w(h, y) * tanh'(a[h])
               = 1 * 2 * 0.786448
               = 1.5729
    """
    check_trace(trace, checked_graph(net).layout)
    if gradients is not None:
        check_gradients_of(trace, gradients)
    check_choice(form, ("children", "parents"), "form")
    _check_count(depth, "depth", optional=True)
    _check_count(digits, "digits")
    kind, s = _read_sample(trace, what, sample)
    if gradients is None and kind not in FORWARD:
        needed = "the objective is what they are of" if kind == "value" else f"{kind!r} is a derivative"
        raise GraphpropError(f"{needed}: gradients of net.backward are needed, not None")
    summed = s is None and trace.samples > 1
    known = Known(trace.layout, trace.theta, trace, gradients)
    digits, numbers = _precision(known, trace.numbers, int(digits))
    with precisely(trace.o_flat.flat[0], digits) if numbers else nullcontext():
        book = Book(known, form, labelled=summed, numbers=numbers)
        key = _read_what(trace.layout, what, kind, 0 if trace.samples == 1 else s)
        root = _grow(book, key, depth, digits)
    return Explanation(root, "; ".join(sample_text(book, s)) if kind in FORWARD else objective_text(book, s, summed))


def _precision(known: Known, library: Any, digits: int) -> tuple[int, Mpmath | None]:
    """How many digits are shown, and with what they are computed: floats have 17, mpmath's numbers what they carry."""
    numbers = arithmetic(library)
    if digits <= 17 or not isinstance(numbers, Mpmath):
        return min(digits, 17), None
    carried = [x for kind in ("a", "o", "delta") if kind in known.given for x in known.given[kind].ravel().tolist()]
    bits = max((x.man.bit_length() for x in carried if hasattr(x, "man")), default=0)
    return max(17, min(digits, 1 + math.ceil(bits * math.log10(2)))), numbers


def _check_count(given: Any, name: str, optional: bool = False) -> None:
    if optional and given is None:
        return
    if not is_whole(given, 1):
        allowed = "a whole number from 1 on, or None for everything" if optional else "a whole number from 1 on"
        raise GraphpropError(f"{name} is {allowed}, not {given!r}")


def _read_sample(trace: Trace, what: Any, sample: int | None) -> tuple[str, int | None]:
    """What is asked for, and the sample; None for the sum over all."""
    if not isinstance(what, tuple) or not what or not isinstance(what[0], str) or what[0] not in WHAT:
        raise GraphpropError(f"what is a tuple that begins with one of {', '.join(map(repr, WHAT))}, not {what!r}")
    kind: str = what[0]
    if sample is not None:
        if not is_whole(sample, 0, trace.samples - 1):
            raise GraphpropError(f"sample={sample!r} is out of range; the trace has 0 to {trace.samples - 1}")
        if kind == "value":
            raise GraphpropError("the value is of all samples; leave sample= out")
        return kind, int(sample)
    if trace.samples != 1 and kind not in SUMMED:
        raise GraphpropError(f"the trace has {trace.samples} samples; say which one with sample=")
    return kind, None


def _read_what(layout: Layout, what: tuple[Any, ...], kind: str, s: int | None) -> Key:
    """The key of what is asked for, or an error that says what is there."""
    if kind == "value":
        _component(what, (), what[1:])
        return ("goal",)
    if kind == "parameter":
        name = _named(what, 1)
        if name not in layout.parameters:
            raise unknown("parameter", name, layout.parameters)
        return kind, s, name, _component(what, layout.parameters[name].shape, what[2:])
    if kind == "weight":
        e = layout.find_edge(_named(what, 1), _named(what, 2))
        i, k = _component(what, layout.edge_shape(e), what[3:])
        at = layout.scatter_edge(e, np.arange(len(layout.row)), absent=-1)[i, k]
        if at < 0:
            raise GraphpropError(f"edge {what[1]!r} -> {what[2]!r} has no entry to={i}, of={k}")
        return kind, s, int(at)
    v = layout.find(_named(what, 1))
    node = layout.nodes[v]
    if kind in ("o", "obar", "input"):
        if kind == "input" and not node.is_input:
            raise GraphpropError(f"{what[1]!r} is no input; its derivative is ('obar', {what[1]!r})")
        (k,) = _component(what, (node.m,), what[2:])
        return "o" if kind == "o" else "obar", s, layout.column_of(v, k)
    if node.is_input:
        raise GraphpropError(f"{what[1]!r} is an input, which has no {kind}; its derivative is ('input', {what[1]!r})")
    if kind in ("delta", "gamma") and node.vector != (kind == "delta"):
        other = "delta" if node.vector else "gamma"
        raise GraphpropError(f"the sensitivity of node {what[1]!r} is called {other}: ({other!r}, {what[1]!r}, ...)")
    (i,) = _component(what, (node.n,), what[2:])
    row = layout.row_of(v, i)
    if kind != "bias":
        return "a" if kind == "a" else "delta", s, row
    use = layout.bias_into(row)
    if use is None:
        raise GraphpropError(f"node {what[1]!r} has no bias" + (f" in component {i}" if node.n > 1 else ""))
    return kind, s, use


def _named(what: tuple[Any, ...], place: int) -> Any:
    if len(what) <= place:
        raise GraphpropError(f"what={what!r} lacks a name; ('weight', u, v) has two, the others one")
    return what[place]


def _component(what: tuple[Any, ...], shape: tuple[int, ...], index: tuple[Any, ...]) -> tuple[int, ...]:
    """A whole index of an array of this shape, whose axes of length one may be left out."""
    wide = [axis for axis, length in enumerate(shape) if length > 1]
    whole = isinstance(index, tuple) and all(isinstance(i, int | np.integer) and not isinstance(i, bool) for i in index)
    if whole and not wide and len(index) < len(shape) and not any(index):
        index = (0,) * len(shape)
    elif whole and len(index) == len(wide) < len(shape):
        index = tuple(index[wide.index(axis)] if axis in wide else 0 for axis in range(len(shape)))
    if not whole or len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
        ranges = " and one ".join(f"from 0 to {shape[axis] - 1}" for axis in wide)
        needs = f"a component {ranges} at its end" if wide else "no component at its end"
        raise GraphpropError(f"what={what!r} needs {needs}")
    return tuple(map(int, index))


def objective_text(book: Book, s: int | None, summed: bool) -> str:
    goal = book.goal
    of = str(goal) if goal.losses else ""
    if not goal.losses and not book.is_output:
        of = "the sum of seed * o"
    elif not goal.losses and summed:
        of = book.layout.label_column(int(goal.columns[0]))
    if summed:
        how = "the mean over" if goal.losses else "summed over"
        return f"J = {of}, {how} {book.samples} samples; {{s}} marks sample s"
    return "; ".join([*([f"J = {of}"] if of else []), *sample_text(book, s)])


def sample_text(book: Book, s: int | None) -> list[str]:
    return [f"sample {s} of 0 to {book.samples - 1}"] if book.samples > 1 else []


def _grow(book: Book, key: Key, depth: int | None, digits: int) -> Step:
    """The tree, level by level: a number is derived where it comes first, and its terms stand behind it in a list."""
    found: list[tuple[Quantity, Expression | None, str, list[int]]] = []
    level = [(book.quantity(key), 0)]
    grown = {key}
    found.append((level[0][0], None, "", []))
    reached = 0
    while level and (depth is None or reached < depth):
        reached += 1
        below: list[tuple[Quantity, int]] = []
        for quantity, place in level:
            assert quantity.key is not None
            formula, note = book.derive(quantity.key)
            if formula is None:
                found[place] = (quantity, None, note, [])
                continue
            check_result(formula, quantity, book)
            children = []
            for term in dict.fromkeys(quantities(formula)):
                children.append(len(found))
                found.append((term, None, "", []))
                if term.key is not None and term.key not in grown:
                    grown.add(term.key)
                    below.append((term, children[-1]))
            found[place] = (quantity, formula, note, children)
        level = below
    steps: dict[int, Step] = {}
    for place in range(len(found) - 1, -1, -1):
        quantity, formula, note, children = found[place]
        steps[place] = Step(quantity, formula, tuple(steps[child] for child in children), note, digits)
    return steps[0]


def check_result(formula: Expression, quantity: Quantity, book: Book) -> None:
    """Refuse gradients that do not follow from the trace; numbers that overflow on the way prove nothing."""
    if contradicts(formula, quantity.value):
        raise GraphpropError(
            f"the gradients are not those of this trace: {Step(quantity, formula).symbol} is "
            f"{decimal(quantity.value, 6)}, but {Step(quantity, formula).formula} gives "
            f"{decimal(evaluate(formula)[0], 6)}"
        )
