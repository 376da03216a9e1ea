"""Files of networks, changed at random in their bytes and in their structure, and texts that were made to be slow.

Whatever is in a file, loading it gives a network or an error of ours, in time and memory bounded by its size. A network
is sound: it is saved, and comes back the same.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp
from graphprop.files.layouts import write_layout
from graphprop.files.packing import pack, unpack
from graphprop.files.stand_ins import load_structure
from graphprop.files.writing import write_network
from tests.attack import Found
from tests.attack.hostile_texts import HOSTILE, ONE_HASH
from tests.network_files import OWN, rich, small

try:
    import resource
except ImportError:  # another system; memory is not measured there
    resource = None  # type: ignore[assignment]

Document = Any
Random = random.Random

SECONDS, SECONDS_PER_MEGABYTE = 10.0, 10.0  # of processor time; more than ten times what it takes on a slow machine
MEGABYTES, MEGABYTES_PER_MEGABYTE = 200.0, 100.0  # of memory; Python's parser takes some thirty times the file
DOCUMENTS = [
    small(),
    json.loads(write_network(rich())),
    json.loads(write_network(gp.mlp([2, 3, 2], "tanh", "softmax", seed=0))),
    json.loads(write_network(gp.mlp([2, 3, 2], "relu", "softmax_dot", seed=0, by="layer"))),
]
TEXTS = [json.dumps(document).encode() for document in DOCUMENTS]
GRAPHS = [rich(), gp.mlp([2, 3, 2], "tanh", "softmax", seed=0), gp.Program.from_edges(2, [0, 1, 2], [2, 2, 3])]
PROGRAMS = [write_layout(graph.layout) for graph in GRAPHS]
SIZES = [0, 1, 2, 3, 5, 255, 2**16, 2**27, 2**40, 2**62]
TOKENS = [
    b'"',
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"-",
    b"0",
    b"9" * 40,
    b".",
    b"e999",
    b"null",
    b"true",
    b"NaN",
]
TOKENS += [
    b"-Infinity",
    b'"-inf"',
    b"\\ud800",
    b"\xff",
    b"\x00",
    b"\xef\xbb\xbf",
    b'"own": true,',
    b'"size": 134217728,',
]
JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    2**27,
    2**27 - 9,
    2**63,
    10**400,
    ONE_HASH,
    0.5,
    -0.0,
    1e308,
    "",
    "x",
]
JUNK += ["h", "y", "-inf", "input", "softmax", "max", "cube", "scaled", "a" * 500, "\x1b[2J", "\udc80", [], {}, [[]]]
JUNK += [[None], [0, 1], [[0, 1], [2, 3]], {"slope": 0.5}, {"s": 0.1}, {"id": "z", "kind": "tanh"}]
KEYS = ["id", "kind", "size", "bias", "own", "parameters", "order", "frozen", "outputs", "links", "theta", "graph", "a"]


def attack(seconds: float, seed: int) -> dict[str, int]:
    """Load files for so long; how many of which kind, and what came of them."""
    end = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    number = 0
    while not number or time.monotonic() < end:
        run(seed, range(number, number + 20), counts)
        number += 20
    return dict(counts)


def run(seed: int, numbers: range, counts: Counter[str]) -> None:
    """Load the files of these numbers."""
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            kind, data = case(seed, number)
            counts[f"{kind}: {load(data, Path(folder) / 'net.json', f'case({seed}, {number}), {kind}')}"] += 1


def case(seed: int, number: int) -> tuple[str, bytes]:
    """The file of a number, the same for the same seed."""
    rng = Random(f"{seed} {number}")
    if number % 100 == 99:
        name = rng.choice(list(HOSTILE))
        return "texts made to be slow", HOSTILE[name](rng.choice([1000, 30_000, 300_000])).encode(
            errors="surrogatepass"
        )
    if number % 5 == 0:
        return "programs with changed bytes", changed_bytes(rng, PROGRAMS)
    if number % 5 == 1:
        return "programs with changed entries", changed_program(rng)
    if number % 2:
        return "documents with changed entries", json.dumps(changed_document(rng)).encode()
    return "texts with changed bytes", changed_bytes(rng)


def load(data: bytes, path: Path, where: str) -> str:
    """What came of a file; raises where it is neither a sound network nor an error of ours."""
    path.write_bytes(data)
    megabytes = len(data) / 1e6
    before = peak_megabytes()
    try:
        with bounded(SECONDS + SECONDS_PER_MEGABYTE * megabytes):
            told = _load(path)
    except Exception as error:
        raise Found(f"{where}: {type(error).__name__}: {error}; the file is {_kept(data)}") from error
    grown = peak_megabytes() - before
    if grown > MEGABYTES + MEGABYTES_PER_MEGABYTE * megabytes:
        raise Found(f"{where}: it took {grown:.0f} MB of memory; the file is {_kept(data)}")
    return told


def _load(path: Path) -> str:
    with contextlib.suppress(gp.GraphpropError):
        load_structure(path, gp.Network)
    try:
        net = gp.load(path, OWN)
    except gp.GraphpropError as error:
        if len(str(error)) < 20_000:
            return "errors of ours"
        raise Found(f"a message of {len(str(error))} characters") from None
    net.save(path)
    again = gp.load(path, OWN)
    if isinstance(net, gp.Program):
        assert again.layout.same_structure(net.layout), "another program comes back"
        repr(again)
        return "programs"
    assert again.same_structure(net), "another network comes back"
    assert again.theta.tobytes() == net.theta.tobytes(), "other numbers come back"
    assert np.array_equal(again.trainable, net.trainable)
    repr(net)
    return "networks"


def _kept(data: bytes) -> str:
    with tempfile.NamedTemporaryFile(prefix="found_", suffix=".json", delete=False) as file:
        file.write(data)
    return file.name


# ------------------------------------------------------------------ changes


def changed_bytes(rng: Random, texts: list[bytes] = TEXTS) -> bytes:
    text = bytearray(rng.choice(texts))
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        first = rng.randrange(len(text) + 1)
        last = min(len(text), first + rng.choice([0, 1, 1, 2, 10, 200, len(text)]))
        how = rng.randrange(6)
        if how == 0:
            text[first:last] = bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 3])))
        elif how == 1:
            text[first:last] = rng.choice(TOKENS)
        elif how == 2 and last > first:
            text[first] ^= 1 << rng.randrange(8)
        elif how == 3:
            text[first:first] = text[first : first + 200] * rng.choice([1, 2, 50])
        elif how == 4:
            other = rng.choice(texts)
            cut = rng.randrange(len(other))
            text[first:last] = other[cut : cut + rng.choice([1, 20, 400])]
        else:
            del text[first:last]
    return bytes(text)


def places(document: Document, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else [])
    )
    for key, part in parts:
        yield from places(part, (*here, key))


def at(document: Document, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def changed_program(rng: Random) -> bytes:
    """Entries of its arrays, or of its header, are others, or there are more of them, or fewer."""
    header, arrays = unpack(rng.choice(PROGRAMS))
    for _ in range(rng.choice([1, 1, 2, 3])):
        name = rng.choice(list(arrays))
        entries = arrays[name].tolist()
        k = rng.randrange(len(entries) + 1)
        entries[k : k + rng.randrange(2)] = [rng.choice(SIZES)] * rng.choice([1, 1, 1, 0, 3])
        arrays[name] = np.array(entries, dtype=np.intp)
    if rng.random() < 0.3:
        header = changed_document(rng, [header])
    title, line, numbers = pack({}, arrays).split(b"\n", 2)
    return b"\n".join([title, json.dumps({**header, **json.loads(line)}).encode(), numbers])


def changed_document(rng: Random, documents: list[Document] = DOCUMENTS) -> Document:
    document = copy.deepcopy(rng.choice(documents))
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        every = list(places(document))
        if len(every) < 2:
            break
        *path, last = rng.choice(every[1:])
        parent, other = at(document, tuple(path)), copy.deepcopy(at(document, rng.choice(every)))
        rng.choice(CHANGES)(rng, parent, last, other)
    return document


def _replace(rng: Random, parent: Any, key: Any, other: Any) -> None:
    parent[key] = copy.deepcopy(rng.choice(JUNK))


def _remove(rng: Random, parent: Any, key: Any, other: Any) -> None:
    del parent[key]


def _move(rng: Random, parent: Any, key: Any, other: Any) -> None:
    parent[key] = other


def _repeat(rng: Random, parent: Any, key: Any, other: Any) -> None:
    if isinstance(parent, list):
        parent[key:key] = [parent[key]] * rng.choice([1, 1, 2, 70])


def _add(rng: Random, parent: Any, key: Any, other: Any) -> None:
    if isinstance(parent, dict):
        parent[rng.choice(KEYS)] = copy.deepcopy(rng.choice([other, *JUNK]))


def _swap(rng: Random, parent: Any, key: Any, other: Any) -> None:
    if isinstance(parent, list):
        place = rng.randrange(len(parent))
        parent[key], parent[place] = parent[place], parent[key]


def _wrap(rng: Random, parent: Any, key: Any, other: Any) -> None:
    for _ in range(rng.choice([1, 2, 31, 40, 90])):
        parent[key] = [parent[key]]


CHANGES: list[Callable[[Random, Any, Any, Any], None]] = [
    _replace,
    _replace,
    _remove,
    _move,
    _repeat,
    _add,
    _swap,
    _wrap,
]


# ------------------------------------------------------------------ bounds


class TooSlow(AssertionError):  # noqa: N818
    """It took more processor time than anything linear would."""


@contextlib.contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """End what runs in it after so much processor time of this process; the clock stands still while others run."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise TooSlow(f"more than {seconds:.0f} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def peak_megabytes() -> float:
    return 0.0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
