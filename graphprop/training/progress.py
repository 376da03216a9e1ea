"""What is seen of a fit while it runs: a bar in a terminal or a notebook, a line now and then where it is piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from graphprop.errors import GraphpropError

SOON = 1.0  # seconds after which there is something to be seen
SELDOM = 10.0  # seconds between two lines


class Shown(Protocol):
    """What is told of the steps and of the epochs."""

    def step(self, epoch: int, loss: float, count: int = 1) -> None:
        """Steps that were made, in an epoch counted from 1; the mean loss of it until now."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """An epoch came to its end."""

    def close(self) -> None:
        """Nothing more comes."""


def shown(asked: bool | None, epochs: int, steps: int | None, done: int) -> Shown:
    """What shows a fit of so many epochs and steps, some of which are done; None asks for what suits the place."""
    if not (asked is None or isinstance(asked, bool)):
        raise GraphpropError(f"progress is True, False or None, not {asked!r}")
    if asked is False:
        return Nothing()
    in_a_notebook = "IPython" in sys.modules and "ipykernel" in sys.modules
    if asked or in_a_notebook or (sys.stderr is not None and sys.stderr.isatty()):
        return Bar(epochs, steps, done)
    return Lines(epochs)


class Nothing:
    """Shows nothing."""

    def step(self, epoch: int, loss: float, count: int = 1) -> None:
        pass

    def epoch(self, row: Mapping[str, float]) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """A line at the end of an epoch, if the last one is a while ago."""

    def __init__(self, epochs: int) -> None:
        self._epochs, self._next = epochs, time.monotonic() + SELDOM

    def step(self, epoch: int, loss: float, count: int = 1) -> None:
        pass

    def epoch(self, row: Mapping[str, float]) -> None:
        if time.monotonic() >= self._next and sys.stderr is not None:
            self._next = time.monotonic() + SELDOM
            told = ", ".join(f"{name} {number:.5g}" for name, number in row.items() if name not in ("epoch", "rate"))
            print(f"epoch {int(row['epoch'])} of {self._epochs}: {told}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class Bar:
    """The bar of tqdm, which comes when the work is long."""

    def __init__(self, epochs: int, steps: int | None, done: int) -> None:
        from tqdm.auto import tqdm

        total = None if steps is None else epochs * steps
        self._epochs, self._validated = epochs, ""
        self._bar: Any = tqdm(total=total, initial=done, unit="step", delay=SOON, leave=False, dynamic_ncols=True)

    def step(self, epoch: int, loss: float, count: int = 1) -> None:
        if self._bar.update(count):
            self._bar.set_description_str(f"epoch {epoch} of {self._epochs}", refresh=False)
            self._bar.set_postfix_str(f"loss {loss:.4g}{self._validated}", refresh=False)

    def epoch(self, row: Mapping[str, float]) -> None:
        if "validation_loss" in row:
            self._validated = f", validation {row['validation_loss']:.4g}"

    def close(self) -> None:
        self._bar.close()
