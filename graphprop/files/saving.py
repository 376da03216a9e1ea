"""Networks in files: what is on disk is read with limits, and written as a whole or not at all.

What a document says is the matter of `reading.py` and `writing.py`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

from graphprop.errors import GraphpropError, LimitError
from graphprop.files.document import MOST_DIGITS, TooLong, Twice
from graphprop.files.reading import read_network
from graphprop.files.writing import write_network
from graphprop.functions.activation import Activation
from graphprop.graph.graph import G, Graph

MOST_BYTES = 2**28
PIECE = 2**20
DEEPEST = 100  # lists and objects in each other; Python's parser would need its stack for more
LIST, OBJECT = 4, 12  # bytes that one takes at least where names are no lists in lists
SPARE = 2**22  # bytes, for names that are
_STEPS = np.array([1 if c in b"[{" else -1 if c in b"]}" else 0 for c in range(256)], np.int8)


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
    _check_brackets(data, checked)
    write_whole(checked, data)


def read_json(path: str | os.PathLike[str], max_bytes: int = MOST_BYTES) -> Any:
    """What a JSON file holds; an object with a key twice is a `Twice`, a number that is too long a `TooLong`."""
    where = checked_path(path)
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int | np.integer) or max_bytes < 1:
        raise GraphpropError(f"max_bytes is a whole number of at least 1, not {max_bytes!r}")
    return parse_json(_read_bytes(where, int(max_bytes)), where)


def parse_json(data: bytes, where: str) -> Any:
    """What bytes say as JSON, as in `read_json`."""
    try:
        text = data.decode("utf-8-sig")
        if not text or text.isspace():
            raise GraphpropError(f"{where}: the file is empty")
        _check_brackets(data, where)
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole_number)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise GraphpropError(f"{where}: byte {error.start} is {byte:#04x}; the file is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise GraphpropError(f"{where}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise GraphpropError(
            f"{where}: its lists and objects nest deeper than what is left of Python's stack"
        ) from None


def _check_brackets(data: bytes, where: str) -> None:
    """Refuse texts that nest too deep, or whose lists and objects would take many times the memory of a network's."""
    plain = np.frombuffer(data.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
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


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file under another name in its folder, then give it its name; on failure nothing is left behind."""
    where = checked_path(path)
    if where.endswith(os.sep):
        raise GraphpropError(f"{where}: is the name of a folder; a file is needed")
    temporary = ""
    try:
        target = os.path.realpath(where)  # a link stays a link
        temporary = os.path.join(os.path.dirname(target), f".{os.urandom(8).hex()}.tmp")
        mode = _mode_of_file(target, where)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None and mode != stat.S_IMODE(os.stat(temporary).st_mode):
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except FileNotFoundError:
        folder = os.path.dirname(target)
        raise GraphpropError(f"{where}: cannot be written: there is no folder {folder!r}") from None
    except OSError as error:
        raise GraphpropError(f"{where}: cannot be written: {error.strerror or error}") from None
    finally:
        try:  # noqa: SIM105 - nothing comes before it, so that no interrupt does
            os.unlink(temporary)
        except OSError:  # it was not made, or has its name
            pass


def _mode_of_file(target: str, where: str) -> int | None:
    """The permissions of the file that is to be replaced; None if there is none."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise GraphpropError(f"{where}: is {_what(mode)}; only a file can be replaced")
    if not os.access(target, os.W_OK):
        raise GraphpropError(f"{where}: cannot be written: the file is read-only")
    return stat.S_IMODE(mode)


def _read_bytes(where: str, max_bytes: int) -> bytes:
    try:
        mode = os.stat(where).st_mode
        if not stat.S_ISREG(mode):
            raise GraphpropError(f"{where}: is {_what(mode)}; a file is needed")
        with open(where, "rb") as file:
            data = _read_at_most(file, max_bytes + 1)
    except FileNotFoundError:
        raise GraphpropError(f"{where}: there is no such file") from None
    except OSError as error:
        raise GraphpropError(f"{where}: cannot be read: {error.strerror or error}") from None
    if len(data) > max_bytes:
        raise LimitError(f"{where}: has more than {max_bytes:,} bytes; max_bytes=... allows more")
    return data


def _read_at_most(file: BinaryIO, most: int) -> bytes:
    """So many bytes, or all there are; memory is taken for what comes, not for what may come."""
    pieces, missing = [], most
    while missing and (piece := file.read(min(missing, PIECE))):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _what(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "no regular file"


def checked_path(path: Any) -> str:
    if not isinstance(path, str | os.PathLike):
        raise GraphpropError(f"a path is a text or a path object, not {path!r}")
    where = os.fspath(path)
    if not isinstance(where, str) or not where or "\0" in where:
        raise GraphpropError(f"a path is a text that is not empty, without the character 0, not {where!r}")
    try:
        os.fsencode(where)
    except UnicodeEncodeError as error:
        raise GraphpropError(f"a path is a text that the system can write, not {where!r}: {error}") from None
    return where


def _object(pairs: list[tuple[str, Any]]) -> Any:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    seen: set[str] = set()
    return Twice(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]


def _whole_number(text: str) -> Any:
    digits = len(text.removeprefix("-"))
    return int(text) if digits <= MOST_DIGITS else TooLong(digits)
