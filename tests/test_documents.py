"""Every snippet of the README and the docs runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import graphprop as gp
from graphprop.textbook import recursion
from tests.project import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+?)(#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run_and_print_what_the_page_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_snippets(page.read_text(), page.name, {})
    for written in tmp_path.glob("*.svg"):
        assert written.read_bytes() == (ROOT / "docs" / "pictures" / written.name).read_bytes(), written.name


def run_snippets(text: str, name: str, namespace: dict[str, Any]) -> None:
    blocks = FENCE.findall(text)
    for i, (language, code) in enumerate(blocks):
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"{name}, block {i}", "exec"), namespace)
        follows = blocks[i + 1] if i + 1 < len(blocks) else ("", "")
        expected = follows[1] if follows[0] == "text" else ""
        assert printed.getvalue() == expected, f"{name}, after:\n{code}"


ONE_AFTER_THE_OTHER = """
import contextlib, io, runpy, sys
for script in sys.argv[1:]:
    print(script, file=sys.stderr)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(script, run_name="__main__")
    assert printed.getvalue()
print("all")
"""


def test_examples_run(tmp_path: Path) -> None:
    """In one process, so that the library is imported once; on failure the last name is that of the example."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", ONE_AFTER_THE_OTHER]
    environment = os.environ | {"PYTHONPATH": str(Path(gp.__file__).parent.parent)}
    scripts = sorted(map(str, (ROOT / "examples").glob("*.py")))
    done = subprocess.run([*command, *scripts], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.stdout, done.returncode) == ("all\n", 0), done.stderr


def claim(file: str, section: str, quick: str, *others: str) -> list[Any]:
    """Who says that the recursion agrees, a script or a section of a page, and in which forms it is to have asked."""
    cases = [pytest.param(file, section, quick)]
    cases += [pytest.param(file, section, form, marks=pytest.mark.thorough) for form in others]
    return cases


SCRIPTS = sorted(s for s in (ROOT / "examples").glob("*.py") if "recursion" in s.read_text())
CLAIMS = [
    *(case for script in SCRIPTS for case in claim(f"examples/{script.name}", "", "parents")),
    *claim("README.md", "A network, node by node", "parents", "children", "paths"),
    *claim("docs/derivation.md", "4. Why nobody adds over paths", "paths", "parents", "children"),
    *claim("docs/derivation.md", "7. The general graph, target by target", "parents"),
    *claim("docs/derivation.md", "8. The reverse sweep", "children", "parents"),
    *claim("docs/derivation.md", "13. The same code in other numbers", "parents", "children", "paths"),
    *claim("docs/checking.md", "", "paths", "parents", "children"),
    *claim("docs/matrix_form.md", "Any graph", "children"),
]


def test_the_examples_that_name_the_recursion_are_these() -> None:
    assert [script.name for script in SCRIPTS] == ["skip.py", "two_layers.py"]


@pytest.mark.parametrize(("file", "section", "form"), CLAIMS)
def test_who_says_that_the_recursion_agrees_fails_where_the_recursion_is_wrong(
    file: str, section: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, namespace, right = (ROOT / file).read_text(), {}, getattr(recursion, f"over_{form}")
    if section:  # what stands before it runs as it should
        before, text = text.split(f"\n## {section}\n")
        run_snippets(before, file, namespace)

    def wrong(*arguments: Any) -> Any:
        delta, calls = right(*arguments)
        return {v: [2.001 * d for d in delta[v]] for v in delta}, calls

    monkeypatch.setattr(recursion, f"over_{form}", wrong)
    if file.endswith(".md"):
        with pytest.raises(AssertionError):
            run_snippets(text.split("\n## ")[0], file, namespace)
    else:
        with pytest.raises(AssertionError):
            runpy.run_path(str(ROOT / file), run_name="__main__")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_activation_and_loss_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "derivation.md").read_text()
    for name in [*gp.ACTIVATIONS, *gp.LOSSES]:
        assert re.search(rf"\b{name}\b", text), name


def test_every_room_has_its_row_and_what_is_named_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    package = ROOT / "graphprop"
    rooms = {f"{path.parent.relative_to(package)}/" for path in package.rglob("__init__.py") if path.parent != package}
    rows = set(re.findall(r"^\| `([a-z_/]+\.py|[a-z_/]+/)` \|", text, re.MULTILINE))
    alone = {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert rows == alone | {room for room in rooms if not room.startswith("render/") or room == "render/"}
    known = {path.relative_to(package).as_posix() for path in package.rglob("*.py")} | rooms | alone
    for path in re.findall(r"`([a-z_/]*\.py|[a-z_/]+/)`", text):
        assert any(name.endswith(path) for name in known) or (ROOT / path).exists(), path
