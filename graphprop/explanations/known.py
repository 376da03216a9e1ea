"""What is known of a network, with gaps from the start: theta, and what was given of a forward and a backward pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.graph.layout import Array, Layout
from graphprop.passes.addresses import KINDS, Addresses, of_gradients, of_trace
from graphprop.passes.objective import Objective
from graphprop.passes.results import Gradients, Trace


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
