"""Which loss reads which head: one loss for all of them, or one for each, which its own weight multiplies.

What the heads are compared with is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.loss import Loss
from graphprop.functions.losses import find_loss, loss
from graphprop.given.arrays import one_number
from graphprop.graph.layout import Array, Heads, Layout, Name, default_heads
from graphprop.notation.escaping import label
from graphprop.notation.short import short
from graphprop.passes.objective import HeadLoss, head_name

# one for all heads, or from each head to its own, or to a pair of that and its weight
Losses: TypeAlias = "str | Loss | Mapping[Any, str | Loss | tuple[str | Loss, float]]"

MOST_READINGS = 100  # that are kept of a layout
SHOWN = 4
MOST_NAMED = 8  # outputs in a message


@dataclass(frozen=True, eq=False)
class Reading:
    """What losses read of a layout."""

    losses: tuple[HeadLoss, ...]
    loss: Loss | None  # that of all heads, if they have the same
    starts: Array
    columns: Array
    reads: tuple[int, ...]

    @cached_property
    def kinds(self) -> set[Loss]:
        """The different losses."""
        return {own.loss for own in self.losses}


_readings: WeakKeyDictionary[Layout, dict[Any, Reading]] = WeakKeyDictionary()
_outputs: WeakKeyDictionary[Layout, tuple[tuple[int, ...], Array]] = WeakKeyDictionary()


def read_losses(layout: Layout, given: Losses, target: Mapping[Any, Any] | None) -> tuple[Reading, Array | None]:
    """What is read by what was given, and the weights of the losses if there are some.

    `target` is a target by name: a single loss reads the heads of those nodes. Else all outputs are read.
    """
    if not isinstance(given, Mapping):
        entry = loss(given)
        if target is None:
            return reading_of(layout, entry), None
        heads = _named_heads(layout, target, f"loss {entry.name}")
        return _kept(layout, tuple(HeadLoss(entry, head) for head in heads)), None
    losses, weights = _losses_by_head(layout, given)
    if target is None:
        return _of_all_outputs(layout, losses, weights)
    named = {name for own in losses for name in own.head}
    for own in losses:
        _check_targets(own.head, target, f"loss {own.loss.name}")
    for name in target:
        if name not in named:
            raise GraphpropError(f"target= names {name!r}, for which there is no loss; loss= is for {_listed(losses)}")
    return _kept(layout, losses), _unless_one(weights)


def losses_of(layout: Layout, given: Losses) -> tuple[HeadLoss, ...]:
    """The losses that were given, where no target says which nodes are meant."""
    if isinstance(given, Mapping):
        return _losses_by_head(layout, given)[0]
    return reading_of(layout, loss(given)).losses


def reading_of(layout: Layout, entry: Loss) -> Reading:
    """What a loss reads of a layout's own heads."""
    if (kept := _readings.get(layout)) is not None and entry in kept:
        return kept[entry]
    if not layout.heads:
        raise GraphpropError(f"loss {entry.name}: the network has no outputs")
    return _kept(layout, tuple(HeadLoss(entry, head) for head in layout.heads), entry)


def outputs_of(layout: Layout) -> tuple[tuple[int, ...], Array]:
    """The nodes of all heads in order, and their columns."""
    if layout not in _outputs:
        names = [name for head in layout.heads for name in head]
        if not names:
            raise GraphpropError("the network has no outputs")
        _outputs[layout] = tuple(map(layout.find, names)), columns_of(layout, names)
    return _outputs[layout]


def outputs_in_words(layout: Layout) -> str:
    """The outputs, with how many numbers each has, and what may be done about them."""
    names = [name for head in layout.heads for name in head]
    sizes = [layout.nodes[layout.find(name)].m for name in names[:MOST_NAMED]]
    several = [f"{label(name)} ({m} numbers)" if m > 1 else label(name) for name, m in zip(names, sizes, strict=False)]
    listed = ", ".join(several) + (f", ... {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    if layout.outputs_declared:
        return f"the outputs are {listed}"
    told = f"no outputs were declared, so they are the nodes that nothing reads: {listed}"
    return f"{told}; set_outputs, or outputs= of from_edges, declares others"


def columns_of(layout: Layout, names: Sequence[Name]) -> Array:
    spans = [layout.o_slice(layout.find(name)) for name in names]
    return np.concatenate([np.arange(span.start, span.stop) for span in spans])


def title_of(reading: Reading, weights: Array | None) -> str:
    """What is differentiated, in words: ``mse of y + 0.5 nll of z``."""
    factors = [1.0] * len(reading.losses) if weights is None else weights.tolist()
    terms = []
    for (factor, name), group in groupby(
        zip(factors, reading.losses, strict=True), lambda pair: (pair[0], pair[1].loss.name)
    ):
        heads = [own.head for _, own in group]
        named = ", ".join(map(head_name, heads[:SHOWN])) + (", ..." if len(heads) > SHOWN else "")
        terms.append(f"{'' if factor == 1 else f'{short(factor)} '}{label(name)} of {named}")
    return " + ".join(terms[:SHOWN]) + (" + ..." if len(terms) > SHOWN else "")


# ------------------------------------------------------------------ one loss for each head


def _losses_by_head(layout: Layout, given: Mapping[Any, Any]) -> tuple[tuple[HeadLoss, ...], Array]:
    """The losses of a mapping from heads, in its order, and their weights."""
    if not given:
        raise GraphpropError("loss= is a mapping that names no head")
    losses, weights, taken = [], [], set[Name]()
    for key, told in given.items():
        head = _find_head(layout, key)
        for name in head:
            if name in taken:
                raise GraphpropError(f"loss= names node {name!r} twice")
        taken |= set(head)
        where = f"head {head_name(head)}: "
        what, weight = told if isinstance(told, tuple) and len(told) == 2 else (told, 1.0)
        losses.append(HeadLoss(find_loss(what, where), head))
        weights.append(one_number(weight, f"{where}the weight of its loss"))
        if not np.isfinite(weights[-1]):
            raise NumberError(f"{where}the weight of its loss is {weights[-1]}; it has to be finite")
    return tuple(losses), np.array(weights)


def _find_head(layout: Layout, key: Any) -> tuple[Name, ...]:
    """The head that a node, or the tuple of its nodes, stands for. Nodes that no declared head has make their own."""
    head: tuple[Name, ...] = key if isinstance(key, tuple) and key not in layout.number else (key,)
    if not head or len(set(head)) < len(head):
        raise GraphpropError(f"loss= is a mapping from nodes, or tuples of different nodes, not from {key!r}")
    for name in head:
        layout.find(name)
    for declared in layout.heads if layout.outputs_declared else ():
        if set(declared) == set(head):
            return declared
        if set(head) & set(declared):
            key = repr(declared if len(declared) > 1 else declared[0])
            raise GraphpropError(
                f"loss= names {head_name(head)}, but of the declared outputs {head_name(declared)} are one head, "
                f"which has one loss: loss={{{key}: ...}}"
            )
    return head


def _of_all_outputs(layout: Layout, losses: tuple[HeadLoss, ...], weights: Array) -> tuple[Reading, Array | None]:
    """The same in the order of the outputs, each of which has to be read, for targets that have no names."""
    place = {name: i for i, name in enumerate(name for head in layout.heads for name in head)}
    order = sorted(range(len(losses)), key=lambda i: place.get(losses[i].head[0], 0))
    ordered = tuple(losses[i] for i in order)
    if [name for own in ordered for name in own.head] != list(place):
        raise GraphpropError(
            f"loss= is for {_listed(losses)}; a target without names is for all outputs in order, "
            f"{head_name(tuple(place))}: give each of them a loss, or the target by name"
        )
    return _kept(layout, ordered), _unless_one(weights[order])


def _unless_one(weights: Array) -> Array | None:
    return None if (weights == 1).all() else weights


def _listed(losses: tuple[HeadLoss, ...]) -> str:
    return ", ".join(head_name(own.head) for own in losses[:SHOWN]) + (", ..." if len(losses) > SHOWN else "")


# ------------------------------------------------------------------ what they read


def _kept(layout: Layout, losses: tuple[HeadLoss, ...], key: Any = None) -> Reading:
    """The reading of these losses, made once."""
    kept, key = _readings.setdefault(layout, {}), losses if key is None else key
    if key not in kept:
        reading = _read(layout, losses)
        if len(kept) > MOST_READINGS:
            kept.clear()
        kept[key] = reading
        return reading
    return kept[key]


def _read(layout: Layout, losses: tuple[HeadLoss, ...]) -> Reading:
    for own in losses:
        _check_head(layout, own)
    columns = [columns_of(layout, own.head) for own in losses]
    reads = tuple(layout.find(name) for own in losses for name in own.head)
    if layout.heads and reads == (own_reads := outputs_of(layout)[0]):
        reads = own_reads  # by which the schedule that computes them is known at once
    first = losses[0].loss
    same = all(own.loss is first or own.loss == first for own in losses)
    return Reading(losses, first if same else None, np.cumsum([0, *map(len, columns)]), np.concatenate(columns), reads)


def _named_heads(layout: Layout, target: Mapping[Any, Any], where: str) -> Heads:
    """The heads that a target by name reads: the declared ones it names, and of other nodes what they make."""
    if not target:
        raise GraphpropError(f"{where}: target= names no node")
    declared = layout.heads if layout.outputs_declared else ()
    heads = [head for head in declared if any(name in target for name in head)]
    for head in heads:
        _check_targets(head, target, where)
    read = {name for head in heads for name in head}
    others = [name for name in target if name not in read]
    nodes = {name: layout.nodes[layout.find(name)] for name in others}
    return (*heads, *default_heads(others, nodes))


def _check_targets(head: tuple[Name, ...], target: Mapping[Any, Any], where: str) -> None:
    for name in head:
        if name not in target:
            raise GraphpropError(f"{where}: head {head_name(head)} has no target for {name!r}")


def _check_head(layout: Layout, own: HeadLoss) -> None:
    """Refuse a loss of logits where it would be a mistake: on probabilities, or on classes with one member."""
    entry, head = own
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
