"""The plan of the house as one ordered list, and what breaks it: read from the source, wherever an import stands."""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOMS: list[set[str]] = [  # each may import from those before it; those in one set do not know each other
    {"atomic"},
    {"notation/escaping"},
    {"errors"},
    {"given"},
    {"notation"},
    {"functions"},
    {"graph"},
    {"files"},
    {"passes"},
    {"textbook", "engine/loops"},
    {"engine"},
    {"program"},
    {"network"},
    {"builders", "explanations", "training"},
    {"render/drawn/lettering", "render/placing"},
    {"render/picture"},
    {"render/drawn"},
    {"render", "checks", "interop"},
    {"testing"},
    {"__init__"},
    {"cli"},
    {"__main__"},
]
RANK = {room: i for i, rooms in enumerate(ROOMS) for room in rooms}
LATE = {  # imports in functions, each with its reason
    ("engine/on_demand", "engine/general"): "numba comes with the first call that needs it",
    ("engine/on_demand", "engine/lowering"): "numba comes with the first call that needs it",
    ("engine/on_demand", "engine/edge_arrays"): "numba comes with the first call that needs it",
    ("engine/on_demand", "engine/linearizing"): "numba comes with the first call that needs it",
    ("engine/on_demand", "engine/matrices"): "numba comes with the first call that needs it",
    ("engine/on_demand", "engine/members"): "numba comes with the first call that needs it",
    ("engine/on_demand", "engine/tangents"): "numba comes with the first call that needs it",
    ("engine/on_demand", "engine/walking"): "numba comes with the first call that needs it",
    ("functions/bending", "functions/duals"): "few programs ask for a second derivative that nobody stated",
    ("network", "interop/networkx"): "a network goes through the doors, which stand above it",
    ("network", "interop/tables"): "a network goes through the doors, which stand above it",
    ("program", "network"): "a program gives back a network, which stands above it",
}
INSIDE_OF_OTHERS = {  # files that read private names of a library of others, which has no public ones for it
    "graph/mirror",  # networkx: a graph that is changed without its checks, at once
    "engine/loops/caching",  # numba: its cache, in files of our own
}


class Parsed:
    """What is read of a text once, however often the package is read."""

    def __init__(self, text: str) -> None:
        self.body = ast.parse(text).body
        self.imports: list[tuple[ast.Import | ast.ImportFrom, bool]] = []  # and whether late
        self.owned: set[str] = set()  # private names that are made here
        self.private: list[ast.Attribute] = []  # read off what is not self
        for node in self.body:
            self._read(node, late=False)

    def _read(self, node: ast.AST, late: bool) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.append((node, late))
        elif isinstance(node, ast.Attribute) and _is_private(node.attr):
            if _is_of_self(node.value):
                self.owned.add(node.attr)
            else:
                self.private.append(node)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and _is_private(node.name):
            self.owned.add(node.name)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self.owned |= {t.id for t in targets if isinstance(t, ast.Name)}
        late |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_for_checkers(node)
        for child in ast.iter_child_nodes(node):
            self._read(child, late)


parsed = functools.cache(Parsed)


@dataclass
class Source:
    """One file of the package: what it imports, at the top and later, and which names it takes from where."""

    name: str  # engine/loops/sparse
    parsed: Parsed
    top: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    private: list[str] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)


def read(package: Path) -> dict[str, Source]:
    """All files of the package by name, with their imports."""
    names = [(path.relative_to(package).with_suffix("").as_posix(), path) for path in sorted(package.rglob("*.py"))]
    found = {name: Source(name, parsed(path.read_text())) for name, path in names}
    for source in found.values():
        for node, late in source.parsed.imports:
            _read_import(source, node, found, late)
    return found


def _read_import(source: Source, node: ast.Import | ast.ImportFrom, known: dict[str, Source], late: bool) -> None:
    if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "graphprop":
        module = "/".join((node.module or "").split(".")[1:])
        for alias in node.names:
            inner = f"{module}/{alias.name}" if module else alias.name
            imported = inner if inner in known else module if module in known else f"{module}/__init__".strip("/")
            (source.late if late else source.top).add(imported)
            if alias.name.startswith("_") and imported != inner:
                source.private.append(f"{source.name} takes {alias.name} out of {imported}")
        return
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    for library, *path in (name.split(".") for name in names):
        if library == "graphprop":
            (source.late if late else source.top).add("/".join(path) or "__init__")
        source.foreign.add(library)


def _is_for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def room_of(name: str) -> str:
    """The room of a file: the longest of its folders, or the file itself, that is in the plan."""
    parts = name.split("/")
    rooms = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((room for room in rooms if room in RANK), name)


def complaints(package: Path) -> list[str]:
    """Everything in a package that breaks the plan."""
    sources = read(package)
    return [
        *_strangers(sources),
        *_upward(sources),
        *_late(sources),
        *_circles(sources),
        *_private(sources),
        *_numba(sources),
        *_rooms_that_do_something(sources),
    ]


def _strangers(sources: dict[str, Source]) -> Iterator[str]:
    for name in sources:
        if room_of(name) not in RANK and name != "render/__init__":
            yield f"{name} is in no room of the plan"


def _upward(sources: dict[str, Source]) -> Iterator[str]:
    for source in sources.values():
        own = room_of(source.name)
        for imported in sorted(source.top | source.late):
            room = room_of(imported)
            if (source.name, imported) in LATE or own not in RANK or room not in RANK:
                continue
            if room != own and RANK[room] >= RANK[own]:
                yield f"{source.name} imports {imported}, and {room} does not come before {own}"


def _late(sources: dict[str, Source]) -> Iterator[str]:
    found = {(source.name, imported) for source in sources.values() for imported in source.late - source.top}
    for pair in sorted(found - set(LATE)):
        yield f"{pair[0]} imports {pair[1]} late, in a function or for checkers, and no reason is listed"
    for pair in sorted(set(LATE) - found):
        yield f"{pair[0]} does not import {pair[1]} late, but a reason is listed"


def _circles(sources: dict[str, Source]) -> Iterator[str]:
    graph = {s.name: {i for i in s.top | s.late if (s.name, i) not in LATE} for s in sources.values()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield f"imports go in a circle: {' <- '.join(error.args[1])}"


def _private(sources: dict[str, Source]) -> Iterator[str]:
    """Private names that cross a file: imported, or read off a module, or off an object whose class is elsewhere."""
    for source in sources.values():
        yield from source.private
        for node in source.parsed.private:
            if node.attr not in source.parsed.owned and source.name not in INSIDE_OF_OTHERS:
                yield f"{source.name}, line {node.lineno}, reads the private {ast.unparse(node)}"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_of_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _numba(sources: dict[str, Source]) -> Iterator[str]:
    for source in sources.values():
        if source.foreign & {"numba", "llvmlite"} and room_of(source.name) != "engine/loops":
            yield f"{source.name} imports numba, which is the matter of engine/loops"


def _rooms_that_do_something(sources: dict[str, Source]) -> Iterator[str]:
    for source in sources.values():
        if source.name.endswith("/__init__"):
            told = [node for node in source.parsed.body if isinstance(node, ast.Expr)]
            if len(source.parsed.body) != 1 or len(told) != 1 or not isinstance(told[0].value, ast.Constant):
                yield f"{source.name} has to say in a sentence what the room is, and nothing else"
