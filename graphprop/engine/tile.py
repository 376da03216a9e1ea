"""A schedule as the loops of one tile read it: a batch that is not cut, from the inputs to the outputs in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphprop.engine.blas import blas_addresses
from graphprop.engine.fast_dense import WORTH_SHARING, runs_and_blocks
from graphprop.engine.loops import linear
from graphprop.engine.loops.table import Table
from graphprop.engine.machine_form import calls_python, table_of
from graphprop.engine.schedule import Schedule
from graphprop.engine.threads import with_one_blas_thread
from graphprop.engine.tiles import TILE_BYTES, cut_batch
from graphprop.graph.layout import Array


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Tile:
    """What stays the same for batches of one size."""

    table: Table  # here to be held
    multiplies: bool  # whether it calls BLAS
    products: tuple[Any, ...]  # with what, and of what: the first arguments of all loops
    forward: tuple[Any, ...]  # by position, as keywords would take a tenth of the time
    backward: tuple[Any, ...]
    goals: int  # how many columns the outputs have
    numbers: int  # of the state: a, o, and the derivatives by o


def one_tile(schedule: Schedule, samples: int, dtype: np.dtype[Any]) -> Tile | None:
    """None for a batch that is cut, or that the loops alone cannot run: see `ways.py`."""
    return schedule.kept(("one tile", samples, dtype), _one_tile, samples, dtype)


def _one_tile(schedule: Schedule, samples: int, dtype: np.dtype[Any]) -> Tile | None:
    fits = dtype.itemsize * samples * schedule.size <= TILE_BYTES and samples * schedule.weights <= WORTH_SHARING
    if not fits or calls_python(schedule, dtype):
        return None
    products = blas_addresses(dtype) if schedule.is_dense else (0, 0)
    if products is None or not all(block.strided and block.alone for block in schedule.blocks):
        return None
    runs, blocks = runs_and_blocks(schedule)
    table, goal_column = table_of(schedule, dtype), schedule.goal_columns
    direct = schedule.inputs_are_dense and schedule.reads_all_inputs
    arrays = *products, table.places, runs, blocks
    return Tile(
        table=table,
        multiplies=schedule.is_dense,
        products=arrays,
        forward=(*arrays, direct, goal_column),
        backward=(*arrays, schedule.inputs, direct, goal_column),
        goals=len(goal_column),
        numbers=samples * schedule.size,
    )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PullBack:
    """The derivatives of seeds times outputs, for batches of one size."""

    schedule: Schedule
    tile: Tile
    checks_theta: bool  # whether there are parameters that nothing reads

    @classmethod
    def of(cls, schedule: Schedule, samples: int, dtype: np.dtype[Any]) -> PullBack | None:
        """None for a batch that `general.py` would cut, or add up in another order."""
        tile, cut = one_tile(schedule, samples, dtype), cut_batch(schedule, samples, dtype.itemsize, 1)
        if tile is None or len(cut.parts) * cut.tiles > 1 or not adds_in_order(schedule):
            return None
        return cls(schedule=schedule, tile=tile, checks_theta=len(schedule.unused_positions) > 0)

    def run(self, theta: Array, inputs: Array, seeds: Array) -> tuple[Array, Array] | None:
        """By theta and by the inputs; None if any number is not what it may be."""
        gradient, by_inputs = np.empty(len(theta), theta.dtype), np.empty(inputs.shape, theta.dtype)

        def pull() -> bool:
            fine: bool = linear.push_and_pull(*self.tile.backward, theta, inputs, seeds, gradient, by_inputs)
            return fine

        fine = with_one_blas_thread(pull) if self.tile.multiplies else pull()
        return (gradient, by_inputs) if fine else None


def adds_in_order(schedule: Schedule) -> bool:
    """Whether no sum is of several products, which BLAS adds up in another order than numpy if they are long."""
    read = [column for block in schedule.blocks for column in range(block.columns.start, block.columns.stop)]
    return all(len(run.blocks) < 2 for run in schedule.runs) and len(set(read)) == len(read)
