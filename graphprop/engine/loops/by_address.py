"""Loops that are called by the address of their machine code, by Python and by other loops.

So the machine code of a loop is there once. Numba would have a copy in each loop that calls it, optimised again with
it, and another copy for arrays that may not be written to.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, types
from numba.core.extending import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

from graphprop.engine.loops.addresses import WHOLE, WORD, entry, part
from graphprop.engine.loops.caching import COMPILING, compiled_callback, text_of
from graphprop.given.arrays import Array

KINDS = {np.dtype(np.float64): float64, np.dtype(np.float32): float32}


class ByAddress:
    """A loop whose arguments are pointers to some arrays, then the axes of the third of them, then whole numbers.

    The first array is a table of places, the others have numbers of one kind.
    """

    def __init__(
        self, function: Callable[..., Any], arrays: int, whole: int, uses: tuple[Any, ...], **options: Any
    ) -> None:
        self.function, self.arrays, self._whole, self._options = function, arrays, whole, options
        self.text = text_of(function, uses, options)
        self._codes: dict[np.dtype[Any], Any] = {}
        self._call = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * arrays, *[ctypes.c_int64] * (3 + whole))
        self._calls: dict[np.dtype[Any], Any] = {}

    def address(self, dtype: np.dtype[Any]) -> int:
        """Where its machine code for these numbers is."""
        if dtype not in self._codes:
            with COMPILING:
                if dtype not in self._codes:
                    self._codes[dtype] = self._compile(KINDS[dtype])
        return int(self._codes[dtype].address)

    def _compile(self, number: Any) -> Any:
        arrays = [types.CPointer(types.uint64), *[types.CPointer(number)] * (self.arrays - 1)]
        kinds = WHOLE(*arrays, *[types.uint64] * 3, *[WHOLE] * self._whole)
        label = f"{self.function.__module__}.{self.function.__name__}"
        return compiled_callback(kinds, self.function, label, self.text, **self._options)

    def run(self, arrays: tuple[Array, ...], numbers: tuple[int, ...]) -> int:
        """Call it."""
        dtype = arrays[1].dtype
        if dtype not in self._calls:
            self._calls[dtype] = self._call(self.address(dtype))
        result: int = self._calls[dtype](*(array.ctypes.data for array in arrays), *arrays[2].shape, *numbers)
        return result

    def stands_for(self, function: Any, row: Any) -> None:
        """Have loops that call this function of Python call the address in that row of their table."""
        loop = self

        @infer_global(function)
        class Typed(AbstractTemplate):
            key = function

            def generic(self, given: Any, by_name: Any) -> Any:
                arrays, numbers = given[: loop.arrays], given[loop.arrays :]
                fits = all(isinstance(kind, types.Array) and kind.layout == "C" for kind in arrays)
                return signature(WHOLE, *given) if fits and len(numbers) == loop._whole and not by_name else None

        @lower_builtin(function, types.VarArg(types.Any))  # type: ignore[untyped-decorator]
        def lower(context: Any, builder: Any, typed: Any, arguments: Any) -> Any:
            kinds, count = typed.args, self.arrays
            pairs = [*zip(kinds[:count], arguments, strict=False)]
            given = [builder.ptrtoint(part(context, builder, *pair, "data"), WORD) for pair in pairs]
            shape = part(context, builder, *pairs[2], "shape")
            given += [builder.extract_value(shape, axis) for axis in range(3)]
            given += [
                context.cast(builder, x, kind, WHOLE) for kind, x in zip(kinds[count:], arguments[count:], strict=True)
            ]
            address = entry(context, builder, arguments[0], kinds[0], ir.Constant(WORD, int(row)), 0)
            kind = ir.FunctionType(WORD, [WORD] * len(given))
            return builder.call(builder.inttoptr(address, kind.as_pointer()), given)
