"""Every loss against its formula at fifty digits, on targets of every kind; what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import mpmath
import numpy as np
import pytest

import graphprop as gp
from graphprop import kernels, natives
from graphprop.arithmetic import Mpmath

TABLE = list(gp.LOSSES.values())
SAMPLES = {
    "values": [[0.3, -1.2, 2.1], [1e8, 0.0, -1e8]],
    "logits": [
        [0.3, -1.2, 2.1],
        [40.0, 0.0, -40.0],
        [-40.0, 0.0, 40.0],
        [-700.0, 0.0, 700.0],
        [-3.3, -690.1, 2.2],
        [800.0, -3.0, 2.0],
        [2.0, -30.0, 2.0],
    ],
    "probabilities": [[0.5, 0.25, 0.25], [1 - 2**-50, 2**-51, 2**-51]],
    "log-probabilities": [[-0.5, -1.0, -3.0]],
}
TARGETS = {
    "any": [[1.0, -2.0, 0.5]],
    "distribution": [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.25, 0.25], [0.5, 0.25, 0.75]],
    "unit": [[0.0, 1.0, 0.25], [1.0, 1.0, 0.0]],
}


def test_the_table_is_complete() -> None:
    names = {"half_squared", "cross_entropy", "nll", "softmax_cross_entropy", "binary_cross_entropy"}
    assert set(gp.LOSSES) == names


def by_machine_code(entry: gp.Loss, z: list[float], t: list[float]) -> tuple[float, Any]:
    """As the compiled loops of a program call it, here with a sample before."""
    o = np.array([[z[::-1], z]]).transpose(0, 2, 1).copy()
    g, terms, address = np.empty_like(o), np.empty((2, 1)), natives.loss_address(entry)
    target, columns = np.array([t[::-1], t]), np.arange(len(z))
    kernels.compare(address, np.array([0, len(z)]), columns, 0, 1, target, np.ones(1), 0, o, g, terms)
    return terms[1, 0], g[0, :, 1]


@pytest.mark.parametrize("compiled", [False, True], ids=["as written", "compiled"])
@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_to_the_last_digits(entry: gp.Loss, compiled: bool) -> None:
    if compiled and not natives.loss_address(entry):
        assert entry.reads not in ("values", "logits")
        return
    for z in SAMPLES[entry.reads]:
        for t in TARGETS[entry.targets]:
            value, gradient = by_machine_code(entry, z, t) if compiled else entry.evaluate(z, t)
            with mpmath.workdps(700):
                exact_value, exact_gradient = Mpmath(mpmath.mp).loss(entry, [mpmath.mpf(x) for x in z], t)
            assert abs(value - exact_value) <= 1e-15 * abs(exact_value) + 1e-300, (z, t)
            for x, exact in zip(gradient, exact_gradient, strict=True):
                # with a target that is no vertex, p T - t is a difference of numbers of its size
                cancelling = 0 if max(t) in (sum(t), max(t)) and set(t) <= {0.0, max(t)} else 1
                assert abs(x - exact) <= 1e-15 * max(abs(exact), cancelling) + 1e-300, (z, t)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_batches_are_rows(entry: gp.Loss) -> None:
    z, t = np.array(SAMPLES[entry.reads] * 2), TARGETS[entry.targets][0]
    values, gradients = entry.evaluate(z, np.tile(t, (len(z), 1)))
    assert values.shape == (len(z),)
    for row, value, gradient in zip(z, values, gradients, strict=True):
        alone = entry.evaluate(row, t)
        assert value == pytest.approx(alone[0], rel=1e-15)
        np.testing.assert_allclose(gradient, alone[1], rtol=1e-14)


def test_the_gradient_exists_where_the_value_overflows() -> None:
    value, gradient = gp.loss("half_squared").evaluate([1e200], [-1e200])
    assert value == np.inf
    np.testing.assert_array_equal(gradient, [2e200])


def test_nothing_is_clamped() -> None:
    value, gradient = gp.loss("cross_entropy").evaluate([1e-300, 1.0], [1.0, 0.0])
    assert value == pytest.approx(300 * np.log(10), rel=1e-15)
    np.testing.assert_array_equal(gradient, [-1 / 1e-300, 0.0])


@pytest.mark.parametrize(
    ("name", "z", "t", "message"),
    [
        ("half_squared", [1.0], [1.0, 2.0], r"z has shape \(1,\), the target \(2,\)"),
        ("half_squared", [np.nan, 1.0], [1.0, 2.0], "component 0 of z is nan"),
        ("half_squared", [0.0, 1.0], [1.0, np.inf], "component 1 of the target is inf"),
        ("cross_entropy", [1.1, -0.1], [0.0, 1.0], "component 1 of z is negative"),
        ("cross_entropy", [0.5, 0.5], [-1.0, 2.0], "component 0 of the target is negative"),
        ("binary_cross_entropy", [0.5, 0.5], [0.5, 2.0], r"component 1 of the target is not in \[0, 1\]"),
    ],
)
def test_bad_numbers(name: str, z: Any, t: Any, message: str) -> None:
    with pytest.raises(gp.GraphpropError, match=message):
        gp.loss(name).evaluate(z, t)


def test_a_users_loss_has_to_keep_the_samples_apart() -> None:
    wrong = gp.Loss("mine", lambda z, t: np.sum(z - t), lambda z, t: np.ones_like(z))
    assert wrong.evaluate([1.0, 2.0], [0.0, 0.0])[0] == 3.0
    with pytest.raises(gp.GraphpropError, match="sum over the last axis and keep the others"):
        wrong.evaluate([[1.0, 2.0], [3.0, 4.0]], np.zeros((2, 2)))


def test_a_gradient_that_holds_only_for_targets_of_sum_one_is_refused() -> None:
    def value(z: Any, t: Any) -> Any:
        return -(t * (z - np.log(np.exp(z).sum(-1, keepdims=True)))).sum(-1)

    with pytest.raises(gp.GraphpropError, match="the gradient does not match"):
        gp.Loss("mine", value, lambda z, t: np.exp(z) / np.exp(z).sum(-1, keepdims=True) - t)


def test_log_probabilities_are_not_positive() -> None:
    with pytest.raises(gp.NumberError, match="component 0 of z is positive"):
        gp.loss("nll").evaluate([0.5, 0.5], [1.0, 0.0])


def test_a_wrong_gradient_is_refused_with_both_numbers() -> None:
    with pytest.raises(gp.GraphpropError, match=r"loss 'two': the gradient does not .* it gives 0\.2, .* 0\.4"):
        gp.Loss("two", lambda z, t: ((z - t) ** 2).sum(-1), lambda z, t: z - t)
    gp.Loss("two", lambda z, t: ((z - t) ** 2).sum(-1), lambda z, t: z - t, check=False)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_the_gradients_of_the_table_pass_the_check(entry: gp.Loss) -> None:
    gp.Loss(entry.name, entry.value, entry.gradient, reads=entry.reads, targets=entry.targets)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "the name of a loss"),
        ({"value": None}, "value and gradient are functions"),
        ({"reads": "x"}, "reads is one of 'values', 'probabilities'"),
        ({"targets": "x"}, "targets is one of 'any', 'distribution', 'unit'"),
        ({"value": lambda z, t: 1 / 0}, "ZeroDivisionError"),
        ({"value": lambda z, t: "a"}, "its value: numbers are needed"),
        ({"gradient": lambda z, t: 1j * z}, "its gradient: real numbers are needed"),
    ],
)
def test_bad_losses(changes: dict[str, Any], message: str) -> None:
    given = {"name": "mine", "value": lambda z, t: (z - t).sum(-1), "gradient": lambda z, t: np.ones_like(z)} | changes
    with pytest.raises(gp.GraphpropError, match=message):
        gp.Loss(**given)


def test_the_docstring_of_a_loss_says_what_its_target_is() -> None:
    assert "(samples,) whole numbers, the class labels" in gp.loss("nll").__doc__
    assert "[0, 1]" in gp.loss("binary_cross_entropy").__doc__


def test_names() -> None:
    with pytest.raises(gp.UnknownNameError, match="unknown loss 'half_square'; did you mean 'half_squared'"):
        gp.loss("half_square")
    assert pickle.loads(pickle.dumps(gp.loss("nll"))) is gp.loss("nll")


@pytest.mark.parametrize("name", [name for name, entry in gp.LOSSES.items() if entry.targets == "distribution"])
@pytest.mark.parametrize("labels", [2, np.int8(0), [1, 0], [[2, 1], [0, 0], [1, 2]]])
def test_a_class_label_stands_for_the_distribution_that_is_1_there(name: str, labels: Any) -> None:
    z = np.full((*np.shape(labels), 3), 1 / 3)
    if gp.LOSSES[name].reads == "log-probabilities":
        z = np.log(z)
    value, gradient = gp.loss(name).evaluate(z, labels)
    expected = gp.loss(name).evaluate(z, np.eye(3)[labels])
    assert np.array_equal(value, expected[0])
    assert np.array_equal(gradient, expected[1])


@pytest.mark.parametrize(
    ("z", "t", "told"),
    [
        ([1.0, 2.0], 2, "class label 2 is out of range; the classes are 0 to 1"),
        ([1.0, 2.0], -1, "class label -1 is out of range"),
        ([1.0, 2.0], 1.0, "z has shape"),
        ([[1.0, 2.0]], 1, "z has shape"),
        (1.0, 0, "z has shape"),
    ],
)
def test_a_class_label_that_is_none_is_refused(z: Any, t: Any, told: str) -> None:
    with pytest.raises(gp.GraphpropError, match=told):
        gp.loss("softmax_cross_entropy").evaluate(z, t)


def test_a_loss_that_reads_no_classes_takes_no_label() -> None:
    with pytest.raises(gp.GraphpropError, match="they must agree"):
        gp.loss("half_squared").evaluate([1.0, 2.0], 1)
