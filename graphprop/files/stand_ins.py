"""Stand-ins for the activations of one's own that a file names, to read the structure of a network without them.

A file has neither their functions nor their kind. Whether an output is one number or as many as there are components
shows in the weights of the edges that leave.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from graphprop.errors import GraphpropError
from graphprop.files.saving import read_document, read_json
from graphprop.functions.activation import Activation, Kind
from graphprop.graph.graph import G


def load_structure(path: str | os.PathLike[str], kind: type[G]) -> G:
    """As `load`, with activations of one's own that cannot be run."""
    document = read_json(path)
    return read_document(path, document, _stand_ins(document), kind)


def _stand_ins(document: Any) -> list[Activation]:
    """One for each name and parameters; what is wrong with the document is said when it is read."""
    nodes, edges = ([x for x in _entries(document, key) if isinstance(x, dict)] for key in ("nodes", "edges"))
    lengths = {repr(node.get("id")): node.get("size") for node in nodes}
    reducing = {repr(edge.get("source")) for edge in edges if _reads_one(edge, lengths.get(repr(edge.get("target"))))}
    kinds: dict[tuple[Any, ...], set[Kind]] = {}
    for node in nodes:
        size, given = node.get("size"), node.get("parameters", {})
        if node.get("own") is True and isinstance(given, dict):
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                key = node.get("kind"), *((name, float(x)) for name, x in given.items())
                is_reducing = type(size) is int and size > 1 and repr(node.get("id")) in reducing
                kind: Kind = "elementwise" if size is None else "reducing" if is_reducing else "vector"
                kinds.setdefault(key, set()).add(kind)
    found = []
    for (name, *parameters), shown in kinds.items():
        with contextlib.suppress(GraphpropError):
            found.append(_stand_in(name, dict(parameters), min(shown)))
    return found


def _stand_in(name: str, parameters: dict[str, float], kind: Kind) -> Activation:
    def run(*arguments: Any) -> Any:
        raise GraphpropError(f"the file has the name of the activation {name!r} only")

    return Activation(name, run, run, kind=kind, parameters=parameters, masks=kind != "elementwise", check=False)


def _reads_one(edge: dict[str, Any], length: Any) -> bool:
    """Whether the positions of an edge have an axis for the components of the target at most, none for its source's."""
    depth, part = 0, edge.get("theta")
    while isinstance(part, list) and part and depth < 3:
        depth, part = depth + 1, part[0]
    return depth == (type(length) is int and length > 1)


def _entries(document: Any, key: str) -> list[Any]:
    given = document.get(key, document.get("links") if key == "edges" else None) if isinstance(document, dict) else None
    return given if isinstance(given, list) else []
