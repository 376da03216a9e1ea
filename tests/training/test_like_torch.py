"""What is learned is as good as what PyTorch learns with the same settings, over ten seeds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import graphprop as gp

RATE, SIZE, SEEDS = 3e-3, 32, 10
Samples = tuple[np.ndarray, np.ndarray]


def digits(datasets: Any) -> Samples:
    X, Y = datasets.load_digits(return_X_y=True)
    return X / 16, Y


def diabetes(datasets: Any) -> Samples:
    X, Y = datasets.load_diabetes(return_X_y=True)
    return X / X.std(0), (Y - Y.mean()) / Y.std()


def hits(z: np.ndarray, t: np.ndarray) -> float:
    return float((z.argmax(1) == t).mean())


def r2(z: np.ndarray, t: np.ndarray) -> float:
    return float(1 - ((z[:, 0] - t) ** 2).sum() / ((t - t.mean()) ** 2).sum())


def by_torch(torch: Any, sizes: list[int], loss: str, X: np.ndarray, Y: np.ndarray, epochs: int, seed: int) -> Any:
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(u, v).double() for u, v in pairwise(sizes)]
    for layer in layers:
        torch.nn.init.xavier_uniform_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    model = torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.Tanh())))[:-1]
    optimizer, x, y = torch.optim.Adam(model.parameters(), RATE), torch.tensor(X), torch.tensor(Y)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(SIZE):
            optimizer.zero_grad()
            z = model(x[rows])
            own = torch.nn.functional.cross_entropy(z, y[rows]) if loss == "softmax_cross_entropy" else None
            (own if own is not None else 0.5 * ((z[:, 0] - y[rows]) ** 2).mean()).backward()
            optimizer.step()
    return lambda inputs: model(torch.tensor(inputs)).detach().numpy()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("data", "sizes", "loss", "epochs", "score"),
    [
        (digits, [64, 32, 10], "softmax_cross_entropy", 8, hits),
        (diabetes, [10, 16, 1], "half_squared", 15, r2),
    ],
)
def test_it_learns_as_well_as_torch(
    data: Callable[[Any], Samples], sizes: list[int], loss: str, epochs: int, score: Callable[..., float]
) -> None:
    torch, datasets = pytest.importorskip("torch"), pytest.importorskip("sklearn.datasets")
    X, Y = data(datasets)
    order = np.random.default_rng(0).permutation(len(X))
    seen, apart = order[: 3 * len(X) // 4], order[3 * len(X) // 4 :]
    ours, theirs = [], []
    for seed in range(SEEDS):
        net = gp.mlp(sizes, "tanh", "identity", seed=seed)
        gp.fit(net, X[seen], Y[seen], loss=loss, epochs=epochs, rate=RATE, batch_size=SIZE, seed=seed, progress=False)
        ours.append(score(gp.compile(net).predict(net.theta, X[apart]), Y[apart]))
        theirs.append(score(by_torch(torch, sizes, loss, X[seen], Y[seen], epochs, seed)(X[apart]), Y[apart]))
    assert min(theirs) <= np.mean(ours) <= max(theirs) or np.mean(ours) >= np.mean(theirs), (ours, theirs)
