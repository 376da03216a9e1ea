"""What a check found: a table with one row for each way, the guilty entries, and the worst ones side by side."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphprop.errors import WrongGradientError

HEADS = ("way", "worst error", "relative", "at", "entries", "time", "verdict")


@dataclass(frozen=True)
class Row:
    """One way of computing the gradient, against the reference.

    `verdict` is "ok", "fails", "undecided" or "not applicable"; `reason` says why it is not ok, or what was done.
    The errors are those of `entry`, the one that is farthest off for what rounding allows there.
    """

    way: str
    verdict: str
    reason: str = ""
    entry: str = ""
    absolute: float | None = None
    relative: float | None = None
    entries: int = 0
    seconds: float | None = None

    def cells(self) -> tuple[str, ...]:
        numbers = ("-" if x is None else f"{x:.1e}" for x in (self.absolute, self.relative))
        verdict = f"{self.verdict}: {self.reason}" if self.reason else self.verdict
        count = str(self.entries) if self.entries else "-"
        time = "-" if self.seconds is None else f"{self.seconds * 1e3:.1f} ms"
        return self.way, *numbers, self.entry or "-", count, time, verdict


@dataclass(frozen=True, eq=False)
class Report:
    """What `gp.check` or `gp.gradcheck` found.

    It is true if every way agrees and every entry was decided; `print` shows it, a notebook too.

    Attributes
    ----------
    title : str
    rows : tuple of Row
        One for each way: worst errors, where, time, verdict.
    reference : str
        The way that the errors are counted from: the one that most independent ways agree with.
    findings : tuple of str
        What is wrong, and where it begins.
    worst : mapping
        The worst entries, each with its number in all ways.
    undecided : tuple of str
        Entries about which no independent way can tell, as at a kink.
    verdict : str
        "ok", "fails" or "undecided".

    Examples
    --------
    >>> import graphprop as gp
    >>> net = gp.Network()
    >>> net.add_input("x")
    >>> net.add_node("y", "tanh", {"x": 0.5})
    >>> report = gp.check(net, {"x": 1.0}, "y")
    >>> report.ok, report.reference
    (True, 'recursion (b), children')
    """

    title: str
    rows: tuple[Row, ...]
    reference: str
    findings: tuple[str, ...]
    worst: Mapping[str, Mapping[str, float]]
    undecided: tuple[str, ...]

    @property
    def verdict(self) -> str:
        if self.findings or any(row.verdict == "fails" for row in self.rows):
            return "fails"
        return "undecided" if self.undecided else "ok"

    @property
    def ok(self) -> bool:
        """Whether nothing fails and nothing is undecided."""
        return self.verdict == "ok"

    def __bool__(self) -> bool:
        return self.ok

    def raise_if_failed(self) -> None:
        """Raise an `AssertionError` with this report if a way fails; what is undecided is no failure."""
        __tracebackhide__ = True
        if self.verdict == "fails":
            raise WrongGradientError(f"the gradients disagree\n{self}")

    def to_dict(self) -> dict[str, Any]:
        """Everything as dictionaries, lists, texts and numbers, for json."""
        return {
            "title": self.title,
            "verdict": self.verdict,
            "ok": self.ok,
            "reference": self.reference,
            "rows": [vars(row).copy() for row in self.rows],
            "findings": list(self.findings),
            "worst": {entry: dict(numbers) for entry, numbers in self.worst.items()},
            "undecided": list(self.undecided),
        }

    def __str__(self) -> str:
        lines = [f"{self.title}: {self.verdict}", "", *_aligned([HEADS, *(row.cells() for row in self.rows)])]
        if self.findings:
            lines += ["", *self.findings]
        if self.undecided:
            lines += ["", self._undecided_line()]
        if self.worst:
            lines += ["", *_aligned(self._side_by_side())]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Report: {self.title}: {self.verdict}>"

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(self.title)}: <b>{self.verdict}</b></p>"]
        parts.append(_html_table([HEADS, *(row.cells() for row in self.rows)]))
        parts += [f"<p>{html.escape(finding)}</p>" for finding in self.findings]
        if self.undecided:
            parts.append(f"<p>{html.escape(self._undecided_line())}</p>")
        if self.worst:
            parts.append(_html_table(self._side_by_side()))
        return "".join(parts)

    def _undecided_line(self) -> str:
        more = f", and {len(self.undecided) - 8} more" if len(self.undecided) > 8 else ""
        return f"undecided: {', '.join(self.undecided[:8])}{more}"

    def _side_by_side(self) -> list[tuple[str, ...]]:
        """A line for each way: names of entries are short, those of ways are not, and there are few of both."""
        entries = list(self.worst)
        ways = [way for way in (row.way for row in self.rows) if any(way in self.worst[entry] for entry in entries)]
        lines = [("worst entries", *entries)]
        for way in ways:
            numbers = (self.worst[entry].get(way) for entry in entries)
            lines.append((way, *("-" if x is None else f"{x:.12g}" for x in numbers)))
        return lines


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _html_table(rows: list[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(rows[0], 'th')}{''.join(line(row, 'td') for row in rows[1:])}</table>"
