"""Documents that are wrong, by hand and by mutation: each is refused with the place."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.files import json_text, reading
from graphprop.files.document import TooLong, Twice
from graphprop.files.reading import read_network
from graphprop.files.writing import write_network
from tests.attack import files as attack
from tests.files.file_cases import (
    again,
    assert_same,
)
from tests.network_files import OWN, put, rich, small

# ------------------------------------------------------------------ bad documents


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The small document with one entry changed, or added, or (by ...) removed."""
    document = small()
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    elif isinstance(place, list) and path[-1] == len(place):
        place.append(value)
    else:
        place[path[-1]] = value
    return document


EDGE = {"source": "x", "target": "h", "theta": [1, 1]}

NODE = {"id": "z", "kind": "tanh"}

BAD: list[tuple[Any, str]] = [
    ([], "the document: an object is needed, not []"),
    (changed(("format",), ...), "format: 'graphprop network' is needed, there is none"),
    (changed(("format",), "torch"), "format: 'graphprop network' is needed, it is 'torch'"),
    (changed(("version",), 2), "version: this graphprop reads version 1, not 2; a newer graphprop wrote it"),
    (changed(("version",), True), "version: this graphprop reads version 1, not True"),
    (changed(("version",), 1.0), "version: this graphprop reads version 1, not 1.0"),
    (changed(("directed",), False), "directed: has to be true, not False"),
    (changed(("directed",), 1), "directed: has to be true, not 1"),
    (changed(("multigraph",), True), "multigraph: has to be false, not True"),
    (changed(("nodes",), ...), "the document: the key 'nodes' is missing"),
    (changed(("links",), []), "both edges and links"),
    (changed(("thetas",), []), "the document: unknown key 'thetas'; did you mean 'theta'?"),
    (changed(("graph",), []), "graph: an object is needed, not []"),
    (changed(("graph",), {"name": 3}), "graph.name: a text is needed, not 3"),
    (changed(("graph",), {"title": ""}), "graph: unknown key 'title'"),
    (changed(("nodes",), {}), "nodes: a list is needed, not {}"),
    (changed(("nodes", 1), "h"), "nodes[1]: an object is needed, not 'h'"),
    (changed(("nodes", 1, "id"), ...), "nodes[1]: the key 'id' is missing"),
    (changed(("nodes", 1, "id"), "x"), "nodes[1].id: there is a node 'x' before, nodes[0]"),
    (changed(("nodes", 1, "id"), 1.0), "nodes[1].id: a text, a whole number of at most 1000 digits or a list"),
    (changed(("nodes", 1, "id"), True), "nodes[1].id: a text"),
    (changed(("nodes", 1, "id"), None), "nodes[1].id: a text"),
    (changed(("nodes", 1, "id"), []), "nodes[1].id: a text"),
    (changed(("nodes", 1, "id"), ["a", {}]), "nodes[1].id: a text"),
    (changed(("nodes", 1, "id"), "\ud800"), "nodes[1].id: '\\ud800' holds half a character"),
    (changed(("nodes", 1, "kind"), "squere"), "nodes[1]: unknown activation 'squere'; did you mean 'square'?"),
    (changed(("nodes", 1, "kind"), ["square"]), "nodes[1].kind: 'input' or the name of an activation is needed"),
    (changed(("nodes", 1, "kind"), "os.system"), "nodes[1]: unknown activation 'os.system'"),
    (changed(("nodes", 1, "own"), 1), "nodes[1].own: true or false is needed, not 1"),
    (changed(("nodes", 1, "own"), True), "nodes[1]: the activation 'square' is not of this library"),
    (changed(("nodes", 1, "parameters"), {"slope": 1.0}), "nodes[1]: activation 'square': unknown parameter 'slope'"),
    (changed(("nodes", 1, "parameters"), []), "nodes[1].parameters: an object is needed"),
    (changed(("nodes", 1, "parameters"), {"s": "1"}), "nodes[1].parameters.s: a finite number is needed, not '1'"),
    (changed(("nodes", 1, "slope"), 0.2), "nodes[1]: unknown key 'slope'"),
    (changed(("nodes", 0, "bias"), 0), "nodes[0]: an input has no bias"),
    (changed(("nodes", 0, "parameters"), {}), "nodes[0]: an input has no parameters"),
    (changed(("nodes", 1, "size"), 2), "nodes[1].bias: a list of 2 is needed, not 0"),
    (changed(("nodes", 0, "size"), 0), "nodes[0].size: a whole number of at least 1 is needed, not 0"),
    (changed(("nodes", 0, "size"), True), "nodes[0].size: a whole number of at least 1"),
    (changed(("nodes", 0, "size"), 10**30), "nodes[0].size: at most 134,217,728 is allowed"),
    (changed(("nodes", 0, "size"), 2**27), "nodes[1].size: the nodes have more than 134,217,728 components"),
    (changed(("nodes", 2, "size"), ...), "nodes[2]: kind 'max' needs a size"),
    (
        changed(("nodes", 1, "bias"), 6),
        "nodes[1].bias: a position in theta (it has 6 numbers) or null is needed, not 6",
    ),
    (changed(("nodes", 1, "bias"), -1), "nodes[1].bias: a position in theta"),
    (changed(("nodes", 1, "bias"), False), "nodes[1].bias: a position in theta"),
    (changed(("nodes", 1, "bias"), 0.0), "nodes[1].bias: a position in theta"),
    (changed(("nodes", 1, "bias"), None), "nodes[1].bias: it has no entry; leave it out"),
    (changed(("nodes", 2, "bias"), [0, 1]), "nodes[2].bias: a list of 3 is needed, not of 2"),
    (changed(("nodes", 2, "bias"), [0, 1, "a"]), "nodes[2].bias[2]: a position in theta"),
    (changed(("edges",), None), "edges: a list is needed, not None"),
    (changed(("edges", 0), None), "edges[0]: an object is needed, not None"),
    (changed(("edges", 0, "source"), "X"), "edges[0].source: unknown node 'X'; did you mean 'x'?"),
    (changed(("edges", 0, "source"), "x" * 1000), "edges[0].source: unknown node 'xxxx"),
    (changed(("edges", 0, "target"), {}), "edges[0].target: a text"),
    (changed(("edges", 0, "target"), "x"), "edges[0]: the edge 'x' -> 'x' is a self-loop"),
    (changed(("edges", 1, "target"), "x"), "edges[1].target: 'x' is an input; nothing flows into an input"),
    (changed(("edges", 0, "weight"), 0.5), "edges[0]: unknown key 'weight'"),
    (changed(("edges", 0, "theta"), 1), "edges[0].theta: a list of 2 is needed, not 1"),
    (changed(("edges", 0, "theta"), [1, 2, 3]), "edges[0].theta: a list of 2 is needed, not of 3"),
    (changed(("edges", 2, "theta", 1), [4]), "edges[2].theta[1]: a list of 2 is needed, not of 1"),
    (changed(("edges", 2, "theta", 1, 1), 17), "edges[2].theta[1][1]: a position in theta (it has 6 numbers)"),
    (changed(("edges", 3), EDGE), "edges[3]: the edge 'x' -> 'h' is there twice"),
    (changed(("edges", 3), {"source": ["y", 1], "target": "h", "theta": 0}), "edges: there is a cycle, "),
    (changed(("theta",), "0.5"), "theta: a list is needed, not '0.5'"),
    (changed(("theta", 2), None), 'theta[2]: a finite number, or "-inf" for a mask is needed, not None'),
    (changed(("theta", 2), True), "theta[2]: a finite number"),
    (changed(("theta", 2), float("nan")), "theta[2]: a finite number"),
    (changed(("theta", 2), float("-inf")), "theta[2]: a finite number"),
    (changed(("theta", 2), 10**400), "theta[2]: a finite number"),
    (changed(("theta", 2), "inf"), "theta[2]: a finite number"),
    (
        changed(("theta", 2), "-inf"),
        "theta[2]: w(0, h, (y, 1)) is -inf; only biases of the softmax family can be masks",
    ),
    (changed(("theta", 0), "-inf"), "is -inf; only biases"),
    (changed(("theta",), []), "nodes[1].bias: a position in theta (it has 0 numbers)"),
    (changed(("order",), 3), "order: a list is needed, not 3"),
    (changed(("order",), [0, 1]), "order: it has to name each of the 3 nodes once"),
    (changed(("order",), [0, 1, 1]), "order: it has to name each of the 3 nodes once"),
    (changed(("order",), [0, 1, 3]), "order[2]: the number of a node, 0 to 2 is needed, not 3"),
    (changed(("order",), [0, 1, 2.0]), "order[2]: the number of a node"),
    (changed(("order",), [1, 0, 2]), "order: 'x' has to stand before 'h', which reads it"),
    (changed(("frozen",), [6]), "frozen[0]: a position in theta"),
    (changed(("frozen",), [True]), "frozen[0]: a position in theta"),
    (changed(("frozen",), [1, 1]), "frozen: a position is there twice"),
    (changed(("parameters",), {"f": 0}), "parameters: a list is needed"),
    (changed(("parameters",), [{"name": "f"}]), "parameters[0]: the key 'theta' is missing"),
    (changed(("parameters",), [{"name": "f", "theta": []}]), "parameters[0].theta: a position in theta"),
    (changed(("parameters",), [{"name": "f", "theta": None}]), "parameters[0].theta: a position in theta"),
    (
        changed(("parameters",), [{"name": "f", "theta": [[0, 1], [2]]}]),
        "parameters[0].theta[1]: a list of 2 is needed",
    ),
    (changed(("parameters",), [{"name": "f", "theta": [0, 0]}]), "parameters: a position of theta is there twice"),
    (changed(("parameters",), [{"name": "f", "theta": i} for i in (0, 1)]), "parameters[1].name: there is a parameter"),
    (changed(("outputs",), []), "outputs: an empty list declares none; leave it out"),
    (changed(("outputs",), ["h"]), "outputs[0]: a list is needed, not 'h'"),
    (changed(("outputs",), [["q"]]), "outputs: unknown node 'q'"),
    (changed(("outputs",), [["h"], ["h"]]), "outputs: 'h' is named twice"),
    (changed(("outputs",), [[]]), "outputs: an empty list is no head"),
    (changed(("outputs",), [["x", "h"]]), "outputs: 'x' is a vector node, which is a head of its own"),
]


@pytest.mark.parametrize(("document", "message"), BAD, ids=[message[:50] for _, message in BAD])
def test_a_bad_document_is_refused_with_the_file_and_the_place(document: Any, message: str, tmp_path: Path) -> None:
    file = put(tmp_path, document)
    with pytest.raises(gp.GraphpropError, match=re.escape(message)) as caught:
        gp.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert len(str(caught.value)) < 400 + len(str(file))


def nested(depth: int) -> Any:
    name: Any = "a"
    for _ in range(depth):
        name = [name]
    return name


TEXT = json.dumps(small())

BAD_TEXTS: list[tuple[bytes, str]] = [
    (b"", "the file is empty"),
    (b" \n", "the file is empty"),
    (b"{\n  'a'", "line 2, column 3: not JSON: "),
    (TEXT[:-5].encode(), "line 1, column "),
    (TEXT.encode() + b"{}", "not JSON: Extra data"),
    (TEXT.encode("utf-16"), "byte 0 is 0xff; the file is no text in UTF-8"),
    (TEXT.replace('"h"', '"\xe4"').encode("latin-1"), "is 0xe4; the file is no text in UTF-8"),
    (b"\x80\x04\x95", "byte 0 is 0x80; the file is no text in UTF-8"),
    (b"[" * 1_000_000, "nest more than 100 deep"),
    (b'{"a":' * 1_000_000, "nest more than 100 deep"),
    (b'["]]]]\\"]]]",' * 1_000_000, "nest more than 100 deep"),
    (b"7" * 5000, "the document: an object is needed, not a number of 5000 digits"),
    (TEXT.replace("-2.0", "9" * 5000).encode(), "theta[1]: a finite number"),
    (TEXT.replace("-2.0", "1e999").encode(), "theta[1]: a finite number"),
    (TEXT.replace("-2.0", "NaN").encode(), "theta[1]: a finite number"),
    (TEXT.replace("-2.0", "-Infinity").encode(), "theta[1]: a finite number"),
    (TEXT.replace('"square"', '"square", "kind": "tanh"').encode(), "nodes[1]: the key 'kind' is there twice"),
    (
        TEXT.replace('"version": 1', '"version": 1, "theta": []').encode(),
        "the document: the key 'theta' is there twice",
    ),
    (TEXT.replace('"h"', json.dumps(nested(33))).encode(), "nodes[1].id: the lists of a name nest 32 deep at most"),
    (TEXT.replace('"h"', json.dumps(nested(98))).encode(), "nest more than 100 deep"),
    (TEXT.replace('"h"', "1" * 1001).encode(), "nodes[1].id: a text, a whole number of at most 1000 digits"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS, ids=[message for _, message in BAD_TEXTS])
def test_a_bad_text_is_refused_with_the_file_and_the_place(text: bytes, message: str, tmp_path: Path) -> None:
    file = put(tmp_path, text)
    with pytest.raises(gp.GraphpropError, match=re.escape(message)) as caught:
        gp.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert len(str(caught.value)) < 400 + len(str(file))


def test_a_text_that_nests_deeply_does_no_harm_whatever_the_recursion_limit(tmp_path: Path) -> None:
    file = put(tmp_path, b"[" * 10_000_000)
    code = f"import sys, graphprop as gp; sys.setrecursionlimit(10**9); gp.load({str(file)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "nest more than 100 deep" in done.stderr


def test_brackets_in_texts_are_not_counted(tmp_path: Path) -> None:
    net = gp.Network()
    net.add_input('"[{' * 1000 + "\\")
    assert_same(net, again(net, tmp_path))


def test_names_at_their_limits_come_back_and_beyond_them_are_not_saved(tmp_path: Path) -> None:
    def chain(depth: int) -> Any:
        name: Any = "a"
        for _ in range(depth):
            name = (name,)
        return name

    for name in (chain(32), 10**1000 - 1, -(10**999), "x" * 100_000, ""):
        net = gp.Network()
        net.add_input(name)
        assert_same(net, again(net, tmp_path))
    for name, message in ((chain(33), "32 deep"), (("a", 10**1000), "1000 digits"), ("\udfff", "lone surrogate")):
        net = gp.Network()
        net.add_input(name)
        with pytest.raises(gp.GraphpropError, match=message):
            net.save(tmp_path / "other.json")
    assert os.listdir(tmp_path) == ["net.json"]


def test_a_cycle_is_named_and_a_long_one_cut_short(tmp_path: Path) -> None:
    document = small()
    document["nodes"] = [{"id": i, "kind": "tanh"} for i in range(50)]
    document["edges"] = [{"source": i, "target": (i + 1) % 50, "theta": 0} for i in range(50)]
    with pytest.raises(gp.CycleError, match=r"there is a cycle, (\d+ -> ){10}\.\.\. -> \d+; ") as caught:
        gp.load(put(tmp_path, document))
    cycle = caught.value.cycle
    assert len(cycle) == 51
    assert all(v == (u + 1) % 50 for u, v in itertools.pairwise(cycle))


# ------------------------------------------------------------------ mutated documents

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 30)
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["x", "h", "y", "-inf", "input", "softmax", "cube", 10**400, Twice("a"), TooLong(9)]),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["id", "kind", "theta", "a"]), each),
    max_leaves=6,
)

RICH = write_network(rich()).encode()

DOCUMENTS = [small(), json.loads(RICH), json.loads(write_network(gp.mlp([2, 2, 2], seed=0)))]


def places(document: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else [])
    )
    return [here, *(place for key, part in inside for place in places(part, (*here, key)))]


@st.composite
def mutated(draw: Any) -> Any:
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(document)[1:] or [("version",)]))
        parent = document
        for key in path:
            parent = parent[key]
        how = draw(st.sampled_from(["junk", "junk", "remove", "copy", "move", "add"]))
        other: Any = document
        for key in draw(st.sampled_from(places(document))):
            other = other[key]
        with contextlib.suppress(KeyError, IndexError):
            if how == "remove":
                del parent[last]
            elif how == "add" and isinstance(parent, dict):
                parent[draw(st.sampled_from(["bias", "own", "size", "order", "frozen", "outputs", "a"]))] = draw(JUNK)
            elif how == "copy" and isinstance(parent, list):
                parent.append(copy.deepcopy(parent[last]))
            elif how == "move":
                parent[last] = copy.deepcopy(other)
            else:
                parent[last] = draw(JUNK)
    return document


@given(mutated())
def test_nothing_but_our_error_comes_of_a_mutated_document_or_a_sound_network(document: Any) -> None:
    try:
        net = read_network(document, OWN, gp.Network)
    except gp.GraphpropError:
        return
    assert_same(net, read_network(json.loads(write_network(net)), OWN, gp.Network))
    copied = net.copy()
    copied.add_input("a name that is not there")
    repr(net.program) if all(net.parents(v) for v in set(net.nodes) - set(net.inputs)) and len(net) else None


@given(st.data())
def test_nothing_but_our_error_comes_of_mutated_bytes(data: st.DataObject) -> None:
    text = bytearray(RICH)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 1, 1, 2, 10, len(text)]))
        inserted = st.binary(max_size=3) | st.sampled_from([b'"', b"[", b"}", b"-", b"9"])
        text[start : start + length] = data.draw(inserted)
    with contextlib.suppress(gp.GraphpropError):
        read_network(json_text.parse_json(bytes(text), "net.json"), OWN, gp.Network)


def test_files_changed_at_random_give_a_network_or_an_error_of_ours() -> None:
    counts: Counter[str] = Counter()
    attack.run(0, range(100), counts)
    assert sum(counts.values()) == 100
    assert counts["documents with changed entries: networks"] > 2


def test_the_attack_finds_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    right = reading.read_name

    def raises(given: Any, place: str, depth: int = 0) -> Any:
        return {}["oops"] if given == "late" else right(given, place, depth)

    def hangs(given: Any, place: str, depth: int = 0) -> Any:
        while given == "late":
            pass
        return right(given, place, depth)

    monkeypatch.setattr(attack, "SECONDS", 0.5)
    for planted, told in ((raises, "KeyError: 'oops'"), (hangs, "TooSlow: more than 1 s of processor time")):
        monkeypatch.setattr(reading, "read_name", planted)
        with pytest.raises(attack.Found, match=f"^case.*{told}; the file is ") as caught:
            attack.run(0, range(400), Counter())
        kept = Path(str(caught.value).rsplit(" ", 1)[1])
        assert b"late" in kept.read_bytes()
        kept.unlink()
    monkeypatch.setattr(reading, "read_name", right)
    monkeypatch.setattr(attack, "peak_megabytes", iter(range(0, 10**9, 500)).__next__)
    with pytest.raises(attack.Found, match="it took 500 MB of memory") as caught:
        attack.run(0, range(1), Counter())
    Path(str(caught.value).rsplit(" ", 1)[1]).unlink()
