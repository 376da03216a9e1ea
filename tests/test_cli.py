"""The command line as a user runs it."""

from __future__ import annotations

import subprocess
import sys

import graphprop as gp


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "graphprop", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_demo_shows_every_number_and_that_the_forms_agree() -> None:
    done = run("demo")
    assert done.returncode == 0
    assert not done.stderr
    lines = done.stdout.splitlines()
    rows = [line for line in lines if line.startswith(("w(", "b["))]
    assert len(rows) == 25
    for row in rows:
        parents, children, paths = row.split()[-3:]
        assert parents == children == paths
    assert lines[-1].startswith("All three forms agree; the largest relative difference is ")


def test_help_and_mistakes() -> None:
    assert "example: graphprop demo" in run("--help").stdout
    assert run("--version").stdout == f"graphprop {gp.__version__}\n"
    for arguments in ((), ("dance",)):
        done = run(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
