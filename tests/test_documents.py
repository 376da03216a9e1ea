"""Every snippet of the README and the docs runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import graphprop as gp

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+?)(#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run_and_print_what_the_page_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = FENCE.findall(page.read_text())
    namespace: dict[str, Any] = {}
    for i, (language, code) in enumerate(blocks):
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"{page.name}, block {i}", "exec"), namespace)
        follows = blocks[i + 1] if i + 1 < len(blocks) else ("", "")
        expected = follows[1] if follows[0] == "text" else ""
        assert printed.getvalue() == expected, f"{page.name}, after:\n{code}"
    for written in tmp_path.glob("*.svg"):
        assert written.read_bytes() == (ROOT / "docs" / "pictures" / written.name).read_bytes(), written.name


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda script: script.name)
def test_examples_run(script: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", str(script)]
    environment = os.environ | {"PYTHONPATH": str(Path(gp.__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_activation_and_loss_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "derivation.md").read_text()
    for name in [*gp.ACTIVATIONS, *gp.LOSSES]:
        assert re.search(rf"\b{name}\b", text), name


def test_the_table_of_where_to_change_what_is_whole() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for module in (ROOT / "graphprop").rglob("*.py"):
        if not module.stem.startswith("__"):
            assert f"`{module.relative_to(ROOT).as_posix()}`" in text, module.name
