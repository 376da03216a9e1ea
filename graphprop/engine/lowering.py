"""From a layout to a schedule: what runs, in which order, what of it is dense, and the weights sorted both ways."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graphprop.engine.loops.edges import find_cuts, find_levels, mark_ancestors, sign_rows, sort_by
from graphprop.engine.loops.table import Before
from graphprop.engine.schedule import Block, Run, Schedule
from graphprop.graph.layout import Array, Layout
from graphprop.passes.heads import outputs_of

DENSE_FROM = 1024  # weights; fewer are as fast in the sparse loops as in a call of BLAS
PIECE = 512  # numbers for one sample; what is smaller is not cut into pieces
ABSENT = 0xFFFFFFFF  # the number of what does not run


@dataclass
class Numbered:
    """Nodes with their rows and columns numbered as they come, and the uses of weights among them sorted by row."""

    nodes: Array
    row_first: Array
    column_first: Array
    rows: Array
    columns: Array
    start: Array
    column: Array
    position: Array
    use: Array


def lower_layout(layout: Layout) -> Schedule:
    """The schedule that computes the outputs of all heads."""
    layout.check_runnable()
    head_of_goal = [(layout.find(name), h) for h, head in enumerate(layout.heads) for name in head]
    goals, heads = np.array(head_of_goal, dtype=np.intp).reshape(-1, 2).T
    return lower(layout, goals, heads)


def towards(schedule: Schedule, wanted: tuple[int, ...] | None) -> Schedule:
    """The schedule of the same network that computes the outputs of these nodes, by number; None are all nodes."""
    if wanted and schedule.layout.heads and wanted is outputs_of(schedule.layout)[0]:
        return schedule
    found = schedule.towards.get(wanted)
    if found is None:
        goals = range(len(schedule.layout.names)) if wanted is None else wanted
        numbers = np.unique(np.array(goals, dtype=np.intp))
        same = np.array_equal(numbers, np.unique(schedule.goals))
        found = schedule if same else lower(schedule.layout, numbers)
        if len(schedule.towards) > 32:
            schedule.towards.clear()  # another thread may be about to read what is kept
        found = schedule.towards.setdefault(wanted, found)
    return found


def lower(layout: Layout, goals: Array, heads: Array | None = None) -> Schedule:
    """The schedule that computes the outputs of the nodes `goals`, which belong to these heads in order."""
    into_start, level, runs = what_runs(layout, goals)
    is_input = np.diff(layout.a_start) == 0
    piece, piece_heads = _find_pieces(layout, goals, heads, into_start, runs)
    inputs = np.flatnonzero(is_input & runs)
    inputs = inputs[np.argsort(piece[inputs], kind="stable")]
    others = layout.order[(runs & ~is_input)[layout.order]]
    kind = layout.kinds[1]
    others = others[np.lexsort((kind[others], level[others], piece[others]))]
    numbered = number_nodes(layout, np.concatenate((inputs, others)))
    alike = alike_rows(numbered, level)
    own_inputs = piece[inputs] * len(piece) + inputs
    if len(piece_heads) > 2:
        by_piece = _inputs_by_piece(layout, piece, goals, runs)
        if len(by_piece) > len(inputs) and not alike_rows(numbered, level * len(piece_heads) + piece).any():
            own_inputs = by_piece
            alike[:] = 0  # rows that are alike in different pieces do not hold these together
    blocks: list[Block] = []
    if alike.any():  # what is alike has to stand together
        piece, piece_heads = np.zeros_like(piece), piece_heads[[0, -1]]
        inputs = own_inputs = np.sort(inputs)
        first = numbered.row_first[len(inputs) : -1]
        others = others[np.lexsort((kind[others], alike[first], level[others]))]
        numbered = number_nodes(layout, np.concatenate((inputs, others)))
        blocks = list(_find_blocks(numbered, alike_rows(numbered, level), layout.count_of_uses))
    if len(own_inputs) > len(inputs):
        numbered = _number_by_piece(layout, own_inputs, others, piece)
    piece_of_input, inputs = np.divmod(own_inputs, len(piece))
    numbers = np.arange(len(piece_heads))
    first_input = np.searchsorted(piece_of_input, numbers)
    first_node = len(inputs) + np.searchsorted(piece[others], numbers)
    pieces = np.stack(Before(inputs=first_input, nodes=first_node, heads=piece_heads), axis=1)
    return assemble(layout, goals, numbered, blocks, inputs, level, pieces)


def what_runs(layout: Layout, goals: Array) -> tuple[Array, Array, Array]:
    """Where the edges into each node begin, the level of each node, and whether it leads to a goal."""
    into_start = np.searchsorted(layout.edge_target, np.arange(len(layout.names) + 1)).astype(np.uint32)
    level = find_levels(layout.order, into_start, layout.edge_source)
    runs = np.zeros(len(level), dtype=bool)
    runs[goals] = True
    mark_ancestors(layout.order, into_start, layout.edge_source, runs)
    return into_start, level, runs


def _find_pieces(
    layout: Layout, goals: Array, heads: Array | None, into_start: Array, runs: Array
) -> tuple[Array, Array]:
    """Of each node the number of its piece, and how many heads come before each piece."""
    piece = np.zeros(len(runs), dtype=np.intp)
    numbers = np.where(runs, np.diff(layout.a_start) + 2 * np.diff(layout.o_start), 0)
    if heads is None or len(heads) == 0 or numbers.sum() <= PIECE:
        return piece, np.array([0, 0 if heads is None or len(heads) == 0 else int(heads[-1]) + 1])
    count = int(heads[-1]) + 1
    lowest, highest = np.full(len(runs), count), np.full(len(runs), -1)
    np.minimum.at(lowest, goals, heads)
    np.maximum.at(highest, goals, heads)
    shared = np.diff(layout.a_start) == 0  # each piece can have an input for itself that it reads
    shared[goals] = False
    cuts = find_cuts(layout.order, into_start, layout.edge_source, runs, shared, lowest, highest, count)
    part = np.concatenate(([0], np.cumsum(cuts)))  # of each head, the number of its smallest possible piece
    own_inputs = _inputs_by_piece(layout, part[np.minimum(lowest, count - 1)], goals, runs)
    others = runs & (np.diff(layout.a_start) > 0)
    sizes = np.bincount(part[lowest[others]], numbers[others], minlength=part[-1] + 1)
    sizes += np.bincount(own_inputs // len(runs), numbers[own_inputs % len(runs)], minlength=len(sizes))
    joined = np.unique((np.cumsum(sizes) - sizes) // PIECE, return_inverse=True)[1]  # the small ones together
    piece_of_head = joined[part]
    piece[runs] = piece_of_head[lowest[runs]]
    return piece, np.searchsorted(piece_of_head, np.arange(piece_of_head[-1] + 2))


def _inputs_by_piece(layout: Layout, piece: Array, goals: Array, runs: Array) -> Array:
    """The inputs that each piece reads or has as goals, as piece times number of nodes plus input; ascending."""
    is_input = np.diff(layout.a_start) == 0
    reads = is_input[layout.edge_source] & runs[layout.edge_target]
    own = piece[layout.edge_target[reads]] * len(piece) + layout.edge_source[reads]
    inputs = goals[is_input[goals]]
    return np.unique(np.concatenate((own, piece[inputs] * len(piece) + inputs)))


def _number_by_piece(layout: Layout, own_inputs: Array, others: Array, piece: Array) -> Numbered:
    """As `number_nodes`, where an input has a column in each piece that reads it."""
    piece_of_input, inputs = np.divmod(own_inputs, len(piece))
    numbered = number_nodes(layout, np.concatenate((inputs, others)))
    width, input_width = int(layout.o_start[-1]), int(numbered.column_first[len(inputs)])
    of_columns = np.repeat(piece_of_input, np.diff(numbered.column_first)[: len(inputs)])
    own_columns = of_columns * width + numbered.columns[:input_width]
    of_rows = np.repeat(piece[others], np.diff(numbered.row_first)[len(inputs) :])
    of_uses = np.repeat(of_rows, np.diff(numbered.start))
    from_input = numbered.column < input_width
    read = of_uses[from_input] * width + layout.column[numbered.use[from_input]]
    numbered.column[from_input] = np.searchsorted(own_columns, read)
    return numbered


def number_nodes(layout: Layout, nodes: Array) -> Numbered:
    row_first, rows = _gathered(layout.a_start, nodes)
    column_first, columns = _gathered(layout.o_start, nodes)
    row_number = np.full(layout.a_start[-1], ABSENT, dtype=np.uint32)
    row_number[rows] = np.arange(len(rows))
    column_number = np.full(layout.o_start[-1], ABSENT, dtype=np.uint32)
    column_number[columns] = np.arange(len(columns))
    row = row_number[layout.row]
    use = np.flatnonzero(row != ABSENT).astype(np.uint32)
    start, by_row = sort_by(row[use], len(rows))
    use = use[by_row]
    column, position = column_number[layout.column[use]], layout.position[use].astype(np.uint32)
    return Numbered(nodes, row_first, column_first, rows, columns, start, column, position, use)


def _gathered(starts: Array, nodes: Array) -> tuple[Array, Array]:
    """Where each node begins if their slices stand one behind the other, and the old number of each entry."""
    lengths = np.diff(starts)[nodes]
    first = np.concatenate(([0], np.cumsum(lengths)))
    old = np.arange(first[-1]) + np.repeat(starts[nodes] - first[:-1], lengths)
    return first.astype(np.uint32), old


# ------------------------------------------------------------------ dense blocks


def alike_rows(numbered: Numbered, level: Array) -> Array:
    """For each row the number of its group: rows of one level with the same columns, enough for a block; else 0."""
    length = np.diff(numbered.start).astype(np.uint64)
    group = np.zeros(len(length), dtype=np.intp)
    wide = np.flatnonzero(length > 1)
    sign = sign_rows(numbered.start, numbered.column)[wide]
    sign ^= np.repeat(level[numbered.nodes], np.diff(numbered.row_first))[wide].astype(np.uint64)
    _, which, count = np.unique(sign, return_inverse=True, return_counts=True)
    enough = (count[which] > 1) & (count[which] * length[wide] >= DENSE_FROM)
    group[wide[enough]] = which[enough] + 1
    return group


def _find_blocks(numbered: Numbered, group: Array, uses: Array) -> Iterator[Block]:
    """The blocks among rows that are alike and stand together, and that hold all rows of their nodes."""
    boundaries = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
    for first, last in itertools.pairwise(boundaries.tolist()):
        if group[first] and last - first > 1 and np.isin([first, last], numbered.row_first).all():
            yield from _split_columns(numbered, first, last, uses)


def _split_columns(numbered: Numbered, first: int, last: int, uses: Array) -> Iterator[Block]:
    """A block for each range of columns without a gap."""
    entries = slice(int(numbered.start[first]), int(numbered.start[last]))
    column = numbered.column[entries].reshape(last - first, -1)
    by_column = np.argsort(column, axis=1)
    column, position, use = (
        np.take_along_axis(part.reshape(column.shape), by_column, axis=1)
        for part in (column, numbered.position[entries], numbered.use[entries])
    )
    if not (column == column[0]).all():
        return
    gaps = [0, *(np.flatnonzero(np.diff(column[0]) != 1) + 1).tolist(), column.shape[1]]
    for left, right in itertools.pairwise(gaps):
        positions = position[:, left:right].astype(np.intp)
        if right - left < 2 or positions.size < DENSE_FROM:
            continue
        strided = _is_strided(positions)
        if strided or len(np.unique(positions)) == positions.size:
            columns = slice(int(column[0, left]), int(column[0, right - 1]) + 1)
            use_numbers, alone = use[:, left:right].astype(np.intp), bool((uses[positions] == 1).all())
            yield Block(
                rows=slice(first, last),
                columns=columns,
                positions=positions,
                uses=use_numbers,
                strided=strided,
                alone=alone,
            )


def _is_strided(positions: Array) -> bool:
    """Whether they are regular, without a position twice, and in an order that BLAS can read."""
    rows, columns = positions.shape
    first = int(positions[0, 0])
    down, right = int(positions[1, 0]) - first, int(positions[0, 1]) - first
    if not ((right == 1 and down >= columns) or (down == 1 and right >= rows)):
        return False
    return bool((positions == first + down * np.arange(rows)[:, None] + right * np.arange(columns)).all())


# ------------------------------------------------------------------ the schedule


def assemble(
    layout: Layout,
    goals: Array,
    numbered: Numbered,
    blocks: list[Block],
    inputs: Array,
    level: Array,
    pieces: Array,
) -> Schedule:
    nodes, columns = numbered.nodes, len(numbered.columns)
    row = np.repeat(np.arange(len(numbered.rows), dtype=np.uint32), np.diff(numbered.start))
    column, position, use, start = numbered.column, numbered.position, numbered.use, numbered.start
    if blocks:
        sparse = np.ones(layout.row.shape, dtype=bool)
        for block in blocks:
            sparse[block.uses] = False
        kept = sparse[use]
        row, column, position, use = row[kept], column[kept], position[kept], use[kept]
        start = np.searchsorted(row, np.arange(len(numbered.rows) + 1)).astype(np.uint32)
    child_start, by_column = sort_by(column, columns)
    bias_position = np.full(layout.a_start[-1], -1)
    bias_use = bias_position.copy()
    bias_position[layout.bias_row] = layout.bias_position
    bias_use[layout.bias_row] = len(layout.row) + np.arange(len(layout.bias_row))
    preset = np.zeros(columns, dtype=bool)
    is_goal = np.zeros(len(layout.names), dtype=bool)
    is_goal[goals] = True
    preset[np.repeat(is_goal[nodes], np.diff(numbered.column_first))] = True
    for block in blocks:
        preset[block.columns] = True
    kinds, kind = layout.kinds
    input_columns = numbered.columns[: numbered.column_first[len(inputs)]]
    return Schedule(
        layout=layout,
        goals=goals,
        nodes=nodes,
        row_first=numbered.row_first,
        column_first=numbered.column_first,
        rows=numbered.rows,
        columns=numbered.columns,
        start=start,
        column=column,
        position=position,
        use=use,
        child_start=child_start,
        child_row=row[by_column],
        child_position=position[by_column],
        child_use=use[by_column],
        bias_position=bias_position[numbered.rows],
        bias_use=bias_use[numbered.rows],
        preset=preset,
        stop=_side_by_side(level[nodes], kind[nodes], np.array([f.kind == "elementwise" for f in kinds], dtype=bool)),
        kinds=kinds,
        kind=kind[nodes],
        inputs=len(inputs),
        input_columns=np.searchsorted(layout.input_columns, input_columns),
        runs=tuple(_cut_into_runs(numbered.row_first, len(inputs), blocks)),
        pieces=pieces,
        levels=int(level[nodes].max(initial=0)) + 1,
    )


def _side_by_side(level: Array, kind: Array, elementwise: Array) -> Array:
    """Of each node, where the nodes next to it end that have its level and its elementwise activation."""
    apart = np.ones(max(0, len(level) - 1), dtype=bool)
    if len(elementwise):
        apart = (np.diff(level) != 0) | (np.diff(kind) != 0) | ~elementwise[kind[1:]]
    ends = np.append(np.flatnonzero(apart) + 1, len(level))
    return np.repeat(ends, np.diff(ends, prepend=0)).astype(np.uint32)


def _cut_into_runs(row_first: Array, inputs: int, blocks: list[Block]) -> Iterator[Run]:
    """The nodes of the blocks by themselves, those between them together."""
    done, nodes = inputs, len(row_first) - 1
    by_rows: dict[tuple[int, int], list[Block]] = {}
    for block in blocks:
        by_rows.setdefault((block.rows.start, block.rows.stop), []).append(block)
    for rows, alike in sorted(by_rows.items()):
        first, last = np.searchsorted(row_first[inputs:], rows).tolist()
        if done < inputs + first:
            yield Run(done, inputs + first)
        done = inputs + last
        yield Run(inputs + first, done, tuple(alike))
    if done < nodes:
        yield Run(done, nodes)
