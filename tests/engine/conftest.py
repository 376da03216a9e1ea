"""What the tests of threads leave as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import graphprop as gp


@pytest.fixture
def threads() -> Iterator[int]:
    before = gp.get_threads()
    yield before
    gp.set_threads(before)
