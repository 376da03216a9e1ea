"""Texts that were made to be slow to load, of any size: whatever is quadratic in the size of a file would not end.

Nothing here is a network's; `files.py` loads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

Part = Callable[[int], str]
HEAD = '"format": "graphprop network", "version": 1, "directed": true, "multigraph": false'
ONE_HASH = 2**61 - 1  # whole numbers that differ by it have the same hash


def document(
    nodes: str = '{"id": "x", "kind": "input"}, {"id": "h", "kind": "tanh"}',
    edges: str = '{"source": "x", "target": "h", "theta": 0}',
    theta: str = "1.0",
    more: str = "",
) -> str:
    return f'{{{HEAD}, "nodes": [{nodes}], "edges": [{edges}], "theta": [{theta}]{more}}}'


def many(part: Part, size: int) -> str:
    """part(0), part(1), ... of so many bytes together."""

    def parts() -> Iterator[str]:
        left, i = size, 0
        while left > 0:
            yield part(i)
            left, i = left - len(part(i)) - 1, i + 1

    return ",".join(parts())


def inputs(name: Part, size: int) -> str:
    return many(lambda i: f'{{"id": {name(i)}, "kind": "input"}}', size)


def chain(count: int, ends: Part) -> str:
    nodes = ",".join(f'{{"id": {i}, "kind": "tanh"}}' for i in range(count))
    edges = ",".join(f'{{"source": {i}, {ends(i)}, "theta": 0}}' for i in range(count - 1))
    return document(nodes + ',{"id": "x", "kind": "input"}', edges + f',{{"source": "x", {ends(-1)}, "theta": 0}}')


HOSTILE: dict[str, Callable[[int], str]] = {
    "a text without end, of escaped quotes": lambda n: '{"a": "' + '\\"' * (n // 2),
    "a text without end, of backslashes": lambda n: '{"a": "' + "\\" * n,
    "quotes": lambda n: '"' * n,
    "escaped quotes outside of texts": lambda n: '\\"' * (n // 2),
    "empty texts": lambda n: "[" + '"",' * (n // 3) + '""]',
    "lists without end": lambda n: "[" * n,
    "empty lists": lambda n: "[" + "[]," * (n // 3) + "[]]",
    "lists in lists": lambda n: "[" + many(lambda i: "[" * 98 + "]" * 98, n) + "]",
    "objects in objects": lambda n: "[" + many(lambda i: '{"":' * 98 + "0" + "}" * 98, n) + "]",
    "empty objects": lambda n: "[" + "{}," * (n // 3) + "{}]",
    "small objects": lambda n: "[" + '{"":0},' * (n // 7) + "{}]",
    "deep names": lambda n: document(inputs(lambda i: "[" * 31 + str(i) + "]" * 31, n), ""),
    "a key twice, the last": lambda n: "{" + many(lambda i: f'"k{i}": 0', n) + ', "k": 0, "k": 0}',
    "a key very often": lambda n: "{" + '"k": 0,' * (n // 7) + '"k": 0}',
    "unknown keys": lambda n: document(more="," + many(lambda i: f'"k{i}": 0', n)),
    "long keys": lambda n: document(more="," + many(lambda i: f'"{"k" * 1000}{i}": 0', n)),
    "an unknown name among names like it": lambda n: document(
        inputs(lambda i: f'"{"a" * 90}{i:07}"', n), f'{{"source": "{"a" * 98}", "target": "h", "theta": 0}}'
    ),
    "a long unknown name": lambda n: document(edges=f'{{"source": "{"a" * n}", "target": "h", "theta": 0}}'),
    "a long unknown activation": lambda n: document(f'{{"id": "h", "kind": "{"a" * n}"}}'),
    "a long known name": lambda n: document(f'{{"id": "{"a" * n}", "kind": "input"}}'),
    "names of one hash": lambda n: document(inputs(lambda i: str(i * ONE_HASH + 5), n), ""),
    "lists of one hash": lambda n: document(inputs(lambda i: f"[{i * ONE_HASH + 5}, 1]", n), ""),
    "parameters of one hash": lambda n: document(
        more=', "parameters": [' + many(lambda i: f'{{"name": {i * ONE_HASH + 5}, "theta": 0}}', n) + "]"
    ),
    "names that differ in their high digits": lambda n: document(inputs(lambda i: str(i << 40), n), ""),
    "a number of many digits": lambda n: document(theta="0." + "1" * n),
    "whole numbers of many digits": lambda n: document(theta=many(lambda i: "9" * 1000, n)),
    "an exponent of many digits": lambda n: document(theta="1e" + "9" * n),
    "many parents": lambda n: document(
        inputs(str, n // 2) + ', {"id": "h", "kind": "tanh"}',
        many(lambda i: f'{{"source": {i}, "target": "h", "theta": 0}}', n // 4),
    ),
    "a chain": lambda n: chain(n // 80, lambda i: f'"target": {i + 1}'),
    "a chain, declared from its end": lambda n: chain(n // 80, lambda i: f'"target": {i + 1}').replace(
        '"nodes": [', '"nodes": [{"id": "z", "kind": "input"},'
    ),
    "a cycle": lambda n: chain(n // 80, lambda i: f'"target": {(i + 1) % (n // 80 - 1)}'),
    "a long order": lambda n: document(more=', "order": [' + "0," * (n // 2) + "0]"),
    "many outputs": lambda n: document(
        inputs(str, n // 2), "", more=', "outputs": [' + many(lambda i: f"[{i}]", n // 9) + "]"
    ),
    "a wide head": lambda n: document(inputs(str, n // 2), "", more=', "outputs": [[' + many(str, n // 9) + "]]"),
    "a deep parameter": lambda n: document(
        more=', "parameters": [{"name": "p", "theta": ' + "[" * 31 + "0," * (n // 2) + "0" + "]" * 31 + "}]"
    ),
    "a wide name, twice": lambda n: document(
        f'{{"id": [{"0," * (n // 4)}0], "kind": "input"}}, {{"id": "h", "kind": "tanh"}}',
        f'{{"source": [{"0," * (n // 4)}0], "target": "h", "theta": 0}}',
    ),
    "parameters of an activation": lambda n: document(
        '{"id": "h", "kind": "leaky_relu", "parameters": {' + many(lambda i: f'"p{i}": 1.0', n) + "}}"
    ),
}
