"""What a user wants to be differentiated, read once: node, component, loss, target, sample_weight and seed.

An `Objective` that was read is taken in their place, for the same structure and as many samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from graphprop.errors import GraphpropError, UnknownNameError
from graphprop.functions.losses import loss
from graphprop.given.arguments import is_whole
from graphprop.given.frames import along_samples, by_name, hint, is_series
from graphprop.graph.layout import Layout, Name
from graphprop.notation.escaping import label
from graphprop.passes.heads import columns_of, outputs_of, read_losses, title_of
from graphprop.passes.objective import Objective
from graphprop.passes.targets import read_rows, read_sample_weight, read_targets

Target: TypeAlias = "Mapping[Any, Any] | ArrayLike"  # by name, or the columns of all outputs; a data frame is a mapping
Seeds: TypeAlias = "Mapping[Any, Any]"  # by name, shaped like the outputs


def read_objective(
    layout: Layout,
    samples: int,
    batched: bool,
    node: Name | Objective | None = None,
    *,
    component: int | None = None,
    loss: Any = None,
    target: Any = None,
    sample_weight: Any = None,
    seed: Mapping[Any, Any] | None = None,
    exact: bool = False,
) -> Objective:
    """The objective that a user asked for, or an error that says what is wrong with it.

    In place of a node it may be an objective that was read before. With `exact`, targets and seeds may be numbers of
    another kind than floats, and are kept as they are.
    """
    asked = [what for what, given in (("a node", node), ("loss=", loss), ("seed=", seed)) if given is not None]
    if len(asked) != 1:
        found = f"not {' and '.join(asked)}" if asked else "and none of them was given"
        raise GraphpropError(f"an objective is a node, or loss= with target=, or seed=; one of them, {found}")
    if component is not None and (node is None or isinstance(node, Objective)):
        raise GraphpropError("component= belongs to a node")
    if (target is not None or sample_weight is not None) and loss is None:
        raise GraphpropError(f"{'target' if target is not None else 'sample_weight'}= belongs to loss=")
    if loss is not None:
        return read_loss(layout, samples, batched, loss, target, sample_weight, exact)
    if seed is not None:
        return _read_seed(layout, samples, batched, seed, exact)
    if isinstance(node, Objective):
        return _asked_again(node, layout, samples, exact)
    assert node is not None
    return _read_node(layout, samples, node, component)


def _asked_again(objective: Objective, layout: Layout, samples: int, exact: bool) -> Objective:
    """An objective that was read, if it fits these samples of this structure."""
    if not objective.layout.same_structure(layout):
        raise GraphpropError(f"the objective, {objective}, is of another structure")
    if objective.samples != samples:
        counts = " and ".join(f"{n} sample{'' if n == 1 else 's'}" for n in (objective.samples, samples))
        raise GraphpropError(f"the objective, {objective}, and the pass are of {counts}; they must agree")
    return objective if exact else objective.in_floats()


def _read_node(layout: Layout, samples: int, name: Name, component: int | None) -> Objective:
    v = layout.find(name)
    m = layout.nodes[v].m
    if component is None:
        if m > 1:
            raise GraphpropError(f"node {name!r} has {m} outputs; say which one with component=")
        component = 0
    if not is_whole(component, 0, m - 1):
        raise GraphpropError(f"node {name!r}: component={component!r} is out of range; it has 0 to {m - 1}")
    title = f"o[{label(name)}]" + (f"[{component}]" if m > 1 else "")
    return Objective(title, layout, samples, (v,), layout.o_start[v] + np.array([component]), np.ones((samples, 1)))


def _read_seed(layout: Layout, samples: int, batched: bool, given: Any, exact: bool) -> Objective:
    named = _by_node(layout, given, batched)
    if not named:
        raise GraphpropError("seed= is a mapping from node names to the derivatives of the objective by their outputs")
    reads = tuple(layout.find(name) for name in named)
    blocks = [
        read_rows(numbers, layout.nodes[v].m, samples, batched, f"seed of node {name!r}", exact)
        for v, (name, numbers) in zip(reads, named.items(), strict=True)
    ]
    columns = columns_of(layout, list(named))
    return Objective("seed * o", layout, samples, reads, columns, np.hstack(blocks))


def _by_node(layout: Layout, given: Any, batched: bool) -> Mapping[Any, Any] | None:
    """What was given by the names of nodes; None if it was given by position, as a series over samples is."""
    named = None if batched and is_series(given) else by_name(given)
    if named is None:
        return None
    for name in named:
        try:
            layout.find(name)
        except UnknownNameError as error:
            raise UnknownNameError(f"{error}{hint(given)}") from None
    return {name: along_samples(numbers) for name, numbers in named.items()} if batched else named


def read_seeds(layout: Layout, samples: int, batched: bool, given: Any) -> Objective:
    """Seeds by name, or an array with the columns of all heads; or an objective that has them."""
    if isinstance(given, Objective):
        if given.seed is None:
            raise GraphpropError(f"the objective, {given}, has no seeds")
        return _asked_again(given, layout, samples, exact=False)
    if _by_node(layout, given, batched) is not None:
        return _read_seed(layout, samples, batched, given, exact=False)
    reads, columns = outputs_of(layout)
    rows = read_rows(along_samples(given), len(columns), samples, batched, "seeds: the array", False, layout)
    return Objective("seed * o", layout, samples, reads, columns, rows)


def read_loss(
    layout: Layout, samples: int, batched: bool, given: Any, target: Any, sample_weight: Any, exact: bool = False
) -> Objective:
    """Losses of the heads, with what these are compared with; or an objective, in place of both."""
    if isinstance(target, Objective):
        if not target.losses:
            raise GraphpropError(f"the objective, {target}, has no loss")
        if given is not None or sample_weight is not None:
            raise GraphpropError("an objective that was read has its loss and sample weights; it is given alone")
        return _asked_again(target, layout, samples, exact)
    if given is None:
        raise GraphpropError("loss= is missing: a loss is a name or a gp.Loss, or a mapping from heads to such")
    if target is None:
        name = "" if isinstance(given, Mapping) else f"loss {loss(given).name}: "
        raise GraphpropError(f"{name}target= is missing")
    named = _by_node(layout, target, batched)
    reading, head_weight = read_losses(layout, given, named)
    targets = read_targets(layout, reading, target if named is None else named, samples, batched, exact)
    sample_weight = None if sample_weight is None else read_sample_weight(sample_weight, samples, batched)
    return Objective(
        title_of(reading, head_weight),
        layout,
        samples,
        reading.reads,
        reading.columns,
        None,
        reading.losses,
        reading.loss,
        reading.starts,
        targets,
        head_weight,
        sample_weight,
    )
