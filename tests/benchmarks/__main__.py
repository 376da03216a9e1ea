"""Measures graphprop and its peers on the same workloads: `python -m tests.benchmarks --help`."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import graphprop as gp
from tests.benchmarks.measuring import machine
from tests.benchmarks.report import measure, summary
from tests.benchmarks.workloads import WORKLOADS


def main() -> None:
    """Parse the arguments, measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="WORKLOAD", choices=WORKLOADS, help="only these workloads")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each peer runs in each case (0.5)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks.json"), help="the file to write (%(default)s)")
    parser.add_argument("--slow", action="store_true", help="also what takes minutes to prepare")
    parser.add_argument("--list", action="store_true", help="name the workloads and stop")
    arguments = parser.parse_args()
    if arguments.list:
        for name, workload in WORKLOADS.items():
            print(f"{name:10} {workload.title}")
        return
    found = machine() | {"threads": gp.get_threads(), "time": datetime.now(UTC).isoformat(timespec="seconds")}
    print(f"{found['processor']}, {found['cores']} cores; {found['system']}")
    print(", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    print("Value and gradient together, float64 where nothing else is said.")
    print("Each line: median of one call [quartiles], how many times the first line of its case.")
    workloads = {}
    for name in arguments.only or WORKLOADS:
        print(f"\n{name}: {WORKLOADS[name].title}", flush=True)
        records = measure(WORKLOADS[name], arguments.seconds, arguments.slow)
        workloads[name] = {"title": WORKLOADS[name].title, "records": records}
    print()
    print("\n".join(summary(workloads)))
    arguments.json.write_text(json.dumps({"machine": found, "workloads": workloads}, indent=1) + "\n")


if __name__ == "__main__":  # the children of a process pool import this module, too
    main()
