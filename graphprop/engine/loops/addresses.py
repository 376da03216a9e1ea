"""What compiled loops do with addresses: arrays that are in memory somewhere, and machine code that they call.

Each is a few instructions that are written here as such. Functions of numpy, or of Python that is compiled, would give
the same, and each take as long to compile as a small loop.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

WORD = ir.IntType(64)
CHECKED = bool(config.BOUNDSCHECK)  # type: ignore[attr-defined]  # then every index is
WHOLE = types.int64


def _array(context: Any, builder: Any, kind: Any, data: Any, shape: list[Any], held: Any = None) -> Any:
    """An array in C order at an address, which holds the same memory as another one, or none."""
    number = context.get_data_type(kind.dtype)
    item = ir.Constant(WORD, context.get_abi_sizeof(number))
    strides, count = [item], shape[0]
    for size in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], size))
        count = builder.mul(count, size)
    parts = {
        "data": builder.inttoptr(data, number.as_pointer()),
        "nitems": count,
        "itemsize": item,
        "shape": cgutils.pack_array(builder, shape),
        "strides": cgutils.pack_array(builder, strides),
    }
    if held is not None:
        parts |= {name: part(context, builder, kind, held, name) for name in ("meminfo", "parent")}
    model = context.data_model_manager[kind]
    made = ir.Constant(context.get_value_type(kind), None)
    for name, value in parts.items():
        made = builder.insert_value(made, value, model.get_field_position(name))
    return made


def part(context: Any, builder: Any, kind: Any, array: Any, name: str) -> Any:
    """A part of the record that an array is."""
    return builder.extract_value(array, context.data_model_manager[kind].get_field_position(name))


def entry(context: Any, builder: Any, table: Any, kind: Any, index: Any, column: int) -> Any:
    """A number of a table of places."""
    if isinstance(kind, types.Array):
        table = part(context, builder, kind, table, "data")
    at = builder.add(builder.mul(index, ir.Constant(WORD, 2)), ir.Constant(WORD, column))
    return builder.load(builder.gep(table, [at]))


def array_of(dtype: Any) -> Any:
    """A function (table, i) of loops that gives the array whose place is in that row."""

    @intrinsic
    def found(typing_context: Any, table: Any, i: Any) -> Any:
        kind = types.Array(dtype, 1, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data, size = (entry(context, builder, arguments[0], table, arguments[1], column) for column in (0, 1))
            return _array(context, builder, kind, data, [size])

        return kind(table, WHOLE), generate

    return found


@intrinsic
def entries(typing_context: Any, table: Any, i: Any, dtype: Any) -> Any:
    """The same as a bare pointer, which is compiled in half the time; flags are bytes."""
    number = types.uint8 if dtype.dtype == types.boolean else dtype.dtype
    kind = types.Array(number, 1, "C") if CHECKED else types.CPointer(number)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, size = (entry(context, builder, arguments[0], table, arguments[1], column) for column in (0, 1))
        if CHECKED:
            return _array(context, builder, kind, data, [size])
        return builder.inttoptr(data, context.get_value_type(kind))

    return kind(table, WHOLE, dtype), generate


@intrinsic
def count(typing_context: Any, table: Any, i: Any) -> Any:
    """How many numbers it has."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return entry(context, builder, arguments[0], table, arguments[1], 1)

    return types.uint64(table, WHOLE), generate


@intrinsic
def tile_of(typing_context: Any, memory: Any, first: Any, rows: Any, width: Any) -> Any:
    """The numbers of a flat array from `first` on as an array (1, rows, width)."""
    kind = types.Array(memory.dtype, 3, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = builder.gep(part(context, builder, memory, arguments[0], "data"), [arguments[1]])
        shape = [ir.Constant(WORD, 1), *arguments[2:]]
        made = _array(context, builder, kind, builder.ptrtoint(data, WORD), shape, arguments[0])
        return impl_ret_borrowed(context, builder, kind, made)

    return kind(memory, WHOLE, WHOLE, WHOLE), generate


@intrinsic
def pointer_to(typing_context: Any, array: Any) -> Any:
    """The first number of an array that is held as long as the pointer is used."""
    if array.layout != "C":
        raise TypingError("the numbers lie apart")
    kind = types.CPointer(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return part(context, builder, array, arguments[0], "data")

    return kind(array), generate


@intrinsic
def zero_of(typing_context: Any, numbers: Any) -> Any:
    """The 0 of the numbers at a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(numbers.dtype, 0)

    return numbers.dtype(numbers), generate


@intrinsic
def place(typing_context: Any, numbers: Any, index: Any) -> Any:
    """The address of a number of an array, or behind a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, index = arguments
        if isinstance(numbers, types.Array):
            data = part(context, builder, numbers, data, "data")
        return builder.ptrtoint(builder.gep(data, [index]), WORD)

    return types.uint64(numbers, types.uint64), generate


# ------------------------------------------------------------------ machine code that is called by its address


@intrinsic
def call(typing_context: Any, record: Any, task: Any, a: Any, o: Any, g: Any, n: Any, m: Any, width: Any) -> Any:
    """Call an activation; all arguments are unsigned, `record`, `a`, `o` and `g` addresses.

    A record begins with the address of the machine code, to which it is handed itself: it has the numbers of this one.
    """
    signature = types.uint64(*[types.uint64] * 8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = builder.load(builder.inttoptr(arguments[0], WORD.as_pointer()))
        function = builder.inttoptr(address, ir.FunctionType(WORD, [WORD] * 8).as_pointer())
        return builder.call(function, arguments)

    return signature, generate


@intrinsic
def call_loss(typing_context: Any, address: Any, z: Any, t: Any, g: Any, terms: Any, samples: Any, n: Any) -> Any:
    """Call a loss's machine code; all arguments are unsigned, the first four of them addresses."""
    signature = types.void(*[types.uint64] * 7)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = builder.inttoptr(arguments[0], ir.FunctionType(ir.VoidType(), [WORD] * 6).as_pointer())
        builder.call(function, arguments[1:])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """An address as a pointer, for `carray`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.uint64), generate
