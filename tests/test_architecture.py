"""The direction of the imports, and what importing the library brings along."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import graphprop as gp

PACKAGE = Path(gp.__file__).parent
LAYERS = [
    {"errors", "escaping", "steps", "forking"},
    {"frames", "mirror"},
    {"order", "arrays", "expressions"},
    {"foreign"},
    {"memory", "twofold"},
    {"soft_targets"},
    {"trials"},
    {"plain"},
    {"differentiable"},
    {"activations", "losses"},
    {"arithmetic", "parameters", "layout"},
    {"arguments"},
    {"network", "textbook"},
    {"builders", "rewriting", "fields", "reading", "writing"},
    {"files"},
    {"stand_ins"},
    {"objective", "inputs", "sample", "finiteness", "values", "levels", "labelled", "parts", "tables", "blas"},
    {"results", "derivations", "passes"},
    {
        "recursion",
        "matrixform",
        "program",
        "threads",
        "entries",
        "perturbed",
        "differences",
        "reports",
        "sweeps",
        "blackbox",
        "roughness",
    },
    {"conditioning", "rounding", "faults"},
    {"own_functions"},
    {"locating", "recognition"},
    {"ways", "gradchecking"},
    {"automatic", "directions"},
    {"checking", "comparing"},
    {"keeping"},
    {"caching"},
    {"elementary", "kernels", "cutting", "tracing"},
    {"soft_kernels", "agreement"},
    {"sorting", "natives"},
    {"dense_kernels"},
    {"crew"},
    {"lowering", "edges", "products"},
    {"descent"},
    {"plans"},
    {"engine"},
    {"testing"},
    {"quantities"},
    {"explanations", "path_sums"},
    {"render"},
    {"__init__"},
    {"typed", "summary"},
    {"cli"},
    {"__main__"},
]
LAYER = {module: i for i, layer in enumerate(LAYERS) for module in layer}
RENDER_LAYERS = [  # those of graphprop/render, which all stand in the layer "render"
    {"places"},
    {"lettering", "columns"},
    {"colours", "parts", "layouts"},
    {"numbers", "selection", "figures"},
    {"legends"},
    {"contents", "dot", "svg"},
    {"summaries", "formulas"},
    {"playback"},
    {"html"},
    {"drawing"},
]
RENDER_LAYER = {module: i for i, layer in enumerate(RENDER_LAYERS) for module in layer}


def imports(module: Path) -> list[tuple[str, ...]]:
    """The modules of the package that are imported when this one is; those inside functions are later."""
    found: list[tuple[str, ...]] = []
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module in ("graphprop", "graphprop.render"):
            found += [(*node.module.split(".")[1:], alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("graphprop."):
            found.append(tuple((node.module or "").split(".")[1:]))
        elif isinstance(node, ast.Import):
            found += [("__init__",) for alias in node.names if alias.name == "graphprop"]
    return found


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda module: module.stem)
def test_imports_point_to_the_same_or_a_lower_layer(module: Path) -> None:
    own = module.relative_to(PACKAGE).with_suffix("").parts
    for imported in imports(module):
        if own[0] == imported[0] == "render":
            assert RENDER_LAYER[imported[1]] <= RENDER_LAYER[own[1]], f"{own} imports {imported}"
        else:
            assert LAYER[imported[0]] <= LAYER[own[0]], f"{own} imports {imported}"


def test_no_module_is_named_like_a_public_function() -> None:
    functions = {name for name in gp.__all__ if callable(getattr(gp, name))}
    assert not functions & {module.stem for module in PACKAGE.rglob("*.py")}


def test_the_public_names_are_there_once() -> None:
    assert all(hasattr(gp, name) for name in gp.__all__)
    assert len(gp.__all__) == len(set(gp.__all__))


def test_importing_brings_no_large_library_along() -> None:
    code = (
        "import sys, graphprop; "
        "names = {'numba', 'graphviz', 'networkx', 'mpmath', 'sympy', 'hypothesis', 'scipy', 'matplotlib'}; "
        "bad = names & set(sys.modules); "
        "sys.exit(f'imported: {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_functions_have_docstrings() -> None:
    for name in gp.__all__:
        thing = getattr(gp, name)
        if callable(thing):
            assert thing.__doc__, name
