"""Networks for the tests of the page, and how its numbers are read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

import graphprop as gp

WIDE = {"width": 1360, "height": 800}

TAG = re.compile(r"<[^>]*>")

JOINER = re.compile("\u2060")  # has no width

Open = Callable[..., Any]


def net() -> gp.Network:
    """A skip edge, a tied weight, scalar and reducing nodes, biases here and there."""
    net = gp.Network("for the page")
    net.add_input("x1")
    net.add_input("x2")
    f = net.parameter("f", 0.75)
    net.add_node("h1", "sigmoid", {"x1": 0.5, "x2": f}, bias=0.125)
    net.add_node("h2", "tanh", {"x1": f, "h1": -0.25})
    net.add_node("lonely", "square", {"x2": 0.5})
    net.add_node("y", "softmax_dot", {"h1": [0.25, -0.5], "h2": [1.0, 0.5]}, bias=[0.0, 0.5])
    net.set_outputs("y")
    return net


def given(net: gp.Network) -> tuple[gp.Trace, gp.Gradients]:
    trace = net.forward({"x1": 1.0, "x2": -2.0})
    return trace, net.backward(trace, loss="half_squared", target={"y": 0.25})


def number(text: str) -> float:
    """A number as a page writes it, whose power of ten is raised."""
    text = text.replace("−", "-").replace("∞", "inf")
    mantissa, _, power = TAG.sub("", text.replace("<sup>", "^")).partition("·10^")
    return float(mantissa) * 10.0 ** int(power or 0)


def close(text: str, exact: float) -> bool:
    return math.isclose(number(text), exact, rel_tol=6e-6, abs_tol=1e-300)


def exact(symbol: str, trace: gp.Trace, g: gp.Gradients) -> float:
    """The number of a symbol, such as a[h1], δ[y][0], ∂J/∂w(0, h1, y) or ∂J/∂b[h1]."""
    letter, _, rest = re.sub(r"^∂\S+?/∂", "d", symbol).partition("[")
    if letter == "dw" or (symbol.startswith("∂") and "w(" in symbol):
        *component, u, v = re.search(r"w\((.*)\)", symbol)[1].split(", ")  # type: ignore[index]
        source, *of = re.findall(r"[^\[\]]+", u)
        return entry(g.weight[source, v], [*component, *of])
    name, *index = re.findall(r"[^\[\]]+", rest)
    if letter == "dθ":
        return entry(g.parameter[name], index)
    tables = {"a": trace.a, "o": trace.o, "γ": g.gamma, "δ": g.delta, "db": g.bias, "do": g.o}
    return entry(tables[letter][name], index)


def entry(array: Any, index: list[str]) -> float:
    found = np.asarray(array, dtype=float)
    return float(found[tuple(map(int, index))] if index else found.reshape(()))


def panel_rows(page: Any, panel: str = "#step") -> dict[str, dict[str, str]]:
    """Of each number of a panel its lines, by its symbol."""
    found = {}
    for block in page.query_selector_all(f"{panel} > .number"):
        lines = {kind: block.query_selector(f":scope > .{kind}") for kind in ("formula", "numbers", "result")}
        found[JOINER.sub("", block.query_selector(".symbol").inner_text()).replace("\u00a0", " ")] = {
            kind: line.inner_html().replace("\u00a0", " ") for kind, line in lines.items() if line
        }
    return found


def where(page: Any) -> str:
    text: str = page.locator("#where").inner_text()
    return text


def view_box(page: Any) -> list[float]:
    return [float(x) for x in page.locator("#view > svg").get_attribute("viewBox").split()]


def lit(page: Any, kind: str = "node") -> set[str]:
    """The names of the nodes, or the first lines of the edges' titles, that are lit."""
    titles = page.locator(f"g.{kind}.lit > title").all_text_contents()
    return {title.split("\n")[0].split(":")[0] for title in titles}


def computed(numbers: str) -> float:
    """The value of a formula with the numbers put in."""
    text = re.sub(r"<sup>2</sup>", "**2", numbers).replace("·", "*").replace("−", "-")
    value: float = eval(text, {"exp": math.exp, "tanh": math.tanh})
    return value


def node(page: Any, name: str) -> Any:
    return page.locator("g.node").filter(has=page.locator("title", has_text=re.compile(f"^{name}:")))


def page_data(drawing: gp.Drawing) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', drawing.html, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data
