"""What a run refuses: numbers that are not finite, told with the node, the sample and the component where they arose.

Every number that a call computes is finite, at every door: pre-activations, outputs, the objective in each sample, even
one that counts for nothing, and derivatives. The exception are masks, biases of -inf, and the log-probabilities of the
components that they mask. What a call need not compute it does not look at: a node that leads to nothing that is asked.

What a user's functions raise is told likewise, but for what is none of their numbers: an interrupt, an exit, a lack of
memory or of stack reaches the caller as itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.functions.calling import Told
from graphprop.graph.layout import Array, Layout

Vector = list[Any]


def node_in(layout: Layout, v: int, sample: int | None) -> str:
    """A node, and the sample if there are several, as errors name them."""
    return f"node {layout.names[v]!r}" + ("" if sample is None else f", sample {sample}")


def outputs_of_node(
    layout: Layout, v: int, f: Activation, numbers: Floats | Formulas, a: Vector, sample: int | None = None
) -> Vector:
    """o[v] = f(a[v])"""
    with Told(lambda error: value_error(layout, v, f, a, error, sample)):
        return numbers.outputs(f, a)


def pull_of_node(
    layout: Layout,
    v: int,
    f: Activation,
    numbers: Floats | Formulas,
    a: Vector,
    o: Vector,
    g: Vector,
    sample: int | None = None,
) -> Vector:
    """g L[v]"""
    with Told(lambda error: derivative_error(layout, v, f, error, sample)):
        return numbers.pull(f, a, o, g)


def value_error(layout: Layout, v: int, f: Activation, a: Vector, error: Exception, sample: int | None) -> NumberError:
    shown = ", ".join(str(x) for x in a[:4])
    return NumberError(f"{node_in(layout, v, sample)}: {f.name}({shown}): {error}")


def derivative_error(layout: Layout, v: int, f: Activation, error: Exception, sample: int | None) -> GraphpropError:
    if isinstance(error, GraphpropError):
        return type(error)(f"{node_in(layout, v, sample)}: {error}")
    return NumberError(f"{node_in(layout, v, sample)}: the derivative of {f.name} raised {error!r}")


def check_a(layout: Layout, v: int, a: Vector, bias: list[Vector], sample: int | None = None) -> None:
    """Refuse pre-activations that are not finite, but for a bias of -inf, and those the activation refuses."""
    name, f, where = layout.names[v], layout.nodes[v].activation, node_in(layout, v, sample)
    for i, (x, b) in enumerate(zip(a, bias, strict=True)):
        if not math.isfinite(x) and not (x == -math.inf and b == [-math.inf]):
            component = f"[{i}]" if len(a) > 1 else ""
            raise NumberError(f"{where}: a[{name}]{component} is {x}; the sum of its terms is not finite")
    if f is not None and (reason := f.refusal(a)):
        raise NumberError(f"{where}: {reason}")


def check_o(layout: Layout, v: int, a: Vector, o: Vector, sample: int | None = None) -> None:
    """Refuse outputs that are not finite, but for the -inf of a masked component."""
    f, where = layout.nodes[v].activation, node_in(layout, v, sample)
    assert f is not None
    if len(o) != layout.nodes[v].m:
        raise GraphpropError(f"{where}: {f.name} gave {len(o)} outputs in place of {layout.nodes[v].m}")
    if (k := f.lost(a, o)) >= 0:
        component = f", component {k}," if len(o) > 1 else ""
        raise NumberError(f"{where}: the output{component} of {f.name} is {o[k]}; it has to be finite")


def check_slopes(layout: Layout, v: int, L: list[Vector], sample: int | None) -> None:
    """Refuse a Jacobian that is not finite."""
    for row in L:
        for i, slope in enumerate(row):
            if not math.isfinite(slope):
                raise derivative_lost(layout.label_row(int(layout.a_start[v]) + i), slope, _through(layout, v, sample))


def check_gradients(
    layout: Layout, sources: list[int] | None, a_grad: Array, o_grad: Array, weights: Array, first: int | None = None
) -> None:
    """Refuse derivatives that are not finite, naming the first; nan stands only for what was not asked for.

    `sources` are the nodes that were; None if all were. The rows are samples, from number `first` on if they are some
    of several.
    """
    if first is None and len(a_grad) > 1:
        first = 0
    wrong = ~np.isfinite(a_grad)
    if sources is not None:
        asked = np.zeros(len(layout.names), dtype=bool)
        asked[sources] = True
        wrong &= np.isinf(a_grad) | np.repeat(asked, np.diff(layout.a_start))
    if wrong.any():
        sample, row, through = _origin(layout, wrong, o_grad, first)
        what, number = layout.label_row(row), a_grad[sample, row]
    elif np.isinf(o_grad).any():
        sample, column = (int(x) for x in np.argwhere(np.isinf(o_grad))[0])
        what, number, through = layout.label_column(column), o_grad[sample, column], _in_sample(sample, first)
    elif np.isinf(weights).any():
        what, number = layout.label_use(int(np.argmax(np.isinf(weights)))), weights[np.isinf(weights)][0]
        through = ""
    else:
        return
    raise derivative_lost(what, number, through)


def derivative_lost(what: str, number: float, through: str = "") -> NumberError:
    return NumberError(f"{through}the derivative with respect to {what} is {number}; it has to be finite")


def _origin(layout: Layout, wrong: Array, o_grad: Array, first: int | None) -> tuple[int, int, str]:
    """Where the first of `wrong` derivatives by a arises on the way back: the sample, the row, and through what."""
    for v in reversed(layout.order.tolist()):
        f, rows = layout.nodes[v].activation, layout.a_slice(v)
        own = wrong[:, rows] & np.isfinite(o_grad[:, layout.o_slice(v)]).all(axis=1, keepdims=True)
        if f is not None and own.any():
            sample, i = (int(x) for x in np.argwhere(own)[0])
            return sample, rows.start + i, _through(layout, v, None if first is None else first + sample)
    sample, row = (int(x) for x in np.argwhere(wrong)[0])
    return sample, row, _in_sample(sample, first)


def _through(layout: Layout, v: int, sample: int | None) -> str:
    f = layout.nodes[v].activation
    return f"{node_in(layout, v, sample)}: through {f.name}, " if f is not None else ""


def _in_sample(sample: int, first: int | None) -> str:
    return "" if first is None else f"sample {first + sample}: "
