"""What is kept on disk for the next process is what was written there, or it is not found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphprop.engine.loops.keeping import read_entry, safe_folder, write_entry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    own = safe_folder()
    assert own is not None
    return own


def test_what_was_written_is_read(folder: Path) -> None:
    write_entry("a", b"")
    write_entry("b", b"code")
    assert (read_entry("a"), read_entry("b"), read_entry("c")) == (b"", b"code", None)
    assert sorted(os.listdir(folder)) == ["a", "b"]


def test_one_changed_bit_anywhere_or_a_missing_byte_makes_an_entry_none(folder: Path) -> None:
    write_entry("a", b"machine code")
    whole = (folder / "a").read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            (folder / "a").write_bytes(damaged)
            assert read_entry("a") is None
        (folder / "a").write_bytes(whole[:place])
        assert read_entry("a") is None


def test_an_entry_under_the_name_of_another_is_none(folder: Path) -> None:
    write_entry("a", b"one")
    (folder / "a").rename(folder / "b")
    assert read_entry("b") is None


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders are protected otherwise")
class TestAFolderThatOthersCanWrite:
    @pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
    def test_is_not_used(self, folder: Path, mode: int) -> None:
        write_entry("a", b"one")
        folder.chmod(mode)
        assert read_entry("a") is None
        write_entry("b", b"two")
        assert os.listdir(folder) == ["a"]

    def test_is_not_used_if_it_is_that_of_another_user(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_entry("a", b"one")
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
        assert read_entry("a") is None

    def test_is_not_used_through_a_link(self, folder: Path, tmp_path: Path) -> None:
        write_entry("a", b"one")
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
        assert read_entry("a") is None

    def test_is_not_made(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new"))
        before = os.umask(0)
        try:
            own = safe_folder()
        finally:
            os.umask(before)
        assert own is not None
        assert own.stat().st_mode & 0o777 == 0o700


def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)


def no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


def unreadable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(Path, "exists", refuse)


@pytest.mark.parametrize("situation", [no_home, no_folder, unreadable])
def test_without_a_folder_nothing_is_kept_and_nothing_is_wrong(
    situation: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    situation(monkeypatch, tmp_path)  # type: ignore[operator]
    write_entry("a", b"one")
    assert read_entry("a") is None


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(fails: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, fails, refuse)
    write_entry("a", b"one")
    assert os.listdir(folder) == []
    assert read_entry("a") is None
