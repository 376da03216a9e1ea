"""Every public function with hostile values in each argument: a result, or an error of the library, never a raw one.

What is refused leaves the network as it was.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

import graphprop as gp
from tests.attack import Found

# ------------------------------------------------------------------ values, as they are written in a reproducer

PRELUDE = """
import array, datetime, decimal, enum, fractions, itertools, math, pathlib, types, warnings
import numpy as np
import graphprop as gp

class Raising:
    def __array__(self, dtype=None, copy=None): raise RuntimeError("no array")
class Endless:
    def __getitem__(self, i): return 1.0
    def __len__(self): return 2**62
class Text(str): pass
def nested(depth):
    x = []
    for _ in range(depth):
        x = [x]
    return x
def ring():
    x = []
    x.append(x)
    return x
def said(call, **given):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[a-z]+: . of 2 members failed: ", RuntimeWarning)
        return call(**given)
def other():
    net = gp.mlp([1, 1])
    return net, net.forward([1.0]), net.backward(net.forward([1.0]), ("y", 0))
"""
VALUES = """
None; True; False; 0; 1; -1; 2; 3; 17; 2**31; 2**62; 2**63; -(2**63) - 1; 10**400; enum.IntEnum("E", "A").A
0.0; -0.0; 0.5; 3.0; -2.5; math.nan; math.inf; -math.inf; 1e308; -1e308; 5e-324; 1e400
np.True_; np.float64(1.5); np.float32("nan"); np.float16(1); np.int8(-1); np.uint64(2**64 - 1); np.longdouble(2)
1j; np.complex128(1j); np.datetime64("2020"); decimal.Decimal("0.5"); decimal.Decimal("NaN")
fractions.Fraction(1, 3); datetime.date(2020, 1, 1); Ellipsis; NotImplemented; object(); int; math; lambda: 1; len
lambda *a: None; lambda *a: "text"; lambda *a: 1 / 0
""; "x"; "y"; "h"; "tanh"; "softmax"; "half_squared"; "nan"; "\\x00"; "\\ud800"; "x" * 10000; Text("x"); np.str_("x")
b""; b"x"; bytearray(8); memoryview(bytes(8)); array.array("d", [1.0, 2.0])
[]; (); {}; set(); frozenset({1}); [None]; [[]]; [[[]]]; [1.0]; (1.0,); [1, 2, 3]; [[1, 2], [3]]; [1, [2]]; ["a"]
["x", "y"]; ("x",); ("x", 0); (0, 0); (None, None); ((), ()); [("x", 0)]; [math.nan]; [[math.inf]]; [True, False]
[object()]
{"x": 1.0}; {"y": 0.5}; {"x": None}; {None: 1}; {"x": {"x": 1}}; {"x": [[1, 2], [3]]}; {"x": "x", "v": "v"}; {1.5: "y"}
types.MappingProxyType({"x": 1.0, "v": [1.0, 2.0]}); {"x": 1.0, "v": [1.0, 2.0]}; {"x": [1.0], "v": [[1.0, 2.0]]}
{"W1": None}; {"weight": 3}; {"weight": {("x", "h"): [[1, 2], [3]]}}
range(3); iter([1.0]); (i for i in "xy"); nested(3); nested(100); ring(); Raising(); Endless()
np.zeros(0); np.zeros((0, 3)); np.zeros((3, 0)); np.zeros(3); np.ones((2, 3)); np.ones((2, 2, 2)); np.array(1.0)
np.full(3, np.nan); np.full((1, 3), np.inf); np.array("x"); np.array(["x", "y"]); np.array([None, 1.0])
np.array([1, "a", ()], dtype=object); np.zeros(2, complex); np.zeros(2, bool); np.zeros(2, "M8[s]"); np.zeros(2, "V4")
np.zeros(3, "f8,i4"); np.ma.masked_array([1.0, 2.0], [False, True]); np.zeros((3, 3)).T[::-1]; np.zeros(3, ">f4")
np.broadcast_to(np.float64(1), (3,)); np.zeros(3, np.float16); np.array(2**62); np.arange(3, dtype=np.uint8)
gp.Network(); other()[0]; other()[1]; other()[2]; other()[0].program; other()[0].layout; gp.activation("tanh")
gp.activation("softmax"); gp.loss("nll"); other()[0].parameter("p", 1.0); other()[0].parameter("q", [1.0, 2.0]); gp
gp.ACTIVATIONS; other()[1].o; np.inf - np.arange(3); pathlib.Path("no/where"); pathlib.Path("."); "no/where"
"file.json"
"""
SPACE: dict[str, Any] = {}
exec(PRELUDE, SPACE)
HOSTILE = tuple(text.strip() for line in VALUES.strip().splitlines() for text in line.split("; "))


def hostile(text: str) -> Any:
    """A value, made anew."""
    return eval(text, SPACE)


# ------------------------------------------------------------------ what is called


class Stage:
    """A small network with something of everything, what a run gave, and functions to call; made anew for each call."""

    def __init__(self) -> None:
        net = self.net = gp.Network("stage")
        net.add_input("x")
        net.add_input("v", size=2)
        self.f = net.parameter("f", 2.0)
        net.add_node("h", "tanh", {"x": 0.5, "v": [0.25, None]}, bias=0.1)
        net.add_node("p", "softmax", {"h": [1.0, self.f, -1.0]}, bias=[0.0, 0.5, -0.5])
        net.add_node("y", "identity", {"h": self.f, "x": 1.0})

    @property
    def inputs(self) -> Any:
        return {"x": 0.5, "v": [1.0, -1.0]}

    @cached_property
    def trace(self) -> gp.Trace:
        return self.net.forward(self.inputs)

    @cached_property
    def gradients(self) -> gp.Gradients:
        return self.net.backward(self.trace, "y")

    @property
    def program(self) -> gp.Program:
        return self.net.program

    @property
    def theta(self) -> Any:
        return self.net.theta.copy()

    @property
    def matrix(self) -> Any:
        """What is read of a sparse matrix of scipy."""
        return SimpleNamespace(format="csr", shape=(1, 2), indices=np.array([0, 1]), indptr=np.array([0, 2]))

    @cached_property
    def population(self) -> gp.Population:
        return gp.Population([self.net, self.net.copy()])

    @cached_property
    def cell(self) -> gp.Network:
        cell = gp.Network()
        cell.add_input("x")
        cell.add_input("s")
        cell.add_node("t", "tanh", {"x": 1.0, "s": 0.5})
        return cell

    @cached_property
    def file(self) -> str:
        self.net.save("stage.json")
        return "stage.json"

    @cached_property
    def drawing(self) -> gp.Drawing:
        return gp.draw(self.net, self.trace, self.gradients, layout="columns")

    @cached_property
    def own(self) -> gp.Activation:
        return gp.Activation("own", lambda a, k: k * a, lambda a, o, k: k, parameters={"k": 2.0}, check=False)

    def fingerprint(self) -> Any:
        """What a refused call has to leave as it was."""
        net = self.net
        names = {name: parameter.positions.tolist() for name, parameter in net.parameters.items()}
        return net.nodes, net.edges, net.outputs, net.theta.tobytes(), net.trainable.tobytes(), names


@dataclass(frozen=True)
class Call:
    """A public function, of a stage: `arguments` are legal ones, in Python."""

    name: str
    function: Callable[[Stage], Callable[..., Any]]
    arguments: dict[str, str]


def call(name: str, function: str, /, **arguments: str) -> Call:
    return Call(name, lambda stage: eval(function, SPACE | {"s": stage, "np": np}), arguments)  # type: ignore[no-any-return]


def _set(attribute: str) -> str:
    return f"lambda value: setattr(s.net, {attribute!r}, value)"


GOAL = {"node": "None", "component": "None", "loss": "'half_squared'", "target": "{'y': 0.5}"}
GOAL |= {"sample_weight": "2.0", "seed": "None"}
SEEDED = {"seed": "{'y': 0.5}"}
OUTPUT = {"node": "'p'", "component": "1"}
ROWS = "[[0.5, 1.0, -1.0], [1.0, 2.0, 0.0]]"
TARGETS = "np.full((2, 4), 0.25)"
DRAWN = {"show": "'gradients'", "sample": "0", "focus": "'h'", "depth": "1", "top": "3", "path": "None"}
DRAWN |= {"group": "None", "title": "'t'", "layout": "'columns'", "timeout": "5.0"}

CALLS = (
    call("Network", "gp.Network", name="'n'"),
    call("Network.add_input", "s.net.add_input", name="'z'", size="2"),
    call(
        "Network.add_node", "s.net.add_node", name="'z'", activation="'tanh'", parents="{'h': 1.0}", bias="0.5",
        size="None", trainable="True",
    ),
    call("Network.add_node (weights)", "lambda w, bias: s.net.add_node('z', 'tanh', {'h': w}, bias, size=3)",
         w="[1.0, None, s.f]", bias="[1.0, None, 0.5]"),
    call("Network.add_node (reducing)",
         "lambda w, bias, size: s.net.add_node('z', 'max', {'h': w, 'x': w}, bias, size=size)",
         w="[1.0, 2.0]", bias="[1.0, None]", size="2"),
    call("Network.add_edge", "s.net.add_edge", u="'v'", v="'p'", weight="0.5", to="1", of="0", trainable="False"),
    call("Network.add_edge (whole)", "s.net.add_edge", u="'x'", v="'p'", weight="[1.0, 2.0, 3.0]"),
    call("Network.parameter", "s.net.parameter", name="'g'", value="[1.0, 2.0]", trainable="True"),
    call("Network.set_outputs", "s.net.set_outputs", head="'y'"),
    call("Network.set_outputs (two)", "lambda one, two: s.net.set_outputs(one, [two])", one="'p'", two="'y'"),
    call("Network.remove_edge", "s.net.remove_edge", u="'x'", v="'h'"),
    call("Network.remove_node", "s.net.remove_node", name="'y'"),
    call("Network.set_weight", "s.net.set_weight", u="'v'", v="'h'", weight="[1.0, None]"),
    call("Network.set_bias", "s.net.set_bias", v="'p'", bias="[1.0, 2.0, 3.0]"),
    call("Network.randomize", "s.net.randomize", seed="3"),
    call("Network.theta", _set("theta"), value="s.theta"),
    call("Network.trainable", _set("trainable"), value="True"),
    call("Network.parents", "s.net.parents", v="'h'"),
    call("Network.children", "s.net.children", v="'h'"),
    call("Network.activation", "s.net.activation", v="'h'"),
    call("Network.output_size", "s.net.output_size", v="'h'"),
    call("Network.weight", "s.net.weight", u="'v'", v="'h'"),
    call("Network.bias", "s.net.bias", v="'h'"),
    call("Network.weight_matrix", "s.net.weight_matrix", rows="['h', 'p']", columns="['x', 'h']", order="'F'"),
    call("Network.same_structure", "s.net.same_structure", other="s.net"),
    call("Network.__contains__", "s.net.__contains__", name="'h'"),
    call("Network.save", "s.net.save", path="'saved.json'"),
    call("Network.forward", "s.net.forward", inputs="s.inputs"),
    call("Network.forward (by name)", "lambda x, v: s.net.forward({'x': x, 'v': v})", x="1.0", v="[1.0, 2.0]"),
    call("Network.named", "s.net.named", flat="s.theta"),
    call("Program.named", "s.program.named", flat="s.theta"),
    call("Network.backward", "s.net.backward", trace="s.trace", **GOAL),
    call("Network.backward (output)", "lambda **k: s.net.backward(s.trace, **k)", **OUTPUT),
    call("Network.backward (seed)", "lambda **k: s.net.backward(s.trace, **k)", **SEEDED),
    call("Network.backward (target)", "lambda t: s.net.backward(s.trace, loss='half_squared', target={'p': t})",
         t="[0.5, 0.25, 0.25]"),
    call("Network.backward (labels)", "lambda t: s.net.backward(s.trace, loss='cross_entropy', target={'p': t})",
         t="1"),
    call("Trace.o", "s.trace.o.__getitem__", name="'h'"),
    call("Trace.a", "s.trace.a.__getitem__", name="'h'"),
    *(
        call(f"Gradients.{what}", f"s.gradients.{what}.__getitem__", name=name)
        for what, name in {"weight": "('x', 'h')", "bias": "'h'", "gamma": "'h'", "delta": "'p'", "o": "'h'",
                           "input": "'x'", "parameter": "'f'"}.items()
    ),
    call("Gradients.weight_matrix", "s.gradients.weight_matrix", rows="['h']", columns="['x', 'v']", order="'C'"),
    call("Gradients.difference", "s.gradients.difference", other="s.gradients"),
    call("Gradients.allclose", "s.gradients.allclose", other="s.gradients", rtol="1e-9"),
    call("Parameter.__getitem__", "s.net.parameter('g', [[1.0, 2.0]]).__getitem__", index="(0, 1)"),
    call("Parameter.belongs_to", "s.f.belongs_to", vector="None"),
    call("compile", "gp.compile", net="s.net"),
    call("Program.from_edges", "gp.Program.from_edges", n_inputs="2", source="[0, 1, 2]", target="[2, 2, 3]",
         activation="'tanh'", bias="True", outputs="[3]", component="[0, 0, 0]", position="[0, 1, 0]",
         names="['x', 'y', 'h', 'z']"),
    call("Program.from_matrices", "gp.Program.from_matrices", matrices="[s.matrix]", activation="['tanh']",
         bias="[True]", outputs="[2]", n_inputs="None", names="['x', 'y', 'z']"),
    call("Program.save", "s.program.save", path="'saved.program'"),
    call("Program.predict", "s.program.predict", theta="s.theta", inputs=ROWS),
    call("Program.value_and_grad", "s.program.value_and_grad", theta="s.theta", inputs=ROWS, target=TARGETS,
         loss="'half_squared'", sample_weight="[1.0, 2.0]"),
    call("Program.value_and_grad (short)", "s.program.value_and_grad", theta="s.theta", inputs=f"np.array({ROWS})",
         target=TARGETS, loss="'half_squared'"),
    call("Program.value", "s.program.value", theta="s.theta", inputs=ROWS, target=TARGETS, loss="'mse'",
         sample_weight="[1.0, 2.0]"),
    call("Program.losses", "s.program.losses", theta="s.theta", inputs=ROWS, target=TARGETS, loss="'huber'"),
    call("Program.linearize", "s.program.linearize", theta="s.theta", inputs=ROWS),
    call("Program.jvp", "s.program.jvp", theta="s.theta", inputs=ROWS, d_theta="s.theta", d_inputs=ROWS),
    call("Program.hvp", "s.program.hvp", theta="s.theta", inputs=ROWS, target=TARGETS, vector="s.theta",
         loss="'half_squared'", sample_weight="[1.0, 2.0]"),
    call("Network.jacobian", "s.net.jacobian", trace="s.trace", of="None", wrt="'theta'"),
    call("fit", "lambda **given: gp.fit(optimizer='sgd', epochs=1, progress=False, **given)", model="s.program",
         X=ROWS, Y=TARGETS, loss="'half_squared'", theta="s.theta", batch_size="2", rate="0.1", clip="1.0", decay="0.1",
         scale="None", validation="None", metrics="()", sample_weight="[1.0, 2.0]"),
    call("Population", "gp.Population", nets="[s.net, s.cell]"),
    call("Population.__getitem__", "gp.Population({'a': s.net, 'b': s.cell}).__getitem__", key="'a'"),
    call("Population.predict", "lambda **given: said(s.population.predict, **given)", X=ROWS),
    call("Population.losses", "lambda **given: said(s.population.losses, **given)", X=ROWS, Y=TARGETS, loss="'mse'",
         sample_weight="[1.0, 2.0]"),
    call("Population.fit", "lambda **given: said(s.population.fit, steps=2, **given)", X=ROWS, Y=TARGETS,
         loss="'half_squared'", optimizer="'sgd'", rate="0.1", clip="1.0", decay="0.1", patience="3",
         sample_weight="[1.0, 2.0]", executor="None"),
    call("fit (checkpoint)", "lambda **given: gp.fit(optimizer='sgd', progress=False, **given)", model="s.program",
         X=ROWS, Y="{'y': [0.25, 0.5]}", loss="{'y': ('mse', 0.5)}", theta="s.theta", epochs="2", metrics="()",
         checkpoint="'run.ckpt'"),
    call("Program.vjp", "s.program.vjp", theta="s.theta", inputs=ROWS, seeds=TARGETS),
    call("Program.forward", "s.program.forward", theta="s.theta", inputs=ROWS),
    call("Program.backward", "s.program.backward", trace="s.trace", **GOAL),
    call("mlp", "gp.mlp", sizes="[2, 3, 1]", activation="'tanh'", output="'sigmoid'", seed="1", by="'layer'"),
    call("dense", "gp.dense", net="s.net", nodes="['x', 'h']", n="2", activation="'tanh'",
         weights="[[1.0, 2.0], [3.0, 4.0]]", bias="[0.0, 1.0]", name="'d'", seed="1", trainable="True"),
    call("dense (drawn)", "gp.dense", net="s.net", nodes="['x', 'v']", n="2", activation="'softmax'", name="'d'",
         seed="1"),
    call("conv2d", "gp.conv2d", net="s.net", nodes="[['x'], ['h'], ['y']]", kernel="[[1.0], [2.0]]", stride="(1, 1)",
         padding="(1, 0)", activation="'relu'", bias="0.5", name="'c'", trainable="True"),
    call("softmax_regression", "gp.softmax_regression", features="2", classes="3"),
    call("unroll", "gp.unroll", cell="s.cell", feedback="{'t': 's'}", steps="3"),
    call("union", "gp.union", nets="{'a': s.net, 'b': s.cell}", share_inputs="False"),
    call("Activation", "gp.Activation", name="'own'", value="lambda a: 2 * a", derivative="lambda a, o: 2.0",
         kind="'elementwise'", formula="None", text="'2 a'", latex="'2 a'", parameters="{}", domain="(-5.0, 5.0)",
         kinks="(1.0,)", masks="False", gives="'values'", check="True"),
    call("Activation (unchecked)", "gp.Activation", name="'own'", value="lambda a: 2 * a",
         derivative="lambda a, o, g: 2 * g", kind="'vector'", parameters="{}", check="False"),
    call("activation", "gp.activation", name="'leaky_relu'", parameters="{}", slope="0.5"),
    *(
        call(f"Activation.{what} of {kind}", f"gp.activation('{kind}').{what}", a=a, **more)
        for kind, a in {"tanh": "0.5", "softmax": "[1.0, 2.0]", "max": "[1.0, 2.0]", "log": "2.0"}.items()
        for what, more in {
            "value": {}, "jacobian": {}, "vjp": {"v": "1.0" if kind != "softmax" else "[1.0, 0.0]"}
        }.items()
    ),
    call("loss", "gp.loss", given="'nll'"),
    call("Loss", "gp.Loss", name="'own'", value="lambda z, t: ((z - t) ** 2).sum(-1)",
         gradient="lambda z, t: 2 * (z - t)", reads="'values'", targets="'any'", formula="None", text="''", latex="''",
         check="True"),
    *(
        call(f"Loss.evaluate of {name}", f"gp.loss('{name}').evaluate", z=z, t="[0.25, 0.75]")
        for name, z in {"half_squared": "[1.0, 2.0]", "cross_entropy": "[0.5, 0.5]", "nll": "np.log([0.5, 0.5])",
                        "softmax_cross_entropy": "[1.0, 2.0]", "binary_cross_entropy": "[1.0, 2.0]"}.items()
    ),
    call("recursion.forward", "gp.recursion.forward", net="s.net", inputs="s.inputs", theta="s.theta", numbers="None"),
    call("recursion.backpropagate", "gp.recursion.backpropagate", net="s.net", trace="s.trace", form="'paths'",
         of="['h']", limit="1000", numbers="None", **GOAL),
    call("matrixform.forward", "gp.matrixform.forward", net="s.net", inputs="s.inputs", limit="10**6"),
    call("matrixform.backpropagate", "gp.matrixform.backpropagate", net="s.net", trace="s.trace",
         limit="10**6", **GOAL),
    call("matrixform.gradients", "gp.matrixform.gradients", net="other()[0]", trace="other()[1]", node="('y', 0)",
         layout="'numerator'", limit="10**6"),
    call("matrixform.layers", "gp.matrixform.layers", net="other()[0]"),
    *(call(f"matrixform.{what}", f"gp.matrixform.{what}", net="s.net", trace="s.trace", limit="10**6")
      for what in ("jacobians", "resolvent")),
    call("matrixform.adjacency", "gp.matrixform.adjacency", net="s.net", limit="10**6"),
    call("LabelledMatrix", "gp.matrixform.adjacency(s.net).__getitem__", entry="('a[y]', 'o[h]')"),
    call("check", "gp.check", net="s.net", inputs="s.inputs", against="None", **GOAL | {"seed": "0"}),
    call("check (seed)", "gp.check", net="s.net", inputs="s.inputs", seed="{'y': 1.0}"),
    call("gradcheck", "gp.gradcheck", function="lambda w: ((w ** 2).sum(), 2 * w)", theta="np.ones(3)", seed="0"),
    call("gradcheck (gradient)", "lambda value, gradient: gp.gradcheck(lambda w: (value, gradient), np.ones(3))",
         value="1.0", gradient="np.zeros(3)"),
    call("gradcheck (names)", "lambda w, g: gp.gradcheck(lambda t: (0.0, {'w': g}), {'w': w})", w="np.ones(3)",
         g="np.zeros(3)"),
    call("compare", "gp.compare", right="s.gradients", mine="s.gradients"),
    call("compare (part)", "lambda part: gp.compare(s.gradients, {('x', 'h'): part})", part="1.0"),
    call("draw", "lambda **k: gp.draw(**k).svg", net="s.net", trace="s.trace", gradients="s.gradients", **DRAWN),
    call("draw (page)", "lambda **k: gp.draw(**k).html", net="s.net", trace="s.trace", gradients="s.gradients",
         sample="0", layout="'columns'"),
    call("Drawing.save", "s.drawing.save", path="'picture.svg'"),
    call("explain", "gp.explain", net="s.net", trace="s.trace", gradients="s.gradients", what="('weight', 'x', 'h')",
         depth="2", form="'parents'", sample="0", digits="6"),
    call("Explanation.text", "gp.explain(s.net, s.trace, s.gradients, ('value',)).text", width="80"),
    call("paths", "gp.paths", net="s.net", trace="s.trace", source="'x'", target="'y'", top="3", of="0", to="0",
         sample="0"),
    call("Network.to_networkx", "s.net.to_networkx", trace="s.trace", gradients="s.gradients", sample="0"),
    call("from_networkx", "gp.from_networkx", G="s.net.to_networkx()", activation="'tanh'", activations="[s.own]"),
    call("Network.edge_frame", "s.net.edge_frame", gradients="s.gradients"),
    call("Network.node_frame", "s.net.node_frame", trace="s.trace", gradients="s.gradients", sample="0"),
    call("from_frame", "gp.from_frame", edges="s.net.edge_frame()", nodes="s.net.node_frame()", source="'source'",
         target="'target'", weight="'weight'", activation="'tanh'", activations="[s.own]"),
    call("load", "gp.load", path="s.file", activations="[s.own]", max_bytes="10**6"),
    call("set_threads", "gp.set_threads", count="1"),
    call("threads", "gp.threads", count="1"),
)  # fmt: skip

WITHOUT_ARGUMENTS = {
    "get_threads", "Population.keys", "Gradients.weights", "Gradients.biases", "Network.copy", "Network.expand",
    "Program.to_network", "Report.to_dict", "Report.raise_if_failed",
    "Comparison.to_dict", "Comparison.raise_if_failed", "Drawing.to_dict", "PathSum.text", "PathSum.html",
    "PathSum.to_dict", "Explanation.latex", "Explanation.html",
}  # fmt: skip
INTERNAL = {
    "Activation.outputs", "Activation.pull", "Activation.refusal", "Activation.lost", "Loss.apply",
    "Parameter.is_number_of", "Program.calls_python", "Activation.bend", "Activation.push", "Loss.bend", "Fit.plot",
}  # fmt: skip


def public_functions() -> Iterator[str]:
    """All that can be called by a public name."""
    for name in gp.__all__:
        thing = getattr(gp, name)
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            for method, function in vars(thing).items():
                if not method.startswith("_") and isinstance(function, classmethod) | inspect.isfunction(function):
                    yield f"{name}.{method}"
        elif inspect.ismodule(thing):
            names = getattr(thing, "__all__", ("forward", "backpropagate"))
            yield from (f"{name}.{each}" for each in names if inspect.isfunction(getattr(thing, each, None)))
        elif callable(thing) and not inspect.isclass(thing):
            yield name


# ------------------------------------------------------------------ the attack


def attack(seconds: float, seed: int = 0) -> dict[str, int]:
    """Call with one hostile value, each argument and value once, then with two at a time while there is time.

    Gives how many calls gave a result and how many were refused. Raises `Found` at the first call that ended
    otherwise, or that was refused and changed the network.
    """
    rng, end = random.Random(seed), time.monotonic() + seconds
    counts = {"calls that gave a result": 0, "calls that were refused": 0}
    with _elsewhere():
        for one, given in _choices(rng):
            if time.monotonic() > end:
                break
            counts["calls that gave a result" if _tried(one, given) else "calls that were refused"] += 1
    return counts


def _choices(rng: random.Random) -> Iterator[tuple[Call, dict[str, str]]]:
    singles = [(one, {name: value}) for one in CALLS for name in one.arguments for value in HOSTILE]
    rng.shuffle(singles)
    yield from singles
    while True:
        one = rng.choice(CALLS)
        names = rng.sample(sorted(one.arguments), min(2, len(one.arguments)))
        yield one, {name: rng.choice(HOSTILE) for name in names}


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """In an empty folder, as some calls write; with warnings as errors and the number of threads as it was."""
    before, threads = os.getcwd(), gp.get_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
            gp.set_threads(threads)


def _tried(one: Call, given: dict[str, str]) -> bool:
    """Whether the call gave a result; False if it was refused."""
    stage = Stage()
    function = one.function(stage)
    space = SPACE | {"s": stage, "np": np}
    arguments = {name: eval(given.get(name, text), space) for name, text in one.arguments.items()}
    before = stage.fingerprint()
    try:
        result = function(**arguments) if one.name != "Network.set_outputs" else function(arguments["head"])
        repr(result), repr(stage.net)
    except gp.GraphpropError as error:
        str(error)
        if stage.fingerprint() != before:
            raise Found(_reproducer(one, given, "it was refused, and the network is not as it was")) from error
        return False
    except Exception as error:
        raise Found(_reproducer(one, given, f"{type(error).__name__}: {str(error)[:200]}")) from error
    stage.fingerprint()
    return True


def _reproducer(one: Call, given: dict[str, str], what: str) -> str:
    arguments = f"({one.name!r}, {{{', '.join(f'{name!r}: {value!r}' for name, value in given.items())}}})"
    legal = ", ".join(f"{name}={given.get(name, text)}" for name, text in one.arguments.items())
    lines = [f"{one.name} with {', '.join(f'{name} = {value}' for name, value in given.items())}: {what}"]
    lines += ["", "from tests.attack.hostile_values import repeat", f"repeat{arguments}", f"# {one.name}({legal})"]
    return "\n".join(lines)


def repeat(name: str, given: dict[str, str]) -> bool:
    """A call again."""
    with _elsewhere():
        return _tried(next(one for one in CALLS if one.name == name), given)
