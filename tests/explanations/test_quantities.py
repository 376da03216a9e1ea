"""The quantities of explanations and pages: one function for each kind, and nan in the place of what is not known."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphprop.explanations.book import DERIVATIONS, Book
from graphprop.explanations.known import Known
from graphprop.explanations.quantities import QUANTITIES, Key, Kind
from graphprop.passes.addresses import of_gradients, of_trace
from tests.random_graphs import graphs, objectives


def test_each_kind_has_a_function_for_its_number_and_one_for_its_formula() -> None:
    assert set(QUANTITIES) == set(DERIVATIONS) == set(get_args(Kind))


def given_keys(layout: Any) -> dict[str, list[Key]]:
    """By kind the keys of everything that a pass gives, in order, for one sample."""
    rows, columns = int(layout.a_start[-1]), int(layout.o_start[-1])
    return {
        "a": [("a", 0, row) for row in range(rows)],
        "o": [("o", 0, column) for column in range(columns)],
        "delta": [("delta", 0, row) for row in range(rows)],
        "obar": [("obar", 0, column) for column in range(columns)],
        "weight": [("weight", None, use) for use in range(len(layout.row))],
        "bias": [("bias", None, use) for use in range(len(layout.bias_row))],
        "value": [("goal",)],
    }


@pytest.mark.parametrize("with_trace", [False, True])
@pytest.mark.parametrize("with_gradients", [False, True])
@given(data=st.data())
def test_what_was_given_is_told_and_what_was_not_is_nan(
    data: st.DataObject, with_trace: bool, with_gradients: bool
) -> None:
    net, inputs = data.draw(graphs(max_nodes=4))
    trace = net.forward(inputs)
    g = net.backward(trace, **data.draw(objectives(net)))
    known = Known(net.layout, net.theta.copy(), trace if with_trace else None, g if with_gradients else None)
    book = Book(known, data.draw(st.sampled_from(["children", "parents"])), labelled=False, gaps=True)
    expected = (of_trace(trace) if with_trace else {}) | (of_gradients(g) if with_gradients else {})
    for kind, keys in given_keys(net.layout).items():
        told = [book.quantity(key).value for key in keys]
        right = np.ravel(expected[kind]).tolist() if kind in expected else [math.nan] * len(keys)
        np.testing.assert_array_equal(told, right)
        for key in keys:
            assert book.quantity(key).key == key
