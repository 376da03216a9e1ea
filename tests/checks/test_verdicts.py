"""The attack on verdicts, some cases of it; `tests.attack.verdicts.attack` runs for as long as one likes."""

from __future__ import annotations

import pytest

import graphprop as gp
from tests.attack import verdicts
from tests.cases import one_of


@pytest.mark.parametrize("seed", one_of(3, range(3)))
def test_what_is_right_is_not_called_wrong_nor_a_planted_fault_right(seed: int) -> None:
    found = {verdicts.one(seed, i) for i in range(60)}
    for kind in ("of_a_function", "of_a_network", "of_matrices"):
        assert {f"{kind}, right: ok", f"{kind}, planted: fails"} <= found


def test_a_wrong_verdict_is_raised_with_the_case_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    right = gp.gradcheck(lambda x: (x.sum(), 0 * x + 1), [1.0])
    monkeypatch.setattr(gp, "gradcheck", lambda *given, **options: right)
    with pytest.raises(AssertionError, match=r"a planted fault is called right .*verdicts\.one\(0, \d+\)"):
        verdicts.attack(60, 0)
