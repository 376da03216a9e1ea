"""Sizes, components, flags and seeds as a user gives them, read and checked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, check_flag
from graphprop.given.arrays import keeps_warnings

LARGEST_SIZE = 2**31  # components of a node, so that those of all can be counted


def is_whole(given: object, least: int | None = None, most: int | None = None) -> bool:
    """Whether it is a whole number, of Python or numpy, of at least and at most that; True is none."""
    if isinstance(given, bool) or not isinstance(given, int | np.integer):
        return False
    return (least is None or int(given) >= least) and (most is None or int(given) <= most)


def checked_size(size: Any, where: str) -> int:
    if not is_whole(size, 1, LARGEST_SIZE):
        allowed = f"of at least 1 and at most {LARGEST_SIZE:,}"
        raise GraphpropError(f"{where}: size is a whole number {allowed}, not {size!r}")
    return int(size)


def chosen(argument: str, index: int | None, length: int, where: str, what: str, node: object) -> Sequence[int]:
    """All components of a node, or the one that an argument names."""
    if index is None:
        return range(length)
    if not is_whole(index, 0, length - 1):
        raise GraphpropError(f"{where}: {argument}={index!r} is out of range; {what} {node!r} are 0 to {length - 1}")
    return [int(index)]


def checked_flag(flag: Any, where: str) -> None:
    check_flag(flag, f"{where}: trainable")


@keeps_warnings  # numpy sets them where a seed is mixed
def generator(seed: Any) -> np.random.Generator:
    """The random generator of a seed, which has to be given: the same numbers come out every time."""
    if not is_whole(seed, 0):
        raise GraphpropError(f"a seed is a whole number of at least 0, not {seed!r}")
    return np.random.default_rng(int(seed))
