"""Activations in files: names and parameters. The functions of one's own are not there, they are given back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from graphprop.errors import GraphpropError, UnknownNameError
from graphprop.files.document import brief, read_number, wrong
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import ACTIVATIONS, activation


def read_activation(
    entry: Mapping[str, Any], place: str, own: Mapping[str, list[Activation]], known: dict[Any, Activation]
) -> Activation:
    name, is_own, given = entry["kind"], entry.get("own", False), entry.get("parameters", {})
    if not isinstance(name, str):
        raise wrong(f"{place}.kind", "'input' or the name of an activation", name)
    if not isinstance(is_own, bool):
        raise wrong(f"{place}.own", "true or false", is_own)
    if not isinstance(given, dict):
        raise wrong(f"{place}.parameters", "an object", given)
    numbers = {key: read_number(x, f"{place}.parameters.{brief(key)[1:-1]}") for key, x in given.items()}
    key = (name, is_own, *numbers.items())
    if key not in known:
        try:
            known[key] = _given_back(name, numbers, own) if is_own else activation(name, numbers)
        except GraphpropError as error:
            raise type(error)(f"{place}: {error}") from None
    return known[key]


def own_activations(given: Iterable[Activation]) -> dict[str, list[Activation]]:
    own: dict[str, list[Activation]] = {}
    if isinstance(given, Activation) or not isinstance(given, Iterable) or not getattr(given, "ndim", 1):
        raise GraphpropError(f"activations is a list of gp.Activation objects, not {brief(given)}")
    for f in given:
        if not isinstance(f, Activation):
            raise GraphpropError(f"activations is a list of gp.Activation objects, and {brief(f)} is none")
        if any(f.parameters == other.parameters and f != other for other in own.get(f.name, [])):
            raise GraphpropError(f"activations: there are two of the name {f.name!r} with the same parameters")
        own.setdefault(f.name, []).append(f)
    return own


def _given_back(name: str, numbers: Mapping[str, float], own: Mapping[str, list[Activation]]) -> Activation:
    """An activation that is not of the library: a file has its name and parameters, the user its functions."""
    if name not in own:
        given = f"given were {', '.join(map(repr, own))}" if own else "none was given"
        raise UnknownNameError(
            f"the activation {brief(name)} is not of this library; give it back with "
            f"gp.load(path, activations=[...]): {given}"
        )
    for f in own[name]:
        if f.parameters == numbers:
            return f
    given = " and ".join(str(dict(f.parameters)) for f in own[name])
    raise GraphpropError(f"the activation {brief(name)} has the parameters {brief(numbers)}; the one given has {given}")


def written_kind(f: Activation, own: dict[Any, Activation], where: str) -> str:
    entry: dict[str, Any] = {"kind": f.name}
    if not _is_library(f):
        if not all(isinstance(key, str) for key in f.parameters):
            raise GraphpropError(f"{where}: the parameters of its activation {f.name!r} have names that are no texts")
        if own.setdefault((f.name, frozenset(f.parameters.items())), f) != f:
            raise GraphpropError(
                f"{where}: two activations of your own are called {f.name!r}, and a file cannot tell them apart; "
                "give one of them another name"
            )
        entry["own"] = True
    if f.parameters:
        entry["parameters"] = dict(f.parameters)
    return written(entry, f"{where}: its activation {f.name!r}")[1:-1]


def _is_library(f: Activation) -> bool:
    entry = ACTIVATIONS.get(f.name)
    return (
        entry is not None and entry.parameters.keys() == f.parameters.keys() and activation(f.name, f.parameters) == f
    )


def written(entry: Any, what: str) -> str:
    text = json.dumps(entry, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise GraphpropError(f"{what} cannot be saved: it holds half a character (a lone surrogate)") from None
    return text
