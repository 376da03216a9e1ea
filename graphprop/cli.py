"""The command line: `graphprop demo`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import graphprop as gp

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


def demo() -> str:
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    parser = argparse.ArgumentParser(
        prog="graphprop",
        description="Backpropagation on explicit graphs: every node, every weight, every derivative.",
        epilog="example: graphprop demo",
    )
    parser.add_argument("--version", action="version", version=f"graphprop {gp.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    commands.add_parser("demo", help="a small network and its gradient in three forms", description=demo.__doc__)
    parser.parse_args(arguments)
    print(demo())
    return 0
