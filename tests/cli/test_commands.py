"""The commands of the command line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.cli.commands import main
from graphprop.explanations.explaining import WHAT
from tests.cli.cli_cases import (
    Stub,
    small,
)
from tests.pictures import ENGINES


def test_info_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = gp.Network("counted")
    net.add_input("x", size=3)
    net.add_input(("t", 1))
    f = net.parameter("f", [1.0, 2.0], trainable=False)
    net.add_node("h", "tanh", {"x": [[1.0, None, f[0]], [None, f[0], 2.0]], ("t", 1): [1.0, 1.0]}, size=2)
    net.add_node("s", "softmax", {"h": [[1.0, 2.0], [3.0, 4.0]]}, bias=[0.0, -np.inf])
    net.add_node("y", "tanh", {"h": [1.0, 1.0], "s": [1.0, 1.0]})
    net.add_node("z", "tanh", {"y": 1.0})
    net.set_outputs("s", ["y", "z"])
    net.save(tmp_path / "net.json")
    assert main(["info", str(tmp_path / "net.json")]) == 0
    told = dict(re.split(r" {2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:])
    assert told == {
        "inputs": "2: x, (t, 1)",
        "outputs": "3: s; y, z",
        "nodes": "3 tanh, 1 softmax",
        "levels": "5 (an input is on the first)",
        "edges": "6, with 15 weights",
        "parameters": "17: 14 in weights, 2 in biases, 1 used more than once, 1 not used, 2 frozen, 1 -inf (masks)",
        "named": "1: f",
        "memory": "136 bytes of theta, and per sample at most 208 bytes",  # 6 pre-activations, 10 outputs twice
    }


def test_info_and_the_picture_of_the_structure_need_no_functions_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def total(name: str, **more: Any) -> gp.Activation:
        return gp.Activation(name, lambda a: a.sum(), lambda a, o, g: g + 0 * a, kind="reducing", **more)

    cube = gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a**2)
    twice = gp.Activation(
        "twice", lambda a, by: a * by, lambda a, o, g, by: g * by, kind="vector", parameters={"by": 2}
    )
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("c", cube, {"x": [1.0, 2.0]})
    net.add_node("v", twice, {"x": [[1.0, 2.0], [3.0, 4.0]], "c": [1.0, 1.0]}, size=2)
    net.add_node("r", total("total"), {"v": [[1.0, 2.0], [3.0, 4.0]]}, size=2)
    net.add_node("q", total("masked", masks=True), {"r": [1.0, 1.0], "v": [[1.0, 2.0]] * 2}, bias=[0.0, -np.inf])
    net.add_node("y", "tanh", {"r": 1.0, "c": 1.0, "q": 1.0})
    net.add_node("z", total("last"), {"r": [1.0, 1.0]})
    net.save(tmp_path / "net.json")
    assert main(["info", str(tmp_path / "net.json")]) == 0
    out = capsys.readouterr().out
    assert "1 cube, 1 twice, 1 total, 1 masked, 1 tanh, 1 last" in out
    assert f"{len(net.theta)}: " in out
    assert main(["draw", "--structure", "--layout", "columns", str(tmp_path / "net.json")]) == 0
    assert (tmp_path / "net.svg").read_text().count("cube")
    capsys.readouterr()
    assert main(["check", str(tmp_path / "net.json")]) == 2
    assert "give it back with gp.load" in capsys.readouterr().err


def test_info_of_a_network_that_cannot_run_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = gp.Network()
    net.save(tmp_path / "net.json")
    assert main(["info", str(tmp_path / "net.json")]) == 0
    assert "not ready   the network has no nodes" in capsys.readouterr().out
    net.add_node("h", "tanh")
    net.save(tmp_path / "net.json")
    assert main(["info", str(tmp_path / "net.json")]) == 0
    assert "not ready   node 'h' has no parents" in capsys.readouterr().out


def test_draw_runs_the_network_and_saves_beside_the_file(
    file: str, stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["draw", file, "--inputs", "x1=1.0,x2=-2", "--loss", "half_squared", "--target", "y=0.25"]) == 0
    (net, trace, gradients), options = stub.calls[0]
    assert set(options.values()) == {None}
    net, expected = small(), small().forward([1.0, -2.0])
    assert trace.o["y"] == expected.o["y"]
    g = gp.recursion.backpropagate(net, expected, loss="half_squared", target={"y": 0.25})
    assert gradients.allclose(g)
    assert stub.saved == ["net.svg"]
    assert capsys.readouterr().out.splitlines()[-1] == file.replace(".json", ".svg")
    assert main(["draw", file, "--structure", "--out", "other.pdf"]) == 0
    assert len(stub.calls[1][0]) == 1
    assert stub.saved == ["net.svg", "other.pdf"]


def test_draw_draws_a_part_of_the_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = gp.Network()
    net.add_input("k0")
    for i in range(1, 9):
        net.add_node(f"k{i}", "tanh", {"k0" if i == 1 else f"k{i - 1}": float(i)})
    net.save(tmp_path / "net.json")
    path = tmp_path / "out.dot"

    def drawn(*arguments: str) -> set[str]:
        assert main(["draw", str(tmp_path / "net.json"), "--out", str(path), *arguments]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == str(path)
        return set(re.findall(r"\bk\d\b", path.read_text()))

    every = {"k0", *(f"k{i}" for i in range(1, 9))}
    for more in (("--of", "k4"), ("--structure",)):  # the legend names the node that is differentiated
        assert every == drawn(*more)
        assert drawn("--focus", "k4", *more) == {"k2", "k3", "k4", "k5", "k6"}
        assert drawn("--focus", "k4", "--depth", "1", *more) == {"k3", "k4", "k5"}
    assert drawn("--top", "1", "--structure") == {"k7", "k8"}  # the largest weight


@pytest.mark.parametrize("engine", ENGINES)
def test_draw_takes_the_layout_that_is_named(
    file: str, engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, expected = tmp_path / "out.svg", tmp_path / "expected.svg"
    assert main(["draw", file, "--structure", "--out", str(path), "--layout", engine]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    gp.draw(gp.load(file), layout=engine).save(expected)
    assert path.read_text() == expected.read_text()


def test_a_layout_that_the_machine_lacks_is_refused_in_one_line(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["draw", file, "--out", str(tmp_path / "out.svg"), "--layout", "dot"]) == 2
    assert re.search(r"^graphprop: layout='dot': .*install the dot program\n$", capsys.readouterr().err)
    assert not (tmp_path / "out.svg").exists()


def test_check_checks(chain: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", chain, "--inputs", "x=1", "--loss", "half_squared", "--target", "y=26"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("inputs: x=1\nobjective: half_squared, target y=26\n\n")
    assert ": ok\n" in told
    assert "jax" not in told
    pytest.importorskip("jax")
    assert main(["check", chain, "--against", "jax"]) == 0
    assert re.search(r"^jax .* ok", capsys.readouterr().out, re.MULTILINE)


def test_check_without_the_library_says_so(
    chain: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["check", chain, "--against", "torch"]) == 2
    assert "needs PyTorch, which is not installed" in capsys.readouterr().err


def test_check_gives_its_verdict_as_exit_code(file: str, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", file, "--inputs", "1.0,-2", "--of", "h1"]) == 0
    (net, inputs), options = stub.calls[0]
    assert net.same_structure(small())
    assert inputs == [1.0, -2]
    assert options == {"node": "h1", "component": None, "against": None}
    assert capsys.readouterr().out == "inputs: 1.0,-2\nobjective: the output of h1\n\ntold\n"
    stub.ok = False
    assert main(["check", file]) == 1
    assert stub.calls[1][1] == {"node": "y", "component": None, "against": None}
    assert main(["check", file, "--loss", "half_squared", "--target", "0.25"]) == 1
    assert stub.calls[2][1] == {"loss": "half_squared", "target": 0.25, "against": None}


def test_random_inputs_are_told_and_the_same_for_the_same_seed(
    file: str, stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in ("3", "3", "4"):
        main(["check", file, "--seed", seed])
    one, two, three = (inputs for (_, inputs), _ in stub.calls)
    assert one == two != three
    assert list(one) == ["x1", "x2"]
    assert f"inputs, random with seed 3: x1 = {one['x1']:.4g}, x2 = {one['x2']:.4g}\n" in capsys.readouterr().out


def test_random_inputs_have_the_sizes_of_the_inputs(tmp_path: Path, stub: Stub) -> None:
    net = gp.Network()
    net.add_input("v", size=3)
    net.add_input("w", size=1)
    net.add_input("x")
    net.add_node("y", "tanh", {"v": [1.0, 1.0, 1.0], "w": 1.0, "x": 1.0})
    net.save(tmp_path / "net.json")
    assert main(["explain", str(tmp_path / "net.json"), "o", "y"]) == 0
    _, trace, _, what = stub.calls[0][0]
    assert what == ("o", "y")
    drawn = np.random.default_rng(0).standard_normal(5)
    assert [*trace.o["v"], *trace.o["w"], trace.o["x"]] == drawn.tolist()


def test_explain_asks_for_the_number_that_was_typed(file: str, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", file, "weight", "h1", "y", "1", "--inputs", "x1=1.0,x2=-2", "--of", "y"]) == 0
    (_, trace, gradients, what), _ = stub.calls[0]
    assert what == ("weight", "h1", "y", 1)
    assert gradients.value == trace.o["y"]
    assert capsys.readouterr().out.endswith("\n\ntold\n")


@pytest.fixture
def chain(tmp_path: Path) -> str:
    """y = 3 h with h = a^2 and a = 2 x + 1, to be run with x = 1: a = 3, h = 9, y = 27, dy/da = 18, dy/dx = 36."""
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", "square", {"x": 2.0}, bias=1.0)
    net.add_node("y", "identity", {"h": net.parameter("f", 3.0)})
    net.save(tmp_path / "chain.json")
    return str(tmp_path / "chain.json")


@pytest.mark.parametrize(
    ("what", "result"),
    {
        "weight x h": "18",
        "bias h": "18",
        "input x": "36",
        "parameter f": "9",
        "gamma h": "18",
        "obar h": "3",
        "a h": "3",
        "o h": "9",
        "value": "27",
    }.items(),
)
def test_explain_explains_every_kind_of_number(
    what: str, result: str, chain: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", chain, *what.split(), "--inputs", "x=1"]) == 0
    first, _, _ = capsys.readouterr().out.split("\n\n", 1)[1].partition("\n\n")
    assert first.rstrip().endswith(f"= {result}"), first


def test_explain_to_a_depth_and_by_a_form(chain: str, capsys: pytest.CaptureFixture[str]) -> None:
    def levels(*arguments: str) -> list[int]:
        assert main(["explain", chain, "value", "--inputs", "x=1", *arguments]) == 0
        formulas = re.findall(r"^( *)\S+ = ", capsys.readouterr().out.split("\n\n", 1)[1], re.MULTILINE)
        return [len(indent) // 2 for indent in formulas]

    assert levels("--depth", "1") == [0]
    assert levels() == levels("--depth", "2") == [0, 1]
    assert levels("--depth", "all") == [0, 1, 2, 3]  # o[y], a[y], o[h], a[h]

    def explained(*arguments: str) -> str:
        assert main(["explain", chain, "gamma", "h", "--inputs", "x=1", *arguments]) == 0
        return capsys.readouterr().out.split("\n\n", 1)[1]

    assert explained() == explained("--form", "children")
    assert "gamma[y]" in explained("--form", "children")
    assert "gamma[y]" not in explained("--form", "parents")


def test_every_kind_of_number_that_is_explained_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--help"]) == 0
    told = capsys.readouterr().out.partition("what:")[2]
    assert all(re.search(rf"(^  |, ){kind}\b", told, re.MULTILINE) for kind in WHAT)


def test_paths_from_node_to_node(file: str, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paths", file, "x1", "h1", "--inputs", "x1=1.0,x2=-2", "--top", "3"]) == 0
    (_, trace, source, target), options = stub.calls[0]
    assert (source, target, options) == ("x1", "h1", {"top": 3, "of": None, "to": None, "sample": None})
    assert trace.o["x1"] == 1.0
    assert main(["paths", file, "y", "x1"]) == 1
    assert "no path leads from 'y' to 'x1'" in capsys.readouterr().out
    assert len(stub.calls) == 1


def test_paths_between_components_of_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_node("h", "square", {"x": [[1.0, 2.0], [3.0, 4.0]]}, size=2)
    net.add_node("y", "identity", {"h": [[5.0, 6.0], [7.0, 8.0]]}, size=2)
    net.save(tmp_path / "net.json")
    command = ["paths", str(tmp_path / "net.json"), "--inputs", "x=[1, 1]"]  # a = [3, 7]
    for source, of, target, to, total in (
        ("x", 0, "y", 0, 5 * 6 * 1 + 6 * 14 * 3),
        ("x", 1, "y", 0, 5 * 6 * 2 + 6 * 14 * 4),
        ("x", 1, "y", 1, 7 * 6 * 2 + 8 * 14 * 4),
        ("h", 1, "y", 0, 6 * 14),
        ("x", 0, "h", 1, 14 * 3),
    ):
        components = ["--source-component", str(of), "--target-component", str(to)]
        assert main([*command, source, target, *components]) == 0
        told = capsys.readouterr().out.splitlines()
        assert float(told[-1].split()[0]) == total
    for arguments, message in (
        (["x", "y", "--source-component", "0"], "node 'y' has 2 components; say which one with --target-component"),
        (["h", "y", "--target-component", "0"], "node 'h' has 2 components; say which one with --source-component"),
        (
            ["x", "y", "--source-component", "2"],
            "--source-component 2 is out of range; node 'x' has the components 0 to 1",
        ),
    ):
        assert main([*command, *arguments]) == 2
        assert capsys.readouterr().err == f"graphprop: {message}\n"


def test_one_sample_of_a_batch(chain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = ["--inputs", "[1],[2],[-3]"]
    slopes = [36.0, 60.0, -60.0]  # 12 (2 x + 1)
    for s, slope in enumerate(slopes):
        assert main(["paths", chain, "x", "y", *batch, "--sample", str(s)]) == 0
        assert float(capsys.readouterr().out.splitlines()[-1].split()[0]) == pytest.approx(slope, rel=1e-5)
        assert main(["explain", chain, "input", "x", *batch, "--sample", str(s)]) == 0
        told = capsys.readouterr().out
        assert f"sample {s} of 0 to 2" in told
        shown = re.findall(r"(?m)^ *= (\S+)$", told.split("\n\n")[2])
        assert float(shown[-1]) == pytest.approx(slope, rel=1e-5)
        path = tmp_path / f"{s}.dot"
        assert main(["draw", chain, *batch, "--out", str(path), "--sample", str(s)]) == 0
        assert f"sample [{s}] of 3" in path.read_text()
    capsys.readouterr()
    for arguments, message in (
        (["paths", chain, "x", "y", *batch], "the inputs are 3 samples; say which one with --sample"),
        (["explain", chain, "o", "y", *batch], "the inputs are 3 samples; say which one with --sample"),
        (
            ["explain", chain, "o", "y", *batch, "--sample", "3"],
            "--sample 3 is out of range; the inputs are the samples 0 to 2",
        ),
        (["explain", chain, "value", *batch, "--sample", "0"], "the value is of all samples; --sample does not go"),
        (["draw", chain, *batch, "--sample", "-1"], "--sample -1 is out of range; the inputs are the samples 0 to 2"),
        (["draw", chain, "--sample", "1"], "--sample 1 is out of range; the inputs are one sample, 0"),
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err.startswith(f"graphprop: {message}")
    assert main(["explain", chain, "value", *batch]) == 0  # the sum over all


def test_paths_from_a_node_that_reduces_its_components_to_one(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paths", file, "y", "y"]) == 2
    assert "node 'y' has 2 components; say which one with --source-component" in capsys.readouterr().err
    assert main(["paths", file, "y", "y", "--source-component", "1"]) == 0
    assert "do[y]/da[y" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["paths", "FILE", "x1", "h1", "--target-component", "1"],
            "--target-component 1 is out of range; node 'h1' has the component 0 only",
        ),
        (["explain", "FILE", "value", "--depth", "0"], "a whole number from 1 on, or all, is needed, not '0'"),
        (["explain", "FILE", "value", "--depth", "-1"], "a whole number from 1 on, or all, is needed, not '-1'"),
        (["explain", "FILE", "value", "--form", "paths"], "invalid choice: 'paths'"),
        (["draw", "FILE", "--depth", "1"], "depth= belongs to focus="),
        (["draw", "FILE", "--focus", "h2"], "--focus: unknown node 'h2'"),
        (["draw", "FILE", "--top", "0"], "top= is a whole number of at least 1, not 0"),
        (["draw", "FILE", "--layout", "neato"], "invalid choice: 'neato'"),
        (["check", "FILE", "--against", "numpy"], "invalid choice: 'numpy'"),
        (["info", "FILE", "more"], "unrecognized arguments: more"),
        (["explain", "FILE"], "the following arguments are required: WHAT"),
        (["explain", "FILE", "wait", "h1", "y"], "unknown kind of number 'wait'"),
        (["explain", "FILE", "weight", "h1"], "weight needs the names of two nodes, as in weight h1 y"),
        (["explain", "FILE", "value", "y"], "value is the objective itself, and stands alone; 'y' is too much"),
        (["explain", "FILE", "obar"], "obar needs a name, as in obar y"),
        (["explain", "FILE", "delta"], "delta needs a name, as in delta y"),
        (["explain", "FILE", "weight", "h1", "Y"], "unknown node 'Y'; did you mean 'y'?"),
        (["explain", "FILE", "parameter", "h1"], "unknown parameter 'h1'"),
        (["explain", "FILE", "delta", "y", "one"], "an index is a whole number, not 'one'"),
        (["paths", "FILE", "x1", "7"], "unknown node '7'"),
        (["paths", "FILE", "x1", "[1,"], "unknown node '[1,'"),
        (["paths", "FILE", "x1", "y", "--top", "x"], "invalid int value"),
        (["check", "FILE", "--inputs", "x1=1.0"], "input 'x2' is missing"),
        (["check", "FILE", "--inputs", "x1=1.0,x3=2"], "--inputs: unknown input 'x3'; known: x1, x2"),
        (["check", "FILE", "--inputs", "h1=1.0"], "--inputs: unknown input 'h1'; known: x1, x2"),
        (["check", "FILE", "--inputs", "x1=[1 2],x2=1"], "--inputs: 'x1=[1 2]': line 1, column 4: not JSON: Expecting"),
        (["check", "FILE", "--inputs", "x1=1.0,x1=2"], "--inputs: 'x1' is given twice"),
        (["check", "FILE", "--inputs", "x1=1.0,2"], "--inputs: '2': a name and a number are needed"),
        (["check", "FILE", "--inputs", "x1=one,x2=2"], "--inputs: 'x1=one': a number is needed"),
        (["check", "FILE", "--inputs", "x1=nan,x2=2"], "--inputs: 'x1=nan': a number is needed"),
        (["check", "FILE", "--inputs", "x1=[1,x2=2"], "--inputs: 'x1=[1,x2=2': the brackets do not match"),
        (["check", "FILE", "--inputs", ""], "--inputs: '': a number is needed"),
        (["check", "FILE", "--inputs", "none.json"], "none.json: there is no such file"),
        (["check", "FILE", "--inputs", "FILE"], "unknown input 'format'; known: x1, x2"),
        (["check", "FILE", "--inputs", __file__], ".py' is a file whose name does not end in .json"),
        (["check", "FILE", "--inputs", "."], "--inputs: '.': a number is needed"),
        (["check", "FILE", "--seed", "-1"], "a seed is a whole number of at least 0"),
        (["draw", "FILE", "--of", "z"], "--of: unknown node 'z'"),
        (["draw", "FILE", "--component", "5"], "5"),
        (["draw", "FILE", "--loss", "half_squared"], "--loss needs --target"),
        (["draw", "FILE", "--loss", "half_square", "--target", "1"], "unknown loss 'half_square'"),
        (["draw", "FILE", "--loss", "nll", "--target", "1", "--of", "y"], "--of and --component do not go with it"),
        (["draw", "FILE", "--target", "1"], "--target needs --loss"),
    ],
    ids=lambda x: " ".join(x)[:60] if isinstance(x, list) else "",
)
def test_a_mistake_is_told_in_a_line(
    arguments: list[str], message: str, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(net: gp.Network, inputs: Any, **objective: Any) -> None:
        net.backward(net.forward(inputs), **objective)

    monkeypatch.setattr(gp, "check", check, raising=False)
    assert main([file if word == "FILE" else word for word in arguments]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert message in printed.err.splitlines()[-1]
