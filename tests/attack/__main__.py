"""All attacks, one after the other, with a table of what was tried:

    python -m tests.attack --seconds 60 --seed 0

Each module of this folder that has a function ``attack(seconds, seed)`` is a campaign: it looks for so many seconds for
inputs on which the library breaks a promise, gives how often it tried what, and raises where it found something. Time
is shared out evenly; a campaign may take somewhat longer, as it ends what it has begun, and the first ever compiles.
``--only disguises faults`` runs some of them. The last line counts tries and campaigns that found something, and the
status is 1 if one did. The same seed tries the same things in the same order.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import pkgutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

Attack = Callable[[float, int], Mapping[str, int]]


def campaigns() -> dict[str, Attack]:
    """The attacks of this folder, by the names of their modules."""
    names = sorted(found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules: dict[str, ModuleType] = {
        name: importlib.import_module(f"tests.attack.{name}") for name in names if name != "__main__"
    }
    return {name: module.attack for name, module in modules.items() if hasattr(module, "attack")}


def run(chosen: Mapping[str, Attack], seconds: float, seed: int) -> int:
    """Run these campaigns by turns and print their counts; how many of them found something."""
    passed = failed = 0
    for name, attack in chosen.items():
        start = time.monotonic()
        try:
            counts: Mapping[str, int] = attack(seconds / len(chosen), seed)
        except Exception as error:  # a campaign raises what it found
            failed += 1
            counts = {}
            traceback.print_exc(file=sys.stdout)
            print(f"\n{name}: {type(error).__name__}: {error}\nagain with: --only {name} --seed {seed}\n")
        passed += sum(counts.values())
        print(f"{name}: {sum(counts.values())} tries in {time.monotonic() - start:.0f} s")
        for what, count in counts.items():
            print(f"{count:9} {what}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed


def main(arguments: list[str] | None = None) -> int:
    faulthandler.enable()
    every = campaigns()
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=str(__doc__).split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for all campaigns together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(every), default=list(every), metavar="CAMPAIGN")
    given = parser.parse_args(arguments)
    return 1 if run({name: every[name] for name in given.only}, given.seconds, given.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
