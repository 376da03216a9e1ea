"""The page, in a real browser: what it shows at each step is what the trace and the gradients hold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import graphprop as gp
from tests.golden import CASES, GRAPHS, build, inputs, objective
from tests.pictures import HOSTILE, hostile_net, ladder

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


def skips() -> gp.Network:
    """A short net whose legend is wider than its picture."""
    net = gp.Network("skip edges: one gradient, four paths")
    net.add_input("x")
    net.add_node("h1", "tanh", {"x": 0.5})
    net.add_node("h2", "tanh", {"h1": 1.5, "x": -0.5})
    net.add_node("y", "identity", {"h2": 2.0, "h1": -1.0, "x": 0.25})
    return net


def given(net: gp.Network) -> tuple[gp.Trace, gp.Gradients]:
    trace = net.forward({"x1": 1.0, "x2": -2.0})
    return trace, net.backward(trace, loss="half_squared", target={"y": 0.25})


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a drawing from disk; it may write no error, ask nothing, and fetch nothing but itself."""
    troubles: list[str] = []
    contexts = []

    def open_it(drawing: gp.Drawing, **options: Any) -> Any:
        path = drawing.save(tmp_path / f"page{len(contexts)}.html")
        context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce"} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: request.url == path.as_uri() or troubles.append(f"asks for {request.url}"))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not troubles


@pytest.fixture
def page(open_page: Open) -> Any:
    drawn = net()
    return open_page(gp.draw(drawn, *given(drawn)))


# ---------------------------------------------------------------- reading the page


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


def shown_as(page: Any, node: str) -> tuple[list[str], list[str]]:
    """What a node of the diagram shows of the forward pass, and what of the backward pass."""
    element = page.locator("g.node").filter(has=page.locator("title", has_text=re.compile(f"^{node}:")))
    return element.locator(".forward").all_text_contents(), element.locator(".backward").all_text_contents()


def where(page: Any) -> str:
    text: str = page.locator("#where").inner_text()
    return text


def view_box(page: Any) -> list[float]:
    return [float(x) for x in page.locator("#view > svg").get_attribute("viewBox").split()]


def lit(page: Any, kind: str = "node") -> set[str]:
    """The names of the nodes, or the first lines of the edges' titles, that are lit."""
    titles = page.locator(f"g.{kind}.lit > title").all_text_contents()
    return {title.split("\n")[0].split(":")[0] for title in titles}


# ---------------------------------------------------------------- the steps


def test_every_step_shows_the_numbers_of_the_trace_and_the_gradients(page: Any) -> None:
    trace, g = given(net())
    told = []
    for _ in range(20):
        page.keyboard.press("ArrowRight")
        title, rows = where(page), panel_rows(page)
        told.append((title, set(rows)))
        for symbol, lines in rows.items():
            expected = g.value if symbol == "J" else exact(symbol, trace, g)
            assert close(lines["result"], expected), (title, symbol)
            if "numbers" in lines:
                assert math.isclose(computed(lines["numbers"]), expected, rel_tol=2e-5), (title, symbol)
        if page.locator("#next").is_disabled():
            break
    assert told == [
        ("Forward 1 of 6: the inputs", {"o[x1]", "o[x2]"}),
        ("Forward 2 of 6: h1", {"a[h1]", "o[h1]"}),
        ("Forward 3 of 6: h2", {"a[h2]", "o[h2]"}),
        ("Forward 4 of 6: lonely", {"a[lonely]", "o[lonely]"}),
        ("Forward 5 of 6: y", {"a[y][0]", "a[y][1]", "o[y]"}),
        ("Forward 6 of 6: the loss J", {"J"}),
        ("Backward 1 of 8: where J is read", {"∂J/∂o[y]"}),
        ("Backward 2 of 8: y", Y),
        ("Backward 3 of 8: lonely", {"γ[lonely]", "∂J/∂w(x2, lonely)"}),
        ("Backward 4 of 8: h2", {"γ[h2]", "∂J/∂w(x1, h2)", "∂J/∂w(h1, h2)"}),
        ("Backward 5 of 8: h1", {"γ[h1]", "∂J/∂w(x1, h1)", "∂J/∂w(x2, h1)", "∂J/∂b[h1]"}),
        ("Backward 6 of 8: x2", {"∂J/∂o[x2]"}),
        ("Backward 7 of 8: x1", {"∂J/∂o[x1]"}),
        ("Backward 8 of 8: tied weights: the sum over their uses", {"∂J/∂θ[f]"}),
    ]


Y = {f"∂J/∂w({i}, {u}, y)" for i in (0, 1) for u in ("h1", "h2")}
Y |= {f"{letter}[y][{i}]" for i in (0, 1) for letter in ("δ", "∂J/∂b")}


def computed(numbers: str) -> float:
    """The value of a formula with the numbers put in."""
    text = re.sub(r"<sup>2</sup>", "**2", numbers).replace("·", "*").replace("−", "-")
    value: float = eval(text, {"exp": math.exp, "tanh": math.tanh})
    return value


def test_the_diagram_shows_what_is_computed_so_far_and_a_dash_for_the_rest(page: Any) -> None:
    whole = {v: shown_as(page, v) for v in ("x1", "h1", "h2", "y", "J")}
    assert not any("–" in numbers for pair in whole.values() for numbers in pair)
    for step, known in enumerate([{"x1"}, {"x1", "h1"}, {"x1", "h1", "h2"}]):
        page.keyboard.press("ArrowRight")
        for v, (forward, backward) in whole.items():
            values, slopes = shown_as(page, v)
            assert values == (forward if v in known else ["–"] * len(forward)), (step, v)
            assert slopes == ["–"] * len(backward), (step, v)
        assert page.locator("g.label .backward").evaluate_all("spans => spans.every(s => s.textContent === '–')")
    page.keyboard.press("End")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert where(page) == "Backward 4 of 8: h2"
    for v, (forward, backward) in whole.items():
        done = v in ("h2", "y", "J")
        assert shown_as(page, v) == (forward, backward if done else ["–"] * len(backward)), v
    page.keyboard.press("End")
    assert {v: shown_as(page, v) for v in whole} == whole
    page.keyboard.press("Home")
    assert {v: shown_as(page, v) for v in whole} == whole


def test_the_current_node_and_what_it_reads_are_marked(page: Any) -> None:
    def marked(kind: str, name: str) -> list[str]:
        titles = page.locator(f"g.{kind}.{name} > title").all_text_contents()
        return sorted(title.split("\n")[0].split(":")[0] for title in titles)

    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert (marked("node", "now"), marked("edge", "used")) == (["h2"], ["h1 → h2", "x1 → h2"])
    page.keyboard.press("End")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert (marked("node", "now"), marked("edge", "used")) == (["h1"], ["h1 → h2", "h1 → y"])


def test_steps_by_keys_buttons_and_slider(page: Any) -> None:
    keys = [("ArrowRight", "Forward 1"), ("ArrowRight", "Forward 2"), ("ArrowLeft", "Forward 1"), ("End", "Backward 8")]
    for key, at in [*keys, ("ArrowRight", "Backward 8"), ("Home", "Whole"), ("ArrowLeft", "Whole")]:
        page.keyboard.press(key)
        assert where(page).startswith(at), key
    for button, at in [("next", "Forward 1"), ("last", "Backward 8"), ("back", "Backward 7"), ("first", "Whole")]:
        page.click(f"#{button}")
        assert where(page).startswith(at), button
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    assert (where(page), page.input_value("#slider")) == ("Forward 1 of 6: the inputs", "1")
    page.locator("#slider").fill("9")
    assert where(page) == "Backward 3 of 8: lonely"
    assert page.get_attribute("#slider", "aria-valuetext") == where(page)
    assert page.locator("#live").inner_text().startswith("Backward 3 of 8: lonely. γ[lonely] = 0")


def test_play_goes_on_by_itself_pauses_and_ends(open_page: Open) -> None:
    drawn = net()
    page = open_page(gp.draw(drawn, *given(drawn)))
    page.clock.install()
    page.keyboard.press(" ")
    assert where(page).startswith("Forward 1 ")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.clock.run_for(1400)
    assert where(page).startswith("Forward 2 ")
    page.click("#play")
    page.clock.run_for(10_000)
    assert where(page).startswith("Forward 2 ")
    page.select_option("#speed", "500")
    page.click("#play")
    page.clock.run_for(1_100)
    assert where(page).startswith("Forward 5 ")
    page.clock.run_for(20_000)
    assert where(page).startswith("Backward 8 ")
    assert page.get_attribute("#play", "aria-label") == "Play"


# ---------------------------------------------------------------- explanations and paths


def node(page: Any, name: str) -> Any:
    return page.locator("g.node").filter(has=page.locator("title", has_text=re.compile(f"^{name}:")))


def test_a_click_on_a_node_explains_its_numbers_to_any_depth(page: Any) -> None:
    trace, g = given(net())
    node(page, "h1").click()
    rows = panel_rows(page, "#told")
    assert page.locator("#told h2").inner_text() == "h1 sigmoid"
    assert set(rows) == {"a[h1]", "o[h1]", "γ[h1]", "∂J/∂o[h1]", "∂J/∂b[h1]"}
    assert all(close(lines["result"], exact(symbol, trace, g)) for symbol, lines in rows.items())
    gamma = page.locator("#told > .number").filter(has=page.locator("> .symbol", has_text="γ[h1]"))
    gamma.locator("> details > summary").click()
    delta = gamma.locator("> details > .terms > li").filter(has_text=re.compile(r"δ\[y\]\W?\[1\] ="))
    delta.locator("> details > summary").click()
    assert close(delta.locator(".number > .result").inner_html(), g.delta["y"][1])
    delta.locator(".number > details > summary").click()
    slope = (
        delta.locator(".terms .terms > li")
        .filter(has_text="∂J/∂o[y] =")
        .or_(delta.locator(".number .terms > li").filter(has_text="∂J/∂o[y] ="))
    )
    assert close(slope.first.inner_html().split(" = ")[-1].split("<")[0], g.o["y"])
    page.keyboard.press("Escape")
    assert page.locator("#told").is_hidden()


def test_a_click_on_an_edge_explains_its_weight_and_a_tied_one_its_sum(page: Any) -> None:
    trace, g = given(net())
    page.locator("g.edge").filter(has=page.locator("title", has_text=re.compile("^x1 → h2"))).dispatch_event("click")
    rows = panel_rows(page, "#told")
    assert set(rows) == {"w(x1, h2)", "∂J/∂w(x1, h2)", "∂J/∂θ[f]"}
    assert close(rows["w(x1, h2)"]["result"], 0.75)
    assert close(rows["∂J/∂w(x1, h2)"]["result"], g.weight["x1", "h2"])
    assert close(rows["∂J/∂θ[f]"]["result"], g.parameter["f"])
    assert "γ[h1]" in TAG.sub("", rows["∂J/∂θ[f]"]["formula"])
    page.locator("#told .chips button", has_text="h2").click()
    assert page.locator("#told h2").inner_text() == "h2 tanh"
    assert trace.o["h2"]


def test_a_click_in_the_diagram_hits_the_line_of_an_edge_and_its_label(page: Any) -> None:
    edge = page.locator("g.edge").filter(has=page.locator("title", has_text=re.compile("^x2 → lonely")))
    x, y = edge.locator(".hit").evaluate(
        "path => { const p = path.getPointAtLength(path.getTotalLength() * 0.3).matrixTransform(path.getScreenCTM());"
        " return [p.x, p.y + 4]; }"
    )
    page.mouse.click(x, y)
    assert page.locator("#told h2").inner_text() == "x2 → lonely edge"
    page.locator("g.label").first.click()
    assert page.locator("#told h2").inner_text() == "x1 → h1 edge"


def test_the_largest_paths_are_those_of_the_library_and_light_up(page: Any) -> None:
    drawn = net()
    trace, g = given(drawn)
    expected = gp.paths(drawn, trace, "x1", "y", top=5)
    by_output = g.o["y"]  # the page is about J
    node(page, "x1").click()
    page.mouse.move(5, 5)
    amounts = page.locator("#told .path > .amount").all_inner_texts()
    shown = [path.contribution for path in expected.top] + ([expected.rest] if expected.rest_count else [])
    shown = [by_output * x for x in shown]
    assert len(amounts) == len(shown)
    assert all(close(text, x) for text, x in zip(amounts, shown, strict=True))
    told = page.locator("#told").inner_text()
    assert f"the largest of {expected.count} paths" in told
    assert f"∂J/∂o[x1] = {g.input['x1']:.6g}".replace("-", "−") in told
    products = [text for text in page.locator("#told .path .product").all_inner_texts() if text[0] != "="]
    assert products
    assert all(product.endswith(" · ∂J/∂o[y]") for product in products)
    buttons = page.locator("#told .path button")
    assert buttons.all_inner_texts() == [" → ".join(path.nodes) for path in expected.top]
    buttons.first.click()
    page.mouse.move(5, 5)
    assert lit(page) == set(expected.top[0].nodes)
    assert buttons.first.get_attribute("aria-pressed") == "true"
    page.locator("#told .chips button").first.click()
    assert lit(page) == set(), "another choice, another light"
    node(page, "x1").click()
    page.mouse.move(5, 5)
    buttons.first.click()
    page.mouse.move(5, 5)
    assert lit(page) == set(expected.top[0].nodes)
    page.keyboard.press("Escape")
    assert lit(page) == set()


def test_the_paths_of_a_page_add_up_to_the_derivative_it_is_about() -> None:
    drawn = gp.Network()
    drawn.add_input("x")
    drawn.add_node("h", "tanh", {"x": 0.5})
    drawn.add_node("y", "sigmoid", {"h": 2.0, "x": -1.0})  # it is read, and passed on
    drawn.add_node("z", "square", {"y": 1.5, "h": 0.25})
    drawn.set_outputs(["y", "z"])
    trace = drawn.forward([0.75])
    g = drawn.backward(trace, loss="half_squared", target=[0.5, 0.25])
    for goal, derivatives in ((g, {"n0": g.input["x"], "n1": g.gamma["h"]}), (drawn.backward(trace, "z"), None)):
        paths = page_data(gp.draw(drawn, trace, goal))["paths"]
        if derivatives is None:
            assert {told["symbol"] for told in paths["n1"]} == {"∂o[z]/∂a[h]"}
            continue
        for node, derivative in derivatives.items():
            by = {"n0": "∂J/∂o[x]", "n1": "∂J/∂a[h]"}[node]
            assert [told["symbol"] for told in paths[node]] == [f"{by} through o[y]", f"{by} through o[z]"]
            assert sum(number(told["total"]) for told in paths[node]) == pytest.approx(derivative, rel=1e-5)
            last = [told["paths"][0]["formula"].split(" · ")[-1] for told in paths[node]]
            assert last == ["direct[y]", "∂J/∂o[z]"]
            for row in [row for told in paths[node] for row in told["paths"]]:
                assert computed(row["numbers"]) == pytest.approx(number(row["amount"]), rel=1e-3)


def test_hover_lights_ancestors_and_descendants(page: Any) -> None:
    graph = nx.DiGraph(net().graph.edges)
    graph.add_edge("y", "J")
    for name in ("h2", "x2", "lonely", "J"):
        node(page, name).hover()
        assert lit(page) == nx.ancestors(graph, name) | nx.descendants(graph, name) | {name}, name
    node(page, "h2").hover()
    assert lit(page, "edge") == {"x1 → h1", "x2 → h1", "x1 → h2", "h1 → h2", "h2 → y"} | {
        "the loss reads the output of y"
    }
    page.mouse.move(5, 5)
    assert lit(page) == set()


# ---------------------------------------------------------------- search, view


def test_search_finds_marks_and_goes_to_a_node(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("H")
    assert page.locator("#found [role=option]").all_inner_texts() == ["h1", "h2"]
    assert page.get_attribute("#search", "aria-expanded") == "true"
    assert page.locator("g.node.found").count() == 2
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#search", "aria-activedescendant") == "found-1"
    page.keyboard.press("Enter")
    assert page.locator("#told h2").inner_text() == "h2 tanh"
    assert page.locator("g.node.found").count() == 0
    page.fill("#search", "nothing like it")
    assert page.locator("#found").inner_text() == "no node of this name"
    page.keyboard.press("Escape")
    assert page.locator("#found").is_hidden()
    page.fill("#search", "lone")
    page.locator("#found li").click()
    assert page.locator("#told h2").inner_text() == "lonely square"


def test_a_found_node_out_of_view_comes_into_view(open_page: Open) -> None:
    drawn = ladder(90)
    page = open_page(gp.draw(drawn, drawn.forward([1.0, 2.0, 3.0]), layout="columns"))
    for name in ("v80", "v3"):
        page.fill("#search", name)
        page.keyboard.press("Enter")
        frame, at = page.locator("#view").bounding_box(), node(page, name).bounding_box()
        assert 0 <= at["x"] - frame["x"] <= frame["width"] - at["width"], name
        assert at["width"] > 20, "it can be read"


def test_pan_zoom_and_fit(page: Any) -> None:
    fitted = view_box(page)
    frame = page.locator("#view").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] - 10
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50, y - 30, steps=4)
    page.mouse.up()
    moved = view_box(page)
    assert moved[0] < fitted[0]
    assert moved[1] > fitted[1]
    assert moved[2:] == fitted[2:]
    assert page.locator("#told").is_hidden(), "a drag is no click"
    page.mouse.wheel(0, -300)
    near = view_box(page)
    assert near[2] < moved[2]
    under = [b[0] + b[2] * (0.5 + 50 / frame["width"]) for b in (moved, near)]
    assert math.isclose(*under, abs_tol=0.5), "the place under the pointer stays"
    for key, grows in [("-", True), ("+", False), ("Shift+ArrowRight", None)]:
        before = view_box(page)
        page.keyboard.press(key)
        after = view_box(page)
        assert after != before
        assert grows is None or (after[2] > before[2]) == grows, key
    for fit in (lambda: page.keyboard.press("0"), lambda: page.click("#fit")):
        page.click("#closer")
        assert view_box(page) != fitted
        fit()
        assert view_box(page) == pytest.approx(fitted, abs=1.0)


def test_one_escape_after_a_search_closes_what_was_found(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("h2")
    page.keyboard.press("Enter")
    assert page.locator("#told h2").inner_text() == "h2 tanh"
    page.keyboard.press("Escape")
    assert page.locator("#told").is_hidden()
    page.keyboard.press("/")
    page.keyboard.type("h1")
    assert page.locator("g.node.found").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("g.node.found").count() == 0


def test_the_status_line_says_what_is_there_after_a_search(page: Any) -> None:
    def told() -> str:
        text: str = page.locator("#live").inner_text()
        return text

    page.keyboard.press("/")
    page.keyboard.type("h")
    assert told() == "2 nodes found"
    page.keyboard.type("1")
    assert told() == "1 node found"
    page.keyboard.press("Escape")
    assert told() == "", "nothing is searched for"
    page.keyboard.press("/")
    page.keyboard.type("h1")
    page.keyboard.press("Enter")
    assert told() == "h1, sigmoid, is explained"
    page.keyboard.press("Escape")
    assert page.locator("#told").is_hidden()
    assert told() == "Whole picture"
    page.click("#next")
    node(page, "h1").click()
    assert told() == "h1, sigmoid, is explained"
    page.click("#told .close")
    assert told() == where(page), "the step that is shown"


# ---------------------------------------------------------------- keys, colours, sizes


def test_everything_is_reached_by_the_keyboard_alone(page: Any) -> None:
    order = []
    for _ in range(30):
        page.keyboard.press("Tab")
        at = page.evaluate(
            "[document.activeElement.id, document.activeElement.getAttribute('aria-label'),"
            " document.activeElement.className.toString()]"
        )
        order.append(at[0] or at[2])
        if order[-1] == "speed":
            break
    seen = [name for name in order if not name.startswith("gp")]
    assert seen == ["skip", "search", "theme", "closer", "farther", "fit", "play", "next", "last", "slider", "speed"]
    assert len(order) - len(seen) == 7, "every node, and the loss"
    node(page, "h2").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert lit(page) == {"x1", "x2", "h1", "h2", "y", "J"}
    assert node(page, "h2").locator(".ring").evaluate("ring => getComputedStyle(ring).strokeWidth") == "5px"
    page.keyboard.press("Enter")
    assert page.locator("#told h2").inner_text() == "h2 tanh"
    page.keyboard.press("ArrowRight")
    assert where(page).startswith("Forward 1 "), "arrows step from wherever the focus is"


def test_everything_has_a_name_for_those_who_listen(page: Any) -> None:
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, section, [role=button]')].filter(e => !("
        "e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.outerHTML)"
    )
    assert nameless == []
    assert node(page, "h1").get_attribute("aria-label").startswith("h1: sigmoid, ")
    assert page.locator("#view > svg").get_attribute("role") == "group"


def luminance(colour: str) -> float:
    parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    r, g, b = ((x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4) for x in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(page: Any, selector: str, background: str, of: str = "color") -> float:
    read = "(e, name) => getComputedStyle(e)[name]"
    one = luminance(page.locator(selector).first.evaluate(read, of))
    other = luminance(page.locator(background).first.evaluate(read, "backgroundColor"))
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_dark_and_light_by_the_system_and_by_the_switch(open_page: Open) -> None:
    drawn = net()
    drawing = gp.draw(drawn, *given(drawn))
    for scheme in ("light", "dark"):
        page = open_page(drawing, color_scheme=scheme)

        def ground(page: Any = page) -> float:
            return luminance(page.locator(".graphprop-page").evaluate("e => getComputedStyle(e).backgroundColor"))

        assert (ground() > 0.5) == (scheme == "light")
        for switched in range(2):
            for selector, background in [
                ("h1", ".graphprop-page"),
                ("#subtitle", ".graphprop-page"),
                (".hint", "#step"),
                ("summary", ".graphprop-page"),
                ("#play", "#play"),
                ("#where", "#stepper"),
            ]:
                assert contrast(page, selector, background) >= 4.5, (scheme, switched, selector)
            for colour in ("#111111", "#5a5a5a", "#a34d00", "#34499a"):
                text = f'#view .label tspan[fill="{colour}"]'
                if page.locator(text).count():
                    assert contrast(page, text, "#diagram", "fill") >= 4.5, (scheme, switched, colour)
            assert contrast(page, "#view .edge path:not(.hit)", "#diagram", "stroke") >= 3
            page.click("#theme")
        page.click("#theme")
        assert (ground() > 0.5) == (scheme == "dark")
        assert page.get_attribute("#theme", "aria-pressed") == str(scheme == "light").lower()


@pytest.mark.parametrize(
    "screen",
    [
        {"viewport": {"width": 640, "height": 360}, "device_scale_factor": 2},  # 1280 x 720 at 200 %
        {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True},
        {"viewport": {"width": 320, "height": 568}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True},
    ],
    ids=["200 %", "phone", "small phone"],
)
def test_zoomed_and_on_a_phone_nothing_is_cut_off_sideways(open_page: Open, screen: dict[str, Any]) -> None:
    page = open_page(gp.draw(drawn := net(), *given(drawn)), **screen)
    width = screen["viewport"]["width"]
    for step in range(12):
        assert page.evaluate("document.documentElement.scrollWidth") <= width, step
        page.click("#next")
    page.fill("#search", "y")
    page.keyboard.press("Enter")
    assert page.locator("#told h2").inner_text() == "y softmax-dot"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for id_ in ("search", "theme", "closer", "fit", "first", "back", "play", "next", "last", "slider", "where"):
        at = page.locator(f"#{id_}").bounding_box()
        assert 0 <= at["x"] <= width - at["width"], id_
        assert id_ in ("slider", "where") or min(at["width"], at["height"]) >= 32, id_
    sizes = page.locator("#told .result").evaluate_all("all => all.map(e => parseFloat(getComputedStyle(e).fontSize))")
    assert min(sizes) >= 14
    assert page.locator("#told").bounding_box()["width"] > 0.85 * width


def test_two_fingers_zoom(open_page: Open) -> None:
    page = open_page(
        gp.draw(drawn := net(), *given(drawn)), viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    before = view_box(page)
    frame = page.locator("#view").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: float) -> None:
        touched = [{"x": x + dx, "y": y, "id": i} for i, dx in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})

    touch("touchStart", -30, 30)
    touch("touchMove", -60, 60)
    touch("touchMove", -90, 90)
    touch("touchEnd")
    assert view_box(page)[2] < 0.6 * before[2]


# ---------------------------------------------------------------- what is not there, what is too much


def test_of_a_structure_alone_nothing_is_played_and_every_number_is_a_dash(open_page: Open) -> None:
    page = open_page(gp.draw(net()))
    assert page.locator("#play").is_disabled()
    assert page.locator("#slider").is_disabled()
    assert "with a trace there are values" in page.locator("#step").inner_text()
    node(page, "h1").click()
    rows = panel_rows(page, "#told")
    assert {symbol: lines["result"] for symbol, lines in rows.items()} == {"a[h1]": "–", "o[h1]": "–"}
    assert (
        TAG.sub("", rows["a[h1]"]["formula"]).replace("&nbsp;", " ") == "b[h1] + w(x1, h1) · o[x1] + w(x2, h1) · o[x2]"
    )
    assert rows["a[h1]"]["numbers"] == "0.125 + 0.5 · – + 0.75 · –"


def test_of_a_trace_alone_the_forward_pass_is_played(open_page: Open) -> None:
    drawn = net()
    trace = drawn.forward({"x1": 1.0, "x2": -2.0})
    page = open_page(gp.draw(drawn, trace))
    page.keyboard.press("End")
    assert where(page) == "Forward 5 of 5: y"
    assert close(panel_rows(page)["o[y]"]["result"], trace.o["y"])
    node(page, "h1").click()
    assert set(panel_rows(page, "#told")) == {"a[h1]", "o[h1]"}
    assert page.locator("#told .path").count(), "paths need no gradient"


def test_what_was_not_asked_for_is_a_dash(tmp_path: Path) -> None:
    drawn = net()
    trace, _ = given(drawn)
    g = gp.recursion.backpropagate(drawn, trace, "y", form="parents", of=["h1"])
    data = page_data(gp.draw(drawn, trace, g))
    values = {TAG.sub("", entry["symbol"]): entry["value"] for entry in data["numbers"]}
    assert values["γ[h2]"] == values["∂o[y]/∂w(x1,\u00a0h2)"] == "–"
    assert close(values["γ[h1]"], g.gamma["h1"])


def test_a_summary_says_why_nothing_is_played(open_page: Open) -> None:
    drawn = ladder(1200)
    page = open_page(gp.draw(drawn, drawn.forward([1.0, 2.0, 3.0])))
    assert page.locator("#play").is_disabled()
    assert "This is a summary" in page.locator("#step").inner_text()
    page.locator("g.node").first.dispatch_event("click")
    assert "nodes" in page.locator("#told").inner_text()


def test_a_large_network_says_what_was_left_out() -> None:
    drawn = ladder(900)
    trace = drawn.forward([1.0, 2.0, 3.0])
    drawing = gp.draw(drawn, trace, drawn.backward(trace, "v899"), layout="columns")
    data = page_data(drawing)
    assert len(drawing.html) < 8_000_000
    assert len(data["steps"]) == 1 + 897 + 900
    left_out = [note for note in data["notes"] if "left out" in note]
    assert any(note.startswith("The formulas of ") for note in left_out)
    assert any(note.startswith("The largest paths from ") for note in left_out)


def test_a_long_sum_shows_its_largest_terms_and_the_rest() -> None:
    drawn = gp.Network()
    drawn.add_input("x", size=200)
    weights = np.linspace(-1.0, 1.0, 200) ** 3
    drawn.add_node("y", "identity", {"x": weights})
    trace = drawn.forward(np.ones(200))
    (entry,) = [e for e in page_data(gp.draw(drawn, trace))["numbers"] if e["symbol"] == "<i>a</i>[y]"]
    assert entry["formula"].count(" · ") == 11
    assert entry["formula"].endswith("(189 more terms)")
    assert math.isclose(computed(entry["numbers"]), weights.sum(), abs_tol=1e-5)


# ---------------------------------------------------------------- the file


def page_data(drawing: gp.Drawing) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', drawing.html, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.mark.parametrize(("name", "k"), CASES, ids=lambda x: str(x))
def test_every_number_told_is_that_of_the_golden_graphs_trace_and_gradients(name: str, k: int) -> None:
    drawn = build(GRAPHS[name])
    trace = drawn.forward(inputs(GRAPHS[name]))
    g = drawn.backward(trace, **objective(GRAPHS[name]["expect"]["objectives"][k]))
    data = page_data(gp.draw(drawn, trace, g, layout="columns"))
    places = {place for rows in data["of"].values() for _, numbers, _ in rows for place in numbers}
    checked = 0
    for place in places:
        entry = data["numbers"][place]
        symbol = TAG.sub("", entry["symbol"]).replace("\u00a0", " ")
        if symbol[0] in "aoγδ∂":
            assert float(entry["exact"]) == exact(symbol, trace, g), symbol
            assert close(entry["value"], exact(symbol, trace, g)), symbol
            checked += 1
    assert checked >= 2 * len(drawn.nodes)


def test_hostile_names_stay_text(open_page: Open) -> None:
    drawn = hostile_net()
    trace = drawn.forward([1.0])
    page = open_page(gp.draw(drawn, trace, drawn.backward(trace, 'out"]; x [label="p'), layout="columns"))
    page.keyboard.press("ArrowRight")
    for _ in range(50):
        page.keyboard.press("ArrowRight")
    assert page.locator("#next").is_disabled()
    for element in page.locator("g.node").all():
        element.dispatch_event("click")
        page.locator("#told > .number > details > summary").first.dispatch_event("click")
    for name in (HOSTILE[1], "javascript:", "-->"):
        page.fill("#search", name)
        assert page.locator("#found [role=option]").count() >= 1, name
        assert name in page.locator("#found [role=option]").first.inner_text()
        page.keyboard.press("Enter")
        assert name in page.locator("#told h2").inner_text()
    assert page.title() == '<b>&title\\N"</b>'
    assert page.evaluate("document.scripts.length") == 2
    strange = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('svg') && ["
        "'B', 'IMG', 'A', 'IFRAME', 'LINK'].includes(e.tagName) && e.className !== 'skip').length"
    )
    assert strange == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDE["width"]


def test_the_policy_forbids_every_other_script_style_and_source(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(gp.draw(net()).save(tmp_path / "page.html").as_uri())
    blocked = page.evaluate(
        """async () => {
        const blocked = [];
        document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
        const add = (tag, values) => document.body.append(Object.assign(document.createElement(tag), values));
        add("script", { textContent: "window.ran = true" });
        add("style", { textContent: "body { color: red }" });
        add("img", { src: "x.png" });
        document.body.insertAdjacentHTML("beforeend", '<i onclick="window.ran = true">x</i>');
        document.body.lastChild.click();
        await new Promise((done) => setTimeout(done, 100));
        return [...blocked, String(window.ran)];
        }"""
    )
    assert sorted(blocked) == ["img-src", "script-src-attr", "script-src-elem", "style-src-elem", "undefined"]
    page.close()


AROUND = """<!DOCTYPE html><html><head><style>h2 { color: rgb(1, 2, 3) }</style></head><body>
<h1>A notebook</h1><h2>of somebody</h2><p class="hint">text <a href="#x">link</a></p><button id="play">run</button>
<header>its own</header><main><section id="step">cell</section></main><input id="search"><select id="speed"></select>
<details><summary>more</summary></details><footer><dl><dt>a</dt><dd>b</dd></dl></footer>
<div id="here" style="height: 800px"></div>
<div id="there" style="height: 800px"></div></body></html>"""
STYLES = """() => JSON.stringify([document.documentElement, ...document.querySelectorAll("body, body *")].filter(
    e => !e.closest("#here, #there")).map(e => [e.tagName, ...Object.entries(getComputedStyle(e))]))"""
PUT_IN = """([place, html]) => {
    const box = document.getElementById(place);
    box.innerHTML = html;
    for (const old of box.querySelectorAll("script:not([type])")) {
        const script = document.createElement("script");
        script.textContent = old.textContent;
        old.replaceWith(script);
    }
}"""  # as a notebook does


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_put_into_another_document_it_changes_nothing_outside_and_works_twice(browser: Any, scheme: str) -> None:
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", color_scheme=scheme)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.set_content(AROUND)
    page.evaluate(
        "document.getElementById('here').style.height = document.getElementById('there').style.height = '800px'"
    )
    before = page.evaluate(STYLES)
    drawn = net()
    for place, drawing in (("here", gp.draw(drawn, *given(drawn))), ("there", gp.draw(gp.mlp([2, 2, 1], seed=0)))):
        page.evaluate(PUT_IN, [place, drawing.html])
    assert page.evaluate(STYLES) == before
    page.click("body > h1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("d")
    assert page.locator("#here #where").inner_text() == "Whole picture"
    page.click("#here #next")
    page.keyboard.press("ArrowRight")
    assert page.locator("#here #where").inner_text() == "Forward 2 of 6: h1"
    assert page.locator("#there #where").inner_text() == "No steps"
    page.locator("#there g.node").first.click()
    assert page.locator("#there #told").is_visible()
    assert page.locator("#here #told").is_hidden()
    assert page.locator("#here #view svg").bounding_box()["height"] > 200
    context.close()
    assert not troubles


@pytest.mark.parametrize("width", [320, 600, 700, 860, 1000])
def test_in_a_place_narrower_than_the_window_nothing_is_cut_off(browser: Any, width: int) -> None:
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.set_content(f"<div id='here' style='width: {width}px'></div>")
    drawn = skips()
    trace = drawn.forward({"x": 1.0})
    page.evaluate(PUT_IN, ["here", gp.draw(drawn, trace, drawn.backward(trace, "y"), layout="columns").html])
    page.wait_for_function("document.querySelector('#view > svg').getAttribute('viewBox')")
    stood = {}
    cards = ("here", "diagram", "stepper")
    buttons = ("search", "theme", "closer", "farther", "fit", "first", "back", "play", "next", "last", "slider")
    for name in (*cards, *buttons):
        stood[name] = page.locator(f"#{name}").bounding_box()
    stood |= {name: page.locator(f"#view .{name}").bounding_box() for name in ("picture", "legend")}
    page.close()

    def inside(name: str, card: str) -> bool:
        inner, outer = stood[name], stood[card]
        return bool(outer["x"] - 0.5 <= inner["x"] and inner["x"] + inner["width"] <= outer["x"] + outer["width"] + 0.5)

    assert [card for card in cards if not inside(card, "here")] == []
    assert [name for name in ("search", "theme") if not inside(name, "here")] == []
    assert [name for name in ("picture", "legend", "closer", "farther", "fit") if not inside(name, "diagram")] == []
    assert [name for name in buttons[5:] if not inside(name, "stepper")] == []
    assert stood["diagram"]["width"] > 0.45 * width


@pytest.mark.parametrize("style", ["display: inline-block", "float: left", "display: flex"])
def test_in_a_place_as_wide_as_its_content_there_is_still_a_page(browser: Any, style: str) -> None:
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.set_content(f"<div id='here' style='{style}'></div>")
    page.evaluate(PUT_IN, ["here", gp.draw(net()).html])
    assert page.locator("#here #diagram").bounding_box()["width"] > 250
    page.close()


def test_a_low_window_scrolls_and_keeps_the_diagram_large_enough(open_page: Open) -> None:
    page = open_page(gp.draw(drawn := net(), *given(drawn)), viewport={"width": 1000, "height": 300})
    assert page.locator("#diagram").bounding_box()["height"] > 200
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000
    page.locator("#last").click()
    assert where(page).startswith("Backward")


def test_a_picture_that_is_wider_than_its_place_is_shown_smaller(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 500, "height": 400})
    page.set_content(f"<body style='margin: 0'>{gp.draw(ladder(12)).svg}</body>")
    picture = page.locator("svg")
    width, height = (float(picture.get_attribute(side)) for side in ("width", "height"))
    box = picture.bounding_box()
    assert width > 500
    assert box["width"] == pytest.approx(500)
    assert box["height"] == pytest.approx(500 * height / width, rel=0.01)
    path = gp.draw(ladder(4)).save(tmp_path / "net.svg")
    page.set_content("<img>")
    page.goto(path.as_uri())
    assert page.locator("svg").count() == 1
    page.close()


def test_the_file_stands_alone_and_is_the_same_each_time(tmp_path: Path) -> None:
    drawn = net()
    one, other = (gp.draw(drawn, *given(drawn)).save(tmp_path / f"{i}.html").read_text("utf-8") for i in range(2))
    assert one == other
    assert re.findall(r'(?:src|href)="([^"]*)"', one) == ["#stepper"]
    assert set(re.findall(r"https?://[^\"' ]*", one)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in one
    assert "@import" not in one
