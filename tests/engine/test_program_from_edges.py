"""Programs from arrays of edges: the numbers of the same graph as a network, and bad arrays refused in words."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from tests.absolute_terms import absolute_terms, forward_terms, roundings
from tests.against_recursion import assert_close
from tests.random_graphs import Draw

from_edges = gp.Program.from_edges
KINDS = ["tanh", "sigmoid", "identity", "softplus", "sin", "gaussian"]


@st.composite
def arrays(draw: Draw) -> dict[str, Any]:
    """Arguments of from_edges: an acyclic graph whose nodes and edges are numbered in any order."""
    inputs, others = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    label = [*range(inputs), *(inputs + i for i in draw(st.permutations(range(others))))]
    edges = []
    for v in range(inputs, inputs + others):
        sources = draw(st.lists(st.integers(0, v - 1), min_size=1, max_size=4, unique=True))
        edges += [(label[u], label[v]) for u in sources]
    source, target = zip(*draw(st.permutations(edges)), strict=True)
    made: dict[str, Any] = {"n_inputs": inputs, "source": source, "target": target, "bias": draw(st.booleans())}
    each = draw(st.lists(st.sampled_from(KINDS), min_size=others, max_size=others))
    made["activation"] = draw(st.sampled_from([each[0], each, np.array(each), [gp.activation(f) for f in each]]))
    if draw(st.booleans()):
        every = range(inputs, inputs + others)
        made["outputs"] = draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    return made


@given(arrays(), st.integers(0, 2**32 - 1))
def test_a_program_from_edges_computes_what_the_network_does(made: dict[str, Any], seed: int) -> None:
    """The oracle adds node after node to a Network, whose theta is in another order."""
    rng = np.random.default_rng(seed)
    n, pairs = made["n_inputs"], list(zip(made["source"], made["target"], strict=True))
    nodes = 1 + max(n - 1, *made["source"], *made["target"])
    program = from_edges(**made)
    theta = rng.normal(size=len(pairs) + (nodes - n if made["bias"] else 0)) / 2
    weight = dict(zip(pairs, theta.tolist(), strict=False))
    net = gp.Network()
    for v in range(n):
        net.add_input(v)
    waiting = list(range(n, nodes))
    while waiting:
        v = next(v for v in waiting if all(u in net for u, t in pairs if t == v))
        waiting.remove(v)
        f = made["activation"]
        f = f if isinstance(f, str) else f[v - n]
        into = {u: w for (u, t), w in weight.items() if t == v}
        net.add_node(
            v,
            f if isinstance(f, gp.Activation) else str(f),
            into,
            float(theta[len(pairs) + v - n]) if made["bias"] else None,
        )
    sinks = [v for v in range(n, nodes) if v not in made["source"]]
    outputs = made.get("outputs", sinks)
    rows = rng.normal(size=(3, n))
    trace = gp.recursion.forward(net, rows)
    forward, exact = forward_terms(trace), roundings(float)
    columns = [net.layout.o_slice(net.layout.find(v)).start for v in outputs]
    assert_close(program.predict(theta, rows), trace.o_flat[:, columns], exact, forward.o[:, columns])
    target = rng.normal(size=(3, len(outputs)))
    expected = gp.recursion.backpropagate(
        net, trace, loss="half_squared", target={v: target[:, i] for i, v in enumerate(outputs)}
    )
    terms = absolute_terms(expected)
    uses = [net.layout.edge_slice(net.layout.find_edge(*pair)).start for pair in pairs]
    gradient, scale = expected.weight_uses[uses], terms.weight_uses[uses]
    if made["bias"]:
        biases = [net.layout.a_slice(net.layout.find(v)).start for v in range(n, nodes)]
        gradient = np.append(gradient, expected.a_flat[:, biases].sum(axis=0))
        scale = np.append(scale, terms.by_a[:, biases].sum(axis=0))
    value, found = program.value_and_grad(theta, rows, target, loss="half_squared")
    assert_close(value, expected.value, exact, terms.value)
    assert_close(found, gradient, exact, scale)
    own = program.forward(theta, rows)
    g = program.backward(own, loss="half_squared", target=target)
    assert_close(g.theta, gradient, exact, scale)
    for v in range(nodes):
        place = net.layout.o_slice(net.layout.find(v))
        assert_close(own.o[v], trace.o[v], exact, forward.o[:, place.start])
        assert_close(g.o[v], expected.o[v], exact, terms.by_o[:, place.start])
    again = program.to_network()
    again.theta = theta
    assert again.backward(again.forward(rows), loss="half_squared", target=target).allclose(g)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64, ">i4", ">u8"])
def test_node_numbers_of_any_type_in_any_storage(dtype: Any) -> None:
    source, target = np.array([[0, 9], [1, 9], [2, 9]], dtype=dtype)[:, 0], np.array([2, 2, 3], dtype=dtype)[::-1][::-1]
    source.flags.writeable = False
    found = from_edges(2, source, target, "identity").predict([2.0, 3.0, 5.0], [1.0, 10.0])
    assert found == [160.0]


def test_theta_is_the_weights_in_the_order_of_the_edges_then_the_biases_by_node() -> None:
    program = from_edges(1, [1, 0, 0], [2, 2, 1], "identity", bias=True)
    w12, w02, w01, b1, b2 = 2.0, 3.0, 5.0, 0.25, 0.5
    assert program.predict([w12, w02, w01, b1, b2], [1.0]) == [w12 * (w01 + b1) + w02 + b2]


def test_outputs_are_in_the_order_in_which_they_are_named() -> None:
    program = from_edges(1, [0, 0, 0], [1, 2, 3], "identity", outputs=[3, 1])
    assert np.array_equal(program.predict([1.0, 2.0, 3.0], [[1.0], [2.0]]), [[3.0, 1.0], [6.0, 2.0]])


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "cycle": (
        lambda: from_edges(1, [0, 1, 2, 3], [1, 2, 3, 1]),
        r"cycle (2 -> 3 -> 1 -> 2|1 -> 2 -> 3 -> 1|3 -> 1 -> 2 -> 3)",
    ),
    "loop": (lambda: from_edges(1, [0, 1], [1, 1]), "edge 1, 1 -> 1, is a loop"),
    "an edge twice": (lambda: from_edges(2, [0, 1, 0], [2, 2, 2]), "edge 0 -> 2 is there twice, as number 0 and 2"),
    "an edge into an input": (
        lambda: from_edges(2, [0], [1]),
        "edge 0, 0 -> 1, leads into an input; inputs are 0 to 1",
    ),
    "a node without parents": (lambda: from_edges(1, [0, 2], [3, 3]), "node 1.* has no edge into it and is no input"),
    "a gap": (lambda: from_edges(1, [0], [2]), "node 1 of 3 has no edge into it and is no input"),
    "no inputs": (lambda: from_edges(0, [0], [1]), "node 0.* has no edge into it and is no input"),
    "no nodes": (lambda: from_edges(0, [], []), "no nodes"),
    "negative": (lambda: from_edges(2, [0, -1], [2, 2]), r"source\[1\] is -1; node numbers are 0 to"),
    "huge": (lambda: from_edges(2, [0, 1], [2, 2**31 - 2]), "node 3 of 2147483647 has no edge into it"),
    "too large": (lambda: from_edges(2, [0, 1], [2, 2**40]), r"target\[1\] is 1099511627776; node numbers are 0 to"),
    "beyond 64 bits": (lambda: from_edges(2, [0, 1], [2, 2**70]), "target is an array of node numbers"),
    "unsigned": (
        lambda: from_edges(1, [0], np.array([2**64 - 1], dtype=np.uint64)),
        r"target\[0\] is 18446744073709551615",
    ),
    "lengths": (lambda: from_edges(1, [0], [1, 2]), "source has 1 entries, target 2"),
    "floats": (lambda: from_edges(1, [0.0], [1]), "source is an array of node numbers .* type float64"),
    "nan": (lambda: from_edges(1, [np.nan], [1]), "source is an array of node numbers"),
    "bools": (lambda: from_edges(1, [True], [1]), "source is an array of node numbers .* type bool"),
    "objects": (lambda: from_edges(1, np.array([0], dtype=object), [1]), "source is an array .* type object"),
    "texts": (lambda: from_edges(1, ["0"], [1]), "source is an array of node numbers"),
    "two axes": (lambda: from_edges(1, [[0]], [[1]]), r"source is an array .*not of shape \(1, 1\)"),
    "no axes": (lambda: from_edges(1, 0, 1), r"source is an array .*not of shape \(\)"),
    "ragged": (lambda: from_edges(1, [[0], [1, 2]], [1]), "source is an array of node numbers"),
    "None": (lambda: from_edges(1, None, [1]), "source is an array of node numbers"),
    "masked": (lambda: from_edges(2, np.ma.array([0, 1], mask=[0, 1]), [2, 2]), "source.*mask"),
    "n_inputs float": (lambda: from_edges(1.0, [0], [1]), "n_inputs is a whole number from 0 to .*, not 1.0"),  # type: ignore[arg-type]
    "n_inputs negative": (lambda: from_edges(-1, [0], [1]), "n_inputs is a whole number from 0 to .*, not -1"),
    "n_inputs bool": (lambda: from_edges(True, [0], [1]), "n_inputs is a whole number from 0 to .*, not True"),
    "n_inputs huge": (lambda: from_edges(2**31, [0], [1]), "n_inputs is a whole number from 0 to"),
    "activation unknown": (lambda: from_edges(1, [0], [1], "tnah"), "unknown activation 'tnah'; did you mean 'tanh'?"),
    "activation in array": (lambda: from_edges(1, [0], [1], np.array(["tnah"])), "unknown activation 'tnah'"),
    "activation vector": (lambda: from_edges(1, [0], [1], "softmax"), "'softmax' is of vectors; .*one output"),
    "activation None": (
        lambda: from_edges(1, [0], [1], None),
        "activation is one for all, or one for each of the 1 node",
    ),
    "activations few": (lambda: from_edges(1, [0, 1], [1, 2], ["tanh"]), "one for each of the 2 nodes; not 1"),
    "activations square": (lambda: from_edges(1, [0, 1], [1, 2], np.full((2, 2), "tanh")), "activation"),
    "activation no axes": (lambda: from_edges(1, [0], [1], np.array("tanh")), "activation"),
    "activation number": (lambda: from_edges(1, [0], [1], [3]), "an activation is a name or a gp.Activation, not 3"),
    "bias number": (lambda: from_edges(1, [0], [1], bias=1), "bias is True or False, or an array .*, not 1"),
    "outputs empty": (lambda: from_edges(1, [0], [1], outputs=[]), "outputs is empty"),
    "outputs twice": (lambda: from_edges(1, [0], [1], outputs=[1, 1]), "outputs names a node twice"),
    "outputs input": (lambda: from_edges(1, [0], [1], outputs=[0]), "outputs: 0 is an input; nodes are 1 to 1"),
    "outputs far": (lambda: from_edges(1, [0], [1], outputs=[9]), "outputs: 9 is no node; nodes are 1 to 1"),
    "outputs one number": (lambda: from_edges(1, [0], [1], outputs=1), "outputs is an array of node numbers"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_arrays_that_are_no_graph_are_refused_with_what_where_and_what_is_allowed(what: str) -> None:
    run, message = WRONG[what]
    tracemalloc.start()
    try:
        with pytest.raises(gp.GraphpropError, match=message):
            run()
        assert tracemalloc.get_traced_memory()[1] < 50e6, "arrays were made for nodes that are not there"
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by what Linux has")
@pytest.mark.parametrize("call", ["from_edges(2**30, [0], [2**30])", "from_edges(2**31 - 1, [], [])"])
def test_very_many_inputs_are_refused_before_memory_is_taken(call: str) -> None:
    """Arrays by node would take tens of gigabytes, for an edge or none; in a process that may have three."""
    script = f"""
import resource
import graphprop as gp
gp.Program.from_edges(1, [0], [1]).predict([1.0], [1.0])
resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))
try:
    gp.Program.{call}
except gp.GraphpropError as error:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "refused", done.stderr[-300:]


def test_the_cycle_that_is_found_is_one_of_the_graph() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.integers(0, 300, 2000), rng.integers(5, 300, 2000)
    pairs = np.unique(np.stack([source, target], axis=1)[source != target], axis=0)
    pairs = np.concatenate([pairs, [[0, v] for v in range(5, 300) if not ((pairs == [0, v]).all(axis=1)).any()]])
    with pytest.raises(gp.CycleError) as caught:
        from_edges(5, pairs[:, 0], pairs[:, 1])
    cycle = caught.value.cycle
    edges = set(map(tuple, pairs.tolist()))
    assert cycle[0] == cycle[-1]
    assert len(cycle) > 2
    assert all(step in edges for step in itertools.pairwise(cycle))
    assert f"{cycle[0]} -> {cycle[1]}" in str(caught.value)


def test_a_long_cycle_is_told_in_few_words() -> None:
    n = 100_000
    with pytest.raises(gp.CycleError) as caught:
        from_edges(1, [0, *range(1, n + 1)], [1, *range(2, n + 1), 1])
    assert len(caught.value.cycle) == n + 1
    assert len(str(caught.value)) < 300
