"""Every namespace m that formulas are written over has every name of the protocol, and means the same by it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import graphprop as gp
from graphprop.checks.by_library import LIBRARIES
from graphprop.checks.complex_numbers import COMPLEX, ComplexNumbers
from graphprop.functions.arithmetic import arithmetic
from graphprop.functions.mathematics import Mathematics
from graphprop.functions.trials import MATH
from graphprop.notation.expressions import Quantity, Symbol, evaluate
from graphprop.notation.symbolic import Symbolic

POINTS = 0.25, 0.75, 1.5
NAMES = sorted(name for name in vars(Mathematics) if not name.startswith("_"))
FUNCTIONS = [name for name in NAMES if name not in ("pi", "where", "max", "min", "sorted")]


@dataclass(frozen=True)
class Space:
    """A namespace, how a number gets into it, and out of it."""

    m: Any
    given: Callable[[float], Any]
    read: Callable[[Any], float]


def complex_number(x: float) -> Any:
    return np.array([complex(x, 1e-30)]).view(ComplexNumbers)


def of_library(name: str) -> Space:
    pytest.importorskip(name)
    found = LIBRARIES[name]()
    return Space(found.m, found.array, float)


SPACES: dict[str, Callable[[], Space]] = {
    "floats": lambda: Space(MATH, float, float),
    "mpmath": lambda: Space(arithmetic(mpmath.mp), mpmath.mpf, float),
    "another context of mpmath": lambda: Space(arithmetic(mpmath.mp.clone()), mpmath.mpf, float),
    "sympy": lambda: Space(arithmetic(sympy), sympy.Float, float),
    "expressions": lambda: Space(Symbolic(), lambda x: Quantity(Symbol("a"), x), lambda e: evaluate(e)[0]),
    "complex numbers": lambda: Space(COMPLEX, complex_number, lambda z: float(np.real(z).item())),
    "jax": lambda: of_library("jax"),
    "torch": lambda: of_library("torch"),
}
EVERY = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def close(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-15 * 8)


@EVERY
def test_it_has_all_names_of_the_protocol(space: Callable[[], Space]) -> None:
    m = space().m
    assert NAMES
    assert not [name for name in NAMES if not hasattr(m, name)]
    assert close(space().read(m.pi * space().given(1.0)), math.pi)


@EVERY
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_that_of_its_name(space: Callable[[], Space], name: str) -> None:
    s = space()
    for x in POINTS:
        assert close(s.read(getattr(s.m, name)(s.given(x))), getattr(math, name)(x))


@EVERY
def test_the_largest_and_smallest_are_found_and_a_case_is_chosen(space: Callable[[], Space]) -> None:
    s = space()
    xs = [s.given(x) for x in (0.75, 1.5, 0.25)]
    assert s.read(s.m.max(xs)) == 1.5
    assert s.read(s.m.min(xs)) == 0.25
    assert s.read(s.m.where(xs[0] > xs[2], xs[1], xs[2])) == 1.5
    assert s.read(s.m.where(xs[0] < xs[2], xs[1], xs[2])) == 0.25


@EVERY
def test_numbers_are_sorted_where_they_have_an_order(space: Callable[[], Space]) -> None:
    s = space()
    xs = [s.given(x) for x in (0.75, 1.5, 0.25)]
    if isinstance(s.m, type(arithmetic(sympy))):
        with pytest.raises(gp.GraphpropError, match="symbols have no order"):
            s.m.sorted(xs)
    else:
        assert [s.read(x) for x in s.m.sorted(xs)] == [0.25, 0.75, 1.5]


def test_these_are_all_namespaces() -> None:
    """A formula that uses one more name is refused by all of them, and not by some."""
    for name, space in SPACES.items():
        if name not in ("jax", "torch"):
            assert not hasattr(space().m, "sinh"), name
