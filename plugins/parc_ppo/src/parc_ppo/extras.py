"""What else is known about every step of a rollout, for people who look into one; nothing of it is learned from.

Source: the published implementation's experience buffer, for the names.
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
    * ``compute_time`` ``[H, N]`` s: wall time that choosing the actions of this step took, of all together.
    * ``prev_char_contact_forces``, ``next_char_contact_forces`` ``[H, N, B, 3]`` N: before and after the step; where an
      episode ended, afterwards is the first state of the next one, as in `Step.obs`.
    * ``env_id`` int64 ``[H, N]``.
    """

    def __init__(self, steps: int, env: TrackerEnv, device: str) -> None:
        shape, bodies = (steps, env.num_envs), env.skeleton.num_bodies
        whole = {"dtype": torch.int64, "device": device}
        self.fields: dict[str, Tensor] = {
            "timestep": torch.zeros(shape, **whole),
            "ep_num": torch.zeros(shape, **whole),
            "compute_time": torch.zeros(shape, device=device),
            "prev_char_contact_forces": torch.zeros(*shape, bodies, 3, device=device),
            "next_char_contact_forces": torch.zeros(*shape, bodies, 3, device=device),
            "env_id": torch.arange(env.num_envs, device=device).repeat(steps, 1),
        }
        self._timestep = torch.zeros(env.num_envs, **whole)
        self._episode = torch.full_like(self._timestep, -1)

    def restart(self) -> None:
        """All environments begin a new episode."""
        self._timestep.zero_()
        self._episode += 1

    def before(self, t: int, env: TrackerEnv) -> None:
        """Look at the environment before step `t`."""
        forces = self.fields["next_char_contact_forces"][t - 1] if t else env.read().contact_force
        self.fields["prev_char_contact_forces"][t].copy_(forces)

    def after(self, t: int, env: TrackerEnv, step: Step, seconds: float) -> None:
        """Look at it afterwards; choosing the actions took so long."""
        self.fields["timestep"][t].copy_(self._timestep)
        self.fields["ep_num"][t].copy_(self._episode)
        self.fields["compute_time"][t] = seconds
        self.fields["next_char_contact_forces"][t].copy_(env.read().contact_force)
        over = step.done != Done.NULL
        self._timestep = torch.where(over, 0, self._timestep + 1)
        self._episode = self._episode + over

    def tensors(self) -> dict[str, Tensor]:
        """The counters, for a checkpoint."""
        return {"episode": self._episode}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on with counters that `tensors` gave."""
        self._episode.copy_(tensors["episode"])
