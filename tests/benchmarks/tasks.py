"""What a workload consists of, what a peer of it is given, and what it makes of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
    # from what the call gives to (value, gradient by theta); None for what cannot be compared
    read: Callable[[Any], Any] | None = lambda result: result


@dataclass(frozen=True, eq=False)
class Case:
    """One computation by several peers; the first is what the others are compared with."""

    title: str
    peers: Mapping[str, Callable[[], Prepared]]
    tolerance: float = 1e-6  # of the largest number, in the value and in the gradient
    one_thread: bool = False


@dataclass(frozen=True)
class Fact:
    """A number that stands for itself."""

    title: str
    number: float
    unit: str


@dataclass(frozen=True)
class Workload:
    """Cases and facts in order, made when they are asked for; the argument is whether peers may prepare for minutes."""

    title: str
    measure: Callable[[bool], Iterator[Case | Fact]] = field(repr=False)
