"""`gp.check` of nodes with very many components: the work grows as their width, and what would not end is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphprop as gp
from tests.cases import one_of


def wide(kind: Any, n: int) -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", kind, {"x": np.linspace(-1.0, 1.0, n)}, size=n)
    return net


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """How many components each call of an activation of the table gets."""
    f, sizes = gp.activation(name), []
    for method in ("outputs", "pull"):
        right = getattr(type(f), method)

        def run(self: Any, a: list[float], *more: Any, right: Any = right) -> list[float]:
            sizes.append(len(a))
            result: list[float] = right(self, a, *more)
            return result

        monkeypatch.setattr(type(f), method, run)
    return sizes


@pytest.mark.parametrize(
    ("kind", "n"), [("tanh", 8192), pytest.param("relu", 8192, marks=pytest.mark.thorough), ("max", 4096)]
)
def test_the_work_for_a_wide_node_grows_as_its_width(kind: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the square it would be some 10^8."""
    sizes = counted(monkeypatch, kind)
    report = gp.check(wide(kind, n))
    assert report.ok or kind == "max"  # next to its tie differences say nothing
    assert all(row.verdict != "fails" for row in report.rows)
    assert sum(sizes) <= 2**25
    assert report.rows[1].verdict == ("not applicable" if kind != "max" else "ok")


def test_slopes_of_a_vector_node_are_computed_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds take them at 13 points, those of the formulas at 4 more, which take them once; the rest is given."""
    sizes = counted(monkeypatch, "softmax")
    assert bool(gp.check(wide("softmax", 100), [1.0]))
    pulls = 18 * 100
    assert len(sizes) <= pulls + 8 * 9 * 301  # and the values of the differences


def test_a_vector_node_with_too_many_slopes_is_refused_before_any_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counted(monkeypatch, "softmax")
    with pytest.raises(gp.LimitError, match=r"8,589,934,592 in 2 samples, the widest node 65536\^2 in each"):
        gp.check(wide("softmax", 65536))
    assert len(sizes) == 2  # the forward pass


@pytest.mark.parametrize("n", one_of(2, (5000, 30_000)))
def test_a_sum_over_a_wide_node_rounds_more_and_is_not_called_wrong(n: int) -> None:
    report = gp.check(wide("logsumexp", n))
    assert report.findings == ()
    assert all(row.verdict != "fails" for row in report.rows)


def test_a_wrong_derivative_of_a_wide_node_is_found() -> None:
    wrong = gp.Activation("wrong", lambda a: a * a, lambda a, o: 2.001 * a, check=False)
    report = gp.check(wide(wrong, 4096))
    assert not report.ok
    assert "the derivative of wrong gives" in " ".join(report.findings)
