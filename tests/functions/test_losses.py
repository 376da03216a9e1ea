"""Every loss against its formula at fifty digits, on targets of every kind; what is refused."""

from __future__ import annotations

import math
import pickle
from typing import Any

import mpmath
import numpy as np
import pytest

import graphprop as gp
from graphprop.engine.loops import compiled_functions, sparse
from graphprop.engine.loops.ranges import RANGES
from graphprop.functions import soft_targets
from graphprop.functions.arithmetic import Mpmath

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
    "log-probabilities": [[math.log(p) for p in (0.55, 0.4, 0.05)]],
}
TARGETS = {
    "any": [[1.0, -2.0, 0.5]],
    "distribution": [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.25, 0.25], [0.5, 0.25, 0.75]],
    "unit": [[0.0, 1.0, 0.25], [1.0, 1.0, 0.0]],
    "sign": [[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]],
}


def test_the_table_is_complete() -> None:
    names = "half_squared mse mae huber hinge binary_cross_entropy cross_entropy nll softmax_cross_entropy"
    assert set(gp.LOSSES) == set(names.split())


def by_machine_code(entry: gp.Loss, z: list[float], t: list[float]) -> tuple[float, Any]:
    """As the compiled loops of a program call it, here with a sample before."""
    o = np.array([[z[::-1], z]]).transpose(0, 2, 1).copy()
    g, terms = np.empty_like(o), np.empty((2, 1))
    losses = np.array([compiled_functions.loss_address(entry), 0], np.uint64)
    limits = np.array([*RANGES[entry.targets], -sparse.LARGEST])
    target, columns = np.array([t[::-1], t]), np.arange(len(z))
    heads = np.array([0, len(z)]), columns, 0, 1
    sparse.compare(losses, limits, False, *heads, target, np.ones(1), 0, o, g, terms)
    return terms[1, 0], g[0, :, 1]


@pytest.mark.parametrize("compiled", [False, True], ids=["as written", "compiled"])
@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_to_the_last_digits(entry: gp.Loss, compiled: bool) -> None:
    for z in SAMPLES[entry.reads]:
        for t in TARGETS[entry.targets]:
            value, gradient = by_machine_code(entry, z, t) if compiled else entry.evaluate(z, t)
            with mpmath.workdps(700):
                exact_value, exact_gradient = Mpmath(mpmath.mp).loss(entry, [mpmath.mpf(x) for x in z], t)
            assert abs(value - exact_value) <= 1e-15 * abs(exact_value) + 1e-300, (z, t)
            for x, exact in zip(gradient, exact_gradient, strict=True):
                assert abs(x - exact) <= 1e-15 * abs(exact) + 1e-300, (z, t)


def near(p: list[float], by: float) -> list[float]:
    """Logits whose softmax is nearly p."""
    return [math.log(x) + by * (i % 2) for i, x in enumerate(p)]


def small_entries(seed: int) -> tuple[list[float], list[float]]:
    """Logits far apart, whose distances are rounded, and targets from a hundredth to a millionth off their softmax."""
    rng = np.random.default_rng(seed)
    z, off = rng.normal(size=5) * rng.uniform(10, 100), 10 ** rng.uniform(-6, -2, 5)
    e = np.exp(z - z.max())
    return z.tolist(), (e / e.sum() * (1 + off)).tolist()


SOFT = [  # logits and targets that their softmax, or sigmoid, nearly gives
    *((near(p, by), p) for p in ([0.3, 0.7], [0.1, 0.2, 0.3, 0.4], [0.9, 0.025, 0.075]) for by in (1e-10, 1e-5, 0.01)),
    ([0.0, -30.0, -40.0], [1.0, math.exp(-30) * (1 + 1e-9), math.exp(-40)]),
    ([500.0, 500.5], [400.0, 400 * math.exp(0.5)]),
    ([-1e-12, 0.0, 1e-12], [0.25, 0.25, 0.25]),
    *map(small_entries, range(24)),
]


def exact_slopes(name: str, z: list[float], t: list[float]) -> list[Any]:
    with mpmath.workdps(400):  # the smallest entries are below 1e-300
        total, e = mpmath.fsum(t), [mpmath.exp(x) for x in z]
        if name == "softmax_cross_entropy":
            return [total * x / mpmath.fsum(e) - y for x, y in zip(e, t, strict=True)]
        return [x / (1 + x) - y for x, y in zip(e, t, strict=True)]


def twice_the_digits(name: str, t: list[float]) -> Any:
    """What the terms of the slopes are rounded to where they are computed again."""
    whole = 1.0 if name == "binary_cross_entropy" else math.fsum(t)
    return np.array([1e-31 * min(y, whole - y) for y in t])


def by_log_softmax(z: list[float], t: list[float], door: str) -> Any:
    """The gradient of nll by what log_softmax reads."""
    if door == "vjp":
        return gp.activation("log_softmax").vjp(z, -np.array(t))
    net = gp.Network()
    net.add_input("x", size=len(z))
    net.add_node("y", "log_softmax", {"x": np.eye(len(z))}, size=len(z))
    trace, goal = net.forward(z), {"loss": "nll", "target": np.array(t)}
    if door == "recursion":
        return gp.recursion.backpropagate(net, trace, **goal).delta["y"]
    return net.backward(trace, **goal).delta["y"]


LOST = 2.0**-53 * 4 / soft_targets.NEAR  # the roundings of p, before it is computed again
SOFT_CASES = [("softmax_cross_entropy", *case) for case in SOFT]
SOFT_CASES += [
    ("binary_cross_entropy", [x], [y])
    for y in (0.3, 0.7, 1e-9, 1 - 1e-12, 1e-25, 1e-290)
    for x in [math.log(y / (1 - y)) * (1 + by) for by in (0.0, 1e-12, -1e-6, 1e-3)]
]


@pytest.mark.parametrize("door", ["vjp", "recursion", "backward"])
@pytest.mark.parametrize(("z", "t"), SOFT)
def test_so_it_does_through_log_softmax(z: list[float], t: list[float], door: str) -> None:
    exact = np.array(exact_slopes("softmax_cross_entropy", z, t))
    apart = np.abs(by_log_softmax(z, t, door) - exact)
    assert (apart <= 4 * LOST * np.abs(exact) + twice_the_digits("nll", t)).all()


@pytest.mark.parametrize("door", ["value", "recursion", "predict"])
@pytest.mark.parametrize("seed", range(8))
def test_small_probabilities_keep_their_digits(door: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=5) * rng.uniform(10, 300)
    a[0] = a.max() + 600.0 * rng.random()
    net = gp.Network()
    net.add_input("x", size=5)
    net.add_node("y", "softmax", {"x": np.eye(5)}, size=5)
    found = {
        "value": lambda: gp.activation("softmax").value(a),
        "recursion": lambda: gp.recursion.forward(net, a).o["y"],
        "predict": lambda: net.program.predict(net.theta, a),
    }[door]()
    with mpmath.workdps(400):
        e = [mpmath.exp(mpmath.mpf(x)) for x in a.tolist()]
        exact = [x / mpmath.fsum(e) for x in e]
        for p, right in zip(found, exact, strict=True):
            assert abs(p - right) <= 8 * 2.0**-53 * right + 5e-324


@pytest.mark.parametrize("compiled", [False, True], ids=["as written", "compiled"])
@pytest.mark.parametrize(("name", "z", "t"), SOFT_CASES)
def test_a_gradient_that_nearly_vanishes_keeps_its_digits(
    name: str, z: list[float], t: list[float], compiled: bool
) -> None:
    entry = gp.loss(name)
    _, gradient = by_machine_code(entry, z, t) if compiled else entry.evaluate(z, t)
    for x, exact, rest in zip(gradient, exact_slopes(name, z, t), twice_the_digits(name, t), strict=True):
        assert abs(x - exact) <= LOST * abs(exact) + rest, (x, exact)


@pytest.mark.parametrize("compiled", [False, True], ids=["as written", "compiled"])
def test_a_class_that_is_out_of_the_question_has_no_slope(compiled: bool) -> None:
    entry, z, t = gp.loss("softmax_cross_entropy"), [-math.inf, 0.0], [0.0, 1.0]
    value, gradient = by_machine_code(entry, z, t) if compiled else entry.evaluate(z, t)
    assert value == 0.0
    assert gradient.tolist() == [0.0, 0.0]


def doors(z: list[float], t: list[float], name: str) -> dict[str, Any]:
    """The derivatives by the logits z in every way in which a network gives them, each as an array like z."""
    net = gp.Network()
    net.add_input("z", size=len(z))
    net.add_node("y", "identity", {"z": np.eye(len(z))}, np.zeros(len(z)), size=len(z))
    how: dict[str, Any] = {"loss": name, "target": t}
    one, many = net.forward(z), net.forward([z] * 3)
    given = {form: gp.recursion.backpropagate(net, one, form=form, **how) for form in ("parents", "children", "paths")}
    given |= {"engine": net.backward(one, **how), "matrix form": gp.matrixform.backpropagate(net, one, **how)}
    found = {door: g.input["z"] for door, g in given.items()}
    how["target"] = np.array([t] * 3)
    found["engine, a batch"] = 3 * net.backward(many, **how).input["z"][1]
    found["matrix form, a batch"] = 3 * gp.matrixform.backpropagate(net, many, **how).input["z"][1]
    bias = net.layout.bias_position
    found["program"] = net.program.value_and_grad(net.theta, z, t, loss=name)[1][bias]
    found["program, a batch"] = net.program.value_and_grad(net.theta, [z] * 40, [t] * 40, loss=name)[1][bias]
    return found


@pytest.mark.parametrize(("name", "z", "t"), SOFT_CASES[::3])
def test_a_gradient_that_nearly_vanishes_keeps_its_digits_at_every_door(
    name: str, z: list[float], t: list[float]
) -> None:
    exact, rest = np.array([float(x) for x in exact_slopes(name, z, t)]), twice_the_digits(name, t)
    for door, found in doors(z, t, name).items():
        assert (np.abs(found - exact) <= LOST * np.abs(exact) + rest).all(), (door, found, exact)


def test_a_gradient_that_nearly_vanishes_keeps_its_digits_in_float32() -> None:
    z, t = np.float32([-1.2039728, -0.35667497]), [0.3, 0.7]
    program = gp.Program.from_edges(2, [0, 1], [2, 3], "identity", outputs=[2, 3])
    theta = np.ones(2, dtype=np.float32)
    exact = np.array([float(x) for x in exact_slopes("softmax_cross_entropy", z.astype(float).tolist(), t)])
    _, gradient = program.value_and_grad(theta, z, t, loss="softmax_cross_entropy")
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, exact * z, rtol=1e-6, atol=0)


LARGE = [
    ([1e308, -1e308], [0.0, 0.25], 5e307),
    ([1.5e308, -1.5e308, 0.0], [0.5, 0.5, 0.0], 1.5e308),
    ([1e308, -1e308], [1.0, 0.0], 0.0),
]


@pytest.mark.parametrize("compiled", [False, True], ids=["as written", "compiled"])
@pytest.mark.parametrize(("z", "t", "expected"), LARGE)
def test_the_fused_loss_of_finite_logits_is_finite_up_to_the_largest_numbers(
    z: list[float], t: list[float], expected: float, compiled: bool
) -> None:
    entry = gp.loss("softmax_cross_entropy")
    value, gradient = by_machine_code(entry, z, t) if compiled else entry.evaluate(z, t)
    assert value == pytest.approx(expected, rel=1e-15)
    assert gradient.tolist() == [sum(t) * (x == max(z)) - y for x, y in zip(z, t, strict=True)]


def test_the_fused_loss_is_refused_where_the_number_itself_is_out_of_range() -> None:
    z, t = [1e308, -1e308], [0.0, 1.0]
    assert by_machine_code(gp.loss("softmax_cross_entropy"), z, t)[0] == math.inf
    with pytest.raises(gp.NumberError, match="loss softmax_cross_entropy: the value is inf; it has to be finite"):
        gp.loss("softmax_cross_entropy").evaluate(z, t)


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
    with np.errstate(over="ignore"):
        value, gradient = gp.loss("half_squared").apply(np.array([1e200]), np.array([-1e200]))
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
        ("hinge", [0.5, 0.5], [1.0, 0.0], r"component 1 of the target is 0.0; it has to be -1 or 1, as 2 t - 1 makes"),
        ("nll", [-0.5, -0.5], [1.0, np.nan], "component 1 of the target is nan"),
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
        ({"reads": "x"}, "reads is 'values', 'probabilities'"),
        ({"targets": "x"}, "targets is 'any', 'distribution', 'unit' or 'sign'"),
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


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_loss_has_a_name(name: Any) -> None:
    with pytest.raises(gp.GraphpropError, match="the name of a loss is a text that is not empty"):
        gp.Loss(name, lambda z, t: (z - t).sum(-1), lambda z, t: 0 * z + 1)


@pytest.mark.parametrize(("z", "found"), [([-0.5, 1.5], "one of them is negative"), ([0.5, 0.75], "they sum to 1.25")])
def test_what_is_no_distribution_says_why(z: list[float], found: str) -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("y", "identity", {"x": np.eye(2)}, size=2)
    with pytest.raises(gp.GraphpropError, match=f"y is no distribution \\(its outputs: {found}\\)"):
        net.backward(net.forward(z), loss="cross_entropy", target=[1.0, 0.0])


def test_a_value_that_overflows_is_told_with_its_sample() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 1.0})
    trace = gp.recursion.forward(net, [[1.0], [1e200], [2.0]])
    with pytest.raises(gp.NumberError, match=r"overflows in sample 1$"):
        gp.recursion.backpropagate(net, trace, loss="half_squared", target=np.zeros((3, 1)))
