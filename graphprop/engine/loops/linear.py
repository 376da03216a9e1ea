"""The compiled loops of a batch that is run forward once and pulled back often, in one tile.

What the forward loop leaves, slopes and outputs, stays as it is: each pull works on a copy.
"""

import numpy as np
from numba import int64, njit

from graphprop.engine.loops import dense, sparse
from graphprop.engine.loops.caching import INNER, PLAIN, compiled
from graphprop.engine.loops.dense import (
    OF_BLOCK,
    OF_RUN,
    Products,
    call_gemm,
    call_gemv,
    multiply_backward,
    multiply_forward,
)
from graphprop.engine.loops.sparse import (
    AT,
    LARGEST,
    LEARN,
    READ,
    addresses,
    backward,
    carve,
    flags,
    forward,
    hand_out,
    masks_fit,
    numbers,
    place,
    read_inputs,
    within,
)


@njit(inline="always", **INNER)
def multiply_runs(gemm, gemv, block, last_block, blocks, direct, input_width, theta, inputs, a, o, added):
    """The rows of some blocks, which are those of one run: a = W o, or a + W o if it is `added`."""
    width, columns = o.shape[2], inputs.shape[1]
    a_flat, o_flat = a.reshape(a.size), o.reshape(o.size)
    for i in range(block, last_block):
        each, flip = blocks[i], direct and blocks[i, OF_BLOCK.column] < input_width
        if flip:
            source, step = place(inputs, each[OF_BLOCK.column]), columns
        else:
            source, step = place(o_flat, each[OF_BLOCK.column] * width), width
        to = each[OF_BLOCK.row] * width
        multiply_forward(gemm, gemv, each, theta, source, step, flip, a_flat, to, width, added or i > block)


@njit(inline="always", **INNER)
def multiply_back(gemm, gemv, each, theta, a, g):
    """g += W^T delta, with W the weights of a block."""
    width, by_column = a.shape[2], each[OF_BLOCK.down] == 1
    a_flat, g_flat, one = a.reshape(a.size), g.reshape(g.size), theta.dtype.type(1)
    rows, cols = each[OF_BLOCK.rows], each[OF_BLOCK.columns]
    row_w, w = max(each[OF_BLOCK.down], each[OF_BLOCK.right]), place(theta, each[OF_BLOCK.first])
    delta, to = place(a_flat, each[OF_BLOCK.row] * width), place(g_flat, each[OF_BLOCK.column] * width)
    if width > 1:
        call_gemm(gemm, not by_column, False, cols, width, rows, one, w, row_w, delta, width, one, to, width)
    else:
        m, n = (cols, rows) if by_column else (rows, cols)
        call_gemv(gemv, not by_column, m, n, one, w, row_w, delta, width, one, to, width)


@compiled(uses=(dense, sparse, *READ), **PLAIN)
def push(gemm, gemv, table, runs, blocks, direct, goal_column, theta, inputs, memory, result):
    """All samples forward: slopes and outputs to `memory`, the outputs of the goals to `result`.

    Gives whether all went well.
    """
    width, input_width = len(inputs), len(numbers(table, AT.input_column))
    a, o, _ = carve(table, memory, 0, width)
    if not direct:
        read_inputs(table, inputs, int64(0), o)
    for run in range(len(runs)):
        first, last = runs[run, OF_RUN.first], runs[run, OF_RUN.last]
        block, last_block = runs[run, OF_RUN.block], runs[run, OF_RUN.last_block]
        multiply_runs(gemm, gemv, block, last_block, blocks, direct, input_width, theta, inputs, a, o, False)
        if forward(table, theta, a, o, LEARN, first, last, last_block > block) >= 0:
            return False
    if not masks_fit(table, theta, a, o):
        return False
    return hand_out(table, o, goal_column, int64(0), len(goal_column), int64(0), width, result)


@njit(inline="always", **INNER)
def run_back(products, goal_column, theta, inputs, o, seeds, memory, gradient, by_inputs):
    """From the derivatives by the goals to those by theta and by the inputs; `memory` begins with the slopes."""
    gemm, gemv, table = products.gemm, products.gemv, products.table
    runs, blocks, direct = products.runs, products.blocks, products.direct
    width, first_input = len(inputs), int64(0)  # a bare 0 is compiled again
    a, _, g = carve(table, memory, 0, width)
    preset = flags(table, AT.preset)
    for i in range(len(preset)):
        if preset[i] or width == 1:
            g[0, i] = 0
    for i in range(len(goal_column)):
        for k in range(width):
            g[0, goal_column[i], k] = seeds[k, i]
    input_column = numbers(table, AT.input_column)
    lanes, fine = np.array([0, width]), True
    for run in range(len(runs) - 1, -1, -1):
        first, last = runs[run, OF_RUN.first], runs[run, OF_RUN.last]
        if backward(table, theta, a, o, g, gradient, False, False, first, last) >= 0:
            return False
        for i in range(runs[run, OF_RUN.block], runs[run, OF_RUN.last_block]):
            each = blocks[i]
            multiply_back(gemm, gemv, each, theta, a, g)
            of_inputs, rows = direct and each[OF_BLOCK.column] < len(input_column), each[OF_BLOCK.rows]
            fine &= multiply_backward(gemm, table, each, first_input, rows, of_inputs, inputs, memory, lanes, gradient)
    if backward(table, theta, a, o, g, gradient, False, False, first_input, products.own_inputs) >= 0:
        return False
    for i in range(len(input_column)):
        for k in range(width):
            by_inputs[k, input_column[i]] += g[0, i, k]  # an input may be there several times
    return within(gradient, -LARGEST, LARGEST) and within(by_inputs, -LARGEST, LARGEST)


@compiled(uses=(dense, sparse, *READ), **PLAIN)
def pull(
    gemm,
    gemv,
    table,
    runs,
    blocks,
    own_inputs,
    direct,
    goal_column,
    theta,
    inputs,
    kept,
    seeds,
    memory,
    gradient,
    by_inputs,
):
    """All samples backward, from the derivatives by the goals that are in `seeds`.

    `kept` is what `push` left. Gives whether all went well.
    """
    width = len(inputs)
    slopes, o, _ = carve(table, kept, 0, width)
    a, read_by_blocks, _ = carve(table, memory, 0, width)
    a[:] = slopes
    if len(blocks) > 0:
        read_by_blocks[:] = o
    products = Products(
        gemm=gemm, gemv=gemv, table=table, runs=runs, blocks=blocks, own_inputs=own_inputs, direct=direct
    )
    return run_back(products, goal_column, theta, inputs, o, seeds, memory, gradient, by_inputs)


@compiled(uses=(dense, sparse, *READ), **PLAIN)
def push_and_pull(
    gemm, gemv, table, runs, blocks, own_inputs, direct, goal_column, theta, inputs, seeds, gradient, by_inputs
):
    """All samples forward and backward at once, from the derivatives by the goals; gives whether all went well.

    What is read is checked here, and that the sum of seeds times outputs is a number.
    """
    if not (within(inputs, -LARGEST, LARGEST) and within(seeds, -LARGEST, LARGEST)):
        return False
    nodes = len(addresses(table, AT.function))
    rows, columns = int64(numbers(table, AT.row_first)[nodes]), int64(numbers(table, AT.column_first)[nodes])
    memory = np.empty(len(inputs) * (rows + 2 * columns), theta.dtype)
    outputs = np.empty((len(inputs), len(goal_column)), theta.dtype)
    if not push(gemm, gemv, table, runs, blocks, direct, goal_column, theta, inputs, memory, outputs):
        return False
    total = 0.0
    for k in range(len(seeds)):
        for i in range(len(goal_column)):
            total += seeds[k, i] * outputs[k, i] if seeds[k, i] != 0.0 else 0.0
    if not abs(total) <= LARGEST:
        return False
    products = Products(
        gemm=gemm, gemv=gemv, table=table, runs=runs, blocks=blocks, own_inputs=own_inputs, direct=direct
    )
    _, o, _ = carve(table, memory, 0, len(inputs))
    gradient[:], by_inputs[:] = 0.0, 0.0
    return run_back(products, goal_column, theta, inputs, o, seeds, memory, gradient, by_inputs)
