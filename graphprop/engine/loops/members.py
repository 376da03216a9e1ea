"""What is asked of pieces of a batch that have nothing to do with each other: the sum of the losses of each."""

from graphprop.engine.loops import addresses, places, sparse, table
from graphprop.engine.loops.caching import PLAIN, compiled
from graphprop.engine.loops.sparse import BEFORE, IN_BATCH, LARGEST, wholes

READ = addresses, places, sparse, table


@compiled(uses=READ, **PLAIN)
def sum_by_piece(batch, terms, result):
    """Of each piece the sum of the terms (samples, heads) of its heads, as `learn` adds all of them.

    What the additions round off is added up by itself, in the order of the samples. Gives whether all are finite.
    """
    pieces, finite = wholes(batch, IN_BATCH.pieces), True
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
        finite &= abs(total + rest) <= LARGEST
    return finite
