"""Agents that learn nothing: `zero`, `random` and `reference` are the baselines that a trained agent has to beat."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import Agent, Policy, StageContext, TrackerEnv
from parc_deepmimic.actions import lead_targets
from parc_deepmimic.config import RandomConfig, ReferenceConfig, ZeroConfig
from parc_motion import storage
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics

__all__ = ["RandomAgent", "ReferenceAgent", "UntrainedAgent", "ZeroAgent"]


class UntrainedAgent(Agent):
    """Base of these agents: their policy has no weights."""

    trains = False

    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """Write a policy without weights."""
        policy = Policy(
            folder=storage.make_folder(ctx.folder / "policy"),
            agent=self.name,
            skeleton=env.skeleton.id,
            observation={group.name: group.size for group in env.observation},
            action={"kind": env.action.kind, "size": len(env.action.lower)},
        )
        return policy.save()

    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """Check that the policy is one of this agent, for this character."""
        if policy.agent != self.name:
            raise DataError(
                f"{policy.folder}: a policy of agent '{policy.agent}'; agent '{self.name}' reads its own only."
            )
        if policy.skeleton != env.skeleton.id:
            raise DataError(
                f"{policy.folder}: a policy for character '{policy.skeleton}'; the environment has '{env.skeleton.id}'."
            )


class ZeroAgent(UntrainedAgent):
    """Actions of zero: the reference run ahead of the servos (residual actions), or straight joints (absolute)."""

    name = "zero"

    def __init__(self, config: ZeroConfig, *, device: str = "cpu") -> None:
        self.config, self._device = config, device

    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """``[N, A]`` zeros."""
        return torch.zeros(env.num_envs, len(env.action.lower), device=self._device)


class RandomAgent(UntrainedAgent):
    """Uniformly random actions; a repeated playback gets the same ones."""

    name, is_seeded = "random", True

    def __init__(self, config: RandomConfig, *, device: str = "cpu") -> None:
        self.config, self._device, self._seed = config, device, config.seed
        self._rng = torch.Generator(device).manual_seed(config.seed)

    def reseed(self, number: int) -> None:
        """Use another sequence of actions from the next `start` on."""
        self._seed = self.config.seed + number

    def start(self, env: TrackerEnv) -> None:
        """Restart the sequence of actions."""
        self._rng.manual_seed(self._seed)

    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """``[N, A]``, uniform in the configured share of the range between the bounds, around its middle."""
        lower, upper = env.action.lower, env.action.upper
        uniform = torch.rand(env.num_envs, len(lower), generator=self._rng, device=self._device)
        return 0.5 * (lower + upper) + self.config.share * (uniform - 0.5) * (upper - lower)


class ReferenceAgent(UntrainedAgent):
    """Servo targets are a coming pose of the reference, extrapolated along its velocity by the lag of the servos.

    Source: measured on a real simulated clip: open loop, such targets follow it for half a second from nine frames in
    ten. Targets are held for a whole control step and the servos lag behind them, so the pose two steps ahead follows
    better than that of the next one. Central differences for the velocity, the interpolated pose instead of the
    velocity, and inertia times acceleration do not follow more of it (87 to 90 %): all fail at the foot of a climb.
    """

    name = "reference"

    def __init__(self, config: ReferenceConfig, *, device: str = "cpu") -> None:
        self.config, self._device = config, device
        self._kinematics: Kinematics | None = None

    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """The actions that set those targets, ``[N, A]``."""
        if self._kinematics is None or self._kinematics.skeleton is not env.skeleton:
            self._kinematics = Kinematics(env.skeleton, self._device)
        ref = env.reference(env.motion_ids, env.motion_times + self.config.lead_steps / env.control_hz)
        return env.action_for(lead_targets(ref, self._kinematics, self.config.feed_forward_s))
