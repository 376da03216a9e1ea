"""XOR, learnt by one hidden node with skip edges past it: by gradient descent, and by scipy's L-BFGS."""

from functools import partial

import numpy as np
from scipy.optimize import minimize

import graphprop as gp

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([0.0, 1.0, 1.0, 0.0])


def main() -> None:
    net = gp.Network("xor")
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("h", "tanh", {"x1": 0.6, "x2": 0.4}, bias=0.0)
    net.add_node("y", "identity", {"x1": 0.1, "x2": 0.1, "h": 0.5}, bias=0.0)  # a logit: positive is class 1
    start = net.theta.copy()
    objective = partial(net.program.value_and_grad, inputs=X, target=Y, loss="binary_cross_entropy")

    for _ in range(2000):
        loss, gradient = objective(net.theta)
        net.theta -= 0.5 * gradient
    report("gradient descent", net, loss)

    result = minimize(objective, start, jac=True, method="L-BFGS-B")
    net.theta = result.x
    report("L-BFGS", net, result.fun)


def report(how: str, net: gp.Network, loss: float) -> None:
    right = (net.forward(X).o["y"] > 0) == (Y == 1)
    print(f"{how:16}  loss {loss:.5f}  accuracy {right.mean():.3f}")


if __name__ == "__main__":
    main()
