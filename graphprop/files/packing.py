"""A header and arrays as bytes: a line that says what it is, a line of JSON, and the numbers of the arrays behind it.

What they mean is not known here. The arrays of a program are whole numbers, each array in the smallest type that holds
them; others come back bit for bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, LimitError
from graphprop.files.document import MOST_AXES, brief, read_list, wrong
from graphprop.files.json_text import check_brackets, parse_json
from graphprop.graph.layout import Array

TITLE, CHECKPOINT = b"graphprop program\n", b"graphprop checkpoint\n"
Types = Mapping[str, np.dtype[Any]]
TYPES: Types = {name: np.dtype(name) for name in ("<u1", "<u2", "<u4", "<u8")}


def is_packed(data: bytes) -> bool:
    return data.startswith(TITLE)


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """The bytes of a header, and of arrays of whole numbers from 0 on, each in the smallest type that holds them."""
    return join(TITLE, header, {name: array.astype(_smallest(array)) for name, array in arrays.items()})


def join(title: bytes, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """The bytes of a title, which is a line, of a header, and of arrays as they are."""
    packed = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in arrays.items()}
    listed = [[name, type_of(array), len(array) if array.ndim == 1 else array.shape] for name, array in packed.items()]
    line = json.dumps({**header, "arrays": listed}, ensure_ascii=False).encode(errors="backslashreplace")
    check_brackets(line, "the header")
    return b"".join([title, line, b"\n", *(np.ascontiguousarray(array).data for array in packed.values())])


def type_of(array: Array) -> str:
    """The name of its type in a file."""
    return "<" + array.dtype.str[1:]


def _smallest(array: Array) -> np.dtype[Any]:
    largest = int(array.max(initial=0))
    return next(kind for kind in TYPES.values() if largest <= np.iinfo(kind).max)


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header without its list of arrays, and the arrays of whole numbers by name; all bytes are theirs."""
    header, arrays = part(data, TITLE, TYPES)
    for name, array in arrays.items():
        if array.ndim != 1:
            raise wrong(f"arrays: {brief(name)}", "a length, a whole number of at least 0,", list(array.shape))
    return header, {name: _read_numbers(array, brief(name)[1:-1]) for name, array in arrays.items()}


def part(data: bytes, title: bytes, types: Types) -> tuple[dict[str, Any], dict[str, Array]]:
    """What was joined behind a title: the header without its list of arrays, and these by name, in some allowed types.

    Their numbers stay where they are in the data, and cannot be written to.
    """
    end = data.find(b"\n", len(title))
    if end < 0:
        raise GraphpropError("it ends in its second line, the header")
    header = parse_json(data[len(title) : end], "the header")
    if not isinstance(header, dict):
        raise wrong("the header", "an object", header)
    if "arrays" not in header:
        raise GraphpropError("the header: the key 'arrays' is missing")
    arrays: dict[str, Array] = {}
    place = end + 1
    for i, entry in enumerate(read_list(header.pop("arrays"), "arrays")):
        name, kind, shape = _read_entry(entry, f"arrays[{i}]", types)
        if name in arrays:
            raise GraphpropError(f"arrays[{i}]: there is {brief(name)} before")
        count = math.prod(shape)
        size = count * types[kind].itemsize
        if size > len(data) - place or (len(shape) > 1 and math.prod(x or 1 for x in shape) > len(data)):
            told = f"{len(data) - place:,} are left in the file"
            raise GraphpropError(f"arrays[{i}]: {brief(name)} takes {brief(size)} bytes, and {told}")
        arrays[name] = np.frombuffer(data, types[kind], count, place).reshape(shape)
        place += size
    if place < len(data):
        raise GraphpropError(f"{len(data) - place:,} bytes follow the arrays")
    return header, arrays


def _read_entry(given: Any, place: str, types: Types) -> tuple[str, str, tuple[int, ...]]:
    entry = read_list(given, place)
    if len(entry) != 3:
        raise GraphpropError(f"{place}: a name, a type and a length are needed, not {len(entry)} entries")
    name, kind, length = entry
    if not isinstance(name, str):
        raise wrong(place, "a name, which is a text,", name)
    if not isinstance(kind, str) or kind not in types:
        raise wrong(place, f"a type, one of {', '.join(types)},", kind)
    lengths = length if isinstance(length, list) and len(length) <= MOST_AXES else [length]
    if any(type(x) is not int or x < 0 for x in lengths):
        raise wrong(place, "a length, a whole number of at least 0,", length)
    return name, kind, tuple(lengths)


def _read_numbers(array: Array, place: str) -> Array:
    if array.dtype == TYPES["<u8"] and array.max(initial=0) > np.iinfo(np.int64).max:
        raise LimitError(f"{place}: {array.max()} is too large")
    return array.astype(np.intp)
