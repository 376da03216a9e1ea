"""The gradient of a network by another library, JAX or PyTorch, from the textbook formulas of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from graphprop.checks.copies import units
from graphprop.checks.ways import NotApplicableError, Question, Way, timed
from graphprop.errors import GraphpropError
from graphprop.functions.loss import with_gaps
from graphprop.functions.mathematics import Functions, Mathematics
from graphprop.graph.layout import Array

MOST = 2000  # nodes; each takes some dispatched operations


@dataclass(frozen=True)
class Library:
    """What is needed of one: a function's value and derivatives at some arrays, its namespace m, and its arrays."""

    value_and_grad: Callable[[Any, Any], tuple[float, list[Array]]]
    m: Mathematics
    array: Callable[[Any], Any]


def by_library(q: Question, against: str) -> Way:
    """All entries by automatic differentiation of the forward pass: by uses, by additions to every a and every o."""
    library = LIBRARIES[against]()

    def run(way: Way) -> None:
        layout = q.trace.layout
        if len(layout.names) > MOST:
            raise NotApplicableError(f"{len(layout.names)} nodes; up to {MOST} are run")
        for node in layout.nodes:
            if node.activation is not None and node.activation.formula is None:
                raise NotApplicableError(f"{node.kind} has no formula")
        for own in q.objective.losses:
            if own.loss.formula is None:
                raise NotApplicableError(f"loss {own.loss.name!r} has no formula")
        theta = q.trace.theta
        if np.isinf(theta).any():
            raise NotApplicableError("a bias of -inf is a mask, which formulas do not know")
        at = theta[layout.position], theta[layout.bias_position], *(np.zeros_like(x) for x in _values(q))
        value, (weight, bias, delta, obar) = library.value_and_grad(lambda *x: _objective(q, library, *x), at)
        told = {"value": value, "weight": weight, "bias": bias, "delta": delta, "obar": obar}
        theta = layout.sum_of_uses(weight, bias)
        way.numbers, way.errors = q.addresses.pack(**told, theta=theta), q.formula_errors

    return timed(against, "automatic", run)


def _values(q: Question) -> tuple[Any, Any]:
    return q.trace.a_flat, q.trace.o_flat


def _objective(q: Question, library: Library, weight: Any, bias: Any, on_a: Any, on_o: Any) -> Any:
    """The objective as a function of the uses of weights and biases, and of what is added to every a and o."""
    layout, m = q.trace.layout, library.m
    given = library.array(q.trace.o_flat)
    o: dict[int, Any] = {c: given[:, c] + on_o[:, c] for c in layout.input_columns.tolist()}
    for unit in units(layout):
        span = layout.a_slice(unit.v)
        sums = [on_a[:, row] for row in range(span.start, span.stop)]
        for i, k, use in zip(unit.i.tolist(), unit.k.tolist(), range(unit.uses.start, unit.uses.stop), strict=True):
            sums[i] = sums[i] + weight[use] * o[int(unit.columns[k])]
        uses = [layout.bias_into(row) for row in range(span.start, span.stop)]
        a = [x if use is None else x + bias[use] for x, use in zip(sums, uses, strict=True)]
        f, fixed = unit.f, tuple(unit.f.parameters.values())
        assert f.formula is not None
        if f.kind == "elementwise":
            outputs = [f.formula(m, x, *fixed) for x in a]
        else:
            result = f.formula(m, a, *fixed)
            outputs = [result] if f.kind == "reducing" else list(result)
        for i, x in enumerate(outputs):
            column = layout.column_of(unit.v, i)
            o[column] = x + on_o[:, column]
    goal = q.objective
    columns = goal.columns.tolist()
    if not goal.losses:
        assert goal.seed is not None
        seed = library.array(goal.seed)
        return sum((seed[:, j] * o[c]).sum() for j, c in enumerate(columns))
    share, total = goal.for_kernels()[1], 0.0
    for s in range(q.trace.samples):
        for own, place, targets, weight in goal.each_head():
            assert own.loss.formula is not None
            z = [o[c][s] for c in columns[place]]
            t = with_gaps(own.loss, targets[s].tolist())
            total = total + weight * float(share[s % len(share)]) * own.loss.formula(m, z, t)
    return total


# ------------------------------------------------------------------ the two libraries


def _jax() -> Library:
    try:
        import jax
    except ImportError:
        raise GraphpropError("against='jax' needs JAX, which is not installed: pip install jax") from None
    jnp = jax.numpy

    def value_and_grad(function: Any, at: Any) -> Any:
        with jax.enable_x64(True):
            value, gradients = jax.value_and_grad(function, argnums=tuple(range(len(at))))(*map(jnp.asarray, at))
            return float(value), [np.asarray(g) for g in gradients]

    m = Functions(
        **{name: getattr(jnp, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "where", "pi")},
        erf=jax.scipy.special.erf,
        erfc=jax.scipy.special.erfc,
        max=lambda xs: reduce(jnp.maximum, xs),
        min=lambda xs: reduce(jnp.minimum, xs),
        sorted=lambda xs: list(jnp.sort(jnp.stack(xs), axis=0)),
    )
    return Library(value_and_grad, m, jnp.asarray)


def _torch() -> Library:
    try:
        import torch
    except ImportError:
        raise GraphpropError("against='torch' needs PyTorch, which is not installed: pip install torch") from None

    def lifted(function: Any) -> Any:
        return lambda x: function(torch.as_tensor(x, dtype=torch.float64))

    def value_and_grad(function: Any, at: Any) -> Any:
        leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in at]
        value = function(*leaves)
        gradients = torch.autograd.grad(value, leaves, allow_unused=True)
        zeros = [np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(at, gradients, strict=True)]
        return float(value.detach()), zeros

    names = ("exp", "log", "sqrt", "sin", "cos", "tanh", "erf", "erfc")
    m = Functions(
        **{name: lifted(getattr(torch, name)) for name in names},
        pi=np.pi,
        where=torch.where,
        max=lambda xs: reduce(torch.maximum, xs),
        min=lambda xs: reduce(torch.minimum, xs),
        sorted=lambda xs: list(torch.sort(torch.stack(xs), dim=0).values),
    )
    return Library(value_and_grad, m, lambda x: torch.tensor(x, dtype=torch.float64))


LIBRARIES: dict[str, Callable[[], Library]] = {"jax": _jax, "torch": _torch}
