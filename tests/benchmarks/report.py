"""Measures workloads, and says what was found as lines of a table and as one record for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import graphprop as gp
from tests.benchmarks.measuring import CannotRunError, Timing, disagreement, interleaved
from tests.benchmarks.tasks import Case, Fact, Prepared, Workload

WIDTH = 26
UNSTEADY = 2  # quartiles that far apart tell more of the machine than of the peer


def measure(workload: Workload, budget: float, slow: bool) -> list[dict[str, Any]]:
    """The records of a workload, printed as they come."""
    records = []
    for item in workload.measure(slow):
        if isinstance(item, Fact):
            print(f"  {item.title}: {item.number:.4g} {item.unit}", flush=True)
            records.append({"title": item.title, "number": item.number, "unit": item.unit})
        else:
            record = measure_case(item, budget)
            print("\n".join(lines_of(record)), flush=True)
            records.append(record)
    return records


def measure_case(case: Case, budget: float) -> dict[str, Any]:
    """The peers that can run and agree with the first, timed in one go; a note for all others."""
    with gp.threads(1 if case.one_thread else gp.get_threads()):
        prepared: dict[str, Prepared] = {}
        notes: dict[str, str] = {}
        reference: Any = None
        for name, prepare in case.peers.items():
            try:
                entry = prepare()
                result = entry.run()
                if entry.read is None:
                    prepared[name], notes[name] = entry, entry.note
                    continue
                result = entry.read(result)
            except (CannotRunError, ImportError) as reason:
                notes[name] = str(reason)
                continue
            except Exception as error:  # one peer's failure is a line of the table; the others go on
                notes[name] = f"ERROR: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                continue
            result = result if isinstance(result, tuple) else (result, 0.0)
            if reference is None:
                reference = result
            elif (difference := disagreement(result, reference, case.tolerance)) is not None:
                notes[name] = f"ERROR: {difference}"
                continue
            prepared[name] = entry
            notes[name] = entry.note
        timings = interleaved({name: entry.run for name, entry in prepared.items()}, budget)
    return {"title": case.title, "peers": _peer_records(case, timings, notes)}


def _peer_records(case: Case, timings: dict[str, Timing], notes: dict[str, str]) -> dict[str, Any]:
    first = timings.get(next(iter(case.peers)))
    records: dict[str, Any] = {}
    for name in case.peers:
        records[name] = {"note": notes[name]}
        if name in timings:
            records[name] |= vars(timings[name])
            if timings[name].high > UNSTEADY * timings[name].low:
                records[name]["note"] = ", ".join(filter(None, (notes[name], "UNSTEADY")))
            if first is not None:
                records[name]["ratio"] = timings[name].median / first.median
    return records


# ------------------------------------------------------------------ as text


def lines_of(record: dict[str, Any]) -> Iterator[str]:
    """A case as lines: median [quartiles], how many times the first, note."""
    yield f"  {record['title']}"
    for name, peer in record["peers"].items():
        if "median" not in peer:
            yield f"    {name:{WIDTH}} {'-':>33}  {'':9}  {peer['note']}"
            continue
        spread = f"[{in_units(peer['low'])}, {in_units(peer['high'])}]"
        ratio = f"{peer['ratio']:8.2f}x" if "ratio" in peer else " " * 9
        yield f"    {name:{WIDTH}} {in_units(peer['median']):>9} {spread:>23}  {ratio}  {peer['note']}".rstrip()


def summary(workloads: dict[str, Any]) -> Iterator[str]:
    """How many times as long as the first the others take, a line for each case and a column for each peer."""
    cases = [
        (f"{name}: {record['title']}", record["peers"])
        for name, workload in workloads.items()
        for record in workload["records"]
        if "peers" in record
    ]
    names = list(dict.fromkeys(peer for _, peers in cases for peer in list(peers)[1:]))
    if not names:
        return
    wide = max(len(title) for title, _ in cases)
    for start in range(0, len(names), 5):
        shown = names[start : start + 5]
        rows = [(title, peers) for title, peers in cases if any(name in peers for name in shown)]
        yield " " * wide + "".join(f"  {name:>22}" for name in ("first, time", *shown))
        for title, peers in rows:
            first = next(iter(peers.values()))
            cells = [in_units(first["median"]) if "median" in first else "-"]
            cells += [_cell(peers.get(name)) for name in shown]
            yield f"{title:{wide}}" + "".join(f"  {cell:>22}" for cell in cells)
        yield ""


def _cell(peer: dict[str, Any] | None) -> str:
    if peer is None:
        return ""
    if "ratio" in peer:
        return f"{peer['ratio']:.2f}x"
    return "ERROR" if peer["note"].startswith("ERROR") else "-"


def in_units(seconds: float) -> str:
    """Seconds as a short text, such as 1.23 ms."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
