"""What is given to a program: anything that holds real numbers is read, all else is refused in words."""

from __future__ import annotations

import decimal
import fractions
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import graphprop as gp
from graphprop.engine import tiles
from graphprop.given import memory

NET = gp.mlp([3, 4, 2], "tanh", seed=1)
PROGRAM = gp.compile(NET)
ROWS = np.random.default_rng(2).normal(size=(5, 3))
TARGET = np.random.default_rng(3).normal(size=(5, 2))


def strided(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan)
    wide[..., ::2] = array
    return wide[..., ::2]


def unaligned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    raw = np.zeros(array.nbytes + 1, dtype=np.uint8)[1:].view(array.dtype).reshape(array.shape)
    raw[...] = array
    assert not raw.flags.aligned
    return raw


def frozen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array = array.copy()
    array.flags.writeable = False
    return array


class Subclass(np.ndarray[Any, Any]):
    pass


SAME: dict[str, Callable[[Any], Any]] = {
    "a list": lambda x: x.tolist(),
    "tuples": lambda x: tuple(map(tuple, x.tolist())) if x.ndim == 2 else tuple(x.tolist()),
    "strided": strided,
    "reversed": lambda x: x[::-1].copy()[::-1],
    "Fortran order": np.asfortranarray,
    "read-only": frozen,
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "unaligned": unaligned,
    "objects": lambda x: x.astype(object),
    "fractions": lambda x: np.vectorize(fractions.Fraction, otypes=[object])(x),
    "decimals": lambda x: np.vectorize(decimal.Decimal, otypes=[object])(x),
    "long double": lambda x: x.astype(np.longdouble),
    "a subclass": lambda x: x.view(Subclass),
    "a masked array without masks": np.ma.array,
}


@pytest.mark.parametrize("how", list(SAME))
@pytest.mark.parametrize("what", ["theta", "inputs", "target", "seeds", "sample_weight"])
def test_the_same_numbers_give_the_same_bits_however_they_are_stored(what: str, how: str) -> None:
    given = {"theta": NET.theta.copy(), "inputs": ROWS, "target": TARGET, "seeds": TARGET}
    given["sample_weight"] = np.arange(1.0, 6.0)

    def run(of: dict[str, Any]) -> list[Any]:
        weighted = {"loss": "half_squared", "sample_weight": of["sample_weight"]}
        return [
            PROGRAM.predict(of["theta"], of["inputs"]),
            *PROGRAM.value_and_grad(of["theta"], of["inputs"], of["target"], **weighted),
            *PROGRAM.vjp(of["theta"], of["inputs"], of["seeds"]),
            PROGRAM.forward(of["theta"], of["inputs"]).o_flat,
        ]

    changed = given | {what: SAME[how](given[what])}
    before = np.array(changed[what], dtype=float)
    found = run(changed)
    for x, y in zip(found, run(given), strict=True):
        assert np.array_equal(x, y)
        assert type(x) in (float, np.ndarray)
    assert np.array_equal(np.array(changed[what], dtype=float), before), "what was given was written to"
    if isinstance(changed[what], np.ndarray) and how != "read-only":
        assert changed[what].flags.writeable


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint64, np.int32])
def test_other_types_of_numbers_are_computed_in_float64(dtype: type) -> None:
    theta, rows = np.ones(len(NET.theta)).astype(dtype), np.ones((5, 3)).astype(dtype)
    value, gradient = PROGRAM.value_and_grad(theta, rows, np.ones((5, 2)).astype(dtype), loss="half_squared")
    ones = PROGRAM.value_and_grad(np.ones(len(theta)), np.ones((5, 3)), np.ones((5, 2)), loss="half_squared")
    assert gradient.dtype == np.float64
    assert value == ones[0]
    assert np.array_equal(gradient, ones[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_type_of_theta(dtype: type) -> None:
    theta = NET.theta.astype(dtype)
    for rows in (ROWS, ROWS.astype(np.float32), ROWS[0].tolist()):
        assert PROGRAM.predict(theta, rows).dtype == dtype
        assert all(x.dtype == dtype for x in PROGRAM.vjp(theta, rows, TARGET if np.ndim(rows) == 2 else TARGET[0]))


def test_theta_may_change_between_runs_and_is_not_kept() -> None:
    theta = NET.theta.copy()
    first = PROGRAM.predict(theta, ROWS)
    trace = PROGRAM.forward(theta, ROWS)
    theta *= 2
    assert np.array_equal(PROGRAM.predict(theta, ROWS), PROGRAM.predict(2 * NET.theta, ROWS))
    assert np.array_equal(trace.theta, NET.theta)
    assert np.array_equal(first, PROGRAM.predict(NET.theta, ROWS))


def test_results_are_the_users_own() -> None:
    """They can be written to, and share nothing with later results."""
    first = PROGRAM.value_and_grad(NET.theta, ROWS, TARGET, loss="half_squared")[1]
    kept = first.copy()
    first[:] = 0
    outputs = PROGRAM.predict(NET.theta, ROWS)
    outputs[:] = 0
    assert np.array_equal(PROGRAM.value_and_grad(NET.theta, ROWS, TARGET, loss="half_squared")[1], kept)


MASKED = np.ma.array(ROWS, mask=np.eye(5, 3))
THETA = NET.theta.copy()


def spoiled(array: np.ndarray[Any, Any], number: float) -> np.ndarray[Any, Any]:
    array = array.copy()
    array[-1] = number
    return array


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "theta too short": (
        lambda: PROGRAM.predict(THETA[1:], ROWS),
        rf"theta has shape \({len(THETA) - 1},\); the program has {len(THETA)} parameters",
    ),
    "theta with two axes": (lambda: PROGRAM.predict(THETA[None], ROWS), r"theta has shape \(1, 26\)"),
    "theta of one number": (lambda: PROGRAM.predict(1.0, ROWS), r"theta has shape \(\)"),
    "theta masked": (
        lambda: PROGRAM.predict(np.ma.array(THETA, mask=THETA > 0), ROWS),
        "theta: some entries of the masked array are masked",
    ),
    "theta complex": (lambda: PROGRAM.predict(THETA + 0j, ROWS), "theta: real numbers are needed"),
    "theta bool": (lambda: PROGRAM.predict(THETA > 0, ROWS), "theta: real numbers are needed"),
    "theta text": (lambda: PROGRAM.predict("0.5", ROWS), "theta: numbers are needed, not '0.5'"),
    "theta None": (lambda: PROGRAM.predict(None, ROWS), "theta: real numbers are needed, not None"),
    "theta of texts": (lambda: PROGRAM.predict(THETA.astype(str), ROWS), "theta: real numbers are needed"),
    "theta ragged": (lambda: PROGRAM.predict([[1.0], [1.0, 2.0]], ROWS), "theta: numbers of one regular shape"),
    "theta nan": (lambda: PROGRAM.predict(spoiled(THETA, np.nan), ROWS), r"theta\[25\], b\[.*y.*1.*\], is nan"),
    "theta inf": (lambda: PROGRAM.predict(spoiled(THETA, np.inf), ROWS), r"theta\[25\], b\[.*y.*1.*\], is inf"),
    "theta -inf": (lambda: PROGRAM.predict(spoiled(THETA, -np.inf), ROWS), r"theta\[25\], .*, is -inf; it has to be"),
    "inputs too narrow": (
        lambda: PROGRAM.predict(THETA, ROWS[:, 1:]),
        r"the array of inputs has shape \(5, 2\); it should have \(3,\), or \(batch, 3\)",
    ),
    "inputs with three axes": (
        lambda: PROGRAM.predict(THETA, ROWS[None]),
        r"the array of inputs has shape \(1, 5, 3\)",
    ),
    "inputs of one number": (lambda: PROGRAM.predict(THETA, 1.0), r"the array of inputs has shape \(\)"),
    "no samples": (lambda: PROGRAM.predict(THETA, ROWS[:0]), "the batch is empty; at least one sample is needed"),
    "inputs masked": (lambda: PROGRAM.predict(THETA, MASKED), "the array of inputs: some entries of the masked array"),
    "inputs nan": (lambda: PROGRAM.predict(THETA, spoiled(ROWS, np.nan)), r"the array of inputs is nan at \(4, 0\)"),
    "inputs inf": (
        lambda: PROGRAM.vjp(THETA, spoiled(ROWS, np.inf), TARGET),
        r"the array of inputs is inf at \(4, 0\)",
    ),
    "inputs None": (lambda: PROGRAM.predict(THETA, None), "the array of inputs: real numbers are needed, not None"),
    "inputs unknown": (lambda: PROGRAM.predict(THETA, {"z": 1.0}), "unknown input 'z'; the inputs are"),
    "inputs too large for float32": (
        lambda: PROGRAM.predict(THETA.astype(np.float32), spoiled(ROWS, 1e300)),
        "the array of inputs",
    ),
    "target too narrow": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, TARGET[:, :1], loss="half_squared"),
        r"loss half_squared: target has shape \(5, 1\); it should have \(5, 2\)",
    ),
    "target too short": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, TARGET[1:], loss="half_squared"),
        r"target has shape \(4, 2\); it should have \(5, 2\)",
    ),
    "target None": (lambda: PROGRAM.value_and_grad(THETA, ROWS, None, loss="half_squared"), "target= is missing"),
    "target infinite": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, spoiled(TARGET, np.inf), loss="half_squared"),
        r"loss half_squared: component \(4, 0\) of the target is inf",
    ),
    "target masked": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, np.ma.array(TARGET, mask=True), loss="half_squared"),
        "target: some entries of the masked array are masked",
    ),
    "target complex": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, TARGET + 0j, loss="half_squared"),
        "target: real numbers are needed",
    ),
    "target of an unknown node": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, {"z": 1.0}, loss="half_squared"),
        "unknown node 'z'",
    ),
    "label too large": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, [0, 1, 2, 0, 0], loss="softmax_cross_entropy"),
        "class label 2 is out of range; the classes are 0 to 1",
    ),
    "label negative": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, [0, 1, -1, 0, 0], loss="softmax_cross_entropy"),
        "class label -1 is out of range; the classes are 0 to 1",
    ),
    "label not whole": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, [0.0, 1.0, 1.0, 0.0, 0.0], loss="softmax_cross_entropy"),
        "class labels are whole numbers",
    ),
    "target negative": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, -abs(TARGET), loss="softmax_cross_entropy"),
        r"component \(0, 0\) of the target is negative",
    ),
    "loss unknown": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, TARGET, loss="half_square"),
        "unknown loss 'half_square'; did you mean 'half_squared'?",
    ),
    "loss None": (lambda: PROGRAM.value_and_grad(THETA, ROWS, TARGET, loss=None), "a loss is a name or a gp.Loss"),  # type: ignore[arg-type]
    "weights too few": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, TARGET, loss="half_squared", sample_weight=[1.0]),
        r"sample_weight has shape \(1,\); it should have \(5,\)",
    ),
    "weight negative": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, TARGET, loss="half_squared", sample_weight=[1, 1, -1, 1, 1]),
        r"sample_weight\[2\] is -1.0; it has to be finite and not negative",
    ),
    "weights all 0": (
        lambda: PROGRAM.value_and_grad(THETA, ROWS, TARGET, loss="half_squared", sample_weight=np.zeros(5)),
        "sample_weight is 0 everywhere",
    ),
    "seeds too narrow": (
        lambda: PROGRAM.vjp(THETA, ROWS, TARGET[:, :1]),
        r"seeds: the array has shape \(5, 1\); it should have \(5, 2\)",
    ),
    "seeds of one sample": (
        lambda: PROGRAM.vjp(THETA, ROWS, TARGET[0]),
        r"seeds: the array has shape \(2,\); it should have",
    ),
    "seeds nan": (lambda: PROGRAM.vjp(THETA, ROWS, spoiled(TARGET, np.nan)), "seeds.*not finite: nan"),
    "seeds None": (lambda: PROGRAM.vjp(THETA, ROWS, None), "seeds: the array: real numbers are needed, not None"),
    "seeds of an unknown node": (lambda: PROGRAM.vjp(THETA, ROWS, {"z": np.ones(5)}), "unknown node 'z'"),
    "no trace": (lambda: PROGRAM.backward(ROWS, "y"), "a trace of net.forward is needed, not ndarray"),  # type: ignore[arg-type]
    "a trace of another network": (
        lambda: PROGRAM.backward(gp.mlp([3, 4, 3]).forward(ROWS), loss="half_squared", target=TARGET),
        "the trace is of another structure",
    ),
    "a trace of mpmath's numbers": (
        lambda: PROGRAM.backward(gp.recursion.forward(NET, ROWS[0], numbers=mpmath), NET.layout.heads[0][0]),
        r"a program computes with floats; net\.backward and gp\.recursion go on in the numbers of the trace",
    ),
    "a trace of symbols": (
        lambda: PROGRAM.backward(gp.recursion.forward(NET, sympy.symbols("a b c"), numbers=sympy), loss="half_squared"),
        "a program computes with floats",
    ),
    "no network": (lambda: gp.compile(PROGRAM), "a network is compiled, not Program"),  # type: ignore[arg-type]
    "no nodes": (lambda: gp.compile(gp.Network()), "the network has no nodes"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_what_cannot_be_used_is_refused_with_what_where_and_what_is_allowed(what: str) -> None:
    run, message = WRONG[what]
    with pytest.raises(gp.GraphpropError, match=message):
        run()


@pytest.mark.parametrize("spelled", [float, np.float64, "float64", "d", np.float32, "float32", "f"])
def test_a_dtype_is_the_same_however_it_is_spelled(spelled: Any) -> None:
    own = gp.Network()
    own.add_input("x")
    own.add_node("y", gp.Activation("by a table", lambda a: [0.0, a][1], lambda a, o: [0.0, 1.0][1]), {"x": 1.0})
    assert (PROGRAM.calls_python(spelled), own.program.calls_python(spelled)) == (False, True)


@pytest.mark.parametrize("kind", [int, "float16", complex, ">f8", "no type", object(), [], {}, [("a", float)], THETA])
def test_a_dtype_in_which_nothing_is_computed_is_refused(kind: Any) -> None:
    with pytest.raises(gp.GraphpropError, match="a program computes in float64 or float32, not in "):
        PROGRAM.calls_python(kind)


def three_inputs() -> gp.Network:
    """One input is read, one is read by nothing, one is a head itself."""
    net = gp.Network()
    for name in ("read", "unread", "head"):
        net.add_input(name)
    net.add_node("y", "relu", {"read": 1.0})
    net.add_node("off", "tanh", {"read": 1.0})
    net.set_outputs(["y", "head"])
    return net


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 1, 2], ids=["read", "unread", "head"])
def test_an_input_that_is_not_finite_is_refused_wherever_it_stands(column: int, number: float) -> None:
    net = three_inputs()
    rows = np.ones((4, 3))
    rows[2, column] = number
    program, target = gp.compile(net), np.zeros((4, 2))
    for run in (
        lambda: net.forward(rows),
        lambda: program.predict(net.theta, rows),
        lambda: program.value_and_grad(net.theta, rows, target, loss="half_squared"),
        lambda: program.vjp(net.theta, rows, target),
        lambda: program.vjp(net.theta, rows, target + 1),
    ):
        with pytest.raises(gp.NumberError, match=rf"the array of inputs is {number} at \(2, {column}\)"):
            run()


@pytest.mark.parametrize("position", [0, 1], ids=["read", "off every path"])
def test_a_parameter_that_is_not_finite_is_refused_wherever_it_stands(position: int) -> None:
    net = three_inputs()
    theta = net.theta.copy()
    theta[position] = np.nan
    for run in (
        lambda: gp.compile(net).forward(theta, np.zeros((4, 3))),
        lambda: gp.compile(net).predict(theta, np.zeros((4, 3))),
        lambda: gp.compile(net).value_and_grad(theta, np.zeros((4, 3)), np.zeros((4, 2)), loss="half_squared"),
    ):
        with pytest.raises(gp.NumberError, match=rf"theta\[{position}\], w\(read, .*\), is nan; it has to be finite"):
            run()


def test_a_network_without_outputs_is_refused_or_has_none() -> None:
    net = gp.Network()
    net.add_input("x")
    program = gp.compile(net)
    assert program.forward([], [1.0]).o["x"] == 1.0
    for run in (
        lambda: program.predict([], [[1.0]]),
        lambda: program.value_and_grad([], [[1.0]], [[1.0]], loss="half_squared"),
        lambda: program.vjp([], [[1.0]], [[1.0]]),
    ):
        with pytest.raises(gp.GraphpropError):
            run()


def test_class_labels_among_very_many_classes() -> None:
    """No table of classes by classes is made: it would be 80 gigabytes."""
    classes = 100_000
    program = gp.Program.from_edges(1, [0] * classes, np.arange(1, classes + 1), "identity")
    theta = np.zeros(classes)
    value, gradient = program.value_and_grad(theta, [[1.0]], [7], loss="softmax_cross_entropy")
    assert abs(value - np.log(classes)) < 1e-9
    assert abs(gradient[7] + 1) < 1e-4


def test_the_limits_of_memory_are_told_before_they_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace keeps every number of every sample; predict and value_and_grad keep those of some parts only."""
    samples = 1000
    per_sample = 8 * (6 + 9)  # six pre-activations and nine outputs
    monkeypatch.setattr(memory, "LARGE", 0)  # from where on it is looked up
    monkeypatch.setattr(memory, "available_bytes", lambda: samples * per_sample - 1)
    rows = np.ones((samples, 3))
    with pytest.raises(gp.LimitError, match=r"a trace of 1000 samples needs 120,000 bytes, and 119,999 are available"):
        PROGRAM.forward(THETA, rows)
    assert PROGRAM.predict(THETA, rows).shape == (samples, 2)
    monkeypatch.setattr(memory, "available_bytes", lambda: samples * per_sample)
    assert PROGRAM.forward(THETA, rows).samples == samples


@pytest.mark.parametrize("samples", [1, 1000, 10**6, 10**9])
@pytest.mark.parametrize("item", [4, 8])
@pytest.mark.parametrize("make", ["sparse", "dense", "wide"])
def test_a_part_of_a_batch_is_bounded_and_the_parts_are_the_batch(make: str, item: int, samples: int) -> None:
    program = {
        "sparse": lambda: PROGRAM,
        "dense": lambda: gp.compile(gp.mlp([64, 64, 8], seed=4)),
        "wide": lambda: gp.Program.from_edges(1, np.zeros(50_000, dtype=int), np.arange(1, 50_001)),
    }[make]()
    if make == "wide" and samples > 10**6:
        pytest.skip("a million parts")
    schedule = program.schedule
    state = item * (len(schedule.rows) + 2 * len(schedule.columns))
    cut = tiles.cut_batch(schedule, samples, item, program.layout.size)
    sizes = np.array([part.stop - part.start for part in cut.parts])
    assert cut.parts[0].start == 0
    assert cut.parts[-1].stop == samples
    assert all(x.stop == y.start for x, y in zip(cut.parts[:-1], cut.parts[1:], strict=True))
    assert sizes.max() * state <= max(2 * tiles.PART_BYTES, state)
    assert 1 <= cut.lanes <= tiles.LANES
