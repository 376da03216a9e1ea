"""What came of the training of a population, for each member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SHOWN = 6  # rows of the table
SHOWN_ERRORS = 3
MEANING = {"patience": "no better for a while", "failed": "failed", "interrupted": "interrupted"}


@dataclass(frozen=True, eq=False)
class PopulationFit:
    """What `Population.fit` gives. The parameters are in the networks.

    What is there of each member is a list, or a dict from their keys if the population was given as a mapping.

    Attributes
    ----------
    losses : list or dict
        The loss of each member with the parameters that it has now; nan if it has none.
    history : list or dict
        Of each member an array of its losses, each before a step.
    stopped : list or dict
        Why each member ended: "steps", "patience", "failed" or "interrupted".
    errors : dict
        Of those that failed, where and why.
    optimizer : str
    """

    losses: Any
    history: Any
    stopped: Any
    errors: Mapping[Any, str]
    optimizer: str

    def _columns(self) -> tuple[list[Any], list[float], list[int], list[str]]:
        """The keys of the members, their losses, how many steps they took, and why they ended."""
        columns, keys = [self.losses, self.history, self.stopped], list(range(len(self.losses)))
        if isinstance(self.losses, Mapping):
            columns, keys = [list(column.values()) for column in columns], list(self.losses)
        losses, history, stopped = columns
        return keys, losses, [len(column) for column in history], stopped

    def __repr__(self) -> str:
        keys, _, steps, stopped = self._columns()
        counts = [(sum(why == each for why in stopped), told) for each, told in MEANING.items()]
        others = "".join(f", {count} {told}" for count, told in counts if count)
        most = max(steps)
        networks = f"{len(keys)} network{'' if len(keys) == 1 else 's'}"
        return f"<fit of {networks} by {self.optimizer}: {most} step{'' if most == 1 else 's'}{others}>"

    def __str__(self) -> str:
        """The best members, the median and the worst, and the first of those that failed."""
        keys, losses, steps, stopped = self._columns()
        order = [int(i) for i in np.argsort(losses) if not np.isnan(losses[i])]
        chosen = sorted({round(x) for x in np.linspace(0, len(order) - 1, min(len(order), SHOWN))})
        ranked = [(rank + 1, order[rank]) for rank in chosen]
        rows = [(str(rank), repr(keys[i]), f"{losses[i]:.5g}", str(steps[i]), stopped[i]) for rank, i in ranked]
        table = [("rank", "member", "loss", "steps", "stopped"), *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
        errors = list(self.errors.values())
        left = len(errors) - SHOWN_ERRORS
        more = [f"and {left} more that failed"] if left > 0 else []
        return "\n".join([repr(self)[1:-1], *lines, *errors[:SHOWN_ERRORS], *more])
