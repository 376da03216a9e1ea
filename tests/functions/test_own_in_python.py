"""Own activations on the caller's thread, and held against Python."""

from __future__ import annotations

import contextvars
import dataclasses
import decimal
import math
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine.loops import compiled_functions
from tests.attack.expressions import hold_random
from tests.cases import one_of
from tests.functions.own_cases import (
    BACKWARD_DOORS,
    DOORS,
    KINDS,
    alone,
    outcome,
    own,
)

# ------------------------------------------------------------------ the caller's thread


def where_it_runs(kind: str, see: Callable[[], Any]) -> tuple[gp.Network, list[Any]]:
    seen: list[Any] = []

    def value(a: Any) -> Any:
        seen.append(see())
        return KINDS[kind](a)

    def derivative(a: Any, o: Any, g: Any = 1.0) -> Any:
        seen.append(see())
        return 2.0 if kind == "elementwise" else 2.0 * g * np.ones(len(a))

    net = gp.Network()
    net.add_input("x", size=3)
    f = own(value, derivative, kind=kind)
    for i in range(3):
        net.add_node(f"y{i}", f, {"x": np.eye(3)}, size=3)
    return net, seen


@pytest.mark.parametrize("samples", [1, 2000])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_function_in_python_runs_where_it_is_called(kind: str, samples: int) -> None:
    """On the caller's thread: with its locks, context variables, and contexts of decimal and numpy."""
    number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)
    lock = threading.RLock()

    def see() -> Any:
        mine = lock.acquire(timeout=5)
        if mine:
            lock.release()
        context = decimal.getcontext().prec, number.get(), np.geterr()["under"], np.geterr()["over"]
        return threading.get_ident(), mine, *context

    net, seen = where_it_runs(kind, see)
    rows = np.random.default_rng(0).normal(size=(samples, 3))

    def run_all() -> None:
        token = number.set(7)
        with lock, decimal.localcontext() as context, np.errstate(under="call", over="raise"):
            context.prec = 11
            for door in (*DOORS.values(), *BACKWARD_DOORS.values()):
                seen.clear()
                door(net, rows)
                assert seen
                assert set(seen) == {(threading.get_ident(), True, 11, 7, "call", "raise")}
        number.reset(token)

    run_all()
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            run_all()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(120)
    assert not failures


def test_what_a_function_sets_stays_set() -> None:
    number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)

    def value(a: float) -> float:
        number.set(number.get() + 1)
        return a

    net = alone(own(value))
    net.program.predict(net.theta, [[1.0], [2.0], [3.0]])
    assert number.get() == 3


def test_a_loss_of_ones_own_runs_on_the_callers_thread() -> None:
    seen: set[int] = set()

    def value(z: Any, t: Any) -> Any:
        seen.add(threading.get_ident())
        return ((z - t) ** 2).sum(-1)

    net = gp.mlp([2, 40, 40, 3], seed=4)
    rows, target = np.random.default_rng(5).normal(size=(2, 5000, 3))
    loss = gp.Loss("mine", value, lambda z, t: 2 * (z - t))
    net.program.value_and_grad(net.theta, rows[:, :2], target, loss=loss)
    assert seen == {threading.get_ident()}


def test_an_unusual_number_of_a_compiled_function_is_asked_of_python_on_the_callers_thread() -> None:
    """Such a function runs in the loops, on several threads, until Python might refuse."""
    limit = sys.float_info.max

    def value(a: float) -> float:
        return 1.0 / (1.0 + abs(math.exp(a) - 1.0) / limit) if a < 800 else float("nan") if a > 900 else 2.0

    net = gp.Network()
    net.add_input("x")
    for i in range(30):
        net.add_node(f"y{i}", own(value), {"x": 1.0 + i / 1000})
    rows = np.linspace(-5, 5, 3000)[:, None]
    expected = gp.recursion.forward(net, rows[:3])
    np.testing.assert_allclose(net.program.predict(net.theta, rows)[:3, 4], expected.o["y4"], rtol=1e-14)
    rows[1234] = 750.0
    with pytest.raises(gp.NumberError, match=r"node 'y0', sample 1234: mine\(750\.0\): math range error"):
        net.program.predict(net.theta, rows)


# ------------------------------------------------------------------ held against Python


@pytest.mark.parametrize("number", range(8))
def test_random_functions_give_what_the_recursion_gives(number: int) -> None:
    counts: Counter[str] = Counter()
    hold_random(2024, number, counts)
    assert counts["points"] > 30


@pytest.mark.parametrize("dtype", one_of(2, (np.float64, np.float32)))
@pytest.mark.parametrize("wrong", ["a value", "a derivative", "a refusal", "one place"])
def test_machine_code_that_differs_from_python_is_not_used_and_that_is_said(
    wrong: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason is: here the text that is compiled is changed."""
    replaced = {
        "a value": ("t1 = t0 * x0", "t1 = t0 * x0 + 1e-6"),
        "a derivative": ("t1 = t0 * x0", "t1 = t0 * x0 - 1e-6"),
        "a refusal": ("odd |= x0 == 0.0", "odd |= False"),
        "one place": ("return t3, odd, far", "return (t3 if x0 != 31.0 else 0.0), odd, far"),
    }[wrong]
    right = compiled_functions.trace

    def planted(*arguments: Any) -> Any:
        traced = right(*arguments)
        assert traced is not None
        value, derivative = traced.source.split("def derivative")
        if wrong == "a derivative":
            derivative = derivative.replace(*replaced)
        else:
            value = value.replace(*replaced)
        assert f"{value}def derivative{derivative}" != traced.source
        return dataclasses.replace(traced, source=f"{value}def derivative{derivative}")

    monkeypatch.setattr(compiled_functions, "trace", planted)
    f = own(lambda a: a * 0.5 * a + 1 / a, lambda a, o: 0.25 * a * a)
    net = alone(f)
    theta, rows = net.theta.astype(dtype), np.array([[0.5], [-3.0]])
    said = r"activation 'mine' runs in Python: at a = .* its machine code gives .*Python"
    with pytest.warns(RuntimeWarning, match=said):
        found = net.program.predict(theta, rows)
    assert net.program.calls_python(np.dtype(dtype))
    np.testing.assert_allclose(found[:, 0], [0.125 + 2.0, 4.5 - 1 / 3], rtol=1e-6)


def test_an_activation_for_each_value_of_a_parameter_is_compiled_once() -> None:
    """By `parameters`, by what a function captures, and by a default."""

    def captured(k: float) -> gp.Activation:
        return own(lambda a: k * a * a + k, lambda a, o: 2 * k * a)

    def given(k: float) -> gp.Activation:
        return own(lambda a, k: k * a * a + k, lambda a, o, k: 2 * k * a, parameters={"k": k})

    def default(k: float) -> gp.Activation:
        return own(lambda a, k=k: k * a * a + k, lambda a, o, k=k: 2 * k * a)

    def written(k: float) -> gp.Activation:
        space: dict[str, Any] = {}
        exec(f"value, slope = lambda a: {k} * a * a + {k}, lambda a, o: {2 * k} * a", space)
        return own(space["value"], space["slope"])

    def of_the_table(k: float) -> gp.Activation:
        return gp.activation("elu", alpha=k)

    for make in (captured, given, default, written, of_the_table):
        counts = []
        for k in (0.5, 1.0, 3.25, -2.0):
            net = alone(make(k))
            expected = gp.recursion.forward(net, [-1.5]).o["y"]
            np.testing.assert_allclose(net.program.predict(net.theta, [-1.5]), [expected], rtol=1e-14)
            counts.append(len(compiled_functions._code))
        assert len(set(counts)) == 1 or counts[0] == 0, make


MIDDLE = (17, 18, 25, 30, 100, 123)

LARGE = (*MIDDLE, 2**53 - 1, 2**53, 2**53 + 1)


@pytest.mark.parametrize(
    ("numbers", "make"),
    [
        (MIDDLE, lambda k: own(lambda a: k * a + a * 2**k, lambda a, o: k + 2**k)),
        (LARGE, lambda k: own(lambda a: a / (k + 1) - k // 3, lambda a, o: 1 / (k + 1))),
        (MIDDLE, lambda k: own(lambda a: math.sin(a * 10**k / 7) + math.sqrt(k), lambda a, o: 10**k / 7)),
        (MIDDLE, lambda k: own(lambda a: a**k if a > k else k * a, lambda a, o: 1.0)),
        (LARGE, lambda k: own(lambda a, k=k: (a - k) * (a + k), lambda a, o, *, k=k: 2 * a)),
    ],
)
def test_an_activation_for_each_whole_number_is_compiled_once(
    numbers: tuple[int, ...], make: Callable[[int], gp.Activation]
) -> None:
    """The right numbers, also those that no float holds; small exponents aside, which are multiplied out."""
    found = set()
    for k in numbers:
        before = len(compiled_functions._code)
        net = alone(make(k))
        for a in (-1.5, 0.7, 20.0, 1e3):
            expected = outcome(lambda net=net, a=a: gp.recursion.forward(net, [a]).o["y"])
            given = outcome(lambda net=net, a=a: net.program.predict(net.theta, [a])[0])
            assert (given is None) == (expected is None)
            assert expected is None or given == pytest.approx(expected, rel=1e-13)
        found.add(len(compiled_functions._code) - before)
        assert not net.program.calls_python(np.dtype(float))
    assert sum(found) <= 2


@pytest.mark.parametrize(
    "value",
    [
        lambda a: a if abs(a) < 1e9 else 3**2**40,
        lambda a: a if abs(a) < 1e9 else a * 10**10**10,
        lambda a: a if abs(a) < 1e9 else (10**99999) ** 99999 % 7,
        lambda a: a if abs(a) < 1e9 else MANY**MANY,
        lambda a: a if abs(a) < 1e9 else doubled(MANY) * a,
        lambda a: a if abs(a) < 1e9 else 1 << 2**40,
        lambda a: a if abs(a) < 1e9 else len("a" * 2**60),
        lambda a: a if abs(a) < 1e9 else math.factorial(10**9),
        lambda a: a if abs(a) < 1e9 else sum(range(10**12)),
        lambda a: a if abs(a) < 1e9 else math.comb(10**9, 10**8),
        lambda a: a if abs(a) < 1e9 else pow(3, 2**40),
        lambda a: a if abs(a) < 1e9 else [0] * 2**60,
    ],
)
def test_what_would_take_forever_is_not_computed_if_it_is_never_reached(value: Any) -> None:
    net = alone(own(value))
    np.testing.assert_array_equal(net.program.predict(net.theta, [[1.5], [-2.0]]), [[1.5], [-2.0]])
    np.testing.assert_array_equal(net.forward([[1.5], [-2.0]]).o["y"], [1.5, -2.0])


MANY = 10**10


def doubled(n: int) -> int:
    """With some million times as many digits."""
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    n = n * n * n * n
    return n % 1000


def test_a_domain_is_no_reason_to_compile_again() -> None:
    net = alone(own(lambda a: 3.0 * a * a, lambda a, o: 6.0 * a))
    net.program.predict(net.theta, [0.5])
    before = len(compiled_functions._code)
    net = alone(own(lambda a: 3.0 * a * a, lambda a, o: 6.0 * a, domain=(-1.0, 2.0)))
    assert net.program.predict(net.theta, [0.5]) == [0.75]
    for a in (-1.5, 2.5):
        with pytest.raises(gp.NumberError, match=r"node 'y': a is .*; mine needs a number in \[-1, 2\]"):
            net.program.predict(net.theta, [a])
    assert len(compiled_functions._code) == before
