"""The command line: one function per command, which gives the text to print and the exit code.

Exit codes: 0 for success, 1 for a negative answer (a check that failed, no path), 2 for a user's mistake.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import graphprop as gp
from graphprop.cli.info import summarize
from graphprop.cli.typed import read_inputs, read_objective, read_typed_name, read_what
from graphprop.explanations.explaining import FORWARD, SUMMED
from graphprop.files.stand_ins import load_structure
from graphprop.graph.layout import Name
from graphprop.notation.escaping import plain
from graphprop.render.placing.by_graphviz import ENGINES

Answer = tuple[str, int]

FORMS = ("parents", "children", "paths")


def two_layer_net() -> gp.Network:
    """Two inputs, three sigmoid nodes, and a softmax-dot output of four components."""
    net = gp.Network("two layers, softmax-dot output")
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h1", "sigmoid", {"x1": 0.5, "x2": -0.25}, bias=0.125)
    net.add_node("h2", "sigmoid", {"x1": -1.0, "x2": 0.75}, bias=0.0)
    net.add_node("h3", "sigmoid", {"x1": 1.5, "x2": 0.5}, bias=-0.5)
    weights = {"h1": [0.25, -0.5, 1.0, 0.75], "h2": [1.0, 0.5, -0.75, 0.25], "h3": [-1.25, 0.5, 0.25, 1.5]}
    net.add_node("y", "softmax_dot", weights, bias=[0.0, 0.25, -0.25, 0.5])
    return net


def compared() -> str:
    """Every weight of the two-layer net with its gradient by each form of the recursion, and whether they agree."""
    net = two_layer_net()
    trace = net.forward({"x1": 1.0, "x2": -2.0})
    loss: dict[str, Any] = {"loss": "half_squared", "target": {"y": 0.25}}
    results = [gp.recursion.backpropagate(net, trace, form=form, **loss) for form in FORMS]
    layout, theta = net.layout, net.theta
    width = 12
    lines = [
        repr(net),
        f"y = {trace.o['y']:.6f}, loss 1/2 (y - 0.25)^2 = {results[0].value:.6f}",
        "",
        "d loss / d each number, by the three forms of the recursion:",
        "  parents   target by target, as if each parent were the output",
        "  children  one reverse sweep",
        "  paths     the sum over all paths, path by path",
        "",
        "".join(text.rjust(width) for text in ("", "value", *FORMS)).rstrip(),
    ]
    for position in range(layout.size):
        numbers = (theta[position], *(g.theta[position] for g in results))
        lines.append(layout.label_position(position).ljust(width) + "".join(f"{x:{width}.6f}" for x in numbers))
    lines.append("calls".ljust(2 * width) + "".join(f"{g.calls:{width}d}" for g in results))
    worst = max((results[0].difference(g) for g in results[1:]), key=lambda d: d.relative)
    agree = all(results[0].allclose(g) for g in results[1:])
    verdict = "All three forms agree" if agree else "The forms do NOT agree"
    lines += ["", f"{verdict}; the largest relative difference is {worst.relative:.1e}, at {worst.entry}."]
    return "\n".join(lines)


# ------------------------------------------------------------------ the commands


def demo(options: argparse.Namespace) -> Answer:
    """Show a small network: its gradient in every way, one number explained, and files to look at."""
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    net, inputs = two_layer_net(), {"x1": 1.0, "x2": -2.0}
    loss: dict[str, Any] = {"loss": "half_squared", "target": {"y": 0.25}}
    trace = net.forward(inputs)
    gradients = net.backward(trace, **loss)
    report = gp.check(net, inputs, **loss)
    explained = gp.explain(net, trace, gradients, ("weight", "x1", "h1"))
    net.save(folder / "net.json")
    drawing = gp.draw(net, trace, gradients)
    drawing.save(folder / "net.svg")
    drawing.save(folder / "net.html")
    written = "\n".join(
        (
            f"{folder / 'net.svg'}   the picture, with every value and gradient",
            f"{folder / 'net.html'}  the page that steps through both passes; open it in a browser",
            f"{folder / 'net.json'}  the network; try: graphprop check {folder / 'net.json'}",
        )
    )
    parts = {"": compared(), "In every way": report, "One number, explained": explained, "Files": written}
    text = "\n\n".join(f"{title}\n{'-' * len(title)}\n{part}" if title else str(part) for title, part in parts.items())
    return text, 0 if report.ok else 1


def _load(file: str) -> gp.Network:
    found = gp.load(file)
    if isinstance(found, gp.Program):
        raise gp.GraphpropError(f"{file}: is a program, without numbers; a network is needed, which net.save writes")
    return found


def info(options: argparse.Namespace) -> Answer:
    """Say what a network consists of: counts, kinds, levels, parameters, outputs, memory."""
    return summarize(load_structure(options.file, gp.Network)), 0


def draw(options: argparse.Namespace) -> Answer:
    """Draw a network with every value and derivative on it, as svg, png, pdf, dot or html."""
    net = load_structure(options.file, gp.Network) if options.structure else _load(options.file)
    path = options.out or str(Path(options.file).with_suffix(".svg"))
    focus = None if options.focus is None else read_typed_name(options.focus, net.layout.number, where="--focus: ")
    how: dict[str, Any] = {"focus": focus, "depth": options.depth, "top": options.top, "layout": options.layout}
    if options.structure:
        gp.draw(net, **how).save(path)
        return path, 0
    trace, gradients, told = _run(net, options)
    _check_sample(options.sample, trace)
    gp.draw(net, trace, gradients, sample=options.sample, **how).save(path)
    return f"{told}\n{path}", 0


def check(options: argparse.Namespace) -> Answer:
    """Compute the gradient in all ways, side by side; the exit code is 1 if they do not agree."""
    net = _load(options.file)
    inputs, drawn = read_inputs(options.inputs, options.seed, net)
    objective, goal = _objective(net, options)
    report = gp.check(net, inputs, **objective, against=options.against)
    return f"{drawn}\n{goal}\n\n{report}", 0 if report.ok else 1


def explain(options: argparse.Namespace) -> Answer:
    """Derive one number from those it stands on, in the notation of the textbook."""
    net = _load(options.file)
    what = read_what(options.what, net)
    gradients: gp.Gradients | None = None
    if what[0] in FORWARD:
        inputs, told = read_inputs(options.inputs, options.seed, net)
        trace = net.forward(inputs)
    else:
        trace, gradients, told = _run(net, options)
    if what[0] == "value" and options.sample is not None:
        raise gp.GraphpropError("the value is of all samples; --sample does not go with it")
    _check_sample(options.sample, trace, needed=what[0] not in SUMMED)
    how: dict[str, Any] = {"depth": options.depth, "form": options.form, "sample": options.sample}
    explained = gp.explain(net, trace, gradients, what, **how)
    return f"{told}\n\n{explained}", 0


def paths(options: argparse.Namespace) -> Answer:
    """Split a derivative over the paths from one node to another, the largest first; 1 if there is none."""
    net = _load(options.file)
    source, target = (read_typed_name(typed, net.layout.number) for typed in (options.source, options.target))
    begin_number, end_number = (net.layout.number[name] for name in (source, target))
    if end_number not in net.layout.descendants([begin_number]):
        return f"no path leads from {source!r} to {target!r}", 1
    begin, end = net.layout.nodes[begin_number], net.layout.nodes[end_number]
    of, to = options.source_component, options.target_component
    _check_component(of, "--source-component", source, begin.m if begin.is_input else begin.n)
    _check_component(to, "--target-component", target, end.m)
    inputs, told = read_inputs(options.inputs, options.seed, net)
    trace = net.forward(inputs)
    _check_sample(options.sample, trace, needed=True)
    found = gp.paths(net, trace, source, target, top=options.top, of=of, to=to, sample=options.sample)
    return f"{told}\n\n{found}", 0


def _check_component(given: int | None, option: str, name: Name, length: int) -> None:
    if given is None and length > 1:
        raise gp.GraphpropError(f"node {name!r} has {length} components; say which one with {option}")
    if given is not None and not 0 <= given < length:
        allowed = f"the components 0 to {length - 1}" if length > 1 else "the component 0 only"
        raise gp.GraphpropError(f"{option} {given} is out of range; node {name!r} has {allowed}")


def _check_sample(given: int | None, trace: gp.Trace, needed: bool = False) -> None:
    if given is None and needed and trace.samples > 1:
        raise gp.GraphpropError(f"the inputs are {trace.samples} samples; say which one with --sample")
    if given is not None and not 0 <= given < trace.samples:
        allowed = f"the samples 0 to {trace.samples - 1}" if trace.samples > 1 else "one sample, 0"
        raise gp.GraphpropError(f"--sample {given} is out of range; the inputs are {allowed}")


def _run(net: gp.Network, options: argparse.Namespace) -> tuple[gp.Trace, gp.Gradients, str]:
    inputs, drawn = read_inputs(options.inputs, options.seed, net)
    objective, goal = _objective(net, options)
    trace = net.forward(inputs)
    return trace, net.backward(trace, **objective), f"{drawn}\n{goal}"


def _objective(net: gp.Network, options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    return read_objective(net, options.of, options.component, options.loss, options.goal)


# ------------------------------------------------------------------ the arguments

NAMES = """names:
  A node is named as it was when the network was made. 7 is the node "7", or else the integer 7;
  a tuple is typed as it is printed, "('h', 0)" or "(h, 0)", or as a JSON list: '["h", 0]'."""
INPUTS = """inputs:
  --inputs "x1=1.0,x2=-2"         numbers by name; a vector is a list: "x=[1, 2]"
  --inputs "1.0,-2"               all of them in their order (--inputs=-1,2 if the first is negative)
  --inputs inputs.json            the same in a file: {"x1": 1.0, "x2": -2} or [1.0, -2]
  --inputs "[1.0,-2],[0.5,3]"     a batch, a list for each sample; by name "x1=[1.0, 0.5],x2=[-2, 3]"
  Without it they are random, and the same for the same --seed."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(plain(message))


def parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="graphprop",
        description="Backpropagation on explicit graphs: every node, every weight, every derivative.",
        epilog="example: graphprop demo\n\n"
        "A FILE is what net.save(\"net.json\") writes. 'graphprop COMMAND --help' shows examples of each command.\n"
        "exit codes: 0 success, 1 a negative answer (a check that failed, no path), 2 a mistake.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"graphprop {gp.__version__}")
    commands = top.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    def command(run: Callable[[argparse.Namespace], Answer], *parts: str, file: bool = True) -> argparse.ArgumentParser:
        told = (run.__doc__ or "").strip()
        made = commands.add_parser(
            run.__name__,
            help=told[:1].lower() + told[1:].rstrip("."),  # empty with python -OO
            description=told,
            epilog="\n\n".join(parts),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run, parser=made)
        if file:
            made.add_argument("file", metavar="FILE", help="a network, as net.save writes it")
        return made

    made = command(demo, "examples:\n  graphprop demo\n  graphprop demo --out pictures", file=False)
    made.add_argument("--out", metavar="DIR", default="graphprop-demo", help="a folder for its files (%(default)s)")

    command(info, "example:\n  graphprop info net.json")

    examples: tuple[str, ...] = (
        "graphprop draw net.json",
        'graphprop draw net.json --inputs "x1=1.0,x2=-2" --of y --out net.html',
    )
    examples += "graphprop draw net.json --structure --out net.pdf", "graphprop draw net.json --focus h1 --depth 1"
    made = command(draw, _examples(*examples), INPUTS, NAMES)
    made.add_argument("--out", metavar="PATH", help="where to; the suffix says what (FILE with .svg if not given)")
    made.add_argument("--structure", action="store_true", help="the network alone, without values")
    made.add_argument("--focus", metavar="NODE", help="only this node and what is near it")
    made.add_argument("--depth", type=int, metavar="N", help="how many steps away from that node (2)")
    made.add_argument("--top", type=int, metavar="N", help="only the N edges of the largest gradients (or weights)")
    made.add_argument("--layout", choices=ENGINES, help="what places the nodes (Graphviz, or else columns)")
    _add_inputs(made)
    made.add_argument("--sample", type=int, metavar="N", help="of a batch, the sample to show (0)")
    _add_objective(made)

    examples = "graphprop check net.json", 'graphprop check net.json --loss half_squared --target "y=0.25"'
    made = command(check, _examples(*examples, "graphprop check net.json --against jax"), INPUTS, NAMES)
    made.add_argument("--against", choices=("jax", "torch"), help="compute it with this library too")
    _add_inputs(made)
    _add_objective(made)

    examples = "graphprop explain net.json weight h1 y 0", "graphprop explain net.json delta y 0 --of y"
    made = command(explain, _examples(*examples, "graphprop explain net.json value --depth all"), WHAT, INPUTS, NAMES)
    made.add_argument("what", metavar="WHAT", nargs="+", help="which number, see below")
    made.add_argument("--depth", type=_depth, default=2, metavar="N", help="how many levels to derive, or all (2)")
    forms, told = ("children", "parents"), "the recursion that derivatives follow (children)"
    made.add_argument("--form", choices=forms, default="children", help=told)
    _add_inputs(made)
    told = "of a batch, the sample to explain (by weights, biases and parameters: the sum over all)"
    made.add_argument("--sample", type=int, metavar="N", help=told)
    _add_objective(made)

    examples = "graphprop paths net.json x1 h1", 'graphprop paths net.json x1 h1 --top 3 --inputs "x1=1.0,x2=-2"'
    examples += "graphprop paths net.json x1 y --target-component 0", """graphprop paths net.json '["x", 0]' 7"""
    made = command(paths, _examples(*examples), INPUTS, NAMES)
    made.add_argument("source", metavar="SOURCE", help="the node where the paths begin")
    made.add_argument("target", metavar="TARGET", help="the node where they end")
    made.add_argument("--source-component", type=int, metavar="I", help="of a vector SOURCE, the component")
    made.add_argument("--target-component", type=int, metavar="K", help="of a vector TARGET, the component")
    made.add_argument("--top", type=int, default=10, metavar="N", help="how many to show (10)")
    _add_inputs(made)
    made.add_argument("--sample", type=int, metavar="N", help="of a batch, the sample to look at")
    return top


WHAT = """what:
  weight U V [I [K]]    the derivative by a weight of the edge U -> V, into component I, from component K of U
  bias V [I]            by a bias
  input X [I]           by an input
  parameter NAME [I]    by a named parameter, summed over its uses
  delta V I, gamma V    by the pre-activation of a vector, of a scalar node
  obar V [K]            by the output of a node
  a V [I], o V [K]      a value: the pre-activation, the output
  value                 the objective: the output that is differentiated, or the loss"""


def _examples(*lines: str) -> str:
    return "\n".join(("examples:", *(f"  {line}" for line in lines)))


def _depth(typed: str) -> int | None:
    if typed == "all":
        return None
    if not typed.isdecimal() or not (depth := int(typed[:9])):
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, or all, is needed, not {typed!r}")
    return depth


def _add_inputs(made: argparse.ArgumentParser) -> None:
    made.add_argument("--inputs", metavar="VALUES", help="what flows into the network, see below")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of random inputs (0)")


def _add_objective(made: argparse.ArgumentParser) -> None:
    made.add_argument("--of", metavar="NODE", help="differentiate the output of this node (the first output)")
    made.add_argument("--component", type=int, metavar="I", help="the component of that node (0)")
    made.add_argument("--loss", metavar="NAME", help="differentiate a loss of the outputs")
    made.add_argument("--target", dest="goal", metavar="VALUES", help='what the loss compares with, as in "y=0.25"')


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was typed; a mistake ends with the usage of the command it was made in."""
    top = parser()
    options, unread = top.parse_known_args(arguments)
    if unread:
        getattr(options, "parser", top).error(f"unrecognized arguments: {' '.join(unread)}")
    if options.command is None:
        top.print_help(sys.stderr)
        raise SystemExit(2)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold what the terminal cannot show
    try:
        options = read_arguments(arguments)
        text, code = options.run(options)
    except SystemExit as stop:  # --help and --version end here, and what argparse refuses
        text, code = "", int(stop.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except MemoryError:
        return _fail("there is not enough memory")
    except (gp.GraphpropError, OSError) as error:
        return _fail(str(error))
    return _deliver(text) or code


def _deliver(text: str) -> int:
    try:
        print(plain(text, lines=True), end="\n" if text else "")
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`: who reads has read enough
        _discard_output()
    except OSError as error:
        _discard_output()
        return _fail(f"the output cannot be written: {error}")
    return 0


def _fail(message: str, code: int = 2) -> int:
    print(f"graphprop: {plain(message, lines=True)}", file=sys.stderr)
    return code


def _discard_output() -> None:
    """Let what is still in the buffer go nowhere, or Python would complain when it ends."""
    with open(os.devnull, "wb") as nowhere, contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
