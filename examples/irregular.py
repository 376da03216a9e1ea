"""An irregular net of a thousand nodes, drawn as a summary; and what is around one of its nodes."""

import numpy as np

import graphprop as gp

random = np.random.default_rng(0)
net = gp.Network("1000 nodes that read three earlier ones each")
for i in range(20):
    net.add_input(f"x{i}")
names = list(net.nodes)
for v in range(1000):
    parents = random.choice(names[-200:], size=3, replace=False)
    net.add_node(f"h{v}", str(random.choice(["tanh", "sin", "relu"])), {str(u): 0.75 for u in parents})
    names.append(f"h{v}")

trace = net.forward(np.linspace(-1, 1, 20))
g = net.backward(trace, "h999")
print(repr(gp.draw(net, trace, g)))
print(gp.draw(net, trace, g, layout="columns").save("irregular.svg"))
around = gp.draw(net, trace, g, focus="h742", depth=1, layout="columns", title="around one node of a thousand")
print(around.save("irregular_focus.svg"))
