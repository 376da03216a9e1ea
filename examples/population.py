"""A population that evolves: structures change by chance, every member is trained, and the better half goes on."""

import numpy as np

import graphprop as gp

KINDS = "tanh", "sin", "gaussian", "relu"
MEMBERS, GENERATIONS = 60, 5


def spirals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points on two spirals that wind around each other, and on which one each of them is."""
    random = np.random.default_rng(seed)
    turn, label = 0.5 + 3.5 * random.random(count), random.integers(0, 2, count)
    angle = 2.5 * turn + np.pi * label
    points = np.column_stack([turn * np.cos(angle), turn * np.sin(angle)]) / 2
    return points + 0.03 * random.standard_normal(points.shape), label.astype(float)


def seedling(random: np.random.Generator) -> gp.Network:
    net = gp.Network()
    net.add_input("x1")
    net.add_input("x2")
    net.add_node("y", "identity", {"x1": random.normal(), "x2": random.normal()}, bias=0.0)
    return net


def mutant(parent: gp.Network, random: np.random.Generator) -> gp.Network:
    """A copy with one node more, which reads some of those before it, and which the output and perhaps others read."""
    child, name = parent.copy(), f"h{len(parent)}"
    known = [v for v in child.nodes if v != "y"]
    parents = random.choice(known, size=min(len(known), int(random.integers(2, 5))), replace=False).tolist()
    kind = str(random.choice(KINDS))
    child.add_node(name, kind, {u: 2 * random.normal() for u in parents}, bias=random.normal())
    child.add_edge(name, "y", 0.1 * random.normal())
    return child


def main() -> None:
    random = np.random.default_rng(3)
    X, Y = spirals(200, seed=0)
    nets = [seedling(random) for _ in range(MEMBERS)]
    for generation in range(GENERATIONS):
        for _ in range(2):
            nets = [mutant(net, random) for net in nets]
        population = gp.Population(nets)
        fit = population.fit(X, Y, loss="binary_cross_entropy", optimizer="adam", steps=150, rate=0.03, clip=1.0)
        order = np.argsort(fit.losses)
        best = nets[order[0]]
        print(f"generation {generation}: {population}, best loss {fit.losses[order[0]]:.2f}, {len(best)} nodes")
        better = [nets[i] for i in order[: MEMBERS // 2]]
        nets = [*better, *better]
    outputs = best.program.predict(best.theta, X)[:, 0]
    print(f"accuracy of the best: {np.mean((outputs > 0) == (Y == 1)):.2f}")


if __name__ == "__main__":
    main()
