"""One object is all that a new activation or loss needs: nothing else in the package names one."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.functions import catalogue, losses
from graphprop.functions.entry import Entry
from graphprop.functions.loss_entry import LossEntry
from graphprop.functions.printed import Printed, PrintedLoss
from tests.explanations.test_explanations import recomputed


def rms(a: Any) -> Any:
    return np.sqrt(np.mean(a * a))


def rms_pull(a: Any, o: Any, g: Any) -> Any:
    return g * a / (len(a) * o)


def rms_formula(m: Any, a: Any) -> Any:
    return m.sqrt(sum(x**2 for x in a) / len(a))


def log_cosh(z: Any, t: Any) -> Any:
    return np.log(np.cosh(z - t)).sum(-1)


def log_cosh_gradient(z: Any, t: Any) -> Any:
    return np.tanh(z - t)


def log_cosh_formula(m: Any, z: Any, t: Any) -> Any:
    return sum(m.log((m.exp(x - y) + m.exp(y - x)) / 2) for x, y in zip(z, t, strict=True))


@pytest.fixture(params=["handed over", "in the tables"])
def given(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any, list[Any]]]:
    """A tenth reducing activation and a sixth loss, and what `load` needs to know of them."""
    if request.param == "handed over":
        f = gp.Activation("rms", rms, rms_pull, kind="reducing", formula=rms_formula)
        yield f, gp.Loss("log_cosh", log_cosh, log_cosh_gradient, formula=log_cosh_formula), [f]
        return
    entry = Entry("rms", rms, rms_pull, kind="reducing", formula=rms_formula, printed=Printed())
    loss = LossEntry(
        "log_cosh", log_cosh, log_cosh_gradient, reads="values", formula=log_cosh_formula, printed=PrintedLoss()
    )
    monkeypatch.setitem(catalogue.ENTRIES, "rms", entry)
    monkeypatch.setitem(losses.ENTRIES, "log_cosh", loss)
    yield "rms", "log_cosh", []


def example(f: Any) -> gp.Network:
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", f, {"x": [0.5, -1.5, 0.75]}, bias=[0.1, 0.2, -0.4])
    net.add_node("y", "tanh", {"h": 0.5})
    return net


def test_a_tenth_reducing_activation_and_a_sixth_loss_need_no_other_change(
    given: tuple[Any, Any, list[Any]], tmp_path: Path
) -> None:
    f, loss, own = given
    net = example(f)
    trace = net.forward([1.25])
    g = net.backward(trace, loss=loss, target=[0.3])

    told = gp.explain(net, trace, g, ("gamma" if not net.layout.nodes[1].vector else "delta", "h", 1), depth=None)
    assert recomputed(told) >= 4
    text = told.text(200)
    assert "dJ/do[y] = " in text
    assert "by the" not in text
    assert "o[h] = sqrt((a[h][0]^2 + a[h][1]^2 + a[h][2]^2) / 3)" in text
    assert recomputed(gp.explain(net, trace, g, ("value",), depth=1)) == 1

    drawing = gp.draw(net, trace, g)
    assert "rms" in drawing.svg
    drawing.save(tmp_path / "net.html")
    page = (tmp_path / "net.html").read_text()
    assert "by the activation" not in page
    assert "by the loss" not in page

    assert gp.check(net, [1.25], loss=loss, target=[0.3])
    assert gp.compare(g, {"theta": g.theta})
    wrong = str(gp.compare(g, {"theta": 2 * g.theta}))
    assert "twice what it should be" in wrong

    net.save(tmp_path / "net.json")
    again = gp.load(tmp_path / "net.json", activations=own)
    np.testing.assert_array_equal(again.forward([1.25]).o["y"], trace.o["y"])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).forward([1.25]).o["y"], trace.o["y"])
    value, gradient = gp.compile(net).value_and_grad(net.theta, [[1.25]], [[0.3]], loss=loss)
    assert value == pytest.approx(g.value, rel=1e-14)
    np.testing.assert_allclose(gradient, g.theta, rtol=1e-13)


def test_an_activation_of_ones_own_is_explained_by_its_formula_and_what_that_is_differentiated_to() -> None:
    softsign = gp.Activation(
        "softsign",
        lambda a: a / (1 + abs(a)),
        lambda a, o: 1 / (1 + abs(a)) ** 2,
        formula=lambda m, a: a / (1 + abs(a)),
    )
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", softsign, {"x": -2.0})
    trace = net.forward([1.5])
    told = gp.explain(net, trace, net.backward(trace, "h"), ("weight", "x", "h"), depth=None)
    assert recomputed(told) == 4
    assert "softsign'(a[h]) = (1 + abs(a[h]) - a[h] * sign(a[h])) / (1 + abs(a[h]))^2" in told.text(200)
    assert "o[h] = a[h] / (1 + abs(a[h]))" in gp.explain(net, trace, None, ("o", "h")).text(200)


def test_where_a_formula_is_not_what_a_function_gives_the_function_is_told_of() -> None:
    """At a kink the derivative is a convention, and not that of the formula."""
    ramp = gp.Activation(
        "ramp",
        lambda a: a if a > 0 else 0.0,
        lambda a, o: 1.0 if a >= 0 else 0.0,
        kinks=(0.0,),
        formula=lambda m, a: m.where(a > 0, a, 0 * a),
    )
    net = gp.Network()
    net.add_input("x")
    net.add_node("h", ramp, {"x": 2.0})
    trace = net.forward([0.0])
    told = gp.explain(net, trace, net.backward(trace, "h"), ("weight", "x", "h"), depth=None).text(200)
    assert " if " not in told
    at_one = net.forward([1.0])
    assert "ramp'(a[h]) = 1 if a[h] > 0 else 0" in gp.explain(
        net, at_one, net.backward(at_one, "h"), ("weight", "x", "h"), depth=None
    ).text(200)
