"""A fit on disk: what it was asked, and all that changes while it runs, so that the same call goes on from there.

The file is replaced as a whole. It holds arrays and JSON, and nothing in it is run.
"""

from __future__ import annotations

import math
import os
import time
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.files.disk import check_writable, checked_path, read_bytes, write_whole
from graphprop.files.document import brief, read_fields, wrong
from graphprop.files.packing import CHECKPOINT, is_packed, join, part, type_of
from graphprop.given.arrays import Array
from graphprop.training.chosen import OfOptax
from graphprop.training.optim import LBFGS
from graphprop.training.rules import Built, Memory
from graphprop.training.samples import Stream
from graphprop.training.settings import settings_of
from graphprop.training.task import State, Task

VERSION = 1
OFTEN, SELDOM = 1.0, 60.0  # seconds between two writes: at the ends of epochs, and within one
SHARE = 20  # how many times as long as a write took the next one waits, at least
LARGEST = 2**53  # of what is counted
KINDS = ("b", 1), *((kind, size) for kind in "iu" for size in (1, 2, 4, 8)), ("f", 2), ("f", 4), ("f", 8)
TYPES = {f"<{kind}{size}": np.dtype(f"<{kind}{size}") for kind, size in KINDS}
COUNTS = "epoch", "batch", "step", "best_epoch", "waited", "reduced", "memory"
ENDS = "", "patience", "callback"  # why a fit came to its end; not that all epochs were over, for there may be more
SUMS = "total", "counted", "best_loss"


class Checkpoint:
    """The file of a fit. Where there is one, the state is what it holds, and `stopped` is why that fit had ended."""

    def __init__(self, path: Any, task: Task, state: State) -> None:
        self.stopped = ""
        self._within = self._at_end = math.inf  # when it is time to write
        if path is None:
            return
        self._path, self._task, self._state = os.path.join(os.getcwd(), checked_path(path)), task, state
        _check(task, state)
        try:
            self._settings = settings_of(task, state.theta)
        except GraphpropError as error:
            raise GraphpropError(f"checkpoint: {error}") from None
        if os.path.exists(self._path):
            self._read()
        if not self.stopped and state.epoch < task.epochs:
            check_writable(self._path)  # now, and not after an hour
            self._wait(0.0)

    def step(self) -> None:
        """Within an epoch."""
        if time.monotonic() >= self._within:
            self._write()

    def epoch(self) -> None:
        """An epoch came to its end; the last one is written by `end`."""
        if time.monotonic() >= self._at_end and self._state.epoch < self._task.epochs:
            self._write()

    def end(self, why: str) -> str:
        """The fit came to its end, or is interrupted."""
        if self._at_end < math.inf:
            self.stopped = why if why in ENDS else ""
            self._write()
        return why

    # -------------------------------------------------------------- writing

    def _write(self) -> None:
        start = time.monotonic()
        write_whole(self._path, _written(self._state, self._settings, self.stopped, self._task))
        self._wait(time.monotonic() - start)

    def _wait(self, took: float) -> None:
        """Not to write again before some time is over, all the longer the longer it took."""
        now = time.monotonic()
        self._at_end, self._within = (now + max(pause, SHARE * took) for pause in (OFTEN, SELDOM))

    # -------------------------------------------------------------- reading

    def _read(self) -> None:
        try:
            header, arrays = read_checkpoint(self._path)
            compare(header["settings"], self._settings)
            found = _state(header, arrays, self._task, self._state)
            if found.epoch > self._task.epochs:
                raise GraphpropError(
                    f"the checkpoint has {found.epoch} epochs behind it, and this call asks for {self._task.epochs}"
                )
        except GraphpropError as error:
            told = str(error).removeprefix(f"{self._path}: ")
            raise GraphpropError(f"checkpoint {self._path}: {told}") from None
        vars(self._state).update(vars(found))
        self.stopped = header["stopped"]


def _check(task: Task, state: State) -> None:
    """Refuse what cannot go on from a file."""
    if isinstance(task.optimizer, LBFGS):
        raise GraphpropError(
            "optimizer 'lbfgs': scipy keeps to itself what it remembers, so there is no checkpoint of it"
        )
    if isinstance(task.samples, Stream) and task.samples.is_read_once:
        raise GraphpropError(
            "X can be gone through once, and a checkpoint is gone on from by going through it again; "
            "give a list, or a function that makes it"
        )
    _check_memory(task.optimizer.name, state.memory)


def _check_memory(name: str, memory: Memory) -> None:
    for found in memory:
        if not isinstance(found, np.ndarray) or type_of(found) not in TYPES:
            told = f"an array of {found.dtype}" if isinstance(found, np.ndarray) else type(found).__name__
            raise GraphpropError(
                f"optimizer {name!r}: for a checkpoint all that is remembered has to be arrays of numbers, not {told}"
            )


# ------------------------------------------------------------------ the file


def _written(state: State, settings: Mapping[str, str], stopped: str, task: Task) -> bytes:
    counts = {name: getattr(state, name) for name in COUNTS if name != "memory"}
    header = {"version": VERSION, "settings": settings, "stopped": stopped, **counts, "memory": len(state.memory)}
    arrays = {"theta": state.theta, "good": state.good}
    if state.best_theta is not None:
        arrays["best_theta"] = state.best_theta
    _check_memory(task.optimizer.name, state.memory)
    arrays |= {f"memory {i}": array for i, array in enumerate(state.memory)}
    arrays["sums"] = np.array([getattr(state, name) for name in SUMS], dtype=float)
    for name in task.columns[1:]:
        arrays[f"history {name}"] = np.array([row[name] for row in state.rows], dtype=float)
    data = join(CHECKPOINT, header, arrays)
    return data + zlib.crc32(data).to_bytes(4, "little")


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header and the arrays in a file, if it is a whole checkpoint of this version."""
    data = read_bytes(os.fspath(path), LARGEST)
    if not data.startswith(CHECKPOINT):
        told = "is empty" if not data else "holds a program" if is_packed(data) else "is none"
        raise GraphpropError(f"a checkpoint of gp.fit is needed, and the file {told}")
    if zlib.crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
        raise GraphpropError("the file is broken: it is cut off, or some of its bytes are others")
    header, arrays = part(data[:-4], CHECKPOINT, TYPES)
    version = header.get("version")
    if type(version) is not int or version != VERSION:
        raise GraphpropError(f"version: this graphprop reads version {VERSION}, not {brief(version)}")
    read_fields(header, "the header", ("version", "settings", "stopped", *COUNTS), ())
    for name in COUNTS:
        if type(header[name]) is not int or not 0 <= header[name] <= LARGEST:
            raise wrong(name, "a whole number of at least 0", header[name])
    if header["stopped"] not in ENDS:
        raise wrong("stopped", f"one of {', '.join(map(repr, ENDS))}", header["stopped"])
    return header, arrays


def compare(theirs: Any, ours: Mapping[str, str]) -> None:
    """Refuse a checkpoint of something else, and say what is different."""
    read_fields(theirs, "settings", tuple(ours), ())
    different = [
        f"of {name} {_short(theirs[name])}, this call has {_short(ours[name])}"
        for name in ours
        if theirs[name] != ours[name]
    ]
    if different:
        raise GraphpropError(
            f"the checkpoint is {'; '.join(different)}. Call it as before, or give another path to begin anew"
        )


def _short(given: Any) -> str:
    return given if isinstance(given, str) and len(given) <= 200 else brief(given)


def _state(header: Mapping[str, Any], arrays: dict[str, Array], task: Task, start: State) -> State:
    """The state in a file, which has to be one of this task."""
    columns = task.columns[1:]
    memory = [f"memory {i}" for i in range(min(header["memory"], len(arrays)))]
    _check_arrays(arrays, _needed(header, arrays, memory, columns, task, start))
    held = task.adjustment.frozen
    if not np.array_equal(arrays["theta"][held], start.theta[held]):
        raise GraphpropError("the checkpoint is of other numbers of frozen parameters than theta has")
    own = {name: array.copy() for name, array in arrays.items()}
    rows = zip(*(own[f"history {name}"].tolist() for name in columns), strict=True)
    found = State(
        theta=own["theta"],
        good=own["good"],
        best_theta=own.get("best_theta"),
        memory=tuple(own[name] for name in memory),
        rows=[{"epoch": i + 1, **dict(zip(columns, row, strict=True))} for i, row in enumerate(rows)],
        **{name: header[name] for name in COUNTS if name != "memory"},
        **dict(zip(SUMS, own["sums"].tolist(), strict=True)),
    )
    if found.best_epoch > found.epoch or (found.batch > 0) != (found.counted > 0):
        raise GraphpropError("the counts of epochs and batches do not fit together")
    return found


Form = tuple[tuple[int, ...], str]


def _form(array: Array) -> Form:
    return array.shape, type_of(array)


def _needed(
    header: Mapping[str, Any], arrays: dict[str, Array], memory: list[str], columns: list[str], task: Task, start: State
) -> dict[str, Form]:
    """The arrays that have to be there, and of which form."""
    theta = _form(start.theta)
    needed = {"theta": theta, "good": theta, "sums": ((len(SUMS),), "<f8")}
    if header["best_epoch"]:
        needed["best_theta"] = theta
    if isinstance(task.optimizer, Built | OfOptax):
        if header["memory"] != len(start.memory):
            raise wrong("memory", str(len(start.memory)), header["memory"])
        needed |= dict(zip(memory, map(_form, start.memory), strict=True))
    else:  # what a user's own remembers may change as it likes
        needed |= {name: _form(arrays[name]) if name in arrays else theta for name in memory}
    return needed | {f"history {name}": ((header["epoch"],), "<f8") for name in columns}


def _check_arrays(arrays: dict[str, Array], needed: Mapping[str, Form]) -> None:
    if set(needed) != set(arrays):
        raise GraphpropError(f"arrays: {', '.join(needed)} are needed, not {brief(', '.join(arrays))}")
    for name, array in arrays.items():
        if _form(array) != needed[name]:
            (shape, kind), (given, other) = needed[name], _form(array)
            raise GraphpropError(f"arrays: {name!r} has to be {kind} of shape {shape}, not {other} of shape {given}")
