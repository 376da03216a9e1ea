"""The two-layer net with a softmax-dot output: its gradient by the recursion, and by hand in matrices."""

import numpy as np

import graphprop as gp

net = gp.mlp([2, 3, 4], "sigmoid", "softmax_dot", seed=1, by="layer")
x, target = np.array([1.0, -2.0]), 0.25
trace = net.forward(x)
g = gp.recursion.backpropagate(net, trace, form="parents", loss="half_squared", target={"y": target})

W1, W2 = net.weight("x", "h1"), net.weight("h1", "y")
u = 1 / (1 + np.exp(-W1 @ x))
a = W2 @ u
p = np.exp(a) / np.exp(a).sum()
y = p @ a
delta = p * (1 + a - y)
epsilon = (W2.T @ delta) * u * (1 - u)
by_hand = {("x", "h1"): (y - target) * np.outer(epsilon, x), ("h1", "y"): (y - target) * np.outer(delta, u)}

for edge, matrix in by_hand.items():
    np.testing.assert_allclose(g.weight[edge], matrix, rtol=1e-12)
    print(f"d loss / d W{edge}: {matrix.shape[0]} x {matrix.shape[1]} numbers, the recursion and the matrices agree")
