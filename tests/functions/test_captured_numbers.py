"""What an own activation captures may change at any time, and is then what Python says, at every door."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine.loops import compiled_functions
from graphprop.engine.lowering import towards
from tests.cases import one_of

TEXT = """
import math
K = 2.0
def helper(a):
    return K * a
def value(a, c=0.5, *, d=0.25):
    return helper(a) + math.tanh(c * a) + d * a
def slope(a, o):
    return K + 0.5 - 0.5 * math.tanh(0.5 * a) ** 2 + 0.25
"""
POINTS = np.array([[0.5], [-1.25], [2.0]])


def make(text: str = TEXT, name: str = "mine", check: bool = False) -> tuple[gp.Activation, dict[str, Any]]:
    space: dict[str, Any] = {}
    exec(text, space)
    return gp.Activation(name, space["value"], space["slope"], check=check), space


def networks(f: gp.Activation) -> dict[str, gp.Network]:
    """A chain, and dense blocks."""
    chain = gp.Network()
    chain.add_input("x")
    chain.add_node("h", f, {"x": 1.0}, bias=0.25)
    chain.add_node("y", f, {"h": 0.5, "x": -0.5})
    return {"chain": chain, "dense": gp.mlp([1, 40, 40, 2], f, "identity", seed=3, by="layer")}


def results(net: gp.Network, rows: Any, dtype: Any = np.float64) -> list[Any]:
    """What the engine says at all its doors."""
    program, theta = net.program, net.theta.astype(dtype)
    outputs = program.predict(theta, rows)
    found = [outputs, *program.value_and_grad(theta, rows, np.zeros(outputs.shape), loss="half_squared")]
    found += program.value_and_grad(
        theta, rows, np.zeros(outputs.shape), loss="half_squared", sample_weight=np.ones(len(rows))
    )
    found += program.vjp(theta, rows, np.ones(outputs.shape))
    trace = net.forward(rows)
    back = net.backward(trace, loss="half_squared", target=np.zeros(outputs.shape))
    return [*found, trace.o_flat, back.value, back.theta]


def expected(net: gp.Network, rows: Any) -> list[Any]:
    """The same by the recursion, which calls the Python functions."""
    trace = gp.recursion.forward(net, rows)
    outputs = np.hstack([np.reshape(trace.o[v], (len(rows), -1)) for v in net.outputs])
    back = gp.recursion.backpropagate(net, trace, loss="half_squared", target=np.zeros(outputs.shape))
    start, seeds = 0, {}
    for v in net.outputs:
        width = np.reshape(trace.o[v], (len(rows), -1)).shape[1]
        seeds[v] = np.ones(np.shape(trace.o[v]))
        start += width
    seeded = gp.recursion.backpropagate(net, trace, seed=seeds)
    twice = [back.value, back.theta] * 2
    return [outputs, *twice, seeded.theta, np.reshape(seeded.input["x"], (len(rows), -1)), trace.o_flat, *twice[:2]]


def assert_python_now(net: gp.Network, rows: Any = POINTS) -> None:
    right = expected(net, rows)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-4)):
        if dtype == np.float32 and max(np.abs(x).max() for x in right) > 1e30:
            continue
        for one, other in zip(results(net, rows, dtype), right, strict=True):
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another number": lambda space: space.update(K=-3.5),
    "its sign alone": lambda space: space.update(K=-2.0),
    "a whole number": lambda space: space.update(K=3),
    "a whole number that no float holds": lambda space: space.update(K=2**70 + 1),
    "a number of numpy": lambda space: space.update(K=np.float64(1.5)),
    "a number that is no plain one": lambda space: space.update(K=np.float32(1.5)),
    "a fraction": lambda space: space.update(K=__import__("fractions").Fraction(1, 3)),
    "another helper": lambda space: space.update(helper=lambda a: a * a),
    "a helper of the library": lambda space: space.update(helper=math.sin),
    "a helper that is not compiled": lambda space: space.update(helper=lambda a: [a, 2.5 * a][1]),
    "the code of a helper": lambda space: setattr(space["helper"], "__code__", (lambda a: K * a * a).__code__),  # type: ignore[name-defined]  # noqa: F821
    "a default": lambda space: setattr(space["value"], "__defaults__", (1.5,)),
    "a keyword's default": lambda space: space["value"].__kwdefaults__.update(d=4.0),
    "all keywords' defaults": lambda space: setattr(space["value"], "__kwdefaults__", {"d": -4.0}),
    "the module of functions": lambda space: space.update(math=type("M", (), {"tanh": staticmethod(math.atan)})),
}


@pytest.mark.parametrize("kind", one_of(2, ("chain", "dense")))
@pytest.mark.parametrize("change", list(CHANGES))
def test_what_changes_after_a_run_is_what_the_next_run_computes_with(change: str, kind: str) -> None:
    f, space = make()
    net = networks(f)[kind]
    assert_python_now(net)
    before = net.program.predict(net.theta, POINTS)
    CHANGES[change](space)
    assert_python_now(net)
    assert not np.allclose(net.program.predict(net.theta, POINTS), before)


def test_what_changes_back_is_what_it_was() -> None:
    f, space = make()
    for net in networks(f).values():
        before = results(net, POINTS)
        for k in (3.0, 2.0, 3.0, 2.0):
            space["K"] = k
            assert_python_now(net)
        for one, other in zip(results(net, POINTS), before, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_cell_of_a_closure_changes() -> None:
    def scaled(k: Any) -> tuple[gp.Activation, Callable[[Any], None]]:
        def change(to: Any) -> None:
            nonlocal k
            k = to

        return gp.Activation("scaled", lambda a: k * a * a, lambda a, o: 2 * k * a), change

    f, change = scaled(2.0)
    for net in networks(f).values():
        for k in (2.0, -1.0, 3, -0.0, 0.0, True, 2**60 + 1, 1e-300):
            change(k)
            assert_python_now(net)


def test_the_sign_of_a_zero_counts() -> None:
    f, space = make(
        "import math\nK = 0.0\ndef value(a):\n    return math.atan2(K, a)\ndef slope(a, o):\n    return 0.0"
    )
    net = networks(f)["chain"]
    assert_python_now(net)
    space["K"] = -0.0
    assert net.forward([-3.0]).o["h"] == -math.pi
    assert_python_now(net)


def test_a_name_that_is_gone_is_told_with_the_node() -> None:
    f, space = make()
    for net in networks(f).values():
        assert_python_now(net)
        target = 0 * net.program.predict(net.theta, POINTS)
        del space["K"]
        for run in (
            lambda net=net: net.forward(POINTS),
            lambda net=net: net.program.predict(net.theta, POINTS),
            lambda net=net, target=target: net.program.value_and_grad(net.theta, POINTS, target, loss="half_squared"),
        ):
            with pytest.raises(gp.NumberError, match=r"node .*mine.*name 'K' is not defined"):
                run()
        space["K"] = 2.0
        assert_python_now(net)


def test_a_name_that_comes_hides_that_of_python() -> None:
    f, space = make("def value(a):\n    return abs(a)\ndef slope(a, o):\n    return 1.0 if a > 0 else -1.0\n")
    net = networks(f)["chain"]
    assert_python_now(net)
    space["abs"] = lambda a: 3.0 * a
    assert_python_now(net)
    del space["abs"]
    assert_python_now(net)


@pytest.fixture
def another_tanh(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(math, "tanh", math.atan)


def test_a_function_of_a_module_that_is_exchanged(another_tanh: Callable[[], None]) -> None:
    f, _ = make()
    net = networks(f)["chain"]
    assert_python_now(net)
    before = net.program.predict(net.theta, POINTS)
    another_tanh()
    assert_python_now(net)
    assert not np.allclose(net.program.predict(net.theta, POINTS), before)


def test_all_programs_that_have_it_notice_and_no_other() -> None:
    """Also those of a part of the nodes, and those that were pickled; each for itself."""
    f, space = make()
    g, _ = make(TEXT.replace("K = 2.0", "K = 7.0"), "other")
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", f, {"x": 1.0})
    net.add_node("y", g, {"h": 0.5})
    copy, other = net.copy(), networks(g)["chain"]
    kept = other.program.predict(other.theta, POINTS)
    middle = towards(net.program.schedule, (net.layout.find("h"),))
    for k in (2.0, 0.125, -4):
        space["K"] = k
        trace = gp.recursion.forward(net, POINTS)
        for each in (net, copy):
            assert_python_now(each)
            back = each.backward(each.forward(POINTS), seed={"h": np.ones(3)})
            right = gp.recursion.backpropagate(net, trace, seed={"h": np.ones(3)})
            np.testing.assert_allclose(back.theta, right.theta, rtol=1e-13)
        assert middle is towards(net.program.schedule, (net.layout.find("h"),))
        assert gp.check(net, POINTS, loss="half_squared", target=np.zeros((3, 1))).ok
        np.testing.assert_allclose(gp.matrixform.forward(net, POINTS).o["y"], trace.o["y"], rtol=1e-13)
        np.testing.assert_array_equal(other.program.predict(other.theta, POINTS), kept)


LEVEL = 2.0


def level(a: float) -> float:
    return LEVEL * a


def level_slope(a: float, o: float) -> float:
    return LEVEL


def test_a_pickled_program_goes_on_noticing(monkeypatch: pytest.MonkeyPatch) -> None:
    net = networks(gp.Activation("level", level, level_slope))["chain"]
    assert_python_now(net)
    again = pickle.loads(pickle.dumps(net))
    for k in (3.0, 5.0):
        monkeypatch.setitem(globals(), "LEVEL", k)
        assert_python_now(again)
        assert_python_now(net)


def test_functions_of_the_table_are_not_looked_at() -> None:
    """So that a call of a network that has no other costs nothing more."""
    net = gp.mlp([2, 3, 1], "tanh", "identity", seed=0)
    net.program.predict(net.theta, [[0.0, 1.0]])
    assert not net.program.schedule.has_own
    assert networks(make()[0])["chain"].program.schedule.has_own
    assert isinstance(make()[0].value_function, FunctionType)


def test_a_number_that_changes_at_every_step_is_compiled_once() -> None:
    f, space = make()
    net = networks(f)["chain"]
    counts = set()
    for step in range(6):
        space["K"] = 0.9**step + 0.013
        assert_python_now(net)
        counts.add(len(compiled_functions._code))
    assert len(counts) == 1
