"""Program: a graph compiled, and its calls.

It reads what a call is given and hands it to the engine, which needs numba and is imported when it is first asked.
How anything is run is not known here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from graphprop.engine import on_demand
from graphprop.engine.arguments import read_dtype, read_moves, read_rows, read_theta, run
from graphprop.engine.schedule import Schedule
from graphprop.errors import GraphpropError
from graphprop.files import saving
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.layout import Array, Layout, Name
from graphprop.graph.rewriting import from_layout
from graphprop.passes.by_name import Named, named
from graphprop.passes.finiteness import check_gradients
from graphprop.passes.goals import read_loss, read_objective, read_seeds
from graphprop.passes.heads import Losses
from graphprop.passes.objective import Objective
from graphprop.passes.results import Gradients, Trace, check_trace

if TYPE_CHECKING:
    from graphprop.network import Network

Pull: TypeAlias = Callable[[Any], tuple[Array, Array]]  # seeds to the gradients by theta and by the inputs


def compile_layout(layout: Layout) -> Program:
    """The program that computes the outputs of all heads."""
    return Program(on_demand.lower_layout()(layout))


# ------------------------------------------------------------------ the program


@dataclass(frozen=True, eq=False, repr=False)
class Program:
    """A network compiled to arrays; made by `gp.compile` or `Program.from_edges`. It holds no parameters.

    Attributes
    ----------
    schedule : Schedule
        What runs for its outputs, in which order: the arrays that the engine reads.

    Examples
    --------
    >>> import graphprop as gp
    >>> program = gp.compile(gp.mlp([2, 3, 1], "tanh", "identity", seed=0))
    >>> program
    <Program: 6 nodes, 9 edges, 3 levels, 0 dense blocks, 128 bytes per sample>
    """

    schedule: Schedule

    @property
    def layout(self) -> Layout:
        """The network's own numbering: which of its numbers stands where."""
        return self.schedule.layout

    @classmethod
    def from_edges(
        cls,
        n_inputs: int,
        source: Any,
        target: Any,
        activation: Any = "sigmoid",
        bias: Any = False,
        outputs: Any = None,
        *,
        component: Any = None,
        position: Any = None,
        names: Any = None,
    ) -> Program:
        """A program from arrays, for graphs too large to be declared node by node.

        Parameters
        ----------
        n_inputs : int
            The nodes 0 to n_inputs - 1 are the inputs.
        source, target : arrays of integers
            The edges, in any order. The nodes are numbered from 0 to the largest number that is there.
        activation : name, Activation, or one per node that is no input
            Elementwise and reducing ones, which give a number each.
        bias : bool, or an array
            Whether every node that is no input has a bias, or of each whether it has one (True and False), or where in
            theta it is (-1 where there is none). A reducing node has one for each of its components, one behind
            the other.
        outputs : array of integers, optional
            The nodes whose outputs are computed, one head together; the sinks if it is not given. With two axes,
            or as a list of arrays, each of them is a head.
        component : array of integers, optional
            Of each edge, which component of its target it leads into, where that is a reducing node; 0 for others.
            Without it each edge is one component, in the order of the edges.
        position : array of integers, optional
            Of each edge, where in theta its weight is; edges that share a position are tied.
        names : array, optional
            A name for each node, a text or an integer, by which results and errors then call it.

        Notes
        -----
        theta holds the weights in the order of the edges, then the biases by node. With `position` the biases stand
        behind the largest that is given, if `bias` does not say where.

        Examples
        --------
        >>> import graphprop as gp
        >>> program = gp.Program.from_edges(2, [0, 1, 2], [2, 2, 3], "tanh")
        >>> program
        <Program: 4 nodes, 3 edges, 3 levels, 0 dense blocks, 80 bytes per sample>
        >>> program.predict([0.5, 0.5, 1.0], [[1.0, -1.0]])
        array([[0.]])

        One weight for both edges, and the larger of two numbers:

        >>> tied = gp.Program.from_edges(2, [0, 1], [2, 2], "max", position=[0, 0], names=["p", "q", "larger"])
        >>> tied.forward([3.0], {"p": 1.0, "q": 2.0}).o["larger"]
        6.0
        """
        lay_out = on_demand.lay_out_edges()
        return compile_layout(lay_out(n_inputs, source, target, activation, bias, outputs, component, position, names))

    @classmethod
    def from_matrices(
        cls,
        matrices: Any,
        activation: Any = "sigmoid",
        bias: Any = False,
        outputs: Any = None,
        *,
        n_inputs: int | None = None,
        names: Any = None,
    ) -> Program:
        """A program from sparse matrices of weights, of each layer or of the whole graph, in the formats of scipy.

        Row v and column u of a matrix is the weight with which v reads u, as in `Network.weight_matrix`. An entry that
        is stored is an edge, also if it is 0. Nodes are numbered from 0, the inputs first, then layer by layer.

        Parameters
        ----------
        matrices : list of matrices, or one matrix
            One for each layer, (its nodes, nodes of the layer before); or one, square, of all nodes, whose rows of
            inputs are empty: the transpose of what networkx calls the adjacency. As csr, csc or coo.
        activation : name, Activation, or one per layer, or one per node that is no input
        bias, outputs, names
            As for `from_edges`; with a list of layers the outputs are those of the last one, if they are not given.
        n_inputs : int
            With one matrix: how many inputs there are.

        Notes
        -----
        theta holds the `data` of the matrices, one behind the other, then the biases by node.

        Examples
        --------
        >>> import graphprop as gp
        >>> import numpy as np
        >>> import scipy.sparse
        >>> layers = [scipy.sparse.csr_array([[2.0, 0.0], [3.0, 1.0]]), scipy.sparse.csr_array([[1.0, -1.0]])]
        >>> program = gp.Program.from_matrices(layers, ["identity", "identity"])
        >>> program
        <Program: 5 nodes, 5 edges, 3 levels, 0 dense blocks, 104 bytes per sample>
        >>> program.predict(np.concatenate([matrix.data for matrix in layers]), [1.0, 10.0])
        array([-11.])
        """
        lay_out = on_demand.lay_out_matrices()
        return compile_layout(lay_out(matrices, activation, bias, outputs, n_inputs, names))

    # ------------------------------------------------------------------ running

    def predict(self, theta: Any, inputs: Any) -> Array:
        """The outputs: a row for each sample, with the columns of the heads in order.

        >>> import graphprop as gp
        >>> net = gp.mlp([2, 3, 1], "tanh", "identity", seed=0)
        >>> gp.compile(net).predict(net.theta, [[0.0, 1.0], [1.0, 1.0]]).shape
        (2, 1)
        """
        found = on_demand.engine().answer(self.schedule, theta, inputs)
        if found is not None:
            return found
        numbers = read_theta(self.schedule, theta)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        outputs = run(self.schedule, on_demand.engine().predict, numbers, rows)
        return outputs if batched else outputs[0]

    def value_and_grad(
        self, theta: Any, inputs: Any, target: Any, *, loss: Losses | None = None, sample_weight: Any = None
    ) -> tuple[float, Array]:
        """A loss of the outputs, its mean over the samples, and its gradient by theta.

        Parameters
        ----------
        theta : array
            In float32 everything is computed so; else in float64.
        inputs : array (samples, inputs), or mapping from names
        target : array, or mapping from names
            As for `Network.backward`. In its place, and alone, stands the `objective` of gradients.
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
        found = on_demand.engine().descend(self.schedule, theta, inputs, target, loss, sample_weight)
        if found is not None:
            return found
        numbers = read_theta(self.schedule, theta)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        objective = read_loss(self.layout, len(rows), batched, loss, target, sample_weight)
        value, gradient, _ = run(self.schedule, on_demand.engine().differentiate, numbers, rows, objective)
        return value, gradient

    def value(
        self, theta: Any, inputs: Any, target: Any, *, loss: Losses | None = None, sample_weight: Any = None
    ) -> float:
        """A loss of the outputs, its mean over the samples, by a forward pass alone.

        The arguments are those of `value_and_grad`.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "identity", {"x": 2.0})
        >>> gp.compile(net).value(net.theta, [[1.0], [3.0]], [[1.0], [6.0]], loss="half_squared")
        0.25
        """
        found = on_demand.engine().descend(self.schedule, theta, inputs, target, loss, sample_weight, False)
        if found is not None:
            return found[0]
        numbers = read_theta(self.schedule, theta)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        objective = read_loss(self.layout, len(rows), batched, loss, target, sample_weight)
        return run(self.schedule, on_demand.engine().value, numbers, rows, objective)

    def losses(self, theta: Any, inputs: Any, target: Any, *, loss: Losses | None = None) -> Any:
        """The loss of each sample by itself, by a forward pass alone: an array, or a number for one sample.

        `value` is their mean. The arguments are those of `value_and_grad`.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "identity", {"x": 2.0})
        >>> gp.compile(net).losses(net.theta, [[1.0], [3.0]], [[1.0], [6.0]], loss="half_squared")
        array([0.5, 0. ])
        """
        found = on_demand.engine().each_loss(self.schedule, theta, inputs, target, loss)
        if found is not None:
            return found if np.ndim(inputs) == 2 else float(found[0])
        numbers = read_theta(self.schedule, theta)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        objective = read_loss(self.layout, len(rows), batched, loss, target, None)
        found = run(self.schedule, on_demand.engine().losses, numbers, rows, objective)
        return found if batched else float(found[0])

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
        found = on_demand.engine().pull(self.schedule, theta, inputs, seeds)
        if found is not None:
            return found
        numbers = read_theta(self.schedule, theta)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        objective = read_seeds(self.layout, len(rows), batched, seeds)
        _, gradient, by_inputs = run(self.schedule, on_demand.engine().differentiate, numbers, rows, objective, True)
        return gradient, by_inputs if batched else by_inputs[0]

    def linearize(self, theta: Any, inputs: Any) -> tuple[Array, Pull]:
        """The outputs, and what pulls any derivatives by them back to theta and to the inputs.

        The program runs forward once; `pull(seeds)` then gives what `vjp` gives, as often as it is called, on any
        thread. It goes on from what was given here: theta and the inputs may change meanwhile.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "square", {"x": 2.0})
        >>> outputs, pull = gp.compile(net).linearize(net.theta, [[1.0], [3.0]])
        >>> outputs
        array([[ 4.],
               [36.]])
        >>> pull([[1.0], [1.0]])
        (array([40.]), array([[ 8.],
               [24.]]))
        """
        numbers = read_theta(self.schedule, theta)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        found = run(self.schedule, on_demand.linearize(), numbers.copy(), rows.copy())
        layout, samples, shape = self.layout, len(rows), found.outputs.shape

        def pull(seeds: Any) -> tuple[Array, Array]:
            if batched and type(seeds) is np.ndarray and seeds.shape == shape and seeds.dtype == np.float64:
                pulled = found.pull(seeds if seeds.flags.carray else seeds.copy())
                if pulled is not None:
                    return pulled
            gradient, by_inputs = found.pull_objective(read_seeds(layout, samples, batched, seeds))
            return gradient, by_inputs if batched else by_inputs[0]

        outputs = found.outputs.copy()
        return outputs if batched else outputs[0], pull

    @keeps_warnings
    def jvp(self, theta: Any, inputs: Any, d_theta: Any = None, d_inputs: Any = None) -> tuple[Array, Array]:
        """The outputs, and how fast they move if theta and the inputs move by `d_theta` and `d_inputs`.

        Both are shaped like what moves; what is not given stays. It is the Jacobian times a vector, where `vjp` is a
        vector times the Jacobian.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "square", {"x": 2.0})
        >>> gp.compile(net).jvp(net.theta, [[1.0], [3.0]], d_theta=[1.0], d_inputs=[[0.5], [0.0]])
        (array([[ 4.],
               [36.]]), array([[ 8.],
               [36.]]))
        """
        numbers = read_theta(self.schedule, theta)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        moves = np.zeros_like(numbers) if d_theta is None else read_moves(d_theta, numbers, "d_theta")
        input_moves = np.zeros_like(rows)
        if d_inputs is not None:
            input_moves, alike = read_rows(self.schedule, d_inputs, numbers.dtype)
            if alike != batched or input_moves.shape != rows.shape:
                shapes = [
                    array.shape if batch else array.shape[1:]
                    for array, batch in ((input_moves, alike), (rows, batched))
                ]
                raise GraphpropError(f"d_inputs has shape {shapes[0]}, and the inputs have {shapes[1]}")
        outputs, moved = run(self.schedule, on_demand.tangents().jvp, numbers, moves, rows, input_moves)
        return (outputs, moved) if batched else (outputs[0], moved[0])

    @keeps_warnings
    def hvp(
        self,
        theta: Any,
        inputs: Any,
        target: Any,
        vector: Any,
        *,
        loss: Losses | None = None,
        sample_weight: Any = None,
    ) -> Array:
        """The Hessian of a loss, its mean over the samples, by theta, times a vector.

        The arguments are those of `value_and_grad`, and `vector` is shaped like theta. It is how fast the gradient
        moves if theta moves by the vector; no Hessian is made. Where a derivative jumps, that of the side counts which
        the first derivative takes.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "identity", {"x": 2.0})
        >>> gp.compile(net).hvp(net.theta, [[1.0], [3.0]], [[1.0], [6.0]], [1.0], loss="half_squared")
        array([5.])
        """
        numbers = read_theta(self.schedule, theta)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        moves = read_moves(vector, numbers, "the vector")
        objective = read_loss(self.layout, len(rows), batched, loss, target, sample_weight)
        return run(self.schedule, on_demand.tangents().hvp, numbers, moves, rows, objective)

    def forward(self, theta: Any, inputs: Any) -> Trace:
        """Every value of a forward pass, as `Network.forward`."""
        layout = self.layout
        numbers = read_theta(self.schedule, theta).astype(float)
        rows, batched = read_rows(self.schedule, inputs, numbers.dtype)
        a_flat, o_flat = run(self.schedule, on_demand.engine().trace, numbers, rows)
        for array in (numbers, a_flat, o_flat):
            array.flags.writeable = False
        return Trace(layout, numbers, a_flat, o_flat, batched)

    def backward(
        self,
        trace: Trace,
        node: Name | Objective | None = None,
        *,
        component: int | None = None,
        loss: Losses | None = None,
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
        numbers = trace.theta, trace.a_flat, trace.o_flat
        value, a_grad, o_grad, weights, biases, calls = on_demand.engine().backtrace(self.schedule, *numbers, objective)
        check_gradients(layout, None, a_grad, o_grad, weights)
        arrays = a_grad, o_grad, weights, biases
        for array in arrays:
            array.flags.writeable = False
        return Gradients(layout, objective, value, *arrays, batched=trace.batched, calls=calls, trace=trace)

    def named(self, flat: Any) -> Named:
        """A flat array aligned with theta, parameters or a gradient, read by name.

        >>> import graphprop as gp
        >>> program = gp.Program.from_edges(2, [0, 1], [2, 2], "tanh", bias=True)
        >>> named = program.named([0.5, -0.5, 0.1])
        >>> named.weight[1, 2], named.bias[2]
        (-0.5, 0.1)
        """
        return named(self.layout, flat)

    def calls_python(self, dtype: Any) -> bool:
        """Whether an activation could not be compiled, for float64 or float32."""
        return on_demand.engine().calls_python(self.schedule, read_dtype(dtype))

    # ------------------------------------------------------------------ as an object

    def to_network(self) -> Network:
        """The same graph as a network of named nodes, with all parameters 0; its nodes are named by number.

        >>> import graphprop as gp
        >>> net = gp.Program.from_edges(1, [0, 1], [1, 2], "tanh").to_network()
        >>> net.theta[:] = [0.5, 2.0]
        >>> net
        <Network: 1 input, 2 nodes, 2 edges, 2 parameters>
        """
        from graphprop.network import Network

        return from_layout(Network, self.layout)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the structure to a file of arrays, which `gp.load` reads; an existing file is replaced as a whole.

        No parameters are in it, as none are in a program: theta is an array, which `numpy.save` writes.

        >>> import tempfile
        >>> import graphprop as gp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     gp.Program.from_edges(1, [0, 1], [1, 2], "tanh").save(f"{folder}/graph")
        ...     gp.load(f"{folder}/graph")
        <Program: 3 nodes, 2 edges, 3 levels, 0 dense blocks, 64 bytes per sample>
        """
        saving.save_layout(self.layout, path)

    def __len__(self) -> int:
        """How many nodes run."""
        return self.schedule.count

    def __repr__(self) -> str:
        own = self.schedule
        counts = (len(self), "node"), (own.edges, "edge"), (own.levels, "level"), (len(own.blocks), "dense block")
        parts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts]
        return f"<Program: {', '.join(parts)}, {8 * own.size} bytes per sample>"
