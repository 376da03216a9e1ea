"""Networks that people name: layered ones, convolutions with tied weights, the log-linear model.

They build with the public calls of `Network`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np

from graphprop.errors import GraphpropError, NumberError, check_choice
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import resolve
from graphprop.given.arguments import (
    checked_flag,
    checked_size,
    generator,
)
from graphprop.given.arrays import object_array, real_array
from graphprop.given.memory import NODE_BYTES, check_large
from graphprop.graph.graph import AllOrNothing, checked_graph
from graphprop.graph.layout import Array, Name
from graphprop.graph.matrix_view import (
    name_array,
)
from graphprop.graph.parameters import Parameter
from graphprop.network import Network


def mlp(
    sizes: list[int] | tuple[int, ...],
    activation: str | Activation | list[str | Activation] | tuple[str | Activation, ...] = "tanh",
    output: str | Activation | None = None,
    seed: int = 0,
    by: Literal["neuron", "layer"] = "neuron",
) -> Network:
    """A layered network with biases; weights are drawn with variance 1 / fan-in, biases are 0.

    `activation` is that of the hidden layers and `output` that of the last one, identity if it is not given; or
    `activation` is a list with one for each layer, the last one too.

    Declared by layer, the nodes are the vectors "x", "h1", "h2", ..., "y". By neuron, each component is a scalar
    node: ("x", 0), ("h1", 2), ...; softmax, log_softmax and reducing outputs stay one node "y", of `sizes[-1]`
    components. Both have the same weights for the same seed.

    Examples
    --------
    >>> import graphprop as gp
    >>> gp.mlp([2, 3, 4], "sigmoid", "softmax_dot", seed=1)
    <Network: 2 inputs, 4 nodes, 9 edges, 25 parameters>
    >>> gp.mlp([2, 3, 4], "sigmoid", "softmax_dot", seed=1, by="layer")
    <Network: 1 input, 2 nodes, 2 edges, 25 parameters>
    >>> net = gp.mlp([2, 3, 3, 1], ["tanh", "relu", "sigmoid"])
    >>> net.activation(("h2", 0)).name, net.activation(("y", 0)).name
    ('relu', 'sigmoid')
    """
    check_choice(by, ("neuron", "layer"), "by")
    if not isinstance(sizes, list | tuple) or len(sizes) < 2:
        raise GraphpropError(f"sizes are a list of at least two whole numbers, not {sizes!r}")
    sizes = [checked_size(n, "sizes") for n in sizes]
    check_large(
        NODE_BYTES * sum(sizes[:-1]) + 8 * sum(n * m for n, m in pairwise(sizes)), f"a network of sizes {sizes}"
    )
    functions = _activations(activation, output, len(sizes) - 1)
    random = generator(seed)
    names = ["x", *(f"h{i}" for i in range(1, len(sizes) - 1)), "y"]
    net = Network()
    if by == "layer":
        net.add_input("x", size=sizes[0])
        before = name_array(["x"])
    else:
        before = name_array([("x", i) for i in range(sizes[0])])
        for name in before:
            net.add_input(name)
    for name, n, f in zip(names[1:], sizes[1:], functions, strict=True):
        fan_in = sum(net.output_size(u) for u in before)
        weights = _drawn(random, n, fan_in)
        if by == "layer":
            net.add_node(name, f, {before[0]: weights}, np.zeros(n), size=n)
            before = name_array([name])
        else:
            before = dense(net, before, n, f, weights=weights, name=name)
    return net


def dense(
    net: Network,
    nodes: Any,
    n: int,
    activation: str | Activation = "identity",
    *,
    weights: Any = None,
    bias: Any = 0.0,
    name: str = "h",
    seed: int = 0,
    trainable: bool = True,
) -> Array:
    """Add a fully connected layer of n components that reads all outputs of `nodes`; the names made, as an array.

    The nodes are (name, 0), (name, 1), ... for an elementwise activation, and the one node `name` else.
    `weights` is an array of numbers or Parameters, (n, number of outputs read); if it is not given they are drawn
    with variance 1 / fan-in. `bias` is a number for all, an array of n, or None. With ``trainable=False`` the new
    numbers are frozen in `net.trainable`.

    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x1")
    >>> net.add_input("x2")
    >>> gp.dense(net, ["x1", "x2"], 2, "tanh", name="h")
    array([('h', 0), ('h', 1)], dtype=object)
    """
    checked_graph(net)
    nodes = list(nodes) if isinstance(nodes, tuple) and nodes not in net else nodes  # such as net.inputs
    before, f = name_array(nodes).ravel(), resolve(activation)
    _distinct(net, before, "dense")
    if not len(before):
        raise GraphpropError("dense: there is no node to read")
    n = checked_size(n, "dense: n")
    checked_flag(trainable, "dense")
    ends = np.cumsum([net.output_size(u) for u in before])
    if weights is None:
        check_large(8 * n * int(ends[-1]), f"a layer of {n} components that read {ends[-1]} numbers")
        weights = _drawn(generator(seed), n, int(ends[-1]))
    weights = _entries(weights, "the weights of dense")
    if weights.shape != (n, ends[-1]):
        raise GraphpropError(f"the weights of dense have shape {weights.shape}; they should have {(n, int(ends[-1]))}")
    absent = np.argwhere(weights != weights)  # nan
    if len(absent):
        raise NumberError(
            f"the weights of dense: entry {tuple(absent[0].tolist())} is nan; dense joins every node with every other, "
            "while add_node takes None for an entry that is not there"
        )
    biases = _channels(bias, n, "the bias of dense")
    if f.kind != "elementwise":
        blocks = np.split(weights, ends[:-1], axis=1)
        parents = dict(zip(before, blocks, strict=True))
        net.add_node(name, f, parents, None if biases is None else list(biases), size=n, trainable=trainable)
        return name_array([name])
    with AllOrNothing(net) as made:
        for i in range(n):
            made.append((name, i))
            row = weights[i].tolist() if len(before) == ends[-1] else np.split(weights[i], ends[:-1])
            parents = dict(zip(before, row, strict=True))
            net.add_node((name, i), f, parents, None if biases is None else biases[i], trainable=trainable)
    return name_array(made)


def conv2d(
    net: Network,
    nodes: Any,
    kernel: Any,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    activation: str | Activation = "identity",
    bias: Any = None,
    name: str = "s",
    trainable: bool = True,
) -> Array:
    """Add a convolution over explicit scalar nodes, with tied weights; the names made, as an array.

    As everywhere in this field it is a cross-correlation: the kernel is not reversed,
    ``s[r, c] = sum_ij kernel[i, j] * x[r * stride + i - padding, c * stride + j - padding]``.

    Parameters
    ----------
    nodes : array of node names
        rows x columns, or channels x rows x columns.
    kernel : array of numbers or Parameters
        rows x columns; channels x rows x columns; or outputs x channels x rows x columns. Plain numbers become the
        tied parameter "<name>.kernel".
    stride, padding : pairs of whole numbers
        For rows and columns. Padding is with zeros, which need no nodes. An output that reads only zeros reads the
        first node with the frozen weight 0, the parameter "<name>.zero".
    bias : number, Parameter, or one per output channel, optional
        Plain numbers become the tied parameter "<name>.bias".
    name : str
        The nodes are (name, row, column), or (name, channel, row, column) if the kernel has outputs.
    trainable : bool
        False marks the new parameters as frozen in `net.trainable`.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> x = [["x1", "x2", "x3"], ["x4", "x5", "x6"]]
    >>> for row in x:
    ...     for u in row:
    ...         net.add_input(u)
    >>> s = gp.conv2d(net, x, [[2.0], [4.0], [-1.0]], padding=(1, 0))
    >>> s.shape, net.weight("x1", ("s", 0, 0)), net.parameters
    ((2, 3), 4.0, {'s.kernel': <parameter 's.kernel' of shape (3, 1)>})
    """
    checked_graph(net)
    x, taps = name_array(nodes), _entries(kernel, "the kernel")
    if x.ndim not in (2, 3):
        raise GraphpropError(f"conv2d: nodes are rows x columns or channels x rows x columns, not of shape {x.shape}")
    if taps.ndim not in (2, 3, 4) or not taps.size:
        raise GraphpropError(f"conv2d: the kernel has two to four axes, not the shape {taps.shape}")
    images = x if x.ndim == 3 else x[None]
    filters = taps.reshape((1,) * (4 - taps.ndim) + taps.shape)
    if filters.shape[1] != len(images):
        raise GraphpropError(f"conv2d: the kernel is for {filters.shape[1]} channels, the nodes have {len(images)}")
    (step_r, step_c), (pad_r, pad_c) = _pair(stride, 1, "stride"), _pair(padding, 0, "padding")
    (rows, columns), (high, wide) = images.shape[1:], filters.shape[2:]
    out_r, out_c = (rows + 2 * pad_r - high) // step_r + 1, (columns + 2 * pad_c - wide) // step_c + 1
    if out_r < 1 or out_c < 1:
        raise GraphpropError(f"conv2d: a kernel of {high} x {wide} does not fit into {rows} x {columns} nodes, padded")
    if not x.size:
        raise GraphpropError("conv2d: there is no node to read")
    resolve(activation)
    checked_flag(trainable, "conv2d")
    offsets = None if bias is None else _entries(bias, "the bias of conv2d")
    _channels(offsets, len(filters), "the bias of conv2d")
    _distinct(net, x, "conv2d")
    with AllOrNothing(net) as made:
        filters = _tied(net, f"{name}.kernel", filters, taps.shape, trainable)
        shared = None if offsets is None else _tied(net, f"{name}.bias", offsets, offsets.shape, trainable)
        biases = _channels(shared, len(filters), "the bias of conv2d")
        nothing: Parameter | None = None
        for channel, (block, r, c) in enumerate(np.ndindex(len(filters), out_r, out_c)):
            parents: dict[Name, Any] = {
                images[k, r * step_r + i - pad_r, c * step_c + j - pad_c]: filters[block, k, i, j]
                for k, i, j in np.ndindex(len(images), high, wide)
                if 0 <= r * step_r + i - pad_r < rows and 0 <= c * step_c + j - pad_c < columns
            }
            if not parents:
                if nothing is None:
                    nothing = net.parameter(f"{name}.zero", 0.0, trainable=False)
                parents = {images[0, 0, 0]: nothing}
            made.append((name, block, r, c) if taps.ndim == 4 else (name, r, c))
            net.add_node(made[channel], activation, parents, None if biases is None else biases[block])
    shape = (len(filters), out_r, out_c) if taps.ndim == 4 else (out_r, out_c)
    return name_array(made).reshape(shape)


def softmax_regression(features: int, classes: int) -> Network:
    """The log-linear model: p = softmax(W x + b), with a vector input "x" and the node "y"; all weights are 0.

    >>> import graphprop as gp
    >>> gp.softmax_regression(4, 3).forward([1.0, 2.0, 3.0, 4.0]).o["y"]
    array([0.33333333, 0.33333333, 0.33333333])
    """
    features, classes = checked_size(features, "features"), checked_size(classes, "classes")
    check_large(8 * features * classes, f"the weights of {classes} classes and {features} features")
    net = Network("softmax regression")
    net.add_input("x", size=features)
    net.add_node("y", "softmax", {"x": np.zeros((classes, features))}, np.zeros(classes), size=classes)
    return net


def _activations(activation: Any, output: Any, layers: int) -> list[Activation]:
    """Those of all layers of an mlp."""
    if not isinstance(activation, list | tuple):
        hidden = [resolve(activation)] * (layers - 1) if layers > 1 else []
        return [*hidden, resolve("identity" if output is None else output)]
    if output is not None:
        raise GraphpropError("the list of activations has that of the output, too; leave output out")
    if len(activation) != layers:
        raise GraphpropError(f"a list of activations has one for each of the {layers} layers, not {len(activation)}")
    return [resolve(f) for f in activation]


def _entries(given: Any, where: str) -> Array:
    """An array of numbers, or of objects if there are Parameters."""
    if isinstance(given, Parameter):
        entries = [given[index] for index in np.ndindex(given.shape)] if given.shape else [given]
        result = np.empty(len(entries), dtype=object)
        result[:] = entries
        return result.reshape(given.shape)
    array = given if isinstance(given, np.ndarray) else object_array(given, where)  # a Parameter stays one entry
    if array.dtype == object:
        for entry in array.ravel():
            if not isinstance(entry, Parameter | float):
                real_array(entry, where)
        return array
    return real_array(array, where)


def _tied(net: Network, name: str, entries: Array, shape: tuple[int, ...], trainable: bool) -> Array:
    """The entries, with all plain numbers among them as one parameter, so that every use shares it."""
    plain = np.array([not isinstance(entry, Parameter) for entry in entries.ravel()])
    if not plain.any():
        return entries
    numbers = entries.ravel()[plain].astype(float)
    parameter = net.parameter(name, numbers.reshape(shape) if plain.all() else numbers, trainable)
    result = entries.ravel().astype(object)
    result[plain] = _entries(parameter, name).ravel()
    return result.reshape(entries.shape)


def _drawn(random: np.random.Generator, n: int, fan_in: int) -> Array:
    """Weights of n components that read so many numbers, with variance 1 / fan-in."""
    drawn: Array = random.standard_normal((n, fan_in)) / np.sqrt(fan_in)
    return drawn


def _distinct(net: Network, nodes: Array, where: str) -> None:
    seen: set[Name] = set()
    for name in nodes.ravel():
        net.output_size(name)  # which says what is no node
        if name in seen:
            raise GraphpropError(f"{where}: node {name!r} is named twice")
        seen.add(name)


def _channels(bias: Any, n: int, where: str) -> Array | None:
    """A bias for each of n, from one for all of them, or one each."""
    if bias is None:
        return None
    entries = _entries(bias, where)
    if entries.ndim == 0:
        return np.full(n, entries[()], dtype=object)
    if entries.shape != (n,):
        raise GraphpropError(f"{where} has shape {entries.shape}; it should be one number, or have ({n},)")
    return entries


def _pair(given: Any, least: int, what: str) -> tuple[int, int]:
    pair = tuple(given) if isinstance(given, tuple | list) else ()
    if len(pair) != 2 or any(not isinstance(x, int | np.integer) or x < least for x in pair):
        raise GraphpropError(f"conv2d: {what} is a pair of whole numbers of at least {least}, not {given!r}")
    return int(pair[0]), int(pair[1])
