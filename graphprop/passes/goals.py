"""What a user wants to be differentiated, read once: node, component, loss, target, sample_weight and seed.

An `Objective` that was read is taken in their place, for the same structure and as many samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, NumberError, UnknownNameError
from graphprop.functions.loss import Loss, check_targets, is_labels, one_hot
from graphprop.functions.losses import loss
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import object_array, real_array
from graphprop.given.frames import along_samples, by_name, hint, is_series
from graphprop.graph.layout import Array, Heads, Layout, Name, default_heads
from graphprop.notation.escaping import label
from graphprop.passes.objective import Objective, head_name

Target: TypeAlias = "Mapping[Any, Any] | ArrayLike"  # by name, or the columns of all outputs; a data frame is a mapping
Seeds: TypeAlias = "Mapping[Any, Any]"  # by name, shaped like the outputs


def read_objective(
    layout: Layout,
    samples: int,
    batched: bool,
    node: Name | Objective | None = None,
    *,
    component: int | None = None,
    loss: Any = None,
    target: Any = None,
    sample_weight: Any = None,
    seed: Mapping[Any, Any] | None = None,
    exact: bool = False,
) -> Objective:
    """The objective that a user asked for, or an error that says what is wrong with it.

    In place of a node it may be an objective that was read before. With `exact`, targets and seeds may be numbers of
    another kind than floats, and are kept as they are.
    """
    asked = [what for what, given in (("a node", node), ("loss=", loss), ("seed=", seed)) if given is not None]
    if len(asked) != 1:
        found = f"not {' and '.join(asked)}" if asked else "and none of them was given"
        raise GraphpropError(f"an objective is a node, or loss= with target=, or seed=; one of them, {found}")
    if component is not None and (node is None or isinstance(node, Objective)):
        raise GraphpropError("component= belongs to a node")
    if (target is not None or sample_weight is not None) and loss is None:
        raise GraphpropError(f"{'target' if target is not None else 'sample_weight'}= belongs to loss=")
    if loss is not None:
        return read_loss(layout, samples, batched, loss, target, sample_weight, exact)
    if seed is not None:
        return _read_seed(layout, samples, batched, seed, exact)
    if isinstance(node, Objective):
        return _asked_again(node, layout, samples, exact)
    assert node is not None
    return _read_node(layout, samples, node, component)


def _asked_again(objective: Objective, layout: Layout, samples: int, exact: bool) -> Objective:
    """An objective that was read, if it fits these samples of this structure."""
    if not objective.layout.same_structure(layout):
        raise GraphpropError(f"the objective, {objective}, is of another structure")
    if objective.samples != samples:
        counts = " and ".join(f"{n} sample{'' if n == 1 else 's'}" for n in (objective.samples, samples))
        raise GraphpropError(f"the objective, {objective}, and the pass are of {counts}; they must agree")
    return objective if exact else objective.in_floats()


def _read_node(layout: Layout, samples: int, name: Name, component: int | None) -> Objective:
    v = layout.find(name)
    m = layout.nodes[v].m
    if component is None:
        if m > 1:
            raise GraphpropError(f"node {name!r} has {m} outputs; say which one with component=")
        component = 0
    if not is_whole(component, 0, m - 1):
        raise GraphpropError(f"node {name!r}: component={component!r} is out of range; it has 0 to {m - 1}")
    title = f"o[{label(name)}]" + (f"[{component}]" if m > 1 else "")
    return Objective(title, layout, samples, (v,), layout.o_start[v] + np.array([component]), np.ones((samples, 1)))


def _read_seed(layout: Layout, samples: int, batched: bool, given: Any, exact: bool) -> Objective:
    named = _by_node(layout, given, batched)
    if not named:
        raise GraphpropError("seed= is a mapping from node names to the derivatives of the objective by their outputs")
    reads = tuple(layout.find(name) for name in named)
    blocks = [
        _rows(numbers, layout.nodes[v].m, samples, batched, f"seed of node {name!r}", exact)
        for v, (name, numbers) in zip(reads, named.items(), strict=True)
    ]
    columns = np.concatenate([_columns(layout, name) for name in named])
    return Objective("seed * o", layout, samples, reads, columns, np.hstack(blocks))


def _by_node(layout: Layout, given: Any, batched: bool) -> Mapping[Any, Any] | None:
    """What was given by the names of nodes; None if it was given by position, as a series over samples is."""
    named = None if batched and is_series(given) else by_name(given)
    if named is None:
        return None
    for name in named:
        try:
            layout.find(name)
        except UnknownNameError as error:
            raise UnknownNameError(f"{error}{hint(given)}") from None
    return {name: along_samples(numbers) for name, numbers in named.items()} if batched else named


@dataclass(frozen=True, eq=False)
class Reading:
    """What a loss reads of a layout."""

    title: str
    heads: Heads
    starts: Array
    columns: Array
    reads: tuple[int, ...]


_readings: WeakKeyDictionary[Layout, dict[Loss, Reading]] = WeakKeyDictionary()  # of the layouts' own heads


def reading_of(layout: Layout, entry: Loss) -> Reading:
    """What a loss reads of a layout's own heads."""
    kept = _readings.get(layout)
    if kept is None:
        kept = _readings[layout] = {}
    if entry not in kept:
        kept[entry] = _read_heads(layout, entry, layout.heads)
    return kept[entry]


def _read_heads(layout: Layout, entry: Loss, heads: Heads) -> Reading:
    if not heads:
        raise GraphpropError(f"loss {entry.name}: the network has no outputs")
    for head in heads:
        _check_head(layout, entry, head)
    columns = [np.concatenate([_columns(layout, name) for name in head]) for head in heads]
    named = ", ".join(map(head_name, heads[:4])) + (", ..." if len(heads) > 4 else "")
    title = f"{label(entry.name)} of {named}"
    reads = tuple(layout.find(name) for head in heads for name in head)
    starts = np.cumsum([0, *map(len, columns)])
    return Reading(title, heads, starts, np.concatenate(columns), reads)


_outputs: WeakKeyDictionary[Layout, tuple[tuple[int, ...], Array]] = WeakKeyDictionary()


def outputs_of(layout: Layout) -> tuple[tuple[int, ...], Array]:
    """The nodes of all heads in order, and their columns."""
    if layout not in _outputs:
        names = [name for head in layout.heads for name in head]
        if not names:
            raise GraphpropError("the network has no outputs")
        columns = np.concatenate([_columns(layout, name) for name in names])
        _outputs[layout] = tuple(map(layout.find, names)), columns
    return _outputs[layout]


def read_seeds(layout: Layout, samples: int, batched: bool, given: Any) -> Objective:
    """Seeds by name, or an array with the columns of all heads; or an objective that has them."""
    if isinstance(given, Objective):
        if given.seed is None:
            raise GraphpropError(f"the objective, {given}, has no seeds")
        return _asked_again(given, layout, samples, exact=False)
    if _by_node(layout, given, batched) is not None:
        return _read_seed(layout, samples, batched, given, exact=False)
    reads, columns = outputs_of(layout)
    rows = _rows(along_samples(given), len(columns), samples, batched, "seeds: the array", False)
    return Objective("seed * o", layout, samples, reads, columns, rows)


def read_loss(
    layout: Layout, samples: int, batched: bool, given: Any, target: Any, sample_weight: Any, exact: bool = False
) -> Objective:
    """A loss of the heads, with what they are compared with; or an objective, in place of both."""
    if isinstance(target, Objective):
        if target.loss is None:
            raise GraphpropError(f"the objective, {target}, has no loss")
        if given is not None or sample_weight is not None:
            raise GraphpropError("an objective that was read has its loss and sample weights; it is given alone")
        return _asked_again(target, layout, samples, exact)
    if given is None:
        raise GraphpropError("loss= is missing")
    entry = loss(given)
    where = f"loss {entry.name}"
    if target is None:
        raise GraphpropError(f"{where}: target= is missing")
    named = _by_node(layout, target, batched)
    if named is not None:
        reading = _read_heads(layout, entry, _named_heads(layout, named, where))
        targets = [_head_target(layout, entry, head, named, samples, batched, exact) for head in reading.heads]
    else:
        reading = reading_of(layout, entry)
        targets = _split_target(entry, along_samples(target), reading.starts, samples, batched, exact)
    if not exact:
        for head, rows in zip(reading.heads, targets, strict=True):
            try:
                check_targets(entry, rows)
            except NumberError as error:
                raise NumberError(f"{error} (head {head_name(head)})") from None
    weights = None if sample_weight is None else _sample_weight(sample_weight, samples, batched)
    what = reading.reads, reading.columns, None, entry, reading.heads, reading.starts
    return Objective(reading.title, layout, samples, *what, tuple(targets), weights)


def _check_head(layout: Layout, entry: Loss, head: tuple[Name, ...]) -> None:
    """Refuse a loss of logits where it would be a mistake: on probabilities, or on classes with one member."""
    if entry.reads != "logits":
        return
    nodes = [layout.nodes[layout.find(name)] for name in head]
    for name, node in zip(head, nodes, strict=True):
        if node.activation is not None and node.activation.gives == "probabilities":
            raise GraphpropError(
                f"loss {entry.name} reads logits, but node {name!r} ({node.kind}) gives probabilities; "
                f"let it read what {node.kind} is applied to"
            )
    if entry.targets == "distribution" and sum(node.m for node in nodes) == 1:
        raise GraphpropError(f"loss {entry.name}: head {head_name(head)} is one number; several classes are needed")


def _columns(layout: Layout, name: Name) -> Array:
    span = layout.o_slice(layout.find(name))
    return np.arange(span.start, span.stop)


def _named_heads(layout: Layout, target: Mapping[Any, Any], where: str) -> Heads:
    """The heads that a target by name reads: the declared ones it names, and of other nodes what they make."""
    if not target:
        raise GraphpropError(f"{where}: target= names no node")
    declared = layout.heads if layout.outputs_declared else ()
    heads = [head for head in declared if any(name in target for name in head)]
    for head in heads:
        for name in head:
            if name not in target:
                raise GraphpropError(f"{where}: head {head_name(head)} has no target for {name!r}")
    read = {name for head in heads for name in head}
    others = [name for name in target if name not in read]
    nodes = {name: layout.nodes[layout.find(name)] for name in others}
    return (*heads, *default_heads(others, nodes))


def _head_target(
    layout: Layout,
    entry: Loss,
    head: tuple[Name, ...],
    target: Mapping[Any, Any],
    samples: int,
    batched: bool,
    exact: bool,
) -> Array:
    if len(head) == 1:
        m = layout.nodes[layout.find(head[0])].m
        given = target[head[0]]
        where = f"target of node {head[0]!r}"
        if is_labels(entry, given, (samples,) if batched else ()):
            return one_hot(np.reshape(given, (samples, 1)), np.array([0, m]), where)
        return _rows(given, m, samples, batched, where, exact)
    parts = [
        _rows(target[x], layout.nodes[layout.find(x)].m, samples, batched, f"target of node {x!r}", exact) for x in head
    ]
    return np.hstack(parts)


def _split_target(entry: Loss, given: Any, starts: Array, samples: int, batched: bool, exact: bool) -> list[Array]:
    """An array of targets, cut into those of the heads."""
    heads, width = len(starts) - 1, int(starts[-1])
    if batched and type(given) is np.ndarray and given.dtype == float and given.shape == (samples, width):
        rows = given.copy(order="C")
        return [rows] if heads == 1 else np.split(rows, starts[1:-1], axis=1)
    where = f"loss {entry.name}: target"
    lead = (samples,) if batched else ()
    if heads < max(2, width) and is_labels(entry, given, (*lead, heads) if heads > 1 else lead):
        rows = one_hot(np.reshape(given, (samples, heads)), starts, where)
    else:
        rows = _rows(given, width, samples, batched, where, exact)
    return np.split(rows, starts[1:-1], axis=1)


def read_labels(layout: Layout, named: str | Loss, given: Array) -> Array | None:
    """Class labels for a batch as rows of 0 and 1; None if they are not what the loss takes."""
    try:
        entry = loss(named)
        starts = reading_of(layout, entry).starts
        heads, samples = len(starts) - 1, given.shape[:1]
        if not samples or not is_labels(entry, given, (*samples, heads) if heads > 1 else samples):
            return None
        return one_hot(given.reshape(*samples, heads), starts, "")
    except GraphpropError:
        return None


def _rows(given: Any, width: int, samples: int, batched: bool, where: str, exact: bool) -> Array:
    """Numbers for the outputs of a node or a head, as (samples, width)."""
    if isinstance(given, np.ndarray) and given.dtype == bool:  # yes or no is 1 or 0
        given = given.astype(float)
    array = object_array(given, where) if exact else real_array(given, where)
    shapes: list[tuple[int, ...]] = [(samples, width)] if batched else [(width,)]
    if width == 1:
        shapes.append((samples,) if batched else ())
    if array.shape not in shapes:
        allowed = " or ".join(map(str, shapes))
        if array.shape in ((samples,), ()) and where.startswith(("loss", "target")):
            allowed += "; class labels are whole numbers, for losses that read classes"
        raise GraphpropError(f"{where} has shape {array.shape}; it should have {allowed}")
    if not exact and not np.isfinite(array).all():
        raise NumberError(f"{where} has an entry that is not finite: {array[~np.isfinite(array)].ravel()[0]}")
    return array.reshape(samples, width)


def _sample_weight(given: Any, samples: int, batched: bool) -> Array:
    weights = real_array(along_samples(given), "sample_weight")
    shapes: list[tuple[int, ...]] = [(samples,)] if batched else [(), (1,)]
    if weights.shape not in shapes:
        allowed = " or ".join(map(str, shapes))
        raise GraphpropError(
            f"sample_weight has shape {weights.shape}; it should have {allowed}, a number for each sample"
        )
    weights = weights.reshape(-1)
    good = np.isfinite(weights) & (weights >= 0)
    if not good.all():
        bad = int(np.argmin(good))
        raise NumberError(f"sample_weight[{bad}] is {weights[bad]}; it has to be finite and not negative")
    if not weights.any():
        raise NumberError("sample_weight is 0 everywhere; at least one sample has to count")
    scaled: Array = weights / weights.max()
    return scaled
