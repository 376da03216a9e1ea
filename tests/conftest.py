"""What all tests and snippets see: a terminal of 80 columns, however wide it is; a browser, if there is one.

Of each property the quick run tries a few cases, the same ones everywhere; the thorough run tries many, by a
seed. hypothesis measures no time: where others use the machine, a test is no worse for being slow. Nor does it draw the
constants of the modules that are imported already, which are others in each process and after any change.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

os.environ["COLUMNS"] = "80"
patient = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
settings.register_profile("quick", patient, max_examples=20, derandomize=True)
settings.register_profile("thorough", patient, max_examples=100)
settings.load_profile("quick")
if hasattr(providers, "is_local_module_file"):  # nothing public turns it off
    providers.is_local_module_file = lambda path: False

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "" if BROWSER else "Chromium"
if not find_spec("playwright"):
    MISSING = " and ".join(filter(None, ("Playwright", MISSING)))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if MISSING:
        if os.environ.get("CI"):
            pytest.fail(f"{MISSING} is missing, which the tests of the page need")
        pytest.skip(f"needs {MISSING}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()
