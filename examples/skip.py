"""A net with skip edges: its gradient is a sum over paths, and the largest of them is lit in the picture."""

import graphprop as gp

net = gp.Network("skip edges: one gradient, four paths")
net.add_input("x")
net.add_node("h1", "tanh", {"x": 0.5})
net.add_node("h2", "tanh", {"h1": 1.5, "x": -0.5})
net.add_node("y", "identity", {"h2": 2.0, "h1": -1.0, "x": 0.25})

trace = net.forward({"x": 1.0})
g = net.backward(trace, "y")
print(gp.paths(net, trace, "x", "y"))
print(f"the recursion: {g.input['x']:.6f}")
drawing = gp.draw(net, trace, g, path=["x", "h1", "h2", "y"], layout="columns")
print(drawing.save("skip.svg"))
