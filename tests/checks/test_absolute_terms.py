"""The tolerance of the tests themselves: wide enough for sums in any order, too narrow for any mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from tests.absolute_terms import absolute_terms, roundings
from tests.against_recursion import assert_same_descent
from tests.random_graphs import graphs, objectives
from tests.textbook import identity_cases as identities


@given(st.data())
def test_the_terms_are_at_least_those_of_all_paths(data: st.DataObject) -> None:
    """By the resolvent of the absolute matrices, which knows nothing of the forward pass's own roundings."""
    net, inputs = data.draw(graphs())
    trace, goal = gp.recursion.forward(net, inputs), data.draw(objectives(net))
    terms = absolute_terms(gp.recursion.backpropagate(net, trace, **goal))
    paths = identities.absolute_terms(net, trace, goal)
    of_theta = identities.per_theta(net, paths, np.abs(identities.outputs(net, trace)))
    assert (terms.theta * (1 + 1e-12) >= of_theta).all()


def test_of_a_linear_network_they_are_the_sums_written_out() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", "identity", {"x": [[2.0, -3.0]]}, [0.5], size=1)
    net.add_node("y", "identity", {"h": -4.0})
    g = gp.recursion.backpropagate(net, gp.recursion.forward(net, [5.0, 7.0]), "y")
    terms, h = absolute_terms(g), 0.5 + 10 + 21
    size_of_h = abs(0.5 + 10 - 21) + h  # the number itself is rounded, too
    assert terms.theta.tolist() == [4 * 5, 4 * 7, 4, size_of_h]
    assert terms.by_o.tolist() == [[8, 12, 4, 1]]


def summed(order: np.ndarray[Any, Any], terms: np.ndarray[Any, Any]) -> float:
    total = np.float32(0)
    for x in terms[order].astype(np.float32):
        total += x
    return float(total)


def repeated() -> tuple[gp.Network, np.ndarray[Any, Any]]:
    """A weight with 1600 uses, in 5 samples."""
    net = gp.Network()
    net.add_input("x", size=40)
    w = net.parameter("w", 0.03)
    net.add_node("h", "tanh", {"x": [[w] * 40] * 40}, size=40)
    net.add_node("y", "identity", {"h": np.random.default_rng(9).normal(size=(1, 40))}, size=1)
    return net, np.random.default_rng(0).normal(size=(5, 40))


@pytest.mark.parametrize("seed", range(5))
def test_8000_terms_may_be_added_in_any_order_in_single_precision(seed: int) -> None:
    net, rows = repeated()
    g = gp.recursion.backpropagate(
        net, gp.recursion.forward(net, rows), loss="half_squared", target=np.ones((5, 1)) * seed
    )
    layout, tied = net.layout, net.layout.position == net.parameters["w"].positions
    terms = (g.a_flat[:, layout.row[tied]] * g.trace.o_flat[:, layout.column[tied]]).ravel()
    apart = summed(np.random.default_rng(seed).permutation(len(terms)), terms) - terms.sum()
    largest = roundings(np.float32) * absolute_terms(g).theta[net.parameters["w"].positions]
    assert abs(apart) <= largest


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("lost", ["a use", "a sample"])
def test_what_one_use_or_sample_changes_is_more_than_rounding(lost: str, dtype: type) -> None:
    net, rows = repeated()
    trace, goal = gp.recursion.forward(net, rows), {"loss": "half_squared", "target": np.ones((5, 1))}
    g = gp.recursion.backpropagate(net, trace, **goal)
    gradient, w = g.theta.astype(dtype), int(net.parameters["w"].positions)
    assert_same_descent((g.value, gradient), g)
    if lost == "a use":
        gradient[w] -= g.weight_uses[np.argmax(np.abs(g.weight_uses[: 40 * 40]))]
    else:
        gradient[1:] -= (g.a_flat[0, -1] * trace.o_flat[0, 40:80]).astype(dtype)
    with pytest.raises(AssertionError):
        assert_same_descent((g.value, gradient), g)
