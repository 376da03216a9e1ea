"""Every optimiser does what its textbook says, written out here for one number after the other, to the last bit."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.training.chosen import OPTIMIZERS, read_optimizer

RATE, STEPS = 0.07, 25
Slope = Callable[[float, int], float]  # of one parameter, in a step counted from 1
START = np.array([0.3, -1.2, 0.0, 4.0, 1e-3, -2.5])


def gradients(theta: np.ndarray, step: int) -> np.ndarray:
    """Those of a valley that is narrow in some directions, with a wind that turns; one of them is 0 throughout."""
    wind = np.array([0.1, -0.3, 0.0, 2.0, 0.5, -1.0]) * math.cos(step)
    found: np.ndarray = np.array([1.0, 30.0, 0.0, 0.1, 1e-3, 5.0]) * theta + wind
    found[2] = 0.0
    return found


# ------------------------------------------------------------------ the textbook, for one parameter


def sgd(slope: Slope, x: float) -> float:
    for t in range(1, STEPS + 1):
        g = slope(x, t)
        x = x - RATE * g
    return x


def momentum(slope: Slope, x: float) -> float:
    v = 0.0
    for t in range(1, STEPS + 1):
        g = slope(x, t)
        v = 0.9 * v + g
        x = x - RATE * v
    return x


def nesterov(slope: Slope, x: float) -> float:
    v = 0.0
    for t in range(1, STEPS + 1):
        g = slope(x, t)
        v = 0.9 * v + g
        x = x - RATE * (g + 0.9 * v)
    return x


def rmsprop(slope: Slope, x: float) -> float:
    s = 0.0
    for t in range(1, STEPS + 1):
        g = slope(x, t)
        s = 0.99 * s + (1 - 0.99) * (g * g)
        x = x - RATE * g / (math.sqrt(s) + 1e-8)
    return x


def adagrad(slope: Slope, x: float) -> float:
    s = 0.0
    for t in range(1, STEPS + 1):
        g = slope(x, t)
        s = s + g * g
        x = x - RATE * g / (math.sqrt(s) + 1e-10)
    return x


def adam(slope: Slope, x: float) -> float:
    m = s = 0.0
    for t in range(1, STEPS + 1):
        g = slope(x, t)
        m = 0.9 * m + (1 - 0.9) * g
        s = 0.999 * s + (1 - 0.999) * (g * g)
        mean, square = m * (1 / (1 - 0.9**t)), s * (1 / (1 - 0.999**t))
        x = x - RATE * mean / (math.sqrt(square) + 1e-8)
    return x


def lion(slope: Slope, x: float) -> float:
    m = 0.0
    for t in range(1, STEPS + 1):
        g = slope(x, t)
        c = 0.9 * m + (1 - 0.9) * g
        x = x - RATE * ((c > 0) - (c < 0))
        m = 0.99 * m + (1 - 0.99) * g
    return x


def rprop(slope: Slope, x: float) -> float:
    size, before = RATE, 0.0
    for t in range(1, STEPS + 1):
        g = slope(x, t)
        if g * before > 0:
            size = min(size * 1.2, 50.0)
        elif g * before < 0:
            size, g = max(size * 0.5, 1e-6), 0.0
        x = x - ((g > 0) - (g < 0)) * size
        before = g
    return x


WRITTEN: dict[str, tuple[Any, Callable[[Slope, float], float]]] = {
    "sgd": (gp.optim.SGD(RATE), sgd),
    "momentum": (gp.optim.SGD(RATE, momentum=0.9), momentum),
    "nesterov": (gp.optim.SGD(RATE, momentum=0.9, nesterov=True), nesterov),
    "rmsprop": (gp.optim.RMSprop(RATE), rmsprop),
    "adagrad": (gp.optim.Adagrad(RATE), adagrad),
    "adam": (gp.optim.Adam(RATE), adam),
    "adamw": (gp.optim.AdamW(RATE), adam),  # without the decay, which is the matter of `fit`
    "lion": (gp.optim.Lion(RATE), lion),
    "rprop": (gp.optim.Rprop(RATE), rprop),
}


def run(optimizer: Any, dtype: Any = float, steps: int = STEPS) -> list[np.ndarray]:
    """theta after each step."""
    theta, found = START.astype(dtype), []
    memory = optimizer.start(theta)
    for step in range(1, steps + 1):
        gradient = gradients(theta.astype(float), step).astype(dtype)
        theta, *memory = optimizer.update(step, float(optimizer.rate), theta, gradient, *memory)
        found.append(theta)
    return found


@pytest.mark.parametrize("name", WRITTEN)
def test_it_does_what_the_textbook_says_to_the_last_bit(name: str) -> None:
    optimizer, written = WRITTEN[name]
    for i, start in enumerate(START.tolist()):

        def slope(x: float, step: int, i: int = i) -> float:
            return float(gradients(np.full(len(START), x), step)[i])

        assert run(optimizer)[-1][i] == written(slope, start), f"parameter {i}"


def test_every_optimiser_is_written_out_here() -> None:
    by_scipy = {"lbfgs"}  # which is held against it in test_fit.py
    assert {optimizer.name for optimizer, _ in WRITTEN.values()} | by_scipy == set(OPTIMIZERS)


@pytest.mark.parametrize("name", WRITTEN)
def test_it_works_in_single_precision_and_stays_near(name: str) -> None:
    optimizer, _ = WRITTEN[name]
    single, double = run(optimizer, np.float32, 5)[-1], run(optimizer, float, 5)[-1]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", WRITTEN)
def test_an_update_changes_nothing_that_it_was_given(name: str) -> None:
    optimizer, _ = WRITTEN[name]
    theta, gradient = START.copy(), gradients(START, 1)
    memory = optimizer.start(theta)
    arrays = [theta, gradient, *memory]
    kept = [array.tobytes() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    optimizer.update(1, RATE, theta, gradient, *memory)
    assert [array.tobytes() for array in arrays] == kept


@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_frozen_compares_by_its_numbers_and_can_be_pickled(name: str) -> None:
    optimizer, _ = WRITTEN[name]
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert eval(repr(optimizer), vars(gp.optim)) == optimizer
    with pytest.raises(FrozenInstanceError):
        optimizer.rate = 1.0


# ------------------------------------------------------------------ against other libraries


def test_it_gives_the_numbers_of_torch() -> None:
    torch = pytest.importorskip("torch")
    theirs = {
        "sgd": lambda p: torch.optim.SGD(p, RATE),
        "momentum": lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, RATE, momentum=0.9, nesterov=True),
        "rmsprop": lambda p: torch.optim.RMSprop(p, RATE),
        "adagrad": lambda p: torch.optim.Adagrad(p, RATE),
        "adam": lambda p: torch.optim.Adam(p, RATE),
        "rprop": lambda p: torch.optim.Rprop(p, RATE),
    }
    for name, make in theirs.items():
        parameter = torch.nn.Parameter(torch.tensor(START))
        optimizer = make([parameter])
        for step, ours in enumerate(run(WRITTEN[name][0]), 1):
            parameter.grad = torch.tensor(gradients(parameter.detach().numpy(), step))
            optimizer.step()
            np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-10, atol=1e-12, err_msg=name)


def test_it_gives_the_numbers_of_optax() -> None:
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")
    theirs = {
        "sgd": optax.sgd(RATE),
        "momentum": optax.sgd(RATE, momentum=0.9),
        "nesterov": optax.sgd(RATE, momentum=0.9, nesterov=True),
        "adagrad": optax.adagrad(RATE, initial_accumulator_value=0.0, eps=1e-10),
        "adam": optax.adam(RATE),
        "lion": optax.lion(RATE, b1=0.9, b2=0.99, weight_decay=0.0),
    }
    with jax.enable_x64(True):
        for name, transformation in theirs.items():
            theta = START
            state = transformation.init(theta)
            for step, ours in enumerate(run(WRITTEN[name][0]), 1):
                updates, state = transformation.update(gradients(theta, step), state, theta)
                theta = theta + np.asarray(updates)
                np.testing.assert_allclose(ours, theta, rtol=1e-7, atol=1e-9, err_msg=name)


# ------------------------------------------------------------------ rates


def test_rates_follow_their_formulas() -> None:
    cosine = gp.optim.cosine(0.5, steps=20, end=0.1)
    for t in range(25):
        part = min(1, t / 20)
        assert cosine(t) == pytest.approx(0.1 + 0.4 * (1 + math.cos(math.pi * part)) / 2, rel=1e-14)
    assert cosine(20) == 0.1
    assert [gp.optim.step(1.0, every=2)(t) for t in range(5)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert gp.optim.exponential(1.0, every=1, factor=0.5)(10) == 0.5**10
    assert gp.optim.plateau(1.0, factor=0.5, least=0.2)(7, times=9) == 0.2


@pytest.mark.parametrize(
    "make",
    [
        lambda warmup: gp.optim.cosine(0.5, steps=30, warmup=warmup),
        lambda warmup: gp.optim.step(0.5, every=3, warmup=warmup),
        lambda warmup: gp.optim.exponential(0.5, every=3, warmup=warmup),
        lambda warmup: gp.optim.plateau(0.5, warmup=warmup),
    ],
)
def test_a_warm_up_rises_in_even_steps_and_what_follows_starts_behind_it(make: Callable[[int], Any]) -> None:
    rate = make(5)
    assert [rate(t) for t in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rate(5) == 0.5
    assert make(0)(0) == 0.5


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: read_optimizer("adamm"), "unknown optimizer 'adamm'; did you mean 'adam'?"),
        (lambda: read_optimizer(3), "an optimizer is a name, one of gp.optim, a transformation of optax, or an object"),
        (lambda: read_optimizer(gp.optim.Adam), "an optimizer is a name"),
        (lambda: read_optimizer("adam", -1.0), "rate is a number, more than 0 and finite, not -1.0"),
        (lambda: gp.optim.Adam(math.nan), "optimizer 'adam': rate is a number, more than 0 and finite, not nan"),
        (lambda: gp.optim.Adam(True), "rate is a number"),
        (lambda: gp.optim.Adam(beta1=1.0), "optimizer 'adam': beta1 is a number, at least 0 and less than 1, not 1.0"),
        (lambda: gp.optim.SGD(nesterov=True), "nesterov needs a momentum"),
        (lambda: gp.optim.SGD(0.1, 0.9, 1), "optimizer 'sgd': nesterov is True or False, not 1"),
        (lambda: gp.optim.Rprop(lambda t: 0.1), "rate is one number, the first size of all steps"),
        (lambda: gp.optim.cosine(0.1, steps=0), "gp.optim.cosine: steps is a whole number of at least 1, not 0"),
        (lambda: gp.optim.cosine(0.1, steps=5, warmup=5), "the warm-up of 5 takes all of the 5 steps"),
        (lambda: gp.optim.plateau(0.1, factor=0), "gp.optim.plateau: factor is a number, more than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_is_allowed(make: Callable[[], Any], told: str) -> None:
    with pytest.raises(gp.GraphpropError) as refused:
        make()
    assert told in str(refused.value)
