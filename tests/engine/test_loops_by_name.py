"""What compiled loops are given goes by name: of two arrays that are exchanged the types are the same."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphprop as gp
from graphprop.engine import fast_sparse
from graphprop.engine.loops import dense, sparse
from graphprop.engine.loops.places import Record, read_of
from graphprop.engine.machine_form import table_of

LOOPS = {"sparse": sparse, "dense": dense}
BY_ADDRESS = {sparse.forward: sparse.FORWARD, sparse.backward: sparse.BACKWARD}
ENGINE = Path(inspect.getfile(fast_sparse)).parent


def calls() -> Iterator[tuple[str, Any, ast.Call]]:
    """Where Python calls a loop: the file and line, the loop, and the call."""
    for path in sorted(ENGINE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                module = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                called = getattr(LOOPS.get(module), node.func.attr, None)
                if hasattr(called, "py_func") or called in BY_ADDRESS:
                    yield f"{path.stem}, line {node.lineno}", getattr(called, "py_func", called), node


def test_a_loop_is_given_each_array_by_its_own_name() -> None:
    """By keyword, or where that takes too long by variables that are called like what the loop calls them."""
    found = list(calls())
    assert {loop.__name__ for _, loop, _ in found} == {
        *("forward", "backward", "read_inputs", "answer", "learn", "finish", "learn_dense", "answer_dense")
    }
    for where, loop, call in found:
        names = list(inspect.signature(loop).parameters)
        given = [argument.id if isinstance(argument, ast.Name) else "?" for argument in call.args]
        assert given + [str(keyword.arg) for keyword in call.keywords] == names, where


def records() -> list[tuple[Record, Any]]:
    """A record of each kind, with the places that the loops read."""
    net = gp.mlp([3, 4, 2], "tanh", "identity", seed=0)
    gp.compile(net).value_and_grad(net.theta, np.ones((5, 3)), np.ones((5, 2)), loss="half_squared")
    schedule = net.program.schedule
    descent = next(plan for plan in schedule.plans.values() if isinstance(plan, fast_sparse.Descent))
    return [(table_of(schedule, np.dtype(float)), sparse.AT), (descent.batch, sparse.IN_BATCH)]


@pytest.mark.parametrize("which", [0, 1], ids=["table", "batch"])
def test_a_place_of_a_record_is_that_of_the_field_of_its_name(which: int) -> None:
    record, places = records()[which]
    assert len(places) == len(record.places) == len(read_of(type(record)))
    for entry in read_of(type(record)):
        number, given = getattr(places, entry.name), getattr(record, entry.name)
        row = (given.ctypes.data, given.size) if isinstance(given, np.ndarray) else (int(given), 0)
        assert tuple(record.places[number].tolist()) == row, entry.name
        assert type(number) is np.int64


def test_what_is_kept_of_a_loop_is_of_no_other_order_of_fields() -> None:
    texts = [Path(inspect.getfile(module)).read_text() for module in sparse.READ]
    for loop in (sparse.read_inputs, sparse.answer, sparse.learn, dense.learn_dense):
        assert all(text in loop._cache._text for text in texts), loop.py_func.__name__
    for by_address in BY_ADDRESS.values():
        assert all(text in str(by_address.text) for text in texts)


def test_a_loop_that_is_called_by_address_takes_its_arrays_in_the_order_of_the_one_that_stands_for_it() -> None:
    for loop, by_address in BY_ADDRESS.items():
        given = [name.removesuffix("_flat") for name in inspect.signature(by_address.function).parameters]
        axes = ["tiles", "rows", "stride"]
        assert [name for name in given if name not in axes] == list(inspect.signature(loop).parameters)
        assert given[by_address.arrays : by_address.arrays + 3] == axes


def test_what_is_kept_of_a_loop_is_found_by_every_process() -> None:
    """The order of a set of texts is another one in each."""
    script = "from graphprop.engine.loops import sparse; print(repr(sparse.FORWARD.text)[:200])"
    told = {
        subprocess.run(
            [sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(told) == 1
