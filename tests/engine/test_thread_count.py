"""On how many threads calls run: as the innermost block says, else what was set, else the environment."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import thread_count
from graphprop.engine import threads as engine
from tests.engine.thread_cases import sparse

pytestmark = pytest.mark.usefixtures("threads")  # which sets their number back
VARIABLES = ("GRAPHPROP_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


@pytest.fixture
def unset(threads: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a new process, on a machine of eight cores."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(thread_count, "_count", None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    thread_count._from_environment.cache_clear()
    yield
    thread_count._from_environment.cache_clear()


def gradient(program: gp.Program) -> bytes:
    columns = len(program.layout.input_columns)
    rows = np.random.default_rng(0).normal(size=(400, columns))
    target = np.zeros((400, len(program.schedule.goals)))
    theta = np.full(program.layout.size, 0.1)
    value, found = program.value_and_grad(theta, rows, target, loss="half_squared")
    return np.array([value, *found]).tobytes()


def test_a_block_has_its_own_number_and_the_one_before_comes_back() -> None:
    gp.set_threads(5)
    with gp.threads(2):
        assert gp.get_threads() == 2
        with gp.threads(np.int64(7)):
            assert gp.get_threads() == 7
        assert gp.get_threads() == 2
    assert gp.get_threads() == 5


def test_the_number_comes_back_after_an_error() -> None:
    gp.set_threads(5)
    with pytest.raises(ZeroDivisionError), gp.threads(2), gp.threads(3):
        _ = 1 / 0
    assert gp.get_threads() == 5


def test_a_block_can_be_entered_again_also_inside_of_itself() -> None:
    gp.set_threads(5)
    one = gp.threads(1)
    with one, gp.threads(3), one:
        assert gp.get_threads() == 1
    assert gp.get_threads() == 5


def test_what_is_set_in_a_block_holds_after_it() -> None:
    gp.set_threads(5)
    with gp.threads(2):
        gp.set_threads(4)
        assert gp.get_threads() == 2
    assert gp.get_threads() == 4


def test_other_threads_have_theirs() -> None:
    gp.set_threads(5)
    found: dict[str, int] = {}
    inside, done = threading.Event(), threading.Event()

    def other() -> None:
        found["started in the block"] = gp.get_threads()
        with gp.threads(3):
            inside.set()
            done.wait(30)
            found["its own"] = gp.get_threads()

    with gp.threads(2):
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(30)
        found["of the first"] = gp.get_threads()
    done.set()
    thread.join(30)
    assert found == {"started in the block": 5, "of the first": 2, "its own": 3}
    assert gp.get_threads() == 5


def test_tasks_that_go_on_in_turn_have_theirs() -> None:
    async def task(count: int) -> list[int]:
        found = []
        with gp.threads(count):
            for _ in range(3):
                await asyncio.sleep(0)
                found.append(gp.get_threads())
        return found

    async def both() -> list[list[int]]:
        return await asyncio.gather(task(2), task(3))

    assert asyncio.run(both()) == [[2] * 3, [3] * 3]


def test_calls_in_a_block_run_on_so_many_threads_and_give_the_same_bits() -> None:
    program = sparse()
    gp.set_threads(3)
    gp.set_threads(2)  # nothing has been started since
    pool = engine._pool
    with gp.threads(1):
        expected = gradient(program)
        assert len(pool.desk.threads) == 0
    for count in (4, 2, 3):
        with gp.threads(count):
            assert gradient(program) == expected
        assert len(pool.desk.threads) == 3
    assert gradient(program) == expected


@pytest.mark.parametrize("count", [0, -1, 1.0, True, "2", None, 10**9])
def test_what_is_no_count_is_refused(count: Any) -> None:
    before = gp.get_threads()
    with pytest.raises(gp.GraphpropError, match=r"^threads: a whole number from 1 to 1024, not"):
        gp.threads(count)
    assert gp.get_threads() == before


ENVIRONMENTS: list[tuple[dict[str, str], int]] = [
    ({}, 8),
    ({"GRAPHPROP_NUM_THREADS": "3"}, 3),
    ({"GRAPHPROP_NUM_THREADS": " 12 ", "OMP_NUM_THREADS": "2"}, 12),
    ({"GRAPHPROP_NUM_THREADS": ""}, 8),
    ({"OMP_NUM_THREADS": "2"}, 2),
    ({"NUMBA_NUM_THREADS": "4"}, 4),
    ({"OMP_NUM_THREADS": "6,2", "NUMBA_NUM_THREADS": "5"}, 5),
    ({"OMP_NUM_THREADS": "64"}, 8),
    ({"OMP_NUM_THREADS": "many", "NUMBA_NUM_THREADS": "-3"}, 8),
    ({"OMP_NUM_THREADS": "0", "NUMBA_NUM_THREADS": "²"}, 8),
]


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(("environment", "expected"), ENVIRONMENTS)
def test_the_environment_says_how_many(
    environment: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert gp.get_threads() == expected
    with gp.threads(7):
        assert gp.get_threads() == 7
    gp.set_threads(9)
    assert gp.get_threads() == 9


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1025", "9" * 40, "²"])
def test_a_variable_that_is_no_count_is_told_when_a_call_needs_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHPROP_NUM_THREADS", value)
    program = sparse()
    for call in (gp.get_threads, lambda: gradient(program)):
        with pytest.raises(
            gp.GraphpropError, match=r"the variable GRAPHPROP_NUM_THREADS: a whole number from 1 to 1024"
        ):
            call()
    with gp.threads(1):
        gradient(program)
    gp.set_threads(2)
    gradient(program)


def test_a_new_process_reads_the_environment() -> None:
    code = """
        import graphprop as gp
        net = gp.mlp([2, 3, 1], seed=0)
        net.backward(net.forward([1.0, 2.0]), net.outputs[0])
        print(gp.get_threads())
    """
    settings = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    settings |= {"GRAPHPROP_NUM_THREADS": "17"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=settings, timeout=300
    )
    assert (done.stdout, done.stderr) == ("17\n", "")
