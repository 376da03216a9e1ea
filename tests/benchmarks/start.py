"""How long it takes from nothing to a gradient: where nothing is kept of what was compiled, and where all is."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.measuring import once
from tests.benchmarks.tasks import Fact

REPEATS = 3
XOR = """
import graphprop as gp

net = gp.Network()
net.add_input("x1")
net.add_input("x2")
net.add_node("h", "tanh", {"x1": 0.6, "x2": 0.4}, bias=0.0)
net.add_node("y", "identity", {"x1": 0.1, "x2": 0.1, "h": 0.5}, bias=0.0)
X, Y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0]
net.program.value_and_grad(net.theta, X, Y, loss="binary_cross_entropy")
"""
COMMANDS = {
    "import graphprop": ["-c", "import graphprop"],
    "XOR to a gradient": ["-c", XOR],
    "graphprop demo": ["-m", "graphprop", "demo"],
}


def start(slow: bool) -> Iterator[Fact]:
    for title, command in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            runs = [_seconds(command, Path(folder)) for _ in range(REPEATS + 1)]
        (cold, cold_cpu), warm = runs[0], sorted(runs[1:])[REPEATS // 2]
        yield Fact(f"{title}, in a fresh cache folder", cold, "s")
        yield Fact(f"{title}, in a fresh cache folder, of processors", cold_cpu, "s")
        yield Fact(f"{title}, in a filled one", warm[0], "s")
        yield Fact(f"{title}, in a filled one, of processors", warm[1], "s")


def _seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """The time that a new process takes, and that of all processors together."""
    settings = os.environ | {"NUMBA_CACHE_DIR": str(folder / "kept")}

    def run() -> None:
        done = subprocess.run([sys.executable, *command], cwd=folder, env=settings, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)

    before = _of_processors()
    seconds, _ = once(run)
    return seconds, _of_processors() - before


def _of_processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
