"""A recurrent cell, unrolled over three steps: its weights are tied through time."""

import graphprop as gp

cell = gp.Network("a recurrent cell")
cell.add_input("x")
cell.add_input("h")
cell.add_node("g", "tanh", {"x": 0.5, "h": 1.25}, bias=0.1)

net = gp.unroll(cell, {"g": "h"}, steps=3)
print(net)
trace = net.forward({("h", 0): 0.0, ("x", 0): 1.0, ("x", 1): -1.0, ("x", 2): 0.5})
g = net.backward(trace, loss="half_squared", target={("g", 2): 1.0})
print("gamma through time:", [round(g.gamma["g", t], 6) for t in range(3)])
print("the gradient, summed over time:", g.theta.round(6))
drawing = gp.draw(net, trace, g, title="a recurrent cell, unrolled over three steps", layout="columns")
print(drawing.save("recurrent.svg"))
