"""Ctrl-C while a fit runs: the first asks it to end after the present batch, the second raises as ever."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """`with Interrupts() as asked:`, and `asked()` says whether there was one.

    Only the main thread can hear them; where a program has a handler of its own, it is left alone.
    """

    def __init__(self) -> None:
        self._count = 0
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._heard)
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def __call__(self) -> bool:
        return self._count > 0

    def _heard(self, number: int, frame: FrameType | None) -> Any:
        self._count += 1
        if self._count > 1:
            signal.default_int_handler(number, frame)
