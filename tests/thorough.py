"""All that can be tried in some ten minutes; the status is 1 if a step of it found something:

    python -m tests.thorough --seed 0

All tests, those marked `thorough` among them, with a hundred cases of each property, and every campaign of
`tests.attack`. Another seed tries other cases.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time


def steps(seed: str) -> list[list[str]]:
    return [
        ["pytest", "-n", "auto", "-m", "", "--hypothesis-profile", "thorough", "--hypothesis-seed", seed],
        ["tests.attack", "--seconds", "60", "--seed", seed],
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.thorough", description=str(__doc__).split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    seed, failed = str(parser.parse_args().seed), 0
    for step in steps(seed):
        start = time.monotonic()
        print("==", *step, flush=True)
        status = subprocess.run([sys.executable, "-m", *step]).returncode
        print(f"== {'failed' if status else 'passed'} in {time.monotonic() - start:.0f} s", flush=True)
        failed += status != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
