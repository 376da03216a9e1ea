"""What is given to make a graph from arrays, read one by one: numbers of nodes, names, activations, positions, outputs.

That they fit together as a graph is the matter of `edge_arrays.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import resolve
from graphprop.given.arguments import is_whole
from graphprop.given.arrays import is_masked_array
from graphprop.graph.layout import Array, Heads, Name
from graphprop.graph.names import checked_name

MOST = 2**31 - 1  # nodes, edges or parameters


def read_count(given: Any, where: str) -> int:
    if not is_whole(given, 0, MOST):
        raise GraphpropError(f"{where} is a whole number from 0 to {MOST}, not {given!r}")
    return int(given)


def read_numbers(given: Any, where: str, what: str = "node number", least: int = 0) -> Array:
    """Whole numbers from `least` on; `what` is the word for one of them."""
    if is_masked_array(given):
        raise GraphpropError(f"{where} is a masked array; {what}s are needed for all entries")
    try:
        array = np.asarray(given)
    except Exception:  # an array of another library may raise anything
        raise GraphpropError(f"{where} is an array of {what}s") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        told = f"not of shape {array.shape} and type {array.dtype}"
        raise GraphpropError(f"{where} is an array of {what}s with one axis, {told}")
    if array.size and not (int(array.min()) >= least and int(array.max()) < MOST):
        wrong = (array < least) | (array >= MOST)
        place, found = int(np.argmax(wrong)), array[wrong][0]
        raise GraphpropError(f"{where}[{place}] is {found}; {what}s are {least} to {MOST - 1}")
    if len(array) > MOST:
        raise GraphpropError(f"{where} has {len(array)} entries; at most {MOST} are possible")
    return array.astype(np.intp)


def read_names(given: Any) -> list[Name]:
    """The names of all nodes."""
    if is_masked_array(given) or isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise GraphpropError(f"names is an array with a name for each node, not {type(given).__name__}")
    if getattr(given, "ndim", 1) != 1:
        raise GraphpropError(f"names is an array with one axis, not with {getattr(given, 'ndim', 1)}")
    try:
        entries = given.tolist() if hasattr(given, "tolist") else list(given)
    except Exception:
        raise GraphpropError(f"names is an array with a name for each node, not this {type(given).__name__}") from None
    if not set(map(type, entries)) <= {str, int}:
        entries = [_read_name(name, i) for i, name in enumerate(entries)]
    if len(set(entries)) < len(entries):
        seen: dict[Name, int] = {}
        i, name = next((i, name) for i, name in enumerate(entries) if seen.setdefault(name, i) != i)
        raise GraphpropError(f"names[{i}] is {name!r}, as names[{seen[name]}] is; each node has its own")
    return entries


def _read_name(given: Any, i: int) -> Name:
    try:
        return checked_name(given)
    except GraphpropError as error:
        raise GraphpropError(f"names[{i}]: {error}") from None


def read_activations(given: Any, count: int) -> tuple[list[Activation], Array]:
    """The activations, each once, and for each of so many nodes which of them it has."""
    if isinstance(given, str | Activation):
        functions = [resolve(given)]
        which: Array = np.zeros(count, dtype=np.uint32)
    else:
        if isinstance(given, np.ndarray) and given.ndim != 1:
            raise GraphpropError(f"activation is one for all, or an array with one axis, not of shape {given.shape}")
        if not isinstance(given, Sequence | np.ndarray) or len(given) != count:
            what = f"{len(given)} of them" if isinstance(given, Sequence | np.ndarray) else repr(given)
            raise GraphpropError(f"activation is one for all, or one for each of the {count} nodes; not {what}")
        if isinstance(given, np.ndarray) and given.dtype.kind == "U":
            names, which = np.unique(given, return_inverse=True)
            functions = [resolve(str(name)) for name in names]
        else:
            known: dict[Any, int] = {}
            numbers: dict[Activation, int] = {}
            for f in given:
                if _key(f) not in known:
                    known[_key(f)] = numbers.setdefault(resolve(f), len(numbers))
            which = np.fromiter((known[_key(f)] for f in given), dtype=np.uint32, count=count)
            functions = list(numbers)
    for f in functions:
        if f.kind == "vector":
            told = "nodes given as arrays have one output: elementwise and reducing"
            raise GraphpropError(f"activation {f.name!r} is of vectors; {told}")
    return functions, which.astype(np.uint32)


def _key(given: Any) -> Any:
    """What tells one given activation from others, without a comparison of functions."""
    return given if type(given) is str else id(given)


def read_bias(given: Any, rows: int, first: int, scalar: bool) -> Array | None:
    """The position in theta of the bias of each of so many pre-activations, -1 where there is none.

    Where it is not said, they stand one behind the other from `first` on.
    """
    if isinstance(given, bool | np.bool_):
        return first + np.arange(rows) if given and rows else None
    what = "True or False, or an array of those or of positions in theta"
    if isinstance(given, str | bytes) or not isinstance(given, Sequence | np.ndarray):
        raise GraphpropError(f"bias is {what}, not {given!r}")
    if getattr(given, "ndim", 1) == 1 and set(map(type, given)) <= {bool, np.bool_}:
        flags = np.array([*given], dtype=bool)
        found: Array = np.where(flags, first - 1 + np.cumsum(flags), -1)
    else:
        found = read_numbers(given, "bias", "position", -1)
    if len(found) != rows:
        each = "node that is no input" if scalar else "component of each node that is no input"
        raise GraphpropError(f"bias has {len(found)} entries; one for each {each} makes {rows}")
    return found if (found >= 0).any() else None


def read_heads(given: Any, names: Sequence[Name], inputs: int) -> Heads:
    """The heads: one of the nodes that are numbered, or one for each array of them."""
    several = isinstance(given, np.ndarray) and given.ndim == 2
    if isinstance(given, list | tuple) and given and not all(isinstance(v, int | np.integer) for v in given):
        several = True
    heads = [*given] if several else [given]
    arrays = [read_numbers(v, f"outputs[{h}]" if several else "outputs") for h, v in enumerate(heads)]
    numbers = np.concatenate([np.empty(0, dtype=np.intp), *arrays])
    wrong = (numbers < inputs) | (numbers >= len(names))
    if wrong.any():
        v = int(numbers[np.argmax(wrong)])
        kind = "an input" if v < inputs else "no node"
        raise GraphpropError(f"outputs: {v} is {kind}; nodes are {inputs} to {len(names) - 1}")
    if len(np.unique(numbers)) < len(numbers):
        raise GraphpropError("outputs names a node twice")
    if not len(numbers) or not all(map(len, arrays)):
        raise GraphpropError("outputs is empty" if not len(numbers) else "outputs has a head that is empty")
    return tuple(tuple(names[v] for v in array.tolist()) for array in arrays)
