"""Blocks of memory that are used again.

The system hands out fresh memory page by page when it is first written, which can take longer than the sums
that are written there. So blocks of some size are kept for the next run.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from graphprop.given.arrays import Array

SMALL = 1 << 17  # bytes; so little costs nothing
KEPT = 1 << 26  # bytes that are kept at most


class Borrowed:
    """Memory for that many numbers, with whatever was in it, for as long as a `with` lasts.

    >>> with Borrowed(3, np.dtype(float)) as numbers:
    ...     numbers[:] = 1.0
    """

    __slots__ = "block", "count", "dtype"

    def __init__(self, count: int, dtype: np.dtype[Any]) -> None:
        self.count, self.dtype = count, dtype
        self.block: Array | None = None

    def __enter__(self) -> Array:
        size = self.count * self.dtype.itemsize
        if size < SMALL:
            return np.empty(self.count, self.dtype)
        self.block = _take(size)
        return self.block[:size].view(self.dtype)

    def __exit__(self, kind: object, *error: object) -> None:
        if self.block is not None and kind is None:  # after an interrupt another thread may still write to it
            _give_back(self.block)


_lock = threading.Lock()
_blocks: list[Array] = []  # of bytes, the smallest first


def _take(size: int) -> Array:
    with _lock:
        for i, block in enumerate(_blocks):
            if size <= len(block) <= 4 * size:
                return _blocks.pop(i)
    size += -size % 4096
    block = np.empty(size + 64, np.uint8)
    start = -block.ctypes.data % 64  # where vectors of numbers do not lie across two lines of the cache
    return block[start : start + size]


def _give_back(block: Array) -> None:
    with _lock:
        _blocks.append(block)
        _blocks.sort(key=len)
        while sum(map(len, _blocks)) > KEPT:
            _blocks.pop(0)


def _forget() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
