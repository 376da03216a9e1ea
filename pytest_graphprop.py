"""The plugin that pytest finds: one fixture, and failures that show what was found.

The library is imported when a test asks for it, and not before.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest


@pytest.fixture
def gradcheck() -> Any:
    """Assert that gradients are right: of a network, or of a function that returns (value, gradient)."""
    from graphprop.testing import assert_gradient_is_right

    return assert_gradient_is_right


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Generator[None, Any, Any]:
    """Show the whole text of a comparison or report that an `assert` found to be false: pytest itself cuts it."""
    report = yield
    graphprop = sys.modules.get("graphprop")
    if graphprop is not None and call.excinfo is not None and call.excinfo.errisinstance(AssertionError):
        trace = call.excinfo.tb
        while trace.tb_next is not None:
            trace = trace.tb_next
        found = {id(x): x for name, x in trace.tb_frame.f_locals.items() if name.startswith("@py_assert")}
        kinds = graphprop.Comparison, graphprop.Report
        report.sections += [(f"graphprop: {x!r}", str(x)) for x in found.values() if isinstance(x, kinds) and not x]
    return report
