"""Many small graphs, each swept by itself and in the way in which its own program would be, some with one call.

What a call costs is more than what a small graph does in it. The nodes of a graph stand together here, in the order in
which its program has them, and its samples are cut as there: so it gets the same bits as by itself, whoever else is
there. A graph that its program runs otherwise, in products of matrices or on several threads, is not swept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from graphprop.engine import comparing
from graphprop.engine.borrowed import Borrowed
from graphprop.engine.comparing import HeadCodes, head_codes
from graphprop.engine.fast_sparse import Loops
from graphprop.engine.loops import sparse
from graphprop.engine.loops.members import sum_by_piece
from graphprop.engine.loops.table import Batch, Before
from graphprop.engine.lowering import PIECE, alike_rows, assemble, number_nodes, what_runs
from graphprop.engine.machine_form import natives_of, renewed
from graphprop.engine.member_tables import DOUBLE, MemberTables, tables_of_members
from graphprop.engine.schedule import Schedule
from graphprop.engine.thread_count import get_threads
from graphprop.engine.threads import run_all
from graphprop.engine.tiles import tile_lanes, tile_width
from graphprop.functions.loss import Loss
from graphprop.graph.layout import Array, Layout
from graphprop.graph.side_by_side import SideBySide
from graphprop.passes.objective import HeadLoss

TOGETHER = 32  # graphs that one call sweeps


@dataclass(frozen=True, eq=False, kw_only=True)
class Members:
    """Graphs side by side, as the loops read them.

    Attributes
    ----------
    schedule : Schedule
        Of all of them.
    tables : MemberTables
        Their parameters are numbered from those of the first of their group on: graphs TOGETHER * i to
        TOGETHER * (i + 1) are a group.
    inputs, numbers, work : array
        Of each graph how many inputs run, how many numbers a sample takes, and how many weights and rows.
    is_swept : array
        Of each graph whether it can be swept here.
    goal_start, goal_column : array
        Head h, of all heads, has the columns goal_column[goal_start[h] : goal_start[h + 1]] of its graph.
    layout_column : array
        The same columns as the layout of all of them has them.
    """

    side: SideBySide
    schedule: Schedule
    tables: MemberTables
    inputs: Array
    numbers: Array
    work: Array
    is_swept: Array
    goal_start: Array
    goal_column: Array
    layout_column: Array

    def is_current(self) -> bool:
        """Whether the functions of own activations read what they read when they were compiled."""
        return bool(renewed(self.schedule).tables)

    def cut(self, chosen: Array, samples: int) -> list[Run]:
        """How those that are chosen are swept with so many samples. Who is in no run has to run by itself."""
        widths = np.where(self.is_swept & chosen, self._widths(samples), 0)
        runs = []
        for first in range(0, len(widths), TOGETHER):
            group = widths[first : first + TOGETHER]
            if group.any():
                most = int(np.bincount(group[group > 0]).argmax())
                runs.append(self._run(first, first + np.flatnonzero(group == most), samples, most))
        return runs

    def _widths(self, samples: int) -> Array:
        """How many samples a tile of each graph has; 0 where its program shares the tiles out among threads."""
        known: dict[tuple[int, int], int] = {}
        found = np.zeros(len(self.numbers), dtype=np.intp)
        for i, key in enumerate(zip(self.numbers.tolist(), self.work.tolist(), strict=True)):
            if key not in known:
                numbers, work = key
                width = tile_width(samples, DOUBLE.itemsize * max(1, numbers), samples * work)
                known[key] = width if tile_lanes(-(-samples // width), samples * work, 0) == 1 else 0
            found[i] = known[key]
        return found

    def _run(self, first: int, members: Array, samples: int, width: int) -> Run:
        positions, heads = self.side.first_position, self.side.first_head
        last = min(first + TOGETHER, len(self.numbers))
        own = np.concatenate([np.arange(*heads[m : m + 2]) for m in members.tolist()])
        entries = np.concatenate([np.arange(*self.goal_start[heads[m : m + 2]]) for m in members.tolist()])
        inputs, before = (np.concatenate(([0], np.cumsum(counts[members]))) for counts in (self.inputs, np.diff(heads)))
        loops = Loops(
            tables=(),
            places=np.ascontiguousarray(self.tables.places[members]),
            pieces=np.stack(Before(inputs=inputs, nodes=inputs, heads=before), axis=1),
            goal_start=np.concatenate(([0], np.cumsum(np.diff(self.goal_start)[own]))),
            goal_column=self.goal_column[entries],
            samples=samples,
            width=width,
            lanes=1,
            stretch=samples,
            numbers=width * max(1, int(self.numbers[members].max())),
            dtype=DOUBLE,
            at_once=True,
            small=False,
        )
        span = slice(int(positions[first]), int(positions[last]))
        return Run(members, span, loops, loops.batch(), self.layout_column[entries])

    def codes(self, run: Run, loss: Loss) -> HeadCodes | None:
        """A loss for all heads of a run; None if it runs in Python."""
        starts = run.loops.goal_start
        heads = (HeadLoss(loss, ()),) * (len(starts) - 1)
        return head_codes(self.schedule, comparing.Comparison(heads, starts, run.columns))


@dataclass(frozen=True, eq=False)
class Run:
    """Graphs of one group that are swept with one call, and where the parameters of the group are in theta."""

    members: Array
    span: slice
    loops: Loops
    batch: Batch
    columns: Array  # of the heads, as the layout of all graphs has them

    def answer(self, theta: Array, rows: Array, memory: Array) -> Array | None:
        """The outputs of all of them side by side; None if any number is not what it may be."""
        loops = self.loops
        result = np.empty((loops.samples, len(loops.goal_column)))
        fine = sparse.answer(
            batch=self.batch.places,
            theta=theta[self.span],
            inputs=rows,
            result=result,
            memory=memory,
            lane=0,
            lanes=1,
            first=0,
            last=loops.samples,
        )
        return result if fine else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """The losses of the graphs of a run."""

    run: Run
    codes: HeadCodes  # here to be held
    learning: Batch
    judging: Batch  # the same for the values alone
    terms: Array
    target: Array
    share: Array

    @classmethod
    def of(cls, run: Run, codes: HeadCodes, target: Array, share: Array) -> Comparison:
        """For the targets of all its graphs side by side and shares of samples; see `Objective.for_kernels`."""
        loops = run.loops.with_joined_heads() if codes.join else run.loops
        judging = loops.batch(replace(codes, task=int(sparse.VALUE)))
        terms = np.empty((loops.samples, len(loops.goal_start) - 1))
        return cls(run, codes, loops.batch(codes), judging, terms, target, share)

    def value(self, theta: Array, rows: Array, values: Array, memory: Array) -> bool:
        """Write the value of each graph; whether all numbers are what they may be."""
        return self._learn(self.judging, theta, rows, np.empty(0), values, memory)

    def descend(self, theta: Array, rows: Array, gradient: Array, values: Array, memory: Array) -> bool:
        """The same with the gradient of the group."""
        return self._learn(self.learning, theta, rows, gradient[self.run.span], values, memory)

    def _learn(self, batch: Batch, theta: Array, rows: Array, gradient: Array, values: Array, memory: Array) -> bool:
        _, fine = sparse.learn(
            batch=batch.places,
            theta=theta[self.run.span],
            inputs=rows,
            target=self.target,
            share=self.share,
            terms=self.terms,
            gradient=gradient,
            memory=memory,
            lane=0,
            lanes=1,
            first=0,
            last=self.run.loops.samples,
        )
        return bool(fine) and self._add(values)

    def _add(self, values: Array) -> bool:
        found = np.empty(len(self.run.members))
        fine = sum_by_piece(self.learning.places, self.terms, found)
        values[self.run.members] = found
        return bool(fine)


def sweep_each(runs: Sequence[Run], sweep: Callable[[int, Array], bool]) -> list[int]:
    """sweep(i, memory) of all runs, side by side; those that were not fine."""
    lanes = min(get_threads(), len(runs))
    failed: list[int] = []

    def steps(lane: int) -> Iterator[bool]:
        own = range(lane, len(runs), lanes)
        with Borrowed(max(runs[i].loops.numbers for i in own), DOUBLE) as memory:
            for i in own:
                if not sweep(i, memory):
                    failed.append(i)
                yield True

    run_all(lanes, steps)
    return sorted(failed)


# ------------------------------------------------------------------ from a layout to tables


def lower_members(side: SideBySide) -> Members:
    """The graphs as the loops read them. Each of them has to be one that can run, and to have outputs."""
    layout, count = side.layout, len(side)
    of_node = np.repeat(np.arange(count), np.diff(side.first_node))
    goals = np.array([v for head in layout.heads for v in head], dtype=np.intp)
    _, level, runs = what_runs(layout, goals)
    is_input = np.diff(layout.a_start) == 0
    inputs = np.flatnonzero(is_input & runs)
    others = layout.order[(runs & ~is_input)[layout.order]]
    others = others[np.lexsort((_appearance(layout, of_node)[others], level[others], of_node[others]))]
    numbered = number_nodes(layout, np.concatenate((inputs, others)))
    schedule = assemble(layout, goals, numbered, [], inputs, level, np.zeros((2, 3), dtype=np.intp))
    group = side.first_position[np.arange(count) // TOGETHER * TOGETHER]
    tables = tables_of_members(schedule, of_node, group, side.input_column)
    numbers, width = tables.rows + 2 * tables.columns, np.diff(layout.o_start)
    columns = layout.columns_of(goals)
    is_swept = (numbers <= PIECE) | (np.diff(side.first_head) == 1)  # else its program may be in pieces
    in_python = [i for i, own in natives_of(schedule, DOUBLE).items() if not own.compiled]
    dense = layout.node_of_row[schedule.rows[alike_rows(numbered, level) > 0]]
    for nodes in (dense, others[np.isin(schedule.kind[len(inputs) :], in_python)], goals[is_input[goals]]):
        is_swept[of_node[nodes]] = False
    return Members(
        side=side,
        schedule=schedule,
        tables=tables,
        inputs=np.bincount(of_node[inputs], minlength=count),
        numbers=numbers,
        work=tables.uses + tables.rows,
        is_swept=is_swept,
        goal_start=np.concatenate(([0], np.cumsum(width[goals])[np.cumsum(list(map(len, layout.heads))) - 1])),
        goal_column=tables.column_number[schedule.column_numbers[columns]],
        layout_column=columns,
    )


def _appearance(layout: Layout, of_node: Array) -> Array:
    """Of each node where its activation first comes in its graph: in this order a program of its own has them."""
    kind = layout.kinds[1].astype(np.intp)
    key = of_node * (int(kind.max(initial=0)) + 2) + np.where(np.diff(layout.a_start) == 0, 0, kind + 1)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    appearance: Array = first[which]
    return appearance
