"""Pages in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import graphprop as gp
from tests.render.page_cases import (
    WIDE,
    Open,
    given,
    net,
)

USUAL = {"viewport": WIDE, "reduced_motion": "reduce"}


@pytest.fixture(scope="session")
def window(browser: Any) -> Any:
    """The page of all tests that ask for no special one, by turns: to make one takes longer than most of them."""
    return browser.new_context(**USUAL).new_page()


@pytest.fixture
def open_page(browser: Any, window: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a drawing from disk; it may write no error, ask nothing, and fetch nothing but itself."""
    troubles: list[str] = []
    paths: list[str] = []
    contexts = []
    watched = {
        "console": lambda message: troubles.append(f"console: {message.text}"),
        "pageerror": lambda error: troubles.append(f"error: {error}"),
        "dialog": lambda dialog: troubles.append(f"dialog: {dialog.message}"),
        "request": lambda request: request.url in paths or troubles.append(f"asks for {request.url}"),
    }

    def open_it(drawing: gp.Drawing, **options: Any) -> Any:
        paths.append(drawing.save(tmp_path / f"page{len(paths)}.html").as_uri())
        page = window
        if options:
            contexts.append(browser.new_context(**USUAL | options))
            page = contexts[-1].new_page()
        page.set_default_timeout(5000)
        for event, watch in watched.items():
            page.on(event, watch)
        page.goto(paths[-1])
        return page

    yield open_it
    for context in contexts:
        context.close()
    if len(paths) > len(contexts):
        for event, watch in watched.items():
            window.remove_listener(event, watch)
        window.mouse.move(0, 0)
        window.goto("about:blank")
    assert not troubles


@pytest.fixture
def page(open_page: Open) -> Any:
    drawn = net()
    return open_page(gp.draw(drawn, *given(drawn)))
