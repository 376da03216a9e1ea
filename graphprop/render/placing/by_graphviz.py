"""Where everything stands: computed by Graphviz if it is there, else by our own columns.

Graphviz comes as the `dot` program, run through the `graphviz` package, or in the wheels of pygraphviz, which cannot be
interrupted inside C and is run in a process of its own. One that takes too long is stopped.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from graphprop.errors import GraphpropError
from graphprop.render.placing.by_columns import levels_of, place_in_columns
from graphprop.render.placing.placement import Curve, Link, Node, Placement, Point

ENGINES = ("dot", "pygraphviz", "columns")
MOST_PASSES = 50_000
MOST_ORDERED = 60
INSTALL = "Graphviz is needed for that: pip install 'pygraphviz>=2', or install the dot program"
CHILD = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(prog="dot", format=sys.argv[1]))
"""


def graphviz_engines() -> list[str]:
    """Those ways to Graphviz that this machine has."""
    found = ["dot"] if shutil.which("dot") else []
    return [*found, "pygraphviz"] if find_spec("pygraphviz") else found


def run_graphviz(engine: str, source: str, form: str, timeout: float) -> bytes:
    """What Graphviz makes of DOT text: subprocess.TimeoutExpired if it takes too long, OSError if it fails."""
    options: dict[str, Any] = {"input": source.encode(), "capture_output": True, "timeout": timeout}
    if engine == "pygraphviz":
        done = subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", CHILD, form], **options)
        if done.returncode:
            raise OSError(done.stderr.decode(errors="replace").strip()[-300:])
        return bytes(done.stdout)
    from graphviz.backend import dot_command, execute

    try:
        command = [*dot_command.command("dot", form), "-q"]
        result: bytes = execute.run_check(command, quiet=True, **options).stdout
        return result
    except (execute.CalledProcessError, execute.ExecutableNotFound) as error:
        raise OSError(str(error)[:300]) from None


def render(source: str, form: str, timeout: float) -> bytes:
    """A picture that Graphviz itself draws, as PNG or PDF."""
    engines = graphviz_engines()
    if not engines:
        raise GraphpropError(f"{form.upper()}: {INSTALL}")
    failures = []
    for engine in engines:
        try:
            return run_graphviz(engine, source, form, timeout)
        except subprocess.TimeoutExpired:
            failures.append(f"{engine} took longer than {timeout:g} s; save an SVG, or draw less")
        except OSError as error:
            failures.append(f"{engine} failed: {error}")
    raise GraphpropError(f"{form.upper()}: {'; '.join(failures)}")


def place(
    nodes: list[Node], links: list[Link], engine: str | None, timeout: float, written: bool
) -> tuple[Placement, tuple[str, ...]]:
    """Positions by the first engine that gives them, or by the one that was asked for; and notes on what went wrong."""
    notes: list[str] = []
    wanted = [engine] if engine else graphviz_engines()
    if wanted and not engine and passes(nodes, links) > MOST_PASSES:
        wanted = []
        notes.append("the edges pass too many levels for Graphviz, so this is the simple layout")
    for name in wanted:
        if name == "columns":
            break
        try:
            answer = run_graphviz(name, skeleton(nodes, links, written), "json0", timeout)
            return read_positions(name, json.loads(answer), nodes, links), ()
        except subprocess.TimeoutExpired:
            notes.append(f"Graphviz took longer than {timeout:g} s, so this is the simple layout")
            break
        except (OSError, ValueError, KeyError) as error:
            if engine:
                raise GraphpropError(f"layout={engine!r}: {error or 'it failed'}; {INSTALL}") from None
            notes.append(f"{name} failed, so this is the next best layout")
    return place_in_columns(nodes, links), tuple(notes)


def passes(nodes: list[Node], links: list[Link]) -> int:
    """How often an edge passes a level: what decides how long Graphviz takes."""
    number = {node.id: i for i, node in enumerate(nodes)}
    ends = [(number[link.source], number[link.target]) for link in links]
    level = levels_of(len(nodes), ends)
    return sum(abs(level[v] - level[u]) - 1 for u, v in ends)


def skeleton(nodes: list[Node], links: list[Link], written: bool) -> str:
    """DOT text with the sizes of everything and no word of what is in it.

    A label is a node on the way of its edge, which runs level below the text: so no label stands beside another edge.
    """
    lines = ["digraph {", f'rankdir=LR; {spacing(len(nodes), links, written)}; node [fixedsize=true, label=""]']
    shapes = {"ellipse": "ellipse", "diamond": "diamond"}
    for node in nodes:
        if node.rows:
            lines.append(f"{node.id} [shape=plain, fixedsize=false, label=<{_rows(node)}>]")
        else:
            size = f"width={node.width / 72:.4f}, height={node.height / 72:.4f}"
            lines.append(f"{node.id} [shape={shapes.get(node.outline, 'box')}, {size}]")
    if len(nodes) <= MOST_ORDERED:
        lines += [
            f"{{rank=same; {' -> '.join(level)} [style=invis]}}"
            for level in declared_order(nodes, links)
            if len(level) > 1
        ]
    ported = {node.id: len(node.rows) for node in nodes}
    for link in links:
        source, target = _port(link.source, link.from_row, ported, "e"), _port(link.target, link.to_row, ported, "w")
        if link.height:
            label = f"{link.id}_label"
            lines.append(f"{label} [shape=plain, fixedsize=false, label=<{_blank(link.width + 4, link.height + 8)}>]")
            lines.append(f"{source} -> {label}:line:w [id={link.id}_to, arrowhead=none]")
            lines.append(f"{label}:line:e -> {target} [id={link.id}]")
        else:
            lines.append(f"{source} -> {target} [id={link.id}]")
    return "\n".join([*lines, "}"])


def declared_order(nodes: list[Node], links: list[Link]) -> list[list[str]]:
    """The nodes level by level as they were given, if no order was found in which fewer edges cross; else nothing."""
    middles = place_in_columns(nodes, [replace(link, height=0.0) for link in links]).nodes
    columns: dict[float, list[str]] = {}
    for node in nodes:
        columns.setdefault(middles[node.id][0], []).append(node.id)
    kept = all(middles[a][1] < middles[b][1] for column in columns.values() for a, b in pairwise(column))
    return list(columns.values()) if kept else []


def spacing(nodes: int, links: Sequence[Link], written: bool) -> str:
    """How far apart Graphviz sets things: farther where many edges run between few nodes, or from or to one."""
    if any(link.height for link in links):
        fans = Counter((side, name) for link in links for side, name in (("from", link.source), ("to", link.target)))
        dense = min(0.06 * max(max(fans.values()) - 3, 0) + 0.2 * max(len(links) / nodes - 2, 0), 2.0)
    else:
        dense = min(0.14 * len(links) / max(nodes, 1), 2.0)
    if written:
        return f"nodesep=0.3; ranksep={0.45 + dense:.2f}"
    return f"nodesep=0.15; ranksep={0.4 + dense:.2f}; splines=line; nslimit=0.1; nslimit1=1; mclimit=0.2"


def _port(node: str, row: int | None, rows: dict[str, int], side: str) -> str:
    return node if row is None or row >= rows[node] else f"{node}:r{row}:{side}"


def _blank(width: float, height: float) -> str:
    """The table of a label, with the line of its edge at the bottom."""
    rows = (("", math.ceil(height) - 2), (' PORT="line"', 2))
    cells = (f'<TR><TD FIXEDSIZE="TRUE" WIDTH="{math.ceil(width)}" HEIGHT="{h}"{port}></TD></TR>' for port, h in rows)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0">{"".join(cells)}</TABLE>'


def _rows(node: Node) -> str:
    """A table of the node's size with a port at each of its rows."""
    height = node.rows[1] - node.rows[0] if len(node.rows) > 1 else 19.0
    above = node.height / 2 + node.rows[0] - height / 2
    below = node.height - above - height * len(node.rows)
    heights = [("", above), *((f' PORT="r{i}"', height) for i in range(len(node.rows))), ("", below)]
    cells = (
        f'<TR><TD FIXEDSIZE="TRUE" WIDTH="{node.width:.0f}" HEIGHT="{h:.0f}"{port}></TD></TR>'
        for port, h in heights
        if h >= 1
    )
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0">{"".join(cells)}</TABLE>'


def read_positions(engine: str, answer: Any, nodes: list[Node], links: list[Link]) -> Placement:
    """The positions in Graphviz's JSON; its y points up."""

    def point(text: str) -> Point:
        x, y = text.split(",")
        return float(x), -float(y)

    middles = {thing["name"]: point(thing["pos"]) for thing in answer["objects"] if "pos" in thing}
    drawn: dict[str, tuple[Curve, Point]] = {}
    for edge in answer.get("edges", ()):
        if "id" in edge:
            parts = edge["pos"].split()
            points = tuple(point(text) for text in parts if text[:2] not in ("e,", "s,"))
            tip = next((point(text[2:]) for text in parts if text.startswith("e,")), points[-1])
            drawn[edge["id"]] = (points, tip)
    labels = {link.id: middles[f"{link.id}_label"] for link in links if link.height}
    curves = {}
    for link in links:
        curve, tip = drawn[link.id]
        if link.height:
            to, _ = drawn[f"{link.id}_to"]
            curve = (*to, to[-1], curve[0], *curve)
        curves[link.id] = (curve, tip)
    labels = {name: (x, y - 1) for name, (x, y) in labels.items()}
    return Placement(engine, {node.id: middles[node.id] for node in nodes}, curves, labels)
