"""However a batch is cut, and whatever memory held before, its numbers are the same; what does not fit is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import borrowed, fast, fast_dense, fast_sparse, general, in_python, sweeping, tile, tiles
from graphprop.given import memory
from graphprop.passes.heads import outputs_of
from tests.against_recursion import (
    assert_close,
    assert_same_descent,
    assert_same_gradients,
    assert_same_outputs,
    assert_same_pull,
    assert_same_trace,
)
from tests.engine.test_pieces import crossed, union

DTYPES = [np.float64, np.float32]
Results = list[Any]


def with_parts_that_nothing_reads() -> gp.Network:
    """Regular rows without ties, so that one sample writes its gradient at once; a parameter leads to no output."""
    net = gp.mlp([3, 4, 2], "tanh", "identity", seed=1)
    net.add_node("z", "tanh", {("x", 1): 0.5})
    net.add_node("off", "tanh", {("x", 0): 0.5})
    net.set_outputs([("y", 0), ("y", 1), "z"])
    return net


def tied_and_unread() -> gp.Network:
    """As many uses of parameters as parameters: one has two, one has none."""
    net = gp.Network()
    net.add_input("x")
    w = net.parameter("w", 0.5)
    net.add_node("h", "tanh", {"x": w})
    net.add_node("off", "tanh", {"x": 2.0})
    net.add_node("y", "tanh", {"h": w})
    net.set_outputs("y")
    return net


def with_a_skip() -> gp.Network:
    """No parameter is tied or unread, but those of one row do not follow each other in theta."""
    net = gp.mlp([3, 4, 2], "tanh", "identity", seed=3)
    net.add_edge(("x", 0), ("y", 0), 0.5)
    return net


def dense() -> gp.Network:
    """A block, beside nodes that single weights lead to."""
    net = gp.mlp([33, 32, 2], "tanh", "identity", seed=2)
    net.add_edge(("x", 1), ("y", 0), 0.5)
    return net


def nodes_in_python(seed: int = 4) -> gp.Network:
    """An elementwise, a reducing and a vector node that run in Python, a sample at a time."""
    rng = np.random.default_rng(seed)
    slow = gp.Activation("slow", lambda a: math.tanh(float(repr(a))), lambda a, o: float(repr(1 - o * o)))
    norm = gp.Activation("norm", lambda a: a @ a, lambda a, o, g: 2 * a * g, kind="reducing")
    turned = gp.Activation("turned", lambda a: a[::-1], lambda a, o, g: g[::-1], kind="vector")
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", slow, {"x": rng.normal(size=(2, 2))}, rng.normal(size=2), size=2)
    net.add_node("r", norm, {"x": rng.normal(size=(3, 2)), "h": rng.normal(size=(3, 2))}, rng.normal(size=3), size=3)
    net.add_node("y", turned, {"r": rng.normal(size=2), "h": rng.normal(size=(2, 2))}, size=2)
    return net


NETS: dict[str, Callable[[], gp.Network]] = {
    "pieces": lambda: union(4),
    "ties": crossed,
    "unread": with_parts_that_nothing_reads,
    "tied and unread": tied_and_unread,
    "skip": with_a_skip,
    "dense": dense,
    "in python": nodes_in_python,
}


def all_results(net: gp.Network, samples: int, dtype: Any) -> Results:
    """What the three calls give that run a batch."""
    rng = np.random.default_rng(samples)
    theta, rows = net.theta.astype(dtype), rng.normal(size=(samples, len(net.layout.input_columns))).astype(dtype)
    outputs = net.program.predict(theta, rows)
    target = rng.normal(size=outputs.shape)
    value, gradient = net.program.value_and_grad(theta, rows, target, loss="half_squared")
    return [outputs, value, gradient, *net.program.vjp(theta, rows, target)]


def assert_same_bits(found: Results, expected: Results) -> None:
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)


# ------------------------------------------------------------------ how it is cut


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("part_work", [500, 200_000], ids=["lanes", "one lane"])
@pytest.mark.parametrize("name", ["pieces", "ties"])
def test_a_long_run_that_is_halted_after_every_tile_has_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, name: str, part_work: int, dtype: Any
) -> None:
    """Between stretches an interrupt is looked for; the last stretch is shorter."""
    monkeypatch.setattr(tiles, "TILE_BYTES", 1 << 12)
    monkeypatch.setattr(tiles, "PART_WORK", part_work)
    found = []
    for work in (tiles.STRETCH_WORK, 1):
        monkeypatch.setattr(tiles, "STRETCH_WORK", work)
        net = NETS[name]()
        found.append(all_results(net, 203, dtype))
        loops = next(
            plan.loops for plan in net.program.schedule.plans.values() if isinstance(plan, fast_sparse.Descent)
        )
        assert (loops.lanes > 1) == (part_work == 500)
        assert loops.stretch == loops.width * loops.lanes if work == 1 else loops.stretch >= 203
    assert_same_bits(*found)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("samples", [1023, 1024, 1025, 2048, 2049, 4099])
def test_a_tile_may_be_wider_than_what_the_loops_do_at_once(samples: int, dtype: Any) -> None:
    """Against numpy: two tanh, which go side by side where they are few numbers, and their sum."""
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": 0.5}, bias=0.25)
    net.add_node("k", "tanh", {"x": -1.5})
    net.add_node("y", "identity", {"h": 2.0, "k": -0.75})
    x, t = np.random.default_rng(samples).normal(size=(2, samples)).astype(np.float32).astype(float)
    theta = net.theta.astype(dtype)
    found = net.program.value_and_grad(theta, x[:, None].astype(dtype), t[:, None], loss="half_squared")
    h, k = np.tanh(0.5 * x + 0.25), np.tanh(-1.5 * x)
    error = 2.0 * h - 0.75 * k - t
    by_h, by_k = 2.0 * error * (1 - h * h), -0.75 * error * (1 - k * k)
    terms = np.array([by_h * x, by_h, by_k * x, error * h, error * k])
    tolerance = 100 * float(np.finfo(dtype).eps)
    assert_close(found[0], np.mean(error * error) / 2, tolerance)
    assert_close(found[1], terms.mean(axis=1), tolerance, np.abs(terms).mean(axis=1))


@pytest.mark.parametrize("part_work", [1, 200_000], ids=["parts", "one part"])
@pytest.mark.parametrize("samples", [1, 32, 33, 41, 70])
def test_activations_in_python_where_the_last_tile_has_less_samples(
    monkeypatch: pytest.MonkeyPatch, samples: int, part_work: int
) -> None:
    monkeypatch.setattr(tiles, "TILE_BYTES", 1 << 9)
    monkeypatch.setattr(tiles, "PART_WORK", part_work)
    net, rng = nodes_in_python(samples), np.random.default_rng(samples)
    rows, target = rng.normal(size=(2, samples, 2))
    trace = assert_same_trace(net, rows)
    expected = assert_same_gradients(net, trace, loss="half_squared", target=target)
    for dtype in DTYPES:
        found = net.program.value_and_grad(net.theta.astype(dtype), rows, target, loss="half_squared")
        assert_same_descent(found, expected)
    by_seeds = gp.recursion.backpropagate(net, trace, seed={"y": target})
    assert_same_pull(net.program.vjp(net.theta, rows, target), by_seeds)
    assert_same_outputs(net.program.predict(net.theta, rows), net, trace)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["pieces", "skip"])
def test_a_tile_of_a_large_batch_stays_in_the_cache(name: str, dtype: Any) -> None:
    schedule, kind = NETS[name]().program.schedule, np.dtype(dtype)
    columns = outputs_of(schedule.layout)[1]
    for samples in (10**5, 10**7):
        loops = fast_sparse.Loops.over(
            schedule, np.array([0, len(columns)]), columns, samples, kind, schedule.layout.size
        )
        assert loops.width * max(table.size for table in loops.tables) == loops.numbers
        assert kind.itemsize * loops.numbers <= tiles.TILE_BYTES
        assert loops.lanes == tiles.LANES


# ------------------------------------------------------------------ what was in memory


class Poisoned:
    """numpy, but that memory which it hands out without writing to it has a number in it."""

    def __init__(self, poison: float) -> None:
        self.poison = poison

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any = float) -> Any:
        result = np.empty(shape, dtype)
        result.fill(self.poison if result.dtype.kind == "f" else 255)
        return result


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("samples", [1, 2, 41])
@pytest.mark.parametrize("poison", [np.nan, 1e30])
@pytest.mark.parametrize("name", list(NETS))
def test_what_memory_held_before_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, name: str, poison: float, samples: int, dtype: Any
) -> None:
    """Where the shortest way meets nan it leaves the work to another; what is finite it cannot tell from its own."""
    monkeypatch.setattr(tiles, "TILE_BYTES", 1 << 12)
    monkeypatch.setattr(tiles, "PART_WORK", 500)
    expected = all_results(NETS[name](), samples, dtype)
    monkeypatch.setattr(borrowed, "_blocks", [])
    for module in (fast_sparse, general, sweeping, in_python, borrowed, fast, fast_dense):
        monkeypatch.setattr(module, "np", Poisoned(poison))
    assert_same_bits(all_results(NETS[name](), samples, dtype), expected)


# ------------------------------------------------------------------ what is refused


def run(net: gp.Network, door: str, samples: int) -> None:
    rows, target = (
        np.ones((samples, len(net.layout.input_columns))),
        np.ones((samples, len(net.program.schedule.goal_columns))),
    )
    {
        "predict": lambda: net.program.predict(net.theta, rows),
        "value_and_grad": lambda: net.program.value_and_grad(net.theta, rows, target, loss="half_squared"),
        "weighted": lambda: net.program.value_and_grad(
            net.theta, rows, target, loss="half_squared", sample_weight=np.ones(samples)
        ),
        "vjp": lambda: net.program.vjp(net.theta, rows, target),
        "forward": lambda: net.forward(rows),
    }[door]()


DOORS = ["predict", "value_and_grad", "weighted", "vjp", "forward"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", list(NETS))
def test_an_empty_batch_is_refused_at_every_door(name: str, door: str) -> None:
    with pytest.raises(gp.GraphpropError, match="empty"):
        run(NETS[name](), door, 0)


@pytest.mark.parametrize("part_work", [500, 10**9], ids=["lanes", "one lane"])
@pytest.mark.parametrize("door", DOORS[:-1])
@pytest.mark.parametrize("name", [name for name in NETS if name != "tied and unread"])  # too small to be looked up
def test_what_does_not_fit_is_refused_and_what_is_told_is_enough(
    monkeypatch: pytest.MonkeyPatch, name: str, door: str, part_work: int
) -> None:
    monkeypatch.setattr(tiles, "PART_WORK", part_work)
    for module in (fast_sparse, sweeping, fast_dense):
        monkeypatch.setattr(module, "WORTH_CHECKING", 0)
    monkeypatch.setattr(fast_sparse, "SMALL", 0)  # what is small takes memory without being asked for it
    monkeypatch.setattr(tile, "TILE_BYTES", 0)
    net, samples, available = NETS[name](), 1000, 0
    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    with pytest.raises(gp.LimitError, match="over 1000 samples") as refused:
        run(net, door, samples)
    told = re.search(r"needs ([\d,]+) bytes, and 0 are", str(refused.value))
    assert told is not None
    available = int(told[1].replace(",", ""))
    least = 8 * net.program.schedule.size * (16 if part_work == 500 else 128)  # the narrowest tiles
    assert available >= least + 8 * len(net.theta) * (door != "predict")
    run(net, door, samples)
