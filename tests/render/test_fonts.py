"""Text has the room it takes, in each of the fonts that a picture asks for, measured by a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from graphprop.render.drawn.lettering import FONTS, STYLES, width
from tests.render.test_svg import convolution, drawn, heads, partial, unrolled

FAMILIES = [family.strip("' ") for family in FONTS.removesuffix(", sans-serif").split(",")]
OUR_SIGNS = "γδ∂∝√·∞−–…"
TEXT = re.compile("[ -~]")

# Of all texts, boxes and lines of a picture the places, and of texts the words.
PLACES = """() => [...document.querySelectorAll("svg text, svg .legend :is(rect, path)")].map(e => {
    const b = e.getBBox(), m = e.getCTM();
    return [e.tagName, b.x * m.a + m.e, b.y * m.d + m.f, b.width, b.height, e.textContent];
})"""


@pytest.fixture(scope="module")
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 4000, "height": 3000})  # nothing is scaled down
    yield page
    page.close()


@pytest.fixture(scope="module", params=FAMILIES)
def font(request: Any, page: Any) -> Any:
    """A page in which a font is there, and the name of the font."""
    measure = """(family) => ["monospace", "serif"].map(other => {
        const context = document.createElement("canvas").getContext("2d");
        context.font = `40px '${family}', ${other}`;
        return context.measureText("iiiWWW").width;
    })"""
    plain, serif = page.evaluate(measure, request.param)
    if plain != serif:
        pytest.skip(f"{request.param} is not installed")
    return page, request.param


def test_no_text_is_wider_than_it_is_said_to_be(font: Any) -> None:
    page, family = font
    texts = (
        [chr(k) for k in range(32, 127)] + list(OUR_SIGNS) + ["node fill, bold: output", "sign of ∂J/∂w", "−0.5  ∂ "]
    )
    texts += ["leaky-relu", "WWW", "a_node_with_a_very_long_name", "Ä Ö ß é ñ ø", "жук", "αβθσΣ"]
    for style, look in STYLES.items():
        css = f"{'italic ' * look.italic}{'bold ' * look.bold}{look.size}px '{family}'"
        widths = page.evaluate(
            "([css, texts]) => { const c = document.createElement('canvas').getContext('2d'); c.font = css;"
            " return texts.map(t => c.measureText(t).width); }",
            [css, texts],
        )
        for text, wide in zip(texts, widths, strict=True):
            assert wide <= width(text, style) + 0.02 * look.size, (text, style)


@cache
def svg(make: Any) -> str:
    return drawn(make()).svg


@pytest.mark.parametrize("make", [convolution, heads, partial, unrolled])
def test_no_text_runs_into_another_or_into_a_line_of_the_legend(font: Any, make: Any) -> None:
    page, family = font
    page.set_content(re.sub(r'font-family="[^"]*"', f'font-family="{family}"', svg(make)))
    places = page.evaluate(PLACES)
    texts = [(x, y, w, h, said) for tag, x, y, w, h, said in places if tag == "text" and said.strip()]
    others = [(x, y, w, h, tag) for tag, x, y, w, h, _ in places if tag != "text"]
    assert len(texts) > 20
    for i, (x, y, w, h, said) in enumerate(texts):
        for x2, y2, w2, h2, other in texts[i + 1 :]:
            apart = max(x2 - (x + w), x - (x2 + w2))
            beside = min(y + h, y2 + h2) - max(y, y2) > 0.6 * min(h, h2)
            assert not beside or apart > 2, (said, other)
        for x2, y2, w2, h2, _ in others:
            inside = x2 <= x and x + w <= x2 + w2
            beside = min(y + h, y2 + h2) - max(y, y2) > 0
            assert inside or not beside or max(x2 - (x + w), x - (x2 + w2)) > 2, said
