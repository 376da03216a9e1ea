"""What an activation is: a function with its derivative, checked when it is made.

The functions themselves stand in the table of `catalogue.py`; networks, and how they run, are unknown here.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, NumberError, check_choice, check_flag
from graphprop.functions.bending import bent
from graphprop.functions.calling import Told
from graphprop.functions.printed import Printed
from graphprop.functions.trials import check_derivative, check_formula, check_second
from graphprop.given.arrays import Array, all_finite, keeps_warnings, one_number, read_array, real_array
from graphprop.notation.escaping import label, plain

Kind = Literal["elementwise", "reducing", "vector"]
Gives = Literal["values", "probabilities", "log-probabilities"]
FINITE = (-np.finfo(float).max, np.finfo(float).max)


class Activation:
    """The function f of o[v] = f(a[v]), with its derivative.

    Parameters
    ----------
    name : str
        Shown in tables, pictures and errors.
    value, derivative : callable
        For an elementwise activation two scalar functions, ``value(a)`` and ``derivative(a, o)`` with
        ``o = value(a)``. For the other kinds ``a`` is an array: ``value(a)`` gives a number (reducing) or an
        array of the same length (vector), and ``derivative(a, o, g)`` the vector-Jacobian product, the
        gradient with respect to ``a`` where ``g`` is the one with respect to ``o``.
    kind : "elementwise", "reducing" or "vector"
        One number to one number, n numbers to one, or n to n.
    second : callable, optional
        What `Program.hvp` needs: ``second(a, o)``, the second derivative of an elementwise activation; of the other
        kinds ``second(a, o, g, t)``, how fast the vector-Jacobian product moves if ``a`` moves by ``t``, for this
        ``g``. If it is not given, the derivative is run with tangents, as far as they are known of what it calls.
    formula : callable, optional
        ``formula(m, a)``: the textbook form over a namespace ``m`` with exp, log, sqrt, sin, cos, tanh, erf,
        erfc, pi, max, min, sorted and where; needed for other numbers than floats (mpmath, sympy).
    text, latex : str, optional
        The formula in words and in LaTeX.
    parameters : dict, optional
        Fixed numbers, handed to all three functions after their other arguments, in this order.
    domain : (low, high), optional
        The closed interval of pre-activations that are allowed; all finite numbers if not given.
    kinks : sequence of float
        Points where the derivative jumps; it is not checked there. Of a reducing kind, that of a tie is 0.0.
    masks : bool
        Whether a component may be -inf, and then is absent.
    gives : "values", "probabilities" or "log-probabilities"
        What the output is, so that a loss that reads something else can say so.
    check : bool
        Compare the derivative with differences of the value now, and refuse it where they disagree.

    Examples
    --------
    >>> import graphprop as gp
    >>> cube = gp.Activation("cube", lambda a: a**3, lambda a, o: 3 * a**2)
    >>> cube.value([1.0, 2.0]), cube.vjp(2.0, 1.0)
    (array([1., 8.]), 12.0)
    >>> gp.Activation("cube", lambda a: a**3, lambda a, o: 2 * a**2)
    Traceback (most recent call last):
    graphprop.errors.GraphpropError: activation 'cube': the derivative does not match the value: at a = -2.2 \
it gives 9.68, differences of the value give 14.52
    """

    __slots__ = (
        "derivative_function",
        "domain",
        "formula",
        "gives",
        "kind",
        "kinks",
        "latex",
        "masks",
        "name",
        "parameters",
        "second_function",
        "text",
        "value_function",
    )

    name: str
    kind: Kind
    value_function: Callable[..., Any]
    derivative_function: Callable[..., Any]
    second_function: Callable[..., Any] | None
    formula: Callable[..., Any] | None
    text: str
    latex: str
    parameters: Mapping[str, float]
    domain: tuple[float, float]
    kinks: tuple[float, ...]
    masks: bool
    gives: Gives
    printed: Printed = Printed()

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        derivative: Callable[..., Any],
        *,
        kind: Kind = "elementwise",
        second: Callable[..., Any] | None = None,
        formula: Callable[..., Any] | None = None,
        text: str | None = None,
        latex: str | None = None,
        parameters: Mapping[str, float] = MappingProxyType({}),
        domain: tuple[float, float] | None = None,
        kinks: tuple[float, ...] = (),
        masks: bool = False,
        gives: Gives = "values",
        check: bool = True,
    ) -> None:
        where = f"activation {name!r}"
        if not isinstance(name, str) or not name:
            raise GraphpropError(f"the name of an activation is a text that is not empty, not {name!r}")
        check_choice(kind, ("elementwise", "reducing", "vector"), f"{where}: kind")
        if not callable(value) or not callable(derivative):
            raise GraphpropError(f"{where}: value and derivative are functions")
        if second is not None and not callable(second):
            raise GraphpropError(f"{where}: the second derivative is a function, not {second!r}")
        if formula is not None and not callable(formula):
            raise GraphpropError(f"{where}: the formula is a function of m and a, not {formula!r}")
        if not isinstance(parameters, Mapping):
            raise GraphpropError(f"{where}: parameters are a mapping from names to numbers, not {parameters!r}")
        for key, number in parameters.items():
            if not np.isfinite(one_number(number, f"{where}: parameter {key}")):
                raise NumberError(f"{where}: parameter {key} is {number}; a finite number is needed")
        bounds = real_array(FINITE if domain is None else domain, f"{where}: the domain")
        if bounds.shape != (2,) or not bounds[0] < bounds[1]:
            raise GraphpropError(f"{where}: the domain is (low, high) with low < high, not {domain}")
        low, high = bounds.tolist()
        jumps = read_array(kinks, f"{where}: kinks")
        if jumps.size:
            jumps = real_array(jumps, f"{where}: kinks")
            if not all_finite(jumps):
                raise NumberError(f"{where}: kinks are finite numbers, not {jumps[~np.isfinite(jumps)].ravel()[0]}")
        for what, told in (("text", text), ("latex", latex)):
            if told is not None and not isinstance(told, str):
                raise GraphpropError(f"{where}: {what} is a text, not {told!r}")
        for what, flag in (("masks", masks), ("check", check)):
            check_flag(flag, f"{where}: {what}")
        fields = {
            "name": name,
            "kind": kind,
            "value_function": value,
            "derivative_function": derivative,
            "second_function": second,
            "formula": formula,
            "text": text or f"{name}(a)",
            "latex": latex or rf"\mathrm{{{name}}}(a)".replace("_", r"\_"),
            "parameters": MappingProxyType({key: float(number) for key, number in parameters.items()}),
            "domain": (low, high),
            "kinks": tuple(jumps.ravel().tolist()),
            "masks": masks,
            "gives": gives,
        }
        for field, entry in fields.items():
            object.__setattr__(self, field, entry)
        if check:
            check_derivative(self)
            check_second(self)
            check_formula(self)

    def __setattr__(self, field: str, entry: object) -> None:
        raise AttributeError(f"activation {self.name!r} is frozen; make another one")

    def _identity(self) -> tuple[Any, ...]:
        functions = (self.value_function, self.derivative_function, self.second_function, self.formula)
        what = (self.name, self.kind, self.domain, self.kinks, self.masks, self.gives)
        return (*what, *functions, *self.parameters.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        numbers = "".join(f", {key}={number:g}" for key, number in self.parameters.items())
        return f"<activation {label(self.name)}{numbers}: {plain(self.text)}>"

    def __copy__(self) -> Activation:
        return self

    def __deepcopy__(self, memo: Any) -> Activation:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        for function in (self.value_function, self.derivative_function, self.second_function, self.formula):
            if "<" in (place := getattr(function, "__qualname__", "")):
                raise pickle.PicklingError(
                    f"activation {self.name!r} cannot be pickled: {place} has no name in a module; define it there"
                )
        fields = {field: getattr(self, field) for field in Activation.__slots__}
        return _unpickle, (fields | {"parameters": dict(self.parameters)},)

    # One node's components, without checks: what the recursion runs.

    def outputs(self, a: list[float]) -> list[float]:
        """The outputs o of one node, from its pre-activations a."""
        f, fixed = self.value_function, self.parameters.values()
        if self.kind == "elementwise":
            return [float(f(x, *fixed)) for x in a]
        o = f(np.array(a), *fixed)
        return [float(o)] if self.kind == "reducing" else real_array(o, "the value").tolist()

    def pull(self, a: list[float], o: list[float], g: list[float]) -> list[float]:
        """g L: the gradient with respect to a, from the one with respect to o."""
        f, fixed = self.derivative_function, self.parameters.values()
        if self.kind == "elementwise":
            return [gi * float(f(x, y, *fixed)) for x, y, gi in zip(a, o, g, strict=True)]
        reducing = self.kind == "reducing"
        result = f(np.array(a), o[0] if reducing else np.array(o), g[0] if reducing else np.array(g), *fixed)
        delta = real_array(result, "the derivative")
        if delta.shape != (len(a),):
            raise GraphpropError(f"{self.name}: the derivative has shape {delta.shape}; it should have ({len(a)},)")
        numbers: list[float] = delta.tolist()
        return numbers

    def push(self, a: list[float], o: list[float], t: list[float]) -> list[float]:
        """L t: how fast o moves if a moves by t."""
        if self.kind == "elementwise":
            return self.pull(a, o, t)
        units = [[float(i == k) for i in range(len(o))] for k in range(len(o))]
        rows = [self.pull(a, o, unit) for unit in units]
        return [math.fsum(x * y for x, y in zip(row, t, strict=True) if x != 0) for row in rows]

    def bend(self, a: list[float], o: list[float], g: list[float], t: list[float]) -> list[float]:
        """How fast g L moves if a moves by t, and o with it, and g stays."""
        f, fixed = self.second_function, self.parameters.values()
        if f is None:
            return bent(self, a, o, g, t)
        if self.kind == "elementwise":
            return [gi * float(f(x, y, *fixed)) * ti for x, y, gi, ti in zip(a, o, g, t, strict=True)]
        reducing = self.kind == "reducing"
        result = f(
            np.array(a), o[0] if reducing else np.array(o), g[0] if reducing else np.array(g), np.array(t), *fixed
        )
        numbers: list[float] = real_array(result, "the second derivative").tolist()
        if len(numbers) != len(a):
            raise GraphpropError(f"{self.name}: the second derivative has {len(numbers)} components; a has {len(a)}")
        return numbers

    def refusal(self, a: list[float]) -> str:
        """Why these pre-activations cannot be computed with, naming the component; empty if they can."""
        if not a:
            return "there is no component"
        low, high = self.domain
        for i, x in enumerate(a):
            if x != x or (not low <= x <= high and not (self.masks and x == -math.inf)):
                at = f"component {i} is {x}" if len(a) > 1 else f"a is {x}"
                mask = " (or -inf, a mask)" if self.masks else ""
                return f"{at}; {self.name} needs {_members(self.domain, math.isfinite(x))}{mask}"
        if self.masks and all(x == -math.inf for x in a):
            return "every component is -inf (masked); at least one has to be finite"
        return ""

    def lost(self, a: list[float], o: list[float]) -> int:
        """The first output that is not finite, -1 if there is none; where a component is masked -inf may stand."""
        for k, x in enumerate(o):
            if not math.isfinite(x) and not (x == -math.inf and self.masks and self.kind == "vector" and a[k] == x):
                return k
        return -1

    # The public forms, on arrays.

    @keeps_warnings
    def value(self, a: ArrayLike) -> Any:
        """f(a): elementwise on any array; the other kinds work along the last axis.

        >>> import graphprop as gp
        >>> gp.activation("softmax_dot").value([1.0, 1.0])
        1.0
        """
        rows = self._rows(a)
        out = np.array([self._guarded(row)[1] for row in rows])
        return self._shaped(out, a)

    @keeps_warnings
    def vjp(self, a: ArrayLike, v: ArrayLike) -> Any:
        """The row vector v times the Jacobian at a: the gradient with respect to a; shaped like a.

        >>> import graphprop as gp
        >>> gp.activation("softmax").vjp([0.0, 0.0], [1.0, 0.0])
        array([ 0.25, -0.25])
        """
        rows = self._rows(a)
        shape = np.shape(a)[:-1] if self.kind == "reducing" else np.shape(a)
        g = real_array(v, f"{self.name}: v")
        if g.shape != shape:
            raise GraphpropError(f"{self.name}: v has shape {g.shape}; the output has shape {shape}")
        if not np.isfinite(g).all():
            raise NumberError(f"{self.name}: v has a component that is not finite")
        if not rows:
            return np.zeros(shape)
        pairs = zip(rows, g.reshape(len(rows), -1).tolist(), strict=True)
        out = np.array([self.pull(*self._guarded(row), gi) for row, gi in pairs]).reshape(np.shape(a))
        return float(out) if out.ndim == 0 else out

    def jacobian(self, a: ArrayLike) -> Any:
        """The Jacobian of one node, entry [k, i] = d o[k] / d a[i]; a number for a number, a row if reducing.

        >>> import graphprop as gp
        >>> gp.activation("softmax").jacobian([0.0, 0.0])
        array([[ 0.25, -0.25],
               [-0.25,  0.25]])
        """
        x = real_array(a, self.name)
        if x.ndim > 1 or not x.size:
            raise GraphpropError(f"{self.name}: the Jacobian is of one vector, not of an array of shape {x.shape}")
        if x.ndim == 0 and self.kind == "elementwise":
            return self.vjp(x, 1.0)
        units = [1.0] if self.kind == "reducing" else list(np.eye(x.size))
        rows = np.array([self.vjp(x, unit) for unit in units])
        return rows[0] if self.kind == "reducing" else rows

    def _rows(self, a: ArrayLike) -> list[list[float]]:
        x = real_array(a, self.name)
        if self.kind == "elementwise":
            return [[entry] for entry in x.ravel().tolist()]
        if x.ndim == 0 or x.shape[-1] == 0:
            raise GraphpropError(f"{self.name}: needs a vector of at least one component, not shape {x.shape}")
        rows: list[list[float]] = x.reshape(-1, x.shape[-1]).tolist()
        return rows

    def _guarded(self, row: list[float]) -> tuple[list[float], list[float]]:
        """(a, o) of one vector, or an error that says which component is wrong."""
        if reason := self.refusal(row):
            raise NumberError(f"{self.name}: {reason}")
        shown = f"{self.name}({', '.join(map(str, row[:4]))}{', ...' if len(row) > 4 else ''})"
        with Told(lambda error: NumberError(f"{shown}: {error}")):
            o = self.outputs(row)
        if self.lost(row, o) >= 0:
            raise NumberError(f"{shown} is not finite: {o if len(o) > 1 else o[0]}")
        return row, o

    def _shaped(self, out: Array, a: ArrayLike) -> Any:
        shape = np.shape(a)[:-1] if self.kind == "reducing" else np.shape(a)
        out = out.reshape(shape)
        return float(out) if out.ndim == 0 else out


def _members(domain: tuple[float, float], finite: bool) -> str:
    """Which numbers a domain has, told to one that is not of it, finite or not."""
    number = "a number" if finite or any(map(math.isinf, domain)) else "a finite number"
    (low, left), (high, right) = _end(domain[0], -math.inf), _end(domain[1], math.inf)
    if math.isinf(low):
        return number if math.isinf(high) else f"{number} {'<' if right else '<='} {_plain(high)}"
    if math.isinf(high):
        return f"{number} {'>' if left else '>='} {_plain(low)}"
    return f"{number} in {'(' if left else '['}{_plain(low)}, {_plain(high)}{')' if right else ']'}"


def _end(x: float, outside: float) -> tuple[float, bool]:
    """An end of an interval, and whether it is open: one that begins with the float next to 0 excludes 0."""
    beyond = math.nextafter(x, outside)
    return (beyond, True) if len(repr(beyond)) < len(repr(x)) else (x, False)


def _plain(x: float) -> str:
    return repr(x).removesuffix(".0")


def _unpickle(fields: dict[str, Any]) -> Activation:
    value, derivative = fields.pop("value_function"), fields.pop("derivative_function")
    second = fields.pop("second_function", None)
    return Activation(value=value, derivative=derivative, second=second, check=False, **fields)
