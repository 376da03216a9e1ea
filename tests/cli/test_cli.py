"""The command line as a user runs it; what a command calls is replaced where only the call matters."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import graphprop as gp
from graphprop.cli.commands import main
from graphprop.cli.typed import read_typed_name, read_values, read_what
from tests.cli.cli_cases import (
    Stub,
    small,
)

COMMANDS = ("demo", "info", "draw", "check", "explain", "paths")


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "graphprop", *arguments]
    return subprocess.run(command, **{"capture_output": True, "text": True, **options})


# ------------------------------------------------------------------ the frame


def test_demo_shows_every_number_in_every_way_and_explains_one(tmp_path: Path) -> None:
    done = run("demo", "--out", str(tmp_path / "new" / "folder"))
    assert done.returncode == 0
    assert not done.stderr
    table, checked, explained, files = re.split(r"\n\n[A-Z][^\n]*\n-+\n", done.stdout)
    lines = table.splitlines()
    rows = [line for line in lines if line.startswith(("w(", "b["))]
    assert len(rows) == 25
    for row in rows:
        parents, children, paths = row.split()[-3:]
        assert parents == children == paths
    assert lines[-1].startswith("All three forms agree; the largest relative difference is ")
    assert checked.splitlines()[0].endswith(": ok")
    for way in ("engine, backward", "matrix form", "central differences"):
        assert any(line.startswith(way) and " ok" in line for line in checked.splitlines())
    shown = next(row.split()[-1] for row in rows if row.startswith("w(x1, h1)"))
    assert shown[:6] in explained
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == ["net.html", "net.json", "net.svg"]
    assert all(str(tmp_path / "new" / "folder" / name) in files for name in ("net.html", "net.json", "net.svg"))


def test_demo_refuses_a_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").touch()
    assert main(["demo", "--out", str(tmp_path / "taken")]) == 2
    assert "File exists" in capsys.readouterr().err


def test_help_and_mistakes() -> None:
    assert "example: graphprop demo" in run("--help").stdout
    assert run("--version").stdout == f"graphprop {gp.__version__}\n"
    for arguments in ((), ("dance",), ("info", "no/such/file.json")):
        done = run(*arguments)
        assert done.returncode == 2
        assert not done.stdout
        assert done.stderr
        assert "Traceback" not in done.stderr


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    told = capsys.readouterr().out
    assert main([]) == 2
    assert capsys.readouterr() == ("", told)


def test_what_is_too_much_shows_the_usage_of_its_command(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words, usage in (
        (["draw", file, "x.png"], "usage: graphprop draw "),
        (["draw", file, "--colour", "red"], "usage: graphprop draw "),
        (["info", file, "x.png"], "usage: graphprop info "),
        (["--colour"], "usage: graphprop [-h]"),
    ):
        assert main(words) == 2
        printed = capsys.readouterr()
        assert not printed.out
        assert printed.err.startswith(usage)
        assert "unrecognized arguments: " in printed.err.splitlines()[-1]
    assert not Path(file).with_suffix(".svg").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_examples_of_it_that_are_understood(
    name: str, file: str, stub: Stub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([name, "--help"]) == 0
    told = capsys.readouterr().out
    examples = re.findall(rf"^  graphprop ({name}.*)$", told, re.MULTILINE)
    assert examples
    monkeypatch.chdir(os.path.dirname(file))
    net = small()
    net.add_input(("x", 0))
    net.add_node(7, "tanh", {("x", 0): 1.0})
    net.set_outputs("y")
    net.save(file)
    for example in examples:
        if "--inputs" in example:
            example = re.sub(r'"x1=.*?"', "\"x1=1.0,x2=-2,['x', 0]=1\"".replace("'x'", '\\"x\\"'), example)
        words = json.loads(
            subprocess.run(
                ["sh", "-c", f'{sys.executable} -c "import json, sys; print(json.dumps(sys.argv[1:]))" {example}'],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        assert main(words) == 0, capsys.readouterr().err


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    told = capsys.readouterr().out
    assert all(re.search(rf"^    {name} ", told, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize(("name", "code"), [("info", 0), ("paths", 1)])
def test_nobody_reading_is_no_error(name: str, code: int, tmp_path: Path) -> None:
    net = small()
    net.add_node("apart", "tanh", {"x1": 1.0})
    net.save(tmp_path / "net.json")
    command = [sys.executable, "-X", "dev", "-m", "graphprop", name, str(tmp_path / "net.json")]
    command += ["y", "apart"] if name == "paths" else []
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("name", ["info", "--help"])
def test_a_full_disk_is_told(name: str, file: str) -> None:
    with open("/dev/full", "w") as full:
        done = run(name, *([file] if name == "info" else []), capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_names_that_a_terminal_cannot_show_are_shown_otherwise(tmp_path: Path) -> None:
    net = gp.Network()
    net.add_input("ü\x1b[31m\n")
    net.save(tmp_path / "net.json")
    done = run("info", str(tmp_path / "net.json"), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert r"inputs      1: \xfc\x1b[31m\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_an_interrupt_has_no_traceback(file: str, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    gp.check = interrupted  # type: ignore[attr-defined] # the fixture puts back what was there
    assert main(["check", file]) == 130
    assert capsys.readouterr().err == "graphprop: interrupted\n"


def test_a_fault_of_ours_is_not_called_a_mistake_of_the_user(file: str, stub: Stub) -> None:
    def wrong(*arguments: Any, **options: Any) -> None:
        raise ZeroDivisionError

    gp.check = wrong  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        main(["check", file])


# ------------------------------------------------------------------ what is typed


def test_names_as_they_are_typed() -> None:
    known = {"7": 0, 7: 1, 8: 2, -1: 3, ("h", 0): 4, ("h", ("8", 8)): 5, '["h", 1]': 6, ("h", 1): 7, "": 8, "a=b": 9}
    for text, name in {
        "7": "7",
        "8": 8,
        "-1": -1,
        '["h", 0]': ("h", 0),
        '["h",["8",8]]': ("h", ("8", 8)),
        '["h", 1]': '["h", 1]',
        '["h",1]': ("h", 1),
        "": "",
        "a=b": "a=b",
    }.items():
        assert read_typed_name(text, known) == name
    for text in ("9", "[", "[]", '["h", 2]', '{"h": 1}', "8.0", "9" * 5000, "[" * 100_000):
        with pytest.raises(gp.UnknownNameError):
            read_typed_name(text, known)


def test_names_as_they_are_printed() -> None:
    long = "h" * 60
    known = {("h1", 0): 0, ("h", 1): 1, ("h", "1"): 2, ("g", ("8", 8)): 3, "two\nlines": 4, long: 5, ("it's",): 6}
    for text, name in {
        "('h1', 0)": ("h1", 0),
        "(h1, 0)": ("h1", 0),
        "(h1,0)": ("h1", 0),
        "('h', 1)": ("h", 1),
        "('h','1')": ("h", "1"),
        "('g', ('8', 8))": ("g", ("8", 8)),
        "(g, (8, 8))": ("g", ("8", 8)),
        "two\\nlines": "two\nlines",
        "h" * 28 + "..." + "h" * 9: long,
        '("it\'s",)': ("it's",),
        "(it's)": ("it's",),
    }.items():
        assert read_typed_name(text, known) == name
    with pytest.raises(
        gp.UnknownNameError, match=r"--of: '\(h, 1\)' may be one of \('h', 1\), \('h', '1'\); a tuple can"
    ):
        read_typed_name("(h, 1)", known, where="--of: ")
    for text in ("(h1, 1)", "h1, 0", "('h1, 0)"):
        with pytest.raises(gp.UnknownNameError, match="unknown node"):
            read_typed_name(text, known)
    assert read_typed_name("(h, 1)", {**known, "(h, 1)": 7}) == "(h, 1)"  # what is named so comes first


def test_tuples_as_names_in_every_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = gp.Network()
    net.add_input(("x", 0))
    net.add_node(("h1", 0), "square", {("x", 0): 2.0})
    net.add_node("y", "identity", {("h1", 0): 3.0})
    net.save(tmp_path / "net.json")
    file = str(tmp_path / "net.json")
    for h1 in ("('h1', 0)", "(h1, 0)", '["h1", 0]'):
        for x in ("('x', 0)", "(x,0)", '["x", 0]'):
            assert main(["explain", file, "gamma", h1, "--inputs", f"{x}=1.5"]) == 0
            assert re.search(r"^gamma|^do\[y\]/da\[", told := capsys.readouterr().out, re.MULTILINE), told
            assert "= 18" in told  # 3 * 2 a with a = 2 * 1.5
            assert main(["paths", file, x, "y", "--inputs", f"{x}=1.5"]) == 0
            assert "36   (x, 0) -> (h1, 0) -> y" in capsys.readouterr().out


def test_values_as_they_are_typed(tmp_path: Path) -> None:
    net = gp.Network()
    for name in ("x", "a=b", ("h", 0), 3, ("it's", ")]"), ("it's", 1), "f("):
        net.add_input(name)
    net.add_input("v", size=2)
    file = tmp_path / "values.json"
    for text, expected in {
        "x=1": {"x": 1},
        " x = -1.5e-3 , 3 = +.5": {"x": -0.0015, 3: 0.5},
        'a=b=2.,["h", 0]=4': {"a=b": 2.0, ("h", 0): 4},
        "v=[1, 2.5],x=3": {"v": [1, 2.5], "x": 3},
        "v=[[1,2],[3,4]]": {"v": [[1, 2], [3, 4]]},
        "('h', 0)=4, x=1": {("h", 0): 4, "x": 1},
        "x=1,(h, 0)=4,v=[1, 2]": {("h", 0): 4, "x": 1, "v": [1, 2]},
        """("it's", ')]')=1,f(=2,x=3""": {("it's", ")]"): 1, "f(": 2, "x": 3},
        "(it's, 1)=1,x=2": {("it's", 1): 1, "x": 2},
        "1.0,-2": [1.0, -2],
        "3": 3,
        "[[1, 2], [3, 4]]": [[1, 2], [3, 4]],
    }.items():
        assert read_values(text, net.layout.number, "--inputs") == expected
    for document, expected in (
        ({"x": 1.0, '["h", 0]': 2, "3": 4, "v": [5, 6]}, {"x": 1.0, ("h", 0): 2, 3: 4, "v": [5, 6]}),
        ([1.0, 2.0], [1.0, 2.0]),
    ):
        file.write_text(json.dumps(document))
        assert read_values(str(file), net.layout.number, "--inputs") == expected
    for text, message in (
        ('{"x": 1, "x": 2}', "the key 'x' is there twice"),
        ("3", "an object with a key for each node, or a list of numbers, is needed, not 3"),
        ('{"z": 1}', "unknown node 'z'"),
        ("{", "not JSON: "),
    ):
        file.write_text(text)
        with pytest.raises(gp.GraphpropError, match=message):
            read_values(str(file), net.layout.number, "--inputs")


def test_what_to_explain_as_it_is_typed() -> None:
    net = small()
    for words, what in {
        "weight h1 y 0": ("weight", "h1", "y", 0),
        "weight x1 h1": ("weight", "x1", "h1"),
        "gamma h1": ("gamma", "h1"),
        "delta y 1": ("delta", "y", 1),
        "parameter f": ("parameter", "f"),
        "obar h1": ("obar", "h1"),
        "obar y 1": ("obar", "y", 1),
        "value": ("value",),
    }.items():
        assert read_what(words.split(), net) == what
