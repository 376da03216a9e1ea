"""What is told of a fit besides its loss: how often it is right, and how far off. Each is a function of two arrays.

Missing targets, which are nan, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, unknown
from graphprop.functions.calling import Told
from graphprop.functions.losses import loss as find_loss
from graphprop.given.arrays import Array, keeps_warnings, one_number
from graphprop.graph.layout import Layout
from graphprop.passes.heads import Losses, losses_of

Metric = Callable[..., float]
Heads = Sequence[tuple[str, slice]]  # what kind of targets each head is compared with, and where it is


def mse(outputs: Array, target: Array) -> float:
    """The mean of the squared errors, over samples and components."""
    return _mean((outputs - target)[target == target] ** 2)


def mae(outputs: Array, target: Array) -> float:
    """The mean of the errors without their signs."""
    return _mean(np.abs((outputs - target)[target == target]))


@keeps_warnings
def r2(outputs: Array, target: Array) -> float:
    """1 minus the squared errors over those of the best constant: the mean over the components."""
    there = target == target
    t, counts = np.where(there, target, 0.0), there.sum(0)
    with np.errstate(all="ignore"):
        error, spread = (np.where(there, (t - other) ** 2, 0.0).sum(0) for other in (outputs, t.sum(0) / counts))
        found = np.where(spread > 0, 1 - error / spread, np.where(error > 0, -np.inf, 1.0))
    return _mean(found[counts > 0])


def accuracy(outputs: Array, target: Array, heads: Heads) -> float:
    """How often it is right, over samples and heads that read classes.

    That is, the largest output is that of the class; or a logit is on the side of its class, where each is for itself.
    """
    right = []
    for kind, span in heads:
        z, t = outputs[:, span], target[:, span]
        if kind == "distribution":
            right.append(z.argmax(1) == t.argmax(1))
        elif kind == "unit":
            right.append(((z > 0) == (t > 0.5))[t == t])
    return _mean(np.concatenate(right))


def _mean(numbers: Array) -> float:
    return float(np.mean(numbers)) if numbers.size else np.nan


METRICS: Mapping[str, Metric] = MappingProxyType({f.__name__: f for f in (accuracy, mse, mae, r2)})


def read_metrics(given: Any, layout: Layout, entry: Losses) -> dict[str, tuple[Metric, bool]]:
    """Metrics by name, each with whether it is a user's, which gets outputs and targets as they were given."""
    if isinstance(given, str) or callable(given):
        given = [given]
    if not isinstance(given, Iterable) or isinstance(given, np.ndarray):
        raise GraphpropError(f"metrics are names or functions of outputs and targets, not {given!r}")
    found: dict[str, tuple[Metric, bool]] = {}
    for metric in given:
        if isinstance(metric, str):
            if metric not in METRICS:
                raise unknown("metric", metric, METRICS)
            name, pair = metric, (METRICS[metric], False)
            if metric == "accuracy":
                _check_classes(layout, entry)
        elif callable(metric):
            name, pair = getattr(metric, "__name__", type(metric).__name__), (metric, True)
        else:
            raise GraphpropError(f"a metric is a name or a function of outputs and targets, not {metric!r}")
        if name in found or name in _TAKEN:
            raise GraphpropError(f"metrics: there is a column {name!r} already; give the function another name")
        found[name] = pair
    return found


_TAKEN = "epoch", "loss", "rate", "validation_loss"


def measured(name: str, metric: Metric, outputs: Array, target: Any) -> float:
    """What a user's function says, as a number."""
    with Told(lambda error: GraphpropError(f"metric {name!r}: {type(error).__name__}: {error}")):
        found = metric(outputs, target)
    return one_number(found, f"metric {name!r}")


def _check_classes(layout: Layout, entry: Losses) -> None:
    """Refuse losses of which none reads classes."""
    losses = {own.loss for own in losses_of(layout, entry)} if isinstance(entry, Mapping) else {find_loss(entry)}
    if not any(one.targets in ("distribution", "unit") for one in losses):
        named = ", ".join(sorted(one.name for one in losses))
        raise GraphpropError(
            f"metric 'accuracy' needs a loss that reads classes; {named} do{'es' if len(losses) == 1 else ''} not"
        )
