"""The plan of the house and what breaks it, what importing the library brings along, and what a wheel holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

import pytest

import graphprop as gp
from tests.architecture import complaints
from tests.project import ROOT

PACKAGE = Path(gp.__file__).parent


@cache
def complaints_today() -> list[str]:
    return complaints(PACKAGE)


def test_the_package_follows_the_plan() -> None:
    assert complaints_today() == []


FAULTS = {
    "an import in a function": (
        "passes/inputs.py",
        "def late() -> None:\n    import graphprop.network\n",
        "passes/inputs imports network late, in a function or for checkers, and no reason is listed",
    ),
    "an import of a name in a function": (
        "graph/order.py",
        "def late() -> None:\n    from graphprop.engine.general import predict\n",
        "graph/order imports engine/general late, in a function or for checkers, and no reason is listed",
    ),
    "an import for checkers alone": (
        "graph/order.py",
        "if TYPE_CHECKING:\n    from graphprop.network import Network\n",
        "graph/order imports network, and network does not come before graph",
    ),
    "a circle": (
        "graph/names.py",
        "from graphprop.graph.rewriting import expand\n",
        "imports go in a circle: ",
    ),
    "a private name of another file": (
        "checks/report.py",
        "from graphprop.notation.escaping import _coded\n",
        "checks/report takes _coded out of notation/escaping",
    ),
    "a private name read off an object": (
        "checks/report.py",
        "def read(net):\n    return net._nodes\n",
        "reads the private net._nodes",
    ),
    "numba outside of its room": (
        "engine/lowering.py",
        "import numba\n",
        "engine/lowering imports numba, which is the matter of engine/loops",
    ),
    "a room that does something": (
        "graph/__init__.py",
        "from graphprop.graph import order\n",
        "graph/__init__ has to say in a sentence what the room is, and nothing else",
    ),
    "two rooms that do not know each other": (
        "checks/report.py",
        "from graphprop.render.drawing import draw\n",
        "checks/report imports render/drawing, and render does not come before checks",
    ),
    "a file in no room": ("helpers.py", "", "helpers is in no room of the plan"),
}


@pytest.mark.parametrize(("file", "planted", "told"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_told(tmp_path: Path, file: str, planted: str, told: str) -> None:
    copy = tmp_path / "graphprop"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / file).open("a") as module:
        module.write(planted)
    new = set(complaints(copy)) - set(complaints_today())
    assert any(told in complaint for complaint in new), new


def test_the_rooms_are_few_and_no_file_is_long() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 8
    long = [path for folder in (PACKAGE, ROOT / "tests") for path in folder.rglob("*.py") if lines(path) > 500]
    assert not long


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.thorough
def test_a_wheel_holds_every_module(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    copy = tmp_path / "project"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "tests"))
    built = subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, copy], capture_output=True, text=True)
    if built.returncode and "setuptools" in built.stderr:
        pytest.skip("setuptools, which builds a wheel, is not to be had")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "installed", wheel], check=True)
    code = """
        import importlib, pkgutil, sys
        import graphprop
        names = [found.name for found in pkgutil.walk_packages(graphprop.__path__, "graphprop.")]
        for name in names:
            if name != "graphprop.__main__":
                importlib.import_module(name)
        print(graphprop.__file__, *names)
    """
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-P", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    file, *names = done.stdout.split()
    assert Path(file).is_relative_to(tmp_path), done.stderr
    modules = {path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py")}
    assert set(names) == {".".join(path.parts).removesuffix(".__init__") for path in modules} - {"graphprop"}
    assert {path.name for path in (tmp_path / "installed/graphprop").rglob("page.*")} == {
        "page.html",
        "page.css",
        "page.js",
    }
    assert (tmp_path / "installed/graphprop/py.typed").exists()


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
