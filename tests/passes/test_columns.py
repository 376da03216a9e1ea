"""All weights and biases at once, with their names: of networks, gradients, and flat arrays aligned with theta."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import graphprop as gp
from graphprop.errors import GraphpropError
from graphprop.graph.columns import Columns


def example() -> gp.Network:
    """Vector and reducing nodes, ties, entries that are not there, names of all kinds, a node that was removed."""
    net = gp.Network()
    net.add_input("x")
    net.add_input(("v", 0), size=2)
    f = net.parameter("f", [0.25, -0.5])
    net.add_node("gone", "tanh", {"x": 9.0}, bias=9.0)
    net.remove_node("gone")
    net.add_node(3, "tanh", {"x": f[0], ("v", 0): [1.0, -1.0]}, bias=f[1])
    net.add_node("p", "softmax", {3: [1.0, 2.0, -0.3]}, bias=[0.7, None, -0.1])
    net.add_node("y", "softmax_dot", {"p": [[1.0, None, 0.4], [None, 2.0, f[0]]], 3: [0.5, None]})
    return net


SAMPLE = {"x": 0.3, ("v", 0): [0.2, -0.7]}
BATCH = np.array([[0.3, 0.2, -0.7], [1.0, -0.4, 0.6]])


def flat() -> Any:
    return np.arange(len(example().theta)) / 10


def gradients() -> gp.Gradients:
    net = example()
    return net.backward(net.forward(SAMPLE), "y")


def with_flat_theta() -> gp.Network:
    net = example()
    net.theta = flat()
    return net


named = example().named(flat())
Read = Callable[..., Any]
DOORS: dict[str, tuple[Any, Read, Read]] = {  # what has columns, and the same numbers one edge or node at a time
    "network": ((net := example()), net.weight, net.bias),
    "gradients": ((g := gradients()), lambda u, v: g.weight[u, v], lambda v: g.bias[v]),
    "network.named": (example().named(flat()), with_flat_theta().weight, with_flat_theta().bias),
    "program.named": (gp.compile(example()).named(flat()), with_flat_theta().weight, with_flat_theta().bias),
    "one by one": (example().named(flat()), lambda u, v: named.weight[u, v], lambda v: named.bias[v]),
}
door = pytest.mark.parametrize("door", DOORS)


@door
def test_every_entry_of_every_edge_has_a_row_and_nothing_else_has(door: str) -> None:
    held, read, _ = DOORS[door]
    net = example()
    expected = {}
    for u, v in net.edges:
        n = 3 if v == "p" else 2 if v == "y" else 1
        block = np.reshape(read(u, v), (n, net.output_size(u)))
        expected |= {(u, v, to, of): x for (to, of), x in np.ndenumerate(block) if not np.isnan(x)}
    columns = held.weights()
    rows = zip(*(columns[name].tolist() for name in ("parent", "child", "to", "of", "value")), strict=True)
    found = [(tuple(row[:4]), row[4]) for row in rows]
    assert found == list(expected.items())


@door
def test_every_bias_has_a_row(door: str) -> None:
    held, _, read = DOORS[door]
    columns = held.biases()
    assert columns.node.tolist() == [3, "p", "p"]
    assert columns.component.tolist() == [0, 0, 2]
    assert columns.value.tolist() == [read(3), read("p")[0], read("p")[2]]


@door
def test_rows_say_where_in_theta_their_numbers_are(door: str) -> None:
    net = example()
    for columns, own in ((DOORS[door][0].weights(), net.weights()), (DOORS[door][0].biases(), net.biases())):
        assert list(columns) == list(own)
        np.testing.assert_array_equal(columns.position, own.position)
        np.testing.assert_array_equal(net.theta[columns.position], own.value)


def test_numbers_that_are_changed_row_by_row_go_back_by_their_positions() -> None:
    net = example()
    weights = net.weights()
    small = np.abs(weights.value) < 0.45
    net.theta[weights.position[small]] = 0.0
    assert net.weight(3, "p").tolist() == [1.0, 2.0, 0.0]
    assert net.weight("x", 3) == 0.0
    assert weights.value.tolist() != net.weights().value.tolist()


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_a_gradient_of_a_program_is_read_by_name(kind: Any) -> None:
    net = example()
    _, gradient = gp.compile(net).value_and_grad(net.theta.astype(kind), BATCH, [0.5, -0.5], loss="half_squared")
    g = net.backward(net.forward(BATCH), loss="half_squared", target=[0.5, -0.5])
    close = {"rtol": 1e-4 if kind is np.float32 else 1e-12, "atol": 1e-6 if kind is np.float32 else 1e-15}
    for named in (net.named(gradient), gp.compile(net).named(gradient)):
        assert named.weights().value.dtype == kind
        np.testing.assert_allclose(named.weight[("v", 0), 3], g.weight[("v", 0), 3], **close)
        np.testing.assert_allclose(named.weight["p", "y"][0], g.weight["p", "y"][0], **close)
        np.testing.assert_allclose(named.parameter["f"], g.parameter["f"], **close)
        assert named.weight["x", 3] == named.weight["p", "y"][1, 2] == named.parameter["f"][0]  # one number, two uses
        assert set(named.weight) == set(g.weight)
        assert set(named.bias) == set(g.bias)


def test_uses_of_a_tied_number_have_derivatives_of_their_own_in_gradients() -> None:
    g = gradients()
    weights, biases = g.weights(), g.biases()
    summed = np.zeros(len(g.theta))
    np.add.at(summed, weights.position, weights.value)
    np.add.at(summed, biases.position, biases.value)
    np.testing.assert_allclose(summed, g.theta, rtol=1e-13)
    shared = weights.value[weights.position == example().parameters["f"].positions[0]]
    assert len(shared) == 2
    assert shared[0] != shared[1]


def test_gradients_in_other_numbers_keep_them() -> None:
    net = example()
    trace = gp.recursion.forward(net, SAMPLE, numbers=mpmath)
    columns = gp.recursion.backpropagate(net, trace, "y").weights()
    assert all(isinstance(x, mpmath.mpf) for x in columns.value)
    np.testing.assert_allclose(columns.value.astype(float), gradients().weights().value, rtol=1e-12)
    assert len(repr(columns).splitlines()) == 1 + min(10, len(columns.value)) + (len(columns.value) > 10)


def test_nodes_of_edges_given_as_arrays_are_numbers() -> None:
    program = gp.Program.from_edges(2, [0, 2, 1], [2, 3, 3], "tanh", bias=True)
    weights = program.named(np.arange(5.0)).weights()
    assert weights.parent.dtype.kind == weights.child.dtype.kind == "i"
    rows = zip(*(weights[name].tolist() for name in ("parent", "child", "position", "value")), strict=True)
    assert sorted(rows) == [(0, 2, 0, 0.0), (1, 3, 2, 2.0), (2, 3, 1, 1.0)]
    assert program.named(np.arange(5.0)).biases().node.tolist() == [2, 3]
    assert program.to_network().weights().parent.dtype.kind == "i"


@pytest.mark.parametrize("names", [(2**70, 1, 2), (1, "1", (1, 1)), ("a\0", "a", "\0"), ((1, 2), (3, 4), (5, 6))])
def test_names_come_back_as_they_are(names: tuple[Any, ...]) -> None:
    net = gp.Network()
    net.add_input(names[0])
    net.add_node(names[1], "tanh", {names[0]: 0.5})
    net.add_node(names[2], "tanh", {names[0]: 1.5, names[1]: 2.5}, bias=0.25)
    weights = net.weights()
    assert [*weights.parent, *weights.child] == [names[0], names[0], names[1], names[1], names[2], names[2]]
    for u, v, w in zip(weights.parent, weights.child, weights.value, strict=True):
        assert net.weight(u, v) == w
    assert net.biases().node.tolist() == [names[2]]


@door
def test_a_data_frame_is_made_of_them(door: str) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed, whose frames are made")
    for columns in (DOORS[door][0].weights(), DOORS[door][0].biases()):
        frame = pandas.DataFrame(columns)
        assert frame.columns.tolist() == list(columns)
        assert frame["value"].tolist() == columns.value.tolist()
        assert frame.iloc[:, 0].tolist() == next(iter(columns.values())).tolist()


def test_another_structure_has_other_rows_and_older_columns_stay() -> None:
    net = example()
    before = net.weights()
    rows = len(before.value)
    net.add_edge("x", "p", 0.75, to=2)
    after = net.weights()
    assert len(before.value) == rows == len(after.value) - 1
    i = int(np.flatnonzero((after.parent == "x") & (after.child == "p"))[0])
    assert (after.to[i], after.of[i], after.value[i]) == (2, 0, 0.75)


CHANGES: list[Callable[[Any], object]] = [
    lambda c: c.update(value=np.zeros(1)),
    lambda c: c.__setitem__("value", np.zeros(1)),
    lambda c: c.__delitem__("value"),
    lambda c: c.__ior__({"value": 1}),
    lambda c: c.pop("value"),
    lambda c: c.popitem(),
    lambda c: c.clear(),
    lambda c: c.setdefault("more", 1),
    lambda c: setattr(c, "value", 1),
    lambda c: delattr(c, "value"),
    *(lambda c, name=name: c[name].__setitem__(0, 1) for name in example().weights()),
]


@pytest.mark.parametrize("change", CHANGES)
def test_columns_cannot_be_changed(change: Callable[[Any], object]) -> None:
    net = example()
    columns = net.weights()
    with pytest.raises(ValueError, match=r"cannot be changed|read-only"):
        change(columns)
    assert list(columns) == list(net.weights())
    assert all(np.array_equal(columns[name], net.weights()[name]) for name in columns)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_are_the_same_and_as_frozen(copied: Callable[[Columns], Columns]) -> None:
    columns = example().weights()
    other = copied(columns)
    assert type(other) is Columns
    assert repr(other) == repr(columns)
    with pytest.raises(GraphpropError, match="cannot be changed"):
        other["value"] = np.zeros(1)
    with pytest.raises(ValueError, match="read-only"):
        other.value[0] = 1.0


def test_a_column_that_is_not_there_is_told_which_are() -> None:
    with pytest.raises(
        AttributeError, match="no column 'weight'; the columns are parent, child, to, of, position, value"
    ):
        _ = example().weights().weight
    assert "child" in dir(example().weights())


def test_a_network_without_edges_or_biases_has_empty_columns() -> None:
    net = gp.Network()
    net.add_input("x")
    assert [len(column) for column in net.weights().values()] == [0] * 6
    assert repr(net.biases()) == "node  component  position  value"
    assert net.named([]).weights().value.shape == (0,)


def test_what_is_shown_is_short_and_its_names_stay_in_their_cells() -> None:
    net = gp.Network()
    net.add_input("<b>\n\x1b[31m")
    for v in range(300):
        net.add_node(v, "tanh", {"<b>\n\x1b[31m": 0.5})
    text, page = repr(net.weights()), net.weights()._repr_html_()
    assert len(text.splitlines()) == 12
    assert text.splitlines()[-1] == "... 290 more"
    assert "\x1b" not in text
    assert "<b>" not in page
    assert "100 of 300 rows" in page


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0, 2.0], r"an array aligned with theta has shape \(15,\), not \(2,\)"),
        (np.zeros((15, 1)), r"not \(15, 1\)"),
        ("theta", "numbers are needed, not 'theta'"),
        (None, "numbers are needed"),
        ([1j] * 15, "real numbers are needed"),
    ],
)
def test_what_is_not_aligned_with_theta_is_refused(given: Any, message: str) -> None:
    net = example()
    for held in (net, gp.compile(net)):
        with pytest.raises(GraphpropError, match=message):
            held.named(given)


def test_names_that_are_none_are_refused_as_in_gradients() -> None:
    named, g = example().named(flat()), gradients()
    for held in (named, g):
        with pytest.raises(gp.UnknownNameError, match="did you mean"):
            held.weight["x", "3"]
        with pytest.raises(gp.UnknownNameError, match="node 'y' has no bias"):
            held.bias["y"]
        with pytest.raises(gp.UnknownNameError, match="unknown parameter 'g'"):
            held.parameter["g"]


def test_named_numbers_are_a_copy() -> None:
    net, given = example(), flat()
    named = net.named(given)
    given[:] = 7.0
    assert named.theta.tolist() == flat().tolist()
    with pytest.raises(ValueError, match="read-only"):
        named.theta[0] = 1.0
    assert repr(named) == "<Named numbers: 11 of weights, 3 of biases, 1 named parameters>"
