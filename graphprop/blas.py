"""The matrix products of the BLAS that numpy brings along, by the address of their machine code.

So a compiled loop can call them without Python, and without the lock of its interpreter. Where they are not found, as
on systems whose BLAS has other names, numpy does the products.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

PREFIXES = "scipy_", ""
SUFFIX = "64_"  # says that its whole numbers have 64 bits


@cache
def blas_addresses(dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """Where cblas_gemm and cblas_gemv for numbers of this kind are; None if they are not found."""
    from threadpoolctl import ThreadpoolController

    letter = {np.dtype(np.float64): "d", np.dtype(np.float32): "s"}[dtype]
    for library in ThreadpoolController().select(internal_api="openblas").lib_controllers:
        for prefix in PREFIXES:
            names = [f"{prefix}cblas_{letter}{what}{SUFFIX}" for what in ("gemm", "gemv")]
            if all(hasattr(library.dynlib, name) for name in names):
                found = [ctypes.cast(getattr(library.dynlib, name), ctypes.c_void_p).value or 0 for name in names]
                return found[0], found[1]
    return None
