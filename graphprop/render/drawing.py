"""`draw`: a network, its values and its gradients as a picture, which shows itself in a notebook and saves itself.

What is shown is data first; positions are computed when they are first needed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from graphprop.errors import GraphpropError, check_choice
from graphprop.files.disk import (
    checked_path,
    write_whole,
)
from graphprop.graph.layout import Name
from graphprop.network import Network
from graphprop.notation.escaping import visible
from graphprop.passes.results import Gradients, Trace
from graphprop.render.contents import describe
from graphprop.render.drawn.dot import write_dot
from graphprop.render.drawn.figures import Figure, figure, label
from graphprop.render.drawn.lettering import plain
from graphprop.render.drawn.svg import write_svg
from graphprop.render.numbers import Numbers, read_numbers
from graphprop.render.page.html import write_page
from graphprop.render.picture import Parts
from graphprop.render.placing import by_graphviz
from graphprop.render.placing.placement import Link, Node, Placement
from graphprop.render.selection import select
from graphprop.render.summaries import summarise

RENDER_SECONDS = 60.0  # for PNG and PDF, which nothing can replace
LONGEST_WAIT = 86_400.0  # a day; what waits for processes cannot count much farther
SUFFIXES = (".svg", ".png", ".pdf", ".dot", ".html")


class Drawing:
    """A picture of a network: `parts` is what it shows, as data.

    >>> import graphprop as gp
    >>> net = gp.Network("one node")
    >>> net.add_input("x1")
    >>> net.add_node("y", "tanh", {"x1": 0.5}, bias=0.25)
    >>> gp.draw(net)
    <Drawing of 'one node': 2 nodes, 1 edge>
    """

    def __init__(
        self, parts: Parts, layout: str | None = None, timeout: float = 10.0, numbers: Numbers | None = None
    ) -> None:
        self.parts, self._numbers = parts, numbers
        self._engine, self._timeout = layout, timeout

    # ------------------------------------------------------------------ as text

    @cached_property
    def source(self) -> str:
        """The picture as DOT text, for Graphviz; the same bytes for the same network and numbers."""
        written = self.parts.detail != "shapes"
        return write_dot(self.parts, self.figures, by_graphviz.spacing(len(self.parts.shapes), self.links, written))

    @cached_property
    def svg(self) -> str:
        """The picture as SVG."""
        placement, notes = self._placed
        return write_svg(self.parts, self.figures, self.labels, placement, notes, self.prefix)

    @cached_property
    def html(self) -> str:
        """The picture as a page that stands alone: it plays both passes, and explains every number."""
        return write_page(self.to_dict(), self.svg, self.parts, self._numbers)

    @property
    def prefix(self) -> str:
        """With what the ids in the SVG begin: made of the content."""
        return "gp" + hashlib.sha256(repr(self.parts).encode("utf-8", "replace")).hexdigest()[:8]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, in the format that its suffix says: .svg, .png, .pdf, .dot or .html.

        A file that is there is replaced when all of the new one is on disk. PNG and PDF are drawn by Graphviz; the
        others need nothing. HTML is a page on its own, which plays both passes.
        """
        path = Path(checked_path(path))
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise GraphpropError(f"cannot save as {path.name!r}: the suffix is one of {', '.join(SUFFIXES)}")
        if suffix == ".svg":
            data = self.svg.encode()
        elif suffix == ".dot":
            data = self.source.encode()
        elif suffix == ".html":
            data = self.html.encode()
        else:
            data = by_graphviz.render(self.source, suffix[1:], max(self._timeout, RENDER_SECONDS))
        write_whole(path, data)
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            # as HTML first: a notebook that is turned into a page would cut a wide image, and drop its tooltips
            return {"text/html": f"<div>{self.svg}</div>", "image/svg+xml": self.svg, "text/plain": repr(self)}
        except Exception as error:  # a notebook shows what it can
            return {"text/plain": f"{self!r}, which could not be drawn: {visible(str(error), 300)}"}

    def __repr__(self) -> str:
        shapes = [shape for shape in self.parts.shapes if shape.form != "loss"]
        what = "group" if self.parts.detail == "groups" else "node"
        counts = [(len(shapes), what), (len(self.parts.edges), "edge")]
        text = ", ".join(f"{n} {thing}{'' if n == 1 else 's'}" for n, thing in counts)
        notes = "".join(f", {note}" for note in self.parts.notes)
        title = f" of {self.parts.title!r}" if self.parts.title else ""
        return f"<Drawing{title}: {text}{notes}>"

    # ------------------------------------------------------------------ where everything is

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """Of each shape its size, and what is where in it."""
        small = self.parts.detail == "shapes"
        return {shape.id: figure(shape, small) for shape in self.parts.shapes}

    @cached_property
    def labels(self) -> dict[str, Figure]:
        """Of each edge that has a label its size, and what is where in it."""
        return {edge.id: label(edge) for edge in self.parts.edges if edge.entries}

    @cached_property
    def links(self) -> list[Link]:
        """The edges as a layout sees them."""
        links = []
        for edge in self.parts.edges:
            known = self.labels.get(edge.id)
            size = (known.width, known.height) if known else (0.0, 0.0)
            links.append(Link(edge.id, edge.source, edge.target, *size, edge.from_row, edge.to_row))
        return links

    @cached_property
    def _placed(self) -> tuple[Placement, tuple[str, ...]]:
        nodes = [Node(s, f.width, f.height, f.outline, f.rows) for s, f in self.figures.items()]
        written = self.parts.detail != "shapes"
        return by_graphviz.place(nodes, self.links, self._engine, self._timeout, written)

    @property
    def placement(self) -> Placement:
        """Where the middle of each shape and label is, and the curve of each edge."""
        return self._placed[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, and what went wrong with the layout."""
        return (*self.parts.notes, *self._placed[1])

    def to_dict(self) -> dict[str, Any]:
        """Shapes and edges with their texts and positions, as plain data for JSON."""
        placement = self.placement
        nodes = [
            {
                "id": shape.id,
                "name": shape.text,
                "form": shape.form,
                "kind": shape.kind,
                "value": shape.value,
                "sensitivity": plain(shape.pill),
                "tooltip": shape.tooltip,
                "middle": list(placement.nodes[shape.id]),
                "size": [self.figures[shape.id].width, self.figures[shape.id].height],
                "lit": shape.lit,
            }
            for shape in self.parts.shapes
        ]
        edges = [
            {
                "id": edge.id,
                "source": edge.source,
                "target": edge.target,
                "tooltip": edge.tooltip,
                "label": [plain((*entry.weight, *entry.derivative)) for entry in edge.entries],
                "points": [list(point) for point in placement.curves[edge.id][0]],
                "lit": edge.lit,
            }
            for edge in self.parts.edges
        ]
        return {
            "title": self.parts.title,
            "subtitle": self.parts.subtitle,
            "notes": list(self.notes),
            "detail": self.parts.detail,
            "engine": placement.engine,
            "prefix": self.prefix,
            "nodes": nodes,
            "edges": edges,
        }


def draw(
    net: Network,
    trace: Trace | None = None,
    gradients: Gradients | None = None,
    *,
    show: str = "gradients",
    sample: int | None = None,
    focus: Name | None = None,
    depth: int | None = None,
    top: int | None = None,
    path: Sequence[Name] | None = None,
    group: Mapping[Any, Any] | Callable[[Any], Any] | None = None,
    title: str | None = None,
    layout: str | None = None,
    timeout: float = 10.0,
) -> Drawing:
    """A picture of a network: alone its structure, with a trace its values, with gradients the rest.

    Up to 60 nodes (and 240 edges) everything is written; up to 300 the labels of edges become tooltips; up to 1000
    there are shapes only; of more nodes a summary is drawn. What was not computed is a dash.

    Parameters
    ----------
    net : Network
    trace : Trace, optional
        What `net.forward` gave.
    gradients : Gradients, optional
        What `net.backward` gave.
    show : "gradients" or "weights"
        By what edges have their width, colour and dash.
    sample : int, optional
        Which sample of a batch; the first one if none is given.
    focus, depth
        Only this node, and its ancestors and descendants so many steps away, two if not given.
    top : int, optional
        Only so many edges, those of the largest gradients (or weights), and their nodes.
    path : list of node names, optional
        A path to be lit, each node a parent of the next.
    group : function or mapping, optional
        From the name of a node to its group: a summary is drawn by these groups rather than by levels.
    title : str, optional
        The name of the network, if it has one, if not given.
    layout : "dot", "pygraphviz" or "columns", optional
        What computes the positions: Graphviz where it is there, else our own, if not given.
    timeout : float
        The seconds after which Graphviz is stopped, and our own layout is used.

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network("two inputs")
    >>> net.add_input("x1")
    >>> net.add_input("x2")
    >>> net.add_node("y", "sigmoid", {"x1": 0.5, "x2": -1.0})
    >>> trace = net.forward([1.0, 2.0])
    >>> drawing = gp.draw(net, trace, net.backward(trace, loss="half_squared", target=[1.0]))
    >>> drawing
    <Drawing of 'two inputs': 3 nodes, 3 edges>
    >>> print(drawing.source.splitlines()[0])
    digraph {
    """
    if layout is not None:
        check_choice(layout, by_graphviz.ENGINES, "layout")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise GraphpropError(f"timeout is a number of seconds above 0, not {timeout!r}")
    if title is not None and not isinstance(title, str):
        raise GraphpropError(f"the title is a text, not {title!r}")
    numbers = read_numbers(net, trace, gradients, show, sample)
    chosen = select(numbers.layout, numbers.sizes, focus=focus, depth=depth, top=top, path=path, group=group)
    shown = visible((net.name or "") if title is None else title, 90)
    parts = (summarise if chosen.groups else describe)(numbers, chosen, shown)
    return Drawing(parts, layout, min(timeout, LONGEST_WAIT), numbers)
