"""What a wrong matrix has to do with the right one, in words: a transpose, a factor, a swap, a known mistake.

Matrices are compared by all of their entries together, so that a lucky number is not taken for a pattern.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from graphprop.checks.known_mistakes import Suspects, uses_of
from graphprop.graph.layout import Array
from graphprop.passes.addresses import Addresses
from graphprop.passes.parts import Part


@dataclass(frozen=True, eq=False)
class Case:
    """A matrix that should be `right` and is `mine`, up to `tolerance`; where there is no entry, `right` is nan."""

    part: Part
    right: Array
    mine: Array
    tolerance: Array
    samples: int
    addresses: Addresses
    flat: Mapping[str, Array]  # all that is right, by kind, for the uses of tied weights

    def label(self, place: int) -> str:
        """The name of the entry at this place of the part's kind."""
        return self.addresses.label(self.part.kind, place)

    @property
    def there(self) -> Array:
        there: Array = np.isfinite(self.right)
        return there

    def wrong(self) -> Array:
        with np.errstate(invalid="ignore"):
            near: Array = np.abs(self.mine - self.right) <= self.tolerance
        return self.there & ~near


def recognise(case: Case, suspects: Suspects) -> str:
    """What is wrong, if it is one of the usual things; else empty."""
    searches: tuple[Callable[[Case, Suspects], Iterator[str]], ...] = (
        _not_numbers, _nothing, _named_factors, _swaps, _uses, _mistakes, _any_factor, _factors_of_lines,
        _factor_of_some,
    )  # fmt: skip
    return next((text for search in searches for text in search(case, suspects)), "")


# ------------------------------------------------------------------ what agrees


def _equal(case: Case, x: Array, y: Array, scale: float = 1.0) -> bool:
    """Equal up to the tolerance of the right matrix, times a number."""
    return bool((np.abs(x - y) <= case.tolerance * scale)[case.there].all())


def _alike(case: Case, x: Array, y: Array) -> bool:
    """Equal in half of all digits, for numbers that are not known to the last one."""
    x, y = x[case.there], y[case.there]
    largest = np.abs(y).max(initial=0.0)
    return bool((np.abs(x - y) <= 2.0**-26 * np.abs(y) + 2.0**-40 * largest).all())


def _oriented(case: Case) -> Iterator[tuple[str, Array]]:
    """The matrix as it was given, and transposed where that has the same shape."""
    yield "", case.mine
    if case.mine.ndim == 2 and case.mine.shape[0] == case.mine.shape[1] > 1:
        yield "it is transposed (numerator layout)", case.mine.T


def _joined(*parts: str) -> str:
    return ", and ".join(part for part in parts if part)


# ------------------------------------------------------------------ patterns


def _not_numbers(case: Case, _: Suspects) -> Iterator[str]:
    bad = case.there & ~np.isfinite(case.mine)
    if bad.any():
        yield f"{_count(bad)} not finite"


def _nothing(case: Case, _: Suspects) -> Iterator[str]:
    if not case.mine[case.there].any():
        yield "it is 0 everywhere"


def _named_factors(case: Case, suspects: Suspects) -> Iterator[str]:
    for turned, mine in _oriented(case):
        for c, words in factors(case.samples):
            if (turned or c != 1) and _equal(case, mine, c * case.right, max(1.0, abs(c))):
                yield _joined(turned, words and words + _why_factor(case, mine, c, suspects))


def factors(samples: int) -> Iterator[tuple[float, str]]:
    """Factors that are usual, with the words for what they are; 1 has none."""
    yield 1.0, ""
    yield -1.0, "the sign is flipped"
    sizes = {float(samples): f"{samples} times", 1 / samples: f"1/{samples} of"} if samples > 1 else {}
    for c, times in (sizes | {2.0: "twice", 0.5: "half of"}).items():
        yield c, f"it is {times} what it should be"
        yield -c, f"it is {times} what it should be, and the sign is flipped"


def _why_factor(case: Case, mine: Array, c: float, suspects: Suspects) -> str:
    """What may have been forgotten, for a factor: a usual one, or a weight of the graph."""
    found = _usual(case, c, suspects)
    for text, numbers in suspects.without_a_weight(1 / c):
        if _alike(case, mine, _predicted(case, numbers)):
            found.append(text)
            break
    return _reasons(found)


def _usual(case: Case, c: float, suspects: Suspects) -> list[str]:
    """What a factor stands for: the mean of a batch, or the 2 that a square brings, where there is one."""
    B, size, found = case.samples, abs(c), []
    if B > 1 and size == B:
        found.append(f"the factor 1/B is missing, for B = {B} samples")
    if B > 1 and size == 1 / B:
        found.append(f"a factor 1/B too many, for B = {B} samples")
    if size in (2.0, 0.5) and suspects.squares:
        found.append("a factor 1/2 is missing" if size == 2 else "a factor 2 is missing, or a 1/2 too many")
    return found


def _reasons(found: list[str]) -> str:
    return f": {', or '.join(found)}" if found else ""


def _predicted(case: Case, numbers: Mapping[str, Array]) -> Array:
    """What stands in the places of the matrix where all numbers are these."""
    flat, index = numbers[case.part.kind].ravel(), case.part.index
    return np.where(index < 0, np.nan, flat[index])


def _any_factor(case: Case, suspects: Suspects) -> Iterator[str]:
    for turned, mine in _oriented(case):
        c = _common_factor(case, case.right, mine)
        if c is not None:
            factor = f"{c:.9g}" if abs(c - 1) > 1e-7 else repr(c)
            words = f"it is {factor} times what it should be, in every entry"
            yield _joined(turned, words + _why_factor(case, mine, c, suspects))


def _common_factor(case: Case, right: Array, mine: Array) -> float | None:
    """The factor between two matrices, if there is one and at least two numbers show it."""
    x, y, tolerance = right[case.there], mine[case.there], case.tolerance[case.there]
    shown = np.abs(x) > tolerance
    if shown.sum() < 2:
        return None
    largest = int(np.argmax(np.abs(x)))
    c = float(y[largest] / x[largest])
    slack = tolerance * max(1.0, abs(c)) + np.abs(x) * tolerance[largest] / abs(x[largest]) * max(1.0, abs(c))
    return c if c and (np.abs(y - c * x) <= slack).all() else None


def _factors_of_lines(case: Case, _: Suspects) -> Iterator[str]:
    """Each row, or each column, has a factor of its own."""
    if case.mine.ndim != 2 or min(case.mine.shape) < 2 or not case.there.all():
        return
    if case.part.kind != "weight":
        return
    for what, meaning, right, mine, tolerance in (
        ("row", "what flows back into its node (delta) is wrong", case.right, case.mine, case.tolerance),
        ("column", "what its edge carries (o) is wrong", case.right.T, case.mine.T, case.tolerance.T),
    ):
        lines = [
            _common_factor(Case(case.part, x, y, t, case.samples, case.addresses, {}), x, y)
            for x, y, t in zip(right, mine, tolerance, strict=True)
        ]
        if None in lines:
            continue
        numbers = [c for c in lines if c is not None]
        off = [i for i, c in enumerate(numbers) if abs(c - 1) > 2.0**-40]
        shown = ", ".join(f"{numbers[i]:.6g} in {what} {i}" for i in off[:4]) + (", ..." if len(off) > 4 else "")
        yield f"each {what} has a factor of its own, {shown}: {meaning}"


def _factor_of_some(case: Case, suspects: Suspects) -> Iterator[str]:
    """The wrong entries alone have a factor that is usual."""
    wrong = case.wrong()
    x, y, tolerance = case.right[wrong], case.mine[wrong], case.tolerance[wrong]
    for c, words in factors(case.samples):
        if c != 1 and (np.abs(y - c * x) <= tolerance * max(1.0, abs(c))).all():
            words += _why_factor(case, case.mine, c, suspects)
            yield f"{_count(wrong)} wrong: {words.replace('it is', 'each is')}"


def _swaps(case: Case, _: Suspects) -> Iterator[str]:
    wrong = np.flatnonzero(case.wrong().ravel())
    right, mine, tolerance = case.right.ravel(), case.mine.ravel(), case.tolerance.ravel()
    if len(wrong) == 2:
        i, j = wrong.tolist()
        slack = max(tolerance[i], tolerance[j])
        if abs(mine[i] - right[j]) <= slack and abs(mine[j] - right[i]) <= slack:
            places = case.part.index.ravel()
            yield f"{case.label(int(places[i]))} and {case.label(int(places[j]))} are swapped"
    if case.mine.ndim != 2 or case.part.kind != "weight" or not case.there.all():
        return
    for what, x, y, t in (
        ("rows", case.right, case.mine, case.tolerance),
        ("columns", case.right.T, case.mine.T, case.tolerance.T),
    ):
        lines = np.flatnonzero((np.abs(x - y) > t).any(axis=1)).tolist()
        if len(lines) == 2:
            i, j = lines
            slack = np.maximum(t[i], t[j])
            if (np.abs(y[i] - x[j]) <= slack).all() and (np.abs(y[j] - x[i]) <= slack).all():
                yield f"{what} {i} and {j} are swapped"
        order = [_same_line(x, row, t) for row in y] if 2 < len(lines) <= 100 else []
        if order and sorted(order) == list(range(len(x))):
            yield f"the {what} are in another order: {order}"


def _same_line(rows: Array, row: Array, tolerance: Array) -> int:
    found = np.flatnonzero((np.abs(rows - row) <= tolerance).all(axis=1))
    return int(found[0]) if len(found) else -1


def _uses(case: Case, _: Suspects) -> Iterator[str]:
    """A tied weight of which one use is lost, or all but one."""
    if case.part.kind != "theta":
        return
    texts = []
    for i in np.flatnonzero(case.wrong().ravel()).tolist():
        position = int(case.part.index.ravel()[i])
        uses = uses_of(case.addresses.layout, position)
        right, mine = float(case.right.ravel()[i]), float(case.mine.ravel()[i])
        text = _lost_use(right, mine, [(label, float(case.flat[kind][k])) for label, kind, k in uses])
        if not text:
            return
        texts.append(f"{case.label(position)}: {text}")
    yield "; ".join(texts[:3]) + (f"; and {len(texts) - 3} more" if len(texts) > 3 else "")


def _lost_use(right: float, mine: float, uses: list[tuple[str, float]]) -> str:
    if len(uses) < 2:
        return ""
    size = sum(abs(x) for _, x in uses)

    def near(x: float) -> bool:
        return abs(mine - x) <= 2.0**-40 * size

    for label, x in uses:
        if near(right - x):
            return f"its use {label} is not counted"
    for label, x in uses:
        if near(x):
            return f"of its {len(uses)} uses only {label} is counted"
    return f"the mean of its {len(uses)} uses, not the sum" if near(right / len(uses)) else ""


def _mistakes(case: Case, suspects: Suspects) -> Iterator[str]:
    """A mistake alone, else one together with a factor or a transpose."""
    part, together = case.part, []
    if part.kind == "value":
        return
    for text, numbers in suspects.of(_wrong_nodes(case)):
        predicted = _predicted(case, numbers)
        if not np.isfinite(predicted[case.there]).all() or _alike(case, predicted, case.right):
            continue
        for turned, mine in _oriented(case):
            for c, words in factors(case.samples):
                if _alike(case, mine, c * predicted):
                    together.append(_joined(turned, text, words and words + _reasons(_usual(case, c, suspects))))
                    if not turned and c == 1:
                        yield together[-1]
    yield from together


def _wrong_nodes(case: Case, most: int = 8) -> list[int]:
    """Some of the nodes whose gradients are wrong."""
    nodes = (case.addresses.node(case.part.kind, place) for place in case.part.index[case.wrong()].tolist())
    return list(itertools.islice((v for v in nodes if v is not None), most))


def _count(entries: Array) -> str:
    found = int(entries.sum())
    return f"{found} of {entries.size} entries {'is' if found == 1 else 'are'}"
