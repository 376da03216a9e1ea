"""What a checkpoint's file is refused for, and that it is written as a whole, in time, and not too often."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphprop as gp
from graphprop.files import disk
from graphprop.files.packing import CHECKPOINT, join
from graphprop.training import checkpoints
from graphprop.training.checkpoints import read_checkpoint
from tests.attack import Found
from tests.attack import checkpoints as attack
from tests.training.fit_cases import BATCHES, OWN, WEIGHT, Counting, X, Y, fit, hits, interrupted, network, of_batches

# ------------------------------------------------------------------ of something else


def other_network(**own: Any) -> gp.Fit:
    net = network()
    net.add_edge("z", "q", 0.0)
    return gp.fit(net, X, Y, **(OWN | own))


def of_net(net: gp.Network, **own: Any) -> gp.Fit:
    return gp.fit(net, X, Y, **(OWN | own))


def chain(kind: str, name: str = "h", frozen: float = 0.5) -> gp.Network:
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node(name, kind, {"x": [frozen, 0.1, 0.2]}, trainable=False)
    net.add_node("q", "identity", {name: [0.1, 0.2]}, size=2)
    return net


half = gp.Loss("half", lambda z, t: ((z - t) ** 2).sum(-1) / 2, lambda z, t: z - t)
Pair = tuple[Callable[..., gp.Fit], Callable[..., gp.Fit], str]
OTHERS: list[Pair] = [
    (fit, lambda **own: fit(batch_size=25, **own), "of batch_size 16, this call has 25"),
    (fit, lambda **own: fit(**({"seed": 6} | own)), "of seed 5, this call has 6"),
    (fit, lambda **own: fit(clip=1.0, **own), "of clip None, this call has 1.0"),
    (fit, lambda **own: fit(decay=0.5, **own), "of decay 0.0, this call has 0.5"),
    (fit, lambda **own: fit(patience=3, **own), "of patience None, this call has 3"),
    (fit, lambda **own: fit(metrics=["mse", hits], **own), "of metrics none, this call has mse, hits"),
    (fit, lambda **own: fit(rate=0.1, **own), "of rate 0.001, this call has 0.1"),
    (fit, lambda **own: fit(rate=hits, **own), "of rate 0.001, this call has the function hits"),
    (
        lambda **own: fit(rate=gp.optim.cosine(0.1, steps=9), **own),
        lambda **own: fit(rate=gp.optim.cosine(0.1, steps=10), **own),
        "of rate cosine(rate=0.1, steps=9, warmup=0, end=0), this call has cosine(rate=0.1, steps=10, warmup=0, end=0)",
    ),
    (fit, lambda **own: fit(optimizer="lion", rate=0.001, **own), "of optimizer adam(beta1=0.9, beta2=0.999, epsilon"),
    (fit, lambda **own: fit(optimizer=gp.optim.Adam(beta2=0.99), **own), "beta2=0.99, epsilon=1e-08)"),
    (
        lambda **own: fit(optimizer=Counting(), rate=0.1, **own),
        lambda **own: fit(optimizer=Counting(0.8), rate=0.1, **own),
        "of optimizer counting(push=0.9), this call has counting(push=0.8)",
    ),
    (fit, lambda **own: fit(loss="mse", **own), "of loss half_squared, this call has mse"),
    (fit, lambda **own: fit(loss=half, **own), "of loss half_squared, this call has half, a loss of your own"),
    (fit, lambda **own: fit(sample_weight=WEIGHT, **own), "of sample_weight none, this call has (50,)"),
    (fit, lambda **own: fit(validation=0.2, **own), "of X (50, 3), this call has (40, 3); of Y (50, 2), this call has"),
    (fit, lambda **own: fit(validation=(X, Y), **own), "of validation none, this call has (50, 3), (50, 2), none"),
    (fit, lambda **own: gp.fit(network(), X[:30], Y[:30], **(OWN | own)), "of X (50, 3), this call has (30, 3)"),
    (
        lambda **own: gp.fit(network(), {"x": X[:, 0], "y": X[:, 1], "z": X[:, 2]}, Y, **(OWN | own)),
        fit,
        "of X 'x' (50,), 'y' (50,), 'z' (50,), this call has (50, 3)",
    ),
    (fit, lambda **own: of_batches(BATCHES, **own), "of X (50, 3), this call has batches"),
    (fit, lambda **own: fit(scale={"h": 0}, **own), "of frozen parameters 2 ("),
    (fit, lambda **own: fit(scale={"h": 0.5}, **own), "of scaled parameters none, this call has 3 ("),
    (
        lambda **own: fit(scale={"h": 0.25}, **own),
        lambda **own: fit(scale={"h": 0.5}, **own),
        "of scaled parameters 3 (",
    ),
    (fit, other_network, "of network of 3 inputs, 5 nodes, 10 edges, 20 parameters ("),
    (
        lambda **own: of_net(chain("tanh"), **own),
        lambda **own: of_net(chain("sin"), **own),
        "of network of 1 inputs, 2",
    ),
    (lambda **own: of_net(chain("tanh"), **own), lambda **own: of_net(chain("tanh", "g"), **own), "of network of 1"),
    (
        lambda **own: of_net(chain("tanh"), **own),
        lambda **own: of_net(chain("tanh", frozen=0.6), **own),
        "of other numbers of frozen parameters than theta has",
    ),
    (
        fit,
        lambda **own: gp.fit(network().program, X, Y, theta=network().theta, **(OWN | own)),
        "of frozen parameters 2 (",
    ),
    (
        lambda **own: gp.fit(network().program, X, Y, theta=network().theta, **(OWN | own)),
        lambda **own: gp.fit(network().program, X, Y, theta=network().theta.astype(np.float32), **(OWN | own)),
        "of theta float64, this call has float32",
    ),
    (
        lambda **own: fit(**own),
        lambda **own: fit(**(own | {"epochs": 2})),
        "has 3 epochs behind it, and this call asks",
    ),
]


@pytest.mark.parametrize(("one", "other", "told"), OTHERS, ids=[told[:60] for *_, told in OTHERS])
def test_a_checkpoint_of_something_else_is_refused_with_what_differs(
    one: Callable[..., gp.Fit], other: Callable[..., gp.Fit], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.ckpt"
    one(checkpoint=path)
    written = path.read_bytes()
    with pytest.raises(gp.GraphpropError) as refused:
        other(checkpoint=path)
    assert str(refused.value).startswith(f"checkpoint {path}: the checkpoint ")
    assert told in str(refused.value)
    assert path.read_bytes() == written


def test_what_differs_is_all_told_and_nothing_else() -> None:
    ours = dict.fromkeys(("seed", "clip", "decay"), "1")
    with pytest.raises(gp.GraphpropError) as refused:
        checkpoints.compare(ours | {"seed": "2", "decay": "3"}, ours)
    assert str(refused.value) == (
        "the checkpoint is of seed 2, this call has 1; of decay 3, this call has 1. "
        "Call it as before, or give another path to begin anew"
    )


# ------------------------------------------------------------------ what there is no checkpoint of


class Remembers:
    """Remembers a number, which is no array."""

    name, rate = "remembers", 0.1

    def start(self, theta: np.ndarray) -> Any:
        return (0,)

    def update(self, step: int, rate: float, theta: np.ndarray, gradient: np.ndarray, count: int) -> Any:
        return theta - rate * gradient, count + 1


TWINS = [gp.Activation("twin", lambda a, k=k: k * a, lambda a, o, k=k: k + 0 * a) for k in (2.0, 3.0)]


def twins(**own: Any) -> gp.Fit:
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("p", TWINS[0], {"x": [0.1, 0.2, 0.3]})
    net.add_node("q", TWINS[1], {"x": [0.1, 0.2, 0.3]})
    return of_net(net, **own)


IMPOSSIBLE: list[tuple[Callable[..., gp.Fit], str]] = [
    (
        lambda **own: fit(**(own | {"optimizer": "lbfgs", "batch_size": None})),
        "scipy keeps to itself what it remembers",
    ),
    (lambda **own: of_batches(iter(BATCHES), **(own | {"epochs": 1})), "X can be gone through once, and a checkpoint"),
    (lambda **own: fit(optimizer=Remembers(), **own), "optimizer 'remembers': for a checkpoint all that is remembered"),
    (twins, "checkpoint: the program: two activations of your own are called 'twin'"),
]


@pytest.mark.parametrize(("run", "told"), IMPOSSIBLE, ids=[told for _, told in IMPOSSIBLE])
def test_what_could_not_go_on_is_refused_before_the_first_step(
    run: Callable[..., gp.Fit], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gp.Program, "value_and_grad", None)
    with pytest.raises(gp.GraphpropError) as refused:
        run(checkpoint=tmp_path / "run.ckpt")
    assert told in str(refused.value)
    assert not os.listdir(tmp_path)


# ------------------------------------------------------------------ files


PLACES: list[tuple[Callable[[Path], Any], str]] = [
    (lambda folder: folder / "none" / "run.ckpt", "cannot be written: there is no folder"),
    (lambda folder: folder, "is a folder; a file is needed"),
    (lambda folder: 3, "a path is a text or a path object, not 3"),
    (lambda folder: "", "a path is a text that is not empty"),
    (lambda folder: f"{folder / 'run.ckpt'}/", "is the name of a folder; a file is needed"),
    (lambda folder: folder / ("n" * 300), "cannot be written"),
    (lambda folder: in_a_file(folder / "run.ckpt", b""), "a checkpoint of gp.fit is needed, and the file is empty"),
    (lambda folder: in_a_file(folder / "run.ckpt", b"theta"), "a checkpoint of gp.fit is needed, and the file is none"),
    (lambda folder: saved(network(), folder / "net"), "a checkpoint of gp.fit is needed, and the file is none"),
    (lambda folder: saved(network().program, folder / "net"), "is needed, and the file holds a program"),
]


def in_a_file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def saved(graph: gp.Network | gp.Program, path: Path) -> Path:
    graph.save(path)
    return path


@pytest.mark.parametrize(("place", "told"), PLACES, ids=[told for _, told in PLACES])
def test_a_path_that_is_none_is_refused_before_the_first_step_and_what_is_there_stays(
    place: Callable[[Path], Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(tmp_path)
    before = {found: found.read_bytes() for found in tmp_path.iterdir()}
    monkeypatch.setattr(gp.Program, "value_and_grad", None)
    with pytest.raises(gp.GraphpropError) as refused:
        fit(checkpoint=path)
    assert told in str(refused.value)
    assert {found: found.read_bytes() for found in tmp_path.iterdir()} == before


def test_a_folder_or_a_file_that_cannot_be_written_to_is_found_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    interrupted(fit, 2, folder / "run.ckpt")
    monkeypatch.setattr(gp.Program, "value_and_grad", None)
    monkeypatch.setattr(disk, "open", refuses, raising=False)  # whatever the rights, one who is root has them
    with pytest.raises(gp.GraphpropError, match=r"run.ckpt: cannot be written: Permission denied"):
        fit(checkpoint=folder / "run.ckpt")
    assert os.listdir(folder) == ["run.ckpt"]


def refuses(path: Any, mode: str) -> Any:
    if mode != "rb":
        raise PermissionError(13, "Permission denied", path)
    return open(path, mode)


def test_a_finished_fit_is_given_again_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(checkpoint=tmp_path / "run.ckpt")
    monkeypatch.setattr(disk, "open", refuses, raising=False)
    assert fit(checkpoint=tmp_path / "run.ckpt").theta.tobytes() == whole.theta.tobytes()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("written") / "run.ckpt"
    interrupted(lambda **own: fit(validation=0.2, **own), 6, path)
    return path.read_bytes()


@given(cut=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_file_that_is_cut_off_or_changed_in_one_bit_is_refused(
    cut: float, bit: int, written: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, place = tmp_path_factory.mktemp("broken") / "run.ckpt", int(cut * len(written))
    changed = bytearray(written)
    changed[place] ^= 1 << bit
    for data in (written[:place], bytes(changed), written + b"\0"):
        path.write_bytes(data)
        with pytest.raises(gp.GraphpropError, match=r"the file is (broken|none|empty)"):
            fit(validation=0.2, checkpoint=path)


WRONG: list[tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str]] = [
    (lambda header, arrays: header.update(version=2), "version: this graphprop reads version 1, not 2"),
    (lambda header, arrays: header.update(more=2), "the header: unknown key 'more'"),
    (lambda header, arrays: header.pop("step"), "the header: the key 'step' is missing"),
    (lambda header, arrays: header.update(step=-1), "step: a whole number of at least 0 is needed, not -1"),
    (lambda header, arrays: header.update(batch=1.0), "batch: a whole number of at least 0 is needed, not 1.0"),
    (
        lambda header, arrays: header.update(stopped="x"),
        "stopped: one of '', 'patience', 'callback' is needed, not 'x'",
    ),
    (lambda header, arrays: header.update(settings=[]), "settings: an object is needed, not []"),
    (lambda header, arrays: header["settings"].pop("seed"), "settings: the key 'seed' is missing"),
    (lambda header, arrays: header["settings"].update(seed=[5]), "of seed [5], this call has 5"),
    (lambda header, arrays: header.update(memory=1), "memory: 2 is needed, not 1"),
    (lambda header, arrays: header.update(memory=3), "memory: 2 is needed, not 3"),
    (lambda header, arrays: header.update(best_epoch=0), "best_theta"),
    (lambda header, arrays: header.update(epoch=2), "'history loss' has to be <f8 of shape (2,), not"),
    (lambda header, arrays: header.update(epoch=2**53), "'history loss' has to be <f8 of shape (9007199254740992,)"),
    (lambda header, arrays: header.update(best_epoch=2), "the counts of epochs and batches do not fit together"),
    (lambda header, arrays: header.update(batch=0), "the counts of epochs and batches do not fit together"),
    (lambda header, arrays: arrays.pop("memory 1"), "are needed, not"),
    (lambda header, arrays: arrays.update(more=np.zeros(3)), "are needed, not"),
    (lambda header, arrays: arrays.update(theta=np.zeros(3)), "'theta' has to be <f8 of shape (20,), not"),
    (lambda header, arrays: arrays.update(theta=np.zeros((20, 1))), "'theta' has to be <f8 of shape (20,), not"),
    (lambda header, arrays: arrays.update(good=np.zeros(20, dtype=np.int64)), "'good' has to be <f8 of shape"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_file_that_was_made_up_is_refused_with_its_place(
    change: Callable[[dict[str, Any], dict[str, Any]], Any], told: str, written: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "run.ckpt"
    path.write_bytes(written)
    header, arrays = read_checkpoint(path)
    change(header, arrays)
    data = join(CHECKPOINT, header, arrays)
    path.write_bytes(data + zlib.crc32(data).to_bytes(4, "little"))
    with pytest.raises(gp.GraphpropError) as refused:
        fit(validation=0.2, checkpoint=path)
    assert told in str(refused.value)


def test_it_is_a_line_a_line_of_json_and_numbers(written: bytes) -> None:
    title, line, _ = written.split(b"\n", 2)
    assert title == b"graphprop checkpoint"
    header = json.loads(line)
    assert (header["epoch"], header["batch"], header["step"]) == (1, 3, 6)
    assert header["arrays"][0] == ["theta", "<f8", 20]


@pytest.mark.parametrize("read", [gp.load, lambda path: gp.load(str(path))])
def test_loading_it_says_what_it_is(read: Any, written: bytes, tmp_path: Path) -> None:
    path = in_a_file(tmp_path / "run.ckpt", written)
    with pytest.raises(gp.GraphpropError, match=r"run.ckpt: is a checkpoint, which gp.fit\(..., checkpoint=...\) goes"):
        read(path)


# ------------------------------------------------------------------ when it is written


def test_it_is_written_at_most_once_a_second_within_long_epochs_once_a_minute_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, steps = [0.0], []
    write = checkpoints.write_whole

    def batches(seconds: float) -> Iterator[Any]:
        for batch in BATCHES:
            now[0] += seconds
            yield batch

    def noted(path: Any, data: bytes) -> None:
        steps.append(json.loads(data.split(b"\n")[1])["step"])
        write(path, data)

    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(checkpoints, "write_whole", noted)
    of_batches(lambda: batches(0.0625), epochs=10, checkpoint=tmp_path / "fast")  # a quarter of a second each
    assert steps == [16, 32, 40]
    steps.clear()
    of_batches(lambda: batches(25.0), epochs=2, checkpoint=tmp_path / "slow")
    assert steps == [3, 4, 7, 8]


def test_a_slow_disk_is_written_to_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, written = [0.0], []

    def slow(path: Any, data: bytes) -> None:
        written.append(now[0])
        now[0] += 2.0

    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(checkpoints, "write_whole", slow)

    def second(row: Any, theta: Any) -> None:
        now[0] += 1.0

    fit(epochs=100, checkpoint=tmp_path / "run.ckpt", callback=second)
    assert written == [1.0, 43.0, 85.0, 106.0]


def test_a_file_that_cannot_be_written_any_more_ends_the_fit_and_the_one_before_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, net = tmp_path / "run.ckpt", network()

    def full(row: Any, theta: Any) -> None:
        if row["epoch"] == 2:
            monkeypatch.setattr(os, "fsync", no_space)

    monkeypatch.setattr(checkpoints, "OFTEN", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 0)
    with pytest.raises(gp.GraphpropError, match=r"run\.ckpt: cannot be written: No space left"):
        gp.fit(net, X, Y, checkpoint=path, callback=full, **OWN)
    monkeypatch.undo()
    assert np.isfinite(net.theta[net.theta != -np.inf]).all()
    assert os.listdir(tmp_path) == ["run.ckpt"]
    assert read_checkpoint(path)[0]["epoch"] == 1
    assert fit(checkpoint=path).theta.tobytes() == fit().theta.tobytes()


def no_space(file: int) -> None:
    raise OSError(28, "No space left on device")


def test_what_a_killed_process_left_of_it_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    left = [".other.tmp", f".{zlib.crc32(b'run.ckpt'):08x}-0123.tmp", f".{zlib.crc32(b'run'):08x}-0123.tmp"]
    for name in left:
        (tmp_path / name).write_bytes(b"half of i")
    fit(checkpoint=path)
    assert sorted(os.listdir(tmp_path)) == sorted(["run.ckpt", left[0], left[2]])


def test_files_that_are_attacked_are_gone_on_from_or_refused() -> None:
    counts = attack.attack(0.0, 1)
    assert sum(counts.values()) == 20
    assert any("goes on" in what for what in counts)
    assert any("errors of ours" in what for what in counts)


def test_the_attack_finds_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_check_arrays", lambda arrays, needed: None)
    with pytest.raises(Found, match=r"case\(0, \d+\), entries of .*; the file is ") as caught:
        attack.attack(20.0, 0)
    os.unlink(str(caught.value).split("the file is ")[1])
