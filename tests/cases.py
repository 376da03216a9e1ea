"""Which of many like cases the quick run tries; the thorough run tries all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def one_of(count: int, cases: Iterable[Any]) -> list[Any]:
    """The first of every `count` cases as it is, the others marked as thorough."""
    return [case if i % count == 0 else pytest.param(case, marks=pytest.mark.thorough) for i, case in enumerate(cases)]
