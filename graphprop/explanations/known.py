"""What is known of a network, with gaps from the start: theta, and what was given of a forward and a backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.given.arguments import is_whole
from graphprop.graph.graph import checked_graph, numbers_of
from graphprop.graph.layout import Array, Layout
from graphprop.passes.addresses import KINDS, Addresses, of_gradients, of_trace
from graphprop.passes.objective import Objective
from graphprop.passes.results import Gradients, Trace, check_trace
from graphprop.passes.same_pass import check_gradients, check_gradients_of


@dataclass(frozen=True, eq=False)
class Known:
    """A trace and gradients of one forward pass, or what there is of them."""

    layout: Layout
    theta: Array
    trace: Trace | None
    gradients: Gradients | None

    @property
    def samples(self) -> int:
        given = self.trace or self.gradients
        return 1 if given is None else len(given.o_flat)

    @cached_property
    def objective(self) -> Objective:
        """What was differentiated; without gradients it is nothing."""
        if self.gradients is not None:
            return self.gradients.objective
        none = np.zeros(0, np.intp)
        return Objective("nothing", self.layout, self.samples, (), none, seed=np.zeros((self.samples, 0)))

    @property
    def has_loss(self) -> bool:
        return bool(self.objective.losses)

    @cached_property
    def given(self) -> dict[str, Any]:
        """The numbers of a kind that were given; a derivative that was not asked for is nan."""
        values = {} if self.trace is None else of_trace(self.trace)
        return values | ({} if self.gradients is None else of_gradients(self.gradients))

    def filled(self) -> dict[str, Any]:
        """The numbers of every kind, nan where they were not given."""
        shape = Addresses(self.layout, self.samples, self.samples > 1).shape
        return {kind: self.given[kind] if kind in self.given else np.full(shape[kind], np.nan) for kind in KINDS}


def read_known(net: Any, trace: Any, gradients: Any) -> Known:
    """What was given of a network, checked; theta is that of the pass, if one was given."""
    checked_graph(net)
    layout = net.layout
    if trace is not None:
        check_trace(trace, layout)
    if gradients is not None:
        check_gradients(gradients, layout)
        if trace is not None:
            check_gradients_of(trace, gradients)
    made_with = trace if trace is not None or gradients is None else gradients.trace
    theta = numbers_of(net, layout).copy() if made_with is None else made_with.theta
    return Known(layout, theta, trace, gradients)


def check_sample(sample: Any, known: Known) -> None:
    if sample is not None and not is_whole(sample, 0, known.samples - 1):
        raise GraphpropError(f"sample={sample!r} is out of range; there are the samples 0 to {known.samples - 1}")
