"""What a network refuses, and that it changes nothing then."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.graph.network_cases import (
    example,
    fingerprint,
)

BAD: list[tuple[str, Any, str]] = [
    ("activation", lambda n: n.add_node("z", "sigmod", {"x1": 1.0}), r"node 'z': unknown activation 'sigmod'; did you"),
    ("activation type", lambda n: n.add_node("z", math.tanh, {"x1": 1.0}), "a name or a gp.Activation"),
    (
        "parent",
        lambda n: n.add_node("z", "tanh", {"h3": 1.0}),
        r"node 'z', parent: unknown node 'h3'; known: x1, x2, h1",
    ),
    ("parents", lambda n: n.add_node("z", "tanh", ["x1"]), "parents are a mapping"),
    ("duplicate node", lambda n: n.add_node("h1", "tanh", {"x1": 1.0}), "node 'h1' exists already"),
    ("duplicate input", lambda n: n.add_input("x1"), "node 'x1' exists already"),
    ("input size", lambda n: n.add_input("z", size=2**70), "and at most 2,147,483,648, not 1180591620717411303424"),
    (
        "input size",
        lambda n: n.add_input("z", size=0),
        "size is a whole number of at least 1 and at most 2,147,483,648, not 0",
    ),
    (
        "shape",
        lambda n: n.add_node("z", "tanh", {"x1": [1.0, 2.0]}),
        r"'x1' -> 'z' has shape \(2,\); it should have \(\) \(one number\); "
        "a node or an input of several components is made with size=$",
    ),
    (
        "vector shape",
        lambda n: n.add_node("z", "tanh", {"x1": [1.0, 2.0]}, size=3),
        r"shape \(2,\); it should have \(3,\)$",
    ),
    (
        "disagree",
        lambda n: n.add_node("z", "softmax", {"x1": [1.0, 2.0], "x2": [1.0]}),
        "disagree on its number of comp",
    ),
    ("components", lambda n: n.add_node("z", "softmax"), "number of components is unknown; give size="),
    ("no components", lambda n: n.add_node("z", "softmax", bias=[]), "node 'z': size is a whole number of at least 1"),
    (
        "ragged",
        lambda n: n.add_node("z", "softmax", {"x1": [[1.0], [1.0, 2.0]]}),
        "rows have different lengths|regular",
    ),
    ("deep", lambda n: n.add_node("z", "softmax", {"x1": [[[[1.0]]]]}), "at most two axes|shape"),
    ("nan", lambda n: n.add_node("z", "tanh", {"x1": math.nan}), "the weight of edge 'x1' -> 'z' is nan"),
    ("inf", lambda n: n.add_node("z", "softmax", {"x1": [1.0, math.inf]}), r"is inf at \(1, 0\)"),
    ("text", lambda n: n.add_node("z", "tanh", {"x1": "1.0"}), "numbers are needed, not '1.0'"),
    ("complex", lambda n: n.add_node("z", "tanh", {"x1": 1j}), "real numbers are needed"),
    ("all absent", lambda n: n.add_node("z", "softmax", {"x1": [None, None]}), "has no entry"),
    ("second parent bad", lambda n: n.add_node("z", "tanh", {"x1": 1.0, "x2": math.nan}), "is nan"),
    (
        "bias shape",
        lambda n: n.add_node("z", "tanh", {"x1": 1.0}, bias=[1.0, 2.0]),
        r"bias of node 'z' has shape \(2,\); it should .*; with size=2 the node has 2 components$",
    ),
    ("bias nan", lambda n: n.add_node("z", "tanh", {"x1": 1.0}, bias=math.nan), "bias of node 'z' is nan"),
    ("duplicate edge", lambda n: n.add_edge("x1", "y", [1.0, 2.0]), "edge 'x1' -> 'y' exists already"),
    ("duplicate entry", lambda n: n.add_edge("x1", "y", 1.0, to=1), "the entry to=1, of=0 exists already"),
    ("self-loop", lambda n: n.add_edge("y", "y", [1.0, 2.0]), "edge 'y' -> 'y' is a self-loop"),
    ("cycle", lambda n: n.add_edge("y", "h1", 1.0), "edge 'y' -> 'h1' closes the cycle h1 -> y -> h1"),
    ("into an input", lambda n: n.add_edge("y", "x1", 1.0), "nothing flows into an input"),
    ("edge from", lambda n: n.add_edge("q", "y", 1.0), "edge: unknown node 'q'"),
    ("edge to", lambda n: n.add_edge("y", "q", 1.0), "edge: unknown node 'q'"),
    ("unhashable", lambda n: n.add_edge(["x1"], "y", 1.0), "unknown node"),
    ("to", lambda n: n.add_edge("x2", "y", 1.0, to=2), r"to=2 is out of range; components of 'y' are 0 to 1"),
    ("of", lambda n: n.add_edge("x2", "y", 1.0, to=0, of=-1), "of=-1 is out of range"),
    ("edge shape", lambda n: n.add_edge("x2", "y", 1.0), r"has shape \(\); it should have \(2,\)"),
    ("edge nan", lambda n: n.add_edge("x2", "y", [1.0, math.nan]), "is nan"),
    ("remove node", lambda n: n.remove_node("q"), "unknown node 'q'"),
    ("remove edge", lambda n: n.remove_edge("h1", "x1"), "unknown edge 'h1' -> 'x1'; the parents of 'x1' are: none"),
    (
        "set_weight edge",
        lambda n: n.set_weight("h1", "h2", 1.0),
        "'h1' -> 'h2'; the parents of 'h2' are: 'x1', 'x2'",
    ),
    ("set_weight shape", lambda n: n.set_weight("h1", "y", 1.0), r"shape \(\); it should have \(2,\)"),
    ("set_weight nan", lambda n: n.set_weight("h1", "y", [1.0, math.nan]), "every entry that exists needs a number"),
    ("set_weight inf", lambda n: n.set_weight("h1", "y", [1.0, math.inf]), "is inf"),
    ("set_bias of input", lambda n: n.set_bias("x1", 1.0), "is an input, which has no bias"),
    ("set_bias nan", lambda n: n.set_bias("h2", math.nan), "is nan"),
    ("bias of unknown", lambda n: n.bias("q"), "unknown node 'q'"),
    ("theta size", lambda n: setattr(n, "theta", np.zeros(3)), r"theta has shape \(11,\), not \(3,\)"),
    ("theta nan", lambda n: setattr(n, "theta", np.full(11, math.nan)), r"theta\[0\], w\(x1, h1\), would be nan"),
    ("theta mask", lambda n: setattr(n, "theta", np.full(11, -math.inf)), r"theta\[0\], w\(x1, h1\), would be -inf"),
    ("theta text", lambda n: setattr(n, "theta", "abc"), "numbers are needed"),
    ("outputs", lambda n: n.set_outputs("q"), "outputs: unknown node 'q'"),
    ("outputs twice", lambda n: n.set_outputs("y", ["h1", "y"]), "'y' is named twice"),
    ("outputs empty", lambda n: n.set_outputs([]), "an empty list is no head"),
    ("parameter nan", lambda n: n.parameter("f", math.nan), "parameter 'f' is not finite"),
    ("parameter empty", lambda n: n.parameter("f", []), "parameter 'f' is empty"),
    ("huge", lambda n: n.add_node("z", "tanh", {"x1": 10**400}), "real numbers are needed"),
    ("huge bias", lambda n: n.set_bias("h1", 10**400), "real numbers are needed"),
    ("masked array", lambda n: n.add_node("z", "softmax", {"x1": np.ma.array([1.0, 2.0], mask=[0, 1])}), "are masked"),
    (
        "trainable",
        lambda n: n.add_node("z", "tanh", {"x1": 1.0}, trainable="no"),
        "is True or False, not 'no'",
    ),
    ("trainable edge", lambda n: n.add_edge("x2", "y", [1.0, 2.0], trainable=(1, 2)), "trainable is True or False"),
    ("trainable parameter", lambda n: n.parameter("f", 1.0, trainable=None), "trainable is True or False"),
    ("trainable mask", lambda n: setattr(n, "trainable", [True]), "one of them for each of 11 parameters"),
    ("seed", lambda n: n.randomize(None), "a seed is a whole number of at least 0, not None"),
    ("seed type", lambda n: n.randomize("a"), "a seed is a whole number"),
    ("empty matrix", lambda n: n.weight_matrix([], []), "at least one row and one column"),
    ("size", lambda n: n.add_node("z", "tanh", {"x1": 1.0}, size=2.5), "size is a whole number"),
]


@pytest.mark.parametrize(("act", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_told_and_changes_nothing(act: Any, message: str) -> None:
    net = example()
    before, view = fingerprint(net), net.theta
    with pytest.raises(gp.GraphpropError, match=message):
        act(net)
    assert fingerprint(net) == before
    view[0] = 42.0
    assert net.weight("x1", "h1") == 42.0  # not even the view was detached


def test_a_layer_without_size_is_told_how_it_gets_one() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    W = np.ones((3, 2))
    with pytest.raises(gp.GraphpropError) as caught:
        net.add_node("h", "tanh", {"x": W})
    assert str(caught.value) == (
        "the weight of edge 'x' -> 'h' has shape (3, 2); it should have (2,); with size=3 the node has 3 components"
    )
    with pytest.raises(gp.GraphpropError, match=r"it should have \(2,\)$"):  # no size makes these fit
        net.add_node("h", "tanh", {"x": np.ones(5)})
    net.add_node("h", "tanh", {"x": W}, size=3)


def test_a_declared_output_is_not_removed() -> None:
    net = example()
    net.set_outputs("y")
    with pytest.raises(gp.GraphpropError, match="declared output"):
        net.remove_node("y")


def test_conflicting_numbers_for_one_parameter_are_refused() -> None:
    net = gp.Network()
    net.add_input("x")
    f = net.parameter("f", 1.0)
    net.add_node("p", "softmax", {"x": [f, f]})
    with pytest.raises(gp.GraphpropError, match="entries that share a parameter were given different numbers"):
        net.set_weight("x", "p", [1.0, 2.0])
    assert f.value == 1.0
    net.set_weight("x", "p", [3.0, 3.0])
    assert f.value == 3.0


def test_a_parameter_name_is_used_once() -> None:
    net = example()
    net.parameter("f", 1.0)
    with pytest.raises(gp.GraphpropError, match="parameter 'f' exists already"):
        net.parameter("f", 2.0)


def test_a_longer_cycle_is_printed_node_by_node() -> None:
    net = gp.Network()
    for name in "abcd":
        net.add_node(name, "tanh")
    for u, v in ("ab", "bc", "cd"):
        net.add_edge(u, v, 1.0)
    with pytest.raises(gp.CycleError, match="edge 'd' -> 'a' closes the cycle a -> b -> c -> d -> a") as caught:
        net.add_edge("d", "a", 1.0)
    assert caught.value.cycle == ("a", "b", "c", "d", "a")
    net.remove_edge("b", "c")
    net.add_edge("d", "a", 1.0)


def test_a_node_without_parents_is_refused_when_run() -> None:
    net = example()
    net.add_node("alone", "tanh")
    with pytest.raises(gp.GraphpropError, match="node 'alone' has no parents and is no input"):
        net.forward([1.0, 2.0])
    with pytest.raises(gp.GraphpropError, match="the network has no nodes"):
        gp.Network().forward([])


def test_a_bad_number_written_into_theta_is_found_when_run() -> None:
    net = example()
    net.theta[1] = math.nan
    with pytest.raises(gp.NumberError, match=r"theta\[1\], w\(x2, h1\), is nan"):
        net.forward([1.0, 2.0])


def test_heads() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("b", "tanh", {"x": 1.0})
    net.add_node("z", "softmax", {"x": [1.0, 2.0]})
    net.add_node("c", "tanh", {"x": 1.0})
    assert net.layout.heads == (("b", "c"), ("z",))
    net.set_outputs("z", ["c", "b"])
    assert net.outputs == ("z", "c", "b")
    with pytest.raises(gp.GraphpropError, match="'z' is a vector node, which is a head of its own"):
        net.set_outputs(["z", "b"])
    net.set_outputs()
    assert net.layout.heads == (("b", "c"), ("z",))


def test_numbers_are_named_by_their_use() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_input("z")
    F = net.parameter("F", [[1.0, 2.0], [3.0, 4.0]])
    net.add_node("p", "softmax", {"z": [1.0, 2.0]}, bias=[None, 0.5])
    net.add_node("h", "tanh", {"x": [1.0, 2.0], "z": F[1, 0], "p": [3.0, 4.0]}, bias=0.0)
    net.remove_edge("z", "p")
    names = [net.layout.label_position(i) for i in range(len(net.theta))]
    assert names == [
        *("F[0][0]", "F[0][1]", "F[1][0]", "F[1][1]", "theta[4]", "theta[5]", "b[p][1]"),
        *("w(x[0], h)", "w(x[1], h)", "w(p[0], h)", "w(p[1], h)", "b[h]"),
    ]
    assert net.layout.label_row(1) == "a[p][1]"
    assert net.layout.label_row(2) == "a[h]"
    assert [net.layout.label_column(k) for k in range(6)] == [
        "o[x][0]",
        "o[x][1]",
        "o[z]",
        "o[p][0]",
        "o[p][1]",
        "o[h]",
    ]


def test_numbers_are_trainable_unless_told_otherwise() -> None:
    net = example()
    net.parameter("f", 1.0)
    net.set_bias("h2", 0.0)
    assert net.trainable.all()


def test_the_entry_that_exists_is_named() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("p", "softmax", {"x": [[None, None], [None, 1.0], [None, None]]})
    with pytest.raises(gp.GraphpropError, match=r"the entry to=1, of=1 exists already"):
        net.add_edge("x", "p", [2.0, 3.0], to=1)
    with pytest.raises(gp.GraphpropError, match=r"the entry to=1, of=1 exists already"):
        net.add_edge("x", "p", [1.0, 2.0, 3.0], of=1)


def test_the_mask_of_trainable_numbers_can_be_set() -> None:
    net = example()
    net.trainable = False
    assert not net.trainable.any()
    net.trainable = np.arange(11) < 3
    assert net.trainable.sum() == 3


def test_a_parameter_goes_along_when_it_is_copied_with_its_network() -> None:
    net = example()
    f = net.parameter("f", 2.0)
    other, g = pickle.loads(pickle.dumps((net, f)))
    other.add_node("z", "tanh", {"x1": g})
    assert g.value == 2.0
    assert "z" not in net


def test_a_network_with_a_nameless_function_says_why_it_is_not_pickled() -> None:
    net = example()
    net.add_node("z", gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a * a), {"y": 1.0})
    with pytest.raises(pickle.PicklingError, match=r"activation 'cube' cannot be pickled: .*<lambda> has no name"):
        pickle.dumps(net)
    assert copy.deepcopy(net).same_structure(net)


def test_the_name_of_a_network_is_a_text() -> None:
    with pytest.raises(gp.GraphpropError, match="the name of a network is a text, not 3"):
        gp.Network(3)


def test_a_mask_leaves_with_its_node_and_does_not_become_a_weight() -> None:
    net = gp.Network()
    net.add_input("x")
    p = net.parameter("p", 0.0)
    net.add_node("s", "softmax", {"x": [1.0, 2.0]}, bias=[p, 0.0])
    net.set_bias("s", [-math.inf, 0.0])
    with pytest.raises(gp.NumberError, match="the weight of edge 'x' -> 'z' is -inf"):
        net.add_node("z", "tanh", {"x": p})
    net.add_node("y", "tanh", {"x": 1.0})
    net.remove_node("s")
    assert net.forward([0.0]).o["y"] == 0.0


def test_a_bias_without_an_entry_is_none() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "softmax", {"x": [1.0, 2.0]}, bias=[None, None])
    with pytest.raises(gp.GraphpropError, match="the bias of node 'p' has no entry"):
        net.set_bias("p", [None, None])
    net.set_bias("p", [1.0, 2.0])
    assert net.bias("p").tolist() == [1.0, 2.0]
    with pytest.raises(gp.UnknownNameError, match="'x' is an input, which has no bias"):
        net.bias("x")


def test_a_node_has_no_bias_where_there_are_no_numbers_at_all() -> None:
    net = gp.Network()
    net.add_node("y", "tanh")
    assert math.isnan(net.bias("y"))
    net.add_node("p", "softmax", size=2)
    assert np.isnan(net.bias("p")).tolist() == [True, True]


def test_absent_entries_are_given_as_nan_in_lists_too() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "softmax", {"x": [1.0, None, 2.0]})
    net.set_weight("x", "p", [3.0, math.nan, 4.0])
    assert net.theta.tolist() == [3.0, 4.0]


def test_numbers_that_were_read_are_read_only() -> None:
    net = example()
    f = net.parameter("f", [1.0, 2.0])
    for array in (net.weight("h1", "y"), f.value, net.layout.position):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9


def test_a_weight_that_was_read_goes_back_or_is_refused_with_what_to_write_for_nan() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_input("z")
    net.add_node("p", "softmax", {"x": [1.0, None, 3.0]})
    w = net.weight("x", "p")
    net.set_weight("x", "p", w)
    for door in (
        lambda: net.add_node("q", "softmax", {"x": w}),
        lambda: net.add_node("q", "tanh", {"x": w[1]}),
        lambda: net.add_node("q", "softmax", {"x": [1.0, 2.0, 3.0]}, bias=net.bias("p")),
        lambda: net.add_edge("z", "p", w),
        lambda: net.set_bias("p", w),
        lambda: gp.dense(net, ["x"], 3, weights=w[:, None]),
        lambda: gp.dense(net, ["x"], 3, "softmax", weights=w[:, None]),
    ):
        with pytest.raises(gp.NumberError, match=r"nan.*None"):
            door()
    entries = np.where(np.isnan(w), None, w)
    net.add_edge("z", "p", entries)
    net.add_node("q", "softmax", {"x": entries}, bias=entries)
    for copied in (net.weight("z", "p"), net.weight("x", "q"), net.bias("q")):
        np.testing.assert_array_equal(copied, w)
