"""Checks take the arrays of other libraries, tensors of torch that are being differentiated among them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.testing import assert_gradient_is_right

Array = np.ndarray[Any, Any]


class Taped:
    """What numpy sees of a tensor that requires a gradient: it refuses until it is detached, on a GPU until copied."""

    def __init__(self, numbers: Any, taped: bool = True, far: bool = True) -> None:
        self.numbers, self.taped, self.far = np.asarray(numbers), taped, far
        self.dtype, self.shape = f"torch.{self.numbers.dtype}", self.numbers.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        if self.taped:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self.far:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        return self.numbers.astype(dtype or self.numbers.dtype)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, i: int) -> Taped:
        return Taped(self.numbers[i], self.taped, self.far)

    def detach(self) -> Taped:
        return Taped(self.numbers, taped=False, far=self.far)

    def cpu(self) -> Taped:
        return Taped(self.numbers, taped=self.taped, far=False)


def torch_tensor(numbers: Any) -> Any:
    torch = importlib.import_module("torch")
    return torch.tensor(np.asarray(numbers), requires_grad=True) * 1


def jax_array(numbers: Any) -> Any:
    jax = importlib.import_module("jax")
    with jax.enable_x64(True):
        return jax.numpy.asarray(numbers)


@pytest.fixture(params=["stand-in", "torch", "jax"])
def wrap(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    if request.param == "stand-in":
        return Taped
    pytest.importorskip(request.param)
    return torch_tensor if request.param == "torch" else jax_array


def small() -> gp.Gradients:
    net = gp.mlp([2, 3, 1], "tanh", seed=1, by="layer")
    return net.backward(net.forward([0.5, -1.0]), loss="half_squared", target=[0.25])


def test_compare_takes_them(wrap: Callable[[Any], Any]) -> None:
    g = small()
    W1, b1 = g.weight["x", "h1"], g.bias["h1"]
    assert gp.compare(g, {"W1": wrap(W1), "b1": wrap(b1), "value": wrap(g.value)})
    assert gp.compare(g, wrap(g.theta))
    assert gp.compare(g, {"b1": [wrap(x) for x in b1]})
    assert gp.compare(g, {"W1": wrap(-W1)})["W1"].reason == "the sign is flipped"
    assert gp.compare(g, {"W1": wrap(W1.T)})["W1"].reason.startswith("it is the transpose")


def test_compare_holds_them_to_their_own_precision(wrap: Callable[[Any], Any]) -> None:
    g = small()
    single = g.weight["x", "h1"].astype(np.float32)
    assert gp.compare(g, {"W1": wrap(single)})
    assert not gp.compare(g, {"W1": single.astype(float)})
    assert not gp.compare(g, {"W1": wrap(single * np.float32(1.001))})


def test_gradcheck_takes_them(wrap: Callable[[Any], Any]) -> None:
    def cubes(w: Any) -> Any:
        return wrap((w**3).sum()), wrap(3 * w**2)

    def by_name(w: Any) -> Any:
        return wrap((w["a"] ** 3).sum() + w["b"]), {"a": wrap(3 * w["a"] ** 2), "b": wrap(1.0)}

    at = np.array([0.3, -0.7, 1.1])
    for check in (gp.gradcheck, assert_gradient_is_right):
        assert check(cubes, at)
        assert check(cubes, wrap(at))
        assert check(by_name, {"a": wrap(at), "b": wrap(0.5)})
    assert gp.gradcheck(lambda w: (cubes(w)[0], wrap(3.001 * w**2)), at).verdict == "fails"


def test_what_numpy_cannot_read_is_refused_by_its_name() -> None:
    class Strange:
        dtype = "bfloat16"

        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            raise TypeError("Got unsupported ScalarType BFloat16")

    message = "numpy cannot read the numbers of this Strange of bfloat16: Got unsupported ScalarType"
    with pytest.raises(gp.GraphpropError, match=f"W1: {message}"):
        gp.compare(small(), {"W1": Strange()})
    with pytest.raises(gp.GraphpropError, match=f"the gradient by theta: {message}"):
        gp.gradcheck(lambda w: (w.sum(), Strange()), [1.0])
