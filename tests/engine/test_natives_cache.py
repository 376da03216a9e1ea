"""What was compiled is kept on disk, is found again, and never stands for another function."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from graphprop.engine.loops import compiled_functions

RUN = """
    import sys
    sys.path.insert(0, MODULES)
    import mine
    import graphprop as gp
    from graphprop import natives

    net = gp.Network()
    net.add_input("x")
    net.add_node("y", gp.Activation("mine", mine.value, mine.slope, check=False), {"x": 1.0})
    found = gp.compile(net).predict(net.theta, [2.0])[0]
    assert natives.is_compiled(net.activation("y")) is COMPILED
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
    assert run(folder, folder / "cache") == 2.0
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


def run(modules: Path, cache: Path, compiled: bool = True) -> float:
    script = textwrap.dedent(RUN).replace("MODULES", repr(str(modules))).replace("COMPILED", str(compiled))
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return float(done.stdout)


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
    assert run(modules, cache) == 6.0
    before = kept(cache)
    assert sources(cache)
    assert loops
    assert {path: before[path] for path in loops} == loops
    assert len(before) > len(loops)
    assert run(modules, cache) == 6.0
    assert kept(cache) == before


def test_what_a_function_depends_on_tells_it_from_others(modules: Path, cache: Path) -> None:
    """Each change is in another place: the code of a helper, a global number, a default, a closure."""
    write(modules, "mine", TIMES_THREE)
    assert run(modules, cache) == 6.0
    count = len(sources(cache))
    write(modules, "mine", TIMES_THREE.replace("3.0 * a", "5.0 * a"))
    assert run(modules, cache) == 10.0
    assert len(sources(cache)) == count + 1
    using = {
        "a global": "K = FACTOR\n\ndef value(a):\n    return K * a\n\ndef slope(a, o):\n    return K\n",
        "a default": "def value(a, k=FACTOR):\n    return k * a\n\ndef slope(a, o):\n    return FACTOR\n",
        "a closure": "def make(k):\n    return lambda a: k * a\n\nvalue = make(FACTOR)\nslope = lambda a, o: 1.0\n",
    }
    for where, text in using.items():
        for factor in (7.0, 11.0):
            write(modules, "mine", text.replace("FACTOR", str(factor)))
            assert run(modules, cache) == 2 * factor, where


def test_a_constant_of_another_module_may_change(modules: Path, cache: Path) -> None:
    write(
        modules,
        "mine",
        """
        import settings

        def value(a):
            return settings.FACTOR * a

        def slope(a, o):
            return settings.FACTOR
        """,
    )
    for factor in (2.0, 5.0):
        write(modules, "settings", f"FACTOR = {factor}\n")
        assert run(modules, cache, compiled=False) == 2 * factor


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders are protected otherwise")
def test_a_folder_that_cannot_be_written_is_no_error(modules: Path, tmp_path: Path) -> None:
    write(modules, "mine", TIMES_THREE)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert run(modules, blocked / "cache") == 6.0
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert run(modules, locked) == 6.0


WAYS = ["one byte", "exchanged"]


@pytest.mark.parametrize("damage", WAYS)
def test_damaged_files_are_no_error(modules: Path, cache: Path, damage: str) -> None:
    """Those of an activation, and of the loops every other: each way of damage has others."""
    loops = list(kept(cache))[WAYS.index(damage) :: len(WAYS)]
    write(modules, "mine", TIMES_THREE)
    assert run(modules, cache) == 6.0
    assert sources(cache)
    files = [*sources(cache), *loops]
    found = [path.read_bytes() for path in files]
    for path, data, other in zip(files, found, [*found[1:], found[0]], strict=True):
        middle = len(data) // 2
        path.write_bytes(
            other if damage == "exchanged" else data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        )
    assert run(modules, cache) == 6.0


def test_the_first_compilation_says_so_once_where_somebody_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    compiled_functions.announce()
    assert not capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    compiled_functions.announce()
    assert capsys.readouterr().err.count("\n") == 1
    compiled_functions.announce()
    assert not capsys.readouterr().err


INNER = """
    from graphprop.caching import compiled

    @compiled()
    def inner(x):
        return x + STEP
"""
OUTER = """
    import inner
    from graphprop.caching import compiled

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
