"""An interrupt ends in KeyboardInterrupt, wherever it comes, and leaves everything as it was or as it was to become."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from numba import types
from numba.core.registry import CPUDispatcher

import graphprop as gp
from graphprop import dense_kernels, kernels, sorting
from tests.attack import interrupts


@pytest.mark.parametrize("module", [sorting, kernels, dense_kernels], ids=lambda module: module.__name__)
def test_no_loop_that_python_calls_gives_an_array(module: ModuleType) -> None:
    """To make one, numba runs a line of Python and looks for no error in it: an interrupt there is a SystemError."""
    net = interrupts.dense()
    gp.compile(net).value_and_grad(net.theta, [[0.5] * 60], [[0.0] * 10], loss="half_squared")
    interrupts.sparse().predict([0.5] * (len(interrupts.edges()[0]) + 3000), [[0.5] * 20])
    loops = [loop for loop in vars(module).values() if isinstance(loop, CPUDispatcher) and is_kept(loop)]
    given = [kernel.signature.return_type for loop in loops for kernel in loop.overloads.values()]
    assert given
    for kind in given:
        assert not any(isinstance(part, types.Buffer) for part in (kind, *getattr(kind, "types", ())))


def is_kept(loop: Any) -> bool:
    """Whether it is one that Python calls: only those are kept on disk."""
    return loop._cache.cache_path is not None
