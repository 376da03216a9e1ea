"""Every explanation is computed again from what it prints, and gives the golden number."""

from __future__ import annotations

import dataclasses
import html.parser
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.notation.escaping import label, latex_text, markup
from tests import golden
from tests.random_graphs import components, graphs, objectives

FORMS = ("children", "parents")
TAG = re.compile(r"<[^>]*>")
NUMBER = re.compile(r"(?<![\w.])(\d+\.?\d*(?:e[+-]?\d+)?|inf)(?![\w.])")
PLACES = {
    "sigmoid": lambda a: 1 / (1 + mpmath.exp(-a)),
    "Phi": lambda a: mpmath.erfc(-a / mpmath.sqrt(2)) / 2,
    "phi": lambda a: mpmath.exp(-a * a / 2) / mpmath.sqrt(2 * mpmath.pi),
    "sign": mpmath.sign,
    "abs": abs,
    "max": max,
    "min": min,
    "mpf": mpmath.mpf,
    **{name: getattr(mpmath, name) for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "erf", "erfc")},
}


def computed(text: str) -> Any:
    """What a reader with a calculator gets from a printed formula with numbers."""
    code = NUMBER.sub(r"mpf('\1')", text).replace("^", "**")
    with mpmath.workdps(60):
        return eval(code, {"__builtins__": {}}, dict(PLACES))


def unit(result: str, digits: int = 6) -> float:
    """One unit of the last printed digit."""
    x = abs(float(result))
    return 10.0 ** (math.floor(math.log10(x)) - digits + 1) if x else 0.0


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """The symbol and the right sides of every derivation in a text."""
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if not line.strip().startswith("(")]
        if " = " not in lines[0] or (lines[0].startswith("J = ") and len(lines) == 1):
            continue
        symbol, first = lines[0].split(" = ", 1)
        yield symbol.strip(), [first, *(line.strip().removeprefix("= ") for line in lines[1:])]


def recomputed(explanation: gp.Explanation) -> int:
    """Compute every derivation of a printed explanation again; how many there were."""
    found = list(blocks(explanation.text(width=10**9)))
    for symbol, lines in found:
        numbers, result = lines[1] if len(lines) == 3 else lines[0], lines[-1]
        if len(lines) == 1:
            continue
        if len(lines) == 2 and re.search(
            r"[\w}]\[|w\(", numbers
        ):  # the symbol of one quantity: its number is the result
            continue
        again, magnitude = computed(numbers), max([abs(float(x)) for x in NUMBER.findall(numbers)], default=0.0)
        exact = 1e-13 * magnitude if len(max(NUMBER.findall(numbers), key=len, default="")) > 14 else 0.0
        assert abs(again - mpmath.mpf(result)) <= 1.5 * unit(result) + exact + 1e-50, (symbol, lines)
    return len(found)


def agrees(explanation: gp.Explanation, expected: str) -> None:
    x, y = explanation.result, float(expected)
    assert abs(x - y) <= 1e-12 * max(abs(y), 1e-12)
    printed = next(blocks(explanation.text(width=10**9)))[1][-1] if explanation.root.expression else None
    if printed is not None:
        assert abs(float(printed) - y) <= max(unit(printed), 1e-24)


def index(net: gp.Network, v: Any, i: int) -> tuple[int, ...]:
    return (i,) if components(net, v)[0] > 1 else ()


def every_number(net: gp.Network, graph: dict[str, Any], expected: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """What can be explained of a golden graph, with its golden number."""
    yield ("value",), expected["value"]
    for edge, number in zip(graph["edges"], expected["dJ_dw"], strict=True):
        yield ("weight", edge["src"], edge["dst"], edge["dst_comp"], edge["src_comp"]), number
    for v, numbers in expected["dJ_da"].items():
        for i, number in enumerate(numbers):
            if v not in net.inputs:
                yield ("delta" if net.layout.nodes[net.layout.find(v)].vector else "gamma", v, i), number
                if net.layout.nodes[net.layout.find(v)].bias is not None:
                    yield ("bias", v, i), number
    for v, numbers in expected["dJ_do"].items():
        for k, number in enumerate(numbers):
            yield ("input" if v in net.inputs else "obar", v, k), number
    for name, number in expected.get("dJ_dtheta", {}).items():
        yield ("parameter", name), number
    for letter in ("a", "o"):
        for v, numbers in graph["expect"][letter].items():
            if letter == "o" or v not in net.inputs:
                for i, number in enumerate(numbers):
                    yield (letter, v, i), number


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "k"), golden.CASES)
def test_every_number_of_every_golden_graph(name: str, k: int, form: Any) -> None:
    graph = golden.GRAPHS[name]
    net, expected = golden.build(graph), graph["expect"]["objectives"][k]
    trace = net.forward(golden.inputs(graph))
    g = net.backward(trace, **golden.objective(expected))
    for what, number in every_number(net, graph, expected):
        explanation = gp.explain(net, trace, g, what, form=form, depth=1)
        agrees(explanation, number)
        recomputed(explanation)
    whole = gp.explain(net, trace, g, ("weight", *net.edges[0], 0, 0), form=form, depth=None)
    assert recomputed(whole) >= 2


@given(graphs(), st.data(), st.sampled_from(FORMS))
def test_every_kind_of_node_and_objective(drawn: tuple[gp.Network, Any], data: st.DataObject, form: Any) -> None:
    net, inputs = drawn
    trace = net.forward(inputs)
    g = net.backward(trace, **data.draw(objectives(net)))
    u, v = data.draw(st.sampled_from(net.edges))
    W = np.reshape(net.weight(u, v), (components(net, v)[0], components(net, u)[1]))
    i, k = map(int, np.argwhere(~np.isnan(W))[0])
    explanation = gp.explain(net, trace, g, ("weight", u, v, i, k), form=form, depth=None)
    assert recomputed(explanation)
    assert explanation.result == np.reshape(g.weight[u, v], W.shape)[i, k]
    check_latex(explanation.latex())


def two_layers(rows: Any) -> tuple[gp.Network, gp.Trace]:
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h1", "sigmoid", {"x1": 0.5, "x2": -0.3}, bias=0.1)
    net.add_node("h2", "tanh", {"x1": 0.8, "x2": 0.2})
    net.add_node("y", "softmax_dot", {"h1": [0.2, -0.7], "h2": [1.1, 0.4]})
    return net, net.forward(rows)


def test_the_text_is_that_of_the_book() -> None:
    net, trace = two_layers([1.0, -2.0])
    explanation = gp.explain(net, trace, net.backward(trace, "y"), ("gamma", "h1"))
    assert explanation.text(100).splitlines()[0] == (
        "gamma[h1] = (delta[y][0] * w(0, h1, y) + delta[y][1] * w(1, h1, y)) * sigmoid'(a[h1])"
    )
    assert "sigmoid'(a[h1]) = o[h1] * (1 - o[h1])" in str(explanation)
    parents = gp.explain(net, trace, net.backward(trace, "y"), ("input", "x1"), form="parents")
    assert "D(h1)[x1] = sigmoid'(a[h1]) * w(x1, h1)" in str(parents)
    assert [step.symbol for step in explanation.root.terms][:2] == ["delta[y][0]", "w(0, h1, y)"]
    assert explanation.root.terms[1].formula == ""


def test_a_component_0_may_be_named_or_left_out_where_there_is_one() -> None:
    net, trace = two_layers([1.0, -2.0])
    g = net.backward(trace, "y")
    for what in (("weight", "x1", "h1"), ("weight", "x1", "h1", 0), ("weight", "x1", "h1", 0, 0)):
        assert gp.explain(net, trace, g, what).result == g.weight["x1", "h1"]
    for what in (("weight", "h1", "y", 1), ("weight", "h1", "y", 1, 0)):
        assert gp.explain(net, trace, g, what).result == g.weight["h1", "y"][1]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_keep_to_the_width(width: int) -> None:
    net, trace = two_layers([1.0, -2.0])
    g = net.backward(trace, loss="half_squared", target=[0.25])
    text = gp.explain(net, trace, g, ("weight", "x1", "h1"), depth=None).text(width)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("sample_weight", [None, [1.0, 3.0, 0.5]])
@pytest.mark.parametrize("form", FORMS)
def test_a_batch_is_summed_over_its_samples(form: Any, sample_weight: Any) -> None:
    net, trace = two_layers([[1.0, -2.0], [0.5, 0.3], [-1.0, 0.7]])
    f = net.parameter("f", 0.4)
    net.add_node("z", "identity", {"h1": f, "h2": f}, bias=0.5)
    trace = net.forward(trace.o_flat[:, :2])
    goal = {"loss": "half_squared", "target": np.ones((3, 2)), "sample_weight": sample_weight}
    g = net.backward(trace, **goal)
    for what, number in [
        (("weight", "h1", "y", 1), g.weight["h1", "y"][1]),
        (("bias", "h1"), g.bias["h1"]),
        (("parameter", "f"), g.parameter["f"]),
        (("value",), g.value),
    ]:
        whole = gp.explain(net, trace, g, what, form=form, depth=None)
        assert whole.result == pytest.approx(number, rel=1e-12)
        assert recomputed(whole)
        if what[0] != "value":
            alone = [gp.explain(net, trace, g, what, form=form, sample=s) for s in range(3)]
            assert math.fsum(part.result for part in alone) == pytest.approx(number, rel=1e-12)
            assert all(map(recomputed, alone))
    one = gp.explain(net, trace, g, ("gamma", "h1"), sample=2)
    assert one.result == g.gamma["h1"][2]
    assert "sample 2 of 0 to 2" in str(one)


def test_a_tied_weight_has_one_term_for_each_use() -> None:
    graph = golden.GRAPHS["conv_tied"]
    net, expected = golden.build(graph), graph["expect"]["objectives"][0]
    trace = net.forward(golden.inputs(graph))
    g = net.backward(trace, **golden.objective(expected))
    name = next(iter(net.parameters))
    explanation = gp.explain(net, trace, g, ("parameter", name))
    assert explanation.root.formula.count(" + ") == sum(edge.get("tie") == name for edge in graph["edges"]) - 1


def test_deep_networks_and_ladders_are_no_trouble() -> None:
    net = gp.Network()
    net.add_input(0)
    for j in range(1, 1501):
        net.add_node(j, "sin", {j - 1: 1.01})
    trace = net.forward([0.3])
    whole = gp.explain(net, trace, net.backward(trace, 1500), ("gamma", 1), depth=None)
    assert len(whole.steps) > 4000
    assert recomputed(whole)
    graph = golden.GRAPHS["ladder12"]
    net = golden.build(graph)
    trace = net.forward(golden.inputs(graph))
    g = net.backward(trace, net.nodes[-1])
    for form in FORMS:
        assert len(gp.explain(net, trace, g, ("input", net.inputs[0]), form=form, depth=None).steps) < 500


def test_a_users_own_activation_and_loss() -> None:
    cube = gp.Activation("cube<i>", lambda a: a**3, lambda a, o: 3 * a**2)
    sigmoid = gp.Activation("sigmoid", lambda a: a * a, lambda a, o: 2 * a)  # of a misleading name
    absolute = gp.Loss("absolute", lambda z, t: abs(z - t).sum(-1), lambda z, t: np.sign(z - t))
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", cube, {"x": 2.0})
    net.add_node("y", sigmoid, {"h": 0.5})
    trace = net.forward([1.0])
    g = net.backward(trace, loss=absolute, target=[5.0])
    explanation = gp.explain(net, trace, g, ("weight", "x", "h"), depth=None)
    assert recomputed(explanation)
    assert "1 - o" not in str(explanation)
    assert "<i>" not in gp.explain(net, trace, g, ("gamma", "h"), depth=1).text().replace("cube<i>'", "")
    assert "cube<i>" not in explanation.html()


HOSTILE = [
    "<script>alert(1)</script>", "a & b", "quo\"te's", "back\\slash", "%#$&_{}^~", "α é 中 Ω", "two\nlines",
    "\u202eabc", "$$x$$", "\\end{aligned}", "", "n" * 10_000, "a]b[0]", "-1", ("t", 0),
]  # fmt: skip


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)


KNOWN = re.compile(
    "begin|end|frac|partial|delta|gamma|theta|cdot|left|right|mathrm|text|quad|max|min|exp|log|tanh|sin|cos|sigma|Phi"
    "|varphi|infty|backslash|hat|sim|alpha|Omega|acute"
)


def check_latex(text: str) -> None:
    """Braces, brackets that stretch and environments in balance, only known commands, only ASCII."""
    assert text.isascii()
    assert text.startswith("$$\\begin{aligned}\n")
    assert text.endswith("\n\\end{aligned}$$")
    inner = text[2:-2]
    plain = re.sub(r"\\[\\{}%#$&_ |]", "", inner)
    assert "$" not in plain
    assert "#" not in plain
    assert "%" not in plain
    assert all(KNOWN.fullmatch(command) for command in re.findall(r"\\([a-zA-Z]+)", plain))
    depth = 0
    for c in plain:
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    assert depth == 0
    for row in re.split(r"\\\\(?:\[1ex\])?\n", inner):
        assert row.count(r"\left") == row.count(r"\right")
        assert not re.search(r"[_^](?!\{)[^23]", re.sub(r"\\[_^]", "", row))
    assert re.findall(r"\\begin\{(\w+)\}", inner)[1:] == re.findall(r"\\end\{(\w+)\}", inner)[:-1]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: str(name)[:12].encode("unicode_escape").decode())
def test_names_stay_names(name: Any) -> None:
    net = gp.Network()
    try:
        net.add_input(name)
    except gp.GraphpropError:
        pytest.skip("refused as a name")
    net.add_node("y", "sigmoid", {name: 1.5})
    trace = net.forward([1.0])
    explanation = gp.explain(net, trace, net.backward(trace, "y"), ("weight", name, "y"), depth=None)
    assert Tags(explanation._repr_html_()).seen <= {"table", "tr", "td", "br", "i", "sup", "small", "caption"}
    check_latex(explanation._repr_latex_())
    assert all(line.isprintable() for line in explanation.text().splitlines())
    assert len(explanation.text().splitlines()) < 40


def test_labels() -> None:
    assert len(label("n" * 10_000)) <= 40
    assert markup("<a href='x'>\u202e") == "&lt;a href=&#39;x&#39;&gt;\ufffd"
    assert latex_text("中") == "U{+}4E2D"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(tmp_path: Path) -> None:
    net = gp.Network()
    for name in HOSTILE:
        if name not in ("", "n" * 10_000):
            net.add_input(name)
    net.add_node("y", "softmax_dot", {name: 0.1 * j for j, name in enumerate(net.inputs)})
    trace = net.forward(np.ones(len(net.inputs)))
    g = net.backward(trace, loss="half_squared", target=[1.0])
    body = gp.explain(net, trace, g, ("delta", "y", 0), depth=None).latex()
    page = rf"\documentclass{{article}}\usepackage{{amsmath}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_gradients_of_another_trace_are_refused() -> None:
    net, trace = two_layers([1.0, -2.0])
    other = net.backward(net.forward([0.3, 0.4]), "y")
    with pytest.raises(gp.GraphpropError, match="of another forward pass than the trace"):
        gp.explain(net, trace, other, ("weight", "x1", "h1"))
    with pytest.raises(gp.GraphpropError, match="not those of this trace"):  # nor do the numbers fit
        gp.explain(net, trace, dataclasses.replace(other, trace=None), ("weight", "x1", "h1"))
    part = gp.recursion.backpropagate(net, trace, "y", form="parents", of=["h1"])
    with pytest.raises(gp.GraphpropError, match="without of="):
        gp.explain(net, trace, part, ("gamma", "h1"))


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ("gamma", {}, "what is a tuple"),
        (("weights", "h1", "y"), {}, "begins with one of 'a', 'o'"),
        (("weight", "h1"), {}, "lacks a name"),
        (("weight", "h1", "y"), {}, "a component from 0 to 1 at its end"),
        (("weight", "h1", "y", 2), {}, "a component from 0 to 1"),
        (("weight", "x1", "y", 0), {}, "unknown edge"),
        (("delta", "h1"), {}, "is called gamma"),
        (("gamma", "y", 0), {}, "is called delta"),
        (("gamma", "x1"), {}, r"its derivative is \('input', 'x1'\)"),
        (("bias", "h2"), {}, "has no bias"),
        (("input", "h1"), {}, "is no input"),
        (("o", "h1", 1), {}, "no component at its end"),
        (("parameter", "f"), {}, "unknown parameter 'f'"),
        (("o", "h9"), {}, "unknown node 'h9'"),
        (("o", "h1"), {"depth": 0}, "depth is a whole number"),
        (("o", "h1"), {"form": "paths"}, "form is 'children' or 'parents'"),
        (("o", "h1"), {"sample": 1}, "0 to 0"),
        (("o", "h1"), {"digits": 0}, "digits is a whole number"),
    ],
)
def test_mistakes_are_told(what: Any, options: Any, message: str) -> None:
    net, trace = two_layers([1.0, -2.0])
    with pytest.raises(gp.GraphpropError, match=message):
        gp.explain(net, trace, net.backward(trace, "y"), what, **options)


@pytest.mark.parametrize("what", [("value",), ("gamma", "h1"), ("weight", "x1", "h1"), ("parameter", "f")])
def test_without_gradients_it_is_told_what_they_hold(what: Any) -> None:
    net, trace = two_layers([1.0, -2.0])
    held = "the objective is what" if what == ("value",) else f"{what[0]!r} is a derivative"
    with pytest.raises(gp.GraphpropError, match=f"{held}.*gradients of net.backward"):
        gp.explain(net, trace, None, what)


def test_a_batch_needs_a_sample_for_what_belongs_to_one() -> None:
    net, trace = two_layers([[1.0, -2.0], [0.0, 1.0]])
    with pytest.raises(gp.GraphpropError, match="2 samples; say which one with sample="):
        gp.explain(net, trace, net.backward(trace, "y"), ("gamma", "h1"))


def test_numbers_of_mpmath_are_shown_as_floats_and_symbols_are_refused() -> None:
    import sympy

    net, _ = two_layers([1.0, -2.0])
    for library, refused in ((mpmath.mp, False), (sympy, True)):
        trace = gp.recursion.forward(net, [1.0, -2.0], numbers=library)
        if refused:
            trace = gp.recursion.forward(net, [1.0, -2.0], theta=list(sympy.symbols("t0:9")), numbers=library)
        g = gp.recursion.backpropagate(net, trace, "h1")
        if refused:
            with pytest.raises(gp.GraphpropError, match="symbols"):
                gp.explain(net, trace, g, ("gamma", "h1"))
        else:
            assert recomputed(gp.explain(net, trace, g, ("gamma", "h1")))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "k"), golden.CASES)
def test_numbers_of_mpmath_are_explained_to_forty_digits(name: str, k: int, form: Any) -> None:
    graph = golden.GRAPHS[name]
    net, goal = golden.build(graph), golden.objective(graph["expect"]["objectives"][k])
    with mpmath.workdps(50):
        trace = gp.recursion.forward(net, golden.inputs(graph), numbers=mpmath.mp)
        g = gp.recursion.backpropagate(net, trace, **goal)
    e = int(np.argmax(np.abs(np.array(g.weight_uses, dtype=float))))
    v = net.layout.names[int(np.searchsorted(net.layout.a_start, net.layout.row[e], side="right")) - 1]
    i = () if net.layout.nodes[net.layout.find(v)].n == 1 else (0,)
    what = ("delta" if net.layout.nodes[net.layout.find(v)].vector else "gamma", v, *i)
    explained = gp.explain(net, trace, g, what, form=form, depth=None, digits=40)
    told = np.ravel((g.delta if what[0] == "delta" else g.gamma)[v])[0]
    with mpmath.workdps(50):
        assert abs(mpmath.mpf(explained.root.result) - told) <= mpmath.mpf(10) ** -45 * abs(told)
    for symbol, lines in blocks(explained.text(width=10**9)):
        if len(lines) == 3 or (len(lines) == 2 and not re.search(r"[\w}]\[|w\(", lines[0])):
            again, result = computed(lines[-2]), computed(lines[-1])
            with mpmath.workdps(60):
                last_digit = mpmath.mpf(10) ** (mpmath.floor(mpmath.log10(abs(result) or 1)) - 39)
                assert abs(again - result) <= 1.5 * last_digit, (symbol, lines)


def test_no_more_digits_are_shown_than_the_numbers_carry() -> None:
    import sympy

    net, trace = two_layers([1.0, -2.0])
    cases = ((15, 17, mpmath.mp), (30, 33, mpmath.mp), (15, 17, None), (30, 17, sympy))
    for digits_given, digits_shown, numbers in cases:
        with mpmath.workdps(digits_given):
            trace = gp.recursion.forward(net, [1.0, -2.0], numbers=numbers)
        shown = gp.explain(net, trace, None, ("o", "h1"), digits=40).text(200).split("= ")[-1].split("\n")[0]
        assert len(re.sub(r"^0\.0*", "", shown)) <= digits_shown + 1, shown


@pytest.mark.parametrize("form", FORMS)
def test_one_style_of_brackets_a_negative_number_that_is_not_the_first_and_it_alone(form: Any) -> None:
    net, trace = two_layers([-1.0, -2.0])
    explained = gp.explain(net, trace, net.backward(trace, "y"), ("input", "x1"), form=form, depth=None)
    for text in (explained.text(width=10**9), TAG.sub("", explained.html()).replace("−", "-").replace("·", "*")):
        assert re.search(r"\* \(-[\d.]+\)", text)
        assert not re.search(r"[*+/] -", text)
        assert not re.search(r"\(-[\d.]+ \* \(?-?[\d.]+\)?\)", text)


@pytest.mark.parametrize("given", [None, 3, "net", np.array([1, 2]), gp])
def test_what_is_no_network_is_told(given: Any) -> None:
    net, trace = two_layers([1.0, -2.0])
    g = net.backward(trace, "y")
    for call in (
        lambda: gp.explain(given, trace, g, ("o", "h1")),
        lambda: gp.paths(given, trace, "x1", "y"),
        lambda: gp.draw(given, trace, g),
    ):
        with pytest.raises(gp.GraphpropError, match=r"a network is needed, a gp\.Network, not "):
            call()
    with pytest.raises(gp.GraphpropError, match="form is"):
        gp.explain(net, trace, g, ("o", "h1"), form=np.array(["children", "parents"]))  # type: ignore[arg-type]
    with pytest.raises(gp.GraphpropError, match="what is a tuple"):
        gp.explain(net, trace, g, (np.array(["o", "a"]),))
