"""DOT text: read by Graphviz without a word of complaint, and drawn well by it alone."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.render.placing.by_graphviz import run_graphviz
from tests.pictures import ENGINES, NEEDS_DOT, ladder
from tests.render.test_svg import NETS, convolution, drawn, partial


@NEEDS_DOT
@pytest.mark.parametrize("make", NETS)
def test_graphviz_reads_it_and_has_nothing_to_say(make: Any) -> None:
    source = drawn(make()).source
    done = subprocess.run(["dot", "-Tjson0"], input=source.encode(), capture_output=True)
    assert done.returncode == 0
    assert re.sub(rb"(?i)^.*(fontconfig|pango).*\n?", b"", done.stderr, flags=re.MULTILINE) == b""


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_it_has_every_node_and_edge_once(engine: str) -> None:
    drawing = drawn(convolution())
    found = json.loads(run_graphviz(engine, drawing.source, "json0", 30.0))
    nodes = [thing["name"] for thing in found["objects"] if "nodes" not in thing]
    assert sorted(nodes) == sorted(shape.id for shape in drawing.parts.shapes)
    ends = [(found["objects"][e["tail"]]["name"], found["objects"][e["head"]]["name"]) for e in found["edges"]]
    assert sorted(ends) == sorted((edge.source, edge.target) for edge in drawing.parts.edges)


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_its_own_drawing_shows_every_number(engine: str) -> None:
    drawing = drawn(convolution())
    svg = run_graphviz(engine, drawing.source, "svg", 30.0).decode()
    for shape in drawing.parts.shapes:
        assert f">{shape.value}<" in svg, shape.text
    assert ">convolution<" in svg
    assert ">boxed" not in svg
    assert svg.count(">A<") == 6 + 1  # at six edges, and in the legend


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF-")])
def test_png_and_pdf_are_drawn_by_graphviz(
    engine: str, suffix: str, magic: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphprop.render.placing import by_graphviz

    monkeypatch.setattr(by_graphviz, "graphviz_engines", lambda: [engine])
    path = drawn(convolution()).save(tmp_path / f"net.{suffix}")
    assert path.read_bytes().startswith(magic)
    assert path.stat().st_size > 5_000


def test_ids_are_made_up_and_the_text_is_stable() -> None:
    net = partial()
    first, second = drawn(net).source, drawn(partial()).source
    assert first == second
    assert set(re.findall(r"^ +(\w+)(?::\w+)* (?:->|\[)", first, flags=re.MULTILINE)) <= {
        "n0",
        "n1",
        "n2",
        "n3",
        "J",
        "node",
        "edge",
    }
    assert "n0:s0:e -> n1:r1:w" in first


def test_other_numbers_are_another_text() -> None:
    net = ladder(5)
    trace = net.forward(np.ones(3))
    assert gp.draw(net).source != gp.draw(net, trace).source
