"""Writes docs/reference.md from the docstrings: `python -m tests.reference`. A test holds the page to it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import graphprop as gp
from tests.project import ROOT

PAGE = ROOT / "docs" / "reference.md"
HEAD = """# Reference

All public names, with what they do in a line. `help(gp.draw)` and its like say more, with examples. This page is made
from the docstrings by `python -m tests.reference`.
"""
SECTIONS = {
    "Building": "Network Parameter mlp dense conv2d softmax_regression unroll union load",
    "Activations and losses": "Activation activation ACTIVATIONS Loss loss LOSSES",
    "Running": "compile Program Trace Gradients Difference get_threads set_threads threads",
    "Training": "fit Fit optim Population PopulationFit",
    "To and from other libraries": "from_networkx from_frame",
    "In other ways": "recursion matrixform",
    "Seeing": "draw Drawing explain Explanation paths PathSum",
    "Checking": "check gradcheck Report compare Comparison",
    "Errors": "GraphpropError UnknownNameError CycleError NumberError LimitError WrongGradientError SlowWarning",
}


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        entries = {name: getattr(gp, name) for name in names.split()}
        simple = [_line(f"gp.{name}", entry) for name, entry in entries.items() if not _has_members(entry)]
        if simple:
            parts.append("\n".join(simple) + "\n")
        for name, entry in entries.items():
            if _has_members(entry):
                parts.append(f"### `gp.{name}`\n\n{_summary(entry)}\n")
                parts.append("\n".join(_members(name, entry)) + "\n")
    return "\n".join(parts)


def _has_members(entry: Any) -> bool:
    return inspect.ismodule(entry) or (inspect.isclass(entry) and not issubclass(entry, Exception))


def _members(name: str, entry: Any) -> Iterator[str]:
    if inspect.ismodule(entry):
        own = {key: value for key, value in vars(entry).items() if getattr(value, "__module__", "") == entry.__name__}
        yield from (_line(f"gp.{name}.{key}", value) for key, value in own.items() if not key.startswith("_"))
        return
    for key in sorted(key for key in dir(entry) if not key.startswith("_")):
        member = inspect.getattr_static(entry, key)
        function = getattr(member, "fget", None) or getattr(member, "func", None)
        if function is not None and inspect.getdoc(function):
            yield f"- `.{key}`: {_summary(function)}"
        elif callable(getattr(entry, key)) and inspect.getdoc(getattr(entry, key)):
            yield _line(f".{key}", getattr(entry, key))


def _line(name: str, entry: Any) -> str:
    if not callable(entry):
        return f"- `{name}`: a table by name, of {len(entry)}."
    return f"- `{name}{'' if inspect.isclass(entry) else _arguments(entry)}`: {_summary(entry)}"


def _arguments(function: Any) -> str:
    signature = inspect.signature(function)
    shown = [
        p.replace(annotation=p.empty, default=p.default if isinstance(p.default, _PLAIN) else p.empty)
        for p in signature.parameters.values()
        if p.name not in ("self", "cls")
    ]
    return str(inspect.Signature(shown, __validate_parameters__=False))


_PLAIN = (int, float, str, tuple, type(None))


def _summary(entry: Any) -> str:
    return (inspect.getdoc(entry) or "").split("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page())
