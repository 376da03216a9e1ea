"""How functions are compiled whose machine code is kept for the next process."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import hashlib
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba import njit
from numba.core import config
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.core.typing.templates import Signature

from graphprop.atomic.forking import wait_for
from graphprop.engine.loops.keeping import cache_folder, read_entry, write_entry
from graphprop.errors import NoCompilerError

if config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise NoCompilerError(
        "the engine needs numba's compiler, which NUMBA_DISABLE_JIT turns off; gp.recursion and gp.matrixform need none"
    )
COMPILING = threading.RLock()  # held by who looks whether something is compiled, and compiles it
wait_for(COMPILING, global_compiler_lock)
SETTINGS = "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "ENABLE_AVX", "BOUNDSCHECK", "DEBUGINFO_DEFAULT"  # of numba

# For what loops alone call. It saves a quarter of the time to compile it, and of numba's rewriting, which is of use for
# arithmetic with whole arrays and tests for None, another eighth.
PLAIN: dict[str, Any] = {"no_rewrites": True}
UNWRAPPED: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INNER = UNWRAPPED | PLAIN


def say(text: str) -> None:
    """What happens at the moment, in a line that the next text takes, where somebody reads it."""
    stream = sys.stderr
    with suppress(OSError, ValueError):  # it is closed
        if stream is not None and (stream.isatty() or "ipykernel" in sys.modules):  # a notebook is no terminal
            stream.write(f"\r{'':70}\r{text}")
            stream.flush()


class Kept:
    """The machine code of one function, for each signature a file. It takes the place of numba's own cache.

    That one believes what it finds: one changed byte is a crash. `text` is all that the machine code depends on,
    besides the versions and the machine.
    """

    def __init__(self, label: str, text: str) -> None:
        self._label, self._text = label, text

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def load_overload(self, signature: Any, target: Any) -> Any:
        target.refresh()
        data = read_entry(self._name(signature, target.codegen()))
        with suppress(Exception):  # numba may raise anything
            if data is not None:
                return CompileResult._rebuild(target, *pickle.loads(data))
        what = self._label.rpartition(".")[2].strip("_")
        say(f"graphprop compiles {what}, once on this machine ...")
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        say("")
        if not (result.lifted or result.library.has_dynamic_globals):
            write_entry(self._name(signature, result.library.codegen), dumps(result._reduce()))

    def _name(self, signature: Any, codegen: Any) -> str:
        settings = [str(getattr(config, name, None)) for name in SETTINGS]
        machine = repr(codegen.magic_tuple()), numba.__version__, sys.version, *settings
        key = "\0".join((self._text, repr(signature), *machine))
        return f"{self._label}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.loop"


def text_of(function: Callable[..., Any], uses: tuple[ModuleType, ...], options: dict[str, Any]) -> str | None:
    """All that the machine code of a loop depends on; None if that cannot be read."""
    files = [function.__code__.co_filename, *(str(module.__file__) for module in uses)]
    try:
        return "\0".join([*_in_order(options), *(Path(file).read_text() for file in files)])
    except (OSError, UnicodeDecodeError):  # it is in an archive, for example
        return None


def _in_order(options: dict[str, Any]) -> list[str]:
    """The same in every process; sets of texts are not."""
    return [f"{name}={sorted(x) if isinstance(x, set) else x!r}" for name, x in sorted(options.items())]


def compiled(uses: tuple[ModuleType, ...] = (), **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile without the GIL, and keep the result. `uses` are the modules whose loops it calls."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **options)(function)
        if (text := text_of(function, uses, options)) is not None:
            dispatcher._cache = Kept(f"{function.__module__}.{function.__name__}", text)
        return dispatcher

    return decorate


def compiled_callback(
    signature: Signature, function: Callable[..., Any], label: str, text: str | None, **options: Any
) -> Any:
    """Compile a function to be called by address, and keep the result. `text` is all that it depends on."""
    callback: Any = CFunc(function, (signature.args, signature.return_type), {}, {"error_model": "numpy"} | options)
    if text is not None:
        callback._cache = Kept(label, text)
    callback.compile()
    return callback
