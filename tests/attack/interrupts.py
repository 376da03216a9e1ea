"""Interrupts every public call at random moments: it ends in KeyboardInterrupt, and everything is of use afterwards.

    python -m tests.attack.interrupts SECONDS SEED [PATTERN OF DOORS]

The signals are real ones. Half of them come from the system's timer, half from another thread that sends SIGINT.

Two things are Python's own and no fault: a file between its opening and its `with` is closed when it is collected, with
a ResourceWarning, and what Python runs when an object dies can hand on no error, an interrupt either.
"""

from __future__ import annotations

import dis
import gc
import io
import itertools
import os
import random
import re
import signal
import sys
import sysconfig
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

import graphprop as gp
from tests.attack import Found
from tests.attack.interrupt_cases import (
    Call,
    doors,
    frozen,
)

# ------------------------------------------------------------------ changes


def script(rng: random.Random) -> list[Callable[[gp.Network], Any]]:
    """Changes of a network, one after the other, each by one call."""
    steps: list[Callable[[gp.Network], Any]] = [lambda net: net.add_input("x", 2), lambda net: net.add_input("u")]
    steps.append(lambda net: net.parameter("f", [0.5, -0.5]))
    names: list[str] = []
    for i in range(25):
        v = f"v{i}"
        parents = rng.sample(names, min(len(names), rng.randint(0, 3)))
        weights: dict[str, Any] = {u: rng.uniform(-1, 1) for u in parents} | {"u": 0.5, "x": [0.25, i / 8]}
        steps.append(partial(_add_node, v, weights, rng.choice([None, 0.1])))
        names.append(v)
    steps += [lambda net: net.set_bias("v1", 0.3), lambda net: net.set_weight("u", "v1", 0.9)]
    steps += [lambda net: net.set_weight("x", "v2", [0.75, 0.5]), lambda net: net.set_outputs("v23", ["v24"])]
    steps.append(lambda net: setattr(net, "theta", np.linspace(-1, 1, len(net.theta))))
    for u, v in rng.sample([(names[j], names[i]) for i in range(15) for j in range(16, 22)], 12):
        steps.append(partial(_try_edge, u, v))
    steps += [lambda net: net.remove_node("v9"), lambda net: net.remove_edge("u", "v3")]
    steps += [lambda net: net.set_outputs(), lambda net: net.randomize(3)]
    return steps


def _add_node(v: str, weights: dict[str, Any], bias: float | None, net: gp.Network) -> None:
    net.add_node(v, "tanh", weights, bias)


def _try_edge(u: str, v: str, net: gp.Network) -> None:
    """An edge that may go against the order, or close a cycle."""
    with suppress(gp.GraphpropError):
        net.add_edge(u, v, 0.125)


def structure(net: gp.Network) -> str:
    """All that a change may change, read at each door."""
    graph = net.graph
    rank = {v: i for i, v in enumerate(net._order)}
    assert len(rank) == len(net.nodes) == len(graph)
    assert all(rank[u] < rank[v] for u, v in net.edges), "parents are not before children"
    assert {*graph.edges} == {*net.edges}
    assert [*graph.nodes] == [*net.nodes]
    assert {(u, v) for u in net.nodes for v in net.children(u)} == {*net.edges}
    assert {(u, v) for v in net.nodes for u in net.parents(v)} == {*net.edges}
    weights = [(u, v, np.asarray(net.weight(u, v)).tolist()) for u, v in net.edges]
    biases = [(v, repr(net.bias(v))) for v in net.nodes if v not in net.inputs]
    values = {name: np.asarray(p.value).tolist() for name, p in net.parameters.items()}
    outputs = net.layout.heads, net.layout.order.tolist(), net.layout.size
    order = [list(net.children(u)) for u in net.nodes]
    theta = net.theta.tolist(), net.trainable.tolist()
    return repr((net.nodes, net.edges, order, weights, biases, values, outputs, theta))


# ------------------------------------------------------------------ interrupts


class Interrupts:
    """A handler that raises KeyboardInterrupt once after it was armed, and not when it is too late."""

    def __init__(self) -> None:
        self.armed = self.raised = False

    def handle(self, *arguments: Any) -> None:
        if self.armed:
            self.armed, self.raised = False, True
            raise KeyboardInterrupt

    @contextmanager
    def installed(self) -> Iterator[None]:
        before = [(number, signal.signal(number, self.handle)) for number in (signal.SIGINT, signal.SIGALRM)]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def during(self, call: Call, delay: float, by_thread: bool) -> bool:
        """Whether the call was interrupted after a while; anything but KeyboardInterrupt is raised."""
        self.raised = False
        done = threading.Event()
        sender = threading.Thread(target=self._send, args=(delay, done))
        try:
            if by_thread:
                sender.start()
            self.armed = True
            if not by_thread:
                signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
            call()
            self.armed = False
        except KeyboardInterrupt:
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if by_thread:
                done.set()
                sender.join()
        return False

    def _send(self, delay: float, done: threading.Event) -> None:
        if not done.wait(delay):
            os.kill(os.getpid(), signal.SIGINT)


LOOKS = "CALL", "RESUME", "JUMP_BACKWARD"  # the steps after which the interpreter looks for signals

PACKAGE = str(Path(gp.__file__).parent)


def interrupted_at(place: int, call: Call, within: str | tuple[str, ...] = PACKAGE) -> bool:
    """Whether a call was interrupted at one of the places of the library where a signal can come, by their order."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    try:
        disturbed_at(place, call, interrupt, within)
    except KeyboardInterrupt:
        return True
    return False


def disturbed_at(
    place: int,
    call: Call,
    disturb: Callable[[], Any],
    within: str | tuple[str, ...] = PACKAGE,
    after: tuple[str, ...] = LOOKS,
) -> tuple[bool, Any]:
    """Whether a call has come to such a place, and what it gives if something happens there.

    `within` is how the names of the files begin that have such places.
    """
    passed = itertools.count()

    def arrive() -> None:
        if next(passed) == place:
            disturb()

    result = _traced(call, arrive, within, after)
    return next(passed) > place, result


def places(call: Call, within: str | tuple[str, ...] = PACKAGE) -> int:
    """How many such places a call comes to."""
    passed = itertools.count()
    _traced(call, lambda: next(passed), within, LOOKS)
    return next(passed)


def _traced(call: Call, arrive: Callable[[], Any], within: str | tuple[str, ...], after: tuple[str, ...]) -> Any:
    last = dict[Any, int | None]()

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(within):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if is_behind(frame.f_code, last.get(frame), frame.f_lasti, after):
                arrive()
            last[frame] = frame.f_lasti
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return call()
    finally:
        sys.settrace(before)
        last.clear()


def is_behind(code: Any, before: int | None, now: int, after: tuple[str, ...]) -> bool:
    """Whether the step before was one of a kind, and what is raised now goes where it would go if raised there."""
    if before is None:
        return False
    kind, handlers = dis.opname[code.co_code[before]], handlers_of(code)
    return kind.startswith(after) and handlers.get(before) == handlers.get(now)


@cache
def handlers_of(code: Any) -> dict[int, int]:
    """Of each step that is in a try or a with, where it goes on if something is raised."""
    entries = dis.Bytecode(code).exception_entries
    return {place: entry.target for entry in entries for place in range(entry.start, entry.end, 2)}


class State:
    """What has to be as it was after each call, and what was told meanwhile to nobody who called."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self.threads = self._blas()
        self.warned = np.geterr()
        self.told: list[str] = []
        self.swallowed = 0  # interrupts that Python itself cannot hand on

    def _blas(self) -> list[int]:
        return [library.num_threads for library in self.libraries]

    def check(self) -> None:
        gc.collect(0)
        if (now := self._blas()) != self.threads:
            raise Found(f"BLAS has {now} threads, and had {self.threads}")
        if (heard := np.geterr()) != self.warned:
            raise Found(f"numpy warns of {heard}, and of {self.warned} before")
        if left := [name for name in os.listdir(self.folder) if name.endswith(".tmp")]:
            raise Found(f"left behind: {left}")
        if self.told:
            raise Found(f"told to nobody who called: {self.told}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of warnings, and of exceptions in other threads and where none can be handed on."""
        hooks = sys.unraisablehook, threading.excepthook
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.simplefilter("ignore", ResourceWarning)
            warnings.showwarning = self._warned
            sys.unraisablehook, threading.excepthook = self.ignored, self._ended
            try:
                yield
            finally:
                sys.unraisablehook, threading.excepthook = hooks

    def ignored(self, unraisable: Any) -> None:
        if unraisable.exc_type is KeyboardInterrupt and is_pythons_own(unraisable.exc_traceback):
            self.swallowed += 1
        else:
            self.told.append(f"{unraisable.exc_value!r} in {unraisable.object!r}")

    def _ended(self, thread: Any) -> None:
        self.told.append(f"{thread.exc_value!r} in {thread.thread!r}")

    def _warned(self, message: Any, category: Any, filename: str, line: int, *others: Any) -> None:
        self.told.append(f"{filename}:{line}: {category.__name__}: {message}")


def is_pythons_own(traceback: Any) -> bool:
    """Whether what could not hand on an exception is a function of the standard library, or written in C."""
    name = traceback.tb_frame.f_code.co_filename if traceback else __file__
    library = sysconfig.get_path("stdlib")
    return name == __file__ or name.startswith("<frozen") or (name.startswith(library) and "-packages" not in name)


def attack(seconds: float, seed: int, only: str = "") -> Counter[str]:
    """Interrupt calls and changes for so long; how often each was. What is broken raises `Found`, with its seed.

    `only` is a pattern of the doors that are tried.
    """
    counts: Counter[str] = Counter()
    interrupts = Interrupts()
    with tempfile.TemporaryDirectory() as folder, interrupts.installed():
        entries = {name: door for name, door in doors(folder).items() if re.search(only, name)}
        expected, length = {}, {}
        for name, make in entries.items():
            expected[name] = frozen(make()())  # compiled, now
            call, start = make(), time.perf_counter()
            call()
            length[name] = time.perf_counter() - start
        state = State(folder)
        number = seed
        try:
            with state.listening():
                end = time.monotonic() + seconds
                while number == seed or time.monotonic() < end:
                    rng = random.Random(number)
                    for name, make in entries.items():
                        _interrupt_door(interrupts, state, name, make(), expected[name], length[name], rng, counts)
                    if re.search(only, "changes"):
                        _interrupt_changes(interrupts, state, rng, counts)
                    number += 1
        except Found as found:
            raise Found(f"{found}; again with seed {number}") from found.__cause__
    return counts


def _interrupt_door(
    interrupts: Interrupts,
    state: State,
    name: str,
    call: Call,
    expected: Any,
    length: float,
    rng: random.Random,
    counts: Counter[str],
) -> None:
    delay = length * rng.choice([rng.uniform(0, 1), rng.uniform(0, 0.1), rng.uniform(0, 1.5)])
    swallowed = state.swallowed
    try:
        interrupted = interrupts.during(call, delay, rng.random() < 0.5)
    except BaseException as error:
        raise Found(f"{name}: interrupted after {delay:.6f} s it ended in {error!r}") from error
    if interrupts.raised and not interrupted and state.swallowed == swallowed:
        raise Found(f"{name}: an interrupt after {delay:.6f} s was lost; {state.told}")
    counts[name] += interrupted
    try:
        state.check()
        again = frozen(call())
    except BaseException as error:
        raise Found(f"{name}: after an interrupt at {delay:.6f} s: {error!r}") from error
    if again != expected:
        raise Found(f"{name}: after an interrupt at {delay:.6f} s the result is another one")


def _interrupt_changes(interrupts: Interrupts, state: State, rng: random.Random, counts: Counter[str]) -> None:
    """One network is changed and interrupted, its twin is not; each interrupt leaves one of two states of the twin."""
    net, twin = gp.Network("changed"), gp.Network("changed")
    steps = script(rng)
    done, reached, longest = 0, [structure(twin)], 0.0
    for step in steps:
        start = time.perf_counter()
        step(twin)
        longest = max(longest, time.perf_counter() - start)
        reached.append(structure(twin))
    if rng.random() < 0.5:
        _ = net.graph  # it is kept up to date from now on
    begun = 0

    def change() -> None:
        nonlocal begun
        while begun < len(steps):
            step = steps[begun]
            begun += 1
            step(net)

    while done < len(steps):
        delay, swallowed = rng.uniform(0, 4 * longest), state.swallowed
        longest *= 1.02  # it gets there, however slow the machine has become
        try:
            interrupted = interrupts.during(change, delay, False)
        except BaseException as error:
            raise Found(f"change number {begun}: interrupted after {delay:.6f} s it ended in {error!r}") from error
        if not interrupted:
            if interrupts.raised and state.swallowed == swallowed:
                raise Found(f"change number {begun}: an interrupt was lost")
            break
        counts["changes"] += 1
        try:
            now = structure(net)
        except BaseException as error:
            raise Found(f"change number {begun} left an inconsistent network: {error!r}") from error
        if now not in (reached[begun - 1], reached[begun]):
            raise Found(f"change number {begun} was left half done")
        begun = done = begun - 1 if now == reached[begun - 1] != reached[begun] else begun
    if structure(net) != reached[-1]:
        raise Found("a network is another one after changes that were interrupted")


def main() -> None:
    output = io.StringIO()
    for name, count in attack(float(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]).items():
        print(f"{count:7} {name}", file=output)
    print(output.getvalue(), end="")


if __name__ == "__main__":
    main()
