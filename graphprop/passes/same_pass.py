"""Whether a trace and gradients are of one forward pass: of the same structure, parameters and inputs.

All other numbers follow from these, and may differ in their last digits by the way they were computed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.graph.layout import Array, Layout
from graphprop.notation.short import number
from graphprop.passes.results import Gradients, Trace


def check_gradients(gradients: object, layout: Layout) -> None:
    """Refuse what is no gradient, or one of another structure."""
    if not isinstance(gradients, Gradients):
        raise GraphpropError(f"gradients of net.backward are needed, not {type(gradients).__name__}")
    if not gradients.layout.same_structure(layout):
        raise GraphpropError("the gradients are of another structure; run net.backward again")


def check_gradients_of(trace: Trace, gradients: Gradients) -> None:
    """Refuse gradients of another forward pass than the trace."""
    check_gradients(gradients, trace.layout)
    if len(gradients.o_flat) != trace.samples:
        raise GraphpropError(
            f"the trace has {trace.samples} samples and the gradients {len(gradients.o_flat)}; "
            "they do not belong together"
        )
    if gradients.trace is not None and (told := what_differs(trace, gradients.trace, "the trace", "the gradients")):
        raise GraphpropError(
            f"the gradients are of another forward pass than the trace: {told}; run net.backward on this trace"
        )


def what_differs(one: Trace, other: Trace, first: str, second: str) -> str:
    """Which number of theta or of the inputs is not the same in two traces of one structure; empty if all are."""
    layout = one.layout
    columns = layout.input_columns

    def label_input(place: int) -> str:
        sample, column = divmod(place, len(columns))
        return layout.label_column(int(columns[column])) + (f" of sample {sample}" if one.samples > 1 else "")

    def label_theta(place: int) -> str:
        return f"theta[{place}], {layout.label_position(place)},"

    pairs: tuple[tuple[Array, Array, Callable[[int], str]], ...] = (
        (one.theta, other.theta, label_theta),
        (one.o_flat[:, columns].ravel(), other.o_flat[:, columns].ravel(), label_input),
    )
    for mine, theirs, label in pairs:
        unequal = np.flatnonzero(_unequal(mine, theirs))
        if len(unequal):
            i = int(unequal[0])
            return f"{label(i)} is {number(mine[i])!s} in {first} and {number(theirs[i])!s} in {second}"
    return ""


def _unequal(one: Array, other: Array) -> Array:
    """Where numbers are not the same; those of mpmath and floats are compared as floats, symbols as they are."""
    if one.dtype != other.dtype:
        with suppress(TypeError):
            one, other = one.astype(float), other.astype(float)
    return np.asarray(one != other, dtype=bool)
