"""What the heads are compared with, as rows of numbers, and what each sample counts for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.loss import check_targets, is_labels, one_hot
from graphprop.given.arrays import all_finite, object_array, real_array
from graphprop.given.frames import along_samples
from graphprop.graph.layout import Array, Layout
from graphprop.passes.heads import Reading, outputs_in_words
from graphprop.passes.objective import HeadLoss, head_name


def read_targets(
    layout: Layout, reading: Reading, given: Any, samples: int, batched: bool, exact: bool
) -> tuple[Array, ...]:
    """What every head is compared with, (samples, components): by name, or the columns of all of them."""
    if isinstance(given, Mapping):
        targets = [_of_head(layout, own, given, samples, batched, exact) for own in reading.losses]
    else:
        targets = _split(layout, reading, along_samples(given), samples, batched, exact)
    if not exact:
        for own, rows in zip(reading.losses, targets, strict=True):
            try:
                check_targets(own.loss, rows)
            except NumberError as error:
                raise NumberError(f"{error} (head {head_name(own.head)})") from None
    return tuple(targets)


def _of_head(
    layout: Layout, own: HeadLoss, target: Mapping[Any, Any], samples: int, batched: bool, exact: bool
) -> Array:
    entry, head = own
    if len(head) == 1:
        m = layout.nodes[layout.find(head[0])].m
        given = target[head[0]]
        where = f"target of node {head[0]!r}"
        if is_labels(entry, given, (samples,) if batched else ()):
            return one_hot(np.reshape(given, (samples, 1)), np.array([0, m]), where)
        return read_rows(given, m, samples, batched, where, exact, missing=entry.missing)
    parts = []
    for name in head:
        m, where = layout.nodes[layout.find(name)].m, f"target of node {name!r}"
        parts.append(read_rows(target[name], m, samples, batched, where, exact, missing=entry.missing))
    return np.hstack(parts)


def _split(layout: Layout, reading: Reading, given: Any, samples: int, batched: bool, exact: bool) -> list[Array]:
    """An array of targets, cut into those of the heads."""
    starts = reading.starts
    heads, width = len(starts) - 1, int(starts[-1])
    if batched and type(given) is np.ndarray and given.dtype == float and given.shape == (samples, width):
        rows = given.copy(order="C")
        return [rows] if heads == 1 else np.split(rows, starts[1:-1], axis=1)
    where = "target of all heads" if reading.loss is None else f"loss {reading.loss.name}: target"
    lead = (samples,) if batched else ()
    shape = (*lead, heads) if heads > 1 else lead
    if heads < max(2, width) and all(is_labels(entry, given, shape) for entry in reading.kinds):
        rows = one_hot(np.reshape(given, (samples, heads)), starts, where)
    else:
        missing = any(entry.missing for entry in reading.kinds)  # of which, `check_targets` asks
        rows = read_rows(given, width, samples, batched, where, exact, layout, missing)
    return np.split(rows, starts[1:-1], axis=1)


def read_rows(
    given: Any,
    width: int,
    samples: int,
    batched: bool,
    where: str,
    exact: bool,
    layout: Layout | None = None,
    missing: bool = False,
) -> Array:
    """Numbers for the outputs of a node or a head, as (samples, width); with a layout, for all of its outputs.

    They may be nan only if some may be missing.
    """
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
            if getattr(getattr(given, "dtype", None), "kind", "") == "f":
                allowed += f", and these are {given.dtype}: astype(int)"
        if layout is not None and array.shape[-1:] != (width,):
            allowed += f"; {outputs_in_words(layout)}"
        raise GraphpropError(f"{where} has shape {array.shape}; it should have {allowed}")
    if not exact and not all_finite(array):
        bad = np.isinf(array) if missing else ~np.isfinite(array)
        if bad.any():
            raise NumberError(f"{where} has an entry that is not finite: {array[bad].ravel()[0]}")
    return array.reshape(samples, width)


def read_sample_weight(given: Any, samples: int, batched: bool) -> Array:
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
