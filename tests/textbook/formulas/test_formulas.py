"""The formulas of five homework solutions on softmax, backpropagation and convolution, one by one.

The texts are called "source 000" to "source 004" here; the ids S0.1 to S4.32 are ours. Each entry states the formula
as it is printed, the correct one, and the truth, which no chain rule made: numerical differentiation with 40 digits
of the function's definition, another expression for the same value, or whole numbers. An erratum's printed form must
fail; where the library computes the quantity, it must give the correct one.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tests.project import ROOT
from tests.textbook.formulas import (  # which put their formulas into the table, in order
    source_000,
    source_001,
    source_002,
    source_003,
    source_004,
    source_004_layers,
)
from tests.textbook.formulas.definitions import (
    FORMULAS,
    Formula,
    float_array,
    mp,
)

LAST_IDS = {"S0": 25, "S1": 11, "S2": 21, "S3": 14, "S4": 32}

LEFT_OUT = {
    "S2.12": "renames an index, i = j",
    "S2.17": "an erratum, but a slip of the pen: it says 'i = 0' for 't_ij = 0', which gives no t_ij to compute with",
    "S4.6": "defines delta; S4.5 and S4.7 compare it with numbers",
}


# ------------------------------------------------------------------ comparison


def distance(a: Any, b: Any) -> Any:
    """The largest difference relative to the largest entry of b; infinite if the shapes differ."""
    a, b = np.array(a, dtype=object), np.array(b, dtype=object)
    if a.shape != b.shape:
        return mp.inf
    return max(abs(x - y) for x, y in zip(a.flat, b.flat, strict=True)) / (max(abs(y) for y in b.flat) or 1)


def holds(a: Any, b: Any) -> bool:
    return bool(distance(a, b) <= 1e-25)


def fails(a: Any, b: Any) -> bool:
    return bool(distance(a, b) >= 1e-3)


# ------------------------------------------------------------------ the tests


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=lambda formula: formula.id)
def test_formula(formula: Formula) -> None:
    as_printed = []
    for forms in formula.forms():
        correct = forms.printed if forms.correct is None else forms.correct
        assert holds(correct, forms.truth)
        as_printed.append(holds(forms.printed, forms.truth))
        assert as_printed[-1] or fails(forms.printed, forms.truth), "a difference too small to tell"
        if forms.library is not None:
            np.testing.assert_allclose(float_array(forms.library), float_array(correct), rtol=1e-12, atol=1e-15)
    assert as_printed
    if formula.verdict == "caveat":
        assert set(as_printed) == {True, False}
    else:
        assert set(as_printed) == {formula.verdict == "correct"}


SOURCES = source_000, source_001, source_002, source_003, source_004, source_004_layers


def test_every_formula_is_here_or_left_out_for_a_reason() -> None:
    expected = [f"{source}.{i}" for source, last in LAST_IDS.items() for i in range(1, last + 1)]
    assert [id for id in expected if id not in LEFT_OUT] == list(FORMULAS)
    assert set(LEFT_OUT) < set(expected)


def test_every_erratum_is_on_the_page_of_errata() -> None:
    page = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"test_formulas\.py::test_formula\[(S\d\.\d+)\]", page))
    assert shown == {formula.id for formula in FORMULAS.values() if formula.verdict != "correct"}
    verdicts = dict(re.findall(r"^\*\*(S\d\.\d+), (erratum|caveat): ", page, re.MULTILINE))
    assert verdicts.pop("S2.17") == "erratum"
    assert verdicts == {id: FORMULAS[id].verdict for id in shown}


@pytest.mark.parametrize("wrong", [[1.0, 2.01], [1.0], [[1.0, 2.0]], [2.0, 1.0], [1.0, -2.0]])
def test_a_wrong_form_is_told_from_a_right_one(wrong: list[Any]) -> None:
    right = [1.0, 2.0]
    assert holds(right, right)
    assert not holds(wrong, right)
    assert fails(wrong, right)
