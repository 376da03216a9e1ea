"""Backpropagation on explicit graphs: every node, every weight, every derivative."""

from graphprop import matrixform, recursion
from graphprop.activations import ACTIVATIONS, activation
from graphprop.builders import conv2d, dense, mlp, softmax_regression
from graphprop.checking import check
from graphprop.comparing import Comparison, compare
from graphprop.derivations import Explanation
from graphprop.differentiable import Activation
from graphprop.errors import CycleError, GraphpropError, LimitError, NumberError, UnknownNameError, WrongGradientError
from graphprop.explanations import explain
from graphprop.files import load
from graphprop.gradchecking import gradcheck
from graphprop.losses import LOSSES, Loss, loss
from graphprop.network import Network
from graphprop.parameters import Parameter
from graphprop.path_sums import PathSum, paths
from graphprop.program import Program, compile
from graphprop.render.drawing import Drawing, draw
from graphprop.reports import Report
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
    "Comparison",
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
    "Report",
    "Trace",
    "UnknownNameError",
    "WrongGradientError",
    "activation",
    "check",
    "compare",
    "compile",
    "conv2d",
    "dense",
    "draw",
    "explain",
    "get_threads",
    "gradcheck",
    "load",
    "loss",
    "matrixform",
    "mlp",
    "paths",
    "recursion",
    "set_threads",
    "softmax_regression",
    "union",
    "unroll",
]
