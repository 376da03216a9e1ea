"""The table of losses: value and gradient per sample, right to the last digit, and the textbook formula.

A loss compares `z`, what the network gives, with the target `t`; both are arrays whose last axis holds the
components of one head. Nothing is clamped: the gradient always belongs to the value, and where one of them is
infinite it is refused, by `Loss.evaluate` as by a run of a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import PASSING, GraphpropError, NumberError, check_choice, check_flag, unknown
from graphprop.functions import twofold
from graphprop.functions.soft_targets import logistic_again, softmax_again
from graphprop.given.arrays import Array, all_finite, real_array
from graphprop.notation.escaping import label, plain

Reads = Literal["values", "probabilities", "log-probabilities", "logits"]


@dataclass(frozen=True)
class Loss:
    """A loss: ``value(z, t)`` per sample and ``gradient(z, t)``, its derivative with respect to z.

    Both functions take arrays with any number of leading axes (samples) and the components last;
    ``value`` sums over the last axis and keeps the others.

    Parameters
    ----------
    name : str
    value, gradient : callable
    reads : "values", "probabilities", "log-probabilities" or "logits"
        What z has to be.
    targets : "any", "distribution" or "unit"
        What t may be: any finite numbers; numbers >= 0, or a class label in their place; numbers in [0, 1].
    formula : callable, optional
        ``formula(m, z, t)`` for one sample over a namespace m, for other numbers than floats.
    text, latex : str, optional
    check : bool
        Compare the gradient with differences of the value now, and refuse it where they disagree.

    Examples
    --------
    >>> import graphprop as gp
    >>> import numpy as np
    >>> absolute = gp.Loss("absolute", lambda z, t: abs(z - t).sum(-1), lambda z, t: np.sign(z - t))
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "identity", {"x": 2.0})
    >>> g = net.backward(net.forward([3.0]), loss=absolute, target=[5.0])
    >>> g.value, g.weight["x", "y"]
    (1.0, 3.0)
    """

    name: str
    value: Callable[[Array, Array], Any]
    gradient: Callable[[Array, Array], Any]
    reads: Reads = "values"
    targets: Literal["any", "distribution", "unit"] = "any"
    formula: Callable[..., Any] | None = None
    text: str = ""
    latex: str = ""
    check: InitVar[bool] = True

    def __hash__(self) -> int:
        return hash(self.name)

    def __post_init__(self, check: bool) -> None:
        where = f"loss {self.name!r}"
        if not isinstance(self.name, str) or not self.name:
            raise GraphpropError(f"the name of a loss is a text that is not empty, not {self.name!r}")
        if not callable(self.value) or not callable(self.gradient):
            raise GraphpropError(f"{where}: value and gradient are functions")
        check_choice(self.reads, _SAMPLES, f"{where}: reads")
        check_choice(self.targets, _TARGETS, f"{where}: targets")
        check_flag(check, f"{where}: check")
        for what, told in (("text", self.text), ("latex", self.latex)):
            if not isinstance(told, str):
                raise GraphpropError(f"{where}: {what} is a text, not {told!r}")
        if self.formula is not None and not callable(self.formula):
            raise GraphpropError(f"{where}: the formula is a function of m, z and t, not {self.formula!r}")
        object.__setattr__(self, "__doc__", f"{self.name}: {self.text}. The target t: {_TARGETS[self.targets]}.")
        if check:
            _check_gradient(self)

    def __repr__(self) -> str:
        return f"<loss {label(self.name)}: {plain(self.text) or 'of z and t'}>"

    def __reduce__(self) -> Any:
        if LOSSES.get(self.name) is self:
            return loss, (self.name,)
        return super().__reduce__()

    def evaluate(self, z: ArrayLike, t: ArrayLike) -> tuple[Any, Any]:
        """(value, gradient) with z and t checked: the lengths, and what each may be.

        A loss that reads distributions takes class labels, too. What is infinite is refused.

        >>> import graphprop as gp
        >>> gp.loss("cross_entropy").evaluate([0.5, 0.5], [1.0, 0.0])
        (0.6931471805599453, array([-2.,  0.]))
        >>> gp.loss("cross_entropy").evaluate([0.5, 0.5], 0)
        (0.6931471805599453, array([-2.,  0.]))
        """
        z, where = real_array(z, f"loss {self.name}: z"), f"loss {self.name}: the target"
        if z.ndim and is_labels(self, t, z.shape[:-1]):
            t = one_hot(np.reshape(t, (-1, 1)), np.array([0, z.shape[-1]]), where).reshape(z.shape)
        t = real_array(t, where)
        if z.shape != t.shape or z.ndim == 0:
            raise GraphpropError(f"loss {self.name}: z has shape {z.shape}, the target {t.shape}; they must agree")
        if np.isnan(z).any():
            raise NumberError(f"loss {self.name}: component {_where(np.isnan(z))} of z is nan")
        if self.reads == "probabilities" and (z < 0).any():
            raise NumberError(f"loss {self.name}: component {_where(z < 0)} of z is negative; z are probabilities")
        if self.reads == "log-probabilities" and (z > 1e-9).any():
            raise NumberError(
                f"loss {self.name}: component {_where(z > 1e-9)} of z is positive; z are log-probabilities"
            )
        check_targets(self, t)
        with np.errstate(all="ignore"):
            value, gradient = self.apply(z, t)
        for what, numbers in (("value", value), ("gradient", gradient)):
            if not all_finite(numbers):
                place = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
                at = f"[{', '.join(map(str, place))}]" if place else ""
                raise NumberError(f"loss {self.name}: the {what}{at} is {numbers[place]}; it has to be finite")
        return (float(value) if value.ndim == 0 else value), gradient

    def apply(self, z: Array, t: Array) -> tuple[Array, Array]:
        """(value, gradient) of arrays that were checked before; what the functions give is checked here.

        Call it where numpy's warnings are silenced.
        """
        try:
            value, gradient = self.value(z, t), self.gradient(z, t)
            if type(value) is not np.ndarray or value.dtype != float:
                value = real_array(value, "its value")
            if type(gradient) is not np.ndarray or gradient.dtype != float:
                gradient = real_array(gradient, "its gradient")
        except PASSING:
            raise
        except Exception as error:
            raise GraphpropError(f"loss {self.name}: {type(error).__name__}: {error}") from None
        if value.shape != z.shape[:-1]:
            raise GraphpropError(
                f"loss {self.name}: for z of shape {z.shape} the value has shape {value.shape}; it has to sum over "
                f"the last axis and keep the others: {z.shape[:-1]}"
            )
        if gradient.shape != z.shape:
            raise GraphpropError(f"loss {self.name}: the gradient has shape {gradient.shape}, z has {z.shape}")
        return value, gradient


_SAMPLES: dict[str, Array] = {
    "values": np.array([0.4, -1.3, 2.2]),
    "probabilities": np.array([0.55, 0.15, 0.3]),
    "log-probabilities": np.log([0.55, 0.15, 0.3]),
    "logits": np.array([0.4, -1.3, 2.2]),
}
_TARGETS = {
    "any": "(samples, components) finite numbers",
    "distribution": "(samples, components) numbers >= 0, or (samples,) whole numbers, the class labels",
    "unit": "(samples, components) numbers in [0, 1]",
}


def _check_gradient(entry: Loss) -> None:
    """Compare the gradient with central differences of the value at one point."""
    z, t, step = _SAMPLES[entry.reads], np.array([0.2, 0.7, 0.4]), 1e-5
    _, stated = entry.evaluate(z, t)
    for i in range(3):
        values = [entry.evaluate(z + step * (2 * side - 1) * np.eye(3)[i], t)[0] for side in (0, 1)]
        measured = (values[1] - values[0]) / (2 * step)
        if not abs(stated[i] - measured) <= 1e-6 * max(np.abs(stated).max(), abs(measured)):
            raise GraphpropError(
                f"loss {entry.name!r}: the gradient does not match the value: for z = {z.tolist()}, t = {t.tolist()}, "
                f"component {i}, it gives {stated[i]:.6g}, differences of the value give {measured:.6g}"
            )


def is_labels(entry: Loss, given: Any, shape: tuple[int, ...]) -> bool:
    """Whether these are class labels: integers of this shape, for a loss that reads classes."""
    if entry.targets != "distribution":
        return False
    try:
        array = np.asarray(given)
    except Exception:  # told where it is read as numbers
        return False
    return array.dtype.kind in "iu" and array.shape == shape


def one_hot(labels: Array, starts: Array, where: str) -> Array:
    """A label for each sample and head as rows of 0 and 1; head h has the columns starts[h] : starts[h + 1]."""
    classes = np.diff(starts)
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        sample, head = np.argwhere(wrong)[0]
        raise GraphpropError(
            f"{where}: class label {labels[sample, head]} is out of range; the classes are 0 to {classes[head] - 1}"
        )
    rows = np.zeros((len(labels), starts[-1]))
    rows[np.arange(len(labels))[:, None], starts[:-1] + labels.astype(np.intp)] = 1.0
    return rows


def check_targets(entry: Loss, t: Array) -> None:
    """Refuse targets that the loss cannot read, naming the component."""
    if not all_finite(t):
        bad = ~np.isfinite(t)
        raise NumberError(f"loss {entry.name}: component {_where(bad)} of the target is {t[bad][0]}")
    if entry.targets == "distribution" and (t < 0).any():
        raise NumberError(f"loss {entry.name}: component {_where(t < 0)} of the target is negative")
    if entry.targets == "unit" and ((t < 0) | (t > 1)).any():
        raise NumberError(f"loss {entry.name}: component {_where((t < 0) | (t > 1))} of the target is not in [0, 1]")


def _where(bad: Array) -> Any:
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    return place[0] if len(place) == 1 else place


# The four operations along the last axis, for which natives.py has loops of its own.


def largest_of(z: Array) -> Any:
    return z.max(axis=-1, keepdims=True)


def sum_of(z: Array) -> Any:
    return z.sum(axis=-1, keepdims=True)


def sum_of_others(t: Array) -> Array:
    """For each entry the sum of all but it, without subtracting."""
    others = np.zeros(t.shape)
    np.cumsum(t[..., :-1], axis=-1, out=others[..., 1:])
    others[..., :-1] += np.cumsum(t[..., :0:-1], axis=-1)[..., ::-1]
    return others


def shifted(z: Array) -> tuple[Array, Array, Any]:
    """d / 2, e, r with d the distances from the largest entry, e = exp(-d), and r its sum over all others.

    Along the last axis. Two finite numbers may be too far apart for d. What the rounding of d takes, d times that of 1,
    is more than all other roundings of e: e makes up for it.
    """
    half, rest = twofold.total(0.5 * largest_of(z), -0.5 * z)
    e, largest = np.exp(-2.0 * half), half == 0
    e = np.where(e > 0, e - e * (2.0 * rest), e)
    return half, e, sum_of(np.where(largest, 0.0, e)) + (sum_of(largest) - 1)


def _half_square(z: Any, t: Any) -> Any:
    d = z - t
    return 0.5 * d * d


def _half_square_slope(z: Any, t: Any) -> Any:
    return z - t


def _cross_entropy(z: Array, t: Array) -> Any:
    return np.where(t > 0, -t * np.log(z), 0.0).sum(-1)


def _cross_entropy_gradient(z: Array, t: Array) -> Array:
    return np.where(t > 0, -t / z, 0.0)


def _nll(z: Array, t: Array) -> Any:
    return np.where(t > 0, -t * z, 0.0).sum(-1)


def _softmax_cross_entropy(z: Array, t: Array) -> Any:
    half, _, r = shifted(z)
    return np.where(t > 0, 2.0 * (t * half) + t * np.log1p(r), 0.0).sum(-1)


def _softmax_cross_entropy_gradient(z: Array, t: Array) -> Array:
    # p T - t; for p > 1/2, which only the largest entry can have, as (T - t) - T (1 - p)
    _, e, r = shifted(z)
    total, others = sum_of(t), sum_of_others(t)
    p = e / (1.0 + r)
    gradient = np.where(p > 0.5, others - total * (r / (1.0 + r)), p * total - t)
    return softmax_again(gradient, z, t, others)


def _softplus(z: Array) -> Array:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def _binary_cross_entropy(z: Any, t: Any) -> Any:
    return (1.0 - t) * _softplus(z) + t * _softplus(-z)


def _binary_cross_entropy_slope(z: Any, t: Any) -> Any:
    return (1.0 - t) * _sigmoid(z) - t * _sigmoid(-z)


def _dot(x: Any, y: Any) -> Any:
    return sum(p * q for p, q in zip(x, y, strict=True) if p != 0)


class Term(NamedTuple):
    """What a loss sums over the components, its slope, and the slope again where it nearly vanishes.

    The compiled loops call value and slope for one number.
    """

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], Any]
    again: Callable[[Array, Array, Array], Array] | None = None

    def total(self, z: Array, t: Array) -> Any:
        return self.value(z, t).sum(-1)

    def gradient(self, z: Array, t: Array) -> Array:
        slope: Array = self.slope(z, t)
        return slope if self.again is None else self.again(slope, z, t)


TERMS: Mapping[str, Term] = MappingProxyType(
    {
        "half_squared": Term(_half_square, _half_square_slope),
        "binary_cross_entropy": Term(_binary_cross_entropy, _binary_cross_entropy_slope, logistic_again),
    }
)


_TABLE = (
    Loss(
        "half_squared",
        TERMS["half_squared"].total,
        TERMS["half_squared"].gradient,
        formula=lambda m, z, t: sum((x - y) ** 2 for x, y in zip(z, t, strict=True)) / 2,
        text="1/2 sum_k (z[k] - t[k])^2",
        latex=r"\frac{1}{2} \sum_k (z_k - t_k)^2",
        check=False,
    ),
    Loss(
        "cross_entropy",
        _cross_entropy,
        _cross_entropy_gradient,
        reads="probabilities",
        targets="distribution",
        formula=lambda m, z, t: -sum(q * m.log(p) for p, q in zip(z, t, strict=True) if q != 0),
        text="-sum_k t[k] log(z[k])",
        latex=r"-\sum_k t_k \log z_k",
        check=False,
    ),
    Loss(
        "nll",
        _nll,
        lambda z, t: np.where(t > 0, -t, 0.0),
        reads="log-probabilities",
        targets="distribution",
        formula=lambda m, z, t: -_dot(t, z),
        text="-sum_k t[k] z[k]",
        latex=r"-\sum_k t_k z_k",
        check=False,
    ),
    Loss(
        "softmax_cross_entropy",
        _softmax_cross_entropy,
        _softmax_cross_entropy_gradient,
        reads="logits",
        targets="distribution",
        formula=lambda m, z, t: sum(t) * m.log(sum(m.exp(x) for x in z)) - _dot(t, z),
        text="-sum_k t[k] log(softmax(z)[k])",
        latex=r"-\sum_k t_k \log \frac{e^{z_k}}{\sum_j e^{z_j}}",
        check=False,
    ),
    Loss(
        "binary_cross_entropy",
        TERMS["binary_cross_entropy"].total,
        TERMS["binary_cross_entropy"].gradient,
        reads="logits",
        targets="unit",
        formula=lambda m, z, t: sum(m.log(1 + m.exp(x)) - y * x for x, y in zip(z, t, strict=True)),
        text="-sum_k (t[k] log(sigmoid(z[k])) + (1 - t[k]) log(sigmoid(-z[k])))",
        latex=r"-\sum_k \left(t_k \log \sigma(z_k) + (1 - t_k) \log \sigma(-z_k)\right)",
        check=False,
    ),
)

LOSSES: Mapping[str, Loss] = MappingProxyType({entry.name: entry for entry in _TABLE})


def loss(given: str | Loss) -> Loss:
    """The loss of that name; a Loss is returned as it is.

    >>> loss("nll")
    <loss nll: -sum_k t[k] z[k]>
    """
    if isinstance(given, Loss):
        return given
    if not isinstance(given, str):
        raise GraphpropError(f"a loss is a name or a gp.Loss, not {given!r}")
    if given not in LOSSES:
        raise unknown("loss", given, LOSSES)
    return LOSSES[given]
