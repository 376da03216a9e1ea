"""The golden numbers: graphs with 30-digit derivatives made without any chain rule, and how each becomes a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import graphprop as gp

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "golden.json").read_text())
GRAPHS: dict[str, dict[str, Any]] = {graph["name"]: graph for graph in DATA["graphs"]}
CASES = [
    (name, k)
    for name, graph in GRAPHS.items()
    if name != "multi_edge"
    for k in range(len(graph["expect"]["objectives"]))
]


def build(graph: dict[str, Any]) -> gp.Network:
    """The network, edge entry by edge entry in the order of the file."""
    net = gp.Network(graph["name"])
    ties: dict[str, Any] = {}
    for node in graph["nodes"]:
        if node["kind"] == "input":
            net.add_input(node["id"])
            continue
        vector = node["kind"] in ("softmax", "log_softmax", "softmax_dot")
        bias = [float(b) for b in node["bias"]] if "bias" in node else None
        net.add_node(node["id"], node["kind"], bias=bias, size=node["n"] if vector else None)
    for edge in graph["edges"]:
        weight: Any = float(edge["w"])
        if "tie" in edge:
            if edge["tie"] not in ties:
                ties[edge["tie"]] = net.parameter(edge["tie"], weight)
            weight = ties[edge["tie"]]
        net.add_edge(edge["src"], edge["dst"], weight, to=edge["dst_comp"], of=edge["src_comp"])
    return net


def inputs(graph: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in graph["inputs"].items()}


def objective(expected: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `backward` for one of the objectives of a graph."""
    goal = expected["objective"]
    if goal["kind"] == "output":
        return {"node": goal["node"], "component": goal["comp"]}
    if goal["kind"] == "half_squared":
        ports = zip(goal["ports"], goal["targets"], strict=True)
        return {"loss": "half_squared", "target": {node: float(t) for (node, _), t in ports}}
    return {"loss": goal["kind"], "target": {goal["node"]: [float(t) for t in goal["targets"]]}}
