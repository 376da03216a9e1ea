"""Networks in files: the same network comes back, and nothing but a GraphpropError comes of a bad file."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop import errors
from graphprop.files import json_text, saving
from graphprop.files.document import MOST_DIGITS, MOST_LONE_COMPONENTS, MOST_OF_ONE_HASH
from tests.attack import files as attack
from tests.attack.hostile_texts import HOSTILE, ONE_HASH, document
from tests.cases import one_of
from tests.files.file_cases import (
    again,
    assert_same,
    bits,
)
from tests.network_files import put, small
from tests.project import ROOT

# ------------------------------------------------------------------ files that ask for much


@pytest.mark.parametrize("size", one_of(2, (300_000, 1_000_000)))
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_read_takes_a_time_and_memory_that_are_linear_in_the_text(name: str, size: int, tmp_path: Path) -> None:
    """What was quadratic would take minutes here: it is ended, and fails, after many times what is needed."""
    attack.load(HOSTILE[name](size).encode(), tmp_path / "net.json", name)


@pytest.mark.parametrize(
    "name", ["lists in lists", "objects in objects", "empty lists", "empty objects", "small objects", "deep names"]
)
def test_lists_and_objects_that_no_network_needs_are_refused_before_they_are_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's parser would take up to fifty times the file for them."""
    made: list[Any] = []
    right = json.loads
    monkeypatch.setattr(json, "loads", lambda *text, **how: made.append(text) or right(*text, **how))
    with pytest.raises(gp.LimitError, match=r"objects in [0-9,]+ bytes are more than a network needs"):
        gp.load(put(tmp_path, HOSTILE[name](13_000_000).encode()))
    assert not made


def test_a_network_whose_names_are_very_many_lists_is_refused_when_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "SPARE", 1000)
    net = gp.Network()
    name: Any = 0
    for _ in range(31):
        name = (name,)
    for i in range(50):
        net.add_input((i, name))
    with pytest.raises(gp.LimitError, match="more than a network needs"):
        net.save(tmp_path / "net.json")
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_is_compared_with_few_names_and_the_nearest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right, compared = errors.difflib.get_close_matches, []

    def counted(word: str, possibilities: Any, **how: Any) -> Any:
        compared.append(list(possibilities))
        return right(word, compared[-1], **how)

    monkeypatch.setattr(errors.difflib, "get_close_matches", counted)
    names = [f"{'a' * 90}{i:06}" for i in range(20_000)]
    with pytest.raises(gp.UnknownNameError, match=r"did you mean '(a+)012345'\?"):
        raise errors.unknown("node", names[12_345] + "a", names)
    assert len(compared[0]) <= 100
    message = str(errors.unknown("node", "b" * 10**6, ["c" * 10**6]))
    assert len(message) < 1000
    assert message.startswith("unknown node 'bbb")


def test_names_of_one_hash_are_refused_when_they_are_read_and_when_they_are_saved(tmp_path: Path) -> None:
    few, many = ([str(i * ONE_HASH + 5) for i in range(n)] for n in (64, 65))
    net = gp.load(put(tmp_path, document(",".join(f'{{"id": {x}, "kind": "input"}}' for x in few), "").encode()))
    assert len(again(net, tmp_path)) == 64
    net.add_input(int(many[-1]))
    with pytest.raises(gp.LimitError, match="nodes: more than 64 names are the same or have the same hash"):
        net.save(tmp_path / "net.json")
    net = gp.Network()
    for x in many:
        net.parameter(int(x), 1.0)
    with pytest.raises(gp.LimitError, match="parameters: more than 64 names"):
        net.save(tmp_path / "net.json")


@pytest.mark.parametrize("kind", ["input", "softmax"])
def test_a_small_file_cannot_ask_for_gigabytes(kind: str, tmp_path: Path) -> None:
    most = MOST_LONE_COMPONENTS
    lone = ",".join(f'{{"id": {i}, "kind": "{kind}", "size": {most // 2}}}' for i in range(2))
    assert len(gp.load(put(tmp_path, document(lone, "").encode()))) == 2
    for nodes in (lone + f', {{"id": "x", "kind": "{kind}"' + ', "size": 1}', lone.replace(str(most // 2), str(2**26))):
        with pytest.raises(gp.LimitError, match=f"without edges have more than {most:,} components"):
            gp.load(put(tmp_path, document(nodes, "").encode()))
    net = gp.Network()
    net.add_input("x", size=most + 1)
    with pytest.raises(gp.LimitError, match="node 'x': vector nodes without edges"):
        net.save(tmp_path / "net.json")


def test_the_limit_of_bytes_is_no_allocation(tmp_path: Path) -> None:
    file = put(tmp_path, small())
    for most in (2**40, 2**63, 10**30):
        tracemalloc.start()
        net = gp.load(file, max_bytes=most)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(net) == 3
        assert peak < 10_000_000


# ------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.json", "none.json: there is no such file"),
        ("no/such/folder/net.json", "there is no such file"),
        ("folder", "folder: is a folder; a file is needed"),
        ("a" * 5000, "cannot be read: File name too long"),
        ("", "a path is a text that is not empty"),
        ("a\0b", "a path is a text that is not empty, without the character 0"),
        (3, "a path is a text or a path object, not 3"),
        (None, "a path is a text or a path object, not None"),
        (b"net.json", "a path is a text"),
    ],
    ids=lambda x: str(x)[:30],
)
def test_what_cannot_be_read_is_told(path: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(gp.GraphpropError, match=re.escape(message)):
        gp.load(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/such/folder/net.json", "no/such/folder/net.json: cannot be written: there is no folder"),
        ("folder", "folder: is a folder; only a file can be replaced"),
        ("new/", "new/: is the name of a folder"),
        ("loop", "cannot be written: Too many levels of symbolic links"),
        ("", "a path is a text that is not empty"),
        (3, "a path is a text or a path object, not 3"),
        ("a\x00b", "without the character 0"),
        ("half\ud800", "a path is a text that the system can write, not 'half\\ud800'"),
    ],
    ids=ascii,
)
def test_what_cannot_be_written_is_told(
    path: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(gp.GraphpropError, match=re.escape(message)):
        gp.mlp([1, 1], seed=0).save(path)
    assert sorted(os.listdir(tmp_path)) == ["folder", "loop"]


@pytest.mark.parametrize("path", ["a\x00b.svg", "half\ud800.svg", 3, b"net.svg", np.array(["a.svg"]), None])
def test_every_call_that_takes_a_path_says_what_a_path_is(path: Any) -> None:
    net = gp.mlp([1, 1], seed=0)
    for call in (net.save, gp.load, gp.draw(net, layout="columns").save):
        with pytest.raises(gp.GraphpropError, match="a path is a text"):
            call(path)


def test_however_much_is_allowed_memory_is_taken_for_what_is_there(tmp_path: Path) -> None:
    gp.mlp([1, 1], seed=0).save(file := tmp_path / "net.json")
    for allowed in (2**40, 2**63 - 1, 2**63, 10**100):
        tracemalloc.start()
        gp.load(file, max_bytes=allowed)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 10_000_000


def test_a_pipe_is_neither_waited_for_nor_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for call in (gp.load, gp.mlp([1, 1], seed=0).save):
        with pytest.raises(gp.GraphpropError, match="is no regular file"):
            call(tmp_path / "pipe")
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_file_that_is_too_large_is_refused_with_the_limit(tmp_path: Path) -> None:
    file = put(tmp_path, small())
    size = file.stat().st_size
    with pytest.raises(gp.LimitError, match=f"has more than {size - 1} bytes; max_bytes=... allows more"):
        gp.load(file, max_bytes=size - 1)
    assert len(gp.load(file, max_bytes=size)) == 3
    with open(file, "wb") as stream:
        stream.truncate(2**28 + 1)
    with pytest.raises(gp.LimitError, match="has more than 268,435,456 bytes"):
        gp.load(file)
    for wrong in (0, 2.5, True):
        with pytest.raises(gp.GraphpropError, match="max_bytes is a whole number"):
            gp.load(file, max_bytes=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("fails", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
def test_if_writing_fails_the_old_file_is_there_and_nothing_else(
    fails: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(tmp_path, small())
    file.chmod(0o600)
    before = file.read_bytes()

    def fail(*arguments: Any) -> None:
        raise error

    expected = gp.GraphpropError if isinstance(error, OSError) else KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(os, fails, fail)
        with pytest.raises(expected):
            gp.mlp([1, 1], seed=0).save(file)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.json"]


def test_numbers_that_no_run_takes_are_not_saved(tmp_path: Path) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "tanh", {"x": 1.0}, bias=2.0)
    file = tmp_path / "net.json"
    net.save(file)
    before = file.read_bytes()
    net.theta[1] = np.nan
    with pytest.raises(
        gp.NumberError, match=re.escape(f"{file}: theta[1], b[h], is nan; it must be finite to be saved")
    ):
        net.save(file)
    net.theta[1], net.name = 1.0, 3  # type: ignore[assignment]
    with pytest.raises(gp.GraphpropError, match="the name of a network is a text"):
        net.save(file)
    assert file.read_bytes() == before


def test_the_permissions_are_those_of_any_new_file_or_of_the_one_before(tmp_path: Path) -> None:
    net, file = gp.mlp([1, 1], seed=0), tmp_path / "net.json"
    before = os.umask(0o027)
    try:
        net.save(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        file.chmod(0o604)
        net.save(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o604
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any file")
def test_a_file_that_is_read_only_is_not_replaced(tmp_path: Path) -> None:
    file = put(tmp_path, small())
    file.chmod(0o400)
    with pytest.raises(gp.GraphpropError, match="read-only"):
        gp.mlp([1, 1], seed=0).save(file)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "folder" / "net.json")
    net = gp.mlp([1, 1], seed=0)
    net.save(link)
    assert link.is_symlink()
    assert_same(net, gp.load(tmp_path / "folder" / "net.json"))


def test_who_reads_while_it_is_written_finds_a_whole_network(tmp_path: Path) -> None:
    nets = [gp.mlp([20, n, 1], seed=0) for n in (5, 60)]
    file = tmp_path / "net.json"
    nets[0].save(file)
    done = threading.Event()

    def write() -> None:
        for i in range(20):
            nets[i % 2].save(file)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert len(gp.load(file)) in (26, 81)
    writer.join()
    assert os.listdir(tmp_path) == ["net.json"]


def test_a_hundred_thousand_edges_come_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    target = np.repeat(np.arange(1000, 11_000), 10)
    source = (target - 1 - 99 * np.tile(np.arange(10), 10_000) - random.integers(0, 9, len(target))) % target
    net = gp.Program.from_edges(1000, source, target, "tanh", bias=True).to_network()
    net.theta = random.normal(size=len(net.theta))
    net.save(tmp_path / "net.json")
    other = gp.load(tmp_path / "net.json")
    assert other.same_structure(net)
    assert bits(other.theta) == bits(net.theta)


def test_the_page_states_the_limits() -> None:
    page = (ROOT / "docs" / "file_format.md").read_text(encoding="utf-8")
    for number in (f"{json_text.DEEPEST} deep", f"{saving.MOST_BYTES:,}", f"{2**27:,}", str(MOST_DIGITS)):
        assert number in page
    assert f"| components of all vector nodes without edges together | {MOST_LONE_COMPONENTS:,} |" in page
    assert f"| nodes, or parameters, whose names have the same hash in Python | {MOST_OF_ONE_HASH} |" in page
