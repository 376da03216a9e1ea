"""What has names is read by them wherever numbers belong to nodes, and refused where they go by position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.textbook import matrixform, recursion


class Table:
    """As little of a data frame as there can be: names of columns, and columns by name."""

    def __init__(self, columns: dict[Any, Any]) -> None:
        self._columns = {name: np.array(column) for name, column in columns.items()}

    @property
    def columns(self) -> list[Any]:
        return list(self._columns)

    def __getitem__(self, name: Any) -> Any:
        return self._columns[name]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(list(self._columns.values()), dtype=dtype).T


def made_by(library: str) -> Callable[[dict[Any, Any]], Any]:
    if library == "a table":
        return Table
    module = pytest.importorskip(library, reason=f"{library} is not installed; frames of other kinds are tested")
    frame: Callable[[dict[Any, Any]], Any] = module.DataFrame
    return frame


@pytest.fixture(params=["a table", "pandas", "polars"])
def frame(request: pytest.FixtureRequest) -> Callable[[dict[Any, Any]], Any]:
    return made_by(request.param)


@pytest.fixture
def series() -> Callable[..., Any]:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed, whose series have labels")
    made: Callable[..., Any] = pandas.Series
    return made


def network() -> gp.Network:
    """Two outputs that are what their inputs are."""
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("a", "identity", {"x1": 1.0})
    net.add_node("b", "identity", {"x2": 1.0})
    return net


X = np.array([[1.0, 2.0], [3.0, 5.0], [-1.0, 4.0]])
SWAPPED = {"b": X[:, 1], "a": X[:, 0]}  # the targets at which the loss is 0, in another order than the outputs
HALF = {"loss": "half_squared"}


def losses(net: gp.Network, inputs: Any, target: Any, **more: Any) -> dict[str, float]:
    """The same loss from every door that has one."""
    trace = net.forward(inputs)
    values = {
        "backward": net.backward(trace, **HALF, target=target, **more).value,
        "program.backward": net.program.backward(trace, **HALF, target=target, **more).value,
        "recursion": recursion.backpropagate(net, trace, **HALF, target=target, **more).value,
        "matrixform": matrixform.backpropagate(net, trace, **HALF, target=target, **more).value,
        "value_and_grad": net.program.value_and_grad(net.theta, inputs, target, loss="half_squared", **more)[0],
        "float32": net.program.value_and_grad(
            net.theta.astype(np.float32), inputs, target, loss="half_squared", **more
        )[0],
        "check": float(str(gp.check(net, inputs, **HALF, target=target, **more)).split(" = ")[1].split(",")[0]),
    }
    exact = recursion.forward(net, inputs, numbers=pytest.importorskip("mpmath").mp)
    values["mpmath"] = float(net.backward(exact, **HALF, target=target, **more).value)
    return values


def test_a_frame_of_targets_is_read_by_name_at_every_door(frame: Any) -> None:
    assert set(losses(network(), X, frame(SWAPPED)).values()) == {0.0}


def test_a_frame_of_inputs_is_read_by_name_at_every_door(frame: Any) -> None:
    net, given = network(), frame({"x2": X[:, 1], "x1": X[:, 0]})
    assert set(losses(net, given, X).values()) == {0.0}
    assert (net.program.predict(net.theta, given) == X).all()
    assert (recursion.forward(net, given).o["a"] == X[:, 0]).all()
    assert (matrixform.forward(net, given).o["a"] == X[:, 0]).all()
    assert (net.program.forward(net.theta, given).o["a"] == X[:, 0]).all()


def test_a_frame_of_seeds_is_read_by_name_at_every_door(frame: Any) -> None:
    net = network()
    trace, given = net.forward(X), frame({"b": [10.0, 20.0, 30.0], "a": [1.0, 2.0, 3.0]})
    for g in (
        net.backward(trace, seed=given),
        recursion.backpropagate(net, trace, seed=given),
        matrixform.backpropagate(net, trace, seed=given),
    ):
        assert g.input["x1"].tolist() == [1.0, 2.0, 3.0]
    assert net.program.vjp(net.theta, X, given)[1][:, 0].tolist() == [1.0, 2.0, 3.0]
    seeded = gp.check(net, X, seed=given)
    assert seeded.ok
    assert f"= {X[:, 0] @ [1, 2, 3] + X[:, 1] @ [10, 20, 30]:.6g}" in str(seeded)


def test_columns_that_are_no_nodes_are_refused_with_a_way_to_go_by_position(frame: Any) -> None:
    net, other = network(), frame({"first": X[:, 0], "second": X[:, 1]})
    trace = net.forward(X)
    for door in (
        lambda: net.forward(other),
        lambda: net.backward(trace, **HALF, target=other),
        lambda: net.backward(trace, seed=other),
        lambda: net.program.vjp(net.theta, X, other),
    ):
        with pytest.raises(gp.UnknownNameError, match=r"'first'.*to_numpy\(\)"):
            door()


def test_class_labels_stand_in_the_column_of_their_head(frame: Any) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("z", "identity", {"x": [1.0, 2.0, 3.0]}, size=3)
    inputs, labels = [[0.5], [-1.0]], np.array([2, 0])
    trace = net.forward(inputs)
    by_position = net.backward(trace, loss="softmax_cross_entropy", target=labels)
    by_name = net.backward(trace, loss="softmax_cross_entropy", target=frame({"z": labels}))
    assert by_name.value == by_position.value


def test_a_series_of_one_sample_is_read_by_its_labels(series: Any) -> None:
    net, target = network(), series([2.0, 1.0], index=["b", "a"])
    assert set(losses(net, series([2.0, 1.0], index=["x2", "x1"]), target).values()) == {0.0}
    trace = net.forward([1.0, 2.0])
    assert net.backward(trace, seed=target).input["x1"] == 1.0
    assert net.program.vjp(net.theta, [1.0, 2.0], target)[1].tolist() == [1.0, 2.0]


def test_a_series_over_samples_is_one_column_whatever_its_labels(series: Any) -> None:
    net = gp.Network()
    net.add_input("x")
    net.add_node("y", "identity", {"x": 1.0})
    column = series([1.0, 2.0, 4.0], index=["r", "q", "p"], name="of another name")
    for target in (column, {"y": column}):
        assert set(losses(net, {"x": column}, target, sample_weight=column).values()) == {0.0}
    twice = series([1.0, 2.0, 4.0], index=[7, 7, 7])
    assert net.program.vjp(net.theta, [[1.0]] * 3, twice)[0].tolist() == [7.0]


def positional() -> dict[str, Callable[[gp.Network, Any], Any]]:
    """Doors at which numbers go by their position alone."""

    def set_theta(net: gp.Network, given: Any) -> None:
        net.theta = given

    square = np.array([1.0, 2.0])
    return {
        "theta": set_theta,
        "set_weight": lambda net, given: net.set_weight("x1", "a", given),
        "set_bias": lambda net, given: net.set_bias("a", given),
        "add_node": lambda net, given: net.add_node("c", "tanh", {"x1": given}, size=2),
        "add_edge": lambda net, given: net.add_edge("x1", "b", given),
        "parameter": lambda net, given: net.parameter("p", given),
        "predict": lambda net, given: net.program.predict(given, X),
        "value_and_grad": lambda net, given: net.program.value_and_grad(given, X, X, loss="half_squared"),
        "recursion": lambda net, given: recursion.forward(net, X, given),
        "recursion with mpmath": lambda net, given: recursion.forward(
            net, X, given, pytest.importorskip("mpmath").mp
        ),
        "inputs of a node": lambda net, given: net.forward({"x1": given, "x2": 1.0}),
        "target of a node": lambda net, given: net.backward(net.forward(X[0]), **HALF, target={"a": given}),
        "gradcheck": lambda net, given: gp.gradcheck(lambda w: ((w**2).sum(), 2 * w), given),
        "gradcheck, the gradient": lambda net, given: gp.gradcheck(lambda w: ((w * w).sum(), given), square),
        "compare": lambda net, given: gp.compare(net.backward(net.forward(X), "a"), given),
        "compare, a part": lambda net, given: gp.compare(net.backward(net.forward(X), "a"), {"W1": given}),
        "loss": lambda net, given: gp.loss("half_squared").evaluate(square, given),
        "activation": lambda net, given: gp.activation("softmax").value(given),
        "dense": lambda net, given: gp.dense(net, ["a", "b"], 2, weights=given),
    }  # fmt: skip


@pytest.mark.parametrize("door", positional())
def test_a_frame_is_refused_where_numbers_go_by_position(door: str, frame: Any) -> None:
    with pytest.raises(gp.GraphpropError, match=r"has names.*to_numpy\(\) gives its columns by their position"):
        positional()[door](network(), frame({"b": [1.0, 2.0], "a": [3.0, 4.0]}))


@pytest.mark.parametrize("door", [door for door in positional() if door != "inputs of a node"])
def test_a_series_with_names_is_refused_where_numbers_go_by_position(door: str, series: Any) -> None:
    with pytest.raises(gp.GraphpropError, match=r"has names.*to_numpy\(\) gives its entries by their position"):
        positional()[door](network(), series([1.0, 2.0], index=["b", "a"]))


@pytest.mark.parametrize("rows", [list, tuple, lambda rows: [rows]], ids=["list", "tuple", "list in a list"])
def test_rows_of_a_frame_in_a_list_are_refused(rows: Any, series: Any) -> None:
    """As a loop over the rows of a frame gives them, whose order need not be that of the network."""
    net, given = network(), rows([series([1.0, 2.0], index=["x2", "x1"]), series([3.0, 4.0], index=["x2", "x1"])])
    trace = net.forward(X[:2])
    doors: list[Callable[[], Any]] = [
        lambda: net.forward(given),
        lambda: recursion.forward(net, given),
        lambda: net.program.predict(net.theta, given),
        lambda: net.backward(trace, **HALF, target=given),
        lambda: net.program.value_and_grad(net.theta, X[:2], given, loss="half_squared"),
        lambda: net.program.vjp(net.theta, X[:2], given),
    ]
    for door in doors:
        with pytest.raises(gp.GraphpropError, match=r"has names.*to_numpy\(\) gives its entries by their position"):
            door()


def test_a_series_that_counts_its_entries_is_an_array(series: Any) -> None:
    net = network()
    net.theta = series([3.0, 4.0], index=[17, 5])
    assert net.theta.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("given", ["frame", "mapping"])
def test_sample_weights_have_no_names(given: str, frame: Any) -> None:
    net, weights = network(), {"w": [1.0, 2.0, 3.0]}
    with pytest.raises(gp.GraphpropError, match="sample_weight"):
        net.backward(net.forward(X), **HALF, target=X, sample_weight=frame(weights) if given == "frame" else weights)


def test_a_name_that_is_there_twice_is_refused(series: Any) -> None:
    import pandas

    net = network()
    with pytest.raises(gp.GraphpropError, match="the column 'a' is there twice"):
        net.backward(net.forward(X), **HALF, target=pandas.DataFrame(X, columns=["a", "a"]))
    with pytest.raises(gp.GraphpropError, match="the label 'a' is there twice"):
        net.backward(net.forward(X[0]), **HALF, target=series([1.0, 2.0], index=["a", "a"]))
