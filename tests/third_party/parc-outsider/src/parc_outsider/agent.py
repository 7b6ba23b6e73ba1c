"""Agent `ridge`: a linear policy, fitted by ridge regression to the actions that aim at the reference's next pose.

Each round acts with the present policy plus noise, so that the fit sees the states that the policy leads to; all rounds
are fitted together (dataset aggregation, Ross et al. 2011).
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.config import setting
from parc_core.interfaces import Agent, Policy, StageContext, Stopped, TrackerEnv
from parc_motion.errors import DataError
from parc_motion.kinematics import Kinematics
from parc_motion.storage import make_folder, read_tensors, write_tensors

__all__ = ["RidgeAgent", "RidgeConfig"]

_WEIGHTS = "ridge.safetensors"


@attrs.frozen(kw_only=True)
class RidgeConfig:
    """Settings of `ridge`."""

    rounds: int = setting(4, ge=1, help="Rounds of acting and fitting; a checkpoint is written after each.")
    steps: int = setting(16, ge=1, help="Control steps of every environment per round.")
    noise: float = setting(0.1, ge=0, help="Standard deviation of the noise added to actions while acting.")
    penalty: float = setting(1e-2, gt=0, help="Ridge penalty on the weights.")


class RidgeAgent(Agent):
    """Action = observation times a matrix, plus a bias."""

    name = "ridge"
    trains = True

    def __init__(self, config: RidgeConfig, *, device: str) -> None:
        self.config, self.device = config, device
        self.weights: Tensor | None = None  # [O + 1, A]

    def train(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        """Rounds of acting and fitting, from the newest checkpoint on."""
        inputs, actions = env.obs_size + 1, len(env.action.lower)
        gram = torch.zeros(inputs, inputs, dtype=torch.float64)
        target = torch.zeros(inputs, actions, dtype=torch.float64)
        weights = torch.zeros(inputs, actions) if self.weights is None else self.weights.cpu()
        first = 0
        checkpoint = ctx.checkpoints.latest()
        if checkpoint is not None:
            gram, target = checkpoint.tensors["gram"], checkpoint.tensors["target"]
            weights, first = checkpoint.tensors["weights"], checkpoint.step
            env.load_curriculum(checkpoint.state["env"])
        for number in range(first, self.config.rounds):
            if ctx.should_stop():
                raise Stopped
            self.weights = weights.to(self.device)
            loss = self._act(env, gram, target, ctx.seeds.torch("noise", self.device, round=number))
            ridge = self.config.penalty * torch.eye(inputs, dtype=torch.float64)
            weights = torch.linalg.solve(gram + ridge, target).float().contiguous()
            tensors = {"gram": gram, "target": target, "weights": weights}
            ctx.checkpoints.save(number + 1, tensors, {"env": env.curriculum_state()})
            samples = (number + 1) * self.config.steps * env.num_envs
            ctx.metrics.write(samples, {"tracker/loss/action": loss})
            ctx.progress.update(number + 1, self.config.rounds, f"loss {loss:.4f}")
        self.weights = weights.to(self.device)
        return self._save(env, ctx)

    def restore(self, policy: Policy, env: TrackerEnv) -> None:
        """Take over the weights, if they belong to these observations and actions."""
        sizes = {group.name: group.size for group in env.observation}
        if policy.agent != self.name or policy.observation != sizes:
            raise DataError(
                f"{policy.folder}: a policy of '{policy.agent}' on {policy.observation}; this is 'ridge' on {sizes}. "
                "Give a policy that was trained in this environment."
            )
        if policy.action != {"kind": env.action.kind, "size": len(env.action.lower)}:
            raise DataError(
                f"{policy.folder}: its actions are {policy.action}. Give a policy of this environment."
            )
        self.weights = read_tensors(policy.folder / _WEIGHTS, self.device)["weights"]

    def act(self, env: TrackerEnv, obs: Tensor, deterministic: bool = True) -> Tensor:
        """The linear policy's actions, within their bounds."""
        assert self.weights is not None, "train or restore first"
        action = obs @ self.weights[:-1] + self.weights[-1]
        return action.clamp(env.action.lower, env.action.upper)

    def _act(self, env: TrackerEnv, gram: Tensor, target: Tensor, noise: torch.Generator) -> float:
        """Act for a round and add what was seen to the normal equations; mean squared error of the actions."""
        kinematics = Kinematics(env.skeleton, self.device)
        obs, losses = env.reset(), []
        for _ in range(self.config.steps):
            ahead = env.reference(env.motion_ids, env.motion_times + 1.0 / env.control_hz)
            wanted = env.action_for(kinematics.joint_rot_to_dof(ahead.joint_rot))
            wanted = wanted.clamp(env.action.lower, env.action.upper)
            rows = torch.cat([obs, torch.ones(len(obs), 1, device=obs.device)], dim=1).cpu().double()
            gram += rows.T @ rows
            target += rows.T @ wanted.cpu().double()
            action = self.act(env, obs)
            losses.append(float((action - wanted).square().mean()))
            jitter = torch.randn(action.shape, generator=noise, device=action.device)
            obs = env.step(action + self.config.noise * jitter).obs
        return sum(losses) / len(losses)

    def _save(self, env: TrackerEnv, ctx: StageContext) -> Policy:
        assert self.weights is not None
        folder = ctx.folder / "policy"
        make_folder(folder)
        write_tensors(folder / _WEIGHTS, {"weights": self.weights.cpu()})
        return Policy(
            folder=folder,
            agent=self.name,
            skeleton=env.skeleton.id,
            observation={group.name: group.size for group in env.observation},
            action={"kind": env.action.kind, "size": len(env.action.lower)},
            num_samples=self.config.rounds * self.config.steps * env.num_envs,
        ).save()
