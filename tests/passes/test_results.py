"""What a trace and gradients promise: they stand alone, speak by name, and say where two of them differ."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pytest

import graphprop as gp


def example() -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_input("v", size=2)
    net.add_node("h", "tanh", {"x": 0.5, "v": [1.0, -1.0]}, bias=0.1)
    net.add_node("p", "softmax", {"h": [1.0, 2.0]}, bias=[0.0, None])
    net.add_node("y", "softmax_dot", {"p": [[1.0, None], [None, 2.0]], "h": [0.5, None]})
    return net


INPUTS = {"x": 0.3, "v": [0.2, -0.7]}
BATCH = {"x": [0.3, 0.4], "v": [[0.2, -0.7], [1.0, 1.0]]}


def test_shapes_are_those_of_the_thing() -> None:
    net = example()
    trace = net.forward(INPUTS)
    g = net.backward(trace, "y")
    assert isinstance(trace.o["h"], float)
    assert trace.a["p"].shape == trace.o["p"].shape == g.delta["p"].shape == g.o["p"].shape == (2,)
    assert isinstance(g.gamma["h"], float)
    assert g.weight["p", "y"].shape == (2, 2)
    assert np.isnan(g.weight["p", "y"]).tolist() == [[False, True], [True, False]]
    assert g.weight["v", "h"].shape == (2,)
    assert np.isnan(g.bias["p"]).tolist() == [False, True]
    assert g.input["v"].shape == (2,)
    assert g.theta.shape == net.theta.shape


def test_with_a_batch_the_first_axis_is_the_sample() -> None:
    net = example()
    trace = net.forward(BATCH)
    g = net.backward(trace, "y")
    assert trace.o["h"].shape == g.gamma["h"].shape == (2,)
    assert trace.o["p"].shape == g.delta["p"].shape == (2, 2)
    assert g.weight["p", "y"].shape == (2, 2)
    first = net.backward(net.forward(INPUTS), "y")
    assert g.gamma["h"][0] == first.gamma["h"]


def test_results_stand_alone() -> None:
    net = example()
    trace = net.forward(INPUTS)
    before = net.backward(trace, "y")
    net.theta *= 2
    after = net.backward(trace, "y")
    np.testing.assert_array_equal(before.theta, after.theta)
    assert net.forward(INPUTS).o["y"] != trace.o["y"]
    with pytest.raises(ValueError, match="read-only"):
        trace.theta[0] = 1.0
    trace.o["p"][0] = 9.0
    assert trace.o["p"][0] != 9.0


def test_a_trace_of_another_structure_is_refused() -> None:
    net = example()
    trace = net.forward(INPUTS)
    net.add_edge("x", "y", 1.0, to=0)
    with pytest.raises(gp.GraphpropError, match="the trace is of another structure"):
        net.backward(trace, "y")
    with pytest.raises(gp.GraphpropError, match=r"a trace of net\.forward is needed, not dict"):
        net.backward({}, "y")


def test_results_are_pickled_with_what_they_need() -> None:
    net = example()
    trace = pickle.loads(pickle.dumps(net.forward(BATCH)))
    g = net.backward(trace, "y")
    again = pickle.loads(pickle.dumps(g))
    np.testing.assert_array_equal(again.theta, g.theta)
    assert again.gamma["h"].tolist() == g.gamma["h"].tolist()


def test_names_that_are_not_there_are_explained() -> None:
    net = example()
    trace = net.forward(INPUTS)
    g = net.backward(trace, "y")
    cases = [
        (trace.a, "x", "'x' is an input, which has no pre-activation"),
        (trace.o, "q", "unknown node 'q'"),
        (g.gamma, "p", r"node 'p' has a vector of pre-activations; its sensitivity is delta\['p'\]"),
        (g.delta, "h", r"node 'h' is scalar; its sensitivity is gamma\['h'\]"),
        (g.gamma, "y", r"delta\['y'\]"),
        (g.gamma, "x", r"its derivative is input\['x'\]"),
        (g.gamma, "q", "unknown node 'q'"),
        (g.weight, ("x", "p"), "unknown edge"),
        (g.weight, ("x", "q"), "unknown node 'q'"),
        (g.weight, "x", "an edge is a pair of node names"),
        (g.bias, "y", "node 'y' has no bias"),
        (g.bias, "q", "unknown node 'q'"),
        (g.input, "h", "'h' is no input"),
        (g.parameter, "f", "unknown parameter 'f'"),
    ]
    for mapping, name, message in cases:
        with pytest.raises(gp.UnknownNameError, match=message):
            mapping[name]
        assert name not in mapping
        assert mapping.get(name) is None


def test_mappings_list_their_names() -> None:
    g = example().backward(example().forward(INPUTS), "y")
    assert list(g.delta) == ["p", "y"]
    assert list(g.gamma) == ["h"]
    assert list(g.bias) == ["h", "p"]
    assert list(g.input) == ["x", "v"]
    assert ("h", "y") in g.weight
    assert len(g.weight) == 5
    assert g.weight._ipython_key_completions_() == list(g.weight)
    assert dict(g.gamma) == {"h": g.gamma["h"]}


def test_representations_are_compact_and_escaped() -> None:
    net = example()
    net.add_node("<b>&", "tanh", {"x": 1.0})
    trace = net.forward(INPUTS)
    g = net.backward(trace, "y")
    assert repr(trace).startswith("<Trace of 6 nodes, 1 sample: y = ")
    assert repr(net.forward(BATCH)).startswith("<Trace of 6 nodes, 2 samples: ")
    assert repr(g).startswith("<Gradients of o[y] = ")
    for table in (trace._repr_html_(), g._repr_html_()):
        assert "<b>" not in table
        assert "&lt;b&gt;&amp;" in table
    big = gp.mlp([2, 150, 1])
    assert "100 of 153 nodes" in big.forward([1.0, 2.0])._repr_html_()
    assert len(repr(big.forward([1.0, 2.0]).o)) < 400


def test_a_difference_names_the_worst_entry() -> None:
    net = example()
    trace = net.forward(INPUTS)
    g = net.backward(trace, "y")
    assert g.allclose(g)
    assert g.difference(g).absolute == 0.0
    uses = g.weight_uses.copy()
    uses[3] *= 1 + 1e-6
    arrays = {name: getattr(g, name) for name in ("layout", "objective", "value", "a_flat", "o_flat", "bias_uses")}
    other = gp.Gradients(**arrays, weight_uses=uses, batched=False, calls=0)
    assert not g.allclose(other)
    found = g.difference(other)
    assert found.entry == "w(0, h, p)"
    assert found.relative == pytest.approx(1e-6, rel=1e-3)
    assert "w(0, h, p)" in str(found)
    with pytest.raises(gp.GraphpropError, match="different structures"):
        g.difference(net.backward(net.forward(BATCH), "y"))


def test_small_numbers_are_compared_by_their_own_size() -> None:
    net = example()
    trace = net.forward(INPUTS)
    one, other = (net.backward(trace, seed={"y": seed}) for seed in (1e-13, 2e-13))
    assert not one.allclose(other)
    assert one.difference(other).relative == 0.5


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_what_cancelled_is_held_to_a_thousandth_of_the_largest_of_its_kind(size: float) -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("y", "identity", {"x": [1.0, 1.0]})
    g = net.backward(net.forward([size, 0.0]), "y")
    for off, close in ((0.9e-12, True), (1.1e-12, False)):
        arrays = {name: getattr(g, name) for name in ("layout", "objective", "value", "a_flat", "o_flat", "bias_uses")}
        other = gp.Gradients(**arrays, weight_uses=np.array([size, off * size]), batched=False, calls=0)
        assert g.allclose(other, rtol=1e-9) is close


def test_what_differs_by_just_as_much_as_is_allowed_agrees() -> None:
    """So with nothing allowed the same numbers agree, and with half of the larger one its half does."""
    net = example()
    trace = net.forward(INPUTS)
    g, double = net.backward(trace, seed={"y": 1.0}), net.backward(trace, seed={"y": 2.0})
    assert g.allclose(net.backward(trace, seed={"y": 1.0}), rtol=0)
    assert g.allclose(double, rtol=0.5)
    assert not g.allclose(double, rtol=np.nextafter(0.5, 0))


def test_of_a_value_and_a_derivative_that_differ_the_one_that_differs_more_is_named() -> None:
    """However small the value is."""
    g = example().backward(example().forward(INPUTS), "y")
    arrays = {name: getattr(g, name) for name in ("layout", "objective", "a_flat", "o_flat", "bias_uses")}
    uses = g.weight_uses.copy()
    uses[0] *= 1 + 1e-6
    for factor, named in ((1 + 1e-3, "value"), (1 + 1e-9, "w(x, h)")):
        changed = gp.Gradients(**arrays, value=g.value * factor, weight_uses=uses, batched=False, calls=0)
        assert g.difference(changed).entry == named


def test_a_difference_names_the_sample() -> None:
    net = example()
    g = net.backward(net.forward(BATCH), "y")
    delta = g.a_flat.copy()
    delta[1, 0] *= 2
    arrays = {name: getattr(g, name) for name in ("layout", "objective", "value", "o_flat", "weight_uses", "bias_uses")}
    other = gp.Gradients(**arrays, a_flat=delta, batched=True, calls=0)
    assert g.difference(other).entry == "delta[h] of sample 1"


def test_what_was_not_asked_for_in_both_is_no_difference() -> None:
    net = example()
    some = gp.recursion.backpropagate(net, net.forward(INPUTS), "y", form="parents", of=["y"])
    assert some.allclose(some)
    assert some.difference(some).absolute == 0.0


def test_nan_is_a_difference() -> None:
    net = example()
    trace = net.forward(INPUTS)
    g, some = net.backward(trace, "y"), gp.recursion.backpropagate(net, trace, "y", form="parents", of=["y"])
    assert not g.allclose(some)
    assert g.difference(some).relative == np.inf


def test_a_tie_that_was_asked_for_in_part_is_not_given() -> None:
    net = gp.Network()
    net.add_input("x")
    f = net.parameter("f", 0.5)
    net.add_node("h", "tanh", {"x": f})
    net.add_node("y", "tanh", {"h": f})
    trace = net.forward([1.0])
    g = gp.recursion.backpropagate(net, trace, "y", form="parents", of=["y"])
    assert np.isnan(g.parameter["f"])
    assert not np.isnan(g.weight["h", "y"])


def test_a_parameter_of_other_numbers_keeps_them() -> None:
    net = gp.Network()
    net.add_input("x")
    f, k = net.parameter("f", 0.5), net.parameter("k", [2.0, 3.0])
    net.add_node("h", "identity", {"x": f})
    net.add_node("y", "softmax_dot", {"h": [k[0], k[1]]})
    trace = gp.recursion.forward(net, [1.0], numbers=mpmath.mp)
    g = gp.recursion.backpropagate(net, trace, "y")
    assert isinstance(g.parameter["f"], mpmath.mpf)
    assert g.parameter["k"].shape == (2,)


def test_what_cannot_be_a_name_is_no_name() -> None:
    g = example().backward(example().forward(INPUTS), "y")
    for mapping in (g.delta, g.gamma, g.bias, g.o, g.weight, g.input, g.parameter):
        assert [1] not in mapping
        assert mapping.get([1]) is None
        with pytest.raises(gp.UnknownNameError, match="a name is a text, an integer or a tuple"):
            mapping[[1]]
    for other in (None, 3):
        with pytest.raises(gp.GraphpropError, match="gradients are compared with gradients"):
            g.allclose(other)
    with pytest.raises(ValueError, match="read-only"):
        g.theta[0] = 1.0


def test_a_matrix_of_gradients_does_not_take_what_was_not_asked_for_as_zero() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("p", "tanh", {"x": 2.0})
    net.add_node("q", "softmax_dot", {"p": [None, 4.0], "x": [3.0, 1.0]})
    g = gp.recursion.backpropagate(net, net.forward([1.0]), "q", form="parents", of=["q"])
    matrix = g.weight_matrix(rows=["p", "q"], columns=["x", "p"])
    assert np.isnan(matrix).tolist() == [[True, False], [False, False], [False, False]]
    assert matrix[1, 1] == 0.0
