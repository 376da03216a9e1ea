"""`gp.gradcheck`: a function that returns a value and its gradient, against central differences of its value.

Few entries are measured one at a time. Many are measured in blocks: along a direction that changes a whole block, the
derivative is the sum of its entries, so one number checks them all; a wrong block is halved until the entry is found.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from graphprop.checks.blackbox import Function, Theta
from graphprop.checks.bounds import TELLS
from graphprop.checks.central_differences import LEVELS, Slopes, slopes
from graphprop.checks.culprits import ratio_of, told_apart
from graphprop.checks.jacobians import NEARBY
from graphprop.checks.report import Report, Row
from graphprop.checks.rounding import U
from graphprop.errors import GraphpropError
from graphprop.given.arguments import generator
from graphprop.given.arrays import keeps_warnings
from graphprop.graph.layout import Array
from graphprop.notation.escaping import label

STEPS = (2.0**-7, 2.0**-11, 2.0**-3, 2.0**-16, 2.0**-21)
SMALLER = (2.0**-26, 2.0**-31, 2.0**-36)  # steps that are mostly noise, but may show that a value swings
CONFIRMING = (0.62, 0.37)  # of a step: no parts that a period has in common with it
FASTEST = 2.0**40  # swings, while a parameter changes by 1, that a function is thought to make
VAGUE = 2.0**-5  # numbers that are rounded by more than this part of them say nothing
SECONDS = 12.0  # for all calls of the function
GOAL = 2e-7  # relative error of one entry that a block should show
MOST = 5  # guilty entries that are looked for
SHOWN = 4


@keeps_warnings
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
    given = Theta(theta)
    measured = Function(function, given)
    with np.errstate(all="ignore"):  # the function itself is called with what the caller wants to hear
        return _report(measured, generator(seed))


def _report(measured: Function, rng: np.random.Generator) -> Report:
    given, function = measured.theta, measured.function
    value, gradient, rounding = measured.value_and_gradient()
    called = label(getattr(function, "__name__", "a function"))
    title = f"gradcheck of {called} = {value:.6g}, {given.size} entries"
    wrong_numbers = np.flatnonzero(~np.isfinite(gradient))
    if len(wrong_numbers):
        findings = [f"{given.label(i)} is {gradient[i]}" for i in wrong_numbers[:MOST].tolist()]
        row = Row(
            "the function's gradient", "fails", f"{len(wrong_numbers)} entries", given.label(int(wrong_numbers[0]))
        )
        return Report(title, (row,), "", tuple(findings), {}, ())
    start = time.perf_counter()
    affordable = max(200, int(SECONDS / max(measured.seconds, 1e-7)))
    search = _Search(measured, gradient, rounding, rng)
    if 2 * len(LEVELS) * given.size <= affordable:
        blocks = [np.array([i]) for i in range(given.size)]
    else:
        blocks = _by_size(gradient, max(1, affordable // (12 * len(LEVELS))))
    for block in blocks:
        search.test(block)
    return search.report(title, time.perf_counter() - start)


def _by_size(gradient: Array, count: int) -> list[Array]:
    """Blocks of entries of about the same size, so that none is lost beside larger ones."""
    order = np.argsort(-np.abs(gradient), kind="stable")
    return [block for block in np.array_split(order, min(count, len(order))) if len(block)]


class _Search:
    """Blocks of entries, tested one after the other; what is wrong, and what cannot be told."""

    def __init__(self, function: Function, gradient: Array, rounding: Array, rng: np.random.Generator) -> None:
        self.function, self.gradient, self.rng = function, gradient, rng
        self.theta = function.theta
        self.base = function.value(self.theta.flat)
        self.unit = np.maximum(1.0, np.abs(self.theta.flat))
        self.noise, self.jitter, self.rounding = 0.0, np.zeros(0), rounding
        if self.theta.size:
            along = self.unit * rng.standard_normal(self.theta.size) / math.sqrt(self.theta.size)
            self.noise, self.jitter = function.noise(along)
        self.steps = list(STEPS)
        self.measured = np.full(len(gradient), np.nan)
        self.guilty: list[int] = []
        self.regions: list[str] = []
        self.silent: list[tuple[Array, str]] = []  # blocks, and why nothing can be told of them
        self.worst: tuple[float, float, float, int] = (0.0, 0.0, 0.0, -1)  # share, absolute, relative, entry
        self.blocks = 0
        self.used: set[float] = set()
        self.resolution: list[float] = []  # the relative error of an entry, typical in its block, that would be seen
        self.worst_resolution = 0.0  # that of any entry

    def test(self, block: Array) -> None:
        """Compare the derivative along a block; if it is wrong, find the entries that are."""
        if len(self.guilty) >= MOST:
            return
        self.blocks += 1
        direction = np.zeros(len(self.gradient))
        direction[block] = self.unit[block] / math.sqrt(len(block))
        if len(block) > 1:
            direction[block] *= self.rng.choice([-1.0, 1.0], len(block))
        wrong, why = self._compare(direction, block)
        if why and not (wrong and len(block) > 1):  # of halves more may be told
            self.silent.append((block, why + (" in its block" if len(block) > 1 else "")))
            return
        if not wrong:
            return
        if len(block) == 1:
            self.guilty.append(int(block[0]))
            return
        before = len(self.guilty)
        for half in np.array_split(block, 2):
            self.test(half)
        if len(self.guilty) == before and not why:
            first = self.theta.label(int(block[0]))
            self.regions.append(f"the sum of {len(block)} entries, {first} among them, is wrong, but no single one is")

    def _compare(self, direction: Array, block: Array) -> tuple[bool, str]:
        """Whether the derivative along a direction is wrong; and why that cannot be told for sure, if so.

        What is known to less than a thousandth is not called wrong: it may swing below the noise.
        """
        along = direction[block]
        terms = self.gradient[block] * along
        predicted = math.fsum(terms.tolist())
        size, jitter, rounding = map(_length, (terms, self.jitter[block] * along, self.rounding[block] * along))
        typical = float(np.median(np.abs(terms)))
        goal = GOAL * typical if len(block) > 1 else 1e-9 * max(abs(predicted), 1e-300)

        def judged(found: Slopes) -> tuple[bool, bool]:
            nearby = min(NEARBY, float(found.step)) * float(found.curvature)  # slopes no farther off than was looked at
            scale = max(size, abs(float(found.derivative)), nearby)
            error = float(found.error)
            coarse = not math.isfinite(error + rounding) or error > TELLS * scale
            coarse |= jitter > TELLS * scale + rounding or rounding > VAGUE * scale
            coarse |= self._is_drowned(found, predicted, noise, float(self.unit[block].max()))
            return _apart(found, predicted) > error + jitter + rounding, coarse

        noise = self.noise
        found = self._slope(direction, goal, noise)
        wrong, coarse = judged(found)
        if wrong or (coarse and found.derivative != 0):  # what was seen along all entries may hide the noise of these
            noise = max(noise, self.function.noise(direction)[0])
            if noise > 2 * self.noise:
                found = self._slope(direction, goal, noise)
                wrong, coarse = judged(found)
        derivative, error = float(found.derivative), float(found.error) + jitter + rounding
        if len(block) == 1:
            self.measured[block] = derivative / direction[block]
        if derivative == 0 and predicted == 0:
            return False, ""
        own = jitter + rounding
        if wrong and (
            self._is_defended(direction, predicted, own, found)
            or not self._is_confirmed(direction, predicted, own, found)
        ):
            return False, "differences with other steps contradict each other"
        if coarse:
            return wrong, self._why(direction)
        if typical > 0:
            self.resolution.append(2 * error / typical)
            self.worst_resolution = max(self.worst_resolution, 2 * error / float(np.abs(terms[terms != 0]).min()))
        difference = abs(derivative - predicted)
        relative = difference / max(abs(predicted), abs(derivative)) if difference else 0.0
        entry = int(block[0]) if len(block) == 1 else -1
        share = difference / error if error else math.inf * bool(difference)
        if share > self.worst[0]:
            scale = float(direction[block[0]]) if entry >= 0 else 1.0
            self.worst = share, difference / abs(scale), relative, entry
        self.used.add(float(found.step))
        return wrong, ""

    def _is_drowned(self, found: Slopes, predicted: float, noise: float, unit: float) -> bool:
        """Whether all that moves is noise: a swing of that size, which no step resolves, may have the stated slope.

        It may not if it would have to be faster than FASTEST, and the noise is no more than what rounding makes.
        """
        rounding = self.function.last_digit(self.base) + U * float(np.abs(self.gradient * self.theta.flat).sum())
        moves = 0 < abs(float(found.derivative * found.step)) <= 100 * noise
        return moves and (noise > 16 * rounding or _apart(found, predicted) <= FASTEST * unit * noise)

    def _is_defended(self, direction: Array, predicted: float, own: float, against: Slopes) -> bool:
        """Whether another step gives the derivative that is stated, and contradicts the one that accuses it."""
        for step in STEPS + SMALLER:
            found, flat = self._trial(direction, step, self.noise)
            agrees = _apart(found, predicted) <= float(found.error) + own
            if not flat and agrees and _apart(found, float(against.derivative)) > float(found.error + against.error):
                return True
        return False

    def _is_confirmed(self, direction: Array, predicted: float, own: float, by: Slopes) -> bool:
        """Whether two more steps give the derivative that accuses the stated one, and accuse it too.

        What swings many times within each step gives slopes by chance, which do not agree.
        """
        for part in CONFIRMING:
            found, _ = self._trial(direction, part * float(by.step), self.noise)
            accuses = _apart(found, predicted) > float(found.error) + own
            if not accuses or _apart(found, float(by.derivative)) > float(found.error + by.error):
                return False
        return True

    def _why(self, direction: Array) -> str:
        """Why differences say nothing: how the value changes close by, with steps that become eight times smaller.

        The closest steps count at which more than noise is seen: farther off it may look like a kink where it swings.
        """
        for step in (2.0**-26, 2.0**-20, 2.0**-14):
            second, first = [], []
            for h in (8 * step, step):
                up, down = (self.function.value(self.theta.flat + sign * h * direction) for sign in (1.0, -1.0))
                if not (math.isfinite(up) and math.isfinite(down)):
                    return "the value is not finite next to it"
                first.append(max(abs(up - self.base), abs(down - self.base)))
                second.append(abs(up - 2 * self.base + down))
            if first[1] > 100 * self.noise and first[1] > first[0] / 2:
                return "at a jump of the value"
            if second[1] > 100 * self.noise and second[1] > second[0] / 16:  # 1/8 at a kink, 1/64 where it is smooth
                return "at a kink"
            if second[1] > 100 * self.noise:
                return "it swings faster than the steps"
        return "too small for differences"

    def _slope(self, direction: Array, goal: float, noise: float) -> Slopes:
        """Central differences with the step that was best last, or with others if it is not good enough.

        A step that does not move the value is too small, unless none does: then the slope is 0, but for the noise.
        """
        best, constant = None, None
        for step in list(self.steps):
            found, flat = self._trial(direction, step, noise)
            if flat:
                constant = min(constant or found, found, key=lambda slopes: float(slopes.error))
            elif best is None or float(found.error) < float(best.error):
                best = found
            if best is not None and float(best.error) <= goal:
                break
        best = best or constant
        assert best is not None
        good = float(best.step)
        self.steps.remove(good)
        self.steps.insert(0, good)
        return best

    def _trial(self, direction: Array, step: float, noise: float) -> tuple[Slopes, bool]:
        """Differences with one step, and whether the value did not move at all."""
        flat = self.theta.flat
        sides = []
        for level in LEVELS:
            for sign in (1.0, -1.0):
                sides.append(np.array(self.function.value(flat + sign * level * step * direction)))
        # theta + step is rounded: what that moves the value by; and a larger value has a larger last digit
        rounding = U * float(np.abs(self.gradient * flat * (direction != 0)).sum())
        rounding += self.function.last_digit(max(abs(float(x) - self.base) for x in sides))
        found = slopes(np.array(self.base), sides[::2], sides[1::2], np.array(step), noise + rounding)
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
                    self.measured[k] = float(self._slope(direction, 0.0, self.noise).derivative) / self.unit[k]
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
            shown, other = told_apart(stated, right)
            findings.append(f"{self.theta.label(i)} is {shown}, differences of the value give {other}{times}")
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
            typical, worst_of_all = f"{np.median(self.resolution):.0e}", f"{self.worst_resolution:.0e}"
            told.append(
                f"would show a relative error of {typical} in an entry"
                if typical == worst_of_all
                else f"would show a relative error of {typical} in most entries, {worst_of_all} in all"
            )
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


def _length(x: Array) -> float:
    largest = float(np.abs(x).max())  # whose square may overflow
    return largest * float(np.linalg.norm(x / largest)) if largest else 0.0


def _apart(found: Slopes, number: float) -> float:
    return abs(float(found.derivative) - number)


def _entries(count: int) -> str:
    return f"{count} entr{'y' if count == 1 else 'ies'}"


def _near(x: Any, y: Any) -> Any:
    return np.abs(x - y) <= 1e-6 * np.maximum(np.abs(x), np.abs(y))


def _same_ratio(stated: Array, right: Array) -> str:
    with np.errstate(all="ignore"):
        ratio = stated / right
    if not np.isfinite(ratio).all() or np.abs(ratio - ratio[0]).max() > 1e-6 * abs(ratio[0]) or _near(ratio[0], 1):
        return ""
    return "they have the wrong sign" if abs(ratio[0] + 1) < 1e-6 else f"they are {ratio[0]:.6g} times as large"
