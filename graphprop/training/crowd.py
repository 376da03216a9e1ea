"""Many networks as one crowd: what is compiled of them, and what is computed of all with few calls.

Whatever is computed of a member has the bits that its own program gives. Members whose numbers overflow are told apart
from the others. What is done with a gradient is not known here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphprop.engine import on_demand
from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.arithmetic import Floats
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arrays import Array, keeps_warnings, with_warnings_kept
from graphprop.given.frames import by_name, is_series
from graphprop.graph.side_by_side import Outputs, SideBySide, lay_out_side_by_side
from graphprop.graph.structure import mark_of
from graphprop.network import Network
from graphprop.passes.goals import read_loss
from graphprop.passes.heads import outputs_of
from graphprop.passes.inputs import read_inputs
from graphprop.passes.objective import Objective

Failed = dict[int, str]  # members whose numbers are none, and why


class Crowd:
    """Networks by the names that errors call them by, compiled; it is of the structure that they had."""

    def __init__(self, nets: Mapping[Any, Network]) -> None:
        self.keys, self.nets = list(nets), list(nets.values())
        self.side: SideBySide = lay_out_side_by_side(nets)
        self._check_runnable()
        self._members = on_demand.members().lower_members(self.side)
        self._inputs = Network()
        for name, node in self.side.inputs.items():
            self._inputs.add_input(name, size=node.m if node.vector else None)
        self._runs: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self.nets)

    def _check_runnable(self) -> None:
        """Refuse a member that cannot run, or has no outputs."""
        layout = self.side.layout
        fed = np.diff(layout.a_start) == 0
        fed[layout.edge_target] = True
        of_node = np.repeat(np.arange(len(self)), np.diff(self.side.first_node))
        bad = {*of_node[~fed].tolist(), *np.flatnonzero(np.diff(self.side.first_head) == 0).tolist()}
        for i in sorted(bad):
            with _named(self.keys[i]):
                self.nets[i].layout.check_runnable()
                outputs_of(self.nets[i].layout)

    def is_current(self) -> bool:
        """Whether the networks have the structure that was compiled, and their activations read what they read then."""
        same = all(mark_of(net) is mark for net, mark in zip(self.nets, self.side.marks, strict=True))
        return same and self._members.is_current()

    def span(self, i: int) -> slice:
        """Where the parameters of a member are in theta."""
        first, last = self.side.first_position[i : i + 2].tolist()
        return slice(first, last)

    def theta(self) -> Array:
        """A copy of the parameters of all members, one behind the other."""
        sizes = np.diff(self.side.first_position).tolist()
        return np.concatenate([np.empty(0), *(net.theta[:size] for net, size in zip(self.nets, sizes, strict=True))])

    def trainable(self) -> Array:
        sizes = np.diff(self.side.first_position).tolist()
        flags = (net.trainable[:size] for net, size in zip(self.nets, sizes, strict=True))
        return np.concatenate([np.empty(0, dtype=bool), *flags])

    def read_inputs(self, X: Any) -> tuple[Array, bool]:
        """A row for each sample with the columns of the inputs of all, and whether it was a batch."""
        rows, batched = read_inputs(self._inputs.layout, X, Floats())
        return np.ascontiguousarray(rows), batched

    def columns(self) -> dict[Any, slice]:
        """Of each input its columns in such rows."""
        nodes = self.side.inputs
        ends = np.cumsum([0, *(node.m for node in nodes.values())]).tolist()
        return {name: slice(*pair) for name, pair in zip(nodes, itertools.pairwise(ends), strict=True)}

    def rows_of(self, i: int, rows: Array) -> Array:
        """The inputs of one member."""
        columns = self.side.input_columns_of(i)
        if np.array_equal(columns, np.arange(rows.shape[1])):
            return rows
        return np.ascontiguousarray(rows[:, columns])

    # ------------------------------------------------------------------ what is computed of all

    def outputs(self, theta: Array, rows: Array) -> tuple[list[Array], Failed]:
        """Of each member its outputs, a row for each sample; nan of those that failed."""
        found: list[Any] = [None] * len(self)
        runs = self._cut(_finite(self.side, theta), len(rows))
        starts, heads = self._members.goal_start, self.side.first_head

        def sweep(number: int, memory: Array) -> bool:
            run = runs[number]
            together = run.answer(theta, rows, memory)
            if together is None:
                return False
            ends = np.cumsum([starts[heads[m + 1]] - starts[heads[m]] for m in run.members.tolist()])
            for m, outputs in zip(run.members.tolist(), np.split(together, ends[:-1], axis=1), strict=True):
                found[m] = np.ascontiguousarray(outputs)
            return True

        with_warnings_kept(lambda: on_demand.members().sweep_each(runs, sweep))
        failed: Failed = {}
        for i in (i for i, outputs in enumerate(found) if outputs is None):
            try:
                with _named(self.keys[i]):
                    found[i] = self.nets[i].program.predict(theta[self.span(i)], self.rows_of(i, rows))
            except NumberError as error:
                failed[i] = str(error)
                found[i] = np.full((len(rows), int(starts[heads[i + 1]] - starts[heads[i]])), np.nan)
        return found, failed

    @keeps_warnings
    def ask(self, rows: Array, batched: bool, Y: Any, loss: Any, weight: Any = None) -> Question:
        """What the outputs of all members are compared with, read once for those that have the same outputs."""
        entry = None if isinstance(loss, Mapping) else find_loss(loss)
        named = None if batched and is_series(Y) else by_name(Y)
        question = Question(self, rows, batched, Y, loss, weight, entry)
        known: dict[Any, Compared | None] = {}
        keys: dict[int, Any] = {}  # of outputs, equal ones of which are one object
        for i, outputs in enumerate(self.side.outputs):
            if id(outputs) not in keys:
                keys[id(outputs)] = _what_is_read(outputs, named, loss)
            key = i if keys[id(outputs)] is None else keys[id(outputs)]
            if key not in known:
                known[key] = question.compared(i)
            question.same.append(known[key])
        return question

    def _cut(self, chosen: Array, samples: int) -> Any:
        key = samples, chosen.tobytes()
        if key not in self._runs:
            self._runs.clear()
            self._runs[key] = self._members.cut(chosen, samples)
        return self._runs[key]


@dataclass(frozen=True, eq=False)
class Compared:
    """Targets side by side, and what samples count for, for members that have the same outputs."""

    target: Array
    share: Array


@dataclass(eq=False)
class Question:
    """Samples with what all members are compared with: their losses, and the gradients of these."""

    crowd: Crowd
    rows: Array
    batched: bool
    Y: Any
    loss: Any
    weight: Any
    entry: Any
    same: list[Compared | None] = field(default_factory=list)
    _plan: tuple[Any, Any] = (None, ())
    _objectives: dict[int, Objective] = field(default_factory=dict)

    def objective(self, i: int) -> Objective:
        """The objective of a member by itself."""
        if i not in self._objectives:
            with _named(self.crowd.keys[i]):
                layout, samples = self.crowd.nets[i].layout, len(self.rows)
                self._objectives[i] = read_loss(layout, samples, self.batched, self.loss, self.Y, self.weight)
        return self._objectives[i]

    def compared(self, i: int) -> Compared | None:
        """What the loops compare the outputs of a member with; None if that is the matter of its own program."""
        objective = self.objective(i)
        every = outputs_of(self.crowd.nets[i].layout)[1]
        if objective.loss is None or objective.head_weight is not None or objective.has_gaps:
            return None
        if not np.array_equal(objective.columns, every):
            return None
        return Compared(*objective.for_kernels())

    def losses(self, theta: Array, stops: type[GraphpropError] = NumberError) -> tuple[Array, Failed]:
        """The loss of each member; nan of those that failed by an error that `stops` them."""
        values = np.full(len(self.crowd), np.nan)
        every = np.ones(len(self.crowd), dtype=bool)
        comparisons = self._comparisons(theta, every)

        def sweep(number: int, memory: Array) -> bool:
            return bool(comparisons[number].value(theta, self.rows, values, memory))

        def alone(i: int) -> None:
            values[i] = self.crowd.nets[i].program.value(*self._given(i, theta))

        return values, self._each(every, comparisons, sweep, alone, stops)

    def value_and_grad(
        self, theta: Array, going: Array, stops: type[GraphpropError] = NumberError
    ) -> tuple[Array, Array, Failed]:
        """The losses of those that are going, nan of the others, and their gradients, side by side as theta is.

        Of a member that failed by an error that `stops` it the gradient is 0; any other error is raised.
        """
        values, gradient = np.full(len(self.crowd), np.nan), np.zeros(len(theta))
        comparisons = self._comparisons(theta, going)

        def sweep(number: int, memory: Array) -> bool:
            return bool(comparisons[number].descend(theta, self.rows, gradient, values, memory))

        def alone(i: int) -> None:
            values[i], gradient[self.crowd.span(i)] = self.crowd.nets[i].program.value_and_grad(*self._given(i, theta))

        failed = self._each(going, comparisons, sweep, alone, stops)
        for i in failed:
            values[i], gradient[self.crowd.span(i)] = np.nan, 0.0
        return values, gradient, failed

    def _comparisons(self, theta: Array, going: Array) -> Any:
        """The runs over those that the loops can compare, with their targets."""
        readable = np.array([each is not None for each in self.same], dtype=bool)
        chosen = going & readable & _finite(self.crowd.side, theta)
        if self._plan[0] != chosen.tobytes():
            runs = [] if self.entry is None else self.crowd._cut(chosen, len(self.rows))
            joined: dict[Any, Array] = {}  # targets of members that have the same outputs, each once
            self._plan = chosen.tobytes(), self._compared_by_loops(runs, joined)
        return self._plan[1]

    def _compared_by_loops(self, runs: Any, joined: dict[Any, Array]) -> list[Any]:
        """The runs with their targets; none if the loss runs in Python."""
        found = []
        for run in runs:
            if (codes := self.crowd._members.codes(run, self.entry)) is None:
                return []
            compared = [self.same[m] for m in run.members.tolist()]
            key = tuple(map(id, compared))
            if key not in joined:
                joined[key] = np.hstack([each.target for each in compared if each is not None])
            assert compared[0] is not None
            found.append(on_demand.members().Comparison.of(run, codes, joined[key], compared[0].share))
        return found

    def _given(self, i: int, theta: Array) -> tuple[Array, Array, Objective]:
        """What the program of a member is given."""
        rows = self.crowd.rows_of(i, self.rows)
        return theta[self.crowd.span(i)], rows if self.batched else rows[0], self.objective(i)

    def _each(
        self,
        going: Array,
        comparisons: Any,
        sweep: Callable[[int, Array], bool],
        alone: Callable[[int], None],
        stops: type[GraphpropError] = NumberError,
    ) -> Failed:
        """Those that are in a comparison with one call each, and alone who is in none, or in one that is not fine."""
        runs = [comparison.run for comparison in comparisons]
        not_fine = set(with_warnings_kept(lambda: on_demand.members().sweep_each(runs, sweep)))
        left = going.copy()
        for number, run in enumerate(runs):
            if number not in not_fine:
                left[run.members] = False
        failed: Failed = {}
        for i in np.flatnonzero(left).tolist():
            try:
                with _named(self.crowd.keys[i]):
                    alone(i)
            except stops as error:
                failed[i] = str(error)
        return failed


# ------------------------------------------------------------------ inside


@contextmanager
def _named(key: Any) -> Iterator[None]:
    """Errors in here say of which member they are."""
    try:
        yield
    except GraphpropError as error:
        error.args = (f"member {key!r}: {error}", *error.args[1:])
        raise


def _finite(side: SideBySide, theta: Array) -> Array:
    """Of each member whether all its parameters are finite. The others, who may have masks, run by themselves."""
    fine = np.ones(len(side), dtype=bool)
    bad = np.flatnonzero(~np.isfinite(theta))
    fine[np.searchsorted(side.first_position, bad, side="right") - 1] = False
    return fine


def _what_is_read(outputs: Outputs, named: Mapping[Any, Any] | None, loss: Any) -> Any:
    """A key that two members share if targets and losses mean the same for both; None if each is by itself."""
    names = [*(named or ()), *(loss if isinstance(loss, Mapping) else ())]
    if not names:
        return tuple(tuple(output[1:] for output in head) for head in outputs.heads)
    own = {output.name for head in outputs.heads for output in head}
    return outputs if own.issuperset(names) else None
