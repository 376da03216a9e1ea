"""The direction of the imports, and what importing the library brings along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import graphprop as gp
from tests.architecture import complaints

PACKAGE = Path(gp.__file__).parent


@pytest.mark.xfail(strict=True, reason="some walls are still to be built")
def test_the_package_follows_the_plan() -> None:
    assert complaints(PACKAGE) == []


def test_no_module_is_named_like_a_public_function() -> None:
    functions = {name for name in gp.__all__ if callable(getattr(gp, name))}
    assert not functions & {module.stem for module in PACKAGE.iterdir()}


def test_the_public_names_are_there_once() -> None:
    assert all(hasattr(gp, name) for name in gp.__all__)
    assert len(gp.__all__) == len(set(gp.__all__))


def test_importing_brings_no_large_library_along() -> None:
    code = (
        "import sys, graphprop; "
        "names = {'numba', 'graphviz', 'networkx', 'mpmath', 'sympy', 'hypothesis', 'scipy', 'matplotlib'}; "
        "bad = names & set(sys.modules); "
        "sys.exit(f'imported: {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_functions_have_docstrings() -> None:
    for name in gp.__all__:
        thing = getattr(gp, name)
        if callable(thing):
            assert thing.__doc__, name
