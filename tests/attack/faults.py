"""Planted faults: gradients with a mistake in them, which `compare`, `check` and `gradcheck` must find.

Networks are random. A mistake counts if it moves an entry by more than a millionth of the sum of its absolute terms,
which the tests' own function works out: it must not be called right then. What is right must not be called wrong.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

import graphprop as gp
from tests.absolute_terms import absolute_terms
from tests.attack import Found
from tests.attack.networks import random_network
from tests.random_graphs import is_smooth

Array = np.ndarray[Any, Any]
MATTERS = 1e-6  # of the sum of the absolute terms


def attack(seconds: float, seed: int) -> Counter[str]:
    """Plant faults for so long; how often each kind was, and was found."""
    counts: Counter[str] = Counter()
    end, number = time.monotonic() + seconds, seed
    while time.monotonic() < end:
        rng = np.random.default_rng(number)
        try:
            for campaign in (_in_numbers, _in_activations, _in_functions):
                campaign(rng, counts)
        except Exception as error:
            raise Found(f"{error}; again with seed {number}") from error
        number += 1
    return Counter(dict(sorted(counts.items())))


@dataclass(frozen=True)
class Case:
    """A network with a sample or some, an objective, and its gradient by the recursion."""

    net: gp.Network
    rows: Array
    goal: dict[str, Any]
    g: gp.Gradients
    terms: Array

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Case:
        net, rows = random_network(rng)
        return cls.of(net, rows, rng.integers(-64, 65, size=(len(rows), len(net.program.schedule.goal_columns))) / 64)

    @classmethod
    def of(cls, net: gp.Network, rows: Array, target: Array) -> Case:
        goal = {"loss": "half_squared", "target": target}
        g = gp.recursion.backpropagate(net, gp.recursion.forward(net, rows), **goal)
        return cls(net, rows, goal, g, absolute_terms(g).theta)

    def matter(self, theta: Array) -> bool:
        """Whether this is another gradient, and not only another rounding of this one."""
        return bool((np.abs(theta - self.g.theta) > MATTERS * self.terms).any())


# ------------------------------------------------------------------ in the numbers, for `compare`


def one_entry_off(g: gp.Gradients, rng: np.random.Generator) -> Array:
    theta = g.theta.copy()
    theta[_largest(theta, rng)] *= 1 + 10.0 ** rng.uniform(-5, 1)
    return theta


def one_sign(g: gp.Gradients, rng: np.random.Generator) -> Array:
    theta = g.theta.copy()
    theta[_largest(theta, rng)] *= -1
    return theta


def two_exchanged(g: gp.Gradients, rng: np.random.Generator) -> Array:
    theta = g.theta.copy()
    i, j = rng.integers(len(theta), size=2)
    theta[[i, j]] = theta[[j, i]]
    return theta


def a_factor(g: gp.Gradients, rng: np.random.Generator) -> Array:
    return g.theta * float(rng.choice([-1.0, 0.5, 2.0, len(g.a_flat) + 1.0, 1 / (len(g.a_flat) + 1.0)]))


def a_use_lost(g: gp.Gradients, rng: np.random.Generator) -> Array:
    theta, use = g.theta.copy(), int(rng.integers(len(g.weight_uses)))
    theta[g.layout.position[use]] -= g.weight_uses[use]
    return theta


def a_sample_lost(g: gp.Gradients, rng: np.random.Generator) -> Array:
    assert g.trace is not None
    theta, sample = g.theta.copy(), int(rng.integers(len(g.a_flat)))
    delta, o = g.a_flat[sample], g.trace.o_flat[sample]
    np.subtract.at(theta, g.layout.position, delta[g.layout.row] * o[g.layout.column])
    np.subtract.at(theta, g.layout.bias_position, delta[g.layout.bias_row])
    return theta


def delta_in_place_of_o(g: gp.Gradients, rng: np.random.Generator) -> Array:
    theta = np.zeros_like(g.theta)
    np.add.at(theta, g.layout.position, g.a_flat[:, g.layout.row].sum(axis=0))
    np.add.at(theta, g.layout.bias_position, g.bias_uses)
    return theta


def _largest(theta: Array, rng: np.random.Generator) -> int:
    """One of the entries that are not small."""
    return int(rng.choice(np.flatnonzero(np.abs(theta) >= np.abs(theta).max() / 100)))


MISTAKES = (one_entry_off, one_sign, two_exchanged, a_factor, a_use_lost, a_sample_lost, delta_in_place_of_o)


def _in_numbers(rng: np.random.Generator, counts: Counter[str]) -> None:
    case = Case.drawn(rng)
    found = gp.compare(case.g, case.net.backward(case.net.forward(case.rows), **case.goal))
    if any(verdict.status == "wrong" for verdict in found.verdicts):
        raise Found(f"compare calls a right gradient wrong: {found}")
    counts["compare: right"] += 1
    mistake = MISTAKES[int(rng.integers(len(MISTAKES)))]
    theta, name = mistake(case.g, rng), mistake.__name__.replace("_", " ")
    if not case.matter(theta):
        counts["compare: a fault that changes nothing"] += 1
        return
    found = gp.compare(case.g, {"theta": theta})
    if found.verdicts[0].status != "wrong":
        raise Found(f"compare does not find {name}: {found}")
    counts[f"compare: {name}"] += 1


# ------------------------------------------------------------------ in derivatives, for `check`


def _activation(name: str, value: Any, slope: Any, **options: Any) -> gp.Activation:
    return gp.Activation(name, value, slope, check=False, **options)


def _softmax(a: Array) -> Array:
    e = np.exp(a - a.max())
    result: Array = e / e.sum()
    return result


def _softmax_dot(a: Array) -> float:
    return float(_softmax(a) @ a)


def _softmax_dot_pull(a: Array, o: float, g: float) -> Array:
    result: Array = g * _softmax(a) * (1 + a - o)
    return result


RIGHT: dict[str, Callable[[], gp.Activation]] = {
    "tanh": lambda: _activation("tanh.", math.tanh, lambda a, o: 1 - o * o),
    "sigmoid": lambda: _activation("sigmoid.", lambda a: 1 / (1 + math.exp(-a)), lambda a, o: o * (1 - o)),
    "square": lambda: _activation("square.", lambda a: a * a, lambda a, o: 2 * a),
    "softmax": lambda: _activation("softmax.", _softmax, lambda a, o, g: o * (g - g @ o), kind="vector"),
    "softmax_dot": lambda: _activation("softmax_dot.", _softmax_dot, _softmax_dot_pull, kind="reducing"),
}
WRONG: dict[str, tuple[str, Callable[[], gp.Activation]]] = {
    "the square is missing": ("tanh", lambda: _activation("t1", math.tanh, lambda a, o: 1 - o)),
    "of a, not of o": ("tanh", lambda: _activation("t2", math.tanh, lambda a, o: 1 - a * a)),
    "one in a thousand": ("tanh", lambda: _activation("t3", math.tanh, lambda a, o: 1.001 * (1 - o * o))),
    "the other sign": (
        "sigmoid",
        lambda: _activation("s1", lambda a: 1 / (1 + math.exp(-a)), lambda a, o: o * (o - 1)),
    ),
    "that of tanh": ("sigmoid", lambda: _activation("s2", lambda a: 1 / (1 + math.exp(-a)), lambda a, o: 1 - o * o)),
    "the 2 is missing": ("square", lambda: _activation("q1", lambda a: a * a, lambda a, o: a)),
    "a constant is off": ("square", lambda: _activation("q2", lambda a: a * a, lambda a, o: 2 * a + 1e-4)),
    "the diagonal alone": (
        "softmax",
        lambda: _activation("p1", _softmax, lambda a, o, g: o * (1 - o) * g, kind="vector"),
    ),
    "the weights held fixed": (
        "softmax_dot",
        lambda: _activation("d1", _softmax_dot, lambda a, o, g: g * _softmax(a), kind="reducing"),
    ),
}


@cache  # one object each, as each is compiled
def _right(name: str) -> gp.Activation:
    return RIGHT[name]()


@cache
def _wrong(fault: str) -> gp.Activation:
    return WRONG[fault][1]()


def _in_activations(rng: np.random.Generator, counts: Counter[str]) -> None:
    fault = str(rng.choice(list(WRONG)))
    seed = int(rng.integers(2**32))
    pair = _right(WRONG[fault][0]), _wrong(fault)
    right, wrong = (_with_node(np.random.default_rng(seed), f) for f in pair)
    if right is None or wrong is None:
        return
    report = gp.check(right.net, right.rows, **right.goal)
    if report.verdict == "fails":
        raise Found(f"check calls a right network wrong:\n{report}")
    counts["check: right"] += 1
    if not right.matter(wrong.g.theta) or not _is_smooth(wrong):
        counts["check: a fault that changes nothing"] += 1
        return
    report = gp.check(wrong.net, wrong.rows, **wrong.goal)
    if report.verdict != "fails":
        raise Found(f"check does not find {fault}:\n{report}")
    counts[f"check: {fault}"] += 1


def _with_node(rng: np.random.Generator, f: gp.Activation) -> Case | None:
    """A random network with a node of this kind below its heads; None if its numbers are too large."""
    net, rows = random_network(rng, most=4)
    below = str(rng.choice([v for v in net.nodes if v not in net.inputs]))
    width = net.layout.nodes[net.layout.find(below)].m
    size = None if f.kind == "elementwise" else 3
    n = size or 1
    net.add_node("own", f, {below: (rng.integers(-64, 65, size=(n, width)) / 64 + 1 / 128).tolist()}, size=size)
    m = 3 if f.kind == "vector" else 1
    net.add_node("head", "tanh", {"own": [(rng.integers(1, 65, size=m) / 64).tolist()]}, bias=0.25)
    try:
        gp.recursion.forward(net, rows)
    except gp.NumberError:
        return None
    return Case.of(net, rows, rng.integers(-64, 65, size=(len(rows), len(net.program.schedule.goal_columns))) / 64)


def _is_smooth(case: Case) -> bool:
    """Whether no node of the library's own kinds stands at a kink or tie, where differences say nothing."""
    own = [v for v in case.net.nodes if case.net.graph.nodes[v]["kind"] in gp.ACTIVATIONS]
    traces = (gp.recursion.forward(case.net, row) for row in case.rows)
    return all(is_smooth(case.net, SimpleNamespace(a={v: trace.a[v] for v in own})) for trace in traces)


# ------------------------------------------------------------------ in functions, for `gradcheck`


def _in_functions(rng: np.random.Generator, counts: Counter[str]) -> None:
    case = Case.drawn(rng)
    if not _is_smooth(case) or not np.abs(case.g.theta).max() > 1e-3:
        counts["gradcheck: at a kink"] += 1
        return
    program, target = case.net.program, case.goal["target"]

    def function(theta: Array) -> tuple[float, Array]:
        return program.value_and_grad(theta, case.rows, target, loss="half_squared")

    if gp.gradcheck(function, case.net.theta).verdict == "fails":
        raise Found(f"gradcheck calls a right gradient wrong: {gp.gradcheck(function, case.net.theta)}")
    counts["gradcheck: right"] += 1
    at, factor = _largest(case.g.theta, rng), 1 + 10.0 ** rng.uniform(-4, 1)

    def with_fault(theta: Array) -> tuple[float, Array]:
        value, gradient = function(theta)
        gradient[at] *= factor
        return value, gradient

    report = gp.gradcheck(with_fault, case.net.theta)
    if report.verdict == "ok":
        raise Found(f"gradcheck does not find an entry that is {factor} times as large: {report}")
    counts[f"gradcheck: an entry off, {report.verdict}"] += 1
