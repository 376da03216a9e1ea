"""What a run gives: a `Trace` of the forward pass, `Gradients` of the backward pass. Frozen; names in, numbers out.

Both keep the layout and theta they were made with, so that a later change of the network cannot mix numbers.
How they were computed is not known here.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, UnknownNameError
from graphprop.layout import Array, Layout, Name
from graphprop.objective import Objective


class Values(Mapping[Any, Any]):
    """Numbers by name: of a node a float or an array of its components; with a batch the sample is the first axis."""

    def __init__(self, names: Sequence[Any], read: Callable[[Any], Any], absent: Callable[[Any], str]) -> None:
        self._names = names
        self._read = read
        self._absent = absent

    def __getitem__(self, name: Any) -> Any:
        try:
            return self._read(name)
        except UnknownNameError as error:
            raise UnknownNameError(self._absent(name) or str(error)) from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def _ipython_key_completions_(self) -> list[Any]:
        return list(self._names)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name!r}: {_short(self[name])}" for name in list(self._names)[:8])
        more = f", ... {len(self) - 8} more" if len(self) > 8 else ""
        return f"{{{shown}{more}}}"


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Every value of one forward pass.

    Attributes
    ----------
    a, o : mappings from node names
        Pre-activations and outputs.
    theta : array
        The parameters that were used.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "square", {"x": 3.0})
    >>> net.forward([1.0])
    <Trace of 2 nodes, 1 sample: y = 9>
    >>> net.forward([[1.0], [2.0]]).o["y"]
    array([ 9., 36.])
    """

    layout: Layout
    theta: Array
    a_flat: Array  # (samples, all pre-activations)
    o_flat: Array  # (samples, all outputs)
    batched: bool
    numbers: Any = None  # what was computed with: None for floats, or a library of numbers

    @property
    def samples(self) -> int:
        return len(self.o_flat)

    @property
    def a(self) -> Values:
        """The pre-activations of every node but the inputs."""
        layout = self.layout
        names = [name for name, node in zip(layout.names, layout.nodes, strict=True) if not node.is_input]
        return Values(names, self._read_a, lambda name: _why_no_a(layout, name))

    @property
    def o(self) -> Values:
        """The output of every node; of an input, what was given."""
        return Values(self.layout.names, self._read_o, lambda name: "")

    def _read_a(self, name: Name) -> Any:
        v = self.layout.find(name)
        if self.layout.nodes[v].is_input:
            raise UnknownNameError(name)
        return _shown(self.a_flat[:, self.layout.a_slice(v)], self.layout.nodes[v].vector, self.batched)

    def _read_o(self, name: Name) -> Any:
        v = self.layout.find(name)
        return _shown(self.o_flat[:, self.layout.o_slice(v)], self.layout.nodes[v].listed, self.batched)

    def __repr__(self) -> str:
        samples = f"{self.samples} sample{'' if self.samples == 1 else 's'}"
        outputs = [name for head in self.layout.heads for name in head][:4]
        shown = ", ".join(f"{name} = {_short(self.o[name])}" for name in outputs)
        return f"<Trace of {len(self.layout.names)} nodes, {samples}{f': {shown}' if shown else ''}>"

    def _repr_html_(self) -> str:
        def row(name: Name) -> tuple[Any, ...]:
            node = self.layout.nodes[self.layout.number[name]]
            return name, node.kind, "" if node.is_input else _short(self.a[name]), _short(self.o[name])

        return _table(("node", "kind", "a", "o"), map(row, self.layout.names), len(self.layout.names))


@dataclass(frozen=True)
class Difference:
    """Where two results differ most: the entry, both numbers, and how far apart they are."""

    entry: str
    first: Any
    second: Any
    absolute: float
    relative: float

    def __str__(self) -> str:
        return f"{self.entry}: {self.first!r} and {self.second!r}, relative difference {self.relative:.2e}"


@dataclass(frozen=True, eq=False, repr=False)
class Gradients:
    """The derivatives of `value` with respect to everything; each is shaped like what it is the derivative of.

    Attributes
    ----------
    value : float
        The objective: a loss is its mean over the batch, a plain output its sum.
    delta, gamma : mappings from node names
        With respect to the pre-activations: delta of a vector (every component), gamma of a scalar node.
    o : mapping from node names
        With respect to the outputs, over all paths.
    weight, bias, input : mappings
        With respect to each use of a weight (by edge), each bias (by node), each input.
    parameter : mapping from parameter names
        Summed over all uses.
    theta : array
        All parameters, aligned with `net.theta`.
    calls : int
        How many times the method that was used evaluated its equation, per sample.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "square", {"x": 3.0})
    >>> g = net.backward(net.forward([1.0]), "y")
    >>> g
    <Gradients of o[y] = 9: 1 parameter>
    >>> g.gamma["y"], g.weight["x", "y"], g.input["x"]
    (6.0, 6.0, 18.0)
    >>> g.delta["y"]
    Traceback (most recent call last):
    graphprop.errors.UnknownNameError: node 'y' is scalar; its sensitivity is gamma['y']
    """

    layout: Layout
    objective: Objective
    value: Any
    a_flat: Array  # (samples, all pre-activations): d value / d a, nan where it was not asked for
    o_flat: Array  # (samples, all outputs): d value / d o, over all paths
    weight_uses: Array  # per weight use of the layout, summed over the samples
    bias_uses: Array
    batched: bool
    calls: int
    theta: Array = field(init=False)

    def __post_init__(self) -> None:
        theta = np.zeros(self.layout.size, dtype=self.weight_uses.dtype)
        np.add.at(theta, self.layout.position, self.weight_uses)
        np.add.at(theta, self.layout.bias_position, self.bias_uses)
        object.__setattr__(self, "theta", theta)

    @property
    def delta(self) -> Values:
        """Of the vector pre-activations, by node."""
        return self._sensitivity(vector=True)

    @property
    def gamma(self) -> Values:
        """Of the scalar pre-activations, by node."""
        return self._sensitivity(vector=False)

    def _sensitivity(self, vector: bool) -> Values:
        layout = self.layout

        def read(name: Name) -> Any:
            v = layout.find(name)
            node = layout.nodes[v]
            if node.is_input or node.vector != vector:
                raise UnknownNameError(name)
            return _shown(self.a_flat[:, layout.a_slice(v)], vector, self.batched)

        def absent(name: Name) -> str:
            if reason := _why_no_a(layout, name):
                return f"{reason}; its derivative is input[{name!r}]"
            if name not in layout.number:
                return ""
            kinds = ("scalar", "gamma") if vector else ("a vector node", "delta")
            return f"node {name!r} is {kinds[0]}; its sensitivity is {kinds[1]}[{name!r}]"

        names = [x for x, node in zip(layout.names, layout.nodes, strict=True) if node.n and node.vector == vector]
        return Values(names, read, absent)

    @property
    def o(self) -> Values:
        return Values(self.layout.names, self._read_o, lambda name: "")

    @property
    def input(self) -> Values:
        def read(name: Name) -> Any:
            if not self.layout.nodes[self.layout.find(name)].is_input:
                raise UnknownNameError(name)
            return self._read_o(name)

        return Values(self.layout.inputs, read, lambda name: f"{name!r} is no input" if name in self.o else "")

    def _read_o(self, name: Name) -> Any:
        v = self.layout.find(name)
        return _shown(self.o_flat[:, self.layout.o_slice(v)], self.layout.nodes[v].listed, self.batched)

    @property
    def weight(self) -> Values:
        def read(edge: Any) -> Any:
            if not isinstance(edge, tuple) or len(edge) != 2:
                raise UnknownNameError(f"an edge is a pair of node names, weight[u, v], not {edge!r}")
            return _squeezed(self.layout.scatter_edge(self.layout.find_edge(*edge), self.weight_uses))

        return Values(list(self.layout.edge_number), read, lambda edge: "")

    @property
    def bias(self) -> Values:
        layout = self.layout

        def read(name: Name) -> Any:
            v = layout.find(name)
            if layout.nodes[v].bias is None:
                raise UnknownNameError(name)
            return _squeezed(layout.scatter_bias(v, self.bias_uses))

        names = [name for name, node in zip(layout.names, layout.nodes, strict=True) if node.bias is not None]
        return Values(names, read, lambda name: f"node {name!r} has no bias" if name in layout.number else "")

    @property
    def parameter(self) -> Values:
        positions = self.layout.parameters

        def read(name: Name) -> Any:
            if name not in positions:
                raise UnknownNameError(f"unknown parameter {name!r}; named ones: {list(positions)}")
            value = self.theta[positions[name]]
            return value if isinstance(value, np.ndarray) and value.ndim else _number(value)

        return Values(list(positions), read, lambda name: "")

    def difference(self, other: Gradients) -> Difference:
        """The entry in which two gradients of one structure differ most, relative to its size.

        >>> import graphprop as gp
        >>> net = gp.Network()
        >>> net.add_input("x")
        >>> net.add_node("y", "square", {"x": 3.0})
        >>> trace = net.forward([1.0])
        >>> net.backward(trace, "y").difference(net.backward(trace, seed={"y": 2.0})).entry
        'value'
        """
        worst = Difference("value", self.value, other.value, *_apart(self.value, other.value))
        for mine, theirs, label in self._aligned(other):
            absolute, relative = _apart(mine, theirs)
            i = int(np.argmax(np.nan_to_num(relative, nan=-1.0, posinf=np.inf))) if relative.size else 0
            if relative.size and relative[i] > worst.relative:
                worst = Difference(label(i), _number(mine[i]), _number(theirs[i]), float(absolute[i]), relative[i])
        return worst

    def allclose(self, other: Gradients, rtol: float = 1e-9, atol: float = 1e-12) -> bool:
        """Whether all numbers, the value too, agree: ``|x - y| <= atol + rtol max(|x|, |y|)``."""
        pairs = [(np.array([self.value]), np.array([other.value])), *((x, y) for x, y, _ in self._aligned(other))]
        return all(
            bool((np.isnan(x) & np.isnan(y) | (x == y) | (np.abs(x - y) <= atol + rtol * _larger(x, y))).all())
            for x, y in ((p.astype(float), q.astype(float)) for p, q in pairs)
        )

    def _aligned(self, other: Gradients) -> Iterator[tuple[Array, Array, Callable[[int], str]]]:
        """Each kind of number of both, flat, and how its entries are called."""
        layout = self.layout
        if not layout.same_structure(other.layout) or self.a_flat.shape != other.a_flat.shape:
            raise GraphpropError("the gradients are of different structures or batches, and cannot be compared")

        def sampled(label: Callable[[int, str], str], symbol: str, width: int) -> Callable[[int], str]:
            return lambda i: label(i % width, symbol) + (f" of sample {i // width}" if self.batched else "")

        a, o = layout.label_row, layout.label_column
        yield self.a_flat.ravel(), other.a_flat.ravel(), sampled(a, "delta", self.a_flat.shape[1])
        yield self.o_flat.ravel(), other.o_flat.ravel(), sampled(o, "o", self.o_flat.shape[1])
        yield self.weight_uses, other.weight_uses, layout.label_use
        yield self.bias_uses, other.bias_uses, lambda i: a(int(layout.bias_row[i]), "b")
        yield self.theta, other.theta, layout.label_position

    def __repr__(self) -> str:
        size = f"{self.layout.size} parameter{'' if self.layout.size == 1 else 's'}"
        return f"<Gradients of {self.objective} = {_short(self.value)}: {size}>"

    def _repr_html_(self) -> str:
        layout = self.layout

        def row(name: Name) -> tuple[Any, ...]:
            node = layout.nodes[layout.number[name]]
            if node.is_input:
                return name, "input", "", _short(self.input[name])
            sensitivity = self.delta[name] if node.vector else self.gamma[name]
            return name, node.kind, _short(sensitivity), _short(self.o[name])

        heads = ("node", "kind", "delta or gamma", "d / d o")
        title = f"<p>{html.escape(str(self.objective))} = {html.escape(_short(self.value))}</p>"
        return title + _table(heads, map(row, layout.names), len(layout.names))


def _why_no_a(layout: Layout, name: Name) -> str:
    try:
        is_input = layout.nodes[layout.number[name]].is_input
    except (KeyError, TypeError):
        return ""
    return f"{name!r} is an input, which has no pre-activation" if is_input else ""


def _shown(rows: Array, listed: bool, batched: bool) -> Any:
    view = rows if listed else rows[:, 0]
    if batched:
        return view.copy()
    return view[0].copy() if listed else _number(view[0])


def _squeezed(matrix: Array) -> Any:
    result = np.squeeze(matrix)
    return _number(result[()]) if result.ndim == 0 else result


def _number(x: Any) -> Any:
    return float(x) if isinstance(x, float | np.floating) else x


def _larger(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y))


def _apart(x: Any, y: Any) -> tuple[Any, Any]:
    """Absolute difference, and relative to the larger of both."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    with np.errstate(all="ignore"):
        absolute = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
        relative = np.where(absolute > 0, absolute / _larger(x, y), 0.0)
        relative = np.where(np.isnan(absolute), np.inf, relative)
    return (float(absolute), float(relative)) if absolute.ndim == 0 else (absolute, relative)


def _short(value: Any) -> str:
    """A number or array in a few characters; a dash for what was not asked for."""
    if isinstance(value, np.ndarray):
        entries = [_short(x) for x in value.ravel()[:4]]
        return f"[{', '.join(entries)}{', ...' if value.size > 4 else ''}]"
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]], count: int, most: int = 100) -> str:
    """An HTML table of at most so many rows, with everything in it escaped."""

    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    shown = [line(cells, "td") for cells, _ in zip(rows, range(most), strict=False)]
    more = f"<p>{most} of {count} nodes</p>" if count > most else ""
    return f"<table>{line(heads, 'th')}{''.join(shown)}</table>{more}"
