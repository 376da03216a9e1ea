"""What a loss is: value and gradient per sample, checked when it is made, and what it reads and compares with.

A loss compares `z`, what the network gives, with the target `t`; both are arrays whose last axis holds the
components of one head. Which losses there are is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, NumberError, check_choice, check_flag
from graphprop.functions.bending import bent_loss
from graphprop.functions.calling import Told
from graphprop.functions.printed import PrintedLoss
from graphprop.given.arrays import Array, all_finite, keeps_warnings, real_array
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
    targets : "any", "distribution", "unit" or "sign"
        What t may be: any finite numbers; numbers >= 0, or a class label in their place; numbers in [0, 1]; -1 or 1.
    formula : callable, optional
        ``formula(m, z, t)`` for one sample over the namespace m that an activation's has, for other numbers than
        floats.
    text, latex : str, optional
    second : callable, optional
        What `Program.hvp` needs: ``second(z, t, d)``, how fast the gradient moves if z moves by d. If it is not given,
        the gradient is run with tangents, as far as they are known of what it calls.
    kinks : sequence of float
        The z - t at which the derivative jumps.
    missing : bool
        Whether a component of t may be nan, where there is no target: it has to add nothing to the value, and its
        derivative is 0. In a formula such a t is None.
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
    targets: Literal["any", "distribution", "unit", "sign"] = "any"
    formula: Callable[..., Any] | None = None
    text: str = ""
    latex: str = ""
    second: Callable[[Array, Array, Array], Array] | None = None
    kinks: tuple[float, ...] = ()
    missing: bool = False
    check: InitVar[bool] = True
    printed: ClassVar[PrintedLoss] = PrintedLoss()

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
        check_flag(self.missing, f"{where}: missing")
        check_flag(check, f"{where}: check")
        if self.second is not None and not callable(self.second):
            raise GraphpropError(f"{where}: the second derivative is a function, not {self.second!r}")
        kinks = real_array(self.kinks, f"{where}: kinks").ravel()
        if not all_finite(kinks):
            raise NumberError(f"{where}: kinks are finite numbers, not {kinks[~np.isfinite(kinks)][0]}")
        object.__setattr__(self, "kinks", tuple(kinks.tolist()))
        for what, told in (("text", self.text), ("latex", self.latex)):
            if not isinstance(told, str):
                raise GraphpropError(f"{where}: {what} is a text, not {told!r}")
        if self.formula is not None and not callable(self.formula):
            raise GraphpropError(f"{where}: the formula is a function of m, z and t, not {self.formula!r}")
        object.__setattr__(self, "__doc__", f"{self.name}: {self.text}. The target t: {_TARGETS[self.targets]}.")
        if check:
            _check_gradient(self)
            _check_second(self)

    def __repr__(self) -> str:
        return f"<loss {label(self.name)}: {plain(self.text) or 'of z and t'}>"

    @keeps_warnings
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

    def bend(self, z: Array, t: Array, d: Array) -> Array:
        """How fast the gradient moves if z moves by d, of arrays that were checked before."""
        if self.second is None:
            return bent_loss(self.name, self.gradient, z, t, d)
        result = real_array(self.second(z, t, d), f"loss {self.name}: its second derivative")
        if result.shape != z.shape:
            raise GraphpropError(f"loss {self.name}: the second derivative has shape {result.shape}, z has {z.shape}")
        return result

    def apply(self, z: Array, t: Array) -> tuple[Array, Array]:
        """(value, gradient) of arrays that were checked before; what the functions give is checked here.

        Call it where numpy's warnings are silenced.
        """
        with Told(lambda error: GraphpropError(f"loss {self.name}: {type(error).__name__}: {error}")):
            value, gradient = self.value(z, t), self.gradient(z, t)
            if type(value) is not np.ndarray or value.dtype != float:
                value = real_array(value, "its value")
            if type(gradient) is not np.ndarray or gradient.dtype != float:
                gradient = real_array(gradient, "its gradient")
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
    "sign": "(samples, components) numbers that are -1 or 1",
}


def _check_gradient(entry: Loss) -> None:
    """Compare the gradient with central differences of the value at one point, where targets are missing too."""
    z, t = _SAMPLES[entry.reads], np.array([1.0, -1.0, 1.0] if entry.targets == "sign" else [0.2, 0.7, 0.4])
    _compare_at(entry, z, t)
    if entry.missing:
        t[1] = np.nan
        _compare_at(entry, z, t)


def _compare_at(entry: Loss, z: Array, t: Array) -> None:
    step = 1e-5
    _, stated = entry.evaluate(z, t)
    for i in range(3):
        values = [entry.evaluate(z + step * (2 * side - 1) * np.eye(3)[i], t)[0] for side in (0, 1)]
        measured = (values[1] - values[0]) / (2 * step)
        if not abs(stated[i] - measured) <= 1e-6 * max(np.abs(stated).max(), abs(measured)):
            raise GraphpropError(
                f"loss {entry.name!r}: the gradient does not match the value: for z = {z.tolist()}, t = {t.tolist()}, "
                f"component {i}, it gives {stated[i]:.6g}, differences of the value give {measured:.6g}"
            )


def _check_second(entry: Loss) -> None:
    """Compare the second derivative, if one is stated, with central differences of the gradient at one point."""
    if entry.second is None:
        return
    z, t, d, step = _SAMPLES[entry.reads], np.array([0.2, 0.7, 0.4]), np.array([0.9, -1.3, 0.4]), 1e-5
    above, below = (entry.apply(z + side * step * d, t)[1] for side in (1.0, -1.0))
    stated, measured = entry.bend(z, t, d), (above - below) / (2 * step)
    if not np.allclose(stated, measured, rtol=1e-5, atol=1e-6 * np.abs(measured).max()):
        raise GraphpropError(
            f"loss {entry.name!r}: the second derivative does not match the gradient: for z = {z.tolist()}, "
            f"t = {t.tolist()} and d = {d.tolist()} it gives {stated.tolist()}, differences give {measured.tolist()}"
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


def with_gaps(entry: Loss, t: list[Any]) -> list[Any]:
    """Targets as formulas take them: None where one is missing."""
    return [None if y != y else y for y in t] if entry.missing else t


def check_targets(entry: Loss, t: Array) -> None:
    """Refuse targets that the loss cannot read, naming the component."""
    bad = np.isinf(t) if entry.missing else ~np.isfinite(t)
    if bad.any():
        raise NumberError(f"loss {entry.name}: component {_where(bad)} of the target is {t[bad][0]}")
    if entry.targets == "distribution" and (t < 0).any():
        raise NumberError(f"loss {entry.name}: component {_where(t < 0)} of the target is negative")
    if entry.targets == "unit" and ((t < 0) | (t > 1)).any():
        raise NumberError(f"loss {entry.name}: component {_where((t < 0) | (t > 1))} of the target is not in [0, 1]")
    if entry.targets == "sign" and (bad := (np.abs(t) != 1) & ~np.isnan(t)).any():
        raise NumberError(
            f"loss {entry.name}: component {_where(bad)} of the target is {t[bad][0]}; it has to be -1 or 1, "
            "as 2 t - 1 makes of 0 and 1"
        )


def _where(bad: Array) -> Any:
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    return place[0] if len(place) == 1 else place
