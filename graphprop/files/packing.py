"""A header and arrays of whole numbers as bytes: a line that says what it is, a line of JSON, and the arrays behind it.

What they mean is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, LimitError
from graphprop.files.document import brief, read_list, wrong
from graphprop.files.json_text import check_brackets, parse_json
from graphprop.graph.layout import Array

TITLE = b"graphprop program\n"
TYPES = {name: np.dtype(name) for name in ("<u1", "<u2", "<u4", "<u8")}


def is_packed(data: bytes) -> bool:
    return data.startswith(TITLE)


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """The bytes of a header, and of arrays of whole numbers from 0 on, each in the smallest type that holds them."""
    packed = {name: array.astype(_smallest(array)) for name, array in arrays.items()}
    listed = [[name, array.dtype.str.replace("|", "<"), len(array)] for name, array in packed.items()]
    line = json.dumps({**header, "arrays": listed}, ensure_ascii=False).encode()
    check_brackets(line, "the header")
    return b"".join([TITLE, line, b"\n", *(array.tobytes() for array in packed.values())])


def _smallest(array: Array) -> np.dtype[Any]:
    largest = int(array.max(initial=0))
    return next(kind for kind in TYPES.values() if largest <= np.iinfo(kind).max)


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header without its list of arrays, and the arrays by name; all bytes are theirs."""
    end = data.find(b"\n", len(TITLE))
    if end < 0:
        raise GraphpropError("it ends in its second line, the header")
    header = parse_json(data[len(TITLE) : end], "the header")
    if not isinstance(header, dict):
        raise wrong("the header", "an object", header)
    if "arrays" not in header:
        raise GraphpropError("the header: the key 'arrays' is missing")
    arrays: dict[str, Array] = {}
    place = end + 1
    for i, entry in enumerate(read_list(header.pop("arrays"), "arrays")):
        name, kind, length = _read_entry(entry, f"arrays[{i}]")
        if name in arrays:
            raise GraphpropError(f"arrays[{i}]: there is {brief(name)} before")
        size = length * TYPES[kind].itemsize
        if size > len(data) - place:
            told = f"{len(data) - place:,} are left in the file"
            raise GraphpropError(f"arrays[{i}]: {brief(name)} takes {brief(size)} bytes, and {told}")
        arrays[name] = _read_numbers(np.frombuffer(data, TYPES[kind], length, place), brief(name)[1:-1])
        place += size
    if place < len(data):
        raise GraphpropError(f"{len(data) - place:,} bytes follow the arrays")
    return header, arrays


def _read_entry(given: Any, place: str) -> tuple[str, str, int]:
    entry = read_list(given, place)
    if len(entry) != 3:
        raise GraphpropError(f"{place}: a name, a type and a length are needed, not {len(entry)} entries")
    name, kind, length = entry
    if not isinstance(name, str):
        raise wrong(place, "a name, which is a text,", name)
    if not isinstance(kind, str) or kind not in TYPES:
        raise wrong(place, f"a type, one of {', '.join(TYPES)},", kind)
    if type(length) is not int or length < 0:
        raise wrong(place, "a length, a whole number of at least 0,", length)
    return name, kind, length


def _read_numbers(array: Array, place: str) -> Array:
    if array.dtype == TYPES["<u8"] and array.max(initial=0) > np.iinfo(np.int64).max:
        raise LimitError(f"{place}: {array.max()} is too large")
    return array.astype(np.intp)
