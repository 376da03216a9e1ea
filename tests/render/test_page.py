"""The page, in a real browser: what it shows at each step is what the trace and the gradients hold."""

from __future__ import annotations

import math
import re
from typing import Any

import networkx as nx
import pytest

import graphprop as gp
from tests.render.page_cases import (
    TAG,
    Open,
    close,
    computed,
    exact,
    given,
    lit,
    net,
    node,
    number,
    page_data,
    panel_rows,
    where,
)

# ------------------------------------------------------------------ reading the page


def shown_as(page: Any, node: str) -> tuple[list[str], list[str]]:
    """What a node of the diagram shows of the forward pass, and what of the backward pass."""
    element = page.locator("g.node").filter(has=page.locator("title", has_text=re.compile(f"^{node}:")))
    return element.locator(".forward").all_text_contents(), element.locator(".backward").all_text_contents()


# ------------------------------------------------------------------ the steps


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


# ------------------------------------------------------------------ explanations and paths


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
        for place, derivative in derivatives.items():
            by = {"n0": "∂J/∂o[x]", "n1": "∂J/∂a[h]"}[place]
            assert [told["symbol"] for told in paths[place]] == [f"{by} through o[y]", f"{by} through o[z]"]
            assert sum(number(told["total"]) for told in paths[place]) == pytest.approx(derivative, rel=1e-5)
            last = [told["paths"][0]["formula"].split(" · ")[-1] for told in paths[place]]
            assert last == ["direct[y]", "∂J/∂o[z]"]
            for row in [row for told in paths[place] for row in told["paths"]]:
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
