"""What a batch is compared with, head by head, as the compiled loops read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from graphprop.engine.loops import sparse
from graphprop.engine.loops.own_losses import LossCode, loss_code
from graphprop.engine.loops.plain_code import Reads
from graphprop.engine.loops.ranges import LARGEST, RANGES
from graphprop.engine.schedule import Schedule
from graphprop.functions.loss import Loss
from graphprop.functions.loss_entry import LossEntry
from graphprop.graph.layout import Array
from graphprop.passes.objective import HeadLoss


class Comparison(NamedTuple):
    """Losses with the heads that they read, and the columns of these, one behind the other."""

    losses: tuple[HeadLoss, ...]
    starts: Array
    columns: Array
    weighted: bool = False  # whether each of them is multiplied with a number that comes with the call
    missing: bool = False  # whether some targets are missing
    learns: bool = True  # else their value is all that is wanted

    @property
    def key(self) -> tuple[Any, ...]:
        return self.losses, self.weighted, self.missing, self.learns

    def with_gaps(self) -> Comparison:
        """The same where some targets are missing."""
        return self._replace(missing=True)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class HeadCodes:
    """The losses of heads as `sparse.compare` reads them."""

    losses: Array
    limits: Array
    weighted: bool
    task: int
    join: bool  # whether heads that follow each other may be compared as one
    held: tuple[LossCode, ...]  # the machine code
    reads: tuple[Reads, ...]  # what a user's functions read that were compiled

    def are_current(self) -> bool:
        return all(reads.are_current() for reads in self.reads)


def head_codes(schedule: Schedule, goal: Comparison) -> HeadCodes | None:
    """None if a loss runs in Python."""
    codes: dict[Loss, LossCode] = {}
    for own in goal.losses:
        if own.loss not in codes:
            if (code := loss_code(own.loss, goal.missing)) is None:
                return None
            codes[own.loss] = code
    own_codes = [codes[own.loss] for own in goal.losses]
    least = np.where(np.isin(schedule.column_numbers[goal.columns], schedule.log_columns), -np.inf, -LARGEST)
    limits = [
        (*RANGES[own.loss.targets], _least(own.loss, least[first:last]))
        for own, first, last in zip(goal.losses, goal.starts[:-1], goal.starts[1:], strict=True)
    ]
    return HeadCodes(
        losses=np.array([(code.address, code.missing) for code in own_codes], np.uint64).ravel(),
        limits=np.array(limits, float).ravel(),
        weighted=goal.weighted,
        task=int(sparse.LEARN if goal.learns else sparse.VALUE),
        join=len(codes) == 1 and not goal.weighted and _adds_up(goal.losses[0].loss),
        held=tuple(codes.values()),
        reads=tuple(code.reads for code in codes.values() if code.reads is not None),
    )


def _least(entry: Loss, of_columns: Array) -> float:
    """The least that a loss may read: -inf if all of it may be masked."""
    return float(of_columns.max()) if entry.reads == "log-probabilities" else -LARGEST


def _adds_up(entry: Loss) -> bool:
    """Whether it is a sum over numbers, whichever of them are a head."""
    summed = isinstance(entry, LossEntry) and entry.term is not None and not entry.term.mean
    return summed and not entry.reads.endswith("probabilities")
