"""A network as arrays: in which order its numbers are computed, and from which.

A schedule has its own numbering: pre-activations are rows and outputs columns, in the order of running. It knows
the structure only; the parameters come with every call. What runs it is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from graphprop.atomic.forking import BUILDING
from graphprop.functions.activation import Activation
from graphprop.functions.entry import Entry
from graphprop.graph.layout import Array, Layout
from graphprop.passes.heads import outputs_of

PLANS = 100  # how many are kept: those for a size of batches each
Plan = TypeVar("Plan")


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """A dense matrix of weights: a[rows] += W o[columns].

    W is a view of theta if its positions are regular, else it is gathered.
    """

    rows: slice
    columns: slice
    positions: Array  # (rows, columns)
    uses: Array  # the same by weight use of the layout
    strided: bool
    alone: bool  # whether no other use has these positions

    @cached_property
    def steps(self) -> tuple[int, int, int]:
        """The first position, and how far it is to the next row and to the next column."""
        first = int(self.positions[0, 0])
        return first, int(self.positions[1, 0]) - first, int(self.positions[0, 1]) - first

    def of(self, theta: Array) -> Array:
        """The entries of a flat vector as a matrix: a view if they are regular, which BLAS takes as it is."""
        if not self.strided:
            return theta[self.positions]
        item, (first, down, right) = theta.itemsize, self.steps
        return np.ndarray(self.positions.shape, theta.dtype, theta, first * item, (down * item, right * item))

    def add_product(self, gradient: Array, delta: Array, source: Array, by_use: bool, first: bool) -> None:
        """Add delta times the transpose of source to a gradient aligned with theta, or with the uses of weights.

        With `first`, what the gradient holds there is not yet of use.
        """
        if self.strided and not by_use:
            view = self.of(gradient)
            if not (first and self.alone):
                view += delta @ source.T
            elif delta.shape[1] == 1:  # BLAS is slow in this case
                np.multiply(delta, source.T, out=view)
            else:
                np.matmul(delta, source.T, out=view)
        else:
            gradient[self.uses if by_use else self.positions] += delta @ source.T


@dataclass(frozen=True, eq=False)
class Run:
    """Nodes that run one after the other: what the blocks give their rows first, then the sparse rest."""

    first: int
    last: int
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Schedule:
    """What runs for some goals, in which order, and where each number stands.

    Attributes
    ----------
    layout : Layout
        The network's own numbering.
    goals : array
        The nodes whose outputs it computes; what does not lead to them is left out.
    nodes : array
        The nodes that run, inputs first, parents before children. An input may be there several times, once for each
        piece that reads it.
    row_first, column_first : array
        Node number i of `nodes` has the rows row_first[i] : row_first[i + 1] of a, and the same columns of o.
    rows, columns : array
        The number in the layout of each row and column.
    start, column, position, use : array
        Row r is the sum over e in start[r] : start[r + 1] of theta[position[e]] * o[column[e]], and of blocks;
        `use` is the number of the weight use in the layout.
    child_start, child_row, child_position, child_use : array
        The same weights by column.
    bias_position, bias_use : array
        By row; -1 where there is none.
    preset : array
        The columns whose derivative is more than the sum over `child_row`.
    stop : array
        Of each node where the nodes end that can go side by side with it: those of one level, next to it, with
        the same elementwise activation.
    runs : tuple of Run
    pieces : array (number of pieces + 1, 3)
        How many inputs, nodes and heads come before each piece. Pieces have nothing to do with each other; a schedule
        with dense blocks, or one that is small, is one piece.
    levels : int
        The length of the longest path, in nodes.
    """

    layout: Layout
    goals: Array
    nodes: Array
    row_first: Array
    column_first: Array
    rows: Array
    columns: Array
    start: Array
    column: Array
    position: Array
    use: Array
    child_start: Array
    child_row: Array
    child_position: Array
    child_use: Array
    bias_position: Array
    bias_use: Array
    preset: Array
    stop: Array
    kinds: tuple[Activation, ...]
    kind: Array  # of each node, its number among kinds; 0 for inputs, which do not run
    inputs: int  # how many of the nodes are inputs
    input_columns: Array  # which columns of an array of inputs are read
    runs: tuple[Run, ...]
    pieces: Array
    levels: int
    # what is kept of it by those who run it: its goals' own schedules, its activations
    # and its table for the loops, plans for batches
    towards: dict[tuple[int, ...] | None, Schedule] = field(init=False, default_factory=dict)
    natives: dict[Any, Any] = field(init=False, default_factory=dict)
    tables: dict[Any, Any] = field(init=False, default_factory=dict)
    plans: dict[Any, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for entry in vars(self).values():
            if isinstance(entry, np.ndarray):
                entry.flags.writeable = False

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: entry for name, entry in vars(self).items() if name in self.__dataclass_fields__}
        return kept | {"towards": {}, "natives": {}, "tables": {}, "plans": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    def kept(self, key: tuple[Any, ...], make: Callable[..., Plan], *arguments: Any) -> Plan:
        """make(schedule, *arguments), made once for a key."""
        plans = self.plans
        plan: Plan = plans.get(key, plans)
        if plan is plans:  # not there; None is a plan too
            with BUILDING:
                plan = make(self, *arguments)
                if len(plans) > PLANS:
                    plans.clear()
                plans[key] = plan
        return plan

    @cached_property
    def size(self) -> int:
        """How many numbers it takes for one sample: a, o, and the derivatives by o."""
        return len(self.rows) + 2 * len(self.columns)

    @cached_property
    def weights(self) -> int:
        """How many weights it multiplies with for one sample."""
        return len(self.column) + sum(block.positions.size for block in self.blocks)

    @cached_property
    def shared_positions(self) -> Array | slice:
        """The positions of theta that are not those of one block alone; all are a slice."""
        own = [block.positions.ravel() for block in self.blocks if block.strided and block.alone]
        if not own:
            return slice(None)
        shared = np.ones(self.layout.size, dtype=bool)
        shared[np.concatenate(own)] = False
        return np.flatnonzero(shared)

    @cached_property
    def unused_positions(self) -> Array:
        """The positions of theta that it does not read."""
        unused = np.ones(self.layout.size, dtype=bool)
        unused[self.position] = False
        unused[self.bias_position[self.bias_position >= 0]] = False
        for block in self.blocks:
            unused[block.positions] = False
        return np.flatnonzero(unused)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(block for run in self.runs for block in run.blocks)

    @cached_property
    def is_dense(self) -> bool:
        return bool(self.blocks)

    @cached_property
    def count(self) -> int:
        """How many nodes run."""
        return len(np.unique(self.nodes))

    @cached_property
    def repeats_inputs(self) -> bool:
        """Whether an input is there several times."""
        return self.count < len(self.nodes)

    @cached_property
    def input_width(self) -> int:
        """How many columns are those of inputs; they are the first."""
        return int(self.column_first[self.inputs])

    @cached_property
    def inputs_are_dense(self) -> bool:
        """Whether blocks alone read the inputs."""
        first = self.input_width
        mixed = (block.columns.start < first < block.columns.stop for block in self.blocks)
        goal = bool(np.isin(self.nodes[: self.inputs], self.goals).any())
        return self.is_dense and int(self.child_start[first]) == 0 and not goal and not any(mixed)

    @cached_property
    def reads_all_inputs(self) -> bool:
        return np.array_equal(self.input_columns, np.arange(len(self.layout.input_columns)))

    @cached_property
    def preset_columns(self) -> Array:
        return np.flatnonzero(self.preset)

    @cached_property
    def column_numbers(self) -> Array:
        """Of each column of the layout, its number here, where it has one."""
        numbers = np.full(self.layout.o_start[-1], -1)
        numbers[self.columns] = np.arange(len(self.columns))
        return numbers

    @cached_property
    def goal_columns(self) -> Array:
        """The columns of the heads in order."""
        numbers: Array = self.column_numbers[outputs_of(self.layout)[1]]
        return numbers

    @cached_property
    def maskable_rows(self) -> Array:
        return np.flatnonzero(np.repeat(self._nodes_whose(lambda f: f.masks), np.diff(self.row_first)))

    @cached_property
    def maskable_bias(self) -> Array:
        """The positions of their biases; -1 where there is none."""
        positions: Array = self.bias_position[self.maskable_rows]
        return positions

    @cached_property
    def log_columns(self) -> Array:
        """The outputs that may be -inf, as log-probabilities are where their row is masked."""
        return np.flatnonzero(np.repeat(self._nodes_whose(_may_give_mask), np.diff(self.column_first)))

    @cached_property
    def has_log_column(self) -> Array:
        """Of each of the maskable rows, whether it has such an output."""
        rows: Array = np.repeat(self._nodes_whose(_may_give_mask), np.diff(self.row_first))[self.maskable_rows]
        return rows

    @cached_property
    def mask_columns(self) -> Array:
        """Of each of the maskable rows the number of this output, else -1."""
        columns = np.full(len(self.maskable_rows), -1)
        columns[self.has_log_column] = self.log_columns
        return columns

    @cached_property
    def pulled(self) -> Array:
        """Of each node, whether its derivative is a function of a, o and the derivative by o."""
        pulled = self._nodes_whose(lambda f: f.kind != "elementwise")
        pulled.flags.writeable = False
        return pulled

    def _nodes_whose(self, condition: Callable[[Activation], bool]) -> Array:
        """Of each node, whether its activation meets a condition; no input does."""
        of_kind = np.array([condition(f) for f in self.kinds], dtype=bool)
        result = np.zeros(len(self.nodes), dtype=bool)
        result[self.inputs :] = of_kind[self.kind[self.inputs :]]
        return result

    @cached_property
    def has_own(self) -> bool:
        """Whether an activation is a user's."""
        return not all(isinstance(f, Entry) for f in self.kinds)

    @cached_property
    def edges(self) -> int:
        """How many edges lead into the nodes that run."""
        runs = np.zeros(len(self.layout.names), dtype=bool)
        runs[self.nodes] = True
        return int(runs[self.layout.edge_target].sum())

    def label_input(self, column: int) -> str:
        return self.layout.label_column(int(self.layout.input_columns[column]))


def _may_give_mask(f: Activation) -> bool:
    return f.masks and f.kind == "vector" and f.gives != "probabilities"
