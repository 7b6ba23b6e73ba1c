"""Additional data about every step of a rollout, for inspection; the agent does not learn from it.

Source: the names are those of the experience buffer of the implementation that `parc_motion.published` cites.
"""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import Done, Step, TrackerEnv

__all__ = ["ExperienceExtras"]


class ExperienceExtras:
    """Six quantities of `steps` control steps of all environments, in `fields`, time first.

    * ``timestep`` int64 ``[H, N]``: number of the step in its episode, from 0.
    * ``ep_num`` int64 ``[H, N]``: number of the environment's episode in this training, from 0.
    * ``compute_time`` ``[H, N]`` s: wall time of computing the actions of this step, for all environments together.
    * ``prev_char_contact_forces``, ``next_char_contact_forces`` ``[H, N, B, 3]`` N: before and after the step; where an
      episode ended, afterwards is the first state of the next one, as in `Step.obs`.
    * ``env_id`` int64 ``[H, N]``.
    """

    def __init__(self, steps: int, env: TrackerEnv, device: str) -> None:
        shape, bodies = (steps, env.num_envs), env.skeleton.num_bodies
        self.fields: dict[str, Tensor] = {
            "timestep": torch.zeros(shape, dtype=torch.int64, device=device),
            "ep_num": torch.zeros(shape, dtype=torch.int64, device=device),
            "compute_time": torch.zeros(shape, device=device),
            "prev_char_contact_forces": torch.zeros(*shape, bodies, 3, device=device),
            "next_char_contact_forces": torch.zeros(*shape, bodies, 3, device=device),
            "env_id": torch.arange(env.num_envs, device=device).repeat(steps, 1),
        }
        self._timestep = torch.zeros(env.num_envs, dtype=torch.int64, device=device)
        self._episode = torch.full_like(self._timestep, -1)

    def restart(self) -> None:
        """All environments start a new episode."""
        self._timestep.zero_()
        self._episode += 1

    def before(self, t: int, env: TrackerEnv) -> None:
        """Record the environment before step `t`."""
        forces = self.fields["next_char_contact_forces"][t - 1] if t else env.read().contact_force
        self.fields["prev_char_contact_forces"][t].copy_(forces)

    def after(self, t: int, env: TrackerEnv, step: Step, seconds: float) -> None:
        """Record it after the step; computing the actions took `seconds`."""
        self.fields["timestep"][t].copy_(self._timestep)
        self.fields["ep_num"][t].copy_(self._episode)
        self.fields["compute_time"][t] = seconds
        self.fields["next_char_contact_forces"][t].copy_(env.read().contact_force)
        ended = step.done != Done.NULL
        self._timestep = torch.where(ended, 0, self._timestep + 1)
        self._episode = self._episode + ended

    def tensors(self) -> dict[str, Tensor]:
        """The counters, for a checkpoint."""
        return {"episode": self._episode}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore counters that `tensors` returned."""
        self._episode.copy_(tensors["episode"])
