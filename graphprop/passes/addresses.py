"""Where every number that backpropagation gives for a network stands, and what it is called: one numbering for all.

A number is of a kind, and has a place there: those of pre-activations and outputs go by sample, then by row or column
of the layout; those of weights and biases by use; those of theta by position. All of them are one flat vector, too, in
which of theta only those positions stand that are no single use: tied ones, and those that nothing uses. How numbers
are computed, and which names a user has for several together, is not known here.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from graphprop.graph.layout import Array, Layout
from graphprop.passes.results import Gradients, Trace

KINDS = ("value", "a", "o", "delta", "obar", "weight", "bias", "theta")


class Addresses:
    """The numbering for a layout and a batch; an entry is a number's place in the flat vector."""

    def __init__(self, layout: Layout, samples: int, batched: bool) -> None:
        self.layout, self.samples, self.batched = layout, samples, batched
        rows, columns = (samples, int(layout.a_start[-1])), (samples, int(layout.o_start[-1]))
        weights, biases = (len(layout.position),), (len(layout.bias_position),)
        shapes = (), rows, columns, rows, columns, weights, biases, (layout.size,)
        self.shape: dict[str, tuple[int, ...]] = dict(zip(KINDS, shapes, strict=True))

    @cached_property
    def shared(self) -> Array:
        """The positions of theta that are no single use."""
        return np.flatnonzero(self.layout.count_of_uses != 1)

    # ------------------------------------------------------------------ all as one vector

    @cached_property
    def _start(self) -> Array:
        sizes = {kind: int(np.prod(shape)) for kind, shape in self.shape.items()} | {"theta": len(self.shared)}
        return np.cumsum([0, *sizes.values()])

    @property
    def size(self) -> int:
        """How many entries there are."""
        return int(self._start[-1])

    def span(self, kind: str) -> slice:
        """Where the entries of a kind stand."""
        k = KINDS.index(kind)
        return slice(int(self._start[k]), int(self._start[k + 1]))

    def pack(self, **given: Any) -> Array:
        """The flat vector of what is given by kind; nan for the rest. theta is the whole vector."""
        flat = np.full(self.size, np.nan)
        if "theta" in given:
            given["theta"] = np.asarray(given["theta"])[self.shared]
        for kind, numbers in given.items():
            flat[self.span(kind)] = np.ravel(numbers)
        return flat

    def of_theta(self, theta: Array) -> dict[str, Any]:
        """What a gradient by theta alone tells: each use that is the only one of its position, and theta."""
        layout, once = self.layout, self.layout.count_of_uses == 1
        return {
            "weight": np.where(once[layout.position], theta[layout.position], np.nan),
            "bias": np.where(once[layout.bias_position], theta[layout.bias_position], np.nan),
            "theta": theta,
        }

    def at(self, entry: int) -> tuple[str, int]:
        """The kind of an entry, and its place there."""
        k = int(np.searchsorted(self._start, entry, side="right")) - 1
        place = entry - int(self._start[k])
        return KINDS[k], int(self.shared[place]) if KINDS[k] == "theta" else place

    def label_entry(self, entry: int) -> str:
        return self.label(*self.at(entry))

    # ------------------------------------------------------------------ one of a kind

    def places(self, kind: str) -> Array:
        """The places of a kind, in the shape that its numbers have."""
        shape = self.shape[kind]
        return np.arange(int(np.prod(shape))).reshape(shape)

    def label(self, kind: str, place: int) -> str:
        """The name of a number: `w(1, h1, y)`, `b[h1]`, `gamma[h1]`, `delta[y][0]`, `input[x]`, `obar[h1]`."""
        layout = self.layout
        if kind == "value":
            return "value"
        if kind == "weight":
            return layout.label_use(place)
        if kind == "bias":
            return layout.label_row(int(layout.bias_row[place]), "b")
        if kind == "theta":
            return layout.label_position(place)
        sample, i = self.in_sample(kind, place)
        of = f" of sample {sample}" if self.batched else ""
        if kind in ("a", "delta"):
            vector = layout.nodes[layout.node_of_row[i]].vector
            return layout.label_row(i, "a" if kind == "a" else "delta" if vector else "gamma") + of
        is_input = layout.nodes[layout.node_of_column[i]].is_input
        return layout.label_column(i, "o" if kind == "o" else "input" if is_input else "obar") + of

    def in_sample(self, kind: str, place: int) -> tuple[int, int]:
        """The sample of a number that goes by sample, and its row or column."""
        return divmod(place, self.shape[kind][1])

    def node(self, kind: str, place: int) -> int | None:
        """The number of the node that a number belongs to; None of the value, and of what several nodes use."""
        layout = self.layout
        if kind == "value":
            return None
        if kind in ("o", "obar"):
            return int(layout.node_of_column[self.in_sample(kind, place)[1]])
        if kind in ("a", "delta"):
            rows = [self.in_sample(kind, place)[1]]
        elif kind == "weight":
            rows = [int(layout.row[place])]
        elif kind == "bias":
            rows = [int(layout.bias_row[place])]
        else:
            weights, biases = layout.uses_of_position(place)
            rows = [*layout.row[weights].tolist(), *layout.bias_row[biases].tolist()]
        return int(layout.node_of_row[rows[0]]) if len(rows) == 1 else None


def of_trace(trace: Trace) -> dict[str, Any]:
    """The numbers of a forward pass by kind."""
    return {"a": trace.a_flat, "o": trace.o_flat}


def of_gradients(g: Gradients) -> dict[str, Any]:
    """The numbers of a gradient by kind."""
    return {
        "value": g.value,
        "delta": g.a_flat,
        "obar": g.o_flat,
        "weight": g.weight_uses,
        "bias": g.bias_uses,
        "theta": g.theta,
    }
