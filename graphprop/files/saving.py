"""A graph written to a file and read from one.

What a document says is the matter of `reading.py` and `writing.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from graphprop.errors import GraphpropError
from graphprop.files.disk import checked_path, read_bytes, write_whole
from graphprop.files.json_text import check_brackets, parse_json
from graphprop.files.reading import read_network
from graphprop.files.writing import write_network
from graphprop.functions.activation import Activation
from graphprop.given.arguments import is_whole
from graphprop.graph.graph import G, Graph

MOST_BYTES = 2**28


def load(path: str | os.PathLike[str], activations: Iterable[Activation], max_bytes: int, kind: type[G]) -> G:
    """The graph that a file holds; whatever is wrong with it is a `GraphpropError` that names the place."""
    return read_document(path, read_json(path, max_bytes), activations, kind)


def read_document(path: str | os.PathLike[str], document: Any, activations: Iterable[Activation], kind: type[G]) -> G:
    """The graph of a document; what is wrong with it is said with the path that it is from."""
    try:
        return read_network(document, activations, kind)
    except GraphpropError as error:
        error.args = (f"{os.fspath(path)}: {error}", *error.args[1:])
        raise error from None


def save(net: Graph, path: str | os.PathLike[str]) -> None:
    """Write a network to a file; one that is there is replaced when all of the new one is on disk."""
    checked = checked_path(path)
    try:
        text = write_network(net.copy())  # which no other thread changes
    except GraphpropError as error:
        error.args = (f"{checked}: {error}", *error.args[1:])
        raise error from None
    data = text.encode()
    check_brackets(data, checked)
    write_whole(checked, data)


def read_json(path: str | os.PathLike[str], max_bytes: int = MOST_BYTES) -> Any:
    """What a JSON file holds; an object with a key twice is a `Twice`, a number that is too long a `TooLong`."""
    where = checked_path(path)
    if not is_whole(max_bytes, 1):
        raise GraphpropError(f"max_bytes is a whole number of at least 1, not {max_bytes!r}")
    return parse_json(read_bytes(where, int(max_bytes)), where)
