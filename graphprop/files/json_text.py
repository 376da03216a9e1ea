"""JSON read with limits: how deep it nests, how much it holds, keys that are there twice, numbers that are too long."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, LimitError
from graphprop.files.document import MOST_DIGITS, TooLong, Twice

DEEPEST = 100  # lists and objects in each other; Python's parser would need its stack for more


LIST, OBJECT = 4, 12  # bytes that one takes at least where names are no lists in lists


SPARE = 2**22  # bytes, for names that are


_STEPS = np.array([1 if c in b"[{" else -1 if c in b"]}" else 0 for c in range(256)], np.int8)
_OTHERS = bytes(set(range(256)) - set(b'"[]{}'))


def parse_json(data: bytes, where: str) -> Any:
    """What bytes say as JSON, as in `read_json`."""
    try:
        text = data.decode("utf-8-sig")
        if not text or text.isspace():
            raise GraphpropError(f"{where}: the file is empty")
        check_brackets(data, where)
        read = _whole_number if _may_have_long_numbers(data) else int
        return json.loads(text, object_pairs_hook=_object, parse_int=read)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise GraphpropError(f"{where}: byte {error.start} is {byte:#04x}; the file is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise GraphpropError(f"{where}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise GraphpropError(
            f"{where}: its lists and objects nest deeper than what is left of Python's stack"
        ) from None


def check_brackets(data: bytes, where: str) -> None:
    """Refuse texts that nest too deep, or whose lists and objects would take many times the memory of a network's."""
    told = data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data
    plain = np.frombuffer(told.translate(None, _OTHERS), np.uint8)
    depth = deepest = quotes = lists = objects = 0
    for first in range(0, len(plain), 2**20):
        block = plain[first : first + 2**20]
        before = np.cumsum(block == ord('"')) + quotes  # an odd number of quotes before it: in a text
        outside = block[before % 2 == 0]
        lists += int(np.count_nonzero(outside == ord("[")))
        objects += int(np.count_nonzero(outside == ord("{")))
        steps = np.cumsum(_STEPS[outside], dtype=np.int64) + depth
        quotes, deepest = int(before[-1]), max(deepest, int(steps.max(initial=depth)))
        depth = int(steps[-1]) if len(steps) else depth
    if deepest > DEEPEST:
        raise GraphpropError(f"{where}: its lists and objects nest more than {DEEPEST} deep")
    if LIST * lists + OBJECT * objects > len(data) + SPARE:
        raise LimitError(
            f"{where}: {lists:,} lists and {objects:,} objects in {len(data):,} bytes are more than a network needs"
        )


def _may_have_long_numbers(data: bytes) -> bool:
    """Whether so many digits may stand side by side that Python's own reading of whole numbers would not do."""
    some = np.frombuffer(data, np.uint8)[::16]
    others = np.flatnonzero((some < ord("0")) | (some > ord("9")))
    return bool(np.diff(others, prepend=-1, append=len(some)).max() > MOST_DIGITS // 16 - 1)


def _object(pairs: list[tuple[str, Any]]) -> Any:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    seen: set[str] = set()
    return Twice(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]


def _whole_number(text: str) -> Any:
    digits = len(text.removeprefix("-"))
    return int(text) if digits <= MOST_DIGITS else TooLong(digits)
