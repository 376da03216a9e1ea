"""The plugin that pytest finds: one fixture. The library is imported when a test asks for it, and not before."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def gradcheck() -> Any:
    """Assert that gradients are right: of a network, or of a function that returns (value, gradient)."""
    from graphprop.testing import assert_gradient_is_right

    return assert_gradient_is_right
