"""Interrupts of runs, and work that is shared out among threads."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

import graphprop as gp
from graphprop.engine import threads as threads_module
from graphprop.engine import work_sharing
from graphprop.engine.threads import run_all
from graphprop.engine.work_sharing import share_out
from tests.attack.interrupts import interrupted_at
from tests.engine.thread_cases import (
    sparse,
)

INTERRUPTED = """
    import os, signal, sys, threading, time
    import numpy as np
    import graphprop as gp

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without it
    gp.set_threads(int(sys.argv[1]))
    NET
    rows = np.random.default_rng(3).normal(size=(SAMPLES, len(program.layout.input_columns)))
    theta = np.random.default_rng(4).normal(size=program.layout.size)
    width = program.predict(theta, rows[:1]).shape[1]

    def run(rows):
        return program.value_and_grad(theta, rows, np.zeros((len(rows), width)), loss="half_squared")

    expected = run(rows[:300])
    start = time.monotonic()
    run(rows)
    long = time.monotonic() - start
    for share in (0.1, 0.5):
        sent = threading.Event()

        def send():
            time.sleep(share * long)
            os.kill(os.getpid(), signal.SIGINT)
            sent.set()

        sender = threading.Thread(target=send)
        sender.start()
        try:
            while not sent.is_set():
                run(rows)
            sys.exit("the interrupt was lost")
        except KeyboardInterrupt:
            pass
        sender.join()
        found = run(rows[:300])
        assert found[0] == expected[0] and np.array_equal(found[1], expected[1])
    print("right", gp.get_threads())
"""

LONG_RUN = """
    rng = np.random.default_rng(5)
    target = np.repeat(np.arange(20, 2020), 4)
    source = (target // 4 - 5) * 4 + np.tile([0, 1, 2, 3], 2000)
    program = gp.Program.from_edges(20, source, target, "tanh")
"""

DENSE_RUN = """
    program = gp.compile(gp.mlp([100, 400, 400, 5], "tanh", seed=5))
"""

IN_PYTHON = """
    def value(a):
        if not a < 1e300:
            raise ValueError("large")
        return a * 0.5

    half = gp.Activation("half", value, lambda a, o: 0.5)
    net = gp.mlp([3, 30, 30, 2], half, seed=6)
    program = gp.compile(net)
"""

pytestmark = pytest.mark.usefixtures("threads")  # which sets their number back


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
@pytest.mark.parametrize(
    ("net", "samples", "threads"),
    [
        pytest.param(LONG_RUN, 20_000, 1, id="machine code, 1"),
        pytest.param(LONG_RUN, 20_000, 2, id="machine code, 2", marks=pytest.mark.thorough),
        pytest.param(DENSE_RUN, 30_000, 1, id="dense blocks, 1", marks=pytest.mark.thorough),
        pytest.param(DENSE_RUN, 30_000, 2, id="dense blocks, 2"),
        pytest.param(IN_PYTHON, 3000, 1, id="Python, 1"),
        pytest.param(IN_PYTHON, 3000, 2, id="Python, 2", marks=pytest.mark.thorough),
    ],
)
def test_ctrl_c_ends_a_run_and_harms_nothing(net: str, samples: int, threads: int) -> None:
    script = textwrap.dedent(INTERRUPTED).replace("NET", textwrap.dedent(net)).replace("SAMPLES", str(samples))
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(threads)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        output, errors = child.communicate(timeout=300)
    finally:
        child.kill()
    assert (output.strip(), child.returncode) == (f"right {threads}", 0), errors


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_ctrl_c_inside_of_a_users_function_is_a_keyboard_interrupt() -> None:
    """The signal arrives while the function runs, in value and in derivative, elementwise and vector."""
    handler = signal.getsignal(signal.SIGINT)
    before = signal.default_int_handler
    signal.signal(signal.SIGINT, before)

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

    def at(place: str, now: str) -> None:
        if armed.is_set() and place == now:
            interrupt()

    for place in ("value", "derivative"):
        for kind in ("elementwise", "vector"):
            armed = threading.Event()  # it cannot be compiled, so the function runs in Python

            def value(a: Any, place: str = place) -> Any:
                at(place, "value")
                return 2.0 * a

            def derivative(a: Any, o: Any, g: Any = 1.0, place: str = place) -> Any:
                at(place, "derivative")
                return 2.0 * g

            f = gp.Activation("twice", value, derivative, kind=kind)  # type: ignore[arg-type]
            net = gp.Network()
            net.add_input("x", size=3)
            net.add_node("y", f, {"x": np.eye(3)}, size=3)
            program, rows = gp.compile(net), np.ones((4, 3))
            expected = program.value_and_grad(net.theta, rows, 0 * rows, loss="half_squared")
            armed.set()
            with pytest.raises(KeyboardInterrupt):
                program.value_and_grad(net.theta, rows, 0 * rows, loss="half_squared")
            armed.clear()
            found = program.value_and_grad(net.theta, rows, 0 * rows, loss="half_squared")
            assert found[0] == expected[0]
            assert np.array_equal(found[1], expected[1])
    assert signal.getsignal(signal.SIGINT) is before
    signal.signal(signal.SIGINT, handler)


def test_after_an_interrupt_no_thread_takes_another_step() -> None:
    gp.set_threads(2)
    begun, taken = threading.Event(), []

    def steps(part: int) -> Iterator[bool]:
        if threading.current_thread() is threading.main_thread():
            begun.wait(60)
            raise KeyboardInterrupt
        for step in range(10_000):  # which take minutes
            begun.set()
            taken.append(step)
            time.sleep(0.01)
            yield True

    with pytest.raises(KeyboardInterrupt):
        run_all(2, steps)
    assert 1 <= len(taken) < 10_000


def test_work_is_shared_out() -> None:
    gp.set_threads(3)
    names: set[str] = set()
    for _ in range(2000):  # a thread may wait long for its turn
        tasks, done = iter(range(30)), list[int]()

        def run(tasks: Iterator[int] = tasks, done: list[int] = done) -> bool | None:
            for task in tasks:
                names.add(threading.current_thread().name)
                time.sleep(0.0005)
                done.append(task)
            return True if len(done) == 30 else None

        assert share_out(3, run)
        assert sorted(done) == list(range(30))
        if len(names) == 3:
            break
    assert len(names) == 3


def test_a_helper_that_did_not_begin_is_not_waited_for() -> None:
    gp.set_threads(2)
    begun, end, calls = threading.Event(), threading.Event(), list[str]()

    def block() -> bool:
        if threading.current_thread() is threading.main_thread():
            return begun.wait(60)
        begun.set()
        return end.wait(60)

    assert share_out(2, block)  # its helper is held up

    def run() -> bool:
        calls.append(threading.current_thread().name)
        return True

    for _ in range(3):
        assert share_out(2, run)
    assert calls == [threading.main_thread().name] * 3
    end.set()


def test_what_goes_wrong_in_a_helper_is_raised_where_it_is_waited_for() -> None:
    gp.set_threads(2)

    def run() -> bool | None:
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError("no memory")
        return None

    with pytest.raises(MemoryError, match="no memory"):
        share_out(2, run)


def test_helpers_end_when_the_one_who_asked_has_gone() -> None:
    gp.set_threads(2)
    begun = threading.Event()

    def run() -> bool | None:
        if threading.current_thread() is threading.main_thread():
            begun.wait(60)
            raise KeyboardInterrupt
        begun.set()
        return None  # waits for what the other took

    with pytest.raises(KeyboardInterrupt):
        share_out(2, run)
    wait_for(lambda: not work_sharing._helpers)


def test_an_interrupt_while_helpers_are_called_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    gp.set_threads(2)
    wait_for(lambda: not work_sharing._helpers)
    with monkeypatch.context() as patch:
        patch.setattr(work_sharing._pool.desk, "occupy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            share_out(2, lambda: True)
    assert not work_sharing._jobs
    assert not work_sharing._helpers


def interrupted(*arguments: Any) -> None:
    raise KeyboardInterrupt


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_blas_is_given_back_when_a_call_ends() -> None:
    """Also while a helper is not at its end: a limit that is set at once afterwards stays."""
    libraries = ThreadpoolController().select(user_api="blas")
    begun, end = threading.Event(), threading.Event()

    def run() -> bool:
        if threading.current_thread() is threading.main_thread():
            return begun.wait(60)
        begun.set()
        return end.wait(60)

    gp.set_threads(2)
    with libraries.limit(limits=3):
        assert share_out(2, run)
        assert {library.get_num_threads() for library in libraries.lib_controllers} == {3}
        end.set()
        wait_for(lambda: not work_sharing._helpers)
        assert {library.get_num_threads() for library in libraries.lib_controllers} == {3}


@pytest.mark.parametrize("given", [0, 1])
def test_all_parts_are_done_where_the_system_gives_no_more_threads(monkeypatch: pytest.MonkeyPatch, given: int) -> None:
    calls, done = list[int](), list[int]()

    def start(*arguments: Any) -> int:
        calls.append(1)
        if len(calls) > given:
            raise RuntimeError("can't start new thread")
        return start_new_thread(*arguments)

    def steps(part: int) -> Iterator[bool]:
        if given and threading.get_ident() == threading.main_thread().ident:
            wait_for(lambda: len(taken) > 1)
        done.append(part)
        yield True

    def counted(part: int) -> Iterator[bool]:
        taken.append(part)
        yield from steps(part)

    afresh(3)
    monkeypatch.setattr(threads_module, "start_new_thread", start)
    for _ in range(3):
        taken = list[int]()
        assert run_all(6, counted)
        assert sorted(done) == list(range(6))
        done.clear()
    assert len(calls) > given


def afresh(count: int) -> None:
    """So many threads, none of which has been started."""
    gp.set_threads(1)
    gp.set_threads(count)
    wait_for(lambda: not threads_module._alive)


def by_parts(step: Callable[[], Any]) -> None:
    assert run_all(2, lambda part: iter([(step(), True)[1]]))


def by_a_crew(step: Callable[[], Any]) -> None:
    assert share_out(2, lambda: (step(), True)[1])


@pytest.mark.parametrize("run", [by_parts, by_a_crew])
def test_an_interrupt_leaves_no_lock_held_and_no_thread_lost(run: Callable[[Callable[[], Any]], None]) -> None:
    """At every place where the interpreter looks for signals, in the standard library as well."""
    everywhere = str(Path(gp.__file__).parent), str(Path(threading.__file__).parent)
    for place in itertools.count():
        afresh(2)
        interrupted = interrupted_at(place, lambda: run(lambda: None), within=everywhere)
        run(partial(threading.Barrier(2).wait, 60))  # which only two threads get through
        if not interrupted:
            break
    assert place > 20


ENDED = """
    import atexit, time, threading
    atexit.register(lambda: (pool.submit(lambda: print("too late"), 1), time.sleep(0.1)))
    from graphprop.engine.threads import Pool

    def work():
        begun.set()
        time.sleep(0.3)
        print("done")

    begun, pool = threading.Event(), Pool()
    pool.submit(work, 1)
    begun.wait()
"""


def test_the_interpreter_ends_when_no_thread_is_at_work_and_gets_it_no_more() -> None:
    command = [sys.executable, "-c", textwrap.dedent(ENDED), "graphprop"]
    assert subprocess.run(command, capture_output=True, timeout=300, check=True).stdout == b"done\n"


def test_a_users_function_may_run_programs_that_call_a_users_function() -> None:
    def inner(a: float) -> float:
        return [a * 0.5][0]  # a list cannot be compiled

    def outer(a: float) -> float:
        return float(small.program.predict(small.theta, [[a]])[0, 0]) if a else 0.0

    small, large = gp.Network(), gp.Network()
    for net, f in (small, inner), (large, outer):
        net.add_input("x")
        net.add_node("y", gp.Activation(f.__name__, f, lambda a, o: 0.5), {"x": 1.0})
    for count in (1, 2):
        gp.set_threads(count)
        assert large.program.predict(large.theta, [[3.0]])[0, 0] == 1.5


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_error_of_the_first_sample_is_told_whatever_runs_first(count: int) -> None:
    """An error in several parts of a batch has the same message on any number of threads."""
    program = sparse()
    rows = np.zeros((400, 20))
    theta = np.full(program.layout.size, 0.5)
    rows[250:, 3] = 1e308
    gp.set_threads(1)
    messages = []
    for threads in (1, count):
        gp.set_threads(threads)
        with pytest.raises(gp.NumberError) as caught:
            program.predict(theta * 1e4, rows)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
