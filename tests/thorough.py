"""All that can be tried, in half an hour or more; the status is 1 if a step of it found something:

    python -m tests.thorough

All tests, those marked `thorough` among them, with three hundred cases of each property, others each time; every
campaign of `tests.attack` with a new seed; and mistakes in the code, of which the tests should notice most.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time


def steps(folder: str) -> list[list[str]]:
    return [
        ["pytest", "-n", "auto", "-m", "", "--hypothesis-profile", "thorough"],
        ["tests.attack", "--seconds", "120", "--seed", str(random.randrange(10**6))],
        ["tests.attack.mutation", "--report", f"{folder}/mutants.txt", "--count", "20", "--minutes", "10"],
    ]


def main() -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for step in steps(folder):
            start = time.monotonic()
            print("==", *step, flush=True)
            status = subprocess.run([sys.executable, "-m", *step]).returncode
            print(f"== {'failed' if status else 'passed'} in {time.monotonic() - start:.0f} s", flush=True)
            failed += status != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
