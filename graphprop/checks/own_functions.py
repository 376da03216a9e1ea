"""What rounding does inside of the functions that a user wrote: activations, and the loss of an objective.

The functions of the tables are right to the last digits; those of users may cancel, as 1 - o o does where o is near 1,
and their compiled form may round otherwise than Python does. So it is measured, once for a trace.
"""

from __future__ import annotations

import numpy as np

from graphprop.checks.jacobians import jacobians
from graphprop.checks.roughness import roughness
from graphprop.checks.rounding import Inside, U
from graphprop.functions.activation import Activation
from graphprop.functions.arithmetic import Floats
from graphprop.functions.calling import attempt
from graphprop.functions.entry import Entry
from graphprop.functions.loss_entry import LossEntry
from graphprop.graph.layout import Array
from graphprop.passes.objective import Objective
from graphprop.passes.results import Trace

SPREAD = 8  # the largest error, in units of a typical one


def rounding_inside(trace: Trace, objective: Objective) -> Inside:
    """The nodes of one elementwise activation are looked at together."""
    layout = trace.layout
    nodes: dict[int, tuple[Array, Array]] = {}
    same: dict[Activation, list[int]] = {}
    for v, node in enumerate(layout.nodes):
        if node.activation is not None and not isinstance(node.activation, Entry):
            same.setdefault(node.activation, []).append(v)
    for f, members in same.items():
        for group in [members] if f.kind == "elementwise" else [[v] for v in members]:
            a, o = trace.a_flat[:, layout.rows_of(group)], trace.o_flat[:, layout.columns_of(group)]
            outputs, L = _of_activation(f, a, o)
            cuts = np.cumsum([layout.nodes[v].n for v in group])[:-1]
            pieces = zip(np.split(outputs, cuts, axis=1), np.split(L, cuts, axis=1), strict=True)
            nodes |= dict(zip(group, pieces if len(group) > 1 else [(outputs, L)], strict=True))
    z = trace.o_flat[:, objective.columns]
    if all(isinstance(own.loss, LossEntry) for own in objective.losses):
        return Inside(nodes, np.zeros(len(z)), np.zeros(z.shape))
    terms, direct = roughness(lambda there: _of_objective(objective, there), z, (-np.inf, np.inf))
    return Inside(nodes, SPREAD * terms.sum(axis=1), SPREAD * direct)


def _of_activation(f: Activation, a: Array, o: Array) -> tuple[Array, Array]:
    """A derivative that is written in o moves by the last digits of o as well."""
    outputs, L_of_a = roughness(lambda there: (_outputs(f, there), jacobians(f, there)), a, f.domain)
    L, digits = jacobians(f, a, o), np.zeros(L_of_a.shape)
    pattern = np.where(np.arange(o.shape[1]) % 2 == 0, 1.0, -1.0)
    for side in (1.0, -1.0):
        digits = np.fmax(digits, np.abs(jacobians(f, a, o * (1 + 8 * U * side * pattern)) - L))
    return SPREAD * outputs, SPREAD * L_of_a + digits


def _outputs(f: Activation, a: Array) -> Array:
    """The outputs of every sample; nan where there are none."""
    none = [np.nan] * (1 if f.kind == "reducing" else a.shape[1])
    return np.array([attempt(f.outputs, row) or none for row in a.tolist()])


def _of_objective(objective: Objective, z: Array) -> tuple[Array, Array]:
    found = attempt(objective.evaluate, z, Floats())
    if found is None:  # outside of what the loss reads
        return np.full((len(z), len(objective.losses)), np.nan), np.full(z.shape, np.nan)
    return np.reshape(found[0], (len(z), -1)), found[1]
