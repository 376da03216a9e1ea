"""The numbers of one sample that a picture shows, flat and by the layout; nothing is computed but softmax's p.

None stands for what was not given, nan for what was not asked for, a short text for a formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, check_choice
from graphprop.given.arguments import is_whole
from graphprop.graph.graph import checked_graph, numbers_of
from graphprop.graph.layout import Array, Layout
from graphprop.notation.foreign import Formula, floats, readable
from graphprop.passes.results import Gradients, Trace, check_trace
from graphprop.passes.same_pass import check_gradients, check_gradients_of
from graphprop.render.drawn.lettering import digits, name_text


@dataclass(frozen=True)
class Numbers:
    """What is known of a network: its parameters; of a sample the values; the derivatives."""

    layout: Layout
    theta: Array
    trace: Trace | None
    gradients: Gradients | None
    sample: int
    by_weights: bool  # whether edges are drawn by their weights rather than by their gradients
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)  # parts of formulas that were evaluated

    def _read(self, array: Any) -> Array:
        return readable(np.asarray(array), self._known)

    @property
    def samples(self) -> int:
        given = self.trace or self.gradients
        return 1 if given is None else len(given.o_flat)

    @cached_property
    def a(self) -> Array | None:
        return None if self.trace is None else self._read(self.trace.a_flat[self.sample])

    @cached_property
    def o(self) -> Array | None:
        return None if self.trace is None else self._read(self.trace.o_flat[self.sample])

    @cached_property
    def da(self) -> Array | None:
        return None if self.gradients is None else self._read(self.gradients.a_flat[self.sample])

    @cached_property
    def do(self) -> Array | None:
        return None if self.gradients is None else self._read(self.gradients.o_flat[self.sample])

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
        return None if self.gradients is None else self._read(self.gradients.weight_uses)

    @cached_property
    def bias_slopes(self) -> Array | None:
        """The derivative by each bias use."""
        return None if self.gradients is None else self._read(self.gradients.bias_uses)

    @cached_property
    def parameter_slopes(self) -> Array | None:
        """The derivative by each entry of theta."""
        return None if self.gradients is None else self._read(self.gradients.theta)

    @cached_property
    def value(self) -> Any:
        """What is differentiated."""
        return None if self.gradients is None else self._read(self.gradients.value)[()]

    @cached_property
    def targets(self) -> list[Any]:
        """What the loss compares with."""
        assert self.gradients is not None
        return [t for rows in self.gradients.objective.targets for t in self._read(rows[self.sample]).tolist()]

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

    @property
    def has_loss(self) -> bool:
        return self.gradients is not None and bool(self.gradients.objective.losses)

    @property
    def kind(self) -> str:
        """The names of the losses, in the pictures' notation."""
        assert self.gradients is not None
        names = dict.fromkeys(own.loss.name.replace("_", "-") for own in self.gradients.objective.losses)
        return " + ".join(names)

    @cached_property
    def goal(self) -> str:
        """What the derivatives are of, in the pictures' notation."""
        if self.gradients is None:
            return ""
        if self.has_loss or self.gradients.objective.title == "seed * o":
            return "J"
        (v,) = self.gradients.objective.reads
        name, node = name_text(self.layout.names[v], 16), self.layout.nodes[v]
        column = int(self.gradients.objective.columns[0] - self.layout.o_start[v])
        return f"o[{name}][{column}]" if node.m > 1 else f"o[{name}]"

    def subtitle(self) -> str:
        """One line on the objective and the sample."""
        parts = []
        if self.gradients is not None:
            objective, value = self.gradients.objective, digits(self.value)
            if objective.losses:
                parts.append(f"loss J = {value} ({self.kind})")
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
    checked_graph(net)
    layout = net.layout
    if not layout.names:
        raise GraphpropError("the network has no nodes to draw")
    if trace is not None:
        check_trace(trace, layout)
    if gradients is not None:
        check_gradients(gradients, layout)
        if trace is not None:
            check_gradients_of(trace, gradients)
    check_choice(show, ("gradients", "weights"), "show")
    known = trace if trace is not None or gradients is None else gradients.trace
    theta = numbers_of(net, layout).copy() if known is None else known.theta
    numbers = Numbers(layout, theta, trace, gradients, 0 if sample is None else sample, show == "weights")
    if sample is not None and not is_whole(sample, 0, numbers.samples - 1):
        raise GraphpropError(f"sample={sample!r} is out of range; there are the samples 0 to {numbers.samples - 1}")
    return numbers
