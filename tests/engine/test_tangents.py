"""`program.jvp` and `program.hvp`, against differences of the recursion on numbers of many digits, and each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import graphprop as gp
from tests import golden
from tests.against_recursion import input_rows
from tests.random_graphs import graphs, is_smooth, objectives

Array = np.ndarray[Any, Any]
DIGITS, STEP = 50, mpmath.mpf(10) ** -18


def moved(numbers: Array, moves: Array, side: int) -> Array:
    pairs = zip(numbers.ravel(), moves.ravel(), strict=True)
    return np.array([mpmath.mpf(x) + side * STEP * mpmath.mpf(t) for x, t in pairs]).reshape(numbers.shape)


def slope(above: Array, below: Array) -> Array:
    """Central differences, rounded once."""
    pairs = zip(above.ravel(), below.ravel(), strict=True)
    return np.array([float((x - y) / (2 * STEP)) for x, y in pairs]).reshape(above.shape)


def jvp_by_digits(net: gp.Network, theta: Array, rows: Array, d_theta: Array, d_rows: Array) -> Array:
    with mpmath.workdps(max(DIGITS, mpmath.mp.dps)):
        sides = []
        for side in (1, -1):
            given_rows = [moved(rows[k], d_rows[k], side) for k in range(len(rows))]
            trace = gp.recursion.forward(net, given_rows, theta=moved(theta, d_theta, side), numbers=mpmath.mp)
            columns = [np.arange(*_span(net, name)) for head in net.layout.heads for name in head]
            sides.append(trace.o_flat[:, np.concatenate(columns)])
        return slope(*sides)


def hvp_by_digits(net: gp.Network, theta: Array, rows: Array, vector: Array, **goal: Any) -> Array:
    with mpmath.workdps(max(DIGITS, mpmath.mp.dps)):
        sides = []
        for side in (1, -1):
            trace = gp.recursion.forward(net, rows, theta=moved(theta, vector, side), numbers=mpmath.mp)
            sides.append(gp.recursion.backpropagate(net, trace, **goal).theta)
        return slope(*sides)


def _span(net: gp.Network, name: Any) -> tuple[int, int]:
    span = net.layout.o_slice(net.layout.find(name))
    return span.start, span.stop


def assert_near(found: Array, expected: Array, tolerance: float, scale: float = 0.0) -> None:
    assert found.shape == expected.shape
    size = max(scale, float(np.abs(expected).max(initial=0)))
    assert np.abs(found - expected).max(initial=0) <= tolerance * size + 1e-300, (found, expected)


@given(graphs(max_nodes=5), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_jvp_is_how_the_outputs_move(made: Any, samples: int, seed: int) -> None:
    net, inputs = made
    assume(net.layout.heads)
    rows = np.outer(np.linspace(1.0, 0.5, samples), input_rows(net, inputs))
    assume(is_smooth(net, gp.recursion.forward(net, rows)))
    random = np.random.default_rng(seed)
    d_theta, d_rows = random.normal(size=net.theta.shape), random.normal(size=rows.shape)
    program = gp.compile(net)
    outputs, found = program.jvp(net.theta, rows, d_theta, d_rows)
    np.testing.assert_allclose(outputs, program.predict(net.theta, rows), rtol=1e-13, atol=1e-15)
    assert_near(found, jvp_by_digits(net, net.theta, rows, d_theta, d_rows), 1e-12, np.abs(outputs).max())
    alone = program.jvp(net.theta, rows, d_theta)[1] + program.jvp(net.theta, rows, d_inputs=d_rows)[1]
    assert_near(alone, found, 1e-12, max(1.0, np.abs(outputs).max()))


@given(graphs(max_nodes=5), st.integers(0, 2**32 - 1))
def test_a_pull_of_a_push_is_a_push_of_a_pull(made: Any, seed: int) -> None:
    """<seeds, J t> = <J^T seeds, t>: jvp and vjp tell of one Jacobian."""
    net, inputs = made
    assume(net.layout.heads)
    rows = np.outer([1.0, 0.5, 0.7], input_rows(net, inputs))
    random = np.random.default_rng(seed)
    d_theta, d_rows = random.normal(size=net.theta.shape), random.normal(size=rows.shape)
    program = gp.compile(net)
    outputs, pushed = program.jvp(net.theta, rows, d_theta, d_rows)
    seeds = random.normal(size=outputs.shape)
    by_theta, by_rows = program.vjp(net.theta, rows, seeds)
    terms = [*(seeds * pushed).ravel(), *(by_theta * d_theta), *(by_rows * d_rows).ravel()]
    assert abs((seeds * pushed).sum() - by_theta @ d_theta - (by_rows * d_rows).sum()) <= 1e-12 * np.abs(terms).sum()


@given(graphs(max_nodes=4), st.data())
def test_hvp_is_how_the_gradient_moves(made: Any, data: Any) -> None:
    net, inputs = made
    row = input_rows(net, inputs)
    assume(is_smooth(net, gp.recursion.forward(net, row)))
    goal = data.draw(objectives(net))
    assume("loss" in goal)
    vector = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).normal(size=net.theta.shape)
    program = gp.compile(net)
    found = program.hvp(net.theta, row, vector=vector, **goal)
    expected = hvp_by_digits(net, net.theta, row, vector, **goal)
    gradient = program.value_and_grad(net.theta, row, **goal)[1]
    assert_near(found, expected, 1e-12, float(np.abs(gradient).max(initial=0)))


LOSSES = [
    (name, k)
    for name, k in golden.CASES
    if golden.GRAPHS[name]["expect"]["objectives"][k]["objective"]["kind"] != "output"
]


@pytest.mark.parametrize(("name", "k"), LOSSES)
def test_golden_graphs(name: str, k: int) -> None:
    graph = golden.GRAPHS[name]
    goal = golden.objective(graph["expect"]["objectives"][k])
    net, row = golden.build(graph), input_rows(golden.build(graph), golden.inputs(graph))
    vector = np.random.default_rng(0).normal(size=net.theta.shape)
    with mpmath.workdps(DIGITS):
        expected = hvp_by_digits(net, net.theta, row, vector, **goal)
    found = gp.compile(net).hvp(net.theta, row, vector=vector, **goal)
    assert_near(found, expected, 1e-11)


def with_activation(name: str) -> gp.Network:
    f = gp.ACTIVATIONS[name]
    rng = np.random.default_rng(3)
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("h", name, {"x": rng.uniform(0.2, 1, (4, 3))}, rng.uniform(0.1, 1, 4), size=4)
    m = 1 if f.kind == "reducing" else 4
    net.add_node("y", "tanh", {"h": rng.uniform(-0.5, 0.5, (2, m)), "x": rng.normal(size=(2, 3))}, size=2)
    return net


@pytest.mark.parametrize("name", list(gp.ACTIVATIONS))
def test_each_activation_in_the_middle_of_a_network(name: str) -> None:
    net, rng = with_activation(name), np.random.default_rng(5)
    rows = rng.uniform(0.1, 1, (3, 3))
    vector, target = rng.normal(size=net.theta.shape), np.zeros((3, 2))
    expected = hvp_by_digits(net, net.theta, rows, vector, loss="half_squared", target=target)
    program = gp.compile(net)
    assert_near(program.hvp(net.theta, rows, target, vector, loss="half_squared"), expected, 1e-13)
    single = program.hvp(net.theta.astype(np.float32), rows, target, vector, loss="half_squared")
    assert single.dtype == np.float32
    assert_near(single, expected, 1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", list(gp.LOSSES))
def test_each_loss_on_a_batch(loss: str, weighted: bool) -> None:
    output = {"probabilities": "softmax", "log-probabilities": "log_softmax"}.get(gp.LOSSES[loss].reads, "identity")
    net = gp.mlp([3, 4, 3], "tanh", output, seed=1)
    rng = np.random.default_rng(2)
    rows, target = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), 4)
    if gp.LOSSES[loss].targets == "sign":
        target = np.sign(target - 0.3)
    goal = {"loss": loss, "target": target, "sample_weight": rng.uniform(size=4) if weighted else None}
    vector = rng.normal(size=net.theta.shape)
    expected = hvp_by_digits(net, net.theta, rows, vector, **goal)
    program = gp.compile(net)
    assert_near(program.hvp(net.theta, rows, vector=vector, **goal), expected, 1e-13)
    if gp.LOSSES[loss].targets == "distribution":
        labels = rng.integers(0, 3, 4)
        assert np.array_equal(
            program.hvp(net.theta, rows, labels, vector, loss=loss),
            program.hvp(net.theta, rows, np.eye(3)[labels], vector, loss=loss),
        )


NETS: dict[str, Any] = {
    "sparse": lambda: gp.mlp([5, 6, 3], "sin", "identity", seed=0),
    "dense": lambda: gp.mlp([40, 50, 30], "tanh", "softmax", seed=0),
    "dense behind sparse": lambda: gp.mlp([5, 50, 40, 3], "gelu", "identity", seed=0),
    "dense by layer": lambda: gp.mlp([40, 50, 30], "tanh", "identity", by="layer", seed=0),
    "pieces": lambda: gp.union({k: gp.mlp([5, 16, 3], "sigmoid", "identity", seed=k) for k in range(9)}),
}


@pytest.mark.parametrize("samples", [1, 2, 33, 700])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NETS)
def test_every_way_through_the_engine_agrees_with_differences_of_gradients(name: str, dtype: Any, samples: int) -> None:
    net, random = NETS[name](), np.random.default_rng(1)
    program, theta = gp.compile(net), net.theta
    rows = random.normal(size=(samples, len(net.layout.input_columns)))
    target, vector, step = np.full(program.predict(theta, rows).shape, 0.2), random.normal(size=theta.shape), 1e-4
    d_rows = random.normal(size=rows.shape)

    def gradient(side: float) -> Array:
        return program.value_and_grad(theta + side * step * vector, rows, target, loss="half_squared")[1]

    def outputs(side: float) -> Array:
        return program.predict(theta + side * step * vector, rows + side * step * d_rows)

    bent = (8 * (gradient(1) - gradient(-1)) - (gradient(2) - gradient(-2))) / (12 * step)
    pushed = (8 * (outputs(1) - outputs(-1)) - (outputs(2) - outputs(-2))) / (12 * step)
    found = program.hvp(theta.astype(dtype), rows.astype(dtype), target, vector, loss="half_squared")
    assert found.dtype == dtype
    tolerance = 1e-8 if dtype is np.float64 else 1e-4
    assert_near(found, bent, tolerance)
    assert_near(program.jvp(theta.astype(dtype), rows.astype(dtype), vector, d_rows)[1], pushed, tolerance)


@pytest.mark.parametrize("name", NETS)
def test_the_hessian_is_symmetric(name: str) -> None:
    net, random = NETS[name](), np.random.default_rng(1)
    program, rows = gp.compile(net), random.normal(size=(12, len(net.layout.input_columns)))
    target = np.full(program.predict(net.theta, rows).shape, 0.2)
    u, v = random.normal(size=(2, *net.theta.shape))
    hu, hv = (program.hvp(net.theta, rows, target, x, loss="half_squared") for x in (u, v))
    assert v @ hu == pytest.approx(u @ hv, rel=1e-11)


@pytest.mark.parametrize("samples", [8, 700])
@pytest.mark.parametrize("name", ["sparse", "dense"])
def test_the_bits_are_the_same_on_any_number_of_threads(name: str, samples: int, threads: int) -> None:
    net, random = NETS[name](), np.random.default_rng(1)
    program, rows = gp.compile(net), random.normal(size=(samples, len(net.layout.input_columns)))
    target, vector = np.full(program.predict(net.theta, rows).shape, 0.2), random.normal(size=net.theta.shape)

    def both(_: int = 0) -> tuple[Array, ...]:
        bent = program.hvp(net.theta, rows, target, vector, loss="half_squared")
        return bent, *program.jvp(net.theta, rows, vector)

    gp.set_threads(1)
    expected = both()
    gp.set_threads(2)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(both, range(8)):
            assert all(map(np.array_equal, found, expected))


def test_a_saturated_network_keeps_its_digits() -> None:
    """Curvatures of 1e-40, which differences of gradients in floats do not see."""
    for name in ("sigmoid", "tanh", "softmax", "log_softmax", "logsumexp", "softmax_dot", "softplus", "gelu"):
        net = gp.Network()
        net.add_input("x", size=2)
        vector = gp.ACTIVATIONS[name].kind != "elementwise"
        net.add_node(
            "y", name, {"x": [[40.0, 1.0], [-38.0, 2.0]] if vector else [[-19.0, -1.0]]}, size=2 if vector else 1
        )
        goal = {"loss": "half_squared", "target": np.full(np.shape(net.forward([1.0, 0.5]).o["y"]), 0.5)}
        vector_of = np.linspace(-1, 1, len(net.theta))
        with mpmath.workdps(150):
            expected = hvp_by_digits(net, net.theta, np.array([1.0, 0.5]), vector_of, **goal)
        found = gp.compile(net).hvp(net.theta, [1.0, 0.5], vector=vector_of, **goal)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_ties_and_frozen_parameters_add_up() -> None:
    net = gp.Network()
    net.add_input("x")
    w = net.parameter("w", 0.7)
    frozen = net.parameter("f", 1.3, trainable=False)
    net.add_node("h", "tanh", {"x": w}, frozen)
    net.add_node("y", "sigmoid", {"h": w, "x": frozen})
    goal = {"loss": "half_squared", "target": np.array([0.3, 0.4])}
    rows = np.array([[0.5], [-0.8]])
    for vector in np.eye(2):
        expected = hvp_by_digits(net, net.theta, rows, vector, **goal)
        assert_near(gp.compile(net).hvp(net.theta, rows, vector=vector, **goal), expected, 1e-14)


def test_heads_by_name_and_a_target_of_some() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", "tanh", {"x": [[0.3, 0.2], [0.1, -0.4]]}, size=2)
    net.add_node("z", "identity", {"h": [[0.3, -0.2], [0.5, 0.1], [1.0, 0.2]]}, size=3)
    net.add_node("y", "sin", {"h": [[0.3, -0.2]]})
    net.set_outputs("z", "y")
    rows, vector = np.array([[0.5, 1.0], [-0.8, 0.3]]), np.random.default_rng(0).normal(size=net.theta.shape)
    for target in ({"z": np.ones((2, 3)), "y": np.ones(2)}, {"y": np.zeros(2)}):
        goal = {"loss": "half_squared", "target": target}
        expected = hvp_by_digits(net, net.theta, rows, vector, **goal)
        assert_near(gp.compile(net).hvp(net.theta, rows, vector=vector, **goal), expected, 1e-14)


def test_a_loss_per_head_with_weights_and_an_objective_that_was_read() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", "tanh", {"x": [[0.3, 0.2], [0.1, -0.4]]}, size=2)
    net.add_node("z", "identity", {"h": [[0.3, -0.2], [0.5, 0.1], [1.0, 0.2]]}, size=3)
    net.add_node("y", "sin", {"h": [[0.3, -0.2]]})
    net.set_outputs("z", "y")
    rows, vector = np.array([[0.5, 1.0], [-0.8, 0.3]]), np.random.default_rng(0).normal(size=net.theta.shape)
    loss: dict[Any, Any] = {"z": "softmax_cross_entropy", "y": ("half_squared", 0.3)}
    goal: dict[str, Any] = {"loss": loss, "target": {"z": [2, 0], "y": np.ones(2)}, "sample_weight": [1.0, 3.0]}
    expected = hvp_by_digits(net, net.theta, rows, vector, **goal)
    assert_near(gp.compile(net).hvp(net.theta, rows, vector=vector, **goal), expected, 1e-14)
    objective = net.backward(net.forward(rows), **goal).objective
    assert_near(gp.compile(net).hvp(net.theta, rows, objective, vector), expected, 1e-14)


@pytest.mark.parametrize("kind", ["softmax", "log_softmax", "logsumexp", "softmax_dot"])
def test_a_masked_component_moves_nothing(kind: str) -> None:
    """The network without it has the same numbers."""

    def made(size: int, bias: list[float]) -> gp.Network:
        net = gp.Network()
        net.add_input("x", size=2)
        net.add_node("s", kind, {"x": np.arange(2.0 * size).reshape(size, 2) / 5}, bias, size=size)
        reducing = gp.ACTIVATIONS[kind].kind == "reducing"
        if kind != "log_softmax":
            net.add_node("y", "tanh", {"s": np.full((1, 1 if reducing else size), 0.5)})
        return net

    masked, without = made(3, [0.1, 0.2, -np.inf]), made(2, [0.1, 0.2])
    rows = np.array([[0.3, -0.2], [1.0, 0.4]])
    if kind == "log_softmax":
        goals = (
            {"loss": "nll", "target": np.array([[0.3, 0.7, 0.0]] * 2)},
            {"loss": "nll", "target": np.array([[0.3, 0.7]] * 2)},
        )
    else:
        goals = {"loss": "half_squared", "target": np.ones(2)}, {"loss": "half_squared", "target": np.ones(2)}
    moves = np.random.default_rng(0).normal(size=len(masked.theta))
    in_both = {
        "softmax": [0, 1, 2, 3, 6, 7, 9, 10],
        "log_softmax": [0, 1, 2, 3, 6, 7],
    }.get(kind, [0, 1, 2, 3, 6, 7, 9])
    found = gp.compile(masked).hvp(masked.theta, rows, vector=moves, **goals[0])
    expected = gp.compile(without).hvp(without.theta, rows, vector=moves[in_both], **goals[1])
    np.testing.assert_allclose(found[in_both], expected, rtol=1e-12, atol=1e-16)
    assert not np.delete(found, in_both).any()
    pushed = gp.compile(masked).jvp(masked.theta, rows, moves)[1]
    alone = gp.compile(without).jvp(without.theta, rows, moves[in_both])[1]
    np.testing.assert_allclose(pushed[:, : alone.shape[1]], alone, rtol=1e-12)
    assert not pushed[:, alone.shape[1] :].any()


OWN: dict[str, Any] = {
    "stated": lambda: gp.Activation("own", lambda a: a**3, lambda a, o: 3 * a**2, second=lambda a, o: 6 * a),
    "run with tangents": lambda: gp.Activation("own", lambda a: a**3, lambda a, o: 3 * a * a),
    "in Python": lambda: gp.Activation("own", lambda a: [a**3][0], lambda a, o: [3 * a * a][0]),
}


@pytest.mark.parametrize("samples", [3, 700])
@pytest.mark.parametrize("name", OWN)
def test_own_elementwise_activations(name: str, samples: int) -> None:
    net, own = gp.Network(), OWN[name]()
    net.add_input("x", size=2)
    net.add_node("h", own, {"x": [[0.3, 0.2], [0.1, -0.4]]}, [0.1, 0.2], size=2)
    net.add_node("y", own, {"h": [[0.3, -0.2]], "x": [[1.0, 1.0]]})
    rows = np.random.default_rng(0).normal(size=(samples, 2))
    vector = np.random.default_rng(1).normal(size=net.theta.shape)
    program, step = gp.compile(net), 1e-4

    def gradient(side: float) -> Array:
        return program.value_and_grad(net.theta + side * step * vector, rows, np.zeros(samples), loss="half_squared")[1]

    expected = (8 * (gradient(1) - gradient(-1)) - (gradient(2) - gradient(-2))) / (12 * step)
    assert_near(program.hvp(net.theta, rows, np.zeros(samples), vector, loss="half_squared"), expected, 1e-10)
    outputs, pushed = program.jvp(net.theta, rows, vector)
    seeds = np.random.default_rng(2).normal(size=outputs.shape)
    assert (seeds * pushed).sum() == pytest.approx(program.vjp(net.theta, rows, seeds)[0] @ vector, rel=1e-11)


@pytest.mark.parametrize("kind", ["reducing", "vector"])
def test_own_activations_of_arrays(kind: str) -> None:
    if kind == "reducing":
        own = gp.Activation("norm", lambda a: (a * a).sum(), lambda a, o, g: 2 * g * a, kind=kind)
    else:
        own = gp.Activation("shares", lambda a: a / a.sum(), lambda a, o, g: (g - (g * o).sum()) / a.sum(), kind=kind)
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", own, {"x": [[0.3, 0.2], [0.1, 0.4]]}, [0.1, 0.2], size=2)
    net.add_node("y", "tanh", {"h": [[0.3]] if kind == "reducing" else [[0.3, -0.2]], "x": [[1.0, 1.0]]})
    random, step = np.random.default_rng(0), 1e-3
    program, rows, vector = gp.compile(net), random.uniform(1, 2, size=(3, 2)), random.normal(size=net.theta.shape)

    def gradient(side: float) -> Array:
        return program.value_and_grad(net.theta + side * step * vector, rows, np.zeros(3), loss="half_squared")[1]

    expected = (8 * (gradient(1) - gradient(-1)) - (gradient(2) - gradient(-2))) / (12 * step)
    assert_near(program.hvp(net.theta, rows, np.zeros(3), vector, loss="half_squared"), expected, 1e-9)
    outputs, pushed = program.jvp(net.theta, rows, vector)
    seeds = random.normal(size=outputs.shape)
    assert (seeds * pushed).sum() == pytest.approx(program.vjp(net.theta, rows, seeds)[0] @ vector, rel=1e-11)


def test_an_own_loss_is_run_with_tangents() -> None:
    own = gp.Loss("cubes", lambda z, t: (abs(z - t) ** 3).sum(-1), lambda z, t: 3 * (z - t) * abs(z - t))
    net, random = gp.mlp([3, 4, 2], seed=0), np.random.default_rng(0)
    rows, target, vector = random.normal(size=(5, 3)), random.normal(size=(5, 2)), random.normal(size=net.theta.shape)
    program, step = gp.compile(net), 1e-4

    def gradient(side: float) -> Array:
        return program.value_and_grad(net.theta + side * step * vector, rows, target, loss=own)[1]

    expected = (8 * (gradient(1) - gradient(-1)) - (gradient(2) - gradient(-2))) / (12 * step)
    assert_near(program.hvp(net.theta, rows, target, vector, loss=own), expected, 1e-10)


def test_the_second_derivative_that_nobody_knows_is_asked_for() -> None:
    own = gp.Activation("own", lambda a: a * a, lambda a, o: float(np.interp(a, [-9.0, 9.0], [-18.0, 18.0])))
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", own, {"x": 1.0})
    program = gp.compile(net)
    assert program.jvp(net.theta, [1.5], [1.0])[1] == pytest.approx(4.5)
    with pytest.raises(gp.GraphpropError, match=r"activation 'own': its second derivative is needed .* with second="):
        program.hvp(net.theta, [1.5], [1.0], [1.0], loss="half_squared")


def test_bad_input_is_told() -> None:
    net = gp.mlp([3, 4, 2], seed=0)
    program, theta, rows, target = gp.compile(net), net.theta, np.ones((2, 3)), np.ones((2, 2))
    for given_as, told in (
        ((theta, rows, theta[1:]), "d_theta has shape"),
        ((theta, rows, theta * np.nan), "d_theta is nan at 0"),
        ((theta, rows, None, rows[0]), r"d_inputs has shape \(3,\), and the inputs have \(2, 3\)"),
        ((theta, rows, None, rows[:1]), r"d_inputs has shape \(1, 3\), and the inputs have"),
        ((theta, rows, None, rows[:, 1:]), "the array of inputs has shape"),
        ((theta * np.nan, rows), "theta.0.* is nan"),
        ((theta, rows, np.full_like(theta, 1e308)), "tangents of the outputs are too large"),
    ):
        with pytest.raises(gp.GraphpropError, match=told):
            program.jvp(*given_as)
    for vector, told in (
        (theta[1:], "the vector has shape"),
        (np.full_like(theta, np.inf), "the vector is inf at 0"),
        ("x", "numbers"),
    ):
        with pytest.raises(gp.GraphpropError, match=told):
            program.hvp(theta, rows, target, vector, loss="half_squared")
    with pytest.raises(gp.GraphpropError, match="unknown loss"):
        program.hvp(theta, rows, target, theta, loss="half")
    with pytest.raises(gp.NumberError, match=r"theta\[0\].* is nan"):
        program.hvp(theta * np.nan, rows, target, theta, loss="half_squared")
    linear = gp.mlp([3, 2], output="identity", seed=0)
    with pytest.raises(gp.NumberError, match="the Hessian times the vector is too large"):
        gp.compile(linear).hvp(linear.theta, rows * 1e150, target, np.full(8, 1e150), loss="half_squared")
