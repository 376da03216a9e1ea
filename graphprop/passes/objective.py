"""What is differentiated: a node's output, a loss on the heads, or a seed; as a value and its direct derivatives.

How the direct derivatives are carried through the graph is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, NumberError, UnknownNameError
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.functions.catalogue import ACTIVATIONS
from graphprop.functions.loss import Loss, check_targets, is_labels, one_hot
from graphprop.functions.losses import loss, of_logits
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import all_finite, object_array, real_array
from graphprop.given.frames import along_samples, by_name, hint, is_series
from graphprop.graph.layout import Array, Heads, Layout, Name, default_heads
from graphprop.notation.escaping import label

Target: TypeAlias = "Mapping[Any, Any] | ArrayLike"  # by name, or the columns of all outputs; a data frame is a mapping
Seeds: TypeAlias = "Mapping[Any, Any]"  # by name, shaped like the outputs


@dataclass(eq=False, slots=True)
class Objective:
    """An objective that fits a layout and a number of samples. It reads `columns` of o.

    Without a loss, `seed` holds the direct derivative with respect to each of these; with one, `heads` share them out,
    one behind the other, and `targets` has what each head is compared with.
    """

    title: str
    samples: int
    reads: tuple[int, ...]  # numbers of the nodes it depends on directly
    columns: Array
    seed: Array | None = None
    loss: Loss | None = None
    heads: Heads = ()
    starts: Array | None = None  # where each head begins among the columns, and where the last ends
    targets: tuple[Array, ...] = ()
    sample_weight: Array | None = None  # the largest is 1

    def __str__(self) -> str:
        return self.title

    def evaluate(self, z: Array, numbers: Floats | Formulas, part: slice = slice(None)) -> tuple[list[Any], Array]:
        """What each term adds to the value, and the derivative with respect to z, the columns that are read.

        z has one row for each sample, or for those of a `part` of them. Call it where numpy's warnings are silenced.
        """
        if self.loss is None:
            assert self.seed is not None
            seed = self.seed[part]
            if numbers.dtype is float:
                check_masks(self.title, z, seed)
            if numbers.dtype is object:
                seed = _converted(seed, numbers)
            return np.where(seed != 0, seed * z, 0).ravel().tolist(), seed
        if len(self.heads) == 1:
            values, gradients = self._compare(self.heads[0], z, self.targets[0][part], numbers)
        else:
            assert self.starts is not None
            pieces = zip(self.heads, np.split(z, self.starts[1:-1], axis=1), self.targets, strict=True)
            pairs = [self._compare(head, own, targets[part], numbers) for head, own, targets in pieces]
            values, gradients = np.stack([v for v, _ in pairs], -1), np.hstack([g for _, g in pairs])
        share = self._share(numbers)
        if self.sample_weight is not None:
            share = share[part, None]
            values = values.reshape(len(z), -1)
        return _shares(values, share, numbers).ravel().tolist(), gradients * share

    def total(self, terms: list[Any], numbers: Floats | Formulas) -> Any:
        """The value, from all terms in the order of the samples."""
        value = numbers.total(terms)
        if numbers.dtype is float and not math.isfinite(value):
            infinite = next((i for i, term in enumerate(terms) if not math.isfinite(term)), None)
            several = infinite is not None and self.samples > 1
            sample = f" in sample {infinite * self.samples // len(terms)}" if several else ""  # type: ignore[operator]
            raise NumberError(f"the objective, {self.title}, is {value}: it overflows{sample}")
        return value

    def for_kernels(self) -> tuple[Array, Array]:
        """The targets of `columns` side by side, and what samples count for, or one number."""
        targets = self.targets[0] if len(self.targets) == 1 else np.hstack(self.targets)
        share = self._share(Floats())
        return np.ascontiguousarray(targets), np.array([share]) if self.sample_weight is None else share

    def _compare(
        self, head: tuple[Name, ...], z: Array, targets: Array, numbers: Floats | Formulas
    ) -> tuple[Array, Array]:
        """The loss of every sample in one head, and its gradient."""
        entry = self.loss
        assert entry is not None
        if numbers.dtype is float:
            return compare_head(entry, head, z, targets)
        pairs = [numbers.loss(entry, *pair) for pair in zip(z.tolist(), targets.tolist(), strict=True)]
        return np.array([value for value, _ in pairs], dtype=object), np.array([g for _, g in pairs], dtype=object)

    def _share(self, numbers: Floats | Formulas) -> Any:
        """What each sample counts for, together 1: one number for all, or an array."""
        if self.sample_weight is None:
            return numbers.number(1) / self.samples
        weights = [numbers.number(w) for w in self.sample_weight.tolist()]
        total = numbers.total(weights)
        return np.array([w / total for w in weights], dtype=numbers.dtype)


def _shares(values: Array, share: Any, numbers: Floats | Formulas) -> Array:
    """What every sample adds; an infinite loss stays so even if the sample counts for nothing."""
    terms: Array = values * share
    if numbers.dtype is float and not all_finite(terms):
        return np.where(np.isfinite(values), terms, values)
    return terms


def check_masks(title: str, z: Array, seed: Array) -> None:
    """Refuse a derivative of what is -inf whatever the parameters are, a log-probability that is masked."""
    if (np.isneginf(z) & (seed != 0)).any():
        raise NumberError(f"the objective, {title}, reads a masked component, which is -inf and has no derivative")


def compare_head(entry: Loss, head: tuple[Name, ...], z: Array, targets: Array) -> tuple[Array, Array]:
    """The loss of every sample in one head, and its gradient, in floats; refused where they are no numbers."""
    _check_reads(entry, head, z)
    values, gradients = entry.apply(z, targets)
    _check_gradient(entry, head, values, gradients)
    return values, gradients


def _converted(array: Array, numbers: Floats | Formulas) -> Array:
    result = np.empty(array.shape, dtype=object)
    result.ravel()[:] = [numbers.number(x) for x in array.ravel().tolist()]
    return result


def read_objective(
    layout: Layout,
    samples: int,
    batched: bool,
    node: Name | None = None,
    *,
    component: int | None = None,
    loss: Any = None,
    target: Any = None,
    sample_weight: Any = None,
    seed: Mapping[Any, Any] | None = None,
    exact: bool = False,
) -> Objective:
    """The objective that a user asked for, or an error that says what is wrong with it.

    With `exact`, targets and seeds may be numbers of another kind than floats, and are kept as they are.
    """
    asked = [what for what, given in (("a node", node), ("loss=", loss), ("seed=", seed)) if given is not None]
    if len(asked) != 1:
        found = f"not {' and '.join(asked)}" if asked else "and none of them was given"
        raise GraphpropError(f"an objective is a node, or loss= with target=, or seed=; one of them, {found}")
    if component is not None and node is None:
        raise GraphpropError("component= belongs to a node")
    if (target is not None or sample_weight is not None) and loss is None:
        raise GraphpropError(f"{'target' if target is not None else 'sample_weight'}= belongs to loss=")
    if loss is not None:
        return read_loss(layout, samples, batched, loss, target, sample_weight, exact)
    if seed is not None:
        return _read_seed(layout, samples, batched, seed, exact)
    assert node is not None
    return _read_node(layout, samples, node, component)


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
    return Objective(title, samples, (v,), layout.o_start[v] + np.array([component]), np.ones((samples, 1)))


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
    return Objective("seed * o", samples, reads, columns, np.hstack(blocks))


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
    named = ", ".join(map(_head_name, heads[:4])) + (", ..." if len(heads) > 4 else "")
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
    """Seeds by name, or an array with the columns of all heads."""
    if _by_node(layout, given, batched) is not None:
        return _read_seed(layout, samples, batched, given, exact=False)
    reads, columns = outputs_of(layout)
    rows = _rows(along_samples(given), len(columns), samples, batched, "seeds: the array", False)
    return Objective("seed * o", samples, reads, columns, rows)


def read_loss(
    layout: Layout, samples: int, batched: bool, given: Any, target: Any, sample_weight: Any, exact: bool = False
) -> Objective:
    """A loss of the heads, with what they are compared with."""
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
                raise NumberError(f"{error} (head {_head_name(head)})") from None
    weights = None if sample_weight is None else _sample_weight(sample_weight, samples, batched)
    what = reading.reads, reading.columns, None, entry, reading.heads, reading.starts
    return Objective(reading.title, samples, *what, tuple(targets), weights)


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
        raise GraphpropError(f"loss {entry.name}: head {_head_name(head)} is one number; several classes are needed")


def _columns(layout: Layout, name: Name) -> Array:
    span = layout.o_slice(layout.find(name))
    return np.arange(span.start, span.stop)


def _head_name(head: tuple[Name, ...]) -> str:
    shown = ", ".join(map(label, head[:4])) + (", ..." if len(head) > 4 else "")
    return shown if len(head) == 1 else f"({shown})"


def _named_heads(layout: Layout, target: Mapping[Any, Any], where: str) -> Heads:
    """The heads that a target by name reads: the declared ones it names, and of other nodes what they make."""
    if not target:
        raise GraphpropError(f"{where}: target= names no node")
    declared = layout.heads if layout.outputs_declared else ()
    heads = [head for head in declared if any(name in target for name in head)]
    for head in heads:
        for name in head:
            if name not in target:
                raise GraphpropError(f"{where}: head {_head_name(head)} has no target for {name!r}")
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


def _check_gradient(entry: Loss, head: tuple[Name, ...], values: Array, gradients: Array) -> None:
    """Refuse an infinite gradient, nan, and an infinite loss of probabilities; any other one `total` refuses."""
    if all_finite(values) and all_finite(gradients):
        return
    wrong = np.isnan(values) | ~np.isfinite(gradients).all(axis=-1)
    if entry.reads.endswith("probabilities"):
        wrong |= np.isinf(values)
    if wrong.any():
        fused = of_logits(entry)
        hint = f"; {fused} on plain outputs has no such limit" if fused else ""
        value = values[wrong][0]
        raise NumberError(
            f"loss {entry.name}: head {_head_name(head)} gives {value}, and its gradient is no number{hint}"
        )


def _check_reads(entry: Loss, head: tuple[Name, ...], z: Array) -> None:
    """Refuse a head that does not hold what the loss reads."""
    if entry.reads == "values":
        return
    if entry.reads == "logits":
        if not all_finite(z):
            raise NumberError(f"loss {entry.name}: head {_head_name(head)} has a logit that is {z[~np.isfinite(z)][0]}")
        return
    with np.errstate(over="ignore"):
        p = z if entry.reads == "probabilities" else np.exp(z)
    bad = (p < 0).any(axis=-1) | ~(np.abs(p.sum(axis=-1) - 1) <= 1e-6)
    if bad.any():
        row = p[bad][0]
        found = "one of them is negative" if (row < 0).any() else f"they sum to {row.sum():.6g}"
        of = "its outputs" if entry.reads == "probabilities" else "exp of its outputs"
        kind = next(name for name, f in ACTIVATIONS.items() if f.kind == "vector" and f.gives == entry.reads)
        fused = of_logits(entry)
        raise GraphpropError(
            f"loss {entry.name} reads {entry.reads}, but {_head_name(head)} is no distribution ({of}: {found}); "
            f"use a {kind} node{f', or {fused} on plain outputs' if fused else ''}"
        )
