"""The page as a file, and what it does about what is not there or too much."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.render.page import page_formulas, playback
from tests.cases import one_of
from tests.golden import CASES, GRAPHS, build, inputs, objective
from tests.pictures import HOSTILE, hostile_net, ladder
from tests.render.page_cases import (
    TAG,
    WIDE,
    Open,
    close,
    computed,
    exact,
    given,
    net,
    node,
    page_data,
    panel_rows,
    where,
)


def skips() -> gp.Network:
    """A short net whose legend is wider than its picture."""
    net = gp.Network("skip edges: one gradient, four paths")
    net.add_input("x")
    net.add_node("h1", "tanh", {"x": 0.5})
    net.add_node("h2", "tanh", {"h1": 1.5, "x": -0.5})
    net.add_node("y", "identity", {"h2": 2.0, "h1": -1.0, "x": 0.25})
    return net


# ------------------------------------------------------------------ what is not there, what is too much


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


@pytest.mark.parametrize(("nodes", "share"), [(90, 0.01), pytest.param(900, 1.0, marks=pytest.mark.thorough)])
def test_a_large_network_says_what_was_left_out(nodes: int, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, limit in ((page_formulas, "CHARACTERS"), (playback, "WORK")):
        monkeypatch.setattr(module, limit, int(share * getattr(module, limit)))
    drawn = ladder(nodes)
    trace = drawn.forward([1.0, 2.0, 3.0])
    drawing = gp.draw(drawn, trace, drawn.backward(trace, f"v{nodes - 1}"), layout="columns")
    data = page_data(drawing)
    assert len(drawing.html) < 8_000_000
    assert len(data["steps"]) == 1 + nodes - 3 + nodes
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


# ------------------------------------------------------------------ the file


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


@pytest.mark.parametrize("width", one_of(2, (320, 600, 700, 860, 1000)))
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


@pytest.mark.parametrize("style", one_of(3, ("display: inline-block", "float: left", "display: flex")))
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
