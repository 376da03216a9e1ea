"""The same bits on any number of threads, from several threads, in a child process, and after an interrupt."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock
from threadpoolctl import ThreadpoolController

import graphprop as gp
from graphprop.atomic import forking
from graphprop.engine import tiles
from graphprop.engine.loops import caching, compiled_functions
from graphprop.engine.schedule import Schedule
from graphprop.engine.threads import with_one_blas_thread
from tests.engine.thread_cases import (
    sparse,
)

pytestmark = pytest.mark.usefixtures("threads")  # which sets their number back


def dense() -> gp.Program:
    return gp.compile(gp.mlp([60, 60, 60, 10], "tanh", seed=1))


PROGRAMS = {"sparse": (sparse, 400), "dense": (dense, 1500)}


def everything(program: gp.Program, samples: int, dtype: Any = np.float64) -> list[Any]:
    """Outputs, loss, gradients: the bits of all that is computed."""
    rng = np.random.default_rng(2)
    theta = rng.normal(size=program.layout.size).astype(dtype) / 4
    rows = rng.normal(size=(samples, len(program.layout.input_columns)))
    outputs = program.predict(theta, rows)
    value, gradient = program.value_and_grad(theta, rows, np.zeros(outputs.shape), loss="half_squared")
    results = [outputs, np.array(value), gradient, *program.vjp(theta, rows, np.ones(outputs.shape))]
    if samples < 500:
        trace = program.forward(theta, rows)
        g = program.backward(trace, loss="half_squared", target=np.zeros(outputs.shape))
        results += [trace.a_flat, trace.o_flat, g.a_flat, g.o_flat, g.weight_uses, g.bias_uses, g.theta]
    return [np.asarray(x).tobytes() for x in results]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_results_are_the_same_bits_on_any_number_of_threads_and_from_run_to_run(name: str, dtype: type) -> None:
    make, samples = PROGRAMS[name]
    program = make()
    cut = tiles.cut_batch(program.schedule, samples, np.dtype(dtype).itemsize, program.layout.size)
    assert len(cut.parts) > 2
    assert cut.lanes > 2
    gp.set_threads(1)
    expected = everything(program, samples, dtype)
    for count in (2, 4, 1, 3, 4):
        gp.set_threads(count)
        assert gp.get_threads() == count
        assert everything(program, samples, dtype) == expected
    assert everything(make(), samples, dtype) == expected


@pytest.mark.parametrize("count", [0, -1, 1.0, True, "2", None, 10**9, np.float64(2)])
def test_set_threads_refuses_what_is_no_count(count: Any) -> None:
    before = gp.get_threads()
    with pytest.raises(gp.GraphpropError, match=r"set_threads: a whole number from 1 to 1024, not"):
        gp.set_threads(count)
    assert gp.get_threads() == before


def by_six_threads(name: str) -> tuple[list[Any], list[Any]]:
    """What one caller finds, and what six find with one program at the same time."""
    make, samples = PROGRAMS[name]
    gp.set_threads(2)
    expected = everything(make(), samples)
    program = make()  # nothing that is kept has been made yet
    results: list[Any] = [None] * 6
    start = threading.Barrier(len(results))

    def work(i: int) -> None:
        start.wait()
        results[i] = everything(program, samples)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return expected, results


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_several_threads_at_once_find_the_same_bits(name: str) -> None:
    expected, results = by_six_threads(name)
    assert all(found == expected for found in results)


def test_blas_has_one_thread_whichever_thread_asks() -> None:
    """Also when another thread has been the first to ask, and when several ask in turn."""
    libraries = ThreadpoolController().select(user_api="blas")
    counts: list[list[int]] = []

    def now() -> list[int]:
        return [library.get_num_threads() for library in libraries.lib_controllers]

    def count() -> None:
        counts.append(now())

    def count_around() -> None:
        count()
        inner = threading.Thread(target=with_one_blas_thread, args=[count])
        inner.start()
        inner.join()
        count()

    with libraries.limit(limits=3):
        before = now()
        with_one_blas_thread(count_around)
        assert now() == before
        other = threading.Thread(target=with_one_blas_thread, args=[count])
        other.start()
        other.join()
        assert now() == before
    assert counts == [[1] * len(before)] * 4


def test_the_number_of_threads_may_change_while_others_run() -> None:
    program = sparse()
    expected = everything(program, 400)
    failures: list[Any] = []

    def work() -> None:
        try:
            for _ in range(4):
                if everything(program, 400) != expected:
                    failures.append("other bits")
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        for count in (1, 3, 2):
            gp.set_threads(count)
            time.sleep(0.002)
    assert not failures


def _in_child(connection: Any, program: gp.Program, samples: int) -> None:
    connection.send_bytes(digest(program, samples))
    connection.close()


def digest(program: gp.Program, samples: int) -> bytes:
    """A pipe takes so many bits themselves by small pieces only, for minutes where Python checks its memory."""
    return hashlib.sha256(b"".join(everything(program, samples))).digest()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # it is what is tested
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_a_child_process_computes_the_same_bits(name: str) -> None:
    make, samples = PROGRAMS[name]
    gp.set_threads(3)
    program = make()
    expected = digest(program, samples)  # the pool of threads exists when the process forks
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(there, program, samples))
    child.start()
    there.close()
    try:
        assert here.poll(300), "the child does not answer"
        assert here.recv_bytes() == expected
        child.join(300)
        assert child.exitcode == 0
    finally:
        if child.is_alive():
            child.kill()
            child.join()
    assert digest(program, samples) == expected


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # it is what is tested
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("busy", ["loads", "looks for a function", "compiles", "has a property computed"])
def test_a_child_that_is_forked_while_another_thread_compiles_can_compile(busy: str) -> None:
    gp.compile(gp.mlp([2, 2], seed=0)).predict([0.5] * 6, [1.0, 2.0])
    locks = {"loads": forking.LOADING, "looks for a function": caching.COMPILING, "compiles": global_compiler_lock}
    lock = locks.get(busy) or getattr(vars(Schedule)["size"], "lock", contextlib.nullcontext())
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        with lock:
            begun.set()
            end.wait(0.5)

    def child() -> None:
        compiled_functions.native(gp.Activation("own", lambda a: a * 0.5, lambda a, o: 0.5), np.dtype(np.float32))
        gp.compile(gp.mlp([2, 2], seed=0)).predict([0.5] * 6, [1.0, 2.0])

    worker = threading.Thread(target=work)
    worker.start()
    begun.wait(60)
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    end.set()
    worker.join()
    try:
        process.join(120)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()


FORKED = """
    import os, threading, time
    from graphprop.atomic.forking import LOADING
    import logging

    begun = threading.Event()

    def load():
        with LOADING:
            begun.set()
            time.sleep(0.3)
            logging.getLogger("of a module that is loaded")

    threading.Thread(target=load).start()
    begun.wait()
    child = os.fork()
    if not child:
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_that_waits_for_another_thread_holds_nothing_that_it_needs() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(FORKED)]
    assert subprocess.run(command, capture_output=True, timeout=120, check=True).stdout == b"0\n"
