"""The page in a browser: search, view, keys, colours, sizes."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

import graphprop as gp
from tests.cases import one_of
from tests.pictures import ladder
from tests.render.page_cases import (
    Open,
    given,
    lit,
    net,
    node,
    view_box,
    where,
)

# ------------------------------------------------------------------ search, view


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


# ------------------------------------------------------------------ keys, colours, sizes


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
    one_of(
        2,
        [
            {"viewport": {"width": 640, "height": 360}, "device_scale_factor": 2},  # 1280 x 720 at 200 %
            {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True},
            {"viewport": {"width": 320, "height": 568}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True},
        ],
    ),
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
