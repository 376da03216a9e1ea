"""A mutation run: does a test fail for every small mistake in the code?

    python -m tests.attack.mutation --report mutants.txt --count 150

Of each module in `CONCERNED` some operators, comparisons, constants and names are exchanged, one at a time, in a copy
of the repository, and the test files that concern it are run until one fails. The report has a line for each mutant; a
run goes on where the last one ended. Survivors are what no test noticed, because a test is missing, or because the
mutant does the same, perhaps more slowly; if they are more than the others, and some eight were tried, the status is 1.
Ten mutants take some minutes, those of compiled loops longer; the priority is low. It is no campaign of
`python -m tests.attack`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import random
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tests.project import ROOT

LIMIT = 900.0  # seconds for the tests of one mutant; what takes longer hangs
TELLING = 8  # so many mutants are no matter of chance
CONCERNED = {  # of each module, the tests that should notice besides its own examples, the fastest first
    "textbook/recursion": ("golden", "recursion", "overflow", "recursion_refusals", "identities_graphs", "deep"),
    "engine/general": ("engine_golden", "program_arguments", "cuts", "engine", "program", "own_in_python", "natives"),
    "engine/sweeping": ("engine_golden", "cuts", "program_arguments", "engine", "own_in_python", "natives"),
    "engine/in_python": ("engine_golden", "cuts", "own_in_python", "own_activations", "overflow"),
    "engine/loops/sparse": ("engine_golden", "pieces", "cuts", "program_arguments", "engine", "program_from_edges"),
    "engine/loops/dense": ("products", "dense_blocks"),
    "engine/fast_sparse": ("pieces", "cuts", "engine_golden", "program_arguments", "engine"),
    "engine/fast": ("pieces", "cuts", "program_arguments", "engine_golden", "engine", "products"),
    "engine/fast_dense": ("products", "cuts", "dense_blocks"),
    "engine/lowering": (
        "engine_golden",
        "program",
        "pieces",
        "cuts",
        "products",
        "dense_blocks",
        "engine",
        "program_from_edges",
    ),
    "functions/losses": ("golden", "explanations", "losses", "recursion", "overflow"),
    "functions/elementwise": ("activations", "golden", "overflow"),
    "functions/reducing": ("activations", "golden", "overflow"),
    "functions/softmax": ("activations", "golden", "explanations", "overflow", "identities", "losses"),
    "textbook/matrixform": ("matrixform", "matrixform_layers", "matrixform_numbers", "matrixform_refusals"),
    "passes/results": ("results", "recursion", "golden", "explanations"),
    "passes/goals": ("objectives", "recursion", "losses", "results", "program_arguments", "sample_weights", "frames"),
    "passes/heads": ("losses_by_head", "recursion", "losses", "results", "program_arguments"),
    "passes/targets": ("losses_by_head", "losses", "program_arguments", "sample_weights", "frames"),
    "passes/objective": (
        "losses_by_head",
        "objectives",
        "values",
        "recursion",
        "losses",
        "results",
        "program_arguments",
        "sample_weights",
    ),
}
SHARES = {
    "textbook/recursion": 2.0,
    "functions/losses": 1.5,
    "functions/elementwise": 0.5,
    "functions/reducing": 0.5,
    "functions/softmax": 0.5,
    "engine/lowering": 1.5,
    "engine/loops/sparse": 0.8,
    "engine/loops/dense": 0.4,
}

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.MatMult: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One place of a module, as it is and as it is to be."""

    module: str
    line: int
    column: int
    before: str
    after: str
    source: str  # all of the module, with the mistake

    def __str__(self) -> str:
        return f"{self.module}:{self.line}:{self.column}: `{self.before}` -> `{self.after}`"


# ------------------------------------------------------------------ what is exchanged


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for text in lines:
        starts.append(starts[-1] + len(text))

    def place(line: int, column: int) -> int:
        return starts[line - 1] + column

    for node, after in _exchanges(ast.parse(source)):
        first, last = place(node.lineno, node.col_offset), place(node.end_lineno or 0, node.end_col_offset or 0)
        whole = source.encode()
        before = whole[first:last].decode()
        text = after if isinstance(node, ast.stmt | ast.Name | ast.Constant) else f"({after})"
        changed = (whole[:first] + text.encode() + whole[last:]).decode()
        yield Mutant(module, node.lineno, node.col_offset, _one_line(before), _one_line(after), changed)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _exchanges(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Expressions and statements with what they are exchanged for. Texts, types and errors stay as they are."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name != "__repr__":
            own = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            names = sorted({*own, *(argument.arg for argument in function.args.args)} - {"self", "cls"})
            for statement in function.body:
                yield from _within(statement, names)
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield from _within(statement.value, [])


def _within(node: ast.AST, names: list[str]) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.FunctionDef | ast.ClassDef | ast.Assert):
        return  # functions in functions come by themselves
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    yield from _exchanged(node, names)
    for field, child in ast.iter_fields(node):
        if field in ("annotation", "returns", "ctx"):
            continue
        for each in child if isinstance(child, list) else [child]:
            if isinstance(each, ast.AST):
                yield from _within(each, names)


def _exchanged(node: ast.AST, names: list[str]) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
        yield node, ast.unparse(ast.BinOp(node.left, SWAPS[type(node.op)](), node.right))
    elif isinstance(node, ast.AugAssign) and type(node.op) in SWAPS:
        yield node, ast.unparse(ast.AugAssign(node.target, SWAPS[type(node.op)](), node.value))
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield node, ast.unparse(ast.Compare(node.left, [SWAPS[type(node.ops[0])](), *node.ops[1:]], node.comparators))
    elif isinstance(node, ast.BoolOp):
        yield node, ast.unparse(ast.BoolOp(SWAPS[type(node.op)](), node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node, ast.unparse(node.operand)
    elif isinstance(node, ast.IfExp) and not any(map(_is_text, (node.body, node.orelse))):
        yield node, ast.unparse(ast.IfExp(node.test, node.orelse, node.body))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, repr(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield node, repr(node.value + 1)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names and len(names) > 1:
        yield node, names[(names.index(node.id) + 1) % len(names)]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def chosen(count: int, seed: int, only: list[str]) -> list[Mutant]:
    """So many mutants, shared out among the modules; a larger count begins with the same ones."""
    found = {module: _shuffled(module, seed) for module in only}
    taken = dict.fromkeys(found, 0)
    result: list[Mutant] = []
    while len(result) < count and (left := [module for module in found if taken[module] < len(found[module])]):
        module = min(left, key=lambda m: (taken[m] + 1) / SHARES.get(m, 1.0))
        result.append(found[module][taken[module]])
        taken[module] += 1
    return result


def test_file(name: str) -> str:
    return next((ROOT / "tests").rglob(f"test_{name}.py")).relative_to(ROOT).as_posix()


def _shuffled(module: str, seed: int) -> list[Mutant]:
    """Every fourth one has another name: these are many, and most end in an error at once."""
    every = list(mutants_of(module, (ROOT / "graphprop" / f"{module}.py").read_text()))
    random.Random(f"{seed} {module}").shuffle(every)
    names, others = ([m for m in every if m.before.isidentifier() == is_name] for is_name in (True, False))
    result: list[Mutant] = []
    for i in range(max(len(names), -(-len(others) // 3))):
        result += [*others[3 * i : 3 * i + 3], *names[i : i + 1]]
    return result


# ------------------------------------------------------------------ the tests


class Copy:
    """A copy of the repository, in which one module at a time is another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.exists():
            shutil.rmtree(folder)
        hidden = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist")
        shutil.copytree(ROOT, folder, ignore=hidden)
        self.clock = int(time.time())

    @contextmanager
    def with_mutant(self, mutant: Mutant) -> Iterator[None]:
        """With a time of its own: compiled code is known by the time of its source, in whole seconds."""
        path = self.folder / "graphprop" / f"{mutant.module}.py"
        source, stamp = path.read_text(), path.stat().st_mtime
        self.clock += 1
        try:
            path.write_text(mutant.source)
            os.utime(path, (self.clock, self.clock))
            yield
        finally:
            path.write_text(source)
            os.utime(path, (stamp, stamp))

    def failing(self, *tests: str) -> str:
        """The first of these tests that fails; empty if none does. A fork runs them, which has all imports already."""
        output, end = Path(f"{self.folder}.output"), time.monotonic() + LIMIT
        child = os.fork()
        if child == 0:
            os.setsid()
            self._run(tests, output)
        try:
            while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
                if time.monotonic() > end:
                    return "no end"
                time.sleep(0.02)
            child = 0
        finally:
            if child:  # it hangs, or this run is interrupted
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
        status = os.waitstatus_to_exitcode(ended[1])
        if status in (-signal.SIGTERM, -signal.SIGKILL):
            sys.exit("the tests were ended from outside")
        said = output.read_text()
        named = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", said, re.MULTILINE)
        if status > 0 and not named:
            sys.exit(f"the tests could not be run:\n{said}")
        return (named[0] if named else f"ended by signal {-status}") if status else ""

    def _run(self, tests: tuple[str, ...], output: Path) -> NoReturn:
        """In the child: pytest on the copy, in place of what this run imported of the repository itself."""
        status = 3
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        try:
            for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "graphprop")]:
                del sys.modules[name]
            os.chdir(self.folder)
            sys.path[:0] = [str(self.folder)]
            os.environ["PYTHONPATH"] = str(self.folder)
            sys.dont_write_bytecode, sys.pycache_prefix = False, f"{self.folder}.pycache"
            imported = "ignore::pytest.PytestAssertRewriteWarning"  # what was imported before
            quick = "addopts=--doctest-modules -m 'not thorough'"
            options = ["-x", "-q", "-o", quick, "-p", "no:cacheprovider", "-W", imported]
            status = int(pytest.main([*options, *tests]))
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)


def prepare(loops: str) -> None:
    """Import what all tests import, once, with a place of its own for compiled loops."""
    os.nice(19)
    os.environ |= {"NUMBA_CACHE_DIR": loops}
    for name in ("numpy", "networkx", "numba", "numba.extending", "llvmlite.ir", "mpmath", "hypothesis", "scipy"):
        importlib.import_module(name)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.attack.mutation", description=str(__doc__).split("\n")[0])
    parser.add_argument("--report", type=Path, required=True, help="a text file; a run goes on where it ended")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--only", nargs="+", choices=list(CONCERNED), default=list(CONCERNED), metavar="MODULE")
    given = parser.parse_args()
    done = given.report.read_text().splitlines() if given.report.exists() else []
    known = {line.split(None, 1)[1].rsplit(" | ", 1)[0] for line in done if line.startswith(("killed", "survived"))}
    todo = [mutant for mutant in chosen(given.count, given.seed, given.only) if str(mutant) not in known]
    copy, end = Copy(given.report.resolve().with_suffix(".copy")), time.monotonic() + 60 * given.minutes
    prepare(f"{copy.folder}.loops")
    sound: set[str] = set()
    with given.report.open("a", buffering=1) as report:
        for mutant in todo:
            if time.monotonic() > end:
                break
            start = time.monotonic()
            with copy.with_mutant(mutant):
                tests = [test_file(name) for name in CONCERNED[mutant.module]]
                failed = copy.failing(f"graphprop/{mutant.module}.py", *tests)
            seconds = time.monotonic() - start
            if "::" in failed and failed not in sound and copy.failing(failed):
                sys.exit(f"{failed} fails without any mutant")
            sound.add(failed)
            print(f"{'killed  ' if failed else 'survived'} {mutant} | {failed or '-'} {seconds:.0f} s", file=report)
    lines = given.report.read_text().splitlines()
    survivors = [line for line in lines if line.startswith("survived")]
    killed = sum(line.startswith("killed") for line in lines)
    print(*survivors, sep="\n")
    print(f"{killed} killed, {len(survivors)} survived")
    if killed + len(survivors) < TELLING:
        print(f"which says nothing of the tests: fewer than {TELLING} are a matter of chance")
    elif len(survivors) > killed:
        sys.exit("most mistakes are not noticed: a test has become one that cannot fail")


if __name__ == "__main__":
    main()
