"""What was compiled is kept on disk, is found again, and never stands for another function."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.cases import one_of

RUN = """
    import importlib, sys
    sys.path.insert(0, sys.argv[1])
    import graphprop as gp
    from graphprop.engine.loops import compiled_functions

    for name in sys.argv[2:]:
        mine = importlib.import_module(name)
        net = gp.Network()
        net.add_input("x")
        net.add_node("y", gp.Activation("mine", mine.value, mine.slope, check=False), {"x": 1.0})
        found = gp.compile(net).predict(net.theta, [2.0])[0]
        assert compiled_functions.is_compiled(net.activation("y")) is not name.startswith("python")
        print(float(found))
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    folder = tmp_path / "modules"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the loops are compiled that `RUN` takes."""
    folder = tmp_path_factory.mktemp("loops")
    write(folder, "mine", "def value(a):\n    return a\n\ndef slope(a, o):\n    return 1.0\n")
    assert run(folder, folder / "cache") == [2.0]
    for path in (folder / "cache").rglob("mine*"):
        path.unlink()
    return folder / "cache"


@pytest.fixture
def cache(tmp_path: Path, loops: Path) -> Path:
    """A copy of it, for one test."""
    return Path(shutil.copytree(loops, tmp_path / "cache"))


def write(modules: Path, name: str, text: str) -> None:
    path = modules / f"{name}.py"
    path.write_text(textwrap.dedent(text))


def run(modules: Path, cache: Path, *names: str, script: str = RUN) -> list[float]:
    """What a new process computes with the activation of each of these modules, `mine` if none is named."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore:activation 'mine' runs in Python",
            "-c",
            textwrap.dedent(script),
            str(modules),
            *(names or ["mine"]),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return [float(line) for line in done.stdout.split()]


def kept(cache: Path) -> dict[Path, int]:
    """The files of machine code and when each was written."""
    return {path: path.stat().st_mtime_ns for path in sorted(cache.rglob("*.loop"))}


def sources(cache: Path) -> list[Path]:
    return sorted(cache.rglob("own-*.loop"))


TIMES_THREE = """
    def helper(a):
        return 3.0 * a

    def value(a):
        return helper(a)

    def slope(a, o):
        return 3.0
"""


def test_a_second_process_finds_what_the_first_compiled(modules: Path, cache: Path) -> None:
    loops = kept(cache)
    write(modules, "mine", TIMES_THREE)
    assert run(modules, cache) == [6.0]
    before = kept(cache)
    assert sources(cache)
    assert loops
    assert {path: before[path] for path in loops} == loops
    assert len(before) > len(loops)
    assert run(modules, cache) == [6.0]
    assert kept(cache) == before


INNER = """
    from graphprop.engine.loops.caching import compiled

    @compiled()
    def inner(x):
        return x + STEP
"""
DEPENDING = {  # in another place each: the code of a helper, a global number, a default, a closure, another module
    "helper": TIMES_THREE.replace("3.0 * a", "FACTOR * a"),
    "global": "K = FACTOR\n\ndef value(a):\n    return K * a\n\ndef slope(a, o):\n    return K\n",
    "default": "def value(a, k=FACTOR):\n    return k * a\n\ndef slope(a, o):\n    return FACTOR\n",
    "closure": "def make(k):\n    return lambda a: k * a\n\nvalue = make(FACTOR)\nslope = lambda a, o: 1.0\n",
    "settings": "K = FACTOR\n",
    "python": """
        import settings_module as settings

        def value(a):
            return settings.K * a

        def slope(a, o):
            return settings.K
        """,
}


def test_what_a_function_depends_on_tells_it_from_others(modules: Path, cache: Path) -> None:
    names = [f"{where}_module" for where in DEPENDING if where != "settings"]
    for factor in (5.0, 7.0):
        for where, text in DEPENDING.items():
            write(modules, f"{where}_module", text.replace("FACTOR", str(factor)))
        assert run(modules, cache, *names) == [2 * factor] * len(names)


COMPILING_BOTH = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import inner, mine
    import graphprop as gp
    from graphprop.engine.loops import compiled_functions

    assert compiled_functions.is_compiled(gp.Activation("mine", mine.value, mine.slope))
    print(inner.inner(1) + mine.value(1.0))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders are protected otherwise")
def test_a_folder_that_cannot_be_written_is_no_error(modules: Path, tmp_path: Path) -> None:
    write(modules, "mine", TIMES_THREE)
    write(modules, "inner", textwrap.dedent(INNER).replace("STEP", "1"))
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert run(modules, blocked / "cache", script=COMPILING_BOTH) == [5.0]
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert run(modules, locked, script=COMPILING_BOTH) == [5.0]


@pytest.mark.parametrize("first", one_of(2, (0, 1)))
def test_damaged_files_are_no_error(modules: Path, cache: Path, first: int) -> None:
    """Every other has one wrong byte, and those between them are exchanged: loops and an activation."""
    write(modules, "mine", TIMES_THREE)
    assert run(modules, cache) == [6.0]
    assert sources(cache)
    files = [path for path in kept(cache) if not re.search("answer|_forward", path.name)]  # which take longest
    found = [path.read_bytes() for path in files]
    for k, (path, data) in enumerate(zip(files, found, strict=True)):
        middle = len(data) // 2
        one_byte = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes(one_byte if k % 2 == first else found[k - 1])
    assert run(modules, cache) == [6.0]


SAYING = """
    import sys
    import types
    import graphprop as gp

    sys.stderr.isatty = lambda: READ == "terminal"
    if READ == "notebook":
        sys.modules["ipykernel"] = types.ModuleType("ipykernel")
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 1.0})
    gp.compile(net).predict(net.theta, [1.0])
"""


@pytest.mark.parametrize("read", one_of(2, ("terminal", "notebook", "nobody")))
def test_what_is_compiled_is_said_while_it_is_and_only_where_somebody_reads_it(read: str, cache: Path) -> None:
    for path in cache.rglob("*._backward-*"):
        path.unlink()
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    script = textwrap.dedent(SAYING).replace("READ", repr(read))
    told = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=True).stderr.decode()
        for _ in range(2)
    ]
    assert not told[1]
    lines = [line.strip() for line in told[0].split("\r") if line.strip()]
    expected = {f"graphprop compiles {what}, once on this machine ..." for what in ("backward", "identity")}
    assert set(lines) == (expected if read != "nobody" else set())
    assert read == "nobody" or told[0].endswith("\r"), "nothing is left of it"


OUTER = """
    import inner
    from graphprop.engine.loops.caching import compiled

    @compiled(uses=(inner,))
    def outer(x):
        return inner.inner(x) * 10
"""


def test_a_loop_is_compiled_again_if_one_in_another_file_changes_that_it_calls(modules: Path, tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    write(modules, "outer", OUTER)
    counts = []
    for step in 1, 2, 2:
        write(modules, "inner", textwrap.dedent(INNER).replace("STEP", str(step)))
        call = f"import sys; sys.path.insert(0, {str(modules)!r}); import outer; print(outer.outer(1))"
        done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == str(10 * (1 + step)), done.stderr
        counts.append(len(kept(tmp_path / "cache")))
    assert counts[0] < counts[1] == counts[2]
