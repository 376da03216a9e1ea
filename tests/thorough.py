"""All that can be tried in some twenty minutes; the status is 1 if a step of it found something:

    python -m tests.thorough --seed 0

All tests, those marked `thorough` among them, with a hundred cases of each property; every campaign of `tests.attack`;
and mistakes in the code, of which the tests should notice most. Another seed tries other cases.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time

MUTATED = [  # quick to be tested
    *("textbook/recursion", "functions/losses", "functions/softmax"),
    *("passes/objective", "passes/goals", "passes/heads", "passes/targets"),
]


def steps(folder: str, seed: str) -> list[list[str]]:
    mutants = ["--report", f"{folder}/mutants.txt", "--seed", seed, "--count", "12", "--minutes", "6"]
    return [
        ["pytest", "-n", "auto", "-m", "", "--hypothesis-profile", "thorough", "--hypothesis-seed", seed],
        ["tests.attack", "--seconds", "60", "--seed", seed],
        ["tests.attack.mutation", *mutants, "--only", *MUTATED],
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.thorough", description=str(__doc__).split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    seed, failed = str(parser.parse_args().seed), 0
    with tempfile.TemporaryDirectory() as folder:
        for step in steps(folder, seed):
            start = time.monotonic()
            print("==", *step, flush=True)
            status = subprocess.run([sys.executable, "-m", *step]).returncode
            print(f"== {'failed' if status else 'passed'} in {time.monotonic() - start:.0f} s", flush=True)
            failed += status != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
