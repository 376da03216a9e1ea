"""A network that one thread changes while others run it: what they get belongs to one state of it, or is an error."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphprop as gp

CHANGES = 150
STATES = {2.0, 12.0}  # of both outputs: without the hidden node, and with it


def network() -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 2.0})
    net.add_node("z", "identity", {"x": 2.0})
    net.set_outputs(["y", "z"])
    return net


def change(net: gp.Network) -> None:
    """Bring in a node that adds 10 to both outputs, and take it out again."""
    for i in range(CHANGES):
        net.add_node(("h", i), "identity", {"x": 1.0})
        net.add_edge(("h", i), "y", 10.0)
        net.add_edge(("h", i), "z", 10.0)
        net.remove_node(("h", i))


def outputs(trace: gp.Trace) -> None:
    assert {trace.o["y"], trace.o["z"]} <= STATES
    assert len(trace.theta) == trace.layout.size


def predict(net: gp.Network) -> None:
    program = net.program
    assert set(program.predict(net.theta[: program.layout.size], [[1.0]])[0]) <= STATES


def backward(net: gp.Network) -> None:
    trace = net.forward([1.0])
    assert net.backward(trace, "y").input["x"] == trace.o["y"]


def save(net: gp.Network) -> None:
    path = Path(f"{threading.get_ident()}.json")
    net.save(path)
    outputs(gp.load(path).forward([1.0]))


def walk(graph: Any) -> None:
    """Go through all of a graph, which is that between two changes."""
    assert {*nx.topological_sort(graph)} == {*graph}
    came = [edge for h in graph if h not in ("x", "y", "z") for edge in (("x", h), (h, "y"), (h, "z"))]
    assert {*graph.edges} in [{("x", "y"), ("x", "z"), *came[:count]} for count in (0, 1, 2, 3)]


DOORS: dict[str, Callable[[gp.Network], Any]] = {
    "forward": lambda net: outputs(net.forward([1.0])),
    "backward": backward,
    "predict": predict,
    "recursion": lambda net: outputs(gp.recursion.forward(net, [1.0])),
    "matrixform": lambda net: outputs(gp.matrixform.forward(net, [1.0])),
    "adjacency": lambda net: gp.matrixform.adjacency(net),
    "draw": lambda net: gp.draw(net, layout="columns").source,
    "copy": lambda net: outputs(net.copy().forward([1.0])),
    "pickle": lambda net: outputs(pickle.loads(pickle.dumps(net)).forward([1.0])),
    "expand": lambda net: outputs(net.expand().forward([1.0])),
    "union": lambda net: gp.union({"a": net}).forward([1.0]),
    "unroll": lambda net: gp.unroll(net, {}, 2).forward([1.0, 2.0]),
    "save": save,
    "graph": lambda net: net.graph.number_of_nodes(),
    "graph of a copy": lambda net: walk(net.copy().graph),
    "weight_matrix": lambda net: net.weight_matrix(["y", "z"], ["x"]),
    "names": lambda net: (net.nodes, net.edges, net.inputs, net.outputs, net.parameters, net.children("x"), repr(net)),
    "set_weight": lambda net: net.set_weight("x", "y", 2.0),
}


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching")
@pytest.mark.parametrize("door", DOORS)
def test_what_is_read_belongs_to_one_state_or_is_an_error_of_the_library(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net, found = network(), []
    DOORS[door](net)  # which compiles what is to be compiled
    changer = threading.Thread(target=change, args=(net,))

    def read() -> None:
        try:
            while changer.is_alive() and not found:
                try:
                    DOORS[door](net)
                except gp.GraphpropError as error:
                    if "another thread" not in str(error) and "the network changed since" not in str(error):
                        raise
        except Exception as error:
            found.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in (changer, *readers):
        thread.start()
    for thread in (changer, *readers):
        thread.join()
    for error in found:
        raise error
    assert net.nodes == ("x", "y", "z")
    assert len(net.theta) == 2 + 3 * CHANGES


@pytest.mark.usefixtures("switching")
def test_the_structure_that_is_kept_is_the_last_one() -> None:
    """A layout that is made while another thread changes the network must not be taken for that of the changed one."""
    net = network()
    for i in range(CHANGES):
        start = threading.Barrier(2)

        def read(start: threading.Barrier = start) -> None:
            start.wait()
            net.forward([1.0])

        reader = threading.Thread(target=read)
        reader.start()
        start.wait()
        net.add_edge("y", "z", 1.0) if i % 2 == 0 else net.remove_edge("y", "z")
        reader.join()
        assert net.forward([1.0]).o["z"] == (4.0 if i % 2 == 0 else 2.0)


def between_steps(place: int, call: Callable[[], Any], change: Callable[[], Any]) -> tuple[Any, bool]:
    """The call with a change made before one step of the interpreter, and whether there is such a step."""
    steps = iter(range(10**9))

    def trace(frame: Any, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode" and next(steps) == place:
            sys.settrace(None)
            change()
        return trace

    sys.settrace(trace)
    try:
        return call(), next(steps) > place
    finally:
        sys.settrace(None)


def test_a_copy_has_no_name_of_a_number_that_came_meanwhile() -> None:
    """A file is written of a copy, and `gp.load` would refuse such a name."""
    place, reached = 0, True
    while reached:
        net = gp.mlp([1, 1])
        copy, reached = between_steps(place, net.copy, partial(net.parameter, "p", 1.0))
        assert all(np.max(positions) < copy.layout.size for positions in copy.layout.parameters.values())
        place += 3
    assert place > 100


@pytest.mark.parametrize("read", [lambda net: net.outputs, repr], ids=["outputs", "repr"])
def test_what_is_counted_of_a_network_may_grow_meanwhile(read: Callable[[gp.Network], Any]) -> None:
    place, reached = 0, True
    while reached:
        net = gp.mlp([1, 1])
        _, reached = between_steps(place, partial(read, net), partial(net.add_node, "sink", "tanh", bias=1.0))
        place += 1
    assert place > 30


def test_a_network_that_never_stands_still_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphprop.graph import structure as module

    net, lay_out = network(), module.lay_out

    def changed_meanwhile(*arguments: Any) -> Any:
        found = lay_out(*arguments)
        net.set_outputs("y")
        return found

    net.set_outputs("y")
    monkeypatch.setattr(module, "lay_out", changed_meanwhile)
    with pytest.raises(gp.GraphpropError, match="another thread goes on changing the network"):
        net.forward([1.0])


def test_a_live_view_of_the_graph_follows_the_changes_and_the_graph_of_a_copy_stands_still() -> None:
    net = network()
    live, still = net.graph, net.copy().graph
    nodes = iter(live), iter(still)
    assert [next(walk) for walk in nodes] == ["x", "x"]
    thread = threading.Thread(target=net.add_node, args=["late", "tanh", {"x": 1.0}])
    thread.start()
    thread.join()
    assert list(nodes[1]) == ["y", "z"]
    with pytest.raises(RuntimeError, match="dictionary changed size"):
        next(nodes[0])
    assert [*live] == ["x", "y", "z", "late"]
