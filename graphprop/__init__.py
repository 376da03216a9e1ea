"""Backpropagation on explicit graphs: every node, every weight, every derivative."""

from graphprop import recursion
from graphprop.activations import ACTIVATIONS, activation
from graphprop.builders import conv2d, dense, mlp, softmax_regression
from graphprop.derivations import Explanation
from graphprop.differentiable import Activation
from graphprop.errors import CycleError, GraphpropError, LimitError, NumberError, UnknownNameError
from graphprop.explanations import explain
from graphprop.losses import LOSSES, Loss, loss
from graphprop.network import Network
from graphprop.parameters import Parameter
from graphprop.path_sums import PathSum, paths
from graphprop.program import Program, compile
from graphprop.render.drawing import Drawing, draw
from graphprop.results import Difference, Gradients, Trace
from graphprop.rewriting import union, unroll
from graphprop.threads import get_threads, set_threads


def __dir__() -> list[str]:
    """What completion shows: the public names."""
    return [*__all__, "__version__"]


__version__ = "0.1.0"

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "Activation",
    "CycleError",
    "Difference",
    "Drawing",
    "Explanation",
    "Gradients",
    "GraphpropError",
    "LimitError",
    "Loss",
    "Network",
    "NumberError",
    "Parameter",
    "PathSum",
    "Program",
    "Trace",
    "UnknownNameError",
    "activation",
    "compile",
    "conv2d",
    "dense",
    "draw",
    "explain",
    "get_threads",
    "loss",
    "mlp",
    "paths",
    "recursion",
    "set_threads",
    "softmax_regression",
    "union",
    "unroll",
]
