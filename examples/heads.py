"""A softmax and a log-softmax head on the same hidden layer, and their Jacobians row by row."""

import numpy as np

import graphprop as gp

net = gp.Network("softmax and log-softmax heads")
net.add_input("x", size=2)
net.add_node("h", "tanh", {"x": [[0.5, -1.0], [0.25, 0.75]]}, size=2, bias=[0.1, -0.1])
net.add_node("p", "softmax", {"h": [[1.0, 2.0], [0.0, -1.0], [0.5, 0.5]]})
net.add_node("q", "log_softmax", {"h": [[1.0, 2.0], [0.0, -1.0], [0.5, 0.5]]})

trace = net.forward({"x": [1.0, -0.5]})
for head in ("p", "q"):
    rows = [net.backward(trace, head, component=i).delta[head] for i in range(3)]
    print(f"d o[{head}] / d a[{head}]:")
    print(np.array(rows).round(4))
p = trace.o["p"]
assert np.allclose([net.backward(trace, "p", component=i).delta["p"] for i in range(3)], np.diag(p) - np.outer(p, p))
assert np.allclose([net.backward(trace, "q", component=i).delta["q"] for i in range(3)], np.eye(3) - p)

g = net.backward(trace, "q", component=0)
print(gp.draw(net, trace, g, layout="columns").save("heads.svg"))
