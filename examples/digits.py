"""Handwritten digits, learnt in mini-batches with momentum: by two layers, and by a graph that has none."""

import numpy as np
from sklearn.datasets import load_digits

import graphprop as gp


def train(program: gp.Program, theta: np.ndarray, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(0)
    theta, velocity = theta.copy(), np.zeros_like(theta)
    for _ in range(30):
        order = random.permutation(len(X))
        for rows in np.split(order, range(32, len(X), 32)):
            _, gradient = program.value_and_grad(theta, X[rows], Y[rows], loss="softmax_cross_entropy")
            velocity = 0.9 * velocity - 0.1 * gradient
            theta += velocity
    return theta


def layers() -> tuple[gp.Program, np.ndarray]:
    net = gp.mlp([64, 32, 10], "tanh", seed=1)
    return gp.compile(net), net.theta


def irregular() -> tuple[gp.Program, np.ndarray]:
    """300 nodes that read 8 random earlier ones each, and ten logits that read 40."""
    random = np.random.default_rng(2)
    reads = np.repeat([8, 40], [300, 10])
    source = np.concatenate([random.choice(min(64 + v, 364), size=n, replace=False) for v, n in enumerate(reads)])
    target = np.repeat(np.arange(64, 374), reads)
    kinds = [*random.choice(["tanh", "relu", "sin", "softplus"], size=300).tolist(), *["identity"] * 10]
    program = gp.Program.from_edges(64, source, target, kinds, bias=True, outputs=range(364, 374))
    weights = random.normal(size=len(source)) / np.sqrt(np.repeat(reads, reads))
    return program, np.concatenate([weights, np.zeros(310)])


def main() -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.data))
    pixels, labels = digits.data[order] / 16, digits.target[order]
    X, Y, held_out, truth = pixels[:1347], labels[:1347], pixels[1347:], labels[1347:]
    for make in (layers, irregular):
        program, start = make()
        for dtype in (np.float64, np.float32):
            theta = train(program, start.astype(dtype), X, Y)
            accuracy = np.mean(program.predict(theta, held_out).argmax(axis=1) == truth)
            print(f"{make.__name__:9}  {theta.dtype}  {len(theta)} parameters  accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
