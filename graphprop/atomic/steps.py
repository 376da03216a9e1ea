"""Changes that are made as a whole: no interrupt and no other thread comes between their steps.

The interpreter looks for signals, and lets other threads run, between steps of its own; a call of what is written in C
is one step. So what changes is prepared first, as a list of calls of methods of dicts and the like, and then
all of them are made by one call.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterable
from itertools import repeat, starmap
from typing import Any, TypeAlias

Step: TypeAlias = tuple[Any, ...]  # a function that is written in C, and its arguments
Steps: TypeAlias = list[Step]


def take(steps: Steps) -> None:
    """Take all steps, or none if an interrupt comes.

    >>> squares = {1: 1}
    >>> take([(squares.__setitem__, 2, 4), (squares.pop, 1)])
    >>> squares
    {2: 4}
    """
    deque(starmap(operator.call, steps), maxlen=0)


def changed(thing: object, **attributes: Any) -> Step:
    """The step that gives an object new attributes."""
    return vars(thing).update, attributes


def entered(tables: Iterable[dict[Any, Any]], key: Any) -> Step:
    """The step that enters a key into dicts, with None."""
    return deque, map(dict.__setitem__, tables, repeat(key), repeat(None)), 0
