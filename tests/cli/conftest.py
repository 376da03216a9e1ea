"""A network in a file, and stand-ins for what the commands call."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphprop as gp
from tests.cli.cli_cases import (
    Stub,
    small,
)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "net.json"
    small().save(path)
    return str(path)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = Stub()
    for name in ("draw", "check", "explain", "paths"):
        monkeypatch.setattr(gp, name, stub, raising=False)
    return stub
