"""An interrupt ends in KeyboardInterrupt, wherever it comes, and leaves everything as it was or as it was to become."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numba import types
from numba.core.registry import CPUDispatcher
from threadpoolctl import ThreadpoolController

import graphprop as gp
from graphprop.engine import lowering
from graphprop.engine import schedule as schedule_module
from graphprop.engine.loops import dense, edges, sparse
from graphprop.engine.lowering import towards
from graphprop.engine.schedule import Schedule
from tests.attack import Found, interrupt_cases, interrupts
from tests.attack.interrupts import PACKAGE, disturbed_at, interrupted_at, places, structure
from tests.cases import one_of

ERRSTATE = np.errstate.__enter__.__code__.co_filename


@pytest.mark.parametrize("module", [edges, sparse, dense], ids=lambda module: module.__name__)
def test_no_loop_that_python_calls_gives_an_array(module: ModuleType) -> None:
    """To make one, numba runs a line of Python and looks for no error in it: an interrupt there is a SystemError."""
    net = interrupt_cases.dense()
    gp.compile(net).value_and_grad(net.theta, [[0.5] * 60], [[0.0] * 10], loss="half_squared")
    interrupt_cases.sparse().predict([0.5] * (len(interrupt_cases.edges()[0]) + 3000), [[0.5] * 20])
    loops = [loop for loop in vars(module).values() if isinstance(loop, CPUDispatcher) and is_kept(loop)]
    given = [kernel.signature.return_type for loop in loops for kernel in loop.overloads.values()]
    assert given
    for kind in given:
        assert not any(isinstance(part, types.Buffer) for part in (kind, *getattr(kind, "types", ())))


def is_kept(loop: Any) -> bool:
    """Whether it is one that Python calls: only those are kept on disk."""
    return loop._cache.cache_path is not None


# ------------------------------------------------------------------ changes of a network


def network() -> gp.Network:
    net = interrupt_cases.small()
    net.set_outputs("z")
    net.add_node("late", "tanh", {"u": 0.5})
    net.add_node("later", "tanh", {"u": 0.5, "late": 0.25}, bias=0.5)
    return net


CHANGES: dict[str, Callable[[gp.Network], Any]] = {
    "add_input": lambda net: net.add_input("v", size=2),
    "add_node": lambda net: net.add_node("n", "tanh", {"s": 0.1, "u": net.parameters["f"]}, bias=0.2),
    "add_node, vector": lambda net: net.add_node(
        "n", "softmax", {"x": np.eye(3), "h": [[1.0, None]] * 3}, [1, 2, None]
    ),
    "add_edge": lambda net: net.add_edge("u", "h", 0.5, to=1),
    "add_edge, an entry": lambda net: net.add_edge("x", "h", 0.5, to=0, of=2),
    "add_edge, against the order": lambda net: net.add_edge("later", "s", 0.5),
    "parameter": lambda net: net.parameter("g", [[1.0, 2.0]]),
    "set_outputs": lambda net: net.set_outputs("h", ["s", "late"]),
    "remove_edge": lambda net: net.remove_edge("u", "later"),
    "remove_node": lambda net: net.remove_node("h"),
    "set_weight": lambda net: net.set_weight("x", "h", [[9.0, 8.0, None], [7.0, 6.0, 8.0]]),
    "set_bias": lambda net: net.set_bias("h", [5.0, None]),
    "set_bias, the first": lambda net: net.set_bias("s", 5.0),
    "randomize": lambda net: net.randomize(1),
    "theta": lambda net: setattr(net, "theta", np.arange(float(len(net.theta)))),
    "trainable": lambda net: setattr(net, "trainable", False),
    "dense": lambda net: gp.dense(net, ["s", "late"], 2, "tanh", name="d"),
    "conv2d": lambda net: gp.conv2d(net, [["s", "late", "later"]], [[1.0, 2.0]], bias=0.5),
}


EVERY = pytest.mark.parametrize("every", one_of(2, (5, 1)), ids="every {}".format)


@EVERY
@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_that_is_interrupted_was_made_or_was_not(change: str, every: int) -> None:
    """At the places where the interpreter looks for signals."""
    before, after = network(), network()
    CHANGES[change](after)
    states = [structure(before), structure(after)]
    assert states[0] != states[1]
    for place in itertools.count(0, every):
        net = network()
        view = net.graph
        interrupted = interrupted_at(place, lambda net=net: CHANGES[change](net))  # type: ignore[misc]
        found = structure(net)
        assert found in states
        assert {*view.edges} == {*net.edges}
        if not interrupted:
            break
        if found == states[0]:
            CHANGES[change](net)
        assert structure(net) == states[1]
    assert place > 2
    assert found == states[1]


# ------------------------------------------------------------------ what a run takes and gives back


@pytest.mark.parametrize("call", ["value_and_grad", "predict", "vjp"])
def test_a_run_that_is_interrupted_gives_blas_its_threads_back(call: str) -> None:
    """Wherever it comes, also in the moment in which they are given back."""
    libraries = ThreadpoolController().select(user_api="blas")
    before = gp.get_threads()
    gp.set_threads(1)
    try:
        with libraries.limit(limits=2):
            run = interrupt_cases.run_of(lambda: gp.compile(interrupt_cases.dense()), call, 30)
            expected = interrupt_cases.frozen(run())
            for place in itertools.count():
                interrupted = interrupted_at(place, run)
                assert [library.get_num_threads() for library in libraries.lib_controllers] == [2] * len(libraries)
                if not interrupted:
                    break
            assert interrupt_cases.frozen(run()) == expected
    finally:
        gp.set_threads(before)
    assert place > 20


@pytest.mark.parametrize("call", ["value_and_grad", "predict", "vjp", "forward", "backward"])
@pytest.mark.parametrize("dtype", one_of(2, (np.float32, np.float64)))
@pytest.mark.parametrize("every", one_of(2, (7, 1)), ids="every {}".format)
def test_a_run_that_is_interrupted_leaves_numpys_warnings_as_they_were(call: str, dtype: Any, every: int) -> None:
    """Of a network with a function that is run in Python; also where numpy sets and resets them."""
    half = gp.Activation("half", lambda a: [a * 0.5][0], lambda a, o: [0.5][0])
    program = gp.compile(gp.mlp([2, 2, 1], half, seed=0))
    run = interrupt_cases.run_of(lambda: program, call, 2, dtype)
    expected = interrupt_cases.frozen(run())
    for place in itertools.count(0, every):
        with np.errstate(all="warn", over="raise"):
            before = np.geterr()
            interrupted = interrupted_at(place, run, within=(PACKAGE, ERRSTATE))
            assert np.geterr() == before
        if not interrupted:
            break
    assert interrupt_cases.frozen(run()) == expected
    assert place > 100


@pytest.mark.parametrize("count", one_of(2, (2, 40)), ids="{} places".format)
def test_every_call_that_is_interrupted_leaves_numpys_warnings_as_they_were(count: int, tmp_path: Path) -> None:
    """At some of the places where numpy itself sets and resets them, and first and last of all."""
    interrupted = set()
    for door, make in interrupt_cases.doors(str(tmp_path)).items():
        make()()
        for place in {*np.linspace(0, max(places(make(), within=ERRSTATE) - 1, 0), count, dtype=int).tolist()}:
            with np.errstate(all="warn", over="raise"):
                before = np.geterr()
                if interrupted_at(place, make(), within=ERRSTATE):
                    interrupted.add(door)
                assert np.geterr() == before, (door, place)
    assert {"check", "compare", "gradcheck", "explain", "recursion.forward", "matrixform", "loss"} <= interrupted


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a file that nobody has yet
def test_saving_that_is_interrupted_leaves_the_old_file_or_the_new_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    network().save(path)
    old, net = path.read_bytes(), gp.mlp([1, 1], seed=0)
    net.save(path)
    new = path.read_bytes()
    for place in itertools.count():
        path.write_bytes(old)
        interrupted = interrupted_at(place, lambda: net.save(path))
        assert os.listdir(tmp_path) == ["net.json"]
        assert path.read_bytes() in (old, new)
        if not interrupted:
            break
    assert path.read_bytes() == new


# ------------------------------------------------------------------ another thread has its turn


EVERYWHERE = ("",)  # between any two steps


@EVERY
def test_goals_are_found_whatever_other_threads_ask_for_meanwhile(every: int) -> None:
    """Also when they fill what is kept until it is cleared."""
    net = gp.mlp([2, 40, 2], "tanh", seed=0)
    count = len(net.layout.names)
    for place in itertools.count(0, every):
        schedule = gp.compile(net.copy()).schedule

        def others(schedule: Schedule = schedule) -> None:
            schedule.towards.update({(i, i): schedule for i in range(40)})
            towards(schedule, (3,))

        been_there, found = disturbed_at(
            place,
            lambda schedule=schedule: towards(schedule, (count - 3,)),  # type: ignore[misc]
            others,
            within=str(lowering.__file__),
            after=EVERYWHERE,
        )
        assert found.goals.tolist() == [count - 3]
        if not been_there:
            break
    assert place > 10


@EVERY
def test_a_plan_is_found_whatever_other_threads_do_meanwhile(every: int) -> None:
    net = gp.mlp([2, 3, 1], "tanh", seed=0)
    x, t = np.ones((4, 2)), np.ones((4, 1))
    expected = gp.compile(net).value_and_grad(net.theta, x, t, loss="half_squared")[1]
    for place in itertools.count(0, every):
        program = gp.compile(net.copy())

        def others(program: gp.Program = program) -> None:
            for samples in range(1, 120):
                program.schedule.kept(("other", samples), lambda schedule: None)

        def call(program: gp.Program = program) -> Any:
            return program.value_and_grad(net.theta, x, t, loss="half_squared")[1]

        been_there, found = disturbed_at(place, call, others, str(schedule_module.__file__), EVERYWHERE)
        assert np.array_equal(found, expected)
        if not been_there:
            break
    assert place > 10


@EVERY
@pytest.mark.parametrize("what", ["layout", "program"])
def test_what_is_kept_of_a_network_is_that_of_its_present_structure(what: str, every: int) -> None:
    """It may be changed by another thread while the structure is read."""
    for place in itertools.count(0, every):
        net = network()
        been_there, _ = disturbed_at(place, lambda net=net: getattr(net, what), lambda net=net: net.remove_node("h"))  # type: ignore[misc]
        if not been_there:
            break
        assert "h" not in net.layout.names
        assert net.program.layout is net.layout
        assert net.program is gp.compile(net)
    assert place > 50


INTERRUPTED_WHILE_NUMBA_LOADS = """
    import os, signal, sys, time
    import graphprop as gp

    class Interrupting:
        sent = False

        def find_spec(self, name, path=None, target=None):
            if name == "numba.core.datamodel.models" and not self.sent:
                self.sent = True
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.meta_path.insert(0, Interrupting())
    net = gp.mlp([2, 2], seed=0)
    try:
        gp.compile(net)
    except KeyboardInterrupt:
        print("interrupted", gp.compile(net))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_an_interrupt_while_numba_is_loaded_does_not_break_it() -> None:
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED_WHILE_NUMBA_LOADS)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("interrupted <Program: 4 nodes")


# ------------------------------------------------------------------ every public call


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_calls_that_are_interrupted_at_random_moments_end_in_keyboard_interrupt_and_can_be_made_again() -> None:
    command = [sys.executable, "-m", "tests.attack.interrupts", "5", "0"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    assert "from_edges" in found.stdout


def swallow(wait: Callable[[], None]) -> None:
    with suppress(KeyboardInterrupt):
        wait()


def leave_a_file(folder: str, wait: Callable[[], None]) -> None:
    path = Path(folder) / "left.tmp"
    path.touch()
    wait()
    path.unlink()


def warn_where_interrupted(wait: Callable[[], None]) -> None:
    try:
        wait()
    except KeyboardInterrupt:
        warnings.warn("a sum is wrong", RuntimeWarning, stacklevel=1)
        raise


def fail_in_a_thread(wait: Callable[[], None]) -> None:
    thread = threading.Thread(target=lambda: [][0])
    thread.start()
    thread.join()
    wait()


def end_in_another_error(wait: Callable[[], None]) -> None:
    try:
        wait()
    except KeyboardInterrupt:
        raise SystemError("no error was set") from None


class Broken:
    wait: Callable[[], None]

    def __del__(self) -> None:
        self.wait()


def ignore(wait: Callable[[], None]) -> None:
    broken = Broken()
    broken.wait = wait
    del broken


FAULTS = {
    "was lost": lambda folder: swallow,
    "left behind": lambda folder: partial(leave_a_file, folder),
    "RuntimeWarning: a sum is wrong": lambda folder: warn_where_interrupted,
    "IndexError": lambda folder: fail_in_a_thread,
    "ended in SystemError": lambda folder: end_in_another_error,
    "was lost; .*KeyboardInterrupt.* in .*__del__": lambda folder: ignore,
}


def busy() -> None:
    for _ in range(300):
        time.sleep(1e-4)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of calls before it listens
@pytest.mark.parametrize("told", FAULTS)
def test_such_a_search_finds_what_is_planted(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "doors", lambda folder: {"planted": lambda: lambda: FAULTS[told](folder)(busy)})
    with pytest.raises(Found, match=told):
        interrupts.attack(100, 0, "planted")


class Key:
    """What a reference can be weak to."""


def test_such_a_search_does_not_blame_the_library_for_what_python_loses() -> None:
    """A file that nobody has closed yet; an interrupt in what a dictionary of weak keys does when a key dies."""
    state = interrupts.State("/")
    with state.listening():
        open(__file__)  # noqa: SIM115
        keys = [Key()]
        weak = weakref.WeakKeyDictionary({keys[0]: 1})
        assert not interrupted_at(0, keys.clear, within=str(weakref.__file__))
        del weak
    state.check()
    assert state.swallowed == 1
