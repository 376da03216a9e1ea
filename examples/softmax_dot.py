"""The two-layer net with a softmax-dot output: one gradient explained, and all of them drawn."""

import graphprop as gp

net = gp.Network("two layers, softmax-dot output")
net.add_input("x1")
net.add_input("x2")
net.add_node("h1", "sigmoid", {"x1": 0.5, "x2": -0.25})
net.add_node("h2", "sigmoid", {"x1": -1.0, "x2": 0.75})
net.add_node("h3", "sigmoid", {"x1": 1.5, "x2": 0.5})
net.add_node("y", "softmax_dot", {"h1": [0.25, -0.5, 1.0], "h2": [1.0, 0.5, -0.75], "h3": [-1.25, 0.5, 0.25]})

trace = net.forward({"x1": 1.0, "x2": -2.0})
g = net.backward(trace, loss="half_squared", target={"y": 0.25})
print(f"y = {trace.o['y']:.6f}, loss = {g.value:.6f}")
print("delta of y:", g.delta["y"].round(6))
print(gp.explain(net, trace, g, ("gamma", "h1")))
# layout="columns" needs no Graphviz, and gives the same file on every machine
print(gp.draw(net, trace, g, layout="columns").save("softmax_dot.svg"))
