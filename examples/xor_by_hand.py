"""XOR with weights set by hand: h1 is "or", h2 is "and", and y is "h1 but not h2"."""

import graphprop as gp

net = gp.Network("XOR by hand")
net.add_input("x1")
net.add_input("x2")
net.add_node("h1", "sigmoid", {"x1": 6.0, "x2": 6.0}, bias=-3.0)
net.add_node("h2", "sigmoid", {"x1": 6.0, "x2": 6.0}, bias=-9.0)
net.add_node("y", "sigmoid", {"h1": 6.0, "h2": -8.0}, bias=-3.0)

X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
trace = net.forward(X)
for (x1, x2), y in zip(X, trace.o["y"], strict=True):
    print(f"{x1:.0f} xor {x2:.0f} = {y:.4f}")
g = net.backward(trace, loss="half_squared", target=[[0.0], [1.0], [1.0], [0.0]])
print(f"loss = {g.value:.6f}; the largest derivative by a parameter is {abs(g.theta).max():.6f}")
# layout="columns" needs no Graphviz, and gives the same file on every machine
print(gp.draw(net, trace, g, sample=1, layout="columns").save("xor_by_hand.svg"))
