"""How much memory there is: what cannot fit is refused before it is tried."""

from __future__ import annotations

import os
from pathlib import Path

from graphprop.errors import LimitError

LARGE = 1 << 26  # bytes; for less it is not worth to look
NODE_BYTES = 500  # that a named node takes, at least


def check_memory(needed: int, what: str) -> None:
    """Refuse what needs more bytes than are available."""
    available = available_bytes()
    if needed > available:
        raise LimitError(f"{what} needs {needed:,} bytes, and {available:,} are available")


def check_large(needed: int, what: str) -> None:
    """The same where so much is needed that it is worth to be looked up."""
    if needed > LARGE:
        check_memory(needed, what)


def available_bytes() -> int:
    """What this process may still use: the free memory of the machine, or of its control group."""
    found = [1 << 62]
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            found.append(int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # another system
        pass
    if len(found) == 1 and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found)
