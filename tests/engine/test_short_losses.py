"""Losses however they are asked for: of probabilities, by head, weighted, with gaps, by name, and their value alone.

They go the short way through the engine, and give what the general way gives, which reads them in Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import general
from graphprop.engine.lowering import lower_layout
from graphprop.passes.goals import read_loss

Numbers = np.ndarray[Any, Any]
SAMPLES = 32
OWN = gp.Loss("own", lambda z, t: ((z - t) ** 4).sum(-1), lambda z, t: 4 * (z - t) ** 3)


def heads(kind: str, hidden: int, mask: bool = False) -> gp.Network:
    """A vector node of 4 numbers, and two scalar ones."""
    random = np.random.default_rng(hidden)
    net = gp.Network()
    net.add_input("x", size=40)
    net.add_node("h", "tanh", {"x": random.normal(size=(hidden, 40)) / 7}, size=hidden)
    bias = [0.1, -np.inf if mask else 0.3, 0.2, 0.0]
    net.add_node("p", kind, {"h": random.normal(size=(4, hidden)) / hidden}, size=4, bias=bias)
    net.add_node("y", "identity", {"h": random.normal(size=(1, hidden))})
    net.add_node("z", "tanh", {"h": random.normal(size=(1, hidden)) / hidden}, bias=0.5)
    net.set_outputs("p", "y", "z")
    return net


KINDS = {"cross_entropy": "softmax", "nll": "log_softmax", "softmax_cross_entropy": "identity"}
NETS = {
    (kind, size, mask): heads(kind, hidden, mask)
    for kind in KINDS.values()
    for size, hidden in (("sparse", 3), ("dense", 50))
    for mask in ([False] if kind == "identity" else [False, True])
}
RANDOM = np.random.default_rng(3)
X = RANDOM.integers(-16, 17, size=(SAMPLES, 40)) / 8
LABELS = np.array([0, 2, 3, 2])[np.arange(SAMPLES) % 4]
ROWS, SOFT = np.eye(4)[LABELS], np.eye(4)[LABELS] / 2 + np.array([0.5, 0.0, 0.0, 0.0])
Y, Z = RANDOM.normal(size=SAMPLES), RANDOM.normal(size=SAMPLES)
WITH_GAPS = np.where(np.arange(SAMPLES) % 3, Y, np.nan)
SHARES = np.linspace(0.5, 2.0, SAMPLES)


def all_of(p: Numbers, y: Numbers) -> Numbers:
    return np.column_stack([p, y, Z])


# loss of the probabilities, loss=, target=
ASKED: dict[str, tuple[str, Any, Any]] = {}
for _loss in KINDS:
    _by_head = {"p": _loss, "y": "mse", "z": "half_squared"}
    ASKED |= {
        f"{_loss}, rows by name": (_loss, _loss, {"p": ROWS}),
        f"{_loss}, labels by name": (_loss, _loss, {"p": LABELS}),
        f"{_loss}, soft": (_loss, _loss, {"p": SOFT}),
        f"{_loss}, by head": (_loss, _by_head, all_of(SOFT, Y)),
        f"{_loss}, weights": (_loss, _by_head | {"p": (_loss, 0.3), "z": ("mae", -2.0)}, all_of(ROWS, Y)),
        f"{_loss}, gaps": (_loss, _by_head, all_of(ROWS, WITH_GAPS)),
        f"{_loss}, by head and by name": (_loss, _by_head, {"z": Z, "p": LABELS, "y": WITH_GAPS[:, None]}),
        f"{_loss}, a column of another byte order": (_loss, _by_head, {"p": ROWS, "y": Y.astype(">f4"), "z": Z > 0}),
    }
_NUMBERS: dict[str, tuple[Any, Any]] = {
    "numbers by name": ("half_squared", {"z": Z, "y": Y}),
    "numbers by name, of two kinds": ("huber", {"z": Z.astype(np.float32), "y": np.arange(SAMPLES)}),
    "one by name": ("mse", {"y": Y}),
    "a hidden one": ("mae", {"h": np.ones((SAMPLES, 3))}),
    "a weight of 0": ({"y": ("mse", 0.0), "z": ("mse", 1)}, {"y": Y, "z": Z}),
    "gaps": ("half_squared", {"y": WITH_GAPS, "z": Z}),
    "gaps of a mean": ({"y": "huber", "z": ("mae", 2.0)}, {"y": WITH_GAPS, "z": WITH_GAPS}),
    "gaps everywhere": ("mse", {"y": np.full(SAMPLES, np.nan)}),
    "gaps between yes and no": (
        {"y": "binary_cross_entropy"},
        {"y": np.where(WITH_GAPS > 0, 1.0, 0.25 * WITH_GAPS**0)},
    ),
    "an own loss of one head": ({"y": OWN, "z": "hinge"}, {"y": Y, "z": np.sign(Z)}),
}
ASKED |= {name: ("softmax_cross_entropy", loss, target) for name, (loss, target) in _NUMBERS.items()}
CASES = [
    pytest.param(name, net, id=f"{name}, {', '.join(key[1:2])}{', a mask' if key[2] else ''}")
    for name, (loss, *_) in ASKED.items()
    for key, net in NETS.items()
    if key[0] == KINDS[loss] and (name != "a hidden one" or key[1] == "sparse")
]


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The general way is closed, and so is the reading of targets in Python."""

    def refuse(*arguments: Any, **more: Any) -> None:
        raise AssertionError("it went the general way")

    monkeypatch.setattr(general, "with_python_if_need_be", refuse)
    monkeypatch.setattr("graphprop.program.read_loss", refuse)


def in_general(net: gp.Network, theta: Numbers, loss: Any, target: Any, weight: Any = None) -> tuple[float, Numbers]:
    """The value and the gradient as the general way has them."""
    schedule = net.program.schedule
    objective = read_loss(net.layout, SAMPLES, True, loss, target, weight)
    own = general.towards(schedule, objective.reads)
    value, gradient, _ = general._differentiate(own, theta, X.astype(theta.dtype), objective, False, False)
    return value, gradient


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weight", [None, SHARES], ids=["even", "weighted"])
@pytest.mark.parametrize(("name", "net"), CASES)
def test_losses_however_they_are_asked_for_go_the_short_way(
    name: str, net: gp.Network, weight: Any, dtype: Any, request: pytest.FixtureRequest
) -> None:
    _, loss, target = ASKED[name]
    program, theta = gp.Program(lower_layout(net.layout)), net.theta.astype(dtype)
    expected = in_general(net, theta, loss, target, weight)
    request.getfixturevalue("_short")
    value, gradient = program.value_and_grad(theta, X, target, loss=loss, sample_weight=weight)
    near = 1e-13 if dtype is np.float64 else 1e-5
    assert value == pytest.approx(expected[0], rel=near)
    assert np.abs(gradient - expected[1]).max() <= near * np.abs(expected[1]).max()
    assert gradient.dtype == dtype
    assert program.value(theta, X, target, loss=loss, sample_weight=weight) == value
    again = program.value_and_grad(theta, X, target, loss=loss, sample_weight=weight)
    assert (again[0], again[1].tolist()) == (value, gradient.tolist())
    each = program.losses(theta, X, target, loss=loss)
    mean = np.average(each, weights=weight)
    assert mean == pytest.approx(value, rel=near)


@pytest.mark.parametrize(("name", "net"), CASES)
def test_what_was_read_has_the_bits_of_what_is_given(name: str, net: gp.Network) -> None:
    """Lists are read in Python, and an objective was read before."""
    _, loss, target = ASKED[name]
    program, theta = net.program, net.theta
    value, gradient = program.value_and_grad(theta, X, target, loss=loss)
    listed = {key: (rows + 0).tolist() for key, rows in target.items()} if isinstance(target, dict) else target.tolist()
    for found in (
        program.value_and_grad(theta, X.tolist(), listed, loss=loss),
        program.value_and_grad(theta, X, read_loss(net.layout, SAMPLES, True, loss, target, None)),
    ):
        assert (found[0], found[1].tolist()) == (value, gradient.tolist())
    assert program.value(theta, X.tolist(), listed, loss=loss) == value


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("name", "net"), CASES)
def test_the_bits_are_those_of_one_thread(name: str, net: gp.Network, threads: int) -> None:
    _, loss, target = ASKED[name]
    many = 100
    rows = np.tile(X, (many, 1))
    if isinstance(target, dict):
        target = {key: np.concatenate([array] * many) for key, array in target.items()}
    else:
        target = np.tile(target, (many, 1))
    found = []
    for count in (1, threads):
        with gp.threads(count):
            value, gradient = net.program.value_and_grad(net.theta, rows, target, loss=loss)
            each = net.program.losses(net.theta, rows, target, loss=loss)
            assert net.program.value(net.theta, rows, target, loss=loss) == value
            found.append((value, gradient.tolist(), each.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize(("name", "net"), CASES)
def test_one_sample_goes_the_way_of_a_batch_of_one(name: str, net: gp.Network) -> None:
    _, loss, target = ASKED[name]
    named = isinstance(target, dict)
    one = {key: rows[:1].reshape(rows.shape[1:]) for key, rows in target.items()} if named else target[0]
    batch = {key: rows[:1] for key, rows in target.items()} if named else target[:1]
    value, gradient = net.program.value_and_grad(net.theta, X[:1], batch, loss=loss)
    found = net.program.value_and_grad(net.theta, X[0], one, loss=loss)
    assert (found[0], found[1].tolist()) == (value, gradient.tolist())
    assert net.program.value(net.theta, X[0], one, loss=loss) == value
    each = net.program.losses(net.theta, X[0], one, loss=loss)
    assert type(each) is float
    assert each == pytest.approx(value, rel=1e-14)


@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("size", ["sparse", "dense"])
def test_gaps_that_come_later_or_no_more_change_no_bits(size: str) -> None:
    net = NETS["identity", size, False]
    program, loss = gp.Program(lower_layout(net.layout)), {"p": "mse", "y": "mae", "z": "huber"}
    plain, gappy = all_of(SOFT, Y), all_of(SOFT, WITH_GAPS)
    before = program.value_and_grad(net.theta, X, plain, loss=loss)
    between = program.value_and_grad(net.theta, X, gappy, loss=loss)
    after = program.value_and_grad(net.theta, X, plain, loss=loss)
    assert (before[0], before[1].tolist()) == (after[0], after[1].tolist())
    assert between[0] != before[0]


@pytest.mark.usefixtures("_short")
def test_weights_of_heads_that_change_are_those_that_count() -> None:
    net = NETS["identity", "sparse", False]
    program, target = gp.Program(lower_layout(net.layout)), {"y": Y, "z": Z}
    parts = [program.value_and_grad(net.theta, X, {name: target[name]}, loss="mse") for name in "yz"]
    for weight in np.linspace(-1.0, 2.0, 150):
        loss = {"y": "mse", "z": ("mse", weight)}
        value, gradient = program.value_and_grad(net.theta, X, target, loss=loss)
        assert value == pytest.approx(parts[0][0] + weight * parts[1][0], rel=1e-12)
        expected = parts[0][1] + weight * parts[1][1]
        assert np.abs(gradient - expected).max() <= 1e-13 * np.abs(parts[0][1]).max()


P, LOGITS = NETS["softmax", "sparse", False], NETS["identity", "sparse", False]
LOG_P = NETS["log_softmax", "sparse", True]
BY_HEAD = {"p": "cross_entropy", "y": "mse", "z": "mae"}
ALL = all_of(ROWS, Y)


def spoiled(array: Numbers, place: Any, number: float) -> Numbers:
    array = array.copy()
    array[place] = number
    return array


WRONG: dict[str, tuple[gp.Network, Any, Any, str]] = {
    "no distribution": (LOGITS, "cross_entropy", {"p": ROWS}, "cross_entropy reads probabilities, but p is no distr"),
    "no log-probabilities": (LOGITS, "nll", {"p": LABELS}, "nll reads log-probabilities, but p is no distribution"),
    "a class that is masked": (LOG_P, "nll", {"p": np.ones(SAMPLES, int)}, "nll: head p gives inf"),
    "a label of no class": (P, "cross_entropy", {"p": LABELS + 1}, "class label 4 is out of range"),
    "a label by name of no class": (P, BY_HEAD, {"p": LABELS - 1, "y": Y, "z": Z}, "class label -1 is out of range"),
    "a negative target": (P, BY_HEAD, spoiled(ALL, (5, 0), -1.0), r"component \(5, 0\) of the target is negative"),
    "a gap where there may be none": (P, BY_HEAD, spoiled(ALL, (5, 1), np.nan), r"component \(5, 1\) of the target is"),
    "an infinite target": (P, BY_HEAD, spoiled(ALL, (5, 4), np.inf), r"component \(5, 0\) of the target is inf"),
    "a target of no sign": (
        P,
        {"p": "nll", "y": "hinge"},
        {"p": LABELS, "y": np.full(SAMPLES, 0.5)},
        "has to be -1 or 1",
    ),
    "a head without a loss": (P, {"p": "cross_entropy"}, ALL, "is for p; a target without names is for all outputs"),
    "a head without a target": (P, BY_HEAD, {"p": ROWS, "y": Y}, "head z has no target for 'z'"),
    "a target without a loss": (P, {"y": "mse"}, {"y": Y, "z": Z}, "names 'z', for which there is no loss"),
    "an unknown head": (P, {"q": "mse"}, {"y": Y}, "unknown node 'q'"),
    "a weight that is no number": (P, {"y": ("mse", True)}, {"y": Y}, "real numbers are needed, not True"),
    "a weight that is nan": (P, {"y": ("mse", np.nan)}, {"y": Y}, "the weight of its loss is nan"),
    "a loss that is none": (P, {"y": ["mse", 1.0]}, {"y": Y}, "a loss is a name or a gp.Loss"),
    "targets that are too few": (P, "mse", {"y": Y[1:], "z": Z[1:]}, r"target of node 'y' has shape \(31,\)"),
    "targets of several lengths": (P, "mse", {"y": Y, "z": Z[1:]}, r"target of node 'z' has shape \(31,\)"),
    "targets of one sample": (P, "mse", {"p": ROWS[0], "y": Y[0]}, r"target of node 'p' has shape \(4,\)"),
    "complex targets": (P, "mse", {"y": Y + 0j}, "real numbers are needed"),
    "a value that overflows": (P, {"y": ("mse", 1e300)}, {"y": 1e10 * Y}, "it overflows"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_what_is_wrong_is_told_as_by_the_general_way(what: str) -> None:
    """Each time, also if the same was asked for before with other numbers."""
    net, loss, target, told = WRONG[what]
    program = gp.Program(lower_layout(net.layout))
    right = {"y": ("mse", 1)}, {"y": Y}
    program.value_and_grad(net.theta, X, right[1], loss=right[0])
    for call in (program.value_and_grad, program.value, program.losses, program.value_and_grad):
        with pytest.raises(gp.GraphpropError, match=told):
            call(net.theta, X, target, loss=loss)


def test_an_infinite_slope_that_leads_to_no_parameter_is_told() -> None:
    """An output of 1e-320 has a finite logarithm, and no slope of it; it stands before all parameters."""
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("unused", "tanh", {"x": [0.0, 0.0]})
    net.set_outputs("x")
    for call in (net.program.value_and_grad, net.program.value):
        with pytest.raises(gp.NumberError, match="its gradient is no number"):
            call(net.theta, np.array([[1e-320, 1.0]]), np.array([[0.5, 0.5]]), loss="cross_entropy")


def test_numbers_that_change_are_those_that_count_in_every_program() -> None:
    scale = 1.0
    entry = gp.Loss("scaled", lambda z, t: (scale * (z - t) ** 2).sum(-1), lambda z, t: 2 * scale * (z - t))
    net = LOGITS
    loss, target = {"y": entry, "z": "mse"}, {"y": Y, "z": Z}
    program = gp.Program(lower_layout(net.layout))
    found = []
    for number in (0.0, 1.0, 3.0):
        scale = number
        found.append(program.value(net.theta, X, target, loss=loss))
    assert found[2] - found[0] == pytest.approx(3 * (found[1] - found[0]), rel=1e-13)
