"""A graph, or the layout of a program, written to a file and read from one.

What a document says is the matter of `reading.py` and `writing.py`, what a program's file says of `layouts.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from graphprop.errors import GraphpropError
from graphprop.files.disk import checked_path, read_bytes, write_whole
from graphprop.files.json_text import check_brackets, parse_json
from graphprop.files.layouts import read_layout, write_layout
from graphprop.files.packing import CHECKPOINT, is_packed
from graphprop.files.reading import read_network
from graphprop.files.writing import write_network
from graphprop.functions.activation import Activation
from graphprop.given.arguments import is_whole
from graphprop.graph.graph import G, Graph
from graphprop.graph.layout import Layout

MOST_BYTES = 2**28
Path: TypeAlias = str | os.PathLike[str]
Result = TypeVar("Result")


def load(path: Path, activations: Iterable[Activation], max_bytes: int, kind: type[G]) -> G | Layout:
    """The graph that a file holds, or the layout of a program; what is wrong with it is said with its place."""
    data = _read_bytes(path, max_bytes)
    if is_packed(data):
        return _at(path, lambda: read_layout(data, activations))
    return read_document(path, _parsed(path, data), activations, kind)


def read_document(path: Path, document: Any, activations: Iterable[Activation], kind: type[G]) -> G:
    """The graph of a document; what is wrong with it is said with the path that it is from."""
    return _at(path, lambda: read_network(document, activations, kind))


def _at(path: Path, run: Callable[[], Result]) -> Result:
    try:
        return run()
    except GraphpropError as error:
        error.args = (f"{os.fspath(path)}: {error}", *error.args[1:])
        raise error from None


def save(net: Graph, path: Path) -> None:
    """Write a network to a file; one that is there is replaced when all of the new one is on disk."""
    checked = checked_path(path)
    data = _at(checked, lambda: write_network(net.copy())).encode()  # of a copy, which no other thread changes
    check_brackets(data, checked)
    write_whole(checked, data)


def save_layout(layout: Layout, path: Path) -> None:
    """Write the layout of a program to a file, in the same way."""
    checked = checked_path(path)
    write_whole(checked, _at(checked, lambda: write_layout(layout)))


def read_json(path: Path, max_bytes: int = MOST_BYTES) -> Any:
    """What a JSON file holds; an object with a key twice is a `Twice`, a number that is too long a `TooLong`."""
    data = _read_bytes(path, max_bytes)
    if is_packed(data):
        told = "a program, without numbers; a network is needed, which net.save writes"
        raise GraphpropError(f"{os.fspath(path)}: is {told}")
    return _parsed(path, data)


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    where = checked_path(path)
    if not is_whole(max_bytes, 1):
        raise GraphpropError(f"max_bytes is a whole number of at least 1, not {max_bytes!r}")
    return read_bytes(where, int(max_bytes))


def _parsed(path: Path, data: bytes) -> Any:
    if data.startswith(CHECKPOINT):
        told = "a checkpoint, which gp.fit(..., checkpoint=...) goes on from"
        raise GraphpropError(f"{os.fspath(path)}: is {told}; a network is needed, which net.save writes")
    return parse_json(data, checked_path(path))
