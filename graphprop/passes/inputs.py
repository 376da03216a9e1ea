"""What a user gives to run a network with, inputs and theta, read once and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, NumberError, UnknownNameError
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.given.arrays import object_array, real_array
from graphprop.given.frames import along_samples, by_name, hint
from graphprop.graph.layout import Array, Layout

Vector = list[Any]
Inputs: TypeAlias = "Mapping[Any, Any] | ArrayLike"  # by name, or the columns of all inputs; a data frame is a mapping


def read_theta(layout: Layout, own: Array, theta: Any, kind: Floats | Formulas) -> Array:
    """A copy of the numbers to run with: those of the network, or those given in their place."""
    if theta is None:
        values = own.astype(kind.dtype)
    else:
        values = real_array(theta, "theta") if kind.dtype is float else object_array(theta, "theta")
    if values.shape != (layout.size,):
        raise GraphpropError(f"theta has shape {values.shape}, the network has {layout.size} parameters")
    if kind.dtype is float:
        bad = layout.improper(values)
        if bad is not None:
            raise NumberError(f"theta[{bad}], {layout.label_position(bad)}, is {values[bad]}; it has to be finite")
        return values
    if any(x == -np.inf for x in values):
        raise NumberError("a bias of -inf is a mask, which only floats have")
    return np.array([kind.number(x) for x in values], dtype=object)


def read_inputs(layout: Layout, inputs: Any, kind: Floats | Formulas) -> tuple[Array, bool]:
    """What the user gave, as a row of columns per sample, and whether it was a batch."""
    named, width = by_name(inputs), len(layout.input_columns)
    if named is not None:
        nodes = layout.input_nodes
        for name in named:
            if name not in nodes:
                known = ", ".join(repr(x) for x in list(nodes)[:8]) or "none"
                raise UnknownNameError(f"unknown input {name!r}; the inputs are {known}{hint(inputs)}")
        missing = [name for name in nodes if name not in named]
        if missing:
            raise GraphpropError(
                f"input {missing[0]!r} is missing" + (f", and {len(missing) - 1} more" if missing[1:] else "")
            )
        columns = {x: _input_array(named[x], kind, f"input {x!r}", node.vector, node.m) for x, node in nodes.items()}
        batched = {x: column.ndim > nodes[x].vector for x, column in columns.items()}
        counts = {x: len(c) if batched[x] else None for x, c in columns.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{x!r} {'one number' if c is None else c}" for x, c in list(counts.items())[:8])
            raise GraphpropError(f"the inputs have different numbers of samples: {told}")
        is_batch = any(batched.values())
        if is_batch and 0 in counts.values():
            raise GraphpropError("the batch is empty; at least one sample is needed")
        rows = np.hstack([c.reshape((len(c) if is_batch else 1), -1) for c in columns.values()]) if columns else None
    else:

        def label(column: int) -> str:
            return layout.label_column(int(layout.input_columns[column]))

        array = _input_array(inputs, kind, "the array of inputs", 1, width, label)
        is_batch, rows = array.ndim == 2, array.reshape(-1, width)
    if rows is None:
        rows = np.empty((1, 0))
    if not len(rows):
        raise GraphpropError("the batch is empty; at least one sample is needed")
    return rows, is_batch


def _input_array(
    given: Any,
    kind: Floats | Formulas,
    where: str,
    axes: int,
    width: int,
    label: Callable[[int], str] | None = None,
) -> Array:
    """Numbers with `axes` axes for one sample, one more for a batch; the last of several has `width` columns."""
    given = given if axes else along_samples(given)
    array = real_array(given, where) if kind.dtype is float else object_array(given, where)
    if array.ndim not in (axes, axes + 1) or (axes and array.shape[-1] != width):
        single = f"({width},)" if axes else "()"
        batch = f"(batch, {width})" if axes else "(batch,)"
        raise GraphpropError(f"{where} has shape {array.shape}; it should have {single}, or {batch}")
    if kind.dtype is float and not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        at = f" at {place[0] if len(place) == 1 else place}" if place else ""
        at += f", {label(place[-1])}" if label is not None else ""
        raise NumberError(f"{where} is {array[place]}{at}; inputs have to be finite")
    return array
