"""The compiled loops: the two sweeps over a program's arrays, and what stands before, between and after them.

State lies in tiles of the batch. A tile holds `width` samples; in it every pre-activation is one row of `a` and every
output one row of `o`, the samples side by side, so the inner loops run along them. Activations are called by the
address of their machine code. Offsets are unsigned (a signed index is checked for wrapping around), and each
pass over a row takes four of its weights, since loading and storing the row costs more than multiplying.
Indices are not checked, they come from a program; numbers are where a loop says so.
"""

import numpy as np
from llvmlite import ir
from numba import carray, int64, njit, types, uint64
from numba.extending import intrinsic

from graphprop.engine.loops import places
from graphprop.engine.loops import table as table_module
from graphprop.engine.loops.caching import compiled
from graphprop.engine.loops.places import numbered, places_in
from graphprop.engine.loops.table import Batch, Before, Table

# sums may be reordered (they run along vectors) and multiplications fused; infinities and nan keep their meaning
SUMS = {"contract", "reassoc", "nsz"}

VALUE, LEARN, PULL = numbered(3)  # what an activation is called for
BEFORE = Before(*numbered(3))

# The arrays of a schedule come as one table of their addresses and lengths, and so does what a batch of some size
# needs: one argument costs less than twenty.
AT, IN_BATCH = places_in(Table, "AT"), places_in(Batch, "IN_BATCH")
ARRAYS = np.int64(len(AT))
READ = places, table_module  # whose text is part of the loops that read tables
LARGEST = float(np.finfo(np.float64).max)
# of targets
RANGES = {"any": (-LARGEST, LARGEST), "distribution": (0.0, LARGEST), "unit": (0.0, 1.0), "sign": (-1.0, 1.0)}
IN_CACHE = 2048  # numbers that stay in the first cache between their sums and their activation


@intrinsic
def call(typing_context, record, task, a, o, g, n, m, width):
    """Call an activation; all arguments are unsigned, `record`, `a`, `o` and `g` addresses.

    A record begins with the address of the machine code, to which it is handed itself: it has the numbers of this one.
    """
    signature = types.uint64(*[types.uint64] * 8)

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        address = builder.load(builder.inttoptr(arguments[0], word.as_pointer()))
        function = builder.inttoptr(address, ir.FunctionType(word, [word] * 8).as_pointer())
        return builder.call(function, arguments)

    return signature, generate


@intrinsic
def call_loss(typing_context, address, z, t, g, terms, samples, n):
    """Call a loss's machine code; all arguments are unsigned, the first four of them addresses."""
    signature = types.void(*[types.uint64] * 7)

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(ir.VoidType(), [word] * 6).as_pointer())
        builder.call(function, arguments[1:])
        return context.get_dummy_value()

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
def wholes(table, i):
    """Numbers that can be negative; -1 often says that there is none."""
    return carray(pointer(table[i, 0]), int64(table[i, 1]), np.int64)


@njit(forceinline=True)
def reals(table, i):
    return carray(pointer(table[i, 0]), int64(table[i, 1]), np.float64)


@njit(forceinline=True)
def flags(table, i):
    return carray(pointer(table[i, 0]), int64(table[i, 1]), np.bool_)


@njit(forceinline=True)
def place(array, index):
    return uint64(array.ctypes.data) + uint64(index) * uint64(array.itemsize)


@njit(forceinline=True)
def table_of_piece(batch, piece):
    return carray(pointer(batch[IN_BATCH.tables, 0] + uint64(piece * ARRAYS * 16)), (ARRAYS, 2), np.uint64)


@njit
def carve(table, memory, before, width):
    """a, o and the derivatives by o of that many samples, each one tile, in memory behind those of others before."""
    nodes = len(addresses(table, AT.function))
    rows, columns = int64(numbers(table, AT.row_first)[nodes]), int64(numbers(table, AT.column_first)[nodes])
    first = before * (rows + 2 * columns)
    a = memory[first : first + rows * width].reshape(1, rows, width)
    first += rows * width
    o = memory[first : first + columns * width].reshape(1, columns, width)
    first += columns * width
    g = memory[first : first + columns * width].reshape(1, columns, width)
    return a, o, g


@compiled(uses=READ, fastmath=SUMS)
def forward(table, theta, a, o, task, first, last, added):
    """The nodes `first` to `last`, parents before children: a = b + sum of w o, then o = f(a).

    a and o are (tiles, rows, samples). To LEARN is to leave the derivative where an elementwise a stood. With `added`
    the rows of a hold a part of their sums already. Nodes that do not read each other and have the same elementwise
    activation go side by side. It ends at a node that refuses its a, and gives its number, or that of the first of
    those side by side; else -1.
    """
    function, stop = addresses(table, AT.function), numbers(table, AT.stop)
    row_first, column_first = numbers(table, AT.row_first), numbers(table, AT.column_first)
    start, column, position = numbers(table, AT.start), numbers(table, AT.column), numbers(table, AT.position)
    bias, regular = wholes(table, AT.bias), flags(table, AT.regular)
    one, two, four = uint64(1), uint64(2), uint64(4)
    tiles, rows, stride = uint64(a.shape[0]), uint64(a.shape[1]), uint64(a.shape[2])
    columns, at_once = uint64(o.shape[1]), max(one, uint64(IN_CACHE) // stride)
    a_flat, o_flat = a.reshape(a.size), o.reshape(o.size)
    a_address, o_address, item = uint64(a.ctypes.data), uint64(o.ctypes.data), uint64(a.itemsize)
    for tile in range(tiles):
        a_tile, o_tile = tile * rows * stride, tile * columns * stride
        v = uint64(first)
        while v < uint64(last):
            end_node = min(uint64(stop[v]), uint64(last), v + at_once)
            first_row, last_row = uint64(row_first[v]), uint64(row_first[end_node])
            for r in range(first_row, last_row):
                e, end = uint64(start[r]), uint64(start[r + one])
                here = a_tile + r * stride
                b = bias[r]
                x = theta[uint64(b)] if b >= 0 else a.dtype.type(0)
                if stride == one:
                    x += a_flat[here] if added else a.dtype.type(0)
                    y = a.dtype.type(0)
                    if regular[r]:
                        shift = uint64(position[e]) - e
                        while e + one < end:
                            x += theta[shift + e] * o_flat[o_tile + column[e]]
                            y += theta[shift + e + one] * o_flat[o_tile + column[e + one]]
                            e += two
                    while e + one < end:
                        x += theta[position[e]] * o_flat[o_tile + column[e]]
                        y += theta[position[e + one]] * o_flat[o_tile + column[e + one]]
                        e += two
                    if e < end:
                        x += theta[position[e]] * o_flat[o_tile + column[e]]
                    a_flat[here] = x + y
                    continue
                if added:
                    for k in range(stride):
                        a_flat[here + k] += x
                else:
                    for k in range(stride):
                        a_flat[here + k] = x
                while e + four <= end:
                    e1, e2, e3 = e + one, e + two, e + uint64(3)
                    w0, w1, w2, w3 = theta[position[e]], theta[position[e1]], theta[position[e2]], theta[position[e3]]
                    u0, u1 = o_tile + column[e] * stride, o_tile + column[e1] * stride
                    u2, u3 = o_tile + column[e2] * stride, o_tile + column[e3] * stride
                    for k in range(stride):
                        s = w0 * o_flat[u0 + k] + w1 * o_flat[u1 + k] + w2 * o_flat[u2 + k] + w3 * o_flat[u3 + k]
                        a_flat[here + k] += s
                    e += four
                while e < end:
                    w0, u0 = theta[position[e]], o_tile + column[e] * stride
                    for k in range(stride):
                        a_flat[here + k] += w0 * o_flat[u0 + k]
                    e += one
            c = uint64(column_first[v])
            n, m = last_row - first_row, column_first[end_node] - c
            here, there = a_tile + first_row * stride, o_tile + c * stride
            a_here, o_here = a_address + here * item, o_address + there * item
            if call(function[v], uint64(task), a_here, o_here, uint64(0), n, m, stride):
                return int64(v)
            v = end_node
    return -1


@compiled(uses=READ)
def masks_fit(table, theta, a, o):
    """Whether -inf stands where it is the bias of a node that takes it as a mask, and nowhere else in such nodes.

    It stands in the pre-activation, and in the log-probability that belongs to it if the node gives these.
    """
    rows, column = numbers(table, AT.mask_row), wholes(table, AT.mask_column)
    bias = wholes(table, AT.bias)
    for i in range(len(rows)):
        row, c = int64(rows[i]), column[i]
        masked = bias[row] >= 0 and theta[bias[row]] == -np.inf
        for tile in range(a.shape[0]):
            for k in range(a.shape[2]):
                if (a[tile, row, k] == -np.inf) != masked or (c >= 0 and not masked and o[tile, c, k] == -np.inf):
                    return False
    return True


@compiled(uses=READ, fastmath=SUMS)
def backward(table, theta, a, o, g, gradient, fresh, resumed, first, last):
    """The nodes `first` to `last`, children before parents: g = direct + sum of w delta, then delta = g L.

    g are the derivatives with respect to o. `a` holds the slopes of elementwise nodes and what `pulled` nodes need;
    delta takes its place. The derivative of a weight is added to `gradient[use]`, of a bias to `gradient[bias]`, or
    written there for one sample of a program that is `fresh`: in which every row is regular, and no parameter tied.
    Nodes without pre-activations are inputs. Gives the number of the node whose derivative failed, at which
    it ends, or -1; if it is `resumed` there, the delta of the last node stands in `a` already.

    Where the arrays hold one sample, a node passes its delta on to its parents, as the weights often lie one behind
    the other then, in `regular` rows; all of g has to be set before. Else a node collects the deltas of its children;
    rows of g that are not `preset` start at 0.
    """
    function = addresses(table, AT.function)
    row_first, column_first = numbers(table, AT.row_first), numbers(table, AT.column_first)
    pulled, preset, bias = flags(table, AT.pulled), flags(table, AT.preset), wholes(table, AT.bias_use)
    start, column, position = numbers(table, AT.start), numbers(table, AT.column), numbers(table, AT.position)
    use, regular = numbers(table, AT.use), flags(table, AT.regular)
    child_start, child_row = numbers(table, AT.child_start), numbers(table, AT.child_row)
    child_position, child_use = numbers(table, AT.child_position), numbers(table, AT.child_use)
    one, four = uint64(1), uint64(4)
    tiles, rows, stride = uint64(a.shape[0]), uint64(a.shape[1]), uint64(a.shape[2])
    columns = uint64(o.shape[1])
    a_flat, o_flat, g_flat = a.reshape(a.size), o.reshape(o.size), g.reshape(g.size)
    a_address, o_address, item = uint64(a.ctypes.data), uint64(o.ctypes.data), uint64(a.itemsize)
    g_address, zero = uint64(g.ctypes.data), a.dtype.type(0)
    for tile in range(tiles):
        a_tile, o_tile = tile * rows * stride, tile * columns * stride
        v = uint64(last)
        while v > uint64(first):
            v -= one
            r, c = uint64(row_first[v]), uint64(column_first[v])
            n, m = row_first[v + one] - r, column_first[v + one] - c
            there_already = resumed and v + one == uint64(last)
            if stride > one and not there_already:
                for i in range(c, c + m):
                    e, end = uint64(child_start[i]), uint64(child_start[i + one])
                    here = o_tile + i * stride
                    if not preset[i]:
                        for k in range(stride):
                            g_flat[here + k] = zero
                    while e + four <= end:
                        e1, e2, e3 = e + one, e + uint64(2), e + uint64(3)
                        w0, w1 = theta[child_position[e]], theta[child_position[e1]]
                        w2, w3 = theta[child_position[e2]], theta[child_position[e3]]
                        r0, r1 = a_tile + child_row[e] * stride, a_tile + child_row[e1] * stride
                        r2, r3 = a_tile + child_row[e2] * stride, a_tile + child_row[e3] * stride
                        s0, s1, s2, s3 = zero, zero, zero, zero
                        for k in range(stride):
                            d0, d1, d2, d3 = a_flat[r0 + k], a_flat[r1 + k], a_flat[r2 + k], a_flat[r3 + k]
                            x = o_flat[here + k]
                            g_flat[here + k] += w0 * d0 + w1 * d1 + w2 * d2 + w3 * d3
                            s0 += d0 * x
                            s1 += d1 * x
                            s2 += d2 * x
                            s3 += d3 * x
                        gradient[child_use[e]] += s0
                        gradient[child_use[e1]] += s1
                        gradient[child_use[e2]] += s2
                        gradient[child_use[e3]] += s3
                        e += four
                    while e < end:
                        w0, r0, s0 = theta[child_position[e]], a_tile + child_row[e] * stride, zero
                        for k in range(stride):
                            d0 = a_flat[r0 + k]
                            g_flat[here + k] += w0 * d0
                            s0 += d0 * o_flat[here + k]
                        gradient[child_use[e]] += s0
                        e += one
            if pulled[v] and not there_already:
                here, there = a_tile + r * stride, o_tile + c * stride
                a_here, o_here, g_here = a_address + here * item, o_address + there * item, g_address + there * item
                if call(function[v], uint64(PULL), a_here, o_here, g_here, n, m, stride):
                    return int64(v)
            for i in range(n):
                here, there, s = a_tile + (r + i) * stride, o_tile + (c + i) * stride, zero
                if not pulled[v]:
                    for k in range(stride):
                        a_flat[here + k] *= g_flat[there + k]
                b = bias[r + i]
                if b >= 0:
                    for k in range(stride):
                        s += a_flat[here + k]
                    gradient[uint64(b)] = s if fresh else gradient[uint64(b)] + s
                if stride == one:
                    d, e, end = a_flat[here], uint64(start[r + i]), uint64(start[r + i + one])
                    if regular[r + i]:
                        shift, shift_use = uint64(position[e]) - e, uint64(use[e]) - e
                        if fresh:
                            while e < end:
                                there = o_tile + column[e]
                                g_flat[there] += theta[shift + e] * d
                                gradient[shift_use + e] = d * o_flat[there]
                                e += one
                        while e < end:
                            there = o_tile + column[e]
                            g_flat[there] += theta[shift + e] * d
                            gradient[shift_use + e] += d * o_flat[there]
                            e += one
                    for k in range(e, end):
                        there = o_tile + column[k]
                        g_flat[there] += theta[position[k]] * d
                        gradient[use[k]] += d * o_flat[there]
    return -1


@compiled()
def within(array, low, high):
    """Whether all numbers of a batch are in a range; nan is in none."""
    count, flat = 0, array.reshape(array.size)
    for i in range(len(flat)):
        count += 1 if low <= flat[i] <= high else 0
    return count == len(flat)


@compiled()
def compare(loss, head_start, column, heads, last_head, target, share, sample, o, g, terms):
    """The loss of the heads `heads` to `last_head` of each sample, to `terms`, and its derivatives by o, to g.

    Head h reads the columns column[head_start[h] : head_start[h + 1]] and the same entries of a row of `target`.
    `share` has what each sample counts for, or one number for all. o and g are one tile of the samples from `sample`
    on. The loss is called once for a head. Gives whether what it reads is finite.
    """
    one, sample = uint64(1), uint64(sample)
    stride, all_heads, targets = uint64(o.shape[2]), uint64(len(head_start) - 1), uint64(target.shape[1])
    o_flat, g_flat = o.reshape(o.size), g.reshape(g.size)
    target_flat, term_flat = target.reshape(target.size), terms.reshape(terms.size)
    used, widest = min(stride, uint64(len(target)) - sample), one
    for head in range(uint64(heads), uint64(last_head)):
        widest = max(widest, uint64(head_start[head + one]) - uint64(head_start[head]))
    z, t, slope, values = np.empty(used * widest), np.empty(used * widest), np.empty(used * widest), np.empty(used)
    z_address, t_address = uint64(z.ctypes.data), uint64(t.ctypes.data)
    slope_address, value_address = uint64(slope.ctypes.data), uint64(values.ctypes.data)
    fine = True
    for head in range(uint64(heads), uint64(last_head)):
        first, n = uint64(head_start[head]), uint64(head_start[head + one]) - uint64(head_start[head])
        for i in range(n):
            row = uint64(column[first + i]) * stride
            for k in range(used):
                z[i * used + k] = o_flat[row + k]
            for k in range(used):
                t[i * used + k] = target_flat[(sample + k) * targets + first + i]
        fine &= within(z[: n * used], -LARGEST, LARGEST)
        call_loss(loss, z_address, t_address, slope_address, value_address, used, n)
        for i in range(n):
            row = uint64(column[first + i]) * stride
            for k in range(used):
                g_flat[row + k] = slope[i * used + k] * share[sample + k if len(share) > 1 else uint64(0)]
            for k in range(used, stride):
                g_flat[row + k] = 0
        for k in range(used):
            counts = share[sample + k if len(share) > 1 else uint64(0)]
            term_flat[(sample + k) * all_heads + head] = values[k] * counts
    return fine


@compiled(uses=READ)
def read_inputs(table, inputs, sample, o):
    """Write the rows of inputs from `sample` on to the columns of o that hold them, tile by tile.

    What pads the last tile repeats the last sample.
    """
    input_column, width = numbers(table, AT.input_column), o.shape[2]
    for tile in range(o.shape[0]):
        for i in range(len(input_column)):
            column = input_column[i]
            for k in range(width):
                o[tile, i, k] = inputs[min(sample + tile * width + k, len(inputs) - 1), column]


@njit
def hand_out(table, o, column, goal, last_goal, begin, end, result):
    """Write columns of one tile, `goal` to `last_goal`, to the rows `begin` to `end` of `result`.

    Gives whether they are finite, or masked log-probabilities.
    """
    finite, logarithm = 0, flags(table, AT.logarithm)
    for i in range(goal, last_goal):
        for k in range(end - begin):
            x = o[0, column[i], k]
            finite += 1 if abs(x) <= LARGEST or (x == -np.inf and logarithm[column[i]]) else 0
            result[begin + k, i] = x
    return finite == (last_goal - goal) * (end - begin)


@compiled(uses=READ)
def answer(batch, theta, inputs, result, memory, lane, lanes, first, last):
    """Run a program without dense blocks forward: every `lanes`-th tile of the samples `first` to `last`.

    The outputs of head h are head_column[head_start[h] : head_start[h + 1]], and go to the same columns of `result`.
    Gives whether all went well; what is read is checked here, and what comes out. For `memory` of no numbers it takes
    its own.
    """
    pieces, head_start = wholes(batch, IN_BATCH.pieces), wholes(batch, IN_BATCH.head_start)
    head_column, width = wholes(batch, IN_BATCH.head_column), int64(batch[IN_BATCH.width, 0])
    if len(memory) == 0:
        memory = np.empty(int64(batch[IN_BATCH.numbers, 0]), theta.dtype)
    for piece in range(len(pieces) // len(BEFORE) - 1):
        table, this = table_of_piece(batch, piece), piece * len(BEFORE)
        nodes, next_one = len(addresses(table, AT.function)), this + len(BEFORE)
        a, o, _ = carve(table, memory, 0, width)
        own_inputs = pieces[next_one + BEFORE.inputs] - pieces[this + BEFORE.inputs]
        goal, last_goal = head_start[pieces[this + BEFORE.heads]], head_start[pieces[next_one + BEFORE.heads]]
        for begin in range(first + lane * width, last, lanes * width):
            end = min(last, begin + width)
            if piece == 0 and not within(inputs[begin:end], -LARGEST, LARGEST):
                return False
            read_inputs(table, inputs, begin, o)
            if forward(table, theta, a, o, VALUE, own_inputs, nodes, False) >= 0 or not masks_fit(table, theta, a, o):
                return False
            if not hand_out(table, o, head_column, goal, last_goal, begin, end, result):
                return False
    return True


@compiled()
def finish(terms, gradient, others):
    """The sum of all terms, and whether it and the gradient are finite, after `others` were added to this.

    What the additions of the terms round off is added up by itself.
    """
    total = rest = 0.0
    for x in terms.reshape(terms.size):
        s = total + x
        part = s - total
        rest += (total - (s - part)) + (x - part)
        total = s
    for other in others:
        for i in range(len(gradient)):
            gradient[i] += other[i]
    return total + rest, abs(total) <= LARGEST and within(gradient, -LARGEST, LARGEST)


@compiled(uses=READ)
def learn(batch, theta, inputs, target, share, terms, gradient, memory, lane, lanes, first, last):
    """All in one for a program without dense blocks: every `lanes`-th tile of the samples `first` to `last`.

    A tile is read, run forward, compared and run backward in the same memory, one piece of the program after the
    other. Gives the value and whether all went well, as `finish` does if this was all; else, as samples or lanes are
    left, the value 0. What is read is checked here. For `terms` and `memory` of no numbers it takes its own.
    """
    pieces, limits = wholes(batch, IN_BATCH.pieces), reals(batch, IN_BATCH.limits)
    head_start, head_column = wholes(batch, IN_BATCH.head_start), wholes(batch, IN_BATCH.head_column)
    loss, width, tables = batch[IN_BATCH.loss, 0], int64(batch[IN_BATCH.width, 0]), len(pieces) // len(BEFORE) - 1
    low, high, heads = limits[0], limits[1], len(head_start) - 1
    if len(memory) == 0:
        memory = np.empty(int64(batch[IN_BATCH.numbers, 0]), theta.dtype)
    if len(terms) == 0:
        terms = np.empty((len(target), heads))
    fresh = batch[IN_BATCH.fresh, 0] > 0
    if first == 0 and not fresh:
        gradient[:] = 0
    for piece in range(tables):
        table = table_of_piece(batch, piece)
        nodes = len(addresses(table, AT.function))
        a, o, g = carve(table, memory, 0, width)
        this, next_one = piece * len(BEFORE), (piece + 1) * len(BEFORE)
        own_inputs = pieces[next_one + BEFORE.inputs] - pieces[this + BEFORE.inputs]
        for begin in range(first + lane * width, last, lanes * width):
            rows_in, rows_out = inputs[begin : begin + width], target[begin : begin + width]
            if piece == 0 and not (within(rows_in, -LARGEST, LARGEST) and within(rows_out, low, high)):
                return 0.0, False
            read_inputs(table, inputs, begin, o)
            if forward(table, theta, a, o, LEARN, own_inputs, nodes, False) >= 0 or not masks_fit(table, theta, a, o):
                return 0.0, False
            if width == 1:
                g[:] = 0
            those = head_start, head_column, pieces[this + BEFORE.heads], pieces[next_one + BEFORE.heads]
            if not compare(loss, *those, target, share, begin, o, g, terms):
                return 0.0, False
            if backward(table, theta, a, o, g, gradient, fresh, False, 0, nodes) >= 0:
                return 0.0, False
    if lanes > 1 or last < len(target):
        return 0.0, True
    return finish(terms, gradient, gradient[:0].reshape(0, len(gradient)))
