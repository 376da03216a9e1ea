"""An own activation that runs in Python is announced: once, with the line, and with what would be compiled."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import graphprop as gp


def looked_up(a: float) -> float:
    b = 2.0 * a
    return (0.0, b)[a > 0]


def run(f: gp.Activation, dtype: Any = float) -> list[Any]:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", f, {"x": 1.0}, size=2 if f.kind == "vector" else None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.program.predict(net.theta.astype(dtype), [[1.0]])
        net.forward({"x": 1.0})
    return [each for each in caught if issubclass(each.category, gp.SlowWarning)]


def test_the_line_that_is_not_compiled_is_said_once_and_where_it_was_called() -> None:
    f = gp.Activation("looked up", looked_up, lambda a, o: 1.0, check=False)
    (told,) = run(f)
    line = looked_up.__code__.co_firstlineno + 2
    message = str(told.message)
    assert f"activation 'looked up' runs in Python, a sample at a time: line {line} of {__file__}" in message
    assert "`return (0.0, b)[a > 0]`" in message
    assert "np.where" in message
    assert told.filename == __file__
    assert not run(f)
    assert not run(f, np.float32)


@pytest.mark.parametrize("kind", ["reducing", "vector"])
def test_the_kind_is_said_where_no_function_of_it_is_compiled(kind: Any) -> None:
    value = (lambda a: a.sum()) if kind == "reducing" else (lambda a: 2.0 * a)
    pull = (lambda a, o, g: g * np.ones(len(a))) if kind == "reducing" else (lambda a, o, g: 2.0 * g)
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", gp.Activation("mine", value, pull, kind=kind, check=False), {"x": [1.0, 2.0]})
    with pytest.warns(gp.SlowWarning, match=f"own ones that are {kind} are not compiled, elementwise ones are"):
        net.forward({"x": 1.0})


def test_nothing_is_said_of_what_is_compiled() -> None:
    assert not run(gp.Activation("mine", lambda a: math.floor(a) + a, lambda a, o: 1.0, check=False))


def test_what_is_no_function_of_python_is_said_to_be_none() -> None:
    class Twice:
        def __call__(self, a: float) -> float:
            return 2.0 * a

    (told,) = run(gp.Activation("mine", Twice(), lambda a, o: 2.0, check=False))
    assert "is not compiled; arithmetic, comparisons" in str(told.message)


def test_as_an_error_it_comes_from_each_run() -> None:
    f = gp.Activation("looked up", looked_up, lambda a, o: 1.0, check=False)
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", f, {"x": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(gp.SlowWarning):
                net.forward({"x": 1.0})
    assert net.forward({"x": 1.0}).o["y"] == 2.0
