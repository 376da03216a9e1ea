"""The matrix products of the BLAS that numpy brings along, by the address of their machine code.

So a compiled loop can call them without Python, and without the lock of its interpreter. Where they are not found, as
on systems whose BLAS has other names, numpy does the products.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from graphprop.atomic.forking import LOADING

PREFIXES = "scipy_", ""
LONG = ("64_",)  # suffixes of functions whose whole numbers have 64 bits
SUFFIXES = *LONG, "", "_64"


@cache
def blas_addresses(dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """Where cblas_gemm and cblas_gemv for numbers of this kind are; None if they are not found."""
    with LOADING:
        from threadpoolctl import ThreadpoolController

    letter = {np.dtype(np.float64): "d", np.dtype(np.float32): "s"}[dtype]
    for library in ThreadpoolController().select(internal_api="openblas").lib_controllers:
        found = [find_symbol(library.dynlib, f"cblas_{letter}{what}", LONG) for what in ("gemm", "gemv")]
        if None not in found:
            gemm, gemv = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in found)
            return gemm, gemv
    return None


def find_symbol(library: ctypes.CDLL, name: str, suffixes: tuple[str, ...] = SUFFIXES) -> Any:
    """A function of OpenBLAS, whatever was added to its name when it was built; None if there is none."""
    for prefix in PREFIXES:
        for suffix in suffixes:
            if (found := getattr(library, prefix + name + suffix, None)) is not None:
                return found
    return None
