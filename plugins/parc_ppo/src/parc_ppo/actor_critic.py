"""Actor and critic with the normalization of observations and actions around them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from parc_core.interfaces import ActionSpec, ObservationGroup
from parc_ppo import distribution
from parc_ppo.config import ModelConfig
from parc_ppo.networks import make_net, output_layer
from parc_rl.normalizer import Normalizer

__all__ = ["ActorCritic"]


class ActorCritic(nn.Module):
    """Observation normalizer, actor, critic, and the map from normalized actions to the environment's.

    Its `state_dict` is all that a policy needs. The actor works in actions of -1..1 over the range of the
    environment, as in the implementation that `parc_motion.published` cites.
    """

    action_mean: Tensor  # [A], center of the environment's range of actions
    action_half: Tensor  # [A], half of that range

    def __init__(
        self,
        config: ModelConfig,
        groups: tuple[ObservationGroup, ...],
        action: ActionSpec,
        normalizer: Normalizer,
        rng: torch.Generator,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        num_actions = len(action.lower)
        self.std_type = config.actor_std_type
        self.normalizer = normalizer
        outputs = num_actions * (
            2 if self.std_type == "VARIABLE" else 1
        )  # means, and log std where it varies
        self.actor = make_net(
            config.actor_net, config, num_outputs=outputs, groups=groups, device=device, rng=rng, salt=0
        )
        self.critic = make_net(
            config.critic_net, config, num_outputs=1, groups=groups, device=device, rng=rng, salt=1
        )
        last, scale = output_layer(self.actor), config.actor_init_output_scale
        nn.init.uniform_(last.weight, -scale, scale, generator=rng)
        initial = torch.full((num_actions,), math.log(config.action_std))
        if self.std_type == "VARIABLE":
            with torch.no_grad():
                last.bias[num_actions:] = distribution.unbounded(initial)
        else:
            self.log_std = nn.Parameter(initial, requires_grad=self.std_type == "CONST")
        self.register_buffer("action_mean", ((action.lower + action.upper) / 2).float().cpu().clone())
        self.register_buffer("action_half", ((action.upper - action.lower) / 2).float().cpu().clone())

    def decide(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean ``[N, A]`` and log standard deviation ``[A]`` or ``[N, A]`` for normalized observations."""
        out = self.actor(obs)
        if self.std_type == "VARIABLE":
            mean, raw = out.chunk(2, dim=-1)
            return mean, distribution.bounded(raw)
        return out, self.log_std

    @torch.no_grad()
    def set_std(self, std: float) -> None:
        """Set the standard deviation of actions, in units of half their range, equal in all states."""
        self.log_std.fill_(math.log(std))

    @torch.no_grad()
    def clamp_std(self) -> None:
        """Clamp a learned standard deviation to its bounds: past them its gradient would vanish or overflow."""
        if self.std_type == "CONST":
            low, high = distribution.LOG_STD_BOUNDS
            self.log_std.nan_to_num_(nan=low).clamp_(low, high)

    def value(self, obs: Tensor) -> Tensor:
        """Expected return ``[N]`` for normalized observations ``[N, O]``."""
        return self.critic(obs).squeeze(-1)

    def to_env(self, action: Tensor) -> Tensor:
        """The environment's actions for normalized ones."""
        return action * self.action_half + self.action_mean

    @torch.no_grad()
    def act(self, obs: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """The environment's actions for its observations ``[N, O]``: the mean, or sampled with `rng`."""
        mean, log_std = self.decide(self.normalizer(obs))
        return self.to_env(mean if rng is None else distribution.sample(mean, log_std, rng))
