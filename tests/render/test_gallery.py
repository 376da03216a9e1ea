"""The gallery: each example prints what the page says, and draws the pictures that are shown, byte for byte."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from pathlib import Path

import pytest

from tests.project import ROOT

GALLERY = (ROOT / "docs" / "gallery.md").read_text()
SHOWN = re.findall(r"\]\(\.\./examples/(\w+\.py)\) prints\n\n```text\n(.*?)```", GALLERY, re.DOTALL)
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))


@pytest.mark.parametrize(("script", "output"), SHOWN, ids=[script for script, _ in SHOWN])
def test_an_example_prints_and_draws_what_the_gallery_shows(
    script: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
    assert printed.getvalue() == output
    drawn = sorted(tmp_path.iterdir())
    assert drawn
    for picture in drawn:
        assert picture.read_bytes() == (ROOT / "docs" / "pictures" / picture.name).read_bytes(), (
            f"{picture.name} differs; run examples/{script} in docs/pictures and look at the picture"
        )


def test_every_picture_is_in_a_page_and_every_drawn_example_in_the_gallery() -> None:
    pages = GALLERY + (ROOT / "README.md").read_text()
    assert all(f"pictures/{picture.name})" in pages for picture in PICTURES)
    drawing = {script.name for script in (ROOT / "examples").glob("*.py") if "gp.draw" in script.read_text()}
    assert drawing == {script for script, _ in SHOWN}


def test_pictures_are_small() -> None:
    assert all(picture.stat().st_size < 60_000 for picture in PICTURES)
