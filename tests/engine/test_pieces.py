"""Programs that fall into pieces, and the shortest way through the engine, against the recursion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import fast, fast_sparse, lowering, taking, tiles
from graphprop.engine.schedule import PLANS
from tests.against_recursion import assert_same_descent, assert_same_outputs
from tests.cases import one_of

KINDS = ("tanh", "identity", "sin", "sigmoid", "gaussian", "softplus", "sum", "product")


def member(nodes: int, seed: int, shared: bool = False) -> gp.Network:
    """A random network with three inputs, one of them of two numbers, and several outputs, an input among them."""
    rng = np.random.default_rng(seed)
    net = gp.Network()
    net.add_input("x")
    net.add_input("pair", size=2)
    net.add_input("z")
    names = ["x", "z"]
    net.add_node("first", "tanh", {"pair": rng.normal(size=2), "z": 0.5})
    names.append("first")
    for i in range(nodes):
        picked = rng.choice(len(names), size=min(len(names), 3), replace=False)
        weights = {names[j]: rng.normal() for j in picked}
        net.add_node(f"v{i}", "tanh" if shared else KINDS[rng.integers(6)], weights, bias=rng.normal())
        names.append(f"v{i}")
    net.add_node("mean", "mean", {"pair": np.ones((2, 2)), names[-1]: np.ones(2)})
    net.set_outputs(["mean", names[-1]], "x")
    return net


def union(count: int, nodes: int = 9) -> gp.Network:
    return gp.union({k: member(nodes + k % 3, seed=k) for k in range(count)})


def crossed() -> gp.Network:
    """Two graphs without an edge between them, whose heads alternate, and a third by itself; one weight is shared."""
    net = gp.Network()
    shared = net.parameter("shared", 0.7)
    for k in range(3):
        net.add_input(("x", k))
        net.add_node(("h", k), "tanh", {("x", k): shared}, bias=0.1 * k)
        net.add_node(("y", k), "sin", {("h", k): 1.5 + k})
        net.add_node(("z", k), "identity", {("h", k): -0.5, ("y", k): 0.25})
    net.set_outputs(("y", 0), ("y", 1), ("z", 0), ("z", 1), [("y", 2), ("z", 2)])
    return net


NETS = {"union": lambda: union(12), "crossed": crossed, "one": lambda: member(40, seed=3)}


def by_recursion(net: gp.Network, rows: Any, target: Any, **goal: Any) -> gp.Gradients:
    return gp.recursion.backpropagate(net, gp.recursion.forward(net, rows), target=target, **goal)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("samples", one_of(2, (1, 2, 33, 70)))
@pytest.mark.parametrize("piece", [1, 60, 100_000])
@pytest.mark.parametrize("name", list(NETS))
def test_every_piece_has_the_gradient_of_the_recursion(
    monkeypatch: pytest.MonkeyPatch, name: str, piece: int, samples: int, dtype: Any
) -> None:
    monkeypatch.setattr(lowering, "PIECE", piece)
    monkeypatch.setattr(tiles, "TILE_BYTES", 1 << 13)
    monkeypatch.setattr(tiles, "PART_WORK", 500)
    net = NETS[name]()
    program = net.program
    rng = np.random.default_rng(samples)
    rows = rng.normal(size=(samples, len(net.layout.input_columns)))
    target = rng.normal(size=program.predict(net.theta, rows).shape)
    expected = by_recursion(net, rows, target, loss="half_squared")
    theta = net.theta.astype(dtype)
    for given in (rows.astype(dtype), rows.tolist()):  # as the loops take it, and as something to be read
        found = program.value_and_grad(theta, given, target, loss="half_squared")
        assert found[1].dtype == dtype
        assert_same_descent(found, expected)
    assert expected.trace is not None
    assert_same_outputs(program.predict(theta, rows), net, expected.trace)


@pytest.mark.parametrize(("name", "pieces"), [("union", 12), ("crossed", 2), ("one", 1)])
def test_pieces_are_what_no_node_joins(monkeypatch: pytest.MonkeyPatch, name: str, pieces: int) -> None:
    """Heads that alternate between two graphs keep both in one piece, as a piece has heads next to each other."""
    monkeypatch.setattr(lowering, "PIECE", 1)
    schedule = NETS[name]().program.schedule
    assert len(schedule.pieces) - 1 == pieces
    assert schedule.pieces[-1].tolist() == [schedule.inputs, len(schedule.nodes), len(schedule.layout.heads)]
    assert sum(table.size for table in fast_sparse.piece_tables(schedule, np.dtype(float))) == schedule.size


@pytest.mark.parametrize("name", list(NETS))
def test_a_small_program_is_one_piece_with_all_heads(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(lowering, "PIECE", 100_000)
    program = NETS[name]().program
    whole = [program.schedule.inputs, len(program.schedule.nodes), len(program.layout.heads)]
    assert program.schedule.pieces.tolist() == [[0, program.schedule.inputs, 0], whole]


@pytest.mark.parametrize("net", [union(3), gp.mlp([40, 40, 2], "tanh", "identity", seed=0)], ids=["sparse", "dense"])
def test_arrays_and_what_was_read_of_lists_go_by_one_plan(net: gp.Network) -> None:
    schedule = net.copy().program.schedule
    program, theta = gp.Program(schedule), np.ones(schedule.layout.size) / 8
    rows, target = np.ones((5, len(schedule.layout.input_columns))), np.zeros((5, len(schedule.goal_columns)))
    for given in ((rows, target), (rows.tolist(), target.tolist())):
        program.value_and_grad(theta, *given, loss="half_squared")
    program.value_and_grad(theta, rows, target, loss="half_squared", sample_weight=[1.0, 2.0, 3.0, 4.0, 5.0])
    kept = [plan for key, plan in schedule.plans.items() if key[0] != "pieces"]
    assert len({id(plan.plan if isinstance(plan, taking.Way) else plan) for plan in kept}) == 1


def test_arrays_that_the_loops_take_go_the_shortest_way() -> None:
    program = union(3).program
    rows, target = np.ones((5, program.schedule.input_width)), np.zeros((5, len(program.schedule.goal_columns)))
    theta = np.ones(program.layout.size)
    assert fast.descend(program.schedule, theta, rows, target, "half_squared") is not None
    assert fast.answer(program.schedule, theta, rows) is not None
    rows[2, 1] = np.nan
    assert fast.descend(program.schedule, theta, rows, target, "half_squared") is None


def test_small_pieces_are_joined() -> None:
    program = union(30).program
    sizes = [table.size for table in fast_sparse.piece_tables(program.schedule, np.dtype(float))]
    assert 1 < len(sizes) < 30
    assert max(sizes) < 2 * lowering.PIECE
    assert min(sizes[:-1]) > lowering.PIECE / 2


@pytest.mark.parametrize("loss", ["half_squared", "binary_cross_entropy", "softmax_cross_entropy"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("piece", [1, 100_000])
def test_every_loss_of_several_heads(monkeypatch: pytest.MonkeyPatch, loss: str, piece: int, weighted: bool) -> None:
    """In pieces of their own, or in one, where only the heads of a loss that is a sum over all numbers are joined."""
    monkeypatch.setattr(lowering, "PIECE", piece)
    net = gp.union({k: gp.mlp([3, 5, 4], "tanh", "identity", seed=k) for k in range(6)})
    rng = np.random.default_rng(1)
    rows, target = 5 * rng.normal(size=(40, 18)), rng.integers(0, 2, size=(40, 24)).astype(float)
    goal: dict[str, Any] = {"loss": loss}
    if weighted:
        goal["sample_weight"] = rng.uniform(size=40)
    expected = by_recursion(net, rows, target, **goal)
    assert_same_descent(net.program.value_and_grad(net.theta, rows, target, **goal), expected)


def test_what_the_loops_take_does_not_depend_on_the_way_it_was_given() -> None:
    """Lists, read-only, transposed and sliced arrays and labels have the same bits as plain arrays."""
    net = gp.mlp([3, 5, 4], "tanh", "identity", seed=1)
    rng = np.random.default_rng(2)
    rows, labels = rng.normal(size=(7, 3)), rng.integers(0, 4, size=7)
    hot = np.eye(4)[labels]
    program, goal = net.program, {"loss": "softmax_cross_entropy"}
    value, gradient = program.value_and_grad(net.theta, rows, hot, **goal)
    frozen = rows.copy()
    frozen.flags.writeable = False
    wide = np.repeat(rows, 2, axis=1)[:, ::2]
    for given in (rows.tolist(), frozen, np.asfortranarray(rows), wide, rows.astype(">f8")):
        for target in (hot, labels, hot.tolist(), np.asfortranarray(hot)):
            again, slopes = program.value_and_grad(net.theta.tolist(), given, target, **goal)
            assert again == value
            assert np.array_equal(slopes, gradient)


@pytest.mark.parametrize(
    ("where", "bad"),
    [*((where, bad) for where in ("theta", "inputs") for bad in (np.nan, np.inf, -np.inf)), ("target", np.inf)],
)
def test_a_number_that_is_not_finite_is_refused_with_its_name(where: str, bad: float) -> None:
    net = gp.mlp([2, 3, 1], "tanh", "identity", seed=1)
    arrays = {"theta": net.theta.copy(), "inputs": np.ones((5, 2)), "target": np.ones((5, 1))}
    net.program.value_and_grad(*arrays.values(), loss="half_squared")
    arrays[where].flat[-1] = bad
    with pytest.raises(gp.NumberError, match={"theta": "theta", "inputs": "input", "target": "target"}[where]):
        net.program.value_and_grad(*arrays.values(), loss="half_squared")


def test_a_target_out_of_range_is_refused_with_its_place() -> None:
    net = gp.mlp([2, 3, 1], "tanh", "identity", seed=1)
    target = np.full((5, 1), 0.5)
    net.program.value_and_grad(net.theta, np.ones((5, 2)), target, loss="binary_cross_entropy")
    target[3] = 1.5
    with pytest.raises(gp.NumberError, match=r"component \(3, 0\) of the target is not in \[0, 1\]"):
        net.program.value_and_grad(net.theta, np.ones((5, 2)), target, loss="binary_cross_entropy")


def test_plans_are_dropped_when_there_are_many() -> None:
    net = gp.mlp([2, 3, 1], "tanh", "identity", seed=1)
    for samples in range(1, PLANS + 20):
        assert net.program.predict(net.theta, np.ones((samples, 2))).shape == (samples, 1)
    assert len(net.program.schedule.plans) <= PLANS + 1


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.uint64])
def test_labels_may_be_any_whole_numbers(kind: Any) -> None:
    net = gp.mlp([2, 3, 4], "tanh", "identity", seed=1)
    rows, labels, goal = np.ones((3, 2)), np.array([0, 3, 1]), {"loss": "softmax_cross_entropy"}
    expected = by_recursion(net, rows, labels, **goal)
    assert_same_descent(net.program.value_and_grad(net.theta, rows, labels.astype(kind), **goal), expected)
    assert fast.descend(net.program.schedule, net.theta, rows, labels.astype(kind), **goal) is not None


def test_no_samples_and_a_logit_that_is_infinite_are_refused() -> None:
    net = gp.mlp([2, 3, 4], "tanh", "identity", seed=1)
    with pytest.raises(gp.GraphpropError, match="empty"):
        net.program.value_and_grad(net.theta, np.zeros((0, 2)), np.zeros(0, int), loss="softmax_cross_entropy")
    net = gp.Network()
    net.add_input("x")
    net.add_input("y")
    net.add_node("p", "product", {"x": [1.0, None], "y": [None, -1.0]})
    net.add_node("q", "identity", {"x": 1.0})
    net.set_outputs(["p", "q"])
    with pytest.raises(gp.NumberError, match="'p': the output of product is -inf"):
        net.program.value_and_grad(
            net.theta, np.full((1, 2), 1e200), np.array([[0.0, 1.0]]), loss="softmax_cross_entropy"
        )


def test_a_tile_of_a_wide_program_has_no_more_samples_than_there_are() -> None:
    assert tiles.tile_width(3, 40_000_000, 10**8) == 1
