"""Source 003: the same functions, and convolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import graphprop as gp
from tests.textbook.formulas.definitions import (
    Array,
    Forms,
    I,
    derivative,
    entry,
    float_array,
    jacobian,
    log,
    loss_gradient,
    loss_value,
    mp,
    n,
    numbers,
    ones,
    p,
    sigmoid,
    softmax,
    softmax_cross_entropy_derivative,
    tanh,
    v,
    value,
    vjp,
    x,
    y,
)

one_hot = I[2]


@entry("S3.1", "correct", "tanh lies in (-1, 1)")
def tanh_range() -> Iterator[Forms]:
    far = numbers([-20.0, -1.0, 0.0, 3.0, 20.0])
    yield Forms(True, truth=all(-1 < o < 1 for o in tanh(far)))


@entry("S3.2", "correct", "tanh' = 1 - tanh^2")
def tanh_derivative_once_more() -> Iterator[Forms]:
    yield Forms(1 - tanh(v) ** 2, truth=np.diag(derivative(tanh, v)), library=vjp("tanh", v, ones))


@entry("S3.3", "correct", "tanh x = 2 sigma(2x) - 1")
def tanh_from_sigmoid() -> Iterator[Forms]:
    yield Forms(2 * sigmoid(2 * x) - 1, truth=tanh(x), library=value("tanh", x))


@entry("S3.4", "caveat", "softmax lies in (0, 1)^d and sums to 1; for d = 1 it is 1, which is outside")
def softmax_range() -> Iterator[Forms]:
    for d in (1, 2, 4):
        o = softmax(x[:d])
        inside = all(0 < o_i < 1 for o_i in o)
        yield Forms(True, correct=d >= 2, truth=inside, library=bool((value("softmax", x[:d]) < 1).all()))
        yield Forms(1, truth=o.sum(), library=value("softmax", x[:d]).sum())


@entry("S3.5", "correct", "H(p, y) = -sum y_j log p_j")
def cross_entropy_of_a_softmax() -> Iterator[Forms]:
    truth = -mp.log(np.prod(p**y))
    yield Forms(-sum(y * log(p)), truth=truth, library=loss_value("softmax_cross_entropy", x, y))


@entry("S3.6", "correct", "d p_j / d x_i = p_j (delta_ij - p_i): p_j (1 - p_j), and -p_j p_i")
def softmax_derivative_by_cases() -> Iterator[Forms]:
    D = derivative(softmax, x)
    formula = [[p[j] * (I[i, j] - p[i]) for i in range(n)] for j in range(n)]
    cases = [[p[j] * (1 - p[j]) if i == j else -p[j] * p[i] for i in range(n)] for j in range(n)]
    yield Forms(formula, truth=D, library=jacobian("softmax", x))
    yield Forms(cases, truth=D, library=jacobian("softmax", x))


@entry("S3.7", "correct", "d H / d x = p - y, y summing to 1")
def softmax_cross_entropy_gradient() -> Iterator[Forms]:
    truth = softmax_cross_entropy_derivative(y)
    yield Forms(p - y, truth=truth, library=loss_gradient("softmax_cross_entropy", x, y))


@entry(
    "S3.8",
    "erratum",
    "d H / d x_i = -sum_j y_j delta_ij + y_j p_i, where the sum is over both terms, or j is left in one",
)
def bracket_lost_in_a_sum() -> Iterator[Forms]:
    correct = [-sum(y[j] * I[i, j] for j in range(n)) + sum(y[j] * p[i] for j in range(n)) for i in range(n)]
    over_both = [-sum(y[j] * I[i, j] + y[j] * p[i] for j in range(n)) for i in range(n)]
    truth, library = softmax_cross_entropy_derivative(y), loss_gradient("softmax_cross_entropy", x, y)
    yield Forms(over_both, truth, correct, library)
    for j_left in range(n):
        over_one = [-sum(y[j] * I[i, j] for j in range(n)) + y[j_left] * p[i] for i in range(n)]
        yield Forms(over_one, truth, correct, library)


@entry("S3.9", "correct", "p - y holds for a one-hot y because sum y = 1; any other such y will do")
def only_the_sum_of_the_target_matters() -> Iterator[Forms]:
    for target in (one_hot, y):
        truth, library = softmax_cross_entropy_derivative(target), loss_gradient("softmax_cross_entropy", x, target)
        yield Forms(p - target, truth=truth, library=library)


@entry("S3.10", "correct", "exp(w_j x + b_j) / Z is softmax(W x + b); a common w_0, b_0 added to all changes nothing")
def log_linear_model() -> Iterator[Forms]:
    features, w, b = numbers([1.0, -0.5]), numbers([[0.5, 1.0], [-1.5, 0.25], [0.75, -2.0]]), numbers([0.25, 0.0, -1.0])
    scores = [sum(w[j] * features) + b[j] for j in range(3)]
    truth = [1 / sum(mp.exp(other - score) for other in scores) for score in scores]
    for w_0, b_0 in ((numbers([0.0, 0.0]), 0), (numbers([2.0, -1.0]), 3)):
        net = gp.softmax_regression(2, 3)
        net.set_weight("x", "y", float_array(w + w_0))
        net.set_bias("y", float_array(b + b_0))
        Z = sum(mp.exp((w[j] + w_0) @ features + b[j] + b_0) for j in range(3))
        printed = [mp.exp((w[j] + w_0) @ features + b[j] + b_0) / Z for j in range(3)]
        yield Forms(printed, truth=truth, library=net.forward({"x": float_array(features)}).o["y"])


kernel = np.array([2, 4, -1])

image = np.array([[4, -2, 1], [3, 8, 5]])

padded = np.vstack([np.zeros((1, 3), dtype=int), image, np.zeros((1, 3), dtype=int)])

printed_numbers = [[13, -16, -1], [20, 28, 22]]


def correlate(tensor: Array) -> Array:
    """The tensor s[r, c] = sum_k f_k x[r + k, c], of an input that is padded already."""
    rows, columns = tensor.shape[0] - 2, tensor.shape[1]
    return np.array(
        [[sum(kernel[k] * tensor[r + k, c] for k in range(3)) for c in range(columns)] for r in range(rows)]
    )


def units(shape: tuple[int, int]) -> list[Array]:
    """The unit tensors, row by row."""
    return [unit.reshape(shape) for unit in np.eye(shape[0] * shape[1], dtype=int)]


def convolution_network(rows: int, taps: Any, padding: tuple[int, int]) -> tuple[gp.Network, Any, Any]:
    """A network of rows x 3 inputs and a convolution with 3 x 1 taps; it, and the names of inputs and outputs."""
    net = gp.Network()
    names = np.empty((rows, 3), dtype=object)
    for r, column in np.ndindex(rows, 3):
        names[r, column] = ("x", r, column)
        net.add_input(("x", r, column))
    return net, names, gp.conv2d(net, names, [[float(f)] for f in taps], padding=padding)


def convolved(tensor: Array, taps: Any, padding: tuple[int, int]) -> Any:
    net, names, outputs = convolution_network(len(tensor), taps, padding)
    trace = net.forward({names[place]: float(tensor[place]) for place in np.ndindex(tensor.shape)})
    return np.array([trace.o[name] for name in outputs.flat]).reshape(outputs.shape)


@entry("S3.11", "caveat", "the convolution with padding (1, 0); printed are the numbers of the cross-correlation")
def correlation_called_convolution() -> Iterator[Forms]:
    yield Forms(printed_numbers, truth=correlate(padded), library=convolved(image, kernel, padding=(1, 0)))
    yield Forms(
        printed=printed_numbers,
        correct=[[22, 8, 14], [8, 34, 19]],
        truth=np.transpose([np.convolve(kernel, column)[1:3] for column in image.T]),
        library=convolved(image, kernel[::-1], padding=(1, 0)),
    )


@entry("S3.12", "correct", "the 6 x 12 matrix for row-wise vectors, and its product with x")
def row_wise_matrix() -> Iterator[Forms]:
    W = [
        [2, 0, 0, 4, 0, 0, -1, 0, 0, 0, 0, 0],
        [0, 2, 0, 0, 4, 0, 0, -1, 0, 0, 0, 0],
        [0, 0, 2, 0, 0, 4, 0, 0, -1, 0, 0, 0],
        [0, 0, 0, 2, 0, 0, 4, 0, 0, -1, 0, 0],
        [0, 0, 0, 0, 2, 0, 0, 4, 0, 0, -1, 0],
        [0, 0, 0, 0, 0, 2, 0, 0, 4, 0, 0, -1],
    ]
    net, inputs, outputs = convolution_network(4, kernel, padding=(0, 0))
    truth = np.transpose([correlate(unit).ravel() for unit in units((4, 3))])
    yield Forms(W, truth=truth, library=net.weight_matrix(rows=outputs, columns=inputs, order="C"))
    yield Forms(printed_numbers, truth=correlate(padded), library=convolved(padded, kernel, padding=(0, 0)))
    yield Forms(W @ padded.ravel(), truth=np.ravel(printed_numbers), library=convolved(image, kernel, (1, 0)).ravel())


@entry(
    "S3.13",
    "caveat",
    "the 6 x 12 matrix for column-wise x; its rows are right for a row-wise s, and permuted for a column-wise one",
)
def column_wise_matrix() -> Iterator[Forms]:
    W = np.array(
        [
            [2, 4, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 2, 4, -1, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 2, 4, -1, 0],
            [0, 2, 4, -1, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 2, 4, -1, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, -1],
        ]
    )
    net, inputs, outputs = convolution_network(4, kernel, padding=(0, 0))
    column_wise_units = [unit.T for unit in units((3, 4))]
    yield Forms(
        printed=W,
        truth=np.transpose([correlate(unit).ravel() for unit in column_wise_units]),
        library=net.weight_matrix(rows=outputs, columns=inputs.T, order="C"),
    )
    yield Forms(
        printed=W,
        correct=W[[0, 3, 1, 4, 2, 5]],
        truth=np.transpose([correlate(unit).T.ravel() for unit in column_wise_units]),
        library=net.weight_matrix(rows=outputs, columns=inputs, order="F"),
    )
    yield Forms(W @ padded.T.ravel(), truth=np.ravel(printed_numbers))


@entry(
    "S3.14",
    "caveat",
    "rows, columns and non-zeros of the matrix: 6, 12, 18 for the padded x, but 6, 6, 12 without padding",
)
def sizes_of_the_convolution() -> Iterator[Forms]:

    def summary(W: Any) -> list[int]:
        return [*np.shape(W), np.count_nonzero(W)]

    with_padding, without = units((4, 3)), [np.pad(unit, ((1, 1), (0, 0))) for unit in units((2, 3))]
    for tensors, rows, padding, correct in ((with_padding, 4, (0, 0), [6, 12, 18]), (without, 2, (1, 0), [6, 6, 12])):
        net, inputs, outputs = convolution_network(rows, kernel, padding)
        yield Forms(
            printed=[6, 12, 18],
            correct=correct,
            truth=summary(np.transpose([correlate(tensor).ravel() for tensor in tensors])),
            library=summary(net.weight_matrix(rows=outputs, columns=inputs)),
        )
