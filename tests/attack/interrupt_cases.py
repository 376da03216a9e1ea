"""The doors that are interrupted: a call of every kind."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp

Call = Callable[[], Any]

ROWS = np.random.default_rng(1)


def small() -> gp.Network:
    """Scalars, vectors, a reducing node, tied and absent weights."""
    net = gp.Network("small")
    net.add_input("x", size=3)
    net.add_input("u")
    f = net.parameter("f", 0.7)
    net.add_node("h", "tanh", {"x": [[0.1, f, None], [0.3, -0.4, f]]}, bias=[0.1, None], size=2)
    net.add_node("s", "sigmoid", {"h": [0.5, f], "u": 1.0})
    net.add_node("m", "softmax_dot", {"h": [[0.2, 0.1], [0.4, -0.6]], "s": [0.3, 0.9]})
    net.add_node("z", "softmax", {"s": [1.0, 2.0], "m": [0.5, f]})
    return net


@cache
def edges() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The edges of 3000 nodes, three each, shuffled."""
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(20, 3020), 3)
    pairs = np.unique(np.stack([(rng.random(len(target)) * target).astype(int), target], axis=1), axis=0)
    source, target = rng.permutation(pairs).T.copy()
    return source, target


def sparse() -> gp.Program:
    return gp.Program.from_edges(20, *edges(), "tanh", bias=True)


def dense() -> gp.Network:
    return gp.mlp([60, 80, 60, 10], "tanh", seed=1)


SAMPLE = {"x": [0.4, -1.2, 2.0], "u": 0.3}

LOSS: dict[str, Any] = {"loss": "half_squared"}


def run_of(make: Callable[[], gp.Program], call: str, samples: int, dtype: Any = np.float64) -> Call:
    """A call of a program that has just been made, so that nothing it keeps is there yet."""
    program = make()
    rng = np.random.default_rng(2)
    theta = (rng.normal(size=program.layout.size) / 4).astype(dtype)
    rows = rng.normal(size=(samples, len(program.layout.input_columns)))
    width = sum(program.layout.nodes[program.layout.find(v)].m for head in program.layout.heads for v in head)
    zeros = np.zeros((samples, width))
    return {
        "predict": partial(program.predict, theta, rows),
        "value_and_grad": partial(program.value_and_grad, theta, rows, zeros, **LOSS),
        "losses": partial(program.losses, theta, rows, zeros, **LOSS),
        "vjp": partial(program.vjp, theta, rows, zeros + 1),
        "forward": lambda: program.forward(theta, rows).o_flat,
        "backward": lambda: program.backward(program.forward(theta, rows), target=zeros, **LOSS).theta,
    }[call]


def drawn(suffix: str, folder: str) -> Any:
    path = Path(folder) / f"picture.{suffix}"
    net = small()
    trace = net.forward(SAMPLE)
    gp.draw(net, trace, net.backward(trace, "z", component=1)).save(path)
    return path.read_bytes()


def saved(folder: str) -> Any:
    """Over an old file, which is the old one or the new one at any time."""
    path = Path(folder) / "net.json"
    dense().save(path)
    return path.read_bytes()


def fitted(folder: str) -> Any:
    """From the file that is there, be it the end of this fit or a step on the way to it."""
    rows = np.linspace(-1.0, 1.0, 120).reshape(30, 4)
    own: dict[str, Any] = {"checkpoint": Path(folder) / "run.ckpt", "progress": False, **LOSS}
    found = gp.fit(gp.compile(small()), rows, rows[:, :2], theta=small().theta, epochs=3, validation=0.2, **own)
    (Path(folder) / "run.ckpt").unlink()
    return found.theta, found.history["loss"]


def hand_written(x: Any) -> tuple[float, Any]:
    return float(np.sin(x).sum()), np.cos(x)


def doors(folder: str) -> dict[str, Callable[[], Call]]:
    """What makes each public call, with objects that are new."""
    whole = partial(gp.compile, dense())
    file = Path(folder) / "loaded.json"
    dense().save(file)

    def with_trace(use: Callable[[gp.Network, Any, Any], Any]) -> Callable[[], Call]:
        def make() -> Call:
            net = small()
            trace = net.forward(SAMPLE)
            g = net.backward(trace, "z", component=1)
            return lambda: use(net, trace, g)

        return make

    runs: dict[str, Callable[[], Call]] = {}
    for call in ("predict", "value_and_grad", "losses", "vjp", "forward", "backward"):
        runs[f"{call}, sparse"] = partial(run_of, sparse, call, 64)
        runs[f"{call}, dense"] = partial(run_of, whole, call, 700)
        runs[f"{call}, float32"] = partial(run_of, whole, call, 300, np.float32)
        runs[f"{call}, one sample"] = partial(run_of, lambda: gp.compile(small()), call, 1)
    return runs | {
        "from_edges": lambda: lambda: shown(sparse()),
        "compile": lambda: (lambda net: lambda: shown(gp.compile(net)))(dense()),
        "to_network": lambda: (lambda program: lambda: shown(program.to_network()))(sparse()),
        "mlp": lambda: lambda: shown(dense()),
        "conv2d": lambda: lambda: shown(convolution()),
        "expand": lambda: (lambda net: lambda: shown(net.expand()))(small()),
        "union": lambda: (lambda net: lambda: shown(gp.union({"a": net, "b": net})))(small()),
        "copy": lambda: (lambda net: lambda: shown(net.copy()))(dense()),
        "pickle": lambda: (lambda net: lambda: shown(pickle.loads(pickle.dumps(net))))(dense()),
        "graph": lambda: (lambda net: lambda: sorted(map(repr, net.graph.edges)))(small()),
        "weight_matrix": lambda: (lambda net: lambda: net.weight_matrix(["m", "z"], ["s", "m"]))(small()),
        "save": lambda: lambda: saved(folder),
        "fit from a checkpoint": lambda: lambda: fitted(folder),
        "load": lambda: lambda: shown(gp.load(file)),
        "check": with_trace(lambda net, trace, g: str(gp.check(net, SAMPLE, "s")).rpartition("\n\n")[2]),
        "gradcheck": lambda: lambda: bool(gp.gradcheck(hand_written, np.linspace(0.1, 1.0, 12))),
        "compare": with_trace(lambda net, trace, g: str(gp.compare(g, {"theta": g.theta}))),
        "explain": with_trace(lambda net, trace, g: str(gp.explain(net, trace, g, ("delta", "m", 0)))),
        "paths": with_trace(lambda net, trace, g: str(gp.paths(net, trace, "u", "s"))),
        "draw, svg": lambda: lambda: drawn("svg", folder),
        "draw, html": lambda: lambda: drawn("html", folder),
        "activation": lambda: lambda: gp.activation("softmax").jacobian([0.5, 1.5, -2.0]),
        "own activation": lambda: lambda: gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a**2).value(2.0),
        "loss": lambda: lambda: gp.loss("cross_entropy").evaluate([0.25, 0.75], [0.5, 0.5]),
        "difference": with_trace(lambda net, trace, g: g.difference(net.backward(trace, "s")).entry),
        "nll": lambda: (lambda net: lambda: by_nll(net))(gp.mlp([2, 3], "tanh", "log_softmax", seed=0)),
        "recursion.forward": lambda: (lambda net: lambda: gp.recursion.forward(net, SAMPLE).o_flat)(small()),
        "recursion, parents": with_trace(partial(by_recursion, "parents")),
        "recursion, children": with_trace(partial(by_recursion, "children")),
        "recursion, paths": with_trace(partial(by_recursion, "paths")),
        "matrixform": with_trace(lambda net, trace, g: gp.matrixform.backpropagate(net, trace, "s").theta),
    }


def convolution() -> gp.Network:
    net = gp.Network()
    names = [[f"x{i}{j}" for j in range(8)] for i in range(8)]
    for name in itertools.chain(*names):
        net.add_input(name)
    gp.conv2d(net, names, np.ones((3, 3)), activation="tanh")
    return net


def by_nll(net: gp.Network) -> Any:
    return net.program.value_and_grad(net.theta, [[0.5, -1.0]], [[0.0, 1.0, 0.0]], loss="nll")


def by_recursion(form: str, net: gp.Network, trace: Any, g: Any) -> Any:
    return gp.recursion.backpropagate(net, trace, "s", form=form).theta


def shown(result: Any) -> str:
    """All of a network or a program that can be compared."""
    layout = result.layout
    numbers = [layout.order, layout.row, layout.column, layout.position, layout.bias_row, layout.bias_position]
    names = [*map(repr, layout.names)]
    theta = result.theta.tolist() if isinstance(result, gp.Network) else repr(result)
    return json.dumps([[array.tolist() for array in numbers], names, repr(layout.heads), theta])


def frozen(result: Any) -> Any:
    """The bits of a result."""
    if isinstance(result, tuple | list):
        return tuple(map(frozen, result))
    return result.tobytes() if isinstance(result, np.ndarray) else result
