"""Activations as texts in the tables of others: a name, with numbers where they are not the library's own.

>>> import graphprop as gp
>>> written(gp.activation("leaky_relu", slope=0.3)), written(gp.activation("leaky_relu"))
('leaky_relu(slope=0.3)', 'leaky_relu')
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from graphprop.errors import GraphpropError, UnknownNameError
from graphprop.files.activations import own_activations, written_kind
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import ACTIVATIONS, activation, resolve

INPUT = "input"
_WITH_NUMBERS = re.compile(r"(.*)\(([^()]*)\)", re.DOTALL)


def written(f: Activation | None) -> str:
    """The text of an activation; that of an input is "input"."""
    if f is None:
        return INPUT
    numbers = ", ".join(f"{key}={number!r}" for key, number in f.parameters.items())
    return f"{f.name}({numbers})" if numbers and f != ACTIVATIONS.get(f.name) else f.name


def written_all(functions: Iterable[Activation | None]) -> dict[Activation | None, tuple[str, bool]]:
    """The text of each of them, and whether it is one of the user's own; two that have one text are refused."""
    own: dict[Any, Activation] = {}
    found: dict[Activation | None, tuple[str, bool]] = {}
    for f in functions:
        if f not in found:
            entry = {} if f is None else json.loads(f"{{{written_kind(f, own, 'the network')}}}")
            found[f] = written(f), "own" in entry
    return found


class Kinds:
    """Reads such texts, with the activations of one's own that were given back."""

    def __init__(self, default: Any, activations: Iterable[Activation]) -> None:
        self.own = own_activations(activations)
        self.default = None if default is None else self.read(default, "activation")

    def read(self, given: Any, where: str, is_own: bool = False) -> Activation | None:
        """The activation that a text or an object stands for; None for an input."""
        if isinstance(given, str) and given == INPUT and INPUT not in self.own:
            return None
        try:
            return self._of_text(given, is_own) if isinstance(given, str) else resolve(given)
        except GraphpropError as error:
            raise type(error)(f"{where}: {error}") from None

    def _of_text(self, given: str, is_own: bool) -> Activation:
        name, numbers = self._parts(given)
        if not is_own and name not in self.own:
            return activation(name, numbers) if numbers else resolve(name)
        if name not in self.own:
            told = f"given were {', '.join(map(repr, self.own))}" if self.own else "none was given"
            raise UnknownNameError(
                f"the activation {name!r} is not of this library; give it back with activations=[...]: {told}"
            )
        alike = [f for f in self.own[name] if not numbers or f.parameters == numbers]
        if len(alike) != 1:
            given_ = " and ".join(str(dict(f.parameters)) for f in self.own[name])
            raise GraphpropError(f"the activation {given!r} is one of those given with the parameters {given_}; which?")
        return alike[0]

    def _parts(self, given: str) -> tuple[str, Mapping[str, float]]:
        """The name in a text, and the numbers behind it."""
        match = None if given in self.own else _WITH_NUMBERS.fullmatch(given)
        if match is None:
            return given, {}
        name, inside = match.groups()
        try:
            pairs = [part.split("=") for part in inside.split(",")]
            return name.strip(), {key.strip(): float(number) for key, number in pairs}
        except ValueError:
            raise GraphpropError(
                f"an activation with numbers is written as 'leaky_relu(slope=0.3)', not {given!r}"
            ) from None
