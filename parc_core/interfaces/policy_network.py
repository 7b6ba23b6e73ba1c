"""Kind `policy_network`: the network of an actor or of a critic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["PolicyNetwork"]


class PolicyNetwork(Protocol):
    """A `torch.nn.Module` that maps normalized observations to actions (an actor) or to a value (a critic).

    A setting such as ``agent.model.actor_net`` names it: by the name under which a plugin registered it, as
    ``module:Class``, or as ``my_nets.py:GatedMlp``, a file beside the iteration file. Its settings stand beside the
    name: ``actor_net: {use: "my_nets.py:GatedMlp", units: 256}``. Made with ``target(config, num_inputs=int,
    num_outputs=int, groups=tuple[ObservationGroup, ...], device=str, rng=torch.Generator)``:

    * ``config``: an instance of the attrs class that annotates the parameter.
    * ``num_inputs``: O, the length of an observation.
    * ``num_outputs``: A for an actor, or 2 A where the standard deviation depends on the state; 1 for a critic.
    * ``groups``: the parts of an observation in order; their sizes add up to O. A group with a `shape` ``(R, C)`` is a
      picture of the terrain, row by row.
    * ``device``: where the network will run. Construct it on the CPU; the agent moves it there afterwards.
    * ``rng``: a generator on the CPU for initial weights. Using it is optional: PyTorch's global generator is seeded
      while the constructor runs, so ``nn.Linear(...)`` gives reproducible weights too.

    A working network:

    >>> @attrs.frozen(kw_only=True)
    ... class GatedConfig:
    ...     units: int = setting(256, ge=1, help="Width of the hidden layer.")
    >>> class GatedMlp(nn.Module):
    ...     def __init__(self, config: GatedConfig, *, num_inputs, num_outputs, groups, device, rng):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(num_inputs, 2 * config.units)
    ...         self.output_layer = nn.Linear(config.units, num_outputs)
    ...     def forward(self, obs):
    ...         value, gate = self.hidden(obs).chunk(2, dim=-1)
    ...         return self.output_layer(value * torch.sigmoid(gate))

    Rows of a batch must not influence each other (no batch norm), and outputs must depend on nothing but weights and
    observations (no dropout): PPO compares the probability of an action before and after an update. The module is
    copied with `copy.deepcopy`, and everything that it has learned has to be in its `state_dict`.
    `parc_testing.contracts.policy_network.PolicyNetworkContract` checks an implementation.
    """

    @property
    def output_layer(self) -> nn.Linear:
        """The last layer, whose ``out_features`` are `num_outputs`; an attribute or a property.

        Agents initialize an actor's: small weights (``actor_init_output_scale``), and where the standard deviation
        depends on the state, biases that make it start at ``action_std``.
        """
        raise NotImplementedError

    def forward(self, obs: Tensor) -> Tensor:
        """Outputs ``[N, num_outputs]`` for normalized observations ``[N, O]``; not bounded."""
        raise NotImplementedError
