"""A net with skip edges: its gradient is a sum over paths, and the largest of them is lit in the picture."""

import math

import graphprop as gp

net = gp.Network("skip edges: one gradient, four paths")
net.add_input("x")
net.add_node("h1", "tanh", {"x": 0.5})
net.add_node("h2", "tanh", {"h1": 1.5, "x": -0.5})
net.add_node("y", "identity", {"h2": 2.0, "h1": -1.0, "x": 0.25})

trace = net.forward({"x": 1.0})
g = gp.recursion.backpropagate(net, trace, "y", form="parents")
paths = gp.paths(net, trace, "x", "y")
print(paths)
print(f"the recursion: {g.input['x']:.6f}")
assert math.isclose(g.input["x"], paths.total, rel_tol=1e-12)
drawing = gp.draw(net, trace, g, path=["x", "h1", "h2", "y"], layout="columns")
print(drawing.save("skip.svg"))
