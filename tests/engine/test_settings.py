"""Python and numba as somebody may have set them: a result, or an error that says what is the matter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

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
"""


def test_without_numbas_compiler_the_engine_says_so_and_the_rest_works() -> None:
    assert run("-c", textwrap.dedent(WITHOUT_COMPILER), NUMBA_DISABLE_JIT="1") == "True\nTrue\n"
