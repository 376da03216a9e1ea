"""A user's function may raise anything: what passes as it is, and what does not."""

from __future__ import annotations

from typing import NoReturn

import pytest

import graphprop as gp
from graphprop.functions.calling import Told, attempt

PASSING = [MemoryError, RecursionError, KeyboardInterrupt, SystemExit, GeneratorExit]
TOLD = [ValueError, ZeroDivisionError, StopIteration, AssertionError, gp.GraphpropError]


def raising(kind: type[BaseException]) -> NoReturn:
    raise kind("of theirs")


@pytest.mark.parametrize("kind", PASSING)
def test_what_is_none_of_its_numbers_reaches_the_caller_as_itself(kind: type[BaseException]) -> None:
    with pytest.raises(kind, match="of theirs"):
        attempt(raising, kind)
    with pytest.raises(kind, match="of theirs"), Told(lambda error: gp.NumberError("of ours")):
        raising(kind)


@pytest.mark.parametrize("kind", TOLD)
def test_all_else_is_told_or_counts_as_nothing(kind: type[Exception]) -> None:
    assert attempt(raising, kind) is None
    with pytest.raises(gp.NumberError, match="it raised of theirs") as caught, Told(words):
        raising(kind)
    assert isinstance(caught.value.__cause__, kind)  # the user sees the line of the function


def words(error: Exception) -> gp.NumberError:
    return gp.NumberError(f"it raised {error}")


def test_what_raises_nothing_is_given() -> None:
    with Told(words):
        assert attempt(max, 3, 4) == 4
