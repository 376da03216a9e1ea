"""Times calls against each other, and runs in a process of its own what is measured by its memory."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np

ROUNDS = 11
FEWEST_ROUNDS = 3
REST = 0.04  # seconds before each turn: threads of the one before go on spinning for a while
WARM = 0.1  # seconds of calls after that, until sleeping threads are awake again and on cores of their own
SHORTEST = 2e-3  # seconds; the calls of one repetition together take at least this, where the budget allows it


class CannotRunError(Exception):
    """A peer cannot take part, for the reason given."""


@dataclass(frozen=True)
class Timing:
    """Seconds for one call: the median over the rounds, and their quartiles."""

    median: float
    low: float
    high: float
    rounds: int
    calls: int  # in each round

    @classmethod
    def of(cls, seconds: list[float], calls: int) -> Timing:
        low, median, high = np.percentile(seconds, (25, 50, 75)).tolist()
        return cls(median, low, high, len(seconds), calls)


def once(call: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that one call takes, and what it gives."""
    start = perf_counter()
    result = call()
    return perf_counter() - start, result


def interleaved(calls: Mapping[str, Callable[[], Any]], budget: float) -> dict[str, Timing]:
    """Every call timed within about `budget` seconds each, one repetition of each in turn.

    What disturbs the machine for a while then disturbs all of them. Each turn begins with a rest, and calls that do
    not count.
    """
    first = {name: min(once(call)[0], once(call)[0]) for name, call in calls.items()}
    repeats = {
        name: max(1, int(max(budget / ROUNDS, SHORTEST) / max(seconds, 1e-7))) for name, seconds in first.items()
    }
    rounds = {name: min(ROUNDS, max(FEWEST_ROUNDS, int(budget / seconds))) for name, seconds in first.items()}
    gc.collect()
    gc.freeze()  # what the libraries hold should not be searched for garbage in the time of those that make some
    measured: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(max(rounds.values(), default=0)):
        for name, call in calls.items():
            if turn < rounds[name]:
                sleep(REST)
                _warm_up(call)
                measured[name].append(_repeat(call, repeats[name]))
    gc.unfreeze()
    return {name: Timing.of(seconds, repeats[name]) for name, seconds in measured.items()}


def _warm_up(call: Callable[[], Any]) -> None:
    end = perf_counter() + WARM
    call()
    while perf_counter() < end:
        call()


def _repeat(call: Callable[[], Any], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        call()
    return (perf_counter() - start) / times


# ------------------------------------------------------------------ agreement


def disagreement(result: tuple[Any, Any], reference: tuple[Any, Any], tolerance: float) -> str | None:
    """What differs between two values and gradients by more than `tolerance` of the largest number, if anything."""
    for what, given, expected in zip(("value", "gradient"), result, reference, strict=True):
        x, y = np.asarray(given, dtype=float), np.asarray(expected, dtype=float)
        if x.shape != y.shape:
            return f"{what} of shape {x.shape}, not {y.shape}"
        error, scale = float(np.abs(x - y).max()), float(np.abs(y).max())
        if not error <= tolerance * scale:
            return f"{what} off by {error:.1e} of {scale:.1e}"
    return None


# ------------------------------------------------------------------ processes


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module gives in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_memory() -> int:
    """The most bytes this process has had in memory.

    `getrusage` includes what the parent had when it forked; where the kernel knows the number since the
    program started, that is taken.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


# ------------------------------------------------------------------ the machine


def machine() -> dict[str, Any]:
    """What the numbers depend on, besides the code."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    packages = "graphprop numpy numba llvmlite scipy jax jaxlib torch autograd micrograd connex neat-python"
    for package in packages.split():
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"processor": _processor(), "cores": os.cpu_count(), "system": platform.platform(), "versions": versions}


def _processor() -> str:
    import platform

    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
