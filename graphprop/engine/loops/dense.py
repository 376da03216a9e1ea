"""The compiled loops of programs with dense blocks, which call the products of BLAS by address.

A chunk of a batch goes in two steps. In the first its samples are cut into lanes, which each go forward and backward;
in the second the derivatives by the weights of blocks are products over all its samples, cut by rows. Threads that call
`learn_dense` with the same counters share both out among them: each takes what comes next.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import int64, njit, types, uint64
from numba.extending import intrinsic

from graphprop.engine.loops import sparse
from graphprop.engine.loops.addresses import count, place, pointer_to
from graphprop.engine.loops.caching import INNER, PLAIN, compiled
from graphprop.engine.loops.places import numbered
from graphprop.engine.loops.sparse import (
    AT,
    LARGEST,
    READ,
    VALUE,
    backward,
    carve,
    compare,
    forward,
    hand_out,
    inside,
    masks_fit,
    read_inputs,
)


@intrinsic
def call_gemm(typing_context, address, flip_a, flip_b, m, n, k, one, a, row_a, b, row_b, keep, c, row_c):
    """C = A B, or C + A B with keep = 1: C is m x n, in rows that lie row_c numbers apart, and so on.

    With flip_a, A is the transpose of what is at `a`; so is B with flip_b. The addresses are unsigned; `one` is a 1 of
    the numbers' type.
    """
    whole, number = types.int64, one
    signature = types.void(
        types.uint64, *[whole] * 5, number, types.uint64, whole, types.uint64, whole, number, types.uint64, whole
    )

    def generate(context, builder, signature, arguments):
        word, flag = ir.IntType(64), ir.IntType(32)
        real = context.get_value_type(number)
        address, flip_a, flip_b, m, n, k, one, a, row_a, b, row_b, keep, c, row_c = arguments
        row_major, plain, transposed = (ir.Constant(flag, value) for value in (101, 111, 112))
        flips = [
            builder.select(builder.icmp_signed("!=", flip, ir.Constant(word, 0)), transposed, plain)
            for flip in (flip_a, flip_b)
        ]
        numbers = [real, word, word, word, word, real, word, word]
        kind = ir.FunctionType(ir.VoidType(), [flag] * 3 + [word] * 3 + numbers)
        function = builder.inttoptr(address, kind.as_pointer())
        builder.call(function, [row_major, *flips, m, n, k, one, a, row_a, b, row_b, keep, c, row_c])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def call_gemv(typing_context, address, flip, m, n, one, a, row_a, x, step_x, keep, y, step_y):
    """y = A x, or y + A x with keep = 1, for the m x n numbers at `a`, or with `flip` their transpose."""
    whole, number = types.int64, one
    signature = types.void(
        types.uint64, *[whole] * 3, number, types.uint64, whole, types.uint64, whole, number, types.uint64, whole
    )

    def generate(context, builder, signature, arguments):
        word, flag = ir.IntType(64), ir.IntType(32)
        real = context.get_value_type(number)
        address, flip, *rest = arguments
        row_major, plain, transposed = (ir.Constant(flag, value) for value in (101, 111, 112))
        flip = builder.select(builder.icmp_signed("!=", flip, ir.Constant(word, 0)), transposed, plain)
        kind = ir.FunctionType(
            ir.VoidType(), [flag] * 2 + [word] * 2 + [real, word, word, word, word, real, word, word]
        )
        builder.call(builder.inttoptr(address, kind.as_pointer()), [row_major, flip, *rest])
        return context.get_dummy_value()

    return signature, generate


class BlockNumbers(NamedTuple):
    """Of a block its rows and columns, the position of its first weight, and how far the next row and column are."""

    row: int
    rows: int
    column: int
    columns: int
    first: int
    down: int
    right: int


class RunNumbers(NamedTuple):
    """The nodes of a run, and its blocks."""

    first: int
    last: int
    block: int
    last_block: int


class Task(NamedTuple):
    """A product of the second step: the number of a block, and its rows."""

    block: int
    row: int
    last_row: int


OF_BLOCK, OF_RUN, OF_TASK = BlockNumbers(*numbered(7)), RunNumbers(*numbered(4)), Task(*numbered(3))


class Products(NamedTuple):
    """What is multiplied with what, for a loop that another one calls."""

    gemm: Any
    gemv: Any
    table: Any
    runs: Any
    blocks: Any
    own_inputs: Any
    direct: Any


class Heads(NamedTuple):
    """What is compared."""

    losses: Any
    limits: Any
    weighted: Any
    head_start: Any
    head_column: Any
    task: Any


class Given(NamedTuple):
    """What came with the call."""

    theta: Any
    inputs: Any
    target: Any
    share: Any


# What the threads count together, in places so far apart that they do not wait for each other's memory
LANES_TAKEN, LANES_DONE, TASKS_TAKEN, TASKS_DONE, FAILURES = numbered(40)[::8]
COUNTERS = 40
DONE, FAILED, WAITING = range(3)
LOOKS = 2000  # at what others count, before a thread lets others run


@intrinsic
def add(typing_context, address, number):
    """Add to a number that other threads read and add to; what it was before."""

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], word.as_pointer()), arguments[1], "seq_cst")

    return types.int64(types.uint64, types.int64), generate


@intrinsic
def look(typing_context, address):
    """The number that other threads add to."""

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        return builder.load_atomic(builder.inttoptr(arguments[0], word.as_pointer()), "seq_cst", 8)

    return types.int64(types.uint64), generate


@njit(inline="always", **INNER)
def reaches(address, goal):
    """Whether a count reaches its goal soon."""
    looks = 0
    while look(address) < goal and looks < LOOKS:
        looks += 1
    return looks < LOOKS


@njit(inline="always", **INNER)
def multiply_forward(gemm, gemv, block, theta, source, step, flip, a, to, width, added):
    """a = W x, or a + W x if it is `added`: W the weights of a block; x at `source`, in rows (with `flip`, columns)."""
    rows, columns, by_column = block[OF_BLOCK.rows], block[OF_BLOCK.columns], block[OF_BLOCK.down] == 1
    one, keep = theta.dtype.type(1), theta.dtype.type(1 if added else 0)
    w, row_w, c = place(theta, block[OF_BLOCK.first]), max(block[OF_BLOCK.down], block[OF_BLOCK.right]), place(a, to)
    if width > 1:
        call_gemm(gemm, by_column, flip, rows, width, columns, one, w, row_w, source, step, keep, c, width)
    else:
        m, n = (columns, rows) if by_column else (rows, columns)
        call_gemv(gemv, by_column, m, n, one, w, row_w, source, 1 if flip else step, keep, c, width)


@njit(inline="always", **INNER)
def run_forward(products, theta, inputs, task, memory, before, sample, last_sample):
    """The samples from `sample` to `last_sample` forward; they lie in memory behind those `before`.

    With `direct` blocks alone read the inputs, and read them where they were given. Gives a, o and the derivatives by
    o, these not set, and whether all went well.
    """
    gemm, gemv, table = products.gemm, products.gemv, products.table
    runs, blocks, direct = products.runs, products.blocks, products.direct
    width, columns = last_sample - sample, inputs.shape[1]
    a, o, g = carve(table, memory, before, width)
    if not inside(pointer_to(inputs), sample * columns, last_sample * columns, -LARGEST, LARGEST):
        return a, o, g, False
    if not direct:
        read_inputs(table, inputs, sample, o)
    a_flat, o_flat = pointer_to(a), pointer_to(o)
    input_width = int64(count(table, AT.input_column))
    for run in range(len(runs)):
        first, last = runs[run, OF_RUN.first], runs[run, OF_RUN.last]
        block, last_block = runs[run, OF_RUN.block], runs[run, OF_RUN.last_block]
        for i in range(block, last_block):
            each, flip = blocks[i], direct and blocks[i, OF_BLOCK.column] < input_width
            if flip:
                source, step = place(inputs, sample * columns + each[OF_BLOCK.column]), columns
            else:
                source, step = place(o_flat, each[OF_BLOCK.column] * width), width
            to = each[OF_BLOCK.row] * width
            multiply_forward(gemm, gemv, each, theta, source, step, flip, a_flat, to, width, i > block)
        if forward(table, theta, a, o, task, first, last, last_block > block) >= 0:
            return a, o, g, False
    return a, o, g, masks_fit(table, theta, a, o)


@njit(inline="always", **INNER)
def differentiate(products, heads, given, terms, gradient, memory, before, sample, last_sample):
    """The samples from `sample` to `last_sample` forward, compared and backward, but for the products in the gradient.

    They lie in memory behind those `before`. Gives whether all went well. For the VALUE alone nothing runs backward.
    """
    gemm, gemv, table = products.gemm, products.gemv, products.table
    runs, blocks, direct = products.runs, products.blocks, products.direct
    head_start, head_column, task = heads.head_start, heads.head_column, heads.task
    theta, inputs, target, share = given.theta, given.inputs, given.target, given.share
    a, o, g, fine = run_forward(products, theta, inputs, task, memory, before, sample, last_sample)
    if not fine:
        return False
    width, input_width = last_sample - sample, int64(count(table, AT.input_column))
    a_flat, g_flat = pointer_to(a), pointer_to(g)
    for i in range(uint64(input_width * width if direct else 0), uint64(g.size)):
        g_flat[i] = 0
    every = len(head_start) - 1
    those = head_start, head_column, int64(0), every
    if not compare(heads.losses, heads.limits, heads.weighted, *those, target, share, sample, o, g, terms):
        return False
    if task == VALUE:
        return True
    one = theta.dtype.type(1)
    for run in range(len(runs) - 1, -1, -1):
        first, last = runs[run, OF_RUN.first], runs[run, OF_RUN.last]
        block, last_block = runs[run, OF_RUN.block], runs[run, OF_RUN.last_block]
        if backward(table, theta, a, o, g, gradient, False, False, first, last) >= 0:
            return False
        for i in range(block, last_block):
            if blocks[i, OF_BLOCK.column] + blocks[i, OF_BLOCK.columns] > input_width:
                each, by_column = blocks[i], blocks[i, OF_BLOCK.down] == 1
                rows, cols = each[OF_BLOCK.rows], each[OF_BLOCK.columns]
                row_w = max(each[OF_BLOCK.down], each[OF_BLOCK.right])
                w = place(theta, each[OF_BLOCK.first])
                delta = place(a_flat, each[OF_BLOCK.row] * width)
                to = place(g_flat, each[OF_BLOCK.column] * width)
                if width > 1:
                    call_gemm(
                        gemm, not by_column, False, cols, width, rows, one, w, row_w, delta, width, one, to, width
                    )
                else:
                    m, n = (cols, rows) if by_column else (rows, cols)
                    call_gemv(gemv, not by_column, m, n, one, w, row_w, delta, width, one, to, width)
    if not direct:
        first_input = int64(0)  # a bare 0 is compiled again
        backward(table, theta, a, o, g, gradient, False, False, first_input, products.own_inputs)
    return True


@njit(inline="always", **INNER)
def multiply_backward(gemm, table, block, first, last, direct, inputs, memory, lanes, gradient):
    """The derivatives by some weights of a block: delta times the transpose of what it reads.

    They are those of its rows `first` to `last`, over the samples of all lanes. Gives whether they are finite.
    """
    columns, by_column = inputs.shape[1], block[OF_BLOCK.down] == 1
    rows, cols, column = last - first, block[OF_BLOCK.columns], block[OF_BLOCK.column]
    at, row_c = block[OF_BLOCK.first] + first * block[OF_BLOCK.down], max(block[OF_BLOCK.down], block[OF_BLOCK.right])
    zero, one, to = gradient.dtype.type(0), gradient.dtype.type(1), place(gradient, at)
    for lane in range(len(lanes) - 1):
        begin, width = lanes[lane], lanes[lane + 1] - lanes[lane]
        keep = one if begin > 0 else zero
        a, o, _ = carve(table, memory, begin - lanes[0], width)
        a_flat, o_flat = pointer_to(a), pointer_to(o)
        delta = (block[OF_BLOCK.row] + first) * width
        if width == 1 and not by_column:
            x = inputs[begin, column : column + cols].copy() if direct else o[0, column : column + cols, 0].copy()
            for r in range(rows):
                d, g = a_flat[delta + r], gradient[at + r * row_c : at + r * row_c + cols]
                if keep == one:
                    for c in range(cols):
                        g[c] += d * x[c]
                else:
                    for c in range(cols):
                        g[c] = d * x[c]
            continue
        if direct:
            source, step = place(inputs, begin * columns + column), columns
        else:
            source, step = place(o_flat, column * width), width
        d = place(a_flat, delta)
        if by_column:
            call_gemm(gemm, direct, True, cols, rows, width, one, source, step, d, width, keep, to, row_c)
        else:
            call_gemm(gemm, False, not direct, rows, cols, width, one, d, width, source, step, keep, to, row_c)
    many, length = (cols, rows) if by_column else (rows, cols)
    fine = True
    for i in range(many):
        fine &= inside(pointer_to(gradient), at + i * row_c, at + i * row_c + length, -LARGEST, LARGEST)
    return fine


@compiled(uses=(sparse, *READ), **PLAIN)
def learn_dense(
    gemm,
    gemv,
    table,
    runs,
    blocks,
    tasks,
    own_inputs,
    direct,
    losses,
    limits,
    weighted,
    head_start,
    head_column,
    task,
    theta,
    inputs,
    target,
    share,
    terms,
    sums,
    gradient,
    memory,
    lanes,
    counters,
    bell,
):
    """Some samples forward and backward: what of it no thread has taken yet, of both steps.

    lanes[i] : lanes[i + 1] are the samples of lane i, `sums` has a row for each lane, for derivatives that are not by
    weights of blocks; the others are added to `gradient`, or written to it by the first samples of all. Gives DONE or
    FAILED, for all threads together, or WAITING if another has not ended: it is called again then. Who comes first
    rings the bell. For the VALUE alone there are no tasks, and `gradient` and `sums` have no numbers.
    """
    products = Products(
        gemm=gemm, gemv=gemv, table=table, runs=runs, blocks=blocks, own_inputs=own_inputs, direct=direct
    )
    heads = Heads(
        losses=losses,
        limits=limits,
        weighted=weighted,
        head_start=head_start,
        head_column=head_column,
        task=task,
    )
    given = Given(theta=theta, inputs=inputs, target=target, share=share)
    failures = place(counters, FAILURES)
    while True:
        lane = add(place(counters, LANES_TAKEN), int64(1))
        if lane >= len(lanes) - 1:
            break
        if lane == 0:
            add(place(bell, 0), int64(1))
        before, sample, end = lanes[lane] - lanes[0], lanes[lane], lanes[lane + 1]
        if look(failures) == 0 and not differentiate(
            products, heads, given, terms, sums[lane], memory, before, sample, end
        ):
            add(failures, int64(1))
        add(place(counters, LANES_DONE), int64(1))
    if not reaches(place(counters, LANES_DONE), len(lanes) - 1):
        return WAITING
    if look(failures):
        return FAILED
    while True:
        task = add(place(counters, TASKS_TAKEN), int64(1))
        if task >= len(tasks):
            break
        block, row, last_row = tasks[task, OF_TASK.block], tasks[task, OF_TASK.row], tasks[task, OF_TASK.last_row]
        by_inputs = direct and blocks[block, OF_BLOCK.column] < int64(count(table, AT.input_column))
        if not multiply_backward(gemm, table, blocks[block], row, last_row, by_inputs, inputs, memory, lanes, gradient):
            add(failures, int64(1))
        add(place(counters, TASKS_DONE), int64(1))
    if not reaches(place(counters, TASKS_DONE), len(tasks)):
        return WAITING
    return FAILED if look(failures) else DONE


@compiled(uses=(sparse, *READ), **PLAIN)
def answer_dense(
    gemm, gemv, table, runs, blocks, own_inputs, direct, goal_column, theta, inputs, result, memory, first, last
):
    """The outputs `goal_column` of some samples, to the same rows of `result`; gives whether all went well."""
    products = Products(
        gemm=gemm, gemv=gemv, table=table, runs=runs, blocks=blocks, own_inputs=own_inputs, direct=direct
    )
    _, o, _, fine = run_forward(products, theta, inputs, VALUE, memory, int64(0), first, last)
    return fine and hand_out(table, o, goal_column, int64(0), len(goal_column), first, last, result)


@compiled(**PLAIN)
def listen(bell, rings, patience):
    """Whether the bell, which has rung so many times, rings again within so many looks at it."""
    while patience > 0 and look(place(bell, 0)) == rings:
        patience -= 1
    return patience > 0
