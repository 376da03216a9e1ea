"""Names stay text wherever they are written: each language is read back by a parser of its own."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.notation import escaping
from graphprop.notation.escaping import dot_html, dot_string, dot_tooltip, isolated, markup, script_json, visible
from graphprop.render.drawn.lettering import name_text
from graphprop.render.placing.by_graphviz import run_graphviz
from tests.pictures import ENGINES, HOSTILE, hostile_net

TEXTS = [name for name in HOSTILE if isinstance(name, str)]
SVG = "{http://www.w3.org/2000/svg}"
ATTRIBUTES = re.compile(
    "id|class|role|aria-labelledby|width|height|viewBox|transform|x|y|rx|ry|dy|d|points|text-anchor|opacity"
    "|font-(family|size|weight|style)|fill(-opacity)?|stroke(-width|-dasharray)?|{http://www.w3.org/XML/1998/namespace}space"
)
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066\u2067\ud800-\udfff]")


def seen(text: str) -> str:
    """What of a text is seen: without the marks that keep the direction of its neighbours."""
    return text.replace("\u2068", "").replace("\u2069", "")


@given(st.text())
def test_nothing_invisible_is_left(text: str) -> None:
    assert not CONTROLS.search(visible(text))
    visible(text).encode()


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_invisible_is_left_of_hostile_names(text: str) -> None:
    shown = visible(text, 100)
    assert not CONTROLS.search(shown)
    assert len(shown) <= 100
    assert len(text) <= 100 or shown.endswith("…")


def test_names_that_would_not_be_seen_are_quoted() -> None:
    assert [name_text(name) for name in ("", "   ", " a")] == ['""', '"   "', " a"]


def test_what_runs_from_right_to_left_is_isolated() -> None:
    assert isolated("\u05e9\u05dc") == "\u2068\u05e9\u05dc\u2069"
    assert isolated("h1 é 日") == "h1 é 日"


@given(st.text())
def test_markup_is_one_text_to_a_parser(text: str) -> None:
    tree = ElementTree.fromstring(f'<t a="{markup(text)}">{markup(text)}</t>')
    wanted = "\n".join(map(visible, text.split("\n")))
    assert seen(tree.text or "") == seen(wanted)
    assert len(tree) == 0
    assert set(tree.attrib) == {"a"}


class Blocks(HTMLParser):
    """The text of each script block, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_json_in_a_script_block_stays_there(text: str) -> None:
    page = Blocks()
    page.feed(f"<script>{script_json({'name': text})}</script>")
    page.close()
    assert page.tags == ["script"]
    assert json.loads(page.text) == {"name": text}
    assert script_json(text).isascii()


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--<script>", "]]>", "\u2028\u2029", "&lt;"])
def test_json_holds_nothing_that_ends_a_block(text: str) -> None:
    assert not set("<>&\u2028\u2029") & set(script_json(text))


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_every_kind_of_dot_label_shows_hostile_names_as_they_are(engine: str) -> None:
    nodes, wanted = [], []
    for k, text in enumerate(TEXTS):
        text = visible(text, 60)
        nodes.append(f"a{k} [label={dot_string(text)}, tooltip={dot_tooltip(text)}]")
        nodes.append(f"b{k} [label=<<TABLE><TR><TD>{dot_html(text) or ' '}</TD></TR></TABLE>>, tooltip=x]")
        wanted.append(text)
    source = "digraph G { " + ";\n".join(nodes) + " }"
    tree = ElementTree.fromstring(run_graphviz(engine, source, "svg", 30.0))
    groups = {group.findtext(f"{SVG}title"): group for group in tree.iter(f"{SVG}g")}

    def words(text: str) -> str:
        return " ".join(seen(text).replace("\u00a0", " ").split())

    assert len([name for name in groups if name and re.fullmatch(r"[ab]\d+", name)]) == 2 * len(wanted)
    for k, text in enumerate(wanted):
        for kind in "ab":
            shown = "".join(node.text or "" for node in groups[f"{kind}{k}"].iter(f"{SVG}text"))
            assert words(shown) == words(text), (kind, text)
        link = next(groups[f"a{k}"].iter(f"{SVG}a"), None)
        if link is not None and text.strip():
            title = link.get("{http://www.w3.org/1999/xlink}title", "")
            assert words(title) == words(text).replace("\\", "⧵")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_picture_of_hostile_names_holds_them_as_text_only(engine: str) -> None:
    net = hostile_net()
    trace = net.forward([1.0])
    drawing = gp.draw(net, trace, net.backward(trace, loss="half_squared", target=[1.0]), layout=engine)
    assert drawing.notes == ()
    tree = ElementTree.fromstring(drawing.svg)
    tags = {element.tag.removeprefix(SVG) for element in tree.iter()}
    assert tags <= {"svg", "title", "desc", "g", "rect", "ellipse", "path", "polygon", "text", "tspan"}
    assert tree.attrib.pop("style") == "max-width: 100%; height: auto"
    assert all(ATTRIBUTES.fullmatch(key) for element in tree.iter() for key in element.attrib)
    shown = seen("\n".join(tree.itertext()))
    for name in HOSTILE:
        assert seen(name_text(name, 22)).rstrip("1") in shown, name
    assert len(drawing.svg) < 100_000
    assert tree.findtext(f"{SVG}title") == '<b>&title\\N"</b>'


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_dot_text_of_hostile_names_has_only_our_nodes(engine: str, tmp_path: Path) -> None:
    net = hostile_net()
    found = json.loads(run_graphviz(engine, gp.draw(net, net.forward([1.0])).source, "json0", 30.0))
    nodes = [thing["name"] for thing in found["objects"] if "nodes" not in thing]
    assert sorted(nodes) == sorted(f"n{v}" for v in range(len(net)))
    assert len(found["edges"]) == len(net.edges)


def test_dot_text_is_quoted_for_a_reader_that_knows_nothing_of_us() -> None:
    """Outside of strings and labels only our own words are left."""
    source = gp.draw(hostile_net()).source
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', "S", source)
    while (shorter := re.sub(r"<[^<>]*>", "", rest)) != rest:
        rest = shorter
    assert not re.search(r"script|alert|DROP|x{9}", rest)


def test_each_target_has_one_function() -> None:
    assert {name for name in vars(escaping) if name.startswith(("dot_", "markup", "script_"))} == {
        "dot_html",
        "dot_string",
        "dot_tooltip",
        "markup",
        "script_json",
    }


def test_no_name_reaches_an_id() -> None:
    svg = gp.draw(hostile_net()).svg
    assert all(re.fullmatch(r"gp[0-9a-f]{8}(-[a-z]+\d*|-E)?(-label)?", x) for x in re.findall(r' id="([^"]*)"', svg))


def test_the_processes_get_names_on_standard_input_only(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def record(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        commands.append([str(part) for part in command])
        raise OSError("recorded")

    monkeypatch.setattr(subprocess, "run", record)
    for engine in ("dot", "pygraphviz"):
        with pytest.raises(OSError, match="recorded"):
            run_graphviz(engine, gp.draw(hostile_net()).source, "svg", 1.0)
    assert not any("script" in part for command in commands for part in command)
