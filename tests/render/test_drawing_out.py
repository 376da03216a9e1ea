"""How a picture is handed out, and what is refused."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.files import disk
from graphprop.render.placing import by_graphviz
from tests.pictures import ENGINES, hostile_net, ladder
from tests.project import ROOT
from tests.render.drawing_cases import (
    drawn,
    two_layers,
)

# ------------------------------------------------------------------ how it is handed out


def test_a_notebook_gets_svg_and_text() -> None:
    bundle = gp.draw(two_layers())._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    assert bundle["text/html"] == f"<div>{bundle['image/svg+xml']}</div>"
    assert bundle["image/svg+xml"].split(">", 1)[0].endswith(' style="max-width: 100%; height: auto"')
    assert bundle["text/plain"] == "<Drawing of 'two layers': 5 nodes, 6 edges>"


def test_a_repr_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no\x00 way")

    monkeypatch.setattr(by_graphviz, "place", fail)
    bundle = gp.draw(hostile_net())._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain"}
    assert bundle["text/plain"].endswith("which could not be drawn: no\ufffd way")


def test_saving_goes_by_suffix(tmp_path: Path) -> None:
    drawing = gp.draw(two_layers())
    assert drawing.save(tmp_path / "net.svg").read_text() == drawing.svg
    assert drawing.save(str(tmp_path / "net.DOT")).read_text() == drawing.source
    with pytest.raises(gp.GraphpropError, match=r"cannot save as 'net.jpg': the suffix is one of .svg, .png, .pdf"):
        drawing.save(tmp_path / "net.jpg")
    with pytest.raises(gp.GraphpropError, match=r"net.svg: cannot be written: there is no folder .*nowhere'"):
        drawing.save(tmp_path / "nowhere" / "net.svg")


@pytest.mark.parametrize("fails", ["replace", "fsync", "open"])
@pytest.mark.parametrize("suffix", ["svg", "dot", "html", "png", "pdf"])
def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    suffix: str, fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = gp.draw(two_layers(), layout="columns")
    monkeypatch.setattr(by_graphviz, "render", lambda source, form, timeout: b"a picture")
    old = tmp_path / f"net.{suffix}"
    old.write_text("the old picture")

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(disk if fails == "open" else os, fails, full, raising=False)
        with pytest.raises(gp.GraphpropError, match=rf"net\.{suffix}: cannot be written: No space left on device"):
            drawing.save(old)
    assert old.read_text() == "the old picture"
    assert os.listdir(tmp_path) == [old.name]
    drawing.save(old)
    assert old.read_bytes() != b"the old picture"
    assert os.listdir(tmp_path) == [old.name]


@pytest.mark.parametrize("given", [np.array([1, 2]), np.array(["gradients", "weights"]), 3, "other", ["weights"]])
@pytest.mark.parametrize("argument", ["show", "layout"])
def test_a_choice_is_one_of_its_words(argument: str, given: Any) -> None:
    with pytest.raises(gp.GraphpropError, match=f"{argument} is "):
        gp.draw(two_layers(), **{argument: given})


@pytest.mark.parametrize("timeout", [math.inf, 1e300, sys.float_info.max, 10**400])
@pytest.mark.parametrize("engine", ENGINES)
def test_however_long_graphviz_may_take_it_is_drawn(timeout: float, engine: str) -> None:
    assert gp.draw(two_layers(), layout=engine, timeout=timeout).placement.engine == engine


def test_a_network_without_a_name_has_no_title() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "tanh", {"x": 0.5})
    drawing = gp.draw(net, layout="columns")
    assert repr(drawing) == "<Drawing: 2 nodes, 1 edge>"
    assert "<title " in drawing.svg
    assert ">network<" not in drawing.svg.replace(f'<title id="{drawing.prefix}-title">network</title>', "")
    assert "network" not in drawing.source
    assert "<h1>" not in drawing.html
    assert ">my net<" in gp.draw(net, title="my net", layout="columns").svg


def test_png_and_pdf_without_graphviz_say_in_one_line_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_graphviz, "graphviz_engines", list)
    for suffix in ("png", "pdf"):
        with pytest.raises(gp.GraphpropError, match=r"pip install 'pygraphviz>=2', or install the dot program") as told:
            gp.draw(two_layers()).save(tmp_path / f"net.{suffix}")
        assert "\n" not in str(told.value)


def test_the_same_network_gives_the_same_bytes() -> None:
    code = (
        "import hashlib, graphprop as gp; from tests.pictures import hostile_net, ladder\n"
        "for net in (hostile_net(), ladder(50), ladder(1500)):\n"
        "    trace = net.forward([1.0] * len(net.inputs))\n"
        "    d = gp.draw(net, trace, net.backward(trace, net.outputs[-1]), layout='columns')\n"
        "    print(hashlib.sha256((d.source + d.svg).encode()).hexdigest())\n"
    )
    printed = set()
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        printed.add(done.stdout)
    assert len(printed) == 1


def test_a_drawing_is_plain_data() -> None:
    import json

    net = two_layers()
    drawing = drawn(net, [1.0, -2.0], loss="half_squared", target=[0.25])
    data = json.loads(json.dumps(drawing.to_dict(), allow_nan=False))
    assert [node["name"] for node in data["nodes"]] == ["x1", "x2", "h1", "h2", "y", "J"]
    assert len(data["edges"]) == len(net.edges) + 1


# ------------------------------------------------------------------ what is refused


def test_what_does_not_belong_together_is_refused() -> None:
    net, other = two_layers(), ladder(5)
    trace = net.forward([1.0, 2.0])
    with pytest.raises(gp.GraphpropError, match=r"the trace is of another structure"):
        gp.draw(other, trace)
    with pytest.raises(gp.GraphpropError, match=r"the gradients are of another structure"):
        gp.draw(other, gradients=net.backward(trace, "y"))
    with pytest.raises(gp.GraphpropError, match=r"they do not belong together"):
        gp.draw(net, net.forward([[1.0, 2.0], [3.0, 4.0]]), net.backward(trace, "y"))
    with pytest.raises(gp.GraphpropError, match=r"gradients of net.backward are needed, not Trace"):
        gp.draw(net, trace, trace)  # type: ignore[arg-type]
    with pytest.raises(gp.GraphpropError, match=r"a network is needed, a gp.Network, not int"):
        gp.draw(3)  # type: ignore[arg-type]
    with pytest.raises(gp.GraphpropError, match=r"no nodes to draw"):
        gp.draw(gp.Network())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"show": "values"}, r"show is 'gradients' or 'weights', not 'values'"),
        ({"top": 0}, r"top= is a whole number of at least 1, not 0"),
        ({"focus": "y", "depth": -1}, r"depth= is a whole number of at least 0"),
        ({"layout": "neato"}, r"layout is 'dot', 'pygraphviz' or 'columns', not 'neato'"),
        ({"timeout": 0}, r"timeout is a number of seconds above 0"),
        ({"title": 3}, r"the title is a text"),
        ({"group": 3}, r"group= is a function"),
        ({"path": []}, r"path= is a list of node names"),
    ],
)
def test_options_that_are_wrong_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(gp.GraphpropError, match=message):
        gp.draw(two_layers(), **options)


# ------------------------------------------------------------------ time


def test_a_summary_of_100_000_nodes_is_drawn() -> None:
    v = np.arange(20, 100_000)
    source = np.concatenate([v - 1, v - 7, v // 2 - 5])
    net = gp.Program.from_edges(20, source, np.tile(v, 3), "tanh").to_network()
    net.theta[:] = 0.1
    trace = net.forward(np.ones(20))
    g = net.backward(trace, 99_999)
    drawing = gp.draw(net, trace, g)
    assert drawing.svg
    assert drawing.parts.notes[0].endswith("groups of 100000 nodes")
