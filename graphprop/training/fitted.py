"""What came of a fit: the parameters, and a row of numbers for each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.given.arrays import Array

SHOWN = 6  # rows of the table


@dataclass(frozen=True, eq=False)
class Fit:
    """What `gp.fit` gives: the parameters, and what happened.

    Attributes
    ----------
    theta : array
        The parameters: those of the best epoch if there was a validation, else of the last.
    history : dict from names to arrays
        A column for each number, with an entry for each epoch: `epoch`, `loss` (the mean over the epoch's batches, each
        before its step), `rate`, `validation_loss` and the metrics. `pandas.DataFrame(fit.history)` is a table of it.
    stopped : str
        Why it ended: "epochs", "patience", "callback", "converged" or "interrupted".
    best_epoch : int
        The one with the best loss, of the validation if there was one; counted from 1, 0 if there was none.
    optimizer : str
    steps : int
        How many steps were taken.
    """

    theta: Array
    history: Mapping[str, Array]
    stopped: str
    best_epoch: int
    optimizer: str
    steps: int

    @property
    def epochs(self) -> int:
        """How many epochs came to their end."""
        return len(self.history["epoch"])

    def plot(self) -> Any:
        """A matplotlib figure of the losses by epoch."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise GraphpropError("fit.plot() needs matplotlib: pip install 'graphprop[plot]'") from None
        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.add_subplot(xlabel="epoch", ylabel="loss")
        for name in self._losses():
            axes.plot(self.history["epoch"], self.history[name], label=name.replace("_", " "))
        if self.best_epoch:
            axes.axvline(self.best_epoch, color="0.7", linewidth=1, linestyle=":", label="best")
        axes.legend()
        return figure

    def _losses(self) -> list[str]:
        return [name for name in ("loss", "validation_loss") if name in self.history]

    def _head(self) -> str:
        why = {
            "epochs": "all of them",
            "patience": "no better for a while",
            "callback": "the callback ended it",
            "converged": "nothing to be gained",
            "interrupted": "interrupted",
        }
        counts = [f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((self.epochs, "epoch"), (self.steps, "step"))]
        best = f"; the best loss is that of epoch {self.best_epoch}" if self.best_epoch else ""
        return f"fit by {self.optimizer}: {', '.join(counts)} ({why[self.stopped]}){best}"

    def _rows(self) -> tuple[list[str], list[list[str]]]:
        """The names of the columns, and a few rows, the best and the last among them."""
        names, count = list(self.history), self.epochs
        chosen = set(np.linspace(0, count - 1, min(count, SHOWN)).round().astype(int).tolist())
        if self.best_epoch:
            chosen.add(self.best_epoch - 1)
        cells = [[f"{self.history[name][i]:.5g}" for name in names] for i in sorted(chosen)]
        return names, cells

    def __str__(self) -> str:
        names, cells = self._rows()
        widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (names, *cells)
        ]
        return "\n".join([self._head(), *lines])

    def __repr__(self) -> str:
        return f"<{self._head()}>"

    def _repr_html_(self) -> str:
        names, cells = self._rows()
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        return f"<div>{escape(self._head())}</div>{self._curve()}<table><tr>{head}</tr>{rows}</table>"

    def _curve(self) -> str:
        """The losses as a small picture, on a logarithmic scale where all are positive."""
        columns = [np.asarray(self.history[name], dtype=float) for name in self._losses()]
        if self.epochs < 2:
            return ""
        together = np.concatenate(columns)
        if (together > 0).all():
            columns, together = [np.log(column) for column in columns], np.log(together)
        low, high = float(together.min()), float(together.max())
        width, height = 320, 90
        x = np.linspace(4, width - 4, self.epochs)
        lines = []
        for column, color in zip(columns, ("#1f5fa8", "#c2571a"), strict=False):
            y = height - 4 - (column - low) / ((high - low) or 1.0) * (height - 8)
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
            lines.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        told = " and ".join(name.replace("_", " ") for name in self._losses())
        return f'<svg width="{width}" height="{height}" role="img" aria-label="{told}">{"".join(lines)}</svg>'
