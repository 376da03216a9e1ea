"""Reading a picture back: the numbers written in its parts, and the boxes that its texts take."""

from __future__ import annotations

import math
import shutil
from importlib.util import find_spec
from itertools import pairwise

import pytest

import graphprop as gp
from graphprop.render.drawn.lettering import Line, plain
from graphprop.render.picture import Edge, Shape

HOSTILE = [
    '"quote\\',
    "<script>alert(1)</script>",
    "</title></svg><b>",
    "javascript:alert(1)",
    "a\x00b\x1b[31m\r\n\t",
    "abc\u202egnp\u2066\u200f",
    "",
    "   ",
    "x" * 10_000,
    "\\N \\G \\E \\L \\l \\n &amp; &lt; &#65;",
    "\u05e9\u05dc\u05d5\u05dd1",
    "\ud800half",
    "]]> --> <!-- {} ${x} `",
    "'); DROP TABLE nodes; --",
    "\u2028\u2029",
    "e\u0301\u0302\u0303",
    ("<", ("&", 2)),
    -1,
]
NEEDS_DOT = pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz's program dot")
NEEDS_PYGRAPHVIZ = pytest.mark.skipif(not find_spec("pygraphviz"), reason="needs pygraphviz")
ENGINES = [
    "columns",
    pytest.param("dot", marks=NEEDS_DOT),
    pytest.param("pygraphviz", marks=NEEDS_PYGRAPHVIZ),
]


def number(text: str) -> float:
    """A number as it is written in a picture."""
    return math.nan if text == "–" else float(text.replace("−", "-").replace("∞", "inf"))


def shows(text: str, exact: str | float) -> bool:
    """Whether a text is a number's three significant digits."""
    x = float(exact)
    if x == 0:
        return text == "0"
    unit = 10.0 ** (math.floor(math.log10(abs(x))) - 2)
    return abs(number(text) - x) <= 0.5000001 * unit


def shape_of(drawing: gp.Drawing, name: object) -> Shape:
    return next(shape for shape in drawing.parts.shapes if shape.name == name and shape.form != "loss")


def edge_of(drawing: gp.Drawing, u: object, v: object) -> Edge:
    ends = shape_of(drawing, u).id, shape_of(drawing, v).id
    return next(edge for edge in drawing.parts.edges if (edge.source, edge.target) == ends)


def last_word(line: Line) -> str:
    return plain(line).split()[-1]


def column(shape: Shape, title: str) -> list[str]:
    """The column of a table whose title begins so."""
    assert shape.table is not None
    titles = [plain(line) for line in shape.table.columns]
    j = next(j for j, text in enumerate(titles) if text.startswith(title))
    return [row[j].run.text for row in shape.table.rows]


def hostile_net() -> gp.Network:
    """A chain of names that try to be something else than names."""
    net = gp.Network('<b>&title\\N"</b>')
    net.add_input(HOSTILE[0])
    for u, v in pairwise(HOSTILE):
        net.add_node(v, "tanh", {u: 0.5}, bias=0.1)
    net.add_node('out"]; x [label="p', "softmax_dot", {HOSTILE[-1]: [1.0, 2.0], HOSTILE[1]: [0.1, 0.2]})
    return net


def ladder(count: int, inputs: int = 3) -> gp.Network:
    """A net of so many nodes, each reading up to three earlier ones."""
    net = gp.Network(f"{count} nodes")
    for v in range(inputs):
        net.add_input(f"v{v}")
    for v in range(inputs, count):
        parents = {v - 1, v - 3, v // 2}
        net.add_node(f"v{v}", "tanh", {f"v{u}": 0.5 - (u % 7) / 8 for u in sorted(parents)}, bias=0.125)
    return net
