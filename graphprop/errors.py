"""The exceptions of the library: one family, and how an unknown name is reported."""

from __future__ import annotations

import difflib
import heapq
import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from graphprop.notation.escaping import label, plain

LONGEST = 200  # characters of a name in a message, and of one that is compared
MOST_COMPARED = 100


class GraphpropError(ValueError):
    """Everything the library refuses is one of these; the message says what, where and what is allowed.

    It may hold what others wrote: the message of a user's function, the path of a file. So it is made plain here.
    """

    def __str__(self) -> str:
        return plain(str(self.args[0]) if self.args else "", lines=True)


class UnknownNameError(GraphpropError, KeyError):
    """A node, edge, parameter, activation or loss that does not exist."""


class WrongGradientError(GraphpropError, AssertionError):
    """A gradient that was checked and is wrong; in a test that is a failure, not an error."""


class CycleError(GraphpropError):
    """An edge that would close a cycle; `cycle` lists the nodes, the first one again at the end."""

    def __init__(self, message: str, cycle: tuple[Any, ...]) -> None:
        super().__init__(message, cycle)
        self.cycle = cycle


class NumberError(GraphpropError):
    """A number that cannot be computed with: nan, an infinity, or outside of a function's domain."""


class NoCompilerError(GraphpropError):
    """The engine was asked where nothing can be compiled."""


class LimitError(GraphpropError):
    """A computation that was counted first and found to exceed its limit, which can be raised."""


class SlowWarning(RuntimeWarning):
    """What was asked for runs in Python, and could be compiled if it were written otherwise."""


def check_choice(given: object, allowed: Iterable[str], what: str) -> None:
    """Refuse what is none of a few words."""
    words = list(allowed)
    if not isinstance(given, str) or given not in words:
        *most, last = map(repr, words)
        raise GraphpropError(f"{what} is {', '.join(most)} or {last}, not {given!r}")


def check_flag(given: object, what: str) -> None:
    if not isinstance(given, bool | np.bool_):
        raise GraphpropError(f"{what} is True or False, not {given!r}")


def unknown(
    what: str,
    name: object,
    known: Iterable[object],
    where: str = "",
    also: Mapping[Any, Iterable[str]] = MappingProxyType({}),
) -> UnknownNameError:
    """The error for a name that is not among `known`, with the nearest one suggested.

    `also` has other names of some: who types one of them, however it is spelt, is told of all that are called so.
    """
    by_text = {str(option).lower(): option for option in known}
    near, meant = None, _meant(str(name), by_text.values(), also) if also else []
    if not meant:
        near = _nearest(str(name).lower(), by_text)
    if meant:
        hint = f"did you mean {' or '.join(map(repr, meant))}?"
    elif near is not None:
        hint = f"did you mean {by_text[near]!r}?"
    elif by_text and len(by_text) <= 40:
        hint = f"known: {', '.join(_short(label(option)) for option in by_text.values())}"
    else:
        hint = f"there are {len(by_text)}, none of a similar name" if by_text else "there is none"
    return UnknownNameError(f"{where}unknown {what} {_short(repr(name))}; {hint}")


def _meant(text: str, known: Iterable[Any], also: Mapping[Any, Iterable[str]]) -> list[Any]:
    """All that are called so, whatever the case, the signs between words, and "loss" behind them."""

    def bare(text: str) -> str:
        return "".join(filter(str.isalnum, text[: 2 * LONGEST].lower())).removesuffix("loss")

    wanted = bare(text)
    return [option for option in known if wanted and wanted in map(bare, (str(option), *also.get(option, ())))]


def _nearest(text: str, options: Iterable[str]) -> str | None:
    """The option most like a text. The comparison is costly: of very many only some are compared, by their ends."""
    if len(text) > LONGEST:
        return None
    likely = [option for option in options if len(option) <= LONGEST]
    if len(likely) > MOST_COMPARED:

        def shared(option: str) -> int:
            ends = zip(text, option, strict=False), zip(text[::-1], option[::-1], strict=False)
            equal = (itertools.takewhile(lambda pair: pair[0] == pair[1], pairs) for pairs in ends)
            return sum(len(list(pairs)) for pairs in equal) - abs(len(option) - len(text))

        likely = heapq.nlargest(MOST_COMPARED, likely, key=shared)
    near = difflib.get_close_matches(text, likely, n=1)
    return near[0] if near else None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 4 :]}"
