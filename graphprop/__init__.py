"""Backpropagation on explicit graphs: every node, every weight, every derivative."""

from graphprop.builders import conv2d, dense, mlp, softmax_regression
from graphprop.checks.checking import check
from graphprop.checks.comparing import Comparison, compare
from graphprop.checks.gradchecking import gradcheck
from graphprop.checks.report import Report
from graphprop.engine.thread_count import get_threads, threads
from graphprop.engine.threads import set_threads
from graphprop.errors import (
    CycleError,
    GraphpropError,
    LimitError,
    NumberError,
    SlowWarning,
    UnknownNameError,
    WrongGradientError,
)
from graphprop.explanations.derivation import Explanation
from graphprop.explanations.explaining import explain
from graphprop.explanations.path_sums import PathSum, paths
from graphprop.functions.activation import Activation
from graphprop.functions.catalogue import ACTIVATIONS, activation
from graphprop.functions.loss import Loss
from graphprop.functions.losses import LOSSES, loss
from graphprop.graph.parameters import Parameter
from graphprop.graph.rewriting import unroll
from graphprop.interop.networkx import from_networkx
from graphprop.interop.tables import from_frame
from graphprop.network import Network, compile, load, union
from graphprop.passes.apart import Difference
from graphprop.passes.results import Gradients, Trace
from graphprop.program import Program
from graphprop.render.drawing import Drawing, draw
from graphprop.textbook import matrixform, recursion
from graphprop.training import optim
from graphprop.training.fitted import Fit
from graphprop.training.fitting import fit
from graphprop.training.population import Population
from graphprop.training.raised import PopulationFit


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
    "Fit",
    "Gradients",
    "GraphpropError",
    "LimitError",
    "Loss",
    "Network",
    "NumberError",
    "Parameter",
    "PathSum",
    "Population",
    "PopulationFit",
    "Program",
    "Report",
    "SlowWarning",
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
    "fit",
    "from_frame",
    "from_networkx",
    "get_threads",
    "gradcheck",
    "load",
    "loss",
    "matrixform",
    "mlp",
    "optim",
    "paths",
    "recursion",
    "set_threads",
    "softmax_regression",
    "threads",
    "union",
    "unroll",
]
