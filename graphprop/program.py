"""A network compiled to arrays: in which order its numbers are computed, and from which.

A program has its own numbering: pre-activations are rows and outputs columns, in the order of running. It knows
the structure only; the parameters come with every call. What runs it is `engine.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from graphprop.atomic.forking import BUILDING, load
from graphprop.engine.loops.table import Table
from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats
from graphprop.functions.catalogue import Entry
from graphprop.functions.losses import Loss
from graphprop.given.arrays import all_finite, real_array, with_warnings_kept
from graphprop.graph.layout import Array, Layout
from graphprop.passes.finiteness import check_gradients
from graphprop.passes.inputs import read_inputs
from graphprop.passes.objective import outputs_of, read_loss, read_objective, read_seeds
from graphprop.passes.results import Gradients, Trace, check_trace

if TYPE_CHECKING:
    from graphprop.engine.loops.compiled_functions import Native
    from graphprop.network import Network

PLANS = 100  # how many are kept: those for a size of batches each
Plan = TypeVar("Plan")


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False, repr=False)
class Program:
    """A network compiled to arrays; made by `gp.compile` or `Program.from_edges`. It holds no parameters.

    Attributes
    ----------
    layout : Layout
        The network's own numbering.
    goals : array
        The nodes whose outputs it computes; what does not lead to them is left out.
    nodes : array
        The nodes that run, inputs first, parents before children.
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
        How many inputs, nodes and heads come before each piece. Pieces have nothing to do with each other; a program
        with dense blocks, or one that is small, is one piece.
    levels : int
        The length of the longest path, in nodes.

    Examples
    --------
    >>> import graphprop as gp
    >>> program = gp.compile(gp.mlp([2, 3, 1], "tanh", "identity", seed=0))
    >>> program
    <Program: 6 nodes, 9 edges, 3 levels, 0 dense blocks, 128 bytes per sample>
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
    _towards: dict[tuple[int, ...], Program] = field(default_factory=dict)
    _tables: dict[Any, Table] = field(default_factory=dict)
    _natives: dict[Any, dict[int, Native]] = field(default_factory=dict)
    plans: dict[Any, Any] = field(default_factory=dict)  # how batches are run, kept by the engine

    def __post_init__(self) -> None:
        for entry in vars(self).values():
            if isinstance(entry, np.ndarray):
                entry.flags.writeable = False

    @classmethod
    def from_edges(
        cls,
        n_inputs: int,
        source: Any,
        target: Any,
        activation: Any = "sigmoid",
        bias: bool = False,
        outputs: Any = None,
    ) -> Program:
        """A program from arrays, for graphs too large to be declared node by node.

        Parameters
        ----------
        n_inputs : int
            The nodes 0 to n_inputs - 1 are the inputs.
        source, target : arrays of integers
            The edges, in any order. The nodes are numbered from 0 to the largest number that is there.
        activation : name, Activation, or one per node that is no input
            Scalar functions only.
        bias : bool
            Whether every node that is no input has a bias.
        outputs : array of integers, optional
            The nodes whose outputs are computed, one head together; the sinks if it is not given.

        Notes
        -----
        theta holds the weights in the order of the edges, then the biases by node.

        Examples
        --------
        >>> import graphprop as gp
        >>> program = gp.Program.from_edges(2, [0, 1, 2], [2, 2, 3], "tanh")
        >>> program
        <Program: 4 nodes, 3 edges, 3 levels, 0 dense blocks, 80 bytes per sample>
        >>> program.predict([0.5, 0.5, 1.0], [[1.0, -1.0]])
        array([[0.]])
        """
        layout = load("graphprop.engine.edge_arrays").lay_out_edges(n_inputs, source, target, activation, bias, outputs)
        program: Program = load("graphprop.engine.lowering").compile_layout(layout)
        return program

    # ------------------------------------------------------------------ running

    def predict(self, theta: Any, inputs: Any) -> Array:
        """The outputs: a row for each sample, with the columns of the heads in order.

        >>> import graphprop as gp
        >>> net = gp.mlp([2, 3, 1], "tanh", "identity", seed=0)
        >>> gp.compile(net).predict(net.theta, [[0.0, 1.0], [1.0, 1.0]]).shape
        (2, 1)
        """
        numbers = self._read_theta(theta)
        rows, batched = self._read_inputs(inputs, numbers.dtype)
        outputs: Array = self._run("predict", numbers, rows)
        return outputs if batched else outputs[0]

    def value_and_grad(
        self, theta: Any, inputs: Any, target: Any, *, loss: str | Loss, sample_weight: Any = None
    ) -> tuple[float, Array]:
        """A loss of the outputs, its mean over the samples, and its gradient by theta.

        Parameters
        ----------
        theta : array
            In float32 everything is computed so; else in float64.
        inputs : array (samples, inputs), or mapping from names
        target : array, or mapping from names
            As for `Network.backward`.
        loss : str or Loss
        sample_weight : array, optional
            What each sample counts for.

        Examples
        --------
        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "identity", {"x": 2.0})
        >>> gp.compile(net).value_and_grad(net.theta, [[1.0], [3.0]], [[1.0], [6.0]], loss="half_squared")
        (0.25, array([0.5]))
        """
        if self.has_own:
            self._renew()
        if sample_weight is None and (found := self._engine.descend(self, theta, inputs, target, loss)) is not None:
            quickly: tuple[float, Array] = found
            return quickly
        numbers = self._read_theta(theta)
        rows, batched = self._read_inputs(inputs, numbers.dtype)
        objective = read_loss(self.layout, len(rows), batched, loss, target, sample_weight)
        value, gradient, _ = self.towards(objective.reads)._run("differentiate", numbers, rows, objective)
        return value, gradient

    def vjp(self, theta: Any, inputs: Any, seeds: Any) -> tuple[Array, Array]:
        """The gradients by theta and by the inputs of the sum of seeds times outputs.

        With it any function of the outputs can be differentiated: `predict`, then the derivatives of the function
        by the outputs as `seeds`, an array shaped like the outputs or a mapping from node names.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "square", {"x": 2.0})
        >>> gp.compile(net).vjp(net.theta, [[1.0], [3.0]], [[1.0], [1.0]])
        (array([40.]), array([[ 8.],
               [24.]]))
        """
        numbers = self._read_theta(theta)
        rows, batched = self._read_inputs(inputs, numbers.dtype)
        objective = read_seeds(self.layout, len(rows), batched, seeds)
        program = self.towards(objective.reads)
        _, gradient, by_inputs = program._run("differentiate", numbers, rows, objective, True)
        return gradient, by_inputs if batched else by_inputs[0]

    def forward(self, theta: Any, inputs: Any) -> Trace:
        """Every value of a forward pass, as `Network.forward`."""
        layout = self.layout
        numbers = self._read_theta(theta).astype(float)
        rows, batched = self._read_inputs(inputs, numbers.dtype)
        whole = self.towards(range(len(layout.names)))
        a_flat, o_flat = whole._run("trace", numbers, rows)
        for array in (numbers, a_flat, o_flat):
            array.flags.writeable = False
        return Trace(layout, numbers, a_flat, o_flat, batched)

    def backward(
        self,
        trace: Trace,
        node: Any = None,
        *,
        component: int | None = None,
        loss: str | Loss | None = None,
        target: Any = None,
        sample_weight: Any = None,
        seed: Mapping[Any, Any] | None = None,
    ) -> Gradients:
        """The derivatives of an objective with respect to everything, as `Network.backward`."""
        check_trace(trace, self.layout)
        if trace.numbers is not None:
            told = "net.backward and gp.recursion go on in the numbers of the trace"
            raise GraphpropError(f"a program computes with floats; {told}")
        layout = trace.layout
        objective = read_objective(
            layout,
            trace.samples,
            trace.batched,
            node,
            component=component,
            loss=loss,
            target=target,
            sample_weight=sample_weight,
            seed=seed,
        )
        program = self.towards(objective.reads)
        program._renew()
        value, *results = self._engine.backtrace(program, trace.theta, trace.a_flat, trace.o_flat, objective)
        a_grad, o_grad, weights, biases = results
        check_gradients(layout, list(range(len(layout.names))), a_grad, o_grad, weights)
        for array in results:
            array.flags.writeable = False
        arrays = a_grad, o_grad, weights, biases
        return Gradients(
            layout, objective, value, *arrays, batched=trace.batched, calls=len(program.nodes), trace=trace
        )

    def towards(self, goals: Iterable[int]) -> Program:
        """The program of the same network that computes the outputs of these nodes, by number."""
        if isinstance(goals, str) or not isinstance(goals, Iterable) or not getattr(goals, "ndim", 1):
            raise GraphpropError(f"goals are numbers of nodes, not {goals!r}")
        wanted = tuple(goals)
        try:
            program = self._towards.get(wanted)
        except TypeError:  # a list in the list
            raise GraphpropError(f"goals are numbers of nodes, not {goals!r}") from None
        if program is None:
            count = len(self.layout.names)
            for v in wanted:
                if isinstance(v, bool) or not isinstance(v, int | np.integer) or not 0 <= v < count:
                    raise GraphpropError(f"nodes are numbered from 0 to {count - 1}; {v!r} is not one of them")
            numbers = np.unique(np.array(wanted, dtype=np.intp))
            same = np.array_equal(numbers, np.unique(self.goals))
            program = self if same else load("graphprop.engine.lowering").lower(self.layout, numbers)
            if len(self._towards) > 32:
                self._towards.clear()  # another thread may be about to read what is kept
            program = self._towards.setdefault(wanted, program)
        return program

    def _run(self, what: str, theta: Array, *arguments: Any) -> Any:
        """A function of the engine, with this program and theta."""
        if self.has_own:
            self._renew()
        try:
            return getattr(self._engine, what)(self, theta, *arguments)
        except NumberError:
            self._check(theta)
            raise

    @cached_property
    def _engine(self) -> Any:
        """What runs it, with numba; imported when it is needed."""
        return load("graphprop.engine.general")

    # ------------------------------------------------------------------ what is given

    def _read_theta(self, given: Any) -> Array:
        """theta as an array of float64 or float32 of the one kind that the loops are compiled for."""
        theta = given if type(given) is np.ndarray else real_array(given, "theta")
        if theta.dtype != np.float64 and theta.dtype != np.float32:
            theta = real_array(theta, "theta")
        if theta.shape != (self.layout.size,):
            raise GraphpropError(f"theta has shape {theta.shape}; the program has {self.layout.size} parameters")
        if not (theta.flags.carray and theta.dtype.isnative):
            theta = np.array(theta, dtype=theta.dtype.newbyteorder("="))
        if len(self.unused_positions) and not all_finite(theta[self.unused_positions]):
            self._check(theta)
        return theta

    def _read_inputs(self, given: Any, dtype: Any) -> tuple[Array, bool]:
        """One row for each sample, and whether it was a batch."""
        if type(given) is np.ndarray and given.ndim == 2 and given.dtype in (np.float64, dtype):
            fits = given.shape[1] == len(self.layout.input_columns) and len(given) > 0
            if fits and all_finite(given):
                return self._cast(given, dtype), True
        rows, batched = read_inputs(self.layout, given, Floats())
        return self._cast(rows, dtype), batched

    def _cast(self, rows: Array, dtype: Any) -> Array:
        if rows.dtype == dtype and rows.flags.carray:
            return rows

        def cast() -> Array:
            with np.errstate(all="ignore"):
                return rows.astype(dtype, order="C")

        result = with_warnings_kept(cast)
        if not all_finite(result):
            raise NumberError(f"the array of inputs has a number that is out of the range of {dtype}")
        return result

    def _check(self, theta: Array) -> None:
        """Refuse a theta that is not finite. What is used need not be checked before: it makes every run fail."""
        if (bad := self.layout.improper(theta)) is not None:
            label = self.layout.label_position(bad)
            raise NumberError(f"theta[{bad}], {label}, is {theta[bad]}; it has to be finite")

    # ------------------------------------------------------------------ the numbering

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
        """The positions of theta that the program does not read."""
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
    def log_columns(self) -> Array:
        """The outputs that may be -inf, as log-probabilities are where their row is masked."""
        return np.flatnonzero(np.repeat(self._nodes_whose(_may_give_mask), np.diff(self.column_first)))

    @cached_property
    def has_log_column(self) -> Array:
        """Of each of the maskable rows, whether it has such an output."""
        rows: Array = np.repeat(self._nodes_whose(_may_give_mask), np.diff(self.row_first))[self.maskable_rows]
        return rows

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

    def natives(self, dtype: Any) -> dict[int, Native]:
        """The activations that it uses, by the number of their kind, as the kernels call them."""
        try:
            return self._natives[dtype]
        except (KeyError, TypeError):  # not there yet, or spelled otherwise
            dtype = _read_dtype(dtype)
        with BUILDING:
            if dtype not in self._natives:
                from graphprop.engine.loops.compiled_functions import native

                used = np.unique(self.kind[self.inputs :]).tolist()
                self._natives[dtype] = {i: native(self.kinds[i], dtype) for i in used}
            return self._natives[dtype]

    @cached_property
    def has_own(self) -> bool:
        """Whether an activation is a user's."""
        return not all(isinstance(f, Entry) for f in self.kinds)

    def _renew(self) -> None:
        """Forget what was made of a user's functions that read other numbers by now, or other functions."""
        made = [native.reads for natives in list(self._natives.values()) for native in natives.values()]
        if not all(reads is None or reads.are_current() for reads in made):
            with BUILDING:
                for kept in (self._natives, self._tables, self.plans):
                    kept.clear()

    def functions(self, natives: dict[int, Native]) -> Array:
        """The addresses of the records of the nodes' activations."""
        addresses = np.zeros(len(self.kinds), dtype=np.uint64)
        for i, native in natives.items():
            addresses[i] = native.address
        functions = np.zeros(len(self.nodes), dtype=np.uint64)
        functions[self.inputs :] = addresses[self.kind[self.inputs :]]
        return functions

    def table(self, dtype: Any, by_use: bool = False) -> Table:
        """The arrays that the kernels read; `by_use` has derivatives by each use of a parameter in place of its sum."""
        try:
            return self._tables[dtype, by_use]
        except (KeyError, TypeError):
            dtype = _read_dtype(dtype)
        with BUILDING:
            kept = self._tables.get((dtype, by_use))
            if kept is None:
                by_position = self.child_position, self.position, self.bias_position
                uses = (self.child_use, self.use, self.bias_use) if by_use else by_position
                natives = self.natives(dtype)
                kept = self._tables[dtype, by_use] = Table(
                    self.functions(natives),
                    *(self.row_first, self.column_first, self.start, self.column, self.position, self.bias_position),
                    *(self.pulled, self.preset, self.child_start, self.child_row, self.child_position),
                    *(*uses, self.input_columns, self.stop),
                    held=natives,
                )
            return kept

    def kept(self, key: tuple[Any, ...], make: Callable[..., Plan], *arguments: Any) -> Plan:
        """make(program, *arguments), made once for a key."""
        plans = self.plans
        plan: Plan = plans.get(key, plans)
        if plan is plans:  # not there; None is a plan too
            with BUILDING:
                if len(plans) > PLANS:
                    plans.clear()
                plan = plans[key] = make(self, *arguments)
        return plan

    def calls_python(self, dtype: Any) -> bool:
        """Whether an activation could not be compiled."""
        return not all(native.compiled for native in self.natives(dtype).values())

    def label_input(self, column: int) -> str:
        return self.layout.label_column(int(self.layout.input_columns[column]))

    # ------------------------------------------------------------------ as an object

    def to_network(self) -> Network:
        """The same graph as a network of named nodes, with all parameters 0; its nodes are named by number.

        >>> import graphprop as gp
        >>> net = gp.Program.from_edges(1, [0, 1], [1, 2], "tanh").to_network()
        >>> net.theta[:] = [0.5, 2.0]
        >>> net
        <Network: 1 input, 2 nodes, 2 edges, 2 parameters>
        """
        from graphprop.graph.rewriting import from_layout
        from graphprop.network import Network

        return from_layout(Network, self.layout)

    def __len__(self) -> int:
        """How many nodes run."""
        return len(self.nodes)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: entry for name, entry in vars(self).items() if name in self.__dataclass_fields__}
        return kept | {"_tables": {}, "_towards": {}, "_natives": {}, "plans": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    def __repr__(self) -> str:
        counts = (len(self), "node"), (self._edges, "edge"), (self.levels, "level"), (len(self.blocks), "dense block")
        parts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts]
        return f"<Program: {', '.join(parts)}, {8 * self.size} bytes per sample>"

    @cached_property
    def _edges(self) -> int:
        runs = np.zeros(len(self.layout.names), dtype=bool)
        runs[self.nodes] = True
        return int(runs[self.layout.edge_target].sum())


def _read_dtype(given: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] | None = None
    with suppress(Exception):  # numpy has many words for what is none
        dtype = np.dtype(given)
    if dtype is None or not dtype.isnative or dtype not in (np.float64, np.float32):
        raise GraphpropError(f"a program computes in float64 or float32, not in {given!r}")
    return dtype


def _may_give_mask(f: Activation) -> bool:
    return f.masks and f.kind == "vector" and f.gives != "probabilities"
