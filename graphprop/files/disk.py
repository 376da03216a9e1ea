"""Files on disk: read with a limit, and written as a whole or not at all."""

from __future__ import annotations

import os
import stat
import zlib
from contextlib import suppress
from typing import Any, BinaryIO

from graphprop.errors import GraphpropError, LimitError

PIECE = 2**20


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file under another name in its folder, then give it its name; on failure nothing is left behind."""
    _write(path, data)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse what `write_whole` would: all is done but for the file's own name. What was left unfinished is removed."""
    target = os.path.realpath(checked_path(path))
    with suppress(OSError):
        for name in os.listdir(os.path.dirname(target)):
            if name.startswith(_unfinished(target)) and name.endswith(".tmp"):
                os.unlink(os.path.join(os.path.dirname(target), name))
    _write(path, None)


def _write(path: str | os.PathLike[str], data: bytes | None) -> None:
    where = checked_path(path)
    if where.endswith(os.sep):
        raise GraphpropError(f"{where}: is the name of a folder; a file is needed")
    temporary = ""
    try:
        target = os.path.realpath(where)  # a link stays a link
        temporary = os.path.join(os.path.dirname(target), f"{_unfinished(target)}{os.urandom(8).hex()}.tmp")
        mode = _mode_of_file(target, where)
        with open(temporary, "xb") as file:
            file.write(data or b"")
            file.flush()
            if data is not None:
                os.fsync(file.fileno())
        if mode is not None and mode != stat.S_IMODE(os.stat(temporary).st_mode):
            os.chmod(temporary, mode)
        if data is not None:
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


def _unfinished(target: str) -> str:
    """How the names begin under which a file is written; those of a process that was killed meanwhile stay."""
    return f".{zlib.crc32(os.fsencode(os.path.basename(target))):08x}-"


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


def read_bytes(where: str, max_bytes: int) -> bytes:
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
