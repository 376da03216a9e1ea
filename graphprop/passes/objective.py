"""What is differentiated: a node's output, a loss on the heads, or a seed; as a value and its direct derivatives.

How it was asked for, and how the direct derivatives are carried through the graph, is not known here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.arithmetic import Floats, Formulas
from graphprop.functions.catalogue import ACTIVATIONS
from graphprop.functions.loss import Loss
from graphprop.functions.losses import of_logits
from graphprop.given.arrays import all_finite, keeps_warnings
from graphprop.graph.layout import Array, Layout, Name
from graphprop.notation.escaping import label
from graphprop.notation.foreign import as_floats


class HeadLoss(NamedTuple):
    """A loss, and the head that it reads."""

    loss: Loss
    head: tuple[Name, ...]


@dataclass(eq=False, slots=True)
class Objective:
    """An objective that fits a layout and a number of samples. It reads `columns` of o.

    Without losses, `seed` holds the direct derivative with respect to each of these; with some, their heads share them
    out, one behind the other, and `targets` has what each head is compared with.
    """

    title: str
    layout: Layout
    samples: int
    reads: tuple[int, ...]  # numbers of the nodes it depends on directly
    columns: Array
    seed: Array | None = None
    losses: tuple[HeadLoss, ...] = ()
    loss: Loss | None = None  # that of all heads, if they have the same
    starts: Array | None = None  # where each head begins among the columns, and where the last ends
    targets: tuple[Array, ...] = ()
    head_weight: Array | None = None  # what each loss is multiplied with, if that is not 1
    sample_weight: Array | None = None  # the largest is 1

    def __str__(self) -> str:
        return self.title

    def each_head(self) -> Iterator[tuple[HeadLoss, slice, Array, float]]:
        """Each loss with its head, where that is among `columns`, its targets and its weight."""
        weights = [1.0] * len(self.losses) if self.head_weight is None else self.head_weight.tolist()
        starts = [0] if self.starts is None else self.starts.tolist()
        return zip(self.losses, itertools.starmap(slice, pairwise(starts)), self.targets, weights, strict=True)

    @property
    def has_gaps(self) -> bool:
        """Whether targets are missing."""
        pairs = zip(self.losses, self.targets, strict=True)
        return any(own.loss.missing and not all_finite(targets) for own, targets in pairs)

    @property
    def column_weight(self) -> Any:
        """What the loss of each column is multiplied with: an array, or 1."""
        return 1.0 if self.head_weight is None else self._by_column(self.head_weight)

    @property
    def target_sizes(self) -> Array:
        """|t| of each column, times the weight of its loss and what the sample counts for; 0 where there is none."""
        targets, share = self.for_kernels()
        sizes: Array = np.abs(self.column_weight * np.nan_to_num(targets)) * share.reshape(-1, 1)
        return sizes

    def _by_column(self, weights: Array) -> Array:
        return np.repeat(weights, [targets.shape[1] for targets in self.targets])

    def in_floats(self) -> Objective:
        """The same with floats for numbers of another kind, such as those of mpmath; symbols are refused."""
        seed = None if self.seed is None else as_floats(self.seed)
        return replace(self, seed=seed, targets=tuple(map(as_floats, self.targets)))

    def evaluate(self, z: Array, numbers: Floats | Formulas, part: slice = slice(None)) -> tuple[list[Any], Array]:
        """What each term adds to the value, and the derivative with respect to z, the columns that are read.

        z has one row for each sample, or for those of a `part` of them. Call it where numpy's warnings are silenced.
        """
        if not self.losses:
            assert self.seed is not None
            seed = self.seed[part]
            if numbers.dtype is float:
                check_masks(self.title, z, seed)
            seed = _converted(seed, numbers)
            return np.where(seed != 0, seed * z, 0).ravel().tolist(), seed
        values, gradients = self._each_loss(z, numbers, part)
        share = self._share(numbers)
        if self.sample_weight is not None:
            share = share[part, None]
            values = values.reshape(len(z), -1)
        return _times(values, share, numbers).ravel().tolist(), gradients * share

    def of_samples(self, z: Array) -> Array:
        """The losses of each sample, added up with the weights of their heads, in floats."""
        values: Array = self._each_loss(z, Floats(), slice(None))[0].reshape(len(z), -1).sum(axis=1)
        self.total([x / self.samples for x in values.tolist()], Floats())  # the first that overflows is refused
        return values

    def _each_loss(self, z: Array, numbers: Floats | Formulas, part: slice) -> tuple[Array, Array]:
        """The losses of every sample, of each head if there are several, and their gradients, unweighted by sample."""
        if len(self.losses) == 1:
            values, gradients = _compare(self.losses[0], z, self.targets[0][part], numbers)
        else:
            pairs = [_compare(own, z[:, place], targets[part], numbers) for own, place, targets, _ in self.each_head()]
            values, gradients = np.stack([v for v, _ in pairs], -1), np.hstack([g for _, g in pairs])
        if self.head_weight is not None:
            weights = _converted(self.head_weight, numbers)
            values = _times(values.reshape(len(z), -1), weights, numbers)
            gradients = gradients * self._by_column(weights)
        return values, gradients

    def bend(self, z: Array, moves: Array, part: slice) -> Array:
        """How fast the derivatives of losses with respect to z move, if z moves so, for a part of the samples."""
        bent = [
            weight * own.loss.bend(z[:, place], targets[part], moves[:, place])
            for own, place, targets, weight in self.each_head()
        ]
        share = self._share(Floats())
        rows: Array = np.hstack(bent) * (share if self.sample_weight is None else share[part, None])
        return rows

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

    def _share(self, numbers: Floats | Formulas) -> Any:
        """What each sample counts for, together 1: one number for all, or an array."""
        if self.sample_weight is None:
            return numbers.number(1) / self.samples
        weights = [numbers.number(w) for w in self.sample_weight.tolist()]
        total = numbers.total(weights)
        return np.array([w / total for w in weights], dtype=numbers.dtype)


def _compare(own: HeadLoss, z: Array, targets: Array, numbers: Floats | Formulas) -> tuple[Array, Array]:
    """The loss of every sample in one head, and its gradient."""
    if numbers.dtype is float:
        return compare_head(own, z, targets)
    pairs = [numbers.loss(own.loss, *pair) for pair in zip(z.tolist(), targets.tolist(), strict=True)]
    return np.array([value for value, _ in pairs], dtype=object), np.array([g for _, g in pairs], dtype=object)


def _times(values: Array, weight: Any, numbers: Floats | Formulas) -> Array:
    """What every loss adds; an infinite one stays so even if it counts for nothing."""
    terms: Array = values * weight
    if numbers.dtype is float and not all_finite(terms):
        return np.where(np.isfinite(values), terms, values)
    return terms


def check_masks(title: str, z: Array, seed: Array) -> None:
    """Refuse a derivative of what is -inf whatever the parameters are, a log-probability that is masked."""
    if (np.isneginf(z) & (seed != 0)).any():
        raise NumberError(f"the objective, {title}, reads a masked component, which is -inf and has no derivative")


def compare_head(own: HeadLoss, z: Array, targets: Array) -> tuple[Array, Array]:
    """The loss of every sample in one head, and its gradient, in floats; refused where they are no numbers."""
    entry, head = own
    _check_reads(entry, head, z)
    values, gradients = entry.apply(z, targets)
    _check_gradient(entry, head, values, gradients)
    return values, gradients


def _converted(array: Array, numbers: Floats | Formulas) -> Array:
    """An array of numbers of this kind."""
    if numbers.dtype is float:
        return array
    result = np.empty(array.shape, dtype=object)
    result.ravel()[:] = [numbers.number(x) for x in array.ravel().tolist()]
    return result


def head_name(head: tuple[Name, ...]) -> str:
    shown = ", ".join(map(label, head[:4])) + (", ..." if len(head) > 4 else "")
    return shown if len(head) == 1 else f"({shown})"


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
            f"loss {entry.name}: head {head_name(head)} gives {value}, and its gradient is no number{hint}"
        )


@keeps_warnings
def _exp(z: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.exp(z)


def _check_reads(entry: Loss, head: tuple[Name, ...], z: Array) -> None:
    """Refuse a head that does not hold what the loss reads."""
    if entry.reads == "values":
        return
    if entry.reads == "logits":
        if not all_finite(z):
            raise NumberError(f"loss {entry.name}: head {head_name(head)} has a logit that is {z[~np.isfinite(z)][0]}")
        return
    p = z if entry.reads == "probabilities" else _exp(z)
    bad = (p < 0).any(axis=-1) | ~(np.abs(p.sum(axis=-1) - 1) <= 1e-6)
    if bad.any():
        row = p[bad][0]
        found = "one of them is negative" if (row < 0).any() else f"they sum to {row.sum():.6g}"
        of = "its outputs" if entry.reads == "probabilities" else "exp of its outputs"
        kind = next(name for name, f in ACTIVATIONS.items() if f.kind == "vector" and f.gives == entry.reads)
        fused = of_logits(entry)
        raise GraphpropError(
            f"loss {entry.name} reads {entry.reads}, but {head_name(head)} is no distribution ({of}: {found}); "
            f"use a {kind} node{f', or {fused} on plain outputs' if fused else ''}"
        )
