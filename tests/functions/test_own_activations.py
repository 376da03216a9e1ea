"""An activation of your own means the same in Python and in the loops: numbers, refusals, errors, where it runs."""

from __future__ import annotations

import contextvars
import dataclasses
import decimal
import functools
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

DOORS: dict[str, Callable[[gp.Network, Any], Any]] = {
    "forward": lambda net, rows: net.forward(rows),
    "predict": lambda net, rows: net.program.predict(net.theta, rows),
    "predict float32": lambda net, rows: net.program.predict(net.theta.astype(np.float32), rows),
}
BACKWARD_DOORS: dict[str, Callable[[gp.Network, Any], Any]] = {
    "backward": lambda net, rows: net.backward(net.forward(rows), loss="half_squared", target=0 * _heads(net, rows)),
    "value_and_grad": lambda net, rows: net.program.value_and_grad(
        net.theta, rows, 0 * _heads(net, rows), loss="half_squared"
    ),
    "vjp": lambda net, rows: net.program.vjp(net.theta, rows, 1 + 0 * _heads(net, rows)),
    "of a recursion's trace": lambda net, rows: net.backward(
        gp.recursion.forward(net, rows), loss="half_squared", target=0 * _heads(net, rows)
    ),
}
KINDS: dict[str, Callable[..., Any]] = {
    "elementwise": lambda a: 2.0 * a,
    "reducing": lambda a: 2.0 * float(a.sum()),
    "vector": lambda a: 2.0 * a,
}


def alone(f: gp.Activation, size: int | None = None) -> gp.Network:
    """A network whose one node gives f of its inputs."""
    net = gp.Network()
    net.add_input("x", size=size)
    net.add_node("y", f, {"x": 1.0 if size is None else np.eye(size)}, size=size)
    return net


def _heads(net: gp.Network, rows: Any) -> Any:
    return net.program.predict(net.theta, rows)


def own(value: Any, derivative: Any = lambda a, o: 1.0, **settings: Any) -> gp.Activation:
    return gp.Activation("mine", value, derivative, check=False, **settings)


# ------------------------------------------------------------------ a derivative that fails


class Passing:
    """A derivative that fails once, at its n-th call, however often it is called after that."""

    def __init__(self, kind: str, n: int, failure: Callable[[], Any]) -> None:
        self.kind, self.left, self.failure = kind, n, failure

    def __call__(self, a: Any, o: Any, g: Any = 1.0) -> Any:
        self.left -= 1
        if self.left == 0:
            return self.failure()
        return 2.0 if self.kind == "elementwise" else 2.0 * g * np.ones(len(a))


def failing(error: type[BaseException]) -> Callable[[], Any]:
    def fail() -> Any:
        raise error("it failed")

    return fail


@pytest.mark.parametrize("samples", [1, 5, 300])
@pytest.mark.parametrize("door", list(BACKWARD_DOORS))
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_derivative_that_fails_once_fails_the_call(kind: Any, door: str, samples: int) -> None:
    rows = np.random.default_rng(0).normal(size=(samples, 3))
    failures = [failing(ValueError), failing(AssertionError), failing(ZeroDivisionError)]
    failures += [lambda: None] if kind == "elementwise" else [lambda: np.ones(1), lambda: np.ones((3, 1))]
    for failure in failures:
        derivative = Passing(kind, samples, failure)
        net = alone(own(KINDS[kind], derivative, kind=kind), 3)
        with pytest.raises(gp.GraphpropError, match=r"node 'y'.*derivative"):
            BACKWARD_DOORS[door](net, rows)
        BACKWARD_DOORS[door](net, rows)


@pytest.mark.parametrize("door", list(BACKWARD_DOORS))
@pytest.mark.parametrize("kind", ["reducing", "vector"])
def test_a_derivative_that_fails_for_some_g_alone_fails_the_call(kind: Any, door: str) -> None:
    """Not for ones: it is told with the g that the sample has."""

    def derivative(a: Any, o: Any, g: Any) -> Any:
        if not (np.ravel(g) >= 0).all():
            raise ValueError(f"g is {g}")
        return 2.0 * g * np.ones(len(a))

    net = alone(own(KINDS[kind], derivative, kind=kind), 3)
    net.add_node("end", "identity", {"y": -1.0 if kind == "reducing" else [-1.0, 1.0, 1.0]})
    rows = np.array([[0.5, 0.25, 0.125], [-1.0, -0.25, -0.5]])
    with pytest.raises(gp.NumberError, match=r"node 'y', sample [01]: the derivative of mine raised .*g is"):
        BACKWARD_DOORS[door](net, rows)


# ------------------------------------------------------------------ exceptions of every kind


class Ends(BaseException):
    """No error, so that nothing may take it for one."""


@pytest.mark.parametrize("what", ["value", "derivative"])
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, Ends, MemoryError, RecursionError])
def test_an_exception_that_is_no_error_reaches_the_caller_as_itself(error: Any, kind: Any, what: str) -> None:
    armed: list[bool] = []

    def value(a: Any) -> Any:
        if armed and what == "value":
            raise error("on purpose")
        return KINDS[kind](a)

    def derivative(a: Any, o: Any, g: Any = 1.0) -> Any:
        if armed and what == "derivative":
            raise error("on purpose")
        return 2.0 if kind == "elementwise" else 2.0 * g * np.ones(len(a))

    net = alone(own(value, derivative, kind=kind), 3)
    rows = np.ones((4, 3))
    expected = net.program.value_and_grad(net.theta, rows, 0 * _heads(net, rows), loss="half_squared")
    target = 0 * _heads(net, rows)
    doors: dict[str, Callable[[], Any]] = {
        "value_and_grad": lambda: net.program.value_and_grad(net.theta, rows, target, loss="half_squared"),
        "vjp": lambda: net.program.vjp(net.theta, rows, target),
        "recursion": lambda: gp.recursion.backpropagate(
            net, gp.recursion.forward(net, rows), loss="half_squared", target=target
        ),
        "backward": lambda: net.backward(net.forward(rows), loss="half_squared", target=target),
        "matrixform": lambda: gp.matrixform.backpropagate(
            net, gp.matrixform.forward(net, rows), loss="half_squared", target=target
        ),
        "check": lambda: gp.check(net, rows),
        "making": lambda: gp.Activation("mine", value, derivative, kind=kind),
        "the activation": lambda: net.layout.nodes[1].activation.vjp(
            [1.0, 2.0, 3.0], 1.0 if kind == "reducing" else [1.0, 2.0, 3.0]
        ),
    }
    if what == "value":
        doors |= {name: lambda door=door: door(net, rows) for name, door in DOORS.items()}
    for name, run in doors.items():
        armed.append(True)
        with pytest.raises(error) as caught:
            run()
        assert type(caught.value) is error, name
        armed.clear()
        found = net.program.value_and_grad(net.theta, rows, target, loss="half_squared")
        assert found[0] == expected[0]
        assert np.array_equal(found[1], expected[1])


def test_an_error_of_a_users_function_keeps_its_traceback() -> None:
    def value(a: float) -> float:
        raise LookupError("no entry")

    net = alone(own(value))
    for run in (lambda: net.forward([1.0]), lambda: gp.recursion.forward(net, [1.0])):
        with pytest.raises(gp.NumberError, match=r"node 'y': mine\(1\.0\): no entry") as caught:
            run()
        assert isinstance(caught.value.__cause__, LookupError)


# ------------------------------------------------------------------ the same numbers


def outcome(run: Callable[[], Any]) -> Any:
    """What a call gives, as numbers; None if it is refused."""
    try:
        return run()
    except gp.GraphpropError:
        return None


def assert_same(value: Callable[[float], Any], points: Any, derivative: Any = lambda a, o: 1.0) -> None:
    """The loops give what the recursion gives at each point, and refuse what it refuses; alone and in a batch."""
    net = alone(own(value, derivative))
    fine = []
    for a in points:
        expected = outcome(lambda a=a: float(gp.recursion.forward(net, [a]).o["y"]))
        found = outcome(lambda a=a: float(net.program.predict(net.theta, [a])[0]))
        assert (found is None) == (expected is None), (a, found, expected)
        if expected is not None:
            fine.append((a, expected))
            assert found == pytest.approx(expected, rel=1e-13, abs=0), a
    if fine:
        rows, values = np.array(fine).T
        np.testing.assert_allclose(net.program.predict(net.theta, rows[:, None])[:, 0], values, rtol=1e-13)
    if len(fine) < len(points):
        rows = np.array(points)[:, None]
        with pytest.raises(gp.NumberError, match="node 'y'"):
            net.program.predict(net.theta, rows)


TURNING: list[Callable[[float], float]] = [
    lambda a: math.sin(a * a),
    lambda a: math.sin(30 * a),
    lambda a: math.sin(math.exp(a)),
    lambda a: math.cos(a * a),
    lambda a: math.cos(math.exp(a) + a),
    lambda a: math.sin(math.cos(1e7 * a)),
    lambda a: math.sin(math.sin(a) * 1e9),
    lambda a: float(np.sin(a * a)) + math.cos(a**3),
    lambda a: math.sin(a) if a < 1000 else math.sin(1000 * a),
]


@pytest.mark.parametrize("number", one_of(3, range(len(TURNING))))
def test_a_sine_is_right_wherever_its_argument_is(number: int) -> None:
    points = [-1500.0, -1001.0, -20.3, -0.5, 0.0, 0.7, 20.0, 699.0, 1001.0, 1500.0, 33334.0, 999999.0]
    assert_same(TURNING[number], points)


def whole(k: Any, n: Any) -> list[Callable[[float], float]]:
    return [
        lambda a: a * 10**k,
        lambda a: a * 2**n,
        lambda a: a + n * n,
        lambda a: a * k**n,
        lambda a: a + n**5 - n**5,
        lambda a: a - ~(a > 0),
        lambda a: a * (a > 0) + (a < 1) / (1 + (a > 0)),
        lambda a: (a > 0) ** k * a,
        lambda a: max(3, a) ** n * 1e-30,
        lambda a: a ** (n - 40) + abs(k) ** a,
        lambda a: (a > 0) * n**3 - (a > 0) * n**3 + a,
    ]


def large(n: Any) -> list[Callable[[float], float]]:
    return [
        lambda a: a + n * n,
        lambda a: a if n > 9007199254740993.0 else a * n,
        lambda a: (a > n) + (a == n) + (a >= n) + a * n - n * a,
        lambda a: a * (n - 9007199254740992) + (n + n) / n,
        lambda a: a / n + n // 3 - n % 7 - n / (1 + a * a),
    ]


SMALL = ((-2, 64), (3, 40), (-1, 0), (2.0, 64.0))
WHOLE = [f for k, n in SMALL for f in whole(k, n)]
WHOLE += [f for n in (2**40, 9007199254740993, 10**400) for f in large(n)]


@pytest.mark.parametrize("number", one_of(3, range(len(WHOLE))))
def test_whole_numbers_are_those_of_python(number: int) -> None:
    assert_same(WHOLE[number], [-2.5, -1.0, 0.0, 0.5, 1.0, 3.0, 7.25])


REFUSING: list[Callable[[float], float]] = [
    lambda a: a**-1,
    lambda a: a**-2.0,
    lambda a: a**0.5,
    lambda a: a**3.0,
    lambda a: 0**a,
    lambda a: max(0.0, math.log(a)),
    lambda a: min(1.0, math.log(a + 1)),
    lambda a: 1 / (1 + 1 / a),
    lambda a: 1 / (1 + math.exp(-a)),
    lambda a: 1 / (1 + float(np.exp(min(-a, 700.0)))),
    lambda a: 1.0 if math.sqrt(a) > 2 else 0.5,
    lambda a: 0.0 * math.acos(a) + a,
    lambda a: 1.0 if 1 / a > 0 else -1.0,
    lambda a: a if a < 0 or 1 / (a - 1) > 0 else 0.5,
    lambda a: math.atan(math.exp(a)) + math.pow(a, -1),
    lambda a: math.fmod(1.0, a) * 0.0,
    lambda a: math.log1p(a) if a < 0 else math.lgamma(a),
    lambda a: a / (a > 0),
    lambda a: abs(math.cosh(a)) * 0.0 + 1,
]


@pytest.mark.parametrize("number", range(len(REFUSING)))
def test_what_python_refuses_is_refused_though_it_would_vanish(number: int) -> None:
    points = [-1000.0, -709.0, -2.0, -1.0, -0.5, -1e-310, -0.0, 0.0, 1e-310, 0.5, 1.0, 2.0, 5.0, 709.0, 1000.0, 1e160]
    assert_same(REFUSING[number], points)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_numpy_gives_with_a_warning_is_given() -> None:
    assert_same(lambda a: 1 / (1 + np.exp(-a)), [-1000.0, -1.0, 0.0, 1000.0])
    assert_same(lambda a: np.arctan(np.log(a)), [-1.0, 0.0, 0.5, 1e300])
    assert_same(lambda a: 1 / (np.float64(1) * a) if a else 0.0, [0.0, 1.0])  # type: ignore[arg-type]
    with np.errstate(all="raise"):
        net = alone(own(lambda a: 1 / (1 + np.exp(-a))))
        for run in (lambda: net.program.predict(net.theta, [-1000.0]), lambda: net.forward([-1000.0])):
            with pytest.raises(gp.NumberError, match="overflow"):
                run()


def test_the_refusal_of_a_derivative_names_it() -> None:
    net = alone(own(lambda a: a, lambda a, o: 1 / (1 + 1 / a)))
    rows = np.array([[1.0], [0.0]])
    for door in BACKWARD_DOORS.values():
        with pytest.raises(
            gp.NumberError, match=r"node 'y', sample 1: the derivative of mine raised ZeroDivisionError"
        ):
            door(net, rows)


class Line:
    def __init__(self, k: float) -> None:
        self.k = k

    def __call__(self, a: float) -> float:
        return self.k * a

    @staticmethod
    def twice(a: float) -> float:
        return 2 * a


def nested(a: float) -> float:
    def inner(b: float) -> float:
        return a * b

    return inner(2.0)


def trying(a: float) -> float:
    try:
        return math.log(a)
    except ValueError:
        return -1.0


def halving(a: float) -> float:
    return a if a < 1 else 0.5 * halving(a - 1)


def gone(a: float) -> float:
    b = c = 2 * a
    del b
    return c


PAIR, TENTH = np.array([1.0, 2.0]), np.float32(0.1)
ANY: dict[str, Callable[..., Any]] = {
    "a function as default": lambda a, g=math.tanh: g(a),
    "an own function as default": lambda a, g=lambda b: 2 * b: g(a),
    "a type as default": lambda a, g=float: g(a),
    "a module as default": lambda a, m=math: m.tanh(a),
    "an array as default": lambda a, w=PAIR: a * w[1],
    "None as default": lambda a, b=None: a if b is None else b,
    "a text as default": lambda a, s="2.5": a * float(s),
    "a tuple as default": lambda a, t=(1.0, 2.0): a * t[1],
    "a complex number as default": lambda a, c=1j: (a * c).imag,
    "float32 as default": lambda a, c=TENTH: a * c,
    "nan as default": lambda a, c=math.nan: a if a < 1e9 else c,
    "a partial": functools.partial(lambda k, a: k * a, 3.0),
    "a partial by name": functools.partial(lambda a, k: k * a, k=3.0),
    "a bound method": Line(2.0).__call__,
    "an object": Line(2.0),
    "a static method": Line.twice,
    "a remembered function": functools.lru_cache(lambda a: a * a),
    "nested": nested,
    "trying": trying,
    "calling itself": halving,
    "a deleted name": gone,
    "a generator": lambda a: sum(a * k for k in range(3)),
    "a list": lambda a: sum([a * k for k in range(3)]),
    "a walrus": lambda a: (b := 2 * a) + b,
    "a formatted text": lambda a: float(f"{a:.3f}"),
    "is": lambda a: 1.0 if a is None else a,
    "in": lambda a: 1.0 if a in (0.5, 3.0) else 0.25,
    "divmod": lambda a: divmod(a, 2)[1],
    "round": round,
    "int": lambda a: int(a) + 0.5,
    "pow": lambda a: pow(a, 2),
    "max with a key": lambda a: max(a, 1.0, key=lambda b: -b),
    "max of a list": lambda a: max([a, 1.0]),
    "max with nan": lambda a: max(a, math.nan),
    "dist": lambda a: math.dist((a,), (1.0,)),
    "hypot of three": lambda a: math.hypot(a, 1.0, 2.0),
    "no such function": lambda a: math.no_such_function(a),  # type: ignore[attr-defined]
    "its parts": lambda a: a.real + a.conjugate(),
    "where": lambda a: np.where(a > 0, a, 0.1 * a),
    "clip": lambda a: np.clip(a, -1, 1),
    "an array": lambda a: np.array(a) * 2,
    "a complex number": lambda a: abs(complex(a, 1.0)),
    "None": lambda a: None,
    "a text": lambda a: "1.5",
    "chained": lambda a: 1.0 if -1 < a <= 2 < 3 else a,
    "floor and rest": lambda a: 7.0 // a + a % -3 + 7 % a,
}


@pytest.mark.parametrize("what", list(ANY))
def test_whatever_a_function_is_the_loops_say_what_python_says(what: str) -> None:
    assert_same(ANY[what], [0.5, -2.5, 3.0])


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


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
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
