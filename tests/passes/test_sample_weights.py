"""A sample weight is one number for each sample; nothing else of the same count is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp

NET = gp.mlp([2, 3, 1], "tanh", "identity", seed=0)
X, Y = np.random.default_rng(0).standard_normal((10, 2)), np.ones((10, 1))
HALF = "half_squared"


def mpmath_value(x: Any, y: Any, w: Any) -> Any:
    trace = gp.recursion.forward(NET, x, numbers=pytest.importorskip("mpmath").mp)
    return NET.backward(trace, loss=HALF, target=y, sample_weight=w).value


DOORS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "backward": lambda x, y, w: NET.backward(NET.forward(x), loss=HALF, target=y, sample_weight=w).value,
    "program.backward": lambda x, y, w: (
        NET.program.backward(NET.forward(x), loss=HALF, target=y, sample_weight=w).value
    ),
    "recursion": lambda x, y, w: (
        gp.recursion.backpropagate(NET, NET.forward(x), loss=HALF, target=y, sample_weight=w).value
    ),
    "mpmath": mpmath_value,
    "matrixform": lambda x, y, w: (
        gp.matrixform.backpropagate(NET, NET.forward(x), loss=HALF, target=y, sample_weight=w).value
    ),
    "matrixform.gradients": lambda x, y, w: gp.matrixform.gradients(
        NET, NET.forward(x), loss=HALF, target=y, sample_weight=w
    ),
    "value_and_grad": lambda x, y, w: NET.program.value_and_grad(NET.theta, x, y, loss=HALF, sample_weight=w)[0],
    "float32": lambda x, y, w: NET.program.value_and_grad(
        NET.theta.astype(np.float32), x, y, loss=HALF, sample_weight=w
    )[0],
    "check": lambda x, y, w: gp.check(NET, x, loss=HALF, target=y, sample_weight=w).ok,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("shape", [(5, 2), (10, 1), (1, 10), (2, 5, 1), (9,), ()])
def test_another_shape_is_refused_at_every_door(door: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(gp.GraphpropError, match=r"sample_weight has shape .*; it should have \(10,\), a number for"):
        DOORS[door](X, Y, np.ones(shape))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("given", [[[2.0]], [1.0, 2.0]])
def test_another_shape_is_refused_for_one_sample(door: str, given: Any) -> None:
    with pytest.raises(gp.GraphpropError, match=r"sample_weight has shape .*; it should have \(\) or \(1,\)"):
        DOORS[door](X[0], Y[0], given)


@pytest.mark.parametrize("door", DOORS)
def test_one_number_for_each_sample_is_taken(door: str) -> None:
    weights = np.arange(1.0, 11.0)
    DOORS[door](X, Y, weights)
    DOORS[door](X, Y, weights.tolist())
    DOORS[door](X[0], Y[0], 2.0)
    DOORS[door](X[0], Y[0], [2.0])
