"""What the engine gives, compared number by number with the recursion, whose way through the graph is another."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphprop as gp


def terms(net: gp.Network, trace: gp.Trace) -> np.ndarray[Any, Any]:
    """Of each pre-activation the sum of the absolute values of what it is the sum of: what rounding is relative to."""
    layout, theta = net.layout, np.where(np.isfinite(trace.theta), np.abs(trace.theta), 0.0)
    total = np.zeros(trace.a_flat.shape)
    for sample, o in zip(total, np.abs(np.nan_to_num(trace.o_flat, neginf=0.0)), strict=True):
        np.add.at(sample, layout.row, theta[layout.position] * o[layout.column])
        np.add.at(sample, layout.bias_row, theta[layout.bias_position])
    return total


def assert_close(found: Any, expected: Any, tolerance: float, scale: Any = 0.0) -> None:
    """Equal to this tolerance relative to each number, or to the scale if that is larger; infinities are equal."""
    x, y = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert x.shape == y.shape
    with np.errstate(invalid="ignore"):
        same = (x == y) | (np.abs(x - y) <= tolerance * np.maximum(np.abs(y), scale))
    assert same.all(), (x[~same][:4], y[~same][:4], np.argwhere(~same)[:4].tolist())


def assert_same_trace(net: gp.Network, inputs: Any, tolerance: float = 1e-12) -> gp.Trace:
    """Every value of `net.forward` is that of the recursion; gives the recursion's trace."""
    expected, found = gp.recursion.forward(net, inputs), net.forward(inputs)
    assert found.batched == expected.batched
    assert_close(found.a_flat, expected.a_flat, tolerance, terms(net, expected))
    largest = np.abs(np.where(np.isfinite(expected.o_flat), expected.o_flat, 0)).max(initial=1.0)
    assert_close(found.o_flat, expected.o_flat, tolerance, largest)
    return expected


def assert_same_gradients(net: gp.Network, trace: gp.Trace, tolerance: float = 1e-11, **objective: Any) -> gp.Gradients:
    """Value and every derivative of `net.backward` are those of the recursion; gives the recursion's."""
    expected = gp.recursion.backpropagate(net, trace, **objective)
    found = net.backward(trace, **objective)
    assert found.allclose(expected, rtol=tolerance), str(found.difference(expected))
    assert str(found.objective) == str(expected.objective)
    return expected


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


def input_gradients(net: gp.Network, g: gp.Gradients, samples: int) -> np.ndarray[Any, Any]:
    return np.hstack([np.reshape(g.input[name], (samples, -1)) for name in net.inputs])
