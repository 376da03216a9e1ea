"""A picture of a network too large to be drawn: groups of nodes, and how much flows between them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from graphprop.graph.layout import Array
from graphprop.notation.foreign import floats
from graphprop.render.contents import loss_shape, rms
from graphprop.render.drawn.colours import fill, stroke_width
from graphprop.render.drawn.lettering import GREY, Line, Run, digits, name_line
from graphprop.render.legends import legend
from graphprop.render.numbers import Numbers
from graphprop.render.picture import Edge, Entry, Parts, Shape
from graphprop.render.selection import Selection

KINDS = 3  # named in a group
BUNDLES = 2.5  # of edges between groups, for each group


def summarise(numbers: Numbers, selection: Selection, title: str) -> Parts:
    """The parts of a picture that shows groups."""
    layout = numbers.layout
    group_of = np.full(len(layout.names), -1)
    for k, (_, members) in enumerate(selection.groups):
        group_of[members] = k
    count = len(selection.groups)
    edges = np.array(selection.edges, dtype=np.intp)
    sources, targets = group_of[layout.edge_source[edges]], group_of[layout.edge_target[edges]]
    known = (sources >= 0) & (targets >= 0)
    sources, targets, edges = sources[known], targets[known], edges[known]
    inside = np.bincount(sources[sources == targets], minlength=count)
    means = [_mean(numbers.o, layout.columns_of(members)) for _, members in selection.groups]
    scale = max((abs(x) for x in means if x is not None and math.isfinite(x)), default=0.0)
    shapes = [_group(numbers, k, selection, means[k], scale, int(inside[k])) for k in range(count)]
    between = sources != targets
    pairs, which, many = np.unique(sources[between] * count + targets[between], return_inverse=True, return_counts=True)
    norms = np.sqrt(np.bincount(which, weights=numbers.sizes[edges[between]] ** 2, minlength=len(pairs)))
    thickest = float(np.nanmax(norms, initial=0.0)) if np.isfinite(norms).any() else 0.0
    ranking = np.lexsort((-many, -np.nan_to_num(norms, nan=-1.0)))
    _, first = np.unique(pairs[ranking] % count, return_index=True)  # the largest one into each group
    strongest = np.union1d(ranking[first], ranking[: int(BUNDLES * count)])
    notes = selection.notes
    if len(strongest) < len(pairs):
        notes += (f"the largest {len(strongest)} of {len(pairs)} bundles of edges between them",)
    drawn: list[Edge] = []
    for k in strongest.tolist():
        u, v = divmod(int(pairs[k]), count)
        words = f"{many[k]} edge{'' if many[k] == 1 else 's'}"
        size = f"|{_what(numbers)}| {digits(norms[k])}"
        entry = Entry("", "", (Run(words, "small"),), (Run(size, "small", GREY),))
        tip = f"{selection.groups[u][0]} → {selection.groups[v][0]}\n{words}, {size}"
        drawn.append(Edge(f"e{k}", f"g{u}", f"g{v}", tip, (entry,), width=stroke_width(float(norms[k]), thickest)))
    if numbers.has_loss:
        readers = Counter(int(group_of[v]) for v in numbers.objective.reads)
        readers.pop(-1, None)
        if readers:
            shapes.append(loss_shape(numbers, False))
        for k, n in readers.items():
            tip = f"the loss reads {n} node{'' if n == 1 else 's'} of {selection.groups[k][0]}"
            drawn.append(Edge(f"e{len(pairs) + k}", f"g{k}", "J", tip))
    plain = legend(numbers, scale, thickest)
    text = f"edge width ∝ √ of the Euclidean norm of {_what(numbers)}, thickest: {digits(thickest)}"
    explained = type(plain)(plain.fills, "node fill, bold: mean output", (), (), "", text)
    return Parts(title, numbers.subtitle(), "groups", tuple(shapes), tuple(drawn), explained, notes)


def _what(numbers: Numbers) -> str:
    return "w" if numbers.strokes is None or numbers.by_weights else f"∂{numbers.goal}/∂w"


def _mean(flat: Array | None, places: Array) -> float | None:
    return None if flat is None or not len(places) else float(floats(flat[places]).mean())


def _group(numbers: Numbers, k: int, selection: Selection, mean: float | None, scale: float, inside: int) -> Shape:
    layout = numbers.layout
    title, members = selection.groups[k]
    kinds = Counter(layout.nodes[v].kind.replace("_", "-") for v in members)
    named = [f"{n} {kind}" for kind, n in kinds.most_common(KINDS)]
    if len(kinds) > KINDS:
        others = len(kinds) - KINDS
        named.append(f"{others} other kind{'' if others == 1 else 's'}")
    size = f"{len(members)} node{'' if len(members) == 1 else 's'}"
    lines: list[Line] = [(Run(text, "small grey"),) for text in named]
    if inside:
        lines.append((Run(f"{inside} edge{'' if inside == 1 else 's'} inside", "small grey"),))
    pill: Line = ()
    if numbers.da is not None:
        slopes = rms(numbers.da[layout.rows_of(members)])
        pill = (Run("rms γ, δ ", "number", GREY), Run(digits(slopes), "number")) if slopes else ()
    tip = "\n".join([f"{title}: {size}", *named])
    value = "" if mean is None else digits(mean)
    return Shape(
        f"g{k}",
        None,
        "group",
        size,
        title,
        tip,
        name_line(title) if not title.startswith("level") else (Run(title, "name"),),
        value,
        pill,
        tuple(lines),
        fill=fill(mean, scale),
    )
