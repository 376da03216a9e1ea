"""What a fit is asked, in words: so that two can be compared, and what differs can be told.

What only looks on, a callback or a bar, is not among it, nor is how long it goes on. Data are told by their shapes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from graphprop.files.layouts import write_layout
from graphprop.functions.losses import LOSSES
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arrays import Array, one_number
from graphprop.graph.layout import Layout
from graphprop.training.chosen import WithRate
from graphprop.training.rules import Changing
from graphprop.training.samples import Columns, Samples, Stream
from graphprop.training.task import Task


def settings_of(task: Task, theta: Array) -> dict[str, str]:
    """All that the steps depend on, by the name of its argument."""
    change = task.adjustment
    optimizer = task.optimizer.own if isinstance(task.optimizer, WithRate) else task.optimizer
    return {
        "network": _network(task.program.layout),
        "theta": str(theta.dtype),
        **_data(task.samples),
        "validation": "none" if task.apart is None else ", ".join(_data(task.apart).values()),
        "loss": _loss(task.entry),
        "optimizer": _object(optimizer.name, optimizer),
        "rate": _rate(task.optimizer.rate),
        "clip": str(change.clip),
        "decay": str(change.decay),
        "frozen parameters": _positions(change.frozen),
        "scaled parameters": _positions(change.scaled, change.factors),
        "batch_size": "none" if isinstance(task.samples, Stream) else str(task.size),
        "seed": str(task.seed),
        "patience": str(task.patience),
        "metrics": ", ".join(task.metrics) or "none",
    }


def _network(layout: Layout) -> str:
    inputs = int(np.count_nonzero(np.diff(layout.a_start) == 0))
    counts = f"{inputs} inputs, {len(layout.nodes) - inputs} nodes, {len(layout.edge_source)} edges"
    return f"of {counts}, {layout.size} parameters ({_digest(write_layout(layout))})"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _data(samples: Samples | Stream) -> dict[str, str]:
    if isinstance(samples, Stream):
        return {"X": "batches", "Y": "batches", "sample_weight": "batches"}
    return {
        "X": _shape(samples.inputs, len(samples)),
        "Y": _shape(samples.target, len(samples)),
        "sample_weight": "none" if samples.weight is None else _shape(samples.weight, len(samples)),
    }


def _shape(given: Columns, count: int) -> str:
    if isinstance(given, Mapping):
        return ", ".join(sorted(f"{name!r} {_shape(column, count)}" for name, column in given.items()))
    return str((count, *given.shape[1:]))


def _loss(given: Any) -> str:
    if isinstance(given, Mapping):
        return ", ".join(f"{_loss(one)} of {head!r}" for head, one in given.items())
    if isinstance(given, tuple):
        return f"{_number(one_number(given[1], 'the weight of a loss'))} {_loss(given[0])}"
    entry = find_loss(given)
    return entry.name if LOSSES.get(entry.name) is entry else f"{entry.name}, a loss of your own"


def _rate(given: Any) -> str:
    if isinstance(given, Changing):
        return _object(type(given).__name__, given)
    return f"the function {getattr(given, '__name__', type(given).__name__)}" if callable(given) else _number(given)


def _object(name: str, given: Any) -> str:
    """A name, and the numbers of a dataclass; of what else an object holds nothing is known."""
    found = {f.name: getattr(given, f.name) for f in fields(given)} if is_dataclass(given) else {}
    numbers = {key: x for key, x in found.items() if isinstance(x, bool | int | float | np.integer | np.floating)}
    if not isinstance(given, Changing):
        numbers.pop("rate", None)
    return f"{name}({', '.join(f'{key}={_number(x)}' for key, x in numbers.items())})" if numbers else name


def _number(given: Any) -> str:
    return str(given) if isinstance(given, bool | int | np.integer) else f"{float(given)!r}".removesuffix(".0")


def _positions(positions: Array, factors: Array | None = None) -> str:
    if not len(positions):
        return "none"
    data = positions.astype("<i8").tobytes() + (b"" if factors is None else factors.tobytes())
    return f"{len(positions)} ({_digest(data)})"
