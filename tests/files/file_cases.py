"""Networks and activations for the tests of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp
from tests.network_files import OWN


def bits(values: Any) -> list[int]:
    return np.asarray(values, dtype=float).view(np.uint64).ravel().tolist()


def assert_same(one: gp.Network, other: gp.Network) -> None:
    assert other.same_structure(one)
    assert one.same_structure(other)
    assert bits(other.theta) == bits(one.theta)
    assert other.trainable.tolist() == one.trainable.tolist()
    assert other.name == one.name
    assert list(map(repr, other.nodes)) == list(map(repr, one.nodes))
    assert [other.parents(v) for v in one.nodes] == [one.parents(v) for v in one.nodes]
    assert other.outputs == one.outputs
    assert other.layout.outputs_declared == one.layout.outputs_declared
    assert other.layout.order.tolist() == one.layout.order.tolist()
    assert [repr(other.activation(v)) for v in one.nodes] == [repr(one.activation(v)) for v in one.nodes]
    named = {name: p.positions.tolist() for name, p in one.parameters.items()}
    assert {name: p.positions.tolist() for name, p in other.parameters.items()} == named
    assert set(other.graph.edges) == set(one.graph.edges)
    assert dict(other.graph.nodes(data=True)) == dict(one.graph.nodes(data=True))


def again(net: gp.Network, folder: Path) -> gp.Network:
    net.save(folder / "net.json")
    return gp.load(folder / "net.json", activations=OWN)
