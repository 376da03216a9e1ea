"""How a batch is cut into tiles, parts and lanes: by its shape alone, so that results do not depend on the threads."""

from __future__ import annotations

from dataclasses import dataclass

from graphprop.engine.schedule import Schedule

TILE_BYTES = 1 << 19  # the state of a tile should stay in a core's own cache
PART_BYTES = 1 << 26
PART_WORK = 200_000  # weights times samples; less is not worth handing to another thread
WORTH_CHECKING = 1 << 28  # bytes; less always fits
STRETCH_WORK = 100_000_000  # about a tenth of a second
LANES = 8
VECTOR = 8  # numbers


@dataclass(frozen=True)
class Cut:
    """How a batch is cut: the samples of each part, the tiles that hold them, and the samples in a tile.

    A part is some tiles of samples that are in memory at the same time; the parts of one lane follow each other and
    add to one gradient.
    """

    parts: tuple[slice, ...]
    tiles: int
    width: int
    lanes: int
    exact: bool  # whether a part has one tile that fits

    def state_size(self, schedule: Schedule) -> int:
        """How many numbers a part holds: a, o and the derivatives by o."""
        return self.tiles * self.width * schedule.size

    def shape(self, part: slice) -> tuple[int, int]:
        """The number of tiles of a part, and their width."""
        count = part.stop - part.start
        return (1, count) if self.exact else (-(-count // self.width), self.width)


def cut_batch(schedule: Schedule, samples: int, item: int, gradient: int = 0) -> Cut:
    """How to cut a batch of numbers of `item` bytes, for partial gradients of that many numbers."""
    sample_bytes = max(1, item * schedule.size)
    work = samples * (schedule.weights + len(schedule.rows))
    if schedule.is_dense:
        count = max(1, min(samples // 128, LANES), -(-samples * sample_bytes // PART_BYTES))
        width, tiles = -(-samples // count), 1
    else:
        width = tile_width(samples, sample_bytes, work)
        count = -(-samples // width)
        tiles = -(-count // max(1, min(count, work // PART_WORK)))
        tiles = max(1, min(tiles, PART_BYTES // (width * sample_bytes)))
    starts = range(0, samples, width * tiles)
    parts = tuple(slice(start, min(samples, start + width * tiles)) for start in starts)
    return Cut(parts, tiles, width, most_lanes(len(starts), item * gradient), schedule.is_dense)


def tile_width(samples: int, sample_bytes: int, work: int) -> int:
    """The samples in a tile: all if they fit and are no work for two, else from 16 to 128, in whole vectors."""
    widest = samples if samples * sample_bytes <= TILE_BYTES else max(32, min(128, TILE_BYTES // sample_bytes))
    if work > 2 * PART_WORK:
        widest = min(widest, max(16, -(-samples // 2)))
    widest = max(1, min(widest, PART_BYTES // sample_bytes, samples))
    count = -(-samples // widest)
    if count == 1:
        return samples
    width = -(-samples // (count + count % 2))  # for two lanes the same
    return width + -width % VECTOR if widest >= VECTOR else width


def most_lanes(parts: int, gradient_bytes: int) -> int:
    """The lanes to which parts are dealt; each has a gradient of its own."""
    return min(parts, LANES, max(2, PART_BYTES * 8 // max(1, gradient_bytes)))


def tile_lanes(tiles: int, work: int, gradient_bytes: int) -> int:
    """The lanes to which tiles are dealt, if each should have enough to do."""
    return most_lanes(max(1, min(tiles, work // PART_WORK)), gradient_bytes)


def stretch_length(samples: int, work: int, step: int) -> int:
    """After how many samples, a multiple of `step`, to look whether there is an interrupt."""
    return step * max(1, STRETCH_WORK * samples // (max(1, work) * step))
