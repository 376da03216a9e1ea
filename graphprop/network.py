"""The network that a user builds, runs, expands and saves: a graph with its program."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError
from graphprop.files import saving
from graphprop.files.saving import MOST_BYTES
from graphprop.functions.activation import Activation
from graphprop.graph import rewriting
from graphprop.graph.graph import Graph, numbers_of
from graphprop.graph.layout import Layout, Name
from graphprop.passes.by_name import Named, named
from graphprop.passes.goals import Seeds, Target
from graphprop.passes.heads import Losses
from graphprop.passes.inputs import Inputs
from graphprop.passes.jacobians import jacobian
from graphprop.passes.objective import Objective
from graphprop.passes.results import Gradients, Trace, check_trace
from graphprop.program import Program, compile_layout
from graphprop.textbook import recursion

if TYPE_CHECKING:
    import networkx as nx


class Network(Graph):
    """A directed acyclic graph of nodes with ``a[v] = b[v] + sum of w o[u]`` and ``o[v] = f(a[v])``.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network("two hidden nodes")
    >>> net.add_input("x")
    >>> net.add_node("h1", "sigmoid", {"x": 0.5}, bias=0.1)
    >>> net.add_node("h2", "tanh", {"x": 0.8})
    >>> net.add_node("y", "softmax_dot", {"h1": [0.2, -0.7], "h2": [1.1, 0.4]})
    >>> net
    <Network 'two hidden nodes': 1 input, 3 nodes, 4 edges, 7 parameters>
    >>> g = net.backward(net.forward({"x": 1.0}), "y")
    >>> g.weight["h1", "y"].shape
    (2,)
    """

    def forward(self, inputs: Inputs) -> Trace:
        """Run the network on one sample, or on a batch.

        `inputs` is a mapping from input names to numbers (with a batch: arrays whose first axis is the sample),
        or an array with the columns of all inputs in order, of one row per sample if it has two axes. A data frame is
        a mapping from the names of its columns.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x", size=2)
        >>> net.add_node("y", "identity", {"x": [1.0, 10.0]})
        >>> net.forward({"x": [3.0, 4.0]}).o["y"]
        43.0
        >>> net.forward([[3.0, 4.0], [5.0, 6.0]]).o["y"]
        array([43., 65.])
        """
        program = self.program
        return program.forward(numbers_of(self, program.layout), inputs)

    def backward(
        self,
        trace: Trace,
        node: Name | Objective | None = None,
        *,
        component: int | None = None,
        loss: Losses | None = None,
        target: Target | None = None,
        sample_weight: ArrayLike | None = None,
        seed: Seeds | None = None,
    ) -> Gradients:
        """The derivatives of an objective with respect to everything: of a node's output, of a loss, or of a seed.

        Parameters
        ----------
        trace : Trace
            What `forward` gave.
        node, component
            The output of a node, of one component if it has several; the sum over the samples. In place of a node, and
            alone, stands an objective that was read before: the `objective` of other gradients.
        loss, target, sample_weight
            A loss on the outputs, by name or as a `gp.Loss`; the mean over the samples, each counted with its weight.
            ``{"z": "softmax_cross_entropy", "y": ("half_squared", 0.5)}`` gives each head its own, or a pair of that
            and its weight, and the sum of all of them is taken. A head is named by its node, or by the tuple of its
            nodes. Where outputs are declared it is one of those; a node that no declared head has is one by itself.
            The target is an array with the columns of the outputs in order, integers as class labels
            where the loss reads classes, or a mapping (or a data frame) from node names to theirs.
        seed : mapping
            From node names to numbers shaped like their outputs: the objective is the sum of seed times output.

        Examples
        --------
        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "identity", {"x": 3.0}, bias=1.0)
        >>> trace = net.forward([[1.0], [2.0]])
        >>> net.backward(trace, "y").theta
        array([3., 2.])
        >>> net.backward(trace, loss="half_squared", target={"y": [4.0, 6.0]}).theta
        array([1. , 0.5])
        >>> net.backward(trace, seed={"y": [1.0, -1.0]}).input["x"]
        array([ 3., -3.])
        """
        objective: dict[str, Any] = {"component": component, "loss": loss, "target": target}
        objective |= {"sample_weight": sample_weight, "seed": seed}
        if getattr(trace, "numbers", None) is not None:
            return recursion.backpropagate(self, trace, node, **objective)
        return self.program.backward(trace, node, **objective)

    def jacobian(self, trace: Trace, of: Name | list[Name] | None = None, wrt: Any = "theta") -> Any:
        """The derivatives of every component of some nodes, a row for each.

        Parameters
        ----------
        trace : Trace
            What `forward` gave.
        of : node, or list of nodes
            All their components, one behind the other; those of the outputs if it is not given.
        wrt
            "theta"; a node or an input, for its output; or, as in `gp.explain`, ``("o", v)``, ``("input", x)``,
            ``("weight", u, v)``, ``("bias", v)``, ``("parameter", name)``.

        Returns
        -------
        array
            (components, ...), where ... is the shape of what is differentiated by. Of a batch (samples, components,
            ...): what parameters do in each sample is not summed. Each row takes one backward pass.

        Examples
        --------
        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x", size=2)
        >>> net.add_node("y", "square", {"x": [[1.0, 0.0], [1.0, 1.0]]}, size=2)
        >>> trace = net.forward([3.0, 1.0])
        >>> net.jacobian(trace, wrt="x")
        array([[6., 0.],
               [8., 8.]])
        >>> net.jacobian(trace, "y", ("weight", "x", "y")).shape
        (2, 2, 2)
        """
        check_trace(trace, self.layout)
        return jacobian(trace, of, wrt, lambda seed: self.backward(trace, seed=seed))

    def named(self, flat: ArrayLike) -> Named:
        """A flat array aligned with theta, such as a gradient that a program gave, read by name.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "tanh", {"x": 3.0})
        >>> net.named(net.theta + 1).weight["x", "y"]
        4.0
        """
        return named(self.layout, flat)

    @property
    def program(self) -> Program:
        """The structure as arrays that the engine runs, made once; the same as `gp.compile(net)`."""
        made, layout = self._made, self.layout
        program: Program | None = made.get("program")
        if program is None or program.layout is not layout:
            program = compile_layout(layout)
            if made.get("layout") is layout:
                program = made.setdefault("program", program)
        return program

    def expand(self) -> Self:
        """The same network with each elementwise vector node v as scalar nodes (v, i), on the same theta."""
        return rewriting.expand(self)

    def to_networkx(
        self, trace: Trace | None = None, gradients: Gradients | None = None, sample: int | None = None
    ) -> nx.DiGraph[Name]:
        """A `networkx.DiGraph` of its own, with all that is known as attributes; `gp.from_networkx` reads it.

        All attributes are numbers and texts, so that GraphML and other formats hold them, too. Where there are several
        numbers each is an attribute: ``bias[i]``, ``o[i]``, ``weight[i]`` or ``weight[i,k]``.

        Parameters
        ----------
        trace : Trace, optional
            Gives each node `a` and `o`, and the parameters that were used.
        gradients : Gradients, optional
            Gives each node `gamma` or `delta`, `grad_o` and `grad_bias`, and each edge `grad`.
        sample : int, optional
            Of which sample the numbers of nodes are; needed if there are several.

        Examples
        --------
        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "square", {"x": 3.0})
        >>> trace = net.forward([2.0])
        >>> G = net.to_networkx(trace, net.backward(trace, "y"))
        >>> G.nodes["y"]
        {'activation': 'square', 'a': 6.0, 'o': 36.0, 'gamma': 12.0, 'grad_o': 1.0}
        >>> G.edges["x", "y"]
        {'weight': 3.0, 'grad': 24.0}
        """
        from graphprop.interop.networkx import to_networkx

        graph: nx.DiGraph[Name] = to_networkx(self, trace, gradients, sample)
        return graph

    def edge_frame(self, gradients: Gradients | None = None) -> Any:
        """The edges as a table, which `gp.from_frame` reads: a row for each number that an edge has.

        It is a `pandas.DataFrame` in a program that has imported pandas, and a mapping of columns else, of which any
        data frame can be made. The columns are `source`, `target` and `weight`; `to` and `of`, which say between which
        components the number stands; its `position` in theta, equal where numbers are tied; and `trainable`. With
        named parameters there are `parameter` and `entry`, with gradients `grad`, the derivative by this use.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "square", {"x": 3.0})
        >>> g = net.backward(net.forward([2.0]), "y")
        >>> net.edge_frame(g)["grad"].tolist()
        [24.0]
        """
        from graphprop.interop.tables import edge_frame

        return edge_frame(self, gradients)

    def node_frame(
        self, trace: Trace | None = None, gradients: Gradients | None = None, sample: int | None = None
    ) -> Any:
        """The nodes as a table, which `gp.from_frame` reads: a row for each component that a node has.

        It is a `pandas.DataFrame` in a program that has imported pandas, and a mapping of columns else. The columns are
        `name`, `component`, `activation`, `size` and `bias`; the bias's `position` in theta, and whether it is
        `trainable`; and what else the network has. What is not there is nan.

        Parameters
        ----------
        trace : Trace, optional
            Gives the columns `a` and `o`.
        gradients : Gradients, optional
            Gives `gamma` (of scalar nodes) and `delta` (of the others), `grad_o` and `grad_bias`.
        sample : int, optional
            Of which sample the numbers of nodes are; needed if there are several.

        Examples
        --------
        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "square", {"x": 3.0})
        >>> net.node_frame(net.forward([2.0]))["o"].tolist()
        [2.0, 36.0]
        """
        from graphprop.interop.tables import node_frame

        return node_frame(self, trace, gradients, sample)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a JSON file, which `gp.load` reads; an existing file is replaced as a whole.

        An activation of your own is written by its name and parameters, without its functions: give it back with
        ``gp.load(path, activations=[...])``.
        """
        saving.save(self, path)


def compile(net: Network) -> Program:
    """The program of a network: its structure as arrays, ready to run with any theta.

    It is made once and kept until the structure changes.

    >>> import graphprop as gp
    >>> net = gp.mlp([2, 3, 1], "tanh", "identity", seed=0)
    >>> gp.compile(net) is gp.compile(net)
    True
    """
    if not isinstance(net, Network):
        raise GraphpropError(f"a network is compiled, not {type(net).__name__}")
    return net.program


def load(
    path: str | os.PathLike[str], activations: Iterable[Activation] = (), *, max_bytes: int = MOST_BYTES
) -> Network | Program:
    """What `Network.save` or `Program.save` wrote: the same structure, and the same numbers to the last bit.

    A file holds no code and none is run. Whatever is wrong with it is a `GraphpropError` that names the place.

    Parameters
    ----------
    path : text or path
    activations : list of Activation
        Those of your own that the network or program uses. A file has their names and parameters only.
    max_bytes : int
        A larger file is refused before it is read; 256 MiB if not given.

    Examples
    --------
    >>> import tempfile
    >>> import graphprop as gp
    >>> net = gp.Network("a slope")
    >>> net.add_input("x")
    >>> net.add_node("y", "tanh", {"x": 0.1})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(f"{folder}/net.json")
    ...     gp.load(f"{folder}/net.json")
    <Network 'a slope': 1 input, 1 node, 1 edge, 1 parameter>
    """
    found = saving.load(path, activations, max_bytes, Network)
    return compile_layout(found) if isinstance(found, Layout) else found


def union(nets: Mapping[Any, Network], share_inputs: bool = False) -> Network:
    """The disjoint union: nodes (name, v), parameters (name, p), and the thetas one behind the other.

    With `share_inputs` the inputs keep their names, and those that have the same name are one: a population reads the
    same columns then, and none is copied.

    >>> import graphprop as gp
    >>> one = gp.mlp([1, 2, 1], seed=1)
    >>> both = gp.union({"a": one, "b": one})
    >>> both
    <Network: 2 inputs, 6 nodes, 8 edges, 14 parameters>
    >>> gp.union({"a": one, "b": one}, share_inputs=True)
    <Network: 1 input, 6 nodes, 8 edges, 14 parameters>
    """
    return rewriting.union(nets, Network, share_inputs)
