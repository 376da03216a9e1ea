"""Checkpoints of fits, changed at random in their bytes, or in their entries with a check sum that is right again.

Whatever is in a file, `gp.fit` goes on from it or refuses it with an error of ours, and leaves it as it is if it does.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp
from graphprop.files.packing import CHECKPOINT, join
from graphprop.training.checkpoints import read_checkpoint
from tests.attack import Found
from tests.attack.files import JUNK, bounded, changed_bytes, changed_document
from tests.training.fit_cases import CASES, interrupted

SECONDS = 10.0  # of processor time
NAMES = "adam", "rprop", "plateau", "patience", "a fraction", "float32", "heads", "layers"
NUMBERS = [0.0, -0.0, 1.0, -1.0, 1e300, np.inf, -np.inf, np.nan, 5e-324]
LENGTHS = [(), (0,), (1,), (19,), (20,), (21,), (20, 1), (0, 20), (2, 20)]
KINDS = ["<f8", "<f4", "<i8", "<u1", "<b1"]


def attack(seconds: float, seed: int) -> dict[str, int]:
    """Go on from files for so long; what came of how many."""
    end = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        files = {name: written(name, Path(folder)) for name in NAMES}
        number = 0
        while not number or time.monotonic() < end:
            run(seed, range(number, number + 20), counts, files)
            number += 20
    return dict(counts)


def written(name: str, folder: Path) -> Path:
    path = folder / name
    interrupted(CASES[name], 6, path)
    return path


def run(seed: int, numbers: range, counts: Counter[str], files: dict[str, Path]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            rng = random.Random(f"{seed} {number}")
            name = rng.choice(NAMES)
            kind, change = ("bytes", of_bytes) if number % 4 == 0 else ("entries", of_entries)
            path = Path(folder) / "run.ckpt"
            path.write_bytes(change(rng, files[name]))
            counts[f"changed {kind}: {go_on(name, path, f'case({seed}, {number}), {kind} of {name!r}')}"] += 1
            path.unlink()


def go_on(name: str, path: Path, where: str) -> str:
    """What comes of a fit; raises where it is neither one nor an error of ours."""
    data = path.read_bytes()
    try:
        with bounded(SECONDS), np.errstate(all="ignore"):  # numbers may be as large as they like
            fit = CASES[name](checkpoint=path)
            str(fit)
        return "goes on"
    except gp.GraphpropError as error:
        if len(str(error)) > 20_000:
            raise Found(f"{where}: a message of {len(str(error))} characters") from None
        if "checkpoint" in str(error) and path.read_bytes() != data:
            raise Found(f"{where}: the file that was refused is another now") from None
        return "errors of ours"
    except Exception as error:
        with tempfile.NamedTemporaryFile(prefix="found_", suffix=".ckpt", delete=False) as file:
            file.write(data)
        raise Found(f"{where}: {type(error).__name__}: {error}; the file is {file.name}") from error


def of_bytes(rng: random.Random, path: Path) -> bytes:
    return changed_bytes(rng, [path.read_bytes()])


def of_entries(rng: random.Random, path: Path) -> bytes:
    """Numbers, forms or names of its arrays are others, or entries of its header."""
    header, arrays = read_checkpoint(path)
    for _ in range(rng.choice([1, 1, 2])):
        changed_array(rng, arrays)
    if rng.random() < 0.5:
        header = changed_document(rng, [header])
    if rng.random() < 0.3:
        header[rng.choice(list(header))] = rng.choice(JUNK)
    title, line, numbers = join(CHECKPOINT, {}, arrays).split(b"\n", 2)
    data = b"\n".join([title, json.dumps({**header, **json.loads(line)}).encode(), numbers])
    return data + zlib.crc32(data).to_bytes(4, "little")


def changed_array(rng: random.Random, arrays: dict[str, Any]) -> None:
    name = rng.choice(list(arrays))
    how = rng.randrange(4)
    if how == 0:
        arrays[rng.choice([*arrays, "more", "memory 7", "history x"])] = arrays.pop(name)
    elif how == 1:
        arrays[name] = np.zeros(rng.choice(LENGTHS), dtype=rng.choice(KINDS))
    elif arrays[name].size:
        array = arrays[name].copy()
        with np.errstate(all="ignore"):
            array.flat[rng.randrange(array.size)] = np.array(rng.choice(NUMBERS)).astype(array.dtype)
        arrays[name] = array
