"""The networks of a policy."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from parc_core.interfaces import ActionSpec, ObservationGroup
from parc_ppo import distribution
from parc_ppo.config import ModelConfig
from parc_ppo.net_names import parse_net
from parc_ppo.normalizer import Normalizer
from parc_ppo.perceptron import make_mlp
from parc_ppo.terrain_nets import CnnEncoder, TerrainNetwork, VitEncoder, terrain_columns

__all__ = ["PolicyNetwork", "make_net"]


def make_net(
    name: str, groups: tuple[ObservationGroup, ...], outputs: int, model: ModelConfig, rng: torch.Generator
) -> nn.Module:
    """The network of a name for observation groups: ``[N, O] -> [N, outputs]``.

    Raises:
        ConfigError: no such network, or it looks at the terrain and the groups show none.
    """
    net, size = parse_net(name), sum(group.size for group in groups)
    if not net.sees_terrain:
        return make_mlp((size, *net.hidden, outputs), model.activation, rng)
    columns, shape = terrain_columns(groups, name)
    others, units = size - math.prod(shape), model.terrain_units
    encoder = (
        CnnEncoder(shape, units, model.activation, rng)
        if net.kind == "cnn_mlp"
        else VitEncoder(shape, others, units, rng)
    )
    sizes = (others + units, *net.hidden, outputs)
    return TerrainNetwork(encoder, columns, shape, sizes, model.activation, rng)


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
        action_size = len(action.lower)
        self.std_type = config.actor_std_type
        self.normalizer = normalizer
        outputs = action_size * (2 if self.std_type == "VARIABLE" else 1)
        self.actor = make_net(config.actor_net, groups, outputs, config, rng)
        self.critic = make_net(config.critic_net, groups, 1, config, rng)
        head = (self.actor.mlp if isinstance(self.actor, TerrainNetwork) else self.actor)[-1]
        scale = config.actor_init_output_scale
        nn.init.uniform_(head.weight, -scale, scale, generator=rng)
        start = torch.full((action_size,), math.log(config.action_std))
        if self.std_type == "VARIABLE":
            with torch.no_grad():
                head.bias[action_size:] = distribution.unbounded(start)
        else:
            self.log_std = nn.Parameter(start, requires_grad=self.std_type == "CONST")
        self.register_buffer("action_mean", ((action.lower + action.upper) / 2).float().cpu().clone())
        self.register_buffer("action_half", ((action.upper - action.lower) / 2).float().cpu().clone())

    def decide(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean ``[N, A]`` and log standard deviation ``[A]`` or ``[N, A]`` for normalised observations."""
        out = self.actor(obs)
        if self.std_type == "VARIABLE":
            mean, raw = out.chunk(2, dim=-1)
            return mean, distribution.bounded(raw)
        return out, self.log_std

    @torch.no_grad()
    def set_std(self, std: float) -> None:
        """Spread the actions by `std`, in units of half their range, equally in all states."""
        self.log_std.fill_(math.log(std))

    @torch.no_grad()
    def hold_std(self) -> None:
        """Put a learned spread that an update drove out of its bounds back on them, where it goes on learning."""
        if self.std_type == "CONST":
            low, high = distribution.LOG_STD_BOUNDS
            self.log_std.nan_to_num_(nan=low).clamp_(low, high)

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
