"""Sizes, components, flags and seeds as a user gives them, read and checked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, check_flag

LARGEST_SIZE = 2**31  # components of a node, so that those of all can be counted


def checked_size(size: Any, where: str) -> int:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= LARGEST_SIZE:
        allowed = f"of at least 1 and at most {LARGEST_SIZE:,}"
        raise GraphpropError(f"{where}: size is a whole number {allowed}, not {size!r}")
    return int(size)


def chosen(argument: str, index: int | None, length: int, where: str, what: str, node: object) -> Sequence[int]:
    """All components of a node, or the one that an argument names."""
    if index is None:
        return range(length)
    if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < length:
        raise GraphpropError(f"{where}: {argument}={index!r} is out of range; {what} {node!r} are 0 to {length - 1}")
    return [int(index)]


def checked_flag(flag: Any, where: str) -> None:
    check_flag(flag, f"{where}: trainable")


def generator(seed: Any) -> np.random.Generator:
    """The random generator of a seed, which has to be given: the same numbers come out every time."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise GraphpropError(f"a seed is a whole number of at least 0, not {seed!r}")
    return np.random.default_rng(int(seed))
