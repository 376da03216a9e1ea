"""A fit that is interrupted, or killed, goes on from its checkpoint and ends in the bits of one that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import graphprop as gp
from graphprop.training import checkpoints
from tests.training.fit_cases import (
    BATCHES,
    CASES,
    OWN,
    X,
    Y,
    assert_same,
    fit,
    interrupted,
    network,
    of_batches,
    of_program,
)

# ------------------------------------------------------------------ the same bits


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=settings().max_examples // 5)
@given(stops=st.lists(st.integers(0, 15), min_size=1, max_size=4))
@example(stops=[13, 5])
def test_an_interrupted_fit_goes_on_and_ends_in_the_bits_of_one_that_was_not(name: str, stops: list[int]) -> None:
    run = CASES[name]
    whole = run()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.ckpt"
        for at in stops:
            interrupted(run, at, path)
        assert_same(run(checkpoint=path), whole)
        assert os.listdir(folder) == ["run.ckpt"]


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_changes_nothing_and_a_finished_fit_is_given_again_without_training(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = CASES[name](), tmp_path / "run.ckpt"
    assert_same(CASES[name](checkpoint=path), whole)
    written = path.read_bytes()
    monkeypatch.setattr(gp.Program, "value_and_grad", None)
    monkeypatch.setattr(checkpoints, "write_whole", None)
    assert_same(CASES[name](checkpoint=path), whole)
    assert path.read_bytes() == written


def in_a_file(path: Path, array: np.ndarray) -> np.ndarray:
    array.tofile(path)
    return np.memmap(path, dtype=array.dtype, mode="r", shape=array.shape)


def in_frames(folder: Path) -> tuple[Any, Any]:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(X, columns=["x", "y", "z"]), pandas.DataFrame(Y, columns=["p", "q"])


@pytest.mark.parametrize("form", [lambda here: (in_a_file(here / "X", X), in_a_file(here / "Y", Y)), in_frames])
def test_files_in_memory_and_frames_are_gone_through_from_where_it_was(form: Any, tmp_path: Path) -> None:
    given_X, given_Y = form(tmp_path)

    def run(**own: Any) -> gp.Fit:
        return gp.fit(network(), given_X, given_Y, validation=0.3, **OWN, **own)

    for at in (2, 4):
        interrupted(run, at, tmp_path / "run.ckpt")
    assert_same(run(checkpoint=tmp_path / "run.ckpt"), fit(validation=0.3))


def test_it_goes_on_with_another_number_of_threads(tmp_path: Path) -> None:
    net, rows = gp.mlp([30, 200, 5], "tanh", seed=0), np.random.default_rng(0).normal(size=(900, 30))
    before = gp.get_threads()

    def run(threads: int, **own: Any) -> gp.Fit:
        gp.set_threads(threads)
        target = rows[:, :5]
        return gp.fit(net.program, rows, target, theta=net.theta, loss="mse", epochs=2, progress=False, **own)

    try:
        for threads in (1, 2, 3):
            interrupted(lambda threads=threads, **own: run(threads, **own), 9, tmp_path / "run.ckpt")
        assert_same(run(2, checkpoint=tmp_path / "run.ckpt"), run(1))
    finally:
        gp.set_threads(before)


def test_at_every_batch_it_can_be_interrupted(tmp_path: Path) -> None:
    whole = CASES["a fraction"]()
    seen = set()
    for at in range(15):
        path = tmp_path / f"{at}"
        cut = interrupted(CASES["a fraction"], at, path)
        seen.add(cut.steps)
        assert_same(CASES["a fraction"](checkpoint=path), whole)
    assert len(seen) > 6


def test_a_network_is_trained_in_place_and_another_start_of_it_goes_on_all_the_same(tmp_path: Path) -> None:
    path, net, other = tmp_path / "run.ckpt", network(), network()
    interrupted(lambda **own: gp.fit(net, X, Y, **OWN, **own), 3, path)
    again = gp.fit(net, X, Y, checkpoint=path, **OWN)
    assert again.theta.tobytes() == net.theta.tobytes() == fit().theta.tobytes()
    other.set_weight("x", "h", 0.9)
    assert gp.fit(other, X, Y, checkpoint=path, **OWN).theta.tobytes() == other.theta.tobytes() == net.theta.tobytes()


def test_more_epochs_go_on_longer_as_if_they_had_been_asked_for_at_first(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    for epochs in (2, 5):
        found = fit(epochs=epochs, rate=gp.optim.cosine(0.1, steps=20), validation=0.2, checkpoint=path)
    assert_same(found, fit(epochs=5, rate=gp.optim.cosine(0.1, steps=20), validation=0.2))


def test_the_last_good_parameters_are_kept_too_where_the_next_batch_is_no_longer_finite(tmp_path: Path) -> None:
    growing = gp.Network()
    growing.add_input("x")
    growing.add_node("e", "exp", {"x": 1.0})
    own = {"loss": "half_squared", "optimizer": gp.optim.SGD(1.0), "epochs": 2, "progress": False}
    source, start = [([[1.0]], [[1e3]])] * 2, growing.theta.copy()
    interrupted(lambda **more: gp.fit(growing.program, source, theta=start, **own, **more), 0, tmp_path / "run.ckpt")
    growing.theta = [3.0]
    with pytest.raises(gp.NumberError, match=r"^epoch 1, batch 2: "):
        gp.fit(growing, source, checkpoint=tmp_path / "run.ckpt", **own)
    assert growing.theta.tobytes() == start.tobytes()


def test_what_only_looks_on_may_be_another(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, seen = tmp_path / "run.ckpt", []
    interrupted(lambda **own: fit(validation=0.2, **own), 7, path)
    own = {"progress": True, "restore": False, "callback": lambda row, theta: seen.append(row["epoch"])}
    found = fit(validation=0.2, checkpoint=path, **own)
    assert seen == [2, 3]
    assert found.theta.tobytes() == fit(validation=0.2, restore=False).theta.tobytes()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_transformation_of_optax_goes_on(dtype: Any, tmp_path: Path) -> None:
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")
    path = tmp_path / "run.ckpt"

    def run(**own: Any) -> gp.Fit:
        return of_program(dtype, optimizer=optax.chain(optax.clip_by_global_norm(0.5), optax.adam(1e-2)), **own)

    with jax.enable_x64(dtype is np.float64):
        for at in (2, 4):
            interrupted(run, at, path)
        assert_same(run(checkpoint=path), run())


# ------------------------------------------------------------------ ended from outside


def test_ctrl_c_writes_a_checkpoint_and_twice_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    presses = {5: 1, 6: 1, 8: 2}  # before which batch it is pressed, and how often
    calls: list[int] = []

    def batches() -> Iterator[Any]:
        for batch in BATCHES:
            calls.append(0)
            for _ in range(presses.get(len(calls), 0)):
                signal.raise_signal(signal.SIGINT)
            yield batch

    assert of_batches(batches, checkpoint=path).stopped == "interrupted"
    assert of_batches(batches, checkpoint=path).stopped == "interrupted"
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        of_batches(batches, checkpoint=path)
    assert path.read_bytes() == before
    assert_same(of_batches(batches, checkpoint=path), of_batches(BATCHES))


def wait_for_another(path: Path, before: bytes) -> None:
    end = time.monotonic() + 60
    while not path.exists() or path.read_bytes() == before:
        assert time.monotonic() < end, "nothing is written"
        time.sleep(0.001)


@pytest.mark.parametrize("kills", [12, pytest.param(100, marks=pytest.mark.thorough)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are killed that were forked")
def test_a_fit_that_is_killed_at_any_moment_goes_on_from_a_whole_file(kills: int, tmp_path: Path) -> None:
    path, random = tmp_path / "run.ckpt", np.random.default_rng(kills)
    run = CASES["a fraction"]
    run()  # so that no child has to load what was compiled
    epochs = 10**6
    before = b""
    for _ in range(kills):
        child = os.fork()
        if not child:  # it writes after every step, so that it is nearly always writing
            try:
                with patch.multiple(checkpoints, OFTEN=0.0, SELDOM=0.0, SHARE=0):
                    run(checkpoint=path, epochs=epochs)
            finally:
                os._exit(0)
        wait_for_another(path, before)
        time.sleep(random.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it came to its end: there have to be more epochs"
        checkpoints.read_checkpoint(path)  # refuses a file that is not whole
        assert len([name for name in os.listdir(tmp_path) if name.endswith(".tmp")]) <= 1
        before = path.read_bytes()
    last = interrupted(lambda **own: run(epochs=epochs, **own), 0, path).epochs + 2  # reads it, as it was left
    end: dict[str, Any] = {"epochs": epochs, "callback": lambda row, theta: row["epoch"] == last}
    assert_same(run(checkpoint=path, **end), run(**end))
    assert os.listdir(tmp_path) == ["run.ckpt"]


def test_another_process_goes_on_after_a_real_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    code = (
        "import sys; from tests.training.fit_cases import fit; found = fit(checkpoint=sys.argv[1], "
        "epochs=int(sys.argv[2]), callback=lambda row, theta: print(flush=True)); print(found.stopped, found.epochs)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path), "1000000"], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=120)
    stopped, epochs = told.split()
    assert stopped == "interrupted"
    assert_same(fit(checkpoint=path, epochs=int(epochs) + 2), fit(epochs=int(epochs) + 2))
