"""The entries of a document from outside, each read with a check and an error that names its place.

What a document means is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, LimitError, unknown
from graphprop.graph.layout import Name, Node

MOST_COMPONENTS = 2**27  # of all nodes together; a document can ask for any number in a few bytes
MOST_LONE_COMPONENTS = 2**16  # of vector nodes without edges; those of others have entries in the file
MOST_DIGITS = 1000  # of a whole number
DEEPEST_NAME = 32  # tuples in tuples
MOST_OF_ONE_HASH = 64  # names in one list
MOST_AXES = 32  # of a parameter; what numpy 1 allows
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = 80
brief = _REPR.repr


@dataclass(frozen=True)
class Twice:
    """Stands for an object of a document that has a key twice."""

    key: str


@dataclass(frozen=True)
class TooLong:
    """Stands for a whole number of a document that has too many digits."""

    digits: int


def wrong(place: str, allowed: str, found: Any) -> GraphpropError:
    if isinstance(found, Twice):
        return GraphpropError(f"{place}: the key {brief(found.key)} is there twice")
    what = f"a number of {found.digits} digits" if isinstance(found, TooLong) else brief(found)
    return GraphpropError(f"{place}: {allowed} is needed, not {what}")


def read_fields(given: Any, place: str, needed: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise wrong(place, "an object", given)
    for key in needed:
        if key not in given:
            raise GraphpropError(f"{place}: the key {key!r} is missing")
    if len(given) > len(needed):
        for key in given:
            if key not in needed and key not in optional:
                raise unknown("key", key if len(key) <= 40 else brief(key), (*needed, *optional), f"{place}: ")
    return given


def read_list(given: Any, place: str) -> list[Any]:
    if not isinstance(given, list):
        raise wrong(place, "a list", given)
    return given


def read_name(given: Any, place: str, depth: int = 0) -> Name:
    if type(given) is str:
        return read_text(given, place)
    if type(given) is int:
        return given
    if isinstance(given, list) and given and depth < DEEPEST_NAME:
        return tuple(read_name(part, place, depth + 1) for part in given)
    if depth == DEEPEST_NAME and isinstance(given, list):
        raise GraphpropError(f"{place}: the lists of a name nest {DEEPEST_NAME} deep at most")
    raise wrong(place, f"a text, a whole number of at most {MOST_DIGITS} digits or a list of these", given)


def read_text(given: Any, place: str) -> str:
    if type(given) is not str:
        raise wrong(place, "a text", given)
    if not given.isascii():
        try:
            given.encode()
        except UnicodeEncodeError:
            raise GraphpropError(f"{place}: {brief(given)} holds half a character (a lone surrogate)") from None
    return given


def check_names(names: list[Name], place: str) -> None:
    """Refuse names that were made to be slow: dictionaries would go through all names that have the same hash.

    Those of texts are drawn anew in each process, but whole numbers that differ by 2^61 - 1 have one, and so have some
    lists.
    """
    hashes = np.sort(np.fromiter(map(hash, names), dtype=np.int64, count=len(names)))
    if (hashes[MOST_OF_ONE_HASH:] == hashes[:-MOST_OF_ONE_HASH]).any():
        raise LimitError(f"{place}: more than {MOST_OF_ONE_HASH} names are the same or have the same hash in Python")


def check_lone(nodes: Mapping[Name, Node], into: Mapping[Name, Mapping[Name, Any]]) -> None:
    """Refuse vector nodes without edges that have very many components: a few bytes would ask for gigabytes."""
    if sum(max(node.n, node.m) for node in nodes.values() if node.vector) <= MOST_LONE_COMPONENTS:
        return
    joined = {u for v, parents in into.items() if parents for u in (v, *parents)}
    lone = 0
    for name, node in nodes.items():
        lone += max(node.n, node.m) if node.vector and name not in joined else 0
        if lone > MOST_LONE_COMPONENTS:
            most = f"{MOST_LONE_COMPONENTS:,}"
            raise LimitError(f"node {brief(name)}: vector nodes without edges have more than {most} components")


def read_size(given: Any, place: str) -> int:
    if type(given) is not int or given < 1:
        raise wrong(place, "a whole number of at least 1", given)
    if given > MOST_COMPONENTS:
        raise LimitError(f"{place}: at most {MOST_COMPONENTS:,} is allowed, not {brief(given)}")
    return given


def read_number(given: Any, place: str, more: str = "") -> float:
    if type(given) is float or type(given) is int:
        try:
            if math.isfinite(number := float(given)):
                return number
        except OverflowError:
            pass
    raise wrong(place, f"a finite number{more}", given)


def read_nested(given: Any, axes: Sequence[int], place: str) -> list[Any]:
    """The entries of lists in lists of these lengths, one behind the other."""
    if not axes:
        return [given]
    if not isinstance(given, list):
        raise wrong(place, f"a list of {axes[0]}", given)
    if len(given) != axes[0]:
        raise GraphpropError(f"{place}: a list of {axes[0]} is needed, not of {len(given)}")
    if len(axes) == 1:
        return given
    return [x for i, part in enumerate(given) for x in read_nested(part, axes[1:], f"{place}[{i}]")]


def check_positions(entries: list[Any], axes: Sequence[int], size: int, place: str, more: str = "") -> None:
    """Say which of the entries is no position in theta."""
    for index, x in zip(np.ndindex(*axes), entries, strict=True):
        if (type(x) is not int and not (x is None and more)) or (type(x) is int and not 0 <= x < size):
            at = "".join(f"[{i}]" for i in index)
            raise wrong(f"{place}{at}", f"a position in theta (it has {size} numbers){more}", x)
