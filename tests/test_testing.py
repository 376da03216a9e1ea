"""The pytest plugin, its failure output, and the random networks: what they promise to somebody else's test suite."""

from __future__ import annotations

import sys
import tomllib
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import graphprop as gp
from graphprop.engine.loops.caching import cache_folder
from graphprop.testing import assert_gradient_is_right, assert_gradients_match, graphs, samples
from tests.project import ROOT

pytest_plugins = ["pytester", "pytest_graphprop"]
COMPILED = cache_folder().parent  # before pytester moves the user's folder: its runs need not compile all again
BAD = gp.Activation("bad", lambda a: a * a, lambda a, o: 2.002 * a, check=False)

Build = dict[str, Any]


def smallest(condition: Any, count: int = 2000, **options: Any) -> gp.Network:
    brief = settings(max_examples=count, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink])
    return find(graphs(**options), condition, settings=brief)


def kinds(net: gp.Network) -> list[str]:
    return [net.graph.nodes[v]["kind"] for v in net.nodes if v not in net.inputs]


# ------------------------------------------------------------------ the fixture, in a test suite of somebody else


def test_the_fixture_checks_networks_and_functions(gradcheck: Any) -> None:
    assert gradcheck(gp.mlp([2, 3, 1], "tanh", seed=1), [0.5, -1.0], loss="half_squared", target=[0.25]).ok
    assert gradcheck(lambda theta: (np.sum(theta**3), 3 * theta**2), np.array([1.0, -2.0])).ok
    with pytest.raises(AssertionError, match=r"theta\[1\]"):
        gradcheck(lambda theta: (np.sum(theta**3), 3 * theta**2 * [1, 1.001]), np.array([1.0, -2.0]))
    with pytest.raises(gp.GraphpropError, match="a function is checked, not int"):
        gradcheck(3, np.ones(2))


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(COMPILED))
    return pytester


def run(pytester: pytest.Pytester, code: str) -> pytest.RunResult:
    """In this process, which has imported and compiled what it takes."""
    pytester.makepyfile(code)
    return pytester.runpytest_inprocess("-p", "pytest_graphprop", "-p", "no:cacheprovider")


def test_three_lines_are_a_test(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
        import graphprop as gp
        def test_my_net(gradcheck):
            gradcheck(gp.mlp([2, 3, 1], "tanh"))
        """,
    ).assert_outcomes(passed=1)


def test_a_failure_shows_the_report_and_the_network_and_nothing_from_inside(pytester: pytest.Pytester) -> None:
    found = run(
        pytester,
        """
        import graphprop as gp
        bad = gp.Activation("bad", lambda a: a * a, lambda a, o: 2.002 * a, check=False)

        def test_my_activation(gradcheck):
            net = gp.Network()
            net.add_input("x")
            net.add_node("h", bad, {"x": 0.5}, bias=0.25)
            net.add_node("y", "tanh", {"h": 1.5})
            gradcheck(net, [1.0])
        """,
    )
    found.assert_outcomes(failed=1)
    text = found.stdout.str()
    assert "recursion (b), children" in text
    assert "central differences" in text
    assert "the derivative of bad gives 1.5015" in text
    assert "net.add_node('h', bad, {'x': 0.5}, bias=0.25)" in text
    assert "testing.py" not in text  # the traceback ends in the test


WRONG = """
    import numpy as np
    import graphprop as gp

    def squares(x):
        return (x ** 2).sum(), -2 * x

    def comparison():
        net = gp.mlp([2, 3, 1], "tanh", seed=1, by="layer")
        g = net.backward(net.forward([0.5, -1.0]), "y", component=0)
        return gp.compare(g, {"W1": -g.weight["x", "h1"]})
"""


def test_an_assert_shows_the_whole_text_line_by_line(pytester: pytest.Pytester) -> None:
    checks = ("comparison()", "gp.gradcheck(squares, np.ones(2))")
    ways = ("assert {}", "found = {}; assert found and True", "assert {} and True")
    tests = [way.format(check) for check in checks for way in ways]
    code = "".join(f"\n    def test_{i}():\n        {test}\n" for i, test in enumerate(tests))
    found = run(pytester, WRONG + code)
    found.assert_outcomes(failed=6)
    text = found.stdout.str().partition("short test summary")[0]
    assert "\\n" not in text
    lines = text.splitlines()
    assert lines.count("W1: wrong; the sign is flipped") == 3
    assert sum(line.startswith("    w(0, x[1], h1): ") for line in lines) == 3
    assert lines.count("theta[0] is -2, differences of the value give 2 (the sign)") == 3


def test_raise_if_failed_fails_the_test_in_its_own_line(pytester: pytest.Pytester) -> None:
    checks = ("comparison()", "gp.gradcheck(squares, np.ones(2))", "gp.check(wrong(), [1.0])")
    code = f"""{WRONG}
    def wrong():
        bad = gp.Activation("bad", lambda a: a * a, lambda a, o: 2.002 * a, check=False)
        net = gp.Network()
        net.add_input("x")
        net.add_node("y", bad, {{"x": 0.5}})
        return net
    """
    code += "".join(f"\n    def test_{i}():\n        {test}.raise_if_failed()\n" for i, test in enumerate(checks))
    found = run(pytester, code)
    found.assert_outcomes(failed=3)
    text = found.stdout.str()
    for check in checks:
        assert f">       {check}.raise_if_failed()" in text
    assert "comparing.py" not in text, "the traceback ends in the test"
    assert "reports.py" not in text
    assert text.partition("short test summary")[0].count(": WrongGradientError") == 3


def test_what_a_check_raises_is_an_assertion_and_one_of_the_librarys_errors() -> None:
    wrong = gp.gradcheck(lambda x: (np.sum(x**2), -2 * x), np.ones(2))
    for error in (AssertionError, gp.GraphpropError, gp.WrongGradientError):
        with pytest.raises(error, match="the wrong sign"):
            wrong.raise_if_failed()
        with pytest.raises(error, match="the derivative of bad"):
            assert_gradients_match(one_node(BAD), [1.0])


def one_node(f: gp.Activation) -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", f, {"x": 0.5})
    return net


def test_starting_pytest_imports_neither_the_library_nor_numpy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins may import what they like
    pytester.makepyfile(
        """
        import sys
        def test_nothing_is_there():
            assert not {"graphprop", "numpy", "networkx", "hypothesis"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "pytest_graphprop", "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"pytest_graphprop": "pytest_graphprop"}
    assert project["tool"]["setuptools"]["py-modules"] == ["pytest_graphprop"]
    assert "hypothesis" not in " ".join(project["project"]["dependencies"])


# ------------------------------------------------------------------ the assertion


def test_the_report_comes_back_and_a_failure_carries_it() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", BAD, {"x": 3.0})
    with pytest.raises(AssertionError) as failure:
        assert_gradients_match(net, {"x": 1.0}, "y")
    assert "w(x, y)" in str(failure.value)
    assert assert_gradients_match(gp.mlp([2, 1], "tanh"), [1.0, 2.0]).ok


def test_what_cannot_be_decided_is_no_failure() -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "relu", {"x": 1.0})
    assert not assert_gradients_match(net, {"x": 0.0}, "y").ok  # the kink


def test_the_code_in_a_failure_builds_the_network_again() -> None:
    net = gp.Network()
    net.add_input("x", size=2)
    net.add_input("z")
    f, k = net.parameter("f", 0.5), net.parameter("k", [0.25, -1.0])
    net.add_node("h", BAD, {"x": [[1.0, None], [f, 2.0]], "z": k}, bias=[0.5, None], size=2)
    net.add_node("p", "softmax", {"h": [[0.1, 0.2], [0.3, 1 / 3], [f, 0.0]]})
    net.add_node("y", "max", {"p": [[1.0, 2.0, 3.0]], "z": 0.5})
    with pytest.raises(AssertionError) as failure:
        assert_gradients_match(net, seed=3)
    code = str(failure.value).partition("net = gp.Network()")
    names: Build = {"gp": gp, "bad": BAD}
    exec(code[1] + code[2], names)
    again = names["net"]
    assert again.layout.same_structure(net.layout)
    inputs = {"x": [0.3, 0.4], "z": 0.5}
    assert (again.forward(inputs).o_flat == net.forward(inputs).o_flat).all()


@given(st.data())
def test_random_networks_are_right(data: st.DataObject) -> None:
    net = data.draw(graphs(max_nodes=4))
    assert_gradients_match(net, data.draw(samples(net)))


# ------------------------------------------------------------------ random networks


@given(graphs(), st.data())
def test_any_network_runs_with_its_samples(net: gp.Network, data: st.DataObject) -> None:
    trace = net.forward(data.draw(samples(net)))
    assert np.abs(trace.a_flat).max() < 20
    assert 1 <= len(kinds(net)) <= 6
    assert max(layout_sizes(net)) <= 3
    assert net.forward(data.draw(samples(net, batch=4))).samples == 4


def layout_sizes(net: gp.Network) -> list[int]:
    return [max(node.n, node.m) for node in net.layout.nodes]


@given(graphs(activations=["tanh", BAD], max_nodes=3, max_size=2, max_depth=2, ties=False, biases=False))
def test_the_limits_are_kept(net: gp.Network) -> None:
    assert set(kinds(net)) <= {"tanh", "bad"}
    assert len(kinds(net)) <= 3
    assert max(layout_sizes(net)) <= 2
    assert nx.dag_longest_path_length(net.graph, weight=None) <= 2
    assert not net.parameters
    assert not len(net.layout.bias_row)


@given(graphs(layered=True, max_nodes=3), st.data())
def test_layered_networks_have_layers(net: gp.Network, data: st.DataObject) -> None:
    assert 1 <= len(gp.matrixform.layers(net)) <= 3
    assert np.isfinite(net.forward(data.draw(samples(net))).o_flat).all()


@given(graphs(activations=["log", gp.Activation("root", np.sqrt, lambda a, o: 0.5 / o, domain=(1e-3, 9.0))]), st.data())
def test_domains_are_kept(net: gp.Network, data: st.DataObject) -> None:
    assert (net.forward(data.draw(samples(net))).a_flat > 0).all()


def test_a_failing_network_shrinks_to_the_smallest() -> None:
    net = smallest(lambda net: True)
    assert (len(net), kinds(net), net.layout.size) == (2, ["identity"], 1)
    net = smallest(lambda net: "softmax" in kinds(net))
    assert (len(net), kinds(net), net.layout.size) == (2, ["softmax"], 1)
    net = smallest(lambda net: nx.dag_longest_path_length(net.graph, weight=None) == 2)
    assert (len(net), kinds(net), net.layout.size) == (3, ["identity"] * 2, 2)
    net = smallest(lambda net: len(net.layout.row) > len(set(net.layout.position.tolist())))  # a tie
    assert len(net) <= 3
    assert net.layout.size == 1
    net = smallest(lambda net: len(gp.matrixform.layers(net)) == 2, layered=True)
    assert (len(net), net.layout.size) == (3, 2)


def test_a_wrong_activation_is_shown_in_the_smallest_network() -> None:
    def fails(net: gp.Network) -> bool:
        if "bad" not in kinds(net):  # a check costs more than a drawing
            return False
        try:
            assert_gradients_match(net, {name: np.ones(net.output_size(name)) for name in net.inputs})
        except AssertionError:
            return True
        return False

    net = smallest(fails, 200, activations=["tanh", BAD], max_nodes=2, max_size=1)
    assert kinds(net) == ["bad"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_nodes": 0}, "max_nodes is a whole number of at least 1, not 0"),
        ({"max_size": 1.5}, "max_size is a whole number"),
        ({"max_depth": True}, "max_depth is a whole number"),
        ({"activations": []}, "no activation to choose from"),
        ({"activations": ["sigmod"]}, "did you mean 'sigmoid'"),
    ],
)
def test_bad_limits_are_refused(options: Build, message: str) -> None:
    with pytest.raises(gp.GraphpropError, match=message):
        graphs(**options)


def test_a_bad_batch_is_refused() -> None:
    with pytest.raises(gp.GraphpropError, match="batch is a whole number of at least 1"):
        samples(gp.mlp([1, 1]), batch=0)


def test_without_hypothesis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for draw in (graphs, lambda: samples(gp.mlp([1, 1]))):
        with pytest.raises(gp.GraphpropError, match="pip install hypothesis"):
            draw()
    assert assert_gradient_is_right(gp.mlp([1, 1])).ok
