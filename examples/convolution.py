"""A convolution with padding, node by node: its kernel is three tied weights, each with one summed gradient."""

import graphprop as gp

x = [4.0, -2.0, 1.0, 3.0, 8.0, 5.0]
target = [-2.5, 8.875, 7.375, -5.875, 1.75, 19.25]

net = gp.Network("a 3 by 1 kernel over a 2 by 3 image")
names = [[("x", r, c) for c in range(3)] for r in range(2)]
for row in names:
    for name in row:
        net.add_input(name)
s = gp.conv2d(net, names, [[2.0], [4.0], [-1.0]], padding=(1, 0))  # a row of zeros above and below

trace = net.forward(x)
g = net.backward(trace, loss="half_squared", target=target)
print("output:", [trace.o[v] for v in s.ravel()])
print("d loss / d kernel:", g.parameter["s.kernel"].ravel())
print(gp.draw(net, trace, g, layout="columns").save("convolution.svg"))
