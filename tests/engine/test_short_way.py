"""Every call that holds the numbers of a plain one gives its bits, and goes the short way through the engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import general
from graphprop.engine.lowering import lower_layout
from graphprop.passes.goals import read_seeds

Numbers = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(14)


def irregular() -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=4)
    net.add_node("h", "softmax", {"x": RANDOM.normal(size=(3, 4))}, size=3)
    for name, f in (("a", "tanh"), ("b", "sin")):
        net.add_node(name, f, {"h": RANDOM.normal(size=(1, 3)), "x": RANDOM.normal(size=(1, 4))}, bias=0.1)
    net.add_node("y", "identity", {"a": [0.3, -0.2, 0.9], "b": [0.1, 0.2, -0.5]}, size=3)
    return net


def two_heads(hidden: int) -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=40)
    net.add_node("h", "tanh", {"x": RANDOM.normal(size=(hidden, 40)) / 7}, size=hidden)
    for name, size in (("y", 3), ("z", 2)):
        net.add_node(name, "identity", {"h": RANDOM.normal(size=(size, hidden))}, size=size)
    net.set_outputs("y", "z")
    return net


def masked(hidden: int) -> gp.Network:
    net = two_heads(hidden)
    net.add_node("p", "softmax", {"y": RANDOM.normal(size=(4, 3))}, size=4, bias=[0.1, -np.inf, 0.2, 0.0])
    net.add_node("out", "identity", {"p": RANDOM.normal(size=(3, 4)), "z": RANDOM.normal(size=(3, 2))}, size=3)
    net.set_outputs("out")
    return net


NETS: dict[str, gp.Network] = {
    "xor": gp.mlp([2, 3, 2], "tanh", "identity", seed=0),
    "irregular": irregular(),
    "layered": gp.mlp([64, 32, 10], "tanh", "identity", seed=0),
    "a softmax": gp.mlp([64, 32, 10], "relu", "softmax", seed=0),
    "two heads": two_heads(3),
    "two heads, dense": two_heads(50),
    "masks": masked(3),
    "masks, dense": masked(50),
}
ONE_OUTPUT = gp.mlp([2, 3, 1], "tanh", "identity", seed=0)


def frozen(array: Numbers) -> Numbers:
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array: Numbers) -> Numbers:
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def on_disk(array: Numbers) -> Numbers:
    with tempfile.NamedTemporaryFile() as file:
        written = np.memmap(file.name, array.dtype, "w+", shape=array.shape)
        written[...] = array
        written.flush()
        return np.memmap(file.name, array.dtype, "r", shape=array.shape)


STORED: dict[str, Callable[[Numbers], Numbers]] = {
    "read-only": frozen,
    "strided": strided,
    "reversed": lambda x: x[::-1].copy()[::-1],
    "Fortran order": np.asfortranarray,
    "on disk": on_disk,
    "single": lambda x: x.astype(np.float32),
    "half": lambda x: x.astype(np.float16),
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The general way is closed."""

    def refuse(*arguments: Any) -> None:
        raise AssertionError("it went the general way")

    monkeypatch.setattr(general, "with_python_if_need_be", refuse)


def program_of(name: str) -> gp.Program:
    """One that remembers nothing of other tests."""
    return gp.Program(lower_layout(NETS[name].program.layout))


def drawn(name: str, samples: int) -> tuple[Numbers, Numbers, Numbers]:
    """theta, inputs and targets, whose numbers are such as half precision holds."""
    program, random = NETS[name].program, np.random.default_rng(samples)
    inputs = random.integers(-16, 17, size=(samples, len(program.layout.input_columns))) / 8
    target = random.integers(-16, 17, size=(samples, len(program.schedule.goal_columns))) / 8
    theta = np.where(np.isinf(NETS[name].theta), NETS[name].theta, np.round(NETS[name].theta * 64) / 64)
    return theta, inputs, target


def assert_same_bits(found: Any, expected: Any) -> None:
    for x, y in zip(found, expected, strict=True):
        assert type(x) is type(y)
        assert np.array_equal(np.array(x), np.array(y)), (x, y)


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("samples", [1, 5, 300])
@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("how", list(STORED))
def test_arrays_however_they_are_stored_go_the_short_way(how: str, name: str, samples: int) -> None:
    program, (theta, inputs, target) = program_of(name), drawn(name, samples)
    expected = program.value_and_grad(theta, inputs, target, loss="half_squared")
    outputs = program.predict(theta, inputs)
    store = STORED[how]
    for rows, goal in ((store(inputs), target), (inputs, store(target)), (store(inputs), store(target))):
        assert_same_bits(program.value_and_grad(theta, rows, goal, loss="half_squared"), expected)
        assert_same_bits([program.predict(theta, rows)], [outputs])
    if how not in ("half", "other byte order", "single"):
        own = store(theta)
        assert_same_bits(program.value_and_grad(own, inputs, target, loss="half_squared"), expected)
        assert_same_bits([program.predict(own, inputs)], [outputs])


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8, np.int64, np.uint16])
def test_in_single_precision_other_kinds_of_numbers_go_the_short_way(kind: Any, name: str) -> None:
    program, (theta, inputs, target) = program_of(name), drawn(name, 32)
    theta, inputs, target = theta.astype(np.float32), np.abs(np.round(inputs)), np.abs(np.round(target))
    expected = program.value_and_grad(theta, inputs.astype(np.float32), target, loss="half_squared")
    found = program.value_and_grad(theta, inputs.astype(kind), target.astype(kind), loss="half_squared")
    assert found[1].dtype == np.float32
    assert_same_bits(found, expected)
    assert_same_bits([program.predict(theta, inputs.astype(kind))], [program.predict(theta, inputs.astype(np.float32))])


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint32, np.uint64])
@pytest.mark.parametrize("name", ["xor", "irregular", "layered", "two heads", "two heads, dense", "masks"])
def test_labels_are_rows_of_0_and_1(name: str, kind: Any) -> None:
    program, (theta, inputs, target) = program_of(name), drawn(name, 32)
    heads = [2, 3] if name.startswith("two") else [target.shape[1]]
    starts = [0, 3] if len(heads) > 1 else [0]
    labels = np.array([[(sample * 7) % size for size in reversed(heads)][::-1] for sample in range(32)])
    rows = np.zeros_like(target)
    for head, start in enumerate(starts):
        labels[:, head] %= 2
        rows[np.arange(32), start + labels[:, head]] = 1.0
    given = labels.astype(kind) if len(heads) > 1 else labels[:, 0].astype(kind)
    for store in (np.array, frozen, on_disk):
        found = program.value_and_grad(theta, inputs, store(given), loss="softmax_cross_entropy")
        assert_same_bits(found, program.value_and_grad(theta, inputs, rows, loss="softmax_cross_entropy"))
    single = given[0]
    found = program.value_and_grad(theta, inputs[0], np.array(single), loss="softmax_cross_entropy")
    assert_same_bits(found, program.value_and_grad(theta, inputs[:1], rows[:1], loss="softmax_cross_entropy"))


@pytest.mark.parametrize("samples", [1, 32, 1000])
@pytest.mark.parametrize("name", list(NETS))
def test_sample_weights_are_shared_out_as_python_would(name: str, samples: int, request: pytest.FixtureRequest) -> None:
    """Those of a list are read by the general way, with `math.fsum`."""
    program, (theta, inputs, target) = program_of(name), drawn(name, samples)
    weights = np.random.default_rng(1).lognormal(sigma=20, size=samples)
    expected = program.value_and_grad(theta, inputs, target, loss="half_squared", sample_weight=weights.tolist())
    request.getfixturevalue("_short")
    for given in (weights, frozen(weights), strided(weights), on_disk(weights)):
        found = program.value_and_grad(theta, inputs, target, loss="half_squared", sample_weight=given)
        assert_same_bits(found, expected)


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("name", list(NETS))
def test_one_sample_goes_the_way_of_a_batch_of_one(name: str) -> None:
    program, (theta, inputs, target) = program_of(name), drawn(name, 1)
    expected = program.value_and_grad(theta, inputs, target, loss="half_squared")
    assert_same_bits(program.value_and_grad(theta, inputs[0], target[0], loss="half_squared"), expected)
    assert_same_bits([program.predict(theta, inputs[0])], [program.predict(theta, inputs)[0]])


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("samples", [1, 5, 100])
@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("how", list(STORED))
def test_seeds_are_pulled_back_the_short_way(how: str, name: str, samples: int) -> None:
    program, (theta, inputs, seeds), store = program_of(name), drawn(name, samples), STORED[how]
    expected = program.vjp(theta, inputs, seeds)
    assert_same_bits(program.vjp(theta, store(inputs), store(seeds)), expected)
    if samples == 1:
        found = program.vjp(theta, store(inputs)[0], store(seeds)[0])
        assert_same_bits(found, [expected[0], expected[1][0]])


@pytest.mark.parametrize("samples", [1, 2, 100, 300, 3000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(NETS))
def test_the_short_way_has_the_bits_of_the_general_one(name: str, dtype: Any, samples: int) -> None:
    """Seeds and inputs by name are read by the general way; so are those of a list."""
    program, (theta, inputs, target) = program_of(name), drawn(name, samples)
    theta, schedule = theta.astype(dtype), program.schedule
    asks = program.calls_python(dtype)
    general_outputs = general._predict_with(schedule, theta, inputs.astype(dtype), schedule.goal_columns, asks)
    assert_same_bits([program.predict(theta, inputs)], [general_outputs])
    objective = read_seeds(program.layout, samples, True, target)
    expected = general._differentiate(schedule, theta, inputs.astype(dtype), objective, True, asks)[1:]
    assert_same_bits(program.vjp(theta, inputs, target), expected)


@pytest.mark.usefixtures("_short")
def test_a_target_for_each_sample_of_one_output_needs_no_second_axis() -> None:
    program, inputs = gp.Program(lower_layout(ONE_OUTPUT.program.layout)), np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    for target in (np.array([0, 1, 1, 0]), np.array([False, True, True, False]), np.array([0.0, 1.0, 1.0, 0.0])):
        found = program.value_and_grad(ONE_OUTPUT.theta, inputs, target, loss="half_squared")
        column = target.astype(float)[:, None]
        assert_same_bits(found, program.value_and_grad(ONE_OUTPUT.theta, inputs, column, loss="half_squared"))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a label too large": ({"target": np.array([0, 1, 10])}, "class label 10 is out of range"),
    "a negative label": ({"target": np.array([0, -1, 2])}, "class label -1 is out of range"),
    "a label beyond 63 bits": ({"target": np.array([0, 2**64 - 1, 2], np.uint64)}, "is out of range"),
    "too few labels": ({"target": np.array([0, 1])}, "has shape"),
    "a weight that is nan": ({"sample_weight": np.array([1.0, np.nan, 1.0])}, r"sample_weight\[1\] is nan"),
    "an infinite weight": ({"sample_weight": np.array([1.0, np.inf, 1.0])}, r"sample_weight\[1\] is inf"),
    "a negative weight": ({"sample_weight": np.array([1.0, 1.0, -1.0])}, r"sample_weight\[2\] is -1"),
    "weights of 0": ({"sample_weight": np.zeros(3)}, "0 everywhere"),
    "too many weights": ({"sample_weight": np.ones(4)}, r"sample_weight has shape \(4,\)"),
    "an input beyond single precision": (
        {"theta": NETS["layered"].theta.astype(np.float32), "inputs": np.full((3, 64), 1e300)},
        "out of the range of float32",
    ),
    "an input that is nan": ({"inputs": np.full((3, 64), np.nan, np.float32)}, "is nan"),
    "three axes": ({"inputs": np.ones((3, 64, 1))}, "has shape"),
    "no samples": ({"inputs": np.ones((0, 64))}, "empty"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_what_is_wrong_is_told_as_by_the_general_way(what: str) -> None:
    program = program_of("layered")
    given = {"theta": NETS["layered"].theta, "inputs": np.ones((3, 64)), "target": np.array([0, 1, 2])}
    changed, told = WRONG[what]
    with pytest.raises(gp.GraphpropError, match=told):
        program.value_and_grad(**given | changed, loss="softmax_cross_entropy")


def test_seeds_whose_sum_with_the_outputs_overflows_are_told() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 1.0})
    with pytest.raises(gp.NumberError, match="overflows"):
        net.program.vjp(net.theta, np.array([[1e200]]), np.array([[1e200]]))


@pytest.mark.parametrize("name", ["masks", "masks, dense"])
def test_an_infinity_that_is_no_mask_is_told(name: str) -> None:
    program, (theta, inputs, target) = program_of(name), drawn(name, 3)
    row = next(iter(program.schedule.maskable_rows[1:2]))
    position = program.schedule.bias_position[row]
    assert theta[position] == -np.inf
    lost = theta.copy()
    lost[lost != -np.inf] *= 1e300
    for run in (
        lambda: program.predict(lost, inputs * 1e200),
        lambda: program.vjp(lost, inputs * 1e200, target),
        lambda: program.value_and_grad(lost, inputs * 1e200, target, loss="half_squared"),
    ):
        with pytest.raises(gp.NumberError):
            run()
