"""Source 004: the net of two layers, with matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphprop as gp
from tests.textbook.formulas.definitions import (
    Array,
    Forms,
    I,
    along,
    derivative,
    entry,
    float_array,
    jacobian,
    matrix,
    mp,
    numbers,
    sigmoid,
    softmax,
    softmax_dot,
    vjp,
)


@dataclass(frozen=True)
class TwoLayers:
    """The net o = sigma(W1 x), a = W2 o, y-hat = softmax(a) . a, and the loss (y-hat - y)^2 / 2."""

    x: Array
    W1: Array
    W2: Array
    y = mp.mpf(0.25)

    @property
    def o(self) -> Array:
        return sigmoid(self.W1 @ self.x)

    @property
    def a(self) -> Array:
        return self.W2 @ self.o

    @property
    def p(self) -> Array:
        return softmax(self.a)

    @property
    def jacobian(self) -> Array:
        return np.diag(self.p) - np.outer(self.p, self.p)

    @property
    def residual(self) -> Any:
        return softmax_dot(self.a) - self.y

    def output(self, W1: Array = None, W2: Array = None, o: Array = None) -> Any:
        """The number y-hat, from W1 and W2, or from o."""
        hidden = o if o is not None else sigmoid((self.W1 if W1 is None else W1) @ self.x)
        return softmax_dot((self.W2 if W2 is None else W2) @ hidden)

    def loss(self, **changed: Array) -> Any:
        return (self.output(**changed) - self.y) ** 2 / 2

    def library(self) -> tuple[gp.Trace, gp.Gradients]:
        net = gp.Network()
        net.add_input("x", size=len(self.x))
        net.add_node("u", "sigmoid", {"x": float_array(self.W1)}, size=len(self.W1))
        net.add_node("v", "softmax_dot", {"u": float_array(self.W2)}, size=len(self.W2))
        trace = net.forward({"x": float_array(self.x)})
        return trace, net.backward(trace, loss="half_squared", target={"v": float(self.y)})


oblong = TwoLayers(x=numbers([0.5, -1.25]), W1=matrix(3, 2, 5), W2=matrix(4, 3, 7))

square = TwoLayers(x=numbers([0.5, -1.25, 0.75]), W1=matrix(3, 3, 5), W2=matrix(3, 3, 7))


@entry("S4.22", "erratum", "a[u][i] = W1 x: each component would be the whole vector")
def index_on_one_side_only() -> Iterator[Forms]:
    W1, x = oblong.W1, oblong.x
    yield Forms(
        printed=[W1 @ x for i in range(3)],
        correct=[(W1 @ x)[i] for i in range(3)],
        truth=[W1[i, 0] * x[0] + W1[i, 1] * x[1] for i in range(3)],
        library=oblong.library()[0].a["u"],
    )


@entry("S4.23", "correct", "nabla l = (y-hat - y) nabla y-hat")
def gradient_of_the_half_square() -> Iterator[Forms]:
    net, gradients = oblong, oblong.library()[1].weight
    printed = net.residual * derivative(lambda W2: net.output(W2=W2), net.W2)
    yield Forms(printed, truth=derivative(lambda W2: net.loss(W2=W2), net.W2), library=gradients["u", "v"])
    printed = net.residual * derivative(lambda W1: net.output(W1=W1), net.W1)
    yield Forms(printed, truth=derivative(lambda W1: net.loss(W1=W1), net.W1), library=gradients["x", "u"])


@entry("S4.24", "correct", "d y-hat = sigma_s^T dW2 o + (W2 o)^T J dW2 o = Tr((o sigma_s^T + o a^T J) dW2)")
def differential_in_the_second_matrix() -> Iterator[Forms]:
    net, dW2 = oblong, matrix(4, 3, 11)
    o, a, p, J = net.o, net.a, net.p, net.jacobian
    truth = along(lambda W2: net.output(W2=W2), net.W2, dW2)
    yield Forms(p @ dW2 @ o + (net.W2 @ o) @ J @ dW2 @ o, truth=truth)
    yield Forms(np.trace((np.outer(o, p) + np.outer(o, a @ J)) @ dW2), truth=truth)


@entry(
    "S4.25", "erratum", "nabla_W2 l, printed as its transpose: the wrong shape, and wrong where the matrix is square"
)
def gradient_in_the_second_matrix_transposed() -> Iterator[Forms]:
    for net in (oblong, square):
        o, a, p, J, r = net.o, net.a, net.p, net.jacobian, net.residual
        truth, library = derivative(lambda W2, net=net: net.loss(W2=W2), net.W2), net.library()[1].weight["u", "v"]
        printed = r * (np.outer(o, p) + np.outer(o, a @ J))
        yield Forms(printed, truth, correct=r * np.outer(p + J @ a, o), library=library)
        yield Forms(printed, truth, correct=r * np.outer(p * (1 + a - p @ a), o), library=library)


@entry("S4.26", "erratum", "J = I sigma_s - sigma_s sigma_s^T; I sigma_s is a vector, Diag(sigma_s) is meant")
def identity_matrix_times_softmax() -> Iterator[Forms]:
    a, p = oblong.a, oblong.p
    correct, truth, library = np.diag(p) - np.outer(p, p), derivative(softmax, a), jacobian("softmax", a)
    yield Forms((I @ p)[:, None] - np.outer(p, p), truth, correct, library)  # as a column in each column
    yield Forms((I @ p)[None, :] - np.outer(p, p), truth, correct, library)  # as a row in each row


@entry(
    "S4.27",
    "erratum",
    "d y-hat / d W2 in numerator layout, printed as o sigma_s^T + o a^T sigma_s - o a^T sigma_s sigma_s^T",
)
def expanded_gradient_in_the_second_matrix() -> Iterator[Forms]:
    net = oblong
    o, a, p = net.o, net.a, net.p
    yield Forms(
        printed=np.outer(o, p) + (o * (a @ p))[:, None] - np.outer(o, a @ p * p),
        correct=np.outer(o, p) + np.outer(o, a * p) - np.outer(o, a @ p * p),
        truth=derivative(lambda W2: net.output(W2=W2), net.W2).T,
        library=net.library()[1].weight["u", "v"].T / float(net.residual),
    )


@entry("S4.28", "correct", "d y-hat = sigma_s^T W2 do + a^T J W2 do")
def differential_in_the_hidden_layer() -> Iterator[Forms]:
    net, do = oblong, numbers([0.5, -1.0, 0.75])
    printed = net.p @ net.W2 @ do + net.a @ net.jacobian @ net.W2 @ do
    yield Forms(printed, truth=along(lambda o: net.output(o=o), net.o, do))


@entry(
    "S4.29", "correct", "d sigma(W1 x) = sigma' . dW1 x = Diag(sigma (1 - sigma)) dW1 x, in both orders of the products"
)
def differential_of_the_hidden_layer() -> Iterator[Forms]:
    net, dW1 = oblong, matrix(3, 2, 11)
    slope = net.o * (1 - net.o)
    truth = [along(lambda W1, i=i: sigmoid(W1 @ net.x)[i], net.W1, dW1) for i in range(3)]
    yield Forms(slope * (dW1 @ net.x), truth=truth)
    yield Forms((slope[:, None] * dW1) @ net.x, truth=truth)
    yield Forms(np.diag(slope) @ dW1 @ net.x, truth=truth)


@entry("S4.30", "correct", "d y-hat = Tr(x (sigma_s^T + a^T J) W2 Diag(sigma (1 - sigma)) dW1)")
def differential_in_the_first_matrix() -> Iterator[Forms]:
    net, dW1 = oblong, matrix(3, 2, 11)
    row = (net.p + net.a @ net.jacobian) @ net.W2 @ np.diag(net.o * (1 - net.o))
    truth = along(lambda W1: net.output(W1=W1), net.W1, dW1)
    yield Forms(np.trace(np.outer(net.x, row) @ dW1), truth=truth)


@entry(
    "S4.31", "erratum", "nabla_W1 l, printed as its transpose: the wrong shape, and wrong where the matrix is square"
)
def gradient_in_the_first_matrix_transposed() -> Iterator[Forms]:
    for net in (oblong, square):
        slope = np.diag(net.o * (1 - net.o))
        yield Forms(
            printed=net.residual * np.outer(net.x, (net.p + net.a @ net.jacobian) @ net.W2 @ slope),
            correct=net.residual * np.outer(slope @ net.W2.T @ (net.p + net.jacobian @ net.a), net.x),
            truth=derivative(lambda W1, net=net: net.loss(W1=W1), net.W1),
            library=net.library()[1].weight["x", "u"],
        )


@entry(
    "S4.32", "correct", "Diag(sigma (1 - sigma)) has the product entry by entry in it; it is the Jacobian of the layer"
)
def product_inside_the_diagonal() -> Iterator[Forms]:
    a = oblong.W1 @ oblong.x
    o = sigmoid(a)
    yield Forms(np.diag(o * (1 - o)), truth=derivative(sigmoid, a), library=np.diag(vjp("sigmoid", a, np.ones(3))))
