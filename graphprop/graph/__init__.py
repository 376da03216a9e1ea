"""The network as data: names, theta, order, layout, levels."""
