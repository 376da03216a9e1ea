"""The table of activations: each function once, in the form that is right to the last digit, with its textbook formula.

To add one, add an entry to its family, in `elementwise.py`, `reducing.py` or `softmax.py`, and name it in the test of
all names and in the lists of the pages; it is then tested and usable everywhere.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from graphprop.errors import GraphpropError, unknown
from graphprop.functions.activation import Activation
from graphprop.functions.elementwise import ELEMENTWISE
from graphprop.functions.entry import Entry
from graphprop.functions.reducing import REDUCING
from graphprop.functions.softmax import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, SOFTMAX_DOT
from graphprop.given.arrays import one_number

ENTRIES = {f.name: f for f in (*ELEMENTWISE, SOFTMAX_DOT, *REDUCING, LOGSUMEXP, SOFTMAX, LOG_SOFTMAX)}
ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(ENTRIES)


def activation(name: str, parameters: Mapping[str, float] = MappingProxyType({}), **changes: float) -> Activation:
    """The activation of that name, with its parameters changed where they are given.

    >>> activation("leaky_relu", slope=0.2).value(-1.0)
    -0.2
    >>> activation("sigmod")
    Traceback (most recent call last):
    graphprop.errors.UnknownNameError: unknown activation 'sigmod'; did you mean 'sigmoid'?
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS, also={f.name: f.also for f in ENTRIES.values()})
    entry = ACTIVATIONS[name]
    if not isinstance(parameters, Mapping):
        raise GraphpropError(f"activation {name!r}: parameters are a mapping from names to numbers, not {parameters!r}")
    changed = {**parameters, **changes}
    for key in changed:
        if key not in entry.parameters:
            raise unknown("parameter", key, entry.parameters, f"activation {name!r}: ")
    numbers = {key: one_number(number, f"activation {name!r}: parameter {key}") for key, number in changed.items()}
    if all(entry.parameters.get(key) == number for key, number in numbers.items()):
        return entry
    fields: dict[str, Any] = {field: getattr(entry, field) for field in ("kind", "formula", "text", "latex")}
    fields |= {field: getattr(entry, field) for field in ("domain", "kinks", "masks", "gives", "push_function")}
    fields["second"] = entry.second_function
    functions: tuple[Callable[..., Any], ...] = (entry.value_function, entry.derivative_function)
    return Entry(name, *functions, parameters={**entry.parameters, **changed}, printed=entry.printed, **fields)


def _by_name(entry: Entry) -> tuple[Any, ...]:
    return activation, (entry.name, dict(entry.parameters))


copyreg.pickle(Entry, _by_name)


def resolve(given: str | Activation) -> Activation:
    """The activation that a name or an object stands for."""
    if isinstance(given, Activation):
        return given
    if not isinstance(given, str):
        raise GraphpropError(f"an activation is a name or a gp.Activation, not {given!r}")
    return activation(given)
