"""A user's losses that are sums over components run as machine code, and give what their Python functions give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import general
from graphprop.engine.loops.own_losses import MOST_VERSIONS, loss_code
from graphprop.engine.lowering import lower_layout

Numbers = np.ndarray[Any, Any]
WIDTH = 1.0


def _above(z: Any, t: Any) -> Any:
    return np.maximum(z - t, 0.0)


def _huber(z: Any, t: Any) -> Any:
    d = np.abs(z - t)
    return np.sum(np.where(d < WIDTH, 0.5 * d**2, WIDTH * (d - 0.5 * WIDTH)), axis=-1)


SUMS: dict[str, gp.Loss] = {
    "squares": gp.Loss("squares", lambda z, t: 0.5 * ((z - t) ** 2).sum(-1), lambda z, t: z - t),
    "weighted": gp.Loss("weighted", lambda z, t: -((z - t) ** 2).sum(-1) / -4, lambda z, t: (z - t) / 2),
    "absolute": gp.Loss("absolute", lambda z, t: abs(z - t).sum(-1), lambda z, t: np.sign(z - t)),
    "huber": gp.Loss("huber", _huber, lambda z, t: np.where(abs(z - t) < WIDTH, z - t, WIDTH * np.sign(z - t))),
    "log cosh": gp.Loss("log cosh", lambda z, t: np.log(np.cosh(z - t)).sum(-1), lambda z, t: np.tanh(z - t)),
    "one-sided": gp.Loss("one-sided", lambda z, t: (_above(z, t) ** 2).sum(-1), lambda z, t: 2 * _above(z, t)),
    "a mean": gp.Loss("a mean", lambda z, t: ((z - t) ** 2).mean(-1), lambda z, t: 2 * (z - t) / z.shape[-1]),
    "numpy's mean": gp.Loss(
        "numpy's mean", lambda z, t: 3 * np.mean(abs(z - t), axis=-1), lambda z, t: 3 / z.shape[-1] * np.sign(z - t)
    ),
    "a sum over n": gp.Loss("a sum over n", lambda z, t: (z * t).sum(-1) / z.shape[-1], lambda z, t: t / z.shape[-1]),
    "poisson": gp.Loss("poisson", lambda z, t: (np.exp(z) - t * z).sum(-1), lambda z, t: np.exp(z) - t),
}
OTHERS: dict[str, gp.Loss] = {
    "a square of a sum": gp.Loss(
        "a square of a sum",
        lambda z, t: (z - t).sum(-1) ** 2,
        lambda z, t: 2 * (z - t).sum(-1, keepdims=True) + 0 * z,
        check=False,
    ),
    "one component": gp.Loss("one component", lambda z, t: z[..., 0], lambda z, t: np.eye(z.shape[-1])[0] + 0 * z),
    "a mean of samples": gp.Loss(
        "a mean of samples", lambda z, t: (z - t).mean(0).sum(-1) + 0 * z[..., 0], lambda z, t: 0 * z, check=False
    ),
    "a number of samples": gp.Loss(
        "a number of samples", lambda z, t: (z / z.shape[0]).sum(-1), lambda z, t: 1 / z.shape[0] + 0 * z, check=False
    ),
    "a lie": gp.Loss("a lie", lambda z, t: max(z - t, 0.0).sum(-1), lambda z, t: max(z - t, 0.0), check=False),
}
NETS = {"sparse": gp.mlp([2, 3, 2], "tanh", "identity", seed=0), "dense": gp.mlp([64, 40, 10], "tanh", seed=0)}


def drawn(name: str, samples: int = 32) -> tuple[gp.Program, Numbers, Numbers, Numbers]:
    net, random = NETS[name], np.random.default_rng(samples)
    program = gp.Program(lower_layout(net.program.layout))
    inputs = random.normal(size=(samples, len(program.layout.input_columns)))
    return program, net.theta, inputs, random.normal(size=(samples, len(program.schedule.goal_columns)))


def in_python(entry: gp.Loss) -> gp.Loss:
    """The same, of functions that are not plain."""
    functions: list[Callable[..., Any]] = [lambda z, t, f=f: [f][0](z, t) for f in (entry.value, entry.gradient)]
    return gp.Loss(entry.name, *functions)


def close_the_general_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("it went the general way")

    monkeypatch.setattr(general, "with_python_if_need_be", refuse)


@pytest.mark.parametrize("samples", [1, 32, 700])
@pytest.mark.parametrize("net", list(NETS))
@pytest.mark.parametrize("name", list(SUMS))
def test_a_sum_over_components_goes_the_short_way(
    name: str, net: str, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, theta, inputs, target = drawn(net, samples)
    weight = np.linspace(0.5, 2.0, samples)
    slow = in_python(SUMS[name])
    assert loss_code(slow) is None
    expected = program.value_and_grad(theta, inputs, target, loss=slow, sample_weight=weight)
    close_the_general_way(monkeypatch)
    value, gradient = program.value_and_grad(theta, inputs, target, loss=SUMS[name], sample_weight=weight)
    assert value == pytest.approx(expected[0], rel=1e-13)
    assert np.abs(gradient - expected[1]).max() <= 1e-13 * np.abs(expected[1]).max()
    again = program.value_and_grad(theta, inputs.tolist(), target, loss=SUMS[name], sample_weight=weight)
    assert (again[0], again[1].tolist()) == (value, gradient.tolist())


@pytest.mark.parametrize("name", list(OTHERS))
def test_what_is_no_such_sum_runs_in_python(name: str) -> None:
    assert loss_code(OTHERS[name]) is None


def test_a_loss_that_raises_in_python_raises() -> None:
    program, theta, inputs, target = drawn("sparse")
    with pytest.raises(gp.GraphpropError, match="loss a lie: ValueError"):
        program.value_and_grad(theta, inputs, target, loss=OTHERS["a lie"])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_bits_are_those_of_one_thread(threads: int) -> None:
    program, theta, inputs, target = drawn("sparse", 30_000)
    with gp.threads(1):
        value, gradient = program.value_and_grad(theta, inputs, target, loss=SUMS["huber"])
    with gp.threads(threads):
        found = program.value_and_grad(theta, inputs, target, loss=SUMS["huber"])
    assert found[0] == value
    assert np.array_equal(found[1], gradient)


def test_numbers_that_change_are_those_that_count() -> None:
    """In every program, also one that ran with other numbers before; and in Python when they change often."""
    scale = 1.0

    def value(z: Any, t: Any) -> Any:
        return (scale * (z - t) ** 2).sum(-1)

    entry = gp.Loss("scaled", value, lambda z, t: 2 * scale * (z - t))
    programs = [drawn("sparse"), drawn("dense")]
    ones = [program.value_and_grad(*given, loss=entry) for program, *given in programs]
    compiled = 0
    for number in range(1, MOST_VERSIONS + 3):
        scale = float(number)
        for (program, *given), (one, gradient) in zip(programs, ones, strict=True):
            found = program.value_and_grad(*given, loss=entry)
            assert found[0] == pytest.approx(number * one, rel=1e-13)
            assert np.abs(found[1] - number * gradient).max() <= 1e-12 * np.abs(found[1]).max()
        compiled += loss_code(entry) is not None
    assert compiled == MOST_VERSIONS


def test_what_overflows_is_told_as_in_python() -> None:
    program, theta, inputs, target = drawn("sparse")
    for entry in (SUMS["squares"], in_python(SUMS["squares"])):
        with pytest.raises(gp.NumberError, match=r"squares of .*overflows in sample 0"):
            program.value_and_grad(theta, inputs, target * 1e200, loss=entry)
