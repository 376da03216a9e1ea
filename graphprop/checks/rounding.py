"""How much each operation rounds, in numbers of a kind, in formulas written in a way: the units of all bounds.

How errors are carried on from there is not known here; `bounds` has that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphprop.graph.layout import Array, Node

U = 2.0**-53  # half a unit in the last place of 1
ROUNDINGS = 8  # in one activation or one derivative, and in a formula that is written in another order
FUNCTION = 32 * U  # of a function of the ways: compiled ones are right to 7e-16, a slope takes operations on top
TINY = 2.0**-1060  # some of the smallest numbers: what underflow may lose


@dataclass(frozen=True, eq=False)
class Inside:
    """How far rounding moves the outputs and the Jacobians of nodes, by number, and the objective."""

    nodes: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    terms: Array = field(default_factory=lambda: np.zeros(1))  # of each sample
    direct: Array = field(default_factory=lambda: np.zeros((1, 1)))  # of the derivatives by what the objective reads


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numbers that are compared: all that decides how they round, besides the network.

    With `printed`, activations and their derivatives are taken to be computed as books print them: o (1 - o) for the
    sigmoid, for example, which loses digits where o is near 1, and with exponentials that overflow.
    """

    unit: float  # the largest relative error of one operation
    tiny: float  # what may be lost where a number underflows
    roundings: float = ROUNDINGS  # of one function or one slope
    printed: bool = False
    inside: Inside = field(default_factory=Inside)  # of the functions that a user wrote, if they were measured

    @classmethod
    def made_elsewhere(cls, kind: Any, printed: bool, underflow: bool) -> Numbers:
        """Those of a kind, such as `np.float64`; without `underflow` they keep all their digits however small they are.

        Some machines flush what is below the smallest normal number to 0.
        """
        limits = np.finfo(kind)
        return cls(float(limits.eps) / 2, float(limits.tiny) if underflow else 0.0, printed=printed)

    @classmethod
    def of_the_ways(cls, inside: Inside) -> Numbers:
        """The floats of the library's own ways, which underflow by digits, down to 2^-1074."""
        return cls(U, TINY * U / FUNCTION, FUNCTION / U, inside=inside)

    def digits(self, node: Node) -> float:
        """How many roundings are in the function of a node, and in each slope; a sum of more terms has more."""
        return self.roundings if node.kind_of_function == "elementwise" else max(self.roundings, 2.0 * node.n)

    def function(self, node: Node, size: Array, largest: Array) -> Array:
        """The error of a function whose terms have this size, and which has multiplied what is as large as that."""
        result: Array = self.digits(node) * (self.unit * size + self.tiny * (largest + 1))
        return result

    def output_terms(self, node: Node, a: Array, o: Array) -> Array:
        """The sum of the absolute terms in an output."""
        textbook = self.printed
        assert node.activation is not None
        size, largest = np.abs(o), np.abs(a).max(axis=1, keepdims=True)
        if textbook and node.kind_of_function != "elementwise":  # sums of p a, or a - log of a sum
            size = size + largest
        if textbook:
            size = size + node.activation.printed.beside
        return size

    def slope_terms(self, node: Node, a: Array, o: Array, delta: Array, g: Array) -> Array:
        """The sum of the absolute terms in delta = g L."""
        size: Array = np.abs(delta)
        return np.maximum(size, _printed_terms(node, a, o, g)) if self.printed else size


def _printed_terms(node: Node, a: Array, o: Array, g: Array) -> Array:
    """The sum of the absolute terms in a derivative as books print it, times |g|; 0 for those that do not cancel."""
    assert node.activation is not None
    f = node.activation
    if f.printed.cancels is None:
        return np.zeros(a.shape)
    return np.asarray(f.printed.cancels(a, o, g, *f.parameters.values()))
