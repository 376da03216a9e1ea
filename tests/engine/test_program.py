"""A program as an object: when it is made, what is in it, what it says of itself, and what it costs to import."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine.lowering import towards


def diamond() -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_input("z")
    net.add_node("h", "tanh", {"x": 0.5}, bias=0.1)
    net.add_node("k", "sigmoid", {"x": -1.0, "h": 2.0})
    net.add_node("side", "exp", {"z": 1.0})
    net.add_node("y", "identity", {"h": 1.5, "k": -0.5})
    net.set_outputs("y")
    return net


def test_a_program_is_kept_until_the_structure_changes() -> None:
    net = diamond()
    program = gp.compile(net)
    assert net.program is program
    net.forward([1.0, 2.0])
    net.theta = net.theta * 2
    net.set_weight("x", "h", 9.0)
    net.set_bias("h", 3.0)
    net.randomize(seed=0)
    net.trainable[0] = False
    assert gp.compile(net) is program


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.add_input("w"),
        lambda net: net.add_node("new", "tanh", {"y": 1.0}),
        lambda net: net.add_edge("x", "y", 1.0),
        lambda net: net.remove_edge("h", "k"),
        lambda net: net.remove_node("side"),
        lambda net: net.set_outputs("k", "h"),
        lambda net: net.set_bias("k", 1.0) if net.program else None,
    ],
    ids=["add_input", "add_node", "add_edge", "remove_edge", "remove_node", "set_outputs", "set_bias"],
)
def test_a_change_of_structure_makes_a_new_program_and_leaves_the_old_one_right(change: object) -> None:
    net = diamond()
    program, theta = gp.compile(net), net.theta.copy()
    before = program.predict(theta, [[1.0, 2.0]])
    change(net)  # type: ignore[operator]
    if len(net.theta) == len(theta) and net.layout is program.layout:
        pytest.skip("the structure is the same")
    assert gp.compile(net) is not program
    assert np.array_equal(program.predict(theta, [[1.0, 2.0]]), before)
    rows = np.ones((2, len(net.layout.input_columns)))
    trace = gp.recursion.forward(net, rows)
    expected = np.stack([trace.o[v] for head in net.layout.heads for v in head], axis=1)
    assert np.allclose(gp.compile(net).predict(net.theta, rows), expected, rtol=1e-14)


def test_nodes_off_the_path_to_the_goals_do_not_run() -> None:
    """An exp that would overflow is not even computed where nothing asks for it."""
    net = diamond()
    program = gp.compile(net)
    assert [net.layout.names[v] for v in program.schedule.nodes] == ["x", "h", "k", "y"]
    assert len(program) == 4
    rows = np.array([[1.0, 1e6]])
    assert np.isfinite(program.predict(net.theta, rows)).all()
    with pytest.raises(gp.NumberError, match="node 'side'"):
        net.forward(rows)


def test_a_schedule_towards_some_goals_runs_what_leads_to_them() -> None:
    net = diamond()
    whole = gp.compile(net).schedule
    h, side, y = (net.layout.find(name) for name in ("h", "side", "y"))
    assert [len(towards(whole, goals).nodes) for goals in ((h,), (side,), (h, side))] == [2, 2, 4]
    assert towards(whole, (y,)) is whole
    assert towards(whole, (h,)) is towards(whole, (h,))


def test_a_program_says_how_large_it_is() -> None:
    program = gp.compile(diamond())
    assert repr(program) == "<Program: 4 nodes, 5 edges, 4 levels, 0 dense blocks, 88 bytes per sample>"
    one = gp.Program.from_edges(1, [0], [1])
    assert repr(one) == "<Program: 2 nodes, 1 edge, 2 levels, 0 dense blocks, 40 bytes per sample>"


@pytest.mark.parametrize("by", ["neuron", "layer"])
def test_large_layers_are_blocks_and_small_ones_are_not(by: str) -> None:
    program = gp.compile(gp.mlp([40, 40, 40, 10], "tanh", "identity", by=by))  # type: ignore[arg-type]
    assert "2 dense blocks" in repr(program)
    assert program.schedule.levels == 4
    assert "0 dense blocks" in repr(gp.compile(gp.mlp([20, 20, 20, 10], "tanh", "identity", by=by)))  # type: ignore[arg-type]


def test_levels_are_the_nodes_of_the_longest_path() -> None:
    for length in (1, 2, 17):
        source = np.arange(length)
        assert gp.Program.from_edges(1, source, source + 1).schedule.levels == length + 1
    assert gp.Program.from_edges(1, [0, 1, 0, 2], [1, 2, 3, 3]).schedule.levels == 4


@pytest.mark.parametrize("make", [pickle.dumps, copy.deepcopy, copy.copy], ids=["pickle", "deepcopy", "copy"])
def test_a_copy_computes_the_same_bits(make: object) -> None:
    net = diamond()
    program = gp.compile(net)
    program.predict(net.theta, [[1.0, 2.0]])  # what is kept from a run is not carried along
    made = make(program)  # type: ignore[operator]
    other = pickle.loads(made) if isinstance(made, bytes) else made
    rows = np.random.default_rng(0).normal(size=(20, 2))
    assert repr(other) == repr(program)
    assert np.array_equal(other.predict(net.theta, rows), program.predict(net.theta, rows))
    found = other.value_and_grad(net.theta, rows, np.ones((20, 1)), loss="half_squared")
    expected = program.value_and_grad(net.theta, rows, np.ones((20, 1)), loss="half_squared")
    assert found[0] == expected[0]
    assert np.array_equal(found[1], expected[1])
    trace = program.forward(net.theta, rows)
    assert other.backward(trace, "y").allclose(program.backward(trace, "y"), rtol=0)


def test_a_network_with_a_program_can_be_pickled() -> None:
    net = diamond()
    net.forward([1.0, 2.0])
    other = pickle.loads(pickle.dumps(net))
    assert np.array_equal(other.forward([1.0, 2.0]).o_flat, net.forward([1.0, 2.0]).o_flat)


def test_the_arrays_of_a_program_cannot_be_written_to() -> None:
    program = gp.compile(gp.mlp([40, 40, 2]))
    for made in (program, pickle.loads(pickle.dumps(program))):
        arrays = [entry for entry in vars(made.schedule).values() if isinstance(entry, np.ndarray)]
        assert len(arrays) > 10
        assert not any(array.flags.writeable for array in arrays)


def test_importing_takes_neither_the_compiler_nor_what_draws() -> None:
    script = (
        "import sys, graphprop as gp\n"
        "net = gp.mlp([2, 3, 1])\n"
        "gp.recursion.forward(net, [1.0, 2.0])\n"
        "print([x for x in ('numba', 'llvmlite', 'graphviz', 'threadpoolctl') if x in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
