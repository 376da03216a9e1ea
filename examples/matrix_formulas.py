"""Two printed formulas for the gradient of a two-layer net, held against the network: they are the transposes.

The net is y = s(W2 u) with u = sigmoid(W1 x), where s is softmax-dot, s(a) = softmax(a) . a; the loss is the half
square of y - t. The formulas are S4.25 and S4.31 of docs/errata.md.
"""

import numpy as np

import graphprop as gp

random = np.random.default_rng(4)
W1, W2 = random.normal(size=(3, 2)), random.normal(size=(4, 3))
x, t = np.array([1.0, -2.0]), 0.25

net = gp.Network("two layers, softmax-dot output")
net.add_input("x", size=2)
net.add_node("u", "sigmoid", {"x": W1}, size=3)
net.add_node("y", "softmax_dot", {"u": W2})
g = net.backward(net.forward(x), loss="half_squared", target={"y": t})

u = 1 / (1 + np.exp(-W1 @ x))
a = W2 @ u
p = np.exp(a) / np.exp(a).sum()
y = p @ a
J = np.diag(p) - np.outer(p, p)  # the Jacobian of softmax
slope = np.diag(u * (1 - u))

print("As printed:")
printed = {
    "W2": (y - t) * (np.outer(u, p) + np.outer(u, a) @ J),
    "W1": (y - t) * np.outer(x, (p + a @ J) @ W2 @ slope),
}
print(gp.compare(g, printed))

print("\nWhat is right, S4.25 and S4.31 in the shape of the matrices:")
delta = p * (1 + a - y)  # = p + J a
right = {"W2": (y - t) * np.outer(delta, u), "W1": (y - t) * np.outer(slope @ W2.T @ delta, x)}
print(gp.compare(g, right))
assert not gp.compare(g, printed)
assert gp.compare(g, right)
assert all((abs(printed[name].T - right[name]) < 1e-15).all() for name in right)
