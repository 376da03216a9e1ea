"""A net with skip edges: its gradient is a sum over paths, and one of them is lit in the picture."""

import math
from itertools import pairwise

import graphprop as gp

net = gp.Network("skip edges: one gradient, four paths")
net.add_input("x")
net.add_node("h1", "tanh", {"x": 0.5})
net.add_node("h2", "tanh", {"h1": 1.5, "x": -0.5})
net.add_node("y", "identity", {"h2": 2.0, "h1": -1.0, "x": 0.25})

trace = net.forward({"x": 1.0})
g = net.backward(trace, "y")
slope = {v: 1 - trace.o[v] ** 2 for v in ("h1", "h2")} | {"y": 1.0}
total = 0.0
for path in (["x", "y"], ["x", "h1", "y"], ["x", "h2", "y"], ["x", "h1", "h2", "y"]):
    share = math.prod(net.weight(u, v) * slope[v] for u, v in pairwise(path))
    total += share
    print(f"{' -> '.join(path):18} {share:9.6f}")
print(f"{'sum':18} {total:9.6f}")
print(f"{'the recursion':18} {g.input['x']:9.6f}")
drawing = gp.draw(net, trace, g, path=["x", "h1", "h2", "y"], layout="columns")
print(drawing.save("skip.svg"))
