"""Steps of training, many in one call: the gradient of a batch, the update of theta, and on to the next batch.

What is done with a gradient is the same for every optimiser but for one function of a parameter, its rule, which is
compiled by itself and called by address. Nothing here may be reordered or fused: numpy has to give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, int64, njit, types
from numba.extending import intrinsic

from graphprop.engine.loops import dense, sparse
from graphprop.engine.loops.addresses import WORD, place
from graphprop.engine.loops.caching import COMPILING, INNER, PLAIN, compiled, compiled_callback
from graphprop.engine.loops.dense import learn_dense
from graphprop.engine.loops.places import Record, places_in
from graphprop.engine.loops.sparse import LARGEST, READ, finish, learn, reals, wholes
from graphprop.given.arrays import Array

KINDS = {np.dtype(np.float64): float64, np.dtype(np.float32): float32}
SUMS = 8  # that the squares of a gradient are added up in, side by side


@dataclass(frozen=True, eq=False, kw_only=True)
class Settings(Record):
    """What an adjustment reads besides the numbers of its step; positions are of int64."""

    rule: int  # the address of its machine code
    clip: Array  # the length that a gradient may have, one number
    frozen: Array
    decaying: Array
    scaled: Array
    factors: Array  # of these, in float64
    unread: Array  # what no run would find to be infinite


OF = places_in(Settings, "OF")

# ------------------------------------------------------------------ the rule of an optimiser


@njit(**INNER)
def where(condition, here, there):
    return here if condition else there


@njit(**INNER)
def sign(x):
    return 1.0 if x > 0 else (-1.0 if x < 0 else 0.0)


@njit(**INNER)
def minimum(x, y):
    return min(x, y)


@njit(**INNER)
def maximum(x, y):
    return max(x, y)


OF_NUMBERS = {"where": where, "sign": sign, "minimum": minimum, "maximum": maximum, "sqrt": math.sqrt}
SOURCE = """
def update(theta, gradient, memory, numbers, size, first, last):
    for j in range(first, last):
        {results} = rule(theta[j], gradient[j], {arguments})
"""


@cache
def rule_code(rule: Callable[..., Any], memory: int, numbers: int, dtype: np.dtype[Any]) -> Any:
    """A rule, a function of numpy's arrays, as machine code that goes along them; what it gives takes their place.

    It is compiled for one parameter: theta, gradient, what is remembered of it, and the numbers of a step.
    """
    kept = [f"memory[{i} * size + j]" for i in range(memory)]
    given = [*kept, *(f"numbers[{i}]" for i in range(numbers))]
    source = SOURCE.format(results=", ".join(["theta[j]", *kept, ""]), arguments=", ".join(given))
    alone = FunctionType(rule.__code__, {"__name__": __name__} | OF_NUMBERS, rule.__name__)
    space: dict[str, Any] = {"rule": njit(error_model="numpy", forceinline=True)(alone), "__name__": __name__}
    exec(compile(source, "<update>", "exec"), space)
    pointer = types.CPointer(KINDS[dtype])
    texts = (Path(path).read_text() for path in (__file__, rule.__code__.co_filename))
    kind, text = types.void(*[pointer] * 4, int64, int64, int64), "\0".join((source, *texts))
    with COMPILING:
        return compiled_callback(kind, space["update"], f"update.{rule.__qualname__}", text, **PLAIN)


@intrinsic
def call_rule(typing_context, address, theta, gradient, memory, numbers, size, first, last):
    """Call a rule; all arguments are whole numbers, the first five of them addresses."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [WORD] * 7)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 5, *[types.int64] * 3), generate


# ------------------------------------------------------------------ a step


@compiled(**PLAIN)
def length(gradient):
    """The Euclidean length, which cannot overflow on the way; infinite or nan where a number is."""
    largest = 0.0
    for j in range(len(gradient)):
        largest = max(largest, abs(float64(gradient[j])))
    if largest == 0.0 or not largest <= LARGEST:
        return largest
    sums = np.zeros(SUMS)
    for j in range(len(gradient)):
        x = float64(gradient[j]) / largest
        sums[j % SUMS] += x * x
    total = 0.0
    for part in sums:
        total += part
    return largest * math.sqrt(total)


@compiled(uses=READ, **PLAIN)
def adjust(settings, numbers, theta, gradient, memory, new):
    """The next theta, to `new`, and the next memory, in its place; the gradient is used up.

    numbers[0] times themselves is taken off the weights that decay, numbers[1:] are those of the rule. Gives whether
    what no run reads is finite.
    """
    frozen, decaying, scaled = wholes(settings, OF.frozen), wholes(settings, OF.decaying), wholes(settings, OF.scaled)
    factors, unread, most = reals(settings, OF.factors), wholes(settings, OF.unread), reals(settings, OF.clip)[0]
    size = len(theta)
    for j in frozen:
        gradient[j] = 0
    if most <= LARGEST:
        long = length(gradient)
        if long > most and long <= LARGEST:
            part = gradient.dtype.type(most / long)
            for j in range(size):
                gradient[j] *= part
    for j in range(size):
        new[j] = theta[j]
    if numbers[0] > 0:
        for j in decaying:
            new[j] -= numbers[0] * theta[j]
    places = place(new, 0), place(gradient, 0), place(memory, 0), place(numbers, 1)
    call_rule(settings[OF.rule, 0], *places, size, 0, size)
    for i in range(len(scaled)):
        j = scaled[i]
        new[j] = theta[j] + factors[i] * (new[j] - theta[j])
    for j in frozen:
        new[j] = theta[j]
    fine = True
    for j in unread:
        fine &= abs(new[j]) <= LARGEST
    return fine


# ------------------------------------------------------------------ many


@njit(**INNER)
def gathered(array, rows, first, last, result):
    """Some rows of an array, in `result`; with no numbers of rows, those from the first to the last as they are."""
    if len(rows) == 0:
        return array[first:last]
    for k in range(last - first):
        row = rows[first + k]
        for i in range(array.shape[1]):
            result[k, i] = array[row, i]
    return result


@compiled(uses=(sparse, *READ), **PLAIN)
def descend(
    batch,
    settings,
    numbers,
    inputs,
    input_rows,
    target,
    target_rows,
    share,
    terms,
    gradient,
    state,
    memory,
    both,
    losses,
):
    """A step for each row of numbers, for samples whose numbers stand one behind the other.

    Steps go from one row of `both` to the other and back, the first from row 0. Gives how many were made: it ends
    before one whose loss or gradient is not finite, and where one makes something infinite that no run reads.
    """
    size, lanes, lane = len(terms), int64(1), int64(0)
    x_rows, y_rows = np.empty((size, inputs.shape[1]), inputs.dtype), np.empty((size, target.shape[1]))
    for i in range(len(numbers)):
        theta, counts = both[i % 2], share[i % len(share)]
        x = gathered(inputs, input_rows, i * size, (i + 1) * size, x_rows)
        y = gathered(target, target_rows, i * size, (i + 1) * size, y_rows)
        losses[i], fine = learn(batch, theta, x, y, counts, terms, gradient, state, lane, lanes, lane, int64(size))
        if not fine:
            return i
        if not adjust(settings, numbers[i], theta, gradient, memory, both[1 - i % 2]):
            return i + 1
    return len(numbers)


@compiled(uses=(sparse, dense, *READ), **PLAIN)
def descend_dense(
    program, lanes, shared, settings, numbers, inputs, input_rows, target, target_rows, share, terms, gradient, state,
    memory, both, losses,
):  # fmt: skip
    """The same for a program with dense blocks.

    `program` are the first arguments of `learn_dense`, `shared` the positions of theta that no block has for itself.
    """
    size, bell = len(terms), np.zeros(1, np.int64)
    x_rows, y_rows = np.empty((size, inputs.shape[1]), inputs.dtype), np.empty((size, target.shape[1]))
    sums, counters = np.empty((1, len(shared)), both.dtype), np.empty(dense.COUNTERS, np.int64)
    for i in range(len(numbers)):
        theta, counts = both[i % 2], share[i % len(share)]
        x = gathered(inputs, input_rows, i * size, (i + 1) * size, x_rows)
        y = gathered(target, target_rows, i * size, (i + 1) * size, y_rows)
        sums[:], counters[:] = 0, 0
        done = learn_dense(*program, theta, x, y, counts, terms, sums, gradient, state, lanes, counters, bell)
        if done != dense.DONE:
            return i
        losses[i], fine = finish(terms, sums[0], sums[1:])
        if not fine:
            return i
        for j in range(len(shared)):
            gradient[shared[j]] = sums[0, j]
        if not adjust(settings, numbers[i], theta, gradient, memory, both[1 - i % 2]):
            return i + 1
    return len(numbers)
