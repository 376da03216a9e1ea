"""Which numbers may stand somewhere, and the compiled loops that look."""

import numpy as np
from numba import njit, uint64

from graphprop.engine.loops.addresses import pointer_to
from graphprop.engine.loops.caching import INNER

LARGEST = float(np.finfo(np.float64).max)
# of targets
RANGES = {"any": (-LARGEST, LARGEST), "distribution": (0.0, LARGEST), "unit": (0.0, 1.0), "sign": (-1.0, 1.0)}


@njit(**INNER)
def inside(numbers, first, last, low, high):
    """Whether all numbers from one place to another are in a range; nan is in none."""
    fitting = uint64(0)
    for i in range(uint64(first), uint64(last)):
        fitting += uint64(low <= numbers[i] <= high)
    return fitting == uint64(last) - uint64(first)


@njit(**INNER)
def inside_or_missing(numbers, first, last, low, high):
    """The same where some are missing, which are nan."""
    fine = True
    for i in range(uint64(first), uint64(last)):
        fine &= low <= numbers[i] <= high or numbers[i] != numbers[i]
    return fine


@njit(**INNER)
def within(array, low, high):
    """The same of a whole array."""
    return inside(pointer_to(array), 0, array.size, low, high)
