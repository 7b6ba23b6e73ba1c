"""The data of a rollout: one tensor per quantity, time first, allocated once."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import Step
from parc_ppo.extras import ExperienceExtras

__all__ = ["RolloutBuffer"]


class RolloutBuffer:
    """Experience of `steps` control steps of `num_envs` environments.

    Observations are kept as the environment gave them, for the statistics of the normalizer, and normalized as the
    networks got them; actions and their log densities are those of the normalized action space.
    """

    def __init__(
        self,
        steps: int,
        num_envs: int,
        obs_size: int,
        action_size: int,
        device: str,
        extras: ExperienceExtras | None = None,
    ) -> None:
        shape = (steps, num_envs)
        self.extras = extras
        self.obs = torch.zeros(steps + 1, num_envs, obs_size, device=device)  # [H + 1, N, O]
        self.norm_obs = torch.zeros_like(self.obs)  # normalized
        self.final_obs = torch.zeros(*shape, obs_size, device=device)  # [H, N, O]
        self.action = torch.zeros(*shape, action_size, device=device)
        self.log_prob = torch.zeros(shape, device=device)
        self.reward = torch.zeros(shape, device=device)
        self.done = torch.zeros(shape, dtype=torch.int8, device=device)
        self.sampled = torch.ones(shape, dtype=torch.bool, device=device)  # the action is not the mean action

    def write(self, t: int, step: Step) -> None:
        """Store the result of step `t`; its observation becomes that of step ``t + 1``."""
        self.obs[t + 1].copy_(step.obs)
        self.final_obs[t].copy_(step.final_obs)
        self.reward[t].copy_(step.reward)
        self.done[t].copy_(step.done)

    def final_rows(self) -> tuple[Tensor, Tensor]:
        """Where episodes ended ``[K, 2]`` (time, env), and the observations of those ends ``[K, O]``."""
        where = self.done.nonzero()
        return where, self.final_obs[where[:, 0], where[:, 1]]
