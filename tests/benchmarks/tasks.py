"""What a peer of graph workloads is given, and what it makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import graphprop as gp
from tests.benchmarks.graphs import Array, Graph


@dataclass(frozen=True, eq=False)
class Task:
    """The mean over the samples of 1/2 sum (o - target)^2 over the sinks, and its gradient by theta."""

    graph: Graph
    program: gp.Program
    theta: Array
    inputs: Array  # (samples, inputs)
    target: Array  # (samples, sinks)
    slow: bool = False  # whether a peer may take minutes to prepare


@dataclass(frozen=True)
class Prepared:
    """A call to be timed, and what is to be known about it."""

    run: Callable[[], Any]
    note: str = ""
    read: Callable[[Any], Any] = lambda result: result  # from what the call gives to (value, gradient by theta)
