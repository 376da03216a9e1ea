"""The cases of a property are the same in each process, whatever else it has imported."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ODD = 123_457


def drawn() -> list[int]:
    cases: list[int] = []

    @settings(max_examples=200, derandomize=True, database=None)
    @given(st.lists(st.integers(-(10**6), 10**6), min_size=5, max_size=5))
    def take(numbers: list[int]) -> None:
        cases.extend(numbers)

    take()
    return cases


def test_constants_of_an_imported_module_are_no_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn()
    (tmp_path / "odd_numbers.py").write_text("\n".join(f"x{k} = {ODD + k}" for k in range(300)))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("odd_numbers")
    assert drawn() == before
