"""The engine against the recursion: every value and every derivative on random graphs of every kind of node."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import graphprop as gp
from tests.against_recursion import (
    assert_close,
    assert_same_descent,
    assert_same_gradients,
    assert_same_outputs,
    assert_same_pull,
    assert_same_trace,
    heads,
    input_rows,
)
from tests.cases import one_of
from tests.random_graphs import Draw, graphs, is_smooth, objectives


@st.composite
def batches(draw: Draw) -> tuple[gp.Network, np.ndarray[Any, Any]]:
    """A random network with one to four samples, each the first one moved towards 0."""
    net, inputs = draw(graphs())
    shares = draw(st.lists(st.integers(50, 100).map(lambda k: k / 100), min_size=1, max_size=4))
    return net, np.outer(shares, input_rows(net, inputs))


@given(st.data())
def test_one_sample_has_the_values_and_derivatives_of_the_recursion(data: Any) -> None:
    net, inputs = data.draw(graphs())
    trace = assert_same_trace(net, inputs)
    assert_same_gradients(net, trace, **data.draw(objectives(net)))


@given(batches(), st.data())
def test_a_batch_has_the_values_and_derivatives_of_the_recursion(made: Any, data: Any) -> None:
    net, rows = made
    trace = assert_same_trace(net, rows)
    goal = data.draw(objectives(net))
    for name in ("seed", "target"):
        if name in goal:
            goal[name] = {
                v: np.tile(np.squeeze(entry), (len(rows), *[1] * np.squeeze(entry).ndim))
                if np.shape(trace.o[v])[1:]
                else np.full(len(rows), np.ravel(entry)[0])
                for v, entry in goal[name].items()
            }
            goal[name] = {v: entry.reshape(np.shape(trace.o[v])) for v, entry in goal[name].items()}
    if "loss" in goal and data.draw(st.booleans()):
        goal["sample_weight"] = data.draw(
            st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)).filter(any)
        )
    assert_same_gradients(net, trace, **goal)


@given(batches())
def test_predict_gives_the_outputs_of_the_heads(made: Any) -> None:
    net, rows = made
    assume(net.layout.heads)
    expected = gp.recursion.forward(net, rows)
    found = gp.compile(net).predict(net.theta, rows)
    assert_same_outputs(found, net, expected)
    assert np.array_equal(gp.compile(net).predict(net.theta, rows[0]).shape, found.shape[1:])


@given(batches(), st.integers(0, 2**32 - 1))
def test_vjp_is_the_gradient_of_seeds_times_outputs(made: Any, seed: int) -> None:
    net, rows = made
    assume(net.layout.heads)
    trace = gp.recursion.forward(net, rows)
    assume(is_smooth(net, trace))
    seeds = np.random.default_rng(seed).uniform(-1, 1, heads(net, trace).shape)
    by_name, first = {}, 0
    for name in (name for head in net.layout.heads for name in head):
        width = int(np.size(trace.o[name][0]))
        by_name[name] = seeds[:, first : first + width].reshape(np.shape(trace.o[name]))
        first += width
    expected = gp.recursion.backpropagate(net, trace, seed=by_name)
    program = gp.compile(net)
    for given_as in (seeds, by_name):
        assert_same_pull(program.vjp(net.theta, rows, given_as), expected)


@given(batches(), st.data())
def test_value_and_grad_is_the_loss_and_its_gradient(made: Any, data: Any) -> None:
    net, rows = made
    trace = gp.recursion.forward(net, rows)
    assume(net.layout.heads)
    assume(is_smooth(net, trace))
    target = np.full(heads(net, trace).shape, 0.25)
    weight = data.draw(st.sampled_from([None, np.arange(1.0, len(rows) + 1)]))
    goal = {"loss": "half_squared", "target": target, "sample_weight": weight}
    expected = gp.recursion.backpropagate(net, trace, **goal)
    assert_same_descent(gp.compile(net).value_and_grad(net.theta, rows, **goal), expected)


@pytest.mark.parametrize("loss", list(gp.LOSSES))
def test_each_loss_on_a_batch_by_value_and_grad(loss: str) -> None:
    output = {"probabilities": "softmax", "log-probabilities": "log_softmax"}.get(gp.LOSSES[loss].reads, "identity")
    net = gp.mlp([3, 5, 4], "tanh", output, seed=1)
    rng = np.random.default_rng(2)
    rows, target, weight = rng.normal(size=(33, 3)), rng.dirichlet(np.ones(4), 33), rng.uniform(size=33)
    target = np.where(target < 0.25, -1.0, 1.0) if gp.LOSSES[loss].targets == "sign" else target
    goal = {"loss": loss, "target": target, "sample_weight": weight}
    expected = assert_same_gradients(net, gp.recursion.forward(net, rows), **goal)
    assert_same_descent(gp.compile(net).value_and_grad(net.theta, rows, **goal), expected)
    if gp.LOSSES[loss].targets == "distribution":
        labels = rng.integers(0, 4, 33)
        by_label = gp.compile(net).value_and_grad(net.theta, rows, labels, loss=loss)
        by_rows = gp.compile(net).value_and_grad(net.theta, rows, np.eye(4)[labels], loss=loss)
        assert by_label[0] == by_rows[0]
        assert np.array_equal(by_label[1], by_rows[1])


@pytest.mark.parametrize("name", list(gp.ACTIVATIONS))
def test_each_activation_in_the_middle_of_a_network(name: str) -> None:
    f = gp.ACTIVATIONS[name]
    rng = np.random.default_rng(3)
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("h", name, {"x": rng.uniform(0.2, 1, (4, 3))}, rng.uniform(0.1, 1, 4), size=4)
    m = 1 if f.kind == "reducing" else 4
    net.add_node("y", "tanh", {"h": rng.uniform(-0.5, 0.5, (2, m)), "x": rng.normal(size=(2, 3))}, size=2)
    rows = rng.uniform(0.1, 1, (19, 3))
    trace = assert_same_trace(net, rows)
    expected = assert_same_gradients(net, trace, loss="half_squared", target=np.zeros((19, 2)))
    for dtype in (np.float64, np.float32):
        theta = net.theta.astype(dtype)
        found = gp.compile(net).value_and_grad(theta, rows, np.zeros((19, 2)), loss="half_squared")
        assert found[1].dtype == dtype
        assert_same_descent(found, expected)


def mixed(nodes: int, seed: int) -> gp.Network:
    """Scalar, vector and reducing nodes in a random graph, some weights tied."""
    rng = np.random.default_rng(seed)
    kinds = ["tanh", "sigmoid", "relu", "softplus", "gelu", "sin", "identity", "softmax", "softmax_dot", "mean", "max"]
    net = gp.Network()
    net.add_input("x", size=4)
    net.add_input("z")
    tied = net.parameter("t", 0.3)
    widths = {"x": 4, "z": 1}
    for v in range(nodes):
        kind = str(rng.choice(kinds))
        of = gp.ACTIVATIONS[kind].kind
        size = int(rng.integers(2, 5)) if of != "elementwise" else [None, 3][int(rng.integers(2))]
        n, names = size or 1, list(widths)
        chosen = rng.choice(len(names), size=min(3, len(names)), replace=False)
        weights = {names[u]: rng.normal(size=(n, widths[names[u]])) / 2 for u in chosen}
        if size is None and v % 4 == 0:
            weights["z"] = tied
        net.add_node(f"v{v}", kind, weights, rng.normal(size=n) if v % 2 else None, size=size)
        widths[f"v{v}"] = 1 if of == "reducing" else n
    return net


@pytest.mark.parametrize("samples", one_of(2, (1, 2, 16, 15, 17, 300, 129, 127, 128)))
def test_any_number_of_samples(samples: int) -> None:
    net = mixed(40, seed=4)
    rng = np.random.default_rng(samples)
    rows = rng.normal(size=(samples, 5))
    trace = assert_same_trace(net, rows)
    target = np.zeros(heads(net, trace).shape)
    expected = assert_same_gradients(net, trace, loss="half_squared", target=target)
    program = gp.compile(net)
    assert_same_outputs(program.predict(net.theta, rows), net, trace)
    for dtype in (np.float64, np.float32):
        found = program.value_and_grad(net.theta.astype(dtype), rows, target, loss="half_squared")
        assert_same_descent(found, expected)


@pytest.mark.parametrize("tile_bytes", one_of(2, (1 << 10, 1 << 13, 1 << 19)))
@pytest.mark.parametrize(("part_work", "part_bytes"), [(1, 1 << 12), (500, 1 << 14), (200_000, 1 << 26)])
@pytest.mark.parametrize("samples", one_of(2, (17, 1, 130)))
def test_any_cut_of_the_batch(
    monkeypatch: pytest.MonkeyPatch, tile_bytes: int, part_work: int, part_bytes: int, samples: int
) -> None:
    from graphprop.engine import tiles

    monkeypatch.setattr(tiles, "TILE_BYTES", tile_bytes)
    monkeypatch.setattr(tiles, "PART_WORK", part_work)
    monkeypatch.setattr(tiles, "PART_BYTES", part_bytes)
    net = mixed(15, seed=5)
    rows = np.random.default_rng(6).normal(size=(samples, 5))
    trace = assert_same_trace(net, rows)
    target = np.zeros(heads(net, trace).shape)
    weight = np.random.default_rng(7).uniform(size=samples)
    goal = {"loss": "half_squared", "target": target, "sample_weight": weight}
    expected = assert_same_gradients(net, trace, **goal)
    assert_same_descent(gp.compile(net).value_and_grad(net.theta, rows, **goal), expected)
    found = gp.compile(net).vjp(net.theta, rows, np.ones(target.shape))
    ones = {v: np.ones(np.shape(trace.o[v])) for head in net.layout.heads for v in head}
    by_seed = gp.recursion.backpropagate(net, trace, seed=ones)
    assert_same_pull(found, by_seed)


@pytest.mark.parametrize("kind", [name for name, f in gp.ACTIVATIONS.items() if f.masks])
@pytest.mark.parametrize("samples", [None, 1, 20])
def test_masked_components_are_absent(kind: str, samples: int | None) -> None:
    """A mask is a bias of -inf: the other components are as if the masked one were not there."""
    w, b = np.array([[0.3, -0.2], [0.5, 0.7], [-0.4, 0.1]]), np.array([0.1, -np.inf, 0.2])
    net, less = gp.Network(), gp.Network()
    for made, rows in ((net, [0, 1, 2]), (less, [0, 2])):
        made.add_input("x", size=2)
        made.add_node("h", kind, {"x": w[rows]}, b[rows], size=len(rows))
    inputs = np.random.default_rng(8).normal(size=(2,) if samples is None else (samples, 2))
    trace = assert_same_trace(net, inputs)
    goal = {"node": "h", "component": 0}
    found = assert_same_gradients(net, trace, **goal)
    without = less.backward(less.forward(inputs), **goal)
    assert_close(np.asarray(found.weight["x", "h"])[[0, 2]], without.weight["x", "h"], 1e-13)
    assert not np.any(found.weight["x", "h"][1])
    if gp.ACTIVATIONS[kind].gives != "log-probabilities":
        predicted = gp.compile(net).predict(net.theta, inputs)
        assert np.isfinite(predicted).all()


def test_masks_may_be_the_first_and_the_last_parameter() -> None:
    """They are told from those of a node that has no bias: there, what is -inf in float32 is out of its range."""
    net = gp.Network()
    first = net.parameter("first", 0.0)
    net.add_input("x", size=2)
    net.add_node("p", "log_softmax", {"x": [[0.5, 1.0], [-1.0, 0.25], [0.75, 2.0]]}, [0.5, first, None], size=3)
    net.add_node("q", "log_softmax", {"x": [[1.0, 0.0], [0.0, 1.0]]}, size=2)
    net.add_node("r", "log_softmax", {"x": [[1.5, 0.5], [0.25, -0.5]]}, [0.5, -np.inf], size=2)
    net.theta[0] = -np.inf
    assert net.theta[-1] == -np.inf
    rows = np.random.default_rng(12).normal(size=(5, 2))
    trace = assert_same_trace(net, rows)
    assert_same_outputs(net.program.predict(net.theta, rows), net, trace)
    rows[3] = 2e38, -2e38
    with pytest.raises(gp.NumberError, match="node 'q', sample 3: its numbers are out of the range of float32"):
        net.program.predict(net.theta.astype(np.float32), rows.astype(np.float32))


def test_inputs_that_nothing_reads_and_nodes_off_every_path_have_derivative_zero() -> None:
    net = gp.Network()
    for name in ("unread", "x", "off"):
        net.add_input(name)
    net.add_node("h", "tanh", {"x": 0.5}, bias=0.1)
    net.add_node("side", "exp", {"h": 2.0, "off": 1.0}, bias=-0.3)
    net.add_node("y", "sigmoid", {"h": -1.5})
    net.set_outputs("y")
    rows = np.random.default_rng(9).normal(size=(20, 3))
    trace = assert_same_trace(net, rows)
    for goal in ({"node": "y"}, {"node": "x"}, {"seed": {"unread": np.ones(20), "h": np.ones(20)}}):
        assert_same_gradients(net, trace, **goal)
    theta, inputs = gp.compile(net).vjp(net.theta, rows, np.ones((20, 1)))
    assert not inputs[:, [0, 2]].any()
    assert inputs[:, 1].all()
    assert_same_pull((theta, inputs), gp.recursion.backpropagate(net, trace, "y"))
    assert_same_outputs(gp.compile(net).predict(net.theta, rows), net, trace)


def test_a_head_that_is_an_input_is_predicted_and_differentiated() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_input("u", size=2)
    net.add_node("y", "square", {"x": 2.0, "u": [0.5, 0.25]})
    net.set_outputs("u", ["y", "x"])
    rows = np.random.default_rng(10).normal(size=(5, 3))
    trace = assert_same_trace(net, rows)
    found = gp.compile(net).predict(net.theta, rows)
    assert_same_outputs(found, net, trace)
    assert np.array_equal(found[:, :2], rows[:, 1:])
    assert np.array_equal(found[:, 3], rows[:, 0])
    expected = assert_same_gradients(net, trace, loss="half_squared", target=np.ones((5, 4)))
    assert_same_descent(gp.compile(net).value_and_grad(net.theta, rows, np.ones((5, 4)), loss="half_squared"), expected)


@pytest.mark.parametrize("samples", [None, 1, 3])
def test_one_sample_is_a_row_and_a_batch_of_one_has_an_axis(samples: int | None) -> None:
    net = gp.mlp([3, 4, 2], seed=11)
    rows = np.ones(3) if samples is None else np.ones((samples, 3))
    lead = () if samples is None else (samples,)
    program = gp.compile(net)
    assert program.predict(net.theta, rows).shape == (*lead, 2)
    theta, inputs = program.vjp(net.theta, rows, np.ones((*lead, 2)))
    assert theta.shape == net.theta.shape
    assert inputs.shape == (*lead, 3)


@given(graphs(kinds=("tanh", "sigmoid", "softplus", "gelu", "sin", "softmax", "softmax_dot", "mean", "logsumexp")))
def test_float32_is_right_to_float32(made: Any) -> None:
    net, inputs = made
    rows = np.outer([1.0, 0.7, 0.2], input_rows(net, inputs)).astype(np.float32)
    theta = net.theta.astype(np.float32)
    net.theta = theta  # what is compared is the arithmetic, not the rounding of what is given
    trace = gp.recursion.forward(net, rows.astype(float))
    target = np.full(heads(net, trace).shape, 0.5)
    expected = gp.recursion.backpropagate(net, trace, loss="half_squared", target=target)
    found = gp.compile(net).value_and_grad(theta, rows, target, loss="half_squared")
    assert found[1].dtype == np.float32
    assert_same_descent(found, expected)
    outputs = gp.compile(net).predict(theta, rows)
    assert outputs.dtype == np.float32
    assert_same_outputs(outputs, net, trace)
