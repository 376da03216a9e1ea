"""Every golden graph by the engine: at the recursion's own tolerance in float64, at that of float32 in float32."""

from __future__ import annotations

import numpy as np
import pytest

import graphprop as gp
from tests import golden
from tests.absolute_terms import absolute_terms, roundings
from tests.against_recursion import input_rows
from tests.textbook.test_golden import agrees


@pytest.mark.parametrize("copies", [None, 1, 3, 20])
@pytest.mark.parametrize(("name", "k"), golden.CASES)
def test_graph(name: str, k: int, copies: int | None) -> None:
    """Every sample of a batch of the same one has its values, and a mean is that of one."""
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    row = input_rows(net, golden.inputs(graph))
    goal = golden.objective(expected)
    if copies is not None and "target" in goal:
        goal["target"] = {v: np.repeat(np.asarray(t)[None], copies, axis=0) for v, t in goal["target"].items()}
    trace = net.forward(row if copies is None else np.tile(row, (copies, 1)))
    g = net.backward(trace, **goal)
    total = copies or 1
    mean = "loss" in goal  # else a sum
    assert agrees(g.value / (1 if mean else total), expected["value"])
    for found, numbers in ((trace.a, graph["expect"]["a"]), (trace.o, graph["expect"]["o"])):
        for v, entries in numbers.items():
            for row_of_sample in np.reshape(found[v], (total, -1)):
                assert all(map(agrees, row_of_sample, entries)), v
    per_sample = total if mean else 1
    summed = 1 if mean else 1 / total
    for edge, number in zip(graph["edges"], expected["dJ_dw"], strict=True):
        u, v = edge["src"], edge["dst"]
        block = np.reshape(g.weight[u, v], (np.size(trace.a[v]) // total, np.size(trace.o[u]) // total))
        assert agrees(block[edge["dst_comp"], edge["src_comp"]] * summed, number), edge
    for v, numbers in expected["dJ_da"].items():
        sensitivity = g.delta[v] if v in g.delta else g.gamma[v]
        assert all(map(agrees, np.reshape(sensitivity, (total, -1))[-1] * per_sample, numbers)), v
    for v, numbers in expected["dJ_do"].items():
        assert all(map(agrees, np.reshape(g.o[v], (total, -1))[-1] * per_sample, numbers)), v
    for parameter, number in expected.get("dJ_dtheta", {}).items():
        assert agrees(g.parameter[parameter] * summed, number), parameter


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "k"), golden.CASES)
def test_gradient_by_theta(name: str, k: int, dtype: type) -> None:
    """The gradients of one sweep, where each use of a weight is one position of theta or is tied by name."""
    graph = golden.GRAPHS[name]
    if dtype is np.float32 and name == "saturated_softmaxdot":
        pytest.skip("it turns on a difference of 1 between numbers of 2^53, which are equal in float32")
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    row = input_rows(net, golden.inputs(graph))
    program, theta, goal = gp.compile(net), net.theta.astype(dtype), golden.objective(expected)
    terms = absolute_terms(gp.recursion.backpropagate(net, gp.recursion.forward(net, row), **goal))
    if "loss" in goal:
        value, gradient = program.value_and_grad(theta, row, goal["target"], loss=goal["loss"])
        allowed = 0.0 if dtype is np.float64 else roundings(dtype) * terms.value
        assert agrees(value, expected["value"]) or abs(value - float(expected["value"])) <= allowed
    else:
        seed = np.zeros(np.shape(net.forward(row).o[goal["node"]]))
        seed[goal["component"] if seed.ndim else ()] = 1.0
        gradient, _ = program.vjp(theta, row, {goal["node"]: seed})
    assert gradient.dtype == dtype
    numbers = [float(x) for x in expected["dJ_dw"]]
    by_position = np.zeros(len(net.theta))
    for edge, number in zip(graph["edges"], numbers, strict=True):
        if "tie" not in edge:
            by_position[_position(net, edge)] = number
    untied = np.setdiff1d(np.unique(net.layout.position), [int(p) for p in net.layout.parameters.values()])
    for parameter, number in expected.get("dJ_dtheta", {}).items():
        by_position[net.layout.parameters[parameter]] = float(number)
        untied = np.append(untied, net.layout.parameters[parameter])
    allowed_by_theta = 1e-12 * np.abs(by_position) if dtype is np.float64 else roundings(dtype) * terms.theta
    assert (np.abs(gradient - by_position)[untied] <= allowed_by_theta[untied] + 1e-24).all()


def _position(net: gp.Network, edge: dict[str, object]) -> int:
    layout = net.layout
    e = layout.find_edge(edge["src"], edge["dst"])
    return int(layout.scatter_edge(e, layout.position.astype(float))[edge["dst_comp"], edge["src_comp"]])
