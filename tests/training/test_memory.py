"""What memory a fit takes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROWS, COLUMNS = 2**22, 128  # of doubles: 4 GiB
PROGRAM = """
import sys
import threading
import time

import numpy as np

import graphprop as gp

ROWS, COLUMNS, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
X = np.memmap(path, dtype=float, mode="r", shape=(ROWS, COLUMNS))
most = 0


def look():
    global most
    while True:
        fields = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Rss"))
        most = max(most, sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssFile")))
        time.sleep(0.005)


threading.Thread(target=look, daemon=True).start()
net = gp.mlp([COLUMNS, 4, 1], "tanh", "identity", seed=0)
fit = gp.fit(
    net, X, np.zeros(ROWS), loss="half_squared", epochs=1, batch_size=int(sys.argv[4]), validation=0.1, progress=False
)
assert fit.epochs == 1
print(most)
"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="what a process has in memory is read from /proc")
def test_a_file_of_4_gb_trains_with_less_than_1_gb_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "samples"
    with path.open("wb") as file:
        file.truncate(ROWS * COLUMNS * 8)  # nothing is on the disk
    arguments = [str(x) for x in (ROWS, COLUMNS, path, 1024)]
    found = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    assert int(found.stdout) * 1024 < 2**30, f"{int(found.stdout) / 2**10:.0f} MiB, its own pages and those of the file"
