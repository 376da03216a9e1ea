"""The checks judge what is known to be right, or has one known mistake in it, at many scales and kinds of numbers.

A right gradient is never called wrong, a wrong one never right; "undecided" is allowed to both, and counted.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import graphprop as gp

Array = np.ndarray[Any, Any]
Slope = tuple[Callable[[Array], Array], Callable[[Array], Array]]

FUNCTIONS: dict[str, Slope] = {  # of one number, with derivatives as books print them
    "sin": (np.sin, np.cos),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "line": (lambda x: 2.5 * x, lambda x: np.full_like(x, 2.5)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (1 + np.exp(-x)) * (1 - 1 / (1 + np.exp(-x)))),
    "softplus": (lambda x: np.log(1 + np.exp(x)), lambda x: 1 - np.exp(-np.log(1 + np.exp(x)))),
    "relu": (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0).astype(x.dtype)),
    "gaussian": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "exp - 1": (lambda x: np.exp(np.minimum(x, 30)) - 1, lambda x: np.where(x < 30, np.exp(np.minimum(x, 30)), 0)),
    "root": (lambda x: np.sqrt(1 + x * x), lambda x: x / np.sqrt(1 + x * x)),
    "quotient": (lambda x: x / (1 + x * x), lambda x: (1 - x * x) / (1 + x * x) ** 2),
}

OWN = {  # activations as users write them: value, derivative by a and o
    "tanh": (math.tanh, lambda a, o: 1 - o * o),
    "tanh, by hand": (lambda a: 1 - 2 / (math.exp(2 * a) + 1), lambda a, o: 1 - o**2),
    "sigmoid": (lambda a: 1 / (1 + math.exp(-a)), lambda a, o: o * (1 - o)),
    "softplus": (lambda a: math.log(1 + math.exp(a)), lambda a, o: 1 - math.exp(-o)),
    "exp - 1": (lambda a: math.exp(a) - 1, lambda a, o: o + 1),
    "log cosh": (lambda a: math.log((math.exp(a) + math.exp(-a)) / 2), lambda a, o: math.tanh(a)),
    "sin": (math.sin, lambda a, o: math.cos(a)),
    "versine": (lambda a: 1 - math.cos(a), lambda a, o: math.sin(a)),
    "softsign": (lambda a: a / (1 + abs(a)), lambda a, o: (1 - abs(o)) ** 2),
}
ACTIVATIONS = {name: gp.Activation(name, *pair, check=False) for name, pair in OWN.items()}


def _a_little_more(slope: Callable[[float, float], float]) -> Callable[[float, float], float]:
    return lambda a, o: 1.01 * slope(a, o)


WRONG = {name: gp.Activation(name, value, _a_little_more(slope), check=False) for name, (value, slope) in OWN.items()}


def attack(seconds: float, seed: int) -> Counter[str]:
    """Cases for so long; what was judged, by kind and verdict. An AssertionError has the case that breaks a promise."""
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    for i in itertools.count():
        if time.monotonic() > end:
            return counts
        counts[one(seed, i)] += 1
    raise AssertionError


def one(seed: int, i: int) -> str:
    """Case i of a seed: its kind and verdict."""
    rng = np.random.default_rng((seed, i))
    kind = (of_a_function, of_a_network, of_matrices)[i % 3]
    fault = bool(rng.integers(2))
    with np.errstate(all="ignore"):
        verdict, text = kind(rng, fault)
    if verdict == ("ok" if fault else "fails"):
        raise AssertionError(
            f"a {'planted fault is called right' if fault else 'right gradient is called wrong'} "
            f"({kind.__name__}): tests.attack.verdicts.one({seed}, {i})\n{text}"
        )
    return f"{kind.__name__}, {'planted' if fault else 'right'}: {verdict}"


def of_a_function(rng: np.random.Generator, fault: bool) -> tuple[str, str]:
    """`gp.gradcheck`: a sum of functions of single numbers, each with a size, a frequency and a place of its own."""
    n = int(rng.integers(1, 6))
    names = rng.choice(list(FUNCTIONS), n).tolist()
    size, frequency = 10 ** rng.uniform(-6, 6), 10 ** rng.uniform(-2, rng.choice([1, 3, 6]), n)
    theta = rng.standard_normal(n) * 10 ** rng.uniform(-3, rng.choice([0.5, 3, 6]))
    used = rng.random(n) > 0.1  # the value does not depend on the others
    precision = rng.choice([np.float64, np.float64, np.float32, np.float16])
    low = rng.choice(["all", "gradient", "value", "inside"])
    stated = np.ones(n)
    if fault:
        j = int(rng.integers(n))
        stated[j] = rng.choice([-1.0, 2.0, 0.5, 0.0, 1.1])
    extra = np.zeros(n)
    if fault and not used[j]:
        extra[j] = size * 10 ** rng.uniform(-1, 6)

    def function(w: Any) -> Any:
        x = w["a"] if named else w
        if low in ("all", "inside"):
            x = x.astype(precision)
        kind = x.dtype.type
        y = x * frequency.astype(kind)
        values = [FUNCTIONS[f][0](y[k]) if used[k] else kind(0) for k, f in enumerate(names)]
        slopes = [FUNCTIONS[f][1](y[k : k + 1])[0] * kind(frequency[k]) if used[k] else 0 for k, f in enumerate(names)]
        value = kind(size) * np.sum(values, dtype=kind)
        gradient = (kind(size) * np.array(slopes, kind)) * stated.astype(kind) + extra.astype(kind)
        if low in ("value", "all"):
            value = precision(value)
        gradient = gradient.astype({"gradient": precision, "inside": float}.get(low, gradient.dtype))
        return (float(value) if low == "inside" else value), ({"a": gradient} if named else gradient)

    named = bool(rng.integers(2))
    flat = theta.copy()
    value, gradient = function({"a": flat} if named else flat)
    gradient = gradient["a"] if named else gradient
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        return "not finite", ""
    exact = [FUNCTIONS[f][1](theta[k : k + 1] * frequency[k])[0] * frequency[k] * size for k, f in enumerate(names)]
    whole = size * sum(FUNCTIONS[f][0](theta[k] * frequency[k]) for k, f in enumerate(names) if used[k])
    scale = 0.02 * np.max(np.abs(exact))
    if not np.allclose(gradient, np.where(used, exact, 0) * stated + extra, rtol=0.02, atol=scale) or not np.isclose(
        value, whole, rtol=0.02
    ):
        return "not right in its numbers", ""  # float16 has overflowed inside
    digit = float(np.finfo(precision if low != "gradient" else float).eps) * abs(whole)
    amplitudes = [size * abs(FUNCTIONS[f][0](np.array([1.0, -1.0, 0.3]))).max() for f in names]
    if min(amplitudes) < 4 * digit:
        return "too small to be seen", ""
    if fault and used[j] and not abs(gradient[j] / (stated[j] or 1)) > 0:
        return "no fault", ""  # the factor of a derivative that is 0
    if fault and stated[j] == 0 and used[j] and not _depends(FUNCTIONS[names[j]], theta[j] * frequency[j]):
        return "no fault", ""
    report = gp.gradcheck(function, {"a": theta} if named else theta, seed=int(rng.integers(100)))
    told = f"{names}, size {size}, frequency {frequency}, theta {theta}, used {used}, {low} in {precision.__name__}"
    return report.verdict, f"{told}, stated {stated}, extra {extra}\n{report}"


def _depends(pair: Slope, at: float) -> bool:
    """Whether the derivative at a place is one at all."""
    return bool(pair[1](np.array([at]))[0] != 0)


def of_a_network(rng: np.random.Generator, fault: bool) -> tuple[str, str]:
    """`gp.check`: a few nodes of users' activations, in which terms cancel; one of them may have a wrong derivative."""
    net, nodes = gp.Network(), int(rng.integers(1, 5))
    net.add_input("x")
    names = ["x"]
    steep = 10 ** rng.uniform(-3, rng.choice([0.5, 1.2]))
    wrong = int(rng.integers(nodes)) if fault else -1
    for k in range(nodes):
        kind = str(rng.choice(list(OWN)))
        f = (WRONG if k == wrong else ACTIVATIONS)[kind]
        if rng.random() < 0.2 and k != wrong:
            f = gp.activation(str(rng.choice(["sin", "tanh", "softplus", "square"])))
        parents = rng.choice(names, min(len(names), int(rng.integers(1, 3))), replace=False).tolist()
        weights = {u: float(rng.standard_normal() * steep) for u in parents}
        net.add_node(f"v{k}", f, weights, bias=float(rng.standard_normal()))
        names.append(f"v{k}")
    net.add_node("y", "identity", dict(zip(names, rng.standard_normal(len(names)).tolist(), strict=True)))
    x = [float(rng.standard_normal())]
    try:
        g = net.backward(net.forward(x), "y")
        report = gp.check(net, x, "y")
    except gp.GraphpropError:
        return "not finite", ""
    text = f"{[(v, net.activation(v).name) for v in net.nodes if v != 'x']}, theta {net.theta.tolist()}\n{report}"
    if fault and g.gamma[f"v{wrong}"] == 0:
        return "no fault", ""
    return report.verdict, text


def of_matrices(rng: np.random.Generator, fault: bool) -> tuple[str, str]:
    """`gp.compare`: matrices of a layer by hand, as books print them, in some precision."""
    f = str(rng.choice(["tanh", "sigmoid", "softplus"]))
    value, slope = FUNCTIONS[f]
    m, n, B = (int(k) for k in rng.integers(1, 5, 3))
    kind = rng.choice([np.float64, np.float32])
    W1, W2 = (rng.standard_normal(s) * 10 ** rng.uniform(-2, 1) for s in ((n, m), (1, n)))
    b1, X, T = rng.standard_normal(n), rng.standard_normal((B, m)), rng.standard_normal((B, 1))
    net = gp.Network()
    net.add_input("x", size=m)
    net.add_node("h", f, {"x": W1}, b1, size=n)
    net.add_node("y", "identity", {"h": W2}, size=1)
    g = net.backward(net.forward(X), loss="half_squared", target=T)
    w1, w2, b, x, t = (a.astype(kind) for a in (W1, W2, b1, X, T))
    a = x @ w1.T + b
    h = value(a)
    r = (h @ w2.T - t) / kind(B)
    d = (r @ w2) * slope(a)
    mine = {"W1": d.T @ x, "b1": d.sum(0), "W2": r.T @ h}
    if not all(np.isfinite(x).all() for x in mine.values()):
        return "not finite", ""
    if fault:
        name = str(rng.choice(list(mine)))
        flat = mine[name].reshape(-1)
        j = int(np.argmax(np.abs(flat)))
        if flat[j] == 0:
            return "no fault", ""
        flat[j] *= kind(rng.choice([2.0, -1.0, 1.1, 0.0]))
    found = gp.compare(g, mine)
    statuses = {verdict.status for verdict in found.verdicts}
    verdict = "fails" if "wrong" in statuses else "undecided" if "undecided" in statuses else "ok"
    return (
        verdict,
        f"{f}, {kind.__name__}, W1 {W1.tolist()}, W2 {W2.tolist()}, b1 {b1.tolist()}, X {X.tolist()}\n{found}",
    )
