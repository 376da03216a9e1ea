"""Which of many like cases the quick run tries; the thorough run tries all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings


def one_of(count: int, cases: Iterable[Any]) -> list[Any]:
    """The first of every `count` cases as it is, the others marked as thorough."""
    return [case if i % count == 0 else pytest.param(case, marks=pytest.mark.thorough) for i, case in enumerate(cases)]


def few_each() -> settings:
    """Of a property that is tried for each entry of a table: in the quick run few cases of each, else as of any."""
    return settings(max_examples=5) if settings.get_current_profile_name() == "quick" else settings()
