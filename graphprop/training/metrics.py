"""What is told of a fit besides its loss: how often it is right, and how far off. Each is a function of two arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, unknown
from graphprop.functions.calling import Told
from graphprop.functions.loss import Loss
from graphprop.given.arrays import Array, keeps_warnings, one_number

Metric = Callable[[Array, Array], float]


def mse(outputs: Array, target: Array) -> float:
    """The mean of the squared errors, over samples and components."""
    return float(np.mean((outputs - target) ** 2))


def mae(outputs: Array, target: Array) -> float:
    """The mean of the errors without their signs."""
    return float(np.mean(np.abs(outputs - target)))


@keeps_warnings
def r2(outputs: Array, target: Array) -> float:
    """1 minus the squared errors over those of the best constant: the mean over the components."""
    error, spread = ((outputs - target) ** 2).sum(0), ((target - target.mean(0)) ** 2).sum(0)
    with np.errstate(all="ignore"):
        found = np.where(spread > 0, 1 - error / spread, np.where(error > 0, -np.inf, 1.0))
    return float(np.mean(found))


def accuracy(outputs: Array, target: Array) -> float:
    """How often the largest output is that of the class."""
    return float(np.mean(outputs.argmax(1) == target.argmax(1)))


def accuracy_of_two(outputs: Array, target: Array) -> float:
    """How often a logit is on the side of its class."""
    return float(np.mean((outputs > 0) == (target > 0.5)))


METRICS: Mapping[str, Metric] = MappingProxyType({f.__name__: f for f in (accuracy, mse, mae, r2)})


def read_metrics(given: Any, entry: Loss) -> dict[str, tuple[Metric, bool]]:
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
            name, pair = metric, (_accuracy_for(entry) if metric == "accuracy" else METRICS[metric], False)
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


def _accuracy_for(entry: Loss) -> Metric:
    if entry.targets == "distribution":
        return accuracy
    if entry.targets == "unit":
        return accuracy_of_two
    raise GraphpropError(f"metric 'accuracy' needs a loss that reads classes; {entry.name} does not")
