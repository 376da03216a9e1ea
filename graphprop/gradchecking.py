"""`gp.gradcheck`: a function that returns a value and its gradient, against central differences of its value.

Few entries are measured one at a time. Many are measured in blocks: along a direction that changes a whole block, the
derivative is the sum of its entries, so one number checks them all; a wrong block is halved until the entry is found.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphprop.arguments import generator
from graphprop.arrays import real_array
from graphprop.conditioning import NEARBY, TELLS, U
from graphprop.differences import LEVELS, Slopes, slopes
from graphprop.errors import GraphpropError, NumberError
from graphprop.layout import Array
from graphprop.locating import ratio_of
from graphprop.reports import Report, Row

STEPS = (2.0**-7, 2.0**-11, 2.0**-3, 2.0**-16, 2.0**-21)
SECONDS = 12.0  # for all calls of the function
GOAL = 2e-7  # relative error of one entry that a block should show
MOST = 5  # guilty entries that are looked for
SHOWN = 4


def gradcheck(function: Callable[[Any], tuple[Any, Any]], theta: Any, *, seed: int = 0) -> Report:
    """Check a gradient against central differences of the value that comes with it.

    Parameters
    ----------
    function : callable
        ``function(theta)`` gives (value, gradient), the gradient shaped like theta.
    theta : array, or mapping from names to arrays
        Where to check it; the function gets a copy each time.
    seed : int
        What random signs are drawn with, for functions of many parameters.

    Examples
    --------
    >>> import graphprop as gp
    >>> import numpy as np
    >>> bool(gp.gradcheck(lambda x: ((x**3).sum(), 3 * x**2), np.array([1.0, 2.0, -0.5])))
    True
    >>> report = gp.gradcheck(lambda x: ((x**3).sum(), 3 * x**2 * [1, 2, 1]), np.array([1.0, 2.0, -0.5]))
    >>> report.findings
    ('theta[1] is 24, differences of the value give 12 (2 times)',)
    """
    if not callable(function):
        raise GraphpropError(f"a function is checked, not {type(function).__name__}; gp.check takes a network")
    given = _Theta(theta)
    measured = _Function(function, given)
    value, gradient = measured.value_and_gradient()
    title = f"gradcheck of {getattr(function, '__name__', 'a function')} = {value:.6g}, {given.size} entries"
    rng = generator(seed)
    noise = measured.noise(rng) if given.size else 0.0
    wrong_numbers = np.flatnonzero(~np.isfinite(gradient))
    if len(wrong_numbers):
        findings = [f"{given.label(i)} is {gradient[i]}" for i in wrong_numbers[:MOST].tolist()]
        row = Row(
            "the function's gradient", "fails", f"{len(wrong_numbers)} entries", given.label(int(wrong_numbers[0]))
        )
        return Report(title, (row,), "", tuple(findings), {}, ())
    start = time.perf_counter()
    affordable = max(200, int(SECONDS / max(measured.seconds, 1e-7)))
    search = _Search(measured, gradient, noise, rng)
    if 2 * len(LEVELS) * given.size <= affordable:
        blocks = [np.array([i]) for i in range(given.size)]
    else:
        blocks = _by_size(gradient, max(1, affordable // (12 * len(LEVELS))))
    for block in blocks:
        search.test(block)
    return search.report(title, time.perf_counter() - start)


class _Theta:
    """Parameters as one flat vector, and back; and what each entry is called."""

    def __init__(self, given: Any) -> None:
        self.names = list(given) if isinstance(given, Mapping) else None
        parts = [given[name] for name in self.names] if self.names is not None else [given]
        places = self.names if self.names is not None else ["theta"]
        self.parts = [real_array(x, str(name)) for x, name in zip(parts, places, strict=True)]
        self.labels = [str(name) for name in places]
        self.start = np.cumsum([0, *(x.size for x in self.parts)])
        self.flat = np.concatenate([x.ravel() for x in self.parts]) if self.parts else np.empty(0)
        if not np.isfinite(self.flat).all():
            raise NumberError(f"{self.label(int(np.argmin(np.isfinite(self.flat))))} is not finite")

    @property
    def size(self) -> int:
        return len(self.flat)

    def shaped(self, flat: Array) -> Any:
        pieces = np.split(flat.copy(), self.start[1:-1])
        arrays = [x.reshape(part.shape) for x, part in zip(pieces, self.parts, strict=True)]
        return dict(zip(self.names, arrays, strict=True)) if self.names is not None else arrays[0]

    def flattened(self, gradient: Any) -> Array:
        """A gradient as a flat vector, or an error that says what its shape should be."""
        if self.names is None:
            given = [gradient]
        else:
            if not isinstance(gradient, Mapping):
                raise GraphpropError(
                    f"the gradient is a {type(gradient).__name__}; theta is a mapping, so it is one too"
                )
            missing = [name for name in self.names if name not in gradient]
            if missing:
                raise GraphpropError(f"the gradient lacks {missing[0]!r}")
            given = [gradient[name] for name in self.names]
        arrays = []
        for x, part, label in zip(given, self.parts, self.labels, strict=True):
            array = real_array(x, f"the gradient by {label}")
            if array.shape != part.shape:
                hint = ", of which it is the transpose" if array.shape == part.shape[::-1] else ""
                raise GraphpropError(f"the gradient by {label} has shape {array.shape}; {label} has {part.shape}{hint}")
            arrays.append(array.ravel())
        return np.concatenate(arrays) if arrays else np.empty(0)

    def label(self, i: int) -> str:
        k = int(np.searchsorted(self.start, i, side="right")) - 1
        index = np.unravel_index(i - int(self.start[k]), self.parts[k].shape) if self.parts[k].ndim else ()
        return self.labels[k] + (f"[{', '.join(str(int(j)) for j in index)}]" if index else "")

    def mirrored(self, i: int) -> int | None:
        """Where entry [k, j] of a square matrix stands, for its entry [j, k] off the diagonal."""
        part = int(np.searchsorted(self.start, i, side="right")) - 1
        shape, first = self.parts[part].shape, int(self.start[part])
        if len(shape) != 2 or shape[0] != shape[1]:
            return None
        j, k = divmod(i - first, shape[0])
        return first + k * shape[0] + j if j != k else None


class _Function:
    """The user's function of a flat vector, with what it may do wrong told in words."""

    def __init__(self, function: Callable[[Any], Any], theta: _Theta) -> None:
        self.function, self.theta, self.seconds = function, theta, 0.0

    def _call(self, flat: Array) -> tuple[float, Any]:
        given = self.theta.shaped(flat)
        try:
            result = self.function(given)
        except Exception as error:
            raise GraphpropError(f"the function raised {type(error).__name__}: {error}") from error
        if not isinstance(result, tuple) or len(result) != 2:
            raise GraphpropError(f"the function has to return (value, gradient), not {_short(result)}")
        value = real_array(result[0], "the value")
        if value.size != 1:
            raise GraphpropError(f"the value has shape {value.shape}; it has to be one number")
        return float(value.ravel()[0]), (result[1], given)

    def value_and_gradient(self) -> tuple[float, Array]:
        """Both at theta; twice, so that a function that changes is noticed."""
        flat = self.theta.flat
        value, (gradient, given) = self._call(flat)
        numbers = self.theta.flattened(gradient)
        changed = self.theta.flattened(given)
        if not np.array_equal(changed, flat):
            raise GraphpropError("the function changes theta in place; let it work on a copy")
        if not math.isfinite(value):
            raise NumberError(f"the value at theta is {value}")
        start = time.perf_counter()
        again, (gradient, _) = self._call(flat)
        self.seconds = time.perf_counter() - start
        repeated = self.theta.flattened(gradient)
        if again != value or not np.array_equal(numbers, repeated, equal_nan=True):
            where = "the value" if again != value else self.theta.label(int(np.argmax(numbers != repeated)))
            raise GraphpropError(
                f"the function is not the same twice: {where} changed between two calls with the same theta; "
                "fix its random numbers, or keep it from changing its state"
            )
        return value, numbers

    def value(self, flat: Array) -> float:
        """The value; nan where the function cannot be computed."""
        try:
            return self._call(flat)[0]
        except GraphpropError:
            return math.nan

    def noise(self, rng: np.random.Generator) -> float:
        """How far rounding moves the value.

        Sixth differences of close points show it, where a smooth function has none; and so does the first change that
        is seen when ever larger steps are taken, where the value moves by less than its last digit.
        """
        direction = rng.standard_normal(self.theta.size) / math.sqrt(self.theta.size)
        scale = max(1.0, float(np.abs(self.theta.flat).max(initial=0.0)))

        def along(step: float, count: int) -> Array:
            return np.array([self.value(self.theta.flat + k * step * scale * direction) for k in range(count)])

        found = []
        for spacing in (2.0**-13, 2.0**-18, 2.0**-24):
            for side in (spacing, -spacing):  # on its own, as there may be a kink between
                sixth = np.diff(along(side, 12), 6)
                if np.isfinite(sixth).all():
                    found.append(math.sqrt(float((sixth**2).mean()) / 924))
        typical = sorted(found)[len(found) // 3] if found else 0.0  # the large ones have met a kink
        last_digit = 0.0
        for k in range(44, 7, -6):
            change = np.abs(np.diff(along(2.0**-k, 4)))
            if (change > 0).any():
                last_digit = float(change[change > 0].min())
                break
        return max(4 * typical, last_digit, U * abs(self.value(self.theta.flat)), 5e-324)


def _short(given: object) -> str:
    text = type(given).__name__ if isinstance(given, np.ndarray) else repr(given)
    return text if len(text) <= 60 else text[:57] + "..."


def _by_size(gradient: Array, count: int) -> list[Array]:
    """Blocks of entries of about the same size, so that none is lost beside larger ones."""
    order = np.argsort(-np.abs(gradient), kind="stable")
    return [block for block in np.array_split(order, min(count, len(order))) if len(block)]


class _Search:
    """Blocks of entries, tested one after the other; what is wrong, and what cannot be told."""

    def __init__(self, function: _Function, gradient: Array, noise: float, rng: np.random.Generator) -> None:
        self.function, self.gradient, self.noise, self.rng = function, gradient, noise, rng
        self.theta = function.theta
        self.base = function.value(self.theta.flat)
        self.unit = np.maximum(1.0, np.abs(self.theta.flat))
        self.steps = list(STEPS)
        self.measured = np.full(len(gradient), np.nan)
        self.guilty: list[int] = []
        self.regions: list[str] = []
        self.silent: list[tuple[Array, str]] = []  # blocks, and why nothing can be told of them
        self.worst: tuple[float, float, float, int] = (0.0, 0.0, 0.0, -1)  # share, absolute, relative, entry
        self.blocks = 0
        self.used: set[float] = set()
        self.resolution: list[float] = []

    def test(self, block: Array) -> None:
        """Compare the derivative along a block; if it is wrong, find the entries that are."""
        if len(self.guilty) >= MOST:
            return
        self.blocks += 1
        direction = np.zeros(len(self.gradient))
        direction[block] = self.unit[block] / math.sqrt(len(block))
        if len(block) > 1:
            direction[block] *= self.rng.choice([-1.0, 1.0], len(block))
        wrong, silent = self._compare(direction, block)
        if silent:
            self.silent.append((block, self._why(direction) + (" in its block" if len(block) > 1 else "")))
        if not wrong:
            return
        if len(block) == 1:
            self.guilty.append(int(block[0]))
            return
        before = len(self.guilty)
        for half in np.array_split(block, 2):
            self.test(half)
        if len(self.guilty) == before:
            first = self.theta.label(int(block[0]))
            self.regions.append(f"the sum of {len(block)} entries, {first} among them, is wrong, but no single one is")

    def _compare(self, direction: Array, block: Array) -> tuple[bool, bool]:
        """Whether the derivative along a direction is wrong, and whether it cannot be told."""
        terms = self.gradient[block] * direction[block]
        predicted = math.fsum(terms.tolist())
        size = math.sqrt(float((terms**2).sum()))
        typical = float(np.median(np.abs(terms)))
        found = self._slope(direction, GOAL * typical if len(block) > 1 else 1e-9 * max(abs(predicted), 1e-300))
        derivative, error = float(found.derivative), float(found.error)
        if len(block) == 1:
            self.measured[block] = derivative / direction[block]
        difference = abs(derivative - predicted)
        nearby = NEARBY * float(found.curvature)
        exact = derivative == 0 and predicted == 0
        if exact:
            return False, False
        if not math.isfinite(error) or error > TELLS * max(size, abs(derivative), nearby):
            return math.isfinite(error) and difference > error, True
        if typical > 0:
            self.resolution.append(error / typical)
        relative = difference / max(abs(predicted), abs(derivative)) if difference else 0.0
        entry = int(block[0]) if len(block) == 1 else -1
        share = difference / error if error else math.inf * bool(difference)
        if share > self.worst[0]:
            scale = float(direction[block[0]]) if entry >= 0 else 1.0
            self.worst = share, difference / abs(scale), relative, entry
        self.used.add(float(found.step))
        return difference > error, False

    def _why(self, direction: Array) -> str:
        """Why differences say nothing: how the value changes close by, with steps that become eight times smaller."""
        second, first = [], []
        for step in (2.0**-11, 2.0**-14):
            up, down = (self.function.value(self.theta.flat + sign * step * direction) for sign in (1.0, -1.0))
            if not (math.isfinite(up) and math.isfinite(down)):
                return "the value is not finite next to it"
            first.append(max(abs(up - self.base), abs(down - self.base)))
            second.append(abs(up - 2 * self.base + down))
        if first[1] > 100 * self.noise and first[1] > first[0] / 2:
            return "at a jump of the value"
        if second[1] > 100 * self.noise and second[1] > second[0] / 16:  # 1/8 at a kink, 1/64 where it is smooth
            return "at a kink"
        return "too small for differences"

    def _slope(self, direction: Array, goal: float) -> Slopes:
        """Central differences with the step that was best last, or with others if it is not good enough."""
        best = None
        for step in list(self.steps):
            found, flat = self._trial(direction, step)
            if flat:  # a step too small, or a constant
                found.error = np.array(np.inf)
            if best is None or float(found.error) < float(best.error):
                best = found
            if float(best.error) <= goal:
                break
        assert best is not None
        good = float(best.step)
        self.steps.remove(good)
        self.steps.insert(0, good)
        return best

    def _trial(self, direction: Array, step: float) -> tuple[Slopes, bool]:
        """Differences with one step, and whether the value did not move at all."""
        flat = self.theta.flat
        sides = []
        for level in LEVELS:
            for sign in (1.0, -1.0):
                sides.append(np.array(self.function.value(flat + sign * level * step * direction)))
        # theta + step is rounded: what that moves the value by
        rounding = U * float(np.abs(self.gradient * flat * (direction != 0)).sum())
        found = slopes(np.array(self.base), sides[::2], sides[1::2], np.array(step), self.noise + rounding)
        return found, all(float(x) == self.base for x in sides)

    def _transposed(self) -> set[int]:
        """The guilty entries of square matrices that, with their mirror images, would be right the other way round."""
        found = set()
        for i in self.guilty:
            j = self.theta.mirrored(i)
            if j is None:
                continue
            for k in (i, j):
                if math.isnan(self.measured[k]):
                    direction = np.where(np.arange(len(self.gradient)) == k, self.unit, 0.0)
                    self.measured[k] = float(self._slope(direction, 0.0).derivative) / self.unit[k]
            if _near(self.gradient[i], self.measured[j]) and _near(self.gradient[j], self.measured[i]):
                found.add(i)
        return found

    def _turned(self, transposed: set[int]) -> list[str]:
        """The matrices that are transposed as a whole: what is not wrong in them is symmetric."""
        names = []
        for part, name in enumerate(self.theta.labels):
            here = range(int(self.theta.start[part]), int(self.theta.start[part + 1]))
            guilty = {i for i in self.guilty if i in here}
            if not guilty or not guilty <= transposed:
                continue
            side = self.theta.parts[part].shape[0]
            g = self.gradient[here.start : here.stop].reshape(side, side)
            skew = {here.start + int(i) for i in np.flatnonzero(~_near(g, g.T))}
            if skew <= guilty or len(self.guilty) >= MOST:
                names.append(name)
        return names

    def report(self, title: str, seconds: float) -> Report:
        guilty = sorted(self.guilty)
        findings, worst = [], {}
        transposed = self._transposed()
        for i in guilty:
            if math.isnan(self.measured[i]):
                continue
            stated, right = float(self.gradient[i]), float(self.measured[i])
            times = ratio_of(stated, right) if i not in transposed else " (that of the transposed entry)"
            findings.append(
                f"{self.theta.label(i)} is {stated:.12g}, differences of the value give {right:.12g}{times}"
            )
            worst[self.theta.label(i)] = {"the function's gradient": stated, "central differences": right}
        if names := self._turned(transposed):
            findings.insert(0, f"the gradient by {' and '.join(names)} is transposed (numerator layout)")
        elif len(guilty) > 1 and (same := _same_ratio(self.gradient[guilty], self.measured[guilty])):
            findings.insert(0, same)
        if len(guilty) >= MOST:
            findings.append("there may be more")
        findings += [] if guilty else self.regions
        undecided = [f"{self.theta.label(int(i))} ({why})" for block, why in self.silent for i in block]
        verdict = "fails" if findings else "undecided" if undecided else "ok"
        _, absolute, relative, entry = self.worst
        if guilty:
            entry = max(guilty, key=lambda i: abs(self.gradient[i] - self.measured[i]))
            absolute = abs(float(self.gradient[entry] - self.measured[entry]))
            relative = absolute / max(abs(float(self.gradient[entry])), abs(float(self.measured[entry])))
        told = [_entries(len(guilty)) + (", or more" if len(guilty) >= MOST else "")] if guilty else []
        if np.isnan(self.measured).any():
            told.append(f"in {self.blocks} blocks")
        if self.resolution:
            told.append(f"would show a relative error of {np.median(self.resolution):.0e} in an entry")
        steps = f"steps {min(self.used):.1e} to {max(self.used):.1e}, " if self.used else ""
        label = self.theta.label(entry) if entry >= 0 else ""
        rows = (
            Row("the function's gradient", verdict, "; ".join(told), label, absolute, relative, len(self.gradient)),
            Row(
                "central differences",
                "ok",
                f"the reference; {steps}noise of the value {self.noise:.0e}",
                entries=len(self.gradient),
                seconds=seconds,
            ),
        )
        return Report(title, rows, "central differences", tuple(findings), worst, tuple(undecided))


def _entries(count: int) -> str:
    return f"{count} entr{'y' if count == 1 else 'ies'}"


def _near(x: Any, y: Any) -> Any:
    return np.abs(x - y) <= 1e-6 * np.maximum(np.abs(x), np.abs(y))


def _same_ratio(stated: Array, right: Array) -> str:
    with np.errstate(all="ignore"):
        ratio = stated / right
    if not np.isfinite(ratio).all() or np.abs(ratio - ratio[0]).max() > 1e-6 * abs(ratio[0]):
        return ""
    return "they have the wrong sign" if abs(ratio[0] + 1) < 1e-6 else f"they are {ratio[0]:.6g} times as large"
