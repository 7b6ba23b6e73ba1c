"""The networks of a policy."""

from __future__ import annotations

import itertools
import math
import re

import torch
from torch import Tensor, nn

from parc_core.errors import ConfigError
from parc_core.interfaces.tracker_env import ActionSpec, ObservationGroup
from parc_ppo import distribution
from parc_ppo.config import ModelConfig
from parc_ppo.normalizer import Normalizer

__all__ = ["PolicyNetwork", "hidden_sizes", "make_mlp"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "elu": nn.ELU, "tanh": nn.Tanh, "silu": nn.SiLU}


def hidden_sizes(name: str) -> tuple[int, ...]:
    """Units per hidden layer that a name such as ``mlp_512_512`` stands for.

    Raises:
        ConfigError: the name is none of that form.
    """
    if not re.fullmatch(r"mlp(_[1-9][0-9]{0,4})+", name):
        raise ConfigError(
            f"agent.model: network '{name}' is not known. Perceptrons are written as mlp_<units>_<units>..., "
            f"for instance mlp_512_512."
        )
    return tuple(int(part) for part in name.split("_")[1:])


def make_mlp(sizes: tuple[int, ...], activation: str, rng: torch.Generator) -> nn.Sequential:
    """A perceptron ``sizes[0] -> ... -> sizes[-1]``, linear at the end, biases 0."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        # skip_init: the layer's own initialisation would draw from the global generator
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5), generator=rng)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if i < len(sizes) - 2:
            layers.append(_ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


class PolicyNetwork(nn.Module):
    """Normaliser, actor, critic and the map from normalised actions to the environment's.

    Its `state_dict` is all that a policy needs. The actor works in actions of -1..1 over the range of the
    environment, as in the published implementation.
    """

    def __init__(
        self,
        config: ModelConfig,
        groups: tuple[ObservationGroup, ...],
        action: ActionSpec,
        normalizer: Normalizer,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        obs_size, action_size = sum(group.size for group in groups), len(action.lower)
        self.std_type = config.actor_std_type
        self.normalizer = normalizer
        outputs = action_size * (2 if self.std_type == "VARIABLE" else 1)
        self.actor = make_mlp((obs_size, *hidden_sizes(config.actor_net), outputs), config.activation, rng)
        self.critic = make_mlp((obs_size, *hidden_sizes(config.critic_net), 1), config.activation, rng)
        head = self.actor[-1]
        scale = config.actor_init_output_scale
        nn.init.uniform_(head.weight, -scale, scale, generator=rng)
        start = torch.full((action_size,), math.log(config.action_std))
        if self.std_type == "VARIABLE":
            with torch.no_grad():
                head.bias[action_size:] = start
        else:
            self.log_std = nn.Parameter(start, requires_grad=self.std_type == "CONST")
        self.register_buffer("action_mean", ((action.lower + action.upper) / 2).float().cpu().clone())
        self.register_buffer("action_half", ((action.upper - action.lower) / 2).float().cpu().clone())

    def decide(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean ``[N, A]`` and log standard deviation ``[A]`` or ``[N, A]`` for normalised observations."""
        out = self.actor(obs)
        if self.std_type == "VARIABLE":
            mean, log_std = out.chunk(2, dim=-1)
            return mean, log_std.clamp(-6.0, 2.0)  # beyond it densities leave what a float can say
        return out, self.log_std

    def value(self, obs: Tensor) -> Tensor:
        """Expected return ``[N]`` for normalised observations ``[N, O]``."""
        return self.critic(obs).squeeze(-1)

    def to_env(self, action: Tensor) -> Tensor:
        """The environment's actions for normalised ones."""
        return action * self.action_half + self.action_mean

    @torch.no_grad()
    def act(self, obs: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """The environment's actions for its observations ``[N, O]``: the mean, or drawn with `rng`."""
        mean, log_std = self.decide(self.normalizer(obs))
        return self.to_env(mean if rng is None else distribution.sample(mean, log_std, rng))
