"""Programs saved as files of arrays: what comes back is the same, and nothing else is taken for a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import graphprop as gp
from graphprop.cli.commands import main
from graphprop.files.layouts import SPARE, write_layout
from graphprop.files.packing import TITLE, pack, unpack
from tests.engine.array_cases import Given, array_graphs
from tests.network_files import OWN, rich

ARRAYS = ("order", "a_start", "o_start", "edge_source", "edge_target", "edge_start", "row", "column", "position")
Arrays = dict[str, Any]


def assert_same(one: gp.Program, other: gp.Program) -> None:
    assert one.layout.same_structure(other.layout)
    assert other.layout.same_structure(one.layout)
    for name in (*ARRAYS, "bias_row", "bias_position"):
        mine, theirs = getattr(one.layout, name), getattr(other.layout, name)
        assert mine.tolist() == theirs.tolist()
        assert mine.dtype == theirs.dtype
    assert one.layout.outputs_declared == other.layout.outputs_declared
    assert one.layout.kinds[0] == other.layout.kinds[0]
    assert one.layout.kinds[1].tolist() == other.layout.kinds[1].tolist()
    for mine, theirs in zip(one.layout.nodes, other.layout.nodes, strict=True):
        assert (mine.bias is None) == (theirs.bias is None)
        assert mine.bias is None or mine.bias.tolist() == theirs.bias.tolist()
    assert [type(name) for name in one.layout.names] == [type(name) for name in other.layout.names]


def again(program: gp.Program, file: Path) -> gp.Program:
    program.save(file)
    found = gp.load(file, OWN)
    assert isinstance(found, gp.Program)
    return found


def many_heads() -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    for name in "bca":
        net.add_node(name, "tanh", {"x": 1.0})
        net.add_node(f"{name}s", "softmax", {"x": [1.0, 2.0]})
    return net


PROGRAMS: dict[str, Callable[[], gp.Program]] = {
    "everything": lambda: gp.compile(rich()),
    "layers": lambda: gp.compile(gp.mlp([40, 50, 3], "tanh", "softmax", seed=0)),
    "layers as vectors": lambda: gp.compile(gp.mlp([4, 5, 3], "relu", "log_softmax", seed=0, by="layer")),
    "sinks of both kinds": lambda: gp.compile(many_heads()),
    "edges": lambda: gp.Program.from_edges(2, [0, 1, 2], [2, 2, 3], "tanh", bias=True),
    "inputs that nothing reads": lambda: gp.Program.from_edges(9, [0, 1], [9, 9], "max"),
    "a second network of its sizes": lambda: gp.compile(gp.mlp([2, 2, 1], seed=0)),
}


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_a_saved_program_comes_back_the_same_and_computes_the_same_bits(name: str, tmp_path: Path) -> None:
    program = PROGRAMS[name]()
    found = again(program, tmp_path / "graph")
    assert_same(program, found)
    rng = np.random.default_rng(0)
    theta = rng.normal(size=program.layout.size) / 2
    rows = rng.normal(size=(3, len(program.layout.input_columns)))
    outputs = program.predict(theta, rows)
    assert outputs.tobytes() == found.predict(theta, rows).tobytes()
    for mine, theirs in zip(program.vjp(theta, rows, outputs), found.vjp(theta, rows, outputs), strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert (tmp_path / "graph").read_bytes() == write_layout(found.layout)


@given(array_graphs())
def test_a_graph_from_arrays_comes_back_from_its_file(made: Given) -> None:
    program = gp.Program.from_edges(**made)
    header, arrays = unpack(write_layout(program.layout))
    assert "names" in header
    assert_same(program, _loaded(pack(header, arrays)))


def _loaded(data: bytes) -> gp.Program:
    from graphprop.files.layouts import read_layout
    from graphprop.program import compile_layout

    return compile_layout(read_layout(data, OWN))


def test_load_tells_networks_and_programs_apart(tmp_path: Path) -> None:
    net = gp.mlp([2, 3, 1], seed=0)
    for name in ("one.json", "one"):  # not by the suffix
        net.save(tmp_path / name)
        assert isinstance(gp.load(tmp_path / name), gp.Network)
        net.program.save(tmp_path / name)
        assert isinstance(gp.load(tmp_path / name), gp.Program)


def test_a_file_that_cannot_be_written_leaves_the_one_that_is_there(tmp_path: Path) -> None:
    program = gp.Program.from_edges(1, [0], [1], names=["x", "half \ud800"])
    (tmp_path / "graph").write_text("old")
    with pytest.raises(gp.GraphpropError, match=r"graph: .*half a character"):
        program.save(tmp_path / "graph")
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]
    assert (tmp_path / "graph").read_text() == "old"


def test_what_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    big = gp.Program.from_edges(1, [0], [1], position=[SPARE + 200])
    with pytest.raises(gp.LimitError, match="theta has 1,048,777 numbers; with 1 weights and biases at most 1,048,642"):
        big.save(tmp_path / "graph")
    names = gp.Program.from_edges(1, [0] * 65, range(1, 66), names=[i * (2**61 - 1) for i in range(66)])
    with pytest.raises(gp.LimitError, match="names: more than 64 names are the same or have the same hash"):
        names.save(tmp_path / "graph")
    assert not [*tmp_path.iterdir()]


# ------------------------------------------------------------------ files that are none


def sound() -> tuple[Arrays, Arrays]:
    """x and y, which a max of three components and a sigmoid read; two heads."""
    program = gp.Program.from_edges(
        2,
        [0, 0, 1, 2, 0],
        [2, 2, 2, 3, 3],
        ["max", "sigmoid"],
        bias=[True, False, True, True],
        component=[0, 2, 1, 0, 0],
        outputs=[[3], [2]],
        names=["x", "y", "m", "s"],
    )
    header, arrays = unpack(write_layout(program.layout))
    return header, {name: array.tolist() for name, array in arrays.items()}


def packed(header: Arrays, arrays: Arrays) -> bytes:
    """The bytes, also of what no program is."""
    title, line, numbers = pack({}, {name: np.array(x, dtype=np.intp) for name, x in arrays.items()}).split(b"\n", 2)
    return b"\n".join([title, json.dumps({**json.loads(line), **header}).encode(), numbers])


def with_header(**entries: Any) -> Callable[[], bytes]:
    def data() -> bytes:
        header, arrays = sound()
        return packed({**header, **entries}, arrays)

    return data


def with_entry(name: str, place: int, entry: Any) -> Callable[[], bytes]:
    def data() -> bytes:
        header, arrays = sound()
        arrays[name][place] = entry
        return packed(header, arrays)

    return data


def with_array(name: str, entries: Any) -> Callable[[], bytes]:
    def data() -> bytes:
        header, arrays = sound()
        return packed(header, {key: x for key, x in {**arrays, name: entries}.items() if x is not None})

    return data


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut in the arrays": (lambda: packed(*sound())[:-1], "arrays[12]: 'head_node' takes 2 bytes, and 1 are left"),
    "more at the end": (lambda: packed(*sound()) + b"x", "1 bytes follow the arrays"),
    "cut in the header": (lambda: packed(*sound())[:40], "it ends in its second line, the header"),
    "no JSON": (lambda: TITLE + b"{,}\n", "the header: line 1, column 2: not JSON"),
    "a list": (lambda: TITLE + b"[]\n", "the header: an object is needed, not []"),
    "nothing": (lambda: TITLE + b"{}\n", "the header: the key 'arrays' is missing"),
    "a type": (with_header(arrays=[["kind", "<f8", 1]]), "arrays[0]: a type, one of <u1, <u2, <u4, <u8, is needed"),
    "objects": (with_header(arrays=[["kind", "|O", 1]]), "arrays[0]: a type, one of <u1, <u2, <u4, <u8, is needed"),
    "a length": (with_header(arrays=[["kind", "<u1", -1]]), "arrays[0]: a length, a whole number of at least 0, is"),
    "huge": (with_header(arrays=[["kind", "<u8", 2**60]]), "arrays[0]: 'kind' takes 9223372036854775808 bytes, and"),
    "an array twice": (with_header(arrays=[["kind", "<u1", 0]] * 2), "arrays[1]: there is 'kind' before"),
    "an array missing": (with_array("uses", None), "arrays: 'uses' is missing"),
    "an array more": (with_array("extra", [1]), "arrays: 'extra' is none of kind, size, order"),
    "half of the heads": (with_array("head_node", None), "arrays: 'head_node' is missing"),
    "lengths": (with_array("size", [0]), "arrays: 'size' has 1 entries, 'kind' 4; they belong together"),
    "newer": (with_header(version=2), "version: this graphprop reads version 1, not 2; a newer graphprop wrote it"),
    "no version": (with_header(version="1"), "version: this graphprop reads version 1, not '1'"),
    "a key": (with_header(names_=[]), "the header: unknown key 'names_'; did you mean 'names'?"),
    "theta": (with_header(theta=-1), "theta: a whole number of at least 0 is needed, not -1"),
    "a large theta": (with_header(theta=2**40), "theta has 1,099,511,627,776 numbers; with 8 weights and biases at"),
    "activation": (with_header(activations=[{"kind": "tnah"}]), "activations[0]: unknown activation 'tnah'"),
    "own": (with_header(activations=[{"kind": "f", "own": True}] * 2), "activations[0]: the activation 'f' is not of"),
    "twice": (with_header(activations=[{"kind": "max"}] * 2), "activations: one is there twice"),
    "few names": (with_header(names=["x"]), "names: there are 4 nodes, and 1 names"),
    "a name twice": (with_header(names=["x", "y", "m", "x"]), "names: 'x' is there twice"),
    "no name": (with_header(names=["x", "y", "m", 0.5]), "names[3]: a text, a whole number of at most"),
    "parameter": (with_header(parameters=[{"name": "p", "theta": 8}]), "parameters[0].theta: a position in theta"),
    "kind": (with_entry("kind", 3, 9), "kind[3] is 9; 0 is an input, and there are 3 kinds with it"),
    "a scalar that reduces": (with_entry("size", 2, 0), "size[2]: it is 0, which is for scalar nodes and inputs"),
    "very wide": (with_entry("size", 2, 2**26), "the nodes have 67,108,867 components together; with 8 weights"),
    "wider than anything": (with_entry("size", 2, 2**62), "the nodes have 4,611,686,018,427,387,904 components"),
    "order out": (with_entry("order", 0, 4), "order[0] is 4; there are 4 nodes"),
    "order twice": (with_entry("order", 0, 1), "order[0]: it has to name each node once"),
    "order": (with_array("order", [0, 1, 3, 2]), "source[3]: it has to come before its target in the order"),
    "source": (with_entry("source", 0, 9), "source[0] is 9; there are 4 nodes"),
    "target": (with_entry("target", 3, 9), "target[3] is 9; there are 4 nodes"),
    "targets apart": (with_array("target", [2, 3, 2, 3]), "target[2]: the edges have to be in the order of their"),
    "into an input": (with_array("target", [1, 2, 3, 3]), "target[0]: it is an input; nothing flows into an input"),
    "a loop": (with_entry("source", 0, 2), "source[0]: it has to come before its target in the order"),
    "an edge twice": (with_entry("source", 1, 0), "source, target: the edge 0 -> 2 is there twice"),
    "a node alone": (with_array("kind", [0, 2, 1, 2]), "kind[1]: this node has no edge into it and is no input"),
    "no uses": (with_entry("uses", 1, 0), "uses[1]: an edge has at least one weight"),
    "many uses": (with_entry("uses", 1, 2**60), "uses: the edges do not have 5 weights together"),
    "row": (with_entry("row", 4, 1), "row[4]: the target has fewer components"),
    "column": (with_entry("column", 0, 1), "column[0]: the output of the source has fewer components"),
    "an entry twice": (with_entry("row", 1, 0), "row, column[1]: the entries of an edge have to go on row by row"),
    "position": (with_entry("position", 4, 8), "position[4] is 8; theta has 8 numbers"),
    "bias": (with_entry("bias_position", 0, 8), "bias_position[0] is 8; theta has 8 numbers"),
    "bias row": (with_entry("bias_row", 2, 4), "bias_row[2] is 4; there are 4 pre-activations"),
    "a bias twice": (with_entry("bias_row", 1, 0), "bias_row[1]: it has to ascend"),
    "head": (with_entry("head_node", 0, 4), "head_node[0] is 4; there are 4 nodes"),
    "a node in two heads": (with_entry("head_node", 0, 2), "head_node: a node is there twice"),
    "an empty head": (with_array("head_length", [2, 0]), "head_length[1]: a head has at least one node"),
    "heads": (with_array("head_length", [3]), "head_length: the heads do not have 2 nodes together"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_what_is_no_program_is_refused_with_the_file_and_the_place(what: str, tmp_path: Path) -> None:
    data, message = WRONG[what]
    file = tmp_path / "graph"
    file.write_bytes(data())
    with pytest.raises(gp.GraphpropError) as caught:
        gp.load(file)
    assert f"{file}: {message}" in str(caught.value)


def test_the_file_that_the_wrong_ones_were_made_of_is_sound(tmp_path: Path) -> None:
    (tmp_path / "graph").write_bytes(packed(*sound()))
    assert len(gp.load(tmp_path / "graph")) == 4


def test_a_vector_node_is_a_head_of_its_own(tmp_path: Path) -> None:
    header, arrays = unpack(write_layout(gp.compile(many_heads()).layout))
    arrays |= {"head_length": np.array([2]), "head_node": np.array([1, 2])}
    (tmp_path / "graph").write_bytes(pack(header, arrays))
    with pytest.raises(gp.GraphpropError, match=r"head_node\[1\]: it is a vector node, which is a head of its own"):
        gp.load(tmp_path / "graph")


def test_own_activations_are_given_back(tmp_path: Path) -> None:
    program = gp.compile(rich())
    program.save(tmp_path / "graph")
    with pytest.raises(gp.UnknownNameError, match=r"graph: activations\[\d\]: the activation 'cube' is not of this"):
        gp.load(tmp_path / "graph")
    with pytest.raises(gp.LimitError, match=r"graph: has more than 100 bytes; max_bytes=\.\.\. allows more"):
        gp.load(tmp_path / "graph", OWN, max_bytes=100)


@pytest.mark.parametrize("command", ["info", "draw", "check", "draw --structure"])
def test_the_commands_say_that_they_need_a_network(command: str, tmp_path: Path, capsys: Any) -> None:
    gp.Program.from_edges(1, [0], [1]).save(tmp_path / "graph")
    name, *options = command.split()
    assert main([name, str(tmp_path / "graph"), *options]) == 2
    assert "graph: is a program, without numbers; a network is needed, which net.save writes" in capsys.readouterr().err
