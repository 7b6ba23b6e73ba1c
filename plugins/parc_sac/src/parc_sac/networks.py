"""Actor, critics and temperature, with the normalization of observations and actions around them."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from parc_core.interfaces import ActionSpec, ObservationGroup
from parc_rl.normalizer import Normalizer
from parc_sac.config import ModelConfig
from parc_sac.losses import bounded_log_std, sample_action, unbounded_log_std

__all__ = ["Actor", "Critics", "SacNetwork"]

_MEAN_LIMIT = 5.0  # of means before squashing: beyond, tanh has no gradient


class Actor(nn.Module):
    """Mean and spread of normalized actions for normalized observations."""

    def __init__(
        self, config: ModelConfig, num_inputs: int, num_actions: int, std: float, rng: torch.Generator
    ) -> None:
        super().__init__()
        self.squash = config.squash
        self.net = _perceptron((num_inputs, *config.actor_units, 2 * num_actions), rng)
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(config.actor_init_output_scale)
            last.bias[num_actions:] = unbounded_log_std(math.log(std))

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Means before squashing and log standard deviations, ``[N, A]`` each, for normalized observations."""
        mean, raw = self.net(obs).chunk(2, dim=-1)
        if self.squash:
            mean = mean.clamp(-_MEAN_LIMIT, _MEAN_LIMIT)
        return mean, bounded_log_std(raw)

    def sample(self, obs: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Normalized actions ``[N, A]`` and their log densities ``[N]``."""
        mean, log_std = self(obs)
        noise = torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
        return sample_action(mean, log_std, noise, self.squash)

    def mean_action(self, obs: Tensor) -> Tensor:
        """Normalized actions without noise, ``[N, A]``."""
        mean, _ = self(obs)
        return torch.tanh(mean) if self.squash else mean


class Critics(nn.Module):
    """Two critics, each of which gives a distribution of returns."""

    def __init__(self, config: ModelConfig, num_inputs: int, num_actions: int, rng: torch.Generator) -> None:
        super().__init__()
        self.action_scale = config.critic_action_scale
        sizes = (num_inputs + num_actions, *config.critic_units, config.num_atoms)
        self.nets = nn.ModuleList([_perceptron(sizes, rng) for _ in range(2)])

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        """Logits ``[2, N, Z]`` for normalized observations and actions."""
        inputs = torch.cat([obs, self.action_scale * action], dim=-1)
        return torch.stack([net(inputs) for net in self.nets])


class SacNetwork(nn.Module):
    """Everything that is learned, the normalizer, and the range of actions.

    Its `state_dict` is all that a policy needs, and all that a training needs to go on from it.
    """

    action_mean: Tensor  # [A], center of the environment's range of actions
    action_half: Tensor  # [A], half of that range
    log_alpha: nn.Parameter  # [], logarithm of the temperature

    def __init__(
        self,
        config: ModelConfig,
        groups: tuple[ObservationGroup, ...],
        action: ActionSpec,
        normalizer: Normalizer,
        rng: torch.Generator,
        *,
        std: float,
        alpha: float,
    ) -> None:
        super().__init__()
        num_inputs, num_actions = sum(group.size for group in groups), len(action.lower)
        self.normalizer = normalizer
        self.actor = Actor(config, num_inputs, num_actions, std, rng)
        self.critics = Critics(config, num_inputs, num_actions, rng)
        self.target_critics = Critics(config, num_inputs, num_actions, rng).requires_grad_(False)
        self.target_critics.load_state_dict(self.critics.state_dict())
        self.log_alpha = nn.Parameter(torch.tensor(math.log(alpha)))
        self.register_buffer("action_mean", ((action.lower + action.upper) / 2).float().cpu().clone())
        self.register_buffer("action_half", ((action.upper - action.lower) / 2).float().cpu().clone())

    def to_env(self, action: Tensor) -> Tensor:
        """The environment's actions for normalized ones."""
        return action * self.action_half + self.action_mean

    @torch.no_grad()
    def act(self, obs: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """The environment's actions for its observations ``[N, O]``: without noise, or sampled with `rng`."""
        norm_obs = self.normalizer(obs)
        action = self.actor.mean_action(norm_obs) if rng is None else self.actor.sample(norm_obs, rng)[0]
        return self.to_env(action)


def _perceptron(sizes: tuple[int, ...], rng: torch.Generator) -> nn.Sequential:
    """Linear layers with layer normalization and SiLU in between; PyTorch's initial weights, sampled with `rng`."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        # skip_init: the layer's own initialization would sample with the global generator
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5), generator=rng)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if i < len(sizes) - 2:
            layers += [nn.LayerNorm(fan_out), nn.SiLU()]
    return nn.Sequential(*layers)
