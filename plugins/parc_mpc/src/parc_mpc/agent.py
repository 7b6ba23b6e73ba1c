"""Agent `mpc`: plans by sampling in the simulator at every control step and trains nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core import storage
from parc_core.data.policy import Policy
from parc_core.errors import DataError, PluginError
from parc_core.interfaces.agent import Agent
from parc_core.interfaces.context import StageContext
from parc_core.interfaces.tracker_env import Reference, TrackerEnv
from parc_core.kinematics import rotations as rot
from parc_core.kinematics.forward import Kinematics
from parc_mpc.cem import elite_mean, interpolation, sample_plans, shift_plan
from parc_mpc.config import MpcConfig, ladder
from parc_mpc.cost import tracking_cost

__all__ = ["MpcAgent"]

_FAR = 100.0  # rad, beyond any servo target


class MpcAgent(Agent):
    """Tracks by planning: knots of servo targets around the reference, refined by the cross-entropy method.

    Deterministic: a playback gives the same actions whenever it is repeated, also beside other motions. To try a
    lost motion with other settings call ``escalate(attempt)``, attempt below `num_attempts`, before `start`. It plans
    for the environments that ``env.active`` (bool ``[N]``) marks, for all where the env has no such attribute.
    """

    name = "mpc"
    trains = False

    def __init__(self, config: MpcConfig, *, device: str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        self._attempts = ladder(config)
        self._settings = config
        self._kinematics: Kinematics | None = None
        self._plan: Tensor | None = None  # [N, P, D], None before the first step

    @property
    def num_attempts(self) -> int:
        """How many settings there are to try on one motion."""
        return len(self._attempts)

    def escalate(self, attempt: int) -> None:
        """Use the settings of an attempt, 0 the configured ones, from the next `start` on."""
        self._settings = self._attempts[attempt]

    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """Nothing to learn; writes a policy without weights."""
        _require_rollout(env)
        folder = storage.make_folder(ctx.folder / "policy")
        policy = Policy(
            folder=folder,
            agent="mpc",
            skeleton=env.skeleton.id,
            observation={group.name: group.size for group in env.observation},
            action={"kind": env.action.kind, "size": len(env.action.lower)},
        )
        return policy.save()

    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """Check that the policy is one of this agent, for this character."""
        _require_rollout(env)
        if policy.agent != "mpc":
            raise DataError(
                f"{policy.folder}: a policy of agent '{policy.agent}'; agent 'mpc' reads its own only."
            )
        if policy.skeleton != env.skeleton.id:
            raise DataError(
                f"{policy.folder}: a policy for character '{policy.skeleton}'; the environment has '{env.skeleton.id}'."
            )

    def start(self, env: TrackerEnv) -> None:
        """Forget the plans and begin the stream of candidates anew."""
        _require_rollout(env)
        if self._kinematics is None or self._kinematics.skeleton is not env.skeleton:
            self._kinematics = Kinematics(env.skeleton, device=self.device)
        self._plan = None
        # what the env's actions can express: plans keep to it, so that what was rolled out is what happens
        everything = torch.full((env.num_envs, env.skeleton.num_dofs), _FAR, device=self.device)
        self._lower = env.dof_target(env.action_for(-everything))
        self._upper = env.dof_target(env.action_for(everything))
        self._generator = torch.Generator().manual_seed(self._settings.seed)

    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """The first actions of plans refined now; environments that are not followed get the reference's pose."""
        if self._kinematics is None:
            self.start(env)
        s, horizon = self._settings, self._settings.horizon
        active = getattr(env, "active", None)
        ids = torch.arange(env.num_envs) if active is None else torch.nonzero(active).squeeze(-1).cpu()
        num_dofs = env.skeleton.num_dofs
        first = self._plan is None
        if first:
            self._plan = torch.zeros(env.num_envs, s.knots, num_dofs, device=self.device)
        targets = self._base_targets(self._ahead(env, torch.arange(env.num_envs), 1)).reshape(-1, num_dofs)
        iterations = max(s.iterations, s.first_iterations) if first else s.iterations
        noise = self._noise(iterations, num_dofs)
        if len(ids):
            plan = self._refine(env, ids, shift_plan(self._plan[ids], horizon), noise)
            self._plan[ids] = plan
            targets[ids] += plan[:, 0]
        return env.action_for(targets)

    def _refine(self, env: TrackerEnv, ids: Tensor, plan: Tensor, noise: Tensor) -> Tensor:
        s = self._settings
        ref = self._ahead(env, ids, s.horizon)
        base = self._base_targets(ref).reshape(len(ids), 1, s.horizon, -1)
        weights = interpolation(s.knots, s.horizon).to(self.device)
        states = env.simulator.save_state(ids)
        for iteration, draw in enumerate(noise):
            plans = sample_plans(plan, draw, s.sigma * s.sigma_decay**iteration)
            residuals = weights @ plans
            targets = (base + residuals).clamp(self._lower[ids, None, None], self._upper[ids, None, None])
            rollout = env.simulator.rollout(states, s.samples, targets.flatten(0, 1))
            cost = tracking_cost(rollout, ref, residuals, self._kinematics, s.cost)
            plan = elite_mean(plans, cost, s.elites)
        return plan

    def _noise(self, iterations: int, num_dofs: int) -> Tensor:
        s = self._settings
        shape = (iterations, s.samples, s.knots, num_dofs)
        return torch.randn(shape, generator=self._generator).to(self.device)

    def _ahead(self, env: TrackerEnv, ids: Tensor, steps: int) -> Reference:
        """The reference 1 to `steps` control steps from now, ``[M * steps, ...]``."""
        dt = 1.0 / env.control_hz
        motion_ids, now = env.motion_ids[ids], env.motion_times[ids]
        times = now[:, None] + dt * torch.arange(1, steps + 1, device=now.device)
        return env.reference(motion_ids.repeat_interleave(steps), times.flatten())

    def _base_targets(self, ref: Reference) -> Tensor:
        """Servo targets of the reference, run ahead of the servo's lag: ``[..., D]`` rad."""
        lead = self._kinematics.dof_to_joint_rot(self._settings.feed_forward * ref.dof_vel)
        return self._kinematics.joint_rot_to_dof(rot.multiply(ref.joint_rot, lead))


def _require_rollout(env: TrackerEnv) -> None:
    if "rollout" not in env.simulator.capabilities:
        raise PluginError(
            f"agent 'mpc' plans with a simulator that can roll out saved states; {type(env.simulator).__name__} "
            "cannot. Use simulator 'mujoco', or another agent."
        )
