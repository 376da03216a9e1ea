"""An activation of your own means the same in Python and in the loops: numbers, refusals, errors, where it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.functions.own_cases import (
    BACKWARD_DOORS,
    DOORS,
    KINDS,
    _heads,
    alone,
    own,
)

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
