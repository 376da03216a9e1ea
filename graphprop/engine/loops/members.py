"""What is asked of pieces of a batch that have nothing to do with each other: the loss of each."""

import numpy as np

from graphprop.engine.loops import addresses, places, sparse, table
from graphprop.engine.loops.addresses import count, pointer_to
from graphprop.engine.loops.caching import PLAIN, compiled
from graphprop.engine.loops.sparse import (
    BEFORE,
    IN_BATCH,
    LARGEST,
    VALUE,
    carve,
    compare,
    forward,
    inside,
    masks_fit,
    read_inputs,
    reals,
    table_of_piece,
    wholes,
)

READ = addresses, places, sparse, table


@compiled(uses=READ, **PLAIN)
def sum_by_piece(batch, terms, result):
    """Of each piece the sum of the terms (samples, heads) of its heads, as `learn` adds all of them.

    What the additions round off is added up by itself, in the order of the samples.
    """
    pieces = wholes(batch, IN_BATCH.pieces)
    for piece in range(len(result)):
        first, last = pieces[piece * len(BEFORE) + BEFORE.heads], pieces[(piece + 1) * len(BEFORE) + BEFORE.heads]
        total = rest = 0.0
        for k in range(terms.shape[0]):
            for head in range(first, last):
                x = terms[k, head]
                s = total + x
                part = s - total
                rest += (total - (s - part)) + (x - part)
                total = s
        result[piece] = total + rest


@compiled(uses=READ, **PLAIN)
def judge(batch, theta, inputs, target, share, terms, memory):
    """The losses of a program without dense blocks, in pieces, by a forward pass alone: see `learn`.

    Gives whether all went well. In the memory for derivatives by outputs stands what nobody asks for.
    """
    pieces, limits = wholes(batch, IN_BATCH.pieces), reals(batch, IN_BATCH.limits)
    head_start, head_column = wholes(batch, IN_BATCH.head_start), wholes(batch, IN_BATCH.head_column)
    loss, width = batch[IN_BATCH.loss, 0], np.int64(batch[IN_BATCH.width, 0])
    columns, targets, samples = inputs.shape[1], target.shape[1], len(inputs)
    if not (
        inside(pointer_to(inputs), 0, samples * columns, -LARGEST, LARGEST)
        and inside(pointer_to(target), 0, samples * targets, limits[0], limits[1])
    ):
        return False
    for piece in range(len(pieces) // len(BEFORE) - 1):
        table = table_of_piece(batch, piece)
        a, o, g = carve(table, memory, 0, width)
        this, next_one = piece * len(BEFORE), (piece + 1) * len(BEFORE)
        own_inputs = pieces[next_one + BEFORE.inputs] - pieces[this + BEFORE.inputs]
        nodes = np.int64(count(table, sparse.AT.function))
        for begin in range(0, samples, width):
            read_inputs(table, inputs, begin, o)
            if forward(table, theta, a, o, VALUE, own_inputs, nodes, False) >= 0 or not masks_fit(table, theta, a, o):
                return False
            those = head_start, head_column, pieces[this + BEFORE.heads], pieces[next_one + BEFORE.heads]
            if not compare(loss, *those, target, share, begin, o, g, terms):
                return False
    return True
