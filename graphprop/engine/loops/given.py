"""What comes with a call, made into arrays of the kind that the loops read."""

import numpy as np
from numba import njit

from graphprop.engine.loops.caching import compiled

MOST_PARTS = 64  # of a sum of doubles of at most 1; each has 53 bits of its own


@compiled()
def rounded(numbers, result):
    """Double numbers as single ones, both one behind the other; what is out of range becomes infinite."""
    for i in range(len(numbers)):
        result[i] = numbers[i]


@compiled()
def classes(labels, starts, rows):
    """Class labels, one for each sample and head, as 1 in rows of 0; gives whether there are such classes.

    Head h has the columns starts[h] : starts[h + 1].
    """
    for k in range(len(labels)):
        for head in range(len(starts) - 1):
            label, first = labels[k, head], starts[head]
            if not 0 <= label < starts[head + 1] - first:
                return False
            rows[k, first + label] = 1.0
    return True


@njit
def _rounded_once(parts, count):
    """The sum of numbers that do not overlap, the smallest first."""
    total = rest = 0.0
    while count > 0 and rest == 0.0:
        count -= 1
        before = total
        total = before + parts[count]
        rest = parts[count] - (total - before)
    if count > 0 and rest * parts[count - 1] > 0.0:  # half a unit and more is left
        further = total + 2.0 * rest
        if further - total == 2.0 * rest:
            return further
    return total


@compiled()
def shares(weights, result):
    """What each sample counts for, together 1; gives whether the weights are finite, not negative, and not all 0.

    Their sum is rounded once, as `math.fsum` does it.
    """
    largest = 0.0
    for weight in weights:
        if not 0.0 <= weight < np.inf:
            return False
        largest = max(largest, weight)
    if largest == 0.0:
        return False
    parts, count = np.empty(MOST_PARTS), 0
    for i in range(len(weights)):
        result[i] = x = weights[i] / largest
        kept = 0
        for j in range(count):
            y = parts[j]
            if abs(x) < abs(y):
                x, y = y, x
            total = x + y
            rest = y - (total - x)
            if rest != 0.0:
                parts[kept] = rest
                kept += 1
            x = total
        parts[kept] = x
        count = kept + 1
    total = _rounded_once(parts, count)
    for i in range(len(weights)):
        result[i] /= total
    return True
