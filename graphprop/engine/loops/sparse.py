"""The compiled loops: the two sweeps over a program's arrays, and what stands before, between and after them.

State lies in tiles of the batch. A tile holds `width` samples; in it every pre-activation is one row of `a` and every
output one row of `o`, the samples side by side, so the inner loops run along them. Activations are called by the
address of their machine code. Offsets are unsigned (a signed index is checked for wrapping around), and each
pass over a row takes four of its weights, since loading and storing the row costs more than multiplying.
Indices are not checked, they come from a program; numbers are where a loop says so.
"""

import numpy as np
from numba import bool_, carray, float64, int64, njit, uint32, uint64

from graphprop.engine.loops import addresses as addresses_module
from graphprop.engine.loops import places, ranges
from graphprop.engine.loops import table as table_module
from graphprop.engine.loops.addresses import (
    array_of,
    call,
    call_loss,
    count,
    entries,
    place,
    pointer,
    pointer_to,
    tile_of,
    zero_of,
)
from graphprop.engine.loops.by_address import ByAddress
from graphprop.engine.loops.caching import INNER, PLAIN, compiled
from graphprop.engine.loops.places import numbered, places_in
from graphprop.engine.loops.ranges import LARGEST, inside, inside_or_missing, within
from graphprop.engine.loops.table import Batch, Before, Table
from graphprop.given.arrays import Array

# sums may be reordered (they run along vectors) and multiplications fused; infinities and nan keep their meaning
SUMS = {"contract", "reassoc", "nsz"}

VALUE, LEARN, PULL = numbered(3)  # what an activation is called for
BEFORE = Before(*numbered(3))

# The arrays of a schedule come as one table of their addresses and lengths, and so does what a batch of some size
# needs: one argument costs less than twenty.
AT, IN_BATCH = places_in(Table, "AT"), places_in(Batch, "IN_BATCH")
ARRAYS = np.int64(len(AT))
READ = places, table_module, addresses_module, ranges  # whose text is part of the loops that read tables
IN_CACHE = 2048  # numbers that stay in the first cache between their sums and their activation


# The arrays of a table by their rows; of whole numbers a -1 often says that there is none.
addresses, numbers, wholes = array_of(uint64), array_of(uint32), array_of(int64)
reals, flags = array_of(float64), array_of(bool_)


@njit(**INNER)
def table_of_piece(batch, piece):
    return carray(pointer(batch[IN_BATCH.tables, 0] + uint64(piece * ARRAYS * 16)), (ARRAYS, 2), np.uint64)


@njit(**INNER)
def carve(table, memory, before, width):
    """a, o and the derivatives by o of that many samples, each one tile, in memory behind those of others before."""
    nodes = count(table, AT.function)
    rows, columns = int64(numbers(table, AT.row_first)[nodes]), int64(numbers(table, AT.column_first)[nodes])
    first = before * (rows + 2 * columns)
    a = tile_of(memory, first, rows, width)
    first += rows * width
    return a, tile_of(memory, first, columns, width), tile_of(memory, first + columns * width, columns, width)


def forward(table: Array, theta: Array, a: Array, o: Array, task: int, first: int, last: int, added: bool) -> int:
    """The nodes `first` to `last`, parents before children: a = b + sum of w o, then o = f(a).

    a and o are (tiles, rows, samples). To LEARN is to leave the derivative where an elementwise a stood. With `added`
    the rows of a hold a part of their sums already. Nodes that do not read each other and have the same elementwise
    activation go side by side. It ends at a node that refuses its a, and gives its number, or that of the first of
    those side by side; else -1.
    """
    return FORWARD.run((table, theta, a, o), (task, first, last, added))


def _forward(table, theta, a_flat, o_flat, tiles, rows, stride, task, first, last, added):
    function, stop = entries(table, AT.function, uint64), entries(table, AT.stop, uint32)
    row_first, column_first = entries(table, AT.row_first, uint32), entries(table, AT.column_first, uint32)
    start, column = entries(table, AT.start, uint32), entries(table, AT.column, uint32)
    position, regular = entries(table, AT.position, uint32), entries(table, AT.regular, bool_)
    bias = entries(table, AT.bias, int64)
    one, two, four, zero = uint64(1), uint64(2), uint64(4), zero_of(theta)
    columns, at_once = uint64(column_first[count(table, AT.function)]), max(one, uint64(IN_CACHE) // stride)
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
                x = theta[uint64(b)] if b >= 0 else zero
                if stride == one:
                    x += a_flat[here] if added else zero
                    y = zero
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
            if call(function[v], uint64(task), place(a_flat, here), place(o_flat, there), uint64(0), n, m, stride):
                return int64(v)
            v = end_node
    return int64(-1)


FORWARD = ByAddress(_forward, arrays=4, whole=4, uses=READ, fastmath=SUMS, **PLAIN)
FORWARD.stands_for(forward, AT.forward)


@compiled(uses=READ, **PLAIN)
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


def backward(
    table: Array,
    theta: Array,
    a: Array,
    o: Array,
    g: Array,
    gradient: Array,
    fresh: bool,
    resumed: bool,
    first: int,
    last: int,
) -> int:
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
    return BACKWARD.run((table, theta, a, o, g, gradient), (fresh, resumed, first, last))


def _backward(table, theta, a_flat, o_flat, g_flat, gradient, tiles, rows, stride, fresh, resumed, first, last):
    function = entries(table, AT.function, uint64)
    row_first, column_first = entries(table, AT.row_first, uint32), entries(table, AT.column_first, uint32)
    pulled, preset = entries(table, AT.pulled, bool_), entries(table, AT.preset, bool_)
    bias, regular = entries(table, AT.bias_use, int64), entries(table, AT.regular, bool_)
    start, column = entries(table, AT.start, uint32), entries(table, AT.column, uint32)
    position, use = entries(table, AT.position, uint32), entries(table, AT.use, uint32)
    child_start, child_row = entries(table, AT.child_start, uint32), entries(table, AT.child_row, uint32)
    child_position, child_use = entries(table, AT.child_position, uint32), entries(table, AT.child_use, uint32)
    one, four, zero = uint64(1), uint64(4), zero_of(theta)
    columns = uint64(column_first[count(table, AT.function)])
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
                a_here, o_here, g_here = place(a_flat, here), place(o_flat, there), place(g_flat, there)
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
    return int64(-1)


BACKWARD = ByAddress(_backward, arrays=6, whole=4, uses=READ, fastmath=SUMS, **PLAIN)
BACKWARD.stands_for(backward, AT.backward)


@compiled(uses=READ, **PLAIN)
def compare(losses, limits, weighted, head_start, column, heads, last_head, target, share, sample, o, g, terms):
    """The losses of the heads `heads` to `last_head` of each sample, to `terms`, and their derivatives by o, to g.

    Head h reads the columns column[head_start[h] : head_start[h + 1]] and the same entries of a row of `target`.
    Its loss is at losses[2 h], and at losses[2 h + 1] for targets some of which are missing, if it takes those; it is
    called once. limits[3 h :] are the least and the most that targets may be, and the least that the columns may be.
    `share` has what each sample counts for, or one number for all, and behind it what each head counts for if it is
    `weighted`. o and g are one tile of the samples from `sample` on. Gives whether what is read is within its limits.
    """
    one, sample, all_heads = uint64(1), uint64(sample), uint64(len(head_start) - 1)
    weights = uint64(len(share)) - (all_heads if weighted else uint64(0))
    stride, shares, targets = uint64(o.shape[2]), uint64(weights > one), uint64(target.shape[1])
    o_flat, g_flat, target_flat, term_flat = pointer_to(o), pointer_to(g), pointer_to(target), pointer_to(terms)
    start, columns, counts = pointer_to(head_start), pointer_to(column), pointer_to(share)
    used, widest = min(stride, uint64(len(target)) - sample), one
    for head in range(uint64(heads), uint64(last_head)):
        widest = max(widest, uint64(start[head + one]) - uint64(start[head]))
    size = used * widest
    numbers = np.empty(uint64(3) * size + used)
    z, t, slope, values = uint64(0), size, uint64(2) * size, uint64(3) * size  # where they are among these
    here = pointer_to(numbers)
    fine = True
    for head in range(uint64(heads), uint64(last_head)):
        first, n = uint64(start[head]), uint64(start[head + one]) - uint64(start[head])
        for i in range(n):
            row = uint64(columns[first + i]) * stride
            for k in range(used):
                here[i * used + k] = o_flat[row + k]
            for k in range(used):
                here[t + i * used + k] = target_flat[(sample + k) * targets + first + i]
        low, high, least = (
            limits[uint64(3) * head],
            limits[uint64(3) * head + one],
            limits[uint64(3) * head + uint64(2)],
        )
        loss, weight = losses[uint64(2) * head], counts[weights + head] if weighted else 1.0
        if not inside(here, t, t + n * used, low, high):
            loss = losses[uint64(2) * head + one]
            if loss == uint64(0) or not inside_or_missing(here, t, t + n * used, low, high):
                fine = False
                break
        fine &= inside(here, z, n * used, least, LARGEST)
        call_loss(loss, place(here, z), place(here, t), place(here, slope), place(here, values), used, n)
        for i in range(n):
            row = uint64(columns[first + i]) * stride
            for k in range(used):
                g_flat[row + k] = here[slope + i * used + k] * weight * counts[(sample + k) * shares]
            for k in range(used, stride):
                g_flat[row + k] = 0
        for k in range(used):
            term_flat[(sample + k) * all_heads + head] = here[values + k] * weight * counts[(sample + k) * shares]
    return fine and len(numbers) > 0  # they are held as long


@njit(**INNER)
def clear(array):
    """Set all its numbers to 0."""
    numbers = pointer_to(array)
    for i in range(uint64(array.size)):
        numbers[i] = 0


@compiled(uses=READ, **PLAIN)
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


@njit(**INNER)
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


@compiled(uses=READ, **PLAIN)
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
    columns = inputs.shape[1]
    for piece in range(len(pieces) // len(BEFORE) - 1):
        table, this = table_of_piece(batch, piece), piece * len(BEFORE)
        nodes, next_one = int64(count(table, AT.function)), this + len(BEFORE)
        a, o, _ = carve(table, memory, 0, width)
        own_inputs = pieces[next_one + BEFORE.inputs] - pieces[this + BEFORE.inputs]
        goal, last_goal = head_start[pieces[this + BEFORE.heads]], head_start[pieces[next_one + BEFORE.heads]]
        for begin in range(first + lane * width, last, lanes * width):
            end = min(last, begin + width)
            if piece == 0 and not inside(pointer_to(inputs), begin * columns, end * columns, -LARGEST, LARGEST):
                return False
            read_inputs(table, inputs, begin, o)
            if forward(table, theta, a, o, VALUE, own_inputs, nodes, False) >= 0 or not masks_fit(table, theta, a, o):
                return False
            if not hand_out(table, o, head_column, goal, last_goal, begin, end, result):
                return False
    return True


@njit(**INNER)
def sum_of(terms):
    """The sum of all terms; what the additions round off is added up by itself."""
    total = rest = 0.0
    each = pointer_to(terms)
    for i in range(uint64(terms.size)):
        x = each[i]
        s = total + x
        part = s - total
        rest += (total - (s - part)) + (x - part)
        total = s
    return total + rest, abs(total) <= LARGEST


@compiled(uses=READ, **PLAIN)
def finish(terms, gradient, others):
    """The sum of all terms, and whether it and the gradient are finite, after `others` were added to this."""
    value, fine = sum_of(terms)
    numbers, more, size = pointer_to(gradient), pointer_to(others), uint64(len(gradient))
    for row in range(uint64(len(others))):
        for i in range(size):
            numbers[i] += more[row * size + i]
    return value, fine and inside(numbers, 0, size, -LARGEST, LARGEST)


@compiled(uses=READ, **PLAIN)
def learn(batch, theta, inputs, target, share, terms, gradient, memory, lane, lanes, first, last):
    """All in one for a program without dense blocks: every `lanes`-th tile of the samples `first` to `last`.

    A tile is read, run forward, compared and run backward in the same memory, one piece of the program after the
    other. Gives the value and whether all went well, as `finish` does if this was all; else, as samples or lanes are
    left, the value 0. What is read is checked here. For `terms` and `memory` of no numbers it takes its own. If the
    task is the VALUE alone, nothing runs backward, and the gradient has no numbers.
    """
    pieces, width = wholes(batch, IN_BATCH.pieces), int64(batch[IN_BATCH.width, 0])
    head_start, head_column = wholes(batch, IN_BATCH.head_start), wholes(batch, IN_BATCH.head_column)
    losses, limits = addresses(batch, IN_BATCH.losses), reals(batch, IN_BATCH.limits)
    task, weighted = int64(batch[IN_BATCH.task, 0]), batch[IN_BATCH.weighted, 0] > 0
    heads, tables = len(head_start) - 1, len(pieces) // len(BEFORE) - 1
    if len(memory) == 0:
        memory = np.empty(int64(batch[IN_BATCH.numbers, 0]), theta.dtype)
    if len(terms) == 0:
        terms = np.empty((len(target), heads))
    fresh = batch[IN_BATCH.fresh, 0] > 0
    if first == 0 and not fresh:
        clear(gradient)
    columns = inputs.shape[1]
    for piece in range(tables):
        table = table_of_piece(batch, piece)
        nodes = int64(count(table, AT.function))
        a, o, g = carve(table, memory, 0, width)
        this, next_one = piece * len(BEFORE), (piece + 1) * len(BEFORE)
        own_inputs = pieces[next_one + BEFORE.inputs] - pieces[this + BEFORE.inputs]
        for begin in range(first + lane * width, last, lanes * width):
            end = min(begin + width, len(inputs))
            if piece == 0 and not inside(pointer_to(inputs), begin * columns, end * columns, -LARGEST, LARGEST):
                return 0.0, False
            read_inputs(table, inputs, begin, o)
            if forward(table, theta, a, o, task, own_inputs, nodes, False) >= 0 or not masks_fit(table, theta, a, o):
                return 0.0, False
            if width == 1:
                clear(g)
            those = head_start, head_column, pieces[this + BEFORE.heads], pieces[next_one + BEFORE.heads]
            if not compare(losses, limits, weighted, *those, target, share, begin, o, g, terms):
                return 0.0, False
            if task == LEARN and backward(table, theta, a, o, g, gradient, fresh, False, 0, nodes) >= 0:
                return 0.0, False
    if lanes > 1 or last < len(target):
        return 0.0, True
    value, fine = sum_of(terms)
    return value, fine and within(gradient, -LARGEST, LARGEST)
