"""Python and numba as somebody may have set them: a result, or an error that says what is the matter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import graphprop as gp


def run(*command: str, **settings: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=300, env=os.environ | settings
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_command_line_works_without_docstrings_and_assertions(tmp_path: Path) -> None:
    gp.mlp([2, 2, 1], "tanh", seed=0).save(tmp_path / "net.json")
    assert "explain" in run("-OO", "-m", "graphprop", "--help")
    assert "9 parameters" in run("-OO", "-m", "graphprop", "info", str(tmp_path / "net.json"))


WITHOUT_COMPILER = """
    import graphprop as gp

    net = gp.mlp([2, 2, 1], "tanh", seed=0)
    for call in (lambda: net.forward([1.0, 2.0]), lambda: gp.compile(net), lambda: gp.Program.from_edges(1, [0], [1])):
        try:
            call()
        except gp.GraphpropError as error:
            assert "NUMBA_DISABLE_JIT" in str(error)
        else:
            raise SystemExit("it ran")
    trace = gp.recursion.forward(net, [1.0, 2.0])
    for way in gp.recursion, gp.matrixform:
        print(way.backpropagate(net, trace, net.outputs[0]).value == trace.o[net.outputs[0]])
    assert gp.check(net, [1.0, 2.0], net.outputs[0]).ok
"""


def test_without_numbas_compiler_the_engine_says_so_and_the_rest_works() -> None:
    assert run("-c", textwrap.dedent(WITHOUT_COMPILER), NUMBA_DISABLE_JIT="1") == "True\nTrue\n"


def test_what_numpy_is_told_to_raise_changes_no_result() -> None:
    net = gp.Network()
    net.add_input("x", size=3)
    net.add_node("y", "softmax", {"x": np.eye(3)}, size=3)
    X, theta = np.array([[1e-50, 90.0, -30.0], [0.0, 1000.0, 1.0]]), net.theta.astype(np.float32)
    runs = (
        lambda: net.program.predict(theta, X),
        lambda: net.program.value_and_grad(theta, X, np.array([1, 1]), loss="cross_entropy")[1],
        lambda: gp.check(net, X, seed={"y": np.ones((2, 3))}).ok,
    )
    expected = [run() for run in runs]
    with np.errstate(all="raise"):
        before = np.geterr()
        for run, right in zip(runs, expected, strict=True):
            np.testing.assert_array_equal(run(), right)
        assert np.geterr() == before


@pytest.mark.parametrize("kink", [np.nan, np.inf, -np.inf])
def test_a_kink_is_a_finite_number(kink: float) -> None:
    with pytest.raises(gp.NumberError, match="kinks are finite numbers"):
        gp.Activation("mine", lambda a: a, lambda a, o: 1.0, kinks=(kink,))


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path: Path) -> None:
    gp.mlp([2, 1], seed=0).save(tmp_path / "net.json")
    assert len(gp.load(tmp_path / "net.json", max_bytes=np.int64(5000))) == 3
    before = gp.get_threads()
    gp.set_threads(np.int64(before))
    assert type(gp.get_threads()) is int
