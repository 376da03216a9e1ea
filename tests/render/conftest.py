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
