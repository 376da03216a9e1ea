"""Random networks against the recursion, with each argument in many disguises: the same numbers, or refused.

A disguise is another object with the numbers of a plain array: a list, a view with gaps, a file in memory. A call
that takes it gives the bits that it gives for the plain array, and these are the recursion's, to the sum of the
absolute terms; a call may refuse what it does not read, with an error of ours. What hides something is refused.
"""

from __future__ import annotations

import array
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import graphprop as gp
from tests.absolute_terms import forward_terms, roundings
from tests.against_recursion import assert_close, assert_same_descent, assert_same_outputs, assert_same_pull
from tests.attack import Found
from tests.attack.networks import random_network

Array = np.ndarray[Any, Any]
Disguise = Callable[[Array], Any]


class Named(np.ndarray):  # type: ignore[type-arg]
    """A subclass of arrays with an attribute, as many libraries have one."""

    unit = "V"


class Exporting:
    """What is no array and gives one when asked."""

    def __init__(self, x: Array) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.x.astype(dtype or self.x.dtype)


def read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


def with_gaps(x: Array) -> Array:
    wide = np.full([2 * n for n in x.shape], np.nan)
    wide[tuple(slice(None, None, 2) for _ in x.shape)] = x
    return wide[tuple(slice(None, None, 2) for _ in x.shape)]


def backwards(x: Array) -> Array:
    turned = tuple(slice(None, None, -1) for _ in x.shape)
    return x[turned].copy()[turned]


def unaligned(x: Array) -> Array:
    place = np.zeros(x.nbytes + 1, dtype=np.uint8)[1:].view(x.dtype).reshape(x.shape)
    place[...] = x
    return place


def in_a_file(x: Array) -> Array:
    path = Path(tempfile.mkstemp(prefix="graphprop-attack-")[1])
    path.write_bytes(x.tobytes())
    mapped: Array = np.memmap(path, dtype=x.dtype, mode="r", shape=x.shape)
    path.unlink()  # the map keeps it as long as it is used
    return mapped


def nested(x: Array, number: Callable[[Any], Any] = float, of: Callable[[Any], Any] = list) -> Any:
    return of(nested(row, number, of) if row.ndim else number(row) for row in x)


def masked(x: Array) -> Array:
    hidden = np.zeros(x.shape, bool)
    hidden.flat[-1] = True
    return np.ma.MaskedArray(x, hidden)


EVERY: dict[str, Disguise] = {  # of any numbers that are multiples of 1/64
    "list": nested,
    "tuple": lambda x: nested(x, of=tuple),
    "list of arrays": lambda x: list(x),
    "list of numpy's scalars": lambda x: nested(x, np.float32),
    "list of 0-d arrays": lambda x: nested(x, np.array),
    "list of fractions": lambda x: nested(x, lambda number: Fraction(float(number))),
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "long double": lambda x: x.astype(np.longdouble),
    "big-endian": lambda x: x.astype(">f8"),
    "complex": lambda x: x.astype(complex),
    "objects": lambda x: x.astype(object),
    "texts": lambda x: x.astype(str),
    "read-only": read_only,
    "with gaps": with_gaps,
    "backwards": backwards,
    "Fortran order": np.asfortranarray,
    "unaligned": unaligned,
    "memmap": in_a_file,
    "subclass": lambda x: x.view(Named),
    "matrix": lambda x: x.view(np.matrix) if x.ndim == 2 else x.copy(),
    "masked array without masks": lambda x: np.ma.MaskedArray(x),
    "exporting an array": Exporting,
    "memoryview": lambda x: memoryview(np.ascontiguousarray(x)),
    "array.array": lambda x: array.array("d", x.tolist()) if x.ndim == 1 else list(x),
    "broadcast": lambda x: np.broadcast_to(x[None], (1, *x.shape))[0],
    "iterator": lambda x: iter(x.tolist()),
    "records": lambda x: np.ascontiguousarray(x).view([("number", float)]),
}
WHOLE: dict[str, Disguise] = {  # of whole numbers
    "int64": lambda x: x.astype(np.int64),
    "int8": lambda x: x.astype(np.int8),
    "list of ints": lambda x: nested(x, int),
    "list of bools": lambda x: nested(x, bool),
    "bool": lambda x: x.astype(bool),
    "uint8": lambda x: x.astype(np.uint8),
}
BITS = {"bool", "list of bools", "uint8"}
REFUSED: dict[str, Disguise] = {
    "masked array": masked,
    "times": lambda x: x.astype("m8[s]"),
    "nan in a list": lambda x: nested(np.where(np.arange(x.size).reshape(x.shape) == 0, np.nan, x)),
    "None in a list": lambda x: nested(x, lambda number: None),
    "a number too few": lambda x: x[..., :-1],
    "complex that is not real": lambda x: x + 1j,
}
DISGUISES: dict[str, Disguise] = EVERY | WHOLE | REFUSED | {"by name": np.array}  # which knows the network
TAKEN = {
    "list",
    "tuple",
    "float32",
    "read-only",
    "with gaps",
    "backwards",
    "Fortran order",
    "memmap",
    "int64",
    "subclass",
}


def attack(seconds: float, seed: int) -> Counter[str]:
    """Try for so long; how often each disguise was taken and refused."""
    counts: Counter[str] = Counter()
    end, number = time.monotonic() + seconds, seed
    while time.monotonic() < end:
        try:
            _try_network(np.random.default_rng(number), counts)
        except Exception as error:
            raise Found(f"{error}; again with seed {number}") from error
        number += 1
    return Counter(dict(sorted(counts.items())))


def _try_network(rng: np.random.Generator, counts: Counter[str]) -> None:
    net, rows = random_network(rng)
    width = len(net.program.schedule.goal_columns)
    arguments = {
        "theta": net.theta.copy(),
        "inputs": rows,
        "target": rng.integers(-64, 65, size=(len(rows), width)) / 64,
        "sample_weight": rng.integers(1, 65, size=len(rows)) / 64,
    }
    if rng.random() < 0.3:  # one sample
        arguments |= {
            "inputs": rows[0],
            "target": arguments["target"][0],
            "sample_weight": arguments["sample_weight"][:1],
        }
    which = str(rng.choice(list(arguments)))
    name = str(rng.choice([*DISGUISES]))
    plain = arguments[which]
    if name in WHOLE:
        plain = np.abs(np.sign(plain)) if name in BITS else np.round(plain) + 0.0  # no -0
    arguments[which] = plain
    net.theta = arguments["theta"]
    for call, needs in CALLS.items():
        if which not in needs or (name == "by name" and which not in NAMED):
            continue
        try:
            expected = call(net, **arguments)
        except gp.NumberError:  # whole weights may be large ones
            continue
        try:
            disguised = NAMED[which](net, plain) if name == "by name" else DISGUISES[name](plain)
            found = call(net, **arguments | {which: disguised})
        except gp.GraphpropError as error:
            if name in TAKEN:
                raise Found(f"{call.__name__}: {which} as {name} was refused: {error}") from None
            counts[f"{name}: refused"] += 1
            continue
        except Exception as error:
            raise Found(f"{call.__name__}: {which} as {name}: {error!r}") from error
        if name == "nan in a list" and which == "target":  # missing, which half_squared takes
            counts[f"{name}: taken"] += 1
            continue
        if name in REFUSED:
            raise Found(f"{call.__name__}: {which} as {name} was taken")
        _hold(call, net, arguments, expected, found, f"{call.__name__}: {which} as {name}")
        counts[f"{name}: the same"] += 1


def _hold(call: Any, net: gp.Network, arguments: dict[str, Array], expected: Any, found: Any, what: str) -> None:
    """The same bits as for the plain array, if not in another precision; and the recursion's numbers."""
    single = any(getattr(x, "dtype", None) == np.float32 for x in found)
    if not single and [np.asarray(x).tobytes() for x in found] != [np.asarray(x).tobytes() for x in expected]:
        raise Found(f"{what} gave {found} in place of {expected}")
    trace = gp.recursion.forward(net, arguments["inputs"])
    goal = {"loss": "half_squared", "target": arguments["target"], "sample_weight": arguments["sample_weight"]}
    try:
        if call is predict:
            assert_same_outputs(found[0], net, trace)
        elif call is value_and_grad:
            assert_same_descent(found, gp.recursion.backpropagate(net, trace, **goal))
        elif call is vjp:
            assert_same_pull(found, gp.recursion.backpropagate(net, trace, seed=by_heads(net, goal["target"])))
        else:
            assert_close(found[0], trace.o_flat, roundings(float), forward_terms(trace).o)
            assert_same_descent(found[1:], gp.recursion.backpropagate(net, trace, **goal))
    except AssertionError as error:
        raise Found(f"{what} is not what the recursion gives: {error}") from error


def by_heads(net: gp.Network, columns: Array) -> dict[Any, Any]:
    """An array with the columns of the heads as a mapping from their nodes."""
    layout, found, first = net.layout, {}, 0
    for name in (name for head in layout.heads for name in head):
        node = layout.nodes[layout.find(name)]
        part = columns[..., first : first + node.m]
        is_scalar = not node.vector or node.kind_of_function == "reducing"
        found[name] = part[..., 0] if is_scalar else part
        first += node.m
    return found


def by_inputs(net: gp.Network, columns: Array) -> dict[Any, Any]:
    """An array with the columns of the inputs as a mapping from their names."""
    found, first = {}, 0
    for name in net.inputs:
        node = net.layout.nodes[net.layout.find(name)]
        part = columns[..., first : first + node.m]
        found[name] = part if node.vector else part[..., 0]
        first += node.m
    return found


# ------------------------------------------------------------------ the calls


def value_and_grad(net: gp.Network, theta: Any, inputs: Any, target: Any, sample_weight: Any) -> tuple[Any, ...]:
    return net.program.value_and_grad(theta, inputs, target, loss="half_squared", sample_weight=sample_weight)


def vjp(net: gp.Network, theta: Any, inputs: Any, target: Any, sample_weight: Any) -> tuple[Any, ...]:
    return net.program.vjp(theta, inputs, target)


def predict(net: gp.Network, theta: Any, inputs: Any, target: Any, sample_weight: Any) -> tuple[Any, ...]:
    return (net.program.predict(theta, inputs),)


def network(net: gp.Network, theta: Any, inputs: Any, target: Any, sample_weight: Any) -> tuple[Any, ...]:
    return _both_passes(net, net, theta, inputs, target, sample_weight)


def recursion(net: gp.Network, theta: Any, inputs: Any, target: Any, sample_weight: Any) -> tuple[Any, ...]:
    return _both_passes(net, gp.recursion, theta, inputs, target, sample_weight)


def _both_passes(net: gp.Network, by: Any, theta: Any, inputs: Any, target: Any, sample_weight: Any) -> tuple[Any, ...]:
    before, goal = net.theta.copy(), {"loss": "half_squared", "target": target, "sample_weight": sample_weight}
    try:
        net.theta = theta
        if by is net:
            trace = net.forward(inputs)
            g = net.backward(trace, **goal)
        else:
            trace = by.forward(net, inputs)
            g = by.backpropagate(net, trace, **goal)
        return trace.o_flat, g.value, g.theta
    finally:
        net.theta = before


CALLS: dict[Any, set[str]] = {  # and the arguments that each reads
    value_and_grad: {"theta", "inputs", "target", "sample_weight"},
    vjp: {"theta", "inputs", "target"},
    predict: {"theta", "inputs"},
    network: {"theta", "inputs", "target", "sample_weight"},
    recursion: {"theta", "inputs", "target", "sample_weight"},
}
NAMED = {"inputs": by_inputs, "target": by_heads}  # what may go by name
