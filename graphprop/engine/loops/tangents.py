"""The compiled loops of both sweeps with tangents: how fast every number moves if theta and the inputs do.

Beside a, o and g, the derivatives by o, stand their tangents; state lies in one tile, as in `sparse.py`. Forward,

    a' = b' + sum of (w' o + w o')                          o' = L a'

and backward, with delta = g L, and H the derivative of L by a,

    g' = direct' + sum of (w' delta + w delta')             delta' = g' L + g H a'
    (dJ/dw)' = sum of (delta' o + delta o')                 (dJ/db)' = sum of delta'
"""

import numpy as np
from numba import int64, njit, uint64

from graphprop.engine.loops import dense, linear, sparse
from graphprop.engine.loops.caching import INNER, PLAIN, compiled
from graphprop.engine.loops.dense import OF_BLOCK, OF_RUN, call_gemm
from graphprop.engine.loops.linear import multiply_back, multiply_runs
from graphprop.engine.loops.sparse import (
    AT,
    IN_CACHE,
    LARGEST,
    LEARN,
    PULL,
    READ,
    SUMS,
    VALUE,
    addresses,
    call,
    call_loss,
    carve,
    compare,
    flags,
    masks_fit,
    numbers,
    place,
    read_inputs,
    wholes,
    within,
)


@compiled(uses=READ, fastmath=SUMS, **PLAIN)
def push_nodes(table, bends, pushes, theta, moves, a, o, g, a_moves, o_moves, bent, first, last, added):
    """The nodes `first` to `last` forward: a, a', o and o'. `moves` are the tangents of theta.

    The derivative of an elementwise node is left where its a stood; if it is `bent`, its tangent where a' stood, and
    all of g is written over. With `added` the rows of a and a' hold a part of their sums. Gives the number of the node
    that refuses, at which it ends with the sums of all that go side by side with it, or -1.
    """
    function, stop, pulled = addresses(table, AT.function), numbers(table, AT.stop), flags(table, AT.pulled)
    row_first, column_first = numbers(table, AT.row_first), numbers(table, AT.column_first)
    start, column, position = numbers(table, AT.start), numbers(table, AT.column), numbers(table, AT.position)
    bias, one, stride = wholes(table, AT.bias), uint64(1), uint64(a.shape[2])
    a_flat, o_flat, g_flat = a.reshape(a.size), o.reshape(o.size), g.reshape(g.size)
    da, do = a_moves.reshape(a.size), o_moves.reshape(o.size)
    at_once, zero = max(one, uint64(IN_CACHE) // stride), a.dtype.type(0)
    v = uint64(first)
    while v < uint64(last):
        end_node = min(uint64(stop[v]), uint64(last), v + at_once)
        first_row, last_row = uint64(row_first[v]), uint64(row_first[end_node])
        for r in range(first_row, last_row):
            here, b = r * stride, bias[r]
            x = theta[uint64(b)] if b >= 0 else zero
            y = moves[uint64(b)] if b >= 0 else zero
            if added:
                for k in range(stride):
                    a_flat[here + k] += x
                    da[here + k] += y
            else:
                for k in range(stride):
                    a_flat[here + k] = x
                    da[here + k] = y
            for e in range(uint64(start[r]), uint64(start[r + one])):
                w, move, u = theta[position[e]], moves[position[e]], column[e] * stride
                for k in range(stride):
                    a_flat[here + k] += w * o_flat[u + k]
                    da[here + k] += w * do[u + k] + move * o_flat[u + k]
        c = uint64(column_first[v])
        n, m = last_row - first_row, column_first[end_node] - c
        here, there = first_row * stride, c * stride
        a_here, o_here, g_here = place(a_flat, here), place(o_flat, there), place(g_flat, there)
        if not pulled[v]:
            if bent:
                refused = call(bends[v], uint64(0), a_here, o_here, g_here, n, m, stride)
            else:
                refused = call(function[v], uint64(LEARN), a_here, o_here, uint64(0), n, m, stride)
            if refused:
                return int64(v)
            for k in range(n * stride):
                do[there + k] = a_flat[here + k] * da[here + k]
            if bent:
                for k in range(n * stride):
                    da[here + k] *= g_flat[there + k]
        else:
            if call(function[v], uint64(VALUE), a_here, o_here, uint64(0), n, m, stride):
                return int64(v)
            if m > one:
                if call(pushes[v], place(da, here), a_here, o_here, place(do, there), n, m, stride):
                    return int64(v)
            else:
                slopes = a_flat[here : here + n * stride].copy()
                for k in range(stride):
                    do[there + k] = 1
                if call(function[v], uint64(PULL), place(slopes, 0), o_here, place(do, there), n, m, stride):
                    return int64(v)
                for k in range(stride):
                    do[there + k] = zero
                for i in range(n):
                    for k in range(stride):
                        do[there + k] += slopes[i * stride + k] * da[here + i * stride + k]
        v = end_node
    return -1


@compiled(uses=READ, fastmath=SUMS, **PLAIN)
def pull_nodes(table, bends, theta, moves, a, o, g, a_moves, o_moves, g_moves, gradient, resumed, first, last):
    """The nodes `first` to `last` backward, where `push_nodes` has left what is `bent`: g, g', delta, delta'.

    delta and delta' take the places of a and a'; the tangents of the derivatives by weights and biases are added to
    `gradient`. Rows of g and g' that are not `preset` start at 0. Gives the number of the node that refuses, or -1; if
    it is `resumed` there, the delta and delta' of the last node are there already.
    """
    function = addresses(table, AT.function)
    row_first, column_first = numbers(table, AT.row_first), numbers(table, AT.column_first)
    pulled, preset, bias = flags(table, AT.pulled), flags(table, AT.preset), wholes(table, AT.bias_use)
    child_start, child_row = numbers(table, AT.child_start), numbers(table, AT.child_row)
    child_position, child_use = numbers(table, AT.child_position), numbers(table, AT.child_use)
    one, stride, zero = uint64(1), uint64(a.shape[2]), a.dtype.type(0)
    a_flat, o_flat, g_flat = a.reshape(a.size), o.reshape(o.size), g.reshape(g.size)
    da, do, dg = a_moves.reshape(a.size), o_moves.reshape(o.size), g_moves.reshape(g.size)
    v = uint64(last)
    while v > uint64(first):
        v -= one
        r, c = uint64(row_first[v]), uint64(column_first[v])
        n, m = row_first[v + one] - r, column_first[v + one] - c
        there_already = resumed and v + one == uint64(last)
        if not there_already:
            for i in range(c, c + m):
                here = i * stride
                if not preset[i]:
                    for k in range(stride):
                        g_flat[here + k] = zero
                        dg[here + k] = zero
                for e in range(uint64(child_start[i]), uint64(child_start[i + one])):
                    w, move, s = theta[child_position[e]], moves[child_position[e]], zero
                    u = child_row[e] * stride
                    for k in range(stride):
                        g_flat[here + k] += w * a_flat[u + k]
                        dg[here + k] += w * da[u + k] + move * a_flat[u + k]
                        s += da[u + k] * o_flat[here + k] + a_flat[u + k] * do[here + k]
                    gradient[child_use[e]] += s
        here, there = r * stride, c * stride
        if pulled[v] and not there_already:
            slopes = a_flat[here : here + n * stride].copy()
            a_here, o_here, g_here = place(a_flat, here), place(o_flat, there), place(g_flat, there)
            if call(bends[v], place(da, here), a_here, o_here, g_here, n, m, stride):
                return int64(v)
            if call(function[v], uint64(PULL), place(slopes, 0), o_here, place(dg, there), n, m, stride):
                return int64(v)
            if call(function[v], uint64(PULL), a_here, o_here, g_here, n, m, stride):
                return int64(v)
            for k in range(n * stride):
                da[here + k] += slopes[k]
        for i in range(n):
            this, that, s = (r + i) * stride, (c + i) * stride, zero
            if not pulled[v]:
                for k in range(stride):
                    da[this + k] = da[this + k] * g_flat[that + k] + a_flat[this + k] * dg[that + k]
                    a_flat[this + k] *= g_flat[that + k]
            b = bias[r + i]
            if b >= 0:
                for k in range(stride):
                    s += da[this + k]
                gradient[uint64(b)] += s
    return -1


# ------------------------------------------------------------------ a whole batch


@njit(**INNER)
def push_all(products, theta, moves, inputs, input_moves, memory, bent):
    """All nodes forward; `memory` has a, o and g, and then their tangents. Gives them, and whether all went well."""
    gemm, gemv, table, runs, blocks, bends, pushes = products
    width, half = len(inputs), len(memory) // 2
    a, o, g = carve(table, memory, 0, width)
    da, do, dg = carve(table, memory[half:], 0, width)
    read_inputs(table, inputs, int64(0), o)
    read_inputs(table, input_moves, int64(0), do)
    input_width, fine = int64(0), True  # so that blocks read all from o
    for run in range(len(runs)):
        first, last = runs[run, OF_RUN.first], runs[run, OF_RUN.last]
        block, last_block = runs[run, OF_RUN.block], runs[run, OF_RUN.last_block]
        multiply_runs(gemm, gemv, block, last_block, blocks, False, input_width, theta, inputs, a, o, False)
        multiply_runs(gemm, gemv, block, last_block, blocks, False, input_width, theta, inputs, da, do, False)
        multiply_runs(gemm, gemv, block, last_block, blocks, False, input_width, moves, inputs, da, o, True)
        refused = push_nodes(table, bends, pushes, theta, moves, a, o, g, da, do, bent, first, last, last_block > block)
        if refused >= 0:
            fine = False
            break
    fine = fine and masks_fit(table, theta, a, o)
    return a, o, g, da, do, dg, fine


@compiled(uses=(dense, linear, sparse, *READ), **PLAIN)
def jvp(
    gemm,
    gemv,
    table,
    runs,
    blocks,
    bends,
    pushes,
    goal_column,
    theta,
    moves,
    inputs,
    input_moves,
    memory,
    result,
    tangents,
):
    """The outputs of the goals, to `result`, and their tangents. Gives whether all went well."""
    products, bent = (gemm, gemv, table, runs, blocks, bends, pushes), np.bool_(False)  # a bare False is compiled again
    _, o, _, _, do, _, fine = push_all(products, theta, moves, inputs, input_moves, memory, bent)
    if not fine:
        return False
    for i in range(len(goal_column)):
        for k in range(len(inputs)):
            result[k, i] = o[0, goal_column[i], k]
            tangents[k, i] = do[0, goal_column[i], k]
    return within(result, -LARGEST, LARGEST) and within(tangents, -LARGEST, LARGEST)


@njit(inline="always", **INNER)
def bend_heads(second, head_start, column, target, share, o, do, dg):
    """The tangents of the derivatives of a loss by o, to those columns of dg; see `sparse.compare`."""
    width, widest = o.shape[2], 1
    for head in range(len(head_start) - 1):
        widest = max(widest, head_start[head + 1] - head_start[head])
    z, t, d, unused = np.empty(width * widest), np.empty(width * widest), np.empty(width * widest), np.empty(1)
    for head in range(len(head_start) - 1):
        first, n = head_start[head], head_start[head + 1] - head_start[head]
        for i in range(n):
            for k in range(width):
                z[i * width + k] = o[0, column[first + i], k]
                t[i * width + k] = target[k, first + i]
                d[i * width + k] = do[0, column[first + i], k]
        call_loss(second, place(z, 0), place(t, 0), place(d, 0), place(unused, 0), uint64(width), uint64(n))
        for i in range(n):
            for k in range(width):
                dg[0, column[first + i], k] = d[i * width + k] * share[k if len(share) > 1 else 0]


@njit(inline="always", **INNER)
def add_product(gemm, each, delta, source, added, gradient):
    """The derivatives by the weights of a block: delta times the transpose of what it reads, or that `added`."""
    width, by_column = delta.shape[2], each[OF_BLOCK.down] == 1
    rows, cols = each[OF_BLOCK.rows], each[OF_BLOCK.columns]
    d = place(delta.reshape(delta.size), each[OF_BLOCK.row] * width)
    x = place(source.reshape(source.size), each[OF_BLOCK.column] * width)
    to, row_c = place(gradient, each[OF_BLOCK.first]), max(each[OF_BLOCK.down], each[OF_BLOCK.right])
    one, keep = gradient.dtype.type(1), gradient.dtype.type(1 if added else 0)
    if by_column:
        call_gemm(gemm, False, True, cols, rows, width, one, x, width, d, width, keep, to, row_c)
    else:
        call_gemm(gemm, False, True, rows, cols, width, one, d, width, x, width, keep, to, row_c)


@compiled(uses=(dense, linear, sparse, *READ), **PLAIN)
def hvp(
    gemm,
    gemv,
    table,
    runs,
    blocks,
    bends,
    pushes,
    own_inputs,
    head_start,
    head_column,
    losses,
    limits,
    second,
    theta,
    moves,
    inputs,
    target,
    share,
    memory,
    gradient,
):
    """The tangent of the gradient of a loss, added to `gradient`. Gives whether all went well."""
    products = gemm, gemv, table, runs, blocks, bends, pushes
    input_moves, bent, resumed = np.zeros(inputs.shape, inputs.dtype), np.bool_(True), np.bool_(False)
    a, o, g, da, do, dg, fine = push_all(products, theta, moves, inputs, input_moves, memory, bent)
    if not fine:
        return False
    preset = flags(table, AT.preset)
    for i in range(len(preset)):
        if preset[i]:
            g[0, i] = 0
            dg[0, i] = 0
    heads = len(head_start) - 1
    terms = np.empty((len(inputs), heads))
    those = head_start, head_column, int64(0), heads
    if not compare(losses, limits, np.bool_(False), *those, target, share, int64(0), o, g, terms):
        return False
    bend_heads(second, head_start, head_column, target, share, o, do, dg)
    for run in range(len(runs) - 1, -1, -1):
        first, last = runs[run, OF_RUN.first], runs[run, OF_RUN.last]
        if pull_nodes(table, bends, theta, moves, a, o, g, da, do, dg, gradient, resumed, first, last) >= 0:
            return False
        for i in range(runs[run, OF_RUN.block], runs[run, OF_RUN.last_block]):
            each = blocks[i]
            add_product(gemm, each, da, o, False, gradient)
            add_product(gemm, each, a, do, True, gradient)
            multiply_back(gemm, gemv, each, theta, a, g)
            multiply_back(gemm, gemv, each, theta, da, dg)
            multiply_back(gemm, gemv, each, moves, a, dg)
    first_input = int64(0)
    pull_nodes(table, bends, theta, moves, a, o, g, da, do, dg, gradient, resumed, first_input, own_inputs)
    return within(gradient, -LARGEST, LARGEST)
