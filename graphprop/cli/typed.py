"""What is typed on a command line, read as names, numbers, inputs and objectives of a network."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import Any

from graphprop.errors import GraphpropError, UnknownNameError, unknown
from graphprop.files.document import brief, read_name, wrong
from graphprop.files.json_text import (
    parse_json,
)
from graphprop.files.saving import (
    read_json,
)
from graphprop.given.arguments import generator
from graphprop.graph.layout import Name
from graphprop.network import Network
from graphprop.notation.escaping import label, plain
from graphprop.notation.short import short

_INTEGER = re.compile(r"[-+]?[0-9]{1,1000}")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NAMES = {
    "weight": 2,
    "bias": 1,
    "input": 1,
    "parameter": 1,
    "delta": 1,
    "gamma": 1,
    "obar": 1,
    "a": 1,
    "o": 1,
    "value": 0,
}


def read_typed_name(text: str, known: Collection[Name], what: str = "node", where: str = "") -> Name:
    """The name that was meant: the text as it is, else an integer, else a JSON list as a tuple, else as printed."""
    if text in known:
        return text
    if _INTEGER.fullmatch(text) and int(text) in known:
        return int(text)
    if text.startswith("["):
        try:
            name = read_name(parse_json(text.encode(), "a name"), "a name")
        except GraphpropError:
            pass
        else:
            if name in known:
                return name
    close = _without_spaces(text)
    printed = [name for name in known if close in (_without_spaces(str(name)), _without_spaces(label(name)))]
    if len(printed) > 1:
        options = ", ".join(map(brief, printed[:8])) + (", ..." if printed[8:] else "")
        raise UnknownNameError(f"{where}{text!r} may be one of {options}; a tuple can be typed as a JSON list")
    if printed:
        return printed[0]
    raise unknown(what, text, known, where)


def _without_spaces(text: str) -> str:
    return text.replace(", ", ",")


def read_values(text: str, known: Collection[Name], what: str, kind: str = "node") -> Any:
    """Numbers by known names, from ``x1=1.0,x2=[1, 2]`` or a JSON file; without names a list, or one number."""
    if text.endswith(".json"):
        document = read_json(text)
        if isinstance(document, dict):
            return {read_typed_name(key, known, kind, f"{text}: "): value for key, value in document.items()}
        if not isinstance(document, list):
            raise wrong(f"{text}: the document", "an object with a key for each node, or a list of numbers,", document)
        return document
    parts = _split_at_commas(text, what)
    if not any("=" in part for part in parts):
        if len(parts) == 1 and os.path.isfile(text):
            raise GraphpropError(f"{what}: {text!r} is a file whose name does not end in .json")
        numbers = [_read_number(part, f"{what}: {part!r}") for part in parts]
        return numbers if len(numbers) > 1 else numbers[0]
    values: dict[Name, Any] = {}
    for part in parts:
        typed, equals, number = part.rpartition("=")
        if not equals:
            raise GraphpropError(f"{what}: {part!r}: a name and a number are needed, as in x1=1.0")
        name = read_typed_name(typed.strip(), known, kind, f"{what}: ")
        if name in values:
            raise GraphpropError(f"{what}: {typed.strip()!r} is given twice")
        values[name] = _read_number(number, f"{what}: {part!r}")
    return values


def _split_at_commas(text: str, what: str) -> list[str]:
    """The parts between commas that are not inside of brackets, nor of quotes in these.

    A parenthesis counts where a name begins: ``('h', 0)=1``, but not ``f(=1``.
    """
    parts, depth, quote, start = [], 0, "", 0
    for i, character in enumerate(text):
        if quote:
            if character == quote and text[i - 1] != "\\":
                quote = ""
        elif character in "\"'" and depth and text[start:i].rstrip().endswith(("[", "(", ",")):
            quote = character
        elif character == "[" or (character == "(" and (depth or not text[start:i].strip())):
            depth += 1
        elif character == "]" or (character == ")" and depth):
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append(text[start:i])
            start = i + 1
    if depth:
        raise GraphpropError(f"{what}: {text!r}: the brackets do not match")
    return [*parts, text[start:]]


def _read_number(text: str, where: str) -> Any:
    text = text.strip()
    if text.startswith("["):
        return parse_json(text.encode(), where)
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    raise GraphpropError(f"{where}: a number is needed, or a list as in [1, 2]")


def read_inputs(typed: str | None, seed: int, net: Network) -> tuple[Any, str]:
    """The inputs that were typed, or random ones, and a line that says which."""
    if typed is not None:
        given = read_values(typed, dict.fromkeys(net.inputs), "--inputs", "input")
        return (given if isinstance(given, dict | list) else [given]), f"inputs: {plain(typed)}"
    drawn = generator(seed).standard_normal(sum(map(net.output_size, net.inputs)))
    layout, values, start = net.layout, {}, 0
    for name in net.inputs:
        node = layout.nodes[layout.number[name]]
        values[name] = drawn[start : start + node.m] if node.vector else float(drawn[start])
        start += node.m
    first = ", ".join(f"{label(name)} = {short(value)}" for name, value in list(values.items())[:8])
    more = f", ... {len(values) - 8} more" if len(values) > 8 else ""
    return values, f"inputs, random with seed {seed}: {first}{more}"


def read_objective(
    net: Network, of: str | None, component: int | None, loss: str | None, target: str | None
) -> tuple[dict[str, Any], str]:
    """What is differentiated, as arguments of `Network.backward`, and a line that says it."""
    if loss is not None:
        if of is not None or component is not None:
            raise GraphpropError("--loss reads the outputs; --of and --component do not go with it")
        if target is None:
            raise GraphpropError("--loss needs --target, as in --target y=0.25")
        values = read_values(target, net.layout.number, "--target")
        return {"loss": loss, "target": values}, f"objective: {loss}, target {target}"
    if target is not None:
        raise GraphpropError("--target needs --loss, as in --loss half_squared")
    if of is None and not net.outputs:
        raise GraphpropError("the network has no outputs")
    node = net.outputs[0] if of is None else read_typed_name(of, net.layout.number, where="--of: ")
    if component is None and net.output_size(node) > 1:
        component = 0
    at = "" if component is None else f", component {component}"
    return {"node": node, "component": component}, f"objective: the output of {node}{at}"


def read_what(words: list[str], net: Network) -> tuple[Any, ...]:
    """Which number is to be explained: ``weight h1 y 0`` is ``("weight", "h1", "y", 0)``."""
    kind, *rest = words
    if kind not in _NAMES:
        raise unknown("kind of number", kind, _NAMES)
    count = _NAMES[kind]
    if kind == "value" and rest:
        raise GraphpropError(f"value is the objective itself, and stands alone; {' '.join(rest)!r} is too much")
    if len(rest) < count:
        needed = "the names of two nodes, as in weight h1 y" if count == 2 else f"a name, as in {kind} y"
        raise GraphpropError(f"{kind} needs {needed}")
    known: Collection[Name] = net.parameters if kind == "parameter" else net.layout.number
    names = [read_typed_name(word, known, "parameter" if kind == "parameter" else "node") for word in rest[:count]]
    for word in rest[count:]:
        if not _INTEGER.fullmatch(word):
            raise GraphpropError(f"{' '.join(words)}: an index is a whole number, not {word!r}")
    return (kind, *names, *map(int, rest[count:]))
