"""Source 004: recursion on a graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import graphprop as gp
from tests.textbook.formulas.definitions import (
    Array,
    Forms,
    I,
    derivative,
    entry,
    exp,
    float_array,
    jacobian,
    mp,
    n,
    numbers,
    p,
    sigmoid,
    softmax,
    softmax_dot,
    tanh,
    v,
    value,
    vjp,
    x,
)

Graph = dict[str, Any]  # node name -> its value, or (activation, {parent: weight vector}); parents before children

FUNCTIONS = {"sigmoid": lambda a: sigmoid(a[0]), "softmax_dot": softmax_dot}

LOCAL = {
    "sigmoid": lambda a: sigmoid(a) * (1 - sigmoid(a)),
    "softmax_dot": lambda a: softmax(a) * (1 + a - softmax_dot(a)),
}


def node(activation: str, **parents: list[float]) -> tuple[str, dict[str, Array]]:
    length = 1 if activation == "sigmoid" else None
    return activation, {u: numbers(w[:length]) for u, w in parents.items()}


def direct_graph(hidden: str, output: str) -> Graph:
    """The node v reaches the output y by one edge only."""
    return {
        "x1": mp.mpf(0.75),
        "x2": mp.mpf(-1.5),
        "v": node(hidden, x1=[0.5, -1.0, 2.0], x2=[-0.25, 0.75, 0.5]),
        "r": node("sigmoid", x1=[-0.5]),
        "y": node(output, v=[1.25, -0.5, 0.25], r=[-0.75, 2.0, 0.5]),
    }


def deep_graph(output: str) -> Graph:
    """The nodes v (softmax-dot) and h (sigmoid) reach the output y through m and q, and m reaches it through q too."""
    return {
        "x1": mp.mpf(0.75),
        "x2": mp.mpf(-1.5),
        "v": node("softmax_dot", x1=[0.5, -1.0, 2.0], x2=[-0.25, 0.75, 0.5]),
        "h": node("sigmoid", x1=[-0.5], x2=[1.0]),
        "m": node("sigmoid", v=[1.5], h=[-2.0]),
        "q": node("softmax_dot", v=[0.5, -1.0], h=[1.25, 0.75], m=[2.0, -1.5]),
        "y": node(output, m=[1.0, -0.5, 0.25], q=[-0.75, 2.0, 0.5]),
    }


def skip_graph(output: str) -> Graph:
    """The same, and v and h are parents of y besides."""
    graph = deep_graph(output)
    edges = node(output, v=[-1.25, 0.5, 1.0], h=[0.5, 1.5, -0.25])[1]
    return graph | {"y": (output, graph["y"][1] | edges)}


def run(graph: Graph, to_a: dict[str, Array] | None = None, to_o: dict[str, Any] | None = None) -> tuple[Graph, Graph]:
    """All a and o; something may be added to the a or the o of a node."""
    a: Graph = {}
    o: Graph = {}
    for name, given in graph.items():
        if isinstance(given, tuple):
            a[name] = sum(w * o[u] for u, w in given[1].items()) + (to_a or {}).get(name, 0)
            o[name] = FUNCTIONS[given[0]](a[name])
        else:
            o[name] = given
        o[name] += (to_o or {}).get(name, 0)
    return a, o


def parents(graph: Graph, name: str) -> dict[str, Array]:
    return graph[name][1] if isinstance(graph[name], tuple) else {}


def total(graph: Graph, target: str, name: str) -> Array:
    """The derivative of o[target] by a[name], all else free to respond: by differences."""
    return derivative(lambda da: run(graph, to_a={name: da})[1][target], 0 * run(graph)[0][name])


def total_in_output(graph: Graph, target: str, name: str) -> Any:
    """The derivative of o[target] by o[name], all else free to respond: by differences."""
    return mp.diff(lambda do: run(graph, to_o={name: do})[1][target], 0)


def in_weight(graph: Graph, u: str, name: str) -> Array:
    """The derivative of o[y] by w(u, name): by differences."""
    activation, weights = graph[name]
    return derivative(lambda w: run(graph | {name: (activation, weights | {u: w})})[1]["y"], weights[u])


def local(graph: Graph, name: str) -> Array:
    """The derivative of o[name] by a[name], in closed form."""
    return LOCAL[graph[name][0]](run(graph)[0][name])


def by_targets(graph: Graph, target: str, name: str) -> Array:
    """The correct recursion: each parent of the target takes the target's place, down to the node itself."""
    if target == name:
        return local(graph, name)
    zero = 0 * run(graph)[0][name]
    inner = {u: by_targets(graph, u, name) for u in parents(graph, target)}
    return sum(((local(graph, target) @ w) * inner[u] for u, w in parents(graph, target).items()), zero)


def library_gradients(graph: Graph, form: str = "children") -> Any:
    net = gp.Network()
    for name, given in graph.items():
        if isinstance(given, tuple):
            weights = {u: float(w[0]) if len(w) == 1 else float_array(w) for u, w in given[1].items()}
            net.add_node(name, given[0], weights)
        else:
            net.add_input(name)
    inputs = {name: float(given) for name, given in graph.items() if not isinstance(given, tuple)}
    return gp.recursion.backpropagate(net, net.forward(inputs), "y", form=form)


def library_sensitivity(graph: Graph, name: str) -> Any:
    """Delta or gamma as a vector, by the recursion over parents."""
    gradients = library_gradients(graph, form="parents")
    return gradients.delta[name] if graph[name][0] == "softmax_dot" else np.array([gradients.gamma[name]])


@entry("S4.1", "correct", "sigma(x) = 1 / (1 + e^-x), which is also (1 + tanh(x / 2)) / 2")
def sigmoid_value() -> Iterator[Forms]:
    yield Forms(1 / (1 + exp(-v)), truth=(1 + tanh(v / 2)) / 2, library=value("sigmoid", v))


@entry("S4.2", "correct", "softmax(z)_i = e^z_i / sum_k e^z_k, which is also 1 / sum_k e^(z_k - z_i)")
def softmax_value() -> Iterator[Forms]:
    truth = [1 / exp(v - v[i]).sum() for i in range(n)]
    yield Forms(exp(v) / exp(v).sum(), truth=truth, library=value("softmax", v))


@entry("S4.3", "correct", "softmax(z) . z, which is also the derivative of log sum_j exp(tau z_j) at tau = 1")
def softmax_dot_value() -> Iterator[Forms]:
    truth = mp.diff(lambda tau: mp.log(sum(mp.exp(tau * z) for z in x)), 1)
    yield Forms(softmax(x) @ x, truth=truth, library=value("softmax_dot", x))


@entry(
    "S4.4",
    "erratum",
    "a[v][k] = sum_{i=1..n} w(k, u_i, v) o[u_i], k = 1..n; there may be fewer or more parents than components",
)
def one_letter_for_two_sizes() -> Iterator[Forms]:
    for w, o, size, truth in (
        ([[1, 2], [3, 4], [5, 6]], [1, 10], 2, [21, 43, 65]),  # n = 2, the parents
        ([[1, 2, 3], [4, 5, 6]], [1, 10, 100], 2, [321, 654]),  # n = 2, the components
    ):
        names = [f"u{i}" for i in range(len(o))]
        net = gp.Network()
        for name in names:
            net.add_input(name)
        net.add_node(
            "v", "softmax_dot", {u: float_array(column) for u, column in zip(names, np.transpose(w), strict=True)}
        )
        yield Forms(
            printed=[sum(w[k][i] * o[i] for i in range(size)) for k in range(size)],
            correct=[sum(w[k][i] * o[i] for i in range(len(names))) for k in range(len(w))],
            truth=truth,
            library=net.forward(float_array(o)).a["v"],
        )


@entry("S4.5", "correct", "d y / d w(i, u, v) = sum_j d y / d a[v][j] d a[v][j] / d w(i, u, v) = d y / d a[v][i] o[u]")
def weight_derivative_by_the_chain_rule() -> Iterator[Forms]:
    graph = skip_graph("softmax_dot")
    activation, weights = graph["v"]
    a_in_w = derivative(lambda w: run(graph | {"v": (activation, weights | {"x1": w})})[0]["v"], weights["x1"])
    truth, library = in_weight(graph, "x1", "v"), library_gradients(graph).weight["x1", "v"]
    yield Forms(total(graph, "y", "v") @ a_in_w, truth=truth, library=library)
    yield Forms(total(graph, "y", "v") * run(graph)[1]["x1"], truth=truth, library=library)


@entry("S4.7", "correct", "d y / d w(i, u, v) = delta[v][i] o[u]")
def weight_derivative_by_delta() -> Iterator[Forms]:
    for output in ("sigmoid", "softmax_dot"):
        graph = skip_graph(output)
        for u in ("x1", "x2"):
            yield Forms(
                printed=by_targets(graph, "y", "v") * run(graph)[1][u],
                truth=in_weight(graph, u, "v"),
                library=library_gradients(graph).weight[u, "v"],
            )


@entry("S4.8", "erratum", "gamma[v] = d o_out / a[v]; as it stands it is a quotient")
def gamma_with_a_d_missing() -> Iterator[Forms]:
    graph = skip_graph("sigmoid")
    a, o = run(graph)
    yield Forms(
        printed=o["y"] / a["h"],
        correct=by_targets(graph, "y", "h"),
        truth=total(graph, "y", "h"),
        library=library_sensitivity(graph, "h"),
    )


@entry("S4.9", "correct", "d y / d w(u, v) = gamma[v] o[u]")
def weight_derivative_by_gamma() -> Iterator[Forms]:
    for output in ("sigmoid", "softmax_dot"):
        graph = skip_graph(output)
        for u in ("x1", "x2"):
            yield Forms(
                printed=by_targets(graph, "y", "h") * run(graph)[1][u],
                truth=in_weight(graph, u, "h"),
                library=[library_gradients(graph).weight[u, "h"]],
            )


@entry("S4.10", "erratum", "delta[v][i] = o[v] / d a[v][i] at the output; as it stands it is a quotient")
def delta_of_the_output_with_a_d_missing() -> Iterator[Forms]:
    graph = skip_graph("softmax_dot")
    a, o = run(graph)
    yield Forms(
        printed=o["y"] / a["y"],
        correct=softmax(a["y"]) * (1 + a["y"] - o["y"]),
        truth=total(graph, "y", "y"),
        library=library_sensitivity(graph, "y"),
    )


@entry("S4.11", "correct", "d s / d a_i = sum_j (p_j delta_ij + a_j p_i (delta_ij - p_j))")
def softmax_dot_derivative_as_a_sum() -> Iterator[Forms]:
    yield Forms(
        printed=[sum(p[j] * I[i, j] + x[j] * p[i] * (I[i, j] - p[j]) for j in range(n)) for i in range(n)],
        truth=derivative(softmax_dot, x),
        library=jacobian("softmax_dot", x),
    )


@entry(
    "S4.12", "correct", "d s / d a_i = p_i + a_i p_i (1 - p_i) - sum_{j != i} a_j p_i p_j, that is p_i (1 + a_i - s)"
)
def softmax_dot_derivative() -> Iterator[Forms]:
    truth, library = derivative(softmax_dot, x), jacobian("softmax_dot", x)
    others = [sum(x[j] * p[i] * p[j] for j in range(n) if j != i) for i in range(n)]
    yield Forms(p + x * p * (1 - p) - others, truth=truth, library=library)
    yield Forms(p * (1 + x - p @ x), truth=truth, library=vjp("softmax_dot", x, 1.0))


@entry(
    "S4.13",
    "caveat",
    "gamma = o[v] / d a[v] = sigma (1 - sigma) at the output; the value is right, the quotient is not",
)
def gamma_of_the_output() -> Iterator[Forms]:
    graph = skip_graph("sigmoid")
    a, o = run(graph)
    truth, library = total(graph, "y", "y"), library_sensitivity(graph, "y")
    correct = sigmoid(a["y"]) * (1 - sigmoid(a["y"]))
    yield Forms(correct, truth=truth, library=library)
    yield Forms(o["y"] / a["y"], truth=truth, correct=correct, library=library)


@entry(
    "S4.14",
    "erratum",
    "d y / d a[v][i] = sigma_s . w + a_out J sigma_s w: the same for all i, and the direct edge only",
)
def softmax_dot_parent_of_a_softmax_dot_output() -> Iterator[Forms]:
    for graph in (direct_graph("softmax_dot", "softmax_dot"), skip_graph("softmax_dot")):
        a, o = run(graph)
        w, p_out = graph["y"][1]["v"], softmax(a["y"])
        J = np.diag(p_out) - np.outer(p_out, p_out)
        direct = p_out @ w + a["y"] @ J @ w
        factor = softmax(a["v"]) * (1 + a["v"] - o["v"])
        others = [u for u in parents(graph, "y") if u != "v"]
        indirect = sum((local(graph, "y") @ parents(graph, "y")[u]) * by_targets(graph, u, "v") for u in others)
        yield Forms(
            printed=[direct for _ in a["v"]],
            correct=direct * factor + indirect,
            truth=total(graph, "y", "v"),
            library=library_sensitivity(graph, "v"),
        )


@entry(
    "S4.15", "erratum", "d y / d a[v] = sigma'(a_out) w: without sigma'(a[v]), the direct edge only, and no mixed pairs"
)
def sigmoid_parent_of_a_sigmoid_output() -> Iterator[Forms]:
    direct, skip = direct_graph("sigmoid", "sigmoid"), skip_graph("sigmoid")
    for graph, hidden in ((direct, "v"), (skip, "h")):
        o = run(graph)[1]
        slope_out, slope, w = o["y"] * (1 - o["y"]), o[hidden] * (1 - o[hidden]), graph["y"][1][hidden]
        others = [u for u in parents(graph, "y") if u != hidden]
        indirect = sum(slope_out * parents(graph, "y")[u] * by_targets(graph, u, hidden) for u in others)
        yield Forms(
            printed=slope_out * w,
            correct=slope_out * w * slope + indirect,
            truth=total(graph, "y", hidden),
            library=library_sensitivity(graph, hidden),
        )
    for kinds in (("softmax_dot", "sigmoid"), ("sigmoid", "softmax_dot")):
        graph = direct_graph(*kinds)
        factor = local(graph, "y") @ graph["y"][1]["v"]
        yield Forms(
            printed=[factor for _ in run(graph)[0]["v"]],  # what is printed for this output, v being of the other kind
            correct=factor * local(graph, "v"),
            truth=total(graph, "y", "v"),
            library=library_sensitivity(graph, "v"),
        )


@entry(
    "S4.16",
    "erratum",
    "d y / d a[v] as a sum over the parents of v, if v is no parent of y; it is over the parents of y, for any v",
)
def sum_over_the_wrong_parents() -> Iterator[Forms]:
    for graph in (deep_graph("softmax_dot"), deep_graph("sigmoid"), skip_graph("sigmoid")):  # v a parent in the last
        y_parents = parents(graph, "y")
        for name in ("v", "h"):
            yield Forms(
                printed=sum(total_in_output(graph, "y", u) * total(graph, u, name) for u in parents(graph, name)),
                correct=sum(local(graph, "y") @ w * by_targets(graph, u, name) for u, w in y_parents.items()),
                truth=total(graph, "y", name),
                library=library_sensitivity(graph, name),
            )


@entry(
    "S4.17",
    "erratum",
    "delta[v] = sum of (sigma_s . w + a_out J sigma_s w) delta^(u)[v]: over parents of y, the factor being local",
)
def delta_with_a_softmax_dot_output() -> Iterator[Forms]:
    graph = deep_graph("softmax_dot")
    a = run(graph)[0]["y"]
    p_out = softmax(a)
    J = np.diag(p_out) - np.outer(p_out, p_out)
    w = dict.fromkeys(graph, 0 * a) | parents(graph, "y")
    correct = sum((p_out @ w[u] + a @ J @ w[u]) * by_targets(graph, u, "v") for u in parents(graph, "y"))
    truth, library = total(graph, "y", "v"), library_sensitivity(graph, "v")
    over_parents_of_v = sum((p_out @ w[u] + a @ J @ w[u]) * total(graph, u, "v") for u in parents(graph, "v"))
    factor_not_local = sum(total_in_output(graph, "y", u) * total(graph, u, "v") for u in parents(graph, "y"))
    yield Forms(over_parents_of_v, truth, correct, library)
    yield Forms(factor_not_local, truth, correct, library)


@entry("S4.18", "erratum", "delta[v] = sum of sigma'(a_out) w(u, y) delta^(u)[v]: over parents of y")
def delta_with_a_sigmoid_output() -> Iterator[Forms]:
    graph = deep_graph("sigmoid")
    out = sigmoid(run(graph)[0]["y"])
    w = dict.fromkeys(graph, 0 * out) | parents(graph, "y")
    yield Forms(
        printed=sum(out * (1 - out) * w[u] * total(graph, u, "v") for u in parents(graph, "v")),
        correct=sum(out * (1 - out) * w[u] * by_targets(graph, u, "v") for u in parents(graph, "y")),
        truth=total(graph, "y", "v"),
        library=library_sensitivity(graph, "v"),
    )


@entry("S4.19", "erratum", "gamma[h] = sum of sigma'(a_out) w(u, y) gamma^(u)[h]: over parents of y")
def gamma_with_a_sigmoid_output() -> Iterator[Forms]:
    graph = deep_graph("sigmoid")
    out = sigmoid(run(graph)[0]["y"])
    w = dict.fromkeys(graph, 0 * out) | parents(graph, "y")
    yield Forms(
        printed=sum(out * (1 - out) * w[u] * total(graph, u, "h") for u in parents(graph, "h")),
        correct=sum(out * (1 - out) * w[u] * by_targets(graph, u, "h") for u in parents(graph, "y")),
        truth=total(graph, "y", "h"),
        library=library_sensitivity(graph, "h"),
    )


@entry("S4.20", "erratum", "gamma[h] = sum of (sigma_s . w + a_out J sigma_s w) gamma^(u)[h]: over parents of y")
def gamma_with_a_softmax_dot_output() -> Iterator[Forms]:
    graph = deep_graph("softmax_dot")
    a = run(graph)[0]["y"]
    p_out = softmax(a)
    J = np.diag(p_out) - np.outer(p_out, p_out)
    w = dict.fromkeys(graph, 0 * a) | parents(graph, "y")
    yield Forms(
        printed=sum((p_out @ w[u] + a @ J @ w[u]) * total(graph, u, "h") for u in parents(graph, "h")),
        correct=sum((p_out @ w[u] + a @ J @ w[u]) * by_targets(graph, u, "h") for u in parents(graph, "y")),
        truth=total(graph, "y", "h"),
        library=library_sensitivity(graph, "h"),
    )


@entry(
    "S4.21",
    "erratum",
    "delta^(u)[v] by the same rule with u as output: at u = v the rule gives 0 instead of d o[v] / d a[v]",
)
def recursion_without_its_ends() -> Iterator[Forms]:
    graph = skip_graph("softmax_dot")
    for name in ("v", "h", "q"):
        before = list(graph)[: list(graph).index(name)]
        name_as_output = {u: graph[u] for u in before} | {"y": graph[name]}
        yield Forms(
            printed=sum((local(graph, name) @ w) * total(graph, u, name) for u, w in parents(graph, name).items()),
            correct=local(graph, name),
            truth=total(graph, name, name),
            library=library_sensitivity(name_as_output, "y"),
        )
