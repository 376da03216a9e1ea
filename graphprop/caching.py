"""Where compiled code is kept on disk, and how a function is compiled that is kept there."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import njit
from numba.core import config


def cache_folder() -> Path:
    """Where compiled activations are kept: what NUMBA_CACHE_DIR says, or the user's folder for caches."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen) / "graphprop"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "graphprop"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "graphprop"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphprop"


def compiled(uses: tuple[ModuleType, ...] = (), **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile without the GIL, and keep the result on disk where a folder can be written.

    Not beside the module: an uninstallation would leave it behind there, as a folder that can be imported. numba sees
    when the function's own file has changed; `uses` are the modules whose loops it calls, which it would not see.
    """
    texts = "".join(Path(str(module.__file__)).read_text() for module in uses)
    used = hashlib.sha256(texts.encode()).hexdigest()[:24] if uses else ""

    def decorate(function: Callable[..., Any]) -> Any:
        chosen = config.CACHE_DIR  # type: ignore[attr-defined]
        try:
            config.CACHE_DIR = str(cache_folder() / used)  # type: ignore[attr-defined]
            dispatcher = njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # no folder to write to
            return njit(nogil=True, **options)(function)
        finally:
            config.CACHE_DIR = chosen  # type: ignore[attr-defined]
        for step in "load_overload", "save_overload":
            setattr(dispatcher._cache, step, _forgiving(getattr(dispatcher._cache, step)))
        return dispatcher

    return decorate


def _forgiving(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step of numba's cache that does nothing where what is on disk is damaged or the folder is gone."""

    def run(*arguments: Any) -> Any:
        try:
            return step(*arguments)
        except Exception:
            return None

    return run
