"""The reference names everything that is public, and says what the docstrings say."""

from __future__ import annotations

import graphprop as gp
from tests.reference import PAGE, SECTIONS, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.reference"


def test_every_public_name_is_in_one_section() -> None:
    names = " ".join(SECTIONS.values()).split()
    assert sorted(names) == sorted(gp.__all__)
