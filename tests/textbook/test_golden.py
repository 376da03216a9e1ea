"""Every golden graph in all three forms, every row of the function table, every row of the boundary policy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests import golden

FORMS = ("parents", "children", "paths")
SMALLEST = 2.0**-1074


def agrees(found: Any, expected: str, tolerance: float = 1e-12) -> bool:
    x, y = float(found), float(expected)
    return abs(x - y) <= tolerance * max(abs(y), tolerance)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "k"), golden.CASES)
def test_graph(name: str, k: int, form: str) -> None:
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    trace = net.forward(golden.inputs(graph))
    g = gp.recursion.backpropagate(net, trace, form=form, **golden.objective(expected))
    assert agrees(g.value, expected["value"])
    for v, numbers in graph["expect"]["a"].items():
        assert all(map(agrees, np.atleast_1d(trace.a[v]), numbers)), v
    for v, numbers in graph["expect"]["o"].items():
        assert all(map(agrees, np.atleast_1d(trace.o[v]), numbers)), v
    for edge, number in zip(graph["edges"], expected["dJ_dw"], strict=True):
        block = np.asarray(g.weight[edge["src"], edge["dst"]])
        shape = (np.size(trace.a[edge["dst"]]), np.size(trace.o[edge["src"]]))
        assert agrees(block.reshape(shape)[edge["dst_comp"], edge["src_comp"]], number), edge
    for v, numbers in expected["dJ_da"].items():
        sensitivity = g.delta[v] if v in g.delta else g.gamma[v]
        assert all(map(agrees, np.atleast_1d(sensitivity), numbers)), v
    for v, numbers in expected["dJ_do"].items():
        assert all(map(agrees, np.atleast_1d(g.o[v]), numbers)), v
    for parameter, number in expected.get("dJ_dtheta", {}).items():
        assert agrees(g.parameter[parameter], number), parameter


def test_parallel_edges_are_refused() -> None:
    with pytest.raises(gp.GraphpropError, match=r"edge 'x' -> 'h': the entry to=0, of=0 exists already"):
        golden.build(golden.GRAPHS["multi_edge"])


def close(found: Any, expected: list[str]) -> bool:
    """1e-13 relative, and near the underflow threshold some hundred units of the smallest number."""
    x, y = np.atleast_1d(found), np.array([float(number) for number in expected])
    normal = np.abs(y) > 2.0**-962
    return bool((np.abs(x - y) <= np.where(normal, 1e-13 * np.abs(y), 400 * SMALLEST)).all())


@pytest.mark.parametrize("row", golden.DATA["functions"], ids=lambda row: f"{row['fn']}({', '.join(row['x'])})")
def test_function(row: dict[str, Any]) -> None:
    x = [float(number) for number in row["x"]]
    if row["fn"] == "softmax_ce":
        value, gradient = gp.loss("softmax_cross_entropy").evaluate(x, np.eye(len(x))[row["hot"]])
    else:
        f = gp.activation(row["fn"])
        value = f.value(x)
        gradient = f.vjp(x, 1.0 if f.kind == "reducing" else np.ones(len(x))) if "grad" in row else None
    assert close(value, row["value"] if isinstance(row["value"], list) else [row["value"]])
    if "grad" in row:
        assert close(gradient, row["grad"])


def evaluate(row: dict[str, Any]) -> tuple[Any, Any]:
    x = [float(number) for number in row["x"]]
    if "t" in row:
        return gp.loss(row["fn"]).evaluate(x, [float(number) for number in row["t"]])
    f = gp.activation(row["fn"])
    value = f.value(x)
    return value, f.vjp(x, 1.0 if f.kind == "reducing" else np.ones(len(x)))


@pytest.mark.parametrize("row", golden.DATA["policy"], ids=lambda row: f"{row['fn']}({', '.join(row['x'])})")
def test_policy(row: dict[str, Any]) -> None:
    if row["value"] == "refuse":
        with pytest.raises(
            gp.GraphpropError, match=r"component \d is|component \d of z|a is nan|at least one component|ever"
        ):
            evaluate(row)
        return
    if row["why"].endswith("-inf is its rounding"):
        with pytest.raises(gp.NumberError, match="is not finite"):  # one rule for all values; no mask is there
            evaluate(row)
        return
    if "may refuse" in row["why"] or any(math.isinf(float(v)) for v in row["value"] if "t" in row):
        with pytest.raises(gp.NumberError, match="it has to be finite"):  # whatever is infinite is refused
            evaluate(row)
        return
    value, gradient = evaluate(row)
    np.testing.assert_allclose(np.atleast_1d(value), [float(v) for v in row["value"]], rtol=1e-15)
    if "grad" in row:
        np.testing.assert_allclose(np.atleast_1d(gradient), [float(v) for v in row["grad"]], rtol=1e-15)
