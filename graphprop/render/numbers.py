"""The numbers of one sample that a picture shows, flat and by the layout; nothing is computed but softmax's p.

None stands for what was not given, nan for what was not asked for, a short text for a formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, check_choice
from graphprop.explanations.known import Known, check_sample, read_known
from graphprop.graph.layout import Array
from graphprop.notation.foreign import Formula, floats, readable
from graphprop.render.drawn.lettering import digits, name_text


@dataclass(frozen=True, eq=False)
class Numbers(Known):
    """What is known of a network, and what of it is shown: one sample, and by what edges are drawn."""

    sample: int
    by_weights: bool  # rather than by their gradients
    _evaluated: dict[Any, Any] = field(default_factory=dict, repr=False)  # parts of formulas

    def _read(self, array: Any) -> Array:
        return readable(np.asarray(array), self._evaluated)

    def _all(self, kind: str) -> Array | None:
        return self._read(self.given[kind]) if kind in self.given else None

    def _of_sample(self, kind: str) -> Array | None:
        return self._read(self.given[kind][self.sample]) if kind in self.given else None

    @cached_property
    def a(self) -> Array | None:
        return self._of_sample("a")

    @cached_property
    def o(self) -> Array | None:
        return self._of_sample("o")

    @cached_property
    def da(self) -> Array | None:
        return self._of_sample("delta")

    @cached_property
    def do(self) -> Array | None:
        return self._of_sample("obar")

    @cached_property
    def parameters(self) -> Array:
        """All of theta."""
        return self._read(self.theta)

    @cached_property
    def weights(self) -> Array:
        """Of each weight use."""
        result: Array = self.parameters[self.layout.position]
        return result

    @cached_property
    def slopes(self) -> Array | None:
        """The derivative by each weight use."""
        return self._all("weight")

    @cached_property
    def bias_slopes(self) -> Array | None:
        """The derivative by each bias use."""
        return self._all("bias")

    @cached_property
    def parameter_slopes(self) -> Array | None:
        """The derivative by each entry of theta."""
        return self._all("theta")

    @cached_property
    def value(self) -> Any:
        """What is differentiated."""
        value = self._all("value")
        return None if value is None else value[()]

    @cached_property
    def targets(self) -> list[Any]:
        """What the loss compares with."""
        return [t for rows in self.objective.targets for t in self._read(rows[self.sample]).tolist()]

    @cached_property
    def has_formulas(self) -> bool:
        """Whether some of the values or derivatives are no numbers."""
        known = (self.parameters, self.a, self.o, self.da, self.do, self.slopes)
        return any(isinstance(x, Formula) for array in known if array is not None for x in array.ravel().tolist())

    @cached_property
    def strokes(self) -> Array | None:
        """By what edges are drawn: their weights or their gradients; None if these are not given."""
        chosen = self.weights if self.by_weights else self.slopes
        return None if chosen is None else floats(chosen)

    @cached_property
    def sizes(self) -> Array:
        """Of each edge the Euclidean norm of what it is drawn by, or of its weights."""
        entries = floats(self.weights) if self.strokes is None else self.strokes
        starts = self.layout.edge_start
        if len(starts) == 1:
            return np.zeros(0)
        counts = np.diff(starts)
        largest = np.maximum.reduceat(np.abs(entries), starts[:-1])  # squares of what it divides cannot overflow
        scale = np.where(largest > 0, largest, 1.0)
        result: Array = scale * np.sqrt(np.add.reduceat((entries / np.repeat(scale, counts)) ** 2, starts[:-1]))
        return result

    @cached_property
    def goal(self) -> str:
        """What the derivatives are of, in the pictures' notation."""
        if self.gradients is None:
            return ""
        if self.has_loss or self.objective.title == "seed * o":
            return "J"
        (v,) = self.objective.reads
        name, node = name_text(self.layout.names[v], 16), self.layout.nodes[v]
        _, k = self.layout.at_column(int(self.objective.columns[0]))
        return f"o[{name}][{k}]" if node.m > 1 else f"o[{name}]"

    @property
    def losses(self) -> str:
        """The names of the losses, in the pictures' notation."""
        return " + ".join(dict.fromkeys(own.loss.name.replace("_", "-") for own in self.objective.losses))

    def subtitle(self) -> str:
        """One line on the objective and the sample."""
        parts = []
        if self.gradients is not None:
            value = digits(self.value)
            if self.has_loss:
                parts.append(f"loss J = {value} ({self.losses})")
            elif self.goal == "J":
                parts.append(f"derivatives of J = seed · o = {value}")
            else:
                parts.append(f"derivatives of {self.goal} = {value}")
        elif self.trace is not None:
            parts.append("values of the forward pass")
        if self.samples > 1:
            more = "; derivatives by weights and biases are over all" if self.gradients is not None else ""
            parts.append(f"sample [{self.sample}] of {self.samples}{more}")
        return " · ".join(parts)


def read_numbers(net: Any, trace: Any, gradients: Any, show: str, sample: int | None) -> Numbers:
    """What `draw` was given, checked."""
    known = read_known(net, trace, gradients)
    if not known.layout.names:
        raise GraphpropError("the network has no nodes to draw")
    check_choice(show, ("gradients", "weights"), "show")
    check_sample(sample, known)
    first = 0 if sample is None else sample
    return Numbers(known.layout, known.theta, trace, gradients, first, show == "weights")
