"""What the recursion computes with: floats, or numbers of another kind such as those of mpmath and sympy.

For floats the activations' and losses' stable forms are used. For other numbers, which neither round early nor
overflow, the textbook formulas are, and their derivatives are left to the other library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, NumberError
from graphprop.functions.activation import Activation
from graphprop.functions.loss import Loss, with_gaps
from graphprop.functions.mathematics import Mathematics

Numbers = list[Any]


class Floats:
    """Python floats. Sums are exact before they are rounded, so the order of terms does not matter."""

    dtype: Any = float

    def number(self, x: Any) -> Any:
        return float(x)

    def total(self, terms: Sequence[Any]) -> Any:
        """The sum; nan or an infinity where that is what the terms add up to."""
        try:
            return math.fsum(terms)
        except OverflowError:  # on the way, not necessarily in the result
            return math.fsum(x * 2.0**-64 for x in terms) * 2.0**64
        except ValueError:  # infinities of both signs
            return math.nan

    def outputs(self, f: Activation, a: Numbers) -> Numbers:
        return f.outputs(a)

    def pull(self, f: Activation, a: Numbers, o: Numbers, g: Numbers) -> Numbers:
        """g L, with L the Jacobian of f at a."""
        return f.pull(a, o, g)

    def loss(self, entry: Loss, z: Numbers, t: Numbers) -> tuple[Any, Numbers]:
        """Value and gradient for one sample of one head."""
        value, gradient = entry.evaluate(z, t)
        return value, gradient.tolist()


class Formulas(Mathematics):
    """Numbers of another library, by the textbook formulas; it is the namespace m of these."""

    dtype: Any = object

    def __init__(self, library: Any) -> None:
        self._library = library

    @property
    def pi(self) -> Any:
        return self._library.pi

    def exp(self, x: Any) -> Any:
        return self._library.exp(x)

    def log(self, x: Any) -> Any:
        return self._library.log(x)

    def sqrt(self, x: Any) -> Any:
        return self._library.sqrt(x)

    def sin(self, x: Any) -> Any:
        return self._library.sin(x)

    def cos(self, x: Any) -> Any:
        return self._library.cos(x)

    def tanh(self, x: Any) -> Any:
        return self._library.tanh(x)

    def erf(self, x: Any) -> Any:
        return self._library.erf(x)

    def erfc(self, x: Any) -> Any:
        return self._library.erfc(x)

    def total(self, terms: Sequence[Any]) -> Any:
        return sum(terms, self.number(0))

    def outputs(self, f: Activation, a: Numbers) -> Numbers:
        if f.kind == "elementwise":
            return [self._formula(f)(x) for x in a]
        o = self._formula(f)(a)
        return [o] if f.kind == "reducing" else list(o)

    def pull(self, f: Activation, a: Numbers, o: Numbers, g: Numbers) -> Numbers:
        formula = self._formula(f)
        if f.kind == "elementwise":
            return [gi * self._slope(f, x, y) for gi, x, y in zip(g, a, o, strict=True)]

        if f.kinks and len({abs(x) for x in a}) < len(a):  # a tie: by convention too
            row = f.pull([float(x) for x in a], [float(x) for x in o], [1.0])
            return [g[0] * self.number(slope) for slope in row]

        def directed(x: Numbers) -> Any:
            outputs = [formula(x)] if f.kind == "reducing" else formula(x)
            return sum(gk * ok for gk, ok in zip(g, outputs, strict=True))

        return self.gradient(directed, a)

    def loss(self, entry: Loss, z: Numbers, t: Numbers) -> tuple[Any, Numbers]:
        if entry.formula is None:
            raise GraphpropError(f"loss {entry.name!r} has no formula, which other numbers than floats need")
        formula = entry.formula
        t = [None if x is None else self.number(x) for x in with_gaps(entry, t)]
        gradient = self.gradient(lambda x: formula(self, x, t), z)
        kinks = set(map(self.number, entry.kinks))
        on_kink = [k for k, y in enumerate(t) if kinks and y is not None and z[k] - y in kinks]
        if on_kink:  # by convention, and that is written in the float form
            given = (np.array([math.nan if x is None else float(x) for x in xs]) for xs in (z, t))
            by_convention = entry.apply(*given)[1].tolist()
            for k in on_kink:
                gradient[k] = self.number(by_convention[k])
        return self.number(formula(self, z, t)), gradient

    def _formula(self, f: Activation) -> Callable[[Any], Any]:
        if f.formula is None:
            raise GraphpropError(f"activation {f.name!r} has no formula, which other numbers than floats need")
        formula = f.formula
        fixed = [self.number(x) for x in f.parameters.values()]
        return lambda a: formula(self, a, *fixed)

    def _slope(self, f: Activation, x: Any, y: Any) -> Any:
        if any(x == self.number(kink) for kink in f.kinks):  # by convention, and that is written in the float form
            return self.number(f.pull([float(x)], [float(y)], [1.0])[0])
        return self.gradient(lambda v: self._formula(f)(v[0]), [x])[0]

    def number(self, x: Any) -> Any:
        raise NotImplementedError

    def gradient(self, function: Callable[[Numbers], Any], at: Numbers) -> Numbers:
        """The partial derivatives of a function of a list of numbers."""
        raise NotImplementedError


class Mpmath(Formulas):
    """mpmath's numbers, to as many digits as its context says."""

    def number(self, x: Any) -> Any:
        number = self._library.mpmathify(x)
        if not self._library.isfinite(number):
            raise NumberError(f"finite numbers are needed, not {x!r}")
        return number

    def total(self, terms: Sequence[Any]) -> Any:
        return self._library.fsum(terms)

    def gradient(self, function: Callable[[Numbers], Any], at: Numbers) -> Numbers:
        diff = self._library.diff
        return [diff(lambda x, i=i: function([*at[:i], x, *at[i + 1 :]]), at[i]) for i in range(len(at))]

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        return then if condition else otherwise

    def max(self, xs: Numbers) -> Any:
        return max(xs)

    def min(self, xs: Numbers) -> Any:
        return min(xs)

    def sorted(self, xs: Numbers) -> Any:
        return sorted(xs)


class Sympy(Formulas):
    """sympy's expressions."""

    def number(self, x: Any) -> Any:
        """The expression; a float becomes the fraction that it is."""
        if isinstance(x, float | np.floating) and not np.isfinite(x):
            raise NumberError(f"finite numbers are needed, not {x!r}")
        if isinstance(x, float | np.floating):
            return self._library.Rational(*float(x).as_integer_ratio())
        return self._library.sympify(x)

    def gradient(self, function: Callable[[Numbers], Any], at: Numbers) -> Numbers:
        xs = [self._library.Dummy(f"a{i}", real=True) for i in range(len(at))]
        expression, values = function(xs), dict(zip(xs, at, strict=True))
        return [self._library.diff(expression, x).xreplace(values) for x in xs]

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        return self._library.Piecewise((then, condition), (otherwise, True))

    def max(self, xs: Numbers) -> Any:
        return self._library.Max(*xs)

    def min(self, xs: Numbers) -> Any:
        return self._library.Min(*xs)

    def sorted(self, xs: Numbers) -> Any:
        raise GraphpropError("symbols have no order, which the median needs")


def arithmetic(numbers: Any = None) -> Floats | Formulas:
    """Floats for None; else the namespace's numbers: `mpmath.mp` (or another of its contexts), or `sympy`."""
    if numbers is None:
        return Floats()
    if hasattr(numbers, "Dummy") and hasattr(numbers, "Piecewise"):
        return Sympy(numbers)
    if hasattr(numbers, "mpmathify") and hasattr(numbers, "diff"):
        return Mpmath(getattr(numbers, "mp", numbers))
    raise GraphpropError(f"numbers is None (floats), mpmath.mp or sympy, not {numbers!r}")
