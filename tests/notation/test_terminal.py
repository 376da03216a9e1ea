"""Names are data: whatever is in them, nothing that a terminal obeys or that does not show comes out of any door."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.cli.commands import main

RAW = "\x1b[31m\x07\x9b2J\r\b\x7f\u202e\u2066\u200b\u2028\t\n\x85"  # colours, bell, CSI, line ends, right to left
OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")
KINDS: dict[str, Callable[[str], Any]] = {
    "text": lambda letter: f"{letter}{RAW}",
    "half a character": lambda letter: f"{letter}\ud800{RAW}",
    "tuple": lambda letter: (f"{letter}{RAW}", (f"{RAW}", 0)),
}
Named = Callable[[str], Any]


def obeyed(text: str) -> list[str]:
    """The characters that are no plain text; lines may end."""
    return sorted(
        {hex(ord(c)) for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"}
    )


def layers(n: Named, name: str = "") -> gp.Network:
    """A skip edge, a tied weight, a vector and a reducing node, everything named so."""
    net = gp.Network(name or f"net{RAW}")
    net.add_input(n("x"))
    net.add_input(n("z"), size=2)
    f = net.parameter(n("f"), 0.75)
    net.add_node(n("h"), "tanh", {n("x"): f}, bias=0.1)
    net.add_node(n("v"), "tanh", {n("z"): [[f, 0.5], [0.25, -1.0]]}, size=2)
    net.add_node(n("s"), "softmax", {n("v"): [[1.0, 2.0], [0.5, -1.0]], n("h"): [0.25, 0.5]}, size=2, bias=[0.0, 0.5])
    net.add_node(n("y"), own(), {n("s"): [0.5, 1.0], n("x"): 0.25}, bias=0.5)
    net.set_outputs(n("y"))
    return net


def own() -> gp.Activation:
    return gp.Activation(f"doubled{RAW}", lambda a: 2.0 * a, lambda a, o: 2.0)


def half() -> gp.Loss:
    return gp.Loss(f"half{RAW}", lambda z, t: ((z - t) ** 2).sum(axis=-1) / 2, lambda z, t: z - t)


def named_function(name: Any) -> Callable[[Any], Any]:
    def function(w: Any) -> Any:
        return w.sum(), np.ones(1)

    function.__name__ = str(name)
    return function


class Given:
    def __init__(self, n: Named) -> None:
        self.n, self.net = n, layers(n)
        self.inputs = [0.5, -1.0, 2.0]
        self.trace = self.net.forward(self.inputs)
        self.g = self.net.backward(self.trace, loss=half(), target=[0.25])
        self.batch = self.net.forward([self.inputs, self.inputs])


SHOWS: dict[str, Callable[[Given], Any]] = {
    "network": lambda t: [t.net, *map(t.net.activation, list(t.net.nodes)[2:])],
    "layout": lambda t: [t.net.layout.label_position(k) for k in range(t.net.layout.size)],
    "trace": lambda t: [t.trace, t.trace.a, t.trace.o, t.trace._repr_html_(), t.batch],
    "gradients": lambda t: [t.g, t.g.weight, t.g.bias, t.g.parameter, t.g.gamma, t.g.delta, t.g._repr_html_()],
    "parameter": lambda t: [t.net.parameters],
    "program": lambda t: [t.net.program],
    "difference": lambda t: t.g.difference(t.net.backward(t.trace, seed={t.n("y"): 2.0})),
    "check": lambda t: [gp.check(t.net, t.inputs), gp.check(t.net, t.inputs)._repr_html_()],
    "check of a wrong network": lambda t: gp.check(wrong(t.n), t.inputs),
    "compare": lambda t: [gp.compare(t.g, 1.1 * t.g.theta), gp.compare(t.g, t.g)._repr_html_()],
    "compare by name": lambda t: gp.compare(t.g, {(t.n("x"), t.n("y")): 3.0, t.n("f"): 1.0}),
    "explain": lambda t: [
        gp.explain(t.net, t.trace, t.g, ("parameter", t.n("f")), depth=None, form=form) for form in FORMS
    ],
    "explain as HTML and LaTeX": lambda t: [
        getattr(gp.explain(t.net, t.trace, t.g, ("delta", t.n("s"), 0), depth=None), form)()
        for form in ("html", "latex")
    ],
    "explain a batch": lambda t: gp.explain(
        t.net, t.batch, t.net.backward(t.batch, loss="half_squared", target=[0.25, 0.5]), ("bias", t.n("h"))
    ),
    "paths": lambda t: [paths(t), repr(paths(t)), paths(t).html(), list(map(repr, paths(t).top))],
    "draw": lambda t: gp.draw(t.net, t.trace, t.g),
    "svg": lambda t: gp.draw(t.net, t.trace, t.g).svg,
    "dot": lambda t: gp.draw(t.net, t.trace, t.g).source,
    "page": lambda t: gp.draw(t.net, t.trace, t.g, layout="columns").html,
    "groups": lambda t: gp.draw(t.net, t.trace, t.g, group=lambda name: name).svg,
    "title": lambda t: [gp.draw(t.net, title=RAW), gp.draw(t.net, title=RAW).svg],
    "matrices": lambda t: [gp.matrixform.adjacency(t.net), gp.matrixform.resolvent(t.net, t.trace)],
    "levels": lambda t: [gp.matrixform.layers(failing(t.n, backward=True))],
    "gradcheck": lambda t: gp.gradcheck(lambda p: (float(p[RAW].sum()), {RAW: np.zeros(2)}), {RAW: np.ones(2)}),
    "gradcheck of a function": lambda t: gp.gradcheck(named_function(t.n("f")), [1.0]),
    "own": lambda t: [half(), own()],
}
FORMS = ("children", "parents")


def paths(t: Given) -> Any:
    return gp.paths(t.net, t.trace, t.n("z"), t.n("y"), of=0)


def wrong(n: Named) -> gp.Network:
    net = layers(n)
    slip = gp.Activation("slip", np.sin, lambda a, o: 1.1 * np.cos(a), check=False)
    net.add_node(n("w"), slip, {n("h"): 1.5, n("y"): 0.5})
    net.set_outputs(n("w"))
    return net


def raising(t: Given) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Mistakes of every kind, each about a name."""
    net, n, trace, g = t.net, t.n, t.trace, t.g
    new, near = n("new"), n("hh")
    yield "a node twice", lambda: net.add_node(n("h"), "tanh", {n("x"): 1.0})
    yield "unknown parent", lambda: net.add_node(new, "tanh", {near: 1.0})
    yield "unknown kind", lambda: net.add_node(new, RAW, {n("x"): 1.0})
    yield "shape", lambda: net.add_node(new, "tanh", {n("z"): [1.0, 2.0, 3.0]})
    yield "shape of a vector", lambda: net.add_node(new, "softmax", {n("z"): [[1.0]], n("h"): [1.0, 2.0, 3.0]})
    yield "cycle", lambda: net.add_edge(n("y"), n("h"), 1.0)
    yield "edge twice", lambda: net.add_edge(n("x"), n("h"), 1.0)
    yield "unknown edge", lambda: net.weight(n("z"), n("y"))
    yield "edge component", lambda: net.add_edge(n("h"), n("y"), 1.0, to=3)
    yield "set weight", lambda: net.set_weight(n("z"), n("v"), [1.0])
    yield "set bias", lambda: net.set_bias(n("v"), 2.0)
    yield "number", lambda: net.set_weight(n("x"), n("y"), float("nan"))
    yield "parameter twice", lambda: net.parameter(n("f"), 1.0)
    yield "remove", lambda: net.remove_node(near)
    yield "remove edge", lambda: net.remove_edge(n("h"), n("x"))
    yield "outputs", lambda: net.set_outputs(near)
    yield "outputs twice", lambda: net.set_outputs(n("y"), n("y"))
    yield "an input as output", lambda: net.add_input(n("x"))
    yield "missing input", lambda: net.forward({n("x"): 1.0})
    yield "unknown input", lambda: net.forward({n("x"): 1.0, n("z"): [1.0, 2.0], near: 1.0})
    yield "input shape", lambda: net.forward({n("x"): 1.0, n("z"): [1.0, 2.0, 3.0]})
    yield "input nan", lambda: net.forward({n("x"): float("nan"), n("z"): [1.0, 2.0]})
    yield "samples", lambda: net.forward({n("x"): [1.0, 2.0], n("z"): [[1.0, 2.0]] * 3})
    yield "backward of", lambda: net.backward(trace, near)
    yield "component", lambda: net.backward(trace, n("s"))
    yield "component range", lambda: net.backward(trace, n("s"), component=7)
    yield "loss", lambda: net.backward(trace, loss=RAW, target=[1.0])
    yield "target", lambda: net.backward(trace, loss="half_squared", target={near: 1.0})
    yield "target shape", lambda: net.backward(trace, loss="half_squared", target={n("y"): [1.0, 2.0]})
    yield "reads", lambda: net.backward(trace, loss="cross_entropy", target=[1.0])
    yield "seed", lambda: net.backward(trace, seed={n("s"): [1.0, 2.0, 3.0]})
    yield "gamma", lambda: g.gamma[n("s")]
    yield "delta", lambda: g.delta[n("h")]
    yield "gradient of an input", lambda: g.gamma[n("x")]
    yield "weight", lambda: g.weight[n("h"), n("x")]
    yield "bias", lambda: g.bias[n("v")]
    yield "no input", lambda: g.input[n("h")]
    yield "no parameter", lambda: g.parameter[near]
    yield "value", lambda: trace.o[near]
    yield "a of an input", lambda: trace.a[n("x")]
    yield "explain", lambda: gp.explain(net, trace, g, ("gamma", n("s")))
    yield "explain input", lambda: gp.explain(net, trace, g, ("input", n("h")))
    yield "explain bias", lambda: gp.explain(net, trace, g, ("bias", n("v")))
    yield "explain component", lambda: gp.explain(net, trace, g, ("delta", n("s"), 9))
    yield "explain parameter", lambda: gp.explain(net, trace, g, ("parameter", near))
    yield "explain what", lambda: gp.explain(net, trace, g, (RAW,))
    yield "paths component", lambda: gp.paths(net, trace, n("z"), n("y"))
    yield "paths name", lambda: gp.paths(net, trace, near, n("y"))
    yield "compare", lambda: gp.compare(g, {near: 1.0})
    yield "compare kind", lambda: gp.compare(g, {RAW: {n("h"): 1.0}})
    yield "verdict", lambda: gp.compare(g, {n("h"): 1.0})[RAW]
    yield "focus", lambda: gp.draw(net, focus=near)
    yield "path", lambda: gp.draw(net, path=[n("x"), n("v")])
    yield "group", lambda: gp.draw(net, group={near: 1})
    yield "group fails", lambda: gp.draw(net, group=lambda name: {}[RAW])
    yield "layout of a drawing", lambda: gp.draw(net, layout=RAW)
    yield "show", lambda: gp.draw(net, show=RAW)
    yield "no kind", lambda: gp.activation(RAW)
    yield "no parameter of a kind", lambda: gp.activation("leaky_relu", {RAW: 1.0})
    yield "activation fails", lambda: failing(n).forward([1.0])
    other = failing(n, backward=True)
    yield "derivative fails", lambda: other.backward(other.forward([1.0]), n("y"))
    yield "log", lambda: logarithm(n).forward([0.0])
    yield "other structure", lambda: net.backward(other.forward([1.0]), n("y"))
    yield "union", lambda: gp.union([net, net])
    yield "matrix rows", lambda: net.weight_matrix([near], [n("x")])
    yield "layers", lambda: gp.matrixform.gradients(net, trace, loss=RAW, target=0.25)
    yield "own", lambda: gp.Activation(RAW, lambda a: a * a, lambda a, o: a)
    yield "own loss", lambda: gp.Loss(RAW, lambda z, t: float((z * z).sum()), lambda z, t: z)
    yield "check", lambda: gp.check(net, t.inputs, near)
    yield "raise if failed", lambda: gp.check(wrong(n), t.inputs).raise_if_failed()
    yield "compare raise", lambda: gp.compare(g, 1.5 * g.theta).raise_if_failed()
    yield "save", lambda: net.save(f"/nowhere{RAW}/x.json")
    yield "load", lambda: gp.load(f"/nowhere{RAW}.json")
    yield "picture", lambda: gp.draw(net).save(f"/nowhere{RAW}/x.svg")
    yield "suffix", lambda: gp.draw(net).save(f"x.{RAW}")
    yield "theta", lambda: net.program.predict(np.full(net.layout.size, np.nan), t.inputs)


def failing(n: Named, backward: bool = False) -> gp.Network:
    def fail(*_: Any) -> float:
        raise ValueError(f"no{RAW}")

    def value(a: float) -> float:
        return a if backward else fail(a)

    net = gp.Network()
    net.add_input(n("x"))
    net.add_node(n("y"), gp.Activation(f"own{RAW}", value, fail, check=False), {n("x"): 1.0})
    return net


def logarithm(n: Named) -> gp.Network:
    net = gp.Network()
    net.add_input(n("x"))
    net.add_node(n("y"), "log", {n("x"): 1.0})
    return net


def texts(shown: Any) -> list[str]:
    every = shown if isinstance(shown, list) else [shown]
    return [x if isinstance(x, str) else write(x) for x in every for write in (str, repr)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", SHOWS)
def test_nothing_that_a_terminal_obeys_is_shown(door: str, kind: str) -> None:
    for text in texts(SHOWS[door](Given(KINDS[kind]))):
        assert not obeyed(text), text[:300].encode("unicode_escape")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_a_terminal_obeys_is_in_an_error(kind: str) -> None:
    given = Given(KINDS[kind])
    leaks, quiet = {}, []
    for about, mistake in raising(given):
        try:
            mistake()
        except gp.GraphpropError as error:
            if found := obeyed(str(error)):
                leaks[about] = found, ascii(str(error))[:200]
        except AssertionError as error:
            if found := obeyed(str(error)):
                leaks[about] = found, ascii(str(error))[:200]
        else:
            quiet.append(about)
    assert not leaks, "\n".join(f"{k}: {v}" for k, v in leaks.items())
    assert not quiet


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "half a character"])  # which a file cannot hold
def test_the_commands_print_nothing_that_a_terminal_obeys(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    n, path = KINDS[kind], tmp_path / "net.json"
    net = layers(n)
    net.set_outputs(n("s"))
    net.remove_node(n("y"))
    net.save(path)
    names = {letter: json.dumps(n(letter)) if kind == "tuple" else n(letter) for letter in "xzhvsf"}
    for command in (
        ["info", path],
        ["check", path],
        ["draw", path, "--out", tmp_path / "net.svg"],
        ["explain", path, "gamma", names["h"]],
        ["explain", path, "parameter", names["f"], "--depth", "all"],
        ["explain", path, "gamma", names["s"]],
        ["paths", path, names["x"], names["s"], "--target-component", "0"],
        ["paths", path, names["h"], names["v"]],
        ["draw", path, "--of", f"nothing{RAW}"],
        ["draw", path, "--focus", RAW],
        ["check", path, "--inputs", f"{RAW}=1"],
        ["check", path, "--loss", RAW],
        ["info", f"{path}{RAW}"],
        [RAW],
        ["draw", path, RAW],
    ):
        main([str(word) for word in command])
        said = capsys.readouterr()
        assert said.out + said.err
        assert not obeyed(said.out + said.err), command


def test_a_file_of_a_stranger_is_refused_in_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = layers(str)
    net.set_outputs("s")
    net.remove_node("y")
    net.save(path := tmp_path / "net.json")
    text = path.read_text()
    evil = json.dumps(RAW)[1:-1]
    refused = 0
    for old in ("tanh", "softmax", "inputs", "nodes", "edges", "parameters", "theta", "format", '"h"', '"x"', '"v"'):
        path.write_text(text.replace(old, f'"{evil}"' if old[0] == '"' else evil, 1))
        refused += main(["info", str(path)]) == 2
        said = capsys.readouterr()
        assert not obeyed(said.out + said.err), old
    assert refused > 5
