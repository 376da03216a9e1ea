"""Identities of any graph and of convolutions, as properties."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import mpmath
import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.functions.arithmetic import arithmetic
from tests.absolute_terms import absolute_terms as terms_of_all_roundings
from tests.cases import few_each
from tests.random_graphs import NUMBERS, SMOOTH, components, graphs, is_smooth, kind, numbers, objectives
from tests.textbook.identity_cases import (
    absolute_terms,
    assert_close,
    backpropagate,
    every_component,
    heads,
    matrices,
    outputs,
    per_theta,
    rebuilt,
    resolvent,
    seed_of,
    sensitivities,
    sensitivity,
    slices,
    vector,
)

FORMS = ("parents", "children", "paths")

GROUPS = ("softmax_dot", "softmax", "log_softmax")


# ------------------------------------------------------------------ graphs (19-26)


@given(graphs())
def test_three_forms_and_the_resolvent_agree_for_every_component_of_every_node(drawn: Any) -> None:
    net, inputs = drawn
    trace = gp.recursion.forward(net, inputs)
    L, W = matrices(net, trace)
    D, terms = resolvent(L, W), resolvent(np.abs(L), np.abs(W))
    for row, objective in enumerate(every_component(net)):
        for form in FORMS:
            g = backpropagate(net, trace, objective, form=form)
            assert_close(sensitivities(net, g), D[row], terms[row])


@pytest.mark.parametrize("loss", SMOOTH)
@few_each()
@given(data=st.data())
def test_three_forms_and_the_resolvent_agree_for_losses_and_seeds(loss: str, data: st.DataObject) -> None:
    net, inputs = data.draw(graphs(kinds=("softmax", "log_softmax", "product", "tanh")))
    trace, objective = gp.recursion.forward(net, inputs), data.draw(objectives(net, losses=(loss,)))
    expected = seed_of(net, trace, objective) @ resolvent(*matrices(net, trace))
    terms = absolute_terms(net, trace, objective)
    o = outputs(net, trace)
    for form in FORMS:
        g = backpropagate(net, trace, objective, form=form)
        assert_close(sensitivities(net, g), expected, terms)
        assert_close(g.theta, per_theta(net, expected, o), per_theta(net, terms, np.abs(o)))


def value_at(net: gp.Network, theta: list[Any], inputs: list[Any], objective: dict[str, Any]) -> Any:
    """The objective in mpmath's numbers, from a forward pass alone."""
    trace = gp.recursion.forward(net, np.array(inputs, dtype=object), theta=theta, numbers=mpmath.mp)
    o = {v: np.atleast_1d(trace.o[v]) for v in net.nodes}
    if "node" in objective:
        return o[objective["node"]][objective["component"]]
    if "seed" in objective:
        return sum(g * x for v, seed in objective["seed"].items() for g, x in zip(seed, o[v], strict=True))
    target, formula = objective["target"], gp.loss(objective["loss"]).formula
    parts = [
        [(x, t) for v in head for x, t in zip(o[v], vector(target[v]), strict=True)] for head in heads(net, target)
    ]
    return sum(formula(arithmetic(mpmath.mp), *zip(*pairs, strict=True)) for pairs in parts)


@pytest.mark.parametrize("activation", gp.ACTIVATIONS)
@few_each()
@given(data=st.data())
def test_gradients_are_the_slopes_of_the_forward_pass(activation: str, data: st.DataObject) -> None:
    """Against differences of 30-digit forward passes, in which no chain rule is used.

    A derivative such as p (1 + a - o) of softmax_dot has a root, where it moves with the rounding of a by more than its
    own digits: so the scale is that of all roundings on the way, with |dL|.
    """
    net, inputs = data.draw(graphs(kinds=(activation, "softmax", "softmax_dot", "exp")))
    trace, objective = gp.recursion.forward(net, inputs), data.draw(objectives(net))
    assume(is_smooth(net, trace))
    terms = terms_of_all_roundings(gp.recursion.backpropagate(net, trace, **objective))
    fed = [terms.by_o[0, net.layout.o_slice(net.layout.find(x))] for x in net.inputs]
    size, scale = len(net.theta), np.concatenate([terms.theta, *fed])
    with mpmath.workdps(30):
        point = [mpmath.mpf(x) for x in [*net.theta, *np.concatenate([vector(inputs[x]) for x in net.inputs])]]
        g, exact = (backpropagate(net, trace, objective, numbers=m) for m in (None, mpmath.mp))
        for j in data.draw(st.lists(st.sampled_from(range(len(point))), min_size=1, max_size=3, unique=True)):

            def along(x: Any, j: int = j) -> Any:
                moved = [*point[:j], x, *point[j + 1 :]]
                return value_at(net, moved[:size], moved[size:], objective)

            slope = float(mpmath.diff(along, point[j]))
            for found in (g, exact):
                flat = [*found.theta, *np.concatenate([np.atleast_1d(found.input[x]) for x in net.inputs])]
                assert_close(float(flat[j]), slope, scale[j] + 1e-12)  # the differences resolve 1e-24


@given(st.data())
def test_weights_times_their_gradients_add_up_to_delta_times_a_less_b(data: st.DataObject) -> None:
    net, inputs = data.draw(graphs())
    trace, objective = gp.recursion.forward(net, inputs), data.draw(objectives(net))
    g = backpropagate(net, trace, objective)
    for v in trace.a:
        n = components(net, v)[0]
        products = [
            np.nan_to_num(np.reshape(net.weight(u, v), (n, -1)) * np.reshape(g.weight[u, v], (n, -1)))
            for u in net.parents(v)
        ]
        a, b, delta = vector(trace.a[v]), np.nan_to_num(vector(net.bias(v))), vector(sensitivity(g, v))
        terms = sum(np.abs(x).sum(1) for x in products) + np.abs(delta) * (np.abs(a) + np.abs(b))
        assert_close(sum(x.sum(1) for x in products), delta * (a - b), terms)


def path_products(net: gp.Network, u: Any, v: Any) -> Iterable[np.ndarray]:
    """The product of the weights along each path from u to v."""
    for path in [[u]] if u == v else nx.all_simple_paths(net.graph, u, v):
        product = np.eye(components(net, u)[0])
        for p, c in itertools.pairwise(path):
            product = np.nan_to_num(np.reshape(net.weight(p, c), (-1, len(product)))) @ product
        yield product


@given(graphs(kinds=("identity",)))
def test_gradient_of_a_linear_network_is_the_sum_over_paths_of_weight_products(drawn: Any) -> None:
    net, inputs = drawn
    trace, target = gp.recursion.forward(net, inputs), net.nodes[-1]
    for k in range(components(net, target)[1]):
        g = gp.recursion.backpropagate(net, trace, target, component=k)
        for u in net.nodes:
            rows = [product[k] for product in path_products(net, u, target)]
            zero = np.zeros(components(net, u)[0])
            assert_close(vector(sensitivity(g, u)), sum(rows, zero), sum(map(np.abs, rows), zero))


@given(graphs(kinds=("identity",), biases=False))
def test_linear_network_without_biases_is_homogeneous(drawn: Any) -> None:
    net, inputs = drawn
    trace, x = gp.recursion.forward(net, inputs), np.concatenate([vector(given) for given in inputs.values()])
    for objective in every_component(net):
        g = backpropagate(net, trace, objective)
        slopes = np.concatenate([vector(g.input[v]) for v in net.inputs])
        terms = absolute_terms(net, trace, objective)[: len(x)]  # the inputs come first
        assert_close(slopes @ x, g.value, terms @ np.abs(x))


@given(st.data(), NUMBERS)
def test_linear_network_is_affine_in_inputs_and_in_each_single_weight(data: st.DataObject, s: float) -> None:
    tied, inputs = data.draw(graphs(kinds=("identity",)))
    net = rebuilt(tied, list(tied.nodes), lambda uses: None, lambda v: v, tied=False)
    x = np.concatenate([vector(given) for given in inputs.values()])
    y, j = np.array(data.draw(numbers(len(x)))), data.draw(st.integers(0, len(net.theta) - 1))

    def at(z: np.ndarray, step: float = 0.0) -> np.ndarray:
        moved = net.copy()
        moved.theta[j] += step
        return outputs(moved, gp.recursion.forward(moved, z))

    largest = net.copy()
    largest.theta = np.abs(net.theta) + 2 * (np.arange(len(net.theta)) == j)
    terms = (1 + abs(s)) * outputs(largest, gp.recursion.forward(largest, np.abs(x) + np.abs(y)))
    assert_close(at(s * x + (1 - s) * y), s * at(x) + (1 - s) * at(y), terms)
    assert_close(at(x, step=s), at(x) + s * (at(x, step=1.0) - at(x)), terms)


@given(st.data(), st.sampled_from([(1.0,), (0.5, 0.5)]))
def test_identity_nodes_and_parallel_halves_in_an_edge_change_nothing_else(
    data: st.DataObject, shares: tuple[float, ...]
) -> None:
    net, inputs = data.draw(graphs())
    trace, objective = gp.recursion.forward(net, inputs), data.draw(objectives(net))
    g, terms = backpropagate(net, trace, objective), absolute_terms(net, trace, objective)
    u, v = data.draw(st.sampled_from(net.edges))
    weight, n, m = net.weight(u, v), *(components(net, w)[c] for w, c in ((v, 0), (u, 1)))
    split = net.copy()
    split.set_outputs(*(list(head) if len(head) > 1 else head[0] for head in net.layout.heads))
    split.remove_edge(u, v)
    for part, share in enumerate(shares):
        split.add_node(("half", part), "identity", {u: absent_as_none(np.where(np.eye(m), 1, np.nan))}, size=m)
        split.add_edge(("half", part), v, absent_as_none(np.reshape(share * weight, (n, m))))
    changed = backpropagate(split, gp.recursion.forward(split, inputs), objective)
    assert changed.value == g.value
    assert_close(sensitivities(split, changed)[: len(terms)], sensitivities(net, g), terms)
    size = np.outer(terms[slices({w: components(net, w)[0] for w in net.nodes})[v]], np.abs(vector(trace.o[u])))
    for part in range(len(shares)):
        pair = (np.reshape(w, (n, m)) for w in (changed.weight[("half", part), v], g.weight[u, v]))
        assert_close(*(np.nan_to_num(w) for w in pair), size)


def absent_as_none(weight: np.ndarray) -> list[Any]:
    return np.where(np.isnan(weight), None, weight).tolist()


@given(graphs(), st.randoms(use_true_random=False))
def test_renaming_nodes_and_reordering_edges_gives_the_same_bits(drawn: Any, random: Any) -> None:
    net, inputs = drawn
    other = rebuilt(net, random.sample(net.nodes, len(net)), random.shuffle, lambda v: ("again", v), tied=True)
    trace, again = (
        gp.recursion.forward(net, inputs),
        gp.recursion.forward(other, {("again", x): given for x, given in inputs.items()}),
    )
    assert all(np.array_equal(trace.o[v], again.o["again", v]) for v in net.nodes)
    for objective, form in itertools.product(every_component(net), FORMS):
        renamed = objective | {"node": ("again", objective["node"])}
        g, h = backpropagate(net, trace, objective, form=form), backpropagate(other, again, renamed, form=form)
        assert all(np.array_equal(sensitivity(g, v), sensitivity(h, ("again", v))) for v in net.nodes)
        for u, v in net.edges:
            assert np.array_equal(g.weight[u, v], h.weight[("again", u), ("again", v)], equal_nan=True)


def test_gradient_of_a_tied_parameter_does_not_depend_on_the_order_of_its_uses() -> None:
    found = set()
    for inputs in itertools.permutations({"p": 1e16, "q": 1.0, "r": -1e16}.items()):
        net = gp.Network()
        f = net.parameter("f", 1.0)
        for x, _ in inputs:
            net.add_input(x)
        net.add_node("s", "identity", {x: f for x, _ in inputs})
        found.add(gp.recursion.backpropagate(net, gp.recursion.forward(net, dict(inputs)), "s").parameter["f"])
    assert found == {1.0}


@given(graphs(), st.data())
def test_removing_nodes_off_every_path_changes_no_bit(drawn: Any, data: st.DataObject) -> None:
    net, inputs = drawn
    net.set_outputs()
    target = data.draw(st.sampled_from(net.nodes))
    needed = {target, *net.inputs, *nx.ancestors(net.graph, target)}
    small = net.copy()
    for v in set(net.nodes) - needed:
        small.remove_node(v)
    g, h = (x.backward(gp.recursion.forward(x, inputs), target, component=0) for x in (net, small))
    assert g.value == h.value
    assert all(np.array_equal(sensitivity(g, v), sensitivity(h, v)) for v in small.nodes)
    assert np.array_equal(g.theta, h.theta)


@given(graphs())
def test_what_does_not_reach_the_objective_has_gradient_exactly_zero(drawn: Any) -> None:
    net, inputs = drawn
    trace = gp.recursion.forward(net, inputs)
    for objective, form in itertools.product(every_component(net), FORMS):
        reaching = {objective["node"], *nx.ancestors(net.graph, objective["node"])}
        g = backpropagate(net, trace, objective, form=form)
        assert all((vector(sensitivity(g, v)) == 0.0).all() for v in set(net.nodes) - reaching)
        dead = [np.nan_to_num(vector(g.weight[u, v])) for u, v in net.edges if v not in reaching]
        assert all((w == 0.0).all() for w in dead)


@given(graphs(kinds=(*GROUPS, "tanh")), st.data(), NUMBERS)
def test_a_common_bias_moves_softmax_dot_and_no_softmax(drawn: Any, data: st.DataObject, c: float) -> None:
    net, inputs = drawn
    groups = [v for v in net.nodes if kind(net, v) in GROUPS]
    assume(groups)
    v = data.draw(st.sampled_from(groups))
    before = gp.recursion.forward(net, inputs)
    a = vector(before.a[v])
    net.add_input("c")
    net.add_edge("c", v, [1.0] * len(a))
    trace = gp.recursion.forward(net, inputs | {"c": c})
    moves = kind(net, v) == "softmax_dot"
    slopes = np.abs(gp.activation(kind(net, v)).jacobian(a)).sum(-1)
    assert_close(trace.o[v], before.o[v] + c * moves, np.abs(before.o[v]) + slopes * (np.abs(a).max() + abs(c)))
    objective = data.draw(objectives(net))
    g, terms = backpropagate(net, trace, objective), absolute_terms(net, trace, objective)
    place = slices({u: components(net, u)[0] for u in net.nodes})
    direct = seed_of(net, trace, objective)[-1]
    assert_close(g.input["c"], g.delta[v].sum() + direct, terms[place["c"]].sum())
    assert_close(g.delta[v].sum(), g.o[v] if moves else 0.0, terms[place[v]].sum())


@given(graphs(), st.data(), NUMBERS, NUMBERS)
def test_gradients_are_linear_in_the_objective(drawn: Any, data: st.DataObject, alpha: float, beta: float) -> None:
    net, inputs = drawn
    trace = gp.recursion.forward(net, inputs)
    first, second = ({v: np.array(data.draw(numbers(components(net, v)[1]))) for v in net.nodes} for _ in range(2))
    seeds = first, second, {v: alpha * first[v] + beta * second[v] for v in net.nodes}, {v: 2 * first[v] for v in first}
    g1, g2, both, double = (sensitivities(net, backpropagate(net, trace, {"seed": seed})) for seed in seeds)
    sizes = {v: np.abs(alpha * first[v]) + np.abs(beta * second[v]) for v in net.nodes}
    assert_close(both, alpha * g1 + beta * g2, absolute_terms(net, trace, {"seed": sizes}))
    assert np.array_equal(double, 2 * g1)


@given(graphs(), st.data())
def test_gradient_of_a_batch_is_that_of_its_samples_together(drawn: Any, data: st.DataObject) -> None:
    net, inputs = drawn
    x, objective = np.concatenate([vector(given) for given in inputs.values()]), data.draw(objectives(net))
    rows = np.array([x, x / 2, 1 - x])
    repeated = {
        key: {v: [numbers] * len(rows) for v, numbers in entry.items()} if isinstance(entry, dict) else entry
        for key, entry in objective.items()
    }
    share = 1 / len(rows) if "loss" in objective else 1.0
    g = backpropagate(net, gp.recursion.forward(net, rows), repeated)
    terms, theta, value = np.zeros(len(net.theta)), np.zeros(len(net.theta)), []
    for sample, row in enumerate(rows):
        trace = gp.recursion.forward(net, row)
        single, size = backpropagate(net, trace, objective), share * absolute_terms(net, trace, objective)
        for v, part in slices({v: components(net, v)[0] for v in net.nodes}).items():
            assert_close(vector(sensitivity(g, v)[sample]), share * vector(sensitivity(single, v)), size[part])
        terms += per_theta(net, size, np.abs(outputs(net, trace)))
        theta += share * single.theta
        value.append(share * single.value)
    assert_close(g.value, sum(value), sum(map(abs, value)))
    assert_close(g.theta, theta, terms)


@given(graphs(), st.data())
def test_gradient_of_a_tied_parameter_is_the_sum_of_the_untied_ones(drawn: Any, data: st.DataObject) -> None:
    net, inputs = drawn
    untied = rebuilt(net, list(net.nodes), lambda uses: None, lambda v: v, tied=False)
    trace, objective = gp.recursion.forward(net, inputs), data.draw(objectives(net))
    g, h = backpropagate(net, trace, objective), backpropagate(untied, gp.recursion.forward(untied, inputs), objective)
    terms, summed = absolute_terms(net, trace, objective), np.zeros(len(net.theta))
    np.add.at(summed, net.layout.position, h.theta[untied.layout.position])
    np.add.at(summed, net.layout.bias_position, h.theta[untied.layout.bias_position])
    assert_close(g.theta, summed, per_theta(net, terms, np.abs(outputs(net, trace))))
    for name, parameter in net.parameters.items():
        assert g.parameter[name] == g.theta[parameter.positions]


# ------------------------------------------------------------------ convolution (27)


@st.composite
def convolutions(draw: Any) -> tuple[gp.Network, np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """A network that is one convolution; the names of x and of s, the kernel, and the padding."""
    high, wide = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    rows, columns = draw(st.integers(high, 4)), draw(st.integers(wide, 3))
    padding = draw(st.integers(0, high - 1)), draw(st.integers(0, wide - 1))
    net, x = gp.Network(), np.empty((rows, columns), dtype=object)
    for place in np.ndindex(rows, columns):
        x[place] = ("x", *place)
        net.add_input(x[place])
    kernel = np.reshape(draw(numbers(high * wide)), (high, wide))
    return net, x, gp.conv2d(net, x, kernel, padding=padding), kernel, padding


def correlated(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """s[r, c] = sum over i, j of kernel[i, j] image[r + i, c + j]"""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("rcij,ij->rc", windows, kernel)


def padded(image: np.ndarray, padding: tuple[int, ...]) -> np.ndarray:
    return np.pad(image, [(p, p) for p in padding])


def read(values: Any, names: np.ndarray) -> np.ndarray:
    return np.reshape([values[name] for name in names.ravel()], names.shape)


@given(convolutions(), st.data())
def test_convolution_and_its_gradients_are_cross_correlations(drawn: Any, data: st.DataObject) -> None:
    net, x, s, kernel, padding = drawn
    image, seed = (np.reshape(data.draw(numbers(names.size)), names.shape) for names in (x, s))
    trace = gp.recursion.forward(net, image.ravel())
    g = gp.recursion.backpropagate(net, trace, seed=dict(zip(s.ravel(), seed.ravel(), strict=True)))
    around = tuple(length - 1 - p for length, p in zip(kernel.shape, padding, strict=True))
    size = {"image": np.abs(image), "kernel": np.abs(kernel), "seed": np.abs(seed)}

    def checked(found: np.ndarray, formula: Callable[..., np.ndarray]) -> None:
        assert_close(found, formula(image, kernel, seed), formula(*size.values()))

    checked(read(trace.o, s), lambda x, f, g: correlated(padded(x, padding), f))
    checked(g.parameter["s.kernel"], lambda x, f, g: correlated(padded(x, padding), g))
    checked(read(g.input, x), lambda x, f, g: correlated(padded(g, around), f[::-1, ::-1]))


@given(convolutions(), st.data())
def test_convolution_and_its_pull_back_are_adjoint(drawn: Any, data: st.DataObject) -> None:
    net, x, s, *_ = drawn
    W, image, seed = net.weight_matrix(s, x), *(np.array(data.draw(numbers(names.size))) for names in (x, s))
    trace = gp.recursion.forward(net, image)
    g = gp.recursion.backpropagate(net, trace, seed=dict(zip(s.ravel(), seed, strict=True)))
    forward, back = read(trace.o, s).ravel(), read(g.input, x).ravel()
    assert_close(forward, W @ image, np.abs(W) @ np.abs(image))
    assert_close(back, seed @ W, np.abs(seed) @ np.abs(W))
    assert_close(forward @ seed, image @ back, np.abs(seed) @ np.abs(W) @ np.abs(image))


@given(convolutions())
def test_row_wise_and_column_wise_matrices_are_equal_but_for_their_order(drawn: Any) -> None:
    net, x, s, *_ = drawn
    rows, columns = (np.arange(names.size).reshape(names.shape).ravel("F") for names in (s, x))
    by_rows, by_columns = (net.weight_matrix(s, x, order=order) for order in ("C", "F"))
    assert np.array_equal(by_rows[np.ix_(rows, columns)], by_columns)
