"""Files that are kept for the next process: what is read is what was written, by this user, under this name.

They hold machine code, and whoever could write to them could run what he likes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from pathlib import Path

from graphprop.errors import GraphpropError
from graphprop.files.disk import (
    write_whole,
)


def cache_folder() -> Path | None:
    """Where compiled code is kept: what NUMBA_CACHE_DIR says, or the user's folder for caches; None without a home."""
    try:
        if chosen := os.environ.get("NUMBA_CACHE_DIR"):
            return Path(chosen) / "graphprop"
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "graphprop"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "graphprop"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphprop"
    except RuntimeError:  # the user has no home
        return None


def safe_folder() -> Path | None:
    """A folder in it that only this user can write, made if it is not there; None if there cannot be one."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        own = folder / "loops"
        own.mkdir(mode=0o700, exist_ok=True)
        found = own.lstat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    others = hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return None if others else own


def read_entry(name: str) -> bytes | None:
    """What was kept under a name; None if nothing was, or if it is not what was written."""
    folder = safe_folder()
    if folder is None:
        return None
    try:
        found = (folder / name).read_bytes()
    except OSError:
        return None
    check, data = found[: len(_check(name, b""))], found[len(_check(name, b"")) :]
    return data if check == _check(name, data) else None


def write_entry(name: str, data: bytes) -> None:
    """Keep data under a name, if that is possible; else nothing is left of it."""
    folder = safe_folder()
    if folder is not None:
        with contextlib.suppress(GraphpropError):  # of a full disk, for example
            write_whole(folder / name, _check(name, data) + data)


def _check(name: str, data: bytes) -> bytes:
    """The name is in it, so that an entry under another name is none."""
    return hashlib.sha256(name.encode() + b"\0" + data).digest()
