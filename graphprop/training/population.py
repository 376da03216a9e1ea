"""`gp.Population`: many networks of any structure, each trained by itself, all at once.

What is computed of all members is in `crowd.py`, how they are trained in `raising.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphprop.errors import GraphpropError, unknown
from graphprop.given.arguments import is_whole
from graphprop.graph.layout import Name
from graphprop.network import Network
from graphprop.passes.heads import Losses
from graphprop.training.crowd import Crowd, Failed
from graphprop.training.raised import PopulationFit
from graphprop.training.raising import Course, raise_by_executor, raise_members

MOST_TOLD = 3  # members in a warning


class Population:
    """Many networks, each with its own structure, parameters and loss, run and trained with few calls.

    Parameters
    ----------
    nets : list of Network, or mapping from keys to networks
        Inputs of the same name are the same, whoever reads them. The networks are held, not copied: training changes
        their theta, and a change of their structure counts from the next call on.

    Examples
    --------
    >>> import graphprop as gp
    >>> population = gp.Population({"small": gp.mlp([2, 2, 1], seed=0), "large": gp.mlp([2, 9, 1], seed=1)})
    >>> population
    <Population: 2 networks, 2 inputs, 46 parameters>
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fit = population.fit(X, Y, loss="half_squared", optimizer="rprop", steps=200)
    >>> min(population.losses(X, Y, loss="half_squared").values()) < 0.1
    True
    """

    def __init__(self, nets: Mapping[Any, Network] | Sequence[Network]) -> None:
        self._is_mapping = isinstance(nets, Mapping)
        self._nets: dict[Any, Network] = {}
        try:
            for key, net in nets.items() if isinstance(nets, Mapping) else enumerate(nets):
                if not isinstance(net, Network):  # asked for each, as the next may be the first of endlessly many
                    raise GraphpropError(f"member {key!r} is no network but {type(net).__name__}")
                self._nets[key] = net
        except GraphpropError:
            raise
        except Exception as error:
            told = f"a population is a list or a mapping of networks, not {type(nets).__name__}"
            raise GraphpropError(told) from error
        if not self._nets:
            raise GraphpropError("a population needs at least one network")
        self._crowd = Crowd(self._nets)

    # ------------------------------------------------------------------ as a list or a mapping

    def keys(self) -> tuple[Any, ...]:
        """What the members are called: the keys of the mapping that was given, else their numbers."""
        return tuple(self._nets)

    @property
    def inputs(self) -> tuple[Name, ...]:
        """The names of all inputs, each once: in this order an array of inputs has their columns."""
        return tuple(self._now().side.inputs)

    def __len__(self) -> int:
        return len(self._nets)

    def __iter__(self) -> Iterator[Network]:
        return iter(self._nets.values())

    def __getitem__(self, key: Any) -> Network:
        if not self._is_mapping:
            if not is_whole(key, -len(self), len(self) - 1):
                raise GraphpropError(f"there is no member {key!r}; they are numbered from 0 to {len(self) - 1}")
            key = int(key) % len(self)
        try:
            found: Network = self._nets[key]
            return found
        except (KeyError, TypeError):
            raise unknown("member", key, self._nets) from None

    def _ipython_key_completions_(self) -> list[Any]:
        return list(self._nets)

    def __repr__(self) -> str:
        side = self._now().side
        counts = (len(self), "network"), (len(side.inputs), "input"), (int(side.first_position[-1]), "parameter")
        parts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts]
        return f"<Population: {', '.join(parts)}>"

    # ------------------------------------------------------------------ running

    def predict(self, X: Any) -> Any:
        """The outputs of each member, as its program's `predict` gives them: a list, or a dict if a mapping was given.

        Those of a member whose numbers overflow are nan, and a warning says which and why.

        Parameters
        ----------
        X : array (samples, inputs), or mapping from names
            An array has the columns of `inputs`.

        Examples
        --------
        >>> import graphprop as gp
        >>> population = gp.Population([gp.mlp([2, 2, 1], seed=0), gp.mlp([2, 9, 3], seed=1)])
        >>> [outputs.shape for outputs in population.predict([[0.0, 1.0], [1.0, 1.0]])]
        [(2, 1), (2, 3)]
        """
        crowd = self._now()
        rows, batched = crowd.read_inputs(X)
        found, failed = crowd.outputs(crowd.theta(), rows)
        self._tell(failed, "predict")
        return self._by_key([outputs if batched else outputs[0] for outputs in found])

    def losses(self, X: Any, Y: Any, *, loss: Losses, sample_weight: Any = None) -> Any:
        """The loss of each member, its mean over the samples: an array, or a dict if a mapping was given.

        It is infinite for a member whose numbers overflow, and a warning says which and why.

        Parameters
        ----------
        X : array (samples, inputs), or mapping from names
            An array has the columns of `inputs`.
        Y : array, or mapping from names
            What all members are compared with, as for `Program.value_and_grad`.
        loss : str or Loss
        sample_weight : array, optional
            What each sample counts for.

        Examples
        --------
        >>> import graphprop as gp
        >>> one, other = gp.Network(), gp.Network()
        >>> for net, weight in ((one, 2.0), (other, 3.0)):
        ...     net.add_input("x")
        ...     net.add_node("y", "identity", {"x": weight})
        >>> gp.Population([one, other]).losses([[1.0], [2.0]], [2.0, 4.0], loss="half_squared")
        array([0.  , 1.25])
        """
        crowd = self._now()
        rows, batched = crowd.read_inputs(X)
        values, failed = crowd.ask(rows, batched, Y, loss, sample_weight).losses(crowd.theta())
        values[list(failed)] = np.inf
        self._tell(failed, "losses")
        return self._by_key(values.tolist()) if self._is_mapping else values

    def fit(
        self,
        X: Any,
        Y: Any,
        *,
        loss: Losses,
        optimizer: Any = "adam",
        steps: int = 50,
        rate: Any = None,
        clip: float | None = None,
        decay: float = 0.0,
        patience: int | None = None,
        sample_weight: Any = None,
        executor: Any = None,
    ) -> PopulationFit:
        """Train each member by itself, on all samples in every step; the networks' theta are changed.

        A member gets the bits that `gp.fit` with one batch of all samples gives it, whoever else is in the population.
        One whose numbers overflow stops with its last good theta, and a warning says which and why.

        Parameters
        ----------
        X, Y, loss, sample_weight
            As for `losses`.
        optimizer : str or object
            As for `gp.fit`, but lbfgs. One of your own is asked for each member by itself.
        steps : int
        rate, clip, decay
            As for `gp.fit`; each member's gradient is clipped by itself.
        patience : int
            How many steps may pass without a better loss before a member stops.
        executor : concurrent.futures.Executor, or what has its interface
            Workers that each get a part of the population, and train it on one thread; the results are the same bits.

        Examples
        --------
        >>> import graphprop as gp
        >>> population = gp.Population([gp.mlp([1, 3, 1], "tanh", "identity", seed=seed) for seed in range(3)])
        >>> fit = population.fit([[-1.0], [0.0], [1.0]], [1.0, 0.0, 1.0], loss="half_squared", steps=100, rate=0.03)
        >>> fit
        <fit of 3 networks by adam: 100 steps>
        """
        crowd = self._now()
        course = Course.of(loss, optimizer, steps, rate, clip, decay, patience)
        rows, batched = crowd.read_inputs(X)
        given = rows, batched, Y, sample_weight
        if executor is None:
            outcome = raise_members(crowd, course, *given)
        else:
            outcome = raise_by_executor(crowd, course, *given, executor)
        for i, net in enumerate(crowd.nets):
            own = outcome.theta[crowd.span(i)]
            net.theta[: len(own)] = own
        self._tell(outcome.failed, "fit")
        stopped = ["failed" if i in outcome.failed else why for i, why in enumerate(outcome.stopped)]
        return PopulationFit(
            losses=self._by_key(outcome.losses.tolist()),
            history=self._by_key([column[:count] for column, count in outcome.columns()]),
            stopped=self._by_key(stopped),
            errors={crowd.keys[i]: why for i, why in outcome.failed.items()},
            optimizer=course.optimizer.name,
        )

    # ------------------------------------------------------------------ inside

    def _now(self) -> Crowd:
        """The members as they are now."""
        if not self._crowd.is_current():
            self._crowd = Crowd(self._nets)
        return self._crowd

    def _by_key(self, of_members: list[Any]) -> Any:
        return dict(zip(self._nets, of_members, strict=True)) if self._is_mapping else of_members

    def _tell(self, failed: Failed, where: str) -> None:
        """Warn of members that gave no numbers."""
        if failed:
            told = "; ".join(why for _, why in sorted(failed.items())[:MOST_TOLD])
            more = f"; and {len(failed) - MOST_TOLD} more" if len(failed) > MOST_TOLD else ""
            count = f"{len(failed)} of {len(self)} members"
            warnings.warn(f"{where}: {count} failed: {told}{more}", RuntimeWarning, stacklevel=3)
