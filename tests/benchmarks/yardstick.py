"""The compiled loops of a sweep, next to the same loops in C, on the arrays of one program and on one thread."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from graphprop.engine.loops import sparse
from graphprop.engine.machine_form import table_of
from graphprop.program import Program
from tests.benchmarks.graphs import Array
from tests.benchmarks.measuring import CannotRunError
from tests.benchmarks.tasks import Prepared

SOURCE = Path(__file__).with_name("yardstick.c")
FLAGS = ("-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")


@cache
def _loops_in_c() -> Any:
    compiler = shutil.which("gcc")
    if compiler is None:
        raise CannotRunError("there is no gcc")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "yardstick.so"
        # without separate maths flags gcc takes the vector functions of libm where there are some
        subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(library), "-lmvec", "-lm"], check=True)
        return ctypes.CDLL(str(library))


@dataclass(frozen=True, eq=False)
class SweepTask:
    """A forward and a backward sweep over one tile, from given derivatives by the sinks, into arrays made once."""

    program: Program  # without dense blocks; all parameters are used
    theta: Array
    inputs: Array
    seed: Array  # (samples, sinks), 1 everywhere to compare

    @property
    def samples(self) -> int:
        return len(self.inputs)

    def state(self) -> tuple[Array, Array, Array, Array]:
        """a, o with the inputs in it, g with the derivatives by the sinks in it, and the gradient."""
        own = self.program.schedule
        a = np.zeros((1, len(own.rows), self.samples))
        o, g = (np.zeros((1, len(own.columns), self.samples)) for _ in range(2))
        o[0, : own.input_width] = self.inputs.T
        g[0, own.goal_columns] = self.seed.T
        return a, o, g, np.zeros(len(self.theta))

    def result(self, o: Array, gradient: Array) -> tuple[float, Array]:
        return float((o[0, self.program.schedule.goal_columns] * self.seed.T).sum()), gradient


def by_kernels(task: SweepTask) -> Prepared:
    """The two compiled loops and nothing else."""
    schedule, theta = task.program.schedule, task.theta
    a, o, g, gradient = task.state()
    sinks, seed, width = schedule.goal_columns, task.seed.T.copy(), task.samples
    table, last = table_of(schedule, theta.dtype).places, len(schedule.nodes)

    def run() -> tuple[Array, Array]:
        gradient[:] = 0
        if width == 1:
            g[:] = 0
        g[0, sinks] = seed
        sweep = {"table": table, "theta": theta, "a": a, "o": o, "last": last}
        sparse.forward(**sweep, task=sparse.LEARN, first=schedule.inputs, added=False)
        sparse.backward(**sweep, g=g, gradient=gradient, fresh=False, resumed=False, first=0)
        return o, gradient

    return Prepared(run, read=lambda result: task.result(*result))


def by_c(task: SweepTask) -> Prepared:
    """The loops of yardstick.c, on the same arrays."""
    schedule, library = task.program.schedule, _loops_in_c()
    a, o, g, gradient = task.state()
    sinks, seed = schedule.goal_columns, task.seed.T.copy()
    unsigned = [
        np.ascontiguousarray(array, dtype=np.uint32)
        for array in (
            *(schedule.start, schedule.column, schedule.position),
            *(schedule.child_start, schedule.child_row, schedule.child_position),
            schedule.stop[schedule.inputs :] - schedule.inputs,
        )
    ]
    bias = np.ascontiguousarray(schedule.bias_position, dtype=np.int64)
    preset, regular = (
        np.ascontiguousarray(x, dtype=np.uint8) for x in (schedule.preset, table_of(schedule, task.theta.dtype).regular)
    )
    sizes = [ctypes.c_long(n) for n in (schedule.input_width, len(schedule.rows), task.samples)]

    # an array's `ctypes` is passed as its address, and keeps the array
    rows, children, stop = unsigned[:3], unsigned[3:6], unsigned[6]
    forward = [*(array.ctypes for array in (*rows, stop, bias, regular, task.theta, a, o)), *sizes]
    sums = task.theta, a, o, g, gradient
    backward_one = [*(array.ctypes for array in (*rows, bias, regular, *sums)), *sizes[:2]]
    backward = [*(array.ctypes for array in (*children, bias, preset, *sums)), *sizes]

    def run() -> tuple[Array, Array]:
        gradient[:] = 0
        if task.samples == 1:
            g[:] = 0
        g[0, sinks] = seed
        library.forward(*forward)
        if task.samples == 1:
            library.backward_one(*backward_one)
        else:
            library.backward(*backward)
        return o, gradient

    return Prepared(run, "gcc " + " ".join(FLAGS[:3]), lambda result: task.result(*result))


SWEEP_PEERS = {"graphprop kernels": by_kernels, "C": by_c}
