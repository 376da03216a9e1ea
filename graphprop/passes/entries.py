"""Every number that backpropagation gives for a network, as one flat vector, and what each of them is called.

The value, the pre-activations and outputs, the derivatives by them, by each use of a weight and of a bias, and by the
parameters that are no single use: tied ones, and those that nothing uses. How they are computed is not known here.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from graphprop.graph.layout import Array, Layout
from graphprop.passes.results import Gradients, Trace

KINDS = ("value", "a", "o", "delta", "obar", "weight", "bias", "theta")


class Entries:
    """The numbering of all entries for a layout and a batch."""

    def __init__(self, layout: Layout, samples: int, batched: bool) -> None:
        self.layout, self.samples, self.batched = layout, samples, batched
        uses = np.concatenate((layout.position, layout.bias_position))
        self.count_of_uses = np.bincount(uses, minlength=layout.size)
        self.shared = np.flatnonzero(self.count_of_uses != 1)
        rows, columns = samples * int(layout.a_start[-1]), samples * int(layout.o_start[-1])
        sizes = 1, rows, columns, rows, columns, len(layout.position), len(layout.bias_position), len(self.shared)
        self.start = np.cumsum([0, *sizes])

    @property
    def size(self) -> int:
        return int(self.start[-1])

    def place(self, kind: str) -> slice:
        """Where the entries of a kind stand."""
        k = KINDS.index(kind)
        return slice(int(self.start[k]), int(self.start[k + 1]))

    def pack(self, **given: Any) -> Array:
        """The flat vector of what is given by kind; nan for the rest. theta is the whole vector."""
        flat = np.full(self.size, np.nan)
        if "theta" in given:
            given["theta"] = np.asarray(given["theta"])[self.shared]
        for kind, numbers in given.items():
            flat[self.place(kind)] = np.ravel(numbers)
        return flat

    def of_trace(self, trace: Trace) -> dict[str, Any]:
        return {"a": trace.a_flat, "o": trace.o_flat}

    def of_gradients(self, g: Gradients) -> dict[str, Any]:
        return {
            "value": g.value,
            "delta": g.a_flat,
            "obar": g.o_flat,
            "weight": g.weight_uses,
            "bias": g.bias_uses,
            "theta": g.theta,
        }

    def of_theta(self, theta: Any) -> dict[str, Any]:
        """What a gradient by theta alone tells: each use that is the only one of its position, and theta."""
        layout, once = self.layout, self.count_of_uses == 1
        return {
            "weight": np.where(once[layout.position], theta[layout.position], np.nan),
            "bias": np.where(once[layout.bias_position], theta[layout.bias_position], np.nan),
            "theta": theta,
        }

    @cached_property
    def _is_input(self) -> Array:
        return np.isin(np.arange(int(self.layout.o_start[-1])), self.layout.input_columns)

    def label(self, entry: int) -> str:
        """The name of an entry: `w(1, h1, y)`, `b[h1]`, `gamma[h1]`, `delta[y][0]`, `input[x]`, `obar[h1]`."""
        layout = self.layout
        k = int(np.searchsorted(self.start, entry, side="right")) - 1
        kind, i = KINDS[k], entry - int(self.start[k])
        if kind == "weight":
            return layout.label_use(i)
        if kind == "bias":
            return layout.label_row(int(layout.bias_row[i]), "b")
        if kind == "theta":
            return layout.label_position(int(self.shared[i]))
        if kind == "value":
            return "value"
        width = int(layout.a_start[-1] if kind in ("a", "delta") else layout.o_start[-1])
        sample, i = divmod(i, width)
        of = f" of sample {sample}" if self.batched else ""
        if kind == "delta":
            v = int(np.searchsorted(layout.a_start, i, side="right")) - 1
            return layout.label_row(i, "delta" if layout.nodes[v].vector else "gamma") + of
        if kind == "a":
            return layout.label_row(i) + of
        if kind == "obar":
            return layout.label_column(i, "input" if self._is_input[i] else "obar") + of
        return layout.label_column(i) + of
