"""Blocks of memory that are used again: never by two at once, and never more than is promised."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from graphprop.engine import borrowed
from graphprop.engine.borrowed import KEPT, SMALL, Borrowed

DOUBLE = np.dtype(float)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed, "_blocks", [])


def test_a_block_is_used_again_once_it_is_given_back() -> None:
    with Borrowed(SMALL, DOUBLE) as first:
        place = first.ctypes.data
        with Borrowed(SMALL, DOUBLE) as second:
            assert not np.shares_memory(first, second)
    with Borrowed(SMALL, DOUBLE) as again, Borrowed(SMALL, DOUBLE) as other:
        assert place in (again.ctypes.data, other.ctypes.data)
        assert not np.shares_memory(again, other)


@pytest.mark.parametrize("count", [0, 1, SMALL // 8 - 1, SMALL // 8, 12_345])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_has_the_size_and_type_asked_for(count: int, dtype: type) -> None:
    with Borrowed(count, np.dtype(dtype)) as numbers:
        assert (numbers.shape, numbers.dtype) == ((count,), dtype)
        numbers[:] = 1.0
        if count >= SMALL // 4:
            assert numbers.ctypes.data % 64 == 0


def test_it_is_not_used_again_after_an_error() -> None:
    """After an interrupt another thread may still write to it."""
    with pytest.raises(ZeroDivisionError), Borrowed(SMALL, DOUBLE):
        1 / 0  # noqa: B018
    assert borrowed._blocks == []


def test_no_more_is_kept_than_is_promised_and_nothing_far_too_large_is_handed_out() -> None:
    for size in (KEPT // 8, KEPT // 16, KEPT // 8 + 4096, 2 * KEPT // 8):
        with Borrowed(size, DOUBLE):
            pass
        assert sum(map(len, borrowed._blocks)) <= KEPT
    borrowed._blocks[:] = []
    with Borrowed(KEPT // 16, DOUBLE):
        pass
    with Borrowed(SMALL // 8, DOUBLE):
        assert len(borrowed._blocks) == 1  # the large one still waits


def test_threads_never_have_the_same_block() -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(300):
            with Borrowed(SMALL // 8 + 500 * (turn % 5), DOUBLE) as numbers:
                numbers[:] = number
                if (numbers != number).any():
                    wrong.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
