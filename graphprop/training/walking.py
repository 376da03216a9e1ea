"""Many steps of an epoch in one call of machine code, where that can be; they are those that `_steps` makes one by one.

It takes an optimiser of our own, samples in memory or in files, several batches of them, each of which one thread goes
through in one go. Whatever is not as it should be is left to be made, or refused, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphprop.engine import on_demand
from graphprop.engine.on_demand import WalkPlan
from graphprop.errors import GraphpropError
from graphprop.given.arrays import Array
from graphprop.training.adjusting import as_rows
from graphprop.training.samples import Samples, bytes_of_one, rows_of
from graphprop.training.task import State, Task, rates

AT_ONCE = 1 << 19  # bytes of samples that are taken out of files and columns at once


def walk(task: Task, state: State) -> Iterator[int]:
    """Go on in the present epoch, and give how many steps it was whenever a moment has passed, as far as that goes."""
    samples, size = task.samples, task.size
    if task.adjustment.walk is None or not isinstance(samples, Samples) or size >= len(samples):
        return
    if (plan := _plan(task, state, samples, size)) is None:
        return
    pairs = zip(samples.parts, plan.gathers, strict=True)
    taken = size * sum(bytes_of_one(given) for given, is_gathered in pairs if not is_gathered)
    together = size * max(1, min(plan.most, AT_ONCE // (taken + 1)))
    for span in samples.spans(together, task.order(state.epoch), state.batch * size):
        rows = samples.numbers(span)
        whole = len(rows) // size * size
        for own in (rows[:whole], rows[whole:]):
            wanted = -(-len(own) // size)
            if len(own) and len(own) < size and (plan := _plan(task, state, samples, len(own))) is None:
                return
            if wanted and (made := _make(task, state, samples, plan, own, wanted)):
                yield made
                wanted -= made
            if wanted:
                return


def _plan(task: Task, state: State, samples: Samples, size: int) -> WalkPlan | None:
    """How batches of some size go."""
    schedule, dtype = task.program.schedule, state.theta.dtype
    return on_demand.walking().plan(schedule, task.entry, *samples.parts, size, dtype)


def _make(task: Task, state: State, samples: Samples, plan: WalkPlan, rows: Array, count: int) -> int:
    """So many steps, with equal parts of the samples in turn; how many were made."""
    adjustment, weight, each = task.adjustment, rows_of(samples.weight, rows), len(rows) // count
    assert adjustment.walk is not None
    try:
        numbers = adjustment.numbers(state.step + 1, rates(task, state, count))
        pairs = zip(samples.parts, plan.gathers, strict=True)
        x, y = (given if is_gathered else rows_of(given, rows) for given, is_gathered in pairs)
        walked = adjustment.walk.steps(
            plan, numbers, state.theta, as_rows(state.memory, state.theta), x, y, rows, weight
        )
    except GraphpropError:
        return 0  # some step will say it, when it is its turn
    if walked is None or not walked[0]:
        return 0
    losses, state.good, state.theta, state.memory = walked
    counts = [float(each)] * count if weight is None else [float(part.sum()) for part in weight.reshape(count, each)]
    for value, counted in zip(losses, counts, strict=False):
        state.total, state.counted = state.total + value * counted, state.counted + counted
    state.step, state.batch = state.step + len(losses), state.batch + len(losses)
    return len(losses)
