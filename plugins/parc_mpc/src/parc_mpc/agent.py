"""Agent `mpc`: plans by sampling in the simulator at every control step, without any training."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.errors import PluginError
from parc_core.interfaces import Agent, Policy, Reference, StageContext, TrackerEnv, stop_point
from parc_motion import storage
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics
from parc_motion.kinematics import rotations as rot
from parc_mpc.config import MpcConfig, ladder, reseeded
from parc_mpc.deviations import tracking_deviations
from parc_mpc.gauss_newton import best_combination, costs
from parc_mpc.plans import interpolation, sample_plans, shift_matrix

__all__ = ["MpcAgent"]

_FAR = 100.0  # rad, beyond any servo target
_OUTLIER = 4.0  # times the median cost: such a candidate fell, which says nothing about small changes
_MAX_STEP = 2.0  # times sigma: the candidates say nothing about plans further away


class MpcAgent(Agent):
    """Tracks by planning: servo targets around the reference, refined by Gauss-Newton steps over sampled plans.

    Deterministic: a playback gives the same actions whenever it is repeated, also beside other motions. Only the
    environments that ``env.active`` marks are planned for. Attempts use more samples and a longer horizon, see
    `parc_mpc.config.ladder`.
    """

    name = "mpc"
    trains = False
    is_seeded = True

    def __init__(self, config: MpcConfig, *, device: str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        self._attempts = ladder(config)
        self._settings = config
        self._started, self._first = False, True  # the first step of a playback is planned for longer

    @property
    def num_attempts(self) -> int:
        """See `Agent.num_attempts`: the length of the ladder."""
        return len(self._attempts)

    def escalate(self, attempt: int) -> None:
        """See `Agent.escalate`."""
        self._settings = self._attempts[attempt]

    def reseed(self, number: int) -> None:
        """See `Agent.reseed`; `number` is added to the configured seed."""
        self._attempts = ladder(reseeded(self.config, number))
        self._settings = self._attempts[0]

    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """See `Agent.train`: writes a policy without weights."""
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
        """See `Agent.restore`: checks that the policy was made by this agent for this character."""
        _require_rollout(env)
        if policy.agent != "mpc":
            raise DataError(
                f"{policy.folder}: a policy of agent '{policy.agent}'; agent 'mpc' only reads its own."
            )
        if policy.skeleton != env.skeleton.id:
            raise DataError(
                f"{policy.folder}: a policy for character '{policy.skeleton}'; the environment has '{env.skeleton.id}'."
            )

    def start(self, env: TrackerEnv) -> None:
        """See `Agent.start`: discards the plans and restarts the random numbers."""
        _require_rollout(env)
        s = self._settings
        self._kinematics = Kinematics(env.skeleton, device=self.device)
        self._plan = torch.zeros(env.num_envs, s.knots, env.skeleton.num_dofs, device=self.device)
        # bounds of the targets that actions can express: plans keep to them, so that rollouts are what will happen
        beyond = torch.full((env.num_envs, env.skeleton.num_dofs), _FAR, device=self.device)
        self._lower = env.dof_target(env.action_for(-beyond))
        self._upper = env.dof_target(env.action_for(beyond))
        self._interpolation = interpolation(s.knots, s.horizon).to(self.device)
        self._shift = shift_matrix(s.knots, s.horizon).to(self.device)
        self._generator = torch.Generator(device=self.device).manual_seed(s.seed)
        self._started, self._first = True, True

    @torch.no_grad()
    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """The first actions of the refined plans; inactive environments get the reference's pose."""
        if not self._started:
            self.start(env)
        s, num_dofs = self._settings, env.skeleton.num_dofs
        every = torch.arange(env.num_envs, device=self.device)
        ids = env.active.nonzero().flatten()
        targets = self._base_targets(self._ahead(env, every, 1)).reshape(-1, num_dofs)
        noise = self._noise(s.first_iterations if self._first else s.iterations, num_dofs)
        if len(ids):
            plan = self._refine(env, ids, self._shift @ self._plan[ids], noise)
            self._plan[ids] = plan
            targets[ids] += plan[:, 0]
        self._first = False
        return env.action_for(targets)

    def _refine(self, env: TrackerEnv, ids: Tensor, plan: Tensor, noise: Tensor) -> Tensor:
        """Plans after one iteration, and further ones where the cost is high (at the first control step everywhere)."""
        rows = torch.arange(len(ids), device=self.device)  # of the plans that are improved
        for number, sample in enumerate(noise):
            stop_point()
            plan[rows], cost = self._improve(env, ids[rows], plan[rows], sample)
            if self._first or number + 1 == len(noise):
                continue
            rows = rows[cost > self._settings.good_cost]
            if len(rows) == 0:
                break
        return plan

    def _improve(self, env: TrackerEnv, ids: Tensor, plan: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """One Gauss-Newton iteration: improved plans ``[m, P, D]``, and the costs of the given ones ``[m]``."""
        s = self._settings
        ref = self._ahead(env, ids, s.horizon)
        base = self._base_targets(ref).reshape(len(ids), 1, s.horizon, -1)
        plans = sample_plans(plan, noise)
        residuals = self._interpolation @ plans
        targets = (base + residuals).clamp(self._lower[ids, None, None], self._upper[ids, None, None])
        states = env.simulator.save_state(ids)
        rollout = env.simulator.rollout(states, s.samples, targets.flatten(0, 1))
        deviations = tracking_deviations(rollout, ref, residuals, self._kinematics, s.cost)
        cost = costs(deviations, rollout.finite.reshape(len(ids), s.samples))
        better = best_combination(plans, deviations, cost, s.damping, _OUTLIER, _MAX_STEP * s.sigma)
        return better, cost[:, 0]

    def _noise(self, iterations: int, num_dofs: int) -> Tensor:
        s = self._settings
        shape = (iterations, s.samples - 1, s.knots, num_dofs)
        return s.sigma * torch.randn(shape, generator=self._generator, device=self.device)

    def _ahead(self, env: TrackerEnv, ids: Tensor, steps: int) -> Reference:
        """The reference 1 to `steps` control steps from now, ``[M * steps, ...]``."""
        dt = 1.0 / env.control_hz
        motion_ids, now = env.motion_ids[ids], env.motion_times[ids]
        times = now[:, None] + dt * torch.arange(1, steps + 1, device=now.device)
        return env.reference(motion_ids.repeat_interleave(steps), times.flatten())

    def _base_targets(self, ref: Reference) -> Tensor:
        """Servo targets at the reference pose plus ``feed_forward`` times its velocity: ``[..., D]`` rad."""
        lead = self._kinematics.dof_to_joint_rot(self._settings.feed_forward * ref.dof_vel)
        return self._kinematics.joint_rot_to_dof(rot.multiply(ref.joint_rot, lead))


def _require_rollout(env: TrackerEnv) -> None:
    if "rollout" not in env.simulator.capabilities:
        raise PluginError(
            f"agent 'mpc' plans with a simulator that can roll out saved states; {type(env.simulator).__name__} "
            "cannot. Use simulator 'mujoco', or another agent."
        )
