"""Gradients held against others: those of another method, or a hand-written formula's; and what is wrong with these.

Which entries agree is decided by `bounds`; what a difference looks like, by `patterns`.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from graphprop.checks.bounds import TELLS, Errors, errors_made_elsewhere
from graphprop.checks.known_mistakes import Suspects
from graphprop.checks.patterns import Case, recognise
from graphprop.checks.rounding import Numbers
from graphprop.errors import GraphpropError, WrongGradientError
from graphprop.given.arrays import float_kind, keeps_warnings, numbers_as_given, real_array
from graphprop.graph.layout import Array
from graphprop.notation.foreign import as_floats
from graphprop.notation.short import table
from graphprop.passes.addresses import Addresses, of_gradients
from graphprop.passes.apart import Difference
from graphprop.passes.parts import NAMED, NoLayerError, Part, all_parts, left_out, named_part, part_of, whole
from graphprop.passes.results import Gradients, Trace, check_comparable
from graphprop.passes.same_pass import what_differs
from graphprop.passes.sweep import Run

SHOWN = 4  # worst entries
NAMES = 8  # of parts, in one line
Status = Literal["right", "wrong", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """What was found of one part of a gradient.

    Attributes
    ----------
    name : str
    status : "right", "wrong" or "undecided"
        Undecided is what was not compared, and what agrees only because rounding may be nearly as large as the number.
    reason : str
        What is wrong, in words; empty if it is right, or wrong in no way that is known.
    entries, differing : int
        How many entries were compared, and how many of them differ.
    worst : tuple of Difference
        The entries that are furthest off, `first` the right number.
    """

    name: str
    status: Status
    reason: str
    entries: int
    differing: int
    worst: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        count = f"{self.entries} entr{'y' if self.entries == 1 else 'ies'}"
        if self.status == "right":
            return f"{self.name}: right ({count})"
        reason = self.reason or f"{self.differing} of {count} differ{'s' if self.differing == 1 else ''}"
        lines = [f"{self.name}: {self.status}; {reason}"]
        for entry in self.worst:
            lines.append(f"    {_shown(entry)}")
        return "\n".join(lines)

    def _without_reason(self) -> str:
        """One line, where what is wrong was said before."""
        if self.status == "right":
            return str(self)
        return f"{self.name}: {self.status}" + (f"; {_shown(self.worst[0])}" if self.worst else "")


def _shown(worst: Difference) -> str:
    digits = 9 if f"{worst.first:.9g}" != f"{worst.second:.9g}" else 17
    return f"{worst.entry}: {worst.second:.{digits}g}, should be {worst.first:.{digits}g}"


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` found, a verdict for each part that was given. It is true if all of them are right.

    Attributes
    ----------
    objective : str
        What was differentiated.
    verdicts : tuple of Verdict
    not_given : tuple of str
        The parts of the gradient by theta that were not given, so that nothing is said of them.
    """

    objective: str
    verdicts: tuple[Verdict, ...]
    not_given: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(verdict.status == "right" for verdict in self.verdicts)

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, name: str) -> Verdict:
        for verdict in self.verdicts:
            if verdict.name == name:
                return verdict
        raise GraphpropError(f"{name!r} was not compared; there are {', '.join(v.name for v in self.verdicts)}")

    def __str__(self) -> str:
        off = [verdict for verdict in self.verdicts if verdict.status != "right"]
        if len(off) < 2 or not off[0].reason or len({(verdict.status, verdict.reason) for verdict in off}) > 1:
            return "\n".join([self._title(), *map(str, self.verdicts)])
        alike = f"{'both' if len(off) == 2 else 'all'} of them: {off[0].reason}"
        return "\n".join([self._title(), alike, *(v._without_reason() for v in self.verdicts)])

    def __repr__(self) -> str:
        return f"<Comparison: {self._title()}>"

    def _title(self) -> str:
        wrong = [verdict.name for verdict in self.verdicts if verdict.status != "right"]
        found = (
            f"not right in {_listed(wrong)}" if wrong else "right in what was given" if self.not_given else "all right"
        )
        return f"gradient of {self.objective}: {found}" + (
            f"; not given: {_listed(self.not_given)}" if self.not_given else ""
        )

    def _repr_html_(self) -> str:
        rows = (
            (v.name, v.status, v.reason or (f"{v.differing} differ" if v.differing else ""), v.entries,
             "; ".join(map(_shown, v.worst)))
            for v in self.verdicts
        )  # fmt: skip
        title = f"<p>{html.escape(self._title())}</p>"
        return title + table(("", "verdict", "what is wrong", "entries", "worst"), rows, len(self.verdicts))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dictionaries, lists, texts and numbers."""
        verdicts = [asdict(verdict) | {"worst": [asdict(d) for d in verdict.worst]} for verdict in self.verdicts]
        return {
            "objective": self.objective, "ok": self.ok, "not_given": list(self.not_given), "verdicts": verdicts,
        }  # fmt: skip

    def raise_if_failed(self) -> None:
        """An `AssertionError` with the whole text if something is wrong; what is undecided is no failure."""
        __tracebackhide__ = True
        if any(verdict.status == "wrong" for verdict in self.verdicts):
            raise WrongGradientError(str(self))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(names[:NAMES]) + more


@keeps_warnings
def compare(right: Gradients, mine: Any) -> Comparison:
    """Hold a gradient against another one, and say what is wrong with that.

    It knows a transposed matrix, a flipped sign, a factor such as 1/B, 2 or any other constant, swapped entries, a
    missing or wrong derivative of an activation, a missing sum over the samples, a path that is not counted, and a lost
    use of a tied weight.
    Two numbers agree if they differ by no more than rounding can explain, which is found from the sizes of all terms
    that were added up to them, and from the precision of the array (float64, float32 or float16).

    Parameters
    ----------
    right : Gradients
        What is taken to be right.
    mine : Gradients, mapping or array
        A gradient of the same network; a vector aligned with theta; or matrices by name. The names are "W1", "b1",
        "W2", ... of a layered network, an edge ``("h", "y")``, a node for its bias, a parameter, "theta" or "value";
        or as `Gradients` has them, ``{"weight": {("h", "y"): ...}, "gamma": {"h": ...}}``. What is left out is not
        compared, and the comparison says so.

    Returns
    -------
    Comparison
        True if all that was given is right. Printed, it says what is not.

    Examples
    --------
    >>> import numpy as np
    >>> import graphprop as gp
    >>> net = gp.mlp([2, 3, 1], "tanh", seed=1, by="layer")
    >>> x, t = np.array([0.5, -1.0]), 0.25
    >>> g = net.backward(net.forward(x), loss="half_squared", target=[t])
    >>> W1, W2 = net.weight("x", "h1"), net.weight("h1", "y")
    >>> h = np.tanh(W1 @ x)
    >>> r = W2 @ h - t
    >>> print(gp.compare(g, {"W2": r * h[None, :], "W1": r * np.outer(W2, x)}))
    gradient of half_squared of y: not right in W1; not given: b1, b2
    W2: right (3 entries)
    W1: wrong; the derivative of tanh at 'h1' is missing
        w(1, x[1], h1): -0.0485565027, should be -0.019225289
        w(1, x[0], h1): 0.0242782513, should be 0.00961264451
        w(0, x[1], h1): 0.0448662174, should be 0.0366052617
        w(0, x[0], h1): -0.0224331087, should be -0.0183026308
    """
    if not isinstance(right, Gradients):
        raise GraphpropError(
            "the first of the two is what is taken to be right, the Gradients of net.backward, "
            f"not {type(right).__name__}"
        )
    trace = right.trace if right.trace is not None or not isinstance(mine, Gradients) else mine.trace
    if trace is None:
        raise GraphpropError(
            "the gradients do not know the trace that was differentiated; net.backward gives them with it"
        )
    try:
        flat = _flat(right)
        run = Run.of(trace, right.objective)
    except (TypeError, ValueError):
        raise GraphpropError("symbols are not compared in numbers; put numbers in their place first") from None
    known = _Limits(run, {})
    suspects = Suspects(run)
    addresses = Addresses(right.layout, trace.samples, right.batched)
    pairs, partial = list(_pairs(right, trace, mine, addresses)), isinstance(mine, Gradients)
    with np.errstate(all="ignore"):
        verdicts = [
            part if isinstance(part, Verdict) else _judge(part, given, partial, flat, addresses, known, suspects)
            for part, given in pairs
        ]
    if all(verdict.status == "right" and not verdict.entries for verdict in verdicts):
        raise GraphpropError("there is nothing to compare: no number of the gradient was given")
    missing = left_out(right.layout, [part for part, _ in pairs if isinstance(part, Part)])
    return Comparison(str(right.objective), tuple(verdicts), missing)


# ------------------------------------------------------------------ what is compared with what


def _flat(g: Gradients) -> dict[str, Array]:
    """All numbers of a gradient by kind."""
    return {kind: as_floats(array) for kind, array in of_gradients(g).items()}


def _pairs(right: Gradients, trace: Trace, mine: Any, addresses: Addresses) -> Iterator[tuple[Part | Verdict, Any]]:
    """Each part that was given, and the numbers given for it; a verdict on a layer that there is not.

    The numbers of other `Gradients` are nan where they were not asked for.
    """
    size = right.layout.size
    if isinstance(mine, Gradients):
        check_comparable(right, mine)
        try:
            flat = _flat(mine)
        except (TypeError, ValueError):
            raise GraphpropError("symbols are not compared in numbers; put numbers in their place first") from None
        if mine.trace is not None and (told := what_differs(trace, mine.trace, "the first", "the second")):
            raise GraphpropError(f"the second gradient is of another forward pass than the first: {told}")
        for part in all_parts(addresses):
            yield part, flat[part.kind].ravel()[part.index]
        return
    if not isinstance(mine, Mapping):
        numbers = real_array(mine, "the gradient")
        if numbers.shape != (size,):
            raise GraphpropError(
                f"the gradient has shape {numbers.shape}; a vector has one entry per parameter, ({size},), "
                "and matrices are given by name, {'W1': ..., 'b1': ...}"
            )
        yield whole(addresses, "theta"), mine
        return
    for key, given in mine.items():
        if isinstance(given, Mapping):
            if key not in NAMED:
                raise GraphpropError(f"{key!r} holds a mapping; that is known of {', '.join(NAMED)}")
            for name, numbers in given.items():
                yield named_part(addresses, key, name), numbers
        else:
            try:
                yield part_of(addresses, key), given
            except NoLayerError as error:
                yield Verdict(key, "wrong", str(error), 0, 0), given


# ------------------------------------------------------------------ verdicts


@dataclass(frozen=True)
class _Limits:
    """How far numbers of a kind may be apart; each computed once."""

    run: Run
    found: dict[tuple[Any, bool, bool], dict[str, Array]]

    def of(self, kind: Any, textbook: bool, underflow: bool) -> dict[str, Array]:
        which = kind, textbook, underflow
        if which not in self.found:
            self.found[which] = _by_kind(self.run, errors_made_elsewhere(self.run, Numbers.made_elsewhere(*which)))
        return self.found[which]


def _by_kind(run: Run, b: Errors) -> dict[str, Array]:
    theta = run.layout.sum_of_uses(b.weights, b.biases)
    kinds = {"value": np.array(b.total), "delta": b.delta, "obar": b.obar, "weight": b.weights, "bias": b.biases}
    return {kind: 2 * x for kind, x in (kinds | {"theta": theta}).items()}  # each of the two may be off


def _judge(
    part: Part,
    given: Any,
    partial: bool,
    flat: dict[str, Array],
    addresses: Addresses,
    limits: _Limits,
    suspects: Suspects,
) -> Verdict:
    """The verdict on the numbers given for a part; of a `partial` gradient those that are nan were not given."""
    numbers = numbers_as_given(given, part.name)
    mine, kind = numbers.astype(float), float_kind(numbers)
    right = np.where(part.index < 0, np.nan, flat[part.kind].ravel()[part.index])
    fitted, turned = _fitted(mine, right.shape)
    absent = np.isnan(mine) & (part.index >= 0) if partial else np.zeros(right.shape, bool)
    unknown = ~np.isfinite(right) & (part.index >= 0)
    right = np.where(absent, np.nan, right)
    entries = int(np.isfinite(right).sum())

    def limit(textbook: bool, underflow: bool) -> Array:
        bound = limits.of(kind, textbook, underflow)[part.kind]
        found: Array = bound.ravel()[np.maximum(part.index, 0)]
        return np.where(np.isnan(found), np.inf, found)  # where the bound itself overflows, nothing can be told

    case = Case(part, right, right, limit(True, True), limits.run.goal.samples, addresses, flat)
    if fitted is None:
        reason = f"its shape is {_by(mine.shape)}, the gradient's is {_by(right.shape)}"
        return Verdict(part.name, "wrong", reason + _what_shape(case, mine, suspects), entries, entries)
    case = replace(case, mine=fitted)
    wrong = case.wrong()
    if turned:
        shape = f"yours is {_by(mine.shape)}, and a gradient has the shape of its matrix, {_by(right.shape)}"
        reason = f"it is the transpose (numerator layout): {shape}"
        if wrong.any():
            also = recognise(case, suspects)
            reason += f"; and {also or f'{int(wrong.sum())} of {entries} entries differ besides'}"
        return Verdict(part.name, "wrong", reason, entries, int(wrong.sum()), _worst(case, wrong))
    if wrong.any():
        return Verdict(part.name, "wrong", recognise(case, suspects), entries, int(wrong.sum()), _worst(case, wrong))
    if absent.any() or unknown.any():
        return Verdict(part.name, "undecided", _not_compared(absent, unknown, part.index >= 0), entries, 0)
    smallest = max(TELLS, 32 * float(np.finfo(kind).eps)) * np.abs(right)
    unsure = case.there & (smallest <= case.tolerance) & (fitted != right)
    if unsure.any():
        textbook = limit(True, False)
        stable = limit(False, False) + 2.0**-40 * textbook  # 30 digits have roundings, too
        unsure &= (np.abs(fitted - right) > stable) | np.isinf(case.tolerance)
    if unsure.any():
        reason = _too_few_digits(unsure, unsure & (smallest >= textbook), entries)
        return Verdict(part.name, "undecided", reason, entries, 0, _worst(case, unsure))
    return Verdict(part.name, "right", "", entries, 0)


def _too_few_digits(unsure: Array, tiny: Array, entries: int) -> str:
    """Why entries cannot be told: some are `tiny`, and of the others a formula that is not stable keeps too little."""
    found = []
    if (n := int((unsure & ~tiny).sum())) > 0:
        found.append(
            f"of {n} of {entries} entries the textbook's form, such as o (1 - o) where o is near 1, "
            "keeps too few digits to tell; try smaller inputs or weights"
        )
    if (n := int(tiny.sum())) > 0:
        found.append(
            f"of {n} of {entries} entries underflow leaves too few digits to tell; try larger inputs or weights"
        )
    return "; and ".join(found)


def _not_compared(absent: Array, unknown: Array, there: Array) -> str:
    """How many entries had nothing to be compared with, and on which side."""
    found = []
    for which, why in (
        (unknown, "were not asked for, or are not finite, in what is taken to be right"),
        (absent & ~unknown, "were not given"),
    ):
        if which.any():
            found.append(f"{int(which.sum())} of {int(there.sum())} entries {why}")
    return " and ".join(found)


def _fitted(mine: Array, shape: tuple[int, ...]) -> tuple[Array | None, bool]:
    """The array in this shape, and whether it had to be transposed.

    A matrix with axes of length one may be given without these, as the network gives it; further axes are not taken:
    what has shape (4, 1) is not subtracted from four numbers. A single number may have any.
    """
    if mine.shape == shape:
        return mine, False
    if len(shape) == 2 and mine.shape == shape[::-1]:
        return mine.T, True
    if mine.shape == tuple(n for n in shape if n != 1) or mine.size == 1 == np.prod(shape):
        return mine.reshape(shape), False
    return None, False


def _what_shape(case: Case, mine: Array, suspects: Suspects) -> str:
    """What to do with an array of another shape, if that is known."""
    n = case.right.size
    if mine.shape == (n, 1):
        return f": drop the axis of length 1, or what is subtracted from {n} numbers makes {n} x {n}"
    if mine.shape == (1, n):
        return ": drop the axis of length 1"
    return _unsummed(case, mine, suspects)


def _unsummed(case: Case, mine: Array, suspects: Suspects) -> str:
    """What to do with an array that has a row, or a column, for each sample; empty if it has none."""
    found = []
    for axis, line in ((0, "row"), (-1, "column")):
        if case.samples > 1 and mine.ndim and mine.shape[axis] == case.samples:
            total, turned = _fitted(mine.sum(axis), case.right.shape)
            if total is not None and not turned:
                found.append(({1: "number", 2: line}.get(mine.ndim, "matrix"), replace(case, mine=total)))
    for line, summed in found:
        for what, right in (("sum", summed), ("take the mean", replace(summed, mine=summed.mine / case.samples))):
            if not right.wrong().any():
                return f": a {line} per sample: {what} over the samples, and it is right"
    for line, summed in found[:1]:
        also = recognise(summed, suspects)
        return f": a {line} per sample: sum over the samples; but the sum is wrong, too" + (f": {also}" if also else "")
    return ""


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if len(shape) > 1 else str(shape[0]) if shape else "a single number"


def _worst(case: Case, wrong: Array) -> tuple[Difference, ...]:
    """The wrong entries that are furthest off."""
    places, right, mine = (x.ravel() for x in (case.part.index, case.right, case.mine))
    with np.errstate(all="ignore"):
        apart = np.where(np.isfinite(mine), np.abs(mine - right), np.inf)
    candidates = np.flatnonzero(wrong.ravel())
    order = candidates[np.argsort(-apart[candidates], kind="stable")][:SHOWN]

    def entry(i: int) -> Difference:
        x, y = float(right[i]), float(mine[i])
        return Difference(case.label(int(places[i])), x, y, float(apart[i]), _relative(x, y))

    return tuple(map(entry, order.tolist()))


def _relative(x: float, y: float) -> float:
    largest = max(abs(x), abs(y))
    return abs(x - y) / largest if largest and np.isfinite(largest) else float(x != y)
