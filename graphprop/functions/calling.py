"""Calling what a user wrote: a function of an activation, a loss or a formula may raise anything.

What it raises is told in words of the library, or counts as no number. But a lack of memory or of stack is none of its
numbers, and reaches the caller as itself, as an interrupt and an exit do.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

PASSING = MemoryError, RecursionError


def attempt(call: Callable[Arguments, Result], *given: Arguments.args, **options: Arguments.kwargs) -> Result | None:
    """What a call gives; None where it raises, outside of a domain for example."""
    try:
        return call(*given, **options)
    except PASSING:
        raise
    except Exception:
        return None


class Told:
    """`with Told(words):` what is raised inside is raised as the exception that `words` makes of it.

    >>> with Told(lambda error: ValueError(f"the function raised {error!r}")):
    ...     1 / 0
    Traceback (most recent call last):
    ValueError: the function raised ZeroDivisionError('division by zero')
    """

    __slots__ = ("_words",)

    def __init__(self, words: Callable[[Exception], Exception]) -> None:
        self._words = words

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, PASSING):
            raise self._words(error) from error
