"""What a run refuses: numbers that are not finite, told with the node and the component where they arose.

Every number that a call reports is finite. The exception are masks, biases of -inf, and the log-probabilities of the
components that they mask.

What a user's functions raise is told likewise, but for what is none of their numbers: an interrupt, an exit, a lack of
memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.graph.layout import Array, Layout

Vector = list[Any]


def outputs_of_node(layout: Layout, v: int, f: Activation, numbers: Floats | Formulas, a: Vector) -> Vector:
    """o[v] = f(a[v])"""
    try:
        return numbers.outputs(f, a)
    except MemoryError:
        raise
    except Exception as error:  # a user's function may raise anything
        raise value_error(layout, v, f, a, error) from error


def pull_of_node(
    layout: Layout, v: int, f: Activation, numbers: Floats | Formulas, a: Vector, o: Vector, g: Vector
) -> Vector:
    """g L[v]"""
    try:
        return numbers.pull(f, a, o, g)
    except GraphpropError as error:
        raise type(error)(f"node {layout.names[v]!r}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # a user's function may raise anything
        raise derivative_error(layout, v, f, error) from error


def value_error(layout: Layout, v: int, f: Activation, a: Vector, error: Exception) -> NumberError:
    shown = ", ".join(str(x) for x in a[:4])
    return NumberError(f"node {layout.names[v]!r}: {f.name}({shown}): {error}")


def derivative_error(layout: Layout, v: int, f: Activation, error: Exception) -> NumberError:
    return NumberError(f"node {layout.names[v]!r}: the derivative of {f.name} raised {error!r}")


def check_a(layout: Layout, v: int, a: Vector, bias: list[Vector]) -> None:
    """Refuse pre-activations that are not finite, but for a bias of -inf, and those the activation refuses."""
    name, f = layout.names[v], layout.nodes[v].activation
    for i, (x, b) in enumerate(zip(a, bias, strict=True)):
        if not math.isfinite(x) and not (x == -math.inf and b == [-math.inf]):
            component = f"[{i}]" if len(a) > 1 else ""
            raise NumberError(f"node {name!r}: a[{name}]{component} is {x}; the sum of its terms is not finite")
    if f is not None and (reason := f.refusal(a)):
        raise NumberError(f"node {name!r}: {reason}")


def check_o(layout: Layout, v: int, a: Vector, o: Vector) -> None:
    """Refuse outputs that are not finite, but for the -inf of a masked component."""
    name, f = layout.names[v], layout.nodes[v].activation
    assert f is not None
    if len(o) != layout.nodes[v].m:
        raise GraphpropError(f"node {name!r}: {f.name} gave {len(o)} outputs in place of {layout.nodes[v].m}")
    if (k := f.lost(a, o)) >= 0:
        component = f", component {k}," if len(o) > 1 else ""
        raise NumberError(f"node {name!r}: the output{component} is {o[k]}; it has to be finite")


def check_gradients(layout: Layout, sources: list[int], a_grad: Array, o_grad: Array, weights: Array) -> None:
    """Refuse derivatives that are not finite, naming the first; nan stands only for what was not asked for."""
    asked = np.zeros(len(layout.names), dtype=bool)
    asked[sources] = True
    wrong = np.isinf(a_grad) | (np.isnan(a_grad) & np.repeat(asked, np.diff(layout.a_start)))
    if wrong.any():
        row = int(np.argwhere(wrong)[0][1])
        what, number = layout.label_row(row), a_grad[wrong][0]
    elif np.isinf(o_grad).any():
        what, number = layout.label_column(int(np.argwhere(np.isinf(o_grad))[0][1])), o_grad[np.isinf(o_grad)][0]
    elif np.isinf(weights).any():
        what, number = layout.label_use(int(np.argmax(np.isinf(weights)))), weights[np.isinf(weights)][0]
    else:
        return
    raise NumberError(f"the derivative with respect to {what} is {number}; it has to be finite")
