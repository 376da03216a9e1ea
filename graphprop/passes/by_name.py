"""Numbers by name, as results give them. What the numbers mean is not known here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, UnknownNameError, unknown
from graphprop.given.arrays import numbers_as_given
from graphprop.graph.columns import Columns, columns_of_biases, columns_of_weights
from graphprop.graph.layout import Array, Layout, Name
from graphprop.notation.short import number, short


class Values(Mapping[Any, Any]):
    """Numbers by name: of a node a float or an array of its components; with a batch the sample is the first axis."""

    def __init__(
        self, names: Callable[[], Iterable[Any]], read: Callable[[Any], Any], absent: Callable[[Any], str]
    ) -> None:
        self._names = names  # listed when asked for: one entry of a large network costs one entry
        self._read = read
        self._absent = absent

    def __getitem__(self, name: Any) -> Any:
        try:
            hash(name)
        except TypeError:
            raise UnknownNameError(f"a name is a text, an integer or a tuple of these, not {name!r}") from None
        try:
            return self._read(name)
        except UnknownNameError as error:
            raise UnknownNameError(self._absent(name) or str(error)) from None

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __iter__(self) -> Iterator[Any]:
        return iter(self._names())

    def __len__(self) -> int:
        return sum(1 for _ in self._names())

    def __contains__(self, name: object) -> bool:
        try:
            self[name]
        except UnknownNameError:
            return False
        return True

    def _ipython_key_completions_(self) -> list[Any]:
        return list(self._names())

    def __repr__(self) -> str:
        names = list(self)
        first = ", ".join(f"{name!r}: {short(self[name])}" for name in names[:8])
        more = f", ... {len(names) - 8} more" if len(names) > 8 else ""
        return f"{{{first}{more}}}"


# ------------------------------------------------------------------ parameters


def weights_by_edge(layout: Layout, uses: Array) -> Values:
    """Numbers of the weight uses, by (parent, child), each shaped like the weight."""

    def read(edge: Any) -> Any:
        if not isinstance(edge, tuple) or len(edge) != 2:
            raise UnknownNameError(f"an edge is a pair of node names, weight[u, v], not {edge!r}")
        return _squeezed(layout.scatter_edge(layout.find_edge(*edge), uses))

    return Values(lambda: layout.edge_number, read, lambda edge: "")


def biases_by_node(layout: Layout, uses: Array) -> Values:
    """Numbers of the bias uses, by the node."""

    def read(name: Name) -> Any:
        v = layout.find(name)
        if layout.nodes[v].bias is None:
            raise UnknownNameError(name)
        return _squeezed(layout.scatter_bias(v, uses))

    def names() -> Iterator[Name]:
        return (name for name, node in zip(layout.names, layout.nodes, strict=True) if node.bias is not None)

    return Values(names, read, lambda name: f"node {name!r} has no bias" if name in layout.number else "")


def parameters_by_name(layout: Layout, theta: Array) -> Values:
    """The named slices of a flat array."""
    positions = layout.parameters

    def read(name: Name) -> Any:
        if name not in positions:
            raise unknown("parameter", name, positions)
        value = theta[positions[name]]
        return value if isinstance(value, np.ndarray) and value.ndim else number(value)

    return Values(lambda: positions, read, lambda name: "")


@dataclass(frozen=True, eq=False, repr=False)
class Named:
    """A flat array aligned with theta, read by name: parameters, or a gradient; `Program.named` makes it.

    Attributes
    ----------
    theta : array
        A copy of what was given.
    weight, bias, parameter : mappings
        By edge, by node, and by the name of a parameter. What is used more than once shows at each use.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "square", {"x": 3.0}, bias=1.0)
    >>> _, gradient = gp.compile(net).value_and_grad(net.theta, [[1.0]], [[0.0]], loss="half_squared")
    >>> named = net.named(gradient)
    >>> named
    <Named numbers: 1 of weights, 1 of biases, 0 named parameters>
    >>> named.weight["x", "y"], named.bias["y"]
    (128.0, 128.0)
    >>> named.weights()
    parent  child  to  of  position  value
    x       y      0   0   0         128
    """

    layout: Layout
    theta: Array

    @cached_property
    def _weights(self) -> Array:
        return self.theta[self.layout.position]

    @cached_property
    def _biases(self) -> Array:
        return self.theta[self.layout.bias_position]

    @property
    def weight(self) -> Values:
        return weights_by_edge(self.layout, self._weights)

    @property
    def bias(self) -> Values:
        return biases_by_node(self.layout, self._biases)

    @property
    def parameter(self) -> Values:
        return parameters_by_name(self.layout, self.theta)

    def weights(self) -> Columns:
        """All weights as arrays side by side, as `Network.weights`."""
        return columns_of_weights(self.layout, self._weights)

    def biases(self) -> Columns:
        """All biases as arrays side by side, as `Network.biases`."""
        return columns_of_biases(self.layout, self._biases)

    def __repr__(self) -> str:
        weights, biases, parameters = len(self._weights), len(self._biases), len(self.layout.parameters)
        return f"<Named numbers: {weights} of weights, {biases} of biases, {parameters} named parameters>"


def named(layout: Layout, flat: Any) -> Named:
    """A flat array aligned with theta, by name."""
    where = "an array aligned with theta"
    theta = np.array(numbers_as_given(flat, where))
    if theta.shape != (layout.size,):
        raise GraphpropError(f"{where} has shape ({layout.size},), not {theta.shape}")
    theta.flags.writeable = False
    return Named(layout, theta)


# ------------------------------------------------------------------ as they are shown


def shown(rows: Array, listed: bool, batched: bool) -> Any:
    view = rows if listed else rows[:, 0]
    if batched:
        return view.copy()
    return view[0].copy() if listed else number(view[0])


def _squeezed(matrix: Array) -> Any:
    result = np.squeeze(matrix)
    result.flags.writeable = False
    return number(result[()]) if result.ndim == 0 else result
