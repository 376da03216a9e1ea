"""What the engine gives, compared number by number with the recursion, whose way through the graph is another."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphprop as gp
from tests.absolute_terms import absolute_terms, forward_terms, roundings


def assert_close(found: Any, expected: Any, tolerance: float, scale: Any = 0.0) -> None:
    """Equal to this tolerance relative to each number, or to the scale if that is larger; infinities are equal."""
    x, y = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert x.shape == y.shape
    with np.errstate(invalid="ignore"):
        same = (x == y) | (np.abs(x - y) <= tolerance * np.maximum(np.abs(y), scale))
    assert same.all(), (x[~same][:4], y[~same][:4], np.argwhere(~same)[:4].tolist())


def assert_same_trace(net: gp.Network, inputs: Any) -> gp.Trace:
    """Every value of `net.forward` is that of the recursion; gives the recursion's trace."""
    expected, found = gp.recursion.forward(net, inputs), net.forward(inputs)
    assert found.batched == expected.batched
    terms = forward_terms(expected)
    assert_close(found.a_flat, expected.a_flat, roundings(float), terms.a)
    assert_close(found.o_flat, expected.o_flat, roundings(float), terms.o)
    return expected


def assert_same_gradients(net: gp.Network, trace: gp.Trace, **objective: Any) -> gp.Gradients:
    """Value and every derivative of `net.backward` are those of the recursion; gives the recursion's."""
    expected = gp.recursion.backpropagate(net, trace, **objective)
    found, terms = net.backward(trace, **objective), absolute_terms(expected)
    assert_close(found.value, expected.value, roundings(float), terms.value)
    for kind, scale in (("a_flat", terms.by_a), ("o_flat", terms.by_o)):
        assert_close(getattr(found, kind), getattr(expected, kind), roundings(float), scale)
    for kind in ("weight_uses", "bias_uses", "theta"):
        assert_close(getattr(found, kind), getattr(expected, kind), roundings(float), getattr(terms, kind))
    assert str(found.objective) == str(expected.objective)
    return expected


def assert_same_descent(found: tuple[float, Any], expected: gp.Gradients) -> None:
    """A value and its gradient by theta are those of the recursion, to some roundings in the gradient's precision."""
    value, gradient = found
    terms, tolerance = absolute_terms(expected), roundings(gradient.dtype)
    assert_close(value, expected.value, tolerance, terms.value)
    assert_close(gradient, expected.theta, tolerance, terms.theta)


def assert_same_pull(found: tuple[Any, Any], expected: gp.Gradients) -> None:
    """Gradients by theta and by the inputs, as `vjp` gives them, are those of the recursion."""
    (theta, inputs), terms, columns = found, absolute_terms(expected), expected.layout.input_columns
    assert_close(theta, expected.theta, roundings(theta.dtype), terms.theta)
    by_inputs = expected.o_flat[:, columns]
    assert_close(inputs.reshape(by_inputs.shape), by_inputs, roundings(theta.dtype), terms.by_o[:, columns])


def assert_same_outputs(found: Any, net: gp.Network, trace: gp.Trace) -> None:
    """What `predict` gives are the outputs of the heads in the recursion's trace."""
    columns = np.concatenate([np.arange(*_span(net, name)) for head in net.layout.heads for name in head])
    expected, terms = trace.o_flat[:, columns], forward_terms(trace).o[:, columns]
    assert_close(found.reshape(expected.shape), expected, roundings(found.dtype), terms)


def _span(net: gp.Network, name: Any) -> tuple[int, int]:
    span = net.layout.o_slice(net.layout.find(name))
    return span.start, span.stop


def heads(net: gp.Network, trace: gp.Trace) -> np.ndarray[Any, Any]:
    """The outputs of the heads in order, a row for each sample: what `predict` promises."""
    parts = [
        np.reshape(trace.o[name], (trace.samples, -1)) if trace.batched else np.reshape(trace.o[name], (1, -1))
        for head in net.layout.heads
        for name in head
    ]
    return np.hstack(parts)


def input_rows(net: gp.Network, inputs: dict[Any, Any]) -> np.ndarray[Any, Any]:
    """Inputs by name as the array with the columns of all inputs, one sample."""
    return np.concatenate([np.atleast_1d(inputs[name]) for name in net.inputs]).astype(float)
