"""The compiled loops: the two sweeps over a program's arrays, and an exponential that the compiler can vectorise.

State lies in tiles of the batch. A tile holds `width` samples; in it every pre-activation is one row of `a` and every
output one row of `o`, the samples side by side, so the inner loops run along them. Activations are called by the
address of their machine code. Offsets are unsigned (a signed index is checked for wrapping around), and each
pass over a row takes four of its weights, since loading and storing the row costs more than multiplying.
Nothing is checked here: indices come from a program, and numbers were read before.
"""

import math

import numpy as np
from llvmlite import ir
from numba import carray, int64, njit, types, uint64
from numba.extending import intrinsic

from graphprop.caching import compiled

# sums may be reordered (they run along vectors) and multiplications fused; infinities and nan keep their meaning
SUMS = {"contract", "reassoc", "nsz"}
VALUE, LEARN, PULL = 0, 1, 2  # what an activation is called for

# The arrays of a program come as one table of their addresses and lengths: one argument costs less than twenty.
FUNCTION, ROW_FIRST, COLUMN_FIRST, START, COLUMN, POSITION, BIAS = range(7)
PULLED, PRESET, CHILD_START, CHILD_ROW, CHILD_POSITION, USE, BIAS_USE, INPUT_COLUMN = range(7, 15)


@intrinsic
def call(typing_context, address, task, a, o, g, n, m, width):
    """Call an activation's machine code; all arguments are unsigned, `a`, `o` and `g` addresses."""
    signature = types.uint64(*[types.uint64] * 8)

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word] * 7).as_pointer())
        return builder.call(function, arguments[1:])

    return signature, generate


@intrinsic
def call_loss(typing_context, address, z, t, g, n, share):
    """Call a loss's machine code: its share of the value; the derivatives by z are written to g."""
    signature = types.float64(*[types.uint64] * 5, types.float64)

    def generate(context, builder, signature, arguments):
        word, number = ir.IntType(64), ir.DoubleType()
        function = builder.inttoptr(arguments[0], ir.FunctionType(number, [word] * 4 + [number]).as_pointer())
        return builder.call(function, arguments[1:])

    return signature, generate


@intrinsic
def pointer(typing_context, address):
    """An address as a pointer, for `carray`."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.uint64), generate


@njit(forceinline=True)
def addresses(table, i):
    return carray(pointer(table[i, 0]), int64(table[i, 1]), np.uint64)


@njit(forceinline=True)
def numbers(table, i):
    return carray(pointer(table[i, 0]), int64(table[i, 1]), np.uint32)


@njit(forceinline=True)
def positions(table, i):
    """Numbers of which -1 says that there is none."""
    return carray(pointer(table[i, 0]), int64(table[i, 1]), np.int64)


@njit(forceinline=True)
def flags(table, i):
    return carray(pointer(table[i, 0]), int64(table[i, 1]), np.bool_)


@intrinsic
def power_of_two(typing_context, k):
    """2^k for -1022 <= k <= 1023, by its bits."""

    def generate(context, builder, signature, arguments):
        exponent = builder.add(arguments[0], ir.Constant(ir.IntType(64), 1023))
        return builder.bitcast(builder.shl(exponent, ir.Constant(ir.IntType(64), 52)), ir.DoubleType())

    return types.float64(types.int64), generate


@njit(fastmath={"contract"}, forceinline=True)
def _reduced(x):
    """k and expm1(r) with x = k log 2 + r, |r| <= log(2) / 2; log 2 in two parts, the first times k exact."""
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10
    # the Taylor series to r^13 / 13!, whose rest is below 2^-57
    p = 1.6059043836821613e-10
    p = p * r + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 0.0001984126984126984
    p = p * r + 0.001388888888888889
    p = p * r + 0.008333333333333333
    p = p * r + 0.041666666666666664
    p = p * r + 0.16666666666666666
    p = p * r + 0.5
    return k, r + r * r * p


@njit(fastmath={"contract"}, forceinline=True)
def exp(x):
    """e^x within 2 units in the last place; 0 and inf beyond the range, nan for nan."""
    k, p = _reduced(min(max(x, -746.0), 710.0))
    half = int(k) >> 1  # 2^k in two factors: k itself may be out of the range of exponents
    y = (1.0 + p) * power_of_two(half) * power_of_two(int(k) - half)
    return y if x == x else x


@njit(fastmath={"contract"}, forceinline=True)
def expm1(x):
    """e^x - 1, also for small x."""
    k, p = _reduced(min(max(x, -746.0), 710.0))
    half = int(k) >> 1
    lead, rest = power_of_two(half), power_of_two(int(k) - half)
    y = p * lead * rest + (lead * rest - 1.0) if k < 64 else (1.0 + p) * lead * rest  # 2^1024 is no number
    return y if x == x else x


@njit(fastmath={"contract"}, forceinline=True)
def tanh(x):
    e = expm1(-2.0 * abs(x))
    return math.copysign(e / (2.0 + e), x)


FAR = 1e6  # sin and cos are right up to here; k stays below 2^20


@njit(fastmath={"contract"}, forceinline=True)
def _turned(x):
    """The whole k next to x / (pi / 2), and sine and cosine of the rest r = x - k pi / 2."""
    near = min(max(x, -FAR), FAR)
    k = math.floor(near * 0.6366197723675814 + 0.5)
    # pi / 2 in three parts, the first two of 33 bits, so that k times each is exact
    r = ((near - k * 1.5707963267341256) - k * 6.077100506303966e-11) - k * 2.0222662487959506e-21
    t = r * r
    # the Taylor series to r^17 / 17! and r^18 / 18!
    s = 2.8114572543455206e-15
    s = s * t - 7.647163731819816e-13
    s = s * t + 1.6059043836821613e-10
    s = s * t - 2.505210838544172e-08
    s = s * t + 2.7557319223985893e-06
    s = s * t - 0.0001984126984126984
    s = s * t + 0.008333333333333333
    s = s * t - 0.16666666666666666
    c = -1.5619206968586225e-16
    c = c * t + 4.779477332387385e-14
    c = c * t - 1.1470745597729725e-11
    c = c * t + 2.08767569878681e-09
    c = c * t - 2.755731922398589e-07
    c = c * t + 2.48015873015873e-05
    c = c * t - 0.001388888888888889
    c = c * t + 0.041666666666666664
    c = c * t - 0.5
    return int(k), r + r * t * s if r != 0.0 else r, 1.0 + t * c  # the sine of -0 is -0


@njit(fastmath={"contract"}, forceinline=True)
def sin(x):
    """sin x where |x| <= FAR, within 2 units in the last place; nan for nan."""
    k, s, c = _turned(x)
    y = c if k & 1 else s
    y = -y if k & 2 else y
    return y if x == x else x


@njit(fastmath={"contract"}, forceinline=True)
def cos(x):
    k, s, c = _turned(x)
    y = s if k & 1 else c
    y = -y if (k + 1) & 2 else y
    return y if x == x else x


@compiled(fastmath=SUMS)
def forward(table, theta, a, o, task, first, last, added):
    """The nodes `first` to `last`, parents before children: a = b + sum of w o, then o = f(a).

    a and o are (tiles, rows, width). To LEARN is to leave the derivative where an elementwise a stood. With `added`
    the rows of a hold a part of their sums already. Gives the number of the node that refuses its a, at which
    it ends, or -1.
    """
    function, row_first, column_first = (
        addresses(table, FUNCTION),
        numbers(table, ROW_FIRST),
        numbers(table, COLUMN_FIRST),
    )
    start, column, position = numbers(table, START), numbers(table, COLUMN), numbers(table, POSITION)
    bias = positions(table, BIAS)
    one, four = uint64(1), uint64(4)
    tiles, rows, width = uint64(a.shape[0]), uint64(a.shape[1]), uint64(a.shape[2])
    columns = uint64(o.shape[1])
    a_flat, o_flat = a.reshape(a.size), o.reshape(o.size)
    a_address, o_address, item = uint64(a.ctypes.data), uint64(o.ctypes.data), uint64(a.itemsize)
    for tile in range(tiles):
        a_tile, o_tile = tile * rows * width, tile * columns * width
        for v in range(uint64(first), uint64(last)):
            for r in range(uint64(row_first[v]), uint64(row_first[v + one])):
                e, end = uint64(start[r]), uint64(start[r + one])
                here = a_tile + r * width
                b = bias[r]
                x = theta[uint64(b)] if b >= 0 else a.dtype.type(0)
                if width == one:
                    x += a_flat[here] if added else a.dtype.type(0)
                    y = a.dtype.type(0)
                    while e + one < end:
                        x += theta[position[e]] * o_flat[o_tile + column[e]]
                        y += theta[position[e + one]] * o_flat[o_tile + column[e + one]]
                        e += uint64(2)
                    if e < end:
                        x += theta[position[e]] * o_flat[o_tile + column[e]]
                    a_flat[here] = x + y
                    continue
                if added:
                    for k in range(width):
                        a_flat[here + k] += x
                else:
                    for k in range(width):
                        a_flat[here + k] = x
                while e + four <= end:
                    e1, e2, e3 = e + one, e + uint64(2), e + uint64(3)
                    w0, w1, w2, w3 = theta[position[e]], theta[position[e1]], theta[position[e2]], theta[position[e3]]
                    u0, u1 = o_tile + column[e] * width, o_tile + column[e1] * width
                    u2, u3 = o_tile + column[e2] * width, o_tile + column[e3] * width
                    for k in range(width):
                        s = w0 * o_flat[u0 + k] + w1 * o_flat[u1 + k] + w2 * o_flat[u2 + k] + w3 * o_flat[u3 + k]
                        a_flat[here + k] += s
                    e += four
                while e < end:
                    w0, u0 = theta[position[e]], o_tile + column[e] * width
                    for k in range(width):
                        a_flat[here + k] += w0 * o_flat[u0 + k]
                    e += one
            r, c = uint64(row_first[v]), uint64(column_first[v])
            n, m = row_first[v + one] - r, column_first[v + one] - c
            a_here, o_here = a_address + (a_tile + r * width) * item, o_address + (o_tile + c * width) * item
            if call(function[v], uint64(task), a_here, o_here, uint64(0), n, m, width):
                return int64(v)
    return -1


@compiled(fastmath=SUMS)
def backward(table, theta, a, o, g, gradient, first, last):
    """The nodes `first` to `last`, children before parents: g = direct + sum of w delta, then delta = g L.

    g are the derivatives with respect to o. `a` holds the slopes of elementwise nodes and what `pulled` nodes need;
    delta takes its place. The derivative of a weight is added to `gradient[use]`, of a bias to `gradient[bias]`.
    Rows of g that are not `preset` start at 0. Nodes without pre-activations are inputs. Gives the number of the node
    whose derivative failed, at which it ends, or -1.
    """
    function, row_first, column_first = (
        addresses(table, FUNCTION),
        numbers(table, ROW_FIRST),
        numbers(table, COLUMN_FIRST),
    )
    pulled, preset, start = flags(table, PULLED), flags(table, PRESET), numbers(table, CHILD_START)
    row, position = numbers(table, CHILD_ROW), numbers(table, CHILD_POSITION)
    use, bias = numbers(table, USE), positions(table, BIAS_USE)
    one, four = uint64(1), uint64(4)
    tiles, rows, width = uint64(a.shape[0]), uint64(a.shape[1]), uint64(a.shape[2])
    columns = uint64(o.shape[1])
    a_flat, o_flat, g_flat = a.reshape(a.size), o.reshape(o.size), g.reshape(g.size)
    a_address, o_address, item = uint64(a.ctypes.data), uint64(o.ctypes.data), uint64(a.itemsize)
    g_address = uint64(g.ctypes.data)
    zero = a.dtype.type(0)
    for tile in range(tiles):
        a_tile, o_tile = tile * rows * width, tile * columns * width
        v = uint64(last)
        while v > uint64(first):
            v -= one
            for c in range(uint64(column_first[v]), uint64(column_first[v + one])):
                e, end = uint64(start[c]), uint64(start[c + one])
                here = o_tile + c * width
                if width == one:
                    x, s = o_flat[here], g_flat[here] if preset[c] else zero
                    while e < end:
                        d = a_flat[a_tile + row[e]]
                        s += theta[position[e]] * d
                        gradient[use[e]] += d * x
                        e += one
                    g_flat[here] = s
                    continue
                if not preset[c]:
                    for k in range(width):
                        g_flat[here + k] = zero
                while e + four <= end:
                    e1, e2, e3 = e + one, e + uint64(2), e + uint64(3)
                    w0, w1, w2, w3 = theta[position[e]], theta[position[e1]], theta[position[e2]], theta[position[e3]]
                    r0, r1 = a_tile + row[e] * width, a_tile + row[e1] * width
                    r2, r3 = a_tile + row[e2] * width, a_tile + row[e3] * width
                    s0, s1, s2, s3 = zero, zero, zero, zero
                    for k in range(width):
                        d0, d1, d2, d3 = a_flat[r0 + k], a_flat[r1 + k], a_flat[r2 + k], a_flat[r3 + k]
                        x = o_flat[here + k]
                        g_flat[here + k] += w0 * d0 + w1 * d1 + w2 * d2 + w3 * d3
                        s0 += d0 * x
                        s1 += d1 * x
                        s2 += d2 * x
                        s3 += d3 * x
                    gradient[use[e]] += s0
                    gradient[use[e1]] += s1
                    gradient[use[e2]] += s2
                    gradient[use[e3]] += s3
                    e += four
                while e < end:
                    w0, r0, s0 = theta[position[e]], a_tile + row[e] * width, zero
                    for k in range(width):
                        d0 = a_flat[r0 + k]
                        g_flat[here + k] += w0 * d0
                        s0 += d0 * o_flat[here + k]
                    gradient[use[e]] += s0
                    e += one
            r, c = uint64(row_first[v]), uint64(column_first[v])
            n, m = row_first[v + one] - r, column_first[v + one] - c
            refused = uint64(0)
            if pulled[v]:
                a_here, o_here = a_address + (a_tile + r * width) * item, o_address + (o_tile + c * width) * item
                g_here = g_address + (o_tile + c * width) * item
                refused = call(function[v], uint64(PULL), a_here, o_here, g_here, n, m, width)
            if refused:
                return int64(v)
            for i in range(n):
                here, there, s = a_tile + (r + i) * width, o_tile + (c + i) * width, zero
                if not pulled[v]:
                    for k in range(width):
                        a_flat[here + k] *= g_flat[there + k]
                b = bias[r + i]
                if b >= 0:
                    for k in range(width):
                        s += a_flat[here + k]
                    gradient[uint64(b)] += s
    return -1


@compiled()
def compare(loss, head_start, column, target, share, o, g, terms):
    """The loss of each head of each sample, to `terms`, and its derivatives by what it reads, to g.

    Head h reads the columns column[head_start[h] : head_start[h + 1]] and the same entries of a row of `target`.
    `share` has what each sample counts for, or one number for all.
    """
    samples, heads, width = len(terms), len(head_start) - 1, o.shape[2]
    z, h = np.empty(len(column)), np.empty(len(column))
    for sample in range(samples):
        tile, k = sample // width, sample % width
        for i in range(len(column)):
            z[i] = o[tile, column[i], k]
        for head in range(heads):
            first, last = head_start[head], head_start[head + 1]
            offset = uint64(8 * first)
            terms[sample, head] = call_loss(
                loss,
                uint64(z.ctypes.data) + offset,
                uint64(target.ctypes.data) + uint64(8 * sample * len(column)) + offset,
                uint64(h.ctypes.data) + offset,
                uint64(last - first),
                share[sample if len(share) > 1 else 0],
            )
        for i in range(len(column)):
            g[tile, column[i], k] = h[i]
    for sample in range(samples, o.shape[0] * width):
        for i in range(len(column)):
            g[sample // width, column[i], sample % width] = 0


@compiled()
def read_inputs(table, inputs, o):
    """Write rows of inputs to the columns of o that hold them; what pads the last tile repeats its last sample."""
    input_column, width = numbers(table, INPUT_COLUMN), o.shape[2]
    for tile in range(o.shape[0]):
        for i in range(len(input_column)):
            column = input_column[i]
            for k in range(width):
                o[tile, i, k] = inputs[min(tile * width + k, len(inputs) - 1), column]


@compiled()
def learn(
    table,
    theta,
    inputs,
    loss,
    head_start,
    head_column,
    target,
    share,
    terms,
    gradient,
    memory,
    first,
    tiles,
    width,
    part,
    step,
):
    """All in one for a program without dense blocks: parts number `part`, `part + step` and so on of a batch.

    A part is some tiles; each is read, run forward, compared and run backward, in the same memory.
    """
    last, samples = len(addresses(table, FUNCTION)), len(inputs)
    rows, columns = int64(numbers(table, ROW_FIRST)[last]), int64(numbers(table, COLUMN_FIRST)[last])
    o_begin, g_begin = tiles * width * rows, tiles * width * (rows + columns)
    for begin in range(part * tiles * width, samples, step * tiles * width):
        end = min(samples, begin + tiles * width)
        used = (end - begin + width - 1) // width
        a = memory[: used * rows * width].reshape(used, rows, width)
        o = memory[o_begin : o_begin + used * columns * width].reshape(used, columns, width)
        g = memory[g_begin : g_begin + used * columns * width].reshape(used, columns, width)
        read_inputs(table, inputs[begin:end], o)
        refused = forward(table, theta, a, o, LEARN, first, last, False)
        if refused >= 0:
            return refused
        own = share[begin:end] if len(share) > 1 else share
        compare(loss, head_start, head_column, target[begin:end], own, o, g, terms[begin:end])
        refused = backward(table, theta, a, o, g, gradient, 0, last)
        if refused >= 0:
            return refused
    return -1
